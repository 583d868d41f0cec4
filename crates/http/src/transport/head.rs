//! The head of a request, as it is written.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHORIZATION, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, request};
use http_body::Body as _;
use rosn_h1::Framing;
use rosn_trace::{Event, Interest, TraceHandle};

use super::connection::Connection;
use crate::error::Kind;
use crate::field_values::{content_length, has_member};
use crate::{Body, Error, Phase};

/// What follows from the head of a request.
pub(super) struct Head {
    pub(super) parts: request::Parts,
    pub(super) framing: Framing,
    /// Whether the head has to say how long the body is.
    pub(super) says_length: bool,
    /// What Host says in the request; the authority of the URI where it says nothing.
    pub(super) host: Option<HeaderValue>,
    pub(super) expects_continue: bool,
    /// The connection is not to be used for another request.
    pub(super) closes: bool,
    adds_close: bool,
    /// The response may be 101, or is a tunnel if it is 2xx.
    pub(super) wants_upgrade: bool,
}

impl Head {
    /// Looks at the head.
    ///
    /// # Errors
    /// It cannot be sent: [`Phase::Request`].
    pub(super) fn new(
        parts: request::Parts,
        body: &Body,
        keep_alives: bool,
    ) -> Result<Self, Error> {
        let headers = &parts.headers;
        let (framing, says_length) = framing(&parts, body)?;
        let wants_upgrade = wants_upgrade(headers);
        let closes = has_member(headers, &CONNECTION, "close");
        let has_body = !matches!(framing, Framing::None | Framing::Length(0));
        Ok(Self {
            host: host(&parts)?,
            framing,
            says_length,
            expects_continue: has_body && expects_continue(headers),
            closes: closes || !keep_alives,
            adds_close: !keep_alives && !closes && !wants_upgrade,
            wants_upgrade,
            parts,
        })
    }

    /// Appends the head to `out`, which is empty, and reports its fields.
    pub(super) fn encode(&self, on: &Connection, trace: &TraceHandle, out: &mut Vec<u8>) {
        out.extend_from_slice(self.parts.method.as_str().as_bytes());
        out.push(b' ');
        self.encode_target(on, out);
        out.extend_from_slice(b" HTTP/1.1\r\n");
        let mut fields = Fields { out, trace, shown: trace.wants(Interest::FIELDS) };
        match &self.host {
            Some(host) => fields.add(&HOST, host),
            None => fields.add_text(&HOST, authority(&self.parts.uri)),
        }
        if let Some(value) = &on.proxy_authorization
            && !self.parts.headers.contains_key(PROXY_AUTHORIZATION)
        {
            fields.add(&PROXY_AUTHORIZATION, value);
        }
        for (name, value) in &self.parts.headers {
            if name != HOST && name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
                fields.add(name, value);
            }
        }
        match self.framing {
            Framing::Chunked => {
                fields.add(&TRANSFER_ENCODING, &HeaderValue::from_static("chunked"));
            }
            Framing::Length(length) if self.says_length => {
                fields.add(&CONTENT_LENGTH, &HeaderValue::from(length));
            }
            _ => {}
        }
        if self.adds_close {
            fields.add(&CONNECTION, &HeaderValue::from_static("close"));
        }
        out.extend_from_slice(b"\r\n");
    }

    /// RFC 9112 section 3.2.
    fn encode_target(&self, on: &Connection, out: &mut Vec<u8>) {
        let uri = &self.parts.uri;
        if self.parts.method == Method::CONNECT {
            let uri = authority(uri).as_bytes();
            out.extend_from_slice(self.host.as_ref().map_or(uri, HeaderValue::as_bytes));
            return;
        }
        if on.absolute_form {
            out.extend_from_slice(b"http://");
            out.extend_from_slice(authority(uri).as_bytes());
        }
        match uri.path_and_query().map(|path| path.as_str()) {
            Some("*") if on.absolute_form => {} // RFC 9112 section 3.2.4
            Some(path) if path.starts_with(['/', '*']) => out.extend_from_slice(path.as_bytes()),
            // A query alone.
            Some(path) => {
                out.push(b'/');
                out.extend_from_slice(path.as_bytes());
            }
            None => out.push(b'/'),
        }
    }
}

