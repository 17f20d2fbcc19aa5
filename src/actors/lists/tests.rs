//! Whatever the reader's pace and however many change: no gap, nobody left out, and nothing done in one go.

use std::{
    collections::BTreeMap,
    rc::Rc,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use super::{LISTS_MAX, ListFilter, ListKey, ListView, ROWS_MAX, Tallies, list::BEHIND_MAX};
use crate::{
    actors::{
        ledger::Line,
        local::{Local, Shared},
        port::{Answer, ConversationRow, Notice, Port},
        space::Space,
        tokens::TokenBook,
    },
    clock::{Clock, Timestamp},
    ids::{AgentId, ClientId, ConversationId, VisitorId},
    journal::{Archive, Journal, Options, SimDisk},
    metrics::Metrics,
    routing::{Origin, Policy, Refusal, ReplyTo, conversation::Phase, workspace::Grants},
};

const CONNECTION: u64 = 1;

/// What a client makes of what it is told. As an outbox does, it drops what can be dropped while it is crowded.
#[derive(Default)]
struct Reader {
    crowded: AtomicBool,
    promised: AtomicUsize,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    lists: BTreeMap<ListKey, Copy>,
    counts: Option<(u64, Tallies)>,
    refused: Vec<Refusal>,
    snapshots: usize,
}

/// One list: its version, and the priority of each row, which the tests change.
#[derive(Default)]
struct Copy {
    version: u64,
    rows: BTreeMap<ConversationId, u8>,
    /// How often each was told since the snapshot.
    told: BTreeMap<ConversationId, usize>,
}

impl Reader {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no panic")
    }
}

impl Port for Reader {
    fn answer(&self, _: u32, answer: Answer) {
        if let Answer::Refused(refusal) = answer {
            self.seen().refused.push(refusal);
        }
    }

    fn notify(&self, notice: &Notice) {
        if let Notice::ListItems { rows, .. } | Notice::ListChanged { rows, .. } = notice {
            self.promised.fetch_sub(rows.len(), Ordering::SeqCst);
        }
        let crowded = self.crowded.load(Ordering::SeqCst);
        let mut seen = self.seen();
        match notice {
            Notice::ListItems { list, version, rows, .. } => {
                assert!(!crowded, "a snapshot for somebody who has no room for it");
                let rows = rows.iter().map(|row| (row.row.conversation, row.row.priority)).collect();
                let copy = Copy { version: *version, rows, told: BTreeMap::new() };
                seen.lists.insert((**list).clone(), copy);
                seen.snapshots += 1;
            }
            Notice::ListChanged { list, version, rows, gone, .. } if !crowded => {
                let copy = seen.lists.get_mut(&**list).expect("it has begun");
                assert_eq!(*version, copy.version + 1, "a gap");
                copy.version = *version;
                copy.rows.retain(|id, _| !gone.contains(id));
                for row in rows {
                    copy.rows.insert(row.row.conversation, row.row.priority);
                    *copy.told.entry(row.row.conversation).or_default() += 1;
                }
            }
            Notice::Counts { version, tallies, .. } if !crowded => {
                assert_eq!(*version, seen.counts.map_or(0, |(known, _)| known) + 1, "a gap");
                seen.counts = Some((*version, *tallies));
            }
            _ => {}
        }
    }

    fn revoke(&self) {}

    fn promise(&self, rows: usize) {
        self.promised.fetch_add(rows, Ordering::SeqCst);
    }

    fn has_room(&self, _: usize) -> bool {
        !self.crowded.load(Ordering::SeqCst)
    }
}

/// A workspace with conversations and one reader.
struct Room {
    space: Rc<Space>,
    reader: Arc<Reader>,
    lines: BTreeMap<ConversationId, Rc<Line>>,
}

impl Room {
    fn new() -> Self {
        let disk = Arc::new(SimDisk::new());
        let archive = Archive::open(Arc::<SimDisk>::clone(&disk)).expect("an archive");
        let fail = Box::new(|error| panic!("{error}"));
        let (journal, _) = Journal::open(disk, Options::default(), &mut |_| {}, fail).expect("a log");
        let shared = Shared {
            attendance: Arc::default(),
            clock: Clock::manual(Timestamp::from_micros(1)),
            journal,
            archive,
            directory: Arc::default(),
            metrics: Metrics::new(&[]),
            observer: None,
        };
        let id = "test".parse().expect("a name");
        let space = Space::new(
            0,
            id,
            Local::new(0, shared),
            Arc::new(Policy::default()),
            Arc::<TokenBook>::default(),
        );
        let reader = Arc::new(Reader::default());
        let port: Arc<dyn Port> = Arc::<Reader>::clone(&reader);
        let client = ClientId::from_bytes([1; 16]);
        space.sessions.borrow_mut().connect(CONNECTION, port, Grants::Frontend, client, "t".into());
        Self { space, reader, lines: BTreeMap::new() }
    }

