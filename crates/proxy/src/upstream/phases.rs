//! How long it took to reach an upstream.

use rosn_cluster::ClusterStats;
use rosn_trace::{Snapshot, Span};

/// A duration in nanoseconds, absent where the phase did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Took(u64);

impl Took {
    pub(crate) const NEVER: Self = Self(u64::MAX);

    pub(crate) fn nanos(nanos: u64) -> Self {
        Self(nanos.min(u64::MAX - 1))
    }

    pub(crate) fn value(self) -> Option<u64> {
        (self != Self::NEVER).then_some(self.0)
    }
}

impl Default for Took {
    fn default() -> Self {
        Self::NEVER
    }
}

impl From<Option<u64>> for Took {
    fn from(nanos: Option<u64>) -> Self {
        nanos.map_or(Self::NEVER, Self::nanos)
    }
}

/// The phases of one try of a request. What did not happen is absent, such as a connect where an open connection
/// was used; so none of them is that of another request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Phases {
    /// A name was resolved.
    pub(crate) dns: Took,
    /// A socket was connected.
    pub(crate) connect: Took,
    /// TLS, and other handshakes of the transport.
    pub(crate) tls: Took,
    /// There was no room for another connection, so the request waited for one.
    pub(crate) pool_wait: Took,
    /// From the end of the request to the first byte of the response.
    pub(crate) first_byte: Took,
    /// Whether the connection had been there before; `None` = there is none.
    pub(crate) reused: Option<bool>,
}

impl Phases {
    /// Takes over what a dial by a transport has seen of itself, after `elapsed` nanoseconds. What has not ended lasts
    /// until now.
    pub(super) fn dialed_by_transport(&mut self, seen: &Snapshot, elapsed: u64) {
        let took = |span: Option<Span>| {
            let span = span?;
            let nanos = |duration: std::time::Duration| super::nanos(duration);
            let end = span.end.map_or(elapsed, nanos);
            Some(end.saturating_sub(nanos(span.start)))
        };
        if let Some(nanos) = took(seen.dns) {
            self.dns = Took::nanos(nanos);
        }
        self.connect = took(seen.connect).into();
        self.tls = match (took(seen.tls), took(seen.handshake)) {
            (None, None) => Took::NEVER,
            (tls, other) => Took::nanos(tls.unwrap_or(0).saturating_add(other.unwrap_or(0))),
        };
    }

    /// Counts how long it took to make a connection.
    pub(super) fn count(&self, stats: &ClusterStats) {
        let phases = [
            (self.dns, &stats.dns_time),
            (self.connect, &stats.connect_time),
            (self.tls, &stats.tls_time),
        ];
        for (took, histogram) in phases {
            if let Some(nanos) = took.value() {
                histogram.record(nanos);
            }
        }
    }
}

/// What a dial that was given up had been doing, in words that an address follows.
pub(super) fn unfinished(seen: &Snapshot) -> &'static str {
    let is_open = |span: Option<Span>| span.is_some_and(|span| span.end.is_none());
    match seen {
        _ if is_open(seen.tls) => TLS,
        _ if is_open(seen.handshake) => HANDSHAKE,
        _ if is_open(seen.dns) => DNS,
        _ => CONNECT,
    }
}

pub(crate) const DNS: &str = "resolving the name of";
pub(super) const CONNECT: &str = "connecting to";
pub(super) const TLS: &str = "the TLS handshake with";
pub(super) const HANDSHAKE: &str = "the handshake with";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn span(start: u64, end: Option<u64>) -> Option<Span> {
        let nanos = Duration::from_nanos;
        Some(Span { start: nanos(start), end: end.map(nanos) })
    }

    #[test]
    fn what_did_not_happen_has_no_time() {
        let mut phases = Phases::default();
        phases.dialed_by_transport(&Snapshot::default(), 70);
        let times = [phases.dns, phases.connect, phases.tls].map(Took::value);
        assert_eq!(times, [None; 3]);
    }

    #[test]
    fn what_has_not_ended_lasts_until_now() {
        let mut phases = Phases::default();
        let mut seen = Snapshot::default();
        seen.connect = span(10, Some(30));
        seen.tls = span(30, Some(35));
        seen.handshake = span(35, None);
        phases.dialed_by_transport(&seen, 70);
        let times = [phases.dns, phases.connect, phases.tls].map(Took::value);
        assert_eq!(times, [None, Some(20), Some(5 + 35)]);
        assert_eq!(unfinished(&seen), HANDSHAKE);
        // The two clocks are not read at the same time.
        phases.dialed_by_transport(&seen, 34);
        assert_eq!(phases.tls.value(), Some(5));
    }

    #[test]
    fn no_time_is_so_long_that_it_counts_as_absent() {
        assert_eq!(Took::nanos(u64::MAX).value(), Some(u64::MAX - 1));
        assert_eq!(Took::default().value(), None);
    }
}
