//! Changing hands: handover, transfer to a group, take, assign, invite, leave.

use super::floor::*;
use crate::routing::{
    AssignCause, By, FallbackReason, Presence, Refusal, WhenEmpty, WhyNot,
    conversation::{Ask, Event, OfferKind, Phase},
};

const TIMEOUT: std::time::Duration = secs(45);

/// Ana owns a conversation of sales; Ben is her colleague, Cleo serves support.
fn active() -> (Floor, Visit) {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]).group("support", ["cleo"]);
    let visit = floor.serves("ana", "sales");
    (floor, visit)
}

// === Handover: a transfer to an agent ===

/// ZD-19.
#[test]
fn the_owner_keeps_it_until_the_other_accepts() {
    let (mut floor, visit) = active();
    floor.hands("ana", visit, to_agent("cleo")).expect("handed");
    assert_eq!(floor.owner(visit), Some("ana"));
    assert_eq!((floor.slots("ana"), floor.slots("cleo")), (1, 1));
    floor.accepts("cleo", visit).expect("accepted");
    assert_eq!((floor.owner(visit), floor.participants(visit)), (Some("cleo"), vec![]));
    assert_eq!((floor.slots("ana"), floor.slots("cleo")), (0, 1));
}

#[test]
fn without_leaving_the_owner_before_stays_as_a_participant() {
    let (mut floor, visit) = active();
    let ask = Ask::Transfer { to: to_agent("ben"), leave: false };
    floor.asks(By::Agent(agent("ana")), visit, ask).expect("handed");
    floor.accepts("ben", visit).expect("accepted");
    assert_eq!((floor.owner(visit), floor.participants(visit)), (Some("ben"), vec!["ana"]));
    assert_eq!((floor.slots("ana"), floor.slots("ben")), (0, 1));
}

#[test]
fn a_declined_or_lapsed_handover_leaves_it_with_the_owner() {
    for declines in [true, false] {
        let (mut floor, visit) = active();
        floor.hands("ana", visit, to_agent("ben")).expect("handed");
        if declines {
            floor.declines("ben", visit).expect("declined");
        } else {
            floor.wait(TIMEOUT);
        }
        assert_eq!(floor.owner(visit), Some("ana"));
        floor.sees_nothing("ben", visit);
        assert_eq!((floor.slots("ana"), floor.slots("ben")), (1, 0));
        assert!(matches!(floor.events(visit).last(), Some(Event::HandoverEnded { .. })));
        floor.hands("ana", visit, to_agent("cleo")).expect("to somebody else");
    }
}

#[test]
fn a_handover_is_accepted_before_its_deadline_only() {
    let (mut floor, visit) = active();
    floor.hands("ana", visit, to_agent("ben")).expect("handed");
    floor.wait(TIMEOUT - MICRO);
    floor.now = floor.now + MICRO;
    assert_eq!(floor.accepts("ben", visit), Err(Refusal::OfferTimedOut));
    floor.wait(secs(0));
    assert_eq!(floor.owner(visit), Some("ana"));
}

#[test]
fn a_full_or_absent_target_is_refused_and_nothing_moves() {
    let (mut floor, visit) = active();
    let before = floor.conversation(visit).numbers();
    floor.puts("ben", |profile| profile.cap = Some(1)).expect("changed");
    let busy = floor.visitor_arrives("everyone");
    floor.assigns(busy, to_agent("ben")).expect("assigned");
    let full = Err(Refusal::AtCapacity { taken: 1, cap: 1 });
    assert_eq!(floor.hands("ana", visit, to_agent("ben")), full);
    floor.intends("cleo", Presence::Away);
    assert_eq!(floor.hands("ana", visit, to_agent("cleo")), Err(Refusal::NotEligible(WhyNot::Away)));
    assert_eq!(floor.hands("ana", visit, to_agent("nobody")), Err(Refusal::NotFound));
    assert!(matches!(floor.hands("ana", visit, to_agent("ana")), Err(Refusal::WrongState(_))));
    assert_eq!((floor.owner(visit), floor.conversation(visit).numbers()), (Some("ana"), before));
}

#[test]
fn there_is_one_handover_at_a_time() {
    let (mut floor, visit) = active();
    floor.hands("ana", visit, to_agent("ben")).expect("handed");
    assert!(matches!(floor.hands("ana", visit, to_agent("cleo")), Err(Refusal::WrongState(_))));
    assert_eq!(floor.slots("cleo"), 0);
}

