//! How much a client may ask for: heads, streams, bodies.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use rosn_tests::http2::{Http2, code, head};
use rosn_tests::origin::{Origin, ok};
use rosn_tests::wait_until;
use serde_json::json;

use super::{Line, log_lines};

fn limited() -> Line {
    Line::changed(Origin::http(|_| ok("served")), json!({}), |config| {
        config["servers"][0]["limits"] = json!({ "max_head_bytes": 16384, "max_headers": 20 });
    })
}

#[test]
fn a_head_that_is_too_large_is_answered_with_431() {
    let line = limited();
    let mut client = line.client();
    let big = "x".repeat(16_000);
    let stream = client.request("GET", "/", &[("big", &big[..10_000])]);
    assert_eq!(client.answer(stream).status, 200);
    // By rosn, by h2, and by its end.
    let fields = [&head("GET", "/")[..], &[("big", &*big), ("other", &big[..500])]].concat();
    send_head(&mut client, 3, &fields);
    let answer = client.answer(3);
    assert_eq!((answer.status, answer.ended), (431, true));
    client.skip_stream();
    let many: Vec<(String, String)> = (0..20).map(|n| (format!("x-{n}"), n.to_string())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let stream = client.request("GET", "/", &many);
    assert_eq!(client.answer(stream).status, 431);
    let stream = client.request("GET", "/", &many[..19]);
    assert_eq!(client.answer(stream).status, 200);
    wait_until("they are logged", || log_lines(&line.rosn).len() == 4);
    let logged = log_lines(&line.rosn);
    assert_eq!(logged.iter().filter(|line| line.contains(" 431 [DPE] ")).count(), 2, "{logged:?}");
    assert_eq!(line.metric("connection_total"), 1.0, "the connection is sound");
}

/// In pieces, since a frame has 16 KiB at most.
fn send_head(client: &mut Http2, stream: u32, fields: &[(&str, &str)]) {
    use rosn_tests::http2::{END_HEADERS, END_STREAM, hpack, kind};
    let block = hpack::encode(fields);
    let mut pieces = block.chunks(16_000).peekable();
    let first = pieces.next().unwrap();
    let flag = |is_last: bool| if is_last { END_HEADERS } else { 0 };
    client.frame(kind::HEADERS, END_STREAM | flag(pieces.peek().is_none()), stream, first);
    while let Some(piece) = pieces.next() {
        client.frame(kind::CONTINUATION, flag(pieces.peek().is_none()), stream, piece);
    }
}

#[test]
fn a_head_that_is_larger_by_far_is_answered_or_ends_the_connection() {
    let line = limited();
    let value = "x".repeat(15_000);
    for (count, expected) in [(3, Some(431)), (6, Some(431)), (40, None)] {
        let names: Vec<String> = (0..count).map(|n| format!("x-{n}")).collect();
        let mut fields = head("GET", "/").to_vec();
        fields.extend(names.iter().map(|name| (name.as_str(), value.as_str())));
        let mut client = line.client();
        send_head(&mut client, 1, &fields);
        match expected {
            Some(status) => {
                assert_eq!(client.answer(1).status, status, "{count}");
                let stream = 3;
                send_head(&mut client, stream, &head("GET", "/"));
                assert_eq!(client.answer(stream).status, 200, "the connection is sound");
            }
            None => {
                let (_, why) = client.end().unwrap_or_default();
                assert_eq!(why, code::ENHANCE_YOUR_CALM);
                wait_until("it is counted", || line.metric("http2_flood_total") == 1.0);
            }
        }
    }
    assert!(line.origin.requests() <= 2);
    line.rosn.settled();
}

#[test]
fn streams_beyond_the_limit_are_refused() {
    let (release, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let origin = Origin::http(move |_| {
        let _ = held.lock().unwrap().recv();
        ok("served")
    });
    let line = Line::with(origin, json!({ "max_concurrent_streams": 3 }));
    let mut client = line.client();
    while client.settings.is_empty() {
        client.step();
    }
    assert_eq!(client.settings.get(&3), Some(&3), "SETTINGS_MAX_CONCURRENT_STREAMS");
    let taken: Vec<u32> = (0..3).map(|_| client.request("GET", "/", &[])).collect();
    let refused = client.request("GET", "/", &[]);
    assert_eq!(client.answer(refused).reset, Some(code::REFUSED_STREAM));
    for _ in 0..3 {
        release.send(()).unwrap();
    }
    for stream in taken {
        assert_eq!(client.answer(stream).status, 200);
    }
    release.send(()).unwrap();
    assert_eq!(client.get("/").status, 200);
    drop((client, release));
    line.rosn.settled();
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let line = Line::changed(Origin::http(|_| ok("served")), json!({}), |config| {
        let listener = &mut config["servers"][0]["listeners"][0];
        let proxy = &mut listener["filter_chains"][0]["filters"][0]["config"];
        proxy["extend_config"]["max_request_body_size"] = json!(10);
    });
    let mut client = line.client();
    let stream = client.begin("POST", "/", &[("content-length", "11")]);
    assert_eq!(client.answer(stream).status, 413);
    let stream = client.begin("POST", "/", &[]);
    client.data(stream, b"eleven byte", false);
    assert_eq!(client.answer(stream).status, 413);
    let stream = client.begin("POST", "/", &[]);
    client.data(stream, b"ten bytes.", true);
    assert_eq!(client.answer(stream).status, 200);
}
