//! The frame decoder and the message decoders on any bytes whatever: the body of a fuzz target, run with fixed seeds.

use maitred::protocol::{
    Encoding, FrameDecoder, FrameError, NO_REQUEST, Notice, Reply, Request,
    frame::{HEADER, MAX_BODY, MAX_HELLO},
    reply::Done,
    request::Ping,
};

use crate::{
    direction::{ALL, body, every_kind, frame},
    golden,
};

/// Small, fast and the same for ever (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        (self.roll() >> 33) as usize % limit
    }
}

type Owned = (u16, u32, Vec<u8>);

/// What a stream holds, read in one piece by the simplest means.
fn simply(mut stream: &[u8], limit: usize) -> (Vec<Owned>, bool) {
    let mut frames = Vec::new();
    while stream.len() >= 4 {
        let length = u32::from_be_bytes(stream[..4].try_into().expect("4 bytes")) as usize;
        if length > limit {
            return (frames, true);
        }
        if stream.len() < HEADER + length {
            break;
        }
        let kind = u16::from_be_bytes([stream[4], stream[5]]);
        let number = u32::from_be_bytes(stream[6..10].try_into().expect("4 bytes"));
        frames.push((kind, number, stream[HEADER..HEADER + length].to_vec()));
        stream = &stream[HEADER + length..];
    }
    (frames, false)
}

/// The same by the decoder, in pieces.
fn in_pieces(stream: &[u8], limit: usize, dice: &mut Dice) -> (Vec<Owned>, bool) {
    let mut decoder = FrameDecoder::with_limit(limit);
    let mut frames = Vec::new();
    let mut rest = stream;
    loop {
        loop {
            match decoder.next() {
                Ok(Some(frame)) => frames.push((frame.kind, frame.number, frame.body.to_vec())),
                Ok(None) => break,
                Err(error) => {
                    decoder.feed(b"more");
                    assert_eq!(decoder.next(), Err(error), "a failed decoder stays failed");
                    assert_eq!(decoder.buffered(), 0, "and holds nothing");
                    return (frames, true);
                }
            }
        }
        assert!(decoder.buffered() < HEADER + limit, "more is held than one frame can take");
        if rest.is_empty() {
            return (frames, false);
        }
        let piece = 1 + dice.below(rest.len().min(24));
        decoder.feed(&rest[..piece]);
        rest = &rest[piece..];
    }
}

/// A stream of a few frames with small bodies; now and then something is wrong with it.
fn stream(dice: &mut Dice, out: &mut Vec<u8>) {
    out.clear();
    for _ in 0..dice.below(4) {
        let length = dice.below(12);
        out.extend(u32::try_from(length).expect("small").to_be_bytes());
        out.extend(&dice.roll().to_be_bytes()[..6]);
        out.extend(&[dice.roll().to_be_bytes(), dice.roll().to_be_bytes()].concat()[..length]);
    }
    match dice.below(4) {
        0 => out.extend(&dice.roll().to_be_bytes()[..dice.below(8)]),
        1 if !out.is_empty() => out.truncate(dice.below(out.len())),
        2 if !out.is_empty() => {
            let at = dice.below(out.len());
            out[at] ^= 1 << dice.below(8);
        }
        _ => {}
    }
}

#[test]
fn however_a_stream_is_chopped_up_the_frames_are_the_same() {
    let mut dice = Dice(0x6d61_6974_7265_6400);
    let mut bytes = Vec::new();
    let (mut whole, mut failed) = (0_u32, 0_u32);
    for input in 0..1_000_000 {
        stream(&mut dice, &mut bytes);
        let limit = if input % 2 == 0 { 16 } else { MAX_BODY };
        let expected = simply(&bytes, limit);
        let found = in_pieces(&bytes, limit, &mut dice);
        assert_eq!(found, expected, "input {input}: {bytes:02x?}");
        whole += u32::from(!expected.0.is_empty());
        failed += u32::from(expected.1);
    }
    assert!(whole > 500_000 && failed > 50_000, "the inputs are too tame: {whole} {failed}");
}

