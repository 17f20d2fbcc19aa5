//! When nobody can: which reason, when, where it goes first, and what the visitor is told.

use super::floor::*;
use crate::routing::{
    FallbackReason, GroupPolicy, Presence, QueueCause, Strategy, WhenEmpty,
    conversation::{Event, Phase},
};

const TIMEOUT: u64 = 45;
const MAX_WAIT: u64 = 120;

/// How a member of the table stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    Free,
    Full,
    Away,
    Offline,
    NotLive,
}

/// What the design says of a cell: offers made, the reason, and when.
fn expected(max_offers: Option<u64>, members: &[Stands]) -> (u64, FallbackReason, u64) {
    let count = |stands| members.iter().filter(|member| **member == stands).count() as u64;
    let (free, full) = (count(Stands::Free), count(Stands::Full));
    if free + full == 0 {
        return (0, FallbackReason::NobodyOnline, 0);
    }
    // An offer may begin before `max_wait` only.
    let in_time = MAX_WAIT.div_ceil(TIMEOUT);
    let offers = free.min(in_time).min(max_offers.unwrap_or(u64::MAX));
    let ended = offers * TIMEOUT;
    if Some(offers) == max_offers || (offers == free && full == 0) {
        (offers, FallbackReason::OffersExhausted, ended)
    } else if free == 0 {
        (0, FallbackReason::AllAtCapacity, MAX_WAIT)
    } else {
        (offers, FallbackReason::WaitedTooLong, ended.max(MAX_WAIT))
    }
}

fn play(max_offers: Option<u64>, members: &[Stands]) -> (u64, FallbackReason, u64) {
    let mut floor = Floor::new()
        .cap(1)
        .group_with("sales", [], |rules| rules.max_offers = max_offers.map(|max| max as u32))
        .group_with("desk", [], |rules| rules.when_empty = WhenEmpty::Queue);
    for (number, stands) in members.iter().enumerate() {
        let name = format!("agent{number}");
        floor.puts(&name, |profile| profile.groups = vec![group("sales")]).expect("put");
        match stands {
            Stands::Free => floor.comes_online(&name),
            Stands::Full => {
                floor.comes_online(&name);
                let busy = floor.visitor_arrives("desk");
                floor.assigns(busy, to_agent(&name)).expect("assigned");
            }
            Stands::Away => {
                floor.connects(&name);
                floor.intends(&name, Presence::Away);
            }
            Stands::Offline => floor.connects(&name),
            Stands::NotLive => floor.intends(&name, Presence::Online),
        }
    }
    let began = floor.now;
    let visit = floor.visitor_arrives("sales");
    floor.wait(secs(600));
    let fell_back = floor.records(visit).find_map(|record| {
        record.events.iter().find_map(|event| match event {
            Event::FellBack { reason, .. } => Some((*reason, record.at)),
            _ => None,
        })
    });
    let (reason, at) = fell_back.expect("it fell back");
    let offers = floor.events(visit).iter().filter(|event| matches!(event, Event::Offered { .. })).count();
    (offers as u64, reason, at.since(began).as_secs())
}

/// AD-19, AD-20, AD-21: every cell of max_offers x members x how each of them stands.
#[test]
fn the_truth_table_of_offers_and_reasons() {
    use Stands::{Away, Free, Full, NotLive, Offline};
    let all = [Free, Full, Away, Offline, NotLive];
    let mut rows: Vec<Vec<Stands>> = vec![vec![]];
    for size in 1..=4 {
        let smaller: Vec<_> = rows.iter().filter(|row| row.len() == size - 1).cloned().collect();
        let kinds = if size < 4 { &all[..] } else { &all[..2] };
        for (row, next) in smaller.iter().flat_map(|row| kinds.iter().map(move |next| (row, *next))) {
            rows.push(row.iter().copied().chain([next]).collect());
        }
    }
    for row in &rows {
        for max_offers in [Some(1), Some(2), Some(3), None] {
            let found = play(max_offers, row);
            assert_eq!(found, expected(max_offers, row), "max_offers {max_offers:?}, members {row:?}");
        }
    }
}

// === What holds at `max_wait` ===

fn waiting_room(edit: impl FnOnce(&mut GroupPolicy)) -> Floor {
    Floor::new().cap(1).group_with("sales", ["ana"], |rules| {
        rules.when_empty = WhenEmpty::Queue;
        edit(rules);
    })
}

