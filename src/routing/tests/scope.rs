//! Sites: who is limited to some serves and sees no others (BO-12).

use super::floor::*;
use crate::routing::{
    Body, By, Refusal, Strategy, Variable, WhyNot,
    conversation::{Ask, Event, OfferKind, Opening, Phase},
};

fn on(site: &str) -> impl FnOnce(&mut Opening) + use<> {
    let site = Variable { name: "site".into(), value: Body(site.into()) };
    move |opening| {
        // The frontend says where it is: visitors may not.
        opening.own_choice = false;
        opening.variables.push(site);
    }
}

fn limit(floor: &mut Floor, name: &str, sites: &[&str]) {
    let sites = sites.iter().map(|site| (*site).into()).collect();
    floor.puts(name, |profile| profile.sites = sites).expect("a profile");
}

#[test]
fn who_is_limited_to_a_site_is_no_candidate_for_another() {
    let mut floor = Floor::new().group("sales", ["ana", "ben", "cleo"]);
    limit(&mut floor, "ana", &["one"]);
    let visits: Vec<_> = (0..3).map(|_| floor.visitor_arrives_with("sales", on("two"))).collect();
    floor.sees_offer("ben", visits[0]);
    floor.sees_offer("cleo", visits[1]);
    floor.sees_offer("ben", visits[2]);
    let without = floor.visitor_arrives("sales");
    assert_eq!((floor.slots("ana"), floor.pending("ana", without)), (0, None));
    let events = floor.events(visits[0]);
    let decision = events.iter().find_map(|event| match event {
        Event::Offered { decision, .. } => Some(decision.clone()),
        _ => None,
    });
    assert_eq!(decision.expect("a decision").rest, [(WhyNot::OutOfScope, 1)]);
}

#[test]
fn a_line_is_served_past_what_is_on_other_sites() {
    let mut floor = Floor::new().group("sales", ["ana", "ben"]).cap(1);
    limit(&mut floor, "ana", &["one"]);
    floor.intends("ben", crate::routing::Presence::Away);
    let other = floor.visitor_arrives_with("sales", on("two"));
    assert_eq!(floor.phase(other), Phase::Missed, "nobody who serves it is online");
    floor.intends("ben", crate::routing::Presence::Online);
    let first = floor.visitor_arrives_with("sales", on("two"));
    let second = floor.visitor_arrives_with("sales", on("two"));
    let third = floor.visitor_arrives_with("sales", on("one"));
    floor.sees_offer("ben", first);
    floor.sees_offer("ana", third);
    assert_eq!(floor.phase(second), Phase::Waiting);
    floor.accepts("ben", first).expect("accepted");
    floor.asks(By::Agent(agent("ben")), first, Ask::Close).expect("closed");
    floor.sees_offer("ben", second);
}

#[test]
fn what_is_beyond_the_scope_is_not_found_nor_given() {
    let mut floor = Floor::new().group_with("sales", ["ana", "ben"], |rules| rules.strategy = Strategy::Pull);
    limit(&mut floor, "ana", &["one"]);
    let visit = floor.visitor_arrives_with("sales", on("two"));
    floor.sees_nothing("ana", visit);
    floor.sees("ben", visit, OfferKind::Announcement);
    assert_eq!(floor.asks(By::Agent(agent("ana")), visit, Ask::Take), Err(Refusal::NotFound));
    let to = to_agent("ana");
    let given = floor.asks(By::Supervisor, visit, Ask::Assign { to, force: false });
    assert_eq!(given, Err(Refusal::NotEligible(WhyNot::OutOfScope)));
    limit(&mut floor, "ana", &["one", "two"]);
    floor.asks(By::Agent(agent("ana")), visit, Ask::Take).expect("hers to take now");
}
