//! Names and ids. Ids are 16 bytes on the wire and in the log, hyphenated UUID text in JSON.
//!
//! Holds: newtypes, no logic. Knows: nothing else of maitred.
//! Start reading at: [`ConversationId`].

use std::{fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use smol_str::SmolStr;
use uuid::Uuid;

/// The namespace under which ids are derived from names (UUID version 5, RFC 9562 §5.5):
/// `uuid5(uuid5(NAMESPACE, workspace), name)`.
pub const NAMESPACE: Uuid = Uuid::from_bytes(*b"maitred/ids/v1\0\0");

/// Longest name of a workspace, group or channel, in bytes.
pub const NAME_MAX: usize = 64;

/// A name or an id that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Not 1 to 64 characters of `a-z 0-9 _ - .`.
    #[error("{0:?} is not a name: 1 to 64 of a-z, 0-9, '_', '-' and '.'")]
    Name(String),
    /// Not a UUID.
    #[error("{0:?} is not an id: a UUID like 01890a5d-ac96-774b-bcce-b302099a8057 is expected")]
    Id(String),
    /// Not a link of an offer.
    #[error("{0:?} is not a link of maitred's: take it whole, as the offer has it")]
    Link(String),
}

/// Sixteen bytes as serde knows them. It has no bytes of fixed length, and an array of them goes through an encoder one
/// by one, which was a twentieth of what a conversation costs. A float is what bincode writes as its eight bytes as they are,
/// so two of them are the same sixteen bytes; only their bits are ever looked at.
fn halves(bytes: &[u8; 16]) -> [f64; 2] {
    let (low, high) = bytes.split_at(8);
    [low, high].map(|half| f64::from_le_bytes(half.try_into().unwrap_or_default()))
}

/// What [`halves`] took apart.
fn whole([low, high]: [f64; 2]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&low.to_le_bytes());
    bytes[8..].copy_from_slice(&high.to_le_bytes());
    bytes
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id with these sixteen bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The sixteen bytes.
            #[must_use]
            pub const fn bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// The id that a name has in a workspace; see [`NAMESPACE`].
            #[must_use]
            pub fn derive(workspace: &WorkspaceId, name: &str) -> Self {
                let space = Uuid::new_v5(&NAMESPACE, workspace.as_str().as_bytes());
                Self(*Uuid::new_v5(&space, name.as_bytes()).as_bytes())
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(*uuid.as_bytes())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Uuid::from_bytes(self.0).hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                Uuid::try_parse(text)
                    .map(Self::from)
                    .map_err(|_| Invalid::Id(text.chars().take(NAME_MAX).collect()))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    halves(&self.0).serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = SmolStr::deserialize(deserializer)?;
                    text.parse().map_err(de::Error::custom)
                } else {
                    Deserialize::deserialize(deserializer).map(|halves| Self(whole(halves)))
                }
            }
        }
    };
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(SmolStr);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                let fits = !text.is_empty()
                    && text.len() <= NAME_MAX
                    && text.bytes().all(|byte| {
                        byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte)
                    });
                if fits {
                    Ok(Self(SmolStr::new(text)))
                } else {
                    Err(Invalid::Name(text.chars().take(NAME_MAX).collect()))
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = SmolStr::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

id! {
    /// One piece of work, from opening to close. A UUID version 7 made by whoever opens it; also the idempotency key of
    /// the opening (design §6, S6).
    ConversationId
}
id! {
    /// A person who serves. `[[agent]]` entries of the configuration derive it from their name.
    AgentId
}
id! {
    /// Somebody who asks for help; chosen by the frontend, which may derive it from its own user id.
    VisitorId
}
id! {
    /// A program that speaks the protocol, kept over its reconnects: the scope of its command keys.
    ClientId
}
name! {
    /// One customer account: the unit of isolation, ordering and placement.
    WorkspaceId
}
name! {
    /// Agents who may serve the same conversations, with their waiting line. The configuration's key for it.
    GroupId
}
name! {
    /// Where a conversation takes place, such as `web`: a visitor has at most one open conversation on each.
    Channel
}

impl ConversationId {
    /// A bound below all version 7 ids made at this time or later.
    #[must_use]
    pub fn earliest(made_ms: u64) -> Self {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&made_ms.to_be_bytes()[2..]);
        Self(bytes)
    }

    /// The time that a UUID version 7 carries, in milliseconds since 1970; `None` for any other version.
    #[must_use]
    pub fn made_at_ms(&self) -> Option<u64> {
        let version = self.0[6] >> 4;
        let variant = self.0[8] >> 6;
        (version == 7 && variant == 0b10)
            .then(|| self.0[..6].iter().fold(0, |time, byte| (time << 8) | u64::from(*byte)))
    }
}

impl GroupId {
    /// The implicit group of every workspace that all agents belong to (design §3.1).
    #[must_use]
    pub fn everyone() -> Self {
        Self(SmolStr::new_static("everyone"))
    }

