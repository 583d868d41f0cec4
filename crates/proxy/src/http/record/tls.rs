//! What TLS says of the client, as variables.

use rosn_config::Variable;

use super::{View, put, show};

impl View<'_> {
    /// What TLS says of the client.
    pub(super) fn write_tls(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let Some(session) = &self.info.tls else { return false };
        match variable {
            Variable::RequestedServerName => {
                return put(out, session.server_name().map(str::as_bytes));
            }
            Variable::DownstreamTlsVersion => {
                return session.version().is_some_and(|version| show(out, version));
            }
            Variable::DownstreamTlsCipher => {
                return session.cipher_suite().is_some_and(|suite| show(out, suite));
            }
            _ => {}
        }
        let Some(peer) = session.peer_certificate() else { return false };
        match variable {
            Variable::DownstreamPeerFingerprint256 => return show(out, peer.fingerprint_hex()),
            Variable::DownstreamPeerCert => return show(out, peer.pem_url_encoded()),
            _ => {}
        }
        let Some(facts) = peer.facts() else { return false };
        match variable {
            Variable::DownstreamPeerSubject => show(out, &facts.subject),
            Variable::DownstreamPeerIssuer => show(out, &facts.issuer),
            Variable::DownstreamPeerSerial => show(out, &facts.serial),
            Variable::DownstreamPeerUriSan => {
                !facts.uris.is_empty() && show(out, facts.uris.join(","))
            }
            Variable::DownstreamPeerDnsSan => {
                !facts.dns_names.is_empty() && show(out, facts.dns_names.join(","))
            }
            _ => false,
        }
    }
}
