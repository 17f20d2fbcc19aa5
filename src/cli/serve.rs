//! `serve`: runs the daemon until a signal, or `maitred drain`, ends it.

use std::{
    future,
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    block_on,
    failure::Failure,
    logging, on_a_thread, service,
    signals::{Signals, Wish},
};
use crate::{
    config,
    daemon::{self, Control, Daemon},
    metrics,
};

/// What may follow the verb.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Signals: HUP reads the configuration again, all of it or nothing; TERM and INT drain and end; \
    a second TERM or INT ends at once (exit code 75)."
)]
pub(super) struct Args {
    /// The configuration file; without one the built-in default holds. The environment (MAITRED__SECTION__KEY) goes
    /// over both
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Once it serves, print its addresses as one JSON line on standard output, for programs that start it on port 0
    #[arg(long)]
    announce: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let loaded = config::check(args.config.as_deref())?;
    logging::start(loaded.config.server.log_format, loaded.config.server.log_level);
    tracing::info!(version = metrics::VERSION, revision = metrics::REVISION, "maitred starts");
    #[cfg(feature = "failpoints")]
    plant_faults()?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let workspaces = loaded.config.workspaces.iter().map(|workspace| workspace.name.as_str());
    let workspaces = workspaces.collect::<Vec<_>>().join(", ");
    let mut options = daemon::Options::new(loaded.config);
    options.config_file.clone_from(&args.config);
    block_on(async {
        let mut signals = Signals::listen()?;
        let Some(daemon) = start(options, &mut signals).await? else { return Ok(()) };
        introduce(&daemon, &workspaces);
        if args.announce {
            announce(&daemon)?;
        }
        tend(daemon, signals).await
    })
}

/// Reading a long log takes its time: a signal to end is obeyed meanwhile (`None`), as nothing has been written yet.
async fn start(options: daemon::Options, signals: &mut Signals) -> Result<Option<Daemon>, Failure> {
    let started = on_a_thread("start", move || daemon::start(options))?;
    let wish = async {
        while signals.next().await == Wish::Reload {
            tracing::info!("nothing to reload yet");
        }
    };
    tokio::select! {
        daemon = started => match daemon {
            Ok(daemon) => Ok(Some(daemon?)),
            Err(_) => Err(daemon::Error::Gone.into()),
        },
        () = wish => {
            tracing::info!("asked to end before the start was over");
            Ok(None)
        }
    }
}

/// This build can be made to fall, so it says so each time.
#[cfg(feature = "failpoints")]
fn plant_faults() -> Result<(), Failure> {
    let planted = crate::failpoints::arm_from_environment().map_err(Failure::Usage)?;
    tracing::warn!(planted, "this build has failpoints: it is for tests and never for production");
    Ok(())
}

/// What an operator wants to know first.
fn introduce(daemon: &Daemon, workspaces: &str) {
    tracing::info!(quic = %daemon.quic(), metrics = %format!("http://{}/metrics", daemon.admin()), "listening");
    tracing::info!(
        fingerprint = %daemon.fingerprint(),
        file = %daemon.certificate().display(),
        "clients trust this certificate with --ca, by its file or its fingerprint"
    );
    tracing::info!(data_dir = %daemon.data_dir().display(), workspaces, "ready");
    service::ready(&format!("serving {workspaces} on {}", daemon.quic()));
}

fn announce(daemon: &Daemon) -> Result<(), Failure> {
    let line = json!({
        "quic": daemon.quic(),
        "admin": daemon.admin(),
        "data_dir": daemon.data_dir(),
        "certificate": daemon.certificate(),
        "fingerprint": daemon.fingerprint().to_string(),
    });
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}

/// Listens to signals and to the service manager until the daemon has ended.
async fn tend(daemon: Daemon, mut signals: Signals) -> Result<(), Failure> {
    let (control, admin) = (daemon.control(), daemon.admin());
    let status = format!("serving on {}", daemon.quic());
    let mut ended = on_a_thread("wait", move || daemon.wait())?;
    tokio::spawn(keep_watchdog_quiet(admin));
    let mut asked_to_end = 0_u8;
    loop {
        tokio::select! {
            end = &mut ended => {
                end.unwrap_or(Err(daemon::Error::Gone))?;
                tracing::info!("ended");
                return if asked_to_end > 1 { Err(Failure::CutShort) } else { Ok(()) };
            }
            wish = signals.next() => match wish {
                Wish::Reload => reload(&control, &status),
                Wish::End => {
                    asked_to_end = asked_to_end.saturating_add(1);
                    end(&control, asked_to_end);
                }
            }
        }
    }
}

fn end(control: &Control, times: u8) {
    if times == 1 {
        tracing::info!("draining; a second signal ends at once");
        service::stopping();
        control.drain();
    } else {
        tracing::warn!("asked to end again: ending now");
        control.stop_now();
    }
}

/// All or nothing: with anything wrong, the old configuration goes on.
fn reload(control: &Control, status: &str) {
    service::reloading();
    match control.reload() {
        Ok(remarks) => {
            for remark in remarks {
                tracing::warn!("{remark}");
            }
            tracing::info!("the configuration was read again");
        }
        Err(problems) => {
            tracing::error!("the configuration was not taken over, the old one goes on:\n{problems}");
        }
    }
    service::ready(status);
}

/// Tells a service manager that asks for it that all is well, as long as it is.
async fn keep_watchdog_quiet(admin: SocketAddr) {
    let Some(every) = service::watchdog() else { return future::pending().await };
    let mut ticks = interval(every.max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Ok(done) = on_a_thread("watchdog", move || service::pat_watchdog(admin)) {
            // A thread that died is a missed pat, which is what should happen then.
            let _ = done.await;
        }
    }
}
