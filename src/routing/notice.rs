//! What is told to whom about a recorded event: a projection, so that live delivery and tests use the same one.

use smallvec::SmallVec;

use super::{
    OfferOutcome, RescindReason,
    conversation::{Announcement, Conversation, Party, PendingOffer},
};
use crate::ids::AgentId;

/// Agents by the names that visitors know; mostly one.
pub type Parties = SmallVec<[Party; 1]>;

/// Who had something pending, and who took part, before a record: compared with what is so after it. Made for each command, so
/// there is room in it for one of each, which is what most have.
#[derive(Debug, Clone, Default)]
pub struct Before {
    /// What was for one agent alone.
    pending: SmallVec<[(AgentId, PendingOffer); 1]>,
    announcement: Option<Announcement>,
    parts: Parties,
}

/// What changed for agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentNotice {
    /// Something waits for their answer.
    OfferMade(PendingOffer),
    /// Something does no longer.
    OfferEnded {
        /// Its number.
        offer: u32,
        /// How it ended for them.
        outcome: OfferOutcome,
    },
}

impl Before {
    /// As it is now.
    #[must_use]
    pub fn of(conversation: &Conversation) -> Self {
        let pending = conversation.asked_by_name().into_iter();
        let pending = pending.filter_map(|agent| Some((agent, conversation.pending_for(agent)?))).collect();
        Self { pending, announcement: conversation.announcement(), parts: parts(conversation) }
    }

    /// What changed since, for agents with offers.
    #[must_use]
    pub fn changes(&self, after: &Conversation) -> SmallVec<[(AgentId, AgentNotice); 1]> {
        let mut changes = SmallVec::new();
        for (agent, pending) in &self.pending {
            let still = after.pending_for(*agent).is_some_and(|now| now.offer == pending.offer);
            if !still {
                let outcome = after.outcome_for(*agent, pending.offer);
                changes.push((*agent, AgentNotice::OfferEnded { offer: pending.offer, outcome }));
            }
        }
        self.announcement_changes(after, &mut changes);
        for agent in after.asked_by_name() {
            let Some(now) = after.pending_for(agent) else { continue };
            let new = !self.pending.iter().any(|(was, pending)| *was == agent && pending.offer == now.offer);
            if new {
                changes.push((agent, AgentNotice::OfferMade(now)));
            }
        }
        changes
    }

    /// An announcement may have gone to thousands: what has not changed of it costs nothing.
    fn announcement_changes(
        &self,
        after: &Conversation,
        changes: &mut SmallVec<[(AgentId, AgentNotice); 1]>,
    ) {
        let now = after.announcement();
        let since = now.as_ref().zip(self.announcement.as_ref()).and_then(|(now, before)| now.since(before));
        let (ended, made): (Vec<AgentId>, Vec<AgentId>) = match since {
            Some((added, declined)) => (declined, added),
            None => {
                let open = |announcement: &Option<Announcement>| {
                    announcement.iter().flat_map(Announcement::open).collect()
                };
                (open(&self.announcement), open(&now))
            }
        };
        if let Some(before) = &self.announcement {
            let offer = before.pending.offer;
            changes.extend(ended.into_iter().map(|agent| {
                let outcome = after.outcome_for(agent, offer);
                (agent, AgentNotice::OfferEnded { offer, outcome })
            }));
        }
        if let Some(now) = now {
            changes.extend(made.into_iter().map(|agent| (agent, AgentNotice::OfferMade(now.pending))));
        }
    }

    /// The agents who hear of what was recorded: who takes part now, or did before it.
    #[must_use]
    pub fn staff(&self, after: &Conversation) -> SmallVec<[AgentId; 2]> {
        let now = after.owner().into_iter().chain(after.participants());
        let left = self.parts.iter().filter(|party| !after.has_part(party.agent));
        let mut staff: SmallVec<[AgentId; 2]> = now.chain(left).map(|party| party.agent).collect();
        staff.sort_unstable();
        staff.dedup();
        staff
    }

    /// Those who take part now or did before it, by the names that visitors know.
    #[must_use]
    pub fn parties(&self, after: &Conversation) -> Parties {
        let mut parties = parts(after);
        parties.extend(self.parts.iter().filter(|party| !after.has_part(party.agent)).cloned());
        parties
    }
}

fn parts(conversation: &Conversation) -> Parties {
    conversation.owner().into_iter().chain(conversation.participants()).cloned().collect()
}

impl Conversation {
    /// How an offer that is no longer pending ended for an agent.
    fn outcome_for(&self, agent: AgentId, offer: u32) -> OfferOutcome {
        match self.past_outcome(agent, offer) {
            Some(outcome) => outcome,
            None if self.has_part(agent) => OfferOutcome::Accepted,
            None if self.closed_because().is_some() => OfferOutcome::Rescinded(RescindReason::Closed),
            None if self.owner().is_some() => OfferOutcome::Rescinded(RescindReason::AlreadyTaken),
            None => OfferOutcome::Rescinded(RescindReason::Moved),
        }
    }
}
