//! The actor of one conversation: a thin shell round its machine. It knows where its records are, so that it can be rebuilt.

use std::{rc::Rc, sync::Arc};

use actix::{Actor, ActorContext as _, AsyncContext as _, Context, Handler, Message};

use super::{
    count::Marks,
    directory::Name,
    history::History,
    ledger::Line,
    port::{ConversationRow, Numbered},
    publish::{self, Listed},
    shell::{Deliver, Scratch, Step, release, step},
    space::{Records, Space},
    supervision::{Failures, Verdict, guard},
};
use crate::{
    clock::Timestamp,
    metrics::ActorKind,
    routing::{
        Machine as _, Out, Refusal, Tell, Variable,
        agent::{self, End},
        conversation::{Command, Conversation, Event, Phase, Record},
        group,
        notice::Before,
    },
};

thread_local! {
    static SCRATCH: Scratch<Event> = const { Scratch::new() };
}

/// A conversation's actor.
pub struct ConversationActor {
    pub(super) space: Rc<Space>,
    pub(super) machine: Conversation,
    pub(super) history: History,
    pub(super) marks: Marks,
    pub(super) variables: Arc<[Variable]>,
    /// Its line in the lists, once it is opened.
    line: Option<Rc<Line>>,
    /// Who holds a slot for it or takes part, as the lists have it.
    pub(super) listed: Listed,
    armed: Timestamp,
    failures: Option<Box<Failures>>,
    pub(super) quarantined: bool,
    /// Its opening was refused or failed: there is no such conversation.
    dismissed: bool,
    /// The stay and the place in its line that was last told.
    pub(super) told_place: Option<(u32, u32)>,
}

/// Everything that was on its way has been handled.
struct Retired;
impl Message for Retired {
    type Result = ();
}

impl Actor for ConversationActor {
    type Context = Context<Self>;
}

impl ConversationActor {
    /// Starts the actor of a new, recovered or woken conversation.
    pub fn begin(space: &Rc<Space>, machine: Conversation, records: Records) {
        let id = machine.id();
        let mut actor = Self {
            space: Rc::clone(space),
            machine,
            history: History::new(records),
            marks: Marks::default(),
            variables: Arc::from([]),
            line: None,
            listed: Listed::default(),
            armed: Timestamp::NEVER,
            failures: None,
            quarantined: false,
            dismissed: false,
            told_place: None,
        };
        actor.resume();
        space.local.shared.metrics.actors.live.of(ActorKind::Conversation).add(1);
        space.local.shared.directory.enter_conversation(space.index, id, actor.start());
    }

    /// After a start or a rebuild: lists, marks and the timer are views of the machine.
    fn resume(&mut self) {
        if self.machine.phase().is_none() {
            return;
        }
        let mut marks = Marks::default();
        for position in self.history.positions().clone() {
            if let Some(record) = self.space.read_record(position) {
                self.history.see(&record);
                record.events.iter().for_each(|event| marks.see(&self.space, record.at, event));
                if let Some(Event::Opened { variables, .. }) = record.events.first() {
                    self.variables = variables.clone().into();
                }
            }
        }
        marks.restore(&self.space, self.machine.phase() == Some(Phase::Active));
        self.marks = marks;
        self.enlist();
        publish::restore(self);
        self.arm(self.space.local.now());
    }

    fn handle_command(&mut self, command: Command, context: &mut Context<Self>) {
        if self.dismissed {
            // It was on its way already: whoever asks has an answer coming.
            return self.space.tell(Tell::Conversation(self.machine.id(), command));
        }
        if self.quarantined {
            return match Conversation::asker(&command) {
                Some(reply_to) => self.space.answer(reply_to, Err(Refusal::Quarantined)),
                // Whoever holds a slot for it, or asks about one, hears that there is nothing to hold.
                None => self.space.compensate(Tell::Conversation(self.machine.id(), command)),
            };
        }
        let now = self.space.local.now();
        if matches!(command, Command::Tick) && !self.is_due(now) {
            return;
        }
        let before = Before::of(&self.machine);
        let numbers = self.machine.numbers();
        let asker = Conversation::asker(&command).map(|to| to.connection);
        let mut out = SCRATCH.with(Scratch::take);
        match step(&self.space, now, &mut self.machine, command, &mut out) {
            Step::Taken => self.commit(now, &before, numbers, asker, &mut out),
            Step::Fell => self.rebuild(),
        }
        release(&self.space, &mut out);
        SCRATCH.with(|scratch| scratch.give(out));
        self.arm(now);
        if self.machine.phase() == Some(Phase::Closed) {
            self.retire(context);
        } else if self.machine.phase().is_none() {
            self.dismissed = true;
            self.space.local.shared.directory.take_conversation(self.space.index, self.machine.id());
            context.notify(Retired);
        }
    }

    /// Closed: it ends when everything that is on its way to it has been handled, unless it is called back by that.
    fn retire(&self, context: &mut Context<Self>) {
        if self.space.leave(self.machine.id()) {
            context.notify(Retired);
        }
    }

