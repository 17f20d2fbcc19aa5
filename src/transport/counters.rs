//! What the transport counts since its start: plain numbers, so that the hot path knows no metrics library.
//! [`Showing`] copies them to the exporter now and then.

use std::{
    array,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{Carrier, Connections, admission::Full};
use crate::{
    metrics::{self, Direction},
    protocol::{Catalogue, Encoding, NOTICE_BITS, Notice, REPLY_BIT, Reply, Request},
};

/// Frames by kind: read ones if requests, written ones if replies or notices.
#[derive(Debug)]
pub struct Kinds([[Counter; 256]; 3]);

impl Default for Kinds {
    fn default() -> Self {
        Self(array::from_fn(|_| array::from_fn(|_| Counter::default())))
    }
}

impl Kinds {
    /// The counter of this kind. Each direction has at most 256 kinds; a further one would share a counter.
    #[must_use]
    pub fn of(&self, kind: u16) -> &Counter {
        let direction = match kind {
            kind if kind & NOTICE_BITS == NOTICE_BITS => 2,
            kind if kind & REPLY_BIT != 0 => 1,
            _ => 0,
        };
        &self.0[direction][usize::from(kind & 0xff)]
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Adds one.
    pub fn one(&self) {
        self.add(1);
    }

    /// The number so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// Everything that is counted; each grows from zero at start.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[doc = $doc])* pub $name: Counter,)*
            /// Frames by kind.
            pub kinds: Kinds,
        }

        impl Counters {
            /// Every counter with its name.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name.get()),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Arrivals let in.
    admitted,
    /// Arrivals asked to prove their address first.
    retried,
    /// Arrivals answered with a refusal (proven address).
    refused,
    /// Arrivals not answered at all (unproven address).
    ignored,
    /// Of the refused and ignored: too many arrivals in all.
    full_arrivals,
    /// Of the refused and ignored: too many arrivals from one network.
    full_arrivals_of_network,
    /// Of the refused and ignored: too many connections in all.
    full_connections,
    /// Of the refused and ignored: too many connections from one network.
    full_connections_of_network,
    /// Of the refused and ignored: the daemon was draining.
    full_draining,
    /// Handshakes that did not end in time.
    handshake_timeouts,
    /// Handshakes that failed: no common ALPN name, a client that does not trust the certificate, a lost peer.
    handshake_failures,
    /// Connections opened over QUIC.
    opened_quic,
    /// Connections opened over the Unix socket.
    opened_unix,
    /// Connections ended, on both.
    closed,
    /// Clients that said no valid Hello in time.
    hello_timeouts,
    /// Streams beyond a connection's first.
    extra_streams,
    /// Bytes read.
    bytes_in,
    /// Frames read.
    frames_in,
    /// Bytes written.
    bytes_out,
    /// Frames written.
    frames_out,
    /// Frames whose body was no message of its kind.
    malformed,
    /// Frames above the limit.
    too_large,
    /// Frames of an unknown kind.
    unknown_kind,
    /// Connections closed after too many malformed frames.
    misbehaved,
    /// Requests over an in-flight bound.
    overloaded,
    /// Notices dropped because their reader was slow.
    notices_dropped,
    /// Connections closed because their reader was slow.
    slow_consumers,
    /// Messages that could not be encoded: a fault of the daemon's.
    unencodable,
    /// GoAways sent.
    go_aways,
}

impl Counters {
    /// Counts why an arrival was turned away.
    pub(super) fn full(&self, why: Full) {
        match why {
            Full::Arrivals => self.full_arrivals.one(),
            Full::ArrivalsOfNetwork => self.full_arrivals_of_network.one(),
            Full::Connections => self.full_connections.one(),
            Full::ConnectionsOfNetwork => self.full_connections_of_network.one(),
            Full::Draining => self.full_draining.one(),
        }
    }
}

/// The handles under which an exporter shows the counters. Made once.
#[derive(Debug)]
pub struct Showing {
    metrics: Arc<metrics::Transport>,
    /// In the order of [`Counters::each`]; what other series say already has none.
    words: Vec<Option<metrics::Counter>>,
    kinds: Vec<(u16, metrics::Counter)>,
}

/// Counters that the operator looks for under `protocol_errors_total`.
const PROTOCOL_ERRORS: [&str; 4] = ["malformed", "too_large", "unknown_kind", "extra_streams"];
/// Counters that `frames_total` says in more detail.
const FRAMES: [&str; 2] = ["frames_in", "frames_out"];

/// The names of all kinds, as metrics spell them.
static KINDS: LazyLock<Vec<(u16, Direction, &'static str)>> = LazyLock::new(|| {
    let named = |direction, catalogue: &'static [Catalogue]| {
        catalogue.iter().map(move |entry| (entry.kind, direction, &*snake(entry.name).leak()))
    };
    named(Direction::In, Request::CATALOGUE)
        .chain(named(Direction::Out, Reply::CATALOGUE))
        .chain(named(Direction::Out, Notice::CATALOGUE))
        .collect()
});

