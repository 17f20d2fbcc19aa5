//! An agent: what they intend, whether they are there, and their slots. The agent has the last word on its slots (design §3.2).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    Context, Keeper, Machine, Out, Refusal, Refused, Remains, Reply, WhyNot,
    conversation::{self, Granted, Purpose},
    departures::Departures,
    group::{self, Standing},
    keys::Keys,
    words::{By, Presence, RescindReason, Ticket},
    workspace,
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, ConversationId, GroupId},
};

/// How long a grant may stay unconfirmed before the agent asks the conversation. Time alone frees nothing.
pub const LEASE: Duration = Duration::from_secs(1);

/// What is known of an agent that is not what they do: made by an administrator or the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Unique in the workspace; visitors see it.
    pub name: SmolStr,
    /// For invitations.
    pub email: Option<SmolStr>,
    /// The groups they are a member of, besides `everyone`.
    pub groups: Vec<GroupId>,
    /// Their own cap; `None`: the workspace's.
    pub cap: Option<u16>,
    /// Whether they may do live chat (AD-5).
    pub live_chat: bool,
    /// Whether the configuration file alone may change them.
    pub managed_by_config: bool,
}

/// A part of an agent that is to be another; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Their name.
    pub name: Option<SmolStr>,
    /// Their groups.
    pub groups: Option<Vec<GroupId>>,
    /// Their own cap.
    pub cap: Option<u16>,
}

/// What is recorded of an agent: what the conversations can't tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Created or changed.
    Put(Profile),
    /// Removed; finishes what they have.
    Removed,
    /// Intends something else now; `auto`: set away after too many misses.
    PresenceSet {
        /// The new intent.
        presence: Presence,
        /// Whether maitred set it.
        auto: bool,
    },
    /// Became the owner of a conversation.
    Assigned,
    /// Let an offer time out.
    Missed,
    /// A command of theirs made maitred fail and was not carried out; its key is recorded with this.
    CommandFailed,
    /// Set aside after repeated failures: offered nothing new, keeps what they have.
    Quarantined,
    /// A supervisor let them take part again.
    Reinstated,
}

/// What an agent may be asked.
#[derive(Debug)]
pub enum Command {
    /// Create or change. From the workspace, which keeps names unique. Answered `Done`.
    Put {
        /// What they are to be.
        profile: Profile,
        /// Who asked.
        ticket: Ticket,
    },
    /// Change a part. From the workspace, which has looked at it. Answered `Done`.
    Change {
        /// What is to be another.
        change: Change,
        /// Who asked.
        ticket: Ticket,
    },
    /// Remove. From the workspace. Answered `Done`.
    Remove {
        /// Who asked.
        ticket: Ticket,
    },
    /// Intend something else. Answered `Done`.
    SetPresence {
        /// The new intent.
        presence: Presence,
        /// Who asked.
        ticket: Ticket,
    },
    /// A session of theirs began.
    SessionOpened,
    /// A session of theirs ended.
    SessionLost {
        /// How much longer than the grace they are waited for, because many vanish at once.
        later: Duration,
    },
    /// Hold a slot for an offer. From a group; answered `Granted` to the conversation or `ProposalRefused` to the group.
    Reserve {
        /// For this conversation.
        conversation: ConversationId,
        /// At this epoch of it.
        epoch: u32,
        /// Why this agent.
        decision: Box<super::Decision>,
    },
    /// Hold a slot for what somebody asked of the conversation. Answered `Granted` to the conversation, or the ticket is refused.
    Claim {
        /// For this conversation.
        conversation: ConversationId,
        /// At this epoch of it.
        epoch: u32,
        /// What the slot is for.
        purpose: Purpose,
    },
    /// The conversation has recorded the grant.
    Confirm {
        /// The conversation.
        conversation: ConversationId,
        /// Its epoch now.
        epoch: u32,
        /// As what.
        held: Held,
    },
    /// The conversation has no use for a grant. It names that one grant: the slot may have been granted anew meanwhile.
    Refused {
        /// The conversation.
        conversation: ConversationId,
        /// The agent's generation when it was given.
        generation: u32,
        /// The grant's number.
        grant: u32,
    },
    /// The conversation no longer needs the slot that it confirmed.
    Release {
        /// The conversation.
        conversation: ConversationId,
        /// The epoch of the confirmation.
        epoch: u32,
        /// How it ended for the agent.
        end: End,
    },
    /// The conversation's answer to `Ask`: what it needs of this agent.
    Holds {
        /// The conversation.
        conversation: ConversationId,
        /// Its epoch.
        epoch: u32,
        /// `None`: nothing, the slot is free.
        held: Option<Held>,
        /// The grant that was asked about.
        grant: u32,
    },
    /// Whether the owner is still there to keep a conversation whose handover failed; answered `OwnerAbsent` if not.
    StillThere {
        /// The conversation.
        conversation: ConversationId,
        /// Its epoch.
        epoch: u32,
    },
    /// Whether they can be invited; answered `Invitable` to the conversation, or the ticket is refused.
    Invite {
        /// To this conversation.
        conversation: ConversationId,
        /// Who asked.
        ticket: Ticket,
    },
    /// Describe yourself to a group that was rebuilt.
    Describe {
        /// The group.
        group: GroupId,
    },
    /// The operator's rules have changed.
    PolicyChanged,
    /// Remember that a command failed: here or with the workspace. Answered `Failed`.
    Failed {
        /// Who asked.
        ticket: Ticket,
    },
    /// Take part again. Carried out by whoever runs the machine, which stands still as long as they are set aside. Answered `Done`.
    Reinstate {
        /// Who asked.
        ticket: Ticket,
    },
    /// A deadline has passed.
    Tick,
}

