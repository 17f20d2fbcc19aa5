//! What clients saw, held against what the daemon promises. Knows nothing of the load: who asked what for which reason.
//!
//! It concludes only from what is certain: the order of frames on one connection, the daemon's own numbering, and that
//! what was acknowledged must be seen. `docs/load-testing.md` says for each count what it means.

mod feed;
mod record;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet, VecDeque, hash_map::Entry},
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;
use maitred::{
    ids::{AgentId, ConversationId},
    protocol::{
        Notice,
        notice::{AgentItem, AgentItems, OfferMade, StaffChange, StaffEntry, StaffEvent, VisitorEvent},
        reply::{Opened, Recorded},
        words::{AssignCause, OfferKind, OfferOutcome},
    },
};
use serde::Serialize;

use self::record::Record;

type Map<K, V> = HashMap<K, V, RandomState>;

/// Conversations that ended and are remembered, so that what comes for them later is recognised: the newest so many,
/// and up to twice as many.
const REMEMBERED: usize = 500_000;

/// How long a complete conversation is kept for what is still on its way, and how many of them at most.
const COOLS: Duration = Duration::from_secs(1);
const COOLING: usize = 100_000;

/// How many violations are described in words.
const DESCRIBED: usize = 20;

/// How often each promise was seen broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Violations {
    /// Acknowledged openings and messages that were never seen, and conversations that never ended.
    pub(crate) lost: u64,
    /// Moments at which an agent had more offered and owned than their cap.
    pub(crate) cap_violations: u64,
    /// Conversations that a second agent got while the first had them.
    pub(crate) double_owner: u64,
    /// Numbers that were left out, out of order, or used for two different things.
    pub(crate) sequence_gaps: u64,
    /// Events shown twice, and messages shown under two numbers or where they were not written.
    pub(crate) duplicate_messages: u64,
}

impl Violations {
    /// How many in all.
    pub(crate) fn total(self) -> u64 {
        self.lost + self.cap_violations + self.double_owner + self.sequence_gaps + self.duplicate_messages
    }
}

/// Everything that was seen and not yet judged.
#[derive(Default)]
pub(crate) struct Audit {
    desks: Map<AgentId, Desk>,
    open: Map<ConversationId, Record>,
    /// Judged, with the visitor's last number.
    ended: Map<ConversationId, u64>,
    ended_before: Map<ConversationId, u64>,
    /// Complete, since when.
    cooling: VecDeque<(Instant, ConversationId)>,
    /// As of the last [`Audit::tidy`].
    now: Option<Instant>,
    spare: Vec<Record>,
    found: Found,
}

/// What was found so far.
#[derive(Default)]
struct Found {
    violations: Violations,
    described: Vec<String>,
}

/// One agent's slots, as their session sees them.
struct Desk {
    cap: usize,
    holds: Map<ConversationId, Hold>,
    /// Offers of a snapshot that is not complete yet.
    snapshot: Option<HashSet<ConversationId, RandomState>>,
}

/// What takes a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// An offer, by its number.
    Reserved(u32),
    Owned,
    /// Given past the cap by a supervisor, who may.
    Forced,
}

/// Which of the counts.
#[derive(Clone, Copy, Debug)]
enum Broken {
    Lost,
    Cap,
    Owner,
    Gap,
    Duplicate,
}

impl Found {
    fn broken(&mut self, which: Broken, words: impl FnOnce() -> String) {
        let violations = &mut self.violations;
        let (count, name) = match which {
            Broken::Lost => (&mut violations.lost, "lost"),
            Broken::Cap => (&mut violations.cap_violations, "cap_violations"),
            Broken::Owner => (&mut violations.double_owner, "double_owner"),
            Broken::Gap => (&mut violations.sequence_gaps, "sequence_gaps"),
            Broken::Duplicate => (&mut violations.duplicate_messages, "duplicate_messages"),
        };
        *count += 1;
        if self.described.len() < DESCRIBED {
            self.described.push(format!("{name}: {}", words()));
        }
    }
}

/// What clients sent and what was acknowledged.
impl Audit {
    /// There is an agent, with this cap.
    pub(crate) fn agent(&mut self, agent: AgentId, cap: u16) {
        let desk = Desk { cap: usize::from(cap), holds: Map::default(), snapshot: None };
        self.desks.insert(agent, desk);
    }

    /// A command about the conversation was sent; an answer is to come.
    pub(crate) fn asked(&mut self, conversation: ConversationId) {
        self.record(conversation, |record, _| record.unanswered += 1);
    }

    /// The answer has come, whatever it is; tell what it acknowledged before this.
    pub(crate) fn answered(&mut self, conversation: ConversationId) {
        self.record(conversation, |record, _| record.unanswered = record.unanswered.saturating_sub(1));
    }

    /// The opening was acknowledged.
    pub(crate) fn opened(&mut self, opened: &Opened) {
        self.record(opened.conversation, |record, _| record.acknowledge_opening(opened.visitor_seq));
    }

