//! PEM, in files or in the configuration itself.

use std::io::Read;
use std::path::Path;

/// Bytes of a PEM file.
const MAX_PEM: u64 = 1024 * 1024;

/// What is wrong with a file, to stand behind its name.
pub(super) fn look_into(path: &Path, kind: &str) -> Result<(), String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_PEM + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_PEM {
        return Err(format!("is larger than {} KiB", MAX_PEM / 1024));
    }
    if is_pem(&String::from_utf8_lossy(&bytes), kind) {
        Ok(())
    } else {
        Err(format!("holds no PEM with a {kind}"))
    }
}

/// `-----BEGIN EC PRIVATE KEY-----` and the like.
pub(super) fn is_pem(text: &str, kind: &str) -> bool {
    let begins = |line: &str| line.trim_start().starts_with("-----BEGIN ") && line.contains(kind);
    text.lines().any(begins)
}
