//! What comes from the daemon: replies to what was asked, and notices.

use std::time::{Duration, Instant};

use maitred::protocol::{
    DecodeError, Encoding, Frame, NOTICE_BITS, Notice, Reply,
    notice::{StaffChange, StaffEntry, StaffEvent, VisitorChange, VisitorEvent, VisitorSide},
    reply::Refused,
    words::{Actor, OfferOutcome},
};

use super::{DaemonClock, Floor, Timer};
use crate::{
    audit,
    link::{Asked, What},
};

impl Floor {
    /// Takes one frame in.
    ///
    /// # Errors
    /// It can't be read.
    pub(crate) fn take_in(
        &mut self,
        link: usize,
        encoding: Encoding,
        frame: Frame<'_>,
        now: Instant,
    ) -> Result<(), DecodeError> {
        if frame.kind & NOTICE_BITS == NOTICE_BITS {
            match Notice::decode(encoding, frame.kind, frame.body) {
                Ok(notice) => self.notice(&notice, now),
                Err(DecodeError::UnknownKind(_)) => {}
                Err(error) => return Err(error),
            }
        } else {
            let reply = Reply::decode(encoding, frame.kind, frame.body)?;
            self.reply(link, frame.number, &reply, now);
        }
        Ok(())
    }

    fn notice(&mut self, notice: &Notice, now: Instant) {
        self.audit.noticed(notice);
        self.last_news = now;
        match notice {
            Notice::OfferMade(made) => self.offer_made(made, now),
            Notice::OfferEnded(ended) => self.offer_ended(ended, now),
            Notice::StaffEvent(event) => self.staff_event(event, now),
            Notice::VisitorEvent(event) => self.visitor_event(event, now),
            Notice::AgentItems(items) => self.finds(items, now),
            Notice::ListItems(items) => self.list_begins(items, now),
            Notice::ListChanged(news) => self.list_changes(news),
            _ => {}
        }
    }

    fn staff_event(&mut self, event: &StaffEvent, now: Instant) {
        let member = event.agent.and_then(|agent| self.member_of.get(&agent)).copied();
        let at = self.visit_of.get(&event.conversation).copied();
        if let (Some(member), Some(at)) = (member, at) {
            self.staff_entry(at, member, &event.entry, now);
        }
    }

    fn staff_entry(&mut self, at: usize, member: usize, entry: &StaffEntry, now: Instant) {
        let visit = &mut self.visits[at];
        visit.staff_seq = visit.staff_seq.max(entry.seq);
        let mine = visit.owner == Some(member);
        let me = self.members[member].id;
        match &entry.event {
            StaffChange::Assigned { agent, .. } if *agent == me => self.assigned(at, member, now),
            StaffChange::Said { body } if matches!(entry.by, Actor::Visitor(_)) => {
                self.hear(at, body, now);
            }
            StaffChange::HandoverEnded { outcome, .. } if *outcome != OfferOutcome::Accepted => {
                visit.passing = false;
                self.turn(at, now);
            }
            StaffChange::Queued { .. } if mine => visit.owner = None,
            StaffChange::Left { agent } if mine && *agent == me => visit.owner = None,
            _ => {}
        }
    }

    fn visitor_event(&mut self, event: &VisitorEvent, now: Instant) {
        let Some(at) = self.visit_of.get(&event.conversation).copied() else { return };
        let visit = &mut self.visits[at];
        visit.visitor_seq = visit.visitor_seq.max(event.entry.visitor_seq);
        match &event.entry.change {
            VisitorChange::AgentJoined { .. } => {
                visit.joined = true;
                self.returns(at);
                self.turn(at, now);
            }
            VisitorChange::Queued { .. } => visit.joined = false,
            VisitorChange::Said { from: VisitorSide::Agent { .. }, body } => self.hear(at, body, now),
            VisitorChange::Fallback { .. } if !visit.fell_back => {
                visit.fell_back = true;
                self.tally.fallback += 1;
                let delay = self.scenario.visitors.visitor_writes.draw(&mut self.rng);
                let leave = Timer::Leave(self.reference(at));
                self.timers.add(now + delay, leave);
            }
            VisitorChange::Closed { .. } => self.over(at),
            _ => {}
        }
    }

