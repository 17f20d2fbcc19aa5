//! What is queued is on disk first, bounded, and goes out lane by lane.

use std::time::Duration;

use super::*;
use crate::{journal::SimDisk, notify::words::Topic};

const PATIENCE: Patience = Patience {
    timeout: Duration::from_secs(15),
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
    give_up: Duration::from_secs(3_600),
    waiting_max: 4,
    waiting_bytes: 100_000,
    dead_max: 3,
};

fn at(second: u64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn open(disk: &SimDisk) -> Queue {
    Queue::load(Outgoing::open(disk, [7; 16]).expect("a store")).expect("readable")
}

fn delivery(number: u64, endpoint: &str) -> Delivery {
    Delivery {
        message: format!("msg_{number}").into(),
        workspace: "test".parse().expect("a name"),
        topic: Topic::Closed,
        kind: Kind::Webhook,
        endpoint: endpoint.into(),
        to: None,
        subject: None,
        body: "{}".into(),
        conversation: Some(ConversationId::from_bytes([number.to_le_bytes()[0]; 16])),
        queued: at(1),
        due: at(1),
        attempts: 0,
        trouble: None,
    }
}

fn enqueue(queue: &mut Queue, numbers: std::ops::Range<u64>, endpoint: &str) -> Vec<Outcome> {
    let new = numbers.map(|number| delivery(number, endpoint)).collect();
    let counted = queue.enqueue(new, Changes::default(), &PATIENCE, |_| Some("a".to_owned()));
    counted.expect("queued").into_iter().map(|(_, outcome, _)| outcome).collect()
}

/// Lets all that fly land with this verdict.
fn land(
    queue: &mut Queue,
    off: Vec<(u64, Arc<Delivery>)>,
    verdict: &Verdict,
    now: Timestamp,
) -> Vec<Outcome> {
    let landed = off.into_iter().map(|(id, delivery)| (id, delivery, verdict.clone())).collect();
    let counted = queue.land(landed, now, &PATIENCE, |_| Some("a".to_owned())).expect("noted");
    counted.into_iter().map(|(_, outcome, _)| outcome).collect()
}

fn messages(page: &[(u64, Arc<Delivery>)]) -> Vec<&str> {
    page.iter().map(|(_, delivery)| delivery.message.as_str()).collect()
}

fn pages(queue: &Queue) -> (Vec<String>, Vec<String>) {
    let workspace = "test".parse().expect("a name");
    let of = |dead| {
        let page = queue.page(&workspace, dead, 0, 100).0;
        messages(&page).into_iter().map(str::to_owned).collect()
    };
    (of(false), of(true))
}

fn again() -> Verdict {
    Verdict::Again { why: "answered 500".to_owned(), after: None }
}

#[test]
fn the_oldest_make_room_and_the_oldest_dead_letters_go() {
    let disk = SimDisk::new();
    let mut queue = open(&disk);
    assert_eq!(enqueue(&mut queue, 0..6, "a"), [Outcome::Dead, Outcome::Dead]);
    assert_eq!(enqueue(&mut queue, 6..8, "b"), [Outcome::Dead, Outcome::Dead, Outcome::Dropped]);
    let wanted = (vec!["msg_4", "msg_5", "msg_6", "msg_7"], vec!["msg_1", "msg_2", "msg_3"]);
    let wanted = (
        wanted.0.into_iter().map(str::to_owned).collect::<Vec<_>>(),
        wanted.1.into_iter().map(str::to_owned).collect::<Vec<_>>(),
    );
    assert_eq!(pages(&queue), wanted);
    drop(queue);
    assert_eq!(pages(&open(&disk)), wanted, "the disk says the same");
}

#[test]
fn what_fails_is_due_again_later_and_remembers_it_over_a_start() {
    let disk = SimDisk::new();
    let mut queue = open(&disk);
    enqueue(&mut queue, 0..1, "a");
    let off = queue.take_off(at(1), |_| 4);
    assert_eq!(off.len(), 1);
    assert!(queue.take_off(at(1), |_| 4).is_empty(), "it flies already");
    assert_eq!(land(&mut queue, off, &again(), at(2)), [Outcome::Retried]);
    drop(queue);
    let mut queue = open(&disk);
    let off = queue.take_off(at(3), |_| 4);
    assert_eq!((off[0].1.attempts, off[0].1.trouble.as_deref()), (1, Some("answered 500")));
    assert!(off[0].1.due >= at(2));
    // For good, once patience is over.
    assert_eq!(land(&mut queue, off, &again(), at(3_601)), [Outcome::Dead]);
    assert_eq!(pages(&queue).1, ["msg_0"]);
    let workspace = "test".parse().expect("a name");
    assert!(queue.retry(&workspace, 1, at(5_000)).expect("done"));
    let other = "other".parse().expect("a name");
    assert!(!queue.retry(&other, 1, at(5_000)).expect("done"), "another workspace's is none of theirs");
    let off = queue.take_off(at(5_000), |_| 4);
    assert_eq!(land(&mut queue, off, &Verdict::Delivered, at(5_001)), [Outcome::Delivered]);
    assert_eq!(pages(&open(&disk)), (vec![], vec![]));
}

#[test]
fn no_lane_waits_for_another_and_a_troubled_one_is_asked_one_thing_at_a_time() {
    let disk = SimDisk::new();
    let mut queue = open(&disk);
    enqueue(&mut queue, 0..3, "a");
    enqueue(&mut queue, 3..4, "b");
    let off = queue.take_off(at(1), |_| 2);
    assert_eq!(messages(&off), ["msg_0", "msg_1", "msg_3"]);
    let (well, ill): (Vec<_>, Vec<_>) = off.into_iter().partition(|(_, delivery)| delivery.endpoint == "b");
    land(&mut queue, ill, &again(), at(1));
    let off = queue.take_off(at(1), |_| 2);
    land(&mut queue, off, &again(), at(1));
    // Three failures: from here on one at a time, until it answers well.
    let off = queue.take_off(at(100), |_| 2);
    assert_eq!(off.len(), 1);
    land(&mut queue, off, &Verdict::Delivered, at(100));
    assert_eq!(queue.take_off(at(200), |_| 2).len(), 2);
    land(&mut queue, well, &Verdict::Delivered, at(100));
}

#[test]
fn gone_ends_all_that_waits_for_it_and_nothing_else() {
    let disk = SimDisk::new();
    let mut queue = open(&disk);
    enqueue(&mut queue, 0..2, "a");
    enqueue(&mut queue, 2..3, "b");
    let off = queue.take_off(at(1), |_| 1);
    let ill = off.into_iter().filter(|(_, delivery)| delivery.endpoint == "a").collect();
    let gone = Verdict::Gone { why: "answered 410".to_owned() };
    assert_eq!(land(&mut queue, ill, &gone, at(1)), [Outcome::Dead, Outcome::Dead]);
    drop(queue);
    let mut queue = open(&disk);
    assert_eq!(enqueue(&mut queue, 5..6, "a"), [Outcome::Disabled]);
    assert_eq!(enqueue(&mut queue, 6..7, "b"), []);
    let moved =
        queue.enqueue(vec![delivery(8, "a")], Changes::default(), &PATIENCE, |_| Some("b".to_owned()));
    assert!(moved.expect("queued").is_empty(), "another address is asked again");
    assert_eq!(pages(&queue).0, ["msg_2", "msg_6", "msg_8"]);
}
