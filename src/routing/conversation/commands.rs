//! What a conversation may be asked, and by whom.

use smol_str::SmolStr;

use super::{
    Party,
    bot::HandOver,
    parts::Message,
    words::{Choice, Opening, TeamOpening, Way},
};
use crate::{
    ids::{AgentId, GroupId},
    routing::{
        Decision, WhyNot,
        words::{Body, FallbackReason, Priority, QueueCause, RescindReason, Ticket, Variable},
    },
};

/// Why a group could not serve a stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unserved {
    /// No member was online when it came in.
    Empty,
    /// Nobody is left untried.
    Exhausted,
    /// A reload removed the group.
    Removed {
        /// Where it overflowed to.
        overflow: Option<GroupId>,
    },
    /// For this reason.
    Because(FallbackReason),
    /// Nobody can take it now, and it was only asked whether somebody can.
    NotNow,
}

/// What a group says to a workflow that wants it to take a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Summons {
    /// Somebody who may have it is online.
    SomebodyOnline,
    /// Nobody who may have it is.
    NobodyOnline,
    /// It is not there, or takes nothing.
    Closed,
}

/// A slot that an agent holds for the conversation, until it is confirmed or released.
#[derive(Debug)]
pub struct Granted {
    /// The agent.
    pub agent: AgentId,
    /// Their name.
    pub name: SmolStr,
    /// The agent's generation: an older one's grant is void.
    pub generation: u32,
    /// The grant's number in that generation: a refusal names it.
    pub grant: u32,
    /// The conversation's epoch when the slot was asked for: a later one's grant is void.
    pub epoch: u32,
    /// What it is for.
    pub purpose: Purpose,
}

/// What a slot is asked for.
#[derive(Debug)]
pub enum Purpose {
    /// A group proposes it.
    Offer(Box<Decision>),
    /// They accept an announcement.
    Accept {
        /// Who asked.
        ticket: Ticket,
        /// The announcement.
        offer: u32,
    },
    /// They take it from the queue, perhaps by answering.
    Take {
        /// Who asked.
        ticket: Ticket,
        /// The answer.
        say: Option<Message>,
    },
    /// Somebody assigns it to them.
    Assign {
        /// Who asked.
        ticket: Ticket,
        /// Whether past their cap.
        force: bool,
    },
    /// They accept an invitation, which uses a slot here.
    Help {
        /// Who asked.
        ticket: Ticket,
        /// The invitation.
        offer: u32,
    },
    /// They begin it.
    Start {
        /// Who asked.
        ticket: Ticket,
        /// What it takes, with the message.
        opening: Box<Opening>,
    },
    /// A participant hands it to them.
    Handover {
        /// Who asked.
        ticket: Ticket,
        /// Whether the owner leaves when they accept.
        leave: bool,
    },
    /// A workflow gives it to them.
    Flow {
        /// Whether only if they are online.
        only_online: bool,
    },
}

impl Purpose {
    /// Who asked, when it was not a group.
    #[must_use]
    pub fn ticket(&self) -> Option<&Ticket> {
        match self {
            Self::Offer(_) | Self::Flow { .. } => None,
            Self::Accept { ticket, .. }
            | Self::Take { ticket, .. }
            | Self::Assign { ticket, .. }
            | Self::Help { ticket, .. }
            | Self::Start { ticket, .. }
            | Self::Handover { ticket, .. } => Some(ticket),
        }
    }
}

/// Where a conversation is moved by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// To an agent.
    Agent(AgentId),
    /// To a group.
    Group(GroupId),
}

/// What somebody asks of a conversation; each is answered `Recorded` unless it says otherwise.
#[derive(Debug)]
pub enum Ask {
    /// Write. By an agent to an unassigned conversation: a take (BO-31).
    Say(Body),
    /// Write a private note.
    Note(Body),
    /// Accept an offer, announcement, handover or invitation.
    Accept {
        /// Which.
        offer: u32,
    },
    /// Decline one.
    Decline {
        /// Which.
        offer: u32,
    },
    /// Take it from the queue, or out of `missed`.
    Take,
    /// Give it to an agent or group; the assigner need not join (BR-2).
    Assign {
        /// To whom.
        to: Destination,
        /// Past a cap; a supervisor's right only.
        force: bool,
    },
    /// Hand it to an agent, who must accept, or move it to a group's queue.
    Transfer {
        /// To whom.
        to: Destination,
        /// Whether the one who transfers leaves.
        leave: bool,
    },
    /// Ask an agent to help; ownership stays.
    Invite {
        /// Whom.
        agent: AgentId,
    },
    /// A supervisor takes part from now on, and may write.
    Join {
        /// The name that visitors see.
        name: SmolStr,
    },
    /// Serve it in another class; a supervisor's right only.
    SetPriority(Priority),
    /// Something about an agent whom nobody knows; refused, as unknown only to who may know of the conversation.
    OfNobody,
    /// Stop taking part.
    Leave,
    /// End it.
    Close,
    /// Make it active again.
    Reopen,
    /// Choose a group, having been asked to.
    Choose {
        /// Which.
        choice: Choice,
        /// Whether the workspace was asked meanwhile, and does not let it ask for an agent.
        turned_away: bool,
    },
    /// Set variables and take others away.
    SetVariables {
        /// To be set, the last of a name counts.
        set: Vec<Variable>,
        /// To be taken away before that.
        unset: Vec<SmolStr>,
    },
    /// Set tags and take others away.
    SetTags {
        /// To be set.
        add: Vec<SmolStr>,
        /// To be taken away before that.
        remove: Vec<SmolStr>,
    },
    /// Hand it over from the bot to people.
    HandOver(Box<HandOver>),
    /// Give it back to the bot.
    ReturnToBot,
    /// Write, with images or files.
    Post(Box<Message>),
    /// Ask the visitor to rate it.
    RequestRating,
    /// Rate it.
    Rate {
        /// 1 to 5.
        score: u8,
        /// In words.
        comment: Option<Body>,
    },
    /// Remember that the asking agent has read it.
    MarkRead {
        /// Up to this number.
        seq: u64,
    },
}

