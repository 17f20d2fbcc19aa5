//! The tests: what a name's text is compared with, and how.

use std::{borrow::Cow, fmt};

use globset::{GlobBuilder, GlobMatcher};
use regex::{Regex, RegexBuilder};
use smol_str::SmolStr;

use super::{Fault, Known, is_set, name_fault};

/// Longest text to compare with, in bytes.
const TEXT_MAX: usize = 1_024;

/// Texts to be one of.
const LIST_MAX: usize = 1_000;

/// Longest pattern, in bytes.
const PATTERN_MAX: usize = 512;

/// Memory of a compiled pattern, in bytes: far more than a sane one needs, far less than a mean one takes.
const PATTERN_MEMORY: usize = 256 * 1_024;

/// What a name's text is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Is {
    /// The same text.
    Eq(SmolStr),
    /// Another text, or none.
    Ne(SmolStr),
    /// One of these texts.
    In(Vec<SmolStr>),
    /// This text stands somewhere in it.
    Contains(SmolStr),
    /// It begins with this.
    Prefix(SmolStr),
    /// It ends with this.
    Suffix(SmolStr),
    /// All of it fits this pattern: `*` is any text, `/` too, `?` one character, `[a-z]` one of these, `{a,b}` one of these texts.
    Glob(SmolStr),
    /// This regular expression is found in it (crate `regex`: no look-around, linear time).
    Regex(SmolStr),
    /// A number, at least this.
    AtLeast(f64),
    /// A number above this.
    Above(f64),
    /// A number, at most this.
    AtMost(f64),
    /// A number below this.
    Below(f64),
    /// Something is known.
    Exists,
    /// Nothing is known.
    Missing,
}

/// A test of one name, compiled.
#[derive(Clone)]
pub(super) struct Test {
    pub(super) name: SmolStr,
    pub(super) set: bool,
    pub(super) is: Is,
    pub(super) matcher: Matcher,
}

/// What takes some work to make of what was written. Texts have their letters made small.
#[derive(Clone)]
pub(super) enum Matcher {
    None,
    Small(String),
    /// In order.
    List(Box<[String]>),
    Glob(GlobMatcher),
    Regex(Regex),
}

/// The number that a text stands for; `None` if it stands for none. Blanks around it do no harm.
#[must_use]
pub fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    // No words: "nan" and "infinity" are numbers to Rust only.
    if text.bytes().any(|byte| byte.is_ascii_alphabetic() && !byte.eq_ignore_ascii_case(&b'e')) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

impl Test {
    pub(super) fn compile(name: &str, is: Is) -> Result<Self, Fault> {
        if let Some(fault) = name_fault(name) {
            return Err(fault);
        }
        let matcher = match &is {
            Is::Eq(text) | Is::Ne(text) | Is::Contains(text) | Is::Prefix(text) | Is::Suffix(text) => {
                Matcher::Small(small(text)?)
            }
            Is::In(texts) => Matcher::List(list(texts)?),
            Is::Glob(pattern) => Matcher::Glob(glob(pattern)?),
            Is::Regex(pattern) => Matcher::Regex(regular(pattern)?),
            Is::AtLeast(number) | Is::Above(number) | Is::AtMost(number) | Is::Below(number) => {
                if !number.is_finite() {
                    return Err(Fault::new("is not a number", "a number", ""));
                }
                Matcher::None
            }
            Is::Exists | Is::Missing => Matcher::None,
        };
        Ok(Self { name: SmolStr::new(name), set: is_set(name), is, matcher })
    }

    pub(super) fn holds(&self, known: &dyn Known) -> bool {
        match known.get(&self.name).filter(|text| !text.is_empty()) {
            Some(text) => self.passes_text(&text),
            None => matches!(self.is, Is::Missing | Is::Ne(_)),
        }
    }

    /// What it says of a name that has this text, which is not empty.
    pub(super) fn passes_text(&self, text: &str) -> bool {
        match self.is {
            Is::Missing => false,
            Is::Exists => true,
            Is::Ne(_) => !self.any(text),
            _ => self.any(text),
        }
    }

    /// Whether one of the values passes.
    fn any(&self, text: &str) -> bool {
        if self.set {
            text.split(',').map(str::trim).filter(|value| !value.is_empty()).any(|value| self.passes(value))
        } else {
            self.passes(text)
        }
    }

