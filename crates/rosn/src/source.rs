//! Which configuration is meant, and where its process is found.

use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use rosn_config::checked::Secret;
use rosn_config::{Defaults, Format, LoadOptions, Loaded};

use crate::cli::ConfigArg;

/// The chain 2045 -> 2046 -> 2047 of MOSN's own mosn_config.json.
const EMBEDDED: &str = include_str!("default_config.json");
/// What the built-in configuration is called in messages.
const EMBEDDED_NAME: &str = "<built-in configuration>";
/// Where MOSN looks when it is not told.
const MOSN_DEFAULT: &str = "configs/mosn_config.json";

/// A configuration that was named or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file.
    File(PathBuf),
    /// The built-in one.
    Embedded,
}

/// Where the process that runs a configuration is found.
#[derive(Debug)]
pub(crate) struct Paths {
    /// Its number is in here.
    pub(crate) pid_file: PathBuf,
    /// Its control socket is in here.
    pub(crate) socket_dir: PathBuf,
    /// Its admin server, and what that asks for.
    pub(crate) admin: Option<(SocketAddr, Option<Secret>)>,
}

impl Source {
    /// What `-c` or `MOSN_CONFIG` names, else MOSN's default file where there is one, else the
    /// built-in configuration.
    ///
    /// # Errors
    ///
    /// Where `-c` is given without a name, which an unset shell variable does.
    pub(crate) fn find(arg: &ConfigArg) -> anyhow::Result<Self> {
        let unset = std::env::var_os("MOSN_CONFIG").is_some_and(|value| value.is_empty());
        match &arg.config {
            Some(path) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(_) if !unset => bail!("-c is given without a file name"),
            _ if Path::new(MOSN_DEFAULT).is_file() => Ok(Self::File(MOSN_DEFAULT.into())),
            _ => Ok(Self::Embedded),
        }
    }

    /// Reads and checks it.
    pub(crate) fn load(&self, strict: bool) -> Loaded {
        let options = self.options(strict);
        match self {
            Self::File(path) => rosn_config::load(path, &options),
            Self::Embedded => {
                rosn_config::load_text(EMBEDDED_NAME, EMBEDDED, Format::Json, &options)
            }
        }
    }

    /// How it is to be loaded.
    fn options(&self, strict: bool) -> LoadOptions {
        LoadOptions {
            strict,
            defaults: Some(self.defaults()),
            tls: rosn_server::check_tls,
            ..LoadOptions::default()
        }
    }

    /// Where files go that the configuration does not place: for a file in MOSN's places.
    fn defaults(&self) -> Defaults {
        match self {
            Self::File(path) => Defaults::beside(path),
            Self::Embedded => {
                let folder = runtime_folder();
                Defaults { base: folder.clone(), socket_dir: folder }
            }
        }
    }

    /// What to add where the file is not there.
    pub(crate) fn hint(&self) -> Option<String> {
        let Self::File(path) = self else { return None };
        let missing =
            fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        missing.then(|| {
            let place = match std::env::current_dir() {
                Ok(folder) if path.is_relative() => {
                    format!("{} is looked for in {}.\n", path.display(), folder.display())
                }
                _ => String::new(),
            };
            format!(
                "{place}The configuration is taken from -c FILE, else from the variable \
                 MOSN_CONFIG, else from {MOSN_DEFAULT}, else it is the built-in one."
            )
        })
    }

    /// Where its process is found: as the configuration says, or, while it cannot be read, in the
    /// default places.
    pub(crate) fn paths(&self) -> Paths {
        let loaded = self.load(false);
        if let Some(config) = loaded.config {
            return Paths {
                pid_file: config.server.pid_file,
                socket_dir: config.server.socket_dir,
                admin: config.admin.map(|admin| (admin.address, admin.token)),
            };
        }
        let Defaults { base, socket_dir } = self.defaults();
        let written = |key: &str| {
            let text = loaded.raw.get(key)?.as_str()?;
            (!text.is_empty()).then(|| PathBuf::from(text))
        };
        Paths {
            pid_file: written("pid").unwrap_or_else(|| base.join("logs/mosn.pid")),
            socket_dir: written("uds_dir").unwrap_or(socket_dir),
            admin: None,
        }
    }

    /// Makes the folder of the built-in configuration's files, for this user only.
    ///
    /// # Errors
    ///
    /// Where it cannot be made, or belongs to somebody else.
    pub(crate) fn prepare(&self) -> anyhow::Result<()> {
        match self {
            Self::File(_) => Ok(()),
            Self::Embedded => private_folder(&runtime_folder()),
        }
    }
}

/// For files that live as long as a process and belong to one user.
pub(crate) fn runtime_folder() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => Path::new(&folder).join("rosn"),
        None => format!("/tmp/rosn-{}", rustix::process::getuid().as_raw()).into(),
    }
}

/// Makes a folder for this user only.
///
/// # Errors
///
/// Where it cannot be made, or others can write it.
pub(crate) fn private_folder(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("cannot make the folder {shown}"));
        }
        _ => {}
    }
    // In /tmp anybody may have been here first.
    let found = fs::symlink_metadata(path).with_context(|| format!("cannot look at {shown}"))?;
    let own = found.is_dir() && found.uid() == rustix::process::getuid().as_raw();
    ensure!(
        own && found.mode() & 0o022 == 0,
        "the folder {shown} can be written by others: remove it, or set XDG_RUNTIME_DIR"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn the_built_in_configuration_is_without_fault() {
        let loaded = Source::Embedded.load(true);
        assert!(!loaded.diagnostics.has_errors(), "{}", loaded.diagnostics.render_text(false));
        let config = loaded.config.unwrap();
        let ports: Vec<_> =
            config.listeners.iter().map(|listener| listener.address.port()).collect();
        assert_eq!(ports, [Some(2047), Some(2046), Some(2045)]);
        assert_eq!(config.admin.unwrap().address.to_string(), "127.0.0.1:34901");
    }

    #[test]
    fn files_are_found_beside_a_broken_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let configs = folder.path().join("configs");
        fs::create_dir(&configs).unwrap();
        let path = configs.join("c.json");
        fs::write(&path, "{").unwrap();
        let paths = Source::File(path.clone()).paths();
        assert_eq!(paths.pid_file, folder.path().join("logs/mosn.pid"));
        assert_eq!(paths.socket_dir, configs);
        fs::write(&path, r#"{"pid": "/run/x.pid", "uds_dir": "/run/x", "servers": []}"#).unwrap();
        let paths = Source::File(path).paths();
        assert_eq!(paths.pid_file, Path::new("/run/x.pid"));
        assert_eq!(paths.socket_dir, Path::new("/run/x"));
    }

    #[test]
    fn a_folder_that_others_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("own");
        private_folder(&own).unwrap();
        private_folder(&own).unwrap();
        assert_eq!(fs::metadata(&own).unwrap().mode() & 0o777, 0o700);
        let link = folder.path().join("link");
        symlink(&own, &link).unwrap();
        assert!(private_folder(&link).is_err());
        fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(private_folder(&own).is_err());
    }
}
