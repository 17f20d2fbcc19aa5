//! The thread that reads the durable log behind the arbiters' backs, and queues what is news. It also does by hand what operators ask.

use std::{
    ops::ControlFlow,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam::{
    channel::{self, Receiver, Sender},
    select,
};
use tokio::sync::Notify;

use super::{
    courier::{self, Count, Desk},
    delivery::Delivery,
    queue::Queue,
    reading::{Known, Look},
    rules::{Absent, Rules, deliveries},
    words::{Error, Outcome},
};
use crate::{
    clock::Clock,
    ids::{AgentId, ConversationId, WorkspaceId},
    journal::{self, Changes, Disk, Journal, Outgoing, Position, Tray},
};

/// Records that are read before what they led to is queued.
const WINDOW: u64 = 4_096;
/// Least time between two looks at the log, so that what happens at once is written at once.
const GATHER: Duration = Duration::from_millis(10);
/// How often the log's position is noted although nothing of it was news.
const NOTE_EVERY: Duration = Duration::from_secs(1);
/// How long it waits after an error.
const PAUSE: Duration = Duration::from_secs(5);

/// What a notifier is started with.
pub struct Options {
    /// The log.
    pub journal: Journal,
    /// Where the queue is kept.
    pub disk: Arc<dyn Disk>,
    /// The time.
    pub clock: Clock,
    /// What is told to whom.
    pub rules: Rules,
    /// What else it has to ask.
    pub outlook: Outlook,
    /// Told how each attempt went.
    pub count: Count,
}

/// Says whether an agent has a session.
pub(super) type Here = Box<dyn Fn(&WorkspaceId, AgentId) -> bool + Send>;

/// One delivery, and whether it was given up; `None`: there is none of this number.
pub(super) type Shown = Option<(Arc<Delivery>, bool)>;

/// What the log alone does not say.
pub struct Outlook {
    /// What all records up to this one come to: asked once, when notifications begin.
    pub seed: Box<dyn Fn(Position) -> Result<Known, journal::Error> + Send>,
    /// Whether an agent has a session.
    pub here: Here,
}

/// A page of deliveries with their numbers, and whether more follow.
pub type Page = (Vec<(u64, Arc<Delivery>)>, bool);

/// What an operator asks. Answers come on another thread.
pub enum Order {
    /// A page of what waits, or of what was given up.
    List {
        /// Whose.
        workspace: WorkspaceId,
        /// Given up.
        dead: bool,
        /// Only numbers above this.
        after: u64,
        /// At most so many.
        limit: usize,
        /// The answer.
        answer: Box<dyn FnOnce(Page) + Send>,
    },
    /// One delivery, and whether it was given up.
    Show {
        /// Whose.
        workspace: WorkspaceId,
        /// Which.
        id: u64,
        /// The answer.
        answer: Box<dyn FnOnce(Shown) + Send>,
    },
    /// Try one now, with new patience.
    Retry {
        /// Whose.
        workspace: WorkspaceId,
        /// Which.
        id: u64,
        /// Whether there is such a one.
        answer: Box<dyn FnOnce(bool) + Send>,
    },
    /// Take one away.
    Drop {
        /// Whose.
        workspace: WorkspaceId,
        /// Which.
        id: u64,
        /// Whether there was such a one.
        answer: Box<dyn FnOnce(bool) + Send>,
    },
    /// Go by these from now on.
    Rules(Box<Rules>),
    /// End.
    End,
}

/// The handle on both threads.
pub struct Notifier {
    orders: Sender<Order>,
    pending: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

struct Clerk {
    journal: Journal,
    disk: Arc<dyn Disk>,
    outlook: Outlook,
    desk: Arc<Desk>,
    /// While anything is told outside.
    open: Option<Open>,
    courier: Option<JoinHandle<()>>,
}

/// How far the log is read.
struct Open {
    known: Known,
    /// Taken in.
    cursor: Position,
    /// Taken in, and on disk that it is.
    noted: Position,
    noted_at: Instant,
    news: Receiver<Position>,
}

impl Notifier {
    /// Opens the queue, if there is anything to be told, and starts the threads. From then on the log keeps what was not read.
    ///
    /// # Errors
    /// What keeps it from it.
    pub fn start(options: Options) -> Result<Self, Error> {
        let Options { journal, disk, clock, rules, outlook, count } = options;
        let pending = Arc::new(AtomicU64::new(0));
        let desk = Desk {
            clock,
            count,
            queue: Mutex::new(None),
            rules: RwLock::new(Arc::new(rules)),
            wake: Notify::new(),
            ended: AtomicBool::new(false),
            pending: Arc::clone(&pending),
        };
        let mut clerk = Clerk { journal, disk, outlook, desk: Arc::new(desk), open: None, courier: None };
        clerk.follow_rules()?;
        let (orders, ordered) = channel::unbounded();
        let thread = thread::Builder::new().name("notify".to_owned()).spawn(move || clerk.work(&ordered));
        let thread =
            thread.map_err(|source| Error::Io { what: "can't start the notifier's thread", source })?;
        Ok(Self { orders, pending, thread })
    }

    /// Where it takes orders.
    #[must_use]
    pub fn counter(&self) -> Sender<Order> {
        self.orders.clone()
    }

    /// How many deliveries wait, whenever it is asked.
    #[must_use]
    pub fn pending(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.pending)
    }

    /// Ends both threads. What waits is sent after the next start.
    pub fn end(self) {
        // Not there any more: it has ended by itself, and the log says why.
        let _ = self.orders.send(Order::End);
        let _ = self.thread.join();
    }
}

impl Clerk {
    fn work(mut self, ordered: &Receiver<Order>) {
        let nothing = channel::never();
        let mut waits = self.open.is_some();
        let mut next = Instant::now();
        loop {
            let news = self.open.as_ref().map_or(nothing.clone(), |open| open.news.clone());
            let wait = if waits { next.saturating_duration_since(Instant::now()) } else { self.pause() };
            select! {
                recv(ordered) -> order => match order {
                    Ok(Order::End) | Err(_) => break,
                    Ok(order) => self.obey(order),
                },
                recv(news) -> news => match news {
                    Ok(_) => waits = true,
                    // The log has ended; so will this.
                    Err(_) => thread::sleep(GATHER),
                },
                default(wait) => {}
            }
            if Instant::now() >= next || !waits {
                let failed = !self.round();
                next = Instant::now() + if failed { PAUSE } else { GATHER };
                let behind = |open: &Open| open.cursor < self.journal.durable();
                waits = failed || self.open.as_ref().is_some_and(behind);
            }
        }
        self.end();
    }

    /// How long it may stand still when nothing happens.
    fn pause(&self) -> Duration {
        if self.open.is_some() || !self.desk.rules().is_empty() {
            NOTE_EVERY
        } else {
            Duration::from_secs(3_600)
        }
    }

    /// Reads what is new; whether it could.
    fn round(&mut self) -> bool {
        let done = self.follow_rules().and_then(|()| self.read(false));
        match done {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "notifications are not queued: the log keeps what they stem from until they are");
                // What was read and not written down is read again.
                self.open = None;
                *self.desk.queue() = None;
                false
            }
        }
    }

    fn obey(&mut self, order: Order) {
        let now = self.desk.clock.now();
        let mut queue = self.desk.queue();
        match (order, &mut *queue) {
            (Order::List { workspace, dead, after, limit, answer }, queue) => {
                answer(
                    queue
                        .as_ref()
                        .map_or_else(Default::default, |queue| queue.page(&workspace, dead, after, limit)),
                );
            }
            (Order::Show { workspace, id, answer }, queue) => {
                answer(queue.as_ref().and_then(|queue| queue.find(&workspace, id)));
            }
            (Order::Retry { workspace, id, answer }, queue) => {
                let done = queue.as_mut().map_or(Ok(false), |queue| queue.retry(&workspace, id, now));
                answer(said(done));
                self.desk.wake.notify_one();
            }
            (Order::Drop { workspace, id, answer }, open) => {
                let done = open.as_mut().map_or(Ok(None), |queue| queue.take_away(&workspace, id));
                if let Ok(Some(kind)) = done {
                    (self.desk.count)(kind, Outcome::Dropped, None);
                }
                answer(said(done.map(|kind| kind.is_some())));
            }
            (Order::Rules(rules), _) => {
                *self.desk.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(*rules);
                self.desk.wake.notify_one();
            }
            (Order::End, _) => {}
        }
        self.desk.note_pending(queue.as_ref());
    }

    fn end(mut self) {
        if let Err(error) = self.read(true) {
            tracing::warn!(%error, "the last notifications are queued after the next start");
        }
        self.desk.ended.store(true, Ordering::Release);
        self.desk.wake.notify_one();
        if let Some(courier) = self.courier.take() {
            let _ = courier.join();
        }
    }

    // === With the rules ===

    /// Opens the queue when there is something to be told, and closes it when there is nothing any more.
    fn follow_rules(&mut self) -> Result<(), Error> {
        let told = !self.desk.rules().is_empty();
        if told && self.open.is_none() {
            self.begin()?;
        } else if !told && (self.open.is_some() || self.desk.queue().is_some()) {
            self.close()?;
        } else if !told && self.courier.is_none() && Outgoing::exists(&*self.disk)? {
            self.rewind_unused()?;
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Error> {
        // Watched before it is read how far the log is, so that nothing falls between the two.
        let news = self.journal.watch(Box::new(|| {}));
        let store = Outgoing::open(&*self.disk, self.journal.id())?;
        let durable = self.journal.durable();
        let first = self.journal.extent().first;
        let mut known = Known::default();
        let cursor = match store.cursor()? {
            Some(cursor) if cursor <= durable && cursor.get() + 1 >= first.get() => {
                let mut trouble = None;
                store.walk(Tray::Known, &mut |key, value| {
                    trouble = known.load(key, value).err().or(trouble.take());
                })?;
                trouble.map_or(Ok(cursor), Err)?
            }
            stale => {
                if let Some(stale) = stale {
                    tracing::warn!(%stale, %first, %durable, "the log does not go on where notifications ended: they begin anew");
                }
                known = self.seed(&store, durable)?;
                durable
            }
        };
        self.journal.hold_after(Some(cursor));
        let queue = Queue::load(store)?;
        self.desk.note_pending(Some(&queue));
        *self.desk.queue() = Some(queue);
        self.open = Some(Open { known, cursor, noted: cursor, noted_at: Instant::now(), news });
        if self.courier.is_none() {
            self.courier = Some(spawn_courier(Arc::clone(&self.desk))?);
        }
        self.desk.wake.notify_one();
        Ok(())
    }

    /// Where notifications begin: what is open now is known, and nothing of it is news.
    fn seed(&self, store: &Outgoing, until: Position) -> Result<Known, Error> {
        self.journal.hold_after(Some(until));
        let mut known = (self.outlook.seed)(until)?;
        let mut changes = Changes::up_to(until);
        store.walk(Tray::Known, &mut |key, _| changes.remove(Tray::Known, key))?;
        known.write(&mut changes)?;
        store.commit(&changes)?;
        Ok(known)
    }

    /// Nothing is told any more: the log need not be kept, and when something is told again it begins anew.
    fn close(&mut self) -> Result<(), Error> {
        self.open = None;
        let mut queue = self.desk.queue();
        if let Some(queue) = queue.take() {
            queue.store().commit(&Changes::rewinding())?;
        }
        self.desk.note_pending(None);
        self.journal.hold_after(None);
        Ok(())
    }

    /// The same for a file that an earlier configuration left behind.
    fn rewind_unused(&mut self) -> Result<(), Error> {
        let store = Outgoing::open(&*self.disk, self.journal.id())?;
        if store.cursor()?.is_some() {
            store.commit(&Changes::rewinding())?;
        }
        Ok(())
    }

    // === Reading ===

    /// Queues what is news up to the end of what is durable. `note`: the position is written down in any case.
    fn read(&mut self, note: bool) -> Result<(), Error> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let durable = self.journal.durable();
        while open.cursor < durable {
            read_window(&self.journal, &self.outlook, &self.desk, open, durable)?;
        }
        if open.noted < open.cursor && (note || open.noted_at.elapsed() >= NOTE_EVERY) {
            write_down(&self.journal, &self.desk, open, Vec::new(), &[])?;
        }
        Ok(())
    }
}

