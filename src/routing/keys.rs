//! A command takes effect once (design §6, S6): the last keys of each client, with what they were answered.

use std::collections::VecDeque;

use super::{Refusal, words::Key};
use crate::ids::ClientId;

/// Keys remembered per client.
pub const REMEMBERED: usize = 32;

/// The keys that one conversation or agent has seen, each with as much as the answer `A` takes to be given again: a million
/// conversations hold some.
#[derive(Debug, Clone)]
pub struct Keys<A> {
    clients: Vec<Client<A>>,
    /// Of commands that failed: nearly nobody has any.
    #[expect(clippy::box_collection, reason = "8 bytes instead of 32, in each of a million")]
    failed: Option<Box<VecDeque<Key>>>,
}

#[derive(Debug, Clone)]
struct Client<A> {
    id: ClientId,
    /// At or below this counter nothing is known any more.
    floor: u64,
    recent: VecDeque<(u64, u32, A)>,
}

impl<A> Default for Keys<A> {
    fn default() -> Self {
        Self { clients: Vec::new(), failed: None }
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
        match client.recent.iter().rev().find(|(counter, ..)| *counter == key.counter) {
            Some((_, digest, answer)) if *digest == key.digest => Ok(Some(*answer)),
            Some(_) => Err(Refusal::KeyReused),
            None if key.counter <= client.floor => Err(Refusal::KeyExpired),
            None => Ok(None),
        }
    }

    fn failure_of(&self, key: &Key) -> Option<&Key> {
        let mut failed = self.failed.as_ref()?.iter();
        failed.find(|failed| failed.client == key.client && failed.counter == key.counter)
    }

    /// Whether the command of this key failed before.
    #[must_use]
    pub fn has_failed(&self, key: &Key) -> bool {
        self.failure_of(key).is_some_and(|failed| failed.digest == key.digest)
    }

    /// Remembers that the command of a key failed; the oldest of more than [`REMEMBERED`] raises its client's floor.
    pub fn fail(&mut self, key: &Key) {
        let failed = self.failed.get_or_insert_default();
        failed.push_back(*key);
        if failed.len() > REMEMBERED
            && let Some(oldest) = failed.pop_front()
        {
            let client = self.client(oldest.client);
            client.floor = client.floor.max(oldest.counter);
        }
    }

    /// Remembers what a key was answered; the oldest of more than [`REMEMBERED`] raises the client's floor.
    pub fn remember(&mut self, key: &Key, answer: A) {
        let client = self.client(key.client);
        client.recent.push_back((key.counter, key.digest, answer));
        if client.recent.len() > REMEMBERED
            && let Some((counter, ..)) = client.recent.pop_front()
        {
            client.floor = client.floor.max(counter);
        }
    }

    fn client(&mut self, id: ClientId) -> &mut Client<A> {
        let at = self.clients.iter().position(|client| client.id == id).unwrap_or_else(|| {
            self.clients.push(Client { id, floor: 0, recent: VecDeque::new() });
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

    #[test]
    fn what_failed_fails_again() {
        let mut keys = Keys::<()>::default();
        keys.fail(&key(1, 7));
        assert_eq!(keys.recall(Some(&key(1, 7))), Err(Refusal::Failed));
        assert_eq!(keys.recall(Some(&key(1, 8))), Err(Refusal::KeyReused));
    }
}
