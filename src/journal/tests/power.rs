//! Power cuts and kills at any moment: what was acknowledged is there, and what is there is what happened.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{Written, append, files, open, small, some_record, some_records};
use crate::journal::{Disk as _, Error, Log, Options, Position, SimDisk};

/// What a life of the log left behind, as the world outside knows it.
struct Outside {
    /// All that was appended, by position.
    issued: Vec<Written>,
    /// What must be there after any crash.
    acked: u64,
    /// What need not be.
    begin: u64,
}

impl Outside {
    /// Compares a log that has just been opened with what it must be.
    fn check(&mut self, first: Position, found: &[Written]) -> Result<(), String> {
        let first = first.get();
        if first > self.begin {
            return Err(format!("the log begins at {first}, but {} was not let go of", self.begin));
        }
        let last = first + found.len() as u64 - 1;
        if last < self.acked {
            return Err(format!("acknowledged up to {}, recovered up to {last}", self.acked));
        }
        if self.issued.get(first as usize - 1..last as usize) != Some(found) {
            return Err("recovered what never happened".to_owned());
        }
        self.issued.truncate(last as usize);
        self.acked = last;
        Ok(())
    }

    /// Appends and syncs until the power fails or the mood changes.
    fn live(&mut self, log: &mut Log, random: &mut StdRng) {
        for _ in 0..random.random_range(0..30) {
            for _ in 0..random.random_range(0..12) {
                let record = some_record(random);
                append(log, &record);
                self.issued.push(record);
            }
            match log.sync() {
                Ok(position) => self.acked = position.get(),
                Err(_) => return,
            }
            if random.random_ratio(1, 20) {
                let before = Position(random.random_range(0..=self.acked));
                log.forget_before(before);
                self.begin = self.begin.max(before.get());
            }
        }
    }
}

/// Five lives, each ended by a kill or a power cut somewhere, in the middle of opening too.
fn five_lives(seed: u64, lying: bool) -> Result<(), String> {
    let mut random = StdRng::seed_from_u64(seed);
    let disk = SimDisk::new();
    disk.lie(lying);
    let mut outside = Outside { issued: Vec::new(), acked: 0, begin: 1 };
    let options = Options { segment_bytes: random.random_range(14..40) << 10, ..small() };
    for life in 0..6 {
        let last = life == 5;
        if !last && random.random_ratio(3, 4) {
            disk.fail_power(random.random_range(0..80));
        }
        match open(&disk, &options) {
            Ok((mut log, recovery, found)) => {
                outside.check(recovery.first, &found)?;
                outside.live(&mut log, &mut random);
            }
            Err(error) if last || error.is_damage() => return Err(error.to_string()),
            Err(_) => {}
        }
        if random.random_ratio(1, 5) {
            disk.kill();
        } else {
            disk.crash(random.random());
        }
    }
    Ok(())
}

#[test]
fn what_was_acknowledged_survives_two_thousand_power_cuts() {
    for seed in 0..500 {
        if let Err(problem) = five_lives(seed, false) {
            panic!("seed {seed}: {problem}");
        }
    }
}

/// If this fails, the test above is blind.
#[test]
fn a_disk_that_lies_about_syncs_is_caught() {
    let caught = (0..100).filter(|&seed| five_lives(seed, true).is_err()).count();
    assert!(caught >= 90, "only {caught} of 100 were caught");
}

/// The same story again and again, with the power cut after each of its operations.
#[test]
fn the_power_may_fail_between_any_two_operations() {
    let records = some_records(11, 120);
    let mut operations = 0;
    loop {
        let disk = SimDisk::new();
        disk.fail_power(operations);
        let (acked, finished) = tell(&disk, &records);
        disk.crash(operations);
        let (log, recovery, found) =
            open(&disk, &small()).unwrap_or_else(|error| panic!("after {operations} operations: {error}"));
        assert!(found == records[..found.len()], "after {operations} operations");
        assert!(recovery.last >= acked, "after {operations} operations: {acked} was lost");
        // What was recovered is durable from now on.
        drop(log);
        disk.crash(operations + 1);
        let (_, again, _) = open(&disk, &small()).expect("the same log");
        assert_eq!(again.last, recovery.last, "after {operations} operations");
        if finished {
            break;
        }
        operations += 1;
    }
    assert!(operations > 100, "the story has only {operations} operations");
}

/// Says what was acknowledged, and whether the story came to its end.
fn tell(disk: &SimDisk, records: &[Written]) -> (Position, bool) {
    let Ok((mut log, ..)) = open(disk, &small()) else { return (Position::ZERO, false) };
    for commit in records.chunks(5) {
        for record in commit {
            append(&mut log, record);
        }
        if log.sync().is_err() {
            return (log.durable(), false);
        }
    }
    (log.durable(), true)
}

/// The kernel calls pages clean that it failed to write, so after a restart they can be read, though not from the disk.
#[test]
fn nothing_is_acknowledged_after_a_failed_sync_and_nothing_recovered_is_in_memory_only() {
    let records = some_records(12, 120);
    let mut syncs = 1;
    loop {
        let disk = SimDisk::new();
        disk.fail_sync(syncs);
        let (acked, finished) = tell(&disk, &records);
        if finished {
            break;
        }
        disk.kill();
        let (_, recovery, found) = open(&disk, &small()).expect("the same log");
        assert!(recovery.last >= acked && found == records[..found.len()], "sync {syncs}");
        disk.crash(syncs);
        let (_, again, _) = open(&disk, &small()).expect("the same log");
        assert!(again.last >= recovery.last, "sync {syncs}: {} became {}", recovery.last, again.last);
        syncs += 1;
    }
    assert!(syncs > 40, "the story has only {syncs} syncs");
}

