//! Offers and announcements: made, accepted, declined, timed out, taken back.

use std::time::Duration;

use super::{
    Ask, Conversation, Destination, Event, Granted, OfferKind, Party, Pending, Purpose, State, Unserved,
    start::Grant, transfer::Handing,
};
use crate::{
    ids::AgentId,
    routing::{
        Context, Decision, Out, Refusal, Refused,
        agent::{self, End, Held},
        group,
        words::{AssignCause, OfferOutcome, RescindReason, Strategy, Ticket},
    },
};

/// Agents that one event of an announcement names; more take several events, so that each fits a page of a history.
const ANNOUNCED_MAX: usize = 256;

impl Conversation {
    /// An agent holds a slot: recorded if its generation is current and the epoch still stands, released otherwise.
    pub(super) fn granted(&mut self, cx: &Context<'_>, granted: Granted, out: &mut Out<Event>) {
        let Granted { agent, name, generation, grant, epoch, purpose } = granted;
        let party = Party { agent, name };
        let known = match purpose.ticket() {
            Some(ticket) => self.recall(ticket.key.as_ref()).transpose(),
            None => None,
        };
        // Accepted from one session and declined from another while the slot was asked for: the decline is recorded, and stands.
        let declined = match purpose {
            Purpose::Accept { offer, .. } | Purpose::Help { offer, .. } => {
                self.pending_for(agent).is_none_or(|pending| pending.offer != offer)
            }
            _ => false,
        };
        let current = generation == cx.generation(agent) && epoch == self.epoch && !declined;
        if let Purpose::Start { ticket, opening } = purpose {
            return self.start(cx, Grant { party, generation, grant, current }, ticket, *opening, out);
        }
        if known.is_some() || !current {
            let conversation = self.id;
            out.tell_agent(agent, agent::Command::Refused { conversation, generation, grant });
            self.give_engagement_back(out);
            match (purpose.ticket(), known) {
                (Some(ticket), Some(Ok(reply))) => out.answer(ticket, reply),
                (Some(ticket), Some(Err(refusal))) => out.refuse(ticket, refusal),
                (Some(ticket), None) => out.refuse(ticket, self.too_late(agent)),
                // Its group takes it to be with that agent: it waits there again.
                (None, _) if epoch == self.epoch => self.line_up(false, out),
                (None, _) => {}
            }
            return;
        }
        let purpose = match purpose {
            Purpose::Take { .. } | Purpose::Assign { .. } if self.needs_grant() => {
                let conversation = self.id;
                out.tell_agent(agent, agent::Command::Refused { conversation, generation, grant });
                return self.claim_again(agent, purpose, out);
            }
            purpose => purpose,
        };
        match purpose {
            Purpose::Offer(decision) => self.offer(cx, party, decision, out),
            Purpose::Accept { ticket, .. } => {
                self.begin(&ticket, out);
                self.give(cx, party, Handing::to(AssignCause::Accepted), out);
                self.done(&ticket, out);
            }
            Purpose::Help { ticket, .. } => self.help(cx, party, &ticket, out),
            Purpose::Take { ticket, say } => {
                self.begin(&ticket, out);
                self.give(cx, party, Handing::to(AssignCause::Taken), out);
                if let Some(message) = say {
                    self.record(cx, message.event(), out);
                }
                self.done(&ticket, out);
            }
            Purpose::Assign { ticket, force } => {
                self.begin(&ticket, out);
                let cause = if force { AssignCause::Forced } else { AssignCause::Assigned };
                self.give(cx, party, Handing::to(cause), out);
                self.done(&ticket, out);
            }
            // It was begun above.
            Purpose::Start { .. } => {}
            Purpose::Handover { ticket, leave } => self.start_handover(cx, party, leave, &ticket, out),
            Purpose::Flow { .. } => self.flow_granted(cx, party, out),
        }
    }

