//! A workspace: what is counted or unique in it. One open conversation per visitor and channel, agents' names, tokens.

mod agents;
mod counted;
mod openings;
mod words;

pub use counted::Counts;
pub use words::{CAP_MAX, Command, Event, Failure, Grants, Token};

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    Context, Keeper, Machine, Out, Refusal, Refused, Remains, Reply,
    agent::Profile,
    conversation::{self},
    words::By,
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, Channel, ConversationId, VisitorId},
};

/// References of reported failures that are remembered: a frontend that reports again does so soon.
const REPORTED_MAX: usize = 1_024;

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

impl Workspace {}
