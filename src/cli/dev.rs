//! `dev`: a daemon with nothing to set up, made-up people who talk to it over QUIC, and what it decides, line by line.

mod feed;
mod home;
mod people;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use self::{feed::Feed, home::Home};
use super::{
    block_on,
    failure::Failure,
    logging, on_a_thread, show,
    signals::{Signals, Wish},
    socket::Door,
    span,
};
use crate::{
    config::{LogFormat, LogLevel, Workspace},
    daemon::{self, Control, Daemon},
    metrics,
};

/// Any free port of this machine.
const FREE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What may follow the verb.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Keep everything here instead of in a temporary directory
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// UDP address for QUIC
    #[arg(long, value_name = "ADDRESS", default_value_t = FREE)]
    listen: SocketAddr,
    /// TCP address for metrics and health
    #[arg(long, value_name = "ADDRESS", default_value_t = FREE)]
    admin: SocketAddr,
    /// Made-up visitors a second, 0 for none
    #[arg(long, default_value_t = 1.5, value_parser = rate)]
    rate: f64,
    /// End by itself after this long, such as 10s
    #[arg(long = "for", value_name = "TIME", value_parser = span::parse)]
    lasts: Option<Duration>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    // The feed is what is to be read: the log speaks up only when something is wrong.
    logging::start(LogFormat::Text, LogLevel::Warn);
    block_on(async {
        let signals = Signals::listen()?;
        let home = Home::open(args.data_dir.as_deref())?;
        let mut config = home.configuration()?;
        config.server.listen = args.listen;
        config.admin.listen = args.admin;
        let Some(workspace) = config.workspaces.first().cloned() else {
            return Err(Failure::Usage(format!("{} has no workspace", home.file().display())));
        };
        let feed = Feed::start(&config)?;
        let mut options = daemon::Options::new(config);
        options.config_file = Some(home.file().to_owned());
        options.observer = Some(feed.observer());
        let daemon = daemon::start(options)?;
        let control = daemon.control();
        introduce(&daemon)?;
        let played = play(args, &daemon, &workspace, &feed, signals).await;
        control.drain();
        // Waited for elsewhere, so that the people can leave meanwhile.
        on_a_thread("wait", move || daemon.wait())?.await.unwrap_or(Err(daemon::Error::Gone))?;
        feed.end()?;
        played
    })
}

fn introduce(daemon: &Daemon) -> Result<(), Failure> {
    let data_dir = daemon.data_dir().display();
    show::line(format_args!(
        "maitred {} with a demo workspace and made-up people; Ctrl-C ends it; times are UTC",
        metrics::VERSION
    ))?;
    show::line(format_args!("  metrics   http://{}/metrics", daemon.admin()))?;
    show::line(format_args!(
        "  quic      {}, certificate {}",
        daemon.quic(),
        daemon.certificate().display()
    ))?;
    show::line(format_args!("  look      maitred groups ls --data-dir {data_dir}"))?;
    show::line(format_args!(
        "  ask why   maitred explain --data-dir {data_dir} <the end of a conversation's id>"
    ))?;
    show::line("")
}

/// Lets people come and talk until the time is over, somebody presses Ctrl-C, or nobody reads the feed any more.
async fn play(
    args: &Args,
    daemon: &Daemon,
    workspace: &Workspace,
    feed: &Feed,
    mut signals: Signals,
) -> Result<(), Failure> {
    let door = Door {
        data_dir: Some(daemon.data_dir().to_owned()),
        config: None,
        workspace: Some(workspace.name.clone()),
    };
    let stage = people::Stage {
        address: daemon.quic().to_string(),
        certificate: daemon.certificate().to_owned(),
        workspace: Arc::new(workspace.clone()),
        rate: args.rate,
    };
    let over = async {
        match args.lasts {
            Some(lasts) => tokio::time::sleep(lasts).await,
            None => std::future::pending().await,
        }
    };
    let control = daemon.control();
    let wishes = async {
        while signals.next().await == Wish::Reload {
            reload(&control);
        }
    };
    tokio::select! {
        failed = people::play(stage, door) => failed,
        () = over => Ok(()),
        () = wishes => Ok(()),
        () = feed.unread() => Err(Failure::Unread),
    }
}

fn reload(control: &Control) {
    if let Err(problems) = control.reload() {
        tracing::error!("the configuration was not taken over, the old one goes on:\n{problems}");
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.0..=50.0).contains(&rate) => Ok(rate),
        _ => Err("a number from 0 to 50; for more there is maitred-loadtest".to_owned()),
    }
}
