//! Rows about what a hostile or odd origin sends.

use std::io::{ErrorKind, Read as _, Write as _};

use rosn_tests::client::Client;
use rosn_tests::probe::{Hostile, Script, ScriptEnd, text};

use crate::{all, rosn_before};

/// A row of the table.
#[derive(Clone)]
struct Probe {
    name: &'static str,
    /// The section that it rests on.
    rfc: &'static str,
    request: Vec<u8>,
    script: Script,
    expect: Expect,
}

/// What the client has to see.
#[derive(Clone)]
enum Expect {
    /// 502 made by rosn, and the connection goes on.
    BadGateway,
    /// The response cannot be taken for whole: its beginning at most, and no end of it.
    Broken,
    /// Exactly these bytes, and the connection goes on.
    Passes(Vec<u8>),
    /// Exactly these bytes, and the end.
    PassesLast(Vec<u8>),
}

const GET: &[u8] = b"GET /probe HTTP/1.1\r\nHost: a\r\n\r\n";
/// What a client would take for its own, if it were sent to the wrong one.
const POISON: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";

/// The origin answers so and stays.
fn row(name: &'static str, rfc: &'static str, bytes: impl AsRef<[u8]>, expect: Expect) -> Probe {
    let script = Script { bytes: bytes.as_ref().to_vec(), ..Script::default() };
    Probe { name, rfc, request: GET.to_vec(), script, expect }
}

impl Probe {
    fn asked_by(mut self, request: impl AsRef<[u8]>) -> Self {
        self.request = request.as_ref().to_vec();
        self
    }

    fn by_head(self) -> Self {
        self.asked_by("HEAD /probe HTTP/1.1\r\nHost: a\r\n\r\n")
    }

    fn then(mut self, end: ScriptEnd) -> Self {
        self.script.end = end;
        self
    }
}

fn bad(name: &'static str, rfc: &'static str, bytes: impl AsRef<[u8]>) -> Probe {
    row(name, rfc, bytes, Expect::BadGateway)
}

/// A response of 200 with these field lines and this body, after which the origin may do more harm.
fn bad_fields(name: &'static str, rfc: &'static str, fields: impl AsRef<[u8]>) -> Probe {
    bad(name, rfc, [b"HTTP/1.1 200 OK\r\n", fields.as_ref(), b"\r\nhello"].concat())
}

fn broken(name: &'static str, rfc: &'static str, bytes: impl AsRef<[u8]>) -> Probe {
    row(name, rfc, bytes, Expect::Broken)
}

fn broken_chunks(name: &'static str, body: impl AsRef<[u8]>) -> Probe {
    let head: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    broken(name, "9112 7.1", [head, body.as_ref()].concat())
}

/// The client gets `to` for the origin's `from`.
fn passes(
    name: &'static str,
    rfc: &'static str,
    from: impl AsRef<[u8]>,
    to: impl AsRef<[u8]>,
) -> Probe {
    row(name, rfc, from, Expect::Passes(to.as_ref().to_vec()))
}

fn same(name: &'static str, rfc: &'static str, bytes: impl AsRef<[u8]>) -> Probe {
    passes(name, rfc, bytes.as_ref(), bytes.as_ref())
}

fn rows() -> Vec<Probe> {
    [lengths(), heads(), interims(), bodies(), extras(), ends(), hops()].concat()
}

#[test]
fn responses() {
    let origin = Hostile::start();
    let (rosn, port) = rosn_before(origin.port());
    let name = |row: &Probe| format!("{} (RFC {})", row.name, row.rfc);
    all(&rows(), name, |row| {
        origin.play(row.script.clone());
        probe(row, port);
        // Whatever the origin did, the next ones get what is theirs, on this and on new connections.
        for _ in 0..2 {
            let mut other = Client::connect(port);
            assert_eq!(other.get("/one").text(), "/one");
            assert_eq!(other.get("/two").text(), "/two");
        }
    });
    rosn.settled();
}

