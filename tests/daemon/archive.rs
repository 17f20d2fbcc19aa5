//! What is kept when the log is cut: all of it, until its time is over or somebody has it erased.

use std::{collections::BTreeMap, path::Path};

use maitred::{
    ids::{ConversationId, VisitorId},
    protocol::{
        notice::StaffEntry,
        reply::{ConversationPage, Erasure},
        request::{Erase, ListConversations, ListOfVisitor},
        words::{Speaker, Status, Target, View},
    },
};

use super::floor::{Floor, Seat, Shape, code, group, new_id, opening, seconds, stories, visitor};

stories! {
    nothing_is_lost_over_many_cuts_and_restarts,
    a_closed_conversation_is_found_long_after,
    what_is_erased_leaves_no_byte_behind,
    what_is_held_goes_with_its_visitor,
    what_was_kept_long_enough_goes,
}

const SALES: &str = r#"
[limits.visitor]
messages_per_second = 1000
burst = 10000
openings = 10000
[[workspace]]
name = "test"
retention = "1h"
[[workspace.group]]
name = "sales"
when_empty = "queue"
max_wait = "1h"
"#;

async fn closed(seat: &Seat) -> Vec<ConversationId> {
    let mut all = Vec::new();
    let mut cursor = None;
    loop {
        let list = ListConversations { view: View::Closed, group: None, agent: None, cursor, limit: 7 };
        let page: ConversationPage = seat.client.ask(list).await.expect("a page");
        all.extend(page.rows.iter().map(|row| row.conversation));
        match page.cursor {
            Some(next) => cursor = Some(next),
            None => return all,
        }
    }
}

async fn of_visitor(seat: &Seat, visitor: VisitorId) -> Vec<(ConversationId, Status)> {
    let list = ListOfVisitor { visitor, cursor: None, limit: 100 };
    let page: ConversationPage = seat.client.ask(list).await.expect("a page");
    page.rows.iter().map(|row| (row.conversation, row.status)).collect()
}

/// Whether the log still has its first segment.
fn is_uncut(floor: &Floor) -> bool {
    floor.running().data_dir().join("00000000000000000001.log").exists()
}

async fn nothing_is_lost_over_many_cuts_and_restarts(shape: Shape) {
    let mut floor = Floor::open(SALES, shape).await;
    let mut told: BTreeMap<ConversationId, Vec<StaffEntry>> = BTreeMap::new();
    let mut over = Vec::new();
    for life in 0..5_u16 {
        let desk = floor.frontend(shape).await;
        let watch = floor.supervisor(shape).await;
        for (id, before) in &told {
            assert_eq!(watch.staff_history(*id).await, *before, "life {life}: as it was told");
        }
        let listed = closed(&watch).await;
        assert_eq!(listed, over, "life {life}: all that was closed is listed, oldest id first");
        for number in 0..8 {
            let (id, whose) = (new_id(), visitor(life * 100 + number));
            desk.client.open(opening(id, whose, group("sales"))).await.expect("opened");
            let say = |line: u16| {
                let body = format!("line {line} of {number} in life {life}");
                desk.client.say(id, Speaker::Visitor(whose), &body)
            };
            // All at once, so that a slow disk is waited for once.
            for said in (0..30).map(say).collect::<Vec<_>>() {
                said.await.expect("said");
            }
            if number % 2 == 0 {
                desk.client.close_conversation(id, Speaker::Visitor(whose)).await.expect("closed");
                over.push(id);
            }
            told.insert(id, Vec::new());
        }
        for (id, entries) in &mut told {
            // What is open goes on, also what was opened lives ago.
            if watch.status(*id).await != Status::Closed {
                watch.client.note(*id, Speaker::Me, "still here").await.expect("noted");
            }
            *entries = watch.staff_history(*id).await;
            let numbers: Vec<u64> = entries.iter().map(|entry| entry.seq).collect();
            assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
        }
        floor.running().control().archive_now();
        floor.restart(seconds(20)).await;
    }
    assert!(!is_uncut(&floor), "the log was cut");
}

