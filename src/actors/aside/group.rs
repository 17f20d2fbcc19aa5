//! A group that stands aside: closed for routing, and its line overflows.

use super::Subject;
use crate::{
    actors::{faults, group::GroupActor, shell::Shell as _, supervision::guard},
    routing::{
        By, Refusal, Reply, Ticket, aside,
        group::{Command, Event},
    },
};

impl GroupActor {
    /// Fallen too often.
    pub(in crate::actors) fn put_aside(&mut self) {
        let id = self.durable.id().clone();
        tracing::error!(group = %id, "a group fell too often and stands aside: it is closed for routing");
        self.aside = true;
        let now = self.space.local.now();
        self.record(now, By::System, None, vec![Event::Quarantined { at: now }]);
        self.space.set_aside(Subject::Group(id), now);
        self.machine = self.durable.clone();
        // Whoever waits says so, and is turned away by the answer.
        self.ask_line(&self.line());
    }

    /// What comes for a group that stands aside.
    pub(in crate::actors) fn stand_aside(&mut self, command: Command) {
        match command {
            Command::Reinstate { ticket } => self.come_back(&ticket),
            command => self.space.pass_on(aside::to_group(self.durable.id(), command)),
        }
    }

    fn come_back(&mut self, ticket: &Ticket) {
        let id = self.durable.id().clone();
        let reinstated = Event::Reinstated { by: ticket.by };
        let mut durable = self.durable.clone();
        durable.evolve(&reinstated);
        let rebuild = || {
            faults::in_rebuild(&self.durable, &"");
            self.from(durable)
        };
        let Some((machine, line, members)) = guard(rebuild) else {
            tracing::error!(group = %id, "a group can't be rebuilt and still stands aside");
            return ticket.reply_to.into_iter().for_each(|to| self.space.answer(to, Err(Refusal::Failed)));
        };
        self.record(self.space.local.now(), ticket.by, None, vec![reinstated]);
        self.machine = machine;
        self.aside = false;
        self.failures = Default::default();
        self.space.taken_back(&Subject::Group(id.clone()));
        tracing::info!(group = %id, "takes part again");
        self.ask_round(&line, &members);
        ticket.reply_to.into_iter().for_each(|to| self.space.answer(to, Ok(Reply::Done)));
    }
}
