//! What the archive's entries mean: keys and values of each shelf. All that is written here has to stay readable.

#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use smol_str::SmolStr;

use super::{
    fold::Folded,
    port::{ConversationRow, pseudonym_of},
    space::Restart,
};
use crate::{
    clock::Timestamp,
    codec,
    ids::{AgentId, Channel, ClientId, ConversationId, GroupId, VisitorId, WorkspaceId},
    journal::Position,
    routing::{
        Origin, Policy,
        agent::Agent,
        conversation::{Attention, Conversation, Facts, Phase},
    },
};

/// The form of states, rows and chunks that is written.
const VERSION: u8 = 1;
/// The form of agents' states that is written.
const AGENT: u8 = 2;
/// The form of the state of a conversation that sleeps: before the state stands what a start wants to know of it.
const ASLEEP: u8 = 2;

/// Why an entry can't be understood.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// Written by a later version.
    #[error("an entry of the archive has version {0}, written by a newer maitred: start that one instead")]
    Newer(u8),
    /// Not an entry of maitred's.
    #[error("an entry of the archive is not one of maitred's: {0}")]
    Strange(String),
    /// Too large to be written.
    #[error("a state takes too much room: {0}")]
    TooLarge(String),
}

/// Whose state it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whose {
    Workspace,
    Group(GroupId),
    Agent(AgentId),
    Conversation(ConversationId),
    /// A conversation whose records can't be folded.
    Unreadable(ConversationId),
    /// [`Times`].
    Times,
}

/// What happened to a workspace as a whole.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Times {
    /// The newest time.
    pub(super) last: Timestamp,
    /// Starts that moved deadlines, in order.
    pub(super) restarts: Vec<Restart>,
}

/// A closed conversation's line. One that was never opened, as its opening failed, has none, nor one whose visitor chose no group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClosedRow {
    pub(super) visitor: VisitorId,
    pub(super) via: ClientId,
    pub(super) channel: Channel,
    pub(super) group: Option<GroupId>,
    pub(super) priority: u8,
    pub(super) opened_at: Timestamp,
    pub(super) closed_at: Timestamp,
    pub(super) seq: u64,
    pub(super) origin: Origin,
    pub(super) bot: Option<Box<SmolStr>>,
    /// What its visitor is called by, as far as it was known.
    pub(super) facts: Option<Box<Facts>>,
    pub(super) site: Option<SmolStr>,
    pub(super) last_owner: Option<AgentId>,
}

impl ClosedRow {
    /// The line of a conversation that was closed at this time.
    pub(super) fn of(machine: &Conversation, closed_at: Timestamp) -> Option<Self> {
        if machine.is_unsent() {
            return None;
        }
        let (visitor, channel, via) = machine.whose()?;
        Some(Self {
            visitor,
            via,
            channel: channel.clone(),
            group: machine.group().cloned(),
            priority: machine.priority().get(),
            opened_at: machine.opened_at()?,
            closed_at,
            seq: machine.numbers().0,
            origin: machine.origin()?,
            bot: machine.bot().cloned().map(Box::new),
            facts: machine.facts().cloned().map(Box::new),
            site: machine.site().cloned(),
            last_owner: machine.last_owner(),
        })
    }

    /// As lists show it.
    pub(super) fn row(self, conversation: ConversationId, policy: &Policy) -> ConversationRow {
        ConversationRow {
            conversation,
            visitor: self.visitor,
            via: self.via,
            channel: self.channel,
            phase: Phase::Closed,
            group: self.group,
            owner: None,
            owner_face: None,
            priority: self.priority,
            opened_at: self.opened_at,
            waiting_since: None,
            seq: self.seq,
            origin: self.origin,
            bot: self.bot,
            pseudonym: pseudonym_of(self.facts.as_deref(), policy),
            site: self.site,
            last_owner: self.last_owner,
        }
    }
}

/// What a start has to know of a conversation that is missed and left alone; the rest of its state is read when it is woken.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Sleeper {
    /// Its line, as if it were closed when it may rest no longer.
    pub(super) row: ClosedRow,
    pub(super) attention: Attention,
}

impl Sleeper {
    /// A conversation that may sleep; `None`: it may not.
    fn of(folded: &Folded) -> Option<Self> {
        let row = ClosedRow::of(&folded.machine, folded.may_sleep()?)?;
        Some(Self { row, attention: folded.machine.attention().clone() })
    }
}

// === Keys ===

/// What the keys of a workspace begin with.
pub(super) fn of_workspace(workspace: &WorkspaceId) -> Vec<u8> {
    let name = workspace.as_str().as_bytes();
    let mut key = Vec::with_capacity(name.len() + 42);
    key.extend_from_slice(name);
    // No name has a zero in it.
    key.push(0);
    key
}

