//! What is said on streams.

use std::time::Duration;

use rosn_tests::http2::kind::WINDOW_UPDATE;
use rosn_tests::http2::server::Server;
use serde_json::json;

use super::{Line, get, post};

fn headers(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_request_becomes_a_stream_and_its_response_a_message() {
    let line = Line::new();
    let request = "GET /a?b=c HTTP/1.1\r\nHost: a.test\r\nX-One: 1\r\nCookie: a=b; c=d\r\n\
                   Connection: keep-alive, x-hop\r\nX-Hop: 1\r\nTE: trailers, gzip\r\n\r\n";
    let (mut client, mut endpoint) = line.begin(request);
    let (stream, asked) = endpoint.whole_request();
    let expected = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a.test"),
        (":path", "/a?b=c"),
        ("cookie", "a=b; c=d"),
        ("te", "trailers"),
        ("x-one", "1"),
    ];
    let mut came = asked.headers;
    came[4..].sort();
    assert_eq!((stream, came), (1, headers(&expected)));
    let fields = [("content-type", "text/plain"), ("content-length", "5"), ("x-two", "2")];
    endpoint.respond(stream, "200", &fields, b"hello");
    let response = client.read_response();
    assert_eq!((response.status, response.text()), (200, "hello".into()));
    assert_eq!(response.header("x-two").as_deref(), Some("2"));
    // Without a length the body is chunked.
    client.send(get("/b"));
    let (stream, _) = endpoint.whole_request();
    endpoint.respond(stream, "200", &[], b"hello");
    let response = client.read_response();
    assert_eq!(response.header("transfer-encoding").as_deref(), Some("chunked"));
    assert_eq!(response.text(), "hello");
    drop(client);
    line.rosn.settled();
}

#[test]
fn bodies_flow_both_ways_before_either_is_whole() {
    let line = Line::new();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n";
    let (mut client, mut endpoint) = line.begin(head);
    let stream = endpoint.next_request();
    endpoint.head(stream, "200", &[("x-early", "1")], false);
    assert!(client.read_head().contains("x-early: 1"));
    client.send("3\r\nabc\r\n");
    endpoint.http2.until(stream, |asked| asked.body == b"abc");
    endpoint.http2.data(stream, b"ABC", false);
    assert_eq!(client.read_exact(8), b"3\r\nABC\r\n");
    client.send("3\r\ndef\r\n0\r\nx-sum: 6\r\n\r\n");
    let asked = endpoint.http2.answer(stream);
    assert_eq!((asked.text(), asked.trailers), ("abcdef".into(), headers(&[("x-sum", "6")])));
    endpoint.http2.trailers(stream, &[("x-sum", "3")]);
    assert_eq!(client.read_exact(15), b"0\r\nx-sum: 3\r\n\r\n".as_slice());
}

