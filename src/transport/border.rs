//! The border post: what a connection may ask, for whom, how often; handed over to the workspace in one batch per wake-up.

use std::{
    cell::RefCell,
    collections::HashSet,
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use foldhash::fast::RandomState;
use smol_str::SmolStr;
use tokio::task::AbortHandle;

use super::{
    Asked, Border, Carrier, Flow, Outbox, Peer, Who, deliveries,
    geo::Geo,
    orders::{Asker, Work, variables},
    paces::{Bucket, Deed, Paces},
    translate,
};
use crate::{
    actors::{
        gate::{self, Gate, Inbound},
        port::{Answer, Notice, Port},
        tokens::NoGood,
    },
    clock::{Clock, Timestamp},
    ids::{AgentId, ClientId},
    notify,
    protocol::{
        self, Request, Text, frame::MAX_BODY, refusal::RefusalCode, reply, request::Hello,
        words::GoAwayReason,
    },
    routing::{By, Key, workspace::Grants},
};

/// When to ask again after a bound on requests in flight was reached.
const OVERLOADED: Duration = Duration::from_millis(100);

/// The same for somebody who would open a conversation: what takes so long takes longer than that.
const NEWCOMERS: Duration = Duration::from_secs(1);

/// The address of a visitor who has a connection of their own.
fn own_address(grants: Grants, carrier: Carrier) -> Option<IpAddr> {
    match (grants, carrier) {
        (Grants::Visitor(_), Carrier::Quic(address)) => Some(address.ip()),
        _ => None,
    }
}

/// How often one may ask (design §5).
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// Messages of a visitor: per second, at once.
    pub visitor: (f64, f64),
    /// Openings of a visitor: so many, within this time.
    pub openings: (f64, Duration),
    /// Commands of an agent on their own connection: per second, at once.
    pub agent: (f64, f64),
    /// Requests in flight on one connection, for `Welcome`.
    pub in_flight: u32,
    /// Bytes in the body of a message or note.
    pub message_body: u32,
}

/// What there is room for on the disk: everything that is acknowledged has to be written there first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Whatever comes.
    Enough,
    /// What is under way, but no new conversations.
    NothingNew,
    /// Closing, leaving, declining and going away, and nothing else that is written down.
    Endings,
}

impl Room {
    fn has(self, order: &gate::Order) -> bool {
        match self {
            Self::Enough => true,
            Self::NothingNew => !matches!(order, gate::Order::Open(_) | gate::Order::Start(..)),
            Self::Endings => order.ends(),
        }
    }
}

/// When to ask again while the disk is full: space is looked for every second.
const FULL: Duration = Duration::from_secs(5);

/// What the border asks of the daemon as a whole.
pub trait House: Send + Sync {
    /// Takes the configuration over again.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    fn reload(&self) -> Result<(), String>;
    /// The configuration, with everything filled in, as TOML: all of it, or what concerns the workspace of this number alone.
    fn configuration(&self, space: Option<u32>) -> String;
    /// Copies all that is durable into a directory, and calls back, on another thread, when that is done or has failed.
    fn back_up(&self, directory: PathBuf, done: Box<dyn FnOnce(Result<(), String>) + Send>);
    /// Asks something of those who tell things outside; it is answered on another thread.
    fn deliveries(&self, order: notify::Order);
    /// Begins to drain.
    fn drain(&self);
    /// Whether it drains: nothing new is taken in.
    fn is_draining(&self) -> bool;
    /// What the disk has room for.
    fn room(&self) -> Room;
    /// Where visitors are, by their addresses.
    fn geo(&self) -> &Geo;
}

/// The border post of one arbiter.
#[derive(Clone)]
pub struct Post {
    gate: Gate,
    rates: Rates,
    house: Arc<dyn House>,
    visitors: Arc<Paces>,
}

/// What is known of one connection.
pub struct Session {
    outbox: Arc<Outbox>,
    peer: Peer,
    state: State,
}

enum State {
    Strange,
    Known(Box<Known>),
}

