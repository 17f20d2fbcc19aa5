//! The log itself, for one thread: buffers records, makes them durable in batches, finds them again.

use std::{
    io,
    ops::{ControlFlow, Range},
    sync::{Arc, atomic::AtomicBool},
};

use crossbeam::channel::Receiver;

use super::{
    Lock, Options, Position, Record, Recovery,
    batch::Batch,
    catalog::{Catalog, Extent},
    disk::Disk,
    error::Error,
    format::{Header, segment_name},
    recovery,
    segment::{SPARES, Segment, Spare, make_spare},
};

/// Where the next segment's file comes from.
pub(super) enum Spares {
    /// Made when it is needed.
    Inline,
    /// Made in advance by another thread, which offers one at a time, or what kept it from making one.
    Ahead(Receiver<Result<Spare, Error>>),
}

/// The log. It has no threads: what it does, it does in the call, so that a simulation of it is deterministic.
pub struct Log {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) options: Options,
    pub(super) catalog: Arc<Catalog>,
    pub(super) current: Segment,
    pub(super) spares: Spares,
    /// Appended, not yet written.
    pub(super) batch: Batch,
    pub(super) durable: u64,
    /// The first record that is kept.
    pub(super) begin: u64,
    pub(super) forgetting: Forgetting,
    /// An error came up: nothing is known of what the disk holds beyond `durable`.
    pub(super) failed: bool,
    /// Held for as long as the log is open.
    pub(super) _lock: Lock,
}

/// Old segments on their way out. They may go only when a mark that no longer counts on them is durable.
#[derive(Default)]
pub(super) struct Forgetting {
    /// Their marks are written, not yet synced.
    marked: Vec<u64>,
    /// Asked for, no mark says so yet.
    asked: Vec<u64>,
}

