//! The operator's rules change while it runs.

use super::floor::*;
use crate::routing::{
    FallbackReason, Strategy, WhenEmpty,
    conversation::{Phase, Target},
};

/// A full group with one that waits, and what keeps its agent busy.
fn waiting(overflow: Option<&str>) -> (Floor, Visit, Visit) {
    let mut floor = Floor::new()
        .cap(1)
        .group_with("sales", ["ana"], |rules| rules.overflow = overflow.map(group))
        .group("support", ["ben"]);
    let busy = floor.serves("ana", "sales");
    let visit = floor.visitor_arrives("sales");
    floor.waits(visit, "sales");
    (floor, visit, busy)
}

/// Design §3.12.
#[test]
fn the_line_of_a_removed_group_goes_to_its_overflow() {
    let (mut floor, visit, busy) = waiting(Some("support"));
    floor.reload(|policy| drop(policy.groups.remove(&group("sales"))));
    floor.sees_offer("ben", visit);
    assert_eq!(floor.owner(busy), Some("ana"), "what is active goes on");
}

/// Design §3.12.
#[test]
fn without_an_overflow_the_line_of_a_removed_group_falls_back() {
    let (mut floor, visit, _) = waiting(None);
    floor.reload(|policy| drop(policy.groups.remove(&group("sales"))));
    floor.fell_back(visit, FallbackReason::GroupRemoved);
}

#[test]
fn an_announced_conversation_of_a_removed_group_goes_too() {
    let mut floor = Floor::new()
        .group_with("sales", ["ana"], |rules| rules.strategy = Strategy::Pull)
        .group("support", ["ben"]);
    let visit = floor.visitor_arrives("sales");
    floor.reload(|policy| drop(policy.groups.remove(&group("sales"))));
    floor.fell_back(visit, FallbackReason::GroupRemoved);
    floor.sees_nothing("ana", visit);
}

#[test]
fn an_offer_of_a_removed_group_is_not_cut_short() {
    let mut floor =
        Floor::new().group_with("sales", ["ana"], |rules| rules.overflow = Some(group("support")));
    floor = floor.group("support", ["ben"]);
    let accepted = floor.visitor_arrives("sales");
    let declined = floor.visitor_arrives("sales");
    floor.reload(|policy| drop(policy.groups.remove(&group("sales"))));
    floor.accepts("ana", accepted).expect("accepted");
    floor.declines("ana", declined).expect("declined");
    floor.sees_offer("ben", declined);
}

#[test]
fn what_waits_in_a_group_that_is_gone_after_a_start_falls_back() {
    let (mut floor, visit, _) = waiting(None);
    floor.crash_into(|policy| drop(policy.groups.remove(&group("sales"))));
    floor.fell_back(visit, FallbackReason::GroupRemoved);
}

#[test]
fn an_owner_may_give_back_what_belongs_to_a_group_that_is_gone() {
    let (mut floor, _, busy) = waiting(Some("support"));
    floor.crash_into(|policy| drop(policy.groups.remove(&group("sales"))));
    floor.leaves("ana", busy).expect("left");
    floor.fell_back(busy, FallbackReason::GroupRemoved);
    assert_eq!(floor.slots("ana"), 0);
}

#[test]
fn a_disabled_group_serves_out_what_waits() {
    let (mut floor, visit, busy) = waiting(None);
    floor.reload_group("sales", |rules| rules.enabled = false);
    floor.closes("ana", busy).expect("closed");
    floor.sees_offer("ana", visit);
    let opening = floor.opening(Target::Group(group("sales")));
    assert_eq!(floor.opens(&opening), Err(crate::routing::Refusal::GroupDisabled));
}

#[test]
fn a_changed_strategy_holds_for_the_next_decision() {
    let mut floor = Floor::new().group("sales", ["ana", "ben", "cleo"]);
    let first = floor.visitor_arrives("sales");
    floor.sees_offer("ana", first);
    floor.reload_group("sales", |rules| rules.strategy = Strategy::LeastActive);
    let second = floor.visitor_arrives("sales");
    floor.sees_offer("ben", second);
    assert_eq!(floor.decision(second).strategy, Strategy::LeastActive);
    floor.reload_group("sales", |rules| rules.strategy = Strategy::RoundRobin);
    let third = floor.visitor_arrives("sales");
    floor.sees_offer("ben", third);
}

#[test]
fn a_changed_max_wait_holds_for_the_next_stay() {
    let mut floor = Floor::new().group_with("sales", [], |rules| rules.when_empty = WhenEmpty::Queue);
    let first = floor.visitor_arrives("sales");
    floor.reload_group("sales", |rules| rules.max_wait = Some(secs(10)));
    let second = floor.visitor_arrives("sales");
    floor.wait(secs(10));
    assert_eq!((floor.phase(first), floor.phase(second)), (Phase::Waiting, Phase::Missed));
}