#[test]
fn an_owner_who_left_meanwhile_does_not_get_it_back() {
    let (mut floor, visit) = active();
    floor.hands("ana", visit, to_agent("ben")).expect("handed");
    floor.leaves("ana", visit).expect("left");
    assert_eq!(floor.phase(visit), Phase::Active, "it is never without an owner");
    assert_eq!(floor.slots("ana"), 1);
    assert!(matches!(floor.leaves("ana", visit), Err(Refusal::WrongState(_))), "they left already");
    floor.declines("ben", visit).expect("declined");
    assert_eq!(floor.slots("ana") + floor.slots("ben"), 1, "it is offered to one of the group");
    assert_eq!(
        (floor.phase(visit), floor.conversation(visit).group()),
        (Phase::Offered, Some(&group("sales")))
    );
}

#[test]
fn an_owner_who_left_is_no_participant_after_the_handover_either() {
    let (mut floor, visit) = active();
    let ask = Ask::Transfer { to: to_agent("ben"), leave: false };
    floor.asks(By::Agent(agent("ana")), visit, ask).expect("handed");
    floor.leaves("ana", visit).expect("left");
    floor.accepts("ben", visit).expect("accepted");
    assert_eq!((floor.owner(visit), floor.participants(visit)), (Some("ben"), vec![]));
}

/// Meant to stay, left all the same: a stranger like any other from then on, who can be asked back.
#[test]
fn an_owner_who_left_can_be_asked_back_once_the_handover_is_over() {
    let (mut floor, visit) = active();
    let invite = || Ask::Invite { agent: agent("ana") };
    let ask = Ask::Transfer { to: to_agent("ben"), leave: false };
    floor.asks(By::Agent(agent("ana")), visit, ask).expect("handed");
    floor.leaves("ana", visit).expect("left");
    let refused = floor.asks(By::Supervisor, visit, invite());
    assert!(matches!(refused, Err(Refusal::WrongState(_))), "until then it may still go back: {refused:?}");
    floor.accepts("ben", visit).expect("accepted");
    assert_eq!(floor.slots("ana"), 0);
    floor.asks(By::Agent(agent("ben")), visit, invite()).expect("invited");
    floor.accepts("ana", visit).expect("accepted");
    assert_eq!((floor.owner(visit), floor.participants(visit)), (Some("ben"), vec!["ana"]));
}

#[test]
fn an_owner_who_is_offline_does_not_get_it_back_but_its_group_does_at_the_end_of_the_class() {
    type Goes = fn(&mut Floor);
    let ways: [Goes; 2] = [
        |floor| floor.goes_offline("ana"),
        |floor| {
            floor.disconnects("ana");
            floor.wait(secs(15));
        },
    ];
    for goes in ways {
        let (mut floor, visit) = active();
        floor.hands("ana", visit, to_agent("cleo")).expect("handed");
        goes(&mut floor);
        floor.puts("ben", |profile| profile.cap = Some(1)).expect("changed");
        let busy = floor.visitor_arrives("everyone");
        floor.assigns(busy, to_agent("ben")).expect("assigned");
        let waiting = floor.visitor_arrives_with("sales", |opening| opening.preferred = Some(agent("ben")));
        floor.waits(waiting, "sales");
        floor.wait(MICRO);
        floor.declines("cleo", visit).expect("declined");
        floor.waits(visit, "sales");
        assert_eq!(floor.group_view("sales").ahead_of(visit.id), Some(1));
        assert_eq!(floor.slots("ana"), 0);
    }
}

#[test]
fn a_target_who_is_gone_ends_the_handover() {
    let (mut floor, visit) = active();
    floor.hands("ana", visit, to_agent("ben")).expect("handed");
    floor.disconnects("ben");
    floor.wait(secs(15));
    floor.sees_nothing("ben", visit);
    assert_eq!((floor.owner(visit), floor.slots("ben")), (Some("ana"), 0));
}

// === Transfer to a group ===

/// ZD-12.
#[test]
fn a_transfer_to_another_group_leaves_at_once() {
    let (mut floor, visit) = active();
    floor.hands("ana", visit, to_group("support")).expect("moved");
    floor.sees_offer("cleo", visit);
    assert_eq!((floor.owner(visit), floor.slots("ana")), (None, 0));
    assert!(floor.participants(visit).is_empty());
}

