//! Files as text.

use std::io::{self, Read};
use std::path::Path;

/// How large a file may be.
const MAX_MIB: u64 = 64;

/// Why a file has no text.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("there is no such file")]
    Missing,
    #[error("this is a directory; name the configuration file in it")]
    Directory,
    #[error("the file cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("the file is larger than {MAX_MIB} MiB")]
    TooLarge,
    #[error("the file is in UTF-16; save it as UTF-8")]
    Utf16,
    #[error("the file is not UTF-8: line {line} has the byte 0x{byte:02x} at column {column}")]
    NotUtf8 { line: usize, column: usize, byte: u8 },
}

impl ReadError {
    /// Its stable name.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Missing => "file-missing",
            Self::Directory => "file-is-directory",
            Self::Unreadable(_) => "file-unreadable",
            Self::TooLarge => "file-too-large",
            Self::Utf16 | Self::NotUtf8 { .. } => "file-not-utf8",
        }
    }
}

/// The bytes of a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, ReadError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => ReadError::Missing,
        io::ErrorKind::IsADirectory => ReadError::Directory,
        _ => ReadError::Unreadable(error),
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    // A device or a pipe tells no length, so what is read is counted.
    let limit = MAX_MIB * 1024 * 1024;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit { Err(ReadError::TooLarge) } else { Ok(bytes) }
}

/// The text of the bytes, and whether a byte order mark was cut off.
pub(super) fn decode(bytes: Vec<u8>) -> Result<(String, bool), ReadError> {
    if bytes.len() as u64 > MAX_MIB * 1024 * 1024 {
        return Err(ReadError::TooLarge);
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(ReadError::Utf16);
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let good = String::from_utf8_lossy(&bytes[..at]);
        let line_start = good.rfind('\n').map_or(0, |end| end + 1);
        ReadError::NotUtf8 {
            line: good.matches('\n').count() + 1,
            column: good[line_start..].chars().count() + 1,
            byte: bytes[at],
        }
    })?;
    match text.strip_prefix('\u{feff}') {
        Some(rest) => Ok((rest.to_owned(), true)),
        None => Ok((text, false)),
    }
}
