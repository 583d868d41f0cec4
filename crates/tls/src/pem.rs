//! Certificates and keys, read from PEM.

use std::fs;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use crate::facts::{CertificateFacts, Role, UsedCertificate};
use crate::ocsp::OcspResponse;
use crate::{KeyPair, Pem, TlsError};

/// The text, as bytes.
fn read(pem: &Pem) -> Result<Vec<u8>, TlsError> {
    match pem {
        Pem::File(path) => {
            fs::read(path).map_err(|source| TlsError::Read { file: pem.clone(), source })
        }
        Pem::Inline(text) => Ok(text.clone().into_bytes()),
    }
}

/// All certificates, at least one.
pub(crate) fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(pem)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::Damaged { file: pem.clone(), what: error.to_string() })?;
    if chain.is_empty() { Err(TlsError::NoCertificate(pem.clone())) } else { Ok(chain) }
}

/// All certificates of all files, each with where it is from.
pub(crate) fn all_certificates(
    files: &[Pem],
) -> Result<Vec<(Pem, CertificateDer<'static>)>, TlsError> {
    let mut all = Vec::new();
    for file in files {
        all.extend(certificates(file)?.into_iter().map(|certificate| (file.clone(), certificate)));
    }
    Ok(all)
}

/// The first private key.
pub(crate) fn private_key(pem: &Pem) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(pem)?).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey(pem.clone()),
        // The error may quote a line of the text.
        _ => TlsError::Damaged { file: pem.clone(), what: "it is not PEM".to_owned() },
    })
}

/// A certificate and a key that belong together.
pub(crate) fn certified(
    pair: &KeyPair,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(&pair.certificate)?;
    let key = private_key(&pair.key)?;
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| TlsError::BadKey { file: pair.key.clone(), what: error.to_string() })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(Error::InconsistentKeys(_)) => Err(TlsError::KeyMismatch {
            certificate: pair.certificate.clone(),
            key: pair.key.clone(),
        }),
        Err(error) => {
            let file = pair.certificate.clone();
            Err(TlsError::Damaged { file, what: error.to_string() })
        }
    }
}

/// What is known of the certificates of a file; the first one has the role, and after one's own come those that lead to
/// an authority.
pub(crate) fn facts(
    file: &Pem,
    chain: &[CertificateDer<'_>],
    role: Role,
) -> Result<Vec<UsedCertificate>, TlsError> {
    let mut used = Vec::with_capacity(chain.len());
    for (index, der) in chain.iter().enumerate() {
        let facts = CertificateFacts::read(der)
            .map_err(|what| TlsError::Damaged { file: file.clone(), what })?;
        let role = if role == Role::Own && index > 0 { Role::Chain } else { role };
        used.push(UsedCertificate { file: file.clone(), role, facts, ocsp_until: None });
    }
    Ok(used)
}

/// An OCSP response: DER, or PEM of any label.
pub(crate) fn ocsp_response(file: &Pem) -> Result<OcspResponse, TlsError> {
    let bad = |what: String| TlsError::BadOcsp { file: file.clone(), what };
    let bytes = read(file)?;
    let der = match bytes.starts_with(b"-----BEGIN") {
        true => {
            let text: String = String::from_utf8_lossy(&bytes)
                .lines()
                .filter(|line| !line.starts_with("-----"))
                .flat_map(|line| line.trim().chars())
                .collect();
            BASE64_STANDARD.decode(text).map_err(|_| bad("it is not PEM".to_owned()))?
        }
        false => bytes,
    };
    OcspResponse::read(der).map_err(bad)
}
