//! Every no that the daemon can say: a stable number, a stable name, and what to do about it.
//!
//! Holds: [`RefusalCode`]. Knows: nothing else. Never: renumbers; a retired code keeps its number unused.
//! Start reading at: `codes!` below.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

macro_rules! codes {
    ($($number:literal $variant:ident $text:literal: $meaning:literal, $remedy:literal;)*) => {
        /// Why a request was refused. A `u16` in bincode, its name in JSON. A client treats a code that it does not
        /// know as [`RefusalCode::Failed`], so new ones may come.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum RefusalCode {
            $(#[doc = concat!($meaning, ". What to do: ", $remedy, ".")] $variant = $number,)*
        }

        impl RefusalCode {
            /// All of them, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its number.
            #[must_use]
            pub const fn number(self) -> u16 {
                self as u16
            }

            /// Its name, in JSON and in metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// What it means.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// What the one who asked can do about it.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }

            /// The code with this number.
            #[must_use]
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }

            /// The code with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    1 Unauthenticated "unauthenticated": "The token is unknown, revoked or missing", "get a new token and connect again";
    2 TokenExpired "token_expired": "The token's time is over", "get a new token; next time Renew before it expires";
    3 Forbidden "forbidden": "This role may not do this", "use a token of a role that may";
    4 NotFound "not_found": "It does not exist, or it is not yours to see: both look alike", "check the id and the workspace of the token";
    5 Malformed "malformed": "The body is not a message of this kind", "compare it with the manual, field by field; do not send it again unchanged";
    6 UnknownKind "unknown_kind": "The daemon knows no request of this kind", "send nothing above Welcome's highest_kind, or upgrade the daemon";
    7 TooLarge "too_large": "A frame, a field or a list is above its limit", "send less at once";
    8 UnsupportedVersion "unsupported_version": "The daemon no longer speaks with a client this old", "upgrade the client";
    9 HelloRequired "hello_required": "The first request on a connection has to be Hello, and only the first", "say Hello once, then the rest";
    10 Invalid "invalid": "The message is well formed, but its values make no sense here", "read the message text; change the values";
    11 KeyExpired "key_expired": "The key is too old to tell whether this was done already", "look at the conversation to see, then send it with a new key";
    12 KeyReused "key_reused": "The same key came before with another body", "use a new key for each command; keep the counter over restarts, or take a new client id";
    13 RateLimited "rate_limited": "Too many of these in too short a time", "wait retry_after_ms, then send it again with the same key";
    14 Overloaded "overloaded": "Too much is in progress, on this connection or in all", "wait retry_after_ms and send less at once";
    15 Draining "draining": "The daemon is going down and takes nothing new", "connect again after retry_after_ms";
    16 AlreadyTaken "already_taken": "Somebody else was first", "nothing; the item leaves the list";
    17 AtCapacity "at_capacity": "The agent holds as many conversations as they may", "close one, choose somebody else, or let a supervisor force it";
    18 OfferEnded "offer_ended": "The offer is over: declined, rescinded or never made", "nothing; wait for the next offer";
    19 OfferTimedOut "offer_timed_out": "The answer came after the offer's deadline", "nothing; the conversation went on to the next";
    20 ConversationClosed "conversation_closed": "The conversation is closed", "Reopen it, or Open a new one";
    21 NotOpen "not_open": "The conversation has not been opened yet, or is with nobody whom this could concern", "Open it first";
    22 GroupDisabled "group_disabled": "The group is switched off in the configuration", "choose another group";
    23 NobodyOnline "nobody_online": "Nobody in the group is online", "choose another group, or try later";
    24 QueueFull "queue_full": "The group's line is as long as it may be", "choose another group, or try later";
    25 OnlyAgentOnline "only_agent_online": "You are the only agent online in the group that you transfer to", "keep it, or choose another group";
    26 NotEligible "not_eligible": "The agent may not serve this conversation", "ask Explain why, or choose somebody else";
    27 HandedOff "handed_off": "The bot has handed the conversation over and may not write in it now", "wait until it is with the bot again";
    28 QuotaExhausted "quota_exhausted": "The workspace has used up its live-chat engagements", "raise the limit in the configuration";
    29 NoSeat "no_seat": "All seats of the workspace are in use", "take live chat from another agent, or raise the number of seats";
    30 ChannelNotSupported "channel_not_supported": "The workspace has no live chat on this channel", "use a channel of its configuration";
    31 WrongState "wrong_state": "The conversation is not in a state in which this can be done", "look at its status, then decide anew";
    32 ManagedByConfig "managed_by_config": "The configuration file alone manages this", "change the file and Reload";
    33 Failed "failed": "The daemon met a fault of its own in this command; it is not done and not retried", "look at the daemon's log; send something else";
    34 Quarantined "quarantined": "It failed too often and stands aside", "a supervisor can ReleaseQuarantine";
    35 Starting "starting": "The daemon is still reading its log", "wait retry_after_ms, then send it again with the same key";
    36 Unsupported "unsupported": "This build or this connection does not offer it", "use another way; the message text says which";
    37 GroupUnavailable "group_unavailable": "The group stands aside after repeated failures", "choose another group, or let a supervisor release it";
    38 MissingFields "missing_fields": "The group requires fields that are not known", "ask the visitor for those that the message text names, then send it again";
    39 FeatureDisabled "feature_disabled": "The workspace has switched this off, or its plan lacks it", "switch it on in the configuration, or do without";
    40 PlanNotEligible "plan_not_eligible": "The workspace's plan has no live chat", "change the plan in the configuration";
    41 RatingDisabled "rating_disabled": "The workspace asks visitors for no ratings", "switch ratings on in the configuration";
    42 UnsupportedSetting "unsupported_setting": "There is no such switch, and there will be none", "do without: images and emoji are always on";
    60 LobbyFull "lobby_full": "As many visitors as the workspace has room for are on its sites", "raise lobby_max, or announce fewer";
    61 AlreadyOpen "already_open": "The visitor has a conversation open on this channel", "write there: the message text names it";
    48 UnknownAgent "unknown_agent": "No agent, or more than one, goes by this address or id", "look the agent up with ListAgents and name them by id";
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for RefusalCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.as_str())
        } else {
            serializer.serialize_u16(self.number())
        }
    }
}

impl<'de> Deserialize<'de> for RefusalCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl de::Visitor<'_> for Name {
            type Value = RefusalCode;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a refusal code")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<RefusalCode, E> {
                Ok(RefusalCode::from_name(name).unwrap_or(RefusalCode::Failed))
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Name)
        } else {
            let number = u16::deserialize(deserializer)?;
            Ok(Self::from_number(number).unwrap_or(Self::Failed))
        }
    }
}
