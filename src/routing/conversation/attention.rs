//! What waits for somebody's attention: what an agent has not read (BO-25), and what nobody has answered (BO-24).

use serde::{Deserialize, Serialize};

use super::{Ask, Conversation, Event, State};
use crate::{
    ids::AgentId,
    routing::{
        Context, Out, Refusal, Refused, Reply,
        words::{By, Ticket},
    },
};

/// Agents whose marks a conversation keeps. Of more, who has not marked for longest has read nothing again.
pub const READERS_MAX: usize = 64;

/// What was written last, and who has read how far. Nothing of it is kept for agents who never mark.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    /// The number of the newest message that both sides see.
    said: u64,
    /// The agent who wrote it, if it was one.
    by: Option<AgentId>,
    /// Whether the last message of a person is the visitor's.
    unanswered: bool,
    read: Vec<(AgentId, u64)>,
}

impl Attention {
    /// Whether there is a message that this agent has neither written nor read. Their own is the sign that they read what
    /// came before it.
    #[must_use]
    pub fn is_unread_by(&self, agent: AgentId) -> bool {
        self.said > self.read_by(agent) && self.by != Some(agent)
    }

    /// Whether the visitor waits for an answer: a note or a line of the bot's is none.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        self.unanswered
    }

    fn read_by(&self, agent: AgentId) -> u64 {
        self.read.iter().find(|(reader, _)| *reader == agent).map_or(0, |(_, upto)| *upto)
    }

    /// Somebody wrote the message of this number.
    pub(super) fn said(&mut self, seq: u64, by: &By) {
        self.said = seq;
        self.by = by.agent();
        match by {
            By::Visitor(_) => self.unanswered = true,
            By::Agent(_) | By::Supervisor => self.unanswered = false,
            By::Frontend | By::Bot | By::Admin | By::System => {}
        }
    }

    pub(super) fn read(&mut self, agent: AgentId, upto: u64) {
        self.read.retain(|(reader, _)| *reader != agent);
        if self.read.len() == READERS_MAX {
            self.read.remove(0);
        }
        self.read.push((agent, upto));
    }

    /// Takes over what another says.
    pub fn follow(&mut self, other: &Self) {
        (self.said, self.by, self.unanswered) = (other.said, other.by, other.unanswered);
        self.read.clone_from(&other.read);
    }

    /// As much of it as matters once it is over: whether the visitor was answered.
    #[must_use]
    pub fn at_rest(&self) -> Self {
        Self { unanswered: self.unanswered, ..Self::default() }
    }

    /// Over: nobody has to read it any more.
    pub(super) fn forget_readers(&mut self) {
        self.read = Vec::new();
    }
}

impl Conversation {
    /// What waits for somebody's attention.
    #[must_use]
    pub fn attention(&self) -> &Attention {
        &self.attention
    }

    /// Remembers how far an agent has read, if that says anything new. Of others nothing is kept.
    pub(super) fn mark_read(
        &mut self,
        cx: &Context<'_>,
        seq: u64,
        ticket: &Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        if !self.may_read(ticket) || matches!(ticket.by, By::Frontend | By::Bot | By::System | By::Admin) {
            return Err(Refusal::NotFound.to(ticket));
        }
        let upto = seq.min(self.seq);
        if let Some(agent) = ticket.by.agent()
            && !matches!(self.state, State::Closed { .. })
            && self.attention.is_unread_by(agent)
            && upto > self.attention.read_by(agent)
        {
            self.begin(ticket, out);
            self.record(cx, Event::Read { upto }, out);
        }
        out.answer(ticket, Reply::Done);
        Ok(())
    }

    /// Whether opening it tells this agent something that they had not read: what they see is read then (BO-19).
    #[must_use]
    pub fn opening_it_marks(&self, ticket: &Ticket) -> Option<Ask> {
        let agent = ticket.by.agent()?;
        let over = matches!(self.state, State::Closed { .. });
        (!over && self.attention.is_unread_by(agent)).then_some(Ask::MarkRead { seq: self.seq })
    }
}
