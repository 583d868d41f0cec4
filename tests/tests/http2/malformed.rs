//! Requests that are malformed (RFC 9113 sections 8.1.1 to 8.5), and what must not be smuggled.

use rosn_tests::http2::{Http2, code};
use rosn_tests::origin::ok;

use super::Line;

type Head<'a> = &'a [(&'a str, &'a str)];

/// What a malformed request may be answered with.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Told {
    /// The stream is reset with PROTOCOL_ERROR.
    Reset,
    /// A status says so.
    Status(u16),
    /// The connection ends with PROTOCOL_ERROR.
    GoAway,
}

fn told(client: &mut Http2, head: Head<'_>) -> Told {
    let stream = client.open(head, true);
    let answer = client.answer(stream);
    match (answer.reset, answer.status) {
        (Some(code::PROTOCOL_ERROR), _) => Told::Reset,
        (None, status @ 1..) => Told::Status(status),
        _ if client.is_over => {
            assert_eq!(client.goaways.last().map(|(_, code)| *code), Some(code::PROTOCOL_ERROR));
            Told::GoAway
        }
        other => panic!("{head:?}: {other:?}"),
    }
}

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "http");
const HOST: (&str, &str) = (":authority", "a.example");
const PATH: (&str, &str) = (":path", "/");

