//! A workspace: what is counted or unique in it. One open conversation per visitor and channel, agents' names, tokens.

mod counted;

pub use counted::Counts;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    Context, Keeper, Machine, Out, Refusal, Refused, Remains, Reply,
    agent::{self, Change, Profile},
    conversation::{self, Opening, Party, Purpose, Target, TeamOpening, Way},
    words::{By, ReplyTo, Ticket},
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, Channel, ConversationId, GroupId, VisitorId},
};

/// How far the time in a new conversation's id may be from daemon time (design §6, S6).
const ID_AGE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// References of reported failures that are remembered: a frontend that reports again does so soon.
const REPORTED_MAX: usize = 1_024;
/// Agents who may talk among themselves in one conversation.
const TEAM_MAX: usize = 32;

/// The largest cap an agent may have.
pub const CAP_MAX: u16 = 1_000;

/// A token as it is kept: its secret hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its public part.
    pub id: SmolStr,
    /// BLAKE3 of the secret part.
    pub hash: [u8; 32],
    /// What it allows.
    pub grants: Grants,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends; `None`: never.
    pub expires: Option<Timestamp>,
}

/// What a token allows (design §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grants {
    /// To be one visitor.
    Visitor(VisitorId),
    /// To be one agent.
    Agent(AgentId),
    /// To read and move everything in the workspace.
    Supervisor,
    /// To speak for visitors and attached agents.
    Frontend,
    /// To administer.
    Admin,
}

/// What is recorded of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A token was made.
    TokenMinted(Token),
    /// A token was revoked.
    TokenRevoked {
        /// Its public part.
        id: SmolStr,
    },
    /// Set aside after repeated failures: opens nothing new and puts no agents, while the rest goes on.
    Quarantined {
        /// When.
        at: Timestamp,
    },
    /// A supervisor let it go on.
    Reinstated,
    /// The frontend reported that something came to nothing which a user had asked for.
    ActionFailed(Failure),
}

/// Something that a user asked for and that came to nothing, as a frontend reports it (AD-25).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What: `meeting_booking`.
    pub action: SmolStr,
    /// Why, in the frontend's words.
    pub cause: SmolStr,
    /// Whose it was.
    pub visitor: Option<VisitorId>,
    /// In which conversation.
    pub conversation: Option<ConversationId>,
    /// What the frontend calls this failure: one that it reports again is not told again.
    pub reference: Option<SmolStr>,
}

/// What a workspace may be asked.
#[derive(Debug)]
pub enum Command {
    /// Open a conversation whose id is not known yet. Answered `Opened` by the conversation.
    Open {
        /// What it takes.
        opening: Box<Opening>,
        /// Who asked.
        ticket: Ticket,
    },
    /// An agent begins a conversation whose id is not known yet. Answered `Opened` by the conversation.
    Start {
        /// What it takes, with the message.
        opening: Box<Opening>,
        /// The agent who will own it.
        agent: AgentId,
        /// Who asked.
        ticket: Ticket,
    },
    /// Open a chat of agents among themselves. Answered `Opened` by the conversation.
    OpenTeam {
        /// What it takes.
        opening: Box<TeamOpening>,
        /// Who asked.
        ticket: Ticket,
    },
    /// Hand something on to a conversation whose opening may still be on its way through here, so that it comes behind it.
    Relay {
        /// Which.
        conversation: ConversationId,
        /// What somebody asks of it.
        ask: conversation::Ask,
        /// Who.
        ticket: Ticket,
    },
    /// A conversation was closed.
    Closed {
        /// Whose it was.
        visitor: VisitorId,
        /// Where.
        channel: Channel,
        /// Which.
        conversation: ConversationId,
        /// An opening was led there and found nothing open: forget what led it there, and nothing newer. `None`: it was closed now.
        led: Option<u64>,
    },
    /// May a closed conversation be open again? Answered `ReopenGranted` to it, or the ticket is refused.
    Reopen {
        /// Whose it is.
        visitor: VisitorId,
        /// Where.
        channel: Channel,
        /// Which.
        conversation: ConversationId,
        /// Its epoch: the permission is for the close that was asked about.
        epoch: u32,
        /// Whether it never asked for an agent so far.
        engages: bool,
        /// Who asked.
        ticket: Ticket,
    },
    /// May a conversation that never asked for an agent do so now? Answered `Engaged` to it, or the ticket is refused.
    Engage {
        /// Which.
        conversation: ConversationId,
        /// What somebody asks of it that needs this; `None`: it is routed.
        then: Option<(conversation::Ask, Ticket)>,
    },
    /// A conversation has no use for what it was granted.
    Disengage,
    /// An agent who lost their seat has nothing left that needs it.
    SeatFree {
        /// Whom.
        agent: AgentId,
    },
    /// Create or change an agent. Answered `Done` by the agent.
    PutAgent {
        /// Whom.
        agent: AgentId,
        /// What they are to be.
        profile: Profile,
        /// Who asked: `System` is the configuration file.
        ticket: Ticket,
    },
    /// Change a part of an agent. Answered `Done` by the agent.
    ChangeAgent {
        /// Whom.
        agent: AgentId,
        /// What is to be another.
        change: Change,
        /// Who asked.
        ticket: Ticket,
    },
    /// Remove an agent. Answered `Done` by the agent.
    RemoveAgent {
        /// Whom.
        agent: AgentId,
        /// Who asked.
        ticket: Ticket,
    },
    /// How an agent stands after a command that was only repeated. From the agent.
    Stands {
        /// Whom.
        agent: AgentId,
        /// What is known of them; `None`: they are removed.
        profile: Option<Profile>,
    },
    /// The configuration manages these agents and no others: those it managed before are removed. From a reload.
    KeepManaged {
        /// Whom.
        agents: Vec<AgentId>,
    },
    /// Keep a token. Answered `Done`.
    MintToken {
        /// The token.
        token: Token,
        /// Who asked.
        ticket: Ticket,
    },
    /// Revoke a token. Answered `Done`.
    RevokeToken {
        /// Its public part.
        id: SmolStr,
        /// Who asked.
        ticket: Ticket,
    },
    /// Record that something came to nothing. Answered `Done`.
    ReportFailure {
        /// What.
        failure: Failure,
        /// Who asked.
        ticket: Ticket,
    },
    /// Go on. Carried out by whoever runs the machine, which stands still as long as it is set aside. Answered `Done`.
    Reinstate {
        /// Who asked.
        ticket: Ticket,
    },
}

