//! Why a request failed: the word for it, the flags, the line in the log.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use rosn_tests::client::Client;
use rosn_tests::config::{cluster, config, http_listener, router};
use rosn_tests::dns::DnsServer;
use rosn_tests::l4::{connect, local, reset, with};
use rosn_tests::origin::{Origin, ok};
use rosn_tests::tunnel::settings;
use rosn_tests::{Rosn, free_port, wait_until};
use serde_json::{Value, json};

use crate::{Extra, Setup, dead};

/// Reads until the peer goes, and says nothing.
fn silent() -> Origin {
    Origin::raw(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

/// Reads a head, and answers with these bytes.
fn says(bytes: &'static [u8]) -> Origin {
    Origin::raw(move |mut stream| {
        let mut head = Vec::new();
        let mut byte = [0; 1];
        while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
            head.push(byte[0]);
        }
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut head);
    })
}

/// One request, what came of it, and what the log says of it.
#[track_caller]
fn expect(setup: &Setup, status: u16, flags: &str, details: &str, words: &[&str]) {
    assert_eq!(setup.get().status, status);
    let line = setup.line();
    let code = status.to_string();
    line.expect(&[
        ("response_code", &code),
        ("response_flags", flags),
        ("response_code_details", details),
    ]);
    let details = format!("details={details}");
    let flags = format!("flags={flags}");
    setup.logged(&[&[details.as_str(), &flags, "cluster=c"], words].concat());
}

fn routed(cluster: Value, route: Value) -> Setup {
    Setup::with(cluster, Extra { route, ..Extra::default() })
}

fn faulty(port: u16, fault: Value) -> Setup {
    let up = with(cluster("c", &[port]), json!({ "connect_timeout": "200ms" }));
    let top = json!({ "sockets": { "faults": [fault] } });
    Setup::with(up, Extra { top, ..Extra::default() })
}

#[test]
fn refused() {
    let port = dead();
    let setup = Setup::new(cluster("c", &[port]));
    let addr = format!("127.0.0.1:{port}");
    expect(&setup, 502, "UF", "upstream_connect_refused", &[&addr, "refused", "tries=3", "tried="]);
    let addrs = [addr.as_str(); 3].join(",");
    setup.line().expect(&[
        ("upstream_tries", "3"),
        ("upstream_addrs", &addrs),
        ("upstream_reused", "-"),
        ("upstream_first_byte_time", "-"),
        ("upstream_total_time", "~"),
    ]);
    assert_eq!(setup.count("connect_time"), 0.0);
    assert_eq!(setup.count("first_byte_time"), 0.0);
}

#[test]
fn unreachable_or_without_an_answer() {
    let port = dead();
    let setup = faulty(port, json!({ "error": "unreachable" }));
    expect(&setup, 502, "UF", "upstream_unreachable", &[&port.to_string()]);
    let setup = faulty(port, json!({ "error": "timeout" }));
    expect(&setup, 502, "UF", "upstream_connect_timeout", &[&port.to_string()]);
}

/// The words name the transport, the phase, the address and the limit.
#[test]
fn a_connect_that_takes_too_long() {
    let origin = silent();
    let setup = faulty(origin.port(), json!({ "delay": "1h" }));
    let words = format!(
        "tcp: connecting to 127.0.0.1:{} was not done within `connect_timeout` (200ms)",
        origin.port()
    );
    expect(&setup, 504, "UF", "upstream_connect_timeout", &[&words, "hint="]);
    setup
        .line()
        .expect(&[("upstream_transport_failure_reason", &words), ("upstream_connect_time", "~")]);
}

