//! What flows when.

use rosn_tests::client::Client;
use rosn_tests::config::{cluster, config, http_listener, router_to};
use rosn_tests::origin::{self, Origin};
use rosn_tests::{Rosn, free_port, wait_until};

use crate::{Line, get, ok, post};

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let line = Line::new();
    let mut client = line.client();
    let mut bytes = String::new();
    for number in 0..60 {
        bytes += &match number % 3 {
            0 => get(&format!("/{number}")),
            1 => format!("POST /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
            _ => format!(
                "PUT /{number} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                 5\r\nhello\r\n0\r\n\r\n"
            ),
        };
    }
    client.send(bytes);
    let mut origin = line.origin();
    for number in 0..60 {
        let head = origin.read_head();
        assert!(head.contains(&format!(" /{number} ")), "{head}");
        match number % 3 {
            0 => {}
            1 => assert_eq!(origin.read_exact(5), b"hello"),
            _ => assert_eq!(origin.read_exact(15), b"5\r\nhello\r\n0\r\n\r\n"),
        }
        // The next one is not sent before this one is answered.
        assert!(origin.is_quiet());
        origin.send(ok(&format!("answer {number}")));
        assert_eq!(client.read_response().text(), format!("answer {number}"));
    }
    drop(client);
    line.rosn.settled();
    assert!(line.peer.accept_now().is_none(), "one connection does for all");
}

#[test]
fn chunked_bodies_may_be_cut_anywhere_in_both_directions() {
    let line = Line::new();
    let request = post("Transfer-Encoding: chunked")
        + "5;e=\"f\"\r\nhello\r\n1\r\n!\r\nB\r\n0123456789a\r\n0\r\nX-Sum: 1\r\n\r\n";
    let response = request.replacen("POST / HTTP/1.1\r\nHost: a", "HTTP/1.1 200 OK", 1);
    let (mut client, mut origin) = line.begin(get("/first"));
    let _ = (origin.read_head(), origin.send(ok("")), client.read_response());
    for cut in 1..request.len() {
        let (one, two) = request.split_at(cut);
        client.send(one);
        let head_end = request.find("\r\n\r\n").unwrap() + 4;
        // Where the head is whole, it is passed on before the rest comes.
        let early = (cut >= head_end).then(|| origin.read_head());
        client.send(two);
        let head = early.unwrap_or_else(|| origin.read_head());
        assert_eq!(head, post("Transfer-Encoding: chunked"));
        let (mut body, mut bytes) = (Vec::new(), Vec::new());
        while !bytes.ends_with(b"0\r\nX-Sum: 1\r\n\r\n") {
            bytes.extend(origin.read_some());
        }
        decode(&bytes, &mut body);
        assert_eq!(String::from_utf8_lossy(&body), "hello!0123456789a", "cut at {cut}");
        let cut = cut.min(response.len() - 1);
        origin.send(&response[..cut]);
        origin.send(&response[cut..]);
        let response = client.read_response();
        assert_eq!(response.text(), "hello!0123456789a", "cut at {cut}");
        assert_eq!(response.trailers, [("X-Sum".to_owned(), "1".to_owned())]);
    }
    drop(client);
    line.rosn.settled();
}

/// Takes the content out of chunks that are known to be well-formed.
fn decode(mut bytes: &[u8], body: &mut Vec<u8>) {
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = std::str::from_utf8(&bytes[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return;
        }
        body.extend_from_slice(&bytes[end + 2..][..size]);
        bytes = &bytes[end + 2 + size + 2..];
    }
}

#[test]
fn a_chunk_is_passed_on_before_the_next_one_comes() {
    let line = Line::new();
    let (mut client, mut origin) = line.begin(post("Transfer-Encoding: chunked"));
    origin.read_head();
    origin.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(client.read_head().starts_with("HTTP/1.1 200 OK\r\n"));
    for number in 10..60 {
        let chunk = format!("2\r\n{number}\r\n");
        client.send(&chunk);
        assert_eq!(origin.read_exact(7), chunk.as_bytes());
        origin.send(&chunk);
        assert_eq!(client.read_exact(7), chunk.as_bytes());
    }
    client.send("0\r\nX-End: 1\r\n\r\n");
    assert_eq!(origin.read_exact(15), b"0\r\nX-End: 1\r\n\r\n");
    origin.send("0\r\nX-End: 2\r\n\r\n");
    assert_eq!(client.read_exact(15), b"0\r\nX-End: 2\r\n\r\n");
    drop((client, origin));
    line.rosn.settled();
}