struct Known {
    space: u32,
    grants: Grants,
    client: ClientId,
    expires: Option<Timestamp>,
    attached: HashSet<AgentId, RandomState>,
    commands: Bucket,
    /// Ends the connection when its token does.
    expiry: Option<AbortHandle>,
}

/// The connection's ear for the actors.
struct Ear {
    outbox: Arc<Outbox>,
    clock: Clock,
    visitor: bool,
    /// The highest kind of notice that the client knows.
    highest_kind: u16,
    /// Rows of lists that are on their way, and not in the outbox yet.
    promised: AtomicUsize,
}

impl Port for Ear {
    fn answer(&self, request: u32, answer: Answer) {
        self.outbox.push_reply(request, &translate::answer(answer, self.visitor));
    }

    fn notify(&self, notice: &Notice) {
        if let Notice::ListItems { rows, .. } | Notice::ListChanged { rows, .. } = notice {
            self.promised.fetch_sub(rows.len(), Ordering::Relaxed);
        }
        translate::notice(
            notice,
            || self.clock.now(),
            |notice, class| {
                if notice.kind() <= self.highest_kind {
                    self.outbox.push_notice(&notice, class);
                }
            },
        );
    }

    fn revoke(&self) {
        self.outbox.close(GoAwayReason::TokenRevoked, None);
    }

    fn promise(&self, rows: usize) {
        self.promised.fetch_add(rows, Ordering::Relaxed);
    }

    fn has_room(&self, rows: usize) -> bool {
        let weight = translate::row_weight(self.outbox.encoding());
        self.outbox.has_room(self.promised.load(Ordering::Relaxed) * weight, rows * weight)
    }
}

impl Post {
    /// The border post of the calling arbiter.
    #[must_use]
    pub fn new(gate: Gate, rates: Rates, house: Arc<dyn House>, visitors: Arc<Paces>) -> Self {
        Self { gate, rates, house, visitors }
    }

    fn now(&self) -> Timestamp {
        self.gate.shared.clock.now()
    }

    // === Hello ===

    fn hello(&self, session: &mut Session, number: u32, hello: &Hello) -> Flow {
        match self.admit(session.peer, hello) {
            Ok((space, grants, token, expires)) => {
                let known = Known {
                    space,
                    grants,
                    client: hello.client,
                    expires,
                    attached: HashSet::default(),
                    commands: Bucket::full(self.rates.agent.1, self.now()),
                    expiry: self.expire(&session.outbox, expires),
                };
                let port = Arc::new(Ear {
                    outbox: Arc::clone(&session.outbox),
                    clock: self.gate.shared.clock.clone(),
                    visitor: matches!(grants, Grants::Visitor(_)),
                    highest_kind: hello.highest_kind,
                    promised: AtomicUsize::new(0),
                });
                session.outbox.push_reply(number, &self.welcome(session.peer.connection, &known));
                let what = gate::Asked::Connected { port, client: hello.client, grants, token };
                self.gate.submit(space, vec![Inbound { connection: session.peer.connection, what }]);
                session.state = State::Known(Box::new(known));
                Flow::Continue
            }
            Err((code, more)) => {
                self.refuse(&session.outbox, number, code, more, None);
                Flow::Close(GoAwayReason::ProtocolError, None)
            }
        }
    }

    #[expect(clippy::type_complexity, reason = "used once, right above")]
    fn admit(
        &self,
        peer: Peer,
        hello: &Hello,
    ) -> Result<(u32, Grants, SmolStr, Option<Timestamp>), (RefusalCode, Option<&'static str>)> {
        if peer.carrier == Carrier::Unix && hello.token.is_empty() {
            let space = match &hello.workspace {
                Some(name) => self.gate.workspace(name),
                None if self.gate.placements.len() == 1 => Some(0),
                None => return Err((RefusalCode::Invalid, Some("say which workspace: there are several"))),
            };
            let space = space.ok_or((RefusalCode::NotFound, Some("there is no such workspace")))?;
            return Ok((space, Grants::Admin, SmolStr::default(), None));
        }
        match self.gate.tokens.admit(&hello.token, self.now()) {
            Ok(admission) => Ok((admission.space, admission.grants, admission.id, admission.expires)),
            Err(NoGood::Expired) => Err((RefusalCode::TokenExpired, None)),
            Err(NoGood::Unknown) => Err((RefusalCode::Unauthenticated, None)),
        }
    }

