//! Bots: what they have the hand of is nobody's, is handed over once with all that is known, and may come back.

use super::floor::*;
use crate::routing::{
    Body, By, FallbackReason, QueueCause, Refusal, Reply, Variable,
    conversation::{Ask, Event, HandOver, Phase, Target},
};

fn with_bot(floor: &mut Floor) -> Visit {
    floor.visitor_arrives_with("sales", |opening| {
        opening.own_choice = false;
        opening.target = Target::Default;
        opening.bot = Some("Bibi".into());
    })
}

fn to(target: Target) -> HandOver {
    let (variables, tags) = (Vec::new(), Vec::new());
    HandOver { target, preferred: None, variables, tags, note: None, may_return: None }
}

fn to_sales() -> HandOver {
    to(Target::Group(group("sales")))
}

fn hands_over(floor: &mut Floor, visit: Visit, hand_over: HandOver) -> Answer {
    floor.asks(By::Bot, visit, Ask::HandOver(Box::new(hand_over)))
}

fn bot_says(floor: &mut Floor, visit: Visit) -> Answer {
    floor.asks(By::Bot, visit, Ask::Say(text("What can I do for you?")))
}

#[test]
fn what_the_bot_has_the_hand_of_is_in_no_queue_and_on_no_slot() {
    let mut floor = Floor::new().group("sales", ["ana"]);
    let visit = with_bot(&mut floor);
    assert_eq!(floor.conversation(visit).phase(), Some(Phase::Bot));
    done(bot_says(&mut floor, visit));
    done(floor.visitor_says(visit, "Your prices?"));
    assert_eq!(floor.pending("ana", visit), None);
    assert_eq!(
        floor.takes("ana", visit),
        Err(Refusal::NotFound),
        "it is in no group that she could see it in"
    );
    assert!(!floor.conversation(visit).is_engaged(), "it has asked for no agent");
}

#[test]
fn after_the_hand_over_the_bot_has_lost_its_voice() {
    let mut floor = Floor::new().group("sales", ["ana"]);
    let visit = with_bot(&mut floor);
    done(hands_over(&mut floor, visit, to_sales()));
    floor.sees_offer("ana", visit);
    assert_eq!(bot_says(&mut floor, visit), Err(Refusal::HandedOff));
    assert_eq!(hands_over(&mut floor, visit, to_sales()), Err(Refusal::HandedOff));
}

#[test]
fn all_that_the_bot_says_is_there_before_anybody_is_asked_and_once() {
    let mut floor = Floor::new().group("sales", ["ana"]);
    let visit = with_bot(&mut floor);
    let hand_over = HandOver {
        variables: vec![Variable { name: "contact.email".into(), value: Body("v@example.com".into()) }],
        tags: vec!["prices".into()],
        note: Some(text("wants a quote")),
        ..to_sales()
    };
    for _ in 0..2 {
        let ask = Ask::HandOver(Box::new(hand_over.clone()));
        done(floor.asks_with_key(By::Bot, visit, ask, 1, 7));
    }
    let events = floor.events(visit);
    let order: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::VariablesSet { .. } => Some("variables"),
            Event::TagsSet { .. } => Some("tags"),
            Event::HandedOver { .. } => Some("handed over"),
            Event::Noted { .. } => Some("note"),
            Event::Queued { cause: QueueCause::Bot, .. } => Some("queued"),
            Event::Offered { .. } => Some("offered"),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["variables", "tags", "handed over", "note", "queued", "offered"]);
}

#[test]
fn an_agent_alone_is_asked_and_a_preferred_one_first() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    floor.intends("ana", crate::routing::Presence::Away);
    let visit = with_bot(&mut floor);
    done(hands_over(&mut floor, visit, to(Target::Agent(agent("ana")))));
    floor.wait(secs(121));
    assert_eq!(floor.conversation(visit).phase(), Some(Phase::Missed), "nobody else was tried");
    let other = with_bot(&mut floor);
    done(hands_over(&mut floor, other, HandOver { preferred: Some(agent("ana")), ..to_sales() }));
    floor.sees_offer("ben", other);
}

#[test]
fn who_goes_back_to_the_bot_frees_slots_and_leaves_queues() {
    let mut floor = Floor::new().group("sales", ["ana"]).cap(1);
    let way_back = HandOver { may_return: Some(true), ..to_sales() };
    let first = with_bot(&mut floor);
    done(hands_over(&mut floor, first, way_back.clone()));
    floor.accepts("ana", first).expect("accepted");
    let second = with_bot(&mut floor);
    done(hands_over(&mut floor, second, way_back));
    assert_eq!(floor.conversation(second).phase(), Some(Phase::Waiting), "ana is at her cap");
    done(floor.asks(By::Visitor(second.visitor), second, Ask::ReturnToBot));
    assert_eq!(floor.conversation(second).phase(), Some(Phase::Bot));
    done(floor.asks(By::Visitor(first.visitor), first, Ask::ReturnToBot));
    assert_eq!(
        (floor.conversation(first).phase(), floor.conversation(first).owner()),
        (Some(Phase::Bot), None)
    );
    assert_eq!(floor.pending("ana", second), None, "it waits nowhere any more");
    done(bot_says(&mut floor, first));
    let third = floor.visitor_arrives("sales");
    floor.sees_offer("ana", third);
    done(hands_over(&mut floor, first, to_sales()));
    assert_eq!(floor.conversation(first).phase(), Some(Phase::Waiting), "it can be handed over again");
}

