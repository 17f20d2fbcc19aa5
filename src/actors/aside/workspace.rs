//! A workspace that stands aside: nothing is opened and nobody gets a seat, while everything else goes on.

use super::Subject;
use crate::{
    actors::{faults, shell::Shell as _, supervision::guard, workspace::WorkspaceActor},
    routing::{
        By, Refusal, Reply, Ticket,
        aside::{self, Instead},
        workspace::{Command, Event},
    },
};

impl WorkspaceActor {
    /// Fallen too often.
    pub(in crate::actors) fn put_aside(&mut self) {
        tracing::error!(workspace = %self.space.id, "a workspace fell too often and stands aside: it opens nothing more");
        self.aside = true;
        let now = self.space.local.now();
        self.record(now, By::System, None, vec![Event::Quarantined { at: now }]);
        self.space.set_aside(Subject::Workspace, now);
    }

    /// What comes for a workspace that stands aside.
    pub(in crate::actors) fn stand_aside(&mut self, command: Command) {
        if let Command::Reinstate { ticket } = command {
            return self.come_back(&ticket);
        }
        if matches!(command, Command::KeepManaged { .. }) {
            tracing::warn!(workspace = %self.space.id, "agents of the configuration change with the next reload or start: the workspace stands aside");
        }
        let knows = |id: &str| self.durable.tokens().any(|token| token.id == id);
        match aside::to_workspace(command, knows) {
            Instead::Told(undelivered) => self.space.pass_on(undelivered),
            Instead::Recorded(event, ticket) => {
                self.record(self.space.local.now(), ticket.by, None, vec![event]);
                self.answer_done(&ticket);
            }
        }
    }

    fn come_back(&mut self, ticket: &Ticket) {
        let mut durable = self.durable.clone();
        durable.evolve(&Event::Reinstated);
        let rebuild = || {
            faults::in_rebuild(&self.durable, &"");
            self.from(durable)
        };
        let Some(machine) = guard(rebuild) else {
            tracing::error!(workspace = %self.space.id, "a workspace can't be rebuilt and still stands aside");
            return ticket.reply_to.into_iter().for_each(|to| self.space.answer(to, Err(Refusal::Failed)));
        };
        self.record(self.space.local.now(), ticket.by, None, vec![Event::Reinstated]);
        self.machine = machine;
        self.aside = false;
        self.failures = Default::default();
        self.space.taken_back(&Subject::Workspace);
        tracing::info!(workspace = %self.space.id, "takes part again");
        self.answer_done(ticket);
    }

    fn answer_done(&self, ticket: &Ticket) {
        ticket.reply_to.into_iter().for_each(|to| self.space.answer(to, Ok(Reply::Done)));
    }
}
