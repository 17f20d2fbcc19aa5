//! Two read the same count, both find room, both act. Here the agent alone counts its slots, and every way in asks it.

use super::super::floor::*;
use crate::routing::{
    By, Refusal, Reply, Strategy,
    conversation::{Ask, Phase, Target},
};

const GROUPS: [&str; 3] = ["north", "south", "west"];

/// Three groups that know nothing of each other, as three instances of a router do, share one agent.
fn three_instances(cap: u16) -> Floor {
    GROUPS.iter().fold(Floor::new().cap(cap), |floor, name| floor.group(name, ["ana"]))
}

/// What the conversations say that an agent holds: counted without the agent.
fn held(floor: &Floor, name: &str) -> usize {
    let holds = floor.world.conversations.values().flat_map(|it| it.holds());
    holds.filter(|(holder, ..)| *holder == agent(name)).count()
}

/// After each message the agent's slots and what conversations hold of them are within the cap.
fn settles_within(floor: &mut Floor, names: &[&str], cap: u16) {
    floor.settles_watched(|floor| {
        for name in names {
            let (slots, held) = (floor.slots(name), held(floor, name));
            assert!(slots <= cap && held <= usize::from(cap), "{name}: {slots} slots, {held} held");
        }
    });
}

/// D1: three instances, a limit of three, and the agent got four.
#[test]
fn three_instances_that_read_the_count_at_once_keep_the_limit() {
    let mut floor = three_instances(3);
    for name in GROUPS.iter().cycle().take(12) {
        let opening = floor.opening(Target::Group(group(name)));
        floor.posts_opening(&opening);
    }
    settles_within(&mut floor, &["ana"], 3);
    assert_eq!((floor.slots("ana"), held(&floor, "ana")), (3, 3));
}

/// D3: more concurrent requests than the department allows. D2: the fix made the queue sequential.
#[test]
fn five_hundred_arrivals_at_once_fill_every_slot_at_once_and_none_twice() {
    let names: Vec<String> = (0..20).map(|number| format!("agent {number:02}")).collect();
    let mut floor =
        Floor::new().cap(3).group_with("sales", [], |rules| rules.strategy = Strategy::LeastActive);
    for name in &names {
        floor.puts(name, |profile| profile.groups = vec![group("sales")]).expect("created");
        floor.comes_online(name);
    }
    for _ in 0..500 {
        let opening = floor.opening(Target::Group(group("sales")));
        floor.posts_opening(&opening);
    }
    let before = floor.now;
    floor.settle();
    let full = names.iter().filter(|name| floor.slots(name) == 3 && held(&floor, name) == 3).count();
    assert_eq!((full, floor.group_view("sales").waiting(), floor.now), (20, 440, before));
}

/// D5: requests within one millisecond open several conversations for one visitor.
#[test]
fn eight_openings_of_one_visitor_at_once_make_one_conversation() {
    let mut floor = three_instances(3);
    let first = floor.opening(Target::Group(group("north")));
    let requests: Vec<Request> = (0..8)
        .map(|_| {
            let mut opening = floor.opening(Target::Group(group("north")));
            opening.visitor = first.visitor;
            floor.posts_opening(&opening)
        })
        .collect();
    floor.settle();
    let led = requests.into_iter().map(|request| match floor.answer_to(request) {
        Ok(Reply::Opened { conversation, .. }) => conversation,
        other => panic!("answered {other:?}"),
    });
    let led: std::collections::BTreeSet<_> = led.collect();
    assert_eq!((led.len(), floor.world.conversations.len()), (1, 1));
}

/// D1 again, by hand: everybody may take, assign and hand over, and the last slot goes to one of them.
#[test]
fn the_last_slot_goes_to_one_of_all_who_reach_for_it() {
    let mut floor = Floor::new().cap(1).group_with("sales", ["ana", "ben"], |rules| {
        rules.strategy = Strategy::Pull;
    });
    let visits = [(); 4].map(|()| floor.visitor_arrives("sales"));
    floor.accepts("ben", visits[0]).expect("accepted");
    let offer = floor.pending("ana", visits[1]).expect("announced").offer;
    let ana = By::Agent(agent("ana"));
    let requests = [
        floor.posts(ana, visits[1], Ask::Accept { offer }),
        floor.posts(ana, visits[2], Ask::Take),
        floor.posts(By::Supervisor, visits[3], Ask::Assign { to: to_agent("ana"), force: false }),
        floor.posts(By::Agent(agent("ben")), visits[0], Ask::Transfer { to: to_agent("ana"), leave: true }),
    ];
    settles_within(&mut floor, &["ana", "ben"], 1);
    let answers = requests.map(|request| floor.answer_to(request));
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    let full = Err(Refusal::AtCapacity { taken: 1, cap: 1 });
    assert_eq!(answers.iter().filter(|answer| **answer == full).count(), 3, "{answers:?}");
}

/// D29: the slot is still occupied after the close, and a chat that comes in that moment goes straight to missed.
#[test]
fn who_arrives_in_the_moment_of_a_close_gets_its_slot() {
    let mut floor = Floor::new().cap(1).group("sales", ["ana"]);
    let visit = floor.serves("ana", "sales");
    let next = floor.opening(Target::Group(group("sales")));
    floor.posts(By::Agent(agent("ana")), visit, Ask::Close);
    floor.posts_opening(&next);
    settles_within(&mut floor, &["ana"], 1);
    floor.sees_offer("ana", Visit { id: next.asked, visitor: next.visitor });
}

/// D42: a counter that grows by two for each call skews who has the fewest.
#[test]
fn one_conversation_counts_once_in_every_place_it_passes() {
    let mut floor = Floor::new()
        .group_with("sales", ["ana"], |rules| rules.strategy = Strategy::LeastActive)
        .group_with("support", ["ana", "ben"], |rules| rules.strategy = Strategy::LeastActive);
    let visit = floor.visitor_arrives("sales");
    assert_eq!(floor.slots("ana"), 1, "offered");
    floor.accepts("ana", visit).expect("accepted");
    assert_eq!(floor.slots("ana"), 1, "accepted");
    floor.asks(By::Supervisor, visit, Ask::Assign { to: to_group("support"), force: false }).expect("moved");
    assert_eq!((floor.phase(visit), floor.slots("ana") + floor.slots("ben")), (Phase::Offered, 1), "moved");
    floor.sees_offer("ben", visit);
}
