//! `version`.

use std::io::{self, Write as _};

use serde_json::json;

use super::failure::Failure;
use crate::{metrics, protocol};

/// What may follow the verb.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let (version, revision) = (metrics::VERSION, metrics::REVISION);
    let mut out = io::stdout().lock();
    if args.json {
        let object = json!({ "version": version, "revision": revision, "protocol": protocol::VERSION });
        writeln!(out, "{object}")?;
    } else {
        writeln!(out, "maitred {version} (revision {revision}, protocol {})", protocol::VERSION)?;
    }
    Ok(())
}
