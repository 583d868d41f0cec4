//! Requests and responses: what arrives, and in which form.

use std::net::TcpListener;

use rosn_tests::http2::{END_HEADERS, END_STREAM, Http2, code, hpack, kind};
use rosn_tests::origin::{Origin, Request, ok, response};
use rosn_tests::{client::Client, wait_until};
use serde_json::json;

use super::{Line, log_lines};

/// Answers with the head of the request, as it came.
fn head_back() -> Line {
    Line::new(|request| ok(&request.head))
}

/// Answers with the body of the request.
fn body_back(request: &Request) -> Vec<u8> {
    response(200, &[], &request.body)
}

#[test]
fn a_request_arrives_as_one_of_http_1() {
    let line = head_back();
    let mut client = line.client();
    let headers = [("accept", "*/*"), ("te", "trailers"), ("x-empty", "")];
    let stream = client.request("GET", "/a?b=c", &headers);
    let answer = client.answer(stream);
    assert_eq!((answer.status, answer.ended), (200, true));
    let expected = "GET /a?b=c HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\nx-empty: \r\n\
                    TE: trailers\r\nConnection: TE\r\n\r\n";
    assert_eq!(answer.text(), expected);
    assert_eq!(answer.header("content-length"), Some(&*expected.len().to_string()));
    let names: Vec<&str> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(!names.contains(&"connection") && !names.contains(&"transfer-encoding"), "{names:?}");
    wait_until("the log is written", || !log_lines(&line.rosn).is_empty());
    assert_eq!(
        log_lines(&line.rosn)[0],
        format!("GET /a 200 [-] via_upstream 0 {}", expected.len())
    );
    drop(client);
    line.rosn.settled();
}

