//! The simulated daemon: the machines, their mailboxes, their timers, the log, and what is held back until it is durable.
//! It does what the actors do, one step at a time, in an order that a seed decides.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use maitred::{
    clock::Timestamp,
    ids::{AgentId, ConversationId, GroupId, VisitorId},
    routing::{
        By, Context, Key, Machine as _, Out, Policy, QueueCause, Refusal, Refused, Reply, ReplyTo, Tell,
        agent,
        conversation::{self, Conversation, Event, Record, Way},
        group::{self, Waiting},
        notice::{AgentNotice, Before},
        recovery::{Entry, World},
        rules::Rules,
        undeliverable::{Undelivered, undeliverable},
        workflow::{Aim, Reassign, Step, Workflow},
    },
};

use crate::{
    archive::Archived,
    bugs::Bug,
    oracle::Oracle,
    people::People,
    plan::{Faults, Plan},
    presets::{DAWN, Kind},
    rng::Rng,
    store::Store,
    visits::Visits,
};

/// Where a mailbox is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Address {
    Workspace,
    Group(GroupId),
    Agent(AgentId),
    Conversation(ConversationId),
}

impl Address {
    pub(crate) fn of(tell: &Tell) -> Self {
        match tell {
            Tell::Workspace(_) => Self::Workspace,
            Tell::Group(id, _) => Self::Group(id.clone()),
            Tell::Agent(id, _) => Self::Agent(*id),
            Tell::Conversation(id, _) => Self::Conversation(*id),
        }
    }
}

/// An answer as the caller gets it.
pub(crate) type Answered = Result<Reply, Refusal>;

/// What leaves the workspace, and so waits until it is durable.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    Answer(ReplyTo, Answered),
    Offer {
        agent: AgentId,
        conversation: ConversationId,
        notice: AgentNotice,
    },
    /// To the visitor: the number in their own counting, and all that they can read in it.
    Shown {
        visitor: VisitorId,
        connection: u64,
        conversation: ConversationId,
        number: u64,
        text: String,
    },
    /// To staff who watch the conversation.
    Watched {
        watching: u64,
        conversation: ConversationId,
        seq: u64,
        text: String,
    },
}

/// A run of a seed.
pub(crate) struct Sim {
    pub(crate) rng: Rng,
    pub(crate) plan: Plan,
    pub(crate) faults: Faults,
    pub(crate) bug: Option<Bug>,
    pub(crate) tampered: u64,
    pub(crate) now: Timestamp,
    pub(crate) world: World,
    pub(crate) generations: BTreeMap<AgentId, u32>,
    pub(crate) visits: Visits,
    pub(crate) store: Store,
    pub(crate) archived: Option<Archived>,
    pub(crate) mail: BTreeMap<Address, VecDeque<Tell>>,
    stalled: BTreeMap<Address, Timestamp>,
    timers: BTreeMap<Address, Timestamp>,
    next_timers: BTreeSet<(Timestamp, Address)>,
    held: VecDeque<(u64, Effect)>,
    sync_at: Option<Timestamp>,
    clock_at: Timestamp,
    pub(crate) people: People,
    pub(crate) oracle: Oracle,
    /// What the bent machine goes by when a bug is planted that bends the rules.
    pub(crate) loose: Policy,
    pub(crate) crashes: u32,
    pub(crate) panics: u32,
    pub(crate) handled: u64,
    /// Whether each command is printed.
    pub(crate) traced: bool,
    /// How many commands were handled when all was last looked over.
    looked_over: u64,
}

impl Sim {
    pub(crate) fn new(kind: Kind, seed: u64, bug: Option<Bug>) -> Self {
        let mut rng = Rng::new(seed);
        let plan = Plan::draw(&mut rng, kind);
        Self::with(rng, plan, bug)
    }

    pub(crate) fn with(rng: Rng, plan: Plan, bug: Option<Bug>) -> Self {
        let now = DAWN;
        let loose = loosened(&plan, bug);
        let mut sim = Self {
            people: People::new(&plan),
            oracle: Oracle::new(plan.policy.clone(), plan.extras.clone()),
            faults: plan.faults,
            rng,
            bug,
            tampered: 0,
            now,
            world: World::default(),
            generations: BTreeMap::new(),
            visits: Visits::default(),
            store: Store::new(),
            archived: None,
            mail: BTreeMap::new(),
            stalled: BTreeMap::new(),
            timers: BTreeMap::new(),
            next_timers: BTreeSet::new(),
            held: VecDeque::new(),
            sync_at: None,
            clock_at: now,
            loose,
            crashes: 0,
            panics: 0,
            handled: 0,
            traced: std::env::var_os("SIM_TRACE").is_some(),
            looked_over: 0,
            plan,
        };
        sim.start();
        sim.people_begin();
        sim
    }

