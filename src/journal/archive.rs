//! What is kept of the log when its segments are gone: entries by key on a few shelves, in one file, each edit all or nothing.
//!
//! Holds: the shelves, the seam between the library (redb) and the disk. Knows: bytes, and how far of the log an edit covers.
//! Never: what an entry means. Start reading at: [`Archive`].

pub(super) mod medium;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    ops::{Bound, ControlFlow},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use redb::{
    Database, ReadTransaction, ReadableDatabase as _, ReadableTable, TableDefinition, WriteTransaction,
};

use self::medium::Medium;
use super::{
    Position, Recovery,
    disk::{Disk, DiskFile},
    error::Error,
};

/// The archive's file.
pub(super) const FILE: &str = "archive.db";
/// The same while it is made, or made anew.
const NEW: &str = "archive.new";
/// The only format so far.
const FORMAT: u32 = 1;
/// Memory for pages that were read or are to be written, in bytes.
const CACHE: usize = 16 << 20;
/// Entries that are moved in one go when the file is made anew.
const MOVED_AT_ONCE: usize = 4_096;

type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// How far of the log is in here, which log that is, and in which format.
const ABOUT: TableDefinition<'static, &'static str, &'static [u8]> = TableDefinition::new("about");

/// Is shown entries, key and value, until it breaks off.
type EachEntry<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// One kind of entries. Keys are in the order of their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// Records of the log, in chunks.
    Records,
    /// The newest state of what is not over.
    States,
    /// A line about each thing that is over.
    Rows,
    /// Who had what.
    Visitors,
}

impl Shelf {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Records, Self::States, Self::Rows, Self::Visitors];

    const fn table(self) -> Table {
        match self {
            Self::Records => TableDefinition::new("records"),
            Self::States => TableDefinition::new("states"),
            Self::Rows => TableDefinition::new("rows"),
            Self::Visitors => TableDefinition::new("visitors"),
        }
    }
}

/// The archive. Clones are handles to the same; any thread may look at it while one edits it.
#[derive(Clone)]
pub struct Archive(Arc<Inner>);

struct Inner {
    disk: Arc<dyn Disk>,
    base: RwLock<Arc<Library>>,
    covered: AtomicU64,
    /// Somebody waits for records up to this one to be moved.
    wanted: AtomicU64,
    /// When records were last taken in, since it was opened.
    edited: Mutex<Instant>,
}

/// The library with the file open; what is read or edited holds it, since it ends with the last of them.
struct Library {
    base: Database,
    /// The file was opened anew since: what this one still wants to write goes nowhere.
    retired: Arc<AtomicBool>,
}

/// What the archive holds at one moment.
pub struct View {
    transaction: ReadTransaction,
    /// The library closes the file with the last who has it open.
    _library: Arc<Library>,
}

/// Changes that become durable together.
pub struct Edit {
    archive: Archive,
    transaction: WriteTransaction,
    _library: Arc<Library>,
}

impl Archive {
    /// Opens the archive of a directory, or begins one there. The directory must be locked.
    ///
    /// # Errors
    /// Damage (see [`Error::is_damage`]), or whatever the disk says.
    pub fn open(disk: Arc<dyn Disk>) -> Result<Self, Error> {
        let names = disk.list().map_err(|e| Error::io("listing", "the data directory", e))?;
        if names.iter().any(|name| name == NEW) {
            disk.remove(NEW).map_err(|e| Error::io("removing", NEW, e))?;
        }
        if !names.iter().any(|name| name == FILE) {
            drop(begin(&*disk)?);
            adopt(&*disk)?;
        }
        let base = open_file(&*disk)?;
        let archive = Self(Arc::new(Inner {
            disk,
            base: RwLock::new(base),
            covered: AtomicU64::new(0),
            wanted: AtomicU64::new(0),
            edited: Mutex::new(Instant::now()),
        }));
        let covered = archive.view()?.covered()?;
        archive.0.covered.store(covered.get(), Ordering::Release);
        Ok(archive)
    }

    /// All records of the log up to this one are in here, as far as they are to be kept.
    #[must_use]
    pub fn covered(&self) -> Position {
        Position(self.0.covered.load(Ordering::Acquire))
    }

    /// Asks whoever edits the archive to take records up to this one in soon.
    pub fn want(&self, position: Position) {
        self.0.wanted.fetch_max(position.get(), Ordering::AcqRel);
    }

    /// How far somebody wants it to come soon.
    #[must_use]
    pub fn wanted(&self) -> Position {
        Position(self.0.wanted.load(Ordering::Acquire))
    }

