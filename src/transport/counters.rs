//! What the transport counts since its start: plain numbers, so that the hot path knows no metrics library.

use std::sync::atomic::{AtomicU64, Ordering};

use super::admission::Full;

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
        }

        impl Counters {
            /// Every counter with its name, for the exporter.
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
