//! The events.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use rosn_base::Addr;

use crate::Interest;

/// An error as an event shows it.
pub type ErrorRef<'a> = &'a (dyn Error + Send + Sync + 'static);

/// Something that happened. New kinds may be added.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A name is about to be resolved. There is no such event for an IP address.
    DnsStart {
        /// Which dial.
        dial: DialId,
        /// The name.
        host: &'a str,
    },
    /// It was, or not.
    DnsDone {
        /// Which dial.
        dial: DialId,
        /// The name.
        host: &'a str,
        /// What it resolved to; empty where it failed.
        addrs: &'a [IpAddr],
        /// Another dial had asked for the same name already, and this one shared its answer.
        coalesced: bool,
        /// Why it failed.
        error: Option<ErrorRef<'a>>,
    },
    /// An address is about to be connected to. Several may be under way at a time.
    ConnectStart {
        /// Which dial.
        dial: DialId,
        /// 1 for the first address of this dial that is tried, and so on.
        try_no: u32,
        /// The address.
        addr: &'a Addr,
    },
    /// It was, or not. This may come after the dial has ended.
    ConnectDone {
        /// Which dial.
        dial: DialId,
        /// Which try.
        try_no: u32,
        /// The address.
        addr: &'a Addr,
        /// Why it failed. [`Cancelled`] where it was given up.
        result: Result<(), ErrorRef<'a>>,
        /// Another address of the same dial was faster, and this one is not used, whatever the result.
        lost_race: bool,
    },
    /// A proxy is about to be asked to connect further (CONNECT, SOCKS).
    ProxyHandshakeStart {
        /// Which dial.
        dial: DialId,
        /// The proxy.
        proxy: &'a Addr,
    },
    /// It answered, or not.
    ProxyHandshakeDone {
        /// Which dial.
        dial: DialId,
        /// The proxy.
        proxy: &'a Addr,
        /// The status of its answer, where there was one.
        status: Option<u16>,
        /// Why it failed.
        error: Option<ErrorRef<'a>>,
    },
    /// A TLS handshake is about to begin.
    TlsStart {
        /// Which dial.
        dial: DialId,
        /// Whose certificate is expected.
        server_name: &'a str,
    },
    /// It is over.
    TlsDone {
        /// Which dial.
        dial: DialId,
        /// Whose certificate is expected.
        server_name: &'a str,
        /// What was agreed on.
        result: Result<&'a TlsInfo<'a>, ErrorRef<'a>>,
    },
    /// Another handshake of a transport is about to begin.
    HandshakeStart {
        /// Which dial.
        dial: DialId,
        /// The transport's name, such as `ws`.
        transport: &'a str,
        /// Which of its handshakes, such as `upgrade`.
        phase: &'a str,
    },
    /// It is over.
    HandshakeDone {
        /// Which dial.
        dial: DialId,
        /// The transport's name.
        transport: &'a str,
        /// Which of its handshakes.
        phase: &'a str,
        /// Why it failed.
        error: Option<ErrorRef<'a>>,
    },
    /// A connection is wanted for a request. It is reported again for each attempt.
    GetConn {
        /// Host and port of the first hop: the proxy's where there is one. Names are in punycode.
        authority: &'a str,
        /// 1 for the first attempt of a request.
        attempt: u32,
    },
    /// There is no room for another connection to that host, so the request waits for one.
    PoolWait {
        /// Host and port of the first hop.
        authority: &'a str,
        /// How many wait, this one included.
        queued: usize,
    },
    /// There is a connection for the request.
    GotConn(&'a GotConnInfo<'a>),
    /// There is none.
    GetConnFailed {
        /// Host and port of the first hop.
        authority: &'a str,
        /// Why.
        error: ErrorRef<'a>,
    },
    /// A field of the request's head was written, in the order of the wire.
    WroteHeaderField {
        /// Its name, in lower case; a pseudo-header field of HTTP/2, such as `:method`, with its colon.
        name: &'a str,
        /// Its value. [`HeaderValue::is_sensitive`] says whether it is to be kept out of logs.
        value: &'a HeaderValue,
    },
    /// The head of the request was handed to the system, or is about to be together with the body.
    WroteHeaders,
    /// The head was sent, and the body is held back until the server asks for it (RFC 9110, 10.1.1).
    Wait100,
    /// The server asked for the body.
    Got100,
    /// The request was sent, or it failed. This may come after [`Event::FirstResponseByte`].
    WroteRequest {
        /// Bytes of the body that were sent.
        bytes: u64,
        /// Whether the body was sent; it is not where the server answered instead of asking for it.
        body_sent: bool,
        /// Why it failed.
        result: Result<(), ErrorRef<'a>>,
    },
    /// The first byte of the first response head, interim ones counted, is there. Once an attempt.
    FirstResponseByte,
    /// An interim response (1xx, but for 101).
    Informational {
        /// Its status.
        status: StatusCode,
        /// Its fields.
        headers: &'a HeaderMap,
    },
    /// The head of the response is there.
    ResponseHead {
        /// Its status.
        status: StatusCode,
    },
    /// The response's body has ended, or was given up.
    ResponseBodyDone {
        /// Bytes of it that were handed out.
        bytes: u64,
        /// Why it is not whole. [`Cancelled`] where the reader gave it up.
        result: Result<(), ErrorRef<'a>>,
    },
    /// The connection is no longer needed by its request.
    PutIdle {
        /// The connection.
        conn: ConnId,
        /// `Ok` = it is kept for the next request; else why not.
        result: Result<(), NotReused>,
    },
    /// The attempt failed, and the request is sent again.
    Retry {
        /// The number of the attempt that failed.
        attempt: u32,
        /// Why it failed.
        cause: ErrorRef<'a>,
    },
    /// The response leads elsewhere, and a request is sent there: all events come again for it.
    Redirect {
        /// The response's status.
        status: StatusCode,
        /// Where to, with what query it has.
        uri: &'a Uri,
        /// 1 for the first redirect of a request.
        redirects: u32,
    },
    /// The request failed, and is not sent again. Where a phase failed before, this tells of the same failure in full.
    Failed {
        /// Why.
        error: ErrorRef<'a>,
    },
    /// The connection is no longer HTTP: 101, or 2xx to CONNECT.
    Upgraded {
        /// The connection.
        conn: ConnId,
    },
}