/// The workspace of a key, and the rest of it.
pub(super) fn split(key: &[u8]) -> Option<(WorkspaceId, &[u8])> {
    let end = key.iter().position(|&byte| byte == 0)?;
    let name = std::str::from_utf8(&key[..end]).ok()?;
    Some((name.parse().ok()?, &key[end + 1..]))
}

/// The key of a conversation: of its line, and what those of its chunks begin with.
pub(super) fn of_conversation(workspace: &WorkspaceId, id: ConversationId) -> Vec<u8> {
    let mut key = of_workspace(workspace);
    key.extend_from_slice(id.bytes());
    key
}

/// The key of a chunk that begins with this record.
pub(super) fn of_chunk(workspace: &WorkspaceId, id: ConversationId, first: Position) -> Vec<u8> {
    let mut key = of_conversation(workspace, id);
    key.extend_from_slice(&first.get().to_be_bytes());
    key
}

/// What the keys of a visitor's conversations begin with; each ends with the conversation.
pub(super) fn of_visitor(workspace: &WorkspaceId, visitor: VisitorId) -> Vec<u8> {
    let mut key = of_workspace(workspace);
    key.extend_from_slice(visitor.bytes());
    key
}

/// The key of one of a visitor's conversations.
pub(super) fn of_visit(workspace: &WorkspaceId, visitor: VisitorId, id: ConversationId) -> Vec<u8> {
    let mut key = of_visitor(workspace, visitor);
    key.extend_from_slice(id.bytes());
    key
}

/// The key of a state.
pub(super) fn of_state(workspace: &WorkspaceId, whose: &Whose) -> Vec<u8> {
    let mut key = of_workspace(workspace);
    match whose {
        Whose::Workspace => key.push(b'w'),
        Whose::Group(id) => {
            key.push(b'g');
            key.extend_from_slice(id.as_str().as_bytes());
        }
        Whose::Agent(id) => {
            key.push(b'a');
            key.extend_from_slice(id.bytes());
        }
        Whose::Conversation(id) => {
            key.push(b'c');
            key.extend_from_slice(id.bytes());
        }
        Whose::Unreadable(id) => {
            key.push(b'x');
            key.extend_from_slice(id.bytes());
        }
        // Before all others: whoever reads them in turn needs the times first.
        Whose::Times => key.push(b'!'),
    }
    key
}

/// Whose state the rest of a key names.
pub(super) fn whose(rest: &[u8]) -> Option<Whose> {
    let (kind, name) = rest.split_first()?;
    match kind {
        b'w' if name.is_empty() => Some(Whose::Workspace),
        b'!' if name.is_empty() => Some(Whose::Times),
        b'g' => std::str::from_utf8(name).ok()?.parse().ok().map(Whose::Group),
        b'a' => Some(Whose::Agent(AgentId::from_bytes(name.try_into().ok()?))),
        b'c' => Some(Whose::Conversation(ConversationId::from_bytes(name.try_into().ok()?))),
        b'x' => Some(Whose::Unreadable(ConversationId::from_bytes(name.try_into().ok()?))),
        _ => None,
    }
}

/// The conversation that a key ends with.
pub(super) fn conversation_at_end(key: &[u8]) -> Option<ConversationId> {
    key.last_chunk::<16>().map(|bytes| ConversationId::from_bytes(*bytes))
}

// === Values ===

/// A state or a line, with the position that it stands for.
pub(super) fn write<T: Serialize>(at: Position, value: &T) -> Result<Vec<u8>, Unreadable> {
    write_in(VERSION, at, value)
}

/// An agent's state, with the position that it stands for.
pub(super) fn write_agent(at: Position, agent: &Agent) -> Result<Vec<u8>, Unreadable> {
    write_in(AGENT, at, agent)
}

fn write_in<T: Serialize>(version: u8, at: Position, value: &T) -> Result<Vec<u8>, Unreadable> {
    let mut bytes = Vec::with_capacity(256);
    bytes.push(version);
    bytes.extend_from_slice(&at.get().to_be_bytes());
    codec::to_log(value, &mut bytes).map_err(|error| Unreadable::TooLarge(error.to_string()))?;
    Ok(bytes)
}

/// What [`write`] wrote.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<(Position, T), Unreadable> {
    let (_, at, value) = opened(VERSION, bytes)?;
    Ok((at, meant(value)?))
}

