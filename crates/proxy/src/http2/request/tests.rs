use http::{Request, Uri};

use super::*;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn request(method: &str, uri: &str, fields: &[(&str, &[u8])]) -> request::Parts {
    let mut request = Request::builder().method(method).uri(uri.parse::<Uri>().unwrap());
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn text_of(parts: request::Parts, is_all: bool) -> Result<String, Refused> {
    let (mut text, mut head) = (Buf::with_capacity(16), RequestHead::default());
    let len = parse(parts, is_all, || KEY.to_owned(), &Limits::default(), &mut text, &mut head)?;
    assert_eq!(len, text.len());
    Ok(String::from_utf8_lossy(text.unread()).into_owned())
}

#[test]
fn a_request_becomes_text() {
    let fields: &[(&str, &[u8])] = &[("accept", b"*/*"), ("te", b"trailers"), ("x", b"")];
    let text = text_of(request("GET", "http://a.example:81/p?q", fields), true).unwrap();
    assert_eq!(
        text,
        "GET /p?q HTTP/1.1\r\nhost: a.example:81\r\naccept: */*\r\nte: trailers\r\nx: \r\n\r\n"
    );
    let text = text_of(request("OPTIONS", "http://a.example", &[]), true).unwrap();
    assert!(text.starts_with("OPTIONS / "), "{text}");
}

/// RFC 9113 section 8.2.3.
#[test]
fn crumbs_become_one_cookie() {
    let fields: &[(&str, &[u8])] = &[("cookie", b"a=1"), ("x", b"y"), ("cookie", b"b=2; c=3")];
    let text = text_of(request("GET", "http://h/", fields), true).unwrap();
    assert!(text.ends_with("x: y\r\ncookie: a=1; b=2; c=3\r\n\r\n"), "{text}");
}

#[test]
fn the_length_is_that_of_the_client_or_unknown() {
    let framing = |method: &str, fields: &[(&str, &[u8])], is_all| {
        let text = text_of(request(method, "http://h/", fields), is_all).unwrap();
        text.split_once("host: h\r\n").unwrap().1.trim_end().to_owned()
    };
    assert_eq!(framing("POST", &[], false), "transfer-encoding: chunked");
    assert_eq!(framing("POST", &[], true), "content-length: 0");
    assert_eq!(framing("GET", &[], true), "");
    assert_eq!(framing("GET", &[], false), "transfer-encoding: chunked");
    let length: &[(&str, &[u8])] = &[("content-length", b"5"), ("content-length", b"5")];
    assert_eq!(framing("PUT", length, false), "content-length: 5");
}

#[test]
fn hosts_have_to_agree() {
    let both = |host: &[u8]| text_of(request("GET", "http://A.example/", &[("host", host)]), true);
    assert!(both(b"a.EXAMPLE").unwrap().contains("host: A.example\r\n"));
    assert!(matches!(both(b"b.example"), Err(Refused::Status(400, _))));
    let alone = |hosts: &[(&str, &[u8])]| text_of(request("GET", "/", hosts), true);
    assert!(alone(&[("host", b"h")]).unwrap().contains("host: h\r\n"));
    assert!(matches!(alone(&[]), Err(Refused::Status(400, _))));
    let twice: &[(&str, &[u8])] = &[("host", b"h"), ("host", b"h")];
    assert!(matches!(alone(twice), Err(Refused::Status(400, _))));
    // RFC 9113 section 8.3.1: no user information.
    assert!(matches!(
        text_of(request("GET", "http://user@h/", &[]), true),
        Err(Refused::Status(400, _))
    ));
}

#[test]
fn what_is_no_path_is_malformed() {
    let with_path = |method: &str, path: &str| {
        let mut parts = http::uri::Parts::default();
        parts.path_and_query = Some(path.parse().unwrap());
        let uri = Uri::from_parts(parts).unwrap();
        let mut request = request(method, "/", &[("host", b"h")]);
        request.uri = uri;
        text_of(request, true)
    };
    assert!(with_path("OPTIONS", "*").unwrap().starts_with("OPTIONS * HTTP/1.1\r\n"));
    assert!(matches!(with_path("GET", "*"), Err(Refused::Malformed(_))));
    // Bytes that a target of HTTP/1.1 cannot have.
    assert!(matches!(with_path("GET", "/\u{e9}"), Err(Refused::Status(400, _))));
    let mut missing = request("GET", "/", &[("host", b"h")]);
    missing.uri = Uri::default();
    assert!(text_of(missing, true).is_ok(), "the default is a slash");
}

/// Every byte that a value may have arrives, and none begins a line.
#[test]
fn values_stay_one_line() {
    for byte in 0..=255u8 {
        let value = [b'a', byte, b'b'];
        let Ok(value) = HeaderValue::from_bytes(&value) else {
            assert!((byte < 32 && byte != b'\t') || byte == 127, "{byte}");
            continue;
        };
        let mut parts = request("GET", "http://h/", &[]);
        parts.headers.insert("x", value);
        assert!(text_of(parts, true).is_ok(), "{byte}");
    }
    for value in [&b" a"[..], b"a ", b"\ta", b"a\t", b" "] {
        let parts = request("GET", "http://h/", &[("x", value)]);
        assert!(matches!(text_of(parts, true), Err(Refused::Malformed(_))), "{value:?}");
    }
}

/// RFC 8441.
#[test]
fn an_extended_connect_becomes_an_upgrade() {
    let extended = |protocol: &'static str, fields: &[(&str, &[u8])]| {
        let mut parts = request("CONNECT", "https://h/chat?x", fields);
        parts.extensions.insert(Protocol::from_static(protocol));
        text_of(parts, false)
    };
    let fields: &[(&str, &[u8])] = &[("sec-websocket-version", b"13"), ("sec-websocket-key", b"x")];
    let expected = "GET /chat?x HTTP/1.1\r\nhost: h\r\nsec-websocket-version: 13\r\n\
        connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    assert_eq!(extended("websocket", fields).unwrap(), expected);
    assert!(extended("connect-udp", &[]).unwrap().contains("upgrade: connect-udp\r\n\r\n"));
    for protocol in ["", "a b", "a\r\nx: y", "a,b"] {
        assert!(matches!(extended(protocol, &[]), Err(Refused::Malformed(_))), "{protocol:?}");
    }
    let length: &[(&str, &[u8])] = &[("content-length", b"1")];
    assert!(matches!(extended("websocket", length), Err(Refused::Malformed(_))));
}

#[test]
fn connect_has_the_form_of_an_authority() {
    let text = text_of(request("CONNECT", "h:443", &[]), false).unwrap();
    assert_eq!(text, "CONNECT h:443 HTTP/1.1\r\nhost: h:443\r\n\r\n");
    assert!(matches!(text_of(request("CONNECT", "h", &[]), false), Err(Refused::Status(400, _))));
}
