//! `grpc-timeout`: up to eight digits and a unit.

use std::io::Write as _;

/// The units, with their nanoseconds, from the finest.
const UNITS: [(u8, u64); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];
/// What eight digits can say.
const MOST: u64 = 99_999_999;

/// The time in nanoseconds; `None` for what is no timeout.
pub(super) fn parse(value: &[u8]) -> Option<u64> {
    let (unit, digits) = value.split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (_, nanos) = UNITS.iter().find(|(known, _)| known == unit)?;
    let count = digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Some(count.saturating_mul(*nanos))
}

/// Appends a time, as exactly as eight digits can say it, and never as more than it is.
pub(super) fn encode(nanos: u64, out: &mut Vec<u8>) {
    let fitting = UNITS.iter().find(|(_, unit)| nanos / unit <= MOST);
    let (name, unit) = fitting.unwrap_or(&UNITS[UNITS.len() - 1]);
    write!(out, "{}{}", (nanos / unit).min(MOST), char::from(*name))
        .expect("a Vec takes all bytes");
}
