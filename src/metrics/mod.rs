//! What is counted: every number that an operator watches, under stable names and bounded labels.
//!
//! Holds: cached handles per room and group, the registry behind them, and the HTTP server that shows them.
//! Knows: plain words and numbers. Never: other rooms' types, ids of agents, visitors or conversations.
//! Start reading at: [`Metrics`], then [`GroupMetrics`]; the names and help texts stand in `group.rs` and `rooms.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

mod agents;
mod buckets;
pub mod exporter;
mod group;
mod process;
mod registry;
mod rooms;
mod words;
mod workflows;

pub use self::{
    agents::{AgentMark, AgentView, TriggerMetrics, WorkspaceMetrics},
    group::{GroupMetrics, GroupSeries, SHORT_ABANDON},
    registry::{Each, Held, Level, Named, Seconds},
    rooms::{Actors, Build, Daemon, Journal, Notify, Routing, Transport},
    words::{
        ActorKind, AgentState, Carrier, CloseReason, DeliveryKind, DeliveryOutcome, Direction, Encoding,
        FallbackReason, OfferOutcome, Skip, SlotState, WaitOutcome, Word,
    },
    workflows::{RuleMetrics, WorkflowMetrics},
};
pub use metrics::{Counter, Histogram};

use self::registry::Registry;

/// Groups, and workspaces, that have labels of their own; further ones are counted together as [`OTHER`]. A group has
/// about 150 series, so this is 30,000.
pub const LABELLED_MAX: usize = 200;

/// The label of what is past [`LABELLED_MAX`]. A group that is called so shares the series.
pub const OTHER: &str = "_other";

/// A group as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLabel {
    /// Its workspace.
    pub workspace: String,
    /// Its key in the workspace.
    pub group: String,
    /// The wait until an answer that counts as good service.
    pub service_level_target: Duration,
}

/// All that one daemon counts. Clones are cheap and share everything.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// The rules.
    pub routing: Arc<Routing>,
    /// The actors.
    pub actors: Arc<Actors>,
    /// The journal.
    pub journal: Arc<Journal>,
    /// The connections.
    pub transport: Arc<Transport>,
    /// E-mails and webhooks.
    pub notify: Arc<Notify>,
    /// The daemon as a whole.
    pub daemon: Arc<Daemon>,
    inner: Arc<Inner>,
}

struct Inner {
    registry: Arc<Registry>,
    places: Mutex<Places>,
    before_render: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
    _build: Build,
}

#[derive(Default)]
struct Places {
    groups: BTreeMap<(String, String), Arc<GroupMetrics>>,
    labelled_groups: usize,
    workflows: BTreeMap<(String, String), Arc<WorkflowMetrics>>,
    rules: BTreeMap<(String, String), Arc<RuleMetrics>>,
    workspaces: BTreeMap<String, Arc<WorkspaceMetrics>>,
    labelled_workspaces: BTreeSet<String>,
    triggers: BTreeMap<(String, String), Arc<TriggerMetrics>>,
}

impl Metrics {
    /// A registry of its own with every series of these groups at zero.
    #[must_use]
    pub fn new(groups: &[GroupLabel]) -> Self {
        let registry = Arc::new(Registry::new());
        let none = Vec::new();
        let build = vec![("version", VERSION.to_owned()), ("revision", REVISION.to_owned())];
        let build = Build::register(&registry, &build);
        build.info.set(1);
        let metrics = Self {
            routing: Arc::new(Routing::register(&registry, &none)),
            actors: Arc::new(Actors::register(&registry, &none)),
            journal: Arc::new(Journal::register(&registry, &none)),
            transport: Arc::new(Transport::register(&registry, &none)),
            notify: Arc::new(Notify::register(&registry, &none)),
            daemon: Arc::new(Daemon::register(&registry, &none)),
            inner: Arc::new(Inner {
                registry,
                places: Mutex::default(),
                before_render: Mutex::default(),
                _build: build,
            }),
        };
        // A daemon that got so far has a configuration.
        metrics.daemon.reload_successful.set(1);
        metrics.set_groups(groups);
        metrics
    }

    /// Takes over the groups of a new configuration. Series of groups that are gone stay until the daemon ends, since a
    /// counter that vanishes and comes back looks like a restart.
    pub fn set_groups(&self, groups: &[GroupLabel]) {
        for label in groups {
            self.workspace(&label.workspace);
            self.group(&label.workspace, &label.group).target.set(label.service_level_target);
        }
    }

    /// What this group's events are counted with; made if it is new. To be kept by the caller: this takes a lock.
    #[must_use]
    pub fn group(&self, workspace: &str, group: &str) -> Arc<GroupMetrics> {
        let mut places = self.places();
        let name = (workspace.to_owned(), group.to_owned());
        if let Some(known) = places.groups.get(&name) {
            return Arc::clone(known);
        }
        let fits = places.labelled_groups < LABELLED_MAX;
        places.labelled_groups += usize::from(fits);
        let labels = vec![
            ("workspace", places.workspace_label(workspace)),
            ("group", if fits { group.to_owned() } else { OTHER.to_owned() }),
        ];
        let made = Arc::new(GroupMetrics::register(&self.inner.registry, &labels));
        places.groups.insert(name, Arc::clone(&made));
        made
    }

