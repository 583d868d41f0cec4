//! CONNECT: who may, where to, and what comes of it.

use rosn_tests::client::Client;
use rosn_tests::config::{config, http_listener, route_to};
use rosn_tests::l4::{DeadPort, Peer, SilentPort, cluster_of, merge, with};
use rosn_tests::{Rosn, free_port};
use serde_json::{Value, json};

use crate::{routes, says_no_more};

/// A route to this cluster with these rules of CONNECT.
fn route(cluster: &str, connect: Value) -> Value {
    let mut route = route_to("/", cluster);
    merge(&mut route["route"], json!({ "tunnel": { "connect": connect } }));
    route
}

fn start(all: &[Value], clusters: &[Value]) -> (Rosn, u16) {
    let port = free_port();
    let rosn = Rosn::start(&config(&[http_listener("in", port, "r")], &[routes(all)], clusters));
    (rosn, port)
}

/// Asks for a tunnel to `target`; a client that has not read the answer.
fn ask(port: u16, target: &str, more: &str) -> Client {
    let mut client = Client::connect(port);
    client.send(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n{more}"));
    client
}

/// The answer where it is not a tunnel. What was sent behind the request is not read as one.
fn refused(port: u16, target: &str) -> (u16, String, Option<String>) {
    let mut client = ask(port, target, "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = client.read_response();
    assert_eq!(response.header("connection").as_deref(), Some("close"), "{target}");
    client.shutdown_write();
    assert!(says_no_more(&mut client), "{target}");
    (response.status, response.text(), response.header("allow"))
}

/// Passes some bytes both ways, and ends.
fn echoes(mut client: Client, mut origin: Client) {
    client.send("ping");
    assert_eq!(origin.read_exact(4), b"ping");
    origin.send("pong");
    assert_eq!(client.read_exact(4), b"pong");
    client.shutdown_write();
    assert!(origin.is_closed());
    origin.send("late");
    drop(origin);
    assert_eq!(client.read_to_end(), b"late");
}

/// H11: a 2xx without Transfer-Encoding and Content-Length, and early bytes of the client are kept.
#[test]
fn rosn_connects_to_the_cluster() {
    let peer = Peer::new();
    let (rosn, port) = start(
        &[route("up", json!({ "ports": [443, "8000-8999"] }))],
        &[cluster_of("up", &[peer.host()])],
    );
    for target in ["example.com:443", "example.com:8443", "[::1]:8000"] {
        let mut client = ask(port, target, "early");
        let mut origin = Client::over(peer.accept());
        assert_eq!(origin.read_exact(5), b"early", "nothing but the bytes of the tunnel");
        assert_eq!(client.read_head(), "HTTP/1.1 200 Connection established\r\n\r\n");
        echoes(client, origin);
    }
    // HTTP/1.0, which old clients still say here, without Host.
    let mut client = Client::connect(port);
    client.send("CONNECT a:443 HTTP/1.0\r\n\r\n");
    let origin = Client::over(peer.accept());
    assert!(client.read_head().starts_with("HTTP/1.1 200 "));
    echoes(client, origin);
    rosn.settled_without_upstream();
}

/// Nowhere but where a route says so, and to no other port.
#[test]
fn connect_is_refused_unless_it_is_allowed() {
    let peer = Peer::new();
    let up = [cluster_of("up", &[peer.host()])];
    let (rosn, port) = start(&[route_to("/", "up")], &up);
    let (status, body, allow) = refused(port, "a:443");
    assert_eq!((status, allow.as_deref()), (405, Some("")), "{body}");
    drop(rosn);

    let direct =
        json!({ "match": { "prefix": "/" }, "direct_response": { "status": 200, "body": "no" } });
    let mut asked = route("up", json!({}));
    asked["match"] =
        json!({ "prefix": "/only-a-path", "headers": [{ "name": "x", "value": "y" }] });
    let (rosn, port) = start(&[direct, asked, route("up", json!({ "ports": ["1-9"] }))], &up);
    // The first route with `connect` whose headers fit: without `x: y` the one of small ports.
    assert_eq!(refused(port, "a:443").0, 403);
    assert!(refused(port, "a:10").1.contains("port"));
    let mut client = Client::connect(port);
    client.send("CONNECT a:443 HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n");
    let origin = Client::over(peer.accept());
    assert!(client.read_head().starts_with("HTTP/1.1 200 "));
    echoes(client, origin);
    // With a body, or without a port, it is no request at all.
    for request in [
        "CONNECT a:9 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "CONNECT a:9 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:99999 HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT http://a:9/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT u@a:9 HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut client = Client::connect(port);
        client.send(request);
        assert_eq!(client.read_response().status, 400, "{request}");
    }
    assert!(peer.accept_now().is_none());
    rosn.settled_without_upstream();
}

/// Virtual hosts choose by the name that is asked for, whatever the port.
#[test]
fn the_virtual_host_is_that_of_the_target() {
    let peer = Peer::new();
    let port = free_port();
    let router = json!({ "router_config_name": "r", "virtual_hosts": [
        { "name": "a", "domains": ["a.test"], "routers": [route("up", json!({}))] },
        { "name": "b", "domains": ["b.test"], "routers": [route_to("/", "up")] },
    ] });
    let rosn = Rosn::start(&config(
        &[http_listener("in", port, "r")],
        &[router],
        &[cluster_of("up", &[peer.host()])],
    ));
    assert_eq!(refused(port, "b.test:443").0, 405);
    assert_eq!(refused(port, "c.test:443").0, 404);
    let mut client = ask(port, "A.test:443", "");
    let origin = Client::over(peer.accept());
    assert!(client.read_head().starts_with("HTTP/1.1 200 "));
    echoes(client, origin);
    rosn.settled_without_upstream();
}

/// What cannot be connected to is an HTTP response, and the client may see it.
#[test]
fn a_failure_to_connect_is_a_response() {
    let (dead, silent) = (DeadPort::new(), SilentPort::new());
    let mut slow = cluster_of("slow", &[silent.host()]);
    slow["connect_timeout"] = json!("200ms");
    for (cluster, status) in
        [(cluster_of("dead", &[dead.host()]), 502), (slow, 504), (cluster_of("empty", &[]), 502)]
    {
        let name = cluster["name"].as_str().unwrap().to_owned();
        let (rosn, port) = start(&[route(&name, json!({}))], &[cluster]);
        assert_eq!(refused(port, "a:443").0, status, "{name}");
        rosn.settled_without_upstream();
    }
}

/// An open tunnel is a connection to its cluster, and a request under way.
#[test]
fn tunnels_count_against_the_limits_of_their_cluster() {
    for limit in ["max_connections", "max_requests"] {
        let peer = Peer::new();
        let mut up = cluster_of("up", &[peer.host()]);
        up["circuit_breakers"] = json!([{ limit: 1 }]);
        let (rosn, port) = start(&[route("up", json!({}))], &[up]);
        let mut client = ask(port, "a:443", "");
        let origin = Client::over(peer.accept());
        client.read_head();
        assert_eq!(refused(port, "a:443").0, 503, "{limit}");
        echoes(client, origin);
        rosn.settled_without_upstream();
        let mut client = ask(port, "a:443", "");
        let origin = Client::over(peer.accept());
        client.read_head();
        echoes(client, origin);
    }
}

/// The first host refuses; the next one is taken.
#[test]
fn another_host_is_tried() {
    let (dead, peer) = (DeadPort::new(), Peer::new());
    let (rosn, port) =
        start(&[route("up", json!({}))], &[cluster_of("up", &[dead.host(), peer.host()])]);
    for _ in 0..4 {
        let mut client = ask(port, "a:443", "");
        let origin = Client::over(peer.accept());
        assert!(client.read_head().starts_with("HTTP/1.1 200 "));
        echoes(client, origin);
    }
    rosn.settled_without_upstream();
}

/// A forward proxy: a cluster of type ORIGINAL_DST goes where the request says, names included.
#[test]
fn a_forward_proxy_goes_where_the_request_says() {
    let peer = Peer::new();
    let anywhere = json!({ "name": "any", "type": "ORIGINAL_DST", "lb_type": "LB_ORIGINAL_DST" });
    let (rosn, port) = start(&[route("any", json!({ "ports": ["1-65535"] }))], &[anywhere]);
    for host in ["127.0.0.1", "localhost"] {
        let mut client = ask(port, &format!("{host}:{}", peer.port()), "early");
        let mut origin = Client::over(peer.accept());
        assert!(client.read_head().starts_with("HTTP/1.1 200 "));
        assert_eq!(origin.read_exact(5), b"early");
        echoes(client, origin);
    }
    let dead = DeadPort::new();
    assert_eq!(refused(port, &dead.host()).0, 502);
    assert_eq!(refused(port, "no-such-host.invalid:443").0, 502);
    // What some resolvers take for 127.0.0.1, and what elsewhere is the path of a socket.
    for host in ["127.1", "0x7f.1", "0x7f000001", "2130706433", "127.0.0.1."] {
        assert_eq!(refused(port, &format!("{host}:{}", peer.port())).0, 502, "{host}");
    }
    assert_eq!(refused(port, "unix:443").0, 502);
    rosn.settled_without_upstream();
}

/// The request goes on to another proxy.
#[test]
fn another_proxy_may_answer() {
    let peer = Peer::new();
    let (rosn, port) =
        start(&[route("up", json!({ "upstream": "http" }))], &[cluster_of("up", &[peer.host()])]);
    let mut client = Client::connect(port);
    client.send(
        "CONNECT a.test:443 HTTP/1.1\r\nHost: other\r\nProxy-Authorization: Basic eA==\r\n\
         Proxy-Connection: keep-alive\r\n\r\nearly",
    );
    let mut proxy = Client::over(peer.accept());
    let head = proxy.read_head();
    assert!(head.starts_with("CONNECT a.test:443 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("Host: a.test:443\r\n") && !head.contains("other"), "{head}");
    assert!(head.contains("Proxy-Authorization: Basic eA==\r\n"), "{head}");
    assert!(!head.contains("Proxy-Connection"), "{head}");
    assert!(proxy.is_quiet(), "bytes were passed on before the 2xx");
    // Any 2xx will do, and fields about a body mean nothing (RFC 9110 section 9.3.6).
    proxy.send("HTTP/1.1 204 Sure\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nVia: x\r\n\r\nhello");
    let head = client.read_head();
    assert!(head.starts_with("HTTP/1.1 204 Sure\r\n") && head.contains("Via: x\r\n"), "{head}");
    let lower = head.to_lowercase();
    assert!(
        !lower.contains("content-length")
            && !lower.contains("transfer")
            && !lower.contains("connection")
    );
    assert_eq!(client.read_exact(5), b"hello");
    assert_eq!(proxy.read_exact(5), b"early");
    echoes(client, proxy);

    let mut client = ask(port, "a:443", "early");
    let mut proxy = Client::over(peer.accept());
    proxy.read_head();
    proxy.send("HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 3\r\n\r\nwho");
    let response = client.read_response();
    assert_eq!((response.status, response.text().as_str()), (407, "who"));
    assert_eq!(response.header("proxy-authenticate").as_deref(), Some("Basic"));
    client.shutdown_write();
    assert!(says_no_more(&mut client));
    drop((client, proxy));
    rosn.settled();
}

/// A 101 is no answer to CONNECT.
#[test]
fn a_101_to_connect_is_a_502() {
    let peer = Peer::new();
    let (rosn, port) =
        start(&[route("up", json!({ "upstream": "http" }))], &[cluster_of("up", &[peer.host()])]);
    let mut client = ask(port, "a:443", "");
    let mut proxy = Client::over(peer.accept());
    proxy.read_head();
    proxy.send(crate::AGREE);
    assert_eq!(client.read_response().status, 502);
    assert!(says_no_more(&mut proxy));
    drop(client);
    rosn.settled_without_upstream();
}

/// Clients of the ordinary kind on the same listener and connection.
#[test]
fn requests_come_before_a_tunnel() {
    let peer = Peer::new();
    let up = with(cluster_of("up", &[peer.host()]), json!({}));
    let (rosn, port) = start(&[route("up", json!({}))], &[up]);
    let mut client = Client::connect(port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut origin = Client::over(peer.accept());
    origin.read_head();
    origin.send("HTTP/1.1 204 X\r\n\r\n");
    assert_eq!(client.read_response().status, 204);
    client.send("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n");
    let tunnelled = Client::over(peer.accept());
    assert!(client.read_head().starts_with("HTTP/1.1 200 "));
    assert!(origin.is_quiet(), "a pooled connection is not the tunnel's");
    echoes(client, tunnelled);
    drop(origin);
    rosn.settled_without_upstream();
}
