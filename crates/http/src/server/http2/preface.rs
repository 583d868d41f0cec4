//! How a connection of HTTP/2 begins.

/// What a client says first, RFC 9113 section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the first bytes of a connection begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Begins {
    Http1,
    Http2,
    /// It takes more of them to tell.
    Either,
}

pub(in crate::server) fn begins(bytes: &[u8]) -> Begins {
    let count = bytes.len().min(PREFACE.len());
    match bytes[..count] == PREFACE[..count] {
        false => Begins::Http1,
        true if count == PREFACE.len() => Begins::Http2,
        true => Begins::Either,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preface_is_told_from_a_request() {
        for (bytes, wanted) in [
            (&b""[..], Begins::Either),
            (b"P", Begins::Either),
            (b"PO", Begins::Http1),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", Begins::Either),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0", Begins::Http2),
            (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", Begins::Http1),
        ] {
            assert_eq!(begins(bytes), wanted, "{bytes:?}");
        }
    }
}
