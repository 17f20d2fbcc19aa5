//! Visitors on the site before they ask for anybody: who says that they are there, who sees them, what triggers make of it, and agents
//! who begin.

use std::time::Duration;

use maitred::{
    ids::{AgentId, VisitorId},
    protocol::{
        List, Notice, Reply, Text, Variables,
        notice::{StaffChange, VisitorChange},
        reply::{Done, Opened, VisitorPage},
        request::{AnnounceVisit, ListVisitors, Open, Start},
        words::{Actor, Doing, Feed, Speaker, Status, Target, Variable, VisitorRow},
    },
};

use super::floor::{Floor, Seat, Shape, code, group, new_id, opening, seconds, stories, visitor};

stories! {
    visitors_leave_with_the_last_connection_that_holds_them,
    the_lobby_is_bounded_and_volatile,
    who_watches_hears_what_they_may_see,
    a_visitor_of_their_own_is_led_where_they_could_not_ask_to_go,
    what_is_known_goes_along_and_the_opening_goes_first,
    what_an_agent_begins_is_a_conversation_like_any_other,
    an_agent_who_cannot_begin_keeps_nobody_from_opening,
}

const HEAD: &str = r#"
[limits.visitor]
messages_per_second = 1000
burst = 10000
openings = 10000
[[workspace]]
name = "test"
"#;

const GROUPS: &str = r#"
[[workspace.group]]
name = "sales"
label = "Buying"
[[workspace.group]]
name = "vip"
public = false
[[workspace.trigger]]
name = "regulars"
active = true
on = "page"
when = { name = "page.url", contains = "/club" }
group = "vip"
tags = ["club"]
set = ["tier=gold"]
"#;

fn with(keys: &str) -> String {
    format!("{HEAD}{keys}{GROUPS}")
}

fn visit(who: VisitorId, facts: &[(&str, &str)]) -> AnnounceVisit {
    let variable =
        |(name, value): &(&str, &str)| Variable { name: Text::clip(name), value: Text::clip(value) };
    let variables = Variables::new(List::clip(facts.iter().map(variable))).expect("few");
    AnnounceVisit { visitor: who, variables, widget_open: false }
}

async fn visits(seat: &Seat, number: u16, facts: &[(&str, &str)]) {
    let _: Done = seat.client.ask(visit(visitor(number), facts)).await.expect("announced");
}

async fn listed(seat: &Seat) -> Vec<VisitorRow> {
    let mut rows = Vec::new();
    let mut cursor = None;
    loop {
        let list = ListVisitors { site: None, page: None, doing: None, cursor, limit: 2 };
        let page: VisitorPage = seat.client.ask(list).await.expect("a page");
        rows.extend(page.rows.into_vec());
        cursor = page.cursor;
        if cursor.is_none() {
            return rows;
        }
    }
}

async fn present(seat: &Seat) -> Vec<VisitorId> {
    listed(seat).await.into_iter().map(|row| row.visitor).collect()
}

/// The daemon hears of the end of a connection a moment later.
async fn comes_to(seat: &Seat, wanted: &[VisitorId]) {
    for _ in 0..10_000 {
        if present(seat).await == wanted {
            return;
        }
    }
    panic!("still there: {:?}", present(seat).await);
}

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

async fn visitors_leave_with_the_last_connection_that_holds_them(shape: Shape) {
    let floor = Floor::open(&with(""), shape).await;
    let watch = floor.supervisor(shape).await;
    let (desk, other) = (floor.frontend(shape).await, floor.frontend(shape).await);
    let own = floor.visitor(visitor(3), shape).await;
    for number in 1..=3 {
        visits(&desk, number, &[("page.url", "/")]).await;
    }
    visits(&other, 2, &[]).await;
    visits(&own, 3, &[]).await;
    assert_eq!(present(&watch).await, [1, 2, 3].map(visitor));
    desk.client.announce(visitor(1), false).await.expect("gone");
    assert_eq!(present(&watch).await, [2, 3].map(visitor));
    desk.leave().await;
    other.client.announce(visitor(2), false).await.expect("gone");
    comes_to(&watch, &[visitor(3)]).await;
    own.leave().await;
    comes_to(&watch, &[]).await;
}