    /// How long ago records were last taken in, or it was opened.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.0.edited.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Checks that this archive and a log that was just opened go together, and remembers the log if the archive is new.
    ///
    /// # Errors
    /// [`Error::Spoilt`] or [`Error::Missing`] if records are in neither, or the two are of different logs.
    pub fn belongs_to(&self, log: [u8; 16], recovery: &Recovery) -> Result<(), Error> {
        let covered = self.covered();
        let spoilt = |what: String| Err(Error::Spoilt { file: FILE, what });
        match self.view()?.about("log")? {
            Some(mine) if mine != log => return spoilt("it belongs to another log".to_owned()),
            Some(_) => {}
            None if recovery.first.get() > 1 => {
                let what = format!("records before {} are not in the log any more", recovery.first);
                return Err(Error::Missing { file: FILE.to_owned(), what });
            }
            None => {
                let edit = self.edit()?;
                edit.note("log", &log)?;
                edit.commit(Position::ZERO)?;
            }
        }
        if covered.get() + 1 < recovery.first.get() {
            return spoilt(format!("it ends at record {covered}, but the log begins at {}", recovery.first));
        }
        if covered > recovery.last {
            return spoilt(format!("it knows record {covered}, but the log ends at {}", recovery.last));
        }
        Ok(())
    }

    /// Looks at what is there now.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn view(&self) -> Result<View, Error> {
        let base = Arc::clone(&self.0.base.read().unwrap_or_else(PoisonError::into_inner));
        let transaction = unfallen("reading", || base.base.begin_read().map_err(|e| failed("reading", e)))?;
        Ok(View { transaction, _library: base })
    }

    /// Begins an edit. There is one at a time; another call waits for the end of the first.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn edit(&self) -> Result<Edit, Error> {
        let base = Arc::clone(&self.0.base.read().unwrap_or_else(PoisonError::into_inner));
        let transaction = unfallen("changing", || {
            let mut transaction = base.base.begin_write().map_err(|e| failed("changing", e))?;
            // So that the start after a kill need not read the whole file.
            transaction.set_quick_repair(true);
            Ok(transaction)
        })?;
        Ok(Edit { archive: self.clone(), transaction, _library: base })
    }

    /// Opens the file again, as has to be done after an error: what was committed is there, and nothing else.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub fn reopen(&self) -> Result<(), Error> {
        let mut base = self.0.base.write().unwrap_or_else(PoisonError::into_inner);
        base.retired.store(true, Ordering::Release);
        *base = open_file(&*self.0.disk)?;
        Ok(())
    }

    /// Whether bytes that were removed still have to leave the file: see [`Edit::soil`].
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn is_soiled(&self) -> Result<bool, Error> {
        Ok(self.view()?.raw_about("soiled")?.is_some())
    }

    /// Makes the file anew from what is in it, so that nothing is left of what was removed. Takes as much space again while it
    /// runs, and must not run beside an edit. Whoever looks meanwhile sees what was there before.
    ///
    /// # Errors
    /// Whatever the disk says; the old file stays then.
    pub fn renew(&self) -> Result<(), Error> {
        let view = self.view()?;
        let new = begin(&*self.0.disk)?;
        for shelf in Shelf::ALL {
            move_shelf(&view, &new.base, shelf)?;
        }
        let abouts = ["log", "covered"].map(|name| (name, view.raw_about(name)));
        let transaction = new.base.begin_write().map_err(|e| failed("renewing", e))?;
        for (name, value) in abouts {
            if let Some(value) = value? {
                put_about(&transaction, name, &value)?;
            }
        }
        transaction.commit().map_err(|e| failed("renewing", e))?;
        drop((view, new));
        let mut base = self.0.base.write().unwrap_or_else(PoisonError::into_inner);
        adopt(&*self.0.disk)?;
        *base = open_file(&*self.0.disk)?;
        Ok(())
    }

    /// Bytes of the file.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn bytes(&self) -> Result<u64, Error> {
        let file = self.0.disk.open(FILE).map_err(|e| Error::io("opening", FILE, e))?;
        file.length().map_err(|e| Error::io("reading", FILE, e))
    }

    /// Reads everything and compares it with its checksums; says how many entries there are.
    ///
    /// # Errors
    /// [`Error::Spoilt`], or whatever the disk says.
    pub fn verify(&self) -> Result<u64, Error> {
        let view = self.view()?;
        let mut entries = 0;
        for shelf in Shelf::ALL {
            view.walk(shelf, &[], &mut |_, _| {
                entries += 1;
                ControlFlow::Continue(())
            })?;
        }
        Ok(entries)
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").field("covered", &self.covered()).finish_non_exhaustive()
    }
}

