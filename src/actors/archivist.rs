//! The thread that reads the durable log behind the arbiters' backs and moves it into the archive, a window at a time: records as
//! chunks, the states that they lead to, a line for what was closed. Then the log lets go of its segments.
//!
//! One window is one edit of the archive, and it says how far of the log it covers. So a power cut at any moment leaves an archive
//! that is right about some position of the log, and a log that has everything after it.

#[cfg(test)]
mod tests;
mod window;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam::channel::{self, Receiver, RecvTimeoutError, Sender};

pub(super) use self::window::erase;
use self::window::{Visit, move_window};
use super::{keeping::Keeping, local::Shared, past::Trouble, supervision::guard};
use crate::{
    clock::Clock,
    journal::{self, Archive, Disk, Journal, Position, RealDisk},
};

/// Bytes of records that are taken into memory at a time.
const WINDOW_BYTES: usize = 32 << 20;
/// How often it looks whether there is something to do.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long it waits after an error.
const PAUSE: Duration = Duration::from_secs(5);

/// When records are moved.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Full segments are moved once the log has grown to so many bytes. A conversation that is over by then is written once; one
    /// that lives through several moves is written in each.
    pub beyond: u64,
    /// Records older than this are moved even if their segment is not full. One look costs at least as much.
    pub at_latest: Duration,
    /// Whether to begin a new segment each time, so that the log lets go of all that was moved. For tests.
    pub turns: bool,
}

/// The handle on the thread.
pub struct Archivist {
    desk: Counter,
    thread: JoinHandle<()>,
}

/// Where the thread takes orders; cheap to clone.
#[derive(Clone)]
pub struct Counter(Sender<Order>);

#[derive(Debug)]
enum Order {
    /// Move all that is durable, and say when that is done.
    Now(Sender<()>),
    /// Copy log and archive there while neither is cut.
    Copy(PathBuf, Sender<Result<u64, journal::Error>>),
    /// Go by these from now on.
    Keep(Keeping),
    End,
}

impl Archivist {
    /// Starts the thread for the data directory on this disk.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn start(
        disk: Arc<dyn Disk>,
        shared: &Shared,
        pace: Pace,
        keeping: Keeping,
    ) -> std::io::Result<Self> {
        let (orders, ordered) = channel::unbounded();
        let Shared { journal, archive, clock, .. } = shared.clone();
        let desk = Desk { disk, journal, archive, clock, pace, keeping };
        let thread = thread::Builder::new().name("archive".to_owned()).spawn(move || desk.work(&ordered))?;
        Ok(Self { desk: Counter(orders), thread })
    }

    /// Where it takes orders.
    #[must_use]
    pub fn counter(&self) -> Counter {
        self.desk.clone()
    }

    /// Ends the thread, after what it is at.
    pub fn end(self) {
        // Not there any more: it has ended by itself, and the log says why.
        let _ = self.desk.0.send(Order::End);
        // Its panic was reported where it happened; whatever it had not moved is still in the log.
        let _ = self.thread.join();
    }
}

impl Counter {
    /// Moves all that is durable now; returns when it is done, or at once if the thread has ended.
    pub fn catch_up(&self) {
        let (done, wait) = channel::bounded(1);
        if self.0.send(Order::Now(done)).is_ok() {
            // Disconnected: it did not work, and the log says why.
            let _ = wait.recv();
        }
    }

    /// Takes other rules over.
    pub fn keep(&self, keeping: Keeping) {
        // Not there any more: it has ended by itself, and the log says why.
        let _ = self.0.send(Order::Keep(keeping));
    }

    /// Copies log and archive into another, empty directory, so that a daemon can be started on it; says how many bytes that took.
    ///
    /// # Errors
    /// What kept it from it.
    pub fn copy(&self, to: PathBuf) -> Result<u64, journal::Error> {
        let (done, wait) = channel::bounded(1);
        let sent = self.0.send(Order::Copy(to, done)).is_ok();
        wait.recv().ok().filter(|_| sent).unwrap_or(Err(journal::Error::Stopped))
    }
}

/// What the thread has.
struct Desk {
    clock: Clock,
    keeping: Keeping,
    disk: Arc<dyn Disk>,
    journal: Journal,
    archive: Archive,
    pace: Pace,
}

impl Desk {
    fn work(mut self, ordered: &Receiver<Order>) {
        let look_every = LOOK_EVERY.min(self.pace.at_latest);
        let mut last = Instant::now();
        // After trouble: until when it lets things be, unless it is asked.
        let mut rests_until = last;
        loop {
            let done = match ordered.recv_timeout(look_every) {
                Ok(Order::Now(done)) => Some(done),
                Ok(Order::Copy(to, done)) => {
                    // Nobody waits any more: no harm.
                    let _ = done.send(self.copy(&to));
                    continue;
                }
                Ok(Order::Keep(keeping)) => {
                    self.keeping = keeping;
                    None
                }
                Err(RecvTimeoutError::Timeout) => None,
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => return,
            };
            if done.is_none() && Instant::now() < rests_until {
                continue;
            }
            let overdue = done.is_some() || last.elapsed() >= self.pace.at_latest;
            if overdue {
                last = Instant::now();
            }
            let outcome = guard(|| self.round(overdue)).unwrap_or(Err(Trouble::Fell));
            if let Err(trouble) = outcome {
                tracing::error!(%trouble, "the archive does not take the log over; the log keeps growing until it does");
                if let Err(error) = self.archive.reopen() {
                    tracing::error!(%error, "the archive can't be opened again");
                }
                rests_until = Instant::now() + PAUSE.min(self.pace.at_latest);
            }
            if let Some(done) = done {
                let _ = done.send(());
            }
        }
    }

    fn copy(&self, to: &Path) -> Result<u64, journal::Error> {
        let opening =
            |source| journal::Error::Io { doing: "opening", file: to.display().to_string(), source };
        journal::copy(&*self.disk, &RealDisk::open(to).map_err(opening)?)
    }

    /// Moves what is to be moved, and lets go of what was kept long enough.
    fn round(&self, overdue: bool) -> Result<(), Trouble> {
        let durable = self.journal.durable();
        let extent = self.journal.extent();
        let sealed = if extent.bytes >= self.pace.beyond { extent.sealed } else { Position::ZERO };
        let full = sealed.max(self.archive.wanted().min(durable));
        let until = if overdue { durable } else { full };
        let before = self.archive.covered();
        while self.archive.covered() < until {
            let walk = |from, to, visit: &mut Visit<'_>| self.journal.walk(from, to, visit);
            if !move_window(&self.archive, until, WINDOW_BYTES, walk)? {
                break;
            }
        }
        let soiled = self.archive.is_soiled()?;
        if soiled {
            self.archive.renew()?;
        }
        let covered = self.archive.covered();
        if covered > before || soiled {
            if self.pace.turns || soiled {
                self.journal.turn();
            }
            self.journal.forget_before(Position::new(covered.get() + 1));
        }
        if overdue || covered > before {
            self.keeping.sweep(&self.archive, self.clock.now())?;
        }
        Ok(())
    }
}
