use std::time::Duration;

use serde_json::{Value, json};

use crate::checked::*;
use crate::{Format, LoadOptions, Loaded, load_text};

/// A tunnel with settings on its listener, its cluster, or both.
fn tunnel(listener: Option<&Value>, cluster: Option<&Value>) -> Value {
    let mut value = json!({
        "servers": [{ "listeners": [{
            "name": "in", "address": "127.0.0.1:2045", "bind_port": true,
            "filter_chains": [{ "filters": [{ "type": "tcp_proxy", "config": { "cluster": "out" } }] }]
        }]}],
        "cluster_manager": { "clusters": [{ "name": "out", "hosts": [{ "address": "127.0.0.1:8080" }] }] }
    });
    if let Some(settings) = listener {
        value["servers"][0]["listeners"][0]["stream_settings"] = settings.clone();
    }
    if let Some(settings) = cluster {
        value["cluster_manager"]["clusters"][0]["streamSettings"] = settings.clone();
    }
    value
}

fn load(value: &Value) -> Loaded {
    load_text("f.json", &format!("{value:#}"), Format::Json, &LoadOptions::default())
}

fn found(loaded: &Loaded) -> Vec<String> {
    loaded.diagnostics.iter().map(|d| format!("{} {}", d.severity, d.code)).collect()
}

fn check(value: &Value, expected: &[&str]) {
    let loaded = load(value);
    let shown = loaded.diagnostics.render_text(false);
    assert_eq!(found(&loaded), expected, "{value}\n{shown}");
}

/// The settings of a cluster.
fn dials(settings: &Value) -> StreamSettings {
    let loaded = load(&tunnel(None, Some(settings)));
    let config =
        loaded.config.unwrap_or_else(|| panic!("{}", loaded.diagnostics.render_text(false)));
    (**config.clusters["out"].stream.as_ref().unwrap()).clone()
}

fn listener(settings: &Value) -> std::sync::Arc<Listener> {
    let loaded = load(&tunnel(Some(settings), None));
    let config =
        loaded.config.unwrap_or_else(|| panic!("{}", loaded.diagnostics.render_text(false)));
    config.listeners[0].clone()
}

#[test]
fn datagrams_do_not_go_in_the_clear_where_tls_was_asked_for() {
    for (settings, expected) in [
        (json!({ "network": "ws" }), &["error stream-settings-of-datagrams"][..]),
        (json!({ "security": "tls" }), &["error stream-settings-of-datagrams"]),
        (json!({ "sockopt": { "mark": 7 } }), &[]),
    ] {
        let mut value = tunnel(None, Some(&settings));
        let listener = &mut value["servers"][0]["listeners"][0];
        listener["network"] = json!("udp");
        listener["filter_chains"][0]["filters"][0]["type"] = json!("udp_proxy");
        check(&value, expected);
    }
}

#[test]
fn every_name_of_every_network() {
    for (name, scheme) in [
        ("tcp", "tcp"),
        ("TCP", "tcp"),
        ("ws", "ws"),
        ("WebSocket", "ws"),
        ("h2", "http"),
        ("http", "http"),
        ("quic", "quic"),
        ("kcp", "mkcp"),
        ("mKCP", "mkcp"),
    ] {
        assert_eq!(dials(&json!({ "network": name })).transport.scheme(), scheme, "{name}");
    }
    for name in ["ds", "domainsocket"] {
        let settings = json!({ "network": name, "dsSettings": { "path": "/tmp/x" } });
        assert_eq!(dials(&settings).transport.scheme(), "domainsocket");
    }
    assert_eq!(
        dials(&json!({})),
        StreamSettings {
            socket: SocketSettings { fast_open_queue: 4096, ..SocketSettings::default() },
            ..StreamSettings::default()
        }
    );
}

