//! Business hours: when a group is open by the clocks of its town, over changes of the clocks too, and what that does to its line.

use std::sync::Arc;

use super::floor::*;
use crate::{
    clock::Timestamp,
    routing::{
        FallbackReason, Presence, WhenClosed,
        conversation::Phase,
        hours::{Holiday, Hour, Hours},
    },
};

fn at(text: &str) -> Timestamp {
    let moment: jiff::Timestamp = text.parse().expect("a moment");
    Timestamp::from_micros(u64::try_from(moment.as_microsecond()).expect("after 1970"))
}

fn hour(text: &str) -> Hour {
    Hour::parse(text).expect("an hour")
}

/// The same hours every day.
fn daily(zone: &str, hours: &[&str], holidays: &[&str]) -> Hours {
    let day: Vec<Hour> = hours.iter().map(|text| hour(text)).collect();
    let holidays = holidays.iter().map(|text| Holiday::parse(text).expect("a day"));
    Hours::new(zone, std::array::from_fn(|_| day.clone()), holidays).expect("a zone")
}

/// Minute by minute, without any cleverness.
fn next_by_walking(hours: &Hours, after: Timestamp, most: u64) -> Option<Timestamp> {
    let open = hours.is_open(after);
    let minute = 60_000_000;
    let first = after.micros() / minute * minute + minute;
    (0..most).map(|step| Timestamp::from_micros(first + step * minute)).find(|at| hours.is_open(*at) != open)
}

#[test]
fn hours_are_what_clocks_on_the_wall_show() {
    let hours = daily("Europe/Paris", &["09:00-12:30", "14:00-18:00"], &["2026-07-14", "12-25"]);
    for (moment, open) in [
        ("2026-01-15T07:59:59Z", false),
        ("2026-01-15T08:00:00Z", true),
        ("2026-07-15T07:00:00Z", true),
        ("2026-07-15T10:29:59Z", true),
        ("2026-07-15T10:30:00Z", false),
        ("2026-07-15T15:59:59.999999Z", true),
        ("2026-07-15T16:00:00Z", false),
        ("2026-07-14T10:00:00Z", false),
        ("2027-07-14T10:00:00Z", true),
        ("2026-12-25T10:00:00Z", false),
        ("2031-12-25T10:00:00Z", false),
    ] {
        assert_eq!(hours.is_open(at(moment)), open, "{moment}");
    }
    assert_eq!(
        hours.next_change(at("2026-07-13T20:00:00Z")),
        Some(at("2026-07-15T07:00:00Z")),
        "over the holiday"
    );
}

#[test]
fn the_clocks_going_forth_and_back_move_nothing_on_the_wall() {
    let hours = daily("Europe/Paris", &["01:30-02:30", "09:00-18:00"], &[]);
    // Forth on 2026-03-29: 02:00 becomes 03:00, so the first hours end there.
    assert_eq!(hours.next_change(at("2026-03-29T00:40:00Z")), Some(at("2026-03-29T01:00:00Z")));
    assert_eq!(hours.next_change(at("2026-03-29T01:00:00Z")), Some(at("2026-03-29T07:00:00Z")));
    // Back on 2026-10-25: 03:00 becomes 02:00, so the half hour from 02:00 is there twice.
    let walk =
        ["2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"];
    for pair in walk.windows(2) {
        assert_eq!(hours.next_change(at(pair[0])), Some(at(pair[1])), "after {}", pair[0]);
    }
    assert_eq!(hours.next_change(at("2026-10-25T01:30:00Z")), Some(at("2026-10-25T08:00:00Z")));
}

#[test]
fn the_next_change_is_the_one_that_walking_finds() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let zones = [
        "Europe/Paris",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kolkata",
        "America/St_Johns",
        "UTC",
    ];
    for _ in 0..150 {
        let zone = zones[random(6) as usize];
        let mut week: [Vec<Hour>; 7] = Default::default();
        for day in &mut week {
            let (from, long) = (random(23 * 60), 1 + random(300));
            let to = (from + long).min(24 * 60);
            let text = format!("{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60);
            day.extend(Hour::parse(&text).filter(|_| random(4) > 0));
        }
        let hours = Hours::new(zone, week, []).expect("a zone");
        // Around the days on which clocks change, mostly.
        let start =
            ["2026-03-08T00:00:00Z", "2026-03-29T00:00:00Z", "2026-10-25T00:00:00Z", "2026-11-01T00:00:00Z"];
        let after =
            Timestamp::from_micros(at(start[random(4) as usize]).micros() + random(86_400) * 1_000_000);
        let walked = next_by_walking(&hours, after, 9 * 24 * 60);
        if let Some(walked) = walked {
            assert_eq!(hours.next_change(after), Some(walked), "{zone}, {hours:?} after {after}");
        }
    }
}

