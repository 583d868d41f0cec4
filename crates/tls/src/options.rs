//! What a listener or a dialer wants of TLS.

use std::fmt;
use std::path::PathBuf;

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

/// What a listener wants of TLS.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// What is shown. Of several the first that fits the name that the client asks for and the algorithms that it
    /// knows; the first of all where none does.
    pub certificates: Vec<KeyPair>,
    /// Authorities: a certificate for the name that the client asks for is issued on the spot, where none of
    /// `certificates` fits.
    pub issuers: Vec<KeyPair>,
    /// Protocols, most wanted first; a client that names others only is refused. Empty = not spoken of.
    pub alpn: Vec<String>,
    /// The versions that are spoken.
    pub versions: Versions,
    /// Only clients with a certificate of one of these authorities are let in (or with one of these certificates
    /// itself). `None` = no certificate is asked for.
    pub client_roots: Option<Vec<Pem>>,
    /// Clients that come back may go on with the keys of an earlier connection: tickets, sealed with keys that are
    /// changed every few hours, and nothing kept here.
    pub session_resumption: bool,
}

/// What a dialer wants of TLS.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Whether the authorities that the system knows are trusted (true).
    pub system_roots: bool,
    /// Further certificates that are trusted: authorities, or servers' own.
    pub roots: Vec<Pem>,
    /// Any certificate will do, unless `pinned` says which.
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
    /// Goes on with the keys of an earlier connection to the same name, of which 256 are remembered.
    pub session_resumption: bool,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            system_roots: true,
            roots: Vec::new(),
            allow_insecure: false,
            pinned: Vec::new(),
            certificates: Vec::new(),
            alpn: Vec::new(),
            versions: Versions::default(),
            session_resumption: false,
        }
    }
}
