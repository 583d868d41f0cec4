//! Who the client is: PROXY headers that are taken and sent, on sockets, TLS and WebSocket.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rosn_tests::client::Client;
use rosn_tests::config::{cluster, config, http_listener, router_to};
use rosn_tests::l4::{Peer, cluster_of, connect, local, read_exactly, with};
use rosn_tests::origin::{Origin, ok};
use rosn_tests::tunnel::{Link, Pair};
use rosn_tests::{Rosn, free_port, wait_until};
use serde_json::{Value, json};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A router to a cluster that adds who the client is.
fn telling(cluster: &str) -> Value {
    let header = json!({ "header": { "key": "X-Client", "value": "%downstream_remote_address%" } });
    with(router_to("r", cluster), json!({ "request_headers_to_add": [header] }))
}

/// An HTTP proxy that takes PROXY headers; the origin answers with who the client is.
struct Taking {
    rosn: Rosn,
    port: u16,
    _origin: Origin,
}

fn taking(proxy_protocol: Value, arguments: &[&str]) -> Taking {
    let origin = Origin::http(|request| ok(&request.header("x-client").unwrap_or_default()));
    let port = free_port();
    let log = json!({ "log_path": "access.log", "log_format": "%downstream_remote_address%" });
    let more =
        json!({ "access_logs": [log], "stream_settings": { "proxyProtocol": proxy_protocol } });
    let listener = with(http_listener("in", port, "r"), more);
    let config = config(&[listener], &[telling("up")], &[cluster("up", &[origin.port()])]);
    let rosn = Rosn::start_with(&config, arguments);
    Taking { rosn, port, _origin: origin }
}

impl Taking {
    /// What the origin sees of a client that begins so.
    fn seen(&self, header: &[u8]) -> String {
        let mut client = Client::connect(self.port);
        client.send(header);
        client.get("/").text()
    }

    /// The access log's lines, of which there are so many.
    fn log(&self, count: usize) -> Vec<String> {
        let path = self.rosn.folder().join("access.log");
        let read = || fs::read_to_string(&path).unwrap_or_default();
        wait_until("the access log", || read().lines().count() >= count);
        read().lines().map(str::to_owned).collect()
    }
}

/// A header of version 2 with IPv4 addresses and a TLV.
fn v2() -> Vec<u8> {
    let mut header = [SIGNATURE, &[0x21, 0x11, 0, 12 + 5]].concat();
    header.extend([192, 0, 2, 7, 198, 51, 100, 1, 0x30, 0x39, 0, 80]);
    header.extend([0xE0, 0, 2, b'h', b'i']);
    header
}

#[test]
fn the_client_is_who_the_header_says() {
    let taking = taking(json!({ "accept": true }), &["--workers", "1"]);
    assert_eq!(taking.seen(b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 80\r\n"), "192.0.2.7:12345");
    assert_eq!(
        taking.seen(b"PROXY TCP6 2001:db8::7 2001:db8::1 12345 80\r\n"),
        "[2001:db8::7]:12345"
    );
    assert_eq!(taking.seen(&v2()), "192.0.2.7:12345");
    // Without addresses it is who it seems to be.
    assert!(taking.seen(b"PROXY UNKNOWN\r\n").starts_with("127.0.0.1:"));
    assert!(taking.seen(&[SIGNATURE, &[0x20, 0, 0, 0]].concat()).starts_with("127.0.0.1:"));
    let log = taking.log(5);
    assert_eq!(log[0], "192.0.2.7:12345");
    assert_eq!(log[1], "[2001:db8::7]:12345");
    assert_eq!(log[2], "192.0.2.7:12345");
    assert!(log[3].starts_with("127.0.0.1:"));
    taking.rosn.settled();
}

#[test]
fn a_header_may_come_in_pieces() {
    let taking = taking(json!({ "accept": true }), &[]);
    for header in [b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 80\r\n".to_vec(), v2()] {
        let mut client = Client::connect(taking.port);
        for byte in header {
            client.send([byte]);
            std::thread::yield_now();
        }
        assert_eq!(client.get("/").text(), "192.0.2.7:12345");
    }
}

#[test]
fn who_sends_no_header_is_not_served() {
    for arguments in [&["--workers", "1"][..], &["--workers", "2"]] {
        let taking = taking(json!({ "accept": true }), arguments);
        let long = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200], b"\r\n"].concat();
        let torn = [SIGNATURE, &[0x21, 0x11, 0, 4, 1, 2, 3, 4]].concat();
        let large = [SIGNATURE, &[0x21, 0x11, 0xff, 0xff], &[0; 6000]].concat();
        for header in [
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(),
            b"PROXY TCP4 192.0.2.7\r\n",
            b"PROXY TCP4 192.0.2.300 198.51.100.1 12345 80\r\n",
            b"proxy TCP4 192.0.2.7 198.51.100.1 12345 80\r\n",
            &long,
            &torn,
            &large,
            &[SIGNATURE, &[0x31, 0x11, 0, 12], &[0; 12]].concat(),
        ] {
            let mut client = Client::connect(taking.port);
            let _ = client.try_send(header);
            assert!(client.read_to_end().is_empty(), "{header:?}");
        }
        // Or ends within one.
        let mut client = Client::connect(taking.port);
        client.send("PROXY TCP4 19");
        client.shutdown_write();
        assert!(client.read_to_end().is_empty());
        assert_eq!(taking.seen(&v2()), "192.0.2.7:12345");
        taking.rosn.settled();
    }
}

