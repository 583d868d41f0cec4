//! HTTP/2 over TLS to endpoints: chosen by ALPN.

use rosn_tests::client::Client;
use rosn_tests::config::{cluster, config, http_listener, router_to};
use rosn_tests::http2::kind;
use rosn_tests::http2::server::Server;
use rosn_tests::origin::{Origin, ok};
use rosn_tests::pki::Authority;
use rosn_tests::{Rosn, free_port, wait_until};
use serde_json::{Value, json};

/// A listener of HTTP/1.1 before a cluster that is spoken to in HTTP/2 over TLS.
fn near(far: u16, authority: &Authority) -> (Rosn, u16) {
    let port = free_port();
    let mut listener = http_listener("near", port, "r");
    listener["filter_chains"][0]["filters"][0]["config"]["upstream_protocol"] = "Http2".into();
    let mut cluster = cluster("c", &[far]);
    cluster["tls_context"] =
        json!({ "status": true, "ca_cert": authority.file(), "server_name": "far.test" });
    (Rosn::start(&config(&[listener], &[router_to("r", "c")], &[cluster])), port)
}

/// A listener of this protocol with TLS before an origin of HTTP/1.1.
fn far(protocol: &str, origin: u16, authority: &Authority, tls: Value) -> (Rosn, u16) {
    let port = free_port();
    let mut listener = http_listener("far", port, "r");
    listener["filter_chains"][0]["tls_context"] = authority.leaf(&["far.test"]).context(tls);
    let proxy = &mut listener["filter_chains"][0]["filters"][0]["config"];
    proxy["downstream_protocol"] = protocol.into();
    proxy["upstream_protocol"] = "Http1".into();
    (Rosn::start(&config(&[listener], &[router_to("r", "c")], &[cluster("c", &[origin])])), port)
}

#[test]
fn two_rosns_speak_http2_over_tls() {
    let authority = Authority::new("a");
    let origin = Origin::http(|request| ok(&format!("{} {}", request.method, request.target)));
    let (_far, far) = far("Http2", origin.port(), &authority, json!({}));
    let (near, port) = near(far, &authority);
    let mut client = Client::connect(port);
    for target in ["/a", "/b?c=d"] {
        assert_eq!(client.get(target).text(), format!("GET {target}"));
    }
    drop(client);
    near.settled();
}

/// `:scheme` is what the connection to the endpoint is.
#[test]
fn the_scheme_is_https() {
    let authority = Authority::new("a");
    let peer = rosn_tests::l4::Peer::new();
    // TLS is terminated before the endpoint that says what it was asked.
    let port = free_port();
    let mut listener = rosn_tests::config::tcp_listener("far", port, "c");
    listener["filter_chains"][0]["tls_context"] =
        authority.leaf(&["far.test"]).context(json!({ "alpn": "h2" }));
    let _far = Rosn::start(&config(&[listener], &[], &[cluster("c", &[peer.port()])]));
    let (_near, port) = near(port, &authority);
    let mut client = Client::connect(port);
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut endpoint = Server::accept(peer.accept(), &[]);
    let (stream, asked) = endpoint.whole_request();
    assert_eq!(asked.header(":scheme"), Some("https"));
    endpoint.respond(stream, "200", &[], b"");
    assert_eq!(client.read_response().status, 200);
    endpoint.http2.frame(kind::PING, 0, 0, b"12345678");
    while endpoint.http2.pongs.is_empty() {
        endpoint.http2.step().unwrap();
    }
}

/// An endpoint that speaks HTTP/1.1 alone agrees to nothing.
#[test]
fn an_endpoint_of_http1_is_told_in_the_log() {
    let authority = Authority::new("a");
    let origin = Origin::http(|_| ok(""));
    let (_far, far) = far("Http1", origin.port(), &authority, json!({}));
    let (near, port) = near(far, &authority);
    assert_eq!(Client::connect(port).get("/").status, 502);
    wait_until("the log has it", || near.log().contains("speaks none of the protocols (ALPN)"));
}
