//! Recovery of one segment from bytes that nobody meant to be one.

use std::io;

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::journal::{
    Position, Record,
    disk::DiskFile,
    format::{DATA, Header, MARKS, Mark, SECTOR, payload_sum, push_frame, seed, segment_name},
    recovery::{inspect, scan},
};

/// A segment as header, marks and data, one after the other, so that an input has no gaps.
struct Input(Vec<u8>);

impl DiskFile for Input {
    fn length(&self) -> io::Result<u64> {
        Ok(DATA + self.0.len().saturating_sub(3 * SECTOR) as u64)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let skip = match offset {
            0 => 0,
            offset if offset == MARKS[0] => SECTOR,
            offset if offset == MARKS[1] => 2 * SECTOR,
            offset => 3 * SECTOR + (offset - DATA) as usize,
        };
        let rest = self.0.get(skip..).unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// What holds for every input: it is refused, or its records are dense, whole and reach its mark.
fn recover(input: Vec<u8>) -> bool {
    let Ok(found) = inspect(Box::new(Input(input)), segment_name(1), 1) else { return false };
    let mut next = 1;
    let outcome = scan(&found, &mut |record| {
        assert_eq!(record.position, Position(next));
        next += 1;
    });
    let Ok(end) = outcome else { return false };
    assert_eq!(end.position + 1, next);
    assert!(end.position >= found.mark.position);
    assert!(end.offset >= found.mark.end && end.offset <= found.header.size);
    true
}

struct Maker {
    header: Header,
    random: StdRng,
}

impl Maker {
    fn frames(&mut self) -> (Vec<u8>, Vec<u64>) {
        let (mut bytes, mut ends) = (Vec::new(), vec![DATA]);
        for number in 1..=self.random.random_range(0..6) {
            let payload = [number as u8; 24];
            let payload = &payload[..self.random.random_range(0..24)];
            let record = Record { position: Position(number), kind: 1, version: 1, payload };
            push_frame(&mut bytes, payload_sum(seed(&self.header.log), payload), &record);
            ends.push(DATA + bytes.len() as u64);
        }
        (bytes, ends)
    }

    /// A sound segment, sometimes with a mark that is sound in itself but says something else.
    fn sound(&mut self) -> Vec<u8> {
        let (frames, ends) = self.frames();
        let mut input = self.header.encode().to_vec();
        for sequence in 0..2 {
            let position = self.random.random_range(0..ends.len());
            let mut mark =
                Mark { sequence, position: position as u64, end: ends[position], begin: 1, sealed: false };
            if self.random.random_ratio(1, 8) {
                mark.position = self.random.random_range(0..8);
                mark.end = DATA + self.random.random_range(0..200);
            }
            input.extend_from_slice(&mark.encode(&self.header));
        }
        input.extend_from_slice(&frames);
        input
    }

    fn damaged(&mut self) -> Vec<u8> {
        let mut input = self.sound();
        for _ in 0..self.random.random_range(0..3) {
            // Mostly in the records: the sectors before them are refused as a whole.
            let from = if self.random.random_ratio(7, 8) { 3 * SECTOR } else { 0 };
            if from >= input.len() {
                break;
            }
            let at = self.random.random_range(from..input.len());
            match self.random.random_range(0..5) {
                0 => input.truncate(at),
                1 => input[at] ^= 1 << self.random.random_range(0..8),
                2 => input[at] = self.random.random(),
                3 => input.insert(at, self.random.random()),
                _ => drop(input.remove(at)),
            }
        }
        input
    }
}

#[test]
fn a_million_inputs_are_refused_or_sound() {
    let header = Header { log: [3; 16], first: 1, size: DATA + 256 };
    let mut maker = Maker { header, random: StdRng::seed_from_u64(31) };
    let mut sound = 0;
    for round in 0..1_000_000 {
        let input = if round % 16 == 0 {
            let mut input = vec![0; maker.random.random_range(0..2000)];
            maker.random.fill(&mut input[..]);
            input
        } else {
            maker.damaged()
        };
        sound += u32::from(recover(input));
    }
    assert!((200_000..900_000).contains(&sound), "{sound} were taken for sound");
}
