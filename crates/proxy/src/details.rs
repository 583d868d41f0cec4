//! Where a response came from, or what failed: the words of `response_code_details`.
//!
//! They are part of what the guide promises, so they stay as they are.

/// Defines the words, and for a test a list of them.
macro_rules! details {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        $($(#[$doc])* pub(crate) const $name: &str = $word;)*

        #[cfg(test)]
        const ALL: &[&str] = &[$($word),*];
    };
}

details! {
    /// The upstream answered.
    VIA_UPSTREAM = "via_upstream";
    /// The configuration says the response: a direct one or a redirect.
    DIRECT_RESPONSE = "direct_response";
    /// A tunnel that CONNECT asked for is open, as `upstream` `tcp`.
    CONNECTED = "connected";
    /// No virtual host, or no route of it, matches.
    ROUTE_NOT_FOUND = "route_not_found";
    /// The route leads to a cluster that does not exist.
    CLUSTER_NOT_FOUND = "cluster_not_found";
    /// No route lets CONNECT through.
    CONNECT_NOT_ALLOWED = "connect_not_allowed";
    /// CONNECT asks for a port that is not allowed.
    CONNECT_PORT_NOT_ALLOWED = "connect_port_not_allowed";
    /// None of the protocols in `Upgrade` is allowed.
    UPGRADE_NOT_ALLOWED = "upgrade_not_allowed";
    /// CONNECT without TLS, where the virtual host demands TLS.
    TLS_REQUIRED = "tls_required";
    /// The head did not come in time.
    REQUEST_HEAD_TIMEOUT = "request_head_timeout";
    /// The head is not HTTP/1.1, or too large.
    REQUEST_HEAD_INVALID = "request_head_invalid";
    /// The client did not go on with its body.
    REQUEST_BODY_TIMEOUT = "request_body_timeout";
    /// The client broke the framing of its body.
    REQUEST_BODY_INVALID = "request_body_invalid";
    /// The body is larger than the limit.
    REQUEST_BODY_TOO_LARGE = "request_body_too_large";
    /// The time that a gRPC call was given by its client has passed.
    REQUEST_DEADLINE = "request_deadline_exceeded";
    /// The client reset the connection.
    DOWNSTREAM_GONE = "downstream_gone";
    /// The client did not read.
    DOWNSTREAM_STALLED = "downstream_stalled";
    /// The cluster has no hosts.
    CLUSTER_WITHOUT_HOSTS = "cluster_without_hosts";
    /// No name of the cluster's hosts could be resolved.
    CLUSTER_NOT_RESOLVED = "cluster_not_resolved";
    /// All endpoints are unhealthy.
    NO_HEALTHY_UPSTREAM = "no_healthy_upstream";
    /// It is not known where the client meant to go.
    NO_ORIGINAL_DESTINATION = "no_original_destination";
    /// The cluster needs what this build does not do, or its settings cannot be used.
    UPSTREAM_UNUSABLE = "upstream_unusable";
    /// The cluster's limit of requests is reached.
    UPSTREAM_MAX_REQUESTS = "upstream_max_requests";
    /// The cluster's limit of connections is reached.
    UPSTREAM_MAX_CONNECTIONS = "upstream_max_connections";
    /// It was reached for as long as the request could wait.
    UPSTREAM_POOL_TIMEOUT = "upstream_pool_timeout";
    /// The name to connect to could not be resolved.
    UPSTREAM_DNS_FAILURE = "upstream_dns_failure";
    /// It was not resolved in time.
    UPSTREAM_DNS_TIMEOUT = "upstream_dns_timeout";
    /// The socket could not be made or set up.
    UPSTREAM_SOCKET_FAILURE = "upstream_socket_failure";
    /// Nothing listens there.
    UPSTREAM_CONNECT_REFUSED = "upstream_connect_refused";
    /// No answer came in time.
    UPSTREAM_CONNECT_TIMEOUT = "upstream_connect_timeout";
    /// There is no way to the host or the network.
    UPSTREAM_UNREACHABLE = "upstream_unreachable";
    /// Connecting failed in another way.
    UPSTREAM_CONNECT_FAILURE = "upstream_connect_failure";
    /// The TLS handshake failed.
    UPSTREAM_TLS_FAILURE = "upstream_tls_failure";
    /// It was not done in time.
    UPSTREAM_TLS_TIMEOUT = "upstream_tls_timeout";
    /// The transport's own handshake failed.
    UPSTREAM_HANDSHAKE_FAILURE = "upstream_handshake_failure";
    /// It was not done in time.
    UPSTREAM_HANDSHAKE_TIMEOUT = "upstream_handshake_timeout";
    /// The upstream closed or reset the connection before it answered.
    UPSTREAM_RESET_BEFORE_RESPONSE = "upstream_reset_before_response";
    /// The answer is not HTTP/1.1.
    UPSTREAM_INVALID_RESPONSE = "upstream_invalid_response";
    /// The response did not begin, or did not go on, in time.
    UPSTREAM_RESPONSE_TIMEOUT = "upstream_response_timeout";
    /// The last try took too long.
    UPSTREAM_TRY_TIMEOUT = "upstream_try_timeout";
    /// The answer was one to be retried, and no retry was possible any more.
    UPSTREAM_RETRIABLE_STATUS = "upstream_retriable_status";
    /// The response broke off.
    UPSTREAM_RESPONSE_BROKEN = "upstream_response_broken";
    /// A tunnel ended in peace.
    TUNNEL_ENDED = "tunnel_ended";
    /// It had no bytes for too long.
    TUNNEL_IDLE_TIMEOUT = "tunnel_idle_timeout";
    /// It lasted as long as it may.
    TUNNEL_MAX_LIFETIME = "tunnel_max_lifetime";
    /// rosn ended it.
    TUNNEL_SHUTDOWN = "tunnel_shutdown";
    /// The client reset it.
    TUNNEL_CLIENT_RESET = "tunnel_client_reset";
    /// The client's connection failed.
    TUNNEL_CLIENT_FAILED = "tunnel_client_failed";
    /// The upstream reset it.
    TUNNEL_UPSTREAM_RESET = "tunnel_upstream_reset";
    /// The upstream's connection failed.
    TUNNEL_UPSTREAM_FAILED = "tunnel_upstream_failed";
}

#[cfg(test)]
mod tests {
    use super::ALL;

    /// The table of the guide has a row for each word, in this order.
    #[test]
    fn the_guide_lists_all() {
        let guide = include_str!("../../../docs/guide/timings.md");
        let table = guide.split("## Why a request failed").nth(1).expect("the chapter");
        let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        assert_eq!(rows.collect::<Vec<_>>(), ALL);
    }
}
