//! Whole runs against a daemon in this process.

use std::{fs, iter};

use anyhow::Result;
use maitred::{config, daemon, protocol::Encoding};
use tokio::task::LocalSet;

use super::{Plan, Report, play};
use crate::{
    scenario::{self, Scenario},
    spawn::{self, Serving},
};

/// Does something against a daemon that is started for the scenario and ended afterwards.
pub(crate) fn in_process<T>(scenario: &Scenario, work: impl AsyncFnOnce(&Serving) -> Result<T>) -> Result<T> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("maitred.toml");
    fs::write(&file, toml::to_string(&spawn::config(scenario, &directory.path().join("data")))?)?;
    let config = config::load(Some(&file), iter::empty())?.config;
    let daemon = daemon::start(daemon::Options::new(config))?;
    let serving = Serving {
        quic: daemon.quic(),
        data_dir: daemon.data_dir().to_owned(),
        certificate: daemon.certificate().to_owned(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = LocalSet::new().block_on(&runtime, work(&serving));
    daemon.control().stop_now();
    daemon.wait()?;
    done
}

fn played(name: &str, set: &[&str], encoding: Encoding) -> Report {
    let set: Vec<_> = set.iter().map(|set| (*set).to_owned()).collect();
    let text = scenario::text(name).expect("it is built in");
    let scenario = Scenario::read(&text, &set).expect("it is right");
    let report = in_process(&scenario, async |serving| {
        let (options, colleagues) = serving.furnish(&scenario, encoding).await?;
        let plan = Plan { name: name.to_owned(), scenario: scenario.clone(), seed: 7, encoding };
        play(&plan, &options, &colleagues, None, None).await
    });
    report.expect("it was played")
}

#[test]
fn a_small_steady_load_is_served_whole_in_both_encodings() {
    for encoding in Encoding::ALL {
        let set = ["duration=300ms", "connections=2", "in_flight=4", "agents=6", "cap=3"];
        let report = played("steady", &set, encoding);
        assert!(report.is_good(), "{report}");
        assert_eq!(report.opened, report.closed, "{report}");
        assert_eq!((report.fallback, report.abandoned, report.refused), (0, 0, 0), "{report}");
    }
}

#[test]
fn silent_agents_are_passed_over_and_everybody_is_served() {
    let set =
        ["duration=500ms", "agents=20", "per_second=60", "silent=0.5", "workspace.accept_timeout=100ms"];
    let report = played("accept_timeout", &set, Encoding::Bincode);
    assert!(report.is_good(), "{report}");
    assert_eq!(report.opened, report.closed, "{report}");
    assert!(report.offers_timed_out > 0 && report.offered > report.opened, "{report}");
}

#[test]
fn who_is_to_come_again_stays_away_when_the_doors_close() {
    let once_an_hour = ["daemon.limits.visitor.openings=1", "daemon.limits.visitor.openings_per=1h"];
    let set = ["duration=300ms", "connections=2", "in_flight=4", "agents=6", "cap=3"];
    let began = std::time::Instant::now();
    let report = played("steady", &[&set[..], &once_an_hour[..]].concat(), Encoding::Bincode);
    assert!(report.refused > 0, "{report}");
    assert!(report.is_good() && report.opened == report.closed, "{report}");
    assert!(
        began.elapsed().as_secs() < 15,
        "it waited until nothing had happened for as long as the scenario allows"
    );
}

#[test]
fn passing_on_and_going_away_lose_nothing() {
    for name in ["transfer_storm", "agent_flap", "visitors_leave"] {
        let report = played(name, &["duration=500ms", "agents=20", "per_second=60"], Encoding::Bincode);
        assert!(report.is_good(), "{report}");
        assert_eq!(report.opened, report.closed + report.fallback + report.abandoned, "{report}");
    }
}
