//! The visitors and agents of a run: one machine that is fed frames and timers and says what to send. No I/O.
//!
//! Start reading at [`Floor`]; what comes in from the daemon is `frames.rs`, what visitors do `visitors.rs`, what agents
//! do `team.rs`.

mod frames;
mod team;
mod timers;
mod visitors;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::OnceLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use foldhash::fast::RandomState;
use maitred::{
    ids::{AgentId, Channel, ClientId, ConversationId, GroupId, VisitorId},
    protocol::{Encoding, words::Presence},
};
use rand::{Rng, SeedableRng, rngs::StdRng};

pub(crate) use self::timers::Timer;
use self::{team::Member, timers::Timers, visitors::Visit};
use crate::{
    audit::Audit,
    link::{Ask, Link, VisitRef, What},
    scenario::{Arrivals, Disturbance, Moment, Scenario},
    tally::Tally,
};

/// An agent as the daemon knows them.
#[derive(Clone, Debug)]
pub(crate) struct Colleague {
    pub(crate) id: AgentId,
    pub(crate) cap: u16,
    pub(crate) groups: Vec<GroupId>,
}

/// Everybody who plays a part, and what they are about to do.
pub(crate) struct Floor {
    pub(crate) links: Vec<Link>,
    pub(crate) audit: Audit,
    pub(crate) tally: Tally,
    scenario: Scenario,
    members: Vec<Member>,
    member_of: HashMap<AgentId, usize, RandomState>,
    visits: Vec<Visit>,
    vacant: Vec<usize>,
    visit_of: HashMap<ConversationId, usize, RandomState>,
    timers: Timers,
    rng: StdRng,
    /// Whether visitors still come.
    coming: bool,
    /// Whether agents answer offers; not before a restart that waits for offers to stand.
    answering: bool,
    /// When an arrival of the open loop is due next; its own schedule, whatever the daemon does.
    next_arrival: Option<Instant>,
    began: Instant,
    clock: DaemonClock,
    pinged: Option<Instant>,
    next_serial: u32,
    present: usize,
    last_news: Instant,
}

/// What the daemon's clock shows, from the quickest answer to a ping.
#[derive(Clone, Copy, Debug)]
struct DaemonClock {
    at: Instant,
    micros: u64,
    round_trip: Duration,
}

impl DaemonClock {
    /// Microseconds since 1970 by the daemon's clock.
    fn micros(&self, at: Instant) -> i128 {
        let ahead = at.saturating_duration_since(self.at).as_micros();
        let behind = self.at.saturating_duration_since(at).as_micros();
        i128::from(self.micros) + i128::try_from(ahead).unwrap_or_default()
            - i128::try_from(behind).unwrap_or_default()
    }
}

/// How many conversations stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) offered: usize,
    pub(crate) waiting: usize,
}

/// The channel of all conversations.
pub(crate) fn channel() -> Channel {
    static CHANNEL: OnceLock<Channel> = OnceLock::new();
    CHANNEL.get_or_init(|| "web".parse().expect("a constant that is a name")).clone()
}

impl Floor {
    /// Nobody has come yet, and the agents are not there.
    pub(crate) fn new(scenario: &Scenario, colleagues: &[Colleague], encoding: Encoding, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let now = Instant::now();
        let links = (0..scenario.connections)
            .map(|_| Link::new(ClientId::from_bytes(*fresh_id(&mut rng).bytes()), encoding))
            .collect();
        let mut audit = Audit::default();
        for colleague in colleagues {
            audit.agent(colleague.id, colleague.cap);
        }
        let members: Vec<_> = colleagues
            .iter()
            .enumerate()
            .map(|(at, colleague)| Member::new(colleague, at % scenario.connections))
            .collect();
        let member_of = members.iter().enumerate().map(|(at, member)| (member.id, at)).collect();
        Self {
            links,
            audit,
            tally: Tally::default(),
            scenario: scenario.clone(),
            members,
            member_of,
            visits: Vec::new(),
            vacant: Vec::new(),
            visit_of: HashMap::default(),
            timers: Timers::default(),
            rng,
            coming: false,
            answering: !waits_for_offers(scenario),
            next_arrival: None,
            began: now,
            clock: DaemonClock { at: now, micros: 0, round_trip: Duration::MAX },
            pinged: None,
            next_serial: 0,
            present: 0,
            last_news: now,
        }
    }

