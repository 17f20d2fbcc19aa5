//! What one arbiter has: its clock, its end of the journal, the effects that wait to be durable, its timers.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use crossbeam::channel::Receiver;
use foldhash::fast::RandomState;
use serde::Serialize;
use tokio::sync::{
    Notify,
    mpsc::{UnboundedReceiver, UnboundedSender},
};

use super::{
    attendance::Attendance,
    directory::{Directory, Name},
    lists::Bell,
    places::Lines,
    port::{Answer, Notice, Observation, Port},
    respawn::{Dead, Morgue},
    sessions::Ports,
    space::Space,
    supervision::guard,
    timers::{BUCKET_US, Wheel},
};
use crate::{
    clock::{Clock, Timestamp},
    codec,
    ids::{ConversationId, WorkspaceId},
    journal::{Archive, Journal, Position},
    metrics::Metrics,
    routing::{conversation::Record, recovery::Entry},
};

/// The version of the log's payloads that is written.
pub const LOG_VERSION: u8 = 1;

/// Whoever wants to see what is recorded, as it is recorded.
pub type Observer = Arc<dyn Fn(&WorkspaceId, Observation) + Send + Sync>;

/// What all arbiters of a daemon share.
#[derive(Clone)]
pub struct Shared {
    /// The time.
    pub clock: Clock,
    /// The log.
    pub journal: Journal,
    /// What was in the log before.
    pub archive: Archive,
    /// Who runs where.
    pub directory: Arc<Directory>,
    /// Which agents have a session.
    pub attendance: Arc<Attendance>,
    /// What is counted.
    pub metrics: Metrics,
    /// Who watches.
    pub observer: Option<Observer>,
}

/// One arbiter's own.
pub struct Local {
    /// Which arbiter this is.
    pub index: usize,
    /// What it shares with the others.
    pub shared: Shared,
    held: RefCell<VecDeque<(Position, Effect)>>,
    wheel: RefCell<Wheel>,
    wheel_changed: Notify,
    to_flush: Notify,
    flush_rung: Cell<bool>,
    scratch: RefCell<Vec<u8>>,
    spaces: RefCell<HashMap<u32, Rc<Space>, RandomState>>,
    /// Lines whose places are to be told.
    pub(super) lines: Lines,
    /// Rung when something changes that people have on their screens.
    pub(super) bell: Bell,
    dead: UnboundedSender<(u32, Dead)>,
    morgue: RefCell<Morgue>,
}

/// Something that leaves the workspace.
pub enum Effect {
    /// The answer to a request.
    Answer(Arc<dyn Port>, u32, Answer),
    /// Something that was not asked for, to several connections.
    Notify(Ports, Notice),
}

impl Effect {
    /// One effect that can't be carried out keeps no other from it.
    fn carry_out_guarded(self) {
        if guard(|| self.carry_out()).is_none() {
            tracing::error!("an answer or a notice fell on its way out");
        }
    }

    fn carry_out(self) {
        match self {
            Self::Answer(port, request, answer) => port.answer(request, answer),
            Self::Notify(ports, notice) => ports.iter().for_each(|port| port.notify(&notice)),
        }
    }
}

/// [`Entry::Conversation`] by reference: the same bytes without copying what people wrote. Kept equal by a test.
#[derive(Serialize)]
enum EntryRef<'a> {
    Conversation { id: ConversationId, record: &'a Record },
}

impl Local {
    /// An arbiter with nothing on it.
    #[must_use]
    pub fn new(index: usize, shared: Shared) -> Rc<Self> {
        // A manual clock stands exactly at the times that a test moves it to.
        let width = if shared.clock.is_manual() { 1 } else { BUCKET_US };
        let morgue = Morgue::default();
        Rc::new(Self {
            index,
            shared,
            held: RefCell::default(),
            wheel: RefCell::new(Wheel::new(width)),
            wheel_changed: Notify::new(),
            to_flush: Notify::new(),
            flush_rung: Cell::new(false),
            scratch: RefCell::default(),
            spaces: RefCell::default(),
            lines: Lines::default(),
            bell: Bell::default(),
            dead: morgue.lane(),
            morgue: RefCell::new(morgue),
        })
    }

