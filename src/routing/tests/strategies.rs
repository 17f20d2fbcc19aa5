//! The six strategies, with the tie-breaks that are published.

use super::floor::*;
use crate::routing::{
    AssignCause, Because, Strategy,
    conversation::{Event, OfferKind, Phase},
};

fn floor<const N: usize>(strategy: Strategy, members: [&str; N]) -> Floor {
    Floor::new().group_with("sales", members, |rules| rules.strategy = strategy)
}

/// Who is offered the next conversation; they accept it.
fn next(floor: &mut Floor) -> String {
    let visit = floor.visitor_arrives("sales");
    let offered = floor.offered_to(visit);
    let [name] = offered[..] else { panic!("offered to {offered:?}") };
    let name = name.to_owned();
    floor.wait(secs(1));
    floor.accepts(&name, visit).expect("accepted");
    name
}

/// AD-11.
#[test]
fn round_robin_goes_by_name_one_after_the_other() {
    let mut floor = floor(Strategy::RoundRobin, ["cleo", "ana", "ben"]);
    let order: Vec<_> = (0..6).map(|_| next(&mut floor)).collect();
    assert_eq!(order, ["ana", "ben", "cleo", "ana", "ben", "cleo"]);
}

/// RE-12.
#[test]
fn round_robin_is_even_over_three_hundred() {
    let mut floor = floor(Strategy::RoundRobin, ["ana", "ben", "cleo"]).cap(500);
    for _ in 0..300 {
        next(&mut floor);
    }
    assert_eq!(["ana", "ben", "cleo"].map(|name| floor.slots(name)), [100, 100, 100]);
}

/// AD-15.
#[test]
fn each_group_has_a_pointer_of_its_own() {
    let mut floor = floor(Strategy::RoundRobin, ["ana", "ben"]).group("support", ["ana", "ben"]);
    assert_eq!(next(&mut floor), "ana");
    let visit = floor.visitor_arrives("support");
    floor.sees_offer("ana", visit);
    assert_eq!(next(&mut floor), "ben");
}

#[test]
fn the_pointer_stays_where_it_was_when_its_agent_leaves() {
    let mut floor = floor(Strategy::RoundRobin, ["ana", "ben", "cleo"]);
    assert_eq!(next(&mut floor), "ana");
    assert_eq!(next(&mut floor), "ben");
    floor.puts("ben", |profile| profile.groups.clear()).expect("changed");
    assert_eq!(next(&mut floor), "cleo");
}

#[test]
fn round_robin_passes_over_whom_is_not_eligible() {
    let mut floor = floor(Strategy::RoundRobin, ["ana", "ben", "cleo"]);
    floor.goes_offline("ben");
    let order: Vec<_> = (0..4).map(|_| next(&mut floor)).collect();
    assert_eq!(order, ["ana", "cleo", "ana", "cleo"]);
}

/// RE-13.
#[test]
fn least_active_takes_who_has_the_fewest() {
    let mut floor = floor(Strategy::LeastActive, ["ana", "ben", "cleo"]);
    for name in ["ana", "ana", "ana", "ben", "cleo", "cleo"] {
        let visit = floor.visitor_arrives("everyone");
        floor.assigns(visit, to_agent(name)).expect("assigned");
        floor.wait(secs(1));
    }
    assert_eq!(next(&mut floor), "ben");
}

#[test]
fn least_active_counts_pending_offers_too() {
    let mut floor = floor(Strategy::LeastActive, ["ana", "ben"]);
    let first = floor.visitor_arrives("sales");
    floor.sees_offer("ana", first);
    let second = floor.visitor_arrives("sales");
    floor.sees_offer("ben", second);
}

#[test]
fn least_active_breaks_ties_by_the_last_assignment_then_by_name() {
    let mut floor = floor(Strategy::LeastActive, ["ana", "ben"]);
    assert_eq!(next(&mut floor), "ana", "by name");
    floor.wait(secs(10));
    let second = floor.serves("ben", "sales");
    floor.closes("ben", second).expect("closed");
    let first = floor.visitor_arrives("sales");
    assert_eq!(floor.offered_to(first), ["ben"], "the fewest");
    floor.accepts("ben", first).expect("accepted");
    assert_eq!(next(&mut floor), "ana", "longest since the last assignment");
}

/// RE-14, known bug D32: who was on holiday is not given everything.
#[test]
fn least_active_counts_what_is_open_and_not_what_was() {
    let mut floor = floor(Strategy::LeastActive, ["ana", "ben"]).cap(200);
    floor.goes_offline("ben");
    for _ in 0..100 {
        let visit = floor.serves("ana", "sales");
        floor.closes("ana", visit).expect("closed");
    }
    let (_, _) = (floor.serves("ana", "sales"), floor.serves("ana", "sales"));
    floor.intends("ben", crate::routing::Presence::Online);
    let order: Vec<_> = (0..4).map(|_| next(&mut floor)).collect();
    assert_eq!(order, ["ben", "ben", "ana", "ben"]);
}

