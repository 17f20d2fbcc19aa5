//! What is moved from the log into the archive is there, whole and once, whenever the power is cut.

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc, time::Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    Archivist, Pace, Trouble,
    window::{Window, move_window},
};
use crate::{
    actors::{
        boot::Recovered,
        keeping::Keeping,
        local::{LOG_VERSION, Shared, kind},
        past::each_archived,
        stored,
    },
    clock::{Clock, Timestamp},
    codec,
    ids::{AgentId, Channel, ClientId, ConversationId, VisitorId, WorkspaceId},
    journal::{
        Archive, Disk, Error, Journal, Lock, Log, Options, Position, Record, Recovery, Shelf, SimDisk,
    },
    metrics::Metrics,
    routing::{
        Body, By, CloseReason, FallbackReason, Key, OfferOutcome, Presence, Priority, QueueCause, agent,
        conversation,
        conversation::{Event, Phase},
        group,
        recovery::Entry,
        workspace,
    },
};

/// What was appended, by position, the first at index 0.
type Issued = Vec<(WorkspaceId, Entry)>;

fn options() -> Options {
    Options { segment_bytes: 32 << 10, payload_max: 8 << 10, log_id: Some([9; 16]), ..Options::default() }
}

fn name<T: std::str::FromStr<Err = crate::ids::Invalid>>(text: &str) -> T {
    text.parse().expect("a name")
}

fn conversation_id(number: u8) -> ConversationId {
    ConversationId::from_bytes([number; 16])
}

/// Anything that could be in a log; the machines take in whatever was recorded.
fn some_entry(random: &mut StdRng, now: &mut u64, last: &mut u64) -> (WorkspaceId, Entry) {
    *now += random.random_range(1..5_000_000);
    let at = Timestamp::from_micros(*now);
    let workspace = name(if random.random_ratio(3, 4) { "one" } else { "two" });
    let agent = AgentId::from_bytes([random.random_range(0..3); 16]);
    let key = random.random_ratio(1, 2).then(|| Key {
        client: ClientId::from_bytes([random.random_range(0..2); 16]),
        counter: *now,
        digest: random.random(),
    });
    let entry = match random.random_range(0..20) {
        0 => {
            let presence = if random.random() { Presence::Online } else { Presence::Away };
            let events =
                vec![agent::Event::PresenceSet { presence, auto: random.random() }, agent::Event::Missed];
            Entry::Agent { id: agent, at, by: By::System, key, events }
        }
        1 => Entry::Group {
            id: name("sales"),
            events: vec![group::Event::Pointed { name: "ana".into(), agent }],
        },
        2 => {
            let token = workspace::Token {
                id: format!("{now}").into(),
                hash: [3; 32],
                grants: workspace::Grants::Frontend,
                created: at,
                expires: None,
            };
            Entry::Workspace { at, by: By::System, events: vec![workspace::Event::TokenMinted(token)] }
        }
        3 if random.random_ratio(1, 3) => {
            let id = conversation_id(random.random_range(0..12));
            Entry::Erased { id, at, by: By::Admin }
        }
        3 => Entry::Clock { at },
        4 if random.random_ratio(1, 3) => {
            Entry::Restarted { at, last: Timestamp::from_micros(*last), grace_us: 15_000_000 }
        }
        _ => {
            let id = conversation_id(random.random_range(0..12));
            let record = conversation::Record { at, by: By::Agent(agent), key, events: Vec::new() };
            Entry::Conversation { id, record }
        }
    };
    *last = *now;
    (workspace, entry)
}

