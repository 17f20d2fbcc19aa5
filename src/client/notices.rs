//! Notices on their way to the program: a bounded line that drops its oldest and says so.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::protocol::Notice;

/// What the daemon told, or that something was missed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly all are notices, and few are kept at a time")]
pub enum Told {
    /// A notice.
    Notice(Notice),
    /// So many notices were dropped here because they were not read in time. Subscribe again from the last number
    /// known.
    Missed(u64),
}

/// The notices of one connection, in order. Dropping it stops them from being kept.
#[derive(Debug)]
pub struct Notices(Arc<Inbox>);

impl Notices {
    pub(super) fn new(inbox: Arc<Inbox>) -> Self {
        Self(inbox)
    }

    /// The next one; `None` after the last, when the connection has ended.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            let come = self.0.come.notified();
            // Not in the match itself: its guard would live as long as the wait.
            let taken = self.0.lock().take();
            match taken {
                Ok(told) => return told,
                Err(Empty) => come.await,
            }
        }
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        let mut line = self.0.lock();
        line.capacity = 0;
        line.kept.clear();
    }
}

#[derive(Debug)]
pub(super) struct Inbox {
    line: Mutex<Line>,
    come: Notify,
}

#[derive(Debug)]
struct Line {
    kept: VecDeque<Notice>,
    capacity: usize,
    missed: u64,
    ended: bool,
}

/// Nothing there yet.
struct Empty;

impl Inbox {
    pub(super) fn new(capacity: usize) -> Self {
        let line = Line { kept: VecDeque::new(), capacity, missed: 0, ended: false };
        Self { line: Mutex::new(line), come: Notify::new() }
    }

    pub(super) fn put(&self, told: Vec<Notice>) {
        if told.is_empty() {
            return;
        }
        let mut line = self.lock();
        for notice in told {
            line.kept.push_back(notice);
            if line.kept.len() > line.capacity {
                line.kept.pop_front();
                line.missed += 1;
            }
        }
        drop(line);
        self.come.notify_one();
    }

    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.come.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn take(&mut self) -> Result<Option<Told>, Empty> {
        if self.missed > 0 {
            return Ok(Some(Told::Missed(std::mem::take(&mut self.missed))));
        }
        match self.kept.pop_front() {
            Some(notice) => Ok(Some(Told::Notice(notice))),
            None if self.ended => Ok(None),
            None => Err(Empty),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{notice::GoAway, words::GoAwayReason};

    fn notice(retry_after_ms: u64) -> Notice {
        GoAway { reason: GoAwayReason::Draining, retry_after_ms }.into()
    }

    #[tokio::test]
    async fn the_oldest_are_dropped_and_their_number_is_told_first() {
        let inbox = Arc::new(Inbox::new(2));
        let mut notices = Notices::new(Arc::clone(&inbox));
        inbox.put((0..5).map(notice).collect());
        inbox.end();
        assert_eq!(notices.next().await, Some(Told::Missed(3)));
        assert_eq!(notices.next().await, Some(Told::Notice(notice(3))));
        assert_eq!(notices.next().await, Some(Told::Notice(notice(4))));
        assert_eq!(notices.next().await, None);
    }

    #[test]
    fn nothing_is_kept_for_a_program_that_does_not_care() {
        let inbox = Arc::new(Inbox::new(2));
        drop(Notices::new(Arc::clone(&inbox)));
        inbox.put((0..5).map(notice).collect());
        assert!(inbox.lock().kept.is_empty());
    }
}
