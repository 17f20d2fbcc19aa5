//! How long does a start take, and how much memory does a conversation that is not over? So many of them (20,000 unless a number is
//! given), seven of ten missed, two active with an agent each tenth, one waiting; all in the archive, as after a night.
//!
//! `cargo bench --bench restart -- 1000000` is the size that the design aims at.

use std::{
    path::PathBuf,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use maitred::{
    actors::{
        archivist::{Archivist, Pace},
        boot::{self, Recovered},
        gate,
        keeping::Keeping,
        local::{LOG_VERSION, Local, Shared, kind},
        tokens::TokenBook,
    },
    clock::{Clock, Timestamp},
    codec,
    ids::{AgentId, ClientId, ConversationId, GroupId, VisitorId, WorkspaceId},
    journal::{Archive, Disk, Journal, Lock, Options, RealDisk},
    metrics::Metrics,
    routing::{
        AssignCause, Body, By, FallbackReason, Policy, Presence, Priority, QueueCause, Variable,
        agent::{self, Profile},
        conversation::{Event, Record},
        recovery::Entry,
    },
};

/// Conversations that each agent owns.
const EACH: u64 = 10;

fn id(number: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(0x0190_0000_0000_7000_u64 + (number << 20)).to_be_bytes());
    bytes[8..].copy_from_slice(&(0x8000_0000_0000_0000 | number).to_be_bytes());
    bytes
}

fn entries(number: u64, now: Timestamp) -> Vec<Entry> {
    let conversation = ConversationId::from_bytes(id(number));
    let agent = AgentId::from_bytes(id(1 + number / 10 * 2 / EACH));
    let by = By::Visitor(VisitorId::from_bytes(id(number)));
    let variable =
        |name: &str| Variable { name: name.into(), value: Body("https://example.org/a/page".into()) };
    let opened = Event::Opened {
        origin: maitred::routing::Origin::Visitor,
        bot: None,
        visitor: VisitorId::from_bytes(id(number)),
        channel: "web".parse().expect("a name"),
        priority: Priority::DEFAULT,
        direct: None,
        preferred: None,
        variables: vec![variable("page"), variable("referrer")],
        via: ClientId::from_bytes([1; 16]),
        digest: 7,
    };
    let queued = Event::Queued {
        stay: 1,
        group: GroupId::everyone(),
        cause: QueueCause::Opened,
        since: now,
        wait_until: Some(now + Duration::from_secs(864_000)),
        preferred: None,
        barred: None,
        chain: 0,
    };
    let said = || Event::Said { body: Body("I have a question about my last invoice, please.".into()) };
    let mut all = vec![vec![opened, queued, said()]];
    match number % 10 {
        0..7 => all.push(vec![Event::FellBack {
            reason: FallbackReason::AllAtCapacity,
            message: Some("All our agents are busy.".into()),
            expires: now + Duration::from_secs(864_000),
        }]),
        7..9 => {
            let (name, cause) = ("Ana".into(), AssignCause::Accepted);
            all.push(vec![Event::Assigned { agent, name, cause, keep: false, decision: None }]);
            all.extend((0..6).map(|_| vec![said()]));
        }
        _ => {}
    }
    let records = all.into_iter().map(|events| Record { at: now, by, key: None, events });
    records.map(|record| Entry::Conversation { id: conversation, record }).collect()
}

fn hired(number: u64, now: Timestamp) -> Entry {
    let profile = Profile {
        name: format!("agent-{number}").into(),
        email: None,
        groups: Vec::new(),
        cap: Some(20),
        live_chat: true,
        managed_by_config: false,
        ..Profile::default()
    };
    let online = agent::Event::PresenceSet { presence: Presence::Online, auto: false };
    let id = AgentId::from_bytes(id(number));
    Entry::Agent {
        id,
        at: now,
        by: By::Admin,
        key: None,
        events: vec![agent::Event::Profiled(profile), online],
    }
}

fn shared(journal: &Journal, archive: &Archive, clock: &Clock) -> Shared {
    Shared {
        attendance: Arc::default(),
        clock: clock.clone(),
        journal: journal.clone(),
        archive: archive.clone(),
        directory: Arc::default(),
        metrics: Metrics::new(&[]),
        observer: None,
    }
}

