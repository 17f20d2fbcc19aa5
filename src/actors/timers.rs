//! One timer wheel per arbiter, in buckets of 5 ms. It only reminds: whether something is due is decided by comparing times.
//! What lies further ahead waits in buckets of a minute, which take less memory.

use std::collections::BTreeMap;

use super::directory::Name;
use crate::clock::Timestamp;

/// How wide a bucket is, in microseconds.
pub(super) const BUCKET_US: u64 = 5_000;

/// How wide a bucket is of what lies further ahead.
const FAR_US: u64 = 60_000_000;

/// Who wants to be reminded when. Cancelling is free: a machine that is reminded too early looks and waits on.
#[derive(Debug)]
pub(super) struct Wheel {
    width_us: u64,
    buckets: BTreeMap<u64, Vec<Name>>,
    far: BTreeMap<u64, Vec<(Timestamp, Name)>>,
    /// The bucket of a minute that it stands in.
    minute: u64,
}

impl Wheel {
    /// A wheel with buckets of this width.
    pub(super) fn new(width_us: u64) -> Self {
        Self { width_us, buckets: BTreeMap::new(), far: BTreeMap::new(), minute: 0 }
    }

    /// Reminds `name` at the end of the bucket that `at` lies in.
    pub(super) fn arm(&mut self, at: Timestamp, name: Name) {
        let minute = at.micros() / FAR_US;
        if minute > self.minute {
            self.far.entry(minute).or_default().push((at, name));
        } else {
            self.buckets.entry(at.micros().div_ceil(self.width_us)).or_default().push(name);
        }
    }

    /// Its hand moves on: what was far ahead is near.
    fn advance(&mut self, now: Timestamp) {
        self.minute = self.minute.max(now.micros() / FAR_US);
        while let Some(minute) = self.far.first_entry().filter(|minute| *minute.key() <= self.minute) {
            for (at, name) in minute.remove() {
                self.arm(at, name);
            }
        }
    }

    /// Everybody whose bucket has passed, earliest first.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<(Timestamp, Vec<Name>)> {
        self.advance(now);
        let later = self.buckets.split_off(&(now.micros() / self.width_us + 1));
        let due = std::mem::replace(&mut self.buckets, later);
        due.into_iter()
            .map(|(bucket, names)| (Timestamp::from_micros(bucket * self.width_us), names))
            .collect()
    }

    /// When the next bucket passes, or a minute begins that somebody waits for; `None`: nobody waits.
    #[must_use]
    pub(super) fn next(&self) -> Option<Timestamp> {
        let near = self.buckets.keys().next().map(|bucket| bucket * self.width_us);
        let far = self.far.keys().next().map(|minute| minute * FAR_US);
        near.into_iter().chain(far).min().map(Timestamp::from_micros)
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

    #[test]
    fn what_lies_far_ahead_is_as_exact() {
        let mut wheel = Wheel::new(BUCKET_US);
        let day = 86_400_000_000;
        for (at, id) in [(day + 3, 1), (day + 20_000, 2), (2 * day, 3), (70_000_000, 4)] {
            wheel.arm(Timestamp::from_micros(at), name(id));
        }
        let mut reminded = Vec::new();
        while let Some(next) = wheel.next() {
            for (at, names) in wheel.due(next) {
                reminded.extend(names.into_iter().map(|name| (at.micros(), name)));
            }
        }
        let expected = [(70_000_000, 4), (day + 5_000, 1), (day + 20_000, 2), (2 * day, 3)];
        assert_eq!(reminded, expected.map(|(at, id)| (at, name(id))));
    }
}
