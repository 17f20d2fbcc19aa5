//! Carries frames between clients and the border post, and lets nobody take more of the machine than their share.
//! Holds: the QUIC endpoint, admission, the Unix socket, each connection's reader and outbox.
//! Knows: quinn, rustls, frames. Never: what a frame means.
//! Start reading at: `endpoint::Endpoint`, then `connection`.

pub mod admission;
pub mod tls;
