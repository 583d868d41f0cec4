//! Streams that become tunnels: extended CONNECT (RFC 8441), and CONNECT.

use serde_json::json;

use super::{Line, get};

const ENABLE_CONNECT_PROTOCOL: u16 = 8;

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The key and its answer are RFC 6455's.
#[test]
fn an_upgrade_becomes_an_extended_connect() {
    let line = Line::new();
    let mut client = line.client();
    client.send(UPGRADE);
    let mut endpoint = line.endpoint_with(&[(ENABLE_CONNECT_PROTOCOL, 1)]);
    let stream = endpoint.next_request();
    let asked = endpoint.http2.until(stream, |_| true);
    for (name, value) in [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/chat"),
        (":authority", "a.test"),
        ("sec-websocket-version", "13"),
    ] {
        assert_eq!(asked.header(name), Some(value), "{:?}", asked.headers);
    }
    assert_eq!(asked.header("sec-websocket-key"), None);
    assert!(!asked.ended);
    endpoint.head(stream, "200", &[("sec-websocket-protocol", "chat")], false);
    let head = client.read_head().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    for field in [
        "upgrade: websocket",
        "connection: upgrade",
        "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
        "sec-websocket-protocol: chat",
    ] {
        assert!(head.contains(field), "{field}\n{head}");
    }
    client.send("ping");
    assert_eq!(endpoint.http2.until(stream, |asked| asked.body == b"ping").text(), "ping");
    endpoint.http2.data(stream, b"pong", false);
    assert_eq!(client.read_exact(4), b"pong");
    // Each direction ends on its own.
    client.shutdown_write();
    assert!(endpoint.http2.until(stream, |asked| asked.ended).ended);
    endpoint.http2.data(stream, b"bye", true);
    assert_eq!(client.read_to_end(), b"bye");
    line.rosn.settled();
}

/// Where the endpoint does not know them, nobody is left to wait.
#[test]
fn an_endpoint_without_extended_connect_gets_none() {
    let line = Line::new();
    let mut client = line.client();
    client.send(UPGRADE);
    let mut endpoint = line.endpoint();
    assert_eq!(client.read_response().status, 502);
    rosn_tests::wait_until("the log has it", || line.rosn.log().contains("RFC 8441"));
    // The connection serves other requests.
    let mut client = line.client();
    client.send(get("/"));
    let stream = endpoint.next_request();
    endpoint.respond(stream, "200", &[], b"");
    assert_eq!(client.read_response().status, 200);
}

#[test]
fn an_upgrade_that_is_declined_is_a_response() {
    let line = Line::new();
    let mut client = line.client();
    client.send(UPGRADE);
    let mut endpoint = line.endpoint_with(&[(ENABLE_CONNECT_PROTOCOL, 1)]);
    let stream = endpoint.next_request();
    endpoint.respond(stream, "403", &[], b"no");
    let response = client.read_response();
    assert_eq!((response.status, response.text()), (403, "no".into()));
    line.rosn.settled();
}

#[test]
fn connect_is_passed_on() {
    let action = json!({ "tunnel": { "connect": { "upstream": "http" } } });
    let line = Line::with(&json!({}), &action);
    let mut client = line.client();
    client.send("CONNECT b.test:443 HTTP/1.1\r\nHost: b.test:443\r\n\r\n");
    let mut endpoint = line.endpoint();
    let stream = endpoint.next_request();
    let asked = endpoint.http2.until(stream, |_| true);
    let expected = [(":method", "CONNECT"), (":authority", "b.test:443")];
    let expected: Vec<_> = expected.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec();
    assert_eq!(asked.headers, expected);
    endpoint.head(stream, "200", &[], false);
    assert!(client.read_head().starts_with("HTTP/1.1 200 "));
    client.send("hello");
    endpoint.http2.until(stream, |asked| asked.body == b"hello");
    endpoint.http2.data(stream, b"world", true);
    assert_eq!(client.read_exact(5), b"world");
    client.shutdown_write();
    assert_eq!(client.read_to_end(), b"");
    line.rosn.settled();
}
