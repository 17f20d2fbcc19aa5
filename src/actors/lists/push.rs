//! When who is told what changed on their lists: at most four times a second, so many rows at a time, the rest the next time. What an agent
//! takes part in is told at once, with the event that says so (BR-4).

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::sync::Notify;

use super::{Counted, Eyes, List, ListFilter, ListKey, ListView, Lists, ROWS_MAX, Tallies, print};
use crate::{
    actors::{
        ledger::{Ledger, Line},
        local::Local,
        port::{Answer, ConversationRow, ListRow, Notice, Port, View},
        space::Space,
        supervision::guard,
    },
    clock::Timestamp,
    ids::{AgentId, ConversationId},
    routing::{Refusal, ReplyTo},
};

/// How often lists and counts that change are told.
const EVERY: Duration = Duration::from_millis(250);

/// Rows that one list is told at a time.
const ROWS_A_PUSH: usize = 64;

/// How old what is closed may be to stand on a list when it begins.
const CLOSED_SINCE: Duration = Duration::from_secs(24 * 3_600);

/// The workspaces of an arbiter in which something changed that stands on a list.
#[derive(Default)]
pub(in crate::actors) struct Bell {
    rung: RefCell<BTreeSet<u32>>,
    /// When the first of them did.
    since: Cell<Timestamp>,
    news: Notify,
}

impl Bell {
    fn ring(&self, now: Timestamp, space: u32) {
        let mut rung = self.rung.borrow_mut();
        if rung.is_empty() {
            self.since.set(now);
            self.news.notify_one();
        }
        rung.insert(space);
    }
}

impl Local {
    /// Tells the lists that have changed, all at once and no more often than every quarter of a second.
    pub async fn push_lists_forever(self: Rc<Self>) {
        loop {
            self.bell.news.notified().await;
            self.pause_until(self.bell.since.get() + EVERY).await;
            for space in self.bell.rung.take().into_iter().filter_map(|index| self.space(index)) {
                if guard(|| space.push_lists()).is_none() {
                    tracing::error!("lists fell on their way to those who keep them");
                }
            }
        }
    }
}

/// What one list is told.
#[derive(Default)]
struct Changes {
    rows: Vec<ListRow>,
    gone: Vec<ConversationId>,
}

impl Changes {
    fn are_many(&self) -> bool {
        self.rows.len() + self.gone.len() >= ROWS_A_PUSH
    }
}

impl List {
    /// The snapshot.
    fn begin(&mut self, space: &Space, ledger: &Ledger) {
        self.version += 1;
        self.stale = false;
        self.pending.clear();
        let eyes = Eyes::of(self.key.agent, space, ledger);
        let mut rows: Vec<ListRow> = match self.key.view {
            ListView::Closed => {
                let shown = |row: ConversationRow| eyes.row(&self.key, &Line::new(row));
                let recent = ConversationId::earliest((space.local.now() - CLOSED_SINCE).micros() / 1_000);
                let fits = |row: &ConversationRow| shown(row.clone()).is_some();
                space.closed_rows(Some(recent), &fits, ROWS_MAX + 1).into_iter().filter_map(shown).collect()
            }
            view => {
                // What somebody takes part in is found without walking past all the rest.
                let own = self.key.agent.filter(|_| self.key.filter == ListFilter::Mine);
                let parts = own.map(|own| ledger.mine(own).map(|mine| &mine.parts).into_iter().flatten());
                let parts = parts.map(|parts| parts.filter_map(|id| ledger.line(*id)));
                let all = own.is_none().then(|| ledger.lines(view.phases(), None));
                let lines = parts.into_iter().flatten().chain(all.into_iter().flatten());
                lines.filter_map(|line| eyes.row(&self.key, line)).take(ROWS_MAX + 1).collect()
            }
        };
        self.clipped = rows.len() > ROWS_MAX;
        rows.truncate(ROWS_MAX);
        let rows: Vec<ListRow> = rows.into_iter().map(|row| space.dressed(row)).collect();
        self.told = rows.iter().map(|row| (row.row.conversation, print(row))).collect();
        let (list, version, clipped) = (Arc::clone(&self.key), self.version, self.clipped);
        space.notify(
            smallvec::smallvec![Arc::clone(&self.port)],
            Notice::ListItems { list, version, rows, clipped },
        );
    }

    /// What changed; whether there is more to tell.
    fn push(&mut self, space: &Space, ledger: &Ledger, dirty: &BTreeSet<ConversationId>) -> bool {
        if self.stale || self.clipped && self.told.len() < ROWS_MAX * 3 / 4 {
            self.begin(space, ledger);
            return false;
        }
        let waiting = std::mem::take(&mut self.pending);
        let mut all = waiting.iter().chain(dirty.iter().filter(|id| !waiting.contains(id)));
        let mut changes = Changes::default();
        while !changes.are_many()
            && let Some(id) = all.next()
        {
            self.look(space, ledger, *id, &mut changes);
        }
        self.pending = all.copied().collect();
        self.tell(space, changes);
        !self.pending.is_empty()
    }

    /// Whether a conversation has come, gone or changed.
    fn look(&mut self, space: &Space, ledger: &Ledger, id: ConversationId, changes: &mut Changes) {
        let eyes = Eyes::of(self.key.agent, space, ledger);
        let line = ledger.line(id);
        // The archive has it now, where it is as it was.
        if line.is_none() && self.key.view == ListView::Closed && !space.is_erased(id) {
            return;
        }
        match line.and_then(|line| eyes.row(&self.key, line)).map(|row| space.dressed(row)) {
            Some(row) => {
                let new = print(&row);
                let told = self.told.get(&id).copied();
                if told.is_none() && self.told.len() >= ROWS_MAX {
                    self.clipped = true;
                } else if told != Some(new) {
                    self.told.insert(id, new);
                    changes.rows.push(row);
                }
            }
            None => changes.gone.extend(self.told.remove(&id).map(|_| id)),
        }
    }

