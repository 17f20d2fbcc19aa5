//! What is to be sent: on disk before anybody hears of it, in memory for whoever sends. Every change is durable first.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use smol_str::SmolStr;

use super::{
    delivery::{Delivery, Kind},
    retry::Patience,
    webhook::Verdict,
    words::{Error, Outcome},
};
use crate::{
    clock::Timestamp,
    ids::{ConversationId, WorkspaceId},
    journal::{Changes, Outgoing, Tray},
};

/// Failures in a row after which an endpoint is asked one thing at a time, until it answers well again.
const TROUBLED: u32 = 3;

/// Whose turn it is: what goes to one place waits in one lane, so that no other waits for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// A workspace's webhook.
    Webhook(WorkspaceId, SmolStr),
    /// The mail server.
    Mail,
}

impl Lane {
    pub(super) fn of(delivery: &Delivery) -> Self {
        match delivery.kind {
            Kind::Webhook => Self::Webhook(delivery.workspace.clone(), delivery.endpoint.clone()),
            Kind::Mail => Self::Mail,
        }
    }
}

#[derive(Debug, Default)]
struct Turn {
    due: BTreeSet<(Timestamp, u64)>,
    flying: usize,
    /// In a row.
    failures: u32,
}

/// How something went, for the metrics: by which way, and when it was queued if it is over.
pub(super) type Counted = (Kind, Outcome, Option<Timestamp>);

/// What is to be sent, and what was given up.
#[derive(Debug)]
pub(super) struct Queue {
    store: Outgoing,
    waiting: BTreeMap<u64, Arc<Delivery>>,
    dead: BTreeMap<u64, Arc<Delivery>>,
    lanes: BTreeMap<Lane, Turn>,
    bytes: usize,
    next: u64,
    /// Endpoints that want nothing any more, with the address that said so.
    shut: BTreeMap<Vec<u8>, String>,
}

impl Queue {
    /// Takes over what the store holds.
    pub(super) fn load(store: Outgoing) -> Result<Self, Error> {
        let mut queue = Self {
            store,
            waiting: BTreeMap::new(),
            dead: BTreeMap::new(),
            lanes: BTreeMap::new(),
            bytes: 0,
            next: 1,
            shut: BTreeMap::new(),
        };
        let mut waiting = Vec::new();
        queue
            .store
            .walk(Tray::Waiting, &mut |key, value| waiting.push((number(key), Delivery::read(value))))?;
        for (id, delivery) in waiting {
            queue.line_up(id, Arc::new(delivery?));
        }
        let mut dead = Vec::new();
        queue.store.walk(Tray::Dead, &mut |key, value| dead.push((number(key), Delivery::read(value))))?;
        for (id, delivery) in dead {
            queue.dead.insert(id, Arc::new(delivery?));
        }
        let newest = queue.waiting.keys().chain(queue.dead.keys()).max();
        queue.next = newest.map_or(1, |newest| newest + 1);
        let shut = &mut queue.shut;
        queue.store.walk(Tray::Shut, &mut |key, value| {
            shut.insert(key.to_vec(), String::from_utf8_lossy(value).into_owned());
        })?;
        Ok(queue)
    }

