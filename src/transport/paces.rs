//! How fast each visitor has been, whatever connection, frontend and arbiter their commands come by.

use std::{
    collections::{HashMap, VecDeque},
    hash::BuildHasher as _,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use foldhash::fast::RandomState;

use super::border::Rates;
use crate::{clock::Timestamp, ids::VisitorId};

/// Visitors that are remembered, all told: about 50 MB. Past it whoever is known longest is forgotten, whatever is held against them.
const REMEMBERED: usize = 512 * 1_024;

/// Arbiters ask at once; a visitor's part of the memory is locked for some tens of nanoseconds.
const SHARDS: usize = 16;

/// Of those remembered longest, how many each command looks at, to forget who has nothing held against them any more.
const SWEPT: usize = 2;

/// A token bucket in daemon time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    left: f64,
    at: Timestamp,
}

impl Bucket {
    pub(super) fn full(burst: f64, now: Timestamp) -> Self {
        Self { left: burst, at: now }
    }

    /// Takes one, or says how long until there is one.
    pub(super) fn take(&mut self, per_second: f64, burst: f64, now: Timestamp) -> Result<(), Duration> {
        self.left = (self.left + now.since(self.at).as_secs_f64() * per_second).min(burst);
        // Two arbiters read the clock apart: a bucket's time never goes back.
        self.at = self.at.max(now);
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64(((1.0 - self.left) / per_second).min(86_400.0)))
    }
}

/// What is held against a visitor.
#[derive(Debug, Clone, Copy)]
struct Pace {
    messages: Bucket,
    openings: Bucket,
}

/// By workspace and visitor.
type Who = (u32, VisitorId);

#[derive(Debug, Default)]
struct Shard {
    visitors: HashMap<Who, Pace, RandomState>,
    /// Everybody in it, once, with a time before which they need not be looked at.
    oldest: VecDeque<(Timestamp, Who)>,
}

/// What a visitor wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Open a conversation.
    Open,
    /// Write a message.
    Write,
}

/// The rates of all visitors of the daemon; shared by its arbiters.
#[derive(Debug)]
pub struct Paces {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    most: usize,
}

impl Default for Paces {
    fn default() -> Self {
        Self::remembering(REMEMBERED)
    }
}

impl Paces {
    /// With room for so many visitors.
    fn remembering(most: usize) -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Self { shards, hasher: RandomState::default(), most: most.div_ceil(SHARDS) }
    }

    /// Counts a deed, or says how long to wait before it.
    pub(super) fn take(&self, who: Who, deed: Deed, rates: &Rates, now: Timestamp) -> Result<(), Duration> {
        let (per_second, burst) = rates.visitor;
        let (openings, within) = rates.openings;
        let forgiven = Duration::from_secs_f64(burst / per_second).max(within);
        let at = usize::try_from(self.hasher.hash_one(who) % SHARDS as u64).unwrap_or_default();
        let mut shard = self.shards[at].lock().unwrap_or_else(PoisonError::into_inner);
        shard.sweep(forgiven, self.most, now);
        let Shard { visitors, oldest } = &mut *shard;
        let pace = visitors.entry(who).or_insert_with(|| {
            oldest.push_back((now, who));
            Pace { messages: Bucket::full(burst, now), openings: Bucket::full(openings, now) }
        });
        match deed {
            Deed::Open => pace.openings.take(openings / within.as_secs_f64(), openings, now),
            Deed::Write => pace.messages.take(per_second, burst, now),
        }
    }
}

impl Shard {
    /// Looks at a few of those who were remembered longest.
    fn sweep(&mut self, forgiven: Duration, most: usize, now: Timestamp) {
        for _ in 0..SWEPT {
            let crowded = self.visitors.len() >= most;
            let Some((_, who)) = self.oldest.pop_front_if(|(since, _)| crowded || *since + forgiven <= now)
            else {
                return;
            };
            let last = self.visitors.get(&who).map(|pace| pace.messages.at.max(pace.openings.at));
            match last.filter(|last| !crowded && *last + forgiven > now) {
                Some(last) => self.oldest.push_back((last, who)),
                None => {
                    self.visitors.remove(&who);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates {
        visitor: (2.0, 3.0),
        openings: (3.0, Duration::from_secs(600)),
        agent: (20.0, 60.0),
        in_flight: 1,
        message_body: 1,
    };

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_micros(millis * 1_000)
    }

    fn who(number: u32) -> Who {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        (0, VisitorId::from_bytes(id))
    }

    fn held(paces: &Paces) -> (usize, usize) {
        let shards = paces.shards.iter().map(|shard| shard.lock().expect("free"));
        shards.fold((0, 0), |(visitors, order), shard| {
            (visitors + shard.visitors.len(), order + shard.oldest.len())
        })
    }

    #[test]
    fn a_bucket_gives_a_burst_and_then_its_rate() {
        let mut bucket = Bucket::full(3.0, at(0));
        for _ in 0..3 {
            assert_eq!(bucket.take(2.0, 3.0, at(0)), Ok(()));
        }
        assert_eq!(bucket.take(2.0, 3.0, at(0)), Err(Duration::from_millis(500)));
        assert_eq!(bucket.take(2.0, 3.0, at(500)), Ok(()));
        assert!(bucket.take(2.0, 3.0, at(501)).is_err());
    }

    #[test]
    fn whoever_asks_for_a_visitor_draws_on_the_same_allowance() {
        let paces = std::sync::Arc::new(Paces::default());
        let done = std::thread::scope(|scope| {
            let asks: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..100).filter(|_| paces.take(who(1), Deed::Write, &RATES, at(0)).is_ok()).count()
                    })
                })
                .collect();
            asks.into_iter().map(|ask| ask.join().expect("it ends")).sum::<usize>()
        });
        assert_eq!(done, 3);
        assert!(paces.take((1, who(1).1), Deed::Write, &RATES, at(0)).is_ok(), "another workspace's");
    }

    #[test]
    fn who_has_nothing_held_against_them_is_forgotten_a_few_at_a_time() {
        let paces = Paces::remembering(1_000_000);
        for number in 0..1_000 {
            paces.take(who(number), Deed::Open, &RATES, at(0)).expect("the first");
        }
        // One goes on opening: they stay known, though they were among the first.
        for _ in 0..3 {
            paces.take(who(0), Deed::Open, &RATES, at(300_000)).expect("as many as there may be");
        }
        for number in 0..2_000 {
            // So many that each of the shards sees some of them.
            let _ = paces.take(who(5_000 + number % 200), Deed::Write, &RATES, at(601_000));
        }
        let (visitors, order) = held(&paces);
        assert_eq!(visitors, order, "each is in the order once");
        assert!(visitors <= 300, "{visitors} are still remembered");
        paces.take(who(0), Deed::Open, &RATES, at(601_000)).expect("what five minutes gave back");
        paces.take(who(0), Deed::Open, &RATES, at(601_000)).expect_err("the rest is still held against them");
    }

    #[test]
    fn no_more_than_so_many_are_remembered_whatever_is_held_against_them() {
        let paces = Paces::remembering(1_000);
        for number in 0..50_000 {
            paces.take(who(number), Deed::Open, &RATES, at(0)).expect("the first");
            let (visitors, order) = if number % 1_000 == 0 { held(&paces) } else { continue };
            assert!(visitors <= 1_000 + SHARDS && visitors == order, "{visitors} {order}");
        }
    }
}