fn probe(row: &Probe, port: u16) {
    let mut client = Client::connect(port);
    client.send(&row.request);
    match &row.expect {
        Expect::BadGateway => {
            let response = client.read_response();
            assert_eq!(response.status, 502, "{}", response.head);
            assert!(!response.text().contains("poison"));
            assert_eq!(client.get("/after").text(), "/after");
        }
        Expect::Passes(bytes) => {
            let came = client.read_exact(bytes.len());
            assert_eq!(text(&came), text(bytes));
            assert_eq!(client.get("/after").text(), "/after");
        }
        Expect::PassesLast(bytes) => {
            let came = client.read_exact(bytes.len());
            assert_eq!(text(&came), text(bytes));
            assert!(client.is_closed(), "the connection stays open");
        }
        Expect::Broken => is_broken(&client),
    }
}

/// What comes until the end is not a whole response, by its own framing.
fn is_broken(client: &Client) {
    let mut bytes = Vec::new();
    let end = client.tcp().read_to_end(&mut bytes);
    let came = text(&bytes);
    assert!(!came.contains("poison"), "{came}");
    match end {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the connection does not end: {error}"),
        // A clean end may only come where the framing shows that something is missing.
        Ok(_) => assert!(came.is_empty(), "no reset after {came:?}"),
    }
    assert!(!came.ends_with("\r\n0\r\n\r\n"), "{came:?}");
    if let Some(body) = came.split("\r\n\r\n").nth(1)
        && let Some(length) = came.split("Content-Length: ").nth(1)
    {
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        assert!(body.len() < length, "{came:?}");
    }
}

