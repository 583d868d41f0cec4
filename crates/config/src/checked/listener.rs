//! Listeners and what they do with a connection.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rosn_base::Addr;

use super::{Http2Settings, ListenerTls, StreamSettings, TunnelRules};
use crate::Template;

/// One of `servers[0].listeners`.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// Unique; the address where the file gives none.
    pub name: Arc<str>,
    /// `Ip` or `Unix`, never `Name`.
    pub address: Addr,
    /// The address is that of "localhost": `[::1]` with the same port is listened on as well, where the machine has it.
    pub localhost: bool,
    /// `network`.
    pub network: Network,
    /// `bind_port`: false = a virtual listener, reached only through `use_original_dst` of another.
    pub bind: bool,
    /// `reuseport`, for UDP and the transports over it.
    pub reuse_port: bool,
    /// `use_original_dst`, or the `original_dst` listener filter.
    pub original_dst: Option<OriginalDst>,
    /// `type`: `ingress`, `egress` or empty.
    pub direction: String,
    /// `access_logs`.
    pub access_logs: Vec<AccessLog>,
    /// `connection_idle_timeout`; see [`IdleTimeout`].
    pub idle_timeout: IdleTimeout,
    /// `max_connections` (a key of rosn's): open connections of this listener.
    pub max_connections: Option<NonZeroU32>,
    /// `stream_settings`: how the bytes of a connection travel; `None` = plain sockets.
    pub stream: Option<Arc<StreamSettings>>,
    /// `tls_context` or `tls_context_set`: TLS is terminated here; `None` = plain text.
    pub tls: Option<ListenerTls>,
    /// `inspector`: a connection whose first byte is not TLS's is plain text.
    pub inspector: bool,
    /// The `tls_inspector` listener filter, or a route by `server_names` or `alpn`: the ClientHello is read, and goes on
    /// untouched. Never together with `tls`.
    pub reads_hello: bool,
    /// What is done with a connection.
    pub service: Service,
}

/// `connection_idle_timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IdleTimeout {
    /// Not given: [`Limits::idle_timeout`](super::Limits) for HTTP, 90 s for tcp_proxy, 5 s for UDP.
    #[default]
    Default,
    /// `"0"`: never.
    Never,
    /// This long without an active stream, or for tcp_proxy without bytes in either direction.
    After(Duration),
}

/// The kind of socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Network {
    Tcp,
    Udp,
    Unix,
}

/// How the address that the client meant is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OriginalDst {
    /// By iptables REDIRECT or TPROXY.
    pub kind: OriginalDstKind,
    /// `fallback_to_local`: look for a listener on 127.0.0.1 with that port, instead of 0.0.0.0.
    pub fallback_to_local: bool,
}

/// See [`OriginalDst`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginalDstKind {
    /// SO_ORIGINAL_DST, set by `iptables -j REDIRECT`.
    Redirect,
    /// The local address of the socket, by `iptables -j TPROXY` and IP_TRANSPARENT.
    Tproxy,
}

/// One of `access_logs`.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessLog {
    /// `log_path`; default `<log directory>/<listener>_access.log`. `stdout`, `stderr` and `syslog...` mean the
    /// same as for [`LogTarget`](super::LogTarget).
    pub path: PathBuf,
    /// `log_format`, or `json_format` (a key of rosn's).
    pub format: AccessLogFormat,
}

/// What a line of the access log looks like.
#[derive(Debug, Clone, PartialEq)]
pub enum AccessLogFormat {
    /// Text with %variables%.
    Text(Template),
    /// A JSON object: keys and the templates of their values, in order.
    Json(Vec<(String, Template)>),
}

/// What a listener does with a connection, by the network filters of its chain.
#[derive(Debug, Clone, PartialEq)]
pub enum Service {
    /// `proxy`.
    Http(Box<HttpProxy>),
    /// `tcp_proxy`.
    Tcp(StreamProxy),
    /// `udp_proxy`.
    Udp(StreamProxy),
    /// The chain needs something that this build does not do. The listener is not bound, because
    /// serving without it would serve wrongly or without a protection; the text says what is missing.
    Inactive(String),
}

/// The `proxy` network filter.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpProxy {
    /// `downstream_protocol`: what clients may speak, of what this build speaks. Never empty.
    pub protocols: Vec<Protocol>,
    /// `fallback_for_unknown_protocol`: what is none of these goes on as bytes, to the `tcp_proxy` that comes next in
    /// the chain.
    pub fallback: Option<StreamProxy>,
    /// `upstream_protocol`, where it names one protocol.
    pub upstream_protocol: Option<Protocol>,
    /// `router_config_name`: a key of [`Config::routers`](super::Config).
    pub router: Arc<str>,
    /// `extend_config.max_header_size`; `None` = [`Limits::max_head_bytes`](super::Limits).
    pub max_head_bytes: Option<usize>,
    /// `extend_config.max_request_body_size`, in bytes; `None` = unlimited.
    pub max_body_bytes: Option<u64>,
    /// `tunnel`, for what a route does not say.
    pub tunnel: TunnelRules,
    /// `server_timing`.
    pub server_timing: ServerTiming,
    /// The stream filter `grpc_metric`: gRPC calls are counted by their method.
    pub grpc_metric: bool,
    /// `extend_config.Http2`.
    pub http2: Http2Settings,
    /// `forward_client_cert` and `forward_client_cert_details`.
    pub client_cert: ForwardClientCert,
}

