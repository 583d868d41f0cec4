//! The four forms of a request target, RFC 9112 section 3.2.

use std::net::Ipv6Addr;
use std::ops::Range;

use memchr::{memchr, memchr2};

use crate::bytes::{find_colon, is_host, is_target};
use crate::error::RequestError;
use crate::method::Method;
use crate::span::Span;

/// What a request target is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Target {
    pub(crate) form: Form,
    /// Of absolute-form and authority-form.
    pub(crate) authority: Span,
    /// Without the query. Empty where an absolute-form has none, and in authority-form.
    pub(crate) path: Span,
}

/// The form of a request target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Form {
    /// `/path?query`
    #[default]
    Origin,
    /// `http://host/path?query`
    Absolute,
    /// `host:port`, for CONNECT.
    Authority,
    /// `*`, for OPTIONS.
    Asterisk,
}

impl Target {
    /// Becomes the target in `bytes[range]`.
    pub(crate) fn parse(
        &mut self,
        method: Method,
        bytes: &[u8],
        range: Range<usize>,
    ) -> Result<(), RequestError> {
        let text = &bytes[range.clone()];
        if !is_target(text) {
            return Err(RequestError::Target);
        }
        *self = Self::default();
        let whole = Span::new(range.start, range.end);
        match text {
            _ if method == Method::Connect => {
                if !is_authority(text, Port::Required) {
                    return Err(RequestError::AuthorityForm);
                }
                self.form = Form::Authority;
                self.authority = whole;
            }
            [b'/', ..] => self.path = path(text, range.start),
            b"*" => {
                if method != Method::Options {
                    return Err(RequestError::AsteriskForm);
                }
                self.form = Form::Asterisk;
                self.path = whole;
            }
            _ => self.parse_absolute(text, range.start)?,
        }
        Ok(())
    }

    /// `http://host/path?query`, which lies at `at`.
    fn parse_absolute(&mut self, text: &[u8], at: usize) -> Result<(), RequestError> {
        let scheme = memchr(b':', text).ok_or(RequestError::Target)?;
        let rest = text[scheme..].strip_prefix(b"://").ok_or(RequestError::Target)?;
        let scheme = &text[..scheme];
        if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
            return Err(RequestError::AbsoluteForm);
        }
        let end = memchr2(b'/', b'?', rest).unwrap_or(rest.len());
        // A query without a path cannot be forwarded as it stands.
        if !is_authority(&rest[..end], Port::Optional) || rest.get(end) == Some(&b'?') {
            return Err(RequestError::AbsoluteForm);
        }
        let start = at + text.len() - rest.len();
        self.form = Form::Absolute;
        self.authority = Span::new(start, start + end);
        self.path = path(&rest[end..], start + end);
        Ok(())
    }
}

/// The part of `text`, which lies at `at`, before the query.
fn path(text: &[u8], at: usize) -> Span {
    Span::new(at, at + memchr(b'?', text).unwrap_or(text.len()))
}

/// Whether an authority has to have a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    /// There may be none, or an empty one.
    Optional,
    /// There is one.
    Required,
}

/// Whether `text` is a host that is not empty, and a port: RFC 3986 section 3.2 without user
/// information.
pub(crate) fn is_authority(text: &[u8], port: Port) -> bool {
    let host_end = match text {
        [b'[', rest @ ..] => {
            let Some(close) = memchr(b']', rest) else { return false };
            // Neither zones (RFC 6874) nor addresses of future versions are known to any peer.
            let address = std::str::from_utf8(&rest[..close]).unwrap_or_default();
            if address.parse::<Ipv6Addr>().is_err() {
                return false;
            }
            close + 2
        }
        _ => {
            let end = find_colon(text, text.len()).unwrap_or(text.len());
            if end == 0 || !is_host_name(&text[..end]) {
                return false;
            }
            end
        }
    };
    match &text[host_end..] {
        [] => port == Port::Optional,
        [b':'] => port == Port::Optional,
        [b':', digits @ ..] => is_port(digits),
        _ => false,
    }
}

/// A registered name or an IPv4 address, RFC 3986 section 3.2.2.
fn is_host_name(mut text: &[u8]) -> bool {
    if text.iter().all(|&byte| is_host(byte)) {
        return true;
    }
    while let [first, rest @ ..] = text {
        text = match rest {
            _ if is_host(*first) => rest,
            [high, low, rest @ ..]
                if *first == b'%' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                rest
            }
            _ => return false,
        };
    }
    true
}

fn is_port(digits: &[u8]) -> bool {
    let mut number = 0u32;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return false;
        }
        number = (number * 10 + u32::from(digit - b'0')).min(65536);
    }
    number < 65536
}
