//! Opening a log: look at everything, refuse what is damaged, and only then touch the disk.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

use super::{
    Lock, Options, Position, Record, Recovery,
    batch::{Batch, Sparse},
    catalog::{Catalog, Extent},
    disk::{Disk, DiskFile},
    error::Error,
    format::{
        BLOCK, DATA, FORMAT, Frame, Header, IDENTITY, LogId, MARKS, Mark, SECTOR, Sector, Unfit,
        decode_identity, encode_identity, parse_segment_name, seed, segment_name,
    },
    log::{Forgetting, Log, Spares, remove},
    segment::{SPARES, Segment, make_spare},
    window::Window,
};

/// How much is read at a time.
const PIECE: usize = 1 << 20;
/// The identity's file until it is whole.
const IDENTITY_NEW: &str = "identity.new";

/// A segment found on the disk.
pub(super) struct Found {
    file: Box<dyn DiskFile>,
    name: String,
    pub(super) header: Header,
    pub(super) mark: Mark,
}

/// Where the readable records of a segment end.
pub(super) struct End {
    /// The last of them; the one before the segment's first if there is none.
    pub(super) position: u64,
    /// Where it ends in the file.
    pub(super) offset: u64,
    /// Why there is no other.
    what: &'static str,
    index: Sparse,
}

pub(super) fn lock(disk: &dyn Disk) -> Result<Lock, Error> {
    let lock = disk.lock().map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => Error::Locked,
        _ => Error::io("locking", "the data directory", error),
    })?;
    Ok(Lock(lock))
}

