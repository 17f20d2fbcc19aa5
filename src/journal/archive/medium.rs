//! The library's file on our own seam to the disk, so that power cuts and full disks are simulated for it too.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::StorageBackend;

use crate::journal::disk::DiskFile;

/// A file, as the library wants it.
pub(in crate::journal) struct Medium {
    pub(in crate::journal) file: Box<dyn DiskFile>,
    /// Nothing is changed any more.
    pub(in crate::journal) retired: Arc<AtomicBool>,
}

impl Medium {
    fn change(&self, change: impl FnOnce(&dyn DiskFile) -> io::Result<()>) -> io::Result<()> {
        if self.retired.load(Ordering::Acquire) { Ok(()) } else { change(&*self.file) }
    }
}

impl fmt::Debug for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Medium")
    }
}

impl StorageBackend for Medium {
    fn len(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let read = self.file.read_at(out, offset)?;
        if read == out.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(|file| file.set_length(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(|file| file.sync())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(|file| file.write_at(data, offset))
    }
}
