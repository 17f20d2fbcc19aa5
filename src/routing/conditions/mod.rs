//! Conditions: what an operator writes down once and what is then asked of many visitors and conversations.
//!
//! A [`Condition`] is a tree of tests on names ([`Known`]), compiled when the configuration is loaded: asking it again costs no
//! parsing, hardly any allocation, and a bounded time. What is known is text; these rules hold for all of it:
//!
//! - **Letters' case** (A to Z) makes no difference to `eq`, `ne`, `in`, `contains`, `prefix`, `suffix` and `glob`. It does to
//!   `regex` (write `(?i)`) and in CEL.
//! - **Nothing known** and an empty text are the same: every test of it is false but `ne` and `missing`.
//! - **Several values**: `tag` and `page.tags` are sets. A test holds if it holds for one of them; `ne` if none is equal.
//! - **Numbers**: `>=`, `>`, `<=` and `<` read the text as a number. What is none is false, for each of the four.
//!
//! `operators.rs` has the tests, `script.rs` the way out to CEL, `names.rs` the names, `never.rs` what can't be true.

mod names;
mod never;
mod operators;
mod script;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt, ops::Range, sync::Arc};

use smol_str::SmolStr;

pub use names::{all_well_known, is_set, name_fault, well_known};
pub use operators::{Is, number};

use operators::Test;
use script::Script;

/// Tests of one condition.
pub const TESTS_MAX: usize = 64;

/// How deep conditions may stand in one another.
pub const DEPTH_MAX: usize = 8;

/// What can be known of a visitor or a conversation. One map from names to texts.
pub trait Known {
    /// The text of this name; `None`: nothing is known. A set's values are separated by commas.
    fn get(&self, name: &str) -> Option<Cow<'_, str>>;
}

impl<K: Known + ?Sized> Known for &K {
    fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        (**self).get(name)
    }
}

/// What a condition says of what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Verdict {
    /// It holds.
    Matched,
    /// It does not.
    NotMatched,
    /// It could not be told, which counts as a no: its CEL failed on what is known.
    Error,
}

/// A condition, compiled. Cheap to clone; two are equal if they were written the same.
#[derive(Clone)]
pub struct Condition(Arc<Compiled>);

struct Compiled {
    node: Node,
    text: String,
}

/// What is wrong with a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub message: String,
    /// What would be right. May be empty.
    pub expected: String,
    /// What to do about it. May be empty.
    pub help: String,
    /// Where, in bytes of the text; `None`: all of it.
    pub at: Option<Range<usize>>,
}

impl Fault {
    fn new(message: impl Into<String>, expected: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), expected: expected.into(), help: help.into(), at: None }
    }
}

/// A part of a condition.
#[derive(Clone)]
pub enum Node {
    /// All of these hold. None: always.
    All(Vec<Node>),
    /// One of these holds. None: never.
    Any(Vec<Node>),
    /// This does not hold.
    Not(Box<Node>),
    /// A test of one name.
    Test(Box<Tested>),
    /// An expression in CEL.
    Cel(Box<Expression>),
}

/// A test of one name, compiled.
#[derive(Clone)]
pub struct Tested(Test);

/// An expression in CEL, compiled.
#[derive(Clone)]
pub struct Expression(Script);

impl Node {
    /// A test of one name.
    ///
    /// # Errors
    /// What is wrong with the name, or with what it is compared with.
    pub fn test(name: &str, is: Is) -> Result<Self, Fault> {
        Test::compile(name, is).map(|test| Self::Test(Box::new(Tested(test))))
    }

    /// An expression in CEL: see `script.rs` for what of it there is.
    ///
    /// # Errors
    /// What is wrong with it, with its place.
    pub fn cel(text: &str) -> Result<Self, Fault> {
        Script::compile(text).map(|script| Self::Cel(Box::new(Expression(script))))
    }

