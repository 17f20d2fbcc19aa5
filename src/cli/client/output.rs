//! Replies and notices as JSON lines, in the forms of `docs/protocol.md`.

use std::io::{self, Write as _};

use serde_json::{Value, json};

use super::super::{failure::Failure, show::snake};
use crate::{
    client::Told,
    protocol::{EncodeError, Encoding, Notice, Reply, frame::HEADER},
};

/// `{"id":3,"opened":{…}}`.
pub(super) fn reply(id: &Value, reply: &Reply) -> Result<(), Failure> {
    let mut frame = Vec::new();
    reply.encode(Encoding::Json, 1, &mut frame).map_err(unwritable)?;
    line(&format!("\"id\":{id},"), reply.name(), &frame)
}

/// `{"offer_made":{…}}`; `{"missed":3}` when this program was too slow to read so many.
pub(super) fn told(told: &Told) -> Result<(), Failure> {
    match told {
        Told::Notice(notice) => notice_line(notice),
        Told::Missed(count) => print(&json!({ "missed": count }).to_string()),
    }
}

/// `{"id":3,"error":"…"}`: nothing was asked, or nobody answered.
pub(super) fn error(id: &Value, why: &str) -> Result<(), Failure> {
    print(&json!({ "id": id, "error": why }).to_string())
}

fn notice_line(notice: &Notice) -> Result<(), Failure> {
    let mut frame = Vec::new();
    notice.encode(Encoding::Json, &mut frame).map_err(unwritable)?;
    line("", notice.name(), &frame)
}

/// A frame's body is the message's JSON already; only its name goes round it.
fn line(before: &str, name: &str, frame: &[u8]) -> Result<(), Failure> {
    let body = frame.get(HEADER..).unwrap_or_default();
    print(&format!("{{{before}\"{}\":{}}}", snake(name), String::from_utf8_lossy(body)))
}

fn print(line: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}

fn unwritable(error: EncodeError) -> Failure {
    Failure::Run(format!("the daemon's message can't be written as JSON: {error}"))
}
