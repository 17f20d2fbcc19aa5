//! One connection from arrival to end: a reader that hands whole batches to the border post, and a writer that empties
//! the outbox. Both carriers use the same two.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    os::unix::net::UnixStream as StdUnixStream,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Poll, ready},
    time::{Duration, Instant},
};

use quinn::{VarInt, crypto::rustls::HandshakeData};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::UnixStream,
    task::{JoinHandle, coop::consume_budget, spawn_local, yield_now},
    time::{sleep, timeout, timeout_at},
};

use super::{
    Asked, Border, Carrier, Connections, Counters, Flow, Outbox, Peer, Timing,
    admission::Pass,
    close::{Farewell, last_words},
    outbox::refused,
};
use crate::protocol::{
    Encoding, FrameDecoder, FrameError, NO_REQUEST, RefusalCode, Request,
    frame::{MAX_BODY, MAX_HELLO},
    words::GoAwayReason,
};

/// Malformed frames after which a connection ends.
const STRIKES: u8 = 3;

/// Bytes read at one wake-up.
const SCRATCH: usize = 64 * 1024;

/// After a wake-up with more than this many bytes, the decoder's buffer is given back.
const KEEP: usize = 4 * 1024;

/// A client that was let in but is not served yet. Dropping it refuses it.
#[derive(Debug)]
pub struct Arrival {
    from: From,
    connections: Connections,
}

#[derive(Debug)]
enum From {
    Quic(Box<quinn::Incoming>, Pass),
    Unix(StdUnixStream),
}

impl Arrival {
    pub(super) fn quic(incoming: quinn::Incoming, pass: Pass, connections: Connections) -> Self {
        Self { from: From::Quic(Box::new(incoming), pass), connections }
    }

    pub(super) fn unix(stream: StdUnixStream, connections: Connections) -> Self {
        Self { from: From::Unix(stream), connections }
    }

    /// Serves the client until one side ends the connection. Must run on the arbiter that shall drive it, inside a
    /// `LocalSet`.
    pub async fn serve<B: Border>(self, border: B) {
        match self.from {
            From::Quic(incoming, pass) => serve_quic(*incoming, pass, self.connections, border).await,
            From::Unix(stream) => serve_unix(stream, self.connections, border).await,
        }
    }
}

async fn serve_quic<B: Border>(
    incoming: quinn::Incoming,
    mut pass: Pass,
    connections: Connections,
    border: B,
) {
    let (timing, counters) = (connections.timing(), Arc::clone(connections.counters()));
    let from = incoming.remote_address();
    let connection = match timeout(timing.handshake, incoming.into_future()).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            counters.handshake_failures.one();
            tracing::debug!(%from, %error, "a handshake failed");
            return;
        }
        Err(_) => {
            counters.handshake_timeouts.one();
            return;
        }
    };
    pass.shaken();
    let Some(encoding) = encoding_of(&connection) else {
        counters.handshake_failures.one();
        connection.close(VarInt::from_u32(0), b"no ALPN name that the daemon knows");
        return;
    };
    let hello_by = tokio::time::Instant::now() + timing.hello;
    let (mut send, recv) = match timeout_at(hello_by, connection.accept_bi()).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(_)) => return,
        Err(_) => {
            counters.hello_timeouts.one();
            let (code, words) = last_words(Farewell::Told(GoAwayReason::IdleTimeout));
            connection.close(code, words.as_bytes());
            return;
        }
    };
    counters.opened_quic.one();
    spawn_local(refuse_further_streams(connection.clone(), counters));

    let mut line = Line::open(border, connections, Carrier::Quic(from), encoding, Some(pass), hello_by);
    let outbox = Arc::clone(&line.outbox);
    let closing = connection.clone();
    let mut writer = spawn_local(async move {
        let (farewell, heard) = write_frames(&outbox, &mut send, timing).await;
        // Closing discards what is not acknowledged yet, so the stream's end is waited for first.
        if heard && send.finish().is_ok() {
            let _ = timeout(timing.linger, send.stopped()).await;
        }
        let (code, words) = last_words(farewell);
        closing.close(code, words.as_bytes());
    });
    line.converse(recv, &mut writer, timing.linger).await;
    writer.abort();
    connection.close(VarInt::from_u32(0), b"bye");
}

