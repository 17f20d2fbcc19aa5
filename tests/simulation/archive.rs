//! The archive: what a part of the log led to, machine by machine, as it is written down. A start takes its word up to there, and the
//! log's from there on; the judge folds the whole log, and compares.

use maitred::{
    codec,
    ids::{AgentId, ConversationId, GroupId},
    routing::{
        agent::Agent, conversation::Conversation, group::Group, recovery::World, workspace::Workspace,
    },
};

use crate::{bugs::Bug, world::Sim};

/// What the archive holds.
pub(crate) struct Archived {
    /// Entries of the log that it covers.
    covered: usize,
    last: maitred::clock::Timestamp,
    workspace: Vec<u8>,
    groups: Vec<(GroupId, Vec<u8>)>,
    agents: Vec<(AgentId, Vec<u8>)>,
    conversations: Vec<(ConversationId, Vec<u8>)>,
}

fn written<T: serde::Serialize>(machine: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    let done = codec::to_log(machine, &mut bytes);
    assert!(done.is_ok(), "a machine can't be written: {done:?}");
    bytes
}

fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> T {
    codec::from_log(bytes).unwrap_or_else(|error| panic!("a machine can't be read back: {error}"))
}

impl Archived {
    /// The machines as they were written down.
    fn world(&self) -> World {
        World {
            workspace: read::<Workspace>(&self.workspace),
            groups: self.groups.iter().map(|(id, bytes)| (id.clone(), read::<Group>(bytes))).collect(),
            agents: self.agents.iter().map(|(id, bytes)| (*id, read::<Agent>(bytes))).collect(),
            conversations: self
                .conversations
                .iter()
                .map(|(id, bytes)| (*id, Box::new(read::<Conversation>(bytes))))
                .collect(),
            last: self.last,
        }
    }
}

impl Sim {
    /// The archive takes over what is durable: a fold of what it had and what came since.
    pub(crate) fn archive(&mut self) {
        // Keys that are forgotten at a crash would be remembered here.
        if self.has(Bug::LostKeys) || self.has(Bug::AsideForgotten) {
            return;
        }
        let claims = self.has(Bug::SnapshotClaims);
        let until = if claims { self.store.newest() } else { self.store.durable() };
        let until = usize::try_from(until).unwrap_or(usize::MAX).min(self.store.entries.len());
        let (mut world, covered) = match &self.archived {
            Some(archived) => (archived.world(), archived.covered),
            None => (World::default(), 0),
        };
        let forgotten = usize::from(self.has(Bug::SnapshotForgets));
        for entry in self.store.entries.iter().take(until.saturating_sub(forgotten)).skip(covered) {
            world.apply(entry);
        }
        self.archived = Some(Archived {
            covered: until,
            last: world.last,
            workspace: written(&world.workspace),
            groups: world.groups.iter().map(|(id, group)| (id.clone(), written(group))).collect(),
            agents: world.agents.iter().map(|(id, agent)| (*id, written(agent))).collect(),
            conversations: world.conversations.iter().map(|(id, it)| (*id, written(it))).collect(),
        });
    }

    /// Begins with what the archive holds; how many entries of the log that covers.
    pub(crate) fn takes_from_archive(&mut self) -> usize {
        let Some(archived) = &self.archived else { return 0 };
        self.world = archived.world();
        archived.covered
    }
}
