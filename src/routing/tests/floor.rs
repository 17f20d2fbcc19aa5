//! The door: every machine of one workspace, a first-in-first-out road between them, and a time that moves by hand.

mod people;
mod sidelines;
mod sights;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use smol_str::SmolStr;

use crate::{
    clock::Timestamp,
    ids::{AgentId, ClientId, ConversationId, GroupId, VisitorId, WorkspaceId},
    routing::{
        Body, By, Context, Decision, FallbackReason, GroupPolicy, Key, Machine, Out, Policy, Presence,
        Priority, Refusal, Refused, Reply, ReplyTo, RescindReason, Tell, Ticket,
        agent::{self, Agent, Profile},
        aside,
        conversation::{
            self, Ask, Conversation, Destination, Event, OfferKind, Opening, PendingOffer, Phase, Record,
            Target, Way,
        },
        group::{self, Group},
        notice::{AgentNotice, Before},
        recovery::{Entry, World},
        undeliverable::{Undelivered, undeliverable},
        workspace,
    },
};

/// How long agents have to come back after a start.
pub(super) const RECONNECT_GRACE: Duration = Duration::from_secs(15);

/// Messages that one command may lead to before it counts as a loop.
const ENDLESS: usize = 100_000;

pub(super) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) const MICRO: Duration = Duration::from_micros(1);

pub(super) type Answer = Result<Reply, Refusal>;

/// For steps of a story whose answer is not its point.
#[track_caller]
pub(super) fn done(answer: Answer) {
    answer.expect("it was refused");
}

/// A conversation and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Visit {
    pub(super) id: ConversationId,
    pub(super) visitor: VisitorId,
}

/// A command that was posted and perhaps not answered yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request(u32);

/// Whether a tell is lost on the road.
type Thief = Box<dyn Fn(&Tell) -> bool>;

/// One workspace at work.
pub(super) struct Floor {
    pub(super) now: Timestamp,
    pub(super) world: World,
    policy: Policy,
    generations: BTreeMap<AgentId, u32>,
    pub(super) log: Vec<Entry>,
    road: VecDeque<Tell>,
    thief: Option<Thief>,
    answers: BTreeMap<u32, Answer>,
    notices: Vec<(ConversationId, AgentId, AgentNotice)>,
    requests: u32,
    visits: u64,
}

pub(super) fn agent(name: &str) -> AgentId {
    let workspace: WorkspaceId = "floor".parse().expect("a name");
    AgentId::derive(&workspace, name)
}

pub(super) fn group(name: &str) -> GroupId {
    name.parse().expect("a name")
}

pub(super) fn visitor(name: &str) -> VisitorId {
    let workspace: WorkspaceId = "floor".parse().expect("a name");
    VisitorId::derive(&workspace, name)
}

pub(super) fn to_agent(name: &str) -> Destination {
    Destination::Agent(agent(name))
}

pub(super) fn to_group(name: &str) -> Destination {
    Destination::Group(group(name))
}

pub(super) fn text(words: &str) -> Body {
    Body(words.into())
}

/// A version 7 id made at a time.
pub(super) fn made_at(at: Timestamp, number: u64) -> ConversationId {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&(at.micros() / 1_000).to_be_bytes()[2..]);
    bytes[6] = 0x70;
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    bytes[8] = 0x80;
    ConversationId::from_bytes(bytes)
}

// === Setting the scene ===

impl Floor {
    pub(super) fn new() -> Self {
        let policy = Policy { channels: vec!["web".parse().expect("a name")], ..Policy::default() };
        let mut floor = Self {
            now: Timestamp::from_micros(1_800_000_000_000_000),
            world: World::default(),
            policy,
            generations: BTreeMap::new(),
            log: Vec::new(),
            road: VecDeque::new(),
            thief: None,
            answers: BTreeMap::new(),
            notices: Vec::new(),
            requests: 0,
            visits: 0,
        };
        floor.world.groups.insert(GroupId::everyone(), Group::new(GroupId::everyone()));
        floor
    }

    /// A group with these members, all of them online.
    pub(super) fn group<const N: usize>(self, name: &str, members: [&str; N]) -> Self {
        self.group_with(name, members, |_| ())
    }

