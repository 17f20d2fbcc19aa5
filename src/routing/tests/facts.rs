//! Variables, contact details and tags: who may set them, how many, and what is written down of a change.

use super::floor::*;
use crate::routing::{
    Body, By, Refusal, Variable,
    conversation::{Ask, Event, VARIABLES_BYTES},
};

fn variable(name: &str, value: &str) -> Variable {
    Variable { name: name.into(), value: Body(value.into()) }
}

fn set(name: &str, value: &str) -> Ask {
    Ask::SetVariables { set: vec![variable(name, value)], unset: Vec::new() }
}

fn known(floor: &Floor, visit: Visit) -> Vec<(String, String)> {
    let variables = floor.conversation(visit).variables();
    variables.iter().map(|variable| (variable.name.to_string(), variable.value.0.to_string())).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn who_takes_part_sets_variables_and_others_do_not() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]);
    let visit = floor.serves("ana", "sales");
    done(floor.asks(By::Agent(agent("ana")), visit, set("plan", "gold")));
    assert_eq!(floor.asks(By::Agent(agent("ben")), visit, set("plan", "tin")), Err(Refusal::NotFound));
    assert_eq!(floor.asks(By::Admin, visit, set("plan", "tin")), Err(Refusal::NotFound));
    for by in [By::Supervisor, By::Frontend, By::Bot] {
        done(floor.asks(by, visit, set("seen", "yes")));
    }
    assert_eq!(known(&floor, visit), pairs(&[("plan", "gold"), ("seen", "yes")]));
    done(floor.asks(
        By::Supervisor,
        visit,
        Ask::SetVariables { set: vec![], unset: vec!["plan".into(), "seen".into()] },
    ));
    assert_eq!(floor.conversation(visit).facts(), None, "what has nothing to say has no box");
}

#[test]
fn visitors_set_what_the_workspace_opens_to_them() {
    let open = ["page.*".into(), "locale".into()];
    let mut floor =
        Floor::new().group("sales", ["ana"]).rules(|policy| policy.visitor_variables = open.to_vec());
    let visit = floor.serves("ana", "sales");
    let by = By::Visitor(visit.visitor);
    done(floor.asks(by, visit, set("page.url", "/prices")));
    for name in ["plan", "pages", "locale.x", "contact.email"] {
        assert!(matches!(floor.asks(by, visit, set(name, "x")), Err(Refusal::Forbidden(_))), "{name}");
    }
    let unset = Ask::SetVariables { set: vec![], unset: vec!["plan".into()] };
    assert!(matches!(floor.asks(by, visit, unset), Err(Refusal::Forbidden(_))));
    let mut opening = floor.opening(crate::routing::conversation::Target::Default);
    opening.variables = vec![variable("contact.email", "eve@example.com")];
    assert!(matches!(floor.opens(&opening), Err(Refusal::Forbidden(_))), "nor in an opening of their own");
    opening.own_choice = false;
    done(floor.opens(&opening));
}

#[test]
fn a_changed_contact_detail_keeps_what_it_was() {
    let mut floor = Floor::new().group("sales", ["ana"]);
    let visit = floor.serves("ana", "sales");
    done(floor.asks(By::Agent(agent("ana")), visit, set("contact.email", "old@example.com")));
    done(floor.asks(By::Agent(agent("ana")), visit, set("contact.email", "new@example.com")));
    let changed = floor.events(visit).into_iter().rev().find_map(|event| match event {
        Event::VariablesSet { changes } => Some(changes),
        _ => None,
    });
    let changes = changed.expect("a change");
    assert_eq!(changes[0].from, Some(Body("old@example.com".into())));
    assert_eq!(changes[0].to, Some(Body("new@example.com".into())));
}

#[test]
fn there_is_room_for_64_variables_of_8_kib() {
    let mut floor = Floor::new().group("sales", ["ana"]);
    let visit = floor.serves("ana", "sales");
    for number in 0..64 {
        done(floor.asks(By::Supervisor, visit, set(&format!("v{number}"), "x")));
    }
    assert!(matches!(floor.asks(By::Supervisor, visit, set("v64", "x")), Err(Refusal::TooLarge(_))));
    let rest = VARIABLES_BYTES
        - known(&floor, visit).iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    let fills = |bytes: usize| set("v0", &"y".repeat(bytes));
    assert!(matches!(floor.asks(By::Supervisor, visit, fills(rest + 2)), Err(Refusal::TooLarge(_))));
    done(floor.asks(By::Supervisor, visit, fills(rest + 1)));
    // Tags share the room: all of it is shown in one frame.
    let tag =
        |add: &[&str]| Ask::SetTags { add: add.iter().map(|tag| (*tag).into()).collect(), remove: vec![] };
    assert!(matches!(floor.asks(By::Supervisor, visit, tag(&["vip"])), Err(Refusal::TooLarge(_))));
    done(floor.asks(By::Supervisor, visit, fills(rest - 2)));
    done(floor.asks(By::Supervisor, visit, tag(&["vip"])));
    assert!(matches!(floor.asks(By::Supervisor, visit, fills(rest - 1)), Err(Refusal::TooLarge(_))));
}

#[test]
fn a_conversation_has_at_most_32_tags_each_once() {
    let mut floor = Floor::new().group("sales", ["ana"]);
    let visit = floor.serves("ana", "sales");
    let tags = |from: u32, to: u32| (from..to).map(|number| format!("t{number}").into()).collect::<Vec<_>>();
    let set = |add, remove| Ask::SetTags { add, remove };
    done(floor.asks(By::Agent(agent("ana")), visit, set(tags(0, 32), vec![])));
    done(floor.asks(By::Agent(agent("ana")), visit, set(tags(0, 1), vec![])));
    let full = floor.asks(By::Agent(agent("ana")), visit, set(tags(32, 33), vec![]));
    assert!(matches!(full, Err(Refusal::TooLarge(_))));
    done(floor.asks(By::Agent(agent("ana")), visit, set(tags(32, 33), tags(0, 1))));
    let now = floor.conversation(visit).facts().expect("tags").tags().to_vec();
    assert_eq!((now.len(), now[0].as_str(), now[31].as_str()), (32, "t1", "t32"));
}

#[test]
fn what_a_human_has_said_since_the_opening_counts_and_nothing_before() {
    let mut floor = Floor::new().group("sales", ["ana"]);
    let visit = floor.serves("ana", "sales");
    assert!(!floor.conversation(visit).answered_by_human());
    done(floor.asks(By::Visitor(visit.visitor), visit, Ask::Say(text("hello?"))));
    done(floor.asks(By::Agent(agent("ana")), visit, Ask::Note(text("hm"))));
    assert!(!floor.conversation(visit).answered_by_human(), "neither the visitor nor a note");
    done(floor.asks(By::Agent(agent("ana")), visit, Ask::Say(text("hi"))));
    assert!(floor.conversation(visit).answered_by_human());
    done(floor.asks(By::Agent(agent("ana")), visit, Ask::Close));
    done(floor.asks(By::Supervisor, visit, Ask::Reopen));
    assert!(
        !floor.conversation(visit).answered_by_human(),
        "what was said before it was opened again is history"
    );
}