/// What [`write_agent`] wrote, now or in an earlier version.
pub(super) fn read_agent(bytes: &[u8]) -> Result<(Position, Agent), Unreadable> {
    let (version, at, value) = opened(AGENT, bytes)?;
    if version < AGENT {
        // They had said nothing about notifications, whose place is the last and which a zero says.
        return Ok((at, meant(&[value, &[0]].concat())?));
    }
    Ok((at, meant(value)?))
}

/// The version of an entry, what it stands for, and its value.
fn opened(newest: u8, bytes: &[u8]) -> Result<(u8, Position, &[u8]), Unreadable> {
    let (&version, rest) = bytes.split_first().ok_or_else(empty)?;
    if version > newest {
        return Err(Unreadable::Newer(version));
    }
    let (at, value) = rest.split_first_chunk::<8>().ok_or_else(empty)?;
    Ok((version, Position::new(u64::from_be_bytes(*at)), value))
}

fn meant<T: DeserializeOwned>(value: &[u8]) -> Result<T, Unreadable> {
    codec::from_log(value).map_err(|error| Unreadable::Strange(error.to_string()))
}

/// A conversation's state.
pub(super) fn write_conversation(at: Position, folded: &Folded) -> Result<Vec<u8>, Unreadable> {
    let Some(sleeper) = Sleeper::of(folded) else { return write(at, folded) };
    let too_large = |error: codec::CodecError| Unreadable::TooLarge(error.to_string());
    let mut bytes = Vec::with_capacity(512);
    bytes.push(ASLEEP);
    bytes.extend_from_slice(&at.get().to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    let length = codec::to_log(&sleeper, &mut bytes).map_err(too_large)?;
    // Far below 4 GiB.
    bytes[9..13].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    codec::to_log(folded, &mut bytes).map_err(too_large)?;
    Ok(bytes)
}

/// What [`write_conversation`] wrote.
pub(super) fn read_conversation(bytes: &[u8]) -> Result<Folded, Unreadable> {
    let (at, folded) = match asleep(bytes)? {
        Some((at, _, state)) => (at, meant(state)?),
        None => read::<Folded>(bytes)?,
    };
    Ok(Folded { at, ..folded })
}

/// What is written of a conversation that sleeps before its state; `None`: it does not.
pub(super) fn sleeper(bytes: &[u8]) -> Result<Option<&[u8]>, Unreadable> {
    Ok(asleep(bytes)?.map(|(_, sleeper, _)| sleeper))
}

/// Reads what [`sleeper`] found.
pub(super) fn read_sleeper(bytes: &[u8]) -> Result<Sleeper, Unreadable> {
    meant(bytes)
}

type Asleep<'a> = (Position, &'a [u8], &'a [u8]);

fn asleep(bytes: &[u8]) -> Result<Option<Asleep<'_>>, Unreadable> {
    let Some(rest) = bytes.strip_prefix(&[ASLEEP]) else { return Ok(None) };
    let (at, rest) = rest.split_first_chunk::<8>().ok_or_else(empty)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(empty)?;
    let (sleeper, state) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(empty)?;
    Ok(Some((Position::new(u64::from_be_bytes(*at)), sleeper, state)))
}

fn empty() -> Unreadable {
    Unreadable::Strange("it is too short".to_owned())
}

/// Begins a chunk.
pub(super) fn begin_chunk() -> Vec<u8> {
    vec![VERSION]
}

/// Adds a record to a chunk, as the log has it.
pub(super) fn push_record(chunk: &mut Vec<u8>, position: Position, version: u8, payload: &[u8]) {
    chunk.extend_from_slice(&position.get().to_le_bytes());
    chunk.push(version);
    // The log's payloads are far below 4 GiB.
    chunk.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    chunk.extend_from_slice(payload);
}

/// Is shown records, with their version and payload, until it breaks off.
type EachRecord<'a> = dyn FnMut(Position, u8, &[u8]) -> ControlFlow<()> + 'a;

/// Visits the records of a chunk: position, version and payload as the log had them.
pub(super) fn each_in_chunk(chunk: &[u8], visit: &mut EachRecord<'_>) -> Result<ControlFlow<()>, Unreadable> {
    let (&version, mut rest) = chunk.split_first().ok_or_else(empty)?;
    if version > VERSION {
        return Err(Unreadable::Newer(version));
    }
    while let Some((position, after)) = rest.split_first_chunk::<8>() {
        let (&version, after) = after.split_first().ok_or_else(empty)?;
        let (length, after) = after.split_first_chunk::<4>().ok_or_else(empty)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (payload, after) = after.split_at_checked(length).ok_or_else(empty)?;
        if visit(Position::new(u64::from_le_bytes(*position)), version, payload).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        rest = after;
    }
    if rest.is_empty() { Ok(ControlFlow::Continue(())) } else { Err(empty()) }
}
