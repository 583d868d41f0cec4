//! `rosn convert`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, ensure};
use rosn_config::convert;

use crate::Exit;
use crate::check;
use crate::cli::{ConvertArgs, ConvertFrom};
use crate::output;

pub(crate) fn run(args: &ConvertArgs) -> Exit {
    match convert(args) {
        Ok(exit) => exit,
        Err(error) => {
            output::complain(&format!("error: {error:#}"));
            Exit::Usage
        }
    }
}

fn convert(args: &ConvertArgs) -> anyhow::Result<Exit> {
    let name = args.file.display().to_string();
    let text =
        std::fs::read_to_string(&args.file).with_context(|| format!("cannot read {name}"))?;
    let converted = match args.from {
        ConvertFrom::V2ray => convert::v2ray(&name, &text, args.output.as_deref()),
    };
    if !converted.diagnostics.is_empty() {
        let found = check::report(&converted.diagnostics, output::colours(&io::stderr()));
        output::complain(&found);
    }
    let Some(text) = converted.text else {
        output::complain("error: nothing is written, because not all of it can be converted");
        return Ok(Exit::Usage);
    };
    match &args.output {
        None => output::print(&text),
        Some(path) => {
            ensure!(!same_file(path, &args.file), "{name} would be overwritten by its conversion");
            write(path, &text).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(Exit::Ok)
}

/// Writes a file, which may hold secrets, for this user only.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(text.as_bytes())
}

fn same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
