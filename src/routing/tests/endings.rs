//! When it is over: closed, abandoned, idle, missed for too long; and open again.

use std::{cell::Cell, rc::Rc};

use super::floor::*;
use crate::routing::{
    By, CloseReason, FallbackReason, OfferOutcome, Presence, Refusal, RescindReason, Tell, Ticket,
    conversation::{self, Ask, Event, Phase},
};

fn floor() -> Floor {
    Floor::new().group("sales", ["ana", "ben"])
}

#[track_caller]
fn closed(floor: &Floor, visit: Visit, reason: CloseReason) {
    assert_eq!(floor.conversation(visit).closed_because(), Some(reason), "it is {:?}", floor.phase(visit));
}

#[test]
fn each_may_close_what_is_theirs() {
    for (by, reason) in [
        (By::Agent(agent("ana")), Ok(CloseReason::ByAgent)),
        (By::Supervisor, Ok(CloseReason::BySupervisor)),
        (By::Agent(agent("ben")), Err(Refusal::NotFound)),
        (By::Visitor(visitor("somebody else")), Err(Refusal::NotFound)),
        (By::Frontend, Err(Refusal::NotFound)),
    ] {
        let mut floor = floor();
        let visit = floor.serves("ana", "sales");
        match (floor.asks(by, visit, Ask::Close), reason) {
            (Ok(_), Ok(reason)) => closed(&floor, visit, reason),
            (answer, reason) => assert_eq!(answer.err(), reason.err()),
        }
    }
    let mut floor = floor();
    let visit = floor.serves("ana", "sales");
    floor.asks(By::Visitor(visit.visitor), visit, Ask::Close).expect("closed");
    closed(&floor, visit, CloseReason::ByVisitor);
}

#[test]
fn nothing_can_be_done_with_a_closed_conversation() {
    let mut floor = floor();
    let visit = floor.serves("ana", "sales");
    floor.closes("ana", visit).expect("closed");
    let ana = By::Agent(agent("ana"));
    assert_eq!(floor.visitor_says(visit, "hello?"), Err(Refusal::ConversationClosed));
    assert_eq!(floor.asks(By::Supervisor, visit, Ask::Close), Err(Refusal::ConversationClosed));
    assert_eq!(floor.takes("ana", visit), Err(Refusal::ConversationClosed));
    assert_eq!(floor.assigns(visit, to_agent("ben")), Err(Refusal::ConversationClosed));
    assert_eq!(floor.asks(ana, visit, Ask::Leave), Err(Refusal::NotFound));
    assert_eq!(floor.next_deadline(), None);
}

#[test]
fn closing_a_waiting_conversation_empties_its_place() {
    let mut floor = Floor::new().cap(1).group("sales", ["ana"]);
    floor.serves("ana", "sales");
    let waiting = floor.visitor_arrives("sales");
    assert_eq!(floor.group_view("sales").waiting(), 1);
    floor.asks(By::Visitor(waiting.visitor), waiting, Ask::Close).expect("closed");
    assert_eq!(floor.group_view("sales").waiting(), 0);
}

// === The visitor leaves ===

#[test]
fn a_visitor_who_is_gone_for_the_grace_abandons_what_waits() {
    let mut floor = floor();
    let visit = floor.visitor_arrives("sales");
    floor.wait(secs(5));
    floor.visitor_is_present(visit, false);
    floor.wait(secs(30) - MICRO);
    floor.sees_offer("ana", visit);
    floor.wait(MICRO);
    closed(&floor, visit, CloseReason::Abandoned);
    assert_eq!(floor.slots("ana"), 0);
    let rescinded = OfferOutcome::Rescinded(RescindReason::VisitorGone);
    let ended = Event::OfferEnded { agent: agent("ana"), outcome: rescinded };
    assert!(floor.events(visit).contains(&&ended));
}