#[test]
fn a_handshake_that_takes_too_long() {
    let origin = silent();
    let port = origin.port();
    let limit = json!({ "connect_timeout": "200ms" });
    let tls = json!({ "network": "tcp", "security": "tls", "tlsSettings": { "serverName": "a", "allowInsecure": true } });
    for (stream, details, words) in [
        (tls, "upstream_tls_timeout", format!("tcp: the TLS handshake with 127.0.0.1:{port} was")),
        (
            settings("ws", std::path::Path::new("/")),
            "upstream_handshake_timeout",
            format!("ws: the handshake with 127.0.0.1:{port} was"),
        ),
    ] {
        let up = with(cluster("c", &[port]), json!({ "stream_settings": stream }));
        let setup = Setup::new(with(up, limit.clone()));
        expect(&setup, 504, "UF", details, &[&words, "`connect_timeout` (200ms)"]);
        let line = setup.line();
        line.expect(&[("upstream_connect_time", "~"), ("upstream_tls_time", "~")]);
        assert!(line.nanos("upstream_tls_time") > line.nanos("upstream_connect_time"), "{line:?}");
    }
}

#[test]
fn no_endpoint() {
    let setup = Setup::new(cluster("c", &[]));
    expect(&setup, 502, "UH", "cluster_without_hosts", &["tries=0"]);
    setup.line().expect(&[
        ("upstream_tries", "0"),
        ("upstream_addrs", "-"),
        ("upstream_total_time", "-"),
    ]);
    let setup = Setup::new(json!({ "name": "c", "type": "ORIGINAL_DST" }));
    expect(&setup, 502, "UH", "no_original_destination", &[]);
}

#[test]
fn names_that_the_dns_does_not_know() {
    let server = DnsServer::new();
    server.fail(true);
    let setup = Setup::new(json!({
        "name": "c", "type": "STRICT_DNS", "lb_type": "LB_ROUNDROBIN",
        "hosts": [{ "address": "nobody.test:80" }], "dns_refresh_rate": "100ms",
        "dns_resolvers": { "servers": ["127.0.0.1"], "port": server.port(), "timeout": 1, "attempts": 1 },
    }));
    expect(&setup, 502, "UH", "cluster_not_resolved", &["hint="]);
}

#[test]
fn limits_that_are_reached() {
    for (limits, status, details) in [
        (json!({ "max_requests": 1 }), 503, "upstream_max_requests"),
        (json!({ "max_connections": 1 }), 503, "upstream_max_connections"),
        (json!({ "max_connections": 1, "max_pending_requests": 1 }), 504, "upstream_pool_timeout"),
    ] {
        let origin = silent();
        let up = with(cluster("c", &[origin.port()]), json!({ "circuit_breakers": [limits] }));
        let setup = Setup::new(up);
        let mut held = setup.client();
        held.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        wait_until("the first one is under way", || origin.connections() == 1);
        let headers = [("x-mosn-global-timeout", "200")];
        assert_eq!(setup.client().request("GET", "/", &headers, b"").status, status, "{details}");
        setup.line().expect(&[("response_code_details", details), ("response_flags", "UO")]);
        setup.logged(&[&format!("details={details}"), "hint="]);
        if details == "upstream_pool_timeout" {
            setup.line().expect(&[("upstream_pool_wait", "~"), ("upstream_reused", "-")]);
            assert_eq!(setup.count("pool_wait"), 0.0, "it was in vain");
        }
        drop(held);
    }
}

#[test]
fn an_upstream_that_breaks_off() {
    let origin = says(b"");
    let setup = Setup::new(cluster("c", &[origin.port()]));
    expect(&setup, 502, "UR", "upstream_reset_before_response", &[]);
    setup.line().expect(&[("upstream_reused", "false"), ("upstream_first_byte_time", "-")]);

    let origin = says(b"SSH-2.0-OpenSSH\r\n\r\n");
    let setup = Setup::new(cluster("c", &[origin.port()]));
    expect(&setup, 502, "UPE", "upstream_invalid_response", &["hint="]);
    setup.line().expect(&[("upstream_first_byte_time", "~")]);

    let origin = says(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    let setup = Setup::new(cluster("c", &[origin.port()]));
    let mut client = setup.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.read_head();
    assert!(client.read_exact(3) == b"abc" && client.is_reset());
    setup
        .line()
        .expect(&[("response_code_details", "upstream_response_broken"), ("response_flags", "UC")]);
}

/// The time until an upstream broke off is a part of the whole, though nothing came in it.
#[test]
fn the_time_until_an_upstream_breaks_off_counts() {
    let (waited, waits) = std::sync::mpsc::channel();
    let origin = Origin::raw(move |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let begin = Instant::now();
        // Less than what has the proxy look at its clock in between.
        thread::sleep(Duration::from_millis(30));
        waited.send(begin.elapsed()).unwrap();
    });
    let setup = Setup::new(cluster("c", &[origin.port()]));
    assert_eq!(setup.get().status, 502);
    let least = waits.recv().unwrap().as_nanos() as f64;
    let line = setup.line();
    assert!(line.nanos("upstream_total_time") >= least, "{least}: {line:?}");
}

