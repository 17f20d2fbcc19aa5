//! How long does a command take through the actors: from the gate over the workspace, a group and an agent back to the connection's ear, the
//! log in memory? One round trip alone, and many at once.

use std::{
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use maitred::{
    actors::{
        boot,
        gate::{self, Asked, Gate, Inbound, Order, Placement},
        local::{Local, Shared},
        port::{Answer, Notice, Port},
        tokens::TokenBook,
    },
    clock::Clock,
    clock::Timestamp,
    ids::{AgentId, Channel, ClientId, ConversationId, VisitorId, WorkspaceId},
    journal::{Archive, Journal, Options, disk::SimDisk},
    metrics::Metrics,
    routing::{
        Body, By, Policy, Presence, Priority,
        agent::Profile,
        conversation::{Ask, Opening, Target},
        workspace::Grants,
    },
};
use tokio::sync::Notify;

/// A connection's ear that counts, and remembers offers.
#[derive(Default)]
struct Ear {
    answers: AtomicUsize,
    offers: Mutex<Vec<(ConversationId, u32)>>,
    heard: Notify,
}

impl Port for Ear {
    fn answer(&self, _: u32, answer: Answer) {
        assert!(!matches!(answer, Answer::Refused(_)), "{answer:?}");
        self.answers.fetch_add(1, Ordering::SeqCst);
        self.heard.notify_one();
    }

    fn notify(&self, notice: &Notice) {
        if let Notice::OfferMade(made) = notice {
            self.offers.lock().expect("no panic").push((made.conversation, made.pending.offer));
            self.heard.notify_one();
        }
    }

    fn revoke(&self) {}

    fn promise(&self, _: usize) {}

    fn has_room(&self, _: usize) -> bool {
        true
    }
}

/// One arbiter with one workspace and one agent who takes everything.
struct Floor {
    gate: Gate,
    ear: Arc<Ear>,
    agent: AgentId,
    request: u32,
}

impl Floor {
    async fn open() -> Self {
        let disk = Arc::new(SimDisk::new());
        let archive = Archive::open(Arc::<SimDisk>::clone(&disk)).expect("an archive");
        let (journal, _) =
            Journal::open(disk, Options::default(), &mut |_| {}, Box::new(|error| panic!("{error}")))
                .expect("a log");
        let id: WorkspaceId = "bench".parse().expect("a name");
        let shared = Shared {
            attendance: Arc::default(),
            clock: Clock::system(Timestamp::default()),
            journal: journal.clone(),
            archive,
            directory: Arc::default(),
            metrics: Metrics::new(&[]),
            observer: None,
        };
        let tokens = Arc::new(TokenBook::default());
        let local = Local::new(0, shared.clone());
        gate::settle_here(&local);
        let durable = Arc::new(Notify::new());
        let wake = Arc::clone(&durable);
        let news = journal.watch(Box::new(move || wake.notify_one()));
        tokio::task::spawn_local(Rc::clone(&local).flush_forever());
        tokio::task::spawn_local(Rc::clone(&local).release_forever(durable, news));
        let agent = AgentId::derive(&id, "ana");
        let profile = Profile {
            name: "ana".into(),
            email: None,
            groups: Vec::new(),
            cap: Some(1_000),
            live_chat: true,
            managed_by_config: true,
            ..Profile::default()
        };
        let channels = vec!["web".parse::<Channel>().expect("a name")];
        let opening = boot::Opening {
            index: 0,
            id: id.clone(),
            policy: Arc::new(Policy { channels, ..Policy::default() }),
            agents: vec![(agent, profile)],
            remembered: boot::Remembered::default(),
            grace: Duration::ZERO,
            tokens: Arc::clone(&tokens),
        };
        boot::open(&local, opening);
        let placements = Arc::new(vec![Placement { id, arbiter: 0 }]);
        let gate =
            Gate { shared, tokens, placements, intakes: Arc::new(Vec::new()), lanes: Arc::new(Vec::new()) };
        let ear = Arc::new(Ear::default());
        let mut floor = Self { gate, ear: Arc::clone(&ear), agent, request: 0 };
        let client = ClientId::from_bytes([1; 16]);
        let connected =
            Asked::Connected { port: ear, client, grants: Grants::Agent(agent), token: "t".into() };
        floor.gate.submit(0, vec![Inbound { connection: 1, what: connected }]);
        floor.ask(vec![(By::Agent(agent), Order::SetPresence(agent, Presence::Online))]).await;
        floor
    }

    /// Gives orders and waits until all are answered.
    async fn ask(&mut self, orders: Vec<(By, Order)>) {
        let until = self.ear.answers.load(Ordering::SeqCst) + orders.len();
        let inbound = orders.into_iter().map(|(by, order)| {
            self.request += 1;
            Inbound { connection: 1, what: Asked::Command { request: self.request, by, key: None, order } }
        });
        let inbound = inbound.collect();
        self.gate.submit(0, inbound);
        while self.ear.answers.load(Ordering::SeqCst) < until {
            self.ear.heard.notified().await;
        }
    }

    async fn offers(&self, count: usize) -> Vec<(ConversationId, u32)> {
        while self.ear.offers.lock().expect("no panic").len() < count {
            self.ear.heard.notified().await;
        }
        std::mem::take(&mut *self.ear.offers.lock().expect("no panic"))
    }

    /// So many conversations at once: opened, offered, accepted, one message each way, closed.
    async fn serve(&mut self, count: usize) {
        let by = By::Agent(self.agent);
        let opened = (0..count).map(|_| {
            let visitor = VisitorId::from(uuid::Uuid::now_v7());
            (By::Visitor(visitor), Order::Open(Box::new(opening(visitor))))
        });
        let opened: Vec<_> = opened.collect();
        self.ask(opened).await;
        let offers = self.offers(count).await;
        let each = |ask: fn(u32) -> Ask| {
            offers.iter().map(move |(id, offer)| (by, Order::Ask(*id, ask(*offer)))).collect::<Vec<_>>()
        };
        self.ask(each(|offer| Ask::Accept { offer })).await;
        self.ask(each(|_| Ask::Say(Body("hello".into())))).await;
        self.ask(each(|_| Ask::Close)).await;
    }
}

fn opening(visitor: VisitorId) -> Opening {
    Opening {
        origin: maitred::routing::Origin::Visitor,
        bot: None,
        asked: uuid::Uuid::now_v7().into(),
        visitor,
        channel: "web".parse().expect("a name"),
        target: Target::Default,
        own_choice: false,
        preferred: None,
        priority: Priority::DEFAULT,
        variables: Vec::new(),
        placed: Vec::new(),
        message: None,
        via: ClientId::from_bytes([1; 16]),
        digest: 0,
        lobby: None,
    }
}

fn conversations(criterion: &mut Criterion) {
    let mut benches = criterion.benchmark_group("actors");
    benches.sample_size(20).measurement_time(Duration::from_secs(3));
    for count in [1, 64, 512] {
        benches.throughput(Throughput::Elements(count as u64));
        benches.bench_function(BenchmarkId::new("conversations_at_once", count), |bencher| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let tasks = tokio::task::LocalSet::new();
            let mut floor = tasks.block_on(&runtime, Floor::open());
            bencher.iter(|| tasks.block_on(&runtime, floor.serve(count)));
        });
    }
    benches.finish();
}

criterion_group!(benches, conversations);
criterion_main!(benches);
