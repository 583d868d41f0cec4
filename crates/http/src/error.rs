//! Why there is no response, or no more of one.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use rosn_base::Addr;
use rosn_net::DialError;
pub use rosn_trace::BoxError;

/// Why a request failed, or a body.
///
/// It says what was done when it failed ([`Error::phase`]), with whom, and why; [`source`](StdError::source) is the
/// error below, where there is one. No header, path or secret of the request is in it.
///
/// It is made in the same way by those who implement [`RoundTrip`](crate::RoundTrip):
///
/// ```
/// use rosn_http::{Error, Phase};
///
/// let error = Error::new(Phase::Connect, "no more than 3 hosts are allowed").at("example.com:80");
/// assert_eq!(
///     error.to_string(),
///     "cannot connect to example.com:80: no more than 3 hosts are allowed"
/// );
/// ```
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    phase: Phase,
    kind: Kind,
    /// Host and port.
    authority: Option<Arc<str>>,
    peer: Option<Addr>,
    /// What is wrong, where that is not said by the phase, the kind and the source.
    what: Option<Cow<'static, str>>,
    source: Option<BoxError>,
}

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Looking at the request, before anything is done for it.
    Request,
    /// Waiting for a connection that others use.
    Pool,
    /// Resolving the name.
    Dns,
    /// Connecting.
    Connect,
    /// Having a proxy connect further.
    Proxy,
    /// A TLS handshake.
    Tls,
    /// Sending the request.
    Write,
    /// The request was sent, and no byte of the response is there.
    Wait,
    /// Reading the response's head.
    Head,
    /// Reading a body.
    Body,
    /// Following a redirect.
    Redirect,
    /// Taking a connection over from HTTP.
    Upgrade,
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What the source says.
    Failed,
    Timeout,
    Cancelled,
    /// The peer closed the connection before the response was whole.
    ClosedEarly,
    /// The peer broke the protocol.
    Parse,
    /// More than a limit allows.
    TooLarge,
    /// A trace refused an interim response.
    Vetoed,
    /// The other side's data, which were to be sent, failed.
    Source,
}

impl Error {
    /// An error of this phase; `why` is its source.
    pub fn new(phase: Phase, why: impl Into<BoxError>) -> Self {
        let source: BoxError = why.into();
        let timed_out = source
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut);
        let kind = if timed_out { Kind::Timeout } else { Kind::Failed };
        let mut error = Self::of(phase, kind);
        error.0.source = Some(source);
        error
    }

    /// An error without a source.
    pub(crate) fn of(phase: Phase, kind: Kind) -> Self {
        Self(Box::new(Inner { phase, kind, authority: None, peer: None, what: None, source: None }))
    }

    /// With whom: host and port.
    #[must_use]
    pub fn at(mut self, authority: impl Into<Arc<str>>) -> Self {
        self.0.authority = Some(authority.into());
        self
    }

    /// The address of the other end.
    #[must_use]
    pub fn peer(mut self, peer: Option<&Addr>) -> Self {
        self.0.peer = peer.cloned();
        self
    }

    pub(crate) fn in_phase(mut self, phase: Phase) -> Self {
        self.0.phase = phase;
        self
    }

    pub(crate) fn kind(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    pub(crate) fn what(mut self, what: impl Into<Cow<'static, str>>) -> Self {
        self.0.what = Some(what.into());
        self
    }

    pub(crate) fn because(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What was being done when it failed.
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// Host and port that the request was for, where known.
    pub fn authority(&self) -> Option<&str> {
        self.0.authority.as_deref()
    }

    /// The name could not be resolved.
    pub fn is_dns(&self) -> bool {
        self.0.phase == Phase::Dns
    }

    /// No address could be connected to.
    pub fn is_connect(&self) -> bool {
        self.0.phase == Phase::Connect
    }

    /// The proxy did not connect further.
    pub fn is_proxy(&self) -> bool {
        self.0.phase == Phase::Proxy
    }

    /// The TLS handshake failed.
    pub fn is_tls(&self) -> bool {
        self.0.phase == Phase::Tls
    }

    /// No connection became free.
    pub fn is_pool(&self) -> bool {
        self.0.phase == Phase::Pool
    }

    /// The request cannot be sent as it is; nothing was done for it.
    pub fn is_request(&self) -> bool {
        self.0.phase == Phase::Request
    }

    /// It took too long: a timeout of the transport, or the deadline of the request's context.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == Kind::Timeout
    }

    /// It was given up by those who wanted it.
    pub fn is_cancelled(&self) -> bool {
        self.0.kind == Kind::Cancelled
    }

    /// The connection ended before the head of the response was there.
    pub fn is_closed_early(&self) -> bool {
        self.0.kind == Kind::ClosedEarly && self.0.phase != Phase::Body
    }

    /// The connection ended before the body of the response was whole.
    pub fn is_truncated(&self) -> bool {
        self.0.kind == Kind::ClosedEarly && self.0.phase == Phase::Body
    }

    /// The other side broke the protocol.
    pub fn is_parse(&self) -> bool {
        self.0.kind == Kind::Parse
    }

    /// Something is larger than a limit allows.
    pub fn is_too_large(&self) -> bool {
        self.0.kind == Kind::TooLarge
    }

    /// It is about a body: reading one failed, or what was to be sent as one.
    pub fn is_body(&self) -> bool {
        self.0.phase == Phase::Body || self.0.kind == Kind::Source
    }

    /// A trace did not like an interim response.
    pub fn is_vetoed(&self) -> bool {
        self.0.kind == Kind::Vetoed
    }
}

