//! The line against its plain definition, step by step, and how much it looks at: what is counted here is work, not time.

use super::*;

/// The definition: a list, in which everything is looked at.
#[derive(Default)]
struct Plain(Vec<(Place, Fit)>);

impl Plain {
    fn sorted_for(&self, agent: AgentId, sites: &Sites) -> Vec<Place> {
        let fitting = self.0.iter().filter(|(_, fit)| fit.allows(agent, sites));
        let mut places: Vec<Place> = fitting.map(|(place, _)| *place).collect();
        places.sort_unstable();
        places
    }

    fn ahead_of(&self, place: &Place) -> usize {
        self.0.iter().filter(|(other, _)| other < place).count()
    }

    fn sorted(&self) -> Vec<Place> {
        let mut places: Vec<Place> = self.0.iter().map(|(place, _)| *place).collect();
        places.sort_unstable();
        places
    }
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn agent(&mut self, of: u64) -> AgentId {
        agent(self.below(of))
    }

    fn fit(&mut self, agents: u64) -> Fit {
        let admits = match self.below(8) {
            0 => Admits::Only(self.agent(agents)),
            1 => Admits::Nobody,
            2 | 3 => Admits::except([]),
            most => {
                let count = self.below(most);
                Admits::except((0..count).map(|_| self.agent(agents)).collect::<Vec<_>>())
            }
        };
        Fit { admits, site: self.site() }
    }

    fn site(&mut self) -> Option<SmolStr> {
        [None, None, Some("one"), Some("two")][self.below(4) as usize].map(SmolStr::new)
    }
}

fn agent(number: u64) -> AgentId {
    let mut bytes = [7; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    AgentId::from_bytes(bytes)
}

fn place(class: u64, since: u64, number: u64) -> Place {
    Place {
        class: Priority::new(class as u8).expect("a class"),
        since: Timestamp::from_micros(since),
        conversation: ConversationId::from_bytes(*agent(number).bytes()),
    }
}

#[test]
fn it_is_what_its_definition_says_whatever_comes_and_goes() {
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let agents = 1 + dice.below(40);
        let (mut queue, mut plain) = (Queue::default(), Plain::default());
        for step in 0..400 {
            if dice.below(3) > 0 {
                let (place, fit) = (place(dice.below(10), dice.below(50), step), dice.fit(agents));
                queue.insert(place, fit.clone());
                plain.0.push((place, fit));
            } else if !plain.0.is_empty() {
                let at = dice.below(plain.0.len() as u64) as usize;
                let (place, fit) = plain.0.swap_remove(at);
                assert!(queue.remove(&place, &fit) && !queue.remove(&place, &fit));
            }
            // Known to no item, too.
            let who = dice.agent(agents + 2);
            let site: Vec<SmolStr> = dice.site().into_iter().chain(dice.site()).collect();
            let sites = Sites::of(&site);
            let truth = plain.sorted_for(who, &sites);
            assert_eq!(queue.first_for(who, &sites), truth.first().copied(), "seed {seed}, step {step}");
            if step % 10 == 0 {
                assert_eq!(queue.places_for(who, &sites).collect::<Vec<_>>(), truth, "seed {seed}");
                assert_eq!(queue.behind(None).collect::<Vec<_>>(), plain.sorted(), "seed {seed}");
            }
            let any = place(dice.below(10), dice.below(50), dice.below(400));
            assert_eq!(queue.ahead_of(&any), plain.ahead_of(&any), "seed {seed}, step {step}");
            let behind = plain.sorted().into_iter().find(|other| *other > any);
            assert_eq!(queue.behind(Some(any)).next(), behind, "seed {seed}, step {step}");
            assert_eq!(queue.oldest(), plain.0.iter().map(|(place, _)| place.since).min());
            assert_eq!(queue.len(), plain.0.len());
        }
        for (place, fit) in std::mem::take(&mut plain.0) {
            assert!(queue.remove(&place, &fit));
        }
        assert!(
            queue.is_empty() && queue.index.is_empty() && queue.sites.is_empty() && queue.lines.is_empty()
        );
    }
}

/// However many stand in front that an agent may not take: a hundred thousand, each kept from them and from somebody else besides.
#[test]
fn what_is_in_front_and_not_theirs_is_not_looked_at() {
    const HEADS: u64 = 100_000;
    const OTHERS: u64 = 1_000;
    let mut queue = Queue::default();
    for number in 0..HEADS {
        let fit = Admits::except([agent(0), agent(1 + number % OTHERS)]);
        queue.insert(place(5, number, number), fit);
    }
    queue.insert(place(5, HEADS, HEADS), Admits::except([]));
    let everywhere = Sites::default();
    let sets = queue.sets_for(agent(0), &everywhere).len();
    assert!(sets <= 12, "{sets} sets were looked at");
    assert_eq!(queue.first_for(agent(0), &everywhere), Some(place(5, HEADS, HEADS)));
    assert_eq!(queue.places_for(agent(0), &everywhere).count(), 1);
    // Others have theirs at the front; who is new may take all.
    assert_eq!(queue.first_for(agent(1), &everywhere), Some(place(5, 1, 1)));
    assert_eq!(queue.first_for(agent(OTHERS + 1), &everywhere), Some(place(5, 0, 0)));
}

/// Ten times as many cost a few steps more, not ten times as many.
#[test]
fn counting_who_is_ahead_takes_as_many_steps_as_a_number_has_digits() {
    let mut steps = Vec::new();
    let mut queue = Queue::default();
    for number in 0..200_000_u64 {
        queue.insert(place(5, number, number), Admits::except([]));
        if [99, 1_999, 19_999, 199_999].contains(&number) {
            let most = (0..=number).step_by(1 + number as usize / 97).map(|at| {
                let (ahead, steps) = queue.order.before(&place(5, at, at));
                assert_eq!(ahead as u64, at);
                steps
            });
            steps.push(most.max().unwrap_or_default());
        }
    }
    assert!(steps.iter().all(|steps| *steps <= 60), "{steps:?}");
    assert!(steps.windows(2).all(|pair| pair[1] <= pair[0] + 25), "{steps:?}");
}
