//! The log on a disk that forgets what was not synced, with a copy of what was appended to compare with.

use std::sync::Arc;

use maitred::{
    codec,
    journal::{Log, Options, SimDisk},
    routing::recovery::Entry,
};

use crate::rng::Rng;

/// What records are called in this log; the daemon's own kinds mean nothing here.
const KIND: u16 = 1;
const VERSION: u8 = 1;

/// The log of a simulated daemon.
pub(crate) struct Store {
    disk: SimDisk,
    log: Option<Log>,
    /// Every entry in the log, durable or not; the one at position 1 comes first.
    pub(crate) entries: Vec<Entry>,
    /// Of every byte ever appended: two runs of a seed must agree on it.
    pub(crate) hash: u64,
    bytes: Vec<u8>,
}

fn options() -> Options {
    Options { segment_bytes: 96 << 10, payload_max: 32 << 10, log_id: Some([7; 16]), ..Options::default() }
}

fn decode(payload: &[u8]) -> Result<Entry, String> {
    codec::from_log(payload).map_err(|error| format!("a record can't be read back: {error}"))
}

impl Store {
    pub(crate) fn new() -> Self {
        let mut store =
            Self { disk: SimDisk::new(), log: None, entries: Vec::new(), hash: 0, bytes: Vec::new() };
        let opened = store.open();
        assert!(opened.is_ok_and(|entries| entries.is_empty()), "an empty directory is an empty log");
        store
    }

    /// Appends and says the position.
    pub(crate) fn append(&mut self, entry: Entry) -> u64 {
        self.bytes.clear();
        let encoded = codec::to_log(&entry, &mut self.bytes);
        assert!(encoded.is_ok(), "{entry:?} can't be written: {encoded:?}");
        for byte in &self.bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.entries.push(entry);
        self.log.as_mut().map_or(0, |log| log.append(KIND, VERSION, &self.bytes).get())
    }

    pub(crate) fn sync(&mut self) {
        let synced = self.log.as_mut().map(Log::sync);
        assert!(matches!(synced, Some(Ok(_))), "a healthy disk syncs: {synced:?}");
    }

    pub(crate) fn durable(&self) -> u64 {
        self.log.as_ref().map_or(0, |log| log.durable().get())
    }

    pub(crate) fn newest(&self) -> u64 {
        self.log.as_ref().map_or(0, |log| log.newest().get())
    }

    /// The process is killed or the power is cut, perhaps in the middle of a sync; then the log is opened again. What it holds
    /// replaces the copy, which is returned as it was.
    ///
    /// # Errors
    /// The log was refused, or a record of it can't be read.
    pub(crate) fn crash(&mut self, rng: &mut Rng) -> Result<Vec<Entry>, String> {
        let in_a_sync = rng.chance(0.4);
        let power_cut = rng.chance(0.7);
        if in_a_sync && let Some(log) = &mut self.log {
            self.disk.fail_power(rng.below(4));
            // Torn or not at all: nobody is told of it.
            let _ = log.sync();
        }
        self.log = None;
        if power_cut {
            self.disk.crash(rng.next());
        } else {
            self.disk.kill();
        }
        let found = self.open()?;
        Ok(std::mem::replace(&mut self.entries, found))
    }

    fn open(&mut self) -> Result<Vec<Entry>, String> {
        let mut found = Vec::new();
        let opened = Log::open(Arc::new(self.disk.clone()), options(), &mut |record| {
            found.push(decode(record.payload));
        });
        let (log, _) = opened.map_err(|error| format!("the log does not open: {error}"))?;
        self.log = Some(log);
        found.into_iter().collect()
    }
}
