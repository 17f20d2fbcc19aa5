//! What a connection still has to send: one buffer of encoded frames, bounded in bytes, filled from any thread.
//!
//! Whoever has something to say encodes it straight into the buffer; the connection's writer takes the whole buffer
//! at its next wake-up. No message passes through a channel or an actor on its way out.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use super::{close::Farewell, counters::Counters};
use crate::protocol::{
    EncodeError, Encoding, Notice, RefusalCode, Reply, bounded::Text, notice::GoAway, reply::Refused,
    words::GoAwayReason,
};

/// A burst made in one go may reach this multiple of the byte bound before the writer had its turn: that is the
/// daemon's own doing, not a slow reader's.
const BURST: usize = 4;

/// Buffers above this many bytes are given back when they are empty.
const KEEP: usize = 16 * 1024;

/// How much may be under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Unsent bytes per connection.
    pub outbox_bytes: usize,
    /// Requests taken in and not yet answered, per connection.
    pub in_flight: usize,
    /// The same over all connections.
    pub in_flight_total: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { outbox_bytes: 256 * 1024, in_flight: 4_096, in_flight_total: 65_536 }
    }
}

/// How much a client misses if it does not get a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It must arrive, or the connection ends.
    Essential,
    /// Typing, presence, positions: the next one says it anew.
    Droppable,
}

/// For whom a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Somebody who is not there yet. They are the first to be turned away: a quarter of each bound on requests in flight is kept for
    /// those who are, so that what is open is accepted, answered and closed however many come.
    Newcomer,
    /// Somebody who is.
    Guest,
}

impl Who {
    fn of(self, bound: usize) -> usize {
        match self {
            Self::Newcomer => bound - bound / 4,
            Self::Guest => bound,
        }
    }
}

/// An in-flight bound is reached; answer `overloaded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Overload {
    /// This connection's bound.
    #[error("too many unanswered requests on this connection")]
    Connection,
    /// The bound over all connections.
    #[error("too many unanswered requests in all")]
    Total,
}

/// What all outboxes of a process share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) bounds: Bounds,
    pub(super) counters: Arc<Counters>,
    in_flight: AtomicUsize,
}

impl Common {
    pub(super) fn new(bounds: Bounds, counters: Arc<Counters>) -> Self {
        Self { bounds, counters, in_flight: AtomicUsize::new(0) }
    }

    /// Requests in flight over all connections.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }
}

/// One connection's outgoing side. Shared by everybody who may have something to tell this client.
#[derive(Debug)]
pub struct Outbox {
    encoding: Encoding,
    common: Arc<Common>,
    state: Mutex<State>,
    /// Wakes the writer.
    filled: Notify,
    /// Wakes the reader, when it waits for the answer to a Hello or for a slow peer.
    eased: Notify,
    /// Wakes the writer out of a write that takes too long, once the connection is to end.
    ending: Notify,
}

#[derive(Debug)]
struct State {
    /// Whole frames not yet taken by the writer.
    pending: Vec<u8>,
    /// How many frames those are.
    frames: u64,
    /// Bytes the writer took and has not got rid of. Above zero for longer than an instant: the peer is slow.
    writing: usize,
    in_flight: usize,
    /// The reader waits for an answer or for room.
    reader_waits: bool,
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Open,
    /// Closes with these words, if any, when the last request in flight is answered.
    Leaving(Option<GoAway>),
    /// The last frame is in the buffer.
    Closing(Farewell),
    Closed,
}

impl Outbox {
    pub(super) fn new(encoding: Encoding, common: Arc<Common>) -> Self {
        let state = State {
            pending: Vec::new(),
            frames: 0,
            writing: 0,
            in_flight: 0,
            reader_waits: false,
            phase: Phase::Open,
        };
        Self {
            encoding,
            common,
            state: Mutex::new(state),
            filled: Notify::new(),
            eased: Notify::new(),
            ending: Notify::new(),
        }
    }

