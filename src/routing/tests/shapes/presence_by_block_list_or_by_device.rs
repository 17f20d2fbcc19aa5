//! "Not offline" counts as ready, or a connected device does. Here intent, a live session and room are separate facts, and only one
//! combination is eligible.

use super::super::floor::*;
use crate::routing::{
    By, Presence, Refusal, WhenEmpty, WhyNot,
    conversation::{Ask, Phase},
};

const GRACE: std::time::Duration = secs(15);

fn floor() -> Floor {
    Floor::new().group_with("sales", ["ana"], |rules| rules.when_empty = WhenEmpty::Queue)
}

/// D21: idle and away agents stay in the pool, because only "offline" takes them out.
#[test]
fn of_all_that_an_agent_can_be_one_combination_is_eligible() {
    for presence in [Presence::Online, Presence::Away, Presence::Offline] {
        for (live, lost_for) in [(true, secs(0)), (false, secs(0)), (false, GRACE)] {
            let mut floor = floor();
            floor.intends("ana", presence);
            if !live {
                floor.disconnects("ana");
                floor.wait(lost_for);
            }
            let visit = floor.visitor_arrives("sales");
            let eligible = presence == Presence::Online && live;
            let is = (floor.agent("ana").why_not(&floor.context()).is_none(), floor.offered_to(visit).len());
            assert_eq!(is, (eligible, usize::from(eligible)), "{presence:?}, live {live}, {lost_for:?}");
        }
    }
}

/// D21: a state that nobody has heard of is not eligible either.
#[test]
fn who_never_said_anything_is_offered_nothing() {
    let mut floor = floor();
    floor.goes_offline("ana");
    floor.puts("new", |profile| profile.groups = vec![group("sales")]).expect("created");
    floor.connects("new");
    let visit = floor.visitor_arrives("sales");
    floor.waits(visit, "sales");
    assert_eq!(floor.agent("new").why_not(&floor.context()), Some(WhyNot::Offline));
}

/// D20: using another device sets you available.
#[test]
fn another_device_changes_nothing_that_was_meant() {
    for meant in [Presence::Away, Presence::Offline] {
        let mut floor = floor();
        floor.intends("ana", meant);
        floor.connects("ana");
        floor.connects("ana");
        let visit = floor.visitor_arrives("sales");
        floor.waits(visit, "sales");
        assert_eq!(floor.agent("ana").intent(), meant);
    }
}

/// D20: still available after the browser was closed.
#[test]
fn a_closed_browser_is_offered_nothing_and_means_what_it_meant() {
    let mut floor = floor();
    floor.connects("ana");
    floor.disconnects("ana");
    let visit = floor.visitor_arrives("sales");
    floor.sees_offer("ana", visit);
    floor.closes("ana", visit).ok();
    floor.disconnects("ana");
    let next = floor.visitor_arrives("sales");
    floor.waits(next, "sales");
    floor.wait(GRACE);
    floor.waits(next, "sales");
    assert_eq!(floor.agent("ana").intent(), Presence::Online);
    floor.connects("ana");
    floor.sees_offer("ana", next);
}

/// D27: an agent who was set offline is put back to available when their task ends.
#[test]
fn the_end_of_a_task_brings_nobody_back() {
    type End = fn(&mut Floor, Visit);
    let ends: [(&str, End); 3] = [
        ("closed", |floor, visit| done(floor.closes("ana", visit))),
        ("left", |floor, visit| done(floor.leaves("ana", visit))),
        ("closed by the visitor", |floor, visit| {
            done(floor.asks(By::Visitor(visit.visitor), visit, Ask::Close));
        }),
    ];
    for (name, end) in ends {
        let mut floor = floor();
        let visit = floor.serves("ana", "sales");
        floor.intends("ana", Presence::Offline);
        end(&mut floor, visit);
        let next = floor.visitor_arrives("sales");
        assert_eq!(floor.agent("ana").intent(), Presence::Offline, "{name}");
        floor.waits(next, "sales");
    }
}

/// D18: a reopened conversation goes to its previous agent, who is offline.
#[test]
fn a_reopened_conversation_goes_to_who_is_eligible_now() {
    for (gone, to) in [(false, "ana"), (true, "ben")] {
        let mut floor = Floor::new().group("sales", ["ana", "ben"]);
        let visit = floor.serves("ana", "sales");
        floor.closes("ana", visit).expect("closed");
        if gone {
            floor.goes_offline("ana");
        }
        floor.asks(By::Supervisor, visit, Ask::Reopen).expect("reopened");
        floor.sees_offer(to, visit);
    }
}

/// D22: the agent is offline, and forwarding fails: "the department is the same".
#[test]
fn what_an_absent_agent_has_can_go_to_the_queue_of_its_own_group() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    let visit = floor.serves("ana", "sales");
    floor.disconnects("ana");
    floor.wait(GRACE);
    floor.assigns(visit, to_group("sales")).expect("moved");
    floor.sees_offer("ben", visit);
    assert_eq!(floor.slots("ana"), 0);
}

/// Nobody is given anything by hand who may not have it.
#[test]
fn who_is_offline_takes_nothing_and_hands_are_not_laid_on_them() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    let visit = floor.serves("ana", "sales");
    floor.goes_offline("ben");
    assert_eq!(floor.hands("ana", visit, to_agent("ben")), Err(Refusal::NotEligible(WhyNot::Offline)));
    assert_eq!((floor.phase(visit), floor.owner(visit)), (Phase::Active, Some("ana")));
}