    /// A conversation is as it was not before.
    fn put(&mut self, number: u16, phase: Phase, priority: u8) {
        let id = id(number);
        let line = Line::new(row(id, phase, priority));
        self.space.touch(id, Some(&line));
        let before = self.lines.insert(id, Rc::clone(&line));
        self.space.ledger.borrow_mut().list(before.as_deref(), line);
    }

    fn keep(&self, key: &ListKey) {
        self.space.keep_list(ReplyTo { connection: CONNECTION, request: 1 }, key.clone());
    }

    fn crowd(&self, crowded: bool) {
        self.reader.crowded.store(crowded, Ordering::SeqCst);
    }

    /// All slices of a round: how many, and whether there is more to tell.
    fn round(&self) -> (usize, bool) {
        let mut round = self.space.begin_round();
        let mut slices = 1;
        while self.space.push_lists(&mut round) {
            slices += 1;
        }
        (slices, round.more)
    }

    /// Rounds until there is nothing more to tell.
    fn settle(&self) {
        for _ in 0..1_000 {
            if !self.round().1 {
                return assert_eq!(self.reader.promised.load(Ordering::SeqCst), 0);
            }
        }
        panic!("there is always more to tell");
    }

    /// What stands on a list, for who has heard everything.
    fn shown(&self, key: &ListKey) -> BTreeMap<ConversationId, u8> {
        self.reader.seen().lists[key].rows.clone()
    }

    fn waiting(&self) -> BTreeMap<ConversationId, u8> {
        let lines = self.lines.values().filter(|line| line.phase == Phase::Waiting);
        lines.map(|line| (line.conversation, line.priority)).collect()
    }
}

fn id(number: u16) -> ConversationId {
    let mut bytes = [7; 16];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    ConversationId::from_bytes(bytes)
}

fn row(conversation: ConversationId, phase: Phase, priority: u8) -> ConversationRow {
    ConversationRow {
        conversation,
        visitor: VisitorId::from_bytes([1; 16]),
        via: ClientId::from_bytes([1; 16]),
        channel: "web".parse().expect("a name"),
        phase,
        group: Some("sales".parse().expect("a name")),
        owner: None,
        owner_face: None,
        priority,
        opened_at: Timestamp::default(),
        waiting_since: None,
        seq: 1,
        origin: Origin::Visitor,
        bot: None,
        pseudonym: None,
        site: None,
        last_owner: None,
    }
}

/// What a supervisor sees.
fn all() -> ListKey {
    ListKey { agent: None, view: ListView::Livechat, filter: ListFilter::All }
}

fn of(agent: u8) -> ListKey {
    ListKey { filter: ListFilter::Of(AgentId::from_bytes([agent; 16])), ..all() }
}

#[test]
fn a_slow_reader_is_told_later_what_it_has_no_room_for_and_nothing_is_missing() {
    let mut room = Room::new();
    for number in 0..10 {
        room.put(number, Phase::Waiting, 0);
    }
    room.keep(&all());
    let supervisor = ReplyTo { connection: CONNECTION, request: 2 };
    room.space.keep_counts(supervisor, None);
    assert_eq!(room.shown(&all()), room.waiting());
    room.crowd(true);
    for round in 1..=5 {
        for number in 0..10 {
            room.put(number, Phase::Waiting, round);
        }
        assert!(room.round().1, "there is more to tell, once there is room");
    }
    room.put(9, Phase::Bot, 0);
    room.round();
    room.crowd(false);
    room.settle();
    assert_eq!(room.shown(&all()), room.waiting());
    let seen = room.reader.seen();
    let copy = &seen.lists[&all()];
    assert_eq!(copy.version, 2, "all of it is one change");
    assert!(copy.told.values().all(|times| *times == 1), "each is told as it is now, once");
    assert_eq!(seen.counts.map(|(_, tallies)| tallies.to_process), Some(9));
}

