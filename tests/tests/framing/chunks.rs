//! Rows about chunked request bodies.

use rosn_tests::probe::Seen;

use crate::requests::{Expect, Probe, check, post};

pub(crate) fn rows() -> Vec<Probe> {
    [sizes(), extensions(), data(), trailers(), accepted()].concat()
}

#[test]
fn chunks() {
    check(&rows());
}

/// A chunked body that is broken, which shows only after the head has been passed on.
fn broken(name: &'static str, rfc: &'static str, body: impl AsRef<[u8]>) -> Probe {
    let bytes = post("Transfer-Encoding: chunked\r\n", body);
    Probe { name, rfc, bytes, expect: Expect::BrokenOff(400) }
}

fn sizes() -> Vec<Probe> {
    const SIZE: &str = "9112 7.1";
    let size = |name, size: &[u8]| broken(name, SIZE, [size, b"\r\nhello\r\n0\r\n\r\n"].concat());
    vec![
        size("size with 0x", b"0x5"),
        size("size with plus", b"+5"),
        size("size with minus", b"-5"),
        size("size empty", b""),
        size("size of another letter", b"g"),
        size("size with a space before", b" 5"),
        size("size with a space after", b"5 "),
        size("size with a tab after", b"5\t"),
        size("size with a point", b"5.0"),
        size("size with an underscore", b"0_5"),
        size("size with a comma", b"5,5"),
        size("size with NUL", b"5\0"),
        size("size quoted", b"\"5\""),
        size("size over 2^63", b"8000000000000005"),
        size("size over 2^64", b"10000000000000005"),
        size("size that is 5 after an overflow of 32 bits", b"fffffffff00000005"),
        size("size of many zeros", &[b'0'; 5000]),
        size("size in Arabic digits", "\u{665}".as_bytes()),
        broken("size ends in LF", SIZE, "5\nhello\r\n0\r\n\r\n"),
        broken("size ends in CR", SIZE, "5\rhello\r\n0\r\n\r\n"),
        broken("size ends in CR CR LF", SIZE, "5\r\r\nhello\r\n0\r\n\r\n"),
        broken("empty line before the size", SIZE, "\r\n5\r\nhello\r\n0\r\n\r\n"),
        broken("last chunk ends in LF", SIZE, "0\n\n"),
        broken("last chunk is negative", SIZE, "5\r\nhello\r\n-0\r\n\r\n"),
    ]
}

fn extensions() -> Vec<Probe> {
    let extension = |name, extension: &[u8]| {
        broken(name, "9112 7.1.1", [b"5", extension, b"\r\nhello\r\n0\r\n\r\n"].concat())
    };
    vec![
        extension("extension with LF", b";a=b\nX"),
        extension("extension that is LF", b";\n"),
        extension("extension with CR", b";a=b\rX"),
        extension("extension with NUL", b";a=\0"),
        extension("extension empty", b";"),
        extension("extension without a name", b";=b"),
        extension("extension without a value", b";a="),
        extension("extension with a quote that does not end", b";a=\"b"),
        extension("extension with LF in quotes", b";a=\"b\nc\""),
        extension("extension with something behind the quotes", b";a=\"b\"c"),
        extension("extension with a byte over 127", b";a=\xff"),
        extension("extension too long", format!(";a={}", "b".repeat(5000)).as_bytes()),
        broken(
            "extensions too long in all",
            "9112 7.1.1",
            "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=b\r\nx\r\n".repeat(4000),
        ),
    ]
}

fn data() -> Vec<Probe> {
    let data = |name, body: &str| broken(name, "9112 7.1", body);
    vec![
        data("data longer than its size", "4\r\nhello\r\n0\r\n\r\n"),
        data("data shorter than its size", "6\r\nhello\r\n0\r\n\r\n"),
        data("data ends in LF", "5\r\nhello\n0\r\n\r\n"),
        data("data ends in CR", "5\r\nhello\r0\r\n\r\n"),
        data("data without an end", "5\r\nhello0\r\n\r\n"),
        data("data ends in two bytes", "5\r\nhelloXX0\r\n\r\n"),
    ]
}

