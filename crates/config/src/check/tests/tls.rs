//! `tls_context` and what belongs to it, of listeners and clusters.

use super::*;

/// PEM that looks right to the check; whether it is belongs to TLS itself.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

/// A context that is on and has a certificate, with the keys of `change`.
fn context(change: &Value) -> Value {
    let mut context = json!({"status": true, "cert_chain": CERTIFICATE, "private_key": KEY});
    context.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    context
}

/// The one context of a listener.
fn listener(change: &Value) -> TlsContext {
    let config = config(&with(CHAIN, json!({ "tls_context": context(change) })));
    config.listeners[0].tls.clone().unwrap().contexts.remove(0)
}

#[test]
fn contexts_are_judged() {
    for (change, expected) in [
        (json!({}), None),
        (json!({"min_version": "TLSv1_0"}), Some("error tls-version")),
        (json!({"max_version": "TLSv1_4"}), Some("error tls-version")),
        (json!({"min_version": "TLSv1_3", "max_version": "TLSv1_2"}), Some("error tls-version")),
        (json!({"min_version": "TLS_AUTO", "max_version": ""}), None),
        (
            json!({"cipher_suites": "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA265"}),
            Some("error tls-name"),
        ),
        (
            json!({"cipher_suites": "ECDHE-RSA-AES128-GCM-SHA256:RSA-AES128-CBC-SHA"}),
            Some("warning tls-name"),
        ),
        (json!({"cipher_suites": "RSA-AES128-CBC-SHA"}), Some("error tls-name")),
        (json!({"ecdh_curves": "p255"}), Some("error tls-name")),
        (json!({"ecdh_curves": "P256,x25519"}), None),
        (json!({"ecdh_curves": "p521"}), Some("error tls-name")),
        (json!({"alpn": "http/1.1"}), None),
        (json!({"alpn": "h2,http/1.1"}), Some("warning no-effect")),
        (json!({"alpn": "h3"}), Some("error tls-name")),
        (json!({"cert_chain": "/no/such.pem"}), Some("error tls-file")),
        (json!({"cert_chain": "/no/such.pem", "fall_back": true}), Some("warning tls-file")),
        (json!({"cert_chain": KEY}), Some("error tls-pem")),
        (json!({"cert_chain": ""}), Some("error missing-key")),
        (json!({"private_key": ""}), Some("error missing-key")),
        (json!({"cert_chain": null, "private_key": null}), Some("error tls-certificate")),
        (json!({"ocsp_response": "/no/such.der"}), Some("error tls-file")),
        (json!({"verify_client": true}), Some("error tls-certificate")),
        (json!({"verify_client": true, "ca_cert": CERTIFICATE}), None),
        (json!({"require_client_cert": true}), None),
        (json!({"type": "acl"}), Some("error tls-verification")),
        (json!({"type": "sni_verify"}), Some("error missing-key")),
        (
            json!({"type": "sni_verify", "extend_verify": {"match_subject_alt_names": ["a"]}}),
            Some("error tls-verification"),
        ),
        (
            json!({"type": "sni_verify", "extend_verify": {"match_subject_alt_names": []}}),
            Some("error missing-key"),
        ),
        (
            json!({"type": "sni_verify", "extend_verify": {"match_subject_alt_names": ["a"]},
                "verify_client": true, "ca_cert": CERTIFICATE}),
            None,
        ),
    ] {
        let loaded = load(&with(CHAIN, json!({ "tls_context": context(&change) })));
        let found = found(&loaded.diagnostics);
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(found, expected, "{change}\n{}", loaded.diagnostics.render_text(false));
    }
}

