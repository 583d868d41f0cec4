//! The certificate that a peer has shown.

use std::fmt;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::CertificateDer;

use crate::CertificateFacts;
use crate::facts::{hex, sha256};

/// What a URL may have without `%` (RFC 3986 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The certificate that a peer has shown, with those that it sent along. It is parsed when somebody first asks for its
/// facts.
pub struct PeerCertificate {
    /// Never empty.
    chain: Vec<CertificateDer<'static>>,
    verified: bool,
    facts: OnceLock<Option<Box<CertificateFacts>>>,
}

impl PeerCertificate {
    /// `None` for a peer that has shown nothing.
    pub(crate) fn new(chain: &[CertificateDer<'static>], verified: bool) -> Option<Self> {
        let chain = chain.to_vec();
        (!chain.is_empty()).then(|| Self { chain, verified, facts: OnceLock::new() })
    }

    /// Whether somebody who is trusted vouches for it. Otherwise the peer has its key, and it says whatever the peer
    /// wants it to say.
    pub fn is_verified(&self) -> bool {
        self.verified
    }

    /// What it says; `None` where it cannot be parsed, which can only be so where it is not verified.
    pub fn facts(&self) -> Option<&CertificateFacts> {
        let read = || CertificateFacts::read(&self.chain[0]).ok().map(Box::new);
        self.facts.get_or_init(read).as_deref()
    }

    /// SHA-256 of it in hexadecimal, small letters.
    pub fn fingerprint_hex(&self) -> String {
        hex(&sha256(&self.chain[0]))
    }

    /// In PEM, with all but letters, digits and `-._~` as `%0A`: as `x-forwarded-client-cert` has it (`Cert=`).
    pub fn pem_url_encoded(&self) -> String {
        url_encoded(&pem(&self.chain[0]))
    }

    /// The same of all that the peer sent, its own first (`Chain=`).
    pub fn chain_pem_url_encoded(&self) -> String {
        url_encoded(&self.chain.iter().map(|der| pem(der)).collect::<String>())
    }

    /// In DER, its own first.
    pub fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.chain.iter().map(AsRef::as_ref)
    }
}

impl fmt::Debug for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = self.facts().map(|facts| &facts.subject);
        f.debug_struct("PeerCertificate")
            .field("subject", &subject)
            .field("verified", &self.verified)
            .finish_non_exhaustive()
    }
}

fn url_encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Lines of 64 characters (RFC 7468).
fn pem(der: &[u8]) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in der.chunks(48) {
        BASE64_STANDARD.encode_string(line, &mut text);
        text.push('\n');
    }
    text + "-----END CERTIFICATE-----\n"
}
