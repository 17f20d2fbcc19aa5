//! A daemon of the run's own: made, measured, killed, started again, ended.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use maitred::{
    client::{Ca, Client, Common, Options},
    ids::{AgentId, GroupId, WorkspaceId},
    protocol::{
        Encoding, List, Text,
        reply::{Done, Minted},
        request::{MintToken, PutAgent},
        words::Role,
    },
};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};
use toml::{Table, Value};

use crate::{floor::Colleague, scenario::Scenario};

/// How long a daemon may take to serve, and to end.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// The workspace of a daemon started here, and its two groups; the first is where conversations go by themselves.
const WORKSPACE: &str = "load";
const GROUPS: [&str; 2] = ["front", "back"];

/// A daemon that this program started.
pub(crate) struct Spawned {
    daemon: PathBuf,
    directory: TempDir,
    config: Table,
    child: Child,
    serving: Serving,
}

/// What the daemon says once it serves.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Serving {
    pub(crate) quic: SocketAddr,
    pub(crate) data_dir: PathBuf,
    pub(crate) certificate: PathBuf,
}

impl Spawned {
    /// Starts a daemon for the scenario.
    ///
    /// # Errors
    /// There is no daemon to start, or it does not serve.
    pub(crate) async fn start(scenario: &Scenario, daemon: Option<&Path>) -> Result<Self> {
        let daemon = match daemon {
            Some(daemon) => daemon.to_owned(),
            None => find_daemon().await?,
        };
        let directory = tempfile::tempdir().context("can't make a temporary directory")?;
        let config = config(scenario, &directory.path().join("data"));
        let (child, serving) = launch(&daemon, directory.path(), &config).await?;
        Ok(Self { daemon, directory, config, child, serving })
    }

    /// What it said once it served.
    pub(crate) fn serving(&self) -> &Serving {
        &self.serving
    }

    /// Processor time that it has used.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()?)).ok()?;
        let spent = tasks.flatten().filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        });
        Some(Duration::from_nanos(spent.sum()))
    }

    /// Memory that it has in use, in bytes.
    pub(crate) fn rss(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    }

    /// Whether it has ended although nobody asked it to.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills it at once.
    ///
    /// # Errors
    /// The system does not let us.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.context("can't kill the daemon")
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Errors
    /// It does not, or not with exit code 0.
    pub(crate) async fn end(&mut self) -> Result<()> {
        let pid = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let Some(pid) = pid else { bail!("the daemon has ended by itself{}", self.log()) };
        kill_process(pid, Signal::TERM).context("can't send the daemon a signal")?;
        let ended = timeout(ENDS_WITHIN, self.child.wait())
            .await
            .map_err(|_| anyhow!("the daemon does not end within {ENDS_WITHIN:?}{}", self.log()))??;
        if ended.success() { Ok(()) } else { bail!("the daemon ended with {ended}{}", self.log()) }
    }

    /// Starts it again, on the same data and the same address.
    ///
    /// # Errors
    /// It does not serve.
    pub(crate) async fn start_again(&mut self) -> Result<()> {
        let listen = Value::String(self.serving.quic.to_string());
        if let Some(server) = self.config.get_mut("server").and_then(Value::as_table_mut) {
            server.insert("listen".to_owned(), listen);
        }
        let (child, serving) = launch(&self.daemon, self.directory.path(), &self.config).await?;
        self.child = child;
        self.serving = serving;
        Ok(())
    }

    /// The end of what the daemon logged, for people.
    pub(crate) fn log(&self) -> String {
        log(self.directory.path())
    }
}

impl Serving {
    /// Makes the scenario's agents and a frontend's token; how to connect with it.
    ///
    /// # Errors
    /// The daemon refuses.
    pub(crate) async fn furnish(
        &self,
        scenario: &Scenario,
        encoding: Encoding,
    ) -> Result<(Options, Vec<Colleague>)> {
        let workspace: WorkspaceId = WORKSPACE.parse()?;
        let socket = self.data_dir.join("maitred.sock");
        let (client, _) = Client::connect_unix(&socket, Some(workspace.clone()), &Common::default()).await?;
        let groups: Vec<GroupId> = GROUPS.iter().map(|group| group.parse()).collect::<Result<_, _>>()?;
        let mut colleagues = Vec::new();
        for number in 1..=scenario.team.agents {
            let name = format!("agent-{number:04}");
            let agent = AgentId::derive(&workspace, &name);
            let put = PutAgent {
                key: client.identity().next_key(),
                agent,
                name: Text::clip(&name),
                email: None,
                groups: List::clip(groups.iter().cloned()),
                cap: Some(scenario.team.cap),
                live_chat: true,
                avatar: None,
                sites: List::new(),
                sees_bot: false,
            };
            client.room().await;
            let _: Done = client.ask(put).await.with_context(|| format!("can't make the agent {name}"))?;
            colleagues.push(Colleague { id: agent, cap: scenario.team.cap, groups: groups.clone() });
        }
        let mint = MintToken { role: Role::Frontend, visitor: None, agent: None, ttl_seconds: None };
        let minted: Minted = client.ask(mint).await.context("can't make a token")?;
        client.close().await;
        let ca = Ca::Pem(self.certificate.clone());
        let mut options = Options::new(self.quic.to_string(), ca, minted.token.as_str());
        options.encoding = encoding;
        Ok((options, colleagues))
    }
}

