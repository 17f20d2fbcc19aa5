use std::{collections::BTreeMap, sync::Arc};

use super::*;
use crate::{
    ids::{AgentId, GroupId},
    routing::{
        GroupPolicy, Policy,
        conditions::{Condition, Is, Node},
    },
};

fn visitor(number: u8) -> VisitorId {
    VisitorId::from_bytes([number; 16])
}

fn frontend(number: u8) -> Holder {
    Holder::Frontend(ClientId::from_bytes([number; 16]))
}

fn fact(name: &str, value: &str) -> Variable {
    Variable { name: name.into(), value: Body(value.into()) }
}

/// A lobby with rules, at one moment.
struct Door {
    lobby: Lobby,
    policy: Policy,
}

impl Door {
    fn open(policy: Policy) -> Self {
        Self { lobby: Lobby::default(), policy }
    }

    fn says(
        &mut self,
        holder: Holder,
        who: u8,
        facts: &[(&str, &str)],
        widget_open: bool,
    ) -> Result<Met, Refusal> {
        let generations = BTreeMap::new();
        let now = Timestamp::from_micros(7);
        let cx = Context { now, policy: &self.policy, generations: &generations };
        let facts = facts.iter().map(|(name, value)| fact(name, value)).collect();
        let via = ClientId::from_bytes([9; 16]);
        let announced = Announced { visitor: visitor(who), via, holder, facts, widget_open };
        self.lobby.announce(&cx, announced, Doing::Browsing)
    }

    fn comes(&mut self, who: u8, facts: &[(&str, &str)]) -> Met {
        self.says(frontend(1), who, facts, false).expect("there is room")
    }

    fn visit(&self, who: u8) -> &Visit {
        self.lobby.visit(visitor(who)).expect("they are there")
    }
}

fn trigger(name: &str, on: Moment, page: &str) -> Trigger {
    let node = Node::test("page.url", Is::Contains(page.into())).expect("a test");
    Trigger {
        name: name.into(),
        on,
        when: Condition::new(node).expect("a condition"),
        group: None,
        message: None,
        set: Vec::new(),
        tags: Vec::new(),
    }
}

fn with(triggers: Vec<Trigger>) -> Door {
    let group = |name: &str, enabled| {
        let policy = GroupPolicy { enabled, ..GroupPolicy::default() };
        (name.parse::<GroupId>().expect("a name"), Arc::new(policy))
    };
    let groups = BTreeMap::from([group("fr", true), group("sales", true), group("old", false)]);
    Door::open(Policy { groups, triggers, ..Policy::default() })
}

fn to(group: &str, trigger: Trigger) -> Trigger {
    Trigger { group: Some(group.parse().expect("a name")), ..trigger }
}

#[test]
fn a_visitor_leaves_with_the_last_who_says_that_they_are_there() {
    let mut door = Door::open(Policy::default());
    door.comes(1, &[("page.url", "/a")]);
    door.says(Holder::Connection(4), 1, &[], false).expect("there is room");
    door.lobby.leave(frontend(2), visitor(1));
    door.lobby.leave(frontend(1), visitor(1));
    assert_eq!(door.lobby.len(), 1, "their own connection holds them");
    door.lobby.lose(Holder::Connection(4));
    assert!(door.lobby.is_empty());
    assert!(door.lobby.held.is_empty(), "nothing is left behind");
}

#[test]
fn who_is_there_may_be_announced_again_when_the_lobby_is_full() {
    let mut door = Door::open(Policy { lobby_max: 1, ..Policy::default() });
    door.comes(1, &[]);
    assert_eq!(door.says(frontend(1), 2, &[], false).err(), Some(Refusal::LobbyFull));
    door.comes(1, &[("site", "shop")]);
    assert_eq!((door.lobby.len(), door.visit(1).fact("site")), (1, Some("shop")));
}

#[test]
fn what_is_known_of_a_visit_is_bounded_and_a_refusal_changes_nothing() {
    let mut door = Door::open(Policy::default());
    door.comes(1, &[("site", "shop")]);
    let long = "x".repeat(1_000);
    let names: Vec<String> = (0..9).map(|number| format!("name{number}")).collect();
    let facts: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), long.as_str())).collect();
    assert!(matches!(door.says(frontend(1), 1, &facts, true), Err(Refusal::Invalid(_))));
    assert_eq!((door.visit(1).facts.len(), door.visit(1).widget_open), (1, false));
    door.comes(1, &[("site", "")]);
    assert_eq!(door.visit(1).facts, []);
}

#[test]
fn pages_are_counted_unless_somebody_says_how_many_there_were() {
    let mut door = Door::open(Policy::default());
    for (url, pages) in [("/a", "1"), ("/a", "1"), ("/b", "2"), ("/a", "3")] {
        door.comes(1, &[("page.url", url)]);
        assert_eq!(door.visit(1).fact("pages"), Some(pages));
    }
    door.comes(2, &[("page.url", "/a"), ("pages", "40")]);
    door.comes(2, &[("page.url", "/b")]);
    assert_eq!(door.visit(2).fact("pages"), Some("40"));
}

