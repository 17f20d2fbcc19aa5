//! What works on a data directory though no daemon runs there: one is started for as long as the verb takes.

use std::{path::Path, time::Duration};

use super::{failure::Failure, socket::Door};
use crate::{
    client::Client,
    daemon::{self, Daemon},
    transport::unix::SOCKET_FILE,
};

/// A connection, and the daemon that was started for it, if none was there.
pub(super) struct Reached {
    pub(super) client: Client,
    own: Option<Daemon>,
}

/// Connects to the daemon that runs; else opens the directory itself, under the lock that keeps a second daemon out.
/// Nobody from outside can reach it meanwhile: it listens on free loopback ports. `make`: whether a directory that is
/// not there yet may be made.
pub(super) async fn reach(door: &Door, make: bool) -> Result<Reached, Failure> {
    let mut config = door.configuration()?;
    let data_dir = config.server.data_dir.clone();
    let socket = data_dir.join(SOCKET_FILE);
    if let Some((client, _)) = door.try_connect(&socket).await? {
        return Ok(Reached { client, own: None });
    }
    if !make && !data_dir.exists() {
        return Err(Failure::Unreachable(format!(
            "{} is not there: say with --data-dir or --config which data directory is meant",
            data_dir.display()
        )));
    }
    if door.data_dir.is_some() && door.config.is_none() && holds_something(&data_dir) {
        // Under other rules than its own its conversations would be routed anew.
        return Err(Failure::Unreachable(format!(
            "no daemon listens in {}: start it, or say with --config which configuration it is served with",
            data_dir.display()
        )));
    }
    config.server.listen = ([127, 0, 0, 1], 0).into();
    config.admin.listen = ([127, 0, 0, 1], 0).into();
    config.server.drain_timeout = Duration::from_secs(1);
    let mut options = daemon::Options::new(config);
    options.config_file.clone_from(&door.config);
    // It works on threads of its own, so that this one may wait here.
    let own = daemon::start(options)?;
    match door.try_connect(&socket).await {
        Ok(Some((client, _))) => Ok(Reached { client, own: Some(own) }),
        failed => {
            own.control().stop_now();
            own.wait()?;
            failed?;
            Err(Failure::Run(format!("the daemon in {} took no connection", data_dir.display())))
        }
    }
}

impl Reached {
    /// Ends what was started.
    pub(super) async fn leave(self) -> Result<(), Failure> {
        self.client.close().await;
        if let Some(daemon) = self.own {
            daemon.control().drain();
            daemon.wait()?;
        }
        Ok(())
    }
}

fn holds_something(data_dir: &Path) -> bool {
    std::fs::read_dir(data_dir).is_ok_and(|mut entries| entries.next().is_some())
}
