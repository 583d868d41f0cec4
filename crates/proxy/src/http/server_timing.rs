//! `Server-Timing`: the phases of a request, for its client (W3C Server Timing).

use std::io::Write as _;

use super::record::Record;

/// Appends the field, with its CRLF: the phases that happened, in milliseconds, and the time until `now`. What rosn
/// answers itself says why; no address is named.
pub(super) fn encode(record: &Record, now: u64, out: &mut Vec<u8>) {
    let phases = &record.phases;
    let named = [
        ("dns", phases.dns),
        ("connect", phases.connect),
        ("tls", phases.tls),
        ("pool", phases.pool_wait),
        ("wait", phases.first_byte),
    ];
    out.extend_from_slice(b"Server-Timing: ");
    for (name, took) in named {
        if let Some(nanos) = took.value() {
            write!(out, "{name};dur={}, ", millis(nanos)).expect("a Vec takes all bytes");
        }
    }
    if phases.reused == Some(true) {
        out.extend_from_slice(b"connection;desc=reused, ");
    }
    let total = millis(now.saturating_sub(record.start));
    write!(out, "total;dur={total}").expect("a Vec takes all bytes");
    if record.own {
        write!(out, ";desc={}", record.details).expect("a Vec takes all bytes");
    }
    out.extend_from_slice(b"\r\n");
}

/// Milliseconds, to the microsecond.
fn millis(nanos: u64) -> f64 {
    (nanos / 1000) as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{Phases, Took};

    fn encoded(record: &Record, now: u64) -> String {
        let mut out = Vec::new();
        encode(record, now, &mut out);
        String::from_utf8(out).expect("it is ASCII")
    }

    #[test]
    fn says_what_happened_and_nothing_else() {
        let made = Phases {
            connect: Took::nanos(1_230_999),
            tls: Took::nanos(9_000_000),
            first_byte: Took::nanos(0),
            reused: Some(false),
            ..Phases::default()
        };
        let mut record = Record { start: 1_000_000, phases: made, ..Record::default() };
        let text = "Server-Timing: connect;dur=1.23, tls;dur=9, wait;dur=0, total;dur=14\r\n";
        assert_eq!(encoded(&record, 15_000_000), text);
        record.phases = Phases { reused: Some(true), ..Phases::default() };
        (record.own, record.details) = (true, "upstream_reset_before_response");
        let text = "Server-Timing: connection;desc=reused, total;dur=0.001;desc=upstream_reset_before_response\r\n";
        assert_eq!(encoded(&record, 1_001_000), text);
    }
}
