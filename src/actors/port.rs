//! What the actors say to connections, in routing's words. The transport implements [`Port`] and puts them on the wire.

use std::sync::Arc;

use smol_str::SmolStr;

use super::{
    aside::Subject,
    lists::{ListKey, Tallies},
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, Channel, ClientId, ConversationId, GroupId, VisitorId},
    journal::Position,
    routing::{
        FallbackReason, GroupPolicy, OfferOutcome, Origin, Picker, Policy, Presence, Refusal, Reply, Ticket,
        Variable, WhyNot,
        agent::{Activity, Held, Profile},
        conversation::{Conversation, Facts, Party, PendingOffer, Phase, Record, StayFacts},
        lobby::{Targeted, Visit},
        notice::Parties,
        pseudonym::pseudonym,
        queue::Place,
        scope::Scope,
        workspace::{Counts, Token},
    },
};

/// One connection's ear. Cheap to share; may be called from any arbiter.
pub trait Port: Send + Sync {
    /// The answer to one of its requests. Each request is answered once.
    fn answer(&self, request: u32, answer: Answer);
    /// Something it did not ask for.
    fn notify(&self, notice: &Notice);
    /// Its token is no longer good: it is told so and closed.
    fn revoke(&self);
    /// So many rows of lists will be told to it once what they come from is durable: until then they count as waiting to be sent.
    fn promise(&self, rows: usize);
    /// Whether so many rows of lists more would not be too much for it: if they would, they can be told later.
    fn has_room(&self, rows: usize) -> bool;
}

/// The answer to a request.
#[derive(Debug)]
pub enum Answer {
    /// A command was carried out.
    Done(Reply),
    /// A command or query was refused.
    Refused(Refusal),
    /// What a query found.
    Found(Box<View>),
}

/// What a query found.
#[derive(Debug)]
pub enum View {
    /// A page of a conversation's records, oldest first.
    History {
        /// The conversation.
        conversation: ConversationId,
        /// The records, each with the numbers before its first event.
        records: Vec<Numbered>,
        /// What a visitor sees of staff; `None`: the asker is staff.
        faces: Option<Faces>,
        /// Events with numbers above this, of the asking audience, are asked for.
        after: u64,
        /// At most so many.
        limit: usize,
        /// The newest number of the asking audience: a page that ends before it has another behind it.
        newest: u64,
    },
    /// One conversation.
    Conversation(Box<ConversationView>),
    /// A page of conversations; whether more follow.
    Conversations(Vec<ConversationRow>, bool),
    /// One group.
    Group(GroupRow),
    /// A page of groups; whether more follow.
    Groups(Vec<GroupRow>, bool),
    /// One agent.
    Agent(Box<AgentView>),
    /// A page of agents; whether more follow.
    Agents(Vec<AgentRow>, bool),
    /// Why a conversation was routed as it was.
    Explanation {
        /// The conversation.
        conversation: ConversationId,
        /// Its newest records in which something was decided, oldest first.
        records: Vec<Record>,
        /// The operator's rules, for how its groups choose.
        policy: Arc<Policy>,
        /// Why it waits, if it does.
        waits_because: Option<String>,
        /// Why the asked agent is not offered it now; `Some(None)`: they are eligible.
        agent: Option<Option<WhyNot>>,
    },
    /// Where a conversation stands in its queue.
    Position {
        /// How many are ahead; `None`: it does not wait.
        ahead: Option<usize>,
        /// Since when it waits.
        since: Option<Timestamp>,
    },
    /// What of the workspace's counts is in use.
    Workspace {
        /// In use.
        counts: Counts,
        /// The operator's rules, for what there is.
        policy: Arc<Policy>,
    },
    /// A page of what visitors may choose from.
    Choices(Choices),
    /// A page of visitors on the sites.
    Visitors {
        /// With what is known of each.
        rows: Vec<(VisitorId, Visit)>,
        /// Whether more follow.
        more: bool,
        /// The list's version.
        version: u64,
    },
    /// A conversation is opened, and its visitor is to choose a group.
    Choosing {
        /// Which.
        conversation: ConversationId,
        /// Whether it was open before.
        existing: bool,
        /// The newest number that the visitor sees.
        visitor_seq: u64,
        /// What they choose from.
        picker: Choices,
    },
    /// A token was made: its text, shown once.
    Minted {
        /// The text.
        text: String,
        /// Its public part.
        id: SmolStr,
        /// When it ends.
        expires: Option<Timestamp>,
    },
    /// A page of tokens, each with how many connections use it; whether more follow.
    Tokens(Vec<(Token, u32)>, bool),
    /// A page of who stands aside; whether there are more.
    Aside(Vec<AsideRow>, bool),
    /// What an erasure comes to; `confirm`: the word that has to be given to do it, or it is done.
    Erasure {
        /// How many conversations.
        conversations: usize,
        /// The word.
        confirm: Option<String>,
    },
    /// A subscription began at this version.
    Subscribed {
        /// The newest number or version.
        version: u64,
        /// The number of the first notice, if those before it are to be read page by page.
        next: Option<u64>,
    },
}

