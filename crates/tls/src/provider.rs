//! The cryptography below, and what both sides set up alike.

use std::sync::Arc;

use rustls::SupportedProtocolVersion;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::version::{TLS12, TLS13};

use crate::{TlsError, Version, Versions};

/// AWS-LC. It is named wherever it is needed: there is no default of the process to depend on.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

static BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
static ONLY_TLS12: &[&SupportedProtocolVersion] = &[&TLS12];
static ONLY_TLS13: &[&SupportedProtocolVersion] = &[&TLS13];

pub(crate) fn versions(
    versions: Versions,
) -> Result<&'static [&'static SupportedProtocolVersion], TlsError> {
    match (versions.min, versions.max) {
        (Version::Tls12, Version::Tls13) => Ok(BOTH),
        (Version::Tls12, Version::Tls12) => Ok(ONLY_TLS12),
        (Version::Tls13, Version::Tls13) => Ok(ONLY_TLS13),
        (Version::Tls13, Version::Tls12) => Err(TlsError::NoVersion),
    }
}

/// How many bytes a connection holds that are sealed and not sent, at most: a head and a buffer of 64 KiB leave with one
/// call of the system.
pub(crate) const HELD: usize = 80 << 10;

pub(crate) fn alpn(names: &[String]) -> Result<Vec<Vec<u8>>, TlsError> {
    names
        .iter()
        .map(|name| match name.len() {
            1..=255 => Ok(name.clone().into_bytes()),
            _ => Err(TlsError::BadAlpn(name.clone())),
        })
        .collect()
}

/// What rustls says of options that it cannot use.
pub(crate) fn other(error: impl std::fmt::Display) -> TlsError {
    TlsError::Other(error.to_string())
}
