//! What quinn and TLS are told.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, ServerConfig, TransportConfig,
    VarInt,
};
use rosn_config::checked::{
    QuicSettings, StreamSettings, TlsSettings, TlsVersion, TransportSettings,
};
use rosn_tls::{
    Acceptor, ClientOptions, Connector, ServerOptions, Tickets, Version, Versions, self_signed,
};

use super::alpn::Answers;
use super::envelope::Envelope;
use super::socket::LARGEST;
use super::{ALPN_DIALED, ALPN_TAKEN, NAME, STREAMS};
use crate::layers::tls;
use crate::{Environment, TransportError};

/// The name in the certificate that a listener without `tlsSettings` makes for itself, and that a dialer without them
/// asks for; v2ray 4's.
pub(super) const INTERNAL_NAME: &str = "quic.internal.v2ray.com";

/// How long a connection may be silent (v2ray's).
const LISTENER_IDLE: Duration = Duration::from_secs(45);
const DIALER_IDLE: Duration = Duration::from_secs(30);
/// How often a dialer speaks where nothing is to be said (v2ray's since 5.0.8).
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What a peer may send before it is read: 40 MiB/s at a round trip of 100 ms.
const STREAM_WINDOW: u32 = 4 << 20;
/// The same, of all streams of a connection.
const CONNECTION_WINDOW: u32 = 16 << 20;
/// What is kept until the peer has it, of all streams of a connection.
const SEND_WINDOW: u64 = 8 << 20;

/// The largest datagram that is tried, in bytes: with UDP's header and IPv6's it fills an Ethernet frame. The search
/// (RFC 8899) begins at 1200 bytes, which every path of QUIC carries, and the overhead.
const LARGEST_SENT: u16 = 1452;

/// What clients that have not proved their address may have sent before they are looked at, in bytes.
const UNSEEN_EACH: u64 = 64 << 10;
const UNSEEN_TOTAL: u64 = 8 << 20;

/// `quicSettings`.
pub(super) fn settings_of(settings: &StreamSettings) -> Result<&QuicSettings, TransportError> {
    match &settings.transport {
        TransportSettings::Quic(quic) => Ok(quic),
        other => Err(unusable(format!("the settings are those of `{}`", other.scheme()))),
    }
}

pub(super) fn endpoint() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.max_udp_payload_size(LARGEST).expect("it is between 1200 and 65527");
    config
}

/// # Errors
/// The TLS settings cannot be used.
pub(super) fn server(
    settings: Option<&TlsSettings>,
    envelope: &Envelope,
    environment: &Environment,
) -> Result<(ServerConfig, Acceptor), TransportError> {
    let options = match settings {
        Some(settings) => {
            check_versions(settings)?;
            tls::server_options(settings, ALPN_TAKEN)
        }
        None => ServerOptions {
            certificates: vec![self_signed(&[INTERNAL_NAME]).map_err(tls_unusable)?],
            alpn: ALPN_TAKEN.iter().map(|&name| name.to_owned()).collect(),
            ..ServerOptions::default()
        },
    };
    let named = ServerOptions { versions: TLS_1_3, ..options };
    let mut contexts = vec![named.clone()];
    if settings.is_none_or(|settings| settings.alpn.is_empty()) {
        contexts.push(ServerOptions { alpn: Vec::new(), ..named });
    }
    let takes_unnamed = contexts.len() > 1;
    let acceptor = match settings {
        Some(_) => environment.tls.acceptor(&environment.owner, contexts),
        // Of no file, and nobody's.
        None => Acceptor::with_contexts(contexts, &Tickets::new()),
    };
    let acceptor = acceptor.map_err(tls_unusable)?;
    let answers = Answers::new(acceptor.clone(), takes_unnamed).map_err(tls_unusable)?;
    let mut config = ServerConfig::with_crypto(Arc::new(answers));
    let mut transport = transport(envelope, LISTENER_IDLE);
    transport.max_concurrent_bidi_streams(VarInt::from_u32(STREAMS));
    config
        .transport_config(Arc::new(transport))
        .max_incoming(environment.limits.handshakes.max(1))
        .incoming_buffer_size(UNSEEN_EACH)
        .incoming_buffer_size_total(UNSEEN_TOTAL);
    Ok((config, acceptor))
}

/// What handshakes are begun with.
pub(super) struct Client {
    connector: Connector,
    transport: Arc<TransportConfig>,
}

impl Client {
    /// For a handshake that begins now: its certificates are those of the moment.
    pub(super) fn config(&self) -> io::Result<ClientConfig> {
        let crypto = QuicClientConfig::try_from(self.connector.quic_config());
        let mut config = ClientConfig::new(Arc::new(crypto.map_err(io::Error::other)?));
        config.transport_config(self.transport.clone());
        Ok(config)
    }
}

/// # Errors
/// The TLS settings cannot be used.
pub(super) fn client(
    settings: Option<&TlsSettings>,
    envelope: &Envelope,
    environment: &Environment,
) -> Result<Client, TransportError> {
    let options = match settings {
        Some(settings) => {
            check_versions(settings)?;
            tls::client_options(settings, ALPN_DIALED)
        }
        // There is nothing to verify: every listener without settings makes a certificate of its own.
        None => ClientOptions {
            system_roots: false,
            allow_insecure: true,
            alpn: ALPN_DIALED.iter().map(|&name| name.to_owned()).collect(),
            ..ClientOptions::default()
        },
    };
    let options = ClientOptions { versions: TLS_1_3, ..options };
    let connector = match settings {
        Some(_) => environment.tls.connector(&environment.owner, &options, &environment.roots),
        None => Connector::with_roots(&options, &environment.roots),
    };
    let mut transport = transport(envelope, DIALER_IDLE);
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .keep_alive_interval(Some(KEEP_ALIVE));
    let client =
        Client { connector: connector.map_err(tls_unusable)?, transport: Arc::new(transport) };
    client.config().map_err(tls_unusable)?;
    Ok(client)
}

fn transport(envelope: &Envelope, idle: Duration) -> TransportConfig {
    let overhead = u16::try_from(envelope.overhead()).expect("it is 41 bytes at most");
    let mut search = MtuDiscoveryConfig::default();
    search.upper_bound(LARGEST_SENT - overhead);
    let mut config = TransportConfig::default();
    config
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(SEND_WINDOW)
        .mtu_discovery_config(Some(search))
        .max_idle_timeout(Some(IdleTimeout::try_from(idle).expect("it is below 2^62 ms")));
    config
}

/// QUIC has no other (RFC 9001 4.2).
const TLS_1_3: Versions = Versions { min: Version::Tls13, max: Version::Tls13 };

fn check_versions(settings: &TlsSettings) -> Result<(), TransportError> {
    if settings.versions.max < TlsVersion::Tls13 {
        return Err(unusable("QUIC needs TLS 1.3: set `maxVersion` to 1.3".to_owned()));
    }
    Ok(())
}

fn tls_unusable(error: impl std::fmt::Display) -> TransportError {
    unusable(format!("TLS: {error}"))
}

pub(super) fn unusable(what: String) -> TransportError {
    TransportError::Settings { transport: NAME, what }
}