/// Something that can happen to a conversation as it stands.
fn some_events(random: &mut StdRng, phase: Option<Phase>, at: Timestamp) -> Vec<Event> {
    let agent = AgentId::from_bytes([random.random_range(0..3); 16]);
    let later = at + std::time::Duration::from_secs(45);
    let queued = || Event::Queued {
        stay: 1,
        group: name("sales"),
        cause: QueueCause::Opened,
        since: at,
        wait_until: Some(later),
        preferred: None,
        barred: None,
        chain: 0,
    };
    let said =
        |random: &mut StdRng| Event::Said { body: Body("x".repeat(random.random_range(0..900)).into()) };
    match phase {
        None => vec![
            Event::Opened {
                visitor: VisitorId::from_bytes([random.random_range(0..4); 16]),
                channel: name::<Channel>("web"),
                priority: Priority::DEFAULT,
                direct: None,
                preferred: None,
                variables: Vec::new(),
                origin: crate::routing::Origin::Visitor,
                bot: None,
                via: ClientId::from_bytes([8; 16]),
                digest: random.random(),
            },
            queued(),
        ],
        Some(Phase::Closed) if random.random_ratio(1, 2) => vec![Event::Reopened, queued()],
        Some(Phase::Closed) => vec![Event::Noted { body: Body("after the end".into()) }],
        Some(Phase::Waiting | Phase::Missed) if random.random_ratio(1, 2) => vec![Event::Assigned {
            agent,
            name: "ana".into(),
            cause: crate::routing::AssignCause::Taken,
            keep: false,
            decision: None,
        }],
        Some(Phase::Waiting) if random.random_ratio(1, 3) => {
            vec![Event::FellBack { reason: FallbackReason::NobodyOnline, message: None, expires: later }]
        }
        Some(Phase::Active) if random.random_ratio(1, 4) => {
            vec![Event::Invited { agent, name: "ben".into(), deadline: later }]
        }
        Some(Phase::Active) if random.random_ratio(1, 4) => {
            vec![Event::InvitationEnded { agent, outcome: OfferOutcome::Declined }]
        }
        Some(_) if random.random_ratio(1, 4) => vec![Event::Closed { reason: CloseReason::ByAgent }],
        Some(_) => vec![said(random)],
    }
}

/// A life of log and archive, and what the world outside knows of it.
struct Outside {
    random: StdRng,
    issued: Issued,
    acked: u64,
    now: u64,
    last: u64,
}

struct Open {
    log: Log,
    archive: Archive,
    recovered: Recovered,
    recovery: Recovery,
}

fn open(disk: &SimDisk) -> Result<Open, Error> {
    let shared = || Arc::new(disk.clone());
    let archive = Archive::open(shared())?;
    let mut recovered = Recovered::from_archive(&archive)?;
    let (log, recovery) =
        Log::open(shared(), options(), &mut |record: Record<'_>| recovered.take_in(record))?;
    archive.belongs_to([9; 16], &recovery)?;
    assert_eq!(recovered.trouble, None);
    Ok(Open { log, archive, recovered, recovery })
}

/// All that a start may find, folded from the very beginning.
fn reference(issued: &Issued) -> Recovered {
    let mut reference = Recovered::default();
    let mut bytes = Vec::new();
    for (position, issued) in (1..).zip(issued) {
        bytes.clear();
        codec::to_log(issued, &mut bytes).expect("small");
        let position = Position::new(position);
        reference.take_in(Record { position, kind: 0, version: LOG_VERSION, payload: &bytes });
    }
    assert_eq!(reference.trouble, None);
    reference
}

fn bytes<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::to_log(value, &mut bytes).expect("small");
    bytes
}

impl Outside {
    fn append(&mut self, log: &mut Log) {
        let (workspace, mut entry) = some_entry(&mut self.random, &mut self.now, &mut self.last);
        if let Entry::Conversation { id, record } = &mut entry {
            let before = self.phase(&workspace, *id);
            record.events = some_events(&mut self.random, before, record.at);
        }
        if let Entry::Erased { id, .. } = &entry
            && self.phase(&workspace, *id) != Some(Phase::Closed)
        {
            // Only what is closed is ever erased.
            return;
        }
        let issued = (workspace, entry);
        log.append(0, LOG_VERSION, &bytes(&issued));
        self.issued.push(issued);
    }

    fn phase(&self, of: &WorkspaceId, id: ConversationId) -> Option<Phase> {
        let mut machine = conversation::Conversation::new(id);
        for (_, entry) in self.issued.iter().filter(|(workspace, _)| workspace == of) {
            match entry {
                Entry::Conversation { id: whose, record } if *whose == id => machine.replay(record),
                Entry::Erased { id: whose, .. } if *whose == id => {
                    machine = conversation::Conversation::new(id)
                }
                _ => {}
            }
        }
        machine.phase()
    }

    /// Appends, syncs, moves and cuts until the power fails or the mood changes.
    fn live(&mut self, open: &mut Open) -> Result<(), Trouble> {
        for _ in 0..self.random.random_range(1..25) {
            for _ in 0..self.random.random_range(0..10) {
                self.append(&mut open.log);
            }
            self.acked = open.log.sync()?.get();
            if self.random.random_ratio(1, 3) {
                let until =
                    Position::new(self.random.random_range(open.archive.covered().get()..=self.acked));
                let limit = self.random.random_range(1..4_000);
                while open.archive.covered() < until {
                    let moved = move_window(&open.archive, until, limit, |from, to, visit| {
                        open.log.walk(from, to, visit)
                    })?;
                    assert!(moved, "there are records up to {until}");
                }
            }
            if self.random.random_ratio(1, 4) {
                open.log.begin_segment()?;
            }
            if self.random.random_ratio(1, 3) {
                open.log.forget_before(Position::new(open.archive.covered().get() + 1));
            }
            if self.random.random_ratio(1, 6) {
                open.log.let_go()?;
            }
            if self.random.random_ratio(1, 8) || open.archive.is_soiled()? && self.random.random() {
                open.archive.renew()?;
                assert!(!open.archive.is_soiled()?);
            }
        }
        Ok(())
    }

