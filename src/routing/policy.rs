//! What the operator decided, as values: the machines are handed these and never see where they came from.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use smol_str::SmolStr;

use super::{hours::Hours, lobby::Trigger, rules::Rules, words::Strategy, workflow::Workflow};
use crate::ids::{Channel, GroupId};

/// The rules of one workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Where a conversation goes that names no group, asked before [`Policy::default_group`].
    pub rules: Rules,
    /// Where a conversation goes that names no group; `None`: nowhere, it falls back with `no_rule`.
    pub default_group: Option<GroupId>,
    /// Every group but `everyone`.
    pub groups: BTreeMap<GroupId, Arc<GroupPolicy>>,
    /// The implicit group of all agents.
    pub everyone: Arc<GroupPolicy>,
    /// Channels that conversations may be opened on.
    pub channels: Vec<Channel>,
    /// What the visitor is told when the workspace as a whole can't serve; `None`: nothing.
    pub fallback_message: Option<SmolStr>,
    /// How many conversations an agent takes at once, unless their own cap says otherwise.
    pub cap: u16,
    /// Misses in a row after which an agent is set away; `None`: never.
    pub auto_away_after: Option<u32>,
    /// How long a lost session may be away before its agent counts as gone.
    pub disconnect_grace: Duration,
    /// How long a waiting visitor may be gone before the conversation is abandoned.
    pub visitor_grace: Duration,
    /// How long an active conversation may be silent; `None`: for ever.
    pub idle_close: Option<Duration>,
    /// How long a missed conversation stays listed.
    pub missed_ttl: Duration,
    /// Agents who may do live chat; `None`: any number.
    pub seats: Option<u32>,
    /// Conversations that may ever ask for an agent; `None`: any number.
    pub lifetime_engagements: Option<u32>,
    /// Variables that visitors may set themselves; an entry that ends with `*` stands for all that begin like it.
    pub visitor_variables: Vec<SmolStr>,
    /// Variables that agents may set, likewise.
    pub agent_variables: Vec<SmolStr>,
    /// The largest image or file beside a message, in bytes; `None`: of any size.
    pub attachment_max: Option<u64>,
    /// Whether who helps in another's conversation uses a slot for it.
    pub invite_uses_slot: bool,
    /// Whether visitors may return to the bot that handed them over, unless the hand-over says otherwise.
    pub return_to_bot: bool,
    /// How long a conversation with the bot may be silent; `None`: for ever.
    pub bot_idle_close: Option<Duration>,
    /// What the workspace may do.
    pub features: Features,
    /// What staff see a visitor as: text with variables in it, `{{contact.first_name}}`; `None`: an anonymous label.
    pub pseudonym: Option<SmolStr>,
    /// What visitors may choose from: the groups that are public and enabled, by names that say nothing of their own.
    pub choices: BTreeMap<GroupId, GroupId>,
    /// What happens by itself to who visits, in the order of the file.
    pub triggers: Vec<Trigger>,
    /// Visitors who may be on the sites at a time.
    pub lobby_max: u32,
    /// How visitors who name no group are asked to choose one; `None`: they are not asked.
    pub picker: Option<Arc<Picker>>,
    /// What becomes of conversations step by step: the published ones, in the order of the file.
    pub workflows: Vec<Arc<Workflow>>,
}

/// How visitors are asked to choose a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picker {
    /// What they read above the list.
    pub text: Option<SmolStr>,
    /// What the entry for who does not know is called; `None`: there is none.
    pub not_sure: Option<SmolStr>,
    /// How long what they wrote is kept for them to choose.
    pub hold: Duration,
}

/// Fewer public groups than this are no choice (BR-16).
const CHOICES_MIN: usize = 2;

impl Policy {
    /// The policy of a group, `everyone` included; `None` if the configuration has no such group.
    #[must_use]
    pub fn group(&self, id: &GroupId) -> Option<&Arc<GroupPolicy>> {
        if id.is_everyone() { Some(&self.everyone) } else { self.groups.get(id) }
    }

    /// How a visitor who names no group is asked to choose one, if they are. "Not sure" is no second group (BR-16, BR-20).
    #[must_use]
    pub fn asks(&self) -> Option<&Arc<Picker>> {
        self.picker.as_ref().filter(|_| self.choices.len() >= CHOICES_MIN)
    }

    /// The published workflow of this name.
    #[must_use]
    pub fn workflow(&self, name: &str) -> Option<&Arc<Workflow>> {
        self.workflows.iter().find(|workflow| workflow.name == name)
    }
}

/// What a workspace may do: by its own switches and its plan together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// Conversations with people at all.
    pub live_chat: bool,
    /// Private notes.
    pub notes: bool,
    /// Ratings by visitors.
    pub ratings: bool,
    /// Names of visitors: without them staff see anonymous labels.
    pub names: bool,
    /// Agents among themselves, without a visitor.
    pub team_chat: bool,
}