#[test]
fn an_upstream_that_takes_too_long() {
    let origin = silent();
    let hosts = cluster("c", &[origin.port()]);
    let setup = routed(hosts.clone(), json!({ "timeout": "150ms" }));
    expect(&setup, 504, "UT", "upstream_response_timeout", &["hint="]);
    setup.line().expect(&[("upstream_first_byte_time", "-"), ("upstream_total_time", "~")]);
    let policy =
        json!({ "retry_policy": { "retry_on": true, "num_retries": 1, "retry_timeout": "100ms" } });
    let setup = routed(hosts, policy);
    expect(&setup, 504, "UT,URX", "upstream_try_timeout", &["hint=", "tries=2"]);
}

#[test]
fn what_this_build_does_not_speak() {
    let origin = Origin::http(|_| ok(""));
    let setup = routed(cluster("c", &[origin.port()]), json!({ "upstream_protocol": "bolt" }));
    expect(&setup, 503, "UF", "upstream_unusable", &[]);
}

#[test]
fn requests_that_go_nowhere() {
    let setup = Setup::new(cluster("c", &[]));
    let headers = [("x-cluster", "absent")];
    assert_eq!(setup.client().request("GET", "/named", &headers, b"").status, 503);
    setup
        .line()
        .expect(&[("response_code_details", "cluster_not_found"), ("response_flags", "NC")]);
    setup.logged(&["names a cluster that does not exist"]);
    let mut client = setup.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n");
    assert_eq!(client.read_response().status, 400);
    setup.lines(2)[1]
        .expect(&[("response_code_details", "request_head_invalid"), ("response_flags", "DPE")]);
}

#[test]
fn faults_of_the_client() {
    let origin = silent();
    let proxy = json!({ "extend_config": { "max_request_body_size": 5 } });
    let extra = Extra { proxy, ..Extra::default() };
    let setup = Setup::with(cluster("c", &[origin.port()]), extra);
    assert_eq!(setup.client().request("POST", "/", &[], b"too long").status, 413);
    let chunked = |body: &str| {
        let mut client = setup.client();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        ));
        client.read_response().status
    };
    assert_eq!(chunked("6\r\nabcdef\r\n0\r\n\r\n"), 413);
    assert_eq!(chunked("x\r\n"), 400);
    let mut gone = connect(local(setup.port));
    gone.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    wait_until("the last one is at the origin", || origin.connections() >= 3);
    reset(gone);
    let lines = setup.lines(4);
    let details: Vec<_> = lines.iter().map(|line| line.value("response_code_details")).collect();
    let expected = [
        "request_body_too_large",
        "request_body_too_large",
        "request_body_invalid",
        "downstream_gone",
    ];
    assert_eq!(details, expected);
}

#[test]
fn no_route() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let log = folder.path().join("access.log");
    let mut listener = http_listener("in", port, "r");
    listener["access_logs"] = json!([{ "log_path": log, "log_format": "%response_code_details%" }]);
    let _rosn = Rosn::start(&config(&[listener], &[router("r", &[])], &[]));
    assert_eq!(Client::connect(port).get("/").status, 404);
    let read = || std::fs::read_to_string(&log).unwrap_or_default();
    wait_until("it is logged", || read() == "route_not_found\n");
}
