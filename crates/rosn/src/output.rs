//! Writing to the terminal, or to what stands in for it.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use serde_json::Value;

/// Writes to standard output. A reader that went away (`| head`) is no failure.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes JSON and a line end to standard output.
pub(crate) fn print_json(value: &Value) {
    print(&format!("{value:#}\n"));
}

/// Writes to standard error, and a line end where there is none.
pub(crate) fn complain(text: &str) {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let _ = io::stderr().lock().write_all(format!("{text}{end}").as_bytes());
}

/// Whether colours are wanted on a stream: on a terminal, unless `NO_COLOR` says otherwise.
pub(crate) fn colours(stream: &impl IsTerminal) -> bool {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    stream.is_terminal()
        && set("NO_COLOR").is_none()
        && set("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// Text of others for a terminal: what would control it is written as `\u{1b}`. Line ends stay.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    let controls = |char: char| char.is_control() && char != '\n';
    if !text.contains(controls) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        if controls(char) { out.extend(char.escape_unicode()) } else { out.push(char) }
    }
    out.into()
}