    /// An actor died; called while a panic unwinds, or while everything ends.
    pub(super) fn died(&self, space: u32, dead: Dead) {
        // Nobody reads any more when the arbiter itself has ended.
        let _ = self.dead.send((space, dead));
    }

    pub(super) fn morgue(&self) -> Option<UnboundedReceiver<(u32, Dead)>> {
        self.morgue.borrow_mut().take()
    }

    /// Daemon time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Places a workspace here.
    pub fn place(&self, space: Rc<Space>) {
        self.spaces.borrow_mut().insert(space.index, space);
    }

    /// A workspace that was placed here.
    #[must_use]
    pub fn space(&self, index: u32) -> Option<Rc<Space>> {
        self.spaces.borrow().get(&index).cloned()
    }

    /// All workspaces that were placed here.
    #[must_use]
    pub fn spaces(&self) -> Vec<Rc<Space>> {
        self.spaces.borrow().values().cloned().collect()
    }

    // === The log ===

    /// Appends a conversation's record.
    pub fn record_conversation(&self, space: &Space, id: ConversationId, record: &Arc<Record>) -> Position {
        let position = self.append(0, &(&space.id, EntryRef::Conversation { id, record }));
        if let Some(observer) = &self.shared.observer {
            let entry = Arc::new(Entry::Conversation { id, record: (**record).clone() });
            observer(&space.id, Observation { position, entry });
        }
        position
    }

    /// Appends any other entry.
    pub fn record(&self, workspace: &WorkspaceId, entry: &Entry) -> Position {
        let position = self.append(kind(entry), &(workspace, entry));
        if let Some(observer) = &self.shared.observer {
            observer(workspace, Observation { position, entry: Arc::new(entry.clone()) });
        }
        position
    }

    fn append<T: Serialize>(&self, kind: u16, payload: &T) -> Position {
        let mut scratch = self.scratch.borrow_mut();
        scratch.clear();
        let encoded = codec::to_log(payload, &mut scratch);
        assert!(encoded.is_ok(), "records are bounded far below the log's limit: {encoded:?}");
        let position = self.shared.journal.append(kind, LOG_VERSION, &scratch);
        if !self.flush_rung.replace(true) {
            self.to_flush.notify_one();
        }
        position
    }

    /// Rings for a commit once per turn of the arbiter, so that one sync serves everything that happened in it.
    pub async fn flush_forever(self: Rc<Self>) {
        loop {
            self.to_flush.notified().await;
            tokio::task::yield_now().await;
            self.flush_rung.set(false);
            self.shared.journal.commit();
        }
    }

    // === Output commit (design §3.3) ===

    /// Carries an effect out when everything up to now is durable.
    pub fn when_durable(&self, effect: Effect) {
        let journal = &self.shared.journal;
        let newest = journal.newest();
        let mut held = self.held.borrow_mut();
        if held.is_empty() && journal.durable() >= newest {
            drop(held);
            effect.carry_out_guarded();
        } else {
            held.push_back((newest, effect));
        }
    }

    /// Carries out what has become durable, whenever the journal says so.
    pub async fn release_forever(self: Rc<Self>, durable: Arc<Notify>, news: Receiver<Position>) {
        loop {
            durable.notified().await;
            // Positions only grow, and the newest is read below: what is in the channel is older.
            news.try_iter().for_each(drop);
            self.release();
        }
    }

    fn release(&self) {
        let durable = self.shared.journal.durable();
        loop {
            let effect = {
                let mut held = self.held.borrow_mut();
                match held.front() {
                    Some((position, _)) if *position <= durable => held.pop_front(),
                    _ => None,
                }
            };
            match effect {
                Some((_, effect)) => effect.carry_out_guarded(),
                None => return,
            }
        }
    }

