//! How wire types are declared: once, with their documentation, for both encodings and for the manual.
//!
//! Holds: the macros `wire!` and `messages!`, [`Message`], the errors of both directions. Knows: serde, both encodings.
//! Never: which messages there are. Start reading at: `wire!`.

use super::{
    frame::{Encoding, MAX_BODY},
    refusal::RefusalCode,
    shape::{OutOfRange, Wire},
};
use crate::codec::{self, CodecError};

/// One kind of message.
pub trait Message: Wire {
    /// Its number in the frame.
    const KIND: u16;
    /// Its name.
    const NAME: &'static str;
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

        impl $crate::protocol::shape::Wire for $name {
            const SHAPE: &'static $crate::protocol::shape::Shape = &$crate::protocol::shape::Shape::Struct {
                name: stringify!($name),
                doc: &[$($doc),*],
                fields: &[$($crate::protocol::shape::Field {
                    name: stringify!($field),
                    doc: &[$($field_doc),*],
                    shape: <$type as $crate::protocol::shape::Wire>::SHAPE,
                }),*],
            };

            fn check(&self) -> Result<(), $crate::protocol::shape::OutOfRange> {
                $($crate::protocol::shape::Wire::check(&self.$field)?;)*
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

        impl $crate::protocol::shape::Wire for $name {
            const SHAPE: &'static $crate::protocol::shape::Shape = &$crate::protocol::shape::Shape::Enum {
                name: stringify!($name),
                doc: &[$($doc),*],
                variants: &[$($crate::protocol::shape::Variant {
                    name: stringify!($variant),
                    doc: &[$($variant_doc),*],
                    holds: $crate::protocol::wire::wire!(
                        @holds $(one $inner_type;)? $(fields $([$($field_doc),*] $field: $type;)*)?
                    ),
                }),*],
            };

            fn check(&self) -> Result<(), $crate::protocol::shape::OutOfRange> {
                match self {
                    $(Self::$variant $(($inner))? $({ $($field),* })? => {
                        $($crate::protocol::shape::Wire::check($inner)?;)?
                        $($($crate::protocol::shape::Wire::check($field)?;)*)?
                    })*
                }
                Ok(())
            }
        }

        $crate::protocol::wire::wire! { @each [$($mode)*] $($rest)* }
    };

    (@holds) => { $crate::protocol::shape::Holds::Nothing };
    (@holds one $type:ty;) => {
        $crate::protocol::shape::Holds::One(<$type as $crate::protocol::shape::Wire>::SHAPE)
    };
    (@holds fields $([$($doc:literal),*] $field:ident: $type:ty;)*) => {
        $crate::protocol::shape::Holds::Fields(&[$($crate::protocol::shape::Field {
            name: stringify!($field),
            doc: &[$($doc),*],
            shape: <$type as $crate::protocol::shape::Wire>::SHAPE,
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
        #[allow(clippy::large_enum_variant, reason = "encoded as soon as it is made: a box would cost more than the room")]
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
            pub const CATALOGUE: &'static [$crate::protocol::shape::Catalogue] = &[
                $($crate::protocol::shape::Catalogue {
                    kind: $kind,
                    name: stringify!($message),
                    shape: <$message as $crate::protocol::shape::Wire>::SHAPE,
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
