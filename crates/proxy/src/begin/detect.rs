//! What the first bytes of a connection say about its protocol. Always in the same order: HTTP/2, then HTTP/1.1.

use rosn_config::checked::Protocol;

/// What the first byte of TLS is: a record of a handshake.
pub(super) const TLS: u8 = 0x16;

/// As many bytes as are ever needed.
pub(super) const ENOUGH: usize = 24;

/// RFC 9113 section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Words that a request of HTTP/1.1 begins with: RFC 9110, PATCH, and those of WebDAV.
const METHODS: [&[u8]; 22] = [
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"DELETE",
    b"CONNECT",
    b"OPTIONS",
    b"TRACE",
    b"PATCH",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"REPORT",
    b"SEARCH",
    b"ACL",
    b"MKCALENDAR",
    b"CHECKOUT",
    b"QUERY",
];

/// What some bytes say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Guess {
    /// This is it.
    Is(Protocol),
    /// More bytes are needed.
    More,
    /// None of those that are asked for.
    Unknown,
}

/// What was agreed on in TLS.
pub(super) fn by_alpn(name: &[u8]) -> Option<Protocol> {
    match name {
        b"h2" => Some(Protocol::Http2),
        b"http/1.1" => Some(Protocol::Http1),
        _ => None,
    }
}

/// What the first bytes say. `strict`: what is not certain is unknown; else HTTP/1.1 gets whatever looks like text, and
/// answers it. `is_all`: no more bytes will come.
pub(super) fn guess(bytes: &[u8], protocols: &[Protocol], strict: bool, is_all: bool) -> Guess {
    let is_http1 = protocols.contains(&Protocol::Http1);
    let mut may_be_more = false;
    if protocols.contains(&Protocol::Http2) {
        if bytes.starts_with(PREFACE) {
            return Guess::Is(Protocol::Http2);
        }
        may_be_more |= PREFACE.starts_with(bytes);
    }
    if is_http1 {
        let is_one = |method: &[u8]| {
            bytes.strip_prefix(method).is_some_and(|rest| rest.first() == Some(&b' '))
        };
        if METHODS.iter().any(|method| is_one(method)) {
            return Guess::Is(Protocol::Http1);
        }
        may_be_more |= METHODS.iter().any(|method| method.starts_with(bytes));
    }
    if may_be_more && !is_all {
        return Guess::More;
    }
    let is_text =
        bytes.first().is_some_and(|byte| byte.is_ascii_graphic() || b"\r\n".contains(byte));
    if is_http1 && !strict && is_text {
        return Guess::Is(Protocol::Http1);
    }
    Guess::Unknown
}

/// For the log.
pub(super) fn describe(bytes: &[u8]) -> String {
    match bytes {
        [TLS, 3, ..] => "it is TLS, and this listener has none".to_owned(),
        _ => bytes.iter().take(16).map(|byte| byte.escape_ascii().to_string()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes() {
        use Guess::{Is, More, Unknown};
        use Protocol::{Http1, Http2};
        let both = &[Http1, Http2][..];
        for (bytes, protocols, strict, expected) in [
            (PREFACE, both, false, Is(Http2)),
            (&PREFACE[..23], both, false, More),
            (b"P", both, false, More),
            (b"PR", both, true, More),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", both, true, Unknown),
            // HTTP/1.1 says what it thinks of it.
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", both, false, Is(Http1)),
            (PREFACE, &[Http1][..], false, Is(Http1)),
            (PREFACE, &[Http1][..], true, Unknown),
            (b"GET / HTTP/1.1\r\n", both, true, Is(Http1)),
            (b"GET ", both, true, Is(Http1)),
            (b"GET", both, true, More),
            (b"GETS / HTTP/1.1", both, true, Unknown),
            (b"GETS / HTTP/1.1", both, false, Is(Http1)),
            (b"GET / HTTP/1.1\r\n", &[Http2][..], false, Unknown),
            (b"PROPFIND / HTTP/1.1", both, true, Is(Http1)),
            (b"SSH-2.0-OpenSSH_9.2\r\n", both, true, Unknown),
            (b"\r\nGET / HTTP/1.1", both, false, Is(Http1)),
            (b"\x16\x03\x01\x02\x00", both, false, Unknown),
            (b"\x00", both, false, Unknown),
        ] {
            let shown = bytes.escape_ascii();
            assert_eq!(guess(bytes, protocols, strict, false), expected, "{shown} {strict}");
        }
        assert_eq!(guess(b"PR", both, true, true), Unknown, "nothing more comes");
        assert_eq!(guess(b"PR", both, false, true), Is(Http1));
        // Nothing longer is waited for.
        assert!(METHODS.iter().all(|method| method.len() < ENOUGH) && PREFACE.len() == ENOUGH);
    }

    #[test]
    fn what_it_looked_like() {
        assert_eq!(describe(b"\x16\x03\x01"), "it is TLS, and this listener has none");
        assert_eq!(describe(b"\0hi\n"), "\\x00hi\\n");
    }
}
