//! What is looked up: by one actor, or in pages from the ledger, the archive, or several actors.

use std::{rc::Rc, sync::Arc};

use super::{PAGE, Query};
use crate::{
    actors::{
        directory::Whom,
        ledger::Line,
        port::{Answer, ConversationRow, View, parse_cursor},
        queries::{Gathering, Look, Rows, What},
        space::Space,
    },
    ids::{AgentId, ConversationId, GroupId, VisitorId},
    routing::{Refusal, Reply, Ticket, conversation::Phase, workspace::Token},
};

impl Space {
    pub(super) fn query(self: &Rc<Self>, ticket: Ticket, query: Query) {
        let Some(reply_to) = ticket.reply_to else { return };
        match query {
            Query::Look(whom, what) => self.look(&whom, Look { what, ticket }),
            Query::Aside { cursor, limit } => {
                let view = self.list_aside(cursor.as_deref(), limit.clamp(1, PAGE));
                self.reply(reply_to, view);
            }
            Query::Conversations { phases, aside, group, agent, cursor, limit } => {
                let aside = aside.then(|| self.conversations_aside());
                let view = self.conversations(
                    &ticket,
                    &phases,
                    aside.as_deref(),
                    group.as_ref(),
                    agent,
                    cursor.as_deref(),
                    limit,
                );
                self.reply(reply_to, view);
            }
            Query::OfVisitor { visitor, cursor, limit } => {
                let view = self.of_visitor(&ticket, visitor, cursor.as_deref(), limit);
                self.reply(reply_to, view);
            }
            Query::Groups { cursor, limit } => self.groups(ticket, cursor.as_deref(), limit),
            Query::Agents { group, cursor, limit } => {
                self.agents(ticket, group.as_ref(), cursor.as_deref(), limit);
            }
            Query::Choices { cursor, limit } => {
                let answer = self.choices(cursor.as_deref(), limit.clamp(1, PAGE));
                self.reply(reply_to, answer);
            }
            Query::Visitors { filter, cursor, limit } => {
                let answer = self.list_visitors(&ticket, &filter, cursor.as_deref(), limit);
                self.reply(reply_to, answer);
            }
            Query::WatchVisitors => self.watch_visitors(reply_to),
            Query::Tokens { cursor, limit } => {
                let mut tokens = self.tokens.of(self.index);
                tokens.sort_by(|one, two| one.id.cmp(&two.id));
                tokens.retain(|token| cursor.as_deref().is_none_or(|cursor| token.id.as_str() > cursor));
                let more = tokens.len() > limit.clamp(1, PAGE);
                tokens.truncate(limit.clamp(1, PAGE));
                let used = |token: &Token| self.sessions.borrow().of_token(&token.id);
                let rows = tokens.into_iter().map(|token| (used(&token), token));
                let rows = rows.map(|(used, token)| (token, used)).collect();
                self.reply(reply_to, Answer::Found(Box::new(View::Tokens(rows, more))));
            }
            Query::KeepList(key) => self.keep_list(reply_to, key),
            Query::DropList(key) => {
                self.drop_list(reply_to.connection, key);
                self.answer(reply_to, Ok(Reply::Done));
            }
            Query::KeepCounts(agent) => self.keep_counts(reply_to, agent),
            Query::DropCounts(agent) => {
                self.drop_counts(reply_to.connection, agent);
                self.answer(reply_to, Ok(Reply::Done));
            }
            Query::Unsubscribe(feed) => {
                self.sessions.borrow_mut().unsubscribe(reply_to.connection, &feed);
                self.answer(reply_to, Ok(Reply::Done));
            }
        }
    }

