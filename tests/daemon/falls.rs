//! What happens when something falls: to whom it happens, and that it happens to nobody else. Faults are planted by `maitred::failpoints`,
//! in builds with that feature; each story names its own people and groups, since the faults of one process are shared.

use std::{
    fmt::{Debug, Display},
    time::Duration,
};

use maitred::{
    client::{Identity, RequestError},
    failpoints::{Armed, Deed, Fault, Site, arm},
    ids::{AgentId, ConversationId, VisitorId},
    protocol::{
        Text,
        notice::{StaffChange, VisitorChange},
        reply::{ConversationPage, Done, QuarantinePage, Recorded, Subject},
        request::{ListConversations, ListQuarantined, Note, ReleaseQuarantine, SetPresence},
        words::{FallbackReason, OfferOutcome, Presence, RescindReason, Role, Speaker, Status, View},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::floor::{Encoding, Floor, Seat, Shape, code, group, new_id, opening, seconds, tell, visitor};

/// Falls that are too many within 30 seconds.
const TOO_MANY: u64 = 6;

/// Each story with one arbiter and with three; the encodings make no difference to who falls.
macro_rules! falls {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            use super::{Encoding, Shape, tell};

            #[test]
            fn one_arbiter() {
                tell(super::$name(Shape { encoding: Encoding::Bincode, arbiters: 1 }, concat!(stringify!($name), "-1")));
            }

            #[test]
            fn three_arbiters() {
                tell(super::$name(Shape { encoding: Encoding::Json, arbiters: 3 }, concat!(stringify!($name), "-3")));
            }
        }
    )*};
}

falls! {
    a_poison_command_fails_once_and_never_again,
    what_was_recorded_before_a_fall_is_answered_as_done,
    a_poison_opening_uses_its_id_up,
    a_fall_of_a_timer_is_made_good,
    a_conversation_that_keeps_falling_stands_aside,
    a_waiting_conversation_that_keeps_falling_falls_back,
    an_agent_who_keeps_falling_stands_aside,
    a_group_that_keeps_falling_overflows,
    a_workspace_that_keeps_falling_opens_nothing,
    a_fall_while_it_is_rebuilt_ends_in_standing_aside,
    a_conversation_that_can_not_be_folded_at_a_start_stands_aside,
    an_actor_that_dies_is_started_again,
    an_arbiter_that_stands_still_is_noticed,
    newcomers_are_turned_away_while_work_is_late,
}

fn plant(kind: &'static str, id: impl Display, site: Site, on: &str, times: Option<u32>) -> Armed {
    arm(Fault { kind, id: id.to_string(), site, on: on.to_owned(), times, deed: Deed::Panic })
}

/// Two groups of this story's own; the first overflows into the second.
fn house(name: &str) -> String {
    format!(
        r#"
[limits.visitor]
messages_per_second = 1000
burst = 10000
openings = 10000
[watchdog]
stuck_after = "1s"
abort_after = "never"
[[workspace]]
name = "test"
livechat_fallback_message = "Nobody is here."
[[workspace.group]]
name = "{name}-a"
when_empty = "queue"
overflow = "{name}-b"
[[workspace.group]]
name = "{name}-b"
when_empty = "queue"
"#,
        name = short(name)
    )
}

/// Group names have at most 64 characters.
fn short(name: &str) -> String {
    let (words, number) = name.rsplit_once('-').expect("a number at the end");
    let letters: String = words.split('_').filter_map(|word| word.chars().next()).collect();
    format!("{letters}{}-{number}", words.len())
}

fn first(name: &str) -> String {
    format!("{}-a", short(name))
}

fn second(name: &str) -> String {
    format!("{}-b", short(name))
}

fn note(key: u64, conversation: ConversationId, body: &str) -> Note {
    Note { key, conversation, speaker: Speaker::Me, body: Text::clip(body) }
}

/// What the admin listener answers: the status and the text.
async fn admin_says(floor: &Floor, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(floor.running().admin()).await.expect("the admin listener");
    let request = format!("GET {path} HTTP/1.1\r\nHost: maitred\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, answer)
}

async fn metric(floor: &Floor, name: &str) -> u64 {
    let (_, text) = admin_says(floor, "/metrics").await;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).trim().parse().expect("a number")
}

/// Asks again and again until it is so; each question takes a round trip.
async fn comes_true<T: PartialEq + Debug>(what: &str, wanted: T, ask: impl AsyncFn() -> T) {
    let wait = async { while ask().await != wanted {} };
    if tokio::time::timeout(seconds(20), wait).await.is_err() {
        panic!("{what} never became {wanted:?}: {:?}", ask().await);
    }
}

