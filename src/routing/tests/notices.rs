//! What is told to whom: offers begin and end for agents, and visitors number only what they may see.

use super::floor::*;
use crate::routing::{
    By, OfferOutcome, Presence, Reply, RescindReason, Strategy,
    conversation::{Ask, Event, OfferKind},
    notice::{AgentNotice, Before},
};

/// What each was told, in short.
fn short(told: Vec<(String, AgentNotice)>) -> Vec<(String, Result<OfferKind, OfferOutcome>)> {
    let short = |notice| match notice {
        AgentNotice::OfferMade(pending) => Ok(pending.kind),
        AgentNotice::OfferEnded { outcome, .. } => Err(outcome),
    };
    let mut told: Vec<_> = told.into_iter().map(|(name, notice)| (name, short(notice))).collect();
    told.sort_by(|one, two| one.0.cmp(&two.0));
    told
}

fn rescinded(reason: RescindReason) -> Result<OfferKind, OfferOutcome> {
    Err(OfferOutcome::Rescinded(reason))
}

#[track_caller]
fn told<const N: usize>(
    floor: &mut Floor,
    visit: Visit,
    expected: [(&str, Result<OfferKind, OfferOutcome>); N],
) {
    let expected: Vec<_> = expected.into_iter().map(|(name, what)| (name.to_owned(), what)).collect();
    assert_eq!(short(floor.told(visit)), expected);
}

fn floor() -> Floor {
    Floor::new().group("sales", ["ana", "ben"])
}

#[test]
fn an_offer_is_made_and_ends_as_it_ended() {
    let mut floor = floor();
    let visit = floor.visitor_arrives("sales");
    told(&mut floor, visit, [("ana", Ok(OfferKind::Offer))]);
    floor.declines("ana", visit).expect("declined");
    told(&mut floor, visit, [("ana", Err(OfferOutcome::Declined)), ("ben", Ok(OfferKind::Offer))]);
    floor.wait(secs(45));
    told(&mut floor, visit, [("ben", Err(OfferOutcome::TimedOut))]);
    floor.intends("ben", Presence::Away);
    floor.visitor_says(visit, "hello?").expect("said");
    told(&mut floor, visit, [("ana", Ok(OfferKind::Offer))]);
    floor.accepts("ana", visit).expect("accepted");
    told(&mut floor, visit, [("ana", Err(OfferOutcome::Accepted))]);
}

#[test]
fn an_offer_that_is_taken_back_says_why() {
    type Ends = fn(&mut Floor, Visit);
    let ways: [(RescindReason, Ends); 6] = [
        (RescindReason::AlreadyTaken, |floor, visit| done(floor.takes("ben", visit))),
        (RescindReason::Closed, |floor, visit| done(floor.asks(By::Supervisor, visit, Ask::Close))),
        (RescindReason::Moved, |floor, visit| done(floor.assigns(visit, to_group("support")))),
        (RescindReason::Removed, |floor, _| done(floor.removes("ana"))),
        (RescindReason::VisitorGone, |floor, visit| {
            floor.visitor_is_present(visit, false);
            floor.wait(secs(30));
        }),
        (RescindReason::AgentGone, |floor, _| {
            floor.disconnects("ana");
            floor.wait(secs(15));
        }),
    ];
    for (reason, ends) in ways {
        let mut floor = floor().group("support", ["cleo"]);
        let visit = floor.visitor_arrives("sales");
        floor.told(visit);
        ends(&mut floor, visit);
        let ended = short(floor.told(visit));
        assert_eq!(ended[0], ("ana".to_owned(), rescinded(reason)));
    }
}

/// BR-10.
#[test]
fn the_losers_of_an_announcement_are_told_that_it_is_taken() {
    let mut floor = Floor::new()
        .group_with("sales", ["ana", "ben", "cleo", "dan"], |rules| rules.strategy = Strategy::Broadcast);
    let visit = floor.visitor_arrives("sales");
    let made = Ok(OfferKind::Announcement);
    told(&mut floor, visit, [("ana", made), ("ben", made), ("cleo", made), ("dan", made)]);
    floor.declines("dan", visit).expect("declined");
    told(&mut floor, visit, [("dan", Err(OfferOutcome::Declined))]);
    floor.accepts("ben", visit).expect("accepted");
    let taken = rescinded(RescindReason::AlreadyTaken);
    told(&mut floor, visit, [("ana", taken), ("ben", Err(OfferOutcome::Accepted)), ("cleo", taken)]);
}

#[test]
fn who_is_added_to_an_announcement_is_told_alone() {
    let mut floor = Floor::new().group_with("sales", ["ana", "ben"], |rules| rules.strategy = Strategy::Pull);
    floor.goes_offline("ben");
    let visit = floor.visitor_arrives("sales");
    told(&mut floor, visit, [("ana", Ok(OfferKind::Announcement))]);
    floor.intends("ben", Presence::Online);
    told(&mut floor, visit, [("ben", Ok(OfferKind::Announcement))]);
}

