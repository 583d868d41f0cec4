//! The files of a configuration and places in them.

use std::cell::OnceCell;
use std::path::Path;

use super::{Member, Node, Value};

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// JSON (RFC 8259).
    #[default]
    Json,
    /// YAML 1.2, core schema.
    Yaml,
}

impl Format {
    /// The format that a file name stands for: `.yaml` and `.yml` are YAML, all else is JSON (as in MOSN).
    pub fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("yaml" | "yml") => Self::Yaml,
            _ => Self::Json,
        }
    }
}

/// A range of bytes of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    /// Which source.
    pub(crate) source: u32,
    /// The first byte.
    pub(crate) start: u32,
    /// The byte behind the last one.
    pub(crate) end: u32,
}

impl Span {
    pub(crate) fn new(source: u32, start: usize, end: usize) -> Self {
        // Sources are limited to 64 MiB, so that offsets fit.
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { source, start: offset(start), end: offset(end) }
    }

    /// Whether `other` lies in this range.
    fn holds(self, other: Self) -> bool {
        self.source == other.source && self.start <= other.start && other.end <= self.end
    }
}

/// One file.
pub(crate) struct Source {
    /// As the user named it.
    pub(crate) name: String,
    /// Its text, without a byte order mark.
    pub(crate) text: String,
    /// How it is written.
    pub(crate) format: Format,
    /// The path of its root in the whole configuration; empty for the main file.
    pub(crate) mount: String,
    /// Its value; `None` until it is parsed, and where it could not be.
    pub(crate) root: Option<Node>,
    /// Byte ranges that are never shown.
    pub(crate) secrets: Vec<(u32, u32)>,
    lines: OnceCell<Lines>,
}

/// Where lines begin.
struct Lines {
    starts: Vec<u32>,
    ascii: bool,
}

/// All files of a configuration.
#[derive(Default)]
pub(crate) struct Sources {
    all: Vec<Source>,
}

impl Sources {
    /// Takes a file in; the number is its name in [`Span`].
    pub(crate) fn add(&mut self, name: String, text: String, format: Format, mount: String) -> u32 {
        self.all.push(Source {
            name,
            text,
            format,
            mount,
            root: None,
            secrets: Vec::new(),
            lines: OnceCell::new(),
        });
        u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX)
    }

    /// The source of that number.
    ///
    /// # Panics
    /// If the number is not from [`Self::add`].
    pub(crate) fn at(&self, source: u32) -> &Source {
        &self.all[source as usize]
    }

    /// The source of that number, to complete it.
    ///
    /// # Panics
    /// If the number is not from [`Self::add`].
    pub(crate) fn at_mut(&mut self, source: u32) -> &mut Source {
        &mut self.all[source as usize]
    }

    /// The text of a place.
    pub(crate) fn text(&self, span: Span) -> &str {
        self.at(span.source).text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// Whether a place is in a YAML file.
    pub(crate) fn is_yaml(&self, span: Span) -> bool {
        self.at(span.source).format == Format::Yaml
    }

    /// `file:line:column`.
    pub(crate) fn place(&self, span: Span) -> String {
        let source = self.at(span.source);
        let (line, column) = source.position(span.start as usize);
        format!("{}:{line}:{column}", source.name)
    }

    /// The path of the value at a place, such as `servers[0].listeners[1].address`.
    pub(crate) fn path(&self, span: Span) -> String {
        let source = self.at(span.source);
        let mut path = source.mount.clone();
        let mut node = source.root.as_ref();
        while let Some(current) = node {
            if current.span == span {
                break;
            }
            node = match &current.value {
                Value::Array(items) => {
                    // Elements are in the order of the text, but for YAML aliases.
                    let behind = items.partition_point(|item| item.span.start <= span.start);
                    let near = behind.checked_sub(1).filter(|&i| items[i].span.holds(span));
                    let found = near.or_else(|| items.iter().position(|i| i.span.holds(span)));
                    if let Some(index) = found {
                        path.push_str(&format!("[{index}]"));
                    }
                    found.map(|index| &items[index])
                }
                Value::Object(members) => {
                    let of = |m: &&Member| m.key_span == span || m.value.span.holds(span);
                    let found = members.iter().find(of);
                    if let Some(member) = found {
                        push_key(&mut path, &member.key);
                    }
                    found.filter(|m| m.key_span != span).map(|member| &member.value)
                }
                _ => None,
            };
        }
        path
    }
}

/// Appends `.key`, in quotes where the key is not a plain word.
pub(crate) fn push_key(path: &mut String, key: &str) {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    if !key.is_empty() && key.chars().all(plain) {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
    } else {
        path.push_str(&format!("[{key:?}]"));
    }
}

impl Source {
    /// Line and column of a byte, both from 1; columns count characters.
    pub(crate) fn position(&self, offset: usize) -> (u32, u32) {
        let lines = self.lines();
        let offset = self.boundary(offset);
        let line = lines.starts.partition_point(|&start| start as usize <= offset);
        let start = lines.starts[line - 1] as usize;
        let column =
            if lines.ascii { offset - start } else { self.text[start..offset].chars().count() };
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (number(line), number(column + 1))
    }

    /// The byte range of a line (from 1) without its end.
    pub(crate) fn line(&self, line: u32) -> (usize, usize) {
        let starts = &self.lines().starts;
        let index = (line as usize).saturating_sub(1).min(starts.len() - 1);
        let start = starts[index] as usize;
        let end = starts.get(index + 1).map_or(self.text.len(), |&next| next as usize - 1);
        let end = if end > start && self.text.as_bytes()[end - 1] == b'\r' { end - 1 } else { end };
        (start, end)
    }

    /// The nearest start of a character at or before `offset`.
    pub(crate) fn boundary(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }

    fn lines(&self) -> &Lines {
        self.lines.get_or_init(|| {
            let breaks = self.text.match_indices('\n').map(|(at, _)| at as u32 + 1);
            Lines {
                starts: std::iter::once(0).chain(breaks).collect(),
                ascii: self.text.is_ascii(),
            }
        })
    }
}