    /// Records what happened and lets everybody know whom it concerns.
    fn commit(
        &mut self,
        at: Timestamp,
        before: &Before,
        numbers: (u64, u64),
        asker: Option<u64>,
        out: &mut Out<Event>,
    ) {
        if out.events.is_empty() {
            return;
        }
        let record =
            Arc::new(Record { at, by: out.by, key: out.key, events: out.events.drain(..).collect() });
        let id = self.machine.id();
        let position = self.space.local.record_conversation(&self.space, id, &record);
        self.history.add(position, &record);
        if let Some(Event::Opened { variables, .. }) = record.events.first() {
            self.variables = variables.clone().into();
        }
        self.marks.count(&self.space, &record);
        self.enlist();
        let (seq, visitor_seq) = numbers;
        publish::publish(self, before, &Numbered { record, seq, visitor_seq }, asker);
    }

    /// The machine fell: back to what the log says, the not yet durable tail included (design §3.5).
    fn rebuild(&mut self) {
        let metrics = &self.space.local.shared.metrics.actors;
        metrics.restarts.of(ActorKind::Conversation).increment(1);
        let verdict = self.failures.get_or_insert_default().count(self.space.local.now());
        let rebuilt = self.space.read_back(self.machine.id(), self.history.positions());
        match (verdict, rebuilt) {
            (Verdict::Rebuild, Some(machine)) => {
                tracing::error!(conversation = %machine.id(), "a conversation fell and was rebuilt from the log");
                self.machine = machine;
                self.catch_up();
            }
            (Verdict::GiveUp, Some(machine)) => {
                self.machine = machine;
                self.put_aside();
            }
            (_, None) => self.put_aside(),
        }
    }

    /// Back from the log, it knows neither whether its visitor is there nor whether its group still knows of it.
    fn catch_up(&self) {
        let id = self.machine.id();
        if let Some((visitor, _, via)) = self.machine.visitor() {
            let present = self.space.sessions.borrow().has_visitor(visitor, via);
            self.space.tell(Tell::Conversation(id, Command::VisitorPresent(present)));
        }
        let waits = matches!(self.machine.phase(), Some(Phase::Waiting | Phase::Offered));
        if let Some(group) = self.machine.group().filter(|_| waits).cloned() {
            self.space.tell(Tell::Conversation(id, Command::AskWaiting { group }));
        }
    }

    /// Fallen too often: its slots are freed, its queue is left, and it takes nothing more until the next start.
    fn put_aside(&mut self) {
        let id = self.machine.id();
        tracing::error!(conversation = %id, "a conversation fell too often and is put aside");
        self.quarantined = true;
        self.space.local.shared.metrics.actors.quarantined.of(ActorKind::Conversation).add(1);
        for (agent, epoch, _) in self.machine.holds() {
            let release = agent::Command::Release { conversation: id, epoch, end: End::Freed };
            self.space.tell(Tell::Agent(agent, release));
        }
        if let Some(group) = self.machine.group().cloned() {
            self.space.tell(Tell::Group(group, group::Command::Leave { conversation: id }));
        }
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

    /// Keeps one reminder, no later than the next deadline.
    fn arm(&mut self, now: Timestamp) {
        if let Some(at) = self.space.with_context(now, |cx| self.machine.next_deadline(cx))
            && at < self.armed
        {
            self.armed = at;
            self.space.local.arm(at, Name::conversation(self.space.index, self.machine.id()));
        }
    }

    /// Keeps its line in the lists. Most records are messages, which leave it where it is.
    fn enlist(&mut self) {
        if let Some(line) = self.line.as_deref().filter(|line| self.stands_at(line)) {
            return line.advance(self.machine.numbers().0);
        }
        if let Some(row) = self.row() {
            let line = Line::new(row);
            let before = self.line.replace(Rc::clone(&line));
            self.space.ledger.borrow_mut().list(before.as_deref(), line);
        }
    }

    fn stands_at(&self, line: &Line) -> bool {
        let machine = &self.machine;
        machine.phase() == Some(line.phase)
            && machine.owner().map(|owner| owner.agent) == line.owner
            && machine.group() == line.group.as_ref()
            && machine.waiting_since().map(|(_, since)| since) == line.waiting_since
    }

    /// Its line in a list.
    #[must_use]
    pub fn row(&self) -> Option<ConversationRow> {
        let machine = &self.machine;
        let (visitor, channel, via) = machine.visitor()?;
        Some(ConversationRow {
            conversation: machine.id(),
            visitor,
            via,
            channel: channel.clone(),
            phase: machine.phase()?,
            group: machine.group().cloned(),
            owner: machine.owner().map(|owner| owner.agent),
            priority: machine.priority().get(),
            opened_at: machine.opened_at()?,
            waiting_since: machine.waiting_since().map(|(_, since)| since),
            seq: machine.numbers().0,
        })
    }
}

impl Handler<Deliver<Command>> for ConversationActor {
    type Result = ();
    fn handle(&mut self, Deliver(command): Deliver<Command>, context: &mut Context<Self>) {
        // The step has a guard of its own, which answers the poison command; this one is for recording and telling.
        if guard(|| self.handle_command(command, context)).is_none() {
            self.rebuild();
        }
    }
}

impl Handler<Retired> for ConversationActor {
    type Result = ();
    fn handle(&mut self, _: Retired, context: &mut Context<Self>) {
        let is_closed = self.machine.phase() == Some(Phase::Closed);
        if self.dismissed || is_closed && self.space.left(self.machine.id(), self.history.positions()) {
            self.space.local.shared.metrics.actors.live.of(ActorKind::Conversation).add(-1);
            context.stop();
        } else if is_closed {
            // Called back meanwhile, if only to be looked at.
            self.retire(context);
        }
    }
}
