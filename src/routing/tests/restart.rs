//! After a start: the log tells the same story, and downtime makes nobody miss anything (design §3.7).

use super::floor::*;
use crate::routing::{
    By, CloseReason, FallbackReason, Presence, Strategy, WhenEmpty,
    conversation::{Ask, OfferKind, Phase},
};

const DOWN: std::time::Duration = secs(3_600);
const TIMEOUT: std::time::Duration = secs(45);

#[test]
fn what_was_owned_is_owned_and_holds_its_slot() {
    let mut floor = Floor::new().cap(1).group("sales", ["ana", "ben"]);
    let owned = floor.serves("ana", "sales");
    floor.crash(DOWN);
    assert_eq!((floor.owner(owned), floor.slots("ana")), (Some("ana"), 1));
    floor.connects("ana");
    let next = floor.visitor_arrives("sales");
    floor.sees_nothing("ana", next);
    floor.closes("ana", owned).expect("closed");
    floor.sees_offer("ana", next);
}

/// Known-bugs shape (e), D19: start-up code that overwrites live state.
#[test]
fn intent_survives() {
    let mut floor = Floor::new().group("sales", ["ana", "ben", "cleo"]);
    floor.intends("ben", Presence::Away);
    floor.goes_offline("cleo");
    floor.crash(DOWN);
    let intents = ["ana", "ben", "cleo"].map(|name| floor.agent(name).intent());
    assert_eq!(intents, [Presence::Online, Presence::Away, Presence::Offline]);
}

#[test]
fn a_pending_offer_is_pending_for_what_remained_but_the_grace_at_least() {
    for (passed, left) in [(secs(10), secs(35)), (secs(40), RECONNECT_GRACE)] {
        let mut floor = Floor::new().group("sales", ["ana", "ben"]);
        let visit = floor.visitor_arrives("sales");
        floor.wait(passed);
        floor.crash(DOWN);
        let deadline = floor.pending("ana", visit).expect("an offer").deadline;
        assert_eq!(deadline, Some(floor.now + left));
        floor.connects("ana");
        floor.wait(left - MICRO);
        floor.accepts("ana", visit).expect("accepted");
    }
}

#[test]
fn an_offer_to_who_does_not_come_back_goes_on_after_the_grace_without_a_miss() {
    for passed in [secs(10), secs(40)] {
        let mut floor =
            Floor::new().group("sales", ["ana", "ben"]).rules(|policy| policy.auto_away_after = Some(1));
        let visit = floor.visitor_arrives("sales");
        floor.wait(passed);
        floor.crash(DOWN);
        floor.connects("ben");
        floor.wait(RECONNECT_GRACE);
        floor.sees_offer("ben", visit);
        assert_eq!(floor.agent("ana").intent(), Presence::Online, "downtime is a miss for nobody");
    }
}

#[test]
fn nothing_new_is_offered_to_who_is_reconnecting_and_nobody_is_absent() {
    let mut floor = Floor::new().group("sales", ["ana"]);
    floor.crash(DOWN);
    let visit = floor.visitor_arrives("sales");
    floor.waits(visit, "sales");
    floor.connects("ana");
    floor.sees_offer("ana", visit);
}

#[test]
fn no_visitor_falls_back_because_of_downtime() {
    let mut floor = Floor::new().cap(1).group("sales", ["ana"]);
    let busy = floor.serves("ana", "sales");
    let waiting = floor.visitor_arrives("sales");
    floor.wait(secs(119));
    floor.crash(DOWN);
    floor.visitor_is_present(waiting, true);
    floor.wait(RECONNECT_GRACE - MICRO);
    floor.waits(waiting, "sales");
    floor.connects("ana");
    floor.closes("ana", busy).expect("closed");
    floor.sees_offer("ana", waiting);
}

#[test]
fn what_remained_of_the_wait_runs_on() {
    let mut floor = Floor::new().cap(1).group("sales", ["ana"]);
    floor.serves("ana", "sales");
    let waiting = floor.visitor_arrives("sales");
    floor.wait(secs(60));
    floor.crash(DOWN);
    floor.connects("ana");
    floor.visitor_is_present(waiting, true);
    floor.wait(secs(60) - MICRO);
    floor.waits(waiting, "sales");
    floor.wait(MICRO);
    floor.fell_back(waiting, FallbackReason::AllAtCapacity);
}

