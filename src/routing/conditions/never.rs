//! What can never hold, whatever is known: for the operator who wrote a rule that no visitor will ever meet.

use std::collections::BTreeMap;

use super::{
    Node,
    operators::{Is, Matcher, Test},
};

/// Why this can never hold. Found: tests of one name that contradict each other, and nothing that could hold. Not found: what
/// only a proof would tell, and what stands in CEL.
pub(super) fn why(node: &Node) -> Option<String> {
    match node {
        Node::All(nodes) => nodes.iter().find_map(why).or_else(|| contradiction(nodes)),
        Node::Any(nodes) if nodes.is_empty() => Some("`any` of nothing never holds".to_owned()),
        Node::Any(nodes) => {
            let whys: Option<Vec<String>> = nodes.iter().map(why).collect();
            whys.and_then(|whys| whys.into_iter().next())
        }
        Node::Not(node) => match &**node {
            Node::All(nodes) if nodes.is_empty() => Some("`not` of what always holds".to_owned()),
            _ => None,
        },
        Node::Test(_) | Node::Cel(_) => None,
    }
}

/// The tests that all have to hold at once, by name.
fn contradiction(nodes: &[Node]) -> Option<String> {
    let mut by_name: BTreeMap<&str, Vec<&Test>> = BTreeMap::new();
    gather(nodes, &mut by_name);
    by_name.values().find_map(|tests| {
        let pairs = tests
            .iter()
            .enumerate()
            .flat_map(|(place, one)| tests[place + 1..].iter().map(move |other| (*one, *other)));
        pairs
            .into_iter()
            .find(|(one, other)| excludes(one, other) || excludes(other, one))
            .map(|(one, other)| format!("`{one}` and `{other}` never hold at once"))
    })
}

fn gather<'a>(nodes: &'a [Node], by_name: &mut BTreeMap<&'a str, Vec<&'a Test>>) {
    for node in nodes {
        match node {
            Node::All(nodes) => gather(nodes, by_name),
            Node::Test(test) => by_name.entry(test.0.name.as_str()).or_default().push(&test.0),
            Node::Any(_) | Node::Not(_) | Node::Cel(_) => {}
        }
    }
}

/// Whether the first holding means that the second does not.
fn excludes(one: &Test, other: &Test) -> bool {
    let needs_text = !matches!(other.is, Is::Missing | Is::Ne(_));
    match (&one.is, &one.matcher) {
        (Is::Missing, _) => needs_text,
        (Is::Ne(_), Matcher::Small(text)) => {
            matches!((&other.is, &other.matcher), (Is::Eq(_), Matcher::Small(same)) if same == text)
        }
        // A set may have one value for each test.
        _ if one.set => false,
        (Is::Eq(text), _) => !other.passes_text(text),
        (Is::In(texts), _) => texts.iter().all(|text| !other.passes_text(text)),
        (Is::AtLeast(low), _) => ends_below(&other.is, *low, true),
        (Is::Above(low), _) => ends_below(&other.is, *low, false),
        _ => false,
    }
}

/// Whether a test lets only numbers pass that are too small for a lower bound.
fn ends_below(is: &Is, low: f64, low_itself: bool) -> bool {
    match is {
        Is::AtMost(high) => *high < low || (*high <= low && !low_itself),
        Is::Below(high) => *high <= low,
        _ => false,
    }
}
