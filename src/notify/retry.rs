//! When something is tried again: exponential backoff with full jitter, as long as patience lasts.

use std::time::Duration;

use rand::Rng as _;

use crate::clock::Timestamp;

/// How long, how often and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long one attempt may take, in real time.
    pub timeout: Duration,
    /// The longest pause after the first failure; it doubles with each further one.
    pub first: Duration,
    /// The longest pause of all.
    pub longest: Duration,
    /// How long after it was queued a delivery is given up.
    pub give_up: Duration,
    /// Deliveries that may wait; beyond that the oldest is given up.
    pub waiting_max: usize,
    /// Their bytes, likewise.
    pub waiting_bytes: usize,
    /// Dead letters that are kept; beyond that the oldest goes.
    pub dead_max: usize,
}

impl Patience {
    /// When to try again after so many failures; `asked`: what the other side said (`Retry-After`), which is a lower bound. `None`: it
    /// is given up.
    #[must_use]
    pub(super) fn next(
        &self,
        queued: Timestamp,
        now: Timestamp,
        failures: u32,
        asked: Option<Duration>,
    ) -> Option<Timestamp> {
        let until = queued + self.give_up;
        if now >= until {
            return None;
        }
        let most = self.bound(failures);
        let most_us = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        let pause = Duration::from_micros(rand::rng().random_range(0..=most_us));
        let at = now + pause.max(asked.unwrap_or_default());
        // The last try is at the very end of patience.
        Some(at.min(until))
    }

    /// The longest pause after so many failures.
    fn bound(&self, failures: u32) -> Duration {
        let doubled = self.first.checked_mul(1 << failures.saturating_sub(1).min(31));
        doubled.unwrap_or(self.longest).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        timeout: Duration::from_secs(15),
        first: Duration::from_secs(1),
        longest: Duration::from_secs(3_600),
        give_up: Duration::from_secs(86_400),
        waiting_max: 10,
        waiting_bytes: 1_000,
        dead_max: 10,
    };

    #[test]
    fn pauses_double_up_to_the_longest_and_lie_anywhere_below() {
        let bounds = [(1, 1), (2, 2), (3, 4), (12, 2_048), (13, 3_600), (99, 3_600), (u32::MAX, 3_600)];
        for (failures, seconds) in bounds {
            assert_eq!(PATIENCE.bound(failures), Duration::from_secs(seconds), "after {failures}");
        }
        let start = Timestamp::from_micros(1_000_000);
        let pauses: Vec<_> = (0..200)
            .map(|_| PATIENCE.next(start, start, 6, None).expect("not given up").since(start))
            .collect();
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(32)));
        let low = pauses.iter().filter(|pause| **pause < Duration::from_secs(16)).count();
        assert!((50..150).contains(&low), "{low} of 200 in the lower half");
    }

    #[test]
    fn what_the_other_side_asks_for_is_a_lower_bound_and_a_day_the_end() {
        let start = Timestamp::from_micros(1_000_000);
        let asked = Some(Duration::from_secs(120));
        let at = PATIENCE.next(start, start, 1, asked).expect("not given up");
        assert_eq!(at, start + Duration::from_secs(120));
        let late = start + Duration::from_secs(86_399);
        assert_eq!(PATIENCE.next(start, late, 1, asked), Some(start + Duration::from_secs(86_400)));
        assert_eq!(PATIENCE.next(start, start + Duration::from_secs(86_400), 1, None), None);
    }
}
