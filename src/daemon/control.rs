//! The hand on a running daemon: what can be asked of it from its own process, and what the border asks of the house.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use actix::ArbiterHandle;
use tokio::sync::mpsc;

use super::{notify, policy};
use crate::{
    actors::{archivist, boot, gate},
    clock::Clock,
    config::{self, Config},
    ids::WorkspaceId,
    journal::{self, Journal, Space},
    metrics::Metrics,
    transport::{
        border::{House, Room},
        geo::Geo,
    },
};

/// The handle on a running daemon; cheap to clone.
#[derive(Clone)]
pub struct Control(pub(super) Arc<Steering>);

pub(super) struct Steering {
    pub(super) orders: mpsc::UnboundedSender<Order>,
    pub(super) draining: AtomicBool,
    pub(super) config: Mutex<Config>,
    pub(super) config_file: Option<PathBuf>,
    pub(super) metrics: Metrics,
    pub(super) clock: Clock,
    pub(super) placements: Mutex<Vec<(WorkspaceId, ArbiterHandle)>>,
    pub(super) archivist: OnceLock<archivist::Counter>,
    pub(super) notifier: OnceLock<crossbeam::channel::Sender<crate::notify::Order>>,
    pub(super) journal: Journal,
    pub(super) geo: Geo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Drain,
    Now,
}

impl Control {
    /// Begins to drain: nothing new is taken, clients are told to go, what is acknowledged is durable. Returns at once.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
        // The receiver is gone when the daemon has ended already.
        let _ = self.0.orders.send(Order::Drain);
    }

    /// Ends without waiting for clients.
    pub fn stop_now(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
        let _ = self.0.orders.send(Order::Now);
    }

    /// Copies everything that is durable into an empty directory on which another daemon can be started. Blocks.
    ///
    /// # Errors
    /// What kept it from it.
    pub fn back_up(&self, to: PathBuf) -> Result<u64, journal::Error> {
        self.0.archivist.get().map_or(Err(journal::Error::Stopped), |archivist| archivist.copy(to))
    }

    /// Moves all that is durable into the archive now. Blocks.
    pub fn archive_now(&self) {
        self.0.archivist.get().into_iter().for_each(archivist::Counter::catch_up);
    }

    /// Reads the configuration again and takes it over, all or nothing (S10). Returns warnings and what needs a restart.
    ///
    /// # Errors
    /// What is wrong with the file; the old configuration stays.
    pub fn reload(&self) -> Result<Vec<String>, String> {
        let steering = &self.0;
        let loaded = config::load(steering.config_file.as_deref(), config::environment());
        let now = steering.clock.now().micros();
        let loaded = loaded.map_err(|problems| {
            steering.metrics.daemon.reloaded(false, now);
            problems.to_string()
        })?;
        let told = notify::rules(&loaded.config).map_err(|error| {
            steering.metrics.daemon.reloaded(false, now);
            error.to_string()
        })?;
        let mut current = steering.config.lock().unwrap_or_else(PoisonError::into_inner);
        let mut said: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        let restart = current.needs_restart(&loaded.config);
        said.extend(restart.iter().map(|key| format!("{key} changes with the next restart")));
        steering.metrics.set_groups(&policy::labels(&loaded.config));
        let placements = steering.placements.lock().unwrap_or_else(PoisonError::into_inner);
        for workspace in &loaded.config.workspaces {
            match placements.iter().position(|(id, _)| *id == workspace.name) {
                Some(at) => take_over(&placements[at].1, at, workspace, &loaded.config.plans),
                None => said.push(format!("workspace {} begins with the next restart", workspace.name)),
            }
        }
        for (id, _) in placements.iter().filter(|(id, _)| loaded.config.workspace(id).is_none()) {
            said.push(format!("workspace {id} ends with the next restart"));
        }
        if let Some(archivist) = steering.archivist.get() {
            archivist.keep(policy::keeping(&loaded.config));
        }
        if let Some(notifier) = steering.notifier.get() {
            // Not there any more: the daemon is ending.
            let _ = notifier.send(crate::notify::Order::Rules(Box::new(told)));
        }
        *current = loaded.config;
        steering.metrics.daemon.reloaded(true, now);
        Ok(said)
    }
}

/// Hands a workspace's new rules to its arbiter.
fn take_over(arbiter: &ArbiterHandle, index: usize, workspace: &config::Workspace, plans: &[config::Plan]) {
    let rules = Arc::new(policy::policy(workspace, plans));
    let agents = policy::agents(workspace);
    arbiter.spawn_fn(move || {
        let space = u32::try_from(index).ok().and_then(|index| gate::here()?.space(index));
        if let Some(space) = space {
            boot::reload(&space, &rules, agents);
        }
    });
}

impl House for Control {
    fn reload(&self) -> Result<(), String> {
        Self::reload(self).map(|_| ())
    }

    fn configuration(&self, space: Option<u32>) -> String {
        let config = self.0.config.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(space) = space else { return config.effective_toml() };
        let placements = self.0.placements.lock().unwrap_or_else(PoisonError::into_inner);
        let placed = usize::try_from(space).ok().and_then(|space| placements.get(space));
        let own = placed.and_then(|(id, _)| config.workspace(id)).cloned();
        Config { workspaces: own.into_iter().collect(), ..Config::embedded() }.effective_toml()
    }

    fn back_up(&self, directory: PathBuf, done: Box<dyn FnOnce(Result<(), String>) + Send>) {
        let control = self.clone();
        let copy = move || done(control.back_up(directory).map(drop).map_err(|error| error.to_string()));
        let started = thread::Builder::new().name("backup".to_owned()).spawn(copy);
        if let Err(error) = started {
            tracing::error!(%error, "a backup was asked for, and no thread could be started for it");
        }
    }

    fn deliveries(&self, order: crate::notify::Order) {
        if let Some(notifier) = self.0.notifier.get() {
            // Not there any more: the daemon is ending, and the request with it.
            let _ = notifier.send(order);
        }
    }

    fn drain(&self) {
        Self::drain(self);
    }

    fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::SeqCst)
    }

    fn room(&self) -> Room {
        match self.0.journal.space() {
            Space::Enough => Room::Enough,
            Space::NothingNew => Room::NothingNew,
            Space::Endings => Room::Endings,
        }
    }

    fn geo(&self) -> &Geo {
        &self.0.geo
    }
}
