//! What is counted per workspace and granted by it alone: lifetime engagements, seats; and slots of those who help.

use super::floor::*;
use crate::routing::{
    By, FallbackReason, Refusal, Reply, WhyNot,
    agent::Held,
    conversation::{Ask, Event as Happened, OfferKind, Phase, Target},
};

/// A conversation that this agent owns.
fn given(floor: &mut Floor, name: &str) -> Visit {
    let visit = floor.visitor_arrives("sales");
    floor.assigns(visit, to_agent(name)).expect("assigned");
    visit
}

fn closes_by_visitor(floor: &mut Floor, visit: Visit) {
    floor.asks(By::Visitor(visit.visitor), visit, Ask::Close).expect("closed");
}

fn used(floor: &Floor) -> u64 {
    floor.world.workspace.counts().engaged
}

/// AD-1, AD-2, AD-4.
#[test]
fn who_comes_after_the_last_engagement_is_turned_away_with_the_workspaces_message() {
    let mut floor = Floor::new().group("sales", ["ana"]).rules(|policy| {
        policy.lifetime_engagements = Some(1);
        policy.fallback_message = Some("not today".into());
    });
    let first = floor.visitor_arrives("sales");
    let second = floor.visitor_arrives("sales");
    floor.sees_offer("ana", first);
    floor.fell_back(second, FallbackReason::QuotaExhausted);
    let told = floor.events(second).into_iter().find_map(|event| match event {
        Happened::TurnedAway { message, group, .. } => Some((message.clone(), group.clone())),
        _ => None,
    });
    assert_eq!(told, Some((Some("not today".into()), group("sales"))));
    closes_by_visitor(&mut floor, first);
    floor.visitor_says(second, "please").expect("said");
    assert_eq!((floor.phase(second), used(&floor)), (Phase::Missed, 1), "an end gives nothing back");
}

/// AD-3.
#[test]
fn a_raised_limit_lets_in_who_asks_again_and_where_they_wanted_to() {
    let mut floor =
        Floor::new().group("sales", ["ana"]).rules(|policy| policy.lifetime_engagements = Some(1));
    floor.visitor_arrives("sales");
    let second = floor.visitor_arrives("sales");
    floor.reload(|policy| policy.lifetime_engagements = Some(2));
    assert_eq!(floor.phase(second), Phase::Missed, "not by itself");
    for _ in 0..3 {
        floor.visitor_says(second, "please").expect("said");
    }
    floor.sees_offer("ana", second);
    assert_eq!((floor.conversation(second).group(), used(&floor)), (Some(&group("sales")), 2));
}

/// The count is a fold of the log, whatever was granted and not used.
#[test]
fn the_count_survives_a_crash_and_counts_each_conversation_once() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    let served = floor.serves("ana", "sales");
    floor.visitor_arrives("sales");
    floor.assigns(served, to_group("sales")).expect("moved");
    floor.reload(|policy| policy.lifetime_engagements = Some(2));
    floor.visitor_arrives("sales");
    assert_eq!(used(&floor), 2);
    floor.crash(secs(60));
    assert_eq!(used(&floor), 2);
    let third = floor.visitor_arrives("sales");
    floor.fell_back(third, FallbackReason::QuotaExhausted);
}

#[test]
fn what_no_rule_sends_anywhere_is_no_engagement() {
    let mut floor = Floor::new().rules(|policy| {
        policy.default_group = None;
        policy.lifetime_engagements = Some(1);
    });
    let opening = floor.opening(Target::Default);
    assert!(matches!(floor.opens(&opening), Ok(Reply::Opened { status: Phase::Missed, .. })));
    assert_eq!(used(&floor), 0);
}

#[test]
fn nobody_takes_by_hand_what_was_turned_away() {
    let mut floor =
        Floor::new().group("sales", ["ana"]).rules(|policy| policy.lifetime_engagements = Some(1));
    floor.visitor_arrives("sales");
    let second = floor.visitor_arrives("sales");
    assert_eq!(floor.takes("ana", second), Err(Refusal::QuotaExhausted));
    assert_eq!(
        floor.asks(By::Agent(agent("ana")), second, Ask::Say(text("hello"))),
        Err(Refusal::QuotaExhausted)
    );
    assert_eq!(floor.assigns(second, to_agent("ana")), Err(Refusal::QuotaExhausted));
    assert_eq!(floor.assigns(second, to_group("sales")), Err(Refusal::QuotaExhausted));
    floor.reload(|policy| policy.lifetime_engagements = Some(2));
    floor.takes("ana", second).expect("taken");
    assert_eq!((floor.owner(second), used(&floor)), (Some("ana"), 2));
}

