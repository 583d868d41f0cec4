//! A JSON parser that keeps places and goes on after a fault.
//!
//! What it accepts without a fault is RFC 8259, but for two things of Go's `encoding/json` that MOSN
//! configurations rely on: a lone surrogate escape stands for U+FFFD, and a byte order mark is skipped
//! (by the caller, with a warning).

mod scalar;

#[cfg(test)]
mod tests;

use std::rc::Rc;

use super::{MAX_DEPTH, MAX_SYNTAX_FAULTS, Member, Node, Parsed, Span, Value, is_secret};
use crate::diagnostic::Fault;
use crate::text::source::push_key;

/// Parses a whole file.
pub(super) fn parse(source: u32, text: &str) -> Parsed {
    let mut parser = Parser {
        source,
        text,
        bytes: text.as_bytes(),
        at: 0,
        open: Vec::new(),
        faults: Vec::new(),
        secrets: Vec::new(),
        reliable: true,
        skewed: None,
    };
    let root = parser.root();
    Parsed { root, faults: parser.faults, secrets: parser.secrets, reliable: parser.reliable }
}

struct Parser<'t> {
    source: u32,
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    /// The arrays and objects that are open.
    open: Vec<Open>,
    faults: Vec<Fault>,
    secrets: Vec<(u32, u32)>,
    reliable: bool,
    /// The first opening bracket whose closing one is indented otherwise.
    skewed: Option<usize>,
}

/// An array or object that is being read.
struct Open {
    /// Where its bracket is.
    at: usize,
    /// What it is.
    step: Step,
}

/// Which part of an array or object is being read.
enum Step {
    Index(usize),
    Key(Rc<str>),
}

/// The parser gives up on the file; the fault is reported.
struct GiveUp;