/// What a conversation may be told.
#[derive(Debug)]
pub enum Command {
    /// Open, from the workspace; also a repeated or second opening of the same visitor. Answered `Opened`.
    Open {
        /// What it takes.
        opening: Box<Opening>,
        /// Who asked.
        ticket: Ticket,
        /// How it came here.
        way: Way,
    },
    /// Open as a chat of agents among themselves, from the workspace; without `parties` a repeated opening. Answered `Opened`.
    OpenTeam {
        /// What it takes.
        opening: Box<TeamOpening>,
        /// Who takes part, by name.
        parties: Vec<Party>,
        /// Who asked.
        ticket: Ticket,
    },
    /// The workspace grants that it asks for an agent, which it never did so far.
    Engaged {
        /// What somebody asked of it that needs this; `None`: it is routed.
        then: Option<Box<(Ask, Ticket)>>,
    },
    /// The workspace does not let it ask for an agent: a hand-over ends with the fallback.
    NotEngaged {
        /// What was asked.
        hand_over: Box<HandOver>,
        /// Who asked.
        ticket: Ticket,
    },
    /// Somebody asks something.
    Ask {
        /// What.
        ask: Ask,
        /// Who.
        ticket: Ticket,
    },
    /// An agent holds a slot for it.
    Granted(Box<Granted>),
    /// The group has agents who may take it.
    Announce {
        /// The stay it is for.
        stay: u32,
        /// The agents.
        agents: Vec<AgentId>,
        /// Why they; `None` if it is announced already and these are added.
        decision: Option<Box<Decision>>,
    },
    /// The group can't serve it.
    Unserved {
        /// The stay it is for.
        stay: u32,
        /// Why.
        why: Unserved,
    },
    /// The group takes it in by hand.
    Admitted {
        /// The group.
        group: GroupId,
        /// The conversation's epoch when it was asked.
        epoch: u32,
        /// Transfer or assignment.
        cause: QueueCause,
        /// Who asked.
        ticket: Ticket,
        /// Whether the asking participant leaves.
        leave: bool,
    },
    /// A group that a workflow names says whether it can take it.
    Summoned {
        /// The group.
        group: GroupId,
        /// The conversation's epoch when it was asked.
        epoch: u32,
        /// Whether it can.
        summons: Summons,
    },
    /// An agent can't have what a workflow gives them.
    Unavailable {
        /// The agent.
        agent: AgentId,
        /// The conversation's epoch when they were asked.
        epoch: u32,
        /// Why.
        why_not: WhyNot,
    },
    /// An agent can't have what somebody asked for on their behalf: a take or an assignment.
    NotGranted,
    /// An agent can be invited.
    Invitable {
        /// The agent.
        agent: AgentId,
        /// Their name.
        name: SmolStr,
        /// Who asked.
        ticket: Ticket,
    },
    /// The workspace allows the reopening.
    ReopenGranted {
        /// The epoch that was asked about.
        epoch: u32,
        /// Whether it may ask for an agent, which it never did so far.
        engaged: bool,
        /// Who asked.
        ticket: Ticket,
    },
    /// An agent asks what the conversation holds of it. Answered `Holds`.
    AskHeld {
        /// The agent.
        agent: AgentId,
        /// The grant it asks about; the answer repeats it.
        grant: u32,
    },
    /// A rebuilt group asks whether it waits there. Answered `Enqueue` or `Leave`.
    AskWaiting {
        /// The group.
        group: GroupId,
    },
    /// An agent's last session is gone for longer than the grace, or they were removed.
    AgentGone {
        /// The agent.
        agent: AgentId,
        /// Which of the two.
        why: RescindReason,
    },
    /// The owner is not there to keep it after a failed handover.
    OwnerAbsent {
        /// The owner.
        agent: AgentId,
        /// The epoch that was asked about.
        epoch: u32,
    },
    /// The visitor came or went.
    VisitorPresent(bool),
    /// A deadline has passed.
    Tick,
    /// Remember that a command failed, here or on its way. Makes the conversation if the command was its opening. Answered `Failed`.
    Failed {
        /// Who asked.
        ticket: Ticket,
        /// Whether it was the opening.
        opening: bool,
    },
    /// Take part again. The machine stands still as long as it is set aside; whoever runs it has rebuilt it before this. Answered
    /// `Done`.
    Reinstate {
        /// Who asked.
        ticket: Ticket,
    },
}
