//! `stream_settings`: how the bytes of a connection travel. v2ray's `streamSettings`, resolved.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{CidrRange, Protocol, Secret};

/// `stream_settings` (or `streamSettings`) of a listener or a cluster. The default is plain TCP.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StreamSettings {
    /// `network` and the settings of its own.
    pub transport: TransportSettings,
    /// `tlsSettings`, where `security` is `tls`.
    pub tls: Option<TlsSettings>,
    /// `sockopt`.
    pub socket: SocketSettings,
    /// `acceptProxyProtocol` of the transport or of `sockopt`, and `proxyProtocol` (a key of rosn's).
    pub proxy_protocol: ProxyProtocol,
}

impl StreamSettings {
    /// Whether a plain socket does it: TCP without anything above or before it. Its options may be set all the same.
    pub fn is_plain(&self) -> bool {
        matches!(&self.transport, TransportSettings::Tcp(tcp) if tcp.header.is_none())
            && self.tls.is_none()
            && !self.proxy_protocol.accept
            && self.proxy_protocol.send.is_none()
    }

    /// Has TLS agree (ALPN) on one of these protocols, the only ones that are understood, and not on whatever v2ray's
    /// default is. Settings that say what to agree on stay as they are, and so do those of transports that are more than
    /// bytes in TLS: they agree on what they are themselves. Says whether something has changed.
    pub fn agree_on(&mut self, protocols: &[Protocol]) -> bool {
        use TransportSettings::{DomainSocket, Mkcp, Tcp};
        let is_bytes = matches!(self.transport, Tcp(_) | DomainSocket(_) | Mkcp(_));
        match &mut self.tls {
            Some(tls) if is_bytes && tls.alpn.is_empty() => {
                tls.alpn = Protocol::alpn(protocols).into_iter().map(str::to_owned).collect();
                !tls.alpn.is_empty()
            }
            _ => false,
        }
    }
}

/// `network` and the settings of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum TransportSettings {
    /// `tcp`.
    Tcp(TcpSettings),
    /// `ws`.
    WebSocket(WebSocketSettings),
    /// `http`: a stream of an HTTP/2 connection.
    Http(HttpSettings),
    /// `quic`.
    Quic(QuicSettings),
    /// `domainsocket`.
    DomainSocket(DomainSocketSettings),
    /// `mkcp`.
    Mkcp(MkcpSettings),
    /// A transport that a program has registered itself; never from a file.
    Custom {
        /// The name that it is registered by.
        scheme: Box<str>,
        /// What it makes of them is its own affair.
        settings: Vec<(String, String)>,
    },
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self::Tcp(TcpSettings::default())
    }
}

impl TransportSettings {
    /// The name by which the transport is registered: v2ray's.
    pub fn scheme(&self) -> &str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::WebSocket(_) => "ws",
            Self::Http(_) => "http",
            Self::Quic(_) => "quic",
            Self::DomainSocket(_) => "domainsocket",
            Self::Mkcp(_) => "mkcp",
            Self::Custom { scheme, .. } => scheme,
        }
    }

    /// Whether it runs over UDP.
    pub fn is_datagram(&self) -> bool {
        matches!(self, Self::Quic(_) | Self::Mkcp(_))
    }
}

/// `tcpSettings`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TcpSettings {
    /// `header` with `type: http`: a preamble that looks like HTTP/1.1.
    pub header: Option<HttpHeader>,
}

/// `header` with `type: http`.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpHeader {
    /// What the dialer says, and the paths that the listener takes.
    pub request: HttpHeaderRequest,
    /// What the listener says.
    pub response: HttpHeaderResponse,
}

/// `header.request`.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpHeaderRequest {
    /// `version` (1.1).
    pub version: String,
    /// `method` (GET).
    pub method: String,
    /// `path` (/); never empty. One is drawn for each connection.
    pub paths: Vec<String>,
    /// `headers` in the order they are sent: sorted by name, or v2ray's defaults. One value is drawn for each
    /// connection; no list of values is empty.
    pub headers: Vec<(String, Vec<String>)>,
}

/// `header.response`.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpHeaderResponse {
    /// `version` (1.1).
    pub version: String,
    /// `status` (200).
    pub status: String,
    /// `reason` (OK).
    pub reason: String,
    /// `headers`, as in the request. Without a `Date` the present one is added.
    pub headers: Vec<(String, Vec<String>)>,
}

/// `wsSettings`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebSocketSettings {
    /// `path`: begins with `/`.
    pub path: String,
    /// `headers`: sent by the dialer; `Host` among them.
    pub headers: Vec<(String, String)>,
    /// `maxEarlyData`: bytes of the first write that go with the handshake; 0 = none.
    pub max_early_data: usize,
    /// `earlyDataHeaderName`: the header that carries them; empty = the path.
    pub early_data_header: String,
    /// `heartbeatPeriod` (Xray's key; seconds in the file): how often a ping is sent; `None` = never.
    pub ping_interval: Option<Duration>,
}

