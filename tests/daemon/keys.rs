//! S6: a command takes effect once, over reconnects, restarts and the end of its conversation.

use maitred::{
    client::{Client, Identity, RequestError},
    ids::{AgentId, ConversationId},
    protocol::{
        Reply, Request, Text,
        notice::StaffChange,
        request::*,
        words::{Destination, Presence, Push, Role, Speaker, Status},
    },
};
use uuid::Uuid;

use super::floor::{Floor, Seat, Shape, code, group, new_id, opening, profile, seconds, stories, visitor};

stories! {
    a_repeated_command_gets_the_first_answer_and_happens_once,
    a_key_is_for_one_command,
    what_falls_out_of_memory_is_expired,
    an_opening_is_its_own_key,
    an_agents_commands_happen_once,
}

const SALES: &str = r#"
[limits.visitor]
messages_per_second = 1000
burst = 10000
openings = 1000
[[workspace]]
name = "test"
[[workspace.group]]
name = "sales"
"#;

async fn ask(client: &Client, request: impl Into<Request>) -> Result<Reply, RequestError> {
    client.ask::<Reply>(request).await
}

fn say(key: u64, id: ConversationId, body: &str) -> Say {
    Say { key, conversation: id, speaker: Speaker::Me, body: Text::clip(body) }
}

/// What an agent does in one conversation, with a key for each.
fn life(id: ConversationId, ben: AgentId) -> Vec<Request> {
    let speaker = Speaker::Me;
    let to = Destination::Agent(ben);
    vec![
        say(11, id, "hello").into(),
        Note { key: 12, conversation: id, speaker, body: Text::clip("a regular") }.into(),
        Invite { key: 13, conversation: id, speaker, agent: ben }.into(),
        Transfer { key: 14, conversation: id, speaker, to, leave: false }.into(),
        Close { key: 15, conversation: id, speaker }.into(),
    ]
}

async fn a_repeated_command_gets_the_first_answer_and_happens_once(shape: Shape) {
    let mut floor = Floor::open(SALES, shape).await;
    let ana = floor.put("ana", &["sales"], 5).await;
    let ben = floor.put("ben", &[], 5).await;
    let token = floor.token(Role::Agent, None, Some(ana)).await;
    let bens = floor.token(Role::Agent, None, Some(ben)).await;
    let who = Identity::new();
    let mut seat = floor.connect_as(&token, shape.encoding, who.clone()).await;
    let other = floor.connect(&bens, shape.encoding).await;
    other.client.set_presence(ben, Presence::Online).await.expect("online");
    seat.client.set_presence(ana, Presence::Online).await.expect("online");
    let desk = floor.frontend(shape).await;
    let id = desk.opens(1, group("sales")).await;
    let offer = seat.sees_offer(id).await.offer;
    let mut life = life(id, ben);
    life.insert(0, Accept { key: 10, conversation: id, speaker: Speaker::Me, offer }.into());
    let mut answers = Vec::new();
    for request in &life {
        let first = ask(&seat.client, request.clone()).await.expect("done");
        // At once again, on the same connection and together with itself.
        let (again, thrice) = (seat.client.send(request.clone()), seat.client.send(request.clone()));
        assert_eq!(again.await.expect("the same"), first);
        assert_eq!(thrice.await.expect("the same"), first);
        answers.push(first);
    }
    let watch = floor.supervisor(shape).await;
    let history = watch.staff_history(id).await;
    let said = history.iter().filter(|entry| matches!(entry.event, StaffChange::Said { .. })).count();
    assert_eq!(said, 2, "the opening's message and hers");
    assert_eq!(watch.status(id).await, Status::Closed);

    // From another connection of the same program, after restarts, though it is closed and rests in the log.
    for _ in 0..2 {
        seat.leave().await;
        floor.restart(seconds(30)).await;
        seat = floor.connect_as(&token, shape.encoding, who.clone()).await;
        for (request, answer) in life.iter().zip(&answers) {
            assert_eq!(ask(&seat.client, request.clone()).await.expect("the same"), *answer);
        }
        let watch = floor.supervisor(shape).await;
        assert_eq!(watch.staff_history(id).await, history, "nothing happened again");
    }
    // Another program's key of the same number is another command.
    let stranger = floor.connect(&token, shape.encoding).await;
    assert_eq!(code(ask(&stranger.client, life[1].clone()).await), "conversation_closed");
}

