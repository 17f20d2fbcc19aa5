//! What is told without being asked for again, what can be read page by page, and what a visitor never sees.

use std::collections::BTreeSet;

use maitred::{
    ids::{AgentId, ConversationId},
    protocol::{
        Notice, Reply, Text,
        notice::{AgentItem, StaffChange, VisitorChange},
        reply::{AgentPage, ConversationPage, Explanation, StaffHistory, TokenPage, VisitorHistory},
        request::{
            Explain, History, ListAgents, ListConversations, ListTokens, Note, Open, Position, Say,
            Subscribe, Typing,
        },
        words::{Destination, Feed, GroupRow, Presence, Role, Speaker, View},
    },
};

use super::{
    floor::{Floor, Seat, Shape, code, group, new_id, opening, seconds, stories, visitor},
    raw::Wire,
};

stories! {
    a_subscription_has_no_gap_and_no_repetition,
    a_visitors_numbers_are_dense,
    no_byte_of_a_note_reaches_a_visitor,
    a_history_is_read_page_by_page,
    a_groups_feed_counts_what_happens,
    an_agents_feed_and_screen,
    lists_are_read_page_by_page,
    an_explanation_says_why_not,
}

const SALES: &str = r#"
[limits.visitor]
messages_per_second = 1000
burst = 10000
openings = 10000
[limits.agent]
commands_per_second = 10000
burst = 100000
[[workspace]]
name = "test"
livechat_fallback_message = "Nobody is here."
[[workspace.group]]
name = "sales"
label = "Sales"
[[workspace.group]]
name = "support"
"#;

async fn owned(desk: &Seat, watch: &Seat, owner: AgentId, whose: u16) -> ConversationId {
    let id = desk.opens(whose, group("sales")).await;
    watch.client.assign(id, Speaker::Me, Destination::Agent(owner), false).await.expect("assigned");
    id
}

/// The numbers of a conversation's staff events that come, up to the last one.
async fn numbers(seat: &mut Seat, id: ConversationId, last: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.last() != Some(&last) {
        let number = seat.sees("the next event", |notice| match notice {
            Notice::StaffEvent(event) if event.conversation == id => Some(event.entry.seq),
            _ => None,
        });
        numbers.push(number.await);
    }
    numbers
}

/// Whoever subscribes in the middle of things gets what came before and what comes after, each once and in order.
async fn a_subscription_has_no_gap_and_no_repetition(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let (ana, mut seat) = floor.agent("ana", &["sales"], 5, shape).await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let id = owned(&desk, &watch, ana, 1).await;
    let mut watchers = Vec::new();
    let mut said = Vec::new();
    for round in 0..60u64 {
        said.push(seat.client.say(id, Speaker::Me, "one"));
        said.push(desk.client.say(id, Speaker::Visitor(visitor(1)), "two"));
        if round % 20 == 10 {
            let watcher = floor.supervisor(shape).await;
            let after = round / 2;
            // Sent, and not waited for, while more is being said.
            let subscribed = watcher.client.subscribe(Feed::Conversation { conversation: id, after });
            watchers.push((watcher, after, subscribed));
        }
    }
    for said in said {
        said.await.expect("said");
    }
    let last = watch.detail(id).await.row.seq;
    for (mut watcher, after, subscribed) in watchers {
        let subscribed = subscribed.await.expect("subscribed");
        assert!(subscribed.version <= last && subscribed.next.is_none());
        assert_eq!(numbers(&mut watcher, id, last).await, (after + 1..=last).collect::<Vec<_>>());
    }
    // The owner hears everything from becoming it, without having subscribed.
    let own = numbers(&mut seat, id, last).await;
    assert_eq!(own, (own[0]..=last).collect::<Vec<_>>());

    // Subscribing again after a break goes on where one was; unsubscribing ends it.
    let mut back = floor.supervisor(shape).await;
    back.client
        .subscribe(Feed::Conversation { conversation: id, after: last - 3 })
        .await
        .expect("subscribed");
    assert_eq!(numbers(&mut back, id, last).await.len(), 3);
    seat.client.say(id, Speaker::Me, "more").await.expect("said");
    assert_eq!(numbers(&mut back, id, last + 1).await, [last + 1]);
    back.client.unsubscribe(Feed::Conversation { conversation: id, after: 0 }).await.expect("done");
    seat.client.say(id, Speaker::Me, "and more").await.expect("said");
    assert!(back.drain().await.is_empty());
}