    /// The same, with rules of its own.
    pub(super) fn group_with<const N: usize>(
        mut self,
        name: &str,
        members: [&str; N],
        edit: impl FnOnce(&mut GroupPolicy),
    ) -> Self {
        let id = group(name);
        let mut rules = GroupPolicy { label: SmolStr::new(name), ..GroupPolicy::default() };
        edit(&mut rules);
        self.policy.groups.insert(id.clone(), Arc::new(rules));
        self.world.groups.entry(id.clone()).or_insert_with(|| Group::new(id.clone()));
        for member in members {
            let known = self.world.agents.get(&agent(member)).map(|agent| agent.profile().groups.clone());
            let newcomer = known.is_none();
            let mut groups = known.unwrap_or_default();
            groups.push(id.clone());
            self.puts(member, |profile| profile.groups = groups).expect("a profile");
            if newcomer {
                self.comes_online(member);
            }
        }
        self
    }

    /// Rules of the workspace.
    pub(super) fn rules(mut self, edit: impl FnOnce(&mut Policy)) -> Self {
        self.reload(edit);
        self
    }

    /// Everybody's cap.
    pub(super) fn cap(self, cap: u16) -> Self {
        self.rules(|policy| policy.cap = cap)
    }

    /// The operator changes the rules while it runs.
    pub(super) fn reload(&mut self, edit: impl FnOnce(&mut Policy)) {
        edit(&mut self.policy);
        for id in self.policy.groups.keys() {
            self.world.groups.entry(id.clone()).or_insert_with(|| Group::new(id.clone()));
        }
        let agents = self.world.agents.keys().map(|id| Tell::Agent(*id, agent::Command::PolicyChanged));
        let groups = self.world.groups.keys();
        let groups = groups.map(|id| Tell::Group(id.clone(), group::Command::PolicyChanged));
        self.road.extend(agents.chain(groups));
        self.settle();
    }

    /// The rules of one group change while it runs.
    pub(super) fn reload_group(&mut self, name: &str, edit: impl FnOnce(&mut GroupPolicy)) {
        self.reload(|policy| {
            edit(Arc::make_mut(policy.groups.get_mut(&group(name)).expect("a group")));
        });
    }

    /// Creates or changes an agent.
    pub(super) fn puts(&mut self, name: &str, edit: impl FnOnce(&mut Profile)) -> Answer {
        let known = self.world.agents.get(&agent(name)).map(|agent| agent.profile().clone());
        let mut profile = known.unwrap_or_else(|| Profile {
            name: SmolStr::new(name),
            email: None,
            groups: Vec::new(),
            cap: None,
            live_chat: true,
            managed_by_config: false,
            ..Profile::default()
        });
        edit(&mut profile);
        let ticket = self.ticket(By::Admin, None);
        let command = workspace::Command::PutAgent { agent: agent(name), profile, ticket: ticket.clone() };
        self.tells_and_waits(Tell::Workspace(command), &ticket)
    }

    pub(super) fn removes(&mut self, name: &str) -> Answer {
        let ticket = self.ticket(By::Admin, None);
        let command = workspace::Command::RemoveAgent { agent: agent(name), ticket: ticket.clone() };
        self.tells_and_waits(Tell::Workspace(command), &ticket)
    }

    /// From now on tells that this holds for are lost on the road.
    pub(super) fn loses(&mut self, thief: impl Fn(&Tell) -> bool + 'static) {
        self.thief = Some(Box::new(thief));
    }

    pub(super) fn loses_nothing_more(&mut self) {
        self.thief = None;
    }
}

// === Time, and the end of it ===

