//! TLS contexts of listeners and clusters.

use crate::checked::{
    ClientCertificate, ListenerTls, Pem, Secret, TlsCertificate, TlsContext, TlsVersion,
    TlsVersions,
};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, Decode as _, Field, Free, Tls};
use crate::text::{Node, Span, Value};

use super::pem::{is_pem, look_into};
use super::{missing, not_yet};
use crate::load::{TlsFinding, TlsSide};

/// MOSN's names of the suites that rosn has (`pkg/mtls`) and OpenSSL's, and OpenSSL's of the same.
const CIPHERS: &[(&str, &str)] = &[
    ("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ("ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
    ("ECDHE-ECDSA-WITH-CHACHA20-POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305"),
    ("ECDHE-RSA-WITH-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305"),
    ("ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"),
    ("TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"),
    ("TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
    ("TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
];
/// Those of MOSN's that rosn has not: CBC, 3DES and RSA key exchange are not safe, and there is no SM.
const NO_CIPHERS: &[&str] = &[
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
const CURVES: &[(&str, &str)] = &[
    ("X25519MLKEM768", "x25519mlkem768"),
    ("x25519", "x25519"),
    ("p256", "p256"),
    ("p384", "p384"),
];
const NO_CURVES: &[&str] = &["p521"];
const ALPN: &[(&str, &str)] = &[("h2", "h2"), ("http/1.1", "http/1.1"), ("sofa", "sofa")];

/// What a context comes to.
#[derive(Clone)]
pub(super) enum Found {
    /// It is off: plain text.
    Off,
    /// It is on. Boxed: the others are small.
    On(Box<TlsContext>),
    /// It is on, and needs something that this build does not do.
    Inactive(&'static str),
}

/// The contexts of a filter chain; an error names what is not there yet.
pub(super) fn listener(
    chain: &raw::FilterChain,
    context: &mut Context<'_>,
) -> Result<Option<ListenerTls>, &'static str> {
    if let (Some(_), Some((_, span))) = (chain.tls_context.value(), chain.tls_context_set.spanned())
    {
        let message = "`tls_context` and `tls_context_set` exclude each other";
        context.add(Fault::error(span, "both-given", message).help("remove one of them"));
    }
    let mut contexts = Vec::new();
    let mut inactive = None;
    for raw in chain.tls_context.value().into_iter().chain(chain.tls_context_set.items()) {
        match check(raw, TlsSide::Listener, context) {
            Found::Off => {}
            Found::Inactive(why) => inactive = Some(why),
            Found::On(tls) => {
                check_listener(raw, &tls, context);
                contexts.push(*tls);
            }
        }
    }
    if let Some(why) = inactive {
        return Err(why);
    }
    let fall_back = contexts.iter().any(|tls| tls.fall_back);
    Ok((!contexts.is_empty()).then_some(ListenerTls { contexts, fall_back }))
}

/// The context of a cluster.
pub(super) fn cluster(raw: &Tls, context: &mut Context<'_>) -> Found {
    let found = check(raw, TlsSide::Cluster, context);
    if let Found::On(tls) = &found
        && tls.insecure_skip
    {
        let message =
            "any certificate is taken, so that anybody on the way can read and change all";
        let fault = Fault::warning(raw.insecure_skip.span_or(raw.span), "tls-insecure", message);
        context.add(fault.help("trust the server's CA by `ca_cert`"));
    }
    found
}

fn check(raw: &Tls, side: TlsSide, context: &mut Context<'_>) -> Found {
    if !raw.status.or(false) {
        return Found::Off;
    }
    let fall_back = raw.fall_back.or(false);
    let tls = TlsContext {
        server_name: raw.server_name.text().to_owned(),
        ca: pem(&raw.ca_cert, "CERTIFICATE", fall_back, context),
        certificate: certificate(raw, fall_back, context),
        client_certificate: match (raw.verify_client.or(false), raw.require_client_cert.or(false)) {
            (false, false) => ClientCertificate::None,
            (false, true) => ClientCertificate::Requested,
            (true, false) => ClientCertificate::Optional,
            (true, true) => ClientCertificate::Required,
        },
        insecure_skip: raw.insecure_skip.or(false),
        cipher_suites: list(&raw.cipher_suites, ':', CIPHERS, NO_CIPHERS, "cipher suite", context),
        groups: list(&raw.ecdh_curves, ',', CURVES, NO_CURVES, "curve", context),
        versions: versions(raw, context),
        alpn: list(&raw.alpn, ',', ALPN, &[], "ALPN protocol", context),
        ticket: raw.ticket.filled().map(|(text, _)| Secret(text.to_owned())),
        fall_back,
        subject_alt_names: alternative_names(raw, context),
    };
    if let Some((_, span)) = raw.sds_source.spanned() {
        let what = "certificates from a control plane (SDS)";
        context.add(not_yet(span, what));
        return Found::Inactive(what);
    }
    let has_certificate = side == TlsSide::Cluster || tls.certificate.is_some();
    if has_certificate && is_readable(&tls) {
        judge(raw, &tls, side, context);
    }
    Found::On(Box::new(tls))
}

/// Whether there is no fault in the files that was reported already.
fn is_readable(tls: &TlsContext) -> bool {
    let fits = |pem: &Pem, kind| match pem {
        Pem::File(path) => look_into(path, kind).is_ok(),
        Pem::Inline(text) => is_pem(text, kind),
    };
    tls.ca.as_ref().is_none_or(|ca| fits(ca, "CERTIFICATE"))
        && tls.certificate.as_ref().is_none_or(|pair| {
            fits(&pair.chain, "CERTIFICATE")
                && fits(&pair.key, "PRIVATE KEY")
                && pair.ocsp.as_ref().is_none_or(|path| path.exists())
        })
}

/// Reports what is wrong with the certificates, at the key that names the file.
fn judge(raw: &Tls, tls: &TlsContext, side: TlsSide, context: &mut Context<'_>) {
    for TlsFinding { is_error, message } in (context.options.tls)(tls, side) {
        let keys = [&raw.private_key, &raw.cert_chain, &raw.ca_cert, &raw.ocsp_response];
        let named = keys.into_iter().filter_map(Field::filled).find(|(text, _)| {
            let path = context.file(text);
            !text.contains("-----BEGIN") && message.contains(&*path.to_string_lossy())
        });
        let span = named.map_or(raw.span, |(_, span)| span);
        context.add(match is_error {
            true => fault(span, "tls-certificate", message, tls.fall_back),
            false => Fault::warning(span, "tls-expiry", message),
        });
    }
}

fn check_listener(raw: &Tls, tls: &TlsContext, context: &mut Context<'_>) {
    let given = [&raw.cert_chain, &raw.private_key].iter().any(|field| !field.is_absent());
    if tls.certificate.is_none() && !given {
        let message = "a listener with TLS needs a certificate, and this one has none to show";
        let fault = fault(raw.span, "tls-certificate", message.to_owned(), tls.fall_back);
        context.add(fault.help("add `cert_chain` and `private_key`"));
    }
    let verifies =
        matches!(tls.client_certificate, ClientCertificate::Optional | ClientCertificate::Required);
    if verifies && tls.ca.is_none() && raw.ca_cert.is_absent() {
        let span = raw.verify_client.span_or(raw.span);
        let message = "clients cannot be verified: nothing says whom to trust";
        context.add(Fault::error(span, "tls-certificate", message).help("add `ca_cert`"));
    }
    if !verifies && !tls.subject_alt_names.is_empty() {
        let message = "the names of clients are verified only with `verify_client`";
        context.add(Fault::error(raw.r#type.span_or(raw.span), "tls-verification", message));
    }
}

/// A fault that is only a warning where plain text is spoken instead.
fn fault(span: Span, code: &'static str, message: String, fall_back: bool) -> Fault {
    if fall_back {
        Fault::warning(span, code, format!("{message}; by `fall_back` plain text is spoken"))
    } else {
        Fault::error(span, code, message)
    }
}

fn certificate(raw: &Tls, fall_back: bool, context: &mut Context<'_>) -> Option<TlsCertificate> {
    let chain = pem(&raw.cert_chain, "CERTIFICATE", fall_back, context);
    let key = pem(&raw.private_key, "PRIVATE KEY", fall_back, context);
    let ocsp = raw.ocsp_response.filled().map(|(name, span)| (context.file(name), span));
    if let Some((path, span)) = &ocsp
        && let Err(error) = std::fs::metadata(path)
    {
        let message = format!("{} cannot be read: {error}", path.display());
        context.add(fault(*span, "tls-file", message, fall_back));
    }
    for (there, absent, key) in
        [(&key, &raw.cert_chain, "cert_chain"), (&chain, &raw.private_key, "private_key")]
    {
        if there.is_some() && absent.filled().is_none() && !matches!(absent, Field::Faulty) {
            missing(raw.span, key, context);
        }
    }
    Some(TlsCertificate { chain: chain?, key: key?, ocsp: ocsp.map(|(path, _)| path) })
}

/// A file, or the text itself.
fn pem(
    field: &Field<String>,
    kind: &str,
    fall_back: bool,
    context: &mut Context<'_>,
) -> Option<Pem> {
    let (text, span) = field.filled()?;
    if text.trim_start().starts_with("-----BEGIN") {
        if !is_pem(text, kind) {
            let message = format!("this is no PEM with a {kind}");
            context.add(fault(span, "tls-pem", message, fall_back));
        }
        return Some(Pem::Inline(text.to_owned()));
    }
    let path = context.file(text);
    if let Err(error) = look_into(&path, kind) {
        let message = match is_file_name(text) {
            true => format!("{} {error}", path.display()),
            false => format!("the file {error}"),
        };
        context
            .add(fault(span, "tls-file", message, fall_back).help(
                "a relative path starts at the working directory, or at the configuration's",
            ));
    }
    Some(Pem::File(path))
}

/// Whether it may be shown: what somebody took for the key itself has no extension (base64 has no dots).
fn is_file_name(text: &str) -> bool {
    text.contains('.') && !text.contains(char::is_whitespace)
}

fn versions(raw: &Tls, context: &mut Context<'_>) -> TlsVersions {
    let default = TlsVersions::default();
    let versions = TlsVersions {
        min: version(&raw.min_version, context).unwrap_or(default.min),
        max: version(&raw.max_version, context).unwrap_or(default.max),
    };
    if versions.min > versions.max {
        let span = raw.min_version.span_or(raw.span);
        let message = "`min_version` is above `max_version`";
        context.add(Fault::error(span, "tls-version", message));
    }
    versions
}

fn version(field: &Field<raw::TlsVersion>, context: &mut Context<'_>) -> Option<TlsVersion> {
    let (raw::TlsVersion(name), span) = field.spanned()?;
    match name.as_str() {
        "TLSv1_2" => return Some(TlsVersion::Tls12),
        "TLSv1_3" => return Some(TlsVersion::Tls13),
        "TLSv1_0" | "TLSv1_1" => {
            let message = format!(
                "{} is not safe and not spoken",
                name.replacen("v", " ", 1).replace('_', ".")
            );
            let fault = Fault::error(span, "tls-version", message);
            context.add(fault.help("use `TLSv1_2` or `TLSv1_3`, or leave the key out"));
        }
        "" | "TLS_AUTO" => {}
        other => {
            let message = format!("no version of TLS is named `{other}`");
            let fault = Fault::error(span, "tls-version", message);
            context.add(fault.suggest(other, raw::TlsVersion::CHOICES.iter().copied()));
        }
    }
    None
}

/// The names of a list, each as rosn calls it, without those that it does not have.
fn list(
    field: &Field<String>,
    separator: char,
    known: &[(&'static str, &'static str)],
    unavailable: &[&str],
    what: &str,
    context: &mut Context<'_>,
) -> Vec<String> {
    let Some((text, span)) = field.filled() else { return Vec::new() };
    let mut all = Vec::new();
    let (mut sound, mut left_out) = (true, Vec::new());
    for name in text.split(separator).map(str::trim).filter(|name| !name.is_empty()) {
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        if let Some((_, own)) = known.iter().find(|(known, _)| is(known)) {
            if !all.iter().any(|there| there == own) {
                all.push((*own).to_owned());
            }
        } else if unavailable.iter().any(|known| is(known)) {
            left_out.push(name);
        } else {
            sound = false;
            let fault = Fault::error(span, "tls-name", format!("no {what} is named `{name}`"));
            context.add(fault.suggest(name, known.iter().map(|(known, _)| *known)));
        }
    }
    if !left_out.is_empty() {
        let message = format!("rosn does not have the {what} `{}`", left_out.join("`, `"));
        let fault = if all.is_empty() && sound {
            Fault::error(span, "tls-name", message)
        } else {
            Fault::warning(span, "tls-name", format!("{message}; the others are spoken"))
        };
        let names: Vec<_> = known.iter().map(|(known, _)| *known).collect();
        context.add(fault.help(format!("there are {}", names.join(", "))));
    }
    all
}

/// The names of MOSN's extension `sni_verify`. Another one that verifies must not be left out in silence.
fn alternative_names(raw: &Tls, context: &mut Context<'_>) -> Vec<String> {
    let Some((kind, span)) = raw.r#type.filled() else { return Vec::new() };
    if kind != "sni_verify" {
        let message = format!("no verification is named `{kind}`, and nothing is left unverified");
        context.add(Fault::error(span, "tls-verification", message).suggest(kind, ["sni_verify"]));
        return Vec::new();
    }
    let key = "match_subject_alt_names";
    let config = raw.extend_verify.value();
    let Some((_, place, Free(node))) =
        config.and_then(|config| config.0.iter().find(|(name, ..)| &**name == key))
    else {
        let message = format!("`sni_verify` verifies nothing without `extend_verify.{key}`");
        context.add(Fault::error(span, "missing-key", message));
        return Vec::new();
    };
    let names = texts(node, context);
    if names.is_empty() {
        context.add(Fault::error(*place, "missing-key", format!("`{key}` is empty")));
    }
    names
}

/// A text, or a list of texts.
fn texts(node: &Node, context: &mut Context<'_>) -> Vec<String> {
    match &node.value {
        Value::String(_) => String::decode(node, context).into_iter().collect(),
        _ => Vec::<String>::decode(node, context).unwrap_or_default(),
    }
}
