//! How many agents there are and what they do: a mark per agent, which moves between the counts and never gets lost.

use std::sync::Arc;

use metrics::Counter;

use super::{
    group::GroupMetrics,
    registry::{Each, Level, series},
    words::{AgentState, SlotState},
};

series! {
    /// The series of one workspace. Agents are counted once here, however many groups they belong to.
    pub struct WorkspaceMetrics {
        /// Agents who are not offline.
        pub agents: Each<Level, AgentState> = "agents", ("state", ());
        /// Slots of agents who are not offline.
        pub slots: Each<Level, SlotState> = "agent_slots", ("state", ());
        /// Conversations that a bot has the hand of.
        pub with_bot: Level = "conversations_with_bot";
        /// Conversations that a bot handed over to people.
        pub handed_over: Counter = "bot_handovers_total";
        /// Conversations whose visitor went back to the bot.
        pub returned_to_bot: Counter = "bot_returns_total";
        /// Visitors on the sites, whether or not they have asked for anybody.
        pub lobby_visitors: Level = "lobby_visitors";
        /// Openings that are held until their visitors choose a group.
        pub picker_held: Level = "picker_held";
        /// Visitors who chose a group when they were asked to.
        pub picker_chosen: Counter = "picker_chosen_total";
        /// Visitors who were asked to choose a group and did not: nobody ever knew of what they wrote.
        pub picker_expired: Counter = "picker_expired_total";
        /// Conversations whose visitor was asked for a rating.
        pub ratings_requested: Counter = "ratings_requested_total";
        /// Ratings given.
        pub ratings: Counter = "ratings_total";
        /// Points of all ratings together, 1 to 5 each: divided by the ratings, their mean.
        pub rating_points: Counter = "rating_points_total";
    }
}

series! {
    /// The series of one trigger.
    pub struct TriggerMetrics {
        /// Times that a trigger had its say, once in a visit.
        pub fired: Counter = "triggers_fired_total";
    }
}

/// What an agent is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentView {
    /// What they do.
    pub state: AgentState,
    /// Slots that are taken.
    pub used: u32,
    /// Slots that could take a conversation now.
    pub free: u32,
}

/// One agent in the counts of the workspace and of their groups. Dropping it takes the agent out of all of them.
#[derive(Debug)]
pub struct AgentMark {
    workspace: Arc<WorkspaceMetrics>,
    groups: Vec<Arc<GroupMetrics>>,
    shown: Option<AgentView>,
}

impl AgentMark {
    /// An agent who is offline.
    #[must_use]
    pub fn new(workspace: Arc<WorkspaceMetrics>, groups: Vec<Arc<GroupMetrics>>) -> Self {
        Self { workspace, groups, shown: None }
    }

    /// The agent changed; `None` is offline.
    pub fn show(&mut self, view: Option<AgentView>) {
        if view != self.shown {
            self.count(-1);
            self.shown = view;
            self.count(1);
        }
    }

    /// The agent belongs to these groups from now on.
    pub fn belongs_to(&mut self, groups: Vec<Arc<GroupMetrics>>) {
        self.count(-1);
        self.groups = groups;
        self.count(1);
    }

    fn count(&self, sign: i64) {
        let Some(view) = self.shown else { return };
        let everywhere = self.groups.iter().map(|group| (&group.agents, &group.slots));
        for (agents, slots) in everywhere.chain([(&self.workspace.agents, &self.workspace.slots)]) {
            agents.of(view.state).add(sign);
            slots.of(SlotState::Used).add(sign * i64::from(view.used));
            slots.of(SlotState::Free).add(sign * i64::from(view.free));
        }
    }
}

impl Drop for AgentMark {
    fn drop(&mut self) {
        self.count(-1);
    }
}
