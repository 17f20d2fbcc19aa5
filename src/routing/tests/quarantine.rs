//! Locked away, and rebuilt after a failure: the rest goes on (design §3.5).

use std::{cell::RefCell, rc::Rc};

use super::floor::*;
use crate::routing::{
    Because, By, Decision, FallbackReason, OfferOutcome, QueueCause, Refusal, Reply, RescindReason, Strategy,
    Tell, WhyNot, agent,
    conversation::{self, Ask, Event, Granted, Phase, Purpose, Target},
    group,
    recovery::Entry,
};

fn floor() -> Floor {
    Floor::new()
        .cap(1)
        .group_with("sales", ["ana"], |rules| rules.overflow = Some(group("support")))
        .group("support", ["ben"])
}

#[test]
fn the_line_of_a_locked_group_overflows() {
    let mut floor = floor();
    floor.serves("ana", "sales");
    let visit = floor.visitor_arrives("sales");
    floor.waits(visit, "sales");
    floor.sets_group_aside("sales");
    floor.sees_offer("ben", visit);
}

#[test]
fn without_an_overflow_it_falls_back() {
    let mut floor = floor();
    floor.reload_group("sales", |rules| rules.overflow = None);
    floor.sets_group_aside("sales");
    let visit = floor.visitor_arrives("sales");
    floor.fell_back(visit, FallbackReason::GroupUnavailable);
}

#[test]
fn a_locked_group_takes_nothing_by_hand() {
    let mut floor = floor();
    let visit = floor.serves("ben", "support");
    floor.sets_group_aside("sales");
    assert_eq!(floor.hands("ben", visit, to_group("sales")), Err(Refusal::GroupUnavailable));
    assert_eq!(floor.owner(visit), Some("ben"));
}

#[test]
fn an_offer_of_a_locked_group_can_be_accepted() {
    let mut floor = floor();
    let visit = floor.visitor_arrives("sales");
    floor.sets_group_aside("sales");
    floor.accepts("ana", visit).expect("accepted");
}

#[test]
fn a_released_group_serves_again() {
    let mut floor = floor();
    floor.sets_group_aside("sales");
    floor.reinstates_group("sales");
    let visit = floor.visitor_arrives("sales");
    floor.sees_offer("ana", visit);
}

#[test]
fn a_locked_agent_keeps_what_they_have_and_gets_nothing_new() {
    let mut floor = floor().cap(5);
    let owned = floor.serves("ana", "sales");
    floor.sets_agent_aside("ana");
    assert_eq!(floor.owner(owned), Some("ana"));
    let visit = floor.visitor_arrives("sales");
    floor.sees_offer("ben", visit);
    assert_eq!(floor.assigns(visit, to_agent("ana")), Err(Refusal::NotEligible(WhyNot::Quarantined)));
    floor.reinstates_agent("ana");
    let visit = floor.visitor_arrives("sales");
    floor.sees_offer("ana", visit);
}

/// Design §3.2: a rebuilt group asks exactly the conversations that the directory names, and matches nothing before all have answered.
#[test]
fn a_rebuilt_group_knows_its_line_again() {
    for strategy in [Strategy::RoundRobin, Strategy::Pull] {
        let mut floor = floor();
        floor.reload_group("sales", |rules| rules.strategy = strategy);
        let busy = floor.visitor_arrives("sales");
        floor.accepts("ana", busy).expect("accepted");
        let visits = [(); 3].map(|()| {
            floor.wait(MICRO);
            floor.visitor_arrives("sales")
        });
        let mut rebuilt = group::Group::new(group("sales"));
        rebuilt.rebuilt(visits.iter().map(|visit| visit.id).collect(), [agent("ana")].into());
        floor.world.groups.insert(group("sales"), rebuilt);
        floor.tells(Tell::Agent(agent("ana"), agent::Command::Describe { group: group("sales") }));
        floor.closes("ana", busy).expect("closed");
        for visit in visits {
            assert_eq!(floor.phase(visit), Phase::Waiting, "it matches nothing yet");
            let question = conversation::Command::AskWaiting { group: group("sales") };
            floor.tells(Tell::Conversation(visit.id, question));
        }
        assert_eq!(floor.offered_to(visits[0]), ["ana"]);
        let counted = floor.group_view("sales").waiting() + floor.group_view("sales").offered();
        assert_eq!(counted, 3);
    }
}

