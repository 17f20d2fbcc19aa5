//! `token new|ls|revoke`: with the daemon that runs, or on the data directory itself when none does.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use clap::ValueEnum;

use super::{block_on, failure::Failure, offline, pages, roster::Roster, show, socket::Door, span};
use crate::{
    client::Client,
    ids::VisitorId,
    protocol::{
        Text,
        reply::{Done, Minted, TokenPage},
        request::{ListTokens, MintToken, RevokeToken},
        words::Role,
    },
};

/// What to do with tokens.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Make a token and print it: it is shown only this once
    New(New),
    /// List tokens, without their secrets
    Ls(Ls),
    /// Make a token worthless and end its connections at once
    Revoke(Revoke),
}

/// `token new`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The token alone goes to standard output: TOKEN=$(maitred token new --role frontend)")]
pub(super) struct New {
    /// What it allows; --agent and --visitor say it as well
    #[arg(long, value_enum, required_unless_present_any = ["agent", "visitor"])]
    role: Option<Allows>,
    /// Whose, for an agent's token: the name, the key in the configuration, or the id
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Whose, for a visitor's token: an id, or any name, from which the id is derived
    #[arg(long, value_name = "VISITOR", conflicts_with = "agent")]
    visitor: Option<String>,
    /// How long it lasts, such as 90s, 15m, 8h or 30d; left out, until it is revoked
    #[arg(long, value_parser = span::parse)]
    ttl: Option<Duration>,
    /// As one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: Door,
}

/// `token ls`.
#[derive(Debug, clap::Args)]
pub(super) struct Ls {
    /// As a JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: Door,
}

/// `token revoke`.
#[derive(Debug, clap::Args)]
pub(super) struct Revoke {
    /// The token's name, from `token ls`; not its secret
    id: String,
    #[command(flatten)]
    door: Door,
}

/// The roles, as they are typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Allows {
    /// To be one visitor
    Visitor,
    /// To be one agent
    Agent,
    /// To read and move everything in the workspace
    Supervisor,
    /// To speak for visitors and attached agents: a chat backend
    Frontend,
    /// Agents, tokens, reload, drain
    Admin,
}

pub(super) fn run(verb: &Verb) -> Result<(), Failure> {
    let (door, make) = match verb {
        Verb::New(new) => (&new.door, true),
        Verb::Ls(ls) => (&ls.door, false),
        Verb::Revoke(revoke) => (&revoke.door, false),
    };
    block_on(async {
        let reached = offline::reach(door, make).await?;
        let done = match verb {
            Verb::New(new) => mint(&reached.client, new).await,
            Verb::Ls(ls) => list(&reached.client, ls).await,
            Verb::Revoke(revoke) => strike(&reached.client, revoke).await,
        };
        reached.leave().await?;
        done
    })
}

async fn mint(client: &Client, new: &New) -> Result<(), Failure> {
    let request = order(client, new).await?;
    let minted: Minted = client.ask(request).await?;
    if new.json {
        return show::json(&minted);
    }
    show::line(minted.token.as_str())?;
    let until = minted
        .expires
        .map_or_else(|| "until it is revoked".to_owned(), |at| format!("until {}", show::moment(at)));
    let _ = writeln!(io::stderr(), "token {}, good {until}; it is not shown again", minted.token_id.as_str());
    Ok(())
}

async fn order(client: &Client, new: &New) -> Result<MintToken, Failure> {
    let role = match (new.role, &new.agent, &new.visitor) {
        (Some(Allows::Agent) | None, Some(_), None) => Role::Agent,
        (Some(Allows::Visitor) | None, None, Some(_)) => Role::Visitor,
        (Some(Allows::Supervisor), None, None) => Role::Supervisor,
        (Some(Allows::Frontend), None, None) => Role::Frontend,
        (Some(Allows::Admin), None, None) => Role::Admin,
        (Some(Allows::Agent), ..) => {
            return Err(Failure::Usage("say with --agent whose token it is".to_owned()));
        }
        (Some(Allows::Visitor), ..) => {
            return Err(Failure::Usage("say with --visitor whose token it is".to_owned()));
        }
        _ => return Err(Failure::Usage("--agent and --visitor go with tokens of that role only".to_owned())),
    };
    let agent = match &new.agent {
        Some(text) => Some(Roster::of(client).await?.find(text)?),
        None => None,
    };
    let visitor = new.visitor.as_ref().and_then(|text| {
        let derived = || Some(VisitorId::derive(client.welcome().workspace.as_ref()?, text));
        text.parse().ok().or_else(derived)
    });
    let ttl_seconds = match new.ttl.map(|ttl| u32::try_from(ttl.as_secs())) {
        None => None,
        Some(Ok(seconds)) if seconds > 0 => Some(seconds),
        Some(_) => return Err(Failure::Usage("--ttl takes a second to a hundred years".to_owned())),
    };
    Ok(MintToken { role, visitor, agent, ttl_seconds })
}

async fn list(client: &Client, ls: &Ls) -> Result<(), Failure> {
    let rows = pages::all(usize::MAX, |cursor, limit| {
        let page = client.ask::<TokenPage>(ListTokens { cursor, limit });
        async move { page.await.map(|page| (page.rows.into_vec(), page.cursor)) }
    })
    .await?;
    if ls.json {
        return show::json(&rows);
    }
    let roster = Roster::of(client).await?;
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let whose = match (row.agent, row.visitor) {
                (Some(agent), _) => roster.name(agent),
                (None, Some(visitor)) => visitor.to_string(),
                (None, None) => "-".to_owned(),
            };
            let expires = row.expires.map_or_else(|| "never".to_owned(), show::moment);
            let (id, role) = (row.token_id.as_str().to_owned(), show::word(&row.role));
            [id, role, whose, show::moment(row.created_at), expires, row.sessions.to_string()]
        })
        .collect();
    show::table(["token", "role", "whose", "made", "expires", "sessions"], &rows)
}

async fn strike(client: &Client, revoke: &Revoke) -> Result<(), Failure> {
    // Whoever pastes the whole token means its middle part.
    let id = revoke.id.strip_prefix("mtr_").and_then(|rest| rest.split('_').next()).unwrap_or(&revoke.id);
    let token_id = Text::new(id).map_err(|error| Failure::Usage(format!("not a token's name: {error}")))?;
    let _: Done = client.ask(RevokeToken { token_id }).await?;
    show::line(format_args!("{id} is revoked"))
}
