//! What a routing decision costs, by the size of the roster and of the line. Run: `cargo bench --bench routing`.

use std::{collections::BTreeMap, hint::black_box, sync::Arc, time::Duration};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use maitred::{
    clock::Timestamp,
    ids::{AgentId, ConversationId, GroupId},
    routing::{
        Context, GroupPolicy, Machine, Out, Policy, Priority, Strategy, WhyNot,
        group::{Command, Event, Group, Standing, Waiting},
        scope::Sites,
    },
};

fn agent(number: u32) -> AgentId {
    let mut bytes = [0; 16];
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    AgentId::from_bytes(bytes)
}

fn conversation(number: u32) -> ConversationId {
    ConversationId::from_bytes(*agent(number).bytes())
}

fn standing(number: u32, taken: u16) -> Standing {
    Standing {
        name: format!("agent {number:06}").into(),
        why_not: None,
        full: WhyNot::AtCap,
        present: true,
        cap: 10,
        taken,
        last_assigned: Timestamp::from_micros(u64::from(number)),
        sites: Sites::default(),
    }
}

fn waiting(number: u32) -> Waiting {
    Waiting {
        conversation: conversation(number),
        epoch: 1,
        stay: 1,
        class: Priority::DEFAULT,
        since: Timestamp::from_micros(u64::from(number)),
        preferred: None,
        direct: None,
        tried: Vec::new(),
        barred: None,
        cause: maitred::routing::QueueCause::Opened,
        anyone: false,
        announced: false,
        site: None,
        entering: true,
        asking: false,
    }
}

/// One group and all it needs to be asked something.
struct Desk {
    policy: Policy,
    group: Group,
    generations: BTreeMap<AgentId, u32>,
    out: Out<Event>,
}

impl Desk {
    fn new(strategy: Strategy, agents: u32, taken: u16) -> Self {
        let id: GroupId = "sales".parse().expect("a name");
        let mut policy = Policy::default();
        policy.groups.insert(id.clone(), Arc::new(GroupPolicy { strategy, ..GroupPolicy::default() }));
        let (group, generations) = (Group::new(id), BTreeMap::new());
        let mut desk = Self { policy, group, generations, out: Out::default() };
        for number in 0..agents {
            desk.ask(Command::Member { agent: agent(number), standing: standing(number, taken) });
        }
        desk
    }

    fn ask(&mut self, command: Command) -> usize {
        let now = Timestamp::from_micros(1_000_000_000);
        let cx = Context { now, policy: &self.policy, generations: &self.generations };
        self.out.clear();
        self.group.handle(&cx, command, &mut self.out).expect("not refused");
        self.out.tells.len()
    }
}

/// A conversation comes, is proposed to somebody, and leaves again.
fn decision(c: &mut Criterion) {
    let mut group = c.benchmark_group("decision_by_roster");
    for strategy in [Strategy::RoundRobin, Strategy::LeastActive] {
        for agents in [10, 1_000, 100_000] {
            let mut desk = Desk::new(strategy, agents, 0);
            group.bench_function(BenchmarkId::new(format!("{strategy:?}"), agents), |b| {
                b.iter(|| {
                    let told = desk.ask(Command::Enqueue(Box::new(waiting(7))));
                    assert_eq!(told, 1, "it was proposed");
                    desk.ask(Command::Leave { conversation: conversation(7) })
                });
            });
        }
    }
    group.finish();
}

/// A conversation joins the end of a line that nobody serves now, and leaves again.
fn enqueue(c: &mut Criterion) {
    let mut group = c.benchmark_group("enqueue_by_line");
    for line in [100, 100_000, 1_000_000] {
        let mut desk = Desk::new(Strategy::RoundRobin, 100, 10);
        for number in 0..line {
            desk.ask(Command::Enqueue(Box::new(waiting(number))));
        }
        group.bench_function(BenchmarkId::from_parameter(line), |b| {
            b.iter(|| {
                let told = desk.ask(Command::Enqueue(Box::new(waiting(line))));
                assert_eq!(told, 0, "it waits");
                desk.ask(Command::Leave { conversation: conversation(line) })
            });
        });
    }
    group.finish();
}

/// How many stand before the last of a line.
fn ahead(c: &mut Criterion) {
    let mut group = c.benchmark_group("ahead_by_line");
    for line in [100, 100_000, 1_000_000] {
        let mut desk = Desk::new(Strategy::RoundRobin, 1, 10);
        for number in 0..line {
            desk.ask(Command::Enqueue(Box::new(waiting(number))));
        }
        let last = conversation(line - 1);
        group.bench_function(BenchmarkId::from_parameter(line), |b| {
            b.iter(|| assert_eq!(desk.group.ahead_of(black_box(last)), Some(line as usize - 1)));
        });
    }
    group.finish();
}

/// An agent frees a slot; before the one conversation that they may take stand 100,000 that they may not. They refuse, so that
/// the next round finds the same.
fn freed_slot(c: &mut Criterion) {
    const HEADS: u32 = 100_000;
    const OTHERS: u32 = 1_000;
    let mut group = c.benchmark_group("freed_slot_behind_100000");
    group.measurement_time(Duration::from_secs(5));
    type Head = fn(u32) -> Waiting;
    let kinds: [(&str, Head); 3] = [
        ("for_one_other_agent_each", |number| Waiting {
            direct: Some(agent(1 + number % OTHERS)),
            ..waiting(number)
        }),
        ("declined_by_this_agent", |number| Waiting { tried: vec![agent(0)], ..waiting(number) }),
        ("declined_by_this_agent_and_one_other_each", |number| Waiting {
            tried: vec![agent(0), agent(1 + number % OTHERS)],
            ..waiting(number)
        }),
    ];
    for (name, head) in kinds {
        let mut desk = Desk::new(Strategy::RoundRobin, OTHERS + 1, 10);
        for number in 0..HEADS {
            desk.ask(Command::Enqueue(Box::new(Waiting { entering: false, ..head(number) })));
        }
        desk.ask(Command::Enqueue(Box::new(waiting(HEADS))));
        group.bench_function(name, |b| {
            b.iter(|| {
                let told = desk.ask(Command::Member { agent: agent(0), standing: standing(0, 9) });
                assert_eq!(told, 1, "it was proposed");
                black_box(desk.ask(Command::ProposalRefused {
                    conversation: conversation(HEADS),
                    agent: agent(0),
                    why_not: WhyNot::AtCap,
                    standing: standing(0, 10),
                }))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decision, enqueue, ahead, freed_slot);
criterion_main!(benches);