impl Log {
    /// Opens the log of a directory, or begins one there, and hands every record to `replay`, in order. All that was
    /// handed over is durable on return.
    ///
    /// # Errors
    /// [`Error::Locked`]; [`Error::Options`]; damage (see [`Error::is_damage`]), which is found before anything on
    /// the disk is changed; whatever the disk says. After an error, what `replay` was given is to be thrown away.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        replay: &mut dyn FnMut(Record<'_>),
    ) -> Result<(Self, Recovery), Error> {
        let lock = recovery::lock(&*disk)?;
        recovery::open(disk, lock, options, replay)
    }

    /// As [`Log::open`], of a directory that is locked already.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_locked(
        disk: Arc<dyn Disk>,
        lock: Lock,
        options: Options,
        replay: &mut dyn FnMut(Record<'_>),
    ) -> Result<(Self, Recovery), Error> {
        recovery::open(disk, lock, options, replay)
    }

    /// Adds a record to what the next [`Log::sync`] will write, and says its position.
    ///
    /// # Panics
    /// If the payload is larger than [`Options::payload_max`]; see [`Options::check`].
    pub fn append(&mut self, kind: u16, version: u8, payload: &[u8]) -> Position {
        self.options.assert_fits(payload);
        let sum = Batch::sum(self.batch.seed(), payload);
        self.batch.push(sum, kind, version, payload)
    }

    /// Writes and syncs what was appended, and says how far the log is durable: up to the newest record.
    ///
    /// # Errors
    /// Whatever the disk says. From then on every call fails with [`Error::Stopped`]: a failed sync must not be tried
    /// again.
    pub fn sync(&mut self) -> Result<Position, Error> {
        let spent = Batch::new(self.batch.seed(), self.batch.last() + 1, 0);
        let mut batch = std::mem::replace(&mut self.batch, spent);
        let outcome = self.commit(&batch);
        if outcome.is_ok() {
            batch.reset(self.durable + 1, self.options.max_batch_bytes);
        }
        // After a failure the records stay readable: an actor may still be rebuilt while the daemon goes down.
        self.batch = batch;
        outcome.map(|()| self.durable())
    }

    /// Copies the payload of a record, durable or not, into `into` (which is emptied first), and says its kind and
    /// version.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Forgotten`], [`Error::Damaged`] or whatever the disk says.
    pub fn read(&self, position: Position, into: &mut Vec<u8>) -> Result<(u16, u8), Error> {
        if position > self.newest() {
            return Err(Error::Unknown { position, newest: self.newest() });
        }
        match self.batch.read(position, into) {
            Some(found) => Ok(found),
            None => self.catalog.read(position, into),
        }
    }

    /// As [`super::Journal::walk`].
    ///
    /// # Errors
    /// As [`super::Journal::walk`].
    pub fn walk(
        &self,
        from: Position,
        to: Position,
        visit: &mut dyn FnMut(Record<'_>) -> ControlFlow<()>,
    ) -> Result<Position, Error> {
        self.catalog.walk(from.get(), to.get(), visit).map(Position)
    }

    /// The last record that is durable.
    #[must_use]
    pub fn durable(&self) -> Position {
        Position(self.durable)
    }

    /// The last record appended.
    #[must_use]
    pub fn newest(&self) -> Position {
        Position(self.batch.last())
    }

    /// Which log this is.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.current.header.log
    }

    /// The first record that is kept.
    #[must_use]
    pub fn begin(&self) -> Position {
        Position(self.begin)
    }

    /// Lets go of the records before this one, as far as whole segments hold nothing else. Their files go with the
    /// syncs that follow.
    pub fn forget_before(&mut self, position: Position) {
        let wanted = position.get().min(self.durable + 1);
        let Some(begin) = self.catalog.segment_of(wanted).filter(|&begin| begin > self.begin) else { return };
        self.begin = begin;
        self.forgetting.asked.extend(self.catalog.forget(begin));
    }

    /// Goes on in another segment, so that all records up to now can be let go of.
    ///
    /// # Errors
    /// As [`Log::sync`].
    pub fn begin_segment(&mut self) -> Result<(), Error> {
        if self.failed {
            return Err(Error::Stopped);
        }
        if !self.current.has_records() {
            return Ok(());
        }
        let outcome = self.rotate(self.durable + 1);
        self.failed = outcome.is_err();
        outcome
    }

    /// Lets the files go that were let go of, without waiting for records that would do it by the way.
    ///
    /// # Errors
    /// As [`Log::sync`].
    pub fn let_go(&mut self) -> Result<(), Error> {
        if self.failed {
            return Err(Error::Stopped);
        }
        if self.forgetting.is_empty() {
            return Ok(());
        }
        let outcome = self.mark_and_remove();
        self.failed = outcome.is_err();
        outcome
    }

    fn mark_and_remove(&mut self) -> Result<(), Error> {
        self.current.mark(self.durable, self.begin, false)?;
        self.forgetting.asked_is_marked();
        self.current.sync()?;
        self.forgetting.remove_marked(&*self.disk)
    }

    /// Writes and syncs a batch, whose first record must follow the durable ones.
    pub(super) fn commit(&mut self, batch: &Batch) -> Result<(), Error> {
        if self.failed {
            return Err(Error::Stopped);
        }
        if batch.is_empty() {
            return Ok(());
        }
        let outcome = self.write_out(batch);
        self.failed = outcome.is_err();
        outcome
    }

    /// Leaves the log so that no single damaged sector hides how far it goes.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        if self.failed {
            return Err(Error::Stopped);
        }
        self.current.settle(self.begin, self.durable)
    }

    /// Bytes that can be written without asking the file system for space; a waiting spare not counted.
    pub(super) fn room(&self) -> u64 {
        self.current.room()
    }

    fn write_out(&mut self, batch: &Batch) -> Result<(), Error> {
        let (mut from, mut position) = (0, batch.first());
        loop {
            let (to, next) = batch.fit(from, position, self.current.room());
            if to > from {
                self.write_piece(batch, from..to, position..next)?;
            }
            (from, position) = (to, next);
            if from == batch.bytes().len() {
                break;
            }
            self.rotate(position)?;
        }
        // Before anybody hears of it: after a kill, the mark is exact.
        self.current.mark(batch.last(), self.begin, false)?;
        self.durable = batch.last();
        self.forgetting.asked_is_marked();
        Ok(())
    }

    /// Writes and syncs frames that fit into the current segment.
    fn write_piece(
        &mut self,
        batch: &Batch,
        bytes: Range<usize>,
        positions: Range<u64>,
    ) -> Result<(), Error> {
        let base = self.current.end();
        self.current.write(&batch.bytes()[bytes.clone()])?;
        self.current.sync()?;
        self.forgetting.remove_marked(&*self.disk)?;
        let from = bytes.start as u64;
        let begins =
            batch.index().within(from..bytes.end as u64).map(|(at, offset)| (at, base + offset - from));
        self.catalog.extend(positions.end - 1, std::iter::once((positions.start, base)).chain(begins));
        Ok(())
    }

    /// Goes on in another segment, whose first record will be this one. All before it is synced.
    fn rotate(&mut self, first: u64) -> Result<(), Error> {
        let size = self.options.segment_size();
        let spare = match &self.spares {
            Spares::Inline => {
                make_spare(&*self.disk, SPARES[0], size, &AtomicBool::new(false))?.ok_or(Error::Stopped)?
            }
            Spares::Ahead(offered) => offered.recv().map_err(|_| Error::Stopped)??,
        };
        let header = Header { first, size, ..self.current.header };
        let next = Segment::start(&*self.disk, spare, header, self.begin)?;
        if self.current.has_records() {
            // Only now, so that a seal proves that the next segment was there.
            self.current.mark(first - 1, self.begin, true)?;
            self.current.sync()?;
        }
        self.current = next;
        self.catalog.add(Extent::empty(first, size));
        Ok(())
    }
}

impl Forgetting {
    fn is_empty(&self) -> bool {
        self.marked.is_empty() && self.asked.is_empty()
    }

    fn asked_is_marked(&mut self) {
        self.marked.append(&mut self.asked);
    }

    fn remove_marked(&mut self, disk: &dyn Disk) -> Result<(), Error> {
        for first in self.marked.drain(..) {
            remove(disk, &segment_name(first))?;
        }
        Ok(())
    }
}

/// Takes a segment away that is let go of; that somebody else did so is no harm.
pub(super) fn remove(disk: &dyn Disk, name: &str) -> Result<(), Error> {
    match disk.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("removing", name, error)),
        _ => Ok(()),
    }
}
