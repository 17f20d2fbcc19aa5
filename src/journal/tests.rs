//! What the log promises, against disks that lose, tear, fail and rot.

mod damage;
mod golden;
mod inputs;
mod power;
mod threads;

use std::{collections::BTreeMap, sync::Arc};

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    Disk, Error, Log, Options, PAYLOAD_MAX, Position, RealDisk, Recovery, SimDisk, format::segment_name,
};

/// A record as a test remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    kind: u16,
    version: u8,
    payload: Vec<u8>,
}

/// All files of a disk.
type Files = BTreeMap<String, Vec<u8>>;

/// Segments so small that a few dozen records fill one.
fn small() -> Options {
    Options {
        segment_bytes: 16 << 10,
        payload_max: 1 << 10,
        log_id: Some(*b"a log for tests."),
        ..Options::default()
    }
}

fn some_record(random: &mut StdRng) -> Written {
    let length = match random.random_range(0..10) {
        0 => 0,
        1 => random.random_range(900..=1024),
        _ => random.random_range(1..200),
    };
    let mut payload = vec![0; length];
    random.fill(&mut payload[..]);
    Written { kind: random.random(), version: random.random(), payload }
}

fn some_records(seed: u64, count: usize) -> Vec<Written> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..count).map(|_| some_record(&mut random)).collect()
}

fn append(log: &mut Log, record: &Written) -> Position {
    log.append(record.kind, record.version, &record.payload)
}

/// Opens a log and returns what it replays.
fn open(disk: &SimDisk, options: &Options) -> Result<(Log, Recovery, Vec<Written>), Error> {
    let mut found = Vec::new();
    let (log, recovery) = Log::open(Arc::new(disk.process()), options.clone(), &mut |record| {
        let Position(number) = record.position;
        assert!(found.is_empty() || number > 1, "positions begin anew at {number}");
        found.push((
            number,
            Written { kind: record.kind, version: record.version, payload: record.payload.to_vec() },
        ));
    })?;
    let first = recovery.first.get();
    for (number, (position, _)) in (first..).zip(&found) {
        assert_eq!(*position, number, "positions are not dense");
    }
    assert_eq!(recovery.records, found.len() as u64);
    assert_eq!(recovery.last.get(), first + recovery.records - 1);
    assert_eq!((log.durable(), log.newest()), (recovery.last, recovery.last));
    Ok((log, recovery, found.into_iter().map(|(_, written)| written).collect()))
}

fn files(disk: &SimDisk) -> Files {
    let names = disk.list().expect("names");
    names.into_iter().filter_map(|name| Some((name.clone(), disk.contents(&name)?))).collect()
}

fn disk_of(files: &Files) -> SimDisk {
    let disk = SimDisk::new();
    for (name, contents) in files {
        disk.put(name, contents.clone());
    }
    disk
}

/// A log that was written in commits of some records, and killed.
fn killed_log(records: &[Written], per_commit: usize) -> SimDisk {
    let disk = SimDisk::new();
    let (mut log, ..) = open(&disk, &small()).expect("a new log");
    for commit in records.chunks(per_commit) {
        for record in commit {
            append(&mut log, record);
        }
        log.sync().expect("a sync");
    }
    disk.kill();
    disk
}

#[test]
fn what_was_appended_comes_back_in_order() {
    let records = some_records(1, 300);
    let disk = killed_log(&records, 7);
    let (log, recovery, found) = open(&disk, &small()).expect("the same log");
    assert!(found == records, "other records came back");
    assert_eq!(recovery.cut_bytes, 0);
    assert!(recovery.segments > 5, "{recovery:?}");
    let mut into = Vec::new();
    for (number, record) in (1..).zip(&records) {
        let (kind, version) = log.read(Position(number), &mut into).expect("a record");
        assert_eq!(*record, Written { kind, version, payload: into.clone() });
    }
}

#[test]
fn positions_are_found_far_from_an_index_entry_and_near_one() {
    let options = Options { segment_bytes: 1 << 20, ..small() };
    let disk = SimDisk::new();
    let (mut log, ..) = open(&disk, &options).expect("a new log");
    let records = some_records(2, 9000);
    for commit in records.chunks(3000) {
        for record in commit {
            append(&mut log, record);
        }
        log.sync().expect("a sync");
    }
    for life in 0..2 {
        let mut into = Vec::new();
        for (number, record) in (1..).zip(&records).step_by(23) {
            log.read(Position(number), &mut into).expect("a record");
            assert!(into == record.payload, "record {number} is another in life {life}");
        }
        drop(log);
        log = open(&disk, &options).expect("the same log").0;
    }
}

#[test]
fn records_can_be_read_before_they_are_durable() {
    let disk = SimDisk::new();
    let (mut log, ..) = open(&disk, &small()).expect("a new log");
    let records = some_records(3, 40);
    for record in &records {
        append(&mut log, record);
    }
    assert_eq!((log.durable(), log.newest()), (Position::ZERO, Position(40)));
    let mut into = b"something else".to_vec();
    for (number, record) in (1..).zip(&records) {
        log.read(Position(number), &mut into).expect("a record");
        assert_eq!(into, record.payload);
    }
    for unknown in [Position::ZERO, Position(41)] {
        assert!(matches!(log.read(unknown, &mut into), Err(Error::Unknown { .. })), "{unknown} was found");
    }
}

