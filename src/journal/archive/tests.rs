//! The archive says what was put there, or that it can't.

use std::{
    io,
    ops::ControlFlow,
    sync::{Arc, Mutex},
};

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{Archive, FILE, Shelf};
use crate::journal::{Disk, Error, Log, Options, Position, Recovery, SimDisk, copy, disk::DiskFile};

type Entry = (Vec<u8>, Vec<u8>);

fn open(disk: &SimDisk) -> Result<Archive, Error> {
    Archive::open(Arc::new(disk.clone()))
}

/// A log whose copy has to cross from one segment to the next again and again.
fn short_segments() -> Options {
    Options { segment_bytes: 16 << 10, payload_max: 1 << 10, log_id: Some([4; 16]), ..Options::default() }
}

fn some_entries(seed: u64, count: u16) -> Vec<Entry> {
    let mut random = StdRng::seed_from_u64(seed);
    let entry = |number: u16| {
        let mut value = vec![0; random.random_range(0..600)];
        random.fill(&mut value[..]);
        (number.to_be_bytes().to_vec(), value)
    };
    (0..count).map(entry).collect()
}

fn put(archive: &Archive, entries: &[Entry], covered: u64) -> Result<(), Error> {
    let edit = archive.edit()?;
    edit.put(Shelf::Records, entries.iter().map(|(key, value)| (&key[..], &value[..])))?;
    edit.commit(Position::new(covered))
}

