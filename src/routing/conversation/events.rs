//! What a conversation records.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{Party, facts::Changed, parts::Part};
use crate::{
    clock::Timestamp,
    ids::{AgentId, Channel, ClientId, GroupId, VisitorId},
    routing::{
        Decision,
        rules::Verdicts,
        words::{
            AssignCause, Body, By, CloseReason, FallbackReason, Key, OfferOutcome, Origin, Priority,
            QueueCause, Variable,
        },
    },
};

/// What happened in a conversation. The only record of ownership (design §3.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Opened.
    Opened {
        /// Whose it is.
        visitor: VisitorId,
        /// Where it takes place.
        channel: Channel,
        /// Its class.
        priority: Priority,
        /// The one agent it is for.
        direct: Option<AgentId>,
        /// Whom to try first.
        preferred: Option<AgentId>,
        /// What the frontend knew.
        variables: Vec<Variable>,
        /// The program that opened it.
        via: ClientId,
        /// The opening hashed.
        digest: u32,
        /// Who opened it.
        origin: Origin,
        /// The bot that it begins with.
        bot: Option<SmolStr>,
    },
    /// A stay in a group's queue began.
    Queued {
        /// The stay's number: 1, 2, 3… in this conversation.
        stay: u32,
        /// The group.
        group: GroupId,
        /// Why.
        cause: QueueCause,
        /// Its place within its class.
        since: Timestamp,
        /// When it has waited long enough; `None`: never.
        wait_until: Option<Timestamp>,
        /// Whom to try first.
        preferred: Option<AgentId>,
        /// Who began the transfer and is not offered it in this stay.
        barred: Option<AgentId>,
        /// How many groups it overflowed through before this one.
        chain: u8,
    },
    /// Offered to one agent.
    Offered {
        /// The agent.
        agent: AgentId,
        /// Their name then.
        name: SmolStr,
        /// Until when they may accept.
        deadline: Timestamp,
        /// Why they.
        decision: Box<Decision>,
    },
    /// Announced to several agents. In older logs only: [`Event::AnnouncedBy`] has the reason, too.
    Announced {
        /// The agents.
        agents: Vec<AgentId>,
        /// Until when; `None`: as long as it waits.
        deadline: Option<Timestamp>,
    },
    /// Announced to more agents.
    AnnouncedTo {
        /// The agents.
        agents: Vec<AgentId>,
    },
    /// An agent's part in an offer or announcement ended, other than by accepting.
    OfferEnded {
        /// The agent.
        agent: AgentId,
        /// How.
        outcome: OfferOutcome,
    },
    /// An announcement ended with nobody taking it.
    AnnouncementEnded {
        /// How, for those who had not answered.
        outcome: OfferOutcome,
    },
    /// An agent became the owner.
    Assigned {
        /// The agent.
        agent: AgentId,
        /// Their name then.
        name: SmolStr,
        /// How.
        cause: AssignCause,
        /// Whether the owner before stays as a participant.
        keep: bool,
        /// Why they, if a group decided it.
        decision: Option<Box<Decision>>,
    },
    /// An agent became a participant.
    Joined {
        /// The agent.
        agent: AgentId,
        /// Their name then.
        name: SmolStr,
    },
    /// A participant or the owner left.
    Left {
        /// The agent.
        agent: AgentId,
    },
    /// The owner wants to hand it to another agent, and keeps it until they accept.
    HandoverStarted {
        /// The owner.
        from: AgentId,
        /// The other agent.
        to: AgentId,
        /// Their name then.
        name: SmolStr,
        /// Until when they may accept.
        deadline: Timestamp,
        /// Whether the owner leaves when they do.
        leave: bool,
    },
    /// A handover failed.
    HandoverEnded {
        /// The other agent.
        to: AgentId,
        /// How.
        outcome: OfferOutcome,
    },
    /// An agent was asked to help.
    Invited {
        /// The agent.
        agent: AgentId,
        /// Their name then.
        name: SmolStr,
        /// Until when they may accept.
        deadline: Timestamp,
    },
    /// An invitation ended, other than by accepting.
    InvitationEnded {
        /// The agent.
        agent: AgentId,
        /// How.
        outcome: OfferOutcome,
    },
    /// Nobody could serve it.
    FellBack {
        /// Why.
        reason: FallbackReason,
        /// What the visitor is told.
        message: Option<SmolStr>,
        /// When it is closed unless somebody takes it.
        expires: Timestamp,
    },
    /// Somebody wrote.
    Said {
        /// What.
        body: Body,
    },
    /// Somebody wrote a private note: no byte of it ever reaches a visitor (S8).
    Noted {
        /// What.
        body: Body,
    },
    /// Over.
    Closed {
        /// Why.
        reason: CloseReason,
    },
    /// Open again.
    Reopened,
    /// Announced to several agents, with the reason. Whoever else it goes to follows in [`Event::AnnouncedTo`], at most
    /// 256 at a time.
    AnnouncedBy {
        /// The agents.
        agents: Vec<AgentId>,
        /// Until when; `None`: as long as it waits.
        deadline: Option<Timestamp>,
        /// Why they, and not the others.
        decision: Box<Decision>,
    },
    /// A command made maitred fail and was not carried out; its key is recorded with this. Before anything else: the opening itself.
    CommandFailed,
    /// Set aside after repeated failures: it holds no slot, waits nowhere and takes nothing more. Where nobody was talking a
    /// `FellBack` follows.
    Quarantined,
    /// A supervisor let it take part again.
    Reinstated {
        /// When it is closed unless somebody takes it, if it is missed.
        expires: Timestamp,
    },
    /// The workspace does not let it ask for an agent: it was in no queue.
    TurnedAway {
        /// Where it would have gone, and goes when it is let in.
        group: GroupId,
        /// Why.
        reason: FallbackReason,
        /// What the visitor is told.
        message: Option<SmolStr>,
        /// When it is closed unless it is let in.
        expires: Timestamp,
    },
    /// An invited agent became a participant, and uses a slot for it.
    Helps {
        /// The agent.
        agent: AgentId,
        /// Their name then.
        name: SmolStr,
    },
    /// The visitor is asked to choose a group; what they wrote is kept for that long, and nobody else knows of it.
    Held {
        /// How long.
        until: Timestamp,
    },
    /// The visitor chose a group; `everyone`: they were not sure.
    Chosen {
        /// The group.
        group: GroupId,
    },
    /// Variables were set or taken away.
    VariablesSet {
        /// Which, how, and for contact details what they were before.
        changes: Vec<Changed>,
    },
    /// Tags were set or taken away.
    TagsSet {
        /// Those that it has now.
        tags: Vec<SmolStr>,
    },
    /// The bot handed it over: a stay or a fallback follows.
    HandedOver {
        /// The one agent it is for.
        direct: Option<AgentId>,
        /// Whom to try first.
        preferred: Option<AgentId>,
        /// Whether the visitor may return to the bot.
        may_return: bool,
    },
    /// The visitor went back to the bot: a stay that was under way ended with that, and nobody owns it.
    ReturnedToBot,
    /// Somebody wrote, with images or files.
    Posted {
        /// What, in words.
        body: Body,
        /// What is beside them.
        parts: Vec<Part>,
    },
    /// The visitor is asked to rate it.
    RatingRequested,
    /// The visitor rated it.
    Rated {
        /// 1 to 5.
        score: u8,
        /// In words.
        comment: Option<Body>,
    },
    /// The agent who did this has read it.
    Read {
        /// Up to this number.
        upto: u64,
    },
    /// The workspace's rules were asked where it goes. What they led to is recorded with it.
    Ruled {
        /// Which rules these were.
        rules: u64,
        /// What each said, in their order.
        verdicts: Verdicts,
        /// The names of those that matched, at most 16.
        matched: Vec<SmolStr>,
    },
    /// A rule sends it to the queue that it enters next.
    Directed {
        /// The rule's name.
        rule: SmolStr,
        /// The one agent that the rule names.
        direct: Option<AgentId>,
    },
    /// A trigger has decided where it goes.
    Led {
        /// The trigger.
        trigger: SmolStr,
        /// What the visitor had read in an agent's name, and answers.
        text: Option<Body>,
        /// Where it goes if that agent can't take it.
        then: Option<GroupId>,
    },
    /// An agent began it, with a visitor who had asked for nobody.
    Started {
        /// The group that it counts for.
        group: GroupId,
    },
    /// A workflow began.
    FlowStarted {
        /// Its name.
        workflow: SmolStr,
        /// Its steps hashed.
        digest: u32,
    },
    /// A workflow waits behind a step.
    FlowWaits {
        /// The step's number.
        at: u16,
        /// Until when; `None`: until an agent has the conversation.
        until: Option<Timestamp>,
    },
    /// A workflow takes the conversation from who has it.
    FlowFired {
        /// Its name.
        workflow: SmolStr,
        /// The step's number.
        at: u16,
    },
    /// A workflow is over.
    FlowEnded {
        /// Its name.
        workflow: SmolStr,
        /// How.
        outcome: FlowOutcome,
    },
    /// The class was changed.
    Reprioritised {
        /// The new one.
        priority: Priority,
    },
    /// Agents began to talk among themselves.
    TeamOpened {
        /// Who.
        agents: Vec<Party>,
        /// What stands where a visitor's channel would.
        channel: Channel,
        /// The program that opened it.
        via: ClientId,
        /// The opening hashed.
        digest: u32,
    },
    /// As [`Event::Started`], but a supervisor began it, for the agent who owns it and in whose name it is written.
    StartedFor {
        /// The group that it counts for.
        group: GroupId,
    },
}