/// Let in for an agent who then says no: the engagement is for somebody else.
#[test]
fn what_an_agent_could_not_take_costs_no_engagement() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]).cap(1).rules(|policy| {
        policy.lifetime_engagements = Some(1);
    });
    let first = given(&mut floor, "ana");
    let second = floor.visitor_arrives("sales");
    floor.fell_back(second, FallbackReason::QuotaExhausted);
    floor.reload(|policy| policy.lifetime_engagements = Some(2));
    let full = Err(Refusal::AtCapacity { taken: 1, cap: 1 });
    assert_eq!(floor.takes("ana", second), full);
    assert_eq!(floor.assigns(second, to_agent("ana")), full);
    floor.reload_group("sales", |group| group.queue_max = Some(0));
    assert_eq!(floor.assigns(second, to_group("sales")), Err(Refusal::QueueFull));
    floor.reload_group("sales", |group| group.queue_max = None);
    assert_eq!(used(&floor), 1, "nobody got it");
    let third = floor.visitor_arrives("sales");
    floor.sees_offer("ben", third);
    assert_eq!((used(&floor), floor.phase(first)), (2, Phase::Active));
}

/// One of two who reach for it at once says no, and the other has it: that is one engagement, and no more than there are.
#[test]
fn two_who_reach_for_what_was_turned_away_use_one_engagement() {
    for order in [["ana", "ben"], ["ben", "ana"]] {
        let mut floor = Floor::new().group("sales", ["ana", "ben"]).cap(1).rules(|policy| {
            policy.lifetime_engagements = Some(1);
        });
        given(&mut floor, "ana");
        let second = floor.visitor_arrives("sales");
        floor.reload(|policy| policy.lifetime_engagements = Some(3));
        let asked = order.map(|name| floor.posts(By::Agent(agent(name)), second, Ask::Take));
        floor.settle();
        let answers = asked.map(|request| floor.answer_to(request).is_ok());
        assert_eq!(answers, order.map(|name| name == "ben"));
        assert_eq!((floor.owner(second), used(&floor)), (Some("ben"), 2), "{order:?}");
        let third = floor.visitor_arrives("sales");
        assert_eq!((floor.phase(third), used(&floor)), (Phase::Waiting, 3));
        let fourth = floor.visitor_arrives("sales");
        floor.fell_back(fourth, FallbackReason::QuotaExhausted);
    }
}

/// What was granted for a command that fails is for somebody else.
#[test]
fn a_grant_that_comes_to_nothing_is_given_back() {
    let mut floor =
        Floor::new().group("sales", ["ana"]).rules(|policy| policy.lifetime_engagements = Some(1));
    floor.visitor_arrives("sales");
    let second = floor.visitor_arrives("sales");
    floor.reload(|policy| policy.lifetime_engagements = Some(2));
    floor.goes_offline("ana");
    assert_eq!(floor.takes("ana", second), Err(Refusal::NotEligible(WhyNot::Offline)));
    closes_by_visitor(&mut floor, second);
    assert_eq!(used(&floor), 1);
    floor.comes_online("ana");
    let third = floor.visitor_arrives("sales");
    assert_ne!(floor.phase(third), Phase::Missed);
}

fn seated(floor: &Floor) -> usize {
    floor.world.workspace.counts().seated
}

/// BO-10.
#[test]
fn who_loses_their_seat_finishes_what_they_have_and_gives_it_back_with_the_last() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]).rules(|policy| policy.seats = Some(2));
    let visits = [given(&mut floor, "ana"), given(&mut floor, "ana")];
    assert_eq!(floor.puts("cleo", |_| {}), Err(Refusal::NoSeat));
    floor.puts("ana", |profile| profile.live_chat = false).expect("put");
    let next = floor.visitor_arrives("sales");
    floor.sees_nothing("ana", next);
    floor.closes("ana", visits[0]).expect("hers");
    assert_eq!((seated(&floor), floor.puts("cleo", |_| {})), (2, Err(Refusal::NoSeat)));
    floor.crash(secs(60));
    assert_eq!(seated(&floor), 2);
    floor.closes("ana", visits[1]).expect("hers");
    assert_eq!(seated(&floor), 1);
    floor.puts("cleo", |_| {}).expect("there is one");
}

