//! The actor of one conversation: a thin shell round its machine. It knows where its records are, so that it can be rebuilt.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, ActorContext as _, AsyncContext as _, Context, Handler, Message};

use super::{
    aside::Subject,
    count::Marks,
    directory::Name,
    faults,
    fold::Folded,
    history::History,
    ledger::Line,
    port::{ConversationRow, Numbered, pseudonym_of},
    publish::{self, Listed},
    respawn::Dead,
    shell::{Deliver, Scratch, Step, release, step},
    space::{Records, Space},
    supervision::{Failures, Verdict, guard},
};
use crate::{
    clock::Timestamp,
    ids::ConversationId,
    metrics::ActorKind,
    routing::{
        Machine as _, Out, Refusal, Remains, RescindReason, Tell,
        conversation::{Command, Conversation, Event, Phase, Record},
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
    /// Its line in the lists, once it is opened.
    pub(super) line: Option<Rc<Line>>,
    /// Who holds a slot for it or takes part, as the lists have it.
    pub(super) listed: Listed,
    armed: Timestamp,
    /// For when it is to be reminded since it slept: nothing is taken off the wheel.
    slept_until: Timestamp,
    pub(super) failures: Option<Box<Failures>>,
    /// Stands aside after falling too often: the machine is not run.
    pub(super) aside: bool,
    /// Whether it ends as it should; if not, its end is a fall.
    ended: bool,
    /// Died of a fall that no guard held, and was started again: to be rebuilt before anything else.
    died: bool,
    /// Its opening was refused or failed: there is no such conversation.
    dismissed: bool,
    /// Nothing has come for it since it was last reminded of nothing.
    drowsy: bool,
    /// The stay and the place in its line that was last told.
    pub(super) told_place: Option<(u32, u32)>,
}

/// How long one that may rest stays awake, up to twice as long: whoever was told that nobody can may answer.
const LINGERS: Duration = Duration::from_secs(30);

/// Everything that was on its way has been handled.
struct Retired;
impl Message for Retired {
    type Result = ();
}

impl Actor for ConversationActor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        if std::mem::take(&mut self.died) && guard(|| self.come_to()).is_none() {
            tracing::error!(conversation = %self.machine.id(), "a conversation fell while it was started again");
        }
    }
}

impl Drop for ConversationActor {
    /// Trivial, as it may run while a panic unwinds: what is needed to start it again is handed on.
    fn drop(&mut self) {
        if !self.ended {
            let (id, records) = (self.machine.id(), self.history.take());
            let failures = self.failures.take();
            self.space.local.died(self.space.index, Dead::Conversation { id, records, failures });
        }
    }
}

impl ConversationActor {
    /// Starts the actor of a new, recovered or woken conversation.
    ///
    /// `slept`: its line, if the lists have it already, and for when it is to be reminded anyway.
    pub(super) fn begin(space: &Rc<Space>, folded: Folded, slept: Option<(Rc<Line>, Timestamp)>) {
        let id = folded.machine.id();
        let mut actor = Self::new(space, folded);
        if let Some((line, until)) = slept {
            actor.line = Some(line);
            actor.slept_until = until;
        }
        actor.resume();
        space.local.shared.metrics.actors.live.of(ActorKind::Conversation).add(1);
        space.local.shared.directory.enter_conversation(space.index, id, actor.start());
    }

    /// Starts one whose records can't be folded: it stands aside, and nothing is known of it but its id.
    pub fn begin_unreadable(space: &Rc<Space>, id: ConversationId, records: Records) {
        let mut actor = Self::new(space, Folded { history: History::new(records), ..Folded::new(id) });
        tracing::error!(conversation = %id, "a conversation can't be rebuilt from the log and stands aside");
        actor.aside = true;
        space.set_aside(Subject::Conversation(id), space.local.now());
        space.local.shared.metrics.actors.live.of(ActorKind::Conversation).add(1);
        space.local.shared.directory.enter_conversation(space.index, id, actor.start());
    }

    /// Starts one again that died of a fall that no guard held; the fall counts.
    pub(super) fn respawn(
        space: &Rc<Space>,
        id: ConversationId,
        records: Records,
        failures: Option<Box<Failures>>,
    ) {
        let mut actor = Self::new(space, Folded { history: History::new(records), ..Folded::new(id) });
        actor.failures = failures;
        actor.died = true;
        actor.line = space.ledger.borrow().line(id);
        space.local.shared.directory.enter_conversation(space.index, id, actor.start());
    }

