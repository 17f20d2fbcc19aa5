//! `agents ls|show|put|rm`.

use super::{
    block_on,
    failure::Failure,
    roster::{self, Roster},
    show,
    socket::Door,
};
use crate::{
    client::Client,
    ids::{AgentId, GroupId},
    protocol::{
        List, Text,
        bounded::OverLimit,
        reply::{AgentDetail, Done},
        request::{PutAgent, RemoveAgent, ShowAgent},
    },
};

/// What to do with agents.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List agents, with why each would be offered nothing
    Ls(Ls),
    /// Show one: what they hold
    Show(Show),
    /// Create an agent, or replace what is known about them
    Put(Put),
    /// Remove an agent; they finish what they have
    Rm(Rm),
}

/// `agents ls`.
#[derive(Debug, clap::Args)]
pub(super) struct Ls {
    /// Only members of this group
    #[arg(long)]
    group: Option<GroupId>,
    /// As a JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: Door,
}

/// `agents show`.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The name, the key in the configuration, or the id
    agent: String,
    /// As one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: Door,
}

/// `agents put`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What is left out is not kept: it gets its default. Agents of the configuration file are managed \
    by the file alone."
)]
pub(super) struct Put {
    /// The name that visitors see; the id is derived from it unless --id is given
    name: String,
    /// The id, to rename an agent or to use one of your own
    #[arg(long)]
    id: Option<AgentId>,
    /// Where to write to them
    #[arg(long)]
    email: Option<String>,
    /// A group that they belong to, besides `everyone`; may be repeated
    #[arg(long)]
    group: Vec<GroupId>,
    /// The most conversations at once; left out, the workspace's
    #[arg(long)]
    cap: Option<u16>,
    /// They may have no conversations
    #[arg(long)]
    no_live_chat: bool,
    /// What their picture is known by, outside
    #[arg(long)]
    avatar: Option<String>,
    /// A site (variable `site`) that they are limited to; may be repeated; left out, they serve all
    #[arg(long)]
    site: Vec<String>,
    /// They see conversations that the bot has in hand
    #[arg(long)]
    sees_bot: bool,
    #[command(flatten)]
    door: Door,
}

/// `agents rm`.
#[derive(Debug, clap::Args)]
pub(super) struct Rm {
    /// The name or the id
    agent: String,
    #[command(flatten)]
    door: Door,
}

pub(super) fn run(verb: &Verb) -> Result<(), Failure> {
    block_on(async {
        match verb {
            Verb::Ls(ls) => list(&ls.door.connect().await?.0, ls).await,
            Verb::Show(show) => detail(&show.door.connect().await?.0, show).await,
            Verb::Put(put) => write(&put.door.connect().await?.0, put).await,
            Verb::Rm(rm) => remove(&rm.door.connect().await?.0, &rm.agent).await,
        }
    })
}

async fn list(client: &Client, ls: &Ls) -> Result<(), Failure> {
    let mut rows = roster::agents(client, ls.group.clone(), usize::MAX).await?;
    if ls.json {
        return show::json(&rows);
    }
    rows.sort_by(|one, two| one.name.cmp(&two.name));
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            [
                row.name.as_str().to_owned(),
                show::word(&row.presence),
                row.state.as_str().to_owned(),
                format!("{}+{} of {}", row.taken, row.reserved, row.cap),
                row.groups.iter().map(GroupId::as_str).collect::<Vec<_>>().join(", "),
                row.agent.to_string(),
            ]
        })
        .collect();
    show::table(["agent", "presence", "state", "slots", "groups", "id"], &rows)
}

async fn detail(client: &Client, args: &Show) -> Result<(), Failure> {
    let agent = Roster::of(client).await?.find(&args.agent)?;
    let detail: AgentDetail = client.ask(ShowAgent { agent }).await?;
    if args.json {
        return show::json(&detail);
    }
    let now = client.ping().await?.now;
    let row = &detail.row;
    let groups: Vec<&str> = row.groups.iter().map(GroupId::as_str).collect();
    show::facts(&[
        ("agent", Some(row.name.as_str().to_owned())),
        ("id", Some(row.agent.to_string())),
        ("email", detail.email.as_ref().map(|email| email.as_str().to_owned())),
        ("presence", Some(show::word(&row.presence))),
        ("state", Some(row.state.as_str().to_owned())),
        ("sessions", Some(detail.sessions.to_string())),
        ("slots", Some(format!("{} taken, {} reserved, of {}", row.taken, row.reserved, row.cap))),
        ("groups", (!groups.is_empty()).then(|| groups.join(", "))),
        ("avatar", row.avatar.as_ref().map(|avatar| avatar.as_str().to_owned())),
        ("sites", (!detail.sites.is_empty()).then(|| join(detail.sites.iter().map(|site| site.as_str())))),
        ("sees the bot's", detail.sees_bot.then(|| "yes".to_owned())),
        ("live chat", (!detail.live_chat).then(|| "no".to_owned())),
        ("notifications", detail.push.map(|on| if on { "on" } else { "off" }.to_owned())),
        (
            "managed by",
            Some(if detail.managed_by_config { "the configuration file" } else { "commands" }.to_owned()),
        ),
        ("missed in a row", Some(detail.missed.to_string())),
        ("last active", detail.last_activity_at.map(|at| format!("{} ago", show::ago(at, now)))),
        ("messages", Some(detail.messages.to_string())),
        ("last assigned", detail.last_assigned_at.map(|at| format!("{} ago", show::ago(at, now)))),
    ])?;
    if detail.holds.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = detail
        .holds
        .iter()
        .map(|item| [item.conversation.to_string(), show::word(&item.held), show::ago(item.since, now)])
        .collect();
    show::line("")?;
    show::table(["holds", "as", "for"], &rows)
}

fn join<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

async fn write(client: &Client, put: &Put) -> Result<(), Failure> {
    let workspace = client.welcome().workspace.clone();
    let derived = || workspace.map(|workspace| AgentId::derive(&workspace, &put.name));
    let agent =
        put.id.or_else(derived).ok_or_else(|| Failure::Usage("say with --workspace where".to_owned()))?;
    let request = request(client, agent, put).map_err(|error| Failure::Usage(error.to_string()))?;
    let _: Done = client.ask(request).await?;
    show::line(agent)
}

fn request(client: &Client, agent: AgentId, put: &Put) -> Result<PutAgent, OverLimit> {
    Ok(PutAgent {
        key: client.identity().next_key(),
        agent,
        name: Text::new(&put.name)?,
        email: put.email.as_ref().map(Text::new).transpose()?,
        groups: List::try_from(put.group.clone())?,
        cap: put.cap,
        live_chat: !put.no_live_chat,
        avatar: put.avatar.as_ref().map(Text::new).transpose()?,
        sites: List::try_from(put.site.iter().map(Text::new).collect::<Result<Vec<_>, _>>()?)?,
        sees_bot: put.sees_bot,
    })
}

async fn remove(client: &Client, text: &str) -> Result<(), Failure> {
    let roster = Roster::of(client).await?;
    let agent = roster.find(text)?;
    let _: Done = client.ask(RemoveAgent { key: client.identity().next_key(), agent }).await?;
    show::line(format_args!("{} is removed and finishes what they have", roster.name(agent)))
}
