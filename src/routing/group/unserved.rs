//! What can't be served here: turned away at the door, refused, or told why after it has waited.

use super::{Event, Group, Item, Waiting};
use crate::{
    ids::{AgentId, ConversationId},
    routing::{
        Context, Out, Refusal, Refused,
        conversation::{self, Unserved},
        policy::{GroupPolicy, WhenClosed, WhenEmpty},
        queue::{Admits, Fit},
        words::{FallbackReason, QueueCause, Ticket},
    },
};

impl Group {
    /// Why an arrival can't stay; `None`: it may wait.
    pub(super) fn turn_away(&self, cx: &Context<'_>, waiting: &Waiting) -> Option<Unserved> {
        let Some(policy) = cx.policy.group(&self.id) else {
            return Some(Unserved::Removed { overflow: self.overflow.clone() });
        };
        if waiting.asking {
            let knows = !self.held && !self.is_incomplete();
            let nobody = knows && !self.roster.anybody_available(&waiting.fit());
            return (nobody || self.doors.closed || self.is_full(policy)).then_some(Unserved::NotNow);
        }
        if waiting.entering && self.is_full(policy) {
            return Some(Unserved::Because(FallbackReason::QueueFull));
        }
        if waiting.is_spent() {
            return Some(Unserved::Exhausted);
        }
        if self.doors.closed && waiting.entering && policy.when_closed != WhenClosed::Queue {
            return Some(Unserved::Because(FallbackReason::ClosedHours));
        }
        if self.is_still() || self.roster.anybody_present(&waiting.fit()) {
            return None;
        }
        let patient = policy.when_empty == WhenEmpty::Queue && waiting.direct.is_none();
        match (waiting.entering, waiting.tried.is_empty() && waiting.direct.is_none()) {
            (true, _) if patient => None,
            (true, _) => Some(Unserved::Empty),
            // Came back untried, say after a restart: it goes on waiting.
            (false, true) => None,
            (false, false) => Some(Unserved::Exhausted),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one command")]
    pub(super) fn request_entry(
        &mut self,
        cx: &Context<'_>,
        conversation: ConversationId,
        epoch: u32,
        cause: QueueCause,
        ticket: Ticket,
        leave: bool,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let Some(policy) = cx.policy.group(&self.id) else { return Err(Refusal::NotFound.to(&ticket)) };
        // They would not be asked there (ZD-13).
        let alone = policy.bar_after_transfer
            && ticket.by.agent().is_some_and(|agent| self.roster.only_present(agent));
        let empty = self.roster.present() == 0;
        let shut = self.doors.closed && policy.when_closed == WhenClosed::Fallback;
        let refusal = if !policy.enabled {
            Refusal::GroupDisabled
        } else if cause == QueueCause::Transfer && alone {
            Refusal::OnlyAgentOnline
        } else if shut || (empty && !self.doors.closed && policy.when_empty == WhenEmpty::Reject) {
            Refusal::NobodyOnline
        } else if self.is_full(policy) {
            Refusal::QueueFull
        } else {
            let group = self.id.clone();
            let admitted = conversation::Command::Admitted { group, epoch, cause, ticket, leave };
            out.tell_conversation(conversation, admitted);
            return Ok(());
        };
        // What is transferred was engaged long ago.
        if cause != QueueCause::Assigned {
            return Err(refusal.to(&ticket));
        }
        out.tell_conversation(conversation, conversation::Command::NotGranted);
        out.refuse(&ticket, refusal);
        Ok(())
    }

    pub(super) fn waited_too_long(
        &self,
        conversation: ConversationId,
        stay: u32,
        tried: Vec<AgentId>,
        out: &mut Out<Event>,
    ) {
        let item = self.items.get(&conversation);
        let waiting = item.map(|item| Waiting { tried: tried.clone(), ..item.waiting.clone() });
        let fit = waiting.as_ref().map_or_else(|| Admits::except(tried).into(), Waiting::fit);
        let anybody = Fit::anybody(fit.site.clone());
        let spent = waiting.is_some_and(|waiting| waiting.is_spent());
        // The slot of the offer that just ended is as good as free: the agent has been told, but not yet the group.
        let freeing = item.and_then(Item::with);
        let why = if self.doors.closed {
            Unserved::Because(FallbackReason::ClosedHours)
        } else if !self.roster.anybody_present(&anybody) {
            Unserved::Because(FallbackReason::NobodyOnline)
        } else if spent || !self.roster.anybody_present(&fit) {
            Unserved::Exhausted
        } else if self.roster.all_full(&fit, freeing) {
            Unserved::Because(FallbackReason::AllAtCapacity)
        } else {
            Unserved::Because(FallbackReason::WaitedTooLong)
        };
        out.tell_conversation(conversation, conversation::Command::Unserved { stay, why });
    }

    /// Nothing in the line can be served here any more. What is offered goes on until its answer.
    pub(super) fn turn_out(&self, why: &Unserved, out: &mut Out<Event>) {
        for (conversation, item) in self.items.iter().filter(|(_, item)| item.with().is_none()) {
            let (stay, why) = (item.waiting.stay, why.clone());
            out.tell_conversation(*conversation, conversation::Command::Unserved { stay, why });
        }
    }

    pub(super) fn is_full(&self, policy: &GroupPolicy) -> bool {
        policy.queue_max.is_some_and(|max| self.waiting() >= max as usize)
    }
}
