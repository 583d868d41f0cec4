use std::fs;
use std::path::{Path, PathBuf};

use crate::{Format, LoadOptions, Severity, load, load_text};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/configs/mosn")
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "json" || e == "yaml") {
            found.push(path);
        }
    }
}

#[test]
fn every_example_of_mosn_loads() {
    let mut found = Vec::new();
    files(&examples(), &mut found);
    assert_eq!(found.len(), 31);
    for path in found {
        let loaded = load(&path, &LoadOptions::default());
        // The certificates that some of them name are not here.
        let mut errors = loaded.diagnostics.iter().filter(|d| d.severity == Severity::Error);
        let sound = errors.all(|d| d.code == "tls-file");
        assert!(sound, "{}", loaded.diagnostics.render_text(false));
    }
}

#[test]
fn the_yaml_example_means_what_its_keys_say() {
    let path = examples().join("examples/trace/zipkin/http/mosn_config.yaml");
    let config = load(&path, &LoadOptions::default()).config.unwrap();
    assert_eq!(config.listeners[0].address.to_string(), "127.0.0.1:2046");
    assert_eq!(config.clusters["serverCluster"].hosts[0].address.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.log.target, crate::checked::LogTarget::Stdout);
    // MOSN's defaults: the parent of the file's directory, and that directory.
    assert!(config.server.pid_file.ends_with("examples/trace/zipkin/logs/mosn.pid"));
    assert!(config.server.socket_dir.ends_with("examples/trace/zipkin/http"));
}

/// The codes of what loading a file says.
fn codes(path: &Path) -> Vec<&'static str> {
    let loaded = load(path, &LoadOptions::default());
    let text = loaded.diagnostics.render_text(false);
    assert!(text.is_empty() || text.contains(&path.display().to_string()), "{text}");
    loaded.diagnostics.iter().map(|d| d.code).collect()
}

#[test]
fn files_that_are_no_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    assert_eq!(codes(&directory.path().join("missing.json")), ["file-missing"]);
    assert_eq!(codes(directory.path()), ["file-is-directory"]);
    assert_eq!(codes(&at("empty.json", b"")), ["empty-file"]);
    assert_eq!(codes(&at("empty.yaml", b"# no\n")), ["empty-file"]);
    assert_eq!(codes(&at("latin1.json", b"{\n\"a\": \"\xe4\"}")), ["file-not-utf8"]);
    assert_eq!(codes(&at("utf16.json", b"\xff\xfe{\0}\0")), ["file-not-utf8"]);
    assert_eq!(codes(&at("bom.json", b"\xef\xbb\xbf{\"servers\": [{}]}")), ["byte-order-mark"]);
    assert_eq!(codes(&at("array.json", b"[]")), ["wrong-type"]);
    assert_eq!(codes(&at("none.json", b"{}")), ["missing-server"]);
    assert_eq!(codes(Path::new("/dev/zero")), ["file-too-large"]);
}

#[test]
fn included_directories_take_their_places() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    for name in ["hosts", "clusters"] {
        fs::create_dir(directory.path().join(name)).unwrap();
    }
    at(
        "main.json",
        r#"{
      "servers": [{
        "Routers": [{ "router_config_name": "main", "router_configs": "hosts" }],
        "listeners": [{ "address": "127.0.0.1:1", "bind_port": true, "filter_chains": [{ "filters": [
          { "type": "proxy", "config": { "downstream_protocol": "Http1", "router_config_name": "main" } }] }] }]
      }],
      "cluster_manager": { "clusters_configs": "clusters" }
    }"#,
    );
    at(
        "hosts/b.json",
        r#"{ "name": "b", "domains": ["b"], "routers": [{ "match": { "prefix": "/" }, "route": { "cluster_name": "one" } }] }"#,
    );
    at("hosts/a.json", r#"{ "name": "a", "domains": ["a"] }"#);
    at("hosts/ignored.txt", "not json");
    at("clusters/one.json", r#"{ "name": "one", "hosts": [{ "address": "127.0.0.1:2" }] }"#);
    let path = directory.path().join("main.json");
    let loaded = load(&path, &LoadOptions::default());
    let config =
        loaded.config.unwrap_or_else(|| panic!("{}", loaded.diagnostics.render_text(false)));
    let names: Vec<_> =
        config.routers["main"].virtual_hosts.iter().map(|h| h.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(config.clusters["one"].hosts.len(), 1);
    assert_eq!(loaded.raw["servers"][0]["routers"][0]["virtual_hosts"][1]["name"], "b");
    let sources = ["main.json", "hosts", "clusters"].map(|name| directory.path().join(name));
    assert_eq!(loaded.sources, sources);

    // A fault in an included file is placed there, with the path that it has in the whole.
    at(
        "hosts/b.json",
        r#"{ "domains": ["b"], "routers": [{ "match": { "prefix": "/" }, "route": { "cluster_name": "noe" } }] }"#,
    );
    let found = load(&path, &LoadOptions::default()).diagnostics;
    let fault = found.iter().next().unwrap();
    assert_eq!(fault.path, "servers[0].routers[0].virtual_hosts[1].routers[0].route.cluster_name");
    assert!(fault.file.ends_with("hosts/b.json"), "{}", fault.file);
    assert_eq!((fault.line, fault.help.as_deref()), (1, Some("did you mean `one`?")));

    // A broken one does not make the names of the others unknown.
    at("clusters/one.json", "{ \"name\": \"one\"");
    let loaded = load(&path, &LoadOptions::default());
    assert_eq!(loaded.sources, sources, "also where the load fails");
    let found: Vec<_> = loaded.diagnostics.iter().map(|d| (d.code, d.path.as_str())).collect();
    assert_eq!(found, [("unclosed-bracket", "cluster_manager.clusters[0].name")]);
}

#[test]
fn what_is_included_excludes_what_is_inline() {
    let text = r#"{"servers": [{}], "cluster_manager": {"clusters_configs": "x", "clusters": [{"name": "a", "hosts": [{"address": "127.0.0.1:1"}]}]}}"#;
    let loaded = load_text("f", text, Format::Json, &LoadOptions::default());
    let found: Vec<_> = loaded.diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(found, ["both-given"]);
    let text = r#"{"servers": [{}], "cluster_manager": {"clusters_configs": "/nowhere/at/all"}}"#;
    let loaded = load_text("f", text, Format::Json, &LoadOptions::default());
    let found: Vec<_> = loaded.diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(found, ["include-unreadable"]);
}

/// Not a measure, but what is quadratic does not come to an end here.
#[test]
fn a_file_of_megabytes_loads() {
    let mut text = String::from("{\"servers\": [{}], \"cluster_manager\": {\"clusters\": [");
    let mut count = 0;
    while text.len() < 5 << 20 {
        let comma = if count == 0 { "" } else { "," };
        text.push_str(&format!(
            "{comma}\n{{\"name\": \"cluster-{count}\", \"lb_type\": \"LB_RANDOM\", \"hosts\": [{{\"address\": \"10.0.0.1:80\"}}], \"extra\": 1}}"
        ));
        count += 1;
    }
    text.push_str("]}}");
    let loaded = load_text("f", &text, Format::Json, &LoadOptions::default());
    assert_eq!(loaded.config.unwrap().clusters.len(), count);
    assert_eq!(loaded.diagnostics.count(Severity::Warning), count);
}