    /// What an agent could have, had the engagement not gone back meanwhile.
    fn claim_again(&self, agent: AgentId, purpose: Purpose, out: &mut Out<Event>) {
        let (ask, ticket) = match purpose {
            Purpose::Take { ticket, say: Some(message) } => (Ask::Post(Box::new(message)), ticket),
            Purpose::Take { ticket, say: None } => (Ask::Take, ticket),
            Purpose::Assign { ticket, force } => {
                (Ask::Assign { to: Destination::Agent(agent), force }, ticket)
            }
            _ => return,
        };
        self.ask_for_engagement(ask, ticket, out);
    }

    /// What a claim that came too late is told.
    fn too_late(&self, agent: AgentId) -> Refusal {
        match (&self.state, self.owner()) {
            (State::Closed { .. }, _) => Refusal::ConversationClosed,
            (_, Some(owner)) if owner.agent != agent => Refusal::AlreadyTaken(owner.agent),
            _ => Refusal::WrongState("the conversation has changed meanwhile: look again"),
        }
    }

    fn offer(&mut self, cx: &Context<'_>, party: Party, decision: Box<Decision>, out: &mut Out<Event>) {
        if decision.strategy == Strategy::Assign {
            let handing = Handing { decision: Some(decision), ..Handing::to(AssignCause::Strategy) };
            return self.give(cx, party, handing, out);
        }
        let deadline = cx.now + self.accept_timeout(cx);
        let agent = party.agent;
        self.record(cx, Event::Offered { agent, name: party.name, deadline, decision }, out);
        let confirm =
            agent::Command::Confirm { conversation: self.id, epoch: self.epoch, held: Held::Reserved };
        out.tell_agent(agent, confirm);
    }

    /// How long an agent may look at an offer of this conversation's group.
    pub(super) fn accept_timeout(&self, cx: &Context<'_>) -> Duration {
        let policy = self.group().and_then(|group| cx.policy.group(group));
        policy.unwrap_or(&cx.policy.everyone).accept_timeout
    }

    pub(super) fn announce(
        &mut self,
        cx: &Context<'_>,
        stay: u32,
        agents: Vec<AgentId>,
        decision: Option<Box<Decision>>,
        out: &mut Out<Event>,
    ) {
        let State::Waiting(here) = &self.state else { return };
        if here.number != stay || matches!(here.pending, Pending::Offer { .. }) {
            return;
        }
        // More agents for an announcement that has ended meanwhile: the group begins another.
        if matches!(here.pending, Pending::Nothing) && decision.is_none() {
            return self.line_up(false, out);
        }
        let known = |agent: &AgentId| {
            here.tried.contains(agent)
                || matches!(&here.pending, Pending::Announcement { agents, .. } if agents.contains(*agent))
        };
        let agents: Vec<AgentId> = agents.into_iter().filter(|agent| !known(agent)).collect();
        let pulls = cx.policy.group(&here.group).is_some_and(|policy| policy.strategy == Strategy::Pull);
        let deadline = (!pulls).then(|| cx.now + self.accept_timeout(cx));
        let fresh = matches!(here.pending, Pending::Nothing);
        let mut decision = decision.filter(|_| fresh);
        if fresh && decision.is_none() {
            // More agents for an announcement that has ended meanwhile: the group hears that it is back in line.
            return;
        }
        for agents in agents.chunks(ANNOUNCED_MAX) {
            let agents = agents.to_vec();
            let event = match decision.take() {
                Some(decision) => Event::AnnouncedBy { agents, deadline, decision },
                None => Event::AnnouncedTo { agents },
            };
            self.record(cx, event, out);
        }
    }

