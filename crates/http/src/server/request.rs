//! A request as the handler sees it.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Uri, Version};
use rosn_h1::{Field, FieldError, RequestError, RequestHead, Span};

use super::ServeError;

/// A request without its body. `bytes` are those of its head, and the values are slices of them.
///
/// # Errors
/// The types of the `http` crate cannot hold it: its target is no URI, or the name of a field is too long.
pub(super) fn request(head: &RequestHead, bytes: &Bytes) -> Result<Request<()>, ServeError> {
    let mut request = Request::new(());
    *request.method_mut() = method(head.method_span().of(bytes));
    *request.uri_mut() = uri(head, bytes).ok_or(ServeError::Target)?;
    *request.version_mut() = version(head.version());
    let headers = headers(head.fields(), bytes);
    *request.headers_mut() = headers.ok_or(RequestError::Field(FieldError::TooLarge))?;
    Ok(request)
}

pub(super) fn version(version: rosn_h1::Version) -> Version {
    match version {
        rosn_h1::Version::Http10 => Version::HTTP_10,
        rosn_h1::Version::Http11 => Version::HTTP_11,
    }
}

fn method(bytes: &[u8]) -> Method {
    Method::from_bytes(bytes).expect("the parser takes tokens only")
}

fn uri(head: &RequestHead, bytes: &Bytes) -> Option<Uri> {
    let target = slice(bytes, head.target());
    Uri::from_maybe_shared(target).ok()
}

fn headers(fields: &[Field], bytes: &Bytes) -> Option<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        headers.append(name(field.name.of(bytes))?, value(slice(bytes, field.value)));
    }
    Some(headers)
}

fn slice(bytes: &Bytes, span: Span) -> Bytes {
    bytes.slice(span.start as usize..span.end as usize)
}

/// A name, which is a token; `None` where it has more than 64 KiB.
fn name(bytes: &[u8]) -> Option<HeaderName> {
    HeaderName::from_bytes(bytes).ok()
}

fn value(bytes: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(bytes).expect("the parser takes no control characters")
}

/// The trailers of a body: lines that each end in CRLF, which the decoder has checked.
pub(super) fn trailers(lines: &[u8]) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    for line in lines.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let content = line[colon + 1..].trim_ascii();
        let Some(name) = name(&line[..colon]) else { continue };
        let content = value(Bytes::copy_from_slice(content));
        if trailers.try_append(name, content).is_err() {
            break; // there is no room for more
        }
    }
    trailers
}

#[cfg(test)]
mod tests {
    use rosn_h1::{Limits, Progress};

    use super::*;

    fn parsed(bytes: &'static [u8]) -> Result<Request<()>, ServeError> {
        let mut head = RequestHead::default();
        let progress = head.parse(bytes, &Limits::default()).unwrap();
        assert!(matches!(progress, Progress::Complete(_)));
        request(&head, &Bytes::from_static(bytes))
    }

    #[test]
    fn each_form_of_target_becomes_a_uri() {
        for (line, uri) in [
            ("GET /a?b HTTP/1.1", "/a?b"),
            ("GET http://x:81/a HTTP/1.1", "http://x:81/a"),
            ("CONNECT x:443 HTTP/1.1", "x:443"),
            ("OPTIONS * HTTP/1.1", "*"),
        ] {
            let bytes = format!("{line}\r\nHost: x\r\n\r\n").into_bytes().leak();
            let request = parsed(bytes).unwrap();
            assert_eq!(request.uri().to_string(), uri);
            assert_eq!(request.headers()["host"], "x");
        }
    }

    /// Whatever visible ASCII the parser takes is a URI or refused, never a panic; so are bytes above it in values.
    #[test]
    fn any_target_and_value_that_the_parser_takes() {
        for byte in 0x21..=0x7e_u8 {
            let target = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", byte as char);
            let mut head = RequestHead::default();
            let bytes = Bytes::from(target);
            if head.parse(&bytes, &Limits::default()).is_ok() {
                let _ = request(&head, &bytes);
            }
        }
        for byte in 0..=255_u8 {
            let mut bytes = b"GET / HTTP/1.1\r\nHost: x\r\nA: x".to_vec();
            bytes.extend_from_slice(&[byte, b'y', b'\r', b'\n', b'\r', b'\n']);
            let bytes = Bytes::from(bytes);
            let mut head = RequestHead::default();
            if head.parse(&bytes, &Limits::default()).is_ok() {
                assert_eq!(request(&head, &bytes).unwrap().headers()["a"].as_bytes()[1], byte);
            }
        }
    }

    #[test]
    fn trailer_lines_become_fields() {
        let map = trailers(b"A: 1\r\nb:  2 \r\nA:3\r\n");
        assert_eq!(map.get_all("a").iter().collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(map["b"], "2");
        assert!(trailers(b"").is_empty());
    }
}
