//! When many agents vanish at once, what was offered to them goes on to others at a bounded rate, so that those who are left, and the
//! clients that come back meanwhile, are not buried under it.

use std::time::Duration;

use crate::clock::Timestamp;

/// Offers that go on to others a second, in the long run.
const PER_SECOND: u32 = 200;

/// Offers that may go on at once before that.
const BURST: u32 = 100;

/// A token bucket of a workspace, counted in time: one offer takes what it takes to refill one token.
#[derive(Debug, Clone, Copy, Default)]
pub struct Departures {
    /// When all that was taken will have been refilled.
    refilled: Timestamp,
}

impl Departures {
    /// How much later than usual an agent is taken for gone who vanishes now and leaves so many conversations to others.
    pub fn later(&mut self, now: Timestamp, conversations: u32) -> Duration {
        let token = Duration::from_secs(1) / PER_SECOND;
        let taken = self.refilled.since(now);
        self.refilled = now + taken + token * conversations;
        if conversations == 0 { Duration::ZERO } else { taken.saturating_sub(token * BURST) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_go_at_once_and_many_at_the_rate() {
        let mut departures = Departures::default();
        let now = Timestamp::from_micros(1_000_000);
        let later: Vec<Duration> = (0..1_000).map(|_| departures.later(now, 1)).collect();
        assert!(later[..=100].iter().all(Duration::is_zero));
        assert_eq!(later[101], Duration::from_millis(5));
        assert_eq!(later[999], Duration::from_millis(899 * 5));
        let soon = now + Duration::from_secs(60);
        assert!(departures.later(soon, 10).is_zero(), "refilled meanwhile");
    }

    #[test]
    fn who_leaves_nothing_behind_waits_for_nobody() {
        let mut departures = Departures::default();
        let now = Timestamp::from_micros(1_000_000);
        departures.later(now, 10_000);
        assert!(departures.later(now, 0).is_zero());
        assert!(!departures.later(now, 1).is_zero());
    }
}
