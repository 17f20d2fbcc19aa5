//! The seam to the disk: all that the log ever asks of a directory.
//!
//! Holds: the two traits, [`RealDisk`] and [`SimDisk`]. Knows: files. Never: records.
//! Start reading at: [`Disk`].

mod real;
mod sim;

use std::io;

pub use real::RealDisk;
pub use sim::SimDisk;

/// One directory. Names are plain file names.
pub trait Disk: Send + Sync {
    /// Takes the directory for this process alone, until the returned value is dropped.
    ///
    /// # Errors
    /// `WouldBlock` when somebody else has it.
    fn lock(&self) -> io::Result<Box<dyn Send + Sync>>;

    /// The names of all files.
    ///
    /// # Errors
    /// What the operating system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// An empty file; one of the same name is emptied. The name survives a power cut only after
    /// [`Disk::sync_dir`].
    ///
    /// # Errors
    /// What the operating system says.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// A file that exists, for reading and writing.
    ///
    /// # Errors
    /// `NotFound`, or what the operating system says.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name, replacing what had it.
    ///
    /// # Errors
    /// What the operating system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Takes a name away.
    ///
    /// # Errors
    /// `NotFound`, or what the operating system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all names durable.
    ///
    /// # Errors
    /// What the operating system says.
    fn sync_dir(&self) -> io::Result<()>;
}

/// One open file.
pub trait DiskFile: Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// What the operating system says.
    fn length(&self) -> io::Result<u64>;

    /// Reads until `into` is full or the file ends, and says how much that was.
    ///
    /// # Errors
    /// What the operating system says.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of it, lengthening the file where needed. Durable only after [`DiskFile::sync`].
    ///
    /// # Errors
    /// `StorageFull`, or what the operating system says.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file off at this length, or lengthens it with zeros. Durable only after [`DiskFile::sync`].
    ///
    /// # Errors
    /// `StorageFull`, or what the operating system says.
    fn set_length(&self, length: u64) -> io::Result<()>;

    /// Makes contents and length durable (`fdatasync`).
    ///
    /// # Errors
    /// Whatever the operating system says, the unsynced bytes may be lost for ever, and a second call that succeeds
    /// says nothing about them.
    fn sync(&self) -> io::Result<()>;
}
