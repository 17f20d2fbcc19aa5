//! A connection without the client library: bytes as they are, in both directions.

use std::{sync::Arc, time::Duration};

use maitred::protocol::{
    Encoding, FrameDecoder, Notice, Reply, Request, Text, notice::GoAway, reply::Welcome, request::Hello,
    words::GoAwayReason,
};
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream,
    crypto::rustls::QuicClientConfig,
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::floor::Floor;

/// Longest time that a test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// The first request number that [`Wire::ask`] uses; those below are the test's own.
const FIRST: u32 = 1_000;

pub(crate) struct Wire {
    /// Held so that it stays open.
    _connection: Connection,
    pub(crate) encoding: Encoding,
    send: SendStream,
    recv: RecvStream,
    decoder: FrameDecoder,
    next: u32,
    /// Everything that was received, as it came.
    pub(crate) seen: Vec<u8>,
    /// What was told.
    pub(crate) told: Vec<Notice>,
    /// Replies that nobody has waited for.
    early: Vec<(u32, Reply)>,
    _endpoint: Endpoint,
}

/// The handshake, with this ALPN name.
pub(crate) async fn shake_hands(
    floor: &Floor,
    alpn: &[u8],
) -> Result<(Endpoint, Connection), ConnectionError> {
    let mut roots = RootCertStore::empty();
    let pem = std::fs::read(floor.running().certificate()).expect("it is there");
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate.expect("a certificate")).expect("it can be trusted");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).expect("TLS 1.3");
    let mut tls = builder.with_root_certificates(roots).with_no_client_auth();
    tls.alpn_protocols = vec![alpn.to_vec()];
    let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).expect("QUIC's ciphers")));
    let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into()).expect("a socket");
    let connecting = endpoint.connect_with(config, floor.running().quic(), "127.0.0.1").expect("it tries");
    let connection = connecting.await?;
    Ok((endpoint, connection))
}

impl Wire {
    pub(crate) async fn connect(floor: &Floor, encoding: Encoding) -> Self {
        let (endpoint, connection) = shake_hands(floor, encoding.alpn()).await.expect("a connection");
        let (send, recv) = connection.open_bi().await.expect("a stream");
        Self {
            _connection: connection,
            encoding,
            send,
            recv,
            decoder: FrameDecoder::new(),
            next: FIRST,
            seen: Vec::new(),
            told: Vec::new(),
            early: Vec::new(),
            _endpoint: endpoint,
        }
    }

    /// A connection that has said Hello with this token.
    pub(crate) async fn welcomed(floor: &Floor, encoding: Encoding, token: &str) -> Self {
        let mut wire = Self::connect(floor, encoding).await;
        match wire.ask(hello(token)).await {
            Reply::Welcome(Welcome { .. }) => wire,
            other => panic!("no welcome: {other:?}"),
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        // A daemon that has had enough may have closed: what it said is read afterwards.
        let _ = self.send.write_all(bytes).await;
    }

    /// A request's frame.
    pub(crate) fn frame(&self, number: u32, request: impl Into<Request>) -> Vec<u8> {
        let mut bytes = Vec::new();
        request.into().encode(self.encoding, number, &mut bytes).expect("it can be sent");
        bytes
    }

    pub(crate) async fn ask(&mut self, request: impl Into<Request>) -> Reply {
        self.next += 1;
        let number = self.next;
        let bytes = self.frame(number, request);
        self.write(&bytes).await;
        self.reply(number).await
    }

    /// The reply to a request; what is told meanwhile is kept.
    pub(crate) async fn reply(&mut self, number: u32) -> Reply {
        if let Some(at) = self.early.iter().position(|(to, _)| *to == number) {
            return self.early.remove(at).1;
        }
        loop {
            match self.next().await {
                Some(Said::Reply(to, reply)) if to == number => return reply,
                Some(Said::Reply(to, reply)) => self.early.push((to, reply)),
                Some(Said::Notice(notice)) => self.told.push(notice),
                None => panic!("the connection ended without an answer to {number}; told: {:?}", self.told),
            }
        }
    }

    /// Reads to the end: the reason that the daemon gave, and every reply that still came.
    pub(crate) async fn end(&mut self) -> (Option<GoAwayReason>, Vec<(u32, Reply)>) {
        let mut replies = std::mem::take(&mut self.early);
        while let Some(said) = self.next().await {
            match said {
                Said::Reply(to, reply) => replies.push((to, reply)),
                Said::Notice(notice) => self.told.push(notice),
            }
        }
        let reason = self.told.iter().find_map(|notice| match notice {
            Notice::GoAway(GoAway { reason, .. }) => Some(*reason),
            _ => None,
        });
        (reason, replies)
    }

    /// The next frame; `None` at the end of the stream or connection.
    pub(crate) async fn next(&mut self) -> Option<Said> {
        loop {
            if let Some(frame) = self.decoder.next().expect("the daemon's frames are within the limits") {
                let (kind, number) = (frame.kind, frame.number);
                if kind >= 0xc000 {
                    assert_eq!(number, 0, "notices carry no number");
                    return Some(Said::Notice(
                        Notice::decode(self.encoding, kind, frame.body).expect("a notice"),
                    ));
                }
                return Some(Said::Reply(
                    number,
                    Reply::decode(self.encoding, kind, frame.body).expect("a reply"),
                ));
            }
            let mut buffer = [0; 16_384];
            let read = tokio::time::timeout(PATIENCE, self.recv.read(&mut buffer)).await;
            match read.expect("the daemon says something or ends") {
                Ok(Some(count)) => {
                    self.seen.extend_from_slice(&buffer[..count]);
                    self.decoder.feed(&buffer[..count]);
                }
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

#[expect(clippy::large_enum_variant, reason = "few at a time")]
pub(crate) enum Said {
    Reply(u32, Reply),
    Notice(Notice),
}

pub(crate) fn hello(token: &str) -> Hello {
    Hello {
        token: Text::new(token).expect("short enough"),
        client: uuid::Uuid::now_v7().into(),
        highest_kind: Notice::HIGHEST_KIND,
        software: Text::clip("a test"),
        workspace: None,
    }
}
