//! Which response heads are accepted, and what body they announce.

use rosn_h1::FieldError::*;
use rosn_h1::ResponseError::*;
use rosn_h1::{Framing, Limits, Method, Name, Progress, ResponseError, ResponseHead};

fn parse(text: &str, method: Method) -> Result<ResponseHead, ResponseError> {
    let mut head = ResponseHead::default();
    match head.parse(text.as_bytes(), &Limits::default(), method)? {
        Progress::Complete(length) => assert_eq!(length, text.len(), "{text:?}"),
        Progress::Partial => panic!("{text:?} is complete"),
    }
    Ok(head)
}

#[rustfmt::skip]
const REFUSED: &[(&str, ResponseError, &str)] = &[
    ("\u{15}\u{3}\u{3}\0\u{2}\u{2}\u{28}", Version, "9112 2.3"),
    ("<html>", Version, "9112 2.3"),
    ("\r\nHTTP/1.1 200 OK\r\n\r\n", Version, "9112 4"),
    ("HTTP/2.0 200 OK\r\n\r\n", Version, "9112 2.3"),
    ("HTTP/1.2 200 OK\r\n\r\n", Version, "9112 2.3"),
    ("http/1.1 200 OK\r\n\r\n", Version, "9112 2.3"),
    ("ICY 200 OK\r\n\r\n", Version, "9112 2.3"),
    ("HTTP/1.1 20 OK\r\n\r\n", StatusLine, "9112 4"),
    ("HTTP/1.1 2000 OK\r\n\r\n", StatusLine, "9112 4"),
    ("HTTP/1.1 099 OK\r\n\r\n", StatusLine, "9110 15"),
    ("HTTP/1.1 +20 OK\r\n\r\n", StatusLine, "9112 4"),
    ("HTTP/1.1  200 OK\r\n\r\n", StatusLine, "9112 4"),
    ("HTTP/1.1 200\tOK\r\n\r\n", StatusLine, "9112 4"),
    ("HTTP/1.1\r\n\r\n", StatusLine, "9112 4"),
    ("HTTP/1.1 200 O\0K\r\n\r\n", Field(Control), "9112 4"),
    ("HTTP/1.1 200 OK\n\n", Field(BareLf), "9112 2.2"),
    ("HTTP/1.1 200 OK\rA: b\r\n\r\n", Field(BareCr), "9112 2.2"),
    ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", Field(SpaceBeforeColon), "9112 5.1"),
    ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", Field(Folded), "9112 5.2"),
    ("HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n", Field(Control), "9110 5.5"),
    ("HTTP/1.1 200 OK\r\nA\r\n\r\n", Field(Name), "9112 5"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", Field(RepeatedContentLength), "9112 6.3"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", Field(RepeatedContentLength), "9110 8.6"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n", Field(ContentLength), "9110 8.6"),
    ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Field(ContentLength), "9110 8.6"),
    ("HTTP/1.1 304 OK\r\nContent-Length: x\r\n\r\n", Field(ContentLength), "9110 8.6"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", Field(BothLengths), "9112 6.1"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Field(TransferEncoding), "9112 6.3"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Field(UnsupportedCoding), "9112 6.1"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", Field(RepeatedTransferEncoding), "9112 6.3"),
    ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Field(TransferEncodingInHttp10), "9112 6.1"),
    ("HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", Content, "9112 6.1"),
    ("HTTP/1.1 204 No\r\nContent-Length: 1\r\n\r\n", Content, "9110 8.6"),
    ("HTTP/1.1 101 Up\r\nContent-Length: 1\r\n\r\n", Content, "9110 8.6"),
    ("HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 1\r\n\r\n", Field(Nominated), "9110 7.6.1"),
];

#[test]
fn a_broken_response_is_refused() {
    for (text, error, section) in REFUSED {
        assert_eq!(parse(text, Method::Get).err(), Some(*error), "{section}: {text:?}");
        assert!(error.to_string().contains("(RFC "), "{error:?}");
    }
}

