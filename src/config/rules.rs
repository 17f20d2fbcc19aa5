//! `[[workspace.rule]]`: where a conversation goes that nobody sent anywhere.

use smol_str::SmolStr;

use crate::{
    ids::{AgentId, GroupId},
    routing::conditions::{Condition, all_well_known, well_known},
};

use super::{
    Workspace,
    conditions::{Conditional, When},
    problem::{Finding, Place},
    section::{distance, section},
    tree::{Kind, Table, Value},
    values::{Handle, Rule, Wrong, refuse},
};

section! {
    /// `[[workspace.rule]]`: where a conversation goes that nobody sent anywhere, if its condition holds.
    pub struct RoutingRule {
        own {
            /// The rule's key: decisions call it by this.
            name: SmolStr => Handle,
            /// When it applies.
            when: When => Conditional,
            /// Where the conversation goes then.
            then: RuleTarget => Where,
        }
    }
}

/// Where a routing rule sends a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleTarget {
    /// To a group; `everyone` too.
    Group(GroupId),
    /// To one agent of the file, by their name.
    Agent(SmolStr),
    /// To one agent who came by command, by their id.
    AgentId(AgentId),
}

/// Rules of one workspace: each opening asks all of them.
const RULES_MAX: usize = 200;

/// A place to send a conversation.
struct Where;

impl Rule for Where {
    type Out = RuleTarget;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<RuleTarget> {
        let Kind::Table(Table { entries }) = &value.kind else {
            return refuse(value, "is no place to send to", self.expected(), "", wrongs);
        };
        let mut entries = entries.iter();
        let (Some((key, entry)), None) = (entries.next(), entries.next()) else {
            return refuse(value, "is no place to send to", self.expected(), "one of the two", wrongs);
        };
        match (key.as_str(), entry.value.text()) {
            ("group", _) => super::values::named().read(&entry.value, wrongs).map(RuleTarget::Group),
            ("agent", Some(text)) if text.parse::<AgentId>().is_ok() => {
                text.parse().ok().map(RuleTarget::AgentId)
            }
            ("agent", _) => Handle.read(&entry.value, wrongs).map(RuleTarget::Agent),
            _ => refuse(value, "is no place to send to", self.expected(), "", wrongs),
        }
    }

    fn write(&self, target: &RuleTarget) -> Option<toml::Value> {
        let (key, name) = match target {
            RuleTarget::Group(group) => ("group", group.to_string()),
            RuleTarget::Agent(name) => ("agent", name.to_string()),
            RuleTarget::AgentId(id) => ("agent", id.to_string()),
        };
        Some(toml::Value::Table([(key.to_owned(), name.into())].into_iter().collect()))
    }

    fn expected(&self) -> String {
        "{ group = \"…\" } or { agent = \"…\" }".to_owned()
    }
}

/// Refuses rules that are too many, and those that send to where nobody is.
pub(super) fn check(workspace: &Table, groups: &[&str], agents: &[&Table], findings: &mut Vec<Finding>) {
    let mut error = |at: &Place, message: String, expected: String| {
        findings.push(Finding {
            at: Some(at.clone()),
            warning: false,
            message,
            expected,
            help: String::new(),
        });
    };
    for (number, (at, rule)) in (1..).zip(workspace.tables("rule")) {
        if number == RULES_MAX + 1 {
            let message = format!("this is rule number {number} of its workspace");
            error(at, message, format!("at most {RULES_MAX}"));
        }
        let Some(Value { kind: Kind::Table(then), .. }) = rule.get("then") else { continue };
        let name = rule.text("name").unwrap_or("?");
        if let Some((value, group)) = then.get("group").and_then(|value| Some((value, value.text()?)))
            && !groups.contains(&group)
        {
            let message = format!("rule {name:?} sends to {group:?}, which is not a group of its workspace");
            error(&value.at, message, format!("one of {}", groups.join(", ")));
        }
        if let Some((value, agent)) = then.get("agent").and_then(|value| Some((value, value.text()?)))
            && agent.parse::<AgentId>().is_err()
            && !agents.iter().any(|table| table.text("name") == Some(agent))
        {
            let message = format!("rule {name:?} sends to {agent:?}, who is not an agent of this file");
            error(
                &value.at,
                message,
                "an agent of the file, or the id of one who came by command".to_owned(),
            );
        }
    }
}

/// Warns of names that are nearly those with a meaning: a slip of the hand makes a custom variable that nobody ever sets.
pub(super) fn slips(condition: &Condition, at: &Place, findings: &mut Vec<Finding>) {
    for name in condition.names().iter().filter(|name| !well_known(name)) {
        let Some(near) = all_well_known().iter().find(|known| distance(name, known) == 1) else { continue };
        let message = format!("{name:?} is asked for, which is a custom variable");
        let (expected, help) = (String::new(), format!("did you mean `{near}`?"));
        findings.push(Finding { at: Some(at.clone()), warning: true, message, expected, help });
    }
}

/// Warns of rules that no visitor will ever meet.
pub(super) fn second_look(workspace: &Workspace, table: &Table, findings: &mut Vec<Finding>) {
    let mut always: Option<&str> = None;
    for (rule, (at, written)) in workspace.rules.iter().zip(table.tables("rule")) {
        let at = written.get("when").map_or(at, |value| &value.at);
        let name = &rule.name;
        slips(&rule.when.condition, at, findings);
        let message = match (always, rule.when.condition.never()) {
            (_, Some(why)) => format!("rule {name:?} never applies: {why}"),
            (Some(before), None) => format!("rule {name:?} is reached only if {before:?} finds nobody"),
            (None, None) => {
                always = rule.when.condition.is_always().then_some(name.as_str());
                continue;
            }
        };
        let (expected, help) = (String::new(), String::new());
        findings.push(Finding { at: Some(at.clone()), warning: true, message, expected, help });
    }
}
