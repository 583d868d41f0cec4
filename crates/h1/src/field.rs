//! One field line of a head.

use crate::name::Name;
use crate::span::Span;

/// A field line, as ranges of the bytes that were parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The name, in the case it was sent in.
    pub name: Span,
    /// The value, without the white space around it.
    pub value: Span,
    /// The whole line with its CRLF, to be forwarded as it is.
    pub line: Span,
    /// The name, where it is a known one.
    pub id: Name,
    /// Whether the field is for this connection only and must not be forwarded (RFC 9110 section
    /// 7.6.1): Connection, Keep-Alive, Proxy-Connection, TE, Upgrade, Transfer-Encoding, Trailer
    /// unless the body is chunked, and every field that Connection nominates. Content-Length too
    /// where the response must not have it.
    pub hop: bool,
}