#[test]
fn the_framing_follows_rfc_9112_section_6_3() {
    use Framing::{Chunked, Length, None, UntilClose};
    use Method::{Connect, Get, Head, Post};
    let length = "Content-Length: 5\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    #[rustfmt::skip]
    let rows = [
        (Get, "1.1 200", "", UntilClose, false),
        (Get, "1.1 200", length, Length(5), true),
        (Get, "1.1 200", "Content-Length: 0\r\n", Length(0), true),
        (Post, "1.1 500", chunked, Chunked, true),
        (Get, "1.1 200", "Transfer-Encoding: chunked\r\nConnection: close\r\n", Chunked, false),
        (Get, "1.0 200", "", UntilClose, false),
        (Get, "1.0 200", length, Length(5), false),
        (Get, "1.0 200", "Content-Length: 5\r\nConnection: Keep-Alive\r\n", Length(5), true),
        (Get, "1.0 200", "Connection: keep-alive\r\n", UntilClose, false),
        (Head, "1.1 200", length, None, true),
        (Head, "1.1 200", chunked, None, true),
        (Head, "1.1 200", "", None, true),
        (Get, "1.1 304", length, None, true),
        (Get, "1.1 304", chunked, None, true),
        (Get, "1.1 204", "", None, true),
        (Get, "1.1 204", "Content-Length: 0\r\n", None, true),
        (Get, "1.1 100", "", None, true),
        (Get, "1.1 103", "Link: a\r\n", None, true),
        (Get, "1.1 101", "Upgrade: a\r\nConnection: upgrade\r\n", None, false),
        (Get, "1.1 205", "", UntilClose, false),
        (Connect, "1.1 200", "", None, true),
        (Connect, "1.1 200", length, None, true),
        (Connect, "1.1 200", chunked, None, true),
        (Connect, "1.1 407", length, Length(5), true),
        (Get, "1.1 999", length, Length(5), true),
    ];
    for (method, start, fields, framing, keep_alive) in rows {
        let text = format!("HTTP/{start} x\r\n{fields}\r\n");
        let head = parse(&text, method).expect("it is valid");
        assert_eq!(head.framing(), framing, "{method:?} {text:?}");
        assert_eq!(head.keep_alive(), keep_alive, "{method:?} {text:?}");
        assert_eq!(head.is_interim(), matches!(head.status(), 100 | 103), "{text:?}");
    }
}

#[test]
fn a_response_without_content_passes_no_length_on() {
    let text = "HTTP/1.1 204 No\r\nContent-Length: 0\r\nA: b\r\n\r\n";
    let head = parse(text, Method::Get).expect("it is valid");
    assert!(head.find(Name::ContentLength).is_some_and(|field| field.hop));
    // But what GET would have brought is said in a response to HEAD.
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
    let head = parse(text, Method::Head).expect("it is valid");
    assert!(head.find(Name::ContentLength).is_some_and(|field| !field.hop));
}

#[test]
fn status_lines() {
    let reason = |text: &str| {
        let head = parse(text, Method::Get).expect("it is valid");
        assert_eq!(head.status(), 200);
        String::from_utf8_lossy(head.reason().of(text.as_bytes())).into_owned()
    };
    assert_eq!(reason("HTTP/1.1 200 OK\r\n\r\n"), "OK");
    assert_eq!(reason("HTTP/1.1 200 Not so  \tbad \r\n\r\n"), "Not so  \tbad ");
    assert_eq!(reason("HTTP/1.1 200 \r\n\r\n"), "");
    assert_eq!(reason("HTTP/1.1 200\r\n\r\n"), "");
    assert_eq!(reason("HTTP/1.0 200 Schön\r\n\r\n"), "Schön");
}

#[test]
fn limits() {
    let limits = Limits { head_bytes: 64, request_line: 20, fields: 1, ..Limits::default() };
    let parse = |text: &str| ResponseHead::default().parse(text.as_bytes(), &limits, Method::Get);
    assert_eq!(parse("HTTP/1.1 200 aaaaaaa\r\n\r\n"), Ok(Progress::Complete(24)));
    assert_eq!(parse("HTTP/1.1 200 aaaaaaaa\r\n\r\n"), Err(LongStatusLine));
    assert_eq!(parse("HTTP/1.1 200 \r\nA: 1\r\nB: 1\r\n\r\n"), Err(Field(TooMany)));
    assert_eq!(parse(&format!("HTTP/1.1 200 \r\nA: {}", "a".repeat(60))), Err(Field(TooLarge)));
}
