//! TLS from clients: certificates by name, versions, resumption, and what `check` says of files.

use super::*;

#[test]
fn a_certificate_for_one_name() {
    let authority = Authority::new("a");
    let site = Site::secure(authority.leaf(&["one.test"]).context(json!({})));
    assert!(site.curl(&authority, "one.test", &[]).starts_with("GET /\n"));
    assert!(site.curl(&authority, "other.test", &[]).contains("curl: (60)"), "it has another name");
    // Nothing but TLS.
    let mut plain = rosn_tests::client::Client::connect(site.port);
    plain.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!String::from_utf8_lossy(&plain.read_to_end()).contains("HTTP/1.1"));
    // curl looks at the name when the handshake is over.
    assert_eq!(site.metric("downstream_tls_handshake_total"), 2.0);
    assert_eq!(site.metric("downstream_tls_failed_total"), 1.0);
    site.rosn.settled();
}

/// Several certificates, each for its name; a name that none has gets the first.
#[test]
fn certificates_by_name() {
    let authority = Authority::new("a");
    let [exact, wild, first] = [&["a.test"][..], &["*.b.test"], &["first.test"]]
        .map(|names| authority.leaf(names).context(json!({})));
    let set = json!({ "tls_context_set": [first, exact, wild] });
    let site = Site::new(set, json!({}), json!({}));
    for name in ["a.test", "x.b.test", "first.test"] {
        assert!(site.curl(&authority, name, &[]).starts_with("GET /\n"), "{name}");
    }
    let shown = |name: &str| openssl(site.port, &["-servername", name]);
    assert!(site.curl(&authority, "x.y.b.test", &[]).contains("curl: (60)"));
    assert!(shown("nobody.test").contains("BEGIN CERTIFICATE"), "the first one is shown");
    site.rosn.settled();
}

/// RSA and ECDSA side by side: the client's algorithms decide.
#[test]
fn rsa_and_ecdsa_for_one_name() {
    let authority = Authority::new("a");
    let folder = tempfile::tempdir().unwrap();
    let rsa = rsa(folder.path(), "one.test").context(json!({}));
    let ecdsa = authority.leaf(&["one.test"]).context(json!({}));
    let site = Site::new(json!({ "tls_context_set": [rsa, ecdsa] }), json!({}), json!({}));
    let with = |algorithms: &str| {
        openssl(site.port, &["-tls1_2", "-servername", "one.test", "-cipher", algorithms])
    };
    assert!(with("ECDHE-RSA-AES128-GCM-SHA256").contains("Cipher is ECDHE-RSA-AES128"));
    assert!(with("ECDHE-ECDSA-AES128-GCM-SHA256").contains("Cipher is ECDHE-ECDSA-AES128"));
}

/// Each context has its own demands: who asks for the name of the strict one needs a certificate.
#[test]
fn contexts_of_a_set_have_their_own_verification() {
    let authority = Authority::new("a");
    let open = authority.leaf(&["open.test"]).context(json!({}));
    let strict = authority.leaf(&["strict.test"]).context(json!({
        "ca_cert": authority.file(), "verify_client": true, "require_client_cert": true,
    }));
    let site = Site::new(json!({ "tls_context_set": [open, strict] }), json!({}), json!({}));
    assert!(site.curl(&authority, "open.test", &[]).starts_with("GET /\n"));
    assert!(site.curl(&authority, "strict.test", &[]).contains("curl: ("));
    let client = authority.client("me", "spiffe://a/me");
    assert!(site.curl(&authority, "strict.test", &client.curl()).starts_with("GET /\n"));
}

#[test]
fn versions_and_suites() {
    let authority = Authority::new("a");
    let pair = authority.leaf(&["one.test"]);
    let site = Site::secure(pair.context(json!({ "max_version": "TLSv1_2" })));
    assert!(openssl(site.port, &["-tls1_2"]).contains("Protocol  : TLSv1.2"));
    assert!(openssl(site.port, &["-tls1_3"]).contains("alert"));
    let only =
        json!({ "cipher_suites": "ECDHE-ECDSA-CHACHA20-POLY1305", "max_version": "TLSv1_2" });
    let site = Site::secure(pair.context(only));
    assert!(openssl(site.port, &[]).contains("Cipher is ECDHE-ECDSA-CHACHA20-POLY1305"));
}

