//! Everything that was seen of one conversation, until it is judged.

use maitred::{
    ids::{AgentId, ConversationId},
    protocol::{
        notice::{StaffChange, StaffEntry, VisitorChange, VisitorEntry},
        words::AssignCause,
    },
};

use super::{
    Broken, Found,
    feed::{Feed, Heard, State},
    token,
};

/// One conversation.
#[derive(Debug)]
pub(super) struct Record {
    about: ConversationId,
    /// Commands that were sent and not answered.
    pub(super) unanswered: u32,
    /// Complete, and waiting whether more comes.
    pub(super) cooling: bool,
    /// The visitor's number that the acknowledged opening named.
    opened: Option<u64>,
    visitor: Feed,
    staff: Vec<(AgentId, Feed)>,
    /// Messages that were acknowledged: the visitor's number, and which.
    acknowledged: Vec<(u64, u32)>,
    /// Who owned it from which staff number on.
    turns: Vec<(u64, Turn)>,
    /// Whose accept of which offer was acknowledged.
    claims: Vec<(u32, AgentId)>,
    /// The visitor was told of a fallback, and of no line since.
    fell_back: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Somebody who took it from a line, where nobody owned it.
    FromLine(AgentId),
    /// Somebody to whom it was given, maybe by the owner.
    Given(AgentId),
    /// Nobody.
    Nobody,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            about: ConversationId::from_bytes([0; 16]),
            unanswered: 0,
            cooling: false,
            opened: None,
            visitor: Feed::from_the_start(),
            staff: Vec::new(),
            acknowledged: Vec::new(),
            turns: Vec::new(),
            claims: Vec::new(),
            fell_back: false,
        }
    }
}

impl Record {
    pub(super) fn about(mut self, conversation: ConversationId) -> Self {
        self.about = conversation;
        self
    }

    /// Empties it, to be used again.
    pub(super) fn clear(&mut self) {
        self.unanswered = 0;
        self.cooling = false;
        self.opened = None;
        self.visitor.clear();
        self.visitor.set(State::Open);
        self.staff.clear();
        self.acknowledged.clear();
        self.turns.clear();
        self.claims.clear();
        self.fell_back = false;
    }

    pub(super) fn acknowledge_opening(&mut self, visitor_seq: u64) {
        self.opened = Some(self.opened.unwrap_or_default().max(visitor_seq));
    }

    pub(super) fn acknowledge_message(&mut self, visitor_seq: u64, token: u32) {
        self.acknowledged.push((visitor_seq, token));
    }

    /// Two agents who were both told that they got the same offer.
    pub(super) fn claim(&mut self, found: &mut Found, agent: AgentId, offer: u32) {
        let other = self.claims.iter().find(|(claimed, who)| *claimed == offer && *who != agent);
        if let Some((_, other)) = other {
            let about = self.about;
            found.broken(Broken::Owner, || {
                format!("conversation {about}: {other} and {agent} both accepted offer {offer}")
            });
        }
        self.claims.push((offer, agent));
    }

    pub(super) fn visitor_sees(&mut self, found: &mut Found, entry: &VisitorEntry) {
        let message = match &entry.change {
            VisitorChange::Said { body, .. } => token(self.about, body),
            _ => None,
        };
        let (number, about) = (entry.visitor_seq, self.about);
        let known = self.visitor.get(number).is_some();
        let heard = Heard { number, visitor_number: number, token: message.unwrap_or_default() };
        self.visitor.take(found, heard, || format!("visitor's events of {about}"));
        match entry.change {
            VisitorChange::Closed { .. } => self.visitor.set(State::Ended),
            VisitorChange::Queued { .. } | VisitorChange::AgentJoined { .. } => self.fell_back = false,
            VisitorChange::Fallback { .. } if !known => {
                if self.fell_back {
                    found.broken(Broken::Duplicate, || {
                        format!("conversation {about} fell back twice in a stay")
                    });
                }
                self.fell_back = true;
            }
            _ => {}
        }
    }

    pub(super) fn staff_sees(&mut self, found: &mut Found, agent: AgentId, entry: &StaffEntry) {
        let message = match &entry.event {
            StaffChange::Said { body } => token(self.about, body),
            _ => None,
        };
        let about = self.about;
        let feed = self.feed_of(agent);
        let heard = Heard {
            number: entry.seq,
            visitor_number: entry.visitor_seq.unwrap_or_default(),
            token: message.unwrap_or_default(),
        };
        feed.take(found, heard, || format!("agent {agent}'s events of {about}"));
        match &entry.event {
            StaffChange::Closed { .. } => feed.set(State::Ended),
            StaffChange::Queued { .. } => feed.set(State::Away),
            StaffChange::Assigned { agent: who, .. } if *who != agent => feed.set(State::Away),
            StaffChange::Left { agent: who } if *who == agent => feed.set(State::Away),
            _ => {}
        }
        self.turn(entry);
    }