pub(super) fn open(
    disk: Arc<dyn Disk>,
    lock: Lock,
    options: Options,
    replay: &mut dyn FnMut(Record<'_>),
) -> Result<(Log, Recovery), Error> {
    let started = Instant::now();
    options.check_consistency()?;
    let names = disk.list().map_err(|e| Error::io("listing", "the data directory", e))?;
    let identity = read_identity(&*disk, &names)?;
    let mut found = find_segments(&*disk, &names)?;
    if found.is_empty() {
        if identity.is_some() {
            let what = "there is an identity but no segment".to_owned();
            return Err(Error::Missing { file: segment_name(1), what });
        }
        found.push(begin_log(&*disk, &options)?);
    }
    let (leftovers, chain) = check_chain(found, identity.as_ref())?;
    let log_id = chain[0].header.log;
    let mut records = 0;
    let ends = scan_chain(&chain, &mut |record| {
        records += 1;
        replay(record);
    })?;
    check_identity(identity.as_ref(), &chain, records)?;

    // Nothing has been changed so far, and from here on nothing is refused.
    if identity.is_none() {
        write_identity(&*disk, &log_id)?;
    }
    let last = ends.last().map_or(0, |end| end.position);
    let segments = chain.len();
    let begin = chain[0].header.first;
    let extents = extents(&chain, &ends);
    let (current, cut_bytes) = settle(&*disk, chain, ends, begin)?;
    let spares = SPARES.map(str::to_owned).into_iter().filter(|name| names.contains(name));
    for name in spares.chain(leftovers) {
        remove(&*disk, &name)?;
    }
    let log_seed = seed(&log_id);
    let log = Log {
        catalog: Arc::new(Catalog::new(Arc::clone(&disk), log_seed, extents)),
        disk,
        batch: Batch::new(log_seed, last + 1, 0),
        options,
        current,
        spares: Spares::Inline,
        durable: last,
        begin,
        forgetting: Forgetting::default(),
        failed: false,
        _lock: lock,
    };
    let recovery = Recovery {
        records,
        first: Position(begin),
        last: Position(last),
        cut_bytes,
        segments,
        elapsed: started.elapsed(),
    };
    Ok((log, recovery))
}

fn read_sector(file: &dyn DiskFile, name: &str, offset: u64) -> Result<Sector, Error> {
    let mut sector = [0; SECTOR];
    file.read_at(&mut sector, offset).map_err(|e| Error::io("reading", name, e))?;
    Ok(sector)
}

/// A file's first sector does not fit. All before the records of a segment was synced when it was begun.
fn unfit(unfit: &Unfit, file: &str, first: u64) -> Error {
    match *unfit {
        Unfit::Newer(found) => Error::Newer { file: file.to_owned(), found, known: FORMAT },
        Unfit::Damaged => Error::Damaged {
            file: file.to_owned(),
            offset: 0,
            position: Position(first),
            durable: Position(first - 1),
            what: "its first sector is not what was written there",
        },
    }
}

fn read_identity(disk: &dyn Disk, names: &[String]) -> Result<Option<LogId>, Error> {
    if !names.iter().any(|name| name == IDENTITY) {
        return Ok(None);
    }
    let file = disk.open(IDENTITY).map_err(|e| Error::io("opening", IDENTITY, e))?;
    let sector = read_sector(&*file, IDENTITY, 0)?;
    decode_identity(&sector).map(Some).map_err(|problem| unfit(&problem, IDENTITY, 1))
}

fn write_identity(disk: &dyn Disk, log: &LogId) -> Result<(), Error> {
    let write = || {
        let file = disk.create(IDENTITY_NEW)?;
        file.write_at(&encode_identity(log), 0)?;
        file.sync()?;
        disk.rename(IDENTITY_NEW, IDENTITY)?;
        disk.sync_dir()
    };
    write().map_err(|e| Error::io("writing", IDENTITY, e))
}

fn find_segments(disk: &dyn Disk, names: &[String]) -> Result<Vec<Found>, Error> {
    let mut firsts: Vec<u64> = names.iter().filter_map(|name| parse_segment_name(name)).collect();
    firsts.sort_unstable();
    let mut found = Vec::with_capacity(firsts.len());
    for first in firsts {
        let name = segment_name(first);
        let file = disk.open(&name).map_err(|e| Error::io("opening", &name, e))?;
        found.push(inspect(file, name, first)?);
    }
    Ok(found)
}

/// Reads a segment's header and marks.
pub(super) fn inspect(file: Box<dyn DiskFile>, name: String, first: u64) -> Result<Found, Error> {
    let header = Header::decode(&read_sector(&*file, &name, 0)?).map_err(|e| unfit(&e, &name, first))?;
    let length = file.length().map_err(|e| Error::io("reading", &name, e))?;
    if header.first != first {
        let what = format!("it is a copy of {}", segment_name(header.first));
        return Err(Error::Foreign { file: name, what });
    }
    if length < header.size {
        // A segment has its full length before it gets its name.
        return Err(Error::Damaged {
            file: name,
            offset: length,
            position: Position(first),
            durable: Position(first - 1),
            what: "the file was cut short",
        });
    }
    let mut mark: Option<Mark> = None;
    for offset in MARKS {
        let other = Mark::decode(&read_sector(&*file, &name, offset)?, &header);
        mark = mark.into_iter().chain(other).max_by_key(|mark| mark.sequence);
    }
    match mark {
        Some(mark) => Ok(Found { file, name, header, mark }),
        // One of the two is always durable, so this is not how a power cut looks.
        None => Err(Error::Damaged {
            file: name,
            offset: MARKS[0],
            position: Position(first),
            durable: Position(first - 1),
            what: "both of its marks are unreadable",
        }),
    }
}

/// The first segment of a new log.
fn begin_log(disk: &dyn Disk, options: &Options) -> Result<Found, Error> {
    let size = options.segment_size();
    let spare = make_spare(disk, SPARES[0], size, &AtomicBool::new(false))?.ok_or(Error::Stopped)?;
    let header = Header { log: options.log_id.unwrap_or_else(rand::random), first: 1, size };
    Segment::start(disk, spare, header, 1)?;
    let name = segment_name(1);
    let file = disk.open(&name).map_err(|e| Error::io("opening", &name, e))?;
    inspect(file, name, 1)
}

/// Sorts out the segments that were already let go of, and checks that the others are of one log and that its first
/// is there. Whether one ends where the next begins is known only when they have been read.
fn check_chain(mut found: Vec<Found>, identity: Option<&LogId>) -> Result<(Vec<String>, Vec<Found>), Error> {
    let Some(newest) = found.last() else { return Err(Error::Stopped) };
    let begin = newest.mark.begin;
    let log = identity.copied().unwrap_or(newest.header.log);
    if let Some(stranger) = found.iter().find(|segment| segment.header.log != log) {
        let what = "it is a part of another log".to_owned();
        return Err(Error::Foreign { file: stranger.name.clone(), what });
    }
    let kept = found.partition_point(|segment| segment.header.first < begin);
    let chain = found.split_off(kept);
    if chain.first().is_none_or(|segment| segment.header.first != begin) {
        let what = "the log begins with it".to_owned();
        return Err(Error::Missing { file: segment_name(begin), what });
    }
    Ok((found.into_iter().map(|segment| segment.name).collect(), chain))
}

/// A log is given its identity when its first segment is there, so only an empty one may lack it.
fn check_identity(identity: Option<&LogId>, chain: &[Found], records: u64) -> Result<(), Error> {
    let unfinished = chain.len() == 1 && chain[0].header.first == 1 && records == 0;
    if identity.is_some() || unfinished {
        return Ok(());
    }
    let what = "there are records but no identity".to_owned();
    Err(Error::Missing { file: IDENTITY.to_owned(), what })
}

fn scan_chain(chain: &[Found], replay: &mut dyn FnMut(Record<'_>)) -> Result<Vec<End>, Error> {
    let mut ends = Vec::with_capacity(chain.len());
    for (at, segment) in chain.iter().enumerate() {
        let end = scan(segment, replay)?;
        match chain.get(at + 1) {
            Some(next) => check_joint(segment, &end, next)?,
            None if segment.mark.sealed => {
                let what = format!("{} says that it was begun", segment.name);
                return Err(Error::Missing { file: segment_name(segment.mark.position + 1), what });
            }
            None => {}
        }
        ends.push(end);
    }
    Ok(ends)
}

/// Reads the records of a segment until there are no more, and refuses it if that is before its mark.
pub(super) fn scan(segment: &Found, replay: &mut dyn FnMut(Record<'_>)) -> Result<End, Error> {
    let Found { file, name, header, mark } = segment;
    let log_seed = seed(&header.log);
    let mut window = Window::new(&**file, header.size, PIECE);
    let mut end = End { position: header.first - 1, offset: DATA, what: "", index: Sparse::default() };
    end.what = loop {
        let next = end.position + 1;
        let frame = window.frame(end.offset, next, log_seed).map_err(|e| Error::io("reading", name, e))?;
        match frame {
            Frame::Record(record, length) => {
                replay(record);
                end.index.note(next, end.offset);
                end.position = next;
                end.offset += length as u64;
            }
            Frame::Nothing => break "there are zeros instead",
            Frame::Bad(what) => break what,
        }
        if end.position == mark.position && end.offset != mark.end {
            break "its mark says that it ends elsewhere";
        }
    };
    let marked = end.position > mark.position || (end.position, end.offset) == (mark.position, mark.end);
    if marked { Ok(end) } else { Err(damaged(segment, &end, mark.position)) }
}

fn damaged(segment: &Found, end: &End, durable: u64) -> Error {
    Error::Damaged {
        file: segment.name.clone(),
        offset: end.offset,
        position: Position(end.position + 1),
        durable: Position(durable),
        what: end.what,
    }
}

/// A segment is begun only when all records before it are synced, so its predecessor must lead up to it.
fn check_joint(segment: &Found, end: &End, next: &Found) -> Result<(), Error> {
    let follows = end.position + 1;
    if follows == next.header.first {
        return Ok(());
    }
    if follows > next.header.first {
        let what = format!("{} holds its records too", segment.name);
        return Err(Error::Foreign { file: next.name.clone(), what });
    }
    if segment.mark.sealed && segment.mark.position == end.position {
        let what = format!("{} ends before it, and {} begins after it", segment.name, next.name);
        return Err(Error::Missing { file: segment_name(follows), what });
    }
    Err(damaged(segment, end, next.header.first - 1))
}

fn extents(chain: &[Found], ends: &[End]) -> Vec<Extent> {
    let both = chain.iter().zip(ends);
    both.map(|(segment, end)| Extent {
        first: segment.header.first,
        last: end.position,
        size: segment.header.size,
        index: end.index.clone(),
    })
    .collect()
}

/// Makes durable what was read, and nothing else: cuts the tail and renews the marks. Says how many bytes were cut.
fn settle(
    disk: &dyn Disk,
    mut chain: Vec<Found>,
    mut ends: Vec<End>,
    begin: u64,
) -> Result<(Segment, u64), Error> {
    let (Some(last), Some(end)) = (chain.pop(), ends.pop()) else { return Err(Error::Stopped) };
    // The names first: a segment may only be filled when it will be found again.
    disk.sync_dir().map_err(|e| Error::io("syncing", "the data directory", e))?;
    if let (Some(previous), Some(its_end)) = (chain.pop(), ends.pop())
        && !previous.mark.sealed
    {
        let Found { file, header, mark, .. } = previous;
        let mut previous = Segment::resume(file, header, mark, its_end.offset);
        previous.sync()?;
        previous.mark(its_end.position, begin, true)?;
        previous.sync()?;
    }
    rewrite(&last, end.offset)?;
    let cut = clear(&last, end.offset)?;
    let mut segment = Segment::resume(last.file, last.header, last.mark, end.offset);
    segment.sync()?;
    segment.settle(begin, end.position)?;
    Ok((segment, cut))
}

/// Writes again what is above the mark. After a failed sync the kernel calls pages clean that never reached the disk,
/// so what was read there may be in memory only, and a sync alone would not save it.
fn rewrite(segment: &Found, end: u64) -> Result<(), Error> {
    let Found { file, name, mark, .. } = segment;
    let mut window = Window::new(&**file, end, PIECE);
    let mut at = mark.end;
    while at < end {
        let bytes = window.at(at, 1).map_err(|e| Error::io("reading", name, e))?;
        file.write_at(bytes, at).map_err(|e| Error::io("rewriting", name, e))?;
        at += bytes.len() as u64;
    }
    Ok(())
}

/// Zeroes all after the last record. What is left there of an unfinished batch could otherwise look like the
/// continuation of the next one. Says how many bytes that were.
fn clear(segment: &Found, end: u64) -> Result<u64, Error> {
    const ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
    let Found { file, name, header, .. } = segment;
    let mut window = Window::new(&**file, header.size, PIECE);
    let (mut at, mut cut) = (end, 0);
    while at < header.size {
        let bytes = window.at(at, 1).map_err(|e| Error::io("reading", name, e))?;
        let block = &bytes[..bytes.len().min(ZEROS.len())];
        let zeros = &ZEROS[..block.len()];
        if block != zeros {
            let dirt = block.iter().rposition(|&byte| byte != 0).unwrap_or_default();
            cut = at + dirt as u64 + 1 - end;
            file.write_at(zeros, at).map_err(|e| Error::io("clearing", name, e))?;
        }
        at += zeros.len() as u64;
    }
    Ok(cut)
}