/// A ticket of one connection is good for the next, whichever worker gets it, also after a reload.
#[test]
fn sessions_are_resumed_also_after_a_reload() {
    let authority = Authority::new("a");
    let pair = authority.leaf(&["one.test"]);
    let site = Site::secure(pair.context(json!({})));
    let folder = tempfile::tempdir().unwrap();
    let ticket = folder.path().join("ticket");
    let ticket = ticket.to_str().unwrap();
    for version in ["-tls1_3", "-tls1_2"] {
        let mut first = program("sh");
        let command = format!(
            "(printf 'GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n') | \
             openssl s_client -connect 127.0.0.1:{} {version} -ign_eof -sess_out {ticket}",
            site.port
        );
        assert!(text(&run(first.arg("-c").arg(command))).contains("GET /"));
        let mut changed = site.config.clone();
        changed["servers"][0]["graceful_timeout"] = json!(format!("3{}s", version.len()));
        site.rosn.write_config(&changed);
        assert!(site.rosn.reload().0);
        let again = openssl(site.port, &[version, "-sess_in", ticket]);
        assert!(again.contains("Reused, TLSv1."), "{version}: {again}");
    }
    assert_eq!(site.metric("downstream_tls_resumed_total"), 2.0);
}

/// What cannot work is an error of `check`, with the file, the reason and the place.
#[test]
fn check_names_file_and_reason() {
    let authority = Authority::new("a");
    let (good, other) = (authority.leaf(&["one.test"]), authority.leaf(&["two.test"]));
    let broken = authority.issue("broken", &["one.test"], |_| {});
    std::fs::write(&broken.certificate, "-----BEGIN CERTIFICATE-----\n!\n").unwrap();
    let mismatch = rosn_tests::pki::Pair { key: other.key, ..good.clone() };
    let of = |context: Value| {
        let mut listener = http_listener("site", 1, "r");
        listener["filter_chains"][0]["tls_context"] = context;
        config(&[listener], &[router_to("r", "c")], &[cluster("c", &[1])])
    };
    let expired = authority.expired("one.test");
    for (context, reason) in [
        (mismatch.context(json!({})), "does not belong to the certificate"),
        (expired.context(json!({})), "has expired"),
        (broken.context(json!({})), "error["),
        (good.context(json!({ "cipher_suites": "NOT-A-CIPHER" })), "no cipher suite is named"),
        (good.context(json!({ "private_key": "/no/such.key" })), "/no/such.key cannot be read"),
        (good.context(json!({ "min_version": "TLSv1_0" })), "TLS 1.0 is not safe"),
    ] {
        let (is_fine, said) = check(&of(context));
        assert!(!is_fine && said.contains(reason), "{said}");
        assert!(said.contains(".tls_context") || said.contains("c.json:"), "the place: {said}");
    }
    let (is_fine, said) = check(&of(expired.context(json!({ "fall_back": true }))));
    assert!(is_fine && said.contains("has expired"), "a warning: {said}");
    let soon = authority.issue("soon", &["one.test"], |params| {
        params.not_after = params.not_before + (std::time::Duration::from_secs(0));
        let days = |days: u64| std::time::Duration::from_secs(days * 24 * 3600);
        let since = std::time::SystemTime::now();
        params.not_before = (since - days(10)).into();
        params.not_after = (since + days(10)).into();
    });
    let (is_fine, said) = check(&of(soon.context(json!({}))));
    assert!(is_fine && said.contains("expires in 9 days"), "a warning: {said}");
}

/// `fall_back`: without its certificate the listener speaks plain text, and says so.
#[test]
fn fall_back_to_plain_text() {
    let authority = Authority::new("a");
    let pair = authority.leaf(&["one.test"]);
    std::fs::remove_file(&pair.key).unwrap();
    let site = Site::secure(pair.context(json!({ "fall_back": true })));
    assert_eq!(rosn_tests::client::Client::connect(site.port).get("/").status, 200);
    rosn_tests::wait_until("it is said", || site.rosn.log().contains("it speaks plain text"));
}
