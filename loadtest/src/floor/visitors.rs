//! What visitors do: come, wait, write, give up, go.

use std::time::{Duration, Instant};

use maitred::{
    clock::Timestamp,
    ids::{ConversationId, VisitorId},
    protocol::words::Speaker,
};
use rand::Rng;

use super::{Floor, Timer, fresh_id};
use crate::{
    link::{Ask, Passing, VisitRef, What},
    scenario::Arrivals,
};

/// How long a visitor who was refused of the closed loop stays away.
const STAYS_AWAY: Duration = Duration::from_millis(100);

/// One visitor's conversation, as both its sides see it.
pub(super) struct Visit {
    pub(super) id: ConversationId,
    pub(super) serial: u32,
    pub(super) visitor: VisitorId,
    /// The visitor's connection; the agent has their own.
    pub(super) link: usize,
    /// When the visitor was due, whether or not there was room for the request.
    pub(super) due: Instant,
    /// Nobody is here; the place can be used again.
    pub(super) vacant: bool,
    pub(super) acknowledged: bool,
    /// The connection was lost before the opening was acknowledged: the last number that was seen by then.
    pub(super) missed_opening: Option<u64>,
    pub(super) answered: bool,
    pub(super) fell_back: bool,
    /// The visitor gave up.
    pub(super) gone: bool,
    pub(super) ended: bool,
    /// Commands whose answer has not come.
    pub(super) unanswered: u32,
    /// The offer that is pending, as far as its agent knows.
    pub(super) offer: Option<Pending>,
    /// When the last offer was seen to time out.
    pub(super) timed_out_at: Option<Instant>,
    pub(super) owner: Option<usize>,
    /// Whether the visitor knows that an agent is there.
    pub(super) joined: bool,
    /// Messages sent by both together, and heard by the other side.
    pub(super) spoken: u16,
    pub(super) heard: u16,
    pub(super) spoke_at: Instant,
    /// Somebody is about to write or close.
    pub(super) scheduled: bool,
    pub(super) closing: bool,
    /// Whether the agent will pass it on in the middle, and whether that is going on.
    pub(super) pass_on: bool,
    pub(super) passing: bool,
    /// The last numbers seen.
    pub(super) visitor_seq: u64,
    pub(super) staff_seq: u64,
}

/// An offer that is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) member: usize,
    pub(super) offer: u32,
    pub(super) deadline: Option<Timestamp>,
}

impl Floor {
    /// Everybody who is due by now comes, and the next one is planned.
    pub(super) fn arrivals(&mut self, now: Instant) {
        let Arrivals::Open { per_second, rush_per_second, rush } = self.scenario.arrivals else { return };
        while let Some(due) = self.next_arrival.filter(|due| *due <= now && self.coming) {
            let link = self.rng.random_range(0..self.links.len());
            let visitor = self.new_visitor();
            self.begin(link, visitor, due, now);
            let in_rush = rush.is_some_and(|rush| due.duration_since(self.began) < rush.0);
            let rate = rush_per_second.filter(|_| in_rush).unwrap_or(per_second);
            // Exponential gaps: visitors know nothing of each other.
            let gap = -(1.0 - self.rng.random::<f64>()).ln() / rate;
            self.next_arrival = Some(due + Duration::from_secs_f64(gap.min(3_600.0)));
        }
        if let Some(next) = self.next_arrival.filter(|_| self.coming) {
            self.timers.add(next, Timer::Arrive);
        }
    }

    /// A visitor opens a conversation.
    pub(super) fn begin(&mut self, link: usize, visitor: VisitorId, due: Instant, now: Instant) {
        self.next_serial += 1;
        let serial = self.next_serial;
        let id = fresh_id(&mut self.rng);
        let pass_on = self.chance(self.scenario.team.transfers);
        let visit = Visit {
            id,
            serial,
            visitor,
            link,
            due,
            vacant: false,
            acknowledged: false,
            missed_opening: None,
            answered: false,
            fell_back: false,
            gone: false,
            ended: false,
            unanswered: 0,
            offer: None,
            timed_out_at: None,
            owner: None,
            joined: false,
            spoken: 0,
            heard: 0,
            spoke_at: now,
            scheduled: false,
            closing: false,
            pass_on,
            passing: false,
            visitor_seq: 0,
            staff_seq: 0,
        };
        let at = match self.vacant.pop() {
            Some(at) => {
                self.visits[at] = visit;
                at
            }
            None => {
                self.visits.push(visit);
                self.visits.len() - 1
            }
        };
        self.visit_of.insert(id, at);
        self.present += 1;
        if let Some(patience) = self.scenario.visitors.patience {
            let patience = patience.draw(&mut self.rng);
            self.timers.add(due.max(now) + patience, Timer::GiveUp(VisitRef { at, serial }));
        }
        self.ask(link, at, What::Open(visitor));
    }

    /// Somebody has read the last message: whoever's turn it is writes, or the agent closes, after a while.
    pub(super) fn turn(&mut self, at: usize, now: Instant) {
        let total = self.scenario.visitors.messages * 2;
        let visit = &self.visits[at];
        if visit.ended || visit.closing || visit.scheduled || visit.passing || visit.heard != visit.spoken {
            return;
        }
        let done = visit.heard == total;
        let visitors_turn = !done && visit.spoken.is_multiple_of(2);
        let (delay, timer): (_, fn(VisitRef) -> Timer) = match (visitors_turn, visit.owner) {
            (true, _) if visit.joined => (self.scenario.visitors.visitor_writes, Timer::Speak),
            (false, Some(owner)) if !self.members[owner].away => {
                if done {
                    (self.scenario.team.close_after, Timer::Close)
                } else {
                    (self.scenario.team.agent_writes, Timer::Speak)
                }
            }
            _ => return,
        };
        let delay = delay.draw(&mut self.rng);
        let reference = self.reference(at);
        self.visits[at].scheduled = true;
        if !delay.is_zero() {
            self.timers.add(now + delay, timer(reference));
        } else if done {
            self.agent_closes(reference);
        } else {
            self.speak(reference, now);
        }
    }

