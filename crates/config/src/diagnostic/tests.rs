use crate::{Format, LoadOptions, load_text};

#[test]
fn a_file_with_many_faults_is_shown_whole() {
    let text = r#"{
  "servers": [{
    "default_log_levle": "INFO",
    "routers": [{
      "router_config_name": "main",
      "virtual_hosts": [
        { "domains": ["a.com", "*"], "routers": [{ "match": { "regex": "a(b" }, "route": { "cluster_name": "backned" } }] },
        { "domains": ["A.com"], "routers": [{ "match": { "prefix": "/" } }] }
      ]
    }],
    "listeners": [{
      "name": "in", "address": "127.0.0.1", "bind_port": true,
      "connection_idle_timeout": 15,
      "filter_chains": [{ "filters": [{ "type": "proxy", "config": { "downstream_protocol": "http1", "router_config_name": "mian" } }] }]
    }]
  }],
  "cluster_manager": { "clusters": [{ "name": "backend", "hosts": [] }] }
}"#;
    let loaded = load_text("conf.json", text, Format::Json, &LoadOptions::default());
    assert!(loaded.config.is_none());
    let shown = loaded.diagnostics.render_text(false);
    let expected = include_str!("tests/many.txt");
    assert_eq!(shown, expected, "\n{shown}");
    let json = loaded.diagnostics.to_json();
    assert_eq!(json["errors"], 8);
    assert_eq!(json["diagnostics"][0]["code"], "unknown-key");
    assert_eq!(json["diagnostics"][0]["line"], 3);
    assert_eq!(json["diagnostics"][0]["end_column"], 24);
}

#[test]
fn colours_are_escape_sequences_around_the_same_text() {
    let loaded = load_text("f", "{\"a\": 1}", Format::Json, &LoadOptions::default());
    let coloured = loaded.diagnostics.render_text(true);
    assert!(coloured.contains("\x1b[1;31merror"));
    let mut plain = coloured;
    while let Some(start) = plain.find('\x1b') {
        let end = plain[start..].find('m').unwrap();
        plain.replace_range(start..=start + end, "");
    }
    assert_eq!(plain, loaded.diagnostics.render_text(false));
}

#[test]
fn a_long_line_is_shown_around_the_place() {
    let filler = "\"x\": 1, ".repeat(100);
    let text = format!("{{{filler}\"servers\": 5, {filler}\"y\": 1}}");
    let loaded = load_text("f", &text, Format::Json, &LoadOptions::default());
    let shown =
        loaded.diagnostics.iter().find(|d| d.code == "wrong-type").unwrap().render_text(false);
    let lines: Vec<_> = shown.lines().collect();
    assert!(lines[3].chars().count() < 130, "{shown}");
    let caret = lines[4].find('^').unwrap();
    let characters: Vec<_> = lines[3].chars().collect();
    assert_eq!(characters[lines[4][..caret].chars().count()], '5', "{shown}");
}

#[test]
fn no_secret_is_shown() {
    for (format, text) in [
        (Format::Json, r#"{"admin": {"token": "hunter2", "adress": 1}, "servers": 1}"#),
        (Format::Json, r#"{"private_key": "hunter2", }"#),
        (Format::Json, r#"{"private_key": hunter2 hunter2, "a": 1}"#),
        (Format::Json, r#"{"private_key": "hunter2"#),
        (Format::Json, r#"{"token": ["hunter2" 1]}"#),
        (
            Format::Json,
            r#"{"servers": [{"listeners": [{"filter_chains": [{"tls_context": {"status": true, "private_key": "hunter2"}}]}]}]}"#,
        ),
        (Format::Yaml, "token: hunter2: x"),
        (Format::Yaml, "admin: {token: hunter2, adress: 1}\nservers: 1"),
        (
            Format::Yaml,
            "k: |\n  -----BEGIN RSA PRIVATE KEY-----\n hunter2: [\n  -----END RSA PRIVATE KEY-----",
        ),
    ] {
        let loaded = load_text("f", text, format, &LoadOptions::default());
        assert!(loaded.diagnostics.has_errors(), "{text}");
        let shown = loaded.diagnostics.render_text(false);
        assert!(!shown.contains("hunter2"), "{text}\n{shown}");
        assert!(!loaded.diagnostics.to_json().to_string().contains("hunter2"), "{text}");
    }
}

#[test]
fn findings_are_bounded_but_counted() {
    let keys = (0..1000).map(|i| format!("\"k{i}\": 1")).collect::<Vec<_>>().join(",");
    let loaded = load_text("f", &format!("{{{keys}}}"), Format::Json, &LoadOptions::default());
    assert_eq!(loaded.diagnostics.count(crate::Severity::Warning), 1000);
    assert_eq!(
        loaded.diagnostics.iter().filter(|d| d.severity == crate::Severity::Warning).count(),
        200
    );
    assert!(loaded.diagnostics.summary().contains("800 of them not shown"));
    assert!(loaded.diagnostics.has_errors(), "the error that came last is kept");
}

#[test]
fn a_terminal_does_not_obey_a_configuration() {
    let text = "{\"\\u001b[31mservers\": 1, \"servers\": [{}]}";
    let loaded = load_text("f\x1b[2J", text, Format::Json, &LoadOptions::default());
    assert!(!loaded.diagnostics.render_text(false).contains('\x1b'));
}
