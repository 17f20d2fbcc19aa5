//! The waiting line: class, then age; nobody is blocked by a head that nobody can take; nothing polls.

use super::floor::*;
use crate::routing::{
    Presence, Priority, Strategy, WhenEmpty,
    conversation::{Event, Phase},
};

/// A group whose only agent has one slot, which is taken; and what takes it.
fn busy() -> (Floor, Visit) {
    let mut floor = Floor::new().cap(1).group("sales", ["ana"]);
    let visit = floor.serves("ana", "sales");
    (floor, visit)
}

fn with_class(class: u8) -> impl FnOnce(&mut crate::routing::conversation::Opening) {
    move |opening| opening.priority = Priority::new(class).expect("a class")
}

/// Known bugs D30 and D34: the longest waiting is served first, and at once.
#[test]
fn a_freed_slot_serves_the_longest_waiting_at_once() {
    let (mut floor, busy) = busy();
    let first = floor.visitor_arrives("sales");
    floor.wait(MICRO);
    let second = floor.visitor_arrives("sales");
    floor.closes("ana", busy).expect("closed");
    floor.sees_offer("ana", first);
    floor.waits(second, "sales");
}

#[test]
fn the_class_comes_first_then_the_age() {
    let (mut floor, busy) = busy();
    let mut waiting = Vec::new();
    for class in [5, 2, 9, 2, 0] {
        floor.wait(secs(1));
        waiting.push(floor.visitor_arrives_with("sales", with_class(class)));
    }
    let mut last = busy;
    for next in [4, 1, 3, 0, 2].map(|place: usize| waiting[place]) {
        floor.closes("ana", last).expect("closed");
        floor.accepts("ana", next).expect("its turn");
        last = next;
    }
}

#[test]
fn how_many_stand_before_it_is_counted_in_the_same_order() {
    let (mut floor, _) = busy();
    let late = floor.visitor_arrives_with("sales", with_class(7));
    let early = floor.visitor_arrives_with("sales", with_class(1));
    let ahead = |visit: Visit| floor.group_view("sales").ahead_of(visit.id);
    assert_eq!((ahead(early), ahead(late)), (Some(0), Some(1)));
    assert_eq!(floor.group_view("sales").waiting(), 2);
}

/// Known-bugs shape (c), D7: a polled loop whose head blocks.
#[test]
fn an_unroutable_head_blocks_nobody() {
    let mut floor = Floor::new().cap(1).group("sales", ["ana", "ben"]);
    let busy = ["ana", "ben"].map(|name| {
        let visit = floor.visitor_arrives("everyone");
        floor.assigns(visit, to_agent(name)).expect("assigned");
        visit
    });
    // The head waits for Ben alone; what stands behind it can go to anybody.
    let head = floor.visitor_asks_for("ben");
    floor.wait(secs(1));
    let behind = floor.visitor_arrives("everyone");
    floor.closes("ana", busy[0]).expect("closed");
    floor.waits(head, "everyone");
    floor.sees_offer("ana", behind);
    floor.closes("ben", busy[1]).expect("closed");
    floor.sees_offer("ben", head);
}

#[test]
fn nothing_is_left_waiting_while_somebody_eligible_is_free() {
    let mut floor = Floor::new().cap(2).group("sales", ["ana", "ben"]).group("support", ["ben", "cleo"]);
    let visits: Vec<_> =
        (0..12).map(|number| floor.visitor_arrives(["sales", "support"][number % 2])).collect();
    for _ in 0..40 {
        floor.wait(secs(7));
        for visit in &visits {
            let waiting = floor.phase(*visit) == Phase::Waiting;
            let here = floor.conversation(*visit).group().expect("a group").clone();
            let roster = floor.world.groups[&here].roster();
            let free: Vec<_> = ["ana", "ben", "cleo"]
                .into_iter()
                .filter(|name| roster.is_available(agent(name)))
                .filter(|name| floor.world.groups[&here].why_not(visit.id, agent(name), None).is_none())
                .collect();
            assert!(!waiting || free.is_empty(), "{visit:?} waits although {free:?} could take it");
        }
    }
}

/// Known bug D31: a line that nobody serves before a timer runs.
#[test]
fn whoever_comes_online_is_given_what_waits() {
    let mut floor = Floor::new().group_with("sales", ["ana"], |rules| rules.when_empty = WhenEmpty::Queue);
    floor.goes_offline("ana");
    let visits = [(); 3].map(|()| floor.visitor_arrives("sales"));
    floor.intends("ana", Presence::Online);
    for visit in visits {
        floor.sees_offer("ana", visit);
    }
}

#[test]
fn a_new_member_is_given_what_waits() {
    let (mut floor, _) = busy();
    let waiting = floor.visitor_arrives("sales");
    floor.puts("ben", |_| ()).expect("put");
    floor.comes_online("ben");
    floor.waits(waiting, "sales");
    floor.puts("ben", |profile| profile.groups = vec![group("sales")]).expect("changed");
    floor.sees_offer("ben", waiting);
}

#[test]
fn a_declined_conversation_keeps_its_place() {
    let mut floor = Floor::new().cap(1).group("sales", ["ana", "ben"]);
    let busy = floor.visitor_arrives("everyone");
    floor.assigns(busy, to_agent("ben")).expect("assigned");
    let first = floor.visitor_arrives("sales");
    floor.wait(secs(1));
    let second = floor.visitor_arrives("sales");
    floor.declines("ana", first).expect("declined");
    floor.sees_offer("ana", second);
    floor.closes("ben", busy).expect("closed");
    floor.sees_offer("ben", first);
}

/// ZD-2.
#[test]
fn whoever_takes_it_out_of_the_line_leaves_the_rest_in_order() {
    let (mut floor, busy) = busy();
    let visits = [(); 3].map(|()| floor.visitor_arrives("sales"));
    floor.assigns(visits[0], to_agent("ana")).expect_err("full");
    floor
        .asks(
            crate::routing::By::Supervisor,
            visits[0],
            crate::routing::conversation::Ask::Assign { to: to_agent("ana"), force: true },
        )
        .expect("forced");
    floor.closes("ana", busy).expect("closed");
    floor.closes("ana", visits[0]).expect("closed");
    floor.sees_offer("ana", visits[1]);
    assert_eq!(floor.group_view("sales").waiting(), 1);
}

/// Known bug D17: an automatic assignment overrides a manual one.
#[test]
fn a_manual_assignment_wins_over_an_offer_on_its_way() {
    let mut floor =
        Floor::new().group_with("sales", ["ana", "ben"], |rules| rules.strategy = Strategy::Assign);
    let opening = floor.opening(crate::routing::conversation::Target::Group(group("sales")));
    floor.posts_opening(&opening);
    let visit = Visit { id: opening.asked, visitor: opening.visitor };
    let ask = crate::routing::conversation::Ask::Assign { to: to_agent("ben"), force: false };
    let assign = floor.posts(crate::routing::By::Supervisor, visit, ask);
    floor.settle();
    // Whichever came first, there is one owner, and nobody else holds a slot for it.
    let owner = floor.owner(visit).expect("an owner").to_owned();
    let taken = floor.slots("ana") + floor.slots("ben");
    assert_eq!(taken, 1);
    assert_eq!(floor.slots(&owner), 1);
    let _ = floor.answer_to(assign);
    let assigned = floor.events(visit).iter().filter(|event| matches!(event, Event::Assigned { .. })).count();
    assert_eq!(assigned, 1);
}
