//! Whether the seeds come to what they are to judge: a promise about what never happens is not kept by that.

use std::collections::BTreeMap;

use maitred::routing::{
    CloseReason, FallbackReason,
    conversation::{Event, FlowOutcome, Skip},
    recovery::Entry,
    words::QueueCause,
};

use crate::{presets::Kind, run};

/// Seeds that have to come to all of it, a tenth of them in each preset.
const SEEDS: u64 = 120;

/// What happened, if it is one of those that presets are there for.
fn named(event: &Event) -> Option<&'static str> {
    Some(match event {
        Event::FlowFired { .. } => "taken from who was silent",
        Event::FlowEnded { outcome: FlowOutcome::Skipped(Skip::Answered), .. } => "answered in time",
        Event::FlowEnded { outcome: FlowOutcome::Skipped(Skip::Moved), .. } => "moved by hand",
        Event::Queued { cause: QueueCause::NoOnlineAgent, .. } => "nobody online to take it over",
        Event::Held { .. } => "held",
        Event::Chosen { .. } => "chosen",
        Event::Closed { reason: CloseReason::NotChosen } => "not chosen",
        Event::HandedOver { .. } => "handed over",
        Event::ReturnedToBot => "back to the bot",
        Event::Directed { .. } => "sent by a rule",
        Event::Led { .. } => "led by a trigger",
        Event::FellBack { reason: FallbackReason::ClosedHours, .. } => "closed hours",
        Event::TurnedAway { .. } => "no engagement left",
        _ => return None,
    })
}

const ALL: [&str; 13] = [
    "taken from who was silent",
    "answered in time",
    "moved by hand",
    "nobody online to take it over",
    "held",
    "chosen",
    "not chosen",
    "handed over",
    "back to the bot",
    "sent by a rule",
    "led by a trigger",
    "closed hours",
    "no engagement left",
];

#[test]
fn the_presets_seeds_come_to_what_presets_are_for() {
    let mut seen: BTreeMap<&'static str, u32> = BTreeMap::new();
    for seed in (0..SEEDS).filter(|seed| Kind::of(*seed) != Kind::Drawn) {
        let (sim, outcome) = run(Kind::of(seed), seed, None);
        assert_eq!(outcome, Ok(()));
        let records = sim.store.entries.iter().filter_map(|entry| match entry {
            Entry::Conversation { record, .. } => Some(&record.events),
            _ => None,
        });
        for name in records.flatten().filter_map(named) {
            *seen.entry(name).or_default() += 1;
        }
    }
    println!("{seen:?}");
    let never: Vec<&str> = ALL.into_iter().filter(|name| !seen.contains_key(name)).collect();
    assert!(never.is_empty(), "nobody came to {never:?}: {seen:?}");
}
