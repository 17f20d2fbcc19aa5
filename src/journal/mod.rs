//! What was acknowledged survives a kill and a power cut, in the order in which it happened.
//!
//! Holds: the log (records in segments, group commit, recovery) and the seam to the disk.
//! Knows: bytes, files, positions. Never: actors, transport, what an event means.
//! Start reading at: [`Journal`], then [`Log`]; `docs/journal.md` draws the bytes and tells what recovery does.

mod archive;
mod batch;
mod catalog;
mod copy;
pub mod disk;
mod error;
mod format;
mod log;
mod outgoing;
mod recovery;
mod segment;
mod shared;
mod window;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    ops::ControlFlow,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam::channel::{self, Receiver, Sender};
use serde::{Deserialize, Serialize};

pub use self::{
    archive::{Archive, Edit, Shelf, View},
    copy::copy,
    disk::{Disk, DiskFile, RealDisk, SimDisk},
    error::Error,
    log::Log,
    outgoing::{Changes, Outgoing, Tray},
};
use self::{
    batch::Batch,
    format::{BLOCK, DATA, FRAME},
    log::Spares,
    shared::{Shared, Watcher},
    writer::{Helper, Writer, Zeroer},
};

/// The largest payload that the format can hold, in bytes. [`Options::payload_max`] may be less.
pub const PAYLOAD_MAX: usize = 1 << 20;

/// A record's place in the log: 1, 2, 3, …
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// Before the first record.
    pub const ZERO: Self = Self(0);

    /// The position with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One entry of the log. Kind and version are the caller's; the log only keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Where it is.
    pub position: Position,
    /// What the payload is.
    pub kind: u16,
    /// In which form.
    pub version: u8,
    /// The caller's bytes.
    pub payload: &'a [u8],
}

/// A data directory that nobody else may use for as long as this lives.
pub struct Lock(#[expect(dead_code, reason = "held, never read")] Box<dyn Send + Sync>);

impl Lock {
    /// Takes the directory.
    ///
    /// # Errors
    /// [`Error::Locked`], or what the disk says.
    pub fn take(disk: &dyn Disk) -> Result<Self, Error> {
        recovery::lock(disk)
    }
}

/// How the log is kept. All may be changed from one start to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Bytes of a file of the log, rounded up to 4 KiB. 64 MiB unless set. At least [`Options::payload_max`] and 13
    /// KiB.
    pub segment_bytes: u64,
    /// Least time between the beginnings of two commits. Zero unless set: a commit begins when the one before has
    /// ended. A millisecond halves the cost per record of a busy journal, and is added to the time that every
    /// acknowledgement takes.
    pub commit_interval: Duration,
    /// When so many bytes wait, [`Journal::append`] rings for a commit by itself. 1 MiB unless set. No limit: what
    /// waits is always written as one batch.
    pub max_batch_bytes: usize,
    /// Bytes that a payload may have. [`PAYLOAD_MAX`] unless set, and at most that.
    pub payload_max: usize,
    /// Names the log when it is begun, so that files of another are recognized. Random unless set.
    pub log_id: Option<[u8; 16]>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            commit_interval: Duration::ZERO,
            max_batch_bytes: 1 << 20,
            payload_max: PAYLOAD_MAX,
            log_id: None,
        }
    }
}

impl Options {
    /// Whether a payload of so many bytes can be appended. To be asked before deciding anything that needs recording.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub const fn check(&self, length: usize) -> Result<(), Error> {
        if length > self.payload_max {
            return Err(Error::TooLarge { length, limit: self.payload_max });
        }
        Ok(())
    }

    fn assert_fits(&self, payload: &[u8]) {
        let (length, limit) = (payload.len(), self.payload_max);
        assert!(length <= limit, "a record of {length} bytes was appended unchecked; the limit is {limit}");
    }

    fn segment_size(&self) -> u64 {
        self.segment_bytes.next_multiple_of(BLOCK)
    }

    fn check_consistency(&self) -> Result<(), Error> {
        if self.payload_max > PAYLOAD_MAX {
            return Err(Error::Options(format!("payload_max is at most {PAYLOAD_MAX}")));
        }
        let least = DATA + (FRAME + self.payload_max) as u64;
        if self.segment_bytes < least || self.segment_bytes > 1 << 40 {
            return Err(Error::Options(format!("segment_bytes is at least {least} and at most 1 TiB")));
        }
        Ok(())
    }
}

/// What was found when a log was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// How many records were replayed.
    pub records: u64,
    /// The first that the log keeps, or would keep.
    pub first: Position,
    /// The last one; [`Position::ZERO`] if there never was any.
    pub last: Position,
    /// Bytes of an unfinished, never acknowledged tail that were cut off.
    pub cut_bytes: u64,
    /// Files of the log.
    pub segments: usize,
    /// How long it took.
    pub elapsed: Duration,
}