    /// One step: something is delivered, or time goes on to when something happens.
    pub(crate) fn step(&mut self) {
        if self.rng.chance(self.faults.crash) {
            return self.crash();
        }
        if self.rng.chance(self.faults.cut) {
            self.archive();
        }
        self.let_due_happen();
        let open: Vec<&Address> =
            self.mail.keys().filter(|address| !self.stalled.contains_key(address)).collect();
        match self.rng.pick(&open).copied().cloned() {
            Some(address) => {
                let slow = self.rng.chance(0.02);
                self.now = self.now + self.rng.micros(1, if slow { 5_000 } else { 40 });
                self.deliver(&address);
            }
            None => self.go_on_to_the_next(),
        }
        if self.mail.is_empty() && self.looked_over != self.handled {
            self.looked_over = self.handled;
            self.oracle.when_quiet(self.now, &self.world, &self.people);
        }
    }

    // === Time ===

    /// When something happens by itself next.
    pub(crate) fn next_time(&self) -> Option<Timestamp> {
        let timer = self.next_timers.first().map(|(at, _)| *at);
        let stall = self.stalled.values().min().copied();
        [timer, stall, self.sync_at, self.people.next()].into_iter().flatten().min()
    }

    fn go_on_to_the_next(&mut self) {
        if let Some(next) = self.next_time() {
            // A wheel of buckets is a little late now and then.
            let late = if self.rng.chance(0.3) { self.rng.micros(0, 5_000) } else { Duration::ZERO };
            self.now = self.now.max(next + late);
        }
        if !self.next_timers.is_empty() && self.clock_at + Duration::from_secs(1) <= self.now {
            self.clock_at = self.now;
            self.record(Entry::Clock { at: self.now });
        }
    }

    fn let_due_happen(&mut self) {
        let now = self.now;
        self.stalled.retain(|_, until| *until > now);
        if self.sync_at.is_some_and(|at| at <= now) {
            self.sync();
        }
        while let Some((at, address)) = self.next_timers.first().cloned().filter(|(at, _)| *at <= now) {
            self.next_timers.remove(&(at, address.clone()));
            self.timers.remove(&address);
            match address {
                Address::Agent(id) => self.post(Tell::Agent(id, agent::Command::Tick)),
                Address::Conversation(id) => self.post(Tell::Conversation(id, conversation::Command::Tick)),
                Address::Group(id) => self.post(Tell::Group(id, group::Command::Tick)),
                Address::Workspace => {}
            }
        }
        self.people_act();
    }

    fn arm(&mut self, address: Address) {
        let cx = Context { now: self.now, policy: &self.plan.policy, generations: &self.generations };
        let deadline = match &address {
            // What its machine wants waits until it takes part again, as the shells' one reminder does.
            aside if self.is_aside(aside) => None,
            Address::Agent(id) => self.world.agents.get(id).and_then(|agent| agent.next_deadline(&cx)),
            Address::Conversation(id) => {
                self.world.conversations.get(id).and_then(|conversation| conversation.next_deadline(&cx))
            }
            Address::Group(id) => self.world.groups.get(id).and_then(|group| group.next_deadline(&cx)),
            Address::Workspace => None,
        };
        if let Some(before) = self.timers.remove(&address) {
            self.next_timers.remove(&(before, address.clone()));
        }
        if let Some(deadline) = deadline {
            self.timers.insert(address.clone(), deadline);
            self.next_timers.insert((deadline, address));
        }
    }

    // === Handling ===

    /// Puts a command into its receiver's mailbox.
    pub(crate) fn post(&mut self, tell: Tell) {
        self.mail.entry(Address::of(&tell)).or_default().push_back(tell);
    }

    fn deliver(&mut self, address: &Address) {
        if self.rng.chance(self.faults.stall) {
            let until = self.now + self.rng.micros(1_000, 3_000_000);
            self.oracle.calm_since = until;
            self.stalled.insert(address.clone(), until);
            return self.strike_while_stalled(address);
        }
        let Some(mailbox) = self.mail.get_mut(address) else { return };
        let Some(tell) = mailbox.pop_front() else { return };
        if mailbox.is_empty() {
            self.mail.remove(address);
        }
        self.handled += 1;
        if self.rng.chance(self.faults.panic) && !self.is_aside(address) {
            if self.traced {
                println!("{} FAILED over {tell:?}", self.now);
            }
            self.fell();
            self.fail(address, tell);
        } else if let Some(tell) = self.tamper(tell) {
            self.oracle.begin(self.mail.is_empty());
            self.dispatch(tell);
        }
        self.arm(address.clone());
    }

