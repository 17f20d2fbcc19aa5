//! The Rust client: one connection, many requests in flight, notices beside them.
//!
//! Holds: [`Client`], [`Pending`], [`Notices`], how to [`connect`](Client::connect) and come [back](Comeback). Knows: `protocol`, quinn. Never:
//! the daemon's inside. Start reading at: [`Client`].
//!
//! ```no_run
//! use maitred::client::{Ca, Client, Options};
//! # use maitred::ids::ConversationId;
//! # use maitred::protocol::words::Speaker;
//!
//! # async fn example(conversation: ConversationId) -> Result<(), Box<dyn std::error::Error>> {
//! let options = Options::new("chat.example.org:4433", Ca::Pem("ca.pem".into()), "the token");
//! let (client, mut notices) = Client::connect(&options).await?;
//!
//! // Verbs send at once and answer later: send many, then await.
//! let said: Vec<_> = ["hello", "is anybody there?"]
//!     .into_iter()
//!     .map(|body| client.say(conversation, Speaker::Me, body))
//!     .collect();
//! for answer in said {
//!     println!("recorded as {:?}", answer.await?.visitor_seq);
//! }
//! while let Some(told) = notices.next().await {
//!     println!("{told:?}");
//! }
//! # Ok(())
//! # }
//! ```

mod comeback;
mod dial;
mod errors;
mod notices;
mod options;
mod verbs;

use std::{
    collections::HashMap,
    future::Future,
    marker::PhantomData,
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::UnixStream,
    sync::{Notify, oneshot},
    task::yield_now,
    time::timeout,
};

pub use comeback::Comeback;
pub use dial::{Dialer, Dialled};
#[cfg(test)]
pub(crate) use dial::{client_config, transport_config};
pub use errors::{ConnectError, Ended, RequestError};
pub use notices::{Notices, Told};
pub use options::{Ca, Common, Identity, Options};
pub use verbs::Answer;

use crate::{
    ids::WorkspaceId,
    protocol::{
        DecodeError, Encoding, FrameDecoder, NO_REQUEST, NOTICE_BITS, Notice, REPLY_BIT, Reply, Request,
        Text, notice::GoAway, reply::Welcome, request::Hello,
    },
    transport::read_into,
};

/// How long a connection is given to end in order.
const LINGER: Duration = Duration::from_secs(2);

/// A connection to the daemon. Clones share it; it closes when the last one is dropped, or by [`Client::close`].
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
    welcome: Arc<Welcome>,
    identity: Identity,
    /// Closes the connection when the last client is dropped.
    _open: Arc<Open>,
}

#[derive(Debug)]
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.start_closing();
    }
}

/// What the client and its reader and writer share.
#[derive(Debug)]
struct Shared {
    encoding: Encoding,
    state: Mutex<State>,
    /// Wakes the writer.
    filled: Notify,
    /// Wakes those who wait for fewer requests in flight, or for the end.
    eased: Notify,
    inbox: Arc<notices::Inbox>,
}

#[derive(Debug)]
struct State {
    pending: Vec<u8>,
    waiting: HashMap<u32, oneshot::Sender<Reply>, foldhash::fast::RandomState>,
    next_number: u32,
    closing: bool,
    going: Option<GoAway>,
    ended: Option<Ended>,
}

impl Client {
    /// Connects over QUIC with a socket of its own. For many connections from one program use a [`Dialer`].
    ///
    /// # Errors
    /// [`ConnectError`], which says what to check.
    pub async fn connect(options: &Options) -> Result<(Self, Notices), ConnectError> {
        Dialer::new()?.connect(options).await
    }

    /// Connects over the daemon's Unix socket. The right to open the file is the authority, so there is no token; what
    /// concerns a workspace needs its name.
    ///
    /// # Errors
    /// [`ConnectError`], which says what to check.
    pub async fn connect_unix(
        path: &Path,
        workspace: Option<WorkspaceId>,
        common: &Common,
    ) -> Result<(Self, Notices), ConnectError> {
        let stream = UnixStream::connect(path)
            .await
            .map_err(|source| ConnectError::Unix { path: path.to_owned(), source })?;
        let (read, write) = stream.into_split();
        let address = path.display().to_string();
        Self::start(read, write, None, Encoding::Json, common, &address, |hello| hello.workspace = workspace)
            .await
    }

    /// The same with a token instead of the socket's own authority, to do something as somebody else than an admin.
    ///
    /// # Errors
    /// [`ConnectError`], which says what to check.
    pub async fn connect_unix_as(
        path: &Path,
        token: &str,
        common: &Common,
    ) -> Result<(Self, Notices), ConnectError> {
        let token = Text::new(token)?;
        let stream = UnixStream::connect(path)
            .await
            .map_err(|source| ConnectError::Unix { path: path.to_owned(), source })?;
        let (read, write) = stream.into_split();
        let address = path.display().to_string();
        Self::start(read, write, None, Encoding::Json, common, &address, |hello| hello.token = token).await
    }

