//! From a line to a request: `{"say": {…}}`, or `say {…}`, or just `ping`. What can be known is filled in.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::show::snake;
use crate::{
    client::Client,
    protocol::{Catalogue, Encoding, Request, Shape, words::PAGE},
};

/// What a line says.
#[derive(Debug)]
pub(super) enum Line {
    /// Nothing.
    Nothing,
    /// How to go on, about one command or in general.
    Help(Option<String>),
    /// Something to be asked.
    Command {
        /// What the reply is printed with: the given `id`, else the line's number.
        id: Value,
        /// The request.
        request: Box<Request>,
    },
}

/// A line that is no command.
#[derive(Debug)]
pub(super) struct Wrong {
    /// As in [`Line::Command`].
    pub(super) id: Value,
    /// What would have been right.
    pub(super) why: String,
}

/// The commands that may be typed: Hello was said when connecting.
pub(super) fn commands() -> impl Iterator<Item = &'static Catalogue> {
    Request::CATALOGUE.iter().filter(|command| command.name != "Hello")
}

/// Reads a line.
pub(super) fn read(line: &str, number: u64, client: &Client) -> Result<Line, Wrong> {
    let line = line.trim();
    let numbered = |why| Wrong { id: number.into(), why };
    let (name, body, id) = match line.split_once(char::is_whitespace) {
        _ if line.is_empty() || line.starts_with('#') => return Ok(Line::Nothing),
        _ if line == "help" => return Ok(Line::Help(None)),
        Some(("help", about)) => return Ok(Line::Help(Some(about.trim().to_owned()))),
        _ if line.starts_with('{') => whole(line, number)?,
        Some((name, body)) => (name.to_owned(), object(body).map_err(numbered)?, number.into()),
        None => (line.to_owned(), Map::new(), number.into()),
    };
    let wrong = |why| Wrong { id: id.clone(), why };
    let command = commands().find(|command| snake(command.name) == name);
    let command = command.ok_or_else(|| wrong(format!("there is no command {name}: `help` lists them")))?;
    let body = Value::Object(filled(body, command, client)).to_string();
    match Request::decode(Encoding::Json, command.kind, body.as_bytes()) {
        Ok(request) => Ok(Line::Command { id, request: Box::new(request) }),
        Err(error) => Err(wrong(format!("{error}; `help {name}` shows its fields"))),
    }
}

/// An object that holds one command, and perhaps an `id`.
fn whole(line: &str, number: u64) -> Result<(String, Map<String, Value>, Value), Wrong> {
    let mut object = object(line).map_err(|why| Wrong { id: number.into(), why })?;
    let id = object.remove("id").unwrap_or_else(|| number.into());
    let mut fields = object.into_iter();
    match (fields.next(), fields.next()) {
        (Some((name, Value::Object(body))), None) => Ok((name, body, id)),
        _ => {
            let why = "one command a line: {\"say\": {…}}; an \"id\" may stand beside it".to_owned();
            Err(Wrong { id, why })
        }
    }
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("a JSON object is expected, such as {\"ping\": {}}".to_owned()),
        Err(error) => Err(format!("this is no JSON object: {error}")),
    }
}

/// Adds what was left out and has an obvious value.
fn filled(mut body: Map<String, Value>, command: &Catalogue, client: &Client) -> Map<String, Value> {
    let Shape::Struct { fields, .. } = command.shape else { return body };
    for field in fields.iter().filter(|field| !matches!(field.shape, Shape::Option(_))) {
        if !body.contains_key(field.name)
            && let Some(value) = obvious(command.name, field.name, client)
        {
            body.insert(field.name.to_owned(), value);
        }
    }
    body
}

/// What a field is when nobody says.
fn obvious(command: &str, field: &str, client: &Client) -> Option<Value> {
    let welcome = client.welcome();
    match (command, field) {
        (_, "key") => Some(client.identity().next_key().into()),
        ("Open", "conversation") => Some(Uuid::now_v7().to_string().into()),
        ("Open", "channel") => Some("web".into()),
        ("Open" | "HandOver", "target") => Some("default".into()),
        ("Open", "priority") => Some(5.into()),
        ("Open", "variables")
        | ("PutAgent", "groups" | "sites")
        | ("SetVariables", "set" | "unset")
        | ("HandOver", "variables" | "tags")
        | ("SetTags", "add" | "remove") => Some(json!([])),
        ("PutAgent", "sees_bot") => Some(false.into()),
        ("PutAgent", "live_chat") | ("Announce", "present") | ("Typing", "typing") => Some(true.into()),
        ("SetPresence" | "SetPush", "agent") => welcome.agent.map(|agent| agent.to_string().into()),
        ("Announce", "visitor") => welcome.visitor.map(|visitor| visitor.to_string().into()),
        (_, "speaker") => Some("me".into()),
        (_, "force" | "leave") => Some(false.into()),
        (_, "view") => Some("all".into()),
        (_, "after") => Some(0.into()),
        (_, "limit") => Some(PAGE.into()),
        _ => None,
    }
}
