//! Each phase where it happens, and nowhere else.

use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;

use rosn_tests::client::Client;
use rosn_tests::config::{cluster, config, http_listener, router};
use rosn_tests::origin::{Origin, ok, response};
use rosn_tests::tunnel::Link;
use rosn_tests::{Rosn, free_port, wait_until};
use serde_json::{Value, json};

use crate::{Extra, Setup, dead};

/// Row 2, T17: what a used connection had cost to make is not told again.
#[test]
fn a_new_connection_and_a_used_one() {
    let origin = Origin::http(|_| ok("here"));
    let setup = Setup::new(cluster("c", &[origin.port()]));
    let mut client = setup.client();
    client.get("/");
    client.get("/");
    let lines = setup.lines(2);
    let addr = format!("127.0.0.1:{}", origin.port());
    let of_both = [
        ("response_code_details", "via_upstream"),
        ("upstream_dns_time", "-"),
        ("upstream_tls_time", "-"),
        ("upstream_pool_wait", "-"),
        ("upstream_first_byte_time", "~"),
        ("upstream_total_time", "~"),
        ("upstream_tries", "1"),
        ("upstream_addrs", &addr),
    ];
    lines.iter().for_each(|line| line.expect(&of_both));
    lines[0].expect(&[("upstream_reused", "false"), ("upstream_connect_time", "~")]);
    lines[1].expect(&[("upstream_reused", "true"), ("upstream_connect_time", "-")]);
    for line in &lines {
        let (wait, total) =
            (line.nanos("upstream_first_byte_time"), line.nanos("upstream_total_time"));
        assert!(wait <= total && total <= line.nanos("duration"), "{line:?}");
    }
    assert_eq!((setup.count("connect_time"), setup.count("first_byte_time")), (1.0, 2.0));
    let metrics = setup.rosn.admin_get("/metrics");
    for absent in ["upstream_dns_time", "upstream_tls_time", "upstream_pool_wait"] {
        assert!(!metrics.contains(absent), "{absent} did not happen");
    }
    let stats = setup.rosn.admin_get("/api/v1/stats");
    assert!(stats.contains("first_byte_time_max"), "{stats}");
}

/// A rosn that is reached by the link, answers by itself, and is a cluster to another one.
fn behind(link: &Link) -> (Rosn, Value) {
    let port = free_port();
    let mut listener = http_listener("far", port, "r");
    listener["stream_settings"] = link.listen.clone();
    let all =
        json!({ "match": { "prefix": "/" }, "direct_response": { "status": 200, "body": "far" } });
    let rosn =
        Rosn::start_with(&config(&[listener], &[router("r", &[all])], &[]), &["--workers", "1"]);
    let mut up = cluster("c", &[port]);
    up["stream_settings"] = link.dial.clone();
    (rosn, up)
}

/// Handshakes are those of a new connection, and only of it.
#[test]
fn handshakes() {
    for name in ["tcp+tls", "ws", "ws+tls", "quic+tls"] {
        let link = Link::new(name);
        let (_far, up) = behind(&link);
        let setup = Setup::new(up);
        let mut client = setup.client();
        assert_eq!((client.get("/").text(), client.get("/").text()), ("far".into(), "far".into()));
        let lines = setup.lines(2);
        lines[0].expect(&[
            ("upstream_reused", "false"),
            ("upstream_connect_time", "~"),
            ("upstream_tls_time", "~"),
        ]);
        assert!(lines[0].nanos("upstream_tls_time") > 0.0, "{name}");
        lines[1].expect(&[
            ("upstream_reused", "true"),
            ("upstream_connect_time", "-"),
            ("upstream_tls_time", "-"),
        ]);
        assert_eq!((setup.count("connect_time"), setup.count("tls_time")), (1.0, 1.0), "{name}");
    }
}

/// A stream of an HTTP/2 connection that is there already is no new connection.
#[test]
fn streams_of_one_connection() {
    let link = Link::new("http+tls");
    let (_far, mut up) = behind(&link);
    up["max_request_per_conn"] = json!(1);
    let setup = Setup::new(up);
    let mut client = setup.client();
    assert_eq!((client.get("/").text(), client.get("/").text()), ("far".into(), "far".into()));
    let lines = setup.lines(2);
    lines[0].expect(&[("upstream_reused", "false"), ("upstream_connect_time", "~")]);
    lines[1].expect(&[("upstream_reused", "true"), ("upstream_connect_time", "-")]);
    // The request that opens a stream is its handshake.
    lines.iter().for_each(|line| line.expect(&[("upstream_tls_time", "~")]));
}

