//! Starting, crashing, and machines that panic: what the daemon does then, as the actors do it.

use std::{collections::BTreeSet, time::Duration};

use maitred::{
    ids::{AgentId, ConversationId, GroupId},
    routing::{
        GroupPolicy, Keeper, Refusal, Remains, RescindReason, Tell,
        agent::{self, Agent, Held},
        conversation::{self, Conversation, Phase, Way},
        group::{self, Group},
        recovery::{Entry, World},
        workspace::Workspace,
    },
};

use crate::{
    asides::remains_of,
    bugs::Bug,
    plan::Faults,
    world::{Address, Effect, Sim},
};

impl Sim {
    /// The process dies and is started again on what the disk holds.
    pub(crate) fn crash(&mut self) {
        self.crashes += 1;
        self.audit();
        match self.store.crash(&mut self.rng) {
            Ok(issued) => self.oracle.recovered(&issued, &self.store.entries, self.now),
            Err(what) => return self.oracle.blame("S3", what),
        }
        self.forget_everything();
        self.now = self.now + self.rng.micros(1_000, 100_000_000);
        self.start();
        self.people_lost_their_connections();
    }

    /// From the log to serving (design §3.7).
    pub(crate) fn start(&mut self) {
        let covered = self.takes_from_archive();
        for entry in self.store.entries.iter().skip(covered) {
            match entry {
                Entry::Conversation { id, record } if self.bug == Some(Bug::LostKeys) => {
                    let record = conversation::Record { key: None, ..record.clone() };
                    self.world.apply(&Entry::Conversation { id: *id, record });
                }
                Entry::Agent { events, .. }
                    if self.bug == Some(Bug::AsideForgotten)
                        && events.contains(&agent::Event::Quarantined) => {}
                entry => self.world.apply(entry),
            }
        }
        if self.has(Bug::EngagedTwice) {
            let engaged = self.world.conversations.values().filter(|it| it.is_engaged()).count();
            (0..engaged.min(1)).for_each(|_| self.world.workspace.count_engagement());
        }
        self.now = self.now.max(self.world.last);
        let grace = self.plan.grace;
        if !self.store.entries.is_empty() {
            let grace_us = u64::try_from(grace.as_micros()).unwrap_or(u64::MAX);
            let restarted = Entry::Restarted { at: self.now, last: self.world.last, grace_us };
            if !self.has(Bug::NoGrace) {
                self.world.apply(&restarted);
            }
            self.record(restarted);
        }
        self.world.settle(&self.plan.policy, self.now, grace);
        if self.has(Bug::GrantKept)
            && let Some(agent) = self.world.agents.values_mut().next()
            && let Some(conversation) = self.world.conversations.keys().next()
        {
            agent.restore_slot(*conversation, 1, Held::Reserved);
        }
        let skipped = usize::from(self.has(Bug::LostResume));
        for (group, waiting) in self.world.lines().into_iter().skip(skipped) {
            self.post(Tell::Group(group, group::Command::Enqueue(Box::new(waiting))));
        }
        for (conversation, agent) in self.world.offered_aside() {
            let why = RescindReason::Removed;
            self.post(Tell::Conversation(conversation, conversation::Command::AgentGone { agent, why }));
        }
        let groups: Vec<GroupId> = self.world.groups.keys().cloned().collect();
        for group in groups {
            self.post(Tell::Group(group, group::Command::Start));
        }
        if self.has(Bug::StartOverwrites) {
            let agents: Vec<AgentId> = self.world.agents.keys().copied().collect();
            for agent in agents {
                let (presence, ticket) =
                    (maitred::routing::Presence::Online, maitred::routing::Ticket::system());
                self.post(Tell::Agent(agent, agent::Command::SetPresence { presence, ticket }));
            }
        }
        self.arm_all();
    }

