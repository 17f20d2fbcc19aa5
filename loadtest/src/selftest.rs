//! Shows that the audit isn't blind: a proxy tells lies, one kind at a time, and each has to be noticed.

use std::{fmt::Write as _, path::Path};

use anyhow::{Result, bail};
use maitred::protocol::Encoding;

use crate::{
    audit::Violations,
    proxy::{Lie, Proxy},
    run::{self, Plan},
    scenario::{self, Scenario},
    spawn::{Serving, Spawned},
};

/// Slots of each agent.
const CAP: u16 = 4;

/// A small load, and little patience for what was left out.
const CHANGED: [&str; 7] = [
    "duration=700ms",
    "settle=700ms",
    "connections=2",
    "in_flight=8",
    "agents=8",
    "cap=4",
    "message_bytes=20",
];

/// One kind of lie, and as what it has to be noticed.
struct Trial {
    name: &'static str,
    lie: Lie,
    noticed: fn(&Violations) -> u64,
    counted: &'static str,
}

const TRIALS: [Trial; 7] = [
    Trial { name: "no lie", lie: Lie::None, noticed: |seen| seen.total(), counted: "nothing" },
    Trial {
        name: "an event left out",
        lie: Lie::DropEvent,
        noticed: |seen| seen.sequence_gaps,
        counted: "sequence_gaps",
    },
    Trial { name: "a message left out", lie: Lie::DropMessage, noticed: |seen| seen.lost, counted: "lost" },
    Trial {
        name: "an event repeated",
        lie: Lie::Repeat,
        noticed: |seen| seen.duplicate_messages,
        counted: "duplicate_messages",
    },
    Trial {
        name: "events out of order",
        lie: Lie::Reorder,
        noticed: |seen| seen.sequence_gaps,
        counted: "sequence_gaps",
    },
    Trial {
        name: "a second accept",
        lie: Lie::SecondAccept,
        noticed: |seen| seen.double_owner,
        counted: "double_owner",
    },
    Trial {
        name: "offers above the cap",
        lie: Lie::OverCap { cap: CAP },
        noticed: |seen| seen.cap_violations,
        counted: "cap_violations",
    },
];

/// The table, and whether every lie was noticed and nothing else was.
pub(crate) async fn run(daemon: Option<&Path>, encoding: Encoding, seed: u64) -> Result<(String, bool)> {
    let mut table =
        format!("{:<22} {:<20} {:>7} {:>7}\n", "what the proxy does", "has to be counted as", "lies", "seen");
    let mut all = true;
    for trial in &TRIALS {
        let (lies, seen) = trial_run(trial, daemon, encoding, seed).await?;
        let noticed = (trial.noticed)(&seen);
        let good = if trial.lie == Lie::None { noticed == 0 } else { noticed > 0 && lies > 0 };
        all &= good;
        let verdict = if good { "ok" } else { "BLIND" };
        // Writing into a String can't fail.
        let _ = writeln!(table, "{:<22} {:<20} {lies:>7} {noticed:>7}  {verdict}", trial.name, trial.counted);
    }
    Ok((table, all))
}

async fn trial_run(
    trial: &Trial,
    daemon: Option<&Path>,
    encoding: Encoding,
    seed: u64,
) -> Result<(u64, Violations)> {
    let scenario = small_load()?;
    let mut spawned = Spawned::start(&scenario, daemon).await?;
    let serving = spawned.serving().clone();
    let noticed = lie_about(trial, scenario, &serving, encoding, seed).await?;
    spawned.end().await?;
    Ok(noticed)
}

fn small_load() -> Result<Scenario> {
    Ok(Scenario::read(&scenario::text("steady")?, &CHANGED.map(str::to_owned))?)
}

/// A run with the proxy in between: how often it lied, and what was noticed.
async fn lie_about(
    trial: &Trial,
    scenario: Scenario,
    serving: &Serving,
    encoding: Encoding,
    seed: u64,
) -> Result<(u64, Violations)> {
    let (options, colleagues) = serving.furnish(&scenario, encoding).await?;
    let directory = tempfile::tempdir()?;
    let (proxy, options) = Proxy::start(&options, directory.path(), trial.lie)?;
    let plan = Plan { name: trial.name.to_owned(), scenario, seed, encoding };
    let report = run::play(&plan, &options, &colleagues, None, None).await?;
    if report.opened == 0 {
        bail!("nothing was opened through the proxy");
    }
    Ok((proxy.lies(), report.violations))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::in_process;

    #[test]
    fn every_lie_is_noticed_and_nothing_else_is() {
        let scenario = small_load().expect("it is right");
        assert_eq!(scenario.team.cap, CAP);
        for trial in &TRIALS {
            let played = in_process(&scenario, async |serving| {
                lie_about(trial, scenario.clone(), serving, Encoding::Bincode, 1).await
            });
            let (lies, seen) = played.expect("it was played");
            let noticed = (trial.noticed)(&seen);
            assert_eq!(noticed > 0, trial.lie != Lie::None, "{}: {lies} lies, {seen:?}", trial.name);
        }
    }
}
