//! `check-config`: everything that is wrong with a file, at once; nothing is started.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use super::failure::Failure;
use crate::config;

/// What may follow the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "The environment (MAITRED__SECTION__KEY) counts, as it does for serve. \
    Exit code 78 if anything is wrong; warnings stop nothing.")]
pub(super) struct Args {
    /// The configuration file; without one, the built-in default is checked with the environment over it
    file: Option<PathBuf>,
    /// Print what holds after all layers, as a file that has every key
    #[arg(long)]
    print_effective: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let loaded = config::check(args.file.as_deref())?;
    for warning in &loaded.warnings {
        // Apart from the answer, which may be read by a program.
        let _ = writeln!(io::stderr(), "{warning}\n");
    }
    let mut out = io::stdout().lock();
    if args.print_effective {
        write!(out, "{}", loaded.config.effective_toml())?;
        return Ok(());
    }
    let name =
        args.file.as_ref().map_or("the built-in configuration".to_owned(), |file| file.display().to_string());
    let workspaces = &loaded.config.workspaces;
    let groups = workspaces.iter().map(|workspace| workspace.groups.len()).sum();
    let agents = workspaces.iter().map(|workspace| workspace.agents.len()).sum();
    let counts = [(workspaces.len(), "workspace"), (groups, "group"), (agents, "agent")]
        .map(|(count, noun)| counted(count, noun))
        .join(", ");
    let warnings = match loaded.warnings.len() {
        0 => String::new(),
        count => format!("; {}", counted(count, "warning")),
    };
    writeln!(out, "{name} can be used: {counts}{warnings}")?;
    Ok(())
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
