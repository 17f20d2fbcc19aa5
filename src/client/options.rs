//! Where to connect, whom to trust, and who one is.

use std::{
    convert::Infallible,
    path::PathBuf,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use uuid::Uuid;

#[cfg(doc)]
use super::Told;
use crate::{ids::ClientId, protocol::Encoding, transport::tls::Fingerprint};

/// How to connect over QUIC.
#[derive(Clone, Debug)]
pub struct Options {
    /// The daemon's UDP address, `host:port`.
    pub address: String,
    /// The name that its certificate must bear; the host of `address` unless given.
    pub server_name: Option<String>,
    /// Which certificate to trust.
    pub ca: Ca,
    /// How messages are written.
    pub encoding: Encoding,
    /// The token, as it was shown when it was minted.
    pub token: String,
    /// What is the same for both carriers.
    pub common: Common,
}

/// What does not depend on the carrier.
#[derive(Clone, Debug)]
pub struct Common {
    /// Who this program is, over its reconnects: use the same one again.
    pub identity: Identity,
    /// Name and version of the program, for the operator; what exceeds 64 bytes is cut off.
    pub software: String,
    /// For the whole of connecting: handshake and Hello.
    pub timeout: Duration,
    /// Notices kept until they are read; beyond that the oldest are dropped and counted ([`Told::Missed`]).
    pub notices: usize,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            identity: Identity::new(),
            software: concat!("maitred-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            timeout: Duration::from_secs(10),
            notices: 1_024,
        }
    }
}

impl Options {
    /// Bincode, a new identity, 10 s to connect.
    #[must_use]
    pub fn new(address: impl Into<String>, ca: Ca, token: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            server_name: None,
            ca,
            encoding: Encoding::Bincode,
            token: token.into(),
            common: Common::default(),
        }
    }
}

/// Which certificate to trust.
#[derive(Clone, Debug)]
pub enum Ca {
    /// Whatever a certificate of this PEM file signed, or that certificate itself.
    Pem(PathBuf),
    /// Only this one, whatever its names and dates: what `serve` prints when it made its own.
    Fingerprint(Fingerprint),
}

impl FromStr for Ca {
    type Err = Infallible;

    /// A fingerprint if it looks like one, else a path: what `--ca` takes.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::Pem(text.into()), Self::Fingerprint))
    }
}

/// The scope of command keys: an id and a counter that only grows. Clones share the counter, so keep one over the
/// reconnects of a program; a program that restarts takes a new one.
#[derive(Clone, Debug)]
pub struct Identity {
    client: ClientId,
    next_key: Arc<AtomicU64>,
}

impl Identity {
    /// A new id, whose first key is 1.
    #[must_use]
    pub fn new() -> Self {
        Self::resume(Uuid::now_v7().into(), 1)
    }

    /// An id that was kept, with a key above all those used under it.
    #[must_use]
    pub fn resume(client: ClientId, next_key: u64) -> Self {
        Self { client, next_key: Arc::new(AtomicU64::new(next_key)) }
    }

    /// The id.
    #[must_use]
    pub fn client(&self) -> ClientId {
        self.client
    }

    /// The next key. A command that is sent again, because its answer was lost, keeps its key.
    #[must_use]
    pub fn next_key(&self) -> u64 {
        self.next_key.fetch_add(1, Ordering::Relaxed)
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self::new()
    }
}