/// RFC 9113 section 8.2.3.
#[test]
fn crumbs_of_cookies_arrive_as_one() {
    let line = head_back();
    let mut client = line.client();
    let headers = [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")];
    let stream = client.request("GET", "/", &headers);
    let text = client.answer(stream).text();
    assert!(text.contains("cookie: a=1; b=2\r\n") && text.matches("cookie").count() == 1, "{text}");
}

#[test]
fn bodies_go_both_ways_with_a_length_and_without() {
    let line = Line::new(body_back);
    let mut client = line.client();
    for (size, has_length) in [(0, false), (5, true), (5, false), (3 << 20, true), (3 << 20, false)]
    {
        let body: Vec<u8> = (0..size).map(|at: usize| (at * 7 % 251) as u8).collect();
        let length = size.to_string();
        let headers: &[_] = if has_length { &[("content-length", &*length)] } else { &[] };
        let stream = client.begin("POST", "/", headers);
        client.body(stream, &body);
        let answer = client.answer(stream);
        assert_eq!((answer.status, answer.ended, answer.reset), (200, true, None));
        assert!(answer.body == body, "{size}: {} bytes came back", answer.body.len());
    }
}

/// A POST without a body has the length zero: RFC 9110 section 8.6.
#[test]
fn a_request_without_a_body_says_so() {
    let line = head_back();
    let mut client = line.client();
    let stream = client.request("POST", "/", &[]);
    assert!(client.answer(stream).text().contains("\r\ncontent-length: 0\r\n"));
    let stream = client.request("GET", "/", &[]);
    assert!(!client.answer(stream).text().contains("content-length"));
}

#[test]
fn streams_are_served_beside_each_other() {
    let line = Line::new(|request| ok(&request.target));
    let mut client = line.client();
    let streams: Vec<u32> =
        (0..100).map(|n| client.request("GET", &format!("/{n}"), &[])).collect();
    for (n, stream) in streams.into_iter().enumerate().rev() {
        let answer = client.answer(stream);
        assert_eq!((answer.status, answer.text()), (200, format!("/{n}")));
    }
    assert_eq!(line.metric("request_total"), 100.0);
    assert_eq!(line.metric("connection_total"), 1.0);
    assert_eq!(line.rosn.active().0, 1, "one connection");
    drop(client);
    line.rosn.settled();
}

/// Their frames leave together, and long ones leave from the buffers that they were read into.
#[test]
fn long_responses_beside_each_other_stay_apart() {
    fn content(target: &str) -> Vec<u8> {
        let number: usize = target[1..].parse().unwrap();
        (0..100_000 + number * 7_001).map(|at| ((at * 7 + number) % 251) as u8).collect()
    }
    let line = Line::new(|request| response(200, &[], &content(&request.target)));
    let mut client = line.client();
    let targets: Vec<String> = (0..30).map(|number| format!("/{number}")).collect();
    let streams: Vec<u32> =
        targets.iter().map(|target| client.request("GET", target, &[])).collect();
    for (stream, target) in streams.into_iter().zip(targets) {
        let answer = client.answer(stream);
        assert_eq!((answer.status, answer.ended, answer.reset), (200, true, None));
        assert!(answer.body == content(&target), "{target}: {} bytes came", answer.body.len());
    }
}

#[test]
fn responses_without_a_body_end_with_their_head() {
    let line = Line::new(|request| match request.target.as_str() {
        "/204" => b"HTTP/1.1 204 No\r\n\r\n".to_vec(),
        "/304" => b"HTTP/1.1 304 No\r\nContent-Length: 7\r\n\r\n".to_vec(),
        "/empty" => response(200, &[], b""),
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n".to_vec(),
    });
    let mut client = line.client();
    for (method, path, status, length) in [
        ("GET", "/204", 204, None),
        ("GET", "/304", 304, Some("7")),
        ("GET", "/empty", 200, Some("0")),
        ("HEAD", "/", 200, Some("7")),
    ] {
        let stream = client.request(method, path, &[]);
        let answer = client.answer(stream);
        assert_eq!((answer.status, answer.ended, answer.reset), (status, true, None), "{path}");
        assert!(answer.body.is_empty());
        assert_eq!(answer.header("content-length"), length, "{path}");
    }
}

#[test]
fn trailers_go_both_ways() {
    let line = Line::new(|request| {
        let fields: String =
            request.trailers.iter().map(|(n, v)| format!("x-{n}: {v}!\r\n")).collect();
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n";
        format!("{head}3\r\nabc\r\n0\r\n{fields}\r\n").into_bytes()
    });
    let mut client = line.client();
    let stream = client.begin("POST", "/", &[("trailer", "sum")]);
    client.data(stream, b"body", false);
    client.trailers(stream, &[("sum", "42"), ("other", "a b")]);
    let answer = client.answer(stream);
    assert_eq!((answer.status, answer.text().as_str(), answer.ended), (200, "abc", true));
    let expected = [("x-sum", "42!"), ("x-other", "a b!")];
    let owned = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(answer.trailers, owned);
    // A body that came whole is followed by trailers all the same.
    let stream = client.begin("POST", "/", &[("content-length", "0")]);
    client.trailers(stream, &[("sum", "1")]);
    assert_eq!(client.answer(stream).status, 200);
}

#[test]
fn interim_responses_are_passed_on() {
    let line = Line::new(|_| {
        let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        format!("{early}{early}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").into_bytes()
    });
    let answer = line.client().get("/");
    assert_eq!((answer.interim, answer.status, answer.body), (vec![103, 103], 200, b"ok".to_vec()));
}

/// RFC 9110 section 10.1.1.
#[test]
fn a_body_waits_for_100_continue() {
    let line = Line::new(body_back);
    let mut client = line.client();
    let stream = client.begin("PUT", "/", &[("expect", "100-continue"), ("content-length", "4")]);
    let answer = client.until(stream, |answer| !answer.interim.is_empty());
    assert_eq!((answer.interim, answer.status), (vec![100], 0));
    client.data(stream, b"body", true);
    assert_eq!(client.answer(stream).text(), "body");
}

/// RFC 9113 section 8.1: END_STREAM, and then RST_STREAM with NO_ERROR.
#[test]
fn a_response_may_come_before_the_request_is_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let origin = std::thread::spawn(move || {
        let mut origin = super::accept(&listener);
        origin.read_head();
        origin.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
        origin.read_to_end();
    });
    let line = Line::changed(Origin::http(|_| ok("")), json!({}), |config| {
        config["cluster_manager"]["clusters"][0]["hosts"] =
            json!([{ "address": format!("127.0.0.1:{port}") }]);
    });
    let mut client = line.client();
    let stream = client.begin("POST", "/", &[]);
    client.data(stream, b"a part", false);
    let answer = client.until(stream, |answer| answer.reset.is_some());
    assert_eq!((answer.status, answer.text().as_str(), answer.ended), (403, "no", true));
    assert_eq!(answer.reset, Some(code::NO_ERROR));
    // The connection goes on; what comes late for that stream does no harm.
    client.data(stream, b"more", true);
    let stream = client.request("GET", "/", &[]);
    drop(client.until(stream, |_| true));
    origin.join().unwrap();
}