/// As what a conversation holds a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Held {
    /// An offer or a handover is pending.
    Reserved,
    /// The agent owns it.
    Owned,
    /// The agent helps in it, and the workspace counts that.
    Helping,
}

/// How a conversation ended for an agent that held a slot for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// They let the offer time out.
    Missed,
    /// Nothing to hold against them: declined, rescinded, moved, a grant that came too late.
    Freed,
    /// Closed: the slot rests for this long.
    Closed {
        /// Zero: free at once.
        wrap_up: Duration,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    epoch: u32,
    kind: SlotKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SlotKind {
    /// Granted, not yet recorded by the conversation.
    Granted {
        /// The newest of the grants that this slot was given for.
        grant: u32,
        ask_at: Timestamp,
    },
    Reserved,
    Owned,
    Helping,
    WrapUp {
        until: Timestamp,
    },
}

impl SlotKind {
    /// When something is to be done about it: a grant that nobody confirmed is asked about, a rest ends.
    fn wants(self) -> Option<Timestamp> {
        match self {
            Self::Granted { ask_at: at, .. } | Self::WrapUp { until: at } => Some(at),
            Self::Reserved | Self::Owned | Self::Helping => None,
        }
    }
}

impl From<Held> for SlotKind {
    fn from(held: Held) -> Self {
        match held {
            Held::Reserved => Self::Reserved,
            Held::Owned => Self::Owned,
            Held::Helping => Self::Helping,
        }
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Liveness {
    Live {
        sessions: u32,
    },
    /// The last session is gone since less than the grace, or this is shortly after a start.
    Grace {
        until: Timestamp,
        /// When what is pending for them goes on to others: later than the grace if many vanish at once.
        gone_at: Timestamp,
    },
    #[default]
    Gone,
}

fn never() -> Timestamp {
    Timestamp::NEVER
}

/// An agent's machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Agent {
    id: AgentId,
    profile: Profile,
    exists: bool,
    intent: Presence,
    last_assigned: Timestamp,
    misses: u32,
    keys: Keys<()>,
    quarantined: Option<Timestamp>,
    // Views, rebuilt from the conversations and sessions.
    #[serde(skip)]
    generation: u32,
    #[serde(skip)]
    liveness: Liveness,
    #[serde(skip)]
    slots: BTreeMap<ConversationId, Slot>,
    /// Slots that want something done at a time of their own: granted ones, and those in wrap-up.
    #[serde(skip)]
    timed: usize,
    /// None of them wants it before this.
    #[serde(skip, default = "never")]
    slots_want: Timestamp,
    #[serde(skip)]
    awaiting: BTreeSet<ConversationId>,
    /// When it asks those again that it waits for.
    #[serde(skip)]
    ask_at: Option<Timestamp>,
    /// Grants given in this generation.
    #[serde(skip)]
    grants: u32,
    /// Lost their seat, and the workspace waits for it.
    #[serde(skip)]
    owes_seat: bool,
}

impl Agent {
    /// An agent of whom nothing is recorded.
    #[must_use]
    pub fn new(id: AgentId) -> Self {
        Self {
            id,
            profile: Profile {
                name: SmolStr::default(),
                email: None,
                groups: Vec::new(),
                cap: None,
                live_chat: false,
                managed_by_config: false,
            },
            exists: false,
            intent: Presence::Offline,
            last_assigned: Timestamp::default(),
            misses: 0,
            keys: Keys::default(),
            quarantined: None,
            generation: 0,
            liveness: Liveness::Gone,
            slots: BTreeMap::new(),
            timed: 0,
            slots_want: Timestamp::NEVER,
            awaiting: BTreeSet::new(),
            ask_at: None,
            grants: 0,
            owes_seat: false,
        }
    }

    /// Takes one recorded event in.
    pub fn evolve(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::Put(profile) => {
                self.profile = profile.clone();
                self.exists = true;
            }
            Event::Removed => self.exists = false,
            Event::PresenceSet { presence, auto } => {
                self.intent = *presence;
                if !auto {
                    self.misses = 0;
                }
            }
            Event::Assigned => {
                self.last_assigned = at;
                self.misses = 0;
            }
            Event::Missed => self.misses += 1,
            Event::CommandFailed => {}
            Event::Quarantined => self.quarantined = Some(at),
            Event::Reinstated => self.quarantined = None,
        }
    }

    /// Takes in what one command led to, and the key it was given under; recovery does so where `handle` does it live.
    pub fn replay(&mut self, at: Timestamp, key: Option<&super::Key>, events: &[Event]) {
        events.iter().for_each(|event| self.evolve(at, event));
        match key {
            Some(key) if events.contains(&Event::CommandFailed) => self.keys.fail(key),
            Some(key) => self.keys.remember(key, ()),
            None => {}
        }
    }

    /// Whether a command under this key failed before.
    #[must_use]
    pub fn has_failed(&self, key: &super::Key) -> bool {
        self.keys.has_failed(key)
    }

    /// Since when they are set aside, if they are.
    #[must_use]
    pub fn quarantined(&self) -> Option<Timestamp> {
        self.quarantined
    }

    fn record(&mut self, cx: &Context<'_>, event: Event, out: &mut Out<Event>) {
        self.evolve(cx.now, &event);
        out.events.push(event);
    }

    // === Views, for rosters and for people ===

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

    /// Whether they have a session now.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.liveness, Liveness::Live { .. })
    }

    /// How often they were rebuilt.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
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
    fn unfit(&self) -> Option<WhyNot> {
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

    /// A group may not have heard yet that they left it.
    fn no_member(&self, group: &GroupId) -> Option<WhyNot> {
        let member = group.is_everyone() || self.profile.groups.contains(group);
        (!member).then_some(WhyNot::NotMember)
    }

    /// Whether a conversation holds a slot; one that only rests after it does not count.
    fn holds_for(&self, conversation: ConversationId) -> bool {
        self.slots.get(&conversation).is_some_and(|slot| !matches!(slot.kind, SlotKind::WrapUp { .. }))
    }

    /// The one place where slots are taken and change, so that what they want is known without asking each.
    fn set_slot(&mut self, conversation: ConversationId, slot: Option<Slot>) -> Option<Slot> {
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

    /// Rebuilt, and not all conversations have said yet what they hold: grants nothing, but is not absent (design §3.2).
    fn unsettled(&self) -> Option<WhyNot> {
        (!self.awaiting.is_empty()).then_some(WhyNot::Reconnecting)
    }

    /// Whether a conversation has said that it holds a slot.
    fn is_confirmed(&self, conversation: ConversationId) -> bool {
        let slot = self.slots.get(&conversation).map(|slot| slot.kind);
        matches!(slot, Some(SlotKind::Reserved | SlotKind::Owned | SlotKind::Helping))
    }

    fn full(&self, cx: &Context<'_>) -> Option<WhyNot> {
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
        }
    }

    fn tell_groups(&self, cx: &Context<'_>, out: &mut Out<Event>) {
        self.tell_groups_but(None, &self.standing(cx), cx, out);
    }

    /// `told`: a group that hears it in another way.
    fn tell_groups_but(
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

    // === Recovery: see `recovery.rs` ===

    /// After a start: who meant to be online may be back any moment (design §3.7), and who has conversations too: whether their
    /// groups want these back is asked when the grace is over. Told by recovery, after the slots.
    pub fn expect_back(&mut self, until: Timestamp, departures: &mut Departures) {
        let expected = self.intent == Presence::Online || !self.slots.is_empty();
        self.liveness = if expected {
            let later = departures.later(until, self.reserved().into());
            Liveness::Grace { until, gone_at: until + later }
        } else {
            Liveness::Gone
        };
    }

    /// A conversation holds a slot; told by recovery, before anything runs.
    pub fn restore_slot(&mut self, conversation: ConversationId, epoch: u32, held: Held) {
        let kind = SlotKind::from(held);
        self.set_slot(conversation, Some(Slot { epoch, kind }));
        self.owes_seat |= !self.is_seated();
    }

    /// Whether they have no seat and still hold what needs one; asked by recovery.
    #[must_use]
    pub fn owes_seat(&self) -> bool {
        self.owes_seat
    }

    fn is_seated(&self) -> bool {
        self.exists && self.profile.live_chat
    }

    /// The seat is free when the last of what they have ends (BO-10).
    fn give_seat_back(&mut self, out: &mut Out<Event>) {
        if self.owes_seat && self.slots.is_empty() && self.awaiting.is_empty() {
            self.owes_seat = false;
            if !self.is_seated() {
                out.tell_workspace(workspace::Command::SeatFree { agent: self.id });
            }
        }
    }

    /// After a failure: a new generation that grants nothing until all these conversations have said what they hold (design §3.2).
    pub fn rebuilt(&mut self, generation: u32, sessions: u32, conversations: BTreeSet<ConversationId>) {
        self.generation = generation;
        self.liveness = if sessions > 0 { Liveness::Live { sessions } } else { Liveness::Gone };
        self.slots.clear();
        (self.timed, self.slots_want) = (0, Timestamp::NEVER);
        self.awaiting = conversations;
        self.ask_at = None;
        self.owes_seat = !self.is_seated();
    }
}

impl Machine for Agent {
    type Command = Command;
    type Event = Event;

    fn handle(&mut self, cx: &Context<'_>, command: Command, out: &mut Out<Event>) -> Result<(), Refused> {
        match command {
            Command::Put { profile, ticket } => self.put(cx, profile, &ticket, out),
            Command::Change { change, ticket } => self.change(cx, change, &ticket, out),
            Command::Remove { ticket } => self.remove(cx, &ticket, out),
            Command::SetPresence { presence, ticket } => self.set_presence(cx, presence, &ticket, out)?,
            Command::SessionOpened => self.session_opened(cx, out),
            Command::SessionLost { later } => self.session_lost(cx, later, out),
            Command::Reserve { conversation, epoch, decision } => {
                self.reserve(cx, conversation, epoch, decision, out);
            }
            Command::Claim { conversation, epoch, purpose } => {
                self.claim(cx, conversation, epoch, purpose, out)?;
            }
            Command::Confirm { conversation, epoch, held } => {
                self.confirm(cx, conversation, epoch, held, out)
            }
            Command::Refused { conversation, generation, grant } => {
                self.refused(cx, conversation, generation, grant, out);
            }
            Command::Release { conversation, epoch, end } => self.release(cx, conversation, epoch, end, out),
            Command::Holds { conversation, epoch, held, grant } => {
                self.answered(cx, conversation, epoch, held, grant, out);
            }
            Command::StillThere { conversation, epoch } => self.still_there(conversation, epoch, out),
            Command::Invite { conversation, ticket } => self.invite(conversation, ticket, out)?,
            Command::Describe { group } => {
                out.tell_group(
                    &group,
                    group::Command::Member { agent: self.id, standing: self.standing(cx) },
                );
            }
            Command::PolicyChanged => self.tell_groups(cx, out),
            Command::Failed { ticket } => self.failed(cx, &ticket, out),
            Command::Reinstate { ticket } => return Err(super::aside::not_aside(&ticket)),
            Command::Tick => self.tick(cx, out),
        }
        if !self.awaiting.is_empty() && self.ask_at.is_none() {
            self.ask_at = Some(cx.now + LEASE);
        }
        self.give_seat_back(out);
        Ok(())
    }

    fn remains(command: &Command) -> Option<Remains> {
        match command {
            Command::Put { ticket, .. }
            | Command::Change { ticket, .. }
            | Command::Remove { ticket }
            | Command::SetPresence { ticket, .. }
            | Command::Failed { ticket }
            | Command::Reinstate { ticket } => Some(Remains::of(ticket, Keeper::Itself)),
            Command::Invite { conversation, ticket } => {
                Some(Remains::of(ticket, Keeper::Conversation(*conversation)))
            }
            Command::Claim { conversation, purpose, .. } => {
                purpose.ticket().map(|ticket| Remains::of(ticket, Keeper::Conversation(*conversation)))
            }
            _ => None,
        }
    }

    fn next_deadline(&self, _cx: &Context<'_>) -> Option<Timestamp> {
        let grace = match self.liveness {
            Liveness::Grace { gone_at, .. } => Some(gone_at),
            Liveness::Live { .. } | Liveness::Gone => None,
        };
        let slots = (self.timed > 0).then_some(self.slots_want);
        let asks = self.ask_at.filter(|_| !self.awaiting.is_empty());
        [slots, grace, asks].into_iter().flatten().min()
    }
}

// === One function per verb ===

impl Agent {
    fn put(&mut self, cx: &Context<'_>, profile: Profile, ticket: &Ticket, out: &mut Out<Event>) {
        if self.repeated(ticket, out) {
            return;
        }
        let left: Vec<GroupId> =
            self.profile.groups.iter().filter(|group| !profile.groups.contains(group)).cloned().collect();
        self.begin(ticket, out);
        let was_seated = self.is_seated();
        if !self.exists || self.profile != profile {
            self.record(cx, Event::Put(profile), out);
        }
        self.owes_seat |= was_seated && !self.is_seated();
        for group in &left {
            out.tell_group(group, group::Command::MemberGone { agent: self.id });
        }
        self.tell_groups(cx, out);
        out.answer(ticket, Reply::Done);
    }

    fn change(&mut self, cx: &Context<'_>, change: Change, ticket: &Ticket, out: &mut Out<Event>) {
        if !self.exists {
            return out.refuse(ticket, Refusal::NotFound);
        }
        let mut profile = self.profile.clone();
        if let Some(name) = change.name {
            profile.name = name;
        }
        if let Some(groups) = change.groups {
            profile.groups = groups;
        }
        profile.cap = change.cap.or(profile.cap);
        self.put(cx, profile, ticket, out);
    }

    fn remove(&mut self, cx: &Context<'_>, ticket: &Ticket, out: &mut Out<Event>) {
        if self.repeated(ticket, out) {
            return;
        }
        if !self.exists {
            return out.refuse(ticket, Refusal::NotFound);
        }
        self.begin(ticket, out);
        self.owes_seat |= self.is_seated();
        self.record(cx, Event::Removed, out);
        // They finish what they own; what is only offered to them goes on.
        for (conversation, _) in self.holds().filter(|(_, held)| *held == Held::Reserved) {
            let why = RescindReason::Removed;
            out.tell_conversation(conversation, conversation::Command::AgentGone { agent: self.id, why });
        }
        for group in self.profile.groups.iter().chain([&GroupId::everyone()]) {
            out.tell_group(group, group::Command::MemberGone { agent: self.id });
        }
        out.answer(ticket, Reply::Done);
    }

    /// A command made this machine or the workspace fall: remembered, so that it is never run again.
    fn failed(&mut self, cx: &Context<'_>, ticket: &Ticket, out: &mut Out<Event>) {
        match self.keys.recall(ticket.key.as_ref()) {
            Ok(None) => {}
            Ok(Some(())) => return out.answer(ticket, Reply::Done),
            Err(refusal) => return out.refuse(ticket, refusal),
        }
        if let Some(key) = ticket.key {
            out.by = ticket.by;
            out.key = Some(key);
            self.keys.fail(&key);
            self.record(cx, Event::CommandFailed, out);
        }
        out.refuse(ticket, Refusal::Failed);
    }

    /// Answers a command that was given before. The workspace took it for a new one and is told how the agent stands.
    fn repeated(&self, ticket: &Ticket, out: &mut Out<Event>) -> bool {
        match self.keys.recall(ticket.key.as_ref()) {
            Ok(None) => return false,
            Ok(Some(())) => out.answer(ticket, Reply::Done),
            Err(refusal) => out.refuse(ticket, refusal),
        }
        let profile = self.exists.then(|| self.profile.clone());
        out.tell_workspace(workspace::Command::Stands { agent: self.id, profile });
        true
    }

    /// Attaches the ticket to what is recorded, so that a repeated command is recognised.
    fn begin(&mut self, ticket: &Ticket, out: &mut Out<Event>) {
        out.by = ticket.by;
        out.key = ticket.key;
        if let Some(key) = &ticket.key {
            self.keys.remember(key, ());
        }
    }

    fn set_presence(
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

    fn session_opened(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        self.liveness = match self.liveness {
            Liveness::Live { sessions } => Liveness::Live { sessions: sessions + 1 },
            Liveness::Grace { .. } | Liveness::Gone => Liveness::Live { sessions: 1 },
        };
        self.tell_groups(cx, out);
    }

    fn session_lost(&mut self, cx: &Context<'_>, later: Duration, out: &mut Out<Event>) {
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

    fn reserve(
        &mut self,
        cx: &Context<'_>,
        conversation: ConversationId,
        epoch: u32,
        decision: Box<super::Decision>,
        out: &mut Out<Event>,
    ) {
        let held = self.set_slot(conversation, None);
        let why_not = match held.map(|slot| slot.kind) {
            Some(SlotKind::Reserved | SlotKind::Owned | SlotKind::Helping) => Some(WhyNot::HoldsIt),
            // Granted before and not yet answered: the conversation went elsewhere meanwhile, or failed. The same slot serves
            // what it is now, and a release of the older grant does not name it.
            Some(SlotKind::Granted { .. } | SlotKind::WrapUp { .. }) | None => {
                self.no_member(&decision.group).or_else(|| self.why_not(cx))
            }
        };
        let group = decision.group.clone();
        if let Some(why_not) = why_not {
            self.set_slot(conversation, held);
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

    fn claim(
        &mut self,
        cx: &Context<'_>,
        conversation: ConversationId,
        epoch: u32,
        purpose: Purpose,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        let holds = self.holds_for(conversation);
        let Some(ticket) = purpose.ticket() else { return Ok(()) };
        let why_not = match purpose {
            Purpose::Handover { .. } => self.why_not(cx),
            Purpose::Accept { .. } | Purpose::Take { .. } | Purpose::Help { .. } => self
                .unfit()
                .or((self.intent == Presence::Offline).then_some(WhyNot::Offline))
                .or_else(|| self.unsettled())
                .or_else(|| self.full(cx)),
            Purpose::Assign { force: false, .. } => {
                self.unfit().or_else(|| self.unsettled()).or_else(|| self.full(cx))
            }
            Purpose::Assign { force: true, .. } | Purpose::Offer(_) => {
                self.unfit().or_else(|| self.unsettled())
            }
        };
        match why_not {
            Some(WhyNot::AtCap | WhyNot::WrapUp) if holds => {}
            Some(WhyNot::AtCap | WhyNot::WrapUp) => {
                return Err(Refusal::AtCapacity { taken: self.taken(), cap: self.cap(cx) }.to(ticket));
            }
            Some(WhyNot::Removed) => return Err(Refusal::NotFound.to(ticket)),
            Some(why_not) => return Err(Refusal::NotEligible(why_not).to(ticket)),
            None => {}
        }
        self.grant(cx, conversation, epoch, purpose, out);
        self.tell_groups(cx, out);
        Ok(())
    }

    fn grant(
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
            let kind = SlotKind::Granted { grant, ask_at };
            self.set_slot(conversation, Some(Slot { epoch, kind }));
        }
        let name = self.profile.name.clone();
        let granted = Granted { agent: self.id, name, generation: self.generation, grant, epoch, purpose };
        out.tell_conversation(conversation, conversation::Command::Granted(Box::new(granted)));
    }

    fn confirm(
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

    fn release(
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
                End::Closed { wrap_up } if !wrap_up.is_zero() => {
                    Some(Slot { epoch, kind: SlotKind::WrapUp { until: cx.now + wrap_up } })
                }
                End::Closed { .. } | End::Missed | End::Freed => None,
            };
            self.set_slot(conversation, resting);
        }
        self.tell_groups(cx, out);
    }

    fn refused(
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
            self.set_slot(conversation, None);
            self.tell_groups(cx, out);
        }
    }

    fn missed(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        self.record(cx, Event::Missed, out);
        let limit = cx.policy.auto_away_after.unwrap_or(u32::MAX);
        if self.misses >= limit && self.intent == Presence::Online {
            self.record(cx, Event::PresenceSet { presence: Presence::Away, auto: true }, out);
        }
    }

    fn answered(
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
            None => _ = self.set_slot(conversation, None),
        }
        self.tell_groups(cx, out);
    }

    fn still_there(&self, conversation: ConversationId, epoch: u32, out: &mut Out<Event>) {
        let absent = self.intent == Presence::Offline || self.liveness == Liveness::Gone;
        if absent {
            let command = conversation::Command::OwnerAbsent { agent: self.id, epoch };
            out.tell_conversation(conversation, command);
        }
    }

    fn invite(
        &self,
        conversation: ConversationId,
        ticket: Ticket,
        out: &mut Out<Event>,
    ) -> Result<(), Refused> {
        match self.unfit() {
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

    fn tick(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        out.by = By::System;
        if let Liveness::Grace { gone_at, .. } = self.liveness
            && gone_at <= cx.now
        {
            self.gone(cx, out);
        }
        let before = self.slots.len();
        self.slots.retain(|_, slot| !matches!(slot.kind, SlotKind::WrapUp { until } if until <= cx.now));
        for (conversation, slot) in &mut self.slots {
            if let SlotKind::Granted { grant, ask_at } = &mut slot.kind
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

    /// The grace is over: pending offers go on to others, without a miss (design §3.11). Whether owned conversations stay is
    /// for each to decide, by its group's rule.
    fn gone(&mut self, cx: &Context<'_>, out: &mut Out<Event>) {
        self.liveness = Liveness::Gone;
        for (conversation, _) in self.holds() {
            let why = RescindReason::AgentGone;
            out.tell_conversation(conversation, conversation::Command::AgentGone { agent: self.id, why });
        }
        self.tell_groups(cx, out);
    }
}
