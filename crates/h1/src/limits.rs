//! How much a peer may send.

/// Bounds on what is read into memory before a message is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head, from its first line to the empty line, both included. At most 4 GiB - 1.
    pub head_bytes: usize,
    /// Field lines in a head, and connection options in its Connection fields.
    pub fields: usize,
    /// Bytes of a request line or status line, without its CRLF.
    pub request_line: usize,
    /// Bytes of the line before a chunk: its size and extensions, without its CRLF.
    pub chunk_line: usize,
    /// Bytes of the trailer section, with those of dropped fields.
    pub trailer_bytes: usize,
}

impl Default for Limits {
    /// 64 KiB of head with 100 fields, 16 KiB of request line, 4 KiB of chunk line, 16 KiB of
    /// trailers.
    fn default() -> Self {
        Self {
            head_bytes: 64 * 1024,
            fields: 100,
            request_line: 16 * 1024,
            chunk_line: 4096,
            trailer_bytes: 16 * 1024,
        }
    }
}