#[test]
fn only_those_who_are_trusted_may_say_who_they_are() {
    let trusting = taking(json!({ "accept": true, "trusted": ["127.0.0.0/8"] }), &[]);
    assert_eq!(trusting.seen(&v2()), "192.0.2.7:12345");
    let other = taking(json!({ "accept": true, "trusted": ["10.0.0.0/8"] }), &[]);
    assert!(other.seen(b"").starts_with("127.0.0.1:"));
    let mut client = Client::connect(other.port);
    client.send(b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.read_response().status, 400);
}

/// What the first bytes of an upstream connection are.
fn sent(proxy_protocol: Value) -> (Vec<u8>, TcpStream) {
    let peer = Peer::new();
    let port = free_port();
    let filter = json!({ "type": "tcp_proxy", "config": { "cluster": "up" } });
    let up = with(
        cluster_of("up", &[peer.host()]),
        json!({ "stream_settings": { "proxyProtocol": proxy_protocol } }),
    );
    let rosn =
        Rosn::start(&config(&[rosn_tests::config::listener("in", port, filter)], &[], &[up]));
    let mut client = connect(local(port));
    client.write_all(b"END").unwrap();
    let mut origin = peer.accept();
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"END") {
        let mut some = [0; 512];
        let count = origin.read(&mut some).unwrap();
        assert!(count > 0, "{bytes:?}");
        bytes.extend_from_slice(&some[..count]);
    }
    origin.write_all(b"ok").unwrap();
    assert_eq!(read_exactly(&mut client, 2), b"ok");
    drop(origin);
    let from = client.local_addr().unwrap();
    drop(rosn);
    let expected = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {port}\r\nEND", from.port());
    if bytes.starts_with(b"PROXY") {
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
    }
    (bytes, client)
}

#[test]
fn the_client_is_told_to_upstreams() {
    let (bytes, _) = sent(json!({ "send": "v1" }));
    assert!(bytes.starts_with(b"PROXY TCP4 127.0.0.1 127.0.0.1 "));
    let (bytes, client) = sent(json!({ "send": "v2", "tlvs": { "0xE0": "hello" } }));
    assert_eq!(&bytes[..16], [SIGNATURE, &[0x21, 0x11, 0, 12 + 8]].concat());
    assert_eq!(&bytes[16..24], [127, 0, 0, 1, 127, 0, 0, 1]);
    assert_eq!(bytes[24..26], client.local_addr().unwrap().port().to_be_bytes());
    assert_eq!(&bytes[28..], [b"\xE0\x00\x05hello".as_slice(), b"END"].concat());
}

#[test]
fn each_client_has_its_own_connection_where_it_is_told() {
    let origin = Origin::http(|request| ok(&request.header("x-client").unwrap_or_default()));
    for name in ["tcp-http", "tcp+tls", "ws", "ws+tls", "http", "ds"] {
        let Pair { near, far, link, port, far_port, near_config, far_config } =
            Pair::http(Link::new(name), origin.port());
        drop((near, far));
        let (mut near, mut far) = (near_config, far_config);
        near["cluster_manager"]["clusters"][0]["stream_settings"]["proxyProtocol"] =
            json!({ "send": "v2" });
        near["servers"][0]["listeners"][0]["stream_settings"] =
            json!({ "proxyProtocol": { "accept": true } });
        far["servers"][0]["listeners"][0]["stream_settings"]["proxyProtocol"] =
            json!({ "accept": true });
        for config in [&mut near, &mut far] {
            let router = &mut config["servers"][0]["routers"][0];
            router["request_headers_to_add"] = telling("")["request_headers_to_add"].clone();
        }
        let pair = Pair::start(link, port, far_port, near, far, &["--workers", "1"]);
        for last in 1..4 {
            for _ in 0..2 {
                let mut client = Client::connect(pair.port);
                client.send(format!("PROXY TCP4 192.0.2.{last} 198.51.100.1 12345 80\r\n"));
                for _ in 0..2 {
                    let said = client.get("/").text();
                    assert_eq!(
                        said,
                        format!("192.0.2.{last}:12345,192.0.2.{last}:12345"),
                        "{name}"
                    );
                }
            }
        }
        let log = fs::read_to_string(pair.far.folder().join("access.log")).unwrap_or_default();
        assert!(log.lines().all(|line| line.starts_with("192.0.2.")), "{log}");
        pair.settled();
    }
}
