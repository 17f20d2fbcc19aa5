//! Agents by name: people type and read names, the protocol speaks of ids.

use std::collections::BTreeMap;

use super::{failure::Failure, pages};
use crate::{
    client::Client,
    ids::{AgentId, WorkspaceId},
    protocol::{reply::AgentPage, request::ListAgents, words::AgentRow},
};

/// The agents of a workspace.
pub(super) struct Roster {
    workspace: Option<WorkspaceId>,
    names: BTreeMap<AgentId, String>,
}

impl Roster {
    /// Asks the daemon.
    pub(super) async fn of(client: &Client) -> Result<Self, Failure> {
        let rows = agents(client, None, usize::MAX).await?;
        let names = rows.into_iter().map(|row| (row.agent, row.name.as_str().to_owned())).collect();
        Ok(Self { workspace: client.welcome().workspace.clone(), names })
    }

    /// The agent's name, or their id if they are not known any more.
    pub(super) fn name(&self, agent: AgentId) -> String {
        self.names.get(&agent).cloned().unwrap_or_else(|| agent.to_string())
    }

    /// Several names.
    pub(super) fn list(&self, agents: impl IntoIterator<Item = AgentId>) -> String {
        agents.into_iter().map(|agent| self.name(agent)).collect::<Vec<_>>().join(", ")
    }

    /// What the daemon said, with names for the ids in it.
    pub(super) fn named(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (id, name)| text.replace(&id.to_string(), name))
    }

    /// The agent that is meant by an id, the key in the configuration, or the name that visitors see.
    pub(super) fn find(&self, text: &str) -> Result<AgentId, Failure> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let keyed = self.workspace.as_ref().map(|workspace| AgentId::derive(workspace, text));
        let named = |name: &str| name.eq_ignore_ascii_case(text);
        let mut found = self.names.iter().filter(|(id, name)| Some(**id) == keyed || named(name));
        match (found.next(), found.next()) {
            (Some((id, _)), None) => Ok(*id),
            (Some(_), Some(_)) => Err(Failure::Run(format!("several agents are called {text}: give the id"))),
            (None, _) => {
                let names: Vec<&str> = self.names.values().map(String::as_str).collect();
                let there = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
                Err(Failure::Run(format!("no agent is called {text}; there is {there}")))
            }
        }
    }
}

/// All agents, or those of a group, at most so many.
pub(super) async fn agents(
    client: &Client,
    group: Option<crate::ids::GroupId>,
    at_most: usize,
) -> Result<Vec<AgentRow>, Failure> {
    pages::all(at_most, |cursor, limit| {
        let page = client.ask::<AgentPage>(ListAgents { group: group.clone(), cursor, limit });
        async move { page.await.map(|page| (page.rows.into_vec(), page.cursor)) }
    })
    .await
}