async fn serve_unix<B: Border>(stream: StdUnixStream, connections: Connections, border: B) {
    let timing = connections.timing();
    let stream = match UnixStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(%error, "a client of the Unix socket could not be served");
            return;
        }
    };
    connections.counters().opened_unix.one();
    let (read, mut write) = stream.into_split();
    let hello_by = tokio::time::Instant::now() + timing.hello;
    let mut line = Line::open(border, connections, Carrier::Unix, Encoding::Json, None, hello_by);
    let outbox = Arc::clone(&line.outbox);
    let mut writer = spawn_local(async move {
        write_frames(&outbox, &mut write, timing).await;
        let _ = write.shutdown().await;
    });
    line.converse(read, &mut writer, timing.linger).await;
    writer.abort();
}

/// Reads, as long as anything is to be read. Its drop tells the border that the client is gone.
struct Line<B: Border> {
    border: B,
    /// `Some` until dropped.
    session: Option<B::Session>,
    outbox: Arc<Outbox>,
    connections: Connections,
    number: u64,
    encoding: Encoding,
    decoder: FrameDecoder,
    pass: Option<Pass>,
    hello_by: tokio::time::Instant,
    strikes: u8,
}

/// Why a reader stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// The client ended its side in order.
    HungUp,
    /// The connection is lost.
    Lost,
    /// The outbox has the last word.
    Told,
}

/// Why what follows in a stream is not worth reading.
enum Broken {
    Frame(FrameError),
    Misbehaved,
}

impl<B: Border> Line<B> {
    fn open(
        border: B,
        connections: Connections,
        carrier: Carrier,
        encoding: Encoding,
        pass: Option<Pass>,
        hello_by: tokio::time::Instant,
    ) -> Self {
        let (number, outbox) = connections.enter(encoding, carrier);
        let peer = Peer { connection: number, carrier, encoding };
        let session = border.connected(Arc::clone(&outbox), peer);
        Self {
            border,
            session: Some(session),
            outbox,
            connections,
            number,
            encoding,
            decoder: FrameDecoder::with_limit(MAX_HELLO),
            pass,
            hello_by,
            strikes: 0,
        }
    }

    /// The whole conversation with a client, until the last byte to it is written or given up.
    async fn converse<R: AsyncRead + Unpin>(
        &mut self,
        from: R,
        writer: &mut JoinHandle<()>,
        linger: Duration,
    ) {
        let stop = tokio::select! {
            biased;
            stop = self.read(from) => stop,
            _ = &mut *writer => return,
        };
        match stop {
            Stop::HungUp => self.outbox.hang_up(),
            Stop::Lost => self.outbox.end(),
            Stop::Told => {}
        }
        // Twice: once for the requests in flight or the last batch, once for the end of the stream.
        let _ = timeout(linger * 2, writer).await;
    }

    async fn read<R: AsyncRead + Unpin>(&mut self, mut from: R) -> Stop {
        match timeout_at(self.hello_by, self.greet(&mut from)).await {
            Ok(Ok(())) => {}
            Ok(Err(stop)) => return stop,
            Err(_) => {
                self.connections.counters().hello_timeouts.one();
                self.outbox.close(GoAwayReason::IdleTimeout, None);
                return Stop::Told;
            }
        }
        loop {
            if let Err(stop) = self.hand_over() {
                return stop;
            }
            while self.outbox.is_crowded() {
                self.outbox.eased().await;
            }
            if let Err(stop) = self.refill(&mut from).await {
                return stop;
            }
            // quinn's streams know nothing of tokio's budget: without this a fast sender would keep the arbiter.
            consume_budget().await;
        }
    }

