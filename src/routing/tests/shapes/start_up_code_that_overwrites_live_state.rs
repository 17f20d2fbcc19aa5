//! A start, a reload or a timetable writes what it takes for the normal state over what people meant. Here a start only reads.

use super::super::floor::*;
use crate::routing::{Presence, Strategy, WhenEmpty, agent::Event, conversation::Phase, recovery::Entry};

const TEAM: [(&str, Presence); 3] =
    [("ana", Presence::Online), ("ben", Presence::Away), ("cem", Presence::Offline)];

fn team() -> Floor {
    let mut floor = Floor::new().group_with("sales", ["ana", "ben", "cem"], |rules| {
        rules.when_empty = WhenEmpty::Queue;
    });
    for (name, presence) in TEAM {
        floor.intends(name, presence);
    }
    floor
}

fn still_means_what_it_meant(floor: &Floor, after: &str) {
    for (name, presence) in TEAM {
        assert_eq!(floor.agent(name).intent(), presence, "{name}, after {after}");
    }
}

/// D19: the start of the business hours wipes the agents' state; all are offline, or locked out, after a restart.
#[test]
fn neither_a_start_nor_a_reload_says_what_people_mean() {
    let mut floor = team();
    floor.crash(secs(2));
    still_means_what_it_meant(&floor, "a start");
    floor.all_connect(["ana", "ben", "cem"]);
    still_means_what_it_meant(&floor, "everybody connected");
    floor.reload(|policy| policy.cap = 2);
    still_means_what_it_meant(&floor, "a reload");
    // What the configuration file does at each start.
    for (name, _) in TEAM {
        floor.puts(name, |profile| profile.cap = Some(4)).expect("changed");
    }
    still_means_what_it_meant(&floor, "the file was read");
    floor.wait(secs(3_600));
    still_means_what_it_meant(&floor, "an hour");
    let visit = floor.visitor_arrives("sales");
    assert_eq!(floor.offered_to(visit), ["ana"]);
}

/// D19: nothing is recorded of an agent by a start.
#[test]
fn a_start_records_nothing_of_anybody() {
    let mut floor = team();
    floor.crash(secs(2));
    floor.crash(secs(2));
    let by_starts = floor.entries().iter().skip_while(|entry| !matches!(entry, Entry::Restarted { .. }));
    let of_agents = by_starts.filter(|entry| matches!(entry, Entry::Agent { .. }));
    assert_eq!(of_agents.count(), 0);
    let meant = floor.entries().iter().flat_map(|entry| match entry {
        Entry::Agent { events, .. } => events.as_slice(),
        _ => &[],
    });
    let automatic = meant.filter(|event| matches!(event, Event::PresenceSet { auto: true, .. }));
    assert_eq!(automatic.count(), 0);
}

/// D11: more than a hundred open conversations are gone the next day.
#[test]
fn every_open_conversation_is_where_it_was_the_next_day() {
    let mut floor = Floor::new().cap(40).group_with("sales", ["ana"], |rules| rules.max_wait = None);
    let visits: Vec<Visit> = (0..130).map(|_| floor.visitor_arrives("sales")).collect();
    for visit in &visits[..25] {
        floor.accepts("ana", *visit).expect("accepted");
    }
    for visit in &visits[..5] {
        floor.closes("ana", *visit).expect("closed");
    }
    let before: Vec<Phase> = visits.iter().map(|visit| floor.phase(*visit)).collect();
    let slots = floor.slots("ana");
    floor.crash(secs(24 * 3_600));
    let after: Vec<Phase> = visits.iter().map(|visit| floor.phase(*visit)).collect();
    assert_eq!((after, floor.slots("ana")), (before, slots));
    assert_eq!(floor.group_view("sales").waiting(), 130 - 45);
}

/// D13: agents are stuck in "reserved" for hours.
#[test]
fn an_offer_that_was_pending_at_the_start_can_be_accepted_or_ends() {
    for accepts in [true, false] {
        let mut floor = Floor::new().group("sales", ["ana"]);
        let visit = floor.visitor_arrives("sales");
        floor.crash(secs(600));
        floor.sees_offer("ana", visit);
        assert_eq!(floor.slots("ana"), 1);
        floor.connects("ana");
        if accepts {
            floor.accepts("ana", visit).expect("accepted");
            floor.visitor_is_present(visit, true);
        }
        floor.wait(secs(60));
        assert_eq!(floor.slots("ana"), u16::from(accepts), "accepted: {accepts}");
    }
}

/// Whose turn it is, and who is first in line, is not decided anew by a start.
#[test]
fn turns_and_places_in_line_outlive_a_start() {
    let mut floor = Floor::new().cap(1).group_with("sales", ["ana", "ben", "cem"], |rules| {
        rules.strategy = Strategy::RoundRobin;
        rules.max_wait = None;
    });
    let served = ["ana", "ben"].map(|name| floor.serves(name, "sales"));
    floor.crash(secs(2));
    floor.all_connect(["ana", "ben", "cem"]);
    for (name, visit) in [("ana", served[0]), ("ben", served[1])] {
        floor.closes(name, visit).expect("closed");
    }
    let turns = ["cem", "ana", "ben"].map(|name| (name, floor.serves(name, "sales")));
    let line = [(); 3].map(|()| {
        floor.wait(secs(1));
        floor.visitor_arrives("sales")
    });
    floor.crash(secs(2));
    floor.all_connect(["ana", "ben", "cem"]);
    for ((name, visit), first) in turns.into_iter().zip(line) {
        floor.closes(name, visit).expect("closed");
        floor.sees_offer(name, first);
    }
}