    fn welcome(&self, connection: u64, known: &Known) -> protocol::Reply {
        let (role, visitor, agent) = translate::role(known.grants);
        let workspace = self.gate.placements.get(known.space as usize).map(|placement| placement.id.clone());
        reply::Welcome {
            connection,
            role,
            workspace,
            agent,
            visitor,
            now: self.now(),
            highest_kind: Request::HIGHEST_KIND,
            version: protocol::Text::clip(env!("CARGO_PKG_VERSION")),
            expires: known.expires,
            limits: reply::Limits {
                in_flight: self.rates.in_flight,
                message_body: self.rates.message_body,
                frame: MAX_BODY as u32,
            },
        }
        .into()
    }

    /// Ends the connection when its token does (design §3.11).
    fn expire(&self, outbox: &Arc<Outbox>, expires: Option<Timestamp>) -> Option<AbortHandle> {
        let expires = expires?;
        let clock = self.gate.shared.clock.clone();
        let outbox = Arc::downgrade(outbox);
        let watch = async move {
            loop {
                let now = clock.now();
                if now >= expires {
                    break;
                }
                if clock.is_manual() {
                    clock.moved_from(now).await;
                } else {
                    tokio::time::sleep(expires.since(now)).await;
                }
            }
            if let Some(outbox) = outbox.upgrade() {
                outbox.close(GoAwayReason::TokenExpired, None);
            }
        };
        Some(tokio::task::spawn_local(watch).abort_handle())
    }

    fn renew(
        &self,
        known: &mut Known,
        outbox: &Arc<Outbox>,
        peer: Peer,
        number: u32,
        token: &str,
    ) -> Option<gate::Asked> {
        let (code, why) = match self.gate.tokens.admit(token, self.now()) {
            Ok(admission) if admission.space == known.space && admission.grants == known.grants => {
                known.expires = admission.expires;
                if let Some(old) = known.expiry.take() {
                    old.abort();
                }
                known.expiry = self.expire(outbox, admission.expires);
                outbox.push_reply(number, &self.welcome(peer.connection, known));
                return Some(gate::Asked::Renewed { token: admission.id });
            }
            Ok(_) => (RefusalCode::Forbidden, Some("the new token is for somebody else")),
            Err(NoGood::Expired) => (RefusalCode::TokenExpired, None),
            Err(NoGood::Unknown) => (RefusalCode::Unauthenticated, None),
        };
        self.refuse(outbox, number, code, why, None);
        None
    }

    // === Requests ===

