//! Routing rules: all are asked, the first that matches and has an eligible agent wins, and what each said is recorded.

use super::floor::*;
use crate::routing::{
    Body, FallbackReason, QueueCause, Strategy, Variable, WhenEmpty,
    conditions::{Condition, Is, Known, Node, Verdict},
    conversation::{Ask, Event, OfferKind, Phase, Target},
    rules::{Rule, RuleTarget, Rules},
};

fn country(country: &str) -> Condition {
    Condition::new(Node::test("country", Is::Eq(country.into())).expect("a test")).expect("a condition")
}

fn rule(name: &str, when: Condition, then: RuleTarget) -> Rule {
    Rule { name: name.into(), when, then }
}

fn to(name: &str) -> RuleTarget {
    RuleTarget::Group(group(name))
}

/// Ana in `fr`, Ben in `be`, these of them online, and no default group.
fn floor(rules: Vec<Rule>, online: &[&str]) -> Floor {
    let mut floor = Floor::new().group("fr", ["ana"]).group("be", ["ben"]);
    for name in ["ana", "ben"].into_iter().filter(|name| !online.contains(name)) {
        floor.goes_offline(name);
    }
    floor.rules(|policy| {
        policy.rules = Rules::new(rules);
        policy.default_group = None;
    })
}

fn from(floor: &mut Floor, country: &str) -> Visit {
    let country = Variable { name: "country".into(), value: Body(country.into()) };
    floor.visitor_arrives_with("everyone", |opening| {
        opening.target = Target::Default;
        opening.own_choice = false;
        opening.variables = vec![country];
    })
}

fn verdicts(floor: &Floor, visit: Visit) -> Vec<Verdict> {
    let newest_first = floor.events(visit).into_iter().rev();
    let mut ruled = newest_first.filter_map(|event| match event {
        Event::Ruled { verdicts, .. } => Some(verdicts.iter().collect()),
        _ => None,
    });
    ruled.next().unwrap_or_default()
}

/// Rules that sent it somewhere, in their order.
fn sent_by(floor: &Floor, visit: Visit) -> Vec<String> {
    let events = floor.events(visit).into_iter();
    events
        .filter_map(|event| match event {
            Event::Directed { rule, .. } => Some(rule.to_string()),
            _ => None,
        })
        .collect()
}

fn fell_back(floor: &Floor, visit: Visit) -> Option<FallbackReason> {
    floor.events(visit).into_iter().rev().find_map(|event| match event {
        Event::FellBack { reason, .. } => Some(*reason),
        _ => None,
    })
}

fn three() -> Vec<Rule> {
    vec![
        rule("french", country("FR"), to("fr")),
        rule("belgian", country("BE"), to("be")),
        rule("anybody", Condition::always(), to("be")),
    ]
}

#[test]
fn every_rule_is_asked_and_the_first_that_matches_has_it() {
    let mut floor = floor(three(), &["ana", "ben"]);
    let visit = from(&mut floor, "fr");
    floor.sees_offer("ana", visit);
    assert_eq!(verdicts(&floor, visit), [Verdict::Matched, Verdict::NotMatched, Verdict::Matched]);
    assert_eq!(sent_by(&floor, visit), ["french"]);
    let visit = from(&mut floor, "BE");
    floor.sees_offer("ben", visit);
    assert_eq!(verdicts(&floor, visit), [Verdict::NotMatched, Verdict::Matched, Verdict::Matched]);
    assert_eq!(sent_by(&floor, visit), ["belgian"]);
}

#[test]
fn a_rule_without_an_eligible_agent_is_passed_over() {
    let mut floor = floor(three(), &["ben"]);
    let visit = from(&mut floor, "FR");
    floor.sees_offer("ben", visit);
    assert_eq!(sent_by(&floor, visit), ["french", "anybody"]);
    // At the cap is not eligible either.
    let mut floor = self::floor(three(), &["ana", "ben"]).cap(1);
    let first = from(&mut floor, "FR");
    floor.sees_offer("ana", first);
    let second = from(&mut floor, "FR");
    floor.sees_offer("ben", second);
}

/// Who may take it from the line of a group that is no longer there is told so before it goes where the next rule sends it.
#[test]
fn what_was_announced_ends_before_the_next_rule_has_it() {
    let mut floor =
        Floor::new().group_with("fr", ["ana"], |rules| rules.strategy = Strategy::Pull).group("be", ["ben"]);
    floor = floor.rules(|policy| {
        policy.rules = Rules::new(three());
        policy.default_group = None;
    });
    let visit = from(&mut floor, "FR");
    floor.sees("ana", visit, OfferKind::Announcement);
    floor.sets_group_aside("fr");
    floor.sees_offer("ben", visit);
    assert_eq!(sent_by(&floor, visit), ["french", "anybody"]);
    let events = floor.events(visit);
    let ended = events.iter().position(|event| matches!(event, Event::AnnouncementEnded { .. }));
    let directed = events.iter().rposition(|event| matches!(event, Event::Directed { .. }));
    assert!(ended.is_some() && ended < directed, "{events:?}");
}

#[test]
fn with_nobody_eligible_for_any_it_waits_where_the_first_that_matches_sends_it() {
    let mut floor = floor(three(), &["ana", "ben"]).cap(1);
    let (first, second) = (from(&mut floor, "FR"), from(&mut floor, "BE"));
    done(floor.accepts("ana", first));
    done(floor.accepts("ben", second));
    let third = from(&mut floor, "FR");
    assert_eq!(floor.conversation(third).phase(), Some(Phase::Waiting));
    assert_eq!(floor.conversation(third).group(), Some(&group("fr")));
    assert_eq!(sent_by(&floor, third), ["french", "anybody", "french"]);
    assert_eq!(floor.conversation(third).stay().map(|stay| stay.cause), Some(QueueCause::Rule));
    done(floor.closes("ana", first));
    floor.sees_offer("ana", third);
}

