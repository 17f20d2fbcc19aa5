//! The actor of one group: a thin shell round its machine.

use std::{collections::BTreeSet, rc::Rc};

use actix::{Actor, Context, Handler};

use super::{
    aside::Subject,
    directory::Name,
    faults,
    places::Calls,
    port::Notice,
    respawn::Dead,
    sessions::Feed,
    shell::{self, Deliver, Scratch, Shell},
    space::Space,
    supervision::{Failures, Verdict, guard},
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, ConversationId, GroupId},
    metrics::ActorKind,
    routing::{
        By, Key, Machine as _, Tell, agent,
        conversation::{self, Phase},
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
    pub(super) durable: Group,
    pub(super) failures: Failures,
    /// Stands aside after falling too often: the machine is not run.
    pub(super) aside: bool,
    /// Died of a fall that no guard held, and was started again: to be rebuilt before anything else.
    died: bool,
    pub(super) calls: Calls,
    /// When it is reminded next.
    armed: Timestamp,
}

impl Actor for GroupActor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        if std::mem::take(&mut self.died) && guard(|| self.rebuild()).is_none() {
            tracing::error!(group = %self.durable.id(), "a group fell while it was started again");
        }
    }
}

impl Drop for GroupActor {
    /// Trivial, as it may run while a panic unwinds: what is needed to start it again is handed on. A group's actor never ends otherwise.
    fn drop(&mut self) {
        let durable = std::mem::replace(&mut self.durable, Group::new(GroupId::everyone()));
        let failures = std::mem::take(&mut self.failures);
        self.space.local.died(self.space.index, Dead::Group { durable: Box::new(durable), failures });
    }
}

impl GroupActor {
    /// Starts the actor of a new or recovered group. `durable` is what the log says of it.
    pub fn begin(space: &Rc<Space>, machine: Group, durable: Group) {
        if let Some(since) = durable.quarantined() {
            space.set_aside(Subject::Group(durable.id().clone()), since);
        }
        space.local.shared.metrics.actors.live.of(ActorKind::Group).add(1);
        let id = durable.id().clone();
        let mut actor = Self::new(space, durable);
        actor.machine = machine;
        space.local.shared.directory.enter_group(space.index, id, actor.start());
    }

    /// Starts one again that died of a fall that no guard held; the fall counts.
    pub(super) fn respawn(space: &Rc<Space>, durable: Group, failures: Failures) {
        let id = durable.id().clone();
        let mut actor = Self::new(space, durable);
        actor.failures = failures;
        actor.died = true;
        space.local.shared.directory.enter_group(space.index, id, actor.start());
    }

    fn new(space: &Rc<Space>, durable: Group) -> Self {
        Self {
            space: Rc::clone(space),
            aside: durable.quarantined().is_some(),
            machine: durable.clone(),
            durable,
            failures: Failures::default(),
            died: false,
            calls: Calls::default(),
            armed: Timestamp::NEVER,
        }
    }

    fn handle_command(&mut self, command: Command) {
        let now = self.space.local.now();
        if self.armed <= now {
            self.armed = Timestamp::NEVER;
        }
        if self.aside {
            self.stand_aside(command);
        } else {
            self.run(command);
            self.arm(now);
        }
        self.watch_line();
        self.show();
    }

    /// Keeps one reminder, no later than the next deadline.
    fn arm(&mut self, now: Timestamp) {
        if let Some(at) = self.space.with_context(now, |cx| self.machine.next_deadline(cx))
            && at < self.armed
        {
            self.armed = at;
            self.space.local.arm(at, Name::group(self.space.index, self.machine.id()));
        }
    }

    /// Runs the machine, and records and tells what that leads to. However it falls, whoever asked is answered once.
    fn run(&mut self, command: Command) {
        let decides = matches!(command, Command::Enqueue(_)).then(std::time::Instant::now);
        let mut out = SCRATCH.with(Scratch::take);
        shell::run(self, self.space.local.now(), command, &mut out, |_| {});
        SCRATCH.with(|scratch| scratch.give(out));
        if let Some(started) = decides {
            self.space.local.shared.metrics.routing.decision.record(started.elapsed());
        }
    }

