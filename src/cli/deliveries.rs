//! `deliveries ls|show|retry|drop`: e-mails and webhooks on their way, and those that were given up.

use super::{block_on, failure::Failure, show, socket::Door};
use crate::{
    client::Client,
    protocol::{
        reply::{DeliveryDetail, DeliveryPage, DeliveryRow, Done},
        request::{DropDelivery, ListDeliveries, RetryDelivery, ShowDelivery},
        words::PAGE,
    },
};

/// What to do with what is to be delivered.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List what waits, or with --dead what was given up
    Ls(Ls),
    /// Show one with what is sent
    Show(Which),
    /// Try one now, also one that was given up
    Retry(Which),
    /// Take one away for good
    Drop(Which),
}

/// `deliveries ls`.
#[derive(Debug, clap::Args)]
pub(super) struct Ls {
    /// Those that were given up
    #[arg(long)]
    dead: bool,
    /// As a JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: Door,
}

/// One of them.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Its number
    delivery: u64,
    #[command(flatten)]
    door: Door,
}

pub(super) fn run(verb: &Verb) -> Result<(), Failure> {
    block_on(async {
        match verb {
            Verb::Ls(ls) => list(&ls.door.connect().await?.0, ls).await,
            Verb::Show(which) => detail(&which.door.connect().await?.0, which.delivery).await,
            Verb::Retry(which) => {
                let (client, _) = which.door.connect().await?;
                let Done {} = client.ask(RetryDelivery { delivery: which.delivery }).await?;
                show::line("it is tried now")
            }
            Verb::Drop(which) => {
                let (client, _) = which.door.connect().await?;
                let Done {} = client.ask(DropDelivery { delivery: which.delivery }).await?;
                show::line("it is gone")
            }
        }
    })
}

async fn list(client: &Client, ls: &Ls) -> Result<(), Failure> {
    let mut rows: Vec<DeliveryRow> = Vec::new();
    let mut after = Some(0);
    while let Some(from) = after {
        let limit = u16::try_from(PAGE).unwrap_or(u16::MAX);
        let page: DeliveryPage = client.ask(ListDeliveries { dead: ls.dead, after: from, limit }).await?;
        rows.extend(page.rows);
        after = page.next;
    }
    if ls.json {
        return show::json(&rows);
    }
    let now = client.ping().await?.now;
    let rows: Vec<_> = rows.iter().map(|row| line(row, now)).collect();
    show::table(["number", "event", "to", "queued", "attempts", "next", "trouble"], &rows)
}

fn line(row: &DeliveryRow, now: crate::clock::Timestamp) -> [String; 7] {
    let to = row.to.as_deref().unwrap_or(row.endpoint.as_str()).to_owned();
    let next = match row.due {
        None => "given up".to_owned(),
        Some(due) if due <= now => "now".to_owned(),
        Some(due) => format!("in {}", show::ago(now, due)),
    };
    [
        row.delivery.to_string(),
        row.topic.as_str().to_owned(),
        to,
        format!("{} ago", show::ago(row.queued_at, now)),
        row.attempts.to_string(),
        next,
        show::or_dash(row.trouble.as_deref()),
    ]
}

async fn detail(client: &Client, delivery: u64) -> Result<(), Failure> {
    let found: DeliveryDetail = client.ask(ShowDelivery { delivery }).await?;
    let row = &found.row;
    show::facts(&[
        ("number", Some(row.delivery.to_string())),
        ("message", Some(row.message.as_str().to_owned())),
        ("event", Some(row.topic.as_str().to_owned())),
        ("by", Some(show::word(&row.way))),
        ("endpoint", Some(row.endpoint.as_str().to_owned())),
        ("to", row.to.as_deref().map(str::to_owned)),
        ("conversation", row.conversation.map(|id| id.to_string())),
        ("queued", Some(show::moment(row.queued_at))),
        ("next", Some(row.due.map_or("given up".to_owned(), show::moment))),
        ("attempts", Some(row.attempts.to_string())),
        ("trouble", row.trouble.as_deref().map(str::to_owned)),
        ("subject", found.subject.as_deref().map(str::to_owned)),
    ])?;
    show::line(format!("\n{}", found.body.as_str()))
}
