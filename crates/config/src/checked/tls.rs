//! TLS of listeners and clusters: MOSN's `tls_context`, resolved.

use super::{Pem, Secret, TlsVersions};

/// `tls_context` or `tls_context_set` of a filter chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// In the order of the file, without those that are off (`status`). Never empty.
    pub contexts: Vec<TlsContext>,
    /// `fall_back` of one of them: where a certificate cannot be loaded, the listener speaks plain text.
    pub fall_back: bool,
}

/// A `tls_context` whose `status` is on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsContext {
    /// `server_name`: what a cluster asks for and expects in the certificate; empty = the host's name or address.
    pub server_name: String,
    /// `ca_cert`: whom to trust. `None` = the authorities that the system knows.
    pub ca: Option<Pem>,
    /// `cert_chain`, `private_key` and `ocsp_response`.
    pub certificate: Option<TlsCertificate>,
    /// `verify_client` and `require_client_cert`: what a listener asks of its clients.
    pub client_certificate: ClientCertificate,
    /// `insecure_skip`: a cluster takes any certificate.
    pub insecure_skip: bool,
    /// `cipher_suites` as OpenSSL names them, in order; empty = all that are safe. A version of TLS of which
    /// none is named keeps all of its own.
    pub cipher_suites: Vec<String>,
    /// `ecdh_curves` in lower case, in order; empty = all, the post-quantum hybrid first.
    pub groups: Vec<String>,
    /// `min_version`, `max_version`.
    pub versions: TlsVersions,
    /// `alpn`; empty = by the protocols of the proxy.
    pub alpn: Vec<String>,
    /// `ticket`: what the keys of session tickets are made from, so that several machines share them.
    pub ticket: Option<Secret>,
    /// `fall_back`: plain text where a certificate cannot be loaded.
    pub fall_back: bool,
    /// `extend_verify.match_subject_alt_names` of the type `sni_verify`: the peer's certificate has one of these names
    /// (DNS name, IP address or URI). Empty = any that is verified.
    pub subject_alt_names: Vec<String>,
}

/// What is shown to the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsCertificate {
    /// `cert_chain`: the leaf first.
    pub chain: Pem,
    /// `private_key`.
    pub key: Pem,
    /// `ocsp_response` (a key of rosn's): a file that says that the certificate is not revoked, for clients.
    pub ocsp: Option<std::path::PathBuf>,
}

/// What a listener asks of its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientCertificate {
    /// Nothing.
    #[default]
    None,
    /// `require_client_cert` alone: asked for, and taken as it comes.
    Requested,
    /// `verify_client` alone: verified where one is given.
    Optional,
    /// Both: nobody gets in without one that verifies.
    Required,
}
