//! Standing aside, as the shells do it: a machine that falls too often is not run any more. What is recorded and told then, what comes
//! of commands for it, and how it takes part again (design §3.5).

use std::time::Duration;

use maitred::{
    ids::{AgentId, ConversationId, GroupId},
    routing::{
        By, FallbackReason, Machine as _, Remains, RescindReason, Tell, Ticket,
        agent::{self, Agent},
        aside,
        conversation::{self, Conversation, Event, Phase, Record},
        group::{self, Group, Standing},
        notice::Before,
        recovery::Entry,
        workspace::{self, Workspace},
    },
};

use crate::{
    bugs::Bug,
    people::Todo,
    world::{Address, Sim},
};

/// What a command leaves of itself that a machine fell over.
pub(crate) fn remains_of(tell: &Tell) -> Option<Remains> {
    match tell {
        Tell::Workspace(command) => Workspace::remains(command),
        Tell::Group(_, command) => Group::remains(command),
        Tell::Agent(_, command) => Agent::remains(command),
        Tell::Conversation(_, command) => Conversation::remains(command),
    }
}

impl Sim {
    /// Whether a machine stands aside.
    pub(crate) fn is_aside(&self, address: &Address) -> bool {
        match address {
            Address::Workspace => false,
            Address::Group(id) => {
                self.world.groups.get(id).is_some_and(|group| group.quarantined().is_some())
            }
            Address::Agent(id) => {
                self.world.agents.get(id).is_some_and(|agent| agent.quarantined().is_some())
            }
            Address::Conversation(id) => {
                self.world.conversations.get(id).is_some_and(|it| it.is_quarantined())
            }
        }
    }

    /// It fell once too often. A workspace and what was never opened are only rebuilt here.
    pub(crate) fn set_aside(&mut self, address: &Address) {
        match address {
            Address::Workspace => return,
            Address::Group(id) => self.set_group_aside(id),
            Address::Agent(id) => self.set_agent_aside(*id),
            Address::Conversation(id) => self.set_conversation_aside(*id),
        }
        let soon = self.now + self.rng.micros(100_000, 60_000_000);
        self.people.at(soon, Todo::Reinstate(address.clone()));
    }

    fn set_group_aside(&mut self, id: &GroupId) {
        let events = vec![group::Event::Quarantined { at: self.now }];
        self.record(Entry::Group { id: id.clone(), events });
        self.world.groups.insert(id.clone(), self.folded_group(id));
        for conversation in self.line_of(id) {
            let ask = conversation::Command::AskWaiting { group: id.clone() };
            self.post(Tell::Conversation(conversation, ask));
        }
    }

    fn set_agent_aside(&mut self, id: AgentId) {
        let (at, events) = (self.now, vec![agent::Event::Quarantined]);
        self.record(Entry::Agent { id, at, by: By::System, key: None, events });
        let folded = self.folded_agent(id);
        let groups = folded.profile().groups.clone();
        self.world.agents.insert(id, folded);
        self.oracle.rests_no_more(id);
        let asked = self.world.conversations.values().filter(|it| it.pending_for(id).is_some());
        let asked: Vec<ConversationId> = asked.map(|it| it.id()).collect();
        for conversation in asked {
            let why = RescindReason::Removed;
            self.post(Tell::Conversation(conversation, conversation::Command::AgentGone { agent: id, why }));
        }
        for group in groups.into_iter().chain([GroupId::everyone()]) {
            let standing = self.no_standing(id);
            self.post(Tell::Group(group.clone(), group::Command::Member { agent: id, standing }));
            self.post(Tell::Group(group, group::Command::Forgotten { agent: id }));
        }
    }

    fn no_standing(&self, id: AgentId) -> Standing {
        let cx = self.context();
        let standing = self.world.agents.get(&id).map(|agent| agent.standing(&cx));
        let unknown = Agent::new(id).standing(&cx);
        Standing { present: false, cap: 0, taken: 0, ..standing.unwrap_or(unknown) }
    }

