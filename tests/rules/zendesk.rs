//! Zendesk Chat: ZD-1 to ZD-21.

use maitred::{
    ids::AgentId,
    protocol::{
        notice::StaffChange,
        words::{AssignCause, CloseReason, Destination, Feed, OfferKind, QueueCause, Speaker, Status},
    },
};

use crate::{
    floor::{code, group, seconds},
    house::rule,
    scenes::{accepts, assignments, is_asked, owned, owner, participants, stays, to},
};

rule!(
    zd_02_two_who_serve_at_once_get_two_requests,
    preset = "zendesk",
    with = "",
    flip = "defaults.strategy = \"assign\"",
    async |house| {
        let (ana, one) = house.agent("ana", &["support"]).await;
        let (ben, other) = house.agent("ben", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let line = [desk.opens(1, group("support")).await, desk.opens(2, group("support")).await];
        // Both want the same one: one has it, the other the next.
        let (first, second) =
            (one.client.take(line[0], Speaker::Me), other.client.take(line[0], Speaker::Me));
        let (first, second) = (first.await, second.await);
        assert_ne!(first.is_ok(), second.is_ok(), "never the same");
        let (winner, loser, again) = if first.is_ok() { (ana, ben, &other) } else { (ben, ana, &one) };
        again.client.take(line[1], Speaker::Me).await.expect("the next");
        assert_eq!(assignments(&watch, line[0]).await, [(winner, AssignCause::Taken)]);
        assert_eq!(assignments(&watch, line[1]).await, [(loser, AssignCause::Taken)]);
    }
);

rule!(
    zd_10_an_agent_ends_the_chat,
    preset = "zendesk",
    with = "[workspace]\nwrap_up = \"30s\"",
    flip = "workspace.wrap_up = \"0s\"",
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("support")).await;
        seat.client.take(id, Speaker::Me).await.expect("taken");
        assert_eq!(watch.agent_detail(ana).await.row.taken, 1);
        seat.client.close_conversation(id, Speaker::Me).await.expect("closed");
        assert_eq!(watch.status(id).await, Status::Closed);
        let row = watch.agent_detail(ana).await.row;
        assert_eq!((row.taken, row.state.as_str()), (1, "available"), "wrap-up begins with the close");
        house.wait(seconds(30));
        let mut watch = watch;
        watch.client.subscribe(Feed::Agent(ana)).await.expect("subscribed");
        watch.sees_agent(ana, "her free slot", |row| row.taken == 0).await;
    }
);

rule!(
    zd_10_without_wrap_up_the_slot_is_free_at_once,
    preset = "zendesk",
    with = "",
    flip = "defaults.wrap_up = \"1s\"",
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("support")).await;
        seat.client.take(id, Speaker::Me).await.expect("taken");
        seat.client.close_conversation(id, Speaker::Me).await.expect("closed");
        let history = watch.staff_history(id).await;
        let last = history.last().expect("events").event.clone();
        assert_eq!(last, StaffChange::Closed { reason: CloseReason::ByAgent });
        assert_eq!(watch.agent_detail(ana).await.row.taken, 0, "in the same transition");
    }
);

