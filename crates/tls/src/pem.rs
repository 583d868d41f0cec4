//! Certificates and keys, read from PEM.

use std::fs;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

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
