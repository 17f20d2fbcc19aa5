//! What is wrong with a configuration, shown with the line it is wrong in.

use std::{fmt, ops::Range};

/// Where a piece of configuration was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Index into [`Sources`].
    pub(super) source: usize,
    /// First byte, of that source's text.
    pub(super) start: usize,
    /// Byte after the last.
    pub(super) end: usize,
}

impl Place {
    pub(super) fn new(source: usize, span: Range<usize>) -> Self {
        Self { source, start: span.start, end: span.end }
    }
}

/// A text that configuration was read from.
#[derive(Debug)]
pub(super) enum Source {
    /// A file, with its name as the operator gave it.
    File { name: String, text: String },
    /// One environment variable, kept as `NAME=value` so that it can be shown like a line of a file.
    Variable { name: String, text: String },
}

/// All texts of one configuration. The first is the built-in default.
pub(super) type Sources = Vec<Source>;

/// Something to tell the operator, before it is tied to the text it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    pub(super) at: Option<Place>,
    pub(super) warning: bool,
    /// What is wrong, with the path of the key.
    pub(super) message: String,
    /// What would be right; shown beside the caret. May be empty.
    pub(super) expected: String,
    /// What to do about it. May be empty.
    pub(super) help: String,
}

/// One thing that is wrong, or that deserves a second look. [`fmt::Display`] shows it with its line and a caret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, or the environment variable, that holds the value.
    pub file: String,
    /// Line in the file, from 1; 0 if the file could not be read at all, or for an environment variable.
    pub line: usize,
    /// Column of the first character, from 1; 0 as above.
    pub column: usize,
    /// What is wrong, with the path of the key.
    pub message: String,
    /// What would be right. May be empty.
    pub expected: String,
    /// What to do about it. May be empty.
    pub help: String,
    /// Whether the configuration is usable all the same.
    pub warning: bool,
    snippet: Option<Snippet>,
}

/// The offending line, cut so that the caret can be drawn under it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Snippet {
    /// What stands in the gutter: the line's number, or nothing for an environment variable.
    gutter: String,
    line: String,
    /// Blanks as wide as what comes before the value (tabs stay tabs).
    indent: String,
    /// Characters to underline, at least one.
    width: usize,
}

/// A configuration that is refused: every error, and every warning beside them. Never empty of errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

// === impl Problem ===

impl Problem {
    pub(super) fn new(finding: Finding, sources: &Sources) -> Self {
        let Finding { at, warning, message, expected, help } = finding;
        let source = at.as_ref().and_then(|at| sources.get(at.source));
        let mut problem =
            Self { file: String::new(), line: 0, column: 0, message, expected, help, warning, snippet: None };
        let (Some(at), Some(source)) = (at, source) else { return problem };
        match source {
            Source::File { name, text } => {
                let (line, column) = position(text, at.start);
                problem.snippet = Some(Snippet::cut(text, &at, line.to_string()));
                (problem.file, problem.line, problem.column) = (name.clone(), line, column);
            }
            Source::Variable { name, text } => {
                problem.snippet = Some(Snippet::cut(text, &at, String::new()));
                problem.file.clone_from(name);
            }
        }
        problem
    }

    /// A problem with a file as a whole.
    pub(super) fn unreadable(file: String, message: String, help: String) -> Self {
        let expected = String::new();
        Self { file, line: 0, column: 0, message, expected, help, warning: false, snippet: None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.warning { "warning" } else { "error" };
        match (self.line, self.file.as_str()) {
            (0, "") => write!(f, "{kind}: {}", self.message)?,
            (0, file) => write!(f, "{kind}: {file}: {}", self.message)?,
            (line, file) => write!(f, "{kind}: {file}:{line}:{}: {}", self.column, self.message)?,
        }
        let pad = self.snippet.as_ref().map_or(0, |snippet| snippet.gutter.len());
        if let Some(Snippet { gutter, line, indent, width }) = &self.snippet {
            write!(f, "\n {gutter} | {line}\n {:pad$} | {indent}{}", "", "^".repeat(*width))?;
            if !self.expected.is_empty() {
                write!(f, " expected {}", self.expected)?;
            }
        }
        if !self.help.is_empty() {
            write!(f, "\n {:pad$} = {}", "", self.help)?;
        }
        Ok(())
    }
}

impl Snippet {
    fn cut(text: &str, at: &Place, gutter: String) -> Self {
        let start = floor(text, at.start);
        let end = floor(text, at.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let before = &text[line_start..start];
        Self {
            gutter,
            line: text[line_start..line_end].trim_end().to_owned(),
            indent: before.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect(),
            width: text[start..end.min(line_end)].trim_end().chars().count().max(1),
        }
    }
}

/// Line and column of a byte, both from 1, the column in characters.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = &text[..floor(text, byte)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The last character boundary at or before `byte`: spans of broken TOML may end anywhere.
fn floor(text: &str, byte: usize) -> usize {
    text.floor_char_boundary(byte)
}

// === impl Problems ===

impl Problems {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self(problems)
    }

    /// The problems, in the order of the texts they are in; warnings among them.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// How many are errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.iter().filter(|problem| !problem.warning).count()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.iter() {
            write!(f, "{problem}\n\n")?;
        }
        match self.errors() {
            1 => write!(f, "1 error in the configuration"),
            errors => write!(f, "{errors} errors in the configuration"),
        }
    }
}

impl std::error::Error for Problems {}
