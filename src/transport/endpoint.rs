//! The QUIC endpoint: one UDP socket, the values of its limits, and the loop that admits arrivals.

use std::{
    fs, io,
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use quinn::{
    AckFrequencyConfig, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, ServerConfig, TokioRuntime,
    TransportConfig, VarInt, crypto::rustls::QuicServerConfig, udp::UdpSocketState,
};
use thiserror::Error;

use super::{
    Arrival, Connections, Lane,
    admission::{Arriving, Verdict},
    tls::{self, Identity},
};
use crate::{config, protocol::Encoding};

/// Receive and send buffer of the socket: room for a burst while the arbiter does something else.
const SOCKET_BUFFER: usize = 4 << 20;

/// The file of the two keys below, in the data directory.
const KEYS_FILE: &str = "quic.keys";
/// Bytes of the key that protects Retry tokens, and of the one that signs stateless resets.
const TOKEN_KEY: usize = 32;
const RESET_KEY: usize = 64;
/// Keys older than this are replaced at the next start.
const KEYS_LAST: Duration = Duration::from_secs(90 * 24 * 3600);

/// What the operator may set for QUIC.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; `[::]` serves IPv4 too where the system allows it.
    pub listen: SocketAddr,
    /// Where the endpoint keeps its keys.
    pub data_dir: PathBuf,
    /// A connection on which nothing comes for so long ends. Clients keep theirs alive every 10 s.
    pub idle_timeout: Duration,
    /// Bytes a client may send ahead on its stream.
    pub stream_window: u32,
    /// The same over all its streams.
    pub receive_window: u32,
    /// Bytes kept until the client acknowledges them.
    pub send_window: u64,
    /// Streams a client may have open; the protocol needs one, and each permitted one costs memory from the start.
    pub streams: u32,
    /// Arrivals that no arbiter has taken yet; more are refused.
    pub max_incoming: usize,
    /// Bytes kept of one such arrival.
    pub incoming_buffer: u64,
    /// The same over all of them.
    pub incoming_buffer_total: u64,
    /// The largest datagram to try. 1452 fits the internet; 8952 saves half of the work where the network is known to
    /// carry jumbo frames.
    pub largest_datagram: u16,
}

impl Options {
    /// The defaults, for this address and data directory.
    #[must_use]
    pub fn new(listen: SocketAddr, data_dir: PathBuf) -> Self {
        Self {
            listen,
            data_dir,
            idle_timeout: Duration::from_secs(30),
            stream_window: 256 * 1024,
            receive_window: 512 * 1024,
            send_window: 1 << 20,
            streams: 4,
            max_incoming: 1_024,
            incoming_buffer: 16 * 1024,
            incoming_buffer_total: 4 << 20,
            largest_datagram: 1_452,
        }
    }

    /// The same with the configured limits.
    #[must_use]
    pub fn limited_by(self, limits: &config::Limits) -> Self {
        let window = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
        Self {
            idle_timeout: limits.idle_timeout,
            stream_window: window(limits.stream_receive_window),
            receive_window: window(limits.receive_window),
            send_window: limits.send_window,
            streams: limits.streams_per_connection,
            max_incoming: limits.incoming_max as usize,
            incoming_buffer: limits.incoming_buffer,
            incoming_buffer_total: limits.incoming_buffer_total,
            ..self
        }
    }
}