/// A workspace's machine.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Workspace {
    tokens: BTreeMap<SmolStr, Token>,
    quarantined: Option<Timestamp>,
    // Views.
    #[serde(skip)]
    open: BTreeMap<(VisitorId, Channel), Entry>,
    #[serde(skip)]
    entries: u64,
    #[serde(skip)]
    agents: BTreeMap<AgentId, Member>,
    /// Conversations that asked for an agent, or may do so now: counted over the workspace's whole life.
    engaged: u64,
    /// Agents who lost their seat and still have conversations.
    #[serde(skip)]
    leaving: BTreeSet<AgentId>,
    /// Agents of the configuration for whom there was no seat.
    #[serde(skip)]
    waiting: BTreeMap<AgentId, Profile>,
    /// References of the failures that were reported last.
    #[serde(skip)]
    reported: VecDeque<SmolStr>,
}

/// What a visitor has open on a channel.
#[derive(Debug, Clone, Copy)]
struct Entry {
    conversation: ConversationId,
    /// Every entry has its own: what is said of an older one is not said of this.
    number: u64,
}

#[derive(Debug, Clone)]
struct Member {
    name: SmolStr,
    managed_by_config: bool,
    seated: bool,
}

impl Workspace {
    /// Takes one recorded event in.
    pub fn evolve(&mut self, event: &Event) {
        match event {
            Event::TokenMinted(token) => {
                self.tokens.insert(token.id.clone(), token.clone());
            }
            Event::TokenRevoked { id } => {
                self.tokens.remove(id);
            }
            Event::Quarantined { at } => self.quarantined = Some(*at),
            Event::Reinstated => self.quarantined = None,
            Event::ActionFailed(failure) => {
                self.reported.extend(failure.reference.clone());
                let surplus = self.reported.len().saturating_sub(REPORTED_MAX);
                self.reported.drain(..surplus);
            }
        }
    }

    /// Since when it is set aside, if it is.
    #[must_use]
    pub fn quarantined(&self) -> Option<Timestamp> {
        self.quarantined
    }

    /// The tokens that were not revoked, by their public part.
    pub fn tokens(&self) -> impl Iterator<Item = &Token> {
        self.tokens.values()
    }

    /// The agents, by id, with their names.
    pub fn agents(&self) -> impl Iterator<Item = (AgentId, &SmolStr)> {
        self.agents.iter().map(|(id, member)| (*id, &member.name))
    }

