//! What they intend, whether they are there, and what follows when they are gone. Intent changes by command only, never by a session.

use std::time::Duration;

use smol_str::SmolStr;

use super::{Agent, Event, Liveness, Push};
use crate::{
    ids::ConversationId,
    routing::{
        Context, Out, Refusal, Refused, Reply, WhyNot, conversation,
        words::{Presence, RescindReason, Ticket},
    },
};

impl Agent {
    pub(super) fn set_presence(
        &mut self,
        cx: &Context<'_>,
        presence: Presence,
        ticket: &Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        if !self.exists {
            return Err(Refusal::NotFound.to(ticket));
        }
        if self.keys.recall(ticket.key.as_ref()).map_err(|refusal| refusal.to(ticket))?.is_some() {
            out.answer(ticket, Reply::Done);
            return Ok(());
        }
        self.begin(ticket, out);
        if self.intent != presence {
            self.record(cx, Event::PresenceSet { presence, auto: false }, out);
        }
        self.tell_groups(cx, out);
        out.answer(ticket, Reply::Done);
        Ok(())
    }

    /// Whether they are told outside of what waits while they are not here (AD-16). Nobody becomes a candidate by it.
    pub(super) fn set_push(
        &mut self,
        cx: &Context<'_>,
        push: Push,
        ticket: &Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        if !self.exists {
            return Err(Refusal::NotFound.to(ticket));
        }
        if self.keys.recall(ticket.key.as_ref()).map_err(|refusal| refusal.to(ticket))?.is_some() {
            out.answer(ticket, Reply::Done);
            return Ok(());
        }
        self.begin(ticket, out);
        if self.push != push {
            self.record(cx, Event::PushSet(push), out);
        }
        out.answer(ticket, Reply::Done);
        Ok(())
    }

    pub(super) fn session_opened(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        self.liveness = match self.liveness {
            Liveness::Live { sessions } => Liveness::Live { sessions: sessions + 1 },
            Liveness::Grace { .. } | Liveness::Gone => Liveness::Live { sessions: 1 },
        };
        self.tell_groups(cx, out);
    }

    pub(super) fn session_lost(&mut self, cx: &Context<'_>, later: Duration, out: &mut Out<Event>) {
        self.liveness = match self.liveness {
            Liveness::Live { sessions } if sessions > 1 => Liveness::Live { sessions: sessions - 1 },
            Liveness::Live { .. } => {
                let until = cx.now + cx.policy.disconnect_grace;
                Liveness::Grace { until, gone_at: until + later }
            }
            other => other,
        };
        self.tell_groups(cx, out);
    }

    /// The grace is over: pending offers go on to others, without a miss (design §3.11). Whether owned conversations stay is
    /// for each to decide, by its group's rule.
    pub(super) fn gone(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        self.liveness = Liveness::Gone;
        for (conversation, _) in self.holds() {
            let why = RescindReason::AgentGone;
            out.tell_conversation(conversation, conversation::Command::AgentGone { agent: self.id, why });
        }
        self.tell_groups(cx, out);
    }

    pub(super) fn still_there(&self, conversation: ConversationId, epoch: u32, out: &mut Out<Event>) {
        let absent = self.intent == Presence::Offline || self.liveness == Liveness::Gone;
        if absent {
            let command = conversation::Command::OwnerAbsent { agent: self.id, epoch };
            out.tell_conversation(conversation, command);
        }
    }

    pub(super) fn invite(
        &self,
        conversation: ConversationId,
        site: Option<&SmolStr>,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        match self.unfit().or_else(|| self.beyond(site)) {
            Some(WhyNot::Removed) => Err(Refusal::NotFound.to(&ticket)),
            Some(why_not) => Err(Refusal::NotEligible(why_not).to(&ticket)),
            None => {
                let name = self.profile.name.clone();
                let invitable = conversation::Command::Invitable { agent: self.id, name, ticket };
                out.tell_conversation(conversation, invitable);
                Ok(())
            }
        }
    }
}
