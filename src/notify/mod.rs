//! Tells the world outside what was recorded: by e-mail and webhooks, each at least once, never in anybody's way.
//!
//! Holds: what of the log is news, for whom; the durable queue; the couriers with their retries; signatures and mail.
//! Knows: the log and its store, what a record means (`reading`). Never: actors, connections, the configuration's files.
//! Start reading at: [`Notifier`], then `clerk.rs`.
//!
//! ```text
//! log ──▶ reading (what is news) ──▶ rules (for whom) ──▶ queue, with the log's position, in one transaction
//!                                                            │
//!                        a thread of its own                 ▼
//!                        ─────────────────────────────  couriers ──▶ webhooks, mail server
//! ```

mod address;
mod clerk;
mod courier;
mod delivery;
mod mail;
mod queue;
mod reading;
mod retry;
mod rules;
mod sign;
mod webhook;
mod words;

pub use self::{
    clerk::{Notifier, Options, Order, Outlook, Page},
    courier::Count,
    delivery::{Delivery, Kind},
    mail::{Encryption, MailServer, Spec as MailSpec},
    reading::Known,
    retry::Patience,
    rules::{Absent, Addressees, MailRule, Rules, Told},
    sign::Secret,
    webhook::{Spec as WebhookSpec, Webhook},
    words::{Error, Outcome, Topic},
};
