//! How a row of requests is sent and judged.

use rosn_tests::client::Client;
use rosn_tests::probe::{Recorder, Seen, text};
use rosn_tests::{Rosn, wait_until};

use crate::{all, rosn_before};

/// A request that the origin must not see if the one before it is refused.
pub(crate) const POISON: &[u8] = b"GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n";

/// A row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    pub(crate) name: &'static str,
    /// The section that it rests on.
    pub(crate) rfc: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) expect: Expect,
}

/// What has to come of it.
#[derive(Debug, Clone)]
pub(crate) enum Expect {
    /// This status, then the end of the connection; nothing reaches the origin, nor does what follows.
    Refused(u16),
    /// The same, but the origin may see a beginning of it. It never sees the end.
    BrokenOff(u16),
    /// The origin gets exactly this, and the connection goes on.
    Passes(Seen),
    /// The origin gets exactly this, and the connection ends after the response.
    PassesLast(Seen),
}

pub(crate) fn refused(
    name: &'static str,
    rfc: &'static str,
    bytes: impl AsRef<[u8]>,
    status: u16,
) -> Probe {
    Probe { name, rfc, bytes: bytes.as_ref().to_vec(), expect: Expect::Refused(status) }
}

/// The origin gets this head and no body.
pub(crate) fn passes(
    name: &'static str,
    rfc: &'static str,
    bytes: impl AsRef<[u8]>,
    head: &str,
) -> Probe {
    let seen = Seen { head: head.to_owned(), ..Seen::default() };
    Probe { name, rfc, bytes: bytes.as_ref().to_vec(), expect: Expect::Passes(seen) }
}

/// GET with `Host: a` and further field lines.
pub(crate) fn get(fields: impl AsRef<[u8]>) -> Vec<u8> {
    [b"GET / HTTP/1.1\r\nHost: a\r\n", fields.as_ref(), b"\r\n"].concat()
}

