//! From what the operator wrote to what the machines go by. The only place that knows both.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use smol_str::SmolStr;

use crate::{
    actors::keeping::Keeping,
    config,
    ids::{AgentId, GroupId, WorkspaceId},
    metrics::GroupLabel,
    routing::{
        self, Body, Features, GroupPolicy, Picker, Policy, Priority, Variable, WhenClosed, WhenEmpty,
        agent::Profile,
        conditions::Condition,
        lobby::{Message, Moment, Trigger},
        rules::{Rule, RuleTarget, Rules},
        workflow::{Aim, Reassign, Status, Step, Test, Workflow},
    },
};

/// How long each workspace's closed conversations are kept.
pub(super) fn keeping(config: &config::Config) -> Keeping {
    let kept = config.workspaces.iter();
    Keeping(
        kept.filter_map(|workspace| Some((workspace.name.clone(), workspace.settings.retention?))).collect(),
    )
}

/// What the machines of each workspace go by, should this configuration be served.
#[must_use]
pub fn policies(config: &config::Config) -> BTreeMap<WorkspaceId, Policy> {
    let policy = |workspace| policy(workspace, &config.plans);
    config.workspaces.iter().map(|workspace| (workspace.name.clone(), policy(workspace))).collect()
}

/// The rules of a workspace.
pub(super) fn policy(workspace: &config::Workspace, plans: &[config::Plan]) -> Policy {
    let settings = &workspace.settings;
    let fallback = SmolStr::new(&settings.livechat_fallback_message);
    let groups: BTreeMap<_, _> = workspace
        .groups
        .iter()
        .map(|group| (group.name.clone(), Arc::new(group_policy(workspace, group, &fallback))))
        .collect();
    let everyone = GroupPolicy {
        label: SmolStr::default(),
        fallback_message: told(&fallback),
        hours: workspace.calendar(None).map(|calendar| Arc::clone(&calendar.hours)),
        ..rules(workspace, &workspace.policy)
    };
    Policy {
        rules: routing_rules(workspace),
        default_group: settings.default_group.clone(),
        groups,
        everyone: Arc::new(everyone),
        channels: settings.channels.clone(),
        fallback_message: told(&SmolStr::new(&settings.fallback_message)),
        cap: u16::try_from(settings.cap).unwrap_or(u16::MAX),
        auto_away_after: settings.auto_away_after,
        disconnect_grace: settings.disconnect_grace,
        visitor_grace: settings.visitor_grace,
        idle_close: settings.idle_close,
        missed_ttl: settings.missed_ttl,
        seats: settings.seats,
        lifetime_engagements: settings.lifetime_engagements,
        visitor_variables: settings.visitor_variables.iter().map(SmolStr::new).collect(),
        agent_variables: settings.agent_variables.iter().map(SmolStr::new).collect(),
        attachment_max: settings.attachment_max,
        return_to_bot: settings.return_to_bot,
        features: features(settings, plans),
        pseudonym: settings.pseudonym.as_ref().map(SmolStr::new),
        bot_idle_close: settings.bot_idle_close,
        invite_uses_slot: settings.invite_uses_slot,
        choices: workspace
            .groups
            .iter()
            .filter(|group| group.public && group.enabled)
            .map(|group| (GroupId::disguised(&workspace.name, &group.name), group.name.clone()))
            .collect(),
        picker: picker(&workspace.picker),
        triggers: triggers(workspace),
        lobby_max: settings.lobby_max,
        workflows: workspace
            .workflows
            .iter()
            .filter(|flow| flow.published)
            .map(|flow| Arc::new(workflow(workspace, flow)))
            .collect(),
    }
}

/// Those that are activated, and no others (BR-13).
fn triggers(workspace: &config::Workspace) -> Vec<Trigger> {
    let agent = |name: &SmolStr| workspace.agents.iter().find(|agent| agent.name == *name);
    let message = |trigger: &config::Trigger| {
        let (agent, text) = (agent(trigger.in_name_of.as_ref()?)?, trigger.text.as_deref()?);
        Some(Message {
            agent: workspace.agent_id(agent),
            name: SmolStr::new(&agent.display_name),
            text: Body(text.into()),
        })
    };
    let fact = |(name, value): &(SmolStr, String)| Variable {
        name: name.clone(),
        value: Body(value.as_str().into()),
    };
    let active = workspace.triggers.iter().filter(|trigger| trigger.active);
    let trigger = |trigger: &config::Trigger| Trigger {
        name: trigger.name.clone(),
        on: match trigger.on {
            config::Moment::Arrive => Moment::Arrive,
            config::Moment::Page => Moment::Page,
            config::Moment::WidgetOpen => Moment::WidgetOpen,
        },
        when: trigger.when.as_ref().map_or_else(Condition::always, |when| when.condition.clone()),
        group: trigger.group.clone(),
        message: message(trigger),
        set: trigger.set.iter().map(fact).collect(),
        tags: trigger.tags.clone(),
    };
    active.map(trigger).collect()
}