#[test]
fn at_max_wait_it_is_nobody_online_if_nobody_is() {
    let mut floor = waiting_room(|_| ());
    floor.goes_offline("ana");
    let visit = floor.visitor_arrives("sales");
    floor.wait(secs(MAX_WAIT) - MICRO);
    floor.waits(visit, "sales");
    floor.wait(MICRO);
    floor.fell_back(visit, FallbackReason::NobodyOnline);
}

#[test]
fn at_max_wait_it_is_all_at_capacity_if_everybody_is_full() {
    let mut floor = waiting_room(|_| ());
    floor.serves("ana", "sales");
    let visit = floor.visitor_arrives("sales");
    floor.wait(secs(MAX_WAIT) - MICRO);
    floor.waits(visit, "sales");
    floor.wait(MICRO);
    floor.fell_back(visit, FallbackReason::AllAtCapacity);
}

#[test]
fn at_max_wait_it_is_waited_too_long_if_somebody_could_have_taken_it() {
    let mut floor = waiting_room(|rules| rules.strategy = Strategy::Pull);
    let visit = floor.visitor_arrives("sales");
    floor.wait(secs(MAX_WAIT));
    floor.fell_back(visit, FallbackReason::WaitedTooLong);
}

#[test]
fn who_is_reconnecting_is_neither_absent_nor_full() {
    let mut floor = waiting_room(|_| ());
    floor.disconnects("ana");
    floor.wait(secs(14));
    floor.connects("ana");
    floor.serves("ana", "sales");
    let visit = floor.visitor_arrives("sales");
    floor.wait(secs(MAX_WAIT - 5));
    floor.disconnects("ana");
    floor.wait(secs(5));
    floor.fell_back(visit, FallbackReason::WaitedTooLong);
}

#[test]
fn the_wait_counts_from_enqueueing_and_runs_on_during_offers() {
    let mut floor = Floor::new().group("sales", ["ana", "ben", "cleo", "dan"]);
    let visit = floor.visitor_arrives("sales");
    floor.wait(secs(90));
    floor.sees_offer("cleo", visit);
    // The offer that is pending at `max_wait` is never cut short.
    floor.wait(secs(45) - MICRO);
    floor.sees_offer("cleo", visit);
    floor.wait(MICRO);
    floor.fell_back(visit, FallbackReason::WaitedTooLong);
}

#[test]
fn an_offer_that_is_pending_at_max_wait_can_be_accepted() {
    let mut floor = Floor::new().group("sales", ["ana", "ben", "cleo"]);
    let visit = floor.visitor_arrives("sales");
    floor.wait(secs(MAX_WAIT + 10));
    floor.accepts("cleo", visit).expect("accepted");
}

#[test]
fn a_stay_without_max_wait_has_no_deadline() {
    let mut floor = waiting_room(|rules| rules.max_wait = None);
    floor.goes_offline("ana");
    let visit = floor.visitor_arrives("sales");
    assert_eq!(floor.next_deadline(), None);
    floor.wait(secs(365 * 24 * 3_600));
    floor.waits(visit, "sales");
    floor.intends("ana", Presence::Online);
    floor.sees_offer("ana", visit);
}

#[test]
fn an_untried_member_at_cap_is_waited_for() {
    let mut floor = Floor::new().cap(1).group("sales", ["ana", "ben"]);
    let busy = floor.visitor_arrives("everyone");
    floor.assigns(busy, to_agent("ben")).expect("assigned");
    let visit = floor.visitor_arrives("sales");
    floor.declines("ana", visit).expect("declined");
    floor.waits(visit, "sales");
    floor.wait(secs(30));
    floor.closes("ben", busy).expect("closed");
    floor.sees_offer("ben", visit);
}

#[test]
fn when_the_last_untried_member_goes_the_offers_are_exhausted() {
    let mut floor = Floor::new().cap(1).group("sales", ["ana", "ben"]);
    let busy = floor.visitor_arrives("everyone");
    floor.assigns(busy, to_agent("ben")).expect("assigned");
    let visit = floor.visitor_arrives("sales");
    floor.declines("ana", visit).expect("declined");
    floor.waits(visit, "sales");
    floor.goes_offline("ben");
    floor.fell_back(visit, FallbackReason::OffersExhausted);
}

