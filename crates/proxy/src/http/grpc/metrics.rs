//! What the stream filter `grpc_metric` counts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rosn_base::stats::Sharded;
use rosn_telemetry::Registry;

use super::{Call, code};

/// Methods that are counted one by one. Clients choose the paths: what is beyond counts as `other`.
const MOST_METHODS: usize = 500;
/// Bytes of a path that can be a label.
const LONGEST_PATH: usize = 200;

rosn_base::stats! {
    /// Counters of one gRPC method (type `grpc`, label `service`: the path, as in MOSN).
    pub struct GrpcStats {
        /// Calls.
        request_total: Counter,
        /// Calls that ended with the status OK.
        response_succ_total: Counter,
        /// Calls that ended otherwise.
        response_fail_total: Counter,
        /// From the head of the request to the end of the response.
        cost_time: Histogram,
        /// Calls that ended with OK (0).
        status_ok: Counter,
        /// With CANCELLED (1).
        status_cancelled: Counter,
        /// With UNKNOWN (2), or with a number that has no name.
        status_unknown: Counter,
        /// With INVALID_ARGUMENT (3).
        status_invalid_argument: Counter,
        /// With DEADLINE_EXCEEDED (4).
        status_deadline_exceeded: Counter,
        /// With NOT_FOUND (5).
        status_not_found: Counter,
        /// With ALREADY_EXISTS (6).
        status_already_exists: Counter,
        /// With PERMISSION_DENIED (7).
        status_permission_denied: Counter,
        /// With RESOURCE_EXHAUSTED (8).
        status_resource_exhausted: Counter,
        /// With FAILED_PRECONDITION (9).
        status_failed_precondition: Counter,
        /// With ABORTED (10).
        status_aborted: Counter,
        /// With OUT_OF_RANGE (11).
        status_out_of_range: Counter,
        /// With UNIMPLEMENTED (12).
        status_unimplemented: Counter,
        /// With INTERNAL (13).
        status_internal: Counter,
        /// With UNAVAILABLE (14).
        status_unavailable: Counter,
        /// With DATA_LOSS (15).
        status_data_loss: Counter,
        /// With UNAUTHENTICATED (16).
        status_unauthenticated: Counter,
        /// Without a status.
        status_missing: Counter,
    }
}

impl GrpcStats {
    fn count(&self, status: Option<u32>, took: u64) {
        self.request_total.add(1);
        let good = status == Some(code::OK);
        let result = if good { &self.response_succ_total } else { &self.response_fail_total };
        result.add(1);
        self.cost_time.record(took);
        let counter = match status {
            Some(0) => &self.status_ok,
            Some(1) => &self.status_cancelled,
            Some(3) => &self.status_invalid_argument,
            Some(4) => &self.status_deadline_exceeded,
            Some(5) => &self.status_not_found,
            Some(6) => &self.status_already_exists,
            Some(7) => &self.status_permission_denied,
            Some(8) => &self.status_resource_exhausted,
            Some(9) => &self.status_failed_precondition,
            Some(10) => &self.status_aborted,
            Some(11) => &self.status_out_of_range,
            Some(12) => &self.status_unimplemented,
            Some(13) => &self.status_internal,
            Some(14) => &self.status_unavailable,
            Some(15) => &self.status_data_loss,
            Some(16) => &self.status_unauthenticated,
            Some(_) => &self.status_unknown,
            None => &self.status_missing,
        };
        counter.add(1);
    }
}

type Methods = HashMap<Box<[u8]>, Arc<Sharded<GrpcStats>>>;

/// The counters of all methods that are called, shared by all workers and by the listeners that count.
pub struct GrpcMetrics {
    registry: Arc<Registry>,
    shards: usize,
    /// Replaced as a whole, so that counting takes no lock.
    methods: ArcSwap<Methods>,
    /// Held while a method is added.
    adding: Mutex<()>,
    other: Arc<Sharded<GrpcStats>>,
}

impl GrpcMetrics {
    /// Nothing counted yet; the registry shows what will be. `shards`: see [`Sharded::new`].
    pub fn new(registry: Arc<Registry>, shards: usize) -> Self {
        let other = registry.sharded("grpc", &[("service", "other")], shards);
        Self { registry, shards, methods: ArcSwap::default(), adding: Mutex::default(), other }
    }

