//! Real QUIC over loopback and real Unix sockets, with a border post that answers pings.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    thread::{self, ThreadId},
    time::SystemTime,
};

use tokio::{
    sync::{Notify, mpsc},
    task::{LocalSet, yield_now},
};

use super::*;
use crate::{
    client::{
        Ca, Client, Common, ConnectError, Dialer, Dialled, Ended, Notices, Options, Told, client_config,
        transport_config,
    },
    clock::Timestamp,
    ids::ConversationId,
    protocol::{
        FrameDecoder, NO_REQUEST, Notice, RefusalCode, Reply, Request, Text,
        frame::MAX_BODY,
        notice::GoAway,
        reply::{Limits, Pong, Welcome},
        request::{Hello, Ping, Reload, Renew},
        words::Role,
    },
    transport::{admission::Rate, tls::Identity},
};

const GOOD: &str = "good";
/// Its Hello is answered from another task.
const LATE: &str = "late";
/// A frontend's token.
const FRONTEND: &str = "frontend";
/// As a token: refused. As a renewal: panics.
const BAD: &str = "bad";

/// What happened at the border, for tests that wait.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Connected(Carrier),
    /// A batch of so many requests.
    Batch(usize),
    Gone,
}

/// A request that is not answered yet.
type Held = (u32, Arc<Outbox>);

#[derive(Clone)]
struct Echo {
    seen: mpsc::UnboundedSender<Seen>,
    /// Pings are kept instead of answered while this is set.
    hold: Rc<Cell<bool>>,
    held: Rc<RefCell<Vec<Held>>>,
    outboxes: Rc<RefCell<Vec<Arc<Outbox>>>>,
}

struct Session {
    outbox: Arc<Outbox>,
    authenticated: Rc<Cell<bool>>,
    frontend: bool,
}

impl Border for Echo {
    type Session = Session;

    fn connected(&self, outbox: Arc<Outbox>, peer: Peer) -> Session {
        assert!(peer.connection > 0);
        let _ = self.seen.send(Seen::Connected(peer.carrier));
        self.outboxes.borrow_mut().push(Arc::clone(&outbox));
        Session { outbox, authenticated: Rc::default(), frontend: false }
    }

    fn receive(&self, session: &mut Session, asked: &mut Vec<Asked>) -> Flow {
        let _ = self.seen.send(Seen::Batch(asked.len()));
        for Asked { number, request } in asked.drain(..) {
            let who = if matches!(request, Request::Reload(_)) { Who::Newcomer } else { Who::Guest };
            if let Err(overload) = session.outbox.begin(who) {
                let refused = outbox::refused(RefusalCode::Overloaded, &overload.to_string());
                session.outbox.push_aside(number, &refused);
                continue;
            }
            match request {
                Request::Hello(hello) if hello.token == *BAD => {
                    session.outbox.push_reply(number, &outbox::refused(RefusalCode::Unauthenticated, "no"));
                    return Flow::Close(GoAwayReason::TokenRevoked, Some(Duration::from_millis(7)));
                }
                Request::Hello(hello) => {
                    session.frontend = hello.token == *FRONTEND;
                    let (outbox, authenticated) =
                        (Arc::clone(&session.outbox), Rc::clone(&session.authenticated));
                    let answer = move || {
                        authenticated.set(true);
                        outbox.push_reply(number, &welcome());
                    };
                    if hello.token == *LATE {
                        spawn_local(async move {
                            yield_now().await;
                            answer();
                        });
                    } else {
                        answer();
                    }
                }
                Request::Ping(_) if self.hold.get() => {
                    self.held.borrow_mut().push((number, Arc::clone(&session.outbox)));
                }
                Request::Renew(renew) => assert!(renew.token != *BAD, "told to panic"),
                _ => session.outbox.push_reply(number, &pong()),
            }
        }
        Flow::Continue
    }

    fn authenticated(&self, session: &Session) -> bool {
        session.authenticated.get()
    }

    fn is_frontend(&self, session: &Session) -> bool {
        session.frontend
    }

    fn disconnected(&self, _session: Session) {
        let _ = self.seen.send(Seen::Gone);
    }
}

impl Echo {
    fn new() -> (Self, mpsc::UnboundedReceiver<Seen>) {
        let (seen, events) = mpsc::unbounded_channel();
        (Self { seen, hold: Rc::default(), held: Rc::default(), outboxes: Rc::default() }, events)
    }

    fn release(&self) {
        self.hold.set(false);
        for (number, outbox) in self.held.borrow_mut().drain(..) {
            outbox.push_reply(number, &pong());
        }
    }
}

fn welcome() -> Reply {
    Reply::Welcome(Welcome {
        connection: 1,
        role: Role::Agent,
        workspace: None,
        agent: None,
        visitor: None,
        now: Timestamp::from_micros(1),
        highest_kind: Request::HIGHEST_KIND,
        version: Text::clip("test"),
        expires: None,
        limits: Limits { in_flight: 4_096, message_body: 8_192, frame: 65_536 },
    })
}

