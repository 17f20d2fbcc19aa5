//! The indexes against models that are too simple to be wrong, over thousands of random steps.

use std::collections::BTreeMap;

use proptest::{collection::vec, option, prelude::*, sample::select};
use smol_str::SmolStr;

use crate::{
    clock::Timestamp,
    ids::{AgentId, ConversationId},
    routing::{
        Priority, Strategy as Way, WhyNot,
        group::Standing,
        queue::{Admits, Fit, Place, Queue},
        roster::Roster,
        scope::Sites,
    },
};

const WAYS: [Way; 6] =
    [Way::RoundRobin, Way::LeastActive, Way::LongestIdle, Way::Broadcast, Way::Pull, Way::Assign];

const REASONS: [WhyNot; 4] = [WhyNot::Offline, WhyNot::Away, WhyNot::NotLive, WhyNot::Reconnecting];

fn agent(number: u8) -> AgentId {
    AgentId::from_bytes([number; 16])
}

fn conversation(number: u8) -> ConversationId {
    ConversationId::from_bytes([number; 16])
}

// === The roster ===

#[derive(Debug, Clone)]
enum Step {
    Update(u8, Standing),
    Remove(u8),
    Propose(u8, u8),
    Answer(u8, u8),
    Strategy(Way),
}

const SITES: [Option<&str>; 3] = [None, Some("one"), Some("two")];

/// Mostly all sites, as in life.
fn sites() -> impl Strategy<Value = Sites> {
    let named: &[&[&str]] = &[&[], &[], &["one"], &["two"], &["one", "two"]];
    select(named).prop_map(|names| Sites::of(&names.iter().map(SmolStr::new).collect::<Vec<_>>()))
}

fn standing() -> impl Strategy<Value = Standing> {
    // Few names and few times, so that ties are common.
    (0..3u8, option::weighted(0.4, select(&REASONS[..])), 1..4u16, 0..4u16, 0..3u64, any::<bool>(), sites())
        .prop_map(|(name, why_not, cap, taken, last, resting, sites)| Standing {
            name: SmolStr::new(format!("name{name}")),
            why_not,
            full: if resting { WhyNot::WrapUp } else { WhyNot::AtCap },
            present: matches!(why_not, None | Some(WhyNot::Reconnecting)),
            cap,
            taken,
            last_assigned: Timestamp::from_micros(last),
            sites,
        })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..5u8, standing()).prop_map(|(agent, standing)| Step::Update(agent, standing)),
        1 => (0..5u8).prop_map(Step::Remove),
        2 => (0..5u8, 0..4u8).prop_map(|(agent, conversation)| Step::Propose(agent, conversation)),
        2 => (0..5u8, 0..4u8).prop_map(|(agent, conversation)| Step::Answer(agent, conversation)),
        1 => select(&WAYS[..]).prop_map(Step::Strategy),
    ]
}

/// A list of members that is sorted anew for every question.
#[derive(Debug, Default)]
struct Members(BTreeMap<AgentId, (Standing, Vec<u8>)>);

impl Members {
    fn used(&self, agent: AgentId) -> usize {
        self.0.get(&agent).map_or(0, |(standing, proposals)| usize::from(standing.taken) + proposals.len())
    }

    fn why_not(&self, agent: AgentId) -> Option<WhyNot> {
        let Some((standing, _)) = self.0.get(&agent) else { return Some(WhyNot::NotMember) };
        let full = self.used(agent) >= usize::from(standing.cap);
        standing.why_not.or(full.then_some(standing.full))
    }

    fn is_available(&self, agent: AgentId) -> bool {
        self.why_not(agent).is_none()
    }

    fn serves(&self, agent: AgentId, site: Option<&SmolStr>) -> bool {
        self.0.get(&agent).is_some_and(|(standing, _)| standing.sites.cover(site))
    }