impl Kind {
    /// What went wrong, where nothing else says so.
    fn text(self) -> Option<&'static str> {
        match self {
            Self::Failed | Self::Parse => None,
            Self::Timeout => Some("timed out"),
            Self::Cancelled => Some("cancelled"),
            Self::ClosedEarly => Some("the connection was closed before the response was whole"),
            Self::TooLarge => Some("larger than allowed"),
            Self::Vetoed => Some("a trace refused an interim response"),
            Self::Source => Some("the body to be sent failed"),
        }
    }
}

impl Phase {
    /// What could not be done, and the word before whom.
    fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::Request => ("cannot send the request", "to"),
            Self::Pool => ("cannot get a connection", "to"),
            Self::Dns => ("cannot resolve the name", "of"),
            Self::Connect => ("cannot connect", "to"),
            Self::Proxy => ("cannot connect through the proxy", "to"),
            Self::Tls => ("the TLS handshake failed", "with"),
            Self::Write => ("cannot send the request", "to"),
            Self::Wait => ("no response", "from"),
            Self::Head => ("cannot read the response", "from"),
            Self::Body => ("cannot read the body", "from"),
            Self::Redirect => ("cannot follow the redirect", "from"),
            Self::Upgrade => ("cannot take over the connection", "to"),
        }
    }
}

impl fmt::Display for Error {
    /// What could not be done, with whom, and why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let (text, word) = inner.phase.text();
        f.write_str(text)?;
        match (&inner.authority, &inner.peer) {
            (Some(authority), Some(peer)) if peer.to_string() != **authority => {
                write!(f, " {word} {authority} ({peer})")?;
            }
            (Some(authority), _) => write!(f, " {word} {authority}")?,
            (None, Some(peer)) => write!(f, " {word} {peer}")?,
            (None, None) => {}
        }
        let is_told = inner.kind == Kind::Timeout && inner.source.is_some();
        let what = inner.what.as_deref().or(inner.kind.text().filter(|_| !is_told));
        if let Some(what) = what {
            write!(f, ": {what}")?;
        }
        let Some(source) = &inner.source else { return Ok(()) };
        let source = match source.downcast_ref::<DialError>() {
            // Where to was said.
            Some(dial) => dial.reason(),
            None => source.to_string(),
        };
        if what != Some(&*source) { write!(f, ": {source}") } else { Ok(()) }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_where_and_why() {
        let peer = Addr::Ip("127.0.0.1:80".parse().unwrap());
        let error = Error::new(Phase::Write, io::Error::from(io::ErrorKind::BrokenPipe))
            .at("example.com:80")
            .peer(Some(&peer));
        assert_eq!(
            error.to_string(),
            "cannot send the request to example.com:80 (127.0.0.1:80): broken pipe"
        );
        assert!(error.source().is_some());
        let error = Error::of(Phase::Wait, Kind::Timeout).at("example.com:80");
        assert_eq!(error.to_string(), "no response from example.com:80: timed out");
        assert!(error.is_timeout() && !error.is_cancelled());
        let error = Error::new(Phase::Tls, io::Error::from(io::ErrorKind::TimedOut));
        assert!(error.is_timeout() && error.is_tls());
    }

    /// What is above may be given in the words of what is below, and an authority may be an address.
    #[test]
    fn nothing_is_said_twice() {
        let peer = Addr::Ip("127.0.0.1:80".parse().unwrap());
        let error = Error::of(Phase::Body, Kind::ClosedEarly).what("it broke off");
        let error = error.because("it broke off").at("127.0.0.1:80").peer(Some(&peer));
        assert_eq!(error.to_string(), "cannot read the body from 127.0.0.1:80: it broke off");
        assert!(error.is_truncated() && !error.is_closed_early());
    }
}
