//! Changing hands: take, assign, transfer with handover, invite, leave.

use smol_str::SmolStr;

use super::{
    Ask, Conversation, Destination, Event, Message, Party, Pending, Phase, Purpose, State, open::Entry,
};
use crate::{
    ids::{AgentId, GroupId},
    routing::{
        Context, Decision, Out, Refusal, Refused,
        agent::{self, End, Held},
        group,
        words::{AssignCause, By, CloseReason, OfferOutcome, QueueCause, RescindReason, Ticket},
    },
};

/// How somebody becomes the owner.
pub(super) struct Handing {
    pub(super) cause: AssignCause,
    /// Whether the owner before stays as a participant.
    pub(super) keep: bool,
    pub(super) decision: Option<Box<Decision>>,
}

impl Handing {
    pub(super) fn to(cause: AssignCause) -> Self {
        Self { cause, keep: false, decision: None }
    }
}

impl Conversation {
    /// Makes an agent who holds a slot the owner. Everybody else's slot is freed, and the queue is left.
    pub(super) fn give(&mut self, cx: &Context<'_>, party: Party, handing: Handing, out: &mut Out<Event>) {
        self.free_slots(Some(party.agent), out);
        self.leave_queue(out);
        let agent = party.agent;
        let Handing { cause, keep, decision } = handing;
        self.record(cx, Event::Assigned { agent, name: party.name, cause, keep, decision }, out);
        let confirm = agent::Command::Confirm { conversation: self.id, epoch: self.epoch, held: Held::Owned };
        out.tell_agent(agent, confirm);
    }

    /// Asks an agent for a slot.
    pub(super) fn claim(&self, purpose: Purpose) -> agent::Command {
        let (conversation, epoch, site) = (self.id, self.epoch, self.site().cloned());
        agent::Command::Claim { conversation, epoch, site, purpose }
    }

    /// Frees the slots of all but one agent, as far as they own it or are offered it: who helps goes on.
    pub(super) fn free_slots(&self, but: Option<AgentId>, out: &mut Out<Event>) {
        for (agent, epoch, held) in self.holds().into_iter().filter(|(agent, ..)| Some(*agent) != but) {
            if held != Held::Helping {
                let end = End::Freed;
                out.tell_agent(agent, agent::Command::Release { conversation: self.id, epoch, end });
                self.confirm_help(agent, out);
            }
        }
    }

    /// Who was offered what they help in, and does not get it, goes on helping with a slot of theirs.
    fn confirm_help(&self, agent: AgentId, out: &mut Out<Event>) {
        if let Some((_, epoch)) = self.helpers.iter().find(|(helper, _)| *helper == agent) {
            let (conversation, epoch, held) = (self.id, *epoch, Held::Helping);
            out.tell_agent(agent, agent::Command::Confirm { conversation, epoch, held });
        }
    }

    /// A participant or the owner leaves; a slot that they helped with is free.
    fn part(&mut self, cx: &Context<'_>, agent: AgentId, out: &mut Out<Event>) {
        if let Some((_, epoch)) = self.helpers.iter().find(|(helper, _)| *helper == agent) {
            let (conversation, epoch, end) = (self.id, *epoch, End::Freed);
            out.tell_agent(agent, agent::Command::Release { conversation, epoch, end });
        }
        self.record(cx, Event::Left { agent }, out);
    }

    pub(super) fn leave_queue(&self, out: &mut Out<Event>) {
        if let State::Waiting(stay) = &self.state {
            out.tell_group(&stay.group, group::Command::Leave { conversation: self.id });
        }
    }

    /// Takes it from the queue, or out of `missed`, perhaps by answering.
    pub(super) fn take(
        &mut self,
        cx: &Context<'_>,
        say: Option<Message>,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let Some(agent) = ticket.by.agent() else {
            return Err(
                Refusal::Invalid("only an agent can take a conversation: assign it instead").to(&ticket)
            );
        };
        if !self.may_read(&ticket) {
            return Err(Refusal::NotFound.to(&ticket));
        }
        self.for_visitors_only(&ticket)?;
        let pulls =
            self.group().and_then(|group| cx.policy.group(group)).is_none_or(|policy| policy.allow_pull);
        match (&self.state, self.owner()) {
            (State::Waiting(_), _) if !pulls => {
                return Err(
                    Refusal::WrongState("this group's members are asked: wait for the offer").to(&ticket)
                );
            }
            (State::Bot | State::Waiting(_) | State::Missed { .. }, _) => {}
            (_, Some(owner)) if owner.agent == agent => {
                return Err(Refusal::WrongState("it is yours already").to(&ticket));
            }
            (_, Some(owner)) => return Err(Refusal::AlreadyTaken(owner.agent).to(&ticket)),
            _ => return Err(Refusal::ConversationClosed.to(&ticket)),
        }
        let purpose = Purpose::Take { ticket, say };
        out.tell_agent(agent, self.claim(purpose));
        Ok(())
    }