/// However long ago they last wrote: going back is a sign of life.
#[test]
fn who_goes_back_to_the_bot_after_a_long_silence_finds_it_there() {
    let mut floor =
        Floor::new().group("sales", ["ana"]).rules(|policy| policy.bot_idle_close = Some(secs(60)));
    let visit = with_bot(&mut floor);
    done(hands_over(&mut floor, visit, HandOver { may_return: Some(true), ..to_sales() }));
    floor.accepts("ana", visit).expect("accepted");
    floor.wait(secs(600));
    done(floor.asks(By::Visitor(visit.visitor), visit, Ask::ReturnToBot));
    floor.wait(secs(59));
    assert_eq!(floor.conversation(visit).phase(), Some(Phase::Bot), "it is not silent for so long");
    floor.wait(secs(2));
    assert_eq!(floor.conversation(visit).phase(), Some(Phase::Closed));
}

#[test]
fn there_is_a_way_back_only_where_it_was_offered() {
    let mut floor = Floor::new().group("sales", ["ana"]).rules(|policy| policy.return_to_bot = true);
    let back =
        |floor: &mut Floor, visit: Visit| floor.asks(By::Visitor(visit.visitor), visit, Ask::ReturnToBot);
    let plain = floor.visitor_arrives("sales");
    assert!(matches!(back(&mut floor, plain), Err(Refusal::WrongState(_))), "there is no bot to go to");
    let visit = with_bot(&mut floor);
    assert!(matches!(back(&mut floor, visit), Err(Refusal::WrongState(_))), "it is with the bot");
    done(hands_over(&mut floor, visit, HandOver { may_return: Some(false), ..to_sales() }));
    assert!(matches!(back(&mut floor, visit), Err(Refusal::WrongState(_))), "this hand-over offers none");
    let visit = with_bot(&mut floor);
    done(hands_over(&mut floor, visit, to_sales()));
    assert_eq!(floor.asks(By::Frontend, visit, Ask::ReturnToBot), Err(Refusal::NotFound));
    done(back(&mut floor, visit));
}

#[test]
fn what_a_group_requires_has_to_be_known_first() {
    let required = &["contact.first_name", "contact.email"];
    let mut floor = Floor::new().group_with("sales", ["ana"], |policy| policy.required_fields = required);
    let visit = with_bot(&mut floor);
    let said = |name: &str| Variable { name: name.into(), value: Body("Val".into()) };
    let missing = |answer: Answer| match answer {
        Err(Refusal::MissingFields(missing)) => missing.names().collect::<Vec<_>>(),
        other => panic!("answered {other:?}"),
    };
    assert_eq!(missing(hands_over(&mut floor, visit, to_sales())), required);
    let half = HandOver { variables: vec![said("contact.first_name")], ..to_sales() };
    assert_eq!(missing(hands_over(&mut floor, visit, half.clone())), ["contact.email"]);
    assert_eq!(floor.conversation(visit).facts(), None, "what is refused changes nothing");
    done(floor.asks(
        By::Frontend,
        visit,
        Ask::SetVariables { set: vec![said("contact.email")], unset: vec![] },
    ));
    done(hands_over(&mut floor, visit, half));
    let mut opening = floor.opening(Target::Group(group("sales")));
    opening.own_choice = false;
    assert_eq!(missing(floor.opens(&opening)), required, "an opening is asked the same");
    opening.variables = required.map(said).to_vec();
    assert!(
        matches!(floor.opens(&opening), Ok(Reply::Opened { existing: false, .. })),
        "the id is not used up"
    );
}

#[test]
fn a_hand_over_past_the_quota_ends_with_the_fallback() {
    let mut floor =
        Floor::new().group("sales", ["ana"]).rules(|policy| policy.lifetime_engagements = Some(1));
    let first = with_bot(&mut floor);
    let second = with_bot(&mut floor);
    done(hands_over(&mut floor, first, to_sales()));
    done(hands_over(&mut floor, second, to_sales()));
    assert_eq!(floor.conversation(second).missed_because(), Some(FallbackReason::QuotaExhausted));
    assert_eq!(floor.pending("ana", second), None);
}

#[test]
fn a_silent_conversation_with_the_bot_is_closed_and_handing_over_survives_a_restart() {
    let mut floor =
        Floor::new().group("sales", ["ana"]).rules(|policy| policy.bot_idle_close = Some(secs(600)));
    let (silent, handed) = (with_bot(&mut floor), with_bot(&mut floor));
    floor.crash(secs(60));
    floor.comes_online("ana");
    assert_eq!(floor.conversation(handed).phase(), Some(Phase::Bot));
    done(hands_over(&mut floor, handed, to_sales()));
    floor.wait(secs(601));
    assert_eq!(floor.conversation(silent).phase(), Some(Phase::Closed));
}
