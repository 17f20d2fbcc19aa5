//! What stands aside after falling too often: who, since when, and what becomes of what comes for them meanwhile (design §3.5). A machine
//! that stands aside is not run; the shells record that it does, and `routing::aside` answers for it.

mod agent;
mod conversation;
mod group;
mod workspace;

use std::{collections::BTreeMap, rc::Rc};

use super::{
    port::{Answer, AsideRow, View},
    space::Space,
};
use crate::{
    clock::Timestamp,
    ids::{AgentId, ConversationId, GroupId},
    metrics::ActorKind,
    routing::{self, Refusal, Tell, Ticket, undeliverable::Undelivered},
};

/// Who may stand aside, in the order of the list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The workspace itself.
    Workspace,
    /// A group.
    Group(GroupId),
    /// An agent.
    Agent(AgentId),
    /// A conversation.
    Conversation(ConversationId),
}

impl Subject {
    fn kind(&self) -> ActorKind {
        match self {
            Self::Workspace => ActorKind::Workspace,
            Self::Group(_) => ActorKind::Group,
            Self::Agent(_) => ActorKind::Agent,
            Self::Conversation(_) => ActorKind::Conversation,
        }
    }

    /// Where the page after one that ends with this begins.
    #[must_use]
    pub fn cursor(&self) -> String {
        match self {
            Self::Workspace => "w".to_owned(),
            Self::Group(id) => format!("g:{id}"),
            Self::Agent(id) => format!("a:{id}"),
            Self::Conversation(id) => format!("c:{id}"),
        }
    }

    /// Reads what [`Subject::cursor`] wrote.
    #[must_use]
    pub fn parse(cursor: &str) -> Option<Self> {
        match cursor.split_once(':') {
            None if cursor == "w" => Some(Self::Workspace),
            Some(("g", id)) => Some(Self::Group(id.parse().ok()?)),
            Some(("a", id)) => Some(Self::Agent(id.parse().ok()?)),
            Some(("c", id)) => Some(Self::Conversation(id.parse().ok()?)),
            _ => None,
        }
    }
}

/// Who stands aside in one workspace, and since when.
pub(super) type List = BTreeMap<Subject, Timestamp>;

impl Space {
    /// Somebody stands aside from now on.
    pub(super) fn set_aside(&self, subject: Subject, since: Timestamp) {
        let kind = subject.kind();
        if self.aside.borrow_mut().insert(subject, since).is_none() {
            self.local.shared.metrics.actors.quarantined.of(kind).add(1);
        }
    }

    /// Whether somebody stands aside.
    pub(super) fn is_aside(&self, subject: &Subject) -> bool {
        self.aside.borrow().contains_key(subject)
    }

    /// Somebody takes part again.
    pub(super) fn taken_back(&self, subject: &Subject) {
        if self.aside.borrow_mut().remove(subject).is_some() {
            self.local.shared.metrics.actors.quarantined.of(subject.kind()).add(-1);
        }
    }

    /// Passes on what a command for somebody who stands aside comes to.
    fn pass_on(self: &Rc<Self>, undelivered: Undelivered) {
        if let Some((reply_to, refusal)) = undelivered.refused {
            self.answer(reply_to, Err(refusal));
        }
        undelivered.tells.into_iter().for_each(|tell| self.tell(tell));
    }

    /// Somebody wants one of those who stand aside to take part again.
    pub(super) fn reinstate(self: &Rc<Self>, subject: Subject, ticket: Ticket) {
        tracing::info!(workspace = %self.id, by = ?ticket.by, subject = %subject.cursor(), "asked to take part again");
        use routing::{agent, conversation, group, workspace};
        match subject {
            Subject::Workspace => self.tell(Tell::Workspace(workspace::Command::Reinstate { ticket })),
            Subject::Group(id) => self.tell(Tell::Group(id, group::Command::Reinstate { ticket })),
            Subject::Agent(id) => self.tell(Tell::Agent(id, agent::Command::Reinstate { ticket })),
            Subject::Conversation(id) => {
                self.tell(Tell::Conversation(id, conversation::Command::Reinstate { ticket }));
            }
        }
    }

    /// A page of who stands aside.
    pub(super) fn list_aside(&self, cursor: Option<&str>, limit: usize) -> Answer {
        let after = match cursor.map(Subject::parse) {
            Some(None) => return Answer::Refused(Refusal::Invalid("the cursor is not one that a page gave")),
            Some(Some(after)) => Some(after),
            None => None,
        };
        let list = self.aside.borrow();
        let mut rows: Vec<AsideRow> = list
            .iter()
            .filter(|(subject, _)| after.as_ref().is_none_or(|after| *subject > after))
            .take(limit + 1)
            .map(|(subject, since)| AsideRow { subject: subject.clone(), since: *since })
            .collect();
        let more = rows.len() > limit;
        rows.truncate(limit);
        Answer::Found(Box::new(View::Aside(rows, more)))
    }

    /// The conversations that stand aside.
    pub(super) fn conversations_aside(&self) -> Vec<ConversationId> {
        let conversation = |subject: &Subject| match subject {
            Subject::Conversation(id) => Some(*id),
            Subject::Workspace | Subject::Group(_) | Subject::Agent(_) => None,
        };
        self.aside.borrow().keys().filter_map(conversation).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back() {
        let group = Subject::Group("sales:2".parse().unwrap_or_else(|_| GroupId::everyone()));
        let agent = Subject::Agent(AgentId::from_bytes([3; 16]));
        let conversation = Subject::Conversation(ConversationId::from_bytes([4; 16]));
        for subject in [Subject::Workspace, group, agent, conversation] {
            assert_eq!(Subject::parse(&subject.cursor()), Some(subject));
        }
        assert_eq!(Subject::parse("x:1"), None);
    }
}
