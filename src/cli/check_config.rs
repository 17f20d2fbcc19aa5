//! `check-config`: everything that is wrong with a file, at once, and what a reload of it would do; nothing is started.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use serde::Serialize;

mod against;

use self::against::{Access, Outlook};
use super::{block_on, failure::Failure, show};
use crate::{
    config::{self, Config, Problem},
    daemon,
};

/// What may follow the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "The environment (MAITRED__SECTION__KEY) counts, as it does for serve. \
    Exit code 78 if anything is wrong; warnings stop nothing, unless --deny-warnings says so.")]
pub(super) struct Args {
    /// The configuration file; without one, the built-in default is checked with the environment over it
    file: Option<PathBuf>,
    /// Print what holds after all layers, as a file that has every key
    #[arg(long, conflicts_with_all = ["json", "against"])]
    print_effective: bool,
    /// As one JSON object: errors, warnings, and what --against found
    #[arg(long)]
    json: bool,
    /// Exit with 78 for warnings too
    #[arg(long)]
    deny_warnings: bool,
    /// Say what a reload of this file would do to the daemon that runs there: its data directory, its Unix socket, or its
    /// HOST:PORT. It is asked, and not changed
    #[arg(long, value_name = "PLACE")]
    against: Option<String>,
    #[command(flatten)]
    access: Access,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    usable: bool,
    errors: Vec<Told<'a>>,
    warnings: Vec<Told<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<Outlook>,
}

/// A problem, for programs.
#[derive(Serialize)]
struct Told<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    message: &'a str,
    expected: &'a str,
    help: &'a str,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let (config, problems) = match config::check(args.file.as_deref()) {
        Ok(loaded) => (Some(loaded.config), loaded.warnings),
        Err(problems) => (None, problems.iter().cloned().collect()),
    };
    let outlook = match (&args.against, &config) {
        (Some(place), Some(config)) => Some(block_on(against::look(place, &args.access, config))?),
        _ => None,
    };
    let (warnings, errors): (Vec<&Problem>, Vec<&Problem>) =
        problems.iter().partition(|problem| problem.warning);
    let denied = config.is_none() || args.deny_warnings && !warnings.is_empty();
    if args.json {
        let report = Report {
            usable: config.is_some(),
            errors: errors.iter().copied().map(Told::from).collect(),
            warnings: warnings.iter().copied().map(Told::from).collect(),
            against: outlook,
        };
        show::json(&report)?;
    } else {
        // Apart from the answer, which may be read by a program; errors first.
        for problem in errors.iter().chain(&warnings) {
            let _ = writeln!(io::stderr(), "{problem}\n");
        }
        if let Some(config) = &config {
            // Secrets and certificates may be on another machine than the one where a file is checked.
            if let Err(error) = daemon::notify::rules(config) {
                let _ =
                    writeln!(io::stderr(), "warning: a start on this machine would be refused: {error}\n");
            }
            answer(args, config, warnings.len())?;
        }
        if let Some(outlook) = &outlook {
            outlook.tell()?;
        }
    }
    if denied {
        return Err(Failure::Checked { errors: errors.len(), warnings: warnings.len() });
    }
    Ok(())
}

fn answer(args: &Args, config: &Config, warnings: usize) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if args.print_effective {
        write!(out, "{}", config.effective_toml())?;
        return Ok(());
    }
    let name =
        args.file.as_ref().map_or("the built-in configuration".to_owned(), |file| file.display().to_string());
    let workspaces = &config.workspaces;
    let groups = workspaces.iter().map(|workspace| workspace.groups.len()).sum();
    let agents = workspaces.iter().map(|workspace| workspace.agents.len()).sum();
    let counts = [(workspaces.len(), "workspace"), (groups, "group"), (agents, "agent")]
        .map(|(count, noun)| counted(count, noun))
        .join(", ");
    let warnings = match warnings {
        0 => String::new(),
        count => format!("; {}", counted(count, "warning")),
    };
    writeln!(out, "{name} can be used: {counts}{warnings}")?;
    Ok(())
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

impl<'a> From<&'a Problem> for Told<'a> {
    fn from(problem: &'a Problem) -> Self {
        let Problem { file, line, column, message, expected, help, .. } = problem;
        Self { file, line: *line, column: *column, message, expected, help }
    }
}