async fn aside(seat: &Seat) -> Vec<Subject> {
    let page: QuarantinePage =
        seat.client.ask(ListQuarantined { cursor: None, limit: 100 }).await.expect("a page");
    page.rows.iter().map(|row| row.subject.clone()).collect()
}

const NOBODY: ReleaseQuarantine = ReleaseQuarantine { conversation: None, agent: None, group: None };

async fn releases(seat: &Seat, which: ReleaseQuarantine) {
    let Done {} = seat.client.ask(which).await.expect("released");
}

/// A conversation that this agent has, opened by this visitor.
async fn serves(desk: &Seat, seat: &mut Seat, whose: VisitorId, name: &str) -> ConversationId {
    let id = new_id();
    desk.client.open(opening(id, whose, group(&first(name)))).await.expect("opened");
    let offer = seat.sees_offer(id).await.offer;
    seat.client.accept(id, Speaker::Me, offer).await.expect("accepted");
    id
}

/// A visitor that no other story has.
fn own_visitor(name: &str, number: u8) -> VisitorId {
    let mut bytes = *AgentId::derive(&"visitors".parse().expect("a name"), name).bytes();
    bytes[15] = number;
    VisitorId::from_bytes(bytes)
}

/// F1, F2: the poison command is answered once, nothing else is touched, what waits behind it is done, and it is never run again, not after
/// a restart either.
async fn a_poison_command_fails_once_and_never_again(shape: Shape, name: &str) {
    let mut floor = Floor::open(&house(name), shape).await;
    let desk = floor.frontend(shape).await;
    let (agent, mut ana) = floor.agent(name, &[&first(name)], 5, shape).await;
    let id = serves(&desk, &mut ana, visitor(1), name).await;
    let other = serves(&desk, &mut ana, visitor(2), name).await;

    let who = Identity::new();
    let token = floor.token(Role::Agent, None, Some(agent)).await;
    let seat = floor.connect_as(&token, shape.encoding, who.clone()).await;
    let poison = plant("conversation", id, Site::Handler, "Note(", None);
    let key = who.next_key();
    let behind: Vec<_> = {
        let failed = seat.client.ask::<Recorded>(note(key, id, "poison"));
        let behind = (0..3).map(|_| seat.client.say(id, Speaker::Me, "behind it")).collect();
        assert_eq!(code(failed.await), "failed");
        behind
    };
    for said in behind {
        said.await.expect("what waited behind it is done");
    }
    seat.client.note(other, Speaker::Me, "untouched").await.expect("the other one has no fault");
    assert_eq!(code(seat.client.ask::<Recorded>(note(key, id, "poison")).await), "failed");
    assert_eq!(poison.hits(), 1, "it is not run again");
    assert_eq!(metric(&floor, "maitred_actor_restarts_total{kind=\"conversation\"}").await, 1);
    let changes: Vec<StaffChange> =
        seat.staff_history(id).await.into_iter().map(|entry| entry.event).collect();
    let failed = changes.iter().filter(|change| **change == StaffChange::CommandFailed).count();
    let said = changes.iter().filter(|change| matches!(change, StaffChange::Said { .. })).count();
    assert_eq!((failed, said), (1, 4), "the visitor's message and three behind the poison");

    floor.restart(seconds(5)).await;
    let seat = floor.connect_as(&token, shape.encoding, who.clone()).await;
    assert_eq!(code(seat.client.ask::<Recorded>(note(key, id, "poison")).await), "failed");
    assert_eq!(poison.hits(), 1, "not after a restart either");
    drop(poison);
    assert_eq!(code(seat.client.ask::<Recorded>(note(key, id, "poison")).await), "failed");
    assert_eq!(code(seat.client.ask::<Recorded>(note(key, id, "another body")).await), "key_reused");
    seat.client.note(id, Speaker::Me, "a new key").await.expect("noted");
}