#[test]
fn visitors_say_where_they_are_and_nothing_else_of_themselves() {
    let policy = Policy { visitor_variables: vec!["cart".into()], ..Policy::default() };
    let mut door = Door::open(policy);
    let own = Holder::Connection(1);
    door.says(own, 1, &[("page.url", "/a"), ("cart", "3")], false).expect("theirs to say");
    assert!(matches!(door.says(own, 1, &[("country", "FR")], false), Err(Refusal::Forbidden(_))));
    door.says(frontend(1), 1, &[("country", "FR")], false).expect("a frontend's to say");
}

#[test]
fn a_trigger_has_its_say_once_in_a_visit_and_the_first_of_a_moment_leads() {
    let rules = vec![
        to("fr", trigger("one", Moment::Page, "/fr")),
        to("sales", trigger("two", Moment::Page, "/")),
        Trigger { tags: vec!["seen".into()], ..trigger("three", Moment::Page, "/") },
    ];
    let mut door = with(rules);
    let met = door.comes(1, &[("page.url", "/fr/prices")]);
    assert_eq!(met.fired.as_slice(), ["one", "two", "three"]);
    let led = door.visit(1).led.as_ref().expect("led");
    assert_eq!((led.trigger.as_str(), led.group.as_ref().map(GroupId::as_str)), ("one", Some("fr")));
    assert_eq!(door.visit(1).tags.as_slice(), ["seen"]);
    assert!(door.comes(1, &[("page.url", "/fr/other")]).fired.is_empty(), "once in a visit");
    door.lobby.leave(frontend(1), visitor(1));
    assert_eq!(door.comes(1, &[("page.url", "/fr")]).fired.len(), 3, "another visit");
}

#[test]
fn each_moment_asks_its_own_triggers() {
    let rules = vec![
        to("fr", trigger("comes", Moment::Arrive, "/")),
        to("sales", trigger("opens", Moment::WidgetOpen, "/")),
    ];
    let mut door = with(rules);
    assert_eq!(door.comes(1, &[("page.url", "/a")]).fired.as_slice(), ["comes"]);
    assert!(door.comes(1, &[("page.url", "/b")]).fired.is_empty());
    let met = door.says(frontend(1), 1, &[], true).expect("there is room");
    assert_eq!(met.fired.as_slice(), ["opens"]);
    let led = door.visit(1).led.as_ref().expect("led");
    assert_eq!(led.group.as_ref().map(GroupId::as_str), Some("sales"), "the later moment goes first");
}

#[test]
fn a_trigger_to_a_disabled_group_does_nothing() {
    let rule = Trigger { tags: vec!["seen".into()], ..to("old", trigger("one", Moment::Page, "/")) };
    let mut door = with(vec![rule]);
    assert!(door.comes(1, &[("page.url", "/a")]).fired.is_empty());
    assert!(door.visit(1).led.is_none() && door.visit(1).tags.is_empty());
}

#[test]
fn who_talks_with_somebody_is_left_alone_and_what_was_decided_is_used_up() {
    let message =
        Message { agent: AgentId::from_bytes([3; 16]), name: "Ana".into(), text: Body("Hi".into()) };
    let rule = Trigger { message: Some(message), ..trigger("one", Moment::Page, "/") };
    let second = to("fr", trigger("two", Moment::Page, "/b"));
    let mut door = with(vec![rule, second]);
    let met = door.comes(1, &[("page.url", "/a")]);
    assert_eq!(met.targeted.expect("a targeted chat").message.text, Body("Hi".into()));
    door.lobby.does(visitor(1), Doing::Waiting);
    assert!(door.visit(1).led.is_none());
    assert!(door.comes(1, &[("page.url", "/b")]).fired.is_empty());
    door.lobby.does(visitor(1), Doing::Browsing);
    assert_eq!(door.comes(1, &[("page.url", "/b2")]).fired.as_slice(), ["two"]);
}

#[test]
fn what_changed_is_told_once_in_pieces_without_a_gap() {
    let mut door = Door::open(Policy::default());
    door.comes(1, &[]);
    let begin = door.lobby.watch();
    assert!(!door.lobby.has_news(), "what was before is on the list");
    for who in 2..=9 {
        door.comes(who, &[]);
    }
    door.comes(2, &[("site", "shop")]);
    door.lobby.leave(frontend(1), visitor(3));
    let (mut told, mut seen, mut gone) = (begin, Vec::new(), Vec::new());
    while door.lobby.has_news() {
        let (after, version, changes) = door.lobby.news(3);
        assert_eq!(after, told);
        assert!(version > after && changes.len() <= 3);
        told = version;
        for (who, left) in changes {
            assert_eq!(left.is_some(), door.lobby.visit(who).is_none());
            if left.is_some() { gone.push(who) } else { seen.push(who) }
        }
    }
    assert_eq!(told, door.lobby.version());
    assert_eq!(gone, [visitor(3)]);
    seen.sort_unstable();
    assert_eq!(seen, [2, 4, 5, 6, 7, 8, 9].map(visitor), "each once");
    door.lobby.unwatch();
    door.comes(1, &[("site", "shop")]);
    assert!(!door.lobby.has_news(), "nobody watches: nothing is kept");
}
