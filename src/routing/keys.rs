//! A command takes effect once (design §6, S6): the last keys of each client, with what they were answered.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{Refusal, words::Key};
use crate::ids::ClientId;

/// Keys remembered per client.
pub const REMEMBERED: usize = 32;

/// The keys that one conversation or agent has seen, each with as much as the answer `A` takes to be given again: a million
/// conversations hold some.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Keys<A> {
    /// Mostly one: whoever opened it.
    clients: SmallVec<[Client<A>; 1]>,
    /// Of commands that failed: nearly nobody has any.
    failed: VecDeque<Key>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Stored<A>")]
struct Client<A> {
    id: ClientId,
    /// At or below this counter nothing is known any more.
    floor: u64,
    recent: VecDeque<(u64, u32, A)>,
    /// The greatest of the floor and the counters in `recent`: a key above it is new, without looking at those before it.
    #[serde(skip)]
    newest: u64,
}

/// What is stored of a [`Client`].
#[derive(Deserialize)]
struct Stored<A> {
    id: ClientId,
    floor: u64,
    recent: VecDeque<(u64, u32, A)>,
}

impl<A> From<Stored<A>> for Client<A> {
    fn from(Stored { id, floor, recent }: Stored<A>) -> Self {
        let newest = recent.iter().map(|(counter, ..)| *counter).fold(floor, u64::max);
        Self { id, floor, recent, newest }
    }
}

impl<A> Client<A> {
    fn remember(&mut self, counter: u64, digest: u32, answer: A) {
        self.newest = self.newest.max(counter);
        self.recent.push_back((counter, digest, answer));
        if self.recent.len() > REMEMBERED
            && let Some((counter, ..)) = self.recent.pop_front()
        {
            self.raise_floor(counter);
        }
    }

    fn raise_floor(&mut self, counter: u64) {
        self.floor = self.floor.max(counter);
        self.newest = self.newest.max(counter);
    }
}

impl<A> Default for Keys<A> {
    fn default() -> Self {
        Self { clients: SmallVec::new(), failed: VecDeque::new() }
    }
}

impl<A: Copy> Keys<A> {
    /// What a key was answered before; `None` if it is new.
    ///
    /// # Errors
    /// `KeyReused` for the same key with another body, `KeyExpired` at or below the client's floor, `Failed` for a command that failed
    /// before: it is never run again.
    pub fn recall(&self, key: Option<&Key>) -> Result<Option<A>, Refusal> {
        let Some(key) = key else { return Ok(None) };
        if let Some(failed) = self.failure_of(key) {
            return Err(if failed.digest == key.digest { Refusal::Failed } else { Refusal::KeyReused });
        }
        let Some(client) = self.clients.iter().find(|client| client.id == key.client) else {
            return Ok(None);
        };
        if key.counter > client.newest {
            return Ok(None);
        }
        match client.recent.iter().rev().find(|(counter, ..)| *counter == key.counter) {
            Some((_, digest, answer)) if *digest == key.digest => Ok(Some(*answer)),
            Some(_) => Err(Refusal::KeyReused),
            None if key.counter <= client.floor => Err(Refusal::KeyExpired),
            None => Ok(None),
        }
    }

    fn failure_of(&self, key: &Key) -> Option<&Key> {
        let mut failed = self.failed.iter();
        failed.find(|failed| failed.client == key.client && failed.counter == key.counter)
    }

    /// Whether the command of this key failed before.
    #[must_use]
    pub fn has_failed(&self, key: &Key) -> bool {
        self.failure_of(key).is_some_and(|failed| failed.digest == key.digest)
    }

    /// Remembers that the command of a key failed; the oldest of more than [`REMEMBERED`] raises its client's floor.
    pub fn fail(&mut self, key: &Key) {
        self.failed.push_back(*key);
        if self.failed.len() > REMEMBERED
            && let Some(oldest) = self.failed.pop_front()
        {
            self.client(oldest.client).raise_floor(oldest.counter);
        }
    }

    /// Remembers what a key was answered; the oldest of more than [`REMEMBERED`] raises the client's floor.
    pub fn remember(&mut self, key: &Key, answer: A) {
        self.client(key.client).remember(key.counter, key.digest, answer);
    }

    fn client(&mut self, id: ClientId) -> &mut Client<A> {
        let at = self.clients.iter().position(|client| client.id == id).unwrap_or_else(|| {
            self.clients.push(Client { id, floor: 0, recent: VecDeque::new(), newest: 0 });
            self.clients.len() - 1
        });
        &mut self.clients[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(counter: u64, digest: u32) -> Key {
        Key { client: ClientId::from_bytes([1; 16]), counter, digest }
    }

    #[test]
    fn a_key_is_answered_once_and_forgotten_by_raising_the_floor() {
        let mut keys = Keys::default();
        for counter in 1..=40 {
            assert_eq!(keys.recall(Some(&key(counter, 7))), Ok(None));
            keys.remember(&key(counter, 7), counter);
        }
        assert_eq!(keys.recall(Some(&key(8, 7))), Err(Refusal::KeyExpired));
        assert_eq!(keys.recall(Some(&key(9, 7))), Ok(Some(9)));
        assert_eq!(keys.recall(Some(&key(9, 8))), Err(Refusal::KeyReused));
        assert_eq!(keys.recall(Some(&key(41, 7))), Ok(None));
    }

    /// Keys of one client may come by several connections, in any order.
    #[test]
    fn a_key_that_was_overtaken_is_new_and_then_known() {
        let mut keys = Keys::default();
        for counter in [5, 2, 9, 7] {
            assert_eq!(keys.recall(Some(&key(counter, 7))), Ok(None));
            keys.remember(&key(counter, 7), counter);
        }
        for counter in [5, 2, 9, 7] {
            assert_eq!(keys.recall(Some(&key(counter, 7))), Ok(Some(counter)));
        }
        assert_eq!(keys.recall(Some(&key(8, 7))), Ok(None));
    }

    #[test]
    fn keys_that_were_read_back_are_known() {
        let mut keys = Keys::default();
        keys.remember(&key(5, 7), 5_u64);
        keys.remember(&key(3, 7), 3);
        let Client { id, floor, recent, .. } = keys.clients.remove(0);
        keys.clients.push(Stored { id, floor, recent }.into());
        assert_eq!(keys.recall(Some(&key(5, 7))), Ok(Some(5)));
        keys.remember(&key(4, 7), 4);
        assert_eq!(keys.recall(Some(&key(5, 7))), Ok(Some(5)));
        assert_eq!(keys.recall(Some(&key(6, 7))), Ok(None));
    }

    /// A command that failed may raise the floor above all that succeeded.
    #[test]
    fn what_is_below_the_floor_has_expired_however_new_it_looks() {
        let mut keys = Keys::default();
        keys.remember(&key(1, 7), ());
        for counter in 10..=10 + REMEMBERED as u64 {
            keys.fail(&key(counter, 7));
        }
        assert_eq!(keys.recall(Some(&key(10, 7))), Err(Refusal::KeyExpired));
    }

    #[test]
    fn what_failed_fails_again() {
        let mut keys = Keys::<()>::default();
        keys.fail(&key(1, 7));
        assert_eq!(keys.recall(Some(&key(1, 7))), Err(Refusal::Failed));
        assert_eq!(keys.recall(Some(&key(1, 8))), Err(Refusal::KeyReused));
    }
}