    /// How many effects wait.
    #[must_use]
    pub fn waiting_effects(&self) -> usize {
        self.held.borrow().len()
    }

    // === Time ===

    /// Reminds a machine.
    pub fn arm(&self, at: Timestamp, name: Name) {
        let mut wheel = self.wheel.borrow_mut();
        let sooner = wheel.next().is_none_or(|next| at < next);
        wheel.arm(at, name);
        if sooner {
            self.wheel_changed.notify_one();
        }
    }

    /// Turns the wheel: wakes when the next bucket passes, when an earlier one is filled, or when a manual clock moves.
    pub async fn turn_forever(self: Rc<Self>) {
        loop {
            let now = self.now();
            if guard(|| self.turn(now)).is_none() {
                tracing::error!("the timer wheel fell in one turn and goes on");
            }
            let next = self.wheel.borrow().next();
            let wait = next.map(|next| next.since(self.now()));
            let pause = async {
                match wait {
                    Some(wait) if !self.shared.clock.is_manual() => tokio::time::sleep(wait).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                () = pause => {}
                () = self.wheel_changed.notified() => {}
                () = self.shared.clock.moved_from(now) => {}
            }
        }
    }

    fn turn(&self, now: Timestamp) {
        let due = self.wheel.borrow_mut().due(now);
        for (at, names) in due {
            self.shared.metrics.actors.timer_lag.record(now.since(at));
            names.into_iter().for_each(|name| self.remind(name, now));
        }
    }

    /// Reminds a machine of its deadline; one that is gone needs none, unless it only rests.
    fn remind(&self, name: Name, now: Timestamp) {
        if let Some(resting) = self.shared.directory.remind(name)
            && let Some(space) = self.space(name.space)
        {
            space.remind_resting(resting, now);
        }
    }

    /// Whether a deadline is pending: then the log gets a clock record every second (design §3.7).
    fn has_deadlines(&self) -> bool {
        self.wheel.borrow().next().is_some()
    }

    /// Writes the time into the log every second while a deadline is pending.
    pub async fn tick_forever(self: Rc<Self>) {
        let mut last = self.now();
        loop {
            if self.shared.clock.is_manual() {
                self.shared.clock.moved_from(last).await;
            } else {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            let now = self.now();
            let due = now.since(last) >= Duration::from_millis(900);
            last = if due || self.shared.clock.is_manual() { now } else { last };
            self.spaces().iter().for_each(|space| space.look_at_archive());
            if due && self.has_deadlines() {
                for space in self.spaces() {
                    self.record(&space.id, &Entry::Clock { at: now });
                }
            }
        }
    }
}

/// The log's record kind of an entry.
#[must_use]
pub fn kind(entry: &Entry) -> u16 {
    match entry {
        Entry::Conversation { .. } => 0,
        Entry::Agent { .. } => 1,
        Entry::Group { .. } => 2,
        Entry::Workspace { .. } => 3,
        Entry::Clock { .. } => 4,
        Entry::Restarted { .. } => 5,
        Entry::Erased { .. } => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{Body, By, conversation::Event};

    #[test]
    fn a_record_by_reference_has_the_bytes_of_the_entry() {
        let id = ConversationId::from_bytes([7; 16]);
        let events = vec![Event::Said { body: Body("hello".into()) }, Event::Reopened];
        let record = Record { at: Timestamp::from_micros(9), by: By::System, key: None, events };
        let (mut one, mut two) = (Vec::new(), Vec::new());
        codec::to_log(&EntryRef::Conversation { id, record: &record }, &mut one).expect("small");
        codec::to_log(&Entry::Conversation { id, record }, &mut two).expect("small");
        assert_eq!(one, two);
    }
}