    /// What is for the workspace goes into the batch; the rest is answered here.
    fn take(&self, session: &mut Session, asked: Asked, batch: &mut Vec<Inbound>) {
        let number = asked.number;
        let connection = session.peer.connection;
        let State::Known(known) = &mut session.state else { return };
        let mut hand_over = |what| batch.push(Inbound { connection, what });
        match asked.request {
            Request::Hello(_) => self.refuse(&session.outbox, number, RefusalCode::HelloRequired, None, None),
            Request::Ping(_) => session.outbox.push_reply(number, &reply::Pong { now: self.now() }.into()),
            Request::Renew(renew) => {
                let renewed = self.renew(known, &session.outbox, session.peer, number, &renew.token);
                renewed.into_iter().for_each(hand_over);
            }
            Request::Attach(attach) if known.grants == Grants::Frontend => {
                known.attached.insert(attach.agent);
                hand_over(gate::Asked::Attach { request: number, agent: attach.agent });
            }
            Request::Detach(detach) if known.grants == Grants::Frontend => {
                known.attached.remove(&detach.agent);
                hand_over(gate::Asked::Detach { request: number, agent: detach.agent });
            }
            Request::Announce(announce)
                if known.grants == Grants::Frontend || known.grants == Grants::Visitor(announce.visitor) =>
            {
                let (visitor, present) = (announce.visitor, announce.present);
                hand_over(gate::Asked::Announce { request: number, visitor, present });
            }
            Request::AnnounceVisit(announce)
                if known.grants == Grants::Frontend || known.grants == Grants::Visitor(announce.visitor) =>
            {
                match self.announce_visit(known, number, &announce) {
                    Ok(what) => hand_over(what),
                    Err((code, more, wait)) => self.refuse(&session.outbox, number, code, more, wait),
                }
            }
            Request::Reload(_) | Request::Drain(_) if known.grants == Grants::Admin => {
                self.housekeeping(&session.outbox, number, &asked.request);
            }
            Request::ShowConfig(show) if known.grants == Grants::Admin => {
                let own = matches!(session.peer.carrier, Carrier::Quic(_)).then_some(known.space);
                let page = config_page(&self.house.configuration(own), show.after);
                session.outbox.push_reply(number, &page.into());
            }
            Request::BackUp(back_up)
                if known.grants == Grants::Admin && matches!(session.peer.carrier, Carrier::Unix) =>
            {
                let outbox = Arc::clone(&session.outbox);
                let answer = move |copied: Result<(), String>| match copied {
                    Ok(()) => outbox.push_reply(number, &reply::Done {}.into()),
                    Err(why) => {
                        outbox.push_reply(number, &translate::no(RefusalCode::Invalid, Some(&why), None));
                    }
                };
                self.house.back_up(PathBuf::from(back_up.directory.as_str()), Box::new(answer));
            }
            request @ (Request::ListDeliveries(_)
            | Request::ShowDelivery(_)
            | Request::RetryDelivery(_)
            | Request::DropDelivery(_))
                if known.grants == Grants::Admin =>
            {
                let Some(placement) = self.gate.placements.get(known.space as usize) else { return };
                let outbox = Arc::clone(&session.outbox);
                let order = deliveries::order(placement.id.clone(), request, move |reply| {
                    outbox.push_reply(number, &reply);
                });
                order.into_iter().for_each(|order| self.house.deliveries(order));
            }
            request => match self.work(known, session.peer, number, request) {
                Ok(what) => hand_over(what),
                Err((code, more, wait)) => self.refuse(&session.outbox, number, code, more, wait),
            },
        }
    }

    /// Visitors announce themselves no faster than they write; a frontend knows how fast its pages turn.
    fn announce_visit(
        &self,
        known: &mut Known,
        number: u32,
        announce: &protocol::request::AnnounceVisit,
    ) -> Result<gate::Asked, (RefusalCode, Option<&'static str>, Option<Duration>)> {
        let own = matches!(known.grants, Grants::Visitor(_));
        if own {
            self.pace(known, By::Visitor(announce.visitor), false, true)
                .map_err(|wait| (RefusalCode::RateLimited, None, Some(wait)))?;
        }
        let mut facts = variables(&announce.variables);
        // What visitors may say of themselves is told elsewhere; where they are is looked up when they ask for somebody.
        let placed = self.house.geo().place(&mut facts, None);
        facts.extend(placed.into_iter().filter(|_| !own));
        let (visitor, widget_open) = (announce.visitor, announce.widget_open);
        Ok(gate::Asked::Visit { request: number, visitor, facts, widget_open })
    }

