//! A look at a data directory that no daemon uses, under the daemon's own lock.

use std::{io, path::Path, sync::Arc};

use serde::Serialize;

use super::Error;
use crate::{
    actors::{
        boot::Recovered,
        export::{self, Exported},
    },
    journal::{self, Archive, Disk, Log, Position, disk::RealDisk},
    routing::conversation::Phase,
};

/// What a directory holds.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// The first record of the log.
    pub first: Position,
    /// The last one.
    pub last: Position,
    /// Bytes of an unfinished, never acknowledged end that were cut off.
    pub cut_bytes: u64,
    /// How far the archive covers the log.
    pub covered: Position,
    /// Entries of the archive.
    pub entries: u64,
    /// Conversations that are not closed.
    pub open: usize,
}

/// One line of an export.
#[derive(Serialize)]
struct Line<'a> {
    position: Position,
    workspace: &'a str,
    entry: &'a crate::routing::recovery::Entry,
}

/// Reads everything, as a start does, and compares it with its checksums.
///
/// # Errors
/// What a start would refuse, and whatever else does not fit.
pub fn verify(directory: &Path) -> Result<Found, Error> {
    let at = |source| Error::Journal { directory: directory.to_owned(), source };
    let (archive, log, recovery, recovered) = open(directory)?;
    let entries = archive.verify().map_err(at)?;
    export::each_archived(&archive, &mut |_| Ok(())).map_err(|trouble| Error::Log(trouble.to_string()))?;
    let machines = recovered.spaces.values().flat_map(|space| space.world.conversations.values());
    let open = machines.filter(|machine| machine.phase() != Some(Phase::Closed)).count();
    drop(log);
    Ok(Found {
        first: recovery.first,
        last: recovery.last,
        cut_bytes: recovery.cut_bytes,
        covered: archive.covered(),
        entries,
        open,
    })
}

/// Writes every record as a line of JSON: what the archive keeps, conversation by conversation, then what only the log has.
///
/// # Errors
/// As [`verify`], or what the output says.
pub fn export(directory: &Path, out: &mut dyn io::Write) -> Result<(), Error> {
    let (archive, log, recovery, _) = open(directory)?;
    let mut write = |exported: &Exported| {
        let Exported { position, workspace, entry } = exported;
        serde_json::to_writer(
            &mut *out,
            &Line { position: *position, workspace: workspace.as_str(), entry },
        )?;
        out.write_all(b"\n")
    };
    let failed = |trouble: export::Failed| match trouble {
        export::Failed::Output(source) => Error::Io { what: "the export".to_owned(), source },
        other => Error::Log(other.to_string()),
    };
    export::each_archived(&archive, &mut write).map_err(failed)?;
    let from = Position::new(archive.covered().get() + 1);
    export::each_in_log(&log, from, recovery.last, &mut write).map_err(failed)?;
    out.flush().map_err(|source| Error::Io { what: "the export".to_owned(), source })
}

fn open(directory: &Path) -> Result<(Archive, Log, journal::Recovery, Recovered), Error> {
    let at = |source| Error::Journal { directory: directory.to_owned(), source };
    let disk = RealDisk::open(directory).map_err(|source| Error::Io {
        what: format!("can't use the data directory {}", directory.display()),
        source,
    })?;
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let lock = journal::Lock::take(&*disk).map_err(at)?;
    let archive = Archive::open(Arc::clone(&disk)).map_err(at)?;
    let mut recovered = Recovered::from_archive(&archive).map_err(at)?;
    let mut replay = |record: journal::Record<'_>| recovered.take_in(record);
    let (log, recovery) =
        Log::open_locked(disk, lock, journal::Options::default(), &mut replay).map_err(at)?;
    archive.belongs_to(log.id(), &recovery).map_err(at)?;
    match recovered.trouble.take() {
        Some(trouble) => Err(Error::Log(trouble)),
        None => Ok((archive, log, recovery, recovered)),
    }
}
