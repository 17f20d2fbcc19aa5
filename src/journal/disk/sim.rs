//! A directory in memory that forgets what was not synced.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{Disk, DiskFile};

/// What a medium writes in one piece.
const SECTOR: usize = 512;

/// A directory in memory. Clones share it, so a test keeps one and gives the log another; best one of
/// [`SimDisk::process`], which dies as a process does.
///
/// It survives [`SimDisk::kill`] as a file system survives the end of a process, and [`SimDisk::crash`] as a disk
/// survives a power cut: of each sector written since the last sync, any version may be what remains, or a part of
/// one, independently of all others, and any name that was given or taken since the last [`Disk::sync_dir`] may not
/// have been. A rename survives as a whole or not at all, and moves the file that it moved, whatever becomes of the
/// changes before it.
#[derive(Clone, Default)]
pub struct SimDisk {
    medium: Arc<Mutex<Medium>>,
    /// The only life in which it is a [`Disk`]; `None` for all.
    life: Option<u64>,
}

#[derive(Default)]
struct Medium {
    /// Raised by each kill and crash; a file opened in an earlier life answers nothing but errors.
    life: u64,
    locked: bool,
    inodes: Vec<Inode>,
    /// The directory as processes see it.
    names: BTreeMap<String, usize>,
    /// The directory as of the last sync of it.
    kept_names: BTreeMap<String, usize>,
    /// What happened to the directory since.
    changes: Vec<Change>,
    faults: Faults,
}

#[derive(Default)]
struct Inode {
    /// The contents as processes see them.
    seen: Vec<u8>,
    /// The contents as of the last sync.
    kept: Vec<u8>,
    /// Per sector, all that was written to it since.
    dirty: BTreeMap<usize, Vec<[u8; SECTOR]>>,
    /// The least length that the file has had since, if it was cut.
    cut: Option<usize>,
}

enum Change {
    Named(String, usize),
    /// Which file, too: an older one of the first name may be back after a crash.
    Renamed(String, String, usize),
    Removed(String),
}

#[derive(Default)]
struct Faults {
    /// Bytes that all files together may have.
    capacity: Option<u64>,
    /// Syncs of files until one fails, and how the name of a file ends whose syncs count.
    sync_fails_in: Option<(u64, &'static str)>,
    /// Operations that change something, until all fail as if the power were gone.
    power_fails_in: Option<u64>,
    /// Whether a sync does nothing and says that it did.
    lying: bool,
}

struct SimFile {
    medium: Arc<Mutex<Medium>>,
    inode: usize,
    life: u64,
}

struct SimLock {
    medium: Arc<Mutex<Medium>>,
    life: u64,
}

impl SimDisk {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same directory for a process of this life: after the next kill or crash it answers nothing but errors, so
    /// that a thread that outlives them changes no names in the next life.
    #[must_use]
    pub fn process(&self) -> Self {
        Self { medium: Arc::clone(&self.medium), life: Some(self.medium().life) }
    }

    /// The process dies: its files and its lock are gone, what it wrote remains.
    pub fn kill(&self) {
        self.medium().die();
    }

    /// The power is cut. The seed decides what remains of all that was not synced.
    pub fn crash(&self, seed: u64) {
        let mut random = StdRng::seed_from_u64(seed);
        // Extremes are likelier to be interesting than a fair coin for each sector.
        let survives = [0.0, 0.1, 0.5, 0.9, 1.0][random.random_range(0..5)];
        let mut medium = self.medium();
        medium.die();
        for inode in &mut medium.inodes {
            inode.crash(survives, &mut random);
        }
        let mut names = std::mem::take(&mut medium.kept_names);
        for change in std::mem::take(&mut medium.changes) {
            if random.random_bool(survives) {
                change.apply(&mut names);
            }
        }
        medium.kept_names.clone_from(&names);
        medium.names = names;
        medium.bury();
    }

    /// The `count`th sync of a file from now, counted from 1, fails; what it should have saved is lost, though it
    /// can still be read until the power is cut.
    pub fn fail_sync(&self, count: u64) {
        self.fail_sync_of("", count);
    }

    /// As [`SimDisk::fail_sync`], but only syncs of files count whose name ends so: with two threads at work, one of
    /// them could otherwise meet the failure that was meant for the other.
    pub fn fail_sync_of(&self, ending: &'static str, count: u64) {
        self.medium().faults.sync_fails_in = Some((count, ending));
    }

