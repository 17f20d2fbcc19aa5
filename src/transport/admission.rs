//! Who may connect: decided per arrival, before anything costs memory or a handshake (0.3 to 0.8 ms of a core).
//!
//! The order is fixed: global bucket, bucket per network, Retry while many are half-open, cap, limit per network.
//! Networks from which a client authenticated lately draw on a bucket of their own, so that an anonymous flood does
//! not starve them.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Above this many remembered networks the idle ones are forgotten, and strangers share one bucket.
const NETWORKS_MAX: usize = 16_384;

/// How often something may happen: `per_second` on average, `burst` at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Sustained, per second.
    pub per_second: f64,
    /// At once after a pause.
    pub burst: f64,
}

/// What the operator may set.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Connections in all (about 35 KiB each when idle).
    pub connections: usize,
    /// Connections per network (an IPv4 address or an IPv6 /64); loopback and networks of frontends are exempt.
    pub connections_per_network: usize,
    /// Arrivals from strangers, in all. A saturated core handles 1,300 to 2,700 handshakes a second.
    pub arrivals: Rate,
    /// Arrivals from one network; the same exemptions.
    pub arrivals_per_network: Rate,
    /// Arrivals from networks that authenticated lately, in all: a budget that strangers cannot touch.
    pub arrivals_known: Rate,
    /// Above this many unfinished handshakes a client must first prove its address (Retry).
    pub half_open: usize,
    /// For how long a network counts as known after somebody authenticated from it.
    pub known_for: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_network: 256,
            arrivals: Rate { per_second: 1_000.0, burst: 2_000.0 },
            arrivals_per_network: Rate { per_second: 20.0, burst: 40.0 },
            arrivals_known: Rate { per_second: 1_000.0, burst: 2_000.0 },
            half_open: 256,
            known_for: Duration::from_secs(600),
        }
    }
}

/// What to do with an arrival.
#[derive(Debug)]
pub enum Verdict {
    /// Let it in; the pass is held for as long as the connection lives.
    Admit(Pass),
    /// Make it prove its address first.
    Retry,
    /// Answer with a refusal: its address is proven, so the answer cannot be aimed at somebody else.
    Refuse(Full),
    /// Send nothing: the address may be forged.
    Ignore(Full),
}

/// Which bound turned an arrival away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Too many arrivals in all.
    Arrivals,
    /// Too many arrivals from this network.
    ArrivalsOfNetwork,
    /// Too many connections in all.
    Connections,
    /// Too many connections from this network.
    ConnectionsOfNetwork,
    /// The daemon is draining.
    Draining,
}

/// One arrival, as the endpoint sees it.
#[derive(Clone, Copy, Debug)]
pub struct Arriving {
    /// Whence.
    pub from: IpAddr,
    /// Whether a Retry or a validation token has proven the address.
    pub proven: bool,
    /// Whether a Retry may still be asked for.
    pub may_retry: bool,
}

/// Decides on arrivals and counts what was let in. Cheap to clone; all clones share the counts.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Mutex<Gate>>);

#[derive(Debug)]
struct Gate {
    limits: Limits,
    strangers: Bucket,
    known: Bucket,
    /// What strangers share once too many networks are remembered.
    crowd: Network,
    networks: HashMap<Prefix, Network>,
    tidied: Instant,
    connections: usize,
    half_open: usize,
    draining: bool,
}

/// An IPv4 address, or the /64 of an IPv6 one: what one customer of a provider has.
type Prefix = IpAddr;

#[derive(Debug)]
struct Network {
    bucket: Bucket,
    connections: usize,
    authenticated: Option<Instant>,
    frontend: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    rate: Rate,
    tokens: f64,
    at: Instant,
}

/// The place of one admitted connection. Dropping it gives the place back.
#[derive(Debug)]
pub struct Pass {
    gate: Admission,
    prefix: Prefix,
    /// Counted against its network's limit.
    counted: bool,
    half_open: bool,
}