    /// One request at a time, and nothing read before it is answered, until one of them authenticates.
    async fn greet<R: AsyncRead + Unpin>(&mut self, from: &mut R) -> Result<(), Stop> {
        loop {
            let asked = match self.next() {
                Ok(Some(asked)) => asked,
                Ok(None) => {
                    self.refill(from).await?;
                    continue;
                }
                Err(broken) => return Err(self.give_up(broken)),
            };
            self.connections.counters().frames_in.one();
            self.outbox.expect_answer();
            self.receive(&mut vec![asked])?;
            if !self.is_authenticated() {
                self.outbox.eased().await;
            }
            if self.is_authenticated() {
                break;
            }
        }
        self.decoder.set_limit(MAX_BODY);
        self.connections.authenticated(self.number);
        let frontend = self.session.as_ref().is_some_and(|session| self.border.is_frontend(session));
        if let Some(pass) = &mut self.pass {
            pass.authenticated(frontend, Instant::now());
        }
        Ok(())
    }

    fn is_authenticated(&self) -> bool {
        self.session.as_ref().is_some_and(|session| self.border.authenticated(session))
    }

    /// Reads what has come, at least one byte, into the decoder.
    async fn refill<R: AsyncRead + Unpin>(&mut self, from: &mut R) -> Result<(), Stop> {
        match read_into(&mut self.decoder, from).await {
            Ok(0) => Err(Stop::HungUp),
            Ok(bytes) => {
                self.connections.counters().bytes_in.add(bytes as u64);
                Ok(())
            }
            Err(_) => Err(Stop::Lost),
        }
    }

    /// Decodes everything that is there and hands it over in one call.
    fn hand_over(&mut self) -> Result<(), Stop> {
        thread_local! {
            /// The arbiter's connections take turns with one vector.
            static BATCH: Cell<Vec<Asked>> = const { Cell::new(Vec::new()) };
        }
        let mut batch = BATCH.take();
        let held = self.decoder.buffered();
        let end = loop {
            match self.next() {
                Ok(Some(asked)) => batch.push(asked),
                Ok(None) => break Ok(()),
                Err(broken) => break Err(broken),
            }
        };
        self.connections.counters().frames_in.add(batch.len() as u64);
        let flow = self.receive(&mut batch);
        batch.clear();
        BATCH.set(batch);
        if held > KEEP && self.decoder.buffered() == 0 {
            self.decoder = FrameDecoder::new();
        }
        flow?;
        end.map_err(|broken| self.give_up(broken))
    }

    /// The next request that can be read; those that can't are refused on the way.
    fn next(&mut self) -> Result<Option<Asked>, Broken> {
        loop {
            let Some(frame) = self.decoder.next().map_err(Broken::Frame)? else {
                return Ok(None);
            };
            let (number, kind) = (frame.number, frame.kind);
            match Request::decode(self.encoding, kind, frame.body) {
                Ok(request) if number != NO_REQUEST => {
                    self.connections.counters().kinds.of(kind).one();
                    return Ok(Some(Asked { number, request }));
                }
                Ok(_) => self.refuse(number, RefusalCode::Malformed, "a request's number is above 0"),
                Err(error) => self.refuse(number, error.code(), &error.to_string()),
            }
            if self.strikes >= STRIKES {
                return Err(Broken::Misbehaved);
            }
        }
    }

    fn refuse(&mut self, number: u32, code: RefusalCode, what: &str) {
        let counters = self.connections.counters();
        counters.frames_in.one();
        match code {
            RefusalCode::UnknownKind => counters.unknown_kind.one(),
            _ => {
                counters.malformed.one();
                self.strikes += 1;
            }
        }
        self.outbox.push_aside(number, &refused(code, &format!("{what}; {}", code.remedy())));
    }

