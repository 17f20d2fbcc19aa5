//! `conversations ls|show`, and finding one by the end of its id.

use clap::ValueEnum;

use super::{block_on, failure::Failure, pages, roster::Roster, show, socket::Door};
use crate::{
    client::Client,
    clock::Timestamp,
    ids::{AgentId, ConversationId, GroupId},
    protocol::{
        reply::{ConversationDetail, ConversationPage, StayView},
        request::{ListConversations, ShowConversation},
        words::{ConversationRow, View},
    },
};

/// How many conversations are looked through for one whose id ends as given.
const LOOKED_THROUGH: usize = 10_000;

/// Digits of an id's end that are enough to look for it. Its beginning is the time, the same for many.
const END_MIN: usize = 6;

/// What to do with conversations.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List conversations
    Ls(Ls),
    /// Show one: who takes part, what it waits for
    Show(Show),
}

/// `conversations ls`.
#[derive(Debug, clap::Args)]
pub(super) struct Ls {
    /// Only those in this state
    #[arg(long, value_enum, default_value = "open")]
    view: Which,
    /// Only those of this group
    #[arg(long)]
    group: Option<GroupId>,
    /// Only those owned by this agent
    #[arg(long)]
    agent: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// As a JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: Door,
}

/// `conversations show`.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// Its id, or the end of it
    conversation: String,
    /// As one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: Door,
}

/// The views, as they are typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// All that are not closed
    Open,
    /// In a queue, offered to nobody
    Waiting,
    /// Offered or announced
    Offered,
    /// Owned by an agent
    Active,
    /// The fallback message went out
    Missed,
    /// Closed
    Closed,
    /// Set aside after repeated failures
    Quarantined,
}

pub(super) fn run(verb: &Verb) -> Result<(), Failure> {
    block_on(async {
        match verb {
            Verb::Ls(ls) => list(&ls.door.connect().await?.0, ls).await,
            Verb::Show(show) => detail(&show.door.connect().await?.0, show).await,
        }
    })
}

async fn list(client: &Client, ls: &Ls) -> Result<(), Failure> {
    let roster = Roster::of(client).await?;
    let agent = ls.agent.as_ref().map(|text| roster.find(text)).transpose()?;
    let view = match ls.view {
        Which::Open => View::All,
        Which::Waiting => View::Waiting,
        Which::Offered => View::Offered,
        Which::Active => View::Active,
        Which::Missed => View::Missed,
        Which::Closed => View::Closed,
        Which::Quarantined => View::Quarantined,
    };
    let rows = rows(client, view, ls.group.clone(), agent, ls.limit).await?;
    if ls.json {
        return show::json(&rows);
    }
    let now = client.ping().await?.now;
    let rows: Vec<_> = rows.iter().map(|row| columns(row, &roster, now)).collect();
    show::table(["conversation", "status", "group", "owner", "class", "opened", "waits", "events"], &rows)
}

fn columns(row: &ConversationRow, roster: &Roster, now: Timestamp) -> [String; 8] {
    [
        row.conversation.to_string(),
        show::word(&row.status),
        show::or_dash(row.group.as_ref()),
        show::or_dash(row.owner.map(|owner| roster.name(owner))),
        row.priority.to_string(),
        show::moment(row.opened_at),
        show::or_dash(row.waiting_since.map(|since| show::ago(since, now))),
        row.seq.to_string(),
    ]
}

async fn rows(
    client: &Client,
    view: View,
    group: Option<GroupId>,
    agent: Option<AgentId>,
    at_most: usize,
) -> Result<Vec<ConversationRow>, Failure> {
    pages::all(at_most, |cursor, limit| {
        let page = client.ask::<ConversationPage>(ListConversations {
            view,
            group: group.clone(),
            agent,
            cursor,
            limit,
        });
        async move { page.await.map(|page| (page.rows.into_vec(), page.cursor)) }
    })
    .await
}

async fn detail(client: &Client, args: &Show) -> Result<(), Failure> {
    let conversation = find(client, &args.conversation).await?;
    let detail: ConversationDetail = client.ask(ShowConversation { conversation }).await?;
    if args.json {
        return show::json(&detail);
    }
    let roster = Roster::of(client).await?;
    let now = client.ping().await?.now;
    let ConversationDetail { row, participants, variables, tags, stay, waits_because, quarantined, .. } =
        detail;
    show::facts(&[
        ("conversation", Some(row.conversation.to_string())),
        ("status", Some(show::word(&row.status))),
        ("group", row.group.as_ref().map(ToString::to_string)),
        ("owner", row.owner.map(|owner| roster.name(owner))),
        ("participants", some(roster.list(participants))),
        ("visitor", Some(row.visitor.to_string())),
        ("channel", Some(row.channel.to_string())),
        ("opened by", Some(show::word(&row.origin))),
        ("tags", some(tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>().join(", "))),
        ("class", Some(row.priority.to_string())),
        ("opened", Some(format!("{} ({} ago)", show::moment(row.opened_at), show::ago(row.opened_at, now)))),
        ("events", Some(row.seq.to_string())),
        ("stay", stay.map(|stay| stayed(&stay, &roster, now))),
        ("because", waits_because.map(|why| roster.named(&why))),
        ("set aside", quarantined.then(|| "after repeated failures".to_owned())),
    ])?;
    for variable in variables.iter() {
        show::line(format_args!("  {} = {}", variable.name.as_str(), variable.value.as_str()))?;
    }
    Ok(())
}

fn stayed(stay: &StayView, roster: &Roster, now: Timestamp) -> String {
    let mut text = format!(
        "number {} in {} ({}), for {}, {} offers",
        stay.number,
        stay.group,
        show::word(&stay.cause),
        show::ago(stay.since, now),
        stay.offers
    );
    for pending in stay.pending.iter() {
        text.push_str(&format!("; asks {}", roster.name(pending.agent)));
        if let Some(deadline) = pending.deadline {
            text.push_str(&format!(" for {:.1} s more", deadline.since(now).as_secs_f64()));
        }
    }
    if !stay.tried.is_empty() {
        text.push_str(&format!("; tried {}", roster.list(stay.tried.iter().copied())));
    }
    text
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// The conversation with this id, or the only one whose id ends so.
pub(super) async fn find(client: &Client, text: &str) -> Result<ConversationId, Failure> {
    let wrong = match text.parse::<ConversationId>() {
        Ok(id) => return Ok(id),
        Err(error) => error,
    };
    let end: String = text.to_ascii_lowercase();
    if end.len() < END_MIN || !end.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        return Err(Failure::Usage(format!("{wrong}; its last {END_MIN} digits would do")));
    }
    let mut found = Vec::new();
    for view in [View::All, View::Closed] {
        let rows = rows(client, view, None, None, LOOKED_THROUGH).await?;
        found.extend(rows.iter().map(|row| row.conversation).filter(|id| id.to_string().ends_with(&end)));
    }
    found.sort_unstable();
    found.dedup();
    match found[..] {
        [id] => Ok(id),
        [] => Err(Failure::Run(format!("no conversation's id ends in {end}"))),
        _ => Err(Failure::Run(format!("{} conversations' ids end in {end}: give more of it", found.len()))),
    }
}
