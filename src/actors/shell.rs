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
    routing::{Machine, Out, Refused},
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
