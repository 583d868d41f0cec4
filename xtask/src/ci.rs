//! What CI checks besides the tests. The first fault ends it.

use anyhow::Result;

use crate::command::{run, run_with};
use crate::workspace::root;
use crate::{layers, schema};

/// Cheap checks first.
pub(crate) fn check() -> Result<()> {
    run("cargo", &["fmt", "--all", "--check"])?;
    layers::run()?;
    schema::check()?;
    let lints = ["--all-targets", "--locked", "--", "-D", "warnings"];
    run("cargo", &[&["clippy", "--workspace"], &lints[..]].concat())?;
    let docs = ["doc", "--workspace", "--no-deps", "--locked"];
    run_with("cargo", &docs, &[("RUSTDOCFLAGS", "-D warnings")])?;
    // workspaces of their own, so that nothing of theirs reaches the product
    for manifest in ["bench/lg/Cargo.toml", "fuzz/Cargo.toml", "tests/interop/tonic/Cargo.toml"] {
        if root().join(manifest).exists() {
            run("cargo", &["fmt", "--manifest-path", manifest, "--check"])?;
            run("cargo", &[&["clippy", "--manifest-path", manifest], &lints[..]].concat())?;
        }
    }
    run("cargo", &["test", "--manifest-path", "bench/lg/Cargo.toml", "--locked"])
}
