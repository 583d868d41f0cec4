//! `tlsSettings`.

use base64::Engine;

use crate::checked::{Certificate, CertificateUsage, Pem, TlsSettings};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, Field, OneOrMany};

use super::super::missing;
use super::super::pem::{is_pem, look_into};
use super::{Side, choice, tls_version};

/// What `tlsSettings` says; all defaults where there is none.
pub(super) fn settings(
    raw: &raw::StreamSettings,
    side: Side,
    context: &mut Context<'_>,
) -> Option<TlsSettings> {
    let absent = raw::TlsSettings { span: raw.span, ..raw::TlsSettings::default() };
    let tls = match &raw.tls_settings {
        Field::Faulty => return None,
        field => field.value().unwrap_or(&absent),
    };
    let certificates = certificates(tls, side, context);
    let settings = TlsSettings {
        server_name: server_name(tls, context),
        alpn: alpn(tls, context),
        allow_insecure: tls.allow_insecure.or(false),
        disable_system_root: tls.disable_system_root.or(false),
        session_resumption: tls.enable_session_resumption.or(false),
        pinned: pinned(tls, context),
        verify_client: tls.verify_client_certificate.or(false),
        versions: tls_version::versions(tls, context),
        certificates,
    };
    for field in [&tls.ech_config, &tls.ech_doh_server] {
        if let Some((_, span)) = field.filled() {
            let message = "an encrypted client hello is not supported";
            context.add(Fault::error(span, "not-supported", message));
        }
    }
    match side {
        Side::Listener => check_listener(tls, &settings, context),
        Side::Cluster => check_cluster(tls, &settings, context),
    }
    Some(settings)
}

fn check_listener(raw: &raw::TlsSettings, tls: &TlsSettings, context: &mut Context<'_>) {
    let has = |usage| tls.certificates.iter().any(|certificate| certificate.usage == usage);
    let faulty = matches!(raw.certificates, Field::Faulty)
        || tls.certificates.len() < raw.certificates.items().len();
    if !has(CertificateUsage::Encipherment) && !has(CertificateUsage::Issue) && !faulty {
        let message = "a listener with TLS needs a certificate, and this one has none to show";
        let fault = Fault::error(raw.certificates.span_or(raw.span), "tls-certificate", message);
        context.add(
            fault.help("add one to `tlsSettings.certificates`: `certificateFile` and `keyFile`"),
        );
    }
    if tls.verify_client && !has(CertificateUsage::VerifyClient) && !faulty {
        let span = raw.verify_client_certificate.span_or(raw.span);
        let message = "clients cannot be verified: no certificate says whom to trust";
        let fault = Fault::error(span, "tls-certificate", message);
        context.add(fault.help("add a certificate with `\"usage\": \"verifyclient\"`"));
    }
}

fn check_cluster(raw: &raw::TlsSettings, tls: &TlsSettings, context: &mut Context<'_>) {
    if tls.allow_insecure {
        let span = raw.allow_insecure.span_or(raw.span);
        let message =
            "any certificate is taken, so that anybody on the way can read and change all";
        let fault = Fault::warning(span, "tls-insecure", message);
        context
            .add(fault.help("trust the server's CA: `certificates` with `\"usage\": \"verify\"`"));
        return;
    }
    let trusts = tls.certificates.iter().any(|one| one.usage == CertificateUsage::Verify);
    let whole = tls.certificates.len() == raw.certificates.items().len();
    if tls.disable_system_root && !trusts && whole && !matches!(raw.certificates, Field::Faulty) {
        let span = raw.disable_system_root.span_or(raw.span);
        let message = "no server can be verified: without those of the system nobody is trusted";
        let fault = Fault::error(span, "tls-certificate", message);
        context.add(fault.help("add a certificate with `\"usage\": \"verify\"`"));
    }
}

fn server_name(raw: &raw::TlsSettings, context: &mut Context<'_>) -> String {
    let Some((name, span)) = raw.server_name.filled() else { return String::new() };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if !name.chars().all(fits) || name.len() > 253 {
        let message = "this is neither a host name nor an IP address";
        context.add(Fault::error(span, "bad-host", message));
    }
    name.to_owned()
}