/// What visitors may choose from.
#[derive(Debug)]
pub struct Choices {
    /// The groups by their labels, by names that say nothing of their own.
    pub groups: Vec<(GroupId, SmolStr)>,
    /// Whether more follow.
    pub more: bool,
    /// How visitors who name no group are asked; `None`: they are not.
    pub picker: Option<Arc<Picker>>,
}

/// A record with the numbers that its first event follows.
#[derive(Debug, Clone)]
pub struct Numbered {
    /// The record.
    pub record: Arc<Record>,
    /// The number before its first event.
    pub seq: u64,
    /// The visitor's number before its first event.
    pub visitor_seq: u64,
}

/// One line in a list of conversations.
#[derive(Debug, Clone)]
pub struct ConversationRow {
    /// The conversation.
    pub conversation: ConversationId,
    /// Whose.
    pub visitor: VisitorId,
    /// The program that opened it.
    pub via: ClientId,
    /// Where.
    pub channel: Channel,
    /// Where it stands.
    pub phase: Phase,
    /// Its group.
    pub group: Option<GroupId>,
    /// Its owner.
    pub owner: Option<AgentId>,
    /// How people see its owner; filled in when it is shown.
    pub owner_face: Option<Arc<Face>>,
    /// Its class.
    pub priority: u8,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Since when it waits.
    pub waiting_since: Option<Timestamp>,
    /// The newest event's number.
    pub seq: u64,
    /// Who opened it.
    pub origin: Origin,
    /// The bot that it began with; boxed, as most have none.
    pub bot: Option<Box<SmolStr>>,
    /// What staff see its visitor as; `None`: an anonymous label.
    pub pseudonym: Option<Box<str>>,
    /// The site that it is on.
    pub site: Option<SmolStr>,
    /// Who owned it last.
    pub last_owner: Option<AgentId>,
}

/// One line on a list that somebody keeps.
#[derive(Debug, Clone)]
pub struct ListRow {
    /// The conversation; shared by all lists that it stands on.
    pub row: Arc<ConversationRow>,
    /// Whether there is a message that the list's agent has not read.
    pub unread: bool,
    /// Whether the visitor waits for an answer.
    pub unanswered: bool,
    /// Whether the visitor is there.
    pub connected: bool,
}

impl ConversationRow {
    /// The line of a conversation; `None` before it was opened, and when it ended with no group chosen.
    #[must_use]
    pub fn of(machine: &Conversation, policy: &Policy) -> Option<Self> {
        if machine.is_unsent() && !machine.is_choosing() {
            return None;
        }
        let (visitor, channel, via) = machine.whose()?;
        Some(Self {
            conversation: machine.id(),
            visitor,
            via,
            channel: channel.clone(),
            phase: machine.phase()?,
            group: machine.group().cloned(),
            owner: machine.owner().map(|owner| owner.agent),
            owner_face: None,
            priority: machine.priority().get(),
            opened_at: machine.opened_at()?,
            waiting_since: machine.waiting_since().map(|(_, since)| since),
            seq: machine.numbers().0,
            origin: machine.origin()?,
            bot: machine.bot().cloned().map(Box::new),
            pseudonym: pseudonym_of(machine.facts(), policy),
            site: machine.site().cloned(),
            last_owner: machine.last_owner(),
        })
    }

