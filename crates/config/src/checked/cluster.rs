//! Clusters and their hosts.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use rosn_base::Addr;

use super::{HealthCheck, Http2Settings, StreamSettings, TlsContext};

/// One of `cluster_manager.clusters`.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Unique.
    pub name: Arc<str>,
    /// Where the endpoints come from.
    pub discovery: Discovery,
    /// `lb_type`.
    pub balancer: BalancerKind,
    /// `lbconfig`.
    pub balancing: Balancing,
    /// `slow_start`.
    pub slow_start: Option<SlowStart>,
    /// `lb_subset_config`: not yet active.
    pub subsets: bool,
    /// In the order of the file.
    pub hosts: Vec<Host>,
    /// `max_request_per_conn` (1024): requests before an upstream connection is retired; `None` where the
    /// file says 0.
    pub max_requests_per_connection: Option<NonZeroU32>,
    /// `conn_buffer_limit_bytes` (16384): bytes that wait for a slow peer, in each direction. Not used yet.
    pub buffer_limit: usize,
    /// `mark`: SO_MARK of upstream sockets; 0 = none.
    pub mark: u32,
    /// `circuit_breakers[0]`.
    pub breakers: Breakers,
    /// `connect_timeout` (10 s).
    pub connect_timeout: Duration,
    /// `idle_timeout`: idle pooled connections are closed after this; `None` = 90 s, zero = never.
    pub idle_timeout: Option<Duration>,
    /// `panic_threshold` (50; a key of rosn's): below this share of healthy hosts, in per cent, health is
    /// ignored; 0 = never.
    pub panic_threshold: u8,
    /// `health_check`; `None` = every endpoint counts as healthy.
    pub health_check: Option<HealthCheck>,
    /// `stream_settings`: how the bytes of a connection travel; `None` = plain sockets.
    pub stream: Option<Arc<StreamSettings>>,
    /// `tls_context`, or that of the manager where `cluster_manager_tls`; `None` = plain text.
    pub tls: Option<Arc<TlsContext>>,
    /// `http2` (a key of rosn's).
    pub http2: Http2Settings,
    /// What this cluster needs that this build does not do: requests to it are answered with 503.
    pub inactive: Option<String>,
}

/// Where a cluster's endpoints come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Discovery {
    /// The hosts of the file (`SIMPLE`, `STATIC`, `DYNAMIC`, `EDS`). Names are resolved by the system, and
    /// again every 15 s.
    Static,
    /// `STRICT_DNS`: every address of every name is an endpoint.
    StrictDns(Dns),
    /// `ORIGINAL_DST`, or `LB_ORIGINAL_DST`: the address that the client meant.
    OriginalDst {
        /// `use_header` and `header_name` (lower case): the request header that holds the address.
        header: Option<String>,
        /// `replace_local`: connect to 127.0.0.1 with that port.
        replace_local: bool,
    },
}

/// How names are resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Dns {
    /// `dns_refresh_rate` (5 s).
    pub refresh: Duration,
    /// `respect_dns_ttl`: resolve again when the answer expires, instead.
    pub respect_ttl: bool,
    /// `dns_lookup_family`.
    pub family: DnsFamily,
    /// `dns_resolvers.servers` with `port`; empty = those of `resolver_file`.
    pub servers: Vec<SocketAddr>,
    /// `dns_resolvers.search`.
    pub search: Vec<String>,
    /// `dns_resolvers.ndots`.
    pub ndots: Option<u32>,
    /// `dns_resolvers.timeout`.
    pub timeout: Option<Duration>,
    /// `dns_resolvers.attempts`.
    pub attempts: Option<u32>,
    /// `dns_resolver_file` (`/etc/resolv.conf`).
    pub resolver_file: std::path::PathBuf,
}

/// Which addresses are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub enum DnsFamily {
    #[default]
    V4,
    V6,
    /// Both (`AUTO` or `ALL`; a value of rosn's).
    Both,
}

/// `lb_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub enum BalancerKind {
    Random,
    #[default]
    RoundRobin,
    WeightedRoundRobin,
    LeastRequest,
    LeastConnection,
    Maglev,
    RequestRoundRobin,
    PeakEwma,
    OriginalDst,
}

/// `lbconfig`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Balancing {
    /// `choice_count` (2).
    pub choices: u32,
    /// `active_request_bias` (1).
    pub active_request_bias: f64,
    /// `client_error_bias` (1).
    pub client_error_bias: f64,
    /// `server_error_bias` (1).
    pub server_error_bias: f64,
}

impl Default for Balancing {
    fn default() -> Self {
        Self {
            choices: 2,
            active_request_bias: 1.0,
            client_error_bias: 1.0,
            server_error_bias: 1.0,
        }
    }
}

/// `slow_start` with `mode: duration`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlowStart {
    /// `slow_start_duration`.
    pub window: Duration,
    /// `aggression` (1).
    pub aggression: f64,
    /// `min_weight_percent` (0.1), as a share of one.
    pub min_weight: f64,
}

/// One of `hosts`.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Where it is.
    pub address: Addr,
    /// `hostname`, may be empty.
    pub hostname: String,
    /// From 1 to 128.
    pub weight: u32,
    /// `metadata.filter_metadata["mosn.lb"]`, sorted by key.
    pub metadata: Vec<(String, String)>,
    /// `tls_disable`: plain text to this host.
    pub tls_disable: bool,
}

/// Limits of a cluster, shared by all workers; 0 = no limit where nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Breakers {
    /// `max_connections` to all hosts.
    pub max_connections: u32,
    /// `max_pending_requests`: that wait for a connection. 0 = none.
    pub max_pending: u32,
    /// `max_requests` at a time.
    pub max_requests: u32,
    /// `max_retries` at a time.
    pub max_retries: u32,
}
