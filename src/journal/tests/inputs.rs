//! Recovery of one segment from bytes that nobody meant to be one.

use std::io;

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
        // What an input lacks reads as zeros.
        Ok(u64::MAX)
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

    fn set_length(&self, _: u64) -> io::Result<()> {
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
        assert_eq!((record.position, u64::from(record.kind)), (Position(next), next));
        next += 1;
    });
    let Ok(end) = outcome else { return false };
    assert_eq!(end.position + 1, next);
    assert!(end.position >= found.mark.position);
    assert!(end.offset >= found.mark.end && end.offset <= found.header.size);
    true
}

/// A generator that costs next to nothing even without optimization (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }

    fn byte(&mut self) -> u8 {
        self.roll(256) as u8
    }
}

fn frames(header: &Header, dice: &mut Dice) -> (Vec<u8>, Vec<u64>) {
    let (mut bytes, mut ends) = (Vec::new(), vec![DATA]);
    for mut number in 1..=dice.roll(6) as u64 {
        // Sometimes a record that is sound in itself, but not where it is.
        number += u64::from(dice.roll(16) == 0);
        let payload = &[number as u8; 24][..dice.roll(24)];
        let record = Record { position: Position(number), kind: number as u16, version: 1, payload };
        push_frame(&mut bytes, payload_sum(seed(&header.log), payload), &record);
        ends.push(DATA + bytes.len() as u64);
    }
    (bytes, ends)
}

/// A sound segment, sometimes with a mark that is sound in itself but says something else.
fn sound(header: &Header, dice: &mut Dice) -> Vec<u8> {
    let (frames, ends) = frames(header, dice);
    let mut input = header.encode().to_vec();
    for sequence in 0..2 {
        let position = dice.roll(ends.len());
        let mut mark =
            Mark { sequence, position: position as u64, end: ends[position], begin: 1, sealed: false };
        if dice.roll(8) == 0 {
            mark.position = dice.roll(8) as u64;
            mark.end = DATA + dice.roll(200) as u64;
        }
        input.extend_from_slice(&mark.encode(header));
    }
    input.extend_from_slice(&frames);
    input
}

fn damage(input: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..dice.roll(3) {
        // Mostly in the records: the sectors before them are refused as a whole.
        let from = if dice.roll(8) > 0 { 3 * SECTOR } else { 0 };
        if from >= input.len() {
            break;
        }
        let at = from + dice.roll(input.len() - from);
        match dice.roll(5) {
            0 => input.truncate(at),
            1 => input[at] ^= 1 << dice.roll(8),
            2 => input[at] = dice.byte(),
            3 => input.insert(at, dice.byte()),
            _ => drop(input.remove(at)),
        }
    }
}

#[test]
fn a_million_inputs_are_refused_or_sound() {
    let header = Header { log: [3; 16], first: 1, size: DATA + 256 };
    let mut dice = Dice(31);
    let models: Vec<_> = (0..1000).map(|_| sound(&header, &mut dice)).collect();
    let mut taken = 0;
    for round in 0..1_000_000 {
        let mut input = models[dice.roll(models.len())].clone();
        if round % 16 == 0 {
            input.iter_mut().step_by(1 + dice.roll(300)).for_each(|byte| *byte = dice.byte());
        } else {
            damage(&mut input, &mut dice);
        }
        taken += u32::from(recover(input));
    }
    assert!((200_000..900_000).contains(&taken), "{taken} were taken for sound");
}
