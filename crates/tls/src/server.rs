//! The server's side: answers handshakes.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::pki_types::ServerName;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert, ServerConfig,
};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use crate::explain::explain;
use crate::issue::Authority;
use crate::provider::{alpn, other, provider, versions};
use crate::verify::ClientVerifier;
use crate::{ServerOptions, TlsError, TlsStream, pem};

/// Answers handshakes. Cloning it is cheap, and clones share their tickets and what they have issued.
#[derive(Clone)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
}

impl Acceptor {
    /// Reads the files, and checks all that can be checked before a client comes.
    ///
    /// # Errors
    /// See [`TlsError`]; [`TlsError::NothingToShow`] without certificates and issuers.
    pub fn new(options: &ServerOptions) -> Result<Self, TlsError> {
        let provider = provider();
        let shown = options.certificates.iter().map(|pair| pem::certified(pair, &provider));
        let shown: Vec<_> = shown.map(|pair| pair.map(Arc::new)).collect::<Result<_, _>>()?;
        let issuers = options.issuers.iter().map(|pair| Authority::new(pair, &provider));
        let resolver = Resolver { shown, issuers: issuers.collect::<Result<_, _>>()? };
        if resolver.shown.is_empty() && resolver.issuers.is_empty() {
            return Err(TlsError::NothingToShow);
        }

        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions(options.versions)?)
            .map_err(other)?;
        let builder = match &options.client_roots {
            None => builder.with_no_client_auth(),
            Some(roots) => {
                builder.with_client_cert_verifier(Arc::new(ClientVerifier::new(roots, provider)?))
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = alpn(&options.alpn)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if options.session_resumption {
            config.ticketer = Ticketer::new().map_err(other)?;
        } else {
            config.send_tls13_tickets = 0;
        }
        Ok(Self { config: Arc::new(config) })
    }

    /// Does the handshake of a client. There is no timeout: drop the future to give up.
    ///
    /// Cancel safety: dropping the future drops the connection.
    ///
    /// # Errors
    /// Says in words what was wrong with the client; it gets the alert that the RFCs name.
    pub async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let accepted = TlsAcceptor::from(self.config.clone()).accept(stream).await;
        accepted.map(TlsStream::server).map_err(|error| explain(error, None))
    }

    /// The configuration for QUIC, which has its own way to do handshakes (RFC 9001): it needs TLS 1.3.
    pub fn quic_config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor(..)")
    }
}

/// Chooses what is shown to a client.
#[derive(Debug)]
struct Resolver {
    shown: Vec<Arc<CertifiedKey>>,
    issuers: Vec<Authority>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // With a single certificate there is nothing to choose, and nothing to parse.
        if let ([only], []) = (&*self.shown, &*self.issuers) {
            return Some(only.clone());
        }
        let understood =
            |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        let fits =
            |key: &&Arc<CertifiedKey>| hello.server_name().is_none_or(|name| names(key, name));
        let found = self.shown.iter().find(|key| fits(key) && understood(key));
        if let Some(found) = found {
            return Some(found.clone());
        }
        let name = hello.server_name().unwrap_or_default().to_ascii_lowercase();
        let now = SystemTime::now();
        let issued = self.issuers.iter().find_map(|issuer| issuer.certificate(&name, now));
        issued
            .or_else(|| self.shown.iter().find(understood).cloned())
            .or_else(|| self.shown.first().cloned())
    }
}

/// Whether the certificate is for the name.
fn names(key: &CertifiedKey, name: &str) -> bool {
    let Ok(name) = ServerName::try_from(name) else { return false };
    let parsed = key.cert.first().map(ParsedCertificate::try_from);
    matches!(parsed, Some(Ok(parsed)) if verify_server_name(&parsed, &name).is_ok())
}
