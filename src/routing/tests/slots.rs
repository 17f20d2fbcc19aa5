//! Slots: the agent has the last word on them, and each step between machines is a lease.

use std::{cell::Cell, rc::Rc};

use super::floor::*;
use crate::routing::{
    AssignCause, By, Presence, Refusal, Strategy, Tell, Ticket, WhyNot,
    agent::{self, Held},
    conversation::{self, Ask, Event, Granted, OfferKind, Phase, Purpose},
};

/// AD-23, known bugs D1 and D3: pending offers count.
#[test]
fn a_cap_counts_pending_offers_and_is_never_exceeded() {
    let mut floor = Floor::new().group("sales", ["ana"]);
    let visits: Vec<_> = (0..30).map(|_| floor.visitor_arrives("sales")).collect();
    assert_eq!(floor.slots("ana"), 10);
    let offered = visits.iter().filter(|visit| floor.phase(**visit) == Phase::Offered).count();
    assert_eq!(offered, 10);
    assert_eq!(floor.agent("ana").why_not(&floor.context()), Some(WhyNot::AtCap));
}

/// Known bug D6: an agent's own cap comes before the workspace's.
#[test]
fn an_agents_own_cap_comes_before_the_workspaces() {
    for (own, cap) in [(Some(2), 2), (None, 3), (Some(5), 5)] {
        let mut floor = Floor::new().cap(3).group("sales", ["ana"]);
        floor.puts("ana", |profile| profile.cap = own).expect("changed");
        for _ in 0..9 {
            floor.visitor_arrives("sales");
        }
        assert_eq!(floor.slots("ana"), cap);
    }
}

#[test]
fn a_cap_is_one_to_a_thousand() {
    let mut floor = Floor::new().group("sales", ["ana"]);
    for (cap, fits) in [(0, false), (1, true), (1_000, true), (1_001, false)] {
        assert_eq!(floor.puts("ana", |profile| profile.cap = Some(cap)).is_ok(), fits, "{cap}");
    }
}

/// AD-24.
#[test]
fn the_cap_binds_assignments_and_transfers_too() {
    let mut floor = Floor::new().cap(1).group("sales", ["ana", "ben"]);
    floor.goes_offline("ben");
    floor.serves("ana", "sales");
    let waiting = floor.visitor_arrives("sales");
    let full = Err(Refusal::AtCapacity { taken: 1, cap: 1 });
    assert_eq!(floor.assigns(waiting, to_agent("ana")), full);
    assert_eq!(floor.takes("ana", waiting), full);
    floor.intends("ben", Presence::Online);
    floor.accepts("ben", waiting).expect("accepted");
    assert_eq!(floor.hands("ben", waiting, to_agent("ana")), full);
    assert_eq!(floor.owner(waiting), Some("ben"));
}

/// AD-24.
#[test]
fn a_supervisor_may_force_past_the_cap_and_it_is_recorded() {
    let mut floor = Floor::new().cap(1).group("sales", ["ana"]);
    floor.serves("ana", "sales");
    let waiting = floor.visitor_arrives("sales");
    let force = || Ask::Assign { to: to_agent("ana"), force: true };
    assert_eq!(floor.asks(By::Agent(agent("ana")), waiting, force()), Err(Refusal::NotFound));
    assert_eq!(floor.asks(By::Frontend, waiting, force()), Err(Refusal::NotFound));
    floor.asks(By::Supervisor, waiting, force()).expect("forced");
    assert_eq!((floor.owner(waiting), floor.slots("ana")), (Some("ana"), 2));
    let forced = floor.records(waiting).any(|record| {
        record.by == By::Supervisor
            && record
                .events
                .iter()
                .any(|event| matches!(event, Event::Assigned { cause: AssignCause::Forced, .. }))
    });
    assert!(forced);
}

#[test]
fn a_lowered_cap_evicts_nobody_and_gives_nothing_new() {
    let mut floor = Floor::new().cap(3).group("sales", ["ana"]);
    let visits = [(); 3].map(|()| floor.serves("ana", "sales"));
    floor.reload(|policy| policy.cap = 1);
    assert_eq!(floor.slots("ana"), 3);
    let waiting = floor.visitor_arrives("sales");
    floor.closes("ana", visits[0]).expect("closed");
    floor.closes("ana", visits[1]).expect("closed");
    floor.waits(waiting, "sales");
    floor.closes("ana", visits[2]).expect("closed");
    floor.sees_offer("ana", waiting);
}

#[test]
fn a_raised_cap_serves_the_line_at_once() {
    let mut floor = Floor::new().cap(1).group("sales", ["ana"]);
    floor.serves("ana", "sales");
    let waiting = floor.visitor_arrives("sales");
    floor.reload(|policy| policy.cap = 2);
    floor.sees_offer("ana", waiting);
}