/// What the space for the next segment is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reserve {
    /// It is being made.
    #[default]
    Making,
    /// It is there, with so many bytes.
    Ready(u64),
    /// The disk is full. The daemon should take no new work; the log ends when the current segment is full.
    DiskFull,
    /// It cannot be made for another reason.
    Failing,
}

/// What the log still has room for. It ends when the current segment is full and there is no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// Whatever comes.
    Enough,
    /// No next segment can be made, for now: what is left is for what is under way.
    NothingNew,
    /// Less than a twentieth of a segment is left: only for ending things.
    Endings,
}

/// Plain numbers for the metrics, since the journal was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Batches made durable.
    pub commits: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes in them, frames included.
    pub bytes: u64,
    /// How long the last batch took to write and sync.
    pub last_sync: Duration,
    /// How long all of them took.
    pub total_sync: Duration,
    /// How long the slowest took.
    pub slowest_sync: Duration,
    /// Records of the last batch.
    pub last_batch_records: u64,
    /// Bytes of the last batch.
    pub last_batch_bytes: u64,
    /// Bytes left in the current segment.
    pub room_bytes: u64,
    /// The next segment.
    pub reserve: Reserve,
}

/// What a log has on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogExtent {
    /// The first record that is kept.
    pub first: Position,
    /// The last record that is not in the segment being written.
    pub sealed: Position,
    /// Bytes of its files.
    pub bytes: u64,
    /// How many files.
    pub segments: usize,
}

type Thread = JoinHandle<Result<(), Error>>;

/// The log of a running daemon: appends from any thread, one thread that writes. Clones are handles to the same.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
    doorbell: Sender<()>,
    /// Joined by the first to close.
    writer: Arc<Mutex<Option<Thread>>>,
}

