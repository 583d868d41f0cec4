//! TLS on both sides of the proxy, and what comes before a protocol: detection, server names, certificates that change.
#![expect(clippy::unwrap_used, reason = "a test ends by a panic")]

mod clients;
mod detect;
mod ends;
mod facts;
mod passthrough;
mod reload;
mod terminate;
mod upstream;

use rosn_tests::config::{cluster, config, http_listener, router_to};
use rosn_tests::l4::merge;
use rosn_tests::origin::{Origin, Request, ok};
use rosn_tests::pki::Authority;
use rosn_tests::programs::{program, run, text};
use rosn_tests::{Rosn, free_port};
use serde_json::{Value, json};

/// rosn with one listener of HTTP, TLS as `chain` says, before an origin that answers with what it was sent.
struct Site {
    rosn: Rosn,
    port: u16,
    config: Value,
    _origin: Origin,
}

impl Site {
    /// `chain`: keys of the filter chain; `proxy`: of the filter `proxy`; `listener`: of the listener.
    fn new(chain: Value, proxy: Value, listener: Value) -> Self {
        let origin = Origin::http(|request| ok(&echo(request)));
        let port = free_port();
        let mut site = http_listener("site", port, "r");
        merge(&mut site["filter_chains"][0], chain);
        merge(&mut site["filter_chains"][0]["filters"][0]["config"], proxy);
        merge(&mut site, listener);
        let config = config(&[site], &[router_to("r", "c")], &[cluster("c", &[origin.port()])]);
        Self { rosn: Rosn::start(&config), port, config, _origin: origin }
    }

    /// With a `tls_context` and nothing else.
    fn secure(context: Value) -> Self {
        Self::new(json!({ "tls_context": context }), json!({}), json!({}))
    }

    /// What curl says to `https://name/`, or how it failed (with `curl: (`).
    fn curl(&self, authority: &Authority, name: &str, arguments: &[&str]) -> String {
        curl(self.port, authority, name, arguments)
    }

    fn metric(&self, name: &str) -> f64 {
        self.rosn.metric(name, &[("listener", "site")])
    }
}

/// curl to `https://name:port/`, where the name stands for 127.0.0.1; both what it printed and how it failed.
fn curl(port: u16, authority: &Authority, name: &str, arguments: &[&str]) -> String {
    let output = program("curl")
        .args(["--silent", "--show-error", "--max-time", "20"])
        .arg("--cacert")
        .arg(authority.file())
        .arg("--resolve")
        .arg(format!("{name}:{port}:127.0.0.1"))
        .args(arguments)
        .arg(format!("https://{name}:{port}/"))
        .output()
        .unwrap();
    let (out, error) = (&output.stdout, &output.stderr);
    [String::from_utf8_lossy(out), String::from_utf8_lossy(error)].concat()
}

/// What `openssl s_client` says of a handshake with the port.
fn openssl(port: u16, arguments: &[&str]) -> String {
    let mut openssl = program("openssl");
    let to = format!("127.0.0.1:{port}");
    openssl.args(["s_client", "-connect", &to]).args(arguments);
    let output = openssl.stdin(std::process::Stdio::null()).output().unwrap();
    let (out, error) = (&output.stdout, &output.stderr);
    [String::from_utf8_lossy(out), String::from_utf8_lossy(error)].concat()
}

/// Method, target and headers, a line each.
fn echo(request: &Request) -> String {
    let mut text = format!("{} {}\n", request.method, request.target);
    for (name, value) in &request.headers {
        text.push_str(&format!("{}: {value}\n", name.to_ascii_lowercase()));
    }
    text
}

/// `rosn check` of a configuration: whether it found no error, and what it printed.
fn check(config: &Value) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.json");
    std::fs::write(&path, serde_json::to_string_pretty(config).unwrap()).unwrap();
    let output = Rosn::command().arg("check").arg("-c").arg(&path).output().unwrap();
    (output.status.success(), text(&output))
}

/// A key and a certificate of RSA for a name, made by openssl.
fn rsa(folder: &std::path::Path, name: &str) -> rosn_tests::pki::Pair {
    let (certificate, key) = (folder.join("rsa.pem"), folder.join("rsa.key"));
    let mut openssl = program("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]);
    openssl.args([
        "-subj",
        &format!("/CN={name}"),
        "-addext",
        &format!("subjectAltName=DNS:{name}"),
    ]);
    run(openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate));
    rosn_tests::pki::Pair { certificate, key }
}
