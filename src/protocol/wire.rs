//! How wire types are declared: once, with their documentation, for both encodings and for the manual.
//!
//! Holds: [`Wire`] (limits and [`Shape`] of a type), [`Message`], the macros `wire!` and `messages!`. Knows: serde,
//! both encodings. Never: which messages there are. Start reading at: [`Wire`].

use serde::{Serialize, de::DeserializeOwned};

use super::{
    INTEGER_LIMIT,
    frame::{Encoding, MAX_BODY},
    refusal::RefusalCode,
};
use crate::{
    clock::Timestamp,
    codec::{self, CodecError},
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

/// One kind of message.
pub trait Message: Wire {
    /// Its number in the frame.
    const KIND: u16;
    /// Its name.
    const NAME: &'static str;
}

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

/// A message that can't be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Its body is larger than a frame's may be.
    #[error("the body takes more than {MAX_BODY} bytes: send fewer or shorter items")]
    TooLarge,
    /// It holds an integer that is too large.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// The encoder failed; the text says why.
    #[error("the message can't be encoded: {0}")]
    Failed(String),
}

/// A body that is not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No message of this direction has this kind. The frame can be skipped.
    #[error("there is no message of kind {0:#06x} here: compare the highest kind in Hello and Welcome")]
    UnknownKind(u16),
    /// It is, or claims to be, larger than a body may be.
    #[error("the body takes more than {MAX_BODY} bytes: send fewer or shorter items")]
    TooLarge,
    /// It holds an integer that is too large.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// Not the fields of this kind; the text says where it went wrong.
    #[error("the body of kind {kind:#06x} can't be read: {reason}")]
    Malformed {
        /// The kind that the frame named.
        kind: u16,
        /// What the decoder met.
        reason: String,
    },
}

impl DecodeError {
    /// The code to refuse with.
    #[must_use]
    pub const fn code(&self) -> RefusalCode {
        match self {
            Self::UnknownKind(_) => RefusalCode::UnknownKind,
            Self::TooLarge => RefusalCode::TooLarge,
            Self::OutOfRange(_) | Self::Malformed { .. } => RefusalCode::Malformed,
        }
    }
}

/// How many bytes `value` takes in a frame at most, in whichever encoding: the length of its JSON, which names every
/// field and so is the longer of the two. For filling pages: a page's items may weigh [`super::frame::PAGE_BUDGET`].
#[must_use]
pub fn weight<T: Wire>(value: &T) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        Err(_) => usize::MAX,
    }
}

/// Appends the body of `message`; on an error `out` may hold a part of it.
pub(super) fn encode_body<T: Message>(
    message: &T,
    encoding: Encoding,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    message.check()?;
    let start = out.len();
    match encoding {
        Encoding::Bincode => match codec::to_wire(message, out) {
            Ok(_) => {}
            Err(CodecError::TooLarge { .. }) => return Err(EncodeError::TooLarge),
            Err(other) => return Err(EncodeError::Failed(other.to_string())),
        },
        Encoding::Json => serde_json::to_writer(&mut *out, message)
            .map_err(|error| EncodeError::Failed(error.to_string()))?,
    }
    if out.len() - start > MAX_BODY { Err(EncodeError::TooLarge) } else { Ok(()) }
}

/// The message of type `T` in `body`.
pub(super) fn decode_body<T: Message>(encoding: Encoding, body: &[u8]) -> Result<T, DecodeError> {
    if body.len() > MAX_BODY {
        return Err(DecodeError::TooLarge);
    }
    let malformed = |reason: String| DecodeError::Malformed { kind: T::KIND, reason };
    let message: T = match encoding {
        Encoding::Bincode => codec::from_wire(body).map_err(|error| match error {
            CodecError::TooLarge { .. } => DecodeError::TooLarge,
            CodecError::Trailing(_) => malformed(error.to_string()),
            CodecError::Malformed(reason) => malformed(reason),
        })?,
        Encoding::Json => serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))?,
    };
    message.check()?;
    Ok(message)
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

