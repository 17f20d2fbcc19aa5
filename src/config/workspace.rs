//! A workspace of the file: its policies, its groups, and the agents that the file alone manages.

use std::{collections::BTreeMap, time::Duration};

use smol_str::SmolStr;

use crate::ids::{AgentId, Channel, GroupId, WorkspaceId};

use super::{
    Absent, MailRule, Push, Webhook,
    hours::{Calendar, Calendars},
    measures::{DAY, GIB, HOUR, KIB, Size, Wait, ms, secs},
    notify::Address,
    rules::RoutingRule,
    section::{section, words},
    tree::Value,
    triggers::Trigger,
    values::{
        Else, Email, Flag, Handle, ListOf, OffUnlessSaid, OnUnlessSaid, Optional, OrWord, Rule, Text, Whole,
        Wrong, choice, named,
    },
    workflow::Workflow,
};

/// Longest message of the file to a visitor, in bytes.
const MESSAGE_MAX: usize = 2_048;

section! {
    /// `[defaults]`: what workspaces and their groups do unless they say otherwise.
    pub struct Defaults {
        flat {
            /// For workspaces.
            settings: WorkspaceSettings,
            /// For groups.
            policy: GroupPolicy,
        }
    }
}

section! {
    /// `[[workspace]]`: one customer account.
    pub struct Workspace {
        own {
            /// The workspace's key, in tokens and metrics.
            name: WorkspaceId => named(),
            /// Calendars of business hours, by name.
            hours: BTreeMap<SmolStr, Calendar> => Calendars,
            /// The calendar of `everyone`, and of groups that name none; `None` ("always"): open at all times.
            open_hours: Option<SmolStr> => AlwaysUnlessSaid,
        }
        flat {
            /// What concerns the workspace as a whole.
            settings: WorkspaceSettings,
            /// What the workspace's groups do unless they say otherwise; the implicit group `everyone` does exactly this.
            policy: GroupPolicy,
        }
        optional {
            /// Whether visitors are asked which group they want.
            picker: Picker,
        }
        lists {
            /// The groups, in the order of the file.
            groups: [Group] = "group",
            /// The agents that the file alone manages (`managed_by_config`).
            agents: [Agent] = "agent",
            /// What happens by itself to who visits, in the order of the file.
            triggers: [Trigger] = "trigger",
            /// Where a conversation goes that nobody sent anywhere, in the order of the file.
            rules: [RoutingRule] = "rule",
            /// Whom a webhook tells what.
            webhooks: [Webhook] = "webhook",
            /// Who is mailed what.
            mails: [MailRule] = "mail",
            /// What becomes of conversations step by step, in the order of the file: the first that fits begins.
            workflows: [Workflow] = "workflow",
        }
    }
}

section! {
    /// What concerns a workspace as a whole. Any of these keys may stand in `[defaults]` and `[[workspace]]`.
    pub struct WorkspaceSettings {
        inherited {
            /// Where a conversation goes that nobody sent anywhere: a group; `everyone`; `None` ("none"): the fallback
            /// `no_rule`.
            default_group: Option<GroupId> => OrWord(named(), "none"),
            /// What the visitor reads when the workspace as a whole can't serve (quota, closed).
            fallback_message: String => Text(MESSAGE_MAX),
            /// What the visitor reads when no agent could be found and the group has no words of its own.
            livechat_fallback_message: String => Text(MESSAGE_MAX),
            /// Kinds of conversation that may ask for an agent.
            channels: Vec<Channel> => ListOf(named(), 1..=32),
            /// How long an agent without a connection keeps pending offers.
            disconnect_grace: Duration => Wait(ms(0)..=secs(HOUR)),
            /// How long a visitor who is gone keeps the place in the line.
            visitor_grace: Duration => Wait(ms(0)..=secs(HOUR)),
            /// Silence after which an active conversation is closed; `None` ("off"): never.
            idle_close: Option<Duration> => OrWord(Wait(secs(1)..=secs(30 * DAY)), "off"),
            /// How long a missed conversation stays open for somebody to take it.
            missed_ttl: Duration => Wait(secs(1)..=secs(30 * DAY)),
            /// How long closed conversations are kept in the archive; `None` ("forever"): for ever.
            retention: Option<Duration> => OrWord(Wait(secs(HOUR)..=secs(3_650 * DAY)), "forever"),
            /// Agents who may hold a seat; `None` ("off"): any number.
            seats: Option<u32> => OrWord(Whole(1..=100_000), "off"),
            /// Conversations that may ever ask for an agent; `None` ("off"): any number.
            lifetime_engagements: Option<u32> => OrWord(Whole(1..=1_000_000_000), "off"),
            /// Conversations that one agent may have, offered and owned together, unless the agent says otherwise.
            cap: u32 => Whole(1..=1_000),
            /// Offers missed in a row after which an agent is set to away; `None` ("off"): never.
            auto_away_after: Option<u32> => OrWord(Whole(1..=100), "off"),
            /// Visitors who may be on the sites at a time.
            lobby_max: u32 => Whole(1..=10_000_000),
            /// Whether helping in somebody else's conversation takes a slot.
            invite_uses_slot: bool => Flag,
            /// Variables that visitors may set themselves; `.*` at the end of an entry opens all that begin so.
            visitor_variables: Vec<String> => ListOf(Text(64), 0..=64),
            /// Variables that agents may set, written likewise.
            agent_variables: Vec<String> => ListOf(Text(64), 0..=64),
            /// The largest image or file beside a message, in bytes; `None` ("off"): of any size.
            attachment_max: Option<u64> => OrWord(Size(KIB..=1_024 * GIB), "off"),
            /// Whether visitors may return to the bot that handed them over, unless the hand-over says otherwise.
            return_to_bot: bool => Flag,
            /// Silence after which a conversation with the bot is closed; `None` ("off"): never.
            bot_idle_close: Option<Duration> => OrWord(Wait(secs(1)..=secs(30 * DAY)), "off"),
            /// The plan that the customer is on, one of `[[plan]]`; `None`: no plan takes anything away.
            plan: Option<SmolStr> => Optional(Handle),
            /// Whether staff may write private notes.
            feature_notes: bool => Flag,
            /// Whether agents may ask visitors for a rating.
            feature_ratings: bool => Flag,
            /// Whether staff see names of visitors.
            feature_names: bool => Flag,
            /// Whether agents may talk among themselves, without a visitor.
            feature_team_chat: bool => Flag,
            /// What staff see a visitor as: text with variables in it, `{{contact.first_name}}`.
            pseudonym: Option<String> => Optional(Text(256)),
            /// Whether a transferred conversation keeps its place by age, rather than joining the end of its class.
            keep_age_on_transfer: bool => Flag,
            /// Whether who transfers a conversation to a group of theirs is left out there, so that somebody else has to be online.
            bar_after_transfer: bool => Flag,
            /// Which agents without a connection are told of what waits (`agent.notified`).
            tell_absent: Absent => choice(),
            /// Whether those are told, too, who have not said whether they want it.
            push: Push => choice(),
            /// The agents' inbox, `{link}` in place of the link to a conversation; `None` ("off"): mails have no link.
            inbox_url: Option<String> => OrWord(Address, "off"),
        }
    }
}

