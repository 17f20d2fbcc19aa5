//! The server as a scraper or a probe meets it: over a real socket, with plain HTTP.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

struct Door {
    address: SocketAddr,
    metrics: Metrics,
    readiness: Readiness,
    admin: Admin,
}

impl Door {
    fn open() -> Self {
        let metrics = Metrics::new(&[]);
        let readiness = Readiness::starting("reading the log");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let own = Router::new().route("/api/v1/ping", get(|| async { "pong" }));
        let routes = router(metrics.clone(), readiness.clone()).merge(own);
        let admin = Admin::start(listener, routes, metrics.clone()).expect("a thread");
        Self { address, metrics, readiness, admin }
    }

    /// The status and the whole answer, head included.
    fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, answer)
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path)
    }
}

#[test]
fn probes_follow_the_daemon_from_its_start_to_its_end() {
    let door = Door::open();
    let (status, answer) = door.get("/readyz");
    assert_eq!(status, 503);
    assert!(answer.ends_with("starting: reading the log\n"), "{answer}");
    assert_eq!(door.get("/livez").0, 200, "a start must not be killed");
    door.readiness.set(Stage::Ready);
    assert_eq!(door.get("/readyz").0, 200);
    door.readiness.set(Stage::Draining { cause: "SIGTERM".to_owned() });
    let (status, answer) = door.get("/readyz");
    assert_eq!((status, answer.ends_with("draining: SIGTERM\n")), (503, true), "{answer}");
    door.readiness.set(Stage::Ready);
    assert_eq!(door.get("/readyz").0, 503, "what drains does not come back");
    door.readiness.set(Stage::Failed { reason: "the disk refused a sync".to_owned() });
    assert_eq!(door.get("/livez").0, 503);
    door.admin.stop();
}

#[test]
fn metrics_come_in_the_text_format() {
    let door = Door::open();
    door.metrics.journal.commits.increment(3);
    let (status, answer) = door.get("/metrics");
    assert_eq!(status, 200);
    assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
    assert!(answer.contains("\nmaitred_journal_commits_total 3\n"), "{answer}");
    assert!(answer.contains("\nprocess_cpu_seconds_total "), "{answer}");
}

#[test]
fn verbose_health_names_what_is_wrong() {
    let door = Door::open();
    door.readiness.set(Stage::Ready);
    door.metrics.daemon.reloaded(false, 1);
    door.metrics.actors.quarantined.of(crate::metrics::ActorKind::Conversation).set(2);
    let (status, answer) = door.get("/healthz?verbose");
    assert_eq!(status, 200, "what stands aside is no reason to send everybody away");
    assert!(answer.contains("[+] ready\n"), "{answer}");
    assert!(answer.contains("[-] newest configuration rejected"), "{answer}");
    assert!(answer.contains("[-] quarantined, kind conversation: 2\n"), "{answer}");
    assert!(!door.get("/healthz").1.contains("quarantined"));
}

#[test]
fn only_reading_is_offered_and_the_daemon_can_add_routes() {
    let door = Door::open();
    assert_eq!(door.ask("POST", "/metrics").0, 405);
    assert_eq!(door.ask("DELETE", "/readyz").0, 405);
    assert_eq!(door.get("/nowhere").0, 404);
    assert_eq!(door.get("/api/v1/ping").0, 200);
    let (_, version) = door.get("/version");
    assert!(version.contains(&format!(r#""version":"{VERSION}""#)), "{version}");
}

/// A server on a port of its own, with tight limits.
async fn tight(limits: server::Limits) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let routes = router(Metrics::new(&[]), Readiness::starting("now"));
    (address, tokio::spawn(server::serve_within(limits, listener, routes, std::future::pending())))
}

#[tokio::test]
async fn silent_clients_lose_their_place_to_the_next() {
    let head = Duration::from_millis(80);
    let (address, _server) = tight(server::Limits { connections: 2, head, ..server::LIMITS }).await;
    let begun = tokio::time::Instant::now();
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(tokio::net::TcpStream::connect(address).await.expect("a place"));
    }
    let mut late = tokio::net::TcpStream::connect(address).await.expect("a place in the system's queue");
    late.write_all(b"GET /livez HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").await.expect("sent");
    let mut answer = String::new();
    late.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(begun.elapsed() >= head, "there were more places than said");
}

#[tokio::test]
async fn a_connection_does_not_last_for_ever_though_it_keeps_asking() {
    let lifetime = Duration::from_millis(50);
    let limits = server::Limits { lifetime, grace: Duration::from_millis(50), ..server::LIMITS };
    let (address, _server) = tight(limits).await;
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("a place");
    // Ends with the connection: a read of nothing, or a write that fails.
    let mut answers = [0; 4096];
    while stream.write_all(b"GET /livez HTTP/1.1\r\nHost: here\r\n\r\n").await.is_ok() {
        if stream.read(&mut answers).await.unwrap_or(0) == 0 {
            break;
        }
    }
}