    /// S4: what the machines hold is what the fold of the log holds, now.
    pub(crate) fn audit(&mut self) {
        let mut folded = World::default();
        for entry in &self.store.entries {
            folded.apply(entry);
        }
        for (id, live) in &self.world.conversations {
            // One that was refused at its opening is known to nobody.
            let fold = folded.conversations.remove(id).unwrap_or_else(|| Box::new(Conversation::new(*id)));
            self.oracle.same("conversation", &conversation_text(live), &conversation_text(&fold));
        }
        for (id, live) in &self.world.agents {
            let fold = folded.agents.remove(id).unwrap_or_else(|| Agent::new(*id));
            self.oracle.same("agent", &agent_text(live), &agent_text(&fold));
        }
        for (id, live) in &self.world.groups {
            let fold = folded.groups.remove(id).unwrap_or_else(|| Group::new(id.clone()));
            self.oracle.same("group", &until(live, ", quarantined:"), &until(&fold, ", quarantined:"));
        }
    }

    // === A machine panics ===

    /// The command is answered `failed` and not run again; what was staged is gone; the machine is rebuilt in place (design §3.5).
    pub(crate) fn fail(&mut self, address: &Address, tell: Tell) {
        let presence = match &tell {
            Tell::Conversation(_, conversation::Command::VisitorPresent(present)) => Some(*present),
            _ => None,
        };
        let remains = remains_of(&tell);
        let opening =
            matches!(tell, Tell::Conversation(_, conversation::Command::Open { way: Way::New { .. }, .. }));
        let gives_up = self.rng.chance(self.faults.aside);
        match address {
            Address::Workspace => self.rebuild_workspace(),
            Address::Group(id) => self.rebuild_group(id),
            Address::Agent(id) => self.rebuild_agent(*id),
            Address::Conversation(id) => {
                self.rebuild_conversation(*id, presence);
            }
        }
        if let Some(remains) = remains {
            self.remember_the_failure(address, remains, opening);
        }
        if gives_up {
            self.set_aside(address);
        }
    }

    /// The command is answered `failed`, now and under the same key ever after.
    fn remember_the_failure(&mut self, address: &Address, remains: Remains, opening: bool) {
        let ticket = remains.ticket();
        match (address, remains.keeper) {
            (Address::Conversation(id), Keeper::Itself) => {
                self.dispatch(Tell::Conversation(*id, conversation::Command::Failed { ticket, opening }));
            }
            (Address::Agent(id), Keeper::Itself) => {
                self.dispatch(Tell::Agent(*id, agent::Command::Failed { ticket }));
            }
            _ => match remains.tell() {
                Some(tell) => self.post(tell),
                None => {
                    if let Some(reply_to) = remains.reply_to {
                        self.hold(Effect::Answer(reply_to, Err(Refusal::Failed)));
                    }
                }
            },
        }
    }

    /// One that failed at its opening is nowhere: the next opening finds that out.
    fn rebuild_conversation(&mut self, id: ConversationId, presence: Option<bool>) {
        let mut folded = World::default();
        for entry in &self.store.entries {
            match entry {
                Entry::Conversation { id: other, .. } if *other == id => folded.apply(entry),
                Entry::Restarted { .. } => folded.apply(entry),
                _ => {}
            }
        }
        let Some(rebuilt) = folded.conversations.remove(&id) else {
            self.world.conversations.remove(&id);
            return;
        };
        let stands = matches!(rebuilt.phase(), Some(Phase::Waiting | Phase::Offered));
        let group = rebuilt.group().filter(|_| stands).cloned();
        let visitor = rebuilt.visitor().map(|(visitor, ..)| visitor);
        self.world.conversations.insert(id, rebuilt);
        // Whether the visitor is there is volatile: whoever holds the connections says it again.
        let told = visitor.and_then(|visitor| self.people.told_present(visitor));
        if let Some(present) = presence.or(told) {
            self.post(Tell::Conversation(id, conversation::Command::VisitorPresent(present)));
        }
        // What failed may have been its group's question, or the group's answer.
        if let Some(group) = group {
            self.post(Tell::Conversation(id, conversation::Command::AskWaiting { group }));
        }
        // Or the word that an agent was set aside.
        let pending = self.world.conversations.get(&id).map(|it| it.pending_agents()).unwrap_or_default();
        let aside =
            |agent: &AgentId| self.world.agents.get(agent).is_some_and(|it| it.quarantined().is_some());
        let gone: Vec<AgentId> = pending.into_iter().filter(aside).collect();
        for agent in gone {
            let why = RescindReason::Removed;
            self.post(Tell::Conversation(id, conversation::Command::AgentGone { agent, why }));
        }
    }