#[test]
fn a_visitor_who_comes_back_abandons_nothing() {
    let mut floor = floor();
    let visit = floor.visitor_arrives("sales");
    floor.visitor_is_present(visit, false);
    floor.wait(secs(29));
    floor.visitor_is_present(visit, true);
    floor.wait(secs(10));
    floor.sees_offer("ana", visit);
}

#[test]
fn being_told_twice_that_the_visitor_is_gone_does_not_start_the_grace_anew() {
    let mut floor = floor();
    let visit = floor.visitor_arrives("sales");
    floor.visitor_is_present(visit, false);
    floor.wait(secs(20));
    floor.visitor_is_present(visit, false);
    floor.wait(secs(10));
    closed(&floor, visit, CloseReason::Abandoned);
}

#[test]
fn an_active_conversation_is_not_abandoned() {
    let mut floor = floor();
    let visit = floor.serves("ana", "sales");
    floor.visitor_is_present(visit, false);
    floor.wait(secs(3_600));
    assert_eq!(floor.owner(visit), Some("ana"));
}

// === Silence ===

#[test]
fn silence_closes_an_active_conversation_if_it_is_set() {
    let mut floor = floor().rules(|policy| policy.idle_close = Some(secs(600)));
    let visit = floor.serves("ana", "sales");
    floor.wait(secs(599));
    floor.visitor_says(visit, "one moment").expect("said");
    floor.wait(secs(600) - MICRO);
    assert_eq!(floor.phase(visit), Phase::Active);
    floor.wait(MICRO);
    closed(&floor, visit, CloseReason::Idle);
    assert_eq!(floor.slots("ana"), 0);
}

#[test]
fn a_note_does_not_break_the_silence() {
    let mut floor = floor().rules(|policy| policy.idle_close = Some(secs(600)));
    let visit = floor.serves("ana", "sales");
    floor.wait(secs(599));
    floor.asks(By::Agent(agent("ana")), visit, Ask::Note(text("seems gone"))).expect("noted");
    floor.wait(secs(1));
    closed(&floor, visit, CloseReason::Idle);
}

#[test]
fn silence_closes_nothing_unless_it_is_set() {
    let mut floor = floor();
    let visit = floor.serves("ana", "sales");
    floor.wait(secs(30 * 24 * 3_600));
    assert_eq!(floor.owner(visit), Some("ana"));
}

// === Missed ===

fn missed() -> (Floor, Visit) {
    let mut floor = floor();
    floor.goes_offline("ana");
    floor.goes_offline("ben");
    let visit = floor.visitor_arrives("sales");
    floor.fell_back(visit, FallbackReason::NobodyOnline);
    (floor, visit)
}

#[test]
fn a_new_message_routes_a_missed_conversation_again() {
    let (mut floor, visit) = missed();
    floor.intends("ana", Presence::Online);
    floor.visitor_says(visit, "still there?").expect("said");
    floor.sees_offer("ana", visit);
}

#[test]
fn a_message_of_somebody_else_does_not() {
    let (mut floor, visit) = missed();
    floor.asks(By::Supervisor, visit, Ask::Note(text("call back"))).expect("noted");
    floor.fell_back(visit, FallbackReason::NobodyOnline);
}

#[test]
fn a_missed_conversation_is_closed_after_its_ttl() {
    let (mut floor, visit) = missed();
    floor.wait(secs(24 * 3_600) - MICRO);
    assert_eq!(floor.phase(visit), Phase::Missed);
    floor.wait(MICRO);
    closed(&floor, visit, CloseReason::MissedExpired);
}

#[test]
fn it_is_routed_to_the_group_it_first_came_to() {
    let mut floor = Floor::new()
        .group_with("sales", ["ana"], |rules| rules.overflow = Some(group("support")))
        .group("support", ["ben"]);
    floor.goes_offline("ana");
    let visit = floor.visitor_arrives("sales");
    floor.declines("ben", visit).expect("declined");
    floor.intends("ana", Presence::Online);
    floor.visitor_says(visit, "still there?").expect("said");
    floor.sees_offer("ana", visit);
}

