//! A conversation: the one record of who owns it (design §3.1). Its life: waiting → offered → active → closed, and missed.
//!
//! One file per part of that life: `open.rs`, `say.rs`, `offer.rs` (accept, decline, time out), `transfer.rs` (take, assign,
//! transfer, invite, leave), `end.rs` (fallback, close, reopen). What it may be asked and what it records is in `words.rs`.

mod crowd;
mod end;
mod engage;
mod evolve;
mod offer;
mod open;
mod quarantine;
mod say;
mod transfer;
mod words;

use std::{num::NonZeroU64, time::Duration};

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use smol_str::SmolStr;

pub(in crate::routing) use crowd::Announcement;
use crowd::Crowd;
pub use words::{
    Ask, Command, Destination, Event, Granted, Opening, Phase, Purpose, Record, Target, Unserved, Way,
};

use super::{
    Context, Keeper, Machine, Out, Refusal, Refused, Remains, Reply,
    agent::{self, Held},
    group::{self, Waiting},
    keys::Keys,
    words::{By, FallbackReason, Key, OfferOutcome, Priority, QueueCause, Ticket},
    workspace,
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, Channel, ClientId, ConversationId, GroupId, VisitorId},
};

/// How often a stay that has waited long enough asks its group for the reason, should the answer be lost.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Groups in an overflow chain, the first included (design §4).
const CHAIN_MAX: u8 = 4;

/// Ended offers that are remembered, to tell a late accept what happened.
const PAST_MAX: usize = 8;

/// A conversation's machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Conversation {
    id: ConversationId,
    /// What was said at the opening; `None` before it.
    opened: Option<Opened>,
    state: State,
    /// The number of the newest event; events are numbered 1, 2, 3… (S7).
    seq: u64,
    /// The number of the newest event that the visitor may see.
    visitor_seq: u64,
    /// Grows whenever it changes hands or place: grants and claims for an older one are void.
    epoch: u32,
    /// How many stays it had.
    stays: u32,
    /// The group it was last in without overflowing there.
    home: Option<GroupId>,
    /// The last owner, for a reopening.
    last_owner: Option<AgentId>,
    participants: SmallVec<[Party; 1]>,
    /// Participants who use a slot, with the epoch that it was confirmed with.
    helpers: SmallVec<[(AgentId, u32); 1]>,
    invitations: SmallVec<[Invitation; 1]>,
    /// Whether it ever asked for an agent: an engagement (AD-4).
    engaged: bool,
    /// Whether the workspace has granted that it may, and it has not yet. Volatile.
    #[serde(skip)]
    may_engage: bool,
    past: SmallVec<[Past; 2]>,
    /// When somebody last wrote, or it was assigned.
    active_at: Timestamp,
    /// Since when the visitor is gone. Volatile: told by the frontend.
    #[serde(skip)]
    absent_since: Option<Timestamp>,
    keys: Keys<Numbers>,
    aside: quarantine::Aside,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Opened {
    visitor: VisitorId,
    channel: Channel,
    priority: Priority,
    direct: Option<AgentId>,
    preferred: Option<AgentId>,
    via: ClientId,
    digest: u32,
    at: Timestamp,
}

/// The newest event's number after a command, and its number for the visitor if they may see it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Numbers {
    seq: u64,
    visitor_seq: Option<NonZeroU64>,
}

/// An agent and the name that visitors know them by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The agent.
    pub agent: AgentId,
    /// Their name.
    pub name: SmolStr,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Invitation {
    party: Party,
    offer: u32,
    since: Timestamp,
    deadline: Timestamp,
}

/// An offer that ended without being accepted.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Past {
    whom: Whom,
    offer: u32,
    outcome: OfferOutcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Whom {
    One(AgentId),
    /// Everybody it was announced to who had not answered, but the one who took it.
    Others {
        than: Option<AgentId>,
    },
}

/// In exactly one place (S1).
#[derive(Debug, Clone, Serialize, Deserialize)]
enum State {
    /// Not opened yet.
    New,
    Waiting(Box<Stay>),
    Active(Box<Active>),
    Missed {
        reason: FallbackReason,
        expires: Timestamp,
    },
    Closed {
        reason: super::CloseReason,
    },
}

