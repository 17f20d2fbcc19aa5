//! Supervision is ours (design §3.5): one guard round every step of every machine, and a restart intensity.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use crate::clock::Timestamp;

/// Failures within [`WINDOW`] that a machine is rebuilt after; one more puts it aside.
pub(super) const INTENSITY: usize = 5;

/// The time in which failures are counted.
pub(super) const WINDOW: Duration = Duration::from_secs(30);

/// Runs one step. `None`: it panicked, and whatever it changed is garbage.
pub(super) fn guard<T>(step: impl FnOnce() -> T) -> Option<T> {
    // The state that a panicking step leaves behind is thrown away and rebuilt by the caller, so nothing broken is ever observed.
    catch_unwind(AssertUnwindSafe(step)).ok()
}

/// One machine's failures.
#[derive(Debug, Default)]
pub(super) struct Failures(VecDeque<Timestamp>);

/// What a failure leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Rebuild in place and go on.
    Rebuild,
    /// Too many: put aside.
    GiveUp,
}

impl Failures {
    /// Counts one more.
    pub(super) fn count(&mut self, now: Timestamp) -> Verdict {
        self.0.push_back(now);
        while self.0.front().is_some_and(|first| now.since(*first) > WINDOW) {
            self.0.pop_front();
        }
        if self.are_too_many() { Verdict::GiveUp } else { Verdict::Rebuild }
    }

    /// Whether the last count was one too many.
    #[must_use]
    pub(super) fn are_too_many(&self) -> bool {
        self.0.len() > INTENSITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_and_a_value_comes_through() {
        assert_eq!(guard(|| 7), Some(7));
        assert_eq!(guard(|| -> u8 { panic!("a planted fault") }), None);
    }

    #[test]
    fn the_sixth_failure_within_the_window_is_one_too_many() {
        let mut failures = Failures::default();
        let at = |second: u64| Timestamp::from_micros(second * 1_000_000);
        for second in 0..5 {
            assert_eq!(failures.count(at(second)), Verdict::Rebuild);
        }
        assert_eq!(failures.count(at(5)), Verdict::GiveUp);
        let mut slow = Failures::default();
        for second in 0..100 {
            assert_eq!(slow.count(at(second * 7)), Verdict::Rebuild, "second {second}");
        }
    }
}
