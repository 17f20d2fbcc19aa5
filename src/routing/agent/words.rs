//! What an agent may be asked and what is recorded of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{
    clock::Timestamp,
    ids::{ConversationId, GroupId},
    routing::{
        Decision,
        conversation::Purpose,
        words::{Presence, Ticket},
    },
};

/// What is known of an agent that is not what they do: made by an administrator or the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Unique in the workspace; visitors see it.
    pub name: SmolStr,
    /// For invitations.
    pub email: Option<SmolStr>,
    /// The groups they are a member of, besides `everyone`.
    pub groups: Vec<GroupId>,
    /// Their own cap; `None`: the workspace's.
    pub cap: Option<u16>,
    /// Whether they may do live chat (AD-5).
    pub live_chat: bool,
    /// Whether the configuration file alone may change them.
    pub managed_by_config: bool,
    /// What their picture is known by, outside; visitors get it with the name (BO-8).
    pub avatar: Option<SmolStr>,
    /// The sites whose conversations they serve and see; none: all of them (BO-12).
    pub sites: Vec<SmolStr>,
    /// Whether they see conversations that the bot has in hand (BO-11).
    pub sees_bot: bool,
}

/// What the system keeps of an agent's doings, and nobody writes (BO-9).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// When they last did something.
    pub last: Timestamp,
    /// Messages that they wrote to visitors.
    pub messages: u64,
}

impl Activity {
    /// They did something, and wrote so many messages with it.
    pub fn add(&mut self, at: Timestamp, messages: u64) {
        self.last = self.last.max(at);
        self.messages += messages;
    }
}

/// Whether they are to be told outside of what waits for them while they have no session (AD-16).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Push {
    /// They have not said: the workspace decides. The first: older states end where this begins, and a zero reads as this.
    #[default]
    Unset,
    /// No.
    Off,
    /// Yes.
    On {
        /// Where their browser is reached, as their frontend knows it; handed on as it is.
        endpoint: Option<SmolStr>,
    },
}

/// What older logs know of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basics {
    name: SmolStr,
    email: Option<SmolStr>,
    groups: Vec<GroupId>,
    cap: Option<u16>,
    live_chat: bool,
    managed_by_config: bool,
}

impl From<Basics> for Profile {
    fn from(basics: Basics) -> Self {
        let Basics { name, email, groups, cap, live_chat, managed_by_config } = basics;
        Self { name, email, groups, cap, live_chat, managed_by_config, ..Self::default() }
    }
}

/// A part of an agent that is to be another; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Their name.
    pub name: Option<SmolStr>,
    /// Their groups.
    pub groups: Option<Vec<GroupId>>,
    /// Their own cap.
    pub cap: Option<u16>,
    /// Their picture; empty: none.
    pub avatar: Option<SmolStr>,
    /// The sites that they are limited to; empty: all.
    pub sites: Option<Vec<SmolStr>>,
    /// Whether they see what the bot has in hand.
    pub sees_bot: Option<bool>,
    /// Whether they have a seat, which the workspace grants (BO-10).
    pub live_chat: Option<bool>,
}

/// What is recorded of an agent: what the conversations can't tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Created or changed. In older logs only: [`Event::Profiled`] knows more.
    Put(Basics),
    /// Removed; finishes what they have.
    Removed,
    /// Intends something else now; `auto`: set away after too many misses.
    PresenceSet {
        /// The new intent.
        presence: Presence,
        /// Whether maitred set it.
        auto: bool,
    },
    /// Became the owner of a conversation.
    Assigned,
    /// Let an offer time out.
    Missed,
    /// A command of theirs made maitred fail and was not carried out; its key is recorded with this.
    CommandFailed,
    /// Set aside after repeated failures: offered nothing new, keeps what they have.
    Quarantined,
    /// A supervisor let them take part again.
    Reinstated,
    /// Created or changed.
    Profiled(Profile),
    /// Wants to be told outside, or no longer.
    PushSet(Push),
}