#[test]
fn the_line_keeps_its_order() {
    let mut floor = Floor::new().cap(1).group("sales", ["ana"]);
    let busy = floor.serves("ana", "sales");
    let visits = [(); 3].map(|()| {
        floor.wait(secs(1));
        floor.visitor_arrives("sales")
    });
    floor.crash(secs(1));
    assert_eq!(visits.map(|visit| floor.group_view("sales").ahead_of(visit.id)), [Some(0), Some(1), Some(2)]);
    floor.connects("ana");
    floor.closes("ana", busy).expect("closed");
    floor.sees_offer("ana", visits[0]);
}

#[test]
fn who_missed_or_declined_it_is_not_tried_again() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    let visit = floor.visitor_arrives("sales");
    floor.declines("ana", visit).expect("declined");
    floor.crash(DOWN);
    floor.all_connect(["ana", "ben"]);
    floor.visitor_is_present(visit, true);
    floor.wait(TIMEOUT);
    floor.fell_back(visit, FallbackReason::OffersExhausted);
}

#[test]
fn round_robin_goes_on_where_it_stood() {
    let mut floor = Floor::new().group("sales", ["ana", "ben", "cleo"]);
    floor.serves("ana", "sales");
    floor.crash(DOWN);
    floor.all_connect(["ana", "ben", "cleo"]);
    let visit = floor.visitor_arrives("sales");
    floor.sees_offer("ben", visit);
}

#[test]
fn longest_idle_goes_on_where_it_stood() {
    let mut floor =
        Floor::new().group_with("sales", ["ana", "ben"], |rules| rules.strategy = Strategy::LongestIdle);
    floor.serves("ana", "sales");
    floor.crash(DOWN);
    floor.all_connect(["ana", "ben"]);
    let visit = floor.visitor_arrives("sales");
    floor.sees_offer("ben", visit);
}

#[test]
fn misses_in_a_row_survive() {
    let mut floor = Floor::new().group("sales", ["ana"]).rules(|policy| policy.auto_away_after = Some(2));
    floor.visitor_arrives("sales");
    floor.wait(TIMEOUT);
    floor.crash(DOWN);
    floor.connects("ana");
    floor.visitor_arrives("sales");
    floor.wait(TIMEOUT);
    assert_eq!(floor.agent("ana").intent(), Presence::Away);
}

#[test]
fn an_announcement_still_reaches_who_comes_after_the_start() {
    let mut floor = Floor::new().group_with("sales", ["ana", "ben"], |rules| {
        rules.strategy = Strategy::Pull;
        rules.max_wait = None;
    });
    floor.goes_offline("ben");
    let visit = floor.visitor_arrives("sales");
    assert_eq!(floor.offered_to(visit), ["ana"]);
    floor.crash(DOWN);
    floor.visitor_is_present(visit, true);
    floor.connects("ben");
    floor.intends("ben", Presence::Online);
    assert_eq!(floor.offered_to(visit), ["ana", "ben"]);
    assert_eq!(floor.group_view("sales").waiting(), 1);
    floor.accepts("ben", visit).expect("accepted");
    assert_eq!(floor.group_view("sales").waiting(), 0);
}

#[test]
fn a_handover_and_an_invitation_are_still_pending() {
    let mut floor = Floor::new().group("sales", ["ana", "ben", "cleo"]);
    let visit = floor.serves("ana", "sales");
    floor.hands("ana", visit, to_agent("ben")).expect("handed");
    floor.asks(By::Agent(agent("ana")), visit, Ask::Invite { agent: agent("cleo") }).expect("invited");
    floor.crash(DOWN);
    floor.all_connect(["ana", "ben", "cleo"]);
    floor.sees("ben", visit, OfferKind::Handover);
    floor.sees("cleo", visit, OfferKind::Invitation);
    floor.accepts("ben", visit).expect("accepted");
    floor.accepts("cleo", visit).expect("joined");
    assert_eq!((floor.owner(visit), floor.participants(visit)), (Some("ben"), vec!["cleo"]));
    assert_eq!((floor.slots("ana"), floor.slots("ben")), (0, 1));
}

