//! The bytes of the log: sectors that stand for themselves (header, marks, identity) and frames (records).
//! `docs/journal.md` draws them.

use super::{PAYLOAD_MAX, Position, Record};

/// The only format so far.
pub(super) const FORMAT: u32 = 1;
/// What a medium writes in one piece.
pub(super) const SECTOR: usize = 512;
/// What a file system writes in one piece.
pub(super) const BLOCK: u64 = 4096;
/// Where the two marks of a segment are: in blocks of their own, so that media and file systems that write 4 KiB at a
/// time do not touch one while writing the other, or a record while writing either.
pub(super) const MARKS: [u64; 2] = [4096, 8192];
/// Where the records of a segment begin.
pub(super) const DATA: u64 = 12288;
/// Bytes of a frame before its payload.
pub(super) const FRAME: usize = 20;
/// The longest frame.
pub(super) const FRAME_MAX: usize = FRAME + PAYLOAD_MAX;
/// The file that says which log this is.
pub(super) const IDENTITY: &str = "identity";

const SEGMENT_MAGIC: &[u8; 8] = b"maitredS";
const MARK_MAGIC: &[u8; 8] = b"maitredM";
const IDENTITY_MAGIC: &[u8; 8] = b"maitredI";
/// A sector's checksum is in its last four bytes, in every format that will ever be.
const CHECKED: usize = SECTOR - 4;

/// One sector.
pub(super) type Sector = [u8; SECTOR];
/// Which log a file belongs to; random.
pub(super) type LogId = [u8; 16];

/// A sector that is not what it should be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// Its checksum or its magic is wrong.
    Damaged,
    /// It is of this later format.
    Newer(u32),
}

/// The first sector of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) log: LogId,
    /// The position of its first record.
    pub(super) first: u64,
    /// How long the file is, in bytes.
    pub(super) size: u64,
}

/// How far a segment is known to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Counts the marks of a segment; its lowest bit says which of the two places this one is in.
    pub(super) sequence: u64,
    /// The last record that was synced.
    pub(super) position: u64,
    /// Where that record ends in the file.
    pub(super) end: u64,
    /// The first record that the log still keeps.
    pub(super) begin: u64,
    /// Whether the log goes on in another segment, which then exists.
    pub(super) sealed: bool,
}

/// The name of the segment that begins with this record.
pub(super) fn segment_name(first: u64) -> String {
    format!("{first:020}.log")
}

/// The first record of the segment that has this name, if it is one.
pub(super) fn parse_segment_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    let fits = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| digits.parse().ok())?.filter(|&first| first > 0)
}

/// What the checksums of a log's frames start from, so that those of another log never fit.
pub(super) fn seed(log: &LogId) -> u32 {
    crc32c::crc32c(log)
}

impl Header {
    pub(super) fn encode(&self) -> Sector {
        let mut sector = begin(SEGMENT_MAGIC);
        sector[12..28].copy_from_slice(&self.log);
        sector[28..36].copy_from_slice(&self.first.to_le_bytes());
        sector[36..44].copy_from_slice(&self.size.to_le_bytes());
        finish(sector, 0)
    }

    pub(super) fn decode(sector: &Sector) -> Result<Self, Unfit> {
        check(sector, SEGMENT_MAGIC)?;
        let header = Self { log: array(sector, 12), first: u64_at(sector, 28), size: u64_at(sector, 36) };
        let fits = header.first > 0 && header.size > DATA && i64::try_from(header.size).is_ok();
        if fits { Ok(header) } else { Err(Unfit::Damaged) }
    }
}

impl Mark {
    /// The mark of a segment without records.
    pub(super) fn initial(first: u64, begin: u64) -> Self {
        Self { sequence: 0, position: first - 1, end: DATA, begin, sealed: false }
    }

    pub(super) fn offset(&self) -> u64 {
        MARKS[usize::from(self.sequence % 2 == 1)]
    }

    pub(super) fn encode(&self, header: &Header) -> Sector {
        let mut sector = begin(MARK_MAGIC);
        for (at, field) in [(12, self.sequence), (20, self.position), (28, self.end), (36, self.begin)] {
            sector[at..at + 8].copy_from_slice(&field.to_le_bytes());
        }
        sector[44] = u8::from(self.sealed);
        finish(sector, Self::seed(header))
    }

