//! Rot, missing and foreign files: refused with nothing changed, or harmless. Never another story.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{Files, Written, append, disk_of, files, killed_log, open, small, some_records};
use crate::journal::{
    Error, Position, SimDisk,
    format::{DATA, FORMAT, SECTOR, segment_name},
};

/// A log of four segments that was killed in the middle of a sync: its records, how many were acknowledged, its files.
fn log_with_a_tail() -> (Vec<Written>, u64, Files) {
    let records = some_records(21, 80);
    let (durable, tail) = records.split_at(70);
    let disk = SimDisk::new();
    let (mut log, ..) = open(&disk, &small()).expect("a new log");
    for commit in durable.chunks(6) {
        for record in commit {
            append(&mut log, record);
        }
        log.sync().expect("a sync");
    }
    for record in tail {
        append(&mut log, record);
    }
    disk.fail_power(1);
    log.sync().expect_err("no power");
    disk.kill();
    (records, 70, files(&disk))
}

#[derive(Debug, Default)]
struct Outcomes {
    refused: u32,
    cut: u32,
    harmless: u32,
}

impl Outcomes {
    /// Opens a damaged log and checks that it either refuses or gives a prefix with all that was acknowledged.
    fn check(&mut self, damaged: &Files, records: &[Written], acked: u64, how: &str) {
        let disk = disk_of(damaged);
        match open(&disk, &small()) {
            Ok((mut log, recovery, found)) => {
                assert!(recovery.last.get() >= acked, "{how}: {} is lost", recovery.last);
                assert!(found == records[..found.len()], "{how}: other records");
                if found.len() == records.len() {
                    self.harmless += 1;
                } else {
                    self.cut += 1;
                }
                if (self.harmless + self.cut).is_multiple_of(64) {
                    let next = log.append(1, 1, b"life goes on");
                    log.sync().expect("a sync");
                    drop(log);
                    assert_eq!(open(&disk, &small()).expect("the same log").1.last, next, "{how}");
                }
            }
            Err(error) => {
                assert!(error.is_damage(), "{how}: {error}");
                assert!(files(&disk) == *damaged, "{how}: refused, but changed the disk");
                self.refused += 1;
            }
        }
    }
}

#[test]
fn a_log_cut_at_any_byte_is_refused() {
    let (records, acked, files) = log_with_a_tail();
    assert_eq!(files.len(), 5, "{:?}", files.keys());
    let mut outcomes = Outcomes::default();
    for (name, contents) in &files {
        let mut damaged = files.clone();
        for length in 0..contents.len() {
            damaged.insert(name.clone(), contents[..length].to_vec());
            outcomes.check(&damaged, &records, acked, &format!("{name} cut to {length}"));
        }
    }
    assert!(outcomes.cut == 0 && outcomes.harmless == 0, "{outcomes:?}");
}

#[test]
fn a_log_blanked_from_any_byte_on_is_refused_or_loses_what_nobody_was_promised() {
    let (records, acked, files) = log_with_a_tail();
    let mut outcomes = Outcomes::default();
    for (name, contents) in files.iter().filter(|(name, _)| name.ends_with(".log")) {
        let mut damaged = files.clone();
        let contents_end = contents.iter().rposition(|&byte| byte != 0).expect("a record") + 1;
        for offset in (DATA as usize..contents_end).rev() {
            damaged.get_mut(name).expect("a file")[offset] = 0;
            outcomes.check(&damaged, &records, acked, &format!("{name} blank from {offset}"));
        }
    }
    assert!(outcomes.refused > 5000 && outcomes.cut > 500, "{outcomes:?}");
}

#[test]
fn a_flipped_bit_anywhere_is_refused_or_costs_what_nobody_was_promised() {
    let (records, acked, files) = log_with_a_tail();
    let mut random = StdRng::seed_from_u64(22);
    let mut outcomes = Outcomes::default();
    let names: Vec<&String> = files.keys().collect();
    let newest = names.iter().rfind(|name| name.ends_with(".log")).expect("a segment");
    let each_of_the_newest = (0..files[*newest].len()).map(|offset| ((*newest).clone(), offset));
    let places: Vec<(String, usize)> = (0..1000)
        .map(|_| {
            let name = names[random.random_range(0..names.len())].clone();
            let offset = random.random_range(0..files[&name].len());
            (name, offset)
        })
        .chain(each_of_the_newest)
        .collect();
    let mut damaged = files.clone();
    for (name, offset) in places {
        let bit = 1 << random.random_range(0..8);
        damaged.get_mut(&name).expect("a file")[offset] ^= bit;
        outcomes.check(&damaged, &records, acked, &format!("{name} flipped at {offset}"));
        damaged.get_mut(&name).expect("a file")[offset] ^= bit;
    }
    assert!(outcomes.refused > 500 && outcomes.cut > 500 && outcomes.harmless > 500, "{outcomes:?}");
}

#[test]
fn sectors_that_read_as_something_else_are_refused_or_cost_what_nobody_was_promised() {
    let (records, acked, files) = log_with_a_tail();
    let mut random = StdRng::seed_from_u64(23);
    let mut outcomes = Outcomes::default();
    let names: Vec<&String> = files.keys().collect();
    for round in 0..3000 {
        let mut damaged = files.clone();
        let (to, from) =
            (names[random.random_range(0..names.len())], names[random.random_range(0..names.len())]);
        let sector =
            |random: &mut StdRng, name: &String| random.random_range(0..files[name].len() / SECTOR) * SECTOR;
        let (to_at, from_at) = (sector(&mut random, to), sector(&mut random, from));
        let mut image = files[from][from_at..from_at + SECTOR].to_vec();
        match round % 3 {
            0 => image.fill(0),
            1 => random.fill(&mut image[..]),
            _ => {}
        }
        damaged.get_mut(to).expect("a file")[to_at..to_at + SECTOR].copy_from_slice(&image);
        outcomes.check(&damaged, &records, acked, &format!("round {round}: {to} at {to_at}"));
    }
    assert!(outcomes.refused > 100 && outcomes.cut > 10 && outcomes.harmless > 100, "{outcomes:?}");
}

