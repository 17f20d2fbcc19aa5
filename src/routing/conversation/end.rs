//! When nobody can, and when it is over: overflow, fallback, close, abandonment, reopening.

use smol_str::SmolStr;

use super::{CHAIN_MAX, Conversation, Event, Phase, State, Unserved, open::Entry};
use crate::{
    ids::GroupId,
    routing::{
        Context, Out, Refusal, Refused,
        agent::{self, End, Held},
        policy::{WhenClosed, WhenEmpty},
        words::{By, CloseReason, FallbackReason, OfferOutcome, QueueCause, RescindReason, Ticket},
        workspace,
    },
};

impl Conversation {
    /// Finds the reason that holds (design §4), then overflows or falls back.
    pub(super) fn not_served(&mut self, cx: &Context<'_>, why: Unserved, tried: bool, out: &mut Out<Event>) {
        let State::Waiting(stay) = &self.state else { return };
        let rejects =
            cx.policy.group(&stay.group).is_some_and(|policy| policy.when_empty == WhenEmpty::Reject);
        let (reason, may_overflow) = match why {
            Unserved::Empty => (FallbackReason::NobodyOnline, !rejects),
            Unserved::Exhausted if tried => (FallbackReason::OffersExhausted, true),
            Unserved::Exhausted => (FallbackReason::NobodyOnline, true),
            Unserved::Removed { overflow } => {
                return self.go_to(cx, overflow, FallbackReason::GroupRemoved, out);
            }
            Unserved::Because(FallbackReason::ClosedHours) => {
                let policy = cx.policy.group(&stay.group);
                let stays = policy.is_some_and(|policy| policy.when_closed == WhenClosed::Fallback);
                (FallbackReason::ClosedHours, !stays)
            }
            Unserved::Because(reason) => (reason, true),
            // There is nowhere else to ask any more: it waits here.
            Unserved::NotNow => return self.line_up(true, out),
        };
        self.nobody(cx, reason, may_overflow, out);
    }

    /// This group can't: the next one in the chain, or the fallback message.
    pub(super) fn nobody(
        &mut self,
        cx: &Context<'_>,
        reason: FallbackReason,
        may_overflow: bool,
        out: &mut Out<Event>,
    ) {
        let State::Waiting(stay) = &self.state else { return };
        let policy = cx.policy.group(&stay.group);
        let next = policy.and_then(|policy| policy.overflow.clone()).filter(|_| may_overflow);
        self.go_to(cx, next, reason, out);
    }

    fn go_to(
        &mut self,
        cx: &Context<'_>,
        next: Option<GroupId>,
        reason: FallbackReason,
        out: &mut Out<Event>,
    ) {
        let State::Waiting(stay) = &self.state else { return };
        // The agent whose targeted chat it answers can't: to where the trigger says, whatever the reason (BR-18).
        let answers = self.direct(stay).is_some();
        let then = self.then.as_deref().filter(|_| answers).cloned();
        let enabled = |group: &GroupId| cx.policy.group(group).is_some_and(|policy| policy.enabled);
        if let Some(group) = then.filter(enabled) {
            self.leave_queue(out);
            return self.enter(cx, Entry { chain: 1, ..Entry::new(group, QueueCause::Overflow) }, out);
        }
        let next = next.filter(|next| {
            let open = cx.policy.group(next).is_some_and(|policy| policy.enabled);
            open && self.direct(stay).is_none() && stay.chain + 1 < CHAIN_MAX
        });
        let policy = cx.policy.group(&stay.group);
        let chain = stay.chain + 1;
        let preferred = stay.preferred;
        self.leave_queue(out);
        match next {
            Some(group) => {
                self.enter(cx, Entry { chain, preferred, ..Entry::new(group, QueueCause::Overflow) }, out);
            }
            None => {
                let message = policy.unwrap_or(&cx.policy.everyone).fallback_message.clone();
                self.fall_back(cx, reason, message, out);
            }
        }
    }

    /// The visitor is told, and the conversation stays listed as missed.
    pub(super) fn fall_back(
        &mut self,
        cx: &Context<'_>,
        reason: FallbackReason,
        message: Option<SmolStr>,
        out: &mut Out<Event>,
    ) {
        let expires = cx.now + cx.policy.missed_ttl;
        self.record(cx, Event::FellBack { reason, message, expires }, out);
    }

    pub(super) fn visitor_present(&mut self, cx: &Context<'_>, present: bool) {
        self.absent_since = (!present).then(|| self.absent_since.unwrap_or(cx.now));
    }

    /// The visitor has been gone for the whole grace while waiting.
    pub(super) fn abandon(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        self.end_stay(cx, OfferOutcome::Rescinded(RescindReason::VisitorGone), out);
        self.close(cx, CloseReason::Abandoned, out);
    }

