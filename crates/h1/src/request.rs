//! The head of a request.

use std::ops::Range;

use memchr::memrchr;

use crate::error::RequestError;
use crate::field::Field;
use crate::framing::Framing;
use crate::head::{Head, Progress, Version};
use crate::limits::Limits;
use crate::method::Method;
use crate::name::Name;
use crate::span::Span;
use crate::target::{Form, Port, Target, is_authority};

/// No registered method is longer than half of this.
const METHOD_BYTES: usize = 32;

/// The head of a request, parsed into ranges of the caller's buffer.
///
/// It is reused from message to message: [`RequestHead::reset`] keeps the room for the fields.
/// What it says is meaningful once [`RequestHead::parse`] was [`Progress::Complete`]; methods that
/// take `bytes` want the bytes that were parsed, from the same start.
#[derive(Debug, Default)]
pub struct RequestHead {
    head: Head,
    /// One empty line came before the request line.
    skipped_line: bool,
    has_request_line: bool,
    complete: Option<usize>,
    method: Method,
    method_span: Span,
    target_span: Span,
    target: Target,
    version: Version,
    framing: Framing,
}

impl RequestHead {
    /// Parses the head at the start of `bytes`: all that was received of this message so far.
    ///
    /// Lines that were complete in an earlier call are not looked at again. What cannot become a
    /// request, such as a TLS hello, is refused at its first bytes.
    ///
    /// # Errors
    /// The request is to be refused with [`RequestError::status`] and the connection closed. Every
    /// way of cutting the same bytes into calls gives the same error.
    pub fn parse(&mut self, bytes: &[u8], limits: &Limits) -> Result<Progress, RequestError> {
        if let Some(length) = self.complete {
            return Ok(Progress::Complete(length));
        }
        if !self.has_request_line && !self.parse_request_line(bytes, limits)? {
            return Ok(Progress::Partial);
        }
        let Some(length) = self.head.parse(bytes, limits)? else {
            return Ok(Progress::Partial);
        };
        self.conclude(bytes)?;
        self.complete = Some(length);
        Ok(Progress::Complete(length))
    }

    /// Makes it ready for the next message.
    pub fn reset(&mut self) {
        self.head.reset();
        self.skipped_line = false;
        self.has_request_line = false;
        self.complete = None;
        self.framing = Framing::None;
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Where the method is.
    pub fn method_span(&self) -> Span {
        self.method_span
    }

    /// Where the request target is, as it was sent.
    pub fn target(&self) -> Span {
        self.target_span
    }

    /// The path without the query. `/` where an absolute-form target has none, but `*` with OPTIONS
    /// (RFC 9112 section 3.2.4); empty for CONNECT.
    pub fn path<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        if self.lacks_path() { self.root() } else { self.target.path.of(bytes) }
    }

