//! A loop looks at the head of the line now and then, and what it can't place holds everybody up. Here nothing polls: what changes
//! says so, and who is free gets the first that suits them.

use super::super::floor::*;
use crate::routing::{
    By, FallbackReason, OfferOutcome, Presence, WhenEmpty,
    conversation::{Ask, Event, Phase, Target},
};

/// Ana has room for hundreds, ben is at his cap: he is present, so that nothing is exhausted, and takes nothing.
fn ben_is_full() -> Floor {
    let mut floor = Floor::new().cap(1_000).group_with("sales", ["ben"], |rules| {
        rules.max_wait = None;
        rules.when_empty = WhenEmpty::Queue;
    });
    floor.puts("ben", |profile| profile.cap = Some(1)).expect("changed");
    floor.serves("ben", "sales");
    floor.puts("ana", |profile| profile.groups = vec![group("sales")]).expect("created");
    floor.comes_online("ana");
    floor
}

/// D7: the inquiry at the head is tried for ever, and nobody behind it is.
#[test]
fn an_unroutable_head_blocks_nobody_and_keeps_its_place() {
    let mut floor = ben_is_full();
    let head = floor.visitor_arrives("sales");
    floor.declines("ana", head).expect("declined");
    floor.wait(secs(1));
    let behind = floor.visitor_arrives("sales");
    floor.sees_offer("ana", behind);
    floor.waits(head, "sales");
    floor.intends("ana", Presence::Away);
    floor.declines("ana", behind).expect("declined");
    let late = floor.visitor_arrives("sales");
    floor.puts("ben", |profile| profile.cap = Some(2)).expect("changed");
    floor.sees_offer("ben", head);
    floor.waits(behind, "sales");
    floor.waits(late, "sales");
}

/// A job that looks at the oldest hundred never comes to the one behind a hundred that nobody may have.
#[test]
fn behind_a_hundred_and_fifty_unroutable_ones_the_next_is_served_at_once() {
    let mut floor = ben_is_full();
    for _ in 0..150 {
        let visit = floor.visitor_arrives("sales");
        floor.declines("ana", visit).expect("declined");
    }
    assert_eq!(floor.group_view("sales").waiting(), 150);
    let before = floor.now;
    let next = floor.visitor_arrives("sales");
    floor.sees_offer("ana", next);
    assert_eq!(floor.now, before);
}

/// D30: the fourth stays unassigned while the fifth is assigned.
#[test]
fn a_freed_slot_serves_the_older_one_even_if_a_younger_one_comes_in_that_moment() {
    let mut floor = Floor::new().cap(3).group("sales", ["ana"]);
    let three = [(); 3].map(|()| floor.serves("ana", "sales"));
    let fourth = floor.visitor_arrives("sales");
    floor.wait(secs(1));
    let fifth = floor.opening(Target::Group(group("sales")));
    floor.posts(By::Agent(agent("ana")), three[1], Ask::Close);
    floor.posts_opening(&fifth);
    floor.settle();
    floor.sees_offer("ana", fourth);
    floor.waits(Visit { id: fifth.asked, visitor: fifth.visitor }, "sales");
}

/// D31: a job every fifteen minutes. What waits without a bound has no deadline at all, and is served by what happens.
#[test]
fn nothing_polls() {
    let mut floor = ben_is_full();
    floor.intends("ana", Presence::Away);
    let visit = floor.visitor_arrives("sales");
    assert_eq!(floor.next_deadline(), None);
    let before = floor.now;
    floor.intends("ana", Presence::Online);
    floor.sees_offer("ana", visit);
    assert_eq!(floor.now, before);
}

/// D8: stuck over a holiday weekend, and nobody can take, move or close it.
#[test]
fn what_waits_for_ever_has_a_way_out_for_everybody() {
    type Exit = fn(&mut Floor, Visit) -> Answer;
    let exits: [(&str, Exit, Phase); 4] = [
        ("taken", |floor, visit| floor.takes("ana", visit), Phase::Active),
        ("assigned", |floor, visit| floor.assigns(visit, to_agent("ana")), Phase::Active),
        ("moved", |floor, visit| floor.assigns(visit, to_group("support")), Phase::Offered),
        ("closed", |floor, visit| floor.asks(By::Supervisor, visit, Ask::Close), Phase::Closed),
    ];
    for (name, exit, phase) in exits {
        let mut floor = ben_is_full().group("support", ["cem"]);
        floor.intends("ana", Presence::Away);
        floor.goes_offline("ben");
        let visit = floor.visitor_arrives("sales");
        floor.wait(secs(3 * 24 * 3_600));
        floor.waits(visit, "sales");
        done(exit(&mut floor, visit));
        assert_eq!(floor.phase(visit), phase, "{name}");
    }
}

/// D24: the second agent is tried, and then nobody any more.
#[test]
fn every_member_is_tried_once_and_then_there_is_an_end() {
    let mut floor = Floor::new().group_with("sales", ["ana", "ben", "cem", "dov", "eva"], |rules| {
        rules.max_wait = None;
    });
    let visit = floor.visitor_arrives("sales");
    floor.wait(secs(5 * 45));
    floor.fell_back(visit, FallbackReason::OffersExhausted);
    let missed = floor.events(visit).into_iter().filter_map(|event| match event {
        Event::OfferEnded { agent, outcome: OfferOutcome::TimedOut } => Some(*agent),
        _ => None,
    });
    let missed: std::collections::BTreeSet<_> = missed.collect();
    assert_eq!(missed.len(), 5);
}
