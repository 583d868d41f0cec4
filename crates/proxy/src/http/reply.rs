//! Responses that rosn makes itself.

use std::io::Write as _;

use rosn_h1::Version;

/// A response that does not come from an upstream.
#[derive(Debug)]
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
    /// A field that belongs to the status, such as `Location`.
    pub(crate) field: Option<(&'a str, &'a [u8])>,
    /// Further fields, each with its CRLF.
    pub(crate) extra: &'a [u8],
}

impl Reply<'_> {
    /// Appends the whole response to `out`.
    ///
    /// `keep_alive` says whether the connection stays open; `without_body` is for HEAD.
    pub(crate) fn encode(
        &self,
        version: Version,
        keep_alive: bool,
        without_body: bool,
        date: &[u8],
        out: &mut Vec<u8>,
    ) {
        status_line(self.status, reason(self.status).as_bytes(), out);
        field("Date", date, out);
        if let Some((name, value)) = self.field {
            field(name, value, out);
        }
        out.extend_from_slice(self.extra);
        // RFC 9110 section 8.6: no Content-Length with 1xx and 204.
        let may_have_body = !matches!(self.status, 100..=199 | 204 | 304);
        if may_have_body {
            if !self.body.is_empty() {
                out.extend_from_slice(b"Content-Type: text/plain; charset=utf-8\r\n");
            }
            write!(out, "Content-Length: {}\r\n", self.body.len()).expect("a Vec takes all bytes");
        }
        connection(version, keep_alive, out);
        out.extend_from_slice(b"\r\n");
        if may_have_body && !without_body {
            out.extend_from_slice(self.body);
        }
    }
}

/// Appends a field.
pub(crate) fn field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends the status line of a response; a status has three digits.
pub(crate) fn status_line(status: u16, reason: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    // `write!` would cost half of what the rest of a head does.
    out.extend([100, 10, 1].map(|unit| b'0' + (status / unit % 10) as u8));
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

/// Appends the `Connection` field where the version's default does not say it.
pub(crate) fn connection(version: Version, keep_alive: bool, out: &mut Vec<u8>) {
    match (version, keep_alive) {
        (Version::Http11, false) => out.extend_from_slice(b"Connection: close\r\n"),
        (Version::Http10, true) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        _ => {}
    }
}

/// The reason phrase of RFC 9110 section 15, or an empty one.
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