async fn a_key_is_for_one_command(shape: Shape) {
    let mut floor = Floor::open(SALES, shape).await;
    let token = floor.token(Role::Agent, None, Some(floor.put("ana", &["sales"], 5).await)).await;
    let who = Identity::new();
    let mut seat = floor.connect_as(&token, shape.encoding, who.clone()).await;
    let ana = seat.client.welcome().agent.expect("an agent's");
    seat.client.set_presence(ana, Presence::Online).await.expect("online");
    let desk = floor.frontend(shape).await;
    let (one, two) = (desk.opens(1, group("sales")).await, desk.opens(2, group("sales")).await);
    for id in [one, two] {
        let offer = seat.sees_offer(id).await.offer;
        seat.client.accept(id, Speaker::Me, offer).await.expect("accepted");
    }
    for restarted in [false, true] {
        if restarted {
            floor.restart(seconds(1)).await;
            seat = floor.connect_as(&token, shape.encoding, who.clone()).await;
        }
        let first = ask(&seat.client, say(50, one, "hello")).await.expect("said");
        assert_eq!(code(ask(&seat.client, say(50, one, "hello!")).await), "key_reused");
        let note = Note { key: 50, conversation: one, speaker: Speaker::Me, body: Text::clip("hello") };
        assert_eq!(code(ask(&seat.client, note).await), "key_reused");
        assert_eq!(
            code(ask(&seat.client, Close { key: 50, conversation: one, speaker: Speaker::Me }).await),
            "key_reused"
        );
        assert_eq!(ask(&seat.client, say(50, one, "hello")).await.expect("the same"), first);
        // Keys are counted for each conversation.
        ask(&seat.client, say(50, two, "hello there")).await.expect("said");
    }
    // A refused command has not used its key.
    let refused = ask(&seat.client, Reopen { key: 51, conversation: one, speaker: Speaker::Me }).await;
    assert_eq!(code(refused), "wrong_state");
    ask(&seat.client, say(51, one, "still here")).await.expect("said");
}

async fn what_falls_out_of_memory_is_expired(shape: Shape) {
    let mut floor = Floor::open(SALES, shape).await;
    let token = floor.token(Role::Frontend, None, None).await;
    let who = Identity::new();
    let mut desk = floor.connect_as(&token, shape.encoding, who.clone()).await;
    let ana = floor.hire(&desk, "ana", &["sales"], 5).await;
    let id = desk.opens(1, group("sales")).await;
    let speaker = Speaker::Visitor(visitor(1));
    let message =
        |key: u64| Say { key, conversation: id, speaker, body: Text::clip(format!("message {key}")) };
    let mut answers = Vec::new();
    for key in 101..=140 {
        answers.push(ask(&desk.client, message(key)).await.expect("said"));
    }
    let count = async |seat: &Seat| {
        let history = seat.visitor_history(id, speaker).await;
        history.len()
    };
    let before = count(&desk).await;
    for restarted in [false, true] {
        if restarted {
            floor.restart(seconds(1)).await;
            desk = floor.connect_as(&token, shape.encoding, who.clone()).await;
        }
        for key in 101..=108 {
            assert_eq!(code(ask(&desk.client, message(key)).await), "key_expired", "{key}");
        }
        // One never used and below what has fallen out could be one that was used.
        assert_eq!(code(ask(&desk.client, message(7)).await), "key_expired");
        for (key, answer) in (101..).zip(&answers).skip(8) {
            assert_eq!(ask(&desk.client, message(key)).await.expect("the same"), *answer);
        }
        assert_eq!(count(&desk).await, before);
    }
    // The floor is one program's; another one counts for itself.
    let other = floor.frontend(shape).await;
    ask(&other.client, message(1)).await.expect("said");
    let _ = ana;
}