#[test]
fn what_v2ray_passes_over_is_an_error() {
    for (settings, expected) in [
        (json!({ "network": "tpc" }), "error unknown-transport"),
        (json!({ "network": "grpc" }), "error unsupported-transport"),
        (json!({ "network": "httpupgrade" }), "error unsupported-transport"),
        (json!({ "security": "tsl" }), "error unknown-security"),
        (json!({ "security": "xtls" }), "error unknown-security"),
        (json!({ "netwrok": "ws" }), "error unknown-key"),
        (json!({ "network": "ws", "wsSettings": { "pth": "/" } }), "error unknown-key"),
        (
            json!({ "network": "quic", "quicSettings": { "security": "auto" } }),
            "error unknown-value",
        ),
        (json!({ "network": "quic", "quicSettings": { "header": {} } }), "error missing-key"),
        (json!({ "network": "kcp", "kcpSettings": { "mtu": 575 } }), "error out-of-range"),
        (json!({ "network": "kcp", "kcpSettings": { "mtu": 1461 } }), "error out-of-range"),
        (json!({ "network": "kcp", "kcpSettings": { "tti": 9 } }), "error out-of-range"),
        (json!({ "network": "kcp", "kcpSettings": { "tti": 101 } }), "error out-of-range"),
        (
            json!({ "network": "kcp", "kcpSettings": { "header": { "type": "nope" } } }),
            "error unknown-value",
        ),
        (json!({ "network": "ds" }), "error missing-key"),
        (
            json!({ "network": "ds", "dsSettings": { "path": "/x", "mode": "0999" } }),
            "error bad-mode",
        ),
        (json!({ "network": "ds", "dsSettings": { "path": "x".repeat(108) } }), "error bad-path"),
        (json!({ "tcpSettings": { "header": { "type": "srtp" } } }), "error unknown-value"),
        (
            json!({ "tcpSettings": { "header": { "type": "http", "request": { "path": ["a"] } } } }),
            "error bad-path",
        ),
        (
            json!({ "tcpSettings": { "header": { "type": "http", "request": { "headers": { "A": "b\r\nC: d" } } } } }),
            "error bad-header-value",
        ),
        (
            json!({ "tcpSettings": { "header": { "type": "http", "response": { "headers": { "A": [] } } } } }),
            "error missing-value",
        ),
        (
            json!({ "network": "ws", "wsSettings": { "headers": { "A b": "c" } } }),
            "error bad-header-name",
        ),
        (json!({ "network": "ws", "wsSettings": { "path": "/a b" } }), "error bad-path"),
        (
            json!({ "network": "ws", "wsSettings": { "useBrowserForwarding": true } }),
            "error not-supported",
        ),
        (json!({ "sockopt": { "tproxy": "on" } }), "error unknown-value"),
        (json!({ "sockopt": { "bindAddress": "localhost" } }), "error bad-address"),
        (json!({ "sockopt": { "bindToDevice": "a name that is too long" } }), "error bad-device"),
        (json!({ "proxyProtocol": { "send": "v3" } }), "error unknown-value"),
        (json!({ "proxyProtocol": { "send": "v2", "tlvs": { "0x03": "x" } } }), "error bad-tlv"),
        (json!({ "security": "tls", "tlsSettings": { "minVersion": "1.1" } }), "error tls-version"),
        (
            json!({ "security": "tls", "tlsSettings": { "minVersion": "TLS1_3", "maxVersion": "1.2" } }),
            "error tls-version",
        ),
        (
            json!({ "security": "tls", "tlsSettings": { "pinnedPeerCertificateChainSha256": ["AAAA"] } }),
            "error bad-hash",
        ),
        (
            json!({ "security": "tls", "tlsSettings": { "disableSystemRoot": true } }),
            "error tls-certificate",
        ),
        (
            json!({ "security": "tls", "tlsSettings": { "certificates": [{ "usage": "verify", "certificateFile": "/none.pem" }] } }),
            "error tls-file",
        ),
        (json!({ "security": "tls", "tlsSettings": { "echConfig": "AA" } }), "error not-supported"),
    ] {
        check(&tunnel(None, Some(&settings)), &[expected]);
    }
}

