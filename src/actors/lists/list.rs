//! One list and one agent's counts: how they begin, and what they are told from then on.

use std::{collections::HashMap, rc::Rc, sync::Arc};

use foldhash::fast::RandomState;

use super::{CLOSED_SINCE, Eyes, ListFilter, ListKey, ListView, ROWS_MAX, Tallies, changes::Changes};
use crate::{
    actors::{
        ledger::{Ledger, Line},
        port::{ConversationRow, ListRow, Notice, Port},
        space::Space,
    },
    ids::{AgentId, ConversationId},
};

/// Rows that one list is told at a time.
const ROWS_A_PUSH: usize = 64;

/// Changes that one list looks at at a time.
const LOOKS_A_PUSH: usize = 4_096;

/// Rounds that a list may be behind: then it begins anew, and what changed longer ago need not be kept for it.
pub(super) const BEHIND_MAX: u64 = 64;

/// What it costs to tell a row, in changes looked at.
const ROW: usize = 16;

/// One list of one connection.
pub(super) struct List {
    port: Arc<dyn Port>,
    key: Arc<ListKey>,
    /// Grows by one with everything told; the snapshot has it too.
    version: u64,
    /// What stands on it, each as it was told.
    told: HashMap<ConversationId, u64, RandomState>,
    /// Whether there is more than stands on it.
    clipped: bool,
    /// It is to begin anew: it has not begun yet, what its agent sees has changed, or it is too far behind.
    stale: bool,
    /// It knows of all that changed up to this round.
    since: u64,
    /// Its way through what has changed since, if it did not get to the end.
    walk: Option<Walk>,
}

/// How far a list has got with what has changed. The way leads from id to id, so that who changes all the time keeps nobody from being told.
#[derive(Clone, Copy)]
struct Walk {
    /// At the end it knows of all that changed up to this round.
    upto: u64,
    /// The last one looked at.
    at: Option<ConversationId>,
}

/// What one push came to.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Pushed {
    /// What it cost, in changes looked at.
    pub(super) cost: usize,
    /// Whether there is more to tell.
    pub(super) more: bool,
}

/// What one list is told.
#[derive(Default)]
struct News {
    rows: Vec<ListRow>,
    gone: Vec<ConversationId>,
}

impl News {
    fn are_many(&self) -> bool {
        self.rows.len() + self.gone.len() >= ROWS_A_PUSH
    }
}

impl List {
    /// A list that has not begun.
    pub(super) fn new(port: Arc<dyn Port>, key: ListKey) -> Self {
        Self {
            port,
            key: Arc::new(key),
            version: 0,
            told: HashMap::default(),
            clipped: false,
            stale: true,
            since: 0,
            walk: None,
        }
    }

    /// What its agent sees has changed: it begins anew.
    pub(super) fn turn_stale(&mut self) {
        self.stale = true;
    }

    /// Whether it is of what an agent takes part in.
    pub(super) fn is_own(&self) -> bool {
        self.key.filter == ListFilter::Mine
    }

    /// It knows of all that changed up to this round; `None`: of nothing, and will not ask.
    pub(super) fn since(&self) -> Option<u64> {
        (!self.stale).then_some(self.since)
    }

    /// The snapshot, if its reader has room for it: else it begins with a push to come.
    pub(super) fn begin(&mut self, space: &Space, ledger: &Ledger, changes: &Changes) -> Pushed {
        self.stale = true;
        if !self.port.has_room(1) {
            return Pushed { cost: 1, more: true };
        }
        let eyes = Eyes::of(self.key.agent, space, ledger);
        let mut rows = match self.key.view {
            ListView::Closed => self.closed(&eyes, space),
            _ => self.open(&eyes, space, ledger),
        };
        let cost = rows.len() * ROW + 1;
        if !self.port.has_room(rows.len()) {
            return Pushed { cost, more: true };
        }
        self.version += 1;
        (self.stale, self.walk, self.since) = (false, None, changes.round());
        self.clipped = rows.len() > ROWS_MAX;
        rows.truncate(ROWS_MAX);
        self.told.clear();
        self.told.extend(rows.iter().map(|(told, row)| (row.row.conversation, *told)));
        let (list, version, clipped) = (Arc::clone(&self.key), self.version, self.clipped);
        let rows: Vec<ListRow> = rows.into_iter().map(|(_, row)| row).collect();
        self.port.promise(rows.len());
        space.notify(
            smallvec::smallvec![Arc::clone(&self.port)],
            Notice::ListItems { list, version, rows, clipped },
        );
        Pushed { cost, more: false }
    }

    fn closed(&self, eyes: &Eyes<'_>, space: &Space) -> Vec<(u64, ListRow)> {
        let recent = ConversationId::earliest((space.local.now() - CLOSED_SINCE).micros() / 1_000);
        let fits = |row: &ConversationRow| eyes.find(&self.key, &Line::new(row.clone()));
        let rows = space.closed_rows(Some(recent), &fits, ROWS_MAX + 1);
        rows.into_iter().map(|row| eyes.row(&Line::new(row), space)).collect()
    }

