//! What can be used and is unlikely to be meant: parts of a configuration that never come into play.

use std::collections::BTreeSet;

use super::{
    Absent, GroupPolicy, RuleTarget, Strategy, Workspace,
    problem::{Finding, Place},
    tree::{Kind, Table, Value},
};

/// Warns of what one workspace says in vain. `table` is where it is written, `defaults` what stands behind it.
pub(super) fn second_look(
    workspace: &Workspace,
    table: &Table,
    defaults: Option<&Table>,
    findings: &mut Vec<Finding>,
) {
    idle(table, findings);
    let mut warn = |at: Option<Place>, message: String, help: &str| {
        let (expected, help) = (String::new(), help.to_owned());
        findings.push(Finding { at, warning: true, message, expected, help });
    };
    picker(workspace, table, &mut warn);
    notifications(workspace, table, &mut warn);
    rules(workspace, table, &mut warn);
    for (group, (at, written)) in workspace.groups.iter().zip(table.tables("group")) {
        let scopes = [written, table].into_iter().chain(defaults).collect::<Vec<_>>();
        // What a group inherits may well mean others.
        let in_vain =
            in_vain(&group.policy).filter(|(key, _)| *key != "max_offers" || written.get(key).is_some());
        if let Some((key, why)) = in_vain {
            let at = scopes.iter().find_map(|scope| scope.get(key)).map_or(at, |value| &value.at);
            warn(Some(at.clone()), format!("group {:?}: {why}", group.name.as_str()), "");
        }
    }
}

/// Fewer than two groups are no choice.
fn picker(workspace: &Workspace, table: &Table, warn: &mut impl FnMut(Option<Place>, String, &str)) {
    let open = workspace.groups.iter().filter(|group| group.public && group.enabled).count();
    if !workspace.picker.enabled || open >= 2 {
        return;
    }
    let enabled = match table.get("picker") {
        Some(Value { kind: Kind::Table(picker), .. }) => picker.get("enabled"),
        _ => None,
    };
    let message = format!("visitors are to choose a group, and {open} can be chosen: nobody is asked");
    let help = "with two groups that are public and enabled, they are";
    warn(enabled.map(|value| value.at.clone()), message, help);
}

/// Who has to switch it on matters only where somebody is told.
fn notifications(workspace: &Workspace, table: &Table, warn: &mut impl FnMut(Option<Place>, String, &str)) {
    let Some(said) = table.get("push").filter(|_| workspace.settings.tell_absent == Absent::Nobody) else {
        return;
    };
    let message = "`push` says whom to tell, and tell_absent is \"nobody\": nobody is told".to_owned();
    warn(Some(said.at.clone()), message, "");
}

/// A rule that sends to a disabled group sends nowhere.
fn rules(workspace: &Workspace, table: &Table, warn: &mut impl FnMut(Option<Place>, String, &str)) {
    for (rule, (at, written)) in workspace.rules.iter().zip(table.tables("rule")) {
        let RuleTarget::Group(name) = &rule.then else { continue };
        if workspace.group(name).is_some_and(|group| !group.enabled) {
            let at = written.get("then").map_or(at, |value| &value.at);
            let message =
                format!("rule {:?} sends to {:?}, which is disabled", rule.name.as_str(), name.as_str());
            warn(Some(at.clone()), message, "enable it, or send elsewhere");
        }
    }
}

/// The key of a policy that has no effect beside its others, and why.
fn in_vain(policy: &GroupPolicy) -> Option<(&'static str, String)> {
    let asks = !matches!(policy.strategy, Strategy::Pull | Strategy::Assign);
    let word = policy.strategy.as_str();
    match (policy.max_offers, policy.max_wait) {
        (Some(max), _) if !asks => {
            Some(("max_offers", format!("max_offers is {max}, and {word:?} asks nobody")))
        }
        (Some(max), Some(wait)) if max > 1 && wait <= policy.accept_timeout => Some((
            "max_wait",
            "max_wait is over when the first who was asked has not answered: nobody else is".to_owned(),
        )),
        _ => None,
    }
}

