//! What is counted and timed. The audit counts for itself.

use std::time::Duration;

use hdrhistogram::Histogram;
use maitred::protocol::refusal::RefusalCode;
use serde::Serialize;

/// Longest time that a histogram tells apart: ten minutes.
const LONGEST: u64 = 600_000_000;

/// Everything counted in a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Openings that were acknowledged.
    pub(crate) opened: u64,
    /// Offers, announcements and handovers that agents saw.
    pub(crate) offered: u64,
    /// Conversations that got their first owner.
    pub(crate) answered: u64,
    /// Conversations that were answered and then closed.
    pub(crate) closed: u64,
    /// Conversations whose visitor was told the fallback message.
    pub(crate) fallback: u64,
    /// Conversations that were closed without having been answered.
    pub(crate) abandoned: u64,
    /// Requests that were refused.
    pub(crate) refused: u64,
    /// Offers that ended by their deadline.
    pub(crate) timed_out: u64,
    /// From when the visitor was due until the first offer was seen.
    pub(crate) offer_latency: Spread,
    /// From sending a message until the other side saw it.
    pub(crate) message_latency: Spread,
    /// How long after its deadline the end of an offer was seen.
    pub(crate) lateness: Spread,
    /// From seeing an offer time out until seeing the next offer of the same conversation.
    pub(crate) reoffer: Spread,
    /// From beginning a list until it is there, and from opening a conversation until it can be read.
    pub(crate) list_latency: Spread,
    pub(crate) look_latency: Spread,
    /// News of a list that did not follow what was told before.
    pub(crate) list_gaps: u64,
    /// Refusals by code.
    pub(crate) refusals: Vec<(RefusalCode, u64)>,
    /// Second by second, while visitors come.
    pub(crate) seconds: Vec<Second>,
    worst_offer: Duration,
}

/// What one second saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Second {
    opened: u64,
    closed: u64,
    fallback: u64,
    refused: u64,
    /// Of the first offers that were seen in it, the longest way there, in microseconds.
    worst_offer_us: u64,
}

impl Tally {
    /// A conversation's first offer was seen, so long after its visitor was due.
    pub(crate) fn offer(&mut self, after: Duration) {
        self.offer_latency.add(after);
        self.worst_offer = self.worst_offer.max(after);
    }

    /// A second is over.
    pub(crate) fn second(&mut self) {
        let before = |count: fn(&Second) -> u64| self.seconds.iter().map(count).sum::<u64>();
        let second = Second {
            opened: self.opened - before(|second| second.opened),
            closed: self.closed - before(|second| second.closed),
            fallback: self.fallback - before(|second| second.fallback),
            refused: self.refused - before(|second| second.refused),
            worst_offer_us: u64::try_from(std::mem::take(&mut self.worst_offer).as_micros())
                .unwrap_or(LONGEST),
        };
        self.seconds.push(second);
    }

    /// A request was refused.
    pub(crate) fn refuse(&mut self, code: RefusalCode) {
        self.refused += 1;
        match self.refusals.iter_mut().find(|(counted, _)| *counted == code) {
            Some((_, count)) => *count += 1,
            None => self.refusals.push((code, 1)),
        }
    }
}

/// Times, with three digits kept.
#[derive(Debug)]
pub(crate) struct Spread(Histogram<u64>);

impl Default for Spread {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST, 3);
        Self(histogram.expect("the bounds are constants that fit"))
    }
}

/// A few of many times, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
}

impl Spread {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(LONGEST));
    }

    /// `None` if nothing was timed.
    pub(crate) fn quantiles(&self) -> Option<Quantiles> {
        let at = |quantile| self.0.value_at_quantile(quantile);
        let max = self.0.max();
        (!self.0.is_empty()).then(|| Quantiles { p50: at(0.5), p99: at(0.99), p999: at(0.999), max })
    }
}