impl Floor {
    /// Time moves on; what falls due on the way is acted on at its exact time.
    pub(super) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        let mut idle_rounds = 0;
        while let Some(deadline) = self.next_deadline().filter(|deadline| *deadline <= end) {
            idle_rounds = if deadline > self.now { 0 } else { idle_rounds + 1 };
            assert!(idle_rounds < 100, "a deadline at {deadline} never goes away");
            self.now = self.now.max(deadline);
            self.tick();
        }
        self.now = end;
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        let cx = self.context();
        let conversations = self.world.conversations.values().filter_map(|it| it.next_deadline(&cx));
        let agents = self.world.agents.values().filter_map(|it| it.next_deadline(&cx));
        let groups = self.world.groups.values().filter_map(|it| it.next_deadline(&cx));
        conversations.chain(agents).chain(groups).min()
    }

    fn tick(&mut self) {
        let cx = Context { now: self.now, policy: &self.policy, generations: &self.generations };
        let due = |deadline: Option<Timestamp>| deadline.is_some_and(|deadline| deadline <= cx.now);
        let conversations = self.world.conversations.iter().filter(|(_, it)| due(it.next_deadline(&cx)));
        let conversations = conversations.map(|(id, _)| Tell::Conversation(*id, conversation::Command::Tick));
        let agents = self.world.agents.iter().filter(|(_, it)| due(it.next_deadline(&cx)));
        let agents = agents.map(|(id, _)| Tell::Agent(*id, agent::Command::Tick));
        let groups = self.world.groups.iter().filter(|(_, it)| due(it.next_deadline(&cx)));
        let groups = groups.map(|(id, _)| Tell::Group(id.clone(), group::Command::Tick));
        let ticks: Vec<Tell> = conversations.chain(agents).chain(groups).collect();
        self.road.extend(ticks);
        self.settle();
    }

    /// The same, with other rules at the start.
    pub(super) fn crash_into(&mut self, edit: impl FnOnce(&mut Policy)) {
        edit(&mut self.policy);
        self.crash(secs(1));
    }

    /// The daemon dies, and is started again after a while: everything is rebuilt from what was recorded.
    pub(super) fn crash(&mut self, downtime: Duration) {
        self.road.clear();
        self.log.push(Entry::Clock { at: self.now });
        let mut world = World::default();
        self.log.iter().for_each(|entry| world.apply(entry));
        let last = world.last;
        self.now = self.now + downtime;
        let grace_us = u64::try_from(RECONNECT_GRACE.as_micros()).expect("a grace");
        let restarted = Entry::Restarted { at: self.now, last, grace_us };
        world.apply(&restarted);
        self.log.push(restarted);
        world.settle(&self.policy, self.now, RECONNECT_GRACE);
        for (id, before) in &self.world.conversations {
            let after = world.conversations.get(id).expect("a conversation was lost");
            assert_eq!(described(before), described(after), "the log does not tell the same story");
        }
        self.world = world;
        let lines = self.world.lines().into_iter();
        let lines = lines.map(|(id, waiting)| Tell::Group(id, group::Command::Enqueue(Box::new(waiting))));
        let gone = |agent| conversation::Command::AgentGone { agent, why: RescindReason::Removed };
        let aside = self.world.offered_aside().into_iter();
        let lines = lines.chain(aside.map(|(id, agent)| Tell::Conversation(id, gone(agent))));
        let starts = self.world.groups.keys().map(|id| Tell::Group(id.clone(), group::Command::Start));
        self.road.extend(lines.chain(starts).collect::<Vec<_>>());
        self.settle();
    }
}

/// What a fold of the log must bring back.
fn described(conversation: &Conversation) -> String {
    let owner = conversation.owner();
    let (phase, numbers, parts) = (conversation.phase(), conversation.numbers(), conversation.participants());
    let offers: Vec<_> = conversation.pending_agents().into_iter().collect();
    format!("{phase:?} {numbers:?} {owner:?} {parts:?} {:?} {offers:?}", conversation.holds())
}

// === The road ===

impl Floor {
    fn ticket(&mut self, by: By, key: Option<Key>) -> Ticket {
        self.requests += 1;
        let agent = by.agent().and_then(|id| self.world.agents.get(&id));
        let scope = agent.map(|agent| Arc::new(agent.scope()));
        Ticket { by, scope, key, reply_to: Some(ReplyTo { connection: 1, request: self.requests }) }
    }

    pub(super) fn tells(&mut self, tell: Tell) {
        self.road.push_back(tell);
        self.settle();
    }

    fn tells_and_waits(&mut self, tell: Tell, ticket: &Ticket) -> Answer {
        self.tells(tell);
        self.answer_to(Request(ticket.reply_to.expect("a way back").request))
    }

    /// Handles what is on the road until it is empty.
    pub(super) fn settle(&mut self) {
        self.settles_watched(|_| ());
    }

    /// The same, and somebody looks after each message.
    pub(super) fn settles_watched(&mut self, look: impl Fn(&Self)) {
        for _ in 0..ENDLESS {
            if self.road.is_empty() {
                return;
            }
            self.delivers(1);
            look(self);
        }
        panic!("the machines tell each other things for ever");
    }

    /// Handles so many messages, and leaves the others on the road.
    pub(super) fn delivers(&mut self, messages: usize) {
        for _ in 0..messages {
            let Some(tell) = self.road.pop_front() else { return };
            if !self.thief.as_ref().is_some_and(|thief| thief(&tell)) {
                self.deliver(tell);
            }
        }
    }

    /// Puts it on the road, behind what is there.
    pub(super) fn posts_tell(&mut self, tell: Tell) {
        self.road.push_back(tell);
    }

