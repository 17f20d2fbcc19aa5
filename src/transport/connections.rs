//! All connections of the process: their common bounds, and the way to tell them all to go.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{
    admission::{Admission, Limits},
    counters::Counters,
    outbox::{Bounds, Common, Outbox},
};
use crate::protocol::{Encoding, words::GoAwayReason};

/// What the operator may set for all connections, whatever carries them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Who may connect.
    pub limits: Limits,
    /// How much may be under way.
    pub bounds: Bounds,
    /// How long things may take.
    pub timing: Timing,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From a client's first packet to the end of the handshake.
    pub handshake: Duration,
    /// From then to a valid Hello.
    pub hello: Duration,
    /// For flushing the last frames to a client that is told to go.
    pub linger: Duration,
    /// For one write to a client that takes nothing; then its connection ends.
    pub stall: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            hello: Duration::from_secs(3),
            linger: Duration::from_secs(5),
            stall: Duration::from_secs(30),
        }
    }
}

/// All connections of the process. Cheap to clone; all clones are the same.
#[derive(Clone, Debug)]
pub struct Connections(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    admission: Admission,
    common: Arc<Common>,
    timing: Timing,
    next: AtomicU64,
    open: Mutex<Open>,
    /// Somebody left.
    left: Notify,
}

#[derive(Debug, Default)]
struct Open {
    outboxes: HashMap<u64, Weak<Outbox>>,
    /// Set once all are told to go: what newcomers are told.
    going: Option<(GoAwayReason, Option<Duration>)>,
}

impl Connections {
    /// Nobody is connected yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let counters = Arc::new(Counters::default());
        Self(Arc::new(Inner {
            admission: Admission::new(settings.limits, Instant::now()),
            common: Arc::new(Common::new(settings.bounds, counters)),
            timing: settings.timing,
            next: AtomicU64::new(1),
            open: Mutex::default(),
            left: Notify::new(),
        }))
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.0.common.counters
    }

    /// Connections past their handshake, over all carriers.
    #[must_use]
    pub fn count(&self) -> usize {
        self.open().outboxes.len()
    }

    /// Unfinished handshakes, and requests in flight over all connections.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        (self.0.admission.open().1, self.0.common.in_flight())
    }

    /// Lets nobody in any more, lets requests in flight be answered, tells everybody to go and waits for them, at most
    /// `patience`. Returns how many had to be cut off.
    pub async fn drain(
        &self,
        reason: GoAwayReason,
        retry_after: Option<Duration>,
        patience: Duration,
    ) -> usize {
        self.0.admission.stop();
        let leaving: Vec<_> = {
            let mut open = self.open();
            open.going = Some((reason, retry_after));
            open.outboxes.values().filter_map(Weak::upgrade).collect()
        };
        for outbox in &leaving {
            outbox.leave(reason, retry_after);
        }
        drop(leaving);
        if tokio::time::timeout(patience, self.all_left()).await.is_ok() {
            return 0;
        }
        let late: Vec<_> = self.open().outboxes.values().filter_map(Weak::upgrade).collect();
        for outbox in &late {
            outbox.end();
        }
        late.len()
    }

    async fn all_left(&self) {
        loop {
            let left = self.0.left.notified();
            if self.open().outboxes.is_empty() {
                return;
            }
            left.await;
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the carriers do with it.
impl Connections {
    pub(super) fn admission(&self) -> &Admission {
        &self.0.admission
    }

    pub(super) fn timing(&self) -> Timing {
        self.0.timing
    }

    /// A new connection's number and outbox.
    pub(super) fn enter(&self, encoding: Encoding) -> (u64, Arc<Outbox>) {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let outbox = Arc::new(Outbox::new(encoding, Arc::clone(&self.0.common)));
        let mut open = self.open();
        open.outboxes.insert(number, Arc::downgrade(&outbox));
        if let Some((reason, retry_after)) = open.going {
            outbox.leave(reason, retry_after);
        }
        (number, outbox)
    }

    pub(super) fn leave(&self, number: u64) {
        self.open().outboxes.remove(&number);
        self.counters().closed.one();
        self.0.left.notify_waiters();
    }
}