#[test]
fn a_rebuilt_group_forgets_what_does_not_wait_there() {
    let mut floor = floor();
    let elsewhere = floor.visitor_arrives("support");
    let mut rebuilt = group::Group::new(group("sales"));
    rebuilt.rebuilt([elsewhere.id].into(), [agent("ana")].into());
    floor.world.groups.insert(group("sales"), rebuilt);
    floor.tells(Tell::Agent(agent("ana"), agent::Command::Describe { group: group("sales") }));
    let visit = floor.visitor_arrives("sales");
    floor.waits(visit, "sales");
    let question = conversation::Command::AskWaiting { group: group("sales") };
    floor.tells(Tell::Conversation(elsewhere.id, question));
    floor.sees_offer("ana", visit);
}

/// What was proposed to an agent who was rebuilt is proposed anew.
#[test]
fn what_a_rebuilt_agent_forgot_is_proposed_to_the_next() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    floor.loses(|tell| matches!(tell, Tell::Agent(_, agent::Command::Reserve { .. })));
    let opening = floor.opening(Target::Group(group("sales")));
    floor.opens(&opening).expect("opened");
    let visit = Visit { id: opening.asked, visitor: opening.visitor };
    floor.loses_nothing_more();
    floor.waits(visit, "sales");
    floor.tells(Tell::Group(group("sales"), group::Command::Forgotten { agent: agent("ana") }));
    assert_eq!(floor.phase(visit), Phase::Offered);
}

/// Nobody else's slot is asked for what the conversation has recorded as offered.
#[test]
fn what_is_offered_stays_with_the_agent_who_was_rebuilt() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    let visit = floor.visitor_arrives("sales");
    floor.sees_offer("ana", visit);
    let asked = whom_it_asks(&mut floor);
    floor.tells(Tell::Group(group("sales"), group::Command::Forgotten { agent: agent("ana") }));
    assert_eq!(*asked.borrow(), []);
    assert_eq!(floor.group_view("sales").offered(), 1);
}

/// From now on, whom groups ask for a slot.
fn whom_it_asks(floor: &mut Floor) -> Rc<RefCell<Vec<crate::ids::AgentId>>> {
    let asked = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&asked);
    floor.loses(move |tell| {
        if let Tell::Agent(agent, agent::Command::Reserve { .. }) = tell {
            seen.borrow_mut().push(*agent);
        }
        false
    });
    asked
}

/// They fell over the proposal, and their groups of now are not those that proposed.
#[test]
fn what_was_proposed_to_a_former_member_is_proposed_to_the_next() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    floor.loses(|tell| matches!(tell, Tell::Agent(_, agent::Command::Reserve { .. })));
    let visit = floor.visitor_arrives("sales");
    floor.loses_nothing_more();
    floor.puts("ana", |profile| profile.groups.clear()).expect("changed");
    floor.sees_offer("ben", visit);
}

#[test]
fn a_former_member_grants_nothing_to_a_group_that_has_not_heard_of_it() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    floor.loses(|tell| matches!(tell, Tell::Group(_, group::Command::MemberGone { .. })));
    floor.puts("ana", |profile| profile.groups.clear()).expect("changed");
    let visit = floor.visitor_arrives("sales");
    floor.sees_offer("ben", visit);
    assert_eq!(floor.slots("ana"), 0);
    let rejects = floor.group_view("sales").why_not(visit.id, agent("ana"), None);
    assert_eq!(rejects, Some(WhyNot::NotMember));
}

