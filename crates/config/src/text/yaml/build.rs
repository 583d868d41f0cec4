//! Events of the YAML parser into a tree.

use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, ScalarStyle, ScanError, Tag};

use crate::diagnostic::Fault;
use crate::text::{MAX_DEPTH, Member, Node, Span, Value, is_secret};

/// How many values a file may stand for once its aliases are written out. A file without aliases has
/// no such limit.
const MAX_EXPANDED: usize = 1_000_000;

/// Why building ends early.
pub(super) enum Stop {
    /// The parser's own finding.
    Syntax(ScanError),
    /// A finding of the builder's.
    Fault(Box<Fault>),
}

/// Builds the tree of the first document.
pub(super) struct Builder<'t> {
    pub(super) text: &'t str,
    pub(super) root: Option<Node>,
    pub(super) faults: Vec<Fault>,
    pub(super) secrets: Vec<(u32, u32)>,
    source: u32,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchor>,
    expanded: usize,
    documents: usize,
    /// A place as characters and as bytes: the parser counts characters.
    cursor: (usize, usize),
}

/// A sequence or mapping that is being built.
struct Open {
    start: usize,
    anchor: usize,
    kind: Kind,
    size: usize,
    depth: usize,
    end: usize,
}

enum Kind {
    Sequence(Vec<Node>),
    Mapping(Vec<Member>, Option<(Rc<str>, Span)>),
}

/// A value that aliases can stand for.
struct Anchor {
    node: Node,
    size: usize,
    depth: usize,
}

impl<'t> Builder<'t> {
    pub(super) fn new(source: u32, text: &'t str) -> Self {
        Self {
            text,
            root: None,
            faults: Vec::new(),
            secrets: Vec::new(),
            source,
            open: Vec::new(),
            anchors: HashMap::new(),
            expanded: 0,
            documents: 0,
            cursor: (0, 0),
        }
    }