#[test]
fn handovers_and_invitations_are_offers_too() {
    let mut floor = floor();
    let visit = floor.serves("ana", "sales");
    floor.told(visit);
    floor.asks(By::Agent(agent("ana")), visit, Ask::Invite { agent: agent("ben") }).expect("invited");
    told(&mut floor, visit, [("ben", Ok(OfferKind::Invitation))]);
    floor.hands("ana", visit, to_agent("ben")).expect("handed");
    let moved = rescinded(RescindReason::Moved);
    told(&mut floor, visit, [("ben", moved), ("ben", Ok(OfferKind::Handover))]);
    floor.declines("ben", visit).expect("declined");
    told(&mut floor, visit, [("ben", Err(OfferOutcome::Declined))]);
    floor.asks(By::Agent(agent("ana")), visit, Ask::Invite { agent: agent("ben") }).expect("invited");
    floor.told(visit);
    floor.closes("ana", visit).expect("closed");
    told(&mut floor, visit, [("ben", rescinded(RescindReason::Closed))]);
}

#[test]
fn who_takes_part_or_did_hears_of_what_was_recorded() {
    let mut floor = floor();
    let visit = floor.serves("ana", "sales");
    let before = Before::of(floor.conversation(visit));
    floor.hands("ana", visit, to_agent("ben")).expect("handed");
    floor.accepts("ben", visit).expect("accepted");
    let mut both = ["ana", "ben"].map(agent);
    both.sort_unstable();
    assert_eq!(before.staff(floor.conversation(visit)).as_slice(), both);
}

// === Numbers ===

/// S7, S8.
#[test]
fn visitors_number_densely_what_they_may_see_and_never_a_note() {
    let mut floor = floor();
    let visit = floor.visitor_arrives_with("sales", |opening| opening.message = Some(text("hello")));
    let ana = By::Agent(agent("ana"));
    floor.accepts("ana", visit).expect("accepted");
    floor.asks(ana, visit, Ask::Note(text("a secret"))).expect("noted");
    floor.asks(ana, visit, Ask::Say(text("how can I help?"))).expect("said");
    floor.hands("ana", visit, to_agent("ben")).expect("handed");
    floor.declines("ben", visit).expect("declined");
    floor.closes("ana", visit).expect("closed");

    let events = floor.events(visit);
    let seen: Vec<_> = events.iter().filter(|event| event.visitor_sees()).collect();
    let counts = (events.len() as u64, seen.len() as u64);
    assert_eq!(floor.conversation(visit).numbers(), counts);
    let hidden = |event: &Event| {
        matches!(
            event,
            Event::Noted { .. }
                | Event::Offered { .. }
                | Event::OfferEnded { .. }
                | Event::HandoverStarted { .. }
                | Event::HandoverEnded { .. }
        )
    };
    assert_eq!(events.iter().filter(|event| hidden(event)).count() + seen.len(), events.len());
    assert!(!seen.iter().any(|event| hidden(event)));
}

#[test]
fn the_answer_names_the_visitors_number_only_of_what_they_may_see() {
    let mut floor = floor();
    let visit = floor.serves("ana", "sales");
    let ana = By::Agent(agent("ana"));
    let (seq, visitor_seq) = floor.conversation(visit).numbers();
    let note = floor.asks(ana, visit, Ask::Note(text("a secret")));
    assert_eq!(note, Ok(Reply::Recorded { conversation: visit.id, seq: seq + 1, visitor_seq: None }));
    let said = floor.asks(ana, visit, Ask::Say(text("hello")));
    assert_eq!(
        said,
        Ok(Reply::Recorded { conversation: visit.id, seq: seq + 2, visitor_seq: Some(visitor_seq + 1) })
    );
}

#[test]
fn only_staff_writes_notes() {
    let mut floor = floor().group("support", ["cleo"]);
    let visit = floor.serves("ana", "sales");
    let note = || Ask::Note(text("a secret"));
    for (by, may) in [
        (By::Agent(agent("ana")), true),
        (By::Agent(agent("ben")), true),
        (By::Agent(agent("cleo")), false),
        (By::Supervisor, true),
        (By::Bot, true),
        (By::Visitor(visit.visitor), false),
        (By::Frontend, false),
    ] {
        assert_eq!(floor.asks(by, visit, note()).is_ok(), may, "{by:?}");
    }
}

#[test]
fn what_people_wrote_is_never_printed() {
    let mut floor = floor();
    let visit = floor.visitor_arrives_with("sales", |opening| opening.message = Some(text("a secret")));
    assert!(!format!("{:?}", floor.events(visit)).contains("secret"));
}
