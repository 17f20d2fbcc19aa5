//! The actor of one group: a thin shell round its machine.

use std::{collections::BTreeSet, rc::Rc};

use actix::{Actor, Context, Handler};

use super::{
    places::Calls,
    port::Notice,
    sessions::Feed,
    shell::{Deliver, Scratch, Step, release, step},
    space::Space,
    supervision::{Failures, Verdict, guard},
};
use crate::{
    ids::{AgentId, ConversationId},
    metrics::ActorKind,
    routing::{
        Machine as _, Refusal, Tell, agent, conversation,
        conversation::Phase,
        group::{Command, Event, Group},
        recovery::Entry,
    },
};

thread_local! {
    static SCRATCH: Scratch<Event> = const { Scratch::new() };
}

/// A group's actor.
pub struct GroupActor {
    pub(super) space: Rc<Space>,
    pub(super) machine: Group,
    /// What is recorded of it, and nothing else.
    durable: Group,
    failures: Failures,
    quarantined: bool,
    pub(super) calls: Calls,
}

impl Actor for GroupActor {
    type Context = Context<Self>;
}

impl GroupActor {
    /// Starts the actor of a new or recovered group. `durable` is what the log says of it.
    pub fn begin(space: &Rc<Space>, machine: Group, durable: Group) {
        let id = machine.id().clone();
        let actor = Self {
            space: Rc::clone(space),
            machine,
            durable,
            failures: Failures::default(),
            quarantined: false,
            calls: Calls::default(),
        };
        space.local.shared.metrics.actors.live.of(ActorKind::Group).add(1);
        space.local.shared.directory.enter_group(space.index, id, actor.start());
    }

    fn handle_command(&mut self, command: Command) {
        if self.quarantined
            && let Some(reply_to) = Group::asker(&command)
        {
            return self.space.answer(reply_to, Err(Refusal::GroupUnavailable));
        }
        let decides = matches!(command, Command::Enqueue(_)).then(std::time::Instant::now);
        let mut out = SCRATCH.with(Scratch::take);
        match step(&self.space, self.space.local.now(), &mut self.machine, command, &mut out) {
            Step::Taken if out.events.is_empty() => {}
            Step::Taken => {
                let events = std::mem::take(&mut out.events);
                events.iter().for_each(|event| self.durable.evolve(event));
                let id = self.machine.id().clone();
                self.space.local.record(&self.space.id, &Entry::Group { id, events });
            }
            Step::Fell => self.rebuild(),
        }
        release(&self.space, &mut out);
        SCRATCH.with(|scratch| scratch.give(out));
        if let Some(started) = decides {
            self.space.local.shared.metrics.routing.decision.record(started.elapsed());
        }
        self.watch_line();
        self.show();
    }

    /// The machine fell: what waits and who is there is asked for again; it matches nothing before all have answered.
    pub(super) fn rebuild(&mut self) {
        let metrics = &self.space.local.shared.metrics.actors;
        metrics.restarts.of(ActorKind::Group).increment(1);
        let id = self.machine.id().clone();
        let waiting: BTreeSet<ConversationId> = {
            let ledger = self.space.ledger.borrow();
            let rows = ledger.lines(&[Phase::Waiting, Phase::Offered], None);
            rows.filter(|row| row.group.as_ref() == Some(&id)).map(|row| row.conversation).collect()
        };
        self.machine = self.durable.clone();
        let members = self.space.agents_of(&id);
        self.machine.rebuilt(waiting.clone(), members.iter().copied().collect());
        tracing::error!(group = %id, "a group fell and is rebuilt from its conversations and agents");
        if self.failures.count(self.space.local.now()) == Verdict::GiveUp && !self.quarantined {
            self.quarantined = true;
            metrics.quarantined.of(ActorKind::Group).add(1);
            tracing::error!(group = %id, "a group fell too often and is closed for routing");
            self.space.tell(Tell::Group(id.clone(), Command::Quarantine(true)));
        }
        for agent in members {
            self.describe(agent);
        }
        for conversation in waiting {
            let group = id.clone();
            self.space.tell(Tell::Conversation(conversation, conversation::Command::AskWaiting { group }));
        }
    }

    fn describe(&self, agent: AgentId) {
        let group = self.machine.id().clone();
        self.space.tell(Tell::Agent(agent, agent::Command::Describe { group }));
    }

    /// Shows the group in the metrics, and to whoever subscribed.
    fn show(&self) {
        let metrics = self.space.group_metrics(self.machine.id());
        metrics.line(self.machine.waiting(), self.machine.oldest().map(|oldest| oldest.micros()));
        let ports = self.space.feed(&Feed::Group(self.machine.id().clone()));
        if !ports.is_empty() {
            let row = self.space.group_row(&self.machine, true);
            self.space.notify(ports, Notice::GroupChanged(row));
        }
    }
}

impl Handler<Deliver<Command>> for GroupActor {
    type Result = ();
    fn handle(&mut self, Deliver(command): Deliver<Command>, _: &mut Context<Self>) {
        // The step has a guard of its own, which answers the poison command; this one is for recording and telling.
        if guard(|| self.handle_command(command)).is_none() {
            self.rebuild();
        }
    }
}
