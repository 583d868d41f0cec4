//! No text, however broken, makes the loader panic, and what it says can always be shown.

use std::io;
use std::path::Path;

use proptest::prelude::*;
use rosn_config::{Format, LoadOptions, load_text};

fn load(text: &str, format: Format) {
    let resolve = |_: &str, _: u16| Err(io::Error::other("not in a test"));
    let options = LoadOptions { resolve, ..LoadOptions::default() };
    let loaded = load_text("f", text, format, &options);
    assert_eq!(loaded.config.is_none(), loaded.diagnostics.has_errors());
    for diagnostic in &loaded.diagnostics {
        diagnostic.render_text(false);
        diagnostic.to_json();
    }
}

/// A tunnel of v2ray's with settings of everything.
const TUNNEL: &str = r#"{ /* v2ray */
  "inbounds": [{ "listen": "127.0.0.1", "port": 1, "protocol": "dokodemo-door",
    "settings": { "address": "a", "port": 2, "network": ["tcp"] },
    "streamSettings": { "network": "ws", "security": "none", "wsSettings": { "path": "/", "headers": { "A": "b" } },
      "tcpSettings": { "header": { "type": "http", "request": { "headers": { "A": ["b"] } } } },
      "kcpSettings": { "mtu": 1350, "header": { "type": "srtp" } }, "dsSettings": { "path": "/x", "mode": "0660" },
      "tlsSettings": { "alpn": "h2", "certificates": [{ "certificate": ["a"], "key": "b" }] },
      "sockopt": { "tproxy": "redirect", "bindAddress": "::1" },
      "proxyProtocol": { "accept": true, "trusted": ["10.0.0.0/8"], "tlvs": { "0xE0": "x" } } } }],
  "outbounds": [{ "protocol": "freedom", "sendThrough": "127.0.0.1", "settings": { "redirect": "[::1]:2" },
    "streamSettings": { "network": "quic", "quicSettings": { "security": "none", "key": "x", "header": { "type": "utp" } } } }]
}"#;

fn convert(text: &str) {
    let converted = rosn_config::convert::v2ray("f", text, None);
    assert_eq!(converted.text.is_none(), converted.diagnostics.has_errors());
    for diagnostic in &converted.diagnostics {
        diagnostic.render_text(false);
    }
}

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/configs/mosn").join(name);
    std::fs::read_to_string(path).expect("the example is in the repository")
}

/// A text with pieces cut out, put in and moved.
fn broken(text: &str, edits: &[(usize, usize, String)]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for (at, length, new) in edits {
        let at = at % (characters.len() + 1);
        let end = (at + length % 40).min(characters.len());
        characters.splice(at..end, new.chars());
    }
    characters.into_iter().collect()
}

fn edits() -> impl Strategy<Value = Vec<(usize, usize, String)>> {
    let piece = prop_oneof![
        "[\\[\\]{}:,\"'&*|>#\\-!?%@`~ \n\t0-9a-zäß]{0,6}",
        Just("null".to_owned()),
        Just("\"\"".to_owned()),
        Just("-1".to_owned()),
        Just("1e400".to_owned()),
        Just("\\ud800".to_owned()),
        Just("%start_time%".to_owned()),
        Just("*a".to_owned()),
        Just("&a ".to_owned()),
    ];
    prop::collection::vec((any::<usize>(), any::<usize>(), piece), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn on_any_text(text in "\\PC{0,200}") {
        load(&text, Format::Json);
        load(&text, Format::Yaml);
        convert(&text);
    }

    #[test]
    fn on_a_broken_tunnel(edits in edits()) {
        convert(TUNNEL);
        convert(&broken(TUNNEL, &edits));
    }

    #[test]
    fn on_text_like_yaml(text in "[a-c:,\\-\\[\\]{}&*!|>'\"#?% \n\täß]{0,80}") {
        load(&text, Format::Yaml);
        load(&text, Format::Json);
    }

    #[test]
    fn on_a_broken_example(edits in edits()) {
        load(&broken(&example("configs/mosn_config_dev.json"), &edits), Format::Json);
        load(&broken(&example("examples/tcpproxy-sample/config.json"), &edits), Format::Json);
        load(&broken(&example("configs/mosn_config_broadcast.json"), &edits), Format::Yaml);
        load(&broken(&example("examples/trace/zipkin/http/mosn_config.yaml"), &edits), Format::Yaml);
    }
}