impl View {
    /// All records of the log up to this one are in it.
    ///
    /// # Errors
    /// As [`View::get`].
    pub fn covered(&self) -> Result<Position, Error> {
        let bytes: Option<[u8; 8]> = self.about("covered")?;
        Ok(Position(bytes.map_or(0, u64::from_be_bytes)))
    }

    /// The entry of this key.
    ///
    /// # Errors
    /// [`Error::Spoilt`], or whatever the disk says.
    pub fn get(&self, shelf: Shelf, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        unfallen("reading", || {
            let table = self.transaction.open_table(shelf.table()).map_err(|e| failed("reading", e))?;
            get(&table, key)
        })
    }

    /// Visits the entries whose keys begin with `prefix`, in order, until `visit` has enough.
    ///
    /// # Errors
    /// As [`View::get`].
    pub fn walk(&self, shelf: Shelf, prefix: &[u8], visit: &mut EachEntry<'_>) -> Result<(), Error> {
        self.walk_after(shelf, prefix, &[], visit)
    }

    /// As [`View::walk`], from the first key on that is after `after` (nothing: from the first).
    ///
    /// # Errors
    /// As [`View::get`].
    pub fn walk_after(
        &self,
        shelf: Shelf,
        prefix: &[u8],
        after: &[u8],
        visit: &mut EachEntry<'_>,
    ) -> Result<(), Error> {
        unfallen("reading", || {
            let table = self.transaction.open_table(shelf.table()).map_err(|e| failed("reading", e))?;
            walk(&table, prefix, after, visit)
        })
    }

    /// The entry of the last key that begins with `prefix` and is not after `key`.
    ///
    /// # Errors
    /// As [`View::get`].
    pub fn at_or_before(&self, shelf: Shelf, prefix: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        unfallen("reading", || {
            let table = self.transaction.open_table(shelf.table()).map_err(|e| failed("reading", e))?;
            let bounds = (Bound::Included(prefix), Bound::Included(key));
            let mut range = table.range::<&[u8]>(bounds).map_err(|e| failed("reading", e))?;
            let Some(entry) = range.next_back() else { return Ok(None) };
            let (key, value) = entry.map_err(|e| failed("reading", e))?;
            check(key.value(), value.value()).map(|value| Some(value.to_vec()))
        })
    }

    /// The last key that begins with `prefix`.
    ///
    /// # Errors
    /// As [`View::get`].
    pub fn last(&self, shelf: Shelf, prefix: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        unfallen("reading", || {
            let table = self.transaction.open_table(shelf.table()).map_err(|e| failed("reading", e))?;
            let upper = successor(prefix);
            let bounds =
                (Bound::Included(prefix), upper.as_deref().map_or(Bound::Unbounded, Bound::Excluded));
            let mut range = table.range::<&[u8]>(bounds).map_err(|e| failed("reading", e))?;
            match range.next_back() {
                Some(entry) => {
                    entry.map(|(key, _)| Some(key.value().to_vec())).map_err(|e| failed("reading", e))
                }
                None => Ok(None),
            }
        })
    }

    fn raw_about(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        unfallen("reading", || {
            let table = self.transaction.open_table(ABOUT).map_err(|e| failed("reading", e))?;
            let value = table.get(name).map_err(|e| failed("reading", e))?;
            value.map(|value| check(name.as_bytes(), value.value()).map(<[u8]>::to_vec)).transpose()
        })
    }

    fn about<const N: usize>(&self, name: &str) -> Result<Option<[u8; N]>, Error> {
        let Some(bytes) = self.raw_about(name)? else { return Ok(None) };
        let what = || Error::Spoilt { file: FILE, what: format!("{name} is not what it should be") };
        bytes.try_into().map(Some).map_err(|_| what())
    }
}

impl Edit {
    /// The entry of this key, this edit's changes included.
    ///
    /// # Errors
    /// As [`View::get`].
    pub fn get(&self, shelf: Shelf, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        unfallen("reading", || {
            let table = self.transaction.open_table(shelf.table()).map_err(|e| failed("reading", e))?;
            get(&table, key)
        })
    }

