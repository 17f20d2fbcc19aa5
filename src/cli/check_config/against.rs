//! What a reload of a file would do to a daemon that runs. It asks and compares; nothing is changed.

use std::path::Path;

use serde::Serialize;

use super::super::{failure::Failure, pages, show, socket::common};
use crate::{
    client::{Ca, Client, ConnectError, Options},
    config::{self, Config, Difference, Differs, Workspace},
    ids::WorkspaceId,
    protocol::{
        reply::{AgentPage, ConfigPage, GroupPage, WorkspaceDetail},
        request::{ListAgents, ListGroups, ShowConfig, ShowWorkspace},
        words::{AgentRow, GroupRow},
    },
    transport::{tls::Fingerprint, unix::SOCKET_FILE},
};

/// How to reach the daemon, if it is not on this machine.
#[derive(Debug, clap::Args)]
pub(super) struct Access {
    /// With --against HOST:PORT: an admin's token
    #[arg(long, env = "MAITRED_TOKEN", hide_env_values = true, requires = "against")]
    token: Option<String>,
    /// With --against HOST:PORT: the certificate to trust, a PEM file or a fingerprint
    #[arg(long, value_name = "FILE", env = "MAITRED_CA", requires = "against")]
    ca: Option<Ca>,
    /// With --against HOST:PORT: the fingerprint of the certificate to trust
    #[arg(long, value_name = "HEX", conflicts_with = "ca", requires = "against")]
    fingerprint: Option<Fingerprint>,
}

/// What a reload would do.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Outlook {
    /// Which daemon was asked.
    daemon: String,
    /// What it would do to what is under way.
    effects: Vec<String>,
    /// Keys that differ and hold from then on.
    changes: Vec<String>,
    /// What differs and waits for a restart.
    needs_restart: Vec<String>,
}

/// What a workspace holds at this moment.
struct Live {
    groups: Vec<GroupRow>,
    agents: Vec<AgentRow>,
    counts: WorkspaceDetail,
}

/// Asks the daemon at `place`: a data directory, a socket, or an address.
pub(super) async fn look(place: &str, access: &Access, new: &Config) -> Result<Outlook, Failure> {
    let daemon = place.to_owned();
    let path = Path::new(place);
    if !path.exists() {
        let client = over_quic(place, access).await?;
        let running = configuration(&client).await?;
        // An admin's token is one workspace's: the rest of the daemon is not its business.
        let mut outlook = Outlook { daemon, ..Outlook::default() };
        for workspace in &running.workspaces {
            let begins = vec!["workspace".to_owned(), workspace.name.to_string()];
            let differences = running.differences(new).into_iter();
            outlook.changes = differences.filter(|each| each.path.starts_with(&begins)).map(told).collect();
            outlook.workspace(workspace, new.workspace(&workspace.name), &live(&client).await?);
        }
        return Ok(outlook);
    }
    let socket = if path.is_dir() { path.join(SOCKET_FILE) } else { path.to_owned() };
    let running = configuration(&any(&socket, new).await?).await?;
    let mut outlook = Outlook { daemon, ..Outlook::default() };
    outlook.compare(&running, new);
    for workspace in &running.workspaces {
        let client = over_socket(&socket, Some(workspace.name.clone())).await?;
        outlook.workspace(workspace, new.workspace(&workspace.name), &live(&client).await?);
    }
    Ok(outlook)
}

/// A connection to whichever workspace: the socket shows the configuration of all, and wants to hear of one if there are several.
async fn any(socket: &Path, new: &Config) -> Result<Client, Failure> {
    let names = new.workspaces.iter().map(|workspace| Some(workspace.name.clone()));
    let mut first = None;
    for name in [None].into_iter().chain(names) {
        match over_socket(socket, name).await {
            Ok(client) => return Ok(client),
            Err(failure) => first = first.or(Some(failure)),
        }
    }
    Err(first.unwrap_or_else(|| Failure::Unreachable(format!("no daemon listens on {}", socket.display()))))
}

async fn over_socket(socket: &Path, workspace: Option<WorkspaceId>) -> Result<Client, Failure> {
    match Client::connect_unix(socket, workspace, &common()).await {
        Ok((client, _)) => Ok(client),
        Err(ConnectError::Unix { .. }) => {
            Err(Failure::Unreachable(format!("no daemon listens on {}", socket.display())))
        }
        Err(error) => Err(error.into()),
    }
}

async fn over_quic(address: &str, access: &Access) -> Result<Client, Failure> {
    let ca = match (&access.ca, access.fingerprint) {
        (Some(ca), _) => ca.clone(),
        (None, Some(fingerprint)) => Ca::Fingerprint(fingerprint),
        (None, None) => {
            let help =
                "is no directory and no socket; an address needs --ca FILE or --fingerprint HEX, and --token";
            return Err(Failure::Usage(format!("--against {address} {help}")));
        }
    };
    let mut options = Options::new(address.to_owned(), ca, access.token.clone().unwrap_or_default());
    options.common = common();
    Ok(Client::connect(&options).await?.0)
}

/// The configuration that the daemon goes by.
async fn configuration(client: &Client) -> Result<Config, Failure> {
    let (mut text, mut from) = (String::new(), Some(0));
    while let Some(after) = from {
        let page: ConfigPage = client.ask(ShowConfig { after }).await?;
        text.push_str(page.text.as_str());
        from = page.next;
    }
    Ok(config::read_text("the daemon's configuration", &text)?)
}

