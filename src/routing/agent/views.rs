//! What can be seen of an agent: by its groups, as a standing, and by people.

use smol_str::SmolStr;

use super::{Activity, Agent, Event, Held, Liveness, Profile, Push, Slot, SlotKind};
use crate::{
    clock::Timestamp,
    ids::{AgentId, ConversationId, GroupId},
    routing::{
        Context, Out, WhyNot,
        group::{self, Standing},
        scope::Scope,
        words::Presence,
    },
};

impl Agent {
    /// The id.
    #[must_use]
    pub fn id(&self) -> AgentId {
        self.id
    }

    /// What an administrator or the configuration said of them.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Whether they were created and not removed.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.exists
    }

    /// What they intend.
    #[must_use]
    pub fn intent(&self) -> Presence {
        self.intent
    }

    /// Whether they want to be told outside of what waits.
    #[must_use]
    pub fn push(&self) -> &Push {
        &self.push
    }

    /// Whether they have a session now.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.liveness, Liveness::Live { .. })
    }

    /// What they did, as far as it was recorded when the daemon started.
    #[must_use]
    pub fn activity(&self) -> Activity {
        self.activity
    }

    /// How often they were rebuilt.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Since when they are set aside, if they are.
    #[must_use]
    pub fn quarantined(&self) -> Option<Timestamp> {
        self.quarantined
    }

    /// How many conversations they may have at once.
    #[must_use]
    pub fn cap(&self, cx: &Context<'_>) -> u16 {
        self.profile.cap.unwrap_or(cx.policy.cap)
    }

    /// Slots in use: reserved, owned and in wrap-up.
    #[must_use]
    pub fn taken(&self) -> u16 {
        u16::try_from(self.slots.len()).unwrap_or(u16::MAX)
    }

    /// How many offers they missed in a row, and when they were last assigned something.
    #[must_use]
    pub fn record_of_service(&self) -> (u32, Timestamp) {
        (self.misses, self.last_assigned)
    }

    /// Slots that hold a pending offer.
    #[must_use]
    pub fn reserved(&self) -> u16 {
        let pending = |slot: &&Slot| matches!(slot.kind, SlotKind::Reserved | SlotKind::Granted { .. });
        u16::try_from(self.slots.values().filter(pending).count()).unwrap_or(u16::MAX)
    }

    /// The conversations that hold a slot, wrap-up aside.
    pub fn holds(&self) -> impl Iterator<Item = (ConversationId, Held)> + '_ {
        self.slots.iter().filter_map(|(id, slot)| match slot.kind {
            SlotKind::Reserved | SlotKind::Granted { .. } => Some((*id, Held::Reserved)),
            SlotKind::Owned => Some((*id, Held::Owned)),
            SlotKind::Helping => Some((*id, Held::Helping)),
            SlotKind::WrapUp { .. } => None,
        })
    }

    /// The first reason why they are offered nothing now; `None`: eligible as far as the agent can tell.
    #[must_use]
    pub fn why_not(&self, cx: &Context<'_>) -> Option<WhyNot> {
        self.unfit().or(match (self.intent, self.liveness) {
            (Presence::Offline, _) => Some(WhyNot::Offline),
            (Presence::Away, _) => Some(WhyNot::Away),
            (Presence::Online, Liveness::Gone) => Some(WhyNot::NotLive),
            (Presence::Online, Liveness::Grace { .. }) => Some(WhyNot::Reconnecting),
            (Presence::Online, Liveness::Live { .. }) => self.unsettled().or_else(|| self.full(cx)),
        })
    }

    /// Why nobody at all may give them a conversation.
    pub(super) fn unfit(&self) -> Option<WhyNot> {
        if !self.exists {
            Some(WhyNot::Removed)
        } else if !self.profile.live_chat {
            Some(WhyNot::NoPermission)
        } else if self.quarantined.is_some() {
            Some(WhyNot::Quarantined)
        } else {
            None
        }
    }

    /// Whether a conversation of this site is not for them (BO-12).
    pub(super) fn beyond(&self, site: Option<&SmolStr>) -> Option<WhyNot> {
        (!self.sites.cover(site)).then_some(WhyNot::OutOfScope)
    }

    /// What they serve and see.
    #[must_use]
    pub fn scope(&self) -> Scope {
        let Profile { groups, sees_bot, .. } = &self.profile;
        Scope { groups: groups.clone(), sites: self.sites.clone(), sees_bot: *sees_bot }
    }

    /// Rebuilt, and not all conversations have said yet what they hold: grants nothing, but is not absent (design §3.2).
    pub(super) fn unsettled(&self) -> Option<WhyNot> {
        (!self.awaiting.is_empty()).then_some(WhyNot::Reconnecting)
    }

    pub(super) fn full(&self, cx: &Context<'_>) -> Option<WhyNot> {
        if self.taken() < self.cap(cx) {
            return None;
        }
        let resting = self.slots.values().any(|slot| matches!(slot.kind, SlotKind::WrapUp { .. }));
        Some(if resting { WhyNot::WrapUp } else { WhyNot::AtCap })
    }

    /// What groups know of this agent.
    #[must_use]
    pub fn standing(&self, cx: &Context<'_>) -> Standing {
        let here = !matches!(self.liveness, Liveness::Gone);
        Standing {
            name: self.profile.name.clone(),
            why_not: self.why_not(cx).filter(|why| !matches!(why, WhyNot::AtCap | WhyNot::WrapUp)),
            full: self.full(cx).unwrap_or(WhyNot::AtCap),
            present: here && self.intent == Presence::Online && self.unfit().is_none(),
            cap: self.cap(cx),
            taken: self.taken(),
            last_assigned: self.last_assigned,
            sites: self.sites.clone(),
        }
    }

    pub(super) fn tell_groups(&self, cx: &Context<'_>, out: &mut Out<Event>) {
        self.tell_groups_but(None, &self.standing(cx), cx, out);
    }

    /// `told`: a group that hears it in another way.
    pub(super) fn tell_groups_but(
        &self,
        told: Option<&GroupId>,
        standing: &Standing,
        cx: &Context<'_>,
        out: &mut Out<Event>,
    ) {
        let everyone = GroupId::everyone();
        let own = self.profile.groups.iter().filter(|id| cx.policy.group(id).is_some());
        for group in own.chain([&everyone]).filter(|group| Some(*group) != told) {
            out.tell_group(group, group::Command::Member { agent: self.id, standing: standing.clone() });
        }
    }
}