    fn holds(&self, known: &dyn Known) -> Result<bool, script::Failed> {
        match self {
            Self::All(nodes) => {
                for node in nodes {
                    if !node.holds(known)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Any(nodes) => {
                for node in nodes {
                    if node.holds(known)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(node) => node.holds(known).map(|holds| !holds),
            Self::Test(test) => Ok(test.0.holds(known)),
            Self::Cel(expression) => expression.0.holds(known),
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::All(nodes) | Self::Any(nodes) => 1 + nodes.iter().map(Self::depth).max().unwrap_or(0),
            Self::Not(node) => 1 + node.depth(),
            Self::Test(_) | Self::Cel(_) => 1,
        }
    }

    fn tests(&self) -> usize {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().map(Self::tests).sum(),
            Self::Not(node) => node.tests(),
            Self::Test(_) | Self::Cel(_) => 1,
        }
    }

    fn each_name(&self, visit: &mut dyn FnMut(&SmolStr)) {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().for_each(|node| node.each_name(visit)),
            Self::Not(node) => node.each_name(visit),
            Self::Test(test) => visit(&test.0.name),
            Self::Cel(expression) => expression.0.names().for_each(visit),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, word: &str, nodes: &[Self]| {
            write!(f, "{word}(")?;
            for (place, node) in nodes.iter().enumerate() {
                write!(f, "{}{node}", if place == 0 { "" } else { ", " })?;
            }
            write!(f, ")")
        };
        match self {
            Self::All(nodes) => list(f, "all", nodes),
            Self::Any(nodes) => list(f, "any", nodes),
            Self::Not(node) => write!(f, "not({node})"),
            Self::Test(test) => write!(f, "{}", test.0),
            Self::Cel(expression) => write!(f, "cel({:?})", expression.0.text()),
        }
    }
}

impl Condition {
    /// A condition of these parts.
    ///
    /// # Errors
    /// It has more than [`TESTS_MAX`] tests, or stands deeper in itself than [`DEPTH_MAX`].
    pub fn new(node: Node) -> Result<Self, Fault> {
        let (tests, depth) = (node.tests(), node.depth());
        if tests > TESTS_MAX {
            let message = format!("has {tests} tests");
            return Err(Fault::new(message, format!("at most {TESTS_MAX}"), "make several rules of it"));
        }
        if depth > DEPTH_MAX {
            let message = format!("stands {depth} deep in itself");
            return Err(Fault::new(message, format!("at most {DEPTH_MAX}"), "make several rules of it"));
        }
        let text = node.to_string();
        Ok(Self(Arc::new(Compiled { node, text })))
    }

    /// A condition that always holds.
    #[must_use]
    pub fn always() -> Self {
        let node = Node::All(Vec::new());
        Self(Arc::new(Compiled { text: node.to_string(), node }))
    }

    /// What it says of what is known.
    #[must_use]
    pub fn verdict(&self, known: &dyn Known) -> Verdict {
        match self.0.node.holds(known) {
            Ok(true) => Verdict::Matched,
            Ok(false) => Verdict::NotMatched,
            Err(script::Failed) => Verdict::Error,
        }
    }

    /// Whether it holds; what could not be told does not.
    #[must_use]
    pub fn holds(&self, known: &dyn Known) -> bool {
        self.verdict(known) == Verdict::Matched
    }

    /// Why it can never hold, whatever is known; `None` if it may.
    #[must_use]
    pub fn never(&self) -> Option<String> {
        never::why(&self.0.node)
    }

    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_always(&self) -> bool {
        matches!(&self.0.node, Node::All(nodes) if nodes.is_empty())
    }

    /// The names that it asks for, in the order of the alphabet, each once.
    #[must_use]
    pub fn names(&self) -> Vec<SmolStr> {
        let mut names = Vec::new();
        self.0.node.each_name(&mut |name| names.push(name.clone()));
        names.sort();
        names.dedup();
        names
    }

    /// How it reads.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Condition {}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}
