//! The running system: what starts in which order, and how it ends.
//!
//! Holds: wiring. Knows: every room. Never: rules.
//! Start reading at: [`start`]; the start order is `serve`, the drain order `end`.

mod arbiter;
mod control;
mod gauges;
pub mod inspect;
pub mod notify;
mod policy;
mod watchdog;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::AtomicBool},
    thread,
    time::{Duration, SystemTime},
};

use actix::{Arbiter, System};
use tokio::sync::{mpsc, oneshot};

use self::{
    arbiter::{Furniture, furnish},
    control::{Order, Steering},
    watchdog::{Bounds, Pulse, Watchdog},
};
pub use self::{control::Control, policy::policies};
use crate::{
    actors::{
        archivist::{Archivist, Pace},
        boot::{self, Recovered},
        gate::{Gate, Placement},
        intake::Intake,
        local::{Observer, Shared},
        tokens::TokenBook,
    },
    clock::Clock,
    config::Config,
    ids::WorkspaceId,
    journal::{
        self, Archive, Journal,
        disk::{Disk, RealDisk},
    },
    metrics::{
        Metrics,
        exporter::{self, Admin, Readiness, Stage},
    },
    protocol::words::GoAwayReason,
    transport::{
        self, Connections, Endpoint, Settings,
        border::Rates,
        endpoint,
        geo::{self, Geo},
        paces::Paces,
        tls, unix,
    },
};

/// How old a record is at most when it is moved into the archive.
const MOVED_AFTER: Duration = Duration::from_secs(300);

/// How large the log is at most before its full segments are moved into the archive, in bytes: a start reads this much, about
/// one and a half million records.
const MOVED_BEYOND: u64 = 256 << 20;

/// The largest record where a test makes the log's files smaller than the configuration allows, in bytes.
const TEST_PAYLOAD_MAX: usize = 64 << 10;

/// What a daemon is started with.
pub struct Options {
    /// What the operator said.
    pub config: Config,
    /// The file that a reload reads again; `None`: the embedded defaults and the environment.
    pub config_file: Option<PathBuf>,
    /// A manual clock, for tests that start a daemon in-process. There is no switch of the binary for it.
    pub clock: Option<Clock>,
    /// Who watches what is recorded.
    pub observer: Option<Observer>,
    /// When records are moved into the archive.
    pub pace: Pace,
    /// Smaller files of the log than the configuration allows, for tests.
    pub segment_bytes: Option<u64>,
}

impl Options {
    /// A daemon with this configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let pace = Pace { beyond: MOVED_BEYOND, at_latest: MOVED_AFTER, turns: false };
        Self { config, config_file: None, clock: None, observer: None, pace, segment_bytes: None }
    }
}

/// Why a daemon did not start or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration.
    #[error("{0}")]
    Config(String),
    /// The log.
    #[error("the log in {directory}: {source}")]
    Journal {
        /// The data directory.
        directory: PathBuf,
        /// What is wrong.
        source: journal::Error,
    },
    /// The log holds what this version can't read.
    #[error("{0}")]
    Log(String),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] tls::Trouble),
    /// The QUIC listener.
    #[error(transparent)]
    Endpoint(#[from] endpoint::Trouble),
    /// The Unix socket.
    #[error(transparent)]
    Unix(#[from] unix::Trouble),
    /// The database of places.
    #[error(transparent)]
    Geo(#[from] geo::Trouble),
    /// A listener or the data directory.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The daemon's thread ended without a word.
    #[error("the daemon ended unexpectedly; its log says why")]
    Gone,
}

impl Error {
    /// The exit code that fits (sysexits): 78 when the operator has to change or restore something, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Log(_) => 78,
            Self::Journal { source, .. } if source.is_damage() => 78,
            Self::Journal { source: journal::Error::Newer { .. }, .. } => 78,
            _ => 1,
        }
    }
}

/// A daemon that serves.
pub struct Daemon {
    quic: SocketAddr,
    admin: SocketAddr,
    data_dir: PathBuf,
    fingerprint: tls::Fingerprint,
    certificate: PathBuf,
    control: Control,
    thread: thread::JoinHandle<Result<(), Error>>,
}

/// What the starting thread gets back.
struct Serving {
    quic: SocketAddr,
    admin: SocketAddr,
    fingerprint: tls::Fingerprint,
    certificate: PathBuf,
    control: Control,
}