/// One visit to a group's queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stay {
    number: u32,
    cause: QueueCause,
    group: GroupId,
    since: Timestamp,
    wait_until: Option<Timestamp>,
    preferred: Option<AgentId>,
    barred: Option<AgentId>,
    chain: u8,
    /// Offers made, rescinded ones aside.
    offers: u32,
    tried: SmallVec<[AgentId; 2]>,
    pending: Pending,
    /// When it asks its group again why it was not served. Volatile.
    #[serde(skip)]
    ask_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Pending {
    Nothing,
    /// To one agent, who holds a slot granted at `held`.
    Offer {
        agent: AgentId,
        name: SmolStr,
        offer: u32,
        since: Timestamp,
        deadline: Timestamp,
        held: u32,
    },
    /// To several, who hold none.
    Announcement {
        agents: Crowd,
        declined: Crowd,
        offer: u32,
        since: Timestamp,
        deadline: Option<Timestamp>,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Active {
    owner: Party,
    /// The epoch that the owner's slot was confirmed with.
    held: u32,
    group: GroupId,
    handover: Option<Handover>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Handover {
    to: Party,
    offer: u32,
    since: Timestamp,
    deadline: Timestamp,
    held: u32,
    leave: bool,
    /// The owner has left meanwhile; their slot is held until it is decided who goes on.
    orphaned: bool,
}

impl Conversation {
    /// A conversation of which nothing is recorded.
    #[must_use]
    pub fn new(id: ConversationId) -> Self {
        Self {
            id,
            opened: None,
            state: State::New,
            seq: 0,
            visitor_seq: 0,
            epoch: 0,
            stays: 0,
            home: None,
            last_owner: None,
            participants: SmallVec::new(),
            helpers: SmallVec::new(),
            invitations: SmallVec::new(),
            engaged: false,
            may_engage: false,
            past: SmallVec::new(),
            active_at: Timestamp::default(),
            absent_since: None,
            keys: Keys::default(),
            aside: quarantine::Aside::default(),
        }
    }

    /// Records one event: taken in at once, staged for the log.
    fn record(&mut self, cx: &Context<'_>, event: Event, out: &mut Out<Event>) {
        let by = out.by;
        self.evolve(cx.now, &by, &event);
        out.events.push(event);
    }

    /// Takes one record of the log in.
    pub fn replay(&mut self, record: &Record) {
        for event in &record.events {
            self.evolve(record.at, &record.by, event);
        }
        match &record.key {
            Some(key) if matches!(record.events.first(), Some(Event::CommandFailed)) => self.keys.fail(key),
            Some(key) => self.keys.remember(key, self.numbered(record.events.last())),
            None => {}
        }
    }

    /// The numbers of what was just recorded.
    fn numbered(&self, last: Option<&Event>) -> Numbers {
        let visible = last.is_some_and(Event::visitor_sees);
        Numbers { seq: self.seq, visitor_seq: visible.then(|| NonZeroU64::new(self.visitor_seq)).flatten() }
    }

    /// The answer to a command whose last event has these numbers.
    fn recorded(&self, Numbers { seq, visitor_seq }: Numbers) -> Reply {
        Reply::Recorded { conversation: self.id, seq, visitor_seq: visitor_seq.map(NonZeroU64::get) }
    }

    /// What a command under this key was answered before; `None` if it is new.
    fn recall(&self, key: Option<&Key>) -> Result<Option<Reply>, Refusal> {
        Ok(self.keys.recall(key)?.map(|numbers| self.recorded(numbers)))
    }

    /// Ends a recorded command: its key is remembered and whoever asked is answered.
    fn done(&mut self, ticket: &Ticket, out: &mut Out<Event>) {
        let numbers = self.numbered(out.events.last());
        if let Some(key) = &ticket.key {
            self.keys.remember(key, numbers);
        }
        out.answer(ticket, self.recorded(numbers));
    }

    /// Begins a command that will be recorded.
    fn begin(&self, ticket: &Ticket, out: &mut Out<Event>) {
        out.by = ticket.by;
        out.key = ticket.key;
    }

    // === Views ===

    /// The id.
    #[must_use]
    pub fn id(&self) -> ConversationId {
        self.id
    }

    /// Where it stands; `None` before it was opened.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        match &self.state {
            State::New => None,
            State::Waiting(stay) if matches!(stay.pending, Pending::Nothing) => Some(Phase::Waiting),
            State::Waiting(_) => Some(Phase::Offered),
            State::Active(_) => Some(Phase::Active),
            State::Missed { .. } => Some(Phase::Missed),
            State::Closed { .. } => Some(Phase::Closed),
        }
    }

    /// The visitor, the channel, and the program that opened it.
    #[must_use]
    pub fn visitor(&self) -> Option<(VisitorId, &Channel, ClientId)> {
        self.opened.as_ref().map(|opened| (opened.visitor, &opened.channel, opened.via))
    }

    /// The priority class.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.opened.as_ref().map_or(Priority::DEFAULT, |opened| opened.priority)
    }

    /// When it was opened.
    #[must_use]
    pub fn opened_at(&self) -> Option<Timestamp> {
        self.opened.as_ref().map(|opened| opened.at)
    }

    /// The newest event's number, for staff and for the visitor.
    #[must_use]
    pub fn numbers(&self) -> (u64, u64) {
        (self.seq, self.visitor_seq)
    }

    /// The owner.
    #[must_use]
    pub fn owner(&self) -> Option<&Party> {
        match &self.state {
            State::Active(active) => Some(&active.owner),
            _ => None,
        }
    }

    /// Those who take part without owning it.
    #[must_use]
    pub fn participants(&self) -> &[Party] {
        &self.participants
    }

    /// The group it waits in, is served for, or was last served for.
    #[must_use]
    pub fn group(&self) -> Option<&GroupId> {
        match &self.state {
            State::Waiting(stay) => Some(&stay.group),
            State::Active(active) => Some(&active.group),
            State::New | State::Missed { .. } | State::Closed { .. } => self.home.as_ref(),
        }
    }

    /// Its stay in a group's queue, for people.
    #[must_use]
    pub fn stay(&self) -> Option<StayFacts> {
        let State::Waiting(stay) = &self.state else { return None };
        Some(StayFacts {
            number: stay.number,
            cause: stay.cause,
            since: stay.since,
            wait_until: stay.wait_until,
            offers: stay.offers,
            tried: stay.tried.to_vec(),
        })
    }

    /// The number of its stay and since when it waits, if it does.
    #[must_use]
    pub fn waiting_since(&self) -> Option<(u32, Timestamp)> {
        match &self.state {
            State::Waiting(stay) => Some((stay.number, stay.since)),
            _ => None,
        }
    }

    /// The reason of the fallback, if it is missed.
    #[must_use]
    pub fn missed_because(&self) -> Option<FallbackReason> {
        match self.state {
            State::Missed { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// How it was closed, if it is.
    #[must_use]
    pub fn closed_because(&self) -> Option<super::CloseReason> {
        match self.state {
            State::Closed { reason } => Some(reason),
            _ => None,
        }
    }

    /// The slots it holds: agent, epoch of the confirmation, as what.
    #[must_use]
    pub fn holds(&self) -> SmallVec<[(AgentId, u32, Held); 2]> {
        let mut holds = SmallVec::new();
        match &self.state {
            State::Waiting(stay) => {
                if let Pending::Offer { agent, held, .. } = stay.pending {
                    holds.push((agent, held, Held::Reserved));
                }
            }
            State::Active(active) => {
                holds.push((active.owner.agent, active.held, Held::Owned));
                if let Some(handover) = &active.handover {
                    holds.push((handover.to.agent, handover.held, Held::Reserved));
                }
            }
            State::New | State::Missed { .. } | State::Closed { .. } => {}
        }
        // Who helps and is handed the conversation has one slot for both.
        for (agent, held) in &self.helpers {
            if holds.iter().all(|(holder, ..): &(AgentId, u32, Held)| holder != agent) {
                holds.push((*agent, *held, Held::Helping));
            }
        }
        holds
    }

    /// Whether it ever asked for an agent.
    #[must_use]
    pub fn is_engaged(&self) -> bool {
        self.engaged
    }

    /// What is pending for one agent: an offer's number, its kind and its deadline.
    #[must_use]
    pub fn pending_for(&self, agent: AgentId) -> Option<PendingOffer> {
        let (kind, offer, since, deadline) = match &self.state {
            State::Waiting(stay) => match &stay.pending {
                Pending::Offer { agent: to, offer, since, deadline, .. } if *to == agent => {
                    (OfferKind::Offer, *offer, *since, Some(*deadline))
                }
                Pending::Announcement { agents, declined, offer, since, deadline }
                    if agents.contains(agent) && !declined.contains(agent) =>
                {
                    (OfferKind::Announcement, *offer, *since, *deadline)
                }
                _ => return self.invitation_of(agent),
            },
            State::Active(active) => match &active.handover {
                Some(handover) if handover.to.agent == agent => {
                    (OfferKind::Handover, handover.offer, handover.since, Some(handover.deadline))
                }
                _ => return self.invitation_of(agent),
            },
            State::New | State::Missed { .. } | State::Closed { .. } => return None,
        };
        Some(PendingOffer { kind, offer, since, deadline })
    }

    /// How an offer to an agent ended, if it is remembered.
    pub(super) fn past_outcome(&self, agent: AgentId, offer: u32) -> Option<OfferOutcome> {
        let of_offer = || self.past.iter().rev().filter(|past| past.offer == offer);
        let own = of_offer().find(|past| past.whom == Whom::One(agent));
        let shared =
            || of_offer().find(|past| matches!(past.whom, Whom::Others { than } if than != Some(agent)));
        own.or_else(shared).map(|past| past.outcome)
    }

    /// Whether an offer that ended was made to this agent by name.
    fn was_offered(&self, agent: AgentId, offer: u32) -> bool {
        self.past.iter().any(|past| past.offer == offer && past.whom == Whom::One(agent))
    }

    fn invitation_of(&self, agent: AgentId) -> Option<PendingOffer> {
        let invitation = self.invitations.iter().find(|invitation| invitation.party.agent == agent)?;
        Some(PendingOffer {
            kind: OfferKind::Invitation,
            offer: invitation.offer,
            since: invitation.since,
            deadline: Some(invitation.deadline),
        })
    }

    /// Everybody who has something pending here.
    #[must_use]
    pub fn pending_agents(&self) -> SmallVec<[AgentId; 2]> {
        let mut agents = self.asked_by_name();
        agents.extend(self.announcement().iter().flat_map(Announcement::open));
        agents
    }

    /// What is announced, as it stands.
    pub(in crate::routing) fn announcement(&self) -> Option<Announcement> {
        let State::Waiting(stay) = &self.state else { return None };
        let Pending::Announcement { agents, declined, offer, since, deadline } = &stay.pending else {
            return None;
        };
        let (kind, offer, since, deadline) = (OfferKind::Announcement, *offer, *since, *deadline);
        Some(Announcement::new(PendingOffer { kind, offer, since, deadline }, agents, declined))
    }

    /// Everybody who has something pending here that is for them alone.
    pub(in crate::routing) fn asked_by_name(&self) -> SmallVec<[AgentId; 2]> {
        let mut agents: SmallVec<[AgentId; 2]> =
            self.invitations.iter().map(|invitation| invitation.party.agent).collect();
        match &self.state {
            State::Waiting(stay) => match &stay.pending {
                Pending::Offer { agent, .. } => agents.push(*agent),
                Pending::Announcement { .. } | Pending::Nothing => {}
            },
            State::Active(active) => agents.extend(active.handover.iter().map(|handover| handover.to.agent)),
            State::New | State::Missed { .. } | State::Closed { .. } => {}
        }
        agents
    }

    /// Whether an agent owns it or takes part.
    #[must_use]
    pub fn has_part(&self, agent: AgentId) -> bool {
        self.owner().is_some_and(|owner| owner.agent == agent) || self.is_participant(agent)
    }

    fn is_participant(&self, agent: AgentId) -> bool {
        self.participants.iter().any(|party| party.agent == agent)
    }

    /// Whether the caller may read it: staff by part or scope, visitors their own (roles table).
    #[must_use]
    pub fn may_read(&self, ticket: &Ticket) -> bool {
        match ticket.by {
            By::Visitor(visitor) => self.opened.as_ref().is_some_and(|opened| opened.visitor == visitor),
            By::Agent(agent) => {
                self.has_part(agent) || self.pending_for(agent).is_some() || self.in_scope(ticket)
            }
            By::Supervisor | By::Admin | By::System | By::Frontend | By::Bot => true,
        }
    }

    fn in_scope(&self, ticket: &Ticket) -> bool {
        self.group().is_some_and(|group| ticket.covers(group))
    }

    /// What its group needs to know to place it; `None` unless it waits in the line, announced or not.
    #[must_use]
    pub fn waiting(&self, entering: bool) -> Option<(GroupId, Waiting)> {
        let State::Waiting(stay) = &self.state else { return None };
        let announced = match stay.pending {
            Pending::Nothing => false,
            Pending::Announcement { .. } => true,
            Pending::Offer { .. } => return None,
        };
        let waiting = Waiting {
            conversation: self.id,
            epoch: self.epoch,
            stay: stay.number,
            class: self.priority(),
            since: stay.since,
            preferred: stay.preferred,
            direct: self.direct(stay),
            tried: stay.tried.to_vec(),
            barred: stay.barred,
            announced,
            entering,
        };
        Some((stay.group.clone(), waiting))
    }

    /// The one agent that a stay is for. Only for as long as the visitor's wish is all that brought it there: whoever moves it or
    /// gives it back means somebody else.
    fn direct(&self, stay: &Stay) -> Option<AgentId> {
        let wished = matches!(stay.cause, QueueCause::Opened | QueueCause::Message | QueueCause::Reopened);
        let direct = self.opened.as_ref().and_then(|opened| opened.direct);
        direct.filter(|_| wished && stay.group.is_everyone())
    }

    /// Tells its group that it waits there.
    fn line_up(&self, entering: bool, out: &mut Out<Event>) {
        if let Some((group, waiting)) = self.waiting(entering) {
            out.tell_group(&group, group::Command::Enqueue(Box::new(waiting)));
        }
    }

    // === Recovery ===

    /// After a start (design §3.7): deadlines of offers and waits become start + max(grace, what remained at the last record).
    pub fn rebase(&mut self, last: Timestamp, start: Timestamp, grace: Duration) {
        let later = |deadline: &mut Timestamp| *deadline = start + grace.max(deadline.since(last));
        match &mut self.state {
            State::Waiting(stay) => {
                stay.wait_until.iter_mut().for_each(later);
                match &mut stay.pending {
                    Pending::Offer { deadline, .. } => later(deadline),
                    Pending::Announcement { deadline, .. } => deadline.iter_mut().for_each(later),
                    Pending::Nothing => {}
                }
            }
            State::Active(active) => {
                active.handover.iter_mut().for_each(|handover| later(&mut handover.deadline));
                self.active_at = start;
            }
            State::New | State::Missed { .. } | State::Closed { .. } => {}
        }
        self.invitations.iter_mut().for_each(|invitation| later(&mut invitation.deadline));
        self.absent_since = Some(start + grace);
    }
}

/// A stay in a group's queue, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StayFacts {
    /// Its number.
    pub number: u32,
    /// Why it began.
    pub cause: QueueCause,
    /// Its place within its class.
    pub since: Timestamp,
    /// When it has waited long enough.
    pub wait_until: Option<Timestamp>,
    /// Offers made, rescinded ones aside.
    pub offers: u32,
    /// Who missed or declined it.
    pub tried: Vec<AgentId>,
}

/// Something that waits for an agent's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingOffer {
    /// What it is.
    pub kind: OfferKind,
    /// Its number: `Accept` and `Decline` name it.
    pub offer: u32,
    /// Since when it waits for the answer.
    pub since: Timestamp,
    /// Until when; `None`: as long as it waits.
    pub deadline: Option<Timestamp>,
}

/// What an agent is asked to accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OfferKind {
    /// An offer to them alone.
    Offer,
    /// An announcement to several.
    Announcement,
    /// A colleague hands it over.
    Handover,
    /// A colleague asks for help.
    Invitation,
}

