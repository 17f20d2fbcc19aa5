//! A conversation: the one record of who owns it (design §3.1). Its life: bot → waiting → offered → active → closed, and missed.
//!
//! One file per part of that life: `open.rs`, `start.rs` (by an agent), `bot.rs`, `choose.rs` (of a group, before anything else), `say.rs`, `offer.rs` (accept,
//! decline, time out), `transfer.rs` (take, assign, transfer, invite, leave), `end.rs` (fallback, close, reopen), `facts.rs`
//! (variables, tags), `attention.rs` (unread, unanswered), `parts.rs` (images), `rating.rs`, `deadlines.rs`, `quarantine.rs`, and
//! `views.rs` for what can be seen of it. What it may be asked is in `commands.rs`, what it records in `events.rs`.

mod attention;
mod bot;
mod choose;
mod commands;
mod crowd;
mod deadlines;
mod end;
mod engage;
mod events;
mod evolve;
mod facts;
mod flow;
mod offer;
mod open;
mod parts;
mod priority;
mod quarantine;
mod rating;
mod rules;
mod say;
mod start;
mod team;
mod transfer;
mod views;
mod words;

use std::{num::NonZeroU64, time::Duration};

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use smol_str::SmolStr;

pub use attention::{Attention, READERS_MAX};
use bot::Bot;
pub use bot::HandOver;
pub use commands::{Ask, Command, Destination, Granted, Purpose, Summons, Unserved};
pub(in crate::routing) use crowd::Announcement;
use crowd::Crowd;
pub use events::{Event, FlowOutcome, Record, Skip};
pub(in crate::routing) use facts::check_open;
pub use facts::{CONTACT, Changed, Facts, TAGS_MAX, VARIABLES_BYTES, VARIABLES_MAX};
pub use parts::{Message, PARTS_MAX, Part};
pub use rating::{Rating, SCORE_MAX};
pub use rules::Seen;
use transfer::Handing;
pub use views::{OfferKind, PendingOffer, StayFacts};
pub use words::{Choice, FromLobby, Lead, Opening, Phase, Target, TeamOpening, Way};

use super::{
    Context, Keeper, Machine, Out, Refusal, Refused, Remains, Reply, agent, group,
    keys::Keys,
    words::{FallbackReason, Key, OfferOutcome, Origin, Priority, QueueCause, Ticket},
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
    /// Variables and tags, if there are any.
    facts: Option<Box<Facts>>,
    /// The bot that it began with, if it did.
    bot: Option<Box<Bot>>,
    rating: Option<Box<Rating>>,
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
    /// Where it goes if the agent can't take it whose targeted chat it answers.
    then: Option<Box<GroupId>>,
    // Most have none of these, and a million hold room for what stands here.
    participants: Vec<Party>,
    /// Participants who use a slot, with the epoch that it was confirmed with.
    helpers: Vec<(AgentId, u32)>,
    invitations: Vec<Invitation>,
    /// Whether it ever asked for an agent: an engagement (AD-4).
    engaged: bool,
    /// Whether the workspace has granted that it may, and it has not yet. Volatile.
    #[serde(skip)]
    may_engage: bool,
    /// Whether an agent has written to the visitor since it was opened, or opened again (RE-6, RE-7).
    answered: bool,
    attention: Attention,
    past: Vec<Past>,
    /// When somebody last wrote, or it was assigned.
    active_at: Timestamp,
    /// Since when the visitor is gone. Volatile: told by the frontend.
    #[serde(skip)]
    absent_since: Option<Timestamp>,
    keys: Keys<Numbers>,
    aside: quarantine::Aside,
    /// What the workspace's rules made of it, if they were asked.
    directed: Option<Box<rules::Directed>>,
    /// The workflow it is in.
    flow: Option<Box<flow::Flow>>,
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
    origin: Origin,
    at: Timestamp,
    site: Option<SmolStr>,
    /// Agents among themselves: there is no visitor.
    team: bool,
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

impl Party {
    /// Stands for a supervisor who takes part: they are no agent, and have no slots.
    pub const SUPERVISOR: AgentId = AgentId::from_bytes([0; 16]);
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
    /// With the bot: in no queue, on nobody's slot.
    Bot,
    Waiting(Box<Stay>),
    Active(Box<Active>),
    Missed {
        reason: FallbackReason,
        expires: Timestamp,
    },
    Closed {
        reason: super::CloseReason,
    },
    /// The visitor is asked to choose a group until then.
    Choosing {
        until: Timestamp,
    },
    /// Agents among themselves.
    Team,
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
    /// Whether members who are not there may have it, too. Volatile: after a restart it waits as any other does.
    #[serde(skip)]
    anyone: bool,
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
            facts: None,
            bot: None,
            rating: None,
            state: State::New,
            seq: 0,
            visitor_seq: 0,
            epoch: 0,
            stays: 0,
            home: None,
            last_owner: None,
            then: None,
            participants: Vec::new(),
            helpers: Vec::new(),
            invitations: Vec::new(),
            engaged: false,
            may_engage: false,
            answered: false,
            attention: Attention::default(),
            past: Vec::new(),
            active_at: Timestamp::default(),
            absent_since: None,
            keys: Keys::default(),
            aside: quarantine::Aside::default(),
            directed: None,
            flow: None,
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
            State::New
            | State::Bot
            | State::Missed { .. }
            | State::Closed { .. }
            | State::Choosing { .. }
            | State::Team => {}
        }
        agents
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
            State::Bot => self.active_at = start,
            State::Team => self.active_at = start,
            State::New | State::Missed { .. } | State::Closed { .. } | State::Choosing { .. } => {}
        }
        self.invitations.iter_mut().for_each(|invitation| later(&mut invitation.deadline));
        self.flow.iter_mut().for_each(|flow| flow.rebase(later));
        self.absent_since = Some(start + grace);
    }
}