    /// The path and the query, as an origin-form target has them.
    pub fn path_and_query<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        if self.lacks_path() {
            return self.root();
        }
        match self.target.form {
            Form::Authority => &[],
            _ => Span { start: self.target.path.start, end: self.target_span.end }.of(bytes),
        }
    }

    /// The host, with the port where there is one: that of the target in absolute-form and
    /// authority-form (RFC 9112 sections 3.2.2 and 3.2.3), else the value of Host; empty where
    /// neither is.
    pub fn authority<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        match (self.target.form, self.head.facts.host) {
            (Form::Absolute | Form::Authority, _) => self.target.authority.of(bytes),
            (_, Some(host)) => host.of(bytes),
            (_, None) => &[],
        }
    }

    /// Whether the target is in absolute-form, as clients of a forward proxy send it.
    pub fn is_absolute_form(&self) -> bool {
        self.target.form == Form::Absolute
    }

    /// The version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The fields, in the order they were sent in.
    pub fn fields(&self) -> &[Field] {
        &self.head.fields
    }

    /// How the end of the body is known: never [`Framing::UntilClose`].
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether the client lets the connection be used for another request, RFC 9112 section 9.3.
    pub fn keep_alive(&self) -> bool {
        self.head.keep_alive(self.version)
    }

    /// Whether the client waits for 100 (Continue) before it sends the content, RFC 9110 section
    /// 10.1.1. Not in HTTP/1.0, and not where there is no content. Other expectations are ignored.
    pub fn expects_continue(&self) -> bool {
        self.head.facts.expects_continue
            && self.version == Version::Http11
            && !matches!(self.framing, Framing::None | Framing::Length(0))
    }

    /// Whether the client asks for another protocol by Upgrade and `Connection: upgrade`, RFC 9110
    /// section 7.8. Not in HTTP/1.0.
    pub fn upgrade(&self) -> bool {
        self.head.facts.upgrade && self.head.facts.has_upgrade && self.version == Version::Http11
    }

    /// The first field of this known name.
    pub fn find(&self, name: Name) -> Option<&Field> {
        self.head.find(name)
    }

    /// The value of the first field of this name, in any case.
    pub fn value<'a>(&self, bytes: &'a [u8], lower_name: &str) -> Option<&'a [u8]> {
        self.head.value(bytes, lower_name)
    }

    fn lacks_path(&self) -> bool {
        self.target.form == Form::Absolute && self.target.path.is_empty()
    }

    fn root(&self) -> &'static [u8] {
        if self.method == Method::Options { b"*" } else { b"/" }
    }

    /// Takes the request line. Whether it was complete.
    fn parse_request_line(&mut self, bytes: &[u8], limits: &Limits) -> Result<bool, RequestError> {
        if !self.skipped_line {
            match bytes {
                [b'\r'] => return Ok(false),
                [b'\r', b'\n', ..] => {
                    self.head.lines.take(bytes, limits)?;
                    self.skipped_line = true;
                }
                _ => {}
            }
        }
        // The order of these checks makes them fail alike, wherever the bytes are cut.
        let start = self.head.lines.start();
        let method_end = method_end(bytes.get(start..).unwrap_or_default())?;
        if self.head.lines.scan(bytes) > limits.request_line {
            return Err(RequestError::LongRequestLine);
        }
        let (Some(line), Some(method_end)) = (self.head.lines.take(bytes, limits)?, method_end)
        else {
            return Ok(false);
        };
        self.split_request_line(bytes, line, start + method_end)?;
        self.has_request_line = true;
        Ok(true)
    }

    fn split_request_line(
        &mut self,
        bytes: &[u8],
        line: Range<usize>,
        method_end: usize,
    ) -> Result<(), RequestError> {
        let target_start = method_end + 1;
        let rest = bytes.get(target_start..line.end).unwrap_or_default();
        let (target, version) = match rest.split_last_chunk() {
            Some((target, b" HTTP/1.1")) => (target, Version::Http11),
            Some((target, b" HTTP/1.0")) => (target, Version::Http10),
            _ => return Err(bad_version(rest)),
        };
        self.version = version;
        let target = target_start..target_start + target.len();
        self.method = Method::of(&bytes[line.start..method_end]);
        self.method_span = Span::new(line.start, method_end);
        self.target_span = Span::new(target.start, target.end);
        self.target.parse(self.method, bytes, target)
    }

    /// Checks what can be known only when all fields are there.
    fn conclude(&mut self, bytes: &[u8]) -> Result<(), RequestError> {
        self.check_host(bytes)?;
        self.framing = self.head.framing(self.version)?.unwrap_or_default();
        let has_content = !matches!(self.framing, Framing::None | Framing::Length(0));
        if has_content && matches!(self.method, Method::Trace | Method::Connect) {
            return Err(RequestError::Content);
        }
        Ok(())
    }

    /// RFC 9112 section 3.2: one valid Host in HTTP/1.1. It may be empty (section 3.3), which
    /// leaves the choice of the host to us.
    fn check_host(&self, bytes: &[u8]) -> Result<(), RequestError> {
        if self.head.facts.host_is_repeated {
            return Err(RequestError::RepeatedHost);
        }
        match self.head.facts.host {
            Some(host) if host.is_empty() || is_authority(host.of(bytes), Port::Optional) => Ok(()),
            Some(_) => Err(RequestError::Host),
            None if self.version == Version::Http11 => Err(RequestError::MissingHost),
            None => Ok(()),
        }
    }
}

/// Why the part of a request line after the method does not end in a version that is known.
fn bad_version(rest: &[u8]) -> RequestError {
    let Some(space) = memrchr(b' ', rest) else {
        return RequestError::RequestLine;
    };
    match &rest[space + 1..] {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            RequestError::UnsupportedVersion
        }
        _ => RequestError::Version,
    }
}

/// Where the method at the start of `bytes` ends, if its end is there.
fn method_end(bytes: &[u8]) -> Result<Option<usize>, RequestError> {
    for (at, &byte) in bytes.iter().take(METHOD_BYTES + 1).enumerate() {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' if at == 0 => return Err(RequestError::BeforeRequestLine),
            b' ' => return Ok(Some(at)),
            _ if !crate::bytes::is_token(byte) => return Err(RequestError::Method),
            _ => {}
        }
    }
    if bytes.len() > METHOD_BYTES { Err(RequestError::LongMethod) } else { Ok(None) }
}