#[test]
fn a_failed_log_stays_failed() {
    let disk = SimDisk::new();
    let (mut log, ..) = open(&disk, &small()).expect("a new log");
    log.append(1, 1, b"durable");
    log.sync().expect("a sync");
    log.append(1, 1, b"not durable");
    disk.fail_sync(1);
    assert!(matches!(log.sync(), Err(Error::Io { .. })));
    for _ in 0..3 {
        assert!(matches!(log.sync(), Err(Error::Stopped)));
        log.append(1, 1, b"never durable");
        assert_eq!(log.durable(), Position(1));
    }
    let mut into = Vec::new();
    log.read(Position(2), &mut into).expect("what is not durable can be read still");
    assert_eq!(into, b"not durable");
}

/// Half of a batch must not come back to life behind the next one.
#[test]
fn an_unfinished_tail_is_cut_for_good() {
    let mut cut = 0;
    for seed in 0..300 {
        let disk = SimDisk::new();
        let (mut log, ..) = open(&disk, &small()).expect("a new log");
        for _ in 0..20 {
            log.append(1, 1, &[1; 100]);
        }
        // The batch is written, the power fails in its sync.
        disk.fail_power(1);
        log.sync().expect_err("no power");
        drop(log);
        disk.crash(seed);
        let (mut log, recovery, _) = open(&disk, &small()).expect("the same log");
        cut += u64::from(recovery.cut_bytes > 0);
        // As long as those that were lost, so that what follows would fit.
        let next = log.append(2, 2, &[2; 100]);
        log.sync().expect("a sync");
        disk.kill();
        let (_, again, _) = open(&disk, &small()).expect("the same log");
        assert_eq!((again.last, again.cut_bytes), (next, 0), "seed {seed}");
        assert!(files(&disk).len() >= 2);
    }
    assert!(cut > 50, "a tail was cut only {cut} times");
}

/// The narrowest place: nothing of the batch fits, so that the seal follows a mark that no sync has covered yet.
#[test]
fn torn_marks_at_the_end_of_a_segment_fool_nobody() {
    for seed in 0..2000 {
        let disk = SimDisk::new();
        let (mut log, ..) = open(&disk, &small()).expect("a new log");
        for _ in 0..3 {
            log.append(1, 1, &[1; 1024]);
            log.sync().expect("a sync");
        }
        log.append(1, 1, &[1; 1024]);
        assert_eq!(files(&disk).len(), 2, "the next one is to begin another segment");
        // After the new segment was begun: around the seal.
        disk.fail_power(8 + seed % 4);
        let acked = log.sync().unwrap_or(Position(3));
        disk.crash(seed);
        let (_, recovery, _) = open(&disk, &small()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(recovery.last >= acked, "seed {seed}: {acked} was lost");
    }
}

/// Recovery takes old spares away without a sync of the directory, so a cut may bring one back that has the name of the
/// one that has just become a segment.
#[test]
fn an_old_spare_never_comes_back_as_a_segment() {
    let mut begun = 0;
    for (seed, operations) in (0..100).flat_map(|seed| (0..=9).map(move |operations| (seed, operations))) {
        let disk = SimDisk::new();
        drop(open(&disk, &small()).expect("a new log"));
        disk.kill();
        disk.put("spare.0", vec![0; 16 << 10]);
        let (mut log, ..) = open(&disk, &small()).expect("the same log");
        for _ in 0..3 {
            log.append(1, 1, &[1; 1024]);
            log.sync().expect("a sync");
        }
        log.append(1, 1, &[1; 1024]);
        assert_eq!(files(&disk).len(), 2, "the next one is to begin another segment");
        disk.fail_power(operations);
        log.sync().expect_err("no power");
        drop(log);
        disk.crash(seed);
        let (_, recovery, _) = open(&disk, &small())
            .unwrap_or_else(|error| panic!("seed {seed}, after {operations} operations: {error}"));
        assert_eq!(recovery.last, Position(3), "seed {seed}, after {operations} operations");
        begun += u64::from(recovery.segments == 2);
    }
    assert!(begun > 100, "another segment was begun only {begun} times");
}

/// A thread may outlive the moment at which a test lets its process die.
#[test]
fn the_dead_change_no_names() {
    let disk = SimDisk::new();
    let process = disk.process();
    process.create("there").expect("a file");
    process.sync_dir().expect("a sync");
    let ends: [&dyn Fn(); 2] = [&|| disk.kill(), &|| disk.crash(1)];
    for end in ends {
        let process = disk.process();
        end();
        assert!(process.lock().is_err() && process.list().is_err());
        assert!(process.open("there").is_err() && process.create("new").is_err());
        assert!(process.rename("there", "elsewhere").is_err() && process.remove("there").is_err());
        assert!(process.sync_dir().is_err());
        assert_eq!(disk.list().expect("names"), ["there"]);
    }
}