fn open(disk: &Arc<dyn Disk>) -> (Archive, Journal, Recovered) {
    let lock = Lock::take(&**disk).expect("nobody else is here");
    let archive = Archive::open(Arc::clone(disk)).expect("an archive");
    let mut recovered = Recovered::from_archive(&archive).expect("readable");
    let mut replay = |record: maitred::journal::Record<'_>| recovered.take_in(record);
    let fail = Box::new(|error| panic!("{error}"));
    let opened = Journal::open_locked(Arc::clone(disk), lock, Options::default(), &mut replay, fail);
    let (journal, recovery) = opened.expect("a log");
    archive.belongs_to(journal.id(), &recovery).expect("they go together");
    assert_eq!(recovered.trouble, None);
    (archive, journal, recovered)
}

/// Writes it all, has it archived, and goes.
fn prepare(disk: &Arc<dyn Disk>, workspace: &WorkspaceId, count: u64, clock: &Clock) {
    let (archive, journal, _) = open(disk);
    let started = Instant::now();
    let mut bytes = Vec::new();
    let mut append = |entry: &Entry| {
        bytes.clear();
        codec::to_log(&(workspace, entry), &mut bytes).expect("small");
        journal.append(kind(entry), LOG_VERSION, &bytes);
    };
    let now = clock.now();
    (0..=count / 5 / EACH + 1).for_each(|number| append(&hired(number, now)));
    (0..count).for_each(|number| entries(number, now).iter().for_each(&mut append));
    journal.commit();
    while journal.durable() < journal.newest() {
        std::thread::yield_now();
    }
    let written = started.elapsed();
    let pace = Pace { beyond: 0, at_latest: Duration::from_secs(3_600), turns: true };
    let keeper =
        Archivist::start(Arc::clone(disk), &shared(&journal, &archive, clock), pace, Keeping::default());
    let keeper = keeper.expect("a thread");
    let started = Instant::now();
    keeper.counter().catch_up();
    let each = started.elapsed().as_secs_f64() * 1e6 / count as f64;
    let records = journal.newest();
    println!(
        "{records} records written in {written:.1?}; archived in {:.1?}, {each:.1} µs a conversation",
        started.elapsed()
    );
    keeper.end();
    journal.close().expect("closed");
    println!(
        "log {} MiB, archive {} MiB",
        journal.extent().bytes >> 20,
        archive.bytes().expect("a file") >> 20
    );
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default() * 4_096
}

async fn start(disk: &Arc<dyn Disk>, workspace: &WorkspaceId, count: u64, clock: &Clock) {
    let before = resident();
    let started = Instant::now();
    let (archive, journal, mut recovered) = open(disk);
    let read = started.elapsed();
    let after_reading = resident();
    let local = Local::new(0, shared(&journal, &archive, clock));
    gate::settle_here(&local);
    let channels = vec!["web".parse().expect("a name")];
    let opening = boot::Opening {
        index: 0,
        id: workspace.clone(),
        policy: Arc::new(Policy { channels, ..Policy::default() }),
        agents: Vec::new(),
        remembered: recovered.spaces.remove(workspace).expect("it is there"),
        grace: Duration::from_secs(15),
        tokens: Arc::new(TokenBook::default()),
    };
    let opening_began = Instant::now();
    boot::open(&local, opening);
    let actors = opening_began.elapsed();
    // The actors' first turn, and what the groups were told.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    let all = started.elapsed();
    let (running, agents) = local.shared.directory.running();
    let sleeping = local.space(0).map_or(0, |space| space.sleeping());
    let conversations = running + sleeping;
    assert_eq!(conversations as u64, count);
    let each = (resident() - before) / count;
    println!(
        "start with {conversations} conversations ({sleeping} of them asleep) and {agents} agents: {all:.2?} (reading {read:.2?}, actors {actors:.2?})"
    );
    println!(
        "resident: {each} bytes a conversation ({} MiB after reading, {} MiB in all)",
        (after_reading - before) >> 20,
        (resident() - before) >> 20
    );
    drop(Rc::clone(&local));
    journal.close().expect("closed");
}

fn main() {
    let count = std::env::args().filter_map(|text| text.parse().ok()).next_back().unwrap_or(20_000);
    let own = tempfile::tempdir().expect("a directory");
    // Left there for a daemon to be started on: `scripts/million`.
    let directory = std::env::var_os("RESTART_DIR").map_or(own.path().to_owned(), PathBuf::from);
    let workspace: WorkspaceId = "bench".parse().expect("a name");
    let clock = Clock::system(Timestamp::default());
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(&directory).expect("a directory"));
    // Another thread's memory would be counted with the rest: it is given back when that thread has gone.
    std::thread::scope(|threads| {
        threads.spawn(|| prepare(&disk, &workspace, count, &clock)).join().expect("prepared");
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, start(&disk, &workspace, count, &clock));
}
