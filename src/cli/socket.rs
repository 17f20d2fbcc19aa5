//! How a verb reaches a daemon on this machine: the Unix socket in its data directory, whose permissions are the authority.

use std::{io, path::PathBuf};

use super::failure::Failure;
use crate::{
    client::{Client, Common, ConnectError, Notices},
    config::{self, Config},
    ids::WorkspaceId,
    transport::unix::SOCKET_FILE,
};

/// Which daemon, and which of its workspaces.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Door {
    /// The daemon's data directory; left out, the one that the configuration names
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// The daemon's configuration file, to find the data directory by
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The workspace; needed only if the daemon has several
    #[arg(short, long, value_name = "NAME")]
    pub(super) workspace: Option<WorkspaceId>,
}

impl Door {
    /// The configuration of the daemon that is meant.
    pub(super) fn configuration(&self) -> Result<Config, Failure> {
        let mut config = config::check(self.config.as_deref())?.config;
        if let Some(data_dir) = &self.data_dir {
            config.server.data_dir.clone_from(data_dir);
        }
        Ok(config)
    }

    /// The data directory.
    pub(super) fn data_dir(&self) -> Result<PathBuf, Failure> {
        match &self.data_dir {
            Some(data_dir) => Ok(data_dir.clone()),
            None => Ok(self.configuration()?.server.data_dir),
        }
    }

    /// Connects to the daemon that runs.
    pub(super) async fn connect(&self) -> Result<(Client, Notices), Failure> {
        let data_dir = self.data_dir()?;
        self.try_connect(&data_dir.join(SOCKET_FILE)).await?.ok_or_else(|| {
            Failure::Unreachable(format!(
                "no daemon listens in {}: start one with `maitred serve`, or say with --data-dir or --config which one is meant",
                data_dir.display()
            ))
        })
    }

    /// Connects to this socket; `None` if no daemon listens there.
    pub(super) async fn try_connect(
        &self,
        path: &std::path::Path,
    ) -> Result<Option<(Client, Notices)>, Failure> {
        match Client::connect_unix(path, self.workspace.clone(), &common()).await {
            Ok(connected) => Ok(Some(connected)),
            Err(ConnectError::Unix { source, .. })
                if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// How the command line introduces itself.
pub(super) fn common() -> Common {
    Common { software: concat!("maitred-cli/", env!("CARGO_PKG_VERSION")).to_owned(), ..Common::default() }
}
