//! Every way in which the rules say no. A refusal is data: it changes nothing and is no error.

use crate::ids::AgentId;

use super::WhyNot;

/// A refused command: nothing was changed or recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No such thing, or not for this caller to see: the two look alike from outside (design §5).
    NotFound,
    /// A value that makes no sense here.
    Invalid(&'static str),
    /// The command's key is older than what is remembered.
    KeyExpired,
    /// The command's key was used for another command.
    KeyReused,
    /// Another agent has it.
    AlreadyTaken(AgentId),
    /// The agent's cap is full.
    AtCapacity {
        /// Slots in use.
        taken: u16,
        /// Slots in all.
        cap: u16,
    },
    /// The offer is over.
    OfferEnded,
    /// The offer's deadline has passed.
    OfferTimedOut,
    /// The conversation is closed.
    ConversationClosed,
    /// The bot has handed the conversation off and does not have the hand.
    HandedOff,
    /// The conversation is not in a state for this.
    WrongState(&'static str),
    /// The group takes nothing new.
    GroupDisabled,
    /// No member of the group is online.
    NobodyOnline,
    /// The group's queue is full.
    QueueFull,
    /// The caller is the only one online in the group it would go to.
    OnlyAgentOnline,
    /// The agent can't be given it, for this reason.
    NotEligible(WhyNot),
    /// The channel is not open for live chat.
    ChannelNotSupported,
    /// The configuration file alone manages this agent.
    ManagedByConfig,
    /// The command made maitred fail and was not carried out.
    Failed,
    /// Locked away after repeated failures, until a supervisor releases it.
    Quarantined,
    /// The group can't answer.
    GroupUnavailable,
    /// The workspace's lifetime engagements are used up.
    QuotaExhausted,
    /// All seats of the workspace are in use.
    NoSeat,
}