fn picker(picker: &config::Picker) -> Option<Arc<Picker>> {
    picker.enabled.then(|| {
        Arc::new(Picker {
            text: picker.text.as_deref().map(SmolStr::new),
            not_sure: picker.not_sure.then(|| SmolStr::new(&picker.not_sure_label)),
            hold: picker.hold,
        })
    })
}

/// What the workspace switches on and its plan has.
fn features(settings: &config::WorkspaceSettings, plans: &[config::Plan]) -> Features {
    let plan = settings.plan.as_ref().and_then(|name| plans.iter().find(|plan| plan.name == *name));
    let has = |of: fn(&config::Plan) -> bool| plan.is_none_or(of);
    Features {
        live_chat: has(|plan| plan.live_chat),
        notes: settings.feature_notes && has(|plan| plan.notes),
        ratings: settings.feature_ratings && has(|plan| plan.ratings),
        names: settings.feature_names && has(|plan| plan.names),
        team_chat: settings.feature_team_chat && has(|plan| plan.team_chat),
    }
}

fn routing_rules(workspace: &config::Workspace) -> Rules {
    let rule = |rule: &config::RoutingRule| Rule {
        name: rule.name.clone(),
        when: rule.when.condition.clone(),
        then: match &rule.then {
            config::RuleTarget::Group(group) => RuleTarget::Group(group.clone()),
            config::RuleTarget::Agent(name) => RuleTarget::Agent(AgentId::derive(&workspace.name, name)),
            config::RuleTarget::AgentId(agent) => RuleTarget::Agent(*agent),
        },
    };
    Rules::new(workspace.rules.iter().map(rule).collect())
}

/// A workflow's steps as they are walked.
fn workflow(workspace: &config::Workspace, flow: &config::Workflow) -> Workflow {
    let mut made = Workflow::new(flow.name.clone(), &steps(workspace, &flow.steps));
    made.on_opened = flow.on.contains(&config::Begins::Opened);
    made.on_reopened = flow.on.contains(&config::Begins::Reopened);
    let origin = |origin: &config::Origin| match origin {
        config::Origin::Visitor => routing::Origin::Visitor,
        config::Origin::Api => routing::Origin::Api,
        config::Origin::Bot => routing::Origin::Bot,
        config::Origin::Agent => routing::Origin::Agent,
    };
    made.origins = flow.origin.iter().map(origin).collect();
    made
}

fn steps(workspace: &config::Workspace, list: &[config::Step]) -> Vec<Step> {
    // What names an agent that is none is refused before it comes here.
    let aim = |aim: &config::Aim| match aim {
        config::Aim::Routed => Aim::Routed,
        config::Aim::Group(group) => Aim::Group(group.clone()),
        config::Aim::Agent(_) => aim.agent(workspace).map_or(Aim::Routed, Aim::Agent),
    };
    let fact = |(name, value): &(SmolStr, String)| Variable {
        name: name.clone(),
        value: Body(value.as_str().into()),
    };
    let test = |test: &config::Test| match test {
        config::Test::Status(status) => Test::Status(match status {
            config::Status::Open => Status::Open,
            config::Status::Waiting => Status::Waiting,
            config::Status::Active => Status::Active,
            config::Status::Missed => Status::Missed,
        }),
        config::Test::HumanReply(wanted) => Test::Outgoing(*wanted),
        config::Test::When(when) => Test::When(when.condition.clone()),
    };
    let step = |step: &config::Step| match step {
        config::Step::Assign(to) => Step::Assign(aim(to)),
        config::Step::Wait(time) => Step::Wait(*time),
        config::Step::Branch { all, then, otherwise } => Step::Branch {
            all: all.iter().map(test).collect(),
            then: steps(workspace, then),
            otherwise: steps(workspace, otherwise),
        },
        config::Step::Comment(text) => Step::Comment(text.into()),
        config::Step::Reassign { to, only_online, exclude_previous } => Step::Reassign(Reassign {
            to: aim(to),
            only_online: *only_online,
            exclude_previous: *exclude_previous,
        }),
        config::Step::Priority(class) => {
            let class = u8::try_from(*class).ok().and_then(Priority::new);
            Step::Priority(class.unwrap_or(Priority::DEFAULT))
        }
        config::Step::Set(set) => Step::Set { set: set.iter().map(fact).collect(), unset: Vec::new() },
        config::Step::Unset(names) => Step::Set { set: Vec::new(), unset: names.clone() },
        config::Step::Tag(tags) => Step::Tag { add: tags.clone(), remove: Vec::new() },
        config::Step::Untag(tags) => Step::Tag { add: Vec::new(), remove: tags.clone() },
        config::Step::Close => Step::Close,
    };
    list.iter().map(step).collect()
}