async fn live(client: &Client) -> Result<Live, Failure> {
    let groups = pages::all(usize::MAX, |cursor, limit| {
        let page = client.ask::<GroupPage>(ListGroups { cursor, limit });
        async move { page.await.map(|page| (page.rows.into_vec(), page.cursor)) }
    });
    let groups = groups.await?;
    let agents = pages::all(usize::MAX, |cursor, limit| {
        let page = client.ask::<AgentPage>(ListAgents { group: None, cursor, limit });
        async move { page.await.map(|page| (page.rows.into_vec(), page.cursor)) }
    });
    let agents = agents.await?;
    Ok(Live { groups, agents, counts: client.ask(ShowWorkspace {}).await? })
}

impl Outlook {
    /// What differs from key to key.
    fn compare(&mut self, running: &Config, new: &Config) {
        let restart = running.needs_restart(new);
        for difference in running.differences(new) {
            let place = difference.place();
            let whole_workspace = difference.path.len() == 2
                && difference.path[0] == "workspace"
                && !matches!(difference.kind, Differs::Changed { .. });
            let waits = whole_workspace || restart.contains(&place);
            if waits { &mut self.needs_restart } else { &mut self.changes }.push(told(difference));
        }
    }

    /// What becomes of a workspace that is served.
    fn workspace(&mut self, old: &Workspace, new: Option<&Workspace>, live: &Live) {
        let name = old.name.as_str();
        // Gone altogether: that waits for a restart, and everything in it goes on until then.
        let Some(new) = new else { return };
        for row in &live.groups {
            self.group(name, old, new, row);
        }
        for row in &live.agents {
            self.agent(name, old, new, row);
        }
        let used = live.counts.seats_used;
        if let Some(seats) = new.settings.seats.filter(|seats| *seats < used) {
            self.effects.push(format!(
                "workspace {name}: {used} seats are in use and {seats} are left: nobody loses theirs, nobody gets one"
            ));
        }
        let used = live.counts.engagements_used;
        if let Some(limit) = new.settings.lifetime_engagements.filter(|limit| u64::from(*limit) <= used) {
            self.effects.push(format!(
                "workspace {name}: {used} conversations have asked for an agent and {limit} may: no new one is let in"
            ));
        }
    }

    fn group(&mut self, workspace: &str, old: &Workspace, new: &Workspace, row: &GroupRow) {
        let group = row.group.as_str();
        let Some(was) = old.group(&row.group) else { return };
        let line = format!("{} waiting and {} offered", row.waiting, row.offered);
        match new.group(&row.group) {
            None => {
                let next = was.overflow.as_ref().filter(|next| next.is_everyone() || new.group(next).is_some());
                let goes = match next {
                    Some(next) => format!("go on to {next}"),
                    None => "get the fallback (group_removed)".to_owned(),
                };
                self.effects.push(format!(
                    "workspace {workspace}: group {group} is removed: its {line} {goes}; its {} active stay with their agents",
                    row.active
                ));
            }
            Some(is) if was.enabled && !is.enabled => self.effects.push(format!(
                "workspace {workspace}: group {group} is switched off: it takes nothing new; it has {line}, {} active",
                row.active
            )),
            Some(is) if was.policy.strategy != is.policy.strategy && row.waiting > 0 => {
                self.effects.push(format!(
                    "workspace {workspace}: group {group} chooses by {} instead of {}: {} wait in its line",
                    is.policy.strategy.as_str(),
                    was.policy.strategy.as_str(),
                    row.waiting
                ));
            }
            Some(_) => {}
        }
    }

    fn agent(&mut self, workspace: &str, old: &Workspace, new: &Workspace, row: &AgentRow) {
        let find =
            |in_: &'_ Workspace| in_.agents.iter().find(|agent| in_.agent_id(agent) == row.agent).cloned();
        let (was, is) = (find(old), find(new));
        let (name, held) = (row.name.as_str(), row.taken.saturating_add(row.reserved));
        if was.is_some() && is.is_none() {
            self.effects.push(format!(
                "workspace {workspace}: agent {name} is removed: they finish the {} that they have, and {} offered to them \
                 go on to others",
                row.taken, row.reserved
            ));
            return;
        }
        let cap = match &is {
            Some(agent) => agent.cap,
            // Who came by command has the workspace's cap unless they were given one of their own.
            None if u32::from(row.cap) == old.settings.cap => new.settings.cap,
            None => return,
        };
        if u32::from(row.cap) > cap && u32::from(held) > cap {
            self.effects.push(format!(
                "workspace {workspace}: agent {name} has {held} and may have {cap}: they keep them, and get nothing new until \
                 they have fewer"
            ));
        }
    }

    /// For people.
    pub(super) fn tell(&self) -> Result<(), Failure> {
        if self.effects.is_empty() && self.changes.is_empty() && self.needs_restart.is_empty() {
            return show::line(format!("a reload would change nothing in the daemon at {}", self.daemon));
        }
        show::line(format!("what a reload would do to the daemon at {}:", self.daemon))?;
        let parts = [
            ("to what is under way", &self.effects),
            ("from then on", &self.changes),
            ("only with the next restart", &self.needs_restart),
        ];
        for (title, lines) in parts.into_iter().filter(|(_, lines)| !lines.is_empty()) {
            show::line(format!("  {title}:"))?;
            for line in lines {
                show::line(format!("    {line}"))?;
            }
        }
        Ok(())
    }
}

/// `workspace.shop.cap: 10 → 5`.
fn told(difference: Difference) -> String {
    let place = difference.place();
    match difference.kind {
        Differs::Added => format!("{place} is new"),
        Differs::Removed => format!("{place} is removed"),
        Differs::Changed { from, to } => {
            let shown = |value: Option<config::Value>| {
                value.map_or_else(|| "nothing".to_owned(), |value| value.to_string())
            };
            format!("{place}: {} → {}", shown(from), shown(to))
        }
    }
}
