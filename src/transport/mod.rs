//! Carries frames between clients and the border post, and lets nobody take more of the machine than their share.
//!
//! Holds: the QUIC [`endpoint`], [`admission`], the [`unix`] socket, each connection's reader and [`Outbox`].
//! Knows: quinn, rustls, frames. Never: what a request means, the journal, the machines' inside.
//! Start reading at: [`Border`], then `connection`.

pub mod admission;
pub mod border;
pub mod connections;
pub mod counters;
pub mod endpoint;
pub mod geo;
pub mod paces;
pub mod tls;
pub mod unix;

mod close;
mod connection;
mod deliveries;
mod orders;
mod outbox;
#[cfg(test)]
mod tests;
mod translate;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::spawn_local,
};

pub use connection::Arrival;
pub use connections::{Connections, Settings, Timing};
pub use counters::Counters;
pub use endpoint::Endpoint;
pub use outbox::{Bounds, Class, Outbox, Overload, Who};

pub(crate) use close::reason_of_code;
pub(crate) use connection::read_into;
pub(crate) use endpoint::fewer_acks;

use crate::protocol::{Encoding, Request, words::GoAwayReason};

/// What the transport needs from whoever understands the requests. Called on the arbiter that drives the connection.
pub trait Border: Clone + 'static {
    /// What it knows about one connection: token, role, attached agents.
    type Session;

    /// A client is there and has said nothing yet.
    fn connected(&self, outbox: Arc<Outbox>, peer: Peer) -> Self::Session;

    /// Takes all requests that were decoded at one wake-up; the vector is reused. Until [`Border::authenticated`] they
    /// come one by one, each after the reply to the one before.
    fn receive(&self, session: &mut Self::Session, asked: &mut Vec<Asked>) -> Flow;

    /// Whether the client has shown a valid token. The Hello deadline and the 2 KiB limit on frames end then.
    fn authenticated(&self, session: &Self::Session) -> bool;

    /// Whether it is a frontend, whose connections are not counted against its network's limit.
    fn is_frontend(&self, _session: &Self::Session) -> bool {
        false
    }

    /// The client is gone, whoever ended it. The last call about this connection.
    fn disconnected(&self, session: Self::Session);
}

/// One request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The number to answer with, above 0.
    pub number: u32,
    /// What is asked.
    pub request: Request,
}

/// How to go on after a batch of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Read on.
    Continue,
    /// Flush what was pushed, say GoAway with this reason and time to wait, and close.
    Close(GoAwayReason, Option<Duration>),
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The connection's number since the start, for `Welcome` and the log.
    pub connection: u64,
    /// How the frames travel.
    pub carrier: Carrier,
    /// How their bodies are written.
    pub encoding: Encoding,
}

/// How frames travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// QUIC, from this address at the time of the handshake; it may change later (migration).
    Quic(SocketAddr),
    /// The Unix socket in the data directory: whoever may open the file is trusted.
    Unix,
}

/// Where admitted arrivals wait until an arbiter takes them: the sending end. Their number is bounded by the endpoint.
pub type Lane = UnboundedSender<Arrival>;

/// A lane; its receiving end goes to [`attend`] on the arbiter that shall drive the connections.
#[must_use]
pub fn lane() -> (Lane, UnboundedReceiver<Arrival>) {
    unbounded_channel()
}

/// Serves every arrival of a lane on the calling arbiter (a current-thread runtime inside a `LocalSet`) until all
/// senders are gone. quinn drives a connection on the runtime that accepts it, so this is what places connections.
pub async fn attend<B: Border>(mut arrivals: UnboundedReceiver<Arrival>, border: B) {
    while let Some(arrival) = arrivals.recv().await {
        spawn_local(arrival.serve(border.clone()));
    }
}
