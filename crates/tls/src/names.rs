//! Cipher suites and key exchange groups, by the names that configurations use.

use std::fmt;
use std::str::FromStr;

use rustls::crypto::aws_lc_rs::{cipher_suite as suite, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{NamedGroup, SupportedCipherSuite};
use thiserror::Error;

/// A cipher suite that is spoken. All of them are authenticated, and those of TLS 1.2 have forward secrecy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum CipherSuite {
    Tls13Aes256Gcm,
    Tls13Aes128Gcm,
    Tls13ChaCha20Poly1305,
    EcdheEcdsaAes256Gcm,
    EcdheEcdsaAes128Gcm,
    EcdheEcdsaChaCha20Poly1305,
    EcdheRsaAes256Gcm,
    EcdheRsaAes128Gcm,
    EcdheRsaChaCha20Poly1305,
}

/// All of them, with the names of OpenSSL and those of rustls.
const SUITES: [(CipherSuite, &str, SupportedCipherSuite); 9] = {
    use CipherSuite::*;
    [
        (Tls13Aes256Gcm, "TLS_AES_256_GCM_SHA384", suite::TLS13_AES_256_GCM_SHA384),
        (Tls13Aes128Gcm, "TLS_AES_128_GCM_SHA256", suite::TLS13_AES_128_GCM_SHA256),
        (
            Tls13ChaCha20Poly1305,
            "TLS_CHACHA20_POLY1305_SHA256",
            suite::TLS13_CHACHA20_POLY1305_SHA256,
        ),
        (
            EcdheEcdsaAes256Gcm,
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        ),
        (
            EcdheEcdsaAes128Gcm,
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ),
        (
            EcdheEcdsaChaCha20Poly1305,
            "ECDHE-ECDSA-CHACHA20-POLY1305",
            suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        ),
        (
            EcdheRsaAes256Gcm,
            "ECDHE-RSA-AES256-GCM-SHA384",
            suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ),
        (
            EcdheRsaAes128Gcm,
            "ECDHE-RSA-AES128-GCM-SHA256",
            suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        ),
        (
            EcdheRsaChaCha20Poly1305,
            "ECDHE-RSA-CHACHA20-POLY1305",
            suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ),
    ]
};

/// Other names of the same suites: MOSN's.
const ALIASES: [(&str, CipherSuite); 2] = [
    ("ECDHE-ECDSA-WITH-CHACHA20-POLY1305", CipherSuite::EcdheEcdsaChaCha20Poly1305),
    ("ECDHE-RSA-WITH-CHACHA20-POLY1305", CipherSuite::EcdheRsaChaCha20Poly1305),
];

/// MOSN's further suites: without forward secrecy, with CBC, 3DES or the Chinese algorithms.
const RETIRED: [&str; 12] = [
    "ECDHE-RSA-AES256-CBC-SHA",
    "ECDHE-RSA-AES128-CBC-SHA",
    "ECDHE-ECDSA-AES256-CBC-SHA",
    "ECDHE-ECDSA-AES128-CBC-SHA",
    "RSA-AES256-CBC-SHA",
    "RSA-AES128-CBC-SHA",
    "ECDHE-RSA-3DES-EDE-CBC-SHA",
    "RSA-3DES-EDE-CBC-SHA",
    "ECC-SM2-SM4-CBC-SM3",
    "ECDHE-SM2-SM4-CBC-SM3",
    "ECC-SM2-SM4-GCM-SM3",
    "ECDHE-SM2-SM4-GCM-SM3",
];

/// Why a name of a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// It exists, but not here.
    #[error("the {what} `{name}` is not spoken here; there are {available}")]
    Unavailable {
        /// `cipher suite` or `key exchange`.
        what: &'static str,
        /// The name as written.
        name: String,
        /// What there is instead.
        available: String,
    },
    /// Nobody knows it.
    #[error("no {what} is named `{name}`; there are {available}")]
    Unknown {
        /// `cipher suite` or `key exchange`.
        what: &'static str,
        /// The name as written.
        name: String,
        /// What there is.
        available: String,
    },
}

impl NameError {
    fn new(what: &'static str, known: bool, name: &str, available: &[&str]) -> Self {
        let (name, available) = (name.to_owned(), available.join(", "));
        match known {
            true => Self::Unavailable { what, name, available },
            false => Self::Unknown { what, name, available },
        }
    }
}

impl CipherSuite {
    /// OpenSSL's name, such as `ECDHE-RSA-AES128-GCM-SHA256` or `TLS_AES_128_GCM_SHA256`.
    pub fn as_str(self) -> &'static str {
        SUITES.iter().find(|(suite, ..)| *suite == self).map_or("", |(_, name, _)| name)
    }

    pub(crate) fn of(theirs: SupportedCipherSuite) -> Option<Self> {
        let found = SUITES.iter().find(|(.., suite)| suite.suite() == theirs.suite());
        found.map(|(suite, ..)| *suite)
    }
}

impl fmt::Display for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CipherSuite {
    type Err = NameError;

    /// OpenSSL's names and MOSN's, in capitals or not.
    fn from_str(name: &str) -> Result<Self, NameError> {
        let named = SUITES.iter().map(|(suite, name, _)| (*name, *suite));
        let found = named.chain(ALIASES).find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, suite)| suite).ok_or_else(|| {
            let known = RETIRED.iter().any(|retired| retired.eq_ignore_ascii_case(name));
            NameError::new("cipher suite", known, name, &SUITES.map(|(_, name, _)| name))
        })
    }
}

/// How both sides come to a common secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum KeyExchange {
    /// X25519 and ML-KEM-768 together: safe as long as one of them is, also from quantum computers. TLS 1.3 only.
    X25519MlKem768,
    X25519,
    P256,
    P384,
}