/// AD-12.
#[test]
fn a_conversation_for_one_agent_is_offered_to_nobody_else() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    let visit = floor.visitor_asks_for("ana");
    floor.sees_offer("ana", visit);
    floor.wait(secs(TIMEOUT));
    floor.fell_back(visit, FallbackReason::OffersExhausted);
}

/// AD-12.
#[test]
fn a_conversation_for_one_agent_falls_back_at_once_when_they_are_not_online() {
    for when_empty in [WhenEmpty::Queue, WhenEmpty::Reject, WhenEmpty::Overflow] {
        let mut floor = Floor::new().group("sales", ["ana", "ben"]).rules(|policy| {
            let everyone =
                GroupPolicy { when_empty, overflow: Some(group("sales")), ..GroupPolicy::default() };
            policy.everyone = everyone.into();
        });
        floor.intends("ana", Presence::Away);
        let visit = floor.visitor_asks_for("ana");
        floor.fell_back(visit, FallbackReason::NobodyOnline);
    }
}

#[test]
fn a_conversation_for_one_agent_waits_while_they_are_full() {
    let mut floor = Floor::new().cap(1).group("sales", ["ana", "ben"]);
    let busy = floor.serves("ana", "sales");
    let visit = floor.visitor_asks_for("ana");
    floor.waits(visit, "everyone");
    floor.wait(secs(MAX_WAIT));
    floor.fell_back(visit, FallbackReason::AllAtCapacity);
    let second = floor.visitor_asks_for("ana");
    floor.closes("ana", busy).expect("closed");
    floor.sees_offer("ana", second);
}

#[test]
fn a_conversation_for_one_agent_falls_back_when_they_leave() {
    let mut floor = Floor::new().cap(1).group("sales", ["ana", "ben"]);
    floor.serves("ana", "sales");
    let visit = floor.visitor_asks_for("ana");
    floor.goes_offline("ana");
    floor.fell_back(visit, FallbackReason::NobodyOnline);
}

// === Where it goes first ===

#[test]
fn an_empty_group_queues_rejects_or_overflows() {
    for (when_empty, seen) in [
        (WhenEmpty::Queue, (Phase::Waiting, "sales")),
        (WhenEmpty::Reject, (Phase::Missed, "sales")),
        (WhenEmpty::Overflow, (Phase::Offered, "support")),
    ] {
        let mut floor = Floor::new()
            .group_with("sales", [], |rules| {
                rules.when_empty = when_empty;
                rules.overflow = Some(group("support"));
            })
            .group("support", ["ben"]);
        let visit = floor.visitor_arrives("sales");
        let here = floor.conversation(visit).group().cloned();
        assert_eq!((floor.phase(visit), here), (seen.0, Some(group(seen.1))), "{when_empty:?}");
    }
}

#[test]
fn overflow_without_a_group_to_go_to_falls_back() {
    let mut floor = Floor::new().group("sales", []);
    let visit = floor.visitor_arrives("sales");
    floor.fell_back(visit, FallbackReason::NobodyOnline);
}

#[test]
fn a_disabled_group_takes_no_overflow() {
    let mut floor = Floor::new()
        .group_with("sales", [], |rules| rules.overflow = Some(group("support")))
        .group_with("support", ["ben"], |rules| rules.enabled = false);
    let visit = floor.visitor_arrives("sales");
    floor.fell_back(visit, FallbackReason::NobodyOnline);
}

#[test]
fn exhausted_offers_and_long_waits_overflow_too() {
    let mut floor = Floor::new()
        .cap(1)
        .group_with("sales", ["ana"], |rules| rules.overflow = Some(group("support")))
        .group("support", ["ben"]);
    let visit = floor.visitor_arrives("sales");
    floor.declines("ana", visit).expect("declined");
    floor.sees_offer("ben", visit);

    let busy = floor.serves("ana", "sales");
    floor.accepts("ben", visit).expect("accepted");
    let late = floor.visitor_arrives("sales");
    floor.wait(secs(MAX_WAIT));
    floor.waits(late, "support");
    floor.wait(secs(MAX_WAIT));
    floor.fell_back(late, FallbackReason::AllAtCapacity);
    assert_eq!(floor.owner(busy), Some("ana"));
}

fn chain(length: usize) -> Floor {
    let mut floor = Floor::new();
    for number in 0..length {
        let overflow = Some(group(&format!("group{}", (number + 1) % length)));
        floor = floor.group_with(&format!("group{number}"), [], |rules| rules.overflow = overflow);
    }
    floor
}

