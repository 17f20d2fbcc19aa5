//! A group: it matches its waiting line with its roster and proposes; the agent grants, the conversation records (design §3.2).
//! Nearly all of it is a view, rebuilt from conversations and agents; only the round-robin pointer is recorded.
//!
//! One file per idea: `doors.rs` (when it is open), `line.rs` (who waits where), `propose.rs` (who is asked next), `members.rs` (what an agent's word changes),
//! `unserved.rs` (what can't be served here), `summon.rs` (what workflows ask of it), `places.rs` (what those who wait are told). What it may be asked is in `words.rs`.

mod doors;
mod line;
mod members;
mod places;
mod propose;
mod summon;
mod unserved;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    Context, Keeper, Machine, Out, Refused, Remains, WhyNot,
    conversation::Unserved,
    queue::{Admits, Fit, Place, Queue},
    roster::Roster,
    words::{QueueCause, Strategy},
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, ConversationId, GroupId},
};

pub use places::Called;
pub use words::{Command, Event, Standing, Waiting};

/// How many agents one command announces a conversation to, so that what it leads to fits a record; more take several.
const TOLD_MAX: usize = 4_096;

/// How many waiting conversations are announced at once to an agent who becomes available.
const ANNOUNCE_MAX: usize = 100;

#[derive(Debug, Clone)]
struct Item {
    waiting: Waiting,
    stands: Stands,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// In the line: nobody has seen it.
    InLine,
    /// Announced, and still listed.
    Listed,
    /// Proposed or offered to this agent.
    With(AgentId),
}

impl Item {
    fn with(&self) -> Option<AgentId> {
        match self.stands {
            Stands::With(agent) => Some(agent),
            Stands::InLine | Stands::Listed => None,
        }
    }
}

/// A group's machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Group {
    id: GroupId,
    pointer: Option<(SmolStr, AgentId)>,
    quarantined: Option<Timestamp>,
    // Views.
    #[serde(skip)]
    roster: Roster,
    #[serde(skip)]
    line: Queue,
    #[serde(skip)]
    listed: Queue,
    #[serde(skip)]
    items: BTreeMap<ConversationId, Item>,
    /// Matches nothing before everything that waits was told.
    #[serde(skip)]
    held: bool,
    #[serde(skip)]
    awaiting: BTreeSet<ConversationId>,
    /// Where it overflows to: still known after a reload that removes it.
    #[serde(skip)]
    overflow: Option<GroupId>,
    #[serde(skip)]
    awaiting_members: BTreeSet<AgentId>,
    #[serde(skip)]
    doors: doors::Doors,
}

impl Group {
    /// A group that nobody waits in.
    #[must_use]
    pub fn new(id: GroupId) -> Self {
        Self {
            id,
            pointer: None,
            quarantined: None,
            roster: Roster::new(Strategy::RoundRobin),
            line: Queue::default(),
            listed: Queue::default(),
            items: BTreeMap::new(),
            held: false,
            awaiting: BTreeSet::new(),
            overflow: None,
            awaiting_members: BTreeSet::new(),
            doors: doors::Doors::default(),
        }
    }

    /// Takes one recorded event in.
    pub fn evolve(&mut self, event: &Event) {
        match event {
            Event::Pointed { name, agent } => self.pointer = Some((name.clone(), *agent)),
            Event::Quarantined { at } => self.quarantined = Some(*at),
            Event::Reinstated { .. } => self.quarantined = None,
        }
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &GroupId {
        &self.id
    }

    /// How many wait, offered ones aside.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.line.len() + self.listed.len()
    }

    /// How many are with an agent who has not answered.
    #[must_use]
    pub fn offered(&self) -> usize {
        self.items.len() - self.waiting()
    }

    /// Since when the longest waiting one waits.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.line.oldest().into_iter().chain(self.listed.oldest()).min()
    }

    /// How many stand before a conversation; `None` if it does not wait here.
    #[must_use]
    pub fn ahead_of(&self, conversation: ConversationId) -> Option<usize> {
        let place = self.items.get(&conversation)?.waiting.place();
        Some(self.line.ahead_of(&place) + self.listed.ahead_of(&place))
    }

    /// The head of the line, at most so many.
    #[must_use]
    pub fn head(&self, most: usize) -> Vec<Place> {
        self.first_places(most, None)
    }

    /// Since when it is closed for routing, if it is.
    #[must_use]
    pub fn quarantined(&self) -> Option<Timestamp> {
        self.quarantined
    }

    /// The members.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The first reason why an agent is not offered a conversation of this group and site, now.
    #[must_use]
    pub fn why_not(
        &self,
        conversation: ConversationId,
        agent: AgentId,
        site: Option<&SmolStr>,
    ) -> Option<WhyNot> {
        let waiting = self.items.get(&conversation).map(|item| &item.waiting);
        waiting.and_then(|waiting| barrier(waiting, agent)).or(self.roster.why_not_on(agent, site))
    }

    // === Recovery ===

    /// Matches nothing until `Start`; told by recovery before anything runs.
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// After a failure: matches nothing, and turns nothing away, until all these conversations have said whether they wait here and
    /// all these agents how they stand.
    pub fn rebuilt(&mut self, conversations: BTreeSet<ConversationId>, members: BTreeSet<AgentId>) {
        self.awaiting = conversations;
        self.awaiting_members = members;
    }
}

