//! What people do of their own accord, drawn by weight.

use std::time::Duration;

use maitred::{
    ids::{AgentId, ConversationId, GroupId, VisitorId},
    routing::{
        agent::Profile,
        conversation::{Choice, Conversation, Destination, Phase, Target},
        words::{By, Presence, Priority},
    },
};

use crate::{
    people::{Act, Todo},
    plan::{Deed, draw_profile, sites_of},
    presets::{Kind, some_country},
    world::Sim,
};

impl Sim {
    pub(crate) fn do_a_deed(&mut self) {
        let chosen = self.rng.weighted(self.plan.deeds.iter().map(|(_, weight)| *weight));
        let Some((deed, _)) = self.plan.deeds.get(chosen).copied() else { return };
        match deed {
            Deed::Arrive => self.arrive(),
            Deed::VisitorGone | Deed::VisitorBack | Deed::SessionLost | Deed::SessionOpened => {
                self.come_or_go(deed);
            }
            Deed::Presence | Deed::PutAgent | Deed::RemoveAgent => self.change_an_agent(deed),
            Deed::OldOffer | Deed::Repeat | Deed::Unplug => self.be_late(deed),
            Deed::Visit | Deed::TurnPage | Deed::LeaveSite => self.browse(deed),
            Deed::Choose | Deed::BotSays | Deed::HandOver | Deed::ReturnToBot => self.deal_with_a_bot(deed),
            _ => self.deal_with_a_conversation(deed),
        }
    }

    fn arrive(&mut self) {
        let Some(number) = self.some_number(self.people.visitors.len()) else { return };
        let visitor = &self.people.visitors[number];
        let (id, connected) = (visitor.id, visitor.connected);
        if !connected {
            return self.visitor_returns(number as u64);
        }
        let Some(channel) = self.rng.pick(&self.plan.policy.channels).cloned() else { return };
        let target = match self.rng.below(6) {
            0 => self.some_agent().map_or(Target::Default, Target::Agent),
            1 | 2 => self.some_group().map_or(Target::Default, Target::Group),
            _ => Target::Default,
        };
        let preferred = if self.rng.chance(0.2) { self.some_agent() } else { None };
        let class = if self.rng.chance(0.6) { 5 } else { self.rng.below(10) };
        let priority = Priority::new(u8::try_from(class).unwrap_or(5)).unwrap_or(Priority::DEFAULT);
        let conversation = self.new_id();
        let preset = self.plan.kind != Kind::Drawn;
        let country = if preset { some_country(&mut self.rng) } else { None };
        let bot = self.plan.extras.bots && self.rng.chance(0.5);
        let visitor = id;
        let open = Act::Open { conversation, visitor, channel, target, preferred, priority, country, bot };
        if self.rng.chance(0.05) {
            self.people_ask(By::Visitor(id), open.clone());
        }
        self.people_ask(By::Visitor(id), open);
    }

    /// A UUID of version 7 made now.
    pub(crate) fn new_id(&mut self) -> ConversationId {
        self.people.opened += 1;
        let millis = self.now.micros() / 1_000;
        let mut bytes = [0_u8; 16];
        bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        bytes[6] = 0x70;
        bytes[7] = self.rng.next().to_be_bytes()[0];
        bytes[8] = 0x80;
        bytes[9..].copy_from_slice(&self.people.opened.to_be_bytes()[1..]);
        ConversationId::from_bytes(bytes)
    }

    fn come_or_go(&mut self, deed: Deed) {
        match deed {
            Deed::VisitorGone => {
                if let Some(number) = self.some_number(self.people.visitors.len()) {
                    self.visitor_leaves(number as u64);
                    if self.rng.chance(0.7) {
                        let wait = self.rng.wait(self.plan.policy.visitor_grace);
                        self.people.at(self.now + wait, Todo::VisitorBack(number as u64));
                    }
                }
            }
            Deed::VisitorBack => {
                if let Some(number) = self.some_number(self.people.visitors.len()) {
                    self.visitor_returns(number as u64);
                }
            }
            Deed::SessionLost => {
                if let Some(agent) = self.some_agent() {
                    self.agent_disconnects(agent);
                    if self.rng.chance(0.7) {
                        let wait = self.rng.wait(self.plan.policy.disconnect_grace);
                        self.people.at(self.now + wait, Todo::AgentBack(agent));
                    }
                }
            }
            _ => {
                if let Some(agent) = self.some_agent().filter(|agent| self.people.sessions(*agent) < 2) {
                    self.agent_connects(agent);
                }
            }
        }
    }