/// Declares wire types, strict (the daemon decodes them: unknown JSON fields are refused) or lenient (clients decode
/// them: unknown JSON fields are ignored). Documentation comments are kept for the manual, so no other attributes fit.
macro_rules! wire {
    (strict; $($rest:tt)*) => { $crate::protocol::wire::wire! { @each [#[serde(deny_unknown_fields)]] $($rest)* } };
    (lenient; $($rest:tt)*) => { $crate::protocol::wire::wire! { @each [] $($rest)* } };

    (@each [$($mode:tt)*]) => {};

    (@each [$($mode:tt)*]
        $(#[doc = $doc:literal])*
        pub struct $name:ident $(: $extra:ident $(+ $more:ident)*)? {
            $($(#[doc = $field_doc:literal])* $field:ident: $type:ty),* $(,)?
        }
        $($rest:tt)*
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        $(#[derive($extra $(, $more)*)])?
        $($mode)*
        pub struct $name {
            $($(#[doc = $field_doc])* pub $field: $type,)*
        }

        impl $crate::protocol::wire::Wire for $name {
            const SHAPE: &'static $crate::protocol::wire::Shape = &$crate::protocol::wire::Shape::Struct {
                name: stringify!($name),
                doc: &[$($doc),*],
                fields: &[$($crate::protocol::wire::Field {
                    name: stringify!($field),
                    doc: &[$($field_doc),*],
                    shape: <$type as $crate::protocol::wire::Wire>::SHAPE,
                }),*],
            };

            fn check(&self) -> Result<(), $crate::protocol::wire::OutOfRange> {
                $($crate::protocol::wire::Wire::check(&self.$field)?;)*
                Ok(())
            }
        }

        $crate::protocol::wire::wire! { @each [$($mode)*] $($rest)* }
    };

    (@each [$($mode:tt)*]
        $(#[doc = $doc:literal])*
        pub enum $name:ident $(: $extra:ident $(+ $more:ident)*)? {
            $(
                $(#[doc = $variant_doc:literal])*
                $variant:ident
                $(($inner:ident: $inner_type:ty))?
                $({ $($(#[doc = $field_doc:literal])* $field:ident: $type:ty),* $(,)? })?
            ),* $(,)?
        }
        $($rest:tt)*
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        $(#[derive($extra $(, $more)*)])?
        #[serde(rename_all = "snake_case")]
        $($mode)*
        pub enum $name {
            $(
                $(#[doc = $variant_doc])*
                $variant $(($inner_type))? $({ $($(#[doc = $field_doc])* $field: $type,)* })?,
            )*
        }

        impl $crate::protocol::wire::Wire for $name {
            const SHAPE: &'static $crate::protocol::wire::Shape = &$crate::protocol::wire::Shape::Enum {
                name: stringify!($name),
                doc: &[$($doc),*],
                variants: &[$($crate::protocol::wire::Variant {
                    name: stringify!($variant),
                    doc: &[$($variant_doc),*],
                    holds: $crate::protocol::wire::wire!(
                        @holds $(one $inner_type;)? $(fields $([$($field_doc),*] $field: $type;)*)?
                    ),
                }),*],
            };

            fn check(&self) -> Result<(), $crate::protocol::wire::OutOfRange> {
                match self {
                    $(Self::$variant $(($inner))? $({ $($field),* })? => {
                        $($crate::protocol::wire::Wire::check($inner)?;)?
                        $($($crate::protocol::wire::Wire::check($field)?;)*)?
                    })*
                }
                Ok(())
            }
        }

        $crate::protocol::wire::wire! { @each [$($mode)*] $($rest)* }
    };

    (@holds) => { $crate::protocol::wire::Holds::Nothing };
    (@holds one $type:ty;) => {
        $crate::protocol::wire::Holds::One(<$type as $crate::protocol::wire::Wire>::SHAPE)
    };
    (@holds fields $([$($doc:literal),*] $field:ident: $type:ty;)*) => {
        $crate::protocol::wire::Holds::Fields(&[$($crate::protocol::wire::Field {
            name: stringify!($field),
            doc: &[$($doc),*],
            shape: <$type as $crate::protocol::wire::Wire>::SHAPE,
        }),*])
    };
}
pub(crate) use wire;

/// Declares the messages of one direction: their kinds, the enum of them, its encoder and decoder.
macro_rules! messages {
    (
        $(#[doc = $doc:literal])*
        pub enum $name:ident numbered by $number:ident {
            $($kind:literal $message:ident
                $(-> $($answer:ident)|+)?
                $(; $($refusal:ident),*)?
            ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = concat!("Kind `", stringify!($kind), "`.")] $message($message),)*
        }

        $(
            impl $crate::protocol::wire::Message for $message {
                const KIND: u16 = $kind;
                const NAME: &'static str = stringify!($message);
            }

            impl From<$message> for $name {
                fn from(message: $message) -> Self {
                    Self::$message(message)
                }
            }
        )*

        impl $name {
            /// The highest kind of this direction that this build knows.
            pub const HIGHEST_KIND: u16 = {
                let mut highest = 0;
                $(if $kind > highest { highest = $kind; })*
                highest
            };

            /// Every message of this direction, for the manual and its tests.
            pub const CATALOGUE: &'static [$crate::protocol::wire::Catalogue] = &[
                $($crate::protocol::wire::Catalogue {
                    kind: $kind,
                    name: stringify!($message),
                    shape: <$message as $crate::protocol::wire::Wire>::SHAPE,
                    answers: &[$($(stringify!($answer)),+)?],
                    refusals: &[$($($crate::protocol::refusal::RefusalCode::$refusal),*)?],
                }),*
            ];

            /// The number of this message's kind.
            #[must_use]
            pub const fn kind(&self) -> u16 {
                match self {
                    $(Self::$message(_) => $kind,)*
                }
            }

            /// The name of this message's kind, for logs and metrics.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$message(_) => stringify!($message),)*
                }
            }

            $crate::protocol::wire::messages!(@encode $number $($message)*);

            /// The message of this `kind` in `body`, all of which it must take.
            ///
            /// # Errors
            /// [`DecodeError`](crate::protocol::DecodeError), whose `code` is the refusal to answer with.
            pub fn decode(
                encoding: $crate::protocol::Encoding,
                kind: u16,
                body: &[u8],
            ) -> Result<Self, $crate::protocol::DecodeError> {
                match kind {
                    $($kind => $crate::protocol::wire::decode_body(encoding, body).map(Self::$message),)*
                    other => Err($crate::protocol::DecodeError::UnknownKind(other)),
                }
            }
        }
    };

    (@encode caller $($message:ident)*) => {
        /// Appends the whole frame to `out`. `number` is the request's: chosen by who asks, above 0, and the same in
        /// the reply.
        ///
        /// # Errors
        /// [`EncodeError`](crate::protocol::EncodeError); `out` is then as it was.
        pub fn encode(
            &self,
            encoding: $crate::protocol::Encoding,
            number: u32,
            out: &mut Vec<u8>,
        ) -> Result<(), $crate::protocol::EncodeError> {
            match self {
                $(Self::$message(message) => {
                    $crate::protocol::frame::write(message, encoding, number, out)
                })*
            }
        }
    };

    (@encode nobody $($message:ident)*) => {
        /// Appends the whole frame to `out`, with request number 0.
        ///
        /// # Errors
        /// [`EncodeError`](crate::protocol::EncodeError); `out` is then as it was.
        pub fn encode(
            &self,
            encoding: $crate::protocol::Encoding,
            out: &mut Vec<u8>,
        ) -> Result<(), $crate::protocol::EncodeError> {
            match self {
                $(Self::$message(message) => {
                    $crate::protocol::frame::write(message, encoding, $crate::protocol::NO_REQUEST, out)
                })*
            }
        }
    };
}
pub(crate) use messages;