    /// Whether it lies in an agent's scope.
    #[must_use]
    pub fn lies_in(&self, scope: &Scope) -> bool {
        let covered = match self.phase {
            Phase::Bot => scope.sees_bot,
            _ => self.group.as_ref().is_some_and(|group| scope.has(group)),
        };
        covered && scope.sites.cover(self.site.as_ref())
    }

    /// Whether it lies in the scope of the asking agent.
    #[must_use]
    pub fn is_in_scope(&self, ticket: &Ticket) -> bool {
        ticket.scope.as_ref().is_some_and(|scope| self.lies_in(scope))
    }

    /// Whether it is, or was, agents among themselves.
    #[must_use]
    pub fn is_team(&self) -> bool {
        *self.visitor.bytes() == [0; 16]
    }

    /// Where the page after one that ends with this row begins.
    #[must_use]
    pub fn cursor(&self) -> String {
        format!("{}:{}", self.phase as u8, self.conversation)
    }
}

/// What staff see a conversation's visitor as, by the workspace's template; `None`: an anonymous label.
#[must_use]
pub fn pseudonym_of(facts: Option<&Facts>, policy: &Policy) -> Option<Box<str>> {
    let (template, facts) = policy.pseudonym.as_ref().filter(|_| policy.features.names).zip(facts)?;
    pseudonym(template, |name| facts.get(name))
}

/// Reads what [`ConversationRow::cursor`] wrote.
#[must_use]
pub fn parse_cursor(cursor: &str) -> Option<(Phase, ConversationId)> {
    let (phase, id) = cursor.split_once(':')?;
    let all = [
        Phase::Bot,
        Phase::Waiting,
        Phase::Offered,
        Phase::Active,
        Phase::Missed,
        Phase::Closed,
        Phase::Choosing,
        Phase::Team,
    ];
    let phase = all.into_iter().find(|known| (*known as u8).to_string() == phase)?;
    Some((phase, id.parse().ok()?))
}

/// One of those who stand aside.
#[derive(Debug, Clone)]
pub struct AsideRow {
    /// Who.
    pub subject: Subject,
    /// Since when.
    pub since: Timestamp,
}

/// One conversation, looked at closely.
#[derive(Debug)]
pub struct ConversationView {
    /// Its line.
    pub row: ConversationRow,
    /// Who takes part without owning it.
    pub participants: Vec<Party>,
    /// What is known of the visitor.
    pub variables: Arc<[Variable]>,
    /// Its tags.
    pub tags: Vec<SmolStr>,
    /// Whether a human agent has written to the visitor.
    pub answered_by_human: bool,
    /// Whether the visitor may return to the bot.
    pub may_return_to_bot: bool,
    /// How the visitor rated it.
    pub rating: Option<u8>,
    /// Who has something pending.
    pub pending: Vec<(AgentId, PendingOffer)>,
    /// Its stay, if it waits.
    pub stay: Option<StayFacts>,
    /// Whether it is put aside.
    pub quarantined: bool,
    /// Why it waits, or why it is missed.
    pub because: Option<String>,
}

/// One line in a list of groups.
#[derive(Debug, Clone)]
pub struct GroupRow {
    /// The group.
    pub group: GroupId,
    /// Its rules.
    pub rules: Arc<GroupPolicy>,
    /// Whether it is closed for routing.
    pub quarantined: bool,
    /// How many members it has.
    pub members: u32,
    /// The head of its line; empty in lists.
    pub line: Vec<Place>,
    /// How many wait without an offer.
    pub waiting: u32,
    /// How many are with an agent who has not answered.
    pub offered: u32,
    /// How many are being served.
    pub active: u32,
    /// How many were missed.
    pub missed: u32,
    /// Since when the longest waiting one waits.
    pub oldest: Option<Timestamp>,
    /// Members who are online and here, or expected back.
    pub present: u32,
    /// Their free slots.
    pub free: u32,
    /// Grows with each change.
    pub version: u64,
}

