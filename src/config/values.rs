//! What a key may hold: how it is read, what is said when it is wrong, how it is written out again.

use std::{marker::PhantomData, net::SocketAddr, ops::RangeInclusive, path::PathBuf, str::FromStr};

use smol_str::SmolStr;

use crate::ids::GroupId;

use super::{
    problem::Place,
    tree::{Kind, Value},
};

/// A kind of value.
pub(super) trait Rule {
    /// What the program gets.
    type Out;

    /// Reads a value, or says what is wrong with it and returns `None`.
    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<Self::Out>;

    /// What a key holds that nobody wrote; `None` if it has to be written.
    fn absent(&self) -> Option<Self::Out> {
        None
    }

    /// The value as TOML that reads back as the same; `None` to leave the key out.
    fn write(&self, out: &Self::Out) -> Option<toml::Value>;

    /// What would be right, in words.
    fn expected(&self) -> String;
}

/// A value that its rule refuses.
pub(super) struct Wrong {
    pub(super) at: Place,
    /// What is wrong, to follow the key's path: `"50ms" is too short`.
    pub(super) message: String,
    pub(super) expected: String,
    pub(super) help: String,
}

/// Notes that `value` is wrong and has a remedy.
pub(super) fn refuse<T>(
    value: &Value,
    what: &str,
    expected: String,
    help: &str,
    wrongs: &mut Vec<Wrong>,
) -> Option<T> {
    let message = format!("{} {what}", value.described());
    wrongs.push(Wrong { at: value.at.clone(), message, expected, help: help.to_owned() });
    None
}

// === numbers and flags ===

/// A whole number.
pub(super) struct Whole(pub(super) RangeInclusive<u32>);

impl Rule for Whole {
    type Out = u32;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<u32> {
        let number = match &value.kind {
            Kind::Whole(number) => *number,
            Kind::Raw(text) if text.parse::<i64>().is_ok() => text.parse().unwrap_or_default(),
            Kind::Text(text) if text.parse::<i64>().is_ok() => {
                return refuse(value, "is text", self.expected(), "write the number without quotes", wrongs);
            }
            _ => return refuse(value, "is not a whole number", self.expected(), "", wrongs),
        };
        match u32::try_from(number) {
            Ok(number) if self.0.contains(&number) => Some(number),
            _ => {
                let small = number < i64::from(*self.0.start());
                refuse(
                    value,
                    if small { "is too small" } else { "is too large" },
                    self.expected(),
                    "",
                    wrongs,
                )
            }
        }
    }

    fn write(&self, number: &u32) -> Option<toml::Value> {
        Some(i64::from(*number).into())
    }

    fn expected(&self) -> String {
        format!("a whole number from {} to {}", self.0.start(), self.0.end())
    }
}

/// `true` or `false`.
pub(super) struct Flag;

impl Rule for Flag {
    type Out = bool;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<bool> {
        match &value.kind {
            Kind::Flag(flag) => Some(*flag),
            Kind::Raw(text) if text == "true" || text == "false" => Some(text == "true"),
            Kind::Text(text) if text == "true" || text == "false" => {
                refuse(value, "is text", self.expected(), "write it without quotes", wrongs)
            }
            _ => refuse(value, "is not a flag", self.expected(), "", wrongs),
        }
    }

    fn write(&self, flag: &bool) -> Option<toml::Value> {
        Some((*flag).into())
    }

    fn expected(&self) -> String {
        "true or false".to_owned()
    }
}

// === text and names ===

/// Text for people to read: not blank, no control characters but line breaks, at most so many bytes.
pub(super) struct Text(pub(super) usize);

impl Rule for Text {
    type Out = String;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<String> {
        let Some(text) = value.text() else {
            return refuse(value, "is not text", self.expected(), "put it in quotes", wrongs);
        };
        let what = if text.trim().is_empty() {
            "is blank"
        } else if text.len() > self.0 {
            "is too long"
        } else if text.chars().any(|c| c.is_control() && c != '\n') {
            "has a control character in it"
        } else {
            return Some(text.to_owned());
        };
        refuse(value, what, self.expected(), "", wrongs)
    }

    fn write(&self, text: &String) -> Option<toml::Value> {
        Some(text.as_str().into())
    }

    fn expected(&self) -> String {
        format!("text of 1 to {} bytes", self.0)
    }
}

/// What [`FromStr`] reads and [`ToString`] writes: names, addresses.
pub(super) struct Parsed<T> {
    wrong: &'static str,
    expected: &'static str,
    help: &'static str,
    marker: PhantomData<T>,
}

