//! The head of a response: what the handler made, with the framing and the connection's fields.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::Body as _;
use rosn_h1::{Framing, Method, RequestHead, Version, is_forbidden_trailer, list};

use crate::Body;
use crate::field_values::{content_length, has_member, members};

/// What of the request decides how its response is sent.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) version: Version,
    /// The protocols of Upgrade, where the request asks for one.
    pub(super) upgrade: Option<Vec<HeaderValue>>,
}

impl Asked {
    pub(super) fn new(head: &RequestHead, headers: &HeaderMap) -> Self {
        let offers = || headers.get_all(header::UPGRADE).iter().cloned().collect();
        Self {
            method: head.method(),
            version: head.version(),
            upgrade: head.upgrade().then(offers),
        }
    }

    /// Of a request on a stream of HTTP/2, where bodies need no framing.
    pub(super) fn of_stream(method: &http::Method) -> Self {
        let method = match *method {
            http::Method::HEAD => Method::Head,
            http::Method::CONNECT => Method::Connect,
            _ => Method::Other,
        };
        Self { method, version: Version::Http11, upgrade: None }
    }
}

/// How a response is sent.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) framing: Framing,
    /// It takes the connection out of HTTP.
    pub(super) switches: bool,
    /// Whether the connection serves another request.
    pub(super) keep: bool,
}

/// Decides how a response is sent, and appends its head to `out`.
///
/// `keep` says whether the connection could serve another request, and `may_switch` whether somebody waits for it in
/// case of a switch.
///
/// # Errors
/// The handler's mistake: nothing was appended.
pub(super) fn plan(
    response: &Response<Body>,
    asked: &Asked,
    keep: bool,
    may_switch: bool,
    date: &mut Date,
    out: &mut Vec<u8>,
) -> Result<Plan, &'static str> {
    let status = response.status();
    if status == StatusCode::SWITCHING_PROTOCOLS {
        check_switch(response.headers(), asked)?;
        return switch(response, may_switch, date, out);
    }
    if status.is_informational() {
        return Err("made a response of an interim status");
    }
    if asked.method == Method::Connect && status.is_success() {
        return switch(response, may_switch, date, out);
    }
    let headers = response.headers();
    let (framing, length) = framing(response, asked)?;
    let says_close = has_member(headers, &header::CONNECTION, "close");
    let keep = keep && !says_close && framing != Framing::UntilClose;
    put_status(status, out);
    put_fields(headers, is_framing, out);
    put_date(headers, date, out);
    if let Some(length) = length {
        // A Vec takes all that is written to it.
        let _ = write!(out, "Content-Length: {length}\r\n");
    }
    if framing == Framing::Chunked {
        put_field(b"Transfer-Encoding", b"chunked", out);
    }
    if !keep && !says_close {
        put_field(b"Connection", b"close", out);
    } else if keep && asked.version == Version::Http10 {
        put_field(b"Connection", b"keep-alive", out);
    }
    out.extend_from_slice(b"\r\n");
    Ok(Plan { framing, switches: false, keep })
}

/// RFC 9110 section 7.8: a protocol that was offered, and one is named.
fn check_switch(headers: &HeaderMap, asked: &Asked) -> Result<(), &'static str> {
    let Some(offered) = &asked.upgrade else {
        return Err("switched the protocol without having been asked to");
    };
    let mut chosen = members(headers, &header::UPGRADE).peekable();
    if chosen.peek().is_none() {
        return Err("switched the protocol without saying to which");
    }
    let is_offered = |token: &[u8]| {
        offered
            .iter()
            .flat_map(|value| list(value.as_bytes()))
            .any(|one| one.eq_ignore_ascii_case(token))
    };
    if chosen.all(is_offered) { Ok(()) } else { Err("switched to a protocol that was not offered") }
}