/// Why the endpoint does not listen.
#[derive(Debug, Error)]
pub enum Trouble {
    /// The address is taken, or not this machine's.
    #[error("cannot listen on UDP {address}: {source}; check that no other daemon runs there")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The key file cannot be read or written.
    #[error("cannot keep the QUIC keys in {path}: {source}; check the data directory's owner and free space")]
    Keys {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The certificate or its key is not usable for QUIC.
    #[error("the certificate cannot be used: {0}")]
    Certificate(#[from] rustls::Error),
    /// A setting is outside of what QUIC can express.
    #[error("{setting} = {value} is out of range: {range}")]
    OutOfRange {
        /// Which setting.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        range: &'static str,
    },
}

/// A listening QUIC endpoint. Cheap to clone; all clones are the same socket.
#[derive(Clone, Debug)]
pub struct Endpoint {
    quinn: quinn::Endpoint,
    connections: Connections,
    options: Arc<Options>,
}

impl Endpoint {
    /// Listens. Must be called within a tokio runtime, which then receives the datagrams.
    ///
    /// # Errors
    /// The address, the keys or the certificate are not usable, or an option is out of range.
    pub fn bind(options: Options, identity: &Identity, connections: Connections) -> Result<Self, Trouble> {
        let keys = Keys::load_or_make(&options.data_dir, SystemTime::now())?;
        let server = server_config(&options, identity, &keys)?;
        let mut endpoint = EndpointConfig::new(Arc::new(keys.reset()));
        endpoint.max_udp_payload_size(options.largest_datagram.max(1_472)).map_err(|_| {
            Trouble::OutOfRange {
                setting: "largest_datagram",
                value: options.largest_datagram.to_string(),
                range: "1200 to 65527",
            }
        })?;
        let bind_trouble = |source| Trouble::Bind { address: options.listen, source };
        let socket = UdpSocket::bind(options.listen).map_err(bind_trouble)?;
        enlarge_buffers(&socket);
        let quinn = quinn::Endpoint::new(endpoint, Some(server), socket, Arc::new(TokioRuntime))
            .map_err(bind_trouble)?;
        Ok(Self { quinn, connections, options: Arc::new(options) })
    }

    /// The address it listens on, with the port that the system chose if none was given.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.quinn.local_addr()
    }

    /// Decides on every arrival and sends the admitted ones to the lanes in turn, until the endpoint is closed.
    pub async fn run(&self, lanes: Vec<Lane>) {
        let mut turn = lanes.iter().cycle();
        while let Some(incoming) = self.quinn.accept().await {
            let arriving = Arriving {
                from: incoming.remote_address().ip(),
                proven: incoming.remote_address_validated(),
                may_retry: incoming.may_retry(),
            };
            let counters = self.connections.counters();
            match self.connections.admission().decide(arriving, Instant::now()) {
                Verdict::Admit(pass) => {
                    counters.admitted.one();
                    let arrival = Arrival::quic(incoming, pass, self.connections.clone());
                    if turn.next().is_none_or(|lane| lane.send(arrival).is_err()) {
                        tracing::error!("an arbiter takes no connections any more");
                    }
                }
                Verdict::Retry => {
                    counters.retried.one();
                    // The verdict says that a Retry is legal; were it not, the arrival is refused on drop.
                    let _ = incoming.retry();
                }
                Verdict::Refuse(why) => {
                    counters.refused.one();
                    counters.full(why);
                    incoming.refuse();
                }
                Verdict::Ignore(why) => {
                    counters.ignored.one();
                    counters.full(why);
                    incoming.ignore();
                }
            }
        }
    }

    /// Takes another certificate; connections that are open keep theirs.
    ///
    /// # Errors
    /// It is not usable.
    pub fn present(&self, identity: &Identity) -> Result<(), Trouble> {
        let keys = Keys::load_or_make(&self.options.data_dir, SystemTime::now())?;
        self.quinn.set_server_config(Some(server_config(&self.options, identity, &keys)?));
        Ok(())
    }

    /// Closes the socket after the last packets, at most `patience` later. Drain the connections first.
    pub async fn close(&self, patience: Duration) {
        self.quinn.close(VarInt::from_u32(0), b"bye");
        let _ = tokio::time::timeout(patience, self.quinn.wait_idle()).await;
    }
}

fn server_config(options: &Options, identity: &Identity, keys: &Keys) -> Result<ServerConfig, Trouble> {
    let mut tls = rustls::ServerConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())?;
    tls.alpn_protocols = Encoding::ALL.iter().map(|encoding| encoding.alpn().to_vec()).collect();
    // What comes in a first flight can be replayed by whoever recorded it; commands must not be.
    tls.max_early_data_size = 0;
    let crypto =
        QuicServerConfig::try_from(tls).map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = ServerConfig::new(Arc::new(crypto), Arc::new(keys.token()));
    config
        .transport_config(Arc::new(transport_config(options)?))
        .migration(true)
        .max_incoming(options.max_incoming)
        .incoming_buffer_size(options.incoming_buffer)
        .incoming_buffer_size_total(options.incoming_buffer_total);
    Ok(config)
}