    /// Nothing more is read; what is in flight is still answered.
    fn give_up(&mut self, broken: Broken) -> Stop {
        let counters = self.connections.counters();
        match broken {
            Broken::Frame(error) => {
                counters.too_large.one();
                self.outbox.push_aside(NO_REQUEST, &refused(RefusalCode::TooLarge, &error.to_string()));
            }
            Broken::Misbehaved => counters.misbehaved.one(),
        }
        self.outbox.leave(GoAwayReason::ProtocolError, None);
        Stop::Told
    }

    fn receive(&mut self, batch: &mut Vec<Asked>) -> Result<(), Stop> {
        let Some(session) = self.session.as_mut() else { return Err(Stop::Lost) };
        if !self.outbox.listens() {
            return Err(Stop::Told);
        }
        if batch.is_empty() {
            return Ok(());
        }
        // The border guards itself; what escapes it must cost this connection only.
        let flow = catch_unwind(AssertUnwindSafe(|| self.border.receive(session, batch)));
        match flow {
            Ok(Flow::Continue) => Ok(()),
            Ok(Flow::Close(reason, retry_after)) => {
                self.outbox.close(reason, retry_after);
                Err(Stop::Told)
            }
            Err(_) => {
                tracing::error!(connection = self.number, "the border post panicked; the connection ends");
                self.outbox.close(GoAwayReason::ProtocolError, None);
                Err(Stop::Told)
            }
        }
    }
}

impl<B: Border> Drop for Line<B> {
    fn drop(&mut self) {
        self.outbox.end();
        self.connections.leave(self.number);
        if let Some(session) = self.session.take() {
            self.border.disconnected(session);
        }
    }
}

/// Feeds the decoder with what has come; 0 bytes mean the end. The bytes pass through one buffer per thread, so that
/// an idle connection holds none.
pub(crate) async fn read_into<R: AsyncRead + Unpin>(
    decoder: &mut FrameDecoder,
    from: &mut R,
) -> io::Result<usize> {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
    }
    poll_fn(|context| {
        BUFFER.with_borrow_mut(|buffer| {
            let mut room = ReadBuf::new(buffer);
            ready!(Pin::new(&mut *from).poll_read(context, &mut room))?;
            decoder.feed(room.filled());
            Poll::Ready(Ok(room.filled().len()))
        })
    })
    .await
}

/// Empties the outbox until it says that nothing follows, or the peer takes nothing for too long. Also says whether
/// everything was written.
async fn write_frames<W: AsyncWrite + Unpin>(
    outbox: &Outbox,
    to: &mut W,
    timing: Timing,
) -> (Farewell, bool) {
    let mut batch = Vec::new();
    loop {
        outbox.filled().await;
        // Whoever else has something to say in this turn of the arbiter says it before the buffer goes.
        yield_now().await;
        let farewell = outbox.take(&mut batch);
        if !batch.is_empty() {
            let overdue = async {
                outbox.ending().await;
                sleep(timing.linger).await;
            };
            tokio::select! {
                biased;
                written = to.write_all(&batch) => {
                    if written.is_err() {
                        outbox.end();
                        return (Farewell::Silent, false);
                    }
                }
                () = overdue => return (outbox.given_up(), false),
                () = sleep(timing.stall) => return (outbox.stalled(), false),
            }
        }
        outbox.written(&mut batch);
        if let Some(farewell) = farewell {
            return (farewell, true);
        }
    }
}

/// The one stream is the protocol; what a client opens beyond it is refused, lest it fill the connection's window.
async fn refuse_further_streams(connection: quinn::Connection, counters: Arc<Counters>) {
    while let Ok((mut send, mut recv)) = connection.accept_bi().await {
        counters.extra_streams.one();
        let _ = send.reset(VarInt::from_u32(0));
        let _ = recv.stop(VarInt::from_u32(0));
    }
}

/// The encoding that the handshake agreed on.
fn encoding_of(connection: &quinn::Connection) -> Option<Encoding> {
    let data = connection.handshake_data()?.downcast::<HandshakeData>().ok()?;
    Encoding::from_alpn(data.protocol.as_deref()?)
}
