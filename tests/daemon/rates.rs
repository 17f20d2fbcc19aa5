//! How often a visitor may ask: on whatever connection, whoever speaks for them, and whichever arbiter drives it.

use maitred::protocol::words::{Role, Speaker};

use super::floor::{Floor, Shape, code, group, new_id, opening, seconds, stories, visitor};

stories! {
    a_visitors_rate_is_theirs_wherever_they_write_from,
}

const SALES: &str = r#"
[[workspace]]
name = "test"
[[workspace.group]]
name = "sales"
when_empty = "queue"
"#;

/// Connections are dealt out to the arbiters: six of them reach all three.
async fn a_visitors_rate_is_theirs_wherever_they_write_from(shape: Shape) {
    let floor = Floor::open(SALES, shape).await;
    let desk = floor.frontend(shape).await;
    let token = floor.token(Role::Visitor, Some(visitor(1)), None).await;
    let id = new_id();
    desk.client.open(opening(id, visitor(1), group("sales"))).await.expect("opened");
    let mut own = Vec::new();
    for _ in 0..6 {
        own.push(floor.connect(&token, shape.encoding).await);
    }
    for number in 0..10 {
        own[number % 6].client.say(id, Speaker::Me, "hello").await.expect("within the burst");
    }
    for seat in &own {
        assert_eq!(code(seat.client.say(id, Speaker::Me, "hello").await), "rate_limited");
    }
    assert_eq!(code(desk.client.say(id, Speaker::Visitor(visitor(1)), "hello").await), "rate_limited");
    floor.wait(seconds(1));
    for seat in &own[2..4] {
        seat.client.say(id, Speaker::Me, "hello").await.expect("two a second");
    }
    assert_eq!(code(own[4].client.say(id, Speaker::Me, "hello").await), "rate_limited");

    // Openings likewise: one is spent.
    desk.client.close_conversation(id, Speaker::Visitor(visitor(1))).await.expect("closed");
    for seat in &own[..2] {
        let id = new_id();
        let open = maitred::protocol::request::Open {
            speaker: Speaker::Me,
            ..opening(id, visitor(1), group("sales"))
        };
        seat.client.open(open).await.expect("opened");
        seat.client.close_conversation(id, Speaker::Me).await.expect("closed");
    }
    let open = maitred::protocol::request::Open {
        speaker: Speaker::Me,
        ..opening(new_id(), visitor(1), group("sales"))
    };
    assert_eq!(code(own[5].client.open(open).await), "rate_limited");
}
