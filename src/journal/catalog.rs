//! Where the durable records are: what readers of any thread need to find one.

use std::{
    io,
    ops::ControlFlow,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use super::{
    Position, Record,
    batch::Sparse,
    disk::Disk,
    error::Error,
    format::{DATA, Frame, segment_name},
    window::Window,
};

/// How much of a file is read at a time when one record is wanted.
const PIECE: usize = 16 << 10;
/// How much when many are.
const LONG_PIECE: usize = 1 << 20;

/// The segments that hold durable records.
pub(super) struct Catalog {
    disk: Arc<dyn Disk>,
    seed: u32,
    extents: RwLock<Vec<Extent>>,
}

/// The durable records of one segment.
#[derive(Debug, Clone)]
pub(super) struct Extent {
    pub(super) first: u64,
    /// The last one; `first - 1` if there is none.
    pub(super) last: u64,
    /// How long the file is.
    pub(super) size: u64,
    pub(super) index: Sparse,
}

impl Extent {
    pub(super) fn empty(first: u64, size: u64) -> Self {
        Self { first, last: first - 1, size, index: Sparse::default() }
    }
}

impl Catalog {
    pub(super) fn new(disk: Arc<dyn Disk>, seed: u32, extents: Vec<Extent>) -> Self {
        Self { disk, seed, extents: RwLock::new(extents) }
    }

    /// Makes records of the newest segment known: `last`, and where some of them begin.
    pub(super) fn extend(&self, last: u64, begins: impl Iterator<Item = (u64, u64)>) {
        if let Some(extent) = self.write().last_mut() {
            extent.last = last;
            for (position, offset) in begins {
                extent.index.note(position, offset);
            }
        }
    }

    /// Adds a segment that has no records yet, in place of an empty one that it replaces.
    pub(super) fn add(&self, extent: Extent) {
        let mut extents = self.write();
        extents.retain(|old| old.first < extent.first);
        extents.push(extent);
    }

    /// Drops the segments whose records are all before `begin`, and names their first records.
    pub(super) fn forget(&self, begin: u64) -> Vec<u64> {
        let mut extents = self.write();
        let kept = extents.partition_point(|extent| extent.first < begin);
        extents.drain(..kept).map(|extent| extent.first).collect()
    }

    /// The latest first record of a segment that is not after this position.
    pub(super) fn segment_of(&self, position: u64) -> Option<u64> {
        let extents = self.read_lock();
        let after = extents.partition_point(|extent| extent.first <= position);
        after.checked_sub(1).map(|at| extents[at].first)
    }

    /// Copies the payload of a durable record.
    pub(super) fn read(&self, position: Position, into: &mut Vec<u8>) -> Result<(u16, u8), Error> {
        let wanted = position.get();
        let (first, last, size, (mut at, mut offset)) = {
            let extents = self.read_lock();
            let newest = Position(extents.last().map_or(0, |extent| extent.last));
            let begin = Position(extents.first().map_or(1, |extent| extent.first));
            if position > newest || position == Position::ZERO {
                return Err(Error::Unknown { position, newest });
            }
            let after = extents.partition_point(|extent| extent.first <= wanted);
            let Some(extent) = after.checked_sub(1).map(|at| &extents[at]) else {
                return Err(Error::Forgotten { position, begin });
            };
            let from = extent.index.floor(wanted).unwrap_or((extent.first, DATA));
            (extent.first, extent.last, extent.size, from)
        };
        let name = segment_name(first);
        let file = match self.disk.open(&name) {
            Ok(file) => file,
            // Forgotten between the look above and now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let begin = Position(self.read_lock().first().map_or(1, |extent| extent.first));
                return Err(Error::Forgotten { position, begin });
            }
            Err(error) => return Err(Error::io("opening", &name, error)),
        };
        let mut window = Window::new(&*file, size, PIECE);
        loop {
            let frame = window.frame(offset, at, self.seed).map_err(|e| Error::io("reading", &name, e))?;
            let what = match frame {
                Frame::Record(record, _) if at == wanted => {
                    into.clear();
                    into.extend_from_slice(record.payload);
                    return Ok((record.kind, record.version));
                }
                Frame::Record(_, length) => {
                    offset += length as u64;
                    at += 1;
                    continue;
                }
                Frame::Nothing => "it has become zeros",
                Frame::Bad(what) => what,
            };
            return Err(Error::Damaged {
                file: name,
                offset,
                position: Position(at),
                durable: Position(last),
                what,
            });
        }
    }

    /// Hands over durable records from `from` to `to`, both included, in order, until there are none left or `visit` has
    /// enough. Says which one was the last.
    pub(super) fn walk(
        &self,
        from: u64,
        to: u64,
        visit: &mut dyn FnMut(Record<'_>) -> ControlFlow<()>,
    ) -> Result<u64, Error> {
        let mut next = from;
        while next <= to {
            let (extent, begin) = {
                let extents = self.read_lock();
                let after = extents.partition_point(|extent| extent.first <= next);
                let found = after.checked_sub(1).map(|at| extents[at].clone());
                (found, Position(extents.first().map_or(1, |extent| extent.first)))
            };
            let Some(extent) = extent else {
                return Err(Error::Forgotten { position: Position(next), begin });
            };
            let last = extent.last.min(to);
            if next > last {
                break;
            }
            let (reached, enough) = self.walk_extent(&extent, next, last, visit)?;
            next = reached + 1;
            if enough {
                break;
            }
        }
        Ok(next - 1)
    }

    fn walk_extent(
        &self,
        extent: &Extent,
        from: u64,
        to: u64,
        visit: &mut dyn FnMut(Record<'_>) -> ControlFlow<()>,
    ) -> Result<(u64, bool), Error> {
        let name = segment_name(extent.first);
        let file = self.disk.open(&name).map_err(|e| Error::io("opening", &name, e))?;
        let mut window = Window::new(&*file, extent.size, LONG_PIECE);
        let (mut at, mut offset) = extent.index.floor(from).unwrap_or((extent.first, DATA));
        loop {
            let frame = window.frame(offset, at, self.seed).map_err(|e| Error::io("reading", &name, e))?;
            let what = match frame {
                Frame::Record(record, length) => {
                    let enough = at >= from && visit(record).is_break();
                    if enough || at == to {
                        return Ok((at, enough));
                    }
                    offset += length as u64;
                    at += 1;
                    continue;
                }
                Frame::Nothing => "it has become zeros",
                Frame::Bad(what) => what,
            };
            let durable = Position(extent.last);
            return Err(Error::Damaged { file: name, offset, position: Position(at), durable, what });
        }
    }

    /// The first record kept, the last one that no longer is in the newest segment, and bytes and number of the files.
    pub(super) fn extent(&self) -> (u64, u64, u64, usize) {
        let extents = self.read_lock();
        let first = extents.first().map_or(1, |extent| extent.first);
        let sealed = extents.last().map_or(0, |extent| extent.first - 1);
        (first, sealed, extents.iter().map(|extent| extent.size).sum(), extents.len())
    }

    fn read_lock(&self) -> RwLockReadGuard<'_, Vec<Extent>> {
        self.extents.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<Extent>> {
        self.extents.write().unwrap_or_else(PoisonError::into_inner)
    }
}