fn pong() -> Reply {
    Reply::Pong(Pong { now: Timestamp::from_micros(1) })
}

/// A daemon of one arbiter, which is the test's own thread.
struct Daemon {
    endpoint: Endpoint,
    connections: Connections,
    identity: Identity,
    border: Echo,
    seen: mpsc::UnboundedReceiver<Seen>,
    lane: Lane,
    dir: tempfile::TempDir,
}

impl Daemon {
    fn start(settings: Settings) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let identity = tls::load_or_make(dir.path(), SystemTime::now()).expect("a certificate");
        let connections = Connections::new(settings);
        let options = endpoint::Options::new(([127, 0, 0, 1], 0).into(), dir.path().to_owned());
        let endpoint = Endpoint::bind(options, &identity, connections.clone()).expect("a free port");
        let (border, seen) = Echo::new();
        let (lane, arrivals) = lane();
        spawn_local(attend(arrivals, border.clone()));
        let (accepting, lanes) = (endpoint.clone(), vec![lane.clone()]);
        spawn_local(async move { accepting.run(lanes).await });
        Self { endpoint, connections, identity, border, seen, lane, dir }
    }

    fn options(&self, token: &str, encoding: Encoding) -> Options {
        let address = self.endpoint.local_addr().expect("it listens").to_string();
        Options { encoding, ..Options::new(address, Ca::Fingerprint(self.identity.fingerprint), token) }
    }

    async fn client(&self, encoding: Encoding) -> (Client, Notices) {
        Client::connect(&self.options(GOOD, encoding)).await.expect("it connects")
    }

    async fn raw(&self, alpn: &[&[u8]]) -> Result<Raw, ConnectError> {
        let options = self.options(GOOD, Encoding::Bincode);
        let mut config = client_config(&options.ca, alpn)?;
        // Little may be under way to it, lest the close that a test waits for finds the socket's buffer full.
        let mut transport = transport_config();
        transport.stream_receive_window(quinn::VarInt::from_u32(64 * 1024));
        config.transport_config(Arc::new(transport));
        let dialled = Dialer::new()?.dial(&options, config).await?;
        Ok(Raw { dialled, decoder: FrameDecoder::new() })
    }

    /// A raw connection that has said Hello and read the Welcome.
    async fn greeted(&self) -> Raw {
        let mut raw = self.raw(&[Encoding::Bincode.alpn()]).await.expect("it connects");
        raw.write(&frame(&hello(GOOD), 1)).await;
        assert!(matches!(raw.reply().await, Some((1, Reply::Welcome(_)))));
        raw
    }

    /// Waits until this happened at the border; what else happens before is skipped.
    async fn until(&mut self, wanted: Seen) {
        while self.seen.recv().await.expect("the border lives") != wanted {}
    }

    fn count(&self, name: &str) -> u64 {
        let named = self.connections.counters().each().find(|(counter, _)| *counter == name);
        named.expect("a counter of this name").1
    }
}

/// A client that can misbehave.
struct Raw {
    dialled: Dialled,
    decoder: FrameDecoder,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "few at a time")]
enum Heard {
    Reply(u32, Reply),
    Notice(Notice),
}

impl Raw {
    async fn write(&mut self, bytes: &[u8]) {
        self.dialled.send.write_all(bytes).await.expect("the daemon reads");
    }