impl Default for Features {
    fn default() -> Self {
        Self { live_chat: true, notes: true, ratings: true, names: true, team_chat: true }
    }
}

/// The rules of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPolicy {
    /// The name that visitors see.
    pub label: SmolStr,
    /// Disabled groups take nothing new.
    pub enabled: bool,
    /// Whether visitors may choose it.
    pub public: bool,
    /// Whom it offers to.
    pub strategy: Strategy,
    /// How long an agent may look at an offer.
    pub accept_timeout: Duration,
    /// Offers per stay before the fallback; `None`: every eligible member once.
    pub max_offers: Option<u32>,
    /// How long a stay may wait; `None`: for ever.
    pub max_wait: Option<Duration>,
    /// What happens to an arrival when no member is online.
    pub when_empty: WhenEmpty,
    /// When it is open; `None`: always.
    pub hours: Option<Arc<Hours>>,
    /// What happens to an arrival while it is closed.
    pub when_closed: WhenClosed,
    /// Where what can't be served goes next.
    pub overflow: Option<GroupId>,
    /// What the visitor is told when nobody can.
    pub fallback_message: Option<SmolStr>,
    /// The rest of a slot after a close.
    pub wrap_up: Duration,
    /// Whether the conversations of an owner who is gone come back to the queue.
    pub requeue_on_disconnect: bool,
    /// Whether members may take from the line themselves.
    pub allow_pull: bool,
    /// How many may wait; `None`: any number.
    pub queue_max: Option<u32>,
    /// Waits answered within this count towards the service level.
    pub service_level_target: Duration,
    /// Whether a conversation that is transferred in keeps its age instead of going to the end of its class.
    pub keep_age_on_transfer: bool,
    /// Whether the agent who transfers one in is not asked in the stay that begins: if nobody else is present, it is refused.
    pub bar_after_transfer: bool,
    /// Variables that have to be known of what is opened here or handed over to it. Refusals point at them, so they last.
    pub required_fields: &'static [&'static str],
}

/// What happens to an arrival while its group is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenClosed {
    /// It waits for the group to open, no longer than it may wait at all.
    Queue,
    /// It goes to the overflow group, and falls back without one.
    Overflow,
    /// It falls back.
    Fallback,
}

/// What happens to an arrival when no member is online.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenEmpty {
    /// It waits for somebody to come.
    Queue,
    /// It is turned away: a transfer is refused, an opening falls back.
    Reject,
    /// It goes to the overflow group, and falls back without one.
    Overflow,
}

impl Policy {
    /// Whether any group asks for something before it takes a conversation.
    #[must_use]
    pub fn requires_fields(&self) -> bool {
        let groups = self.groups.values().chain([&self.everyone]);
        groups.into_iter().any(|group| !group.required_fields.is_empty())
    }
}

impl Default for GroupPolicy {
    /// The values of design §4.
    fn default() -> Self {
        Self {
            label: SmolStr::default(),
            enabled: true,
            public: true,
            strategy: Strategy::RoundRobin,
            accept_timeout: Duration::from_secs(45),
            max_offers: None,
            max_wait: Some(Duration::from_secs(120)),
            when_empty: WhenEmpty::Overflow,
            hours: None,
            when_closed: WhenClosed::Fallback,
            overflow: None,
            fallback_message: None,
            wrap_up: Duration::ZERO,
            requeue_on_disconnect: false,
            allow_pull: true,
            queue_max: None,
            service_level_target: Duration::from_secs(20),
            keep_age_on_transfer: false,
            bar_after_transfer: true,
            required_fields: &[],
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            rules: Rules::default(),
            default_group: Some(GroupId::everyone()),
            groups: BTreeMap::new(),
            everyone: Arc::new(GroupPolicy::default()),
            channels: Vec::new(),
            fallback_message: None,
            cap: 10,
            auto_away_after: None,
            disconnect_grace: Duration::from_secs(15),
            visitor_grace: Duration::from_secs(30),
            idle_close: None,
            missed_ttl: Duration::from_secs(24 * 3_600),
            seats: None,
            lifetime_engagements: None,
            visitor_variables: Vec::new(),
            agent_variables: vec![SmolStr::new_static("*")],
            attachment_max: None,
            invite_uses_slot: false,
            return_to_bot: false,
            bot_idle_close: Some(Duration::from_secs(3_600)),
            features: Features::default(),
            pseudonym: None,
            choices: BTreeMap::new(),
            picker: None,
            triggers: Vec::new(),
            lobby_max: 100_000,
            workflows: Vec::new(),
        }
    }
}
