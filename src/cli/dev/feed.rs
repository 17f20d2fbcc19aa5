//! What is decided, as it is recorded: observations in, lines out, on a thread of its own so that no arbiter waits for a
//! terminal.

mod narrator;

use std::{
    io::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use tokio::sync::Notify;

use self::narrator::{Narrator, Style};
use super::super::failure::Failure;
use crate::{
    actors::{local::Observer, port::Observation},
    config::Config,
};

/// Observations that may wait for a slow terminal; more are left out, and said to be.
const BACKLOG: usize = 4_096;

enum Note {
    Seen(Observation),
    End,
}

/// The running feed.
pub(super) struct Feed {
    notes: SyncSender<Note>,
    left_out: Arc<AtomicU64>,
    unread: Arc<Notify>,
    thread: thread::JoinHandle<io::Result<()>>,
}

impl Feed {
    /// Starts to print what the observer sees.
    pub(super) fn start(config: &Config) -> Result<Self, Failure> {
        let (notes, noted) = sync_channel(BACKLOG);
        let (left_out, unread) = (Arc::<AtomicU64>::default(), Arc::<Notify>::default());
        let narrator = Narrator::new(config, style());
        let (missing, gone) = (Arc::clone(&left_out), Arc::clone(&unread));
        let print = move || {
            let printed = print(&noted, narrator, &missing);
            gone.notify_one();
            printed
        };
        let thread = thread::Builder::new().name("feed".to_owned()).spawn(print);
        let thread = thread.map_err(|error| Failure::Run(format!("can't start a thread: {error}")))?;
        Ok(Self { notes, left_out, unread, thread })
    }

    /// What the daemon is to call. It never blocks.
    pub(super) fn observer(&self) -> Observer {
        let (notes, left_out) = (self.notes.clone(), Arc::clone(&self.left_out));
        Arc::new(move |_, observation| {
            if notes.try_send(Note::Seen(observation)).is_err() {
                left_out.fetch_add(1, Ordering::Relaxed);
            }
        })
    }

    /// Resolves when what it prints can't be written any more.
    pub(super) async fn unread(&self) {
        self.unread.notified().await;
    }

    /// Prints what is still to be printed, and what it all came to.
    pub(super) fn end(self) -> Result<(), Failure> {
        // The thread is gone already if nobody reads.
        let _ = self.notes.send(Note::End);
        match self.thread.join() {
            Ok(printed) => Ok(printed?),
            Err(_) => Err(Failure::Run("the feed fell over; the log says how".to_owned())),
        }
    }
}

fn print(notes: &Receiver<Note>, mut narrator: Narrator, left_out: &AtomicU64) -> io::Result<()> {
    while let Ok(Note::Seen(observation)) = notes.recv() {
        let lines = narrator.tell(&observation.entry);
        let missing = left_out.swap(0, Ordering::Relaxed);
        let mut out = io::stdout().lock();
        for line in lines {
            writeln!(out, "{line}")?;
        }
        if missing > 0 {
            writeln!(out, "… {missing} more happened meanwhile")?;
        }
    }
    writeln!(io::stdout().lock(), "\n{}", narrator.sum())
}

/// Colours only where somebody looks at them.
fn style() -> Style {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    if wanted && io::IsTerminal::is_terminal(&io::stdout()) { Style::Coloured } else { Style::Plain }
}