    /// The conversation that a visitor has open on a channel.
    #[must_use]
    pub fn open_conversation(&self, visitor: VisitorId, channel: &Channel) -> Option<ConversationId> {
        self.open.get(&(visitor, channel.clone())).map(|entry| entry.conversation)
    }

    /// A conversation is open; told by recovery.
    pub fn restore_open(&mut self, visitor: VisitorId, channel: &Channel, conversation: ConversationId) {
        self.enter((visitor, channel.clone()), conversation);
    }

    fn enter(&mut self, key: (VisitorId, Channel), conversation: ConversationId) {
        self.entries += 1;
        self.open.insert(key, Entry { conversation, number: self.entries });
    }

    /// An agent exists; told by recovery.
    pub fn restore_agent(&mut self, agent: AgentId, profile: &Profile) {
        let member = Member {
            name: profile.name.clone(),
            managed_by_config: profile.managed_by_config,
            seated: profile.live_chat,
        };
        self.agents.insert(agent, member);
    }

    /// What is known of an agent, from the machine that went on: for the one that is kept to rebuild it from.
    pub fn follow_agent(&mut self, agent: AgentId, other: &Self) {
        match other.agents.get(&agent) {
            Some(member) => _ = self.agents.insert(agent, member.clone()),
            None => _ = self.agents.remove(&agent),
        }
        self.waiting.clone_from(&other.waiting);
        if other.leaving.contains(&agent) {
            self.leaving.insert(agent);
        } else {
            self.leaving.remove(&agent);
        }
    }

    /// The same for all of them.
    pub fn follow_agents(&mut self, other: &Self) {
        self.agents.clone_from(&other.agents);
        self.leaving.clone_from(&other.leaving);
        self.waiting.clone_from(&other.waiting);
    }

    fn record(&mut self, event: Event, out: &mut Out<Event>) {
        self.evolve(&event);
        out.events.push(event);
    }
}

impl Machine for Workspace {
    type Command = Command;
    type Event = Event;

    fn handle(&mut self, cx: &Context<'_>, command: Command, out: &mut Out<Event>) -> Result<(), Refused> {
        match command {
            Command::Open { opening, ticket } => self.open(cx, opening, ticket, out),
            Command::Start { opening, agent, ticket } => self.start(cx, opening, agent, ticket, out),
            Command::OpenTeam { opening, ticket } => self.open_team(cx, opening, ticket, out),
            Command::Relay { conversation, ask, ticket } => {
                out.tell_conversation(conversation, conversation::Command::Ask { ask, ticket });
                Ok(())
            }
            Command::Closed { visitor, channel, conversation, led } => {
                let key = (visitor, channel);
                let meant = |entry: &Entry| {
                    entry.conversation == conversation && led.is_none_or(|number| number == entry.number)
                };
                if self.open.get(&key).is_some_and(meant) {
                    self.open.remove(&key);
                }
                Ok(())
            }
            Command::Reopen { visitor, channel, conversation, epoch, engages, ticket } => {
                if engages && !self.engage(cx) {
                    return Err(Refusal::QuotaExhausted.to(&ticket));
                }
                let reply_to = ticket.reply_to;
                let granted = conversation::Command::ReopenGranted { epoch, engaged: engages, ticket };
                let reopened = self.reopen((visitor, channel), conversation, granted, reply_to, out);
                self.engaged -= u64::from(engages && reopened.is_err());
                reopened
            }
            Command::Engage { conversation, then } => self.engage_one(cx, conversation, then, out),
            Command::Disengage => {
                self.engaged = self.engaged.saturating_sub(1);
                Ok(())
            }
            Command::SeatFree { agent } => {
                self.leaving.remove(&agent);
                self.fill_seats(cx, out);
                Ok(())
            }
            Command::PutAgent { agent, profile, ticket } => self.put_agent(cx, agent, profile, ticket, out),
            Command::ChangeAgent { agent, change, ticket } => {
                self.change_agent(cx, agent, change, ticket, out)
            }
            Command::RemoveAgent { agent, ticket } => self.remove_agent(agent, ticket, out),
            Command::Stands { agent, profile } => {
                match profile {
                    Some(profile) => {
                        self.seat(agent, profile.live_chat);
                        self.restore_agent(agent, &profile);
                    }
                    None => {
                        self.agents.remove(&agent);
                    }
                }
                Ok(())
            }
            Command::KeepManaged { agents } => {
                self.keep_managed(&agents, out);
                Ok(())
            }
            Command::MintToken { token, ticket } => {
                out.by = ticket.by;
                self.record(Event::TokenMinted(token), out);
                out.answer(&ticket, Reply::Done);
                Ok(())
            }
            Command::RevokeToken { id, ticket } => {
                if !self.tokens.contains_key(&id) {
                    return Err(Refusal::NotFound.to(&ticket));
                }
                out.by = ticket.by;
                self.record(Event::TokenRevoked { id }, out);
                out.answer(&ticket, Reply::Done);
                Ok(())
            }
            Command::ReportFailure { failure, ticket } => {
                let again = failure.reference.as_ref().is_some_and(|name| self.reported.contains(name));
                if !again {
                    out.by = ticket.by;
                    self.record(Event::ActionFailed(failure), out);
                }
                out.answer(&ticket, Reply::Done);
                Ok(())
            }
            Command::Reinstate { ticket } => Err(super::aside::not_aside(&ticket)),
        }
    }