#[test]
fn what_has_no_effect_is_a_warning() {
    for (settings, expected) in [
        (json!({ "wsSettings": {} }), &["warning no-effect"][..]),
        (json!({ "network": "ws", "kcpSettings": {}, "wsSettings": {} }), &["warning no-effect"]),
        (json!({ "tlsSettings": {} }), &["warning no-effect"]),
        (json!({ "sockopt": { "acceptProxyProtocol": true } }), &["warning no-effect"]),
        (json!({ "network": "quic", "quicSettings": { "key": "k" } }), &["warning no-effect"]),
        (json!({ "network": "http" }), &["notice h2c"]),
        (
            json!({ "security": "tls", "tlsSettings": { "allowInsecure": true } }),
            &["warning tls-insecure"],
        ),
        (
            json!({ "network": "ds", "dsSettings": { "path": "/x" }, "sockopt": { "mark": 1 } }),
            &["notice no-effect"],
        ),
        (
            json!({ "proxyProtocol": { "send": "v1", "tlvs": { "0xE0": "x" } } }),
            &["warning no-effect"],
        ),
    ] {
        check(&tunnel(None, Some(&settings)), expected);
    }
}

#[test]
fn values_arrive() {
    let settings = dials(&json!({ "network": "kcp", "kcpSettings": {
        "mtu": 1200, "tti": 20, "readBufferSize": 0, "seed": "", "header": { "type": "WeChat-Video" } } }));
    let TransportSettings::Mkcp(mkcp) = settings.transport else { panic!() };
    assert_eq!(
        (mkcp.mtu, mkcp.tti, mkcp.read_buffer),
        (1200, Duration::from_millis(20), 512 * 1024)
    );
    assert_eq!((mkcp.header, mkcp.seed), (PacketHeader::WechatVideo, Some(Secret(String::new()))));

    let quic = |settings: Value| match dials(&settings).transport {
        TransportSettings::Quic(quic) => quic.security,
        other => panic!("{other:?}"),
    };
    assert_eq!(quic(json!({ "network": "quic" })), DatagramSecurity::Auto);
    assert_eq!(quic(json!({ "network": "quic", "quicSettings": {} })), DatagramSecurity::None);

    let settings = dials(
        &json!({ "network": "ws", "wsSettings": { "path": "tunnel", "heartbeatPeriod": 20 },
        "proxyProtocol": { "send": "v2", "tlvs": { "0xE0": "x", "225": "y" } },
        "sockopt": { "mark": 7, "tcpFastOpen": true, "bindAddress": "127.0.0.2", "tcpKeepAliveIdle": 60 } }),
    );
    let TransportSettings::WebSocket(ws) = &settings.transport else { panic!() };
    assert_eq!((&*ws.path, ws.ping_interval), ("/tunnel", Some(Duration::from_secs(20))));
    assert_eq!(settings.proxy_protocol.tlvs, [(0xE0, b"x".to_vec()), (0xE1, b"y".to_vec())]);
    assert_eq!(settings.socket.bind, Some("127.0.0.2".parse().unwrap()));
    assert_eq!(settings.socket.keep_alive_idle, Some(Duration::from_secs(60)));

    let settings = dials(&json!({ "tcpSettings": { "header": { "type": "http",
        "request": { "path": "/a", "headers": { "X": ["1", "2"], "Host": "h" } } } } }));
    let TransportSettings::Tcp(TcpSettings { header: Some(header) }) = settings.transport else {
        panic!()
    };
    assert_eq!(header.request.paths, ["/a"]);
    let names: Vec<_> = header.request.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Host", "X"]);
    assert_eq!((&*header.response.status, header.response.headers.len()), ("200", 5));
}

