//! What a connection is, by its first bytes or by ALPN.

use std::io::{Read as _, Write as _};

use rosn_tests::client::Client;
use rosn_tests::l4::{Peer, cluster_of, local};

use super::*;

/// Plain text and TLS on one port, HTTP/1.1 and HTTP/2 on each of them.
#[test]
fn everything_on_one_port() {
    let authority = Authority::new("a");
    let chain = json!({ "tls_context": authority.leaf(&["one.test"]).context(json!({})) });
    let proxy = json!({ "downstream_protocol": "Auto", "upstream_protocol": "Http1" });
    let site = Site::new(chain, proxy, json!({ "inspector": true }));
    let plain = format!("http://127.0.0.1:{}/", site.port);
    let version = ["--write-out", "HTTP/%{http_version}"];
    for (how, expected) in
        [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2"), ("--http2-prior-knowledge", "HTTP/2")]
    {
        let said = site.curl(&authority, "one.test", &[&version[..], &[how]].concat());
        assert!(said.starts_with("GET /\n") && said.ends_with(expected), "TLS {how}: {said}");
        // Upgrade: h2c is for HTTP/1.1 to refuse.
        let expected = if how == "--http2" { "HTTP/1.1" } else { expected };
        let said = rosn_tests::programs::curl(&[&version[..], &[how, &plain]].concat());
        assert!(said.starts_with("GET /\n") && said.ends_with(expected), "plain {how}: {said}");
    }
    site.rosn.settled();
}

/// The protocol of a client that says one byte at a time is found all the same, and nothing of it is lost.
#[test]
fn a_slow_beginning() {
    let site = Site::new(
        json!({}),
        json!({ "downstream_protocol": "Http1,Http2", "upstream_protocol": "Http1" }),
        json!({}),
    );
    // One client after the other: each is gone when the next comes.
    let mut client = Client::connect(site.port);
    for byte in b"PUT /a HTTP/1.1\r\nHost: a\r\n\r\n" {
        client.send([*byte]);
        std::thread::yield_now();
    }
    assert!(client.read_response().text().starts_with("PUT /a\n"));
    // The preface of HTTP/2, and SETTINGS in answer to it.
    client = Client::connect(site.port);
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0" {
        client.send([*byte]);
        std::thread::yield_now();
    }
    assert_eq!(client.read_exact(4)[3], 4, "SETTINGS");
    // No protocol begins so.
    client = Client::connect(site.port);
    client.send(b"\0\x01\x02");
    assert!(client.read_to_end().is_empty());
    client = Client::connect(site.port);
    client.send(b"hello\r\n\r\n");
    assert_eq!(client.read_response().status, 400);
    drop(client);
    site.rosn.settled();
}

/// rosn with `fallback_for_unknown_protocol` before an origin of HTTP and a peer of bytes.
fn with_fallback() -> (Site, Peer) {
    let peer = Peer::new();
    let origin = Origin::http(|request| ok(&echo(request)));
    let port = free_port();
    let mut site = http_listener("site", port, "r");
    let chain = &mut site["filter_chains"][0]["filters"];
    merge(
        &mut chain[0]["config"],
        json!({ "downstream_protocol": "Auto", "fallback_for_unknown_protocol": true, "upstream_protocol": "Http1" }),
    );
    let fallback = json!({ "type": "tcp_proxy", "config": { "cluster": "bytes" } });
    chain.as_array_mut().unwrap().push(fallback);
    let clusters = [cluster("c", &[origin.port()]), cluster_of("bytes", &[peer.host()])];
    let config = config(&[site], &[router_to("r", "c")], &clusters);
    (Site { rosn: Rosn::start(&config), port, config, _origin: origin }, peer)
}

#[test]
fn what_no_protocol_fits_is_passed_on() {
    let (site, peer) = with_fallback();
    assert!(Client::connect(site.port).get("/x").text().starts_with("GET /x\n"));
    for first in [&b"\0\x01\x02"[..], b"SSH-2.0-x\r\n", b"\x16\x03\x01"] {
        let mut client = rosn_tests::l4::connect(local(site.port));
        client.write_all(first).unwrap();
        let mut server = peer.accept();
        let mut read = vec![0; first.len()];
        server.read_exact(&mut read).unwrap();
        assert_eq!(read, first, "not a byte is lost");
        server.write_all(b"yes").unwrap();
        let mut read = [0; 3];
        client.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"yes");
    }
    site.rosn.settled();
}

/// Who waits for the server to speak is not kept waiting.
#[test]
fn a_server_that_speaks_first() {
    let (site, peer) = with_fallback();
    let mut client = rosn_tests::l4::connect(local(site.port));
    let mut server = peer.accept();
    server.write_all(b"220 welcome\r\n").unwrap();
    let mut read = [0; 13];
    client.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"220 welcome\r\n");
}

/// A client of HTTP may connect long before its first request.
#[test]
fn a_connection_in_reserve() {
    let authority = Authority::new("a");
    let chain = json!({ "tls_context": authority.leaf(&["one.test"]).context(json!({})) });
    let proxy = json!({ "downstream_protocol": "Auto", "upstream_protocol": "Http1" });
    let site = Site::new(chain, proxy, json!({ "inspector": true }));
    let mut client = Client::connect(site.port);
    // Longer than `limits.detection_timeout`.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(client.get("/").text().starts_with("GET /\n"));
    let waiting = Client::connect(site.port);
    site.rosn.signal(rosn_tests::Signal::TERM);
    drop(client);
    let mut waiting = waiting;
    assert!(waiting.read_to_end().is_empty(), "a drain closes it");
}
