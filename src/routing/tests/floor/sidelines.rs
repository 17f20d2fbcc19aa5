//! Standing aside, as the shells do it: what is recorded and told by whoever runs a machine that can't be trusted any more.

use std::collections::BTreeSet;

use super::*;
use crate::routing::{RescindReason, agent::Held, group::Standing};

impl Floor {
    pub(super) fn is_aside(&self, id: &GroupId) -> bool {
        self.world.groups.get(id).is_some_and(|group| group.quarantined().is_some())
    }

    pub(super) fn is_agent_aside(&self, id: AgentId) -> bool {
        self.world.agents.get(&id).is_some_and(|agent| agent.quarantined().is_some())
    }

    pub(super) fn is_conversation_aside(&self, id: ConversationId, command: &conversation::Command) -> bool {
        let aside = self.world.conversations.get(&id).is_some_and(|it| it.is_quarantined());
        aside && !matches!(command, conversation::Command::Reinstate { .. })
    }

    fn no_standing(&self, id: AgentId) -> Standing {
        let agent = self.world.agents.get(&id).expect("an agent");
        Standing { present: false, ..agent.standing(&self.context()) }
    }

    pub(super) fn aside_agent(&self, id: AgentId, command: agent::Command) -> Undelivered {
        let profile = self.world.agents.get(&id).map(|agent| agent.profile().clone());
        aside::to_agent(id, command, self.no_standing(id), profile)
    }

    /// An agent stands aside.
    pub(in crate::routing::tests) fn sets_agent_aside(&mut self, name: &str) {
        let id = agent(name);
        self.record_agent(id, agent::Event::Quarantined);
        let offered: Vec<ConversationId> = {
            let machine = self.world.agents.get(&id).expect("an agent");
            machine.holds().filter(|(_, held)| *held == Held::Reserved).map(|(id, _)| id).collect()
        };
        for conversation in offered {
            let gone = conversation::Command::AgentGone { agent: id, why: RescindReason::Removed };
            self.road.push_back(Tell::Conversation(conversation, gone));
        }
        for group in self.groups_of(id) {
            let standing = self.no_standing(id);
            self.road.push_back(Tell::Group(group.clone(), group::Command::Member { agent: id, standing }));
            self.road.push_back(Tell::Group(group, group::Command::Forgotten { agent: id }));
        }
        self.settle();
    }

    /// A supervisor lets an agent take part again.
    pub(in crate::routing::tests) fn reinstates_agent(&mut self, name: &str) {
        let id = agent(name);
        self.record_agent(id, agent::Event::Reinstated);
        let held: BTreeSet<ConversationId> = {
            let conversations = self.world.conversations.values().map(AsRef::as_ref);
            let holds = |it: &&Conversation| it.holds().iter().any(|(holder, ..)| *holder == id);
            conversations.filter(holds).map(Conversation::id).collect()
        };
        let generation = self.generations.entry(id).or_default();
        *generation += 1;
        let generation = *generation;
        self.world.agents.get_mut(&id).expect("an agent").rebuilt(generation, 1, held.clone());
        for conversation in held {
            let ask = conversation::Command::AskHeld { agent: id, grant: 0 };
            self.road.push_back(Tell::Conversation(conversation, ask));
        }
        self.road.push_back(Tell::Agent(id, agent::Command::PolicyChanged));
        self.settle();
    }

    fn groups_of(&self, id: AgentId) -> Vec<GroupId> {
        let profile = self.world.agents.get(&id).expect("an agent").profile();
        profile.groups.iter().cloned().chain([GroupId::everyone()]).collect()
    }

    fn record_agent(&mut self, id: AgentId, event: agent::Event) {
        let at = self.now;
        self.world.agents.get_mut(&id).expect("an agent").evolve(at, &event);
        self.log.push(Entry::Agent { id, at, by: By::System, key: None, events: vec![event] });
    }

    /// A group stands aside.
    pub(in crate::routing::tests) fn sets_group_aside(&mut self, name: &str) {
        self.record_group(name, group::Event::Quarantined { at: self.now });
        self.asks_line(name);
        self.settle();
    }