    /// Counts a call of this path that took so many nanoseconds. Only the worker `shard` calls it with that number.
    pub(crate) fn count(&self, shard: usize, path: &[u8], call: &Call, took: u64) {
        let methods = self.methods.load();
        if let Some(stats) = methods.get(path) {
            stats.shard(shard).count(call.status, took);
            return;
        }
        // A path is a method once something behind it says so: else anybody could fill the table with words.
        let is_method = !matches!(call.status, None | Some(code::UNIMPLEMENTED));
        let stats = if is_method { self.add(path) } else { None };
        stats.as_ref().unwrap_or(&self.other).shard(shard).count(call.status, took);
    }

    /// The counters of another method; `None` where it is none, or where there are too many.
    fn add(&self, path: &[u8]) -> Option<Arc<Sharded<GrpcStats>>> {
        let text = std::str::from_utf8(path).ok().filter(|_| path.len() <= LONGEST_PATH)?;
        let (service, method) = text.strip_prefix('/')?.rsplit_once('/')?;
        if service.is_empty() || method.is_empty() {
            return None;
        }
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let present = self.methods.load();
        if let Some(stats) = present.get(path) {
            return Some(Arc::clone(stats));
        }
        if present.len() >= MOST_METHODS {
            return None;
        }
        let stats = self.registry.sharded("grpc", &[("service", text)], self.shards);
        let mut more = Methods::clone(&present);
        more.insert(path.into(), Arc::clone(&stats));
        self.methods.store(Arc::new(more));
        Some(stats)
    }
}

#[cfg(test)]
mod tests {
    use rosn_config::checked::StatsMatcher;

    use super::*;

    fn ended(status: Option<u32>) -> Call {
        Call { deadline: u64::MAX, status, message: Vec::new() }
    }

    fn shown(registry: &Registry) -> String {
        registry.prometheus(&StatsMatcher::default(), false)
    }

    #[test]
    fn counts_by_path_and_status() {
        let registry = Arc::new(Registry::new("1"));
        let metrics = GrpcMetrics::new(Arc::clone(&registry), 2);
        metrics.count(0, b"/a.B/C", &ended(Some(0)), 1_000_000);
        metrics.count(1, b"/a.B/C", &ended(Some(14)), 1_000_000);
        metrics.count(1, b"/a.B/C", &ended(None), 1_000_000);
        let text = shown(&registry);
        for expected in [
            "grpc_request_total{service=\"/a.B/C\"} 3\n",
            "grpc_response_succ_total{service=\"/a.B/C\"} 1\n",
            "grpc_response_fail_total{service=\"/a.B/C\"} 2\n",
            "grpc_status_unavailable{service=\"/a.B/C\"} 1\n",
            "grpc_status_missing{service=\"/a.B/C\"} 1\n",
            "grpc_cost_time_seconds_count{service=\"/a.B/C\"} 3\n",
            "grpc_request_total{service=\"other\"} 0\n",
        ] {
            assert!(text.contains(expected), "{expected}{text}");
        }
    }

    /// Clients choose paths: they must not choose how much memory is used.
    #[test]
    fn what_is_no_method_and_what_is_too_much_counts_as_other() {
        let registry = Arc::new(Registry::new("1"));
        let metrics = GrpcMetrics::new(Arc::clone(&registry), 1);
        let long = format!("/a/{}", "b".repeat(LONGEST_PATH));
        for path in ["/a.B/unknown", "/", "", "//", "/a/", "nothing", long.as_str(), "/\u{7f}"] {
            metrics.count(0, path.as_bytes(), &ended(Some(code::UNIMPLEMENTED)), 0);
        }
        for path in [&b"/"[..], b"", b"//", b"/a/", b"a", long.as_bytes(), b"/a/\xff"] {
            metrics.count(0, path, &ended(Some(0)), 0);
        }
        for n in 0..MOST_METHODS + 10 {
            metrics.count(0, format!("/s/{n}").as_bytes(), &ended(Some(0)), 0);
        }
        assert_eq!(metrics.methods.load().len(), MOST_METHODS);
        assert_eq!(metrics.other.shard(0).request_total.value(), 8 + 7 + 10);
    }
}
