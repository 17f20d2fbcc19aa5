//! `groups ls|show`.

use super::{block_on, failure::Failure, pages, show, socket::Door};
use crate::{
    client::Client,
    ids::GroupId,
    protocol::{
        reply::{GroupDetail, GroupPage},
        request::{ListGroups, ShowGroup},
        words::GroupRow,
    },
};

/// What to do with groups.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List groups with their lines
    Ls(Ls),
    /// Show one: its limits and the head of its line
    Show(Show),
}

/// `groups ls`.
#[derive(Debug, clap::Args)]
pub(super) struct Ls {
    /// As a JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: Door,
}

/// `groups show`.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// Its name
    group: GroupId,
    /// As one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: Door,
}

pub(super) fn run(verb: &Verb) -> Result<(), Failure> {
    block_on(async {
        match verb {
            Verb::Ls(ls) => list(&ls.door.connect().await?.0, ls.json).await,
            Verb::Show(show) => detail(&show.door.connect().await?.0, show).await,
        }
    })
}

async fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let rows: Vec<GroupRow> = pages::all(usize::MAX, |cursor, limit| {
        let page = client.ask::<GroupPage>(ListGroups { cursor, limit });
        async move { page.await.map(|page| (page.rows.into_vec(), page.cursor)) }
    })
    .await?;
    if json {
        return show::json(&rows);
    }
    let now = client.ping().await?.now;
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            [
                row.group.to_string(),
                show::word(&row.strategy),
                row.waiting.to_string(),
                row.offered.to_string(),
                row.active.to_string(),
                row.missed.to_string(),
                show::or_dash(row.oldest_waiting_since.map(|since| show::ago(since, now))),
                row.agents_online.to_string(),
                row.slots_free.to_string(),
            ]
        })
        .collect();
    show::table(
        ["group", "strategy", "waiting", "offered", "active", "missed", "oldest", "online", "free slots"],
        &rows,
    )
}

async fn detail(client: &Client, args: &Show) -> Result<(), Failure> {
    let detail: GroupDetail = client.ask(ShowGroup { group: args.group.clone() }).await?;
    if args.json {
        return show::json(&detail);
    }
    let now = client.ping().await?.now;
    let GroupDetail { row, line, .. } = &detail;
    let seconds = |millis: u64| format!("{} s", millis as f64 / 1_000.0);
    let overflow: Vec<String> = detail.overflow.iter().map(ToString::to_string).collect();
    show::facts(&[
        ("group", Some(row.group.to_string())),
        ("label", (!row.label.is_empty()).then(|| row.label.as_str().to_owned())),
        ("strategy", Some(show::word(&row.strategy))),
        ("state", (!detail.enabled).then(|| "switched off".to_owned())),
        ("set aside", detail.quarantined.then(|| "after repeated failures".to_owned())),
        (
            "conversations",
            Some(format!(
                "{} waiting, {} offered, {} active, {} missed",
                row.waiting, row.offered, row.active, row.missed
            )),
        ),
        (
            "agents",
            Some(format!(
                "{} members, {} online, {} slots free",
                detail.members, row.agents_online, row.slots_free
            )),
        ),
        ("accept_timeout", Some(seconds(detail.accept_timeout_ms))),
        ("max_wait", Some(detail.max_wait_ms.map_or_else(|| "none".to_owned(), seconds))),
        ("max_offers", Some(detail.max_offers.map_or_else(|| "all".to_owned(), |max| max.to_string()))),
        ("overflow", (!overflow.is_empty()).then(|| overflow.join(", then "))),
    ])?;
    if line.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = line
        .iter()
        .map(|place| {
            [place.conversation.to_string(), place.priority.to_string(), show::ago(place.since, now)]
        })
        .collect();
    show::line("")?;
    show::table(["next in line", "class", "waits"], &rows)
}