    /// Gives it to an agent or group; who assigns need not join (BR-2).
    pub(super) fn assign(
        &mut self,
        to: Destination,
        force: bool,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let may = match ticket.by {
            By::Agent(_) => self.may_read(&ticket),
            By::Supervisor | By::Admin | By::Frontend => true,
            By::Visitor(_) | By::Bot | By::System => false,
        };
        if !may || (force && !ticket.by.is_supervisor()) {
            return Err(Refusal::NotFound.to(&ticket));
        }
        if self.phase() == Some(Phase::Closed) {
            return Err(Refusal::ConversationClosed.to(&ticket));
        }
        self.for_visitors_only(&ticket)?;
        match to {
            Destination::Agent(agent) if self.owner().is_some_and(|owner| owner.agent == agent) => {
                Err(Refusal::WrongState("that agent owns it already").to(&ticket))
            }
            Destination::Agent(agent) => {
                let purpose = Purpose::Assign { ticket, force };
                out.tell_agent(agent, self.claim(purpose));
                Ok(())
            }
            Destination::Group(group) => {
                self.request_entry(&group, QueueCause::Assigned, ticket, true, out);
                Ok(())
            }
        }
    }

    fn request_entry(
        &self,
        group: &GroupId,
        cause: QueueCause,
        ticket: Ticket,
        leave: bool,
        out: &mut Out<Event>,
    ) {
        let (conversation, epoch) = (self.id, self.epoch);
        out.tell_group(group, group::Command::RequestEntry { conversation, epoch, cause, ticket, leave });
    }

    pub(super) fn transfer(
        &mut self,
        to: Destination,
        leave: bool,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let may = match ticket.by {
            By::Agent(agent) => self.has_part(agent),
            By::Supervisor | By::Admin => true,
            By::Visitor(_) | By::Frontend | By::Bot | By::System => false,
        };
        if !may {
            return Err(Refusal::NotFound.to(&ticket));
        }
        let State::Active(active) = &self.state else {
            return Err(Refusal::WrongState(
                "only an active conversation can be transferred: assign it instead",
            )
            .to(&ticket));
        };
        match to {
            Destination::Group(group) => {
                self.request_entry(&group, QueueCause::Transfer, ticket, leave, out);
                Ok(())
            }
            Destination::Agent(agent) if active.owner.agent == agent => {
                Err(Refusal::WrongState("that agent owns it already").to(&ticket))
            }
            Destination::Agent(_) if active.handover.is_some() => {
                Err(Refusal::WrongState("a handover is pending: wait for its end").to(&ticket))
            }
            Destination::Agent(agent) => {
                let purpose = Purpose::Handover { ticket, leave };
                out.tell_agent(agent, self.claim(purpose));
                Ok(())
            }
        }
    }

    /// The group takes it in: the owner's slot is freed and a new stay begins, in one step (ZD-13).
    #[expect(clippy::too_many_arguments, reason = "the parts of one command")]
    pub(super) fn admitted(
        &mut self,
        cx: &Context<'_>,
        group: GroupId,
        epoch: u32,
        cause: QueueCause,
        ticket: &Ticket,
        leave: bool,
        out: &mut Out<Event>,
    ) {
        match self.recall(ticket.key.as_ref()) {
            Ok(None) => {}
            Ok(Some(reply)) => return out.answer(ticket, reply),
            Err(refusal) => return out.refuse(ticket, refusal),
        }
        if epoch != self.epoch {
            self.give_engagement_back(out);
            return out
                .refuse(ticket, Refusal::WrongState("the conversation has changed meanwhile: look again"));
        }
        if self.needs_grant() {
            let ask = Ask::Assign { to: Destination::Group(group), force: false };
            return self.ask_for_engagement(ask, ticket.clone(), out);
        }
        self.begin(ticket, out);
        let policy = cx.policy.group(&group);
        let bars = cause == QueueCause::Transfer && policy.is_some_and(|policy| policy.bar_after_transfer);
        let barred = ticket.by.agent().filter(|_| bars);
        let keeps_age = policy.is_some_and(|policy| policy.keep_age_on_transfer);
        let since = keeps_age.then(|| self.opened_at()).flatten();
        self.free_slots(None, out);
        self.leave_queue(out);
        let owner = self.owner().map(|owner| owner.agent);
        if let Some(owner) = owner
            && (leave || ticket.by.agent() != Some(owner))
        {
            self.record(cx, Event::Left { agent: owner }, out);
        }
        // A participant who transfers and leaves goes too.
        if let Some(agent) = ticket.by.agent().filter(|agent| leave && self.is_participant(*agent)) {
            self.part(cx, agent, out);
        }
        self.stay_on(owner.filter(|owner| !leave && ticket.by.agent() == Some(*owner)), cx, out);
        self.enter(cx, Entry { barred, since, ..Entry::new(group, cause) }, out);
        self.done(ticket, out);
    }

