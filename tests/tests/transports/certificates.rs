//! TLS of transports: certificates that change while tunnels are open, and what is known of clients.

use std::fs;

use rosn_tests::client::Client;
use rosn_tests::l4::{Peer, merge};
use rosn_tests::origin::{Origin, ok};
use rosn_tests::pki::Authority;
use rosn_tests::tunnel::{Link, NAME, Pair};
use rosn_tests::{Rosn, free_port, wait_until};
use serde_json::json;

use crate::reload::{is_served, passes};
use crate::tcp::open;

/// A test for each transport with TLS.
macro_rules! secure {
    ($run:path) => {
        each!($run:
            tcp "tcp+tls", tcp_http "tcp-http+tls", ws "ws+tls", http "http+tls", quic "quic+tls", mkcp "mkcp+tls",
            ds "ds+tls");
    };
}

mod rotation {
    secure!(super::files_that_change_are_read_again);
}

/// Another authority and another certificate, in the same files: new tunnels are made with them on both sides, and those
/// that are open go on.
fn files_that_change_are_read_again(name: &str) {
    let peer = Peer::new();
    let pair = Pair::tcp(Link::new(name), &peer);
    let (mut client, mut origin) = open(&pair, &peer);
    pair.link.pki().renew();
    // One that trusts nobody but the new authority.
    let port = free_port();
    let mut config = pair.near_config.clone();
    config["servers"][0]["listeners"][0]["address"] = json!(format!("127.0.0.1:{port}"));
    let _other = Rosn::start(&config);
    for port in [port, pair.port] {
        wait_until("the new certificate is shown and trusted", || is_served(port, &peer));
    }
    passes(&mut client, &mut origin);
}

mod known {
    secure!(super::what_is_known_of_clients);
}

/// As with `tls_context`: variables, `x-forwarded-client-cert`, and the expiry of the certificate in the metrics.
fn what_is_known_of_clients(name: &str) {
    let origin =
        Origin::http(|request| ok(&request.header("x-forwarded-client-cert").unwrap_or_default()));
    let authority = Authority::new("authority");
    let own = authority.issue(NAME, &[NAME], |params| {
        let uri = "spiffe://a/far".try_into().unwrap();
        params.subject_alt_names.push(rcgen::SanType::URI(uri));
    });
    let me = authority.client("me", "spiffe://a/me");
    let mut link = Link::new(name);
    link.listen["tlsSettings"] = json!({
        "verifyClientCertificate": true,
        "certificates": [
            { "certificateFile": own.certificate, "keyFile": own.key },
            { "usage": "verifyclient", "certificateFile": authority.file() },
        ],
    });
    link.dial["tlsSettings"] = json!({
        "serverName": NAME, "disableSystemRoot": true,
        "certificates": [
            { "certificateFile": me.certificate, "keyFile": me.key },
            { "usage": "verify", "certificateFile": authority.file() },
        ],
    });
    let Pair { near, far, link, port, far_port, near_config, mut far_config } =
        Pair::http(link, origin.port());
    drop((near, far));
    let listener = &mut far_config["servers"][0]["listeners"][0];
    listener["access_logs"][0]["log_format"] = json!(
        "%requested_server_name% %downstream_tls_version% %downstream_tls_cipher% \
         %downstream_peer_subject% %downstream_peer_uri_san% %request_scheme%"
    );
    merge(
        &mut listener["filter_chains"][0]["filters"][0]["config"],
        json!({ "forward_client_cert": "sanitize_set", "forward_client_cert_details": ["subject", "uri"] }),
    );
    let pair = Pair::start(link, port, far_port, near_config, far_config, &[]);
    let told = Client::connect(pair.port).get("/").text();
    assert!(told.starts_with("By=spiffe://a/far;Hash="), "{told}");
    assert!(told.ends_with(";Subject=\"CN=me\";URI=spiffe://a/me"), "{told}");
    let log = || fs::read_to_string(pair.far.folder().join("access.log")).unwrap_or_default();
    wait_until("the access log is written", || !log().is_empty());
    let line = log();
    assert!(line.starts_with(&format!("{NAME} TLSv1.3 ")), "{line}");
    assert!(line.ends_with(" CN=me spiffe://a/me https\n"), "{line}");
    // quinn does not tell which cipher suite it is.
    assert_eq!(line.contains(" TLS_"), !name.starts_with("quic"), "{line}");
    let labels = [("listener", "far"), ("file", own.certificate.to_str().unwrap())];
    let expiry = || pair.far.metric("tls_certificate_expiry_seconds", &labels);
    wait_until("its certificate is followed", || expiry() > 1e9);
}