#[test]
fn every_way_to_accept_the_proxy_protocol_counts() {
    for settings in [
        json!({ "tcpSettings": { "acceptProxyProtocol": true } }),
        json!({ "sockopt": { "acceptProxyProtocol": true } }),
        json!({ "network": "ws", "wsSettings": { "acceptProxyProtocol": true } }),
        json!({ "proxyProtocol": { "accept": true, "trusted": ["127.0.0.0/8"] } }),
        json!({ "tcpSettings": { "acceptProxyProtocol": false }, "sockopt": { "acceptProxyProtocol": true } }),
    ] {
        assert!(listener(&settings).stream.as_ref().unwrap().proxy_protocol.accept, "{settings}");
    }
    let settings = json!({ "network": "quic", "sockopt": { "acceptProxyProtocol": true } });
    check(&tunnel(Some(&settings), None), &["error not-supported"]);
}

#[test]
fn listeners_and_their_addresses() {
    let settings = json!({ "network": "ds", "dsSettings": { "path": "name", "abstract": true } });
    let mut value = tunnel(Some(&settings), None);
    let raw = value.pointer_mut("/servers/0/listeners/0").unwrap().as_object_mut().unwrap();
    raw.remove("address");
    raw.remove("name");
    let config = load(&value).config.unwrap();
    assert_eq!(config.listeners[0].address, rosn_base::Addr::Unix("@name".into()));
    assert_eq!(
        (&*config.listeners[0].name, config.listeners[0].network),
        ("unix:@name", Network::Unix)
    );

    let plain = json!({ "network": "tcp" });
    for (settings, change, expected) in [
        (&settings, json!({}), &["notice no-effect"][..]),
        (&plain, json!({ "network": "udp" }), &["error wrong-network", "error wrong-network"]),
        (&plain, json!({ "address": "example.com:80" }), &["error bad-address"]),
        (&plain, json!({ "address": "localhost:80" }), &[]),
        (&plain, json!({ "streamSettings": {} }), &["error both-given"]),
        (&json!({ "network": "quic" }), json!({ "address": "unix:/x" }), &["error bad-address"]),
        (
            &json!({ "network": "ws" }),
            json!({ "bind_port": false }),
            &["warning virtual-listener", "error virtual-listener"],
        ),
        (&json!({ "security": "tls" }), json!({}), &["error tls-certificate"]),
    ] {
        let mut value = tunnel(Some(settings), None);
        let raw = value.pointer_mut("/servers/0/listeners/0").unwrap().as_object_mut().unwrap();
        raw.extend(change.as_object().unwrap().clone());
        let loaded = load(&value);
        let mut codes = found(&loaded);
        let mut expected = expected.to_vec();
        codes.sort();
        expected.sort_unstable();
        assert_eq!(codes, expected, "{value}\n{}", loaded.diagnostics.render_text(false));
    }
    let listener = listener(&json!({ "sockopt": { "tproxy": "redirect" } }));
    assert_eq!(listener.original_dst.unwrap().kind, OriginalDstKind::Redirect);
}

#[test]
fn a_udp_transport_claims_its_udp_port() {
    let mut value = tunnel(Some(&json!({ "network": "quic" })), None);
    let all = value["servers"][0]["listeners"].as_array_mut().unwrap();
    let mut second = all[0].clone();
    second["name"] = "second".into();
    second.as_object_mut().unwrap().remove("stream_settings");
    all.push(second.clone());
    check(&value, &[]);
    second["name"] = "third".into();
    second["stream_settings"] = json!({ "network": "kcp" });
    value["servers"][0]["listeners"].as_array_mut().unwrap().push(second);
    check(&value, &["error duplicate-address"]);
}