#[test]
fn rosn_answers_itself_where_it_has_to() {
    let line = Line::changed(Origin::http(|_| ok("")), json!({}), |config| {
        let routes = &mut config["servers"][0]["routers"][0]["virtual_hosts"][0]["routers"];
        *routes = json!([
            { "match": { "prefix": "/direct" }, "direct_response": { "status": 201, "body": "own" } },
            { "match": { "prefix": "/moved" }, "redirect": { "path_redirect": "/new" } },
        ]);
    });
    let mut client = line.client();
    let answer = client.get("/direct");
    assert_eq!((answer.status, answer.text().as_str()), (201, "own"));
    let answer = client.get("/moved");
    assert_eq!((answer.status, answer.header("location")), (301, Some("http://localhost/new")));
    let answer = client.get("/nothing");
    assert_eq!((answer.status, answer.ended, answer.reset), (404, true, None));
    // A body that nobody wants is not read.
    let stream = client.begin("POST", "/nothing", &[]);
    client.data(stream, b"unread", false);
    let answer = client.until(stream, |answer| answer.reset.is_some());
    assert_eq!((answer.status, answer.reset), (404, Some(code::NO_ERROR)));
    assert_eq!(client.get("/direct").status, 201);
}

/// A head in CONTINUATION frames, with padding and a priority.
#[test]
fn a_head_may_come_in_pieces() {
    let line = head_back();
    let mut client = line.client();
    let block = hpack::encode(&[&rosn_tests::http2::head("GET", "/")[..], &[("x", "y")]].concat());
    let (first, second) = block.split_at(9);
    let payload = [&[3][..], &[0, 0, 0, 0, 15], first, &[0; 3]].concat();
    client.frame(kind::HEADERS, END_STREAM | 0x8 | 0x20, 1, &payload);
    client.frame(kind::CONTINUATION, 0, 1, &second[..1]);
    client.frame(kind::CONTINUATION, 0, 1, b"");
    client.frame(kind::CONTINUATION, END_HEADERS, 1, &second[1..]);
    let answer = client.answer(1);
    assert!(answer.text().contains("\r\nx: y\r\n"), "{answer:?}");
}

/// The client opens its window byte by byte; nothing is lost.
#[test]
fn a_small_window_is_kept_to() {
    const SIZE: usize = 2000;
    let line = Line::new(|_| ok(&"x".repeat(SIZE)));
    let mut client = Http2::connect_with(line.port, &[(4, 10)]);
    client.opens_windows = false;
    let stream = client.request("GET", "/", &[]);
    assert_eq!(client.until(stream, |answer| answer.body.len() == 10).body.len(), 10);
    let mut have = 10;
    while have < SIZE {
        let more = 1 + have % 97;
        client.window(stream, u32::try_from(more).unwrap());
        have = (have + more).min(SIZE);
        assert_eq!(client.until(stream, |answer| answer.body.len() >= have).body.len(), have);
    }
    assert!(client.answer(stream).ended);
}

/// Back-pressure reaches the origin: it cannot send more than fits on the way.
#[test]
fn who_does_not_read_is_not_sent_more() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sent, at_origin) = (std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)), 64 << 20);
    let count = std::sync::Arc::clone(&sent);
    std::thread::spawn(move || {
        let mut origin = super::accept(&listener);
        origin.read_head();
        origin.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {at_origin}\r\n\r\n"));
        let piece = vec![b'x'; 64 << 10];
        while count.load(std::sync::atomic::Ordering::SeqCst) < at_origin {
            if Client::try_send(&mut origin, &piece).is_err() {
                return;
            }
            count.fetch_add(piece.len(), std::sync::atomic::Ordering::SeqCst);
        }
    });
    let line = Line::changed(Origin::http(|_| ok("")), json!({}), |config| {
        config["cluster_manager"]["clusters"][0]["hosts"] =
            json!([{ "address": format!("127.0.0.1:{port}") }]);
    });
    let mut client = line.client();
    client.opens_windows = false;
    let stream = client.request("GET", "/", &[]);
    client.until(stream, |answer| answer.body.len() == 65_535);
    // Another stream is not held up.
    let before = line.rosn.rss();
    let last = std::cell::Cell::new(usize::MAX);
    wait_until("the origin is held up", || {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let now = sent.load(std::sync::atomic::Ordering::SeqCst);
        last.replace(now) == now
    });
    assert!(last.get() < at_origin / 2, "{} bytes were taken", last.get());
    assert!(line.rosn.rss() < before + (16 << 20), "{} bytes of memory", line.rosn.rss());
}