    pub(super) fn event(
        &mut self,
        event: Event<'_>,
        span: saphyr_parser::Span,
    ) -> Result<(), Stop> {
        let start = self.offset(span.start.index());
        let end = self.offset(span.end.index()).max(start);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message = "a configuration is one YAML document; this is a second one";
                    return Err(self.stop(start, start + 3, "many-documents", message));
                }
            }
            Event::SequenceStart(anchor, _) => {
                self.enter(start, anchor, Kind::Sequence(Vec::new()))?;
            }
            Event::MappingStart(anchor, _) => {
                self.enter(start, anchor, Kind::Mapping(Vec::new(), None))?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.leave(start, end)?,
            Event::Scalar(text, style, anchor, tag) => {
                let value = resolve(&text, style, tag.as_deref());
                let node = Node { span: self.span(start, end), value };
                self.place(node, Some(&text), anchor, 1, 0)?;
            }
            Event::Alias(anchor) => self.alias(anchor, start, end)?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn enter(&mut self, start: usize, anchor: usize, kind: Kind) -> Result<(), Stop> {
        if self.open.len() == MAX_DEPTH {
            let message = format!("values are nested more than {MAX_DEPTH} levels deep");
            return Err(self.stop(start, start + 1, "too-deep", &message));
        }
        self.open.push(Open { start, anchor, kind, size: 1, depth: 0, end: start });
        Ok(())
    }

    fn leave(&mut self, start: usize, end: usize) -> Result<(), Stop> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        // A block ends with its last value; a flow collection with its bracket.
        let bracket = matches!(self.text.as_bytes().get(start), Some(b']' | b'}')) && end > start;
        let flow = matches!(self.text.as_bytes().get(open.start), Some(b'[' | b'{'));
        let last = if bracket && flow { end } else { open.end };
        let span = self.span(open.start, last);
        let value = match open.kind {
            Kind::Sequence(items) => Value::Array(items.into()),
            Kind::Mapping(members, _) => Value::Object(merged(members).into()),
        };
        self.place(Node { span, value }, None, open.anchor, open.size, open.depth)
    }

    fn alias(&mut self, anchor: usize, start: usize, end: usize) -> Result<(), Stop> {
        let Some(Anchor { node, size, depth }) = self.anchors.get(&anchor) else {
            let message = "this alias stands for a value that contains it";
            return Err(self.stop(start, end, "endless-alias", message));
        };
        let (node, size, depth) = (node.clone(), *size, *depth);
        self.expanded = self.expanded.saturating_add(size);
        if self.expanded > MAX_EXPANDED {
            let message = format!(
                "with its aliases written out, the file has more than {MAX_EXPANDED} values"
            );
            return Err(self.stop(start, end, "alias-bomb", &message));
        }
        if self.open.len() + depth > MAX_DEPTH {
            let message = format!("values are nested more than {MAX_DEPTH} levels deep");
            return Err(self.stop(start, end, "too-deep", &message));
        }
        let text = node.as_str().map(str::to_owned);
        if let Some(open) = self.open.last_mut() {
            open.end = open.end.max(end);
        }
        self.place(node, text.as_deref(), 0, size, depth)
    }

    /// Puts a finished value where it belongs.
    fn place(
        &mut self,
        node: Node,
        text: Option<&str>,
        anchor: usize,
        size: usize,
        depth: usize,
    ) -> Result<(), Stop> {
        if anchor != 0 {
            self.anchors.insert(anchor, Anchor { node: node.clone(), size, depth });
        }
        let parent = self.open.iter().rev().skip(1).find_map(|open| match &open.kind {
            Kind::Mapping(_, key) => key.as_ref().map(|(key, _)| Rc::clone(key)),
            Kind::Sequence(_) => None,
        });
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.size = open.size.saturating_add(size);
        open.depth = open.depth.max(depth + 1);
        open.end = open.end.max(node.span.end as usize);
        match &mut open.kind {
            Kind::Sequence(items) => items.push(node),
            Kind::Mapping(members, key) => match key.take() {
                Some((key, key_span)) => {
                    if is_secret(parent.as_deref(), &key) {
                        self.secrets.push((node.span.start, node.span.end));
                    }
                    members.push(Member { key, key_span, value: node });
                }
                None => match text {
                    Some(text) => *key = Some((text.into(), node.span)),
                    None => {
                        let (start, message) = (node.span.start as usize, "a key must be a text");
                        return Err(self.stop(start, start + 1, "complex-key", message));
                    }
                },
            },
        }
        Ok(())
    }

    fn stop(&self, start: usize, end: usize, code: &'static str, message: &str) -> Stop {
        Stop::Fault(Box::new(Fault::error(self.span(start, end), code, message)))
    }

    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, start, end.min(self.text.len()))
    }

    /// The byte of a character. Places come nearly in order, so the cursor moves a little each time.
    pub(super) fn offset(&mut self, character: usize) -> usize {
        let (mut at, mut byte) = self.cursor;
        while at > character
            && let Some(c) = self.text[..byte].chars().next_back()
        {
            at -= 1;
            byte -= c.len_utf8();
        }
        while at < character
            && let Some(c) = self.text[byte..].chars().next()
        {
            at += 1;
            byte += c.len_utf8();
        }
        self.cursor = (at, byte);
        byte
    }
}

/// Carries out merge keys (`<<: *defaults`), which MOSN's YAML library knows: own keys win.
fn merged(members: Vec<Member>) -> Vec<Member> {
    if !members.iter().any(|member| &*member.key == "<<") {
        return members;
    }
    let (merges, own): (Vec<_>, Vec<_>) = members.into_iter().partition(|m| &*m.key == "<<");
    let mut all: Vec<Member> = Vec::new();
    for merge in &merges {
        let many = merge.value.items();
        let sources = if many.is_empty() { std::slice::from_ref(&merge.value) } else { many };
        for member in sources.iter().flat_map(Node::members) {
            let known = |known: &&Member| known.key == member.key;
            if own.iter().find(known).is_none() && all.iter().find(known).is_none() {
                all.push(member.clone());
            }
        }
    }
    all.extend(own);
    all
}

/// The value of a scalar by the core schema (YAML 1.2.2 section 10.3.2).
fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let tagged = tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.as_str());
    if tagged == Some("str") || (tagged.is_none() && style != ScalarStyle::Plain) {
        return Value::String(text.into());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).map_or_else(|| Value::String(text.into()), Value::Number),
    }
}

fn number(text: &str) -> Option<serde_json::Number> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(Into::into);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).ok().map(Into::into);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let starts = |t: &str| t.starts_with(|c: char| c.is_ascii_digit());
    if !starts(unsigned) && !unsigned.strip_prefix('.').is_some_and(starts) {
        return None;
    }
    if let Ok(integer) = text.parse::<i64>() {
        return Some(integer.into());
    }
    if let Ok(integer) = text.parse::<u64>() {
        return Some(integer.into());
    }
    let allowed = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    let float = text.parse::<f64>().ok().filter(|_| text.chars().all(allowed))?;
    serde_json::Number::from_f64(float)
}