/// Known bug D29: the slot is still occupied seconds after the close.
#[test]
fn closing_frees_the_slot_in_the_same_transition() {
    let mut floor = Floor::new().cap(1).group("sales", ["ana"]);
    let visit = floor.serves("ana", "sales");
    let waiting = floor.visitor_arrives("sales");
    floor.closes("ana", visit).expect("closed");
    floor.sees_offer("ana", waiting);
}

#[test]
fn every_way_in_which_an_offer_ends_frees_the_slot() {
    type End = fn(&mut Floor, Visit);
    let ends: [(&str, End); 6] = [
        ("declined", |floor, visit| done(floor.declines("ana", visit))),
        ("timed out", |floor, _| floor.wait(secs(45))),
        ("closed", |floor, visit| done(floor.asks(By::Visitor(visit.visitor), visit, Ask::Close))),
        ("taken", |floor, visit| done(floor.takes("ben", visit))),
        ("assigned", |floor, visit| done(floor.assigns(visit, to_agent("ben")))),
        ("gone", |floor, _| {
            floor.disconnects("ana");
            floor.wait(secs(15));
        }),
    ];
    for (name, end) in ends {
        let mut floor = Floor::new().group("sales", ["ana"]).group("support", []);
        floor.puts("ben", |profile| profile.groups = vec![group("sales")]).expect("put");
        floor.intends("ben", Presence::Away);
        let visit = floor.visitor_arrives("sales");
        floor.sees_offer("ana", visit);
        end(&mut floor, visit);
        assert_eq!(floor.slots("ana"), 0, "{name}");
    }
}

// === Several groups ===

#[test]
fn an_agent_of_several_groups_has_one_set_of_slots() {
    let mut floor = Floor::new().cap(2).group("sales", ["ana"]).group("support", ["ana"]);
    let first = floor.visitor_arrives("sales");
    let second = floor.visitor_arrives("support");
    let (third, fourth) = (floor.visitor_arrives("sales"), floor.visitor_arrives("support"));
    assert_eq!([first, second, third, fourth].map(|visit| floor.offered_to(visit).len()), [1, 1, 0, 0]);
    floor.declines("ana", first).expect("declined");
    assert_eq!(floor.slots("ana"), 2, "the freed slot went to one of the two lines");
}

#[test]
fn two_groups_that_propose_at_once_get_one_slot() {
    let mut floor = Floor::new().cap(1).group("sales", ["ana"]).group("support", ["ana"]);
    let openings = ["sales", "support"]
        .map(|name| floor.opening(crate::routing::conversation::Target::Group(group(name))));
    for opening in &openings {
        floor.posts_opening(opening);
    }
    floor.settle();
    let [first, second] = openings.map(|opening| Visit { id: opening.asked, visitor: opening.visitor });
    floor.sees_offer("ana", first);
    floor.waits(second, "support");
    assert_eq!(floor.slots("ana"), 1);
    floor.declines("ana", first).expect("declined");
    floor.sees_offer("ana", second);
}

// === Leases ===

/// Whether an agent tick asked a conversation what it holds.
fn counts_questions(floor: &mut Floor) -> Rc<Cell<u32>> {
    let asked = Rc::new(Cell::new(0));
    let counter = Rc::clone(&asked);
    floor.loses(move |tell| {
        if matches!(tell, Tell::Conversation(_, conversation::Command::AskHeld { .. })) {
            counter.set(counter.get() + 1);
        }
        false
    });
    asked
}

#[test]
fn an_unconfirmed_grant_is_asked_about_after_a_second_and_freed_only_on_the_no() {
    let mut floor = Floor::new().group("sales", ["ana"]);
    // The grant never reaches the conversation.
    floor.loses(|tell| matches!(tell, Tell::Conversation(_, conversation::Command::Granted(_))));
    let visit = floor.visitor_arrives("sales");
    floor.waits(visit, "sales");
    assert_eq!(floor.slots("ana"), 1);
    let asked = counts_questions(&mut floor);
    floor.wait(agent::LEASE - MICRO);
    assert_eq!((floor.slots("ana"), asked.get()), (1, 0));
    floor.wait(MICRO);
    assert_eq!((floor.slots("ana"), asked.get()), (0, 1));
}

#[test]
fn time_alone_frees_nothing() {
    let mut floor = Floor::new().group("sales", ["ana"]);
    floor.loses(|tell| {
        matches!(
            tell,
            Tell::Conversation(_, conversation::Command::Granted(_) | conversation::Command::AskHeld { .. })
        )
    });
    floor.visitor_arrives("sales");
    floor.wait(secs(60));
    assert_eq!(floor.slots("ana"), 1);
    floor.loses_nothing_more();
    floor.wait(agent::LEASE);
    assert_eq!(floor.slots("ana"), 0);
}