    pub(super) fn store(&self) -> &Outgoing {
        &self.store
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    fn line_up(&mut self, id: u64, delivery: Arc<Delivery>) {
        self.bytes += delivery.weight();
        self.lanes.entry(Lane::of(&delivery)).or_default().due.insert((delivery.due, id));
        self.waiting.insert(id, delivery);
    }

    fn step_out(&mut self, id: u64) -> Option<Arc<Delivery>> {
        let delivery = self.waiting.remove(&id)?;
        self.bytes = self.bytes.saturating_sub(delivery.weight());
        if let Some(turn) = self.lanes.get_mut(&Lane::of(&delivery)) {
            turn.due.remove(&(delivery.due, id));
        }
        Some(delivery)
    }

    // === In ===

    /// Queues what is new, together with what else has changed. `url`: where a webhook leads now. Room is made by giving up the
    /// oldest. Says how each went that does not simply wait.
    pub(super) fn enqueue(
        &mut self,
        new: Vec<Delivery>,
        mut changes: Changes,
        patience: &Patience,
        url: impl Fn(&Delivery) -> Option<String>,
    ) -> Result<Vec<Counted>, Error> {
        let mut counted = Vec::new();
        let mut fresh = Vec::new();
        for delivery in new {
            let shut = self.shut.get(&shut_key(&delivery));
            if shut.is_some() && shut.cloned() == url(&delivery) {
                counted.push((delivery.kind, Outcome::Disabled, None));
                continue;
            }
            changes.put(Tray::Waiting, key(self.next), delivery.write()?);
            fresh.push((self.next, Arc::new(delivery)));
            self.next += 1;
        }
        let crowded = self.crowded_out(&fresh, patience);
        let mut dead = Vec::new();
        for (id, delivery) in crowded {
            changes.remove(Tray::Waiting, key(id));
            dead.push((id, with_trouble(&delivery, "there was no room in the queue")));
        }
        let buried = self.bury(&dead, patience, &mut changes)?;
        self.store.commit(&changes)?;
        for (id, delivery) in fresh {
            if dead.iter().all(|(other, _)| *other != id) {
                self.line_up(id, delivery);
            }
        }
        counted.extend(dead.iter().map(|(_, delivery)| (delivery.kind, Outcome::Dead, None)));
        self.settle_dead(dead, buried, &mut counted);
        Ok(counted)
    }

    /// The oldest, until the rest fits. What flies is not called back.
    fn crowded_out(&self, fresh: &[(u64, Arc<Delivery>)], patience: &Patience) -> Vec<(u64, Arc<Delivery>)> {
        let mut count = self.waiting.len() + fresh.len();
        let mut bytes = self.bytes + fresh.iter().map(|(_, delivery)| delivery.weight()).sum::<usize>();
        let mut out = Vec::new();
        for (id, delivery) in self
            .waiting
            .iter()
            .map(|(id, delivery)| (*id, delivery))
            .chain(fresh.iter().map(|(id, delivery)| (*id, delivery)))
        {
            if count <= patience.waiting_max && bytes <= patience.waiting_bytes {
                break;
            }
            count -= 1;
            bytes -= delivery.weight();
            out.push((id, Arc::clone(delivery)));
        }
        out
    }

    /// Writes dead letters down; those that have to make room for them.
    fn bury(
        &self,
        dead: &[(u64, Arc<Delivery>)],
        patience: &Patience,
        changes: &mut Changes,
    ) -> Result<Vec<u64>, Error> {
        for (id, delivery) in dead {
            changes.put(Tray::Dead, key(*id), delivery.write()?);
        }
        let surplus = (self.dead.len() + dead.len()).saturating_sub(patience.dead_max);
        let old: Vec<u64> = self.dead.keys().take(surplus).copied().collect();
        for id in &old {
            changes.remove(Tray::Dead, key(*id));
        }
        Ok(old)
    }

    fn settle_dead(&mut self, dead: Vec<(u64, Arc<Delivery>)>, buried: Vec<u64>, counted: &mut Vec<Counted>) {
        for id in buried {
            let gone = self.dead.remove(&id);
            counted.extend(gone.map(|delivery| (delivery.kind, Outcome::Dropped, None)));
        }
        for (id, delivery) in dead {
            self.step_out(id);
            self.dead.insert(id, delivery);
        }
    }

    // === Out ===

    /// What is to be sent now; each flies until it is settled. `most`: how many of a lane may fly at a time; 0: it has no endpoint.
    pub(super) fn take_off(
        &mut self,
        now: Timestamp,
        most: impl Fn(&Lane) -> usize,
    ) -> Vec<(u64, Arc<Delivery>)> {
        let mut off = Vec::new();
        for (lane, turn) in &mut self.lanes {
            let most = if turn.failures >= TROUBLED { 1 } else { most(lane).max(1) };
            while turn.flying < most && turn.due.first().is_some_and(|(due, _)| *due <= now) {
                let Some((_, id)) = turn.due.pop_first() else { break };
                if let Some(delivery) = self.waiting.get(&id) {
                    turn.flying += 1;
                    off.push((id, Arc::clone(delivery)));
                }
            }
        }
        off
    }

    /// When the next is due that could fly then.
    pub(super) fn next_due(&self, most: impl Fn(&Lane) -> usize) -> Option<Timestamp> {
        let free = |lane: &Lane, turn: &Turn| {
            turn.flying < if turn.failures >= TROUBLED { 1 } else { most(lane).max(1) }
        };
        let lanes = self.lanes.iter().filter(|(lane, turn)| free(lane, turn));
        lanes.filter_map(|(_, turn)| turn.due.first()).map(|(due, _)| *due).min()
    }

    /// Takes in how attempts went.
    pub(super) fn land(
        &mut self,
        landed: Vec<(u64, Arc<Delivery>, Verdict)>,
        now: Timestamp,
        patience: &Patience,
        url: impl Fn(&Delivery) -> Option<String>,
    ) -> Result<Vec<Counted>, Error> {
        let mut counted = Vec::new();
        let mut changes = Changes::default();
        let (mut done, mut again, mut dead) = (Vec::new(), Vec::new(), Vec::new());
        let mut shut = Vec::new();
        for (id, delivery, verdict) in &landed {
            let lane = Lane::of(delivery);
            if let Some(turn) = self.lanes.get_mut(&lane) {
                turn.flying = turn.flying.saturating_sub(1);
                // Who says no for good is well.
                let well = matches!(verdict, Verdict::Delivered | Verdict::Never { .. });
                turn.failures = if well { 0 } else { turn.failures.saturating_add(1) };
            }
            if !self.waiting.contains_key(id) {
                continue;
            }
            let mut tried = Delivery::clone(delivery);
            tried.attempts += 1;
            match verdict {
                Verdict::Delivered => {
                    changes.remove(Tray::Waiting, key(*id));
                    counted.push((delivery.kind, Outcome::Delivered, Some(delivery.queued)));
                    done.push(*id);
                }
                Verdict::Again { why, after } => {
                    tried.note(why);
                    match patience.next(delivery.queued, now, tried.attempts, *after) {
                        Some(due) => {
                            tried.due = due;
                            changes.put(Tray::Waiting, key(*id), tried.write()?);
                            counted.push((delivery.kind, Outcome::Retried, None));
                            again.push((*id, Arc::new(tried)));
                        }
                        None => dead.push((*id, Arc::new(tried))),
                    }
                }
                Verdict::Never { why } => {
                    tried.note(why);
                    dead.push((*id, Arc::new(tried)));
                }
                Verdict::Gone { why } => {
                    tried.note(why);
                    dead.push((*id, Arc::new(tried)));
                    shut.push((shut_key(delivery), url(delivery).unwrap_or_default()));
                    let others = self.waiting.iter().filter(|(other, waiting)| {
                        *other != id
                            && Lane::of(waiting) == lane
                            && landed.iter().all(|(landed, ..)| landed != *other)
                    });
                    dead.extend(others.map(|(other, waiting)| (*other, with_trouble(waiting, why))));
                }
            }
        }
        dead.sort_by_key(|(id, _)| *id);
        dead.dedup_by_key(|(id, _)| *id);
        for (id, _) in &dead {
            changes.remove(Tray::Waiting, key(*id));
        }
        for (key, url) in &shut {
            changes.put(Tray::Shut, key.clone(), url.clone().into_bytes());
        }
        let buried = self.bury(&dead, patience, &mut changes)?;
        if let Err(error) = self.store.commit(&changes) {
            // They fly no more; the next attempt is the same one again.
            for (id, delivery, _) in landed {
                if self.waiting.contains_key(&id) {
                    self.lanes.entry(Lane::of(&delivery)).or_default().due.insert((delivery.due, id));
                }
            }
            return Err(error.into());
        }
        for id in done {
            self.step_out(id);
        }
        for (id, delivery) in again {
            self.step_out(id);
            self.line_up(id, delivery);
        }
        counted.extend(dead.iter().map(|(_, delivery)| (delivery.kind, Outcome::Dead, None)));
        self.shut.extend(shut);
        self.settle_dead(dead, buried, &mut counted);
        self.lanes.retain(|_, turn| turn.flying > 0 || !turn.due.is_empty() || turn.failures > 0);
        Ok(counted)
    }

    // === By hand ===

    /// A page of a workspace's deliveries after this one, and whether more follow.
    pub(super) fn page(
        &self,
        workspace: &WorkspaceId,
        dead: bool,
        after: u64,
        limit: usize,
    ) -> (Vec<(u64, Arc<Delivery>)>, bool) {
        let all = if dead { &self.dead } else { &self.waiting };
        let mine =
            all.range(after.saturating_add(1)..).filter(|(_, delivery)| delivery.workspace == *workspace);
        let mut page: Vec<_> =
            mine.take(limit + 1).map(|(id, delivery)| (*id, Arc::clone(delivery))).collect();
        let more = page.len() > limit;
        page.truncate(limit);
        (page, more)
    }

    /// One delivery of a workspace, and whether it was given up.
    pub(super) fn find(&self, workspace: &WorkspaceId, id: u64) -> Option<(Arc<Delivery>, bool)> {
        let waiting = self.waiting.get(&id).map(|delivery| (Arc::clone(delivery), false));
        let found = waiting.or_else(|| self.dead.get(&id).map(|delivery| (Arc::clone(delivery), true)));
        found.filter(|(delivery, _)| delivery.workspace == *workspace)
    }

    /// Tries one now, given up or not, with new patience. An endpoint that wanted nothing is asked again.
    pub(super) fn retry(&mut self, workspace: &WorkspaceId, id: u64, now: Timestamp) -> Result<bool, Error> {
        let Some((old, was_dead)) = self.find(workspace, id) else { return Ok(false) };
        let shut = shut_key(&old);
        let new = Delivery { queued: now, due: now, ..Delivery::clone(&old) };
        let mut changes = Changes::default();
        changes.put(Tray::Waiting, key(id), new.write()?);
        changes.remove(Tray::Dead, key(id));
        changes.remove(Tray::Shut, shut.clone());
        self.store.commit(&changes)?;
        self.shut.remove(&shut);
        let flies = !was_dead
            && self.lanes.get(&Lane::of(&old)).is_none_or(|turn| !turn.due.contains(&(old.due, id)));
        if !flies {
            self.dead.remove(&id);
            self.step_out(id);
            self.line_up(id, Arc::new(new));
        }
        Ok(true)
    }

    /// Takes one away for good.
    pub(super) fn take_away(&mut self, workspace: &WorkspaceId, id: u64) -> Result<Option<Kind>, Error> {
        let Some((delivery, _)) = self.find(workspace, id) else { return Ok(None) };
        let mut changes = Changes::default();
        changes.remove(Tray::Waiting, key(id));
        changes.remove(Tray::Dead, key(id));
        self.store.commit(&changes)?;
        self.step_out(id);
        self.dead.remove(&id);
        Ok(Some(delivery.kind))
    }

    /// These are off the disk already: an erased conversation's.
    pub(super) fn forget(&mut self, ids: &[u64]) {
        for id in ids {
            self.step_out(*id);
            self.dead.remove(id);
        }
    }

    /// What is to go with an erased conversation.
    pub(super) fn of_conversation(&self, workspace: &WorkspaceId, conversation: ConversationId) -> Vec<u64> {
        let all = self.waiting.iter().chain(&self.dead);
        let of = all.filter(|(_, delivery)| {
            delivery.conversation == Some(conversation) && delivery.workspace == *workspace
        });
        of.map(|(id, _)| *id).collect()
    }
}

fn with_trouble(delivery: &Delivery, trouble: &str) -> Arc<Delivery> {
    let mut delivery = delivery.clone();
    delivery.note(trouble);
    Arc::new(delivery)
}

fn key(id: u64) -> [u8; 8] {
    id.to_be_bytes()
}

fn number(key: &[u8]) -> u64 {
    key.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

fn shut_key(delivery: &Delivery) -> Vec<u8> {
    [delivery.workspace.as_str().as_bytes(), &[0], delivery.endpoint.as_bytes()].concat()
}
