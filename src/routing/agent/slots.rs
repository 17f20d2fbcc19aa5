//! Slots: granted, confirmed, released, and asked about. No other path takes one (design §3.2).

use smol_str::SmolStr;

use super::{Agent, End, Event, Held, LEASE, Liveness, Slot, SlotKind};
use crate::{
    clock::Timestamp,
    ids::{ConversationId, GroupId},
    routing::{
        Context, Decision, Out, Refusal, Refused, WhyNot,
        conversation::{self, Granted, Purpose},
        group,
        words::{By, Presence},
    },
};

impl Agent {
    pub(super) fn reserve(
        &mut self,
        cx: &Context<'_>,
        conversation: ConversationId,
        epoch: u32,
        site: Option<&SmolStr>,
        decision: Box<Decision>,
        out: &mut Out<Event>,
    ) {
        let held = self.set_slot(conversation, None);
        let why_not = match held.map(|slot| slot.kind) {
            Some(SlotKind::Reserved | SlotKind::Owned | SlotKind::Helping) => Some(WhyNot::HoldsIt),
            // Granted before and not yet answered: the conversation went elsewhere meanwhile, or failed. The same slot serves
            // what it is now, and a release of the older grant does not name it.
            Some(SlotKind::Granted { .. } | SlotKind::WrapUp { .. }) | None => {
                self.no_member(&decision.group).or_else(|| self.beyond(site)).or_else(|| self.why_not(cx))
            }
        };
        let group = decision.group.clone();
        self.set_slot(conversation, held);
        if let Some(why_not) = why_not {
            let standing = self.standing(cx);
            let refused = group::Command::ProposalRefused { conversation, agent: self.id, why_not, standing };
            out.tell_group(&group, refused);
            return;
        }
        self.grant(cx, conversation, epoch, Purpose::Offer(decision), out);
        let standing = self.standing(cx);
        self.tell_groups_but(Some(&group), &standing, cx, out);
        out.tell_group(&group, group::Command::ProposalGranted { conversation, agent: self.id, standing });
    }

    pub(super) fn claim(
        &mut self,
        cx: &Context<'_>,
        conversation: ConversationId,
        epoch: u32,
        site: Option<&SmolStr>,
        purpose: Purpose,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let holds = self.holds_for(conversation);
        if let Purpose::Flow { only_online } = purpose {
            self.claim_for_workflow(cx, conversation, epoch, site, only_online, out);
            return Ok(());
        }
        let purpose = match purpose {
            // Forced is what goes past the cap, not what could have: that is counted and audited (AD-24).
            Purpose::Assign { ticket, force: true } if holds || self.full(cx).is_none() => {
                Purpose::Assign { ticket, force: false }
            }
            purpose => purpose,
        };
        let Some(ticket) = purpose.ticket() else { return Ok(()) };
        let why_not = match purpose {
            Purpose::Handover { .. } => self.why_not(cx),
            Purpose::Accept { .. } | Purpose::Take { .. } | Purpose::Help { .. } | Purpose::Start { .. } => {
                self.unfit()
                    .or((self.intent == Presence::Offline).then_some(WhyNot::Offline))
                    .or_else(|| self.unsettled())
                    .or_else(|| self.full(cx))
            }
            Purpose::Assign { force: false, .. } => {
                self.unfit().or_else(|| self.unsettled()).or_else(|| self.full(cx))
            }
            Purpose::Assign { force: true, .. } | Purpose::Offer(_) | Purpose::Flow { .. } => {
                self.unfit().or_else(|| self.unsettled())
            }
        };
        let refusal = match why_not.or_else(|| self.beyond(site)) {
            Some(WhyNot::AtCap | WhyNot::WrapUp) if holds => None,
            Some(WhyNot::AtCap | WhyNot::WrapUp) => {
                Some(Refusal::AtCapacity { taken: self.taken(), cap: self.cap(cx) })
            }
            Some(WhyNot::Removed) => Some(Refusal::NotFound),
            Some(why_not) => Some(Refusal::NotEligible(why_not)),
            None => None,
        };
        if let Some(refusal) = refusal {
            match &purpose {
                Purpose::Start { opening, .. } => {
                    opening.not_started().into_iter().for_each(|command| out.tell_workspace(command));
                }
                Purpose::Take { .. } | Purpose::Assign { .. } => {
                    out.tell_conversation(conversation, conversation::Command::NotGranted);
                }
                _ => return Err(refusal.to(ticket)),
            }
            out.refuse(ticket, refusal);
            return Ok(());
        }
        self.grant(cx, conversation, epoch, purpose, out);
        self.tell_groups(cx, out);
        Ok(())
    }

