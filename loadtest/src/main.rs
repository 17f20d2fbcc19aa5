//! The `maitred-loadtest` binary: real visitors and agents over QUIC, and an audit of what came back.
//!
//! The way of a run: `scenario` (what to play) → `spawn` (a daemon for it, if wanted) → `floor` (visitors and agents, no
//! I/O) with `pump` and `link` (their connections) → `audit` and `tally` (what was seen) → `report`. `run` is the order of
//! it all; `selftest` puts `proxy` in between, to show that the audit would have noticed.

mod audit;
mod floor;
mod link;
mod proxy;
mod pump;
mod report;
mod run;
mod scenario;
mod selftest;
mod spawn;
mod stalled;
mod tally;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand, ValueEnum};
use maitred::{
    client::{Ca, Options},
    protocol::Encoding,
};

use crate::{
    report::Report,
    run::{Against, Plan},
    scenario::Scenario,
};

// Made and freed are many small things: this is the cheaper allocator for them.
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A promise was seen broken, or nothing was opened.
const BROKEN: u8 = 1;
/// The command line or the scenario is wrong.
const USAGE: u8 = 2;
/// The daemon can't be reached or started.
const UNREACHABLE: u8 = 69;

#[derive(Parser)]
#[command(name = "maitred-loadtest", version, about, long_about = None)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Plays a scenario against a daemon; exit code 1 if a promise was broken
    Run(RunArgs),
    /// Lists the built-in scenarios
    List,
    /// Prints a scenario, as a start for one's own
    Show {
        /// Its name, or a TOML file
        scenario: String,
    },
    /// Shows that the audit notices what goes wrong; exit code 1 if it does not
    Selftest {
        /// The daemon's program; otherwise the one next to this program
        #[arg(long, value_name = "FILE")]
        daemon: Option<PathBuf>,
        /// What chance comes from
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How messages are written
        #[arg(long, value_enum, default_value_t = Written::Bincode)]
        encoding: Written,
    },
}

#[derive(Args)]
struct RunArgs {
    /// A built-in scenario's name, or a TOML file
    scenario: String,
    /// A daemon that is there: host:port
    #[arg(long, value_name = "ADDRESS", conflicts_with = "spawn", requires_all = ["token", "trust"])]
    connect: Option<String>,
    /// A frontend's token
    #[arg(long, env = "MAITRED_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The daemon's certificate, or its authority's: a PEM file, or a fingerprint
    #[arg(long, value_name = "FILE", group = "trust")]
    ca: Option<String>,
    /// The fingerprint of the daemon's certificate
    #[arg(long, value_name = "HEX", group = "trust")]
    fingerprint: Option<String>,
    /// Start a daemon for this run, and end it
    #[arg(long, required_unless_present = "connect")]
    spawn: bool,
    /// The daemon's program; otherwise the one next to this program
    #[arg(long, value_name = "FILE", requires = "spawn")]
    daemon: Option<PathBuf>,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    json: bool,
    /// How long visitors keep coming, such as 10s or 5m
    #[arg(long)]
    duration: Option<String>,
    /// What chance comes from; the same seed gives the same choices
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Another value for a key of the scenario; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// How messages are written
    #[arg(long, value_enum, default_value_t = Written::Bincode)]
    encoding: Written,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Written {
    Bincode,
    Json,
}

impl From<Written> for Encoding {
    fn from(written: Written) -> Self {
        match written {
            Written::Bincode => Self::Bincode,
            Written::Json => Self::Json,
        }
    }
}

fn main() -> ExitCode {
    let code = match Cli::parse().verb {
        Verb::Run(args) => run_verb(&args),
        Verb::List => {
            for (name, about) in scenario::list() {
                println!("{name:<20} {about}");
            }
            Ok(0)
        }
        Verb::Show { scenario } => scenario::text(&scenario)
            .map(|text| {
                print!("{text}");
                0
            })
            .map_err(|wrong| Failure { code: USAGE, said: wrong.to_string() }),
        Verb::Selftest { daemon, seed, encoding } => {
            on_this_thread(selftest::run(daemon.as_deref(), encoding.into(), seed)).map(|(table, good)| {
                print!("{table}");
                if good { 0 } else { BROKEN }
            })
        }
    };
    code.unwrap_or_else(|failure| {
        eprintln!("error: {}", failure.said);
        failure.code
    })
    .into()
}

struct Failure {
    code: u8,
    said: String,
}

impl Failure {
    fn unreachable(error: &anyhow::Error) -> Self {
        Self { code: UNREACHABLE, said: format!("{error:#}") }
    }
}

impl From<scenario::Wrong> for Failure {
    fn from(wrong: scenario::Wrong) -> Self {
        Self { code: USAGE, said: wrong.to_string() }
    }
}

fn run_verb(args: &RunArgs) -> Result<u8, Failure> {
    let mut set = args.set.clone();
    set.extend(args.duration.as_ref().map(|duration| format!("duration={duration}")));
    let scenario = Scenario::read(&scenario::text(&args.scenario)?, &set)?;
    let encoding = args.encoding.into();
    let plan = Plan { name: args.scenario.clone(), scenario, seed: args.seed, encoding };
    let trusted = args.ca.as_deref().or(args.fingerprint.as_deref());
    let against = match (&args.connect, &args.token, trusted) {
        (Some(address), Some(token), Some(trusted)) => {
            let ca: Ca = trusted.parse().unwrap_or_else(|never: std::convert::Infallible| match never {});
            Against::Running(Options { encoding, ..Options::new(address, ca, token) })
        }
        _ => Against::Own(args.daemon.clone()),
    };
    let report = on_this_thread(run::run(&plan, against))?;
    show(&report, args.json)?;
    Ok(if report.is_good() { 0 } else { BROKEN })
}

fn show(report: &Report, json: bool) -> Result<(), Failure> {
    if json {
        let line = serde_json::to_string(report)
            .map_err(|error| Failure { code: BROKEN, said: error.to_string() })?;
        for remark in &report.remarks {
            eprintln!("{remark}");
        }
        println!("{line}");
    } else {
        print!("{report}");
    }
    Ok(())
}

/// Everything runs on one thread: the daemon shall have the rest of the machine.
fn on_this_thread<T>(work: impl Future<Output = anyhow::Result<T>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure { code: UNREACHABLE, said: error.to_string() })?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, work).map_err(|error| Failure::unreachable(&error))
}
