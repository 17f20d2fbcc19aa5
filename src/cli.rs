//! What can be typed after `maitred`: one verb each.
//!
//! Holds: the verbs, exit codes, how logs and tables look. Knows: `daemon`, `client`, `config`. Never: rules.
//! Start reading at: [`run`], then the verb's file.

mod agents;
mod archive;
mod check_config;
mod client;
mod conversations;
mod deliveries;
mod dev;
mod explain;
mod failure;
mod groups;
mod house;
mod journal;
mod logging;
mod offline;
mod pages;
mod quarantine;
mod roster;
mod serve;
mod service;
mod show;
mod signals;
mod socket;
mod span;
mod token;
mod version;

use std::{future::Future, process::ExitCode, thread};

use clap::{Parser, Subcommand};
use tokio::sync::oneshot;

use self::failure::Failure;

/// The maître d' of live chat: decides which agent or group gets each conversation.
#[derive(Debug, Parser)]
#[command(name = "maitred", version, arg_required_else_help = true, max_term_width = 110)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed while running, 2 wrong usage, 69 no daemon to talk to, \
    75 a second signal cut a drain short, 78 the configuration or the log is refused."
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the daemon
    Serve(serve::Args),
    /// Try it: a demo workspace with made-up agents and visitors, and what is decided, line by line
    Dev(dev::Args),
    /// Say everything that is wrong with a configuration file
    CheckConfig(check_config::Args),
    /// Talk to a daemon: JSON commands as lines on standard input, replies and notices as JSON lines on standard output
    Client(client::Args),
    /// Make, list and revoke tokens
    #[command(subcommand)]
    Token(token::Verb),
    /// Say why a conversation was routed as it was, and why not to a certain agent
    Explain(explain::Args),
    /// List and show conversations
    #[command(subcommand)]
    Conversations(conversations::Verb),
    /// Transcripts, a visitor's conversations, erasure, and a copy of everything
    #[command(subcommand)]
    Archive(archive::Verb),
    /// Verify or export a data directory that no daemon uses
    #[command(subcommand)]
    Journal(journal::Verb),
    /// List and show groups and their lines
    #[command(subcommand)]
    Groups(groups::Verb),
    /// List, show, create and remove agents
    #[command(subcommand)]
    Agents(agents::Verb),
    /// E-mails and webhooks on their way, and those that were given up
    #[command(subcommand)]
    Deliveries(deliveries::Verb),
    /// List what stands aside after repeated failures, and let it take part again
    #[command(subcommand)]
    Quarantine(quarantine::Verb),
    /// Let the daemon read its configuration again: all of it, or nothing
    Reload(house::ReloadArgs),
    /// Let the daemon end in order
    Drain(house::DrainArgs),
    /// Say which version this is
    Version(version::Args),
}

/// Does what the command line says.
#[must_use]
pub fn run() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Serve(args) => serve::run(&args),
        Verb::Dev(args) => dev::run(&args),
        Verb::CheckConfig(args) => check_config::run(&args),
        Verb::Client(args) => client::run(args),
        Verb::Token(verb) => token::run(&verb),
        Verb::Explain(args) => explain::run(&args),
        Verb::Conversations(verb) => conversations::run(&verb),
        Verb::Archive(verb) => archive::run(&verb),
        Verb::Journal(verb) => journal::run(&verb),
        Verb::Groups(verb) => groups::run(&verb),
        Verb::Agents(verb) => agents::run(&verb),
        Verb::Deliveries(verb) => deliveries::run(&verb),
        Verb::Quarantine(verb) => quarantine::run(&verb),
        Verb::Reload(args) => house::reload(&args),
        Verb::Drain(args) => house::drain(&args),
        Verb::Version(args) => version::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

/// Runs a verb that waits for others, on this thread.
fn block_on<T>(verb: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Run(format!("can't start: {error}")))?.block_on(verb)
}

/// Runs what blocks on a thread of its own, which the end of the process need not wait for.
fn on_a_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<oneshot::Receiver<T>, Failure> {
    let (done, result) = oneshot::channel();
    let run = move || {
        // Nobody waits any more when the process is ending.
        let _ = done.send(work());
    };
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|error| Failure::Run(format!("can't start a thread: {error}")))?;
    Ok(result)
}
