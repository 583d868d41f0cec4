//! One endpoint, and what all workers know of it.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

use rosn_base::Addr;
use rosn_base::stats::Sharded;
use rosn_config::checked::{BalancerKind, Balancing};

use crate::average::Average;
use crate::stats::HostStats;

/// A resolved address of a cluster.
///
/// Its description is immutable. What is counted, and the [id](Self::id), belong to the address:
/// an update that changes the weight makes a new `Endpoint` that shares them with the old one.
#[derive(Debug)]
pub struct Endpoint {
    description: Description,
    state: Arc<State>,
}

/// What the configuration and the discovery say of an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Description {
    /// Never a name.
    pub(crate) addr: Addr,
    /// See [`Endpoint::label`].
    pub(crate) label: String,
    pub(crate) hostname: String,
    pub(crate) weight: u32,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) plain: bool,
}

/// Why an endpoint is unhealthy; it is healthy when nothing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// A health check failed (MOSN's `FAILED_ACTIVE_HC`).
    ActiveCheck = 1,
    /// Requests failed (MOSN's `FAILED_OUTLIER_CHECK`).
    Outlier = 2,
}

/// How a request ended, for `LB_PEAK_EWMA`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A status below 400.
    Success,
    /// A status from 400 to 499.
    ClientError,
    /// A status from 500, or no response.
    ServerError,
}

/// What the endpoints of a cluster share.
#[derive(Debug)]
pub(crate) struct Common {
    /// Times of the cluster count from here.
    epoch: Instant,
    /// Goes up with every change of an endpoint's health.
    health_changes: AtomicU64,
    balancer: BalancerKind,
    /// Of all endpoints, in nanoseconds: what is expected of one that has no data.
    duration: Average,
    /// What is expected before the first response.
    first_duration: f64,
    next_id: AtomicU64,
}

#[derive(Debug)]
struct State {
    id: u64,
    common: Arc<Common>,
    stats: Arc<Sharded<HostStats>>,
    /// Bits of [`Fault`].
    faults: AtomicU8,
    /// When it last became healthy, in nanoseconds since the epoch.
    healthy_since: AtomicU64,
    duration: Average,
    client_errors: Average,
    server_errors: Average,
    active: Active,
}

/// Written by all workers on each request: on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Active {
    requests: AtomicU32,
    connections: AtomicU32,
}

impl Endpoint {
    pub(crate) fn new(
        description: Description,
        common: &Arc<Common>,
        stats: Arc<Sharded<HostStats>>,
    ) -> Self {
        let state = State {
            id: common.next_id.fetch_add(1, Relaxed),
            common: Arc::clone(common),
            stats,
            faults: AtomicU8::new(0),
            healthy_since: AtomicU64::new(common.now()),
            duration: Average::default(),
            client_errors: Average::default(),
            server_errors: Average::default(),
            active: Active::default(),
        };
        Self { description, state: Arc::new(state) }
    }

    /// The same endpoint, described anew.
    pub(crate) fn described(&self, description: Description) -> Self {
        Self { description, state: Arc::clone(&self.state) }
    }

    /// Unique within its cluster, and kept as long as the address is part of it.
    pub fn id(&self) -> u64 {
        self.state.id
    }

    /// Where to connect: an IP address or a unix socket, never a name.
    pub fn addr(&self) -> &Addr {
        &self.description.addr
    }

    /// The text of the address under which it is counted: as the configuration has it, or what the
    /// DNS gave for a name of a `STRICT_DNS` cluster.
    pub fn label(&self) -> &str {
        &self.description.label
    }

    /// `hostname` of the configuration; where that is empty, the name that was resolved.
    pub fn hostname(&self) -> &str {
        &self.description.hostname
    }

    /// From 1 to 128.
    pub fn weight(&self) -> u32 {
        self.description.weight
    }

    /// Sorted by key.
    pub fn metadata(&self) -> &[(String, String)] {
        &self.description.metadata
    }

    /// `tls_disable`: plain text is spoken to it, also where the cluster has TLS.
    pub fn is_plain(&self) -> bool {
        self.description.plain
    }

    /// Its counters.
    pub fn stats(&self) -> &Arc<Sharded<HostStats>> {
        &self.state.stats
    }

    pub(crate) fn description(&self) -> &Description {
        &self.description
    }
}

/// Health.
impl Endpoint {
    /// Whether nothing is wrong with it.
    pub fn is_healthy(&self) -> bool {
        self.faults() == 0
    }

    /// What is wrong, as the bits of [`Fault`].
    pub fn faults(&self) -> u8 {
        self.state.faults.load(Relaxed)
    }

    /// Whether this is wrong with it.
    pub fn has(&self, fault: Fault) -> bool {
        self.faults() & fault as u8 != 0
    }

