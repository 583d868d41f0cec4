//! An authority that makes certificates for whatever name is asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, Issuer, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};

use crate::provider::other;
use crate::{KeyPair, Pem, TlsError, pem};

/// A certificate begins to be valid this long before it is issued, for clients whose clock is late (v2ray's).
const BEFORE: Duration = Duration::from_secs(3600);
/// And ends so long after.
const AFTER: Duration = Duration::from_secs(3600);
/// It is replaced when no more than this is left.
const RENEW: Duration = Duration::from_secs(120);
/// Names whose certificates are kept, about 1 KiB each. Strangers choose the names.
const KEPT: usize = 1024;

/// An authority, and what it has issued.
pub(crate) struct Authority {
    issuer: Issuer<'static, rcgen::KeyPair>,
    /// Sent after the leaf: its own certificate and what leads to a root, where the file has more than the root.
    above: Vec<CertificateDer<'static>>,
    /// Of all the leaves. A key each would protect nobody better: they would all lie here.
    leaf_key: rcgen::KeyPair,
    signing_key: Arc<dyn SigningKey>,
    issued: Mutex<HashMap<Box<str>, Issued>>,
}

struct Issued {
    certified: Arc<CertifiedKey>,
    /// When it is to be replaced.
    renew: SystemTime,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority(..)")
    }
}

impl Authority {
    pub(crate) fn new(pair: &KeyPair, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let bad = |what: String| TlsError::BadIssuer { file: pair.certificate.clone(), what };
        // This finds a key that is not the certificate's.
        let chain = pem::certified(pair, provider)?.cert.clone();
        let key = pem::private_key(&pair.key)?;
        let key = rcgen::KeyPair::try_from(&key).map_err(|error| bad(error.to_string()))?;
        let issuer =
            Issuer::from_ca_cert_der(&chain[0], key).map_err(|error| bad(error.to_string()))?;
        let usages = issuer.key_usages();
        if !usages.is_empty() && !usages.contains(&KeyUsagePurpose::KeyCertSign) {
            return Err(bad("its key usage does not include signing certificates".to_owned()));
        }

        let leaf_key = rcgen::KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(other)?;
        let signing_key = load(&leaf_key, provider)?;
        let above = if chain.len() > 1 { chain } else { Vec::new() };
        Ok(Self { issuer, above, leaf_key, signing_key, issued: Mutex::default() })
    }

    /// A certificate for the name (lower case); an empty one gets a certificate without names, as v2ray's does.
    /// `None` for what no certificate can name.
    pub(crate) fn certificate(&self, name: &str, now: SystemTime) -> Option<Arc<CertifiedKey>> {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = issued.get(name)
            && now < found.renew
        {
            return Some(found.certified.clone());
        }
        let certified = Arc::new(self.issue(name, now)?);
        make_room(&mut issued, now);
        let renew = now + AFTER - RENEW;
        issued.insert(name.into(), Issued { certified: certified.clone(), renew });
        Some(certified)
    }

    fn issue(&self, name: &str, now: SystemTime) -> Option<CertifiedKey> {
        let names = if name.is_empty() { Vec::new() } else { vec![name.to_owned()] };
        let mut params = CertificateParams::new(names).ok()?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        if !name.is_empty() {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.not_before = (now - BEFORE).into();
        params.not_after = (now + AFTER).into();
        let leaf = params.signed_by(&self.leaf_key, &self.issuer).ok()?;
        let mut chain = vec![leaf.der().clone()];
        chain.extend(self.above.iter().cloned());
        Some(CertifiedKey::new(chain, self.signing_key.clone()))
    }
}

/// Forgets what is to be replaced anyway, or else the one that was issued first.
fn make_room(issued: &mut HashMap<Box<str>, Issued>, now: SystemTime) {
    if issued.len() < KEPT {
        return;
    }
    issued.retain(|_, issued| now < issued.renew);
    if issued.len() >= KEPT {
        let oldest = issued.iter().min_by_key(|(_, issued)| issued.renew);
        if let Some(name) = oldest.map(|(name, _)| name.clone()) {
            issued.remove(&name);
        }
    }
}

fn load(key: &rcgen::KeyPair, provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, TlsError> {
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    provider.key_provider.load_private_key(key).map_err(other)
}

/// A certificate for these names that is signed by itself (ECDSA P-256, CN = the first name), and its key, both inline:
/// for tests, and for QUIC listeners that nobody gave one.
///
/// # Errors
/// [`TlsError::Other`] for what is no name.
pub fn self_signed(names: &[&str]) -> Result<KeyPair, TlsError> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names.clone()).map_err(other)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(name) = names.first() {
        params.distinguished_name.push(DnType::CommonName, name.as_str());
    }
    let key = rcgen::KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(other)?;
    let certificate = params.self_signed(&key).map_err(other)?;
    Ok(KeyPair {
        certificate: Pem::Inline(certificate.pem()),
        key: Pem::Inline(key.serialize_pem()),
    })
}

#[cfg(test)]
mod tests;
