//! Time as a value: microseconds since 1970, daemon time, never backwards (design §3.7).
//!
//! Holds: [`Timestamp`], and the [`Clock`] that hands them out. Knows: the operating system's clocks.
//! Never: timers; whoever waits for a time asks the arbiter's wheel. Start reading at: [`Clock`].

use std::{
    fmt,
    ops::{Add, Sub},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// A moment in daemon time: microseconds since 1970-01-01T00:00:00Z. Below 2^53.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Later than anything.
    pub const NEVER: Self = Self((1 << 53) - 1);

    /// The moment so many microseconds after 1970.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(if micros < Self::NEVER.0 { micros } else { Self::NEVER.0 })
    }

    /// Microseconds after 1970.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is before.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, wait: Duration) -> Self {
        let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        Self::from_micros(self.0.saturating_add(micros))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, wait: Duration) -> Self {
        let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(micros))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where the daemon reads the time. Cheap to clone; all clones agree.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
enum Source {
    /// Wall time at the start plus the monotonic clock since: a changed wall clock changes nothing.
    System { wall_at_start: Timestamp, started: Instant },
    /// A time that only [`Clock::advance`] moves; for tests that start the daemon in-process.
    Manual { now: AtomicU64, moved: Notify },
}

impl Clock {
    /// The operating system's time, not before `floor` (the newest time in the log).
    #[must_use]
    pub fn system(floor: Timestamp) -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = Timestamp::default() + wall;
        Self(Arc::new(Source::System { wall_at_start: wall.max(floor), started: Instant::now() }))
    }

    /// A clock that stands at `now` until it is advanced.
    #[must_use]
    pub fn manual(now: Timestamp) -> Self {
        Self(Arc::new(Source::Manual { now: AtomicU64::new(now.0), moved: Notify::new() }))
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Source::System { wall_at_start, started } => *wall_at_start + started.elapsed(),
            Source::Manual { now, .. } => Timestamp(now.load(Ordering::SeqCst)),
        }
    }

    /// Whether this clock moves by itself.
    #[must_use]
    pub fn is_manual(&self) -> bool {
        matches!(&*self.0, Source::Manual { .. })
    }

    /// Moves a manual clock on and wakes whoever waits in [`Clock::moved_from`]. A system clock can't be moved.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual { now, moved } = &*self.0 {
            let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
            now.fetch_add(micros, Ordering::SeqCst);
            moved.notify_waiters();
        }
    }

    /// Ends when a manual clock stands at another time than `seen`; never ends on a system clock.
    pub async fn moved_from(&self, seen: Timestamp) {
        let Source::Manual { moved, .. } = &*self.0 else { return std::future::pending().await };
        loop {
            let next = moved.notified();
            tokio::pin!(next);
            // Enabled before looking, so that a move in between is not missed.
            next.as_mut().enable();
            if self.now() != seen {
                return;
            }
            next.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_clock_starts_no_earlier_than_its_floor() {
        let floor = Clock::system(Timestamp::default()).now() + Duration::from_secs(3_600);
        assert!(Clock::system(floor).now() >= floor);
    }

    #[test]
    fn a_manual_clock_moves_by_hand_only() {
        let clock = Clock::manual(Timestamp::from_micros(5));
        assert_eq!(clock.now(), clock.now());
        clock.advance(Duration::from_micros(7));
        assert_eq!(clock.now(), Timestamp::from_micros(12));
    }
}