#[test]
fn who_has_a_seat_keeps_it_and_who_is_removed_does_not() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]).rules(|policy| policy.seats = Some(2));
    floor.reload(|policy| policy.seats = Some(1));
    floor.puts("ana", |profile| profile.cap = Some(3)).expect("hers");
    assert_eq!(floor.puts("cleo", |_| {}), Err(Refusal::NoSeat));
    floor.removes("ben").expect("removed");
    assert_eq!(seated(&floor), 1);
    floor.puts("ana", |profile| profile.live_chat = false).expect("put");
    floor.puts("cleo", |_| {}).expect("there is one");
}

/// The file's agents can't be refused: who finds no seat has the next that comes free.
#[test]
fn an_agent_of_the_file_waits_for_a_seat() {
    let mut floor = Floor::new().group("sales", ["ana"]).rules(|policy| policy.seats = Some(1));
    floor.puts("ben", |profile| profile.managed_by_config = true).expect("put");
    assert_eq!((seated(&floor), floor.agent("ben").profile().live_chat), (1, false));
    floor.removes("ana").expect("removed");
    assert_eq!((seated(&floor), floor.agent("ben").profile().live_chat), (1, true));
}

fn helped(floor: &mut Floor, by: &str) -> Visit {
    let visit = given(floor, "ana");
    floor.asks(By::Agent(agent("ana")), visit, Ask::Invite { agent: agent(by) }).expect("invited");
    floor.accepts(by, visit).expect("joined");
    visit
}

/// BR-6.
#[test]
fn who_helps_uses_a_slot_only_if_the_workspace_says_so() {
    for (uses, taken) in [(false, 0), (true, 1)] {
        let mut floor =
            Floor::new().group("sales", ["ana", "ben"]).rules(|policy| policy.invite_uses_slot = uses);
        let visit = helped(&mut floor, "ben");
        assert_eq!((floor.participants(visit), floor.slots("ben")), (vec!["ben"], taken));
        floor.crash(secs(60));
        assert_eq!(floor.slots("ben"), taken, "rebuilt from the conversation");
        floor.leaves("ben", visit).expect("left");
        assert_eq!((floor.slots("ana"), floor.slots("ben")), (1, 0));
    }
}

#[test]
fn who_is_at_their_cap_can_not_help() {
    let mut floor =
        Floor::new().group("sales", ["ana", "ben"]).cap(1).rules(|policy| policy.invite_uses_slot = true);
    let own = given(&mut floor, "ben");
    let visit = given(&mut floor, "ana");
    floor.asks(By::Agent(agent("ana")), visit, Ask::Invite { agent: agent("ben") }).expect("invited");
    assert_eq!(floor.accepts("ben", visit), Err(Refusal::AtCapacity { taken: 1, cap: 1 }));
    floor.closes("ben", own).expect("closed");
    floor.accepts("ben", visit).expect("joined");
    let next = floor.visitor_arrives("sales");
    floor.sees_nothing("ben", next);
    floor.closes("ana", visit).expect("closed");
    assert_eq!(floor.slots("ben") + floor.slots("ana"), 1, "free for what waits");
}

/// A helper who is handed the conversation has one slot for both, whatever comes of it.
#[test]
fn a_helper_keeps_their_slot_through_a_handover() {
    for accepts in [false, true] {
        let mut floor =
            Floor::new().group("sales", ["ana", "ben"]).cap(1).rules(|policy| policy.invite_uses_slot = true);
        let visit = helped(&mut floor, "ben");
        floor.hands("ana", visit, to_agent("ben")).expect("asked");
        floor.sees("ben", visit, OfferKind::Handover);
        assert_eq!(floor.slots("ben"), 1);
        let waits = floor.visitor_arrives("sales");
        if accepts {
            floor.accepts("ben", visit).expect("accepted");
            assert_eq!((floor.owner(visit), floor.slots("ben")), (Some("ben"), 1));
        } else {
            floor.declines("ben", visit).expect("declined");
            assert_eq!((floor.participants(visit), floor.slots("ben")), (vec!["ben"], 1));
            let held: Vec<Held> = floor.agent("ben").holds().map(|(_, held)| held).collect();
            assert_eq!(held, [Held::Helping]);
            floor.sees_nothing("ben", waits);
        }
        floor.crash(secs(60));
        assert_eq!(floor.slots("ben"), 1);
    }
}