    /// What this workflow is counted with; made if it is new. Workflows are named by the configuration, so there are few; those past
    /// [`LABELLED_MAX`] are counted together.
    #[must_use]
    pub fn workflow(&self, workspace: &str, workflow: &str) -> Arc<WorkflowMetrics> {
        let mut places = self.places();
        let mut name = (workspace.to_owned(), workflow.to_owned());
        if places.workflows.len() >= LABELLED_MAX && !places.workflows.contains_key(&name) {
            name.1 = OTHER.to_owned();
        }
        if let Some(known) = places.workflows.get(&name) {
            return Arc::clone(known);
        }
        let labels = vec![("workspace", places.workspace_label(workspace)), ("workflow", name.1.clone())];
        let made = Arc::new(WorkflowMetrics::register(&self.inner.registry, &labels));
        places.workflows.insert(name, Arc::clone(&made));
        made
    }

    /// What this routing rule is counted with; made if it is new. Rules past [`LABELLED_MAX`] are counted together. Takes a lock.
    #[must_use]
    pub fn rule(&self, workspace: &str, rule: &str) -> Arc<RuleMetrics> {
        let mut places = self.places();
        let mut name = (workspace.to_owned(), rule.to_owned());
        if places.rules.len() >= LABELLED_MAX && !places.rules.contains_key(&name) {
            name.1 = OTHER.to_owned();
        }
        if let Some(known) = places.rules.get(&name) {
            return Arc::clone(known);
        }
        let labels = vec![("workspace", places.workspace_label(workspace)), ("rule", name.1.clone())];
        let made = Arc::new(RuleMetrics::register(&self.inner.registry, &labels));
        places.rules.insert(name, Arc::clone(&made));
        made
    }

    /// What this workspace's agents are counted with; made if it is new. To be kept by the caller.
    pub fn workspace(&self, workspace: &str) -> Arc<WorkspaceMetrics> {
        let mut places = self.places();
        if let Some(known) = places.workspaces.get(workspace) {
            return Arc::clone(known);
        }
        let labels = vec![("workspace", places.workspace_label(workspace))];
        let made = Arc::new(WorkspaceMetrics::register(&self.inner.registry, &labels));
        places.workspaces.insert(workspace.to_owned(), Arc::clone(&made));
        made
    }

    /// What this trigger is counted with; made if it is new. Takes a lock.
    #[must_use]
    pub fn trigger(&self, workspace: &str, trigger: &str) -> Arc<TriggerMetrics> {
        let mut places = self.places();
        let mut name = (workspace.to_owned(), trigger.to_owned());
        if places.triggers.len() >= LABELLED_MAX && !places.triggers.contains_key(&name) {
            name.1 = OTHER.to_owned();
        }
        if let Some(known) = places.triggers.get(&name) {
            return Arc::clone(known);
        }
        let labels = vec![("workspace", places.workspace_label(workspace)), ("trigger", name.1.clone())];
        let made = Arc::new(TriggerMetrics::register(&self.inner.registry, &labels));
        places.triggers.insert(name, Arc::clone(&made));
        made
    }

    /// Runs `update` before each rendering: for numbers that a room keeps itself, without knowing this one.
    pub fn before_render(&self, update: impl Fn() + Send + Sync + 'static) {
        self.inner.before_render.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(update));
    }

    /// Everything in the text format of Prometheus. Takes milliseconds: to be called off the arbiters.
    #[must_use]
    pub fn render(&self) -> String {
        for update in &*self.inner.before_render.lock().unwrap_or_else(PoisonError::into_inner) {
            update();
        }
        let mut text = self.inner.registry.render();
        process::render(&mut text);
        text
    }

    /// Takes recorded durations out of their buffers, which else grow until the next rendering. To be called every
    /// second, off the arbiters.
    pub fn upkeep(&self) {
        self.inner.registry.upkeep();
    }

    fn places(&self) -> std::sync::MutexGuard<'_, Places> {
        self.inner.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    /// The workspace's own name while there is room for one more, else [`OTHER`].
    fn workspace_label(&mut self, workspace: &str) -> String {
        if self.labelled_workspaces.len() < LABELLED_MAX {
            self.labelled_workspaces.insert(workspace.to_owned());
        }
        self.labelled_workspaces.get(workspace).map_or(OTHER, String::as_str).to_owned()
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").finish_non_exhaustive()
    }
}

/// The daemon's version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The revision that the build was given in `MAITRED_REVISION`.
pub(crate) const REVISION: &str = match option_env!("MAITRED_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

#[cfg(test)]
mod tests;
