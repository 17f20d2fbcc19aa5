//! Words that its commands and its events share.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::facts::{VARIABLES_BYTES, VARIABLES_MAX};
use crate::{
    ids::{AgentId, Channel, ClientId, ConversationId, GroupId, VisitorId},
    routing::words::{Body, Origin, Priority, Variable},
};

/// Where a conversation stands (design §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// With the bot: in no queue.
    Bot,
    /// In a group's queue.
    Waiting,
    /// In a group's queue, and offered or announced.
    Offered,
    /// An agent owns it.
    Active,
    /// The fallback message went out; it stays listed.
    Missed,
    /// Over.
    Closed,
    /// Not begun: the visitor is asked to choose a group, and nobody else knows of it.
    Choosing,
    /// Agents among themselves: no visitor, no queue, no slot (ZD-20).
    Team,
}

/// Which group a visitor chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// This one, by the name on the list or its own.
    Group(GroupId),
    /// They don't know: whoever is online (BR-20).
    NotSure,
}

/// Where somebody wants a conversation to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// Where the configuration sends what names nothing.
    Default,
    /// To a group.
    Group(GroupId),
    /// To one agent, and nobody else (AD-12).
    Agent(AgentId),
}

/// What it takes to open a conversation.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The id that the caller made for it; the workspace may lead it to another that is open already.
    pub asked: ConversationId,
    /// Whose it is.
    pub visitor: VisitorId,
    /// Where it takes place.
    pub channel: Channel,
    /// Where it should go.
    pub target: Target,
    /// Whether it was the visitor who chose where it should go.
    pub own_choice: bool,
    /// Whom to try first, if they are eligible (BR-3).
    pub preferred: Option<AgentId>,
    /// Its class.
    pub priority: Priority,
    /// What the frontend knows, or the visitor says.
    pub variables: Vec<Variable>,
    /// What was found out about where the visitor is: nobody said it.
    pub placed: Vec<Variable>,
    /// Who opens it.
    pub origin: Origin,
    /// The bot that it begins with; `None`: it goes to people at once (BO-1).
    pub bot: Option<SmolStr>,
    /// The visitor's first message.
    pub message: Option<Body>,
    /// The program that opens it: while it is connected the visitor is present.
    pub via: ClientId,
    /// The opening hashed: the same id with another body is refused.
    pub digest: u32,
    /// What the lobby knows of the visitor.
    pub lobby: Option<Box<FromLobby>>,
}

/// What the lobby adds to an opening.
#[derive(Debug, Clone, Default)]
pub struct FromLobby {
    /// What is known of the visitor; what the opening says itself goes before it.
    pub facts: Vec<Variable>,
    /// Tags that triggers have set.
    pub tags: Vec<SmolStr>,
    /// The trigger that has decided where it goes.
    pub lead: Option<Lead>,
}

/// Where a trigger has led a visitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// The trigger.
    pub trigger: SmolStr,
    /// What they have read in an agent's name.
    pub text: Option<Body>,
    /// Where it goes if that agent can't take it.
    pub then: Option<GroupId>,
}

impl Opening {
    /// Whether nobody has said where it goes, so that the visitor may be asked (BR-17).
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        let own = self.origin == Origin::Visitor && self.bot.is_none();
        own && self.target == Target::Default && !self.is_led()
    }

    /// Whether a trigger has decided where it goes.
    #[must_use]
    pub fn is_led(&self) -> bool {
        self.lobby.as_ref().is_some_and(|lobby| lobby.lead.is_some())
    }

    /// Takes in what the lobby knows, as far as there is room for it beside what the opening itself says.
    pub fn take_facts_in(&mut self) {
        let Some(lobby) = &mut self.lobby else { return };
        let weigh = |variable: &Variable| variable.name.len() + variable.value.0.len();
        let mut bytes: usize = self.variables.iter().map(weigh).sum();
        for fact in std::mem::take(&mut lobby.facts) {
            let known = self.variables.iter().any(|variable| variable.name == fact.name);
            let fits = self.variables.len() < VARIABLES_MAX && bytes + weigh(&fact) <= VARIABLES_BYTES;
            if !known && fits {
                bytes += weigh(&fact);
                self.variables.push(fact);
            }
        }
    }
}

/// What it takes to open a chat of agents among themselves.
#[derive(Debug, Clone)]
pub struct TeamOpening {
    /// The id that the caller made for it.
    pub asked: ConversationId,
    /// Who else takes part.
    pub agents: Vec<AgentId>,
    /// What stands where a visitor's channel would.
    pub channel: Channel,
    /// The program that opens it.
    pub via: ClientId,
    /// The opening hashed: the same id with another body is refused.
    pub digest: u32,
}

/// How an opening comes to a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The workspace has just entered it as what the visitor has open. No other way makes a conversation: what was open when an
    /// opening set out may be gone when it arrives, and the visitor may have another one by then.
    New {
        /// Whether it may ask for an agent: the workspace's lifetime engagements are not used up.
        engaged: bool,
        /// Whether the visitor chooses a group first; it asks for nobody then.
        chooses: bool,
    },
    /// It is what the visitor has open, by this entry of the workspace.
    Led(u64),
    /// It was known at the door: a retry.
    Known,
}