#[test]
fn a_list_that_there_is_no_room_for_begins_when_there_is() {
    let mut room = Room::new();
    room.put(1, Phase::Waiting, 0);
    room.crowd(true);
    room.keep(&all());
    assert!(room.round().1);
    room.put(2, Phase::Waiting, 0);
    assert_eq!(room.reader.seen().snapshots, 0);
    room.crowd(false);
    room.settle();
    assert_eq!(room.shown(&all()), room.waiting());
    assert_eq!(room.reader.seen().snapshots, 1);
}

#[test]
fn who_reads_nothing_for_long_begins_anew_and_keeps_no_changes_waiting() {
    let mut room = Room::new();
    room.put(1, Phase::Waiting, 0);
    room.keep(&all());
    room.crowd(true);
    for round in 0..BEHIND_MAX + 10 {
        room.put(u16::try_from(round).expect("few"), Phase::Waiting, 1);
        room.round();
    }
    let waiting = room.space.lists.borrow().changes.behind(None).count();
    assert_eq!(waiting, 0, "nothing that changed is kept for it");
    room.crowd(false);
    room.settle();
    assert_eq!(room.shown(&all()), room.waiting());
    assert_eq!(room.reader.seen().snapshots, 2);
}

#[test]
fn who_changes_all_the_time_keeps_nobody_from_being_told() {
    let mut room = Room::new();
    for number in 0..300 {
        room.put(number, Phase::Waiting, 0);
    }
    room.keep(&all());
    for round in 1..=5 {
        for number in 0..300 {
            room.put(number, Phase::Waiting, round);
        }
        room.round();
    }
    let told = room.reader.seen().lists[&all()].told.clone();
    assert_eq!(told.len(), 300, "in five rounds of 64 everybody's turn has come");
    assert!(told.values().all(|times| *times <= 2), "{told:?}");
    room.settle();
    assert_eq!(room.shown(&all()), room.waiting());
}

#[test]
fn many_lists_are_told_in_slices_and_whatever_happens_in_between_is_told_too() {
    let mut room = Room::new();
    for number in 0..200 {
        room.put(number, Phase::Waiting, 0);
    }
    let keys: Vec<ListKey> = (0..100).map(of).collect();
    keys.iter().for_each(|key| room.keep(key));
    room.keep(&all());
    for number in 0..200 {
        room.put(number, Phase::Waiting, 1);
    }
    let mut round = room.space.begin_round();
    assert!(room.space.push_lists(&mut round), "100 lists and 200 changes are more than a slice");
    // Between two slices: one comes, one goes, one begins anew, and something changes.
    room.keep(&of(200));
    room.space.drop_list(CONNECTION, all());
    room.keep(&all());
    room.space.drop_list(CONNECTION, of(99));
    room.put(3, Phase::Bot, 2);
    while room.space.push_lists(&mut round) {}
    room.settle();
    assert_eq!(room.shown(&all()), room.waiting());
    assert!(room.shown(&of(200)).is_empty());
}

#[test]
fn a_list_of_many_holds_so_many_and_fills_up_again() {
    let mut room = Room::new();
    let count = u16::try_from(ROWS_MAX).expect("few") + 500;
    for number in 0..count {
        room.put(number, Phase::Waiting, 0);
    }
    room.keep(&all());
    assert_eq!(room.shown(&all()).len(), ROWS_MAX);
    for number in 0..400 {
        room.put(number, Phase::Bot, 0);
    }
    room.settle();
    // What had no place comes when there is one.
    assert_eq!(room.shown(&all()).len(), ROWS_MAX);
    assert!(room.shown(&all()).keys().all(|id| room.waiting().contains_key(id)));
}

#[test]
fn a_connection_keeps_so_many_and_may_begin_each_of_them_anew() {
    let room = Room::new();
    let key = |number: usize| ListKey { filter: ListFilter::Bot(format!("bot {number}").into()), ..all() };
    for number in 0..=LISTS_MAX {
        room.keep(&key(number));
    }
    assert_eq!(room.reader.seen().refused, [Refusal::TooManyLists]);
    room.keep(&key(0));
    assert_eq!(room.reader.seen().refused.len(), 1, "it is one of those that it keeps");
    room.space.lists.borrow_mut().forget(CONNECTION, None);
    assert!(room.space.lists.borrow().are_idle());
    assert!(!room.space.lists.borrow().have_no_room(CONNECTION, &super::kept::What::Counts(None)));
}
