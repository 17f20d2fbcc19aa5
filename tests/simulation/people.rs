//! Everybody outside: visitors, agents and who watches. They know only what they are told, check what they are told, and ask again
//! under the same key when no answer comes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use maitred::{
    clock::Timestamp,
    ids::{AgentId, Channel, ClientId, ConversationId, VisitorId},
    routing::{
        Key, Refusal, Reply, ReplyTo, Tell, Ticket, agent,
        conversation::{self, Ask, Choice, Destination, HandOver, Opening, Phase, Target, Way},
        notice::AgentNotice,
        recovery::Entry,
        words::{Body, By, Presence, Priority, Variable},
        workspace,
    },
};

use crate::{
    plan::{Answer, Plan, site_of},
    world::{Address, Answered, Effect, Sim, show},
};

/// What somebody asks for. The same act under the same key is the same command.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Open {
        conversation: ConversationId,
        visitor: VisitorId,
        channel: Channel,
        target: Target,
        preferred: Option<AgentId>,
        priority: Priority,
        country: Option<&'static str>,
        bot: bool,
    },
    Choose(ConversationId, Choice),
    BotSays(ConversationId, String),
    HandOver(ConversationId, Target, Option<AgentId>),
    ReturnToBot(ConversationId),
    Say(ConversationId, String),
    Note(ConversationId, String),
    Accept(ConversationId, u32),
    Decline(ConversationId, u32),
    Take(ConversationId),
    Assign(ConversationId, Destination, bool),
    Transfer(ConversationId, Destination, bool),
    Invite(ConversationId, AgentId),
    Leave(ConversationId),
    Close(ConversationId),
    Reopen(ConversationId),
    Presence(AgentId, Presence),
    Put(AgentId, agent::Profile),
    Remove(AgentId),
}

/// One command, however often it is sent.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) act: Act,
    by: By,
    pub(crate) key: Option<Key>,
    client: ClientId,
    first: Option<Reply>,
    /// The newest answer that was heard.
    pub(crate) heard: Option<Answered>,
    sent: u32,
    answered: bool,
}

/// Something that happens outside at a time.
#[derive(Debug)]
pub(crate) enum Todo {
    Deed,
    Send(usize),
    Ask(By, Act),
    VisitorBack(u64),
    AgentBack(AgentId),
    Reinstate(Address),
    Watch,
}

#[derive(Debug)]
pub(crate) struct Visitor {
    pub(crate) id: VisitorId,
    client: ClientId,
    pub(crate) connected: bool,
    /// What reaches them was sent on this connection, or is lost.
    pub(crate) connection: u64,
    seen: BTreeMap<ConversationId, (u64, String)>,
}

/// Everybody outside.
pub(crate) struct People {
    pub(crate) visitors: Vec<Visitor>,
    sessions: BTreeMap<AgentId, u32>,
    /// When their sessions last changed.
    changed: BTreeMap<AgentId, Timestamp>,
    pub(crate) calls: Vec<Call>,
    agenda: BTreeMap<(Timestamp, u64), Todo>,
    order: u64,
    counters: BTreeMap<ClientId, u64>,
    pub(crate) offers: Vec<(AgentId, ConversationId, u32)>,
    reacted: BTreeSet<(AgentId, ConversationId, u32)>,
    answers: Vec<(Answer, u32)>,
    pub(crate) watching: u64,
    /// Whether staff is connected on it.
    pub(crate) watches: bool,
    watched: BTreeMap<ConversationId, (u64, String)>,
    /// Conversations that were asked for.
    pub(crate) opened: u64,
}

fn client(kind: u8, number: u8) -> ClientId {
    let mut bytes = [kind; 16];
    bytes[15] = number;
    ClientId::from_bytes(bytes)
}

impl People {
    pub(crate) fn new(plan: &Plan) -> Self {
        let visitors = (0..plan.visitors).map(|number| {
            let number = u8::try_from(number).unwrap_or(u8::MAX);
            let mut id = [0x11; 16];
            id[15] = number;
            // Half of them speak through the same frontend, and so share its counter.
            let client = if number.is_multiple_of(2) { client(1, number) } else { client(9, 0) };
            let id = VisitorId::from_bytes(id);
            Visitor { id, client, connected: true, connection: 0, seen: BTreeMap::new() }
        });
        Self {
            visitors: visitors.collect(),
            sessions: BTreeMap::new(),
            changed: BTreeMap::new(),
            calls: Vec::new(),
            agenda: BTreeMap::new(),
            order: 0,
            counters: BTreeMap::new(),
            offers: Vec::new(),
            reacted: BTreeSet::new(),
            answers: plan.answers.clone(),
            watching: 1,
            watches: true,
            watched: BTreeMap::new(),
            opened: 0,
        }
    }

    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.agenda.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn at(&mut self, at: Timestamp, todo: Todo) {
        self.order += 1;
        self.agenda.insert((at, self.order), todo);
    }