impl Admission {
    /// An open gate with full buckets.
    #[must_use]
    pub fn new(limits: Limits, now: Instant) -> Self {
        let (strangers, known) =
            (Bucket::full(limits.arrivals, now), Bucket::full(limits.arrivals_known, now));
        let crowd = Network::new(&limits, now);
        Self(Arc::new(Mutex::new(Gate {
            limits,
            strangers,
            known,
            crowd,
            networks: HashMap::new(),
            tidied: now,
            connections: 0,
            half_open: 0,
            draining: false,
        })))
    }

    /// Decides on one arrival at `now`.
    #[must_use]
    pub fn decide(&self, arriving: Arriving, now: Instant) -> Verdict {
        let prefix = prefix_of(arriving.from);
        let turned_away = |why| match arriving.proven {
            true => Verdict::Refuse(why),
            false => Verdict::Ignore(why),
        };
        let exempt = {
            let mut gate = self.lock();
            if gate.draining {
                return turned_away(Full::Draining);
            }
            if let Err(why) = gate.take_arrival(prefix, now) {
                return turned_away(why);
            }
            if !arriving.proven && arriving.may_retry && gate.half_open >= gate.limits.half_open {
                return Verdict::Retry;
            }
            if gate.connections >= gate.limits.connections {
                return turned_away(Full::Connections);
            }
            let exempt = gate.is_exempt(prefix, now);
            let limit = gate.limits.connections_per_network;
            if !exempt && gate.network(prefix, now, false).connections >= limit {
                return turned_away(Full::ConnectionsOfNetwork);
            }
            gate.connections += 1;
            gate.half_open += 1;
            if !exempt {
                gate.network(prefix, now, false).connections += 1;
            }
            exempt
        };
        Verdict::Admit(Pass { gate: self.clone(), prefix, counted: !exempt, half_open: true })
    }

    /// Turns everybody away from now on.
    pub fn stop(&self) {
        self.lock().draining = true;
    }

