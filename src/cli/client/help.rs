//! What can be typed, from the protocol's own descriptions. It goes to standard error: output stays JSON.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use super::{super::show::snake, command::commands};
use crate::protocol::{Catalogue, Field, Holds, Shape};

/// How wide a line of the overview may be.
const WIDTH: usize = 100;

/// Shows all commands, or what one of them takes.
pub(super) fn show(about: Option<&str>) {
    let text = match about {
        None => overview(),
        Some(name) => match commands().find(|command| snake(command.name) == name) {
            Some(command) => detail(command),
            None => format!("there is no command {name}: `help` lists them\n"),
        },
    };
    // With standard error gone nobody wants help.
    let _ = io::stderr().write_all(text.as_bytes());
}

fn overview() -> String {
    let mut text = "One command a line, as {\"say\": {…}} or say {…}; an \"id\" beside it comes back with the reply.\n\
        Left out are filled in: key, speaker (me), and what has an obvious value. `help open` shows one command.\n\n"
        .to_owned();
    for command in commands() {
        let (name, doc) = (snake(command.name), first_sentence(command.shape));
        let _ = writeln!(text, "  {name:20} {}", clipped(doc, WIDTH - 23));
    }
    text
}

fn detail(command: &Catalogue) -> String {
    let mut text = String::new();
    let Shape::Struct { doc, fields, .. } = command.shape else { return text };
    let _ = writeln!(text, "{}: {}", snake(command.name), joined(doc));
    for field in *fields {
        let _ = writeln!(text, "  {:14} {:40} {}", field.name, form(field.shape), joined(field.doc));
    }
    let answers: Vec<String> = command.answers.iter().map(|answer| snake(answer)).collect();
    let refusals: Vec<&str> = command.refusals.iter().map(|code| code.as_str()).collect();
    let _ = writeln!(text, "  answered by {}", answers.join(" or "));
    if !refusals.is_empty() {
        let _ =
            writeln!(text, "  refused with {}, or what any command can be refused with", refusals.join(", "));
    }
    text
}

/// A form as JSON writes it.
fn form(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "true or false".to_owned(),
        Shape::Integer(bits) => format!("u{bits}"),
        Shape::Text(max) => format!("text of {max} bytes at most"),
        Shape::Id(what) => format!("{what} id"),
        Shape::Name(what) => format!("{what} name"),
        Shape::Time => "microseconds since 1970".to_owned(),
        Shape::Option(inner) => format!("{}, or left out", form(inner)),
        Shape::List { item, .. } => format!("[{}, …]", form(item)),
        Shape::Struct { fields, .. } => fields_form(fields),
        Shape::Enum { variants, .. } => {
            let forms = variants.iter().map(|variant| match variant.holds {
                Holds::Nothing => format!("\"{}\"", snake(variant.name)),
                Holds::One(inner) => format!("{{\"{}\": {}}}", snake(variant.name), form(inner)),
                Holds::Fields(fields) => format!("{{\"{}\": {}}}", snake(variant.name), fields_form(fields)),
            });
            forms.collect::<Vec<_>>().join(" | ")
        }
        Shape::Code => "refusal code".to_owned(),
    }
}

fn fields_form(fields: &[Field]) -> String {
    let fields = fields.iter().map(|field| format!("\"{}\": {}", field.name, form(field.shape)));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
}

fn first_sentence(shape: &Shape) -> String {
    let Shape::Struct { doc, .. } = shape else { return String::new() };
    let all = joined(doc);
    all.split_inclusive(". ").next().unwrap_or_default().trim().to_owned()
}

fn joined(doc: &[&str]) -> String {
    doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

fn clipped(text: String, width: usize) -> String {
    if text.chars().count() <= width {
        return text;
    }
    text.chars().take(width - 1).chain(['…']).collect()
}