#[test]
fn a_transfer_without_leaving_keeps_the_owner_as_a_participant() {
    let (mut floor, visit) = active();
    let ask = Ask::Transfer { to: to_group("support"), leave: false };
    floor.asks(By::Agent(agent("ana")), visit, ask).expect("moved");
    assert_eq!((floor.owner(visit), floor.participants(visit)), (None, vec!["ana"]));
    assert_eq!(floor.slots("ana"), 0);
    floor.accepts("cleo", visit).expect("accepted");
    assert_eq!((floor.owner(visit), floor.participants(visit)), (Some("cleo"), vec!["ana"]));
}

#[test]
fn a_participant_who_transfers_and_leaves_is_gone() {
    let (mut floor, visit) = active();
    let ana = By::Agent(agent("ana"));
    floor.asks(ana, visit, Ask::Invite { agent: agent("ben") }).expect("invited");
    floor.accepts("ben", visit).expect("joined");
    floor.hands("ben", visit, to_group("support")).expect("moved");
    assert!(floor.participants(visit).is_empty());
    assert_eq!(floor.owner(visit), None);
}

/// ZD-13.
#[test]
fn to_ones_own_group_only_when_somebody_else_is_online_in_it() {
    let (mut floor, visit) = active();
    floor.goes_offline("ben");
    let before = floor.conversation(visit).numbers();
    assert_eq!(floor.hands("ana", visit, to_group("sales")), Err(Refusal::OnlyAgentOnline));
    assert_eq!((floor.owner(visit), floor.conversation(visit).numbers()), (Some("ana"), before));
    floor.intends("ben", Presence::Online);
    floor.hands("ana", visit, to_group("sales")).expect("moved");
    floor.sees_offer("ben", visit);
}

/// ZD-13: the check and the move are one step; who goes in between strands nothing.
#[test]
fn a_colleague_who_goes_in_the_same_instant_strands_nothing() {
    let (mut floor, visit) = active();
    let ask = Ask::Transfer { to: to_group("sales"), leave: true };
    let transfer = floor.posts(By::Agent(agent("ana")), visit, ask);
    floor.goes_offline("ben");
    match floor.answer_to(transfer) {
        Ok(_) => floor.fell_back(visit, FallbackReason::NobodyOnline),
        Err(refusal) => assert_eq!((refusal, floor.owner(visit)), (Refusal::OnlyAgentOnline, Some("ana"))),
    }
}

/// ZD-14.
#[test]
fn who_transferred_it_is_not_offered_it_in_that_stay() {
    let (mut floor, visit) = active();
    floor.hands("ana", visit, to_group("sales")).expect("moved");
    floor.sees_offer("ben", visit);
    floor.goes_offline("ben");
    floor.declines("ben", visit).expect("declined");
    floor.sees_nothing("ana", visit);
    floor.fell_back(visit, FallbackReason::OffersExhausted);
}

/// ZD-14.
#[test]
fn when_all_others_leave_the_fallback_applies_and_not_the_one_who_transferred_it() {
    let (mut floor, visit) = active();
    floor.puts("ben", |profile| profile.cap = Some(1)).expect("changed");
    let busy = floor.visitor_arrives("everyone");
    floor.assigns(busy, to_agent("ben")).expect("assigned");
    floor.hands("ana", visit, to_group("sales")).expect("moved");
    floor.waits(visit, "sales");
    assert_eq!(floor.group_view("sales").why_not(visit.id, agent("ana"), None), Some(WhyNot::TransferredIt));
    floor.goes_offline("ben");
    floor.fell_back(visit, FallbackReason::NobodyOnline);
}

/// ZD-15.
#[test]
fn the_exclusion_lasts_for_that_stay() {
    let (mut floor, visit) = active();
    floor.hands("ana", visit, to_group("sales")).expect("moved");
    floor.assigns(visit, to_agent("ana")).expect("somebody else assigns it");
    floor.closes("ana", visit).expect("closed");
    floor.goes_offline("ben");
    floor.asks(By::Supervisor, visit, Ask::Reopen).expect("reopened");
    floor.sees_offer("ana", visit);
}

#[test]
fn the_exclusion_holds_for_a_conversation_that_was_for_that_agent_alone() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    let visit = floor.visitor_asks_for("ana");
    floor.accepts("ana", visit).expect("accepted");
    floor.hands("ana", visit, to_group("everyone")).expect("moved");
    floor.sees_offer("ben", visit);
}

