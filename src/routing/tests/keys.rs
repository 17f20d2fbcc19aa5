//! A command takes effect once, however often it is sent (S6).

use super::floor::*;
use crate::routing::{
    By, Refusal, Reply,
    conversation::{Ask, Event},
    keys::REMEMBERED,
};

fn active() -> (Floor, Visit) {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    let visit = floor.serves("ana", "sales");
    (floor, visit)
}

fn say(words: &str) -> Ask {
    Ask::Say(text(words))
}

fn said(floor: &Floor, visit: Visit) -> usize {
    floor.events(visit).iter().filter(|event| matches!(event, Event::Said { .. })).count()
}

#[test]
fn a_retry_is_answered_with_the_stored_reply_and_records_nothing() {
    let (mut floor, visit) = active();
    let ana = By::Agent(agent("ana"));
    let first = floor.asks_with_key(ana, visit, say("hello"), 1, 7);
    floor.visitor_says(visit, "hi").expect("said");
    assert_eq!(floor.asks_with_key(ana, visit, say("hello"), 1, 7), first);
    assert!(matches!(first, Ok(Reply::Recorded { .. })));
    assert_eq!(said(&floor, visit), 2);
}

#[test]
fn the_same_key_with_another_body_is_refused() {
    let (mut floor, visit) = active();
    let ana = By::Agent(agent("ana"));
    floor.asks_with_key(ana, visit, say("hello"), 1, 7).expect("said");
    assert_eq!(floor.asks_with_key(ana, visit, say("bye"), 1, 8), Err(Refusal::KeyReused));
    assert_eq!(said(&floor, visit), 1);
}

#[test]
fn what_falls_out_raises_the_floor() {
    let (mut floor, visit) = active();
    let ana = By::Agent(agent("ana"));
    let last = REMEMBERED as u64 + 1;
    for counter in 1..=last {
        floor.asks_with_key(ana, visit, say("hello"), counter, 7).expect("said");
    }
    assert_eq!(floor.asks_with_key(ana, visit, say("hello"), 1, 7), Err(Refusal::KeyExpired));
    floor.asks_with_key(ana, visit, say("hello"), 2, 7).expect("still remembered");
    assert_eq!(said(&floor, visit), last as usize);
}

#[test]
fn keys_survive_a_restart_with_their_replies() {
    let (mut floor, visit) = active();
    let ana = By::Agent(agent("ana"));
    let first = floor.asks_with_key(ana, visit, say("hello"), 1, 7);
    let note = floor.asks_with_key(ana, visit, Ask::Note(text("angry")), 2, 7);
    floor.crash(secs(5));
    assert_eq!(floor.asks_with_key(ana, visit, say("hello"), 1, 7), first);
    assert_eq!(floor.asks_with_key(ana, visit, Ask::Note(text("angry")), 2, 7), note);
    assert_eq!(floor.asks_with_key(ana, visit, say("bye"), 1, 8), Err(Refusal::KeyReused));
}

#[test]
fn what_was_refused_may_be_tried_again_under_the_same_key() {
    let mut floor = Floor::new().cap(1).group("sales", ["ana"]);
    let busy = floor.serves("ana", "sales");
    let waiting = floor.visitor_arrives("sales");
    let ana = By::Agent(agent("ana"));
    let full = Err(Refusal::AtCapacity { taken: 1, cap: 1 });
    assert_eq!(floor.asks_with_key(ana, waiting, Ask::Take, 1, 7), full);
    floor.closes("ana", busy).expect("closed");
    floor.asks_with_key(ana, waiting, Ask::Take, 1, 7).expect("taken");
}

#[test]
fn commands_that_need_another_machine_take_effect_once_too() {
    let moves: [(Ask, &str); 5] = [
        (Ask::Transfer { to: to_agent("ben"), leave: true }, "handover"),
        (Ask::Transfer { to: to_group("sales"), leave: true }, "transfer"),
        (Ask::Assign { to: to_agent("ben"), force: false }, "assign"),
        (Ask::Assign { to: to_group("sales"), force: false }, "assign to a group"),
        (Ask::Invite { agent: agent("ben") }, "invite"),
    ];
    for (ask, name) in moves {
        let (mut floor, visit) = active();
        let again = match &ask {
            Ask::Transfer { to, leave } => Ask::Transfer { to: to.clone(), leave: *leave },
            Ask::Assign { to, force } => Ask::Assign { to: to.clone(), force: *force },
            _ => Ask::Invite { agent: agent("ben") },
        };
        let first = floor.asks_with_key(By::Supervisor, visit, ask, 1, 7);
        let before = floor.conversation(visit).numbers();
        assert!(first.is_ok(), "{name}: {first:?}");
        assert_eq!(floor.asks_with_key(By::Supervisor, visit, again, 1, 7), first, "{name}");
        assert_eq!(floor.conversation(visit).numbers(), before, "{name}");
    }
}

#[test]
fn two_of_the_same_on_the_road_take_effect_once() {
    let (mut floor, _) = active();
    let waiting = floor.visitor_arrives("sales");
    let posts = [(); 2].map(|()| floor.posts_with_key(By::Agent(agent("ana")), waiting, Ask::Take, 5, 7));
    floor.settle();
    let [first, second] = posts.map(|request| floor.answer_to(request));
    assert!(first.is_ok());
    assert_eq!(first, second);
    assert_eq!(floor.slots("ana"), 2);
}

#[test]
fn a_reopening_takes_effect_once() {
    let (mut floor, visit) = active();
    floor.closes("ana", visit).expect("closed");
    let posts = [(); 2].map(|()| floor.posts_with_key(By::Supervisor, visit, Ask::Reopen, 5, 7));
    floor.settle();
    let [first, second] = posts.map(|request| floor.answer_to(request));
    assert!(first.is_ok());
    assert_eq!(first, second);
    let reopened = floor.events(visit).iter().filter(|event| matches!(event, Event::Reopened)).count();
    assert_eq!(reopened, 1);
}

#[test]
fn presence_is_set_once_per_key() {
    let (mut floor, _) = active();
    use crate::routing::Presence::{Away, Online};
    floor.intends_with_key("ana", Away, 1, 7).expect("set");
    floor.intends_with_key("ana", Online, 2, 7).expect("set");
    floor.intends_with_key("ana", Away, 1, 7).expect("the stored reply");
    assert_eq!(floor.agent("ana").intent(), Online);
    assert_eq!(floor.intends_with_key("ana", Online, 1, 8), Err(Refusal::KeyReused));
}
