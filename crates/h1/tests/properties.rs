//! What holds for any bytes and any way of cutting them.

use proptest::collection::vec;
use proptest::prelude::*;
use rosn_h1::{
    BodyDecoder, BodyEncoder, BodyError, Framing, Limits, Method, Progress, RequestHead,
    ResponseHead,
};

/// Small, so that random input reaches them.
const LIMITS: Limits =
    Limits { head_bytes: 200, fields: 6, request_line: 60, chunk_line: 24, trailer_bytes: 64 };

const REQUESTS: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\r\nPOST http://a:1/b?c HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"OPTIONS * HTTP/1.0\r\nConnection: keep-alive, a\r\nA:\tb \r\nContent-Length: 3\r\n\r\nabc",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nExpect: 100-continue\r\nUpgrade: b\r\n\r\n",
];

const RESPONSES: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nServer: a\r\n\r\nabc",
    b"HTTP/1.0 404\r\n\r\n",
    b"HTTP/1.1 101 Up\r\nConnection: upgrade, a\r\nUpgrade: b\r\nA: c\r\n\r\n",
    b"HTTP/1.1 500 \xff\t\r\nTransfer-Encoding: chunked\r\nTrailer: a\r\n\r\n",
];

const BODIES: &[&[u8]] = &[
    b"5\r\nhello\r\n3;a=\"b\"\r\nabc\r\n0\r\n\r\nrest",
    b"0\r\nA: b\r\nHost: c\r\nD: e\r\n\r\nrest",
    b"1 ; a = b ;c\r\nx\r\n000\r\n\r\n",
];

/// All that a request head says, or why it was refused; at the last of these cuts.
fn request(bytes: &[u8], cuts: impl IntoIterator<Item = usize>) -> String {
    let mut head = RequestHead::default();
    for cut in cuts {
        match head.parse(&bytes[..cut], &LIMITS) {
            Ok(Progress::Partial) => {}
            Ok(Progress::Complete(length)) => {
                return format!(
                    "{length} {:?} {:?} {:?} {:?} {:?} {} {} {}",
                    head.method(),
                    head.authority(bytes),
                    head.path_and_query(bytes),
                    head.framing(),
                    head.fields(),
                    head.keep_alive(),
                    head.upgrade(),
                    head.expects_continue(),
                );
            }
            Err(error) => return format!("{error:?}"),
        }
    }
    "partial".to_owned()
}

/// The same of a response head.
fn response(bytes: &[u8], method: Method, cuts: impl IntoIterator<Item = usize>) -> String {
    let mut head = ResponseHead::default();
    for cut in cuts {
        match head.parse(&bytes[..cut], &LIMITS, method) {
            Ok(Progress::Partial) => {}
            Ok(Progress::Complete(length)) => {
                return format!(
                    "{length} {} {:?} {:?} {:?} {}",
                    head.status(),
                    head.reason(),
                    head.framing(),
                    head.fields(),
                    head.keep_alive(),
                );
            }
            Err(error) => return format!("{error:?}"),
        }
    }
    "partial".to_owned()
}

/// What a body says when it comes in pieces that end at these cuts.
#[derive(Debug, PartialEq)]
struct Body {
    content: Vec<u8>,
    trailers: Vec<u8>,
    consumed: usize,
    outcome: Result<bool, BodyError>,
}

fn body(bytes: &[u8], framing: Framing, cuts: impl IntoIterator<Item = usize>) -> Body {
    let mut decoder = BodyDecoder::new(framing, &LIMITS);
    let (mut content, mut consumed) = (Vec::new(), 0);
    let mut outcome = Ok(decoder.is_end());
    for cut in cuts {
        let mut piece = bytes[consumed..cut.max(consumed)].to_vec();
        match decoder.decode(&mut piece) {
            Ok(decoded) => {
                assert!(decoded.data.end <= decoded.consumed && decoded.consumed <= piece.len());
                assert!(decoded.end || decoded.consumed == piece.len());
                content.extend_from_slice(&piece[decoded.data]);
                consumed += decoded.consumed;
                outcome = Ok(decoded.end);
            }
            Err(error) => {
                // Where one piece fails as a whole, less of it may have been passed on.
                content.clear();
                (consumed, outcome) = (0, Err(error));
                break;
            }
        }
        if decoder.is_end() {
            break;
        }
    }
    Body { content, trailers: decoder.trailers().to_vec(), consumed, outcome }
}

