//! What visitors may choose from, as they read it: the labels of public groups, and how they are asked.

use super::{
    gate::PAGE,
    port::{Answer, Choices, View},
    space::Space,
};
use crate::{ids::GroupId, routing::Refusal};

impl Space {
    /// A page of what visitors may choose from. The cursor is the last choice of the page before.
    pub(super) fn choices(&self, cursor: Option<&str>, limit: usize) -> Answer {
        match self.page_of_choices(cursor, limit) {
            Some(choices) => Answer::Found(Box::new(View::Choices(choices))),
            None => Answer::Refused(Refusal::Invalid("the cursor is not one that a page gave")),
        }
    }

    /// The first page of them, for who is asked to choose.
    pub(super) fn picker_list(&self) -> Choices {
        let none = || Choices { groups: Vec::new(), more: false, picker: None };
        self.page_of_choices(None, PAGE).unwrap_or_else(none)
    }

    /// By label, so that the names behind them show not even in their order.
    fn page_of_choices(&self, cursor: Option<&str>, limit: usize) -> Option<Choices> {
        let policy = self.policy();
        let label = |group: &GroupId| match policy.group(group) {
            Some(rules) if !rules.label.is_empty() => rules.label.clone(),
            // As `check-config` warns.
            _ => group.as_str().into(),
        };
        let choices = policy.choices.iter().map(|(choice, group)| (label(group), choice.clone()));
        let mut choices: Vec<_> = choices.collect();
        choices.sort();
        let from = match cursor {
            None => 0,
            Some(cursor) => choices.iter().position(|(_, choice)| choice.as_str() == cursor)? + 1,
        };
        let more = choices.len() > from + limit;
        let page = choices.into_iter().skip(from).take(limit).map(|(label, choice)| (choice, label));
        Some(Choices { groups: page.collect(), more, picker: policy.asks().cloned() })
    }
}