    /// A workflow doesn't ask them; who can't have it says so to the conversation, where nobody waits for an answer.
    fn claim_for_workflow(
        &mut self,
        cx: &Context<'_>,
        conversation: ConversationId,
        epoch: u32,
        site: Option<&SmolStr>,
        only_online: bool,
        out: &mut Out<Event>,
    ) {
        let holds = self.holds_for(conversation);
        let why_not = match only_online {
            true => self.why_not(cx),
            false => self.unfit().or_else(|| self.unsettled()).or_else(|| self.full(cx)),
        };
        let why_not = why_not.or_else(|| self.beyond(site));
        match why_not.filter(|why| !(holds && matches!(why, WhyNot::AtCap | WhyNot::WrapUp))) {
            Some(why_not) => {
                let agent = self.id;
                let unavailable = conversation::Command::Unavailable { agent, epoch, why_not };
                out.tell_conversation(conversation, unavailable);
            }
            None => {
                self.grant(cx, conversation, epoch, Purpose::Flow { only_online }, out);
                self.tell_groups(cx, out);
            }
        }
    }

    pub(super) fn grant(
        &mut self,
        cx: &Context<'_>,
        conversation: ConversationId,
        epoch: u32,
        purpose: Purpose,
        out: &mut Out<Event>,
    ) {
        self.grants = self.grants.wrapping_add(1);
        let grant = self.grants;
        // A slot that the conversation holds already serves the new purpose too; its epoch stays, so that whatever ends first frees it.
        if !self.is_confirmed(conversation) {
            let ask_at = cx.now + LEASE;
            let rest = match self.slots.get(&conversation).map(|slot| slot.kind) {
                Some(SlotKind::WrapUp { until }) => Some(until),
                Some(SlotKind::Granted { rest, .. }) => rest,
                Some(SlotKind::Reserved | SlotKind::Owned | SlotKind::Helping) | None => None,
            };
            let kind = SlotKind::Granted { grant, ask_at, rest };
            self.set_slot(conversation, Some(Slot { epoch, kind }));
        }
        let name = self.profile.name.clone();
        let granted = Granted { agent: self.id, name, generation: self.generation, grant, epoch, purpose };
        out.tell_conversation(conversation, conversation::Command::Granted(Box::new(granted)));
    }

    pub(super) fn confirm(
        &mut self,
        cx: &Context<'_>,
        conversation: ConversationId,
        epoch: u32,
        held: Held,
        out: &mut Out<Event>,
    ) {
        let kind = SlotKind::from(held);
        let before = self.set_slot(conversation, Some(Slot { epoch, kind }));
        if held == Held::Helping && before.is_none() {
            self.tell_groups(cx, out);
        }
        if held == Held::Owned && before.is_none_or(|slot| slot.kind != SlotKind::Owned) {
            self.record(cx, Event::Assigned, out);
            self.tell_groups(cx, out);
        }
    }

    pub(super) fn release(
        &mut self,
        cx: &Context<'_>,
        conversation: ConversationId,
        epoch: u32,
        end: End,
        out: &mut Out<Event>,
    ) {
        // At the end of a grace the offer's deadline may be acted on first: who never came back missed nothing.
        let is_gone = match self.liveness {
            Liveness::Gone => true,
            Liveness::Grace { until, .. } => until <= cx.now,
            Liveness::Live { .. } => false,
        };
        if end == End::Missed && !is_gone {
            self.missed(cx, out);
        }
        let confirmed = self.is_confirmed(conversation);
        if self.slots.get(&conversation).is_some_and(|slot| confirmed && slot.epoch == epoch) {
            let resting = match end {
                End::Closed { until } if until > cx.now => {
                    Some(Slot { epoch, kind: SlotKind::WrapUp { until } })
                }
                End::Closed { .. } | End::Missed | End::Freed => None,
            };
            self.set_slot(conversation, resting);
        }
        self.tell_groups(cx, out);
    }

    pub(super) fn refused(
        &mut self,
        cx: &Context<'_>,
        conversation: ConversationId,
        generation: u32,
        grant: u32,
        out: &mut Out<Event>,
    ) {
        let slot = self.slots.get(&conversation).map(|slot| slot.kind);
        let meant = matches!(slot, Some(SlotKind::Granted { grant: newest, .. }) if newest == grant);
        if meant && generation == self.generation {
            self.let_go(cx, conversation);
            self.tell_groups(cx, out);
        }
    }

