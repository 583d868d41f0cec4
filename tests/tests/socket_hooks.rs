//! `sockets` of the configuration: limits, logs, options and faults of the process's sockets.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use rosn_tests::client::{Client, Response};
use rosn_tests::config::{cluster, config, http_listener, router_to, tcp_listener};
use rosn_tests::l4::{Peer, cluster_of, connect, connect_from, local, read_exactly, with};
use rosn_tests::origin::{Origin, ok};
use rosn_tests::tunnel::{Link, Pair};
use rosn_tests::{Rosn, free_port, wait_until};
use serde_json::{Value, json};

/// A `tcp_proxy` to a peer, with these `sockets`.
fn line(sockets: Value, peer: &Peer, listeners: usize) -> (Rosn, Vec<u16>) {
    let ports: Vec<u16> = (0..listeners).map(|_| free_port()).collect();
    let name = |index: usize| format!("line-{index}");
    let listeners: Vec<Value> = ports
        .iter()
        .enumerate()
        .map(|(index, port)| tcp_listener(&name(index), *port, "up"))
        .collect();
    let config = config(&listeners, &[], &[cluster_of("up", &[peer.host()])]);
    let rosn = Rosn::start_with(&with(config, json!({ "sockets": sockets })), &["--workers", "3"]);
    (rosn, ports)
}

/// A connection through rosn that has carried a byte.
fn through(client: TcpStream, peer: &Peer) -> (TcpStream, TcpStream) {
    let (mut client, mut origin) = (client, peer.accept());
    client.write_all(b"x").unwrap();
    assert_eq!(read_exactly(&mut origin, 1), b"x");
    (client, origin)
}

#[test]
fn connections_are_limited_in_all_and_freed_when_they_end() {
    let peer = Peer::new();
    let (rosn, ports) = line(json!({ "accept_limit": { "total": 3 } }), &peer, 2);
    for _ in 0..2 {
        let mut open: Vec<_> = [0, 1, 0]
            .into_iter()
            .map(|index| through(connect(local(ports[index])), &peer))
            .collect();
        assert!(refuses(ports[0], &peer) && refuses(ports[1], &peer));
        drop(open.pop());
        wait_until("there is room for one more", || !refuses(ports[1], &peer));
        drop(open);
        rosn.settled();
    }
}

/// Whether a new connection is refused; one that is not is closed again.
fn refuses(port: u16, peer: &Peer) -> bool {
    let Ok(mut client) = TcpStream::connect(local(port)) else { return true };
    let _ = client.write_all(b"x");
    let _ = client.shutdown(std::net::Shutdown::Write);
    let mut origin = None;
    let mut byte = [0];
    client.set_nonblocking(true).unwrap();
    loop {
        origin = origin.or_else(|| peer.accept_now());
        if origin.is_some() {
            return false;
        }
        match client.read(&mut byte) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                std::thread::yield_now()
            }
            _ => return true,
        }
    }
}

#[test]
fn each_listener_has_a_limit_over_all_workers() {
    let peer = Peer::new();
    let (rosn, ports) = line(json!({ "accept_limit": { "per_listener": 4 } }), &peer, 2);
    let open = |port: u16| (0..4).map(|_| through(connect(local(port)), &peer)).collect::<Vec<_>>();
    let (one, two) = (open(ports[0]), open(ports[1]));
    for _ in 0..8 {
        assert!(refuses(ports[0], &peer) && refuses(ports[1], &peer));
    }
    drop((one, two));
    rosn.settled();
    open(ports[0]);
}

#[test]
fn each_client_has_a_limit() {
    let peer = Peer::new();
    let (rosn, ports) = line(json!({ "accept_limit": { "per_client": 2 } }), &peer, 1);
    let from =
        |last: u8| connect_from(SocketAddr::from(([127, 0, 0, last], 0)), local(ports[0])).unwrap();
    let mut open: Vec<_> =
        [2, 2, 3, 3].into_iter().map(|last| through(from(last), &peer)).collect();
    for last in [2, 3] {
        let mut late = from(last);
        assert!(!matches!(late.read(&mut [0; 1]), Ok(1..)));
    }
    open.push(through(from(4), &peer));
    drop(open);
    rosn.settled();
    drop(through(from(2), &peer));
}

#[test]
fn limits_hold_below_transports_and_are_freed() {
    for name in ["tcp+tls", "ws", "http", "ds"] {
        let peer = Peer::new();
        let pair = Pair::tcp(Link::new(name), &peer);
        let far = with(
            pair.far_config.clone(),
            json!({ "sockets": { "accept_limit": { "per_listener": 2 } } }),
        );
        let Pair { near, far: old, near_config, far_port, port, link, .. } = pair;
        drop((near, old));
        let pair = Pair::start(link, port, far_port, near_config, far, &["--workers", "1"]);
        for _ in 0..3 {
            let mut open: Vec<_> = (0..2).map(|_| through(connect(local(port)), &peer)).collect();
            if name != "http" {
                // HTTP/2 carries all on one connection.
                assert!(refuses(port, &peer), "{name}");
            }
            for (client, origin) in &mut open {
                client.write_all(b"still").unwrap();
                assert_eq!(read_exactly(origin, 5), b"still");
            }
            drop(open);
            pair.settled_without_upstream();
        }
    }
}

#[test]
fn too_many_listeners_do_not_start() {
    let (ports, peer) = ([free_port(), free_port()], Peer::new());
    let listeners = ports.map(|port| tcp_listener(&format!("line-{port}"), port, "up"));
    let config = with(
        config(&listeners, &[], &[cluster_of("up", &[peer.host()])]),
        json!({ "sockets": { "listen_limit": 1 }, "admin": Value::Null }),
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    std::fs::write(&path, config.to_string()).unwrap();
    let output =
        Rosn::command().args(["start", "--workers", "1", "-c"]).arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("listen_limit") || said.contains("limit of 1"), "{said}");
}

