//! Heads as text of HTTP/1.1, and as HTTP/2 has them.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, TE, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use memchr::{memchr, memchr_iter};
use rosn_base::Buf;

use super::extended::Upgrade;

/// Appends the head of a response as text.
pub(crate) fn response_text(head: &http::response::Parts, method: rosn_h1::Method, out: &mut Buf) {
    // Some old clients cannot do without the words.
    let words = head.status.canonical_reason().unwrap_or_default();
    for part in ["HTTP/1.1 ", head.status.as_str(), " ", words, "\r\n"] {
        out.extend(part.as_bytes());
    }
    let mut has_length = false;
    for (name, value) in &head.headers {
        has_length |= *name == CONTENT_LENGTH;
        if !is_of_connection(name) {
            line(name.as_str().as_bytes(), value.as_bytes(), out);
        }
    }
    let has_no_body = matches!(head.status.as_u16(), 100..=199 | 204 | 304)
        || method == rosn_h1::Method::Head
        || method == rosn_h1::Method::Connect && head.status.is_success();
    if !has_no_body && !has_length {
        // Also where nothing follows: trailers that came as the only head of a response (gRPC) stay that way.
        out.extend(b"transfer-encoding: chunked\r\n");
    }
    out.extend(b"\r\n");
}

/// Fields as lines.
pub(crate) fn fields_text(fields: &HeaderMap) -> Vec<u8> {
    let mut text = Vec::new();
    for (name, value) in fields {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            text.extend_from_slice(part);
        }
    }
    text
}

/// A request from its text; `None` where HTTP/2 has no words for it. One that asks for another protocol becomes an
/// extended CONNECT.
pub(crate) fn request(text: &[u8], scheme: &str) -> Option<(Request<()>, Option<Upgrade>)> {
    let (first, lines) = split(text)?;
    let mut words = first.split(|&byte| byte == b' ');
    let method = Method::from_bytes(words.next()?).ok()?;
    let target = words.next()?;
    let (mut host, mut offer, mut calls) = (None, None, false);
    let fields = fields(lines, |name, value| {
        match *name {
            HOST => _ = host.get_or_insert(value),
            UPGRADE => _ = offer.get_or_insert(value),
            CONTENT_TYPE => calls |= is_grpc(value),
            _ => {}
        }
        *name != HOST
    })?;
    let mut uri = Uri::builder().authority(host?);
    let mut request = Request::new(());
    *request.headers_mut() = fields;
    if method != Method::CONNECT {
        uri = uri.scheme(scheme).path_and_query(target);
        if calls {
            request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
        }
    }
    *request.uri_mut() = uri.build().ok()?;
    *request.method_mut() = method;
    let upgrade = match offer {
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
    *response.headers_mut() = fields(lines, |_, _| true)?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().remove("sec-websocket-accept");
    }
    Some(response)
}

/// Trailers from their lines; those that HTTP/2 has no words for are left out.
pub(crate) fn trailers(lines: &[u8]) -> HeaderMap {
    fields(lines, |_, _| true).unwrap_or_default()
}

/// Whether a content type is gRPC's.
fn is_grpc(value: &[u8]) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    value.get(..GRPC.len()).is_some_and(|start| start.eq_ignore_ascii_case(GRPC))
}

fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut ends = memchr_iter(b'\n', text);
    let end = ends.find(|&end| end > 0 && text[end - 1] == b'\r')?;
    Some((&text[..end - 1], &text[end + 1..]))
}

/// The fields of these lines that `keeps` lets through, without those of the connection. It sees those, too.
fn fields<'a>(
    mut lines: &'a [u8],
    mut keeps: impl FnMut(&HeaderName, &'a [u8]) -> bool,
) -> Option<HeaderMap> {
    let mut fields = HeaderMap::with_capacity(memchr_iter(b'\n', lines).count().min(64));
    while let Some((first, rest)) = split(lines) {
        lines = rest;
        if first.is_empty() {
            break;
        }
        let colon = memchr(b':', first)?;
        let name = HeaderName::from_bytes(&first[..colon]).ok()?;
        let value = first[colon + 1..].trim_ascii();
        if keeps(&name, value) && !is_of_connection(&name) {
            fields.try_append(name, HeaderValue::from_bytes(value).ok()?).ok()?;
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

/// Appends a field as a line.
pub(crate) fn line(name: &[u8], value: &[u8], out: &mut Buf) {
    out.extend(name);
    out.extend(b": ");
    out.extend(value);
    out.extend(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(fields: &HeaderMap) -> Vec<&str> {
        fields.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn the_fields_of_the_connection_and_the_host_do_not_stay_fields() {
        let text = b"POST /a?b HTTP/1.1\r\nAccept: */*\r\nHost: one.test\r\nHost: two.test\r\n\
                     TE: trailers\r\nConnection: TE\r\nKeep-Alive: 5\r\nTransfer-Encoding: chunked\r\n\
                     Content-Type: text/plain\r\nX-Empty:\r\n\r\n";
        let (request, upgrade) = request(text, "https").unwrap();
        assert!(upgrade.is_none());
        assert_eq!(request.method(), Method::POST);
        assert_eq!(*request.uri(), "https://one.test/a?b");
        assert_eq!(names(request.headers()), ["accept", "te", "content-type", "x-empty"]);
    }

    #[test]
    fn a_call_says_that_it_takes_trailers() {
        for value in ["application/grpc", "Application/gRPC+proto"] {
            let text = format!("POST /a/b HTTP/1.1\r\nHost: a\r\nContent-Type: {value}\r\n\r\n");
            let (request, _) = request(text.as_bytes(), "http").unwrap();
            assert_eq!(request.headers()[TE], "trailers");
        }
    }

    #[test]
    fn an_upgrade_becomes_an_extended_connect() {
        let text = b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\
                     Upgrade: websocket, other\r\nSec-WebSocket-Key: k\r\n\r\n";
        let (request, upgrade) = request(text, "http").unwrap();
        assert!(upgrade.is_some());
        assert_eq!((request.method(), request.uri().path()), (&Method::CONNECT, "/chat"));
        let protocol = request.extensions().get::<::h2::ext::Protocol>().unwrap();
        assert_eq!(protocol.as_str(), "websocket");
        assert!(request.headers().is_empty());
    }

    #[test]
    fn what_cannot_be_said_is_none() {
        for text in [
            "GET / HTTP/1.1\r\nAccept: */*\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nno token: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\na: \x01\r\n\r\n",
        ] {
            assert!(request(text.as_bytes(), "http").is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_response_says_how_it_is_framed() {
        let text = |response: http::response::Builder, method| {
            let mut out = Buf::default();
            response_text(&response.body(()).unwrap().into_parts().0, method, &mut out);
            String::from_utf8(out.unread().to_vec()).unwrap()
        };
        let get = rosn_h1::Method::Get;
        let with_length = Response::builder().status(206).header(CONTENT_LENGTH, 5);
        let expected = "HTTP/1.1 206 Partial Content\r\ncontent-length: 5\r\n\r\n";
        assert_eq!(text(with_length, get), expected);
        let without = Response::builder().header("a", "b").header("a", "c");
        let expected = "HTTP/1.1 200 OK\r\na: b\r\na: c\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(text(without, get), expected);
        assert_eq!(text(Response::builder().status(204), get), "HTTP/1.1 204 No Content\r\n\r\n");
        let head = text(Response::builder().status(599), rosn_h1::Method::Head);
        assert_eq!(head, "HTTP/1.1 599 \r\n\r\n");
    }
}
