//! TLS to clusters.

use super::*;

/// A plain rosn whose cluster is a site with TLS.
fn before(far: &Site, tls: Value, host: Value) -> (Rosn, u16) {
    let port = free_port();
    let mut cluster = cluster("c", &[far.port]);
    cluster["tls_context"] = tls;
    merge(&mut cluster["hosts"][0], host);
    let log = json!({ "access_logs": [{ "log_path": "access.log",
        "log_format": "%response_code% %response_code_details% %upstream_tls_time%" }] });
    let listener = rosn_tests::l4::with(http_listener("near", port, "r"), log);
    let rosn = Rosn::start(&config(&[listener], &[router_to("r", "c")], &[cluster]));
    (rosn, port)
}

fn get(port: u16) -> rosn_tests::client::Response {
    rosn_tests::client::Client::connect(port).get("/")
}

#[test]
fn whom_a_cluster_trusts() {
    let (authority, stranger) = (Authority::new("a"), Authority::new("b"));
    let far = Site::secure(authority.leaf(&["one.test", "127.0.0.1"]).context(json!({})));
    for (tls, host, expected) in [
        (json!({ "ca_cert": authority.file(), "server_name": "one.test" }), json!({}), 200),
        (json!({ "ca_cert": authority.file() }), json!({ "hostname": "one.test" }), 200),
        (json!({ "ca_cert": authority.file() }), json!({}), 200), // by its address
        (json!({ "ca_cert": authority.file(), "server_name": "two.test" }), json!({}), 502),
        (json!({ "ca_cert": stranger.file(), "server_name": "one.test" }), json!({}), 502),
        (json!({ "server_name": "one.test" }), json!({}), 502), // the system knows neither
        (json!({ "insecure_skip": true }), json!({}), 200),
        (
            json!({ "ca_cert": authority.file(), "type": "sni_verify",
                "extend_verify": { "match_subject_alt_names": ["one.test"] } }),
            json!({}),
            200,
        ),
    ] {
        let mut context = tls.clone();
        merge(&mut context, json!({ "status": true }));
        let (near, port) = before(&far, context, host);
        assert_eq!(get(port).status, expected, "{tls}");
        let log = near.folder().join("access.log");
        let line = || std::fs::read_to_string(&log).unwrap_or_default();
        rosn_tests::wait_until("the access log is written", || !line().is_empty());
        match expected {
            200 => assert!(!line().trim_end().ends_with('-'), "{}", line()),
            _ => assert!(line().contains("upstream_tls_failure"), "{}", line()),
        }
    }
}

/// A client's certificate of the cluster; and a host without TLS.
#[test]
fn mutual_tls_and_a_plain_host() {
    let authority = Authority::new("a");
    let far = Site::secure(authority.leaf(&["one.test"]).context(json!({
        "ca_cert": authority.file(), "verify_client": true, "require_client_cert": true,
    })));
    let me = authority.client("me", "spiffe://a/me");
    let trust = json!({ "ca_cert": authority.file(), "server_name": "one.test" });
    let (near, port) = before(&far, me.context(trust.clone()), json!({}));
    assert_eq!(get(port).status, 200);
    near.settled();
    let (_near, port) =
        before(&far, rosn_tests::l4::with(trust, json!({ "status": true })), json!({}));
    assert_eq!(get(port).status, 502, "it has no certificate to show");
    let plain = Site::new(json!({}), json!({}), json!({}));
    let (_near, port) = before(
        &plain,
        json!({ "status": true, "ca_cert": authority.file() }),
        json!({ "tls_disable": true }),
    );
    assert_eq!(get(port).status, 200);
}

/// What is spoken decides what is offered: an endpoint that would take HTTP/2 gets HTTP/1.1 where that is wanted.
#[test]
fn alpn_follows_the_protocol() {
    let authority = Authority::new("a");
    let auto = json!({ "downstream_protocol": "Auto", "upstream_protocol": "Http1" });
    let log = json!({ "access_logs": [{ "log_path": "access.log", "log_format": "%protocol%" }] });
    let chain = json!({ "tls_context": authority.leaf(&["one.test"]).context(json!({})) });
    let far = Site::new(chain, auto, log);
    let tls = json!({ "status": true, "ca_cert": authority.file(), "server_name": "one.test" });
    for protocol in ["Http1", "Http2"] {
        let port = free_port();
        let mut cluster = cluster("c", &[far.port]);
        cluster["tls_context"] = tls.clone();
        let mut listener = http_listener("near", port, "r");
        listener["filter_chains"][0]["filters"][0]["config"]["upstream_protocol"] = json!(protocol);
        let near = Rosn::start(&config(&[listener], &[router_to("r", "c")], &[cluster]));
        assert_eq!(get(port).status, 200, "{protocol}");
        let read =
            || std::fs::read_to_string(far.rosn.folder().join("access.log")).unwrap_or_default();
        rosn_tests::wait_until("the far side has logged it", || {
            read().contains(match protocol {
                "Http1" => "Http1",
                _ => "Http2",
            })
        });
        drop(near);
    }
}

/// A peer that never answers a handshake takes no longer than `connect_timeout`.
#[test]
fn a_handshake_that_never_ends() {
    let silent = rosn_tests::l4::Peer::new();
    let port = free_port();
    let mut cluster = cluster("c", &[silent.port()]);
    cluster["tls_context"] = json!({ "status": true, "insecure_skip": true });
    cluster["connect_timeout"] = json!("100ms");
    let log = json!({ "access_logs": [{ "log_path": "access.log", "log_format": "%response_code_details%" }] });
    let listener = rosn_tests::l4::with(http_listener("near", port, "r"), log);
    let near = Rosn::start(&config(&[listener], &[router_to("r", "c")], &[cluster]));
    assert_eq!(get(port).status, 504);
    let read = || std::fs::read_to_string(near.folder().join("access.log")).unwrap_or_default();
    rosn_tests::wait_until("it is logged", || read().contains("upstream_tls_timeout"));
}