/// What an agent may be asked.
#[derive(Debug)]
pub enum Command {
    /// Create or change. From the workspace, which keeps names unique. Answered `Done`.
    Put {
        /// What they are to be.
        profile: Profile,
        /// Who asked.
        ticket: Ticket,
    },
    /// Change a part. From the workspace, which has looked at it. Answered `Done`.
    Change {
        /// What is to be another.
        change: Change,
        /// Who asked.
        ticket: Ticket,
    },
    /// Remove. From the workspace. Answered `Done`.
    Remove {
        /// Who asked.
        ticket: Ticket,
    },
    /// Intend something else. Answered `Done`.
    SetPresence {
        /// The new intent.
        presence: Presence,
        /// Who asked.
        ticket: Ticket,
    },
    /// Be told outside of what waits, or not. Answered `Done`.
    SetPush {
        /// What they want.
        push: Push,
        /// Who asked.
        ticket: Ticket,
    },
    /// A session of theirs began.
    SessionOpened,
    /// A session of theirs ended.
    SessionLost {
        /// How much longer than the grace they are waited for, because many vanish at once.
        later: Duration,
    },
    /// Hold a slot for an offer. From a group; answered `Granted` to the conversation or `ProposalRefused` to the group.
    Reserve {
        /// For this conversation.
        conversation: ConversationId,
        /// At this epoch of it.
        epoch: u32,
        /// The site that it is on.
        site: Option<SmolStr>,
        /// Why this agent.
        decision: Box<Decision>,
    },
    /// Hold a slot for what somebody asked of the conversation. Answered `Granted` to the conversation, or the ticket is refused.
    Claim {
        /// For this conversation.
        conversation: ConversationId,
        /// At this epoch of it.
        epoch: u32,
        /// The site that it is on.
        site: Option<SmolStr>,
        /// What the slot is for.
        purpose: Purpose,
    },
    /// The conversation has recorded the grant.
    Confirm {
        /// The conversation.
        conversation: ConversationId,
        /// Its epoch now.
        epoch: u32,
        /// As what.
        held: Held,
    },
    /// The conversation has no use for a grant. It names that one grant: the slot may have been granted anew meanwhile.
    Refused {
        /// The conversation.
        conversation: ConversationId,
        /// The agent's generation when it was given.
        generation: u32,
        /// The grant's number.
        grant: u32,
    },
    /// The conversation no longer needs the slot that it confirmed.
    Release {
        /// The conversation.
        conversation: ConversationId,
        /// The epoch of the confirmation.
        epoch: u32,
        /// How it ended for the agent.
        end: End,
    },
    /// The conversation's answer to `Ask`: what it needs of this agent.
    Holds {
        /// The conversation.
        conversation: ConversationId,
        /// Its epoch.
        epoch: u32,
        /// `None`: nothing, the slot is free.
        held: Option<Held>,
        /// The grant that was asked about.
        grant: u32,
    },
    /// Whether the owner is still there to keep a conversation whose handover failed; answered `OwnerAbsent` if not.
    StillThere {
        /// The conversation.
        conversation: ConversationId,
        /// Its epoch.
        epoch: u32,
    },
    /// Whether they can be invited; answered `Invitable` to the conversation, or the ticket is refused.
    Invite {
        /// To this conversation.
        conversation: ConversationId,
        /// The site that it is on.
        site: Option<SmolStr>,
        /// Who asked.
        ticket: Ticket,
    },
    /// Describe yourself to a group that was rebuilt.
    Describe {
        /// The group.
        group: GroupId,
    },
    /// The operator's rules have changed.
    PolicyChanged,
    /// Remember that a command failed: here or with the workspace. Answered `Failed`.
    Failed {
        /// Who asked.
        ticket: Ticket,
    },
    /// Take part again. Carried out by whoever runs the machine, which stands still as long as they are set aside. Answered `Done`.
    Reinstate {
        /// Who asked.
        ticket: Ticket,
    },
    /// A deadline has passed.
    Tick,
}

/// As what a conversation holds a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Held {
    /// An offer or a handover is pending.
    Reserved,
    /// The agent owns it.
    Owned,
    /// The agent helps in it, and the workspace counts that.
    Helping,
}

/// How a conversation ended for an agent that held a slot for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// They let the offer time out.
    Missed,
    /// Nothing to hold against them: declined, rescinded, moved, a grant that came too late.
    Freed,
    /// Closed: the slot rests for the wrap-up, which began then, however late the agent hears of it.
    Closed {
        /// When it is free again; at once, if that has passed.
        until: Timestamp,
    },
}