    /// Compares what a start found with what has happened.
    fn check(&mut self, open: &Open) {
        let last = open.recovery.last.get();
        assert!(last >= self.acked, "acknowledged up to {}, recovered up to {last}", self.acked);
        self.issued.truncate(usize::try_from(last).expect("small"));
        self.acked = last;
        let reference = reference(&self.issued);
        assert_eq!(open.recovered.last, reference.last);
        for (workspace, remembered) in &reference.spaces {
            let found = &open.recovered.spaces[workspace];
            assert_eq!(bytes(&found.world.workspace), bytes(&remembered.world.workspace));
            assert_eq!(bytes(&found.world.groups), bytes(&remembered.world.groups));
            assert_eq!(bytes(&found.world.agents), bytes(&remembered.world.agents));
            for (id, machine) in &remembered.world.conversations {
                let closed = machine.phase() == Some(Phase::Closed);
                match open.recovered.conversation(workspace, *id) {
                    Some(state) => assert_eq!(
                        Some(bytes(&state)),
                        reference.conversation(workspace, *id).map(|it| bytes(&it)),
                        "{id}"
                    ),
                    None => assert!(closed, "{id} is not over and not there"),
                }
            }
            self.check_pasts(open, workspace);
        }
    }

    /// Each conversation's records are there, once and in order: what is archived, then what the log has.
    fn check_pasts(&self, open: &Open, workspace: &WorkspaceId) {
        let view = open.archive.view().expect("a view");
        let covered = view.covered().expect("a position");
        for id in (0..12).map(conversation_id) {
            let mut expected: Vec<(Position, conversation::Record)> = Vec::new();
            for (position, (whose, entry)) in (1..).zip(&self.issued) {
                match entry {
                    _ if whose != workspace => {}
                    Entry::Conversation { id: of, record } if *of == id => {
                        expected.push((Position::new(position), record.clone()));
                    }
                    Entry::Erased { id: of, .. } if *of == id => expected.clear(),
                    _ => {}
                }
            }
            let mut found = Vec::new();
            let walked = each_archived(&view, workspace, id, &mut |position, record| {
                found.push((position, record));
                ControlFlow::Continue(())
            });
            assert!(walked.is_ok());
            if self.is_erased_after(workspace, id, covered) {
                // Not gone yet, but nobody is shown it.
                found.clear();
            }
            let tail =
                open.recovered.spaces.get(workspace).map(|space| space.tail(id, covered)).unwrap_or_default();
            for position in tail {
                assert!(position > covered);
                let mut payload = Vec::new();
                open.log.read(position, &mut payload).expect("the log has its tail");
                let (_, entry) = codec::from_log::<(WorkspaceId, Entry)>(&payload).expect("a record");
                let Entry::Conversation { record, .. } = entry else { panic!("another record") };
                found.push((position, record));
            }
            assert_eq!(found, expected, "{id}");
            self.check_row(&view, workspace, id, covered);
        }
    }

    fn is_erased_after(&self, workspace: &WorkspaceId, id: ConversationId, covered: Position) -> bool {
        let later = self.issued.iter().skip(usize::try_from(covered.get()).expect("small"));
        let is_it = |(whose, entry): &(WorkspaceId, Entry)| {
            whose == workspace && matches!(entry, Entry::Erased { id: of, .. } if *of == id)
        };
        later.into_iter().any(is_it)
    }

    fn check_row(
        &self,
        view: &crate::journal::View,
        workspace: &WorkspaceId,
        id: ConversationId,
        covered: Position,
    ) {
        let upto = &self.issued[..usize::try_from(covered.get()).expect("small")];
        let mut machine = conversation::Conversation::new(id);
        let mut visitors = BTreeMap::new();
        for (whose, entry) in upto {
            match entry {
                _ if whose != workspace => {}
                Entry::Conversation { id: of, record } if *of == id => {
                    machine.replay(record);
                    visitors.extend(machine.visitor().map(|(visitor, ..)| (visitor, ())));
                }
                Entry::Erased { id: of, .. } if *of == id => {
                    machine = conversation::Conversation::new(id);
                    visitors.clear();
                }
                _ => {}
            }
        }
        let row = view.get(Shelf::Rows, &stored::of_conversation(workspace, id)).expect("readable");
        assert_eq!(row.is_some(), machine.phase() == Some(Phase::Closed), "{id}");
        if let Some(row) = row {
            let (_, row) = stored::read::<Option<stored::ClosedRow>>(&row).expect("a line");
            let row = row.expect("it was opened");
            assert_eq!(row.seq, machine.numbers().0, "{id}");
        }
        for visitor in visitors.into_keys() {
            let key = stored::of_visit(workspace, visitor, id);
            assert!(view.get(Shelf::Visitors, &key).expect("readable").is_some());
        }
    }
}

