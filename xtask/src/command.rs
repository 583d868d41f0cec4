//! Runs programs, and says which.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Prints the command, runs it in the repository's root and fails when it fails.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<()> {
    run_with(program, arguments, &[])
}

/// [`run`], with variables of the environment.
pub(crate) fn run_with(program: &str, arguments: &[&str], env: &[(&str, &str)]) -> Result<()> {
    let settings: String = env.iter().map(|(name, value)| format!("{name}={value:?} ")).collect();
    let text = format!("{settings}{program} {}", arguments.join(" "));
    println!("+ {text}");
    let mut command = Command::new(program);
    command.args(arguments).envs(env.iter().copied()).current_dir(workspace::root());
    let status = command.status().with_context(|| format!("cannot run `{text}`"))?;
    if !status.success() {
        bail!("`{text}` failed: {status}");
    }
    Ok(())
}