    pub(crate) fn sessions(&self, agent: AgentId) -> u32 {
        self.sessions.get(&agent).copied().unwrap_or(0)
    }

    pub(crate) fn changed(&self, agent: AgentId) -> Timestamp {
        self.changed.get(&agent).copied().unwrap_or_default()
    }

    /// Whether the visitor is there, as far as the daemon was told.
    pub(crate) fn told_present(&self, visitor: VisitorId) -> Option<bool> {
        self.visitors.iter().find(|other| other.id == visitor).map(|visitor| visitor.connected)
    }

    /// The connection that a visitor is reached on, if they are.
    pub(crate) fn connection(&self, visitor: VisitorId) -> Option<(VisitorId, u64)> {
        let visitor = self.visitors.iter().find(|other| other.id == visitor && other.connected)?;
        Some((visitor.id, visitor.connection))
    }

    /// From now on nobody does anything but answer.
    pub(crate) fn stop(&mut self) {
        self.agenda.retain(|_, todo| !matches!(todo, Todo::Deed));
        self.answers.retain(|(answer, _)| matches!(answer, Answer::Accept | Answer::Nothing));
    }
}

impl Sim {
    pub(crate) fn people_begin(&mut self) {
        for (agent, profile) in self.plan.agents.clone() {
            self.people_ask(By::Admin, Act::Put(agent, profile));
            let soon = self.now + Duration::from_millis(200);
            self.people.at(soon, Todo::Ask(By::Agent(agent), Act::Presence(agent, Presence::Online)));
            self.people.at(soon, Todo::AgentBack(agent));
        }
        self.people.at(self.now + Duration::from_secs(1), Todo::Deed);
    }

    /// What is due outside happens.
    pub(crate) fn people_act(&mut self) {
        while let Some(entry) = self.people.agenda.first_entry().filter(|entry| entry.key().0 <= self.now) {
            match entry.remove() {
                Todo::Deed => {
                    self.do_a_deed();
                    let wait = self.rng.wait(self.plan.pace);
                    self.people.at(self.now + wait, Todo::Deed);
                }
                Todo::Send(call) => self.send(call),
                Todo::Ask(by, act) => self.people_ask(by, act),
                Todo::VisitorBack(number) => self.visitor_returns(number),
                Todo::AgentBack(agent) => {
                    if self.people.sessions(agent) == 0 {
                        self.agent_connects(agent);
                    }
                }
                Todo::Reinstate(address) => self.reinstate(address),
                Todo::Watch => self.watch_again(),
            }
        }
    }

    /// A new command.
    pub(crate) fn people_ask(&mut self, by: By, act: Act) {
        let client = match by {
            By::Visitor(visitor) => {
                self.people.visitors.iter().find(|other| other.id == visitor).map(|visitor| visitor.client)
            }
            By::Agent(agent) => Some(client(2, agent.bytes()[0])),
            _ => Some(client(3, 0)),
        };
        let client = client.unwrap_or(ClientId::from_bytes([4; 16]));
        self.oracle.hears_of(&act);
        let keyless = matches!(act, Act::Open { .. } | Act::Put(..) | Act::Remove(_));
        let key = (!keyless && !self.rng.chance(0.1)).then(|| {
            let counter = self.people.counters.entry(client).or_default();
            *counter += 1;
            Key { client, counter: *counter, digest: digest(&act) }
        });
        self.people.calls.push(Call {
            act,
            by,
            key,
            client,
            first: None,
            heard: None,
            sent: 0,
            answered: false,
        });
        self.send(self.people.calls.len() - 1);
    }

