//! Other people's programs: curl, nginx and the like.

use std::process::{Command, Output};

/// A program that must be installed.
///
/// # Panics
///
/// If it is not, with what to do.
#[must_use]
pub fn program(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let found = path.split(':').map(|folder| std::path::Path::new(folder).join(name));
    let found = found.into_iter().find(|path| path.is_file());
    Command::new(found.unwrap_or_else(|| {
        panic!("the program `{name}` is missing: tests/run.sh installs what the tests need")
    }))
}

/// Runs it to its end.
///
/// # Panics
///
/// If it fails, with what it said.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// What it printed.
#[must_use]
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