/// What becomes of the header `x-forwarded-client-cert`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ForwardClientCert {
    /// `forward_client_cert`.
    pub mode: ClientCertMode,
    /// `forward_client_cert_details`, for the modes that say who the client is; `By` and `Hash` always stand there.
    pub details: ClientCertDetails,
}

/// `forward_client_cert`, with Envoy's meanings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientCertMode {
    /// `sanitize`: removed.
    #[default]
    Sanitize,
    /// `forward_only`: kept where the client has shown a certificate that was verified, else removed.
    ForwardOnly,
    /// `append_forward`: the same, and this client's certificate is added.
    AppendForward,
    /// `sanitize_set`: this client's certificate in its place.
    SanitizeSet,
    /// `always_forward_only`: kept, whoever sends it.
    AlwaysForwardOnly,
}

/// What else than `By` and `Hash` is said of a client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientCertDetails {
    /// `subject`.
    pub subject: bool,
    /// `uri`: each of its URI names.
    pub uri: bool,
    /// `dns`: each of its DNS names.
    pub dns: bool,
    /// `cert`: the certificate itself, as URL-encoded PEM.
    pub cert: bool,
    /// `chain`: with all that the client sent, as URL-encoded PEM.
    pub chain: bool,
}

/// Whether clients are told how long the phases of their requests took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerTiming {
    /// No.
    #[default]
    Off,
    /// In every response.
    On,
    /// Where the request has `x-rosn-timing: 1`.
    OnRequest,
}

/// An application protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Protocol {
    Http1,
    Http2,
    Bolt,
    BoltV2,
    Dubbo,
    DubboThrift,
    Tars,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Protocol {
    /// MOSN's name: `Http1`, `dubbo-thrift`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "Http1",
            Self::Http2 => "Http2",
            Self::Bolt => "bolt",
            Self::BoltV2 => "boltv2",
            Self::Dubbo => "dubbo",
            Self::DubboThrift => "dubbo-thrift",
            Self::Tars => "tars",
        }
    }

    /// What TLS offers for these protocols (ALPN), the most wanted first; none where one of them has no name there.
    pub fn alpn(protocols: &[Self]) -> Vec<&'static str> {
        let name = |protocol| match protocol {
            Self::Http2 => "h2",
            _ => "http/1.1",
        };
        [Self::Http2, Self::Http1]
            .into_iter()
            .filter(|protocol| protocols.contains(protocol))
            .map(name)
            .collect()
    }
}

/// The `tcp_proxy` and `udp_proxy` network filters.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamProxy {
    /// `stat_prefix`, may be empty.
    pub stat_prefix: String,
    /// The first that matches is taken; `cluster` is a route without conditions. Never empty.
    pub routes: Vec<StreamRoute>,
    /// `idle_timeout`; wins over the listener's. Zero = never.
    pub idle_timeout: Option<Duration>,
    /// `max_connect_attempts` (3): how many hosts are tried.
    pub max_connect_attempts: u32,
}

impl StreamProxy {
    /// Whether one of the routes looks at what the client says in TLS.
    pub fn reads_hello(&self) -> bool {
        self.routes.iter().any(|route| !route.server_names.is_empty() || !route.alpn.is_empty())
    }
}

/// A route by addresses and the names in a ClientHello. Empty lists match everything.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamRoute {
    /// A key of [`Config::clusters`](super::Config).
    pub cluster: Arc<str>,
    /// Ranges that the client's address may be in.
    pub sources: Vec<CidrRange>,
    /// Ranges that the address the client connected to may be in.
    pub destinations: Vec<CidrRange>,
    /// Ports that the client may come from, as inclusive ranges.
    pub source_ports: Vec<(u16, u16)>,
    /// Ports that the client may have connected to, as inclusive ranges.
    pub destination_ports: Vec<(u16, u16)>,
    /// `server_names` (a key of rosn's): what the client asks for by SNI, in lower case: `a.example`, or `*.example`
    /// for every name below.
    pub server_names: Vec<String>,
    /// `alpn` (a key of rosn's): protocols of which the client offers one.
    pub alpn: Vec<String>,
}

/// A range of IP addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CidrRange {
    /// Any address in the range.
    pub address: IpAddr,
    /// How many leading bits are fixed.
    pub prefix: u8,
}

impl CidrRange {
    /// Whether the address is in the range; an IPv4 address is never in an IPv6 range.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip) {
            (IpAddr::V4(range), IpAddr::V4(ip)) => {
                let shift = 32_u32.saturating_sub(u32::from(self.prefix));
                u64::from(u32::from(range)) >> shift == u64::from(u32::from(ip)) >> shift
            }
            (IpAddr::V6(range), IpAddr::V6(ip)) => {
                let shift = 128_u32.saturating_sub(u32::from(self.prefix));
                let high = |ip: std::net::Ipv6Addr| u128::from(ip).checked_shr(shift).unwrap_or(0);
                high(range) == high(ip)
            }
            _ => false,
        }
    }
}
