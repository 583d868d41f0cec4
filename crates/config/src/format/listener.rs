//! Listeners.

use std::time::Duration;

use super::table::{choices, format};
use super::{ExactStream, Free, Map, NetworkFilter, Status::*, StreamFilter, Tls};

format! {
    /// Where connections come in, and what is done with them.
    Listener {
        /// Unique; tells listeners apart on reload, and in metrics.
        name: String, Active, "the address";
        /// `ingress` or `egress`; the variable `listener_type`.
        r#type as "type": String, Active, "";
        /// `ip:port`, `:port`, `unix:/path`, or with `network` `unix` a bare path.
        address: String, Active, "";
        /// False: a virtual listener, which only `use_original_dst` of another one reaches.
        bind_port: bool, Active, "false";
        /// SO_REUSEPORT, for UDP and for the transports over it (quic, mkcp): a socket for each worker. Without it one
        /// worker has the only one. With it, tunnels of a worker that stops or changes first can break.
        reuseport: bool, Active, "false";
        /// `tcp`, `udp` or `unix`.
        network: Network, Active, "tcp";
        /// `redirect` or `tproxy`: hand a connection to the listener of the address it was meant for.
        use_original_dst: OriginalDstType, Active, "";
        /// One line for each request.
        access_logs: Vec<AccessLog>, Active, "[]";
        /// What looks at a connection first: `original_dst`, `tls_inspector`.
        listener_filters: Vec<ListenerFilter>, Active, "[]";
        /// How the bytes of its connections travel.
        stream_settings: ExactStream, Own, "{}";
        /// The same, as v2ray writes it.
        stream_settings_v2ray as "streamSettings": ExactStream, Own, "{}";
        /// Exactly one.
        filter_chains: Vec<FilterChain>, Active, "";
        /// What looks at each request, in order.
        stream_filters: Vec<StreamFilter>, Guarded("stream filters"), "[]";
        /// Tell TLS from plain text by the first bytes, so that one port serves both.
        inspector: bool, Active, "false";
        /// How long a connection may be idle; `0` is for ever.
        connection_idle_timeout: Duration, Active, "75s for HTTP, 90s for tcp_proxy, 5s for udp_proxy";
        /// The size of the first read.
        default_read_buffer_size: i64, Inert("buffers adapt to the traffic"), "128";
        /// Open connections of this listener.
        max_connections: u32, Own, "no limit but that of the process";
    }

    /// A file that gets one line for each request.
    AccessLog {
        /// The file.
        log_path: String, Active, "<base>/logs/<listener>_access.log";
        /// A line with %variables%.
        log_format: String, Active, "MOSN's default format";
        /// A JSON object instead of a line: keys, and values with %variables%.
        json_format: Map<String>, Own, "";
    }

    /// What looks at a connection first.
    ListenerFilter {
        /// `original_dst`, or `tls_inspector`: read what a client says in TLS without terminating it. Routes by
        /// `server_names` turn that on as well.
        r#type as "type": ListenerFilterType, Active, "";
        /// Where a filter comes from a Go plugin.
        go_plugin_config: GoPlugin, Go("no replacement yet"), "";
        /// What it needs.
        config: OriginalDst, Active, "{}";
    }

    /// The listener filter `original_dst`.
    OriginalDst {
        /// Look for a listener on 127.0.0.1 instead of 0.0.0.0.
        fallback_to_local: bool, Active, "false";
        /// `redirect` or `tproxy`.
        r#type as "type": OriginalDstType, Active, "redirect";
    }

    /// What is done with a connection.
    FilterChain {
        /// A condition.
        r#match as "match": String, Inert("there is exactly one filter chain, which always matches"), "";
        /// A certificate and the like.
        tls_context: Tls, Active, "";
        /// Several of them: the one whose certificate has the name that the client asks for is taken, else the one that
        /// knows its ALPN protocol, else the first.
        tls_context_set: Vec<Tls>, Active, "";
        /// Network filters, in order.
        filters: Vec<NetworkFilter>, Active, "";
    }

    /// Where a filter comes from a Go plugin.
    GoPlugin {
        /// The file.
        so_path: String, Active, "";
        /// The function that makes the filter.
        factory_method: String, Active, "";
        /// The name of the plugin.
        name: String, Active, "";
        /// What the plugin needs.
        config: Free, Active, "";
    }
}

choices! {
    /// The kind of socket.
    Network: "tcp", "udp", "unix";
    /// How the original address is found.
    OriginalDstType: "redirect", "tproxy";
    /// Which listener filter.
    ListenerFilterType: "original_dst", "tls_inspector";
}
