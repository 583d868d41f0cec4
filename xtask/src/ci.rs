//! What CI checks besides the tests. The first fault ends it.

use anyhow::Result;

use crate::command::{run, run_with};
use crate::layers;
use crate::workspace::Workspace;

/// Workspaces of their own, so that nothing of theirs reaches the product.
const APART: [&str; 3] = ["bench/lg/Cargo.toml", "bench/client/Cargo.toml", "fuzz/Cargo.toml"];
/// Another, which `cargo xtask interop` builds; a warning of the compiler is an error there.
const PEER: &str = "tests/interop/tonic/Cargo.toml";

/// Cheap checks first.
pub(crate) fn check() -> Result<()> {
    run("cargo", &["fmt", "--all", "--check"])?;
    for manifest in APART.iter().chain([&PEER]) {
        run("cargo", &["fmt", "--manifest-path", manifest, "--check"])?;
    }
    layers::run()?;
    let lints = ["--all-targets", "--locked", "--", "-D", "warnings"];
    run("cargo", &[&["clippy", "--workspace"], &lints[..]].concat())?;
    let docs = ["doc", "--workspace", "--no-deps", "--locked"];
    run_with("cargo", &docs, &[("RUSTDOCFLAGS", "-D warnings")])?;
    // In the product's target folder, so that what is built for both is built once.
    let target = Workspace::read()?.target.display().to_string();
    for manifest in APART {
        let command = ["clippy", "--manifest-path", manifest, "--target-dir", &target];
        run("cargo", &[&command, &lints[..]].concat())?;
    }
    let generator = ["--manifest-path", APART[0], "--target-dir", &target, "--locked"];
    run("cargo", &[&["test"], &generator[..]].concat())
}