#[test]
fn certificates() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, kind: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("-----BEGIN {kind}-----\nAA==\n-----END {kind}-----\n"))
            .unwrap();
        path
    };
    let (cert, key) = (file("c.pem", "CERTIFICATE"), file("k.pem", "EC PRIVATE KEY"));
    let tls = |certificate: Value| json!({ "security": "tls", "tlsSettings": { "certificates": [certificate] } });
    let good = tls(json!({ "certificateFile": cert, "keyFile": key }));
    check(&tunnel(Some(&good), Some(&good)), &[]);
    for (settings, expected) in [
        (tls(json!({ "certificateFile": key, "keyFile": key })), &["error tls-file"][..]),
        (tls(json!({ "certificateFile": folder.path(), "keyFile": key })), &["error tls-file"]),
        (tls(json!({ "certificateFile": cert })), &["error missing-key"]),
        (tls(json!({ "usage": "verify", "certificateFile": cert })), &["error tls-certificate"]),
        (tls(json!({ "usage": "sign", "certificateFile": cert })), &["error unknown-value"]),
        (tls(json!({ "certificate": ["no"], "keyFile": key })), &["error tls-pem"]),
    ] {
        check(&tunnel(Some(&settings), None), expected);
    }
    // v2ray's dialer trusts a certificate whatever its usage.
    let settings = tls(json!({ "certificateFile": cert }));
    check(&tunnel(None, Some(&settings)), &["notice tls-certificate"]);
    let tls = dials(&settings).tls.unwrap();
    assert_eq!(tls.certificates[0].usage, CertificateUsage::Verify);
}

#[test]
fn secrets_are_neither_dumped_nor_shown() {
    let pem = "-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----";
    let settings = [
        json!({ "network": "kcp", "kcpSettings": { "seed": "s3cret" } }),
        json!({ "network": "quic", "quicSettings": { "security": "aes-128-gcm", "key": "s3cret" } }),
        json!({ "security": "tls", "tlsSettings": { "certificates": [
            { "certificate": "-----BEGIN CERTIFICATE-----", "key": pem.lines().collect::<Vec<_>>() }] } }),
    ];
    for settings in settings {
        let loaded = load(&tunnel(None, Some(&settings)));
        assert!(loaded.config.is_some(), "{}", loaded.diagnostics.render_text(false));
        assert!(!loaded.raw.to_string().contains("s3cret"), "{settings}");
        assert!(!format!("{loaded:?}").contains("s3cret"), "{settings}");
        // A fault on the same line does not bring it out, in JSON or in YAML.
        let mut faulty = tunnel(None, Some(&settings));
        faulty["cluster_manager"]["clusters"][0]["streamSettings"]["nonsense"] = 1.into();
        for format in [Format::Json, Format::Yaml] {
            let loaded = load_text("f", &faulty.to_string(), format, &LoadOptions::default());
            assert!(loaded.config.is_none());
            assert!(!format!("{loaded:?}").contains("s3cret"), "{settings}");
            assert!(!loaded.diagnostics.render_text(false).contains("s3cret"), "{settings}");
        }
    }
}

#[test]
fn hooks_of_sockets() {
    let with = |sockets: Value| {
        let mut value = tunnel(None, None);
        value["sockets"] = sockets;
        value
    };
    let value = with(
        json!({ "listen_limit": 3, "accept_limit": { "per_client": 2 }, "dial_log": true,
        "bind_address": "::1", "faults": [{ "cluster": "out", "percent": 5, "error": "reset" }, { "delay": "50ms" }] }),
    );
    let hooks = load(&value).config.unwrap().sockets;
    assert_eq!(
        (hooks.listen_limit, hooks.accept_per_client, hooks.dial_log),
        (Some(3), Some(2), true)
    );
    assert_eq!(hooks.faults[0].effect, FaultEffect::Fail(std::io::ErrorKind::ConnectionReset));
    assert_eq!((&*hooks.faults[1].cluster, hooks.faults[1].percent), ("", 100.0));
    for (sockets, expected) in [
        (json!({ "listen_limit": 0 }), "error out-of-range"),
        (json!({ "faults": [{ "cluster": "uot", "error": "reset" }] }), "error unknown-cluster"),
        (json!({ "faults": [{ "error": "rest" }] }), "error unknown-value"),
        (json!({ "faults": [{ "percent": 101, "error": "reset" }] }), "error out-of-range"),
        (json!({ "faults": [{}] }), "error missing-key"),
        (json!({ "faults": [{ "error": "reset", "delay": "1s" }] }), "error both-given"),
    ] {
        check(&with(sockets), &[expected]);
    }
}
