//! The class that a conversation is served in.

use super::{Conversation, Event, Phase};
use crate::routing::{
    Context, Out, Refusal, Refused,
    words::{Priority, Ticket},
};

impl Conversation {
    pub(super) fn set_priority(
        &mut self,
        cx: &Context<'_>,
        priority: Priority,
        ticket: &Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        if !ticket.by.is_supervisor() {
            return Err(Refusal::NotFound.to(ticket));
        }
        if self.phase() == Some(Phase::Closed) {
            return Err(Refusal::ConversationClosed.to(ticket));
        }
        self.for_visitors_only(ticket)?;
        self.begin(ticket, out);
        self.reprioritise(cx, priority, out);
        self.done(ticket, out);
        Ok(())
    }

    /// Changes the class. Who waits goes on at the place that their time of enqueueing has in the new one.
    pub(super) fn reprioritise(&mut self, cx: &Context<'_>, priority: Priority, out: &mut Out<Event>) {
        let changes = self.priority() != priority;
        self.record(cx, Event::Reprioritised { priority }, out);
        if changes {
            self.line_up(false, out);
        }
    }
}