// === Open again ===

/// BO-29, known bug D18.
#[test]
fn a_reopened_conversation_goes_to_the_previous_owner_if_they_are_eligible() {
    for (presence, offered) in
        [(Presence::Online, "ben"), (Presence::Away, "ana"), (Presence::Offline, "ana")]
    {
        let mut floor = floor();
        let visit = floor.visitor_arrives("sales");
        floor.takes("ben", visit).expect("taken");
        floor.closes("ben", visit).expect("closed");
        floor.intends("ben", presence);
        floor.asks(By::Supervisor, visit, Ask::Reopen).expect("reopened");
        assert_eq!(floor.offered_to(visit), [offered], "{presence:?}");
        assert!(floor.events(visit).contains(&&Event::Reopened));
    }
}

#[test]
fn the_wrap_up_of_a_conversation_ends_when_it_is_open_again() {
    let mut floor = Floor::new().cap(2).group_with("sales", ["ana"], |rules| rules.wrap_up = secs(60));
    let visit = floor.serves("ana", "sales");
    floor.closes("ana", visit).expect("closed");
    floor.asks(By::Supervisor, visit, Ask::Reopen).expect("reopened");
    floor.sees_offer("ana", visit);
    assert_eq!(floor.slots("ana"), 1);
}

#[test]
fn a_reopening_is_refused_while_the_visitor_has_another_one_open() {
    let mut floor = floor();
    let visit = floor.serves("ana", "sales");
    floor.closes("ana", visit).expect("closed");
    let second = floor.visitor_arrives_with("sales", |opening| opening.visitor = visit.visitor);
    assert!(matches!(floor.asks(By::Supervisor, visit, Ask::Reopen), Err(Refusal::WrongState(_))));
    floor.asks(By::Supervisor, second, Ask::Close).expect("closed");
    floor.asks(By::Supervisor, visit, Ask::Reopen).expect("reopened");
}

/// Two ask to reopen it. The second permission comes after it was reopened and closed again; by then the visitor may open anew.
#[test]
fn a_permission_to_reopen_is_for_the_close_that_was_asked_about() {
    let mut floor = Floor::new().group("sales", ["ana"]);
    let visit = floor.serves("ana", "sales");
    floor.closes("ana", visit).expect("closed");
    let permission = Rc::new(Cell::new(None));
    let seen = Rc::clone(&permission);
    floor.loses(move |tell| {
        if let Tell::Conversation(_, conversation::Command::ReopenGranted { epoch, .. }) = tell {
            seen.set(Some(*epoch));
        }
        false
    });
    floor.asks(By::Supervisor, visit, Ask::Reopen).expect("reopened");
    floor.asks(By::Supervisor, visit, Ask::Close).expect("closed");
    let epoch = permission.take().expect("the workspace allowed it");
    let ticket = Ticket { by: By::Supervisor, ..Ticket::system() };
    floor.tells(Tell::Conversation(
        visit.id,
        conversation::Command::ReopenGranted { epoch, engaged: false, ticket },
    ));
    assert_eq!(floor.phase(visit), Phase::Closed);
}

#[test]
fn only_a_closed_conversation_can_be_reopened_and_only_in_scope() {
    let mut floor = floor().group("support", ["cleo"]);
    let visit = floor.serves("ana", "sales");
    assert!(matches!(floor.asks(By::Supervisor, visit, Ask::Reopen), Err(Refusal::WrongState(_))));
    floor.closes("ana", visit).expect("closed");
    assert_eq!(floor.asks(By::Agent(agent("cleo")), visit, Ask::Reopen), Err(Refusal::NotFound));
    assert_eq!(floor.asks(By::Visitor(visit.visitor), visit, Ask::Reopen), Err(Refusal::NotFound));
    floor.asks(By::Agent(agent("ben")), visit, Ask::Reopen).expect("reopened");
}
