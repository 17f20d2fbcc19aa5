//! The actor of one workspace: a thin shell round its machine. It keeps the token book in step with what is recorded.

use std::rc::Rc;

use actix::{Actor, Context, Handler};

use super::{
    shell::{Deliver, Scratch, Step, release, step},
    space::Space,
    supervision::{Failures, guard},
};
use crate::{
    clock::Timestamp,
    metrics::ActorKind,
    routing::{
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
    space: Rc<Space>,
    machine: Workspace,
    /// What is recorded of it, with the agents; what is open is asked of the lists.
    durable: Workspace,
    failures: Failures,
}

impl Actor for WorkspaceActor {
    type Context = Context<Self>;
}

impl WorkspaceActor {
    /// Starts the actor of a recovered workspace.
    pub fn begin(space: &Rc<Space>, machine: Workspace) {
        for token in machine.tokens() {
            space.tokens.enter(space.index, token.clone());
        }
        let durable = machine.clone();
        let actor = Self { space: Rc::clone(space), machine, durable, failures: Failures::default() };
        space.local.shared.metrics.actors.live.of(ActorKind::Workspace).add(1);
        space.local.shared.directory.enter_workspace(space.index, actor.start());
    }

    fn handle_command(&mut self, command: Command) {
        let mut out = SCRATCH.with(Scratch::take);
        let put = match &command {
            Command::PutAgent { agent, profile, .. } => Some((*agent, profile.clone())),
            _ => None,
        };
        let now = self.space.local.now();
        match step(&self.space, now, &mut self.machine, command, &mut out) {
            Step::Taken => {
                if let Some((agent, profile)) = put.filter(|_| !out.tells.is_empty()) {
                    self.durable.restore_agent(agent, &profile);
                }
                self.commit(now, std::mem::take(&mut out.events), out.by);
            }
            Step::Fell => self.rebuild(),
        }
        release(&self.space, &mut out);
        SCRATCH.with(|scratch| scratch.give(out));
    }

    fn commit(&mut self, at: Timestamp, events: Vec<Event>, by: crate::routing::By) {
        if events.is_empty() {
            return;
        }
        for event in &events {
            self.durable.evolve(event);
            match event {
                Event::TokenMinted(token) => self.space.tokens.enter(self.space.index, token.clone()),
                Event::TokenRevoked { id } => {
                    self.space.tokens.strike(id);
                    self.space.sessions.borrow().revoke(id);
                }
            }
        }
        self.space.local.record(&self.space.id, &Entry::Workspace { at, by, events });
    }

    /// The machine fell: what is recorded, and what the lists say is open.
    fn rebuild(&mut self) {
        let metrics = &self.space.local.shared.metrics.actors;
        metrics.restarts.of(ActorKind::Workspace).increment(1);
        self.failures.count(self.space.local.now());
        tracing::error!(workspace = %self.space.id, "a workspace fell and was rebuilt");
        self.machine = self.durable.clone();
        let open = [Phase::Waiting, Phase::Offered, Phase::Active, Phase::Missed];
        for row in self.space.ledger.borrow().lines(&open, None) {
            self.machine.restore_open(row.visitor, &row.channel, row.conversation);
        }
    }
}

impl Handler<Deliver<Command>> for WorkspaceActor {
    type Result = ();
    fn handle(&mut self, Deliver(command): Deliver<Command>, _: &mut Context<Self>) {
        // The step has a guard of its own, which answers the poison command; this one is for recording and telling.
        if guard(|| self.handle_command(command)).is_none() {
            self.rebuild();
        }
    }
}
