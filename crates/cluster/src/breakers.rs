//! Circuit breakers and the retry budget: how much of a cluster may be in use at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rosn_config::checked;

/// Retries may be this part of the active requests (a fifth), and always [`LEAST_RETRIES`].
const RETRY_PART: u64 = 5;
const LEAST_RETRIES: u32 = 3;

/// The limits of a cluster (`circuit_breakers[0]`), shared by all workers. 0 = no limit, apart from
/// `max_pending_requests`, where it is none.
#[derive(Debug)]
pub struct Breakers {
    connections: Gate,
    pending: Gate,
    requests: Gate,
    retries: Gate,
}

/// The right to one connection, request or retry, which ends when it is dropped.
#[derive(Debug)]
pub struct Permit {
    /// `None` where there is no limit and so nothing to count.
    count: Option<Arc<Count>>,
}

impl Breakers {
    pub(crate) fn new(limits: &checked::Breakers) -> Self {
        Self {
            connections: Gate::new(limits.max_connections),
            pending: Gate::new(limits.max_pending),
            requests: Gate::new(limits.max_requests),
            retries: Gate::new(limits.max_retries),
        }
    }

    /// Asks for a connection; `None` if there are too many.
    pub fn try_connection(&self) -> Option<Permit> {
        self.connections.try_enter(self.connections.limit)
    }

    /// Whether no further connection is allowed.
    pub fn is_full(&self) -> bool {
        let limit = self.connections.limit;
        limit > 0 && self.connections.count() >= limit
    }

    /// Asks to wait for a connection; `None` if too many wait already, and always where the limit is 0:
    /// MOSN, which ignores the limit, lets no request wait.
    pub fn try_pending(&self) -> Option<Permit> {
        if self.pending.limit == 0 {
            return None;
        }
        self.pending.try_enter(self.pending.limit)
    }

    /// Asks to send a request; `None` if too many are under way.
    pub fn try_request(&self) -> Option<Permit> {
        if self.requests.limit == 0 {
            // The one that is asked for on each request: without a limit no worker has to wait for
            // a cache line that the others write, too.
            return Some(Permit { count: None });
        }
        self.requests.try_enter(self.requests.limit)
    }

    /// Asks to send a request once more while `active_requests` are under way. Besides
    /// `max_retries`, retries may be 20 % of those, and at least 3.
    pub fn try_retry(&self, active_requests: u64) -> Option<Permit> {
        let budget = u32::try_from(active_requests / RETRY_PART).unwrap_or(u32::MAX);
        let budget = budget.max(LEAST_RETRIES);
        let limit = match self.retries.limit {
            0 => budget,
            limit => limit.min(budget),
        };
        self.retries.try_enter(limit)
    }

    /// Whether a request of any worker waits for a connection.
    pub fn is_waited_for(&self) -> bool {
        // Asked on each request: without a limit nobody waits, and no shared line is read.
        self.pending.limit > 0 && self.pending.count() > 0
    }

    /// Open connections.
    pub fn connections(&self) -> u32 {
        self.connections.count()
    }

    /// Requests that wait for a connection.
    pub fn pending(&self) -> u32 {
        self.pending.count()
    }

    /// Requests under way; counted only where there is a limit
    /// ([`request_active`](crate::ClusterStats::request_active) always is).
    pub fn requests(&self) -> u32 {
        self.requests.count()
    }

    /// Retries under way.
    pub fn retries(&self) -> u32 {
        self.retries.count()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(count) = &self.count {
            // Each permit was counted once, so this cannot go below zero.
            count.0.fetch_sub(1, Relaxed);
        }
    }
}

#[derive(Debug)]
struct Gate {
    limit: u32,
    count: Arc<Count>,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Count(AtomicU32);

impl Gate {
    fn new(limit: u32) -> Self {
        Self { limit, count: Arc::default() }
    }

    fn try_enter(&self, limit: u32) -> Option<Permit> {
        let room =
            |count: u32| if limit == 0 || count < limit { count.checked_add(1) } else { None };
        self.count.0.fetch_update(Relaxed, Relaxed, room).ok()?;
        Some(Permit { count: Some(Arc::clone(&self.count)) })
    }

    fn count(&self) -> u32 {
        self.count.0.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    fn breakers(limit: u32) -> Breakers {
        Breakers::new(&checked::Breakers {
            max_connections: limit,
            max_pending: limit,
            max_requests: limit,
            max_retries: limit,
        })
    }

    #[test]
    fn a_limit_holds_and_a_dropped_permit_makes_room() {
        let breakers = breakers(2);
        let first = breakers.try_request().unwrap();
        let _second = breakers.try_request().unwrap();
        assert!(breakers.try_request().is_none());
        assert_eq!(breakers.requests(), 2);
        drop(first);
        assert_eq!(breakers.requests(), 1);
        assert!(breakers.try_request().is_some());
        assert!(breakers.try_connection().is_some() && breakers.try_pending().is_some());
        assert_eq!((breakers.connections(), breakers.pending(), breakers.retries()), (0, 0, 0));
    }

    #[test]
    fn zero_is_no_limit() {
        let breakers = breakers(0);
        let held: Vec<_> = (0..1000).map(|_| breakers.try_connection().unwrap()).collect();
        assert_eq!(breakers.connections(), 1000);
        drop(held);
        assert_eq!(breakers.connections(), 0);
        assert!(breakers.try_request().is_some());
        assert!(!breakers.is_full());
        assert!(breakers.try_pending().is_none(), "nobody waits unless it is allowed");
    }

    #[test]
    fn waiting_and_fullness_are_seen() {
        let breakers = breakers(1);
        assert!(!breakers.is_full() && !breakers.is_waited_for());
        let _connection = breakers.try_connection().unwrap();
        let pending = breakers.try_pending().unwrap();
        assert!(breakers.is_full() && breakers.is_waited_for());
        drop(pending);
        assert!(!breakers.is_waited_for());
    }

    #[test]
    fn retries_are_a_fifth_of_the_requests_and_at_least_three() {
        for (limit, active, expected) in [
            (0, 0, 3),
            (0, 15, 3),
            (0, 24, 4),
            (0, 100, 20),
            (10, 100, 10),
            (2, 0, 2),
            (10, u64::MAX, 10),
        ] {
            let breakers = breakers(limit);
            let held: Vec<_> = (0..50).filter_map(|_| breakers.try_retry(active)).collect();
            assert_eq!(held.len(), expected, "limit {limit}, {active} active");
        }
    }

    #[test]
    fn threads_never_exceed_a_limit_nor_leak() {
        let breakers = breakers(5);
        let start = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..20_000 {
                        let held = (breakers.try_request(), breakers.try_retry(0));
                        assert!(breakers.requests() <= 5 && breakers.retries() <= 3);
                        drop(held);
                    }
                });
            }
        });
        assert_eq!((breakers.requests(), breakers.retries()), (0, 0));
    }
}