/// ZD-16, ZD-17.
#[test]
fn a_transfer_goes_to_the_end_of_its_class() {
    let mut floor = Floor::new().cap(1).group("sales", ["ana"]).group("support", ["cleo"]);
    let class = |class| crate::routing::Priority::new(class).expect("a class");
    let moved = floor.visitor_arrives_with("sales", |opening| opening.priority = class(1));
    floor.accepts("ana", moved).expect("accepted");
    floor.serves("cleo", "support");
    floor.wait(secs(5));
    let waiting = [1, 1, 2]
        .map(|number| floor.visitor_arrives_with("support", |opening| opening.priority = class(number)));
    floor.wait(secs(5));
    floor.hands("ana", moved, to_group("support")).expect("moved");
    let ahead = |visit: Visit| floor.group_view("support").ahead_of(visit.id).expect("it waits");
    assert_eq!(waiting.map(ahead), [0, 1, 3]);
    assert_eq!(ahead(moved), 2);
}

/// ZD-17.
#[test]
fn with_keep_age_it_keeps_its_age() {
    let mut floor = Floor::new()
        .cap(1)
        .group("sales", ["ana"])
        .group_with("support", ["cleo"], |rules| rules.keep_age_on_transfer = true);
    let moved = floor.serves("ana", "sales");
    floor.serves("cleo", "support");
    floor.wait(secs(5));
    let waiting = floor.visitor_arrives("support");
    floor.hands("ana", moved, to_group("support")).expect("moved");
    let ahead = |visit: Visit| floor.group_view("support").ahead_of(visit.id);
    assert_eq!((ahead(moved), ahead(waiting)), (Some(0), Some(1)));
}

/// ZD-21.
#[test]
fn a_transfer_to_an_empty_group_queues_is_refused_or_overflows() {
    for when_empty in [WhenEmpty::Queue, WhenEmpty::Reject, WhenEmpty::Overflow] {
        let (mut floor, visit) = active();
        floor.reload_group("support", |rules| {
            rules.when_empty = when_empty;
            rules.overflow = Some(group("sales"));
        });
        floor.goes_offline("cleo");
        let answer = floor.hands("ana", visit, to_group("support"));
        match when_empty {
            WhenEmpty::Queue => floor.waits(visit, "support"),
            WhenEmpty::Reject => {
                assert_eq!(answer, Err(Refusal::NobodyOnline));
                assert_eq!(floor.owner(visit), Some("ana"));
            }
            WhenEmpty::Overflow => {
                assert_eq!(floor.conversation(visit).group(), Some(&group("sales")));
                assert_eq!(floor.phase(visit), Phase::Offered);
            }
        }
    }
}

#[test]
fn a_transfer_to_a_full_queue_is_refused() {
    let (mut floor, visit) = active();
    floor.reload_group("support", |rules| {
        rules.queue_max = Some(1);
        rules.when_empty = WhenEmpty::Queue;
    });
    floor.goes_offline("cleo");
    floor.visitor_arrives("support");
    assert_eq!(floor.hands("ana", visit, to_group("support")), Err(Refusal::QueueFull));
    assert_eq!(floor.owner(visit), Some("ana"));
}

/// ZD-11, and the roles table: only who takes part.
#[test]
fn only_who_takes_part_can_transfer() {
    let (mut floor, visit) = active();
    assert_eq!(floor.hands("ben", visit, to_group("support")), Err(Refusal::NotFound));
    assert_eq!(floor.hands("ana", visit, to_group("nowhere")), Err(Refusal::NotFound));
    let ask = || Ask::Transfer { to: to_group("support"), leave: true };
    assert_eq!(floor.asks(By::Visitor(visit.visitor), visit, ask()), Err(Refusal::NotFound));
    assert_eq!(floor.asks(By::Frontend, visit, ask()), Err(Refusal::NotFound));
    floor.asks(By::Supervisor, visit, ask()).expect("moved");
    assert_eq!(floor.slots("ana"), 0);
}

// === Take and assign ===

/// BO-31.
#[test]
fn a_public_reply_to_an_unassigned_conversation_takes_it() {
    let (mut floor, _) = active();
    let waiting = floor.visitor_arrives("sales");
    let offered = floor.offered_to(waiting)[0].to_owned();
    let other = if offered == "ana" { "ben" } else { "ana" };
    floor.asks(By::Agent(agent(other)), waiting, Ask::Say(text("how can I help?"))).expect("said");
    assert_eq!(floor.owner(waiting), Some(other));
    assert_eq!(floor.slots(&offered), u16::from(offered == "ana"));
    assert!(matches!(floor.events(waiting)[..], [.., Event::Assigned { .. }, Event::Said { .. }]));
}

