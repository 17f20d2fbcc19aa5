//! The one file that knows bincode (design §3.9): the compact encoding of the wire and of journal payloads.
//!
//! Holds: [`to_wire`]/[`from_wire`] (limit 64 KiB) and [`to_log`]/[`from_log`] (limit 1 MiB). Knows: bincode's
//! `config::standard()`: little-endian, variable-length integers. Never: what a value means.
//! Start reading at: [`from_wire`].

use bincode::{
    config::{self, Config},
    enc::write::Writer,
    error::{DecodeError, EncodeError},
};
use serde::{Serialize, de::DeserializeOwned};

/// The most bytes that one value may take on the wire, 64 KiB: the largest body of a frame.
pub const WIRE_LIMIT: usize = 65_536;

/// The most bytes that one payload may take in the log, 1 MiB.
pub const LOG_LIMIT: usize = 1_048_576;

/// How many bytes bincode counts, at most, for one that it reads: eight for each length and number, however short. Its
/// own limit is so much higher than ours, or it would refuse values that [`to_wire`] and [`to_log`] have written. Ours
/// is checked first, on the bytes themselves.
const COUNTED: usize = 8;

/// A value that can't be encoded, or bytes that are not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The encoded value is, or claims to be, above the limit.
    #[error("the value takes more than {limit} bytes: send less of it, or fewer at once")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// There is something after the value's last field.
    #[error("{0} bytes follow the last field: leave them out, or send them as a frame of their own")]
    Trailing(usize),
    /// Not an encoding of the type; the text says where it went wrong.
    #[error("the bytes are not this value: {0}")]
    Malformed(String),
}

/// Appends `value` to `out` and returns how many bytes that took.
///
/// # Errors
/// [`CodecError::TooLarge`] above [`WIRE_LIMIT`]; `out` is then as it was.
pub fn to_wire<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<usize, CodecError> {
    encode(value, out, WIRE_LIMIT)
}

/// The value that `bytes`, all of them, encode.
///
/// # Errors
/// [`CodecError::TooLarge`] if there are more than [`WIRE_LIMIT`] bytes, or far more are claimed (decided before they are
/// allocated); [`CodecError::Trailing`]; [`CodecError::Malformed`].
pub fn from_wire<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    decode(bytes, config::standard().with_limit::<{ WIRE_LIMIT * COUNTED }>(), WIRE_LIMIT)
}

/// Appends the log's form of `value` to `out` and returns how many bytes that took.
///
/// # Errors
/// [`CodecError::TooLarge`] above [`LOG_LIMIT`]; `out` is then as it was.
pub fn to_log<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<usize, CodecError> {
    encode(value, out, LOG_LIMIT)
}

/// The value that `bytes`, all of them, encode in the log's form.
///
/// # Errors
/// As [`from_wire`], with [`LOG_LIMIT`].
pub fn from_log<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    decode(bytes, config::standard().with_limit::<{ LOG_LIMIT * COUNTED }>(), LOG_LIMIT)
}

/// Writes behind what `out` holds, and no further than `end`: a value above its limit stops where it passes it.
struct Appender<'a> {
    out: &'a mut Vec<u8>,
    end: usize,
}

impl Writer for Appender<'_> {
    /// Inlined, so that a number's few bytes are stored where they are known instead of being copied by a call.
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        if bytes.len() > self.end - self.out.len() {
            return Err(EncodeError::UnexpectedEnd);
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}

fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>, limit: usize) -> Result<usize, CodecError> {
    let start = out.len();
    let appender = Appender { end: start + limit, out: &mut *out };
    bincode::serde::encode_into_writer(value, appender, config::standard()).map_err(|error| {
        out.truncate(start);
        match error {
            EncodeError::UnexpectedEnd => CodecError::TooLarge { limit },
            other => CodecError::Malformed(other.to_string()),
        }
    })?;
    Ok(out.len() - start)
}

fn decode<T: DeserializeOwned, C: Config>(bytes: &[u8], config: C, limit: usize) -> Result<T, CodecError> {
    if bytes.len() > limit {
        return Err(CodecError::TooLarge { limit });
    }
    // Borrowed: short texts are copied to where they stay, instead of to a string of their own before.
    let decoded = bincode::serde::borrow_decode_from_slice(bytes, config);
    let (value, used) = decoded.map_err(|error| match error {
        DecodeError::LimitExceeded => CodecError::TooLarge { limit },
        DecodeError::OtherString(text) => CodecError::Malformed(text),
        other => CodecError::Malformed(other.to_string()),
    })?;
    match bytes.len() - used {
        0 => Ok(value),
        rest => Err(CodecError::Trailing(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire<T: Serialize>(value: &T) -> Vec<u8> {
        let mut out = Vec::new();
        to_wire(value, &mut out).expect("small");
        out
    }

    #[test]
    fn integers_take_as_many_bytes_as_they_need() {
        assert_eq!(wire(&250_u64), [250]);
        assert_eq!(wire(&251_u64), [251, 251, 0]);
        assert_eq!(wire(&65_536_u64), [252, 0, 0, 1, 0]);
        assert_eq!(wire(&(1_u64 << 32)), [253, 0, 0, 0, 0, 1, 0, 0, 0]);
    }

    #[test]
    fn what_follows_the_value_is_refused() {
        assert_eq!(from_wire::<u8>(&[7, 0]), Err(CodecError::Trailing(1)));
        assert_eq!(from_log::<u8>(&[7, 0, 0]), Err(CodecError::Trailing(2)));
    }

    #[test]
    fn a_claimed_length_is_refused_before_it_is_allocated() {
        let two_to_the_40 = [253, 0, 0, 0, 0, 0, 1, 0, 0];
        assert_eq!(from_wire::<String>(&two_to_the_40), Err(CodecError::TooLarge { limit: WIRE_LIMIT }));
        assert_eq!(from_log::<String>(&two_to_the_40), Err(CodecError::TooLarge { limit: LOG_LIMIT }));
    }

    #[test]
    fn the_limits_count_the_encoded_bytes_in_both_directions() {
        // The length before the text takes three bytes.
        let fits = "x".repeat(WIRE_LIMIT - 3);
        let bytes = wire(&fits);
        assert_eq!(bytes.len(), WIRE_LIMIT);
        assert_eq!(from_wire::<String>(&bytes).as_deref(), Ok(fits.as_str()));
        let mut out = vec![1, 2];
        let above = "x".repeat(WIRE_LIMIT - 2);
        assert_eq!(to_wire(&above, &mut out), Err(CodecError::TooLarge { limit: WIRE_LIMIT }));
        assert_eq!(out, [1, 2], "a refused value leaves nothing behind");
        assert_eq!(to_log(&above, &mut out), Ok(WIRE_LIMIT + 1));
        assert_eq!(from_log::<String>(&out[2..]).as_deref(), Ok(above.as_str()));
        assert_eq!(from_wire::<String>(&out[2..]), Err(CodecError::TooLarge { limit: WIRE_LIMIT }));
    }

    #[test]
    fn many_small_numbers_count_as_what_they_take() {
        let numbers = vec![1_u64; WIRE_LIMIT - 3];
        assert_eq!(from_wire::<Vec<u64>>(&wire(&numbers)).as_ref(), Ok(&numbers));
        let numbers = vec![1_u64; LOG_LIMIT - 5];
        let mut out = Vec::new();
        assert_eq!(to_log(&numbers, &mut out), Ok(LOG_LIMIT));
        assert_eq!(from_log::<Vec<u64>>(&out).as_ref(), Ok(&numbers));
    }
}