    pub(super) fn accept(
        &mut self,
        cx: &Context<'_>,
        offer: u32,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let Some(agent) = ticket.by.agent() else { return Err(Refusal::NotFound.to(&ticket)) };
        let Some(pending) = self.pending_for(agent).filter(|pending| pending.offer == offer) else {
            return Err(self.what_became_of(agent, offer, &ticket).to(&ticket));
        };
        // In time is decided here, not by whether the deadline was acted on already (design §3.7, AD-18).
        if pending.deadline.is_some_and(|deadline| deadline <= cx.now) {
            return Err(Refusal::OfferTimedOut.to(&ticket));
        }
        match pending.kind {
            OfferKind::Announcement => {
                let purpose = Purpose::Accept { ticket, offer };
                out.tell_agent(agent, self.claim(purpose));
                return Ok(());
            }
            OfferKind::Offer => {
                self.begin(&ticket, out);
                if let Some(party) = self.offered_party() {
                    self.give(cx, party, Handing::to(AssignCause::Accepted), out);
                }
            }
            OfferKind::Handover => {
                self.begin(&ticket, out);
                self.accept_handover(cx, out);
            }
            OfferKind::Invitation if cx.policy.invite_uses_slot && !self.is_team() => {
                let purpose = Purpose::Help { ticket, offer };
                out.tell_agent(agent, self.claim(purpose));
                return Ok(());
            }
            OfferKind::Invitation => {
                self.begin(&ticket, out);
                self.join(cx, agent, out);
            }
        }
        self.done(&ticket, out);
        Ok(())
    }

    fn offered_party(&self) -> Option<Party> {
        let State::Waiting(stay) = &self.state else { return None };
        match &stay.pending {
            Pending::Offer { agent, name, .. } => Some(Party { agent: *agent, name: name.clone() }),
            Pending::Announcement { .. } | Pending::Nothing => None,
        }
    }

    /// Why an agent can't accept or decline what is not pending for them.
    fn what_became_of(&self, agent: AgentId, offer: u32, ticket: &Ticket) -> Refusal {
        let may_know = self.was_offered(agent, offer) || self.last_owner == Some(agent);
        if !may_know && !self.may_read(ticket) {
            return Refusal::NotFound;
        }
        match (self.past_outcome(agent, offer), self.owner()) {
            (Some(OfferOutcome::TimedOut), _) => Refusal::OfferTimedOut,
            (Some(OfferOutcome::Rescinded(RescindReason::AlreadyTaken)), Some(owner)) => {
                Refusal::AlreadyTaken(owner.agent)
            }
            (Some(_) | None, _) => Refusal::OfferEnded,
        }
    }

    pub(super) fn decline(
        &mut self,
        cx: &Context<'_>,
        offer: u32,
        ticket: &Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let Some(agent) = ticket.by.agent() else { return Err(Refusal::NotFound.to(ticket)) };
        let Some(pending) = self.pending_for(agent).filter(|pending| pending.offer == offer) else {
            return Err(self.what_became_of(agent, offer, ticket).to(ticket));
        };
        if pending.deadline.is_some_and(|deadline| deadline <= cx.now) {
            return Err(Refusal::OfferTimedOut.to(ticket));
        }
        self.begin(ticket, out);
        match pending.kind {
            OfferKind::Offer => self.end_offer(cx, OfferOutcome::Declined, out),
            OfferKind::Announcement => self.decline_announcement(cx, agent, out),
            OfferKind::Handover => self.end_handover(cx, OfferOutcome::Declined, out),
            OfferKind::Invitation => {
                self.record(cx, Event::InvitationEnded { agent, outcome: OfferOutcome::Declined }, out);
            }
        }
        self.done(ticket, out);
        Ok(())
    }

    fn decline_announcement(&mut self, cx: &Context<'_>, agent: AgentId, out: &mut Out<Event>) {
        self.record(cx, Event::OfferEnded { agent, outcome: OfferOutcome::Declined }, out);
        let State::Waiting(stay) = &self.state else { return };
        let Pending::Announcement { agents, declined, deadline, .. } = &stay.pending else { return };
        // A broadcast ends early when all declined; a pull queue goes on waiting for others.
        if deadline.is_some() && declined.len() == agents.len() {
            self.end_announcement(cx, out);
        }
    }

    /// Ends the pending offer to one agent and goes on to the next.
    pub(super) fn end_offer(&mut self, cx: &Context<'_>, outcome: OfferOutcome, out: &mut Out<Event>) {
        let State::Waiting(stay) = &self.state else { return };
        let Pending::Offer { agent, held, .. } = stay.pending else { return };
        self.record(cx, Event::OfferEnded { agent, outcome }, out);
        let end = if outcome == OfferOutcome::TimedOut { End::Missed } else { End::Freed };
        out.tell_agent(agent, agent::Command::Release { conversation: self.id, epoch: held, end });
        self.go_on(cx, false, out);
    }

