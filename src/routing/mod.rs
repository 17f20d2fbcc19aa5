//! The rules of routing: who is offered which conversation, when, and what happens when nobody can.
//!
//! Holds: one pure, deterministic state machine each for conversation, group, agent and workspace.
//! Knows: ids and the time it is handed. Never: clocks, randomness, sockets, files, actors, logging, metrics.
//! Start reading at: [`Machine`], then `conversation/mod.rs`.

#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

pub mod agent;
pub mod aside;
pub mod conditions;
pub mod conversation;
pub mod departures;
pub mod group;
pub mod hours;
pub mod keys;
pub mod lobby;
pub mod notice;
pub mod policy;
pub mod pseudonym;
pub mod queue;
pub mod recovery;
pub mod refusal;
pub mod roster;
pub mod rules;
pub mod scope;
pub mod undeliverable;
pub mod words;
pub mod workflow;
pub mod workspace;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    ids::{AgentId, ConversationId, GroupId},
};

pub use aside::{Keeper, Remains};
pub use policy::{Features, GroupPolicy, Picker, Policy, WhenClosed, WhenEmpty};
pub use refusal::Refusal;
pub use words::{
    AssignCause, Body, By, CloseReason, FallbackReason, Key, OfferOutcome, Origin, Presence, Priority,
    QueueCause, ReplyTo, RescindReason, Strategy, Ticket, Variable,
};

/// One pure state machine: a conversation, a group, an agent or a workspace.
///
/// [`handle`](Machine::handle) is the only way in. It changes the durable state by recording events (each taken in by
/// `evolve` as it is recorded, which is also the way of recovery) and may change views in place: they are
/// rebuilt from others. A handler that returns a refusal has changed nothing. A handler that panics leaves garbage behind: whoever runs
/// the machine drops what was staged in [`Out`] and rebuilds the state.
pub trait Machine {
    /// What it may be asked.
    type Command;
    /// What it records.
    type Event;

    /// Carries a command out, or refuses it.
    ///
    /// # Errors
    /// The refusal; nothing was changed.
    fn handle(
        &mut self,
        cx: &Context<'_>,
        command: Self::Command,
        out: &mut Out<Self::Event>,
    ) -> Result<(), Refused>;

    /// Who asked for a command, should the machine fall over it; `None`: nobody waits for an answer.
    fn remains(command: &Self::Command) -> Option<Remains>;

    /// When it next wants its `Tick`, though nobody asked.
    fn next_deadline(&self, cx: &Context<'_>) -> Option<Timestamp>;
}

/// What a machine may know while it handles a command.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Daemon time, read once per command.
    pub now: Timestamp,
    /// The operator's rules.
    pub policy: &'a Policy,
    /// The generations of agents that were rebuilt; agents that never were stand at 0.
    pub generations: &'a BTreeMap<AgentId, u32>,
}

impl Context<'_> {
    /// The current generation of an agent: a grant of an older one is void (design §3.2).
    #[must_use]
    pub fn generation(&self, agent: AgentId) -> u32 {
        self.generations.get(&agent).copied().unwrap_or(0)
    }
}

/// A refusal and, when somebody waits for an answer, where it goes.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Where the refusal goes.
    pub reply_to: Option<ReplyTo>,
    /// Why.
    pub refusal: Refusal,
}

impl Refusal {
    /// This refusal, on its way to whoever holds the ticket.
    #[must_use]
    pub fn to(self, ticket: &Ticket) -> Refused {
        Refused { reply_to: ticket.reply_to, refusal: self }
    }
}

/// What a handled command leads to; staged while the handler runs, released only if it returns.
#[derive(Debug)]
pub struct Out<E> {
    /// To be recorded, in this order. Already taken in by the machine.
    pub events: Vec<E>,
    /// Who asked for it: recorded with the events.
    pub by: By,
    /// The key of the command that led to the events: recorded with them.
    pub key: Option<Key>,
    /// To be told other machines of the workspace, at once.
    pub tells: Vec<Tell>,
    /// Answers, to leave when the events are durable.
    pub answers: Vec<(ReplyTo, Result<Reply, Refusal>)>,
}

impl<E> Default for Out<E> {
    fn default() -> Self {
        Self { events: Vec::new(), by: By::System, key: None, tells: Vec::new(), answers: Vec::new() }
    }
}