async fn the_lobby_is_bounded_and_volatile(shape: Shape) {
    let mut floor = Floor::open(&with("lobby_max = 2\n"), shape).await;
    let desk = floor.frontend(shape).await;
    visits(&desk, 1, &[]).await;
    visits(&desk, 2, &[]).await;
    assert_eq!(code(desk.client.ask::<Reply>(visit(visitor(3), &[])).await), "lobby_full");
    visits(&desk, 2, &[("site", "shop")]).await;
    desk.client.announce(visitor(1), false).await.expect("gone");
    visits(&desk, 3, &[]).await;
    let own = floor.visitor(visitor(2), shape).await;
    assert_eq!(code(own.client.ask::<Reply>(visit(visitor(2), &[("country", "FR")])).await), "forbidden");
    assert_eq!(code(own.client.ask::<Reply>(visit(visitor(3), &[])).await), "forbidden");
    drop((desk, own));
    floor.restart(seconds(1)).await;
    let watch = floor.supervisor(shape).await;
    assert_eq!(present(&watch).await, []);
}

async fn who_watches_hears_what_they_may_see(shape: Shape) {
    let floor = Floor::open(&with(""), shape).await;
    let (desk, mut other) = (floor.frontend(shape).await, floor.frontend(shape).await);
    let (_, mut sales) = floor.agent("ana", &["sales"], 9, shape).await;
    let (_, mut vip) = floor.agent("ben", &["vip"], 9, shape).await;
    for seat in [&sales, &vip, &other] {
        seat.client.subscribe(Feed::Visitors).await.expect("subscribed");
    }
    visits(&desk, 1, &[("page.url", "/")]).await;
    visits(&desk, 2, &[("page.url", "/club/")]).await;
    floor.wait(Duration::from_millis(500));
    let changed = |notice: &Notice| match notice {
        Notice::VisitorsChanged(changed) => {
            let rows: Vec<_> = changed.rows.iter().map(|row| row.visitor).collect();
            Some((changed.after, changed.version, rows))
        }
        _ => None,
    };
    let (after, version, rows) = vip.sees("both", changed).await;
    assert_eq!(rows, [1, 2].map(visitor));
    assert!(version > after);
    let (_, same, rows) = sales.sees("one", changed).await;
    assert_eq!((same, rows), (version, vec![visitor(1)]), "who is led to another group is not for them");
    let (_, _, rows) = other.sees("none", changed).await;
    assert_eq!(rows, [], "another frontend's visitors are not its own");
    assert_eq!(present(&sales).await, [visitor(1)]);
    assert_eq!(present(&vip).await, [1, 2].map(visitor));

    // At most twice a second, and without a gap.
    for turn in 0..5 {
        visits(&desk, 1, &[("page.url", &format!("/{turn}"))]).await;
    }
    floor.wait(Duration::from_millis(500));
    let (next, _, rows) = vip.sees("the last page", changed).await;
    assert_eq!((next, rows), (version, vec![visitor(1)]));
    vip.client.unsubscribe(Feed::Visitors).await.expect("unsubscribed");
    visits(&desk, 1, &[("page.url", "/end")]).await;
    floor.wait(Duration::from_millis(500));
    sales.sees("the end", changed).await;
    let more = vip.drain().await;
    assert!(!more.iter().any(|notice| changed(notice).is_some()), "{more:?}");
}