impl Machine for Conversation {
    type Command = Command;
    type Event = Event;

    fn handle(&mut self, cx: &Context<'_>, command: Command, out: &mut Out<Event>) -> Result<(), Refused> {
        match command {
            Command::Open { opening, ticket, way } => self.open_granted(cx, opening, ticket, way, out)?,
            Command::Engaged { then } => self.engaged_now(cx, then, out),
            Command::Ask { ask, ticket } => self.ask(cx, ask, ticket, out)?,
            Command::Granted(granted) => self.granted(cx, *granted, out),
            Command::Announce { stay, agents, decision } => {
                self.announce(cx, stay, agents, decision, out);
            }
            Command::Unserved { stay, why } => self.unserved(cx, stay, why, out),
            Command::Admitted { group, epoch, cause, ticket, leave } => {
                self.admitted(cx, group, epoch, cause, &ticket, leave, out);
            }
            Command::Invitable { agent, name, ticket } => {
                self.invitable(cx, Party { agent, name }, &ticket, out)
            }
            Command::ReopenGranted { epoch, engaged, ticket } => {
                self.take_engagement(engaged, out);
                self.reopen(cx, epoch, &ticket, out);
                self.give_engagement_back(out);
            }
            Command::AskHeld { agent, grant } => self.say_what_is_held(agent, grant, out),
            Command::AskWaiting { group } => self.say_whether_it_waits(&group, out),
            Command::AgentGone { agent, why } => self.agent_gone(cx, agent, why, out),
            Command::OwnerAbsent { agent, epoch } => self.owner_absent(cx, agent, epoch, out),
            Command::VisitorPresent(present) => self.visitor_present(cx, present),
            Command::Tick => self.tick(cx, out),
            Command::Failed { ticket, .. } => self.failed(cx, &ticket, out),
            Command::Reinstate { ticket } => self.reinstate(cx, &ticket, out)?,
        }
        Ok(())
    }