fn transport_config(options: &Options) -> Result<TransportConfig, Trouble> {
    let idle = IdleTimeout::try_from(options.idle_timeout).map_err(|_| Trouble::OutOfRange {
        setting: "idle_timeout",
        value: format!("{:?}", options.idle_timeout),
        range: "up to 2^62 ms",
    })?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(options.streams))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(options.stream_window))
        .receive_window(VarInt::from_u32(options.receive_window))
        .send_window(options.send_window)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(idle))
        .ack_frequency_config(Some(fewer_acks()))
        .mtu_discovery_config(Some(largest_datagram(options.largest_datagram)));
    Ok(transport)
}

/// Asks the peer for an acknowledgement every ten packets: a third less work under load (where it knows the extension).
pub(crate) fn fewer_acks() -> AckFrequencyConfig {
    let mut config = AckFrequencyConfig::default();
    config.ack_eliciting_threshold(VarInt::from_u32(10));
    config
}

fn largest_datagram(bytes: u16) -> MtuDiscoveryConfig {
    let mut config = MtuDiscoveryConfig::default();
    config.upper_bound(bytes);
    config
}

/// Best effort: the system may allow less.
fn enlarge_buffers(socket: &UdpSocket) {
    let Ok(state) = UdpSocketState::new(socket.into()) else { return };
    for (name, outcome) in [
        ("receive", state.set_recv_buffer_size(socket.into(), SOCKET_BUFFER)),
        ("send", state.set_send_buffer_size(socket.into(), SOCKET_BUFFER)),
    ] {
        if let Err(error) = outcome {
            tracing::info!(%error, "the socket's {name} buffer stays as it is");
        }
    }
    // Linux reports twice what it uses.
    if state.recv_buffer_size(socket.into()).is_ok_and(|bytes| bytes < SOCKET_BUFFER) {
        tracing::info!("the socket's receive buffer is below 4 MiB; raise net.core.rmem_max for bursts");
    }
}

/// The endpoint's own secrets. They outlive a restart so that clients with a Retry token get in and clients of the old
/// process are told at once that it is gone.
struct Keys {
    bytes: [u8; TOKEN_KEY + RESET_KEY],
}

impl Keys {
    fn load_or_make(data_dir: &Path, now: SystemTime) -> Result<Self, Trouble> {
        let path = data_dir.join(KEYS_FILE);
        let trouble = |source| Trouble::Keys { path: path.clone(), source };
        match fs::metadata(&path) {
            Ok(meta) => {
                let made = meta.modified().map_err(trouble)?;
                let age = now.duration_since(made).unwrap_or_default();
                let stored = <[u8; TOKEN_KEY + RESET_KEY]>::try_from(fs::read(&path).map_err(trouble)?);
                if let Ok(bytes) = stored
                    && age < KEYS_LAST
                {
                    return Ok(Self { bytes });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(trouble(error)),
        }
        let mut bytes = [0; TOKEN_KEY + RESET_KEY];
        rand::Rng::fill(&mut rand::rng(), &mut bytes[..]);
        tls::write_private(&path, &bytes).map_err(trouble)?;
        Ok(Self { bytes })
    }

    fn token(&self) -> ring::hkdf::Prk {
        ring::hkdf::Salt::new(ring::hkdf::HKDF_SHA256, &[]).extract(&self.bytes[..TOKEN_KEY])
    }

    fn reset(&self) -> ring::hmac::Key {
        ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &self.bytes[TOKEN_KEY..])
    }
}