rule!(
    zd_11_transfer_to_an_agent_or_a_department,
    preset = "zendesk",
    with = "",
    flip = ["!workspace.group.sales", "defaults.cap = 1"],
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (ben, mut ben_seat) = house.agent("ben", &["support"]).await;
        let (_cleo, mut cleo) = house.agent("cleo", &["sales"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        owned(&desk, &watch, ben, 9, "support").await;
        let (one, other) =
            (owned(&desk, &watch, ana, 1, "support").await, owned(&desk, &watch, ana, 2, "support").await);
        seat.client.transfer(one, Speaker::Me, Destination::Agent(ben), true).await.expect("asked");
        accepts(&mut ben_seat, one, OfferKind::Handover).await;
        assert_eq!(owner(&watch, one).await, Some(ben));
        seat.client.transfer(other, Speaker::Me, to("sales"), true).await.expect("moved");
        cleo.sees_offer(other).await;

        let third = owned(&desk, &watch, ana, 3, "support").await;
        let nobody = AgentId::from_bytes([9; 16]);
        let unknown = seat.client.transfer(third, Speaker::Me, Destination::Agent(nobody), true).await;
        assert_eq!(code(unknown), "not_found");
        assert_eq!(code(seat.client.transfer(third, Speaker::Me, to("nowhere"), true).await), "not_found");
        assert_eq!(owner(&watch, third).await, Some(ana), "a refused transfer changes nothing");
    }
);

rule!(
    zd_12_transfer_to_another_department,
    preset = "zendesk",
    with = "",
    flip = "workspace.group.sales.enabled = false",
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (_ben, mut ben) = house.agent("ben", &["sales"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "support").await;
        seat.client.transfer(id, Speaker::Me, to("sales"), true).await.expect("moved");
        ben.sees_offer(id).await;
        let expected =
            [("support".to_owned(), QueueCause::Opened), ("sales".to_owned(), QueueCause::Transfer)];
        assert_eq!(stays(&watch, id).await, expected);
        assert_eq!((owner(&watch, id).await, watch.agent_detail(ana).await.row.taken), (None, 0));
    }
);

rule!(
    zd_19_invite_keeps_you_and_transfer_removes_you,
    preset = "zendesk",
    with = "",
    flip = "defaults.invite_uses_slot = true",
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (ben, mut ben_seat) = house.agent("ben", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let id = owned(&desk, &watch, ana, 1, "support").await;
        seat.client.invite(id, Speaker::Me, ben).await.expect("asked");
        accepts(&mut ben_seat, id, OfferKind::Invitation).await;
        let mut both = vec![ana, ben];
        both.sort();
        assert_eq!((owner(&watch, id).await, participants(&watch, id).await), (Some(ana), both));
        assert_eq!(watch.agent_detail(ben).await.row.taken, 0, "ana has it");
        ben_seat.client.leave(id, Speaker::Me).await.expect("left");

        seat.client.transfer(id, Speaker::Me, Destination::Agent(ben), true).await.expect("asked");
        let asked = is_asked(&mut ben_seat, id, OfferKind::Handover).await;
        assert_eq!(owner(&watch, id).await, Some(ana), "hers until he has it");
        assert_eq!(watch.agent_detail(ana).await.row.taken, 1);
        ben_seat.client.accept(id, Speaker::Me, asked.offer).await.expect("accepted");
        assert_eq!((owner(&watch, id).await, participants(&watch, id).await), (Some(ben), vec![ben]));
        assert_eq!(watch.agent_detail(ana).await.row.taken, 0);
    }
);
/// Visitors before they have asked for anybody.
mod lobby {
    use maitred::protocol::{
        List, Notice, Reply, Text, Variables,
        notice::{StaffChange, VisitorChange},
        reply::{ConversationPage, Done, Opened, VisitorPage},
        request::{AnnounceVisit, ListOfVisitor, ListVisitors, Start},
        words::{Doing, Feed, Origin, Speaker, Status, Target, Variable},
    };

    use crate::{
        floor::{Seat, code, group, new_id, opening, seconds, visitor},
        house::rule,
    };

    /// What a frontend knows of a visit.
    async fn visits(desk: &Seat, number: u16, facts: &[(&str, &str)]) {
        let variable =
            |(name, value): &(&str, &str)| Variable { name: Text::clip(name), value: Text::clip(value) };
        let variables = Variables::new(List::clip(facts.iter().map(variable))).expect("few");
        let visit = AnnounceVisit { visitor: visitor(number), variables, widget_open: false };
        let _: Done = desk.client.ask(visit).await.expect("announced");
    }

    /// A conversation that an agent begins with a visitor.
    fn start(number: u16, message: &str) -> Start {
        Start {
            conversation: new_id(),
            speaker: Speaker::Me,
            owner: None,
            visitor: visitor(number),
            channel: "web".parse().expect("a name"),
            message: Text::clip(message),
        }
    }

    rule!(
        zd_05_all_visitors_with_place_page_and_status,
        preset = "zendesk",
        with = "",
        flip = "defaults.lobby_max = 2",
        async |house| {
            let (_ana, mut seat) = house.agent("ana", &["support"]).await;
            let (desk, other) = (house.desk().await, house.desk().await);
            seat.client.subscribe(Feed::Visitors).await.expect("subscribed");
            for (number, site, country) in [(1, "shop", "FR"), (2, "blog", "BE"), (3, "help", "CH")] {
                let page = format!("https://{site}.example/");
                visits(&desk, number, &[("site", site), ("country", country), ("page.url", &page)]).await;
            }
            let list = ListVisitors { site: None, page: None, doing: None, cursor: None, limit: 10 };
            let page: VisitorPage = seat.client.ask(list.clone()).await.expect("a page");
            let rows: Vec<_> = page
                .rows
                .iter()
                .map(|row| {
                    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
                    (
                        text(row.site.as_ref().map(|site| site.as_str())),
                        text(row.country.as_ref().map(|country| country.as_str())),
                        text(row.page_url.as_ref().map(|url| url.as_str())),
                        row.doing,
                    )
                })
                .collect();
            let row = |site: &str, country: &str| {
                (site.to_owned(), country.to_owned(), format!("https://{site}.example/"), Doing::Browsing)
            };
            assert_eq!(rows, [row("shop", "FR"), row("blog", "BE"), row("help", "CH")]);
            let only = ListVisitors { site: Some(Text::clip("blog")), ..list.clone() };
            let page: VisitorPage = seat.client.ask(only).await.expect("a page");
            assert_eq!(page.rows.iter().map(|row| row.visitor).collect::<Vec<_>>(), [visitor(2)]);
            let page: VisitorPage = other.client.ask(list).await.expect("a page");
            assert!(page.rows.is_empty(), "another frontend sees its own visitors only");

            // Updates are pushed.
            let id = desk.opens(2, group("support")).await;
            desk.client.announce(visitor(3), false).await.expect("gone");
            house.wait(seconds(1));
            let mut doing = None;
            let mut gone = false;
            while doing != Some(Doing::Waiting) || !gone {
                let (rows, left) = seat
                    .sees("what has changed", |notice| match notice {
                        Notice::VisitorsChanged(changed) => {
                            Some((changed.rows.clone(), changed.gone.clone()))
                        }
                        _ => None,
                    })
                    .await;
                doing = rows.iter().find(|row| row.visitor == visitor(2)).map(|row| row.doing).or(doing);
                gone |= left.iter().any(|left| *left == visitor(3));
            }
            let facts = seat.detail(id).await.variables;
            assert!(facts.iter().any(|fact| fact.name.as_str() == "site" && fact.value.as_str() == "blog"));
        }
    );

    rule!(
        zd_06_an_agent_starts_a_chat_with_a_visitor,
        preset = "zendesk",
        with = "[defaults]\ncap = 1",
        flip = "defaults.cap = 2",
        async |house| {
            let (ana, seat) = house.agent("ana", &["support"]).await;
            let (mut desk, watch) = (house.desk().await, house.watch().await);
            assert_eq!(
                code(seat.client.ask::<Reply>(start(1, "Hello?")).await),
                "not_found",
                "nobody is there"
            );
            visits(&desk, 1, &[("site", "shop")]).await;
            visits(&desk, 2, &[("site", "shop")]).await;
            let request = start(1, "Can I help?");
            let opened: Opened = seat.client.ask(request.clone()).await.expect("started");
            assert_eq!((opened.conversation, opened.status), (request.conversation, Status::Active));
            let detail = watch.detail(opened.conversation).await;
            assert_eq!(
                (detail.row.owner, detail.row.group.as_ref().map(|group| group.as_str())),
                (Some(ana), Some("support"))
            );
            let begun = watch.staff_history(opened.conversation).await;
            let origin = |change: &StaffChange| match change {
                StaffChange::Opened { origin, .. } => Some(*origin),
                _ => None,
            };
            assert_eq!(begun.iter().find_map(|entry| origin(&entry.event)), Some(Origin::Agent));
            assert_eq!(watch.agent_detail(ana).await.row.taken, 1);
            let said = desk.sees_visitor(opened.conversation, "what she says", |change| match change {
                VisitorChange::Said { body, .. } => Some(body.as_str().to_owned()),
                _ => None,
            });
            assert_eq!(said.await, "Can I help?");
            // Asked again it is the same; a visitor has one open; and the cap holds.
            let again: Opened = seat.client.ask(request).await.expect("the same");
            assert_eq!(again.conversation, opened.conversation);
            assert_eq!(code(seat.client.ask::<Reply>(start(1, "Once more")).await), "already_open");
            assert_eq!(code(seat.client.ask::<Reply>(start(2, "And you?")).await), "at_capacity");
            // What came to nothing keeps nobody from opening.
            let free =
                desk.client.open(opening(new_id(), visitor(2), Target::Default)).await.expect("opened");
            assert!(!free.existing);
        }
    );

    rule!(
        zd_07_it_starts_with_the_message,
        preset = "zendesk",
        with = "",
        flip = none("there is no value that would let a conversation begin without a message"),
        async |house| {
            let (ana, seat) = house.agent("ana", &["support"]).await;
            let (desk, watch) = (house.desk().await, house.watch().await);
            visits(&desk, 1, &[("site", "shop")]).await;
            assert_eq!(code(seat.client.ask::<Reply>(start(1, "")).await), "invalid");
            let list = ListOfVisitor { visitor: visitor(1), cursor: None, limit: 10 };
            let page: ConversationPage = watch.client.ask(list).await.expect("a page");
            assert!(page.rows.is_empty());
            assert_eq!(watch.agent_detail(ana).await.row.taken, 0);
        }
    );
}