#[test]
fn where_the_first_would_wait_its_own_rules_hold() {
    let mut floor = floor(three(), &[]);
    let visit = from(&mut floor, "FR");
    assert_eq!(fell_back(&floor, visit), Some(FallbackReason::NobodyOnline), "nobody is online in either");
    floor.reload_group("fr", |group| group.when_empty = WhenEmpty::Queue);
    let visit = from(&mut floor, "FR");
    assert_eq!(floor.conversation(visit).phase(), Some(Phase::Waiting));
}

#[test]
fn no_rule_that_matches_leads_to_the_default_group_or_the_fallback() {
    let rules = || vec![rule("french", country("FR"), to("fr"))];
    let mut floor = floor(rules(), &["ana"]);
    let visit = from(&mut floor, "DE");
    assert_eq!(fell_back(&floor, visit), Some(FallbackReason::NoRule));
    assert_eq!(verdicts(&floor, visit), [Verdict::NotMatched]);
    let mut floor = self::floor(rules(), &["ben"]).rules(|policy| policy.default_group = Some(group("be")));
    let visit = from(&mut floor, "DE");
    floor.sees_offer("ben", visit);
}

#[test]
fn one_agent_of_a_rule_is_the_only_one_who_is_asked() {
    let rules = vec![rule("ana", country("FR"), RuleTarget::Agent(agent("ana")))];
    let mut floor = floor(rules, &["ben"]);
    let visit = from(&mut floor, "FR");
    assert_eq!(fell_back(&floor, visit), Some(FallbackReason::NobodyOnline), "nobody else is tried");
    floor.comes_online("ana");
    done(floor.visitor_says(visit, "hello?"));
    floor.sees_offer("ana", visit);
    assert!(floor.pending("ben", visit).is_none());
}

#[test]
fn what_was_missed_is_ruled_anew_by_what_is_known_then() {
    let mut floor = floor(three(), &[]);
    let visit = from(&mut floor, "FR");
    assert_eq!(floor.conversation(visit).phase(), Some(Phase::Missed));
    let set = vec![Variable { name: "country".into(), value: Body("BE".into()) }];
    done(floor.asks(crate::routing::By::Supervisor, visit, Ask::SetVariables { set, unset: vec![] }));
    floor.comes_online("ana");
    floor.comes_online("ben");
    done(floor.visitor_says(visit, "hello?"));
    floor.sees_offer("ben", visit);
    assert_eq!(verdicts(&floor, visit), [Verdict::NotMatched, Verdict::Matched, Verdict::Matched]);
}

#[test]
fn a_group_that_takes_nothing_new_is_passed_over() {
    let mut floor = floor(three(), &["ana", "ben"]);
    floor.reload_group("fr", |group| group.enabled = false);
    let visit = from(&mut floor, "FR");
    floor.sees_offer("ben", visit);
    assert_eq!(verdicts(&floor, visit)[0], Verdict::Matched, "it matches all the same");
}

#[test]
fn who_names_a_group_is_not_asked_for() {
    let mut floor = floor(three(), &["ana"]);
    let visit = floor.visitor_arrives("fr");
    floor.sees_offer("ana", visit);
    assert!(verdicts(&floor, visit).is_empty());
}

#[test]
fn a_restart_between_two_rules_loses_nothing() {
    let mut floor = floor(three(), &["ben"]);
    let visit = from(&mut floor, "FR");
    floor.sees_offer("ben", visit);
    floor.crash(secs(1));
    assert_eq!(sent_by(&floor, visit), ["french", "anybody"]);
    assert_eq!(floor.conversation(visit).group(), Some(&group("be")));
}

/// Counts what is asked.
struct Counted<'a>(&'a std::cell::Cell<usize>);

impl Known for Counted<'_> {
    fn get(&self, name: &str) -> Option<std::borrow::Cow<'_, str>> {
        self.0.set(self.0.get() + 1);
        (name == "country").then_some(std::borrow::Cow::Borrowed("FR"))
    }
}

/// What two hundred rules cost is two hundred questions, however many of them match.
#[test]
fn a_rule_asks_for_each_of_its_names_once() {
    let questions = std::cell::Cell::new(0);
    for country in ["FR", "XX"] {
        let list =
            (0..200).map(|number| rule(&format!("r{number}"), self::country(country), to("fr"))).collect();
        questions.set(0);
        let ruling = Rules::new(list).judge(&Counted(&questions), &crate::routing::Policy::default());
        assert_eq!((questions.get(), ruling.verdicts.iter().count()), (200, 200));
        assert!(ruling.ways.len() <= 1 && ruling.matched.len() <= 16);
    }
}

#[test]
fn two_hundred_rules_are_each_asked_once() {
    let rules: Vec<Rule> =
        (0..200).map(|number| rule(&format!("r{number}"), country(&number.to_string()), to("fr"))).collect();
    let mut floor = floor(rules, &["ana"]);
    let visit = from(&mut floor, "199");
    let said = verdicts(&floor, visit);
    assert_eq!((said.len(), said.iter().filter(|said| **said == Verdict::Matched).count()), (200, 1));
    assert_eq!(said[199], Verdict::Matched);
    floor.sees_offer("ana", visit);
}
