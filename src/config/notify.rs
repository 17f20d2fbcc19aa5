//! Who is told what outside: webhooks, mail, and how patiently.

use std::{path::PathBuf, time::Duration};

use smol_str::SmolStr;

use super::{
    measures::{DAY, HOUR, KIB, MIB, MINUTE, Size, Wait, ms, secs},
    section::{section, words},
    tree::Value,
    values::{
        Email, FilePath, Handle, ListOf, OffUnlessSaid, Optional, OrWord, Rule, Text, Whole, Wrong, choice,
        refuse,
    },
};

section! {
    /// `[server.mail]`: where e-mails are handed in.
    pub struct MailServer {
        own {
            /// Its name or address; `None` ("off"): no mail is sent.
            host: Option<String> => OrWord(Text(253), "off"),
            /// Its port; `None` ("auto"): 25, 465 or 587, by the encryption.
            port: Option<u32> => OrWord(Whole(1..=65_535), "auto"),
            /// How the way there is protected.
            encryption: Encryption => choice(),
            /// Who sends.
            from: String => Email,
            /// The name to log in with. Absent: none is asked for.
            username: Option<String> => Optional(Text(256)),
            /// File with the password.
            password_file: Option<PathBuf> => Optional(FilePath),
            /// PEM file with the certificates that it is trusted by, instead of the public ones.
            ca_file: Option<PathBuf> => Optional(FilePath),
        }
    }
}

words! {
    /// How the way to the mail server is protected.
    pub enum Encryption {
        /// Not at all.
        None = "none",
        /// From the first byte.
        Tls = "tls",
        /// From the greeting on.
        StartTls = "starttls",
    }
}

section! {
    /// `[deliveries]`: e-mails and webhooks on their way.
    pub struct Deliveries {
        own {
            /// How long one attempt may take.
            timeout: Duration => Wait(ms(10)..=secs(5 * MINUTE)),
            /// The longest pause after the first failure.
            retry_first: Duration => Wait(ms(1)..=secs(HOUR)),
            /// The longest pause of all.
            retry_longest: Duration => Wait(ms(1)..=secs(DAY)),
            /// How long after it was queued a delivery is given up.
            give_up_after: Duration => Wait(secs(1)..=secs(30 * DAY)),
            /// Deliveries that may wait.
            queue_max: u32 => Whole(1..=1_000_000),
            /// Their bytes.
            queue_bytes: u64 => Size(64 * KIB..=1_024 * MIB),
            /// Dead letters that are kept.
            dead_max: u32 => Whole(1..=100_000),
        }
    }
}

section! {
    /// `[[workspace.webhook]]`: an address that is told what happens.
    pub struct Webhook {
        own {
            /// Its key in the workspace.
            name: SmolStr => Handle,
            /// Where requests go.
            url: String => Address,
            /// What it is told.
            events: Vec<Topic> => ListOf(choice(), 1..=32),
            /// File with the secret, `whsec_…`; several, one a line, while one is changed for another.
            secret_file: Option<PathBuf> => Optional(FilePath),
            /// Name of the environment variable with the secret, instead of a file.
            secret_variable: Option<String> => Optional(Text(128)),
            /// PEM file with the certificates that it is trusted by, instead of the public ones.
            ca_file: Option<PathBuf> => Optional(FilePath),
            /// Whether plain HTTP may leave this machine.
            allow_http: bool => OffUnlessSaid,
            /// Whether it may be in a private network.
            allow_private: bool => OffUnlessSaid,
            /// Requests at a time; absent: 4.
            concurrency: Option<u32> => Optional(Whole(1..=64)),
        }
    }
}

section! {
    /// `[[workspace.mail]]`: who is mailed what.
    pub struct MailRule {
        own {
            /// Its key in the workspace.
            name: SmolStr => Handle,
            /// On what.
            on: Vec<Topic> => ListOf(choice(), 1..=32),
            /// To whom.
            to: Addressees => To,
        }
    }
}

/// To whom a mail goes.
#[derive(Clone, PartialEq, Debug)]
pub enum Addressees {
    /// The agents whom it concerns.
    Agent,
    /// The members of the conversation's group.
    Group,
    /// These addresses.
    These(Vec<String>),
}

words! {
    /// What can be told outside.
    pub enum Topic {
        /// A conversation joined a group's line.
        Queued = "conversation.queued",
        /// It was offered or announced.
        Offered = "conversation.offered",
        /// An agent owns it now.
        Assigned = "conversation.assigned",
        /// Nobody could serve it.
        Fallback = "conversation.fallback",
        /// Nobody took it after that.
        Missed = "conversation.missed",
        /// It is over.
        Closed = "conversation.closed",
        /// It was opened again.
        Reopened = "conversation.reopened",
        /// An agent let an offer time out.
        OfferMissed = "offer.missed",
        /// Agents without a connection have something to look at.
        AgentNotified = "agent.notified",
        /// Something that a user asked for came to nothing.
        ActionFailed = "action_failed",
        /// A bot handed a conversation over.
        HandedOver = "conversation.handed_over",
    }
}

words! {
    /// Which agents without a connection are told of what waits.
    pub enum Absent {
        /// None.
        Nobody = "nobody",
        /// Those whose presence says that they want conversations.
        Available = "available",
        /// All members of the group.
        Members = "members",
    }
}

words! {
    /// Whether agents who have not said whether they want notifications get them.
    pub enum Push {
        /// No: they switch them on first.
        OptIn = "opt_in",
        /// Yes, until they switch them off.
        OptOut = "opt_out",
    }
}

/// An address of the web. Whether it can be used is said at a start, where certificates and secrets are read.
pub(super) struct Address;

impl Rule for Address {
    type Out = String;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<String> {
        let plain = |c: char| !c.is_whitespace() && !c.is_control();
        let host = |text: &str| {
            let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
            Some(rest.split(['/', '?', '#']).next().is_some_and(|host| !host.is_empty()))
        };
        match value.text() {
            Some(text) if text.len() <= 2_048 && text.chars().all(plain) && host(text) == Some(true) => {
                Some(text.to_owned())
            }
            _ => refuse(value, "is not an address of the web", self.expected(), "", wrongs),
        }
    }

    fn write(&self, text: &String) -> Option<toml::Value> {
        Some(text.as_str().into())
    }

    fn expected(&self) -> String {
        "a URL like \"https://example.com/hooks\"".to_owned()
    }
}

/// `"agent"`, `"group"` or a list of addresses.
struct To;

impl Rule for To {
    type Out = Addressees;

    fn read(&self, value: &Value, wrongs: &mut Vec<Wrong>) -> Option<Addressees> {
        match value.text() {
            Some("agent") => Some(Addressees::Agent),
            Some("group") => Some(Addressees::Group),
            Some(_) => refuse(value, "is not an addressee", self.expected(), "", wrongs),
            None => ListOf(Email, 1..=32).read(value, wrongs).map(Addressees::These),
        }
    }

    fn write(&self, to: &Addressees) -> Option<toml::Value> {
        match to {
            Addressees::Agent => Some("agent".into()),
            Addressees::Group => Some("group".into()),
            Addressees::These(addresses) => ListOf(Email, 1..=32).write(addresses),
        }
    }

    fn expected(&self) -> String {
        "\"agent\", \"group\", or a list of addresses".to_owned()
    }
}
