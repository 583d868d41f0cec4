//! The client's side: begins handshakes.

use std::io;
use std::path::PathBuf;
use std::slice;
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::client::{ClientConfig, ClientConnection, ResolvesClientCert, Resumption};
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::explain::explain;
use crate::facts::{Role, check_dates};
use crate::names::narrow;
use crate::options::files;
use crate::provider::{HELD, alpn, other, provider, versions};
use crate::verify::ServerVerifier;
use crate::{ClientOptions, SystemRoots, TlsError, TlsStream, UsedCertificate, pem};

/// Begins handshakes. Cloning it is cheap; clones share their files, also those of a later [`Connector::reload`], and the
/// sessions that they remember.
#[derive(Clone)]
pub struct Connector {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    options: ClientOptions,
    system: SystemRoots,
    current: ArcSwap<Current>,
}

struct Current {
    config: Arc<ClientConfig>,
    used: Vec<UsedCertificate>,
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
        let (options, system) = (options.clone(), system.clone());
        let current = ArcSwap::from_pointee(Current::read(&options, &system)?);
        Ok(Self { shared: Arc::new(Shared { options, system, current }) })
    }

    /// Reads the files again, for all handshakes that begin from now on, which begin without earlier sessions;
    /// connections go on as they are. Blocks while it reads.
    ///
    /// # Errors
    /// As [`Connector::new`]; then nothing is changed.
    pub fn reload(&self) -> Result<(), TlsError> {
        let current = Current::read(&self.shared.options, &self.shared.system)?;
        self.shared.current.store(Arc::new(current));
        Ok(())
    }

    /// The files that it was made of, each once: when one of them changes, it is time for [`Connector::reload`].
    pub fn files(&self) -> Vec<PathBuf> {
        files(self.shared.options.parts())
    }

    /// The certificates that are in use, those of the last reload; without the system's.
    pub fn certificates(&self) -> Vec<UsedCertificate> {
        self.shared.current.load().used.clone()
    }

    /// As [`Acceptor::check_dates`](crate::Acceptor::check_dates).
    ///
    /// # Errors
    /// [`TlsError::Expired`] or [`TlsError::NotYetValid`], of the first that is not valid.
    pub fn check_dates(&self, now: SystemTime) -> Result<(), TlsError> {
        check_dates(&self.shared.current.load().used, now)
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
        let config = self.shared.current.load().config.clone();
        let limit = |session: &mut ClientConnection| session.set_buffer_limit(Some(HELD));
        let connected = TlsConnector::from(config).connect_with(server, stream, limit).await;
        let verified = !self.shared.options.allow_insecure;
        connected
            .map(|io| TlsStream::client(io, verified))
            .map_err(|error| explain(error, Some(name)))
    }

    /// The configuration for QUIC, which has its own way to do handshakes (RFC 9001): it needs TLS 1.3. It is what it is
    /// now: ask for each handshake.
    pub fn quic_config(&self) -> Arc<ClientConfig> {
        self.shared.current.load().config.clone()
    }

    pub(crate) fn downgrade(&self) -> Weak<Shared> {
        Arc::downgrade(&self.shared)
    }

    pub(crate) fn upgrade(shared: &Weak<Shared>) -> Option<Self> {
        shared.upgrade().map(|shared| Self { shared })
    }
}

impl Current {
    fn read(options: &ClientOptions, system: &SystemRoots) -> Result<Self, TlsError> {
        let mut crypto = (*provider()).clone();
        narrow(&mut crypto, &options.cipher_suites, &options.key_exchanges);
        let crypto = Arc::new(crypto);
        let mut used = Vec::new();
        // Read in any case: a file that is not there is a mistake that should show.
        let roots = pem::all_certificates(&options.roots)?;
        for (file, root) in &roots {
            used.extend(pem::facts(file, slice::from_ref(root), Role::Root)?);
        }
        let verifier = ServerVerifier::new(options, &roots, system, crypto.clone())?;
        let mut shown = Vec::new();
        for pair in &options.certificates {
            let key = pem::certified(pair, &crypto)?;
            used.extend(pem::facts(&pair.certificate, &key.cert, Role::Own)?);
            shown.push(Arc::new(key));
        }

        let builder = ClientConfig::builder_with_provider(crypto)
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
        Ok(Self { config: Arc::new(config), used })
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