fn all(archive: &Archive) -> Result<Vec<Entry>, Error> {
    let mut found = Vec::new();
    archive.view()?.walk(Shelf::Records, &[], &mut |key, value| {
        found.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

fn recovered(first: u64, last: u64) -> Recovery {
    let (first, last) = (Position::new(first), Position::new(last));
    Recovery { records: 0, first, last, cut_bytes: 0, segments: 1, elapsed: std::time::Duration::ZERO }
}

#[test]
fn what_was_put_is_there_by_key_and_in_order() {
    let disk = SimDisk::new();
    let archive = open(&disk).expect("a new one");
    let entries = some_entries(1, 300);
    put(&archive, &entries, 9).expect("put");
    assert_eq!(all(&archive).expect("readable"), entries);
    let view = archive.view().expect("a view");
    assert_eq!(view.get(Shelf::Records, &entries[7].0).expect("readable").as_ref(), Some(&entries[7].1));
    assert_eq!(view.last(Shelf::Records, &[0]).expect("readable"), Some(vec![0, 255]));
    assert_eq!(view.last(Shelf::Records, &[9]).expect("readable"), None);
    let before = view.at_or_before(Shelf::Records, &[1], &[1, 99]).expect("readable");
    assert_eq!(before.as_ref(), Some(&entries[299].1), "the key itself is not there");
    let edit = archive.edit().expect("an edit");
    assert_eq!(edit.remove_all(Shelf::Records, &[1]).expect("removed"), 44);
    edit.commit(Position::new(4)).expect("committed");
    assert_eq!(all(&archive).expect("readable"), entries[..256]);
    assert_eq!(archive.covered(), Position::new(9), "it never covers less than before");
    drop((view, archive));
    let again = open(&disk).expect("the same");
    assert_eq!((again.covered(), all(&again).expect("readable").len()), (Position::new(9), 256));
}

#[test]
fn a_flipped_bit_is_never_another_answer() {
    let disk = SimDisk::new();
    let entries = some_entries(2, 400);
    let archive = open(&disk).expect("a new one");
    entries.chunks(40).for_each(|some| put(&archive, some, 9).expect("put"));
    drop(archive);
    let whole = disk.contents(FILE).expect("the file");
    let mut random = StdRng::seed_from_u64(3);
    let mut noticed = 0;
    for _ in 0..150 {
        let bad = SimDisk::new();
        bad.put(FILE, whole.clone());
        bad.flip(FILE, random.random_range(0..whole.len()), random.random_range(0..8));
        match open(&bad).and_then(|archive| all(&archive)) {
            Err(error) => {
                assert!(
                    error.is_damage() || matches!(error, Error::Archive { .. } | Error::Io { .. }),
                    "{error}"
                );
                noticed += 1;
            }
            Ok(found) => {
                assert!(found.iter().all(|entry| entries.contains(entry)), "an entry that never was")
            }
        }
    }
    assert!(noticed > 10, "only {noticed} flips hit something");
}

#[test]
fn a_renewed_file_has_nothing_of_what_was_removed() {
    const CANARY: &[u8] = b"the canary sings";
    let disk = SimDisk::new();
    let archive = open(&disk).expect("a new one");
    let mut entries = some_entries(4, 200);
    entries[100].1 = [&[7; 200], CANARY, &[8; 50]].concat();
    entries.chunks(20).for_each(|some| put(&archive, some, 5).expect("put"));
    let reader = archive.view().expect("a view");
    let edit = archive.edit().expect("an edit");
    edit.remove(Shelf::Records, [&entries[100].0[..]]).expect("removed");
    edit.commit(Position::new(6)).expect("committed");
    archive.renew().expect("renewed");
    for name in disk.list().expect("names") {
        let contents = disk.contents(&name).expect("a file");
        assert!(!contents.windows(CANARY.len()).any(|bytes| bytes == CANARY), "{name} has it");
    }
    let kept = reader.get(Shelf::Records, &entries[100].0).expect("readable");
    assert_eq!(kept.as_ref(), Some(&entries[100].1), "who looked before still sees it");
    entries.remove(100);
    assert_eq!(all(&archive).expect("readable"), entries);
    assert_eq!(archive.covered(), Position::new(6));
    put(&archive, &some_entries(5, 3), 7).expect("it goes on");
}

#[test]
fn it_goes_on_after_an_edit_that_failed() {
    let disk = SimDisk::new();
    let archive = open(&disk).expect("a new one");
    let entries = some_entries(6, 100);
    put(&archive, &entries, 5).expect("put");
    disk.fail_sync(1);
    put(&archive, &some_entries(7, 100), 6).expect_err("the sync fails");
    archive.reopen().expect("open again");
    assert_eq!(archive.covered(), Position::new(5));
    assert_eq!(all(&archive).expect("readable"), entries);
    let others = some_entries(7, 100);
    put(&archive, &others, 6).expect("the disk is well again");
    disk.crash(8);
    let again = open(&disk).expect("the same");
    assert_eq!((again.covered(), all(&again).expect("readable")), (Position::new(6), others));
}

#[test]
fn log_and_archive_have_to_go_together() {
    let archive = open(&SimDisk::new()).expect("a new one");
    let refused = archive.belongs_to([1; 16], &recovered(5, 9)).expect_err("records before 5 are nowhere");
    assert!(matches!(refused, Error::Missing { .. }) && refused.is_damage(), "{refused}");
    archive.belongs_to([1; 16], &recovered(1, 9)).expect("a new log and a new archive");
    put(&archive, &some_entries(8, 3), 6).expect("put");
    archive.belongs_to([1; 16], &recovered(7, 9)).expect("the one goes on where the other ends");
    for (log, first, last, why) in [
        ([2; 16], 1, 9, "another log"),
        ([1; 16], 8, 9, "record 7 is nowhere"),
        ([1; 16], 1, 5, "ahead of the log"),
    ] {
        let refused = archive.belongs_to(log, &recovered(first, last)).expect_err(why);
        assert!(refused.is_damage(), "{why}: {refused}");
    }
}

#[test]
fn a_later_format_is_refused_by_name() {
    let disk = SimDisk::new();
    let archive = open(&disk).expect("a new one");
    let edit = archive.edit().expect("an edit");
    edit.note("format", &2_u32.to_be_bytes()).expect("noted");
    edit.commit(Position::ZERO).expect("committed");
    drop(archive);
    let refused = open(&disk).expect_err("it is newer");
    assert!(matches!(refused, Error::Newer { found: 2, known: 1, .. }), "{refused}");
}

/// A copy is taken while records are written, segments are begun and the mark moves on.
#[test]
fn a_copy_of_a_living_directory_opens_and_has_what_was_acknowledged_before() {
    let options = short_segments();
    let disk = SimDisk::new();
    let archive = open(&disk).expect("a new one");
    let (mut log, _) = Log::open(Arc::new(disk.clone()), options.clone(), &mut |_| {}).expect("a log");
    let write = |log: &mut Log, count: u64| {
        for number in 0..count {
            log.append(1, 1, &[7; 300][..200 + (number % 100) as usize]);
            if number % 7 == 0 {
                log.sync().expect("synced");
            }
        }
        log.sync().expect("synced")
    };
    let acknowledged = write(&mut log, 200);
    put(&archive, &some_entries(9, 20), acknowledged.get()).expect("put");
    archive.belongs_to([4; 16], &recovered(1, acknowledged.get())).expect("new");
    log.forget_before(acknowledged);
    let other = SimDisk::new();
    std::thread::scope(|threads| {
        let writing = threads.spawn(|| write(&mut log, 3_000));
        copy(&disk, &other).expect("copied");
        writing.join().expect("written");
    });
    let archive = open(&other).expect("the archive's copy");
    let (_, recovery) = Log::open(Arc::new(other.clone()), options, &mut |_| {}).expect("the log's copy");
    archive.belongs_to([4; 16], &recovery).expect("they go together");
    assert!(recovery.last >= acknowledged);
    let refused = copy(&disk, &other).expect_err("there is something already");
    assert!(matches!(refused, Error::Locked | Error::Foreign { .. }), "{refused}");
}

/// Something happens to the log before each look at the names of its files, for a while.
struct Busy {
    disk: SimDisk,
    log: Mutex<(Log, u32)>,
}

impl Disk for Busy {
    fn lock(&self) -> io::Result<Box<dyn Send + Sync>> {
        self.disk.lock()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let (log, times) = &mut *self.log.lock().expect("nobody fell");
        if *times > 0 {
            *times -= 1;
            for _ in 0..70 {
                log.append(1, 1, &[7; 300]);
            }
            log.sync().expect("synced");
        }
        self.disk.list()
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.disk.create(name)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }
}

/// A segment that was copied while it was written to has more in it by the time the next one begins.
#[test]
fn a_copy_has_no_hole_where_a_segment_began_behind_it() {
    let options = short_segments();
    let disk = SimDisk::new();
    drop(open(&disk).expect("a new one"));
    let (mut log, _) = Log::open(Arc::new(disk.clone()), options.clone(), &mut |_| {}).expect("a log");
    log.append(1, 1, &[7; 300]);
    log.sync().expect("synced");
    let busy = Busy { disk, log: Mutex::new((log, 5)) };
    let other = SimDisk::new();
    copy(&busy, &other).expect("copied");
    let (_, recovery) = Log::open(Arc::new(other), options, &mut |_| {}).expect("the log's copy");
    assert_eq!(recovery.last, Position::new(1 + 5 * 70));
}
