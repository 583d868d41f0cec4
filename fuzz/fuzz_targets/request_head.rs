//! Any bytes as a request head, whole and byte by byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rosn_h1::{Framing, Limits, Progress, RequestHead};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { head_bytes: 2048, fields: 16, request_line: 256, ..Limits::default() };
    let mut whole = RequestHead::default();
    let expected = whole.parse(bytes, &limits);
    if let Ok(Progress::Complete(length)) = expected {
        check(&whole, bytes, length);
    }
    let mut pieces = RequestHead::default();
    let mut outcome = pieces.parse(b"", &limits);
    for end in 1..=bytes.len() {
        if outcome != Ok(Progress::Partial) {
            break;
        }
        outcome = pieces.parse(&bytes[..end], &limits);
    }
    assert_eq!(outcome, expected);
    if outcome.is_ok_and(|progress| progress != Progress::Partial) {
        assert_eq!(pieces.fields(), whole.fields());
        assert_eq!(pieces.framing(), whole.framing());
        assert_eq!(pieces.authority(bytes), whole.authority(bytes));
        assert_eq!(pieces.path_and_query(bytes), whole.path_and_query(bytes));
    }
});

/// All that a proxy asks of a head, and that its lines make up the head.
fn check(head: &RequestHead, bytes: &[u8], length: usize) {
    let bytes = &bytes[..length];
    assert_ne!(head.framing(), Framing::UntilClose);
    assert!(bytes.ends_with(b"\r\n\r\n"));
    assert!(head.path_and_query(bytes).starts_with(head.path(bytes)));
    assert!(!head.method_span().is_empty() && !head.target().is_empty());
    head.authority(bytes);
    head.value(bytes, "a");
    let _ = (head.keep_alive(), head.upgrade(), head.expects_continue());
    let mut at = head.target().end + b" HTTP/1.1\r\n".len() as u32;
    for field in head.fields() {
        assert_eq!(field.line.start, at);
        assert_eq!(field.name.start, at);
        assert!(field.name.end < field.value.end.max(field.name.end + 1));
        assert!(field.value.start <= field.value.end && field.value.end + 2 <= field.line.end);
        assert!(field.line.of(bytes).ends_with(b"\r\n"));
        at = field.line.end;
    }
    assert_eq!(at as usize + 2, length);
}
