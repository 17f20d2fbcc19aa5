//! What a group may be asked, what it records, and what it is told of agents and conversations.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{
    clock::Timestamp,
    ids::{AgentId, ConversationId},
    routing::{
        WhyNot,
        queue::{Admits, Fit, Place},
        scope::Sites,
        words::{By, Priority, QueueCause, Ticket},
    },
};

/// What an agent says of itself to its groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The name: round robin goes by it.
    pub name: SmolStr,
    /// The first reason why they take nothing, a full cap aside.
    pub why_not: Option<WhyNot>,
    /// What a full cap is called: at cap, or in wrap-up.
    pub full: WhyNot,
    /// Online, and here or expected back.
    pub present: bool,
    /// Slots in all.
    pub cap: u16,
    /// Slots in use.
    pub taken: u16,
    /// When they were last assigned something.
    pub last_assigned: Timestamp,
    /// The sites that they are limited to.
    pub sites: Sites,
}

/// A conversation's stay, as its group sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its epoch: a grant for an older one is void.
    pub epoch: u32,
    /// The stay's number.
    pub stay: u32,
    /// The priority class.
    pub class: Priority,
    /// When it was enqueued: its place within the class.
    pub since: Timestamp,
    /// Whom to try first.
    pub preferred: Option<AgentId>,
    /// Whom alone to try.
    pub direct: Option<AgentId>,
    /// Who missed or declined it in this stay.
    pub tried: Vec<AgentId>,
    /// Who began the transfer that brought it here (ZD-14), or was too silent for a workflow (RE-8).
    pub barred: Option<AgentId>,
    /// What brought it here.
    pub cause: QueueCause,
    /// Whether members who are not there may have it, too.
    pub anyone: bool,
    /// Whether it was announced already: it stays listed, and who becomes eligible is added.
    pub announced: bool,
    /// The site that it is on.
    pub site: Option<SmolStr>,
    /// Whether it arrives now, rather than coming back after an offer or a restart.
    pub entering: bool,
    /// Whether it goes elsewhere unless somebody can take it now.
    pub asking: bool,
}

impl Waiting {
    pub(super) fn place(&self) -> Place {
        Place { class: self.class, since: self.since, conversation: self.conversation }
    }

    pub(super) fn fit(&self) -> Fit {
        let admits = match self.direct {
            Some(direct) if self.tried.contains(&direct) => Admits::Nobody,
            Some(direct) => Admits::Only(direct),
            None => Admits::except(self.tried.iter().copied().chain(self.barred)),
        };
        Fit { admits, site: self.site.clone() }
    }

    /// Nobody but the direct agent may have it, and they have been tried.
    pub(super) fn is_spent(&self) -> bool {
        self.direct.is_some_and(|direct| self.tried.contains(&direct))
    }
}

/// What is recorded of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Round robin last proposed to this agent.
    Pointed {
        /// Their name then.
        name: SmolStr,
        /// The agent.
        agent: AgentId,
    },
    /// Closed for routing after repeated failures.
    Quarantined {
        /// When.
        at: Timestamp,
    },
    /// A supervisor opened it again.
    Reinstated {
        /// Who.
        by: By,
    },
}

/// What a group may be asked.
#[derive(Debug)]
pub enum Command {
    /// A conversation waits here, or waits here again. From the conversation.
    Enqueue(Box<Waiting>),
    /// A conversation no longer waits here. From the conversation.
    Leave {
        /// The conversation.
        conversation: ConversationId,
    },
    /// An agent says how it stands.
    Member {
        /// The agent.
        agent: AgentId,
        /// How it stands.
        standing: Standing,
    },
    /// An agent is no member any more.
    MemberGone {
        /// The agent.
        agent: AgentId,
    },
    /// An agent has granted a proposal; the conversation hears of it from the agent.
    ProposalGranted {
        /// The conversation.
        conversation: ConversationId,
        /// The agent.
        agent: AgentId,
        /// How it stands, with the slot taken.
        standing: Standing,
    },
    /// An agent can't take what was proposed.
    ProposalRefused {
        /// The conversation.
        conversation: ConversationId,
        /// The agent.
        agent: AgentId,
        /// Why.
        why_not: WhyNot,
        /// How it stands.
        standing: Standing,
    },
    /// An agent was rebuilt and has forgotten what was proposed to it.
    Forgotten {
        /// The agent.
        agent: AgentId,
    },
    /// May a conversation come in by hand? Answered `Admitted` to the conversation, or the ticket is refused.
    RequestEntry {
        /// The conversation.
        conversation: ConversationId,
        /// Its epoch.
        epoch: u32,
        /// Transfer or assignment.
        cause: QueueCause,
        /// Who asked.
        ticket: Ticket,
        /// Whether the asking participant leaves.
        leave: bool,
    },
    /// Can it take a conversation for a workflow? Answered `Summoned` to the conversation.
    Summon {
        /// The conversation.
        conversation: ConversationId,
        /// Its epoch.
        epoch: u32,
        /// Who is not to get it.
        but: Option<AgentId>,
        /// Its site.
        site: Option<SmolStr>,
    },
    /// A stay has waited as long as it may: why was it not served? Answered `Unserved`.
    WaitedTooLong {
        /// The conversation.
        conversation: ConversationId,
        /// The stay's number.
        stay: u32,
        /// Who missed or declined it: the group has not heard of the last one.
        tried: Vec<AgentId>,
    },
    /// Everything that waits and every member has been told after a start: begin to match.
    Start,
    /// The operator's rules have changed.
    PolicyChanged,
    /// A deadline has passed: it may have opened.
    Tick,
    /// Take part again. Carried out by whoever runs the machine, which stands still as long as it is set aside. Answered `Done`.
    Reinstate {
        /// Who asked.
        ticket: Ticket,
    },
}
