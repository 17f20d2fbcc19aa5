//! What is still to be told outside: entries by key in a few trays, in one file beside the log, with how far of the log they stem
//! from. One change of it is all or nothing, so that what was taken from the log is in here once.
//!
//! Holds: the trays and the cursor. Knows: bytes, how far of the log was read. Never: what an entry means.
//! Start reading at: [`Outgoing`].

#[cfg(test)]
mod tests;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::AtomicBool},
};

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::{
    Position,
    archive::medium::Medium,
    disk::{Disk, DiskFile},
    error::Error,
};

/// The file.
const FILE: &str = "outgoing.db";
/// The same while it is begun.
const NEW: &str = "outgoing.new";
/// What a file becomes that can't be read.
const ASIDE: &str = "outgoing.damaged";
/// The only format so far.
const FORMAT: u32 = 1;
/// Memory for pages, in bytes.
const CACHE: usize = 8 << 20;

type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;

const ABOUT: TableDefinition<'static, &'static str, &'static [u8]> = TableDefinition::new("about");

/// One kind of entries. Keys are in the order of their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tray {
    /// To be sent.
    Waiting,
    /// Given up.
    Dead,
    /// What is known of what the log goes on about.
    Known,
    /// Where nothing is sent any more.
    Shut,
}

impl Tray {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Dead, Self::Known, Self::Shut];

    const fn table(self) -> Table {
        match self {
            Self::Waiting => TableDefinition::new("waiting"),
            Self::Dead => TableDefinition::new("dead"),
            Self::Known => TableDefinition::new("known"),
            Self::Shut => TableDefinition::new("shut"),
        }
    }
}

/// Changes that become durable together.
#[derive(Debug, Default)]
pub struct Changes {
    entries: Vec<(Tray, Vec<u8>, Option<Vec<u8>>)>,
    cursor: Option<Position>,
    rewind: bool,
}

impl Changes {
    /// Puts an entry in place of what had its key.
    pub fn put(&mut self, tray: Tray, key: impl Into<Vec<u8>>, value: Vec<u8>) {
        self.entries.push((tray, key.into(), Some(value)));
    }

    /// Takes an entry away; one that is not there is no harm.
    pub fn remove(&mut self, tray: Tray, key: impl Into<Vec<u8>>) {
        self.entries.push((tray, key.into(), None));
    }

    /// Whether nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.cursor.is_none() && !self.rewind
    }

    /// What stems from the log up to this record.
    #[must_use]
    pub fn up_to(cursor: Position) -> Self {
        Self { cursor: Some(cursor), ..Self::default() }
    }

    /// Forgets how far the log was read: it begins anew from its end.
    #[must_use]
    pub fn rewinding() -> Self {
        Self { rewind: true, ..Self::default() }
    }
}

/// What is still to be told outside.
pub struct Outgoing {
    base: Database,
}

