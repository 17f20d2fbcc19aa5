//! One file of the log: made in advance, written from front to back, marked after each sync.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    disk::{Disk, DiskFile},
    error::Error,
    format::{DATA, Header, Mark, segment_name},
};

/// The names of a file of zeros that waits to become a segment. Two, in turn: the one is made while the other is
/// taken into use.
pub(super) const SPARES: [&str; 2] = ["spare.0", "spare.1"];

/// A file of zeros, as long as a segment and synced.
pub(super) struct Spare {
    name: &'static str,
    file: Box<dyn DiskFile>,
}

/// How much is zeroed between two syncs: little enough that a commit beside it need not wait for long.
const ZEROED: u64 = 4 << 20;

/// How much is written at once: what it is copied from stays in the processor's cache, where 4 MiB would not.
const ZEROS: usize = 64 << 10;

/// Zeroes a whole segment in advance, so that a commit changes no metadata of the file system, which makes its sync
/// cheaper and its space certain. Gives up early, with `None`, when `stop` is set.
pub(super) fn make_spare(
    disk: &dyn Disk,
    name: &'static str,
    size: u64,
    stop: &AtomicBool,
) -> Result<Option<Spare>, Error> {
    let spare = zero(disk, name, size, stop);
    if spare.as_ref().is_err_and(Error::is_full) {
        // What is left of it would take the last space from everybody else. If even this fails, the next try will
        // begin by emptying the file.
        let _ = disk.remove(name);
    }
    spare
}

fn zero(disk: &dyn Disk, name: &'static str, size: u64, stop: &AtomicBool) -> Result<Option<Spare>, Error> {
    let file = disk.create(name).map_err(|e| Error::io("creating", name, e))?;
    let zeros = vec![0; ZEROS.min(usize::try_from(size).unwrap_or(ZEROS))];
    let (mut at, mut synced) = (0, 0);
    while at < size {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let piece = zeros.len().min(usize::try_from(size - at).unwrap_or(usize::MAX));
        file.write_at(&zeros[..piece], at).map_err(|e| Error::io("zeroing", name, e))?;
        at += piece as u64;
        if at == size || at - synced >= ZEROED {
            file.sync().map_err(|e| Error::io("zeroing", name, e))?;
            synced = at;
        }
    }
    Ok(Some(Spare { name, file }))
}

/// The segment that is being written.
pub(super) struct Segment {
    pub(super) header: Header,
    file: Box<dyn DiskFile>,
    name: String,
    /// The mark written last. Records may have been written after its `end`.
    mark: Mark,
    /// Whether that mark has been synced since, so that the other one may be overwritten.
    mark_is_durable: bool,
    /// Where the next record goes.
    end: u64,
}

impl Segment {
    /// Makes a spare into a segment without records. Durable on return.
    pub(super) fn start(disk: &dyn Disk, spare: Spare, header: Header, begin: u64) -> Result<Self, Error> {
        let name = segment_name(header.first);
        let mark = Mark::initial(header.first, begin);
        let file = spare.file;
        let written = file
            .write_at(&header.encode(), 0)
            .and_then(|()| file.write_at(&mark.encode(&header), mark.offset()))
            .and_then(|()| file.sync())
            .and_then(|()| disk.rename(spare.name, &name))
            .and_then(|()| disk.sync_dir());
        written.map_err(|e| Error::io("starting", &name, e))?;
        Ok(Self { header, file, name, mark, mark_is_durable: true, end: DATA })
    }

    /// A segment that was written before. Its records end at `end`.
    pub(super) fn resume(file: Box<dyn DiskFile>, header: Header, mark: Mark, end: u64) -> Self {
        Self { header, file, name: segment_name(header.first), mark, mark_is_durable: false, end }
    }

    /// Bytes that still fit.
    pub(super) fn room(&self) -> u64 {
        self.header.size.saturating_sub(self.end)
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn has_records(&self) -> bool {
        self.end > DATA
    }

    /// Writes frames that fit. Durable only after [`Segment::sync`].
    pub(super) fn write(&mut self, frames: &[u8]) -> Result<(), Error> {
        self.file.write_at(frames, self.end).map_err(|e| Error::io("writing", &self.name, e))?;
        self.end += frames.len() as u64;
        Ok(())
    }

    /// Makes all that was written durable, an earlier mark included.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        self.file.sync().map_err(|e| Error::io("syncing", &self.name, e))?;
        self.mark_is_durable = true;
        Ok(())
    }

    /// Says that all up to this record, which must have been synced, is durable. That same sync has made the mark
    /// before this one durable; so one of the two is whole whatever happens while the other is written.
    pub(super) fn mark(&mut self, position: u64, begin: u64, sealed: bool) -> Result<(), Error> {
        if !self.mark_is_durable {
            self.sync()?;
        }
        let mark = Mark { sequence: self.mark.sequence + 1, position, end: self.end, begin, sealed };
        let sector = mark.encode(&self.header);
        self.file.write_at(&sector, mark.offset()).map_err(|e| Error::io("marking", &self.name, e))?;
        self.mark = mark;
        self.mark_is_durable = false;
        Ok(())
    }

    /// Makes both marks say the same, durably, so that no single damaged sector hides how far the log goes.
    pub(super) fn settle(&mut self, begin: u64, position: u64) -> Result<(), Error> {
        for _ in 0..2 {
            self.mark(position, begin, false)?;
            self.sync()?;
        }
        Ok(())
    }
}