    fn remains(command: &Command) -> Option<Remains> {
        let (ticket, keeper) = match command {
            Command::Open { opening, ticket } | Command::Start { opening, ticket, .. } => {
                (ticket, Keeper::Opening(opening.asked))
            }
            Command::OpenTeam { opening, ticket } => (ticket, Keeper::Opening(opening.asked)),
            Command::Relay { conversation, ticket, .. } | Command::Reopen { conversation, ticket, .. } => {
                (ticket, Keeper::Conversation(*conversation))
            }
            Command::PutAgent { agent, ticket, .. }
            | Command::ChangeAgent { agent, ticket, .. }
            | Command::RemoveAgent { agent, ticket } => (ticket, Keeper::Agent(*agent)),
            Command::MintToken { ticket, .. }
            | Command::RevokeToken { ticket, .. }
            | Command::ReportFailure { ticket, .. }
            | Command::Reinstate { ticket } => (ticket, Keeper::Nobody),
            Command::Engage { conversation, then: Some((_, ticket)) } => {
                (ticket, Keeper::Conversation(*conversation))
            }
            Command::Engage { then: None, .. }
            | Command::Disengage
            | Command::SeatFree { .. }
            | Command::Closed { .. }
            | Command::Stands { .. }
            | Command::KeepManaged { .. } => return None,
        };
        Some(Remains::of(ticket, keeper))
    }

    fn next_deadline(&self, _cx: &Context<'_>) -> Option<Timestamp> {
        None
    }
}

// === One function per verb ===

impl Workspace {
    fn open(
        &mut self,
        cx: &Context<'_>,
        mut opening: Box<Opening>,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let key = (opening.visitor, opening.channel.clone());
        if let Some(entry) = self.open.get(&key) {
            let way = Way::Led(entry.number);
            out.tell_conversation(entry.conversation, conversation::Command::Open { opening, ticket, way });
            return Ok(());
        }
        if let Target::Group(choice) = &opening.target
            && let Some(group) = cx.policy.choices.get(choice)
        {
            opening.target = Target::Group(group.clone());
        }
        self.lead_on(&mut opening);
        self.check(cx, &opening).map_err(|refusal| refusal.to(&ticket))?;
        let placed = std::mem::take(&mut opening.placed);
        opening.variables.extend(placed);
        opening.take_facts_in();
        self.enter(key, opening.asked);
        let chooses = opening.is_undecided() && cx.policy.asks().is_some();
        // With a bot, and while its visitor chooses a group, it asks for nobody yet.
        let engaged = opening.bot.is_none() && !chooses && self.engage(cx);
        let way = Way::New { engaged, chooses };
        out.tell_conversation(opening.asked, conversation::Command::Open { opening, ticket, way });
        Ok(())
    }

    /// A targeted chat was in the name of an agent who is not there any more: it goes to where it would have gone then.
    fn lead_on(&self, opening: &mut Opening) {
        let lead = opening.lobby.as_ref().and_then(|lobby| lobby.lead.as_ref());
        if let (Some(lead), Target::Agent(agent)) = (lead, &opening.target)
            && !self.agents.contains_key(agent)
        {
            opening.target = lead.then.clone().map_or(Target::Default, Target::Group);
        }
    }

