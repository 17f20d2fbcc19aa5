//! Every decision is recorded with its reasons, and a waiting conversation can say why it waits.

use super::floor::*;
use crate::routing::{Because, Decision, Presence, Strategy, WhenEmpty, WhyNot};

#[test]
fn it_names_the_strategy_and_the_next_candidates_in_order() {
    let mut floor = Floor::new().group("sales", ["dan", "ana", "cleo", "ben"]);
    let visit = floor.visitor_arrives("sales");
    let decision = floor.decision(visit);
    assert_eq!((&decision.group, decision.strategy), (&group("sales"), Strategy::RoundRobin));
    assert_eq!(decision.because, Because::Strategy);
    assert_eq!(decision.next, ["ben", "cleo", "dan"].map(agent));
    let second = floor.visitor_arrives("sales");
    assert_eq!(floor.decision(second).next, ["cleo", "dan", "ana"].map(agent));
}

#[test]
fn at_most_sixteen_are_written_down() {
    let mut floor = Floor::new().group("sales", []);
    for number in 0..40 {
        let name = format!("agent{number:02}");
        floor.puts(&name, |profile| profile.groups = vec![group("sales")]).expect("put");
        floor.comes_online(&name);
    }
    let visit = floor.visitor_arrives("sales");
    assert_eq!(floor.decision(visit).next.len(), Decision::NEXT_MAX);
    assert_eq!(floor.decision(visit).next[0], agent("agent01"));
}

#[test]
fn whoever_the_conversation_names_is_there_with_the_first_reason_and_only_once() {
    let mut floor = Floor::new().group("sales", ["ana", "ben", "cleo", "dan"]);
    floor.intends("cleo", Presence::Away);
    let visit = floor.visitor_arrives_with("sales", |opening| opening.preferred = Some(agent("cleo")));
    assert_eq!(floor.decision(visit).named, [(agent("cleo"), WhyNot::Away)]);
    floor.declines("ana", visit).expect("declined");
    let named = [(agent("cleo"), WhyNot::Away), (agent("ana"), WhyNot::TriedIt)];
    assert_eq!(floor.decision(visit).named, named);

    let wanted = floor.visitor_arrives_with("sales", |opening| opening.preferred = Some(agent("dan")));
    floor.declines("dan", wanted).expect("declined");
    assert_eq!(floor.decision(wanted).named, [(agent("dan"), WhyNot::TriedIt)], "preferred and tried");
}

#[test]
fn who_is_no_member_is_named_as_such() {
    let mut floor = Floor::new().group("sales", ["ana"]).group("support", ["ben"]);
    let visit = floor.visitor_arrives_with("sales", |opening| opening.preferred = Some(agent("ben")));
    assert_eq!(floor.decision(visit).named, [(agent("ben"), WhyNot::NotMember)]);
}

#[test]
fn the_rest_is_counted_per_reason_without_those_that_are_named() {
    let mut floor = Floor::new().cap(1).group("sales", ["ana", "ben", "cleo", "dan", "eve", "fay"]);
    floor.intends("ben", Presence::Away);
    floor.intends("cleo", Presence::Away);
    floor.goes_offline("dan");
    let busy = floor.visitor_arrives("everyone");
    floor.assigns(busy, to_agent("eve")).expect("assigned");
    let visit = floor.visitor_arrives_with("sales", |opening| opening.preferred = Some(agent("cleo")));
    let decision = floor.decision(visit);
    assert_eq!(decision.named, [(agent("cleo"), WhyNot::Away)]);
    let rest = [(WhyNot::Offline, 1), (WhyNot::Away, 1), (WhyNot::AtCap, 1)];
    assert_eq!(decision.rest, rest);
    assert_eq!(decision.next, [agent("fay")]);
}

#[test]
fn the_one_agent_it_is_for_is_the_reason() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    let visit = floor.visitor_asks_for("ben");
    let decision = floor.decision(visit);
    assert_eq!((decision.because, &decision.next), (Because::Direct, &vec![]));
}

#[test]
fn who_began_the_transfer_is_named() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    let visit = floor.serves("ana", "sales");
    floor.hands("ana", visit, to_group("sales")).expect("moved");
    floor.sees_offer("ben", visit);
    assert_eq!(floor.decision(visit).named, [(agent("ana"), WhyNot::TransferredIt)]);
}

/// `explain --agent X`.
#[test]
fn for_any_one_agent_it_can_say_why_not_now() {
    let mut floor = Floor::new().cap(1).group_with("sales", ["ana", "ben"], |rules| {
        rules.when_empty = WhenEmpty::Queue;
    });
    floor.serves("ana", "sales");
    floor.serves("ben", "sales");
    let waiting = floor.visitor_arrives("sales");
    let why_not = |floor: &Floor, name| floor.group_view("sales").why_not(waiting.id, agent(name), None);
    assert_eq!(why_not(&floor, "ana"), Some(WhyNot::AtCap));
    assert_eq!(why_not(&floor, "nobody"), Some(WhyNot::NotMember));
    floor.intends("ana", Presence::Away);
    assert_eq!(why_not(&floor, "ana"), Some(WhyNot::Away));
    let direct = floor.visitor_asks_for("ben");
    let everyone = floor.group_view("everyone");
    assert_eq!(everyone.why_not(direct.id, agent("ana"), None), Some(WhyNot::NotTheDirectOne));
    assert_eq!(everyone.why_not(direct.id, agent("ben"), None), Some(WhyNot::AtCap));
}
