//! What is counted per workspace and granted here alone: lifetime engagements and seats.

use super::{Event, Workspace};
use crate::{
    ids::{AgentId, ConversationId},
    routing::{
        Context, Out, Refusal, Refused, agent,
        conversation::{self, Ask},
        words::Ticket,
    },
};

/// What of a workspace's counts is in use, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Agents.
    pub agents: usize,
    /// Seats in use, those included that agents still need who lost them.
    pub seated: usize,
    /// Conversations that asked for an agent, ever.
    pub engaged: u64,
}

impl Workspace {
    /// What is in use.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { agents: self.agents.len(), seated: self.seated(), engaged: self.engaged }
    }

    // === Engagements (AD-1 to AD-4) ===

    /// A recorded conversation has asked for an agent for the first time; told by recovery.
    pub fn count_engagement(&mut self) {
        self.engaged += 1;
    }

    /// After a failure: so many conversations have asked for an agent.
    pub fn restore_engaged(&mut self, engaged: u64) {
        self.engaged = engaged;
    }

    /// Grants one more, if there is one.
    pub(super) fn engage(&mut self, cx: &Context<'_>) -> bool {
        let granted = cx.policy.lifetime_engagements.is_none_or(|most| self.engaged < u64::from(most));
        self.engaged += u64::from(granted);
        granted
    }

    pub(super) fn engage_one(
        &mut self,
        cx: &Context<'_>,
        conversation: ConversationId,
        then: Option<(Ask, Ticket)>,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        match (self.engage(cx), then) {
            (true, then) => {
                let then = then.map(Box::new);
                out.tell_conversation(conversation, conversation::Command::Engaged { then });
                Ok(())
            }
            (false, Some((Ask::HandOver(hand_over), ticket))) => {
                out.tell_conversation(conversation, conversation::Command::NotEngaged { hand_over, ticket });
                Ok(())
            }
            // The visitor is told as at an opening.
            (false, Some((Ask::Choose { choice, .. }, ticket))) => {
                let ask = Ask::Choose { choice, turned_away: true };
                out.tell_conversation(conversation, conversation::Command::Ask { ask, ticket });
                Ok(())
            }
            (false, Some((_, ticket))) => Err(Refusal::QuotaExhausted.to(&ticket)),
            // It was told so when it fell back, and stays missed.
            (false, None) => Ok(()),
        }
    }

    // === Seats (BO-4 to BO-10) ===

    fn seated(&self) -> usize {
        self.agents.values().filter(|member| member.seated).count() + self.leaving.len()
    }

    /// Whether an agent has a seat, or there is one left.
    pub(super) fn has_seat_for(&self, cx: &Context<'_>, agent: AgentId) -> bool {
        let has =
            self.agents.get(&agent).is_some_and(|member| member.seated) || self.leaving.contains(&agent);
        has || cx.policy.seats.is_none_or(|seats| self.seated() < seats as usize)
    }

    /// An agent has a seat from now on, or gives theirs back: it is free when the last of what they have ends.
    pub(super) fn seat(&mut self, agent: AgentId, seated: bool) {
        let had = self.agents.get(&agent).is_some_and(|member| member.seated);
        if seated {
            self.leaving.remove(&agent);
        } else if had {
            self.leaving.insert(agent);
        }
    }

    /// A seat has become free: for an agent of the file who could have none.
    pub(super) fn fill_seats(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        while let Some((agent, profile)) = self.waiting.pop_first() {
            if !self.has_seat_for(cx, agent) {
                self.waiting.insert(agent, profile);
                return;
            }
            self.seat(agent, true);
            self.restore_agent(agent, &profile);
            out.tell_agent(agent, agent::Command::Put { profile, ticket: Ticket::system() });
        }
    }

    /// An agent without a seat still has conversations; told by recovery.
    pub fn restore_leaving(&mut self, agent: AgentId) {
        self.leaving.insert(agent);
    }
}