/// Between the record and the answer: it did happen, so the answer is that it did, and it happened once.
async fn what_was_recorded_before_a_fall_is_answered_as_done(shape: Shape, name: &str) {
    let floor = Floor::open(&house(name), shape).await;
    let desk = floor.frontend(shape).await;
    let (agent, mut ana) = floor.agent(name, &[&first(name)], 5, shape).await;
    let id = serves(&desk, &mut ana, visitor(1), name).await;
    let fault = plant("conversation", id, Site::Recorded, "Noted", Some(1));
    let key = ana.client.identity().next_key();
    let noted: Recorded = ana.client.ask(note(key, id, "once")).await.expect("it happened");
    assert_eq!(fault.hits(), 1);
    let again: Recorded = ana.client.ask(note(key, id, "once")).await.expect("the same answer");
    assert_eq!(noted, again);
    let history = ana.staff_history(id).await;
    let notes = history.iter().filter(|entry| matches!(entry.event, StaffChange::Noted { .. })).count();
    assert_eq!(notes, 1);

    // The agent's own records likewise.
    let fault = plant("agent", agent, Site::Recorded, "", Some(1));
    ana.client.set_presence(agent, Presence::Away).await.expect("it happened");
    assert_eq!(fault.hits(), 1);
    assert_eq!(ana.agent_detail(agent).await.row.presence, Presence::Away);
    assert_eq!(ana.agent_detail(agent).await.row.taken, 1, "the rebuilt agent has asked");
}

async fn a_poison_opening_uses_its_id_up(shape: Shape, name: &str) {
    let mut floor = Floor::open(&house(name), shape).await;
    let desk = floor.frontend(shape).await;
    let id = new_id();
    let poison = plant("conversation", id, Site::Handler, "Open {", Some(1));
    let open = || desk.client.open(opening(id, visitor(1), group(&first(name))));
    let (failed, behind) = (open(), desk.client.say(id, Speaker::Visitor(visitor(1)), "behind it"));
    assert_eq!(code(failed.await), "failed");
    assert_eq!(code(behind.await), "not_found");
    assert_eq!(code(open().await), "failed");
    assert_eq!(poison.hits(), 1);
    floor.restart(seconds(5)).await;
    let desk = floor.frontend(shape).await;
    assert_eq!(code(desk.client.open(opening(id, visitor(1), group(&first(name)))).await), "failed");
    let again = new_id();
    let opened = desk.client.open(opening(again, visitor(1), group(&first(name)))).await.expect("opened");
    assert_eq!((opened.conversation, opened.existing), (again, false));
}

/// F1 in a timer: the deadline is acted on after the fall.
async fn a_fall_of_a_timer_is_made_good(shape: Shape, name: &str) {
    let floor = Floor::open(&house(name), shape).await;
    let desk = floor.frontend(shape).await;
    let (_, mut ana) = floor.agent(&format!("{name}-ana"), &[&first(name)], 1, shape).await;
    let id = new_id();
    desk.client.open(opening(id, visitor(1), group(&first(name)))).await.expect("opened");
    let offer = ana.sees_offer(id).await.offer;
    let fault = plant("conversation", id, Site::Handler, "Tick", Some(2));
    floor.wait(seconds(46));
    assert_eq!(ana.sees_ended(id, offer).await, OfferOutcome::TimedOut);
    assert_eq!(fault.hits(), 2);
    // In what it does by itself: the actor of a closed conversation goes to sleep.
    let fault = plant("conversation", id, Site::Future, "", Some(1));
    let watch = floor.supervisor(shape).await;
    watch.client.close_conversation(id, Speaker::Me).await.expect("closed");
    comes_true("the fall", 1, async || fault.hits()).await;
    assert_eq!(watch.status(id).await, Status::Closed);
}

