//! MOSN's public examples, each loaded as the file that it is, with traffic from end to end where what it uses
//! is there, and `rosn check` naming what is not.
#![expect(clippy::unwrap_used, reason = "a test ends by a panic")]

use std::fs;
use std::net::{TcpStream, UdpSocket};
use std::path::{Path, PathBuf};

use rosn_tests::client::Client;
use rosn_tests::netns::Namespace;
use rosn_tests::programs::{Server, curl, program, run, text};
use rosn_tests::{PATIENCE, Rosn, Signal};

/// The examples have fixed ports, which others on this machine may be using: each test has a network of its own.
fn alone(test: impl FnOnce() + Send) {
    Namespace::new("mosn").enter(test);
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/mosn")
}

fn start(file: &str) -> Rosn {
    Rosn::start_file(&examples().join(file))
}

/// `rosn check`: what it printed, having found no error.
fn check(file: &Path) -> String {
    let said = text(&run(Rosn::command().arg("check").arg("-c").arg(file)));
    assert!(said.contains("0 errors"), "{said}");
    said
}

const HELLO: &str = "nginx: GET /hello?a=b at 127.0.0.1";

#[test]
fn mosn_config() {
    alone(|| {
        let mut rosn = start("configs/mosn_config.json");
        let welcome = "Welcome to MOSN!\nThe Cloud-Native Network Proxy Platform.\n";
        for port in [2045, 2046, 2047] {
            assert_eq!(curl(&[&format!("http://127.0.0.1:{port}/")]), welcome, "on port {port}");
        }
        let states = curl(&["http://127.0.0.1:34901/api/v1/states"]);
        assert_eq!(states, format!("pid={}&state=6\n", rosn.pid()));
        assert!(curl(&["http://127.0.0.1:34901/api/v1/version"]).starts_with("mosn version: "));
        assert!(curl(&["http://127.0.0.1:34901/api/v1/stats"]).contains("request_total"));
        for (listener, requests) in
            [("appListener", 3.0), ("serverListener", 2.0), ("clientListener", 1.0)]
        {
            assert_eq!(
                rosn.metric("downstream_request_total", &[("listener", listener)]),
                requests
            );
        }
        // The chain's own connections stay open, each with two ends in the same process.
        assert!(rosn.stop(Signal::TERM).success(), "{}", rosn.log());
    });
}

#[test]
fn an_auto_listener_speaks_both_versions_and_refuses_the_rest() {
    alone(|| {
        let _rosn = start("configs/mosn_config.json");
        assert!(curl(&["http://127.0.0.1:2046/"]).starts_with("Welcome"));
        // What a client speaks is spoken to the upstream, as in MOSN; and that one speaks HTTP/1.1 only.
        let show = ["--http2-prior-knowledge", "--write-out", "HTTP/%{http_version}"];
        let said = curl(&[&show[..], &["http://127.0.0.1:2046/"]].concat());
        assert!(!said.contains("Welcome") && said.ends_with("HTTP/2"), "{said}");
        // bolt, which is not there yet.
        let mut client = Client::connect(2046);
        client.send(b"\x01\x01\x00\x01\x01");
        assert!(client.read_to_end().is_empty());
    });
}

/// The old `connection_manager`, unknown keys, and the prometheus sink.
#[test]
fn mosn_config_dev() {
    alone(|| {
        let _nginx = Server::nginx("127.0.0.1:50056");
        let rosn = start("configs/mosn_config_dev.json");
        assert!(curl(&["http://127.0.0.1:50051/hello?a=b"]).starts_with(HELLO));
        let metrics = curl(&["http://127.0.0.1:34903/metrics"]);
        let line = r#"downstream_request_total{listener="GrpcListener"} 1"#;
        assert!(metrics.lines().any(|found| found == line), "{metrics}");
        rosn.settled();
    });
}

