//! Clusters and hosts.

use std::time::Duration;

use super::table::{choices, format};
use super::{ExactStream, Http2Config, Map, Metadata, Port, Status::*, Texts, Tls};

format! {
    /// What is behind the proxy.
    ClusterManager {
        /// The TLS context of clusters with `cluster_manager_tls`.
        tls_context: Tls, Active, "";
        /// A connection pool for each cluster, instead of one for each address.
        cluster_pool_enable: bool, Inert("each cluster always has its own pools"), "false";
        /// A directory with one cluster in each `*.json` file, instead of `clusters`.
        clusters_configs: String, Active, "";
        /// The clusters.
        clusters: Vec<Cluster>, Active, "[]";
    }

    /// Hosts that do the same.
    Cluster {
        /// Unique.
        name: String, Active, "";
        /// `SIMPLE`, `STATIC`, `DYNAMIC` and `EDS` take `hosts` as they are; `STRICT_DNS` resolves them again and again;
        /// `ORIGINAL_DST` goes where the client meant to go.
        r#type as "type": ClusterType, Active, "SIMPLE";
        /// A label.
        sub_type: String, Inert("it is a label"), "";
        /// How a host is chosen.
        lb_type: LbType, Active, "LB_ROUNDROBIN";
        /// Requests before a connection is retired; 0 is no limit.
        max_request_per_conn: u32, Active, "1024";
        /// Bytes that wait for a slow peer. Accepted; they are bounded by sizes of rosn's own.
        conn_buffer_limit_bytes: u32, Active, "16384";
        /// SO_MARK of upstream sockets.
        mark: u32, Active, "0";
        /// Limits; only the first counts.
        circuit_breakers: Vec<Thresholds>, Active, "[]";
        /// Asking hosts whether they are well.
        health_check: HealthCheck, Active, "";
        /// What a registry watches.
        spec: ClusterSpec, Later("service registries"), "";
        /// Choosing among hosts by metadata.
        lb_subset_config: LbSubset, Later("subset load balancing: all hosts are candidates"), "";
        /// Where `LB_ORIGINAL_DST` finds the address.
        original_dst_lb_config: OriginalDstLb, Active, "";
        /// Use the TLS context of the cluster manager.
        cluster_manager_tls: bool, Active, "false";
        /// Upstream TLS.
        tls_context: Tls, Active, "";
        /// What HTTP/2 needs.
        http2: Http2Config, Own, "{}";
        /// How the bytes of its connections travel.
        stream_settings: ExactStream, Own, "{}";
        /// The same, as v2ray writes it.
        stream_settings_v2ray as "streamSettings": ExactStream, Own, "{}";
        /// The hosts.
        hosts: Vec<Host>, Active, "[]";
        /// For connecting.
        connect_timeout: Duration, Active, "10s";
        /// Idle pooled connections are closed after this; `0s` is never.
        idle_timeout: Duration, Active, "90s";
        /// Heartbeats of RPC protocols.
        keepalive: KeepAlive, Later("heartbeats of RPC protocols"), "";
        /// What balancers need.
        lbconfig: LbConfig, Active, "{}";
        /// `STRICT_DNS`: how often names are resolved.
        dns_refresh_rate: Duration, Active, "5s";
        /// `STRICT_DNS`: resolve when the answer expires, instead.
        respect_dns_ttl: bool, Active, "false";
        /// `STRICT_DNS`: `V4_ONLY`, `V6_ONLY`, or `AUTO` for both.
        dns_lookup_family: DnsLookupFamily, Active, "V4_ONLY";
        /// `STRICT_DNS`: whom to ask.
        dns_resolvers: DnsResolvers, Active, "";
        /// `STRICT_DNS`: the file that says whom to ask.
        dns_resolver_file: String, Active, "/etc/resolv.conf";
        /// `STRICT_DNS`: the port of name servers.
        dns_resolver_port: Port, Active, "53";
        /// New hosts get less at first.
        slow_start: SlowStart, Active, "";
        /// A connection pool for this cluster, instead of one for each address.
        cluster_pool_enable: bool, Inert("each cluster always has its own pools"), "false";
        /// Below this share of healthy hosts, in per cent, health is ignored; 0 is never.
        panic_threshold: u32, Own, "50";
    }

    /// Limits of a cluster; 0 is none.
    Thresholds {
        /// Connections to all hosts.
        max_connections: u32, Active, "0";
        /// Requests that may wait for a connection while `max_connections` are open. 0 = none: the others are
        /// answered with 503 at once.
        max_pending_requests: u32, Active, "0";
        /// Requests at a time.
        max_requests: u32, Active, "0";
        /// Retries at a time.
        max_retries: u32, Active, "0";
    }

    /// Asking hosts whether they are well.
    HealthCheck {
        /// `Http1`, or rosn's `Grpc` (`grpc.health.v1.Health/Check`); anything else is a TCP connection.
        protocol: String, Active, "";
        /// For each question.
        timeout: Duration, Active, "1s";
        /// Between questions.
        interval: Duration, Active, "15s";
        /// By how much the interval varies.
        interval_jitter: Duration, Active, "5ms";
        /// Before the first question; until then a host is healthy.
        initial_delay_seconds: Duration, Active, "1s";
        /// Good answers until a host is healthy.
        healthy_threshold: u32, Active, "1";
        /// Bad answers until a host is not.
        unhealthy_threshold: u32, Active, "1";
        /// The name in metrics.
        service_name: String, Active, "the cluster's name";
        /// What a protocol needs.
        check_config: CheckConfig, Active, "{}";
        /// A file that gets a line for each change.
        event_log_path: String, Active, "";
        /// Go functions that are called.
        common_callbacks: Texts, Go("no replacement yet"), "[]";
    }

    /// What a protocol of health checks needs.
    CheckConfig {
        /// For `Http1`. Without it, `Http1` is a TCP connection.
        http_check_config: HttpCheck, Active, "";
        /// For `Grpc`.
        grpc_check_config: GrpcCheck, Own, "{}";
    }

    /// The request of a health check.
    HttpCheck {
        /// Another port than that of the host.
        port: u32, Active, "that of the host";
        /// For each question; `timeout` of the health check counts as well.
        timeout: Duration, Active, "30s";
        /// The path, with its query.
        path: String, Active, "/";
        /// The method.
        method: String, Active, "GET";
        /// `http` or `https`.
        scheme: String, Active, "`https` where the cluster has TLS and no `port` is given, else `http`";
        /// The Host.
        domain: String, Active, "the address";
        /// Status codes that are good.
        codes: Vec<CodeRange>, Active, "200";
    }

    /// Status codes.
    CodeRange {
        /// The first.
        start as "Start": u32, Active, "0";
        /// The last.
        end as "End": u32, Active, "0";
    }

    /// The call of a gRPC health check.
    GrpcCheck {
        /// The service that is asked for; empty is the server as a whole.
        service: String, Own, "";
        /// The authority.
        authority: String, Own, "the address";
        /// For each question; `timeout` of the health check counts as well.
        timeout: Duration, Own, "that of the health check";
    }

    /// What a registry watches.
    ClusterSpec {
        /// The subscriptions.
        subscribe: Vec<Subscribe>, Active, "[]";
    }

    /// A subscription.
    Subscribe {
        /// Who.
        subscriber: String, Active, "";
        /// To what.
        service_name: String, Active, "";
    }

    /// Choosing among hosts by metadata.
    LbSubset {
        /// Where no host fits: 0 none, 1 any, 2 those of `default_subset`.
        fall_back_policy: u32, Active, "0";
        /// Metadata of the default hosts.
        default_subset: Map<String>, Active, "";
        /// The keys that hosts are grouped by.
        subset_selectors: Vec<Texts>, Active, "[]";
    }

    /// Where `LB_ORIGINAL_DST` finds the address.
    OriginalDstLb {
        /// In a request header.
        use_header: bool, Active, "false";
        /// The header.
        header_name: String, Active, "host";
        /// Connect to 127.0.0.1 with that port.
        replace_local: bool, Active, "false";
    }

    /// A host.
    Host {
        /// `ip:port`, `name:port` or `unix:/path`.
        address: String, Active, "";
        /// The name for `auto_host_rewrite` and access logs.
        hostname: String, Active, "";
        /// Its share, from 1 to 128.
        weight: u32, Active, "1";
        /// What subsets go by.
        metadata: Metadata, Active, "";
        /// No TLS to this host.
        tls_disable: bool, Active, "false";
    }

    /// Heartbeats of RPC protocols.
    KeepAlive {
        /// Between heartbeats.
        interval: Duration, Active, "";
        /// For each.
        timeout: Duration, Active, "1s";
    }

    /// What balancers need.
    LbConfig {
        /// How many hosts are drawn, of which the best is taken.
        choice_count: u32, Active, "2";
        /// How much active requests count.
        active_request_bias: f64, Active, "1";
        /// How much errors of the client's count.
        client_error_bias: f64, Active, "1";
        /// How much errors of the server's count.
        server_error_bias: f64, Active, "1";
    }

    /// Whom to ask for names.
    DnsResolvers {
        /// IP addresses.
        servers: Texts, Active, "[]";
        /// Domains to try.
        search: Texts, Active, "[]";
        /// The port of the servers.
        port: Port, Active, "53";
        /// Names with so many dots are tried as they are first.
        ndots: u32, Active, "1";
        /// For each question: seconds, or a duration.
        timeout: Seconds, Active, "5";
        /// How often a server is asked.
        attempts: u32, Active, "2";
    }

    /// New hosts get less at first.
    SlowStart {
        /// `duration`.
        mode: SlowStartMode, Active, "";
        /// How long it takes until a host gets its share.
        slow_start_duration: Duration, Active, "";
        /// 1 is a straight line; more is faster at first.
        aggression: f64, Active, "1";
        /// The share at first.
        min_weight_percent: f64, Active, "0.1";
    }
}