    fn new(space: &Rc<Space>, folded: Folded) -> Self {
        let Folded { machine, marks, history, .. } = folded;
        Self {
            space: Rc::clone(space),
            aside: machine.is_quarantined(),
            machine,
            history,
            marks,
            line: None,
            listed: Listed::default(),
            armed: Timestamp::NEVER,
            slept_until: Timestamp::NEVER,
            failures: None,
            ended: false,
            died: false,
            dismissed: false,
            drowsy: false,
            told_place: None,
        }
    }

    /// After it died: what its records say first, as they may be all there is.
    fn come_to(&mut self) {
        self.recall();
        self.rebuild(None);
        if !self.aside && self.machine.phase().is_some() {
            self.enlist();
            publish::restore(self);
            self.arm(self.space.local.now());
        }
    }

    /// After a start: lists, marks and the timer are views of the machine.
    pub(super) fn resume(&mut self) {
        if self.machine.phase().is_none() {
            return;
        }
        self.marks.restore(&self.space, self.machine.phase());
        self.enlist();
        publish::restore(self);
        self.arm(self.space.local.now());
        if let Some(since) = self.machine.quarantined() {
            self.space.set_aside(Subject::Conversation(self.machine.id()), since);
        }
    }

    /// Reads what its records say besides the machine's state.
    pub(super) fn recall(&mut self) {
        let mut marks = Marks::default();
        let positions = self.history.take();
        self.history = History::new(positions.clone());
        let mut read = self.space.reader(self.machine.id());
        for record in positions.into_iter().filter_map(&mut read) {
            self.history.see(&record);
            record.events.iter().for_each(|event| marks.see(record.at, &record.by, event));
        }
        drop(read);
        self.marks = marks;
    }

    fn handle_command(&mut self, command: Command, context: &mut Context<Self>) {
        if self.dismissed {
            // It was on its way already: whoever asks has an answer coming.
            return self.space.tell(Tell::Conversation(self.machine.id(), command));
        }
        let now = self.space.local.now();
        if self.aside {
            self.stand_aside(command);
        } else if !matches!(command, Command::Tick) || self.is_due(now) {
            self.drowsy = false;
            self.run(now, command);
            self.notice_visitor();
        } else {
            return self.doze(context);
        }
        self.arm(now);
        self.end_if_over(context);
    }

    /// Until when it needs no actor although it is not over: what was missed waits for days. One that has fallen of late stays awake,
    /// as its falls are counted, and one that the metrics have with the bot, as they would have it there twice.
    fn may_sleep(&self) -> Option<Timestamp> {
        let until = self.machine.may_sleep()?;
        let calm = !self.aside && self.failures.is_none() && !self.marks.is_with_bot();
        (calm && self.line.is_some()).then_some(until)
    }

    /// Nothing was due.
    fn doze(&mut self, context: &mut Context<Self>) {
        if self.may_sleep().is_none() {
            self.drowsy = false;
        } else if std::mem::replace(&mut self.drowsy, true) {
            self.retire(context);
        }
    }

    /// Closed, or never opened: it needs no actor.
    fn end_if_over(&mut self, context: &mut Context<Self>) {
        match self.machine.phase() {
            _ if self.aside => {}
            Some(Phase::Closed) => self.retire(context),
            Some(_) => {}
            None => {
                self.dismissed = true;
                let id = self.machine.id();
                self.space.local.shared.directory.take_conversation(self.space.index, id);
                if !self.history.positions().is_empty() {
                    // Its opening failed, which is remembered.
                    self.space.remember_closed(id, self.history.positions());
                }
                context.notify(Retired);
            }
        }
    }

    /// Runs the machine, and records and tells what that leads to. However it falls, whoever asked is answered once.
    pub(super) fn run(&mut self, now: Timestamp, command: Command) {
        let remains = Conversation::remains(&command);
        if let Some(Remains { key: Some(key), reply_to, .. }) = &remains
            && self.machine.has_failed(key)
        {
            return reply_to.iter().for_each(|to| self.space.answer(*to, Err(Refusal::Failed)));
        }
        let before = Before::of(&self.machine);
        let numbers = self.machine.numbers();
        let engaged = self.machine.is_engaged();
        let asker = remains.and_then(|remains| Some(remains.reply_to?.connection));
        let mut out = SCRATCH.with(Scratch::take);
        match step(&self.space, now, &mut self.machine, command, &mut out) {
            Step::Taken => {
                let recorded = self.history.positions().len();
                if guard(|| self.commit(now, &before, numbers, asker, &mut out)).is_none() {
                    if self.history.positions().len() == recorded {
                        out.clear();
                        self.fell(remains);
                    } else {
                        // It did happen: who asked is told so, and only the machine and its views are put right.
                        self.come_to();
                    }
                }
            }
            Step::Fell => self.fell(remains),
        }
        if self.machine.is_engaged() && !engaged {
            self.space.ledger.borrow_mut().engaged += 1;
        }
        release(&self.space, &mut out);
        SCRATCH.with(|scratch| scratch.give(out));
    }