    /// Ends a broadcast that nobody took: a miss for nobody.
    pub(super) fn end_announcement(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        let outcome = OfferOutcome::Rescinded(RescindReason::WaitedTooLong);
        self.record(cx, Event::AnnouncementEnded { outcome }, out);
        self.go_on(cx, true, out);
    }

    /// After an offer, or an announcement to all, ended: the next one, or nobody.
    fn go_on(&mut self, cx: &Context<'_>, to_all: bool, out: &mut Out<Event>) {
        let State::Waiting(stay) = &self.state else { return };
        let limit = match cx.policy.group(&stay.group).map(|policy| (policy.strategy, policy.max_offers)) {
            // Whoever the visitor preferred was asked before the others, not instead of them.
            Some((Strategy::Broadcast, None)) => to_all.then_some(1),
            Some((Strategy::Pull, _)) | None => None,
            Some((_, max)) => max,
        };
        if limit.is_some_and(|limit| stay.offers >= limit) {
            self.nobody(cx, crate::routing::FallbackReason::OffersExhausted, true, out);
        } else if stay.wait_until.is_some_and(|until| until <= cx.now) {
            self.ask_why(cx, out);
        } else {
            self.line_up(false, out);
        }
    }

    /// Asks the group why the stay was not served, once it has waited long enough.
    pub(super) fn ask_why(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        let State::Waiting(stay) = &mut self.state else { return };
        if stay.wait_until.is_none_or(|until| cx.now < until) {
            return;
        }
        stay.ask_at = Some(cx.now + super::ASK_AGAIN);
        let tried = stay.tried.to_vec();
        let command = group::Command::WaitedTooLong { conversation: self.id, stay: stay.number, tried };
        out.tell_group(&stay.group, command);
    }

    /// The group can't serve it; a pending offer is never cut short.
    pub(super) fn unserved(&mut self, cx: &Context<'_>, stay: u32, why: Unserved, out: &mut Out<Event>) {
        let State::Waiting(here) = &self.state else { return };
        let open_ended = match &here.pending {
            Pending::Nothing => false,
            Pending::Announcement { deadline: None, .. } => true,
            Pending::Offer { .. } | Pending::Announcement { .. } => return,
        };
        if here.number != stay {
            return;
        }
        let tried = !here.tried.is_empty();
        // Wherever it goes from here, nobody is to accept it here any more.
        if open_ended {
            let outcome = OfferOutcome::Rescinded(RescindReason::WaitedTooLong);
            self.record(cx, Event::AnnouncementEnded { outcome }, out);
        }
        if !self.next_rule(cx, &why, out) {
            self.not_served(cx, why, tried, out);
        }
    }

    /// The agent is gone for good: what is pending for them goes on, without a miss.
    pub(super) fn agent_gone(
        &mut self,
        cx: &Context<'_>,
        agent: AgentId,
        why: RescindReason,
        out: &mut Out<Event>,
    ) {
        let gone = OfferOutcome::Rescinded(why);
        match &self.state {
            State::Waiting(stay) => {
                if matches!(stay.pending, Pending::Offer { agent: to, .. } if to == agent) {
                    self.end_offer(cx, gone, out);
                }
            }
            State::Active(active) => {
                let hands_to = active.handover.as_ref().is_some_and(|handover| handover.to.agent == agent);
                let owner_is_gone = active.owner.agent == agent;
                let requeues =
                    cx.policy.group(&active.group).is_some_and(|policy| policy.requeue_on_disconnect);
                if hands_to {
                    self.end_handover(cx, gone, out);
                } else if owner_is_gone && requeues {
                    self.give_back(cx, crate::routing::QueueCause::Requeued, out);
                }
            }
            State::New
            | State::Bot
            | State::Missed { .. }
            | State::Closed { .. }
            | State::Choosing { .. }
            | State::Team => {}
        }
    }
}