    /// Puts entries on a shelf, in place of what had their keys. Cheapest in the order of the keys.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn put<'a>(
        &self,
        shelf: Shelf,
        entries: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<(), Error> {
        unfallen("changing", || {
            let mut table = self.transaction.open_table(shelf.table()).map_err(|e| failed("changing", e))?;
            let mut sealed = Vec::new();
            for (key, value) in entries {
                seal(key, value, &mut sealed);
                table.insert(key, &sealed[..]).map_err(|e| failed("changing", e))?;
            }
            Ok(())
        })
    }

    /// Takes entries off a shelf; those that are not there are no harm. Says how many were.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn remove<'a>(&self, shelf: Shelf, keys: impl IntoIterator<Item = &'a [u8]>) -> Result<u64, Error> {
        unfallen("changing", || {
            let mut table = self.transaction.open_table(shelf.table()).map_err(|e| failed("changing", e))?;
            let mut removed = 0;
            for key in keys {
                removed += u64::from(table.remove(key).map_err(|e| failed("changing", e))?.is_some());
            }
            Ok(removed)
        })
    }

    /// Takes all entries off a shelf whose keys begin with `prefix`; says how many that were.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn remove_all(&self, shelf: Shelf, prefix: &[u8]) -> Result<u64, Error> {
        let mut keys = Vec::new();
        unfallen("reading", || {
            let table = self.transaction.open_table(shelf.table()).map_err(|e| failed("reading", e))?;
            walk(&table, prefix, &[], &mut |key, _| {
                keys.push(key.to_vec());
                ControlFlow::Continue(())
            })
        })?;
        self.remove(shelf, keys.iter().map(Vec::as_slice))
    }

    /// What this edit removes is to leave the file, too: until [`Archive::renew`] has done it, also after a crash, the archive says
    /// that it is soiled.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn soil(&self) -> Result<(), Error> {
        self.note("soiled", &[])
    }

    /// Makes it all durable. From now on records up to `covered` are in the archive, if that is further than before.
    ///
    /// # Errors
    /// Whatever the disk says: then nothing of it has happened, and [`Archive::reopen`] is needed.
    pub fn commit(self, covered: Position) -> Result<(), Error> {
        let inner = Arc::clone(&self.archive.0);
        if covered > self.archive.covered() {
            self.note("covered", &covered.get().to_be_bytes())?;
        }
        unfallen("changing", || self.transaction.commit().map_err(|e| failed("changing", e)))?;
        inner.covered.fetch_max(covered.get(), Ordering::AcqRel);
        *inner.edited.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Ok(())
    }

    fn note(&self, name: &str, value: &[u8]) -> Result<(), Error> {
        unfallen("changing", || put_about(&self.transaction, name, value))
    }
}

/// A new file with empty shelves, not yet in its place.
fn begin(disk: &dyn Disk) -> Result<Library, Error> {
    let file = disk.create(NEW).map_err(|e| Error::io("creating", NEW, e))?;
    let library = Library::open(file).map_err(|e| failed("making", e))?;
    let transaction = library.base.begin_write().map_err(|e| failed("making", e))?;
    for shelf in Shelf::ALL {
        transaction.open_table(shelf.table()).map_err(|e| failed("making", e))?;
    }
    put_about(&transaction, "format", &FORMAT.to_be_bytes())?;
    transaction.commit().map_err(|e| failed("making", e))?;
    Ok(library)
}

/// Puts the new file, which nobody has open any more, into its place.
fn adopt(disk: &dyn Disk) -> Result<(), Error> {
    let file = disk.open(NEW).map_err(|e| Error::io("opening", NEW, e))?;
    file.sync().map_err(|e| Error::io("syncing", NEW, e))?;
    disk.rename(NEW, FILE).map_err(|e| Error::io("naming", FILE, e))?;
    disk.sync_dir().map_err(|e| Error::io("syncing", "the data directory", e))
}

fn open_file(disk: &dyn Disk) -> Result<Arc<Library>, Error> {
    let file = disk.open(FILE).map_err(|e| Error::io("opening", FILE, e))?;
    let empty = file.length().map_err(|e| Error::io("reading", FILE, e))? == 0;
    if empty {
        return Err(Error::Spoilt { file: FILE, what: "it is empty".to_owned() });
    }
    let library = unfallen("opening", || Library::open(file).map_err(|e| failed("opening", e)))?;
    let library = Arc::new(library);
    let transaction = library.base.begin_read().map_err(|e| failed("opening", e))?;
    let view = View { transaction, _library: Arc::clone(&library) };
    match view.about::<4>("format")?.map(u32::from_be_bytes) {
        Some(FORMAT) => Ok(library),
        Some(found) => Err(Error::Newer { file: FILE.to_owned(), found, known: FORMAT }),
        None => Err(Error::Spoilt { file: FILE, what: "it does not say its format".to_owned() }),
    }
}