#[test]
fn mosn_config_broadcast_without_its_mirror() {
    alone(|| {
        let _nginx = Server::nginx("127.0.0.1:8080");
        let rosn = start("configs/mosn_config_broadcast.json");
        assert!(curl(&["http://127.0.0.1:8081/hello?a=b"]).starts_with(HELLO));
        assert!(curl(&["http://127.0.0.1:15090/metrics"]).contains("downstream_request_total"));
        rosn.settled();
    });
}

#[test]
fn http_sample() {
    alone(|| {
        let python = Server::python(8080);
        fs::write(python.root().join("page"), "from python").unwrap();
        let server = start("examples/http-sample/server_config.json");
        let client = start("examples/http-sample/client_config.json");
        assert_eq!(curl(&["http://127.0.0.1:2045/page"]), "from python");
        let missing = curl(&[
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
            "http://127.0.0.1:2045/none",
        ]);
        assert_eq!(missing, "404");
        client.settled();
        drop(client);
        server.settled();
        drop(python);
        server.settled_without_upstream();
    });
}

#[test]
fn tcpproxy_sample() {
    alone(|| {
        let nginx = Server::nginx("127.0.0.1:8080");
        let content = vec![b'x'; 3 << 20];
        fs::write(nginx.root().join("large"), &content).unwrap();
        let rosn = start("examples/tcpproxy-sample/config.json");
        assert!(curl(&["http://127.0.0.1:2045/hello?a=b"]).starts_with(HELLO));
        assert_eq!(curl(&["http://127.0.0.1:2045/large"]).len(), content.len());
        rosn.settled_without_upstream();
    });
}

#[test]
fn udpproxy_sample() {
    alone(|| {
        let origin = UdpSocket::bind("127.0.0.1:5300").unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((count, peer)) = origin.recv_from(&mut buffer) {
                if &buffer[..count] == b"end" {
                    return;
                }
                buffer[..count].reverse();
                origin.send_to(&buffer[..count], peer).unwrap();
            }
        });
        let _rosn = start("examples/udpproxy-sample/config.json");
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.connect("127.0.0.1:5301").unwrap();
        let mut buffer = [0; 2048];
        for text in ["abc", "another", ""] {
            client.send(text.as_bytes()).unwrap();
            if text.is_empty() {
                break; // an empty datagram may be dropped
            }
            let count = client.recv(&mut buffer).unwrap();
            let reversed: String = text.chars().rev().collect();
            assert_eq!(&buffer[..count], reversed.as_bytes());
        }
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"end", "127.0.0.1:5300").unwrap();
    });
}

#[test]
fn uds_sample() {
    alone(|| {
        let _ = fs::remove_file("/tmp/server-proxy.sock");
        let nginx = Server::nginx("unix:/tmp/server-proxy.sock");
        let server = start("examples/uds-sample/server_config.json");
        let client = start("examples/uds-sample/client_config.json");
        let said = curl(&["--unix-socket", "/tmp/client-proxy.sock", "http://127.0.0.1/hello?a=b"]);
        assert!(said.starts_with(HELLO), "{said}");
        drop(nginx);
        client.settled_without_upstream();
        server.settled_without_upstream();
        fs::remove_file("/tmp/server-proxy.sock").unwrap();
    });
}

#[test]
fn zipkin_in_yaml_without_its_traces() {
    alone(|| {
        let _nginx = Server::nginx("127.0.0.1:8080");
        let rosn = start("examples/trace/zipkin/http/mosn_config.yaml");
        assert!(curl(&["http://127.0.0.1:2046/hello?a=b"]).starts_with(HELLO));
        rosn.settled();
    });
}

#[test]
fn skywalking_without_its_traces() {
    alone(|| {
        let _nginx = Server::nginx("127.0.0.1:8081");
        let rosn = start("examples/trace/skywalking/http/config.json");
        assert!(curl(&["http://127.0.0.1:2046/hello?a=b"]).starts_with(HELLO));
        rosn.settled();
    });
}