    /// Visitors begin to come.
    pub(crate) fn open_doors(&mut self, now: Instant) {
        self.coming = true;
        self.began = now;
        self.last_news = now;
        match self.scenario.arrivals {
            Arrivals::Closed { in_flight } => {
                for link in 0..self.links.len() {
                    for _ in 0..in_flight {
                        let visitor = self.new_visitor();
                        self.begin(link, visitor, now, now);
                    }
                }
            }
            Arrivals::Open { .. } => {
                self.next_arrival = Some(now);
                self.timers.add(now, Timer::Arrive);
            }
            Arrivals::Once { crowd } => {
                for at in 0..crowd {
                    let visitor = self.new_visitor();
                    self.begin(at % self.links.len(), visitor, now, now);
                }
            }
        }
        if let Some(Disturbance::Flap { every, .. }) = self.scenario.disturbance {
            self.timers.add(now + every.0, Timer::Flap);
        }
        if let Some(every) = self.scenario.team.looks_every {
            for member in 0..self.members.len() {
                // Not all at once.
                let first = every.0.mul_f64(self.rng.random());
                self.timers.add(now + first, Timer::Look { member, time: 0 });
            }
        }
    }

    /// Nobody new comes; who is there stays until they are done. Those who were told to come again do not.
    pub(crate) fn close_doors(&mut self) {
        self.coming = false;
        let now = Instant::now();
        for (due, ask, key) in self.timers.take_openings() {
            match ask.visit.and_then(|reference| self.visit(reference)) {
                // They may be in already, and have not heard of it.
                Some(at) if self.visits[at].missed_opening.is_some() => {
                    let link = self.visits[at].link;
                    self.timers.add(due, Timer::Retry { link, ask, key });
                }
                _ => self.stays_away(&ask, now),
            }
        }
    }

    /// A visitor who was told to come again does not.
    fn stays_away(&mut self, ask: &Ask, now: Instant) {
        self.audit.answered(ask.conversation);
        if let Some(at) = ask.visit.and_then(|reference| self.visit(reference)) {
            self.turned_away(at, now);
            self.visits[at].unanswered = self.visits[at].unanswered.saturating_sub(1);
            self.vacate(at);
        }
    }

