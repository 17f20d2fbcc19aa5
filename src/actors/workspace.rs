//! The actor of one workspace: a thin shell round its machine. It keeps the token book in step with what is recorded.

use std::rc::Rc;

use actix::{Actor, Context, Handler};

use super::{
    aside::Subject,
    faults,
    respawn::Dead,
    shell::{self, Deliver, Scratch, Shell},
    space::Space,
    supervision::{Failures, Verdict, guard},
};
use crate::{
    clock::Timestamp,
    metrics::ActorKind,
    routing::{
        By, Key,
        conversation::Phase,
        recovery::Entry,
        workspace::{Command, Event, Workspace},
    },
};

thread_local! {
    static SCRATCH: Scratch<Event> = const { Scratch::new() };
}

/// A workspace's actor.
pub struct WorkspaceActor {
    pub(super) space: Rc<Space>,
    pub(super) machine: Workspace,
    /// What is recorded of it, with the agents; what is open is asked of the lists.
    pub(super) durable: Workspace,
    pub(super) failures: Failures,
    /// Stands aside after falling too often: the machine is not run.
    pub(super) aside: bool,
    /// Died of a fall that no guard held, and was started again: to be rebuilt before anything else.
    died: bool,
}

/// The agents that a command may have changed.
enum Touched {
    Nobody,
    One(crate::ids::AgentId),
    All,
}

impl Actor for WorkspaceActor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        if std::mem::take(&mut self.died) && guard(|| self.rebuild()).is_none() {
            tracing::error!(workspace = %self.space.id, "a workspace fell while it was started again");
        }
    }
}

impl Drop for WorkspaceActor {
    /// Trivial, as it may run while a panic unwinds: what is needed to start it again is handed on. A workspace's actor never ends otherwise.
    fn drop(&mut self) {
        let durable = Box::new(std::mem::take(&mut self.durable));
        let failures = std::mem::take(&mut self.failures);
        self.space.local.died(self.space.index, Dead::Workspace { durable, failures });
    }
}

impl WorkspaceActor {
    /// Starts the actor of a recovered workspace.
    pub fn begin(space: &Rc<Space>, machine: Workspace) {
        for token in machine.tokens() {
            space.tokens.enter(space.index, token.clone());
        }
        if let Some(since) = machine.quarantined() {
            space.set_aside(Subject::Workspace, since);
        }
        space.ledger.borrow_mut().engaged = machine.counts().engaged;
        space.local.shared.metrics.actors.live.of(ActorKind::Workspace).add(1);
        let actor = Self::new(space, machine);
        space.local.shared.directory.enter_workspace(space.index, actor.start());
    }

    /// Starts one again that died of a fall that no guard held; the fall counts.
    pub(super) fn respawn(space: &Rc<Space>, durable: Workspace, failures: Failures) {
        let mut actor = Self::new(space, durable);
        actor.failures = failures;
        actor.died = true;
        space.local.shared.directory.enter_workspace(space.index, actor.start());
    }

    fn new(space: &Rc<Space>, machine: Workspace) -> Self {
        Self {
            space: Rc::clone(space),
            durable: machine.clone(),
            aside: machine.quarantined().is_some(),
            machine,
            failures: Failures::default(),
            died: false,
        }
    }

    fn handle_command(&mut self, command: Command) {
        if self.aside {
            self.stand_aside(command);
        } else {
            self.run(command);
        }
    }

    /// Runs the machine, and records and tells what that leads to. However it falls, whoever asked is answered once.
    fn run(&mut self, command: Command) {
        let mut out = SCRATCH.with(Scratch::take);
        let touched = match &command {
            Command::PutAgent { agent, .. }
            | Command::ChangeAgent { agent, .. }
            | Command::RemoveAgent { agent, .. }
            | Command::Stands { agent, .. } => Touched::One(*agent),
            // A free seat may go to somebody who waits for one.
            Command::KeepManaged { .. } | Command::SeatFree { .. } => Touched::All,
            _ => Touched::Nobody,
        };
        let now = self.space.local.now();
        shell::run(self, now, command, &mut out, |it| match touched {
            Touched::Nobody => {}
            Touched::One(agent) => it.durable.follow_agent(agent, &it.machine),
            Touched::All => it.durable.follow_agents(&it.machine),
        });
        SCRATCH.with(|scratch| scratch.give(out));
    }

    /// The machine that what is recorded makes, and what the lists say is open.
    pub(super) fn from(&self, durable: Workspace) -> Workspace {
        let mut machine = durable;
        let open =
            [Phase::Bot, Phase::Waiting, Phase::Offered, Phase::Active, Phase::Missed, Phase::Choosing];
        let aside = self.space.aside.borrow();
        machine.restore_engaged(self.space.ledger.borrow().engaged);
        for row in self.space.ledger.borrow().lines(&open, None) {
            // A visitor whose conversation stands aside may open another one.
            if !aside.contains_key(&Subject::Conversation(row.conversation)) {
                machine.restore_open(row.visitor, &row.channel, row.conversation);
            }
        }
        machine
    }
}

impl Shell for WorkspaceActor {
    type Machine = Workspace;

    fn space(&self) -> &Rc<Space> {
        &self.space
    }

    fn machine(&mut self) -> &mut Workspace {
        &mut self.machine
    }

    fn record(&mut self, at: Timestamp, by: By, _: Option<Key>, events: Vec<Event>) {
        for event in &events {
            self.durable.evolve(event);
            match event {
                Event::TokenMinted(token) => self.space.tokens.enter(self.space.index, token.clone()),
                Event::TokenRevoked { id } => {
                    self.space.tokens.strike(id);
                    self.space.sessions.borrow().revoke(id);
                }
                Event::Quarantined { .. } | Event::Reinstated | Event::ActionFailed(_) => {}
            }
        }
        self.space.local.record(&self.space.id, &Entry::Workspace { at, by, events });
    }

    /// The machine fell: what is recorded, and what the lists say is open. A fall on the way back counts like any other, so this ends.
    fn rebuild(&mut self) {
        let workspace = self.space.id.clone();
        loop {
            self.space.local.shared.metrics.actors.restarts.of(ActorKind::Workspace).increment(1);
            if self.failures.count(self.space.local.now()) == Verdict::GiveUp {
                return self.put_aside();
            }
            let rebuild = || {
                faults::in_rebuild(&self.durable, &"");
                self.from(self.durable.clone())
            };
            match guard(rebuild) {
                Some(machine) => {
                    tracing::error!(%workspace, "a workspace fell and was rebuilt");
                    self.machine = machine;
                    return;
                }
                None => tracing::error!(%workspace, "a workspace fell while it was rebuilt"),
            }
        }
    }
}

impl Handler<Deliver<Command>> for WorkspaceActor {
    type Result = ();
    fn handle(&mut self, Deliver(command): Deliver<Command>, _: &mut Context<Self>) {
        faults::outside_the_guard(&self.machine, &command);
        // Running has guards of its own, which answer the poison command; this one is for what comes after it.
        if guard(|| self.handle_command(command)).is_none() {
            self.rebuild();
        }
    }
}
