//! How streams fail, and what is tried again.

use rosn_tests::http2::code;
use rosn_tests::http2::kind::{CONTINUATION, DATA, HEADERS, PUSH_PROMISE};
use rosn_tests::wait_until;
use serde_json::json;

use super::{Line, get, post};

/// REFUSED_STREAM: it was never looked at, so even a POST is sent again.
#[test]
fn what_the_endpoint_refused_is_sent_again() {
    let line = Line::new();
    let (mut client, mut endpoint) = line.begin(post("abc"));
    for _ in 0..3 {
        let (stream, asked) = endpoint.whole_request();
        assert_eq!(asked.text(), "abc");
        endpoint.http2.reset(stream, code::REFUSED_STREAM);
    }
    let (stream, asked) = endpoint.whole_request();
    assert_eq!(asked.text(), "abc");
    endpoint.respond(stream, "200", &[], b"done");
    assert_eq!(client.read_response().text(), "done");
    drop(client);
    line.rosn.settled();
}

/// But not for ever, and not for those who cannot say it again.
#[test]
fn what_is_refused_again_and_again_fails() {
    let line = Line::new();
    let (mut client, mut endpoint) = line.begin(post("abc"));
    for _ in 0..4 {
        let stream = endpoint.next_request();
        endpoint.http2.reset(stream, code::REFUSED_STREAM);
    }
    assert_eq!(client.read_response().status, 503);
    wait_until("the log has it", || line.rosn.log().contains("refused"));
}

/// GOAWAY: streams above the last that it names go to another connection, and those below end where they are.
#[test]
fn what_goaway_leaves_out_goes_to_another_connection() {
    let line = Line::new();
    let (mut first, mut endpoint) = line.begin(get("/first"));
    let one = endpoint.next_request();
    let mut second = line.client();
    second.send(post("second"));
    let (two, _) = endpoint.whole_request();
    assert_eq!((one, two), (1, 3));
    endpoint.go_away(one, code::NO_ERROR);
    let mut other = line.endpoint();
    let (stream, asked) = other.whole_request();
    assert_eq!(asked.text(), "second");
    other.respond(stream, "200", &[], b"2");
    assert_eq!(second.read_response().text(), "2");
    endpoint.respond(one, "200", &[], b"1");
    assert_eq!(first.read_response().text(), "1");
    // The first connection is ended by rosn.
    endpoint.http2.end();
    let notices = line.rosn.metric("upstream_connection_close_notify", &[("cluster", "c")]);
    assert_eq!(notices, 1.0);
}

/// A connection that ends while it is idle: the next request has a new one.
#[test]
fn an_endpoint_that_left_is_dialed_again() {
    let line = Line::new();
    let (mut client, mut endpoint) = line.begin(get("/"));
    let stream = endpoint.next_request();
    endpoint.respond(stream, "200", &[], b"1");
    assert_eq!(client.read_response().text(), "1");
    drop(endpoint);
    client.send(get("/"));
    let mut endpoint = line.endpoint();
    let stream = endpoint.next_request();
    endpoint.respond(stream, "200", &[], b"2");
    assert_eq!(client.read_response().text(), "2");
}

/// What an endpoint says by a reset, its client is told by a status, or by the end of the connection.
#[test]
fn resets_before_and_in_a_response() {
    let line = Line::new();
    let (mut client, mut endpoint) = line.begin(get("/"));
    let stream = endpoint.next_request();
    endpoint.http2.reset(stream, code::INTERNAL_ERROR);
    assert_eq!(client.read_response().status, 502);
    client.send(get("/"));
    let stream = endpoint.next_request();
    endpoint.head(stream, "200", &[], false);
    endpoint.http2.data(stream, b"abc", false);
    assert!(client.read_head().starts_with("HTTP/1.1 200 "));
    assert_eq!(client.read_exact(8), b"3\r\nabc\r\n");
    endpoint.http2.reset(stream, code::INTERNAL_ERROR);
    assert!(client.is_reset(), "the client must not take it for whole");
    // The connection to the endpoint serves others.
    let mut client = line.client();
    client.send(get("/"));
    let stream = endpoint.next_request();
    endpoint.respond(stream, "200", &[], b"");
    assert_eq!(client.read_response().status, 200);
    drop(client);
    line.rosn.settled();
}