    fn look(self: &Rc<Self>, whom: &Whom, look: Look) {
        let Err(look) = self.local.shared.directory.look(self.index, whom, look) else { return };
        let woken = matches!(whom, Whom::Conversation(id) if self.wake_to_look(*id));
        let left = if woken { self.local.shared.directory.look(self.index, whom, look) } else { Err(look) };
        if let Err(Look { ticket: Ticket { reply_to: Some(reply_to), .. }, .. }) = left {
            self.answer(reply_to, Err(Refusal::NotFound));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one question")]
    fn conversations(
        &self,
        ticket: &Ticket,
        phases: &[Phase],
        aside: Option<&[ConversationId]>,
        group: Option<&GroupId>,
        agent: Option<AgentId>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Answer {
        let after = match cursor.map(parse_cursor) {
            Some(None) => return Answer::Refused(Refusal::Invalid("the cursor is not one that a page gave")),
            Some(Some(after)) => Some(after),
            None => None,
        };
        self.look_at_archive();
        let ledger = self.ledger.borrow();
        let mine = ticket.by.agent().and_then(|asker| ledger.mine(asker));
        let visible = |row: &ConversationRow| {
            let id = &row.conversation;
            if row.phase == Phase::Choosing {
                return false;
            }
            let in_scope = ticket.by.agent().is_none()
                || mine.is_some_and(|mine| mine.parts.contains(id) || mine.offers.contains_key(id))
                || row.is_in_scope(ticket);
            // Those of agents among themselves are listed while they are open, on request.
            let listed = !(row.is_team() && row.phase == Phase::Closed);
            in_scope
                && listed
                && group.is_none_or(|group| row.group.as_ref() == Some(group))
                && agent.is_none_or(|agent| row.owner == Some(agent))
        };
        let limit = limit.clamp(1, PAGE);
        let mut rows: Vec<ConversationRow> = match aside {
            None => {
                let mut open = phases.to_vec();
                open.retain(|phase| *phase != Phase::Closed);
                let listed = ledger.lines(&open, after).filter(|line| visible(line));
                let mut rows: Vec<_> = listed.take(limit + 1).map(|line| line.row()).collect();
                if phases.contains(&Phase::Closed) && rows.len() <= limit && agent.is_none() {
                    let after = after.filter(|(phase, _)| *phase == Phase::Closed).map(|(_, id)| id);
                    rows.extend(self.closed_rows(after, &visible, limit + 1 - rows.len()));
                }
                rows
            }
            Some(aside) => {
                let later =
                    |line: &Rc<Line>| after.is_none_or(|after| (line.phase, line.conversation) > after);
                let lines = aside.iter().filter_map(|id| ledger.line(*id)).filter(later);
                let mut rows: Vec<_> = lines.filter(|line| visible(line)).map(|line| line.row()).collect();
                rows.sort_by_key(|row| (row.phase, row.conversation));
                rows.truncate(limit + 1);
                rows
            }
        };
        let more = rows.len() > limit;
        rows.truncate(limit);
        let rows = rows.into_iter().map(|row| self.with_face(row)).collect();
        Answer::Found(Box::new(View::Conversations(rows, more)))
    }

    /// A visitor's conversations, those that are open first.
    fn of_visitor(&self, ticket: &Ticket, visitor: VisitorId, cursor: Option<&str>, limit: usize) -> Answer {
        let after = match cursor.map(parse_cursor) {
            Some(None) => return Answer::Refused(Refusal::Invalid("the cursor is not one that a page gave")),
            Some(Some(after)) => Some(after),
            None => None,
        };
        self.look_at_archive();
        let limit = limit.clamp(1, PAGE);
        let ledger = self.ledger.borrow();
        let mine = ticket.by.agent().and_then(|asker| ledger.mine(asker));
        let visible = |row: &ConversationRow| {
            let id = &row.conversation;
            ticket.by.agent().is_none()
                || mine.is_some_and(|mine| mine.parts.contains(id) || mine.offers.contains_key(id))
                || row.is_in_scope(ticket)
        };
        let open = ledger.of_visitor(visitor).into_iter().filter_map(|id| ledger.line(id));
        let open = open.filter(|line| !matches!(line.phase, Phase::Closed | Phase::Choosing));
        let mut rows: Vec<_> = open.map(|line| line.row()).collect();
        rows.sort_unstable_by_key(|row| (row.phase, row.conversation));
        rows.retain(|row| after.is_none_or(|after| (row.phase, row.conversation) > after));
        let after = after.filter(|(phase, _)| *phase == Phase::Closed).map(|(_, id)| id);
        let closed = self.closed_of(visitor, after, limit + 1);
        rows.extend(closed.into_iter().filter_map(|id| self.closed_row(id)));
        rows.retain(visible);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let rows = rows.into_iter().map(|row| self.with_face(row)).collect();
        Answer::Found(Box::new(View::Conversations(rows, more)))
    }

    fn groups(self: &Rc<Self>, ticket: Ticket, cursor: Option<&str>, limit: usize) {
        let policy = self.policy();
        let everyone = GroupId::everyone();
        let mut ids: Vec<&GroupId> = policy.groups.keys().chain([&everyone]).collect();
        ids.sort();
        ids.retain(|id| ticket.by.agent().is_none() || ticket.covers(id));
        ids.retain(|id| cursor.is_none_or(|cursor| id.as_str() > cursor));
        let more = ids.len() > limit.clamp(1, PAGE);
        ids.truncate(limit.clamp(1, PAGE));
        let whom: Vec<Whom> = ids.into_iter().cloned().map(Whom::Group).collect();
        self.gather(&ticket, whom, Rows::Groups(Vec::new()), more);
    }

    fn agents(self: &Rc<Self>, ticket: Ticket, group: Option<&GroupId>, cursor: Option<&str>, limit: usize) {
        let after: Option<AgentId> = match cursor.map(str::parse) {
            Some(Err(_)) => {
                let refusal = Refusal::Invalid("the cursor is not one that a page gave");
                return ticket.reply_to.into_iter().for_each(|to| self.answer(to, Err(refusal)));
            }
            Some(Ok(after)) => Some(after),
            None => None,
        };
        let mut ids = match group {
            Some(group) => self.agents_of(group),
            None => self.agents_of(&GroupId::everyone()),
        };
        ids.sort_unstable();
        ids.retain(|id| after.is_none_or(|after| *id > after));
        let more = ids.len() > limit.clamp(1, PAGE);
        ids.truncate(limit.clamp(1, PAGE));
        let whom: Vec<Whom> = ids.into_iter().map(Whom::Agent).collect();
        self.gather(&ticket, whom, Rows::Agents(Vec::new()), more);
    }

    /// Asks several actors for their rows; the last one's answer completes the page. Who is not there has no row.
    fn gather(self: &Rc<Self>, ticket: &Ticket, whom: Vec<Whom>, rows: Rows, more: bool) {
        let Some(reply_to) = ticket.reply_to else { return };
        let gathering = Arc::new(Gathering::new(reply_to, rows, whom.len(), more));
        if whom.is_empty() {
            gathering.complete(self);
        }
        for whom in whom {
            let look = Look { what: What::Gather(Arc::clone(&gathering)), ticket: ticket.clone() };
            if self.local.shared.directory.look(self.index, &whom, look).is_err() {
                gathering.add(self, None, None);
            }
        }
    }
}