fn alpn(raw: &raw::TlsSettings, context: &mut Context<'_>) -> Vec<String> {
    let mut all = Vec::new();
    for name in raw.alpn.value().map(|names| names.0.as_slice()).unwrap_or_default() {
        if name.value.is_empty() || name.value.len() > 255 {
            let message = "the name of a protocol has 1 to 255 bytes";
            context.add(Fault::error(name.span, "bad-alpn", message));
        }
        all.push(name.value.clone());
    }
    all
}

fn pinned(raw: &raw::TlsSettings, context: &mut Context<'_>) -> Vec<[u8; 32]> {
    let mut all = Vec::new();
    for text in raw.pinned.items() {
        let bytes = base64::engine::general_purpose::STANDARD.decode(&text.value).ok();
        match bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
            Some(hash) => all.push(hash),
            None => {
                let message = "expected the 32 bytes of a SHA-256 in base64";
                context.add(Fault::error(text.span, "bad-hash", message));
            }
        }
    }
    all
}

fn certificates(raw: &raw::TlsSettings, side: Side, context: &mut Context<'_>) -> Vec<Certificate> {
    let only_verify = raw.disable_system_root.or(false);
    let each = raw.certificates.items().iter();
    each.filter_map(|raw| certificate(raw, side, only_verify, context)).collect()
}

fn certificate(
    raw: &raw::TlsCertificate,
    side: Side,
    only_verify: bool,
    context: &mut Context<'_>,
) -> Option<Certificate> {
    const USAGES: &[&str] = raw::CertificateUsage::CHOICES;
    let usage = match raw.usage.spanned() {
        Some((usage, span)) => choice(&usage.0, span, USAGES, "usage of certificates", context)?,
        None => "encipherment",
    };
    let certificate = pem(&raw.certificate_file, &raw.certificate, "CERTIFICATE", context);
    let key = pem(&raw.key_file, &raw.key, "PRIVATE KEY", context);
    if certificate.is_none()
        && !matches!(raw.certificate_file, Field::Faulty)
        && !matches!(raw.certificate, Field::Faulty)
    {
        missing(raw.span, "certificateFile", context);
    }
    let mut usage = match usage {
        "verify" => CertificateUsage::Verify,
        "verifyclient" => CertificateUsage::VerifyClient,
        "issue" => CertificateUsage::Issue,
        _ => CertificateUsage::Encipherment,
    };
    let needs_key = matches!(usage, CertificateUsage::Encipherment | CertificateUsage::Issue);
    let has_key =
        key.is_some() || matches!(raw.key_file, Field::Faulty) || matches!(raw.key, Field::Faulty);
    if needs_key && !has_key {
        // v2ray's dialer trusts every certificate, whatever its usage, unless it trusts only `verify`.
        if side == Side::Cluster && !only_verify && usage == CertificateUsage::Encipherment {
            usage = CertificateUsage::Verify;
            let message =
                "this certificate has no key: it counts as one with `\"usage\": \"verify\"`";
            context.add(Fault::notice(raw.span, "tls-certificate", message));
        } else {
            missing(raw.span, "keyFile", context);
        }
    }
    Some(Certificate { usage, certificate: certificate?, key })
}

/// PEM from a file or in the configuration itself; files are looked into, so that a fault shows at once.
fn pem(
    file: &Field<String>,
    inline: &Field<OneOrMany>,
    kind: &str,
    context: &mut Context<'_>,
) -> Option<Pem> {
    if let Some((name, span)) = file.filled() {
        let path = context.file(name);
        if let Err(error) = look_into(&path, kind) {
            let message = format!("{} {error}", path.display());
            let fault = Fault::error(span, "tls-file", message);
            context.add(fault.help(
                "a relative path starts at the working directory, or at the configuration's",
            ));
        }
        return Some(Pem::File(path));
    }
    let (lines, span) = inline.spanned()?;
    let lines: Vec<&str> = lines.0.iter().map(|line| line.value.as_str()).collect();
    let text = lines.join("\n");
    if text.is_empty() {
        return None;
    }
    if !is_pem(&text, kind) {
        context.add(Fault::error(span, "tls-pem", format!("this is no PEM with a {kind}")));
    }
    Some(Pem::Inline(text))
}
