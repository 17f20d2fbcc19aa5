//! Who waits is told where they stand: their own place, when it changes, in bounded portions.

use std::{collections::BTreeMap, time::Duration};

use maitred::{
    ids::ConversationId,
    protocol::{
        Notice,
        notice::QueuePosition,
        reply::PositionReply,
        request::Position,
        words::{Feed, Speaker},
    },
};

use super::floor::{Floor, Seat, Shape, group, new_id, opening, stories, visitor};

stories! {
    who_waits_is_told_their_place_when_it_changes,
    a_long_line_is_told_in_portions,
    who_is_served_is_told_no_place,
}

const LINE: &str = r#"
[limits.visitor]
messages_per_second = 1000
burst = 10000
openings = 10000
[[workspace]]
name = "test"
visitor_grace = "1h"
[[workspace.group]]
name = "sales"
when_empty = "queue"
max_wait = "none"
"#;

/// A little longer than the time between two calls of a line.
const A_WHILE: Duration = Duration::from_millis(500);

/// The places that come until so many are known, the newest of each conversation.
async fn places(seat: &mut Seat, count: usize) -> BTreeMap<ConversationId, QueuePosition> {
    let mut places = BTreeMap::new();
    while places.len() < count {
        let place = next_place(seat).await;
        let before = places.insert(place.conversation, place);
        assert_eq!(before, None, "each is told once");
    }
    places
}

async fn next_place(seat: &mut Seat) -> QueuePosition {
    let find = |notice: &Notice| match notice {
        Notice::QueuePosition(place) => Some(*place),
        _ => None,
    };
    seat.sees("a place", find).await
}

async fn told(seat: &mut Seat) -> usize {
    let notices = seat.drain().await;
    notices.iter().filter(|notice| matches!(notice, Notice::QueuePosition(_))).count()
}

/// The line has taken in what was sent before; then time passes.
async fn called(floor: &Floor, desk: &Seat, of: ConversationId) {
    let asked = Position { conversation: of, speaker: Speaker::Me };
    desk.client.ask::<PositionReply>(asked).await.expect("a place");
    floor.wait(A_WHILE);
}

async fn who_waits_is_told_their_place_when_it_changes(shape: Shape) {
    let floor = Floor::open(LINE, shape).await;
    let (mut desk, mut watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let mut own = floor.visitor(visitor(9), shape).await;
    let mut ids = Vec::new();
    for number in 1..=3 {
        ids.push(desk.opens(number, group("sales")).await);
    }
    let mine = new_id();
    let open = maitred::protocol::request::Open {
        speaker: Speaker::Me,
        ..opening(mine, visitor(9), group("sales"))
    };
    own.client.open(open).await.expect("opened");
    watch.client.subscribe(Feed::Conversation { conversation: ids[2], after: 0 }).await.expect("subscribed");
    assert_eq!(told(&mut desk).await, 0, "nobody is told before the line is called");

    called(&floor, &desk, ids[2]).await;
    let seen = places(&mut desk, 3).await;
    for (position, id) in (1..).zip(&ids) {
        assert_eq!((seen[id].position, seen[id].waiting), (position, 4));
    }
    assert_eq!(
        next_place(&mut own).await,
        QueuePosition { conversation: mine, visitor: visitor(9), position: 4, waiting: 4 }
    );
    assert_eq!(next_place(&mut watch).await.position, 3, "who subscribed hears of that one");

    // The first gives up: all others move, and are told once, though two went.
    desk.client.close_conversation(ids[0], Speaker::Visitor(visitor(1))).await.expect("closed");
    desk.client.close_conversation(ids[1], Speaker::Visitor(visitor(2))).await.expect("closed");
    called(&floor, &desk, ids[2]).await;
    let moved = next_place(&mut desk).await;
    assert_eq!((moved.conversation, moved.position, moved.waiting), (ids[2], 1, 2));
    assert_eq!(next_place(&mut own).await.position, 2);

    // Somebody who joins behind moves nobody.
    let last = desk.opens(4, group("sales")).await;
    called(&floor, &desk, last).await;
    assert_eq!(next_place(&mut desk).await.conversation, last);
    called(&floor, &desk, last).await;
    assert_eq!((told(&mut desk).await, told(&mut own).await), (0, 0));
}

/// The head is told at each call, those behind in turns; everybody hears in the end, and every place is true.
async fn a_long_line_is_told_in_portions(shape: Shape) {
    const COUNT: u16 = 1_200;
    let floor = Floor::open(LINE, shape).await;
    let mut desk = floor.frontend(shape).await;
    let mut ids = Vec::new();
    let mut sent = Vec::new();
    for number in 0..COUNT {
        let id = new_id();
        sent.push(desk.client.open(opening(id, visitor(number), group("sales"))));
        ids.push(id);
    }
    for opened in sent {
        opened.await.expect("opened");
    }
    let mut seen = BTreeMap::new();
    for expected in [520, 500, 180] {
        called(&floor, &desk, ids[0]).await;
        for (id, place) in places(&mut desk, expected).await {
            assert_eq!(seen.insert(id, place.position), None);
        }
        assert_eq!(told(&mut desk).await, 0, "no more than a portion at once");
    }
    for (position, id) in (1..).zip(&ids) {
        assert_eq!(seen[id], position);
    }
    // One goes: the head knows at the next call.
    desk.client.close_conversation(ids[0], Speaker::Visitor(visitor(0))).await.expect("closed");
    called(&floor, &desk, ids[1]).await;
    let moved = places(&mut desk, 520).await;
    assert!((1..=20).all(|place| moved[&ids[place]].position == u32::try_from(place).expect("small")));
}

async fn who_is_served_is_told_no_place(shape: Shape) {
    let floor = Floor::open(LINE, shape).await;
    let mut desk = floor.frontend(shape).await;
    floor.hire(&desk, "ana", &["sales"], 1).await;
    let (first, second) = (desk.opens(1, group("sales")).await, desk.opens(2, group("sales")).await);
    called(&floor, &desk, second).await;
    let place = next_place(&mut desk).await;
    assert_eq!((place.conversation, place.position, place.waiting), (second, 1, 1));
    assert_eq!(told(&mut desk).await, 0, "{first} is being offered");
}