    /// Nothing happened and nothing ever will: the command's key is kept with that (design §3.5).
    fn fell(&mut self, remains: Option<Remains>) {
        self.rebuild(remains);
        match remains {
            Some(remains) if !self.aside && !self.is_lost() => {
                let failed = Command::Failed { ticket: remains.ticket(), opening: false };
                self.run(self.space.local.now(), failed);
            }
            Some(Remains { reply_to: Some(reply_to), .. }) => {
                self.space.answer(reply_to, Err(Refusal::Failed));
            }
            Some(_) | None => {}
        }
    }

    /// Given up before it was ever opened: nothing is known of it, and nothing can be.
    fn is_lost(&self) -> bool {
        let given_up = self.failures.as_ref().is_some_and(|failures| failures.are_too_many());
        self.machine.phase().is_none() && given_up
    }

    /// Somebody woke it to look at it: that needs no actor any more.
    pub(super) fn retire_if_closed(&self, context: &mut Context<Self>) {
        if self.machine.phase() == Some(Phase::Closed) && !self.aside {
            self.retire(context);
        }
    }

    /// Over, or left alone: it ends when everything that is on its way to it has been handled, unless it is called back by that.
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
        faults::after_record(&self.machine, &record.events);
        self.marks.count(&self.space, &record);
        if record.events.iter().any(|event| matches!(event, Event::VariablesSet { .. })) {
            self.rename();
        }
        if let Some(agent) = record.by.agent() {
            self.space.acted(agent, &record);
        }
        if self.line.is_some() && record.events.iter().all(Event::leaves_it_in_place) {
            self.get_on();
        } else {
            self.enlist();
        }
        let (seq, visitor_seq) = numbers;
        publish::publish(self, before, &Numbered { record, seq, visitor_seq }, asker);
    }

    /// The machine fell: back to what the log says, the not yet durable tail included (design §3.5). A fall on the way back counts
    /// like any other, so this ends.
    fn rebuild(&mut self, remains: Option<Remains>) {
        let id = self.machine.id();
        loop {
            self.space.local.shared.metrics.actors.restarts.of(ActorKind::Conversation).increment(1);
            if self.failures.get_or_insert_default().count(self.space.local.now()) == Verdict::GiveUp {
                return self.put_aside(remains);
            }
            let read_back = || {
                faults::in_rebuild(&self.machine, &"");
                self.space.read_back(id, self.history.positions())
            };
            match guard(read_back) {
                Some(Some(Folded { machine, .. })) => {
                    tracing::error!(conversation = %id, "a conversation fell and was rebuilt from the log");
                    self.machine = machine;
                    return self.catch_up();
                }
                Some(None) => return self.put_aside(remains),
                None => tracing::error!(conversation = %id, "a conversation fell while it was rebuilt"),
            }
        }
    }

    /// Back from the log, it knows neither whether its visitor and those whom it asked are there, nor whether its group still
    /// knows of it.
    pub(super) fn catch_up(&self) {
        let id = self.machine.id();
        if let Some((visitor, _, via)) = self.machine.visitor() {
            let present = self.space.sessions.borrow().has_visitor(visitor, via);
            self.space.tell(Tell::Conversation(id, Command::VisitorPresent(present)));
        }
        let waits = matches!(self.machine.phase(), Some(Phase::Waiting | Phase::Offered));
        if let Some(group) = self.machine.group().filter(|_| waits).cloned() {
            self.space.tell(Tell::Conversation(id, Command::AskWaiting { group }));
        }
        // What it fell over may have been the word that an agent was set aside.
        let pending = self.machine.pending_agents().into_iter();
        for agent in pending.filter(|agent| self.space.is_aside(&Subject::Agent(*agent))) {
            let why = RescindReason::Removed;
            self.space.tell(Tell::Conversation(id, Command::AgentGone { agent, why }));
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

    /// Keeps one reminder, no later than the next deadline, or than when it may rest.
    fn arm(&mut self, now: Timestamp) {
        let next = self.space.with_context(now, |cx| self.machine.next_deadline(cx));
        let rest = self.may_sleep().map(|_| now + LINGERS);
        if let Some(at) = next.map(|next| rest.map_or(next, |rest| rest.min(next)))
            && at < self.armed
        {
            self.armed = at;
            self.space.local.arm(at, Name::conversation(self.space.index, self.machine.id()));
        }
    }

    /// Keeps its line in the lists, where it is: most records are messages.
    fn get_on(&self) {
        if let Some(line) = &self.line {
            line.follow(&self.machine);
            self.space.touch(self.machine.id(), Some(line));
        }
    }

    /// Keeps its line in the lists.
    fn enlist(&mut self) {
        if self.line.as_deref().is_some_and(|line| self.stands_at(line)) {
            return self.get_on();
        }
        match self.row() {
            Some(row) => self.list(row),
            // It ended before anybody knew of it.
            None => {
                if let Some(line) = self.line.take() {
                    self.space.visitor_does(line.visitor, Phase::Closed);
                    self.space.ledger.borrow_mut().unlist(&line);
                }
            }
        }
    }

    /// What is known of the visitor has changed: lists may call them something else from now on.
    fn rename(&mut self) {
        let now = pseudonym_of(self.machine.facts(), &self.space.policy());
        if let Some(row) = self.line.as_ref().map(|line| line.row()).filter(|row| row.pseudonym != now) {
            self.list(ConversationRow { pseudonym: now, ..row });
        }
    }

    pub(super) fn list(&mut self, row: ConversationRow) {
        self.space.visitor_does(row.visitor, row.phase);
        let line = Line::new(row);
        line.follow(&self.machine);
        self.space.touch(line.conversation, Some(&line));
        let before = self.line.replace(Rc::clone(&line));
        self.space.ledger.borrow_mut().list(before.as_deref(), line);
    }

    /// That the visitor has come or gone is recorded nowhere.
    fn notice_visitor(&self) {
        let line = self.line.as_ref();
        if let Some(line) = line.filter(|line| line.is_connected() != self.machine.is_visitor_present()) {
            line.follow(&self.machine);
            self.space.touch(line.conversation, Some(line));
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
        ConversationRow::of(&self.machine, &self.space.policy())
    }
}

impl Handler<Deliver<Command>> for ConversationActor {
    type Result = ();
    fn handle(&mut self, Deliver(command): Deliver<Command>, context: &mut Context<Self>) {
        faults::outside_the_guard(&self.machine, &command);
        // Running has guards of its own, which answer the poison command; this one is for what comes after it.
        if guard(|| self.handle_command(command, context)).is_none() {
            self.rebuild(None);
        }
    }
}

impl ConversationActor {
    fn retired(&mut self, context: &mut Context<Self>) {
        faults::in_future(&self.machine, &"");
        let is_closed = self.machine.phase() == Some(Phase::Closed) && !self.aside;
        let until = self.may_sleep().filter(|_| self.drowsy);
        let rests = is_closed || until.is_some();
        if self.dismissed || rests && self.left(until) {
            self.space.local.shared.metrics.actors.live.of(ActorKind::Conversation).add(-1);
            self.ended = true;
            context.stop();
        } else if is_closed {
            // Called back meanwhile, if only to be looked at.
            self.retire(context);
        } else {
            self.space.stay(self.machine.id());
            // A reminder may have found nobody meanwhile.
            self.armed = Timestamp::NEVER;
            self.arm(self.space.local.now());
        }
    }

    fn left(&self, until: Option<Timestamp>) -> bool {
        let id = self.machine.id();
        let left = self.space.left(id, self.history.positions(), until);
        let now = self.space.local.now();
        // A reminder that has come since it began to leave found nobody.
        let reminded = |until: &Timestamp| *until == self.slept_until && *until > now;
        if let Some(until) = until.filter(|until| left && !reminded(until)) {
            self.space.local.arm(until, Name::conversation(self.space.index, id));
        }
        left
    }
}

impl Handler<Retired> for ConversationActor {
    type Result = ();
    fn handle(&mut self, _: Retired, context: &mut Context<Self>) {
        if guard(|| self.retired(context)).is_none() {
            self.rebuild(None);
            if self.dismissed || self.machine.phase() == Some(Phase::Closed) {
                context.notify(Retired);
            } else {
                self.space.stay(self.machine.id());
            }
        }
    }
}