    fn change_an_agent(&mut self, deed: Deed) {
        let Some(agent) = self.some_agent() else { return };
        match deed {
            Deed::Presence => {
                let presence = match self.rng.below(4) {
                    0 => Presence::Away,
                    1 => Presence::Offline,
                    _ => Presence::Online,
                };
                self.people_ask(By::Agent(agent), Act::Presence(agent, presence));
            }
            Deed::RemoveAgent => self.people_ask(By::Admin, Act::Remove(agent)),
            _ => {
                let groups: Vec<GroupId> = self.plan.policy.groups.keys().cloned().collect();
                let number = 200_u64.saturating_sub(u64::from(agent.bytes()[0]));
                let profile = draw_profile(&mut self.rng, number, &groups);
                let profile = Profile { sites: sites_of(number, self.plan.sited), ..profile };
                self.people_ask(By::Admin, Act::Put(agent, profile));
            }
        }
    }

    fn be_late(&mut self, deed: Deed) {
        match deed {
            Deed::OldOffer => {
                if let Some((agent, conversation, offer)) = self.rng.pick(&self.people.offers).copied() {
                    let act = if self.rng.chance(0.7) {
                        Act::Accept(conversation, offer)
                    } else {
                        Act::Decline(conversation, offer)
                    };
                    self.people_ask(By::Agent(agent), act);
                }
            }
            // A command that went out lately goes out again, as after a reconnect.
            Deed::Repeat => {
                let calls = self.people.calls.len();
                let back = usize::try_from(self.rng.below(20)).unwrap_or(0);
                let number = calls.saturating_sub(1 + back);
                if self.people.calls.get(number).is_some_and(|call| call.key.is_some()) {
                    self.send(number);
                }
            }
            _ => {
                self.people.at(self.now, Todo::Watch);
            }
        }
    }

    /// Visitors choose, perhaps in the last instant; a bot writes, hands over, and gets back what it handed over.
    fn deal_with_a_bot(&mut self, deed: Deed) {
        let wanted = |it: &Conversation| match deed {
            Deed::Choose => it.is_choosing(),
            Deed::ReturnToBot => it.may_return_to_bot(),
            _ => it.phase() == Some(Phase::Bot),
        };
        let anything = self.rng.chance(0.05);
        let found = self.world.conversations.values().filter(|it| anything || wanted(it));
        let found: Vec<ConversationId> = found.map(|it| it.id()).collect();
        let Some(id) = self.rng.pick(&found).copied() else { return };
        let Some(conversation) = self.world.conversations.get(&id) else { return };
        let Some((visitor, ..)) = conversation.visitor() else { return };
        let until = self.oracle.held_until(id);
        let target = match self.rng.below(4) {
            0 => self.some_agent().map_or(Target::Default, Target::Agent),
            1 => self.some_group().map_or(Target::Default, Target::Group),
            _ => Target::Default,
        };
        let preferred = if self.rng.chance(0.3) { self.some_agent() } else { None };
        let (by, act) = match deed {
            Deed::Choose => {
                let choices: Vec<GroupId> = self.plan.policy.choices.keys().cloned().collect();
                let choice = match self.rng.pick(&choices) {
                    Some(group) if self.rng.chance(0.8) => Choice::Group(group.clone()),
                    _ => Choice::NotSure,
                };
                (By::Visitor(visitor), Act::Choose(id, choice))
            }
            Deed::BotSays => (By::Bot, Act::BotSays(id, format!("bot-{}", self.rng.next()))),
            Deed::HandOver => (By::Bot, Act::HandOver(id, target, preferred)),
            _ => (By::Visitor(visitor), Act::ReturnToBot(id)),
        };
        let at_last = until.filter(|_| deed == Deed::Choose && self.rng.chance(0.2));
        let when = match at_last {
            Some(until) => until + self.rng.micros(0, 4_000) - Duration::from_micros(2_000),
            None => self.now + self.rng.micros(0, 2_000),
        };
        self.people.at(when, Todo::Ask(by, act));
    }