    /// A supervisor lets a group take part again.
    pub(in crate::routing::tests) fn reinstates_group(&mut self, name: &str) {
        let id = group(name);
        self.record_group(name, group::Event::Reinstated { by: By::Supervisor });
        let members: BTreeSet<AgentId> = {
            let agents = self.world.agents.values();
            agents.filter(|agent| agent.profile().groups.contains(&id)).map(Agent::id).collect()
        };
        let mut rebuilt = Group::new(id.clone());
        rebuilt.rebuilt(self.line_of(name), members.clone());
        self.world.groups.insert(id.clone(), rebuilt);
        for agent in members {
            self.road.push_back(Tell::Agent(agent, agent::Command::Describe { group: id.clone() }));
        }
        self.asks_line(name);
        self.settle();
    }

    fn line_of(&self, name: &str) -> BTreeSet<ConversationId> {
        let here = |it: &&Conversation| it.waiting_since().is_some() && it.group() == Some(&group(name));
        self.world.conversations.values().map(AsRef::as_ref).filter(here).map(Conversation::id).collect()
    }

    fn asks_line(&mut self, name: &str) {
        for conversation in self.line_of(name) {
            let ask = conversation::Command::AskWaiting { group: group(name) };
            self.road.push_back(Tell::Conversation(conversation, ask));
        }
    }

    fn record_group(&mut self, name: &str, event: group::Event) {
        let id = group(name);
        self.world.groups.get_mut(&id).expect("a group").evolve(&event);
        self.log.push(Entry::Group { id, events: vec![event] });
    }

    /// A conversation stands aside; whoever held a slot for it holds it no more.
    pub(in crate::routing::tests) fn sets_conversation_aside(&mut self, visit: Visit) {
        let id = visit.id;
        let machine = self.world.conversations.get_mut(&id).expect("a conversation");
        let holders: Vec<AgentId> = machine.holds().iter().map(|(agent, ..)| *agent).collect();
        let home = machine.group().cloned();
        let mut events = vec![Event::Quarantined];
        if matches!(machine.phase(), Some(Phase::Waiting | Phase::Offered)) {
            let expires = self.now + self.policy.missed_ttl;
            let reason = FallbackReason::Quarantined;
            events.push(Event::FellBack { reason, message: Some("later".into()), expires });
        }
        let record = Record { at: self.now, by: By::System, key: None, events };
        machine.replay(&record);
        self.log.push(Entry::Conversation { id, record });
        for agent in holders {
            let holds = agent::Command::Holds { conversation: id, epoch: 0, held: None, grant: 0 };
            self.road.push_back(Tell::Agent(agent, holds));
        }
        if let Some(group) = home {
            self.road.push_back(Tell::Group(group, group::Command::Leave { conversation: id }));
        }
        self.settle();
    }

    /// A supervisor lets a conversation take part again.
    pub(in crate::routing::tests) fn reinstates(&mut self, visit: Visit) -> Answer {
        let ticket = self.ticket(By::Supervisor, None);
        let command = conversation::Command::Reinstate { ticket: ticket.clone() };
        self.tells_and_waits(Tell::Conversation(visit.id, command), &ticket)
    }

    /// An opening felled its conversation before anything was recorded: what its shell does then comes before the opening.
    pub(in crate::routing::tests) fn fails_opening(&mut self, opening: &Opening) {
        let ticket = Ticket { reply_to: None, ..self.ticket(By::Visitor(opening.visitor), None) };
        let command = conversation::Command::Failed { ticket, opening: true };
        self.road.push_front(Tell::Conversation(opening.asked, command));
    }

    /// A command with this key made something fall.
    pub(in crate::routing::tests) fn fails(&mut self, visit: Visit, by: By, counter: u64) -> Answer {
        let key = Key { client: ClientId::from_bytes([4; 16]), counter, digest: 1 };
        let ticket = self.ticket(by, Some(key));
        let command = conversation::Command::Failed { ticket: ticket.clone(), opening: false };
        self.tells_and_waits(Tell::Conversation(visit.id, command), &ticket)
    }
}