    fn remains(command: &Command) -> Option<Remains> {
        let ticket = match command {
            Command::Open { ticket, .. }
            | Command::Ask { ticket, .. }
            | Command::Admitted { ticket, .. }
            | Command::Invitable { ticket, .. }
            | Command::ReopenGranted { ticket, .. }
            | Command::Failed { ticket, .. }
            | Command::Reinstate { ticket } => ticket,
            Command::Engaged { then } => &then.as_ref()?.1,
            Command::Granted(granted) => granted.purpose.ticket()?,
            _ => return None,
        };
        Some(Remains::of(ticket, Keeper::Itself))
    }

    fn next_deadline(&self, cx: &Context<'_>) -> Option<Timestamp> {
        if self.is_quarantined() {
            return None;
        }
        let place = match &self.state {
            State::Waiting(stay) => {
                let pending = match &stay.pending {
                    Pending::Offer { deadline, .. } => Some(*deadline),
                    Pending::Announcement { deadline: Some(deadline), .. } => Some(*deadline),
                    Pending::Announcement { deadline: None, .. } | Pending::Nothing => {
                        stay.ask_at.or(stay.wait_until)
                    }
                };
                let absent = self.absent_since.map(|since| since + cx.policy.visitor_grace);
                [pending, absent].into_iter().flatten().min()
            }
            State::Active(active) => {
                let handover = active.handover.as_ref().map(|handover| handover.deadline);
                let idle = cx.policy.idle_close.map(|idle| self.active_at + idle);
                [handover, idle].into_iter().flatten().min()
            }
            State::Missed { expires, .. } => Some(*expires),
            State::New | State::Closed { .. } => None,
        };
        let invitations = self.invitations.iter().map(|invitation| invitation.deadline);
        invitations.chain(place).min()
    }
}

