//! What can go wrong, in words that say what to check.

use std::{io, path::PathBuf, time::Duration};

use thiserror::Error;

use crate::{
    protocol::{EncodeError, RefusalCode, bounded::OverLimit, notice::GoAway, reply::Refused},
    transport::tls::Trouble,
};

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The address names no machine.
    #[error("cannot resolve {address}: {source}; it should be host:port")]
    Address {
        /// As it was given.
        address: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No socket could be opened.
    #[error("cannot open a socket: {0}")]
    Socket(io::Error),
    /// The Unix socket is not there, or not open to this user.
    #[error("cannot connect to {path}: {source}; is the daemon running, and is this its user?")]
    Unix {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The trusted certificate could not be read.
    #[error("the certificate to trust cannot be used: {0}")]
    Ca(#[from] Trouble),
    /// The server name is neither a host name nor an address.
    #[error("{0:?} is not a server name")]
    ServerName(String),
    /// The daemon shows another certificate.
    #[error("the daemon's certificate is not the trusted one: {0}; check --ca and the server name")]
    Certificate(String),
    /// The other end does not speak this protocol.
    #[error("{address} does not speak {alpn}; is it maitred, and not older than this client?")]
    Alpn {
        /// The address.
        address: String,
        /// The name that was offered.
        alpn: &'static str,
    },
    /// Nobody answered in time.
    #[error("nobody answered at {address} within {after:?}; is the daemon running, and does UDP reach it?")]
    Timeout {
        /// The address.
        address: String,
        /// How long was waited.
        after: Duration,
    },
    /// The daemon took no connection.
    #[error("the daemon takes no connections now ({0}); try again later")]
    Busy(String),
    /// The daemon refused the Hello.
    #[error("the daemon refused: {}: {}", .0.code, .0.message.as_str())]
    Refused(Refused),
    /// The token or the software's name is too long.
    #[error("the Hello cannot be sent: {0}")]
    Unsendable(#[from] OverLimit),
    /// The connection ended before the Welcome.
    #[error("{0}")]
    Lost(Ended),
}

/// Why a request has no answer of the kind that was hoped for.
#[derive(Clone, Debug, Error)]
pub enum RequestError {
    /// The daemon's no; `code` says which.
    #[error("{}: {}", .0.code, .0.message.as_str())]
    Refused(Refused),
    /// The connection ended first. Whether it was done is unknown: connect again and send it with the same key.
    #[error("no answer: {0}")]
    Lost(Ended),
    /// It was not sent.
    #[error("not sent: {0}")]
    Unencodable(#[from] EncodeError),
    /// It was not sent: a text or list is too long.
    #[error("not sent: {0}")]
    OverLimit(#[from] OverLimit),
    /// The daemon answered with another kind of reply; the text names it.
    #[error("the daemon answered with {0}, which does not fit the request")]
    Unexpected(&'static str),
}

impl RequestError {
    /// The refusal's code, if it is one.
    #[must_use]
    pub fn code(&self) -> Option<RefusalCode> {
        match self {
            Self::Refused(refused) => Some(refused.code),
            _ => None,
        }
    }
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Ended {
    /// This side closed it.
    #[error("the connection was closed here")]
    Here,
    /// The daemon said why, and when to come back.
    #[error("the daemon ended the connection ({:?}); connect again after {} ms", .0.reason, .0.retry_after_ms)]
    GoneAway(GoAway),
    /// The daemon refused something that belongs to no request.
    #[error("the daemon ended the connection: {}: {}", .0.code, .0.message.as_str())]
    Refused(Refused),
    /// It was lost; the text says how.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// What the daemon sent cannot be read; the text says where.
    #[error("the daemon sent what cannot be read: {0}; upgrade the client")]
    Unreadable(String),
}