/// Golden bodies with a few bytes changed: never a panic, and what is taken means the same when sent on.
#[test]
fn no_body_whatever_makes_a_decoder_panic() {
    let mut dice = Dice(0x6d61_6974_7265_6401);
    let golden: Vec<_> = every_kind().map(|(_, kind)| golden::read(kind.kind, kind.name)).collect();
    let mut taken = 0;
    for _ in 0..60_000 {
        let pairs = &golden[dice.below(golden.len())];
        let (bincode, json) = &pairs[dice.below(pairs.len())];
        let (encoding, whole) =
            if dice.below(2) == 0 { (Encoding::Bincode, bincode) } else { (Encoding::Json, json) };
        let mut bytes = body(whole).to_vec();
        for _ in 0..=dice.below(3) {
            if bytes.is_empty() {
                break;
            }
            let at = dice.below(bytes.len());
            match dice.below(3) {
                0 => bytes[at] = dice.roll().to_be_bytes()[0],
                1 => bytes[at] ^= 1 << dice.below(8),
                _ => bytes.truncate(at),
            }
        }
        let kind = u16::from_be_bytes([whole[4], whole[5]]);
        for direction in ALL {
            if let Ok(again) = (direction.recode)(kind, &bytes, encoding, Encoding::Bincode) {
                let twice = (direction.recode)(kind, body(&again), Encoding::Bincode, Encoding::Bincode);
                assert_eq!(twice.as_ref(), Ok(&again), "kind {kind:#06x}: {bytes:02x?}");
                taken += 1;
            }
        }
    }
    assert!(taken > 1_000, "only {taken} changed bodies were still messages");
}

#[test]
fn a_length_is_refused_before_the_body_has_come() {
    let mut decoder = FrameDecoder::new();
    decoder.feed(&65_536_u32.to_be_bytes());
    assert_eq!(decoder.next(), Ok(None), "64 KiB is allowed");
    let mut decoder = FrameDecoder::new();
    decoder.feed(&65_537_u32.to_be_bytes());
    assert_eq!(decoder.next(), Err(FrameError { length: 65_537, limit: 65_536 }));
    assert_eq!(decoder.buffered(), 0);
}

#[test]
fn before_the_hello_frames_are_short_and_afterwards_long() {
    let long = frame(0x0001, 1, &vec![b' '; MAX_HELLO + 1]);
    let mut decoder = FrameDecoder::with_limit(MAX_HELLO);
    decoder.feed(&long);
    assert!(decoder.next().is_err());

    let hello = frame(0x0001, 1, &[b' '; MAX_HELLO]);
    let mut decoder = FrameDecoder::with_limit(MAX_HELLO);
    decoder.feed(&[hello, long.clone()].concat());
    assert_eq!(decoder.next().map(|found| found.map(|frame| frame.body.len())), Ok(Some(MAX_HELLO)));
    decoder.set_limit(MAX_BODY);
    assert_eq!(decoder.next().map(|found| found.map(|frame| frame.body.len())), Ok(Some(MAX_HELLO + 1)));
    assert_eq!(decoder.next(), Ok(None));
}

#[test]
fn a_limit_above_the_protocols_own_does_not_hold() {
    let mut decoder = FrameDecoder::with_limit(usize::MAX);
    decoder.feed(&65_537_u32.to_be_bytes());
    assert!(decoder.next().is_err());
}

#[test]
fn an_unknown_kind_is_told_from_a_malformed_body() {
    let unknown = Request::decode(Encoding::Bincode, 0x7fff, &[]).expect_err("no such kind");
    assert_eq!(unknown.code().as_str(), "unknown_kind");
    let reply = Request::decode(Encoding::Bincode, 0x8003, &[]).expect_err("a reply is no request");
    assert_eq!(reply.code().as_str(), "unknown_kind");
    let malformed = Request::decode(Encoding::Json, 0x0002, b"").expect_err("not an object");
    assert_eq!(malformed.code().as_str(), "malformed");
}

#[test]
fn empty_messages_are_empty_in_bincode_and_an_object_in_json() {
    let mut out = Vec::new();
    Request::from(Ping {}).encode(Encoding::Bincode, 1, &mut out).expect("small");
    Reply::from(Done {}).encode(Encoding::Json, 1, &mut out).expect("small");
    assert_eq!(out, [frame(0x0002, 1, b""), frame(0x8003, 1, b"{}")].concat());
}

#[test]
fn kinds_say_their_direction_and_are_there_once() {
    let mut kinds: Vec<u16> = every_kind().map(|(_, kind)| kind.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), every_kind().count());
    for kind in Request::CATALOGUE {
        assert!(kind.kind & 0x8000 == 0 && kind.kind > 0, "{}", kind.name);
        for answer in kind.answers {
            assert!(Reply::CATALOGUE.iter().any(|reply| reply.name == *answer), "{answer} is no reply");
        }
        assert!(!kind.answers.is_empty(), "{} is never answered", kind.name);
    }
    assert!(Reply::CATALOGUE.iter().all(|kind| kind.kind & 0xc000 == 0x8000));
    assert!(Notice::CATALOGUE.iter().all(|kind| kind.kind & 0xc000 == 0xc000));
    assert_eq!(NO_REQUEST, 0);
}

#[test]
fn alpn_names_and_encodings_belong_together() {
    for encoding in Encoding::ALL {
        assert_eq!(Encoding::from_alpn(encoding.alpn()), Some(encoding));
    }
    assert_eq!(Encoding::from_alpn(b"h3"), None);
}
