//! The words that the machines share; each means one thing (design §1).

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::scope::Scope;
use crate::ids::{AgentId, ClientId, GroupId, VisitorId};

/// What an agent intends. Changes by command only, never by connecting (design §3.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Presence {
    /// Wants conversations.
    Online,
    /// At work, but wants no new ones.
    Away,
    /// Not at work.
    Offline,
}

/// Whom a group offers a conversation to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Strategy {
    /// One after the other in the order of their names, from where the group's pointer stands.
    RoundRobin,
    /// The fewest taken slots first; ties: longest since the last assignment, then name, then id.
    LeastActive,
    /// The longest without an assignment first; ties: name, then id.
    LongestIdle,
    /// All eligible members at once for one accept timeout; the first to accept wins.
    Broadcast,
    /// All eligible members may take it for as long as it waits.
    Pull,
    /// Round robin, and accepted on the agent's behalf.
    Assign,
}

/// Who opened a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// The visitor, themself or through their frontend.
    Visitor,
    /// The frontend in its own name.
    Api,
    /// The bot.
    Bot,
    /// An agent, with a visitor who had asked for nobody.
    Agent,
}

/// A priority class: 0 is served first, 9 last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Priority(u8);

impl Priority {
    /// The class of conversations that ask for none.
    pub const DEFAULT: Self = Self(5);

    /// The class of this number; `None` above 9.
    #[must_use]
    pub const fn new(class: u8) -> Option<Self> {
        if class <= 9 { Some(Self(class)) } else { None }
    }

    /// The number, 0 to 9.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// Why nobody could serve a conversation (design §1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FallbackReason {
    /// No routing rule applies.
    NoRule,
    /// No member of the group is online.
    NobodyOnline,
    /// Members are online, each with a full cap.
    AllAtCapacity,
    /// As many offers as allowed were made, or nobody is left untried.
    OffersExhausted,
    /// The longest allowed wait is over.
    WaitedTooLong,
    /// Outside business hours.
    ClosedHours,
    /// The group's queue is full.
    QueueFull,
    /// The workspace's lifetime engagements are used up.
    QuotaExhausted,
    /// The group is quarantined or can't answer.
    GroupUnavailable,
    /// A reload removed the group.
    GroupRemoved,
    /// The conversation itself is quarantined.
    Quarantined,
}

/// How an offer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OfferOutcome {
    /// The agent took it.
    Accepted,
    /// The agent said no.
    Declined,
    /// The deadline passed: a miss.
    TimedOut,
    /// Taken back, a miss for nobody.
    Rescinded(RescindReason),
}

/// Why an offer was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RescindReason {
    /// Another session of the same agent accepted.
    AcceptedElsewhere,
    /// Another agent has it.
    AlreadyTaken,
    /// The agent's last session is gone for longer than the grace.
    AgentGone,
    /// The visitor is gone.
    VisitorGone,
    /// The conversation was closed.
    Closed,
    /// The conversation went elsewhere.
    Moved,
    /// An announcement ran out of time.
    WaitedTooLong,
    /// The agent was removed from the group or the workspace.
    Removed,
}

/// Why a conversation was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CloseReason {
    /// An agent ended it.
    ByAgent,
    /// The visitor ended it.
    ByVisitor,
    /// A supervisor or the frontend ended it.
    BySupervisor,
    /// The visitor left while waiting.
    Abandoned,
    /// Active and silent for `idle_close`.
    Idle,
    /// Missed for longer than `missed_ttl`.
    MissedExpired,
    /// The visitor was asked to choose a group and did not: nobody ever knew of it.
    NotChosen,
    /// A workflow's step.
    ByWorkflow,
}

/// Why a conversation entered a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum QueueCause {
    /// It was opened.
    Opened,
    /// The group before could not serve it.
    Overflow,
    /// A participant transferred it.
    Transfer,
    /// Somebody assigned it to the group.
    Assigned,
    /// The visitor wrote to a missed conversation.
    Message,
    /// Its owner gave it back.
    Returned,
    /// Its owner is gone and the group asks for it back.
    Requeued,
    /// A handover failed and its owner is not there.
    Handover,
    /// It was reopened.
    Reopened,
    /// The bot handed it over.
    Bot,
    /// A routing rule sent it.
    Rule,
    /// A workflow took it from an agent, and somebody is online for it.
    Reassigned,
    /// A workflow took it from an agent, and nobody is online for it (RE-9).
    NoOnlineAgent,
}

/// How somebody became the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AssignCause {
    /// Accepted an offer or announcement.
    Accepted,
    /// Took it from a queue.
    Taken,
    /// Somebody assigned it.
    Assigned,
    /// The group's strategy is `assign`.
    Strategy,
    /// Accepted a handover.
    Handover,
    /// A supervisor forced it past the cap.
    Forced,
    /// Began it themself.
    Started,
    /// A workflow gave it to them.
    Workflow,
}

/// Who asks. Roles decide what may be asked; see `docs/protocol.md` and the roles table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum By {
    /// A visitor, themself or through their frontend.
    Visitor(VisitorId),
    /// An agent, themself or through their frontend.
    Agent(AgentId),
    /// A supervisor of the workspace.
    Supervisor,
    /// The frontend in its own name.
    Frontend,
    /// The bot in front of the agents.
    Bot,
    /// An administrator.
    Admin,
    /// maitred itself: a deadline, a rule.
    System,
}

impl By {
    /// The agent who asks, if it is one.
    #[must_use]
    pub fn agent(&self) -> Option<AgentId> {
        match self {
            Self::Agent(agent) => Some(*agent),
            _ => None,
        }
    }

    /// Whether this caller sees and moves everything in the workspace.
    #[must_use]
    pub fn is_supervisor(&self) -> bool {
        matches!(self, Self::Supervisor | Self::Admin)
    }
}

/// The idempotency key of a command (design §6, S6): scoped to the conversation, agent or visitor it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The program that asked, kept over its reconnects.
    pub client: ClientId,
    /// Its growing command counter.
    pub counter: u64,
    /// What was asked, hashed: the same key with another body is refused.
    pub digest: u32,
}

/// Where an answer goes: a request of a connection. The core only hands it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplyTo {
    /// The connection.
    pub connection: u64,
    /// The request's number on it.
    pub request: u32,
}

/// A command's way back and its author; travels with the command from actor to actor.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// Who asks.
    pub by: By,
    /// What the asking agent serves and sees.
    pub scope: Option<Arc<Scope>>,
    /// The idempotency key, if the command has one.
    pub key: Option<Key>,
    /// Where the answer goes; `None` when nobody waits for one.
    pub reply_to: Option<ReplyTo>,
}

impl Ticket {
    /// A command of maitred's own that nobody waits for.
    #[must_use]
    pub fn system() -> Self {
        Self { by: By::System, scope: None, key: None, reply_to: None }
    }

    /// Whether the asking agent's scope covers a conversation of this group.
    #[must_use]
    pub fn covers(&self, group: &GroupId) -> bool {
        group.is_everyone() || self.scope.as_ref().is_some_and(|scope| scope.has(group))
    }

    /// Whether it covers one of this site (BO-12).
    #[must_use]
    pub fn covers_site(&self, site: Option<&SmolStr>) -> bool {
        self.scope.as_ref().is_none_or(|scope| scope.sites.cover(site))
    }
}

/// Text that a person wrote. Never shown by `Debug`, so that no log can hold it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Body(pub Box<str>);

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0.len())
    }
}

/// One thing that the frontend said of a visitor or conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Its name.
    pub name: SmolStr,
    /// Its value.
    pub value: Body,
}
