//! TLS contexts.

use super::table::{choices, format};
use super::{Free, Map, Status::*, Texts};

format! {
    /// Certificates, and what is asked of the peer.
    Tls {
        /// Whether TLS is spoken at all.
        status: bool, Active, "false";
        /// What else is verified: `sni_verify`.
        r#type as "type": String, Active, "";
        /// The name to ask for, and to expect in the peer's certificate.
        server_name: String, Active, "";
        /// Whom to trust: a file, or the PEM text itself.
        ca_cert: String, Active, "";
        /// The certificate: a file, or the PEM text itself.
        cert_chain: String, Active, "";
        /// Its key: a file, or the PEM text itself.
        private_key: String, Active, "";
        /// A file with an OCSP response for the certificate, which clients are shown with it.
        ocsp_response: String, Own, "";
        /// Check the peer's certificate.
        verify_client: bool, Active, "false";
        /// Ask for the peer's certificate.
        require_client_cert: bool, Active, "false";
        /// Do not check the server's certificate.
        insecure_skip: bool, Active, "false";
        /// Names with `:` between them.
        cipher_suites: String, Active, "all that are safe";
        /// `X25519MLKEM768`, `x25519`, `p256`, `p384` with `,` between them.
        ecdh_curves: String, Active, "X25519MLKEM768,x25519,p256,p384";
        /// The least version.
        min_version: TlsVersion, Active, "TLSv1_2";
        /// The highest version.
        max_version: TlsVersion, Active, "TLSv1_3";
        /// `h2`, `http/1.1`, `sofa` with `,` between them.
        alpn: String, Active, "";
        /// The key of session tickets.
        ticket: String, Active, "";
        /// Speak plain text where a certificate cannot be loaded.
        fall_back: bool, Active, "false";
        /// With `sni_verify`: `match_subject_alt_names`, of which the peer's certificate has one.
        extend_verify: Map<Free>, Active, "{}";
        /// Go functions that are called when a certificate changes.
        callbacks: Texts, Go("no replacement yet"), "[]";
        /// Where certificates come from, instead of files.
        sds_source: Sds, Active, "";
    }

    /// Certificates from a control plane.
    Sds {
        /// The certificate and its key.
        certificate_config as "CertificateConfig": SdsSecret, Active, "";
        /// Whom to trust.
        validation_config as "ValidationConfig": SdsSecret, Active, "";
    }

    /// A secret of a control plane.
    SdsSecret {
        /// Its name.
        name: String, Active, "";
        /// Where it comes from.
        sds_config as "sdsConfig": Free, Active, "";
    }
}

choices! {
    /// A version of TLS.
    TlsVersion: "TLS_AUTO", "TLSv1_0", "TLSv1_1", "TLSv1_2", "TLSv1_3";
}
