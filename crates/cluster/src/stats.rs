//! What is counted on the upstream side. The keys are MOSN's.

use std::sync::Arc;

use rosn_base::stats::Sharded;

rosn_base::stats! {
    /// Counters of one host of a cluster (labels `cluster` and `host`).
    pub struct HostStats {
        /// Connections opened.
        connection_total: Counter,
        /// Connections closed.
        connection_close: Counter,
        /// Open connections.
        connection_active: Gauge,
        /// Connections that could not be opened.
        connection_con_fail: Counter,
        /// Connections that rosn closed.
        connection_local_close: Counter,
        /// Connections that the host closed.
        connection_remote_close: Counter,
        /// Connections that rosn closed during a request.
        connection_local_close_with_active_request: Counter,
        /// Connections that the host closed during a request.
        connection_remote_close_with_active_request: Counter,
        /// Connections that the host asked to be used no more (`Connection: close`).
        connection_close_notify: Counter,
        /// Requests sent.
        request_total: Counter,
        /// Requests under way.
        request_active: Gauge,
        /// Requests given up by rosn.
        request_local_reset: Counter,
        /// Requests that the host broke off.
        request_remote_reset: Counter,
        /// Requests that took too long.
        request_timeout: Counter,
        /// Requests that failed because the host was taken out.
        request_failure_eject: Counter,
        /// Requests refused because too many waited.
        request_pending_overflow: Counter,
        /// From the request to the end of the response.
        request_duration_time: Histogram,
        /// The sum of `request_duration_time`, in nanoseconds.
        request_duration_time_total: Counter,
        /// Responses with a status below 500.
        response_success: Counter,
        /// Responses with another status, and requests without a response.
        response_failed: Counter,
    }
}

rosn_base::stats! {
    /// Counters of one cluster (label `cluster`).
    pub struct ClusterStats {
        /// Connections opened.
        connection_total: Counter,
        /// Connections closed.
        connection_close: Counter,
        /// Open connections.
        connection_active: Gauge,
        /// Connections that could not be opened.
        connection_con_fail: Counter,
        /// Connections tried again after one could not be opened.
        connection_retry: Counter,
        /// Connections that rosn closed.
        connection_local_close: Counter,
        /// Connections that a host closed.
        connection_remote_close: Counter,
        /// Connections that rosn closed during a request.
        connection_local_close_with_active_request: Counter,
        /// Connections that a host closed during a request.
        connection_remote_close_with_active_request: Counter,
        /// Connections that a host asked to be used no more (`Connection: close`).
        connection_close_notify: Counter,
        /// Bytes read from hosts.
        connection_bytes_read_total: Counter,
        /// Bytes read from hosts that wait for a client.
        connection_bytes_read_buffered: Gauge,
        /// Bytes written to hosts.
        connection_bytes_write: Counter,
        /// Bytes that wait for a host to read.
        connection_bytes_write_buffered: Gauge,
        /// Requests sent.
        request_total: Counter,
        /// Requests under way. The retry budget is a share of it.
        request_active: Gauge,
        /// Requests given up by rosn.
        request_local_reset: Counter,
        /// Requests that a host broke off.
        request_remote_reset: Counter,
        /// Requests that took too long.
        request_timeout: Counter,
        /// Requests sent again.
        request_retry: Counter,
        /// Requests not sent again because too many already were.
        request_retry_overflow: Counter,
        /// Requests that failed because their host was taken out.
        request_failure_eject: Counter,
        /// Requests refused by a circuit breaker.
        request_pending_overflow: Counter,
        /// From the request to the end of the response.
        request_duration_time: Histogram,
        /// The sum of `request_duration_time`, in nanoseconds.
        request_duration_time_total: Counter,
        /// Names resolved while a connection was made.
        dns_time: RareHistogram,
        /// Sockets connected.
        connect_time: RareHistogram,
        /// TLS and other handshakes of a transport.
        tls_time: RareHistogram,
        /// Requests that had to wait for a connection.
        pool_wait: RareHistogram,
        /// From the end of the request to the first byte of the response.
        first_byte_time: RareHistogram,
        /// Responses with a status below 500.
        response_success: Counter,
        /// Responses with another status, and requests without a response.
        response_failed: Counter,
        /// Requests for which no subset fitted.
        lb_subsets_fallback: Counter,
        /// Subsets made.
        lb_subsets_created: Gauge,
    }
}

rosn_base::stats! {
    /// Counters of the health checks of one service (label `service`). The first shard is the control thread's, which
    /// alone counts them.
    pub struct HealthStats {
        /// Questions.
        attempt: Counter,
        /// Good answers.
        success: Counter,
        /// Bad answers, and none.
        failure: Counter,
        /// Bad answers; a connection that could not be made is one.
        active_failure: Counter,
        /// Always 0: requests of clients do not count here.
        passive_failure: Counter,
        /// No answer in time.
        network_failure: Counter,
        /// Always 0, as in MOSN.
        verify_cluster: Counter,
        /// Endpoints that are asked and healthy (MOSN's spelling).
        healty: Gauge,
    }
}

/// Where a cluster gets its counters: a registry gives the same ones for the same names, so that
/// they survive a reload and a host that goes and comes back.
pub trait StatsSource: Send + Sync {
    /// The counters of the cluster.
    fn cluster(&self, cluster: &str) -> Arc<Sharded<ClusterStats>>;

    /// The counters of one of its hosts, which is named as the configuration or the DNS has it.
    fn host(&self, cluster: &str, host: &str) -> Arc<Sharded<HostStats>>;
}

/// Counters that nobody exports: new ones for each cluster and host.
#[derive(Debug, Clone, Copy)]
pub struct Unexported {
    /// How many writers there may be; see [`Sharded::new`].
    pub shards: usize,
}

impl StatsSource for Unexported {
    fn cluster(&self, _cluster: &str) -> Arc<Sharded<ClusterStats>> {
        Arc::new(Sharded::new(self.shards))
    }

    fn host(&self, _cluster: &str, _host: &str) -> Arc<Sharded<HostStats>> {
        Arc::new(Sharded::new(self.shards))
    }
}
