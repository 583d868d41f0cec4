//! `tlsSettings`, as TLS takes them.

use rosn_config::checked::{self, CertificateUsage, TlsSettings, TlsVersion};
use rosn_tls::{
    Acceptor, ClientAuth, ClientOptions, ClientTrust, Connector, KeyPair, Pem, ServerOptions,
    TlsError, Version, Versions,
};

use crate::{Environment, TransportError};

/// What a TLS listener or dialer agrees on over TCP where nobody says otherwise (v2ray's).
pub(crate) const DEFAULT_ALPN: &[&str] = &["h2", "http/1.1"];

/// For a listener; `alpn` counts where the settings have none.
///
/// # Errors
/// [`TransportError::Settings`].
pub(crate) fn acceptor(
    transport: &'static str,
    settings: &TlsSettings,
    alpn: &[&str],
    environment: &Environment,
) -> Result<Acceptor, TransportError> {
    let contexts = vec![server_options(settings, alpn)];
    let acceptor = environment.tls.acceptor(&environment.owner, contexts);
    acceptor.map_err(|error| unusable(transport, &error))
}

/// For a dialer; `alpn` counts where the settings have none.
///
/// # Errors
/// [`TransportError::Settings`].
pub(crate) fn connector(
    transport: &'static str,
    settings: &TlsSettings,
    alpn: &[&str],
    environment: &Environment,
) -> Result<Connector, TransportError> {
    let options = client_options(settings, alpn);
    let connector = environment.tls.connector(&environment.owner, &options, &environment.roots);
    connector.map_err(|error| unusable(transport, &error))
}

fn unusable(transport: &'static str, error: &TlsError) -> TransportError {
    TransportError::Settings { transport, what: format!("TLS: {error}") }
}

pub(crate) fn server_options(settings: &TlsSettings, alpn: &[&str]) -> ServerOptions {
    use CertificateUsage::{Encipherment, Issue, Verify, VerifyClient};
    ServerOptions {
        certificates: pairs(settings, Encipherment),
        issuers: pairs(settings, Issue),
        alpn: protocols(settings, alpn),
        versions: versions(settings),
        client_auth: match settings.verify_client {
            true => ClientAuth::Required(ClientTrust {
                roots: roots(settings, |usage| matches!(usage, Verify | VerifyClient)),
                ..ClientTrust::default()
            }),
            false => ClientAuth::Off,
        },
        session_resumption: settings.session_resumption,
        ..ServerOptions::default()
    }
}

/// v2ray's rule: a dialer trusts every certificate in the list, unless the system's authorities are left out; then
/// only those that are for it.
pub(crate) fn client_options(settings: &TlsSettings, alpn: &[&str]) -> ClientOptions {
    let only = settings.disable_system_root;
    ClientOptions {
        system_roots: !only,
        roots: roots(settings, |usage| !only || usage == CertificateUsage::Verify),
        allow_insecure: settings.allow_insecure,
        pinned: settings.pinned.clone(),
        certificates: pairs(settings, CertificateUsage::Encipherment),
        alpn: protocols(settings, alpn),
        versions: versions(settings),
        session_resumption: settings.session_resumption,
        ..ClientOptions::default()
    }
}

fn pairs(settings: &TlsSettings, usage: CertificateUsage) -> Vec<KeyPair> {
    let listed = settings.certificates.iter().filter(|listed| listed.usage == usage);
    listed
        .filter_map(|listed| {
            let key = pem(listed.key.as_ref()?);
            Some(KeyPair { certificate: pem(&listed.certificate), key })
        })
        .collect()
}

fn roots(settings: &TlsSettings, wanted: impl Fn(CertificateUsage) -> bool) -> Vec<Pem> {
    let listed = settings.certificates.iter().filter(|listed| wanted(listed.usage));
    listed.map(|listed| pem(&listed.certificate)).collect()
}

fn pem(pem: &checked::Pem) -> Pem {
    match pem {
        checked::Pem::File(path) => Pem::File(path.clone()),
        checked::Pem::Inline(text) => Pem::Inline(text.clone()),
    }
}

fn protocols(settings: &TlsSettings, default: &[&str]) -> Vec<String> {
    if settings.alpn.is_empty() {
        return default.iter().map(|name| (*name).to_owned()).collect();
    }
    settings.alpn.clone()
}

fn versions(settings: &TlsSettings) -> Versions {
    let version = |version| match version {
        TlsVersion::Tls12 => Version::Tls12,
        TlsVersion::Tls13 => Version::Tls13,
    };
    Versions { min: version(settings.versions.min), max: version(settings.versions.max) }
}