#[test]
fn flowcontrol_sample_without_its_limit() {
    alone(|| {
        let _nginx = Server::nginx("127.0.0.1:8080");
        let rosn = start("examples/flowcontrol-sample/server_config.json");
        assert!(curl(&["http://127.0.0.1:2046/hello?a=b"]).starts_with(HELLO));
        assert!(
            rosn.log().contains("flowControlFilter"),
            "the log says that the limit is not kept"
        );
        rosn.settled();
    });
}

#[test]
fn dsl_sample_without_its_expressions() {
    alone(|| {
        let _rosn = start("examples/dsl-sample/config.json");
        assert_eq!(curl(&["http://127.0.0.1:2046/dsl"]), "hello DSL!");
        assert_eq!(
            curl(&["http://127.0.0.1:2402/DSL"]),
            "hello DSL!",
            "paths match without regard to case"
        );
        assert_eq!(Client::connect(2046).get("/else").status, 404);
    });
}

/// As MOSN's getting-started pages have it.
const SERVER_CONFIG: &str = r#"{
	"close_graceful" : true,
	"servers":[
		{
			"default_log_path":"stdout",
			"routers":[
				{
					"router_config_name":"server_router",
					"virtual_hosts":[{
						"name":"serverHost",
						"domains": ["*"],
						"routers": [
							{
								"match":{"prefix":"/"},
								"route":{"cluster_name":"serverCluster"}
							}
						]
					}]
				}
			],
			"listeners":[
				{
					"name":"serverListener",
					"address": "127.0.0.1:2046",
					"bind_port": true,
					"filter_chains": [{
						"filters": [
							{
								"type": "proxy",
								"config": {
									"downstream_protocol": "Http1",
									"upstream_protocol": "Http1",
									"router_config_name":"server_router"
								}
							}
						]
					}]
				}
			]
		}
	],
	"cluster_manager":{
		"clusters":[
			{
				"name":"serverCluster",
				"type": "SIMPLE",
				"lb_type": "LB_RANDOM",
				"max_request_per_conn": 1024,
				"conn_buffer_limit_bytes":32768,
				"hosts":[
					{"address":"127.0.0.1:8080"}
				]
			}
		]
	},
	"admin": {
		"address": {
			"socket_address": {
				"address": "0.0.0.0",
				"port_value": 34902
			}
		}
	}
}
"#;

#[test]
fn getting_started() {
    alone(|| {
        let python = Server::python(8080);
        fs::write(python.root().join("index.html"), "<p>it works</p>").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server_config.json");
        fs::write(&file, SERVER_CONFIG).unwrap();
        check(&file);
        let rosn = Rosn::start_file(&file);
        assert_eq!(curl(&["http://127.0.0.1:2046/"]), "<p>it works</p>");
        assert_eq!(
            curl(&["http://127.0.0.1:34902/api/v1/states"]),
            format!("pid={}&state=6\n", rosn.pid())
        );
        drop(python);
        rosn.settled_without_upstream();
    });
}