fn lives(seed: u64, lying: bool) {
    let disk = SimDisk::new();
    disk.lie(lying);
    let random = StdRng::seed_from_u64(seed);
    let mut outside = Outside { random, issued: Vec::new(), acked: 0, now: 1, last: 0 };
    for life in 0..6 {
        let last = life == 5;
        if !last && outside.random.random_ratio(3, 4) {
            disk.fail_power(outside.random.random_range(0..200));
        }
        match open(&disk) {
            Ok(mut open) => {
                outside.check(&open);
                if let Err(trouble) = outside.live(&mut open) {
                    assert!(!matches!(&trouble, Trouble::Journal(error) if error.is_damage()), "{trouble}");
                }
            }
            Err(error) => assert!(!last && !error.is_damage(), "seed {seed}, life {life}: {error}"),
        }
        if outside.random.random_ratio(1, 5) {
            disk.kill();
        } else {
            disk.crash(outside.random.random());
        }
    }
}

#[test]
fn nothing_is_lost_between_log_and_archive_whenever_the_power_is_cut() {
    for seed in 0..40 {
        lives(seed, false);
    }
}

/// If this fails, the test above is blind.
#[test]
fn a_disk_that_lies_is_caught() {
    let caught = (0..10).filter(|&seed| std::panic::catch_unwind(|| lives(seed, true)).is_err()).count();
    assert!(caught >= 8, "only {caught} of 10 were caught");
}

#[test]
fn a_window_holds_what_is_not_too_much_of_it() {
    let disk = SimDisk::new();
    let mut open = open(&disk).expect("an empty directory");
    let mut outside =
        Outside { random: StdRng::seed_from_u64(5), issued: Vec::new(), acked: 0, now: 1, last: 0 };
    (0..100).for_each(|_| outside.append(&mut open.log));
    let until = open.log.sync().expect("a healthy disk");
    let mut windows = 0;
    while open.archive.covered() < until {
        move_window(&open.archive, until, 2_000, |from, to, visit| open.log.walk(from, to, visit))
            .expect("moved");
        windows += 1;
    }
    assert!(windows > 5, "only {windows} windows");
    drop(Window::open(&open.archive).expect("a view"));
}

/// A drain waits for it to end.
#[test]
fn it_ends_at_once_though_it_rests_after_trouble() {
    let sim = SimDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let lock = Lock::take(&*disk).expect("nobody else is here");
    let archive = Archive::open(Arc::clone(&disk)).expect("an archive");
    let fail = Box::new(|error| panic!("{error}"));
    let (journal, _) =
        Journal::open_locked(Arc::clone(&disk), lock, options(), &mut |_| {}, fail).expect("a log");
    let (mut random, mut now, mut last) = (StdRng::seed_from_u64(1), 1, 0);
    let mut bytes = Vec::new();
    let entry = some_entry(&mut random, &mut now, &mut last);
    codec::to_log(&entry, &mut bytes).expect("small");
    journal.append(kind(&entry.1), LOG_VERSION, &bytes);
    journal.commit();
    while journal.durable() < journal.newest() {
        std::thread::yield_now();
    }
    let shared = Shared {
        attendance: Arc::default(),
        clock: Clock::manual(Timestamp::from_micros(now)),
        journal: journal.clone(),
        archive: archive.clone(),
        directory: Arc::default(),
        metrics: Metrics::new(&[]),
        observer: None,
    };
    let pace = Pace { beyond: 0, at_latest: super::PAUSE * 10, turns: false };
    let keeper = Archivist::start(disk, &shared, pace, Keeping::default()).expect("a thread");
    sim.limit(Some(0));
    let began = Instant::now();
    keeper.counter().catch_up();
    assert_eq!(archive.covered(), Position::ZERO, "there was no room for it");
    keeper.end();
    assert!(began.elapsed() < super::PAUSE, "{:?}", began.elapsed());
}
