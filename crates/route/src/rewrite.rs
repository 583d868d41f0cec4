//! How the path of a request is changed on its way.

use std::sync::Arc;

use regex::bytes::{Captures, Regex};
use rosn_config::checked::{Match, MatchKind, PathRewrite};

use crate::RouteFault;
use crate::regexes::Regexes;

/// A change of the path.
#[derive(Debug)]
pub(crate) enum Rewrite {
    /// So many bytes at the start are replaced.
    Prefix { matched: usize, by: Box<[u8]> },
    /// The whole path is replaced.
    Whole(Box<[u8]>),
    /// Whatever the pattern finds is replaced.
    Search { regex: Arc<Regex>, by: Box<[Piece]> },
}

/// A piece of what is put in place of a match.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(Box<[u8]>),
    Group(usize),
}

impl Rewrite {
    /// `prefix_rewrite` changes what a prefix or path match has found; it does nothing beside a
    /// match of another kind, as in MOSN.
    pub(crate) fn compile(
        rewrite: &PathRewrite,
        matcher: &Match,
        regexes: &mut Regexes,
    ) -> Result<Option<Self>, RouteFault> {
        let text = match rewrite {
            PathRewrite::Prefix(text) => text,
            PathRewrite::Regex { substitution, .. } => substitution,
        };
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(RouteFault::BadRewrite);
        }
        Ok(match (rewrite, &matcher.kind) {
            (PathRewrite::Regex { pattern, substitution }, _) => {
                let regex = regexes.compile(pattern)?;
                let by = pieces(substitution, &regex);
                Some(Self::Search { regex, by })
            }
            (PathRewrite::Prefix(by), MatchKind::Prefix(prefix)) => {
                Some(Self::Prefix { matched: prefix.len(), by: by.as_bytes().into() })
            }
            (PathRewrite::Prefix(by), MatchKind::Path { .. }) => {
                Some(Self::Whole(by.as_bytes().into()))
            }
            (PathRewrite::Prefix(_), _) => None,
        })
    }

    /// Appends the new path and the old query to `out`. Returns false, with `out` as it was, where
    /// that would be the same as before.
    pub(crate) fn apply(&self, path_and_query: &[u8], out: &mut Vec<u8>) -> bool {
        let length = memchr::memchr(b'?', path_and_query).unwrap_or(path_and_query.len());
        let (path, query) = path_and_query.split_at(length);
        let start = out.len();
        match self {
            Self::Prefix { matched, by } => {
                let Some(rest) = path.get(*matched..) else { return false };
                push_rooted(by, rest, out);
            }
            Self::Whole(by) => push_rooted(by, b"", out),
            Self::Search { regex, by } => replace(regex, by, path, out),
        }
        let changed = out[start..] != *path;
        if changed {
            out.extend_from_slice(query);
        } else {
            out.truncate(start);
        }
        changed
    }
}

/// Appends both parts, and before them the `/` that every path starts with (RFC 9112 section
/// 3.2.1), where neither brings it.
fn push_rooted(first: &[u8], rest: &[u8], out: &mut Vec<u8>) {
    if first.iter().chain(rest).next() != Some(&b'/') {
        out.push(b'/');
    }
    out.extend_from_slice(first);
    out.extend_from_slice(rest);
}

fn replace(regex: &Regex, by: &[Piece], path: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut copied = 0;
    for captures in regex.captures_iter(path) {
        let found = captures.get_match();
        out.extend_from_slice(&path[copied..found.start()]);
        push_pieces(by, &captures, out);
        copied = found.end();
    }
    out.extend_from_slice(&path[copied..]);
    // `OPTIONS *` is no path, and stays what it is.
    if out.get(start) != Some(&b'/') && out[start..] != *path {
        out.insert(start, b'/');
    }
}

fn push_pieces(by: &[Piece], captures: &Captures<'_>, out: &mut Vec<u8>) {
    for piece in by {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text),
            Piece::Group(group) => {
                if let Some(found) = captures.get(*group) {
                    out.extend_from_slice(found.as_bytes());
                }
            }
        }
    }
}

/// Reads a substitution: `\1` and `\\` as RE2 has them, and `$1`, `${1}`, `$name`, `${name}` and
/// `$$` as Go (and so MOSN) has them. A group that the pattern does not have is empty.
fn pieces(substitution: &str, regex: &Regex) -> Box<[Piece]> {
    let mut pieces = Vec::new();
    let mut text = Vec::new();
    let mut rest = substitution;
    while let Some(place) = rest.find(['\\', '$']) {
        text.extend_from_slice(&rest.as_bytes()[..place]);
        rest = &rest[place..];
        let Some((reference, length)) = reference(rest) else {
            text.push(rest.as_bytes()[0]);
            rest = &rest[1..];
            continue;
        };
        rest = &rest[length..];
        match reference {
            Reference::Byte(byte) => text.push(byte),
            Reference::Group(name) => {
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text).into()));
                }
                pieces.extend(group(name, regex).map(Piece::Group));
            }
        }
    }
    text.extend_from_slice(rest.as_bytes());
    if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
    pieces.into()
}

enum Reference<'a> {
    Byte(u8),
    /// By number or by name.
    Group(&'a str),
}

/// What a text that starts with `\` or `$` refers to, and the length of the reference.
fn reference(text: &str) -> Option<(Reference<'_>, usize)> {
    match text.as_bytes() {
        [b'\\', b'\\', ..] => Some((Reference::Byte(b'\\'), 2)),
        [b'\\', digit, ..] if digit.is_ascii_digit() => Some((Reference::Group(&text[1..2]), 2)),
        [b'$', b'$', ..] => Some((Reference::Byte(b'$'), 2)),
        [b'$', b'{', ..] => {
            let name = &text[2..2 + text[2..].find('}')?];
            (name_length(name) == name.len() && !name.is_empty())
                .then(|| (Reference::Group(name), name.len() + 3))
        }
        [b'$', ..] => {
            let length = name_length(&text[1..]);
            (length > 0).then(|| (Reference::Group(&text[1..=length]), length + 1))
        }
        _ => None,
    }
}

fn name_length(text: &str) -> usize {
    text.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(text.len())
}

fn group(name: &str, regex: &Regex) -> Option<usize> {
    let number = match name.parse() {
        Ok(number) => number,
        Err(_) => regex.capture_names().position(|known| known == Some(name))?,
    };
    (number < regex.captures_len()).then_some(number)
}

#[cfg(test)]
mod tests;
