//! Who runs where: names to addresses. The only holder of strong addresses; everybody else holds ids (design §3.5).

use actix::Addr;
use dashmap::DashMap;
use foldhash::fast::RandomState;

use super::{
    agent::AgentActor,
    conversation::ConversationActor,
    group::GroupActor,
    places::{CallPlaces, Placed},
    shell::Deliver,
    workspace::WorkspaceActor,
};
use crate::{
    ids::{AgentId, ConversationId, GroupId},
    routing::{Tell, agent, conversation, group},
};

/// A machine that has deadlines, by workspace and id: what the timer wheel holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name {
    /// The workspace's index.
    pub space: u32,
    /// What it is.
    pub kind: Kind,
    /// The id's bytes; of a group, its name hashed.
    pub id: [u8; 16],
}

/// What has deadlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A conversation.
    Conversation,
    /// An agent.
    Agent,
    /// A group.
    Group,
}

impl Name {
    /// A conversation's name.
    #[must_use]
    pub fn conversation(space: u32, id: ConversationId) -> Self {
        Self { space, kind: Kind::Conversation, id: *id.bytes() }
    }

    /// An agent's name.
    #[must_use]
    pub fn agent(space: u32, id: AgentId) -> Self {
        Self { space, kind: Kind::Agent, id: *id.bytes() }
    }

    /// A group's name.
    #[must_use]
    pub fn group(space: u32, id: &GroupId) -> Self {
        let mut bytes = [0; 16];
        for (place, byte) in id.as_str().bytes().enumerate() {
            let at = place % 16;
            bytes[at] = u8::rotate_left(bytes[at], 3) ^ byte;
        }
        Self { space, kind: Kind::Group, id: bytes }
    }
}

/// All addresses of the daemon.
#[derive(Debug, Default)]
pub struct Directory {
    conversations: DashMap<(u32, ConversationId), Addr<ConversationActor>, RandomState>,
    agents: DashMap<(u32, AgentId), Addr<AgentActor>, RandomState>,
    groups: DashMap<(u32, GroupId), Addr<GroupActor>, RandomState>,
    workspaces: DashMap<u32, Addr<WorkspaceActor>, RandomState>,
}

