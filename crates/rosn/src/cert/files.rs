//! The files of `rosn cert`.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// What becomes of a file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    AsItIs,
    Replaced,
}

/// What the files for a name are called: `*.a.test` is `_wildcard.a.test`, `spiffe://a/b` is `spiffe_a_b`.
pub(super) fn stem(name: &str) -> String {
    let name = name.replace('*', "_wildcard").replace("://", "_");
    let plain = |char: char| char.is_ascii_alphanumeric() || "._-@".contains(char);
    let name: String = name.chars().map(|char| if plain(char) { char } else { '_' }).collect();
    // `.` and `..` are no files, and `.a` is hidden.
    if name.starts_with('.') { format!("_{name}") } else { name }
}

/// For everybody to read.
pub(super) fn write(path: &Path, text: &str, kept: Kept) -> anyhow::Result<()> {
    write_with(path, text, kept, 0o644)
}

/// For its owner to read.
pub(super) fn write_key(path: &Path, text: &str, kept: Kept) -> anyhow::Result<()> {
    write_with(path, text, kept, 0o600)
}

fn write_with(path: &Path, text: &str, kept: Kept, mode: u32) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    // Whoever watches the file sees the old one or the new one, and nothing in between.
    let target = match kept {
        Kept::AsItIs => path.to_owned(),
        Kept::Replaced => beside(path),
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&target)
        .with_context(cannot)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| match kept {
        Kept::AsItIs => Ok(()),
        Kept::Replaced => fs::rename(&target, path),
    });
    if written.is_err() {
        let _ = fs::remove_file(&target);
    }
    written.with_context(cannot)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    name.into()
}
