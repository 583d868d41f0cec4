//! The client's side: begins handshakes.

use std::io;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::{ClientConfig, ResolvesClientCert, Resumption};
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::explain::explain;
use crate::provider::{alpn, other, provider, versions};
use crate::verify::ServerVerifier;
use crate::{ClientOptions, SystemRoots, TlsError, TlsStream, pem};

/// Begins handshakes. Cloning it is cheap, and clones share the sessions that they remember.
#[derive(Clone)]
pub struct Connector {
    config: Arc<ClientConfig>,
}

impl Connector {
    /// Reads the files and the system's authorities.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn new(options: &ClientOptions) -> Result<Self, TlsError> {
        Self::with_roots(options, &SystemRoots::default())
    }

    /// The same with authorities of the system that may have been read already.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn with_roots(options: &ClientOptions, system: &SystemRoots) -> Result<Self, TlsError> {
        let provider = provider();
        let verifier = ServerVerifier::new(options, system, provider.clone())?;
        let shown = options.certificates.iter().map(|pair| pem::certified(pair, &provider));
        let shown: Vec<_> = shown.map(|pair| pair.map(Arc::new)).collect::<Result<_, _>>()?;

        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions(options.versions)?)
            .map_err(other)?
            // "Dangerous" is what rustls calls every verifier that is not its own; this one wraps it.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = builder.with_client_cert_resolver(Arc::new(ClientCertificates(shown)));
        config.alpn_protocols = alpn(&options.alpn)?;
        if !options.session_resumption {
            config.resumption = Resumption::disabled();
        }
        Ok(Self { config: Arc::new(config) })
    }

    /// Does the handshake with a server that is to prove to be `name`: a host name, which it is also asked for (SNI),
    /// or an IP address, which must be in its certificate. There is no timeout: drop the future to give up.
    ///
    /// Cancel safety: dropping the future drops the connection.
    ///
    /// # Errors
    /// Says in words what was wrong with the server or what it did not like. `InvalidInput` for what is no name.
    pub async fn connect<S>(&self, name: &str, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let server = server_name(name)?;
        let connected = TlsConnector::from(self.config.clone()).connect(server, stream).await;
        connected.map(TlsStream::client).map_err(|error| explain(error, Some(name)))
    }

    /// The configuration for QUIC, which has its own way to do handshakes (RFC 9001): it needs TLS 1.3.
    pub fn quic_config(&self) -> Arc<ClientConfig> {
        self.config.clone()
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector(..)")
    }
}

/// The name in rustls's type. A dot at the end, which makes a DNS name absolute, is not part of what certificates say.
fn server_name(name: &str) -> io::Result<ServerName<'static>> {
    let bare = name.strip_suffix('.').unwrap_or(name);
    ServerName::try_from(bare.to_owned()).map_err(|_| {
        let text = format!("`{name}` is neither a host name nor an IP address: set serverName");
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })
}

/// What is shown to a server that asks.
#[derive(Debug)]
struct ClientCertificates(Vec<Arc<CertifiedKey>>);

impl ResolvesClientCert for ClientCertificates {
    fn resolve(
        &self,
        _authorities: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.0.iter().find(|key| key.key.choose_scheme(schemes).is_some()).cloned()
    }

    fn has_certs(&self) -> bool {
        !self.0.is_empty()
    }
}
