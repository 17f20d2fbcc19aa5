//! Notices an arbiter that stands still, from a thread outside of them all. An actor that falls is the shells' business; one that never
//! comes back from a step holds up every workspace of its thread, and nothing on that thread can say so.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use crate::metrics::{
    Metrics,
    exporter::{Readiness, Stage},
};

/// How often an arbiter shows that it turns, and how often that is looked at.
const ROUND: Duration = Duration::from_millis(200);

/// An arbiter's sign of life: a number that changes as long as it turns.
pub(super) type Pulse = Arc<AtomicU64>;

/// Changes the number for as long as the arbiter turns.
pub(super) async fn beat(pulse: Pulse) {
    loop {
        pulse.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(ROUND).await;
    }
}

/// When to speak up, and when to give up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Stuck for so long: said in the log and the metrics, and the daemon is not ready.
    pub(super) stuck_after: Duration,
    /// Stuck for so long: the process aborts. `None`: never.
    pub(super) abort_after: Option<Duration>,
}

/// The thread that looks.
pub(super) struct Watchdog {
    stop: mpsc::Sender<()>,
    thread: thread::JoinHandle<()>,
}

/// What is known of one arbiter.
#[derive(Debug, Default)]
struct Watched {
    seen: u64,
    still: Duration,
    stuck: bool,
}

/// What a look at an arbiter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// As before.
    Same,
    /// It is stuck now.
    Stuck,
    /// It turns again.
    Turns,
    /// It will not come back.
    Hopeless,
}

impl Watched {
    /// Looks once. Counts the time between two looks as one round at most twice over: a machine that was suspended, or so busy that this
    /// thread did not run either, stuck nobody.
    fn look(&mut self, pulse: u64, passed: Duration, bounds: &Bounds) -> Look {
        if pulse != self.seen {
            self.seen = pulse;
            self.still = Duration::ZERO;
            return if std::mem::take(&mut self.stuck) { Look::Turns } else { Look::Same };
        }
        self.still += passed.min(ROUND * 2);
        if bounds.abort_after.is_some_and(|bound| self.still >= bound) {
            Look::Hopeless
        } else if self.still >= bounds.stuck_after && !self.stuck {
            self.stuck = true;
            Look::Stuck
        } else {
            Look::Same
        }
    }
}

impl Watchdog {
    /// Watches these arbiters from now on.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(
        pulses: Vec<Pulse>,
        bounds: Bounds,
        readiness: Readiness,
        metrics: Metrics,
    ) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let watch = move || watch(&pulses, &bounds, &readiness, &metrics, &stopped);
        let thread = thread::Builder::new().name("watchdog".to_owned()).spawn(watch)?;
        Ok(Self { stop, thread })
    }

    /// Looks no more.
    pub(super) fn stop(self) {
        // It has ended already if nobody listens.
        let _ = self.stop.send(());
        if self.thread.join().is_err() {
            tracing::error!("the watchdog had panicked");
        }
    }
}

fn watch(
    pulses: &[Pulse],
    bounds: &Bounds,
    readiness: &Readiness,
    metrics: &Metrics,
    stopped: &mpsc::Receiver<()>,
) {
    let mut arbiters: Vec<Watched> = pulses.iter().map(|_| Watched::default()).collect();
    let mut last = Instant::now();
    while stopped.recv_timeout(ROUND) == Err(RecvTimeoutError::Timeout) {
        let passed = last.elapsed();
        last = Instant::now();
        for (arbiter, (watched, pulse)) in arbiters.iter_mut().zip(pulses).enumerate() {
            match watched.look(pulse.load(Ordering::Relaxed), passed, bounds) {
                Look::Same => {}
                Look::Stuck => tracing::error!(
                    arbiter,
                    still_ms = u64::try_from(watched.still.as_millis()).unwrap_or(u64::MAX),
                    "an arbiter stands still: everything on it waits"
                ),
                Look::Turns => tracing::warn!(arbiter, "an arbiter that stood still turns again"),
                Look::Hopeless => {
                    // What was acknowledged is in the log; what stands still acknowledges nothing more (docs/decisions/0007).
                    tracing::error!(
                        arbiter,
                        "an arbiter stands still for too long: aborting, to recover from what is on disk"
                    );
                    std::process::abort();
                }
            }
        }
        let stuck = arbiters.iter().filter(|arbiter| arbiter.stuck).count();
        metrics.actors.stuck.set(stuck as u64);
        readiness.set(match stuck {
            0 => Stage::Ready,
            count => Stage::Stuck { reason: format!("{count} of {} arbiters stand still", pulses.len()) },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds =
        Bounds { stuck_after: Duration::from_secs(1), abort_after: Some(Duration::from_secs(3)) };

    #[test]
    fn an_arbiter_that_turns_is_never_stuck() {
        let mut arbiter = Watched::default();
        for pulse in 1..100 {
            assert_eq!(arbiter.look(pulse, ROUND, &BOUNDS), Look::Same);
        }
    }

    #[test]
    fn one_that_stands_still_is_said_once_then_given_up() {
        let mut arbiter = Watched::default();
        let looks: Vec<Look> = (0..15).map(|_| arbiter.look(0, ROUND, &BOUNDS)).collect();
        assert_eq!(looks.iter().position(|look| *look == Look::Stuck), Some(4), "after a second");
        assert_eq!(looks.iter().filter(|look| **look == Look::Stuck).count(), 1);
        assert_eq!(looks.iter().position(|look| *look == Look::Hopeless), Some(14), "after three");
    }

    #[test]
    fn one_that_turns_again_is_well() {
        let mut arbiter = Watched::default();
        for _ in 0..6 {
            arbiter.look(0, ROUND, &BOUNDS);
        }
        assert_eq!(arbiter.look(1, ROUND, &BOUNDS), Look::Turns);
        assert_eq!(arbiter.look(2, ROUND, &BOUNDS), Look::Same);
    }

    /// The whole process stood still, the watchdog with it: that is nobody's fault.
    #[test]
    fn a_pause_of_everything_counts_little() {
        let mut arbiter = Watched::default();
        assert_eq!(arbiter.look(0, Duration::from_secs(3_600), &BOUNDS), Look::Same);
    }
}
