//! Which trailer fields are passed on.

/// Whether a trailer field of this name is dropped, and must not be sent: RFC 9110 section 6.5.1 forbids those that are
/// needed for framing, routing, authentication, request modifiers, response control data, or to
/// read the content. What looks like a forwarded identity is dropped too, as merging it into the
/// head would forge it.
pub fn is_forbidden_trailer(name: &[u8]) -> bool {
    let starts_with = |prefix: &[u8]| {
        name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    PREFIXES.iter().any(|prefix| starts_with(prefix.as_bytes()))
        || NAMES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

const PREFIXES: &[&str] = &["if-", "proxy-", "x-forwarded-"];

const NAMES: &[&str] = &[
    "age",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "forwarded",
    "host",
    "keep-alive",
    "location",
    "max-forwards",
    "pragma",
    "range",
    "retry-after",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-real-ip",
];
