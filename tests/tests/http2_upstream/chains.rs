//! HTTP/2 on both sides, which is what a client of HTTP/2 gets where nothing else is said.

use rosn_tests::http2::{Http2, code};

use super::Line;

fn own(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_call_of_grpc_with_trailers() {
    let line = Line::of_http2();
    let mut client = Http2::connect(line.port);
    let headers = [("content-type", "application/grpc"), ("te", "trailers"), ("a-bin", "AAEC")];
    let call = client.begin("POST", "/pkg.Service/Method", &headers);
    client.data(call, b"\0\0\0\0\x02hi", true);
    let mut endpoint = line.endpoint();
    let (stream, asked) = endpoint.whole_request();
    for (name, value) in [
        (":method", "POST"),
        (":path", "/pkg.Service/Method"),
        (":authority", "localhost"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("a-bin", "AAEC"),
    ] {
        assert_eq!(asked.header(name), Some(value), "{:?}", asked.headers);
    }
    assert_eq!(asked.body, b"\0\0\0\0\x02hi");
    endpoint.head(stream, "200", &[("content-type", "application/grpc")], false);
    endpoint.http2.data(stream, b"\0\0\0\0\x02ho", false);
    endpoint.http2.trailers(stream, &[("grpc-status", "0"), ("grpc-message", "fine")]);
    let answer = client.answer(call);
    assert_eq!((answer.status, &*answer.body), (200, &b"\0\0\0\0\x02ho"[..]));
    assert_eq!(answer.trailers, own(&[("grpc-status", "0"), ("grpc-message", "fine")]));
    assert_eq!(answer.header("transfer-encoding"), None);
}

/// A response of only one head is one, and not a head, an empty body and nothing.
#[test]
fn trailers_only_stay_that_way() {
    let line = Line::of_http2();
    let mut client = Http2::connect(line.port);
    let call =
        client.request("POST", "/pkg.Service/Method", &[("content-type", "application/grpc")]);
    let mut endpoint = line.endpoint();
    let (stream, _) = endpoint.whole_request();
    let fields = [("content-type", "application/grpc"), ("grpc-status", "12")];
    endpoint.head(stream, "200", &fields, true);
    let answer = client.answer(call);
    assert_eq!(answer.header("grpc-status"), Some("12"));
    assert!(answer.ended && answer.trailers.is_empty() && answer.body.is_empty());
}

#[test]
fn messages_flow_both_ways_at_once() {
    let line = Line::of_http2();
    let mut client = Http2::connect(line.port);
    let call = client.begin("POST", "/chat", &[]);
    let mut endpoint = line.endpoint();
    let stream = endpoint.next_request();
    endpoint.head(stream, "200", &[], false);
    assert_eq!(client.until(call, |answer| answer.status > 0).status, 200);
    for round in 1..=20_usize {
        client.data(call, b"ping", false);
        endpoint.http2.until(stream, |asked| asked.body.len() == 4 * round);
        endpoint.http2.data(stream, b"pong", false);
        client.until(call, |answer| answer.body.len() == 4 * round);
    }
    client.data(call, b"", true);
    assert!(endpoint.http2.until(stream, |asked| asked.ended).ended);
    endpoint.http2.trailers(stream, &[("x-end", "1")]);
    assert_eq!(client.answer(call).trailers, own(&[("x-end", "1")]));
}

/// RST_STREAM goes on in both directions, and touches no other stream.
#[test]
fn resets_are_passed_on() {
    let line = Line::of_http2();
    let mut client = Http2::connect(line.port);
    let (one, two) = (client.request("GET", "/1", &[]), client.request("GET", "/2", &[]));
    let mut endpoint = line.endpoint();
    let streams = [endpoint.next_request(), endpoint.next_request()];
    for stream in streams {
        endpoint.head(stream, "200", &[], false);
        endpoint.http2.data(stream, b"abc", false);
    }
    for stream in [one, two] {
        client.until(stream, |answer| answer.body == b"abc");
    }
    let of = |endpoint: &mut rosn_tests::http2::server::Server, path: &str| {
        let find =
            |stream: &u32| endpoint.http2.until(*stream, |_| true).header(":path") == Some(path);
        streams.into_iter().find(find).unwrap()
    };
    let (first, second) = (of(&mut endpoint, "/1"), of(&mut endpoint, "/2"));
    client.reset(one, code::CANCEL);
    let asked = endpoint.http2.until(first, |asked| asked.reset.is_some());
    assert_eq!(asked.reset, Some(code::CANCEL));
    endpoint.http2.reset(second, code::INTERNAL_ERROR);
    let answer = client.answer(two);
    assert!(answer.reset.is_some() && !answer.ended, "{answer:?}");
    let three = client.request("GET", "/3", &[]);
    let stream = endpoint.next_request();
    endpoint.respond(stream, "200", &[], b"");
    assert_eq!(client.answer(three).status, 200);
}

/// The endpoint goes in the middle of a response: the client must not take it for whole.
#[test]
fn an_endpoint_that_dies_resets_the_client_s_stream() {
    let line = Line::of_http2();
    let mut client = Http2::connect(line.port);
    let call = client.request("GET", "/", &[]);
    let mut endpoint = line.endpoint();
    let stream = endpoint.next_request();
    endpoint.head(stream, "200", &[], false);
    endpoint.http2.data(stream, b"abc", false);
    client.until(call, |answer| answer.body == b"abc");
    drop(endpoint);
    let answer = client.answer(call);
    assert!(answer.reset.is_some() && !answer.ended, "{answer:?}");
    // The client's connection goes on.
    let call = client.request("GET", "/", &[]);
    let mut endpoint = line.endpoint();
    let stream = endpoint.next_request();
    endpoint.respond(stream, "204", &[], b"");
    assert_eq!(client.answer(call).status, 204);
}

/// WebSocket by extended CONNECT on both sides (RFC 8441).
#[test]
fn extended_connect_goes_through() {
    let line = Line::of_http2();
    let mut client = Http2::connect(line.port);
    let fields = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", "/chat"),
        ("sec-websocket-version", "13"),
    ];
    let tunnel = client.open(&fields, false);
    let mut endpoint = line.endpoint_with(&[(8, 1)]);
    let stream = endpoint.next_request();
    let asked = endpoint.http2.until(stream, |_| true);
    for (name, value) in &fields {
        assert_eq!(asked.header(name), Some(*value), "{:?}", asked.headers);
    }
    endpoint.head(stream, "200", &[], false);
    let answer = client.until(tunnel, |answer| answer.status > 0);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("sec-websocket-accept"), None);
    client.data(tunnel, b"ping", false);
    endpoint.http2.until(stream, |asked| asked.body == b"ping");
    endpoint.http2.data(stream, b"pong", true);
    assert!(client.until(tunnel, |answer| answer.ended).body == b"pong");
    client.data(tunnel, b"", true);
    assert!(endpoint.http2.until(stream, |asked| asked.ended).ended);
}

