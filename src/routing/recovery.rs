//! From the log back to the machines: a fold of its entries, then the views that are rebuilt from conversations (design §3.1).

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    By, Context, Key, Machine as _, Out, Policy,
    agent::{self, Agent},
    conversation::{self, Conversation, Phase},
    departures::Departures,
    group::{self, Group},
    workspace::{self, Workspace},
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, ConversationId, GroupId},
};

/// One record of a workspace in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// What one command led to in a conversation.
    Conversation {
        /// Which.
        id: ConversationId,
        /// What.
        record: conversation::Record,
    },
    /// What one command led to in an agent.
    Agent {
        /// Which.
        id: AgentId,
        /// When.
        at: Timestamp,
        /// Who asked for it.
        by: By,
        /// Under which key.
        key: Option<Key>,
        /// What happened.
        events: Vec<agent::Event>,
    },
    /// What one command led to in a group.
    Group {
        /// Which.
        id: GroupId,
        /// What happened.
        events: Vec<group::Event>,
    },
    /// What one command led to in the workspace.
    Workspace {
        /// When.
        at: Timestamp,
        /// Who asked for it.
        by: By,
        /// What happened.
        events: Vec<workspace::Event>,
    },
    /// The daemon was alive: written every second while a deadline is pending (design §3.7).
    Clock {
        /// When.
        at: Timestamp,
    },
    /// The daemon was started again: deadlines were moved.
    Restarted {
        /// When.
        at: Timestamp,
        /// The newest time in the log before.
        last: Timestamp,
        /// How long agents had to reconnect, in microseconds.
        grace_us: u64,
    },
    /// Nothing is to be known of a closed conversation any more: all that was recorded of it goes.
    Erased {
        /// Which.
        id: ConversationId,
        /// When.
        at: Timestamp,
        /// Who asked for it.
        by: By,
    },
}

impl Entry {
    /// When it was written, if it says so.
    #[must_use]
    pub fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Conversation { record, .. } => Some(record.at),
            Self::Agent { at, .. }
            | Self::Workspace { at, .. }
            | Self::Clock { at }
            | Self::Restarted { at, .. }
            | Self::Erased { at, .. } => Some(*at),
            Self::Group { .. } => None,
        }
    }
}

/// The machines of one workspace, as the log leaves them.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// The workspace itself.
    pub workspace: Workspace,
    /// Its groups.
    pub groups: BTreeMap<GroupId, Group>,
    /// Its agents.
    pub agents: BTreeMap<AgentId, Agent>,
    /// Its conversations that are not closed, and those that were closed lately.
    pub conversations: BTreeMap<ConversationId, Box<Conversation>>,
    /// The newest time in the log.
    pub last: Timestamp,
}

impl World {
    /// Takes one entry of the log in.
    pub fn apply(&mut self, entry: &Entry) {
        if let Some(at) = entry.at() {
            self.last = self.last.max(at);
        }
        match entry {
            Entry::Conversation { id, record } => {
                let conversation =
                    self.conversations.entry(*id).or_insert_with(|| Box::new(Conversation::new(*id)));
                let engaged = conversation.is_engaged();
                conversation.replay(record);
                let agent = record.by.agent().and_then(|agent| self.agents.get_mut(&agent));
                agent.into_iter().for_each(|agent| agent.acted(record));
                if conversation.is_engaged() && !engaged {
                    self.workspace.count_engagement();
                }
            }
            Entry::Agent { id, at, key, events, .. } => {
                let agent = self.agents.entry(*id).or_insert_with(|| Agent::new(*id));
                agent.replay(*at, key.as_ref(), events);
            }
            Entry::Group { id, events } => {
                let group = self.groups.entry(id.clone()).or_insert_with(|| Group::new(id.clone()));
                events.iter().for_each(|event| group.evolve(event));
            }
            Entry::Workspace { events, .. } => events.iter().for_each(|event| self.workspace.evolve(event)),
            Entry::Clock { .. } => {}
            Entry::Erased { id, .. } => {
                self.conversations.remove(id);
            }
            Entry::Restarted { at, last, grace_us } => {
                let grace = Duration::from_micros(*grace_us);
                self.conversations
                    .values_mut()
                    .for_each(|conversation| conversation.rebase(*last, *at, grace));
            }
        }
    }

    /// Rebuilds every view from the conversations: slots, queues, rosters, who has what open. Groups match nothing before they are
    /// told `Start`.
    pub fn settle(&mut self, policy: &Policy, now: Timestamp, grace: Duration) {
        let generations = BTreeMap::new();
        let cx = Context { now, policy, generations: &generations };
        for id in policy.groups.keys().chain([&GroupId::everyone()]) {
            self.groups.entry(id.clone()).or_insert_with(|| Group::new(id.clone())).hold();
        }
        for agent in self.agents.values().filter(|agent| agent.exists()) {
            self.workspace.restore_agent(agent.id(), agent.profile());
        }
        for conversation in self.conversations.values() {
            for (agent, epoch, held) in conversation.holds() {
                let agent = self.agents.entry(agent).or_insert_with(|| Agent::new(agent));
                agent.restore_slot(conversation.id(), epoch, held);
            }
            let open = conversation.phase().is_some_and(|phase| phase != Phase::Closed)
                && !conversation.is_quarantined();
            if let Some((visitor, channel, _)) = conversation.visitor().filter(|_| open) {
                self.workspace.restore_open(visitor, channel, conversation.id());
            }
        }
        for agent in self.agents.values().filter(|agent| agent.owes_seat()) {
            self.workspace.restore_leaving(agent.id());
        }
        let mut departures = Departures::default();
        self.agents.values_mut().for_each(|agent| agent.expect_back(now + grace, &mut departures));
        let mut out = Out::default();
        for agent in self.agents.values().filter(|agent| agent.exists()) {
            let standing = agent.standing(&cx);
            let member = |id: &GroupId| agent.profile().groups.contains(id) || id.is_everyone();
            for (_, group) in self.groups.iter_mut().filter(|(id, _)| member(id)) {
                let command = group::Command::Member { agent: agent.id(), standing: standing.clone() };
                // A held group only takes the member in; it refuses nothing and tells nobody.
                let _ = group.handle(&cx, command, &mut out);
            }
        }
    }

    /// What is pending for agents who stand aside: set aside a moment before the end, so that nobody was told. Each conversation is to
    /// be told `AgentGone` once everything runs.
    #[must_use]
    pub fn offered_aside(&self) -> Vec<(ConversationId, AgentId)> {
        let aside = self.agents.values().filter(|agent| agent.quarantined().is_some()).map(Agent::id);
        let aside: Vec<AgentId> = aside.collect();
        let offered = |it: &Conversation| {
            let id = it.id();
            let pending = aside.iter().filter(|agent| it.pending_for(**agent).is_some());
            pending.map(|agent| (id, *agent)).collect::<Vec<_>>()
        };
        if aside.is_empty() {
            Vec::new()
        } else {
            self.conversations.values().map(AsRef::as_ref).flat_map(offered).collect()
        }
    }

    /// What has to be told once everything runs, so that what waits is in its line: first these, then `Start` to each group.
    #[must_use]
    pub fn lines(&self) -> Vec<(GroupId, group::Waiting)> {
        self.conversations.values().filter_map(|conversation| conversation.waiting(false)).collect()
    }
}
