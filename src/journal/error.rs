//! What can go wrong with the log, and what the operator can do about it.

use std::io;

use super::Position;

/// Why the log did not open, did not write or did not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process has the directory open.
    #[error("the data directory is in use by another maitred; stop that one first")]
    Locked,
    /// The files were written by a later version.
    #[error(
        "{file} has log format {found}, but this maitred knows formats up to {known}; run the newer version again"
    )]
    Newer {
        /// The file.
        file: String,
        /// Its format.
        found: u32,
        /// The newest format that this version reads.
        known: u32,
    },
    /// Bytes that were once synced are no longer what they were. Nothing has been changed on the disk.
    #[error(
        "{file} is damaged at offset {offset}: {what}; records up to {durable} were synced, but the log can be read \
         only up to the one before {position}; restore the data directory from a backup"
    )]
    Damaged {
        /// The file.
        file: String,
        /// Where in the file, in bytes.
        offset: u64,
        /// The first record that cannot be read.
        position: Position,
        /// The last record known to have been synced.
        durable: Position,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A file that must be there is not. Nothing has been changed on the disk.
    #[error("{file} is missing: {what}; restore the data directory from a backup")]
    Missing {
        /// The file.
        file: String,
        /// How that is known.
        what: String,
    },
    /// A file is there that does not belong: a copy, or one of another log. Nothing has been changed on the disk.
    #[error("{file} does not belong here: {what}; move it out of the data directory")]
    Foreign {
        /// The file.
        file: String,
        /// How that is known.
        what: String,
    },
    /// No space left for the log.
    #[error("the disk is full while {doing} {file}; free some space and start again: {source}")]
    Full {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system refused.
    #[error("{doing} {file} failed: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A record is larger than [`super::Options::payload_max`].
    #[error("a record of {length} bytes is over the limit of {limit}")]
    TooLarge {
        /// Bytes of its payload.
        length: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// No record has this position yet.
    #[error("record {position} was never appended; the newest is {newest}")]
    Unknown {
        /// The position asked for.
        position: Position,
        /// The newest that there is.
        newest: Position,
    },
    /// The record has been cut off the beginning of the log.
    #[error("record {position} is no longer in the log, which begins at {begin}")]
    Forgotten {
        /// The position asked for.
        position: Position,
        /// The first that is kept.
        begin: Position,
    },
    /// An entry of the archive is not what was written, or the archive and the log do not go together.
    #[error("{file} is damaged: {what}; restore the data directory from a backup")]
    Spoilt {
        /// The file.
        file: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// The archive could not be read or written.
    #[error("{doing} the archive failed: {what}")]
    Archive {
        /// What was being done.
        doing: &'static str,
        /// What its library said.
        what: String,
    },
    /// The settings contradict each other.
    #[error("journal settings: {0}")]
    Options(String),
    /// The log has failed before, or is closed: nothing is acknowledged any more.
    #[error("the log has stopped; start maitred again to recover from the disk")]
    Stopped,
}

impl Error {
    /// Whether the files themselves are at fault, so that the daemon refuses to start (exit code 78) and a restart
    /// would not help.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Newer { .. }
                | Self::Damaged { .. }
                | Self::Missing { .. }
                | Self::Foreign { .. }
                | Self::Spoilt { .. }
        )
    }

    /// Whether there was no space left.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    pub(super) fn io(doing: &'static str, file: &str, source: io::Error) -> Self {
        let file = file.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { doing, file, source },
            _ => Self::Io { doing, file, source },
        }
    }
}