/// Served: the slot is freed, the owner is told, the visitor is not, and a supervisor brings it back to where it was.
async fn a_conversation_that_keeps_falling_stands_aside(shape: Shape, name: &str) {
    let mut floor = Floor::open(&house(name), shape).await;
    let desk = floor.frontend(shape).await;
    let (agent, mut ana) = floor.agent(name, &[&first(name)], 1, shape).await;
    let whose = own_visitor(name, 1);
    let id = serves(&desk, &mut ana, whose, name).await;
    let poison = plant("conversation", id, Site::Handler, "Note(", None);
    for _ in 0..TOO_MANY {
        assert_eq!(code(ana.client.note(id, Speaker::Me, "poison").await), "failed");
    }
    ana.sees_staff(id, "that it stands aside", |change| (*change == StaffChange::Quarantined).then_some(()))
        .await;
    assert_eq!(code(ana.client.note(id, Speaker::Me, "more").await), "quarantined");
    assert_eq!(u64::from(poison.hits()), TOO_MANY);
    let watch = floor.supervisor(shape).await;
    let page: ConversationPage = watch
        .client
        .ask(ListConversations {
            view: View::Quarantined,
            group: None,
            agent: None,
            cursor: None,
            limit: 100,
        })
        .await
        .expect("a page");
    assert_eq!(page.rows.iter().map(|row| row.conversation).collect::<Vec<_>>(), [id]);
    assert_eq!(aside(&watch).await, [Subject::Conversation(id)]);
    assert_eq!(metric(&floor, "maitred_quarantined{kind=\"conversation\"}").await, 1);
    assert!(watch.detail(id).await.quarantined);
    let told = desk.visitor_history(id, Speaker::Visitor(whose)).await;
    assert!(!told.iter().any(|entry| matches!(entry.change, VisitorChange::Fallback { .. })), "{told:?}");
    // Whoever has no part in it does not learn that it is there.
    let (_, cem) = floor.agent(&format!("{name}-cem"), &[&second(name)], 1, shape).await;
    assert_eq!(code(cem.client.note(id, Speaker::Me, "whose?").await), "not_found");
    // The slot is free for the next one, and the visitor may open another conversation.
    assert_eq!(watch.agent_detail(agent).await.row.taken, 0);
    let next = serves(&desk, &mut ana, whose, name).await;
    assert_ne!(next, id);

    floor.restart(seconds(5)).await;
    let desk = floor.frontend(shape).await;
    let mut ana = floor.session(agent, shape).await;
    let watch = floor.supervisor(shape).await;
    assert_eq!(aside(&watch).await, [Subject::Conversation(id)], "it is recorded");
    assert_eq!(code(ana.client.note(id, Speaker::Me, "more").await), "quarantined");
    assert_eq!(u64::from(poison.hits()), TOO_MANY, "the next start does not loop");
    let release = ReleaseQuarantine { conversation: Some(id), ..NOBODY };
    assert_eq!(
        code(watch.client.ask::<Done>(release.clone()).await),
        "wrong_state",
        "the visitor has another"
    );
    ana.client.close_conversation(next, Speaker::Me).await.expect("closed");
    drop(poison);
    releases(&watch, release.clone()).await;
    let offer = ana.sees_offer(id).await.offer;
    ana.client.accept(id, Speaker::Me, offer).await.expect("accepted");
    ana.client.note(id, Speaker::Me, "well again").await.expect("noted");
    desk.client.say(id, Speaker::Visitor(whose), "hello again").await.expect("said");
    assert!(aside(&watch).await.is_empty());
    assert_eq!(metric(&floor, "maitred_quarantined{kind=\"conversation\"}").await, 0);
    assert_eq!(code(watch.client.ask::<Done>(release).await), "wrong_state");
}

/// Nobody was talking: the visitor gets the fallback, once.
async fn a_waiting_conversation_that_keeps_falling_falls_back(shape: Shape, name: &str) {
    let floor = Floor::open(&house(name), shape).await;
    let mut desk = floor.frontend(shape).await;
    let (_, mut ana) = floor.agent(name, &[&first(name)], 1, shape).await;
    let whose = own_visitor(name, 1);
    let id = new_id();
    desk.client.open(opening(id, whose, group(&first(name)))).await.expect("opened");
    let offer = ana.sees_offer(id).await.offer;
    let poison = plant("conversation", id, Site::Handler, "Say(", None);
    for _ in 0..TOO_MANY {
        assert_eq!(code(desk.client.say(id, Speaker::Visitor(whose), "poison").await), "failed");
    }
    desk.sees_visitor(id, "the fallback", |change| {
        matches!(change, VisitorChange::Fallback { message } if message.as_str() == "Nobody is here.")
            .then_some(())
    })
    .await;
    assert_eq!(ana.sees_ended(id, offer).await, OfferOutcome::Rescinded(RescindReason::Removed));
    assert_eq!(code(ana.client.accept(id, Speaker::Me, offer).await), "quarantined");
    let watch = floor.supervisor(shape).await;
    assert_eq!(watch.status(id).await, Status::Missed);
    let reason = |entry: &maitred::protocol::notice::StaffEntry| match entry.event {
        StaffChange::FellBack { reason, .. } => Some(reason),
        _ => None,
    };
    let reasons: Vec<_> = watch.staff_history(id).await.iter().filter_map(reason).collect();
    assert_eq!(reasons, [FallbackReason::Quarantined]);
    drop(poison);
    releases(&watch, ReleaseQuarantine { conversation: Some(id), ..NOBODY }).await;
    // Missed, as it was: a message of the visitor routes it again.
    desk.client.say(id, Speaker::Visitor(whose), "is anybody there?").await.expect("said");
    ana.sees_offer(id).await;
}

