//! Which request heads are accepted, and how the others are refused, by section.

use rosn_h1::FieldError::*;
use rosn_h1::RequestError::*;
use rosn_h1::{Framing, Limits, Method, Progress, RequestError, RequestHead, Version};

fn parse(bytes: &[u8]) -> Result<(RequestHead, Progress), RequestError> {
    let mut head = RequestHead::default();
    let progress = head.parse(bytes, &Limits::default())?;
    Ok((head, progress))
}

fn complete(bytes: &[u8]) -> RequestHead {
    let text = String::from_utf8_lossy(bytes);
    match parse(bytes) {
        Ok((head, Progress::Complete(length))) => {
            assert_eq!(length, bytes.len(), "{text:?}");
            head
        }
        other => panic!("{text:?}: {other:?}"),
    }
}

/// Probes of framing and smuggling: the bytes, the status they are refused with, the error, and
/// the section that decides.
#[rustfmt::skip]
const REFUSED: &[(&[u8], u16, RequestError, &str)] = &[
    // Lines.
    (b"GET / HTTP/1.1\nHost: x\n\n", 400, Field(BareLf), "9112 2.2"),
    (b"GET / HTTP/1.1\r\nHost: x\n\r\n", 400, Field(BareLf), "9112 2.2"),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\n", 400, Field(BareLf), "9112 2.2"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\nTransfer-Encoding: chunked\r\n\r\n", 400, Field(BareLf), "9112 2.2"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\rTransfer-Encoding: chunked\r\n\r\n", 400, Field(BareCr), "9112 2.2"),
    (b"GET / HTTP/1.1\r\nHost: x\r\r\n\r\n", 400, Field(BareCr), "9112 2.2"),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\r\n", 400, Field(BareCr), "9112 2.2"),
    (b"GET / HTTP/1.1\rHost: x\r\n\r\n", 400, Field(BareCr), "9112 2.2"),
    (b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, BeforeRequestLine, "9112 2.2"),
    (b"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, BeforeRequestLine, "9112 2.2"),
    (b" GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, BeforeRequestLine, "9112 2.2"),
    (b"\r\n GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, BeforeRequestLine, "9112 2.2"),
    (b"GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400, Field(Folded), "9112 2.2"),
    (b"GET / HTTP/1.1\r\n\tHost: x\r\n\r\n", 400, Field(Folded), "9112 2.2"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400, Field(Folded), "9112 5.2"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", 400, Field(Folded), "9112 5.2"),
    // Request line.
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, Method, "9110 9.1"),
    (b"G\xc3\x89T / HTTP/1.1\r\nHost: x\r\n\r\n", 400, Method, "9110 9.1"),
    (b"GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n", 400, Method, "9112 3"),
    (b"GET\r\n\r\n", 400, Method, "9112 3"),
    (b"GET:/ HTTP/1.1\r\n\r\n", 400, Method, "9110 9.1"),
    (b"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLM / HTTP/1.1\r\n", 501, LongMethod, "9112 3"),
    (b"GET /\r\nHost: x\r\n\r\n", 400, RequestLine, "9112 3"),
    (b"GET / \r\nHost: x\r\n\r\n", 400, Version, "9112 2.3"),
    (b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400, Version, "9112 2.3"),
    (b"GET / http/1.1\r\nHost: x\r\n\r\n", 400, Version, "9112 2.3"),
    (b"GET / HTTP/1\r\nHost: x\r\n\r\n", 400, Version, "9112 2.3"),
    (b"GET / HTTP/1.10\r\nHost: x\r\n\r\n", 400, Version, "9112 2.3"),
    (b"GET / HTTP/01.1\r\nHost: x\r\n\r\n", 400, Version, "9112 2.3"),
    (b"GET / HTTP/1.1\tx\r\nHost: x\r\n\r\n", 400, Version, "9112 2.3"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, UnsupportedVersion, "9110 15.6.6"),
    (b"GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505, UnsupportedVersion, "9110 15.6.6"),
    (b"GET / HTTP/0.9\r\nHost: x\r\n\r\n", 505, UnsupportedVersion, "9110 15.6.6"),
    // Target.
    (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400, Target, "9112 3.2"),
    (b"GET /  HTTP/1.1\r\nHost: x\r\n\r\n", 400, Target, "9112 3.2"),
    (b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400, Target, "9112 3.2"),
    (b"GET / HTTP/1.1 HTTP/1.1\r\nHost: x\r\n\r\n", 400, Target, "9112 3.2"),
    (b"GET  HTTP/1.1\r\nHost: x\r\n\r\n", 400, Target, "9112 3.2"),
    (b"GET /a\tb HTTP/1.1\r\nHost: x\r\n\r\n", 400, Target, "9112 3.2"),
    (b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", 400, Target, "9112 3.2"),
    (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n", 400, Target, "9112 3.2"),
    (b"GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n", 400, Field(Control), "9112 3.2"),
    (b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", 400, Field(Control), "9112 3.2"),
    (b"GET a HTTP/1.1\r\nHost: x\r\n\r\n", 400, Target, "9112 3.2.1"),
    (b"GET x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400, Target, "9112 3.2.3"),
    (b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400, AsteriskForm, "9112 3.2.4"),
    (b"OPTIONS ** HTTP/1.1\r\nHost: x\r\n\r\n", 400, Target, "9112 3.2.4"),
    (b"GET http://u@x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400, AbsoluteForm, "9110 4.2.4"),
    (b"GET http://u:p@x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400, AbsoluteForm, "9110 4.2.4"),
    (b"GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400, AbsoluteForm, "9112 3.2.2"),
    (b"GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n", 400, AbsoluteForm, "9110 4.2.1"),
    (b"GET http://x?a HTTP/1.1\r\nHost: x\r\n\r\n", 400, AbsoluteForm, "9112 3.2.2"),
    (b"GET http:/x HTTP/1.1\r\nHost: x\r\n\r\n", 400, Target, "9112 3.2.2"),
    (b"GET http://x:y/ HTTP/1.1\r\nHost: x\r\n\r\n", 400, AbsoluteForm, "9112 3.2.2"),
    (b"CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n", 400, AuthorityForm, "9112 3.2.3"),
    (b"CONNECT x HTTP/1.1\r\nHost: x\r\n\r\n", 400, AuthorityForm, "9112 3.2.3"),
    (b"CONNECT x: HTTP/1.1\r\nHost: x\r\n\r\n", 400, AuthorityForm, "9112 3.2.3"),
    (b"CONNECT http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400, AuthorityForm, "9112 3.2.3"),
    // Host.
    (b"GET / HTTP/1.1\r\n\r\n", 400, MissingHost, "9112 3.2"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400, RepeatedHost, "9112 3.2"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nhOST: y\r\n\r\n", 400, RepeatedHost, "9112 3.2"),
    (b"GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", 400, RepeatedHost, "9112 3.2"),
    (b"GET / HTTP/1.1\r\nHost: x, y\r\n\r\n", 400, Host, "9112 3.2"),
    (b"GET / HTTP/1.1\r\nHost: x,y\r\n\r\n", 400, Host, "9112 3.2"),
    (b"GET / HTTP/1.1\r\nHost: u@x\r\n\r\n", 400, Host, "9112 3.2"),
    (b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400, Host, "9112 3.2"),
    (b"GET / HTTP/1.1\r\nHost: x y\r\n\r\n", 400, Host, "9112 3.2"),
    (b"GET / HTTP/1.1\r\nHost: x:\x20 80\r\n\r\n", 400, Host, "9112 3.2"),
    (b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400, Host, "9112 3.2"),
    (b"GET / HTTP/1.1\r\nHost: x:65536\r\n\r\n", 400, Host, "9112 3.2"),
    (b"GET / HTTP/1.1\r\nHost: x:8a\r\n\r\n", 400, Host, "9112 3.2"),
    (b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, Host, "9112 3.2"),
    (b"GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n", 400, Host, "9112 3.2"),
    (b"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400, Host, "9112 3.2"),
    (b"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", 400, Host, "9112 3.2"),
    (b"GET / HTTP/1.1\r\nHost: x%zz\r\n\r\n", 400, Host, "9112 3.2"),
    (b"GET / HTTP/1.1\r\nHost: x%4\r\n\r\n", 400, Host, "9112 3.2"),
    (b"GET / HTTP/1.1\r\nHost: caf\xc3\xa9\r\n\r\n", 400, Host, "9112 3.2"),
    (b"GET http://y/ HTTP/1.1\r\nHost: u@x\r\n\r\n", 400, Host, "9112 3.2"),
    // Fields.
    (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400, Field(SpaceBeforeColon), "9112 5.1"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length\t: 5\r\n\r\n", 400, Field(SpaceBeforeColon), "9112 5.1"),
    (b"GET / HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n", 400, Field(Name), "9110 5.1"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA\r\n\r\n", 400, Field(Name), "9112 5"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n", 400, Field(Name), "9110 5.1"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA(: c\r\n\r\n", 400, Field(Name), "9110 5.1"),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\xc3\xa9: c\r\n\r\n", 400, Field(Name), "9110 5.1"),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\x01A: c\r\n\r\n", 400, Field(Control), "9110 5.1"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding\0: chunked\r\n\r\n", 400, Field(Control), "9110 5.1"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", 400, Field(Control), "9110 5.5"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x0bc\r\n\r\n", 400, Field(Control), "9110 5.5"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA: \x7f\r\n\r\n", 400, Field(Control), "9110 5.5"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Host\r\n\r\n", 400, Field(Nominated), "9110 7.6.1"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close, content-LENGTH\r\nContent-Length: 5\r\n\r\n", 400, Field(Nominated), "9110 7.6.1"),
    // Content-Length.
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400, Field(RepeatedContentLength), "9112 6.3"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 400, Field(RepeatedContentLength), "9110 8.6"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\n", 400, Field(ContentLength), "9110 8.6"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", 400, Field(ContentLength), "9110 8.6"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n", 400, Field(ContentLength), "9110 8.6"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400, Field(ContentLength), "9110 8.6"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5 5\r\n\r\n", 400, Field(ContentLength), "9110 8.6"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\n", 400, Field(ContentLength), "9110 8.6"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1e1\r\n\r\n", 400, Field(ContentLength), "9110 8.6"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5.0\r\n\r\n", 400, Field(ContentLength), "9110 8.6"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \"5\"\r\n\r\n", 400, Field(ContentLength), "9110 8.6"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551616\r\n\r\n", 400, Field(ContentLength), "9110 8.6"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9223372036854775808\r\n\r\n", 400, Field(ContentLength), "9110 8.6"),
    // Transfer-Encoding.
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400, Field(BothLengths), "9112 6.1"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", 400, Field(BothLengths), "9112 6.1"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n", 400, Field(BothLengths), "9112 6.1"),
    (b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 400, Field(TransferEncodingInHttp10), "9112 6.1"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400, Field(RepeatedTransferEncoding), "9112 6.3"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n", 400, Field(RepeatedTransferEncoding), "9112 6.3"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400, Field(TransferEncoding), "9112 6.1"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 400, Field(TransferEncoding), "9112 6.3"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400, Field(TransferEncoding), "9112 6.3"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n", 400, Field(TransferEncoding), "9112 6.3"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\r\n", 400, Field(TransferEncoding), "9112 6.3"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n", 400, Field(TransferEncoding), "9112 6.3"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", 400, Field(TransferEncoding), "9112 7"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: , chunked\r\n\r\n", 400, Field(TransferEncoding), "9112 6.3"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked,\r\n\r\n", 400, Field(TransferEncoding), "9112 6.3"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", 400, Field(TransferEncoding), "9112 6.3"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chun ked\r\n\r\n", 400, Field(TransferEncoding), "9112 6.3"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip chunked\r\n\r\n", 400, Field(TransferEncoding), "9112 6.3"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", 400, Field(Control), "9110 5.5"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\x0c\r\n\r\n", 400, Field(Control), "9110 5.5"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \xc2\xa0chunked\r\n\r\n", 400, Field(TransferEncoding), "9112 6.3"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, Field(UnsupportedCoding), "9112 6.1"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x;a=b, Chunked\r\n\r\n", 501, Field(UnsupportedCoding), "9112 6.1"),
    // Methods without content.
    (b"TRACE / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", 400, Content, "9110 9.3.8"),
    (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", 400, Content, "9110 9.3.6"),
    (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 400, Content, "9110 9.3.6"),
];

#[test]
fn what_two_parsers_could_read_differently_is_refused() {
    assert!(REFUSED.len() >= 60);
    for &(bytes, status, error, section) in REFUSED {
        let text = String::from_utf8_lossy(bytes);
        let outcome = parse(bytes).map(|(_, progress)| progress);
        assert_eq!(outcome, Err(error), "{section}: {text:?}");
        assert_eq!(error.status(), status, "{section}: {text:?}");
        assert!(error.reason().contains("(RFC "), "{error:?}");
        assert_eq!(error.to_string(), error.reason());
    }
}

/// Heads that are accepted, and their framing.
#[rustfmt::skip]
const ACCEPTED: &[(&[u8], Framing, &str)] = &[
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", Framing::None, "9112 3"),
    (b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", Framing::None, "9112 2.2"),
    (b"GET / HTTP/1.0\r\n\r\n", Framing::None, "9112 3.2"),
    (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", Framing::None, "9112 3.3"),
    (b"GET / HTTP/1.1\r\nHost:\t x \t\r\n\r\n", Framing::None, "9112 5.1"),
    (b"GET / HTTP/1.1\r\nhOsT:x\r\n\r\n", Framing::None, "9110 5.1"),
    (b"GET / HTTP/1.1\r\nHost: x:\r\n\r\n", Framing::None, "3986 3.2.3"),
    (b"GET / HTTP/1.1\r\nHost: a_b-c.d%41!:65535\r\n\r\n", Framing::None, "3986 3.2.2"),
    (b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", Framing::None, "3986 3.2.2"),
    (b"GET / HTTP/1.1\r\nHost: [::ffff:1.2.3.4]\r\n\r\n", Framing::None, "3986 3.2.2"),
    (b"GET /?a=b&c=|{}^`\\\"<> HTTP/1.1\r\nHost: x\r\n\r\n", Framing::None, "9112 3.2.1"),
    (b"GET //a/../b;c?//? HTTP/1.1\r\nHost: x\r\n\r\n", Framing::None, "9112 3.2.1"),
    (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", Framing::None, "9112 3.2.4"),
    (b"CONNECT [::1]:443 HTTP/1.1\r\nHost: y\r\nContent-Length: 0\r\n\r\n", Framing::Length(0), "9112 3.2.3"),
    (b"GET HTTPS://x:443 HTTP/1.1\r\nHost: y\r\n\r\n", Framing::None, "9112 3.2.2"),
    (b"get / HTTP/1.1\r\nHost: x\r\n\r\n", Framing::None, "9110 9.1"),
    (b"!#$%&'*+-.^_`|~09AZaz / HTTP/1.1\r\nHost: x\r\n\r\n", Framing::None, "9110 5.6.2"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA:\r\nB: \r\n!#$%&'*+-.^_`|~1: c\r\n\r\n", Framing::None, "9110 5.5"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA: \xff\xc3\xa9 b\tc\r\n\r\n", Framing::None, "9110 5.5"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", Framing::Length(5), "9112 6.2"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0005 \r\n\r\n", Framing::Length(5), "9110 8.6"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9223372036854775807\r\n\r\n", Framing::Length(i64::MAX as u64), "9110 8.6"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", Framing::Length(5), "9110 9.3.1"),
    (b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n", Framing::Length(5), "9112 6.2"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", Framing::Chunked, "9112 6.1"),
    (b"POST / HTTP/1.1\r\nHost: x\r\ntransfer-encoding:\tCHUNKED \r\n\r\n", Framing::Chunked, "9112 7"),
];

#[test]
fn what_the_grammar_allows_is_accepted() {
    for &(bytes, framing, section) in ACCEPTED {
        let head = complete(bytes);
        assert_eq!(head.framing(), framing, "{section}: {:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn targets_are_taken_apart() {
    type Row = (&'static [u8], &'static [u8], &'static [u8], &'static [u8], bool);
    let rows: &[Row] = &[
        (b"GET /a?b?c HTTP/1.1\r\nHost: x:1\r\n\r\n", b"x:1", b"/a", b"/a?b?c", false),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", b"", b"/", b"/", false),
        (b"GET /? HTTP/1.0\r\n\r\n", b"", b"/", b"/?", false),
        // RFC 9112 section 3.2.2: the target wins over Host.
        (b"GET http://y:2/a?b HTTP/1.1\r\nHost: x\r\n\r\n", b"y:2", b"/a", b"/a?b", true),
        (b"GET http://y HTTP/1.1\r\nHost: x\r\n\r\n", b"y", b"/", b"/", true),
        (
            b"GET http://y/a?http://z/ HTTP/1.1\r\nHost: x\r\n\r\n",
            b"y",
            b"/a",
            b"/a?http://z/",
            true,
        ),
        // RFC 9112 section 3.2.4.
        (b"OPTIONS http://y:2 HTTP/1.1\r\nHost: x\r\n\r\n", b"y:2", b"*", b"*", true),
        (b"OPTIONS http://y/ HTTP/1.1\r\nHost: x\r\n\r\n", b"y", b"/", b"/", true),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"x", b"*", b"*", false),
        (b"CONNECT y:2 HTTP/1.1\r\nHost: x\r\n\r\n", b"y:2", b"", b"", false),
    ];
    for &(bytes, authority, path, path_and_query, is_absolute) in rows {
        let head = complete(bytes);
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(head.authority(bytes), authority, "{text:?}");
        assert_eq!(head.path(bytes), path, "{text:?}");
        assert_eq!(head.path_and_query(bytes), path_and_query, "{text:?}");
        assert_eq!(head.is_absolute_form(), is_absolute, "{text:?}");
        let line = bytes.split(|&byte| byte == b' ').collect::<Vec<_>>();
        assert_eq!(head.method_span().of(bytes), line[0]);
        assert_eq!(head.target().of(bytes), line[1]);
    }
}

#[test]
fn the_life_of_the_connection() {
    let rows: &[(&str, bool)] = &[
        ("1.1\r\nHost: x", true),
        ("1.1\r\nHost: x\r\nConnection: close", false),
        ("1.1\r\nHost: x\r\nConnection: Keep-Alive, CLOSE", false),
        ("1.1\r\nHost: x\r\nConnection: a\r\nConnection: close", false),
        ("1.1\r\nHost: x\r\nConnection: closed", true),
        ("1.1\r\nHost: x\r\nProxy-Connection: close", true),
        ("1.0", false),
        ("1.0\r\nConnection: keep-alive", true),
        ("1.0\r\nConnection: keep-alive, close", false),
        ("1.0\r\nProxy-Connection: keep-alive", false),
    ];
    for (fields, expected) in rows {
        let text = format!("GET / HTTP/{fields}\r\n\r\n");
        assert_eq!(complete(text.as_bytes()).keep_alive(), *expected, "{text:?}");
    }
}

#[test]
fn expectations_and_upgrades() {
    let expects = |text: &str| complete(text.as_bytes()).expects_continue();
    let body = "Content-Length: 1\r\n\r\n";
    assert!(expects(&format!("PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\n{body}")));
    assert!(!expects(&format!("PUT / HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n{body}")));
    assert!(!expects(&format!("PUT / HTTP/1.0\r\nHost: x\r\nExpect: 100-continue\r\n{body}")));
    assert!(!expects("PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n"));

    let upgrade = |text: &str| complete(text.as_bytes()).upgrade();
    let both = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert!(upgrade(&format!("GET / HTTP/1.1\r\nHost: x\r\n{both}")));
    assert!(!upgrade(&format!("GET / HTTP/1.0\r\nHost: x\r\n{both}")));
    assert!(!upgrade("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n"));
    assert!(!upgrade("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\n\r\n"));
}

#[test]
fn hop_by_hop_fields_are_marked() {
    let bytes = b"POST / HTTP/1.1\r\nHost: x\r\nX-Mine: 1\r\nConnection: close, x-mine,,TE\r\n\
        Keep-Alive: 5\r\nProxy-Connection: a\r\nTE: trailers\r\nUpgrade: b\r\nTrailer: c\r\n\
        Transfer-Encoding: chunked\r\nX-Mine: 2\r\nCookie: d\r\nContent-Type: e\r\n\r\n";
    let head = complete(bytes);
    let kept: Vec<_> =
        head.fields().iter().filter(|field| !field.hop).map(|field| field.line.of(bytes)).collect();
    // Trailer announces what a chunked body brings.
    let expected: [&[u8]; 4] =
        [b"Host: x\r\n", b"Trailer: c\r\n", b"Cookie: d\r\n", b"Content-Type: e\r\n"];
    assert_eq!(kept, expected);

    let head = complete(b"GET / HTTP/1.1\r\nHost: x\r\nTrailer: c\r\n\r\n");
    assert!(head.find(rosn_h1::Name::Trailer).is_some_and(|field| field.hop));
}

#[test]
fn fields_keep_case_and_order() {
    let bytes = b"GET / HTTP/1.1\r\nhOST: x\r\nB: 1 \r\na:  2\r\nb:3\r\n\r\n";
    let head = complete(bytes);
    let fields: Vec<_> = head
        .fields()
        .iter()
        .map(|field| (field.name.of(bytes), field.value.of(bytes), field.line.of(bytes)))
        .collect();
    let expected: [(&[u8], &[u8], &[u8]); 4] = [
        (b"hOST", b"x", b"hOST: x\r\n"),
        (b"B", b"1", b"B: 1 \r\n"),
        (b"a", b"2", b"a:  2\r\n"),
        (b"b", b"3", b"b:3\r\n"),
    ];
    assert_eq!(fields, expected);
    assert_eq!(head.value(bytes, "b"), Some(&b"1"[..]));
    assert_eq!(head.value(bytes, "c"), None);
    assert_eq!((head.method(), head.version()), (Method::Get, Version::Http11));
}

#[test]
fn limits_are_exact() {
    let limits = Limits { head_bytes: 80, fields: 2, request_line: 20, ..Limits::default() };
    let parse = |bytes: &str| RequestHead::default().parse(bytes.as_bytes(), &limits);
    let line = |path: usize, rest: &str| format!("GET /{} HTTP/1.0\r\n{rest}", "a".repeat(path));

    assert_eq!(parse(&line(6, "\r\n")), Ok(Progress::Complete(24)));
    assert_eq!(parse(&line(7, "\r\n")), Err(LongRequestLine));
    assert_eq!(LongRequestLine.status(), 414);
    assert_eq!(parse("GET /aaaaaaaaaaaaaaaa"), Err(LongRequestLine));

    assert_eq!(parse(&line(0, "A: 1\r\nB: 2\r\n\r\n")), Ok(Progress::Complete(30)));
    assert_eq!(parse(&line(0, "A: 1\r\nB: 2\r\nC: 3\r\n\r\n")), Err(Field(TooMany)));
    assert_eq!(parse(&line(0, "Connection: a, b\r\n\r\n")), Ok(Progress::Complete(36)));
    assert_eq!(parse(&line(0, "Connection: a, b, c\r\n\r\n")), Err(Field(TooMany)));

    let field = |value: usize| line(0, &format!("A: {}\r\n\r\n", "a".repeat(value)));
    assert_eq!(parse(&field(57)), Ok(Progress::Complete(80)));
    assert_eq!(parse(&field(58)), Err(Field(TooLarge)));
    assert_eq!(parse(&field(58)[..79]), Err(Field(TooLarge)));
    assert_eq!(Field(TooLarge).status(), 431);
    // What follows the head does not count.
    let pipelined = field(57) + &"x".repeat(100);
    assert_eq!(parse(&pipelined), Ok(Progress::Complete(80)));
}

#[test]
fn a_head_is_reused_without_allocating() {
    let limits = Limits::default();
    let mut head = RequestHead::default();
    let bytes = b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nC: d\r\nConnection: close\r\n\r\n";
    assert_eq!(head.parse(bytes, &limits), Ok(Progress::Complete(bytes.len())));
    let room = head.fields().as_ptr();
    head.reset();
    let other = b"POST /b HTTP/1.0\r\nContent-Length: 3\r\n\r\n";
    assert_eq!(head.parse(other, &limits), Ok(Progress::Complete(other.len())));
    assert_eq!(head.fields().as_ptr(), room);
    assert_eq!((head.method(), head.framing()), (Method::Post, Framing::Length(3)));
    assert!(!head.keep_alive());
    // Once complete, it stays so until it is reset.
    assert_eq!(head.parse(b"", &limits), Ok(Progress::Complete(other.len())));
}

#[test]
fn a_caller_that_takes_bytes_back_gets_no_panic() {
    let bytes = b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n";
    for first in 0..bytes.len() {
        for second in 0..first {
            let mut head = RequestHead::default();
            let limits = Limits::default();
            assert_eq!(head.parse(&bytes[..first], &limits), Ok(Progress::Partial));
            assert_eq!(head.parse(&bytes[..second], &limits), Ok(Progress::Partial));
            assert_eq!(head.parse(bytes, &limits), Ok(Progress::Complete(bytes.len())));
        }
    }
}