#[test]
fn every_cut_of_a_sample_gives_the_same() {
    for bytes in REQUESTS {
        let whole = request(bytes, [bytes.len()]);
        assert_ne!(whole, "partial");
        for cut in 0..bytes.len() {
            assert_eq!(request(bytes, [cut, bytes.len()]), whole, "cut at {cut}");
        }
        assert_eq!(request(bytes, 0..=bytes.len()), whole);
    }
    for bytes in RESPONSES {
        let whole = response(bytes, Method::Get, [bytes.len()]);
        assert_ne!(whole, "partial");
        for cut in 0..bytes.len() {
            assert_eq!(response(bytes, Method::Get, [cut, bytes.len()]), whole, "cut at {cut}");
        }
        assert_eq!(response(bytes, Method::Get, 0..=bytes.len()), whole);
    }
    for bytes in BODIES {
        let whole = body(bytes, Framing::Chunked, [bytes.len()]);
        assert_eq!(whole.outcome, Ok(true));
        for cut in 0..bytes.len() {
            assert_eq!(body(bytes, Framing::Chunked, [cut, bytes.len()]), whole, "cut at {cut}");
        }
        assert_eq!(body(bytes, Framing::Chunked, 0..=bytes.len()), whole);
    }
}

/// One of the samples with some bytes replaced, inserted or removed.
fn mutated(samples: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        proptest::sample::select(&b"\r\n\t :;,=\"\0\x7f\xff0a/?#*@[]"[..]),
        any::<u8>(),
    ];
    let edit = (any::<proptest::sample::Index>(), 0..3u8, byte);
    (proptest::sample::select(samples), vec(edit, 0..4)).prop_map(|(sample, edits)| {
        let mut bytes = sample.to_vec();
        for (at, kind, byte) in edits {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => {}
            }
        }
        bytes
    })
}

fn sorted_cuts(cuts: &[proptest::sample::Index], length: usize) -> Vec<usize> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(length + 1)).collect();
    cuts.push(length);
    cuts.sort_unstable();
    cuts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_request_reads_the_same_however_it_is_cut(
        bytes in prop_oneof![4 => mutated(REQUESTS), 1 => vec(any::<u8>(), 0..300)],
        cuts: Vec<proptest::sample::Index>,
    ) {
        let whole = request(&bytes, [bytes.len()]);
        prop_assert_eq!(&request(&bytes, sorted_cuts(&cuts, bytes.len())), &whole);
        prop_assert_eq!(&request(&bytes, 0..=bytes.len()), &whole);
    }

    #[test]
    fn a_response_reads_the_same_however_it_is_cut(
        bytes in prop_oneof![4 => mutated(RESPONSES), 1 => vec(any::<u8>(), 0..300)],
        cuts: Vec<proptest::sample::Index>,
    ) {
        for method in [Method::Get, Method::Head, Method::Connect] {
            let whole = response(&bytes, method, [bytes.len()]);
            let cuts = sorted_cuts(&cuts, bytes.len());
            prop_assert_eq!(&response(&bytes, method, cuts), &whole);
            prop_assert_eq!(&response(&bytes, method, 0..=bytes.len()), &whole);
        }
    }

    #[test]
    fn a_body_reads_the_same_however_it_is_cut(
        bytes in prop_oneof![4 => mutated(BODIES), 1 => vec(any::<u8>(), 0..300)],
        cuts: Vec<proptest::sample::Index>,
        length in 0..100u64,
    ) {
        for framing in [Framing::Chunked, Framing::Length(length), Framing::UntilClose] {
            let whole = body(&bytes, framing, [bytes.len()]);
            let cuts = sorted_cuts(&cuts, bytes.len());
            prop_assert_eq!(&body(&bytes, framing, cuts), &whole);
            prop_assert_eq!(&body(&bytes, framing, 0..=bytes.len()), &whole);
        }
    }

    #[test]
    fn what_was_encoded_is_decoded(
        pieces in vec(vec(any::<u8>(), 0..500), 0..8),
        has_trailers: bool,
        cuts: Vec<proptest::sample::Index>,
        rest in vec(any::<u8>(), 0..20),
    ) {
        let content = pieces.concat();
        let trailers: &[u8] = if has_trailers { b"A: b\r\nC:\r\n" } else { b"" };
        for framing in [Framing::Chunked, Framing::Length(content.len() as u64)] {
            let mut encoder = BodyEncoder::new(framing);
            let mut bytes = Vec::new();
            for piece in &pieces {
                let frame = encoder.frame(piece.len()).expect("it fits");
                bytes.extend_from_slice(frame.prefix());
                bytes.extend_from_slice(piece);
                bytes.extend_from_slice(frame.suffix());
            }
            encoder.finish(trailers, &mut bytes).expect("all was written");
            let consumed = bytes.len();
            bytes.extend_from_slice(&rest);
            let decoded = body(&bytes, framing, sorted_cuts(&cuts, bytes.len()));
            let trailers = if framing == Framing::Chunked { trailers } else { b"" };
            let expected =
                Body { content: content.clone(), trailers: trailers.to_vec(), consumed, outcome: Ok(true) };
            prop_assert_eq!(decoded, expected);
        }
    }
}