fn log(directory: &Path) -> String {
    let text = fs::read_to_string(directory.join("daemon.log")).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(10).collect();
    let lines: Vec<_> = lines.into_iter().rev().collect();
    if lines.is_empty() { String::new() } else { format!("; it logged:\n{}", lines.join("\n")) }
}

async fn launch(daemon: &Path, directory: &Path, config: &Table) -> Result<(Child, Serving)> {
    let file = directory.join("maitred.toml");
    fs::write(&file, toml::to_string(config)?).context("can't write the daemon's configuration")?;
    let errors = fs::OpenOptions::new().create(true).append(true).open(directory.join("daemon.log"))?;
    let mut command = Command::new(daemon);
    command.arg("serve").arg("--config").arg(&file).arg("--announce");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).kill_on_drop(true);
    // What is set for another daemon is not for this one.
    for (name, _) in env::vars().filter(|(name, _)| name.starts_with("MAITRED__")) {
        command.env_remove(name);
    }
    let mut child = command.spawn().with_context(|| format!("can't start {}", daemon.display()))?;
    let out = child.stdout.take().ok_or_else(|| anyhow!("the daemon has no output"))?;
    let mut lines = BufReader::new(out).lines();
    let line = timeout(STARTS_WITHIN, lines.next_line())
        .await
        .map_err(|_| anyhow!("the daemon does not serve within {STARTS_WITHIN:?}{}", log(directory)))??;
    let Some(line) = line else {
        let ended = child.wait().await?;
        bail!("the daemon does not start: {ended}{}", log(directory))
    };
    let serving = serde_json::from_str(&line).with_context(|| format!("the daemon says {line:?}"))?;
    Ok((child, serving))
}

/// The configuration for a scenario.
pub(crate) fn config(scenario: &Scenario, data: &Path) -> Table {
    let text = |text: &str| Value::String(text.to_owned());
    let table = |entries: Vec<(&str, Value)>| -> Table {
        entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    };
    let groups = GROUPS.iter().map(|name| Value::Table(table(vec![("name", text(name))]))).collect();
    let mut workspace = table(vec![
        ("name", text(WORKSPACE)),
        ("default_group", text(GROUPS[0])),
        ("group", Value::Array(groups)),
    ]);
    workspace.extend(scenario.workspace.clone());
    let server = table(vec![
        ("listen", text("127.0.0.1:0")),
        ("data_dir", Value::String(data.display().to_string())),
        ("log_level", text("warn")),
    ]);
    let mut config = table(vec![
        ("server", Value::Table(server)),
        ("admin", Value::Table(table(vec![("listen", text("127.0.0.1:0"))]))),
        ("workspace", Value::Array(vec![Value::Table(workspace)])),
    ]);
    lay_over(&mut config, &scenario.daemon);
    config
}

fn lay_over(under: &mut Table, over: &Table) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => lay_over(under, over),
            _ => {
                under.insert(key.clone(), value.clone());
            }
        }
    }
}

/// The daemon next to this program; brought up to date first if `cargo run` started us.
async fn find_daemon() -> Result<PathBuf> {
    let own = env::current_exe().context("where is this program?")?;
    let folder = own.parent().ok_or_else(|| anyhow!("this program is nowhere"))?;
    let daemon = folder.join("maitred");
    let release = folder.file_name().is_some_and(|name| name == "release");
    let profile: &[&str] = if release { &["--release"] } else { &[] };
    if let (Some(cargo), Some(manifest)) = (env::var_os("CARGO"), env::var_os("CARGO_MANIFEST_DIR")) {
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--package", "maitred", "--bin", "maitred"]).args(profile);
        build.current_dir(manifest).stdout(Stdio::null());
        let built = build.status().await.context("can't run cargo")?;
        if !built.success() {
            bail!("cargo can't build the daemon: {built}");
        }
    }
    if daemon.is_file() {
        return Ok(daemon);
    }
    let command = ["cargo build --workspace"].iter().chain(profile).copied().collect::<Vec<_>>().join(" ");
    bail!("there is no daemon at {}: build it with `{command}`, or name it with --daemon", daemon.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    #[test]
    fn the_daemon_accepts_the_configuration_of_every_scenario() {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, _) in scenario::list() {
            let text = scenario::text(name).expect("it is built in");
            let scenario = Scenario::read(&text, &[]).expect("it is right");
            let file = directory.path().join(format!("{name}.toml"));
            let config = config(&scenario, &directory.path().join("data"));
            fs::write(&file, toml::to_string(&config).expect("a table")).expect("written");
            let loaded = maitred::config::load(Some(&file), std::iter::empty());
            assert!(
                loaded.is_ok(),
                "{name}: {}",
                loaded.err().map(|problems| problems.to_string()).unwrap_or_default()
            );
        }
    }
}
