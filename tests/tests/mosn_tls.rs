//! MOSN's public examples of TLS and of `Auto`, as the files that they are, from end to end. MOSN has certificates
//! in `examples/codes/certs`, beside them; here they are made by openssl, under the same names.
#![expect(clippy::unwrap_used, reason = "a test ends by a panic")]

use std::fs;
use std::path::{Path, PathBuf};

use rosn_tests::Rosn;
use rosn_tests::netns::Namespace;
use rosn_tests::programs::{Server, curl, program, run, text};
use serde_json::{Value, json};
use tempfile::TempDir;

const HELLO: &str = "nginx: GET /hello?a=b at 127.0.0.1";
const TLS: &str = "https://127.0.0.1:2046/hello?a=b";
const PLAIN: &str = "http://127.0.0.1:2045/hello?a=b";

/// The examples have fixed ports, which others on this machine may be using: each test has a network of its own.
fn alone(test: impl FnOnce() + Send) {
    Namespace::new("mosn-tls").enter(test);
}

fn example(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/mosn/examples").join(file)
}

/// What MOSN has in `certs`: an authority, and one certificate for servers and clients alike.
struct Certificates {
    _root: TempDir,
    folder: PathBuf,
}

impl Certificates {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("certs");
        fs::create_dir(&folder).unwrap();
        let made = Self { _root: root, folder };
        fs::write(made.folder.join("cert.ext"), "subjectAltName=IP:127.0.0.1,DNS:a.mosn\n")
            .unwrap();
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        made.openssl(
            &[&["req", "-x509", "-days", "2", "-subj", "/CN=authority"], &key[..]].concat(),
            "ca-key.pem",
            "ca.pem",
        );
        made.openssl(&[&["req", "-subj", "/CN=a.mosn"], &key[..]].concat(), "key.pem", "cert.csr");
        let mut sign = program("openssl");
        sign.current_dir(&made.folder).args(["x509", "-req", "-in", "cert.csr", "-days", "2"]);
        sign.args(["-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial"]);
        run(sign.args(["-extfile", "cert.ext", "-out", "cert.pem"]));
        made
    }

    fn openssl(&self, arguments: &[&str], key: &str, out: &str) {
        let mut openssl = program("openssl");
        run(openssl.current_dir(&self.folder).args(arguments).args(["-keyout", key, "-out", out]));
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn start(&self, file: &str) -> Rosn {
        Rosn::start_file_near(&example(file), Some(&self.folder))
    }

    /// The example with something changed.
    fn start_changed(&self, file: &str, change: impl FnOnce(&mut Value)) -> Rosn {
        let mut config: Value =
            serde_json::from_str(&fs::read_to_string(example(file)).unwrap()).unwrap();
        change(&mut config);
        let folder = tempfile::tempdir().unwrap();
        let changed = folder.path().join("config.json");
        fs::write(&changed, config.to_string()).unwrap();
        Rosn::start_file_near(&changed, Some(&self.folder))
    }

    /// Whether a client without a certificate gets an answer over TLS.
    fn lets_strangers_in(&self) -> bool {
        let mut asking = program("curl");
        asking.args(["--silent", "--max-time", "20", "--cacert", &self.path("ca.pem"), TLS]);
        asking.output().unwrap().status.success()
    }
}

/// The context of the TLS examples.
fn context() -> Value {
    let (ca, certificate, key) = ("../certs/ca.pem", "../certs/cert.pem", "../certs/key.pem");
    json!({"status": true, "ca_cert": ca, "cert_chain": certificate, "private_key": key, "server_name": "127.0.0.1"})
}

fn route(config: &mut Value) -> &mut Value {
    &mut config["servers"][0]["routers"][0]["virtual_hosts"][0]["routers"][0]["route"]
}

fn listener(config: &mut Value) -> &mut Value {
    &mut config["servers"][0]["listeners"][0]
}

/// By which protocol curl was answered.
fn version(arguments: &[&str]) -> String {
    curl(
        &[arguments, &["--output", "/dev/null", "--write-out", "%{http_version} %{http_code}"]]
            .concat(),
    )
}

/// `tls_client_config.json` and `tls_server_config.json`: HTTP/1, mutual TLS, HTTP/1.
#[test]
fn http_sample_with_tls() {
    alone(|| {
        let certificates = Certificates::new();
        let _nginx = Server::nginx("127.0.0.1:8080");
        let server = certificates.start("http-sample/tls_server_config.json");
        let client = certificates.start("http-sample/tls_client_config.json");
        for _ in 0..3 {
            assert!(curl(&[PLAIN]).starts_with(HELLO));
        }
        assert!(!certificates.lets_strangers_in(), "without a certificate");
        let [ca, certificate, key] =
            ["ca.pem", "cert.pem", "key.pem"].map(|name| certificates.path(name));
        let asks = ["--cacert", &ca, "--cert", &certificate, "--key", &key, TLS];
        assert!(curl(&asks).starts_with(HELLO));
        client.settled();
        drop(client);
        server.settled();
    });
}