    /// After so many more writes, syncs and changes of names, all of them fail, until the next kill or crash.
    pub fn fail_power(&self, count: u64) {
        self.medium().faults.power_fails_in = Some(count);
    }

    /// All files together may have so many bytes; `None` for any number.
    pub fn limit(&self, capacity: Option<u64>) {
        self.medium().faults.capacity = capacity;
    }

    /// Whether syncs only pretend from now on: the control for tests that prove that nothing is lost.
    pub fn lie(&self, lying: bool) {
        self.medium().faults.lying = lying;
    }

    /// The contents of a file, if there is one of that name.
    #[must_use]
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let medium = self.medium();
        medium.names.get(name).map(|&inode| medium.inodes[inode].seen.clone())
    }

    /// Puts a file there, durably, as an operator or a bad medium would.
    pub fn put(&self, name: &str, contents: Vec<u8>) {
        let mut medium = self.medium();
        let inode = medium.inodes.len();
        medium.inodes.push(Inode { seen: contents.clone(), kept: contents, ..Inode::default() });
        medium.names.insert(name.to_owned(), inode);
        medium.kept_names.insert(name.to_owned(), inode);
    }

    /// Turns one bit of a file round; nothing where there is no such bit.
    pub fn flip(&self, name: &str, offset: usize, bit: u8) {
        let mut medium = self.medium();
        let Some(&inode) = medium.names.get(name) else { return };
        let inode = &mut medium.inodes[inode];
        for contents in [&mut inode.seen, &mut inode.kept] {
            if let Some(byte) = contents.get_mut(offset) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    fn medium(&self) -> MutexGuard<'_, Medium> {
        lock(&self.medium)
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, Medium>> {
        let medium = self.medium();
        medium.check(self.life.unwrap_or(medium.life))?;
        Ok(medium)
    }
}

impl Disk for SimDisk {
    fn lock(&self) -> io::Result<Box<dyn Send + Sync>> {
        let mut medium = self.alive()?;
        if std::mem::replace(&mut medium.locked, true) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock { medium: Arc::clone(&self.medium), life: medium.life }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.alive()?.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut medium = self.alive()?;
        medium.spend()?;
        // A file that is emptied gets a new inode here, so that a crash may also bring the old contents back.
        let inode = medium.inodes.len();
        medium.inodes.push(Inode::default());
        medium.change(Change::Named(name.to_owned(), inode));
        Ok(Box::new(SimFile { medium: Arc::clone(&self.medium), inode, life: medium.life }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let medium = self.alive()?;
        let inode = *medium.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(SimFile { medium: Arc::clone(&self.medium), inode, life: medium.life }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut medium = self.alive()?;
        medium.spend()?;
        let inode = *medium.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        medium.change(Change::Renamed(from.to_owned(), to.to_owned(), inode));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut medium = self.alive()?;
        medium.spend()?;
        if !medium.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        medium.change(Change::Removed(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut medium = self.alive()?;
        medium.spend()?;
        if !medium.faults.lying {
            medium.changes.clear();
            medium.kept_names = medium.names.clone();
        }
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.alive()?.inodes[self.inode].seen.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let medium = self.alive()?;
        let seen = &medium.inodes[self.inode].seen;
        let from = seen.len().min(position(offset)?);
        let count = into.len().min(seen.len() - from);
        into[..count].copy_from_slice(&seen[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut medium = self.alive()?;
        medium.spend()?;
        let from = position(offset)?;
        let grown = (from + bytes.len()).saturating_sub(medium.inodes[self.inode].seen.len());
        if medium.faults.capacity.is_some_and(|capacity| medium.used() + grown as u64 > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        medium.inodes[self.inode].write(bytes, from);
        Ok(())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let mut medium = self.alive()?;
        medium.spend()?;
        let length = position(length)?;
        let grown = length.saturating_sub(medium.inodes[self.inode].seen.len());
        if medium.faults.capacity.is_some_and(|capacity| medium.used() + grown as u64 > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        medium.inodes[self.inode].resize(length);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut medium = self.alive()?;
        medium.spend()?;
        if medium.sync_fails(self.inode) {
            // As Linux does: the pages count as clean from now on, and the next sync succeeds.
            medium.inodes[self.inode].dirty.clear();
            return Err(io::Error::other("simulated failure of fdatasync"));
        }
        if !medium.faults.lying {
            medium.inodes[self.inode].sync();
        }
        Ok(())
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut medium = lock(&self.medium);
        if medium.life == self.life {
            medium.locked = false;
        }
    }
}

impl SimFile {
    fn alive(&self) -> io::Result<MutexGuard<'_, Medium>> {
        let medium = lock(&self.medium);
        medium.check(self.life)?;
        Ok(medium)
    }
}

impl Medium {
    /// Whether a process of that life may ask for anything.
    fn check(&self, life: u64) -> io::Result<()> {
        if self.life == life { Ok(()) } else { Err(io::Error::other("the process is dead")) }
    }

    fn die(&mut self) {
        self.life += 1;
        self.locked = false;
        self.faults.power_fails_in = None;
    }

    /// Counts one operation against [`SimDisk::fail_power`].
    fn spend(&mut self) -> io::Result<()> {
        match &mut self.faults.power_fails_in {
            Some(0) => Err(io::Error::other("the power is off")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Counts one sync of a file against [`SimDisk::fail_sync_of`].
    fn sync_fails(&mut self, inode: usize) -> bool {
        let Some((left, ending)) = self.faults.sync_fails_in else { return false };
        if !self.names.iter().any(|(name, &named)| named == inode && name.ends_with(ending)) {
            return false;
        }
        self.faults.sync_fails_in = (left > 1).then_some((left.saturating_sub(1), ending));
        left <= 1
    }

    /// Frees the contents of files that have no name any more. Nobody has them open, since everybody is dead.
    fn bury(&mut self) {
        let Self { names, inodes, .. } = self;
        for (at, inode) in inodes.iter_mut().enumerate() {
            if !names.values().any(|&named| named == at) {
                *inode = Inode::default();
            }
        }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    fn used(&self) -> u64 {
        self.names.values().map(|&inode| self.inodes[inode].seen.len() as u64).sum()
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Named(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Renamed(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
            Self::Removed(name) => {
                names.remove(name);
            }
        }
    }
}

impl Inode {
    fn write(&mut self, bytes: &[u8], from: usize) {
        let to = from + bytes.len();
        if self.seen.len() < to {
            self.seen.resize(to, 0);
        }
        self.seen[from..to].copy_from_slice(bytes);
        for sector in from / SECTOR..to.div_ceil(SECTOR) {
            let image = image(&self.seen, sector);
            self.dirty.entry(sector).or_default().push(image);
        }
    }

    fn resize(&mut self, length: usize) {
        if length < self.seen.len() {
            self.dirty.retain(|&sector, _| sector * SECTOR < length);
            self.seen.truncate(length);
            self.cut = Some(self.cut.unwrap_or(length).min(length));
        }
        self.seen.resize(length, 0);
    }

    fn sync(&mut self) {
        self.kept.truncate(self.cut.take().unwrap_or(usize::MAX));
        self.kept.resize(self.seen.len(), 0);
        for (sector, _) in std::mem::take(&mut self.dirty) {
            let from = sector * SECTOR;
            let to = (from + SECTOR).min(self.seen.len());
            self.kept[from..to].copy_from_slice(&self.seen[from..to]);
        }
    }

    fn crash(&mut self, survives: f64, random: &mut StdRng) {
        if let Some(cut) = self.cut.take().filter(|_| random.random_bool(survives)) {
            self.kept.truncate(cut);
        }
        for (sector, versions) in std::mem::take(&mut self.dirty) {
            if !random.random_bool(survives) {
                continue;
            }
            let from = sector * SECTOR;
            let to = (from + SECTOR).min(self.seen.len().max(from));
            if self.kept.len() < to {
                self.kept.resize(to, 0);
            }
            let version = &versions[random.random_range(0..versions.len())];
            let torn = random.random_bool(0.25);
            let whole = if torn { random.random_range(0..to - from) } else { to - from };
            self.kept[from..from + whole].copy_from_slice(&version[..whole]);
        }
        self.seen.clone_from(&self.kept);
    }
}

fn image(contents: &[u8], sector: usize) -> [u8; SECTOR] {
    let mut image = [0; SECTOR];
    let from = sector * SECTOR;
    let to = (from + SECTOR).min(contents.len());
    image[..to - from].copy_from_slice(&contents[from..to]);
    image
}

fn position(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// A test that panicked elsewhere must not hide what this disk says.
fn lock(medium: &Mutex<Medium>) -> MutexGuard<'_, Medium> {
    medium.lock().unwrap_or_else(PoisonError::into_inner)
}