    /// Starts reader and writer and says Hello.
    async fn start<R, W>(
        read: R,
        write: W,
        quic: Option<quinn::Connection>,
        encoding: Encoding,
        common: &Common,
        address: &str,
        complete: impl FnOnce(&mut Hello),
    ) -> Result<(Self, Notices), ConnectError>
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let shared = Arc::new(Shared::new(encoding, common.notices));
        let open = Arc::new(Open(Arc::clone(&shared)));
        tokio::spawn(write_frames(Arc::clone(&shared), write));
        tokio::spawn(read_frames(Arc::clone(&shared), read, quic));

        let mut hello = Hello {
            token: Text::default(),
            client: common.identity.client(),
            highest_kind: Notice::HIGHEST_KIND,
            software: Text::clip(&common.software),
            workspace: None,
        };
        complete(&mut hello);
        let answer: Pending<Welcome> = Pending::send(&shared, &hello.into());
        let welcome = match timeout(common.timeout, answer).await {
            Ok(Ok(welcome)) => welcome,
            Ok(Err(RequestError::Refused(refused))) => return Err(ConnectError::Refused(refused)),
            Ok(Err(RequestError::Lost(ended))) => return Err(ConnectError::Lost(ended)),
            Ok(Err(other)) => return Err(ConnectError::Lost(Ended::Unreadable(other.to_string()))),
            Err(_) => {
                return Err(ConnectError::Timeout { address: address.to_owned(), after: common.timeout });
            }
        };
        let notices = Notices::new(Arc::clone(&shared.inbox));
        let identity = common.identity.clone();
        Ok((Self { shared, welcome: Arc::new(welcome), identity, _open: open }, notices))
    }

    /// Whom the daemon takes this client for, and its limits.
    #[must_use]
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Whose keys the verbs use.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Sends a request now; its answer comes when the result is awaited. Mind `welcome().limits.in_flight`, or use
    /// [`Client::request`], which waits for room.
    pub fn send(&self, request: impl Into<Request>) -> Pending<Reply> {
        Pending::send(&self.shared, &request.into())
    }

    /// Sends a request once there is room among those in flight, and waits for its answer.
    ///
    /// # Errors
    /// The daemon refused, or the connection ended.
    pub async fn request(&self, request: impl Into<Request>) -> Result<Reply, RequestError> {
        self.room().await;
        self.send(request).await
    }

    /// Resolves when one more request may be in flight (or none will be, as the connection ended).
    pub async fn room(&self) {
        let limit = self.welcome.limits.in_flight.max(1) as usize;
        self.shared.wait_until(|state| state.waiting.len() < limit || state.ended.is_some()).await;
    }

    /// Requests sent and not yet answered.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.lock().waiting.len()
    }

    /// How the connection ended; `None` while it stands.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.shared.lock().ended.clone()
    }

    /// Sends what is still to be sent, lets the daemon answer it, and closes. Other clones end with it.
    pub async fn close(&self) {
        self.shared.start_closing();
        let _ = timeout(LINGER * 2, self.shared.wait_until(|state| state.ended.is_some())).await;
    }
}

/// An answer on its way. Dropping it does not take the request back.
#[derive(Debug)]
#[must_use = "the answer, and whether there was one, is only known by awaiting it"]
pub struct Pending<T> {
    state: Answering,
    answer: PhantomData<fn() -> T>,
}

#[derive(Debug)]
enum Answering {
    Sent(oneshot::Receiver<Reply>, Arc<Shared>),
    Failed(Option<RequestError>),
}

impl<T> Pending<T> {
    fn send(shared: &Arc<Shared>, request: &Request) -> Self {
        let state = match shared.send(request) {
            Ok(answer) => Answering::Sent(answer, Arc::clone(shared)),
            Err(error) => Answering::Failed(Some(error)),
        };
        Self { state, answer: PhantomData }
    }

    fn failed(error: RequestError) -> Self {
        Self { state: Answering::Failed(Some(error)), answer: PhantomData }
    }
}

impl<T: Answer> Future for Pending<T> {
    type Output = Result<T, RequestError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match &mut self.state {
            Answering::Sent(answer, shared) => match ready!(Pin::new(answer).poll(context)) {
                Ok(Reply::Refused(refused)) => Err(RequestError::Refused(refused)),
                Ok(reply) => {
                    let name = reply.name();
                    T::from_reply(reply).ok_or(RequestError::Unexpected(name))
                }
                Err(_) => Err(shared.lost()),
            },
            Answering::Failed(error) => Err(error.take().unwrap_or(RequestError::Lost(Ended::Here))),
        })
    }
}

impl Shared {
    fn new(encoding: Encoding, notices: usize) -> Self {
        Self {
            encoding,
            state: Mutex::new(State {
                pending: Vec::new(),
                waiting: HashMap::default(),
                next_number: 1,
                closing: false,
                going: None,
                ended: None,
            }),
            filled: Notify::new(),
            eased: Notify::new(),
            inbox: Arc::new(notices::Inbox::new(notices)),
        }
    }