    /// The mark in this sector; `None` if it is torn, damaged or of another segment.
    pub(super) fn decode(sector: &Sector, header: &Header) -> Option<Self> {
        let fits =
            sector[..8] == *MARK_MAGIC && checksum(sector, Self::seed(header)) == u32_at(sector, CHECKED);
        if !fits {
            return None;
        }
        let mark = Self {
            sequence: u64_at(sector, 12),
            position: u64_at(sector, 20),
            end: u64_at(sector, 28),
            begin: u64_at(sector, 36),
            sealed: sector[44] == 1,
        };
        let empty = mark.position.checked_add(1) == Some(header.first);
        let sane = mark.end <= header.size
            && (1..=header.first).contains(&mark.begin)
            && if empty { mark.end == DATA } else { mark.position >= header.first && mark.end > DATA };
        sane.then_some(mark)
    }

    /// A mark counts only in the very segment it was made for.
    fn seed(header: &Header) -> u32 {
        crc32c::crc32c_append(seed(&header.log), &header.first.to_le_bytes())
    }
}

/// The sector that says which log this is.
pub(super) fn encode_identity(log: &LogId) -> Sector {
    let mut sector = begin(IDENTITY_MAGIC);
    sector[12..28].copy_from_slice(log);
    finish(sector, 0)
}

/// The log that this sector names.
pub(super) fn decode_identity(sector: &Sector) -> Result<LogId, Unfit> {
    check(sector, IDENTITY_MAGIC)?;
    Ok(array(sector, 12))
}

fn begin(magic: &[u8; 8]) -> Sector {
    let mut sector = [0; SECTOR];
    sector[..8].copy_from_slice(magic);
    sector[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    sector
}

fn finish(mut sector: Sector, seed: u32) -> Sector {
    let sum = checksum(&sector, seed);
    sector[CHECKED..].copy_from_slice(&sum.to_le_bytes());
    sector
}

fn checksum(sector: &Sector, seed: u32) -> u32 {
    crc32c::crc32c_append(seed, &sector[..CHECKED])
}

fn check(sector: &Sector, magic: &[u8; 8]) -> Result<(), Unfit> {
    if sector[..8] != *magic || checksum(sector, 0) != u32_at(sector, CHECKED) {
        return Err(Unfit::Damaged);
    }
    match u32_at(sector, 8) {
        FORMAT => Ok(()),
        newer => Err(Unfit::Newer(newer)),
    }
}

/// What is at some place where a frame could begin.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// A record, and how many bytes its frame has.
    Record(Record<'a>, usize),
    /// Zeros: nothing was written here.
    Nothing,
    /// Neither.
    Bad(&'static str),
}

/// Appends the frame of a record.
pub(super) fn push_frame(into: &mut Vec<u8>, payload_sum: u32, record: &Record<'_>) {
    // Bounded by PAYLOAD_MAX, which append has checked.
    let length = u32::try_from(FRAME + record.payload.len()).unwrap_or(u32::MAX);
    let mut head = [0; FRAME];
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[8..16].copy_from_slice(&record.position.get().to_le_bytes());
    head[16..18].copy_from_slice(&record.kind.to_le_bytes());
    head[18] = record.version;
    let sum = frame_sum(payload_sum, &head);
    head[4..8].copy_from_slice(&sum.to_le_bytes());
    into.extend_from_slice(&head);
    into.extend_from_slice(record.payload);
}

/// The part of a frame's checksum that needs no position: [`push_frame`] completes it.
pub(super) fn payload_sum(seed: u32, payload: &[u8]) -> u32 {
    crc32c::crc32c_append(seed, payload)
}

/// How long the frame that begins here says it is; zero if it says nothing.
pub(super) fn frame_length(bytes: &[u8]) -> usize {
    if bytes.len() < FRAME { 0 } else { u32_at(bytes, 0) as usize }
}

/// Reads the frame at the start of `bytes`, which must be a record of this position.
pub(super) fn parse_frame(bytes: &[u8], position: u64, seed: u32) -> Frame<'_> {
    let length = match frame_length(bytes) {
        0 => return Frame::Nothing,
        length if (FRAME..=FRAME_MAX).contains(&length) => length,
        _ => return Frame::Bad("its length is impossible"),
    };
    let Some(frame) = bytes.get(..length) else { return Frame::Bad("it ends after its segment") };
    let (head, payload) = frame.split_at(FRAME);
    if frame_sum(payload_sum(seed, payload), head) != u32_at(head, 4) {
        return Frame::Bad("its checksum is wrong");
    }
    if u64_at(head, 8) != position {
        return Frame::Bad("it is another record");
    }
    let kind = u16::from_le_bytes([head[16], head[17]]);
    Frame::Record(Record { position: Position(position), kind, version: head[18], payload }, length)
}

/// Covers all of the frame but the checksum itself.
fn frame_sum(payload_sum: u32, head: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(payload_sum, &head[..4]), &head[8..FRAME])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}
