//! The actor of one agent: a thin shell round its machine. A second machine takes in the recorded events only, to rebuild from.

use std::{collections::BTreeSet, rc::Rc, time::Duration};

use actix::{Actor, Context, Handler};

use super::{
    aside::Subject,
    directory::Name,
    faults,
    port::{AgentRow, Face},
    respawn::Dead,
    sessions::Feed,
    shell::{self, Deliver, Scratch, Shell},
    space::Space,
    supervision::{Failures, Verdict, guard},
};
use crate::{
    clock::Timestamp,
    ids::{ConversationId, GroupId},
    metrics::{ActorKind, AgentMark, AgentState, AgentView},
    routing::{
        By, Key, Machine as _, Presence, Refusal, Remains, Tell, WhyNot,
        agent::{Agent, Command, Event, Held, Profile, Push},
        conversation, group,
        recovery::Entry,
    },
};

thread_local! {
    static SCRATCH: Scratch<Event> = const { Scratch::new() };
}

/// An agent's actor.
pub struct AgentActor {
    pub(super) space: Rc<Space>,
    pub(super) machine: Agent,
    /// What is recorded of them, and nothing else.
    pub(super) durable: Agent,
    armed: Timestamp,
    pub(super) failures: Failures,
    /// Stands aside after falling too often: the machine is not run.
    pub(super) aside: bool,
    /// Died of a fall that no guard held, and was started again: to be rebuilt before anything else.
    died: bool,
    mark: AgentMark,
    version: u64,
}

impl Actor for AgentActor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        if std::mem::take(&mut self.died) && guard(|| self.rebuild()).is_none() {
            tracing::error!(agent = %self.durable.id(), "an agent fell while it was started again");
        }
    }
}

impl Drop for AgentActor {
    /// Trivial, as it may run while a panic unwinds: what is needed to start it again is handed on. An agent's actor never ends otherwise.
    fn drop(&mut self) {
        let durable = std::mem::replace(&mut self.durable, Agent::new(self.machine.id()));
        let failures = std::mem::take(&mut self.failures);
        self.space.local.died(self.space.index, Dead::Agent { durable: Box::new(durable), failures });
    }
}

impl AgentActor {
    /// Starts the actor of a new or recovered agent.
    pub fn begin(space: &Rc<Space>, machine: Agent) {
        let id = machine.id();
        let mut actor = Self::new(space, machine);
        if let Some(since) = actor.machine.quarantined() {
            space.set_aside(Subject::Agent(id), since);
        }
        let now = space.local.now();
        actor.arm(now);
        actor.belong();
        actor.show(now);
        space.local.shared.metrics.actors.live.of(ActorKind::Agent).add(1);
        space.local.shared.directory.enter_agent(space.index, id, actor.start());
    }

    /// Starts one again that died of a fall that no guard held; the fall counts.
    pub(super) fn respawn(space: &Rc<Space>, durable: Agent, failures: Failures) {
        let id = durable.id();
        let mut actor = Self::new(space, durable);
        actor.failures = failures;
        actor.died = true;
        actor.belong();
        space.local.shared.directory.enter_agent(space.index, id, actor.start());
    }

    fn new(space: &Rc<Space>, machine: Agent) -> Self {
        let workspace = space.local.shared.metrics.workspace(space.id.as_str());
        Self {
            space: Rc::clone(space),
            durable: machine.clone(),
            aside: machine.quarantined().is_some(),
            machine,
            armed: Timestamp::NEVER,
            failures: Failures::default(),
            died: false,
            mark: AgentMark::new(workspace, Vec::new()),
            version: 0,
        }
    }

    fn handle_command(&mut self, command: Command) {
        let now = self.space.local.now();
        if self.aside {
            self.stand_aside(command);
        } else if !matches!(command, Command::Tick) || self.is_due(now) {
            self.run(now, command);
        } else {
            return;
        }
        self.arm(now);
        self.show(now);
    }

    /// Runs the machine, and records and tells what that leads to. However it falls, whoever asked is answered once.
    fn run(&mut self, now: Timestamp, mut command: Command) {
        let remains = Agent::remains(&command);
        if let Some(Remains { key: Some(key), reply_to, .. }) = &remains
            && self.machine.has_failed(key)
        {
            return reply_to.iter().for_each(|to| self.space.answer(*to, Err(Refusal::Failed)));
        }
        if let Command::SessionLost { later } = &mut command {
            *later = self.departs(now);
        }
        let mut out = SCRATCH.with(Scratch::take);
        shell::run(self, now, command, &mut out, |_| {});
        SCRATCH.with(|scratch| scratch.give(out));
    }