    /// Sends a command, perhaps again.
    pub(crate) fn send(&mut self, number: usize) {
        let Some(call) = self.people.calls.get_mut(number) else { return };
        call.sent += 1;
        let scope = call.by.agent().map(|agent| {
            let agent = self.world.agents.get(&agent);
            Arc::new(agent.map(maitred::routing::agent::Agent::scope).unwrap_or_default())
        });
        let request = u32::try_from(number).unwrap_or(u32::MAX);
        let reply_to = Some(ReplyTo { connection: 1, request });
        let ticket = Ticket { by: call.by, scope, key: call.key, reply_to };
        let (act, client) = (call.act.clone(), call.client);
        let tell = match act {
            Act::Open { conversation, visitor, channel, target, preferred, priority, country, bot } => {
                let country =
                    country.map(|name| Variable { name: "country".into(), value: Body(name.into()) });
                let site = site_of(visitor, self.plan.sited);
                let site =
                    site.map(|name| Variable { name: "site".into(), value: Body(name.as_str().into()) });
                let mut opening = Opening {
                    origin: maitred::routing::Origin::Visitor,
                    bot: bot.then(|| "helper".into()),
                    asked: conversation,
                    visitor,
                    channel,
                    target,
                    own_choice: false,
                    preferred,
                    priority,
                    variables: country.into_iter().chain(site).collect(),
                    placed: Vec::new(),
                    message: Some(Body("hello".into())),
                    via: client,
                    digest: 7,
                    lobby: None,
                };
                if !self.world.conversations.contains_key(&conversation) {
                    self.lobby_leads(&mut opening);
                }
                let opening = Box::new(opening);
                // The directory knows it: a retry goes straight there.
                if self.world.conversations.contains_key(&conversation) {
                    let way = Way::Known;
                    Tell::Conversation(conversation, conversation::Command::Open { opening, ticket, way })
                } else {
                    Tell::Workspace(workspace::Command::Open { opening, ticket })
                }
            }
            Act::Presence(agent, presence) => {
                Tell::Agent(agent, agent::Command::SetPresence { presence, ticket })
            }
            Act::Put(agent, profile) => {
                Tell::Workspace(workspace::Command::PutAgent { agent, profile, ticket })
            }
            Act::Remove(agent) => Tell::Workspace(workspace::Command::RemoveAgent { agent, ticket }),
            other => {
                let (id, ask) = asked(other);
                Tell::Conversation(id, conversation::Command::Ask { ask, ticket })
            }
        };
        self.post(tell);
    }

    // === Hearing ===

    pub(crate) fn people_hear(&mut self, effect: Effect) {
        match effect {
            Effect::Answer(reply_to, answered) => self.hear_answer(reply_to, answered),
            Effect::Offer { agent, conversation, notice } => self.hear_offer(agent, conversation, notice),
            Effect::Shown { visitor, connection, conversation, number, text } => {
                self.oracle.shown_to_a_visitor(&text);
                let visitors = &mut self.people.visitors;
                let reached = visitors
                    .iter_mut()
                    .find(|other| other.id == visitor && other.connected && other.connection == connection);
                if let Some(visitor) = reached {
                    let seen = visitor.seen.entry(conversation).or_default();
                    self.oracle.next_in_line("a visitor", conversation, seen.0, number);
                    *seen = (number, text);
                }
            }
            Effect::Watched { watching, conversation, seq, text } => {
                if self.people.watches && watching == self.people.watching {
                    let seen = self.people.watched.entry(conversation).or_default();
                    self.oracle.next_in_line("staff", conversation, seen.0, seq);
                    *seen = (seq, text);
                }
            }
        }
    }

    fn hear_answer(&mut self, reply_to: ReplyTo, answered: Answered) {
        let number = reply_to.request as usize;
        let lost = self.rng.chance(self.faults.lost_reply);
        let again = self.now + self.rng.micros(300_000, 3_000_000);
        let Some(call) = self.people.calls.get_mut(number) else { return };
        let keyed = call.key.is_some() || matches!(call.act, Act::Open { .. });
        let failed = answered == Err(Refusal::Failed) && call.sent < 6;
        if lost || failed {
            if keyed && call.sent < 8 {
                self.people.at(again, Todo::Send(number));
            }
            return;
        }
        call.answered = true;
        call.heard = Some(answered);
        if let (Some(first), true) = (call.first, keyed) {
            self.oracle.answered_again(&call.act, first, answered);
        } else if let Ok(reply) = answered {
            call.first = Some(reply);
        }
        match (answered, &call.act) {
            (Ok(Reply::Recorded { seq, .. }), act) => self.oracle.acknowledged(target_of(act), seq),
            (Ok(Reply::Opened { conversation, .. }), _) => self.oracle.acknowledged(Some(conversation), 1),
            _ => {}
        }
    }