    fn turn(&mut self, entry: &StaffEntry) {
        let turn = match &entry.event {
            StaffChange::Assigned { agent, cause } => match cause {
                AssignCause::Accepted | AssignCause::Taken | AssignCause::Strategy => Turn::FromLine(*agent),
                AssignCause::Assigned
                | AssignCause::Handover
                | AssignCause::Forced
                | AssignCause::Started
                | AssignCause::Workflow => Turn::Given(*agent),
            },
            StaffChange::Queued { .. } | StaffChange::FellBack { .. } | StaffChange::Closed { .. } => {
                Turn::Nobody
            }
            _ => return,
        };
        if !self.turns.contains(&(entry.seq, turn)) {
            self.turns.push((entry.seq, turn));
        }
    }

    /// The agent's session is gone; they may miss some of it, and read it again.
    pub(super) fn staff_away(&mut self, agent: AgentId) {
        if let Some((_, feed)) = self.staff.iter_mut().find(|(who, _)| *who == agent) {
            if feed.state() == State::Open {
                feed.set(State::Away);
            }
            feed.resume();
        }
    }

    /// The agent reads what was before; it may be what they saw.
    pub(super) fn staff_reads(&mut self, agent: AgentId) {
        self.feed_of(agent).resume();
    }

    fn feed_of(&mut self, agent: AgentId) -> &mut Feed {
        let at = self.staff.iter().position(|(who, _)| *who == agent).unwrap_or_else(|| {
            self.staff.push((agent, Feed::default()));
            self.staff.len() - 1
        });
        &mut self.staff[at].1
    }

    pub(super) fn visitor_resumes(&mut self) {
        self.visitor.fill();
    }

    /// The visitor's last number.
    pub(super) fn visitors_last(&self) -> u64 {
        self.visitor.last().map_or(0, |last| last.number)
    }

    /// Whether everybody has seen the end, and every command was answered.
    pub(super) fn is_complete(&self) -> bool {
        self.unanswered == 0
            && self.visitor.state() == State::Ended
            && self.staff.iter().all(|(_, feed)| matches!(feed.state(), State::Ended | State::Away))
    }

    /// Nothing more is to come: counts what is wrong.
    pub(super) fn judge(&self, found: &mut Found) {
        let about = self.about;
        let seen = self.visitors_last();
        if let Some(opened) = self.opened {
            if seen < opened.max(1) {
                found.broken(Broken::Lost, || format!("conversation {about}: acknowledged, never seen"));
            } else if self.visitor.state() != State::Ended {
                found.broken(Broken::Lost, || format!("conversation {about}: not ended, {seen} events seen"));
            }
        }
        for _ in 0..self.visitor.holes() {
            found.broken(Broken::Gap, || format!("visitor's events of {about} have holes to the end"));
        }
        for (number, token) in &self.acknowledged {
            match self.visitor.get(*number) {
                None => found.broken(Broken::Lost, || {
                    format!("conversation {about}: message {token}, acknowledged as {number}, never seen")
                }),
                Some(heard) if heard.token != *token => found.broken(Broken::Gap, || {
                    format!(
                        "conversation {about}: {number} was acknowledged as message {token} and is {heard:?}"
                    )
                }),
                Some(_) => {}
            }
        }
        for (agent, feed) in &self.staff {
            self.judge_staff(found, *agent, feed);
        }
        self.judge_turns(found);
    }

    /// What an agent saw has to agree with what the visitor saw, up to the end.
    fn judge_staff(&self, found: &mut Found, agent: AgentId, feed: &Feed) {
        let about = self.about;
        for heard in feed.iter().filter(|heard| heard.visitor_number > 0) {
            if let Some(visitors) = self.visitor.get(heard.visitor_number)
                && visitors.token != heard.token
            {
                found.broken(Broken::Gap, || {
                    format!("conversation {about}: {agent} saw {heard:?}, the visitor {visitors:?}")
                });
            }
        }
        if feed.state() == State::Open && self.visitor.state() == State::Ended {
            let last = feed.last().map_or(0, |last| last.number);
            found.broken(Broken::Gap, || format!("agent {agent}'s events of {about} stop at {last}"));
        }
    }

    /// Somebody took it from a line while another had it: certain only if all events in between were seen.
    fn judge_turns(&self, found: &mut Found) {
        if self.turns.len() < 2 {
            return;
        }
        let mut turns = self.turns.clone();
        turns.sort_by_key(|(seq, _)| *seq);
        let mut owner: Option<(u64, AgentId)> = None;
        for (seq, turn) in turns {
            if let (Some((since, had)), Turn::FromLine(got) | Turn::Given(got)) = (owner, turn) {
                let taken = matches!(turn, Turn::FromLine(_)) || seq == since;
                if taken && had != got && (since + 1..seq).all(|number| self.somebody_saw(number)) {
                    let about = self.about;
                    found.broken(Broken::Owner, || {
                        format!("conversation {about}: {had} since {since}, and {got} since {seq}")
                    });
                }
            }
            owner = match turn {
                Turn::FromLine(agent) | Turn::Given(agent) => Some((seq, agent)),
                Turn::Nobody => None,
            };
        }
    }

    fn somebody_saw(&self, number: u64) -> bool {
        self.staff.iter().any(|(_, feed)| feed.get(number).is_some())
    }
}