/// One line in a list of agents.
#[derive(Debug, Clone)]
pub struct AgentRow {
    /// The agent.
    pub agent: AgentId,
    /// What is known of them.
    pub profile: Profile,
    /// What they intend.
    pub presence: Presence,
    /// Whether they have a session.
    pub live: bool,
    /// The first reason why they are offered nothing; `None`: eligible.
    pub why_not: Option<WhyNot>,
    /// Slots in all.
    pub cap: u16,
    /// Slots in use.
    pub taken: u16,
    /// Of these, with pending offers.
    pub reserved: u16,
    /// Offers missed in a row.
    pub missed: u32,
    /// When they were last assigned something.
    pub last_assigned: Timestamp,
    /// What they did, ever.
    pub activity: Activity,
    /// Whether they said that they want to be told outside; `None`: they have not said.
    pub push: Option<bool>,
    /// How many sessions they have.
    pub sessions: u32,
    /// Whether they are put aside.
    pub quarantined: bool,
    /// Grows with each change.
    pub version: u64,
}

/// One agent, looked at closely.
#[derive(Debug)]
pub struct AgentView {
    /// Their line.
    pub row: AgentRow,
    /// What holds their slots, as what and since when.
    pub holds: Vec<(ConversationId, Held, Timestamp)>,
}

/// What agents and visitors are told unasked. Each waits until its cause is durable and is moved a few times on its way: what is rare and
/// large is boxed, so that it does not make the others large.
#[derive(Debug, Clone)]
pub enum Notice {
    /// Something waits for an agent's answer.
    OfferMade(Arc<OfferMade>),
    /// Something does no longer.
    OfferEnded {
        /// Whom it concerns.
        agent: AgentId,
        /// The conversation.
        conversation: ConversationId,
        /// The offer's number.
        offer: u32,
        /// How it ended for them.
        outcome: OfferOutcome,
    },
    /// What was recorded of a conversation, for staff.
    StaffEvents {
        /// The conversation.
        conversation: ConversationId,
        /// The attached agent it is for; `None`: for a watcher.
        agent: Option<AgentId>,
        /// The record.
        record: Numbered,
        /// Only its events with numbers above this.
        after: u64,
    },
    /// What was recorded of a conversation, as far as its visitor may see it.
    VisitorEvents {
        /// The conversation.
        conversation: ConversationId,
        /// Whose it is.
        visitor: VisitorId,
        /// The record.
        record: Numbered,
        /// Only its events with numbers of the visitor's above this.
        after: u64,
        /// Names and labels that visitors read.
        faces: Faces,
    },
    /// Somebody is typing, or no longer.
    Typing {
        /// The conversation.
        conversation: ConversationId,
        /// Whom it is told.
        to: Audience,
        /// Who types: an agent's name, or the visitor.
        by: Option<SmolStr>,
        /// Whether they do.
        typing: bool,
    },
    /// A conversation's place in its line has changed.
    Placed {
        /// The conversation.
        conversation: ConversationId,
        /// Whose it is.
        visitor: VisitorId,
        /// From 1.
        position: u32,
        /// How many wait in all.
        waiting: u32,
    },
    /// What an agent has at a version: pending offers and own conversations. The transport makes pages of it.
    AgentItems {
        /// The agent.
        agent: AgentId,
        /// The version.
        version: u64,
        /// Pending offers.
        offers: Vec<Arc<OfferMade>>,
        /// Own conversations.
        conversations: Vec<ConversationRow>,
    },
    /// A list as it stands, for who keeps it. The transport makes pages of it.
    ListItems {
        /// Which.
        list: Arc<ListKey>,
        /// Its version.
        version: u64,
        /// What stands on it.
        rows: Vec<ListRow>,
        /// Whether there is more than stands on it.
        clipped: bool,
    },
    /// What changed on a list.
    ListChanged {
        /// Which.
        list: Arc<ListKey>,
        /// Its version.
        version: u64,
        /// Came, or is another.
        rows: Vec<ListRow>,
        /// Gone.
        gone: Vec<ConversationId>,
        /// Whether there is more than stands on it.
        clipped: bool,
    },
    /// What can be counted for an agent, or for a workspace.
    Counts {
        /// The agent.
        agent: Option<AgentId>,
        /// Its version.
        version: u64,
        /// The counts.
        tallies: Tallies,
    },
    /// What has changed of the visitors on the sites, for who subscribed to it.
    Visitors {
        /// The version before.
        after: u64,
        /// The version with it.
        version: u64,
        /// As they are now.
        rows: Arc<[(VisitorId, Visit)]>,
        /// No longer there.
        gone: Arc<[VisitorId]>,
    },
    /// A targeted chat for a visitor.
    Targeted {
        /// Who.
        visitor: VisitorId,
        /// What.
        targeted: Targeted,
    },
    /// A group changed, for who subscribed to it.
    GroupChanged(Box<GroupRow>),
    /// An agent changed, for who subscribed to it.
    AgentChanged(Box<AgentRow>),
}

