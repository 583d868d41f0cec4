//! Rows about request heads: request line, fields, the length of the body, what is for one hop only.

use rosn_tests::probe::Seen;

use crate::requests::{Expect, Probe, check, get, passes, post, refused};

pub(crate) fn rows() -> Vec<Probe> {
    [lengths(), codings(), lines(), hosts(), targets(), request_lines(), sizes(), hops()].concat()
}

#[test]
fn heads() {
    check(&rows());
}

/// Two lengths, or one that is not a number.
fn lengths() -> Vec<Probe> {
    const CL: &str = "9112 6.3";
    let length = |name, value: &[u8]| {
        let field = [b"Content-Length: ", value, b"\r\n"].concat();
        refused(name, "9110 8.6", post(field, "hello"), 400)
    };
    let both = |name, fields: &str, body: &str| refused(name, "9112 6.1", post(fields, body), 400);
    vec![
        both("CL.TE", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        both("TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"),
        both("CL.0 with TE", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        both(
            "CL.TE in lower case",
            "content-length: 4\r\ntransfer-encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        both("CL.TE that is unknown", "Content-Length: 4\r\nTransfer-Encoding: x\r\n", "0\r\n\r\n"),
        refused("CL.CL", CL, post("Content-Length: 5\r\nContent-Length: 0\r\n", "hello"), 400),
        refused(
            "CL.CL alike",
            CL,
            post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
            400,
        ),
        refused(
            "CL.CL apart",
            CL,
            post("Content-Length: 5\r\nX: y\r\ncontent-length: 5\r\n", "hello"),
            400,
        ),
        length("CL list", b"5, 5"),
        length("CL list of different", b"5,0"),
        length("CL plus", b"+5"),
        length("CL minus", b"-5"),
        length("CL hexadecimal", b"0x5"),
        length("CL with a point", b"5.0"),
        length("CL with an exponent", b"5e0"),
        length("CL with an underscore", b"0_5"),
        length("CL of two words", b"5 5"),
        length("CL with a parameter", b"5;a=b"),
        length("CL quoted", b"\"5\""),
        length("CL empty", b""),
        length("CL of spaces", b"   "),
        length("CL in letters", b"five"),
        length("CL over 2^63", b"9223372036854775808"),
        length("CL over 2^64", b"18446744073709551621"),
        length("CL of forty digits", &[b'9'; 40]),
        length("CL in Arabic digits", "\u{665}".as_bytes()),
        length("CL with a vertical tab", b"5\x0b"),
        length("CL with a form feed", b"\x0c5"),
        length("CL with NUL", b"5\0"),
        with_body("CL with zeros before it", "9110 8.6", "Content-Length: 005\r\n"),
        with_body("CL with white space around it", "9110 5.5", "Content-Length: \t 5 \t\r\n"),
        passes(
            "CL.0 body is the next request",
            "9112 6.3",
            post("Content-Length: 0\r\n", ""),
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0",
        ),
        passes("GET without CL", "9112 6.3", get(""), "GET / HTTP/1.1\r\nHost: a"),
        Probe {
            name: "GET with a body",
            rfc: "9110 9.3.1",
            bytes: get("Content-Length: 5\r\n").into_iter().chain(*b"hello").collect(),
            expect: Expect::Passes(Seen {
                head: "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5".into(),
                body: "hello".into(),
                ..Seen::default()
            }),
        },
    ]
}

/// POST of `hello` with this Content-Length, which reaches the origin as it is.
fn with_body(name: &'static str, rfc: &'static str, field: &str) -> Probe {
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{}", field.trim_end_matches("\r\n"));
    let seen = Seen { head, body: "hello".into(), ..Seen::default() };
    Probe { name, rfc, bytes: post(field, "hello"), expect: Expect::Passes(seen) }
}

/// Transfer-Encoding, hidden from one parser or the other.
fn codings() -> Vec<Probe> {
    const CHUNKS: &str = "5\r\nhello\r\n0\r\n\r\n";
    let coding = |name, value: &[u8]| {
        let field = [b"Transfer-Encoding: ", value, b"\r\n"].concat();
        refused(name, "9112 6.1", post(field, CHUNKS), 400)
    };
    let raw = |name, rfc, fields: &[u8]| refused(name, rfc, post(fields, CHUNKS), 400);
    vec![
        coding("TE x", b"xchunked"),
        coding("TE with an ending", b"chunkedx"),
        coding("TE empty", b""),
        coding("TE identity", b"identity"),
        coding("TE gzip alone", b"gzip"),
        coding("TE chunked twice", b"chunked, chunked"),
        coding("TE chunked not last", b"chunked, gzip"),
        coding("TE chunked then identity", b"chunked, identity"),
        coding("TE with an empty member before", b", chunked"),
        coding("TE with an empty member after", b"chunked,"),
        coding("TE with a parameter", b"chunked;q=1"),
        coding("TE quoted", b"\"chunked\""),
        coding("TE of two words", b"x chunked"),
        coding("TE with a vertical tab", b"\x0bchunked"),
        coding("TE with NUL", b"chunked\0"),
        coding("TE with a carriage return", b"\rchunked"),
        coding("TE with a Kelvin sign", "chun\u{212a}ed".as_bytes()),
        coding("TE with a no-break space", b"\xa0chunked"),
        refused(
            "TE gzip, chunked",
            "9112 6.1",
            post("Transfer-Encoding: gzip, chunked\r\n", CHUNKS),
            501,
        ),
        raw("TE.TE", "9112 6.3", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n"),
        raw(
            "TE.TE the other way",
            "9112 6.3",
            b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
        ),
        raw(
            "TE.TE alike",
            "9112 6.3",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ),
        raw("TE with a space before the colon", "9112 5.1", b"Transfer-Encoding : chunked\r\n"),
        raw("TE with a tab before the colon", "9112 5.1", b"Transfer-Encoding\t: chunked\r\n"),
        raw("TE on the next line", "9112 5.2", b"Transfer-Encoding:\r\n chunked\r\n"),
        raw("TE on the next line by LF", "9112 2.2", b"Transfer-Encoding:\n chunked\r\n"),
        raw("TE folded into a field", "9112 5.2", b"X: y\r\n Transfer-Encoding: chunked\r\n"),
        raw("TE behind a bare LF", "9112 2.2", b"X: y\nTransfer-Encoding: chunked\r\n"),
        raw("TE behind a bare CR", "9112 2.2", b"X: y\rTransfer-Encoding: chunked\r\n"),
        raw("TE behind a NUL", "9110 5.5", b"X: y\0Transfer-Encoding: chunked\r\n"),
        raw(
            "TE in the first line of fields folded",
            "9112 2.2",
            b" Transfer-Encoding: chunked\r\n",
        ),
        raw("TE with a NUL in its name", "9110 5.1", b"Transfer-\0Encoding: chunked\r\n"),
        raw(
            "TE with a letter that is not ASCII",
            "9110 5.1",
            b"Tran\xc5\xbffer-Encoding: chunked\r\n",
        ),
        refused(
            "TE in HTTP/1.0",
            "9112 6.1",
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        refused(
            "TE in HTTP/1.0 that stays open",
            "9112 6.1",
            "POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        passes(
            "TE with an underscore is another field",
            "9110 5.1",
            get("Transfer_Encoding: chunked\r\n"),
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked",
        ),
        passes(
            "CL with an underscore is another field",
            "9110 5.1",
            get("Content_Length: 5\r\n"),
            "GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 5",
        ),
        chunked_as("TE in capitals", "TRANSFER-ENCODING: CHUNKED\r\n"),
        chunked_as("TE without a space", "Transfer-Encoding:chunked\r\n"),
        chunked_as("TE with white space around it", "Transfer-Encoding: \t chunked \t\r\n"),
    ]
}

/// POST of a chunked `hello`, which reaches the origin in the plainest framing.
fn chunked_as(name: &'static str, field: &str) -> Probe {
    let seen = Seen {
        head: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked".into(),
        body: "hello".into(),
        ..Seen::default()
    };
    let bytes = post(field, "5\r\nhello\r\n0\r\n\r\n");
    Probe { name, rfc: "9112 6.1", bytes, expect: Expect::Passes(seen) }
}

/// Line ends, names and values.
fn lines() -> Vec<Probe> {
    let field = |name, rfc, bytes: &[u8]| refused(name, rfc, get(bytes), 400);
    vec![
        refused("LF only", "9112 2.2", "GET / HTTP/1.1\nHost: a\n\n", 400),
        refused("LF after the request line", "9112 2.2", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
        refused("LF at the end of the head", "9112 2.2", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
        refused("CR only", "9112 2.2", "GET / HTTP/1.1\rHost: a\r\r", 400),
        refused("CR CR LF", "9112 2.2", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400),
        refused(
            "CR before the end of the head",
            "9112 2.2",
            "GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n",
            400,
        ),
        refused(
            "space before the first field",
            "9112 2.2",
            "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
            400,
        ),
        field("LF in a value", "9112 2.2", b"X: a\nb\r\n"),
        field("CR in a value", "9112 2.2", b"X: a\rb\r\n"),
        field("folded by a space", "9112 5.2", b"X: a\r\n b\r\n"),
        field("folded by a tab", "9112 5.2", b"X: a\r\n\tb\r\n"),
        field("a line of spaces", "9112 5.2", b"X: a\r\n  \r\n"),
        field("no colon", "9112 5", b"X\r\n"),
        field("no name", "9110 5.1", b": x\r\n"),
        field("space before the colon", "9112 5.1", b"X : y\r\n"),
        field("space in a name", "9110 5.1", b"X Y: z\r\n"),
        field("bracket in a name", "9110 5.1", b"X(Y): z\r\n"),
        field("slash in a name", "9110 5.1", b"X/Y: z\r\n"),
        field("byte over 127 in a name", "9110 5.1", b"X\xe9: z\r\n"),
        field("DEL in a value", "9110 5.5", b"X: a\x7fb\r\n"),
        field("NUL in a value", "9110 5.5", b"X: a\0b\r\n"),
        field("NUL in a name", "9110 5.1", b"X\0Y: z\r\n"),
        passes(
            "one empty line before",
            "9112 2.2",
            [b"\r\n", &get("")[..]].concat(),
            "GET / HTTP/1.1\r\nHost: a",
        ),
        refused("LF before", "9112 2.2", [b"\n", &get("")[..]].concat(), 400),
        refused("CR before", "9112 2.2", [b"\r", &get("")[..]].concat(), 400),
        refused("space before", "9112 2.2", [b" ", &get("")[..]].concat(), 400),
        refused(
            "many empty lines before",
            "9112 2.2",
            [b"\r\n\r\n\r\n", &get("")[..]].concat(),
            400,
        ),
        refused("NUL before", "9112 3", [b"\0", &get("")[..]].concat(), 400),
        refused("byte order mark before", "9112 3", [b"\xef\xbb\xbf", &get("")[..]].concat(), 400),
        passes(
            "case, order and white space are kept",
            "9110 5.3",
            get("x-B:1\r\nX-a:  two  words\t\r\nX-b: \r\nACCEPT:*/*\r\nx-c:,\r\n"),
            "GET / HTTP/1.1\r\nHost: a\r\nx-B:1\r\nX-a:  two  words\t\r\nX-b: \r\nACCEPT:*/*\r\nx-c:,",
        ),
    ]
}

/// Which host is meant.
fn hosts() -> Vec<Probe> {
    const HOST: &str = "9112 3.2";
    let host = |name, value: &str| {
        refused(name, HOST, format!("GET / HTTP/1.1\r\nHost: {value}\r\n\r\n"), 400)
    };
    vec![
        refused("no Host", HOST, "GET / HTTP/1.1\r\n\r\n", 400),
        refused("two Hosts", HOST, get("Host: b\r\n"), 400),
        refused("two Hosts alike", HOST, get("Host: a\r\n"), 400),
        refused("two Hosts apart", HOST, get("X: y\r\nhOST: b\r\n"), 400),
        refused("two Hosts, one empty", HOST, get("Host:\r\n"), 400),
        refused("two Hosts in HTTP/1.0", HOST, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        refused(
            "Host with a space before the colon",
            "9112 5.1",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            400,
        ),
        refused("Host folded", "9112 5.2", "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400),
        refused("no Host with absolute-form", "9112 3.2.2", "GET http://a/ HTTP/1.1\r\n\r\n", 400),
        host("Host list", "a, b"),
        host("Host of two words", "a b"),
        host("Host with user information", "user@a"),
        host("Host with a path", "a/b"),
        host("Host with a query", "a?b"),
        host("Host with a scheme", "http://a"),
        host("Host with a port over 65535", "a:65536"),
        host("Host with a port of letters", "a:80x"),
        host("Host with two ports", "a:80:81"),
        host("Host with a bracket", "[::1"),
        host("Host with a bad address", "[::1::2]"),
        host("Host of a port", ":80"),
        host("Host with a backslash", "a\\b"),
        passes("Host empty", HOST, "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / HTTP/1.1\r\nHost:"),
        passes(
            "Host in IPv6",
            HOST,
            "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: [::1]:80",
        ),
        passes(
            "absolute-form wins over Host",
            "9112 3.2.2",
            "GET http://b:8080/p?q HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n",
            "GET /p?q HTTP/1.1\r\nHost: b:8080\r\nX: y",
        ),
        passes(
            "absolute-form without a path",
            "9112 3.2.1",
            "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a",
        ),
        passes(
            "absolute-form of OPTIONS without a path",
            "9112 3.2.4",
            "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: a",
        ),
    ]
}

/// Request targets.
fn targets() -> Vec<Probe> {
    let target = |name, rfc, target: &[u8]| {
        let line = [b"GET ", target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        refused(name, rfc, line, 400)
    };
    vec![
        target("fragment", "9112 3.2.1", b"/a#b"),
        target("no slash", "9112 3.2.1", b"a"),
        target("NUL in the target", "9112 3.2", b"/a\0b"),
        target("byte over 127 in the target", "9112 3.2", b"/\xc3\xa9"),
        target("tab in the target", "9112 3.2", b"/a\tb"),
        target("space in the target", "9112 3.2", b"/a b"),
        target("a version in the target", "9112 3.2", b"/ HTTP/1.1 x"),
        target("asterisk of GET", "9112 3.2.4", b"*"),
        target("user information", "9112 3.2.2", b"http://user:secret@a/"),
        target("other scheme", "9112 3.2.2", b"ftp://a/"),
        target("scheme of a file", "9112 3.2.2", b"file:///etc/passwd"),
        target("no authority", "9112 3.2.2", b"http:///a"),
        target("authority of a port", "9112 3.2.2", b"http://:80/"),
        target("authority of GET", "9112 3.2.3", b"a:80"),
        target("backslash in the authority", "9112 3.2.2", b"http://a\\b/"),
        refused("asterisk of PRI", "9113 3.4", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        refused(
            "CONNECT without a port",
            "9112 3.2.3",
            "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n",
            400,
        ),
        refused("CONNECT of a path", "9112 3.2.3", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        refused(
            "CONNECT with a body",
            "9110 9.3.6",
            "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 5\r\n\r\nhello",
            400,
        ),
        refused(
            "TRACE with a body",
            "9110 9.3.8",
            "TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            400,
        ),
        // What follows is meant for the tunnel that there is not: it must not be read as requests.
        refused("CONNECT", "9110 9.3.6", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405),
        refused("Upgrade", "9110 7.8", get("Connection: Upgrade\r\nUpgrade: a b\r\n"), 403),
        passes(
            "Upgrade without Connection",
            "9110 7.8",
            get("Upgrade: websocket\r\nX: y\r\n"),
            "GET / HTTP/1.1\r\nHost: a\r\nX: y",
        ),
        passes(
            "Upgrade to h2c is left out",
            "9110 7.8",
            get(
                "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
            ),
            "GET / HTTP/1.1\r\nHost: a",
        ),
        passes(
            "asterisk of OPTIONS",
            "9112 3.2.4",
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: a",
        ),
        passes(
            "odd characters in the target",
            "9112 3.2",
            "GET /a//b/../c;d|e\"%00%2F\\?f=[]{}?g HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a//b/../c;d|e\"%00%2F\\?f=[]{}?g HTTP/1.1\r\nHost: a",
        ),
    ]
}

/// Methods and versions.
fn request_lines() -> Vec<Probe> {
    let line = |name, rfc, line: &str, status| {
        refused(name, rfc, format!("{line}\r\nHost: a\r\n\r\n"), status)
    };
    vec![
        refused("HTTP/0.9", "9112 2.3", "GET /\r\n\r\n", 400),
        refused("HTTP/0.9 with a method of its own", "9112 2.3", "GET /smuggled\r\n", 400),
        line("no version", "9112 3", "GET /", 400),
        line("HTTP/1.2", "9110 15.6.6", "GET / HTTP/1.2", 505),
        line("HTTP/2.0", "9110 15.6.6", "GET / HTTP/2.0", 505),
        line("HTTP/0.9 in words", "9110 15.6.6", "GET / HTTP/0.9", 505),
        line("version in lower case", "9112 2.3", "GET / http/1.1", 400),
        line("version of two digits", "9112 2.3", "GET / HTTP/1.10", 400),
        line("version with a zero", "9112 2.3", "GET / HTTP/01.1", 400),
        line("version with a comma", "9112 2.3", "GET / HTTP/1,1", 400),
        line("version of another protocol", "9112 2.3", "OPTIONS / RTSP/1.0", 400),
        line("space after the version", "9112 3", "GET / HTTP/1.1 ", 400),
        line("two spaces", "9112 3", "GET  / HTTP/1.1", 400),
        line("two spaces before the version", "9112 3", "GET /  HTTP/1.1", 400),
        line("tabs", "9112 3", "GET\t/\tHTTP/1.1", 400),
        line("no method", "9112 3", "/ HTTP/1.1", 400),
        line("bracket in the method", "9110 9.1", "G(T / HTTP/1.1", 400),
        line("method with a colon", "9110 9.1", "GET: / HTTP/1.1", 400),
        line("long method", "9112 3", &format!("{} / HTTP/1.1", "X".repeat(200)), 501),
        line("only a method", "9112 3", "GET", 400),
        refused(
            "TLS",
            "9112 3",
            b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03abcdefgh\r\n\r\n",
            400,
        ),
        refused("SSH", "9112 3", "SSH-2.0-OpenSSH_9.6\r\n", 400),
        passes(
            "method in lower case is another one",
            "9110 9.1",
            "get / HTTP/1.1\r\nHost: a\r\n\r\n",
            "get / HTTP/1.1\r\nHost: a",
        ),
        passes(
            "unknown method",
            "9110 9.1",
            "M-SEARCH!#$%&'*+.^_`|~ / HTTP/1.1\r\nHost: a\r\n\r\n",
            "M-SEARCH!#$%&'*+.^_`|~ / HTTP/1.1\r\nHost: a",
        ),
        passes(
            "HEAD",
            "9110 9.3.2",
            "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
            "HEAD / HTTP/1.1\r\nHost: a",
        ),
    ]
}

/// Limits.
fn sizes() -> Vec<Probe> {
    let fields = |count: usize| -> String { (0..count).map(|n| format!("X-{n}: y\r\n")).collect() };
    let options = format!("Connection: {}x\r\n", "x,".repeat(200));
    let path = "/".repeat(16 * 1024 - "GET  HTTP/1.1".len());
    vec![
        refused(
            "request line too long",
            "9112 3",
            format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n"),
            414,
        ),
        refused(
            "request line without an end",
            "9112 3",
            format!("GET /{}", "a".repeat(40_000)),
            414,
        ),
        refused("field too long", "6585 5", get(format!("X: {}\r\n", "a".repeat(70_000))), 431),
        refused(
            "field without an end",
            "6585 5",
            format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(100_000)),
            431,
        ),
        refused("too many fields", "6585 5", get(fields(100)), 431),
        refused("very many fields", "6585 5", get(fields(3000)), 431),
        refused("too many connection options", "6585 5", get(options), 431),
        passes(
            "longest request line",
            "9112 3",
            format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"),
            &format!("GET {path} HTTP/1.1\r\nHost: a"),
        ),
        passes(
            "as many fields as allowed",
            "6585 5",
            get(fields(99)),
            &format!("GET / HTTP/1.1\r\nHost: a\r\n{}", fields(99).trim_end()),
        ),
        passes(
            "long field",
            "6585 5",
            get(format!("X: {}\r\n", "a".repeat(65_000))),
            &format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "a".repeat(65_000)),
        ),
    ]
}

/// What is for one hop only, and who may say so.
fn hops() -> Vec<Probe> {
    const HOP: &str = "9110 7.6.1";
    const PLAIN: &str = "GET / HTTP/1.1\r\nHost: a\r\nX: y";
    let stripped = |name, fields: &str| passes(name, HOP, get(format!("{fields}X: y\r\n")), PLAIN);
    let nominated = |name, option: &str| {
        refused(
            name,
            HOP,
            post(format!("Connection: {option}\r\nContent-Length: 5\r\n"), "hello"),
            400,
        )
    };
    let last = |name, bytes: Vec<u8>, head: &str| Probe {
        name,
        rfc: "9112 9.6",
        bytes,
        expect: Expect::PassesLast(Seen { head: head.into(), ..Seen::default() }),
    };
    let chunked = |name, field: &str| Probe {
        rfc: HOP,
        ..chunked_as(name, &format!("{field}Transfer-Encoding: chunked\r\n"))
    };
    vec![
        stripped("Connection names a field", "Connection: x-secret\r\nX-Secret: 1\r\n"),
        stripped("Connection comes after", "X-Secret: 1\r\nConnection: X-SECRET\r\n"),
        stripped("Connection names many fields", "A: 1\r\nB: 2\r\nConnection: a , ,b\r\nA: 3\r\n"),
        stripped("two Connections", "Connection: a\r\nA: 1\r\nConnection: b\r\nB: 2\r\n"),
        stripped(
            "Connection names a forwarded address",
            "Connection: x-forwarded-for\r\nX-Forwarded-For: 1.2.3.4\r\n",
        ),
        stripped("Connection names nothing that is there", "Connection: nothing, x-there\r\n"),
        stripped("Keep-Alive", "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n"),
        stripped("Keep-Alive unnamed", "Keep-Alive: timeout=5, max=1000\r\n"),
        stripped("Proxy-Connection", "Proxy-Connection: close\r\n"),
        stripped("TE", "TE: gzip, chunked\r\nConnection: TE\r\n"),
        stripped("TE unnamed", "TE: chunked\r\n"),
        // rosn takes them as well, so it says the same for itself.
        passes(
            "TE with trailers",
            "9110 10.1.4",
            get("TE: gzip, Trailers;q=1, trailers\r\nConnection: TE\r\nX: y\r\n"),
            &format!("{PLAIN}\r\nTE: trailers\r\nConnection: TE"),
        ),
        stripped("Trailer without chunks", "Trailer: X-Sum\r\n"),
        nominated("Connection names Host", "host"),
        nominated("Connection names Content-Length", "Content-Length"),
        nominated("Connection names Content-Length among others", "close, x,content-length"),
        chunked("Connection names Transfer-Encoding", "Connection: transfer-encoding\r\n"),
        chunked("Connection names TE", "Connection: TE\r\nTE: gzip\r\n"),
        last("Connection close", get("Connection: close\r\nX: y\r\n"), PLAIN),
        last(
            "Connection close in capitals",
            get("Connection: keep-alive\r\nCONNECTION: z, CLOSE\r\nX: y\r\n"),
            PLAIN,
        ),
        last(
            "HTTP/1.0",
            b"GET / HTTP/1.0\r\nHost: a\r\n\r\n".to_vec(),
            "GET / HTTP/1.1\r\nHost: a",
        ),
        last(
            "HTTP/1.0 with close and keep-alive",
            b"GET / HTTP/1.0\r\nHost: a\r\nConnection: close, keep-alive\r\n\r\n".to_vec(),
            "GET / HTTP/1.1\r\nHost: a",
        ),
        passes(
            "HTTP/1.0 with keep-alive",
            "9112 9.3",
            "GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a",
        ),
        passes(
            "HTTP/1.0 without Host",
            "9112 3.2",
            "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: ORIGIN",
        ),
    ]
}
