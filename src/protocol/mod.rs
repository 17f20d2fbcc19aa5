//! What travels between a client and the daemon: messages, their frames and their two encodings; no I/O.
//!
//! Holds: [`Request`], [`Reply`], [`Notice`], [`Frame`]. Knows: ids, time, serde, `codec`. Never: routing, actix,
//! sockets. Start reading at: `messages!` in `request.rs`; for people with other languages, `docs/protocol.md`.

mod shape;
mod wire;

pub mod bounded;
pub mod frame;
pub mod notice;
pub mod refusal;
pub mod reply;
pub mod request;
pub mod words;

pub use bounded::{List, Text, Variables};
pub use frame::{Encoding, Frame, FrameDecoder, FrameError};
pub use notice::Notice;
pub use refusal::RefusalCode;
pub use reply::Reply;
pub use request::Request;
pub use shape::{Catalogue, Field, Holds, OutOfRange, Shape, Variant, Wire};
pub use wire::{DecodeError, EncodeError, Message, weight};

/// ALPN name of the bincode encoding.
pub const ALPN_BINCODE: &[u8] = b"maitred/1";

/// ALPN name of the JSON encoding.
pub const ALPN_JSON: &[u8] = b"maitred-json/1";

/// Version of the protocol, the number in the ALPN names.
pub const VERSION: u16 = 1;

/// Set in the kind of every reply; clear in requests.
pub const REPLY_BIT: u16 = 0x8000;

/// Both bits are set in the kind of every notice.
pub const NOTICE_BITS: u16 = 0xC000;

/// The request number of a notice: nobody asked for it.
pub const NO_REQUEST: u32 = 0;

/// Integers stay below this, 2^53, so that JSON readers that use doubles read them exactly.
pub const INTEGER_LIMIT: u64 = 1 << 53;
