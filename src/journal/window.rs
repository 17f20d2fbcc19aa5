//! A file read from front to back, a piece at a time.

use std::io;

use super::{
    disk::DiskFile,
    format::{FRAME, FRAME_MAX, Frame, frame_length, parse_frame},
};

/// A part of a file, in memory.
pub(super) struct Window<'a> {
    file: &'a dyn DiskFile,
    /// Where the file ends, or should end: what is missing of it reads as zeros.
    size: u64,
    /// How much is read at a time.
    piece: usize,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    pub(super) fn new(file: &'a dyn DiskFile, size: u64, piece: usize) -> Self {
        Self { file, size, piece, start: 0, bytes: Vec::new() }
    }

    /// The frame at an offset, which must be a record of this position.
    pub(super) fn frame(&mut self, offset: u64, position: u64, seed: u32) -> io::Result<Frame<'_>> {
        let length = frame_length(self.at(offset, FRAME)?);
        let wanted = if length <= FRAME_MAX { length } else { FRAME };
        Ok(parse_frame(self.at(offset, wanted)?, position, seed))
    }

    /// At least `wanted` bytes from an offset on, or as many as the file has.
    pub(super) fn at(&mut self, offset: u64, wanted: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = wanted.min(left);
        let here = offset.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        let skip = match here {
            Some(skip) if skip + wanted <= self.bytes.len() => skip,
            _ => {
                self.fill(offset, wanted.max(self.piece).min(left))?;
                0
            }
        };
        Ok(&self.bytes[skip..])
    }

    fn fill(&mut self, offset: u64, length: usize) -> io::Result<()> {
        self.start = offset;
        self.bytes.resize(length, 0);
        let read = self.file.read_at(&mut self.bytes, offset)?;
        self.bytes[read..].fill(0);
        Ok(())
    }
}