impl Library {
    fn open(file: Box<dyn DiskFile>) -> Result<Self, redb::DatabaseError> {
        let retired = Arc::new(AtomicBool::new(false));
        let medium = Medium { file, retired: Arc::clone(&retired) };
        let base = Database::builder().set_cache_size(CACHE).create_with_backend(medium)?;
        Ok(Self { base, retired })
    }
}

fn move_shelf(from: &View, to: &Database, shelf: Shelf) -> Result<(), Error> {
    let mut after = Vec::new();
    loop {
        let mut entries: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        from.walk_after(shelf, &[], &after, &mut |key, value| {
            entries.push((key.to_vec(), value.to_vec()));
            if entries.len() < MOVED_AT_ONCE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        let Some((last, _)) = entries.last() else { return Ok(()) };
        after.clone_from(last);
        let transaction = to.begin_write().map_err(|e| failed("renewing", e))?;
        {
            let mut table = transaction.open_table(shelf.table()).map_err(|e| failed("renewing", e))?;
            let mut sealed = Vec::new();
            for (key, value) in &entries {
                seal(key, value, &mut sealed);
                table.insert(&key[..], &sealed[..]).map_err(|e| failed("renewing", e))?;
            }
        }
        transaction.commit().map_err(|e| failed("renewing", e))?;
    }
}

fn put_about(transaction: &WriteTransaction, name: &str, value: &[u8]) -> Result<(), Error> {
    let mut table = transaction.open_table(ABOUT).map_err(|e| failed("changing", e))?;
    let mut sealed = Vec::new();
    seal(name.as_bytes(), value, &mut sealed);
    table.insert(name, &sealed[..]).map(drop).map_err(|e| failed("changing", e))
}

fn get(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &[u8],
) -> Result<Option<Vec<u8>>, Error> {
    let value = table.get(key).map_err(|e| failed("reading", e))?;
    value.map(|value| check(key, value.value()).map(<[u8]>::to_vec)).transpose()
}

fn walk(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    prefix: &[u8],
    after: &[u8],
    visit: &mut EachEntry<'_>,
) -> Result<(), Error> {
    let from = if after > prefix { Bound::Excluded(after) } else { Bound::Included(prefix) };
    for entry in table.range::<&[u8]>((from, Bound::Unbounded)).map_err(|e| failed("reading", e))? {
        let (key, value) = entry.map_err(|e| failed("reading", e))?;
        let key = key.value();
        if !key.starts_with(prefix) || visit(key, check(key, value.value())?).is_break() {
            break;
        }
    }
    Ok(())
}

/// The least key that is after all that begin with `prefix`, if there is one.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|&byte| byte < u8::MAX)?;
    let mut next = prefix[..=kept].to_vec();
    next[kept] += 1;
    Some(next)
}

/// A value with the checksum of itself and its key behind it: the library does not check what it reads.
fn seal(key: &[u8], value: &[u8], into: &mut Vec<u8>) {
    into.clear();
    into.extend_from_slice(value);
    into.extend_from_slice(&sum(key, value).to_le_bytes());
}

fn check<'a>(key: &[u8], sealed: &'a [u8]) -> Result<&'a [u8], Error> {
    if let Some((value, found)) = sealed.split_last_chunk::<4>()
        && u32::from_le_bytes(*found) == sum(key, value)
    {
        return Ok(value);
    }
    Err(Error::Spoilt { file: FILE, what: "an entry is not what was written there".to_owned() })
}

fn sum(key: &[u8], value: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), value)
}

fn failed(doing: &'static str, error: impl Into<redb::Error>) -> Error {
    match error.into() {
        redb::Error::Io(source) if source.kind() == std::io::ErrorKind::InvalidData => {
            Error::Spoilt { file: FILE, what: source.to_string() }
        }
        redb::Error::Io(source) => Error::io(doing, FILE, source),
        redb::Error::Corrupted(what) => Error::Spoilt { file: FILE, what },
        redb::Error::UpgradeRequired(version) => Error::Spoilt {
            file: FILE,
            what: format!("its library's format is {version}, which is not read any more"),
        },
        other => Error::Archive { doing, what: other.to_string() },
    }
}

/// The library panics at some damage that it does not look for; here that is an error like any other.
fn unfallen<T>(doing: &'static str, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::Spoilt { file: FILE, what: format!("{doing} it, the library fell") }))
}
