//! Certificates of clients: none, asked for, verified, required.

use super::*;

#[test]
fn optional_and_required_certificates() {
    let (authority, stranger) = (Authority::new("a"), Authority::new("b"));
    let me = authority.client("me", "spiffe://a/me");
    let other = stranger.client("other", "spiffe://b/other");
    let pair = authority.leaf(&["one.test"]);
    let demand = |verify: bool, require: bool| {
        Site::secure(pair.context(json!({
            "ca_cert": authority.file(), "verify_client": verify, "require_client_cert": require,
        })))
    };
    let good = |said: String| said.starts_with("GET /\n");
    // Whether one without a certificate, with a good one and with one of somebody else's is let in.
    for (verify, require, expected) in [
        (false, false, [true, true, true]),
        (false, true, [true, true, true]),
        (true, false, [true, true, false]),
        (true, true, [false, true, false]),
    ] {
        let site = demand(verify, require);
        let ask = |arguments: &[&str]| good(site.curl(&authority, "one.test", arguments));
        let found = [ask(&[]), ask(&me.curl()), ask(&other.curl())];
        assert_eq!(found, expected, "verify_client {verify}, require_client_cert {require}");
        let failed = expected.iter().filter(|is_let_in| !**is_let_in).count();
        assert_eq!(site.metric("downstream_tls_failed_certificate"), failed as f64);
    }
}

/// `sni_verify`: only those with one of the names.
#[test]
fn names_in_certificates_of_clients() {
    let authority = Authority::new("a");
    let pair = authority.leaf(&["one.test"]);
    let site = Site::secure(pair.context(json!({
        "ca_cert": authority.file(), "verify_client": true, "require_client_cert": true,
        "type": "sni_verify", "extend_verify": { "match_subject_alt_names": ["spiffe://a/me"] },
    })));
    let ask = |name: &str, uri: &str| {
        site.curl(&authority, "one.test", &authority.client(name, uri).curl())
    };
    assert!(ask("me", "spiffe://a/me").starts_with("GET /\n"));
    assert!(ask("you", "spiffe://a/you").contains("curl: ("));
}
