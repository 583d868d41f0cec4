//! Go takes `-name value` where others write `--name value`; MOSN's scripts may too.

use std::ffi::OsString;

use clap::Command;

/// Gives a single dash of a long flag (`-config`, `-sm`) its second one. Short flags stay.
pub(super) fn normalise(
    command: &Command,
    args: impl IntoIterator<Item = OsString>,
) -> Vec<OsString> {
    let mut literal = false;
    args.into_iter()
        .enumerate()
        .map(|(at, arg)| {
            literal |= arg == "--";
            match arg.to_str() {
                Some(text) if at > 0 && !literal && is_long_flag(command, text) => {
                    OsString::from(format!("-{text}"))
                }
                _ => arg,
            }
        })
        .collect()
}

fn is_long_flag(command: &Command, text: &str) -> bool {
    let Some(flag) = text.strip_prefix('-') else { return false };
    let name = flag.split('=').next().unwrap_or(flag);
    name.len() > 1
        && command.get_arguments().any(|arg| {
            arg.get_long() == Some(name)
                || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
        })
}
