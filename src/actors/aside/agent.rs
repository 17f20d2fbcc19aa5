//! An agent who stands aside: offered nothing new, and what they have stays theirs.

use super::Subject;
use crate::{
    actors::{agent::AgentActor, faults, shell::Shell as _, supervision::guard},
    ids::GroupId,
    routing::{
        By, Refusal, Reply, RescindReason, Tell, Ticket, WhyNot,
        agent::{Command, Event},
        aside, conversation,
        group::{self, Standing},
    },
};

impl AgentActor {
    /// Fallen too often.
    pub(in crate::actors) fn put_aside(&mut self) {
        let id = self.machine.id();
        tracing::error!(agent = %id, "an agent fell too often and stands aside: they are offered nothing more");
        self.aside = true;
        let now = self.space.local.now();
        self.record(now, By::System, None, vec![Event::Quarantined]);
        self.space.set_aside(Subject::Agent(id), now);
        self.machine = self.durable.clone();
        // What was only offered to them goes on to others, and is a miss for nobody.
        let offers: Vec<_> = {
            let ledger = self.space.ledger.borrow();
            ledger.mine(id).map(|mine| mine.offers.keys().copied().collect()).unwrap_or_default()
        };
        for conversation in offers {
            let gone = conversation::Command::AgentGone { agent: id, why: RescindReason::Removed };
            self.space.tell(Tell::Conversation(conversation, gone));
        }
        let everyone = GroupId::everyone();
        let groups: Vec<GroupId> = self.durable.profile().groups.iter().chain([&everyone]).cloned().collect();
        for group in groups {
            let member = group::Command::Member { agent: id, standing: self.no_standing() };
            self.space.tell(Tell::Group(group.clone(), member));
            self.space.tell(Tell::Group(group, group::Command::Forgotten { agent: id }));
        }
    }

    /// How somebody stands who stands aside.
    fn no_standing(&self) -> Standing {
        Standing {
            name: self.durable.profile().name.clone(),
            why_not: Some(if self.durable.exists() { WhyNot::Quarantined } else { WhyNot::Removed }),
            full: WhyNot::AtCap,
            present: false,
            cap: 0,
            taken: 0,
            last_assigned: self.durable.record_of_service().1,
            sites: crate::routing::scope::Sites::default(),
        }
    }

    /// What comes for an agent who stands aside.
    pub(in crate::actors) fn stand_aside(&mut self, command: Command) {
        match command {
            Command::Reinstate { ticket } => self.come_back(&ticket),
            command => {
                let profile = self.durable.exists().then(|| self.durable.profile().clone());
                let undelivered = aside::to_agent(self.durable.id(), command, self.no_standing(), profile);
                self.space.pass_on(undelivered);
            }
        }
    }

    fn come_back(&mut self, ticket: &Ticket) {
        let id = self.durable.id();
        let mut durable = self.durable.clone();
        let now = self.space.local.now();
        durable.evolve(now, &Event::Reinstated);
        let rebuild = || {
            faults::in_rebuild(&self.durable, &"");
            self.from(durable)
        };
        let Some((machine, slots)) = guard(rebuild) else {
            tracing::error!(agent = %id, "an agent can't be rebuilt and still stands aside");
            return ticket.reply_to.into_iter().for_each(|to| self.space.answer(to, Err(Refusal::Failed)));
        };
        self.record(now, ticket.by, None, vec![Event::Reinstated]);
        self.machine = machine;
        self.aside = false;
        self.failures = Default::default();
        self.space.taken_back(&Subject::Agent(id));
        tracing::info!(agent = %id, "takes part again");
        self.ask_round(slots);
        ticket.reply_to.into_iter().for_each(|to| self.space.answer(to, Ok(Reply::Done)));
    }
}
