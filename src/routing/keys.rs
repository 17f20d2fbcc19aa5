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
        Self { clients: Vec::new() }
    }
}

impl<A: Copy> Keys<A> {
    /// What a key was answered before; `None` if it is new.
    ///
    /// # Errors
    /// `KeyReused` for the same key with another body, `KeyExpired` at or below the client's floor.
    pub fn recall(&self, key: Option<&Key>) -> Result<Option<A>, Refusal> {
        let Some(key) = key else { return Ok(None) };
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

    /// Remembers what a key was answered; the oldest of more than [`REMEMBERED`] raises the client's floor.
    pub fn remember(&mut self, key: &Key, answer: A) {
        let at = self.clients.iter().position(|client| client.id == key.client).unwrap_or_else(|| {
            self.clients.push(Client { id: key.client, floor: 0, recent: VecDeque::new() });
            self.clients.len() - 1
        });
        let client = &mut self.clients[at];
        client.recent.push_back((key.counter, key.digest, answer));
        if client.recent.len() > REMEMBERED
            && let Some((counter, ..)) = client.recent.pop_front()
        {
            client.floor = client.floor.max(counter);
        }
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
}