/// The phases are those of the last try, the addresses those of all.
#[test]
fn several_tries() {
    let origin = Origin::http(|_| ok("alive"));
    let gone = dead();
    let setup = Setup::new(cluster("c", &[gone, origin.port()]));
    for _ in 0..2 {
        assert_eq!(setup.get().text(), "alive");
    }
    let lines = setup.lines(2);
    let line = lines.iter().find(|line| line.value("upstream_tries") == "2");
    let addrs = format!("127.0.0.1:{gone},127.0.0.1:{}", origin.port());
    line.expect("one of two begins with the one that is down").expect(&[
        ("response_code_details", "via_upstream"),
        ("response_flags", "-"),
        ("upstream_addrs", &addrs),
        ("upstream_index", "1"),
        ("upstream_first_byte_time", "~"),
    ]);
    assert_eq!(setup.count("connect_time"), 1.0, "the one that came about");
    assert_eq!(setup.count("first_byte_time"), 2.0);
}

/// A status that is retried is a try like any other.
#[test]
fn a_status_that_is_retried() {
    let origin = Origin::http(|_| response(503, &[], b""));
    let route = json!({ "retry_policy": { "retry_on": true, "num_retries": 2 } });
    let setup = Setup::with(cluster("c", &[origin.port()]), Extra { route, ..Extra::default() });
    assert_eq!(setup.get().status, 503);
    let addrs = vec![format!("127.0.0.1:{}", origin.port()); 3].join(",");
    setup.line().expect(&[
        ("response_code_details", "via_upstream"),
        ("upstream_tries", "3"),
        ("upstream_addrs", &addrs),
        ("upstream_total_time", "~"),
    ]);
    assert_eq!(setup.count("first_byte_time"), 3.0);
}

#[test]
fn a_wait_for_a_connection() {
    let (release, held) = mpsc::channel();
    let held = Mutex::new(held);
    let origin = Origin::http(move |request| {
        if request.target == "/held" {
            held.lock().unwrap().recv().unwrap();
        }
        ok("")
    });
    let mut narrow = cluster("c", &[origin.port()]);
    narrow["circuit_breakers"] = json!([{ "max_connections": 1, "max_pending_requests": 1 }]);
    let setup = Setup::new(narrow);
    let port = setup.port;
    let first = thread::spawn(move || Client::connect(port).get("/held").status);
    wait_until("the first request is under way", || origin.requests() == 1);
    let second = thread::spawn(move || Client::connect(port).get("/waits").status);
    wait_until("the second one waits", || setup.rosn.active().1 == 2);
    release.send(()).unwrap();
    assert_eq!((first.join().unwrap(), second.join().unwrap()), (200, 200));
    let lines = setup.lines(2);
    let of = |path: &str| lines.iter().find(|line| line.value("request_path") == path).unwrap();
    of("/held").expect(&[("upstream_pool_wait", "-"), ("upstream_reused", "false")]);
    of("/waits").expect(&[("upstream_pool_wait", "~"), ("upstream_reused", "true")]);
    assert!(of("/waits").nanos("upstream_pool_wait") > 0.0);
    assert_eq!(setup.count("pool_wait"), 1.0);
}

/// A name that a CONNECT names is resolved for it alone; so there is a time of the DNS, and a failure of it.
#[test]
fn a_name_that_is_resolved_for_the_request() {
    let anywhere = json!({ "name": "c", "type": "ORIGINAL_DST", "lb_type": "LB_ORIGINAL_DST" });
    let route = json!({ "tunnel": { "connect": { "ports": ["1-65535"] } } });
    let setup = Setup::with(anywhere, Extra { route, ..Extra::default() });
    let origin = Origin::http(|_| ok(""));
    for host in ["127.0.0.1", "localhost"] {
        let mut client = setup.client();
        client.send(format!(
            "CONNECT {host}:{0} HTTP/1.1\r\nHost: {host}:{0}\r\n\r\n",
            origin.port()
        ));
        assert!(client.read_head().starts_with("HTTP/1.1 200 "), "{host}");
    }
    let mut client = setup.client();
    client.send("CONNECT no-such-host.invalid:443 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.read_response().status, 502);
    let lines = setup.lines(3);
    let of = |details: &str, dns: fn(&str) -> bool| {
        let fits = |line: &&crate::Line| {
            line.value("response_code_details") == details && dns(line.value("upstream_dns_time"))
        };
        lines.iter().find(fits).unwrap_or_else(|| panic!("{details}: {lines:?}"))
    };
    of("tunnel_ended", |dns| dns == "-").expect(&[("upstream_connect_time", "~")]);
    of("tunnel_ended", |dns| dns != "-").expect(&[("upstream_connect_time", "~")]);
    of("upstream_dns_failure", |dns| dns != "-").expect(&[("upstream_tries", "0")]);
    setup.logged(&["details=upstream_dns_failure", "no-such-host.invalid"]);
    assert_eq!(setup.count("dns_time"), 1.0);
}

#[test]
fn what_no_upstream_was_asked_for() {
    let setup = Setup::new(cluster("c", &[]));
    assert_eq!(setup.client().get("/direct").status, 203);
    let line = setup.line();
    line.expect(&[("response_code_details", "direct_response"), ("response_flags", "-")]);
    for name in crate::VARIABLES.iter().filter(|name| name.starts_with("upstream_")) {
        line.expect(&[(name, "-")]);
    }
}