    fn hear_offer(&mut self, agent: AgentId, conversation: ConversationId, notice: AgentNotice) {
        let AgentNotice::OfferMade(pending) = notice else { return };
        if self.people.sessions(agent) == 0
            || !self.people.reacted.insert((agent, conversation, pending.offer))
        {
            return;
        }
        self.people.offers.push((agent, conversation, pending.offer));
        let by = By::Agent(agent);
        let accept = Act::Accept(conversation, pending.offer);
        let deadline = pending.deadline.unwrap_or(self.now + Duration::from_secs(20));
        let soon = self.now + self.rng.micros(1_000, deadline.since(self.now).as_micros() as u64 + 2_000);
        let at_last = deadline + self.rng.micros(0, 8_000) - Duration::from_micros(4_000);
        let chosen = self.rng.weighted(self.people.answers.iter().map(|(_, weight)| *weight));
        match self.people.answers.get(chosen).map(|(answer, _)| *answer) {
            Some(Answer::Accept) => self.people.at(soon, Todo::Ask(by, accept)),
            Some(Answer::AtDeadline) => self.people.at(at_last, Todo::Ask(by, accept)),
            Some(Answer::Twice) => {
                let other = soon + self.rng.micros(0, 3_000);
                self.people.at(soon, Todo::Ask(by, accept.clone()));
                self.people.at(other, Todo::Ask(by, accept));
            }
            Some(Answer::Decline) => {
                self.people.at(soon, Todo::Ask(by, Act::Decline(conversation, pending.offer)));
            }
            Some(Answer::Nothing) | None => {}
        }
    }

    // === Connections ===

    pub(crate) fn agent_connects(&mut self, agent: AgentId) {
        if !self.world.agents.contains_key(&agent) {
            // There is no such agent, or not any more: their token is refused.
            return self.people.at(self.now + Duration::from_secs(2), Todo::AgentBack(agent));
        }
        *self.people.sessions.entry(agent).or_default() += 1;
        self.people.changed.insert(agent, self.now);
        self.post(Tell::Agent(agent, agent::Command::SessionOpened));
        // A resumed agent gets their pending offers again.
        let pending = self.world.conversations.values();
        let pending: Vec<_> = pending.filter_map(|it| Some((it.id(), it.pending_for(agent)?))).collect();
        for (conversation, offer) in pending {
            self.hold(Effect::Offer { agent, conversation, notice: AgentNotice::OfferMade(offer) });
        }
    }

    pub(crate) fn agent_disconnects(&mut self, agent: AgentId) {
        let Some(sessions) = self.people.sessions.get_mut(&agent).filter(|sessions| **sessions > 0) else {
            return;
        };
        *sessions -= 1;
        self.people.changed.insert(agent, self.now);
        self.post(Tell::Agent(agent, agent::Command::SessionLost { later: std::time::Duration::ZERO }));
    }

    /// The visitor's only connection ends, or the frontend says that they are gone.
    pub(crate) fn visitor_leaves(&mut self, number: u64) {
        let Some(visitor) = self.people.visitors.get_mut(number as usize).filter(|it| it.connected) else {
            return;
        };
        visitor.connected = false;
        let id = visitor.id;
        self.visits.leaves(id);
        self.tell_visitor_present(id, false);
    }

    pub(crate) fn visitor_returns(&mut self, number: u64) {
        let Some(visitor) = self.people.visitors.get_mut(number as usize).filter(|it| !it.connected) else {
            return;
        };
        visitor.connected = true;
        visitor.connection += 1;
        let (id, connection) = (visitor.id, visitor.connection);
        let seen = visitor.seen.clone();
        self.tell_visitor_present(id, true);
        let theirs = self.world.conversations.values();
        let theirs = theirs.filter(|it| it.visitor().is_some_and(|(visitor, ..)| visitor == id));
        let theirs: Vec<ConversationId> = theirs.map(|it| it.id()).collect();
        for conversation in theirs {
            let (last, text) = seen.get(&conversation).cloned().unwrap_or_default();
            let history = self.history(conversation);
            let visible = history.into_iter().filter(|(_, visible, _)| *visible).map(|(_, _, text)| text);
            for (number, text) in (1_u64..).zip(self.resume("a visitor", last, &text, visible.collect())) {
                let number = number + last;
                self.hold(Effect::Shown { visitor: id, connection, conversation, number, text });
            }
        }
    }

    fn watch_again(&mut self) {
        self.people.watching += 1;
        self.people.watches = true;
        let watching = self.people.watching;
        let all: Vec<ConversationId> = self.world.conversations.keys().copied().collect();
        for conversation in all {
            let (last, text) = self.people.watched.get(&conversation).cloned().unwrap_or_default();
            let history = self.history(conversation).into_iter().map(|(text, ..)| text).collect();
            for (number, text) in (1_u64..).zip(self.resume("staff", last, &text, history)) {
                let seq = number + last;
                self.hold(Effect::Watched { watching, conversation, seq, text });
            }
        }
    }

