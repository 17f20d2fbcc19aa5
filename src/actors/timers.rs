//! One timer wheel per arbiter, in buckets of 5 ms. It only reminds: whether something is due is decided by comparing times.

use std::collections::BTreeMap;

use super::directory::Name;
use crate::clock::Timestamp;

/// How wide a bucket is, in microseconds.
pub(super) const BUCKET_US: u64 = 5_000;

/// Who wants to be reminded when. Cancelling is free: a machine that is reminded too early looks and waits on.
#[derive(Debug)]
pub(super) struct Wheel {
    width_us: u64,
    buckets: BTreeMap<u64, Vec<Name>>,
}

impl Wheel {
    /// A wheel with buckets of this width.
    pub(super) fn new(width_us: u64) -> Self {
        Self { width_us, buckets: BTreeMap::new() }
    }

    /// Reminds `name` at the end of the bucket that `at` lies in.
    pub(super) fn arm(&mut self, at: Timestamp, name: Name) {
        self.buckets.entry(at.micros().div_ceil(self.width_us)).or_default().push(name);
    }

    /// Everybody whose bucket has passed, earliest first.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<(Timestamp, Vec<Name>)> {
        let later = self.buckets.split_off(&(now.micros() / self.width_us + 1));
        let due = std::mem::replace(&mut self.buckets, later);
        due.into_iter()
            .map(|(bucket, names)| (Timestamp::from_micros(bucket * self.width_us), names))
            .collect()
    }

    /// When the next bucket passes; `None`: nobody waits.
    #[must_use]
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.buckets.keys().next().map(|bucket| Timestamp::from_micros(bucket * self.width_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ConversationId;

    fn name(id: u8) -> Name {
        Name::conversation(0, ConversationId::from_bytes([id; 16]))
    }

    #[test]
    fn nobody_is_reminded_early_or_more_than_a_bucket_late() {
        let mut wheel = Wheel::new(BUCKET_US);
        for (at, id) in [(7_001, 1), (4_999, 2), (10_000, 3)] {
            wheel.arm(Timestamp::from_micros(at), name(id));
        }
        assert_eq!(wheel.next(), Some(Timestamp::from_micros(5_000)));
        assert!(wheel.due(Timestamp::from_micros(4_999)).is_empty());
        let due: Vec<Name> =
            wheel.due(Timestamp::from_micros(10_000)).into_iter().flat_map(|(_, names)| names).collect();
        assert_eq!(due, [name(2), name(1), name(3)]);
        assert_eq!(wheel.next(), None);
    }
}
