//! What went wrong in a handshake, in words that say what to do.

use std::fmt;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

/// The chain is not one of those that are pinned.
#[derive(Debug)]
pub(crate) struct PinMismatch {
    pub(crate) shown: [u8; 32],
}

impl fmt::Display for PinMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its chain is not pinned; the SHA-256 of what it showed is ")?;
        self.shown.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::error::Error for PinMismatch {}

/// None of its names is one that is asked for.
#[derive(Debug)]
pub(crate) struct NoSuchName {
    pub(crate) has: Vec<String>,
}

impl fmt::Display for NoSuchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("none of its names is allowed here (subject alternative names): ")?;
        f.write_str(if self.has.is_empty() { "it has none" } else { "it has " })?;
        f.write_str(&self.has.join(", "))
    }
}

impl std::error::Error for NoSuchName {}

/// An error with its explanation in front.
#[derive(Debug)]
struct Explained {
    text: String,
    source: Error,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Explained {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Explains why a handshake failed, or a read after it; `name` is whom a client wanted.
pub(crate) fn explain(error: io::Error, name: Option<&str>) -> io::Error {
    let kind = error.kind();
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let Some(tls) = tls else {
        if kind == io::ErrorKind::UnexpectedEof {
            let text =
                "the other side closed the connection in the middle of it (does it speak TLS?)";
            return io::Error::new(kind, text);
        }
        return error;
    };
    let text = describe(tls, name);
    io::Error::new(kind, Explained { text, source: tls.clone() })
}

/// Whether a handshake failed because the peer's certificate was not believed, or was missing: an error of
/// [`Connector::connect`](crate::Connector::connect) or [`Acceptor::accept`](crate::Acceptor::accept).
pub fn is_untrusted(error: &io::Error) -> bool {
    let explained = error.get_ref().and_then(|inner| inner.downcast_ref::<Explained>());
    explained.is_some_and(|explained| {
        matches!(explained.source, Error::InvalidCertificate(_) | Error::NoCertificatesPresented)
    })
}

fn describe(error: &Error, name: Option<&str>) -> String {
    let text = match error {
        Error::InvalidCertificate(wrong) => return certificate(wrong, name),
        Error::AlertReceived(alert) => return received(*alert),
        Error::NoCertificatesPresented => {
            "the client showed no certificate, and one is required here"
        }
        Error::NoApplicationProtocol => {
            "no protocol (ALPN) in common: the client asked only for others than those set here"
        }
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => "what came is not TLS",
        Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls13RequiredForQuic
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired,
        ) => "no version of TLS in common",
        Error::General(text) if text.starts_with("no server certificate") => {
            "there is no certificate for the name that the client asked for"
        }
        _ => return error.to_string(),
    };
    text.to_owned()
}

/// webpki shows host names as `DnsName("a.example")`.
fn plain_name(shown: &str) -> &str {
    let inner = shown.strip_prefix("DnsName(\"").and_then(|rest| rest.strip_suffix("\")"));
    inner.unwrap_or(shown)
}

fn certificate(wrong: &CertificateError, name: Option<&str>) -> String {
    use CertificateError as Wrong;
    let whose = match name {
        Some(name) => format!("the certificate of `{name}`"),
        None => "the client's certificate".to_owned(),
    };
    let what = match wrong {
        Wrong::UnknownIssuer => {
            "was issued by nobody who is trusted here: add the authority's certificate (usage \
             `verify`, or `verifyclient` for clients) if it should be"
        }
        Wrong::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            let names: Vec<_> = presented.iter().map(|name| plain_name(name)).collect();
            return format!("{whose} is for others: {}", names.join(", "));
        }
        Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => "is not for that name",
        Wrong::ExpiredContext { not_after, .. } => {
            return format!("{whose} has expired: {}", date(*not_after));
        }
        Wrong::Expired => "has expired",
        Wrong::NotValidYetContext { not_before, .. } => {
            let from = date(*not_before);
            return format!("{whose} is not valid before {from} (is the clock right?)");
        }
        Wrong::NotValidYet => "is not valid yet (is the clock right?)",
        Wrong::Revoked => "was revoked",
        Wrong::BadSignature => "is not signed with the key of the authority that it names",
        Wrong::BadEncoding => "cannot be parsed",
        Wrong::InvalidPurpose | Wrong::InvalidPurposeContext { .. } => {
            "is not meant for this purpose (extended key usage)"
        }
        Wrong::Other(other) if other.0.is::<PinMismatch>() || other.0.is::<NoSuchName>() => {
            return format!("{whose}: {}", other.0);
        }
        _ => return format!("{whose} cannot be used: {wrong}"),
    };
    format!("{whose} {what}")
}

/// An alert from the other side, with its name in the RFC.
fn received(alert: AlertDescription) -> String {
    let (name, text) = match alert {
        AlertDescription::UnknownCA => {
            ("unknown_ca", "it does not trust who issued the certificate that it was shown")
        }
        AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            ("bad_certificate", "it does not like the certificate that it was shown")
        }
        AlertDescription::CertificateExpired => {
            ("certificate_expired", "the certificate that it was shown has expired")
        }
        AlertDescription::CertificateRequired => {
            ("certificate_required", "it wants to be shown a certificate, and there is none")
        }
        AlertDescription::HandshakeFailure => {
            ("handshake_failure", "nothing in common, or it wants to be shown a certificate")
        }
        AlertDescription::ProtocolVersion => ("protocol_version", "no version of TLS in common"),
        AlertDescription::NoApplicationProtocol => {
            ("no_application_protocol", "it speaks none of the protocols (ALPN) asked for")
        }
        AlertDescription::UnrecognisedName => {
            ("unrecognized_name", "it has no certificate for that name")
        }
        AlertDescription::AccessDenied => ("access_denied", "it has no certificate for that name"),
        _ => return format!("the other side refused: {alert:?}"),
    };
    format!("the other side refused: {text} ({name})")
}

fn date(time: UnixTime) -> String {
    // What the clock's type cannot hold is far away; certificates end in the year 9999.
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(time.as_secs().min(253_402_300_799)));
    time.map(httpdate::fmt_http_date).unwrap_or_default()
}