    /// While a grant hangs in a stalled mailbox is the worst time for the agent who gave it to fail: so it does, now and then.
    fn strike_while_stalled(&mut self, address: &Address) {
        let next = self.mail.get(address).and_then(VecDeque::front);
        if let Some(Tell::Conversation(_, conversation::Command::Granted(granted))) = next
            && self.faults.panic > 0.0
            && self.rng.chance(0.3)
            && !self.is_aside(&Address::Agent(granted.agent))
        {
            let agent = granted.agent;
            if self.traced {
                println!("{} FAILED {agent} while its grant hangs", self.now);
            }
            self.fell();
            self.rebuild_agent(agent);
            self.arm(Address::Agent(agent));
        }
    }

    fn fell(&mut self) {
        self.panics += 1;
        self.oracle.calm_since = self.oracle.calm_since.max(self.now);
        self.oracle.failed_at = self.now;
    }

    pub(crate) fn dispatch(&mut self, tell: Tell) {
        if self.traced {
            println!("{} {tell:?}", self.now);
        }
        if self.is_aside(&Address::of(&tell)) {
            return self.stand_aside(tell);
        }
        let mut cx = Context { now: self.now, policy: &self.plan.policy, generations: &self.generations };
        match tell {
            Tell::Workspace(command) => {
                if matches!(self.bug, Some(Bug::OneSeatMore | Bug::OneEngagementMore)) {
                    cx.policy = &self.loose;
                }
                let mut out = Out::default();
                let done = self.world.workspace.handle(&cx, command, &mut out);
                let at = self.now;
                self.finish(done, out, |events, by, _| Entry::Workspace { at, by, events });
            }
            Tell::Group(id, command) => {
                let Some(group) = self.world.groups.get_mut(&id) else {
                    return self.give_back(Tell::Group(id, command));
                };
                let reopened = |waiting: &Waiting| waiting.cause == QueueCause::Reopened;
                if self.bug == Some(Bug::HoursIgnored)
                    && matches!(&command, group::Command::Enqueue(waiting) if reopened(waiting))
                {
                    cx.policy = &self.loose;
                }
                let mut out = Out::default();
                let done = group.handle(&cx, command, &mut out);
                self.oracle.group_decided(&id, &out, &self.people, self.now);
                self.finish(done, out, |events, _, _| Entry::Group { id, events });
            }
            Tell::Agent(id, command) => {
                if matches!(command, agent::Command::Put { .. }) {
                    self.world.agents.entry(id).or_insert_with(|| agent::Agent::new(id));
                }
                if self.bug == Some(Bug::CapOffByOne) {
                    cx.policy = &self.loose;
                }
                let Some(agent) = self.world.agents.get_mut(&id) else {
                    return self.give_back(Tell::Agent(id, command));
                };
                let mut out = Out::default();
                let done = agent.handle(&cx, command, &mut out);
                let live = agent.is_live();
                self.oracle.agent_granted(id, &out, live);
                let at = self.now;
                self.finish(done, out, |events, by, key| Entry::Agent { id, at, by, key, events });
            }
            Tell::Conversation(id, command) => self.tell_conversation(id, command),
        }
    }

    pub(crate) fn tell_conversation(&mut self, id: ConversationId, command: conversation::Command) {
        if matches!(
            command,
            conversation::Command::Open { way: Way::New { .. }, .. }
                | conversation::Command::Failed { opening: true, .. }
        ) {
            self.world.conversations.entry(id).or_insert_with(|| Box::new(Conversation::new(id)));
        }
        let at = self.time_for(&command);
        let none = BTreeMap::new();
        let ignored = self.has(Bug::GenerationIgnored);
        let generations = if ignored { &none } else { &self.generations };
        let mut cx = Context { now: at, policy: &self.plan.policy, generations };
        if matches!(self.bug, Some(Bug::RuleSkipped | Bug::FiresAfterReply)) {
            cx.policy = &self.loose;
        }
        let Some(conversation) = self.world.conversations.get_mut(&id) else {
            return self.give_back(Tell::Conversation(id, command));
        };
        // A grant always carries what was current then; without the check it counts as what is current now.
        let command = match command {
            conversation::Command::Granted(mut granted) if ignored => {
                granted.generation = 0;
                conversation::Command::Granted(granted)
            }
            other => other,
        };
        self.oracle.about_to_handle(&command, self.now);
        let before = Before::of(conversation);
        let numbers = conversation.numbers();
        let mut out = Out::default();
        let done = conversation.handle(&cx, command, &mut out);
        let recorded = !out.events.is_empty();
        self.finish(done, out, |events, by, key| {
            let record = Record { at, by, key, events };
            Entry::Conversation { id, record }
        });
        if recorded {
            self.publish(id, &before, numbers);
        }
    }

