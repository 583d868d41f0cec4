//! When each phase of a request began and ended.

use std::time::{Duration, Instant};

use crate::{Cancelled, ClientTrace, ErrorRef, Event, GotConnInfo};
use attempt::Attempt;
use connects::Connects;
use failure::LastFailure;
use mark::Mark;
pub use snapshot::{Connect, Outcome, Phase, Snapshot, Span, UsedConn};

/// Records when each phase of a request began and ended. It takes no lock, so it may be read while events still come.
///
/// A phase lasts from its first start to its last end: the time of tries that failed is counted in, that of an
/// attempt which lost a race is not. [`Event::GetConn`] begins all phases anew, so that after a retry or a redirect
/// they tell of the last attempt. What is reported of a dial after [`Event::GotConn`] is of a connection that the
/// request does not use; only the addresses are noted.
///
/// It takes less than 256 bytes, and as many as 1200 beside them for addresses and an error; an event allocates only to
/// keep an address that is no IP address. Where one recorder serves request after request, [`Timings::reset`] makes it
/// new without an allocation.
#[derive(Debug)]
pub struct Timings {
    start: Instant,
    /// When it was closed.
    closed: Mark,
    attempt: Attempt,
    attempts: Mark,
    tries: Mark,
    failures: Mark,
    /// What most requests never need.
    rare: Box<Rare>,
}

#[derive(Debug, Default)]
struct Rare {
    connects: Connects,
    failure: LastFailure,
}

impl Timings {
    /// A recorder whose time begins now.
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
            closed: Mark::default(),
            attempt: Attempt::default(),
            attempts: Mark::default(),
            tries: Mark::default(),
            failures: Mark::default(),
            rare: Box::default(),
        }
    }

    /// Forgets all. Its time begins now, as with [`Timings::start`].
    ///
    /// Nobody else may hold it, or a late event of the old request would count for the new one. So where it is shared,
    /// `Arc::get_mut` says whether it may be used again, or another one has to be made.
    pub fn reset(&mut self) {
        self.start = Instant::now();
        self.closed = Mark::default();
        self.attempt = Attempt::default();
        self.attempts = Mark::default();
        self.failures = Mark::default();
        if std::mem::take(&mut self.tries).read().is_some() {
            self.rare.connects.reset();
        }
        self.rare.failure.reset();
    }

    /// What it has seen so far; the same forever once it is closed.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot {
            attempts: number(&self.attempts),
            tries: number(&self.tries),
            failures: number(&self.failures),
            failed: self.rare.failure.read(),
            ..Snapshot::default()
        };
        if snapshot.tries > 0 {
            snapshot.connects = self.rare.connects.read();
        }
        self.attempt.read(&mut snapshot);
        let end = self.attempt.body_end.read().or_else(|| self.closed.read());
        snapshot.total = Duration::from_nanos(end.unwrap_or_else(|| self.nanos(Instant::now())));
        snapshot
    }

    /// Ends the recording: later events change nothing.
    pub fn close(&self) -> Snapshot {
        self.closed.set_once(self.nanos(Instant::now()));
        self.attempt.freeze();
        for count in [&self.attempts, &self.tries, &self.failures] {
            count.freeze();
        }
        self.rare.connects.freeze();
        self.rare.failure.freeze();
        self.snapshot()
    }

    /// Whether the recording has ended, or is about to.
    pub fn is_closed(&self) -> bool {
        self.closed.read().is_some()
    }

    /// Since the start.
    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }

    fn began(&self, phase: Phase, at: u64) {
        if let Some(period) = self.attempt.period(phase) {
            period.start.earliest(at);
        }
    }

    fn ended(&self, phase: Phase, at: u64, error: Option<ErrorRef<'_>>) {
        if let Some(period) = self.attempt.period(phase) {
            period.end.latest(at);
            self.failed(phase, error);
        }
    }

    fn got(&self, info: &GotConnInfo<'_>, at: u64) {
        self.attempts.count();
        self.attempt.got(info, at);
    }

    fn failed(&self, phase: Phase, error: Option<ErrorRef<'_>>) {
        if let Some(error) = error {
            self.attempt.failed.set(phase as u64);
            self.rare.failure.set(phase, error);
        }
    }

    /// The error of a whole attempt: of the phase that failed in it, if one has said so.
    fn gave_up(&self, error: ErrorRef<'_>) {
        self.failed(self.attempt.failed_phase(), Some(error));
    }
}

impl ClientTrace for Timings {
    fn event(&self, at: Instant, event: &Event<'_>) {
        if self.is_closed() {
            return;
        }
        let at = self.nanos(at);
        match *event {
            Event::DnsStart { .. } => self.began(Phase::Dns, at),
            Event::DnsDone { error, .. } => self.ended(Phase::Dns, at, error),
            Event::ConnectStart { dial, try_no, addr } => {
                self.began(Phase::Connect, at);
                if let Some(index) = self.tries.count() {
                    self.rare.connects.began(index, dial, try_no, addr, at);
                }
            }
            Event::ConnectDone { dial, try_no, result, lost_race, .. } => {
                let outcome = outcome(&result, lost_race);
                self.rare.connects.ended(dial, try_no, outcome, at);
                if outcome == Outcome::Failed {
                    self.failures.count();
                }
                if outcome != Outcome::Lost {
                    self.ended(Phase::Connect, at, result.err());
                }
            }
            Event::ProxyHandshakeStart { .. } => self.began(Phase::Proxy, at),
            Event::ProxyHandshakeDone { error, .. } => self.ended(Phase::Proxy, at, error),
            Event::TlsStart { .. } => self.began(Phase::Tls, at),
            Event::TlsDone { result, .. } => self.ended(Phase::Tls, at, result.err()),
            Event::HandshakeStart { .. } => self.began(Phase::Handshake, at),
            Event::HandshakeDone { error, .. } => self.ended(Phase::Handshake, at, error),
            Event::GetConn { .. } => self.attempt.restart(at),
            Event::PoolWait { .. } => self.began(Phase::Pool, at),
            Event::GotConn(info) => self.got(info, at),
            Event::GetConnFailed { error, .. } => {
                self.attempt.pool.end.latest(at);
                self.gave_up(error);
            }
            Event::WroteRequest { result, .. } => {
                self.attempt.wrote.latest(at);
                self.failed(Phase::Write, result.err());
            }
            Event::FirstResponseByte => self.attempt.first_byte.earliest(at),
            Event::ResponseHead { status } => self.attempt.answered(status, at),
            Event::ResponseBodyDone { result, .. } => {
                self.attempt.body_end.latest(at);
                self.failed(Phase::Body, result.err());
            }
            Event::Retry { cause: error, .. } | Event::Failed { error } => self.gave_up(error),
            _ => {}
        }
    }
}

fn outcome(result: &Result<(), ErrorRef<'_>>, lost_race: bool) -> Outcome {
    match result {
        _ if lost_race => Outcome::Lost,
        Ok(()) => Outcome::Connected,
        Err(error) if error.is::<Cancelled>() => Outcome::Cancelled,
        Err(_) => Outcome::Failed,
    }
}

fn number(mark: &Mark) -> u32 {
    mark.read().map_or(0, |number| u32::try_from(number).unwrap_or(u32::MAX))
}

mod attempt;
mod connects;
mod failure;
mod mark;
mod snapshot;

#[cfg(test)]
mod tests;