    /// The machine that what is recorded makes, in a new generation, and the conversations that it has to ask.
    pub(super) fn from(&self, durable: Agent) -> (Agent, BTreeSet<ConversationId>) {
        let id = durable.id();
        let generation = self.space.next_generation(id);
        let sessions = self.space.sessions.borrow().sessions_of(id);
        let slots = self.space.ledger.borrow().mine(id).map(|mine| mine.slots.clone()).unwrap_or_default();
        let mut machine = durable;
        machine.rebuilt(generation, sessions, slots.clone());
        (machine, slots)
    }

    /// Asks the conversations what they hold, and lets the groups know.
    pub(super) fn ask_round(&self, slots: BTreeSet<ConversationId>) {
        let id = self.durable.id();
        for conversation in slots {
            let ask = conversation::Command::AskHeld { agent: id, grant: 0 };
            self.space.tell(Tell::Conversation(conversation, ask));
        }
        let everyone = GroupId::everyone();
        for group in self.durable.profile().groups.iter().chain([&everyone]) {
            self.space.tell(Tell::Group(group.clone(), group::Command::Forgotten { agent: id }));
        }
        self.space.tell(Tell::Agent(id, Command::PolicyChanged));
    }

    /// How much longer they are waited for, their last session being lost: what they leave to others goes there at a bounded rate.
    fn departs(&self, now: Timestamp) -> Duration {
        if self.space.sessions.borrow().sessions_of(self.machine.id()) > 0 {
            return Duration::ZERO;
        }
        let (ledger, policy) = (self.space.ledger.borrow(), self.space.policy());
        let comes_back = |id| {
            let group = ledger.line(id).and_then(|line| policy.group(line.group.as_ref()?));
            group.is_some_and(|group| group.requeue_on_disconnect)
        };
        let left = self.machine.holds().filter(|(id, held)| *held == Held::Reserved || comes_back(*id));
        let left = u32::try_from(left.count()).unwrap_or(u32::MAX);
        self.space.departures.borrow_mut().later(now, left)
    }

    fn is_due(&mut self, now: Timestamp) -> bool {
        if self.armed <= now {
            self.armed = Timestamp::NEVER;
        }
        let due =
            self.space.with_context(now, |cx| self.machine.next_deadline(cx)).is_some_and(|at| at <= now);
        if !due {
            self.arm(now);
        }
        due
    }

    fn arm(&mut self, now: Timestamp) {
        if self.aside {
            return;
        }
        if let Some(at) = self.space.with_context(now, |cx| self.machine.next_deadline(cx))
            && at < self.armed
        {
            self.armed = at;
            self.space.local.arm(at, Name::agent(self.space.index, self.machine.id()));
        }
    }

    /// The groups they count in, and their scope.
    fn belong(&mut self) {
        self.space.set_scope(self.machine.id(), self.machine.scope());
        self.space.see_anew(self.machine.id());
        let groups = &self.machine.profile().groups;
        let Profile { name, avatar, .. } = self.machine.profile();
        self.space.set_face(self.machine.id(), Face { name: name.clone(), avatar: avatar.clone() });
        let address = self.machine.profile().email.as_deref().filter(|_| self.machine.exists());
        self.space.set_address(self.machine.id(), address);
        self.mark.belongs_to(groups.iter().map(|group| self.space.group_metrics(group)).collect());
    }

    /// Shows the agent in the metrics, and to whoever subscribed.
    fn show(&mut self, now: Timestamp) {
        self.version += 1;
        let (taken, cap, why_not) =
            self.space.with_context(now, |cx| (self.taken(), self.machine.cap(cx), self.machine.why_not(cx)));
        let (used, free) = (u32::from(taken), u32::from(cap.saturating_sub(taken)));
        let state = match (self.machine.intent(), why_not) {
            (Presence::Offline, _) => None,
            (_, None) => Some(AgentState::Available),
            (_, Some(WhyNot::AtCap)) => Some(AgentState::Busy),
            (_, Some(WhyNot::WrapUp)) => Some(AgentState::WrapUp),
            (_, Some(_)) => Some(AgentState::Away),
        };
        self.mark.show(state.filter(|_| self.machine.exists()).map(|state| AgentView { state, used, free }));
        let ports = self.space.feed(&Feed::Agent(self.machine.id()));
        if !ports.is_empty() {
            self.space.notify(ports, super::port::Notice::AgentChanged(Box::new(self.row())));
        }
    }

