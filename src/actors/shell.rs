//! How every machine is run: one guarded step, then record, tell, answer. The same for all four nouns.

use std::{cell::RefCell, rc::Rc};

use actix::Message;

use super::{
    faults::{self, Victim},
    space::Space,
    supervision::guard,
};
use crate::{
    clock::Timestamp,
    routing::{By, Key, Machine, Out, Refusal, Refused, Remains},
};

/// A command on its way to the machine of an actor.
#[derive(Debug)]
pub(super) struct Deliver<C>(pub C);

impl<C: 'static> Message for Deliver<C> {
    type Result = ();
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Carried out or refused: what was staged holds.
    Taken,
    /// The machine fell: nothing is staged, its state is garbage, and whoever asked is still to be answered `failed`.
    Fell,
}

/// Runs one command under the guard.
pub(super) fn step<M: Machine + Victim>(
    space: &Rc<Space>,
    now: Timestamp,
    machine: &mut M,
    command: M::Command,
    out: &mut Out<M::Event>,
) -> Step
where
    M::Command: std::fmt::Debug,
{
    let handle = || {
        faults::in_handler(machine, &command);
        space.with_context(now, |cx| machine.handle(cx, command, out))
    };
    let result = guard(handle);
    match result {
        Some(Ok(())) => Step::Taken,
        Some(Err(Refused { reply_to, refusal })) => {
            debug_assert!(out.events.is_empty(), "a refusal changes nothing");
            out.clear();
            if let Some(reply_to) = reply_to {
                space.answer(reply_to, Err(refusal));
            }
            Step::Taken
        }
        None => {
            out.clear();
            Step::Fell
        }
    }
}

/// An actor that keeps its machine twice: as it runs, and as what is recorded leaves it.
pub(super) trait Shell {
    /// The machine.
    type Machine: Machine<Command: std::fmt::Debug> + Victim;

    /// Where it runs.
    fn space(&self) -> &Rc<Space>;

    /// The machine as it runs.
    fn machine(&mut self) -> &mut Self::Machine;

    /// Appends what happened to the log, and to what is known of it.
    fn record(
        &mut self,
        at: Timestamp,
        by: By,
        key: Option<Key>,
        events: Vec<<Self::Machine as Machine>::Event>,
    );

    /// The machine fell: it is made anew from what is recorded.
    fn rebuild(&mut self);

    /// Nothing happened and nothing ever will: whoever the command was about keeps its key with that, or else who asked is told so
    /// (design §3.5).
    fn fell(&mut self, remains: Option<Remains>) {
        self.rebuild();
        match remains.and_then(|remains| remains.tell()) {
            Some(tell) => self.space().tell(tell),
            None => {
                let asker = remains.and_then(|remains| remains.reply_to);
                asker.into_iter().for_each(|to| self.space().answer(to, Err(Refusal::Failed)));
            }
        }
    }
}

/// Runs the machine, and records and tells what that leads to. However it falls, whoever asked is answered once. `settle` is done after
/// a step that did not fall, before anything is recorded.
pub(super) fn run<S: Shell>(
    shell: &mut S,
    now: Timestamp,
    command: <S::Machine as Machine>::Command,
    out: &mut Out<<S::Machine as Machine>::Event>,
    settle: impl FnOnce(&mut S),
) {
    let space = Rc::clone(shell.space());
    let remains = S::Machine::remains(&command);
    match step(&space, now, shell.machine(), command, out) {
        Step::Taken => {
            settle(shell);
            record_guarded(shell, now, out, remains);
        }
        Step::Fell => shell.fell(remains),
    }
    release(&space, out);
}

fn record_guarded<S: Shell>(
    shell: &mut S,
    now: Timestamp,
    out: &mut Out<<S::Machine as Machine>::Event>,
    remains: Option<Remains>,
) {
    if out.events.is_empty() {
        return;
    }
    let (by, key, events) = (out.by, out.key, std::mem::take(&mut out.events));
    let mut recorded = false;
    let record = || {
        shell.record(now, by, key, events);
        recorded = true;
        faults::after_record(shell.machine(), &"");
    };
    match (guard(record), recorded) {
        (Some(()), _) => {}
        // It did happen: who asked is told so, and only the machine is put right.
        (None, true) => shell.rebuild(),
        (None, false) => {
            out.clear();
            shell.fell(remains);
        }
    }
}

/// Releases what a step staged, after its events were recorded: tells at once, answers when durable.
pub(super) fn release<E>(space: &Rc<Space>, out: &mut Out<E>) {
    for (reply_to, result) in out.answers.drain(..) {
        space.answer(reply_to, result);
    }
    for tell in out.tells.drain(..) {
        space.tell(tell);
    }
    out.clear();
}

/// A buffer that a kind of actor uses again and again; taken while a step runs.
pub(super) struct Scratch<E>(RefCell<Option<Out<E>>>);

impl<E> Scratch<E> {
    /// An empty one.
    #[must_use]
    pub(super) const fn new() -> Self {
        Self(RefCell::new(None))
    }

    /// Takes the buffer, or a new one if it is in use.
    #[must_use]
    pub(super) fn take(&self) -> Out<E> {
        self.0.borrow_mut().take().unwrap_or_default()
    }

    /// Gives it back.
    pub(super) fn give(&self, mut out: Out<E>) {
        out.clear();
        *self.0.borrow_mut() = Some(out);
    }
}

impl<E> Default for Scratch<E> {
    fn default() -> Self {
        Self::new()
    }
}