async fn an_agent_who_keeps_falling_stands_aside(shape: Shape, name: &str) {
    let mut floor = Floor::open(&house(name), shape).await;
    let desk = floor.frontend(shape).await;
    let (agent, mut ana) = floor.agent(&format!("{name}-ana"), &[&first(name)], 5, shape).await;
    let id = serves(&desk, &mut ana, visitor(1), name).await;
    let pending = new_id();
    desk.client.open(opening(pending, visitor(2), group(&first(name)))).await.expect("opened");
    let offer = ana.sees_offer(pending).await.offer;
    let (_, mut ben) = floor.agent(&format!("{name}-ben"), &[&first(name)], 5, shape).await;
    let poison = plant("agent", agent, Site::Handler, "SetPresence", None);
    let key = ana.client.identity().next_key();
    let set = SetPresence { key, agent, presence: Presence::Away };
    for _ in 0..2 {
        assert_eq!(code(ana.client.ask::<Done>(set.clone()).await), "failed");
    }
    assert_eq!(poison.hits(), 1, "the same key is not run again");
    for _ in 1..TOO_MANY {
        assert_eq!(code(ana.client.set_presence(agent, Presence::Away).await), "failed");
    }
    assert_eq!(code(ana.client.set_presence(agent, Presence::Away).await), "quarantined");
    // What was only offered goes on to others; what they have stays theirs.
    assert_eq!(ana.sees_ended(pending, offer).await, OfferOutcome::Rescinded(RescindReason::Removed));
    ben.sees_offer(pending).await;
    ana.client.say(id, Speaker::Me, "still here").await.expect("said");
    let watch = floor.supervisor(shape).await;
    assert_eq!(aside(&watch).await, [Subject::Agent(agent)]);
    assert_eq!(metric(&floor, "maitred_quarantined{kind=\"agent\"}").await, 1);
    let row = watch.agent_detail(agent).await.row;
    assert_eq!((row.quarantined, row.state.as_str(), row.taken), (true, "quarantined", 1));

    floor.restart(seconds(5)).await;
    let desk = floor.frontend(shape).await;
    let mut ana = floor.session(agent, shape).await;
    let watch = floor.supervisor(shape).await;
    assert_eq!(aside(&watch).await, [Subject::Agent(agent)]);
    assert_eq!(watch.detail(id).await.row.owner, Some(agent));
    ana.client.say(id, Speaker::Me, "and still").await.expect("said");
    assert_eq!(code(ana.client.set_presence(agent, Presence::Away).await), "quarantined");
    drop(poison);
    releases(&watch, ReleaseQuarantine { agent: Some(agent), ..NOBODY }).await;
    let row = watch.agent_detail(agent).await.row;
    assert_eq!((row.quarantined, row.presence, row.taken), (false, Presence::Online, 1));
    // Ben did not come back: the next one is for the agent who did.
    floor.wait(seconds(20));
    let next = new_id();
    desk.client.open(opening(next, visitor(3), group(&first(name)))).await.expect("opened");
    ana.sees_offer(next).await;
    assert!(aside(&watch).await.is_empty());
}

async fn a_group_that_keeps_falling_overflows(shape: Shape, name: &str) {
    let mut floor = Floor::open(&house(name), shape).await;
    let desk = floor.frontend(shape).await;
    let (ana_id, mut ana) = floor.agent(&format!("{name}-ana"), &[&first(name)], 5, shape).await;
    let (ben_id, mut ben) = floor.agent(&format!("{name}-ben"), &[&second(name)], 5, shape).await;
    // One fall is made good, and nobody is lost over it.
    let fault = plant("group", first(name), Site::Handler, "Enqueue", Some(1));
    let id = serves(&desk, &mut ana, visitor(1), name).await;
    assert_eq!(fault.hits(), 1);
    drop(fault);
    let poison = plant("group", first(name), Site::Handler, "Enqueue", None);
    let lost = new_id();
    desk.client.open(opening(lost, visitor(2), group(&first(name)))).await.expect("opened");
    ben.sees_offer(lost).await;
    let watch = floor.supervisor(shape).await;
    let closed = Subject::Group(first(name).parse().expect("a name"));
    assert_eq!(aside(&watch).await, std::slice::from_ref(&closed));
    assert_eq!(metric(&floor, "maitred_quarantined{kind=\"group\"}").await, 1);
    let to = maitred::protocol::words::Destination::Group(first(name).parse().expect("a name"));
    assert_eq!(code(ana.client.transfer(id, Speaker::Me, to, true).await), "group_unavailable");

    floor.restart(seconds(5)).await;
    let desk = floor.frontend(shape).await;
    let (mut ana, mut ben) = (floor.session(ana_id, shape).await, floor.session(ben_id, shape).await);
    let watch = floor.supervisor(shape).await;
    assert_eq!(aside(&watch).await, [closed]);
    let next = new_id();
    desk.client.open(opening(next, visitor(3), group(&first(name)))).await.expect("opened");
    ben.sees_offer(next).await;
    drop(poison);
    releases(&watch, ReleaseQuarantine { group: Some(first(name).parse().expect("a name")), ..NOBODY }).await;
    let last = new_id();
    desk.client.open(opening(last, visitor(4), group(&first(name)))).await.expect("opened");
    ana.sees_offer(last).await;
    assert!(aside(&watch).await.is_empty());
}