/// A client that goes away: the endpoint is told by RST_STREAM, and its connection stays.
#[test]
fn a_client_that_leaves_cancels_its_stream() {
    let line = Line::new();
    let (client, mut endpoint) = line.begin(get("/"));
    let stream = endpoint.next_request();
    endpoint.head(stream, "200", &[], false);
    endpoint.http2.data(stream, b"abc", false);
    drop(client);
    endpoint.http2.opens_windows = false;
    let asked = endpoint.http2.until(stream, |asked| asked.reset.is_some());
    assert_eq!(asked.reset, Some(code::CANCEL));
    let mut client = line.client();
    client.send(get("/"));
    let stream = endpoint.next_request();
    endpoint.respond(stream, "200", &[], b"");
    assert_eq!(client.read_response().status, 200);
}

/// A request that takes too long is cancelled.
#[test]
fn a_timeout_cancels_the_stream() {
    let line = Line::with(&json!({}), &json!({ "timeout": "1s" }));
    let (mut client, mut endpoint) = line.begin(get("/"));
    let stream = endpoint.next_request();
    assert_eq!(client.read_response().status, 504);
    let asked = endpoint.http2.until(stream, |asked| asked.reset.is_some());
    assert_eq!(asked.reset, Some(code::CANCEL));
}

/// An early response: the rest of the request is not wanted.
#[test]
fn an_early_response_ends_the_upload() {
    let line = Line::new();
    let (mut client, mut endpoint) =
        line.begin("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    let stream = endpoint.next_request();
    endpoint.respond(stream, "413", &[], b"no");
    endpoint.http2.reset(stream, code::NO_ERROR);
    let response = client.read_response();
    assert_eq!((response.status, response.text()), (413, "no".into()));
}

/// What breaks the rules of a message fails that message, and no other.
#[test]
fn malformed_responses_fail() {
    let line = Line::new();
    let (mut client, mut endpoint) = line.begin(get("/"));
    for fields in [
        &[("content-length", "1"), ("content-length", "2")][..],
        &[("content-length", "x")],
        &[("bad name", "1")],
        &[("x-a", "b\r\nc: d")],
    ] {
        let stream = endpoint.next_request();
        endpoint.head(stream, "200", fields, false);
        let response = client.read_response();
        assert_eq!(response.status, 502, "{fields:?}");
        let asked = endpoint.http2.until(stream, |asked| asked.reset.is_some());
        assert!(asked.reset.is_some() || endpoint.http2.is_over, "{fields:?}");
        client = line.client();
        client.send(get("/"));
        if endpoint.http2.is_over {
            endpoint = line.endpoint();
        }
    }
    // More, and less, than was announced.
    let stream = endpoint.next_request();
    endpoint.head(stream, "200", &[("content-length", "2")], false);
    endpoint.http2.data(stream, b"abc", true);
    assert!(!client.read_to_end().ends_with(b"abc"));
    let mut client = line.client();
    client.send(get("/"));
    let stream = endpoint.next_request();
    endpoint.head(stream, "200", &[("content-length", "4")], false);
    endpoint.http2.data(stream, b"abc", true);
    let all = String::from_utf8(client.read_to_end()).unwrap();
    assert!(all.split_once("\r\n\r\n").is_none_or(|(_, body)| body.len() < 4), "{all}");
    drop(client);
    line.rosn.settled();
}

/// What is no HTTP/2 is an error that says so.
#[test]
fn another_protocol_is_told_in_the_log() {
    let line = Line::new();
    let mut client = line.client();
    client.send(get("/"));
    let mut endpoint = rosn_tests::client::Client::over(line.peer.accept());
    endpoint.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.read_response().status, 502);
    wait_until("the log has it", || {
        line.rosn.log().contains("does the endpoint speak HTTP/2 there")
    });
    drop(client);
    line.rosn.settled();
}

/// An endpoint that sends interim responses without end is given up, however slowly the client reads.
#[test]
fn interim_responses_without_end_fail() {
    let line = Line::new();
    let (mut client, mut endpoint) = line.begin(get("/"));
    let stream = endpoint.next_request();
    for _ in 0..100 {
        endpoint.head(stream, "103", &[("link", "</a>")], false);
    }
    let asked = endpoint.http2.until(stream, |asked| asked.reset.is_some());
    assert_eq!(asked.reset, Some(code::CANCEL));
    let mut statuses = Vec::new();
    loop {
        let head = client.read_head();
        statuses.push(head[9..12].to_owned());
        if !head.starts_with("HTTP/1.1 103") {
            break;
        }
    }
    assert_eq!(statuses.last().unwrap(), "502");
}

