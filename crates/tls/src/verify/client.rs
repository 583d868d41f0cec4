//! What a listener believes that asks clients for certificates.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::{Roots, check_names, is_excused};
use crate::provider::other;
use crate::{ClientAuth, Pem, TlsError};

/// What a listener believes that asks clients for certificates.
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    /// `None` = any certificate.
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    exact: Vec<CertificateDer<'static>>,
    names: Vec<String>,
    required: bool,
    provider: Arc<CryptoProvider>,
}

impl ClientVerifier {
    /// `None` where no certificate is asked for.
    pub(crate) fn new(
        auth: &ClientAuth,
        roots: &[(Pem, CertificateDer<'static>)],
        provider: Arc<CryptoProvider>,
    ) -> Result<Option<Self>, TlsError> {
        let (trust, required) = match auth {
            ClientAuth::Off => return Ok(None),
            ClientAuth::Unverified => {
                let (exact, names) = (Vec::new(), Vec::new());
                return Ok(Some(Self { verifier: None, exact, names, required: false, provider }));
            }
            ClientAuth::Optional(trust) => (trust, false),
            ClientAuth::Required(trust) => (trust, true),
        };
        let Roots { store, exact } = Roots::new(roots)?;
        if store.is_empty() {
            let remedy = "name a certificate for verifying clients";
            return Err(TlsError::NoRoots("client", remedy));
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(store.into(), provider.clone());
        let verifier = Some(verifier.build().map_err(other)?);
        let names = trust.subject_alt_names.clone();
        Ok(Some(Self { verifier, exact, names, required, provider }))
    }

    pub(crate) fn verifies(&self) -> bool {
        self.verifier.is_some()
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.as_ref().map_or(&[], |verifier| verifier.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(verifier) = &self.verifier {
            match verifier.verify_client_cert(leaf, above, now) {
                Err(error) if !is_excused(&error, &self.exact, leaf) => return Err(error),
                Err(_) => drop(ParsedCertificate::try_from(leaf)?),
                Ok(_) => {}
            }
        }
        check_names(leaf, &self.names)?;
        Ok(ClientCertVerified::assertion())
    }

    // Also where any certificate will do: the client has to have its key.

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
