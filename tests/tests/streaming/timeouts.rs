//! Peers that take too long.

use std::time::{Duration, Instant};

use rosn_tests::wait_until;
use serde_json::json;

use crate::{Line, get, ok, post};

/// Times that a test can wait for, far from each other.
fn short() -> Line {
    Line::with(json!({ "header_timeout": "400ms", "idle_timeout": "1200ms" }), json!({}))
}

#[test]
fn a_head_that_does_not_come_whole_gets_408() {
    let line = short();
    for part in ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n", "\r\n"] {
        let mut client = line.client();
        client.send(part);
        let response = client.read_response();
        assert_eq!(response.status, 408, "after {part:?}");
        assert_eq!(response.header("connection").as_deref(), Some("close"));
        assert!(client.is_closed());
        drop(client);
    }
    line.rosn.settled();
    assert!(line.peer.accept_now().is_none());
}

#[test]
fn a_head_that_trickles_gets_408_too() {
    let line = short();
    let mut client = line.client();
    let begin = Instant::now();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX: ");
    // Each byte comes in time, the whole does not.
    let mut answered = false;
    while !answered && begin.elapsed() < Duration::from_secs(8) {
        let _ = client.try_send("y");
        std::thread::sleep(Duration::from_millis(50));
        answered = !client.is_quiet();
    }
    assert!(answered, "no answer to a head that never ends");
    assert_eq!(client.read_response().status, 408);
    drop(client);
    line.rosn.settled();
}

#[test]
fn a_second_head_that_does_not_come_whole_gets_408() {
    let line = short();
    let (mut client, mut origin) = line.begin(get("/") + "GET /second HTTP/1.1\r\n");
    origin.read_head();
    origin.send(ok("first"));
    assert_eq!(client.read_response().text(), "first");
    assert_eq!(client.read_response().status, 408);
    assert!(client.is_closed());
    drop(client);
    line.rosn.settled();
}

#[test]
fn a_connection_without_a_request_is_closed_and_told_nothing() {
    let line = short();
    let mut unused = line.client();
    let (mut used, mut origin) = line.begin(get("/"));
    origin.read_head();
    origin.send(ok("hello"));
    assert_eq!(used.read_response().text(), "hello");
    assert!(unused.is_closed());
    assert!(used.is_closed());
    drop((unused, used));
    line.rosn.settled();
}

#[test]
fn a_line_end_after_a_request_is_not_the_beginning_of_a_head() {
    let line = short();
    // Old clients send one after a body (RFC 9112 section 2.2); the connection is idle nevertheless.
    let (mut client, mut origin) = line.begin(post("Content-Length: 5") + "hello\r\n");
    origin.read_head();
    assert_eq!(origin.read_exact(5), b"hello");
    origin.send(ok("thanks"));
    assert_eq!(client.read_response().text(), "thanks");
    assert!(client.is_closed(), "it gets no 408");
}

#[test]
fn a_request_under_way_is_neither_idle_nor_late() {
    let line = short();
    let (mut client, mut origin) = line.begin(get("/slow"));
    origin.read_head();
    // Longer than both times.
    let begin = Instant::now();
    wait_until("time passes", || begin.elapsed() > Duration::from_millis(1600));
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    client.read_head();
    let begin = Instant::now();
    wait_until("time passes", || begin.elapsed() > Duration::from_millis(1600));
    origin.send("llo");
    assert_eq!(client.read_exact(5), b"hello");
    client.send(get("/next"));
    origin.read_head();
    origin.send(ok("next"));
    assert_eq!(client.read_response().text(), "next");
}

#[test]
fn an_origin_that_does_not_answer_in_time_is_504() {
    let line = Line::new();
    let (mut client, mut origin) = line.begin(get("/short"));
    origin.read_head();
    assert_eq!(client.read_response().status, 504);
    assert!(origin.is_closed() || origin.is_reset());
    // The client may go on.
    client.send(get("/"));
    let mut origin = line.origin();
    origin.read_head();
    origin.send(ok("hello"));
    assert_eq!(client.read_response().text(), "hello");
    drop((client, origin));
    line.rosn.settled_without_upstream();
}

#[test]
fn an_origin_that_stops_within_its_response_breaks_it_off() {
    let line = Line::new();
    let (mut client, mut origin) = line.begin(get("/short"));
    origin.read_head();
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    client.read_head();
    assert_eq!(client.read_exact(5), b"hello");
    assert!(client.is_reset());
    drop(client);
    drop(origin);
    line.rosn.settled_without_upstream();
}

#[test]
fn a_client_that_stops_within_its_body_gets_408() {
    let line = short();
    for (field, part) in
        [("Content-Length: 10", "hello"), ("Transfer-Encoding: chunked", "5\r\nhe")]
    {
        let (mut client, mut origin) = line.begin(post(field) + part);
        origin.read_head();
        // It is the client who is late, and not the origin.
        assert_eq!(client.read_response().status, 408);
        assert!(client.is_closed());
        drop((client, origin));
        line.rosn.settled_without_upstream();
    }
}

#[test]
fn a_client_that_takes_its_time_with_the_body_is_not_the_origins_fault() {
    let line = Line::new();
    let bytes = "POST /short HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
    let (mut client, mut origin) = line.begin(bytes);
    origin.read_head();
    for number in 0..10 {
        let begin = Instant::now();
        wait_until("time passes", || begin.elapsed() > Duration::from_millis(100));
        client.send([number]);
        assert_eq!(origin.read_exact(1), [number]);
    }
    origin.send(ok("thanks"));
    assert_eq!(client.read_response().text(), "thanks");
}

#[test]
fn a_client_that_does_not_read_its_response_is_left() {
    let line = short();
    let (client, mut origin) = line.begin(get("/large"));
    origin.read_head();
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
    let bytes = vec![0; 1 << 20];
    wait_until("the origin is told", || origin.try_send(&bytes).is_err());
    line.rosn.settled_without_upstream();
    drop(client);
}