    /// The machine that what is recorded makes, and whom it has to ask what waits and who is there.
    pub(super) fn from(&self, durable: Group) -> (Group, BTreeSet<ConversationId>, BTreeSet<AgentId>) {
        let line = self.line();
        let members: BTreeSet<AgentId> = self.space.agents_of(durable.id()).into_iter().collect();
        let mut machine = durable;
        machine.rebuilt(line.clone(), members.clone());
        (machine, line, members)
    }

    /// What waits here, by the lists.
    pub(super) fn line(&self) -> BTreeSet<ConversationId> {
        let ledger = self.space.ledger.borrow();
        let rows = ledger.lines(&[Phase::Waiting, Phase::Offered], None);
        rows.filter(|row| row.group.as_ref() == Some(self.durable.id())).map(|row| row.conversation).collect()
    }

    pub(super) fn ask_round(&self, line: &BTreeSet<ConversationId>, members: &BTreeSet<AgentId>) {
        for agent in members {
            let group = self.durable.id().clone();
            self.space.tell(Tell::Agent(*agent, agent::Command::Describe { group }));
        }
        self.ask_line(line);
    }

    pub(super) fn ask_line(&self, line: &BTreeSet<ConversationId>) {
        for conversation in line {
            let group = self.durable.id().clone();
            self.space.tell(Tell::Conversation(*conversation, conversation::Command::AskWaiting { group }));
        }
    }

    /// Shows the group in the metrics, and to whoever subscribed.
    fn show(&self) {
        let metrics = self.space.group_metrics(self.machine.id());
        metrics.line(self.machine.waiting(), self.machine.oldest().map(|oldest| oldest.micros()));
        let ports = self.space.feed(&Feed::Group(self.machine.id().clone()));
        if !ports.is_empty() {
            let row = self.space.group_row(&self.machine, true);
            self.space.notify(ports, Notice::GroupChanged(Box::new(row)));
        }
    }
}

impl Shell for GroupActor {
    type Machine = Group;

    fn space(&self) -> &Rc<Space> {
        &self.space
    }

    fn machine(&mut self) -> &mut Group {
        &mut self.machine
    }

    fn record(&mut self, _: Timestamp, _: By, _: Option<Key>, events: Vec<Event>) {
        events.iter().for_each(|event| self.durable.evolve(event));
        let id = self.durable.id().clone();
        self.space.local.record(&self.space.id, &Entry::Group { id, events });
    }

    /// The machine fell: what waits and who is there is asked for again; it matches nothing before all have answered. A fall on the way
    /// back counts like any other, so this ends.
    fn rebuild(&mut self) {
        let id = self.durable.id().clone();
        loop {
            self.space.local.shared.metrics.actors.restarts.of(ActorKind::Group).increment(1);
            if self.failures.count(self.space.local.now()) == Verdict::GiveUp {
                return self.put_aside();
            }
            let rebuild = || {
                faults::in_rebuild(&self.durable, &"");
                self.from(self.durable.clone())
            };
            match guard(rebuild) {
                Some((machine, line, members)) => {
                    self.machine = machine;
                    tracing::error!(group = %id, "a group fell and is rebuilt from its conversations and agents");
                    return self.ask_round(&line, &members);
                }
                None => tracing::error!(group = %id, "a group fell while it was rebuilt"),
            }
        }
    }
}

impl Handler<Deliver<Command>> for GroupActor {
    type Result = ();
    fn handle(&mut self, Deliver(command): Deliver<Command>, _: &mut Context<Self>) {
        faults::outside_the_guard(&self.machine, &command);
        // Running has guards of its own, which answer the poison command; this one is for what comes after it.
        if guard(|| self.handle_command(command)).is_none() {
            self.rebuild();
        }
    }
}