fn lengths() -> Vec<Probe> {
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
    let length =
        |name, value: &str| bad_fields(name, "9110 8.6", format!("Content-Length: {value}\r\n"));
    let coding =
        |name, value: &str| bad_fields(name, "9112 6.1", format!("Transfer-Encoding: {value}\r\n"));
    vec![
        bad_fields("CL.TE", "9112 6.3", format!("Content-Length: 5\r\n{CHUNKED}")),
        bad_fields("TE.CL", "9112 6.3", format!("{CHUNKED}Content-Length: 5\r\n")),
        bad_fields("CL.CL", "9112 6.3", "Content-Length: 5\r\nContent-Length: 0\r\n"),
        bad_fields("CL.CL alike", "9112 6.3", "Content-Length: 5\r\nContent-Length: 5\r\n"),
        bad_fields("TE.TE", "9112 6.3", format!("{CHUNKED}{CHUNKED}")),
        length("CL list", "5, 5"),
        length("CL minus", "-5"),
        length("CL plus", "+5"),
        length("CL hexadecimal", "0x5"),
        length("CL empty", ""),
        length("CL over 2^64", "18446744073709551621"),
        coding("TE identity", "identity"),
        coding("TE chunked not last", "chunked, gzip"),
        coding("TE chunked twice", "chunked, chunked"),
        coding("TE gzip, chunked", "gzip, chunked"),
        coding("TE with a vertical tab", "\x0bchunked"),
        bad("TE in HTTP/1.0", "9112 6.1", format!("HTTP/1.0 200 OK\r\n{CHUNKED}\r\n0\r\n\r\n")),
        bad("204 with CL", "9110 8.6", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"),
        bad(
            "204 with TE",
            "9112 6.1",
            format!("HTTP/1.1 204 No Content\r\n{CHUNKED}\r\n0\r\n\r\n"),
        ),
        bad_fields(
            "Connection names Content-Length",
            "9110 7.6.1",
            "Connection: content-length\r\nContent-Length: 5\r\n",
        ),
    ]
}

fn heads() -> Vec<Probe> {
    let field =
        |name, rfc, field: &[u8]| bad_fields(name, rfc, [b"Content-Length: 5\r\n", field].concat());
    let status =
        |name, line: &str| bad(name, "9112 4", format!("{line}\r\nContent-Length: 5\r\n\r\nhello"));
    let fields: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    vec![
        field("LF in a value", "9112 2.2", b"X: a\nSet-Cookie: evil=1\r\n"),
        field("CR in a value", "9112 2.2", b"X: a\rSet-Cookie: evil=1\r\n"),
        field("NUL in a value", "9110 5.5", b"X: a\0b\r\n"),
        field("folded", "9112 5.2", b"X: a\r\n b\r\n"),
        field("space before the colon", "9112 5.1", b"X : y\r\n"),
        field("no colon", "9112 5", b"X\r\n"),
        field("no name", "9110 5.1", b": y\r\n"),
        field("NUL in a name", "9110 5.1", b"X\0: y\r\n"),
        bad("LF only", "9112 2.2", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"),
        bad(
            "LF at the end of the head",
            "9112 2.2",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello",
        ),
        bad(
            "too many fields",
            "6585 5",
            format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n"),
        ),
        bad(
            "head of 1 MB",
            "6585 5",
            format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(1 << 20)),
        ),
        bad(
            "head of 1 MB in small fields",
            "6585 5",
            "X: y\r\n".repeat(170_000).replacen("X: y", "HTTP/1.1 200 OK", 1),
        ),
        status("HTTP/2", "HTTP/2.0 200 OK"),
        status("HTTP/1.2", "HTTP/1.2 200 OK"),
        status("lower case", "http/1.1 200 OK"),
        status("another protocol", "ICY 200 OK"),
        status("two digits", "HTTP/1.1 20 OK"),
        status("four digits", "HTTP/1.1 2000 OK"),
        status("status below 100", "HTTP/1.1 099 OK"),
        status("no status", "HTTP/1.1 OK"),
        status("two spaces", "HTTP/1.1  200 OK"),
        status("CR in the reason", "HTTP/1.1 200 O\rK"),
        status("NUL in the reason", "HTTP/1.1 200 O\0K"),
        status("empty line before", "\r\nHTTP/1.1 200 OK"),
        bad("a request", "9112 4", "GET /poison HTTP/1.1\r\nHost: a\r\n\r\n"),
        bad("rubbish", "9112 4", [0xff; 5000]),
        bad("HTTP/0.9", "9112 2.3", "<html>hello</html>"),
        same("no reason", "9112 4", "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello"),
        passes(
            "no reason and no space",
            "9112 4",
            "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello",
        ),
        same(
            "unknown status",
            "9110 15",
            "HTTP/1.1 799 What Is This\r\nContent-Length: 5\r\n\r\nhello",
        ),
        same(
            "case, order and white space are kept",
            "9110 5.3",
            "HTTP/1.1 200 oK\r\nset-cookie:a=1\r\nX-a:  b \t\r\nSET-COOKIE: b=2\r\ncontent-LENGTH: 5\r\nX-A:\r\n\r\nhello",
        ),
    ]
}

fn interims() -> Vec<Probe> {
    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let many = |count| "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(count);
    vec![
        same(
            "103 before",
            "9110 15.2",
            format!("HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n{OK}"),
        ),
        same("100 unasked", "9110 15.2", format!("HTTP/1.1 100 Continue\r\n\r\n{OK}")),
        same("several", "9110 15.2", format!("{}HTTP/1.1 102 \r\n\r\n{OK}", many(3))),
        passes(
            "1xx with fields of the hop",
            "9110 7.6.1",
            format!(
                "HTTP/1.1 103 Early Hints\r\nConnection: x-secret\r\nX-Secret: 1\r\nLink: b\r\nKeep-Alive: max=1\r\n\r\n{OK}"
            ),
            format!("HTTP/1.1 103 Early Hints\r\nLink: b\r\n\r\n{OK}"),
        ),
        passes(
            "1xx in HTTP/1.0",
            "9112 2.3",
            format!("HTTP/1.0 103 Early Hints\r\n\r\n{OK}"),
            format!("HTTP/1.1 103 Early Hints\r\n\r\n{OK}"),
        ),
        row(
            "1xx is not for HTTP/1.0",
            "9110 15.2",
            format!("{}{OK}", many(3)),
            Expect::PassesLast(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec()),
        )
        .asked_by("GET /probe HTTP/1.0\r\nHost: a\r\n\r\n"),
        bad(
            "1xx with CL",
            "9110 8.6",
            format!("HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello{OK}"),
        ),
        bad(
            "1xx with TE",
            "9112 6.1",
            format!("HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{OK}"),
        ),
        bad(
            "101 unasked",
            "9110 15.2.2",
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n{OK}"
            ),
        ),
        bad("101 alone", "9110 15.2.2", "HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    ]
}

fn bodies() -> Vec<Probe> {
    let reset = |length: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nhello");
    let chunked =
        |body: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    vec![
        broken("CL longer than the body", "9112 8", reset("6")).then(ScriptEnd::Close),
        broken("CL much longer than the body", "9112 8", reset("600000")).then(ScriptEnd::Reset),
        broken_chunks("chunk size with 0x", "0x5\r\nhello\r\n0\r\n\r\n"),
        broken_chunks("chunk size minus", "-5\r\nhello\r\n0\r\n\r\n"),
        broken_chunks("chunk size empty", "\r\nhello\r\n0\r\n\r\n"),
        broken_chunks("chunk size too large", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        broken_chunks("chunk size ends in LF", "5\nhello\r\n0\r\n\r\n"),
        broken_chunks("chunk size with a space", "5 \r\nhello\r\n0\r\n\r\n"),
        broken_chunks("chunk extension with LF", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
        broken_chunks("chunk longer than its size", "4\r\nhello\r\n0\r\n\r\n"),
        broken_chunks("chunk that ends in LF", "5\r\nhello\n0\r\n\r\n"),
        broken_chunks("second chunk is bad", "5\r\nhello\r\nzz\r\n\r\n"),
        broken_chunks("trailer without a colon", "5\r\nhello\r\n0\r\nX\r\n\r\n"),
        broken_chunks("trailer with LF", "5\r\nhello\r\n0\r\nX: y\nSet-Cookie: evil\r\n\r\n"),
        broken_chunks("trailer is a response", "5\r\nhello\r\n0\r\nHTTP/1.1 200 OK\r\n\r\n"),
        broken_chunks("no last chunk", "5\r\nhello\r\n").then(ScriptEnd::Close),
        broken_chunks("no last chunk, by a reset", "5\r\nhello\r\n").then(ScriptEnd::Reset),
        broken_chunks("half a chunk", "5\r\nhe").then(ScriptEnd::Close),
        broken_chunks("half a size", "5").then(ScriptEnd::Close),
        broken_chunks("half the end", "5\r\nhello\r\n0\r\n").then(ScriptEnd::Close),
        passes(
            "chunk extensions are dropped",
            "9112 7.1.1",
            chunked("5;a=\"b\"\r\nhello\r\n0;c\r\n\r\n"),
            chunked("5\r\nhello\r\n0\r\n\r\n"),
        ),
        same("chunks without data", "9112 7.1", chunked("0\r\n\r\n")),
        passes(
            "trailers pass but those of framing",
            "9110 6.5.1",
            chunked(
                "5\r\nhello\r\n0\r\nx-SUM: 1\r\nContent-Length: 9\r\nSet-Cookie: evil\r\nX-B:2\r\n\r\n",
            ),
            chunked("5\r\nhello\r\n0\r\nx-SUM: 1\r\nX-B:2\r\n\r\n"),
        ),
        row(
            "chunked to HTTP/1.0",
            "9112 6.1",
            chunked("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
            Expect::PassesLast(b"HTTP/1.1 200 OK\r\n\r\nhello".to_vec()),
        )
        .asked_by("GET /probe HTTP/1.0\r\nHost: a\r\n\r\n"),
        row(
            "chunked to HTTP/1.0 that would stay",
            "9112 9.3",
            chunked("5\r\nhello\r\n0\r\n\r\n"),
            Expect::PassesLast(b"HTTP/1.1 200 OK\r\n\r\nhello".to_vec()),
        )
        .asked_by("GET /probe HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"),
        broken_chunks("broken chunks to HTTP/1.0", "5\r\nhello\r\nzz\r\n")
            .asked_by("GET /probe HTTP/1.0\r\nHost: a\r\n\r\n"),
    ]
}

/// More than the one response that was asked for.
fn extras() -> Vec<Probe> {
    let extra = |name, rfc, response: &str| {
        passes(name, rfc, [response.as_bytes(), POISON].concat(), response)
    };
    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    vec![
        extra("a second response", "9112 6.3", OK),
        extra(
            "a second response after chunks",
            "9112 6.3",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
        extra(
            "a second response after no content",
            "9112 6.3",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ),
        extra("a second response after 204", "9112 6.3", "HTTP/1.1 204 No Content\r\n\r\n"),
        extra(
            "a second response after 304",
            "9112 6.3",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n",
        ),
        extra(
            "a second response to HEAD",
            "9112 6.3",
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n",
        )
        .by_head(),
        passes("a body to HEAD", "9110 9.3.2", OK, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
            .by_head(),
        passes(
            "a chunked body to HEAD",
            "9110 9.3.2",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
        )
        .by_head(),
        passes("one byte too many", "9112 6.3", format!("{OK}!"), OK),
        passes("a line end too many", "9112 6.3", format!("{OK}\r\n"), OK),
        passes("a megabyte too many", "9112 6.3", format!("{OK}{}", "x".repeat(1 << 20)), OK),
        passes(
            "a body of 304",
            "9112 6.3",
            "HTTP/1.1 304 Not Modified\r\n\r\nhello",
            "HTTP/1.1 304 Not Modified\r\n\r\n",
        ),
    ]
}

/// Ends of the origin's connection.
fn ends() -> Vec<Probe> {
    const CLOSE: ScriptEnd = ScriptEnd::Close;
    const CHUNKED: &str =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let old = |head: &str| format!("HTTP/1.0 200 OK\r\n{head}\r\nhello");
    let new = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    vec![
        bad("nothing", "9112 8", "").then(CLOSE),
        bad("nothing but a reset", "9112 8", "").then(ScriptEnd::Reset),
        bad("half a status line", "9112 8", "HTTP/1.1 20").then(CLOSE),
        bad("half a head", "9112 8", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n").then(CLOSE),
        bad("half a head and a reset", "9112 8", "HTTP/1.1 200 OK\r\nX").then(ScriptEnd::Reset),
        passes("until the end", "9112 6.3", "HTTP/1.1 200 OK\r\n\r\nhello", CHUNKED).then(CLOSE),
        passes(
            "until the end, with close",
            "9112 6.3",
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
            CHUNKED,
        )
        .then(CLOSE),
        broken("until a reset", "9112 8", "HTTP/1.1 200 OK\r\n\r\nhello").then(ScriptEnd::Reset),
        row(
            "until the end to HTTP/1.0",
            "9112 6.3",
            "HTTP/1.1 200 OK\r\n\r\nhello",
            Expect::PassesLast(b"HTTP/1.1 200 OK\r\n\r\nhello".to_vec()),
        )
        .then(CLOSE)
        .asked_by("GET /probe HTTP/1.0\r\nHost: a\r\n\r\n"),
        passes(
            "close with a length",
            "9112 9.6",
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
            new,
        )
        .then(CLOSE),
        passes(
            "close announced and not done",
            "9112 9.6",
            [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", POISON]
                .concat(),
            new,
        ),
        passes("a length and a silent close", "9112 9.6", new, new).then(CLOSE),
        passes("a length and a reset", "9112 9.6", new, new).then(ScriptEnd::Reset),
        passes("HTTP/1.0 until the end", "9112 6.3", old(""), CHUNKED).then(CLOSE),
        passes("HTTP/1.0 with a length", "9112 9.3", old("Content-Length: 5\r\n"), new),
        passes(
            "HTTP/1.0 with keep-alive",
            "9112 9.3",
            old("Connection: keep-alive\r\nContent-Length: 5\r\n"),
            new,
        ),
    ]
}

fn hops() -> Vec<Probe> {
    const PLAIN: &str = "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n\r\nhello";
    let stripped = |name, fields: &str| {
        let from = format!("HTTP/1.1 200 OK\r\n{fields}X: y\r\nContent-Length: 5\r\n\r\nhello");
        passes(name, "9110 7.6.1", from, PLAIN)
    };
    vec![
        stripped("Connection names a field", "Connection: x-secret\r\nX-Secret: 1\r\n"),
        stripped("Connection comes after", "X-Secret: 1\r\nConnection: X-SECRET\r\n"),
        stripped("Keep-Alive", "Keep-Alive: timeout=5\r\nConnection: keep-alive\r\n"),
        stripped("Proxy-Connection", "Proxy-Connection: close\r\n"),
        stripped("Upgrade", "Connection: upgrade\r\nUpgrade: h2c\r\n"),
        stripped("TE", "TE: x\r\n"),
        stripped("Trailer without chunks", "Trailer: X-Sum\r\n"),
        stripped("close is the origin's own", "Connection: close\r\n"),
    ]
}

#[test]
fn a_flood_of_interim_responses_ends_in_502() {
    let origin = Hostile::start();
    let (rosn, port) = rosn_before(origin.port());
    let bytes = b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100_000);
    origin.play(Script { bytes, ..Script::default() });
    let mut client = Client::connect(port);
    client.send(GET);
    let mut interims = 0;
    let last = loop {
        match client.read_response() {
            response if response.status == 103 => interims += 1,
            response => break response,
        }
    };
    assert_eq!(last.status, 502);
    assert!((10..100).contains(&interims), "{interims}");
    assert_eq!(client.get("/after").text(), "/after");
    drop(client);
    rosn.settled();
}

#[test]
fn bytes_that_come_while_a_connection_is_idle_are_given_to_nobody() {
    let origin = Hostile::start();
    let (rosn, port) = rosn_before(origin.port());
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec();
    for later in [POISON.to_vec(), b"\r\n".to_vec(), b"x".to_vec(), POISON.repeat(10_000)] {
        for request in ["GET", "POST", "HEAD"] {
            origin.play(Script { bytes: ok.clone(), later: later.clone(), end: ScriptEnd::Stay });
            let mut client = Client::connect(port);
            client.send(GET);
            assert_eq!(client.read_response().text(), "hello");
            origin.release();
            let response = client.request(request, "/mine", &[], b"");
            assert_eq!(
                response.header("content-length").as_deref(),
                Some("5"),
                "{request} {}",
                later.len()
            );
            let body = if request == "HEAD" { "" } else { "/mine" };
            assert_eq!(response.text(), body, "after {request}");
            assert_eq!(client.get("/next").text(), "/next");
        }
    }
    assert!(origin.connections() > 12, "a connection with bytes in it was used again");
    rosn.settled();
}

#[test]
fn a_connection_that_is_clean_is_used_again_after_any_kind_of_response() {
    let origin = Hostile::start();
    let (_rosn, port) = rosn_before(origin.port());
    let mut client = Client::connect(port);
    let responses = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n",
    ];
    for bytes in responses {
        origin.play(Script { bytes: bytes.into(), ..Script::default() });
        client.send(GET);
        if bytes.contains("103") {
            assert_eq!(client.read_response().status, 103);
        }
        let _ = client.read_response();
        assert_eq!(client.get("/after").text(), "/after", "{bytes}");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_response_may_be_cut_anywhere() {
    let origin = rosn_tests::origin::Origin::raw(|mut stream| {
        let mut buffer = [0; 4096];
        while let Ok(1..) = stream.read(&mut buffer) {
            let bytes = "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\n\
                Transfer-Encoding: chunked\r\n\r\n5;e=f\r\nhello\r\nA\r\n0123456789\r\n0\r\nT: u\r\n\r\n";
            for byte in bytes.as_bytes() {
                stream.write_all(&[*byte]).unwrap();
            }
        }
    });
    let (rosn, port) = rosn_before(origin.port());
    let mut client = Client::connect(port);
    for _ in 0..20 {
        let interim = client.get("/");
        assert_eq!(interim.head, "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n");
        let response = client.read_response();
        assert_eq!(response.head, "HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(response.text(), "hello0123456789");
        assert_eq!(response.trailers, [("T".to_owned(), "u".to_owned())]);
    }
    drop(client);
    rosn.settled();
    assert_eq!(origin.connections(), 1);
}