    /// Connections let in and not yet ended, and how many of them have not finished their handshake.
    #[must_use]
    pub fn open(&self) -> (usize, usize) {
        let gate = self.lock();
        (gate.connections, gate.half_open)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Gate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// The handshake is done.
    pub fn shaken(&mut self) {
        if std::mem::take(&mut self.half_open) {
            self.gate.lock().half_open -= 1;
        }
    }

    /// The client showed a valid token at `now`: its network is known from here on. A frontend's connections also
    /// no longer count against its network's limit.
    pub fn authenticated(&mut self, frontend: bool, now: Instant) {
        let mut gate = self.gate.lock();
        let network = gate.network(self.prefix, now, frontend);
        network.authenticated = Some(now);
        if frontend {
            network.frontend = Some(now);
            if std::mem::take(&mut self.counted) {
                network.connections = network.connections.saturating_sub(1);
            }
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut gate = self.gate.lock();
        gate.connections -= 1;
        if self.half_open {
            gate.half_open -= 1;
        }
        if self.counted {
            gate.leave(self.prefix);
        }
    }
}

impl Gate {
    fn take_arrival(&mut self, prefix: Prefix, now: Instant) -> Result<(), Full> {
        let budget = if self.is_known(prefix, now) { &mut self.known } else { &mut self.strangers };
        if !budget.take(now) {
            return Err(Full::Arrivals);
        }
        if !self.is_exempt(prefix, now) && !self.network(prefix, now, false).bucket.take(now) {
            return Err(Full::ArrivalsOfNetwork);
        }
        Ok(())
    }

    fn is_known(&self, prefix: Prefix, now: Instant) -> bool {
        prefix.is_loopback() || self.lately(prefix, now, |network| network.authenticated)
    }

    fn is_exempt(&self, prefix: Prefix, now: Instant) -> bool {
        prefix.is_loopback() || self.lately(prefix, now, |network| network.frontend)
    }

    fn lately(&self, prefix: Prefix, now: Instant, when: impl Fn(&Network) -> Option<Instant>) -> bool {
        let then = self.networks.get(&prefix).and_then(when);
        then.is_some_and(|then| now.saturating_duration_since(then) < self.limits.known_for)
    }

    /// The network's entry, or the crowd's when no more can be remembered (`always`: remembered all the same, for
    /// frontends, which are few).
    fn network(&mut self, prefix: Prefix, now: Instant, always: bool) -> &mut Network {
        if self.networks.len() >= NETWORKS_MAX && !self.networks.contains_key(&prefix) {
            self.forget_idle(now);
            if self.networks.len() >= NETWORKS_MAX && !always {
                // The crowd's facts are not kept: one of it could lock out, or vouch for, all the others. The cap on
                // all connections holds, and so does the crowd's own bucket.
                self.crowd = Network { bucket: self.crowd.bucket, ..Network::new(&self.limits, now) };
                return &mut self.crowd;
            }
        }
        self.networks.entry(prefix).or_insert_with(|| Network::new(&self.limits, now))
    }

    fn leave(&mut self, prefix: Prefix) {
        if let Some(network) = self.networks.get_mut(&prefix) {
            network.connections = network.connections.saturating_sub(1);
        }
    }

    /// Drops the entries that say no more than a new one would; at most once a second, as it looks at them all.
    fn forget_idle(&mut self, now: Instant) {
        if now.saturating_duration_since(self.tidied) < Duration::from_secs(1) {
            return;
        }
        self.tidied = now;
        let known_for = self.limits.known_for;
        self.networks.retain(|_, network| {
            let lately =
                network.authenticated.is_some_and(|then| now.saturating_duration_since(then) < known_for);
            network.connections > 0 || lately || !network.bucket.is_full(now)
        });
    }
}

impl Network {
    fn new(limits: &Limits, now: Instant) -> Self {
        let bucket = Bucket::full(limits.arrivals_per_network, now);
        Self { bucket, connections: 0, authenticated: None, frontend: None }
    }
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Self {
        Self { rate, tokens: rate.burst, at: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        self.tokens = self.level(now);
        self.at = now;
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }

    fn level(&self, now: Instant) -> f64 {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * self.rate.per_second;
        (self.tokens + earned).min(self.rate.burst)
    }

    fn is_full(&self, now: Instant) -> bool {
        self.level(now) >= self.rate.burst
    }
}

fn prefix_of(address: IpAddr) -> Prefix {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const BOB: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn unproven(from: IpAddr) -> Arriving {
        Arriving { from, proven: false, may_retry: true }
    }

    fn proven(from: IpAddr) -> Arriving {
        Arriving { from, proven: true, may_retry: false }
    }

    fn few() -> Limits {
        let two = Rate { per_second: 1.0, burst: 2.0 };
        let many = Rate { per_second: 1_000.0, burst: 1_000.0 };
        Limits {
            connections: 4,
            connections_per_network: 2,
            arrivals: many,
            arrivals_per_network: many,
            arrivals_known: two,
            half_open: 3,
            known_for: Duration::from_secs(60),
        }
    }

    fn admit(gate: &Admission, arriving: Arriving, now: Instant) -> Pass {
        match gate.decide(arriving, now) {
            Verdict::Admit(pass) => pass,
            other => panic!("not admitted: {other:?}"),
        }
    }

    #[test]
    fn an_unproven_arrival_over_a_bound_gets_no_answer_and_a_proven_one_a_refusal() {
        let now = Instant::now();
        let limits = Limits { arrivals: Rate { per_second: 1.0, burst: 1.0 }, ..few() };
        let gate = Admission::new(limits, now);
        let _first = admit(&gate, unproven(ALICE), now);
        assert!(matches!(gate.decide(unproven(BOB), now), Verdict::Ignore(Full::Arrivals)));
        assert!(matches!(gate.decide(proven(BOB), now), Verdict::Refuse(Full::Arrivals)));
        let _later = admit(&gate, unproven(BOB), now + Duration::from_secs(1));
    }

    #[test]
    fn one_network_cannot_use_up_the_arrivals_of_another() {
        let now = Instant::now();
        let limits = Limits { arrivals_per_network: Rate { per_second: 1.0, burst: 1.0 }, ..few() };
        let gate = Admission::new(limits, now);
        drop(admit(&gate, unproven(ALICE), now));
        assert!(matches!(gate.decide(unproven(ALICE), now), Verdict::Ignore(Full::ArrivalsOfNetwork)));
        drop(admit(&gate, unproven(BOB), now));
    }

    #[test]
    fn an_ipv6_customer_is_one_network() {
        let now = Instant::now();
        let gate = Admission::new(few(), now);
        let host = |n: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, n));
        let _held = [admit(&gate, proven(host(1)), now), admit(&gate, proven(host(2)), now)];
        assert!(matches!(gate.decide(proven(host(3)), now), Verdict::Refuse(Full::ConnectionsOfNetwork)));
    }

    #[test]
    fn many_half_open_handshakes_ask_for_a_retry_until_they_are_done() {
        let now = Instant::now();
        let gate = Admission::new(Limits { connections_per_network: 9, ..few() }, now);
        let mut held: Vec<_> = (0..3).map(|_| admit(&gate, unproven(ALICE), now)).collect();
        assert!(matches!(gate.decide(unproven(BOB), now), Verdict::Retry));
        held.push(admit(&gate, proven(BOB), now));
        held.iter_mut().for_each(Pass::shaken);
        assert_eq!(gate.open(), (4, 0));
        assert!(matches!(gate.decide(proven(BOB), now), Verdict::Refuse(Full::Connections)));
        drop(held);
        assert_eq!(gate.open(), (0, 0));
        drop(admit(&gate, unproven(BOB), now));
    }

    #[test]
    fn a_flood_of_strangers_leaves_known_networks_their_budget() {
        let now = Instant::now();
        let limits = Limits { arrivals: Rate { per_second: 0.0, burst: 2.0 }, ..few() };
        let gate = Admission::new(limits, now);
        admit(&gate, proven(BOB), now).authenticated(false, now);
        drop(admit(&gate, proven(ALICE), now));
        assert!(matches!(gate.decide(proven(ALICE), now), Verdict::Refuse(Full::Arrivals)));
        drop(admit(&gate, proven(BOB), now));
        let much_later = now + Duration::from_secs(61);
        assert!(matches!(gate.decide(proven(BOB), much_later), Verdict::Refuse(Full::Arrivals)));
    }

    #[test]
    fn loopback_and_the_networks_of_frontends_have_no_limit_of_their_own() {
        let now = Instant::now();
        let limits = Limits { arrivals_known: few().arrivals, connections: 99, ..few() };
        let gate = Admission::new(limits, now);
        let mut held: Vec<_> = (0..2).map(|_| admit(&gate, proven(ALICE), now)).collect();
        assert!(matches!(gate.decide(proven(ALICE), now), Verdict::Refuse(Full::ConnectionsOfNetwork)));
        held[0].authenticated(true, now);
        held.extend((0..5).map(|_| admit(&gate, proven(ALICE), now)));
        let local = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        held.extend((0..5).map(|_| admit(&gate, proven(local), now)));
        drop(held);
        assert_eq!(gate.open(), (0, 0));
    }

    #[test]
    fn what_is_remembered_of_networks_is_bounded() {
        let now = Instant::now();
        let many = Rate { per_second: 0.0, burst: 1e9 };
        let never = Rate { per_second: 0.0, burst: 2e4 };
        let limits = Limits { arrivals: many, arrivals_per_network: never, ..few() };
        let gate = Admission::new(limits, now);
        for n in 0..u32::try_from(NETWORKS_MAX + 100).unwrap() {
            drop(admit(&gate, proven(IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n))), now));
        }
        assert_eq!(gate.lock().networks.len(), NETWORKS_MAX);
        drop(admit(&gate, proven(BOB), now + Duration::from_secs(2)));
        assert_eq!(gate.lock().networks.len(), NETWORKS_MAX, "an empty bucket is worth remembering");
        let refilled = Limits { arrivals_per_network: Rate { per_second: 1.0, burst: 1.0 }, ..few() };
        let gate = Admission::new(Limits { arrivals: many, ..refilled }, now);
        for n in 0..u32::try_from(NETWORKS_MAX).unwrap() {
            drop(admit(&gate, proven(IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n))), now));
        }
        drop(admit(&gate, proven(BOB), now + Duration::from_secs(2)));
        assert_eq!(gate.lock().networks.len(), 1);
    }

    #[test]
    fn a_draining_daemon_lets_nobody_in() {
        let now = Instant::now();
        let gate = Admission::new(few(), now);
        gate.stop();
        assert!(matches!(gate.decide(proven(BOB), now), Verdict::Refuse(Full::Draining)));
    }
}
