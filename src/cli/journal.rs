//! `journal verify|export`: looking at a data directory while no daemon uses it.

use std::{io, path::PathBuf};

use super::{failure::Failure, show, socket::Door};
use crate::daemon;

/// What to do with the log and the archive of a directory that no daemon uses.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Read everything as a start would, and compare it with its checksums
    Verify(Args),
    /// Print everything that is recorded as JSON lines: the archive first, then the log
    Export(Args),
}

/// Which directory.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    door: Door,
}

pub(super) fn run(verb: &Verb) -> Result<(), Failure> {
    match verb {
        Verb::Verify(args) => {
            let directory = args.directory()?;
            let found = daemon::inspect::verify(&directory)?;
            show::facts(&[
                ("directory", Some(directory.display().to_string())),
                ("log", Some(format!("records {} to {}", found.first, found.last))),
                ("cut off", (found.cut_bytes > 0).then(|| format!("{} unfinished bytes", found.cut_bytes))),
                ("archive", Some(format!("records up to {}, {} entries", found.covered, found.entries))),
                ("conversations", Some(format!("{} that are not over", found.open))),
            ])
        }
        Verb::Export(args) => {
            let mut out = io::BufWriter::new(io::stdout().lock());
            match daemon::inspect::export(&args.directory()?, &mut out) {
                Err(daemon::Error::Io { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => {
                    Err(Failure::Unread)
                }
                done => Ok(done?),
            }
        }
    }
}

impl Args {
    fn directory(&self) -> Result<PathBuf, Failure> {
        let directory = self.door.data_dir()?;
        if directory.is_dir() {
            return Ok(directory);
        }
        Err(Failure::Usage(format!("{} is not there", directory.display())))
    }
}
