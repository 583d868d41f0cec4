//! Whom to believe.

use std::collections::HashSet;

use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, Error, OtherError, RootCertStore};

mod client;
mod server;

pub(crate) use client::ClientVerifier;
pub(crate) use server::ServerVerifier;

use crate::explain::NoSuchName;
use crate::facts::sha256;
use crate::{CertificateFacts, Pem, TlsError};

/// The hash by which v2ray pins a chain: h = SHA256(first); then for each further certificate h = SHA256(h ‖
/// SHA256(certificate)). The certificates are in DER.
pub fn chain_hash<'a>(chain: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let hashes = chain.into_iter().map(sha256);
    hashes.reduce(|all, next| sha256(&[all, next].concat())).unwrap_or_else(|| sha256(b""))
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
    fn new(named: &[(Pem, CertificateDer<'static>)]) -> Result<Self, TlsError> {
        let mut roots = Self { store: RootCertStore::empty(), exact: Vec::new() };
        let mut seen = HashSet::new();
        for (file, certificate) in named.iter().filter(|(_, root)| seen.insert(root.as_ref())) {
            roots.store.add(certificate.clone()).map_err(|error| TlsError::Damaged {
                file: file.clone(),
                what: error.to_string(),
            })?;
            roots.exact.push(certificate.clone());
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

/// Whether the certificate has one of the names; any one will do where none is asked for.
fn check_names(certificate: &CertificateDer<'_>, names: &[String]) -> Result<(), Error> {
    if names.is_empty() {
        return Ok(());
    }
    let facts = CertificateFacts::read(certificate)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    if names.iter().any(|name| facts.has_name(name)) {
        return Ok(());
    }
    let has = [facts.uris, facts.dns_names, facts.emails].concat();
    let wrong = OtherError(std::sync::Arc::new(NoSuchName { has }));
    Err(Error::InvalidCertificate(CertificateError::Other(wrong)))
}

#[cfg(test)]
mod tests;
