//! The three directions as one table, so that a test can walk every kind of message.

use maitred::protocol::{Catalogue, Encoding, Notice, Reply, Request, frame::HEADER};

/// The request number in all frames made here, except in notices.
pub(crate) const NUMBER: u32 = 7;

/// From a kind and a body in one encoding to a whole frame in another.
type Recode = fn(u16, &[u8], Encoding, Encoding) -> Result<Vec<u8>, String>;

/// Requests, replies or notices.
pub(crate) struct Direction {
    pub(crate) name: &'static str,
    pub(crate) catalogue: &'static [Catalogue],
    pub(crate) number: u32,
    /// Decodes a body and encodes it again, as a whole frame.
    pub(crate) recode: Recode,
    /// Whether a body is taken, whatever could be done with it afterwards.
    pub(crate) takes: fn(u16, &[u8], Encoding) -> bool,
    /// Whether a bincode body and a JSON body decode to the same message.
    pub(crate) same: fn(u16, &[u8], &[u8]) -> bool,
}

macro_rules! direction {
    ($name:literal, $type:ident, $number:expr, |$message:ident, $to:ident, $out:ident| $encode:expr) => {
        Direction {
            name: $name,
            catalogue: $type::CATALOGUE,
            number: $number,
            recode: |kind, body, from, $to| {
                let $message = $type::decode(from, kind, body).map_err(|error| error.to_string())?;
                assert_eq!($message.kind(), kind);
                let mut $out = Vec::new();
                $encode.map_err(|error| error.to_string())?;
                Ok($out)
            },
            takes: |kind, body, from| $type::decode(from, kind, body).is_ok(),
            same: |kind, bincode, json| {
                $type::decode(Encoding::Bincode, kind, bincode) == $type::decode(Encoding::Json, kind, json)
            },
        }
    };
}

pub(crate) const ALL: &[Direction] = &[
    direction!("request", Request, NUMBER, |message, to, out| message.encode(to, NUMBER, &mut out)),
    direction!("reply", Reply, NUMBER, |message, to, out| message.encode(to, NUMBER, &mut out)),
    direction!("notice", Notice, 0, |message, to, out| message.encode(to, &mut out)),
];

/// Every kind of message, with its direction.
pub(crate) fn every_kind() -> impl Iterator<Item = (&'static Direction, &'static Catalogue)> {
    ALL.iter().flat_map(|direction| direction.catalogue.iter().map(move |kind| (direction, kind)))
}

/// The whole frame round a body, written without the help of the code under test.
pub(crate) fn frame(kind: u16, number: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a short body");
    [&length.to_be_bytes()[..], &kind.to_be_bytes(), &number.to_be_bytes(), body].concat()
}

/// The body of a frame.
pub(crate) fn body(frame: &[u8]) -> &[u8] {
    &frame[HEADER..]
}