    fn deliver(&mut self, tell: Tell) {
        let cx = Context { now: self.now, policy: &self.policy, generations: &self.generations };
        let at = self.now;
        match tell {
            Tell::Workspace(command) => {
                let (handled, mut out) = handle(&mut self.world.workspace, &cx, command);
                let events = std::mem::take(&mut out.events);
                self.finish(handled, out, |by, _| Entry::Workspace { at, by, events });
            }
            Tell::Group(id, command) if self.is_aside(&id) => {
                let undelivered = aside::to_group(&id, command);
                self.pass_on(undelivered);
            }
            Tell::Agent(id, command) if self.is_agent_aside(id) => {
                let undelivered = self.aside_agent(id, command);
                self.pass_on(undelivered);
            }
            Tell::Conversation(id, command) if self.is_conversation_aside(id, &command) => {
                let undelivered = aside::to_conversation(id, command);
                self.pass_on(undelivered);
            }
            Tell::Group(id, command) if self.world.groups.contains_key(&id) => {
                let machine = self.world.groups.get_mut(&id).expect("a group");
                let (handled, mut out) = handle(machine, &cx, command);
                let events = std::mem::take(&mut out.events);
                self.finish(handled, out, |_, _| Entry::Group { id, events });
            }
            Tell::Agent(id, command) if self.knows_agent(id, &command) => {
                let machine = self.world.agents.entry(id).or_insert_with(|| Agent::new(id));
                let (handled, mut out) = handle(machine, &cx, command);
                let events = std::mem::take(&mut out.events);
                self.finish(handled, out, |by, key| Entry::Agent { id, at, by, key, events });
            }
            Tell::Conversation(id, command) if self.knows_conversation(id, &command) => {
                let machine =
                    self.world.conversations.entry(id).or_insert_with(|| Box::new(Conversation::new(id)));
                let before = Before::of(machine);
                let (handled, mut out) = handle(machine.as_mut(), &cx, command);
                let changes = before.changes(machine);
                self.notices.extend(changes.into_iter().map(|(agent, notice)| (id, agent, notice)));
                let events = std::mem::take(&mut out.events);
                let record = |by, key| Record { at, by, key, events };
                self.finish(handled, out, |by, key| Entry::Conversation { id, record: record(by, key) });
            }
            lost => {
                let undelivered = undeliverable(lost);
                self.pass_on(undelivered);
            }
        }
    }

    pub(super) fn pass_on(&mut self, undelivered: Undelivered) {
        self.road.extend(undelivered.tells);
        let refused = undelivered.refused.map(|(reply_to, refusal)| (reply_to.request, Err(refusal)));
        self.answers.extend(refused);
    }

    /// A `Put` makes its agent.
    fn knows_agent(&self, id: AgentId, command: &agent::Command) -> bool {
        matches!(command, agent::Command::Put { .. }) || self.world.agents.contains_key(&id)
    }

    /// An `Open` that the workspace lets through makes it.
    fn knows_conversation(&self, id: ConversationId, command: &conversation::Command) -> bool {
        let makes = match command {
            conversation::Command::Open { way, .. } => matches!(way, Way::New { .. }),
            conversation::Command::OpenTeam { parties, .. } => !parties.is_empty(),
            conversation::Command::Failed { opening, .. } => *opening,
            _ => false,
        };
        makes || self.world.conversations.contains_key(&id)
    }

    fn finish<E>(
        &mut self,
        handled: Result<bool, Refused>,
        out: Out<E>,
        entry: impl FnOnce(By, Option<Key>) -> Entry,
    ) {
        match handled {
            Ok(recorded) => self.log.extend(recorded.then(|| entry(out.by, out.key))),
            Err(refused) => {
                assert!(out.tells.is_empty() && out.answers.is_empty(), "a refusal changes nothing");
                let answer = refused.reply_to.map(|reply_to| (reply_to.request, Err(refused.refusal)));
                self.answers.extend(answer);
            }
        }
        self.road.extend(out.tells);
        for (reply_to, answer) in out.answers {
            let twice = self.answers.insert(reply_to.request, answer);
            assert_eq!(twice, None, "a command was answered twice");
        }
    }
}

/// Hands a machine one command; whether it recorded something.
fn handle<M: Machine>(
    machine: &mut M,
    cx: &Context<'_>,
    command: M::Command,
) -> (Result<bool, Refused>, Out<M::Event>) {
    let mut out = Out::default();
    let handled = machine.handle(cx, command, &mut out);
    let recorded = !out.events.is_empty();
    assert!(handled.is_ok() || !recorded, "a refusal records nothing");
    (handled.map(|()| recorded), out)
}