impl Machine for Conversation {
    type Command = Command;
    type Event = Event;

    fn handle(&mut self, cx: &Context<'_>, command: Command, out: &mut Out<Event>) -> Result<(), Refused> {
        match command {
            Command::Open { opening, ticket, way } => self.open_granted(cx, opening, ticket, way, out)?,
            Command::OpenTeam { opening, parties, ticket } => {
                self.open_team(cx, *opening, parties, &ticket, out)?
            }
            Command::Engaged { then } => self.engaged_now(cx, then, out),
            Command::NotEngaged { hand_over, ticket } => {
                self.hand_over_unengaged(cx, *hand_over, &ticket, out)?;
            }
            Command::Ask { ask, ticket } => self.ask(cx, ask, ticket, out)?,
            Command::Granted(granted) => self.granted(cx, *granted, out),
            Command::Announce { stay, agents, decision } => {
                self.announce(cx, stay, agents, decision, out);
            }
            Command::Unserved { stay, why } => self.unserved(cx, stay, why, out),
            Command::Admitted { group, epoch, cause, ticket, leave } => {
                self.admitted(cx, group, epoch, cause, &ticket, leave, out);
            }
            Command::Summoned { group, epoch, summons } => self.summoned(cx, group, epoch, summons, out),
            Command::Unavailable { epoch, why_not, .. } => self.unavailable(cx, epoch, why_not, out),
            Command::NotGranted => self.give_engagement_back(out),
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
            | Command::OpenTeam { ticket, .. }
            | Command::Ask { ticket, .. }
            | Command::NotEngaged { ticket, .. }
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
            State::Choosing { until } => Some(*until),
            State::Bot => self.bot_until(cx),
            State::Team => Some(self.active_at + team::SILENCE),
            State::New | State::Closed { .. } => None,
        };
        let invitations = self.invitations.iter().map(|invitation| invitation.deadline);
        let flow = self.flow.as_ref().and_then(|flow| flow.deadline());
        invitations.chain(place).chain(flow).min()
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
        if self.is_hidden_from(&ticket) {
            return Err(Refusal::NotFound.to(&ticket));
        }
        if self.would_engage(&ask, &ticket) {
            let (conversation, then) = (self.id, Some((ask, ticket)));
            out.tell_workspace(workspace::Command::Engage { conversation, then });
            return Ok(());
        }
        match ask {
            Ask::Say(body) => self.say(cx, body.into(), ticket, out),
            Ask::Post(message) => self.post(cx, *message, ticket, out),
            Ask::RequestRating => self.request_rating(cx, &ticket, out),
            Ask::Rate { score, comment } => self.rate(cx, score, comment, &ticket, out),
            Ask::Note(body) => self.note(cx, body, &ticket, out),
            Ask::Accept { offer } => self.accept(cx, offer, ticket, out),
            Ask::Decline { offer } => self.decline(cx, offer, &ticket, out),
            Ask::Take => self.take(cx, None, ticket, out),
            Ask::Assign { to, force } => self.assign(to, force, ticket, out),
            Ask::Transfer { to, leave } => self.transfer(to, leave, ticket, out),
            Ask::Invite { agent } => self.invite(agent, ticket, out),
            Ask::Join { name } => self.join_as_supervisor(cx, name, &ticket, out),
            Ask::SetPriority(priority) => self.set_priority(cx, priority, &ticket, out),
            Ask::OfNobody if self.may_read(&ticket) => Err(Refusal::UnknownAgent.to(&ticket)),
            Ask::OfNobody => Err(Refusal::NotFound.to(&ticket)),
            Ask::Leave => self.leave(cx, &ticket, out),
            Ask::Close => self.close_by(cx, &ticket, out),
            Ask::Reopen => self.ask_reopen(ticket, out),
            Ask::Choose { choice, turned_away } => self.choose(cx, choice, turned_away, ticket, out),
            Ask::SetVariables { set, unset } => self.set_variables(cx, set, unset, &ticket, out),
            Ask::SetTags { add, remove } => self.set_tags(cx, add, &remove, &ticket, out),
            Ask::HandOver(hand_over) => self.hand_over(cx, *hand_over, &ticket, out),
            Ask::ReturnToBot => self.return_to_bot(cx, &ticket, out),
            Ask::MarkRead { seq } => self.mark_read(cx, seq, &ticket, out),
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
}