/// An empty message tells nothing.
fn told(message: &SmolStr) -> Option<SmolStr> {
    (!message.is_empty()).then(|| message.clone())
}

fn group_policy(workspace: &config::Workspace, group: &config::Group, fallback: &SmolStr) -> GroupPolicy {
    let own = group.fallback_message.as_deref().map(SmolStr::new);
    GroupPolicy {
        label: SmolStr::new(group.label.as_deref().unwrap_or_default()),
        enabled: group.enabled,
        public: group.public,
        overflow: group.overflow.clone(),
        hours: workspace.calendar(Some(group)).map(|calendar| Arc::clone(&calendar.hours)),
        fallback_message: told(own.as_ref().unwrap_or(fallback)),
        ..rules(workspace, &group.policy)
    }
}

fn rules(workspace: &config::Workspace, policy: &config::GroupPolicy) -> GroupPolicy {
    GroupPolicy {
        strategy: match policy.strategy {
            config::Strategy::RoundRobin => routing::Strategy::RoundRobin,
            config::Strategy::LeastActive => routing::Strategy::LeastActive,
            config::Strategy::LongestIdle => routing::Strategy::LongestIdle,
            config::Strategy::Broadcast => routing::Strategy::Broadcast,
            config::Strategy::Pull => routing::Strategy::Pull,
            config::Strategy::Assign => routing::Strategy::Assign,
        },
        accept_timeout: policy.accept_timeout,
        max_offers: policy.max_offers,
        max_wait: policy.max_wait,
        when_empty: match policy.when_empty {
            config::WhenEmpty::Queue => WhenEmpty::Queue,
            config::WhenEmpty::Reject => WhenEmpty::Reject,
            config::WhenEmpty::Overflow => WhenEmpty::Overflow,
        },
        when_closed: match policy.when_closed {
            config::WhenClosed::Queue => WhenClosed::Queue,
            config::WhenClosed::Overflow => WhenClosed::Overflow,
            config::WhenClosed::Fallback => WhenClosed::Fallback,
        },
        wrap_up: policy.wrap_up,
        requeue_on_disconnect: policy.requeue_on_disconnect,
        allow_pull: policy.allow_pull,
        queue_max: policy.queue_max,
        required_fields: lasting(&policy.required_fields),
        service_level_target: policy.service_level_target,
        keep_age_on_transfer: workspace.settings.keep_age_on_transfer,
        bar_after_transfer: workspace.settings.bar_after_transfer,
        ..GroupPolicy::default()
    }
}

/// A list of names for as long as the program runs: a refusal that names some of them is copied about. Each list is kept once,
/// however often the configuration is read.
fn lasting(names: &[String]) -> &'static [&'static str] {
    static LISTS: Mutex<BTreeSet<&'static [&'static str]>> = Mutex::new(BTreeSet::new());
    if names.is_empty() {
        return &[];
    }
    let mut lists = LISTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = lists.iter().find(|known| known.iter().eq(names.iter())) {
        return known;
    }
    let names = names.iter().map(|name| &*Box::leak(name.clone().into_boxed_str())).collect::<Vec<_>>();
    let list: &'static [&'static str] = Box::leak(names.into_boxed_slice());
    lists.insert(list);
    list
}

/// The agents that the file manages.
pub(super) fn agents(workspace: &config::Workspace) -> Vec<(AgentId, Profile)> {
    let profile = |agent: &config::Agent| Profile {
        name: SmolStr::new(&agent.display_name),
        email: agent.email.as_deref().map(SmolStr::new),
        groups: agent.groups.clone(),
        cap: Some(u16::try_from(agent.cap).unwrap_or(u16::MAX)),
        live_chat: agent.live_chat && agent.seat,
        managed_by_config: true,
        avatar: agent.avatar.as_deref().map(SmolStr::new),
        sites: agent.sites.iter().map(SmolStr::new).collect(),
        sees_bot: agent.sees_bot,
    };
    workspace.agents.iter().map(|agent| (workspace.agent_id(agent), profile(agent))).collect()
}

/// The groups that are counted, `everyone` included.
pub(super) fn labels(config: &config::Config) -> Vec<GroupLabel> {
    let mut labels = Vec::new();
    for workspace in &config.workspaces {
        let label = |group: &str, policy: &config::GroupPolicy| GroupLabel {
            workspace: workspace.name.to_string(),
            group: group.to_owned(),
            service_level_target: policy.service_level_target,
        };
        labels.push(label("everyone", &workspace.policy));
        labels.extend(workspace.groups.iter().map(|group| label(group.name.as_str(), &group.policy)));
    }
    labels
}
