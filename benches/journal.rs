//! What a durable record costs: one writer, a real disk, batches of several sizes; and what reading them back costs.
//!
//! The directory is in `MAITRED_BENCH_DIR`, or else where the operating system keeps temporary files: it says nothing
//! about a disk unless it is on that disk.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::{
    env,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crossbeam::channel::Receiver;
use maitred::journal::{Journal, Log, Options, Position, RealDisk};
use tempfile::TempDir;

const PAYLOAD: [u8; 180] = [0x5a; 180];

fn directory() -> TempDir {
    match env::var_os("MAITRED_BENCH_DIR") {
        Some(path) => TempDir::new_in(path),
        None => TempDir::new(),
    }
    .expect("a directory")
}

fn journal(directory: &TempDir) -> Journal {
    let disk = RealDisk::open(directory.path()).expect("a directory");
    let fail = Box::new(|error| panic!("{error}"));
    Journal::open(Arc::new(disk), Options::default(), &mut |_| (), fail).expect("a journal").0
}

/// Waits until all that was appended is durable, and lets go of it.
fn durable(journal: &Journal, news: &Receiver<Position>) {
    let newest = journal.newest();
    journal.commit();
    while journal.durable() < newest {
        news.recv().expect("a working disk");
    }
    journal.forget_before(newest);
}

/// Appends a batch and waits until it is durable.
fn durable_batches(c: &mut Criterion) {
    let directory = directory();
    let journal = journal(&directory);
    let news = journal.watch(Box::new(|| ()));
    let mut group = c.benchmark_group("journal: append and wait");
    group.measurement_time(Duration::from_secs(3)).sample_size(20);
    for batch in [1_u64, 16, 256, 4096] {
        group.throughput(Throughput::Elements(batch));
        group.bench_function(format!("batch of {batch}"), |b| {
            b.iter(|| {
                for _ in 0..batch {
                    journal.append(1, 1, &PAYLOAD);
                }
                durable(&journal, &news);
            });
        });
    }
    group.finish();
    let stats = journal.stats();
    println!(
        "{} commits, {:?} each, the slowest {:?}",
        stats.commits,
        stats.total_sync / stats.commits as u32,
        stats.slowest_sync
    );
    journal.close().expect("a clean end");
}

/// What the appending thread pays. It never waits for the disk, so here it waits between the measurements: what it
/// appends faster than the disk takes it would only pile up.
fn append(c: &mut Criterion) {
    let directory = directory();
    let journal = journal(&directory);
    let news = journal.watch(Box::new(|| ()));
    let mut group = c.benchmark_group("journal: append");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    group.bench_function("one record", |b| {
        b.iter_custom(|count| {
            let (mut took, mut left) = (Duration::ZERO, count);
            while left > 0 {
                let batch = left.min(4000);
                left -= batch;
                let started = Instant::now();
                for _ in 0..batch {
                    journal.append(1, 1, black_box(&PAYLOAD));
                }
                took += started.elapsed();
                durable(&journal, &news);
            }
            took
        });
    });
    group.finish();
    journal.close().expect("a clean end");
}

/// Opening a log of 300,000 records in files that are in memory, and reading single ones.
fn recovery(c: &mut Criterion) {
    const RECORDS: u64 = 300_000;
    let directory = directory();
    let open = |sum: &mut u64| {
        let disk = RealDisk::open(directory.path()).expect("a directory");
        let mut replay = |record: maitred::journal::Record<'_>| *sum += u64::from(record.payload[0]);
        Log::open(Arc::new(disk), Options::default(), &mut replay).expect("a log").0
    };
    let mut log = open(&mut 0);
    for _ in 0..RECORDS {
        log.append(1, 1, &PAYLOAD);
    }
    log.sync().expect("a sync");
    let mut group = c.benchmark_group("journal: read");
    let (mut at, mut into) = (0, Vec::new());
    group.bench_function("one record", |b| {
        b.iter(|| {
            at = (at + 7919) % RECORDS;
            log.read(Position(at + 1), &mut into).expect("a record")
        });
    });
    drop(log);
    group.throughput(Throughput::Elements(RECORDS)).sample_size(10);
    group.bench_function("open and replay", |b| {
        b.iter(|| {
            let mut sum = 0;
            drop(open(&mut sum));
            sum
        });
    });
    group.finish();
}

criterion_group!(benches, durable_batches, append, recovery);
criterion_main!(benches);