impl Outgoing {
    /// Opens the file of a log, or begins it. One that is damaged or another log's is put aside, and said so: it must not keep the
    /// daemon from its work.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn open(disk: &dyn Disk, log: [u8; 16]) -> Result<Self, Error> {
        let names = disk.list().map_err(|e| Error::io("listing", "the data directory", e))?;
        if names.iter().any(|name| name == NEW) {
            disk.remove(NEW).map_err(|e| Error::io("removing", NEW, e))?;
        }
        if names.iter().any(|name| name == FILE) {
            match Self::adopt(disk, log) {
                Ok(outgoing) => return Ok(outgoing),
                Err(error) => {
                    tracing::error!(%error, kept_as = ASIDE, "what was still to be told outside can't be read: it is put aside, and new notifications go out");
                    disk.rename(FILE, ASIDE).map_err(|e| Error::io("naming", ASIDE, e))?;
                }
            }
        }
        let file = disk.create(NEW).map_err(|e| Error::io("creating", NEW, e))?;
        drop(Self::begin(file, log)?);
        let file = disk.open(NEW).map_err(|e| Error::io("opening", NEW, e))?;
        file.sync().map_err(|e| Error::io("syncing", NEW, e))?;
        disk.rename(NEW, FILE).map_err(|e| Error::io("naming", FILE, e))?;
        disk.sync_dir().map_err(|e| Error::io("syncing", "the data directory", e))?;
        Self::adopt(disk, log)
    }

    /// Whether a data directory has such a file.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn exists(disk: &dyn Disk) -> Result<bool, Error> {
        let names = disk.list().map_err(|e| Error::io("listing", "the data directory", e))?;
        Ok(names.iter().any(|name| name == FILE))
    }

    fn begin(file: Box<dyn DiskFile>, log: [u8; 16]) -> Result<Self, Error> {
        let outgoing = Self { base: database(file)? };
        unfallen("beginning", || {
            let transaction = outgoing.base.begin_write().map_err(|e| failed("beginning", e))?;
            for tray in Tray::ALL {
                transaction.open_table(tray.table()).map_err(|e| failed("beginning", e))?;
            }
            {
                let mut about = transaction.open_table(ABOUT).map_err(|e| failed("beginning", e))?;
                for (name, value) in [("format", &FORMAT.to_be_bytes()[..]), ("log", &log[..])] {
                    about.insert(name, value).map_err(|e| failed("beginning", e))?;
                }
            }
            transaction.commit().map_err(|e| failed("beginning", e))
        })?;
        Ok(outgoing)
    }

    fn adopt(disk: &dyn Disk, log: [u8; 16]) -> Result<Self, Error> {
        let file = disk.open(FILE).map_err(|e| Error::io("opening", FILE, e))?;
        let spoilt = |what: &str| Error::Spoilt { file: FILE, what: what.to_owned() };
        if file.length().map_err(|e| Error::io("reading", FILE, e))? == 0 {
            return Err(spoilt("it is empty"));
        }
        let outgoing = Self { base: database(file)? };
        match outgoing.about("format")?.as_deref().and_then(|bytes| bytes.try_into().ok()) {
            Some(found) if u32::from_be_bytes(found) == FORMAT => {}
            _ => return Err(spoilt("it does not say a format that this maitred knows")),
        }
        if outgoing.about("log")?.as_deref() != Some(&log[..]) {
            return Err(spoilt("it belongs to another log"));
        }
        Ok(outgoing)
    }

    /// How far of the log was taken in; `None`: nothing so far, it begins at the log's end.
    ///
    /// # Errors
    /// Damage, or whatever the disk says.
    pub fn cursor(&self) -> Result<Option<Position>, Error> {
        let cursor = self.about("cursor")?;
        Ok(cursor.and_then(|bytes| bytes.try_into().ok()).map(|bytes| Position(u64::from_be_bytes(bytes))))
    }

    /// Visits all entries of a tray, in the order of their keys.
    ///
    /// # Errors
    /// Damage, or whatever the disk says.
    pub fn walk(&self, tray: Tray, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Error> {
        unfallen("reading", || {
            let transaction = self.base.begin_read().map_err(|e| failed("reading", e))?;
            let table = transaction.open_table(tray.table()).map_err(|e| failed("reading", e))?;
            for entry in table.iter().map_err(|e| failed("reading", e))? {
                let (key, value) = entry.map_err(|e| failed("reading", e))?;
                visit(key.value(), check(key.value(), value.value())?);
            }
            Ok(())
        })
    }

    /// Makes changes durable, all or none.
    ///
    /// # Errors
    /// Whatever the disk says: then nothing of it has happened.
    pub fn commit(&self, changes: &Changes) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        unfallen("changing", || {
            let mut transaction = self.base.begin_write().map_err(|e| failed("changing", e))?;
            transaction.set_quick_repair(true);
            for tray in Tray::ALL {
                let mut entries = changes.entries.iter().filter(|(of, ..)| *of == tray).peekable();
                if entries.peek().is_none() {
                    continue;
                }
                let mut table = transaction.open_table(tray.table()).map_err(|e| failed("changing", e))?;
                for (_, key, value) in entries {
                    match value {
                        Some(value) => {
                            let sealed = seal(key, value);
                            table.insert(&key[..], &sealed[..]).map_err(|e| failed("changing", e))?;
                        }
                        None => {
                            table.remove(&key[..]).map_err(|e| failed("changing", e))?;
                        }
                    }
                }
            }
            if changes.cursor.is_some() || changes.rewind {
                let mut about = transaction.open_table(ABOUT).map_err(|e| failed("changing", e))?;
                match changes.cursor {
                    Some(cursor) => about.insert("cursor", &cursor.get().to_be_bytes()[..]),
                    None => about.remove("cursor"),
                }
                .map_err(|e| failed("changing", e))?;
            }
            transaction.commit().map_err(|e| failed("changing", e))
        })
    }

    fn about(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        unfallen("reading", || {
            let transaction = self.base.begin_read().map_err(|e| failed("reading", e))?;
            let about = transaction.open_table(ABOUT).map_err(|e| failed("reading", e))?;
            let value = about.get(name).map_err(|e| failed("reading", e))?;
            Ok(value.map(|value| value.value().to_vec()))
        })
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outgoing")
    }
}

fn database(file: Box<dyn DiskFile>) -> Result<Database, Error> {
    let medium = Medium { file, retired: Arc::new(AtomicBool::new(false)) };
    unfallen("opening", || {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE);
        builder.create_with_backend(medium).map_err(|e| failed("opening", e))
    })
}

/// A value with the checksum of itself and its key behind it, as the library does not check what it reads.
fn seal(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(value.len() + 4);
    sealed.extend_from_slice(value);
    sealed.extend_from_slice(&sum(key, value).to_le_bytes());
    sealed
}

fn check<'a>(key: &[u8], sealed: &'a [u8]) -> Result<&'a [u8], Error> {
    match sealed.split_last_chunk::<4>() {
        Some((value, found)) if u32::from_le_bytes(*found) == sum(key, value) => Ok(value),
        _ => Err(Error::Spoilt { file: FILE, what: "an entry is not what was written there".to_owned() }),
    }
}

fn sum(key: &[u8], value: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), value)
}

fn failed(doing: &'static str, error: impl Into<redb::Error>) -> Error {
    match error.into() {
        redb::Error::Io(source) if source.kind() != std::io::ErrorKind::InvalidData => {
            Error::io(doing, FILE, source)
        }
        other => Error::Spoilt { file: FILE, what: format!("{doing} it failed: {other}") },
    }
}

/// The library panics at some damage that it does not look for; here that is an error like any other.
fn unfallen<T>(doing: &'static str, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::Spoilt { file: FILE, what: format!("{doing} it, the library fell") }))
}
