//! What a request's trace says, as phases in time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rosn_trace::{Cancelled, ClientTrace, ErrorRef, Event, Interest};

/// A phase of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Phase {
    /// Such as `dns`.
    pub(super) name: &'static str,
    /// What it was about, such as a host or an address.
    pub(super) about: String,
    /// Since the request began.
    pub(super) start: Duration,
    /// `None` = it never ended.
    pub(super) end: Option<Duration>,
    /// What came of it.
    pub(super) note: String,
    /// It failed.
    pub(super) failed: bool,
}

impl Phase {
    /// How long it took; up to `until` where it never ended.
    pub(super) fn took(&self, until: Duration) -> Duration {
        self.end.unwrap_or(until).saturating_sub(self.start)
    }
}

/// The connection that carried the request last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) local: Option<String>,
    pub(super) peer: Option<String>,
    pub(super) reused: bool,
    /// How many requests it had carried before.
    pub(super) requests_before: u64,
}

/// What was seen of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Recording {
    pub(super) phases: Vec<Phase>,
    pub(super) connection: Option<Connection>,
    /// How often it was sent; redirects count.
    pub(super) attempts: u32,
    /// Bytes of the response's body.
    pub(super) bytes: u64,
}

/// Records the phases of one request.
#[derive(Debug)]
pub(super) struct Recorder {
    start: Instant,
    seen: Mutex<Recording>,
}

impl Recorder {
    /// Time begins now.
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), seen: Mutex::default() }
    }

    /// What was seen, and how long it took up to now.
    pub(super) fn finish(&self) -> (Recording, Duration) {
        let took = self.start.elapsed();
        (self.seen().clone(), took)
    }

    fn seen(&self) -> MutexGuard<'_, Recording> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientTrace for Recorder {
    fn interest(&self) -> Interest {
        Interest::TIMINGS | Interest::INFORMATIONAL
    }

    fn event(&self, at: Instant, event: &Event<'_>) {
        self.seen().take(at.saturating_duration_since(self.start), event);
    }
}

impl Recording {
    fn take(&mut self, at: Duration, event: &Event<'_>) {
        match *event {
            Event::GetConn { .. } => self.attempts += 1,
            Event::DnsStart { host, .. } => self.begin("dns", host.to_owned(), at),
            Event::DnsDone { host, addrs, error, .. } => {
                let addrs: Vec<_> = addrs.iter().map(ToString::to_string).collect();
                self.done("dns", host, at, addrs.join(", "), error);
            }
            Event::ConnectStart { addr, .. } => self.begin("connect", addr.to_string(), at),
            Event::ConnectDone { addr, result, lost_race, .. } => {
                let note = if lost_race { "another address was faster" } else { "" };
                let error = if lost_race { None } else { result.err() };
                self.done("connect", &addr.to_string(), at, note.to_owned(), error);
            }
            Event::ProxyHandshakeStart { proxy, .. } => self.begin("proxy", proxy.to_string(), at),
            Event::ProxyHandshakeDone { proxy, status, error, .. } => {
                let note = status.map(|status| status.to_string()).unwrap_or_default();
                self.done("proxy", &proxy.to_string(), at, note, error);
            }
            Event::TlsStart { server_name, .. } => self.begin("tls", server_name.to_owned(), at),
            Event::TlsDone { server_name, result, .. } => match result {
                Ok(info) => {
                    let alpn = info.alpn.map(|alpn| format!(" {}", alpn.escape_ascii()));
                    let resumed = if info.resumed { " resumed" } else { "" };
                    let alpn = alpn.unwrap_or_default();
                    let note = format!("{} {}{alpn}{resumed}", info.version, info.cipher);
                    self.done("tls", server_name, at, note, None);
                }
                Err(error) => self.done("tls", server_name, at, String::new(), Some(error)),
            },
            _ => self.take_http(at, event),
        }
    }

    fn take_http(&mut self, at: Duration, event: &Event<'_>) {
        match *event {
            Event::PoolWait { queued, .. } => self.begin("queue", format!("place {queued}"), at),
            Event::GotConn(info) => {
                self.end("queue", at);
                self.connection = Some(Connection {
                    local: info.local.map(ToString::to_string),
                    peer: info.peer.map(ToString::to_string),
                    reused: info.reused,
                    requests_before: info.requests_before,
                });
                self.begin("send", String::new(), at);
            }
            Event::Wait100 => self.begin("100-continue", String::new(), at),
            Event::Got100 => self.end("100-continue", at),
            Event::WroteRequest { bytes, result, .. } => {
                self.end("100-continue", at);
                let note = if bytes > 0 { format!("{bytes} bytes of body") } else { String::new() };
                self.done("send", "", at, note, result.err());
                if result.is_ok() && !self.is_open("receive") {
                    self.begin("wait", String::new(), at);
                }
            }
            Event::FirstResponseByte => {
                self.end("wait", at);
                self.begin("receive", String::new(), at);
            }
            Event::Informational { status, .. } => {
                if let Some(phase) = self.open("receive") {
                    phase.note = format!("{} first", status.as_u16());
                }
            }
            Event::ResponseBodyDone { bytes, result } => {
                self.bytes = bytes;
                self.done("receive", "", at, format!("{bytes} bytes"), result.err());
            }
            Event::Retry { cause, .. } => {
                // Whatever was under way has come to nothing.
                for phase in self.phases.iter_mut().filter(|phase| phase.end.is_none()) {
                    (phase.end, phase.failed) = (Some(at), true);
                    phase.note = format!("{cause}; sent again");
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self, name: &'static str, about: String, start: Duration) {
        let note = String::new();
        self.phases.push(Phase { name, about, start, end: None, note, failed: false });
    }

    fn is_open(&mut self, name: &str) -> bool {
        self.open(name).is_some()
    }

    fn open(&mut self, name: &str) -> Option<&mut Phase> {
        self.phases.iter_mut().rev().find(|phase| phase.name == name && phase.end.is_none())
    }

    fn end(&mut self, name: &str, at: Duration) {
        if let Some(phase) = self.open(name) {
            phase.end = Some(at);
        }
    }

    fn done(
        &mut self,
        name: &str,
        about: &str,
        at: Duration,
        note: String,
        error: Option<ErrorRef<'_>>,
    ) {
        let mut open = self.phases.iter_mut().rev().filter(|phase| phase.end.is_none());
        let Some(phase) = open.find(|phase| phase.name == name && phase.about == about) else {
            return;
        };
        phase.end = Some(at);
        match error {
            None if note.is_empty() => {}
            None => phase.note = note,
            Some(error) => {
                phase.failed = !error.is::<Cancelled>();
                phase.note = error.to_string();
            }
        }
    }
}