    /// Whether nobody is there any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.present == 0
    }

    /// How long nothing has come from the daemon about any conversation.
    pub(crate) fn quiet_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last_news)
    }

    /// How many agents can't be reached.
    pub(crate) fn agents_away(&self) -> usize {
        self.members.iter().filter(|member| member.away).count()
    }

    /// Requests that wait for their answer, or to be sent.
    pub(crate) fn in_flight(&self) -> usize {
        self.links.iter().map(Link::unanswered).sum()
    }

    /// The agents' day is over.
    pub(crate) fn agents_go_offline(&mut self) {
        for member in &self.members {
            self.links[member.link].ask(Ask::plain(What::Presence(member.id, Presence::Offline)));
        }
    }

    /// How many conversations stand where.
    pub(crate) fn standing(&self) -> Standing {
        let mut standing = Standing::default();
        for visit in self.visits.iter().filter(|visit| visit.acknowledged && !visit.ended) {
            match (visit.offer, visit.owner) {
                (Some(_), _) => standing.offered += 1,
                (None, None) => standing.waiting += 1,
                (None, Some(_)) => {}
            }
        }
        standing
    }

    /// From now on agents answer what they are offered.
    pub(crate) fn answer_offers(&mut self) {
        self.answering = true;
    }

    /// Does what is due; to be called every millisecond or so.
    pub(crate) fn fire(&mut self, now: Instant) {
        while let Some(timer) = self.timers.due(now) {
            match timer {
                Timer::Arrive => self.arrivals(now),
                Timer::Begin { link, visitor } if self.coming => self.begin(link, visitor, now, now),
                Timer::Begin { .. } => {}
                Timer::Answer { visit, member, offer, accept } => self.answer(visit, member, offer, accept),
                Timer::Speak(visit) => self.speak(visit, now),
                Timer::Close(visit) => self.agent_closes(visit),
                Timer::GiveUp(visit) => self.give_up(visit),
                Timer::Leave(visit) => self.visitor_closes(visit),
                Timer::Retry { link, ask, key } => self.links[link].ask_again(ask, key),
                Timer::Look { member, time } => self.looks(member, time, now),
                Timer::Flap => self.flap(now),
                Timer::Return { member } => self.come_back(member),
            }
        }
        self.audit.tidy(now);
        while self.coming && now.duration_since(self.began).as_secs() > self.tally.seconds.len() as u64 {
            self.tally.second();
        }
    }

    /// A connection is there: what has to be said first on it.
    pub(crate) fn connected(&mut self, link: usize, limit: usize, again: bool) {
        let mut first = Vec::new();
        for member in self.members.iter_mut().filter(|member| member.link == link) {
            first.push(Ask::plain(What::Attach(member.id)));
            if !again {
                first.push(Ask::plain(What::Presence(member.id, Presence::Online)));
            }
        }
        for at in 0..self.visits.len() {
            let visit = &self.visits[at];
            if visit.link != link || visit.vacant || visit.ended {
                continue;
            }
            let (visitor, after) = (visit.visitor, visit.visitor_seq);
            let reference = Some(VisitRef { at, serial: visit.serial });
            let about = |what| Ask { visit: reference, conversation: visit.id, what };
            if visit.acknowledged {
                if !visit.gone {
                    first.push(about(What::Announce { visitor, present: true }));
                }
                first.push(about(What::Subscribe { after }));
                self.awaits(at);
            }
        }
        self.links[link].welcomed(limit, first);
    }

    /// A connection is gone.
    pub(crate) fn disconnected(&mut self, link: usize) {
        let openings = self.links[link].lost();
        for member in self.members.iter_mut().filter(|member| member.link == link) {
            member.away = true;
            (member.lists, member.awaited) = Default::default();
            self.audit.session_lost(member.id);
        }
        for visit in self.visits.iter_mut().filter(|visit| visit.link == link && !visit.vacant) {
            self.audit.visitor_resumes(visit.id);
        }
        for reference in openings {
            if let Some(at) = self.visit(reference) {
                let visit = &mut self.visits[at];
                visit.missed_opening.get_or_insert(visit.visitor_seq);
            }
        }
    }

    /// Asks the daemon for its time, once per link.
    pub(crate) fn ping(&mut self, now: Instant) {
        self.pinged = Some(now);
        for link in &mut self.links {
            link.ask(Ask::plain(What::Ping));
        }
    }

    /// Sends a request about a conversation.
    fn ask(&mut self, link: usize, at: usize, what: What) {
        let reference = self.reference(at);
        let ask = Ask { visit: Some(reference), conversation: self.visits[at].id, what };
        if ask.is_awaited() {
            self.awaits(at);
        }
        self.links[link].ask(ask);
    }

    /// The visit is not over before one more answer has come.
    fn awaits(&mut self, at: usize) {
        let visit = &mut self.visits[at];
        visit.unanswered += 1;
        self.audit.asked(visit.id);
    }

    /// The visit, if it is still the one that was meant.
    fn visit(&self, reference: VisitRef) -> Option<usize> {
        let visit = self.visits.get(reference.at)?;
        (visit.serial == reference.serial && !visit.vacant).then_some(reference.at)
    }

    fn reference(&self, at: usize) -> VisitRef {
        VisitRef { at, serial: self.visits[at].serial }
    }

    fn new_visitor(&mut self) -> VisitorId {
        VisitorId::from_bytes(*fresh_id(&mut self.rng).bytes())
    }

    fn chance(&mut self, part: f64) -> bool {
        part > 0.0 && self.rng.random_bool(part)
    }
}

/// Whether agents answer only after a restart.
fn waits_for_offers(scenario: &Scenario) -> bool {
    let standing = |when| matches!(when, Moment::Standing { .. });
    matches!(scenario.disturbance, Some(Disturbance::Restart { when, .. }) if standing(when))
}

/// A new UUID version 7: the time in milliseconds, the rest by chance.
fn fresh_id(rng: &mut StdRng) -> ConversationId {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let mut bytes: [u8; 16] = rng.random();
    bytes[..6].copy_from_slice(&millis.to_be_bytes()[10..]);
    bytes[6] = 0x70 | bytes[6] & 0x0f;
    bytes[8] = 0x80 | bytes[8] & 0x3f;
    ConversationId::from_bytes(bytes)
}
