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
    Carrier,
    admission::{Admission, Limits, Rate},
    counters::{Census, Counters},
    outbox::{Bounds, Common, Outbox},
};
use crate::{
    config,
    protocol::{Encoding, words::GoAwayReason},
};

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

impl From<&config::Limits> for Settings {
    fn from(limits: &config::Limits) -> Self {
        let per_second =
            |arrivals: u32| Rate { per_second: arrivals.into(), burst: f64::from(arrivals) * 2.0 };
        Self {
            limits: Limits {
                connections: limits.max_connections as usize,
                connections_per_network: limits.connections_per_address as usize,
                arrivals: per_second(limits.accepts_per_second),
                arrivals_per_network: per_second(limits.accepts_per_second_per_address),
                arrivals_known: per_second(limits.accepts_per_second),
                half_open: limits.half_open_max as usize,
                ..Limits::default()
            },
            bounds: Bounds {
                outbox_bytes: usize::try_from(limits.outbox).unwrap_or(usize::MAX),
                in_flight: limits.in_flight_per_connection as usize,
                in_flight_total: limits.in_flight_total as usize,
            },
            timing: Timing {
                handshake: limits.handshake_timeout,
                hello: limits.hello_timeout,
                stall: limits.idle_timeout,
                ..Timing::default()
            },
        }
    }
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
    /// The time between two who are to come back.
    return_every: Duration,
    next: AtomicU64,
    open: Mutex<Open>,
    /// Somebody left.
    left: Notify,
}

#[derive(Debug, Default)]
struct Open {
    lines: HashMap<u64, Entry>,
    /// Set once all are told to go: what newcomers are told.
    going: Option<(GoAwayReason, Option<Duration>)>,
}

#[derive(Debug)]
struct Entry {
    outbox: Weak<Outbox>,
    carrier: Carrier,
    authenticated: bool,
}

impl Open {
    fn outboxes(&self) -> Vec<Arc<Outbox>> {
        self.lines.values().filter_map(|entry| entry.outbox.upgrade()).collect()
    }
}

impl Connections {
    /// Nobody is connected yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let counters = Arc::new(Counters::default());
        let per_second = settings.limits.arrivals.per_second.max(1.0);
        Self(Arc::new(Inner {
            admission: Admission::new(settings.limits, Instant::now()),
            common: Arc::new(Common::new(settings.bounds, counters)),
            timing: settings.timing,
            return_every: Duration::from_secs_f64(1.0 / per_second),
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
        self.open().lines.len()
    }

    /// Unfinished handshakes, and requests in flight over all connections.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        (self.0.admission.open().1, self.0.common.in_flight())
    }

    /// Counts those who said a valid Hello. Looks at every connection.
    #[must_use]
    pub fn census(&self) -> Census {
        let mut census = Census::default();
        for entry in self.open().lines.values() {
            let Some(outbox) = entry.outbox.upgrade() else { continue };
            if entry.authenticated {
                census.add(entry.carrier, outbox.encoding());
            }
            census.unsent_bytes += outbox.load().0 as u64;
        }
        census
    }

    /// Lets nobody in any more, lets requests in flight be answered, tells everybody to go and waits for them, at most
    /// `patience`. Returns how many had to be cut off. `retry_after` is what the first is told; the others follow one by one,
    /// so that they come back no faster than connections are taken.
    pub async fn drain(
        &self,
        reason: GoAwayReason,
        retry_after: Option<Duration>,
        patience: Duration,
    ) -> usize {
        self.0.admission.stop();
        let leaving = {
            let mut open = self.open();
            open.going = Some((reason, retry_after));
            open.outboxes()
        };
        for (number, outbox) in (0..).zip(&leaving) {
            outbox.leave(reason, retry_after.map(|wait| wait + self.0.return_every * number));
        }
        drop(leaving);
        if tokio::time::timeout(patience, self.all_left()).await.is_ok() {
            return 0;
        }
        let late = self.open().outboxes();
        for outbox in &late {
            outbox.end();
        }
        late.len()
    }

    async fn all_left(&self) {
        loop {
            let left = self.0.left.notified();
            if self.open().lines.is_empty() {
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
    pub(super) fn enter(&self, encoding: Encoding, carrier: Carrier) -> (u64, Arc<Outbox>) {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let outbox = Arc::new(Outbox::new(encoding, Arc::clone(&self.0.common)));
        let mut open = self.open();
        let entry = Entry { outbox: Arc::downgrade(&outbox), carrier, authenticated: false };
        open.lines.insert(number, entry);
        if let Some((reason, retry_after)) = open.going {
            outbox.leave(reason, retry_after);
        }
        (number, outbox)
    }

    pub(super) fn authenticated(&self, number: u64) {
        if let Some(entry) = self.open().lines.get_mut(&number) {
            entry.authenticated = true;
        }
    }

    pub(super) fn leave(&self, number: u64) {
        self.open().lines.remove(&number);
        self.counters().closed.one();
        self.0.left.notify_waiters();
    }
}