#[test]
fn a_body_with_a_length_is_passed_on_as_it_comes() {
    let line = Line::new();
    let (mut client, mut origin) = line.begin(post("Content-Length: 100"));
    origin.read_head();
    for number in 0..100 {
        client.send([number]);
        assert_eq!(origin.read_exact(1), [number]);
    }
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
    client.read_head();
    for number in 0..100 {
        origin.send([number]);
        assert_eq!(client.read_exact(1), [number]);
    }
    client.send(get("/next"));
    assert!(origin.read_head().starts_with("GET /next "));
    origin.send(ok("next"));
    assert_eq!(client.read_response().text(), "next");
}

#[test]
fn the_first_event_comes_before_the_response_ends() {
    let line = Line::new();
    for framing in ["Transfer-Encoding: chunked\r\n", ""] {
        let (mut client, mut origin) = line.begin(get("/events"));
        origin.read_head();
        origin.send(format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{framing}\r\n"));
        assert!(client.read_head().contains("Content-Type: text/event-stream\r\n"));
        for number in 10..30 {
            let event = format!("data: {number}\n\n");
            let chunk = format!("a\r\n{event}\r\n");
            origin.send(if framing.is_empty() { &event } else { &chunk });
            assert_eq!(client.read_exact(15), chunk.as_bytes());
        }
        // The client leaves, and the origin gets to know it.
        drop(client);
        wait_until("the origin is told", || origin.try_send("1\r\nx\r\n").is_err());
        line.rosn.settled_without_upstream();
    }
}

#[test]
fn a_client_that_expects_100_gets_it_from_the_origin_and_only_then_sends() {
    let line = Line::new();
    for field in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        let (mut client, mut origin) =
            line.begin(post(&format!("{field}\r\nExpect: 100-continue")));
        let head = origin.read_head();
        assert!(head.contains("\r\nExpect: 100-continue\r\n"), "{head}");
        assert!(origin.is_quiet() && client.is_quiet());
        origin.send("HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(client.read_head(), "HTTP/1.1 100 Continue\r\n\r\n");
        let body = if field.starts_with('C') { "hello" } else { "5\r\nhello\r\n0\r\n\r\n" };
        client.send(body);
        assert_eq!(origin.read_exact(body.len()), body.as_bytes());
        origin.send(ok("thanks"));
        assert_eq!(client.read_response().text(), "thanks");
        // The connections go on.
        client.send(get("/next"));
        assert!(origin.read_head().starts_with("GET /next "));
        origin.send(ok("next"));
        assert_eq!(client.read_response().text(), "next");
        drop((client, origin));
        line.rosn.settled_without_upstream();
    }
}

#[test]
fn an_expectation_that_is_refused_ends_the_connection() {
    let line = Line::new();
    let bytes = post("Content-Length: 5\r\nExpect: 100-continue");
    let (mut client, mut origin) = line.begin(bytes);
    origin.read_head();
    origin.send("HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno");
    let response = client.read_response();
    assert_eq!((response.status, response.text()), (417, "no".into()));
    // Whether the client still sends its body is not known: the connection cannot be used again.
    assert_eq!(response.header("connection").as_deref(), Some("close"));
    assert!(client.is_closed());
    assert!(origin.is_closed());
    drop(client);
    line.rosn.settled_without_upstream();
}

#[test]
fn a_client_that_expects_100_need_not_wait_for_it() {
    let line = Line::new();
    let bytes = post("Content-Length: 5\r\nExpect: 100-continue") + "hello" + &get("/next");
    let (mut client, mut origin) = line.begin(bytes);
    origin.read_head();
    assert_eq!(origin.read_exact(5), b"hello");
    origin.send(ok("thanks"));
    assert_eq!(client.read_response().text(), "thanks");
    assert!(origin.read_head().starts_with("GET /next "));
    origin.send(ok("next"));
    assert_eq!(client.read_response().text(), "next");
}

#[test]
fn early_hints_come_before_the_response_does() {
    let line = Line::new();
    let (mut client, mut origin) = line.begin(get("/"));
    origin.read_head();
    for number in 0..3 {
        let hint = format!("HTTP/1.1 103 Early Hints\r\nLink: </{number}>; rel=preload\r\n\r\n");
        origin.send(&hint);
        assert_eq!(client.read_head(), hint);
    }
    origin.send(ok("page"));
    assert_eq!(client.read_response().text(), "page");
}

#[test]
fn a_response_may_come_while_the_body_still_flows() {
    let line = Line::new();
    let (mut client, mut origin) = line.begin(post("Content-Length: 1000"));
    origin.read_head();
    client.send([1; 500]);
    assert_eq!(origin.read_exact(500), [1; 500]);
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    let head = client.read_head();
    assert_eq!(client.read_exact(5), b"hello");
    client.send([2; 500]);
    assert_eq!(origin.read_exact(500), [2; 500]);
    origin.send("world");
    assert_eq!(client.read_exact(5), b"world");
    // When the head went out, nobody knew whether the body would come to its end.
    assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
    assert!(client.is_closed());
    drop(client);
    line.rosn.settled();
}

#[test]
fn an_origin_may_answer_and_close_without_reading_the_body() {
    let line = Line::new();
    for length in [1000, 50_000_000] {
        let (mut client, mut origin) = line.begin(post(&format!("Content-Length: {length}")));
        client.send([1; 100]);
        origin.read_head();
        origin.send("HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
        // There are bytes that it has not read: this is a reset.
        drop(origin);
        let response = client.read_response();
        assert_eq!((response.status, response.text()), (403, "no".into()));
        assert!(client.is_closed());
        drop(client);
        line.rosn.settled_without_upstream();
    }
}

#[test]
fn a_body_that_nobody_reads_does_not_cost_the_response() {
    let line = Line::new();
    let (mut client, mut origin) = line.begin(post("Content-Length: 8000000"));
    origin.read_head();
    origin.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
    drop(origin);
    // All of the body is sent before the response is looked at, as simple clients do.
    for _ in 0..80 {
        client.send([0; 100_000]);
    }
    let response = client.read_response();
    assert_eq!((response.status, response.text()), (403, "no".into()));
    assert!(client.is_closed());
    drop(client);
    line.rosn.settled_without_upstream();
}

#[test]
fn responses_without_a_body_leave_the_connection_in_step() {
    let origin = Origin::http(|request| match &*request.target {
        "/head" => b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".to_vec(),
        "/head-chunked" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        "/head-open" => b"HTTP/1.1 200 OK\r\nETag: x\r\n\r\n".to_vec(),
        "/204" => b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n".to_vec(),
        "/304" => b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n".to_vec(),
        target => origin::ok(target),
    });
    let port = free_port();
    let _rosn = Rosn::start(&config(
        &[http_listener("in", port, "r")],
        &[router_to("r", "c")],
        &[cluster("c", &[origin.port()])],
    ));
    let mut client = Client::connect(port);
    for _ in 0..3 {
        for (method, target, length) in [
            ("HEAD", "/head", Some("1000")),
            ("HEAD", "/head-chunked", None),
            ("HEAD", "/head-open", None),
            ("GET", "/204", None),
            ("GET", "/304", Some("1000")),
            ("GET", "/page", Some("5")),
        ] {
            let response = client.request(method, target, &[], b"");
            assert_eq!(response.header("content-length").as_deref(), length, "{target}");
            assert_eq!(response.header("transfer-encoding"), None, "{target}");
            assert_eq!(response.header("connection"), None, "{target}");
        }
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_client_of_http_1_0_reads_until_the_end_and_sees_where_it_is_missing() {
    let line = Line::new();
    let old = "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
    let (mut client, mut origin) = line.begin(old);
    origin.read_head();
    origin.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    assert_eq!(client.read_head(), "HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(client.read_exact(5), b"hello");
    origin.send("5\r\nworld\r\n0\r\n\r\n");
    assert_eq!(client.read_exact(5), b"world");
    assert!(client.is_closed());
    drop(client);
    // The origin breaks off: without a reset, the client would take it for the end.
    let mut client = line.client();
    client.send(old);
    origin.read_head();
    origin.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    client.read_head();
    assert_eq!(client.read_exact(5), b"hello");
    drop(origin);
    assert!(client.is_reset());
    line.rosn.settled_without_upstream();
}
