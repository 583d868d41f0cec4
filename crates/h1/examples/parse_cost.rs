//! What parsing a typical head costs: `cargo run --release -p rosn-h1 --example parse_cost`.
//!
//! Prints nanoseconds for each parse, strictness included, beside those of httparse alone, which
//! leaves framing, Host and hop-by-hop fields to its caller. That nothing is allocated is a test.

use std::hint::black_box;
use std::time::Instant;

use rosn_h1::{Limits, Method, Progress, RequestHead, ResponseHead};

const REQUEST: &[u8] = b"GET /api/v1/items/42?fields=name,price HTTP/1.1\r\n\
    Host: shop.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: application/json, text/plain, */*\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Cookie: session=0123456789abcdef; theme=dark\r\n\
    Connection: keep-alive\r\n\r\n";

const SHORT_REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:2045\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: nginx/1.26.0\r\n\
    Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
    Content-Type: application/json\r\n\
    Content-Length: 1024\r\n\
    Connection: keep-alive\r\n\
    ETag: \"5e1-400\"\r\n\r\n";

fn main() {
    let limits = Limits::default();
    let mut request = RequestHead::default();
    for (name, bytes) in [("request, 6 fields", REQUEST), ("request, 1 field", SHORT_REQUEST)] {
        let ours = nanoseconds(|| {
            request.reset();
            let progress = request.parse(black_box(bytes), &limits);
            assert_eq!(progress, Ok(Progress::Complete(bytes.len())));
            black_box(&request);
        });
        let theirs = nanoseconds(|| {
            let mut fields = [httparse::EMPTY_HEADER; 16];
            let mut head = httparse::Request::new(&mut fields);
            black_box(head.parse(black_box(bytes)).is_ok());
        });
        println!("{name:<20} {ours:6.1} ns   httparse {theirs:6.1} ns");
    }
    let mut response = ResponseHead::default();
    let ours = nanoseconds(|| {
        response.reset();
        let progress = response.parse(black_box(RESPONSE), &limits, Method::Get);
        assert_eq!(progress, Ok(Progress::Complete(RESPONSE.len())));
        black_box(&response);
    });
    println!("{:<20} {ours:6.1} ns", "response, 6 fields");
}

/// The best of many short rounds: what the code costs when nothing interrupts it.
fn nanoseconds(mut call: impl FnMut()) -> f64 {
    let calls = 2_000;
    let mut best = f64::MAX;
    for _ in 0..2_000 {
        let start = Instant::now();
        for _ in 0..calls {
            call();
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(calls));
    }
    best
}
