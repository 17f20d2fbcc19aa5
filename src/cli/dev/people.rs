//! Made-up people. They know nothing of the daemon's inside: agents and the visitors' frontend connect over QUIC with
//! tokens, as yours would.

mod agents;
mod visitors;

use std::{path::PathBuf, sync::Arc, time::Duration};

use rand::random_range;
use tokio::{task::JoinSet, time::sleep};

use super::super::{failure::Failure, socket::Door};
use crate::{
    client::{Ca, Client, Notices, Options},
    config::Workspace,
    ids::AgentId,
    protocol::{reply::Minted, request::MintToken, words::Role},
};

/// How long their tokens last: a kept directory is not to fill with them.
const TOKEN_SECONDS: u32 = 24 * 3_600;

/// Where they play.
pub(super) struct Stage {
    pub(super) address: String,
    pub(super) certificate: PathBuf,
    pub(super) workspace: Arc<Workspace>,
    /// Visitors a second.
    pub(super) rate: f64,
}

/// Plays until it is dropped, or until one of them can't reach the daemon any more.
pub(super) async fn play(stage: Stage, door: Door) -> Result<(), Failure> {
    let (admin, _) = door.connect().await?;
    let mut people = JoinSet::new();
    for agent in &stage.workspace.agents {
        let id = stage.workspace.agent_id(agent);
        let (client, notices) = stage.connect(mint(&admin, Role::Agent, Some(id)).await?).await?;
        agents::begin(&client).await?;
        let temper = agents::temper(&agent.name);
        people.spawn(agents::work(client, notices, temper, Arc::clone(&stage.workspace)));
    }
    let (client, notices) = stage.connect(mint(&admin, Role::Frontend, None).await?).await?;
    people.spawn(visitors::come(client, notices, Arc::clone(&stage.workspace), stage.rate));
    match people.join_next().await {
        Some(Ok(ended)) => ended,
        Some(Err(fell)) => Err(Failure::Run(format!("somebody fell over: {fell}"))),
        None => Ok(()),
    }
}

impl Stage {
    async fn connect(&self, token: Minted) -> Result<(Client, Notices), Failure> {
        let ca = Ca::Pem(self.certificate.clone());
        Ok(Client::connect(&Options::new(self.address.clone(), ca, token.token.as_str())).await?)
    }
}

async fn mint(admin: &Client, role: Role, agent: Option<AgentId>) -> Result<Minted, Failure> {
    Ok(admin.ask(MintToken { role, visitor: None, agent, ttl_seconds: Some(TOKEN_SECONDS) }).await?)
}

/// Somebody takes their time.
async fn pause(milliseconds: std::ops::Range<u64>) {
    sleep(Duration::from_millis(random_range(milliseconds))).await;
}

fn one_of<'a>(texts: &[&'a str]) -> &'a str {
    texts[random_range(0..texts.len())]
}
