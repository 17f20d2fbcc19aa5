//! An agent: what they intend, whether they are there, and their slots. The agent has the last word on its slots (design §3.2).
//!
//! One file per idea: `slots.rs` (granted, confirmed, released), `presence.rs` (intent, sessions, the grace), `profile.rs` (created,
//! changed, removed), `views.rs` (how they stand). What it may be asked and what is recorded of it is in `words.rs`.

mod presence;
mod profile;
mod slots;
mod views;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    Context, Keeper, Machine, Out, Refused, Remains, conversation, departures::Departures, group, keys::Keys,
    scope::Sites, words::Presence, workspace,
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, ConversationId},
};

pub use words::{Activity, Basics, Change, Command, End, Event, Held, Profile, Push};

/// How long a grant may stay unconfirmed before the agent asks the conversation. Time alone frees nothing.
pub const LEASE: Duration = Duration::from_secs(1);

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
        /// Until when the slot rests after an earlier close, should the grant come to nothing.
        rest: Option<Timestamp>,
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

/// An agent's machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Kept")]
pub struct Agent {
    id: AgentId,
    profile: Profile,
    /// Those of the profile, to be handed out.
    #[serde(skip)]
    sites: Sites,
    exists: bool,
    intent: Presence,
    last_assigned: Timestamp,
    misses: u32,
    /// As far as it is recorded: what they do in conversations is added by whoever reads these records.
    activity: Activity,
    keys: Keys<()>,
    quarantined: Option<Timestamp>,
    /// The last of what is kept: states of the archive's version 1 end before it.
    push: Push,
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
    #[serde(skip)]
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

/// What an archive keeps of an agent: the fields of [`Agent`] that are not views, in their order.
#[derive(Deserialize)]
struct Kept {
    id: AgentId,
    profile: Profile,
    exists: bool,
    intent: Presence,
    last_assigned: Timestamp,
    misses: u32,
    activity: Activity,
    keys: Keys<()>,
    quarantined: Option<Timestamp>,
    push: Push,
}

impl From<Kept> for Agent {
    fn from(kept: Kept) -> Self {
        let Kept { id, profile, exists, intent, last_assigned, misses, activity, keys, quarantined, push } =
            kept;
        // Who is limited to sites still is (BO-12).
        let sites = Sites::of(&profile.sites);
        Self {
            profile,
            sites,
            exists,
            intent,
            last_assigned,
            misses,
            activity,
            keys,
            quarantined,
            push,
            ..Self::new(id)
        }
    }
}

impl Agent {
    /// An agent of whom nothing is recorded.
    #[must_use]
    pub fn new(id: AgentId) -> Self {
        Self {
            id,
            profile: Profile::default(),
            sites: Sites::default(),
            exists: false,
            intent: Presence::Offline,
            last_assigned: Timestamp::default(),
            misses: 0,
            activity: Activity::default(),
            keys: Keys::default(),
            quarantined: None,
            push: Push::Unset,
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
            Event::Put(basics) => {
                self.profile = basics.clone().into();
                self.exists = true;
            }
            Event::Profiled(profile) => {
                self.profile = profile.clone();
                self.sites = Sites::of(&profile.sites);
                self.exists = true;
            }
            Event::Removed => {
                self.exists = false;
                self.push = Push::Unset;
            }
            Event::PresenceSet { presence, auto } => {
                self.intent = *presence;
                if !auto {
                    self.activity.add(at, 0);
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
            Event::PushSet(push) => self.push = push.clone(),
        }
    }

    /// They did something in a conversation; told by recovery, as it is recorded there.
    pub fn acted(&mut self, record: &conversation::Record) {
        self.activity.add(record.at, record.messages());
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

    fn record(&mut self, cx: &Context<'_>, event: Event, out: &mut Out<Event>) {
        self.evolve(cx.now, &event);
        out.events.push(event);
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
            Command::SetPush { push, ticket } => self.set_push(cx, push, &ticket, out)?,
            Command::SessionOpened => self.session_opened(cx, out),
            Command::SessionLost { later } => self.session_lost(cx, later, out),
            Command::Reserve { conversation, epoch, site, decision } => {
                self.reserve(cx, conversation, epoch, site.as_ref(), decision, out);
            }
            Command::Claim { conversation, epoch, site, purpose } => {
                self.claim(cx, conversation, epoch, site.as_ref(), purpose, out)?;
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
            Command::Invite { conversation, site, ticket } => {
                self.invite(conversation, site.as_ref(), ticket, out)?;
            }
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
            | Command::SetPush { ticket, .. }
            | Command::Failed { ticket }
            | Command::Reinstate { ticket } => Some(Remains::of(ticket, Keeper::Itself)),
            Command::Invite { conversation, ticket, .. } => {
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
