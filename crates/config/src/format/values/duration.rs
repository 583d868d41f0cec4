//! Durations as Go writes them (`time.ParseDuration`).

use std::time::Duration;

/// What a duration looks like, as a regular expression of JSON Schema.
pub(super) const PATTERN: &str = "^\\+?(0|([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$";

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    /// There is a number without a unit.
    #[error("a duration needs a unit: write `{0}s`, or `ms`, `m`, `h`, `us`, `ns`")]
    NoUnit(String),
    /// There is a unit that Go does not know.
    #[error("`{0}` is no unit of time: use `ns`, `us`, `ms`, `s`, `m` or `h`")]
    BadUnit(String),
    /// It is below zero.
    #[error("this duration is negative")]
    Negative,
    /// It does not fit into 64 bits of nanoseconds, as in Go.
    #[error("this duration is longer than 290 years")]
    TooLong,
    /// It is no number with a unit at all.
    #[error("this is not a duration such as `15s`, `300ms` or `1m30s`")]
    Syntax,
}

/// Parses a duration such as `1m30s`, `1.5h` or `0`.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationError> {
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(DurationError::Syntax);
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let number_length =
            rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_length);
        let unit_length = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_length);
        total = total.saturating_add(nanoseconds(number, unit)?);
        rest = tail;
    }
    match u64::try_from(total) {
        Ok(total) if total > i64::MAX as u64 => Err(DurationError::TooLong),
        Ok(0) => Ok(Duration::ZERO),
        Ok(_) if negative => Err(DurationError::Negative),
        Ok(total) => Ok(Duration::from_nanos(total)),
        Err(_) => Err(DurationError::TooLong),
    }
}

fn nanoseconds(number: &str, unit: &str) -> Result<u128, DurationError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(DurationError::Syntax);
    }
    let scale: u128 = match unit {
        "ns" => 1,
        // U+00B5, the micro sign, and U+03BC, the letter mu.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3_600 * 1_000_000_000,
        "" => return Err(DurationError::NoUnit(number.to_owned())),
        _ => return Err(DurationError::BadUnit(unit.trim().to_owned())),
    };
    let digits = |text: &str| match text {
        "" => Ok(0),
        _ => text.parse::<u64>().map(u128::from).map_err(|_| DurationError::TooLong),
    };
    // What is below a nanosecond is cut off; twelve digits are enough even for hours.
    let fraction = &fraction[..fraction.len().min(15)];
    let part = digits(fraction)? * scale / 10u128.pow(u32::try_from(fraction.len()).unwrap_or(0));
    Ok(digits(whole)? * scale + part)
}

#[cfg(test)]
mod tests {
    use super::{DurationError, parse};
    use std::time::Duration;

    #[test]
    fn reads_what_go_reads() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("0s", 0),
            ("-0", 0),
            ("300ms", 300_000_000),
            ("1.5h", 5_400_000_000_000),
            ("1m30s", 90_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("+5us", 5_000),
            ("5\u{b5}s", 5_000),
            ("5\u{3bc}s", 5_000),
            ("7ns", 7),
            ("0.3333333333333333333h", 1_199_999_999_999),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, error) in [
            ("", DurationError::Syntax),
            ("15", DurationError::NoUnit("15".into())),
            ("1m15", DurationError::NoUnit("15".into())),
            ("15 s", DurationError::BadUnit("s".into())),
            ("15d", DurationError::BadUnit("d".into())),
            ("s", DurationError::Syntax),
            ("1..5s", DurationError::Syntax),
            ("-1s", DurationError::Negative),
            ("9999999999999h", DurationError::TooLong),
            ("99999999999999999999999s", DurationError::TooLong),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }
}
