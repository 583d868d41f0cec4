//! `tls_context` as TLS takes it: what answers the handshakes of a listener, and what begins those with a cluster.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rosn_config::checked::{self, ClientCertificate, ListenerTls, Protocol, Service, TlsContext};
use rosn_config::{TlsFinding, TlsSide};
use rosn_proxy::Connectors;
use rosn_tls::{
    Acceptor, ClientAuth, ClientOptions, ClientTrust, Connector, KeyPair, NameError, Pem, Role,
    ServerOptions, SystemRoots, Tickets, TlsError, UsedCertificate, Version, Versions,
};

/// How long before a certificate expires this is said.
pub(crate) const EXPIRES_SOON: Duration = Duration::from_secs(30 * 24 * 3600);

/// Reads the files of a context and judges what is in them: for [`rosn_config::LoadOptions::tls`].
pub fn check_tls(context: &TlsContext, side: TlsSide) -> Vec<TlsFinding> {
    let now = SystemTime::now();
    let used = match side {
        TlsSide::Listener => server_options(context, &[]).and_then(|options| {
            let acceptor = Acceptor::new(&options)?;
            acceptor.check_dates(now)?;
            Ok(acceptor.certificates())
        }),
        TlsSide::Cluster => client_options(context, &[]).and_then(|options| {
            let connector = Connector::new(&options)?;
            connector.check_dates(now)?;
            Ok(connector.certificates())
        }),
    };
    match used {
        Err(error) => vec![TlsFinding { is_error: true, message: error.to_string() }],
        Ok(used) => {
            let soon = used.iter().filter_map(|used| expires_soon(used, now));
            soon.map(|message| TlsFinding { is_error: false, message }).collect()
        }
    }
}

/// Says so where a certificate that is shown expires within [`EXPIRES_SOON`], or has expired.
pub(crate) fn expires_soon(used: &UsedCertificate, now: SystemTime) -> Option<String> {
    let of_us = matches!(used.role, Role::Own | Role::Chain | Role::Issuer);
    let left = used.facts.not_after.duration_since(now).unwrap_or_default();
    if !of_us || left >= EXPIRES_SOON {
        return None;
    }
    let when = match left.as_secs() / (24 * 3600) {
        0 if left.is_zero() => "has expired".to_owned(),
        0 => "expires today".to_owned(),
        1 => "expires in 1 day".to_owned(),
        days => format!("expires in {days} days"),
    };
    Some(format!("the certificate `{}` in {} {when}", used.facts.subject, used.file))
}

/// What answers the handshakes of a listener.
pub(crate) fn acceptor(
    tls: &ListenerTls,
    service: &Service,
    tickets: &Tickets,
) -> Result<Acceptor, TlsError> {
    let protocols: &[Protocol] = match service {
        Service::Http(proxy) => &proxy.protocols,
        _ => &[],
    };
    let alpn = Protocol::alpn(protocols);
    let secret = tls.contexts.iter().find_map(|context| context.ticket.as_ref());
    let tickets =
        secret.map_or_else(|| tickets.clone(), |secret| Tickets::from_secret(secret.0.as_bytes()));
    Acceptor::with_contexts(merged(&tls.contexts, &alpn)?, &tickets)
}

/// The contexts; those that differ in nothing but the certificate become one with several, so that the client's
/// algorithms decide between them.
fn merged(contexts: &[TlsContext], alpn: &[&str]) -> Result<Vec<ServerOptions>, TlsError> {
    let mut all: Vec<(TlsContext, ServerOptions)> = Vec::new();
    for context in contexts {
        let rest = TlsContext { certificate: None, server_name: String::new(), ..context.clone() };
        let options = server_options(context, alpn)?;
        match all.iter_mut().find(|(other, _)| *other == rest) {
            Some((_, same)) => {
                same.certificates.extend(options.certificates);
                same.ocsp_responses.extend(options.ocsp_responses);
            }
            None => all.push((rest, options)),
        }
    }
    Ok(all.into_iter().map(|(_, options)| options).collect())
}