impl Parser<'_> {
    fn root(&mut self) -> Option<Node> {
        self.skip_space();
        if self.at == self.bytes.len() {
            let fault = Fault::error(self.span(0, 0), "empty-file", "the file is empty");
            self.faults.push(
                fault
                    .help("a configuration is a JSON object: `{ \"servers\": [...] }`")
                    .whole_file(),
            );
            self.reliable = false;
            return None;
        }
        let root = self.value().ok();
        if root.is_some() {
            self.skip_space();
            if self.at < self.bytes.len() {
                let message = match self.bytes[self.at] {
                    b'}' | b']' => "this bracket closes nothing",
                    _ => "there is more text behind the end of the configuration",
                };
                self.fault(self.at, self.at + 1, "trailing-text", message, None);
                self.reliable = false;
            }
        }
        root
    }

    /// Reads the value at the current place.
    fn value(&mut self) -> Result<Node, GiveUp> {
        match self.bytes.get(self.at) {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            _ => self.scalar(),
        }
    }

    fn object(&mut self) -> Result<Node, GiveUp> {
        let start = self.enter(Step::Key("".into()))?;
        let mut members = Vec::new();
        while self.more(b'}', members.is_empty())? {
            let (key, key_span) = self.key()?;
            self.colon()?;
            self.step(Step::Key(key.clone()));
            let value = if matches!(self.bytes.get(self.at), Some(b',' | b'}')) {
                self.missing_value()?
            } else {
                self.value()?
            };
            if is_secret(self.parent(), &key) {
                self.secrets.push((value.span.start, value.span.end));
            }
            members.push(Member { key, key_span, value });
        }
        Ok(self.leave(start, Value::Object(members.into())))
    }

    /// The key of the object that is open, or of the array it stands in.
    fn parent(&self) -> Option<&str> {
        let (_, outer) = self.open.split_last()?;
        outer.iter().rev().find_map(|open| match &open.step {
            Step::Key(key) => Some(&**key),
            Step::Index(_) => None,
        })
    }

    fn array(&mut self) -> Result<Node, GiveUp> {
        let start = self.enter(Step::Index(0))?;
        let mut items = Vec::new();
        while self.more(b']', items.is_empty())? {
            self.step(Step::Index(items.len()));
            let item = self.value()?;
            items.push(item);
        }
        Ok(self.leave(start, Value::Array(items.into())))
    }

    /// Goes to the next element or member: past the comma, or past the closing bracket (false).
    fn more(&mut self, close: u8, first: bool) -> Result<bool, GiveUp> {
        self.skip_space();
        let mut comma = None;
        while self.bytes.get(self.at) == Some(&b',') {
            if first || comma.is_some() {
                let message = if first {
                    "there is no value before this comma"
                } else {
                    "there is no value between these commas"
                };
                self.fault(self.at, self.at + 1, "extra-comma", message, Some("remove the comma"));
            }
            comma = Some(self.at);
            self.at += 1;
            self.skip_space();
            self.check_budget()?;
        }
        match self.bytes.get(self.at) {
            None => Err(self.unclosed()),
            Some(&byte @ (b'}' | b']')) => {
                if let Some(comma) = comma {
                    let bracket = char::from(byte);
                    let message = format!("JSON has no comma before `{bracket}`");
                    self.fault(
                        comma,
                        comma + 1,
                        "trailing-comma",
                        &message,
                        Some("remove the comma"),
                    );
                }
                if byte != close {
                    return Err(self.mismatched(byte, close));
                }
                Ok(false)
            }
            Some(_) => {
                if comma.is_none() && !first {
                    let at = self.text[..self.at].trim_end().len();
                    let message = "a comma is missing here";
                    self.fault(
                        at.saturating_sub(1),
                        at,
                        "missing-comma",
                        message,
                        Some("write `,` behind this value"),
                    );
                }
                self.check_budget()?;
                Ok(true)
            }
        }
    }

    fn key(&mut self) -> Result<(Rc<str>, Span), GiveUp> {
        let start = self.at;
        let key: Rc<str> = match self.bytes[self.at] {
            b'"' | b'\'' => self.string()?,
            b'{' | b'[' => {
                let message = "expected a key in quotes, found a bracket";
                let help = "a member of an object is written `\"key\": value`";
                self.fault(start, start + 1, "expected-key", message, Some(help));
                self.reliable = false;
                return Err(GiveUp);
            }
            _ => {
                let length = self.word_length();
                if length == 0 {
                    let message = "expected a key in quotes";
                    self.fault(start, start + 1, "expected-key", message, None);
                    self.reliable = false;
                    return Err(GiveUp);
                }
                self.at += length;
                let message = "a key is written in double quotes";
                self.fault(start, self.at, "unquoted-key", message, None);
                self.text[start..self.at].into()
            }
        };
        Ok((key, self.span(start, self.at)))
    }

    fn colon(&mut self) -> Result<(), GiveUp> {
        self.skip_space();
        match self.bytes.get(self.at) {
            Some(b':') => self.at += 1,
            Some(b'=') => {
                let message = "a key and its value are separated by `:`";
                self.fault(self.at, self.at + 1, "expected-colon", message, Some("write `:`"));
                self.at += 1;
            }
            None => return Err(self.unclosed()),
            Some(_) => {
                let message = "`:` is missing behind this key";
                let end = self.text[..self.at].trim_end().len();
                self.fault(end.saturating_sub(1), end, "expected-colon", message, None);
                self.reliable = false;
            }
        }
        self.skip_space();
        self.check_budget()
    }

    fn missing_value(&mut self) -> Result<Node, GiveUp> {
        self.fault(self.at, self.at + 1, "expected-value", "the value is missing", None);
        self.check_budget()?;
        Ok(Node { span: self.span(self.at, self.at), value: Value::Null })
    }

    fn enter(&mut self, step: Step) -> Result<usize, GiveUp> {
        let at = self.at;
        if self.open.len() == MAX_DEPTH {
            let message = format!("values are nested more than {MAX_DEPTH} levels deep");
            self.fault(at, at + 1, "too-deep", &message, None);
            self.reliable = false;
            return Err(GiveUp);
        }
        self.open.push(Open { at, step });
        self.at += 1;
        Ok(at)
    }

    fn step(&mut self, step: Step) {
        if let Some(open) = self.open.last_mut() {
            open.step = step;
        }
    }

    fn leave(&mut self, start: usize, value: Value) -> Node {
        if self.skewed.is_none() && self.indentation(start) > self.indentation(self.at) {
            self.skewed = Some(start);
        }
        self.open.pop();
        self.at += 1;
        Node { span: self.span(start, self.at), value }
    }

    /// How far the line of a place is indented, if nothing but brackets precedes the place.
    fn indentation(&self, at: usize) -> Option<usize> {
        // A bracket is only looked at where its line is short: minified text has no indentation.
        let near = at.saturating_sub(120);
        let start = self.bytes[near..at].iter().rposition(|&byte| byte == b'\n')? + near + 1;
        self.bytes[start..=at].iter().position(|byte| !byte.is_ascii_whitespace())
    }

    /// Skips white space, and comments with a fault.
    fn skip_space(&mut self) {
        loop {
            while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
                self.at += 1;
            }
            let rest = &self.bytes[self.at..];
            let length = if rest.starts_with(b"//") || rest.starts_with(b"#") {
                rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len())
            } else if rest.starts_with(b"/*") {
                let end = rest.windows(2).position(|pair| pair == b"*/");
                end.map_or(rest.len(), |end| end + 2)
            } else {
                return;
            };
            let help = "remove it, or write the configuration in YAML";
            self.fault(self.at, self.at + length, "comment", "JSON has no comments", Some(help));
            self.at += length;
        }
    }

    fn mismatched(&mut self, found: u8, expected: u8) -> GiveUp {
        let (found, expected) = (char::from(found), char::from(expected));
        let opened = self.open.last().map_or(0, |open| open.at);
        let message = format!("found `{found}` where `{expected}` is needed");
        let help =
            format!("`{}` is opened at {}", char::from(self.bytes[opened]), self.place(opened));
        self.fault(self.at, self.at + 1, "mismatched-bracket", &message, Some(&help));
        self.reliable = false;
        GiveUp
    }

    fn unclosed(&mut self) -> GiveUp {
        let opened = self.open.last().map_or(0, |open| open.at);
        let bracket = char::from(self.bytes[opened]);
        let message = format!("the file ends, but this `{bracket}` is not closed");
        let help = self.skewed.filter(|skewed| *skewed != opened).map(|skewed| {
            let bracket = char::from(self.bytes[skewed]);
            format!(
                "by the indentation, it is `{bracket}` at {} that is not closed",
                self.place(skewed)
            )
        });
        self.fault(opened, opened + 1, "unclosed-bracket", &message, help.as_deref());
        self.reliable = false;
        GiveUp
    }

    fn fault(
        &mut self,
        start: usize,
        end: usize,
        code: &'static str,
        message: &str,
        help: Option<&str>,
    ) {
        if self.faults.len() >= MAX_SYNTAX_FAULTS {
            return;
        }
        let fault = Fault::error(self.span(start, end), code, message).path(self.path());
        self.faults.push(match help {
            Some(help) => fault.help(help),
            None => fault,
        });
    }

    fn check_budget(&mut self) -> Result<(), GiveUp> {
        if self.faults.len() < MAX_SYNTAX_FAULTS {
            return Ok(());
        }
        self.reliable = false;
        Err(GiveUp)
    }

    /// The path of what is being read.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match &open.step {
                Step::Index(index) => path.push_str(&format!("[{index}]")),
                Step::Key(key) if key.is_empty() => {}
                Step::Key(key) => push_key(&mut path, key),
            }
        }
        path
    }

    fn place(&self, at: usize) -> String {
        let line = self.text[..at].matches('\n').count() + 1;
        let start = self.text[..at].rfind('\n').map_or(0, |end| end + 1);
        format!("line {line}, column {}", self.text[start..at].chars().count() + 1)
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, start, end.min(self.bytes.len()))
    }
}