    pub(crate) fn rebuild_agent(&mut self, id: AgentId) {
        let mut agent = self.folded_agent(id);
        let generation = self.generations.get(&id).copied().unwrap_or(0) + 1;
        self.generations.insert(id, generation);
        let holds =
            |conversation: &&Conversation| conversation.holds().iter().any(|(agent, ..)| *agent == id);
        let held = self.world.conversations.values().map(AsRef::as_ref).filter(holds).map(Conversation::id);
        let held: BTreeSet<ConversationId> = held.collect();
        let sessions = self.sessions_of(id);
        agent.rebuilt(generation, sessions, held.clone());
        let groups = agent.profile().groups.clone();
        self.world.agents.insert(id, agent);
        self.oracle.rests_no_more(id);
        for conversation in held {
            let ask = conversation::Command::AskHeld { agent: id, grant: 0 };
            self.post(Tell::Conversation(conversation, ask));
        }
        for group in groups.into_iter().chain([GroupId::everyone()]) {
            self.post(Tell::Group(group, group::Command::Forgotten { agent: id }));
        }
        // Its groups hear how it stands now, even if no conversation has to answer first.
        self.post(Tell::Agent(id, agent::Command::PolicyChanged));
    }

    pub(crate) fn folded_agent(&self, id: AgentId) -> Agent {
        let mut folded = World::default();
        self.store
            .entries
            .iter()
            .filter(|entry| matches!(entry, Entry::Agent { id: other, .. } if *other == id))
            .for_each(|entry| folded.apply(entry));
        folded.agents.remove(&id).unwrap_or_else(|| Agent::new(id))
    }

    /// Sessions that the agent's machine has heard of, the failed command included: whoever holds the connections counts them.
    fn sessions_of(&self, id: AgentId) -> u32 {
        let unheard = |which: fn(&agent::Command) -> bool| {
            let mailbox = self.mail.get(&Address::Agent(id)).into_iter().flatten();
            let count =
                mailbox.filter(|tell| matches!(tell, Tell::Agent(_, command) if which(command))).count();
            u32::try_from(count).expect("a mailbox")
        };
        let opened = unheard(|command| matches!(command, agent::Command::SessionOpened));
        let lost = unheard(|command| matches!(command, agent::Command::SessionLost { .. }));
        self.people.sessions(id) + lost - opened
    }

    pub(crate) fn folded_group(&self, id: &GroupId) -> Group {
        let mut folded = World::default();
        self.store
            .entries
            .iter()
            .filter(|entry| matches!(entry, Entry::Group { id: other, .. } if other == id))
            .for_each(|entry| folded.apply(entry));
        folded.groups.remove(id).unwrap_or_else(|| Group::new(id.clone()))
    }

    /// The conversations that wait in a group, by their own word.
    pub(crate) fn line_of(&self, id: &GroupId) -> BTreeSet<ConversationId> {
        let here = |conversation: &&Conversation| {
            conversation.group() == Some(id)
                && matches!(conversation.phase(), Some(Phase::Waiting | Phase::Offered))
        };
        self.world.conversations.values().map(AsRef::as_ref).filter(here).map(Conversation::id).collect()
    }

    pub(crate) fn rebuild_group(&mut self, id: &GroupId) {
        let mut group = self.folded_group(id);
        let lines = self.line_of(id);
        let member =
            |agent: &&Agent| agent.exists() && (id.is_everyone() || agent.profile().groups.contains(id));
        let members: Vec<AgentId> = self.world.agents.values().filter(member).map(Agent::id).collect();
        group.rebuilt(lines.clone(), members.iter().copied().collect());
        self.world.groups.insert(id.clone(), group);
        for agent in members {
            self.post(Tell::Agent(agent, agent::Command::Describe { group: id.clone() }));
        }
        for conversation in lines {
            let ask = conversation::Command::AskWaiting { group: id.clone() };
            self.post(Tell::Conversation(conversation, ask));
        }
    }

