//! What a dialer believes.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor, verify_server_name,
};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

use super::{Roots, chain_hash, check_names, is_excused};
use crate::explain::PinMismatch;
use crate::provider::other;
use crate::{ClientOptions, Pem, SystemRoots, TlsError};

/// What a dialer believes.
#[derive(Debug)]
pub(crate) struct ServerVerifier {
    /// `None` = any certificate.
    verifier: Option<Arc<WebPkiServerVerifier>>,
    exact: Vec<CertificateDer<'static>>,
    /// For where the name does not matter.
    store: Arc<RootCertStore>,
    names: Vec<String>,
    pinned: Vec<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerVerifier {
    pub(crate) fn new(
        options: &ClientOptions,
        named: &[(Pem, CertificateDer<'static>)],
        system: &SystemRoots,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let pinned = options.pinned.clone();
        let Roots { store, exact } = Roots::new(named)?;
        let names = options.subject_alt_names.clone();
        if options.allow_insecure {
            let (exact, store) = (Vec::new(), Arc::new(store));
            return Ok(Self { verifier: None, exact, store, names, pinned, provider });
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
        let verifier = WebPkiServerVerifier::builder_with_provider(store.clone(), provider.clone())
            .build()
            .map_err(other)?;
        Ok(Self { verifier: Some(verifier), exact, store, names, pinned, provider })
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

impl ServerVerifier {
    fn verify_chain(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let leaf = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&leaf, &self.store, above, now, algorithms)
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
            let by_name = self.names.is_empty();
            let verified = match by_name {
                true => verifier.verify_server_cert(leaf, above, name, ocsp, now).map(drop),
                false => self.verify_chain(leaf, above, now),
            };
            match verified {
                Err(error) if is_excused(&error, &self.exact, leaf) => {
                    let leaf = ParsedCertificate::try_from(leaf)?;
                    if by_name {
                        verify_server_name(&leaf, name)?;
                    }
                }
                verified => verified?,
            }
        }
        check_names(leaf, &self.names)?;
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
