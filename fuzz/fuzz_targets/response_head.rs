//! Any bytes as a response head, whole and byte by byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rosn_h1::{Framing, Limits, Method, Progress, ResponseHead};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { head_bytes: 2048, fields: 16, request_line: 256, ..Limits::default() };
    for method in [Method::Get, Method::Head, Method::Connect] {
        let mut whole = ResponseHead::default();
        let expected = whole.parse(bytes, &limits, method);
        let mut pieces = ResponseHead::default();
        let mut outcome = pieces.parse(b"", &limits, method);
        for end in 1..=bytes.len() {
            if outcome != Ok(Progress::Partial) {
                break;
            }
            outcome = pieces.parse(&bytes[..end], &limits, method);
        }
        assert_eq!(outcome, expected);
        if let Ok(Progress::Complete(length)) = outcome {
            assert_eq!(pieces.fields(), whole.fields());
            assert_eq!(pieces.framing(), whole.framing());
            check(&whole, &bytes[..length], method);
        }
    }
});

fn check(head: &ResponseHead, bytes: &[u8], method: Method) {
    assert!((100..1000).contains(&head.status()));
    assert!(bytes.ends_with(b"\r\n\r\n"));
    head.reason().of(bytes);
    head.value(bytes, "a");
    let has_none =
        method == Method::Head || head.status() < 200 || matches!(head.status(), 204 | 304);
    assert!(!has_none || head.framing() == Framing::None);
    assert!(head.framing() != Framing::UntilClose || !head.keep_alive());
    let mut at = head.reason().end + 2;
    for field in head.fields() {
        assert_eq!((field.line.start, field.name.start), (at, at));
        assert!(field.line.of(bytes).ends_with(b"\r\n"));
        at = field.line.end;
    }
    assert_eq!(at as usize + 2, bytes.len());
}