async fn a_workspace_that_keeps_falling_opens_nothing(shape: Shape, name: &str) {
    let mut floor = Floor::open(&house(name), shape).await;
    let desk = floor.frontend(shape).await;
    let (agent, mut ana) = floor.agent(name, &[&first(name)], 5, shape).await;
    let id = serves(&desk, &mut ana, visitor(1), name).await;
    let whose = own_visitor(name, 9);
    let poison = plant("workspace", "", Site::Handler, &format!("{whose:?}"), None);
    for _ in 0..TOO_MANY {
        assert_eq!(code(desk.client.open(opening(new_id(), whose, group(&first(name)))).await), "failed");
    }
    let open = |whose| desk.client.open(opening(new_id(), whose, group(&first(name))));
    assert_eq!(code(open(visitor(2)).await), "quarantined");
    assert_eq!(u64::from(poison.hits()), TOO_MANY);
    let put = super::floor::profile(&floor.admin, agent, "renamed", &[&first(name)], 5);
    assert_eq!(code(floor.admin.ask::<Done>(put).await), "quarantined");
    // The rest goes on, tokens included.
    ana.client.say(id, Speaker::Me, "still here").await.expect("said");
    let watch = floor.supervisor(shape).await;
    assert_eq!(aside(&watch).await, [Subject::Workspace]);
    assert_eq!(metric(&floor, "maitred_quarantined{kind=\"workspace\"}").await, 1);

    floor.restart(seconds(5)).await;
    let desk = floor.frontend(shape).await;
    let watch = floor.supervisor(shape).await;
    assert_eq!(aside(&watch).await, [Subject::Workspace]);
    let open = |whose| desk.client.open(opening(new_id(), whose, group(&first(name))));
    assert_eq!(code(open(visitor(3)).await), "quarantined");
    drop(poison);
    releases(&watch, NOBODY).await;
    open(visitor(3)).await.expect("opened");
    assert!(aside(&watch).await.is_empty());
}

/// F3: each fall on the way back counts, so it ends, and nothing spins.
async fn a_fall_while_it_is_rebuilt_ends_in_standing_aside(shape: Shape, name: &str) {
    let mut floor = Floor::open(&house(name), shape).await;
    let desk = floor.frontend(shape).await;
    let (agent, mut ana) = floor.agent(name, &[&first(name)], 5, shape).await;
    let id = serves(&desk, &mut ana, visitor(1), name).await;
    let other = serves(&desk, &mut ana, visitor(2), name).await;
    let rebuild = plant("conversation", id, Site::Rebuild, "", None);
    let poison = plant("conversation", id, Site::Handler, "Note(", Some(1));
    assert_eq!(code(ana.client.note(id, Speaker::Me, "poison").await), "failed");
    assert_eq!((poison.hits(), u64::from(rebuild.hits())), (1, TOO_MANY - 1));
    assert_eq!(code(ana.client.note(id, Speaker::Me, "more").await), "quarantined");
    ana.client.note(other, Speaker::Me, "untouched").await.expect("noted");
    let watch = floor.supervisor(shape).await;
    let release = ReleaseQuarantine { conversation: Some(id), ..NOBODY };
    assert_eq!(code(watch.client.ask::<Done>(release.clone()).await), "failed", "it still can't be rebuilt");
    assert_eq!(aside(&watch).await, [Subject::Conversation(id)]);

    let agent_rebuild = plant("agent", agent, Site::Rebuild, "", None);
    let agent_poison = plant("agent", agent, Site::Handler, "SetPresence", Some(1));
    assert_eq!(code(ana.client.set_presence(agent, Presence::Away).await), "failed");
    assert_eq!((agent_poison.hits(), u64::from(agent_rebuild.hits())), (1, TOO_MANY - 1));
    assert_eq!(aside(&watch).await, [Subject::Agent(agent), Subject::Conversation(id)]);
    floor.restart(seconds(5)).await;
    drop((rebuild, agent_rebuild));
    let watch = floor.supervisor(shape).await;
    let mut ana = floor.session(agent, shape).await;
    releases(&watch, ReleaseQuarantine { agent: Some(agent), ..NOBODY }).await;
    releases(&watch, release).await;
    let offer = ana.sees_offer(id).await.offer;
    ana.client.accept(id, Speaker::Me, offer).await.expect("accepted");
    ana.client.note(other, Speaker::Me, "all well").await.expect("noted");
}