/// A listener that takes whoever has a certificate of its authority, and a client that shows none.
#[test]
fn http_sample_with_tls_refuses_a_client_without_certificate() {
    alone(|| {
        let certificates = Certificates::new();
        let _nginx = Server::nginx("127.0.0.1:8080");
        let _server = certificates.start("http-sample/tls_server_config.json");
        let client = certificates.start_changed("http-sample/tls_client_config.json", |config| {
            let tls =
                config["cluster_manager"]["clusters"][0]["tls_context"].as_object_mut().unwrap();
            tls.remove("cert_chain");
            tls.remove("private_key");
        });
        assert_eq!(version(&[PLAIN]), "1.1 502");
        client.settled_without_upstream();
    });
}

/// Each protocol goes through both as it came.
#[test]
fn protocol_auto_sample() {
    alone(|| {
        let certificates = Certificates::new();
        let server = certificates.start("protocol-auto-sample/server_config.json");
        let client = certificates.start("protocol-auto-sample/client_config.json");
        for (listen, option, expected) in [
            ("127.0.0.1:8080", "--http1.1", "1.1 200"),
            ("127.0.0.1:8080 http2", "--http2-prior-knowledge", "2 200"),
        ] {
            let nginx = Server::nginx(listen);
            assert!(curl(&[option, PLAIN]).starts_with(HELLO), "{option}");
            assert_eq!(version(&[option, PLAIN]), expected);
            drop(nginx);
            client.settled();
        }
        drop(client);
        server.settled();
    });
}

/// The same with TLS between the two, beside plain text on the server's port.
#[test]
fn protocol_auto_sample_with_tls() {
    alone(|| {
        let certificates = Certificates::new();
        let server =
            certificates.start_changed("protocol-auto-sample/server_config.json", |config| {
                listener(config)["inspector"] = json!(true);
                listener(config)["filter_chains"][0]["tls_context"] = context();
            });
        let client =
            certificates.start_changed("protocol-auto-sample/client_config.json", |config| {
                config["cluster_manager"]["clusters"][0]["tls_context"] = context();
            });
        let ca = certificates.path("ca.pem");
        for (listen, prior, by_alpn, expected) in [
            ("127.0.0.1:8080", "--http1.1", "--http1.1", "1.1 200"),
            ("127.0.0.1:8080 http2", "--http2-prior-knowledge", "--http2", "2 200"),
        ] {
            let nginx = Server::nginx(listen);
            assert!(curl(&[prior, PLAIN]).starts_with(HELLO), "{prior}");
            assert_eq!(version(&[prior, "http://127.0.0.1:2046/hello?a=b"]), expected);
            assert_eq!(version(&[by_alpn, "--cacert", &ca, TLS]), expected);
            drop(nginx);
            client.settled();
        }
        drop(client);
        server.settled();
    });
}

/// HTTP/1, HTTP/2 between the two, HTTP/1; plain and with mutual TLS.
#[test]
fn http_sample_by_http2_between() {
    for name in ["", "tls_"] {
        alone(|| {
            let certificates = Certificates::new();
            let nginx = Server::nginx("127.0.0.1:8080");
            let content = "0123456789".repeat(300_000);
            fs::write(nginx.root().join("large"), &content).unwrap();
            let server = certificates.start_changed(&format!("http-sample/{name}server_config.json"), |config| {
                listener(config)["filter_chains"][0]["filters"][0]["config"]["downstream_protocol"] = json!("Http2");
                route(config)["upstream_protocol"] = json!("Http1");
            });
            let client = certificates.start_changed(
                &format!("http-sample/{name}client_config.json"),
                |config| {
                    route(config)["upstream_protocol"] = json!("Http2");
                },
            );
            assert!(curl(&[PLAIN]).starts_with(HELLO), "{name}");
            assert_eq!(curl(&["http://127.0.0.1:2045/large"]), content);
            // Eight at a time, on one connection between the two for each worker.
            let many = [
                "--parallel",
                "--parallel-max",
                "8",
                "http://127.0.0.1:2045/hello?a=b&number=[1-40]",
            ];
            assert_eq!(curl(&many).matches("nginx: GET").count(), 40);
            client.settled();
            drop(client);
            server.settled();
        });
    }
}

/// `check` has nothing against the examples of TLS where the certificates are, and names the files where they are not.
#[test]
fn examples_with_tls_pass_the_check() {
    let certificates = Certificates::new();
    let folder = certificates.folder.parent().unwrap().join("configs");
    fs::create_dir(&folder).unwrap();
    for name in ["tls_client_config.json", "tls_server_config.json"] {
        let file = folder.join(name);
        fs::copy(example("http-sample").join(name), &file).unwrap();
        let said = text(&run(Rosn::command().arg("check").arg("-c").arg(&file)));
        assert!(said.contains("0 errors"), "{said}");
        assert!(!said.contains("not-yet-active"), "{said}");
        let alone = Rosn::command()
            .arg("check")
            .arg("-c")
            .arg(example("http-sample").join(name))
            .output()
            .unwrap();
        let said = text(&alone) + &String::from_utf8_lossy(&alone.stderr);
        assert!(said.contains("certs/cert.pem"), "{said}");
    }
}
