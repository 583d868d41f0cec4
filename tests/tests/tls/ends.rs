//! Ends of TLS: with `close_notify`, and without, where somebody on the way may have cut off the rest.

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::thread;

use rosn_tests::client::Client;
use rosn_tests::l4::{Peer, connect, ends_with_reset, listener, local, read_exactly, read_to_end};
use rosn_tests::wait_until;

use super::*;

/// A client of rosn, whose cluster is reached by TLS, which another rosn terminates before an origin. Between the two
/// rosn somebody can cut connections.
struct Line {
    near: Rosn,
    http: u16,
    bytes: u16,
    between: Origin,
    _far: Rosn,
    origin: Peer,
}

impl Line {
    /// `by_transport`: TLS of `stream_settings`, and not of `tls_context`.
    fn new(by_transport: bool) -> Self {
        let authority = Authority::new("a");
        let origin = Peer::new();
        let (secure, http, bytes) = (free_port(), free_port(), free_port());
        let mut far = listener("far", secure, "tcp_proxy", json!({ "cluster": "c" }));
        far["filter_chains"][0]["tls_context"] = authority.leaf(&["one.test"]).context(json!({}));
        let far = Rosn::start(&config(&[far], &[], &[cluster("c", &[origin.port()])]));
        let between = Origin::raw(move |stream| pass(stream, connect(local(secure))));
        let mut to_far = cluster("c", &[between.port()]);
        match by_transport {
            true => {
                let trusted = json!({ "usage": "verify", "certificateFile": authority.file() });
                to_far["stream_settings"] = json!({ "network": "tcp", "security": "tls",
                    "tlsSettings": { "serverName": "one.test", "disableSystemRoot": true,
                        "certificates": [trusted] } });
            }
            false => {
                to_far["tls_context"] = json!({ "status": true, "ca_cert": authority.file(),
                    "server_name": "one.test" });
            }
        }
        let log = json!({ "access_logs": [{ "log_path": "access.log",
            "log_format": "%response_code_details% %upstream_transport_failure_reason%" }] });
        let listeners = [
            rosn_tests::l4::with(http_listener("http", http, "r"), log),
            listener("bytes", bytes, "tcp_proxy", json!({ "cluster": "c" })),
        ];
        let near = Rosn::start(&config(&listeners, &[router_to("r", "c")], &[to_far]));
        Self { near, http, bytes, between, _far: far, origin }
    }

    /// A client that has asked, and the origin that was asked.
    fn ask(&self, version: &str) -> (Client, TcpStream) {
        let mut client = Client::connect(self.http);
        client.send(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n"));
        let mut origin = self.origin.accept();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(read_exactly(&mut origin, 1));
        }
        (client, origin)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.near.folder().join("access.log")).unwrap_or_default()
    }
}

/// Passes bytes and ends both ways.
fn pass(near: TcpStream, far: TcpStream) {
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    };
    let (from, to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
    let back = thread::spawn(move || copy(from, to));
    copy(near, far);
    back.join().unwrap();
}

/// RFC 9112 section 9.8: a body that only the end of the connection ends is whole if TLS says that this is the end.
#[test]
fn a_body_without_a_length_ends_with_close_notify() {
    for by_transport in [false, true] {
        let line = Line::new(by_transport);
        for version in ["1.1", "1.0"] {
            let (mut client, mut origin) = line.ask(version);
            origin.write_all(b"HTTP/1.0 200 OK\r\n\r\nall of it").unwrap();
            drop(origin);
            assert_eq!(client.read_response().text(), "all of it", "{version}");
        }
        wait_until("it is logged", || line.log().lines().count() == 2);
        assert_eq!(line.log(), "via_upstream -\nvia_upstream -\n");
        line.near.settled();
    }
}

/// The same, cut off: the client learns that something is missing, and the upstream is to blame.
#[test]
fn a_body_without_a_length_that_is_cut_off() {
    for by_transport in [false, true] {
        let line = Line::new(by_transport);
        let (mut client, mut origin) = line.ask("1.1");
        origin.write_all(b"HTTP/1.0 200 OK\r\n\r\nhalf").unwrap();
        let head = client.read_head().to_lowercase();
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        assert_eq!(client.read_exact(9), b"4\r\nhalf\r\n");
        line.between.close_connections();
        let mut stream = client.tcp().try_clone().unwrap();
        let rest = read_to_what_end(&mut stream);
        assert!(!rest.contains("0\r\n"), "the body is not ended: {rest}");

        let (mut client, mut origin) = line.ask("1.0");
        origin.write_all(b"HTTP/1.0 200 OK\r\n\r\nhalf").unwrap();
        client.read_head();
        assert_eq!(client.read_exact(4), b"half");
        line.between.close_connections();
        let mut stream = client.tcp().try_clone().unwrap();
        assert!(ends_with_reset(&mut stream), "a plain end would say that this was all");

        wait_until("it is logged", || line.log().lines().count() == 2);
        for line in line.log().lines() {
            assert!(line.starts_with("upstream_response_broken "), "{line}");
            assert!(line.contains("close_notify"), "{line}");
        }
        line.near.settled();
    }
}

/// What comes until the end, whichever end that is.
fn read_to_what_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end, too.
    let _ = std::io::Read::read_to_end(stream, &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Bodies that say their length need no more than that; and nobody minds how an idle connection ends.
#[test]
fn a_body_with_a_length_needs_no_close_notify() {
    let line = Line::new(false);
    let body = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    for answer in [body, chunked] {
        let (mut client, mut origin) = line.ask("1.1");
        origin.write_all(answer.as_bytes()).unwrap();
        assert_eq!(client.read_response().text(), "ok");
        line.between.close_connections();
        drop(origin);
        // The same client goes on, by another connection.
        wait_until("the idle connection is closed", || line.near.active().2 == 0);
    }
    wait_until("it is logged", || line.log().lines().count() == 2);
    assert_eq!(line.log(), "via_upstream -\nvia_upstream -\n");
    line.near.settled();
}

/// What is no message has no length, and many programs close without `close_notify`: bytes end as they would without
/// TLS.
#[test]
fn bytes_end_either_way() {
    let line = Line::new(false);
    for is_cut in [false, true] {
        let mut client = connect(local(line.bytes));
        client.write_all(b"hello").unwrap();
        let mut origin = line.origin.accept();
        assert_eq!(read_exactly(&mut origin, 5), b"hello");
        origin.write_all(b"half").unwrap();
        assert_eq!(read_exactly(&mut client, 4), b"half");
        match is_cut {
            false => drop(origin),
            true => line.between.close_connections(),
        }
        assert_eq!(read_to_end(&mut client), b"", "an end, and no reset");
    }
    line.near.settled();
}
