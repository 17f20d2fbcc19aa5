//! The pure core and the journal in a world that a seed decides. See `docs/simulation.md`.

mod archive;
mod asides;
mod bugs;
mod deeds;
mod failures;
mod model;
mod oracle;
mod people;
mod plan;
mod presets;
mod races;
mod reach;
mod rng;
mod rulings;
mod store;
mod visits;
mod walks;
mod world;

use std::time::{Duration, Instant};

use bugs::Bug;
use presets::Kind;
use world::Sim;

/// Seeds that found something once, in worlds that were drawn: they are always run first.
const FIXED: [u64; 15] = [
    598_956_093,
    305_503_823,
    338_479_977,
    341_097_929,
    512_273_466,
    545_980_193,
    592_724_102,
    632_279_255,
    636_164_806,
    650_277_871,
    386_664_289,
    283_113_275_973,
    285_962_772_708,
    1_240,
    318_419_405_048,
];

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn steps() -> u64 {
    setting("SIM_STEPS").unwrap_or(1_500)
}

/// A run of a seed: first with everything that can go wrong, then with nothing, until all that has a bound has ended.
fn run(kind: Kind, seed: u64, bug: Option<Bug>) -> (Sim, Result<(), String>) {
    let mut sim = Sim::new(kind, seed, bug);
    let outcome = drive(&mut sim, seed);
    (sim, outcome)
}

fn drive(sim: &mut Sim, seed: u64) -> Result<(), String> {
    for step in 0..steps() {
        sim.step();
        if step % 500 == 499 {
            sim.audit();
        }
        judged(sim, seed, step)?;
    }
    sim.heal();
    let began = sim.now;
    let bound = sim.bound();
    let mut step = steps();
    while sim.now.since(began) < bound && step < 40 * steps() {
        sim.step();
        step += 1;
        judged(sim, seed, step)?;
    }
    sim.oracle.everything_bounded_has_ended(began);
    judged(sim, seed, step)
}

fn judged(sim: &Sim, seed: u64, step: u64) -> Result<(), String> {
    match &sim.oracle.violation {
        None => Ok(()),
        Some((promise, what)) => Err(format!(
            "{promise} broken at step {step}, {} ({} crashes, {} panics): {what}\n\
             again: SIM_WORLD={} SEED={seed} SIM_STEPS={} cargo test --test simulation -- one_seed --nocapture",
            sim.now,
            sim.crashes,
            sim.panics,
            sim.plan.kind.name(),
            steps()
        )),
    }
}

/// Fresh seeds of a plain run.
const USUAL: u64 = 1_200;

/// The seeds that every change is judged by; `SIM_FRESH` looks where none has looked. What those have found and nobody has
/// mended yet is in docs/simulation.md.
const USUAL_BASE: u64 = 5_000;

/// The first seed after the fixed ones. `SIM_BASE` repeats a run.
fn base() -> u64 {
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let fresh = setting("SIM_FRESH").map(|_| wall.as_micros() as u64 % 1_000_000_000_000);
    setting("SIM_BASE").or(fresh).unwrap_or(USUAL_BASE)
}

#[test]
fn one_seed() {
    let Some(seed) = setting("SEED") else { return };
    let (sim, outcome) = run(Kind::of(seed), seed, None);
    println!("{} commands, {} records, {} crashes", sim.handled, sim.store.entries.len(), sim.crashes);
    if let Err(what) = outcome {
        if sim.traced {
            sim.world.groups.values().for_each(|group| println!("{group:#?}"));
        }
        panic!("{what}");
    }
}

#[test]
fn every_promise_holds_over_many_seeds() {
    let (base, started) = (base(), Instant::now());
    let limit = setting("SIM_SECONDS").map(Duration::from_secs);
    let seeds = setting("SIM_SEEDS").unwrap_or(if limit.is_some() { u64::MAX } else { USUAL });
    println!("again: SIM_BASE={base} cargo test --test simulation -- every_promise --nocapture");
    // So many failures end a run.
    let most = setting("SIM_FAILURES").unwrap_or(1);
    let (mut ran, mut failed) = (0, 0);
    let fixed = FIXED.into_iter().map(|seed| (Kind::Drawn, seed));
    let fresh = (0..seeds).map(|next| base.wrapping_add(next)).map(|seed| (Kind::of(seed), seed));
    for (kind, seed) in fixed.chain(fresh) {
        if limit.is_some_and(|limit| started.elapsed() > limit) {
            break;
        }
        if let (_, Err(what)) = run(kind, seed, None) {
            println!("seed {seed} in {} (the {ran}th): {what}", kind.name());
            failed += 1;
        }
        ran += 1;
        if failed >= most {
            break;
        }
    }
    assert_eq!(failed, 0, "of {ran} seeds");
    println!("{ran} seeds, {:.1} a second", ran as f64 / started.elapsed().as_secs_f64());
}

#[test]
fn a_seed_always_does_the_same() {
    for seed in 0..=5 {
        let (first, _) = run(Kind::of(seed), seed, None);
        let (second, _) = run(Kind::of(seed), seed, None);
        assert_eq!((first.store.hash, first.handled), (second.store.hash, second.handled), "seed {seed}");
    }
}

#[test]
fn every_planted_bug_is_caught() {
    // `SIM_BUG` names one of them.
    let only = std::env::var("SIM_BUG").ok();
    for bug in Bug::ALL.into_iter().filter(|bug| only.as_ref().is_none_or(|only| format!("{bug:?}") == *only))
    {
        let caught =
            (1..=2_000_u64).find_map(|seed| Some((seed, run(Kind::of(seed), seed, Some(bug)).1.err()?)));
        let Some((seed, what)) = caught else { panic!("{bug:?} survived 2,000 seeds") };
        let innocent = run(Kind::of(seed), seed, None).1;
        assert_eq!(innocent, Ok(()), "seed {seed} finds something without {bug:?}");
        println!("{bug:?} fell at seed {seed}: {}", what.lines().next().unwrap_or_default());
    }
}