#[test]
fn an_owner_who_was_away_and_does_not_come_back_gives_up_what_the_group_wants_back() {
    for comes_back in [true, false] {
        let mut floor =
            Floor::new().group_with("sales", ["ana", "ben"], |rules| rules.requeue_on_disconnect = true);
        let visit = floor.serves("ana", "sales");
        floor.intends("ana", Presence::Away);
        floor.crash(DOWN);
        floor.connects("ben");
        floor.visitor_is_present(visit, true);
        if comes_back {
            floor.connects("ana");
        }
        floor.wait(RECONNECT_GRACE);
        match comes_back {
            true => assert_eq!(floor.owner(visit), Some("ana")),
            false => floor.sees_offer("ben", visit),
        }
    }
}

#[test]
fn the_visitors_grace_starts_anew_after_the_grace_of_the_start() {
    let mut floor = Floor::new().group_with("sales", [], |rules| rules.when_empty = WhenEmpty::Queue);
    let visit = floor.visitor_arrives("sales");
    floor.crash(DOWN);
    floor.wait(RECONNECT_GRACE + secs(30) - MICRO);
    floor.waits(visit, "sales");
    floor.wait(MICRO);
    assert_eq!(floor.conversation(visit).closed_because(), Some(CloseReason::Abandoned));
}

#[test]
fn the_ttl_of_a_missed_conversation_runs_on() {
    let mut floor = Floor::new().group("sales", []);
    let visit = floor.visitor_arrives("sales");
    floor.fell_back(visit, FallbackReason::NobodyOnline);
    floor.crash(secs(24 * 3_600));
    floor.wait(secs(0));
    assert_eq!(floor.conversation(visit).closed_because(), Some(CloseReason::MissedExpired));
}

#[test]
fn the_second_opening_of_a_visitor_still_finds_the_first() {
    let mut floor = Floor::new().group("sales", ["ana"]);
    let visit = floor.serves("ana", "sales");
    floor.crash(DOWN);
    let mut second = floor.opening(crate::routing::conversation::Target::Default);
    second.visitor = visit.visitor;
    assert!(matches!(
        floor.opens(&second),
        Ok(crate::routing::Reply::Opened { conversation, existing: true, .. }) if conversation == visit.id
    ));
}

/// Known bug D11: open conversations gone the next day.
#[test]
fn two_crashes_in_a_row_lose_nothing() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    let visits: Vec<_> = (0..12).map(|_| floor.visitor_arrives("sales")).collect();
    for visit in &visits[..4] {
        let name = floor.offered_to(*visit)[0].to_owned();
        floor.accepts(&name, *visit).expect("accepted");
    }
    floor.crash(secs(1));
    floor.crash(secs(1));
    floor.all_connect(["ana", "ben"]);
    let active = visits.iter().filter(|visit| floor.phase(**visit) == Phase::Active).count();
    let offered = visits.iter().filter(|visit| floor.phase(**visit) == Phase::Offered).count();
    assert_eq!((active, offered), (4, 8));
    assert_eq!((floor.slots("ana"), floor.slots("ben")), (6, 6));
}

/// Reliability F16: a start after which many do not come back is a mass loss, too.
#[test]
fn what_was_offered_to_many_who_do_not_come_back_goes_on_at_a_rate() {
    const LOST: usize = 130;
    let mut floor = Floor::new().group("sales", []).cap(1);
    floor.reload_group("sales", |rules| rules.accept_timeout = secs(600));
    let names: Vec<String> = (0..LOST).map(|number| format!("agent{number:03}")).collect();
    for name in &names {
        floor.puts(name, |profile| profile.groups = vec![group("sales")]).expect("put");
        floor.comes_online(name);
    }
    let visits: Vec<Visit> = (0..LOST).map(|_| floor.visitor_arrives("sales")).collect();
    floor.crash(DOWN);
    floor
        .puts("rescue", |profile| {
            profile.groups = vec![group("sales")];
            profile.cap = Some(1_000);
        })
        .expect("put");
    floor.comes_online("rescue");
    let gone_on =
        |floor: &Floor| visits.iter().filter(|visit| floor.pending("rescue", **visit).is_some()).count();
    floor.wait(RECONNECT_GRACE);
    assert_eq!(gone_on(&floor), 101);
    floor.wait(std::time::Duration::from_millis(50));
    assert_eq!(gone_on(&floor), 111);
    floor.wait(secs(1));
    assert_eq!(gone_on(&floor), LOST);
}