    /// An agent begins it: granted by the agent, who has the last word on their slots, and nothing before that.
    fn start(
        &mut self,
        cx: &Context<'_>,
        mut opening: Box<Opening>,
        agent: AgentId,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let key = (opening.visitor, opening.channel.clone());
        if let Some(entry) = self.open.get(&key) {
            return Err(Refusal::HasOpen(entry.conversation).to(&ticket));
        }
        if !self.agents.contains_key(&agent) {
            return Err(Refusal::NotFound.to(&ticket));
        }
        self.check(cx, &opening).map_err(|refusal| refusal.to(&ticket))?;
        if !self.engage(cx) {
            return Err(Refusal::QuotaExhausted.to(&ticket));
        }
        opening.take_facts_in();
        let conversation = opening.asked;
        self.enter(key, conversation);
        let site = opening.variables.iter().find(|variable| variable.name == "site");
        let site = site.map(|variable| SmolStr::new(&variable.value.0));
        let purpose = Purpose::Start { ticket, opening };
        out.tell_agent(agent, agent::Command::Claim { conversation, epoch: 0, site, purpose });
        Ok(())
    }

    fn open_team(
        &mut self,
        cx: &Context<'_>,
        opening: Box<TeamOpening>,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        is_fresh(cx, opening.asked).map_err(|refusal| refusal.to(&ticket))?;
        let all: BTreeSet<AgentId> = opening.agents.iter().copied().chain(ticket.by.agent()).collect();
        let party =
            |agent: &AgentId| Some(Party { agent: *agent, name: self.agents.get(agent)?.name.clone() });
        let parties: Option<Vec<Party>> = all.iter().map(party).collect();
        let Some(parties) = parties else { return Err(Refusal::UnknownAgent.to(&ticket)) };
        if !(2..=TEAM_MAX).contains(&parties.len()) {
            return Err(Refusal::Invalid("a team chat has 2 to 32 agents").to(&ticket));
        }
        let id = opening.asked;
        out.tell_conversation(id, conversation::Command::OpenTeam { opening, parties, ticket });
        Ok(())
    }

    fn check(&self, cx: &Context<'_>, opening: &Opening) -> Result<(), Refusal> {
        is_fresh(cx, opening.asked)?;
        if !cx.policy.channels.contains(&opening.channel) {
            return Err(Refusal::ChannelNotSupported);
        }
        // A bot needs no live chat.
        if opening.bot.is_none() && !cx.policy.features.live_chat {
            return Err(Refusal::PlanNotEligible);
        }
        if opening.own_choice {
            // What was found out is not theirs to say, and is not theirs to be refused.
            conversation::check_open(cx, opening.variables.iter().map(|variable| &variable.name))?;
        }
        match &opening.target {
            Target::Default => cx.policy.default_group.as_ref().map_or(Ok(()), |group| enabled(cx, group)),
            // What visitors may not choose does not exist for them.
            Target::Group(group)
                if opening.own_choice
                    && !opening.is_led()
                    && cx.policy.group(group).is_some_and(|policy| !policy.public) =>
            {
                Err(Refusal::NotFound)
            }
            Target::Group(group) => enabled(cx, group),
            Target::Agent(agent) if self.agents.contains_key(agent) => Ok(()),
            Target::Agent(_) => Err(Refusal::NotFound),
        }
    }

    fn reopen(
        &mut self,
        key: (VisitorId, Channel),
        conversation: ConversationId,
        granted: conversation::Command,
        reply_to: Option<ReplyTo>,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        if self.open.get(&key).is_some_and(|entry| entry.conversation != conversation) {
            let why = "the visitor has another conversation open on this channel: close that one first";
            return Err(Refused { reply_to, refusal: Refusal::WrongState(why) });
        }
        // A new entry: an opening that met the conversation while it was closed must not take this one away.
        self.enter(key, conversation);
        out.tell_conversation(conversation, granted);
        Ok(())
    }

    fn put_agent(
        &mut self,
        cx: &Context<'_>,
        agent: AgentId,
        mut profile: Profile,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let by_config = profile.managed_by_config;
        let managed = self.agents.get(&agent).is_some_and(|member| member.managed_by_config);
        if managed && !by_config {
            return Err(Refusal::ManagedByConfig.to(&ticket));
        }
        self.check_name(agent, &profile.name).map_err(|refusal| refusal.to(&ticket))?;
        if profile.cap.is_some_and(|cap| cap == 0 || cap > CAP_MAX) {
            return Err(Refusal::Invalid("a cap is 1 to 1000").to(&ticket));
        }
        let unknown = profile.groups.iter().any(|group| !cx.policy.groups.contains_key(group));
        if unknown && !by_config {
            return Err(Refusal::Invalid("an agent's groups are groups of the configuration").to(&ticket));
        }
        if profile.live_chat && !self.has_seat_for(cx, agent) {
            if !by_config {
                return Err(Refusal::NoSeat.to(&ticket));
            }
            // The file's own agents fit; those who came by command had the rest of the seats first.
            self.waiting.insert(agent, profile.clone());
            profile.live_chat = false;
        } else {
            self.waiting.remove(&agent);
        }
        self.seat(agent, profile.live_chat);
        self.restore_agent(agent, &profile);
        out.tell_agent(agent, agent::Command::Put { profile, ticket });
        Ok(())
    }