    /// Whoever's turn it is writes.
    pub(super) fn speak(&mut self, reference: VisitRef, now: Instant) {
        let Some(at) = self.visit(reference) else { return };
        let half = self.scenario.visitors.messages;
        let bytes = self.scenario.visitors.message_bytes;
        let visit = &mut self.visits[at];
        visit.scheduled = false;
        if visit.ended || visit.closing || visit.heard != visit.spoken {
            return;
        }
        let (speaker, link) = if visit.spoken.is_multiple_of(2) {
            (Speaker::Visitor(visit.visitor), visit.link)
        } else {
            let Some(owner) = visit.owner.map(|owner| &self.members[owner]).filter(|owner| !owner.away)
            else {
                return;
            };
            (Speaker::Agent(owner.id), owner.link)
        };
        if visit.pass_on && visit.spoken >= half && !visit.spoken.is_multiple_of(2) {
            visit.pass_on = false;
            self.pass_on(at);
            return;
        }
        visit.spoken += 1;
        visit.spoke_at = now;
        let number = visit.spoken;
        self.ask(link, at, What::Say { speaker, number, bytes });
    }

    /// An opening that had to be repeated is acknowledged: what happened meanwhile was told to nobody.
    pub(super) fn catch_up(&mut self, link: usize, at: usize) {
        let visit = &mut self.visits[at];
        if let Some(after) = visit.missed_opening.take() {
            self.ask(link, at, What::Subscribe { after });
        }
    }

    /// Nobody has come: the visitor goes, with or without a word.
    pub(super) fn give_up(&mut self, reference: VisitRef) {
        let Some(at) = self.visit(reference) else { return };
        let visit = &self.visits[at];
        if visit.answered || visit.ended || visit.gone || visit.fell_back {
            return;
        }
        if self.chance(self.scenario.visitors.vanish) {
            let visit = &mut self.visits[at];
            visit.gone = true;
            let (link, visitor) = (visit.link, visit.visitor);
            self.ask(link, at, What::Announce { visitor, present: false });
        } else {
            self.visitor_closes(reference);
        }
    }

    /// The visitor closes their conversation.
    pub(super) fn visitor_closes(&mut self, reference: VisitRef) {
        let Some(at) = self.visit(reference) else { return };
        let visit = &mut self.visits[at];
        if !visit.ended && !visit.closing {
            visit.closing = true;
            let (link, visitor) = (visit.link, visit.visitor);
            self.ask(link, at, What::Close(Speaker::Visitor(visitor)));
        }
    }

    /// An agent was found for somebody who had given up: they come back.
    pub(super) fn returns(&mut self, at: usize) {
        let visit = &mut self.visits[at];
        if visit.gone {
            visit.gone = false;
            let (link, visitor) = (visit.link, visit.visitor);
            self.ask(link, at, What::Announce { visitor, present: true });
        }
    }

    /// The owner passes the conversation on.
    fn pass_on(&mut self, at: usize) {
        let Some(owner) = self.visits[at].owner else { return };
        let to_group = self.chance(self.scenario.team.to_group);
        let (agent, link) = (self.members[owner].id, self.members[owner].link);
        let to = if to_group {
            let groups = &self.members[owner].groups;
            let Some(group) = groups.last() else { return };
            Passing::Group(group.clone())
        } else {
            let other = (owner + 1 + self.rng.random_range(0..self.members.len())) % self.members.len();
            let other = if other == owner { (owner + 1) % self.members.len() } else { other };
            Passing::Agent(self.members[other].id)
        };
        self.visits[at].passing = true;
        self.ask(link, at, What::Transfer { agent, to });
    }

    /// The visitor was told that it is over. The place is free once every command is answered.
    pub(super) fn over(&mut self, at: usize) {
        let visit = &mut self.visits[at];
        if visit.ended {
            return;
        }
        visit.ended = true;
        match (visit.fell_back, visit.answered) {
            (true, _) => {}
            (false, true) => self.tally.closed += 1,
            (false, false) => self.tally.abandoned += 1,
        }
        self.vacate(at);
    }

    /// The conversation was never opened.
    pub(super) fn turned_away(&mut self, at: usize, now: Instant) {
        let visit = &mut self.visits[at];
        visit.ended = true;
        let (link, visitor) = (visit.link, visit.visitor);
        if matches!(self.scenario.arrivals, Arrivals::Closed { .. }) {
            self.timers.add(now + STAYS_AWAY, Timer::Begin { link, visitor });
        }
    }

    /// Frees the place of somebody who is done, and lets the next one in.
    pub(super) fn vacate(&mut self, at: usize) {
        let visit = &mut self.visits[at];
        if visit.vacant || !visit.ended || visit.unanswered > 0 {
            return;
        }
        visit.vacant = true;
        let (link, visitor, id, came) = (visit.link, visit.visitor, visit.id, visit.acknowledged);
        self.visit_of.remove(&id);
        self.vacant.push(at);
        self.present -= 1;
        let returning = self.scenario.visitors.returning;
        if !returning {
            let gone = What::Announce { visitor, present: false };
            self.links[link].ask(Ask::plain(gone));
        }
        if came && self.coming && matches!(self.scenario.arrivals, Arrivals::Closed { .. }) {
            let visitor = if returning { visitor } else { self.new_visitor() };
            let now = self.last_news;
            self.begin(link, visitor, now, now);
        }
    }
}
