//! Something that takes webhooks: HTTP/1.1, as little of it as that needs.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Identity, lines::Lines};

/// How a request is answered.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// With this status and these header lines.
    Status(u16, &'static str),
    /// Not at all, for as long as the client waits.
    Silence,
}

/// A request that came in.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// What receivers know it by.
    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body in JSON")
    }

    pub(crate) fn topic(&self) -> String {
        self.json()["type"].as_str().expect("a type").to_owned()
    }

    /// Whether the signature is right. Written apart from the daemon's, on another library.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
        let key = BASE64.decode(secret.strip_prefix("whsec_").expect("a secret")).expect("base64");
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key);
        let mut signed = format!("{}.{}.", self.id(), self.header("webhook-timestamp")).into_bytes();
        signed.extend_from_slice(&self.body);
        let signatures = self.header("webhook-signature").split(' ');
        signatures.filter_map(|each| each.strip_prefix("v1,")).any(|encoded| {
            BASE64.decode(encoded).is_ok_and(|tag| ring::hmac::verify(&key, &signed, &tag).is_ok())
        })
    }
}

/// A server for webhooks.
pub(crate) struct Webhooks {
    address: SocketAddr,
    scheme: &'static str,
    script: Arc<Mutex<VecDeque<Answer>>>,
    arrived: UnboundedReceiver<Request>,
}

impl Webhooks {
    pub(crate) fn start() -> Self {
        Self::open(None)
    }

    pub(crate) fn with(identity: &Identity) -> Self {
        Self::open(Some(Arc::clone(&identity.config)))
    }

    fn open(tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (tell, arrived) = unbounded_channel();
        let script = Arc::new(Mutex::new(VecDeque::new()));
        let answers = Arc::clone(&script);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tell, answers, tls) = (tell.clone(), Arc::clone(&answers), tls.clone());
                // A client that goes away ends its thread and nothing else.
                thread::spawn(move || serve(stream, tls.as_ref(), &tell, &answers));
            }
        });
        Self { address, scheme, script, arrived }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}/hooks", self.scheme, self.address.port())
    }

    /// The next requests are answered so, one after the other; then all with 204.
    pub(crate) fn behave(&self, answers: impl IntoIterator<Item = Answer>) {
        self.script.lock().expect("no poison").extend(answers);
    }

    /// The next request.
    pub(crate) async fn next(&mut self) -> Request {
        super::next(&mut self.arrived, "a webhook").await
    }

    /// The next request about this, whatever comes before.
    pub(crate) async fn next_about(&mut self, topic: &str) -> Request {
        loop {
            let request = self.next().await;
            if request.topic() == topic {
                return request;
            }
        }
    }

    /// A request that is there already.
    pub(crate) fn already(&mut self) -> Option<Request> {
        self.arrived.try_recv().ok()
    }

    /// The next request, while time is moved on.
    pub(crate) async fn next_while(&mut self, mut moves: impl FnMut()) -> Request {
        for _ in 0..1_000 {
            moves();
            let soon = tokio::time::timeout(Duration::from_millis(20), self.arrived.recv()).await;
            if let Ok(Some(request)) = soon {
                return request;
            }
        }
        panic!("a webhook did not come however long time went on");
    }
}

fn serve(
    stream: TcpStream,
    tls: Option<&Arc<rustls::ServerConfig>>,
    tell: &UnboundedSender<Request>,
    script: &Mutex<VecDeque<Answer>>,
) -> io::Result<()> {
    let mut lines = Lines::new(stream, tls);
    while let Some(first) = lines.line()? {
        assert!(first.starts_with("POST /hooks HTTP/1.1"), "{first}");
        let mut headers = BTreeMap::new();
        while let Some(line) = lines.line()?.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").expect("a header");
            headers.insert(name.to_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let body = lines.bytes(length)?;
        let answer = script.lock().expect("no poison").pop_front().unwrap_or(Answer::Status(204, ""));
        let _ = tell.send(Request { headers, body });
        match answer {
            Answer::Status(status, more) => {
                lines.say(&format!("HTTP/1.1 {status} So\r\n{more}content-length: 0\r\n\r\n"))?;
            }
            Answer::Silence => {
                // Until the client hangs up.
                let _ = lines.line();
                return Ok(());
            }
        }
    }
    Ok(())
}