/// A grant of an older generation is void. Its group takes the conversation to be with that agent, and hears otherwise.
#[test]
fn a_conversation_whose_grant_was_void_waits_again() {
    let mut floor = Floor::new().group("sales", ["ana"]);
    floor.loses(|tell| matches!(tell, Tell::Conversation(_, conversation::Command::Granted(_))));
    let visit = floor.visitor_arrives("sales");
    floor.loses_nothing_more();
    let (_, waiting) = floor.conversation(visit).waiting(false).expect("it waits");
    let decision = Decision {
        group: group("sales"),
        strategy: Strategy::RoundRobin,
        because: Because::Strategy,
        next: Vec::new(),
        named: Vec::new(),
        rest: Vec::new(),
    };
    let granted = Granted {
        agent: agent("ana"),
        name: "ana".into(),
        generation: 7,
        grant: 1,
        epoch: waiting.epoch,
        purpose: Purpose::Offer(Box::new(decision)),
    };
    floor.tells(Tell::Conversation(visit.id, conversation::Command::Granted(Box::new(granted))));
    floor.sees_offer("ana", visit);
}

/// The room that a refused proposal makes is for what else waits for that agent, in a group that announces too.
#[test]
fn a_refused_proposal_makes_room_for_the_next() {
    let mut floor = Floor::new().cap(1).group("sales", ["ana"]).rules(|policy| {
        std::sync::Arc::make_mut(&mut policy.everyone).strategy = Strategy::Pull;
    });
    let busy = floor.serves("ana", "sales");
    let visits = [(); 2].map(|()| {
        floor.wait(MICRO);
        floor.visitor_asks_for("ana")
    });
    floor.loses(|tell| matches!(tell, Tell::Agent(_, agent::Command::Reserve { .. })));
    floor.closes("ana", busy).expect("closed");
    floor.loses_nothing_more();
    let refused = group::Command::ProposalRefused {
        conversation: visits[0].id,
        agent: agent("ana"),
        why_not: WhyNot::HoldsIt,
        standing: floor.agent("ana").standing(&floor.context()),
    };
    floor.tells(Tell::Group(crate::ids::GroupId::everyone(), refused));
    floor.sees_offer("ana", visits[1]);
}

#[test]
fn what_is_only_offered_to_a_locked_agent_goes_on_without_a_miss() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    let visit = floor.visitor_arrives("sales");
    floor.sees_offer("ana", visit);
    floor.sets_agent_aside("ana");
    floor.sees_offer("ben", visit);
    let ended =
        Event::OfferEnded { agent: agent("ana"), outcome: OfferOutcome::Rescinded(RescindReason::Removed) };
    assert!(floor.events(visit).contains(&&ended));
    assert_eq!(floor.agent("ana").record_of_service().0, 0, "no miss");
    assert_eq!(floor.assigns(visit, to_agent("ana")), Err(Refusal::NotEligible(WhyNot::Quarantined)));
}

/// The daemon ended between the record and what it leads to.
#[test]
fn what_is_offered_to_a_locked_agent_goes_on_after_a_crash() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    let visit = floor.visitor_arrives("sales");
    floor.sees_offer("ana", visit);
    let (at, events) = (floor.now, vec![agent::Event::Quarantined]);
    floor.log.push(Entry::Agent { id: agent("ana"), at, by: By::System, key: None, events });
    floor.crash(secs(1));
    floor.sees_nothing("ana", visit);
    floor.connects("ben");
    floor.sees_offer("ben", visit);
}

#[test]
fn locks_survive_a_crash() {
    let mut floor = floor();
    let visit = floor.serves("ben", "support");
    floor.sets_group_aside("sales");
    floor.sets_agent_aside("ana");
    floor.sets_conversation_aside(visit);
    floor.crash(secs(5));
    assert!(floor.group_view("sales").quarantined().is_some());
    assert!(floor.agent("ana").quarantined().is_some());
    assert_eq!(floor.asks(By::Supervisor, visit, Ask::Close), Err(Refusal::Quarantined));
}

