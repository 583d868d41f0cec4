use std::path::Path;

use serde_json::{Value, json};

use super::v2ray;
use crate::{Format, LoadOptions, load_text};

fn base() -> Value {
    json!({
        "log": { "loglevel": "info" },
        "inbounds": [{ "tag": "in", "listen": "127.0.0.1", "port": 1080, "protocol": "dokodemo-door",
            "settings": { "address": "192.0.2.1", "port": 80, "network": "tcp" } }],
        "outbounds": [{ "protocol": "freedom", "settings": {} }],
    })
}

/// The base with another value at a pointer.
fn with(pointer: &str, key: &str, value: Value) -> Value {
    let mut base = base();
    base.pointer_mut(pointer).unwrap()[key] = value;
    base
}

fn converted(value: &Value) -> Value {
    let converted = v2ray("v.json", &value.to_string(), Some(Path::new("/x/a.json")));
    let shown = converted.diagnostics.render_text(false);
    let text = converted.text.unwrap_or_else(|| panic!("{value}\n{shown}"));
    let loaded = load_text(
        "c.json",
        &text,
        Format::Json,
        &LoadOptions { strict: true, ..LoadOptions::default() },
    );
    assert!(loaded.config.is_some(), "{}", loaded.diagnostics.render_text(false));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_tunnel() {
    let ws = json!({ "network": "ws", "wsSettings": { "path": "/t" } });
    let mut value = with("/inbounds/0", "streamSettings", ws.clone());
    value["outbounds"][0]["settings"] = json!({ "redirect": "127.0.0.1:81" });
    value["outbounds"][0]["sendThrough"] = "127.0.0.9".into();
    value["outbounds"][0]["streamSettings"] = json!({ "network": "kcp", "sockopt": { "mark": 1 } });
    let json = converted(&value);
    let listener = &json["servers"][0]["listeners"][0];
    assert_eq!(
        (&listener["address"], &listener["stream_settings"]),
        (&json!("127.0.0.1:1080"), &ws)
    );
    let cluster = &json["cluster_manager"]["clusters"][0];
    assert_eq!(cluster["hosts"][0]["address"], "127.0.0.1:81");
    let sockopt = json!({ "mark": 1, "bindAddress": "127.0.0.9" });
    assert_eq!(cluster["stream_settings"], json!({ "network": "kcp", "sockopt": sockopt }));
    assert_eq!(json["servers"][0]["default_log_level"], "INFO");
    assert_eq!((&json["pid"], &json["uds_dir"]), (&json!("/x/a.run/rosn.pid"), &json!("/x/a.run")));
}

#[test]
fn parts_of_an_address() {
    for (redirect, expected) in [
        ("", "192.0.2.1:80"),
        (":81", "192.0.2.1:81"),
        ("example.com:0", "example.com:80"),
        ("[::1]:81", "[::1]:81"),
    ] {
        let json = converted(&with("/outbounds/0/settings", "redirect", redirect.into()));
        assert_eq!(json["cluster_manager"]["clusters"][0]["hosts"][0]["address"], expected);
    }
    let json = converted(&with("/inbounds/0", "listen", "::".into()));
    assert_eq!(json["servers"][0]["listeners"][0]["address"], "[::]:1080");
    let json = converted(&with("/inbounds/0", "listen", "/x.sock".into()));
    assert_eq!(json["servers"][0]["listeners"][0]["address"], "unix:/x.sock");
    let socket = json!({ "network": "ds", "dsSettings": { "path": "/y.sock" } });
    let json = converted(&with("/inbounds/0", "streamSettings", socket));
    assert_eq!(json["servers"][0]["listeners"][0].get("address"), None);
}

#[test]
fn what_cannot_be_converted_is_named_by_its_place() {
    for (value, path) in [
        (with("/inbounds/0", "protocol", "vmess".into()), "inbounds[0].protocol"),
        (with("/inbounds/0", "port", "1000-1010".into()), "inbounds[0].port"),
        (with("/inbounds/0", "port", "env:PORT".into()), "inbounds[0].port"),
        (with("/inbounds/0", "listen", "example.com".into()), "inbounds[0].listen"),
        (with("/inbounds/0", "listen", "/x,0666".into()), "inbounds[0].listen"),
        (with("/inbounds/0", "allocate", json!({ "strategy": "random" })), "inbounds[0].allocate"),
        (with("/inbounds/0/settings", "network", "tcp,udp".into()), "inbounds[0].settings.network"),
        (
            with("/inbounds/0/settings", "followRedirect", true.into()),
            "inbounds[0].settings.followRedirect",
        ),
        (with("/inbounds/0/settings", "address", Value::Null), "inbounds[0].settings"),
        (with("/inbounds/0/settings", "address", "a b".into()), "inbounds[0].settings.address"),
        (with("/inbounds/0/settings", "port", 0.into()), "inbounds[0].settings.port"),
        (
            with("/inbounds/0", "streamSettings", json!({ "network": "grpc" })),
            "inbounds[0].streamSettings.network",
        ),
        (
            with("/outbounds/0", "streamSettings", json!({ "security": "xtls" })),
            "outbounds[0].streamSettings.security",
        ),
        (with("/outbounds/0", "protocol", "vless".into()), "outbounds[0].protocol"),
        (with("/outbounds/0", "mux", json!({ "enabled": true })), "outbounds[0].mux.enabled"),
        (
            with("/outbounds/0", "proxySettings", json!({ "tag": "x" })),
            "outbounds[0].proxySettings",
        ),
        (with("/outbounds/0", "sendThrough", "eth0".into()), "outbounds[0].sendThrough"),
        (with("/outbounds/0/settings", "redirect", "a".into()), "outbounds[0].settings.redirect"),
        (with("", "routing", json!({ "rules": [{ "type": "field" }] })), "routing.rules[0]"),
        (with("", "routing", json!({ "balancers": [{}] })), "routing.balancers[0]"),
        (with("", "transport", json!({ "wsSettings": {} })), "transport"),
        (with("", "inboundDetour", json!([{}])), "inboundDetour"),
        (
            with("", "outbounds", json!([{ "protocol": "freedom" }, { "protocol": "blackhole" }])),
            "outbounds[1]",
        ),
    ] {
        let converted = v2ray("v.json", &value.to_string(), None);
        assert!(converted.text.is_none(), "{value}");
        let paths: Vec<_> = converted.diagnostics.iter().map(|found| found.path.as_str()).collect();
        assert_eq!(paths, [path], "{value}\n{}", converted.diagnostics.render_text(false));
    }
    for (key, value) in [("inbounds", json!([])), ("outbounds", json!([]))] {
        assert!(v2ray("v.json", &with("", key, value).to_string(), None).text.is_none(), "{key}");
    }
    let twice = json!([base()["inbounds"][0], base()["inbounds"][0]]);
    assert!(v2ray("v.json", &with("", "inbounds", twice).to_string(), None).text.is_none());
}

#[test]
fn what_changes_nothing_is_a_notice() {
    for key in ["dns", "api", "policy", "stats"] {
        let value = with("", key, json!({ "x": 1 }));
        let converted = v2ray("v.json", &value.to_string(), None);
        assert!(converted.text.is_some(), "{key}");
        let found: Vec<_> =
            converted.diagnostics.iter().map(|found| found.severity.to_string()).collect();
        assert_eq!(found, ["notice"], "{key}");
    }
}

#[test]
fn rubbish_is_an_error_and_no_panic() {
    for text in [
        "",
        "{",
        "[]",
        "null",
        "1",
        r#"{"inbounds": 1}"#,
        r#"{"inbounds": [1], "outbounds": [null]}"#,
        r#"{"inbounds": [{"port": {}, "settings": [], "streamSettings": 1}], "outbounds": [{"settings": 1}]}"#,
    ] {
        assert!(v2ray("v.json", text, None).text.is_none(), "{text}");
    }
    let commented = format!("// {}\n{} /* end */", "x", base());
    assert!(v2ray("v.json", &commented, None).text.is_some());
}
