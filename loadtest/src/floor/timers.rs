//! What somebody will do at a certain time.

use std::{cmp::Reverse, collections::BinaryHeap, time::Instant};

use maitred::ids::VisitorId;

use crate::link::{Ask, VisitRef, What};

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) enum Timer {
    /// Visitors of the open loop come.
    Arrive,
    /// One visitor comes, who was refused before.
    Begin { link: usize, visitor: VisitorId },
    /// An agent answers an offer.
    Answer { visit: VisitRef, member: usize, offer: u32, accept: bool },
    /// Whoever's turn it is writes.
    Speak(VisitRef),
    /// The agent closes.
    Close(VisitRef),
    /// The visitor's patience ends.
    GiveUp(VisitRef),
    /// The visitor has read the fallback message and closes.
    Leave(VisitRef),
    /// A request that was refused for now is sent again.
    Retry { link: usize, ask: Ask, key: u64 },
    /// An agent looks at their console, for the how-manieth time.
    Look { member: usize, time: usize },
    /// An agent goes.
    Flap,
    /// They come back.
    Return { member: usize },
}

/// Timers in order of their times, and of their being added.
#[derive(Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<Entry>>,
    added: u64,
}

struct Entry {
    at: (Instant, u64),
    timer: Timer,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

impl Timers {
    pub(super) fn add(&mut self, at: Instant, timer: Timer) {
        self.added += 1;
        self.heap.push(Reverse(Entry { at: (at, self.added), timer }));
    }

    /// Takes out what is asked again by visitors who were not let in so far.
    pub(super) fn take_openings(&mut self) -> Vec<(Instant, Ask, u64)> {
        let mut openings = Vec::new();
        self.heap.retain(|Reverse(entry)| match &entry.timer {
            Timer::Retry { ask, key, .. } if matches!(ask.what, What::Open(_)) => {
                openings.push((entry.at.0, ask.clone(), *key));
                false
            }
            _ => true,
        });
        openings
    }

    fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(entry)| entry.at.0)
    }

    pub(super) fn due(&mut self, now: Instant) -> Option<Timer> {
        let due = self.next().is_some_and(|next| next <= now);
        if due { self.heap.pop().map(|Reverse(entry)| entry.timer) } else { None }
    }
}
