//! What a conversation may be asked and what it records.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    Party,
    bot::HandOver,
    facts::{Changed, VARIABLES_BYTES, VARIABLES_MAX},
    parts::{Message, Part},
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, Channel, ClientId, ConversationId, GroupId, VisitorId},
    routing::{
        Decision, WhyNot,
        rules::Verdicts,
        words::{
            AssignCause, Body, By, CloseReason, FallbackReason, Key, OfferOutcome, Origin, Priority,
            QueueCause, RescindReason, Ticket, Variable,
        },
    },
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
