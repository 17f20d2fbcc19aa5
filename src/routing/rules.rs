//! Routing rules: where a conversation goes that nobody sent anywhere (AD-10, AD-13).
//!
//! All rules are asked and every verdict is recorded; the first that applies and has an eligible agent wins. Who is eligible the
//! groups know: the conversation asks them in the order of the rules (`conversation/rules.rs`).

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    conditions::{Condition, Known, Verdict},
    policy::Policy,
};
use crate::ids::{AgentId, GroupId};

/// A routing rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What decisions call it.
    pub name: SmolStr,
    /// When it applies.
    pub when: Condition,
    /// Where the conversation goes then.
    pub then: RuleTarget,
}

/// Where a rule sends a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleTarget {
    /// To a group; `everyone` too.
    Group(GroupId),
    /// To one agent, and nobody else.
    Agent(AgentId),
}

/// The rules of a workspace, in their order. At most 200: the configuration takes no more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    list: Arc<[Rule]>,
    digest: u64,
}

/// What the rules said of one conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// Every verdict.
    pub verdicts: Verdicts,
    /// The names of those that matched, in their order; at most [`Ruling::MATCHED_MAX`].
    pub matched: Vec<SmolStr>,
    /// Where the rules that matched send it, each place once, with the first rule that names it.
    pub ways: Vec<(SmolStr, RuleTarget)>,
}

impl Ruling {
    /// Names that are written down.
    pub const MATCHED_MAX: usize = 16;
}

/// One verdict for each rule, two bits each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    count: u16,
    packed: Vec<u8>,
}

impl Verdicts {
    fn push(&mut self, verdict: Verdict) {
        let bits = match verdict {
            Verdict::NotMatched => 0,
            Verdict::Matched => 1,
            Verdict::Error => 2,
        };
        let place = usize::from(self.count % 4) * 2;
        if place == 0 {
            self.packed.push(0);
        }
        if let Some(byte) = self.packed.last_mut() {
            *byte |= bits << place;
        }
        self.count += 1;
    }

    /// The verdicts, in the order of the rules.
    pub fn iter(&self) -> impl Iterator<Item = Verdict> + '_ {
        (0..usize::from(self.count)).map(|number| {
            let byte = self.packed.get(number / 4).copied().unwrap_or_default();
            match byte >> (number % 4 * 2) & 3 {
                0 => Verdict::NotMatched,
                1 => Verdict::Matched,
                _ => Verdict::Error,
            }
        })
    }
}

impl Rules {
    /// These rules.
    #[must_use]
    pub fn new(list: Vec<Rule>) -> Self {
        let digest = list.iter().fold(FNV_START, |digest, rule| {
            let then = match &rule.then {
                RuleTarget::Group(group) => group.to_string(),
                RuleTarget::Agent(agent) => agent.to_string(),
            };
            [rule.name.as_str(), rule.when.text(), &then]
                .iter()
                .fold(digest, |digest, text| fnv(digest, text))
        });
        Self { list: list.into(), digest }
    }

    /// The rules, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.list.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Which rules these are: recorded with their verdicts, so that a reader knows whether they still are the same.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Asks all of them. A rule whose group takes nothing new may match, and leads nowhere.
    #[must_use]
    pub fn judge(&self, known: &dyn Known, policy: &Policy) -> Ruling {
        let mut ruling = Ruling { verdicts: Verdicts::default(), matched: Vec::new(), ways: Vec::new() };
        for rule in self.iter() {
            let verdict = rule.when.verdict(known);
            ruling.verdicts.push(verdict);
            if verdict != Verdict::Matched {
                continue;
            }
            if ruling.matched.len() < Ruling::MATCHED_MAX {
                ruling.matched.push(rule.name.clone());
            }
            let open = match &rule.then {
                RuleTarget::Group(group) => policy.group(group).is_some_and(|group| group.enabled),
                RuleTarget::Agent(_) => true,
            };
            if open && !ruling.ways.iter().any(|(_, way)| *way == rule.then) {
                ruling.ways.push((rule.name.clone(), rule.then.clone()));
            }
        }
        ruling
    }
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a over a text and its end: the same in every build and on every machine.
fn fnv(digest: u64, text: &str) -> u64 {
    let step = |digest: u64, byte: u8| (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    step(text.bytes().fold(digest, step), 0xff)
}