    fn work(
        &self,
        known: &mut Known,
        peer: Peer,
        number: u32,
        request: Request,
    ) -> Result<gate::Asked, (RefusalCode, Option<&'static str>, Option<Duration>)> {
        let digest = digest(&request);
        let opens = matches!(request, Request::Open(_) | Request::Start(_));
        // Whatever a visitor can have written down as often as they like counts as a message.
        let writes = matches!(request, Request::Say(_) | Request::Post(_) | Request::SetVariables(_));
        if written(&request) > self.rates.message_body as usize {
            let why = "the message is longer than Welcome's message_body";
            return Err((RefusalCode::TooLarge, Some(why), None));
        }
        let attached = &known.attached;
        let asker = Asker {
            grants: known.grants,
            client: known.client,
            attached: &|agent| attached.contains(&agent),
            now: self.now(),
            digest,
            geo: self.house.geo(),
            address: own_address(known.grants, peer.carrier),
        };
        let work = asker.work(request).map_err(|(code, more)| (code, more, None))?;
        match work {
            Work::Order(by, counter, order) => {
                if opens && self.house.is_draining() {
                    return Err((RefusalCode::Draining, None, Some(Duration::from_secs(1))));
                }
                if !self.house.room().has(&order) {
                    let why = "the disk is nearly full: what is open goes on, nothing new is taken";
                    return Err((RefusalCode::Overloaded, Some(why), Some(FULL)));
                }
                self.pace(known, by, opens, writes)
                    .map_err(|wait| (RefusalCode::RateLimited, None, Some(wait)))?;
                let key = counter.map(|counter| Key { client: known.client, counter, digest });
                Ok(gate::Asked::Command { request: number, by, key, order })
            }
            Work::Query(by, query) => Ok(gate::Asked::Query { request: number, by, query }),
        }
    }

    /// The limits of design §5: on a visitor, also behind a frontend, and on an agent's own connection.
    fn pace(&self, known: &mut Known, by: By, opens: bool, writes: bool) -> Result<(), Duration> {
        let now = self.now();
        if matches!(known.grants, Grants::Agent(_)) {
            known.commands.take(self.rates.agent.0, self.rates.agent.1, now)?;
        }
        let By::Visitor(visitor) = by else { return Ok(()) };
        if !opens && !writes {
            return Ok(());
        }
        let deed = if opens { Deed::Open } else { Deed::Write };
        self.visitors.take((known.space, visitor), deed, &self.rates, now)
    }

    fn housekeeping(&self, outbox: &Outbox, number: u32, request: &Request) {
        match request {
            Request::Reload(_) => match self.house.reload() {
                Ok(()) => outbox.push_reply(number, &reply::Done {}.into()),
                Err(why) => outbox.push_reply(number, &translate::no(RefusalCode::Invalid, Some(&why), None)),
            },
            _ => {
                outbox.push_reply(number, &reply::Done {}.into());
                self.house.drain();
            }
        }
    }

    fn refuse(
        &self,
        outbox: &Outbox,
        number: u32,
        code: RefusalCode,
        more: Option<&'static str>,
        wait: Option<Duration>,
    ) {
        self.gate.shared.metrics.routing.refusals.of(code.as_str()).increment(1);
        let wait = wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        outbox.push_reply(number, &translate::no(code, more, wait));
    }
}

/// A page of the configuration. It may change between two pages: who asks reads it as a whole and would notice.
fn config_page(text: &str, after: u32) -> reply::ConfigPage {
    let from = text.ceil_char_boundary(after as usize);
    let page: Text<8_192> = Text::clip(&text[from..]);
    let end = from + page.len();
    reply::ConfigPage { text: page, next: (end < text.len()).then(|| u32::try_from(end).unwrap_or(u32::MAX)) }
}

/// Bytes of what somebody wrote.
fn written(request: &Request) -> usize {
    match request {
        Request::Open(open) => open.message.as_ref().map_or(0, |message| message.len()),
        Request::Say(say) => say.body.len(),
        Request::Note(note) => note.body.len(),
        Request::Post(post) => post.body.len(),
        Request::HandOver(hand_over) => hand_over.note.as_ref().map_or(0, |note| note.len()),
        Request::Start(start) => start.message.len(),
        _ => 0,
    }
}

