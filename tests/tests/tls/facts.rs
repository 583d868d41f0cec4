//! What is known of TLS: variables, the access log, `x-forwarded-client-cert`, redirects.

use super::*;

/// A site with client certificates where they are given.
fn site(authority: &Authority, proxy: Value, log_format: &str) -> Site {
    let own = authority.issue("one.test", &["one.test"], |params| {
        let uri = "spiffe://a/proxy".try_into().unwrap();
        params.subject_alt_names.push(rcgen::SanType::URI(uri));
    });
    let context = own.context(json!({ "ca_cert": authority.file(), "verify_client": true }));
    let log = json!({ "access_logs": [{ "log_path": "access.log", "log_format": log_format }] });
    Site::new(json!({ "tls_context": context }), proxy, log)
}

/// The access log, once it has a line.
fn log(site: &Site) -> String {
    let read =
        || std::fs::read_to_string(site.rosn.folder().join("access.log")).unwrap_or_default();
    rosn_tests::wait_until("the access log is written", || !read().is_empty());
    read()
}

#[test]
fn variables() {
    let authority = Authority::new("authority");
    let format = "%requested_server_name% %downstream_tls_version% %downstream_tls_cipher% \
        %downstream_peer_subject% %downstream_peer_issuer% %downstream_peer_uri_san% \
        %downstream_peer_dns_san% %request_scheme%";
    let me = authority.client("me", "spiffe://a/me");
    let with = site(&authority, json!({}), format);
    assert!(with.curl(&authority, "one.test", &me.curl()).starts_with("GET /\n"));
    let suites =
        ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"];
    let line = log(&with);
    let suite = suites.iter().find(|suite| line.contains(*suite)).expect(&line);
    let expected =
        format!("one.test TLSv1.3 {suite} CN=me CN=authority spiffe://a/me me.test https\n");
    assert_eq!(line, expected);
    let without = site(&authority, json!({}), format);
    assert!(without.curl(&authority, "one.test", &["--tls-max", "1.2"]).starts_with("GET /\n"));
    let line = log(&without);
    assert!(
        line.starts_with("one.test TLSv1.2 ECDHE-ECDSA-") && line.ends_with(" - - - - https\n"),
        "{line}"
    );
    let more = "%downstream_peer_serial% %downstream_peer_fingerprint_256% %downstream_peer_cert%";
    let with = site(&authority, json!({}), more);
    with.curl(&authority, "one.test", &me.curl());
    let line = log(&with);
    let [serial, hash, pem] = line.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("{line}")
    };
    assert!(serial.bytes().all(|byte| byte.is_ascii_hexdigit()) && hash.len() == 64, "{line}");
    assert!(pem.starts_with("-----BEGIN%20CERTIFICATE-----%0A"), "{line}");
}

/// What a client says of itself is worth nothing: it is removed unless the configuration says otherwise.
#[test]
fn x_forwarded_client_cert() {
    let authority = Authority::new("authority");
    let me = authority.client("me", "spiffe://a/me");
    let spoofed = ["--header", "X-Forwarded-Client-Cert: Hash=00;URI=spiffe://a/root"];
    for (mode, with, without) in [
        (None, "", ""),
        (Some("sanitize"), "", ""),
        (Some("forward_only"), "Hash=00;URI=spiffe://a/root", ""),
        (Some("always_forward_only"), "Hash=00;URI=spiffe://a/root", "Hash=00;URI=spiffe://a/root"),
        (
            Some("sanitize_set"),
            "By=spiffe://a/proxy;Hash=#;Subject=\"CN=me\";URI=spiffe://a/me;DNS=me.test",
            "",
        ),
        (
            Some("append_forward"),
            "Hash=00;URI=spiffe://a/root,By=spiffe://a/proxy;Hash=#;Subject=\"CN=me\";URI=spiffe://a/me;DNS=me.test",
            "",
        ),
    ] {
        let sets = matches!(mode, Some("sanitize_set" | "append_forward"));
        let mut proxy = mode.map_or(json!({}), |mode| json!({ "forward_client_cert": mode }));
        if sets {
            merge(&mut proxy, json!({ "forward_client_cert_details": ["subject", "uri", "dns"] }));
        }
        let site = site(&authority, proxy, "%downstream_peer_fingerprint_256%");
        let sent = |arguments: &[&str]| {
            let said = site.curl(&authority, "one.test", arguments);
            assert!(said.starts_with("GET /\n"), "{said}");
            let mut lines =
                said.lines().filter_map(|line| line.strip_prefix("x-forwarded-client-cert: "));
            let found = lines.next().unwrap_or_default().to_owned();
            assert_eq!(lines.next(), None, "once at most");
            found
        };
        let found = sent(&[&me.curl()[..], &spoofed].concat());
        let hash = log(&site).trim().to_owned();
        assert_eq!(found, with.replace('#', &hash), "{mode:?} with a certificate");
        assert_eq!(sent(&spoofed), without, "{mode:?} without one");
    }
}

/// A redirect keeps the scheme, and what requires TLS is content with it.
#[test]
fn redirects_know_the_scheme() {
    let authority = Authority::new("a");
    let port = free_port();
    let mut listener = http_listener("site", port, "r");
    listener["inspector"] = json!(true);
    listener["filter_chains"][0]["tls_context"] = authority.leaf(&["one.test"]).context(json!({}));
    let moved = json!({ "match": { "prefix": "/" }, "redirect": { "path_redirect": "/b" } });
    let mut router = rosn_tests::config::router("r", &[moved]);
    let rosn = Rosn::start(&config(&[listener.clone()], &[router.clone()], &[cluster("c", &[1])]));
    let show = ["--output", "/dev/null", "--write-out", "%{response_code} %{redirect_url}"];
    assert_eq!(curl(port, &authority, "one.test", &show), format!("301 https://one.test:{port}/b"));
    let plain = rosn_tests::client::Client::connect(port).get("/");
    assert_eq!(plain.header("location").unwrap(), "http://localhost/b");
    router["virtual_hosts"][0]["require_tls"] = json!("ALL");
    rosn.write_config(&config(&[listener], &[router], &[cluster("c", &[1])]));
    assert!(rosn.reload().0);
    assert_eq!(curl(port, &authority, "one.test", &show), format!("301 https://one.test:{port}/b"));
    let plain = rosn_tests::client::Client::connect(port).get("/");
    assert_eq!(plain.header("location").unwrap(), "https://localhost/");
}