    /// An owner who transfers without leaving goes on as a participant.
    fn stay_on(&mut self, owner: Option<AgentId>, cx: &Context<'_>, out: &mut Out<Event>) {
        let Some(agent) = owner else { return };
        if let Some(name) = self.owner().map(|owner| owner.name.clone()) {
            self.record(cx, Event::Joined { agent, name }, out);
        }
    }

    pub(super) fn start_handover(
        &mut self,
        cx: &Context<'_>,
        to: Party,
        leave: bool,
        ticket: &Ticket,
        out: &mut Out<Event>,
    ) {
        self.begin(ticket, out);
        let deadline = cx.now + self.accept_timeout(cx);
        let agent = to.agent;
        // They are asked one thing at a time: to own it instead of to help.
        if self.invitations.iter().any(|invitation| invitation.party.agent == agent) {
            let outcome = OfferOutcome::Rescinded(RescindReason::Moved);
            self.record(cx, Event::InvitationEnded { agent, outcome }, out);
        }
        let Some(from) = self.owner().map(|owner| owner.agent) else { return };
        let started = Event::HandoverStarted { from, to: agent, name: to.name, deadline, leave };
        self.record(cx, started, out);
        let confirm =
            agent::Command::Confirm { conversation: self.id, epoch: self.epoch, held: Held::Reserved };
        out.tell_agent(agent, confirm);
        self.done(ticket, out);
    }

    pub(super) fn accept_handover(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        let State::Active(active) = &self.state else { return };
        let Some(handover) = &active.handover else { return };
        let (to, keep) = (handover.to.clone(), !handover.leave);
        self.give(cx, to, Handing { keep, ..Handing::to(AssignCause::Handover) }, out);
    }

    /// A handover failed: the owner keeps it. If they left it goes back to their group at once; if they are absent, when they say so.
    pub(super) fn end_handover(&mut self, cx: &Context<'_>, outcome: OfferOutcome, out: &mut Out<Event>) {
        let State::Active(active) = &self.state else { return };
        let Some(handover) = &active.handover else { return };
        let (to, held, orphaned) = (handover.to.agent, handover.held, handover.orphaned);
        let owner = active.owner.agent;
        self.record(cx, Event::HandoverEnded { to, outcome }, out);
        let end = if outcome == OfferOutcome::TimedOut { End::Missed } else { End::Freed };
        out.tell_agent(to, agent::Command::Release { conversation: self.id, epoch: held, end });
        self.confirm_help(to, out);
        if orphaned {
            self.give_back(cx, QueueCause::Handover, out);
        } else {
            let (conversation, epoch) = (self.id, self.epoch);
            out.tell_agent(owner, agent::Command::StillThere { conversation, epoch });
        }
    }

    pub(super) fn owner_absent(
        &mut self,
        cx: &Context<'_>,
        agent: AgentId,
        epoch: u32,
        out: &mut Out<Event>,
    ) {
        if epoch == self.epoch && self.owner().is_some_and(|owner| owner.agent == agent) {
            self.give_back(cx, QueueCause::Handover, out);
        }
    }

    /// The owner's conversation goes to its group's queue, at the end of its class.
    pub(super) fn give_back(&mut self, cx: &Context<'_>, cause: QueueCause, out: &mut Out<Event>) {
        let State::Active(active) = &self.state else { return };
        let group = active.group.clone();
        self.free_slots(None, out);
        self.enter(cx, Entry::new(group, cause), out);
    }

    pub(super) fn invite(
        &mut self,
        agent: AgentId,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let may = match ticket.by {
            By::Agent(asker) => self.has_part(asker),
            By::Supervisor | By::Admin => true,
            By::Visitor(_) | By::Frontend | By::Bot | By::System => false,
        };
        if !may {
            return Err(Refusal::NotFound.to(&ticket));
        }
        if !matches!(self.state, State::Active(_) | State::Team) {
            return Err(Refusal::WrongState("only an active conversation takes invitations").to(&ticket));
        }
        if self.has_part(agent) || self.pending_for(agent).is_some() {
            return Err(Refusal::WrongState("that agent takes part or was asked already").to(&ticket));
        }
        out.tell_agent(
            agent,
            agent::Command::Invite { conversation: self.id, site: self.site().cloned(), ticket },
        );
        Ok(())
    }