section! {
    /// How a group distributes its line. Any of these keys may stand in `[defaults]`, `[[workspace]]` and
    /// `[[workspace.group]]`; the innermost counts.
    pub struct GroupPolicy {
        inherited {
            /// Who is asked, and how.
            strategy: Strategy => choice(),
            /// How long an agent may look at an offer.
            accept_timeout: Duration => Wait(ms(100)..=secs(HOUR)),
            /// Agents who are asked in one stay; `None` ("all"): each eligible one once.
            max_offers: Option<u32> => OrWord(Whole(1..=1_000), "all"),
            /// Longest stay in the line; `None` ("none"): without end, exempt from the stay bound.
            max_wait: Option<Duration> => OrWord(Wait(ms(100)..=secs(DAY)), "none"),
            /// What happens to who comes while no member is online.
            when_empty: WhenEmpty => choice(),
            /// What happens to who comes while the group is closed.
            when_closed: WhenClosed => choice(),
            /// How long a slot stays taken after its conversation closed.
            wrap_up: Duration => Wait(ms(0)..=secs(HOUR)),
            /// Whether conversations of an agent whose connection is lost go back to the line.
            requeue_on_disconnect: bool => Flag,
            /// Whether members may take from the line themselves.
            allow_pull: bool => Flag,
            /// Time to an accept that counts as good service. Only metrics read it.
            service_level_target: Duration => Wait(ms(100)..=secs(DAY)),
            /// Conversations that may wait; `None` ("off"): any number.
            queue_max: Option<u32> => OrWord(Whole(1..=1_000_000), "off"),
            /// Variables that have to be known of what is opened in the group or handed over to it.
            required_fields: Vec<String> => ListOf(Text(64), 0..=32),
        }
    }
}

section! {
    /// `[workspace.picker]`: visitors who name no group are asked to choose one, after their first message and before anything
    /// else happens.
    pub struct Picker {
        own {
            /// Whether they are asked.
            enabled: bool => Else(Flag, false),
            /// Whether they may say that they don't know: any agent may serve them then.
            not_sure: bool => Else(Flag, false),
            /// What that entry is called.
            not_sure_label: String => Else(Text(64), "Not sure".to_owned()),
            /// What the visitor reads above the list.
            text: Option<String> => Optional(Text(MESSAGE_MAX)),
            /// How long what they wrote is kept for them to choose.
            hold: Duration => Else(Wait(secs(1)..=secs(DAY)), secs(30 * 60)),
        }
    }
}

