//! `archive ls|show|erase|copy`: what was said, also long ago; forgetting it; and a copy of all there is.

use std::path::PathBuf;

use super::{block_on, conversations, failure::Failure, pages, show, socket::Door};
use crate::{
    client::Client,
    ids::{ConversationId, VisitorId},
    protocol::{
        Text,
        notice::StaffEntry,
        reply::{ConversationPage, Done, Erasure, StaffHistory},
        request::{BackUp, Erase, History, ListOfVisitor},
        words::Speaker,
    },
};

/// Events of one page of a transcript.
const PAGE: u16 = 200;

/// What to do with what is kept.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List a visitor's conversations, open and closed
    Ls(Ls),
    /// Print a conversation's transcript: all that happened, notes and decisions included
    Show(Show),
    /// Erase what is known of a closed conversation or of a visitor. Says first what it comes to
    Erase(EraseArgs),
    /// Copy everything into an empty directory, while the daemon runs; a daemon can be started on the copy
    Copy(Copy),
}

/// `archive ls`.
#[derive(Debug, clap::Args)]
pub(super) struct Ls {
    /// Whose
    #[arg(long, value_name = "ID")]
    visitor: VisitorId,
    /// At most so many
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
    /// As a JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: Door,
}

/// `archive show`.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The conversation's id, or the end of it
    conversation: String,
    /// As JSON lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: Door,
}

/// `archive erase`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("whom").required(true))]
pub(super) struct EraseArgs {
    /// All conversations of this visitor
    #[arg(long, value_name = "ID", group = "whom")]
    visitor: Option<VisitorId>,
    /// This conversation
    #[arg(long, value_name = "ID", group = "whom")]
    conversation: Option<ConversationId>,
    /// The word that the first step gave: now do it
    #[arg(long, value_name = "WORD")]
    confirm: Option<String>,
    #[command(flatten)]
    door: Door,
}

/// `archive copy`.
#[derive(Debug, clap::Args)]
pub(super) struct Copy {
    /// Where to; made if it is not there, and must be empty
    directory: PathBuf,
    #[command(flatten)]
    door: Door,
}

pub(super) fn run(verb: &Verb) -> Result<(), Failure> {
    block_on(async {
        match verb {
            Verb::Ls(ls) => list(&ls.door.connect().await?.0, ls).await,
            Verb::Show(show) => transcript(&show.door.connect().await?.0, show).await,
            Verb::Erase(args) => erase(&args.door.connect().await?.0, args).await,
            Verb::Copy(args) => copy(&args.door.connect().await?.0, args).await,
        }
    })
}

async fn list(client: &Client, ls: &Ls) -> Result<(), Failure> {
    let rows = pages::all(ls.limit, |cursor, limit| {
        let page = client.ask::<ConversationPage>(ListOfVisitor { visitor: ls.visitor, cursor, limit });
        async move { page.await.map(|page| (page.rows.into_vec(), page.cursor)) }
    })
    .await?;
    if ls.json {
        return show::json(&rows);
    }
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            [
                row.conversation.to_string(),
                show::word(&row.status),
                show::or_dash(row.group.as_ref()),
                show::moment(row.opened_at),
                row.seq.to_string(),
            ]
        })
        .collect();
    show::table(["conversation", "status", "group", "opened", "events"], &rows)
}

async fn transcript(client: &Client, args: &Show) -> Result<(), Failure> {
    let conversation = conversations::find(client, &args.conversation).await?;
    let mut after = 0;
    loop {
        let page: StaffHistory =
            client.ask(History { conversation, speaker: Speaker::Me, after, limit: PAGE }).await?;
        for entry in page.events.iter() {
            if args.json { show::line(as_json(entry))? } else { show::line(as_text(entry))? }
        }
        match page.next {
            Some(next) => after = next,
            None => return Ok(()),
        }
    }
}

fn as_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// `12  2026-11-21 14:36:06  agent …  {"said":{"body":"hello"}}`.
fn as_text(entry: &StaffEntry) -> String {
    format!("{:>4}  {}  {}  {}", entry.seq, show::moment(entry.at), as_json(&entry.by), as_json(&entry.event))
}

async fn erase(client: &Client, args: &EraseArgs) -> Result<(), Failure> {
    let confirm = args.confirm.as_ref().map(Text::clip);
    let request = Erase { conversation: args.conversation, visitor: args.visitor, confirm };
    let Erasure { conversations, confirm } = client.ask(request).await?;
    match confirm {
        Some(word) => show::line(format_args!(
            "{conversations} conversations would be erased, for ever; to do it, add --confirm {}",
            word.as_str()
        )),
        None => show::line(format_args!("{conversations} conversations are erased")),
    }
}

async fn copy(client: &Client, args: &Copy) -> Result<(), Failure> {
    let directory = std::path::absolute(&args.directory)
        .map_err(|error| Failure::Usage(format!("{}: {error}", args.directory.display())))?;
    let Some(text) = directory.to_str().filter(|text| text.len() <= 4_096) else {
        return Err(Failure::Usage(format!("{} can't be sent to the daemon", directory.display())));
    };
    let _: Done = client.ask(BackUp { directory: Text::clip(text) }).await?;
    show::line(format_args!("a daemon can be started on {}", directory.display()))
}