fn server_options(context: &TlsContext, alpn: &[&str]) -> Result<ServerOptions, TlsError> {
    let ocsp = context.certificate.as_ref().and_then(|certificate| certificate.ocsp.clone());
    let trust = || ClientTrust {
        roots: context.ca.iter().map(pem).collect(),
        subject_alt_names: context.subject_alt_names.clone(),
    };
    Ok(ServerOptions {
        certificates: pairs(context),
        ocsp_responses: ocsp.map(Pem::File).into_iter().collect(),
        alpn: protocols(context, alpn),
        versions: versions(context),
        cipher_suites: names(&context.cipher_suites)?,
        key_exchanges: names(&context.groups)?,
        client_auth: match context.client_certificate {
            ClientCertificate::None => ClientAuth::Off,
            ClientCertificate::Requested => ClientAuth::Unverified,
            ClientCertificate::Optional => ClientAuth::Optional(trust()),
            ClientCertificate::Required => ClientAuth::Required(trust()),
        },
        session_resumption: true,
        ..ServerOptions::default()
    })
}

/// What begins handshakes with the endpoints of a cluster.
pub(crate) fn connectors(
    context: &TlsContext,
    roots: &SystemRoots,
) -> Result<Connectors, TlsError> {
    let connector = |alpn: &[&str]| Connector::with_roots(&client_options(context, alpn)?, roots);
    let own: Vec<_> = context.alpn.iter().map(String::as_str).collect();
    Ok(Connectors {
        http1: connector(&["http/1.1"])?,
        http2: connector(&["h2"])?,
        bytes: connector(&own)?,
    })
}

/// Reads the files of all of them again.
pub(crate) fn reload_connectors(connectors: &Connectors) -> Result<(), TlsError> {
    [&connectors.http1, &connectors.http2, &connectors.bytes]
        .into_iter()
        .try_for_each(|c| c.reload())
}

fn client_options(context: &TlsContext, alpn: &[&str]) -> Result<ClientOptions, TlsError> {
    Ok(ClientOptions {
        system_roots: context.ca.is_none(),
        roots: context.ca.iter().map(pem).collect(),
        subject_alt_names: context.subject_alt_names.clone(),
        allow_insecure: context.insecure_skip,
        certificates: pairs(context),
        alpn: alpn.iter().map(|name| (*name).to_owned()).collect(),
        versions: versions(context),
        cipher_suites: names(&context.cipher_suites)?,
        key_exchanges: names(&context.groups)?,
        session_resumption: true,
        ..ClientOptions::default()
    })
}

/// The files that a context names.
pub(crate) fn files(context: &TlsContext) -> Vec<PathBuf> {
    let pair = context.certificate.iter().flat_map(|pair| [&pair.chain, &pair.key]);
    let pems = pair.chain(&context.ca).filter_map(|pem| match pem {
        checked::Pem::File(path) => Some(path.clone()),
        checked::Pem::Inline(_) => None,
    });
    let ocsp = context.certificate.as_ref().and_then(|certificate| certificate.ocsp.clone());
    pems.chain(ocsp).collect()
}

fn pairs(context: &TlsContext) -> Vec<KeyPair> {
    let pair = context.certificate.as_ref().map(|certificate| KeyPair {
        certificate: pem(&certificate.chain),
        key: pem(&certificate.key),
    });
    pair.into_iter().collect()
}

fn pem(pem: &checked::Pem) -> Pem {
    match pem {
        checked::Pem::File(path) => Pem::File(path.clone()),
        checked::Pem::Inline(text) => Pem::Inline(text.clone()),
    }
}

fn protocols(context: &TlsContext, default: &[&str]) -> Vec<String> {
    if context.alpn.is_empty() {
        return default.iter().map(|name| (*name).to_owned()).collect();
    }
    context.alpn.clone()
}

fn versions(context: &TlsContext) -> Versions {
    let version = |version| match version {
        checked::TlsVersion::Tls12 => Version::Tls12,
        checked::TlsVersion::Tls13 => Version::Tls13,
    };
    Versions { min: version(context.versions.min), max: version(context.versions.max) }
}

/// Cipher suites and the like by their names, which were checked already.
fn names<T: std::str::FromStr<Err = NameError>>(names: &[String]) -> Result<Vec<T>, TlsError> {
    let parsed = names.iter().map(|name| name.parse());
    parsed.collect::<Result<_, NameError>>().map_err(|error| TlsError::Other(error.to_string()))
}