#[test]
fn a_locked_conversation_frees_its_slot_and_the_visitor_may_open_another() {
    let mut floor = floor();
    let visit = floor.serves("ana", "sales");
    floor.sets_conversation_aside(visit);
    assert_eq!(floor.agent("ana").taken(), 0);
    assert_eq!(floor.owner(visit), None);
    assert!(!floor.events(visit).iter().any(|event| matches!(event, Event::FellBack { .. })), "they talked");
    let mut second = floor.opening(Target::Group(group("sales")));
    second.visitor = visit.visitor;
    let opened = floor.opens(&second).expect("opened");
    assert!(matches!(opened, Reply::Opened { conversation, .. } if conversation == second.asked));
}

#[test]
fn a_locked_conversation_that_waited_falls_back_once() {
    let mut floor = floor();
    let visit = floor.visitor_arrives("sales");
    floor.sets_conversation_aside(visit);
    floor.fell_back(visit, FallbackReason::Quarantined);
    assert_eq!(floor.agent("ana").taken(), 0);
    assert_eq!(floor.group_view("sales").waiting() + floor.group_view("sales").offered(), 0);
    // It keeps: nothing falls due while it stands aside.
    floor.wait(secs(100 * 3_600));
    assert_eq!(floor.phase(visit), Phase::Missed);
    floor.reinstates(visit).expect("it takes part again");
    floor.takes("ana", visit).expect("taken");
}

#[test]
fn a_released_conversation_goes_back_to_who_served_it() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    floor.serves("ana", "sales");
    let visit = floor.serves("ben", "sales");
    floor.sets_conversation_aside(visit);
    assert_eq!(floor.reinstates(visit), Ok(Reply::Done));
    floor.sees_offer("ben", visit);
    let cause = |event: &&Event| matches!(event, Event::Queued { cause: QueueCause::Requeued, .. });
    assert!(floor.events(visit).iter().any(cause));
    assert!(matches!(floor.reinstates(visit), Err(Refusal::WrongState(_))));
}

/// The same key gets the same answer, also after a crash, and nothing is done under it.
#[test]
fn a_command_that_failed_is_never_run_again() {
    let mut floor = floor();
    let visit = floor.serves("ana", "sales");
    let ana = By::Agent(agent("ana"));
    assert_eq!(floor.fails(visit, ana, 7), Err(Refusal::Failed));
    let say = || Ask::Say(text("poison"));
    assert_eq!(floor.asks_with_key(ana, visit, say(), 7, 1), Err(Refusal::Failed));
    floor.crash(secs(5));
    assert_eq!(floor.asks_with_key(ana, visit, say(), 7, 1), Err(Refusal::Failed));
    assert_eq!(floor.asks_with_key(ana, visit, say(), 7, 2), Err(Refusal::KeyReused));
    assert!(
        !floor
            .events(visit)
            .iter()
            .any(|event| matches!(event, Event::Said { body } if &*body.0 == "poison"))
    );
    floor.asks_with_key(ana, visit, say(), 8, 1).expect("said");
}

#[test]
fn an_opening_that_failed_uses_its_id_up() {
    let mut floor = floor();
    let opening = floor.opening(Target::Group(group("sales")));
    let lost = floor.posts_opening(&opening);
    floor.fails_opening(&opening);
    floor.settle();
    assert_eq!(floor.answer_to(lost), Err(Refusal::Failed));
    floor.crash(secs(5));
    assert_eq!(floor.opens(&opening), Err(Refusal::Failed));
    // With another id the visitor gets through, though the workspace took the first one for open.
    let mut again = floor.opening(Target::Group(group("sales")));
    again.visitor = opening.visitor;
    let opened = floor.opens(&again).expect("opened");
    assert!(
        matches!(opened, Reply::Opened { conversation, existing: false, .. } if conversation == again.asked)
    );
}