async fn a_closed_conversation_is_found_long_after(shape: Shape) {
    let mut floor = Floor::open(SALES, shape).await;
    let desk = floor.frontend(shape).await;
    let first = desk.opens(1, group("sales")).await;
    desk.client.say(first, Speaker::Visitor(visitor(1)), "the first").await.expect("said");
    desk.client.close_conversation(first, Speaker::Visitor(visitor(1))).await.expect("closed");
    let second = desk.opens(1, group("sales")).await;
    floor.running().control().archive_now();
    floor.restart(seconds(5)).await;
    floor.wait(seconds(2));
    let watch = floor.supervisor(shape).await;
    assert_eq!(of_visitor(&watch, visitor(1)).await, [(second, Status::Waiting), (first, Status::Closed)]);
    assert_eq!(of_visitor(&watch, visitor(2)).await, []);
    let before = watch.staff_history(first).await;

    // Looked at again and again, it is still there, and can be opened again.
    assert_eq!(watch.status(first).await, Status::Closed);
    assert_eq!(watch.staff_history(first).await, before);
    let desk = floor.frontend(shape).await;
    desk.client.close_conversation(second, Speaker::Visitor(visitor(1))).await.expect("closed");
    watch
        .client
        .ask::<maitred::protocol::reply::Recorded>(maitred::protocol::request::Reopen {
            key: watch.client.identity().next_key(),
            conversation: first,
            speaker: Speaker::Me,
        })
        .await
        .expect("open again");
    assert_eq!(watch.status(first).await, Status::Waiting);
    assert_eq!(closed(&watch).await, [second]);
    assert!(watch.staff_history(first).await.starts_with(&before));

    floor.running().control().archive_now();
    floor.restart(seconds(5)).await;
    let watch = floor.supervisor(shape).await;
    assert_eq!(watch.status(first).await, Status::Waiting);
    assert_eq!(closed(&watch).await, [second]);
    assert!(watch.staff_history(first).await.starts_with(&before));
}

async fn what_is_erased_leaves_no_byte_behind(shape: Shape) {
    const CANARY: &str = "the canary sings 4711";
    let mut floor = Floor::open(SALES, shape).await;
    let desk = floor.frontend(shape).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let id = desk.opens(1, group("sales")).await;
        desk.client.say(id, Speaker::Visitor(visitor(1)), CANARY).await.expect("said");
        ids.push(id);
        if ids.len() == 1 {
            desk.client.close_conversation(id, Speaker::Visitor(visitor(1))).await.expect("closed");
            floor.running().control().archive_now();
        }
    }
    let other = desk.opens(2, group("sales")).await;
    let erase = |confirm: Option<&str>| Erase {
        conversation: None,
        visitor: Some(visitor(1)),
        confirm: confirm.map(maitred::protocol::Text::clip),
    };
    assert_eq!(code(floor.admin.ask::<Erasure>(erase(None)).await), "wrong_state", "one is open");
    desk.client.close_conversation(ids[1], Speaker::Visitor(visitor(1))).await.expect("closed");
    let asked: Erasure = floor.admin.ask(erase(None)).await.expect("a word");
    assert_eq!(asked.conversations, 2);
    let word = asked.confirm.expect("the first step gives a word");
    assert_eq!(code(floor.admin.ask::<Erasure>(erase(Some("something else"))).await), "invalid");
    assert!(
        !desk.visitor_history(ids[0], Speaker::Visitor(visitor(1))).await.is_empty(),
        "nothing happened yet"
    );
    let done: Erasure = floor.admin.ask(erase(Some(word.as_str()))).await.expect("erased");
    assert_eq!((done.conversations, done.confirm), (2, None));

    let watch = floor.supervisor(shape).await;
    assert_eq!(of_visitor(&watch, visitor(1)).await, []);
    assert_eq!(closed(&watch).await, []);
    for id in &ids {
        let history =
            watch.client.ask::<maitred::protocol::reply::StaffHistory>(maitred::protocol::request::History {
                conversation: *id,
                speaker: Speaker::Me,
                after: 0,
                limit: 10,
            });
        assert_eq!(code(history.await), "not_found");
    }
    assert_eq!(code(floor.admin.ask::<Erasure>(erase(None)).await), "not_found");
    floor.running().control().archive_now();
    floor.restart(seconds(1)).await;
    let watch = floor.supervisor(shape).await;
    assert_eq!(of_visitor(&watch, visitor(1)).await, []);
    assert_eq!(watch.status(other).await, Status::Waiting);
    // Nothing changes any more while the files are read.
    let daemon = floor.daemon.take().expect("it runs");
    let directory = daemon.data_dir().to_owned();
    daemon.control().stop_now();
    daemon.wait().expect("it ends well");
    assert_eq!(holding(&directory, CANARY.as_bytes()), Vec::<String>::new());
}

