//! Heads as text of HTTP/1.1, and as HTTP/2 has them.

use std::io::Write as _;

use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use memchr::{memchr, memchr_iter};
use rosn_base::Buf;

use super::extended::Upgrade;

/// Appends the head of a response as text.
pub(crate) fn response_text(head: &http::response::Parts, method: rosn_h1::Method, out: &mut Buf) {
    let mut text = Vec::with_capacity(512);
    // Some old clients cannot do without the words.
    let words = head.status.canonical_reason().unwrap_or_default();
    write!(text, "HTTP/1.1 {} {words}\r\n", head.status.as_u16()).expect("a Vec takes all bytes");
    for (name, value) in &head.headers {
        if !is_of_connection(name) {
            line(name, value, &mut text);
        }
    }
    let has_no_body = matches!(head.status.as_u16(), 100..=199 | 204 | 304)
        || method == rosn_h1::Method::Head
        || method == rosn_h1::Method::Connect && head.status.is_success();
    if !has_no_body && !head.headers.contains_key(CONTENT_LENGTH) {
        // Also where nothing follows: trailers that came as the only head of a response (gRPC) stay that way.
        text.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    text.extend_from_slice(b"\r\n");
    out.extend(&text);
}

/// Fields as lines.
pub(crate) fn fields_text(fields: &HeaderMap) -> Vec<u8> {
    let mut text = Vec::new();
    fields.iter().for_each(|(name, value)| line(name, value, &mut text));
    text
}

/// A request from its text; `None` where HTTP/2 has no words for it. One that asks for another protocol becomes an
/// extended CONNECT.
pub(crate) fn request(text: &[u8], scheme: &str) -> Option<(Request<()>, Option<Upgrade>)> {
    let (first, lines) = split(text)?;
    let mut words = first.split(|&byte| byte == b' ');
    let method = Method::from_bytes(words.next()?).ok()?;
    let target = words.next()?;
    let mut request = Request::new(());
    let headers = request.headers_mut();
    *headers = fields(lines)?;
    let host = headers.remove(HOST)?;
    let mut uri = Uri::builder().authority(host.as_bytes());
    if method != Method::CONNECT {
        uri = uri.scheme(scheme).path_and_query(target);
        if headers.get("content-type").is_some_and(is_grpc) {
            headers.insert("te", HeaderValue::from_static("trailers"));
        }
    }
    *request.uri_mut() = uri.build().ok()?;
    *request.method_mut() = method;
    let upgrade = match value(lines, b"upgrade") {
        Some(offer) => Some(Upgrade::ask(offer, &mut request)?),
        None => None,
    };
    Some((request, upgrade))
}

/// A response from its text; `None` where HTTP/2 has no words for it. What was switched by 101 was asked for by an
/// extended CONNECT, to which 200 says yes (RFC 8441 section 5).
pub(crate) fn response(text: &[u8]) -> Option<Response<()>> {
    let (first, lines) = split(text)?;
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_bytes(first.get(9..12)?).ok()?;
    *response.headers_mut() = fields(lines)?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().remove("sec-websocket-accept");
    }
    Some(response)
}

/// Trailers from their lines; those that HTTP/2 has no words for are left out.
pub(crate) fn trailers(lines: &[u8]) -> HeaderMap {
    fields(lines).unwrap_or_default()
}

/// Whether a content type is gRPC's.
fn is_grpc(value: &HeaderValue) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    value.as_bytes().get(..GRPC.len()).is_some_and(|start| start.eq_ignore_ascii_case(GRPC))
}

/// The value of the first field of that name, in lower case.
fn value<'a>(mut lines: &'a [u8], lower_name: &[u8]) -> Option<&'a [u8]> {
    while let Some((first, rest)) = split(lines) {
        lines = rest;
        let colon = memchr(b':', first)?;
        if first[..colon].eq_ignore_ascii_case(lower_name) {
            return Some(first[colon + 1..].trim_ascii());
        }
    }
    None
}

fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut ends = memchr_iter(b'\n', text);
    let end = ends.find(|&end| end > 0 && text[end - 1] == b'\r')?;
    Some((&text[..end - 1], &text[end + 1..]))
}

fn fields(mut lines: &[u8]) -> Option<HeaderMap> {
    let mut fields = HeaderMap::with_capacity(memchr_iter(b'\n', lines).count().min(64));
    while let Some((first, rest)) = split(lines) {
        lines = rest;
        if first.is_empty() {
            break;
        }
        let colon = memchr(b':', first)?;
        let name = HeaderName::from_bytes(&first[..colon]).ok()?;
        let value = HeaderValue::from_bytes(first[colon + 1..].trim_ascii()).ok()?;
        if !is_of_connection(&name) {
            fields.try_append(name, value).ok()?;
        }
    }
    Some(fields)
}

/// RFC 9113 section 8.2.2.
pub(super) fn is_of_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade"
    )
}

pub(super) fn line(name: &HeaderName, value: &HeaderValue, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}