fn path(floor: &Floor, visit: Visit) -> Vec<String> {
    let queued = floor.events(visit).into_iter().filter_map(|event| match event {
        Event::Queued { group, .. } => Some(group.to_string()),
        _ => None,
    });
    queued.collect()
}

#[test]
fn an_overflow_chain_has_at_most_four_groups() {
    let mut floor = chain(6);
    let visit = floor.visitor_arrives("group0");
    floor.fell_back(visit, FallbackReason::NobodyOnline);
    assert_eq!(path(&floor, visit), ["group0", "group1", "group2", "group3"]);
}

#[test]
fn a_circle_of_overflows_ends_too() {
    let mut floor = chain(2);
    let visit = floor.visitor_arrives("group0");
    floor.fell_back(visit, FallbackReason::NobodyOnline);
    assert_eq!(path(&floor, visit), ["group0", "group1", "group0", "group1"]);
}

#[test]
fn a_full_queue_turns_arrivals_away() {
    let mut floor = Floor::new().cap(1).group_with("sales", ["ana"], |rules| rules.queue_max = Some(2));
    floor.serves("ana", "sales");
    let waiting = [(); 2].map(|()| floor.visitor_arrives("sales"));
    let third = floor.visitor_arrives("sales");
    floor.fell_back(third, FallbackReason::QueueFull);
    for visit in waiting {
        floor.waits(visit, "sales");
    }
    assert_eq!(floor.group_view("sales").waiting(), 2);
}

#[test]
fn a_conversation_that_comes_back_after_an_offer_is_no_arrival() {
    let mut floor =
        Floor::new().cap(1).group_with("sales", ["ana", "ben"], |rules| rules.queue_max = Some(1));
    floor.serves("ana", "sales");
    let offered = floor.visitor_arrives("sales");
    floor.sees_offer("ben", offered);
    let waiting = floor.visitor_arrives("sales");
    floor.waits(waiting, "sales");
    floor.declines("ben", offered).expect("declined");
    floor.waits(offered, "sales");
}

// === What the visitor is told ===

#[test]
fn the_fallback_message_is_that_of_the_last_group() {
    let mut floor = Floor::new()
        .group_with("sales", [], |rules| {
            rules.overflow = Some(group("support"));
            rules.fallback_message = Some("sales is closed".into());
        })
        .group_with("support", [], |rules| rules.fallback_message = Some("nobody is here".into()));
    let visit = floor.visitor_arrives("sales");
    let told: Vec<_> = floor
        .events(visit)
        .into_iter()
        .filter_map(|event| match event {
            Event::FellBack { message, .. } => Some(message.as_deref()),
            _ => None,
        })
        .collect();
    assert_eq!(told, [Some("nobody is here")]);
}

/// S9: each stay ends once, and the message goes out at most once per stay.
#[test]
fn every_stay_has_one_end() {
    let mut floor = Floor::new().group("sales", ["ana"]);
    let visit = floor.visitor_arrives("sales");
    for _ in 0..3 {
        floor.wait(secs(MAX_WAIT));
        floor.fell_back(visit, FallbackReason::OffersExhausted);
        floor.visitor_says(visit, "is anybody there?").expect("said");
        floor.sees_offer("ana", visit);
    }
    floor.accepts("ana", visit).expect("accepted");
    let count = |wanted: fn(&Event) -> bool| floor.events(visit).iter().filter(|event| wanted(event)).count();
    assert_eq!(count(|event| matches!(event, Event::Queued { .. })), 4);
    assert_eq!(count(|event| matches!(event, Event::FellBack { .. })), 3);
    assert_eq!(count(|event| matches!(event, Event::Assigned { .. })), 1);
}

#[test]
fn an_overflow_is_recorded_as_a_new_stay() {
    let mut floor = Floor::new()
        .group_with("sales", [], |rules| rules.overflow = Some(group("support")))
        .group("support", ["ben"]);
    let visit = floor.visitor_arrives("sales");
    let causes: Vec<_> = floor
        .events(visit)
        .into_iter()
        .filter_map(|event| match event {
            Event::Queued { cause, chain, .. } => Some((*cause, *chain)),
            _ => None,
        })
        .collect();
    assert_eq!(causes, [(QueueCause::Opened, 0), (QueueCause::Overflow, 1)]);
}
