//! Zendesk Chat, before anybody is asked: the list of visitors, and agents who begin (ZD-5 to ZD-7).

use maitred::protocol::{
    Notice, Reply, Text,
    notice::{StaffChange, VisitorChange},
    reply::{ConversationPage, Opened, VisitorPage},
    request::{ListOfVisitor, ListVisitors, Start},
    words::{Doing, Feed, Origin, Speaker, Status, Target},
};

use crate::{
    floor::{code, group, new_id, opening, seconds, visitor},
    house::rule,
    scenes::visits,
};

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
            visits(&desk, number, &[("site", site), ("country", country), ("page.url", &page)], false).await;
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
                    Notice::VisitorsChanged(changed) => Some((changed.rows.clone(), changed.gone.clone())),
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
    flip = [],
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (mut desk, watch) = (house.desk().await, house.watch().await);
        assert_eq!(code(seat.client.ask::<Reply>(start(1, "Hello?")).await), "not_found", "nobody is there");
        visits(&desk, 1, &[("site", "shop")], false).await;
        visits(&desk, 2, &[("site", "shop")], false).await;
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
        let free = desk.client.open(opening(new_id(), visitor(2), Target::Default)).await.expect("opened");
        assert!(!free.existing);
    },
    opposite = [("defaults.cap = 2", async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        for number in [1, 2] {
            visits(&desk, number, &[("site", "shop")], false).await;
            let _: Opened = seat.client.ask(start(number, "Can I help?")).await.expect("there is room");
        }
        assert_eq!(watch.agent_detail(ana).await.row.taken, 2);
    })]
);

rule!(
    zd_07_it_starts_with_the_message,
    preset = "zendesk",
    with = "",
    flip = none("there is no value that would let a conversation begin without a message"),
    async |house| {
        let (ana, seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        visits(&desk, 1, &[("site", "shop")], false).await;
        assert_eq!(code(seat.client.ask::<Reply>(start(1, "")).await), "invalid");
        let list = ListOfVisitor { visitor: visitor(1), cursor: None, limit: 10 };
        let page: ConversationPage = watch.client.ask(list).await.expect("a page");
        assert!(page.rows.is_empty());
        assert_eq!(watch.agent_detail(ana).await.row.taken, 0);
    }
);