async fn an_opening_is_its_own_key(shape: Shape) {
    let mut floor = Floor::open(SALES, shape).await;
    let mut desk = floor.frontend(shape).await;
    floor.hire(&desk, "ana", &["sales"], 5).await;
    let id = new_id();
    let first = opening(id, visitor(1), group("sales"));
    let opened = desk.client.open(first.clone()).await.expect("opened");
    for restarted in [false, true] {
        if restarted {
            floor.restart(seconds(1)).await;
            desk = floor.frontend(shape).await;
        }
        let again = desk.client.open(first.clone()).await.expect("the same");
        assert_eq!((again.conversation, again.existing), (opened.conversation, false));
        let other = Open { priority: 4, ..first.clone() };
        assert_eq!(code(desk.client.open(other).await), "key_reused");
        let stolen = opening(id, visitor(2), group("sales"));
        assert_eq!(code(desk.client.open(stolen).await), "not_found");
        let second = desk.client.open(opening(new_id(), visitor(1), group("sales"))).await.expect("opened");
        assert_eq!(
            (second.conversation, second.existing),
            (id, true),
            "one open for each visitor and channel"
        );
    }
    let watch = floor.supervisor(shape).await;
    let history = watch.staff_history(id).await;
    assert_eq!(history.iter().filter(|entry| matches!(entry.event, StaffChange::Opened { .. })).count(), 1);

    // A known one is answered however old it is, closed or not; an unknown one that old is not believed.
    let speaker = Speaker::Visitor(visitor(1));
    desk.client.close_conversation(id, speaker).await.expect("closed");
    let old = new_id();
    floor.wait(seconds(25 * 3_600));
    let again = desk.client.open(first.clone()).await.expect("the same");
    assert_eq!((again.conversation, again.existing, again.status), (id, false, Status::Closed));
    assert_eq!(code(desk.client.open(opening(old, visitor(3), group("sales"))).await), "key_expired");
    let random = Uuid::from_bytes([0x4a; 16]).into();
    assert_eq!(code(desk.client.open(opening(random, visitor(3), group("sales"))).await), "invalid");
}

async fn an_agents_commands_happen_once(shape: Shape) {
    let mut floor = Floor::open(SALES, shape).await;
    let ana = floor.put("ana", &["sales"], 5).await;
    let token = floor.token(Role::Agent, None, Some(ana)).await;
    let who = Identity::new();
    let mut seat = floor.connect_as(&token, shape.encoding, who.clone()).await;
    let set = |key, presence| SetPresence { key, agent: ana, presence };
    ask(&seat.client, set(10, Presence::Online)).await.expect("set");
    ask(&seat.client, set(11, Presence::Away)).await.expect("set");
    let push = |key, push| SetPush { key, agent: ana, push };
    ask(&seat.client, push(12, Push::On { endpoint: None })).await.expect("on");
    ask(&seat.client, push(13, Push::Off)).await.expect("off");
    for restarted in [false, true] {
        if restarted {
            floor.restart(seconds(1)).await;
            seat = floor.connect_as(&token, shape.encoding, who.clone()).await;
        }
        ask(&seat.client, set(10, Presence::Online)).await.expect("the same");
        assert_eq!(
            seat.agent_detail(ana).await.row.presence,
            Presence::Away,
            "a late repetition changes nothing"
        );
        assert_eq!(code(ask(&seat.client, set(10, Presence::Offline)).await), "key_reused");
        ask(&seat.client, push(12, Push::On { endpoint: None })).await.expect("the same");
        assert_eq!(seat.agent_detail(ana).await.push, Some(false), "neither does this one");
    }
    let first = PutAgent { key: 1_000, ..profile(&floor.admin, ana, "ana", &["sales"], 7) };
    let second = PutAgent { key: 1_001, ..profile(&floor.admin, ana, "ana", &["sales"], 8) };
    ask(&floor.admin, first.clone()).await.expect("put");
    ask(&floor.admin, second).await.expect("put");
    ask(&floor.admin, first.clone()).await.expect("the same");
    assert_eq!(seat.agent_detail(ana).await.row.cap, 8, "a late repetition changes nothing");
    assert_eq!(code(ask(&floor.admin, PutAgent { cap: Some(9), ..first.clone() }).await), "key_reused");

    // Removed, repeated, and created again: the repetition of the removal removes nothing.
    let remove = RemoveAgent { key: 1_002, agent: ana };
    ask(&floor.admin, remove.clone()).await.expect("removed");
    ask(&floor.admin, remove.clone()).await.expect("the same");
    assert_eq!(code(ask(&floor.admin, RemoveAgent { key: 1_003, agent: ana }).await), "not_found");
    ask(&floor.admin, PutAgent { key: 1_004, ..first }).await.expect("put");
    ask(&floor.admin, remove).await.expect("the same");
    assert_eq!(seat.agent_detail(ana).await.row.cap, 7);
    let namesake = profile(&floor.admin, AgentId::from_bytes([3; 16]), "ana", &[], 1);
    assert_eq!(code(ask(&floor.admin, namesake).await), "invalid");
}