    /// A message was acknowledged; `body` is what was sent.
    pub(crate) fn said(&mut self, recorded: &Recorded, body: &str) {
        let token = token(recorded.conversation, body).unwrap_or_default();
        if let Some(visitor_seq) = recorded.visitor_seq {
            self.record(recorded.conversation, |record, _| record.acknowledge_message(visitor_seq, token));
        }
    }

    /// An agent's accept of an offer or announcement was acknowledged.
    pub(crate) fn accepted(&mut self, conversation: ConversationId, agent: AgentId, offer: u32) {
        self.record(conversation, |record, found| record.claim(found, agent, offer));
    }
}

/// What clients saw.
impl Audit {
    /// A notice came, in the order of its connection.
    pub(crate) fn noticed(&mut self, notice: &Notice) {
        match notice {
            Notice::OfferMade(made) => self.offer_made(made),
            Notice::OfferEnded(ended) => {
                self.offer_ended(ended.agent, ended.conversation, ended.offer, ended.outcome);
            }
            Notice::StaffEvent(event) => {
                if let Some(agent) = event.agent {
                    self.staff_event(agent, event);
                }
            }
            Notice::VisitorEvent(event) => self.visitor_event(event),
            Notice::AgentItems(items) => self.snapshot(items),
            _ => {}
        }
    }

    /// A page of a history that an agent read, because their session had been away.
    pub(crate) fn history(&mut self, agent: AgentId, conversation: ConversationId, entries: &[StaffEntry]) {
        self.record(conversation, |record, _| record.staff_reads(agent));
        for entry in entries {
            self.staff_entry(agent, conversation, entry);
        }
    }

    /// The agent's session ended: what happens until the next one isn't seen.
    pub(crate) fn session_lost(&mut self, agent: AgentId) {
        if let Some(desk) = self.desks.get_mut(&agent) {
            desk.holds.clear();
            desk.snapshot = None;
        }
        for record in self.open.values_mut() {
            record.staff_away(agent);
        }
    }

    /// The visitor's events are read again from a number on, so what was seen may come once more.
    pub(crate) fn visitor_resumes(&mut self, conversation: ConversationId) {
        self.record(conversation, |record, _| record.visitor_resumes());
    }

    fn offer_made(&mut self, made: &OfferMade) {
        if !matches!(made.kind, OfferKind::Offer | OfferKind::Handover) {
            return;
        }
        let (offer, conversation) = (made.offer, made.conversation);
        self.holds(made.agent, conversation, Hold::Reserved(offer));
    }

    fn offer_ended(&mut self, agent: AgentId, id: ConversationId, offer: u32, outcome: OfferOutcome) {
        let Some(desk) = self.desks.get_mut(&agent) else { return };
        if desk.holds.get(&id) == Some(&Hold::Reserved(offer)) {
            if outcome == OfferOutcome::Accepted {
                desk.holds.insert(id, Hold::Owned);
            } else {
                desk.holds.remove(&id);
            }
        }
    }

    fn staff_event(&mut self, agent: AgentId, event: &StaffEvent) {
        let conversation = event.conversation;
        match &event.entry.event {
            StaffChange::Assigned { agent: owner, cause } if *owner == agent => {
                let hold = if *cause == AssignCause::Forced { Hold::Forced } else { Hold::Owned };
                self.holds(agent, conversation, hold);
            }
            StaffChange::Assigned { .. } | StaffChange::Queued { .. } | StaffChange::Closed { .. } => {
                self.let_go(agent, conversation);
            }
            StaffChange::Left { agent: who } if *who == agent => self.let_go(agent, conversation),
            _ => {}
        }
        self.staff_entry(agent, conversation, &event.entry);
    }

    fn staff_entry(&mut self, agent: AgentId, conversation: ConversationId, entry: &StaffEntry) {
        self.record(conversation, |record, found| record.staff_sees(found, agent, entry));
    }

    fn visitor_event(&mut self, event: &VisitorEvent) {
        let (id, number) = (event.conversation, event.entry.visitor_seq);
        if self.last_of(id).is_some_and(|last| number <= last) && !self.open.contains_key(&id) {
            self.found
                .broken(Broken::Duplicate, || format!("visitor's events of {id}: {number} after the end"));
        }
        self.record(event.conversation, |record, found| record.visitor_sees(found, &event.entry));
    }

    /// What a session begins with: everything that the agent has, in pages.
    fn snapshot(&mut self, items: &AgentItems) {
        let Some(desk) = self.desks.get_mut(&items.agent) else { return };
        let mut listed = desk.snapshot.take().unwrap_or_else(|| {
            desk.holds.clear();
            HashSet::default()
        });
        let mut holds = Vec::new();
        for item in &items.items {
            match item {
                AgentItem::Offer(made) if matches!(made.kind, OfferKind::Offer | OfferKind::Handover) => {
                    holds.push((made.conversation, Hold::Reserved(made.offer)));
                }
                AgentItem::Conversation(row) if row.owner == Some(items.agent) => {
                    holds.push((row.conversation, Hold::Owned));
                }
                _ => {}
            }
        }
        listed.extend(holds.iter().map(|(conversation, _)| *conversation));
        desk.snapshot = items.more.then_some(listed);
        for (conversation, hold) in holds {
            self.holds(items.agent, conversation, hold);
        }
    }

