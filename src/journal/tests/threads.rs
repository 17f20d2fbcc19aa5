//! The journal with its threads.

use std::{sync::Arc, time::Duration};

use crossbeam::channel::{self, Receiver};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{Written, open, small, some_record, some_records};
use crate::journal::{Error, Journal, Options, Position, Reserve, SimDisk, Space};

/// Opens a journal, and a channel that gets its failure.
fn start(disk: &SimDisk, options: &Options) -> Result<(Journal, Receiver<Error>), Error> {
    let (failed, failures) = channel::bounded(1);
    let on_failure = Box::new(move |error| failed.send(error).unwrap_or_default());
    let (journal, _) = Journal::open(Arc::new(disk.process()), options.clone(), &mut |_| (), on_failure)?;
    Ok((journal, failures))
}

/// Commits and waits until all that was appended is durable, or the journal has stopped.
struct Waiter {
    news: Receiver<Position>,
}

impl Waiter {
    fn new(journal: &Journal) -> Self {
        Self { news: journal.watch(Box::new(|| ())) }
    }

    fn commit(&self, journal: &Journal) -> bool {
        journal.commit();
        while journal.durable() < journal.newest() {
            if self.news.recv().is_err() {
                return false;
            }
        }
        true
    }
}

fn append(journal: &Journal, record: &Written) -> Position {
    journal.append(record.kind, record.version, &record.payload)
}

#[test]
fn watchers_are_woken_and_told_the_newest_position() {
    let disk = SimDisk::new();
    let (journal, _failures) = start(&disk, &small()).expect("a journal");
    let (woken, wakes) = channel::unbounded();
    let news = [(); 3].map(|()| {
        let woken = woken.clone();
        journal.watch(Box::new(move || woken.send(()).unwrap_or_default()))
    });
    let waiter = Waiter::new(&journal);
    for record in some_records(41, 100) {
        append(&journal, &record);
        if record.kind % 4 == 0 {
            assert!(waiter.commit(&journal));
        }
    }
    assert!(waiter.commit(&journal));
    journal.close().expect("a clean end");
    for news in news {
        assert_eq!(news.iter().collect::<Vec<_>>(), [Position(100)], "stale news, or none");
    }
    assert!(wakes.len() >= 3 && wakes.len() % 3 == 0);
}