    fn tell(&mut self, space: &Space, changes: Changes) {
        let Changes { rows, gone } = changes;
        if rows.is_empty() && gone.is_empty() {
            return;
        }
        self.version += 1;
        let (list, version, clipped) = (Arc::clone(&self.key), self.version, self.clipped);
        let changed = Notice::ListChanged { list, version, rows, gone, clipped };
        space.notify(smallvec::smallvec![Arc::clone(&self.port)], changed);
    }
}

impl Counted {
    fn tell(&mut self, space: &Space, agent: Option<AgentId>, tallies: Tallies) {
        self.version += 1;
        self.told = tallies;
        let counts = Notice::Counts { agent, version: self.version, tallies };
        space.notify(smallvec::smallvec![Arc::clone(&self.port)], counts);
    }
}

impl Space {
    /// Something about a conversation has changed that may stand on lists.
    pub(in crate::actors) fn touch(&self, id: ConversationId) {
        let mut lists = self.lists.borrow_mut();
        if lists.are_idle() {
            return;
        }
        lists.dirty.insert(id);
        lists.counted = true;
        self.local.bell.ring(self.local.now(), self.index);
    }

    /// An agent takes part in a conversation, or no longer: their own lists say so at once.
    pub(in crate::actors) fn part_changed(&self, agent: AgentId, id: ConversationId) {
        let mut lists = self.lists.borrow_mut();
        if lists.are_idle() {
            return;
        }
        let ledger = self.ledger.borrow();
        let own = |key: &ListKey| key.agent == Some(agent) && key.filter == ListFilter::Mine;
        for list in lists.lists.iter_mut().filter(|((_, key), _)| own(key)).map(|(_, list)| list) {
            let mut changes = Changes::default();
            list.look(self, &ledger, id, &mut changes);
            list.tell(self, changes);
        }
    }

    /// What an agent sees has changed: their lists begin anew.
    pub(in crate::actors) fn see_anew(&self, agent: AgentId) {
        let mut lists = self.lists.borrow_mut();
        let mut any = !lists.counts.is_empty();
        for list in lists.lists.values_mut().filter(|list| list.key.agent == Some(agent)) {
            list.stale = true;
            any = true;
        }
        if any {
            lists.counted = true;
            self.local.bell.ring(self.local.now(), self.index);
        }
    }

    fn push_lists(&self) {
        let mut lists = self.lists.borrow_mut();
        let Lists { lists: all, counts, dirty, counted } = &mut *lists;
        let dirty = std::mem::take(dirty);
        {
            let ledger = self.ledger.borrow();
            let mut more = false;
            for list in all.values_mut() {
                more |= list.push(self, &ledger, &dirty);
            }
            if more {
                self.local.bell.ring(self.local.now(), self.index);
            }
        }
        if std::mem::take(counted) {
            for ((_, agent), counts) in counts.iter_mut() {
                let tallies = self.tallies(*agent);
                if tallies != counts.told {
                    counts.tell(self, *agent, tallies);
                }
            }
        }
    }

    /// A connection keeps a list from now on.
    pub(in crate::actors) fn keep_list(&self, reply_to: ReplyTo, key: ListKey) {
        let Some(port) = self.place_for(reply_to) else { return };
        let mut list = List {
            port,
            key: Arc::new(key.clone()),
            version: 0,
            told: Default::default(),
            clipped: false,
            pending: BTreeSet::new(),
            stale: false,
        };
        self.reply(reply_to, Answer::Found(Box::new(View::Subscribed { version: 1, next: None })));
        self.look_at_archive();
        list.begin(self, &self.ledger.borrow());
        self.lists.borrow_mut().lists.insert((reply_to.connection, key), list);
    }

    /// A connection keeps an agent's counts from now on, or those of the workspace.
    pub(in crate::actors) fn keep_counts(&self, reply_to: ReplyTo, agent: Option<AgentId>) {
        let Some(port) = self.place_for(reply_to) else { return };
        self.reply(reply_to, Answer::Found(Box::new(View::Subscribed { version: 1, next: None })));
        let mut counts = Counted { port, version: 0, told: Tallies::default() };
        counts.tell(self, agent, self.tallies(agent));
        self.lists.borrow_mut().counts.insert((reply_to.connection, agent), counts);
    }

    fn place_for(&self, reply_to: ReplyTo) -> Option<Arc<dyn Port>> {
        if self.lists.borrow().are_full(reply_to.connection) {
            self.answer(reply_to, Err(Refusal::TooManyLists));
            return None;
        }
        self.sessions.borrow().port(reply_to.connection)
    }

    /// A connection keeps a list no more.
    pub(in crate::actors) fn drop_list(&self, connection: u64, key: ListKey) {
        self.lists.borrow_mut().lists.remove(&(connection, key));
    }

    /// A connection keeps counts no more.
    pub(in crate::actors) fn drop_counts(&self, connection: u64, agent: Option<AgentId>) {
        self.lists.borrow_mut().counts.remove(&(connection, agent));
    }

    /// A row as it is shown.
    fn dressed(&self, row: ListRow) -> ListRow {
        ListRow { row: self.with_face(row.row), ..row }
    }
}
