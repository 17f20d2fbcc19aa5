//! Long conversations and large groups: nothing of them is left out of a history or an explanation.

use std::collections::BTreeSet;

use maitred::{
    ids::{AgentId, ConversationId},
    protocol::{
        Notice,
        notice::StaffChange,
        reply::Explanation,
        request::Explain,
        words::{Destination, Presence, Speaker, Strategy},
    },
};

use super::floor::{Floor, Seat, Shape, group, seconds, stories, visitor};

stories! {
    a_long_history_is_read_to_its_end,
    the_newest_decision_of_a_long_conversation_is_explained,
    an_announcement_says_why_the_others_were_not_asked,
    a_large_group_is_announced_to_wholly,
}

const TALK: &str = r#"
[limits.visitor]
messages_per_second = 1000
burst = 10000
openings = 10000
[limits.agent]
commands_per_second = 10000
burst = 100000
[[workspace]]
name = "test"
[[workspace.group]]
name = "sales"
[[workspace.group]]
name = "crowd"
strategy = "broadcast"
[[workspace.group]]
name = "list"
strategy = "pull"
"#;

async fn explained(watch: &Seat, id: ConversationId) -> Explanation {
    watch.client.ask(Explain { conversation: id, agent: None }).await.expect("an explanation")
}

async fn talk(seat: &Seat, id: ConversationId, messages: usize) {
    let said: Vec<_> =
        (0..messages).map(|number| seat.client.say(id, Speaker::Me, &format!("{number}"))).collect();
    for said in said {
        said.await.expect("said");
    }
}

/// Exactly as many events as a page holds, and more than that in notes, must not look like the end.
async fn a_long_history_is_read_to_its_end(shape: Shape) {
    let mut floor = Floor::open(TALK, shape).await;
    let (ana, seat) = floor.agent("ana", &["sales"], 5, shape).await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let id = desk.opens(1, group("sales")).await;
    watch.client.assign(id, Speaker::Me, Destination::Agent(ana), false).await.expect("assigned");
    talk(&seat, id, 450).await;
    for _ in 0..230 {
        seat.client.note(id, Speaker::Me, "a regular").await.expect("noted");
    }
    talk(&seat, id, 7).await;
    for restarted in [false, true] {
        let (desk, watch) = if restarted {
            floor.restart(seconds(1)).await;
            (floor.frontend(shape).await, floor.supervisor(shape).await)
        } else {
            (floor.frontend(shape).await, floor.supervisor(shape).await)
        };
        let newest = watch.detail(id).await.row.seq;
        let seqs: Vec<u64> = watch.staff_history(id).await.iter().map(|entry| entry.seq).collect();
        assert_eq!(seqs, (1..=newest).collect::<Vec<_>>());
        let seen = desk.visitor_history(id, Speaker::Visitor(visitor(1))).await;
        let numbers: Vec<u64> = seen.iter().map(|entry| entry.visitor_seq).collect();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
        assert!(numbers.len() > 457, "{}", numbers.len());
    }
}

/// It was left out as soon as a conversation had more than 200 records.
async fn the_newest_decision_of_a_long_conversation_is_explained(shape: Shape) {
    let floor = Floor::open(TALK, shape).await;
    let (ana, seat) = floor.agent("ana", &["sales"], 5, shape).await;
    let (ben, _other) = floor.agent("ben", &["sales"], 5, shape).await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let id = desk.opens(1, group("sales")).await;
    watch.client.assign(id, Speaker::Me, Destination::Agent(ana), false).await.expect("assigned");
    talk(&seat, id, 300).await;
    watch
        .client
        .assign(id, Speaker::Me, Destination::Group("sales".parse().expect("a name")), false)
        .await
        .expect("moved");
    let pending = watch.detail(id).await.stay.expect("a stay").pending;
    let told = explained(&watch, id).await;
    let newest = told.decisions.last().expect("decisions");
    assert_eq!((newest.stay, newest.chosen.to_vec()), (2, vec![pending[0].agent]));
    assert!([ana, ben].contains(&pending[0].agent));
}

async fn an_announcement_says_why_the_others_were_not_asked(shape: Shape) {
    let floor = Floor::open(TALK, shape).await;
    let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let ana = floor.hire(&desk, "ana", &["crowd", "list"], 5).await;
    let ben = floor.hire(&desk, "ben", &["crowd", "list"], 5).await;
    let cleo = floor.hire(&desk, "cleo", &["crowd", "list"], 5).await;
    desk.client.set_presence(cleo, Presence::Away).await.expect("away");
    floor.put("dan", &["crowd", "list"], 5).await;
    for (number, name, strategy) in [(1, "crowd", Strategy::Broadcast), (2, "list", Strategy::Pull)] {
        let id = desk.opens(number, group(name)).await;
        let told = explained(&watch, id).await;
        let decision = &told.decisions[0];
        assert_eq!((decision.strategy, decision.group.as_str()), (strategy, name));
        assert_eq!(decision.chosen.iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from([ana, ben]));
        let others: Vec<(&str, u32)> =
            decision.others.iter().map(|count| (count.reason.as_str(), count.count)).collect();
        assert_eq!(others, [("offline", 1), ("away", 1)]);
    }
}

async fn a_large_group_is_announced_to_wholly(shape: Shape) {
    const COUNT: usize = 300;
    let floor = Floor::open(TALK, shape).await;
    let (mut desk, mut watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let mut agents = BTreeSet::new();
    for number in 0..COUNT {
        agents.insert(floor.hire(&desk, &format!("agent-{number}"), &["list"], 5).await);
    }
    let id = desk.opens(1, group("list")).await;
    let mut asked = BTreeSet::new();
    let mut last = None;
    while asked.len() < COUNT {
        let made = desk.sees_offer(id).await;
        assert!(asked.insert(made.agent), "each is asked once");
        last = Some(made);
    }
    assert_eq!(asked, agents);
    let named: BTreeSet<AgentId> = {
        let history = watch.staff_history(id).await;
        let events = history.iter().filter_map(|entry| match &entry.event {
            StaffChange::Announced { agents, .. } => Some(agents.to_vec()),
            _ => None,
        });
        events.flatten().collect()
    };
    assert_eq!(named, agents, "and the history names them all");
    let made = last.expect("made");
    desk.client.accept(id, Speaker::Agent(made.agent), made.offer).await.expect("the last may have it, too");
    let mut ended = 0;
    while ended < COUNT {
        desk.sees("the end of it", |notice| match notice {
            Notice::OfferEnded(end) if end.conversation == id => Some(()),
            _ => None,
        })
        .await;
        ended += 1;
    }
    assert!(watch.drain().await.is_empty());
}