    /// What a handler that returned leads to: recorded, told, and answered once it is durable.
    fn finish<E>(
        &mut self,
        done: Result<(), Refused>,
        mut out: Out<E>,
        entry: impl FnOnce(Vec<E>, By, Option<Key>) -> Entry,
    ) {
        if let Err(refused) = done {
            if !out.events.is_empty() {
                self.oracle
                    .blame("refusals change nothing", format!("{:?} recorded something", refused.refusal));
            }
            if let Some(reply_to) = refused.reply_to {
                self.hold(Effect::Answer(reply_to, Err(refused.refusal)));
            }
            return;
        }
        // A keyed command that changed nothing is recorded too: its key has been answered.
        if !out.events.is_empty() || out.key.is_some() {
            let events = std::mem::take(&mut out.events);
            self.record(entry(events, out.by, out.key));
        }
        for tell in out.tells {
            self.post(tell);
        }
        for (reply_to, answered) in out.answers {
            self.hold(Effect::Answer(reply_to, answered));
        }
    }

    fn give_back(&mut self, tell: Tell) {
        self.pass_on(undeliverable(tell));
    }

    pub(crate) fn pass_on(&mut self, undelivered: Undelivered) {
        for tell in undelivered.tells {
            self.post(tell);
        }
        if let Some((reply_to, refusal)) = undelivered.refused {
            self.hold(Effect::Answer(reply_to, Err(refusal)));
        }
    }

    pub(crate) fn context(&self) -> Context<'_> {
        Context { now: self.now, policy: &self.plan.policy, generations: &self.generations }
    }

    // === What is recorded and what leaves ===

    pub(crate) fn record(&mut self, mut entry: Entry) {
        if let Entry::Conversation { record, .. } = &mut entry
            && self.bug == Some(Bug::DoubleFallback)
            && let Some(Event::FellBack { .. }) = record.events.last()
        {
            record.events.extend(record.events.last().cloned());
        }
        if let Entry::Conversation { record, .. } = &mut entry
            && self.bug == Some(Bug::HeldTwice)
            && let Some(Event::Queued { .. }) = record.events.last()
            && record.events.iter().any(|event| matches!(event, Event::Chosen { .. }))
        {
            record.events.extend(record.events.last().cloned());
        }
        let skipped = self.has(Bug::LostRecord)
            && matches!(&entry, Entry::Conversation { .. })
            && self.rng.chance(0.02);
        if skipped {
            return;
        }
        self.oracle.take(&entry, self.now, &self.people);
        self.store.append(entry);
        if self.sync_at.is_none() {
            let slow = self.rng.chance(self.faults.slow_sync);
            self.sync_at = Some(self.now + self.rng.micros(50, if slow { 700_000 } else { 6_000 }));
        }
    }

    /// Tells whoever hears of it what the newest record of a conversation says.
    pub(crate) fn publish(&mut self, id: ConversationId, before: &Before, numbers: (u64, u64)) {
        let Some(Entry::Conversation { record, .. }) = self.store.entries.last() else { return };
        let (mut seq, mut number) = numbers;
        let Some(conversation) = self.world.conversations.get(&id) else { return };
        let mut effects = Vec::new();
        for event in &record.events {
            seq += 1;
            let watching = self.people.watching;
            if self.people.watches {
                effects.push(Effect::Watched { watching, conversation: id, seq, text: format!("{event:?}") });
            }
            let shown = event.visitor_sees() || self.bug == Some(Bug::NoteShown);
            number += u64::from(event.visitor_sees());
            let visitor = conversation.visitor().filter(|_| shown);
            if let Some((visitor, connection)) = visitor.and_then(|(id, ..)| self.people.connection(id)) {
                let text = show(event);
                effects.push(Effect::Shown { visitor, connection, conversation: id, number, text });
            }
        }
        if let (Some((visitor, ..)), Some(phase)) = (conversation.visitor(), conversation.phase()) {
            self.visits.does(visitor, phase);
        }
        for (agent, notice) in before.changes(conversation) {
            effects.push(Effect::Offer { agent, conversation: id, notice });
        }
        for effect in effects {
            if self.has(Bug::DuplicateDelivery) && self.rng.chance(0.01) {
                self.hold(effect.clone());
            }
            if self.has(Bug::LostDelivery) && self.rng.chance(0.01) {
                continue;
            }
            self.hold(effect);
        }
    }

    /// Output commit: it leaves when the log is durable up to here.
    pub(crate) fn hold(&mut self, effect: Effect) {
        let position = if self.has(Bug::EarlyRelease) { 0 } else { self.store.newest() };
        self.held.push_back((position, effect));
        if position <= self.store.durable() {
            self.release();
        }
    }

    pub(crate) fn sync(&mut self) {
        self.sync_at = None;
        self.store.sync();
        self.release();
    }

    fn release(&mut self) {
        let durable = self.store.durable();
        while self.held.front().is_some_and(|(position, _)| *position <= durable) {
            if let Some((position, effect)) = self.held.pop_front() {
                self.oracle.left(position);
                self.people_hear(effect);
            }
        }
    }

    /// Everything that is not on the disk is gone.
    pub(crate) fn forget_everything(&mut self) {
        self.mail.clear();
        self.stalled.clear();
        self.timers.clear();
        self.next_timers.clear();
        self.held.clear();
        self.generations.clear();
        self.visits = Visits::default();
        self.sync_at = None;
        self.world = World::default();
    }

    pub(crate) fn arm_all(&mut self) {
        if self.has(Bug::TimersNotArmed) {
            return;
        }
        let agents = self.world.agents.keys().copied().map(Address::Agent);
        let groups = self.world.groups.keys().cloned().map(Address::Group);
        let conversations = self.world.conversations.keys().copied().map(Address::Conversation);
        let all: Vec<Address> = agents.chain(groups).chain(conversations).collect();
        for address in all {
            self.arm(address);
        }
    }
}