    /// Available members in the published order.
    fn candidates(
        &self,
        way: Way,
        pointer: Option<&(SmolStr, AgentId)>,
        site: Option<&SmolStr>,
    ) -> Vec<AgentId> {
        let agents = self.0.keys().copied().filter(|agent| self.serves(*agent, site));
        let mut agents: Vec<_> = agents.filter(|agent| self.is_available(*agent)).collect();
        let standing = |agent: &AgentId| &self.0[agent].0;
        agents.sort_by_key(|agent| (standing(agent).name.clone(), *agent));
        match way {
            Way::LeastActive => {
                agents.sort_by_key(|agent| (self.used(*agent), standing(agent).last_assigned))
            }
            Way::LongestIdle => agents.sort_by_key(|agent| standing(agent).last_assigned),
            Way::RoundRobin | Way::Assign => {
                let after = |agent: &AgentId| {
                    pointer.is_none_or(|at| (&standing(agent).name, agent) > (&at.0, &at.1))
                };
                agents.sort_by_key(|agent| !after(agent));
            }
            Way::Broadcast | Way::Pull => {}
        }
        agents
    }

    fn present(&self) -> Vec<AgentId> {
        self.0.iter().filter(|(_, (standing, _))| standing.present).map(|(agent, _)| *agent).collect()
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Update(number, standing) => {
                let member = self.0.entry(agent(*number)).or_insert_with(|| (standing.clone(), Vec::new()));
                member.0 = standing.clone();
            }
            Step::Remove(number) => drop(self.0.remove(&agent(*number))),
            Step::Propose(number, asked) => {
                let member = self.0.get_mut(&agent(*number));
                member
                    .into_iter()
                    .filter(|member| !member.1.contains(asked))
                    .for_each(|member| member.1.push(*asked));
            }
            Step::Answer(number, asked) => {
                self.0
                    .get_mut(&agent(*number))
                    .into_iter()
                    .for_each(|member| member.1.retain(|open| open != asked));
            }
            Step::Strategy(_) => {}
        }
    }
}

/// Every question that a group asks.
fn compare(roster: &Roster, members: &Members, way: Way) -> Result<(), TestCaseError> {
    let everybody = || (0..5).map(agent);
    for agent in everybody() {
        prop_assert_eq!(roster.why_not(agent), members.why_not(agent));
        prop_assert_eq!(roster.is_available(agent), members.is_available(agent));
        prop_assert_eq!(roster.only_present(agent), members.present() == [agent]);
    }
    prop_assert_eq!(roster.present(), members.present().len());
    prop_assert_eq!(roster.available(), everybody().filter(|agent| members.is_available(*agent)).count());
    for site in SITES.map(|site| site.map(SmolStr::new)) {
        compare_on(roster, members, way, site.as_ref())?;
    }
    Ok(())
}

