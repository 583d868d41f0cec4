//! `rosn version` and `rosn -v`.

use std::env::consts::{ARCH, OS};

use serde_json::json;

use crate::Exit;
use crate::cli::{ReportFormat, VersionArgs};
use crate::output;

/// The version of the program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

const BUILD: &str = if cfg!(debug_assertions) { "debug" } else { "release" };

/// `rosn 0.1.0 (linux x86_64, release build)`, with a line end.
pub(crate) fn line() -> String {
    format!("rosn {VERSION} ({OS} {ARCH}, {BUILD} build)\n")
}

pub(crate) fn run(args: &VersionArgs) -> Exit {
    match args.format {
        ReportFormat::Text => output::print(&line()),
        ReportFormat::Json => output::print_json(
            &json!({"name": "rosn", "version": VERSION, "os": OS, "arch": ARCH, "build": BUILD}),
        ),
    }
    Exit::Ok
}