impl Journal {
    /// Opens the log as [`Log::open`] does and starts its threads. `on_failure` is called on the journal's thread
    /// after any error in writing or syncing; nothing is acknowledged from then on, and the daemon is to abort and
    /// recover from the disk.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        replay: &mut dyn FnMut(Record<'_>),
        on_failure: Box<dyn FnOnce(Error) + Send>,
    ) -> Result<(Self, Recovery), Error> {
        let lock = Lock::take(&*disk)?;
        Self::open_locked(disk, lock, options, replay, on_failure)
    }

    /// As [`Journal::open`], of a directory that is locked already.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_locked(
        disk: Arc<dyn Disk>,
        lock: Lock,
        options: Options,
        replay: &mut dyn FnMut(Record<'_>),
        on_failure: Box<dyn FnOnce(Error) + Send>,
    ) -> Result<(Self, Recovery), Error> {
        let (mut log, recovery) = Log::open_locked(Arc::clone(&disk), lock, options, replay)?;
        let shared = Arc::new(Shared::new(&log));
        let (doorbell, rings) = channel::bounded(1);
        let (offers, offered) = channel::bounded(0);
        log.spares = Spares::Ahead(offered);
        let stop_zeroer = Arc::new(AtomicBool::new(false));
        let zeroer = Zeroer {
            disk,
            size: log.options.segment_size(),
            offers,
            shared: Arc::clone(&shared),
            stop: Arc::clone(&stop_zeroer),
        };
        let zeroer = spawn("journal-zeros", move || zeroer.run())?;
        let helper = Helper { thread: zeroer, stop: stop_zeroer };
        let writer = Writer { log, shared: Arc::clone(&shared), doorbell: rings, reusable: None, helper };
        let writer = spawn("journal", move || writer.run(on_failure))?;
        Ok((Self { shared, doorbell, writer: Arc::new(Mutex::new(Some(writer))) }, recovery))
    }

    /// Adds a record to what the next commit will write, and says its position. Rings only when
    /// [`Options::max_batch_bytes`] wait; else [`Journal::commit`] is the caller's duty. After a failure or
    /// [`Journal::close`] it is never written.
    ///
    /// # Panics
    /// If the payload is larger than [`Options::payload_max`]; see [`Journal::check`].
    pub fn append(&self, kind: u16, version: u8, payload: &[u8]) -> Position {
        self.shared.options.assert_fits(payload);
        let sum = Batch::sum(self.shared.seed, payload);
        let (position, waiting) = {
            let mut tail = self.shared.tail();
            let position = tail.pending.push(sum, kind, version, payload);
            self.shared.newest.store(position.get(), Ordering::Release);
            (position, tail.pending.bytes().len())
        };
        if waiting >= self.shared.options.max_batch_bytes {
            self.commit();
        }
        position
    }

    /// Whether a payload of so many bytes can be appended. To be asked before deciding anything that needs recording.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn check(&self, length: usize) -> Result<(), Error> {
        self.shared.options.check(length)
    }

    /// Rings for what was appended to be written and synced. Returns at once.
    pub fn commit(&self) {
        // Full: a ring is waiting already. Disconnected: the journal has stopped, and says so elsewhere.
        let _ = self.doorbell.try_send(());
    }

    /// The last record that is durable.
    #[must_use]
    pub fn durable(&self) -> Position {
        Position(self.shared.durable.load(Ordering::Acquire))
    }

    /// The last record appended.
    #[must_use]
    pub fn newest(&self) -> Position {
        Position(self.shared.newest.load(Ordering::Acquire))
    }

    /// A channel that has the newest durable position whenever it has become a later one since the last look; `wake`
    /// is called each time, on the journal's thread, so it must be short. What became durable before the call is only
    /// in [`Journal::durable`]. The channel closes when the journal stops.
    #[must_use]
    pub fn watch(&self, wake: Box<dyn Fn() + Send>) -> Receiver<Position> {
        let (news, receiver) = channel::bounded(1);
        self.shared.watchers().push(Watcher { news, stale: receiver.clone(), wake });
        receiver
    }

    /// Copies the payload of a record, durable or not, into `into` (which is emptied first), and says its kind and
    /// version.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Forgotten`], [`Error::Damaged`] or whatever the disk says.
    pub fn read(&self, position: Position, into: &mut Vec<u8>) -> Result<(u16, u8), Error> {
        let newest = self.newest();
        if position > newest {
            return Err(Error::Unknown { position, newest });
        }
        let flying = {
            let tail = self.shared.tail();
            if let Some(found) = tail.pending.read(position, into) {
                return Ok(found);
            }
            tail.flying.clone()
        };
        match flying.and_then(|batch| batch.read(position, into)) {
            Some(found) => Ok(found),
            None => self.shared.catalog.read(position, into),
        }
    }

    /// Hands over durable records from `from` to `to`, both included, in order, until there are none left or `visit` has
    /// enough; says which one was the last. Meant for many: it reads ahead.
    ///
    /// # Errors
    /// [`Error::Forgotten`], [`Error::Damaged`] or whatever the disk says.
    pub fn walk(
        &self,
        from: Position,
        to: Position,
        visit: &mut dyn FnMut(Record<'_>) -> ControlFlow<()>,
    ) -> Result<Position, Error> {
        self.shared.catalog.walk(from.get(), to.get(), visit).map(Position)
    }

    /// What the log has on the disk.
    #[must_use]
    pub fn extent(&self) -> LogExtent {
        let (first, sealed, bytes, segments) = self.shared.catalog.extent();
        LogExtent { first: Position(first), sealed: Position(sealed), bytes, segments }
    }

    /// Which log this is: random, the same for as long as it lives.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.shared.id
    }

    /// Goes on in another segment with the next commit, so that [`Journal::forget_before`] can let go of all there is now.
    pub fn turn(&self) {
        self.shared.turn.store(true, Ordering::Release);
        self.commit();
    }

    /// Lets go of the records before this one, as far as whole segments hold nothing else, with one of the next
    /// commits.
    pub fn forget_before(&self, position: Position) {
        self.shared.forget.fetch_max(position.get(), Ordering::AcqRel);
    }

    /// Somebody else reads the log and needs what comes after this one, whatever is forgotten; `None`: nobody does any more.
    pub fn hold_after(&self, position: Option<Position>) {
        let needed = position.map_or(u64::MAX, |position| position.get().saturating_add(1));
        self.shared.needed.store(needed, Ordering::Release);
    }

    /// Writes and syncs what was appended, stops the threads and gives the directory free. Another call finds nothing
    /// to do.
    ///
    /// # Errors
    /// [`Error::Stopped`] if the journal failed, now or before; `on_failure` had the reason.
    pub fn close(&self) -> Result<(), Error> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writer) = writer else { return Ok(()) };
        self.shared.closing.store(true, Ordering::Release);
        self.commit();
        writer.join().unwrap_or(Err(Error::Stopped))
    }

    /// What there is room for. Cheap enough to be asked for each command; back to [`Space::Enough`] by itself, at most
    /// a second after there is space again.
    #[must_use]
    pub fn space(&self) -> Space {
        self.shared.space()
    }

    /// Plain numbers for the metrics.
    #[must_use]
    pub fn stats(&self) -> Stats {
        *self.shared.stats()
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("durable", &self.durable())
            .field("newest", &self.newest())
            .finish_non_exhaustive()
    }
}

fn spawn<T: Send + 'static>(
    name: &'static str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Error> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|e| Error::io("starting the thread", name, e))
}
