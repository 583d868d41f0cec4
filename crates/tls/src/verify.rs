//! Whom to believe.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};

use crate::explain::PinMismatch;
use crate::provider::other;
use crate::{ClientOptions, Pem, SystemRoots, TlsError, pem};

/// The hash by which v2ray pins a chain: h = SHA256(first); then for each further certificate h = SHA256(h ‖
/// SHA256(certificate)). The certificates are in DER.
pub fn chain_hash<'a>(chain: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let hashes = chain.into_iter().map(sha256);
    hashes.reduce(|all, next| sha256(&[all, next].concat())).unwrap_or_else(|| sha256(b""))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// Certificates that are trusted because somebody said so.
#[derive(Debug)]
struct Roots {
    /// As authorities.
    store: RootCertStore,
    /// As what they are: a server may show one of them itself. webpki knows no such thing where the certificate says
    /// that it is an authority's, as those of `openssl req -x509` do.
    exact: Vec<CertificateDer<'static>>,
}

impl Roots {
    fn read(files: &[Pem]) -> Result<Self, TlsError> {
        let mut roots = Self { store: RootCertStore::empty(), exact: Vec::new() };
        for file in files {
            for certificate in pem::certificates(file)? {
                roots.store.add(certificate.clone()).map_err(|error| TlsError::Damaged {
                    file: file.clone(),
                    what: error.to_string(),
                })?;
                roots.exact.push(certificate);
            }
        }
        Ok(roots)
    }
}

/// Whether the verifier's refusal of a certificate that is trusted itself counts. It says first whether the time is
/// right; that nobody else vouches for the certificate, or that it is an authority's, does not matter then,
/// nor that an authority of the name that it gives has not signed it: there may be two of one name.
fn is_excused(
    refusal: &Error,
    exact: &[CertificateDer<'static>],
    shown: &CertificateDer<'_>,
) -> bool {
    use CertificateError::{BadSignature, Other, UnknownIssuer};
    matches!(refusal, Error::InvalidCertificate(UnknownIssuer | BadSignature | Other(_)))
        && exact.iter().any(|trusted| trusted.as_ref() == shown.as_ref())
}

/// What a dialer believes.
#[derive(Debug)]
pub(crate) struct ServerVerifier {
    /// `None` = any certificate.
    verifier: Option<Arc<WebPkiServerVerifier>>,
    exact: Vec<CertificateDer<'static>>,
    pinned: Vec<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerVerifier {
    pub(crate) fn new(
        options: &ClientOptions,
        system: &SystemRoots,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let pinned = options.pinned.clone();
        // Read in any case: a file that is not there is a mistake that should show.
        let Roots { store, exact } = Roots::read(&options.roots)?;
        if options.allow_insecure {
            return Ok(Self { verifier: None, exact: Vec::new(), pinned, provider });
        }
        let store = with_system(store, options.system_roots.then(|| system.store()));
        if store.is_empty() {
            let remedy = if options.system_roots {
                "install the system's (the package `ca-certificates`) or name one"
            } else {
                "name one, or do not leave out the system's"
            };
            return Err(TlsError::NoRoots("server", remedy));
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(store, provider.clone())
            .build()
            .map_err(other)?;
        Ok(Self { verifier: Some(verifier), exact, pinned, provider })
    }
}

/// Those that were named, and those of the system.
fn with_system(mut named: RootCertStore, system: Option<Arc<RootCertStore>>) -> Arc<RootCertStore> {
    match system {
        Some(system) if named.is_empty() => system,
        Some(system) => {
            named.extend(system.roots.iter().cloned());
            Arc::new(named)
        }
        None => Arc::new(named),
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(verifier) = &self.verifier {
            let verified = verifier.verify_server_cert(leaf, above, name, ocsp, now);
            match verified {
                Err(error) if is_excused(&error, &self.exact, leaf) => {
                    verify_server_name(&ParsedCertificate::try_from(leaf)?, name)?;
                }
                verified => {
                    verified?;
                }
            }
        }
        if !self.pinned.is_empty() {
            let chain = std::iter::once(leaf).chain(above);
            let shown = chain_hash(chain.map(AsRef::as_ref));
            if !self.pinned.contains(&shown) {
                let mismatch = OtherError(Arc::new(PinMismatch { shown }));
                return Err(Error::InvalidCertificate(CertificateError::Other(mismatch)));
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    // Also where any certificate will do: the server has to have its key.

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What a listener believes that asks clients for certificates.
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    verifier: Arc<dyn ClientCertVerifier>,
    exact: Vec<CertificateDer<'static>>,
}

impl ClientVerifier {
    pub(crate) fn new(roots: &[Pem], provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let Roots { store, exact } = Roots::read(roots)?;
        if store.is_empty() {
            let remedy = "name a certificate for verifying clients";
            return Err(TlsError::NoRoots("client", remedy));
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(store.into(), provider);
        Ok(Self { verifier: verifier.build().map_err(other)?, exact })
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.verifier.verify_client_cert(leaf, above, now) {
            Err(error) if is_excused(&error, &self.exact, leaf) => {
                ParsedCertificate::try_from(leaf)?;
                Ok(ClientCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