    fn rebuild_workspace(&mut self) {
        let mut workspace = Workspace::default();
        for entry in &self.store.entries {
            if let Entry::Workspace { events, .. } = entry {
                events.iter().for_each(|event| workspace.evolve(event));
            }
        }
        for agent in self.world.agents.values().filter(|agent| agent.exists()) {
            workspace.restore_agent(agent.id(), agent.profile());
        }
        for conversation in self.world.conversations.values() {
            // A visitor whose conversation stands aside may open another one.
            let open = conversation.phase() != Some(Phase::Closed) && !conversation.is_quarantined();
            if let Some((visitor, channel, _)) = conversation.visitor().filter(|_| open) {
                workspace.restore_open(visitor, channel, conversation.id());
            }
        }
        let engaged = self.world.conversations.values().filter(|it| it.is_engaged()).count() as u64;
        // Openings, reopenings and agents that are on their way count too, though nothing is recorded of them yet.
        for tell in self.mail.values().flatten() {
            match tell {
                Tell::Conversation(id, conversation::Command::Open { opening, way: Way::New { .. }, .. }) => {
                    workspace.restore_open(opening.visitor, &opening.channel, *id);
                }
                Tell::Conversation(id, conversation::Command::ReopenGranted { .. }) => {
                    let visitor = self.world.conversations.get(id).and_then(|it| it.visitor());
                    if let Some((visitor, channel, _)) = visitor {
                        workspace.restore_open(visitor, channel, *id);
                    }
                }
                Tell::Agent(id, agent::Command::Put { profile, .. }) => workspace.restore_agent(*id, profile),
                _ => {}
            }
        }
        workspace.restore_engaged(engaged);
        self.world.workspace = workspace;
    }

    /// From now on nothing goes wrong and nobody asks for anything new.
    pub(crate) fn heal(&mut self) {
        self.faults = Faults::default();
        self.people.stop();
    }

    /// When all that waits now and has a bound must have ended: the longest stay for each group of a chain.
    pub(crate) fn bound(&self) -> Duration {
        let policy = &self.plan.policy;
        let stay = |group: &GroupPolicy| group.max_wait.unwrap_or_default() + group.accept_timeout;
        let longest = policy.groups.values().chain([&policy.everyone]).map(|group| stay(group)).max();
        let held = policy.asks().map(|picker| picker.hold);
        let watched = self.plan.extras.watch.as_ref().map(|watch| watch.wait);
        let longer = held.into_iter().chain(watched).max().unwrap_or_default();
        (longest.unwrap_or_default() + Duration::from_secs(1)) * 4 + self.plan.grace + longer
    }
}

/// The durable part of a conversation.
fn conversation_text(conversation: &Conversation) -> String {
    let text = format!("{conversation:?}");
    let text = without_ways(&text);
    ["absent_since: ", "ask_at: ", "may_engage: ", "again: "]
        .iter()
        .fold(text, |text, name| without(&text, name))
}

/// The text without the rules that a conversation may still follow: after a start it waits where it is.
fn without_ways(text: &str) -> String {
    let Some((before, after)) = text.split_once(", left: [") else { return text.to_owned() };
    let mut deep = 1;
    let end = after.find(|letter| {
        deep += match letter {
            '[' => 1,
            ']' => -1,
            _ => 0,
        };
        deep == 0
    });
    format!("{before}{}", after.get(end.unwrap_or(after.len())..).unwrap_or_default())
}

/// The text without the value of this field, which is nothing, a time, or yes or no.
fn without(text: &str, field: &str) -> String {
    let Some((before, after)) = text.split_once(field) else { return text.to_owned() };
    let end = after.find([',', ' ', '}']).unwrap_or(after.len());
    format!("{before}{}", after.get(end..).unwrap_or_default())
}

/// An agent's recorded state. When they were last active is tallied by whoever records, and only the fold has it.
fn agent_text(agent: &Agent) -> String {
    let text = until(agent, ", quarantined:");
    match (text.find(", activity: "), text.find(", keys: ")) {
        (Some(from), Some(to)) if from < to => format!("{}{}", &text[..from], &text[to..]),
        _ => text,
    }
}

/// The text up to the first view.
fn until(machine: &impl std::fmt::Debug, view: &str) -> String {
    let text = format!("{machine:?}");
    text.split_once(view).map_or(text.clone(), |(durable, _)| durable.to_owned())
}
