//! Lists and counts that people keep on their screens: a snapshot, then what changes, each with a version, so that a gap shows. Pushed on
//! a timer, a bounded number of rows at a time, and computed for connections that asked for them only: a workspace that nobody
//! looks at pays one look per record.
//!
//! Here: what is kept of each list, and which conversation belongs on it. `push.rs`: when who is told.

mod push;

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::BuildHasher as _,
    sync::Arc,
};

use foldhash::fast::RandomState;
use smol_str::SmolStr;

use super::{
    ledger::{Ledger, Line},
    port::{ListRow, Port},
    space::Space,
};
use crate::{
    ids::{AgentId, ConversationId},
    routing::{Strategy, conversation::Phase, scope::Scope},
};

pub(super) use push::Bell;

/// Rows of one list: what is above stands on no screen. Whoever wants to see it turns pages (`ListConversations`).
pub(super) const ROWS_MAX: usize = 1_000;

/// Lists and counts of one connection: a frontend keeps some for each of its agents.
pub(super) const LISTS_MAX: usize = 1_024;

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

/// One list of one connection.
struct List {
    port: Arc<dyn Port>,
    key: Arc<ListKey>,
    /// Grows by one with everything told; the snapshot has it too.
    version: u64,
    /// What stands on it, each as it was told.
    told: BTreeMap<ConversationId, u64>,
    /// Whether there is more than stands on it.
    clipped: bool,
    /// Changed, and not told yet.
    pending: BTreeSet<ConversationId>,
    /// What its agent sees has changed: it begins anew.
    stale: bool,
}

/// The counts that one connection keeps.
struct Counted {
    port: Arc<dyn Port>,
    version: u64,
    told: Tallies,
}

/// All lists and counts of a workspace.
#[derive(Default)]
pub(super) struct Lists {
    lists: BTreeMap<(u64, ListKey), List>,
    counts: BTreeMap<(u64, Option<AgentId>), Counted>,
    /// Conversations that changed since all were last told.
    dirty: BTreeSet<ConversationId>,
    /// Whether anything counted may have.
    counted: bool,
}

impl Lists {
    /// Whether nobody looks.
    fn are_idle(&self) -> bool {
        self.lists.is_empty() && self.counts.is_empty()
    }

    /// Whether a connection keeps as many as it may.
    fn are_full(&self, connection: u64) -> bool {
        let lists = self.lists.keys().filter(|(owner, _)| *owner == connection).count();
        lists + self.counts.keys().filter(|(owner, _)| *owner == connection).count() >= LISTS_MAX
    }

    /// A connection is gone, or speaks for an agent no more.
    pub(super) fn forget(&mut self, connection: u64, agent: Option<AgentId>) {
        let is_gone =
            |owner: u64, of: Option<AgentId>| owner == connection && (agent.is_none() || of == agent);
        self.lists.retain(|(owner, key), _| !is_gone(*owner, key.agent));
        self.counts.retain(|(owner, of), _| !is_gone(*owner, *of));
    }
}

/// What an agent sees; `None`: everything.
struct Eyes<'a> {
    agent: Option<(AgentId, Arc<Scope>)>,
    ledger: &'a Ledger,
}

impl<'a> Eyes<'a> {
    fn of(agent: Option<AgentId>, space: &Space, ledger: &'a Ledger) -> Self {
        let agent = agent.map(|agent| (agent, space.scope(agent).unwrap_or_default()));
        Self { agent, ledger }
    }

    /// Whether a conversation is theirs to see: by part, by an offer, or by scope.
    fn see(&self, line: &Line) -> bool {
        let Some((agent, scope)) = &self.agent else { return true };
        let mine = self.ledger.mine(*agent);
        let id = &line.conversation;
        mine.is_some_and(|mine| mine.parts.contains(id) || mine.offers.contains_key(id))
            || line.lies_in(scope)
    }

    fn take_part_in(&self, id: ConversationId) -> bool {
        let mine = self.agent.as_ref().and_then(|(agent, _)| self.ledger.mine(*agent));
        mine.is_some_and(|mine| mine.parts.contains(&id))
    }

    fn are_of(&self, agent: AgentId) -> bool {
        self.agent.as_ref().is_some_and(|(own, _)| *own == agent)
    }

    fn have_not_read(&self, line: &Line) -> bool {
        let over = line.phase == Phase::Closed;
        !over && self.agent.as_ref().is_some_and(|(agent, _)| line.is_unread_by(*agent))
    }

    /// The row as it stands on a list; `None`: it does not belong there.
    fn row(&self, key: &ListKey, line: &Line) -> Option<ListRow> {
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
        let fits = fits && ListView::of(line.phase) == Some(key.view) && self.see(line);
        fits.then(|| ListRow {
            row: line.row(),
            unread: self.have_not_read(line),
            unanswered: line.is_unanswered(),
            connected: line.is_connected(),
        })
    }
}

/// What of a row is worth telling again when it changes. Its number alone is not.
fn print(row: &ListRow) -> u64 {
    thread_local! {
        static HASHER: RandomState = RandomState::default();
    }
    let ListRow { row, unread, unanswered, connected } = row;
    let face = row.owner_face.as_ref().map(|face| (&face.name, &face.avatar));
    let place = (row.phase, &row.group, row.owner, face, row.priority, row.waiting_since);
    let names = (&row.site, &row.bot, &row.pseudonym);
    HASHER.with(|hasher| hasher.hash_one((place, names, unread, unanswered, connected)))
}

impl Space {
    /// What can be counted for an agent, or for a supervisor.
    fn tallies(&self, agent: Option<AgentId>) -> Tallies {
        let ledger = self.ledger.borrow();
        let policy = self.policy();
        let pulls = |group: &crate::ids::GroupId| {
            policy.group(group).is_some_and(|rules| rules.strategy == Strategy::Pull)
        };
        let eyes = Eyes::of(agent, self, &ledger);
        let scope = eyes.agent.as_ref().map(|(_, scope)| &**scope);
        let mut tallies = ledger.to_process(scope, &pulls);
        let parts = agent.and_then(|agent| ledger.mine(agent)).map(|mine| &mine.parts);
        let lines = parts.into_iter().flatten().filter_map(|id| ledger.line(*id));
        for line in lines {
            tallies.mine += 1;
            tallies.mine_unread += u32::from(eyes.have_not_read(line));
        }
        tallies
    }
}