#[test]
fn pseudo_headers_are_checked() {
    let line = Line::new(|_| ok("served"));
    let mut client = line.client();
    let cases: &[(Head<'_>, Told)] = &[
        (&[METHOD, SCHEME, HOST, PATH], Told::Status(200)),
        (&[PATH, HOST, SCHEME, METHOD], Told::Status(200)),
        (&[METHOD, SCHEME, PATH, ("host", "a.example")], Told::Status(200)),
        (&[METHOD, SCHEME, HOST, PATH, ("host", "A.EXAMPLE")], Told::Status(200)),
        (&[METHOD, SCHEME, HOST, PATH, ("host", "b.example")], Told::Status(400)),
        (
            &[METHOD, SCHEME, HOST, PATH, ("host", "a.example"), ("host", "a.example")],
            Told::Status(400),
        ),
        (&[METHOD, SCHEME, PATH], Told::Status(400)),
        (&[METHOD, SCHEME, (":authority", "user@a.example"), PATH], Told::Status(400)),
        (&[METHOD, SCHEME, (":authority", "user:pass@a.example"), PATH], Told::Status(400)),
        (&[METHOD, SCHEME, (":authority", ""), PATH], Told::Reset),
        (&[METHOD, SCHEME, (":authority", "a b"), PATH], Told::Reset),
        (&[METHOD, SCHEME, (":authority", "a/b"), PATH], Told::Reset),
        (&[METHOD, SCHEME, (":authority", "a,b"), PATH], Told::Status(400)),
        (&[METHOD, SCHEME, (":authority", "a:99999"), PATH], Told::Status(400)),
        (&[METHOD, HOST, PATH], Told::Reset),
        (&[METHOD, SCHEME, HOST], Told::Reset),
        (&[METHOD, SCHEME, HOST, (":path", "")], Told::Reset),
        (&[METHOD, SCHEME, HOST, (":path", "a")], Told::Reset),
        (&[METHOD, SCHEME, HOST, (":path", "*")], Told::Reset),
        (&[(":method", "OPTIONS"), SCHEME, HOST, (":path", "*")], Told::Status(404)),
        (&[METHOD, SCHEME, HOST, (":path", "http://b.example/")], Told::Reset),
        (&[METHOD, SCHEME, HOST, (":path", "//b.example/")], Told::Status(200)),
        (&[METHOD, SCHEME, HOST, (":path", "/\u{e9}")], Told::Status(400)),
        (&[SCHEME, HOST, PATH], Told::Reset),
        (&[METHOD, METHOD, SCHEME, HOST, PATH], Told::Reset),
        (&[METHOD, SCHEME, HOST, PATH, PATH], Told::Reset),
        (&[METHOD, SCHEME, HOST, PATH, (":status", "200")], Told::Reset),
        (&[METHOD, SCHEME, HOST, ("x", "y"), PATH], Told::Reset),
        (&[METHOD, SCHEME, HOST, PATH, (":protocol", "websocket")], Told::Reset),
        (&[(":method", "CONNECT"), SCHEME, HOST, PATH], Told::Reset),
        (&[(":method", "CONNECT"), (":authority", "a.example")], Told::Status(400)),
        (&[(":method", "CONNECT")], Told::Status(400)),
    ];
    for (head, expected) in cases {
        assert_eq!(told(&mut client, head), *expected, "{head:?}");
    }
    assert_eq!(client.get("/").status, 200, "the connection is sound");
    assert_eq!(line.metric("connection_total"), 1.0);
}

#[test]
fn fields_are_checked() {
    let line = Line::new(|_| ok("served"));
    let mut client = line.client();
    for (name, value, expected) in [
        ("x", "plain", Told::Status(200)),
        ("te", "trailers", Told::Status(200)),
        ("te", "gzip", Told::Reset),
        ("te", "trailers, gzip", Told::Reset),
        ("connection", "close", Told::Reset),
        ("connection", "x", Told::Reset),
        ("keep-alive", "1", Told::Reset),
        ("proxy-connection", "close", Told::Reset),
        ("transfer-encoding", "chunked", Told::Reset),
        ("upgrade", "h2c", Told::Reset),
        ("x", " leading", Told::Reset),
        ("x", "trailing ", Told::Reset),
        ("x", "\ttab", Told::Reset),
        ("x", "in\tside", Told::Status(200)),
        ("content-length", "x", Told::Reset),
        ("content-length", "1", Told::Reset),
        ("content-length", "+0", Told::Reset),
        ("content-length", "0, 0", Told::Reset),
        ("content-length", "99999999999999999999", Told::Reset),
        ("content-length", "0", Told::Status(200)),
    ] {
        let head = [METHOD, SCHEME, HOST, PATH, (name, value)];
        assert_eq!(told(&mut client, &head), expected, "{name}: {value}");
    }
    let twice = [METHOD, SCHEME, HOST, PATH, ("content-length", "0"), ("content-length", "1")];
    assert_eq!(told(&mut client, &twice), Told::Reset);
    assert_eq!(client.get("/").status, 200, "the connection is sound");
}

/// Bytes that would end a line, a field or a request of HTTP/1.1. Nothing of them reaches an origin.
#[test]
fn nothing_is_smuggled_into_text() {
    let line = Line::new(|_| ok("served"));
    let smuggled =
        "a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n";
    let pieces = ["\r\n", "\n", "\r", "\0", "a\r\nx: y", "a\nb", "a\0b", "\u{7f}", smuggled];
    let mut sent = 0;
    for piece in pieces {
        for head in [
            &[METHOD, SCHEME, HOST, PATH, ("x", piece)][..],
            &[METHOD, SCHEME, HOST, PATH, (piece, "x")],
            &[METHOD, SCHEME, HOST, (":path", &format!("/{piece}"))],
            &[METHOD, SCHEME, (":authority", &format!("a{piece}")), PATH],
            &[METHOD, (":scheme", piece), HOST, PATH],
            &[(":method", &format!("GET{piece}")), SCHEME, HOST, PATH],
            &[METHOD, SCHEME, HOST, PATH, ("cookie", "a"), ("cookie", piece)],
            &[METHOD, SCHEME, HOST, PATH, ("host", piece)],
            &[(":method", "CONNECT"), (":protocol", piece), SCHEME, HOST, PATH],
        ] {
            // Some of these end the connection, since HPACK is read before a stream is known.
            let mut client = line.client();
            let answer = told(&mut client, head);
            assert_ne!(answer, Told::Status(200), "{head:?}");
            sent += 1;
        }
    }
    // Names that would be another field, or none.
    for name in ["X-Upper", "a b", "a:b", "", ":x", "content-length ", "a\u{e9}"] {
        let mut client = line.client();
        let stream = client.open(&[METHOD, SCHEME, HOST, PATH, (name, "x")], true);
        let answer = client.answer(stream);
        assert!(answer.reset.is_some() || client.is_over, "{name}: {answer:?}");
        sent += 1;
    }
    assert_eq!(line.origin.requests(), 0, "of {sent}");
    assert_eq!(line.client().get("/").status, 200);
    line.rosn.settled();
}

/// Trailers are fields as well.
#[test]
fn trailers_are_checked() {
    let line = Line::new(|request| ok(&format!("{:?}", request.trailers)));
    for fields in [
        &[("connection", "close")][..],
        &[("transfer-encoding", "chunked")],
        &[("x", "a\r\nb: c")],
        &[("x", "a\0")],
        &[("X", "upper")],
    ] {
        let mut client = line.client();
        let stream = client.begin("POST", "/", &[]);
        client.data(stream, b"body", false);
        client.trailers(stream, fields);
        let answer = client.answer(stream);
        assert!(answer.reset.is_some() || client.is_over, "{fields:?}: {answer:?}");
        assert_ne!(answer.status, 200);
    }
    // What would be framing or routing in a head is dropped; so are pseudo-headers, which are malformed (section 8.1),
    // but not shown to us by h2.
    let mut client = line.client();
    let stream = client.begin("POST", "/", &[("trailer", "x")]);
    client
        .trailers(stream, &[(":path", "/"), ("content-length", "5"), ("host", "b"), ("x", "kept")]);
    let answer = client.answer(stream);
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"[("x", "kept")]"#));
}
