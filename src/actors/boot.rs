//! From the log to running actors. Recovery is the same road as live traffic, without the last step.

use std::{
    collections::{BTreeSet, HashMap},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use super::{
    agent::AgentActor,
    conversation::ConversationActor,
    faults,
    group::GroupActor,
    local::Local,
    space::{Records, Restart, Space},
    supervision::guard,
    tokens::TokenBook,
    workspace::WorkspaceActor,
};
use crate::{
    clock::Timestamp,
    codec,
    ids::{ConversationId, GroupId, WorkspaceId},
    journal::{Position, Record},
    routing::{
        Policy, Tell,
        agent::Profile,
        conversation::Phase,
        group::{self, Group},
        recovery::{Entry, World},
        workspace,
    },
};

/// What the log says, workspace by workspace.
#[derive(Default)]
pub struct Recovered {
    /// The workspaces that the log names.
    pub spaces: HashMap<WorkspaceId, Remembered>,
    /// The newest time in the log.
    pub last: Timestamp,
    /// The first record that can't be understood, in words: the daemon refuses to start.
    pub trouble: Option<String>,
}

/// What the log says of one workspace.
#[derive(Default)]
pub struct Remembered {
    /// Its machines.
    pub world: World,
    records: HashMap<ConversationId, Records>,
    /// Conversations whose records can't be folded: they stand aside, and the rest starts.
    unreadable: BTreeSet<ConversationId>,
    restarts: Vec<Restart>,
}

impl Recovered {
    /// Takes one record of the log in.
    pub fn take_in(&mut self, record: Record<'_>) {
        if self.trouble.is_some() {
            return;
        }
        match codec::from_log::<(WorkspaceId, Entry)>(record.payload) {
            Ok(_) if record.version > super::local::LOG_VERSION => {
                self.trouble = Some(newer(record.position, record.version));
            }
            Ok((workspace, entry)) => self.fold(workspace, record.position, &entry),
            Err(_) if record.version > super::local::LOG_VERSION => {
                self.trouble = Some(newer(record.position, record.version));
            }
            Err(error) => {
                let position = record.position.get();
                self.trouble = Some(format!("record {position} of the log is not one of maitred's: {error}"));
            }
        }
    }

    fn fold(&mut self, workspace: WorkspaceId, position: Position, entry: &Entry) {
        let space = self.spaces.entry(workspace).or_default();
        match entry {
            Entry::Conversation { id, .. } => space.records.entry(*id).or_default().push(position),
            Entry::Restarted { at, last, grace_us } => {
                let grace = Duration::from_micros(*grace_us);
                space.restarts.push(Restart { position, at: *at, last: *last, grace });
            }
            _ => {}
        }
        space.apply(position, entry, &mut self.trouble);
        self.last = self.last.max(space.world.last);
    }
}

impl Remembered {
    /// Takes an entry in. A machine that falls over it does so at every start: a conversation stands aside by itself, for anybody else the
    /// daemon can't start.
    fn apply(&mut self, position: Position, entry: &Entry, trouble: &mut Option<String>) {
        let whose = match entry {
            Entry::Conversation { id, .. } if self.unreadable.contains(id) => return,
            Entry::Conversation { id, .. } => Some(*id),
            _ => None,
        };
        let fold = || {
            faults::in_fold(entry);
            self.world.apply(entry);
        };
        if guard(fold).is_some() {
            return;
        }
        match whose {
            Some(id) => {
                self.world.conversations.remove(&id);
                self.unreadable.insert(id);
            }
            None => {
                let position = position.get();
                *trouble = Some(format!(
                    "record {position} of the log can't be taken in: start an older maitred and report it"
                ));
            }
        }
    }
}

fn newer(position: Position, version: u8) -> String {
    let position = position.get();
    format!(
        "record {position} of the log has version {version}, written by a newer maitred: start that one instead"
    )
}

/// What it takes to start a workspace on its arbiter.
pub struct Opening {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub id: WorkspaceId,
    /// Its rules.
    pub policy: Arc<Policy>,
    /// The agents that the configuration manages.
    pub agents: Vec<(crate::ids::AgentId, Profile)>,
    /// What the log says of it.
    pub remembered: Remembered,
    /// How long agents have to reconnect.
    pub grace: Duration,
    /// All tokens.
    pub tokens: Arc<TokenBook>,
}

/// Starts a workspace: machines from the log, deadlines moved past the downtime, views rebuilt, actors running, and only then matching.
pub fn open(local: &Rc<Local>, opening: Opening) {
    let Opening { index, id, policy, agents, mut remembered, grace, tokens } = opening;
    let space = Space::new(index, id, Rc::clone(local), Arc::clone(&policy), tokens);
    local.place(Rc::clone(&space));
    let now = local.now();
    let fresh = remembered.world.last == Timestamp::default();
    let grace = if fresh { Duration::ZERO } else { grace };
    for restart in &remembered.restarts {
        space.remember_restart(*restart);
    }
    if !fresh {
        let last = remembered.world.last;
        let grace_us = u64::try_from(grace.as_micros()).unwrap_or(u64::MAX);
        let entry = Entry::Restarted { at: now, last, grace_us };
        let position = local.record(&space.id, &entry);
        space.remember_restart(Restart { position, at: now, last, grace });
        remembered.world.apply(&entry);
    }
    start_actors(&space, remembered, &policy, now, grace);
    for (agent, profile) in agents {
        let ticket = crate::routing::Ticket::system();
        space.tell(Tell::Workspace(workspace::Command::PutAgent { agent, profile, ticket }));
    }
}

fn start_actors(space: &Rc<Space>, remembered: Remembered, policy: &Policy, now: Timestamp, grace: Duration) {
    let Remembered { mut world, mut records, unreadable, .. } = remembered;
    let durable_groups = world.groups.clone();
    world.settle(policy, now, grace);
    let lines = world.lines();
    WorkspaceActor::begin(space, world.workspace);
    let groups: Vec<GroupId> = world.groups.keys().cloned().collect();
    for (id, group) in world.groups {
        let durable = durable_groups.get(&id).cloned().unwrap_or_else(|| Group::new(id));
        GroupActor::begin(space, group, durable);
    }
    for agent in world.agents.into_values() {
        AgentActor::begin(space, agent);
    }
    for (id, machine) in world.conversations {
        let records = records.remove(&id).unwrap_or_default();
        // What stands aside has an actor in any phase, as somebody may let it take part again.
        if matches!(machine.phase(), None | Some(Phase::Closed)) && !machine.is_quarantined() {
            space.remember_closed(id, records);
        } else {
            ConversationActor::begin(space, machine, records);
        }
    }
    for id in unreadable {
        ConversationActor::begin_unreadable(space, id, records.remove(&id).unwrap_or_default());
    }
    for (group, waiting) in lines {
        space.tell(Tell::Group(group, group::Command::Enqueue(Box::new(waiting))));
    }
    for group in groups {
        space.tell(Tell::Group(group, group::Command::Start));
    }
}

/// Takes other rules over: groups that are new are started, agents of the configuration are put or removed, everybody is told.
pub fn reload(space: &Rc<Space>, policy: &Arc<Policy>, agents: Vec<(crate::ids::AgentId, Profile)>) {
    let before = space.policy();
    space.set_policy(Arc::clone(policy));
    for id in policy.groups.keys().filter(|id| !before.groups.contains_key(*id)) {
        if !space.local.shared.directory.has_group(space.index, id) {
            GroupActor::begin(space, Group::new(id.clone()), Group::new(id.clone()));
        }
    }
    let managed: Vec<_> = agents.iter().map(|(agent, _)| *agent).collect();
    for (agent, profile) in agents {
        let ticket = crate::routing::Ticket::system();
        space.tell(Tell::Workspace(workspace::Command::PutAgent { agent, profile, ticket }));
    }
    space.tell(Tell::Workspace(workspace::Command::KeepManaged { agents: managed }));
}
