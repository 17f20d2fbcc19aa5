//! The same frames (JSON) over a Unix socket in the data directory, for the command line: file permissions are the
//! authority.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::UnixStream as StdUnixStream,
    },
    path::{Path, PathBuf},
};

use thiserror::Error;
use tokio::net::UnixListener;

use super::{Arrival, Connections, Lane};

/// The socket's name in the data directory.
pub const SOCKET_FILE: &str = "maitred.sock";

/// Why the socket is not there.
#[derive(Debug, Error)]
pub enum Trouble {
    /// Another daemon listens.
    #[error("a daemon already listens on {0}; stop it first, or use another data directory")]
    Taken(PathBuf),
    /// Something else has its name.
    #[error("{0} exists and is not a socket; move it away")]
    NotASocket(PathBuf),
    /// The system refuses.
    #[error("cannot listen on {path}: {source}")]
    Listen {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The listening socket. Dropping it removes the file.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens in this directory. A socket file on which nobody listens any more is removed first. Must be called
    /// within a tokio runtime.
    ///
    /// # Errors
    /// Somebody listens there already, or the system refuses.
    pub fn listen(data_dir: &Path) -> Result<Self, Trouble> {
        let path = data_dir.join(SOCKET_FILE);
        let trouble = |source| Trouble::Listen { path: path.clone(), source };
        match fs::symlink_metadata(&path) {
            Ok(meta) if !meta.file_type().is_socket() => return Err(Trouble::NotASocket(path)),
            Ok(_) => match StdUnixStream::connect(&path) {
                Ok(_) => return Err(Trouble::Taken(path)),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(&path).map_err(trouble)?;
                }
                Err(error) => return Err(trouble(error)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(trouble(error)),
        }
        // Bound under another name and moved once its mode is right: at no time may others connect.
        let draft = path.with_extension("sock.new");
        let _ = fs::remove_file(&draft);
        let listener = UnixListener::bind(&draft).map_err(trouble)?;
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o600)).map_err(trouble)?;
        fs::rename(&draft, &path).map_err(trouble)?;
        Ok(Self { listener, path })
    }

    /// Sends every client to the lane, until it takes no more.
    pub async fn run(&self, lane: Lane, connections: Connections) {
        loop {
            let accepted = match self.listener.accept().await {
                Ok((stream, _)) => stream.into_std(),
                Err(error) => Err(error),
            };
            match accepted {
                Ok(stream) => {
                    if lane.send(Arrival::unix(stream, connections.clone())).is_err() {
                        return;
                    }
                }
                Err(error) => {
                    // Usually too many open files: wait for some to close instead of spinning.
                    tracing::warn!(%error, "a client of the Unix socket could not be accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "the socket file could not be removed");
        }
    }
}
