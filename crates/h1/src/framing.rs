//! How the length of a body is known, RFC 9112 section 6.

use crate::bytes::{is_all_token, trim};
use crate::error::FieldError;

/// How a message shows where its body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// So many bytes.
    Length(u64),
    /// The chunked transfer coding, RFC 9112 section 7.
    Chunked,
    /// All bytes until the connection is closed; in responses only.
    UntilClose,
}

/// The number in a Content-Length field, RFC 9110 section 8.6.
pub(crate) fn content_length(value: &[u8]) -> Result<u64, FieldError> {
    if value.is_empty() {
        return Err(FieldError::ContentLength);
    }
    let mut length = 0u64;
    for &byte in value {
        if !byte.is_ascii_digit() {
            return Err(FieldError::ContentLength);
        }
        length = length
            .checked_mul(10)
            .and_then(|length| length.checked_add(u64::from(byte - b'0')))
            .ok_or(FieldError::ContentLength)?;
    }
    // Many parsers hold it in a signed number, and read a larger one as negative.
    if i64::try_from(length).is_err() {
        return Err(FieldError::ContentLength);
    }
    Ok(length)
}

/// What a Transfer-Encoding field says, RFC 9112 sections 6.1 and 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransferEncoding {
    /// Exactly `chunked`.
    Chunked,
    /// Codings that are not known here, and `chunked` as the last.
    Unsupported,
    /// Anything else: the length of the body cannot be known.
    Invalid,
}

impl TransferEncoding {
    pub(crate) fn of(value: &[u8]) -> Self {
        if value.eq_ignore_ascii_case(b"chunked") {
            return Self::Chunked;
        }
        let mut codings = value.rsplit(|&byte| byte == b',').map(trim);
        let ends_chunked = codings.next().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
        let are_others = codings.all(|coding| {
            let name = coding.split(|&byte| byte == b';').next().unwrap_or_default();
            is_all_token(trim(name)) && !trim(name).eq_ignore_ascii_case(b"chunked")
        });
        if ends_chunked && are_others { Self::Unsupported } else { Self::Invalid }
    }
}