    fn send(&self, request: &Request) -> Result<oneshot::Receiver<Reply>, RequestError> {
        let mut state = self.lock();
        if let Some(ended) = &state.ended {
            return Err(RequestError::Lost(ended.clone()));
        }
        if state.closing {
            return Err(RequestError::Lost(Ended::Here));
        }
        let number = state.next_number;
        let before = state.pending.len();
        request.encode(self.encoding, number, &mut state.pending)?;
        state.next_number = number.wrapping_add(1).max(1);
        let (sender, receiver) = oneshot::channel();
        state.waiting.insert(number, sender);
        if before == 0 {
            self.filled.notify_one();
        }
        Ok(receiver)
    }

    fn start_closing(&self) {
        self.lock().closing = true;
        self.filled.notify_one();
    }

    fn end(&self, how: Ended) {
        let mut state = self.lock();
        let how = match (&state.ended, state.going) {
            (Some(_), _) => return,
            (None, Some(going)) => Ended::GoneAway(going),
            (None, None) if state.closing => Ended::Here,
            (None, None) => how,
        };
        state.ended = Some(how);
        state.waiting.clear();
        drop(state);
        self.filled.notify_one();
        self.eased.notify_waiters();
        self.inbox.end();
    }

    fn lost(&self) -> RequestError {
        RequestError::Lost(self.lock().ended.clone().unwrap_or(Ended::Here))
    }

    async fn wait_until(&self, holds: impl Fn(&State) -> bool) {
        loop {
            let eased = self.eased.notified();
            tokio::pin!(eased);
            eased.as_mut().enable();
            if holds(&self.lock()) {
                return;
            }
            eased.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write_frames<W: AsyncWrite + Unpin>(shared: Arc<Shared>, mut to: W) {
    let mut batch = Vec::new();
    loop {
        shared.filled.notified().await;
        // What is sent in the same turn shares the datagram.
        yield_now().await;
        let last = {
            let mut state = shared.lock();
            std::mem::swap(&mut state.pending, &mut batch);
            state.closing || state.ended.is_some()
        };
        if !batch.is_empty() && to.write_all(&batch).await.is_err() {
            // The reader finds out why.
            return;
        }
        batch.clear();
        if last {
            let _ = to.shutdown().await;
            return;
        }
    }
}

async fn read_frames<R: AsyncRead + Unpin>(
    shared: Arc<Shared>,
    mut from: R,
    quic: Option<quinn::Connection>,
) {
    let mut decoder = FrameDecoder::new();
    let mut how = loop {
        match read_into(&mut decoder, &mut from).await {
            Ok(0) => break Ended::Lost("the daemon closed it".to_owned()),
            Ok(_) => {
                if let Err(ended) = take_in(&shared, &mut decoder) {
                    break ended;
                }
            }
            Err(error) => break Ended::Lost(error.to_string()),
        }
    };
    if let Some(connection) = quic {
        // After the stream's end comes the close, which says more.
        if let Ok(error) = timeout(LINGER, connection.closed()).await {
            how = match dial::told_by_close(&error) {
                Some(reason) => Ended::GoneAway(GoAway { reason, retry_after_ms: 0 }),
                None => how,
            };
        }
        connection.close(quinn::VarInt::from_u32(0), b"bye");
    }
    shared.end(how);
}

/// Hands out everything that has come.
fn take_in(shared: &Shared, decoder: &mut FrameDecoder) -> Result<(), Ended> {
    let mut replies = Vec::new();
    let mut told = Vec::new();
    loop {
        let frame = match decoder.next() {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            Err(error) => return Err(Ended::Unreadable(error.to_string())),
        };
        let read = if frame.kind & NOTICE_BITS == NOTICE_BITS {
            Notice::decode(shared.encoding, frame.kind, frame.body).map(|notice| told.push(notice))
        } else if frame.kind & REPLY_BIT != 0 {
            Reply::decode(shared.encoding, frame.kind, frame.body)
                .map(|reply| replies.push((frame.number, reply)))
        } else {
            continue;
        };
        match read {
            // Newer than this client: skipped by its length.
            Ok(()) | Err(DecodeError::UnknownKind(_)) => {}
            Err(error) => return Err(Ended::Unreadable(error.to_string())),
        }
    }
    let mut refused = None;
    {
        let mut state = shared.lock();
        for (number, reply) in replies {
            match reply {
                Reply::Refused(why) if number == NO_REQUEST => refused = Some(why),
                reply => {
                    if let Some(asker) = state.waiting.remove(&number) {
                        // Whoever dropped the Pending does not want to know.
                        let _ = asker.send(reply);
                    }
                }
            }
        }
        for notice in &told {
            if let Notice::GoAway(going) = notice {
                state.going = Some(*going);
            }
        }
    }
    shared.eased.notify_waiters();
    shared.inbox.put(told);
    refused.map_or(Ok(()), |why| Err(Ended::Refused(why)))
}