#[test]
fn dials_are_logged() {
    let peer = Peer::new();
    let (rosn, ports) = line(json!({ "dial_log": true }), &peer, 1);
    drop(through(connect(local(ports[0])), &peer));
    wait_until("the dial is in the log", || {
        rosn.log().lines().filter(|line| line.contains(&peer.host()) && line.contains("up")).count()
            >= 2
    });
}

#[test]
fn upstream_connections_come_from_the_address_that_is_asked_for() {
    let peer = Peer::new();
    let (_rosn, ports) = line(json!({ "bind_address": "127.0.0.9" }), &peer, 1);
    let (_client, origin) = through(connect(local(ports[0])), &peer);
    assert_eq!(origin.peer_addr().unwrap().ip().to_string(), "127.0.0.9");
}

#[test]
fn marks_devices_and_transparency_do_not_hinder() {
    let peer = Peer::new();
    let sockets = json!({ "mark": 7, "bind_device": "lo", "tproxy": true });
    let (rosn, ports) = line(sockets, &peer, 1);
    drop(through(connect(local(ports[0])), &peer));
    rosn.settled();
}

struct Faulty {
    rosn: Rosn,
    port: u16,
    _origin: Origin,
}

/// HTTP to two clusters, `a` and `b`.
fn faulty(faults: Value) -> Faulty {
    let origin = Origin::http(|request| ok(&request.target));
    let port = free_port();
    let mut router = router_to("r", "a");
    router["virtual_hosts"][0]["routers"]
        .as_array_mut()
        .unwrap()
        .insert(0, json!({ "match": { "prefix": "/b" }, "route": { "cluster_name": "b" } }));
    let mut clusters = ["a", "b"].map(|name| cluster(name, &[origin.port()]));
    for cluster in &mut clusters {
        cluster["max_request_per_conn"] = json!(1);
    }
    let config = config(&[http_listener("in", port, "r")], &[router], &clusters);
    let rosn = Rosn::start(&with(config, json!({ "sockets": { "faults": faults } })));
    Faulty { rosn, port, _origin: origin }
}

impl Faulty {
    fn status(&self, target: &str) -> u16 {
        Client::connect(self.port).request("GET", target, &[("Connection", "close")], b"").status
    }

    fn post(&self, faults: &str) -> Response {
        let mut admin = Client::connect(self.rosn.admin_port());
        admin.request(
            "POST",
            "/api/v1/faults",
            &[("Content-Type", "application/json")],
            faults.as_bytes(),
        )
    }

    fn faults(&self) -> Value {
        serde_json::from_str(&self.rosn.admin_get("/api/v1/faults")).unwrap()
    }
}

#[test]
fn faults_of_the_configuration_hit_their_cluster() {
    let all = faulty(json!([{ "cluster": "a", "error": "refused" }]));
    assert_eq!((all.status("/a"), all.status("/b")), (502, 200));
    assert_eq!(all.faults()[0]["cluster"], "a");
    all.rosn.settled_without_upstream();
}

#[test]
fn faults_are_switched_at_the_admin_api() {
    let all = faulty(json!([]));
    assert_eq!((all.status("/a"), all.status("/b")), (200, 200));
    for error in ["refused", "reset", "timeout", "unreachable"] {
        let said =
            all.post(&json!([{ "cluster": "b", "error": error, "percent": 100 }]).to_string());
        assert_eq!(said.status, 200, "{}", said.text());
        assert_eq!(all.status("/a"), 200);
        assert!(matches!(all.status("/b"), 502..=504), "{error}");
    }
    assert_eq!(all.post(r#"[{ "error": "refused", "percent": 0 }]"#).status, 200);
    assert_eq!((all.status("/a"), all.status("/b")), (200, 200));
    assert_eq!(all.post(r#"[{ "cluster": "a", "delay": "50ms" }]"#).status, 200);
    let begin = std::time::Instant::now();
    assert_eq!(all.status("/a"), 200);
    assert!(begin.elapsed() >= std::time::Duration::from_millis(50));
    assert_eq!(all.post("[]").status, 200);
    assert_eq!(all.faults(), json!([]));
}

#[test]
fn wrong_faults_change_nothing() {
    let all = faulty(json!([]));
    assert_eq!(all.post(r#"[{ "cluster": "b", "error": "refused" }]"#).status, 200);
    let before = all.faults();
    for (wrong, place) in [
        (r#"[{ "cluster": "zzz", "error": "refused" }]"#, "zzz"),
        (
            r#"[{ "cluster": "a", "error": "refused" }, { "cluster": "a", "error": "odd" }]"#,
            "[1].error",
        ),
        (r#"[{ "cluster": "a", "error": "refused", "percent": 101 }]"#, "[0].percent"),
        (r#"[{ "cluster": "a" }]"#, "[0]"),
        (r#"[{ "cluster": "a", "error": "refused", "delay": "1s" }]"#, "[0]"),
        (r#"[{ "cluster": "a", "delay": "-1s" }]"#, "[0].delay"),
        (r#"[{ "cluster": "a", "error": "refused", "colour": 1 }]"#, "colour"),
        (r#"{ "cluster": "a" }"#, ""),
        ("nonsense", ""),
    ] {
        let said = all.post(wrong);
        let text = said.text();
        assert!(matches!(said.status, 400 | 422), "{wrong}: {} {text}", said.status);
        assert!(text.contains(place), "{wrong}: {text}");
        println!("{wrong} -> {} {text}", said.status);
    }
    assert_eq!(all.faults(), before);
    assert_eq!((all.status("/a"), all.status("/b")), (200, 502));
}