/// BR-11 on a connection of the visitor's own: the trigger may lead to a group that they do not see.
async fn a_visitor_of_their_own_is_led_where_they_could_not_ask_to_go(shape: Shape) {
    let floor = Floor::open(&with(""), shape).await;
    let (own, watch) = (floor.visitor(visitor(1), shape).await, floor.supervisor(shape).await);
    let open = |target| Open { speaker: Speaker::Me, ..opening(new_id(), visitor(1), target) };
    assert_eq!(code(own.client.open(open(group("vip"))).await), "not_found");
    visits(&own, 1, &[("page.url", "https://shop.example/club")]).await;
    let opened = own.client.open(open(Target::Default)).await.expect("opened");
    let history = watch.staff_history(opened.conversation).await;
    let queued = history.iter().find_map(|entry| match &entry.event {
        StaffChange::Queued { group, .. } => Some(group.to_string()),
        _ => None,
    });
    assert_eq!(queued.as_deref(), Some("vip"));
    let tags = history.iter().find_map(|entry| match &entry.event {
        StaffChange::TagsSet { tags } => Some(tags.iter().map(|tag| tag.to_string()).collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(tags, Some(vec!["club".to_owned()]));
}

async fn what_is_known_goes_along_and_the_opening_goes_first(shape: Shape) {
    let floor = Floor::open(&with(""), shape).await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let (_, mut agent) = floor.agent("ana", &["sales", "vip"], 9, shape).await;
    visits(&desk, 1, &[("site", "shop"), ("locale", "fr-BE"), ("page.url", "/club")]).await;
    let locale = Variable { name: Text::clip("locale"), value: Text::clip("nl-BE") };
    let variables = Variables::new(List::clip([locale])).expect("few");
    let open = Open { variables, ..opening(new_id(), visitor(1), group("sales")) };
    let id = open.conversation;
    desk.client.open(open).await.expect("opened");
    let known = |name: &str, variables: &Variables| {
        let named = variables.iter().find(|variable| variable.name.as_str() == name);
        named.map(|variable| variable.value.as_str().to_owned())
    };
    let offer = agent.sees_offer(id).await;
    let detail = watch.detail(id).await;
    for variables in [&offer.variables, &detail.variables] {
        let facts = ["site", "locale", "tier", "pages"].map(|name| known(name, variables));
        assert_eq!(facts, ["shop", "nl-BE", "gold", "1"].map(|value| Some(value.to_owned())));
    }
    assert_eq!(detail.row.group.expect("a group").as_str(), "sales", "what the frontend names goes first");
    assert_eq!(listed(&watch).await[0].doing, Doing::Waiting);
    agent.client.accept(id, Speaker::Me, offer.offer).await.expect("accepted");
    assert_eq!(listed(&watch).await[0].doing, Doing::Chatting);
    agent.client.close_conversation(id, Speaker::Me).await.expect("closed");
    assert_eq!(listed(&watch).await[0].doing, Doing::Browsing);
}

async fn what_an_agent_begins_is_a_conversation_like_any_other(shape: Shape) {
    let floor = Floor::open(&with(""), shape).await;
    let (mut desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let (ana, agent) = floor.agent("ana", &["sales"], 9, shape).await;
    visits(&desk, 1, &[("site", "shop")]).await;
    let request = start(1, "Can I help?");
    let id = request.conversation;
    let opened: Opened = agent.client.ask(request.clone()).await.expect("begun");
    assert_eq!((opened.conversation, opened.existing, opened.status), (id, false, Status::Active));
    let name = desk.sees_visitor(id, "who it is", |change| match change {
        VisitorChange::AgentJoined { name, .. } => Some(name.as_str().to_owned()),
        _ => None,
    });
    assert_eq!(name.await, "ana");
    assert_eq!(listed(&watch).await[0].doing, Doing::Chatting);
    // The visitor's next opening is this one; its answer reaches the agent.
    let led = desk.client.open(opening(new_id(), visitor(1), Target::Default)).await.expect("opened");
    assert_eq!((led.conversation, led.existing), (id, true));
    desk.client.say(id, Speaker::Visitor(visitor(1)), "Yes, please").await.expect("said");

    // A crash takes nothing of it away, and the same request is answered the same.
    let floor = floor.crash_image(&with(""), seconds(1)).await;
    let watch = floor.supervisor(shape).await;
    let agent = floor.session(ana, shape).await;
    let detail = watch.detail(id).await;
    assert_eq!((detail.row.owner, detail.row.status), (Some(ana), Status::Active));
    assert_eq!(watch.agent_detail(ana).await.row.taken, 1);
    agent.client.close_conversation(id, Speaker::Me).await.expect("closed");
    assert_eq!(watch.agent_detail(ana).await.row.taken, 0);
}

async fn an_agent_who_cannot_begin_keeps_nobody_from_opening(shape: Shape) {
    let floor = Floor::open(&with("lifetime_engagements = 2\n"), shape).await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let (ana, agent) = floor.agent("ana", &["sales"], 1, shape).await;
    let (_, other) = floor.agent("ben", &["sales"], 1, shape).await;
    for number in 1..=3 {
        visits(&desk, number, &[]).await;
    }
    // A supervisor says who will own it; nobody begins in a colleague's name.
    let for_ana = |owner: Option<AgentId>| Start { owner, ..start(1, "Hello") };
    assert_eq!(code(other.client.ask::<Reply>(for_ana(Some(ana))).await), "forbidden");
    assert_eq!(code(watch.client.ask::<Reply>(for_ana(None)).await), "invalid");
    let begun: Opened = watch.client.ask(for_ana(Some(ana))).await.expect("begun");
    // Begun by the supervisor, and written by ana.
    for entry in watch.staff_history(begun.conversation).await {
        let by = if matches!(entry.event, StaffChange::Said { .. }) {
            Actor::Agent(ana)
        } else {
            Actor::Supervisor
        };
        assert_eq!(entry.by, by, "{:?}", entry.event);
    }
    for _ in 0..3 {
        assert_eq!(code(agent.client.ask::<Reply>(start(2, "And you?")).await), "at_capacity");
    }
    // None of these used an engagement up, nor the visitor's place.
    let free = desk.client.open(opening(new_id(), visitor(2), group("sales"))).await.expect("opened");
    assert!(!free.existing);
    assert_ne!(free.status, Status::Missed);
    assert_eq!(code(other.client.ask::<Reply>(start(3, "Hello")).await), "quota_exhausted");
    assert_eq!(code(other.client.ask::<Reply>(start(9, "Nobody there")).await), "not_found");
}