    pub(super) fn missed(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        self.record(cx, Event::Missed, out);
        let limit = cx.policy.auto_away_after.unwrap_or(u32::MAX);
        if self.misses >= limit && self.intent == Presence::Online {
            self.record(cx, Event::PresenceSet { presence: Presence::Away, auto: true }, out);
        }
    }

    pub(super) fn answered(
        &mut self,
        cx: &Context<'_>,
        conversation: ConversationId,
        epoch: u32,
        held: Option<Held>,
        asked: u32,
        out: &mut Out<Event>,
    ) {
        self.awaiting.remove(&conversation);
        let stays = match self.slots.get(&conversation).map(|slot| slot.kind) {
            Some(SlotKind::WrapUp { .. }) => true,
            // Granted anew while the answer was on its way: it says nothing of this grant.
            Some(SlotKind::Granted { grant, .. }) => grant != asked,
            Some(SlotKind::Reserved | SlotKind::Owned | SlotKind::Helping) | None => false,
        };
        match held {
            Some(held) => self.restore_slot(conversation, epoch, held),
            None if stays => {}
            None => self.let_go(cx, conversation),
        }
        self.tell_groups(cx, out);
    }

    pub(super) fn tick(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        out.by = By::System;
        if let Liveness::Grace { gone_at, .. } = self.liveness
            && gone_at <= cx.now
        {
            self.gone(cx, out);
        }
        let before = self.slots.len();
        self.slots.retain(|_, slot| !matches!(slot.kind, SlotKind::WrapUp { until } if until <= cx.now));
        for (conversation, slot) in &mut self.slots {
            if let SlotKind::Granted { grant, ask_at, .. } = &mut slot.kind
                && *ask_at <= cx.now
            {
                *ask_at = cx.now + LEASE;
                let ask = conversation::Command::AskHeld { agent: self.id, grant: *grant };
                out.tell_conversation(*conversation, ask);
            }
        }
        let wants: Vec<Timestamp> = self.slots.values().filter_map(|slot| slot.kind.wants()).collect();
        self.timed = wants.len();
        self.slots_want = wants.into_iter().min().unwrap_or(Timestamp::NEVER);
        // A conversation that failed over the question never answers it: it is asked again.
        if self.ask_at.is_some_and(|at| at <= cx.now) {
            self.ask_at = None;
            for conversation in &self.awaiting {
                let ask = conversation::Command::AskHeld { agent: self.id, grant: 0 };
                out.tell_conversation(*conversation, ask);
            }
        }
        if self.slots.len() != before {
            self.tell_groups(cx, out);
        }
    }

    /// What held the slot came to nothing: it goes back to its rest, if that still goes on.
    fn let_go(&mut self, cx: &Context<'_>, conversation: ConversationId) {
        let rest = self.slots.get(&conversation).and_then(|slot| match slot.kind {
            SlotKind::Granted { rest: Some(until), .. } if until > cx.now => {
                Some(Slot { epoch: slot.epoch, kind: SlotKind::WrapUp { until } })
            }
            _ => None,
        });
        self.set_slot(conversation, rest);
    }

    /// The one place where slots are taken and change, so that what they want is known without asking each.
    pub(super) fn set_slot(&mut self, conversation: ConversationId, slot: Option<Slot>) -> Option<Slot> {
        let wants = slot.and_then(|slot| slot.kind.wants());
        let before = match slot {
            Some(slot) => self.slots.insert(conversation, slot),
            None => self.slots.remove(&conversation),
        };
        self.timed += usize::from(wants.is_some());
        self.timed -= usize::from(before.is_some_and(|before| before.kind.wants().is_some()));
        self.slots_want = match wants {
            _ if self.timed == 0 => Timestamp::NEVER,
            Some(at) => self.slots_want.min(at),
            None => self.slots_want,
        };
        before
    }

    /// Whether a conversation holds a slot; one that only rests after it does not count.
    pub(super) fn holds_for(&self, conversation: ConversationId) -> bool {
        self.slots.get(&conversation).is_some_and(|slot| !matches!(slot.kind, SlotKind::WrapUp { .. }))
    }

    /// Whether a conversation has said that it holds a slot.
    pub(super) fn is_confirmed(&self, conversation: ConversationId) -> bool {
        let slot = self.slots.get(&conversation).map(|slot| slot.kind);
        matches!(slot, Some(SlotKind::Reserved | SlotKind::Owned | SlotKind::Helping))
    }

    /// A group may not have heard yet that they left it.
    pub(super) fn no_member(&self, group: &GroupId) -> Option<WhyNot> {
        let member = group.is_everyone() || self.profile.groups.contains(group);
        (!member).then_some(WhyNot::NotMember)
    }
}
