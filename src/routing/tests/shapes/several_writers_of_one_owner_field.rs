//! A job, a person and a rule each write who owns it, and the last one wins. Here one machine writes, and a writer who saw an
//! older epoch is refused.

use super::super::floor::*;
use crate::routing::{
    By, Presence, Refusal, Strategy, Tell, WhenEmpty, agent,
    conversation::{Ask, Event, Phase},
    group,
};

const RING_ALL: [&str; 5] = ["ana", "ben", "cem", "dov", "eva"];

/// How often somebody became the owner.
fn assignments(floor: &Floor, visit: Visit) -> usize {
    floor.events(visit).iter().filter(|event| matches!(event, Event::Assigned { .. })).count()
}

fn slots(floor: &Floor) -> u16 {
    floor.world.agents.values().map(agent::Agent::taken).sum()
}

/// D4: two accept at the same time and both chat with the customer. D12: ring-all, and two are acknowledged.
#[test]
fn of_all_who_accept_at_once_one_has_it_and_the_others_are_told_who() {
    for strategy in [Strategy::Broadcast, Strategy::Pull] {
        let mut floor = Floor::new().group_with("sales", RING_ALL, |rules| rules.strategy = strategy);
        let visit = floor.visitor_arrives("sales");
        let requests = RING_ALL.map(|name| {
            let offer = floor.pending(name, visit).expect("announced").offer;
            floor.posts(By::Agent(agent(name)), visit, Ask::Accept { offer })
        });
        floor.settle();
        let answers = requests.map(|request| floor.answer_to(request));
        let winner = agent(floor.owner(visit).expect("somebody has it"));
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        let lost = Err(Refusal::AlreadyTaken(winner));
        assert_eq!(answers.iter().filter(|answer| **answer == lost).count(), 4, "{answers:?}");
        assert_eq!((assignments(&floor, visit), slots(&floor)), (1, 1));
    }
}

/// D15: 46 of 67 automatic assignments are overwritten within seconds. D17: the auto-assigner overrides a person. At every
/// moment of the automatic one on its way, a supervisor gives the conversation to somebody else.
#[test]
fn what_a_person_assigned_no_rule_overwrites() {
    for moment in 0..12 {
        let mut floor = Floor::new().group_with("sales", ["ana", "ben"], |rules| {
            rules.strategy = Strategy::Assign;
            rules.when_empty = WhenEmpty::Queue;
        });
        floor.intends("ana", Presence::Away);
        floor.intends("ben", Presence::Away);
        let visit = floor.visitor_arrives("sales");
        floor.posts_presence("ana", Presence::Online);
        floor.delivers(moment);
        let by_hand = floor.posts(By::Supervisor, visit, Ask::Assign { to: to_agent("ben"), force: false });
        floor.settle();
        let expected = if floor.answer_to(by_hand).is_ok() { "ben" } else { "ana" };
        assert_eq!(floor.owner(visit), Some(expected), "at moment {moment}");
        assert_eq!(slots(&floor), 1, "at moment {moment}");
        floor.wait(secs(60));
        assert_eq!(floor.owner(visit), Some(expected), "a minute after moment {moment}");
    }
}

/// D16: 93 contested pairs of self-assignments in a day, 58 of them within ten seconds.
#[test]
fn a_second_claim_is_refused_however_soon_it_comes() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    floor.intends("ana", Presence::Away);
    floor.reload_group("sales", |rules| rules.when_empty = WhenEmpty::Queue);
    floor.intends("ben", Presence::Away);
    let visit = floor.visitor_arrives("sales");
    let claims = ["ana", "ben"].map(|name| floor.posts(By::Agent(agent(name)), visit, Ask::Take));
    floor.settle();
    assert!(floor.answer_to(claims[0]).is_ok());
    assert_eq!(floor.answer_to(claims[1]), Err(Refusal::AlreadyTaken(agent("ana"))));
    floor.wait(secs(9));
    assert_eq!(floor.takes("ben", visit), Err(Refusal::AlreadyTaken(agent("ana"))));
    assert_eq!((assignments(&floor, visit), floor.slots("ben")), (1, 0));
}

/// D14: overlapping jobs assign it twice, and it bounces from agent to agent.
#[test]
fn overlapping_reasons_to_look_at_the_line_lead_to_one_offer() {
    let mut floor =
        Floor::new().group_with("sales", ["ana", "ben"], |rules| rules.when_empty = WhenEmpty::Queue);
    floor.intends("ana", Presence::Away);
    floor.intends("ben", Presence::Away);
    let visit = floor.visitor_arrives("sales");
    for _ in 0..3 {
        for name in ["ana", "ben"] {
            floor.posts_presence(name, Presence::Online);
            floor.posts_tell(Tell::Agent(agent(name), agent::Command::Describe { group: group("sales") }));
        }
        floor.posts_tell(Tell::Group(group("sales"), group::Command::PolicyChanged));
        floor.posts_tell(Tell::Group(group("sales"), group::Command::Start));
    }
    floor.settle();
    let offers = floor.events(visit).iter().filter(|event| matches!(event, Event::Offered { .. })).count();
    assert_eq!((offers, slots(&floor), floor.phase(visit)), (1, 1, Phase::Offered));
}
