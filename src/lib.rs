//! maitred, the maître d' of live chat: a routing daemon that stands behind a chat frontend and decides, for every
//! conversation, who answers it.

pub mod actors;
pub mod cli;
pub mod client;
pub mod clock;
pub mod codec;
pub mod config;
pub mod daemon;
#[cfg(feature = "failpoints")]
pub mod failpoints;
pub mod ids;
pub mod journal;
pub mod metrics;
pub mod notify;
pub mod protocol;
pub mod routing;
pub mod transport;
