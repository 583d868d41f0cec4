//! The project's own commands.
//!
//! ```text
//! cargo xtask ci              everything that CI checks apart from the tests
//! cargo xtask layers          who imports whom, and where `unsafe` may stand
//! cargo xtask schema          write docs/schema.json and docs/reference.md
//! cargo xtask sizes           lengths of files and functions
//! cargo xtask interop [SUITE] rosn against v2ray, Python peers, the Autobahn cases and what tunnels through it
//! cargo xtask bench ...       rosn side by side with its peers (bench/README.md); --tunnels, --clients, --servers: those
//! ```

mod bench;
mod ci;
mod command;
mod interop;
mod layers;
mod rust_source;
mod sizes;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, rest) = match arguments.split_first() {
        Some((name, rest)) => (name.as_str(), rest),
        None => ("help", &[][..]),
    };
    match (name, rest) {
        ("ci", []) => ci::check(),
        ("layers", []) => layers::run(),
        ("schema", []) => write_pages(),
        ("sizes", []) => sizes::run(),
        ("interop", []) => interop::check(None, &[]),
        ("interop", [suite, options @ ..]) => interop::check(Some(suite), options),
        ("bench", options) => bench::compare(options),
        ("help" | "--help" | "-h", _) => {
            println!(
                "cargo xtask ci | layers | schema | sizes | interop [suite] | bench [options]"
            );
            Ok(())
        }
        _ => bail!("no such command: {}; try `cargo xtask help`", arguments.join(" ")),
    }
}

/// A test of `rosn-config` that compares them writes them: this program has nothing of rosn in it, and is built in seconds.
fn write_pages() -> Result<()> {
    let test = ["test", "--quiet", "--locked", "--package", "rosn-config", "--test", "pages"];
    command::run_with("cargo", &test, &[("ROSN_WRITE_PAGES", "yes")])
}