    fn open(&self, eyes: &Eyes<'_>, space: &Space, ledger: &Ledger) -> Vec<(u64, ListRow)> {
        // What somebody takes part in is found without walking past all the rest.
        let own = self.key.agent.filter(|_| self.is_own());
        let parts = own.map(|own| ledger.mine(own).map(|mine| &mine.parts).into_iter().flatten());
        let parts = parts.map(|parts| parts.filter_map(|id| ledger.line(*id)));
        let all = own.is_none().then(|| ledger.lines(self.key.view.phases(), None));
        let lines = parts.into_iter().flatten().chain(all.into_iter().flatten());
        let found = lines.filter(|line| eyes.find(&self.key, line)).take(ROWS_MAX + 1);
        found.map(|line| eyes.row(&line, space)).collect()
    }

    /// Tells what has changed.
    pub(super) fn push(&mut self, space: &Space, ledger: &Ledger, changes: &Changes) -> Pushed {
        if self.stale || self.clipped && self.told.len() < ROWS_MAX * 3 / 4 {
            return self.begin(space, ledger, changes);
        }
        if self.walk.is_none() && self.since == changes.round() {
            return Pushed { cost: 1, more: false };
        }
        if changes.round() - self.since > BEHIND_MAX {
            return self.begin(space, ledger, changes);
        }
        // What is not told now is in what is told later.
        if !self.port.has_room(ROWS_A_PUSH) {
            return Pushed { cost: 1, more: true };
        }
        let (news, looked) = self.look_at(space, ledger, changes);
        let cost = looked + (news.rows.len() + 1) * ROW;
        self.tell(space, news);
        Pushed { cost, more: self.walk.is_some() }
    }

    /// What has changed, until it is enough, and at how many it looked.
    fn look_at(&mut self, space: &Space, ledger: &Ledger, changes: &Changes) -> (News, usize) {
        let walk = self.walk.take().unwrap_or(Walk { upto: changes.round(), at: None });
        let eyes = Eyes::of(self.key.agent, space, ledger);
        let mut news = News::default();
        let mut looked = 0;
        for (id, change) in changes.behind(walk.at) {
            looked += 1;
            if change.round > self.since {
                self.look(&eyes, space, id, change.line.as_ref(), &mut news);
            }
            if news.are_many() || looked == LOOKS_A_PUSH {
                self.walk = Some(Walk { at: Some(id), ..walk });
                return (news, looked);
            }
        }
        self.since = walk.upto;
        (news, looked)
    }

    /// Whether a conversation has come, gone or changed.
    fn look(
        &mut self,
        eyes: &Eyes<'_>,
        space: &Space,
        id: ConversationId,
        line: Option<&Rc<Line>>,
        news: &mut News,
    ) {
        let Some(line) = line.filter(|line| eyes.find(&self.key, line)) else {
            return news.gone.extend(self.told.remove(&id).map(|_| id));
        };
        let known = self.told.get(&id).copied();
        if known.is_none() && self.told.len() >= ROWS_MAX {
            self.clipped = true;
            return;
        }
        let (told, row) = eyes.row(line, space);
        if known != Some(told) {
            self.told.insert(id, told);
            news.rows.push(row);
        }
    }

    /// An agent takes part in a conversation, or no longer: a list of their own says so at once.
    pub(super) fn part_changed(&mut self, space: &Space, ledger: &Ledger, id: ConversationId) {
        if self.stale {
            return;
        }
        let line = ledger.line(id);
        // The archive has it now, where it is as it was.
        if line.is_none() && self.key.view == ListView::Closed {
            return;
        }
        let mut news = News::default();
        self.look(&Eyes::of(self.key.agent, space, ledger), space, id, line.as_ref(), &mut news);
        self.tell(space, news);
    }

    fn tell(&mut self, space: &Space, news: News) {
        let News { rows, gone } = news;
        if rows.is_empty() && gone.is_empty() {
            return;
        }
        self.version += 1;
        let (list, version, clipped) = (Arc::clone(&self.key), self.version, self.clipped);
        self.port.promise(rows.len());
        let changed = Notice::ListChanged { list, version, rows, gone, clipped };
        space.notify(smallvec::smallvec![Arc::clone(&self.port)], changed);
    }
}

/// The counts that one connection keeps.
pub(super) struct Counted {
    port: Arc<dyn Port>,
    agent: Option<AgentId>,
    version: u64,
    told: Tallies,
}

impl Counted {
    pub(super) fn new(port: Arc<dyn Port>, agent: Option<AgentId>) -> Self {
        Self { port, agent, version: 0, told: Tallies::default() }
    }

    /// The counts as they are, whether or not they have changed.
    pub(super) fn begin(&mut self, space: &Space, ledger: &Ledger) {
        self.tell(space, space.tallies(self.agent, ledger));
    }

    /// The counts, if they have changed.
    pub(super) fn push(&mut self, space: &Space, ledger: &Ledger) -> Pushed {
        let tallies = space.tallies(self.agent, ledger);
        if tallies != self.told {
            // Only the newest is worth anything.
            if !self.port.has_room(1) {
                return Pushed { cost: ROW, more: true };
            }
            self.tell(space, tallies);
        }
        Pushed { cost: ROW, more: false }
    }

    fn tell(&mut self, space: &Space, tallies: Tallies) {
        self.version += 1;
        self.told = tallies;
        let counts = Notice::Counts { agent: self.agent, version: self.version, tallies };
        space.notify(smallvec::smallvec![Arc::clone(&self.port)], counts);
    }
}