    fn deal_with_a_conversation(&mut self, deed: Deed) {
        let wanted = |it: &Conversation| match deed {
            Deed::VisitorSays => it.phase() != Some(Phase::Closed),
            Deed::Take if it.phase() == Some(Phase::Bot) => false,
            Deed::Take => it.owner().is_none() && it.phase() != Some(Phase::Closed),
            Deed::Reopen => it.phase() == Some(Phase::Closed),
            Deed::AssignAgent | Deed::AssignGroup | Deed::Force | Deed::CloseByVisitor => {
                it.phase() != Some(Phase::Closed)
            }
            _ => it.owner().is_some(),
        };
        // Mostly what makes sense, now and then anything.
        let anything = self.rng.chance(0.1);
        let found = self.world.conversations.values().filter(|it| anything || wanted(it));
        let found: Vec<ConversationId> = found.map(|it| it.id()).collect();
        let Some(id) = self.rng.pick(&found).copied() else { return };
        let Some(conversation) = self.world.conversations.get(&id) else { return };
        let visitor = conversation.visitor().map(|(visitor, ..)| visitor);
        let owner = conversation.owner().map(|owner| owner.agent);
        let helpers: Vec<AgentId> = conversation.participants().iter().map(|party| party.agent).collect();
        let part = if self.rng.chance(0.3) { self.rng.pick(&helpers).copied() } else { owner };
        let stranger = self.some_agent();
        let agent = if self.rng.chance(0.9) { part.or(stranger) } else { stranger };
        let (Some(agent), Some(visitor)) = (agent, visitor) else { return };
        self.ask_of(deed, id, agent, visitor);
    }

    fn ask_of(&mut self, deed: Deed, id: ConversationId, agent: AgentId, visitor: VisitorId) {
        let canary = self.rng.next();
        let leave = self.rng.chance(0.5);
        let other = self.some_agent().unwrap_or(agent);
        let group = self.some_group().unwrap_or_else(GroupId::everyone);
        let staff = By::Agent(agent);
        let (by, act) = match deed {
            Deed::VisitorSays => (By::Visitor(visitor), Act::Say(id, format!("visitor-{canary}"))),
            Deed::AgentSays => (staff, Act::Say(id, format!("agent-{canary}"))),
            Deed::Note => (staff, Act::Note(id, format!("NOTE-{canary}"))),
            Deed::Take => (By::Agent(other), Act::Take(id)),
            Deed::AssignAgent => (By::Supervisor, Act::Assign(id, Destination::Agent(other), false)),
            Deed::AssignGroup => (By::Supervisor, Act::Assign(id, Destination::Group(group), false)),
            Deed::Force => (By::Supervisor, Act::Assign(id, Destination::Agent(other), true)),
            Deed::TransferAgent => (staff, Act::Transfer(id, Destination::Agent(other), leave)),
            Deed::TransferGroup => (staff, Act::Transfer(id, Destination::Group(group), leave)),
            Deed::Invite => (staff, Act::Invite(id, other)),
            Deed::Leave => (staff, Act::Leave(id)),
            Deed::CloseByAgent => (staff, Act::Close(id)),
            Deed::CloseByVisitor => (By::Visitor(visitor), Act::Close(id)),
            Deed::CloseBySupervisor => (By::Supervisor, Act::Close(id)),
            _ => (By::Supervisor, Act::Reopen(id)),
        };
        if matches!(deed, Deed::Take) && self.rng.chance(0.3) {
            // Two at once: one of them is too late.
            let rival = self.some_agent().unwrap_or(agent);
            self.people_ask(By::Agent(rival), Act::Take(id));
        }
        let wait = if self.rng.chance(0.5) { Duration::ZERO } else { self.rng.micros(0, 2_000) };
        self.people.at(self.now + wait, Todo::Ask(by, act));
    }

    fn some_number(&mut self, of: usize) -> Option<usize> {
        (of > 0).then(|| usize::try_from(self.rng.below(of as u64)).unwrap_or(0))
    }

    fn some_agent(&mut self) -> Option<AgentId> {
        self.rng.pick(&self.plan.agents).map(|(agent, _)| *agent)
    }

    fn some_group(&mut self) -> Option<GroupId> {
        let groups: Vec<GroupId> = self.plan.policy.groups.keys().cloned().collect();
        if self.rng.chance(0.1) { Some(GroupId::everyone()) } else { self.rng.pick(&groups).cloned() }
    }
}
