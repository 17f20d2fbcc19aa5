//! What people have before them: profiles, licences, scope, lists, counts and marks, of whatever product.

use maitred::{
    ids::{AgentId, ConversationId},
    protocol::{
        Notice, Text,
        notice::{AgentItem, StaffChange, VisitorChange, VisitorSide},
        reply::{AgentPage, ConversationDetail, ConversationPage, Done, Explanation, WorkspaceDetail},
        request::{
            ChangeAgent, Explain, ListAgents, ListConversations, ListOfVisitor, MarkRead, Open, PutAgent,
            ShowConversation, ShowWorkspace,
        },
        words::{
            ConversationRow, Destination, Feed, ListFilter, ListView, NotifyClass, Presence, Speaker, Status,
            View,
        },
    },
};

use crate::{
    floor::{Seat, code, group, new_id, opening, profile, visitor, workspace},
    house::{House, is_offer, rule},
    scenes::opens_with,
    screen::{Screen, counts, tick},
};

/// One of the advisers whom the file manages, connected and online.
async fn adviser(house: &House, name: &str) -> (AgentId, Seat) {
    house.managed(name).await
}

/// A visitor of a site asks for an adviser.
async fn opens_on(desk: &Seat, whose: u16, site: &str) -> ConversationId {
    opens_with(desk, whose, group("advisers"), &[("site", site)]).await
}

async fn licences(house: &House) -> WorkspaceDetail {
    house.floor.admin.ask(ShowWorkspace {}).await.expect("the counts")
}

fn put(house: &House, name: &str, live_chat: bool) -> PutAgent {
    let agent = AgentId::derive(&workspace(), name);
    PutAgent { live_chat, cap: None, ..profile(&house.floor.admin, agent, name, &["advisers"], 1) }
}

/// Ticks or unticks the box of an adviser's licence.
fn seat_of(house: &House, agent: AgentId, seated: bool) -> ChangeAgent {
    ChangeAgent {
        key: house.floor.admin.identity().next_key(),
        agent,
        name: None,
        groups: None,
        cap: None,
        avatar: None,
        sites: None,
        sees_bot: None,
        live_chat: Some(seated),
    }
}

const ANA: &str = r#"
    [[workspace.agent]]
    name = "ana"
    display_name = "Ana"
    email = "ana@example.com"
    avatar = "face-of-ana"
    groups = ["advisers"]
"#;

const ANA_OF_ONE_SITE: &str = r#"
    [[workspace.agent]]
    name = "ana"
    display_name = "Ana"
    groups = ["advisers"]
    sites = ["shop"]
"#;