#[test]
fn what_a_context_says() {
    let tls = listener(&json!({
        "ca_cert": CERTIFICATE, "verify_client": true, "require_client_cert": true,
        "cipher_suites": "ECDHE-RSA-WITH-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305",
        "ecdh_curves": "P384, X25519", "min_version": "TLSv1_3", "alpn": "h2,http/1.1",
        "type": "sni_verify", "extend_verify": {"match_subject_alt_names": "spiffe://a/b"},
        "ticket": "hunter2",
    }));
    assert_eq!(tls.client_certificate, ClientCertificate::Required);
    assert_eq!(tls.cipher_suites, ["ECDHE-RSA-CHACHA20-POLY1305"]);
    assert_eq!(tls.groups, ["p384", "x25519"]);
    assert_eq!((tls.versions.min, tls.versions.max), (TlsVersion::Tls13, TlsVersion::Tls13));
    assert_eq!((tls.alpn.as_slice(), tls.fall_back), (&["http/1.1".to_owned()][..], false));
    assert_eq!(tls.subject_alt_names, ["spiffe://a/b"]);
    assert_eq!(tls.certificate.as_ref().unwrap().chain, Pem::Inline(CERTIFICATE.to_owned()));
    let shown = format!("{tls:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("AAAA"), "{shown}");
    for (change, expected) in [
        (json!({}), ClientCertificate::None),
        (json!({"require_client_cert": true}), ClientCertificate::Requested),
        (json!({"verify_client": true, "ca_cert": CERTIFICATE}), ClientCertificate::Optional),
    ] {
        assert_eq!(listener(&change).client_certificate, expected, "{change}");
    }
}

#[test]
fn sets_leave_out_what_is_off() {
    let set = json!([{"status": false}, context(&json!({})), context(&json!({"fall_back": true}))]);
    let config = config(&with(CHAIN, json!({ "tls_context_set": set })));
    let tls = config.listeners[0].tls.as_ref().unwrap();
    assert_eq!((tls.contexts.len(), tls.fall_back), (2, true));
    for change in [
        json!({"tls_context": {}}),
        json!({"tls_context": {"status": false, "min_version": "TLSv1_0"}}),
        json!({"tls_context_set": []}),
    ] {
        check(CHAIN, change, &[]);
    }
    let both = json!({"tls_context": context(&json!({})), "tls_context_set": [{}]});
    assert!(found(&load(&with(CHAIN, both)).diagnostics).contains(&"error both-given".to_owned()));
}

#[test]
fn clusters_have_their_own_or_the_managers() {
    let own = context(&json!({"server_name": "own"}));
    let shared = context(&json!({"server_name": "shared"}));
    for (uses_shared, expected) in [(false, "own"), (true, "shared")] {
        let change = json!({"cluster_manager_tls": uses_shared, "tls_context": own});
        let mut value = with(CLUSTER, change);
        value["cluster_manager"]["tls_context"] = shared.clone();
        let cluster = &config(&value).clusters["backend"];
        assert_eq!(cluster.tls.as_ref().unwrap().server_name, expected);
    }
    // The manager's is off: the own one holds.
    let value = with(CLUSTER, json!({"cluster_manager_tls": true, "tls_context": own}));
    assert!(config(&value).clusters["backend"].tls.is_some());
    let insecure = json!({"tls_context": {"status": true, "insecure_skip": true}});
    let loaded = load(&with(CLUSTER, insecure));
    assert!(found(&loaded.diagnostics).contains(&"warning tls-insecure".to_owned()));
    let twice = json!({"tls_context": {"status": true}, "stream_settings": {"security": "tls"}});
    let loaded = load(&with(CLUSTER, twice));
    assert!(found(&loaded.diagnostics).contains(&"error both-given".to_owned()));
    let hosts = json!({"hosts": [{"address": "127.0.0.1:1", "tls_disable": true}]});
    assert!(config(&with(CLUSTER, hosts)).clusters["backend"].hosts[0].tls_disable);
}

#[test]
fn http2_of_either_side() {
    let proxy = "/servers/0/listeners/0/filter_chains/0/filters/0/config";
    let http2 = json!({
        "max_concurrent_streams": 7, "initial_stream_window_size": 70000, "ping_interval": "5s",
        "ping_timeout": "1s", "max_connection_age": "1h", "http2_use_stream": true,
    });
    let read = config(&with(proxy, json!({"extend_config": {"Http2": http2}})));
    let Service::Http(proxy_config) = &read.listeners[0].service else { panic!() };
    let expected = Http2Settings {
        max_concurrent_streams: 7,
        initial_stream_window: 70000,
        ping_interval: Some(Duration::from_secs(5)),
        ping_timeout: Duration::from_secs(1),
        max_connection_age: Some(Duration::from_secs(3600)),
        ..Http2Settings::for_clients()
    };
    assert_eq!(proxy_config.http2, expected);
    let read = config(&with(CLUSTER, json!({"http2": {"ping_interval": "0s"}})));
    let expected = Http2Settings { ping_interval: None, ..Http2Settings::for_clusters() };
    assert_eq!(read.clusters["backend"].http2, expected);
    for change in [
        json!({"max_concurrent_streams": 0}),
        json!({"initial_stream_window_size": 1}),
        json!({"initial_connection_window_size": 2147483648_u32}),
        json!({"ping_timeout": "0s"}),
    ] {
        check(CLUSTER, json!({ "http2": change }), &["error out-of-range"]);
    }
}

#[test]
fn what_no_protocol_fits_goes_on() {
    let proxy = json!({"type": "proxy", "config": {"downstream_protocol": "Http1",
        "router_config_name": "main", "fallback_for_unknown_protocol": true}});
    let tcp = json!({"type": "tcp_proxy", "config": {"cluster": "backend"}});
    let read = config(&with(CHAIN, json!({ "filters": [proxy, tcp] })));
    let Service::Http(found) = &read.listeners[0].service else { panic!() };
    assert_eq!(&*found.fallback.as_ref().unwrap().routes[0].cluster, "backend");
    check(CHAIN, json!({ "filters": [proxy] }), &["warning no-fallback"]);
    check(CHAIN, json!({ "filters": [tcp, proxy] }), &[]);
}

#[test]
fn forwarding_of_client_certificates() {
    let proxy = "/servers/0/listeners/0/filter_chains/0/filters/0/config";
    for (change, expected) in [
        (json!({"forward_client_cert": "sanitize"}), &[][..]),
        (
            json!({"forward_client_cert": "sanitize_set", "forward_client_cert_details": ["uri"]}),
            &[],
        ),
        (json!({"forward_client_cert": "sanitise"}), &["error unknown-client-cert"]),
        (json!({"forward_client_cert_details": ["uri"]}), &["warning no-effect"]),
        (
            json!({"forward_client_cert": "append_forward",
                "forward_client_cert_details": ["url"]}),
            &["error unknown-client-cert"],
        ),
    ] {
        check(proxy, change, expected);
    }
}

#[test]
fn routes_by_server_name() {
    let route = |change: Value| {
        let mut route = json!({"cluster": "backend"});
        route.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({"filters": [{"type": "tcp_proxy", "config": {"routes": [route]}}]})
    };
    let read = config(&with(CHAIN, route(json!({"server_names": ["A.example", "*.b.example"]}))));
    assert!(read.listeners[0].reads_hello);
    let Service::Tcp(proxy) = &read.listeners[0].service else { panic!() };
    assert_eq!(proxy.routes[0].server_names, ["a.example", "*.b.example"]);
    assert!(!config(&with(CHAIN, route(json!({})))).listeners[0].reads_hello);
    check(CHAIN, route(json!({"server_names": ["a b"]})), &["error bad-host"]);
    check(CHAIN, route(json!({"server_names": ["*"]})), &["error bad-host"]);
    let filter = with(LISTENER, json!({"listener_filters": [{"type": "tls_inspector"}]}));
    assert!(config(&filter).listeners[0].reads_hello);
}

#[test]
fn a_diff_names_tls_and_http2() {
    let old = config(&base());
    for (pointer, change, expected) in [
        (CHAIN, json!({ "tls_context": context(&json!({})) }), "in: filter_chains"),
        (CLUSTER, json!({ "tls_context": { "status": true } }), "backend: tls_context"),
        (CLUSTER, json!({ "http2": { "max_concurrent_streams": 7 } }), "backend: http2"),
    ] {
        let said = diff(&old, &config(&with(pointer, change))).to_string();
        assert!(said.contains(&format!("({expected})")), "{expected}: {said}");
    }
    // Without TLS there is nothing to tell apart.
    let mut secure = with(CHAIN, json!({ "tls_context": context(&json!({})) }));
    let old = config(&secure);
    secure["servers"][0]["listeners"][0]["inspector"] = true.into();
    assert!(diff(&old, &config(&secure)).to_string().contains("(in: inspector)"));
}