    fn passes(&self, text: &str) -> bool {
        let compare = |holds: fn(&f64, &f64) -> bool, with: &f64| {
            number(text).is_some_and(|number| holds(&number, with))
        };
        match (&self.is, &self.matcher) {
            (Is::Eq(_) | Is::Ne(_), Matcher::Small(with)) => text.eq_ignore_ascii_case(with),
            (Is::In(_), Matcher::List(list)) => list
                .binary_search_by(|entry| entry.bytes().cmp(text.bytes().map(|b| b.to_ascii_lowercase())))
                .is_ok(),
            (Is::Contains(_), Matcher::Small(with)) => smalled(text).contains(with.as_str()),
            (Is::Prefix(_), Matcher::Small(with)) => text
                .as_bytes()
                .get(..with.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes())),
            (Is::Suffix(_), Matcher::Small(with)) => {
                let start = text.len().checked_sub(with.len());
                start.is_some_and(|start| text.as_bytes()[start..].eq_ignore_ascii_case(with.as_bytes()))
            }
            (Is::Glob(_), Matcher::Glob(glob)) => glob.is_match(text),
            (Is::Regex(_), Matcher::Regex(regex)) => regex.is_match(text),
            (Is::AtLeast(with), _) => compare(f64::ge, with),
            (Is::Above(with), _) => compare(f64::gt, with),
            (Is::AtMost(with), _) => compare(f64::le, with),
            (Is::Below(with), _) => compare(f64::lt, with),
            _ => false,
        }
    }
}

fn smalled(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

fn small(text: &str) -> Result<String, Fault> {
    if text.is_empty() {
        return Err(Fault::new("is empty", "a text", "`missing = true` asks whether nothing is known"));
    }
    if text.len() > TEXT_MAX {
        return Err(Fault::new("is too long", format!("at most {TEXT_MAX} bytes"), ""));
    }
    Ok(text.to_ascii_lowercase())
}

fn list(texts: &[SmolStr]) -> Result<Box<[String]>, Fault> {
    if texts.is_empty() || texts.len() > LIST_MAX {
        return Err(Fault::new("has the wrong length", format!("1 to {LIST_MAX} texts"), ""));
    }
    let mut list = texts.iter().map(|text| small(text)).collect::<Result<Vec<_>, _>>()?;
    list.sort();
    list.dedup();
    Ok(list.into())
}

fn pattern(text: &str) -> Result<(), Fault> {
    if text.is_empty() || text.len() > PATTERN_MAX {
        return Err(Fault::new("has the wrong length", format!("a pattern of 1 to {PATTERN_MAX} bytes"), ""));
    }
    Ok(())
}

fn glob(text: &str) -> Result<GlobMatcher, Fault> {
    pattern(text)?;
    let built = GlobBuilder::new(text).case_insensitive(true).literal_separator(false).build();
    built.map(|glob| glob.compile_matcher()).map_err(|error| {
        let help = "`*` is any text, `?` one character, `[a-z]` one of these, `{a,b}` one of these texts";
        Fault::new(format!("is not a pattern: {}", error.kind()), "a pattern like \"*/fr/*\"", help)
    })
}

fn regular(text: &str) -> Result<Regex, Fault> {
    pattern(text)?;
    let mut builder = RegexBuilder::new(text);
    builder.size_limit(PATTERN_MEMORY).dfa_size_limit(PATTERN_MEMORY).nest_limit(32);
    builder.build().map_err(|error| {
        let why = error.to_string();
        // The crate draws the pattern with a caret of its own; its last line says what is wrong.
        let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Fault::new(format!("is not a regular expression: {why}"), "a regular expression", "")
    })
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.is {
            Is::Eq(text) => write!(f, "{name} eq {text:?}"),
            Is::Ne(text) => write!(f, "{name} ne {text:?}"),
            Is::In(texts) => write!(f, "{name} in {texts:?}"),
            Is::Contains(text) => write!(f, "{name} contains {text:?}"),
            Is::Prefix(text) => write!(f, "{name} prefix {text:?}"),
            Is::Suffix(text) => write!(f, "{name} suffix {text:?}"),
            Is::Glob(text) => write!(f, "{name} glob {text:?}"),
            Is::Regex(text) => write!(f, "{name} regex {text:?}"),
            Is::AtLeast(number) => write!(f, "{name} >= {number}"),
            Is::Above(number) => write!(f, "{name} > {number}"),
            Is::AtMost(number) => write!(f, "{name} <= {number}"),
            Is::Below(number) => write!(f, "{name} < {number}"),
            Is::Exists => write!(f, "{name} exists"),
            Is::Missing => write!(f, "{name} missing"),
        }
    }
}