    fn holds(&mut self, agent: AgentId, conversation: ConversationId, hold: Hold) {
        let Some(desk) = self.desks.get_mut(&agent) else { return };
        let before = desk.holds.insert(conversation, hold);
        if before == Some(Hold::Forced) {
            desk.holds.insert(conversation, Hold::Forced);
        }
        let taken = desk.holds.values().filter(|hold| **hold != Hold::Forced).count();
        if before.is_none() && taken > desk.cap {
            let cap = desk.cap;
            self.found.broken(Broken::Cap, || {
                format!("agent {agent} has {taken} of {cap} with {hold:?} of conversation {conversation}")
            });
        }
    }

    fn let_go(&mut self, agent: AgentId, conversation: ConversationId) {
        if let Some(desk) = self.desks.get_mut(&agent)
            && matches!(desk.holds.get(&conversation), Some(Hold::Owned | Hold::Forced))
        {
            desk.holds.remove(&conversation);
        }
    }
}

/// Judgement.
impl Audit {
    /// Everything has had its time: what is open now never ended. Returns the counts and some of them in words.
    pub(crate) fn finish(mut self) -> (Violations, Vec<String>) {
        let mut open: Vec<_> = self.open.drain().collect();
        open.sort_unstable_by_key(|(conversation, _)| *conversation);
        for (_, record) in open {
            record.judge(&mut self.found);
        }
        (self.found.violations, self.found.described)
    }

    /// Judges what has been complete for a while: what is still on its way on another connection has come by then.
    /// To be called now and then.
    pub(crate) fn tidy(&mut self, now: Instant) {
        while let Some((since, conversation)) = self.cooling.front().copied() {
            if now.duration_since(since) < COOLS && self.cooling.len() < COOLING {
                break;
            }
            self.cooling.pop_front();
            let Some(mut record) = self.open.remove(&conversation) else { continue };
            record.cooling = false;
            if record.is_complete() {
                record.judge(&mut self.found);
                self.remember(conversation, record.visitors_last());
                record.clear();
                self.spare.push(record);
            } else {
                self.open.insert(conversation, record);
            }
        }
        self.now = Some(now);
    }

    /// Works on a conversation's record, unless it was judged.
    fn record(&mut self, conversation: ConversationId, work: impl FnOnce(&mut Record, &mut Found)) {
        let judged = |id| self.ended.contains_key(id) || self.ended_before.contains_key(id);
        let record = match self.open.entry(conversation) {
            Entry::Occupied(record) => record.into_mut(),
            Entry::Vacant(_) if judged(&conversation) => return,
            Entry::Vacant(place) => place.insert(self.spare.pop().unwrap_or_default().about(conversation)),
        };
        work(record, &mut self.found);
        if !record.cooling && record.is_complete() {
            record.cooling = true;
            self.cooling.push_back((self.now.unwrap_or_else(Instant::now), conversation));
        }
    }

    /// The visitor's last number in a conversation that was judged.
    fn last_of(&self, conversation: ConversationId) -> Option<u64> {
        self.ended.get(&conversation).or_else(|| self.ended_before.get(&conversation)).copied()
    }

    fn remember(&mut self, conversation: ConversationId, last: u64) {
        if self.ended.len() >= REMEMBERED {
            self.ended_before = std::mem::take(&mut self.ended);
        }
        self.ended.insert(conversation, last);
    }
}

/// What every message begins with, so that it can be told from all others: a part of its conversation's id, and its
/// number there.
pub(crate) fn body_of(conversation: ConversationId, number: u16, bytes: usize, into: &mut String) {
    use std::fmt::Write as _;
    into.clear();
    let mark = mark(conversation);
    // Writing into a String can't fail.
    let _ = write!(into, "{mark:08x}{number:04x}");
    while into.len() < bytes {
        into.push('.');
    }
}

/// A message's number in its conversation, from 1, if this is a message and one of this conversation.
pub(crate) fn number_of(conversation: ConversationId, body: &str) -> Option<u16> {
    let (marked, number) = (body.get(..8)?, body.get(8..12)?);
    let marked = u32::from_str_radix(marked, 16).ok()?;
    (marked == mark(conversation)).then(|| u16::from_str_radix(number, 16).ok()).flatten()
}

/// What tells messages apart; 0 for none. A message of another conversation has a token that fits nothing here.
fn token(conversation: ConversationId, body: &str) -> Option<u32> {
    if body.is_empty() {
        return None;
    }
    Some(number_of(conversation, body).map_or(u32::MAX, u32::from))
}

fn mark(conversation: ConversationId) -> u32 {
    let [.., a, b, c, d] = *conversation.bytes();
    u32::from_be_bytes([a, b, c, d])
}
