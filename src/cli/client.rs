//! `client`: what redis-cli is to Redis. JSON commands as lines on standard input; replies and notices as JSON lines on
//! standard output.

mod command;
mod help;
mod output;

use std::{
    io::{self, BufRead as _},
    path::PathBuf,
    thread,
};

use tokio::{sync::mpsc, task::JoinSet};

use self::command::Line;
use super::{
    block_on,
    failure::Failure,
    signals::{Signals, Wish},
    socket::{Door, common},
};
use crate::{
    client::{Ca, Client, Ended, Notices, Options, RequestError},
    protocol::Reply,
    transport::tls::Fingerprint,
};

/// Lines read ahead of what the daemon takes.
const READ_AHEAD: usize = 256;

/// What may follow the verb.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without --connect it speaks to the daemon on this machine through the Unix socket in its data \
    directory, as an admin.\nType `help` for the commands, `help open` for one of them."
)]
pub(super) struct Args {
    /// The daemon's address; without one, the Unix socket is used
    #[arg(long, value_name = "HOST:PORT", env = "MAITRED_ADDRESS", requires = "token")]
    connect: Option<String>,
    /// The token to show
    #[arg(long, env = "MAITRED_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The certificate to trust: a PEM file, or a fingerprint as `serve` prints it
    #[arg(long, value_name = "FILE", env = "MAITRED_CA")]
    ca: Option<Ca>,
    /// The fingerprint of the certificate to trust
    #[arg(long, value_name = "HEX", conflicts_with = "ca")]
    fingerprint: Option<Fingerprint>,
    /// The name that the certificate must bear, if it is not the address
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// The Unix socket, if it is not in the data directory
    #[arg(long, value_name = "PATH", conflicts_with = "connect")]
    socket: Option<PathBuf>,
    /// Stay for notices when standard input has ended
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    door: Door,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    block_on(async {
        let follow = args.follow;
        let (client, notices) = connect(args).await?;
        converse(client, notices, follow).await
    })
}

async fn connect(args: Args) -> Result<(Client, Notices), Failure> {
    let Some(address) = args.connect else {
        return match args.socket {
            Some(path) => args
                .door
                .try_connect(&path)
                .await?
                .ok_or_else(|| Failure::Unreachable(format!("no daemon listens on {}", path.display()))),
            None => args.door.connect().await,
        };
    };
    let ca = match (args.ca, args.fingerprint) {
        (Some(ca), _) => ca,
        (None, Some(fingerprint)) => Ca::Fingerprint(fingerprint),
        (None, None) => {
            return Err(Failure::Usage(
                "--connect needs --ca FILE or --fingerprint HEX; `maitred serve` prints both".to_owned(),
            ));
        }
    };
    let token = args.token.unwrap_or_default();
    let mut options = Options::new(address, ca, token);
    options.server_name = args.server_name;
    options.common = common();
    Ok(Client::connect(&options).await?)
}

/// What one line led to.
enum Outcome {
    Answered,
    /// No answer will come: the line was wrong, or the connection ended first.
    Unanswered,
}

/// Lines in, lines out, until the input has ended and all is answered, or the connection ends.
async fn converse(client: Client, mut notices: Notices, follow: bool) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let mut lines = read_lines();
    let mut asked = JoinSet::new();
    let mut unanswered = false;
    let mut reading = true;
    let mut number = 0;
    loop {
        if !reading && asked.is_empty() && !follow {
            break;
        }
        tokio::select! {
            line = lines.recv(), if reading => match line {
                Some(line) => {
                    number += 1;
                    unanswered |= !take(&client, number, &line, &mut asked).await?;
                }
                None => reading = false,
            },
            Some(done) = asked.join_next() => {
                unanswered |= !matches!(done, Ok(Ok(Outcome::Answered)));
                if let Ok(Err(failure)) = done {
                    return Err(failure);
                }
            }
            told = notices.next() => match told {
                Some(told) => output::told(&told)?,
                None => return Err(ended(&client)),
            },
            wish = signals.next() => if wish == Wish::End { break },
        }
    }
    // Notices that came with the last replies are behind them on the same stream; a round trip brings them in.
    if client.ping().await.is_ok() {
        client.close().await;
        while let Some(told) = notices.next().await {
            output::told(&told)?;
        }
    }
    if unanswered {
        Err(Failure::Run("some lines were not understood or not answered".to_owned()))
    } else {
        Ok(())
    }
}

/// Sends what the line asks for; whether there was anything wrong with it.
async fn take(
    client: &Client,
    number: u64,
    line: &str,
    asked: &mut JoinSet<Result<Outcome, Failure>>,
) -> Result<bool, Failure> {
    match command::read(line, number, client) {
        Ok(Line::Nothing) => {}
        Ok(Line::Help(about)) => help::show(about.as_deref()),
        Ok(Line::Command { id, request }) => {
            client.room().await;
            let pending = client.ask::<Reply>(*request);
            asked.spawn(async move {
                match pending.await {
                    Ok(reply) => output::reply(&id, &reply).map(|()| Outcome::Answered),
                    Err(RequestError::Refused(refused)) => {
                        output::reply(&id, &refused.into()).map(|()| Outcome::Answered)
                    }
                    Err(error) => output::error(&id, &error.to_string()).map(|()| Outcome::Unanswered),
                }
            });
        }
        Err(wrong) => {
            output::error(&wrong.id, &wrong.why)?;
            return Ok(false);
        }
    }
    Ok(true)
}

/// Standard input can't be waited for together with the rest, so a thread reads it; it dies with the process.
fn read_lines() -> mpsc::Receiver<String> {
    let (read, lines) = mpsc::channel(READ_AHEAD);
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            // What is not text ends the input as its end does.
            if line.map_or(true, |line| read.blocking_send(line).is_err()) {
                return;
            }
        }
    });
    lines
}

fn ended(client: &Client) -> Failure {
    match client.ended().unwrap_or(Ended::Here) {
        Ended::GoneAway(away) => Failure::Unreachable(Ended::GoneAway(away).to_string()),
        other => Failure::Run(other.to_string()),
    }
}
