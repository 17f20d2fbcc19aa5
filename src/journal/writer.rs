//! The two threads behind a [`Journal`](super::Journal): one writes and syncs, one zeroes the next segment.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam::channel::{Receiver, SendTimeoutError, Sender};

use super::{
    Position, Reserve,
    batch::Batch,
    disk::Disk,
    error::Error,
    log::{Log, Spares},
    segment::{SPARES, Spare, make_spare},
    shared::Shared,
};

/// How long after a failure the next spare is tried.
const RETRY: Duration = Duration::from_secs(1);

/// A spare, or why there is none.
type Offer = Result<Spare, Error>;

/// The thread that writes and syncs.
pub(super) struct Writer {
    pub(super) log: Log,
    pub(super) shared: Arc<Shared>,
    pub(super) doorbell: Receiver<()>,
    /// The memory of the batch before, to be used again.
    pub(super) reusable: Option<Batch>,
    pub(super) helper: Helper,
}

/// The thread that zeroes, as the writer sees it.
pub(super) struct Helper {
    pub(super) thread: JoinHandle<()>,
    pub(super) stop: Arc<AtomicBool>,
}

impl Writer {
    /// Runs until the journal is closed or fails; `on_failure` hears of the latter.
    pub(super) fn run(mut self, on_failure: Box<dyn FnOnce(Error) + Send>) -> Result<(), Error> {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.serve())).unwrap_or(Err(Error::Stopped));
        // Whoever waits for a position sees the channel close instead.
        self.shared.watchers().clear();
        let outcome = outcome.map_err(|error| {
            on_failure(error);
            Error::Stopped
        });
        // The helper must be gone before the log, with which the lock on the directory goes.
        let Self { mut log, helper, .. } = self;
        helper.stop.store(true, Ordering::Relaxed);
        log.spares = Spares::Inline;
        let helped = helper.thread.join().map_err(|_| Error::Stopped);
        outcome.and(helped)
    }

    fn serve(&mut self) -> Result<(), Error> {
        let mut last_commit: Option<Instant> = None;
        loop {
            let orphaned = self.doorbell.recv().is_err();
            let closing = orphaned || self.shared.closing.load(Ordering::Acquire);
            let gap = self.log.options.commit_interval;
            if let Some(last) = last_commit.filter(|_| !closing && !gap.is_zero()) {
                thread::sleep(gap.saturating_sub(last.elapsed()));
            }
            last_commit = Some(Instant::now());
            self.commit()?;
            if closing {
                return self.log.settle();
            }
        }
    }

    /// Writes and syncs what is pending; what comes meanwhile is the next batch.
    fn commit(&mut self) -> Result<(), Error> {
        if self.shared.turn.swap(false, Ordering::AcqRel) {
            self.log.begin_segment()?;
        }
        let forget =
            self.shared.forget.load(Ordering::Acquire).min(self.shared.needed.load(Ordering::Acquire));
        if forget > self.log.begin().get() {
            self.log.forget_before(Position(forget));
        }
        let Some(batch) = self.shared.take_pending(self.reusable.take()) else { return self.log.let_go() };
        let started = Instant::now();
        self.log.commit(&batch)?;
        let took = started.elapsed();
        self.shared.publish(&batch, took, self.log.room());
        self.reusable = Arc::into_inner(batch);
        Ok(())
    }
}

/// The thread that zeroes the next segment while the current one fills.
pub(super) struct Zeroer {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) size: u64,
    pub(super) offers: Sender<Offer>,
    pub(super) shared: Arc<Shared>,
    pub(super) stop: Arc<AtomicBool>,
}

impl Zeroer {
    /// Makes one spare after the other, each when the one before was taken, until nobody wants any.
    pub(super) fn run(self) {
        let mut made: usize = 0;
        loop {
            self.shared.set_reserve(Reserve::Making);
            let name = SPARES[made % SPARES.len()];
            let wanted = match make_spare(&*self.disk, name, self.size, &self.stop) {
                Ok(None) => false,
                Ok(Some(spare)) => {
                    made += 1;
                    self.shared.set_reserve(Reserve::Ready(self.size));
                    self.offers.send(Ok(spare)).is_ok()
                }
                Err(error) => self.report(error),
            };
            if !wanted {
                return;
            }
        }
    }

    /// No harm yet: the current segment may last until a spare can be made again. Only if the writer needs one
    /// meanwhile does it get the error.
    fn report(&self, error: Error) -> bool {
        let full = error.is_full();
        self.shared.set_reserve(if full { Reserve::DiskFull } else { Reserve::Failing });
        !matches!(self.offers.send_timeout(Err(error), RETRY), Err(SendTimeoutError::Disconnected(_)))
    }
}