    async fn hear(&mut self) -> Option<Heard> {
        loop {
            if let Some(frame) = self.decoder.next().expect("the daemon's frames are sound") {
                let (kind, number, body) = (frame.kind, frame.number, frame.body);
                return Some(match Reply::decode(Encoding::Bincode, kind, body) {
                    Ok(reply) => Heard::Reply(number, reply),
                    Err(_) => Heard::Notice(Notice::decode(Encoding::Bincode, kind, body).expect("a notice")),
                });
            }
            if read_into(&mut self.decoder, &mut self.dialled.recv).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    async fn reply(&mut self) -> Option<(u32, Reply)> {
        match self.hear().await {
            Some(Heard::Reply(number, reply)) => Some((number, reply)),
            Some(Heard::Notice(notice)) => panic!("a notice instead of a reply: {notice:?}"),
            None => None,
        }
    }

    async fn refusal(&mut self) -> (u32, RefusalCode) {
        match self.reply().await {
            Some((number, Reply::Refused(refused))) => (number, refused.code),
            other => panic!("no refusal: {other:?}"),
        }
    }

    async fn go_away(&mut self) -> GoAway {
        match self.hear().await {
            Some(Heard::Notice(Notice::GoAway(words))) => words,
            other => panic!("no GoAway: {other:?}"),
        }
    }

    async fn close_reason(&self) -> Option<GoAwayReason> {
        match self.dialled.connection.closed().await {
            quinn::ConnectionError::ApplicationClosed(close) => reason_of_code(close.error_code.into()),
            other => panic!("not closed by the daemon: {other}"),
        }
    }
}

fn hello(token: &str) -> Request {
    Hello {
        token: Text::clip(token),
        client: uuid::Uuid::nil().into(),
        highest_kind: Notice::HIGHEST_KIND,
        software: Text::default(),
        workspace: None,
    }
    .into()
}

fn frame(request: &Request, number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode(Encoding::Bincode, number, &mut bytes).expect("it fits");
    bytes
}

/// A frame with any body under any kind.
fn raw_frame(kind: u16, number: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(body.len()).expect("short").to_be_bytes().to_vec();
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn ping() -> Request {
    Ping {}.into()
}

fn notice(bytes: usize) -> Notice {
    Notice::VisitorEvent(crate::protocol::notice::VisitorEvent {
        conversation: ConversationId::from(uuid::Uuid::nil()),
        visitor: uuid::Uuid::nil().into(),
        entry: crate::protocol::notice::VisitorEntry {
            visitor_seq: 1,
            at: Timestamp::from_micros(1),
            change: crate::protocol::notice::VisitorChange::Fallback {
                message: Text::clip("x".repeat(bytes)),
            },
        },
    })
}

fn within(timing: Timing) -> Settings {
    Settings { timing, ..Settings::default() }
}

/// Runs a test inside a `LocalSet`, as on an arbiter.
fn on_an_arbiter(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(LocalSet::new().run_until(async {
        tokio::time::timeout(Duration::from_secs(20), test).await.expect("the test hangs");
    }));
}

#[test]
fn pipelined_requests_are_answered_in_few_batches() {
    on_an_arbiter(async {
        for encoding in Encoding::ALL {
            let mut daemon = Daemon::start(Settings::default());
            let (client, _notices) = daemon.client(encoding).await;
            let sent: Vec<_> = (0..1_000).map(|_| client.ping()).collect();
            for answer in sent {
                answer.await.expect("a pong");
            }
            client.close().await;
            daemon.until(Seen::Gone).await;
            assert_eq!(daemon.count("frames_in"), 1_001);
            assert_eq!(daemon.count("frames_out"), 1_001);
            assert_eq!(client.ended(), Some(Ended::Here));
            assert_eq!(daemon.connections.count(), 0);
        }
    });
}

#[test]
fn an_exporter_sees_what_was_counted() {
    on_an_arbiter(async {
        let daemon = Daemon::start(Settings::default());
        let (client, _notices) = daemon.client(Encoding::Json).await;
        client.ping().await.expect("a pong");
        let metrics = crate::metrics::Metrics::new(&[]);
        let showing = counters::Showing::new(Arc::clone(&metrics.transport));
        showing.show(&daemon.connections);
        let shown = metrics.render();
        for line in [
            r#"maitred_connections{carrier="quic",encoding="json"} 1"#,
            r#"maitred_frames_total{direction="in",kind="ping"} 1"#,
            r#"maitred_frames_total{direction="out",kind="welcome"} 1"#,
            r#"maitred_connection_events_total{event="admitted"} 1"#,
            r#"maitred_protocol_errors_total{reason="malformed"} 0"#,
        ] {
            assert!(shown.contains(line), "{line} is not in:\n{shown}");
        }
    });
}

#[test]
fn frames_that_come_together_are_handed_over_together() {
    on_an_arbiter(async {
        let mut daemon = Daemon::start(Settings::default());
        let mut raw = daemon.greeted().await;
        daemon.until(Seen::Batch(1)).await;
        let many: Vec<u8> = (1..=50).flat_map(|number| frame(&ping(), number)).collect();
        raw.write(&many).await;
        daemon.until(Seen::Batch(50)).await;
        for number in 1..=50 {
            assert_eq!(raw.reply().await.map(|(answered, _)| answered), Some(number));
        }
    });
}

#[test]
fn a_frame_may_come_in_pieces() {
    on_an_arbiter(async {
        let mut daemon = Daemon::start(Settings::default());
        let mut raw = daemon.greeted().await;
        for byte in frame(&ping(), 9) {
            raw.write(&[byte]).await;
            yield_now().await;
        }
        daemon.until(Seen::Batch(1)).await;
        assert!(matches!(raw.reply().await, Some((9, Reply::Pong(_)))));
    });
}

#[test]
fn malformed_frames_are_refused_and_the_third_ends_the_connection() {
    on_an_arbiter(async {
        let mut daemon = Daemon::start(Settings::default());
        let mut raw = daemon.greeted().await;
        raw.write(&raw_frame(2, 5, b"trailing")).await;
        assert_eq!(raw.refusal().await, (5, RefusalCode::Malformed));
        raw.write(&frame(&ping(), 6)).await;
        assert!(matches!(raw.reply().await, Some((6, Reply::Pong(_)))), "one is forgiven");
        raw.write(&frame(&ping(), NO_REQUEST)).await;
        assert_eq!(raw.refusal().await, (NO_REQUEST, RefusalCode::Malformed));
        raw.write(&raw_frame(3, 7, &[0xff; 9])).await;
        assert_eq!(raw.refusal().await.0, 7);
        assert_eq!(raw.go_away().await.reason, GoAwayReason::ProtocolError);
        assert_eq!(raw.close_reason().await, Some(GoAwayReason::ProtocolError));
        daemon.until(Seen::Gone).await;
        assert_eq!((daemon.count("malformed"), daemon.count("misbehaved")), (3, 1));
    });
}

#[test]
fn an_oversized_frame_ends_the_connection_before_it_is_buffered() {
    on_an_arbiter(async {
        let daemon = Daemon::start(Settings::default());
        let mut raw = daemon.greeted().await;
        raw.write(&u32::try_from(MAX_BODY + 1).expect("small").to_be_bytes()).await;
        assert_eq!(raw.refusal().await, (NO_REQUEST, RefusalCode::TooLarge));
        assert_eq!(raw.go_away().await.reason, GoAwayReason::ProtocolError);
        assert_eq!(daemon.count("too_large"), 1);

        let mut stranger = daemon.raw(&[Encoding::Bincode.alpn()]).await.expect("it connects");
        stranger.write(&raw_frame(1, 1, &[0; 2_049])).await;
        assert_eq!(stranger.refusal().await, (NO_REQUEST, RefusalCode::TooLarge));
        assert_eq!(daemon.count("too_large"), 2, "2 KiB are enough for a Hello");
    });
}

#[test]
fn unknown_kinds_are_skipped_by_length_however_many() {
    on_an_arbiter(async {
        let daemon = Daemon::start(Settings::default());
        let mut raw = daemon.greeted().await;
        for number in 10..20 {
            raw.write(&raw_frame(0x0fff, number, b"from the future")).await;
            assert_eq!(raw.refusal().await, (number, RefusalCode::UnknownKind));
        }
        raw.write(&frame(&ping(), 20)).await;
        assert!(matches!(raw.reply().await, Some((20, Reply::Pong(_)))));
        assert_eq!(daemon.count("unknown_kind"), 10);
    });
}

#[test]
fn nothing_is_read_before_the_hello_is_answered() {
    on_an_arbiter(async {
        let mut daemon = Daemon::start(Settings::default());
        let mut raw = daemon.raw(&[Encoding::Bincode.alpn()]).await.expect("it connects");
        let both = [frame(&hello(BAD), 1), frame(&ping(), 2)].concat();
        raw.write(&both).await;
        assert_eq!(raw.refusal().await, (1, RefusalCode::Unauthenticated));
        let words = raw.go_away().await;
        assert_eq!((words.reason, words.retry_after_ms), (GoAwayReason::TokenRevoked, 7));
        daemon.until(Seen::Gone).await;
        assert_eq!(daemon.count("frames_in"), 1);

        let mut late = daemon.raw(&[Encoding::Bincode.alpn()]).await.expect("it connects");
        late.write(&[frame(&hello(LATE), 1), frame(&ping(), 2)].concat()).await;
        assert!(matches!(late.reply().await, Some((1, Reply::Welcome(_)))));
        assert!(matches!(late.reply().await, Some((2, Reply::Pong(_)))));
    });
}

#[test]
fn who_says_no_hello_in_time_is_sent_away() {
    on_an_arbiter(async {
        let timing = Timing { hello: Duration::from_millis(50), ..Timing::default() };
        let mut daemon = Daemon::start(within(timing));
        let silent = daemon.raw(&[Encoding::Bincode.alpn()]).await.expect("it connects");
        assert_eq!(silent.close_reason().await, Some(GoAwayReason::IdleTimeout));

        let mut slow = daemon.raw(&[Encoding::Bincode.alpn()]).await.expect("it connects");
        slow.write(&frame(&hello(GOOD), 1)[..5]).await;
        assert_eq!(slow.go_away().await.reason, GoAwayReason::IdleTimeout);
        daemon.until(Seen::Gone).await;
        assert_eq!(daemon.count("hello_timeouts"), 2);

        // Who is silent after the good one's Hello is sent away only when the good one's deadline has passed too.
        let mut good = daemon.greeted().await;
        let later = daemon.raw(&[Encoding::Bincode.alpn()]).await.expect("it connects");
        assert_eq!(later.close_reason().await, Some(GoAwayReason::IdleTimeout));
        good.write(&frame(&ping(), 2)).await;
        assert!(good.reply().await.is_some(), "the deadline ended with the Hello");
    });
}

#[test]
fn a_common_alpn_name_is_required() {
    on_an_arbiter(async {
        let daemon = Daemon::start(Settings::default());
        for names in [&[][..], &[b"h3".as_slice()][..]] {
            match daemon.raw(names).await {
                Err(ConnectError::Alpn { .. }) => {}
                Err(other) => panic!("another error: {other}"),
                Ok(_) => panic!("it connected with {names:?}"),
            }
        }
        while daemon.count("handshake_failures") < 2 {
            yield_now().await;
        }
    });
}

#[test]
fn a_slow_reader_loses_its_connection_and_little_memory() {
    on_an_arbiter(async {
        let bounds = Bounds { outbox_bytes: 64 * 1024, ..Bounds::default() };
        let timing = Timing { linger: Duration::from_millis(50), ..Timing::default() };
        let mut daemon = Daemon::start(Settings { bounds, timing, ..Settings::default() });
        let raw = daemon.greeted().await;
        let outbox = daemon.border.outboxes.borrow()[0].clone();
        let (mut pushed, notice) = (0, notice(8_000));
        while outbox.is_open() {
            outbox.push_notice(&notice, Class::Droppable);
            outbox.push_notice(&notice, Class::Essential);
            assert!(outbox.load().0 <= bounds.outbox_bytes * 4);
            pushed += 1;
            assert!(pushed < 10_000, "it is never found to be slow");
            // As an arbiter does between two turns: let quinn and the writer work.
            yield_now().await;
        }
        assert!(daemon.count("notices_dropped") > 0, "what can be dropped goes first");
        assert_eq!(raw.close_reason().await, Some(GoAwayReason::SlowConsumer));
        daemon.until(Seen::Gone).await;
        assert_eq!(outbox.load(), (0, 0));
        assert_eq!(daemon.count("slow_consumers"), 1);
    });
}

#[test]
fn requests_in_flight_are_bounded_per_connection_and_in_all() {
    on_an_arbiter(async {
        let bounds = Bounds { in_flight: 3, in_flight_total: 5, ..Bounds::default() };
        let daemon = Daemon::start(Settings { bounds, ..Settings::default() });
        let (one, _) = daemon.client(Encoding::Bincode).await;
        let (other, _) = daemon.client(Encoding::Json).await;
        daemon.border.hold.set(true);
        let held: Vec<_> = (0..3).map(|_| one.ping()).collect();
        assert_eq!(one.ping().await.unwrap_err().code(), Some(RefusalCode::Overloaded));
        let also: Vec<_> = (0..2).map(|_| other.ping()).collect();
        assert_eq!(other.ping().await.unwrap_err().code(), Some(RefusalCode::Overloaded));
        assert_eq!(daemon.connections.load(), (0, 5));

        daemon.border.release();
        for answer in held.into_iter().chain(also) {
            answer.await.expect("a pong");
        }
        assert_eq!(daemon.connections.load(), (0, 0));
        one.ping().await.expect("room again");
        assert_eq!(daemon.count("overloaded"), 2);
    });
}

/// At this border a reload is what comes anew.
#[test]
fn newcomers_are_turned_away_first() {
    on_an_arbiter(async {
        let bounds = Bounds { in_flight: 8, ..Bounds::default() };
        let daemon = Daemon::start(Settings { bounds, ..Settings::default() });
        let (client, _) = daemon.client(Encoding::Bincode).await;
        daemon.border.hold.set(true);
        let mut held: Vec<_> = (0..5).map(|_| client.ping()).collect();
        client.ask::<Reply>(Reload {}).await.expect("three quarters are not in use yet");
        held.push(client.ping());
        let refused = client.ask::<Reply>(Reload {}).await.unwrap_err();
        assert_eq!(refused.code(), Some(RefusalCode::Overloaded));
        held.extend((0..2).map(|_| client.ping()));
        assert_eq!(client.ping().await.unwrap_err().code(), Some(RefusalCode::Overloaded));
        daemon.border.release();
        for answer in held {
            answer.await.expect("a pong");
        }
    });
}

#[test]
fn what_a_lost_connection_had_in_flight_is_given_back() {
    on_an_arbiter(async {
        let mut daemon = Daemon::start(Settings::default());
        let (client, _) = daemon.client(Encoding::Bincode).await;
        daemon.border.hold.set(true);
        let answer = client.ping();
        daemon.until(Seen::Batch(1)).await;
        daemon.until(Seen::Batch(1)).await;
        daemon.border.outboxes.borrow()[0].close(GoAwayReason::TokenExpired, None);
        let error = answer.await.unwrap_err();
        assert!(error.to_string().contains("TokenExpired"), "{error}");
        daemon.until(Seen::Gone).await;
        assert_eq!(daemon.connections.load(), (0, 0));
        daemon.border.release();
        assert_eq!(daemon.connections.load(), (0, 0), "a late reply is not counted twice");
    });
}

#[test]
fn many_half_open_handshakes_cost_a_retry_and_no_more() {
    on_an_arbiter(async {
        let limits = admission::Limits { half_open: 0, ..admission::Limits::default() };
        let daemon = Daemon::start(Settings { limits, ..Settings::default() });
        let (client, _) = daemon.client(Encoding::Bincode).await;
        client.ping().await.expect("a pong");
        assert_eq!((daemon.count("retried"), daemon.count("admitted")), (1, 1));
    });
}

#[test]
fn a_full_daemon_says_so_to_proven_addresses_only() {
    on_an_arbiter(async {
        let limits = admission::Limits { half_open: 0, connections: 0, ..admission::Limits::default() };
        let daemon = Daemon::start(Settings { limits, ..Settings::default() });
        let refused = Client::connect(&daemon.options(GOOD, Encoding::Bincode)).await;
        assert!(matches!(refused, Err(ConnectError::Busy(_))));
        assert_eq!((daemon.count("refused"), daemon.count("full_connections")), (1, 1));

        let none = Rate { per_second: 0.0, burst: 0.0 };
        let limits = admission::Limits { arrivals_known: none, ..admission::Limits::default() };
        let daemon = Daemon::start(Settings { limits, ..Settings::default() });
        let mut options = daemon.options(GOOD, Encoding::Bincode);
        options.common.timeout = Duration::from_millis(50);
        let ignored = Client::connect(&options).await;
        assert!(matches!(ignored, Err(ConnectError::Timeout { .. })));
        assert_eq!((daemon.count("ignored"), daemon.count("full_arrivals")), (1, 1));
    });
}

#[test]
fn draining_answers_what_is_in_flight_and_says_when_to_come_back() {
    on_an_arbiter(async {
        let mut settings = Settings::default();
        settings.limits.arrivals.per_second = 2.0;
        let mut daemon = Daemon::start(settings);
        let (busy, mut notices) = daemon.client(Encoding::Bincode).await;
        let (idle, mut idle_notices) = daemon.client(Encoding::Json).await;
        daemon.border.hold.set(true);
        let answer = busy.ping();
        for _ in 0..3 {
            daemon.until(Seen::Batch(1)).await;
        }
        let wait = Some(Duration::from_millis(1_500));
        let connections = daemon.connections.clone();
        let drained = spawn_local(async move {
            connections.drain(GoAwayReason::Restarting, wait, Duration::from_secs(10)).await
        });
        daemon.until(Seen::Gone).await;
        assert_eq!(daemon.connections.count(), 1, "the idle one goes first");
        daemon.border.release();
        answer.await.expect("it was in flight, so it is answered");
        let words = |told: Option<Told>| match told {
            Some(Told::Notice(crate::protocol::Notice::GoAway(words))) => words,
            other => panic!("{other:?}"),
        };
        let both = [words(notices.next().await), words(idle_notices.next().await)];
        assert!(both.iter().all(|words| words.reason == GoAwayReason::Restarting));
        let mut waits = both.map(|words| words.retry_after_ms);
        waits.sort_unstable();
        assert_eq!(waits, [1_500, 2_000], "they come back no faster than connections are taken");
        assert_eq!(notices.next().await, None);
        assert_eq!(drained.await.expect("no panic"), 0);
        assert_eq!(busy.ended(), Some(Ended::GoneAway(both[0])));
        assert!(matches!(idle.ping().await, Err(crate::client::RequestError::Lost(_))));
        assert!(Client::connect(&impatient(&daemon)).await.is_err(), "nobody gets in any more");
        daemon.endpoint.close(Duration::from_secs(1)).await;
    });
}

fn impatient(daemon: &Daemon) -> Options {
    let mut options = daemon.options(GOOD, Encoding::Bincode);
    options.common.timeout = Duration::from_millis(50);
    options
}

#[test]
fn draining_cuts_off_who_does_not_finish_in_time() {
    on_an_arbiter(async {
        let mut daemon = Daemon::start(Settings::default());
        let (client, _notices) = daemon.client(Encoding::Bincode).await;
        daemon.border.hold.set(true);
        let answer = client.ping();
        daemon.until(Seen::Batch(1)).await;
        daemon.until(Seen::Batch(1)).await;
        let late = daemon.connections.drain(GoAwayReason::Draining, None, Duration::ZERO).await;
        assert_eq!(late, 1);
        answer.await.expect_err("it was cut off");
        daemon.until(Seen::Gone).await;
    });
}

#[test]
fn a_second_stream_is_refused_and_the_first_goes_on() {
    on_an_arbiter(async {
        let daemon = Daemon::start(Settings::default());
        let mut raw = daemon.greeted().await;
        let (mut send, mut recv) = raw.dialled.connection.open_bi().await.expect("QUIC permits it");
        send.write_all(b"hello?").await.expect("sent");
        assert!(recv.read_to_end(10).await.is_err());
        raw.write(&frame(&ping(), 2)).await;
        assert!(matches!(raw.reply().await, Some((2, Reply::Pong(_)))));
        assert_eq!(daemon.count("extra_streams"), 1);
    });
}

#[test]
fn a_client_behind_a_rebinding_nat_keeps_its_session() {
    on_an_arbiter(async {
        let daemon = Daemon::start(Settings::default());
        let dialer = Dialer::new().expect("a socket");
        let options = daemon.options(GOOD, Encoding::Bincode);
        let (client, _notices) = dialer.connect(&options).await.expect("it connects");
        for _ in 0..3 {
            dialer.rebind();
            client.ping().await.expect("a pong");
        }
        assert_eq!(daemon.count("admitted"), 1);
    });
}

#[test]
fn a_flood_of_rubbish_is_answered_with_less() {
    on_an_arbiter(async {
        let daemon = Daemon::start(Settings::default());
        let socket = tokio::net::UdpSocket::bind(("127.0.0.1", 0)).await.expect("a socket");
        socket.connect(daemon.endpoint.local_addr().expect("it listens")).await.expect("connected");
        let (mut sent, mut heard) = (0, 0);
        let mut noise = [0_u8; 1_200];
        for round in 0..500_u32 {
            // Every shape of first byte: long and short headers, all kinds of packets, any version.
            for (place, byte) in noise.iter_mut().enumerate() {
                *byte = (round.wrapping_mul(2_654_435_761) >> (place % 24)) as u8;
            }
            sent += socket.send(&noise[..40 + (round as usize * 7) % 1_160]).await.unwrap_or(0);
            yield_now().await;
            let mut answer = [0; 2_000];
            while let Ok(bytes) = socket.try_recv(&mut answer) {
                heard += bytes;
            }
        }
        let (client, _notices) = daemon.client(Encoding::Bincode).await;
        client.ping().await.expect("others are served");
        assert!(heard <= sent * 3, "{heard} bytes for {sent}");
        assert_eq!(daemon.connections.count(), 1);
    });
}

#[test]
fn a_panic_at_the_border_costs_one_connection() {
    on_an_arbiter(async {
        let mut daemon = Daemon::start(Settings::default());
        let mut raw = daemon.greeted().await;
        let (other, _) = daemon.client(Encoding::Json).await;
        let panics = Renew { token: Text::clip(BAD) }.into();
        raw.write(&frame(&panics, 2)).await;
        assert_eq!(raw.go_away().await.reason, GoAwayReason::ProtocolError);
        daemon.until(Seen::Gone).await;
        other.ping().await.expect("a pong");
    });
}

#[test]
fn a_client_that_vanishes_is_noticed_by_the_idle_timeout() {
    on_an_arbiter(async {
        let mut daemon = Daemon::start(Settings::default());
        let raw = daemon.greeted().await;
        raw.dialled.connection.close(quinn::VarInt::from_u32(0), b"");
        daemon.until(Seen::Gone).await;
        assert_eq!(daemon.count("closed"), 1);
    });
}

#[test]
fn the_certificate_is_checked() {
    on_an_arbiter(async {
        let daemon = Daemon::start(Settings::default());
        let elsewhere = tempfile::tempdir().expect("a directory");
        let other = tls::load_or_make(elsewhere.path(), SystemTime::now()).expect("a certificate");
        let mut options = daemon.options(GOOD, Encoding::Bincode);

        options.ca = Ca::Fingerprint(other.fingerprint);
        let shown = Client::connect(&options).await.map(drop);
        assert!(matches!(shown, Err(ConnectError::Certificate(_))), "{shown:?}");
        options.ca = Ca::Pem(elsewhere.path().join("cert.pem"));
        let shown = Client::connect(&options).await.map(drop);
        assert!(matches!(shown, Err(ConnectError::Certificate(_))), "{shown:?}");
        options.ca = Ca::Pem(daemon.dir.path().join("cert.pem"));
        Client::connect(&options).await.expect("the right file, and 127.0.0.1 is in it");
        options.server_name = Some("example.org".to_owned());
        let shown = Client::connect(&options).await.map(drop);
        assert!(matches!(shown, Err(ConnectError::Certificate(_))), "{shown:?}");
        options.ca = Ca::Fingerprint(daemon.identity.fingerprint);
        Client::connect(&options).await.expect("a pinned certificate may bear any name");
    });
}

#[test]
fn a_name_with_two_addresses_is_tried_on_both() {
    on_an_arbiter(async {
        let daemon = Daemon::start(Settings::default());
        let mut options = daemon.options(GOOD, Encoding::Bincode);
        let port = daemon.endpoint.local_addr().expect("it listens").port();
        // On most machines ::1 as well, where nobody listens.
        options.address = format!("localhost:{port}");
        Client::connect(&options).await.expect("it connects");
        options.address = "no-port".to_owned();
        assert!(matches!(Client::connect(&options).await, Err(ConnectError::Address { .. })));
    });
}

#[test]
fn a_renewed_certificate_is_shown_to_newcomers_only() {
    on_an_arbiter(async {
        let daemon = Daemon::start(Settings::default());
        let (before, _) = daemon.client(Encoding::Bincode).await;
        let elsewhere = tempfile::tempdir().expect("a directory");
        let other = tls::load_or_make(elsewhere.path(), SystemTime::now()).expect("a certificate");
        daemon.endpoint.present(&other).expect("it is sound");
        before.ping().await.expect("a pong");
        let mut options = daemon.options(GOOD, Encoding::Bincode);
        let shown = Client::connect(&options).await.map(drop);
        assert!(matches!(shown, Err(ConnectError::Certificate(_))), "{shown:?}");
        options.ca = Ca::Fingerprint(other.fingerprint);
        Client::connect(&options).await.expect("it connects");
    });
}

#[test]
fn the_unix_socket_carries_the_same_frames() {
    on_an_arbiter(async {
        let mut daemon = Daemon::start(Settings::default());
        let socket = unix::Socket::listen(daemon.dir.path()).expect("a socket");
        assert!(matches!(unix::Socket::listen(daemon.dir.path()), Err(unix::Trouble::Taken(_))));
        let (lane, connections) = (daemon.lane.clone(), daemon.connections.clone());
        let serving = spawn_local(async move { socket.run(lane, connections).await });

        let path = daemon.dir.path().join(unix::SOCKET_FILE);
        let (client, _notices) =
            Client::connect_unix(&path, None, &Common::default()).await.expect("it connects");
        daemon.until(Seen::Connected(Carrier::Unix)).await;
        let sent: Vec<_> = (0..100).map(|_| client.ping()).collect();
        for answer in sent {
            answer.await.expect("a pong");
        }
        client.close().await;
        daemon.until(Seen::Gone).await;

        let (client, mut notices) =
            Client::connect_unix(&path, None, &Common::default()).await.expect("it connects");
        daemon.connections.drain(GoAwayReason::Draining, None, Duration::from_secs(5)).await;
        assert!(matches!(notices.next().await, Some(Told::Notice(Notice::GoAway(_)))));
        assert_eq!(notices.next().await, None);
        assert!(matches!(client.ended(), Some(Ended::GoneAway(_))));
        serving.abort();
        let _ = serving.await;
        assert!(!path.exists(), "the file goes with the socket");
    });
}

#[test]
fn a_socket_file_is_removed_only_if_nobody_listens() {
    on_an_arbiter(async {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(unix::SOCKET_FILE);
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
        assert!(path.exists(), "a killed daemon leaves its file");
        let socket = unix::Socket::listen(dir.path()).expect("the stale file is removed");
        drop(socket);
        std::fs::write(&path, "mine").expect("a file");
        assert!(matches!(unix::Socket::listen(dir.path()), Err(unix::Trouble::NotASocket(_))));
        assert_eq!(std::fs::read_to_string(&path).expect("still there"), "mine");
    });
}

#[test]
fn connections_run_on_the_arbiter_of_their_lane() {
    /// Says on which thread it is asked.
    #[derive(Clone)]
    struct Where(mpsc::UnboundedSender<ThreadId>);
    impl Border for Where {
        type Session = Arc<Outbox>;
        fn connected(&self, outbox: Arc<Outbox>, _peer: Peer) -> Arc<Outbox> {
            let _ = self.0.send(thread::current().id());
            outbox
        }
        fn receive(&self, outbox: &mut Arc<Outbox>, asked: &mut Vec<Asked>) -> Flow {
            for Asked { number, .. } in asked.drain(..) {
                let _ = outbox.begin(Who::Guest);
                outbox.push_reply(number, &welcome());
            }
            Flow::Continue
        }
        fn authenticated(&self, _: &Arc<Outbox>) -> bool {
            true
        }
        fn disconnected(&self, _: Arc<Outbox>) {}
    }
    on_an_arbiter(async {
        let (threads, mut places) = mpsc::unbounded_channel();
        let daemon = Daemon::start(Settings::default());
        let over = Arc::new(Notify::new());
        let mut lanes = Vec::new();
        let mut arbiters = Vec::new();
        for _ in 0..2 {
            let (lane, arrivals) = lane();
            lanes.push(lane);
            let (border, over) = (Where(threads.clone()), Arc::clone(&over));
            arbiters.push(thread::spawn(move || {
                on_an_arbiter(async {
                    spawn_local(attend(arrivals, border));
                    over.notified().await;
                });
            }));
        }
        let dir = tempfile::tempdir().expect("a directory");
        let options = endpoint::Options::new(([127, 0, 0, 1], 0).into(), dir.path().to_owned());
        let endpoint =
            Endpoint::bind(options, &daemon.identity, daemon.connections.clone()).expect("a free port");
        let mut options = daemon.options(GOOD, Encoding::Bincode);
        options.address = endpoint.local_addr().expect("it listens").to_string();
        spawn_local(async move { endpoint.run(lanes).await });

        let one = Client::connect(&options).await.expect("it connects");
        let other = Client::connect(&options).await.expect("it connects");
        let (first, second) = (places.recv().await, places.recv().await);
        assert!(first.is_some() && first != second && first != Some(thread::current().id()));
        drop((one, other));
        over.notify_waiters();
        over.notify_one();
        for arbiter in arbiters {
            over.notify_one();
            arbiter.join().expect("no panic");
        }
    });
}
