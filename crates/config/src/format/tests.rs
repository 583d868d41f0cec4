use std::path::PathBuf;

use serde_json::Value;

use super::{Decode, Mosn, Shape, reference, schema};
use crate::{Format, LoadOptions, load_text};

/// What loading says about `servers[0]` with these keys, as `code message`.
fn findings(keys: &str, format: Format) -> Vec<String> {
    let text = match format {
        Format::Json => format!("{{\"servers\": [{{{keys}}}]}}"),
        Format::Yaml => format!("servers: [{{{keys}}}]"),
    };
    let loaded = load_text("f", &text, format, &LoadOptions::default());
    loaded.diagnostics.iter().map(|d| format!("{}: {}", d.code, d.message)).collect()
}

#[test]
fn decodes_as_go_does() {
    for (keys, expected) in [
        (r#""mosn_server_name": "a""#, &[][..]),
        (r#""MOSN_Server_Name": "a""#, &[]),
        (r#""mosn_server_name": null"#, &[]),
        (r#""mosn_server_name": 1"#, &["wrong-type: expected a string, found a number"]),
        (r#""mosn_servername": "a""#, &["unknown-key: unknown key `mosn_servername` is ignored"]),
        (
            r#""processor": "auto", "Processor": 2"#,
            &["duplicate-key: `processor` is given twice; the last one counts"],
        ),
        (r#""processor": "8""#, &[]),
        (
            r#""processor": -1"#,
            &["out-of-range: expected the number of workers, up to 1024, or \"auto\""],
        ),
        (r#""graceful_timeout": "1m30s""#, &[]),
        (r#""graceful_timeout": 0"#, &[]),
        (r#""graceful_timeout": 15"#, &["bad-duration: a duration needs a unit"]),
        (
            r#""graceful_timeout": "15""#,
            &["bad-duration: a duration needs a unit: write `15s`, or `ms`, `m`, `h`, `us`, `ns`"],
        ),
        (
            r#""graceful_timeout": true"#,
            &["wrong-type: expected a duration such as \"15s\", found true"],
        ),
        (r#""use_netpoll_mode": false"#, &[]),
        (
            r#""use_netpoll_mode": true"#,
            &["no-effect: `use_netpoll_mode` has no effect: rosn always waits for events"],
        ),
        (r#""use_netpoll_mode": "off""#, &["wrong-type: expected true or false, found a string"]),
        (r#""listeners": {}"#, &["wrong-type: expected an array, found an object"]),
        (r#""listeners": [1]"#, &["wrong-type: expected an object, found a number"]),
        (
            r#""limits": {"max_headers": -1}"#,
            &["out-of-range: expected an integer from 0 to 4294967295"],
        ),
        (
            r#""limits": {"max_headers": 1.5}"#,
            &["out-of-range: expected an integer from 0 to 4294967295"],
        ),
        (
            r#""limits": {"max_headers": "5"}"#,
            &["wrong-type: expected an integer from 0 to 4294967295, found a string"],
        ),
        (r#""limits": {"max_headers": 0}"#, &["out-of-range: a limit is above zero"]),
    ] {
        assert_eq!(findings(keys, Format::Json), expected, "{keys}");
    }
}

#[test]
fn yaml_need_not_quote() {
    for (keys, expected) in [
        ("mosn_server_name: 12", &[][..]),
        ("mosn_server_name: true", &[]),
        ("use_netpoll_mode: off", &[]),
        ("graceful_timeout: 15s", &[]),
        ("graceful_timeout: 15", &["bad-duration: a duration needs a unit"]),
    ] {
        assert_eq!(findings(keys, Format::Yaml), expected, "{keys}");
    }
}

#[test]
fn strict_makes_unknown_keys_errors() {
    let options = LoadOptions { strict: true, ..LoadOptions::default() };
    let text = r#"{"$schema": "x", "servers": [{"listener": []}]}"#;
    let loaded = load_text("f", text, Format::Json, &options);
    let found: Vec<_> =
        loaded.diagnostics.iter().map(|d| (d.severity, d.code, d.help.clone())).collect();
    let help = Some("did you mean `listeners`?".to_owned());
    assert_eq!(found, [(crate::Severity::Error, "unknown-key", help)]);
}

#[test]
fn the_schema_and_the_reference_name_every_key() {
    let schema = schema();
    let page = reference();
    let mut seen = Vec::new();
    walk(Mosn::shape(), &mut seen);
    assert!(seen.len() > 60, "{}", seen.len());
    for table in seen {
        let definition = &schema["$defs"][table];
        assert_eq!(definition["type"], serde_json::json!(["object", "null"]), "{table}");
        assert!(page.contains(&format!("\n## {table}\n")), "{table}");
    }
    assert_eq!(schema["$ref"], "#/$defs/Mosn");
    let references = schema.to_string();
    for piece in references.split("#/$defs/").skip(1) {
        let name = piece.split('"').next().unwrap();
        assert!(schema["$defs"][name].is_object(), "{name}");
    }
}

fn walk(shape: Shape, seen: &mut Vec<&'static str>) {
    match shape {
        Shape::List(of) | Shape::Map(of) => walk(of(), seen),
        Shape::Object(table) if !seen.contains(&table.name) => {
            seen.push(table.name);
            let mut names = Vec::new();
            for key in table.keys {
                assert!(!key.doc.trim().is_empty(), "{}.{}", table.name, key.name);
                assert!(!names.contains(&key.name.to_lowercase()), "{}.{}", table.name, key.name);
                names.push(key.name.to_lowercase());
                walk((key.shape)(), seen);
            }
        }
        Shape::ByType(all) => all.iter().for_each(|(_, table)| walk(Shape::Object(table), seen)),
        _ => {}
    }
}

#[test]
fn the_dump_has_canonical_keys_and_no_secrets() {
    let text = r#"{
      "Servers": [{"Listeners": [{"Address": "127.0.0.1:1", "bind_port": true, "filter_chains": [{
        "tls_context": {"Private_Key": "-----BEGIN PRIVATE KEY-----\nabc", "ticket": "t"},
        "filters": [{"type": "tcp_proxy", "config": {"Cluster": "a", "X": {"password": "p"}}}]}]}]}],
      "cluster_manager": {"clusters": [{"Name": "a", "hosts": [{"address": "127.0.0.1:2"}]}]},
      "admin": {"token": "s3cret", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 3}}}
    }"#;
    let loaded = load_text("f", text, Format::Json, &LoadOptions::default());
    assert!(loaded.config.is_some(), "{}", loaded.diagnostics.render_text(false));
    let chain = &loaded.raw["servers"][0]["listeners"][0]["filter_chains"][0];
    let redacted = Value::from("***REDACTED***");
    assert_eq!(chain["tls_context"]["private_key"], redacted);
    assert_eq!(chain["tls_context"]["ticket"], redacted);
    assert_eq!(chain["filters"][0]["config"]["cluster"], "a");
    assert_eq!(chain["filters"][0]["config"]["X"]["password"], redacted);
    assert_eq!(loaded.raw["admin"]["token"], redacted);
    assert_eq!(loaded.raw["cluster_manager"]["clusters"][0]["name"], "a");
    assert!(!format!("{loaded:?}").contains("s3cret"));
}

#[test]
fn paths_default_below_the_base() {
    let text = r#"{"servers": [{}]}"#;
    let options = LoadOptions {
        defaults: Some(crate::Defaults { base: "/b".into(), socket_dir: "/s".into() }),
        ..LoadOptions::default()
    };
    let server = load_text("f", text, Format::Json, &options).config.unwrap().server;
    assert_eq!(server.pid_file, PathBuf::from("/b/logs/mosn.pid"));
    assert_eq!(server.socket_dir, PathBuf::from("/s"));
    assert_eq!(server.log.target, crate::checked::LogTarget::File("/b/logs/mosn.log".into()));
}