    /// The other side has a message before them.
    fn hear(&mut self, at: usize, body: &str, now: Instant) {
        let visit = &mut self.visits[at];
        let Some(number) = audit::number_of(visit.id, body).filter(|number| *number > visit.heard) else {
            return;
        };
        visit.heard = number;
        self.tally.message_latency.add(now.saturating_duration_since(visit.spoke_at));
        self.turn(at, now);
    }

    fn reply(&mut self, link: usize, number: u32, reply: &Reply, now: Instant) {
        let Some(asked) = self.links[link].answered(number) else { return };
        self.last_news = now;
        let visit = asked.ask.visit.and_then(|reference| self.visit(reference));
        let again = match (reply, &asked.ask.what) {
            (Reply::Refused(refused), _) => self.refused(link, &asked, visit, refused, now),
            (Reply::Opened(opened), What::Open(_)) => {
                self.audit.opened(opened);
                if opened.conversation == asked.ask.conversation {
                    self.tally.opened += 1;
                    if let Some(at) = visit {
                        self.visits[at].acknowledged = true;
                        self.catch_up(link, at);
                    }
                } else if let Some(at) = visit {
                    // The visitor has another one open: this one never was.
                    self.turned_away(at, now);
                }
                false
            }
            (Reply::Recorded(recorded), What::Say { number, bytes, .. }) => {
                let mut body = String::new();
                audit::body_of(asked.ask.conversation, *number, *bytes, &mut body);
                self.audit.said(recorded, &body);
                false
            }
            (Reply::Recorded(_), What::Accept { agent, offer }) => {
                self.audit.accepted(asked.ask.conversation, *agent, *offer);
                false
            }
            (Reply::StaffHistory(_), What::Look { at, .. }) => {
                self.tally.look_latency.add(now.saturating_duration_since(*at));
                false
            }
            (Reply::StaffHistory(history), What::History { agent, .. }) => {
                self.audit.history(*agent, asked.ask.conversation, &history.events);
                let member = self.member_of.get(agent).copied();
                if let (Some(member), Some(at)) = (member, visit) {
                    for entry in &history.events {
                        self.staff_entry(at, member, entry, now);
                    }
                    self.turn(at, now);
                }
                false
            }
            (Reply::Done(_), What::Detach(agent)) => {
                self.audit.session_lost(*agent);
                false
            }
            (Reply::Pong(pong), What::Ping) => {
                self.set_clock(pong.now.micros(), now);
                false
            }
            _ => false,
        };
        if asked.ask.is_awaited() && !again {
            self.audit.answered(asked.ask.conversation);
            if let Some(at) = visit {
                self.visits[at].unanswered = self.visits[at].unanswered.saturating_sub(1);
                self.vacate(at);
            }
        }
    }

    /// The daemon said no; whether the same is asked again later.
    fn refused(
        &mut self,
        link: usize,
        asked: &Asked,
        visit: Option<usize>,
        refused: &Refused,
        now: Instant,
    ) -> bool {
        self.tally.refuse(refused.code);
        let wait = refused.retry_after_ms.map(Duration::from_millis);
        if let Some(wait) = wait.filter(|_| self.is_wanted_still(asked, visit)) {
            let (ask, key) = (asked.ask.clone(), asked.key);
            self.timers.add(now + wait, Timer::Retry { link, ask, key });
            return true;
        }
        let Some(at) = visit else { return false };
        match &asked.ask.what {
            What::Open(_) => self.turned_away(at, now),
            What::Transfer { .. } => {
                self.visits[at].passing = false;
                self.turn(at, now);
            }
            _ => {}
        }
        false
    }

    /// Whether what was turned away is worth asking again.
    fn is_wanted_still(&self, asked: &Asked, visit: Option<usize>) -> bool {
        let Some(visit) = visit.map(|at| &self.visits[at]) else { return true };
        match asked.ask.what {
            // Whoever may be in already wants to know, even if it is over.
            What::Open(_) => visit.missed_opening.is_some() || self.coming && !visit.ended,
            What::Subscribe { .. } => true,
            _ => !visit.ended,
        }
    }

    fn set_clock(&mut self, micros: u64, now: Instant) {
        let asked = self.pinged.unwrap_or(now);
        let round_trip = now.saturating_duration_since(asked);
        if round_trip < self.clock.round_trip {
            self.clock = DaemonClock { at: asked + round_trip / 2, micros, round_trip };
        }
    }
}
