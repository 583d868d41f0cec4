//! What a listener or a dialer wants of TLS.

use std::fmt;
use std::path::PathBuf;

use crate::{CipherSuite, KeyExchange};

/// PEM text, or the file that holds it.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// Read when an [`Acceptor`](crate::Acceptor) or a [`Connector`](crate::Connector) is made.
    File(PathBuf),
    /// The text itself.
    Inline(String),
}

impl fmt::Debug for Pem {
    /// Never shows inline text: it may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Inline(_) => f.write_str("Inline(..)"),
        }
    }
}

impl fmt::Display for Pem {
    /// How errors call it: the file's path, or `the inline PEM text`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Inline(_) => f.write_str("the inline PEM text"),
        }
    }
}

/// A certificate and its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The leaf first, then what leads to an authority.
    pub certificate: Pem,
    /// PKCS#8, PKCS#1 or SEC 1, without a password. It may be in the same file.
    pub key: Pem,
}

/// A version of TLS that is still safe (RFC 8996 has retired the others).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Version {
    Tls12,
    Tls13,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Version {
    /// `TLSv1.2` or `TLSv1.3`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }
}

/// The oldest and the newest version that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The oldest (TLS 1.2).
    pub min: Version,
    /// The newest (TLS 1.3).
    pub max: Version,
}

impl Default for Versions {
    fn default() -> Self {
        Self { min: Version::Tls12, max: Version::Tls13 }
    }
}

/// Which clients a listener believes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientTrust {
    /// Those with a certificate of one of these authorities, or with one of these certificates itself.
    pub roots: Vec<Pem>,
    /// Of these only such as have one of these subject alternative names: a URI or an e-mail address to the letter, a
    /// DNS name in capitals or not, an IP address. Empty = all.
    pub subject_alt_names: Vec<String>,
}

/// What a listener wants of clients' certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// None is asked for.
    #[default]
    Off,
    /// One is asked for, none is required, and whatever is shown is taken: the client has its key, and that is all that
    /// is known of it (MOSN's `require_client_cert` alone).
    Unverified,
    /// A client may show none; one that is shown has to be trusted (MOSN's `verify_client` alone).
    Optional(ClientTrust),
    /// Only clients with a certificate that is trusted are let in (MOSN's `verify_client` with `require_client_cert`).
    Required(ClientTrust),
}

/// What a listener wants of TLS.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// What is shown: the one for the very name that the client asks for, else one with a wildcard for it, else the
    /// first and those for the same names. Among these the first that is not RSA's, where the client knows how to
    /// verify it.
    pub certificates: Vec<KeyPair>,
    /// What OCSP responders say of `certificates` (DER or PEM): each is stapled to the certificate that it speaks of, as
    /// long as it is valid. One that speaks of none of them, or says anything but *good*, is an error.
    pub ocsp_responses: Vec<Pem>,
    /// Authorities: a certificate for the name that the client asks for is issued on the spot, where none of
    /// `certificates` fits.
    pub issuers: Vec<KeyPair>,
    /// Protocols, most wanted first; a client that names others only is refused. Empty = not spoken of.
    pub alpn: Vec<String>,
    /// The versions that are spoken.
    pub versions: Versions,
    /// The cipher suites, most wanted first. Empty = all; a version of TLS of which none is named keeps all of its own.
    pub cipher_suites: Vec<CipherSuite>,
    /// The key exchanges; the client's order counts. Empty = all.
    pub key_exchanges: Vec<KeyExchange>,
    /// What is wanted of clients' certificates.
    pub client_auth: ClientAuth,
    /// Clients that come back may go on with the keys of an earlier connection: tickets, sealed with the keys of
    /// [`Tickets`](crate::Tickets), and nothing kept here.
    pub session_resumption: bool,
}

/// What a dialer wants of TLS.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Whether the authorities that the system knows are trusted (true).
    pub system_roots: bool,
    /// Further certificates that are trusted: authorities, or servers' own.
    pub roots: Vec<Pem>,
    /// The server's certificate must have one of these subject alternative names, *instead of* the name that is dialed
    /// (MOSN's `sni_verify`): a URI or an e-mail address to the letter, a DNS name in capitals or not, an IP address.
    /// Empty = the name.
    pub subject_alt_names: Vec<String>,
    /// Any certificate will do, unless `pinned` or `subject_alt_names` say which.
    pub allow_insecure: bool,
    /// The server's chain must have one of these hashes, see [`chain_hash`](crate::chain_hash()); besides being
    /// trusted, unless `allow_insecure`. Empty = any chain.
    pub pinned: Vec<[u8; 32]>,
    /// Shown where the server asks for one: the first that it can verify.
    pub certificates: Vec<KeyPair>,
    /// Protocols, most wanted first. Empty = not spoken of.
    pub alpn: Vec<String>,
    /// The versions that are spoken.
    pub versions: Versions,
    /// The cipher suites, most wanted first. Empty = all; a version of TLS of which none is named keeps all of its own.
    pub cipher_suites: Vec<CipherSuite>,
    /// The key exchanges, most wanted first. Empty = all, X25519MLKEM768 first.
    pub key_exchanges: Vec<KeyExchange>,
    /// Goes on with the keys of an earlier connection to the same name, of which 256 are remembered.
    pub session_resumption: bool,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            system_roots: true,
            roots: Vec::new(),
            subject_alt_names: Vec::new(),
            allow_insecure: false,
            pinned: Vec::new(),
            certificates: Vec::new(),
            alpn: Vec::new(),
            versions: Versions::default(),
            cipher_suites: Vec::new(),
            key_exchanges: Vec::new(),
            session_resumption: false,
        }
    }
}

/// The files among these, each once.
pub(crate) fn files<'a>(all: impl Iterator<Item = &'a Pem>) -> Vec<PathBuf> {
    let mut files: Vec<_> = all
        .filter_map(|pem| match pem {
            Pem::File(path) => Some(path.clone()),
            Pem::Inline(_) => None,
        })
        .collect();
    files.sort_unstable();
    files.dedup();
    files
}

impl KeyPair {
    fn parts(&self) -> [&Pem; 2] {
        [&self.certificate, &self.key]
    }
}

impl ServerOptions {
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Pem> {
        let pairs = self.certificates.iter().chain(&self.issuers).flat_map(KeyPair::parts);
        let roots = match &self.client_auth {
            ClientAuth::Off | ClientAuth::Unverified => &[],
            ClientAuth::Optional(trust) | ClientAuth::Required(trust) => &trust.roots[..],
        };
        pairs.chain(&self.ocsp_responses).chain(roots)
    }
}

impl ClientOptions {
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Pem> {
        self.certificates.iter().flat_map(KeyPair::parts).chain(&self.roots)
    }
}