const GROUPS: [(KeyExchange, &str, &dyn SupportedKxGroup); 4] = [
    (KeyExchange::X25519MlKem768, "X25519MLKEM768", kx_group::X25519MLKEM768),
    (KeyExchange::X25519, "x25519", kx_group::X25519),
    (KeyExchange::P256, "p256", kx_group::SECP256R1),
    (KeyExchange::P384, "p384", kx_group::SECP384R1),
];

/// Other names of the same: those of OpenSSL and of RFC 8422.
const GROUP_ALIASES: [(&str, KeyExchange); 4] = [
    ("P-256", KeyExchange::P256),
    ("P-384", KeyExchange::P384),
    ("secp256r1", KeyExchange::P256),
    ("secp384r1", KeyExchange::P384),
];

impl KeyExchange {
    /// `X25519MLKEM768`, `x25519`, `p256` or `p384`.
    pub fn as_str(self) -> &'static str {
        GROUPS.iter().find(|(group, ..)| *group == self).map_or("", |(_, name, _)| name)
    }

    pub(crate) fn of(theirs: NamedGroup) -> Option<Self> {
        GROUPS.iter().find(|(.., group)| group.name() == theirs).map(|(group, ..)| *group)
    }
}

impl fmt::Display for KeyExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyExchange {
    type Err = NameError;

    /// In capitals or not; P-256 and P-384 also by their names in OpenSSL and the RFCs.
    fn from_str(name: &str) -> Result<Self, NameError> {
        let named = GROUPS.iter().map(|(group, name, _)| (*name, *group));
        let found = named.chain(GROUP_ALIASES).find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, group)| group).ok_or_else(|| {
            let known = ["p521", "P-521", "secp521r1"];
            let known = known.iter().any(|known| known.eq_ignore_ascii_case(name));
            NameError::new("key exchange", known, name, &GROUPS.map(|(_, name, _)| name))
        })
    }
}

/// Leaves in the provider what is named. A version of TLS of which no suite is named keeps all of its own: OpenSSL and
/// Go have a list for TLS 1.2 only.
pub(crate) fn narrow(
    provider: &mut CryptoProvider,
    suites: &[CipherSuite],
    groups: &[KeyExchange],
) {
    let named = |theirs: &SupportedCipherSuite| {
        let place = suites.iter().position(|suite| Some(*suite) == CipherSuite::of(*theirs));
        let of_version =
            |suite: &CipherSuite| suite.as_str().starts_with("TLS_") == theirs.tls13().is_some();
        place.or_else(|| (!suites.iter().any(of_version)).then_some(usize::MAX))
    };
    provider.cipher_suites.retain(|theirs| named(theirs).is_some());
    // The sort is stable: what is not named keeps its order.
    provider.cipher_suites.sort_by_key(|theirs| named(theirs));
    let groups = if groups.is_empty() { &GROUPS.map(|(group, ..)| group)[..] } else { groups };
    let found = |wanted: &KeyExchange| GROUPS.iter().find(|(group, ..)| group == wanted);
    provider.kx_groups = groups.iter().filter_map(found).map(|(.., group)| *group).collect();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::provider;

    #[test]
    fn names_are_read_and_shown() {
        for (suite, name, _) in SUITES {
            assert_eq!(name.parse(), Ok(suite));
            assert_eq!(name.to_lowercase().parse(), Ok(suite));
            assert_eq!(suite.to_string(), name);
        }
        for (group, name, _) in GROUPS {
            assert_eq!((name.parse(), group.to_string()), (Ok(group), name.to_owned()));
        }
        assert_eq!("P-256".parse(), Ok(KeyExchange::P256));
    }

    #[test]
    fn what_is_retired_is_told_from_what_is_unknown() {
        let error = "RSA-3DES-EDE-CBC-SHA".parse::<CipherSuite>().unwrap_err().to_string();
        assert!(error.contains("not spoken here; there are TLS_AES_256"), "{error}");
        let error = "ECDHE-RSA-AES128-GCM-SHA265".parse::<CipherSuite>().unwrap_err().to_string();
        assert!(error.starts_with("no cipher suite is named"), "{error}");
        let error = "p521".parse::<KeyExchange>().unwrap_err().to_string();
        assert!(error.contains("`p521` is not spoken here; there are X25519MLKEM768"), "{error}");
    }

    #[test]
    fn a_version_of_which_nothing_is_named_keeps_its_suites() {
        let names = |suites: &[CipherSuite], groups: &[KeyExchange]| {
            let mut provider = (*provider()).clone();
            narrow(&mut provider, suites, groups);
            let suites = provider.cipher_suites.iter().filter_map(|suite| CipherSuite::of(*suite));
            (suites.collect::<Vec<_>>(), provider.kx_groups)
        };
        let all = names(&[], &[]);
        assert_eq!((all.0.len(), all.1.len()), (9, 4));
        assert_eq!(all.1[0].name(), NamedGroup::X25519MLKEM768);
        let one = names(&[CipherSuite::EcdheRsaAes128Gcm], &[KeyExchange::P384]);
        assert_eq!(one.0.len(), 4);
        assert!(one.0.contains(&CipherSuite::EcdheRsaAes128Gcm));
        assert_eq!(one.1[0].name(), NamedGroup::secp384r1);
        let order = [CipherSuite::Tls13Aes128Gcm, CipherSuite::Tls13Aes256Gcm];
        let suites = names(&order, &[]).0;
        assert_eq!((&suites[..2], suites.len()), (&order[..], 8));
    }
}
