//! The variables: names for what is known about a request (MOSN `pkg/types/variable.go`).

use std::borrow::Cow;

/// What knows the values of variables: a request on its way.
pub trait Variables {
    /// Appends the value to `out` and returns true, or leaves `out` alone and returns false where
    /// there is none.
    fn write(&self, variable: &Variable, out: &mut Vec<u8>) -> bool;
}

/// Defines [`Variable`] with its plain names, so that no name is written down twice.
macro_rules! variables {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A value that is known when a request is handled.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Variable {
            $($(#[$doc])* #[doc = concat!("\n\n`", $name, "`")] $variant,)*
            /// `request_header_X`: a header of the request; the name in lower case.
            RequestHeader(Box<str>),
            /// `response_header_X`: a header of the response; the name in lower case.
            ResponseHeader(Box<str>),
            /// `request_arg_X`: a parameter of the query; the name as written.
            RequestArg(Box<str>),
            /// `cookie_X`: a cookie of the request; the name as written.
            Cookie(Box<str>),
            /// `Http1_…`: what the inner variable is where the client speaks HTTP/1, else nothing.
            Http1(Box<Variable>),
            /// `Http2_…`: what the inner variable is where the client speaks HTTP/2, else nothing.
            Http2(Box<Variable>),
            /// A variable of MOSN's that has no value here (yet), by name.
            Inactive(&'static str),
        }

        const PLAIN: &[(&str, Variable)] = &[$(($name, Variable::$variant),)*];

        const NAMES: &[&str] = &[
            $($name,)*
            REQUEST_HEADER, RESPONSE_HEADER, REQUEST_ARG, COOKIE,
            "Http1_request_scheme", "Http1_request_method", "Http1_request_length",
            "Http1_request_uri", "Http1_request_path", "Http1_request_path_original",
            "Http1_request_arg", "Http1_request_header_", "Http1_request_arg_", "Http1_cookie_",
            "Http2_request_scheme", "Http2_request_method", "Http2_request_length",
            "Http2_request_uri", "Http2_request_path", "Http2_request_path_original",
            "Http2_request_arg", "Http2_request_header_", "Http2_request_arg_", "Http2_cookie_",
        ];

        impl Variable {
            /// The name, as a configuration writes it.
            pub fn name(&self) -> Cow<'_, str> {
                match self {
                    $(Self::$variant => Cow::Borrowed($name),)*
                    Self::RequestHeader(name) => format!("{REQUEST_HEADER}{name}").into(),
                    Self::ResponseHeader(name) => format!("{RESPONSE_HEADER}{name}").into(),
                    Self::RequestArg(name) => format!("{REQUEST_ARG}{name}").into(),
                    Self::Cookie(name) => format!("{COOKIE}{name}").into(),
                    Self::Http1(inner) => format!("{HTTP1}{}", inner.name()).into(),
                    Self::Http2(inner) => format!("{HTTP2}{}", inner.name()).into(),
                    Self::Inactive(name) => Cow::Borrowed(name),
                }
            }
        }
    };
}

variables! {
    /// When the request began, local time as `2006/01/02 15:04:05.000`.
    StartTime = "start_time",
    /// From the start to the end of the request's head and body, a Go duration.
    RequestReceivedDuration = "request_received_duration",
    /// From the start to the end of the upstream's response.
    ResponseReceivedDuration = "response_received_duration",
    /// From the start to the end of the response to the client.
    RequestFinishedDuration = "request_finished_duration",
    /// The time spent in the proxy itself.
    ProcessTimeDuration = "process_time_duration",
    /// Bytes of body sent to the client.
    BytesSent = "bytes_sent",
    /// Bytes of body received from the client.
    BytesReceived = "bytes_received",
    /// The protocol the client speaks: `Http1` or `Http2`.
    Protocol = "protocol",
    /// The status of the response.
    ResponseCode = "response_code",
    /// From the start to now.
    Duration = "duration",
    /// `true` where any response flag is set, else `false`.
    ResponseFlag = "response_flag",
    /// The response flags in short form, as Envoy writes them: `UF,URX`.
    ResponseFlags = "response_flags",
    /// Our address on the connection to the upstream.
    UpstreamLocalAddress = "upstream_local_address",
    /// Our address on the client's connection.
    DownstreamLocalAddress = "downstream_local_address",
    /// The client's address.
    DownstreamRemoteAddress = "downstream_remote_address",
    /// The host name or address of the endpoint.
    UpstreamHost = "upstream_host",
    /// Why the connection to the upstream failed.
    UpstreamTransportFailureReason = "upstream_transport_failure_reason",
    /// The cluster's name.
    UpstreamCluster = "upstream_cluster",
    /// The name the client asked for by SNI.
    RequestedServerName = "requested_server_name",
    /// The version of TLS that the client speaks: `TLSv1.3`.
    DownstreamTlsVersion = "downstream_tls_version",
    /// The cipher suite that was agreed on with the client, as OpenSSL calls it.
    DownstreamTlsCipher = "downstream_tls_cipher",
    /// Whose certificate the client has shown: `CN=a,O=b`. This and what follows also where it was not verified
    /// (`require_client_cert` alone).
    DownstreamPeerSubject = "downstream_peer_subject",
    /// Who issued the client's certificate.
    DownstreamPeerIssuer = "downstream_peer_issuer",
    /// The serial number of the client's certificate, in hexadecimal.
    DownstreamPeerSerial = "downstream_peer_serial",
    /// The URIs in the client's certificate, with commas.
    DownstreamPeerUriSan = "downstream_peer_uri_san",
    /// The DNS names in the client's certificate, with commas.
    DownstreamPeerDnsSan = "downstream_peer_dns_san",
    /// SHA-256 of the client's certificate, in hexadecimal.
    DownstreamPeerFingerprint256 = "downstream_peer_fingerprint_256",
    /// The client's certificate, as URL-encoded PEM.
    DownstreamPeerCert = "downstream_peer_cert",
    /// The route's name.
    RouteName = "route_name",
    /// The time limit of a try, in milliseconds.
    ProxyTryTimeout = "proxy_try_timeout",
    /// The time limit of the exchange, in milliseconds.
    ProxyGlobalTimeout = "proxy_global_timeout",
    /// The status of a response that the proxy itself made.
    ProxyHijackStatus = "proxy_hijack_status",
    /// Whether the response came from the configuration.
    ProxyDirectResponse = "proxy_direct_response",
    /// Whether retries are off for this request.
    ProxyDisableRetry = "proxy_disable_retry",
    /// `http` or `https`.
    Scheme = "x-mosn-scheme",
    /// The Host of the request, as it came.
    Host = "x-mosn-host",
    /// The path, without the query, as it goes out.
    Path = "x-mosn-path",
    /// The path before it was rewritten.
    PathOriginal = "x-mosn-path-original",
    /// The query, without `?`.
    QueryString = "x-mosn-querystring",
    /// The request's method.
    Method = "x-mosn-method",
    /// How a gRPC call ended: a number from 0 to 16. None where nothing said so.
    GrpcStatus = "grpc_status",
    /// What a gRPC call that failed says about it, percent-encoded as it was sent.
    GrpcMessage = "grpc_message",
    /// The status of the upstream's response.
    Status = "x-mosn-status",
    /// The Host of the request, as it goes out.
    Authority = "authority",
    /// The scheme of the request.
    RequestScheme = "request_scheme",
    /// The method of the request.
    RequestMethod = "request_method",
    /// Bytes of the request: head and body.
    RequestLength = "request_length",
    /// The path and query of the request.
    RequestUri = "request_uri",
    /// The path of the request.
    RequestPath = "request_path",
    /// The path as the client wrote it.
    RequestPathOriginal = "request_path_original",
    /// The whole query.
    RequestArgs = "request_arg",
    /// The number of the request.
    StreamId = "stream_id",
    /// The number of the client's connection.
    ConnectionId = "connection_id",
    /// The port of the listener.
    ListenerPort = "listener_port",
    /// The name of the listener.
    ListenerName = "listener_name",
    /// `ingress` or `egress`.
    ListenerType = "listener_type",
    /// The identity of the trace.
    TraceId = "trace_id",
    /// The number of the connection to the upstream.
    UpstreamConnectionId = "upstream_connection_id",
    /// The address the client had meant to reach.
    OriRemoteAddr = "ori_remote_addr",
    /// The protocol the client speaks.
    DownstreamProtocol = "downstream_protocol",
    /// The protocol the upstream speaks.
    UpstreamProtocol = "upstream_protocol",
    /// How many tries came before this one.
    UpstreamIndex = "upstream_index",
    /// How long it took to resolve a name while the connection to the upstream was made, a Go duration. A cluster
    /// resolves the names of its hosts ahead; then there is none.
    UpstreamDnsTime = "upstream_dns_time",
    /// How long it took to connect; none where an open connection was used. This and what follows is about the last
    /// try.
    UpstreamConnectTime = "upstream_connect_time",
    /// How long TLS and other handshakes with the upstream took; none where an open connection was used.
    UpstreamTlsTime = "upstream_tls_time",
    /// How long the request waited for a connection because the cluster's `max_connections` was reached.
    UpstreamPoolWait = "upstream_pool_wait",
    /// From the end of the request to the first byte of the response.
    UpstreamFirstByteTime = "upstream_first_byte_time",
    /// From the start to the last byte of the upstream's response, over all tries.
    UpstreamTotalTime = "upstream_total_time",
    /// `true` where the request went on an open connection, `false` where one was made for it.
    UpstreamReused = "upstream_reused",
    /// How many times an endpoint was chosen.
    UpstreamTries = "upstream_tries",
    /// The addresses of the endpoints that were tried, in order and with commas: the first seven and the last.
    UpstreamAddrs = "upstream_addrs",
    /// Where the response came from: `via_upstream`, `direct_response`, or a word that says what failed.
    ResponseCodeDetails = "response_code_details",
}

const REQUEST_HEADER: &str = "request_header_";
const RESPONSE_HEADER: &str = "response_header_";
const REQUEST_ARG: &str = "request_arg_";
const COOKIE: &str = "cookie_";
const HTTP1: &str = "Http1_";
const HTTP2: &str = "Http2_";

/// Names that MOSN knows and that have no value here: of protocols and features that are not
/// there yet, or objects inside of MOSN's own process.
const INACTIVE: &[&str] = &[
    "protocol_config",
    "proxy_gzip_switch",
    "x-mosn-direction",
    "x-mosn-rpc-service",
    "x-mosn-rpc-method",
    "x-mosn-req-raw-data",
    "x-mosn-resp-raw-data",
    "x-mosn-router-meta",
    "listener_match_fallback_ip",
    "request_use_stream",
    "response_use_stream",
    "Http2_request_use_stream",
    "Http2_response_use_stream",
    "connection",
    "connection_pool_index",
    "stream_response_bytes",
];

impl Variable {
    /// The variable of a name, which is compared with regard to case, as in MOSN.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some((_, variable)) = PLAIN.iter().find(|(known, _)| *known == name) {
            return Some(variable.clone());
        }
        if let Some(known) = INACTIVE.iter().find(|known| **known == name) {
            return Some(Self::Inactive(known));
        }
        if let Some(inner) = name.strip_prefix(HTTP1) {
            return Self::parse_of_protocol(inner).map(|inner| Self::Http1(Box::new(inner)));
        }
        if let Some(inner) = name.strip_prefix(HTTP2) {
            return Self::parse_of_protocol(inner).map(|inner| Self::Http2(Box::new(inner)));
        }
        Self::parse_prefixed(name)
    }

    /// What may stand behind `Http1_`.
    fn parse_of_protocol(name: &str) -> Option<Self> {
        match name {
            "request_scheme" => Some(Self::RequestScheme),
            "request_method" => Some(Self::RequestMethod),
            "request_length" => Some(Self::RequestLength),
            "request_uri" => Some(Self::RequestUri),
            "request_path" => Some(Self::RequestPath),
            "request_path_original" => Some(Self::RequestPathOriginal),
            "request_arg" => Some(Self::RequestArgs),
            _ if name.starts_with(RESPONSE_HEADER) => None,
            _ => Self::parse_prefixed(name),
        }
    }

    fn parse_prefixed(name: &str) -> Option<Self> {
        let suffix = |prefix| name.strip_prefix(prefix).filter(|suffix| !suffix.is_empty());
        if let Some(header) = suffix(REQUEST_HEADER) {
            Some(Self::RequestHeader(header.to_ascii_lowercase().into()))
        } else if let Some(header) = suffix(RESPONSE_HEADER) {
            Some(Self::ResponseHeader(header.to_ascii_lowercase().into()))
        } else if let Some(arg) = suffix(REQUEST_ARG) {
            Some(Self::RequestArg(arg.into()))
        } else {
            suffix(COOKIE).map(|cookie| Self::Cookie(cookie.into()))
        }
    }
}

/// Every name there is, for suggestions; one that ends in `_` wants a name behind it.
///
/// Names without a value here are left out: nobody wants them suggested.
pub fn variable_names() -> &'static [&'static str] {
    NAMES
}