/// Its records fell the fold at every start: it stands aside, and all the others are there.
async fn a_conversation_that_can_not_be_folded_at_a_start_stands_aside(shape: Shape, name: &str) {
    let floor = Floor::open(&house(name), shape).await;
    let desk = floor.frontend(shape).await;
    let (agent, mut ana) = floor.agent(name, &[&first(name)], 5, shape).await;
    let id = serves(&desk, &mut ana, visitor(1), name).await;
    let other = serves(&desk, &mut ana, visitor(2), name).await;
    let fold = plant("conversation", id, Site::Fold, "", None);
    // The archive may have just taken it over: then it is not folded, and one more record is wanted.
    let mut image = None;
    for _ in 0..20 {
        ana.client.note(id, Speaker::Me, "the last").await.expect("noted");
        image = Some(floor.crash_image(&house(name), seconds(5)).await);
        if fold.hits() > 0 {
            break;
        }
    }
    let floor = image.expect("at least one");
    assert!(fold.hits() > 0);
    drop(fold);
    let watch = floor.supervisor(shape).await;
    assert_eq!(aside(&watch).await, [Subject::Conversation(id)]);
    let mut ana = floor.session(agent, shape).await;
    ana.client.note(other, Speaker::Me, "untouched").await.expect("noted");
    ana.client.note(id, Speaker::Me, "to nobody").await.expect_err("it is not known yet whose it is");
    releases(&watch, ReleaseQuarantine { conversation: Some(id), ..NOBODY }).await;
    let offer = ana.sees_offer(id).await.offer;
    ana.client.accept(id, Speaker::Me, offer).await.expect("accepted");
    ana.client.note(id, Speaker::Me, "all well").await.expect("noted");
    assert!(aside(&watch).await.is_empty());
}

/// What no guard held: the actor is gone, and another one takes its place.
async fn an_actor_that_dies_is_started_again(shape: Shape, name: &str) {
    let floor = Floor::open(&house(name), shape).await;
    let desk = floor.frontend(shape).await;
    let (agent, mut ana) = floor.agent(name, &[&first(name)], 5, shape).await;
    let id = serves(&desk, &mut ana, visitor(1), name).await;
    let restarts =
        async |kind: &str| metric(&floor, &format!("maitred_actor_restarts_total{{kind=\"{kind}\"}}")).await;

    let fault = plant("conversation", id, Site::Escape, "Note(", Some(1));
    let _lost = ana.client.note(id, Speaker::Me, "deadly");
    comes_true("the second life", 1, async || restarts("conversation").await).await;
    assert_eq!(fault.hits(), 1);
    ana.client.note(id, Speaker::Me, "alive").await.expect("noted");
    assert_eq!(ana.detail(id).await.row.owner, Some(agent));

    let fault = plant("agent", agent, Site::Escape, "SetPresence", Some(1));
    let _lost = ana.client.set_presence(agent, Presence::Away);
    comes_true("the second life", 1, async || restarts("agent").await).await;
    assert_eq!(fault.hits(), 1);
    ana.client.set_presence(agent, Presence::Online).await.expect("set");

    let fault = plant("group", first(name), Site::Escape, "RequestEntry", Some(1));
    let to = || maitred::protocol::words::Destination::Group(first(name).parse().expect("a name"));
    let _lost = ana.client.transfer(id, Speaker::Me, to(), false);
    comes_true("the second life", 1, async || restarts("group").await).await;
    assert_eq!(fault.hits(), 1);
    serves(&desk, &mut ana, visitor(2), name).await;

    // One that keeps dying stands aside like any other.
    let fault = plant("conversation", id, Site::Escape, "Note(", None);
    for life in 1..TOO_MANY {
        let _lost = ana.client.note(id, Speaker::Me, "deadly");
        comes_true("the next life", 1 + life, async || restarts("conversation").await).await;
    }
    let watch = floor.supervisor(shape).await;
    assert_eq!(aside(&watch).await, [Subject::Conversation(id)]);
    drop(fault);
    assert_eq!(code(ana.client.note(id, Speaker::Me, "more").await), "quarantined");
}