/// Every example, and what `check` must name as not active yet.
const CHECKED: &[(&str, &[&str])] = &[
    ("configs/mosn_config.json", &["RPC protocols"]),
    ("configs/mosn_config_broadcast.json", &["stream filter `mirror`", "mirroring", "shm_zone"]),
    ("configs/mosn_config_dev.json", &["RPC protocols", "shm_zone", "`pprof`"]),
    ("configs/mosn_rpc_config.json", &["RPC protocols", "`healthcheck`"]),
    ("configs/mosn_rpc_config_bolt.json", &["RPC protocols", "`healthcheck`"]),
    ("examples/dsl-sample/config.json", &["stream filter `dsl`"]),
    ("examples/dubbo/client_config.json", &["protocol `dubbo`", "tracing"]),
    ("examples/dubbo/server_config.json", &["protocol `dubbo`", "tracing"]),
    (
        "examples/filter/jwtauthn/config.json",
        &["stream filter `jwt_authn`: this listener is not started"],
    ),
    ("examples/flowcontrol-sample/server_config.json", &["`flowControlFilter`"]),
    ("examples/http-sample/client_config.json", &[]),
    ("examples/http-sample/server_config.json", &[]),
    ("examples/http-sample/tls_client_config.json", &[]),
    ("examples/http-sample/tls_server_config.json", &[]),
    ("examples/protocol-auto-sample/client_config.json", &["RPC protocols"]),
    ("examples/protocol-auto-sample/server_config.json", &["RPC protocols"]),
    ("examples/sofarpc-with-xprotocol-sample/client_config.json", &["protocol `bolt`"]),
    ("examples/sofarpc-with-xprotocol-sample/server_config.json", &["protocol `bolt`"]),
    ("examples/tcpproxy-sample/config.json", &[]),
    ("examples/trace/skywalking/http/config.json", &["tracing"]),
    ("examples/trace/zipkin/http/mosn_config.yaml", &["tracing"]),
    ("examples/tunnel-sample/agent_config.json", &["protocol `bolt`", "`tunnel_agent`"]),
    ("examples/tunnel-sample/client_config.json", &["network filter `tunnel`"]),
    ("examples/udpproxy-sample/config.json", &[]),
    ("examples/uds-sample/client_config.json", &["tracing"]),
    ("examples/uds-sample/server_config.json", &["tracing"]),
    ("examples/wasm/http/config.json", &["stream filter `proxywasm`"]),
    ("examples/wasm/httpCall/config.json", &["stream filter `proxywasm`"]),
    ("examples/wasm/sofarpc/config.json", &["stream filter `proxywasm`"]),
    ("examples/xds-server-sample/config.json", &["xDS"]),
    ("test/benchmark/mosn_benchmark.json", &["RPC protocols", "subset load balancing"]),
];

/// A copy of the examples with the certificates beside them that some of them name.
fn copy_with_certificates() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("mosn");
    run(program("cp").arg("-r").arg(examples()).arg(&copy));
    let certificates = copy.join("examples/certs");
    fs::create_dir(&certificates).unwrap();
    let place = |name: &str| certificates.join(name);
    let request =
        ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    for (name, subject) in [("ca", "/CN=authority"), ("cert", "/CN=a.mosn")] {
        let mut openssl = program("openssl");
        openssl.args(request).args(["-days", "2", "-subj", subject]);
        let key = if name == "cert" { "key.pem" } else { "ca-key.pem" };
        openssl.arg("-keyout").arg(place(key)).arg("-out").arg(place(&format!("{name}.pem")));
        run(&mut openssl);
    }
    folder
}

#[test]
fn every_example_passes_the_check_and_what_is_not_active_is_named() {
    let folder = copy_with_certificates();
    let root = folder.path().join("mosn");
    for (file, named) in CHECKED {
        let said = check(&root.join(file));
        for name in *named {
            assert!(said.contains(name), "{file}: nothing about {name}:\n{said}");
        }
        assert!(!said.contains("tls-file-missing"), "{file}: {said}");
        let quiet = named.is_empty();
        assert_eq!(quiet, !said.contains("not-yet-active"), "{file}: {said}");
    }
    let listed = |path: &Path| {
        let inside = path.strip_prefix(&root).unwrap().to_str().unwrap();
        inside.ends_with(".md")
            || inside.ends_with(".pem")
            || CHECKED.iter().any(|(file, _)| *file == inside)
    };
    let found = text(&run(program("find").arg(&root).args(["-type", "f"])));
    for path in found.lines() {
        assert!(listed(Path::new(path)), "{path} is not in the table");
    }
}

/// What protects is not left out in silence: without its filter the listener is not there at all.
#[test]
fn a_listener_whose_protection_is_not_active_is_not_started() {
    alone(|| {
        let rosn = start("examples/filter/jwtauthn/config.json");
        assert_eq!(rosn.admin_get("/ready"), "ready\n");
        assert!(TcpStream::connect(("127.0.0.1", 2046)).is_err(), "it serves");
        assert!(rosn.log().contains("not yet active"), "the log says so:\n{}", rosn.log());
    });
}