impl<'a> Event<'a> {
    /// Which kind it is of.
    pub fn kind(&self) -> Interest {
        match self {
            Self::DnsStart { .. } | Self::DnsDone { .. } => Interest::DNS,
            Self::ConnectStart { .. } | Self::ConnectDone { .. } => Interest::CONNECT,
            Self::ProxyHandshakeStart { .. } | Self::ProxyHandshakeDone { .. } => Interest::PROXY,
            Self::TlsStart { .. } | Self::TlsDone { .. } => Interest::TLS,
            Self::HandshakeStart { .. } | Self::HandshakeDone { .. } => Interest::HANDSHAKE,
            Self::GetConn { .. }
            | Self::PoolWait { .. }
            | Self::GotConn(_)
            | Self::GetConnFailed { .. }
            | Self::PutIdle { .. } => Interest::POOL,
            Self::WroteHeaderField { .. } => Interest::FIELDS,
            Self::WroteHeaders | Self::Wait100 | Self::Got100 | Self::WroteRequest { .. } => {
                Interest::WRITE
            }
            Self::FirstResponseByte
            | Self::ResponseHead { .. }
            | Self::ResponseBodyDone { .. }
            | Self::Upgraded { .. } => Interest::READ,
            Self::Informational { .. } => Interest::INFORMATIONAL,
            Self::Retry { .. } | Self::Redirect { .. } | Self::Failed { .. } => Interest::RETRY,
        }
    }

