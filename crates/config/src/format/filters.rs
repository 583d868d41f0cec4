//! Network filters and stream filters.

use std::time::Duration;

use crate::checked::ServerTiming;
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::text::{Node, Span, Value};

use super::decode::wrong_type;
use super::table::{choices, format};
use super::{
    Decode, Free, GoPlugin, HttpTunnel, Map, Nanoseconds, Ports, Router, Shape, Status::*, Table,
    Texts,
};

format! {
    /// A network filter.
    NetworkFilter {
        /// `proxy`, `tcp_proxy`, `udp_proxy`, `tunnel`, `grpc`, or the old `connection_manager`.
        r#type as "type": NetworkFilterType, Active, "";
        /// Where the filter comes from a Go plugin.
        go_plugin_config: GoPlugin, Go("no replacement yet"), "";
        /// What it needs.
        config: NetworkFilterConfig, Active, "";
    }

    /// A stream filter.
    StreamFilter {
        /// Which filter.
        r#type as "type": StreamFilterType, Active, "";
        /// Where the filter comes from a Go plugin.
        go_plugin_config: GoPlugin, Guarded("Go plugins"), "";
        /// What it needs.
        config: Free, Active, "";
    }

    /// The network filter `proxy`: HTTP and RPC.
    Proxy {
        /// A name for people.
        name: String, Active, "";
        /// `Http1`, `Http2`, `bolt`, `boltv2`, `dubbo`, `dubbo-thrift`, `tars`, several of them with commas,
        /// `Auto` for all of them, or `X` with `extend_config.sub_protocol`.
        downstream_protocol: String, Active, "";
        /// The protocol to clusters, unless a route says otherwise.
        upstream_protocol: String, Active, "the downstream protocol";
        /// What fits none of the protocols goes on as bytes, to the `tcp_proxy` that comes next in the chain; and so
        /// does a client that says nothing within `limits.detection_timeout`.
        fallback_for_unknown_protocol: bool, Active, "false";
        /// Which router, by its `router_config_name`.
        router_config_name: String, Active, "";
        /// The way routes are found.
        router_handler_name: String, Guarded("ways to find routes that are written in Go"), "default";
        /// Refuse routes to clusters that do not exist.
        validate_clusters: bool, Inert("this is always checked"), "false";
        /// What connections may become when they stop being HTTP, where a route does not say.
        tunnel: HttpTunnel, Own, "";
        /// Say in each response, by the header `Server-Timing`, how long the phases of the request took. With
        /// `on_request` only to requests with the header `x-rosn-timing: 1`.
        server_timing: Timing, Own, "false";
        /// What becomes of the header `x-forwarded-client-cert`: `sanitize` removes it; `forward_only` keeps it from
        /// clients with a verified certificate; `append_forward` also adds this client's; `sanitize_set` puts this
        /// client's in its place; `always_forward_only` keeps it from everybody.
        forward_client_cert: ForwardClientCert, Own, "sanitize";
        /// What else than `By` and `Hash` it says: `subject`, `uri`, `dns`, `cert`, `chain`.
        forward_client_cert_details: Texts, Own, "[]";
        /// What protocols need.
        extend_config: ExtendConfig, Active, "{}";
        /// Go routines for each connection.
        concurrency_num: i64, Inert("a connection belongs to one worker"), "0";
    }

    /// What protocols need. The keys may also stand in an object named after their protocol.
    ExtendConfig {
        /// HTTP/1: bytes of a request head.
        max_header_size: u32, Active, "limits.max_head_bytes";
        /// HTTP/1: bytes of a request body; 0 is no limit.
        max_request_body_size: u64, Active, "0";
        /// HTTP/2: do not wait for the whole body.
        http2_use_stream: bool, Inert("bodies are always streamed"), "false";
        /// bolt: send a goaway before closing.
        enable_bolt_goaway: bool, Later("bolt"), "false";
        /// The protocol that `X` stands for.
        sub_protocol: String, Active, "";
        /// The keys of HTTP/1.
        http1 as "Http1": Http1Config, Active, "";
        /// The keys of HTTP/2.
        http2 as "Http2": Http2Config, Active, "";
        /// The keys of bolt.
        bolt: BoltConfig, Active, "";
    }

    /// What HTTP/1 needs.
    Http1Config {
        /// Bytes of a request head.
        max_header_size: u32, Active, "limits.max_head_bytes";
        /// Bytes of a request body; 0 is no limit.
        max_request_body_size: u64, Active, "0";
    }

    /// What HTTP/2 needs, from clients and to clusters.
    Http2Config {
        /// Do not wait for the whole body.
        http2_use_stream: bool, Inert("bodies are always streamed"), "false";
        /// Streams at a time on one connection. To a cluster this is the most; a host may allow fewer.
        max_concurrent_streams: u32, Own, "128 from clients, 100 to clusters";
        /// Bytes that the peer may send on a stream before it waits.
        initial_stream_window_size: u32, Own, "262144";
        /// Bytes that the peer may send on a connection before it waits.
        initial_connection_window_size: u32, Own, "1048576 from clients, 33554432 from clusters";
        /// A connection with streams on which nothing came for so long is pinged; `0s` is never.
        ping_interval: Duration, Own, "never from clients, 30s to clusters";
        /// How long the answer may take; then the connection is closed.
        ping_timeout: Duration, Own, "10s";
        /// After this a connection takes no new streams, and ends with its last one; `0s` is never.
        max_connection_age: Duration, Own, "0s";
    }

    /// What bolt needs.
    BoltConfig {
        /// Send a goaway before closing.
        enable_bolt_goaway: bool, Later("bolt"), "false";
    }

    /// The network filters `tcp_proxy` and `udp_proxy`.
    StreamProxy {
        /// A name for metrics.
        stat_prefix: String, Active, "";
        /// Where everything goes; wins over `routes`.
        cluster: String, Active, "";
        /// How long a connection may be without bytes: nanoseconds, or a duration.
        idle_timeout: Nanoseconds, Active, "connection_idle_timeout of the listener";
        /// How many hosts are tried.
        max_connect_attempts: u32, Active, "3";
        /// Where connections go by their addresses; the first that matches is taken.
        routes: Vec<StreamRoute>, Active, "[]";
    }

    /// A route by addresses and by names in TLS. What is absent matches everything.
    StreamRoute {
        /// Which cluster.
        cluster: String, Active, "";
        /// Ranges that the client is in.
        source_addrs: Vec<Cidr>, Active, "[]";
        /// The same key in another spelling.
        source_addrs_go as "SourceAddrs": Vec<Cidr>, Active, "[]";
        /// Ranges that the address connected to is in.
        destination_addrs: Vec<Cidr>, Active, "[]";
        /// The same key in another spelling.
        destination_addrs_go as "DestinationAddrs": Vec<Cidr>, Active, "[]";
        /// Ports of the client: `80`, `80-90`, `80,443`.
        source_port as "SourcePort": Ports, Active, "";
        /// Ports connected to.
        destination_port as "DestinationPort": Ports, Active, "";
        /// Names that the client asks for by TLS (SNI): `a.example`, or `*.example` for every name below. The TLS is
        /// passed on as it is.
        server_names: Texts, Own, "[]";
        /// Protocols of which the client offers one by TLS (ALPN), such as `h2`.
        alpn: Texts, Own, "[]";
    }

    /// A range of addresses in its long form.
    CidrObject {
        /// An IP address.
        address as "Address": String, Active, "";
        /// How many leading bits are fixed.
        length as "Length": u32, Active, "all";
    }

    /// The network filter `tunnel`.
    Tunnel {
    }

    /// The network filter `grpc`.
    Grpc {
        /// The name of the server that is registered in Go.
        server_name: String, Active, "";
        /// What it needs.
        grpc_config: Free, Active, "";
        /// How long active calls may take to finish.
        graceful_stop_timeout: Duration, Active, "30s";
    }
}

