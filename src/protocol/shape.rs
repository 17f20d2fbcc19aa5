//! The form of every wire type as data: for the manual, for the schema, and for tests that walk all messages.
//!
//! Holds: [`Wire`], [`Shape`], [`Catalogue`]. Knows: ids, time. Never: bytes; `wire.rs` makes them.
//! Start reading at: [`Wire`].

use serde::{Serialize, de::DeserializeOwned};

use super::{INTEGER_LIMIT, refusal::RefusalCode};
use crate::{
    clock::Timestamp,
    ids::{AgentId, Channel, ClientId, ConversationId, GroupId, VisitorId, WorkspaceId},
};

/// A type that may stand in a message. A recursive type does not compile: its [`Wire::SHAPE`] would be a cycle.
pub trait Wire: Serialize + DeserializeOwned {
    /// What it looks like to somebody who writes a codec in another language.
    const SHAPE: &'static Shape;

    /// Refuses what one of the encodings can't carry: integers of 2^53 and more. Called in both directions.
    ///
    /// # Errors
    /// [`OutOfRange`], with the offending number.
    fn check(&self) -> Result<(), OutOfRange> {
        Ok(())
    }
}

/// The form of a wire type.
#[derive(Debug, PartialEq, Eq)]
pub enum Shape {
    /// True or false.
    Bool,
    /// An unsigned integer of this many bits (64 means below 2^53).
    Integer(u8),
    /// UTF-8 without NUL, at most so many bytes.
    Text(usize),
    /// Sixteen bytes, of this kind of thing.
    Id(&'static str),
    /// A name (1 to 64 of `a-z 0-9 _ - .`), of this kind of thing.
    Name(&'static str),
    /// A moment, in microseconds since 1970.
    Time,
    /// A value or nothing.
    Option(&'static Self),
    /// At most `max` values, in order.
    List {
        /// The most items.
        max: usize,
        /// What each of them is.
        item: &'static Self,
    },
    /// Named fields, in order.
    Struct {
        /// The type's name.
        name: &'static str,
        /// Its documentation, a line each.
        doc: &'static [&'static str],
        /// Its fields, in the order in which they are encoded.
        fields: &'static [Field],
    },
    /// One of several.
    Enum {
        /// The type's name.
        name: &'static str,
        /// Its documentation, a line each.
        doc: &'static [&'static str],
        /// The possibilities, in the order of their numbers, from 0.
        variants: &'static [Variant],
    },
    /// A refusal code: a `u16` in bincode, text in JSON.
    Code,
}

/// A field of a struct or of an enum's variant.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, in JSON too.
    pub name: &'static str,
    /// Its documentation, a line each.
    pub doc: &'static [&'static str],
    /// Its form.
    pub shape: &'static Shape,
}

/// One possibility of an enum.
#[derive(Debug, PartialEq, Eq)]
pub struct Variant {
    /// Its name in Rust; in JSON it is in snake case.
    pub name: &'static str,
    /// Its documentation, a line each.
    pub doc: &'static [&'static str],
    /// What it carries.
    pub holds: Holds,
}

/// What a variant of an enum carries.
#[derive(Debug, PartialEq, Eq)]
pub enum Holds {
    /// Nothing: in JSON just its name.
    Nothing,
    /// One value: in JSON `{"name": value}`.
    One(&'static Shape),
    /// Fields: in JSON `{"name": {…}}`.
    Fields(&'static [Field]),
}

/// An integer above what a JSON reader can be trusted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not below 2^53: use smaller numbers and times")]
pub struct OutOfRange(pub u64);

/// What the manual says about a kind of message.
#[derive(Debug)]
pub struct Catalogue {
    /// Its number in the frame.
    pub kind: u16,
    /// Its name.
    pub name: &'static str,
    /// Its fields and documentation.
    pub shape: &'static Shape,
    /// Names of the replies that answer it; empty if it is not a request.
    pub answers: &'static [&'static str],
    /// The refusals that are particular to it; empty if it is not a request.
    pub refusals: &'static [RefusalCode],
}

macro_rules! plain {
    ($($type:ty: $shape:expr),+ $(,)?) => {
        $(impl Wire for $type {
            const SHAPE: &'static Shape = &$shape;
        })+
    };
}

plain! {
    bool: Shape::Bool,
    u8: Shape::Integer(8),
    u16: Shape::Integer(16),
    u32: Shape::Integer(32),
    ConversationId: Shape::Id("conversation"),
    AgentId: Shape::Id("agent"),
    VisitorId: Shape::Id("visitor"),
    ClientId: Shape::Id("client"),
    WorkspaceId: Shape::Name("workspace"),
    GroupId: Shape::Name("group"),
    Channel: Shape::Name("channel"),
    RefusalCode: Shape::Code,
}

impl Wire for u64 {
    const SHAPE: &'static Shape = &Shape::Integer(64);
    fn check(&self) -> Result<(), OutOfRange> {
        if *self < INTEGER_LIMIT { Ok(()) } else { Err(OutOfRange(*self)) }
    }
}

impl Wire for Timestamp {
    const SHAPE: &'static Shape = &Shape::Time;
    fn check(&self) -> Result<(), OutOfRange> {
        self.micros().check()
    }
}

impl<T: Wire> Wire for Option<T> {
    const SHAPE: &'static Shape = &Shape::Option(T::SHAPE);
    fn check(&self) -> Result<(), OutOfRange> {
        self.as_ref().map_or(Ok(()), Wire::check)
    }
}