/// A request hashed, the same for the same words in both encodings and after a restart.
fn digest(request: &Request) -> u32 {
    thread_local! {
        static BYTES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    BYTES.with_borrow_mut(|bytes| {
        bytes.clear();
        // What was decoded is within the limits; should it not encode, all such requests count as the same.
        let _ = request.encode(protocol::Encoding::Bincode, 1, bytes);
        crc32c::crc32c(bytes.get(4..).unwrap_or_default())
    })
}

impl Session {
    /// Counts a request as in flight, if there is room for it, and for a newcomer time.
    ///
    /// # Errors
    /// When to ask again.
    fn begin(&self, gate: &Gate, request: &Request) -> Result<(), Duration> {
        let Request::Open(open) = request else { return self.begin_for_guest() };
        match (self.begin_for_newcomer(gate), &self.state) {
            // Who asks once more because the answer was lost is in, and no newcomer.
            (Err(_), State::Known(known)) if gate.has_conversation(known.space, open.conversation) => {
                self.begin_for_guest()
            }
            (outcome, _) => outcome,
        }
    }

    fn begin_for_guest(&self) -> Result<(), Duration> {
        self.outbox.begin(Who::Guest).map_err(|_| OVERLOADED)
    }

    fn begin_for_newcomer(&self, gate: &Gate) -> Result<(), Duration> {
        if let State::Known(known) = &self.state {
            gate.admit_newcomer(known.space)?;
        }
        self.outbox.begin(Who::Newcomer).map_err(|_| NEWCOMERS)
    }
}

impl Border for Post {
    type Session = Session;

    fn connected(&self, outbox: Arc<Outbox>, peer: Peer) -> Session {
        Session { outbox, peer, state: State::Strange }
    }

    fn receive(&self, session: &mut Session, asked: &mut Vec<Asked>) -> Flow {
        let mut batch = Vec::with_capacity(asked.len());
        for asked in asked.drain(..) {
            if let Err(again) = session.begin(&self.gate, &asked.request) {
                let again = u64::try_from(again.as_millis()).unwrap_or(u64::MAX);
                let overloaded = translate::no(RefusalCode::Overloaded, None, Some(again));
                session.outbox.push_aside(asked.number, &overloaded);
                self.gate.shared.metrics.routing.refusals.of("overloaded").increment(1);
                continue;
            }
            match (&session.state, asked.request) {
                (State::Strange, Request::Hello(hello)) => {
                    let flow = self.hello(session, asked.number, &hello);
                    if flow != Flow::Continue {
                        return flow;
                    }
                }
                (State::Strange, _) => {
                    self.refuse(&session.outbox, asked.number, RefusalCode::HelloRequired, None, None);
                    return Flow::Close(GoAwayReason::ProtocolError, None);
                }
                (State::Known(_), request) => {
                    self.take(session, Asked { number: asked.number, request }, &mut batch);
                }
            }
        }
        if let State::Known(known) = &session.state
            && !batch.is_empty()
        {
            self.gate.submit(known.space, batch);
        }
        Flow::Continue
    }

    fn authenticated(&self, session: &Session) -> bool {
        matches!(session.state, State::Known(_))
    }

    fn is_frontend(&self, session: &Session) -> bool {
        matches!(&session.state, State::Known(known) if known.grants == Grants::Frontend)
    }

    fn disconnected(&self, session: Session) {
        if let State::Known(known) = session.state {
            if let Some(expiry) = &known.expiry {
                expiry.abort();
            }
            let what = gate::Asked::Disconnected;
            self.gate.submit(known.space, vec![Inbound { connection: session.peer.connection, what }]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::ConversationId,
        routing::{Body, Presence, conversation::Ask},
    };

    #[test]
    fn the_last_of_the_disk_is_for_ending_what_is_there() {
        let ask = |ask| gate::Order::Ask(ConversationId::from_bytes([1; 16]), ask);
        let presence = |presence| gate::Order::SetPresence(AgentId::from_bytes([2; 16]), presence);
        let goes_on =
            [ask(Ask::Say(Body("hello".into()))), ask(Ask::Accept { offer: 1 }), presence(Presence::Online)];
        let ends =
            [ask(Ask::Close), ask(Ask::Leave), ask(Ask::Decline { offer: 1 }), presence(Presence::Offline)];
        for order in &goes_on {
            assert!(Room::NothingNew.has(order) && !Room::Endings.has(order));
        }
        for order in &ends {
            assert!(Room::NothingNew.has(order) && Room::Endings.has(order));
        }
    }
}