choices! {
    /// What becomes of `x-forwarded-client-cert`.
    ForwardClientCert: "sanitize", "forward_only", "append_forward", "sanitize_set", "always_forward_only";
    /// Which network filter.
    NetworkFilterType: "proxy", "tcp_proxy", "udp_proxy", "connection_manager", "tunnel", "grpc";
    /// Which stream filter.
    StreamFilterType: "fault", "payload_limit", "gzip", "fault_tolerance", "dsl", "mirror", "dubbo_stream",
        "grpc_metric", "ip_access", "flowControlFilter", "header_to_metadata", "proxywasm", "seata", "transcoder",
        "jwt_authn", "istio.stats", "mixer", "healthcheck";
}

/// What a network filter needs, as written; its type says which table it follows.
#[derive(Debug, Clone)]
pub(crate) struct NetworkFilterConfig(pub(crate) Node);

impl NetworkFilterConfig {
    /// The tables by type.
    pub(crate) const TABLES: &'static [(&'static str, &'static Table)] = &[
        ("proxy", Proxy::TABLE),
        ("tcp_proxy", StreamProxy::TABLE),
        ("udp_proxy", StreamProxy::TABLE),
        ("connection_manager", Router::TABLE),
        ("tunnel", Tunnel::TABLE),
        ("grpc", Grpc::TABLE),
    ];
}

impl Decode for NetworkFilterConfig {
    fn shape() -> Shape {
        Shape::ByType(Self::TABLES)
    }

    fn decode(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        Map::<Free>::decode(node, context).map(|_| Self(node.clone()))
    }
}

/// `true`, `false` or `on_request`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing(pub(crate) ServerTiming);

impl Decode for Timing {
    fn shape() -> Shape {
        const LEAF: super::Leaf = super::Leaf {
            name: "bool or `on_request`",
            schema: || serde_json::json!({ "enum": [true, false, "on_request"] }),
        };
        Shape::Leaf(&LEAF)
    }

    fn decode(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        match &node.value {
            Value::Bool(on) => Some(Self(if *on { ServerTiming::On } else { ServerTiming::Off })),
            Value::String(text) if text.as_ref() == "on_request" => {
                Some(Self(ServerTiming::OnRequest))
            }
            _ => {
                context.add(wrong_type(node, "true, false or \"on_request\""));
                None
            }
        }
    }
}

/// A range of addresses as `10.0.0.0/8`, as an address, or as an object.
#[derive(Debug, Clone)]
pub(crate) struct Cidr {
    pub(crate) text: String,
    pub(crate) span: Span,
}

impl Decode for Cidr {
    fn shape() -> Shape {
        const LEAF: super::Leaf = super::Leaf {
            name: "range of addresses",
            schema: || serde_json::json!({ "type": ["string", "object"] }),
        };
        Shape::Leaf(&LEAF)
    }

    fn decode(node: &Node, context: &mut Context<'_>) -> Option<Self> {
        let span = node.span;
        match &node.value {
            Value::String(text) => Some(Self { text: text.as_ref().to_owned(), span }),
            Value::Object(_) => {
                let range = CidrObject::decode(node, context)?;
                let Some((address, _)) = range.address.filled() else {
                    context.add(Fault::error(span, "missing-key", "`Address` is missing"));
                    return None;
                };
                let text = match range.length.value() {
                    Some(length) => std::format!("{address}/{length}"),
                    None => address.to_owned(),
                };
                Some(Self { text, span })
            }
            _ => {
                context.add(wrong_type(node, "a range of addresses such as \"10.0.0.0/8\""));
                None
            }
        }
    }
}