#[test]
fn a_grant_whose_confirmation_was_lost_is_kept_on_the_conversations_word() {
    let mut floor = Floor::new().group("sales", ["ana"]);
    floor.loses(|tell| matches!(tell, Tell::Agent(_, agent::Command::Confirm { .. })));
    let visit = floor.visitor_arrives("sales");
    floor.loses_nothing_more();
    floor.wait(agent::LEASE);
    assert_eq!(floor.slots("ana"), 1);
    floor.declines("ana", visit).expect("declined");
    assert_eq!(floor.slots("ana"), 0);
}

#[test]
fn a_slot_whose_conversation_is_not_known_any_more_is_freed() {
    let mut floor = Floor::new().group("sales", ["ana"]);
    floor.loses(|tell| matches!(tell, Tell::Conversation(_, conversation::Command::Granted(_))));
    let visit = floor.visitor_arrives("sales");
    floor.world.conversations.remove(&visit.id);
    floor.loses_nothing_more();
    floor.wait(agent::LEASE);
    assert_eq!(floor.slots("ana"), 0);
}

fn grant(floor: &Floor, name: &str, visit: Visit, generation: u32, behind: u32) -> Tell {
    let (_, waiting) = floor.conversation(visit).waiting(false).expect("it waits");
    let purpose =
        Purpose::Take { ticket: Ticket { by: By::Agent(agent(name)), ..Ticket::system() }, say: None };
    let epoch = waiting.epoch - behind;
    let granted = Granted { agent: agent(name), name: name.into(), generation, grant: 0, epoch, purpose };
    Tell::Conversation(visit.id, conversation::Command::Granted(Box::new(granted)))
}

#[test]
fn a_grant_of_an_older_epoch_or_another_generation_is_void() {
    let mut floor = Floor::new().group("sales", ["ana"]);
    floor.intends("ana", Presence::Away);
    floor.reload_group("sales", |rules| rules.when_empty = crate::routing::WhenEmpty::Queue);
    let visit = floor.visitor_arrives("sales");
    for (generation, behind) in [(0, 1), (1, 0)] {
        let stale = grant(&floor, "ana", visit, generation, behind);
        floor.tells(stale);
        floor.waits(visit, "sales");
    }
    let good = grant(&floor, "ana", visit, 0, 0);
    floor.tells(good);
    assert_eq!(floor.owner(visit), Some("ana"));
}

#[test]
fn a_slot_that_was_granted_for_an_older_epoch_is_released() {
    let mut floor = Floor::new().group_with("sales", ["ana", "ben"], |rules| rules.strategy = Strategy::Pull);
    let visit = floor.visitor_arrives("sales");
    let posts = ["ana", "ben"].map(|name| floor.posts(By::Agent(agent(name)), visit, Ask::Take));
    floor.settle();
    assert!(floor.answer_to(posts[0]).is_ok());
    assert_eq!(floor.answer_to(posts[1]), Err(Refusal::AlreadyTaken(agent("ana"))));
    assert_eq!((floor.slots("ana"), floor.slots("ben")), (1, 0));
}

#[test]
fn a_rebuilt_agent_grants_nothing_before_all_its_conversations_have_answered() {
    let mut floor = Floor::new().group("sales", ["ana"]);
    let kept = [(); 2].map(|()| floor.serves("ana", "sales"));
    let rebuilt = floor.world.agents.get_mut(&agent("ana")).expect("an agent");
    rebuilt.rebuilt(0, 1, kept.iter().map(|visit| visit.id).collect());
    let question = |visit: &Visit| {
        Tell::Conversation(visit.id, conversation::Command::AskHeld { agent: agent("ana"), grant: 0 })
    };
    floor.tells(question(&kept[0]));
    let visit = floor.visitor_arrives("sales");
    floor.waits(visit, "sales");
    assert!(matches!(floor.takes("ana", visit), Err(Refusal::NotEligible(_))));
    floor.tells(question(&kept[1]));
    floor.sees_offer("ana", visit);
    assert_eq!(floor.slots("ana"), 3);
}

