//! The events.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

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
            Self::DnsDone { .. }
            | Self::ConnectDone { .. }
            | Self::ProxyHandshakeDone { .. }
            | Self::TlsDone { .. }
            | Self::HandshakeDone { .. } => return None,
        };
        Some(done)
    }
}

/// What a TLS handshake agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsInfo<'a> {
    /// Such as `TLSv1.3`.
    pub version: &'a str,
    /// The cipher suite, such as `TLS13_AES_128_GCM_SHA256`.
    pub cipher: &'a str,
    /// The protocol that ALPN chose.
    pub alpn: Option<&'a [u8]>,
    /// An earlier session was resumed, so no certificate was sent.
    pub resumed: bool,
}

/// The number of a dial. It is never used twice in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialId(NonZeroU64);

impl DialId {
    /// The next number.
    pub fn next() -> Self {
        // At a billion a second it lasts for five hundred years, so it never comes round to 0.
        static LAST: AtomicU64 = AtomicU64::new(0);
        let id = LAST.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        Self(NonZeroU64::new(id).unwrap_or(NonZeroU64::MAX))
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
