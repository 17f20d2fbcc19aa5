//! Every way in which the rules say no. A refusal is data: it changes nothing and is no error.

use crate::ids::{AgentId, ConversationId};

use super::WhyNot;

/// A refused command: nothing was changed or recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No such thing, or not for this caller to see: the two look alike from outside (design §5).
    NotFound,
    /// A value that makes no sense here.
    Invalid(&'static str),
    /// More than there is room for.
    TooLarge(&'static str),
    /// What is there, and the caller's to see, is not theirs to change.
    Forbidden(&'static str),
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
    /// The connection keeps as many lists and counts as it may.
    TooManyLists,
    /// The visitor has this conversation open on the channel.
    HasOpen(ConversationId),
    /// As many visitors as the workspace has room for are on its sites.
    LobbyFull,
    /// No agent, or more than one, goes by this name or address.
    UnknownAgent,
    /// The group wants to know more first.
    MissingFields(Missing),
    /// The workspace has switched this off, or its plan lacks it.
    FeatureDisabled(&'static str),
    /// The workspace's plan has no live chat.
    PlanNotEligible,
    /// The workspace asks for no ratings.
    RatingDisabled,
}

/// Fields that a group requires and that are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    required: &'static [&'static str],
    /// A bit for each of them.
    which: u32,
}

impl Missing {
    /// The most fields that a group may require.
    pub const MAX: usize = 32;

    /// Those that are not known; `None` if all are.
    pub(super) fn of(required: &'static [&'static str], known: impl Fn(&str) -> bool) -> Option<Self> {
        let bits = required.iter().take(Self::MAX).zip(0..).filter(|(name, _)| !known(name));
        let which = bits.map(|(_, bit)| 1 << bit).sum();
        (which != 0).then_some(Self { required, which })
    }

    /// Their names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let missing = move |bit: u32| self.which & (1 << bit) != 0;
        self.required.iter().zip(0..).filter(move |(_, bit)| missing(*bit)).map(|(name, _)| *name)
    }
}