/// `httpSettings`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// `host` (www.example.com): one is drawn for each stream; the listener takes only these. Never empty.
    pub hosts: Vec<String>,
    /// `path` (/): the listener takes every path that begins so.
    pub path: String,
    /// `method` (PUT).
    pub method: String,
    /// `headers`: sent by the dialer in the request, by the listener in the response.
    pub headers: Vec<(String, Vec<String>)>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            hosts: vec!["www.example.com".to_owned()],
            path: "/".to_owned(),
            method: "PUT".to_owned(),
            headers: Vec::new(),
        }
    }
}

/// `quicSettings`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuicSettings {
    /// `security`: what each datagram is sealed with. [`DatagramSecurity::Auto`] where there are no
    /// `quicSettings` at all.
    pub security: DatagramSecurity,
    /// `key`.
    pub key: Secret,
    /// `header.type`.
    pub header: PacketHeader,
}

impl Default for QuicSettings {
    /// Of a configuration without `quicSettings`.
    fn default() -> Self {
        Self {
            security: DatagramSecurity::Auto,
            key: Secret::default(),
            header: PacketHeader::None,
        }
    }
}

/// What each datagram of a QUIC connection is sealed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DatagramSecurity {
    /// Nothing.
    #[default]
    None,
    /// `aes-128-gcm`.
    Aes128Gcm,
    /// `chacha20-poly1305`.
    ChaCha20Poly1305,
    /// AES-128-GCM where the processor has instructions for it, else ChaCha20-Poly1305 (v2ray's rule).
    Auto,
}

/// `header.type` of `kcpSettings` and `quicSettings`: bytes before each datagram that make it look like something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub enum PacketHeader {
    #[default]
    None,
    Srtp,
    Utp,
    WechatVideo,
    Dtls,
    Wireguard,
}

/// `dsSettings`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DomainSocketSettings {
    /// `path`: of the socket file, or the abstract name without its leading NUL (or `@`).
    pub path: PathBuf,
    /// `abstract`: a name of Linux's abstract namespace.
    pub is_abstract: bool,
    /// `padding`: the abstract name is filled with NULs to the full 108 bytes.
    pub padding: bool,
    /// `mode` (a key of rosn's; octal text in the file): permissions of the file; `None` = by the umask.
    pub mode: Option<u32>,
}

/// `kcpSettings`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MkcpSettings {
    /// `mtu` (1350): 576 to 1460 bytes.
    pub mtu: u32,
    /// `tti` (50 ms): 10 to 100 ms.
    pub tti: Duration,
    /// `uplinkCapacity` (5): MB/s.
    pub uplink: u32,
    /// `downlinkCapacity` (20): MB/s.
    pub downlink: u32,
    /// `congestion`.
    pub congestion: bool,
    /// `readBufferSize` (2 MiB), in bytes.
    pub read_buffer: usize,
    /// `writeBufferSize` (2 MiB), in bytes.
    pub write_buffer: usize,
    /// `header.type`.
    pub header: PacketHeader,
    /// `seed`: datagrams are sealed with AES-128-GCM; an empty one counts. `None` = only scrambled.
    pub seed: Option<Secret>,
}

impl Default for MkcpSettings {
    fn default() -> Self {
        Self {
            mtu: 1350,
            tti: Duration::from_millis(50),
            uplink: 5,
            downlink: 20,
            congestion: false,
            read_buffer: 2 << 20,
            write_buffer: 2 << 20,
            header: PacketHeader::None,
            seed: None,
        }
    }
}

/// `tlsSettings`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsSettings {
    /// `serverName`: asked for and verified by the dialer; empty = the host that is dialed.
    pub server_name: String,
    /// `alpn`; empty = the transport's own.
    pub alpn: Vec<String>,
    /// `allowInsecure`: the dialer takes any certificate.
    pub allow_insecure: bool,
    /// `disableSystemRoot`: the dialer trusts only what `certificates` says.
    pub disable_system_root: bool,
    /// `enableSessionResumption`.
    pub session_resumption: bool,
    /// `pinnedPeerCertificateChainSha256`: the chain must have one of these hashes; empty = any.
    pub pinned: Vec<[u8; 32]>,
    /// `verifyClientCertificate`: the listener takes only clients with a certificate that it trusts.
    pub verify_client: bool,
    /// `minVersion`, `maxVersion`.
    pub versions: TlsVersions,
    /// `certificates`.
    pub certificates: Vec<Certificate>,
}

/// The oldest and the newest version of TLS that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsVersions {
    /// `minVersion` (TLS 1.2).
    pub min: TlsVersion,
    /// `maxVersion` (TLS 1.3).
    pub max: TlsVersion,
}

impl Default for TlsVersions {
    fn default() -> Self {
        Self { min: TlsVersion::Tls12, max: TlsVersion::Tls13 }
    }
}

/// A version of TLS that is still safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

/// One of `certificates`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// `usage`.
    pub usage: CertificateUsage,
    /// `certificateFile` or `certificate`: PEM, the leaf first.
    pub certificate: Pem,
    /// `keyFile` or `key`: PEM. Always there for [`CertificateUsage::Encipherment`] and
    /// [`CertificateUsage::Issue`].
    pub key: Option<Pem>,
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CertificateUsage {
    /// `encipherment`: the listener shows it; a dialer shows it where the listener asks for one.
    #[default]
    Encipherment,
    /// `verify`: trusted when the other side's certificate is verified.
    Verify,
    /// `verifyclient`: trusted when a client's certificate is verified.
    VerifyClient,
    /// `issue`: a CA that the listener issues certificates from, for whatever name is asked for.
    Issue,
}