/// Starts a daemon on threads of its own and returns when it serves.
///
/// # Errors
/// Why it can't.
pub fn start(options: Options) -> Result<Daemon, Error> {
    let (tell, told) = std::sync::mpsc::channel();
    let data_dir = options.config.server.data_dir.clone();
    let run = move || {
        let system = System::new();
        let result = system.block_on(run(options, &tell));
        System::current().stop();
        result
    };
    let thread = thread::Builder::new()
        .name("maitred-0".to_owned())
        .spawn(run)
        .map_err(|source| Error::Io { what: "can't start a thread".to_owned(), source })?;
    match told.recv() {
        Ok(Serving { quic, admin, fingerprint, certificate, control }) => {
            Ok(Daemon { quic, admin, data_dir, fingerprint, certificate, control, thread })
        }
        Err(_) => match thread.join() {
            Ok(Err(error)) => Err(error),
            Ok(Ok(())) | Err(_) => Err(Error::Gone),
        },
    }
}

impl Daemon {
    /// The address of the QUIC listener.
    #[must_use]
    pub fn quic(&self) -> SocketAddr {
        self.quic
    }

    /// The address of metrics and health checks.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Where everything is kept.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The certificate's SHA-256 fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> tls::Fingerprint {
        self.fingerprint
    }

    /// The certificate in PEM, for clients to trust.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// The handle to steer it with.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// What went wrong while it ran or ended.
    pub fn wait(self) -> Result<(), Error> {
        self.thread.join().unwrap_or(Err(Error::Gone))
    }
}

/// From nothing to serving to nothing.
async fn run(options: Options, tell: &std::sync::mpsc::Sender<Serving>) -> Result<(), Error> {
    let readiness = Readiness::starting("reading the log");
    let server = &options.config.server;
    let data_dir = server.data_dir.clone();
    let drain_timeout = server.drain_timeout;
    let metrics = Metrics::new(&policy::labels(&options.config));
    let listener = TcpListener::bind(options.config.admin.listen).map_err(|source| Error::Io {
        what: format!("can't listen for metrics on {}", options.config.admin.listen),
        source,
    })?;
    let admin_address = listener
        .local_addr()
        .map_err(|source| Error::Io { what: "the admin listener".to_owned(), source })?;
    let router = exporter::router(metrics.clone(), readiness.clone());
    let admin = Admin::start(listener, router, metrics.clone())
        .map_err(|source| Error::Io { what: "can't start the admin thread".to_owned(), source })?;

    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(&data_dir).map_err(|source| Error::Io {
        what: format!("can't use the data directory {}", data_dir.display()),
        source,
    })?);
    let (journal, archive, recovered) = open_log(&options, &disk, &data_dir)?;
    let clock = options.clock.clone().unwrap_or_else(|| Clock::system(recovered.last));
    let shared = Shared {
        clock: clock.clone(),
        journal: journal.clone(),
        archive,
        directory: Arc::default(),
        attendance: Arc::default(),
        metrics: metrics.clone(),
        observer: options.observer.clone(),
    };
    let (orders, mut ordered) = mpsc::unbounded_channel();
    let control = Control(Arc::new(Steering {
        orders,
        draining: AtomicBool::new(false),
        config: Mutex::new(options.config.clone()),
        config_file: options.config_file.clone(),
        metrics: metrics.clone(),
        clock,
        placements: Mutex::default(),
        archivist: OnceLock::new(),
        notifier: OnceLock::new(),
        journal: journal.clone(),
        geo: Geo::read(options.config.server.geoip.as_deref())?,
    }));
    let for_archivist = shared.clone();
    let connections = Connections::new(Settings::from(&options.config.limits));
    gauges::wire(&metrics, &connections, &journal, &shared.archive);
    let notifier = notify::start(&options.config, &disk, &for_archivist)?;
    // Set once, right here.
    let _ = control.0.notifier.set(notifier.counter());
    let keeping = policy::keeping(&options.config);
    let archivist = Archivist::start(disk, &for_archivist, options.pace, keeping)
        .map_err(|source| Error::Io { what: "can't start the archive's thread".to_owned(), source })?;
    // Set once, right here.
    let _ = control.0.archivist.set(archivist.counter());
    let identity = identity(&options.config, &data_dir)?;
    let (lanes, pulses) = furnish_all(&options.config, recovered, shared, &control).await;
    let quic = Endpoint::bind(
        endpoint::Options::new(options.config.server.listen, data_dir.clone())
            .limited_by(&options.config.limits),
        &identity.0,
        connections.clone(),
    )?;
    let socket = unix::Socket::listen(&data_dir)?;
    let quic_address =
        quic.local_addr().map_err(|source| Error::Io { what: "the QUIC listener".to_owned(), source })?;
    let first_lane = lanes.first().cloned();
    let accepting = quic.clone();
    tokio::task::spawn_local(async move { accepting.run(lanes).await });
    let for_socket = connections.clone();
    let socket_task = tokio::task::spawn_local(async move {
        if let Some(lane) = first_lane {
            socket.run(lane, for_socket).await;
        }
    });
    readiness.set(Stage::Ready);
    let rules = &options.config.watchdog;
    let bounds = Bounds { stuck_after: rules.stuck_after, abort_after: rules.abort_after };
    let watchdog = Watchdog::start(pulses, bounds, readiness.clone(), metrics.clone())
        .map_err(|source| Error::Io { what: "can't start the watchdog".to_owned(), source })?;
    metrics.daemon.reloaded(true, control.0.clock.now().micros());
    let serving = Serving {
        quic: quic_address,
        admin: admin_address,
        fingerprint: identity.0.fingerprint,
        certificate: identity.1,
        control,
    };
    if tell.send(serving).is_ok() {
        let order = ordered.recv().await.unwrap_or(Order::Now);
        readiness.set(Stage::Draining { cause: "asked to end".to_owned() });
        metrics.daemon.draining.set(1);
        end(order, &mut ordered, &connections, &quic, drain_timeout).await;
    }
    socket_task.abort();
    watchdog.stop();
    notifier.end();
    archivist.end();
    let closed = journal.close();
    admin.stop();
    closed.map_err(|source| Error::Journal { directory: data_dir, source })
}

