//! Versions of TLS.

use crate::checked::{TlsVersion, TlsVersions};
use crate::context::Context;
use crate::diagnostic::Fault;
use crate::format::{self as raw, Field};

/// The oldest and the newest version that is spoken.
pub(super) fn versions(raw: &raw::TlsSettings, context: &mut Context<'_>) -> TlsVersions {
    let default = TlsVersions::default();
    let versions = TlsVersions {
        min: version(&raw.min_version, context).unwrap_or(default.min),
        max: version(&raw.max_version, context).unwrap_or(default.max),
    };
    if versions.min > versions.max {
        let span = raw.min_version.span_or(raw.span);
        let message = "`minVersion` is above `maxVersion`";
        context.add(Fault::error(span, "tls-version", message));
    }
    versions
}

/// `1.2`, `TLS1_2` (v2ray's v5), `TLSv1_2` (MOSN's) or `TLSv1.2` (nginx's).
fn version(field: &Field<String>, context: &mut Context<'_>) -> Option<TlsVersion> {
    let (text, span) = field.filled()?;
    let plain = text.to_ascii_lowercase().replace('_', ".");
    let number = plain.strip_prefix("tls").unwrap_or(&plain);
    let number = number.strip_prefix('v').unwrap_or(number).trim();
    match number {
        "1.2" => Some(TlsVersion::Tls12),
        "1.3" => Some(TlsVersion::Tls13),
        "1.0" | "1.1" => {
            let message = format!("TLS {number} is not safe and not spoken");
            context.add(Fault::error(span, "tls-version", message).help("use `1.2` or `1.3`"));
            None
        }
        _ => {
            let message = format!("no version of TLS is named `{text}`");
            context.add(Fault::error(span, "tls-version", message).help("use `1.2` or `1.3`"));
            None
        }
    }
}