#[test]
fn a_record_over_the_limit_is_refused_before_it_is_appended() {
    let disk = SimDisk::new();
    let options = Options { segment_bytes: 2 << 20, ..Options::default() };
    let (mut log, ..) = open(&disk, &options).expect("a new log");
    assert!(options.check(PAYLOAD_MAX).is_ok());
    assert!(matches!(options.check(PAYLOAD_MAX + 1), Err(Error::TooLarge { .. })));
    let largest = vec![9; PAYLOAD_MAX];
    for number in 1..=3 {
        assert_eq!(log.append(1, 1, &largest), Position(number));
    }
    log.sync().expect("a sync");
    drop(log);
    let (_, recovery, found) = open(&disk, &options).expect("the same log");
    assert_eq!(recovery.segments, 3);
    assert!(found.iter().all(|record| record.payload == largest));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for options in [
        Options { payload_max: PAYLOAD_MAX + 1, ..Options::default() },
        Options { segment_bytes: 1 << 20, ..Options::default() },
    ] {
        assert!(matches!(open(&SimDisk::new(), &options), Err(Error::Options(_))), "{options:?}");
    }
}

#[test]
fn segments_may_become_larger_and_smaller_from_one_start_to_the_next() {
    let disk = SimDisk::new();
    let mut all = Vec::new();
    for (seed, (segment_bytes, payload_max)) in
        (4..).zip([(16 << 10, 1 << 10), (256 << 10, 100 << 10), (16 << 10, 1 << 10), (4 << 20, PAYLOAD_MAX)])
    {
        let options = Options { segment_bytes, payload_max, ..small() };
        let (mut log, _, found) = open(&disk, &options).expect("the same log");
        assert!(found == all);
        // Even in a segment that is empty and too small for it.
        let largest = Written { kind: 1, version: 1, payload: vec![1; payload_max] };
        for record in std::iter::once(largest).chain(some_records(seed, 30)) {
            append(&mut log, &record);
            all.push(record);
        }
        log.sync().expect("a sync");
    }
}

#[test]
fn what_is_let_go_of_leaves_the_disk_and_the_rest_stays() {
    let records = some_records(5, 300);
    let disk = killed_log(&records, 7);
    let (mut log, ..) = open(&disk, &small()).expect("the same log");
    let before = files(&disk).len();
    log.forget_before(Position(200));
    let begin = log.begin();
    assert!(begin > Position(100) && begin <= Position(200), "{begin}");
    let mut into = Vec::new();
    assert!(matches!(log.read(Position(1), &mut into), Err(Error::Forgotten { .. })));
    log.read(begin, &mut into).expect("the first that is kept");
    for _ in 0..2 {
        log.append(1, 1, b"more");
        log.sync().expect("a sync");
    }
    assert!(files(&disk).len() < before);
    assert!(disk.contents(&segment_name(1)).is_none());
    disk.kill();
    let (_, recovery, found) = open(&disk, &small()).expect("the same log");
    assert_eq!((recovery.first, recovery.last), (begin, Position(302)));
    assert!(found[..found.len() - 2] == records[begin.get() as usize - 1..]);
}

#[test]
fn a_directory_has_one_user_and_its_files_are_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let above = tempfile::tempdir().expect("a directory");
    let path = above.path().join("deeper/data");
    let open = || {
        let disk = RealDisk::open(&path).expect("a directory");
        Log::open(Arc::new(disk), small(), &mut |_| ())
    };
    let (mut log, _) = open().expect("a new log");
    log.append(1, 1, b"kept");
    log.sync().expect("a sync");
    assert!(matches!(open(), Err(Error::Locked)));
    let mode = |path: &std::path::Path| path.metadata().expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    let entries: Vec<_> =
        path.read_dir().expect("names").map(|entry| entry.expect("a name").path()).collect();
    assert_eq!(entries.len(), 3, "{entries:?}");
    for entry in entries {
        assert_eq!(mode(&entry), 0o600, "{entry:?}");
    }
    drop(log);
    assert_eq!(open().expect("the same log").1.records, 1);
}

#[test]
fn a_full_disk_is_told_from_a_broken_one() {
    let disk = SimDisk::new();
    let (mut log, ..) = open(&disk, &small()).expect("a new log");
    disk.limit(Some(20 << 10));
    let records = some_records(6, 300);
    let mut durable = Position::ZERO;
    let error = loop {
        for record in &records[durable.get() as usize..][..10] {
            append(&mut log, record);
        }
        match log.sync() {
            Ok(position) => durable = position,
            Err(error) => break error,
        }
    };
    assert!(error.is_full() && !error.is_damage(), "{error}");
    assert!(matches!(log.sync(), Err(Error::Stopped)));
    disk.kill();
    // With the disk still full: nothing that opening does needs space.
    let (_, recovery, found) = open(&disk, &small()).expect("the same log");
    assert!(recovery.last >= durable && found == records[..found.len()]);
    assert!(
        files(&disk).keys().all(|name| !name.starts_with("spare")),
        "a spare that could not be made takes space"
    );
}