    /// How this connection's messages are written.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Whether anything pushed still has a chance to arrive.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.lock().phase, Phase::Open | Phase::Leaving(_))
    }

    /// Counts one request as in flight, until its reply is pushed. A request over a bound must be answered with
    /// [`Outbox::push_aside`], as it was never counted.
    ///
    /// # Errors
    /// Which bound is reached.
    pub fn begin(&self, who: Who) -> Result<(), Overload> {
        let Bounds { in_flight, in_flight_total, .. } = self.common.bounds;
        let mut state = self.lock();
        let overload = if state.in_flight >= who.of(in_flight) {
            Overload::Connection
        } else if self.common.in_flight.fetch_add(1, Ordering::Relaxed) >= who.of(in_flight_total) {
            self.common.in_flight.fetch_sub(1, Ordering::Relaxed);
            Overload::Total
        } else {
            state.in_flight += 1;
            return Ok(());
        };
        drop(state);
        self.common.counters.overloaded.one();
        Err(overload)
    }

    /// Sends the reply to a request that [`Outbox::begin`] counted, and ends its being in flight.
    pub fn push_reply(&self, request: u32, reply: &Reply) {
        let mut state = self.lock();
        if state.in_flight > 0 {
            state.in_flight -= 1;
            self.common.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
        self.reply(&mut state, request, reply);
        if state.in_flight == 0
            && let Phase::Leaving(words) = state.phase
        {
            self.say_goodbye(&mut state, words);
        }
    }

    /// Sends a reply to a request that was never counted as in flight.
    pub fn push_aside(&self, request: u32, reply: &Reply) {
        self.reply(&mut self.lock(), request, reply);
    }

    /// Sends a notice.
    pub fn push_notice(&self, notice: &Notice, class: Class) {
        // A notice that cannot be written is counted and logged; its recipient did not ask for it.
        let _ = self.append(&mut self.lock(), class, |encoding, buffer| notice.encode(encoding, buffer));
    }

    /// Sends one whole frame, already encoded in [`Outbox::encoding`], so that many recipients share one encoding.
    pub fn push_encoded(&self, frame: &[u8], class: Class) {
        let _ = self.append(&mut self.lock(), class, |_, buffer| {
            buffer.extend_from_slice(frame);
            Ok(())
        });
    }

    /// Says why, flushes and closes. What is pushed later is dropped. Only the first call counts.
    pub fn close(&self, reason: GoAwayReason, retry_after: Option<Duration>) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Open | Phase::Leaving(_)) {
            self.say_goodbye(&mut state, Some(words(reason, retry_after)));
        }
    }

    /// As [`Outbox::close`], but first lets the requests in flight be answered. Nothing new is read meanwhile.
    pub fn leave(&self, reason: GoAwayReason, retry_after: Option<Duration>) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Open) {
            self.depart(&mut state, Some(words(reason, retry_after)));
        }
    }

    /// Unsent bytes, and requests in flight: for tests and for `connections` listings.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        let state = self.lock();
        (state.pending.len() + state.writing, state.in_flight)
    }

    /// Whether notices of so many bytes would not be dropped, after others that are on their way. If nothing is, any may come.
    #[must_use]
    pub fn has_room(&self, promised: usize, bytes: usize) -> bool {
        let state = self.lock();
        let unsent = state.pending.len() + state.writing + promised;
        unsent == 0 || unsent + bytes <= self.common.bounds.outbox_bytes / 2
    }

    fn depart(&self, state: &mut State, words: Option<GoAway>) {
        if state.in_flight == 0 {
            self.say_goodbye(state, words);
        } else {
            state.phase = Phase::Leaving(words);
        }
    }

    fn reply(&self, state: &mut State, request: u32, reply: &Reply) {
        let sent =
            self.append(state, Class::Essential, |encoding, buffer| reply.encode(encoding, request, buffer));
        if let Err(error) = sent {
            // The asker must not wait for ever for an answer that cannot be written.
            let code = match error {
                EncodeError::TooLarge => RefusalCode::TooLarge,
                EncodeError::OutOfRange(_) | EncodeError::Failed(_) => RefusalCode::Failed,
            };
            let refused = refused(code, &error.to_string());
            let _ = self.append(state, Class::Essential, |encoding, buffer| {
                refused.encode(encoding, request, buffer)
            });
        }
        self.ease(state);
    }

    /// Lets `encode` write into the buffer, unless the connection is ending or the bytes do not fit.
    fn append(
        &self,
        state: &mut State,
        class: Class,
        encode: impl FnOnce(Encoding, &mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        if !matches!(state.phase, Phase::Open | Phase::Leaving(_)) {
            return Ok(());
        }
        let before = state.pending.len();
        if let Err(error) = encode(self.encoding, &mut state.pending) {
            state.pending.truncate(before);
            self.common.counters.unencodable.one();
            tracing::error!(%error, "a message could not be encoded");
            return Err(error);
        }
        if state.pending.len() + state.writing > self.bound(state, class) {
            state.pending.truncate(before);
            match class {
                Class::Droppable => self.common.counters.notices_dropped.one(),
                Class::Essential => self.give_up(state),
            }
            return Ok(());
        }
        state.frames += 1;
        // The kind stands after the length.
        if let Some([high, low]) = state.pending.get(before + 4..before + 6) {
            self.common.counters.kinds.of(u16::from_be_bytes([*high, *low])).one();
        }
        if before == 0 {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Half is for everybody, the other half for what must arrive. While the writer gets rid of what it takes, more
    /// may pile up within one turn of the arbiter.
    fn bound(&self, state: &State, class: Class) -> usize {
        let bytes = self.common.bounds.outbox_bytes;
        match (class, state.writing > 0) {
            (Class::Droppable, true) => bytes / 2,
            (Class::Droppable, false) | (Class::Essential, true) => bytes,
            (Class::Essential, false) => bytes * BURST,
        }
    }

    /// The reader is too slow: what it did not take is dropped, and it is told so as far as it still listens.
    fn give_up(&self, state: &mut State) {
        state.pending = Vec::new();
        state.frames = 0;
        self.common.counters.slow_consumers.one();
        self.say_goodbye(state, Some(words(GoAwayReason::SlowConsumer, Some(CATCH_BREATH))));
    }

    fn say_goodbye(&self, state: &mut State, words: Option<GoAway>) {
        let farewell = match words {
            Some(words) => {
                if let Err(error) = Notice::GoAway(words).encode(self.encoding, &mut state.pending) {
                    tracing::error!(%error, "a GoAway could not be encoded");
                }
                state.frames += 1;
                self.common.counters.go_aways.one();
                Farewell::Told(words.reason)
            }
            None => Farewell::Silent,
        };
        self.finish(state, Phase::Closing(farewell));
    }

    fn finish(&self, state: &mut State, phase: Phase) {
        self.common.in_flight.fetch_sub(std::mem::take(&mut state.in_flight), Ordering::Relaxed);
        state.phase = phase;
        self.filled.notify_one();
        self.ending.notify_one();
        self.ease(state);
    }

    fn ease(&self, state: &mut State) {
        if std::mem::take(&mut state.reader_waits) {
            self.eased.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the connection's own reader and writer do with it.
impl Outbox {
    /// Resolves when the writer has something to do. Wakes without reason are possible.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Resolves once the connection is to end.
    pub(super) async fn ending(&self) {
        self.ending.notified().await;
    }

    /// Swaps the pending bytes into `batch`, which must be empty. `Some` says that nothing follows them.
    pub(super) fn take(&self, batch: &mut Vec<u8>) -> Option<Farewell> {
        let mut state = self.lock();
        std::mem::swap(&mut state.pending, batch);
        state.writing = batch.len();
        let frames = std::mem::take(&mut state.frames);
        let farewell = match state.phase {
            Phase::Closing(farewell) => Some(farewell),
            Phase::Closed => Some(Farewell::Silent),
            Phase::Open | Phase::Leaving(_) => None,
        };
        drop(state);
        self.common.counters.frames_out.add(frames);
        self.common.counters.bytes_out.add(batch.len() as u64);
        farewell
    }

    /// The batch is written: its buffer is free again.
    pub(super) fn written(&self, batch: &mut Vec<u8>) {
        batch.clear();
        if batch.capacity() > KEEP {
            *batch = Vec::new();
        }
        let mut state = self.lock();
        state.writing = 0;
        self.ease(&mut state);
    }

    /// The reader is about to cause an answer that it will wait for with [`Outbox::eased`].
    pub(super) fn expect_answer(&self) {
        self.lock().reader_waits = true;
    }

    /// Whether the peer takes so little that nothing more should be read from it for now. If so, [`Outbox::eased`]
    /// says when to ask again.
    pub(super) fn is_crowded(&self) -> bool {
        let mut state = self.lock();
        let unsent = state.writing + state.pending.len();
        let crowded = state.writing > 0 && unsent > self.common.bounds.outbox_bytes / 2;
        state.reader_waits |= crowded;
        crowded
    }

    /// Resolves after the next answer, write or close. Waking too often is possible.
    pub(super) async fn eased(&self) {
        self.eased.notified().await;
    }

    /// Whether frames that arrive are still to be handled.
    pub(super) fn listens(&self) -> bool {
        matches!(self.lock().phase, Phase::Open)
    }

    /// The client has nothing more to say: close when everything in flight is answered.
    pub(super) fn hang_up(&self) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Open) {
            self.depart(&mut state, None);
        }
    }

    /// The peer took nothing of the last batch for too long.
    pub(super) fn stalled(&self) -> Farewell {
        self.common.counters.slow_consumers.one();
        self.end();
        Farewell::Told(GoAwayReason::SlowConsumer)
    }

    /// The connection was to end, and the peer did not take the last frames in time.
    pub(super) fn given_up(&self) -> Farewell {
        let phase = self.lock().phase;
        self.end();
        match phase {
            Phase::Closing(farewell) => farewell,
            Phase::Open | Phase::Leaving(_) | Phase::Closed => Farewell::Silent,
        }
    }

    /// The connection is gone: nothing pushed from here on is kept.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.pending = Vec::new();
        state.frames = 0;
        state.writing = 0;
        self.finish(&mut state, Phase::Closed);
    }
}

/// What a reader that was too slow waits before it comes back: at once, it would fall behind again.
const CATCH_BREATH: Duration = Duration::from_secs(1);

/// A refusal with a sentence for people.
pub(super) fn refused(code: RefusalCode, message: &str) -> Reply {
    Reply::Refused(Refused { code, message: Text::clip(message), retry_after_ms: None })
}

fn words(reason: GoAwayReason, retry_after: Option<Duration>) -> GoAway {
    let wait = retry_after.unwrap_or_default().as_millis();
    GoAway { reason, retry_after_ms: u64::try_from(wait).unwrap_or(u64::from(u32::MAX)) }
}
