//! What a conversation went through, wherever it is kept: chunks of the archive first, then the log's tail.

use std::ops::ControlFlow;

use super::{
    fold::Folded,
    space::Restart,
    stored::{self, Unreadable, Whose},
};
use crate::{
    codec::{self, CodecError},
    ids::{ConversationId, WorkspaceId},
    journal::{self, Archive, Journal, Position, Shelf, View},
    routing::{conversation::Record, recovery::Entry},
};

/// How often a reader begins anew because the log was cut under it.
const TRIES: usize = 4;

/// Why the past can't be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The log or the archive.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// An entry of the archive.
    #[error(transparent)]
    Entry(#[from] Unreadable),
    /// A machine falls over what is recorded.
    #[error("the records of {0} can't be folded")]
    Unreadable(ConversationId),
    /// A record.
    #[error("a record is not one of maitred's: {0}")]
    Codec(#[from] CodecError),
    /// What read it fell.
    #[error("the thread that moves records fell")]
    Fell,
    /// Neither the log nor the archive has it.
    #[error("record {0} is neither in the log nor in the archive")]
    Gone(Position),
    /// Another record than expected.
    #[error("record {0} is of something else")]
    Strange(Position),
}

/// Decodes a conversation's record.
fn decode(position: Position, payload: &[u8]) -> Result<Record, Trouble> {
    match codec::from_log::<(WorkspaceId, Entry)>(payload)? {
        (_, Entry::Conversation { record, .. }) => Ok(record),
        _ => Err(Trouble::Strange(position)),
    }
}

/// Visits the records of a conversation that the archive has.
pub(super) fn each_archived(
    view: &View,
    workspace: &WorkspaceId,
    id: ConversationId,
    visit: &mut dyn FnMut(Position, Record) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Trouble> {
    let mut outcome = Ok(ControlFlow::Continue(()));
    view.walk(Shelf::Records, &stored::of_conversation(workspace, id), &mut |_, chunk| {
        let mut failed = None;
        let flow =
            stored::each_in_chunk(chunk, &mut |position, _, payload| match decode(position, payload) {
                Ok(record) => visit(position, record),
                Err(trouble) => {
                    failed = Some(trouble);
                    ControlFlow::Break(())
                }
            });
        outcome = match failed {
            Some(trouble) => Err(trouble),
            None => flow.map_err(Trouble::from),
        };
        if matches!(outcome, Ok(ControlFlow::Continue(()))) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    outcome
}

/// A conversation as the archive leaves it; `None` if it has no record of it.
pub(super) fn archived(
    view: &View,
    workspace: &WorkspaceId,
    id: ConversationId,
    restarts: &[Restart],
) -> Result<Option<Folded>, Trouble> {
    if view.get(Shelf::States, &stored::of_state(workspace, &Whose::Unreadable(id)))?.is_some() {
        return Err(Trouble::Unreadable(id));
    }
    let key = stored::of_state(workspace, &Whose::Conversation(id));
    if let Some(state) = view.get(Shelf::States, &key)? {
        return Ok(Some(stored::read_conversation(&state)?));
    }
    let mut folded = Folded::new(id);
    let _ = each_archived(view, workspace, id, &mut |position, record| {
        folded.take(position, &record, restarts);
        ControlFlow::Continue(())
    })?;
    Ok((folded.at > Position::ZERO).then_some(folded))
}

/// Reads what lies in log and archive.
pub(super) struct Past<'a> {
    pub(super) journal: &'a Journal,
    pub(super) archive: &'a Archive,
    pub(super) workspace: &'a WorkspaceId,
}

impl Past<'_> {
    fn one(&self, position: Position) -> Result<Record, Trouble> {
        let mut bytes = Vec::new();
        self.journal.read(position, &mut bytes)?;
        decode(position, &bytes)
    }

    /// A conversation as its records leave it; `None` if there are none. `tail`: where its records are, as far as they may not be
    /// in the archive.
    pub(super) fn fold(
        &self,
        id: ConversationId,
        tail: &[Position],
        restarts: &[Restart],
    ) -> Result<Option<Folded>, Trouble> {
        let mut folded = match self.fold_from_log(id, tail, restarts) {
            Err(Trouble::Journal(journal::Error::Forgotten { .. })) => None,
            whole => Some(whole?).filter(|_| !tail.is_empty()),
        };
        if folded.is_none() {
            folded = self.again(|| self.fold_from_both(id, tail, restarts))?;
        }
        if let Some(folded) = &mut folded {
            folded.restarted(restarts, None);
        }
        Ok(folded)
    }

    /// Most often the log still has it all.
    fn fold_from_log(
        &self,
        id: ConversationId,
        tail: &[Position],
        restarts: &[Restart],
    ) -> Result<Folded, Trouble> {
        let mut folded = Folded::new(id);
        for position in tail {
            folded.take(*position, &self.one(*position)?, restarts);
        }
        Ok(folded)
    }

    fn fold_from_both(
        &self,
        id: ConversationId,
        tail: &[Position],
        restarts: &[Restart],
    ) -> Result<Option<Folded>, Trouble> {
        let mut folded = archived(&self.archive.view()?, self.workspace, id, restarts)?;
        for position in tail.iter().copied() {
            let folded = folded.get_or_insert_with(|| Folded::new(id));
            if position > folded.at {
                folded.take(position, &self.one(position)?, restarts);
            }
        }
        Ok(folded)
    }

    /// The log may be cut between a look into the archive and one into the log: then the archive has what is missing.
    fn again<T>(&self, mut read: impl FnMut() -> Result<T, Trouble>) -> Result<T, Trouble> {
        let mut tries = 1;
        loop {
            match read() {
                Err(Trouble::Journal(journal::Error::Forgotten { .. })) if tries < TRIES => tries += 1,
                outcome => return outcome,
            }
        }
    }
}

/// Reads records of one conversation, many of which may lie in the same chunk.
pub(super) struct Reader<'a> {
    past: Past<'a>,
    id: ConversationId,
    /// The chunk that was looked into last: its records.
    chunk: Vec<(Position, Vec<u8>)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(past: Past<'a>, id: ConversationId) -> Self {
        Self { past, id, chunk: Vec::new() }
    }

    /// One record, wherever it is.
    pub(super) fn read(&mut self, position: Position) -> Result<Record, Trouble> {
        match self.past.one(position) {
            Err(Trouble::Journal(journal::Error::Forgotten { .. })) => self.read_archived(position),
            found => found,
        }
    }

    fn read_archived(&mut self, position: Position) -> Result<Record, Trouble> {
        if let Ok(at) = self.chunk.binary_search_by_key(&position, |(position, _)| *position) {
            return decode(position, &self.chunk[at].1);
        }
        let workspace = self.past.workspace;
        let prefix = stored::of_conversation(workspace, self.id);
        let key = stored::of_chunk(workspace, self.id, position);
        let found = self.past.archive.view()?.at_or_before(Shelf::Records, &prefix, &key)?;
        self.chunk.clear();
        if let Some(chunk) = found {
            let _ = stored::each_in_chunk(&chunk, &mut |position, _, payload| {
                self.chunk.push((position, payload.to_vec()));
                ControlFlow::Continue(())
            })?;
        }
        match self.chunk.binary_search_by_key(&position, |(position, _)| *position) {
            Ok(at) => decode(position, &self.chunk[at].1),
            Err(_) => Err(Trouble::Gone(position)),
        }
    }
}
