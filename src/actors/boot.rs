//! From the log to running actors. Recovery is the same road as live traffic, without the last step.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::ControlFlow,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use foldhash::fast::RandomState;

use super::{
    agent::AgentActor,
    conversation::ConversationActor,
    count::Marks,
    faults,
    fold::Folded,
    group::GroupActor,
    history::History,
    ledger::Line,
    local::Local,
    past::archived,
    port::ConversationRow,
    space::{Restart, Space},
    stored::{self, Sleeper, Times, Unreadable, Whose},
    supervision::guard,
    tokens::TokenBook,
    workspace::WorkspaceActor,
};
use crate::{
    clock::Timestamp,
    codec,
    ids::{ConversationId, GroupId, WorkspaceId},
    journal::{self, Archive, Position, Record, Shelf, View},
    routing::{
        Policy, RescindReason, Tell,
        agent::Profile,
        conversation::{self, Event, Phase},
        group::{self, Group},
        recovery::{Entry, World},
        workspace::{self, Workspace},
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
    /// The archive knows of all records up to this one.
    covered: Position,
    archive: Option<View>,
}

/// What log and archive say of one workspace.
#[derive(Default)]
pub struct Remembered {
    /// Its machines.
    pub world: World,
    beside: HashMap<ConversationId, Box<Beside>, RandomState>,
    /// Conversations that are missed and left alone since before the log begins: no machine is made of them until something comes for
    /// them. As they are written.
    sleepers: BTreeMap<ConversationId, Box<[u8]>>,
    /// Conversations whose records can't be folded: they stand aside, and the rest starts.
    unreadable: BTreeSet<ConversationId>,
    restarts: Vec<Restart>,
    erased: Vec<(ConversationId, Position)>,
}

/// What a conversation's actor needs beside the machine.
#[derive(Default)]
struct Beside {
    history: History,
    marks: Marks,
}

impl Recovered {
    /// What the archive says; the log goes on from there.
    ///
    /// # Errors
    /// The archive can't be read.
    pub fn from_archive(archive: &Archive) -> Result<Self, journal::Error> {
        let view = archive.view()?;
        let mut recovered = Self { covered: view.covered()?, ..Self::default() };
        view.walk(Shelf::States, &[], &mut |key, state| match recovered.load(key, state) {
            Ok(()) => ControlFlow::Continue(()),
            Err(trouble) => {
                recovered.trouble = Some(trouble.to_string());
                ControlFlow::Break(())
            }
        })?;
        recovered.archive = Some(view);
        recovered.last = recovered.spaces.values().map(|space| space.world.last).max().unwrap_or_default();
        Ok(recovered)
    }

    fn load(&mut self, key: &[u8], state: &[u8]) -> Result<(), Unreadable> {
        let strange = || Unreadable::Strange("its key is not one of maitred's".to_owned());
        let (workspace, rest) = stored::split(key).ok_or_else(strange)?;
        let whose = stored::whose(rest).ok_or_else(strange)?;
        let space = self.spaces.entry(workspace).or_default();
        match whose {
            // The first of a workspace: its conversations need to know of the restarts.
            Whose::Times => {
                let (_, Times { last, restarts }) = stored::read(state)?;
                space.world.last = last;
                space.restarts = restarts;
            }
            Whose::Workspace => space.world.workspace = stored::read(state)?.1,
            Whose::Group(id) => drop(space.world.groups.insert(id, stored::read(state)?.1)),
            Whose::Agent(id) => drop(space.world.agents.insert(id, stored::read_agent(state)?.1)),
            Whose::Unreadable(id) => {
                let (_, records) = stored::read(state)?;
                space.unreadable.insert(id);
                space.beside.entry(id).or_default().history = History::new(records);
            }
            Whose::Conversation(id) => {
                if let Some(sleeper) = stored::sleeper(state)? {
                    space.sleepers.insert(id, sleeper.into());
                    return Ok(());
                }
                let mut folded = stored::read_conversation(state)?;
                folded.restarted(&space.restarts, None);
                let Folded { machine, marks, history, .. } = folded;
                space.world.conversations.insert(id, Box::new(machine));
                space.beside.insert(id, Box::new(Beside { history, marks }));
            }
        }
        Ok(())
    }

    /// Takes one record of the log in; what the archive covers is known already.
    pub fn take_in(&mut self, record: Record<'_>) {
        if self.trouble.is_some() || record.position <= self.covered {
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
        let space = self.spaces.entry(workspace.clone()).or_default();
        match entry {
            Entry::Conversation { id, record } => {
                if !space.world.conversations.contains_key(id) && !space.unreadable.contains(id) {
                    space.sleepers.remove(id);
                    self.trouble = space.recall(&workspace, *id, record, self.archive.as_ref());
                }
                let beside = space.beside.entry(*id).or_default();
                beside.history.add(position, record);
                for event in &record.events {
                    beside.marks.see(record.at, &record.by, event);
                }
            }
            Entry::Restarted { at, last, grace_us } => {
                let grace = Duration::from_micros(*grace_us);
                space.restarts.push(Restart { position, at: *at, last: *last, grace });
            }
            Entry::Erased { id, .. } => {
                space.beside.remove(id);
                space.erased.push((*id, position));
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

    /// A conversation that was over or asleep and goes on: the archive has what it was. Says what is wrong, if something is.
    fn recall(
        &mut self,
        workspace: &WorkspaceId,
        id: ConversationId,
        record: &conversation::Record,
        archive: Option<&View>,
    ) -> Option<String> {
        let is_new = matches!(record.events.first(), Some(Event::Opened { .. } | Event::TeamOpened { .. }));
        let archive = archive.filter(|_| !is_new)?;
        match archived(archive, workspace, id, &self.restarts) {
            Ok(Some(mut folded)) => {
                folded.restarted(&self.restarts, None);
                let Folded { machine, marks, history, .. } = folded;
                self.world.conversations.insert(id, Box::new(machine));
                self.beside.insert(id, Box::new(Beside { history, marks }));
                None
            }
            Ok(None) => None,
            Err(trouble) => Some(trouble.to_string()),
        }
    }
}

#[cfg(test)]
impl Recovered {
    /// A conversation's state, wherever it is.
    pub(super) fn conversation(&self, workspace: &WorkspaceId, id: ConversationId) -> Option<Folded> {
        let space = self.spaces.get(workspace)?;
        if space.sleepers.contains_key(&id) {
            let mut folded = archived(self.archive.as_ref()?, workspace, id, &space.restarts).ok()??;
            folded.restarted(&space.restarts, None);
            return Some(folded);
        }
        let machine = space.world.conversations.get(&id)?.as_ref().clone();
        let Beside { marks, history } = space.beside.get(&id)?.as_ref();
        Some(Folded { machine, marks: marks.clone(), history: history.clone(), at: Position::ZERO })
    }
}

#[cfg(test)]
impl Remembered {
    /// Where a conversation's records are that the archive has not.
    pub(super) fn tail(&self, id: ConversationId, covered: Position) -> Vec<Position> {
        let all = self.beside.get(&id).map(|beside| beside.history.positions().to_vec()).unwrap_or_default();
        all.into_iter().filter(|position| *position > covered).collect()
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
    put_agents(&space, agents);
}

fn start_actors(space: &Rc<Space>, remembered: Remembered, policy: &Policy, now: Timestamp, grace: Duration) {
    let Remembered { mut world, mut beside, sleepers, mut unreadable, erased, .. } = remembered;
    erased.into_iter().for_each(|(id, position)| space.remember_erased(id, position));
    space.look_at_archive();
    let durable_groups = world.groups.clone();
    world.settle(policy, now, grace);
    let (lines, offered_aside) = (world.lines(), world.offered_aside());
    unreadable.extend(lay_down(space, &mut world.workspace, sleepers));
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
        let Beside { history, marks } = *beside.remove(&id).unwrap_or_default();
        // What stands aside has an actor in any phase, as somebody may let it take part again.
        if matches!(machine.phase(), None | Some(Phase::Closed)) && !machine.is_quarantined() {
            if let Some(row) = ConversationRow::of(&machine, &space.policy()) {
                space.ledger.borrow_mut().list(None, Line::new(row));
            }
            space.remember_closed(id, history.positions());
        } else {
            let folded = Folded { machine: *machine, marks, history, at: Position::ZERO };
            if let Some(folded) = fall_asleep(space, folded) {
                ConversationActor::begin(space, folded, None);
            }
        }
    }
    for id in unreadable {
        let records = beside.remove(&id).unwrap_or_default().history.take();
        ConversationActor::begin_unreadable(space, id, records);
    }
    for (group, waiting) in lines {
        space.tell(Tell::Group(group, group::Command::Enqueue(Box::new(waiting))));
    }
    for (conversation, agent) in offered_aside {
        let gone = conversation::Command::AgentGone { agent, why: RescindReason::Removed };
        space.tell(Tell::Conversation(conversation, gone));
    }
    for group in groups {
        space.tell(Tell::Group(group, group::Command::Start));
    }
}

/// Lists the conversations that sleep since before the log begins. Gives back those whose entries can't be read.
fn lay_down(
    space: &Space,
    workspace: &mut Workspace,
    sleepers: BTreeMap<ConversationId, Box<[u8]>>,
) -> Vec<ConversationId> {
    let policy = space.policy();
    let mut unreadable = Vec::new();
    for (id, written) in sleepers {
        let Sleeper { row, attention } = match stored::read_sleeper(&written) {
            Ok(sleeper) => sleeper,
            Err(trouble) => {
                tracing::error!(conversation = %id, %trouble, "what sleeps can't be read");
                unreadable.push(id);
                continue;
            }
        };
        let until = row.closed_at;
        let row = ConversationRow { phase: Phase::Missed, ..row.row(id, &policy) };
        workspace.restore_open(row.visitor, &row.channel, id);
        space.list_sleeping(Line::remembered(row, false, attention), &[], until);
    }
    unreadable
}

/// Lists a conversation that needs no actor although it is not over; gives it back if it needs one.
fn fall_asleep(space: &Space, folded: Folded) -> Option<Folded> {
    let row = ConversationRow::of(&folded.machine, &space.policy());
    let Some((until, row)) = folded.may_sleep().zip(row) else { return Some(folded) };
    let line = Line::new(row);
    line.follow(&folded.machine);
    space.list_sleeping(line, folded.history.positions(), until);
    None
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
    put_agents(space, agents);
}

/// The file's agents. Who is no longer in it goes first, so that their names and seats are free.
fn put_agents(space: &Rc<Space>, agents: Vec<(crate::ids::AgentId, Profile)>) {
    let managed: Vec<_> = agents.iter().map(|(agent, _)| *agent).collect();
    space.tell(Tell::Workspace(workspace::Command::KeepManaged { agents: managed }));
    for (agent, profile) in agents {
        let ticket = crate::routing::Ticket::system();
        space.tell(Tell::Workspace(workspace::Command::PutAgent { agent, profile, ticket }));
    }
}
