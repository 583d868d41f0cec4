//! How long each phase took.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::{Cancelled, ClientTrace, ErrorRef, Event};

/// Records how long each phase took. It takes no lock, so it may be read while events still come.
///
/// A phase lasts from its first start to its last end: the time of tries that failed is counted in, that of an
/// attempt which lost a race is not.
#[derive(Debug)]
pub struct Timings {
    start: Instant,
    dns: Phase,
    connect: Phase,
    proxy: Phase,
    tls: Phase,
    handshake: Phase,
    tries: AtomicU32,
    failures: AtomicU32,
    closed: OnceLock<Snapshot>,
}

/// What [`Timings`] has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Names were resolved.
    pub dns: Option<Span>,
    /// Addresses were connected to.
    pub connect: Option<Span>,
    /// A proxy was asked to connect further.
    pub proxy: Option<Span>,
    /// TLS handshakes.
    pub tls: Option<Span>,
    /// Other handshakes.
    pub handshake: Option<Span>,
    /// How many addresses were tried.
    pub tries: u32,
    /// How many of them failed; those given up are not counted.
    pub failures: u32,
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

impl Timings {
    /// A recorder whose time begins now.
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
            dns: Phase::default(),
            connect: Phase::default(),
            proxy: Phase::default(),
            tls: Phase::default(),
            handshake: Phase::default(),
            tries: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            closed: OnceLock::new(),
        }
    }

    /// What it has seen so far; the same forever once it is closed.
    pub fn snapshot(&self) -> Snapshot {
        self.closed.get().copied().unwrap_or_else(|| self.read())
    }

    /// Ends the recording: later events change nothing.
    pub fn close(&self) -> Snapshot {
        *self.closed.get_or_init(|| self.read())
    }

    /// Whether the recording has ended.
    pub fn is_closed(&self) -> bool {
        self.closed.get().is_some()
    }

    fn read(&self) -> Snapshot {
        Snapshot {
            dns: self.dns.read(),
            connect: self.connect.read(),
            proxy: self.proxy.read(),
            tls: self.tls.read(),
            handshake: self.handshake.read(),
            tries: self.tries.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
        }
    }

    fn connected(&self, nanos: u64, result: &Result<(), ErrorRef<'_>>) {
        self.connect.ended(nanos);
        if let Err(error) = result
            && !error.is::<Cancelled>()
        {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl ClientTrace for Timings {
    fn event(&self, at: Instant, event: &Event<'_>) {
        if self.is_closed() {
            return;
        }
        let since = at.saturating_duration_since(self.start);
        let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        match event {
            Event::DnsStart { .. } => self.dns.began(nanos),
            Event::DnsDone { .. } => self.dns.ended(nanos),
            Event::ConnectStart { .. } => {
                self.tries.fetch_add(1, Ordering::Relaxed);
                self.connect.began(nanos);
            }
            Event::ConnectDone { lost_race: true, .. } => {}
            Event::ConnectDone { result, .. } => self.connected(nanos, result),
            Event::ProxyHandshakeStart { .. } => self.proxy.began(nanos),
            Event::ProxyHandshakeDone { .. } => self.proxy.ended(nanos),
            Event::TlsStart { .. } => self.tls.began(nanos),
            Event::TlsDone { .. } => self.tls.ended(nanos),
            Event::HandshakeStart { .. } => self.handshake.began(nanos),
            Event::HandshakeDone { .. } => self.handshake.ended(nanos),
            _ => {}
        }
    }
}

/// Nanoseconds since the start of the recorder.
#[derive(Debug)]
struct Phase {
    /// The first start; `u64::MAX` = none yet.
    start: AtomicU64,
    /// One more than the last end; 0 = none yet.
    end: AtomicU64,
}

impl Default for Phase {
    fn default() -> Self {
        Self { start: AtomicU64::new(u64::MAX), end: AtomicU64::new(0) }
    }
}

impl Phase {
    fn began(&self, nanos: u64) {
        self.start.fetch_min(nanos, Ordering::Relaxed);
    }

    fn ended(&self, nanos: u64) {
        // With the load below: who sees an end sees its start.
        self.end.fetch_max(nanos.saturating_add(1), Ordering::Release);
    }

    fn read(&self) -> Option<Span> {
        let end = self.end.load(Ordering::Acquire);
        let start = self.start.load(Ordering::Relaxed);
        (start != u64::MAX).then(|| Span {
            start: Duration::from_nanos(start),
            end: end.checked_sub(1).map(Duration::from_nanos),
        })
    }
}

#[cfg(test)]
mod tests;
