//! The events of one conversation as one audience saw them, by their numbers.

use super::{Broken, Found};

/// One event that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// Its number for this audience.
    pub(super) number: u64,
    /// Its number for the visitor; 0 if they don't see it.
    pub(super) visitor_number: u64,
    /// Which message it is; 0 if it is none.
    pub(super) token: u32,
}

/// What one audience saw, in order of the numbers.
#[derive(Debug, Default)]
pub(super) struct Feed {
    heard: Vec<Heard>,
    state: State,
    /// Whether what was seen may be seen again, because it was asked for again.
    resumed: bool,
    /// Whether holes may be filled until the end, as everything missed was asked for.
    filling: bool,
}

/// Whether the next event has to have the next number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing seen yet; an agent may come in at any number.
    #[default]
    Fresh,
    /// It has to.
    Open,
    /// The agent left, or their session was lost: may come back at any later number.
    Away,
    /// The conversation was closed; it may be opened again.
    Ended,
}

impl Feed {
    /// A feed that has to begin with number 1.
    pub(super) fn from_the_start() -> Self {
        Self { state: State::Open, ..Self::default() }
    }

    pub(super) fn clear(&mut self) {
        self.heard.clear();
        self.state = State::Fresh;
        self.resumed = false;
        self.filling = false;
    }

    /// Takes the next event in; `words` names feed and conversation.
    pub(super) fn take(&mut self, found: &mut Found, next: Heard, words: impl Fn() -> String) {
        let last = self.heard.last().map_or(0, |heard| heard.number);
        if next.number > last {
            if next.number != last + 1 && matches!(self.state, State::Open | State::Ended) && !self.filling {
                let number = next.number;
                found.broken(Broken::Gap, || format!("{}: {number} came after {last}", words()));
            }
            self.twice(found, next, &words);
            self.heard.push(next);
            self.state = State::Open;
            return;
        }
        match self.heard.binary_search_by_key(&next.number, |heard| heard.number) {
            Ok(at) if self.heard[at] != next => {
                let (was, number) = (self.heard[at], next.number);
                found.broken(Broken::Gap, || format!("{}: {number} is {was:?} and {next:?}", words()));
            }
            Ok(_) if self.resumed || self.filling => {}
            Ok(_) => found.broken(Broken::Duplicate, || format!("{}: {} came twice", words(), next.number)),
            Err(at) => {
                // A history fills the hole that an absence left.
                if !self.resumed && !self.filling {
                    let number = next.number;
                    found.broken(Broken::Gap, || format!("{}: {number} came after {last}", words()));
                }
                self.heard.insert(at, next);
            }
        }
    }

    /// A message belongs under one number only, and into its own conversation.
    fn twice(&self, found: &mut Found, next: Heard, words: &impl Fn() -> String) {
        if next.token == 0 {
            return;
        }
        if next.token == u32::MAX {
            let number = next.number;
            found.broken(Broken::Duplicate, || format!("{}: {number} was not written here", words()));
        } else if let Some(first) = self.heard.iter().rev().find(|heard| heard.token == next.token) {
            let (first, again) = (first.number, next.number);
            found.broken(Broken::Duplicate, || {
                format!("{}: message {} is number {first} and {again}", words(), next.token)
            });
        }
    }

    pub(super) fn set(&mut self, state: State) {
        self.state = state;
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// What was seen may come again from here on.
    pub(super) fn resume(&mut self) {
        self.resumed = true;
    }

    /// What was missed is asked for, and may come after what follows it.
    pub(super) fn fill(&mut self) {
        self.filling = true;
    }

    /// The numbers from 1 on that were to be filled and are not there.
    pub(super) fn holes(&self) -> u64 {
        let last = self.heard.last().map_or(0, |last| last.number);
        if self.filling { last.saturating_sub(self.heard.len() as u64) } else { 0 }
    }

    /// The event with this number.
    pub(super) fn get(&self, number: u64) -> Option<Heard> {
        let at = self.heard.binary_search_by_key(&number, |heard| heard.number).ok()?;
        Some(self.heard[at])
    }

    pub(super) fn last(&self) -> Option<Heard> {
        self.heard.last().copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Heard> + '_ {
        self.heard.iter().copied()
    }
}