/// Writes fields and reports them.
struct Fields<'a> {
    out: &'a mut Vec<u8>,
    trace: &'a TraceHandle,
    shown: bool,
}

impl Fields<'_> {
    fn add(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.write(name, value.as_bytes());
        if self.shown {
            self.trace
                .emit(Interest::FIELDS, || Event::WroteHeaderField { name: name.as_str(), value });
        }
    }

    /// A field whose value is needed as such only by those who watch.
    fn add_text(&mut self, name: &HeaderName, text: &str) {
        self.write(name, text.as_bytes());
        if self.shown
            && let Ok(value) = &HeaderValue::from_str(text)
        {
            self.trace
                .emit(Interest::FIELDS, || Event::WroteHeaderField { name: name.as_str(), value });
        }
    }

    fn write(&mut self, name: &HeaderName, value: &[u8]) {
        self.out.extend_from_slice(name.as_str().as_bytes());
        self.out.extend_from_slice(b": ");
        self.out.extend_from_slice(value);
        self.out.extend_from_slice(b"\r\n");
    }
}

/// Whether a request asks for another protocol.
pub(super) fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE) && has_member(headers, &CONNECTION, "upgrade")
}

/// The authority of a URI, without the user and the password that may be in it.
pub(super) fn authority(uri: &Uri) -> &str {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// What the request says in Host, RFC 9112 section 3.2.
fn host(parts: &request::Parts) -> Result<Option<HeaderValue>, Error> {
    let mut given = parts.headers.get_all(HOST).iter();
    match (given.next(), given.next()) {
        // http::Uri holds visible ASCII only.
        (None, _) => Ok(None),
        (Some(host), None) if host.as_bytes().iter().all(is_host_byte) => Ok(Some(host.clone())),
        (Some(_), None) => Err(refused("its field Host is invalid")),
        (Some(_), Some(_)) => Err(refused("it has two fields Host")),
    }
}

fn is_host_byte(byte: &u8) -> bool {
    byte.is_ascii_graphic() && !b",/\\@?#\"<>".contains(byte)
}

/// How the end of the body is shown, and whether the head says it.
fn framing(parts: &request::Parts, body: &Body) -> Result<(Framing, bool), Error> {
    let known = body.size_hint().exact();
    let length = content_length(&parts.headers)
        .map_err(|_| refused("its Content-Length is not one number"))?;
    let chunked = is_chunked(&parts.headers)?;
    if parts.method == Method::CONNECT {
        let is_empty = known == Some(0) && length.is_none_or(|length| length == 0) && !chunked;
        return match is_empty {
            true => Ok((Framing::None, false)),
            false => Err(refused("CONNECT has no body (RFC 9110 section 9.3.6)")),
        };
    }
    match (chunked, length, known) {
        (true, Some(_), _) => Err(refused("it has Content-Length and Transfer-Encoding")),
        (true, None, _) | (false, None, None) => Ok((Framing::Chunked, true)),
        (false, Some(length), Some(known)) if length != known => {
            Err(refused("its Content-Length is not the length of its body"))
        }
        (false, Some(length), _) => Ok((Framing::Length(length), true)),
        (false, None, Some(0)) => {
            // RFC 9110 section 8.6: said where the method has a meaning for a body.
            let usual = [Method::POST, Method::PUT, Method::PATCH].contains(&parts.method);
            Ok(if usual { (Framing::Length(0), true) } else { (Framing::None, false) })
        }
        (false, None, Some(known)) => Ok((Framing::Length(known), true)),
    }
}

fn is_chunked(headers: &HeaderMap) -> Result<bool, Error> {
    let mut given = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(value) = given.next() else { return Ok(false) };
    match (value.as_bytes().eq_ignore_ascii_case(b"chunked"), given.next()) {
        (true, None) => Ok(true),
        _ => Err(refused("its Transfer-Encoding is not chunked")),
    }
}

fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

fn refused(what: &'static str) -> Error {
    Error::of(Phase::Request, Kind::Failed).what(what)
}
