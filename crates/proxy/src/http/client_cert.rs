//! `x-forwarded-client-cert`: who the client is by its certificate, told to the upstream in Envoy's form.
//!
//! An element is `By=…;Hash=…;Subject="…";URI=…`, elements are separated by commas, the nearest client's last. What stands
//! in a certificate is the client's choice: whatever could be taken for more than one value is quoted.

use rosn_config::checked::{ClientCertDetails, ClientCertMode, ForwardClientCert};
use rosn_h1::Name;
use rosn_tls::{CertificateFacts, PeerCertificate, Session};

use super::headers::Fields;

/// What happens to the header of one request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Forwarded {
    /// The client's own header goes on as it is.
    pub(super) keeps: bool,
    /// This goes on in its place.
    pub(super) value: Option<Vec<u8>>,
}

impl Forwarded {
    /// Only a client whose certificate was verified has said who it is. `By` is the URI in the certificate that it was
    /// shown.
    pub(super) fn new(
        config: &ForwardClientCert,
        session: Option<&Session>,
        request: Fields<'_>,
    ) -> Self {
        let by = session.and_then(Session::own_uri);
        let peer = session.and_then(Session::peer_certificate);
        let Some(peer) = peer.filter(|peer| peer.is_verified()) else {
            return Self { keeps: config.mode == ClientCertMode::AlwaysForwardOnly, value: None };
        };
        match config.mode {
            ClientCertMode::Sanitize => Self::default(),
            ClientCertMode::ForwardOnly | ClientCertMode::AlwaysForwardOnly => {
                Self { keeps: true, value: None }
            }
            ClientCertMode::SanitizeSet => {
                let mut value = Vec::new();
                element(peer, by, config.details, &mut value);
                Self { keeps: false, value: Some(value) }
            }
            ClientCertMode::AppendForward => {
                let mut value = Vec::new();
                for field in request.fields.iter().filter(|field| is_one(field.id)) {
                    value.extend_from_slice(field.value.of(request.bytes));
                    value.push(b',');
                }
                element(peer, by, config.details, &mut value);
                Self { keeps: false, value: Some(value) }
            }
        }
    }
}

/// Whether this is the header.
pub(super) fn is_one(name: Name) -> bool {
    name == Name::XForwardedClientCert
}

fn element(
    peer: &PeerCertificate,
    by: Option<&str>,
    details: ClientCertDetails,
    out: &mut Vec<u8>,
) {
    if let Some(by) = by {
        pair("By", by, out);
    }
    pair("Hash", &peer.fingerprint_hex(), out);
    if details.cert {
        quoted("Cert", &peer.pem_url_encoded(), out);
    }
    if details.chain {
        quoted("Chain", &peer.chain_pem_url_encoded(), out);
    }
    if let Some(facts) = peer.facts() {
        names(facts, details, out);
    }
}

fn names(facts: &CertificateFacts, details: ClientCertDetails, out: &mut Vec<u8>) {
    if details.subject {
        quoted("Subject", &facts.subject, out);
    }
    let uris = facts.uris.iter().filter(|_| details.uri);
    uris.for_each(|uri| pair("URI", uri, out));
    let names = facts.dns_names.iter().filter(|_| details.dns);
    names.for_each(|name| pair("DNS", name, out));
}

/// A key and its value, quoted where it could be taken for more than that.
fn pair(key: &str, value: &str, out: &mut Vec<u8>) {
    if value.bytes().any(|byte| b",;=\"\\ ".contains(&byte)) {
        return quoted(key, value, out);
    }
    separate(out);
    out.extend_from_slice(format!("{key}={value}").as_bytes());
}

fn quoted(key: &str, value: &str, out: &mut Vec<u8>) {
    separate(out);
    out.extend_from_slice(format!("{key}=\"").as_bytes());
    for byte in value.bytes() {
        if byte == b'"' || byte == b'\\' {
            out.push(b'\\');
        }
        // Nothing that could end the line; such names are not read from certificates anyway.
        out.push(if byte.is_ascii_control() { b'?' } else { byte });
    }
    out.push(b'"');
}

fn separate(out: &mut Vec<u8>) {
    if out.last().is_some_and(|last| *last != b',') {
        out.push(b';');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_be_taken_for_more() {
        let mut out = Vec::new();
        pair("Hash", "ab", &mut out);
        pair("URI", "spiffe://a/me", &mut out);
        pair("URI", "spiffe://a;URI=spiffe://root", &mut out);
        pair("DNS", "a\",By=x", &mut out);
        quoted("Subject", "CN=a \"b\"\r\nX: y\\", &mut out);
        let expected = r#"Hash=ab;URI=spiffe://a/me;URI="spiffe://a;URI=spiffe://root";DNS="a\",By=x";Subject="CN=a \"b\"??X: y\\""#;
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn without_a_certificate_nobody_is_believed() {
        let none = Fields { bytes: b"", fields: &[] };
        for (mode, keeps) in [
            (ClientCertMode::Sanitize, false),
            (ClientCertMode::ForwardOnly, false),
            (ClientCertMode::AppendForward, false),
            (ClientCertMode::SanitizeSet, false),
            (ClientCertMode::AlwaysForwardOnly, true),
        ] {
            let config = ForwardClientCert { mode, ..ForwardClientCert::default() };
            let found = Forwarded::new(&config, None, none);
            assert_eq!(found, Forwarded { keeps, value: None }, "{mode:?}");
        }
    }
}
