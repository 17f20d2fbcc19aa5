//! Presence: what agents intend, whether they are there, and whether they answer, are separate facts.

use super::floor::*;
use crate::routing::{
    By, FallbackReason, OfferOutcome, Presence, Refusal, RescindReason, WhenEmpty, WhyNot,
    conversation::{Ask, Event, Phase},
};

const GRACE: std::time::Duration = secs(15);

fn floor() -> Floor {
    Floor::new().group_with("sales", ["ana"], |rules| rules.when_empty = WhenEmpty::Queue)
}

/// Known-bugs shape (d), D20 and D21: presence by block-list or by device.
#[test]
fn eligible_is_an_allow_list() {
    type Is = fn(&mut Floor);
    let ways: [(Option<WhyNot>, Is); 8] = [
        (None, |_| ()),
        (Some(WhyNot::Away), |floor| floor.intends("ana", Presence::Away)),
        (Some(WhyNot::Offline), |floor| floor.intends("ana", Presence::Offline)),
        (Some(WhyNot::Reconnecting), |floor| floor.disconnects("ana")),
        (Some(WhyNot::NotLive), |floor| {
            floor.disconnects("ana");
            floor.wait(GRACE);
        }),
        (Some(WhyNot::NoPermission), |floor| {
            floor.puts("ana", |profile| profile.live_chat = false).expect("changed");
        }),
        (Some(WhyNot::Removed), |floor| done(floor.removes("ana"))),
        (Some(WhyNot::Quarantined), |floor| floor.sets_agent_aside("ana")),
    ];
    for (why_not, is) in ways {
        let mut floor = floor();
        is(&mut floor);
        let visit = floor.visitor_arrives("sales");
        assert_eq!(floor.agent("ana").why_not(&floor.context()), why_not);
        assert_eq!(floor.offered_to(visit).len(), usize::from(why_not.is_none()), "{why_not:?}");
    }
}

/// AD-5.
#[test]
fn who_is_not_permitted_can_not_be_given_anything_by_hand_either() {
    let mut floor = floor();
    floor.puts("ana", |profile| profile.live_chat = false).expect("changed");
    let visit = floor.visitor_arrives("sales");
    let refused = Err(Refusal::NotEligible(WhyNot::NoPermission));
    assert_eq!(floor.assigns(visit, to_agent("ana")), refused);
    assert_eq!(floor.takes("ana", visit), refused);
}

#[test]
fn connecting_changes_no_intent() {
    let mut floor = floor();
    floor.goes_offline("ana");
    floor.disconnects("ana");
    floor.wait(GRACE);
    floor.connects("ana");
    assert_eq!(floor.agent("ana").intent(), Presence::Offline);
    let visit = floor.visitor_arrives("sales");
    floor.waits(visit, "sales");
}

#[test]
fn who_is_away_keeps_what_they_have() {
    let mut floor = floor();
    let visit = floor.serves("ana", "sales");
    floor.intends("ana", Presence::Away);
    floor.asks(By::Agent(agent("ana")), visit, Ask::Say(text("one moment"))).expect("said");
    assert_eq!(floor.owner(visit), Some("ana"));
}

// === Sessions ===

#[test]
fn a_lost_session_has_a_grace_in_which_offers_stay() {
    let mut floor = floor();
    let visit = floor.visitor_arrives("sales");
    floor.disconnects("ana");
    floor.wait(GRACE - MICRO);
    floor.sees_offer("ana", visit);
    floor.connects("ana");
    floor.wait(secs(5));
    floor.accepts("ana", visit).expect("accepted");
}

#[test]
fn after_the_grace_pending_offers_go_on_without_a_miss() {
    let mut floor =
        Floor::new().group("sales", ["ana", "ben"]).rules(|policy| policy.auto_away_after = Some(1));
    let visit = floor.visitor_arrives("sales");
    floor.disconnects("ana");
    floor.wait(GRACE);
    floor.sees_offer("ben", visit);
    let gone = OfferOutcome::Rescinded(RescindReason::AgentGone);
    assert!(floor.events(visit).contains(&&Event::OfferEnded { agent: agent("ana"), outcome: gone }));
    assert_eq!(floor.agent("ana").intent(), Presence::Online, "intent is untouched");
    floor.connects("ana");
    floor.declines("ben", visit).expect("declined");
    floor.sees_offer("ana", visit);
}