/// How a workflow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FlowOutcome {
    /// All its steps are taken.
    Done,
    /// It did not reassign.
    Skipped(Skip),
}

/// Why a workflow did not reassign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Skip {
    /// A human agent has answered.
    Answered,
    /// Another condition did not hold.
    Condition,
    /// Somebody else moved the conversation before (RE-15).
    Moved,
    /// It was about to be handed over.
    HandedOver,
    /// The operator changed the workflow meanwhile.
    Changed,
    /// The group that it names takes nothing.
    Unavailable,
    /// The conversation was closed.
    Closed,
}

impl Event {
    /// What somebody wrote to the other side, with or without images.
    #[must_use]
    pub fn message(&self) -> Option<&Body> {
        match self {
            Self::Said { body } | Self::Posted { body, .. } => Some(body),
            _ => None,
        }
    }

    /// Whether it is only written or read: where the conversation stands, and with whom, is as before.
    #[must_use]
    pub fn leaves_it_in_place(&self) -> bool {
        matches!(self, Self::Said { .. } | Self::Posted { .. } | Self::Noted { .. } | Self::Read { .. })
    }

    /// Whether the visitor may know of it: their numbering counts these only (S7).
    #[must_use]
    pub fn visitor_sees(&self) -> bool {
        match self {
            Self::Opened { .. }
            | Self::Queued { .. }
            | Self::Assigned { .. }
            | Self::Joined { .. }
            | Self::Helps { .. }
            | Self::Left { .. }
            | Self::Said { .. }
            | Self::Closed { .. }
            | Self::Held { .. }
            | Self::Reopened
            | Self::HandedOver { .. }
            | Self::ReturnedToBot
            | Self::Posted { .. }
            | Self::RatingRequested
            | Self::Rated { .. } => true,
            Self::FellBack { message, .. } | Self::TurnedAway { message, .. } => message.is_some(),
            Self::Offered { .. }
            | Self::Announced { .. }
            | Self::AnnouncedTo { .. }
            | Self::AnnouncedBy { .. }
            | Self::OfferEnded { .. }
            | Self::AnnouncementEnded { .. }
            | Self::HandoverStarted { .. }
            | Self::HandoverEnded { .. }
            | Self::Invited { .. }
            | Self::InvitationEnded { .. }
            | Self::Noted { .. }
            | Self::Chosen { .. }
            | Self::Led { .. }
            | Self::Started { .. }
            | Self::CommandFailed
            | Self::Quarantined
            | Self::Reinstated { .. }
            | Self::VariablesSet { .. }
            | Self::TagsSet { .. }
            | Self::Read { .. }
            | Self::Ruled { .. }
            | Self::Directed { .. }
            | Self::FlowStarted { .. }
            | Self::FlowWaits { .. }
            | Self::FlowFired { .. }
            | Self::FlowEnded { .. }
            | Self::Reprioritised { .. }
            | Self::TeamOpened { .. }
            | Self::StartedFor { .. } => false,
        }
    }
}

/// One record of a conversation in the log: what one command led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When, in daemon time.
    pub at: Timestamp,
    /// Who asked for it.
    pub by: By,
    /// Under which key.
    pub key: Option<Key>,
    /// What happened.
    pub events: Vec<Event>,
}

impl Record {
    /// Messages that both sides see.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.events.iter().filter(|event| matches!(event, Event::Said { .. } | Event::Posted { .. })).count()
            as u64
    }
}