/// The drain order: clients are told to go and given time; a second order ends the waiting.
async fn end(
    order: Order,
    ordered: &mut mpsc::UnboundedReceiver<Order>,
    connections: &Connections,
    quic: &Endpoint,
    patience: Duration,
) {
    let patience = if order == Order::Now { Duration::ZERO } else { patience };
    let retry_after = Some(Duration::from_secs(1));
    tokio::select! {
        cut_off = connections.drain(GoAwayReason::Draining, retry_after, patience) => {
            if cut_off > 0 {
                tracing::warn!(cut_off, "clients did not leave in time");
            }
        }
        _ = ordered.recv() => tracing::warn!("asked a second time: ending now"),
    }
    quic.close(Duration::from_millis(200)).await;
}

fn open_log(
    options: &Options,
    disk: &Arc<dyn Disk>,
    data_dir: &Path,
) -> Result<(Journal, Archive, Recovered), Error> {
    let at = |source| Error::Journal { directory: data_dir.to_owned(), source };
    let log_options = journal::Options {
        segment_bytes: options.segment_bytes.unwrap_or(options.config.journal.segment_size),
        commit_interval: options.config.journal.commit_interval,
        payload_max: options.segment_bytes.map_or(journal::PAYLOAD_MAX, |_| TEST_PAYLOAD_MAX),
        ..journal::Options::default()
    };
    let lock = journal::Lock::take(&**disk).map_err(at)?;
    let archive = Archive::open(Arc::clone(disk)).map_err(at)?;
    let mut recovered = Recovered::from_archive(&archive).map_err(at)?;
    let fail = |error: journal::Error| {
        // The kernel reports success the next time although the data is gone (design §3.3): only a restart recovers.
        tracing::error!(%error, "the log can't be written: aborting, to recover from what is on disk");
        std::process::abort();
    };
    let mut replay = |record: journal::Record<'_>| recovered.take_in(record);
    let (journal, recovery) =
        Journal::open_locked(Arc::clone(disk), lock, log_options, &mut replay, Box::new(fail)).map_err(at)?;
    archive.belongs_to(journal.id(), &recovery).map_err(at)?;
    tracing::info!(
        records = recovery.records,
        cut_bytes = recovery.cut_bytes,
        elapsed_ms = u64::try_from(recovery.elapsed.as_millis()).unwrap_or(u64::MAX),
        "the log is read"
    );
    match recovered.trouble.take() {
        Some(trouble) => Err(Error::Log(trouble)),
        None => Ok((journal, archive, recovered)),
    }
}