#[test]
fn a_reply_to_a_colleagues_conversation_is_no_take() {
    let (mut floor, visit) = active();
    let answer = floor.asks(By::Agent(agent("ben")), visit, Ask::Say(text("hello")));
    assert!(matches!(answer, Err(Refusal::WrongState(_))));
    assert_eq!(floor.takes("ben", visit), Err(Refusal::AlreadyTaken(agent("ana"))));
    assert_eq!(floor.owner(visit), Some("ana"));
}

#[test]
fn only_who_is_in_scope_can_take_or_assign() {
    let (mut floor, _) = active();
    let waiting = floor.visitor_arrives("sales");
    assert_eq!(floor.takes("cleo", waiting), Err(Refusal::NotFound));
    let ask = || Ask::Assign { to: to_agent("cleo"), force: false };
    assert_eq!(floor.asks(By::Agent(agent("cleo")), waiting, ask()), Err(Refusal::NotFound));
    assert_eq!(floor.asks(By::Visitor(waiting.visitor), waiting, ask()), Err(Refusal::NotFound));
    floor.asks(By::Frontend, waiting, ask()).expect("assigned");
    assert_eq!(floor.owner(waiting), Some("cleo"));
}

/// BR-1, BR-2.
#[test]
fn who_assigns_need_not_join() {
    let (mut floor, visit) = active();
    let ask = Ask::Assign { to: to_agent("ben"), force: false };
    floor.asks(By::Agent(agent("ben")), visit, ask).expect("assigned");
    assert_eq!((floor.owner(visit), floor.participants(visit)), (Some("ben"), vec![]));
    assert_eq!((floor.slots("ana"), floor.slots("ben")), (0, 1));
    let causes: Vec<_> = floor
        .events(visit)
        .into_iter()
        .filter_map(|event| match event {
            Event::Assigned { agent, cause, .. } => Some((*agent, *cause)),
            _ => None,
        })
        .collect();
    assert_eq!(causes, [(agent("ana"), AssignCause::Accepted), (agent("ben"), AssignCause::Assigned)]);
}

/// BR-8.
#[test]
fn an_assignment_to_a_group_replaces_the_group() {
    let (mut floor, visit) = active();
    floor.assigns(visit, to_group("support")).expect("moved");
    floor.sees_offer("cleo", visit);
    assert_eq!(floor.conversation(visit).group(), Some(&group("support")));
    assert_eq!(floor.group_view("sales").waiting() + floor.group_view("sales").offered(), 0);
    assert_eq!(floor.slots("ana"), 0);
}

/// Known bug D22: back to the same group is a move like any other.
#[test]
fn a_waiting_conversation_can_be_assigned_to_its_own_group() {
    let (mut floor, visit) = active();
    floor.assigns(visit, to_group("sales")).expect("moved");
    assert_eq!(floor.phase(visit), Phase::Offered);
}

/// Known bug D8: every state has a way out by hand.
#[test]
fn a_missed_conversation_can_be_taken_or_assigned() {
    for by_hand in [true, false] {
        let mut floor = Floor::new().group("sales", ["ana"]);
        floor.intends("ana", Presence::Away);
        let visit = floor.visitor_arrives("sales");
        floor.fell_back(visit, FallbackReason::NobodyOnline);
        if by_hand {
            floor.takes("ana", visit).expect("taken");
        } else {
            floor.assigns(visit, to_agent("ana")).expect("assigned");
        }
        assert_eq!((floor.owner(visit), floor.slots("ana")), (Some("ana"), 1));
    }
}

// === Invite and leave ===

/// BR-5, BR-6.
#[test]
fn an_invited_agent_takes_part_without_a_slot() {
    let (mut floor, visit) = active();
    let ana = By::Agent(agent("ana"));
    for helper in ["ben", "cleo"] {
        floor.asks(ana, visit, Ask::Invite { agent: agent(helper) }).expect("invited");
        floor.sees(helper, visit, OfferKind::Invitation);
        floor.accepts(helper, visit).expect("joined");
        assert_eq!(floor.slots(helper), 0);
    }
    assert_eq!((floor.owner(visit), floor.participants(visit)), (Some("ana"), vec!["ben", "cleo"]));
    floor.asks(By::Agent(agent("cleo")), visit, Ask::Say(text("hello"))).expect("said");
    floor.leaves("ben", visit).expect("left");
    assert_eq!(floor.participants(visit), ["cleo"]);
}