#[test]
fn longest_idle_takes_who_was_assigned_longest_ago_then_by_name() {
    let mut floor = floor(Strategy::LongestIdle, ["ben", "ana", "cleo"]);
    let order: Vec<_> = (0..6).map(|_| next(&mut floor)).collect();
    assert_eq!(order, ["ana", "ben", "cleo", "ana", "ben", "cleo"]);
    let visit = floor.visitor_arrives("everyone");
    floor.assigns(visit, to_agent("ana")).expect("assigned");
    assert_eq!(next(&mut floor), "ben");
}

#[test]
fn longest_idle_does_not_care_how_many_they_have() {
    let mut floor = floor(Strategy::LongestIdle, ["ana", "ben"]);
    for _ in 0..5 {
        let visit = floor.visitor_arrives("everyone");
        floor.assigns(visit, to_agent("ana")).expect("assigned");
    }
    floor.wait(secs(1));
    let visit = floor.visitor_arrives("everyone");
    floor.assigns(visit, to_agent("ben")).expect("assigned");
    assert_eq!(next(&mut floor), "ana");
}

#[test]
fn assign_is_round_robin_that_is_accepted_on_their_behalf() {
    let mut floor = floor(Strategy::Assign, ["ana", "ben"]);
    let visits: Vec<_> = (0..4).map(|_| floor.visitor_arrives("sales")).collect();
    let owners: Vec<_> = visits.iter().map(|visit| floor.owner(*visit).expect("an owner")).collect();
    assert_eq!(owners, ["ana", "ben", "ana", "ben"]);
    let assigned = floor.events(visits[0]).into_iter().find_map(|event| match event {
        Event::Assigned { cause, decision, .. } => Some((*cause, decision.is_some())),
        _ => None,
    });
    assert_eq!(assigned, Some((AssignCause::Strategy, true)));
    assert!(!floor.events(visits[0]).iter().any(|event| matches!(event, Event::Offered { .. })));
}

#[test]
fn assign_never_exceeds_the_cap_and_serves_the_line_when_a_slot_is_free() {
    let mut floor = floor(Strategy::Assign, ["ana"]).cap(1);
    let first = floor.visitor_arrives("sales");
    let second = floor.visitor_arrives("sales");
    assert_eq!(floor.phase(second), Phase::Waiting);
    floor.closes("ana", first).expect("closed");
    assert_eq!(floor.owner(second), Some("ana"));
}

/// BR-9.
#[test]
fn broadcast_and_pull_show_it_to_all_who_are_eligible() {
    for strategy in [Strategy::Broadcast, Strategy::Pull] {
        let mut floor = floor(strategy, ["ana", "ben", "cleo", "dan", "eve"]);
        floor.goes_offline("ben");
        floor.goes_offline("dan");
        let visit = floor.visitor_arrives("sales");
        assert_eq!(floor.offered_to(visit), ["ana", "cleo", "eve"]);
        floor.sees("ana", visit, OfferKind::Announcement);
        assert_eq!(floor.phase(visit), Phase::Offered);
        assert_eq!(floor.slots("ana"), 0, "an announcement reserves nothing");
    }
}

/// BR-3.
#[test]
fn the_preferred_agent_is_tried_first_whatever_the_strategy() {
    for strategy in [
        Strategy::RoundRobin,
        Strategy::LeastActive,
        Strategy::LongestIdle,
        Strategy::Broadcast,
        Strategy::Pull,
    ] {
        let mut floor = floor(strategy, ["ana", "ben", "cleo"]);
        let visit = floor.visitor_arrives_with("sales", |opening| opening.preferred = Some(agent("cleo")));
        assert_eq!(floor.offered_to(visit), ["cleo"], "{strategy:?}");
        assert_eq!(floor.decision(visit).because, Because::Preferred);
    }
}

#[test]
fn a_preferred_agent_does_not_move_the_pointer() {
    let mut floor = floor(Strategy::RoundRobin, ["ana", "ben", "cleo"]);
    let visit = floor.visitor_arrives_with("sales", |opening| opening.preferred = Some(agent("cleo")));
    floor.accepts("cleo", visit).expect("accepted");
    assert_eq!(next(&mut floor), "ana");
}

#[test]
fn without_the_preferred_agent_the_strategy_chooses() {
    let mut floor = floor(Strategy::RoundRobin, ["ana", "ben"]);
    floor.goes_offline("ben");
    let visit = floor.visitor_arrives_with("sales", |opening| opening.preferred = Some(agent("ben")));
    floor.sees_offer("ana", visit);
    assert_eq!(floor.decision(visit).because, Because::Strategy);
}

#[test]
fn after_the_preferred_agent_declined_the_strategy_chooses() {
    let mut floor = floor(Strategy::RoundRobin, ["ana", "ben"]);
    let visit = floor.visitor_arrives_with("sales", |opening| opening.preferred = Some(agent("ben")));
    floor.declines("ben", visit).expect("declined");
    floor.sees_offer("ana", visit);
}

#[test]
fn a_preferred_agent_need_not_be_a_member_to_be_passed_over() {
    let mut floor = floor(Strategy::RoundRobin, ["ana"]).group("support", ["ben"]);
    let visit = floor.visitor_arrives_with("sales", |opening| opening.preferred = Some(agent("ben")));
    floor.sees_offer("ana", visit);
}