/// The short while in which an agent is rebuilt must not look as if they had left.
#[test]
fn an_agent_who_is_being_rebuilt_is_not_absent() {
    let mut floor = Floor::new().cap(3).group("sales", ["ana", "ben"]);
    floor.goes_offline("ben");
    let kept = [(); 3].map(|()| floor.serves("ana", "sales"));
    let for_ana = floor.visitor_asks_for("ana");
    floor.waits(for_ana, "everyone");
    let rebuilt = floor.world.agents.get_mut(&agent("ana")).expect("an agent");
    rebuilt.rebuilt(0, 1, kept.iter().map(|visit| visit.id).collect());
    for visit in kept {
        floor.waits(for_ana, "everyone");
        floor.tells(Tell::Conversation(
            visit.id,
            conversation::Command::AskHeld { agent: agent("ana"), grant: 0 },
        ));
    }
    floor.waits(for_ana, "everyone");
    floor.closes("ana", kept[0]).expect("closed");
    floor.sees_offer("ana", for_ana);
}

#[test]
fn what_a_conversation_holds_is_what_the_agents_hold() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    let visit = floor.serves("ana", "sales");
    floor.hands("ana", visit, to_agent("ben")).expect("handed");
    floor.sees("ben", visit, OfferKind::Handover);
    let holds: Vec<_> =
        floor.conversation(visit).holds().iter().map(|(agent, _, held)| (*agent, *held)).collect();
    assert_eq!(holds, [(agent("ana"), Held::Owned), (agent("ben"), Held::Reserved)]);
    assert_eq!((floor.slots("ana"), floor.slots("ben")), (1, 1));
}

// === Wrap-up ===

fn with_wrap_up() -> Floor {
    Floor::new().cap(1).group_with("sales", ["ana"], |rules| rules.wrap_up = secs(20))
}

#[test]
fn wrap_up_keeps_the_one_slot_until_it_ends() {
    let mut floor = with_wrap_up();
    let visit = floor.serves("ana", "sales");
    let waiting = floor.visitor_arrives("sales");
    floor.closes("ana", visit).expect("closed");
    assert_eq!(floor.slots("ana"), 1);
    assert_eq!(floor.agent("ana").why_not(&floor.context()), Some(WhyNot::WrapUp));
    floor.wait(secs(20) - MICRO);
    floor.waits(waiting, "sales");
    floor.wait(MICRO);
    floor.sees_offer("ana", waiting);
}

#[test]
fn wrap_up_leaves_the_other_slots_free() {
    let mut floor = with_wrap_up().cap(2);
    let visit = floor.serves("ana", "sales");
    floor.closes("ana", visit).expect("closed");
    let next = floor.visitor_arrives("sales");
    floor.sees_offer("ana", next);
}

#[test]
fn an_abandoned_or_declined_offer_has_no_wrap_up() {
    let mut floor = with_wrap_up();
    let visit = floor.visitor_arrives("sales");
    floor.asks(By::Visitor(visit.visitor), visit, Ask::Close).expect("closed");
    assert_eq!(floor.slots("ana"), 0);
}

#[test]
fn wrap_up_ends_at_a_restart() {
    let mut floor = with_wrap_up();
    let visit = floor.serves("ana", "sales");
    floor.closes("ana", visit).expect("closed");
    floor.crash(secs(1));
    assert_eq!(floor.slots("ana"), 0);
}

/// The word of the close is on its way for five seconds: they are not added to the rest.
#[test]
fn wrap_up_begins_with_the_close_however_late_the_agent_hears_of_it() {
    let mut floor = with_wrap_up();
    let visit = floor.serves("ana", "sales");
    let kept = Rc::new(Cell::new(None));
    let keep = Rc::clone(&kept);
    floor.loses(move |tell| match tell {
        Tell::Agent(_, agent::Command::Release { epoch, end, .. }) => {
            keep.set(Some((*epoch, *end)));
            true
        }
        _ => false,
    });
    floor.closes("ana", visit).expect("closed");
    floor.loses_nothing_more();
    floor.wait(secs(5));
    let (epoch, end) = kept.get().expect("a release");
    let release = agent::Command::Release { conversation: visit.id, epoch, end };
    floor.posts_tell(Tell::Agent(agent("ana"), release));
    floor.settle();
    floor.wait(secs(15) - MICRO);
    assert_eq!(floor.slots("ana"), 1);
    floor.wait(MICRO);
    assert_eq!(floor.slots("ana"), 0);
}

/// Reopened while its slot rests, and the grant came to nothing: the agent rests on.
#[test]
fn a_grant_that_came_to_nothing_gives_the_rest_back() {
    let mut floor = with_wrap_up();
    let visit = floor.serves("ana", "sales");
    floor.closes("ana", visit).expect("closed");
    floor.loses(|tell| matches!(tell, Tell::Conversation(_, conversation::Command::Granted(_))));
    floor.asks(By::Supervisor, visit, Ask::Reopen).expect("reopened");
    floor.loses_nothing_more();
    floor.wait(agent::LEASE);
    assert_eq!(floor.agent("ana").why_not(&floor.context()), Some(WhyNot::WrapUp));
}
