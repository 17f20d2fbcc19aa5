//! What was missed and is left alone has no actor: nobody can tell, and what is due is still done in time.

use maitred::{
    ids::ConversationId,
    protocol::{
        notice::StaffChange,
        reply::ConversationPage,
        request::ListConversations,
        words::{CloseReason, Speaker, Status, View},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::floor::{Floor, Seat, Shape, group, new_id, opening, patience, seconds, stories, visitor};

stories! {
    what_is_missed_sleeps_until_something_comes,
    what_sleeps_is_found_again_after_a_restart,
}

const FLOOR: &str = r#"
[[workspace]]
name = "test"
[[workspace.group]]
name = "sales"
"#;

/// How many conversations have an actor.
async fn awake(floor: &Floor) -> u64 {
    let mut stream = TcpStream::connect(floor.running().admin()).await.expect("the admin listener");
    let request = "GET /metrics HTTP/1.1\r\nHost: maitred\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("asked");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("answered");
    let line = text.lines().find_map(|line| line.strip_prefix(r#"maitred_actors{kind="conversation"} "#));
    line.unwrap_or_else(|| panic!("no actors in {text}")).trim().parse().expect("a number")
}

/// Moves the clock on until only so many conversations have an actor.
async fn falls_asleep(floor: &Floor, but: u64) {
    let wait = async {
        while awake(floor).await != but {
            floor.wait(seconds(31));
        }
    };
    if tokio::time::timeout(patience(), wait).await.is_err() {
        panic!("{} are still awake", awake(floor).await);
    }
}

async fn missed(seat: &Seat) -> Vec<(ConversationId, u64, bool)> {
    let list = ListConversations { view: View::Missed, group: None, agent: None, cursor: None, limit: 100 };
    let page: ConversationPage = seat.client.ask(list).await.expect("a page");
    assert!(page.rows.iter().all(|row| row.group.as_ref().is_some_and(|group| group.as_str() == "sales")));
    page.rows.iter().map(|row| (row.conversation, row.seq, row.status == Status::Missed)).collect()
}

fn closed(change: &StaffChange) -> Option<CloseReason> {
    match change {
        StaffChange::Closed { reason } => Some(*reason),
        _ => None,
    }
}

async fn what_is_missed_sleeps_until_something_comes(shape: Shape) {
    let floor = Floor::open(FLOOR, shape).await;
    let (desk, mut watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
    let written = desk.opens(1, group("sales")).await;
    let taken = desk.opens(2, group("sales")).await;
    let noted = desk.opens(3, group("sales")).await;
    let expired = desk.opens(4, group("sales")).await;
    let before = watch.staff_history(written).await;
    let listed = missed(&watch).await;
    assert_eq!(listed.len(), 4);
    watch.follow(expired).await;
    falls_asleep(&floor, 0).await;

    // Lists know of them, and that a visitor comes or goes wakes nobody.
    assert_eq!(missed(&watch).await, listed);
    for present in [false, true] {
        desk.client.announce(visitor(1), present).await.expect("announced");
    }
    assert_eq!(awake(&floor).await, 0);

    // Whoever looks sees it as it was.
    assert_eq!(watch.staff_history(written).await, before);
    assert_eq!(watch.status(written).await, Status::Missed);
    falls_asleep(&floor, 0).await;

    let (_, mut ana) = floor.agent("ana", &["sales"], 5, shape).await;
    desk.client.say(written, Speaker::Visitor(visitor(1)), "anybody now?").await.expect("said");
    ana.sees_offer(written).await;
    assert_eq!(watch.staff_history(written).await[..before.len()], before);
    ana.client.take(taken, Speaker::Me).await.expect("taken");
    watch.client.note(noted, Speaker::Me, "a regular").await.expect("noted");
    for id in [written, taken] {
        watch.client.close_conversation(id, Speaker::Me).await.expect("closed");
    }
    falls_asleep(&floor, 0).await;
    assert_eq!(missed(&watch).await.iter().map(|row| row.0).collect::<Vec<_>>(), [noted, expired]);

    floor.wait(seconds(24 * 3_600));
    assert_eq!(watch.sees_staff(expired, "its end", closed).await, CloseReason::MissedExpired);
    assert_eq!(watch.status(expired).await, Status::Closed);
    assert_eq!(missed(&watch).await, []);
}

async fn what_sleeps_is_found_again_after_a_restart(shape: Shape) {
    let mut floor = Floor::open(FLOOR, shape).await;
    let desk = floor.frontend(shape).await;
    // Some that the archive knows as they sleep, one that was woken since, and some that only the log has.
    let old = desk.opens(1, group("sales")).await;
    let noted = desk.opens(2, group("sales")).await;
    floor.running().control().archive_now();
    let watch = floor.supervisor(shape).await;
    falls_asleep(&floor, 0).await;
    watch.client.note(noted, Speaker::Me, "a regular").await.expect("noted");
    let new = desk.opens(3, group("sales")).await;
    let all = [old, noted, new];
    let mut told = Vec::new();
    for id in all {
        told.push(watch.staff_history(id).await);
    }
    for _ in 0..2 {
        floor.restart(seconds(5)).await;
        assert_eq!(awake(&floor).await, 0, "no actor is made of what sleeps");
        let (desk, watch) = (floor.frontend(shape).await, floor.supervisor(shape).await);
        assert_eq!(missed(&watch).await.iter().map(|row| row.0).collect::<Vec<_>>(), all);
        let again = desk.client.open(opening(new_id(), visitor(1), group("sales"))).await.expect("opened");
        assert_eq!((again.conversation, again.existing), (old, true), "one is open already");
        for (id, told) in all.into_iter().zip(&told) {
            assert_eq!(watch.staff_history(id).await[..told.len()], told[..]);
        }
        floor.running().control().archive_now();
    }
    floor.restart(seconds(24 * 3_600)).await;
    let mut watch = floor.supervisor(shape).await;
    for id in all {
        watch.follow(id).await;
        if watch.status(id).await != Status::Closed {
            assert_eq!(watch.sees_staff(id, "its end", closed).await, CloseReason::MissedExpired);
        }
    }
    assert_eq!(missed(&watch).await, []);
}