/// What a visitor wrote before they chose a group nobody else knows of, and it is erased all the same.
async fn what_is_held_goes_with_its_visitor(shape: Shape) {
    const CANARY: &str = "the canary waits 4712";
    let text = format!(
        "{SALES}[[workspace.group]]\nname = \"care\"\nlabel = \"Care\"\n[workspace.picker]\nenabled = true\nhold = \"1h\"\n"
    )
    .replace("name = \"sales\"", "name = \"sales\"\nlabel = \"Sales\"");
    let mut floor = Floor::open(&text, shape).await;
    let desk = floor.frontend(shape).await;
    let past = desk.opens(1, group("sales")).await;
    desk.client.close_conversation(past, Speaker::Visitor(visitor(1))).await.expect("closed");
    let held = desk.client.open(opening(new_id(), visitor(1), Target::Default)).await.expect("held");
    assert_eq!(held.status, Status::Choosing);
    desk.client.say(held.conversation, Speaker::Visitor(visitor(1)), CANARY).await.expect("kept");
    // What it is made of is in the archive by then.
    floor.running().control().archive_now();
    let erase = |confirm: Option<&str>| Erase {
        conversation: None,
        visitor: Some(visitor(1)),
        confirm: confirm.map(maitred::protocol::Text::clip),
    };
    let asked: Erasure = floor.admin.ask(erase(None)).await.expect("a word");
    assert_eq!(asked.conversations, 2);
    let word = asked.confirm.expect("the first step gives a word");
    let done: Erasure = floor.admin.ask(erase(Some(word.as_str()))).await.expect("erased");
    assert_eq!(done.conversations, 2);
    let whose = Speaker::Visitor(visitor(1));
    assert_eq!(code(desk.client.say(held.conversation, whose, "hello?").await), "not_found");
    floor.running().control().archive_now();
    assert_eq!(code(floor.admin.ask::<Erasure>(erase(None)).await), "not_found");
    floor.restart(seconds(1)).await;
    let daemon = floor.daemon.take().expect("it runs");
    let directory = daemon.data_dir().to_owned();
    daemon.control().stop_now();
    daemon.wait().expect("it ends well");
    assert_eq!(holding(&directory, CANARY.as_bytes()), Vec::<String>::new());
}

/// The files of a directory that hold these bytes.
fn holding(directory: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("it is there").flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let contents = std::fs::read(entry.path()).expect("it can be read");
            if contents.windows(bytes.len()).any(|window| window == bytes) {
                found.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    found
}

async fn what_was_kept_long_enough_goes(shape: Shape) {
    let mut floor = Floor::open(SALES, shape).await;
    let desk = floor.frontend(shape).await;
    let mut ids = Vec::new();
    for number in 0..3 {
        let id = desk.opens(number, group("sales")).await;
        desk.client.close_conversation(id, Speaker::Visitor(visitor(number))).await.expect("closed");
        ids.push(id);
        floor.wait(seconds(1_500));
    }
    let open = desk.opens(9, group("sales")).await;
    floor.running().control().archive_now();
    // The first was closed 75 minutes ago, the second 50, the third 25.
    let watch = floor.supervisor(shape).await;
    assert_eq!(closed(&watch).await, ids[1..]);
    assert_eq!(of_visitor(&watch, visitor(0)).await, []);
    floor.restart(seconds(1_500)).await;
    floor.running().control().archive_now();
    let watch = floor.supervisor(shape).await;
    assert_eq!(closed(&watch).await, ids[2..]);
    assert_eq!(watch.status(open).await, Status::Waiting);
}
