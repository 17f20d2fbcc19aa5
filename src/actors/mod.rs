//! Who runs where, and what happens when it falls.
//!
//! Holds: one actix actor per conversation, agent, group and workspace as a thin shell round its machine; directory, timers, outbox, sessions.
//! Knows: routing, the journal's handle, metrics. Never: quinn, bytes of the wire, rules.
//! Start reading at: [`gate::Gate`], then `shell.rs` and `conversation.rs`.
//!
//! ```text
//! daemon
//! └─ arbiter (a thread with its own runtime)         local.rs: clock, held effects, timer wheel
//!    └─ workspace (all its actors on one arbiter)    space.rs: rules, lists, sessions, tell
//!       ├─ WorkspaceActor                            one open conversation per visitor and channel, names, tokens
//!       ├─ GroupActor, one each                      queue × roster; closed for routing when it falls too often
//!       ├─ AgentActor, one each                      slots; ineligible when it falls too often
//!       └─ ConversationActor                         ownership; one for each that has something to do; put aside when it falls too often
//! ```
//! Every step of every machine runs under `supervision::guard`; a machine that falls is rebuilt in place, so addresses and mailboxes survive.

pub mod archivist;
pub mod aside;
pub mod attendance;
pub mod boot;
pub mod directory;
pub mod erasure;
pub mod export;
pub mod gate;
pub mod intake;
pub mod keeping;
pub mod lists;
pub mod local;
pub mod port;
pub mod sessions;
pub mod space;
pub mod tokens;

pub mod queries;

mod agent;
mod choices;
mod conversation;
mod count;
mod faults;
mod fold;
mod group;
mod history;
mod ledger;
mod lobby;
mod past;
mod places;
mod publish;
mod respawn;
mod resting;
mod shell;
mod stored;
mod supervision;
mod timers;
mod workspace;