impl Directory {
    /// The one way in which machines are told something. Gives back what can't be delivered.
    ///
    /// # Errors
    /// The message, if nobody of that name runs.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that may send; back-pressure is counted at the gate"
    )]
    pub fn tell(&self, space: u32, tell: Tell) -> Result<(), Tell> {
        match tell {
            Tell::Conversation(id, command) => match self.conversations.get(&(space, id)) {
                Some(address) => address.do_send(Deliver(command)),
                None => return Err(Tell::Conversation(id, command)),
            },
            Tell::Agent(id, command) => match self.agents.get(&(space, id)) {
                Some(address) => address.do_send(Deliver(command)),
                None => return Err(Tell::Agent(id, command)),
            },
            Tell::Group(id, command) => match self.groups.get(&(space, id.clone())) {
                Some(address) => address.do_send(Deliver(command)),
                None => return Err(Tell::Group(id, command)),
            },
            Tell::Workspace(command) => match self.workspaces.get(&space) {
                Some(address) => address.do_send(Deliver(command)),
                None => return Err(Tell::Workspace(command)),
            },
        }
        Ok(())
    }

    /// Reminds a machine of its deadline; a machine that is gone needs none. Gives back a conversation that has no actor.
    pub fn remind(&self, name: Name) -> Option<ConversationId> {
        let tell = match name.kind {
            Kind::Agent => Tell::Agent(AgentId::from_bytes(name.id), agent::Command::Tick),
            Kind::Conversation => {
                Tell::Conversation(ConversationId::from_bytes(name.id), conversation::Command::Tick)
            }
            Kind::Group => {
                self.remind_groups(name);
                return None;
            }
        };
        match self.tell(name.space, tell) {
            Err(Tell::Conversation(id, _)) => Some(id),
            Ok(()) | Err(_) => None,
        }
    }

    /// Reminds the groups of this name: one, or several whose names hash alike. Groups have deadlines twice a day, so nobody keeps
    /// a list of them by their hash.
    fn remind_groups(&self, name: Name) {
        let keys = self.groups.iter().map(|entry| entry.key().clone());
        let meant: Vec<(u32, GroupId)> = keys.filter(|(space, id)| Name::group(*space, id) == name).collect();
        for (space, id) in meant {
            drop(self.tell(space, Tell::Group(id, group::Command::Tick)));
        }
    }

    /// Asks an actor something that needs its state: see `queries.rs`.
    #[expect(clippy::disallowed_methods, reason = "as in `tell`")]
    pub fn look(
        &self,
        space: u32,
        whom: &Whom,
        look: super::queries::Look,
    ) -> Result<(), super::queries::Look> {
        match whom {
            Whom::Conversation(id) => match self.conversations.get(&(space, *id)) {
                Some(address) => address.do_send(look),
                None => return Err(look),
            },
            Whom::Agent(id) => match self.agents.get(&(space, *id)) {
                Some(address) => address.do_send(look),
                None => return Err(look),
            },
            Whom::Group(id) => match self.groups.get(&(space, id.clone())) {
                Some(address) => address.do_send(look),
                None => return Err(look),
            },
            Whom::Workspace => match self.workspaces.get(&space) {
                Some(address) => address.do_send(look),
                None => return Err(look),
            },
        }
        Ok(())
    }

    /// Has some places of a group's line called out; a group that is gone has no line.
    #[expect(clippy::disallowed_methods, reason = "as in `tell`")]
    pub fn call_places(&self, space: u32, group: &GroupId) {
        if let Some(address) = self.groups.get(&(space, group.clone())) {
            address.do_send(CallPlaces);
        }
    }

    /// Lets a conversation know its place; one that is gone needs none.
    #[expect(clippy::disallowed_methods, reason = "as in `tell`")]
    pub fn place(&self, space: u32, id: ConversationId, placed: Placed) {
        if let Some(address) = self.conversations.get(&(space, id)) {
            address.do_send(placed);
        }
    }

    /// Asks a group why not an agent.
    ///
    /// # Errors
    /// The question, if there is no such group.
    #[expect(clippy::disallowed_methods, reason = "as in `tell`")]
    pub fn explain(
        &self,
        space: u32,
        group: &GroupId,
        asked: super::queries::ExplainAgent,
    ) -> Result<(), super::queries::ExplainAgent> {
        match self.groups.get(&(space, group.clone())) {
            Some(address) => {
                address.do_send(asked);
                Ok(())
            }
            None => Err(asked),
        }
    }

    /// Whether a conversation's actor runs.
    #[must_use]
    pub fn has_conversation(&self, space: u32, id: ConversationId) -> bool {
        self.conversations.contains_key(&(space, id))
    }

    /// Whether an agent's actor runs.
    #[must_use]
    pub fn has_agent(&self, space: u32, id: AgentId) -> bool {
        self.agents.contains_key(&(space, id))
    }

    /// Whether a group's actor runs.
    #[must_use]
    pub fn has_group(&self, space: u32, id: &GroupId) -> bool {
        self.groups.contains_key(&(space, id.clone()))
    }

    /// Enters a conversation.
    pub fn enter_conversation(&self, space: u32, id: ConversationId, address: Addr<ConversationActor>) {
        self.conversations.insert((space, id), address);
    }

    /// Takes a conversation out.
    pub fn take_conversation(&self, space: u32, id: ConversationId) -> Option<Addr<ConversationActor>> {
        self.conversations.remove(&(space, id)).map(|(_, address)| address)
    }

    /// Enters an agent.
    pub fn enter_agent(&self, space: u32, id: AgentId, address: Addr<AgentActor>) {
        self.agents.insert((space, id), address);
    }

    /// Enters a group.
    pub fn enter_group(&self, space: u32, id: GroupId, address: Addr<GroupActor>) {
        self.groups.insert((space, id), address);
    }

    /// Enters a workspace.
    pub fn enter_workspace(&self, space: u32, address: Addr<WorkspaceActor>) {
        self.workspaces.insert(space, address);
    }

    /// How many conversations and agents run.
    #[must_use]
    pub fn running(&self) -> (usize, usize) {
        (self.conversations.len(), self.agents.len())
    }

    /// Tells every agent and group of a workspace that the rules have changed.
    pub fn tell_all_of_policy(&self, space: u32) {
        let agents: Vec<AgentId> =
            self.agents.iter().filter(|entry| entry.key().0 == space).map(|entry| entry.key().1).collect();
        let groups: Vec<GroupId> = self
            .groups
            .iter()
            .filter(|entry| entry.key().0 == space)
            .map(|entry| entry.key().1.clone())
            .collect();
        for id in agents {
            drop(self.tell(space, Tell::Agent(id, agent::Command::PolicyChanged)));
        }
        for id in groups {
            drop(self.tell(space, Tell::Group(id, group::Command::PolicyChanged)));
        }
    }
}

/// Whom a query concerns.
#[derive(Debug, Clone)]
pub enum Whom {
    /// A conversation.
    Conversation(ConversationId),
    /// An agent.
    Agent(AgentId),
    /// A group.
    Group(GroupId),
    /// The workspace itself.
    Workspace,
}
