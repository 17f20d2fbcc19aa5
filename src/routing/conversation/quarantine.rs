//! Falling and being set aside. The machine decides neither, since it can't be trusted by then: whoever runs it records that it fell,
//! and what is recorded is folded here in the simplest way there is.

use serde::{Deserialize, Serialize};

use super::{Conversation, Event, State};
use crate::{
    clock::Timestamp,
    routing::{
        Context, Out, Refusal, Refused, Reply, aside,
        words::{FallbackReason, Key, QueueCause, RescindReason, Ticket},
    },
};

/// What a conversation remembers of its falls.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Aside {
    /// Its opening failed: under this id there will never be a conversation.
    spent: bool,
    /// Since when it is set aside.
    since: Option<Timestamp>,
    /// An agent was serving it then, so that the visitor still waits for an answer.
    interrupted: bool,
}

impl Conversation {
    /// Whether it is set aside after repeated failures.
    #[must_use]
    pub fn is_quarantined(&self) -> bool {
        self.aside.since.is_some()
    }

    /// Since when it is set aside, if it is.
    #[must_use]
    pub fn quarantined(&self) -> Option<Timestamp> {
        self.aside.since
    }

    /// Whether a command under this key failed before.
    #[must_use]
    pub fn has_failed(&self, key: &Key) -> bool {
        self.keys.has_failed(key)
    }

    pub(super) fn is_spent(&self) -> bool {
        self.aside.spent
    }

    /// A command made this machine, or one that it came through, fall: remembered, so that it is never run again.
    pub(super) fn failed(&mut self, cx: &Context<'_>, ticket: &Ticket, out: &mut Out<Event>) {
        self.give_engagement_back(out);
        match self.recall(ticket.key.as_ref()) {
            Ok(None) => {}
            Ok(Some(reply)) => return out.answer(ticket, reply),
            Err(refusal) => return out.refuse(ticket, refusal),
        }
        let opening = matches!(self.state, State::New) && !self.is_spent();
        if ticket.key.is_some() || opening {
            self.begin(ticket, out);
            ticket.key.iter().for_each(|key| self.keys.fail(key));
            self.record(cx, Event::CommandFailed, out);
        }
        out.refuse(ticket, Refusal::Failed);
    }

    pub(super) fn command_failed(&mut self) {
        self.aside.spent |= matches!(self.state, State::New);
    }

    /// Holds nothing, waits nowhere. What was being served counts as missed until a supervisor lets it go on.
    pub(super) fn set_aside(&mut self, at: Timestamp) {
        self.epoch += 1;
        self.take_back(RescindReason::Removed, None);
        self.take_back_invitations(RescindReason::Removed);
        if !self.is_team() {
            self.participants.clear();
        }
        self.helpers.clear();
        self.aside.since = Some(at);
        if matches!(self.state, State::Active(_)) {
            self.aside.interrupted = true;
            self.state = State::Missed { reason: FallbackReason::Quarantined, expires: Timestamp::NEVER };
        }
    }

    /// Takes part again. A visitor who was being served is routed again, first to whom they talked with; the others were told that
    /// nobody is there and stay where that left them.
    pub(super) fn reinstate(
        &mut self,
        cx: &Context<'_>,
        ticket: &Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        if !self.is_quarantined() {
            return Err(aside::not_aside(ticket));
        }
        let interrupted = self.aside.interrupted;
        self.begin(ticket, out);
        self.record(cx, Event::Reinstated { expires: cx.now + cx.policy.missed_ttl }, out);
        if interrupted {
            let group = self.home.clone().or_else(|| cx.policy.default_group.clone());
            self.route(cx, group, QueueCause::Requeued, self.last_owner, out);
        }
        out.answer(ticket, Reply::Done);
        Ok(())
    }

    pub(super) fn taken_back(&mut self, until: Timestamp) {
        self.epoch += 1;
        self.aside = Aside::default();
        if let State::Missed { expires, .. } = &mut self.state {
            *expires = until;
        }
    }
}
