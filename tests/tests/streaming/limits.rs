//! Bodies that are too large, and refusals that a client can read although it is still sending.

use serde_json::json;

use crate::{Line, get, ok, post};

fn ten_bytes() -> Line {
    Line::with(json!({}), json!({ "Http1": { "max_request_body_size": 10 } }))
}

#[test]
fn a_length_over_the_limit_is_413_at_once() {
    let line = ten_bytes();
    for more in ["", "\r\nExpect: 100-continue", "\r\nConnection: close"] {
        let mut client = line.client();
        client.send(post(&format!("Content-Length: 11{more}")));
        let response = client.read_response();
        assert_eq!(response.status, 413);
        assert_eq!(response.header("connection").as_deref(), Some("close"));
        assert!(client.is_closed());
    }
    line.rosn.settled();
    assert!(line.peer.accept_now().is_none(), "the origin is not bothered");
}

#[test]
fn chunks_over_the_limit_are_413_when_they_come() {
    let line = ten_bytes();
    let (mut client, mut origin) = line.begin(post("Transfer-Encoding: chunked"));
    origin.read_head();
    client.send("5\r\nhello\r\n");
    assert_eq!(origin.read_exact(10), b"5\r\nhello\r\n");
    client.send("6\r\nworld!\r\n0\r\n\r\n");
    let response = client.read_response();
    assert_eq!(response.status, 413);
    assert_eq!(response.header("connection").as_deref(), Some("close"));
    assert!(client.is_closed());
    // The origin must not take it for whole.
    let rest = origin.read_to_end();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
    drop(client);
    line.rosn.settled_without_upstream();
}

#[test]
fn chunks_that_say_that_they_are_over_the_limit_are_not_waited_for() {
    let line = ten_bytes();
    let mut client = line.client();
    client.send(post("Transfer-Encoding: chunked") + "FFFFFFF\r\nhello world");
    assert_eq!(client.read_response().status, 413);
    assert!(client.is_closed());
    drop(client);
    line.rosn.settled_without_upstream();
}

#[test]
fn a_body_of_exactly_the_limit_passes() {
    let line = ten_bytes();
    let (mut client, mut origin) = line.begin(post("Content-Length: 10") + "0123456789");
    origin.read_head();
    assert_eq!(origin.read_exact(10), b"0123456789");
    origin.send(ok("one"));
    assert_eq!(client.read_response().text(), "one");
    client.send(post("Transfer-Encoding: chunked") + "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n");
    origin.read_head();
    let mut body = Vec::new();
    while !body.ends_with(b"0\r\n\r\n") {
        body.extend(origin.read_some());
    }
    origin.send(ok("two"));
    assert_eq!(client.read_response().text(), "two");
    client.send(get("/"));
    origin.read_head();
    origin.send(ok("three"));
    assert_eq!(client.read_response().text(), "three");
}

#[test]
fn a_refusal_can_be_read_by_a_client_that_is_still_sending() {
    const SIZE: usize = 20 << 20;
    let line = ten_bytes();
    let length = post(&format!("Content-Length: {SIZE}"));
    let chunked = post("Transfer-Encoding: chunked") + &format!("{SIZE:x}\r\n");
    let bad = post("Content-Length: x");
    for (head, status) in [(length, 413), (chunked, 413), (bad, 400)] {
        let mut client = line.client();
        client.send(head);
        // All of it is sent before the response is looked at, as simple clients do.
        let bytes = vec![b'x'; 1 << 20];
        for _ in 0..SIZE / bytes.len() {
            client.send(&bytes);
        }
        assert_eq!(client.read_response().status, status);
        assert!(client.is_closed());
        drop(client);
        line.rosn.settled_without_upstream();
        while line.peer.accept_now().is_some() {}
    }
}

#[test]
fn a_client_that_never_stops_sending_is_left_in_the_end() {
    let line = ten_bytes();
    let mut client = line.client();
    client.send(post("Content-Length: 1000000000000"));
    assert_eq!(client.read_response().status, 413);
    rosn_tests::wait_until("it is left", || client.try_send([0; 1 << 14]).is_err());
    line.rosn.settled();
}