    fn set_conversation_aside(&mut self, id: ConversationId) {
        let Some(machine) = self.world.conversations.get_mut(&id).filter(|it| it.phase().is_some()) else {
            return;
        };
        let (before, numbers) = (Before::of(machine), machine.numbers());
        let mut holders: Vec<AgentId> = machine.holds().iter().map(|(agent, ..)| *agent).collect();
        let group = machine.group().cloned();
        let mut events = vec![Event::Quarantined];
        if matches!(machine.phase(), Some(Phase::Waiting | Phase::Offered)) {
            let message = Some("please come back later".into());
            let expires = self.now + self.plan.policy.missed_ttl;
            events.push(Event::FellBack { reason: FallbackReason::Quarantined, message, expires });
        }
        let record = Record { at: self.now, by: By::System, key: None, events };
        machine.replay(&record);
        self.record(Entry::Conversation { id, record });
        self.publish(id, &before, numbers);
        if self.has(Bug::AsideKeepsSlot) {
            holders.clear();
        }
        for agent in holders {
            let holds = agent::Command::Holds { conversation: id, epoch: 0, held: None, grant: 0 };
            self.post(Tell::Agent(agent, holds));
        }
        if let Some(group) = group {
            self.post(Tell::Group(group, group::Command::Leave { conversation: id }));
        }
    }

    // === Meanwhile ===

    /// What comes for somebody who stands aside.
    pub(crate) fn stand_aside(&mut self, tell: Tell) {
        let comes_back = matches!(
            tell,
            Tell::Group(_, group::Command::Reinstate { .. })
                | Tell::Agent(_, agent::Command::Reinstate { .. })
                | Tell::Conversation(_, conversation::Command::ReopenGranted { .. })
        );
        if comes_back {
            // As after a failure, it takes a while until all know.
            self.oracle.calm_since = self.oracle.calm_since.max(self.now);
            self.oracle.failed_at = self.now;
        }
        match tell {
            Tell::Group(id, group::Command::Reinstate { .. }) => {
                let events = vec![group::Event::Reinstated { by: By::Supervisor }];
                self.record(Entry::Group { id: id.clone(), events });
                self.rebuild_group(&id);
            }
            Tell::Agent(id, agent::Command::Reinstate { .. }) => {
                let (at, events) = (self.now, vec![agent::Event::Reinstated]);
                self.record(Entry::Agent { id, at, by: By::Supervisor, key: None, events });
                if !self.has(Bug::StaysAside) {
                    self.rebuild_agent(id);
                }
            }
            Tell::Conversation(id, conversation::Command::Reinstate { ticket }) => self.ask_back(id, ticket),
            Tell::Conversation(id, conversation::Command::ReopenGranted { ticket, .. }) => {
                self.tell_conversation(id, conversation::Command::Reinstate { ticket });
            }
            Tell::Group(_, group::Command::Enqueue(_)) if self.has(Bug::AsideKeepsLine) => {}
            Tell::Group(id, command) => self.pass_on(aside::to_group(&id, command)),
            Tell::Agent(id, command) => {
                let profile = self.world.agents.get(&id).filter(|agent| agent.exists());
                let profile = profile.map(|agent| agent.profile().clone());
                self.pass_on(aside::to_agent(id, command, self.no_standing(id), profile));
            }
            Tell::Conversation(id, command) => self.pass_on(aside::to_conversation(id, command)),
            Tell::Workspace(_) => {}
        }
    }

    /// An open one has to be its visitor's only one: the workspace knows.
    fn ask_back(&mut self, conversation: ConversationId, ticket: Ticket) {
        let Some(machine) = self.world.conversations.get(&conversation) else { return };
        let visitor = machine.visitor().filter(|_| machine.phase() != Some(Phase::Closed));
        match visitor.map(|(visitor, channel, _)| (visitor, channel.clone())) {
            Some((visitor, channel)) => {
                let reopen = workspace::Command::Reopen {
                    visitor,
                    channel,
                    conversation,
                    epoch: 0,
                    engages: false,
                    ticket,
                };
                self.post(Tell::Workspace(reopen));
            }
            None => self.tell_conversation(conversation, conversation::Command::Reinstate { ticket }),
        }
    }

    /// A supervisor wants one of those who stand aside to take part again.
    pub(crate) fn reinstate(&mut self, address: Address) {
        if !self.is_aside(&address) {
            return;
        }
        let ticket = Ticket { by: By::Supervisor, ..Ticket::system() };
        match address {
            Address::Workspace => {}
            Address::Group(id) => self.post(Tell::Group(id, group::Command::Reinstate { ticket })),
            Address::Agent(id) => self.post(Tell::Agent(id, agent::Command::Reinstate { ticket })),
            Address::Conversation(id) => {
                self.post(Tell::Conversation(id, conversation::Command::Reinstate { ticket }));
                // Refused while the visitor has another one open: asked again.
                self.people
                    .at(self.now + Duration::from_secs(20), Todo::Reinstate(Address::Conversation(id)));
            }
        }
    }
}
