//! The head of a request as text of HTTP/1.1, which is what the rest of the proxy knows.
//!
//! The text is parsed again by the parser of HTTP/1.1, as strict as ever. What stands in a field here must never become
//! a field or a line of its own there: no value holds CR, LF or NUL (RFC 9113 section 8.2.1), a name is a token, and in
//! the end the parser must have found as many fields as were written.

use h2::ext::Protocol;
use http::header::{CONTENT_LENGTH, COOKIE, HOST, TE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, request};
use rosn_base::Buf;
use rosn_h1::{Limits, Progress, RequestError, RequestHead};

use crate::h2::head::line;

/// Why a request is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The client is told: it may have meant well.
    Status(u16, &'static str),
    /// RFC 9113 section 8.1.1: a stream error.
    Malformed(&'static str),
}

impl From<RequestError> for Refused {
    fn from(error: RequestError) -> Self {
        Self::Status(error.status(), error.reason())
    }
}

/// Puts the head of a request into `text` and parses it there; says how long it is. `is_all`: no content follows.
/// `key` makes one for a WebSocket's handshake, which HTTP/2 has no need for (RFC 8441 section 5).
///
/// # Errors
/// It is malformed, or more than is let through.
pub(super) fn parse(
    parts: request::Parts,
    is_all: bool,
    key: impl FnOnce() -> String,
    limits: &Limits,
    text: &mut Buf,
    head: &mut RequestHead,
) -> Result<usize, Refused> {
    let fields = write(parts, is_all, key, text)?;
    match head.parse(text.unread(), limits)? {
        Progress::Complete(len) if len == text.len() && head.fields().len() == fields => Ok(len),
        _ => Err(Refused::Malformed("a field holds more than one")),
    }
}

/// Appends the text, and says how many fields it has.
fn write(
    parts: request::Parts,
    is_all: bool,
    key: impl FnOnce() -> String,
    text: &mut Buf,
) -> Result<usize, Refused> {
    let request::Parts { method, uri, headers, extensions, .. } = parts;
    let uri = uri.into_parts();
    let authority = uri.authority.as_ref().map(|authority| authority.as_str().as_bytes());
    let host = host(authority, &headers)?;
    let protocol = extensions.get::<Protocol>().map(AsRef::as_ref);
    if method != Method::CONNECT || protocol.is_some() {
        let path = path(uri.path_and_query.as_ref(), &method)?;
        let method = if protocol.is_some() { "GET" } else { method.as_str() };
        [method.as_bytes(), b" ", path].into_iter().for_each(|part| text.extend(part));
    } else {
        [&b"CONNECT "[..], host].into_iter().for_each(|part| text.extend(part));
    }
    text.extend(b" HTTP/1.1\r\n");
    line(b"host", host, text);
    let mut count = 1 + write_fields(&headers, protocol, text)?;
    let has_length = || headers.contains_key(CONTENT_LENGTH);
    if let Some(protocol) = protocol {
        if has_length() {
            return Err(Refused::Malformed("a tunnel has no length"));
        }
        count += write_upgrade(protocol, key, text)?;
    } else if method == Method::CONNECT {
        // What follows is no content.
    } else if !is_all && !has_length() {
        line(b"transfer-encoding", b"chunked", text);
        count += 1;
    } else if is_all
        && matches!(method, Method::POST | Method::PUT | Method::PATCH)
        && !has_length()
    {
        // RFC 9110 section 8.6.
        line(b"content-length", b"0", text);
        count += 1;
    }
    text.extend(b"\r\n");
    Ok(count)
}

/// What the request is for: `:authority`, else Host (RFC 9113 section 8.3.1).
fn host<'a>(authority: Option<&'a [u8]>, headers: &'a HeaderMap) -> Result<&'a [u8], Refused> {
    let mut hosts = headers.get_all(HOST).iter().map(HeaderValue::as_bytes);
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(RequestError::RepeatedHost.into());
    }
    match (authority, host) {
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
            Err(Refused::Status(400, "Host differs from :authority (RFC 9113 section 8.3.1)"))
        }
        (Some(host), _) | (None, Some(host)) => Ok(host),
        (None, None) => Err(RequestError::MissingHost.into()),
    }
}

/// An absolute URI in `:path` would be a target of another form (RFC 9113 section 8.3.1).
fn path<'a>(path: Option<&'a PathAndQuery>, method: &Method) -> Result<&'a [u8], Refused> {
    match path.map(|path| path.as_str().as_bytes()) {
        Some(path @ [b'/', ..]) => Ok(path),
        Some(b"*") if *method == Method::OPTIONS => Ok(b"*"),
        _ => Err(Refused::Malformed(":path is no path")),
    }
}

/// Appends the fields of the client, and says how many lines that are.
fn write_fields(
    headers: &HeaderMap,
    protocol: Option<&[u8]>,
    text: &mut Buf,
) -> Result<usize, Refused> {
    let (mut count, mut has_cookies) = (0, false);
    let mut last: Option<&HeaderName> = None;
    for (name, value) in headers {
        let is_repeated = last.replace(name) == Some(name);
        // RFC 9113 section 8.2.1: no white space around a value.
        if let [b' ' | b'\t', ..] | [.., b' ' | b'\t'] = value.as_bytes() {
            return Err(Refused::Malformed("white space around a value"));
        }
        let skip = match *name {
            // Written before.
            HOST => true,
            // That they are equal, and TE nothing but `trailers`, was checked by `h2`.
            CONTENT_LENGTH | TE => is_repeated,
            // Below, in one line.
            COOKIE => {
                has_cookies = true;
                true
            }
            _ => protocol.is_some() && is_of_handshake(name),
        };
        if !skip {
            line(name.as_str().as_bytes(), value.as_bytes(), text);
            count += 1;
        }
    }
    if has_cookies {
        // RFC 9113 section 8.2.3: the crumbs of one field.
        let mut before: &[u8] = b"cookie: ";
        for crumb in headers.get_all(COOKIE) {
            [before, crumb.as_bytes()].into_iter().for_each(|part| text.extend(part));
            before = b"; ";
        }
        text.extend(b"\r\n");
        count += 1;
    }
    Ok(count)
}

/// Appends the fields that ask for a protocol (RFC 8441), and says how many.
fn write_upgrade(
    protocol: &[u8],
    key: impl FnOnce() -> String,
    text: &mut Buf,
) -> Result<usize, Refused> {
    let is_name = |&byte: &u8| rosn_h1::is_token(byte) || byte == b'/';
    if protocol.is_empty() || !protocol.iter().all(is_name) {
        return Err(Refused::Malformed(":protocol is no token"));
    }
    if protocol.eq_ignore_ascii_case(b"h2c") {
        // As text it would be an offer that may be passed over, and the answer to a mere GET would say yes.
        return Err(Refused::Status(501, "CONNECT does not lead to this protocol (RFC 8441)"));
    }
    line(b"connection", b"upgrade", text);
    line(b"upgrade", protocol, text);
    if protocol.eq_ignore_ascii_case(b"websocket") {
        line(b"sec-websocket-key", key().as_bytes(), text);
        return Ok(3);
    }
    Ok(2)
}

/// RFC 8441 section 5: HTTP/2 has no use for them.
fn is_of_handshake(name: &HeaderName) -> bool {
    matches!(name.as_str(), "sec-websocket-key" | "sec-websocket-accept")
}

#[cfg(test)]
mod tests;
