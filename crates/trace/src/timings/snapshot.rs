//! What a recorder has seen.

use std::fmt::{self, Write};
use std::time::Duration;

use http::StatusCode;
use rosn_base::Addr;

/// What [`Timings`](crate::Timings) has seen of a request: when each phase of its last attempt began and ended, and
/// what happened in all.
///
/// It allocates for addresses and for an error, and so not for a request that found a connection and was answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// When the last attempt began to look for a connection; before that there were earlier ones.
    pub attempt_start: Option<Duration>,
    /// Names were resolved. Like the next four it is absent where the request got a connection that was there already.
    pub dns: Option<Span>,
    /// Addresses were connected to.
    pub connect: Option<Span>,
    /// A proxy was asked to connect further.
    pub proxy: Option<Span>,
    /// TLS handshakes.
    pub tls: Option<Span>,
    /// Other handshakes.
    pub handshake: Option<Span>,
    /// The request waited for room in the pool.
    pub pool: Option<Span>,
    /// The request was sent: from when it had a connection.
    pub write: Option<Span>,
    /// The server thought: from when the request was sent (or had a connection, where it is not sent whole) to the first
    /// byte of the answer. It is empty where the answer came first, and lasts to the response's head where the first
    /// byte was that of an interim response before the request's end.
    pub wait: Option<Span>,
    /// The response's body came: from the head to the end.
    pub body: Option<Span>,
    /// When the first byte of an answer was there.
    pub first_byte: Option<Duration>,
    /// From the start of the recorder to the end of the body; else to the closing of the recorder; else to now.
    pub total: Duration,
    /// The connection that the request got.
    pub conn: Option<UsedConn>,
    /// The response's status.
    pub status: Option<StatusCode>,
    /// How often the request was sent, or would have been: on how many connections.
    pub attempts: u32,
    /// How many addresses were tried.
    pub tries: u32,
    /// How many of them failed; those given up are not counted.
    pub failures: u32,
    /// The first 8 addresses that were tried, in their order, also by a dial that was of no use to the request.
    pub connects: Vec<Connect>,
    pub(super) failed: Option<(Phase, String)>,
}

/// The connection that a request got last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedConn {
    /// See [`GotConnInfo::reused`](crate::GotConnInfo::reused).
    pub reused: bool,
    /// See [`GotConnInfo::was_idle`](crate::GotConnInfo::was_idle).
    pub was_idle: bool,
    /// See [`GotConnInfo::requests_before`](crate::GotConnInfo::requests_before).
    pub requests_before: u64,
}

/// An address that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// The address.
    pub addr: Addr,
    /// How long it took.
    pub span: Span,
    /// What came of it; `None` = not yet.
    pub outcome: Option<Outcome>,
}

/// What came of a try to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// There is a connection.
    Connected,
    /// There is none.
    Failed,
    /// Another address was faster.
    Lost,
    /// It was given up.
    Cancelled,
}

impl Outcome {
    pub(super) const ALL: [Self; 4] = [Self::Connected, Self::Failed, Self::Lost, Self::Cancelled];
}

/// Where an error happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// A name could not be resolved.
    Dns,
    /// An address could not be connected to.
    Connect,
    /// A proxy could not connect further.
    Proxy,
    /// A TLS handshake failed.
    Tls,
    /// Another handshake failed.
    Handshake,
    /// There was no connection for another reason, such as no room in the pool.
    Pool,
    /// The request could not be sent.
    Write,
    /// The response did not come, or was none.
    Wait,
    /// The response's body broke off.
    Body,
}

impl Phase {
    pub(super) const ALL: [Self; 9] = [
        Self::Dns,
        Self::Connect,
        Self::Proxy,
        Self::Tls,
        Self::Handshake,
        Self::Pool,
        Self::Write,
        Self::Wait,
        Self::Body,
    ];

    pub(super) fn from_number(number: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

impl fmt::Display for Phase {
    /// The name of the phase in [`Snapshot::server_timing`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Handshake => "handshake",
            Self::Pool => "pool",
            Self::Write => "write",
            Self::Wait => "wait",
            Self::Body => "body",
        })
    }
}

/// A phase in time, counted from the start of the recorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// When it began.
    pub start: Duration,
    /// When it ended; `None` = not yet.
    pub end: Option<Duration>,
}

impl Span {
    /// How long it took; `None` where it has not ended.
    pub fn duration(&self) -> Option<Duration> {
        self.end.map(|end| end.saturating_sub(self.start))
    }
}

pub(super) fn span(start: u64, end: Option<u64>) -> Span {
    Span { start: Duration::from_nanos(start), end: end.map(Duration::from_nanos) }
}

impl Snapshot {
    /// Where the last error happened, and its text: the first 200 bytes, without control characters. It may have been
    /// overcome by another address or attempt.
    pub fn failed_phase(&self) -> Option<(Phase, &str)> {
        self.failed.as_ref().map(|(phase, error)| (*phase, &**error))
    }

    /// The phases of the last attempt, in their order, each by its name.
    pub fn phases(&self) -> impl Iterator<Item = (Phase, Span)> {
        let spans = [
            self.dns,
            self.connect,
            self.proxy,
            self.tls,
            self.handshake,
            self.pool,
            self.write,
            self.wait,
            self.body,
        ];
        Phase::ALL.into_iter().zip(spans).filter_map(|(phase, span)| Some((phase, span?)))
    }

    /// The phases that have ended and the total, in milliseconds, as the value of the header `Server-Timing` (W3C Server
    /// Timing): `dns;dur=0.4, connect;dur=1.2, wait;dur=3.1, total;dur=14`.
    pub fn server_timing(&self) -> String {
        let mut value = String::with_capacity(128);
        for (phase, span) in self.phases() {
            if let Some(duration) = span.duration() {
                let _ = write!(value, "{phase};dur={}, ", Millis(duration));
            }
        }
        let _ = write!(value, "total;dur={}", Millis(self.total));
        value
    }
}

/// Milliseconds to the microsecond, without zeros at the end.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}", micros / 1000)?;
        match micros % 1000 {
            0 => Ok(()),
            part if part % 100 == 0 => write!(f, ".{}", part / 100),
            part if part % 10 == 0 => write!(f, ".{:02}", part / 10),
            part => write!(f, ".{part:03}"),
        }
    }
}
