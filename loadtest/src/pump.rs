//! Carries bytes between the floor and the daemon: one task per connection, all on one thread.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use maitred::{
    client::{ConnectError, Dialer, Dialled, Ended, Options},
    ids::ClientId,
    protocol::{Encoding, FrameDecoder, Notice, Reply, Request, Text, reply::Welcome, request::Hello},
};
use tokio::{
    sync::{Notify, watch},
    task::{JoinHandle, spawn_local, yield_now},
    time::{sleep, timeout},
};

use crate::floor::Floor;

/// How often timers are looked at; the runtime's own are no finer.
const TICK: Duration = Duration::from_millis(1);

/// How long to wait before connecting again.
const AGAIN: Duration = Duration::from_millis(50);

/// Bytes read at a time.
const CHUNK: usize = 1 << 16;

/// The number of the Hello; no other request gets that far.
const HELLO: u32 = u32::MAX;

/// The floor, shared by the tasks of the one thread; never borrowed over an await.
pub(crate) type SharedFloor = Rc<RefCell<Floor>>;

/// Whether connections may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Open,
    Shut,
    Over,
}

/// The connections of a run.
pub(crate) struct Pump {
    way: watch::Sender<Way>,
    tasks: Vec<JoinHandle<()>>,
    ticker: JoinHandle<()>,
    /// How often a connection was lost that nobody cut.
    losses: Rc<RefCell<Vec<String>>>,
}

/// One connection, welcomed.
pub(crate) struct Joined {
    pub(crate) connection: quinn::Connection,
    pub(crate) send: quinn::SendStream,
    pub(crate) recv: quinn::RecvStream,
    decoder: FrameDecoder,
    in_flight: usize,
}

impl Pump {
    /// Connects every link of the floor, and begins to carry. Must be called inside a `LocalSet`.
    ///
    /// # Errors
    /// One of them can't be connected.
    pub(crate) async fn start(floor: &SharedFloor, options: &Options) -> Result<Self, ConnectError> {
        let dialer = Dialer::new()?;
        let (way, watched) = watch::channel(Way::Open);
        let losses = Rc::new(RefCell::new(Vec::new()));
        let mut tasks = Vec::new();
        let links = floor.borrow().links.len();
        for link in 0..links {
            let joined = join(&dialer, options, floor, link).await?;
            let line = Line {
                floor: Rc::clone(floor),
                dialer: dialer.clone(),
                options: options.clone(),
                link,
                way: watched.clone(),
                losses: Rc::clone(&losses),
            };
            tasks.push(spawn_local(line.keep(joined)));
        }
        let ticking = Rc::clone(floor);
        let ticker = spawn_local(async move {
            loop {
                sleep(TICK).await;
                ticking.borrow_mut().fire(Instant::now());
            }
        });
        Ok(Self { way, tasks, ticker, losses })
    }

    /// Cuts all connections, as if the daemon had vanished; they stay away until [`Pump::resume`].
    pub(crate) fn cut(&self) {
        self.way.send_replace(Way::Shut);
    }

    /// All connect again.
    pub(crate) fn resume(&self) {
        self.way.send_replace(Way::Open);
    }

    /// Closes everything; how connections were lost meanwhile.
    pub(crate) async fn stop(self) -> Vec<String> {
        self.way.send_replace(Way::Over);
        for task in self.tasks {
            // A task that panicked has said so already.
            let _ = timeout(Duration::from_secs(2), task).await;
        }
        self.ticker.abort();
        self.losses.take()
    }
}

/// What keeps one link connected.
struct Line {
    floor: SharedFloor,
    dialer: Dialer,
    options: Options,
    link: usize,
    way: watch::Receiver<Way>,
    losses: Rc<RefCell<Vec<String>>>,
}

impl Line {
    async fn keep(mut self, first: Joined) {
        let mut joined = Some(first);
        let mut again = false;
        loop {
            let way = *self.way.borrow_and_update();
            match (way, joined.take()) {
                (Way::Over, _) => return,
                (Way::Shut, _) => {
                    if self.way.changed().await.is_err() {
                        return;
                    }
                }
                (Way::Open, Some(joined)) => {
                    self.floor.borrow_mut().connected(self.link, joined.in_flight, again);
                    again = true;
                    self.carry(joined).await;
                    self.floor.borrow_mut().disconnected(self.link);
                }
                (Way::Open, None) => match join(&self.dialer, &self.options, &self.floor, self.link).await {
                    Ok(new) => joined = Some(new),
                    Err(_) => sleep(AGAIN).await,
                },
            }
        }
    }

