//! Certificates that change while rosn runs.

use std::io::Write as _;
use std::process::{Child, Stdio};

use rosn_tests::wait_until;

use super::*;

/// The serial number of the certificate that the port shows.
fn serial(port: u16) -> String {
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("shown.pem");
    std::fs::write(&pem, openssl(port, &["-servername", "one.test"])).unwrap();
    text(&run(program("openssl").args(["x509", "-noout", "-serial", "-in"]).arg(&pem)))
}

/// A client that has asked once and stays connected.
fn connected(port: u16) -> (Child, std::process::ChildStdin) {
    let mut openssl = program("openssl");
    openssl.args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}")]);
    openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = openssl.spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    (child, stdin)
}

/// New files hold for new connections; those that are open stay.
#[test]
fn a_rotation_keeps_connections() {
    let authority = Authority::new("a");
    let pair = authority.leaf(&["one.test"]);
    let site = Site::secure(pair.context(json!({})));
    let first = serial(site.port);
    let labels = [("listener", "site"), ("file", pair.certificate.to_str().unwrap())];
    let expiry = || site.rosn.metric("tls_certificate_expiry_seconds", &labels);
    wait_until("its files are followed", || expiry() > 1e9);
    let (client, mut asks) = connected(site.port);
    wait_until("it is connected", || site.rosn.active().0 == 1);
    // As Kubernetes does it: the certificate and the key do not come at the same moment.
    let next = authority.issue("next", &["one.test"], |_| {});
    std::fs::rename(&next.certificate, &pair.certificate).unwrap();
    std::fs::rename(&next.key, &pair.key).unwrap();
    wait_until("the new certificate is shown", || serial(site.port) != first);
    asks.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let answer = client.wait_with_output().unwrap();
    assert!(text(&answer).contains("GET /"), "the old connection goes on");
    wait_until("it is said", || site.rosn.log().contains("were read again"));
}

/// A broken file is a warning, and the old certificate stays.
#[test]
fn what_is_broken_is_not_taken() {
    let authority = Authority::new("a");
    let pair = authority.leaf(&["one.test"]);
    let site = Site::secure(pair.context(json!({})));
    let first = serial(site.port);
    let other = authority.leaf(&["two.test"]);
    std::fs::rename(&other.key, &pair.key).unwrap();
    wait_until("it is said", || site.rosn.log().contains("stay as they were"));
    assert!(site.rosn.log().contains("does not belong"), "{}", site.rosn.log());
    assert_eq!(serial(site.port), first);
}

/// A listener that fell back to plain text speaks TLS once it can.
#[test]
fn falling_back_ends() {
    let authority = Authority::new("a");
    let pair = authority.leaf(&["one.test"]);
    let kept = std::fs::read(&pair.key).unwrap();
    std::fs::remove_file(&pair.key).unwrap();
    let site = Site::secure(pair.context(json!({ "fall_back": true })));
    assert_eq!(rosn_tests::client::Client::connect(site.port).get("/").status, 200);
    std::fs::write(&pair.key, kept).unwrap();
    wait_until("it speaks TLS", || site.curl(&authority, "one.test", &[]).starts_with("GET /\n"));
}

/// A cluster shows its new certificate, and trusts its new authority.
#[test]
fn clusters_read_theirs_again() {
    let (authority, next) = (Authority::new("a"), Authority::new("b"));
    let far = Site::secure(next.leaf(&["one.test"]).context(json!({})));
    let port = free_port();
    let trusted = authority.file();
    let mut cluster = cluster("c", &[far.port]);
    cluster["tls_context"] =
        json!({ "status": true, "ca_cert": trusted, "server_name": "one.test" });
    let near = Rosn::start(&config(
        &[http_listener("near", port, "r")],
        &[router_to("r", "c")],
        &[cluster],
    ));
    let status = || rosn_tests::client::Client::connect(port).get("/").status;
    assert_eq!(status(), 502);
    std::fs::copy(next.file(), &trusted).unwrap();
    wait_until("the new authority is trusted", || status() == 200);
    near.settled();
}
