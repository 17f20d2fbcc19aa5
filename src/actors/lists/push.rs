//! When who is told what changed on their lists: at most four times a second, so many rows at a time, the rest the next time. What an agent
//! takes part in is told at once, with the event that says so (BR-4).

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeSet, VecDeque},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    ListKey,
    kept::{Round, Screen, What},
    list::{Counted, List},
};
use crate::{
    actors::{
        ledger::Line,
        local::Local,
        port::{Answer, Port, View},
        space::Space,
        supervision::guard,
    },
    clock::Timestamp,
    ids::{AgentId, ConversationId},
    routing::{Refusal, ReplyTo},
};

/// How often lists and counts that change are told.
const EVERY: Duration = Duration::from_millis(250);

/// What is done in one go, in changes looked at: about a millisecond. Then the arbiter does what else there is to do.
const SLICE: usize = 8_192;

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
    /// Tells the lists that have changed, no more often than every quarter of a second, a slice of each workspace in turns.
    pub async fn push_lists_forever(self: Rc<Self>) {
        loop {
            self.bell.news.notified().await;
            self.pause_until(self.bell.since.get() + EVERY).await;
            let spaces = self.bell.rung.take().into_iter().filter_map(|index| self.space(index));
            let begun = spaces.map(|space| (space.begin_round(), space));
            let mut rounds: VecDeque<(Round, Rc<Space>)> = begun.collect();
            while let Some((mut round, space)) = rounds.pop_front() {
                let left = guard(|| space.push_lists(&mut round)).unwrap_or_else(|| {
                    tracing::error!("a list fell on its way to who keeps it");
                    true
                });
                if left {
                    rounds.push_back((round, space));
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

impl Space {
    /// Something about a conversation has changed that may stand on lists; `line`: as it is now, if anybody may still hear of it.
    pub(in crate::actors) fn touch(&self, id: ConversationId, line: Option<&Rc<Line>>) {
        let mut lists = self.lists.borrow_mut();
        if lists.are_idle() {
            return;
        }
        lists.changes.add(id, line.cloned());
        lists.count();
        self.ring();
    }

    /// An agent takes part in a conversation, or no longer: their own lists say so at once.
    pub(in crate::actors) fn part_changed(&self, agent: AgentId, id: ConversationId) {
        self.lists.borrow_mut().part_changed(agent, id, self, &self.ledger.borrow());
    }

    /// What an agent sees has changed: their lists begin anew.
    pub(in crate::actors) fn see_anew(&self, agent: AgentId) {
        let mut lists = self.lists.borrow_mut();
        if lists.are_idle() {
            return;
        }
        lists.of(agent, List::turn_stale);
        lists.count();
        self.ring();
    }

    fn ring(&self) {
        self.local.bell.ring(self.local.now(), self.index);
    }

    pub(super) fn begin_round(&self) -> Round {
        self.lists.borrow_mut().begin_round()
    }

    /// Tells the next lists; whether there are others left.
    pub(super) fn push_lists(&self, round: &mut Round) -> bool {
        let left = self.lists.borrow_mut().push(round, SLICE, self, &self.ledger.borrow());
        if !left && round.more {
            self.ring();
        }
        left
    }

    /// A connection keeps a list from now on.
    pub(in crate::actors) fn keep_list(&self, reply_to: ReplyTo, key: ListKey) {
        let what = What::List(key.clone());
        let Some(port) = self.place_for(reply_to, &what) else { return };
        let mut list = List::new(port, key);
        self.reply(reply_to, Answer::Found(Box::new(View::Subscribed { version: 1, next: None })));
        self.look_at_archive();
        let mut lists = self.lists.borrow_mut();
        if list.begin(self, &self.ledger.borrow(), &lists.changes).more {
            self.ring();
        }
        lists.keep(reply_to.connection, what, Screen::List(list));
    }

    /// A connection keeps an agent's counts from now on, or those of the workspace.
    pub(in crate::actors) fn keep_counts(&self, reply_to: ReplyTo, agent: Option<AgentId>) {
        let what = What::Counts(agent);
        let Some(port) = self.place_for(reply_to, &what) else { return };
        self.reply(reply_to, Answer::Found(Box::new(View::Subscribed { version: 1, next: None })));
        let mut counts = Counted::new(port, agent);
        counts.begin(self, &self.ledger.borrow());
        self.lists.borrow_mut().keep(reply_to.connection, what, Screen::Counts(counts));
    }

    fn place_for(&self, reply_to: ReplyTo, what: &What) -> Option<Arc<dyn Port>> {
        if self.lists.borrow().have_no_room(reply_to.connection, what) {
            self.answer(reply_to, Err(Refusal::TooManyLists));
            return None;
        }
        self.sessions.borrow().port(reply_to.connection)
    }

    /// A connection keeps a list no more.
    pub(in crate::actors) fn drop_list(&self, connection: u64, key: ListKey) {
        self.lists.borrow_mut().drop(connection, &What::List(key));
    }

    /// A connection keeps counts no more.
    pub(in crate::actors) fn drop_counts(&self, connection: u64, agent: Option<AgentId>) {
        self.lists.borrow_mut().drop(connection, &What::Counts(agent));
    }
}
