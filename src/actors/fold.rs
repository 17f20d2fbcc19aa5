//! A conversation as its records leave it: the one fold that a start, a rebuild, a wake-up and the archive share.

use serde::{Deserialize, Serialize};

use super::{count::Marks, history::History, space::Restart};
use crate::{
    clock::Timestamp,
    ids::ConversationId,
    journal::Position,
    routing::conversation::{Conversation, Record},
};

/// A conversation's machine, with what its actor needs beside it, after some of its records.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Folded {
    pub(super) machine: Conversation,
    pub(super) marks: Marks,
    pub(super) history: History,
    /// The last record taken in. Restarts after it have not been.
    #[serde(skip)]
    pub(super) at: Position,
}

impl Folded {
    /// A conversation without records.
    pub(super) fn new(id: ConversationId) -> Self {
        let machine = Conversation::new(id);
        Self { machine, marks: Marks::default(), history: History::default(), at: Position::ZERO }
    }

    /// Takes its next record in, after the restarts that came before it.
    pub(super) fn take(&mut self, position: Position, record: &Record, restarts: &[Restart]) {
        self.restarted(restarts, Some(position));
        self.machine.replay(record);
        self.history.add(position, record);
        for event in &record.events {
            self.marks.see(record.at, &record.by, event);
        }
        self.at = position;
    }

    /// Until when it needs no actor although it is not over.
    pub(super) fn may_sleep(&self) -> Option<Timestamp> {
        self.machine.may_sleep().filter(|_| !self.marks.is_with_bot())
    }

    /// Moves its deadlines by the restarts since its last record, up to some position.
    pub(super) fn restarted(&mut self, restarts: &[Restart], before: Option<Position>) {
        let since = restarts.partition_point(|restart| restart.position <= self.at);
        let until = before
            .map_or(restarts.len(), |before| restarts.partition_point(|restart| restart.position < before));
        for restart in restarts.get(since..until).unwrap_or_default() {
            self.machine.rebase(restart.last, restart.at, restart.grace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::{conversation::ConversationActor, ledger::Line};

    /// Every conversation that has something to do takes this: a field more in any of them is a choice.
    #[test]
    fn a_conversation_takes_no_more_room_than_it_did() {
        let (actor, line) = (size_of::<ConversationActor>(), size_of::<Line>());
        assert!(actor <= 968, "{actor}: of these {} are the machine's", size_of::<Conversation>());
        assert!(line <= 320, "{line}");
    }
}
