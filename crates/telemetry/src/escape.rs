//! Keeps what a peer sent from forging lines of a log.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Replaces each control character (below 0x20, and 0x7f) of `out[start..]` by `\xHH`.
///
/// A header value cannot end a line of the log or move a terminal's cursor then. Works in place;
/// without a control character it is one scan.
pub(crate) fn escape_control(out: &mut Vec<u8>, start: usize) {
    let found = out[start..].iter().filter(|byte| byte.is_ascii_control()).count();
    if found == 0 {
        return;
    }
    let mut read = out.len();
    let mut write = read + 3 * found;
    out.resize(write, 0);
    // From the back, so that what is not yet read is never overwritten.
    while read > start {
        read -= 1;
        let byte = out[read];
        if byte.is_ascii_control() {
            write -= 4;
            out[write] = b'\\';
            out[write + 1] = b'x';
            out[write + 2] = HEX[usize::from(byte >> 4)];
            out[write + 3] = HEX[usize::from(byte & 15)];
        } else {
            write -= 1;
            out[write] = byte;
        }
    }
}

/// Appends `text` as a JSON string (RFC 8259 section 7), quotes included. What is not UTF-8
/// becomes U+FFFD.
pub(crate) fn append_json_string(text: &[u8], out: &mut Vec<u8>) {
    serde_json::to_writer(out, &String::from_utf8_lossy(text))
        .expect("a string is always valid JSON and a Vec takes every write");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_comes_after_the_start_is_escaped() {
        let mut out = b"a\nb\r\n\x1b[2Jc\x7f\xff\xc3\xa4".to_vec();
        escape_control(&mut out, 2);
        assert_eq!(out, b"a\nb\\x0d\\x0a\\x1b[2Jc\\x7f\xff\xc3\xa4");
    }

    proptest! {
        #[test]
        fn no_control_character_is_left_and_nothing_else_changes(text: Vec<u8>) {
            let mut out = text.clone();
            escape_control(&mut out, 0);
            let mut expected = Vec::new();
            for byte in text {
                match byte {
                    0..0x20 | 0x7f => expected.extend(format!("\\x{byte:02x}").bytes()),
                    byte => expected.push(byte),
                }
            }
            prop_assert_eq!(out, expected);
        }

        #[test]
        fn a_json_string_reads_back(text: Vec<u8>) {
            let mut out = Vec::new();
            append_json_string(&text, &mut out);
            let back: String = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(back, String::from_utf8_lossy(&text));
        }
    }
}
