//! The bytes of a log of this format, as they were once and for all.

use std::{env, fs, path::PathBuf, sync::Arc};

use super::{Files, Written, append, disk_of, files, open, small};
use crate::journal::SimDisk;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/journal/v1")
}

fn records() -> Vec<Written> {
    let record = |number: u16| {
        let length = usize::from(number * 29 % 200);
        let version = u8::from(number.is_multiple_of(3)) + 1;
        Written { kind: number, version, payload: vec![number as u8; length] }
    };
    (0..60).map(record).collect()
}

/// Writes that log: two segments, the first sealed, in commits of seven.
fn write() -> Files {
    let disk = SimDisk::new();
    let (mut log, ..) = open(&disk, &small()).expect("a new log");
    for commit in records().chunks(7) {
        for record in commit {
            append(&mut log, record);
        }
        log.sync().expect("a sync");
    }
    files(&disk)
}

fn read() -> Files {
    let entries = fs::read_dir(directory()).expect("the golden log; `docs/journal.md` says how it is made");
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.expect("a name");
        let name = entry.file_name().into_string().expect("a name");
        (name, fs::read(entry.path()).expect("a file"))
    };
    entries.map(file).collect()
}

#[test]
fn the_golden_log_is_read_as_it_was_written() {
    let (_, recovery, found) = open(&disk_of(&read()), &small()).expect("the golden log");
    assert!(found == records());
    assert_eq!((recovery.segments, recovery.cut_bytes), (2, 0));
}

#[test]
fn a_log_is_written_as_the_golden_one_was() {
    if env::var_os("MAITRED_REGENERATE").is_some() {
        make_the_golden_log();
    }
    assert!(write() == read(), "the format has changed: give it another number and keep reading this one");
}

fn make_the_golden_log() {
    fs::create_dir_all(directory()).expect("a directory");
    for (name, contents) in write() {
        fs::write(directory().join(name), contents).expect("a file");
    }
}

/// The golden log on a real disk, which recovery changes, so on a copy of it.
#[test]
fn the_golden_log_can_be_continued() {
    let copy = tempfile::tempdir().expect("a directory");
    for (name, contents) in read() {
        fs::write(copy.path().join(name), contents).expect("a file");
    }
    let open = || {
        let disk = crate::journal::RealDisk::open(copy.path()).expect("a directory");
        crate::journal::Log::open(Arc::new(disk), small(), &mut |_| ()).expect("the golden log")
    };
    let (mut log, _) = open();
    let next = log.append(1, 1, b"more");
    log.sync().expect("a sync");
    drop(log);
    assert_eq!(open().1.last, next);
}
