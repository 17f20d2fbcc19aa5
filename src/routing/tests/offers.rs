//! Offers: in time or not, once or twice, and what happens next.

use super::floor::*;
use crate::routing::{
    By, FallbackReason, OfferOutcome, Refusal, RescindReason, Strategy,
    conversation::{Ask, Event, Phase},
};

/// The accept timeout unless a group sets another (AD-18).
const TIMEOUT: std::time::Duration = secs(45);

fn floor() -> Floor {
    Floor::new().group("sales", ["ana", "ben"])
}

#[test]
fn an_offer_reserves_a_slot_and_connects_nobody_before_it_is_accepted() {
    let mut floor = floor();
    let visit = floor.visitor_arrives("sales");
    assert_eq!((floor.phase(visit), floor.owner(visit)), (Phase::Offered, None));
    assert_eq!((floor.slots("ana"), floor.slots("ben")), (1, 0));
    floor.accepts("ana", visit).expect("accepted");
    assert_eq!((floor.phase(visit), floor.owner(visit)), (Phase::Active, Some("ana")));
    assert_eq!((floor.slots("ana"), floor.slots("ben")), (1, 0));
}

/// AD-18.
#[test]
fn one_microsecond_before_the_deadline_is_in_time() {
    let mut floor = floor();
    let visit = floor.visitor_arrives("sales");
    floor.wait(TIMEOUT - MICRO);
    floor.accepts("ana", visit).expect("accepted");
    assert_eq!(floor.owner(visit), Some("ana"));
}

/// AD-18: decided by comparing, whether or not the deadline was acted on already.
#[test]
fn at_the_deadline_it_is_too_late() {
    let mut floor = floor();
    let visit = floor.visitor_arrives("sales");
    let offer = floor.pending("ana", visit).expect("an offer").offer;
    floor.wait(TIMEOUT - MICRO);
    floor.now = floor.now + MICRO;
    floor.sees_offer("ana", visit);
    assert_eq!(floor.accepts("ana", visit), Err(Refusal::OfferTimedOut));
    assert_eq!(floor.declines("ana", visit), Err(Refusal::OfferTimedOut));
    floor.wait(secs(0));
    let late = floor.asks(By::Agent(agent("ana")), visit, Ask::Accept { offer });
    assert_eq!(late, Err(Refusal::OfferTimedOut));
    floor.sees_offer("ben", visit);
}

#[test]
fn an_expired_offer_goes_to_the_next_agent_at_once() {
    let mut floor = floor();
    let visit = floor.visitor_arrives("sales");
    floor.sees_offer("ana", visit);
    floor.wait(TIMEOUT);
    floor.sees_offer("ben", visit);
    floor.sees_nothing("ana", visit);
    assert_eq!((floor.slots("ana"), floor.slots("ben")), (0, 1));
}

#[test]
fn a_declined_offer_goes_to_the_next_agent_at_once() {
    let mut floor = floor();
    let visit = floor.visitor_arrives("sales");
    floor.declines("ana", visit).expect("declined");
    floor.sees_offer("ben", visit);
    assert_eq!((floor.slots("ana"), floor.slots("ben")), (0, 1));
}

/// AD-22.
#[test]
fn nobody_is_offered_the_same_stay_twice() {
    let mut floor = floor();
    let visit = floor.visitor_arrives("sales");
    floor.declines("ana", visit).expect("declined");
    floor.declines("ben", visit).expect("declined");
    floor.fell_back(visit, FallbackReason::OffersExhausted);
}

#[test]
fn an_offer_can_be_accepted_once() {
    let mut floor = floor();
    let visit = floor.visitor_arrives("sales");
    let offer = floor.pending("ana", visit).expect("an offer").offer;
    let ana = By::Agent(agent("ana"));
    let sessions = [(); 2].map(|()| floor.posts(ana, visit, Ask::Accept { offer }));
    floor.settle();
    let answers = sessions.map(|session| floor.answer_to(session));
    assert!(answers[0].is_ok());
    assert_eq!(answers[1], Err(Refusal::OfferEnded), "the other session was too late");
    assert_eq!(floor.slots("ana"), 1);
}

#[test]
fn an_offer_to_somebody_else_looks_as_if_it_were_not_there() {
    let mut floor = floor().group("support", ["cleo"]);
    let visit = floor.visitor_arrives("sales");
    let offer = floor.pending("ana", visit).expect("an offer").offer;
    let answer = floor.asks(By::Agent(agent("cleo")), visit, Ask::Accept { offer });
    assert_eq!(answer, Err(Refusal::NotFound));
    let answer = floor.asks(By::Visitor(visit.visitor), visit, Ask::Accept { offer });
    assert_eq!(answer, Err(Refusal::NotFound));
}

