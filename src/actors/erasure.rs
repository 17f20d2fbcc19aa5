//! Erasing what is known of somebody, in two steps: the first says what it comes to, the second does it.

use std::{ops::ControlFlow, rc::Rc};

use super::{
    port::{Answer, View},
    space::Space,
    stored,
};
use crate::{
    ids::{ConversationId, VisitorId},
    journal::Shelf,
    routing::{
        By, Refusal, Tell, Ticket,
        conversation::{self, Phase},
        recovery::Entry,
    },
};

/// Conversations that are erased at once, at most.
const AT_ONCE: usize = 10_000;

/// What is to be erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doomed {
    /// One closed conversation.
    Conversation(ConversationId),
    /// All conversations of a visitor, who has none open; what is held for them to choose a group goes with them.
    Visitor(VisitorId),
}

impl Space {
    /// Says how many conversations it comes to, with a word that confirms exactly these; or, given that word, erases them.
    pub(super) fn erase(self: &Rc<Self>, ticket: &Ticket, doomed: Doomed, confirm: Option<&str>) {
        let Some(reply_to) = ticket.reply_to else { return };
        let held = self.held_of(doomed);
        let answer = match self.doomed(doomed, !held.is_empty()) {
            Err(refusal) => Answer::Refused(refusal),
            Ok(ids) => {
                let all = ids.len() + held.len();
                let word = self.word_for(doomed, ids.iter().chain(&held));
                match confirm {
                    None => erasure(all, Some(word)),
                    Some(given) if given == word => {
                        self.record_erasure(ticket, &ids);
                        self.let_go(doomed, &held);
                        erasure(all, None)
                    }
                    Some(_) => Answer::Refused(Refusal::Invalid(
                        "what would be erased is not what the first step named: ask without `confirm` again",
                    )),
                }
            }
        };
        self.reply(reply_to, answer);
    }

    fn record_erasure(&self, ticket: &Ticket, ids: &[ConversationId]) {
        let at = self.local.now();
        for id in ids {
            let position = self.local.record(&self.id, &Entry::Erased { id: *id, at, by: ticket.by });
            self.forget(*id);
            self.local.shared.archive.want(position);
        }
        tracing::info!(workspace = %self.id, conversations = ids.len(), "conversations are erased");
    }

    /// What the visitor wrote and is kept until they choose a group: nobody else knows of it, so nobody else could end it first.
    fn held_of(&self, doomed: Doomed) -> Vec<ConversationId> {
        let Doomed::Visitor(visitor) = doomed else { return Vec::new() };
        let ledger = self.ledger.borrow();
        let is_held =
            |id: &ConversationId| ledger.line(*id).is_some_and(|line| line.phase == Phase::Choosing);
        ledger.of_visitor(visitor).into_iter().filter(is_held).collect()
    }

    /// Ends what is held, as its visitor may: what was never sent then leaves nothing behind in the archive.
    fn let_go(self: &Rc<Self>, doomed: Doomed, held: &[ConversationId]) {
        let Doomed::Visitor(visitor) = doomed else { return };
        for id in held {
            let ticket = Ticket { by: By::Visitor(visitor), ..Ticket::system() };
            let ask = conversation::Ask::Close;
            self.tell(Tell::Conversation(*id, conversation::Command::Ask { ask, ticket }));
        }
    }

    /// The conversations that are meant, all of them closed. `held`: whether there is something beside them.
    fn doomed(&self, doomed: Doomed, held: bool) -> Result<Vec<ConversationId>, Refusal> {
        let ids = self.closed_and_doomed(doomed, held)?;
        let aside = self.conversations_aside();
        if ids.iter().any(|id| aside.contains(id)) {
            return Err(Refusal::WrongState("what stands aside is not erased: let it take part again first"));
        }
        Ok(ids)
    }

    fn closed_and_doomed(&self, doomed: Doomed, held: bool) -> Result<Vec<ConversationId>, Refusal> {
        let open = Refusal::WrongState("what is open is not erased: close it first");
        match doomed {
            Doomed::Conversation(id) => {
                let phase = self.ledger.borrow().line(id).map(|line| line.phase);
                match phase {
                    Some(Phase::Closed) => Ok(vec![id]),
                    Some(_) => Err(open),
                    None if self.knows(id) => Ok(vec![id]),
                    None => Err(Refusal::NotFound),
                }
            }
            Doomed::Visitor(visitor) => {
                let ledger = self.ledger.borrow();
                let is_open =
                    |id: &ConversationId| ledger.line(*id).is_none_or(|line| line.phase != Phase::Choosing);
                if ledger.of_visitor(visitor).iter().any(is_open) {
                    return Err(open);
                }
                drop(ledger);
                let ids = self.closed_of(visitor, None, AT_ONCE);
                if ids.is_empty() && !held { Err(Refusal::NotFound) } else { Ok(ids) }
            }
        }
    }

    /// The closed conversations of a visitor after one, oldest id first.
    pub(super) fn closed_of(
        &self,
        visitor: VisitorId,
        after: Option<ConversationId>,
        enough: usize,
    ) -> Vec<ConversationId> {
        let ledger = self.ledger.borrow();
        let fresh = ledger.lines(&[Phase::Closed], after.map(|id| (Phase::Closed, id)));
        let mut ids: Vec<_> =
            fresh.filter(|row| row.visitor == visitor).map(|row| row.conversation).take(enough).collect();
        let prefix = stored::of_visitor(&self.id, visitor);
        let after = after.map(|id| stored::of_visit(&self.id, visitor, id)).unwrap_or_default();
        let mut archived = 0;
        let walked = self.local.shared.archive.view().and_then(|view| {
            view.walk_after(Shelf::Visitors, &prefix, &after, &mut |key, _| {
                let id = stored::conversation_at_end(key);
                // What is listed here is known already, closed or open.
                let id = id.filter(|id| ledger.line(*id).is_none() && !self.is_erased(*id));
                ids.extend(id);
                archived += usize::from(id.is_some());
                if archived < enough { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
        });
        if let Err(error) = walked {
            tracing::error!(%error, "the archive can't be read");
        }
        ids.sort_unstable();
        ids.truncate(enough);
        ids
    }

    /// Confirms these conversations and no others, in this life of the daemon.
    fn word_for<'i>(&self, doomed: Doomed, ids: impl Iterator<Item = &'i ConversationId>) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        match doomed {
            Doomed::Conversation(id) => hasher.update(b"c").update(id.bytes()),
            Doomed::Visitor(visitor) => hasher.update(b"v").update(visitor.bytes()),
        };
        for id in ids {
            hasher.update(id.bytes());
        }
        hasher.finalize().to_hex()[..16].to_owned()
    }
}

fn erasure(conversations: usize, confirm: Option<String>) -> Answer {
    Answer::Found(Box::new(View::Erasure { conversations, confirm }))
}