    pub(super) fn close_by(
        &mut self,
        cx: &Context<'_>,
        ticket: &Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let reason = match ticket.by {
            By::Visitor(_) if self.may_read(ticket) && self.is_choosing() => CloseReason::NotChosen,
            By::Visitor(_) if self.may_read(ticket) => CloseReason::ByVisitor,
            By::Agent(agent) if self.has_part(agent) => CloseReason::ByAgent,
            // Nobody takes part any more, and who may read it may know that it is over.
            By::Agent(_) if self.phase() == Some(Phase::Closed) && self.may_read(ticket) => {
                return Err(Refusal::ConversationClosed.to(ticket));
            }
            By::Supervisor | By::Admin => CloseReason::BySupervisor,
            _ => return Err(Refusal::NotFound.to(ticket)),
        };
        if self.phase() == Some(Phase::Closed) {
            return Err(Refusal::ConversationClosed.to(ticket));
        }
        self.begin(ticket, out);
        self.end_stay(cx, OfferOutcome::Rescinded(RescindReason::Closed), out);
        self.close(cx, reason, out);
        self.done(ticket, out);
        Ok(())
    }

    /// Over: the slot is freed in the same transition, or rests for the wrap-up.
    pub(super) fn close(&mut self, cx: &Context<'_>, reason: CloseReason, out: &mut Out<Event>) {
        let wrap_up = self
            .group()
            .and_then(|group| cx.policy.group(group))
            .map_or(Default::default(), |policy| policy.wrap_up);
        self.give_engagement_back(out);
        for (agent, epoch, held) in self.holds() {
            let end = match held {
                Held::Owned => End::Closed { until: cx.now + wrap_up },
                Held::Reserved | Held::Helping => End::Freed,
            };
            out.tell_agent(agent, agent::Command::Release { conversation: self.id, epoch, end });
        }
        if let Some((visitor, channel, _)) = self.visitor() {
            let channel = channel.clone();
            let conversation = self.id;
            let led = None;
            out.tell_workspace(workspace::Command::Closed { visitor, channel, conversation, led });
        }
        self.record(cx, Event::Closed { reason }, out);
    }

    /// The workspace has to agree first: the visitor may have another open one.
    pub(super) fn ask_reopen(&mut self, ticket: Ticket, out: &mut Out<Event>) -> Result<(), Refused> {
        let may = match ticket.by {
            By::Agent(agent) => self.in_scope(&ticket) || self.last_owner == Some(agent),
            By::Supervisor | By::Admin => true,
            By::Visitor(_) | By::Frontend | By::Bot | By::System => false,
        };
        let Some(opened) = self.opened.as_ref().filter(|_| may) else {
            return Err(Refusal::NotFound.to(&ticket));
        };
        if self.phase() != Some(Phase::Closed) {
            return Err(Refusal::WrongState("only a closed conversation can be reopened").to(&ticket));
        }
        self.for_visitors_only(&ticket)?;
        let (visitor, channel) = (opened.visitor, opened.channel.clone());
        let (conversation, epoch, engages) = (self.id, self.epoch, self.needs_grant());
        let reopen = workspace::Command::Reopen { visitor, channel, conversation, epoch, engages, ticket };
        out.tell_workspace(reopen);
        Ok(())
    }

    /// Same id, history kept: to the previous owner if they are eligible, else routed (BO-29).
    pub(super) fn reopen(&mut self, cx: &Context<'_>, epoch: u32, ticket: &Ticket, out: &mut Out<Event>) {
        match self.recall(ticket.key.as_ref()) {
            Ok(None) => {}
            Ok(Some(reply)) => return out.answer(ticket, reply),
            Err(refusal) => return out.refuse(ticket, refusal),
        }
        if self.phase() != Some(Phase::Closed) {
            return out.refuse(ticket, Refusal::WrongState("only a closed conversation can be reopened"));
        }
        // It was open again meanwhile: the workspace hears of the newer close behind its permission, and lets others open.
        if epoch != self.epoch {
            return out
                .refuse(ticket, Refusal::WrongState("the conversation has changed meanwhile: look again"));
        }
        self.begin(ticket, out);
        self.record(cx, Event::Reopened, out);
        self.start_flow(cx, true, out);
        if self.is_ruled(cx) {
            self.route_undecided(cx, QueueCause::Reopened, self.last_owner, out);
        } else {
            let group = self.home.clone().or_else(|| cx.policy.default_group.clone());
            self.route(cx, group, QueueCause::Reopened, self.last_owner, out);
        }
        self.done(ticket, out);
    }
}