#[test]
fn appends_of_many_threads_are_one_dense_order() {
    let disk = SimDisk::new();
    let options = Options { max_batch_bytes: 4096, ..small() };
    let (journal, _failures) = start(&disk, &options).expect("a journal");
    let positions: Vec<(Position, u16)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4u16)
            .map(|thread| {
                let journal = journal.clone();
                scope.spawn(move || -> Vec<_> {
                    (0..500).map(|_| (journal.append(thread, 1, &[thread as u8; 50]), thread)).collect()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a thread")).collect()
    });
    journal.close().expect("a clean end");
    let (.., found) = open(&disk, &small()).expect("the same log");
    assert_eq!(found.len(), 2000);
    for (position, thread) in positions {
        assert_eq!(found[position.get() as usize - 1].kind, thread);
    }
}

#[test]
fn every_record_can_be_read_wherever_it_is() {
    let disk = SimDisk::new();
    let (journal, failures) = start(&disk, &small()).expect("a journal");
    let waiter = Waiter::new(&journal);
    let records = some_records(42, 90);
    for record in &records[..60] {
        append(&journal, record);
    }
    assert!(waiter.commit(&journal), "the first sixty are durable");
    for record in &records[60..80] {
        append(&journal, record);
    }
    disk.fail_sync_of(".log", 1);
    assert!(!waiter.commit(&journal), "the next twenty stay in flight");
    for record in &records[80..] {
        append(&journal, record);
    }
    assert!(matches!(failures.recv(), Ok(Error::Io { .. })));
    let mut into = Vec::new();
    for (number, record) in (1..).zip(&records) {
        let (kind, version) = journal.read(Position(number), &mut into).expect("a record");
        assert_eq!(*record, Written { kind, version, payload: into.clone() });
    }
    assert!(matches!(journal.read(Position(91), &mut into), Err(Error::Unknown { .. })));
    assert!(matches!(journal.read(Position::ZERO, &mut into), Err(Error::Unknown { .. })));
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_any_more() {
    let disk = SimDisk::new();
    let (journal, failures) = start(&disk, &small()).expect("a journal");
    let waiter = Waiter::new(&journal);
    journal.append(1, 1, b"durable");
    assert!(waiter.commit(&journal));
    journal.append(1, 1, b"not durable");
    disk.fail_sync_of(".log", 1);
    assert!(!waiter.commit(&journal));
    let error = failures.recv().expect("a failure");
    assert!(!error.is_full() && !error.is_damage(), "{error}");
    journal.append(1, 1, b"never durable");
    assert!(!waiter.commit(&journal));
    assert_eq!(journal.durable(), Position(1));
    assert_eq!(journal.stats().records, 1);
    assert!(matches!(journal.close(), Err(Error::Stopped)));
    // What is left is a log that opens, since the daemon starts anew.
    disk.kill();
    assert!(open(&disk, &small()).expect("the same log").1.last >= Position(1));
}

#[test]
fn a_full_disk_is_announced_before_it_hurts_and_goes_away_by_itself() {
    let disk = SimDisk::new();
    disk.limit(Some(17 << 10));
    let (journal, failures) = start(&disk, &small()).expect("a journal");
    let waiter = Waiter::new(&journal);
    while journal.stats().reserve != Reserve::DiskFull {
        std::thread::yield_now();
    }
    journal.append(1, 1, &[1; 1000]);
    assert!(waiter.commit(&journal), "the current segment still has room");
    assert_ne!(journal.space(), Space::Enough);
    while journal.space() != Space::Endings {
        journal.append(1, 1, &[1; 100]);
        assert!(waiter.commit(&journal), "the last of it is announced before it is gone");
    }
    disk.limit(None);
    while !matches!(journal.stats().reserve, Reserve::Ready(_)) {
        std::thread::yield_now();
    }
    assert_eq!(journal.space(), Space::Enough);
    for _ in 0..10 {
        journal.append(1, 1, &[2; 1000]);
        assert!(waiter.commit(&journal));
    }
    disk.limit(Some(17 << 10));
    while waiter.commit(&journal) {
        journal.append(1, 1, &[3; 1000]);
    }
    assert!(failures.recv().expect("a failure").is_full());
}

#[test]
fn closing_flushes_and_gives_the_directory_free() {
    let disk = SimDisk::new();
    let options = Options { commit_interval: Duration::from_millis(1), ..small() };
    for life in 1..=3u64 {
        let (journal, _failures) = start(&disk, &options).expect("a journal");
        assert!(matches!(start(&disk, &options), Err(Error::Locked)));
        assert_eq!(journal.durable(), Position((life - 1) * 50));
        for record in some_records(life, 50) {
            append(&journal, &record);
        }
        journal.close().expect("a clean end");
        assert_eq!(journal.durable(), Position(life * 50));
        journal.close().expect("nothing to do");
    }
}

#[test]
fn old_segments_go_while_the_journal_runs() {
    let disk = SimDisk::new();
    let (journal, _failures) = start(&disk, &small()).expect("a journal");
    let waiter = Waiter::new(&journal);
    for record in some_records(43, 300) {
        append(&journal, &record);
    }
    assert!(waiter.commit(&journal));
    journal.forget_before(Position(250));
    for _ in 0..3 {
        journal.append(1, 1, b"more");
        assert!(waiter.commit(&journal));
    }
    let mut into = Vec::new();
    assert!(matches!(journal.read(Position(1), &mut into), Err(Error::Forgotten { .. })));
    journal.read(Position(250), &mut into).expect("a record");
    journal.close().expect("a clean end");
    let (_, recovery, _) = open(&disk, &small()).expect("the same log");
    assert!(recovery.first > Position(200) && recovery.last == Position(303), "{recovery:?}");
}

/// As in `power.rs`, but with threads, so that the cut comes at a moment that no seed decides.
#[test]
fn what_was_acknowledged_survives_power_cuts_under_load() {
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let disk = SimDisk::new();
        let mut issued: Vec<Written> = Vec::new();
        let mut acked = Position::ZERO;
        for _ in 0..2 {
            let (journal, _failures) = start(&disk, &small()).expect("a journal");
            issued.truncate(journal.durable().get() as usize);
            assert!(journal.durable() >= acked, "seed {seed}: {acked} was lost");
            disk.fail_power(random.random_range(0..100));
            while journal.commit_and_see(&mut acked) {
                for _ in 0..random.random_range(1..20) {
                    let record = some_record(&mut random);
                    append(&journal, &record);
                    issued.push(record);
                }
            }
            disk.crash(random.random());
        }
        let (_, recovery, found) = open(&disk, &small()).expect("the same log");
        assert!(recovery.last >= acked, "seed {seed}: {acked} was lost");
        assert!(found == issued[..found.len()], "seed {seed}: recovered what never happened");
    }
}

impl Journal {
    /// Rings, and remembers what is acknowledged at that moment; false once the journal has stopped.
    fn commit_and_see(&self, acked: &mut Position) -> bool {
        self.commit();
        *acked = self.durable();
        match self.writer.lock() {
            Ok(writer) => writer.as_ref().is_some_and(|thread| !thread.is_finished()),
            Err(_) => false,
        }
    }
}
