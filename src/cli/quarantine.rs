//! `quarantine ls|release`. Releasing is a supervisor's right and not an admin's: whoever may use the socket may mint a supervisor's token,
//! so this verb does, for one command, and revokes it.

use super::{
    block_on, conversations,
    failure::Failure,
    pages,
    roster::Roster,
    show,
    socket::{Door, common},
};
use crate::{
    client::Client,
    ids::GroupId,
    protocol::{
        reply::{Done, Minted, QuarantinePage, QuarantineRow, Subject},
        request::{ListQuarantined, MintToken, ReleaseQuarantine, RevokeToken},
        words::Role,
    },
    transport::unix::SOCKET_FILE,
};

/// Seconds for which the token would be good if it could not be revoked.
const TOKEN_LASTS: u32 = 60;

/// What to do with what stands aside.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List what stands aside
    Ls(Ls),
    /// Let one of them take part again
    Release(Release),
}

/// `quarantine ls`.
#[derive(Debug, clap::Args)]
pub(super) struct Ls {
    /// As a JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: Door,
}

/// `quarantine release`.
#[derive(Debug, clap::Args)]
pub(super) struct Release {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    door: Door,
}

/// One of them.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// This conversation: its id, or the end of it
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
    /// This agent: name or id
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// This group
    #[arg(long, value_name = "NAME")]
    group: Option<GroupId>,
    /// The workspace itself
    #[arg(long)]
    itself: bool,
}

pub(super) fn run(verb: &Verb) -> Result<(), Failure> {
    block_on(async {
        match verb {
            Verb::Ls(ls) => list(&ls.door.connect().await?.0, ls.json).await,
            Verb::Release(args) => release(args).await,
        }
    })
}

async fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let rows: Vec<QuarantineRow> = pages::all(usize::MAX, |cursor, limit| {
        let page = client.ask::<QuarantinePage>(ListQuarantined { cursor, limit });
        async move { page.await.map(|page| (page.rows.into_vec(), page.cursor)) }
    })
    .await?;
    if json {
        return show::json(&rows);
    }
    let roster = Roster::of(client).await?;
    let now = client.ping().await?.now;
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let (kind, which) = match &row.subject {
                Subject::Workspace => ("workspace", "-".to_owned()),
                Subject::Group(group) => ("group", group.to_string()),
                Subject::Agent(agent) => ("agent", roster.name(*agent)),
                Subject::Conversation(conversation) => ("conversation", conversation.to_string()),
            };
            [kind.to_owned(), which, format!("{} ago", show::ago(row.since, now))]
        })
        .collect();
    show::table(["kind", "which", "since"], &rows)
}

async fn release(args: &Release) -> Result<(), Failure> {
    let (admin, _) = args.door.connect().await?;
    let conversation = match &args.which.conversation {
        Some(text) => Some(conversations::find(&admin, text).await?),
        None => None,
    };
    let agent = match &args.which.agent {
        Some(text) => Some(Roster::of(&admin).await?.find(text)?),
        None => None,
    };
    let release = ReleaseQuarantine { conversation, agent, group: args.which.group.clone() };
    let mint =
        MintToken { role: Role::Supervisor, visitor: None, agent: None, ttl_seconds: Some(TOKEN_LASTS) };
    let minted: Minted = admin.ask(mint).await?;
    let path = args.door.data_dir()?.join(SOCKET_FILE);
    let (supervisor, _) = Client::connect_unix_as(&path, minted.token.as_str(), &common()).await?;
    let released = supervisor.ask::<Done>(release).await;
    let _: Done = admin.ask(RevokeToken { token_id: minted.token_id }).await?;
    let Done {} = released?;
    show::line("it takes part again")
}