    /// Until the connection ends, by itself or because the way was shut.
    async fn carry(&mut self, joined: Joined) {
        let Joined { connection, send, recv, decoder, .. } = joined;
        let filled = Rc::clone(&self.floor.borrow().links[self.link].filled);
        let encoding = self.options.encoding;
        let lost = tokio::select! {
            lost = read(&self.floor, self.link, encoding, recv, decoder) => Some(lost),
            lost = write(&self.floor, self.link, &filled, send) => Some(lost),
            _ = self.way.changed() => None,
        };
        if let Some(lost) = lost {
            self.losses.borrow_mut().push(lost);
        }
        connection.close(0_u32.into(), b"bye");
    }
}

async fn write(floor: &SharedFloor, link: usize, filled: &Notify, mut send: quinn::SendStream) -> String {
    let mut batch = Vec::new();
    loop {
        filled.notified().await;
        // What is asked in the same turn shares the datagram.
        yield_now().await;
        std::mem::swap(&mut floor.borrow_mut().links[link].out, &mut batch);
        if let Err(error) = send.write_all(&batch).await {
            return error.to_string();
        }
        batch.clear();
    }
}

async fn read(
    floor: &SharedFloor,
    link: usize,
    encoding: Encoding,
    mut recv: quinn::RecvStream,
    mut decoder: FrameDecoder,
) -> String {
    loop {
        {
            let mut floor = floor.borrow_mut();
            let now = Instant::now();
            loop {
                match decoder.next() {
                    Ok(Some(frame)) => {
                        if let Err(error) = floor.take_in(link, encoding, frame, now) {
                            return error.to_string();
                        }
                    }
                    Ok(None) => break,
                    Err(error) => return error.to_string(),
                }
            }
        }
        match recv.read_chunk(CHUNK, true).await {
            Ok(Some(chunk)) => decoder.feed(&chunk.bytes),
            Ok(None) => return "the daemon ended it".to_owned(),
            Err(error) => return error.to_string(),
        }
    }
}

/// Connects and says Hello.
async fn join(
    dialer: &Dialer,
    options: &Options,
    floor: &SharedFloor,
    link: usize,
) -> Result<Joined, ConnectError> {
    let dialled = dialer.dial_bare(options).await?;
    let client = floor.borrow().links[link].client;
    greet(dialled, options, client).await
}

/// Says Hello, and hears the answer.
///
/// # Errors
/// The daemon says no, or nothing.
pub(crate) async fn greet(
    dialled: Dialled,
    options: &Options,
    client: ClientId,
) -> Result<Joined, ConnectError> {
    let (connection, mut send, mut recv) = (dialled.connection, dialled.send, dialled.recv);
    let hello: Request = Hello {
        token: Text::new(&options.token)?,
        client,
        highest_kind: Notice::HIGHEST_KIND,
        software: Text::clip(concat!("maitred-loadtest/", env!("CARGO_PKG_VERSION"))),
        workspace: None,
    }
    .into();
    let lost = |text: String| ConnectError::Lost(Ended::Lost(text));
    let mut bytes = Vec::new();
    hello.encode(options.encoding, HELLO, &mut bytes).map_err(|error| lost(error.to_string()))?;
    send.write_all(&bytes).await.map_err(|error| lost(error.to_string()))?;
    let mut decoder = FrameDecoder::new();
    let limit = options.common.timeout;
    let welcome = match timeout(limit, welcome(options.encoding, &mut recv, &mut decoder)).await {
        Ok(welcome) => welcome?,
        Err(_) => {
            return Err(ConnectError::Timeout { address: options.address.clone(), after: limit });
        }
    };
    let in_flight = welcome.limits.in_flight as usize;
    Ok(Joined { connection, send, recv, decoder, in_flight })
}

async fn welcome(
    encoding: Encoding,
    recv: &mut quinn::RecvStream,
    decoder: &mut FrameDecoder,
) -> Result<Welcome, ConnectError> {
    let lost = |text: String| ConnectError::Lost(Ended::Lost(text));
    loop {
        if let Some(frame) = decoder.next().map_err(|error| lost(error.to_string()))?
            && frame.number == HELLO
        {
            return match Reply::decode(encoding, frame.kind, frame.body) {
                Ok(Reply::Welcome(welcome)) => Ok(welcome),
                Ok(Reply::Refused(refused)) => Err(ConnectError::Refused(refused)),
                Ok(other) => Err(lost(format!("{} instead of a Welcome", other.name()))),
                Err(error) => Err(lost(error.to_string())),
            };
        }
        match recv.read_chunk(CHUNK, true).await {
            Ok(Some(chunk)) => decoder.feed(&chunk.bytes),
            Ok(None) => return Err(lost("the daemon ended it".to_owned())),
            Err(error) => return Err(lost(error.to_string())),
        }
    }
}