/// What it asks about a conversation of one site.
fn compare_on(
    roster: &Roster,
    members: &Members,
    way: Way,
    site: Option<&SmolStr>,
) -> Result<(), TestCaseError> {
    for pointer in [None, Some((SmolStr::new("name1"), agent(2))), Some((SmolStr::new("name0"), agent(0)))] {
        let found: Vec<_> = roster.candidates(pointer.as_ref(), site).collect();
        prop_assert_eq!(found, members.candidates(way, pointer.as_ref(), site));
    }
    let mut counts: BTreeMap<WhyNot, u32> = BTreeMap::new();
    for agent in (0..5).map(agent).filter(|agent| members.0.contains_key(agent)) {
        let beyond = (!members.serves(agent, site)).then_some(WhyNot::OutOfScope);
        let out = beyond.or(members.why_not(agent));
        prop_assert_eq!(roster.why_not_on(agent, site), out);
        out.into_iter().for_each(|why| *counts.entry(why).or_default() += 1);
    }
    prop_assert_eq!(roster.out(site), counts);
    let mut present = members.present();
    present.retain(|agent| members.serves(*agent, site));
    for admits in [Admits::Only(agent(1)), Admits::except([]), Admits::except([agent(0), agent(3)])] {
        let anybody = present.iter().any(|agent| admits.allows(*agent));
        prop_assert_eq!(roster.anybody_present(&Fit { admits, site: site.cloned() }), anybody);
    }
    let full = |agent: &AgentId| matches!(members.why_not(*agent), Some(WhyNot::AtCap | WhyNot::WrapUp));
    prop_assert_eq!(roster.all_full(&Fit::anybody(site.cloned()), None), present.iter().all(full));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_roster_is_what_sorting_the_members_anew_would_say(steps in vec(step(), 1..30), way in select(&WAYS[..])) {
        let (mut roster, mut members, mut way) = (Roster::new(way), Members::default(), way);
        for step in &steps {
            let before = members.present();
            let change = match step {
                Step::Update(number, standing) => Some((*number, roster.update(agent(*number), standing.clone()))),
                Step::Remove(number) => Some((*number, roster.remove(agent(*number)))),
                Step::Propose(number, asked) => {
                    roster.propose(agent(*number), conversation(*asked));
                    None
                }
                Step::Answer(number, asked) => {
                    Some((*number, roster.answered(agent(*number), conversation(*asked))))
                }
                Step::Strategy(other) => {
                    roster.set_strategy(*other);
                    way = *other;
                    None
                }
            };
            let was_available = change.map(|(number, _)| members.is_available(agent(number)));
            members.take(step);
            if let Some((number, change)) = change {
                let left = before.contains(&agent(number)) && !members.present().contains(&agent(number));
                let is_available = members.is_available(agent(number));
                prop_assert_eq!((change.available, Some(!change.was_out), change.left), (is_available, was_available, left));
            }
            compare(&roster, &members, way)?;
        }
    }
}

// === The waiting line ===

#[derive(Debug, Clone)]
enum Move {
    Insert(Place, Admits),
    Remove(usize),
}

fn admits() -> impl Strategy<Value = Admits> {
    prop_oneof![
        (0..4u8).prop_map(|number| Admits::Only(agent(number))),
        vec(0..4u8, 0..3).prop_map(|numbers| Admits::except(numbers.into_iter().map(agent))),
    ]
}

fn place() -> impl Strategy<Value = Place> {
    (0..3u8, 0..4u64, 0..40u8).prop_map(|(class, since, number)| Place {
        class: Priority::new(class).expect("a class"),
        since: Timestamp::from_micros(since),
        conversation: conversation(number),
    })
}

fn one_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        3 => (place(), admits()).prop_map(|(place, admits)| Move::Insert(place, admits)),
        2 => (0..40usize).prop_map(Move::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_is_what_searching_a_list_would_say(moves in vec(one_move(), 1..50)) {
        let mut queue = Queue::default();
        let mut list: Vec<(Place, Admits)> = Vec::new();
        for one in moves {
            match one {
                // A conversation stands in one place, as in a group.
                Move::Insert(place, admits) => {
                    if !list.iter().any(|(other, _)| other.conversation == place.conversation) {
                        queue.insert(place, admits.clone());
                        list.push((place, admits));
                    }
                }
                Move::Remove(at) if at < list.len() => {
                    let (place, admits) = list.swap_remove(at);
                    let fit = Fit::from(admits);
                    prop_assert!(queue.remove(&place, &fit));
                    prop_assert!(!queue.remove(&place, &fit));
                }
                Move::Remove(_) => {}
            }
            prop_assert_eq!((queue.len(), queue.is_empty()), (list.len(), list.is_empty()));
            prop_assert_eq!(queue.oldest(), list.iter().map(|(place, _)| place.since).min());
            for number in 0..4 {
                let mine = list.iter().filter(|(_, admits)| admits.allows(agent(number)));
                prop_assert_eq!(queue.first_for(agent(number), &Sites::default()), mine.map(|(place, _)| *place).min());
            }
            for (place, _) in &list {
                prop_assert_eq!(queue.ahead_of(place), list.iter().filter(|(other, _)| other < place).count());
            }
        }
    }
}