section! {
    /// `[[workspace.group]]`: agents who may serve the same conversations, with their line.
    pub struct Group {
        own {
            /// The group's key. `everyone` is taken: every workspace has it.
            name: GroupId => named(),
            /// What visitors read; the name never leaves the daemon towards them.
            label: Option<String> => Optional(Text(128)),
            /// Whether the group can be chosen or assigned to.
            enabled: bool => OnUnlessSaid,
            /// Whether visitors may choose it.
            public: bool => OnUnlessSaid,
            /// The calendar of its business hours: the workspace's `open_hours` unless it is said here, "always" too.
            hours: Option<Option<SmolStr>> => Optional(OrWord(Handle, ALWAYS)),
            /// Where a line goes that this group can't serve.
            overflow: Option<GroupId> => Optional(named()),
            /// What the visitor reads when this group was the last to be tried.
            fallback_message: Option<String> => Optional(Text(MESSAGE_MAX)),
        }
        flat {
            /// How the group distributes, with what it inherits filled in.
            policy: GroupPolicy,
        }
    }
}

section! {
    /// `[[plan]]`: what workspaces on this plan may do. What a plan lacks no workspace on it can switch on.
    pub struct Plan {
        own {
            /// What workspaces call it.
            name: SmolStr => Handle,
            /// Whether it has live chat at all.
            live_chat: bool => OnUnlessSaid,
            /// Whether it has private notes.
            notes: bool => OnUnlessSaid,
            /// Whether it has ratings.
            ratings: bool => OnUnlessSaid,
            /// Whether it has names of visitors.
            names: bool => OnUnlessSaid,
            /// Whether its agents may talk among themselves.
            team_chat: bool => OnUnlessSaid,
        }
    }
}

section! {
    /// `[[workspace.agent]]`: a person who serves and whom only the file changes.
    pub struct Agent {
        own {
            /// The agent's key; their id is derived from it.
            name: SmolStr => Handle,
            /// What visitors read.
            display_name: String => Text(128),
            /// Where mail goes, and what an invitation may call them by.
            email: Option<String> => Optional(Email),
            /// Groups they are a member of, `everyone` aside.
            groups: Vec<GroupId> => ListOf(named(), 0..=64),
            /// Whether they may serve visitors at all.
            live_chat: bool => OnUnlessSaid,
            /// Whether they hold one of the workspace's seats.
            seat: bool => OnUnlessSaid,
            /// What their picture is known by, outside.
            avatar: Option<String> => Optional(Text(256)),
            /// The sites whose conversations they serve and see.
            sites: Vec<String> => ListOf(Text(128), 0..=32),
            /// Whether they see conversations that the bot has in hand.
            sees_bot: bool => OffUnlessSaid,
        }
        inherited {
            /// Conversations they may have, offered and owned together, over all their groups.
            cap: u32 => Whole(1..=1_000),
        }
    }
}

words! {
    /// How a group distributes its line.
    pub enum Strategy {
        /// One after the other, in order of their names.
        RoundRobin = "round_robin",
        /// Whoever has the fewest open conversations; of several, whoever was assigned longest ago.
        LeastActive = "least_active",
        /// Whoever was assigned longest ago.
        LongestIdle = "longest_idle",
        /// All at once; the first to accept has it.
        Broadcast = "broadcast",
        /// Nobody is asked; members take.
        Pull = "pull",
        /// Round robin, accepted on the agent's behalf.
        Assign = "assign",
    }
}

words! {
    /// What happens to who comes while the group is closed.
    pub enum WhenClosed {
        /// Waits in the line until it opens or `max_wait` ends.
        Queue = "queue",
        /// Goes to the `overflow` group, else to the fallback.
        Overflow = "overflow",
        /// Gets the fallback.
        Fallback = "fallback",
    }
}

words! {
    /// What happens to who comes while no member is online.
    pub enum WhenEmpty {
        /// Waits in the line until somebody comes or `max_wait` ends.
        Queue = "queue",
        /// Is refused with `nobody_online`.
        Reject = "reject",
        /// Goes to the `overflow` group, else to the fallback.
        Overflow = "overflow",
    }
}

/// At all times.
const ALWAYS: &str = "always";

/// A calendar's name; [`ALWAYS`] if nobody says so.
struct AlwaysUnlessSaid;

impl Rule for AlwaysUnlessSaid {
    type Out = Option<SmolStr>;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<Self::Out> {
        OrWord(Handle, ALWAYS).read(value, wrongs)
    }

    fn absent(&self) -> Option<Self::Out> {
        Some(None)
    }

    fn write(&self, name: &Self::Out) -> Option<toml::Value> {
        OrWord(Handle, ALWAYS).write(name)
    }

    fn expected(&self) -> String {
        OrWord(Handle, ALWAYS).expected()
    }
}

impl Workspace {
    /// The calendar of a group; of `everyone` without one. `None`: it is open at all times.
    #[must_use]
    pub fn calendar(&self, group: Option<&Group>) -> Option<&Calendar> {
        let own = group.and_then(|group| group.hours.as_ref());
        self.hours.get(own.unwrap_or(&self.open_hours).as_ref()?)
    }

    /// The id of one of the file's agents.
    #[must_use]
    pub fn agent_id(&self, agent: &Agent) -> AgentId {
        AgentId::derive(&self.name, agent.name.as_str())
    }

    /// The group of that name, if the file has it.
    #[must_use]
    pub fn group(&self, name: &GroupId) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == *name)
    }
}