    /// What follows the last that was seen, which must be what it was.
    fn resume(&mut self, who: &str, last: u64, text: &str, history: Vec<String>) -> Vec<String> {
        let last = last as usize;
        let known = last.checked_sub(1).and_then(|before| history.get(before));
        if last > 0 && known.map(String::as_str) != Some(text) {
            self.oracle.blame("S3", format!("{who} saw {text:?} as number {last}, now it is {known:?}"));
        }
        history.into_iter().skip(last).collect()
    }

    /// Every event of a conversation: as staff read it, whether the visitor may know of it, and as they read it.
    fn history(&self, id: ConversationId) -> Vec<(String, bool, String)> {
        let records = self.store.entries.iter().filter_map(|entry| match entry {
            Entry::Conversation { id: other, record } if *other == id => Some(&record.events),
            _ => None,
        });
        records.flatten().map(|event| (format!("{event:?}"), event.visitor_sees(), show(event))).collect()
    }

    fn tell_visitor_present(&mut self, visitor: VisitorId, present: bool) {
        let open = self.world.conversations.values().filter(|it| it.phase() != Some(Phase::Closed));
        let open = open.filter(|it| it.visitor().is_some_and(|(other, ..)| other == visitor));
        let open: Vec<ConversationId> = open.map(|it| it.id()).collect();
        for conversation in open {
            self.post(Tell::Conversation(conversation, conversation::Command::VisitorPresent(present)));
        }
    }

    /// After a crash everybody comes back, sooner or later or not at all, and asks again what was not answered.
    pub(crate) fn people_lost_their_connections(&mut self) {
        self.people.watches = false;
        self.people.at(self.now + Duration::from_millis(100), Todo::Watch);
        for number in 0..self.people.visitors.len() {
            let was_there = std::mem::take(&mut self.people.visitors[number].connected);
            if was_there {
                let at = self.now + self.rng.micros(1_000, 6_000_000);
                self.people.at(at, Todo::VisitorBack(number as u64));
            }
        }
        let agents: Vec<AgentId> = self.people.sessions.keys().copied().collect();
        self.people.reacted.clear();
        for agent in agents {
            if self.people.sessions.insert(agent, 0).unwrap_or(0) > 0 && self.rng.chance(0.9) {
                let at = self.now + self.rng.micros(1_000, 8_000_000);
                self.people.at(at, Todo::AgentBack(agent));
            }
        }
        for number in 0..self.people.calls.len() {
            if !self.people.calls[number].answered && self.rng.chance(0.8) {
                let at = self.now + self.rng.micros(100_000, 5_000_000);
                self.people.at(at, Todo::Send(number));
            }
        }
    }
}

fn asked(act: Act) -> (ConversationId, Ask) {
    match act {
        Act::Say(id, text) => (id, Ask::Say(Body(text.into()))),
        Act::Note(id, text) => (id, Ask::Note(Body(text.into()))),
        Act::Accept(id, offer) => (id, Ask::Accept { offer }),
        Act::Decline(id, offer) => (id, Ask::Decline { offer }),
        Act::Assign(id, to, force) => (id, Ask::Assign { to, force }),
        Act::Transfer(id, to, leave) => (id, Ask::Transfer { to, leave }),
        Act::Invite(id, agent) => (id, Ask::Invite { agent }),
        Act::Leave(id) => (id, Ask::Leave),
        Act::Close(id) => (id, Ask::Close),
        Act::Reopen(id) => (id, Ask::Reopen),
        Act::Choose(id, choice) => (id, Ask::Choose { choice, turned_away: false }),
        Act::BotSays(id, text) => (id, Ask::Say(Body(text.into()))),
        Act::HandOver(id, target, preferred) => {
            let hand_over = HandOver {
                target,
                preferred,
                variables: Vec::new(),
                tags: Vec::new(),
                note: Some(Body("NOTE-of-the-bot".into())),
                may_return: None,
            };
            (id, Ask::HandOver(Box::new(hand_over)))
        }
        Act::ReturnToBot(id) => (id, Ask::ReturnToBot),
        Act::Take(id) => (id, Ask::Take),
        Act::Open { conversation, .. } => (conversation, Ask::Take),
        Act::Presence(..) | Act::Put(..) | Act::Remove(_) => (ConversationId::from_bytes([0; 16]), Ask::Take),
    }
}

fn target_of(act: &Act) -> Option<ConversationId> {
    match act {
        Act::Presence(..) | Act::Put(..) | Act::Remove(_) | Act::Open { .. } => None,
        other => Some(asked(other.clone()).0),
    }
}

fn digest(act: &Act) -> u32 {
    let text = format!("{act:?}");
    text.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
