//! Where a demo lives: a directory of its own with the demo's configuration in it.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process,
};

use super::super::failure::Failure;
use crate::config::{self, Config};

/// The demo's configuration, as it is put into the directory.
const DEMO: &str = include_str!("demo.toml");

/// The directory. A temporary one goes with it.
pub(super) struct Home {
    path: PathBuf,
    file: PathBuf,
    temporary: bool,
}

impl Home {
    /// Uses this directory, or makes a temporary one. A configuration that is there already is kept.
    pub(super) fn open(given: Option<&Path>) -> Result<Self, Failure> {
        let (path, temporary) = match given {
            Some(path) => (path.to_owned(), false),
            None => (std::env::temp_dir().join(format!("maitred-dev-{}", process::id())), true),
        };
        let failed = |path: &Path, error: io::Error| Failure::Run(format!("{}: {error}", path.display()));
        // Only for its owner: tokens and the way in as an admin are in it. A temporary one must not be there yet, lest
        // somebody else has prepared it.
        let made = DirBuilder::new().mode(0o700).recursive(!temporary).create(&path);
        made.map_err(|error| failed(&path, error))?;
        let file = path.join("maitred.toml");
        let home = Self { path, file, temporary };
        if !home.file.exists() {
            fs::write(&home.file, DEMO).map_err(|error| failed(&home.file, error))?;
        }
        Ok(home)
    }

    /// The configuration file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// What it says, with everything kept here.
    pub(super) fn configuration(&self) -> Result<Config, Failure> {
        let mut config = config::check(Some(&self.file))?.config;
        config.server.data_dir.clone_from(&self.path);
        Ok(config)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::warn!(directory = %self.path.display(), %error, "the temporary directory could not be removed");
        }
    }
}
