//! Connections that end at any moment, of either peer: nothing is left behind.

use rosn_tests::wait_until;

use crate::{Line, get, ok, post, reset};

/// How a client leaves.
const LEAVES: [fn(rosn_tests::client::Client); 2] = [reset, drop];

#[test]
fn a_client_leaves_before_and_within_the_head() {
    let line = Line::new();
    for leave in LEAVES {
        for part in ["", "GET", "GET / HTTP/1.1\r\nHost: a\r\n"] {
            let mut client = line.client();
            client.send(part);
            leave(client);
            line.rosn.settled();
        }
    }
    assert!(line.peer.accept_now().is_none());
}

#[test]
fn a_client_that_resets_while_the_response_is_awaited_takes_the_request_with_it() {
    let line = Line::new();
    let body = post("Content-Length: 5") + "hello";
    let chunked = post("Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n";
    for request in [get("/"), body, chunked, get("/") + &get("/second")] {
        let (client, mut origin) = line.begin(&request);
        origin.read_head();
        wait_until("the request is under way", || line.rosn.active().1 == 1);
        reset(client);
        // The origin is told, though it has not said a word.
        let rest = origin.read_to_end();
        assert!(!String::from_utf8_lossy(&rest).contains("/second"), "{request}");
        line.rosn.settled_without_upstream();
    }
}

#[test]
fn a_client_leaves_within_its_body() {
    let line = Line::new();
    for leave in LEAVES {
        for (field, part) in
            [("Content-Length: 10", "hello"), ("Transfer-Encoding: chunked", "5\r\nhel")]
        {
            let (client, mut origin) = line.begin(post(field) + part);
            origin.read_head();
            leave(client);
            // It must not look whole.
            assert!(!origin.read_to_end().ends_with(b"0\r\n\r\n"));
            line.rosn.settled_without_upstream();
        }
    }
}

#[test]
fn a_client_leaves_within_its_response() {
    let line = Line::new();
    for leave in LEAVES {
        for request in [get("/"), post("Content-Length: 5") + "hello"] {
            let (mut client, mut origin) = line.begin(request);
            origin.read_head();
            origin.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nhello");
            client.read_head();
            leave(client);
            let bytes = vec![0; 1 << 16];
            wait_until("the origin is told", || origin.try_send(&bytes).is_err());
            line.rosn.settled_without_upstream();
        }
    }
}

#[test]
fn a_client_leaves_after_its_response() {
    let line = Line::new();
    let mut origin = None;
    for leave in LEAVES {
        let mut client = line.client();
        client.send(get("/"));
        let origin = origin.get_or_insert_with(|| line.origin());
        origin.read_head();
        origin.send(ok("hello"));
        assert_eq!(client.read_response().text(), "hello");
        leave(client);
        line.rosn.settled();
        assert_eq!(line.rosn.active().2, 1, "the origin's connection is kept");
    }
}

#[test]
fn an_origin_that_resets_before_its_response_is_502() {
    let line = Line::new();
    let body = post("Content-Length: 5") + "hello";
    for request in [get("/"), body] {
        for part in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n"] {
            let (mut client, mut origin) = line.begin(&request);
            origin.read_head();
            origin.send(part);
            if part.contains("103") {
                assert_eq!(client.read_response().status, 103);
            }
            reset(origin);
            assert_eq!(client.read_response().status, 502);
            // The client's connection goes on.
            client.send(get("/next"));
            let mut origin = line.origin();
            origin.read_head();
            origin.send(ok("next"));
            assert_eq!(client.read_response().text(), "next");
            drop((client, origin));
            line.rosn.settled_without_upstream();
        }
    }
}