fn said(done: Result<bool, Error>) -> bool {
    done.unwrap_or_else(|error| {
        tracing::error!(%error, "the notification queue can't be changed");
        false
    })
}

fn spawn_courier(desk: Arc<Desk>) -> Result<JoinHandle<()>, Error> {
    let io = |what| move |source| Error::Io { what, source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(8).build();
    let runtime = runtime.map_err(io("can't start the courier's runtime"))?;
    let run = move || runtime.block_on(courier::run(desk));
    thread::Builder::new()
        .name("courier".to_owned())
        .spawn(run)
        .map_err(io("can't start the courier's thread"))
}

fn read_window(
    journal: &Journal,
    outlook: &Outlook,
    desk: &Desk,
    open: &mut Open,
    durable: Position,
) -> Result<(), Error> {
    let rules = desk.rules();
    let absent =
        |workspace: &WorkspaceId| -> Option<Absent> { Some(rules.workspaces.get(workspace)?.absent) };
    let unasked = |workspace: &WorkspaceId| rules.workspaces.get(workspace).is_some_and(|told| told.unasked);
    let look = Look { here: &*outlook.here, absent: &absent, unasked: &unasked };
    let now = desk.clock.now();
    let log = u32::from_be_bytes(journal.id().first_chunk().copied().unwrap_or_default());
    let log = format!("{log:08x}");
    let (mut seen, mut trouble) = (0, None);
    let mut new: Vec<Delivery> = Vec::new();
    let mut erased = Vec::new();
    let from = Position::new(open.cursor.get() + 1);
    let last = journal.walk(from, durable, &mut |record| {
        match open.known.read(record, &look) {
            Ok(read) => {
                for news in &read.news {
                    new.extend(deliveries(&rules, &open.known, news, &log, now));
                }
                erased.extend(read.erased);
            }
            Err(error) => trouble = Some(error),
        }
        seen += 1;
        if seen >= WINDOW || trouble.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    open.cursor = open.cursor.max(last);
    if !new.is_empty() || !erased.is_empty() {
        write_down(journal, desk, open, new, &erased)?;
        desk.wake.notify_one();
    }
    Ok(())
}

/// One transaction: what is new, what is known, what is erased, how far that is of the log.
fn write_down(
    journal: &Journal,
    desk: &Desk,
    open: &mut Open,
    mut new: Vec<Delivery>,
    erased: &[(WorkspaceId, ConversationId)],
) -> Result<(), Error> {
    let rules = desk.rules();
    let mut queue = desk.queue();
    let Some(queue) = &mut *queue else { return Ok(()) };
    let mut changes = Changes::up_to(open.cursor);
    open.known.write(&mut changes)?;
    let mut gone = Vec::new();
    for (workspace, conversation) in erased {
        new.retain(|delivery| {
            delivery.conversation != Some(*conversation) || delivery.workspace != *workspace
        });
        gone.extend(queue.of_conversation(workspace, *conversation));
    }
    for id in &gone {
        changes.remove(Tray::Waiting, id.to_be_bytes());
        changes.remove(Tray::Dead, id.to_be_bytes());
    }
    let counted = queue.enqueue(new, changes, &rules.patience, |delivery| courier::url(&rules, delivery))?;
    queue.forget(&gone);
    desk.note_pending(Some(queue));
    open.noted = open.cursor;
    open.noted_at = Instant::now();
    journal.hold_after(Some(open.noted));
    desk.counted(counted);
    Ok(())
}
