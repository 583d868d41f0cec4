//! What an endpoint says for good, it is not asked again.

use rosn_tests::client::Client;
use rosn_tests::config::{cluster, config, tcp_listener};
use rosn_tests::l4::{connect, local};
use rosn_tests::origin::{Origin, ok, response};
use rosn_tests::tunnel::{Link, Pki, settings};
use rosn_tests::{Rosn, free_port, wait_until};
use serde_json::{Value, json};

use crate::Setup;

/// A cluster that does a WebSocket handshake with these.
fn by_websocket(ports: &[u16]) -> Value {
    let mut up = cluster("c", ports);
    up["stream_settings"] = settings("ws", std::path::Path::new("/"));
    up
}

fn refused(rosn: &Rosn) -> f64 {
    rosn.metric("upstream_connection_con_fail", &[("cluster", "c")])
}

#[test]
fn a_handshake_that_is_turned_down() {
    let origin = Origin::http(|_| response(404, &[], b""));
    let setup = Setup::new(by_websocket(&[origin.port()]));
    assert_eq!(setup.get().status, 502);
    setup.line().expect(&[
        ("response_code_details", "upstream_handshake_failure"),
        ("response_flags", "UF"),
        ("upstream_tries", "1"),
        ("upstream_connect_time", "~"),
        ("upstream_tls_time", "~"),
    ]);
    let addr = format!("127.0.0.1:{}", origin.port());
    setup.logged(&["details=upstream_handshake_failure", "ws: ", &addr, "404"]);
    assert_eq!(refused(&setup.rosn), 1.0);
    assert_eq!(setup.count("tls_time"), 0.0, "it did not come about");
}

#[test]
fn a_certificate_that_is_not_trusted() {
    let link = Link::new("tcp+tls");
    let port = free_port();
    let mut listener = tcp_listener("far", port, "none");
    listener["stream_settings"] = link.listen;
    let _far = Rosn::start_with(&config(&[listener], &[], &[cluster("none", &[])]), &[]);
    let (mut up, other) = (cluster("c", &[port]), Pki::new());
    up["stream_settings"] =
        json!({ "network": "tcp", "security": "tls", "tlsSettings": other.dialing() });
    let setup = Setup::new(up);
    assert_eq!(setup.get().status, 502);
    let addr = format!("127.0.0.1:{port}");
    setup.line().expect(&[
        ("response_code_details", "upstream_tls_failure"),
        ("response_flags", "UF"),
        ("upstream_tries", "1"),
        ("upstream_addrs", &addr),
    ]);
    setup.logged(&["details=upstream_tls_failure", "TLS handshake", &addr, "hint="]);
    assert_eq!(refused(&setup.rosn), 1.0);
}

#[test]
fn another_endpoint_may_say_something_else() {
    let no = Origin::http(|_| response(404, &[], b""));
    let also_no = Origin::http(|_| response(403, &[], b""));
    let setup = Setup::new(by_websocket(&[no.port(), also_no.port()]));
    assert_eq!(setup.get().status, 502);
    setup.line().expect(&[("upstream_tries", "2")]);
    assert_eq!((no.connections(), also_no.connections()), (1, 1));
}

/// The same in `tcp_proxy`, which used to ask three times.
#[test]
fn tcp_proxy_asks_once() {
    let origin = Origin::http(|_| response(404, &[], b""));
    let port = free_port();
    let config = config(&[tcp_listener("in", port, "c")], &[], &[by_websocket(&[origin.port()])]);
    let rosn = Rosn::start_with(&config, &["--workers", "1"]);
    let mut client = connect(local(port));
    read_to_end_or_reset(&mut client);
    wait_until("it has failed", || refused(&rosn) == 1.0);
    rosn.settled();
    assert_eq!(origin.connections(), 1);
    wait_until("its log", || rosn.log().contains("upstream_handshake_failure"));
}

fn read_to_end_or_reset(client: &mut std::net::TcpStream) {
    let _ = std::io::Read::read_to_end(client, &mut Vec::new());
}

/// A tunnel's end is told in words, and not as Rust prints values.
#[test]
fn the_end_of_a_tunnel_in_words() {
    let origin = Origin::http(|_| ok(""));
    let port = free_port();
    let mut config =
        config(&[tcp_listener("in", port, "c")], &[], &[cluster("c", &[origin.port()])]);
    config["servers"][0]["default_log_level"] = json!("DEBUG");
    let rosn = Rosn::start_with(&config, &["--workers", "1"]);
    assert_eq!(Client::connect(port).get("/").status, 200);
    let client = connect(local(port));
    wait_until("it is accepted", || origin.connections() == 2);
    rosn_tests::l4::reset(client);
    wait_until("the end is logged", || rosn.log().contains("a tunnel ended: the client reset it"));
}