#[test]
fn an_invitation_can_be_declined_or_lapse() {
    for declines in [true, false] {
        let (mut floor, visit) = active();
        floor.asks(By::Agent(agent("ana")), visit, Ask::Invite { agent: agent("ben") }).expect("invited");
        if declines {
            floor.declines("ben", visit).expect("declined");
        } else {
            floor.wait(TIMEOUT);
        }
        floor.sees_nothing("ben", visit);
        assert!(floor.participants(visit).is_empty());
        floor
            .asks(By::Agent(agent("ana")), visit, Ask::Invite { agent: agent("ben") })
            .expect("invited again");
    }
}

#[test]
fn nobody_is_invited_twice_or_out_of_the_blue() {
    let (mut floor, visit) = active();
    let ana = By::Agent(agent("ana"));
    let invite = |name| Ask::Invite { agent: agent(name) };
    assert!(matches!(floor.asks(ana, visit, invite("ana")), Err(Refusal::WrongState(_))));
    assert_eq!(floor.asks(ana, visit, invite("nobody")), Err(Refusal::NotFound));
    assert_eq!(floor.asks(By::Agent(agent("ben")), visit, invite("cleo")), Err(Refusal::NotFound));
    floor.asks(ana, visit, invite("ben")).expect("invited");
    assert!(matches!(floor.asks(ana, visit, invite("ben")), Err(Refusal::WrongState(_))));
    let waiting = floor.visitor_arrives("sales");
    assert!(matches!(floor.asks(By::Supervisor, waiting, invite("cleo")), Err(Refusal::WrongState(_))));
}

#[test]
fn an_invited_agent_who_is_handed_the_conversation_is_asked_once() {
    let (mut floor, visit) = active();
    floor.asks(By::Agent(agent("ana")), visit, Ask::Invite { agent: agent("ben") }).expect("invited");
    floor.hands("ana", visit, to_agent("ben")).expect("handed");
    assert_eq!(floor.offered_to(visit), ["ben"]);
    floor.sees("ben", visit, OfferKind::Handover);
    floor.declines("ben", visit).expect("declined");
    floor.sees_nothing("ben", visit);
}

/// Known bug D10: an open conversation is always somebody's, or in a queue, or missed.
#[test]
fn an_owner_who_leaves_gives_it_back_to_the_group() {
    let (mut floor, visit) = active();
    floor.leaves("ana", visit).expect("left");
    assert_eq!((floor.phase(visit), floor.owner(visit)), (Phase::Offered, None));
    assert_eq!(floor.conversation(visit).group(), Some(&group("sales")));
    assert_eq!(floor.leaves("cleo", visit), Err(Refusal::NotFound));
}

#[test]
fn a_participant_may_become_the_owner() {
    let (mut floor, visit) = active();
    floor.asks(By::Agent(agent("ana")), visit, Ask::Invite { agent: agent("ben") }).expect("invited");
    floor.accepts("ben", visit).expect("joined");
    floor.hands("ana", visit, to_agent("ben")).expect("handed");
    floor.accepts("ben", visit).expect("accepted");
    assert_eq!((floor.owner(visit), floor.participants(visit)), (Some("ben"), vec![]));
    assert_eq!((floor.slots("ana"), floor.slots("ben")), (0, 1));
}

/// What ZD-13 and ZD-14 forbid.
#[test]
fn who_is_not_barred_after_a_transfer_is_asked_again() {
    for alone in [true, false] {
        let mut floor =
            Floor::new().group_with("sales", ["ana", "ben"], |rules| rules.bar_after_transfer = false);
        floor.goes_offline("ben");
        let visit = floor.visitor_arrives("sales");
        floor.accepts("ana", visit).expect("accepted");
        if !alone {
            floor.intends("ben", Presence::Online);
        }
        floor.hands("ana", visit, to_group("sales")).expect("moved, whether somebody else is there or not");
        if !alone {
            floor.sees_offer("ben", visit);
            floor.declines("ben", visit).expect("declined");
        }
        floor.sees_offer("ana", visit);
    }
}
