//! The line that a finding is about, fit to be shown.

use crate::text::{Source, Span, is_secret_key};

/// How many characters of a line are shown at most, and how many of them before the place.
const WIDTH: usize = 110;
const BEFORE: usize = 40;

/// A part of one line, and what is marked in it.
#[derive(Debug, Clone)]
pub(super) struct Excerpt {
    /// Secrets masked, control characters replaced, cut on both sides where it is long.
    pub(super) text: String,
    /// How many characters stand before the mark.
    pub(super) column: usize,
    /// How many characters are marked, at least one.
    pub(super) width: usize,
}

impl Excerpt {
    pub(super) fn new(source: &Source, span: Span) -> Self {
        let at = source.boundary(span.start as usize);
        let (line, _) = source.position(at);
        let (start, end) = source.line(line);
        let at = at.min(end);
        let from = source.text[start..at].char_indices().rev().nth(BEFORE - 1);
        let from = from.map_or(start, |(index, _)| start + index);
        let from = if from - start < 8 { start } else { from };
        let shown = shown(source, from, end);
        let marked = source.boundary(span.end as usize).clamp(at, end);
        let column = source.text[from..at].chars().count();
        // What goes on over several lines is marked at its first character.
        let many = marked < source.boundary(span.end as usize);
        let width = if many { 1 } else { source.text[at..marked].chars().take(WIDTH).count() };
        let width = width.min(shown.chars().count().saturating_sub(column)).max(1);
        let cut = if from > start { "…" } else { "" };
        Self { text: format!("{cut}{shown}"), column: column + cut.chars().count(), width }
    }
}

/// At most [`WIDTH`] characters of a line, from the byte `from`.
fn shown(source: &Source, from: usize, end: usize) -> String {
    let whole_line_secret = inside_pem(source, from);
    let fallback = unparsed_secret(source, from, end);
    let mut secrets = source.secrets.iter().filter(|(_, to)| *to as usize > from).peekable();
    let mut text = String::new();
    for (count, (index, c)) in source.text[from..end].char_indices().enumerate() {
        if count == WIDTH {
            text.push('…');
            break;
        }
        let at = from + index;
        while secrets.peek().is_some_and(|(_, to)| *to as usize <= at) {
            secrets.next();
        }
        let secret = secrets.peek().is_some_and(|(start, _)| *start as usize <= at);
        text.push(match c {
            _ if secret || whole_line_secret || fallback.is_some_and(|from| at >= from) => '*',
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        });
    }
    text
}

/// Whether a place is between the BEGIN and END lines of a private key, which a value in YAML may be.
fn inside_pem(source: &Source, at: usize) -> bool {
    // Longer than any key.
    let near = source.boundary(at.saturating_sub(16 * 1024));
    let before = &source.text[near..at];
    before.rfind("-----BEGIN").is_some_and(|begin| {
        before[begin..].contains("PRIVATE KEY") && !before[begin..].contains("-----END")
    })
}

/// In a file that could not be parsed: where the value of a secret key begins on this line.
fn unparsed_secret(source: &Source, from: usize, end: usize) -> Option<usize> {
    if source.root.is_some() {
        return None;
    }
    let line = &source.text[from..end];
    let word = |c: char| !(c.is_alphanumeric() || c == '_' || c == '-');
    let (mut at, mut found) = (0, None);
    for piece in line.split_inclusive(word) {
        at += piece.len();
        let key = piece.trim_end_matches(word);
        let follows = line[at - (piece.len() - key.len())..].trim_start_matches(['"', '\'', ' ']);
        // Whether `key` is one cannot be told here.
        let secret = is_secret_key(key) || key.eq_ignore_ascii_case("key");
        if secret && follows.starts_with([':', '=']) {
            let colon = line.len() - follows.len() + 1;
            found = found.or(Some(from + colon));
        }
    }
    found
}