/// What a client sends faster than the endpoint takes it, it is not asked for.
#[test]
fn an_endpoint_that_does_not_read_holds_back_the_client() {
    let line = Line::of_http2();
    let mut client = Http2::connect(line.port);
    let call = client.begin("POST", "/", &[]);
    let mut endpoint = line.endpoint();
    endpoint.http2.opens_windows = false;
    let stream = endpoint.next_request();
    // 64 KiB are what the endpoint takes. rosn may hold some of what follows, and not all.
    let (mut window, mut sent) = (65_535_i64, 0_i64);
    let chunk = [b'x'; 8192];
    let mut quiet = 0;
    while quiet < 50 {
        while window >= 8192 {
            client.data(call, &chunk, false);
            (window, sent) = (window - 8192, sent + 8192);
        }
        assert!(sent < 16 << 20, "nothing holds it back");
        if client.client().is_quiet() {
            quiet += 1;
            std::thread::sleep(std::time::Duration::from_millis(5));
            continue;
        }
        quiet = 0;
        let frame = client.step().unwrap();
        if frame.kind == 8 && frame.stream == call {
            window += i64::from(u32::from_be_bytes(frame.payload.try_into().unwrap()));
        }
    }
    // It goes on as soon as the endpoint takes more.
    endpoint.http2.opens_windows = true;
    endpoint.http2.window(0, 1 << 20);
    endpoint.http2.window(stream, 1 << 20);
    let left = u32::try_from(window.max(0)).unwrap();
    client.data(call, &vec![b'x'; left as usize], true);
    let asked = endpoint.http2.answer(stream);
    assert_eq!(asked.body.len() as i64, sent + i64::from(left));
    endpoint.respond(stream, "200", &[], b"");
    assert_eq!(client.answer(call).status, 200);
}
