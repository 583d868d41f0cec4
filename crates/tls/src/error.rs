//! Why TLS cannot be set up.

use std::io;
use std::time::SystemTime;

use httpdate::fmt_http_date;
use thiserror::Error;

use crate::Pem;

/// Why the options cannot be used. No message shows more of a key than where it is.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// Which.
        file: Pem,
        /// The system's answer.
        source: io::Error,
    },
    /// No certificate is in it.
    #[error(
        "there is no certificate in {0}: it should have lines `-----BEGIN CERTIFICATE-----` and `-----END CERTIFICATE-----`"
    )]
    NoCertificate(Pem),
    /// No private key is in it.
    #[error(
        "there is no private key in {0}: it should have a line `-----BEGIN PRIVATE KEY-----` (keys with a password are not read)"
    )]
    NoKey(Pem),
    /// It is not PEM, or what it wraps is damaged.
    #[error("{file} is damaged: {what}")]
    Damaged {
        /// Which.
        file: Pem,
        /// What is wrong.
        what: String,
    },
    /// The private key cannot be used.
    #[error("the private key in {file} cannot be used: {what}")]
    BadKey {
        /// Which.
        file: Pem,
        /// Why.
        what: String,
    },
    /// The private key is not the certificate's.
    #[error("the private key in {key} does not belong to the certificate in {certificate}")]
    KeyMismatch {
        /// Where the certificate is.
        certificate: Pem,
        /// Where the key is.
        key: Pem,
    },
    /// A certificate is not valid any more.
    #[error("the certificate `{subject}` in {file} has expired: {}", fmt_http_date(*since))]
    Expired {
        /// Which.
        file: Pem,
        /// Whose.
        subject: String,
        /// When it was still valid.
        since: SystemTime,
    },
    /// A certificate is not valid yet.
    #[error(
        "the certificate `{subject}` in {file} is not valid before {} (is the clock right?)",
        fmt_http_date(*from)
    )]
    NotYetValid {
        /// Which.
        file: Pem,
        /// Whose.
        subject: String,
        /// When it will be valid.
        from: SystemTime,
    },
    /// An OCSP response cannot be stapled.
    #[error("the OCSP response in {file} cannot be used: {what}")]
    BadOcsp {
        /// Which.
        file: Pem,
        /// Why.
        what: String,
    },
    /// The authority cannot issue.
    #[error("certificates cannot be issued with {file}: {what}")]
    BadIssuer {
        /// Where its certificate is.
        file: Pem,
        /// Why.
        what: String,
    },
    /// A listener without a certificate.
    #[error("a TLS listener needs a certificate to show: name its file and the file of its key")]
    NothingToShow,
    /// Nobody is trusted.
    #[error("no certificate authority is trusted, so no {0} could be: {1}")]
    NoRoots(&'static str, &'static str),
    /// No version is left.
    #[error("the oldest TLS version is newer than the newest")]
    NoVersion,
    /// A protocol's name cannot be sent.
    #[error("`{0}` is not an ALPN protocol: it has 1 to 255 bytes")]
    BadAlpn(String),
    /// Anything else.
    #[error("TLS cannot be set up: {0}")]
    Other(String),
}