choices! {
    /// Where hosts come from.
    ClusterType: "SIMPLE", "STATIC", "DYNAMIC", "EDS", "ORIGINAL_DST", "STRICT_DNS";
    /// How a host is chosen.
    LbType: "LB_RANDOM", "LB_ROUNDROBIN", "LB_WEIGHTED_ROUNDROBIN", "LB_LEAST_REQUEST", "LB_LEAST_CONNECTION",
        "LB_MAGLEV", "LB_REQUEST_ROUNDROBIN", "LB_PEAK_EWMA", "LB_ORIGINAL_DST";
    /// Which addresses are asked for.
    DnsLookupFamily: "V4_ONLY", "V6_ONLY", "AUTO", "ALL";
    /// How a slow start goes.
    SlowStartMode: "duration";
}

/// Seconds as a number, or a duration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seconds(pub(crate) Duration);

impl super::Decode for Seconds {
    fn shape() -> super::Shape {
        Duration::shape()
    }

    fn decode(node: &crate::text::Node, context: &mut crate::context::Context<'_>) -> Option<Self> {
        match &node.value {
            crate::text::Value::Number(_) => {
                u32::decode(node, context).map(|s| Self(Duration::from_secs(s.into())))
            }
            _ => Duration::decode(node, context).map(Self),
        }
    }
}
