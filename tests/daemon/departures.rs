//! Many agents vanish at once: what was offered to them goes on to others at a bounded rate, and nobody gets more than they can take.

use std::time::Duration;

use maitred::{
    ids::AgentId,
    protocol::{Notice, reply::GroupDetail, request::ShowGroup},
};

use super::floor::{Floor, Shape, group, seconds, stories, workspace};

stories! {
    what_was_offered_to_many_who_vanish_goes_on_at_a_rate,
}

const SALES: &str = r#"
[limits.visitor]
messages_per_second = 1000
burst = 10000
openings = 10000
[[workspace]]
name = "test"
visitor_grace = "1h"
[[workspace.group]]
name = "sales"
accept_timeout = "10m"
max_wait = "none"
"#;

/// Reliability F16.
async fn what_was_offered_to_many_who_vanish_goes_on_at_a_rate(shape: Shape) {
    const LOST: u16 = 160;
    const CAP: u16 = 140;
    let floor = Floor::open(SALES, shape).await;
    let (mut desk, visitors) = (floor.frontend(shape).await, floor.frontend(shape).await);
    for number in 0..LOST {
        floor.hire(&desk, &format!("agent-{number}"), &["sales"], 1).await;
    }
    for number in 0..LOST {
        visitors.opens(number, group("sales")).await;
    }
    for _ in 0..LOST {
        desk.sees("an offer", |notice| matches!(notice, Notice::OfferMade(_)).then_some(())).await;
    }
    let mut rest = floor.frontend(shape).await;
    let rescue = floor.hire(&rest, "rescue", &["sales"], CAP).await;
    desk.leave().await;
    // The connection's end has been taken in when the agents are waited for.
    let watch = floor.supervisor(shape).await;
    let last = AgentId::derive(&workspace(), &format!("agent-{}", LOST - 1));
    while watch.agent_detail(last).await.row.state.as_str() != "reconnecting" {}
    for number in 0..LOST {
        let agent = AgentId::derive(&workspace(), &format!("agent-{number}"));
        assert_eq!(watch.agent_detail(agent).await.row.state.as_str(), "reconnecting");
    }

    floor.wait(seconds(15));
    let mut offered = 0;
    let mut wave = async |expected: usize| {
        for _ in 0..expected {
            rest.sees("an offer", |notice| {
                matches!(notice, Notice::OfferMade(made) if made.agent == rescue).then_some(())
            })
            .await;
            offered += 1;
        }
        let more = rest.drain().await;
        assert!(!more.iter().any(|notice| matches!(notice, Notice::OfferMade(_))), "not so many at once");
        offered
    };
    // As many as the bucket holds at once, then one every 5 ms.
    assert_eq!(wave(101).await, 101);
    floor.wait(Duration::from_millis(50));
    assert_eq!(wave(10).await, 111);
    floor.wait(Duration::from_millis(5));
    assert_eq!(wave(1).await, 112);
    floor.wait(seconds(10));
    assert_eq!(wave(28).await, usize::from(CAP), "and never more than the cap");
    let row = watch.agent_detail(rescue).await.row;
    assert_eq!((row.taken + row.reserved, row.cap), (CAP, CAP));
    let show = ShowGroup { group: "sales".parse().expect("a name") };
    let waiting = watch.client.ask::<GroupDetail>(show).await;
    assert_eq!(waiting.expect("a group").row.waiting, u32::from(LOST - CAP));
    // Who never came back has missed nothing.
    assert_eq!(watch.agent_detail(last).await.missed, 0);
}