    /// Whether this is [`GroupId::everyone`].
    #[must_use]
    pub fn is_everyone(&self) -> bool {
        self.0 == "everyone"
    }

    /// What a visitor calls a group that they may choose: its own name is nobody's but the operator's.
    #[must_use]
    pub fn disguised(workspace: &WorkspaceId, group: &Self) -> Self {
        let space = Uuid::new_v5(&NAMESPACE, workspace.as_str().as_bytes());
        let whole = Uuid::new_v5(&space, format!("choice {group}").as_bytes());
        Self(SmolStr::new(format!("choice-{}", &whole.simple().to_string()[..16])))
    }
}

/// Where a notification leads: an opaque name of an offer (or of a conversation alone), safe in a URL. It is a name and no key: whoever
/// resolves it sees what their own token lets them see. The same offer has the same link for as long as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Which conversation.
    pub conversation: ConversationId,
    /// Which of its offers; 0: none in particular.
    pub offer: u32,
}

impl Link {
    /// Bytes of a link as text.
    pub const LENGTH: usize = 32;
    /// The first byte, should there ever be another form.
    const FORM: u8 = 1;

    /// A few bits against a mistyped or cut link; not against forgery, which gains nobody anything.
    fn sum(bytes: &[u8]) -> [u8; 3] {
        let [a, b, c, _] = crc32c::crc32c(bytes).to_le_bytes();
        [a, b, c]
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 24];
        bytes[0] = Self::FORM;
        bytes[1..17].copy_from_slice(self.conversation.bytes());
        bytes[17..21].copy_from_slice(&self.offer.to_be_bytes());
        let sum = Self::sum(&bytes[..21]);
        bytes[21..].copy_from_slice(&sum);
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Link {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::Link(text.chars().take(NAME_MAX).collect());
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
        let bytes: [u8; 24] = bytes.try_into().map_err(|_| invalid())?;
        let (said, sum) = bytes.split_at(21);
        if said[0] != Self::FORM || sum != Self::sum(said) {
            return Err(invalid());
        }
        let mut conversation = [0; 16];
        conversation.copy_from_slice(&said[1..17]);
        let offer = said[17..].iter().fold(0, |offer, byte| (offer << 8) | u32::from(*byte));
        Ok(Self { conversation: ConversationId(conversation), offer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_back_to_its_offer_and_a_mistyped_one_nowhere() {
        let link = Link { conversation: ConversationId::from_bytes([0xfb; 16]), offer: 0x0102_0304 };
        let text = link.to_string();
        assert_eq!(text.len(), Link::LENGTH);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
        assert_eq!(text.parse(), Ok(link));
        let mistyped = text.replacen(['-', '_'], "A", 1);
        for bad in ["", "x", &text[1..], &mistyped, &format!("{text}="), &"A".repeat(32)] {
            assert!(bad.parse::<Link>().is_err(), "{bad:?} was taken for a link");
        }
    }

    #[test]
    fn only_version_7_ids_carry_a_time() {
        let stamped: ConversationId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("an id");
        assert_eq!(stamped.made_at_ms(), Some(0x0189_0a5d_ac96));
        let random: ConversationId = "01890a5d-ac96-474b-bcce-b302099a8057".parse().expect("an id");
        assert_eq!(random.made_at_ms(), None);
    }

    #[test]
    fn an_id_is_its_sixteen_bytes_whatever_they_would_be_as_floats() {
        let quiet_and_signalling =
            [[0xff; 16], [0x01, 0, 0, 0, 0, 0, 0xf0, 0x7f, 1, 0, 0, 0, 0, 0, 0xf0, 0xff]];
        for bytes in quiet_and_signalling.into_iter().chain((0..=255).map(|byte| [byte; 16])) {
            let mut encoded = Vec::new();
            crate::codec::to_wire(&AgentId::from_bytes(bytes), &mut encoded).expect("short");
            assert_eq!(encoded, bytes);
            assert_eq!(crate::codec::from_wire::<AgentId>(&encoded).expect("an id").bytes(), &bytes);
        }
    }

    #[test]
    fn a_disguised_name_is_a_name_and_says_nothing() {
        let workspace: WorkspaceId = "demo".parse().expect("a name");
        let disguised = |name: &str| GroupId::disguised(&workspace, &name.parse().expect("a name"));
        assert!(disguised("sales").as_str().parse::<GroupId>().is_ok());
        assert!(!disguised("sales").as_str().contains("sales"));
        assert_ne!(disguised("sales"), disguised("vip"));
    }

    #[test]
    fn names_are_short_and_plain() {
        assert!("sales-fr.2".parse::<GroupId>().is_ok());
        for bad in ["", "Sales", "a b", "é", &"x".repeat(65)] {
            assert!(bad.parse::<GroupId>().is_err(), "{bad:?} was taken for a name");
        }
    }
}
