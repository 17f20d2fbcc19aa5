//! Frames: how one message is told from the next in a stream of bytes.
//!
//! Holds: [`Frame`], [`FrameDecoder`], [`Encoding`]. Knows: the header's ten bytes. Never: what a body means.
//! Start reading at: [`FrameDecoder`].

use super::{
    ALPN_BINCODE, ALPN_JSON,
    wire::{EncodeError, Message, encode_body},
};
use crate::codec::WIRE_LIMIT;

/// Bytes before the body: u32 length of the body, u16 kind, u32 request number, all big-endian.
pub const HEADER: usize = 10;

/// The most bytes in a body, 64 KiB.
pub const MAX_BODY: usize = WIRE_LIMIT;

/// The most bytes in a body before the client has said who it is, 2 KiB: room for a Hello.
pub const MAX_HELLO: usize = 2_048;

/// What the items of a page may weigh together (see [`super::weight`]), which leaves room for the fields round them.
pub const PAGE_BUDGET: usize = MAX_BODY - 4_096;

/// How bodies are written on a connection; its ALPN name decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `maitred/1`.
    Bincode,
    /// `maitred-json/1`.
    Json,
}

impl Encoding {
    /// Both, in the order in which a server prefers them.
    pub const ALL: [Self; 2] = [Self::Bincode, Self::Json];

    /// The ALPN name.
    #[must_use]
    pub const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Bincode => ALPN_BINCODE,
            Self::Json => ALPN_JSON,
        }
    }

    /// The encoding with this ALPN name.
    #[must_use]
    pub fn from_alpn(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.alpn() == name)
    }
}

/// One message, still encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the body is.
    pub kind: u16,
    /// The request that it asks or answers; 0 on notices.
    pub number: u32,
    /// The encoded message, at most [`MAX_BODY`] bytes.
    pub body: &'a [u8],
}

/// Bytes after which a stream can't be followed any more; the connection has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a frame announces a body of {length} bytes, and {limit} are allowed here: split it, or say Hello first"
)]
pub struct FrameError {
    /// The length that the header announced.
    pub length: usize,
    /// The limit at that time.
    pub limit: usize,
}

/// Cuts a stream of bytes into frames, however it is chopped up. A length is checked as soon as it is known, so no more
/// is kept than one frame within the limit and the last piece fed.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    /// Where the first frame not yet handed out begins.
    start: usize,
    limit: usize,
    failed: Option<FrameError>,
}

impl Default for FrameDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameDecoder {
    /// A decoder for bodies up to [`MAX_BODY`].
    #[must_use]
    pub const fn new() -> Self {
        Self::with_limit(MAX_BODY)
    }

    /// A decoder for bodies up to `limit` bytes, or [`MAX_BODY`] if that is less.
    #[must_use]
    pub const fn with_limit(limit: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, limit: lower(limit), failed: None }
    }

    /// Changes the limit, for the frames not yet handed out too. A decoder that has failed stays failed.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = lower(limit);
    }

    /// Takes the next piece of the stream. Call [`FrameDecoder::next`] until it has no more before feeding again.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
        self.check_length();
    }

    /// The next whole frame; `None` until more is fed.
    ///
    /// # Errors
    /// [`FrameError`], now and ever after: what follows can't be told apart.
    #[expect(clippy::should_implement_trait, reason = "it lends from itself, which an Iterator can't")]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        self.check_length();
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let Some((header, rest)) = self.buffer[self.start..].split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let [l0, l1, l2, l3, k0, k1, n0, n1, n2, n3] = *header;
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        let Some(body) = rest.get(..length) else {
            return Ok(None);
        };
        self.start += HEADER + length;
        Ok(Some(Frame {
            kind: u16::from_be_bytes([k0, k1]),
            number: u32::from_be_bytes([n0, n1, n2, n3]),
            body,
        }))
    }

    /// Bytes held that belong to frames not handed out yet.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Fails, and lets go of what is held, if the first frame announces too long a body.
    fn check_length(&mut self) {
        let Some(length) = self.buffer[self.start..].first_chunk::<4>() else {
            return;
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > self.limit && self.failed.is_none() {
            self.failed = Some(FrameError { length, limit: self.limit });
            self.buffer = Vec::new();
            self.start = 0;
        }
    }
}

const fn lower(limit: usize) -> usize {
    if limit < MAX_BODY { limit } else { MAX_BODY }
}

/// Appends the frame of `message`; on an error `out` is as it was.
pub(super) fn write<T: Message>(
    message: &T,
    encoding: Encoding,
    number: u32,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&T::KIND.to_be_bytes());
    out.extend_from_slice(&number.to_be_bytes());
    if let Err(error) = encode_body(message, encoding, out) {
        out.truncate(start);
        return Err(error);
    }
    let length = u32::try_from(out.len() - start - HEADER).map_err(|_| EncodeError::TooLarge)?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}