/// A head with nothing behind it that is HTTP. Connection stays as the handler wrote it: the connection is not closed.
fn switch(
    response: &Response<Body>,
    may_switch: bool,
    date: &mut Date,
    out: &mut Vec<u8>,
) -> Result<Plan, &'static str> {
    if !may_switch {
        return Err("switched the protocol, but nobody waits for the connection (`on_switch`)");
    }
    let headers = response.headers();
    put_status(response.status(), out);
    put_fields(headers, is_framing, out);
    put_date(headers, date, out);
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && !has_member(headers, &header::CONNECTION, "upgrade")
    {
        put_field(b"Connection", b"Upgrade", out);
    }
    out.extend_from_slice(b"\r\n");
    Ok(Plan { framing: Framing::None, switches: true, keep: false })
}

/// The framing, and what Content-Length says.
pub(super) fn framing(
    response: &Response<Body>,
    asked: &Asked,
) -> Result<(Framing, Option<u64>), &'static str> {
    let announced = content_length(response.headers())
        .map_err(|_| "made a Content-Length that is not one number")?;
    let exact = response.body().size_hint().exact();
    match response.status() {
        StatusCode::NO_CONTENT => return Ok((Framing::None, None)),
        StatusCode::NOT_MODIFIED => return Ok((Framing::None, announced)),
        // A body that is not there says nothing about that of a GET.
        _ if asked.method == Method::Head => {
            return Ok((Framing::None, announced.or(exact.filter(|length| *length > 0))));
        }
        _ => {}
    }
    match (announced, exact) {
        (Some(announced), Some(exact)) if announced != exact => {
            Err("announced another length than its body has")
        }
        (Some(length), _) | (None, Some(length)) => Ok((Framing::Length(length), Some(length))),
        (None, None) if asked.version == Version::Http10 => Ok((Framing::UntilClose, None)),
        (None, None) => Ok((Framing::Chunked, None)),
    }
}

/// The fields that this crate writes itself.
pub(super) fn is_framing(name: &HeaderName) -> bool {
    *name == header::CONTENT_LENGTH || *name == header::TRANSFER_ENCODING
}

/// Appends a status line.
pub(super) fn put_status(status: StatusCode, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends the fields but those that `skip` names.
pub(super) fn put_fields(
    headers: &HeaderMap,
    skip: impl Fn(&HeaderName) -> bool,
    out: &mut Vec<u8>,
) {
    for (name, value) in headers.iter().filter(|(name, _)| !skip(name)) {
        put_field(name.as_str().as_bytes(), value.as_bytes(), out);
    }
}

/// Appends a field. The name is written as Go writes it (`Content-Type`): some clients look for that.
fn put_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let mut starts_word = true;
    for byte in name {
        out.push(if starts_word { byte.to_ascii_uppercase() } else { *byte });
        starts_word = *byte == b'-';
    }
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn put_date(headers: &HeaderMap, date: &mut Date, out: &mut Vec<u8>) {
    if !headers.contains_key(header::DATE) {
        put_field(b"Date", date.now().as_bytes(), out);
    }
}

/// The trailers of a response, without those that a trailer section must not hold.
pub(super) fn put_trailers(trailers: &HeaderMap, out: &mut Vec<u8>) {
    put_fields(trailers, |name| is_forbidden_trailer(name.as_str().as_bytes()), out);
}

/// The Date field's value, made once a second.
#[derive(Debug, Default)]
pub(super) struct Date {
    second: u64,
    text: String,
}

impl Date {
    fn now(&mut self) -> &str {
        let now = SystemTime::now();
        let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if self.text.is_empty() || self.second != second {
            self.second = second;
            self.text.clear();
            let date = httpdate::HttpDate::from(now);
            // A String takes all that is written to it.
            let _ = std::fmt::Write::write_fmt(&mut self.text, format_args!("{date}"));
        }
        &self.text
    }
}

/// A whole response of the server's own, after which the connection is closed.
pub(super) fn refusal(status: u16, reason: &str, date: &mut Date) -> Vec<u8> {
    let mut out = Vec::new();
    put_status(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), &mut out);
    put_field(b"Date", date.now().as_bytes(), &mut out);
    put_field(b"Content-Type", b"text/plain; charset=utf-8", &mut out);
    put_field(b"Connection", b"close", &mut out);
    // A Vec takes all that is written to it.
    let _ = write!(out, "Content-Length: {}\r\n\r\n{reason}\n", reason.len() + 1);
    out
}