#[test]
fn an_offer_number_that_never_was_is_not_found_outside_the_scope() {
    let mut floor = floor().group("support", ["cleo"]);
    let visit = floor.visitor_arrives("sales");
    let answer = floor.asks(By::Agent(agent("cleo")), visit, Ask::Decline { offer: 4_000 });
    assert_eq!(answer, Err(Refusal::NotFound));
}

/// Known bug D4: two agents answer, and both chat with the visitor.
#[test]
fn an_offer_that_a_colleague_took_from_the_queue_is_already_taken() {
    let mut floor = floor();
    let visit = floor.visitor_arrives("sales");
    let offer = floor.pending("ana", visit).expect("an offer").offer;
    floor.takes("ben", visit).expect("taken");
    let answer = floor.asks(By::Agent(agent("ana")), visit, Ask::Accept { offer });
    assert_eq!(answer, Err(Refusal::AlreadyTaken(agent("ben"))));
    assert_eq!((floor.slots("ana"), floor.slots("ben")), (0, 1));
}

#[test]
fn an_offer_that_was_assigned_elsewhere_has_ended() {
    let mut floor = floor().group("support", []);
    let visit = floor.visitor_arrives("sales");
    let offer = floor.pending("ana", visit).expect("an offer").offer;
    floor.reload_group("support", |rules| rules.when_empty = crate::routing::WhenEmpty::Queue);
    floor.assigns(visit, to_group("support")).expect("moved");
    floor.waits(visit, "support");
    let answer = floor.asks(By::Agent(agent("ana")), visit, Ask::Accept { offer });
    assert_eq!(answer, Err(Refusal::OfferEnded));
    assert_eq!(floor.slots("ana"), 0);
}

#[test]
fn a_timed_out_offer_says_so_even_after_the_conversation_went_elsewhere() {
    let mut floor = Floor::new()
        .group_with("sales", ["ana"], |rules| {
            rules.max_offers = Some(1);
            rules.overflow = Some(group("support"));
        })
        .group("support", ["ben"]);
    let visit = floor.visitor_arrives("sales");
    let offer = floor.pending("ana", visit).expect("an offer").offer;
    floor.wait(TIMEOUT);
    floor.sees_offer("ben", visit);
    let answer = floor.asks(By::Agent(agent("ana")), visit, Ask::Accept { offer });
    assert_eq!(answer, Err(Refusal::OfferTimedOut));
}

#[test]
fn an_accept_in_the_same_instant_as_the_visitors_close_is_decided_by_order() {
    let mut floor = floor();
    let visit = floor.visitor_arrives("sales");
    let offer = floor.pending("ana", visit).expect("an offer").offer;
    let close = floor.posts(By::Visitor(visit.visitor), visit, Ask::Close);
    let accept = floor.posts(By::Agent(agent("ana")), visit, Ask::Accept { offer });
    floor.settle();
    assert!(floor.answer_to(close).is_ok());
    assert_eq!(floor.answer_to(accept), Err(Refusal::OfferEnded));
    assert_eq!(floor.slots("ana"), 0);
}

#[test]
fn the_outcome_of_each_offer_is_recorded() {
    let mut floor = Floor::new().group("sales", ["ana", "ben", "cleo"]);
    let visit = floor.visitor_arrives("sales");
    floor.declines("ana", visit).expect("declined");
    floor.wait(TIMEOUT);
    floor.asks(By::Visitor(visit.visitor), visit, Ask::Close).expect("closed");
    let ended: Vec<_> = floor
        .events(visit)
        .into_iter()
        .filter_map(|event| match event {
            Event::OfferEnded { agent, outcome } => Some((*agent, *outcome)),
            _ => None,
        })
        .collect();
    let expected = [
        (agent("ana"), OfferOutcome::Declined),
        (agent("ben"), OfferOutcome::TimedOut),
        (agent("cleo"), OfferOutcome::Rescinded(RescindReason::Closed)),
    ];
    assert_eq!(ended, expected);
}

#[test]
fn a_rescinded_offer_is_no_offer_towards_max_offers() {
    let mut floor = Floor::new().group_with("sales", ["ana", "ben"], |rules| rules.max_offers = Some(1));
    let visit = floor.visitor_arrives("sales");
    floor.disconnects("ana");
    floor.wait(secs(15));
    floor.sees_offer("ben", visit);
    floor.accepts("ben", visit).expect("accepted");
}

/// Known bug D37: the target agent can't decline.
#[test]
fn who_declines_is_offered_the_next_conversation() {
    let mut floor = Floor::new().group_with("sales", ["ana"], |rules| rules.strategy = Strategy::LeastActive);
    let first = floor.visitor_arrives("sales");
    floor.declines("ana", first).expect("declined");
    let second = floor.visitor_arrives("sales");
    floor.sees_offer("ana", second);
}