/// Whom a volatile notice is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// An agent.
    Agent(AgentId),
    /// The visitor.
    Visitor(VisitorId),
}

/// How people see an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Face {
    /// Their name.
    pub name: SmolStr,
    /// What their picture is known by, outside.
    pub avatar: Option<SmolStr>,
}

/// What a visitor sees of staff: names and pictures of agents who take part, labels of groups.
#[derive(Debug, Clone)]
pub struct Faces {
    /// Those who take part, or did before the event.
    pub parties: Parties,
    /// Their pictures as they are now, of those who have one.
    pub avatars: Vec<(AgentId, SmolStr)>,
    /// The operator's rules, for labels.
    pub policy: Arc<Policy>,
}

/// Something that waits for an agent's answer.
#[derive(Debug, Clone)]
pub struct OfferMade {
    /// Whose answer.
    pub agent: AgentId,
    /// The conversation.
    pub conversation: ConversationId,
    /// What it is.
    pub pending: PendingOffer,
    /// The group it waits in or is served for.
    pub group: Option<GroupId>,
    /// Whose conversation it is.
    pub visitor: VisitorId,
    /// Since when the visitor waits.
    pub waiting_since: Timestamp,
    /// What the frontend knew.
    pub variables: Arc<[Variable]>,
    /// How people see the agent.
    pub face: Option<Arc<Face>>,
    /// How people see the present owner, if it has one.
    pub owner_face: Option<Arc<Face>>,
}

/// What was recorded, for whoever watches decisions as they are made (`maitred dev`).
#[derive(Debug, Clone)]
pub struct Observation {
    /// Where in the log.
    pub position: Position,
    /// What.
    pub entry: Arc<crate::routing::recovery::Entry>,
}

/// The words in which a reason is shown.
#[must_use]
pub fn words(reason: WhyNot) -> &'static str {
    match reason {
        WhyNot::NotMember => "not_member",
        WhyNot::NoPermission => "no_permission",
        WhyNot::Removed => "removed",
        WhyNot::Quarantined => "quarantined",
        WhyNot::Offline => "offline",
        WhyNot::Away => "away",
        WhyNot::NotLive => "not_live",
        WhyNot::Reconnecting => "reconnecting",
        WhyNot::AtCap => "at_cap",
        WhyNot::WrapUp => "wrapup",
        WhyNot::TransferredIt => "transferred_it",
        WhyNot::TriedIt => "tried_it",
        WhyNot::NotTheDirectOne => "not_the_direct_one",
        WhyNot::HoldsIt => "holds_it",
        WhyNot::OutOfScope => "out_of_scope(site)",
        WhyNot::WasSilent => "was_silent",
    }
}

/// The words in which a fallback's reason is shown.
#[must_use]
pub fn fallback_words(reason: FallbackReason) -> &'static str {
    match reason {
        FallbackReason::NoRule => "no_rule",
        FallbackReason::NobodyOnline => "nobody_online",
        FallbackReason::AllAtCapacity => "all_at_capacity",
        FallbackReason::OffersExhausted => "offers_exhausted",
        FallbackReason::WaitedTooLong => "waited_too_long",
        FallbackReason::ClosedHours => "closed_hours",
        FallbackReason::QueueFull => "queue_full",
        FallbackReason::QuotaExhausted => "quota_exhausted",
        FallbackReason::GroupUnavailable => "group_unavailable",
        FallbackReason::GroupRemoved => "group_removed",
        FallbackReason::Quarantined => "quarantined",
    }
}