#[test]
fn a_refusal_names_the_place_and_both_positions() {
    let records = some_records(24, 30);
    let disk = killed_log(&records, 10);
    let middle = 12288 + 200;
    disk.flip(&segment_name(1), middle, 3);
    let Err(error) = open(&disk, &small()) else { panic!("damage was not seen") };
    let text = error.to_string();
    let Error::Damaged { file, offset, position, durable, .. } = error else { panic!("{text}") };
    assert_eq!(file, segment_name(1));
    assert!(offset <= middle as u64 && offset > 12288 - 1, "{text}");
    assert!(position > Position::ZERO && position < Position(10), "{text}");
    assert!(durable >= Position(10), "{text}");
    assert!(text.contains(&format!("{position}")) && text.contains(&format!("{durable}")), "{text}");
}

#[test]
fn damage_that_appears_later_is_seen_by_the_reader() {
    let disk = killed_log(&some_records(25, 20), 5);
    let (log, ..) = open(&disk, &small()).expect("the same log");
    disk.flip(&segment_name(1), 12288 + 30, 0);
    assert!(matches!(log.read(Position(9), &mut Vec::new()), Err(Error::Damaged { .. })));
}

#[test]
fn a_missing_file_is_refused() {
    let (.., files) = log_with_a_tail();
    for name in files.keys() {
        let mut damaged = files.clone();
        damaged.remove(name);
        let disk = disk_of(&damaged);
        let Err(error) = open(&disk, &small()) else { panic!("{name} was not missed") };
        assert!(matches!(error, Error::Missing { .. }), "{name}: {error}");
        assert!(super::files(&disk) == damaged, "{name}: refused, but changed the disk");
    }
    let all_segments = files.into_iter().filter(|(name, _)| name == "identity").collect();
    assert!(matches!(open(&disk_of(&all_segments), &small()), Err(Error::Missing { .. })));
}

#[test]
fn copies_and_strangers_are_refused() {
    let (.., files) = log_with_a_tail();
    let segments: Vec<&String> = files.keys().filter(|name| name.ends_with(".log")).collect();
    for from in &segments {
        for to in segments.iter().map(|name| (*name).clone()).chain([segment_name(50), segment_name(500)]) {
            if to == **from {
                continue;
            }
            let mut damaged = files.clone();
            damaged.insert(to.clone(), files[*from].clone());
            let error = open(&disk_of(&damaged), &small()).err();
            assert!(matches!(error, Some(Error::Foreign { .. })), "{from} as {to}: {error:?}");
        }
    }
    let elsewhere = SimDisk::new();
    let options = crate::journal::Options { log_id: Some([9; 16]), ..small() };
    drop(open(&elsewhere, &options).expect("a new log"));
    let mut damaged = files.clone();
    let stranger = elsewhere.contents(&segment_name(1)).expect("a segment");
    damaged.insert(segment_name(1), stranger);
    assert!(matches!(open(&disk_of(&damaged), &small()), Err(Error::Foreign { .. })));
}

#[test]
fn files_of_others_are_left_alone() {
    let records = some_records(26, 30);
    let disk = killed_log(&records, 10);
    for name in ["notes.txt", "1.log", "00000000000000000001 (copy).log", "x0000000000000000001.log"] {
        disk.put(name, b"mine".to_vec());
    }
    let (.., found) = open(&disk, &small()).expect("the same log");
    assert!(found == records);
    assert_eq!(disk.contents("notes.txt").as_deref(), Some(&b"mine"[..]));
}

#[test]
fn a_later_format_is_refused_by_name() {
    let disk = killed_log(&some_records(27, 30), 10);
    for name in [segment_name(1), "identity".to_owned()] {
        let mut newer = files(&disk);
        let sector = newer.get_mut(&name).expect("a file");
        sector[8..12].copy_from_slice(&(FORMAT + 1).to_le_bytes());
        let sum = crc32c::crc32c(&sector[..SECTOR - 4]);
        sector[SECTOR - 4..SECTOR].copy_from_slice(&sum.to_le_bytes());
        let Err(error) = open(&disk_of(&newer), &small()) else { panic!("{name} was read") };
        assert!(error.is_damage() && matches!(error, Error::Newer { found: 2, known: 1, .. }), "{error}");
        assert!(error.to_string().contains("run the newer version"), "{error}");
    }
}

/// One of the two marks may be lost at any time; not both.
#[test]
fn after_a_clean_end_either_mark_alone_protects_all_records() {
    let mut records = some_records(28, 20);
    records.iter_mut().for_each(|record| record.payload.truncate(100));
    let disk = killed_log(&records, 20);
    assert_eq!(files(&disk).len(), 2, "one segment is meant");
    let (log, ..) = open(&disk, &small()).expect("the same log");
    drop(log);
    for mark in crate::journal::format::MARKS {
        let mut damaged = files(&disk);
        let segment = damaged.get_mut(&segment_name(1)).expect("a segment");
        segment[mark as usize..mark as usize + SECTOR].fill(0);
        assert!(open(&disk_of(&damaged), &small()).is_ok());
        let segment = damaged.get_mut(&segment_name(1)).expect("a segment");
        let last_record = segment.iter().rposition(|&byte| byte != 0).expect("a record");
        segment[last_record] ^= 1;
        let error = open(&disk_of(&damaged), &small()).err();
        assert!(matches!(error, Some(Error::Damaged { .. })), "{error:?}");
    }
}
