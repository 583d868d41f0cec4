//! The phases of one attempt.

use std::time::Duration;

use http::StatusCode;

use super::mark::{Mark, Period};
use super::snapshot::{Phase, Snapshot, Span, UsedConn, span};
use crate::GotConnInfo;

/// When what happened in the attempt that began last. Late news of an earlier one may be taken for this one's, so
/// nothing relies on their order.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    start: Mark,
    dns: Period,
    connect: Period,
    proxy: Period,
    tls: Period,
    handshake: Period,
    pub(super) pool: Period,
    /// There is a connection.
    got: Mark,
    /// What is known of it.
    used: Mark,
    pub(super) wrote: Mark,
    pub(super) first_byte: Mark,
    head: Mark,
    status: Mark,
    pub(super) body_end: Mark,
    /// The phase that has failed and kept the attempt from going on.
    pub(super) failed: Mark,
}

const REUSED: u64 = 1;
const WAS_IDLE: u64 = 2;

impl Attempt {
    /// Another one begins.
    pub(super) fn restart(&self, at: u64) {
        self.marks().into_iter().for_each(Mark::clear);
        self.start.set(at);
    }

    pub(super) fn freeze(&self) {
        self.marks().into_iter().for_each(Mark::freeze);
    }

    /// The recorded times of a phase that ends before there is a connection; `None` where there is one already.
    pub(super) fn period(&self, phase: Phase) -> Option<&Period> {
        let period = match phase {
            Phase::Dns => &self.dns,
            Phase::Connect => &self.connect,
            Phase::Proxy => &self.proxy,
            Phase::Tls => &self.tls,
            Phase::Handshake => &self.handshake,
            Phase::Pool => &self.pool,
            Phase::Write | Phase::Wait | Phase::Body => return None,
        };
        self.got.read().is_none().then_some(period)
    }

    pub(super) fn got(&self, info: &GotConnInfo<'_>, at: u64) {
        if info.reused || info.was_idle {
            // Whatever was dialed meanwhile was not for this request.
            for period in [&self.dns, &self.connect, &self.proxy, &self.tls, &self.handshake] {
                period.start.clear();
                period.end.clear();
            }
        }
        self.failed.clear();
        self.pool.end.latest(at);
        let flags = u64::from(info.reused) * REUSED + u64::from(info.was_idle) * WAS_IDLE;
        self.used.set(info.requests_before.min(u64::MAX >> 4) << 2 | flags);
        self.got.set(at);
    }

    pub(super) fn answered(&self, status: StatusCode, at: u64) {
        self.status.set(status.as_u16().into());
        self.head.set(at);
    }

    /// Where an error belongs that says no more than that the attempt failed.
    pub(super) fn failed_phase(&self) -> Phase {
        if let Some(phase) = self.failed.read().and_then(Phase::from_number) {
            return phase;
        }
        match (self.got.read(), self.wrote.read(), self.head.read()) {
            (_, _, Some(_)) => Phase::Body,
            (_, Some(_), _) => Phase::Wait,
            (Some(_), ..) => Phase::Write,
            _ => Phase::Pool,
        }
    }

    pub(super) fn read(&self, snapshot: &mut Snapshot) {
        // What comes last is read first, so that nothing has an end without a start.
        snapshot.body = self.body();
        snapshot.wait = self.wait();
        snapshot.write = self.got.read().map(|got| ending(got, self.wrote.read()));
        snapshot.pool = self.pool.read();
        snapshot.handshake = self.handshake.read();
        snapshot.tls = self.tls.read();
        snapshot.proxy = self.proxy.read();
        snapshot.connect = self.connect.read();
        snapshot.dns = self.dns.read();
        snapshot.attempt_start = self.start.read().map(Duration::from_nanos);
        snapshot.first_byte = self.first_byte.read().map(Duration::from_nanos);
        let status = self.status.read().and_then(|status| u16::try_from(status).ok());
        snapshot.status = status.and_then(|status| StatusCode::from_u16(status).ok());
        snapshot.conn = self.got.read().and(self.used.read()).map(|used| UsedConn {
            reused: used & REUSED != 0,
            was_idle: used & WAS_IDLE != 0,
            requests_before: used >> 2,
        });
    }

    fn wait(&self) -> Option<Span> {
        let (head, first) = (self.head.read(), self.first_byte.read());
        let wrote = self.wrote.read();
        let asked = wrote.or_else(|| self.got.read())?;
        let answered = match first {
            // It was a 100 or the like, and the request went on.
            Some(first) if wrote.is_some_and(|wrote| first < wrote) => {
                head.map(|head| if head < asked { first } else { head })
            }
            first => first.or(head),
        };
        // An answer may come before the request was sent.
        Some(span(answered.map_or(asked, |answered| asked.min(answered)), answered))
    }

    fn body(&self) -> Option<Span> {
        let end = self.body_end.read();
        let start = self.head.read().or_else(|| self.first_byte.read())?;
        Some(ending(start, end))
    }

    fn marks(&self) -> [&Mark; 21] {
        [
            &self.start,
            &self.dns.start,
            &self.dns.end,
            &self.connect.start,
            &self.connect.end,
            &self.proxy.start,
            &self.proxy.end,
            &self.tls.start,
            &self.tls.end,
            &self.handshake.start,
            &self.handshake.end,
            &self.pool.start,
            &self.pool.end,
            &self.got,
            &self.used,
            &self.wrote,
            &self.first_byte,
            &self.head,
            &self.status,
            &self.body_end,
            &self.failed,
        ]
    }
}

/// An end that is older than the start is of an earlier attempt.
fn ending(start: u64, end: Option<u64>) -> Span {
    span(start, end.filter(|end| *end >= start))
}