/// Nothing is pushed to a proxy that said so in its settings.
#[test]
fn a_push_ends_the_connection() {
    let line = Line::new();
    let (mut client, mut endpoint) = line.begin(get("/"));
    let stream = endpoint.next_request();
    let fields = rosn_tests::http2::head("GET", "/pushed");
    let mut promise = 2_u32.to_be_bytes().to_vec();
    promise.extend(rosn_tests::http2::hpack::encode(&fields));
    endpoint.http2.frame(PUSH_PROMISE, 4, stream, &promise);
    assert_eq!(client.read_response().status, 502);
    assert_eq!(endpoint.http2.end().map(|(_, code)| code), Some(code::PROTOCOL_ERROR));
    drop(client);
    line.rosn.settled();
}

/// Heads without end, and heads that are too large: bounded.
#[test]
fn heads_are_bounded() {
    let line = Line::new();
    let (mut client, mut endpoint) = line.begin(get("/"));
    let stream = endpoint.next_request();
    let fields = rosn_tests::http2::hpack::encode(&[(":status", "200")]);
    endpoint.http2.frame(HEADERS, 0, stream, &fields);
    for _ in 0..10_000 {
        endpoint.http2.frame(CONTINUATION, 0, stream, b"");
    }
    assert_eq!(client.read_response().status, 502);
    endpoint.http2.end();
    drop(client);
    let (mut client, mut endpoint) = line.begin(get("/"));
    let stream = endpoint.next_request();
    let value = "x".repeat(1000);
    let names: Vec<String> = (0..200).map(|number| format!("x-{number}")).collect();
    let fields: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &*value)).collect();
    let block = rosn_tests::http2::hpack::encode(&[&[(":status", "200")][..], &fields].concat());
    let mut kind = HEADERS;
    let chunks: Vec<&[u8]> = block.chunks(16_000).collect();
    for (at, chunk) in chunks.iter().enumerate() {
        let flags = if at + 1 == chunks.len() { 4 } else { 0 };
        endpoint.http2.frame(kind, flags, stream, chunk);
        kind = CONTINUATION;
    }
    assert_eq!(client.read_response().status, 502);
    drop(client);
    line.rosn.settled();
}

/// Empty DATA without end.
#[test]
fn empty_frames_are_bounded() {
    let line = Line::new();
    let (mut client, mut endpoint) = line.begin(get("/"));
    let stream = endpoint.next_request();
    endpoint.head(stream, "200", &[], false);
    assert!(client.read_head().starts_with("HTTP/1.1 200 "));
    let empty = rosn_tests::http2::bytes_of(DATA, 0, stream, b"").repeat(1000);
    while endpoint.http2.client().try_send(&empty).is_ok() {}
    assert!(client.is_reset());
    line.rosn.settled();
}

/// The `http` crate takes fewer targets and hosts than HTTP/1.1 does. That is the client's fault, and the endpoint has
/// nothing to do with it.
#[test]
fn what_http2_has_no_words_for_is_a_bad_request() {
    let line = Line::new();
    let mut client = line.client();
    let (odd, long) = ("/a<b>", format!("/{}", "x".repeat(7000)));
    for head in [
        format!("GET {odd} HTTP/1.1\r\nHost: a\r\n\r\n"),
        "GET /a`b HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET /?<> HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: a%41b\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost:\r\n\r\n".to_owned(),
        "POST /` HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc".to_owned(),
    ] {
        client.send(&head);
        let response = client.read_response();
        assert_eq!(response.status, 400, "{head:?}");
        if head.starts_with("POST") {
            client = line.client();
        }
    }
    let resets =
        |labels: &[(&str, &str)]| line.rosn.metric("upstream_request_remote_reset", labels);
    assert_eq!(resets(&[("cluster", "c")]), 0.0);
    // What looks odd and can be said goes through.
    for target in ["/a^b|c\\d{e}\"", "/a%zz", "//x", &*long] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a!b_c:080\r\n\r\n"));
    }
    let mut endpoint = line.endpoint();
    for target in ["/a^b|c\\d{e}\"", "/a%zz", "//x", &*long] {
        let (stream, asked) = endpoint.whole_request();
        assert_eq!(asked.header(":path"), Some(target));
        endpoint.respond(stream, "204", &[], b"");
        assert_eq!(client.read_response().status, 204);
    }
}