fn trailers() -> Vec<Probe> {
    let trailer = |name, rfc, lines: &[u8]| {
        broken(name, rfc, [b"5\r\nhello\r\n0\r\n", lines, b"\r\n"].concat())
    };
    vec![
        trailer("trailer without a colon", "9112 7.1.2", b"X\r\n"),
        trailer("trailer without a name", "9110 5.1", b": x\r\n"),
        trailer("trailer with a space before the colon", "9112 5.1", b"X : y\r\n"),
        trailer("trailer that ends in LF", "9112 2.2", b"X: y\n"),
        trailer("trailer with CR", "9112 2.2", b"X: a\rb\r\n"),
        trailer("trailer with NUL", "9110 5.5", b"X: a\0b\r\n"),
        trailer("trailer folded", "9112 5.2", b"X: a\r\n b\r\n"),
        trailer("trailer that is a request", "9112 7.1.2", b"GET /smuggled HTTP/1.1\r\n"),
        trailer(
            "trailer too long",
            "9112 7.1.2",
            format!("X: {}\r\n", "a".repeat(20_000)).as_bytes(),
        ),
        trailer("too many trailers", "9112 7.1.2", "X: y\r\n".repeat(101).as_bytes()),
        broken("end of trailers is LF", "9112 7.1.2", "0\r\n\n"),
        broken("end of trailers is CR", "9112 7.1.2", "0\r\n\rX"),
    ]
}

/// What is well-formed, though odd, reaches the origin in the plainest form.
fn accepted() -> Vec<Probe> {
    let passes = |name, rfc, fields: &str, bytes: &str, (body, trailers): (&str, &str)| {
        let kept = if fields.starts_with("Trailer") { fields } else { "" };
        let seen = Seen {
            head: format!("POST / HTTP/1.1\r\nHost: a\r\n{kept}Transfer-Encoding: chunked"),
            body: body.into(),
            trailers: trailers.into(),
            fault: None,
        };
        let bytes = post(format!("{fields}Transfer-Encoding: chunked\r\n"), bytes);
        Probe { name, rfc, bytes, expect: Expect::Passes(seen) }
    };
    const ALL: &str = "9112 7.1";
    const TRAILERS: &str = "9110 6.5.1";
    let drops = |name, line: &str| {
        let bytes = format!("0\r\nX-A: 1\r\n{line}\r\nX-B: 2\r\n\r\n");
        passes(name, TRAILERS, "", &bytes, ("", "X-A: 1\r\nX-B: 2\r\n"))
    };
    vec![
        passes("no data", ALL, "", "0\r\n\r\n", ("", "")),
        passes("zeros before the size", ALL, "", "0005\r\nhello\r\n000\r\n\r\n", ("hello", "")),
        passes(
            "capital digits",
            ALL,
            "",
            "A\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n",
            ("01234567890123456789a", ""),
        ),
        passes(
            "a chunk for each byte",
            ALL,
            "",
            "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n",
            ("abc", ""),
        ),
        passes(
            "data that looks like a chunk",
            ALL,
            "",
            "5\r\n0\r\n\r\n\r\n0\r\n\r\n",
            ("0\r\n\r\n", ""),
        ),
        passes(
            "extensions",
            "9112 7.1.1",
            "",
            "5;a;b=c;d=\"e;\\\"f\" ; g\r\nhello\r\n0;x=y\r\n\r\n",
            ("hello", ""),
        ),
        passes(
            "trailers",
            "9112 7.1.2",
            "Trailer: X-Sum\r\n",
            "2\r\nhi\r\n0\r\nX-Sum: 1\r\nx-sum:2\r\n\r\n",
            ("hi", "X-Sum: 1\r\nx-sum:2\r\n"),
        ),
        drops("trailer Content-Length", "Content-Length: 5"),
        drops("trailer Transfer-Encoding", "transfer-encoding: chunked"),
        drops("trailer Host", "HOST: evil"),
        drops("trailer Authorization", "Authorization: Basic eDp5"),
        drops("trailer Cookie", "Cookie: a=b"),
        drops("trailer Connection", "Connection: close"),
        drops("trailer of a forwarded address", "X-Forwarded-For: 127.0.0.1"),
        drops("trailer Content-Type", "Content-Type: text/html"),
    ]
}
