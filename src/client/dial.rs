//! QUIC from the client's side: socket, trust, and what its errors mean.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use quinn::{
    ClientConfig, ConnectionError, RecvStream, SendStream, TransportConfig, VarInt,
    crypto::rustls::QuicClientConfig,
};
use rustls::{
    DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use tokio::time::timeout;

use super::{Ca, Client, ConnectError, Notices, Options, Text};
use crate::{
    protocol::{Encoding, words::GoAwayReason},
    transport::{
        fewer_acks, reason_of_code,
        tls::{self, Fingerprint, Trouble},
    },
};

/// How often an idle connection is kept alive; the daemon ends one after 30 s of silence.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How long the first address of a name may take before the second is tried too.
const HEAD_START: Duration = Duration::from_millis(250);

/// TLS alerts, which QUIC carries as 0x100 + the alert.
const NO_APPLICATION_PROTOCOL: u64 = 0x100 + 120;
const ALERTS_ON_CERTIFICATES: std::ops::RangeInclusive<u64> = (0x100 + 42)..=(0x100 + 51);

/// One UDP socket for any number of connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dialer {
    endpoint: quinn::Endpoint,
}

/// A connection with the one stream of the protocol, before anything is said on it.
#[derive(Debug)]
pub struct Dialled {
    /// The connection.
    pub connection: quinn::Connection,
    /// Frames to the daemon.
    pub send: SendStream,
    /// Frames from the daemon.
    pub recv: RecvStream,
}

impl Dialer {
    /// Opens a socket, for IPv6 and IPv4 where the system has both. Must be called within a tokio runtime, which then
    /// drives its connections.
    ///
    /// # Errors
    /// The system has no socket to give.
    pub fn new() -> Result<Self, ConnectError> {
        quinn::Endpoint::client((Ipv6Addr::UNSPECIFIED, 0).into())
            .or_else(|_| quinn::Endpoint::client((Ipv4Addr::UNSPECIFIED, 0).into()))
            .map(|endpoint| Self { endpoint })
            .map_err(ConnectError::Socket)
    }

    /// Connects and says Hello.
    ///
    /// # Errors
    /// [`ConnectError`], which says what to check.
    pub async fn connect(&self, options: &Options) -> Result<(Client, Notices), ConnectError> {
        let token = Text::new(&options.token)?;
        let config = client_config(&options.ca, &[options.encoding.alpn()])?;
        let dialled = self.dial(options, config).await?;
        let Dialled { connection, send, recv } = dialled;
        let (encoding, common, address) = (options.encoding, &options.common, &options.address);
        Client::start(recv, send, Some(connection), encoding, common, address, |hello| hello.token = token)
            .await
    }

    /// Moves to another port, as a NAT may do with any client.
    #[cfg(test)]
    pub(crate) fn rebind(&self) {
        let socket = std::net::UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))
            .or_else(|_| std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))
            .expect("a socket");
        self.endpoint.rebind(socket).expect("it moves");
    }

    /// Connects and says nothing: for programs that read and write the frames themselves, such as load generators. The
    /// token in `options` is not used.
    ///
    /// # Errors
    /// [`ConnectError`], which says what to check.
    pub async fn dial_bare(&self, options: &Options) -> Result<Dialled, ConnectError> {
        let config = client_config(&options.ca, &[options.encoding.alpn()])?;
        self.dial(options, config).await
    }

    /// The same, but the daemon may send only so many bytes ahead of what is read: for readers who are to be slow.
    ///
    /// # Errors
    /// As with [`Dialer::dial_bare`].
    pub async fn dial_narrow(&self, options: &Options, window: u32) -> Result<Dialled, ConnectError> {
        let mut config = client_config(&options.ca, &[options.encoding.alpn()])?;
        let mut transport = transport_config();
        transport.stream_receive_window(VarInt::from_u32(window)).receive_window(VarInt::from_u32(window));
        config.transport_config(Arc::new(transport));
        self.dial(options, config).await
    }

    /// The handshake, and the stream. A name may stand for an IPv6 and an IPv4 address of which the daemon listens on
    /// one: the second is tried too if the first does not answer at once.
    pub(crate) async fn dial(
        &self,
        options: &Options,
        config: ClientConfig,
    ) -> Result<Dialled, ConnectError> {
        let (first, second) = resolve(&options.address).await?;
        let first = self.attempt(first, options, config.clone());
        let Some(second) = second else { return first.await };
        tokio::pin!(first);
        if let Ok(outcome) = timeout(HEAD_START, &mut first).await {
            return match outcome {
                Ok(dialled) => Ok(dialled),
                Err(_) => self.attempt(second, options, config).await,
            };
        }
        let second = self.attempt(second, options, config);
        tokio::pin!(second);
        tokio::select! {
            outcome = &mut first => match outcome {
                Ok(dialled) => Ok(dialled),
                Err(_) => second.await,
            },
            outcome = &mut second => match outcome {
                Ok(dialled) => Ok(dialled),
                Err(_) => first.await,
            },
        }
    }

    async fn attempt(
        &self,
        address: SocketAddr,
        options: &Options,
        config: ClientConfig,
    ) -> Result<Dialled, ConnectError> {
        let host = options.address.rsplit_once(':').map_or(options.address.as_str(), |(host, _)| host);
        let name = options.server_name.as_deref().unwrap_or(host.trim_matches(['[', ']']));
        let connecting = self.endpoint.connect_with(config, address, name).map_err(|error| match error {
            quinn::ConnectError::InvalidServerName(name) => ConnectError::ServerName(name),
            other => ConnectError::Socket(io::Error::other(other)),
        })?;
        let limit = options.common.timeout;
        let timed_out = || ConnectError::Timeout { address: options.address.clone(), after: limit };
        let connection = match timeout(limit, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(explain(error, options, timed_out())),
            Err(_) => return Err(timed_out()),
        };
        match connection.open_bi().await {
            Ok((send, recv)) => Ok(Dialled { connection, send, recv }),
            Err(error) => Err(explain(error, options, timed_out())),
        }
    }
}

