//! Comments in JSON, which v2ray allows.

/// The text with spaces in the place of comments (`//`, `#` and `/* */`), so that every place stays where it is.
pub(super) fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (length, comment) = match c {
            '"' => (string(rest), false),
            '#' => (line(rest), true),
            '/' if rest.starts_with("//") => (line(rest), true),
            '/' if rest.starts_with("/*") => (block(rest), true),
            _ => (c.len_utf8(), false),
        };
        let (piece, after) = rest.split_at(length);
        if comment {
            // A character of several bytes becomes as many spaces.
            out.extend(piece.chars().flat_map(|c| {
                let shown = if matches!(c, '\n' | '\r') { c } else { ' ' };
                std::iter::repeat_n(shown, c.len_utf8())
            }));
        } else {
            out.push_str(piece);
        }
        rest = after;
    }
    out
}

/// Bytes of a string with its quotes, or of what there is of it.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            // A string that does not end on its line is for the parser to report.
            b'"' => return at + 1,
            b'\n' => return at,
            _ => {}
        }
    }
    text.len()
}

fn line(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

fn block(text: &str) -> usize {
    text[2..].find("*/").map_or(text.len(), |at| at + 4)
}

#[cfg(test)]
mod tests {
    use super::blank;

    #[test]
    fn comments_become_spaces_and_strings_stay() {
        for (text, expected) in [
            ("{} // é\n1", "{}      \n1"),
            ("{# a\n\"#/*\\\"//\": 1}", "{   \n\"#/*\\\"//\": 1}"),
            ("/* a\nb */1", "    \n    1"),
            ("/* a", "    "),
            ("\"a\n// b", "\"a\n    "),
            ("/", "/"),
            ("\"", "\""),
            ("\"\\", "\"\\"),
        ] {
            assert_eq!(blank(text), expected, "{text}");
            assert_eq!(blank(text).len(), text.len());
        }
    }
}