/// PEM text, or the file that holds it.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// Read when the listener or cluster is set up.
    File(PathBuf),
    /// In the configuration itself.
    Inline(String),
}

impl std::fmt::Debug for Pem {
    /// Never shows inline text: it may be a key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Inline(_) => f.write_str("Inline(..)"),
        }
    }
}

/// `sockopt`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SocketSettings {
    /// `mark`: SO_MARK; 0 = none.
    pub mark: u32,
    /// `tcpFastOpen`; `None` = as the system has it.
    pub fast_open: Option<bool>,
    /// `tcpFastOpenQueueLength` (4096): for listeners.
    pub fast_open_queue: u32,
    /// `tproxy`.
    pub tproxy: Tproxy,
    /// `tcpKeepAliveIdle`: seconds in the file; `None` = 15 s.
    pub keep_alive_idle: Option<Duration>,
    /// `tcpKeepAliveInterval`: seconds in the file; `None` = 15 s.
    pub keep_alive_interval: Option<Duration>,
    /// `bindToDevice`; empty = none.
    pub device: String,
    /// `rxBufSize` in bytes; 0 = the system's.
    pub receive_buffer: u32,
    /// `txBufSize` in bytes; 0 = the system's.
    pub send_buffer: u32,
    /// `forceBufSize`: beyond the system's limit; needs CAP_NET_ADMIN.
    pub force_buffers: bool,
    /// `mptcp`.
    pub mptcp: bool,
    /// `bindAddress` (a key of rosn's): the address to dial from.
    pub bind: Option<IpAddr>,
}

/// `sockopt.tproxy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tproxy {
    /// `off`.
    #[default]
    Off,
    /// `tproxy`: IP_TRANSPARENT.
    Tproxy,
    /// `redirect`: the original destination of a redirected connection is looked up.
    Redirect,
}

/// PROXY protocol before anything else on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProxyProtocol {
    /// `accept`, or `acceptProxyProtocol`: the listener demands a header, version 1 or 2.
    pub accept: bool,
    /// `trusted`: only from these addresses; a connection from elsewhere is taken as it is, without a header. Empty =
    /// every address is trusted.
    pub trusted: Vec<CidrRange>,
    /// `send`: the dialer says who the client is.
    pub send: Option<ProxyProtocolVersion>,
    /// `tlvs`: sent with version 2; type (0xE0 to 0xEF for uses of one's own) and value.
    pub tlvs: Vec<(u8, Vec<u8>)>,
}

/// The version of a PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocolVersion {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

/// `sockets` (a key of rosn's): hooks around the socket calls of the process.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SocketHooks {
    /// `listen_limit`: listening sockets at a time; `None` = no limit.
    pub listen_limit: Option<u32>,
    /// `accept_limit.total`: accepted connections at a time; `None` = no limit.
    pub accept_total: Option<u32>,
    /// `accept_limit.per_listener`.
    pub accept_per_listener: Option<u32>,
    /// `accept_limit.per_client`: of one IP address.
    pub accept_per_client: Option<u32>,
    /// `dial_log`: each dial is logged, before and after.
    pub dial_log: bool,
    /// `mark`: SO_MARK of every socket that dials; 0 = none.
    pub mark: u32,
    /// `bind_address`: every socket dials from it.
    pub bind: Option<IpAddr>,
    /// `bind_device`: every socket dials through it; empty = none.
    pub device: String,
    /// `tproxy`: every listening socket gets IP_TRANSPARENT.
    pub tproxy: bool,
    /// `faults`.
    pub faults: Vec<ConnectFault>,
}

/// One of `sockets.faults`: what goes wrong with a share of the connects to a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectFault {
    /// `cluster`: its name; empty = every cluster.
    pub cluster: String,
    /// `percent` of the connects, 0 to 100.
    pub percent: f64,
    /// `error` or `delay`.
    pub effect: FaultEffect,
}

impl ConnectFault {
    /// As a configuration has it.
    pub fn to_json(&self) -> serde_json::Value {
        let (key, value) = match self.effect {
            FaultEffect::Delay(time) => ("delay", format!("{time:?}")),
            FaultEffect::Fail(kind) => {
                let word = match kind {
                    std::io::ErrorKind::ConnectionReset => "reset",
                    std::io::ErrorKind::TimedOut => "timeout",
                    std::io::ErrorKind::HostUnreachable => "unreachable",
                    _ => "refused",
                };
                ("error", word.to_owned())
            }
        };
        serde_json::json!({ "cluster": self.cluster, "percent": self.percent, key: value })
    }
}

/// What a [`ConnectFault`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultEffect {
    /// `error: refused | reset | timeout | unreachable`.
    Fail(std::io::ErrorKind),
    /// `delay`.
    Delay(Duration),
}
