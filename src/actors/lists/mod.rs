//! Lists and counts that people keep on their screens: a snapshot, then what changes, each with a version, so that a gap shows. Pushed on
//! a timer, a bounded number of rows at a time, in slices between which the arbiter does other things, and computed for connections that
//! asked for them only: a workspace that nobody looks at pays one look per record.
//!
//! Here: what a list is, and which conversation belongs on it. `changes.rs`: what has changed since when. `list.rs`: one list, and what it is
//! told. `kept.rs`: all of a workspace. `push.rs`: when they are told.

mod changes;
mod kept;
mod list;
mod push;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use smol_str::SmolStr;

use super::{
    ledger::{Ledger, Line, Mine},
    port::ListRow,
    space::Space,
};
use crate::{
    ids::{AgentId, ConversationId, GroupId},
    routing::{Strategy, conversation::Phase, scope::Scope},
};

pub(super) use kept::Lists;
pub(super) use push::Bell;

/// Rows of one list: what is above stands on no screen. Whoever wants to see it turns pages (`ListConversations`).
pub(super) const ROWS_MAX: usize = 1_000;

/// Lists and counts of one connection: a frontend keeps some for each of its agents.
pub(super) const LISTS_MAX: usize = 1_024;

/// How old what is closed may be to stand on a list when it begins.
const CLOSED_SINCE: Duration = Duration::from_secs(24 * 3_600);

/// The three views of a console (BO-17): each conversation is in exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListView {
    /// What agents work on: waiting, offered, active, missed.
    Livechat,
    /// What is over.
    Closed,
    /// What the bot has in hand.
    Chatbot,
}

impl ListView {
    /// The view that a conversation is in. Whose visitor has not chosen a group yet is none for anybody.
    #[must_use]
    pub fn of(phase: Phase) -> Option<Self> {
        match phase {
            Phase::Waiting | Phase::Offered | Phase::Active | Phase::Missed => Some(Self::Livechat),
            Phase::Closed => Some(Self::Closed),
            Phase::Bot => Some(Self::Chatbot),
            Phase::Choosing | Phase::Team => None,
        }
    }

    /// What is in it.
    #[must_use]
    pub fn phases(self) -> &'static [Phase] {
        match self {
            Self::Livechat => &[Phase::Waiting, Phase::Offered, Phase::Active, Phase::Missed],
            Self::Closed => &[Phase::Closed],
            Self::Chatbot => &[Phase::Bot],
        }
    }
}

/// Which of a view's conversations (BO-18).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListFilter {
    /// All in scope.
    All,
    /// Those that nobody owns.
    Unassigned,
    /// Those with a message that the agent has not read.
    Unread,
    /// Those that the agent owns or takes part in.
    Mine,
    /// Those that a certain agent owns (BO-32).
    Of(AgentId),
    /// Those that came through a bot of this name (BO-13).
    Bot(SmolStr),
}

/// A list: through whose eyes, and of what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListKey {
    /// The agent; `None`: a supervisor, who sees everything.
    pub agent: Option<AgentId>,
    /// The view.
    pub view: ListView,
    /// Which of it.
    pub filter: ListFilter,
}

/// What of an agent's work can be counted: for badges and buttons.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tallies {
    /// Conversations in scope that nobody serves: waiting, offered or missed (BO-15).
    pub to_process: u32,
    /// Of these, requests in groups whose members take what they want (ZD-1).
    pub requests: u32,
    /// Conversations that the agent owns or takes part in.
    pub mine: u32,
    /// Of these, with a message that they have not read.
    pub mine_unread: u32,
}

/// What an agent sees; `None`: everything.
struct Eyes<'a> {
    agent: Option<(AgentId, Arc<Scope>, Option<&'a Mine>)>,
}

impl<'a> Eyes<'a> {
    fn of(agent: Option<AgentId>, space: &Space, ledger: &'a Ledger) -> Self {
        let own = |agent| (agent, space.scope(agent).unwrap_or_default(), ledger.mine(agent));
        Self { agent: agent.map(own) }
    }

    /// Whether a conversation is theirs to see: by scope, by part, or by an offer.
    fn see(&self, line: &Line) -> bool {
        let Some((_, scope, mine)) = &self.agent else { return true };
        let id = &line.conversation;
        line.lies_in(scope)
            || mine.is_some_and(|mine| mine.parts.contains(id) || mine.offers.contains_key(id))
    }

    fn take_part_in(&self, id: ConversationId) -> bool {
        self.agent.as_ref().and_then(|(.., mine)| *mine).is_some_and(|mine| mine.parts.contains(&id))
    }

    fn are_of(&self, agent: AgentId) -> bool {
        self.agent.as_ref().is_some_and(|(own, ..)| *own == agent)
    }

    fn have_not_read(&self, line: &Line) -> bool {
        let over = line.phase == Phase::Closed;
        !over && self.agent.as_ref().is_some_and(|(agent, ..)| line.is_unread_by(*agent))
    }

    /// Whether a conversation belongs on a list.
    fn find(&self, key: &ListKey, line: &Line) -> bool {
        if ListView::of(line.phase) != Some(key.view) {
            return false;
        }
        // What is over was last somebody's.
        let owner = line.owner.or(line.last_owner.filter(|_| line.phase == Phase::Closed));
        let fits = match &key.filter {
            ListFilter::All => true,
            ListFilter::Unassigned => owner.is_none(),
            ListFilter::Unread => self.have_not_read(line),
            ListFilter::Mine => {
                self.take_part_in(line.conversation)
                    || line.phase == Phase::Closed && owner.is_some_and(|owner| self.are_of(owner))
            }
            ListFilter::Of(agent) => owner == Some(*agent),
            ListFilter::Bot(name) => line.bot.as_deref() == Some(name),
        };
        fits && self.see(line)
    }

    /// A conversation as they are shown it, and what of that is worth telling again when it changes.
    fn row(&self, line: &Line, space: &Space) -> (u64, ListRow) {
        let shown = line.shown(space);
        let unread = self.have_not_read(line);
        let row = ListRow {
            row: Arc::clone(&shown.row),
            unread,
            unanswered: shown.unanswered,
            connected: shown.connected,
        };
        (shown.print << 1 | u64::from(unread), row)
    }
}

impl Space {
    /// What can be counted for an agent, or for a supervisor.
    fn tallies(&self, agent: Option<AgentId>, ledger: &Ledger) -> Tallies {
        let policy = self.policy();
        let pulls =
            |group: &GroupId| policy.group(group).is_some_and(|rules| rules.strategy == Strategy::Pull);
        let eyes = Eyes::of(agent, self, ledger);
        let scope = eyes.agent.as_ref().map(|(_, scope, _)| &**scope);
        let mut tallies = ledger.to_process(scope, &pulls);
        let parts = agent.and_then(|agent| ledger.mine(agent)).map(|mine| &mine.parts);
        let lines = parts.into_iter().flatten().filter_map(|id| ledger.line(*id));
        for line in lines {
            tallies.mine += 1;
            tallies.mine_unread += u32::from(eyes.have_not_read(&line));
        }
        tallies
    }
}