/// Why the conversation itself keeps this agent out.
fn barrier(waiting: &Waiting, agent: AgentId) -> Option<WhyNot> {
    if waiting.direct.is_some_and(|direct| direct != agent) {
        Some(WhyNot::NotTheDirectOne)
    } else if waiting.barred == Some(agent) {
        let reassigned = matches!(waiting.cause, QueueCause::Reassigned | QueueCause::NoOnlineAgent);
        Some(if reassigned { WhyNot::WasSilent } else { WhyNot::TransferredIt })
    } else if waiting.tried.contains(&agent) {
        Some(WhyNot::TriedIt)
    } else {
        None
    }
}

impl Machine for Group {
    type Command = Command;
    type Event = Event;

    fn handle(&mut self, cx: &Context<'_>, command: Command, out: &mut Out<Event>) -> Result<(), Refused> {
        if let Some(policy) = cx.policy.group(&self.id) {
            self.roster.set_strategy(policy.strategy);
            if self.overflow != policy.overflow {
                self.overflow.clone_from(&policy.overflow);
            }
        }
        self.look_at_hours(cx);
        match command {
            Command::Enqueue(waiting) => self.enqueue(cx, *waiting, out),
            Command::Leave { conversation } => {
                let change = self.forget(conversation);
                self.awaited(cx, Some(conversation), None, out);
                self.react_to(cx, change, out);
            }
            Command::Member { agent, standing } => {
                let change = self.roster.update(agent, standing);
                self.react(cx, agent, change, out);
                self.awaited(cx, None, Some(agent), out);
            }
            Command::MemberGone { agent } => self.member_gone(cx, agent, out),
            Command::ProposalGranted { conversation, agent, standing } => {
                let change = self.roster.replied(agent, conversation, standing);
                self.react(cx, agent, change, out);
            }
            Command::ProposalRefused { conversation, agent, why_not, standing } => {
                self.proposal_refused(cx, conversation, agent, why_not, standing, out);
            }
            Command::Forgotten { agent } => self.forgotten(cx, agent, out),
            Command::RequestEntry { conversation, epoch, cause, ticket, leave } => {
                self.request_entry(cx, conversation, epoch, cause, ticket, leave, out)?;
            }
            Command::Summon { conversation, epoch, but, site } => {
                let fit = Fit { admits: Admits::except(but), site };
                self.summon(cx, conversation, epoch, &fit, out);
            }
            Command::WaitedTooLong { conversation, stay, tried } => {
                self.waited_too_long(conversation, stay, tried, out);
            }
            Command::Start => {
                self.held = false;
                self.match_all(cx, out);
            }
            Command::PolicyChanged if cx.policy.group(&self.id).is_none() => {
                self.turn_out(&Unserved::Removed { overflow: self.overflow.clone() }, out);
            }
            Command::PolicyChanged => self.match_all(cx, out),
            // What it has to do then, it does after every command.
            Command::Tick => {}
            Command::Reinstate { ticket } => return Err(super::aside::not_aside(&ticket)),
        }
        self.serve_opened(cx, out);
        Ok(())
    }

    fn remains(command: &Command) -> Option<Remains> {
        match command {
            Command::RequestEntry { conversation, ticket, .. } => {
                Some(Remains::of(ticket, Keeper::Conversation(*conversation)))
            }
            Command::Reinstate { ticket } => Some(Remains::of(ticket, Keeper::Nobody)),
            _ => None,
        }
    }

    fn next_deadline(&self, cx: &Context<'_>) -> Option<Timestamp> {
        // Deadlines belong to conversations; a group only reacts, but to its hours.
        self.next_opening(cx)
    }
}

impl Group {
    /// Whether it matches nothing now.
    fn is_still(&self) -> bool {
        self.held || self.is_incomplete() || self.doors.closed
    }

    /// Whether a rebuilt group has not heard from everybody yet.
    fn is_incomplete(&self) -> bool {
        !(self.awaiting.is_empty() && self.awaiting_members.is_empty())
    }
}
