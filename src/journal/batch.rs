//! Records that are not written yet, already in the form in which they will be.

use std::ops::Range;

use super::{
    Position, Record,
    format::{FRAME, Frame, frame_length, parse_frame, payload_sum, push_frame},
};

/// Where some records are, one of about every 64 KiB, in ascending order.
#[derive(Debug, Default, Clone)]
pub(super) struct Sparse(Vec<(u64, u64)>);

impl Sparse {
    const EVERY: u64 = 64 << 10;

    /// Tells where a record begins; keeps it if the last one kept is far enough away.
    pub(super) fn note(&mut self, position: u64, offset: u64) {
        if self.0.last().is_none_or(|&(_, last)| offset >= last + Self::EVERY) {
            self.0.push((position, offset));
        }
    }

    /// The last record kept that is not after this one.
    pub(super) fn floor(&self, position: u64) -> Option<(u64, u64)> {
        let after = self.0.partition_point(|&(kept, _)| kept <= position);
        after.checked_sub(1).map(|at| self.0[at])
    }

    /// Those kept whose offset is in the range.
    pub(super) fn within(&self, offsets: Range<u64>) -> impl Iterator<Item = (u64, u64)> {
        let from = self.0.partition_point(|&(_, offset)| offset < offsets.start);
        self.0[from..].iter().copied().take_while(move |&(_, offset)| offset < offsets.end)
    }
}

/// Frames of consecutive records.
#[derive(Debug)]
pub(super) struct Batch {
    seed: u32,
    first: u64,
    count: u64,
    bytes: Vec<u8>,
    index: Sparse,
}

impl Batch {
    /// An empty one whose first record will have this position.
    pub(super) fn new(seed: u32, first: u64, capacity: usize) -> Self {
        Self { seed, first, count: 0, bytes: Vec::with_capacity(capacity), index: Sparse::default() }
    }

    /// Empties it for another use, keeping its memory up to `capacity` bytes.
    pub(super) fn reset(&mut self, first: u64, capacity: usize) {
        self.first = first;
        self.count = 0;
        self.bytes.clear();
        self.bytes.shrink_to(capacity);
        self.index.0.clear();
    }

    /// What [`Batch::push`] wants to know of a payload; apart, because it is best done before taking a lock.
    pub(super) fn sum(seed: u32, payload: &[u8]) -> u32 {
        payload_sum(seed, payload)
    }

    pub(super) fn push(&mut self, sum: u32, kind: u16, version: u8, payload: &[u8]) -> Position {
        let position = Position(self.first + self.count);
        self.index.note(position.get(), self.bytes.len() as u64);
        push_frame(&mut self.bytes, sum, &Record { position, kind, version, payload });
        self.count += 1;
        position
    }

    pub(super) fn seed(&self) -> u32 {
        self.seed
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The position of the first record, or of the one that would be.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The position of the last record; the one before [`Batch::first`] if there is none.
    pub(super) fn last(&self) -> u64 {
        self.first + self.count - 1
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn index(&self) -> &Sparse {
        &self.index
    }

    /// Copies the payload of a record, if it is here.
    pub(super) fn read(&self, position: Position, into: &mut Vec<u8>) -> Option<(u16, u8)> {
        if position.get() < self.first || position.get() > self.last() {
            return None;
        }
        let (mut at, offset) = self.index.floor(position.get())?;
        let mut rest = self.bytes.get(usize::try_from(offset).ok()?..)?;
        while at < position.get() {
            rest = rest.get(frame_length(rest)..)?;
            at += 1;
        }
        let Frame::Record(record, _) = parse_frame(rest, at, self.seed) else { return None };
        into.clear();
        into.extend_from_slice(record.payload);
        Some((record.kind, record.version))
    }

    /// How many of the frames from this record (which begins at offset `from`) on fit into `room` bytes together: the
    /// offset after the last of them, and the record that follows.
    pub(super) fn fit(&self, from: usize, position: u64, room: u64) -> (usize, u64) {
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        if self.bytes.len() - from <= room {
            return (self.bytes.len(), self.last() + 1);
        }
        let (mut end, mut next) = (from, position);
        loop {
            let length = frame_length(&self.bytes[end..]).max(FRAME);
            if end + length - from > room {
                return (end, next);
            }
            end += length;
            next += 1;
        }
    }
}