#[test]
fn what_never_changes_has_no_next_change() {
    assert_eq!(daily("UTC", &[], &[]).next_change(at("2026-01-01T00:00:00Z")), None);
    assert_eq!(daily("UTC", &["00:00-24:00"], &[]).next_change(at("2026-01-01T00:00:00Z")), None);
    assert!(Hours::new("Europe/Atlantis", Default::default(), []).is_err());
    for wrong in ["9:00-10:00", "10:00-09:00", "09:00-24:01", "09:60-10:00", "09:00", ""] {
        assert_eq!(Hour::parse(wrong), None, "{wrong}");
    }
    for wrong in ["2026-02-30", "02-30", "2026-1-1", "1-1", ""] {
        assert_eq!(Holiday::parse(wrong), None, "{wrong}");
    }
}

/// Ana in `sales`, which is open from the next full hour on, for an hour.
fn shut(when_closed: WhenClosed) -> Floor {
    let floor = Floor::new();
    // 1 800 000 000 is 2027-01-15T08:00:00Z.
    let hours = Arc::new(daily("UTC", &["09:00-10:00"], &[]));
    floor.group("other", ["ben"]).group_with("sales", ["ana"], |policy| {
        policy.hours = Some(hours);
        policy.when_closed = when_closed;
        policy.max_wait = None;
    })
}

#[test]
fn a_closed_group_falls_back_or_overflows_for_that_reason() {
    let mut floor = shut(WhenClosed::Fallback);
    floor.reload_group("sales", |policy| policy.overflow = Some(group("other")));
    let visit = floor.visitor_arrives("sales");
    floor.fell_back(visit, FallbackReason::ClosedHours);
    floor.reload_group("sales", |policy| policy.when_closed = WhenClosed::Overflow);
    let visit = floor.visitor_arrives("sales");
    floor.sees_offer("ben", visit);
    floor.reload_group("sales", |policy| policy.overflow = None);
    let visit = floor.visitor_arrives("sales");
    floor.fell_back(visit, FallbackReason::ClosedHours);
    assert_eq!(floor.agent("ana").intent(), Presence::Online, "hours touch nobody's presence (D19)");
}

#[test]
fn a_group_that_opens_serves_its_line_at_that_moment() {
    let mut floor = shut(WhenClosed::Queue);
    let (first, second) = (floor.visitor_arrives("sales"), floor.visitor_arrives("sales"));
    floor.sees_nothing("ana", first);
    assert_eq!(floor.next_deadline().map(|at| at.since(floor.now)), Some(secs(3_600)), "nothing polls");
    floor.wait(secs(3_599));
    floor.waits(first, "sales");
    floor.wait(secs(1));
    floor.sees_offer("ana", first);
    floor.sees_offer("ana", second);
}

#[test]
fn who_waits_when_it_closes_stays_until_it_opens_or_they_have_waited_long_enough() {
    let mut floor = shut(WhenClosed::Fallback).cap(1);
    floor.wait(secs(3_600));
    let served = floor.serves("ana", "sales");
    let waits = floor.visitor_arrives("sales");
    floor.wait(secs(3_600));
    done(floor.closes("ana", served));
    floor.waits(waits, "sales");
    let late = floor.visitor_arrives("sales");
    floor.fell_back(late, FallbackReason::ClosedHours);
    floor.wait(secs(23 * 3_600));
    floor.sees_offer("ana", waits);
    done(floor.accepts("ana", waits));
    // With an end to the wait, which comes after the closing.
    floor.reload_group("sales", |policy| policy.max_wait = Some(secs(300)));
    floor.wait(secs(3_500));
    let last = floor.visitor_arrives("sales");
    floor.wait(secs(299));
    assert_eq!(floor.conversation(last).phase(), Some(Phase::Waiting));
    floor.wait(secs(2));
    floor.fell_back(last, FallbackReason::ClosedHours);
}

#[test]
fn a_restart_keeps_the_deadline() {
    let mut floor = shut(WhenClosed::Queue);
    let visit = floor.visitor_arrives("sales");
    floor.crash(secs(60));
    floor.connects("ana");
    floor.visitor_is_present(visit, true);
    floor.wait(secs(3_600 - 60 - 1));
    floor.waits(visit, "sales");
    floor.wait(secs(2));
    floor.sees_offer("ana", visit);
}

#[test]
fn a_changed_calendar_counts_at_once() {
    let mut floor = shut(WhenClosed::Queue);
    let visit = floor.visitor_arrives("sales");
    floor.waits(visit, "sales");
    floor.reload_group("sales", |policy| policy.hours = None);
    floor.sees_offer("ana", visit);
}

#[test]
fn people_may_still_take_by_hand() {
    let mut floor = shut(WhenClosed::Queue);
    let visit = floor.visitor_arrives("sales");
    done(floor.takes("ana", visit));
    assert_eq!(floor.owner(visit), Some("ana"));
}
