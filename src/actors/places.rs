//! Telling those who wait where they stand. A line that changes is called out on a timer: its head each time, the rest in turns,
//! so that taking somebody out of a line costs the same however many wait behind them, and nobody is told more often than the timer
//! goes. What has changed of the visitors on the sites is told on the same timer. With 100,000 waiting the one at the very end hears of a change within two minutes; whoever wants to know at once asks.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix::{Context, Handler, Message};
use tokio::sync::Notify;

use super::{
    conversation::ConversationActor,
    group::GroupActor,
    local::Local,
    port::Notice,
    sessions::{Feed, Ports},
    shell::Shell as _,
    supervision::guard,
};
use crate::{clock::Timestamp, ids::GroupId};

/// How often a line that changes is called out.
const EVERY: Duration = Duration::from_millis(500);

/// Places from the front that each call tells.
const HEAD: usize = 20;

/// Places behind those that one call tells.
const TURN: usize = 500;

/// The lines of an arbiter that have changed since they were called out.
#[derive(Default)]
pub(super) struct Lines {
    changed: RefCell<BTreeSet<(u32, GroupId)>>,
    /// Workspaces whose list of visitors has.
    visited: RefCell<BTreeSet<u32>>,
    /// When the first of them did.
    since: Cell<Timestamp>,
    news: Notify,
}

impl Lines {
    /// A line is to be called out.
    pub(super) fn change(&self, now: Timestamp, space: u32, group: &GroupId) {
        self.begin(now);
        self.changed.borrow_mut().insert((space, group.clone()));
    }

    /// Who watches the visitors of a workspace is to be told.
    pub(super) fn visit(&self, now: Timestamp, space: u32) {
        self.begin(now);
        self.visited.borrow_mut().insert(space);
    }

    fn begin(&self, now: Timestamp) {
        if self.changed.borrow().is_empty() && self.visited.borrow().is_empty() {
            self.since.set(now);
            self.news.notify_one();
        }
    }
}

/// What a group knows of its calls.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// The line's changes that were seen.
    seen: u64,
    /// The line's changes when the turns last began at the head.
    turn: u64,
}

/// Call out some places of the line.
#[derive(Debug)]
pub struct CallPlaces;

impl Message for CallPlaces {
    type Result = ();
}

/// A conversation stands here in its line.
#[derive(Debug, Clone, Copy)]
pub struct Placed {
    /// From 1.
    pub position: u32,
    /// How many wait in all.
    pub waiting: u32,
}

impl Message for Placed {
    type Result = ();
}

impl Local {
    /// Calls out the lines that have changed, all at once and no more often than every half second.
    pub async fn call_places_forever(self: Rc<Self>) {
        loop {
            self.lines.news.notified().await;
            self.pause_until(self.lines.since.get() + EVERY).await;
            for (space, group) in self.lines.changed.take() {
                self.shared.directory.call_places(space, &group);
            }
            for space in self.lines.visited.take().into_iter().filter_map(|space| self.space(space)) {
                if guard(|| space.tell_visitors()).is_none() {
                    tracing::error!("a change of the visitors fell on its way to who watches them");
                }
            }
        }
    }

    pub(super) async fn pause_until(&self, until: Timestamp) {
        let clock = &self.shared.clock;
        let mut now = clock.now();
        while now < until {
            if clock.is_manual() {
                clock.moved_from(now).await;
            } else {
                tokio::time::sleep(until.since(now)).await;
            }
            now = clock.now();
        }
    }
}

impl GroupActor {
    /// After each step: a line that has changed will be called out.
    pub(super) fn watch_line(&mut self) {
        let changes = self.machine.line_changes();
        if changes != self.calls.seen {
            self.calls.seen = changes;
            self.mark_line();
        }
    }

    fn mark_line(&self) {
        let local = &self.space.local;
        local.lines.change(local.now(), self.space.index, self.machine.id());
    }

    fn call_places(&mut self) {
        let called = self.machine.call_places(HEAD, TURN);
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let waiting = number(called.waiting);
        for (conversation, position) in &called.places {
            let placed = Placed { position: number(*position), waiting };
            self.space.local.shared.directory.place(self.space.index, *conversation, placed);
        }
        let all_at_once = called.places.len() >= called.waiting;
        let changes = self.machine.line_changes();
        let again = !(all_at_once || called.end && self.calls.turn == changes);
        if called.end {
            self.calls.turn = changes;
        }
        if again {
            self.mark_line();
        }
    }
}

impl Handler<CallPlaces> for GroupActor {
    type Result = ();
    fn handle(&mut self, _: CallPlaces, _: &mut Context<Self>) {
        if guard(|| self.call_places()).is_none() {
            self.rebuild();
        }
    }
}

impl ConversationActor {
    /// Tells whoever hears for the visitor, and who subscribed, unless they know it already.
    fn placed(&mut self, placed: Placed) {
        let Some(((stay, _), (visitor, _, via))) = self.machine.waiting_since().zip(self.machine.visitor())
        else {
            return;
        };
        if self.told_place.replace((stay, placed.position)) == Some((stay, placed.position)) {
            return;
        }
        let conversation = self.machine.id();
        let mut ports = self.space.sessions.borrow().visitor(visitor, via);
        for as_visitor in [false, true] {
            add(&mut ports, self.space.feed(&Feed::Conversation { conversation, as_visitor }));
        }
        let Placed { position, waiting } = placed;
        self.space.notify(ports, Notice::Placed { conversation, visitor, position, waiting });
    }
}

/// Nobody hears the same place twice.
fn add(ports: &mut Ports, more: Ports) {
    for port in more {
        if !ports.iter().any(|known| Arc::ptr_eq(known, &port)) {
            ports.push(port);
        }
    }
}

impl Handler<Placed> for ConversationActor {
    type Result = ();
    fn handle(&mut self, placed: Placed, _: &mut Context<Self>) {
        // Nothing of the machine changes, so there is nothing to rebuild.
        if guard(|| self.placed(placed)).is_none() {
            tracing::error!("a place fell on its way to a visitor");
        }
    }
}