/// The first address of the name, and the first one of the other family.
async fn resolve(address: &str) -> Result<(SocketAddr, Option<SocketAddr>), ConnectError> {
    let trouble = |source| ConnectError::Address { address: address.to_owned(), source };
    let found: Vec<_> = tokio::net::lookup_host(address).await.map_err(trouble)?.collect();
    let first = *found.first().ok_or_else(|| trouble(io::Error::other("it has no address")))?;
    Ok((first, found.into_iter().find(|other| other.is_ipv6() != first.is_ipv6())))
}

/// TLS 1.3 only, without 0-RTT, with keep-alive and few acknowledgements.
pub(crate) fn client_config(ca: &Ca, alpn: &[&[u8]]) -> Result<ClientConfig, ConnectError> {
    let provider = tls::provider();
    let unusable = |error: rustls::Error| ConnectError::Ca(Trouble::Mismatch(error));
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable)?;
    let mut config = match ca {
        Ca::Pem(path) => builder.with_root_certificates(roots(path)?).with_no_client_auth(),
        Ca::Fingerprint(wanted) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned { wanted: *wanted, provider }))
            .with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let crypto = QuicClientConfig::try_from(config)
        .map_err(|error| unusable(rustls::Error::General(error.to_string())))?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport_config()));
    Ok(config)
}

pub(crate) fn transport_config() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .keep_alive_interval(Some(KEEP_ALIVE))
        .ack_frequency_config(Some(fewer_acks()))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None);
    transport
}

fn roots(path: &std::path::Path) -> Result<RootCertStore, ConnectError> {
    let not_pem = |detail| Trouble::NotPem { path: path.to_owned(), wanted: "certificate", detail };
    let bytes =
        std::fs::read(path).map_err(|source| Trouble::Unreadable { path: path.to_owned(), source })?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| not_pem(error.to_string()))?;
        roots.add(certificate).map_err(Trouble::Mismatch)?;
    }
    if roots.is_empty() {
        return Err(not_pem("there is none in it".to_owned()).into());
    }
    Ok(roots)
}

/// What a failed handshake means to the operator.
fn explain(error: ConnectionError, options: &Options, timed_out: ConnectError) -> ConnectError {
    match error {
        ConnectionError::TimedOut => timed_out,
        ConnectionError::ConnectionClosed(close)
            if u64::from(close.error_code) == NO_APPLICATION_PROTOCOL =>
        {
            ConnectError::Alpn { address: options.address.clone(), alpn: alpn_name(options.encoding) }
        }
        ConnectionError::ConnectionClosed(close) => ConnectError::Busy(close.to_string()),
        ConnectionError::TransportError(error) if ALERTS_ON_CERTIFICATES.contains(&u64::from(error.code)) => {
            ConnectError::Certificate(error.reason)
        }
        other => ConnectError::Busy(other.to_string()),
    }
}

fn alpn_name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Bincode => "maitred/1",
        Encoding::Json => "maitred-json/1",
    }
}

/// Why the daemon closed, as its close says; for when the GoAway was not read.
pub(super) fn told_by_close(error: &ConnectionError) -> Option<GoAwayReason> {
    match error {
        ConnectionError::ApplicationClosed(close) => reason_of_code(u64::from(close.error_code)),
        _ => None,
    }
}

/// Trusts one certificate and nothing else.
#[derive(Debug)]
struct Pinned {
    wanted: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown = Fingerprint::of(shown);
        if shown == self.wanted {
            Ok(ServerCertVerified::assertion())
        } else {
            tracing::debug!(%shown, wanted = %self.wanted, "another certificate than the pinned one");
            Err(rustls::CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("QUIC speaks TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