/// Starts the arbiters with their workspaces; the lanes for connections and the signs of life, one each.
async fn furnish_all(
    config: &Config,
    recovered: Recovered,
    shared: Shared,
    control: &Control,
) -> (Vec<transport::Lane>, Vec<Pulse>) {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let count = config.server.arbiters.map_or(cores.saturating_sub(1), |count| count as usize).max(1);
    let tokens = Arc::new(TokenBook::default());
    let mut openings = openings(config, recovered, &tokens);
    let place = |id: &WorkspaceId| crc32c::crc32c(id.as_str().as_bytes()) as usize % count;
    let placements: Vec<Placement> = config
        .workspaces
        .iter()
        .map(|workspace| Placement { id: workspace.name.clone(), arbiter: place(&workspace.name) })
        .collect();
    let (lanes, parcels): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::unbounded_channel()).unzip();
    let intakes = Arc::new(intakes(config, count));
    let gate = Gate {
        shared: shared.clone(),
        tokens,
        placements: Arc::new(placements.clone()),
        intakes: Arc::clone(&intakes),
        lanes: Arc::new(lanes),
    };
    let paces = Arc::new(Paces::default());
    let mut handles = Vec::new();
    let mut connection_lanes = Vec::new();
    let mut pulses = Vec::new();
    for (index, parcels) in parcels.into_iter().enumerate() {
        let (lane, arrivals) = transport::lane();
        connection_lanes.push(lane);
        let (ready, furnished) = oneshot::channel();
        let pulse = Pulse::default();
        pulses.push(Arc::clone(&pulse));
        let mine = openings.extract_if(.., |opening| place(&opening.id) == index).collect();
        let furniture = Furniture {
            index,
            shared: shared.clone(),
            openings: mine,
            parcels,
            arrivals,
            gate: gate.clone(),
            rates: rates(config),
            paces: Arc::clone(&paces),
            house: Arc::new(control.clone()),
            pulse,
            intake: Arc::clone(&intakes[index]),
            ready,
        };
        // The first arbiter is the system's own thread, which also drives the endpoint.
        let handle = if index == 0 { Arbiter::current() } else { Arbiter::new().handle() };
        handle.spawn_fn(move || furnish(furniture));
        handles.push(handle);
        // An arbiter that could not be furnished has panicked, and the panic hook has said so.
        let _ = furnished.await;
    }
    let placed =
        placements.iter().map(|placement| (placement.id.clone(), handles[placement.arbiter].clone()));
    *control.0.placements.lock().unwrap_or_else(PoisonError::into_inner) = placed.collect();
    (connection_lanes, pulses)
}

fn openings(config: &Config, mut recovered: Recovered, tokens: &Arc<TokenBook>) -> Vec<boot::Opening> {
    let mut openings = Vec::new();
    for (index, workspace) in config.workspaces.iter().enumerate() {
        openings.push(boot::Opening {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            id: workspace.name.clone(),
            policy: Arc::new(policy::policy(workspace, &config.plans)),
            agents: policy::agents(workspace),
            remembered: recovered.spaces.remove(&workspace.name).unwrap_or_default(),
            grace: config.recovery.reconnect_grace,
            tokens: Arc::clone(tokens),
        });
    }
    for id in recovered.spaces.keys() {
        tracing::warn!(workspace = %id, "the log has a workspace that the configuration has not; it sleeps");
    }
    openings
}

/// The certificate, and the file that clients trust it by.
fn identity(config: &Config, data_dir: &Path) -> Result<(tls::Identity, PathBuf), Error> {
    match (&config.server.certificate, &config.server.private_key) {
        (Some(certificate), Some(key)) => Ok((tls::load(certificate, key)?, certificate.clone())),
        _ => Ok((tls::load_or_make(data_dir, SystemTime::now())?, data_dir.join(tls::CERTIFICATE_FILE))),
    }
}

/// How many newcomers may come in, an arbiter each.
fn intakes(config: &Config, arbiters: usize) -> Vec<Arc<Intake>> {
    (0..arbiters).map(|_| Intake::new(config.limits.late_after)).collect()
}

fn rates(config: &Config) -> Rates {
    let limits = &config.limits;
    Rates {
        visitor: (f64::from(limits.visitor.messages_per_second), f64::from(limits.visitor.burst)),
        openings: (f64::from(limits.visitor.openings), limits.visitor.openings_per),
        agent: (f64::from(limits.agent.commands_per_second), f64::from(limits.agent.burst)),
        in_flight: limits.in_flight_per_connection,
        message_body: u32::try_from(limits.message_body).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests;
