//! As much of Rust's grammar as it takes to look at code without its comments and texts.

/// The source with comments, strings and characters blanked out; lines stay where they are.
pub(crate) fn without_comments_and_texts(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = skipped(rest, code.chars().next_back());
        if length == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.push(' ');
            code.extend(rest[..length].chars().filter(|&char| char == '\n'));
            rest = &rest[length..];
        }
    }
    code
}

/// The words of a line of code.
pub(crate) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|char: char| !char.is_alphanumeric() && char != '_').filter(|word| !word.is_empty())
}

/// How many bytes of a comment, string or character `rest` begins with; 0 = none.
fn skipped(rest: &str, before: Option<char>) -> usize {
    let in_a_word = before.is_some_and(|char| char.is_alphanumeric() || char == '_');
    match rest.as_bytes() {
        [b'/', b'/', ..] => rest.find('\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment(rest),
        [b'"', ..] => 1 + quoted(&rest[1..], b'"'),
        [b'\'', b'\\', ..] => 1 + quoted(&rest[1..], b'\''),
        // a character; a lifetime has no quote behind its first letter
        [b'\'', ..] => match rest[1..].chars().next() {
            Some(char) if rest[1 + char.len_utf8()..].starts_with('\'') => 2 + char.len_utf8(),
            _ => 0,
        },
        [b'r', ..] if !in_a_word => raw_string(rest, 1),
        [b'b', b'r', ..] if !in_a_word => raw_string(rest, 2),
        _ => 0,
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest.as_bytes()[at..].starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.as_bytes()[at..].starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// The bytes up to and with the closing quote.
fn quoted(rest: &str, quote: u8) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            byte if byte == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A raw string whose letters are `prefix` bytes; 0 where it is only a word that begins like one.
fn raw_string(rest: &str, prefix: usize) -> usize {
    let hashes = rest[prefix..].bytes().take_while(|&byte| byte == b'#').count();
    let start = prefix + hashes + 1;
    if rest.as_bytes().get(start - 1) != Some(&b'"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(source: &str) -> String {
        let code = without_comments_and_texts(source);
        words(&code).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_texts_are_blanked() {
        assert_eq!(left("a // unsafe\nb"), "a b");
        assert_eq!(left("a /* x /* unsafe */ y */ b"), "a b");
        assert_eq!(left(r#"a("unsafe \" unsafe", b)"#), "a b");
        assert_eq!(left("a(r#\"unsafe \" x\"#, br\"unsafe\", b)"), "a b");
        assert_eq!(left(r"a('\'', '\u{41}', '/', 'é', b'x') unsafe"), "a b unsafe");
    }

    #[test]
    fn code_stays() {
        assert_eq!(
            left("fn f<'a>(x: &'a str) { unsafe { r#type } }"),
            "fn f a x a str unsafe r type"
        );
        assert_eq!(left("forbid(unsafe_code)"), "forbid unsafe_code");
        assert_eq!(without_comments_and_texts("a /*\n\n*/ b\nc").lines().count(), 4);
    }
}