    /// Says that something is wrong.
    pub fn fail(&self, fault: Fault) {
        let before = self.state.faults.fetch_or(fault as u8, Relaxed);
        if before & fault as u8 == 0 {
            self.state.common.health_changed();
        }
    }

    /// Says that it is wrong no longer. An endpoint that becomes healthy by this starts slowly
    /// where the cluster has a `slow_start`.
    pub fn recover(&self, fault: Fault) {
        let before = self.state.faults.fetch_and(!(fault as u8), Relaxed);
        if before == fault as u8 {
            self.state.healthy_since.store(self.state.common.now(), Relaxed);
        }
        if before & fault as u8 != 0 {
            self.state.common.health_changed();
        }
    }

    /// When it last became healthy, in nanoseconds since the cluster's epoch.
    pub(crate) fn healthy_since(&self) -> u64 {
        self.state.healthy_since.load(Relaxed)
    }

    /// Takes the health of the endpoint with that address in an earlier cluster.
    pub(crate) fn inherit_health(&self, from: &Self) {
        let common = &self.state.common;
        let healthy_for =
            from.state.common.now().saturating_sub(from.state.healthy_since.load(Relaxed));
        // What was healthy before this cluster's epoch is in no slow start that matters.
        self.state.healthy_since.store(common.now().saturating_sub(healthy_for), Relaxed);
        self.state.faults.store(from.faults(), Relaxed);
        common.health_changed();
    }
}

/// Load.
impl Endpoint {
    /// A request is sent. Each call needs one of [`request_ended`](Self::request_ended).
    #[inline]
    pub fn request_started(&self) {
        if self.state.common.counts_requests() {
            self.state.active.requests.fetch_add(1, Relaxed);
        }
    }

    /// A request has ended, however it did.
    #[inline]
    pub fn request_ended(&self) {
        if self.state.common.counts_requests() {
            subtract_one(&self.state.active.requests);
        }
    }

    /// Requests under way from all workers. Counted only for the balancers that look at it
    /// (`LB_LEAST_REQUEST`, `LB_PEAK_EWMA`), since counting makes the workers wait for each other;
    /// [`HostStats::request_active`] always is.
    pub fn active_requests(&self) -> u32 {
        self.state.active.requests.load(Relaxed)
    }

    /// A connection is open. Each call needs one of
    /// [`connection_closed`](Self::connection_closed).
    pub fn connection_opened(&self) {
        self.state.active.connections.fetch_add(1, Relaxed);
    }

    /// A connection is closed.
    pub fn connection_closed(&self) {
        subtract_one(&self.state.active.connections);
    }

    /// Open connections from all workers.
    pub fn active_connections(&self) -> u32 {
        self.state.active.connections.load(Relaxed)
    }

    /// Tells the balancer how long a request took and how it ended. Does nothing unless the
    /// balancer is `LB_PEAK_EWMA`.
    #[inline]
    pub fn observe(&self, duration: Duration, outcome: Outcome) {
        if self.state.common.balancer == BalancerKind::PeakEwma {
            self.observe_at(self.state.common.now(), duration, outcome);
        }
    }

    pub(crate) fn observe_at(&self, now: u64, duration: Duration, outcome: Outcome) {
        let State { common, client_errors, server_errors, .. } = &*self.state;
        let share = |of| if outcome == of { 1.0 } else { 0.0 };
        let nanos = duration.as_nanos() as f64;
        self.state.duration.add(nanos, now);
        common.duration.add(nanos, now);
        client_errors.add(share(Outcome::ClientError), now);
        server_errors.add(share(Outcome::ServerError), now);
    }

    /// The cost of a further request at `now` nanoseconds since the epoch (mosn.io,
    /// `LB_PEAK_EWMA`): the usual duration, times the requests under way, over the share of good
    /// responses. Never zero.
    ///
    /// An endpoint without requests becomes the cheaper the longer it has none, and is the cheapest before
    /// the first: else one that was slow once, or that others came before, might never be tried. One that
    /// does not answer tends to what is usual in the cluster.
    pub(crate) fn cost(&self, now: u64, biases: &Balancing) -> f64 {
        let State { common, client_errors, server_errors, .. } = &*self.state;
        let active = self.active_requests();
        let rest = if active == 0 { 0.0 } else { common.usual_duration(now) };
        let duration = self.state.duration.value(now, rest);
        let requests = f64::from(active) + 1.0;
        let good = power(1.0 - client_errors.value(now, 0.0), biases.client_error_bias)
            * power(1.0 - server_errors.value(now, 0.0), biases.server_error_bias);
        duration.max(1.0) * power(requests, biases.active_request_bias) / good.max(0.1)
    }
}