    /// The `*Done` of a `*Start` whose work was dropped; `None` for what is no start.
    pub(crate) fn given_up(self) -> Option<Self> {
        let error: ErrorRef<'_> = &Cancelled;
        let done = match self {
            Self::DnsStart { dial, host } => {
                Self::DnsDone { dial, host, addrs: &[], coalesced: false, error: Some(error) }
            }
            Self::ConnectStart { dial, try_no, addr } => {
                Self::ConnectDone { dial, try_no, addr, result: Err(error), lost_race: false }
            }
            Self::ProxyHandshakeStart { dial, proxy } => {
                Self::ProxyHandshakeDone { dial, proxy, status: None, error: Some(error) }
            }
            Self::TlsStart { dial, server_name } => {
                Self::TlsDone { dial, server_name, result: Err(error) }
            }
            Self::HandshakeStart { dial, transport, phase } => {
                Self::HandshakeDone { dial, transport, phase, error: Some(error) }
            }
            _ => return None,
        };
        Some(done)
    }
}

/// What a TLS handshake agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsInfo<'a> {
    /// Such as `TLSv1.3`.
    pub version: &'a str,
    /// The cipher suite, such as `TLS_AES_128_GCM_SHA256`.
    pub cipher: &'a str,
    /// The protocol that ALPN chose.
    pub alpn: Option<&'a [u8]>,
    /// An earlier session was resumed, so no certificate was sent.
    pub resumed: bool,
}

/// The connection that a request got.
#[derive(Debug, Clone, Copy)]
pub struct GotConnInfo<'a> {
    /// Which connection.
    pub conn: ConnId,
    /// Which dial made it; `None` where that is not known.
    pub dial: Option<DialId>,
    /// This end's address, where it is known.
    pub local: Option<&'a Addr>,
    /// The other end's address, where it is known.
    pub peer: Option<&'a Addr>,
    /// It has carried a request before, or carries others at the same time.
    pub reused: bool,
    /// It lay in the pool. Not so where it was handed over by another request, or just made for this one.
    pub was_idle: bool,
    /// How long it lay there; zero where it did not.
    pub idle: Duration,
    /// How many requests it has carried.
    pub requests_before: u64,
}

/// Why a connection is not kept for another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotReused {
    /// The response's body was given up before its end.
    BodyNotDrained,
    /// The response's body is broken, or lasts until the connection ends.
    BodyUnframed,
    /// The peer said that it closes the connection, or it is HTTP/1.0.
    PeerAskedClose,
    /// The request said so.
    RequestAskedClose,
    /// The request had not been sent whole when the response ended.
    WriteUnfinished,
    /// The pool keeps none.
    KeepAliveDisabled,
    /// The pool has enough for this host.
    TooManyIdleForHost,
    /// The pool has enough.
    TooManyIdle,
    /// Idle connections were asked to be closed.
    CloseIdle,
    /// It has served long enough, or requests enough.
    TooOld,
    /// It failed, or the request was cancelled.
    Broken,
    /// It is no longer HTTP.
    Upgraded,
}

impl fmt::Display for NotReused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BodyNotDrained => "the response body was not read to its end",
            Self::BodyUnframed => "the response body lasts until the connection ends",
            Self::PeerAskedClose => "the server closes the connection",
            Self::RequestAskedClose => "the request asked to close the connection",
            Self::WriteUnfinished => "the request was not sent whole",
            Self::KeepAliveDisabled => "keep-alive is disabled",
            Self::TooManyIdleForHost => "too many idle connections for the host",
            Self::TooManyIdle => "too many idle connections",
            Self::CloseIdle => "idle connections are being closed",
            Self::TooOld => "the connection is too old",
            Self::Broken => "the connection is broken",
            Self::Upgraded => "the connection has switched protocols",
        })
    }
}

/// The number of a connection. It is never used twice in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(NonZeroU64);

impl ConnId {
    /// The next number.
    pub fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(following(&LAST))
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number after the last. At a billion a second they last for five hundred years, so none comes round to 0.
fn following(last: &AtomicU64) -> NonZeroU64 {
    let id = last.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    NonZeroU64::new(id).unwrap_or(NonZeroU64::MAX)
}

/// The number of a dial. It is never used twice in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialId(NonZeroU64);

impl DialId {
    /// The next number.
    pub fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(following(&LAST))
    }

    pub(crate) fn number(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for DialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The error of a phase that nobody waited for any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled")
    }
}

impl Error for Cancelled {}
