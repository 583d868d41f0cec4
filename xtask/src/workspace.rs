//! What `cargo metadata` says of the workspace.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root")
}

/// The workspace's packages and where it builds.
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
    pub(crate) target: PathBuf,
}

/// A member of the workspace.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest: PathBuf,
    /// Names of what it needs to be built or run; not what only its tests need.
    pub(crate) dependencies: Vec<String>,
}

impl Workspace {
    pub(crate) fn read() -> Result<Self> {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(root())
            .output()
            .context("cannot run `cargo metadata`")?;
        if !output.status.success() {
            bail!("`cargo metadata` failed:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        let metadata: Value = serde_json::from_slice(&output.stdout)?;
        let packages = metadata["packages"].as_array().context("no packages")?;
        Ok(Self {
            packages: packages.iter().map(package).collect::<Result<_>>()?,
            target: text(&metadata, "target_directory")?.into(),
        })
    }
}

impl Package {
    /// The Rust files of the package, in order.
    pub(crate) fn sources(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut folders =
            vec![self.manifest.parent().context("a manifest has a folder")?.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.is_dir() && !path.ends_with("target") {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    found.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

fn package(value: &Value) -> Result<Package> {
    let dependencies = value["dependencies"].as_array().context("no dependencies")?;
    let needed = dependencies.iter().filter(|dependency| dependency["kind"] != "dev");
    Ok(Package {
        name: text(value, "name")?.to_owned(),
        manifest: text(value, "manifest_path")?.into(),
        dependencies: needed.map(|one| Ok(text(one, "name")?.to_owned())).collect::<Result<_>>()?,
    })
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("cargo metadata has no {key:?}"))
}
