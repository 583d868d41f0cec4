//! TLS contexts. TLS is not active yet, but what is written is judged all the same.

use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{Field, Tls, TlsVersion};

/// MOSN's names (`pkg/mtls`), and those of OpenSSL for the same suites.
const CIPHERS: &[&str] = &[
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-WITH-CHACHA20-POLY1305",
    "ECDHE-RSA-WITH-CHACHA20-POLY1305",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
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
const CURVES: &[&str] = &["x25519", "p256", "p384", "p521"];
const ALPN: &[&str] = &["h2", "http/1.1", "sofa"];

/// Judges a context that is turned on; `None` for one that is not, which is plain text.
pub(super) fn check(tls: &Tls, context: &mut Context<'_>) -> Option<String> {
    if !tls.status.or(false) {
        return None;
    }
    for version in [&tls.min_version, &tls.max_version] {
        check_version(version, context);
    }
    check_list(&tls.cipher_suites, ':', CIPHERS, "cipher suite", context);
    check_list(&tls.ecdh_curves, ',', CURVES, "curve", context);
    check_list(&tls.alpn, ',', ALPN, "ALPN protocol", context);
    for file in [&tls.ca_cert, &tls.cert_chain, &tls.private_key] {
        check_file(file, context);
    }
    Some("TLS".to_owned())
}

fn check_version(version: &Field<TlsVersion>, context: &mut Context<'_>) {
    let Some((TlsVersion(name), span)) = version.spanned() else { return };
    match name.as_str() {
        "TLSv1_0" | "TLSv1_1" => {
            let message = format!(
                "{} is not safe and not spoken",
                name.replacen("v", " ", 1).replace('_', ".")
            );
            let fault = Fault::error(span, "tls-version", message);
            context.add(fault.help("use `TLSv1_2` or `TLSv1_3`, or leave the key out"));
        }
        "" => {}
        known if TlsVersion::CHOICES.contains(&known) => {}
        other => {
            let message = format!("no version of TLS is named `{other}`");
            let fault = Fault::error(span, "tls-version", message);
            context.add(fault.suggest(other, TlsVersion::CHOICES.iter().copied()));
        }
    }
}

fn check_list(
    list: &Field<String>,
    separator: char,
    known: &[&'static str],
    what: &str,
    context: &mut Context<'_>,
) {
    let Some((list, span)) = list.filled() else { return };
    for name in list.split(separator).map(str::trim).filter(|name| !name.is_empty()) {
        if known.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            continue;
        }
        let fault = Fault::error(span, "tls-name", format!("no {what} is named `{name}`"));
        context.add(fault.suggest(name, known.iter().copied()));
    }
}

/// A file that is not there is no error as long as nothing reads it.
fn check_file(file: &Field<String>, context: &mut Context<'_>) {
    let Some((file, span)) = file.filled() else { return };
    if file.starts_with("-----BEGIN") || context.file(file).exists() {
        return;
    }
    let message = "there is no such file";
    let fault = Fault::warning(span, "tls-file-missing", message);
    context.add(
        fault.help("a relative path starts at the working directory, or at the configuration's"),
    );
}
