//! How long closed conversations are kept.

use std::{collections::HashMap, ops::ControlFlow, time::Duration};

use super::{
    archivist::erase,
    past::Trouble,
    stored::{self, ClosedRow},
};
use crate::{
    clock::Timestamp,
    ids::{ConversationId, VisitorId, WorkspaceId},
    journal::{Archive, Position, Shelf},
};

/// Conversations that are let go of in one edit.
const AT_ONCE: usize = 2_000;

/// How far the time in a conversation's id may be ahead of ours (design §6, S6).
const SKEW: Duration = Duration::from_secs(24 * 3_600);

/// How long closed conversations are kept, by workspace; others are kept for ever.
#[derive(Debug, Clone, Default)]
pub struct Keeping(pub HashMap<WorkspaceId, Duration>);

/// A conversation whose time is over.
type Over = (ConversationId, Option<VisitorId>);

impl Keeping {
    /// Lets go of what was closed too long ago.
    pub(super) fn sweep(&self, archive: &Archive, now: Timestamp) -> Result<(), Trouble> {
        for (workspace, kept) in &self.0 {
            let before = now - *kept;
            let mut after = None;
            loop {
                let (over, looked_to) = over(archive, workspace, before, after)?;
                if over.is_empty() {
                    break;
                }
                let edit = archive.edit()?;
                for (id, visitor) in &over {
                    erase(&edit, workspace, *id, *visitor)?;
                }
                edit.commit(Position::ZERO)?;
                tracing::info!(%workspace, conversations = over.len(), "closed conversations were kept long enough");
                after = looked_to;
            }
        }
        Ok(())
    }
}

/// Some conversations that were closed before a time, oldest id first, and the last one looked at.
fn over(
    archive: &Archive,
    workspace: &WorkspaceId,
    before: Timestamp,
    after: Option<ConversationId>,
) -> Result<(Vec<Over>, Option<ConversationId>), Trouble> {
    let mut found = Vec::new();
    let mut looked_to = after;
    let mut unreadable = None;
    let after = after.map(|id| stored::of_conversation(workspace, id)).unwrap_or_default();
    archive.view()?.walk_after(Shelf::Rows, &stored::of_workspace(workspace), &after, &mut |key, row| {
        let Some(id) = stored::conversation_at_end(key) else { return ControlFlow::Continue(()) };
        let made = id.made_at_ms().map(|ms| Timestamp::from_micros(ms.saturating_mul(1_000)));
        if made.is_some_and(|made| made > before + SKEW) {
            return ControlFlow::Break(());
        }
        looked_to = Some(id);
        match stored::read::<Option<ClosedRow>>(row) {
            Ok((_, Some(row))) if row.closed_at < before => found.push((id, Some(row.visitor))),
            Ok((_, None)) if made.is_none_or(|made| made < before) => found.push((id, None)),
            Ok(_) => {}
            Err(trouble) => unreadable = Some(trouble),
        }
        if found.len() < AT_ONCE && unreadable.is_none() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    match unreadable {
        Some(trouble) => Err(trouble.into()),
        None => Ok((found, looked_to)),
    }
}