/// All that a visitor can read of an event that is shown to them. The canaries of other audiences must not be in it.
pub(crate) fn show(event: &Event) -> String {
    match event {
        Event::Said { body } | Event::Noted { body } => format!("said {}", body.0),
        Event::Assigned { name, .. } => format!("{name} is here"),
        Event::Joined { name, .. } | Event::Helps { name, .. } => format!("{name} joined"),
        Event::FellBack { message, .. } | Event::TurnedAway { message, .. } => {
            message.as_deref().unwrap_or_default().to_string()
        }
        Event::Closed { .. } => "closed".to_owned(),
        Event::Opened { .. }
        | Event::Queued { .. }
        | Event::Left { .. }
        | Event::Held { .. }
        | Event::HandedOver { .. }
        | Event::ReturnedToBot
        | Event::Reopened => "something else".to_owned(),
        other => format!("FOR STAFF ONLY {other:?}"),
    }
}

/// The rules as a planted bug bends them.
fn loosened(plan: &Plan, bug: Option<Bug>) -> Policy {
    let mut loose = plan.policy.clone();
    match bug {
        Some(Bug::CapOffByOne) => loose.cap += 1,
        Some(Bug::OneSeatMore) => loose.seats = loose.seats.map(|seats| seats + 1),
        Some(Bug::OneEngagementMore) => {
            loose.lifetime_engagements = loose.lifetime_engagements.map(|most| most + 1);
        }
        Some(Bug::HoursIgnored) => {
            for group in loose.groups.values_mut().chain([&mut loose.everyone]) {
                Arc::make_mut(group).hours = None;
            }
        }
        Some(Bug::RuleSkipped) => loose.rules = Rules::new(loose.rules.iter().skip(1).cloned().collect()),
        Some(Bug::FiresAfterReply) => {
            if let Some(watch) = &plan.extras.watch {
                let to = Aim::Group(watch.group.clone());
                let reassign = Reassign { to, only_online: true, exclude_previous: true };
                let steps = [Step::Assign(Aim::Routed), Step::Wait(watch.wait), Step::Reassign(reassign)];
                loose.workflows = vec![Arc::new(Workflow::new("unanswered".into(), &steps))];
            }
        }
        _ => {}
    }
    loose
}