async fn an_arbiter_that_stands_still_is_noticed(shape: Shape, name: &str) {
    let floor = Floor::open(&house(name), shape).await;
    let desk = floor.frontend(shape).await;
    let (_, mut ana) = floor.agent(name, &[&first(name)], 5, shape).await;
    let id = serves(&desk, &mut ana, visitor(1), name).await;
    assert_eq!(metric(&floor, "maitred_arbiters_stuck").await, 0);
    let block = arm(Fault {
        kind: "conversation",
        id: id.to_string(),
        site: Site::Handler,
        on: "Note(".to_owned(),
        times: Some(1),
        deed: Deed::Block,
    });
    let late = ana.client.note(id, Speaker::Me, "slow");
    comes_true("readiness", 503, async || admin_says(&floor, "/readyz").await.0).await;
    let (status, text) = admin_says(&floor, "/livez").await;
    assert_eq!(status, 503);
    assert!(text.contains("stuck: 1 of "), "{text}");
    assert_eq!(metric(&floor, "maitred_arbiters_stuck").await, 1);
    drop(block);
    late.await.expect("it goes on as if nothing had happened");
    comes_true("readiness", 200, async || admin_says(&floor, "/readyz").await.0).await;
    comes_true("the count", 0, async || metric(&floor, "maitred_arbiters_stuck").await).await;
}

/// L4: whoever is there is served however late it is, and of those who come a few; the others are told when to come again.
async fn newcomers_are_turned_away_while_work_is_late(shape: Shape, name: &str) {
    const NEWCOMERS: u16 = 200;
    let text =
        house(name).replacen("[limits.visitor]", "[limits]\nlate_after = \"50ms\"\n[limits.visitor]", 1);
    let floor = Floor::open_by_real_time(&text, shape).await;
    let desk = floor.frontend(shape).await;
    let (_, mut ana) = floor.agent(name, &[&first(name)], 5, shape).await;
    let id = serves(&desk, &mut ana, visitor(1), name).await;
    assert_eq!(metric(&floor, "maitred_arbiters_late").await, 0);
    let slow = arm(Fault {
        kind: "conversation",
        id: id.to_string(),
        site: Site::Handler,
        on: "Note(".to_owned(),
        times: None,
        deed: Deed::Dawdle(Duration::from_millis(120)),
    });
    while metric(&floor, "maitred_arbiters_late").await == 0 {
        ana.client.note(id, Speaker::Me, "slow").await.expect("noted, if late");
    }
    let come = |id, whose: u16| desk.client.open(opening(id, visitor(whose), group(&first(name))));
    let ids: Vec<_> = (100..100 + NEWCOMERS).map(|whose| (new_id(), whose)).collect();
    let asked: Vec<_> = ids.iter().map(|(id, whose)| come(*id, *whose)).collect();
    let (mut away, mut within) = (0, Vec::new());
    for (answer, who) in asked.into_iter().zip(&ids) {
        match answer.await {
            Ok(_) => within.push(*who),
            Err(RequestError::Refused(refused)) => {
                assert_eq!(refused.code.as_str(), "overloaded");
                assert!(refused.retry_after_ms.is_some_and(|wait| wait >= 1_000), "{refused:?}");
                away += 1;
            }
            Err(lost) => panic!("{lost}"),
        }
    }
    assert!((1..NEWCOMERS).contains(&away), "{away} of {NEWCOMERS}: some, and not all");
    // A frontend whose connection was lost asks again what it was not answered.
    let again: Vec<_> = within.iter().map(|(id, whose)| come(*id, *whose)).collect();
    for (answer, (id, _)) in again.into_iter().zip(&within) {
        assert_eq!(answer.await.expect("no newcomer").conversation, *id);
    }
    drop(slow);
    comes_true("everything in time", 0, async || metric(&floor, "maitred_arbiters_late").await).await;
    come(new_id(), 500).await.expect("in time again");
}
