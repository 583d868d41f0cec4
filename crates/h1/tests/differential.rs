//! This codec beside hyper, over samples and many small changes of them.

mod hyper_peer;

use hyper_peer::{compare, runtime};

const SAMPLES: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /a/b;c?d=e&f=%20 HTTP/1.1\r\nHost: a.b-c_d:80\r\nAccept: */*\r\nA: b\r\na:\tc \r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"\r\nHEAD /x HTTP/1.1\r\nHost: x\r\nConnection: close, te\r\nTE: trailers\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello worldGET / HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: x\r\ntransfer-encoding: Chunked\r\nTrailer: A\r\n\r\n\
        3;a=b;c=\"d\"\r\nabc\r\nA\r\n0123456789\r\n00;x\r\nA: b\r\nHost: y\r\nB: c\r\n\r\nrest",
    b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
    b"GET http://a.b:81/c?d HTTP/1.1\r\nHost: e\r\n\r\n",
    b"GET HTTP://a HTTP/1.1\r\nHost: e\r\n\r\n",
    b"GET http://[::1]:81/ HTTP/1.1\r\nHost: [::1]:81\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"M-SEARCH / HTTP/1.1\r\nHost:\r\nMAN: \"ssdp:discover\"\r\nMX: \xe9\r\n\r\n",
    b"DELETE /%00//../ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nCookie: a=b; c\r\n\r\n",
];

/// Bytes and words that framing turns on.
const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\r",
    b"\n",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"=",
    b"\"",
    b"\\",
    b"\0",
    b"\x0b",
    b"\x7f",
    b"\xff",
    b"0",
    b"1",
    b"a",
    b"f",
    b"+",
    b"-",
    b"x",
    b"0x",
    b"?",
    b"#",
    b"*",
    b"@",
    b"/",
    b"[",
    b"]",
    b"%",
    b"chunked",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 5, 5\r\n",
    b"Host: y\r\n",
    b"HTTP/1.0",
    b"Connection: close\r\n",
    b"Upgrade: h2c\r\n",
    b"0\r\n\r\n",
    b"1\r\nz\r\n",
    b";a=b",
    b"http://",
];

#[test]
fn samples_mean_the_same_to_hyper() {
    let runtime = runtime();
    for sample in SAMPLES {
        let text = String::from_utf8_lossy(sample);
        assert_eq!(compare(&runtime, sample), Ok(true), "{text:?}");
    }
}

#[test]
fn what_is_accepted_after_small_changes_means_the_same_to_hyper() {
    let runtime = runtime();
    let mut random = fastrand::Rng::with_seed(7230);
    let mut compared = 0;
    for _ in 0..100_000 {
        let mut bytes = SAMPLES[random.usize(..SAMPLES.len())].to_vec();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..=bytes.len());
            let removed = if random.bool() { random.usize(..3) } else { 0 };
            let end = (at + removed).min(bytes.len());
            let piece = PIECES[random.usize(..PIECES.len())];
            bytes.splice(at..end, piece.iter().copied());
        }
        match compare(&runtime, &bytes) {
            Ok(had_both) => compared += usize::from(had_both),
            Err(difference) => panic!("{:?}: {difference}", String::from_utf8_lossy(&bytes)),
        }
    }
    assert!(compared > 10_000, "only {compared} were accepted, so that little was compared");
}
