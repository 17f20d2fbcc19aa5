//! What can be used and is unlikely to be meant: parts of a configuration that never come into play.

use super::{
    GroupPolicy, RuleTarget, Strategy, Workspace,
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
    let mut warn = |at: Option<Place>, message: String, help: &str| {
        let (expected, help) = (String::new(), help.to_owned());
        findings.push(Finding { at, warning: true, message, expected, help });
    };
    picker(workspace, table, &mut warn);
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