impl Conversation {
    /// The table of contents of what people ask.
    fn ask(
        &mut self,
        cx: &Context<'_>,
        ask: Ask,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        if matches!(self.state, State::New) {
            return Err(Refusal::NotFound.to(&ticket));
        }
        if let Some(reply) = self.recall(ticket.key.as_ref()).map_err(|refusal| refusal.to(&ticket))? {
            out.answer(&ticket, reply);
            return Ok(());
        }
        if self.would_engage(&ask, &ticket) {
            let (conversation, then) = (self.id, Some((ask, ticket)));
            out.tell_workspace(workspace::Command::Engage { conversation, then });
            return Ok(());
        }
        match ask {
            Ask::Say(body) => self.say(cx, body, ticket, out),
            Ask::Note(body) => self.note(cx, body, &ticket, out),
            Ask::Accept { offer } => self.accept(cx, offer, ticket, out),
            Ask::Decline { offer } => self.decline(cx, offer, &ticket, out),
            Ask::Take => self.take(cx, None, ticket, out),
            Ask::Assign { to, force } => self.assign(to, force, ticket, out),
            Ask::Transfer { to, leave } => self.transfer(to, leave, ticket, out),
            Ask::Invite { agent } => self.invite(agent, ticket, out),
            Ask::Leave => self.leave(cx, &ticket, out),
            Ask::Close => self.close_by(cx, &ticket, out),
            Ask::Reopen => self.ask_reopen(ticket, out),
        }
    }