/// POST with `Host: a`, further field lines and what follows the head.
pub(crate) fn post(fields: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Vec<u8> {
    [b"POST / HTTP/1.1\r\nHost: a\r\n", fields.as_ref(), b"\r\n", body.as_ref()].concat()
}

/// Sends each row whole and in pieces: the answer must not depend on how the bytes are cut.
pub(crate) fn check(rows: &[Probe]) {
    let recorder = Recorder::start();
    let (rosn, port) = rosn_before(recorder.port());
    let name = |row: &Probe| format!("{} (RFC {})", row.name, row.rfc);
    all(rows, name, |row| {
        for piece in [usize::MAX, (row.bytes.len() / 100).max(1)] {
            // What a row that failed has left behind is not for the next one.
            let _ = recorder.take();
            probe(row, piece, (&rosn, port), &recorder);
        }
    });
    rosn.settled();
    assert_eq!(recorder.take(), [], "it came late");
}

fn probe(row: &Probe, piece: usize, (rosn, port): (&Rosn, u16), recorder: &Recorder) {
    let mut client = Client::connect(port);
    let refused = matches!(row.expect, Expect::Refused(_) | Expect::BrokenOff(_));
    let bytes = [&row.bytes[..], if refused { POISON } else { b"" }].concat();
    for part in bytes.chunks(piece) {
        // A peer that refuses early need not read on, but it has to let its answer be read.
        client.try_send(part).unwrap();
    }
    let method = if row.bytes.starts_with(b"HEAD ") { "HEAD" } else { "GET" };
    let response = client.read_response_to(method);
    match &row.expect {
        Expect::Refused(status) | Expect::BrokenOff(status) => {
            assert_eq!(response.status, *status, "{}", response.text());
            assert_eq!(response.header("connection").as_deref(), Some("close"));
            assert!(client.is_closed(), "more than one response, or a reset");
            drop(client);
            if matches!(row.expect, Expect::Refused(_)) {
                assert_eq!(recorder.take(), []);
            } else {
                is_broken_off(rosn, recorder);
            }
        }
        Expect::Passes(seen) => {
            assert_eq!(response.status, 200, "{}", response.text());
            assert_eq!(
                response.header("connection").unwrap_or_default().replace("keep-alive", ""),
                ""
            );
            assert_eq!(taken(recorder), std::slice::from_ref(seen));
            assert_eq!(client.get("/after").status, 200);
            let after = recorder.take();
            assert_eq!(after.len(), 1);
            assert_eq!(after[0].head, "GET /after HTTP/1.1\r\nHost: localhost");
        }
        Expect::PassesLast(seen) => {
            assert_eq!(response.status, 200, "{}", response.text());
            assert!(client.is_closed(), "the connection stays open");
            assert_eq!(taken(recorder), std::slice::from_ref(seen));
        }
    }
}

/// What the origin saw, with `ORIGIN` in place of its address.
fn taken(recorder: &Recorder) -> Vec<Seen> {
    let mut seen = recorder.take();
    let address = format!("127.0.0.1:{}", recorder.port());
    seen.iter_mut().for_each(|seen| seen.head = seen.head.replace(&address, "ORIGIN"));
    seen
}

/// The origin sees a beginning at most, and then the end of its connection.
fn is_broken_off(rosn: &Rosn, recorder: &Recorder) {
    wait_until("the origin has seen all ends of connections", || {
        let all = rosn.metric("upstream_connection_total", &[("cluster", "c")]);
        let (_, requests, open) = rosn.active();
        requests == 0 && recorder.ended() as u64 + open == all as u64
    });
    for seen in recorder.take() {
        assert_eq!(seen.fault, Some("it ended early"), "{seen:?}");
        assert!(!seen.head.contains("/smuggled"), "{seen:?}");
    }
}

#[test]
fn the_tables_are_long_enough_and_every_row_has_its_section() {
    let rows = [crate::heads::rows(), crate::chunks::rows()].concat();
    assert!(rows.len() >= 100, "{}", rows.len());
    for row in &rows {
        let (number, section) = row.rfc.split_once(' ').unwrap();
        assert!(number.parse::<u16>().is_ok() && section.contains(|c: char| c.is_ascii_digit()));
        assert!(rows.iter().filter(|other| other.name == row.name).count() == 1, "{}", row.name);
    }
}

#[test]
fn pipelined_requests_are_served_up_to_the_first_that_is_refused() {
    let recorder = Recorder::start();
    let (rosn, port) = rosn_before(recorder.port());
    let good = get("X-Good: 1\r\n");
    let with_body = post("Content-Length: 5\r\n", "GET /");
    let chunked = post("Transfer-Encoding: chunked\r\n", "5\r\nGET /\r\n0\r\n\r\n");
    let bad = post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n");
    let bytes = [&good, &with_body, &chunked, &good, &bad, POISON].concat();
    for piece in [usize::MAX, 7, 1] {
        let mut client = Client::connect(port);
        bytes.chunks(piece).for_each(|part| client.send(part));
        for _ in 0..4 {
            assert_eq!(client.read_response().status, 200);
        }
        assert_eq!(client.read_response().status, 400);
        assert!(client.is_closed());
        let seen = recorder.take();
        let bodies: Vec<&str> = seen.iter().map(|seen| &*seen.body).collect();
        assert_eq!(bodies, ["", "GET /", "GET /", ""]);
        assert!(seen.iter().all(|seen| seen.fault.is_none()), "{seen:?}");
    }
    rosn.settled();
    assert_eq!(recorder.take(), []);
}

#[test]
fn what_follows_the_last_request_is_not_served_and_does_not_cost_the_response() {
    let recorder = Recorder::start();
    let (rosn, port) = rosn_before(recorder.port());
    let lasts: [&[u8]; 4] = [
        b"GET /last HTTP/1.0\r\nHost: a\r\n\r\n",
        b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"POST /last HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"POST /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ];
    for last in lasts {
        let mut client = Client::connect(port);
        client.send([last, &POISON.repeat(3000)].concat());
        assert_eq!(client.read_response().status, 200);
        assert!(client.is_closed());
        let seen = recorder.take();
        assert!(seen.len() == 1 && seen[0].head.contains("/last"), "{seen:?}");
    }
    rosn.settled();
    assert_eq!(recorder.take(), []);
}

#[test]
fn every_byte_that_must_not_be_in_a_field_is_refused_and_every_other_passes() {
    let recorder = Recorder::start();
    let (_rosn, port) = rosn_before(recorder.port());
    for byte in 0..=255_u8 {
        let mut client = Client::connect(port);
        client.send(get([b"X-Byte: a", &[byte][..], b"b\r\n"].concat()));
        client.send(POISON);
        let status = client.read_response().status;
        let seen = recorder.take();
        // RFC 9110 section 5.5: visible characters, space, tab and what is not ASCII.
        if matches!(byte, b'\t' | b' '..=b'~' | 0x80..) {
            assert_eq!(status, 200, "{byte:#x}");
            assert_eq!(client.read_response().status, 200);
            let value = text(&[b'a', byte, b'b']);
            assert_eq!(seen[0].head, format!("GET / HTTP/1.1\r\nHost: a\r\nX-Byte: {value}"));
        } else {
            assert_eq!(status, 400, "{byte:#x}");
            assert_eq!(seen, []);
            assert!(client.is_closed(), "{byte:#x}");
        }
        let _ = recorder.take();
    }
}
