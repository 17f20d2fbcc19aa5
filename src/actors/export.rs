//! Every record that is kept, one by one, for people and other programs.

use std::{io, ops::ControlFlow};

use super::stored::{self, Unreadable};
use crate::{
    codec::{self, CodecError},
    ids::WorkspaceId,
    journal::{self, Archive, Log, Position, Shelf},
    routing::recovery::Entry,
};

/// One record.
#[derive(Debug)]
pub struct Exported {
    /// Where it is or was in the log.
    pub position: Position,
    /// Whose.
    pub workspace: WorkspaceId,
    /// What.
    pub entry: Entry,
}

/// Why an export ended.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// Whoever takes the records.
    #[error(transparent)]
    Output(#[from] io::Error),
    /// The log or the archive.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// An entry of the archive.
    #[error("{0}")]
    Archive(String),
    /// A record.
    #[error("a record is not one of maitred's: {0}")]
    Codec(#[from] CodecError),
}

impl From<Unreadable> for Failed {
    fn from(trouble: Unreadable) -> Self {
        Self::Archive(trouble.to_string())
    }
}

/// Who takes the records.
type Take<'a> = dyn FnMut(&Exported) -> io::Result<()> + 'a;

/// All conversations' records of the archive, conversation by conversation.
///
/// # Errors
/// What can't be read, or what `take` says.
pub fn each_archived(archive: &Archive, take: &mut Take<'_>) -> Result<(), Failed> {
    let mut failed = None;
    archive.view()?.walk(Shelf::Records, &[], &mut |_, chunk| {
        let each = stored::each_in_chunk(chunk, &mut |position, _, payload| {
            failed = one(position, payload, take).err();
            if failed.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if let Err(trouble) = each {
            failed = Some(trouble.into());
        }
        if failed.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    failed.map_or(Ok(()), Err)
}

/// The records of the log from one to another, both included.
///
/// # Errors
/// What can't be read, or what `take` says.
pub fn each_in_log(log: &Log, from: Position, to: Position, take: &mut Take<'_>) -> Result<(), Failed> {
    let mut failed = None;
    log.walk(from, to, &mut |record| {
        failed = one(record.position, record.payload, take).err();
        if failed.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    failed.map_or(Ok(()), Err)
}

fn one(position: Position, payload: &[u8], take: &mut Take<'_>) -> Result<(), Failed> {
    let (workspace, entry) = codec::from_log::<(WorkspaceId, Entry)>(payload)?;
    Ok(take(&Exported { position, workspace, entry })?)
}