// === what the tree alone tells ===

/// Warns of triggers, workflows and calendars that do nothing. They are looked at as they are written.
pub(super) fn idle(table: &Table, findings: &mut Vec<Finding>) {
    let mut warn = |at: &Place, message: String| {
        let (expected, help) = (String::new(), String::new());
        findings.push(Finding { at: Some(at.clone()), warning: true, message, expected, help });
    };
    for (at, trigger) in table.tables("trigger") {
        let active = matches!(trigger.get("active"), Some(Value { kind: Kind::Flag(true), .. }));
        let does = ["group", "text", "set", "tags"].iter().any(|key| trigger.get(key).is_some());
        if active && !does {
            let name = trigger.text("name").unwrap_or("?");
            warn(at, format!("trigger {name:?} does nothing: it has no group, no text, and sets nothing"));
        }
    }
    for (_, workflow) in table.tables("workflow") {
        let Some(steps) = workflow.get("steps") else { continue };
        flow(workflow.text("name").unwrap_or("?"), steps, false, &mut warn);
    }
    calendars(table, &mut warn);
}

/// Steps that nothing comes of: waiting for nothing, what comes after the end, branches that lead nowhere.
/// `goes_on`: whether there are steps behind the branch that these are a way of.
fn flow(name: &str, steps: &Value, goes_on: bool, warn: &mut impl FnMut(&Place, String)) {
    let Kind::List(steps) = &steps.kind else { return };
    let mut closed = false;
    for (number, step) in (1..).zip(steps) {
        let Kind::Table(parts) = &step.kind else { continue };
        if closed {
            return warn(&step.at, format!("workflow {name:?}: nothing comes after `close`"));
        }
        closed = parts.get("close").is_some();
        let goes_on = goes_on || number < steps.len();
        if parts.get("wait").is_some() && !goes_on {
            warn(&step.at, format!("workflow {name:?} waits here for nothing"));
        }
        let Some(branch) = parts.get("branch").or_else(|| parts.get("if")) else { continue };
        let ways = ["then", "else"].map(|way| parts.get(way));
        let empty = |way: &Option<&Value>| match way {
            Some(Value { kind: Kind::List(steps), .. }) => steps.is_empty(),
            _ => true,
        };
        if ways.iter().all(empty) {
            warn(&branch.at, format!("workflow {name:?}: both ways of this branch are empty"));
        } else if let Some(key) = contradiction(branch) {
            warn(
                &branch.at,
                format!("workflow {name:?}: this branch asks for two different `{key}` at once"),
            );
        }
        for way in ways.into_iter().flatten() {
            flow(name, way, goes_on, warn);
        }
    }
}

/// The key that the conditions of a branch want to be two things at a time.
fn contradiction(branch: &Value) -> Option<&'static str> {
    let Kind::Table(table) = &branch.kind else { return None };
    let Some(Value { kind: Kind::List(all), .. }) = table.get("all") else { return None };
    let wanted = |key: &str| -> BTreeSet<String> {
        let tables = all.iter().filter_map(|test| match &test.kind {
            Kind::Table(test) => test.get(key),
            _ => None,
        });
        // "Open" holds beside any other.
        tables.map(Value::described).filter(|value| value != "\"open\"").collect()
    };
    ["status", "human_reply"].into_iter().find(|key| wanted(key).len() > 1)
}

/// Calendars without an hour.
fn calendars(table: &Table, warn: &mut impl FnMut(&Place, String)) {
    let Some(Value { kind: Kind::Table(calendars), .. }) = table.get("hours") else { return };
    for (name, calendar) in &calendars.entries {
        let Kind::Table(parts) = &calendar.value.kind else { continue };
        let open = match parts.get("weekly") {
            Some(Value { kind: Kind::Table(days), .. }) => days
                .entries
                .values()
                .any(|day| matches!(&day.value.kind, Kind::List(spans) if !spans.is_empty())),
            _ => continue,
        };
        if !open {
            warn(&calendar.key, format!("calendar {name:?} has no hours: who goes by it is always closed"));
        }
    }
}
