//! Any bytes as a body, in one piece and in many. The first byte says where to cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rosn_h1::{BodyDecoder, BodyEncoder, BodyError, Framing, Limits};

fuzz_target!(|input: &[u8]| {
    let Some((&cut, bytes)) = input.split_first() else { return };
    let limits = Limits { chunk_line: 64, trailer_bytes: 128, fields: 8, ..Limits::default() };
    for framing in [Framing::Chunked, Framing::Length(u64::from(cut)), Framing::UntilClose] {
        let whole = decode(bytes, framing, &limits, bytes.len().max(1));
        for step in [1, 2, usize::from(cut) + 1] {
            let pieces = decode(bytes, framing, &limits, step);
            assert_eq!(pieces.1, whole.1);
            if whole.1.is_ok() {
                assert_eq!(pieces, whole);
            }
        }
        if let ((content, trailers), Ok((_, true))) = whole {
            encode_again(&content, &trailers, framing);
        }
    }
});

type Outcome = ((Vec<u8>, Vec<u8>), Result<(usize, bool), BodyError>);

/// Content and trailers; how much was consumed, and whether the body ended.
fn decode(bytes: &[u8], framing: Framing, limits: &Limits, step: usize) -> Outcome {
    let mut decoder = BodyDecoder::new(framing, limits);
    let (mut content, mut consumed) = (Vec::new(), 0);
    while consumed < bytes.len() && !decoder.is_end() {
        let end = (consumed + step).min(bytes.len());
        let mut piece = bytes[consumed..end].to_vec();
        match decoder.decode(&mut piece) {
            Ok(decoded) => {
                assert!(decoded.data.end <= decoded.consumed && decoded.consumed <= piece.len());
                assert!(decoded.end || decoded.consumed == piece.len());
                assert_eq!(decoded.end, decoder.is_end());
                content.extend_from_slice(&piece[decoded.data]);
                consumed += decoded.consumed;
            }
            Err(error) => return ((content, Vec::new()), Err(error)),
        }
    }
    ((content, decoder.trailers().to_vec()), Ok((consumed, decoder.is_end())))
}

fn encode_again(content: &[u8], trailers: &[u8], framing: Framing) {
    let mut encoder = BodyEncoder::new(framing);
    let mut out = Vec::new();
    for piece in content.chunks(7) {
        let frame = encoder.frame(piece.len()).expect("it was as long before");
        out.extend_from_slice(frame.prefix());
        out.extend_from_slice(piece);
        out.extend_from_slice(frame.suffix());
    }
    encoder.finish(trailers, &mut out).expect("it was as long before");
    let again = decode(&out, framing, &Limits::default(), out.len().max(1));
    assert_eq!(again, ((content.to_vec(), trailers.to_vec()), Ok((out.len(), true))));
}