#[test]
fn the_last_of_two_sessions_counts() {
    let mut floor = floor();
    floor.connects("ana");
    floor.disconnects("ana");
    floor.wait(secs(60));
    let visit = floor.visitor_arrives("sales");
    floor.sees_offer("ana", visit);
    floor.disconnects("ana");
    assert_eq!(floor.agent("ana").why_not(&floor.context()), Some(WhyNot::Reconnecting));
}

#[test]
fn a_reconnected_agent_is_given_what_waits() {
    let mut floor = floor();
    floor.disconnects("ana");
    let visit = floor.visitor_arrives("sales");
    floor.waits(visit, "sales");
    floor.connects("ana");
    floor.sees_offer("ana", visit);
}

#[test]
fn owned_conversations_stay_unless_the_group_wants_them_back() {
    for requeue in [false, true] {
        let mut floor =
            Floor::new().group_with("sales", ["ana", "ben"], |rules| rules.requeue_on_disconnect = requeue);
        let visit = floor.serves("ana", "sales");
        floor.disconnects("ana");
        floor.wait(GRACE - MICRO);
        assert_eq!(floor.owner(visit), Some("ana"));
        floor.wait(MICRO);
        match requeue {
            false => assert_eq!(floor.owner(visit), Some("ana")),
            true => floor.sees_offer("ben", visit),
        }
        assert_eq!(floor.slots("ana"), u16::from(!requeue));
    }
}

#[test]
fn going_offline_by_command_requeues_nothing() {
    let mut floor =
        Floor::new().group_with("sales", ["ana", "ben"], |rules| rules.requeue_on_disconnect = true);
    let visit = floor.serves("ana", "sales");
    floor.goes_offline("ana");
    floor.wait(secs(60));
    assert_eq!(floor.owner(visit), Some("ana"));
}

// === Misses ===

#[test]
fn after_so_many_misses_in_a_row_an_agent_is_set_away() {
    let mut floor = floor().rules(|policy| policy.auto_away_after = Some(2));
    let miss = |floor: &mut Floor| {
        let visit = floor.visitor_arrives("sales");
        floor.wait(secs(45));
        floor.fell_back(visit, FallbackReason::OffersExhausted);
    };
    miss(&mut floor);
    floor.serves("ana", "sales");
    miss(&mut floor);
    assert_eq!(floor.agent("ana").intent(), Presence::Online, "an accepted offer begins a new row");
    miss(&mut floor);
    assert_eq!(floor.agent("ana").intent(), Presence::Away);
    floor.intends("ana", Presence::Online);
    miss(&mut floor);
    assert_eq!(floor.agent("ana").intent(), Presence::Online, "their own word begins a new row too");
}

#[test]
fn who_is_never_set_away_may_miss_for_ever() {
    let mut floor = floor();
    for _ in 0..20 {
        let visit = floor.visitor_arrives("sales");
        floor.sees_offer("ana", visit);
        floor.wait(secs(45));
    }
}

// === Removed ===

/// Design §3.12.
#[test]
fn a_removed_agent_finishes_what_they_have_and_their_offers_go_on() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    let owned = floor.serves("ana", "sales");
    let offered = floor.visitor_arrives_with("sales", |opening| opening.preferred = Some(agent("ana")));
    floor.sees_offer("ana", offered);
    floor.removes("ana").expect("removed");
    assert_eq!(floor.owner(owned), Some("ana"));
    floor.sees_offer("ben", offered);
    let removed = OfferOutcome::Rescinded(RescindReason::Removed);
    assert!(floor.events(offered).contains(&&Event::OfferEnded { agent: agent("ana"), outcome: removed }));
    floor.closes("ana", owned).expect("closed");
    assert_eq!(floor.phase(owned), Phase::Closed);
    assert_eq!(floor.removes("ana"), Err(Refusal::NotFound));
}

#[test]
fn two_agents_have_no_name_in_common() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    assert!(matches!(floor.puts("ben", |profile| profile.name = "ana".into()), Err(Refusal::Invalid(_))));
    assert!(matches!(floor.puts("ben", |profile| profile.name = "".into()), Err(Refusal::Invalid(_))));
}

#[test]
fn an_agent_who_changed_groups_is_a_candidate_in_the_new_one_only() {
    let mut floor = Floor::new().group("sales", ["ana"]).group("support", []);
    floor.puts("ana", |profile| profile.groups = vec![group("support")]).expect("changed");
    let sales = floor.visitor_arrives("sales");
    floor.fell_back(sales, FallbackReason::NobodyOnline);
    let support = floor.visitor_arrives("support");
    floor.sees_offer("ana", support);
}