impl Common {
    pub(crate) fn new(balancer: BalancerKind, first_duration: Duration) -> Self {
        Self {
            epoch: Instant::now(),
            health_changes: AtomicU64::new(0),
            balancer,
            duration: Average::default(),
            first_duration: first_duration.as_nanos() as f64,
            next_id: AtomicU64::new(1),
        }
    }

    /// Nanoseconds since the epoch.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn health_changed(&self) {
        self.health_changes.fetch_add(1, Release);
    }

    /// How often an endpoint's health has changed. What is read after it is at least as new.
    pub(crate) fn health_version(&self) -> u64 {
        self.health_changes.load(Acquire)
    }

    fn usual_duration(&self, now: u64) -> f64 {
        self.duration.value(now, self.first_duration)
    }

    fn counts_requests(&self) -> bool {
        matches!(self.balancer, BalancerKind::LeastRequest | BalancerKind::PeakEwma)
    }
}

/// `base ^ exponent`, cheap for the default exponent.
pub(crate) fn power(base: f64, exponent: f64) -> f64 {
    if exponent == 1.0 { base } else { base.powf(exponent) }
}

/// A call too many must not turn an idle endpoint into the busiest one.
fn subtract_one(count: &AtomicU32) {
    let result = count.fetch_update(Relaxed, Relaxed, |count| count.checked_sub(1));
    debug_assert!(result.is_ok(), "more ends than starts");
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn endpoint(balancer: BalancerKind, addr: &str) -> Endpoint {
        let common = Arc::new(Common::new(balancer, Duration::from_secs(10)));
        let description = Description {
            addr: addr.parse().unwrap(),
            label: addr.to_owned(),
            hostname: String::new(),
            weight: 1,
            metadata: Vec::new(),
            plain: false,
        };
        Endpoint::new(description, &common, Arc::new(Sharded::new(1)))
    }

    pub(crate) fn set_healthy_since(endpoint: &Endpoint, nanos: u64) {
        endpoint.state.healthy_since.store(nanos, Relaxed);
    }

    #[test]
    fn it_is_healthy_when_every_fault_is_gone() {
        let endpoint = endpoint(BalancerKind::Random, "10.0.0.1:80");
        let changes = || endpoint.state.common.health_version();
        endpoint.fail(Fault::ActiveCheck);
        endpoint.fail(Fault::Outlier);
        assert_eq!((endpoint.faults(), changes()), (3, 2));
        endpoint.fail(Fault::Outlier);
        assert_eq!(changes(), 2, "nothing changed");
        endpoint.recover(Fault::ActiveCheck);
        assert!(!endpoint.is_healthy());
        let since = endpoint.healthy_since();
        endpoint.recover(Fault::Outlier);
        assert!(endpoint.is_healthy());
        assert!(endpoint.healthy_since() > since);
    }

    #[test]
    fn the_load_is_counted_where_it_is_looked_at() {
        for (kind, expected) in [(BalancerKind::LeastRequest, 1), (BalancerKind::RoundRobin, 0)] {
            let endpoint = endpoint(kind, "10.0.0.1:80");
            endpoint.request_started();
            endpoint.connection_opened();
            assert_eq!((endpoint.active_requests(), endpoint.active_connections()), (expected, 1));
            endpoint.request_ended();
            endpoint.connection_closed();
            assert_eq!((endpoint.active_requests(), endpoint.active_connections()), (0, 0));
        }
    }

    #[test]
    fn the_cost_is_duration_times_requests_over_good_responses() {
        let endpoint = endpoint(BalancerKind::PeakEwma, "10.0.0.1:80");
        let biases = Balancing { server_error_bias: 2.0, ..Balancing::default() };
        assert_eq!(endpoint.cost(1, &biases), 1.0, "no data, nothing to do");
        endpoint.request_started();
        assert_eq!(endpoint.cost(1, &biases), 2.0 * 10e9, "no data: the first guess");
        endpoint.request_ended();
        let took = Duration::from_millis(1);
        endpoint.observe_at(1, took, Outcome::Success);
        assert!((endpoint.cost(1, &biases) - 1e6).abs() < 1.0);
        endpoint.request_started();
        assert!((endpoint.cost(1, &biases) - 2e6).abs() < 1.0);
        // One decay time later: 1 - 1/e of the responses count as errors, and that squared.
        let later = 10_000_000_001;
        endpoint.observe_at(later, took, Outcome::ServerError);
        let good = (-1.0_f64).exp().powi(2);
        assert!((endpoint.cost(later, &biases) / (2e6 / good) - 1.0).abs() < 1e-3);
        // Only errors: the divisor stops at a tenth.
        endpoint.observe_at(later + 100_000_000_000, took, Outcome::ServerError);
        let cost = endpoint.cost(later + 100_000_000_000, &biases);
        assert!((cost / 2e7 - 1.0).abs() < 1e-3);
    }
}