/// Notes, offers and moves leave no hole in what the visitor counts, whoever reads for them.
async fn a_visitors_numbers_are_dense(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let (ana, seat) = floor.agent("ana", &["sales"], 5, shape).await;
    let (mut desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let id = owned(&desk, &watch, ana, 1).await;
    for _ in 0..5 {
        seat.client.note(id, Speaker::Me, "a regular").await.expect("noted");
        let said = seat.client.say(id, Speaker::Me, "hello").await.expect("said");
        assert!(said.seq > said.visitor_seq);
        let answer = desk.client.say(id, Speaker::Visitor(visitor(1)), "hello").await.expect("said");
        assert!(answer.visitor_seq.is_some());
    }
    seat.client.close_conversation(id, Speaker::Me).await.expect("closed");
    let mut other = floor.frontend(shape).await;
    let subscribed = other.client.subscribe(Feed::Conversation { conversation: id, after: 3 }).await;
    let last = subscribed.expect("subscribed").version;
    let history = desk.visitor_history(id, Speaker::Visitor(visitor(1))).await;
    let all: Vec<u64> = history.iter().map(|entry| entry.visitor_seq).collect();
    assert_eq!(all, (1..=last).collect::<Vec<_>>());
    for (seat, from) in [(&mut desk, 1), (&mut other, 4)] {
        for number in from..=last {
            let (seen, entry) = seat
                .sees("the next event", |notice| match notice {
                    Notice::VisitorEvent(event) if event.conversation == id => {
                        Some((event.visitor, event.entry.clone()))
                    }
                    _ => None,
                })
                .await;
            assert_eq!((seen, entry.visitor_seq), (visitor(1), number));
            assert_eq!(entry, history[usize::try_from(number).expect("small") - 1], "as in the history");
        }
        let rest = seat.drain().await;
        assert!(!rest.iter().any(|notice| matches!(notice, Notice::VisitorEvent(_))), "each once: {rest:?}");
    }
    let staff = watch.staff_history(id).await;
    let shown: Vec<u64> = staff.iter().filter_map(|entry| entry.visitor_seq).collect();
    assert_eq!(shown, all, "staff see the same numbering beside their own");
}

const CANARY: &str = "c4n4ry-f0r-st4ff-0nly";

/// S8, in the bytes themselves: what staff write for staff, and how they number it, is in no frame of a visitor's connection.
async fn no_byte_of_a_note_reaches_a_visitor(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let (ana, mut seat) = floor.agent("ana", &["sales"], 5, shape).await;
    let (ben, mut other) = floor.agent("ben", &["sales", "support"], 5, shape).await;
    let watch = floor.supervisor(shape).await;
    let token = floor.token(Role::Visitor, Some(visitor(1)), None).await;
    let mut wire = Wire::welcomed(&floor, shape.encoding, &token).await;
    let id = new_id();
    let me = Speaker::Me;
    wire.ask(Open { speaker: me, preferred: Some(ana), ..opening(id, visitor(1), group("sales")) }).await;
    wire.ask(Subscribe { feed: Feed::Conversation { conversation: id, after: 0 } }).await;
    let offer = seat.sees_offer(id).await.offer;
    seat.client.note(id, me, CANARY).await.expect("noted, while it is offered");
    seat.client.accept(id, me, offer).await.expect("accepted");
    watch.client.note(id, me, CANARY).await.expect("noted");
    seat.client.invite(id, me, ben).await.expect("invited");
    let invitation = other.sees_offer(id).await.offer;
    other.client.accept(id, me, invitation).await.expect("joined");
    other.client.note(id, me, CANARY).await.expect("noted");
    seat.client.say(id, me, "shown").await.expect("said");
    let said = Say { key: 1, conversation: id, speaker: me, body: Text::clip("hello") };
    match wire.ask(said.clone()).await {
        Reply::Recorded(recorded) => assert!(recorded.seq.is_none() && recorded.visitor_seq.is_some()),
        other => panic!("{other:?}"),
    }
    match wire.ask(said).await {
        Reply::Recorded(recorded) => assert_eq!(recorded.seq, None, "not by a repetition either"),
        other => panic!("{other:?}"),
    }
    seat.client
        .transfer(id, me, Destination::Group("support".parse().expect("a name")), true)
        .await
        .expect("moved");
    wire.ask(Typing { conversation: id, speaker: me, typing: true }).await;
    wire.ask(Position { conversation: id, speaker: me }).await;
    wire.ask(Note { key: 2, conversation: id, speaker: me, body: Text::clip("mine") }).await;
    watch.client.assign(id, me, Destination::Agent(ben), false).await.expect("assigned");
    other.client.note(id, me, CANARY).await.expect("noted");
    other.client.close_conversation(id, me).await.expect("closed");
    watch.client.reopen(id, me).await.expect("reopened");
    watch.client.note(id, me, CANARY).await.expect("noted");
    for after in [0, 3] {
        wire.ask(Subscribe { feed: Feed::Conversation { conversation: id, after } }).await;
        wire.ask(History { conversation: id, speaker: me, after, limit: 200 }).await;
    }
    for request in [
        ListConversations { view: View::All, group: None, agent: None, cursor: None, limit: 100 }.into(),
        maitred::protocol::Request::from(Explain { conversation: id, agent: Some(ana) }),
    ] {
        assert!(matches!(wire.ask(request).await, Reply::Refused(_)));
    }
    // Its own words come last, so that everything before them has come.
    wire.ask(Say { key: 3, conversation: id, speaker: me, body: Text::clip("the last words") }).await;
    let history = wire.ask(History { conversation: id, speaker: me, after: 0, limit: 200 }).await;
    let Reply::VisitorHistory(history) = history else { panic!("{history:?}") };
    let shown = history
        .events
        .iter()
        .any(|entry| matches!(&entry.change, VisitorChange::Said { body, .. } if body.as_str() == "shown"));
    assert!(shown, "what is said to the visitor is there");
    assert!(
        contains(&wire.seen, b"the last words") && contains(&wire.seen, b"shown"),
        "the scan finds what is there"
    );
    assert!(!contains(&wire.seen, CANARY.as_bytes()), "a note has reached the visitor");
    assert!(!wire.told.iter().any(|notice| !matches!(notice, Notice::VisitorEvent(_) | Notice::Typing(_))));
    for agent in [ana, ben] {
        assert!(!contains(&wire.seen, agent.bytes()) && !contains(&wire.seen, agent.to_string().as_bytes()));
    }
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

async fn a_history_is_read_page_by_page(shape: Shape) {
    const MESSAGES: u16 = 205;
    let floor = Floor::open(SALES, shape).await;
    let (ana, seat) = floor.agent("ana", &["sales"], 5, shape).await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let id = owned(&desk, &watch, ana, 1).await;
    let said: Vec<_> =
        (0..MESSAGES).map(|number| seat.client.say(id, Speaker::Me, &format!("{number}"))).collect();
    for said in said {
        said.await.expect("said");
    }
    // Pages are cut by bytes too: these do not fit one frame.
    let long = "x".repeat(8_000);
    for _ in 0..12 {
        seat.client.note(id, Speaker::Me, &long).await.expect("noted");
    }
    let mut whole = watch.staff_history(id).await;
    let seqs: Vec<u64> = whole.iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, (1..=whole.len() as u64).collect::<Vec<_>>());
    assert_eq!(whole.iter().filter(|entry| matches!(entry.event, StaffChange::Noted { .. })).count(), 12);
    let speaker = Speaker::Visitor(visitor(1));
    let visible = desk.visitor_history(id, speaker).await;
    for closed in [false, true] {
        if closed {
            seat.client.close_conversation(id, Speaker::Me).await.expect("closed");
            whole = watch.staff_history(id).await;
        }
        for limit in [1, 60, 200] {
            let (mut after, mut count) = (Some(0), 0);
            // Pages of one take long; a few show it.
            while let Some(from) = after.filter(|_| limit > 1 || count < 5) {
                let history = History { conversation: id, speaker: Speaker::Me, after: from, limit };
                let page: StaffHistory = watch.client.ask(history).await.expect("a page");
                assert!(page.events.len() <= usize::from(limit));
                assert_eq!(page.events[..], whole[count..count + page.events.len()]);
                count += page.events.len();
                after = page.next;
            }
            assert!(limit == 1 || count == whole.len());
        }
        let history = History { conversation: id, speaker, after: 3, limit: 5 };
        let page: VisitorHistory = desk.client.ask(history).await.expect("a page");
        assert_eq!(page.events[..], visible[3..8]);
        assert_eq!(page.next, Some(8));
    }
    let past = History { conversation: id, speaker, after: 100_000, limit: 5 };
    let page: VisitorHistory = desk.client.ask(past).await.expect("a page");
    assert!(page.events.is_empty() && page.next.is_none());
}

/// Snapshot first, then each change one version higher; the last row says what is so.
async fn a_groups_feed_counts_what_happens(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let (mut desk, mut watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let sales = Feed::Group("sales".parse().expect("a name"));
    let snapshot = watch.client.subscribe(sales).await.expect("subscribed").version;
    let ana = floor.hire(&desk, "ana", &["sales"], 2).await;
    let mut ids = Vec::new();
    for whose in 1..=4 {
        ids.push(desk.opens(whose, group("sales")).await);
    }
    let offer = desk.sees_offer(ids[0]).await.offer;
    desk.client.accept(ids[0], Speaker::Agent(ana), offer).await.expect("accepted");
    floor.wait(seconds(120));
    let rows = |notice: &Notice| match notice {
        Notice::GroupChanged(changed) => Some(changed.row.clone()),
        _ => None,
    };
    let mut version = None;
    // Two were offered, and missed by her; two waited until the end. All three that are left have fallen back.
    let settled = |row: &GroupRow| (row.waiting, row.offered, row.active, row.missed) == (0, 0, 1, 3);
    loop {
        let row: GroupRow = watch.sees("a change of the group", rows).await;
        match version {
            None => assert_eq!(row.version, snapshot),
            Some(version) => assert_eq!(row.version, version + 1, "no gap"),
        }
        version = Some(row.version);
        if settled(&row) {
            assert_eq!((row.agents_online, row.slots_free), (1, 1));
            assert_eq!(row.oldest_waiting_since, None);
            break;
        }
    }
}

async fn an_agents_feed_and_screen(shape: Shape) {
    const OFFERS: u16 = 70;
    let floor = Floor::open(SALES, shape).await;
    let (mut desk, mut watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let ana = floor.put("ana", &["sales"], 100).await;
    let snapshot = watch.client.subscribe(Feed::Agent(ana)).await.expect("subscribed").version;
    desk.client.attach(ana).await.expect("attached");
    assert!(desk.sees_items().await.items.is_empty());
    desk.client.set_presence(ana, Presence::Online).await.expect("online");
    let mut ids = BTreeSet::new();
    for whose in 0..OFFERS {
        ids.insert(desk.opens(whose, group("sales")).await);
    }
    let first = *ids.first().expect("many");
    let offer = desk.sees_offer(first).await.offer;
    desk.client.accept(first, Speaker::Agent(ana), offer).await.expect("accepted");
    let mut version = None;
    loop {
        let row = watch.sees_agent(ana, "a change", |_| true).await;
        match version {
            None => assert_eq!(row.version, snapshot),
            Some(version) => assert_eq!(row.version, version + 1, "no gap"),
        }
        version = Some(row.version);
        if (row.taken, row.reserved) == (1, OFFERS - 1) {
            break;
        }
    }
    // Attached elsewhere: pages of all that is on her screen.
    let mut other = floor.frontend(shape).await;
    other.client.attach(ana).await.expect("attached");
    let (mut offers, mut owned) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let page = other.sees_items().await;
        assert_eq!(page.agent, ana);
        for item in page.items.iter() {
            match item {
                AgentItem::Offer(made) => assert!(offers.insert(made.conversation)),
                AgentItem::Conversation(row) => assert!(owned.insert(row.conversation)),
            }
        }
        if !page.more {
            break;
        }
    }
    assert_eq!(owned, BTreeSet::from([first]));
    offers.insert(first);
    assert_eq!(offers, ids);
    let screen = other.client.detach(ana).await;
    screen.expect("detached");
    assert!(watch.agent_detail(ana).await.row.live, "the first frontend is still there for her");
    desk.client.detach(ana).await.expect("detached");
    watch.sees_agent(ana, "her going", |row| !row.live).await;
}

async fn lists_are_read_page_by_page(shape: Shape) {
    const COUNT: u16 = 150;
    let floor = Floor::open(SALES, shape).await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let ana = floor.hire(&desk, "ana", &["sales"], 40).await;
    let ids: BTreeSet<ConversationId> = {
        let mut ids = BTreeSet::new();
        for whose in 0..COUNT {
            ids.insert(desk.opens(whose, group("sales")).await);
        }
        ids
    };
    let pages = async |view: View, agent: Option<AgentId>, limit: u16| {
        let (mut all, mut cursor, mut count) = (Vec::new(), None, 0);
        loop {
            let list = ListConversations { view, group: None, agent, cursor, limit };
            let page: ConversationPage = watch.client.ask(list).await.expect("a page");
            assert!(page.rows.len() <= usize::from(limit));
            all.extend(page.rows.iter().map(|row| row.conversation));
            count += 1;
            match page.cursor {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        let once: BTreeSet<ConversationId> = all.iter().copied().collect();
        assert_eq!(once.len(), all.len(), "no row twice");
        (once, count)
    };
    let (all, count) = pages(View::All, None, 40).await;
    assert_eq!((all, count), (ids.clone(), 4));
    let (offered, _) = pages(View::Offered, None, 7).await;
    let (waiting, _) = pages(View::Waiting, None, 100).await;
    assert_eq!((offered.len(), waiting.len()), (40, 110));
    let first = *offered.first().expect("some");
    watch.client.assign(first, Speaker::Me, Destination::Agent(ana), false).await.expect("assigned");
    assert_eq!(pages(View::All, Some(ana), 100).await.0, BTreeSet::from([first]));
    let broken = ListConversations {
        view: View::All,
        group: None,
        agent: None,
        cursor: Some(Text::clip("nonsense")),
        limit: 10,
    };
    assert_eq!(code(watch.client.ask::<Reply>(broken).await), "invalid");

    for number in 0..25 {
        floor.put(&format!("agent-{number}"), &["support"], 1).await;
        floor.token(Role::Visitor, Some(visitor(number)), None).await;
    }
    let (mut agents, mut cursor) = (Vec::new(), None);
    loop {
        let list = ListAgents { group: Some("support".parse().expect("a name")), cursor, limit: 10 };
        let page: AgentPage = watch.client.ask(list).await.expect("a page");
        agents.extend(page.rows.iter().map(|row| row.agent));
        match page.cursor {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    agents.sort_unstable();
    agents.dedup();
    assert_eq!(agents.len(), 25);
    let (mut tokens, mut cursor) = (BTreeSet::new(), None);
    loop {
        let page: TokenPage = floor.admin.ask(ListTokens { cursor, limit: 10 }).await.expect("a page");
        tokens.extend(page.rows.iter().map(|row| row.token_id.as_str().to_owned()));
        match page.cursor {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(tokens.len(), 27, "with the frontend's and the supervisor's");
}

async fn an_explanation_says_why_not(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let (mut desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let ana = floor.hire(&desk, "ana", &["sales"], 1).await;
    let ben = floor.hire(&desk, "ben", &["sales"], 5).await;
    let away = floor.hire(&desk, "cleo", &["sales"], 5).await;
    desk.client.set_presence(away, Presence::Away).await.expect("away");
    let offline = floor.put("dan", &["sales"], 5).await;
    let gone = floor.put("eva", &["sales"], 5).await;
    watch.client.set_presence(gone, Presence::Online).await.expect("online");
    let foreign = floor.hire(&desk, "fritz", &["support"], 5).await;
    let full = owned(&desk, &watch, ana, 1).await;
    let next = floor.hire(&desk, "gus", &["sales"], 5).await;
    let id = desk.opens(2, group("sales")).await;
    let offer = desk.sees_offer(id).await;
    desk.client.decline(id, Speaker::Agent(offer.agent), offer.offer).await.expect("declined");
    let (tried, asked) = if offer.agent == ben { (ben, next) } else { (next, ben) };
    assert_eq!(desk.sees_offer(id).await.agent, asked);
    let why = async |agent: AgentId| {
        let explain = Explain { conversation: id, agent: Some(agent) };
        let explanation: Explanation = watch.client.ask(explain).await.expect("an explanation");
        explanation.agent_reason.expect("a reason").as_str().to_owned()
    };
    assert_eq!(why(ana).await, "at_cap");
    assert_eq!(why(away).await, "away");
    assert_eq!(why(offline).await, "offline");
    assert_eq!(why(gone).await, "not_live");
    assert_eq!(why(foreign).await, "not_member");
    assert_eq!(why(tried).await, "tried_it");
    let explain = Explain { conversation: id, agent: None };
    let told: Explanation = watch.client.ask(explain).await.expect("an explanation");
    assert!(told.waits_because.expect("it waits").as_str().contains(&asked.to_string()));
    assert_eq!(told.agent_reason, None);
    let decisions = &told.decisions;
    assert_eq!(decisions.len(), 2);
    assert_eq!(
        (decisions[0].chosen[..].to_vec(), decisions[1].chosen[..].to_vec()),
        (vec![tried], vec![asked])
    );
    assert_eq!(decisions[0].next[..], [asked], "who would have been next, and was");
    let excluded = decisions[1].excluded.iter().find(|exclusion| exclusion.agent == tried).expect("named");
    assert_eq!(excluded.reason.as_str(), "tried_it");
    let counted = |reason: &str| {
        let count = decisions[0].others.iter().find(|count| count.reason.as_str() == reason);
        count.map_or(0, |count| count.count)
    };
    assert_eq!((counted("away"), counted("offline"), counted("not_live"), counted("at_cap")), (1, 1, 1, 1));
    let active = Explain { conversation: full, agent: None };
    let told: Explanation = watch.client.ask(active).await.expect("an explanation");
    assert_eq!(told.waits_because, None);
}