    fn say_what_is_held(&self, agent: AgentId, grant: u32, out: &mut Out<Event>) {
        let held = self.holds().into_iter().find(|(holder, ..)| *holder == agent);
        let (epoch, held) = held.map_or((self.epoch, None), |(_, epoch, held)| (epoch, Some(held)));
        out.tell_agent(agent, agent::Command::Holds { conversation: self.id, epoch, held, grant });
    }

    fn say_whether_it_waits(&self, group: &GroupId, out: &mut Out<Event>) {
        match self.waiting(false) {
            Some((here, waiting)) if here == *group => {
                out.tell_group(group, group::Command::Enqueue(Box::new(waiting)));
            }
            _ => out.tell_group(group, group::Command::Leave { conversation: self.id }),
        }
    }

    /// The one place where deadlines are acted on. Whether something was in time is decided by comparing, never by when this runs.
    fn tick(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        out.by = By::System;
        self.expire_invitations(cx, out);
        match &self.state {
            State::Waiting(stay) => {
                let absent = self.absent_since.is_some_and(|since| since + cx.policy.visitor_grace <= cx.now);
                match &stay.pending {
                    _ if absent => self.abandon(cx, out),
                    Pending::Offer { deadline, .. } if *deadline <= cx.now => {
                        self.end_offer(cx, OfferOutcome::TimedOut, out);
                    }
                    Pending::Announcement { deadline: Some(deadline), .. } if *deadline <= cx.now => {
                        self.end_announcement(cx, out);
                    }
                    Pending::Announcement { deadline: None, .. } | Pending::Nothing => self.ask_why(cx, out),
                    Pending::Offer { .. } | Pending::Announcement { .. } => {}
                }
            }
            State::Active(active) => {
                let handover_over =
                    active.handover.as_ref().is_some_and(|handover| handover.deadline <= cx.now);
                let idle = cx.policy.idle_close.is_some_and(|idle| self.active_at + idle <= cx.now);
                if handover_over {
                    self.end_handover(cx, OfferOutcome::TimedOut, out);
                } else if idle {
                    self.close(cx, super::CloseReason::Idle, out);
                }
            }
            State::Missed { expires, .. } if *expires <= cx.now => {
                self.close(cx, super::CloseReason::MissedExpired, out);
            }
            State::New | State::Missed { .. } | State::Closed { .. } => {}
        }
    }
}