impl Showing {
    /// Makes every series exist at zero.
    #[must_use]
    pub fn new(metrics: Arc<metrics::Transport>) -> Self {
        let words = Counters::default()
            .each()
            .map(|(name, _)| match name {
                name if PROTOCOL_ERRORS.contains(&name) => Some(metrics.protocol_errors.of(name)),
                name if FRAMES.contains(&name) => None,
                name => Some(metrics.events.of(name)),
            })
            .collect();
        let kinds = KINDS
            .iter()
            .map(|(kind, direction, name)| (*kind, metrics.frames.of(*direction).of(name)))
            .collect();
        Self { metrics, words, kinds }
    }

    /// Copies all numbers. For `Metrics::before_render`: it looks at every connection.
    pub fn show(&self, connections: &Connections) {
        let counters = connections.counters();
        for (counter, (_, value)) in self.words.iter().zip(counters.each()) {
            if let Some(counter) = counter {
                counter.absolute(value);
            }
        }
        for (kind, counter) in &self.kinds {
            counter.absolute(counters.kinds.of(*kind).get());
        }
        let census = connections.census();
        for (carrier, in_carrier) in self.metrics.connections.iter() {
            for (encoding, level) in in_carrier.iter() {
                level.set(census.authenticated(carrier, encoding));
            }
        }
        self.metrics.outgoing_bytes.set(census.unsent_bytes);
        self.metrics.in_flight.set(connections.load().1 as u64);
    }
}

/// How many connections there are of each sort, and what they wait for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    quic: [u64; 2],
    unix: [u64; 2],
    /// Bytes that wait for their connections to take them.
    pub unsent_bytes: u64,
}

impl Census {
    pub(super) fn add(&mut self, carrier: Carrier, encoding: Encoding) {
        let of_carrier = match carrier {
            Carrier::Quic(_) => &mut self.quic,
            Carrier::Unix => &mut self.unix,
        };
        of_carrier[encoding as usize] += 1;
    }

    fn authenticated(&self, carrier: metrics::Carrier, encoding: metrics::Encoding) -> u64 {
        let of_carrier = match carrier {
            metrics::Carrier::Quic => &self.quic,
            metrics::Carrier::Unix => &self.unix,
        };
        let encoding = match encoding {
            metrics::Encoding::Bincode => Encoding::Bincode,
            metrics::Encoding::Json => Encoding::Json,
        };
        of_carrier[encoding as usize]
    }
}

fn snake(camel: &str) -> String {
    let mut snake = String::with_capacity(camel.len() + 4);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_counter_of_its_own() {
        let kinds = Kinds::default();
        for (kind, ..) in KINDS.iter() {
            kinds.of(*kind).one();
        }
        assert!(KINDS.iter().all(|(kind, ..)| kinds.of(*kind).get() == 1));
        assert!(KINDS.iter().any(|(.., name)| *name == "set_presence"));
    }
}