const NAME: &str = "a name: 1 to 64 of a-z, 0-9, '_', '-' and '.'";
const NAME_HELP: &str = "what people read goes into `label` or `display_name`";

/// The name of a workspace, group or channel.
pub(super) const fn named<T>() -> Parsed<T> {
    Parsed { wrong: "is not a name", expected: NAME, help: NAME_HELP, marker: PhantomData }
}

/// An address to listen on.
pub(super) const fn address() -> Parsed<SocketAddr> {
    let help = "host names are not looked up here; \"0.0.0.0:4433\" listens on every IPv4 address";
    Parsed {
        wrong: "is not an address",
        expected: "an IP address and a port: \"127.0.0.1:4433\"",
        help,
        marker: PhantomData,
    }
}

impl<T: FromStr + ToString> Rule for Parsed<T> {
    type Out = T;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<T> {
        match value.text().and_then(|text| text.parse().ok()) {
            Some(out) => Some(out),
            None => refuse(value, self.wrong, self.expected(), self.help, wrongs),
        }
    }

    fn write(&self, out: &T) -> Option<toml::Value> {
        Some(out.to_string().into())
    }

    fn expected(&self) -> String {
        self.expected.to_owned()
    }
}

/// The name of an agent, of which there is no newtype: an agent is known by id.
pub(super) struct Handle;

impl Rule for Handle {
    type Out = SmolStr;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<SmolStr> {
        named::<GroupId>().read(value, wrongs).map(|name| SmolStr::new(name.as_str()))
    }

    fn write(&self, handle: &SmolStr) -> Option<toml::Value> {
        Some(handle.as_str().into())
    }

    fn expected(&self) -> String {
        NAME.to_owned()
    }
}

/// A path of a file or directory; relative ones start at the directory the daemon was started in.
pub(super) struct FilePath;

impl Rule for FilePath {
    type Out = PathBuf;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<PathBuf> {
        match value.text() {
            Some(text) if !text.is_empty() && !text.contains('\0') => Some(PathBuf::from(text)),
            _ => refuse(value, "is not a path", self.expected(), "", wrongs),
        }
    }

    fn write(&self, path: &PathBuf) -> Option<toml::Value> {
        Some(path.to_string_lossy().into_owned().into())
    }

    fn expected(&self) -> String {
        "a path, in quotes".to_owned()
    }
}

/// An e-mail address: one `@` with something on both sides. Whether mail arrives there, only sending tells.
pub(super) struct Email;

impl Rule for Email {
    type Out = String;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<String> {
        let plain = |c: char| !c.is_whitespace() && !c.is_control();
        match value.text() {
            Some(text)
                if text.len() <= 254
                    && text.chars().all(plain)
                    && text.split_once('@').is_some_and(|(user, host)| {
                        !user.is_empty() && !host.is_empty() && !host.contains('@')
                    }) =>
            {
                Some(text.to_owned())
            }
            _ => refuse(value, "is not an e-mail address", self.expected(), "", wrongs),
        }
    }

    fn write(&self, text: &String) -> Option<toml::Value> {
        Some(text.as_str().into())
    }

    fn expected(&self) -> String {
        "an address like \"ana@example.com\"".to_owned()
    }
}

// === one of several words ===

/// One of a few words. Made by [`choice!`](super::section::choice).
pub(super) struct Choice<T>(pub(super) PhantomData<T>);

/// An enum that stands for words of the file.
pub(super) trait Words: Copy + PartialEq + 'static {
    const ALL: &'static [(&'static str, Self)];
}

pub(super) const fn choice<T>() -> Choice<T> {
    Choice(PhantomData)
}

impl<T: Words> Rule for Choice<T> {
    type Out = T;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<T> {
        let found = value.text().and_then(|text| T::ALL.iter().find(|(word, _)| *word == text));
        match found {
            Some((_, out)) => Some(*out),
            None => refuse(value, "is not one of the choices", self.expected(), "", wrongs),
        }
    }

    fn write(&self, out: &T) -> Option<toml::Value> {
        T::ALL.iter().find(|(_, each)| each == out).map(|(word, _)| (*word).into())
    }

