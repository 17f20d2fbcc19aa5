//! What the log promises, against disks that lose, tear, fail and rot.

use std::sync::Arc;

use super::{Journal, Log, Options, Position, SimDisk};

fn small() -> Options {
    Options { segment_bytes: 32 << 10, payload_max: 4 << 10, log_id: Some([7; 16]), ..Options::default() }
}

#[test]
fn what_was_appended_comes_back_in_order() {
    let disk = SimDisk::new();
    let mut log = Log::open(Arc::new(disk.clone()), small(), &mut |_| ()).expect("a new log").0;
    for n in 1..=200u64 {
        let payload = vec![n as u8; (n * 37 % 4000) as usize];
        assert_eq!(log.append(n as u16, 3, &payload), Position(n));
        if n % 7 == 0 {
            assert_eq!(log.sync().expect("a sync"), Position(n));
        }
    }
    log.sync().expect("a sync");
    let mut into = Vec::new();
    for n in 1..=200u64 {
        assert_eq!(log.read(Position(n), &mut into).expect("a record"), (n as u16, 3));
        assert_eq!(into, vec![n as u8; (n * 37 % 4000) as usize]);
    }
    drop(log);
    let mut next = 1;
    let (_, recovery) = Log::open(Arc::new(disk), small(), &mut |record| {
        assert_eq!(record.position, Position(next));
        assert_eq!(record.payload, vec![next as u8; (next * 37 % 4000) as usize]);
        next += 1;
    })
    .expect("the same log");
    assert_eq!((recovery.records, recovery.last, recovery.cut_bytes), (200, Position(200), 0));
    assert!(recovery.segments > 5, "{recovery:?}");
}

#[test]
fn the_threads_make_appended_records_durable() {
    let disk = SimDisk::new();
    let fail = || Box::new(|error| panic!("{error}"));
    let (journal, _) =
        Journal::open(Arc::new(disk.clone()), small(), &mut |_| (), fail()).expect("a journal");
    let (woken, wakes) = crossbeam::channel::unbounded();
    let news = journal.watch(Box::new(move || woken.send(()).unwrap_or_default()));
    for n in 1..=1000u64 {
        assert_eq!(journal.append(1, 1, &n.to_le_bytes()), Position(n));
    }
    journal.commit();
    while journal.durable() < Position(1000) {
        wakes.recv().expect("a wake-up");
    }
    assert_eq!(news.try_iter().last(), Some(Position(1000)));
    journal.close().expect("a clean end");
    let (again, recovery) =
        Journal::open(Arc::new(disk), small(), &mut |_| (), fail()).expect("the same journal");
    assert_eq!(recovery.records, 1000);
    again.close().expect("a clean end");
}