    /// Slots in use; by the lists, while the machine stands still.
    fn taken(&self) -> u16 {
        if !self.aside {
            return self.machine.taken();
        }
        let ledger = self.space.ledger.borrow();
        let slots = ledger.mine(self.durable.id()).map_or(0, |mine| mine.slots.len());
        u16::try_from(slots).unwrap_or(u16::MAX)
    }

    /// Their line in a list.
    #[must_use]
    pub fn row(&self) -> AgentRow {
        let (missed, last_assigned) = self.machine.record_of_service();
        let mut activity = self.durable.activity();
        let lately = self.space.activity(self.machine.id());
        activity.add(lately.last, lately.messages);
        self.space.with_context(self.space.local.now(), |cx| AgentRow {
            missed,
            last_assigned,
            activity,
            push: match self.machine.push() {
                Push::Unset => None,
                Push::Off => Some(false),
                Push::On { .. } => Some(true),
            },
            sessions: self.space.sessions.borrow().sessions_of(self.machine.id()),
            quarantined: self.aside,
            agent: self.machine.id(),
            profile: self.machine.profile().clone(),
            presence: self.machine.intent(),
            live: self.machine.is_live(),
            why_not: self.machine.why_not(cx),
            cap: self.machine.cap(cx),
            taken: self.taken(),
            reserved: self.machine.reserved(),
            version: self.version,
        })
    }
}

impl Shell for AgentActor {
    type Machine = Agent;

    fn space(&self) -> &Rc<Space> {
        &self.space
    }

    fn machine(&mut self) -> &mut Agent {
        &mut self.machine
    }

    fn record(&mut self, at: Timestamp, by: By, key: Option<Key>, events: Vec<Event>) {
        let id = self.durable.id();
        let regrouped =
            events.iter().any(|event| matches!(event, Event::Put(_) | Event::Profiled(_) | Event::Removed));
        self.durable.replay(at, key.as_ref(), &events);
        self.space.local.record(&self.space.id, &Entry::Agent { id, at, by, key, events });
        if regrouped {
            self.belong();
        }
    }

    /// The machine fell: a new generation, from what is recorded; it grants nothing before its conversations have answered. A fall on the
    /// way back counts like any other, so this ends.
    fn rebuild(&mut self) {
        let id = self.durable.id();
        loop {
            self.space.local.shared.metrics.actors.restarts.of(ActorKind::Agent).increment(1);
            if self.failures.count(self.space.local.now()) == Verdict::GiveUp {
                return self.put_aside();
            }
            let rebuild = || {
                faults::in_rebuild(&self.durable, &"");
                self.from(self.durable.clone())
            };
            match guard(rebuild) {
                Some((machine, slots)) => {
                    self.machine = machine;
                    let generation = self.machine.generation();
                    tracing::error!(agent = %id, generation, "an agent fell and was rebuilt");
                    return self.ask_round(slots);
                }
                None => tracing::error!(agent = %id, "an agent fell while they were rebuilt"),
            }
        }
    }

    /// Nothing happened and nothing ever will: the command's key is kept with that (design §3.5).
    fn fell(&mut self, remains: Option<Remains>) {
        self.rebuild();
        let Some(remains) = remains else { return };
        match remains.tell() {
            Some(tell) => self.space.tell(tell),
            None if !self.aside => {
                self.run(self.space.local.now(), Command::Failed { ticket: remains.ticket() });
            }
            None => remains.reply_to.into_iter().for_each(|to| self.space.answer(to, Err(Refusal::Failed))),
        }
    }
}

impl Handler<Deliver<Command>> for AgentActor {
    type Result = ();
    fn handle(&mut self, Deliver(command): Deliver<Command>, _: &mut Context<Self>) {
        faults::outside_the_guard(&self.machine, &command);
        // Running has guards of its own, which answer the poison command; this one is for what comes after it.
        if guard(|| self.handle_command(command)).is_none() {
            self.rebuild();
        }
    }
}
