//! Made-up agents: quick ones, slow ones, choosy ones.

use std::{ops::Range, sync::Arc};

use rand::{random_bool, random_range};
use tokio::{task::JoinSet, time::sleep};

use super::{super::super::failure::Failure, one_of, pause};
use crate::{
    client::{Client, Notices, RequestError, Told},
    config::Workspace,
    ids::ConversationId,
    protocol::{
        Notice,
        notice::OfferMade,
        words::{Destination, OfferKind, Presence, Speaker},
    },
};

const GREETINGS: [&str; 4] = [
    "Hello, how can I help?",
    "Good day! What can I do for you?",
    "Hi there, thanks for waiting.",
    "Welcome, I am all ears.",
];
const ANSWERS: [&str; 4] = [
    "Let me look that up.",
    "That should do it. Does it work now?",
    "Yes, we can do that for you.",
    "I have sent you a link.",
];
const FAREWELLS: [&str; 3] = ["Have a nice day!", "Glad to help. Goodbye!", "Come back any time."];

/// How somebody works. Shares are between 0 and 1.
#[derive(Debug, Clone)]
pub(super) struct Temper {
    /// How long they look at an offer, in milliseconds.
    thinks: Range<u64>,
    /// Share of offers that they do not notice.
    silent: f64,
    /// Share of offers that they decline.
    declines: f64,
    /// Share of conversations that they pass on.
    passes_on: f64,
    /// Seconds between breaks.
    break_every: Range<u64>,
}

/// The demo's agents have a temper each; whoever is added is like Ana.
pub(super) fn temper(name: &str) -> Temper {
    let steady =
        Temper { thinks: 300..1_200, silent: 0.05, declines: 0.0, passes_on: 0.1, break_every: 40..80 };
    match name {
        "ben" => Temper { declines: 0.35, ..steady },
        "chloe" => Temper { silent: 0.5, thinks: 600..1_900, ..steady },
        "dev" => Temper { passes_on: 0.4, ..steady },
        "emma" => Temper { break_every: 8..20, ..steady },
        _ => steady,
    }
}

/// Comes to work.
pub(super) async fn begin(client: &Client) -> Result<(), Failure> {
    let me = client.welcome().agent.ok_or_else(|| Failure::Run("an agent's token is nobody's".to_owned()))?;
    client.set_presence(me, Presence::Online).await?;
    Ok(())
}

/// Answers what is offered, as their temper is; takes breaks.
pub(super) async fn work(
    client: Client,
    mut notices: Notices,
    temper: Temper,
    workspace: Arc<Workspace>,
) -> Result<(), Failure> {
    let mut tasks = JoinSet::new();
    tasks.spawn(take_breaks(client.clone(), temper.clone()));
    loop {
        tokio::select! {
            told = notices.next() => match told {
                Some(Told::Notice(Notice::OfferMade(offer))) => {
                    tasks.spawn(answer(client.clone(), offer, temper.clone(), Arc::clone(&workspace)));
                }
                Some(_) => {}
                None => return Ok(()),
            },
            // A refusal is part of life here: somebody else was first, the visitor has gone.
            Some(_) = tasks.join_next() => {}
        }
    }
}

async fn answer(
    client: Client,
    offer: OfferMade,
    temper: Temper,
    workspace: Arc<Workspace>,
) -> Result<(), RequestError> {
    if random_bool(temper.silent) {
        return Ok(());
    }
    pause(temper.thinks.clone()).await;
    let conversation = offer.conversation;
    if random_bool(temper.declines) {
        client.decline(conversation, Speaker::Me, offer.offer).await?;
        return Ok(());
    }
    client.accept(conversation, Speaker::Me, offer.offer).await?;
    // Whoever was handed a conversation, or asked to help, finishes it rather than passing it on once more.
    let passes_on = offer.kind == OfferKind::Offer && random_bool(temper.passes_on);
    talk(&client, conversation, passes_on, &workspace).await
}

/// Small talk, and then they close it or pass it on.
async fn talk(
    client: &Client,
    conversation: ConversationId,
    passes_on: bool,
    workspace: &Workspace,
) -> Result<(), RequestError> {
    pause(300..900).await;
    client.say(conversation, Speaker::Me, one_of(&GREETINGS)).await?;
    pause(800..2_500).await;
    client.say(conversation, Speaker::Me, one_of(&ANSWERS)).await?;
    pause(800..2_500).await;
    if passes_on && let Some(to) = colleague(client, workspace) {
        client.say(conversation, Speaker::Me, "A colleague knows more about this.").await?;
        client.transfer(conversation, Speaker::Me, to, true).await?;
        return Ok(());
    }
    client.say(conversation, Speaker::Me, one_of(&FAREWELLS)).await?;
    pause(200..600).await;
    client.close_conversation(conversation, Speaker::Me).await?;
    Ok(())
}

/// Whom to pass it on to: another agent, or a group that somebody works in.
fn colleague(client: &Client, workspace: &Workspace) -> Option<Destination> {
    let me = client.welcome().agent;
    let others: Vec<_> =
        workspace.agents.iter().filter(|agent| Some(workspace.agent_id(agent)) != me).collect();
    let other = others.get(random_range(0..others.len().max(1)))?;
    match other.groups.first() {
        Some(group) if random_bool(0.4) => Some(Destination::Group(group.clone())),
        _ => Some(Destination::Agent(workspace.agent_id(other))),
    }
}

async fn take_breaks(client: Client, temper: Temper) -> Result<(), RequestError> {
    let Some(me) = client.welcome().agent else { return Ok(()) };
    loop {
        sleep(std::time::Duration::from_secs(random_range(temper.break_every.clone()))).await;
        client.set_presence(me, Presence::Away).await?;
        pause(3_000..8_000).await;
        client.set_presence(me, Presence::Online).await?;
    }
}
