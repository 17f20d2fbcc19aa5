//! The actor of one agent: a thin shell round its machine. A second machine takes in the recorded events only, to rebuild from.

use std::rc::Rc;

use actix::{Actor, Context, Handler};

use super::{
    directory::Name,
    port::AgentRow,
    sessions::Feed,
    shell::{Deliver, Scratch, Step, release, step},
    space::Space,
    supervision::{Failures, Verdict, guard},
};
use crate::{
    clock::Timestamp,
    metrics::{ActorKind, AgentMark, AgentState, AgentView},
    routing::{
        Machine as _, Presence, Refusal, Tell, WhyNot,
        agent::{Agent, Command, Event},
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
    durable: Agent,
    armed: Timestamp,
    failures: Failures,
    quarantined: bool,
    mark: AgentMark,
    version: u64,
}

impl Actor for AgentActor {
    type Context = Context<Self>;
}

impl AgentActor {
    /// Starts the actor of a new or recovered agent.
    pub fn begin(space: &Rc<Space>, machine: Agent) {
        let id = machine.id();
        let workspace = space.local.shared.metrics.workspace(space.id.as_str());
        let mut actor = Self {
            space: Rc::clone(space),
            durable: machine.clone(),
            machine,
            armed: Timestamp::NEVER,
            failures: Failures::default(),
            quarantined: false,
            mark: AgentMark::new(workspace, Vec::new()),
            version: 0,
        };
        let now = space.local.now();
        actor.arm(now);
        actor.belong();
        actor.show(now);
        space.local.shared.metrics.actors.live.of(ActorKind::Agent).add(1);
        space.local.shared.directory.enter_agent(space.index, id, actor.start());
    }

    fn handle_command(&mut self, command: Command) {
        let now = self.space.local.now();
        if matches!(command, Command::Tick) && !self.is_due(now) {
            return;
        }
        if self.quarantined
            && let Some(reply_to) = Agent::asker(&command)
        {
            return self.space.answer(reply_to, Err(Refusal::Quarantined));
        }
        let mut out = SCRATCH.with(Scratch::take);
        match step(&self.space, now, &mut self.machine, command, &mut out) {
            Step::Taken if out.events.is_empty() => {}
            Step::Taken => {
                let at = now;
                let events = std::mem::take(&mut out.events);
                let regrouped = events.iter().any(|event| matches!(event, Event::Put(_)));
                events.iter().for_each(|event| self.durable.evolve(at, event));
                if let Some(key) = &out.key {
                    self.durable.remember(key);
                }
                let id = self.machine.id();
                self.space
                    .local
                    .record(&self.space.id, &Entry::Agent { id, at, by: out.by, key: out.key, events });
                if regrouped {
                    self.belong();
                }
            }
            Step::Fell => self.rebuild(),
        }
        release(&self.space, &mut out);
        SCRATCH.with(|scratch| scratch.give(out));
        self.arm(now);
        self.show(now);
    }

    /// The machine fell: a new generation, from what is recorded; it grants nothing before its conversations have answered.
    fn rebuild(&mut self) {
        let metrics = &self.space.local.shared.metrics.actors;
        metrics.restarts.of(ActorKind::Agent).increment(1);
        let id = self.machine.id();
        let generation = self.space.next_generation(id);
        let sessions = self.space.sessions.borrow().sessions_of(id);
        let slots = self.space.ledger.borrow().mine(id).map(|mine| mine.slots.clone()).unwrap_or_default();
        let asked: Vec<_> = slots.iter().copied().collect();
        self.machine = self.durable.clone();
        self.machine.rebuilt(generation, sessions, slots);
        if self.failures.count(self.space.local.now()) == Verdict::GiveUp && !self.quarantined {
            self.quarantined = true;
            metrics.quarantined.of(ActorKind::Agent).add(1);
            tracing::error!(agent = %id, "an agent fell too often and is offered nothing more");
            self.space.tell(Tell::Agent(id, Command::Quarantine(true)));
        }
        tracing::error!(agent = %id, generation, "an agent fell and was rebuilt");
        for conversation in asked {
            let ask = conversation::Command::AskHeld { agent: id, grant: 0 };
            self.space.tell(Tell::Conversation(conversation, ask));
        }
        let everyone = crate::ids::GroupId::everyone();
        for group in self.machine.profile().groups.iter().chain([&everyone]) {
            self.space.tell(Tell::Group(group.clone(), group::Command::Forgotten { agent: id }));
        }
        self.space.tell(Tell::Agent(id, Command::PolicyChanged));
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
        if let Some(at) = self.space.with_context(now, |cx| self.machine.next_deadline(cx))
            && at < self.armed
        {
            self.armed = at;
            self.space.local.arm(at, Name::agent(self.space.index, self.machine.id()));
        }
    }

    /// The groups they count in, and their scope.
    fn belong(&mut self) {
        let groups = &self.machine.profile().groups;
        self.space.set_scope(self.machine.id(), groups);
        self.mark.belongs_to(groups.iter().map(|group| self.space.group_metrics(group)).collect());
    }

    /// Shows the agent in the metrics, and to whoever subscribed.
    fn show(&mut self, now: Timestamp) {
        self.version += 1;
        let (taken, cap, why_not) = self
            .space
            .with_context(now, |cx| (self.machine.taken(), self.machine.cap(cx), self.machine.why_not(cx)));
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
            self.space.notify(ports, super::port::Notice::AgentChanged(self.row()));
        }
    }

    /// Their line in a list.
    #[must_use]
    pub fn row(&self) -> AgentRow {
        let (missed, last_assigned) = self.machine.record_of_service();
        self.space.with_context(self.space.local.now(), |cx| AgentRow {
            missed,
            last_assigned,
            sessions: self.space.sessions.borrow().sessions_of(self.machine.id()),
            quarantined: self.quarantined,
            agent: self.machine.id(),
            profile: self.machine.profile().clone(),
            presence: self.machine.intent(),
            live: self.machine.is_live(),
            why_not: self.machine.why_not(cx),
            cap: self.machine.cap(cx),
            taken: self.machine.taken(),
            reserved: self.machine.reserved(),
            version: self.version,
        })
    }
}

impl Handler<Deliver<Command>> for AgentActor {
    type Result = ();
    fn handle(&mut self, Deliver(command): Deliver<Command>, _: &mut Context<Self>) {
        // The step has a guard of its own, which answers the poison command; this one is for recording and telling.
        if guard(|| self.handle_command(command)).is_none() {
            self.rebuild();
        }
    }
}
