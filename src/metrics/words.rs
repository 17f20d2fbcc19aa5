//! The closed sets of words that series are labelled with: an enum each, so that a word can't be misspelt or unbounded.

use std::fmt;

/// A closed set of label values.
pub trait Word: Copy + fmt::Debug + 'static {
    /// All of them, in the order of their declaration.
    const ALL: &'static [Self];

    /// The label's value.
    fn as_str(self) -> &'static str;

    /// The place in [`Word::ALL`].
    fn index(self) -> usize;
}

macro_rules! words {
    ($($(#[$doc:meta])* pub enum $set:ident { $($(#[$meaning:meta])* $variant:ident = $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $set { $($(#[$meaning])* $variant,)* }

        impl $set {
            /// The one with this stable name, as other rooms spell it; `None` if there is none.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }

        impl Word for $set {
            const ALL: &'static [Self] = &[$(Self::$variant),*];

            fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    )*};
}

words! {
    /// How an offer to one agent ended.
    pub enum OfferOutcome {
        /// Taken.
        Accepted = "accepted",
        /// Refused by the agent.
        Declined = "declined",
        /// Not answered before its deadline.
        TimedOut = "timed_out",
        /// Withdrawn: somebody else was first, the visitor left, the agent's sessions ended.
        Rescinded = "rescinded",
    }

    /// How a wait in a group's line ended; waits that went on in another group are not among them.
    pub enum WaitOutcome {
        /// An agent took it.
        Answered = "answered",
        /// The visitor left.
        Abandoned = "abandoned",
        /// The fallback message went out.
        Fallback = "fallback",
    }

    /// Why nobody could; the words of the design.
    pub enum FallbackReason {
        /// No rule of the workspace fits.
        NoRule = "no_rule",
        /// No member of the group is online.
        NobodyOnline = "nobody_online",
        /// All are at their cap.
        AllAtCapacity = "all_at_capacity",
        /// As many offers as allowed were made, or nobody is left untried.
        OffersExhausted = "offers_exhausted",
        /// `max_wait` is over.
        WaitedTooLong = "waited_too_long",
        /// Outside the group's hours.
        ClosedHours = "closed_hours",
        /// The line is as long as it may be.
        QueueFull = "queue_full",
        /// The workspace's engagements are used up.
        QuotaExhausted = "quota_exhausted",
        /// The group stands aside after repeated failures.
        GroupUnavailable = "group_unavailable",
        /// A reload removed the group.
        GroupRemoved = "group_removed",
        /// The conversation stands aside after repeated failures.
        Quarantined = "quarantined",
    }

    /// Why a conversation was closed.
    pub enum CloseReason {
        /// An agent closed it.
        ByAgent = "by_agent",
        /// The visitor closed it.
        ByVisitor = "by_visitor",
        /// A supervisor closed it.
        BySupervisor = "by_supervisor",
        /// The visitor left before anybody came.
        Abandoned = "abandoned",
        /// Nobody wrote for as long as the workspace allows.
        Idle = "idle",
        /// It was missed, and nobody took it in time.
        MissedExpired = "missed_expired",
        /// A workflow's step closed it.
        ByWorkflow = "by_workflow",
    }

    /// Why a workflow did not reassign.
    pub enum Skip {
        /// A human agent had answered.
        Answered = "answered",
        /// Another condition did not hold.
        Condition = "condition",
        /// Somebody else moved the conversation before.
        Moved = "moved",
        /// It was about to be handed over.
        HandedOver = "handed_over",
        /// The operator changed the workflow meanwhile.
        Changed = "changed",
        /// The group that it names took nothing.
        Unavailable = "unavailable",
        /// The conversation was closed before.
        Closed = "closed",
    }

    /// What an agent who is not offline is doing. The states exclude each other.
    pub enum AgentState {
        /// Online, connected, with a free slot.
        Available = "available",
        /// Online, connected, at the cap, at least one slot in a conversation or an offer.
        Busy = "busy",
        /// Away by their own word, by the daemon's after missed offers, or online without a session.
        Away = "away",
        /// Online, and every taken slot is resting after a close, none free.
        WrapUp = "wrapup",
    }

    /// Whether a slot holds something.
    pub enum SlotState {
        /// Reserved by an offer, in a conversation, or in wrap-up.
        Used = "used",
        /// Could take a conversation now.
        Free = "free",
    }

    /// Kinds of actor.
    pub enum ActorKind {
        /// One agent.
        Agent = "agent",
        /// One group.
        Group = "group",
        /// One conversation.
        Conversation = "conversation",
        /// One workspace.
        Workspace = "workspace",
    }

    /// What a connection runs over.
    pub enum Carrier {
        /// QUIC with an application protocol of its own.
        Quic = "quic",
        /// The socket in the data directory.
        Unix = "unix",
    }

    /// How messages are written on a connection.
    pub enum Encoding {
        /// `maitred/1`.
        Bincode = "bincode",
        /// `maitred-json/1`.
        Json = "json",
    }

    /// By which way something is told outside.
    pub enum DeliveryKind {
        /// An HTTP request.
        Webhook = "webhook",
        /// An e-mail.
        Mail = "mail",
    }

    /// How an attempt to tell something outside went.
    pub enum DeliveryOutcome {
        /// The other side has it.
        Delivered = "delivered",
        /// It will be tried again.
        Retried = "retried",
        /// Given up: a dead letter.
        Dead = "dead",
        /// Not queued, as its endpoint answered 410 and wants nothing any more.
        Disabled = "disabled",
        /// Taken away: by hand, by an erasure, or a dead letter for which there was no room.
        Dropped = "dropped",
    }

    /// Which way a frame goes.
    pub enum Direction {
        /// To the daemon.
        In = "in",
        /// From the daemon.
        Out = "out",
    }
}