    pub(super) fn invitable(
        &mut self,
        cx: &Context<'_>,
        party: Party,
        ticket: &Ticket,
        out: &mut Out<Event>,
    ) {
        match self.recall(ticket.key.as_ref()) {
            Ok(None) => {}
            Ok(Some(reply)) => return out.answer(ticket, reply),
            Err(refusal) => return out.refuse(ticket, refusal),
        }
        let asked = self.has_part(party.agent) || self.pending_for(party.agent).is_some();
        if asked || !matches!(self.state, State::Active(_) | State::Team) {
            return out
                .refuse(ticket, Refusal::WrongState("the conversation has changed meanwhile: look again"));
        }
        self.begin(ticket, out);
        let deadline = cx.now + self.accept_timeout(cx);
        self.record(cx, Event::Invited { agent: party.agent, name: party.name, deadline }, out);
        self.done(ticket, out);
    }

    /// They accepted, and hold a slot for it.
    pub(super) fn help(&mut self, cx: &Context<'_>, party: Party, ticket: &Ticket, out: &mut Out<Event>) {
        self.begin(ticket, out);
        let Party { agent, name } = party;
        self.record(cx, Event::Helps { agent, name }, out);
        self.confirm_help(agent, out);
        self.done(ticket, out);
    }

    pub(super) fn join(&mut self, cx: &Context<'_>, agent: AgentId, out: &mut Out<Event>) {
        let invited = self.invitations.iter().find(|invitation| invitation.party.agent == agent);
        if let Some(name) = invited.map(|invitation| invitation.party.name.clone()) {
            self.record(cx, Event::Joined { agent, name }, out);
        }
    }

    /// A supervisor takes part, by a name that visitors may see. They use no slot and are asked nothing.
    pub(super) fn join_as_supervisor(
        &mut self,
        cx: &Context<'_>,
        name: SmolStr,
        ticket: &Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        if !ticket.by.is_supervisor() {
            return Err(Refusal::NotFound.to(ticket));
        }
        if self.phase() == Some(Phase::Closed) {
            return Err(Refusal::ConversationClosed.to(ticket));
        }
        if self.is_participant(Party::SUPERVISOR) {
            return Err(Refusal::WrongState("a supervisor takes part already").to(ticket));
        }
        self.begin(ticket, out);
        self.record(cx, Event::Joined { agent: Party::SUPERVISOR, name }, out);
        self.done(ticket, out);
        Ok(())
    }

    pub(super) fn expire_invitations(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        let over = self.invitations.iter().filter(|invitation| invitation.deadline <= cx.now);
        let over: Vec<AgentId> = over.map(|invitation| invitation.party.agent).collect();
        for agent in over {
            self.record(cx, Event::InvitationEnded { agent, outcome: OfferOutcome::TimedOut }, out);
        }
    }

    /// A participant stops taking part. The owner gives it back to the group, unless a handover decides who goes on.
    pub(super) fn leave(
        &mut self,
        cx: &Context<'_>,
        ticket: &Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let who = ticket.by.agent().or(ticket.by.is_supervisor().then_some(Party::SUPERVISOR));
        let part = who.filter(|agent| self.has_part(*agent));
        let Some(agent) = part else { return Err(Refusal::NotFound.to(ticket)) };
        let owns = self.owner().is_some_and(|owner| owner.agent == agent);
        let handover = match &self.state {
            State::Active(active) => active.handover.as_ref(),
            State::New
            | State::Bot
            | State::Waiting(_)
            | State::Missed { .. }
            | State::Closed { .. }
            | State::Choosing { .. }
            | State::Team => None,
        };
        let hands_over = handover.is_some();
        if owns && handover.is_some_and(|handover| handover.orphaned) {
            return Err(Refusal::WrongState("you have left: the handover decides who goes on").to(ticket));
        }
        self.begin(ticket, out);
        self.part(cx, agent, out);
        if owns && !hands_over {
            self.give_back(cx, QueueCause::Returned, out);
        }
        if self.is_team() && self.participants.is_empty() {
            self.close(cx, CloseReason::ByAgent, out);
        }
        self.done(ticket, out);
        Ok(())
    }

    /// Ends what is pending in a queue without going on to anybody else.
    pub(super) fn end_stay(&mut self, cx: &Context<'_>, outcome: OfferOutcome, out: &mut Out<Event>) {
        let State::Waiting(stay) = &self.state else { return };
        let event = match &stay.pending {
            Pending::Offer { agent, .. } => Some(Event::OfferEnded { agent: *agent, outcome }),
            Pending::Announcement { .. } => Some(Event::AnnouncementEnded { outcome }),
            Pending::Nothing => None,
        };
        self.free_slots(None, out);
        self.leave_queue(out);
        if let Some(event) = event {
            self.record(cx, event, out);
        }
    }
}