    fn expected(&self) -> String {
        let words: Vec<String> = T::ALL.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        match words.as_slice() {
            [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
            words => words.join(", "),
        }
    }
}

// === combinations ===

/// A rule's value, or one word that means there is none: `"off"`, `"none"`, `"auto"`, `"all"`.
pub(super) struct OrWord<R>(pub(super) R, pub(super) &'static str);

impl<R: Rule> Rule for OrWord<R> {
    type Out = Option<R::Out>;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<Self::Out> {
        if value.text() == Some(self.1) {
            return Some(None);
        }
        let before = wrongs.len();
        let out = self.0.read(value, wrongs);
        for wrong in &mut wrongs[before..] {
            wrong.expected = format!("{}, or \"{}\"", wrong.expected, self.1);
        }
        out.map(Some)
    }

    fn write(&self, out: &Self::Out) -> Option<toml::Value> {
        match out {
            Some(out) => self.0.write(out),
            None => Some(self.1.into()),
        }
    }

    fn expected(&self) -> String {
        format!("{}, or \"{}\"", self.0.expected(), self.1)
    }
}

/// A key that may be left out.
pub(super) struct Optional<R>(pub(super) R);

impl<R: Rule> Rule for Optional<R> {
    type Out = Option<R::Out>;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<Self::Out> {
        self.0.read(value, wrongs).map(Some)
    }

    fn absent(&self) -> Option<Self::Out> {
        Some(None)
    }

    fn write(&self, out: &Self::Out) -> Option<toml::Value> {
        out.as_ref().and_then(|out| self.0.write(out))
    }

    fn expected(&self) -> String {
        self.0.expected()
    }
}

/// A flag that is on unless the file says no.
pub(super) struct OnUnlessSaid;

impl Rule for OnUnlessSaid {
    type Out = bool;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<bool> {
        Flag.read(value, wrongs)
    }

    fn absent(&self) -> Option<bool> {
        Some(true)
    }

    fn write(&self, flag: &bool) -> Option<toml::Value> {
        Flag.write(flag)
    }

    fn expected(&self) -> String {
        Flag.expected()
    }
}

/// A flag that is off unless the file says yes.
pub(super) struct OffUnlessSaid;

impl Rule for OffUnlessSaid {
    type Out = bool;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<bool> {
        Flag.read(value, wrongs)
    }

    fn absent(&self) -> Option<bool> {
        Some(false)
    }

    fn write(&self, flag: &bool) -> Option<toml::Value> {
        Flag.write(flag)
    }

    fn expected(&self) -> String {
        Flag.expected()
    }
}

/// A value that has a default in the program: for keys of sections that may be left out.
pub(super) struct Else<R, T>(pub(super) R, pub(super) T);

impl<T: Clone, R: Rule<Out = T>> Rule for Else<R, T> {
    type Out = T;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<T> {
        self.0.read(value, wrongs)
    }

    fn absent(&self) -> Option<T> {
        Some(self.1.clone())
    }

    fn write(&self, out: &T) -> Option<toml::Value> {
        self.0.write(out)
    }

    fn expected(&self) -> String {
        self.0.expected()
    }
}

/// A list without repetitions; in an environment variable, separated by commas.
pub(super) struct ListOf<R>(pub(super) R, pub(super) RangeInclusive<usize>);

impl<R: Rule<Out: PartialEq>> Rule for ListOf<R> {
    type Out = Vec<R::Out>;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<Self::Out> {
        let split;
        let values = match &value.kind {
            Kind::List(values) => values.as_slice(),
            Kind::Raw(text) => {
                split = split_commas(text, &value.at);
                split.as_slice()
            }
            _ => {
                return refuse(
                    value,
                    "is not a list",
                    self.expected(),
                    "put it in brackets: [\"a\", \"b\"]",
                    wrongs,
                );
            }
        };
        let mut out = Vec::with_capacity(values.len());
        let before = wrongs.len();
        for value in values {
            match self.0.read(value, wrongs) {
                Some(item) if out.contains(&item) => {
                    refuse::<()>(value, "is listed twice", "each once".to_owned(), "", wrongs);
                }
                Some(item) => out.push(item),
                None => {}
            }
        }
        if !self.1.contains(&values.len()) {
            return refuse(value, "has the wrong length", self.expected(), "", wrongs);
        }
        (wrongs.len() == before).then_some(out)
    }

    fn absent(&self) -> Option<Self::Out> {
        self.1.contains(&0).then(Vec::new)
    }

    fn write(&self, out: &Self::Out) -> Option<toml::Value> {
        Some(out.iter().filter_map(|item| self.0.write(item)).collect::<Vec<_>>().into())
    }

    fn expected(&self) -> String {
        format!("a list of {} to {}, each {}", self.1.start(), self.1.end(), self.0.expected())
    }
}

fn split_commas(text: &str, at: &Place) -> Vec<Value> {
    let mut start = at.start;
    let mut values = Vec::new();
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let lead = part.len() - part.trim_start().len();
        let trimmed = part.trim();
        let span = start + lead..start + lead + trimmed.len();
        values.push(Value { at: Place::new(at.source, span), kind: Kind::Raw(trimmed.to_owned()) });
        start += part.len() + 1;
    }
    values
}