rule!(
    br_04_who_is_assigned_is_notified_and_has_it_listed_at_once,
    preset = "brevo",
    with = "",
    flip = none("no value takes an assignment off the list"),
    async |house| {
        let (ana, mut seat) = house.agent("ana", &["support"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let mine = Screen::keep(&mut seat, Some(ana), ListView::Livechat, ListFilter::Mine).await;
        assert!(mine.ids().is_empty());
        let id = desk.opens(1, group("support")).await;
        watch.client.assign(id, Speaker::Me, Destination::Agent(ana), false).await.expect("assigned");
        // The clock has not moved: what is told at intervals has not been told.
        let told = seat.drain().await;
        let notified: Vec<_> = told
            .iter()
            .filter_map(|notice| match notice {
                Notice::StaffEvent(event) if event.notify != NotifyClass::Silent => Some(&event.entry.event),
                _ => None,
            })
            .collect();
        assert!(
            matches!(notified[..], [StaffChange::Assigned { agent, .. }] if *agent == ana),
            "{notified:?}"
        );
        let listed = told.iter().any(|notice| matches!(notice, Notice::ListChanged(news) if news.rows.iter().any(|row| row.row.conversation == id)));
        assert!(listed, "{told:?}");
        watch.client.close_conversation(id, Speaker::Me).await.expect("closed");
        seat.sees("it is gone from the list", |notice| match notice {
            Notice::ListChanged(news) if news.gone.contains(&id) => Some(()),
            _ => None,
        })
        .await;
    }
);

rule!(
    zd_01_the_count_of_waiting_requests_is_pushed,
    preset = "zendesk",
    with = "",
    flip = "defaults.strategy = \"round_robin\"",
    async |house| {
        let (_ben, ben_seat) = house.agent("ben", &["support"]).await;
        let desk = house.desk().await;
        let mut ids = Vec::new();
        for number in 1..=7 {
            ids.push(desk.opens(number, group("support")).await);
        }
        let (_ana, mut seat) = house.agent("ana", &["support"]).await;
        seat.client.subscribe(Feed::Counts { agent: None }).await.expect("subscribed");
        counts(&mut seat, |counts| counts.requests == 7).await;
        ben_seat.client.take(ids[0], Speaker::Me).await.expect("served");
        tick(house, &seat).await;
        counts(&mut seat, |counts| counts.requests == 6).await;
    }
);

/// Chats of a visitor that were closed two hours ago.
async fn four_past_chats(house: &House, desk: &Seat, seat: &Seat) -> Vec<ConversationId> {
    let mut past = Vec::new();
    for number in 0..4 {
        let id = desk.opens(1, group("support")).await;
        seat.client.take(id, Speaker::Me).await.expect("taken");
        seat.client.say(id, Speaker::Me, &format!("answer {number}")).await.expect("said");
        seat.client.close_conversation(id, Speaker::Me).await.expect("closed");
        past.push(id);
    }
    house.wait(std::time::Duration::from_secs(2 * 3_600));
    house.running().control().archive_now();
    past
}

rule!(
    zd_08_past_chats_are_listed_with_their_transcripts,
    preset = "zendesk",
    with = "",
    flip = [],
    async |house| {
        let (_ana, seat) = house.agent("ana", &["support"]).await;
        let (_ben, ben_seat) = house.agent("ben", &["sales"]).await;
        let desk = house.desk().await;
        let past = four_past_chats(house, &desk, &seat).await;
        let now = desk.opens(1, group("support")).await;
        seat.client.take(now, Speaker::Me).await.expect("taken");
        let list = || ListOfVisitor { visitor: visitor(1), cursor: None, limit: 100 };
        let page: ConversationPage = seat.client.ask(list()).await.expect("a page");
        let open = page.rows.iter().filter(|row| row.status != Status::Closed);
        assert_eq!(open.map(|row| row.conversation).collect::<Vec<_>>(), [now]);
        let closed: Vec<_> = page.rows.iter().filter(|row| row.status == Status::Closed).collect();
        assert_eq!(closed.iter().map(|row| row.conversation).collect::<Vec<_>>(), past, "in order");
        for (number, row) in closed.into_iter().enumerate() {
            // The id is the handle of the transcript.
            let history = seat.staff_history(row.conversation).await;
            assert_eq!(history.len() as u64, row.seq);
            assert!(format!("{history:?}").contains("Said"), "answer {number}");
        }
        // Of another department nobody sees them.
        let page: ConversationPage = ben_seat.client.ask(list()).await.expect("a page");
        assert!(page.rows.is_empty());
        let own = desk.visitor_history(past[0], Speaker::Visitor(visitor(1))).await;
        assert!(own.iter().any(|entry| matches!(entry.change, VisitorChange::Said { .. })));
    },
    opposite = [("defaults.retention = \"1h\"", async |house| {
        let (_ana, seat) = house.agent("ana", &["support"]).await;
        let desk = house.desk().await;
        let past = four_past_chats(house, &desk, &seat).await;
        let list = ListOfVisitor { visitor: visitor(1), cursor: None, limit: 100 };
        let page: ConversationPage = seat.client.ask(list).await.expect("a page");
        assert!(page.rows.is_empty(), "kept long enough: {page:?}");
        let shown = seat.client.ask::<ConversationDetail>(ShowConversation { conversation: past[0] });
        assert_eq!(code(shown.await), "not_found");
    })]
);

rule!(
    ad_07_the_avatar_comes_from_the_profile,
    preset = "adobe",
    with = r#"
        [[workspace.agent]]
        name = "ana"
        display_name = "Ana"
        groups = ["support"]
        avatar = "old-face"
    "#,
    flip = "!workspace.agent.ana.avatar",
    async |house| {
        let ana = AgentId::derive(&workspace(), "ana");
        let mut seat = house.session(ana).await;
        seat.client.set_presence(ana, Presence::Online).await.expect("online");
        let mut desk = house.desk().await;
        let first = desk.opens(1, group("support")).await;
        let face = |avatar: &str| Some(Text::clip(avatar));
        assert_eq!(seat.sees_offer(first).await.face.expect("a face").avatar, face("old-face"));
        house.change("workspace.agent.ana.avatar = \"new-face\"");
        let second = desk.opens(2, group("support")).await;
        let made = seat.sees_offer(second).await;
        assert_eq!(made.face.expect("a face").avatar, face("new-face"));
        seat.client.accept(second, Speaker::Me, made.offer).await.expect("accepted");
        let avatar = desk
            .sees_visitor(second, "an agent", |change| match change {
                VisitorChange::AgentJoined { avatar, .. } => Some(avatar.clone()),
                _ => None,
            })
            .await;
        assert_eq!(avatar, face("new-face"));
    }
);

rule!(
    bo_06_licences_total_used_and_free,
    preset = "botnation",
    with = "",
    flip = "defaults.seats = 6",
    async |house| {
        for used in 0..=5 {
            let detail = licences(house).await;
            assert_eq!((detail.seats, detail.seats_used, detail.seats_free), (Some(5), used, Some(5 - used)));
            let put = put(house, &format!("adviser-{used}"), used < 5);
            house.floor.admin.ask::<Done>(put).await.expect("put");
        }
    }
);

rule!(
    bo_07_an_invited_collaborator_is_listed_without_a_licence,
    preset = "botnation",
    with = r#"
        [[workspace.agent]]
        name = "cleo"
        display_name = "Cleo"
        groups = ["advisers"]
        seat = false
    "#,
    flip = [],
    async |house| {
        house.floor.admin.ask::<Done>(put(house, "dora", false)).await.expect("invited");
        let page: AgentPage = house
            .floor
            .admin
            .ask(ListAgents { group: None, cursor: None, limit: 100 })
            .await
            .expect("a page");
        let mut names: Vec<&str> = page.rows.iter().map(|row| row.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!((names, licences(house).await.seats_used), (vec!["Cleo", "dora"], 0));
    },
    opposite = [("workspace.agent.cleo.seat = true", async |house| {
        assert_eq!(licences(house).await.seats_used, 1);
    })]
);

rule!(
    bo_08_visitors_see_the_name_and_the_avatar,
    preset = "botnation",
    with = ANA,
    flip = ["workspace.agent.ana.display_name = \"Anna\"", "!workspace.agent.ana.avatar"],
    async |house| {
        let (ana, ana_seat) = adviser(house, "ana").await;
        let (_, mut seat) = house.visitor(1).await;
        let id = new_id();
        let open = Open { speaker: Speaker::Me, ..opening(id, visitor(1), group("advisers")) };
        seat.client.open(open).await.expect("opened");
        ana_seat.client.take(id, Speaker::Me).await.expect("taken");
        ana_seat.client.say(id, Speaker::Me, "good day").await.expect("said");
        let said = seat
            .sees_visitor(id, "the answer", |change| match change {
                VisitorChange::Said { from: from @ VisitorSide::Agent { .. }, .. } => Some(from.clone()),
                _ => None,
            })
            .await;
        let avatar = Some(Text::clip("face-of-ana"));
        assert_eq!(said, VisitorSide::Agent { name: Text::clip("Ana"), avatar: avatar.clone() });
        let told = format!("{:?}", seat.drain().await);
        assert!(told.contains("AgentJoined"), "{told}");
        assert!(!told.contains(&ana.to_string()) && !told.contains("example.com"), "{told}");
    }
);

rule!(
    bo_09_activity_is_kept_by_the_system,
    preset = "botnation",
    with = "",
    flip = none("nobody can write what the system keeps: no request has a field for it"),
    async |house| {
        let (ana, seat) = house.agent("ana", &["advisers"]).await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let before = watch.agent_detail(ana).await;
        let id = desk.opens(1, group("advisers")).await;
        house.wait(std::time::Duration::from_secs(5));
        seat.client.take(id, Speaker::Me).await.expect("taken");
        seat.client.say(id, Speaker::Me, "one").await.expect("said");
        seat.client.say(id, Speaker::Me, "two").await.expect("said");
        seat.client.note(id, Speaker::Me, "for us").await.expect("noted");
        let after = watch.agent_detail(ana).await;
        assert_eq!((before.messages, after.messages), (0, 2));
        assert!(after.last_activity_at > before.last_activity_at, "{after:?}");
        house.restart(std::time::Duration::from_secs(1)).await;
        let again = house.watch().await.agent_detail(ana).await;
        assert_eq!((again.messages, again.last_activity_at), (2, after.last_activity_at));
    }
);

rule!(
    bo_10_a_licence_comes_back_when_the_last_conversation_ends,
    preset = "botnation",
    with = "[workspace]\nseats = 2",
    flip = [],
    async |house| {
        let (ana, seat) = house.agent("ana", &["advisers"]).await;
        let _ben = house.agent("ben", &["advisers"]).await;
        let desk = house.desk().await;
        let mut ids = Vec::new();
        for number in 1..=3 {
            let id = desk.opens(number, group("advisers")).await;
            seat.client.take(id, Speaker::Me).await.expect("taken");
            ids.push(id);
        }
        house.floor.admin.ask::<Done>(seat_of(house, ana, false)).await.expect("unticked");
        let next = desk.opens(4, group("advisers")).await;
        assert_eq!(code(seat.client.take(next, Speaker::Me).await), "not_eligible", "nothing new");
        let cleo = AgentId::derive(&workspace(), "cleo");
        house.floor.admin.ask::<Done>(put(house, "cleo", false)).await.expect("put");
        for id in ids {
            assert_eq!(code(house.floor.admin.ask::<Done>(seat_of(house, cleo, true)).await), "no_seat");
            seat.client.say(id, Speaker::Me, "to finish").await.expect("hers still");
            seat.client.close_conversation(id, Speaker::Me).await.expect("closed");
        }
        // The slot is freed by messages of their own; a question to the agent is behind them.
        house.watch().await.agent_detail(ana).await;
        house.floor.admin.ask::<Done>(seat_of(house, cleo, true)).await.expect("there is one now");
        assert_eq!(licences(house).await.seats_free, Some(0));
    },
    opposite = [("workspace.seats = 3", async |house| {
        let (ana, seat) = house.agent("ana", &["advisers"]).await;
        let _ben = house.agent("ben", &["advisers"]).await;
        let id = house.desk().await.opens(1, group("advisers")).await;
        seat.client.take(id, Speaker::Me).await.expect("taken");
        house.floor.admin.ask::<Done>(seat_of(house, ana, false)).await.expect("unticked");
        house
            .floor
            .admin
            .ask::<Done>(put(house, "cleo", true))
            .await
            .expect("there is one without waiting for hers");
    })]
);

rule!(
    bo_12_advisers_limited_to_a_site,
    preset = "botnation",
    with = ANA_OF_ONE_SITE,
    flip = ["workspace.agent.ana.sites = []", "workspace.agent.ana.sites = [\"blog\"]"],
    async |house| {
        let (ana, mut seat) = adviser(house, "ana").await;
        let (desk, watch) = (house.desk().await, house.watch().await);
        let mut all = Screen::keep(&mut seat, Some(ana), ListView::Livechat, ListFilter::All).await;
        seat.client.subscribe(Feed::Counts { agent: None }).await.expect("subscribed");
        let beyond = opens_on(&desk, 1, "blog").await;
        let within = opens_on(&desk, 2, "shop").await;
        seat.sees_offer(within).await;
        tick(house, &seat).await;
        all.shows(&mut seat, &[within]).await;
        counts(&mut seat, |counts| counts.to_process == 1).await;
        let told = seat.drain().await;
        assert!(!told.iter().any(is_offer), "{told:?}");
        // From outside it is not there.
        let shown = seat.client.ask::<ConversationDetail>(ShowConversation { conversation: beyond });
        assert_eq!(code(shown.await), "not_found");
        assert_eq!(code(seat.client.take(beyond, Speaker::Me).await), "not_found");
        let list = ListConversations { view: View::All, group: None, agent: None, cursor: None, limit: 100 };
        let page: ConversationPage = seat.client.ask(list).await.expect("a page");
        assert_eq!(page.rows.iter().map(|row| row.conversation).collect::<Vec<_>>(), [within]);
        let explained: Explanation =
            watch.client.ask(Explain { conversation: beyond, agent: Some(ana) }).await.expect("why");
        assert_eq!(explained.agent_reason.as_deref(), Some("out_of_scope(site)"));
        let given = watch.client.assign(beyond, Speaker::Me, Destination::Agent(ana), false).await;
        assert_eq!(code(given), "not_eligible");
    }
);

rule!(
    bo_15_the_badge_counts_what_is_to_process,
    preset = "botnation",
    with = ANA_OF_ONE_SITE,
    flip = [],
    async |house| {
        let (_ana, mut seat) = adviser(house, "ana").await;
        let (_ben, ben_seat) = house.agent("ben", &["advisers"]).await;
        let desk = house.desk().await;
        seat.client.subscribe(Feed::Counts { agent: None }).await.expect("subscribed");
        let one = opens_on(&desk, 1, "shop").await;
        opens_on(&desk, 2, "shop").await;
        tick(house, &seat).await;
        counts(&mut seat, |counts| counts.to_process == 2).await;
        ben_seat.client.take(one, Speaker::Me).await.expect("taken");
        tick(house, &seat).await;
        counts(&mut seat, |counts| counts.to_process == 1).await;
    },
    opposite = [("workspace.agent.ana.sites = [\"blog\"]", async |house| {
        let (_ana, mut seat) = adviser(house, "ana").await;
        let desk = house.desk().await;
        seat.client.subscribe(Feed::Counts { agent: None }).await.expect("subscribed");
        opens_on(&desk, 1, "shop").await;
        tick(house, &seat).await;
        let told = seat.drain().await;
        let counted = |notice: &Notice| matches!(notice, Notice::Counts(counts) if counts.to_process > 0);
        assert!(!told.iter().any(counted), "it is not hers to process: {told:?}");
    })]
);

rule!(
    bo_16_each_message_is_notified_but_for_ones_own_and_notes,
    preset = "botnation",
    with = "",
    flip = none("what a client makes a sound of is said to it always; who is not there is bo_16_a_message"),
    async |house| {
        let (ana, mut seat) = house.agent("ana", &["advisers"]).await;
        let (_ben, ben_seat) = house.agent("ben", &["advisers"]).await;
        let desk = house.desk().await;
        let id = desk.opens(1, group("advisers")).await;
        seat.client.take(id, Speaker::Me).await.expect("taken");
        desk.client.say(id, Speaker::Visitor(visitor(1)), "hello?").await.expect("said");
        ben_seat.client.note(id, Speaker::Me, "a note").await.expect("noted");
        seat.client.say(id, Speaker::Me, "good day").await.expect("said");
        let told = seat.drain().await;
        let classes: Vec<_> = told
            .iter()
            .filter_map(|notice| match notice {
                Notice::StaffEvent(event) => match &event.entry.event {
                    StaffChange::Said { body } | StaffChange::Noted { body } => {
                        assert_eq!(event.agent, Some(ana));
                        Some((body.as_str().to_owned(), event.notify))
                    }
                    _ => None,
                },
                _ => None,
            })
            .collect();
        let expected = [
            ("hello?", NotifyClass::Message),
            ("a note", NotifyClass::Silent),
            ("good day", NotifyClass::Silent),
        ];
        assert_eq!(classes, expected.map(|(body, class)| (body.to_owned(), class)));
    }
);

/// What an adviser of another site has of a conversation: it stands on none of her lists, nothing is told, and she can't open it.
async fn she_has_nothing_of_it(house: &House) {
    let (ana, mut seat) = adviser(house, "ana").await;
    let (ben, ben_seat) = house.agent("ben", &["advisers"]).await;
    let desk = house.desk().await;
    let (id, other) = (opens_on(&desk, 1, "shop").await, opens_on(&desk, 2, "shop").await);
    ben_seat.client.take(other, Speaker::Me).await.expect("taken");
    let filters = [
        ListFilter::All,
        ListFilter::Unassigned,
        ListFilter::Unread,
        ListFilter::Mine,
        ListFilter::Agent(ben),
    ];
    for filter in filters {
        let screen = Screen::keep(&mut seat, Some(ana), ListView::Livechat, filter).await;
        assert!(screen.ids().is_empty());
    }
    for view in [ListView::Closed, ListView::Chatbot] {
        let screen = Screen::keep(&mut seat, Some(ana), view, ListFilter::All).await;
        assert!(screen.ids().is_empty());
    }
    seat.drain().await;
    desk.client.say(id, Speaker::Visitor(visitor(1)), "hello?").await.expect("said");
    ben_seat.client.close_conversation(other, Speaker::Me).await.expect("closed");
    tick(house, &seat).await;
    let told = seat.drain().await;
    let of_it = |notice: &Notice| matches!(notice, Notice::ListChanged(_) | Notice::StaffEvent(_));
    assert!(!told.iter().any(of_it), "{told:?}");
    let shown = seat.client.ask::<ConversationDetail>(ShowConversation { conversation: id });
    assert_eq!(code(shown.await), "not_found");
}

rule!(
    bo_17_each_conversation_is_in_exactly_one_view,
    preset = "botnation",
    with = ANA_OF_ONE_SITE,
    flip = [],
    async |house| {
        let (ana, mut seat) = adviser(house, "ana").await;
        let desk = house.desk().await;
        let mut live = Screen::keep(&mut seat, Some(ana), ListView::Livechat, ListFilter::All).await;
        let mut closed = Screen::keep(&mut seat, Some(ana), ListView::Closed, ListFilter::All).await;
        let bot = Screen::keep(&mut seat, Some(ana), ListView::Chatbot, ListFilter::All).await;
        let id = opens_on(&desk, 1, "shop").await;
        tick(house, &seat).await;
        live.shows(&mut seat, &[id]).await;
        seat.client.take(id, Speaker::Me).await.expect("taken");
        seat.client.close_conversation(id, Speaker::Me).await.expect("closed");
        tick(house, &seat).await;
        live.shows(&mut seat, &[]).await;
        closed.shows(&mut seat, &[id]).await;
        seat.client.reopen(id, Speaker::Me).await.expect("open again");
        tick(house, &seat).await;
        live.shows(&mut seat, &[id]).await;
        closed.shows(&mut seat, &[]).await;
        assert!(bot.ids().is_empty());
        // A snapshot says the same as what was pushed.
        let again = Screen::keep(&mut seat, Some(ana), ListView::Livechat, ListFilter::All).await;
        assert_eq!(again.ids(), live.ids());
    },
    opposite = [("workspace.agent.ana.sites = [\"blog\"]", async |house| {
        she_has_nothing_of_it(house).await;
    })]
);

rule!(
    bo_18_filters_change_by_push,
    preset = "botnation",
    with = ANA_OF_ONE_SITE,
    flip = [],
    async |house| {
        let (ana, mut seat) = adviser(house, "ana").await;
        let (_ben, ben_seat) = house.agent("ben", &["advisers"]).await;
        let desk = house.desk().await;
        let mut screens = Vec::new();
        for filter in [ListFilter::All, ListFilter::Unassigned, ListFilter::Unread, ListFilter::Mine] {
            screens.push(Screen::keep(&mut seat, Some(ana), ListView::Livechat, filter).await);
        }
        let mut ids = Vec::new();
        for number in 1..=3 {
            ids.push(opens_on(&desk, number, "shop").await);
        }
        seat.client.take(ids[0], Speaker::Me).await.expect("taken");
        seat.client.say(ids[0], Speaker::Me, "good day").await.expect("said");
        ben_seat.client.take(ids[1], Speaker::Me).await.expect("taken");
        tick(house, &seat).await;
        let expected = [&ids[..], &ids[2..], &ids[1..], &ids[..1]];
        for (screen, ids) in screens.iter_mut().zip(expected) {
            screen.shows(&mut seat, ids).await;
        }
        ben_seat.client.close_conversation(ids[1], Speaker::Me).await.expect("closed");
        desk.client.say(ids[0], Speaker::Visitor(visitor(1)), "thanks").await.expect("said");
        tick(house, &seat).await;
        let (first, last) = ([ids[0]], [ids[2]]);
        let expected = [&[ids[0], ids[2]][..], &last[..], &[ids[0], ids[2]][..], &first[..]];
        for (screen, ids) in screens.iter_mut().zip(expected) {
            screen.shows(&mut seat, ids).await;
        }
    },
    opposite = [("workspace.agent.ana.sites = [\"blog\"]", async |house| {
        she_has_nothing_of_it(house).await;
    })]
);

rule!(
    bo_19_opening_marks_it_read_for_that_agent_only,
    preset = "botnation",
    with = ANA_OF_ONE_SITE,
    flip = [],
    async |house| {
        let (ana, mut seat) = adviser(house, "ana").await;
        let (ben, mut ben_seat) = house.agent("ben", &["advisers"]).await;
        let desk = house.desk().await;
        let mut anas = Screen::keep(&mut seat, Some(ana), ListView::Livechat, ListFilter::Unread).await;
        let mut bens = Screen::keep(&mut ben_seat, Some(ben), ListView::Livechat, ListFilter::Unread).await;
        let id = opens_on(&desk, 1, "shop").await;
        tick(house, &seat).await;
        anas.shows(&mut seat, &[id]).await;
        bens.shows(&mut ben_seat, &[id]).await;
        assert_eq!(seat.detail(id).await.row.status, Status::Offered);
        tick(house, &seat).await;
        anas.shows(&mut seat, &[]).await;
        let again = Screen::keep(&mut ben_seat, Some(ben), ListView::Livechat, ListFilter::Unread).await;
        assert_eq!(again.ids(), [id]);
        // It is remembered.
        house.restart(std::time::Duration::from_secs(1)).await;
        let (mut seat, mut ben_seat) = (house.session(ana).await, house.session(ben).await);
        let anas = Screen::keep(&mut seat, Some(ana), ListView::Livechat, ListFilter::Unread).await;
        let bens = Screen::keep(&mut ben_seat, Some(ben), ListView::Livechat, ListFilter::Unread).await;
        assert_eq!((anas.ids(), bens.ids()), (vec![], vec![id]));
    },
    opposite = [("workspace.agent.ana.sites = [\"blog\"]", async |house| {
        she_has_nothing_of_it(house).await;
    })]
);

rule!(
    bo_23_the_dot_is_green_while_the_visitor_is_there,
    preset = "botnation",
    with = ANA_OF_ONE_SITE,
    flip = [],
    async |house| {
        let (ana, mut seat) = adviser(house, "ana").await;
        let desk = house.desk().await;
        let mut live = Screen::keep(&mut seat, Some(ana), ListView::Livechat, ListFilter::All).await;
        let id = opens_on(&desk, 1, "shop").await;
        tick(house, &seat).await;
        live.until(&mut seat, |live| live.rows.get(&id).is_some_and(|row| row.connected)).await;
        desk.client.announce(visitor(1), false).await.expect("gone");
        tick(house, &seat).await;
        live.until(&mut seat, |live| !live.row(id).connected).await;
        desk.client.announce(visitor(1), true).await.expect("back");
        tick(house, &seat).await;
        live.until(&mut seat, |live| live.row(id).connected).await;
    },
    opposite = [("workspace.agent.ana.sites = [\"blog\"]", async |house| {
        she_has_nothing_of_it(house).await;
    })]
);

rule!(
    bo_24_the_ring_is_orange_until_an_answer,
    preset = "botnation",
    with = ANA_OF_ONE_SITE,
    flip = [],
    async |house| {
        let (ana, mut seat) = adviser(house, "ana").await;
        let desk = house.desk().await;
        let mut live = Screen::keep(&mut seat, Some(ana), ListView::Livechat, ListFilter::All).await;
        let id = opens_on(&desk, 1, "shop").await;
        seat.client.take(id, Speaker::Me).await.expect("taken");
        seat.client.note(id, Speaker::Me, "a note is no answer").await.expect("noted");
        tick(house, &seat).await;
        live.until(&mut seat, |live| live.rows.get(&id).is_some_and(|row| row.unanswered)).await;
        seat.client.say(id, Speaker::Me, "good day").await.expect("said");
        tick(house, &seat).await;
        live.until(&mut seat, |live| !live.row(id).unanswered).await;
        desk.client.say(id, Speaker::Visitor(visitor(1)), "and?").await.expect("said");
        tick(house, &seat).await;
        live.until(&mut seat, |live| live.row(id).unanswered).await;
    },
    opposite = [("workspace.agent.ana.sites = [\"blog\"]", async |house| {
        she_has_nothing_of_it(house).await;
    })]
);

rule!(
    bo_25_unread_is_per_agent,
    preset = "botnation",
    with = ANA_OF_ONE_SITE,
    flip = [],
    async |house| {
        let (ana, mut seat) = adviser(house, "ana").await;
        let (ben, mut ben_seat) = house.agent("ben", &["advisers"]).await;
        let desk = house.desk().await;
        let id = opens_on(&desk, 1, "shop").await;
        let mut anas = Screen::keep(&mut seat, Some(ana), ListView::Livechat, ListFilter::All).await;
        let bens = Screen::keep(&mut ben_seat, Some(ben), ListView::Livechat, ListFilter::All).await;
        assert!(anas.row(id).unread && bens.row(id).unread);
        let seq = anas.row(id).row.seq;
        seat.client
            .ask::<Done>(MarkRead { conversation: id, speaker: Speaker::Me, seq })
            .await
            .expect("read");
        tick(house, &seat).await;
        anas.until(&mut seat, |anas| !anas.row(id).unread).await;
        let bens = Screen::keep(&mut ben_seat, Some(ben), ListView::Livechat, ListFilter::All).await;
        assert!(bens.row(id).unread);
        desk.client.say(id, Speaker::Visitor(visitor(1)), "hello?").await.expect("said");
        tick(house, &seat).await;
        anas.until(&mut seat, |anas| anas.row(id).unread).await;
    },
    opposite = [("workspace.agent.ana.sites = [\"blog\"]", async |house| {
        she_has_nothing_of_it(house).await;
    })]
);

rule!(
    bo_32_colleagues_conversations_can_be_found,
    preset = "botnation",
    with = ANA_OF_ONE_SITE,
    flip = [],
    async |house| {
        let (ana, mut seat) = adviser(house, "ana").await;
        let (ben, ben_seat) = house.agent("ben", &["advisers"]).await;
        let desk = house.desk().await;
        let mut bens = Screen::keep(&mut seat, Some(ana), ListView::Livechat, ListFilter::Agent(ben)).await;
        let (one, two) = (opens_on(&desk, 1, "shop").await, opens_on(&desk, 2, "shop").await);
        ben_seat.client.take(one, Speaker::Me).await.expect("taken");
        seat.client.take(two, Speaker::Me).await.expect("taken");
        tick(house, &seat).await;
        bens.shows(&mut seat, &[one]).await;
        let list =
            ListConversations { view: View::All, group: None, agent: Some(ben), cursor: None, limit: 9 };
        let page: ConversationPage = seat.client.ask(list).await.expect("a page");
        assert_eq!(page.rows.iter().map(|row| row.conversation).collect::<Vec<_>>(), [one]);
    },
    opposite = [("workspace.agent.ana.sites = [\"blog\"]", async |house| {
        she_has_nothing_of_it(house).await;
    })]
);

rule!(
    bo_34_the_assignee_is_shown_in_every_snapshot,
    preset = "botnation",
    with = ANA,
    flip = "!workspace.agent.ana.avatar",
    async |house| {
        let (ana, seat) = adviser(house, "ana").await;
        let (desk, mut watch) = (house.desk().await, house.watch().await);
        let id = desk.opens(1, group("advisers")).await;
        seat.client.take(id, Speaker::Me).await.expect("taken");
        let face = |row: &ConversationRow| {
            let face = row.owner_face.clone().expect("a face");
            (row.owner, face.name.as_str().to_owned(), face.avatar.map(|avatar| avatar.as_str().to_owned()))
        };
        let expected = (Some(ana), "Ana".to_owned(), Some("face-of-ana".to_owned()));
        assert_eq!(face(&watch.detail(id).await.row), expected);
        let list = ListConversations { view: View::All, group: None, agent: None, cursor: None, limit: 9 };
        let page: ConversationPage = watch.client.ask(list).await.expect("a page");
        assert_eq!(face(&page.rows[0]), expected);
        let screen = Screen::keep(&mut watch, None, ListView::Livechat, ListFilter::All).await;
        assert_eq!(face(&screen.row(id).row), expected);
        let mut again = house.session(ana).await;
        let items = again.sees_items().await;
        let rows = items.items.iter().filter_map(|item| match item {
            AgentItem::Conversation(row) => Some(face(row)),
            _ => None,
        });
        assert_eq!(rows.collect::<Vec<_>>(), [expected]);
    }
);

/// A bot begins a conversation.
async fn begun_by(desk: &Seat, whose: u16, bot: &str) -> ConversationId {
    let id = new_id();
    let open = Open { bot: Some(Text::clip(bot)), ..opening(id, visitor(whose), group("advisers")) };
    desk.client.open(open).await.expect("opened");
    id
}

rule!(
    bo_11_what_the_bot_has_is_shown_by_a_flag,
    preset = "botnation",
    with = r#"
        [[workspace.agent]]
        name = "ana"
        display_name = "Ana"
        groups = ["advisers"]
        sees_bot = true
        [[workspace.agent]]
        name = "ben"
        display_name = "Ben"
        groups = ["advisers"]
    "#,
    flip = ["workspace.agent.ana.sees_bot = false", "workspace.agent.ben.sees_bot = true"],
    async |house| {
        let (ana, mut seat) = adviser(house, "ana").await;
        let (ben, mut ben_seat) = adviser(house, "ben").await;
        let desk = house.desk().await;
        let mut anas = Screen::keep(&mut seat, Some(ana), ListView::Chatbot, ListFilter::All).await;
        let bens = Screen::keep(&mut ben_seat, Some(ben), ListView::Chatbot, ListFilter::All).await;
        let mut bens_live = Screen::keep(&mut ben_seat, Some(ben), ListView::Livechat, ListFilter::All).await;
        let id = begun_by(&desk, 1, "welcome").await;
        let with_people = desk.opens(2, group("advisers")).await;
        tick(house, &seat).await;
        anas.shows(&mut seat, &[id]).await;
        bens_live.shows(&mut ben_seat, &[with_people]).await;
        let told = ben_seat.drain().await;
        assert!(!told.iter().any(|notice| matches!(notice, Notice::ListChanged(_))), "{told:?}");
        assert!(bens.ids().is_empty());
        assert_eq!(seat.detail(id).await.row.status, Status::Bot);
        let shown = ben_seat.client.ask::<ConversationDetail>(ShowConversation { conversation: id });
        assert_eq!(code(shown.await), "not_found");
        // To read only, until she takes it over.
        assert_eq!(code(seat.client.close_conversation(id, Speaker::Me).await), "not_found");
        seat.client.take(id, Speaker::Me).await.expect("taken over");
        tick(house, &seat).await;
        anas.shows(&mut seat, &[]).await;
        bens_live.until(&mut ben_seat, |live| live.rows.len() == 2).await;
    }
);