#[test]
fn interim_responses_are_passed_on() {
    let line = Line::new();
    let (mut client, mut endpoint) = line
        .begin("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    let stream = endpoint.next_request();
    endpoint.head(stream, "103", &[("link", "</a.css>")], false);
    let early = client.read_head();
    assert!(early.starts_with("HTTP/1.1 103 ") && early.contains("link: </a.css>"), "{early}");
    endpoint.head(stream, "100", &[], false);
    assert!(client.read_head().starts_with("HTTP/1.1 100 "));
    client.send("abc");
    assert_eq!(endpoint.http2.answer(stream).text(), "abc");
    endpoint.respond(stream, "204", &[], b"");
    assert_eq!(client.read_response().status, 204);
}

#[test]
fn responses_without_a_body_have_none() {
    let line = Line::new();
    let (mut client, mut endpoint) = line.begin("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    let (stream, _) = endpoint.whole_request();
    endpoint.respond(stream, "200", &[("content-length", "9")], b"");
    let head = client.read_response_to("HEAD");
    assert_eq!(head.header("content-length").as_deref(), Some("9"));
    for (status, field) in [("204", ("x-a", "1")), ("304", ("etag", "\"1\""))] {
        client.send(get("/"));
        let (stream, _) = endpoint.whole_request();
        endpoint.respond(stream, status, &[field], b"");
        let response = client.read_response();
        assert_eq!(response.status.to_string(), status);
        assert_eq!(response.header(field.0).as_deref(), Some(field.1));
        assert_eq!(response.header("transfer-encoding"), None);
    }
    client.send(get("/"));
    let (stream, _) = endpoint.whole_request();
    endpoint.respond(stream, "200", &[("content-length", "0")], b"");
    assert_eq!(client.read_response().body, b"");
}

/// A body of many windows, against an endpoint whose windows are the smallest.
#[test]
fn a_large_upload_waits_for_the_endpoint_s_windows() {
    let line = Line::new();
    let mut client = line.client();
    let body = "0123456789abcdef".repeat(20_000);
    client.send(post(&body));
    // 1 KiB for each stream; what is read opens it again.
    let mut endpoint = line.endpoint_with(&[(4, 1024)]);
    let (stream, asked) = endpoint.whole_request();
    assert!(asked.body == body.as_bytes());
    endpoint.respond(stream, "200", &[], b"");
    assert_eq!(client.read_response().status, 200);
}

/// What the client does not read, the endpoint is not asked for: it may send no more than the windows.
#[test]
fn a_client_that_does_not_read_holds_back_the_endpoint() {
    let line =
        Line::with(&json!({ "http2": { "initial_stream_window_size": 65_536 } }), &json!({}));
    let (mut client, mut endpoint) = line.begin(get("/"));
    let (stream, _) = endpoint.whole_request();
    endpoint.head(stream, "200", &[], false);
    let (mut window, mut sent) = (65_536_i64, 0_u64);
    let chunk = vec![b'x'; 16_384];
    // Until nothing more is asked for.
    loop {
        while window >= 16_384 {
            endpoint.http2.data(stream, &chunk, false);
            (window, sent) = (window - 16_384, sent + 16_384);
        }
        assert!(sent < 64 << 20, "nothing holds it back");
        if is_quiet_for_long(&mut endpoint) {
            break;
        }
        window += more(&mut endpoint, stream);
    }
    // It goes on as soon as the client reads.
    let client_reads = std::thread::spawn(move || {
        let response = client.read_response();
        response.body.len() as u64
    });
    while window < 16_384 {
        window += more(&mut endpoint, stream);
    }
    endpoint.http2.data(stream, &chunk, true);
    assert_eq!(client_reads.join().unwrap(), sent + 16_384);
}

fn is_quiet_for_long(endpoint: &mut Server) -> bool {
    (0..50).all(|_| {
        std::thread::sleep(Duration::from_millis(5));
        endpoint.http2.client().is_quiet()
    })
}

/// Reads a frame; by how much it opens the stream's window.
fn more(endpoint: &mut Server, stream: u32) -> i64 {
    let frame = endpoint.http2.step().unwrap();
    if frame.kind != WINDOW_UPDATE || frame.stream != stream {
        return 0;
    }
    i64::from(u32::from_be_bytes(frame.payload.try_into().unwrap()))
}

/// Many at once on one connection, answered in the other order.
#[test]
fn responses_come_in_any_order() {
    let line = Line::new();
    let mut first = line.client();
    first.send(get("/0"));
    let mut endpoint = line.endpoint();
    let mut asked = vec![endpoint.next_request()];
    let mut clients = vec![first];
    for number in 1..20 {
        let mut client = line.client();
        client.send(get(&format!("/{number}")));
        clients.push(client);
        asked.push(endpoint.next_request());
    }
    for stream in asked.into_iter().rev() {
        let path = endpoint.http2.answer(stream).header(":path").unwrap().to_owned();
        endpoint.respond(stream, "200", &[], path.as_bytes());
    }
    for (number, mut client) in clients.into_iter().enumerate() {
        assert_eq!(client.read_response().text(), format!("/{number}"));
    }
    assert!(line.peer.accept_now().is_none(), "one connection does for all");
}
