//! What the journal's handles and its threads have in common.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use crossbeam::channel::{Receiver, Sender, TrySendError};

use super::{Options, Position, Reserve, Space, Stats, batch::Batch, catalog::Catalog, log::Log};

/// What the threads and the handles have in common.
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) id: [u8; 16],
    pub(super) seed: u32,
    pub(super) catalog: Arc<Catalog>,
    pub(super) tail: Mutex<Tail>,
    pub(super) durable: AtomicU64,
    pub(super) newest: AtomicU64,
    /// Records before this one may go.
    pub(super) forget: AtomicU64,
    /// But from this one on somebody still reads.
    pub(super) needed: AtomicU64,
    /// Whether the next commit is to be followed by another segment.
    pub(super) turn: AtomicBool,
    pub(super) closing: AtomicBool,
    watchers: Mutex<Vec<Watcher>>,
    stats: Mutex<Stats>,
    /// There is no next segment, and none can be made.
    pub(super) tight: AtomicBool,
}

/// The records that are not durable yet.
pub(super) struct Tail {
    /// Being written.
    pub(super) flying: Option<Arc<Batch>>,
    /// To be written next.
    pub(super) pending: Batch,
}

pub(super) struct Watcher {
    pub(super) news: Sender<Position>,
    /// The other end of `news`, to take back what was not read in time.
    pub(super) stale: Receiver<Position>,
    pub(super) wake: Box<dyn Fn() + Send>,
}

/// The last twentieth of the last segment is for ending what is there.
const LAST: u64 = 20;

impl Shared {
    pub(super) fn new(log: &Log) -> Self {
        let durable = log.durable().get();
        let pending = Batch::new(log.batch.seed(), durable + 1, log.options.max_batch_bytes);
        Self {
            options: log.options.clone(),
            id: log.current.header.log,
            seed: log.batch.seed(),
            catalog: Arc::clone(&log.catalog),
            tail: Mutex::new(Tail { flying: None, pending }),
            durable: AtomicU64::new(durable),
            newest: AtomicU64::new(durable),
            forget: AtomicU64::new(0),
            needed: AtomicU64::new(u64::MAX),
            turn: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            watchers: Mutex::default(),
            tight: AtomicBool::new(false),
            stats: Mutex::new(Stats { room_bytes: log.room(), ..Stats::default() }),
        }
    }

    /// Takes what is pending to be written, and puts an empty batch in its place.
    pub(super) fn take_pending(&self, reusable: Option<Batch>) -> Option<Arc<Batch>> {
        let capacity = self.options.max_batch_bytes;
        let mut empty = reusable.unwrap_or_else(|| Batch::new(self.seed, 1, capacity));
        let mut tail = self.tail();
        if tail.pending.is_empty() {
            return None;
        }
        empty.reset(tail.pending.last() + 1, capacity);
        let batch = Arc::new(std::mem::replace(&mut tail.pending, empty));
        tail.flying = Some(Arc::clone(&batch));
        Some(batch)
    }

    /// Tells everybody that a batch is durable.
    pub(super) fn publish(&self, batch: &Batch, took: Duration, room_bytes: u64) {
        {
            let mut stats = self.stats();
            stats.commits += 1;
            stats.records += batch.count();
            stats.bytes += batch.bytes().len() as u64;
            stats.last_sync = took;
            stats.total_sync += took;
            stats.slowest_sync = stats.slowest_sync.max(took);
            stats.last_batch_records = batch.count();
            stats.last_batch_bytes = batch.bytes().len() as u64;
            stats.room_bytes = room_bytes;
        }
        self.durable.store(batch.last(), Ordering::Release);
        // The catalog has them by now, so no reader falls between the two.
        self.tail().flying = None;
        for watcher in &*self.watchers() {
            watcher.tell(Position(batch.last()));
        }
    }

    pub(super) fn set_reserve(&self, reserve: Reserve) {
        self.stats().reserve = reserve;
        match reserve {
            Reserve::DiskFull | Reserve::Failing => self.tight.store(true, Ordering::Release),
            Reserve::Ready(_) => self.tight.store(false, Ordering::Release),
            // A try that may fail like the one before: only success is news.
            Reserve::Making => {}
        }
    }

    /// What there still is room for.
    pub(super) fn space(&self) -> Space {
        if !self.tight.load(Ordering::Acquire) {
            return Space::Enough;
        }
        let left = self.stats().room_bytes;
        if left < self.options.segment_size() / LAST { Space::Endings } else { Space::NothingNew }
    }

    pub(super) fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn watchers(&self) -> MutexGuard<'_, Vec<Watcher>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stats(&self) -> MutexGuard<'_, Stats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher {
    /// Replaces what was not read yet: only the newest position matters.
    pub(super) fn tell(&self, position: Position) {
        while let Err(TrySendError::Full(_)) = self.news.try_send(position) {
            let _ = self.stale.try_recv();
        }
        (self.wake)();
    }
}