impl<E> Out<E> {
    /// Tells a conversation.
    pub fn tell_conversation(&mut self, id: ConversationId, command: conversation::Command) {
        self.tells.push(Tell::Conversation(id, command));
    }

    /// Tells a group.
    pub fn tell_group(&mut self, id: &GroupId, command: group::Command) {
        self.tells.push(Tell::Group(id.clone(), command));
    }

    /// Tells an agent.
    pub fn tell_agent(&mut self, id: AgentId, command: agent::Command) {
        self.tells.push(Tell::Agent(id, command));
    }

    /// Tells the workspace.
    pub fn tell_workspace(&mut self, command: workspace::Command) {
        self.tells.push(Tell::Workspace(command));
    }

    /// Answers whoever holds the ticket.
    pub fn answer(&mut self, ticket: &Ticket, reply: Reply) {
        if let Some(reply_to) = ticket.reply_to {
            self.answers.push((reply_to, Ok(reply)));
        }
    }

    /// Refuses whoever holds the ticket, though the command as a whole went well.
    pub fn refuse(&mut self, ticket: &Ticket, refusal: Refusal) {
        if let Some(reply_to) = ticket.reply_to {
            self.answers.push((reply_to, Err(refusal)));
        }
    }

    /// Forgets everything that was staged.
    pub fn clear(&mut self) {
        self.events.clear();
        self.tells.clear();
        self.answers.clear();
        self.by = By::System;
        self.key = None;
    }
}

/// A command to another machine of the same workspace.
#[derive(Debug)]
pub enum Tell {
    /// To the workspace.
    Workspace(workspace::Command),
    /// To a group.
    Group(GroupId, group::Command),
    /// To an agent.
    Agent(AgentId, agent::Command),
    /// To a conversation.
    Conversation(ConversationId, conversation::Command),
}

/// The answer to a command that was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Done; there is nothing to say.
    Done,
    /// The conversation that the visitor has now.
    Opened {
        /// Its id: not the asked one if the visitor had one open already.
        conversation: ConversationId,
        /// Whether it was open before.
        existing: bool,
        /// Where it stands.
        status: conversation::Phase,
        /// The newest number that the visitor sees.
        visitor_seq: u64,
    },
    /// Recorded in a conversation.
    Recorded {
        /// The conversation.
        conversation: ConversationId,
        /// The newest event's number.
        seq: u64,
        /// Its number for the visitor, if they may see it.
        visitor_seq: Option<u64>,
    },
}

/// Why an agent is not offered a conversation: the first reason that holds (design §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WhyNot {
    /// No such agent, or not a member of the group.
    NotMember,
    /// May not do live chat.
    NoPermission,
    /// Removed; finishes what they have.
    Removed,
    /// Locked away after repeated failures.
    Quarantined,
    /// Intends to be offline.
    Offline,
    /// Intends to be away.
    Away,
    /// No session, and the grace is over.
    NotLive,
    /// Was online before a restart or a lost connection, and may be back any moment.
    Reconnecting,
    /// The cap is full.
    AtCap,
    /// The cap is full with slots that are in wrap-up.
    WrapUp,
    /// Began the transfer that brought the conversation here.
    TransferredIt,
    /// Missed or declined it in this stay.
    TriedIt,
    /// The conversation is for another agent only.
    NotTheDirectOne,
    /// Takes part in it already.
    HoldsIt,
    /// Is limited to other sites (BO-12).
    OutOfScope,
    /// Had it and did not answer: a workflow took it from them.
    WasSilent,
}

/// Why an agent was chosen, and not another (design §4: every decision is recorded).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The group that decided.
    pub group: GroupId,
    /// How it decides.
    pub strategy: Strategy,
    /// Whether the choice was the strategy's or the conversation's own wish.
    pub because: Because,
    /// The next candidates in order, at most [`Decision::NEXT_MAX`].
    pub next: Vec<AgentId>,
    /// Every agent that the conversation itself names, with the first reason why not.
    pub named: Vec<(AgentId, WhyNot)>,
    /// How many of the other members were out, per reason.
    pub rest: Vec<(WhyNot, u32)>,
}

impl Decision {
    /// Candidates that are written down.
    pub const NEXT_MAX: usize = 16;
}

/// What made the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Because {
    /// The group's strategy.
    Strategy,
    /// The visitor's preferred agent was eligible.
    Preferred,
    /// The conversation is for this agent only.
    Direct,
}