#[test]
fn an_origin_that_resets_within_the_request_is_502() {
    let line = Line::new();
    let (mut client, mut origin) = line.begin(post("Content-Length: 100000000"));
    origin.read_head();
    client.send([0; 1000]);
    reset(origin);
    let bytes = vec![0; 1 << 16];
    // The client sends on until it is told.
    wait_until("there is an answer", || client.try_send(&bytes).is_err() || !client.is_quiet());
    let response = client.read_response();
    assert_eq!(response.status, 502);
    assert_eq!(response.header("connection").as_deref(), Some("close"));
    drop(client);
    line.rosn.settled_without_upstream();
}

#[test]
fn an_origin_that_resets_within_its_response_resets_the_client() {
    let line = Line::new();
    for framing in ["Content-Length: 10\r\n", "Transfer-Encoding: chunked\r\n", ""] {
        let (mut client, mut origin) = line.begin(get("/"));
        origin.read_head();
        let part = if framing.starts_with('T') { "5\r\nhello\r\n" } else { "hello" };
        origin.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n{part}"));
        client.read_head();
        let part = if framing.starts_with('C') { "hello" } else { "5\r\nhello\r\n" };
        assert_eq!(client.read_exact(part.len()), part.as_bytes());
        reset(origin);
        assert!(client.is_reset(), "{framing}");
        drop(client);
        line.rosn.settled_without_upstream();
    }
}

#[test]
fn an_origin_that_resets_an_idle_connection_costs_no_request() {
    let line = Line::new();
    let (mut client, mut origin) = line.begin(get("/"));
    for method in ["GET", "POST", "DELETE", "PATCH"] {
        if method != "GET" {
            client.send(get("/"));
        }
        origin.read_head();
        origin.send(ok("hello"));
        assert_eq!(client.read_response().text(), "hello");
        reset(origin);
        client
            .send(format!("{method} /next HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"));
        origin = line.origin();
        assert!(origin.read_head().starts_with(method));
        assert_eq!(origin.read_exact(5), b"hello");
        origin.send(ok("next"));
        assert_eq!(client.read_response().text(), "next");
    }
    drop((client, origin));
    line.rosn.settled_without_upstream();
}

#[test]
fn a_client_that_has_ended_its_side_still_gets_its_response() {
    let line = Line::new();
    let body = post("Content-Length: 5") + "hello";
    let chunked = post("Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n";
    for request in [get("/"), body, chunked] {
        let (mut client, mut origin) = line.begin(&request);
        client.shutdown_write();
        origin.read_head();
        origin.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        client.read_head();
        assert_eq!(client.read_exact(5), b"hello");
        origin.send("world");
        assert_eq!(client.read_exact(5), b"world");
        assert!(client.is_closed());
        drop(client);
        drop(origin);
        line.rosn.settled_without_upstream();
    }
    // So does one that has sent several.
    let (mut client, mut origin) = line.begin(get("/1") + &get("/2") + &get("/3"));
    client.shutdown_write();
    for number in 1..=3 {
        assert!(origin.read_head().starts_with(&format!("GET /{number} ")));
        origin.send(ok(&number.to_string()));
        assert_eq!(client.read_response().text(), number.to_string());
    }
    assert!(client.is_closed());
    drop(client);
    line.rosn.settled();
}

#[test]
fn a_client_that_ends_its_side_within_the_body_is_not_answered() {
    let line = Line::new();
    let (mut client, mut origin) = line.begin(post("Content-Length: 10") + "hello");
    client.shutdown_write();
    origin.read_head();
    assert_eq!(origin.read_to_end(), b"hello");
    assert!(client.is_closed() || client.is_reset());
    drop(client);
    line.rosn.settled_without_upstream();
}

#[test]
fn an_origin_that_ends_its_side_after_the_response_is_not_used_again() {
    let line = Line::new();
    let (mut client, mut origin) = line.begin(get("/"));
    origin.read_head();
    origin.send(ok("hello"));
    assert_eq!(client.read_response().text(), "hello");
    origin.shutdown_write();
    assert!(origin.is_closed());
    client.send(get("/next"));
    let mut origin = line.origin();
    origin.read_head();
    origin.send(ok("next"));
    assert_eq!(client.read_response().text(), "next");
}