    fn check_name(&self, agent: AgentId, name: &SmolStr) -> Result<(), Refusal> {
        let named = self.agents.iter().any(|(other, member)| *other != agent && member.name == *name);
        if name.is_empty() || named {
            return Err(Refusal::Invalid("an agent's name is not empty and not another agent's"));
        }
        Ok(())
    }

    /// A part of an agent. Who may change which is decided by the role alone, but for the limits that a supervisor keeps to.
    fn change_agent(
        &mut self,
        cx: &Context<'_>,
        agent: AgentId,
        change: Change,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let Some(member) = self.agents.get(&agent) else { return Err(Refusal::NotFound.to(&ticket)) };
        if member.managed_by_config {
            return Err(Refusal::ManagedByConfig.to(&ticket));
        }
        if let Some(name) = &change.name {
            self.check_name(agent, name).map_err(|refusal| refusal.to(&ticket))?;
        }
        let (most, why) = match ticket.by {
            By::Admin => (CAP_MAX, "a cap is 1 to 1000"),
            _ => (cx.policy.cap, "a supervisor sets caps from 1 up to the workspace's"),
        };
        if change.cap.is_some_and(|cap| cap == 0 || cap > most) {
            return Err(Refusal::Invalid(why).to(&ticket));
        }
        let groups = change.groups.iter().flatten();
        if groups.into_iter().any(|group| !cx.policy.groups.contains_key(group)) {
            return Err(Refusal::Invalid("an agent's groups are groups of the configuration").to(&ticket));
        }
        if change.live_chat == Some(true) && !self.has_seat_for(cx, agent) {
            return Err(Refusal::NoSeat.to(&ticket));
        }
        if let Some(seated) = change.live_chat {
            self.seat(agent, seated);
        }
        if let Some(member) = self.agents.get_mut(&agent) {
            if let Some(name) = &change.name {
                member.name.clone_from(name);
            }
            member.seated = change.live_chat.unwrap_or(member.seated);
        }
        out.tell_agent(agent, agent::Command::Change { change, ticket });
        Ok(())
    }

    fn keep_managed(&mut self, agents: &[AgentId], out: &mut Out<Event>) {
        let gone = self.agents.iter().filter(|(id, member)| member.managed_by_config && !agents.contains(id));
        let gone: Vec<AgentId> = gone.map(|(id, _)| *id).collect();
        for agent in gone {
            self.waiting.remove(&agent);
            self.seat(agent, false);
            self.agents.remove(&agent);
            out.tell_agent(agent, agent::Command::Remove { ticket: Ticket::system() });
        }
    }

    fn remove_agent(&mut self, agent: AgentId, ticket: Ticket, out: &mut Out<Event>) -> Result<(), Refused> {
        let by_config = matches!(ticket.by, super::By::System);
        match self.agents.get(&agent) {
            // The agent knows whether it was this very command that removed them.
            None => {}
            Some(member) if member.managed_by_config && !by_config => {
                return Err(Refusal::ManagedByConfig.to(&ticket));
            }
            Some(_) => {}
        }
        self.seat(agent, false);
        self.agents.remove(&agent);
        out.tell_agent(agent, agent::Command::Remove { ticket });
        Ok(())
    }
}

/// A new conversation's id says when it was made, which must be about now.
fn is_fresh(cx: &Context<'_>, id: ConversationId) -> Result<(), Refusal> {
    let Some(made_ms) = id.made_at_ms() else {
        return Err(Refusal::Invalid("a conversation's id is a UUID version 7 made when it is opened"));
    };
    let made = Timestamp::from_micros(made_ms.saturating_mul(1_000));
    let far = made.since(cx.now).max(cx.now.since(made)) > ID_AGE_MAX;
    if far { Err(Refusal::KeyExpired) } else { Ok(()) }
}

fn enabled(cx: &Context<'_>, group: &GroupId) -> Result<(), Refusal> {
    match cx.policy.group(group) {
        None => Err(Refusal::NotFound),
        Some(policy) if !policy.enabled => Err(Refusal::GroupDisabled),
        Some(_) => Ok(()),
    }
}
