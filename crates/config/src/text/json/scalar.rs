//! Strings, numbers and words.

use std::rc::Rc;

use super::{GiveUp, Parser};
use crate::text::{Node, Value};

impl Parser<'_> {
    pub(super) fn scalar(&mut self) -> Result<Node, GiveUp> {
        let start = self.at;
        let value = match self.bytes.get(self.at) {
            None => return Err(self.unclosed()),
            Some(b'"' | b'\'') => Value::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => self.word()?,
        };
        Ok(Node { span: self.span(start, self.at), value })
    }

    fn number(&mut self) -> Value {
        let start = self.at;
        let part = |byte: &u8| matches!(byte, b'-' | b'+' | b'.') || byte.is_ascii_alphanumeric();
        self.at += self.bytes[start..].iter().take_while(|byte| part(byte)).count();
        let text = &self.text[start..self.at];
        // The grammar of serde_json is that of RFC 8259 section 6.
        match text.parse() {
            Ok(number) => Value::Number(number),
            Err(_) => {
                let digits = text.trim_start_matches('-');
                let (message, help) = if digits.len() > 1
                    && digits.starts_with('0')
                    && digits.bytes().all(|b| b.is_ascii_digit())
                {
                    ("a number has no zeros at its start", None)
                } else if digits.bytes().next().is_some_and(|b| b.is_ascii_digit())
                    && digits.bytes().any(|b| b.is_ascii_alphabetic())
                {
                    (
                        "this is not a number",
                        Some("write a text, such as a duration with its unit, in double quotes"),
                    )
                } else {
                    ("this is not a number, or not one that can be held", None)
                };
                self.fault(start, self.at, "bad-number", message, help);
                Value::Null
            }
        }
    }

    fn word(&mut self) -> Result<Value, GiveUp> {
        let start = self.at;
        // Up to where a value can end, so that no part of a secret without quotes is shown.
        let stop = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b'\n' | b'\r' | b'"' | b':');
        let length = self.bytes[start..].iter().take_while(|byte| !stop(byte)).count();
        let word = self.text[start..start + length].trim_end();
        let fixed = match word {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "null" => Some(Value::Null),
            _ => None,
        };
        // `true` directly before a comment, say, is still `true`.
        let plain = self.word_length();
        if let Some(value) = fixed.or_else(|| self.plain_word(plain)) {
            self.at += plain;
            return Ok(value);
        }
        if word.is_empty() {
            self.fault(start, start + 1, "expected-value", "expected a value", None);
            self.reliable = false;
            return Err(GiveUp);
        }
        let (value, help) = match word.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => (Value::Bool(true), "write `true`"),
            "false" | "no" | "off" => (Value::Bool(false), "write `false`"),
            "none" | "nil" | "undefined" | "nan" | "null" => (Value::Null, "write `null`"),
            _ => (Value::Null, "write a text in double quotes"),
        };
        self.at += word.len();
        self.fault(start, self.at, "expected-value", "this is not a JSON value", Some(help));
        self.check_budget()?;
        Ok(value)
    }

    fn plain_word(&self, length: usize) -> Option<Value> {
        match &self.text[self.at..self.at + length] {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "null" => Some(Value::Null),
            _ => None,
        }
    }

    /// How many bytes of letters, digits, `_`, `-` and `.` follow.
    pub(super) fn word_length(&self) -> usize {
        let part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        self.bytes[self.at..].iter().take_while(|byte| part(byte)).count()
    }

    /// Reads a string, from its quote.
    pub(super) fn string(&mut self) -> Result<Rc<str>, GiveUp> {
        let start = self.at;
        let quote = self.bytes[start];
        if quote == b'\'' {
            let message = "a string is written in double quotes";
            self.fault(start, start + 1, "single-quotes", message, None);
        }
        self.at += 1;
        let mut text = String::new();
        loop {
            let from = self.at;
            let plain = |byte: &u8| *byte != quote && *byte != b'\\' && *byte >= 0x20;
            self.at += self.bytes[from..].iter().take_while(|byte| plain(byte)).count();
            let piece = &self.text[from..self.at];
            match self.bytes.get(self.at) {
                Some(byte) if *byte == quote => {
                    self.at += 1;
                    // Most strings have no escapes.
                    return Ok(if text.is_empty() { piece.into() } else { (text + piece).into() });
                }
                Some(b'\\') => {
                    text.push_str(piece);
                    self.escape(&mut text);
                }
                Some(b'\t') => {
                    text.push_str(piece);
                    text.push('\t');
                    let message = "a string holds no tab";
                    self.fault(
                        self.at,
                        self.at + 1,
                        "control-character",
                        message,
                        Some("write `\\t`"),
                    );
                    self.at += 1;
                }
                Some(byte) if !matches!(byte, b'\n' | b'\r') => {
                    text.push_str(piece);
                    let message = "a string holds no control characters";
                    let help = format!("write `\\u{byte:04x}`");
                    self.fault(self.at, self.at + 1, "control-character", message, Some(&help));
                    self.at += 1;
                }
                _ => {
                    let message = "this string is not closed on its line";
                    let help = "write `\"` at its end; a line end within a string is `\\n`";
                    self.fault(start, self.at, "unterminated-string", message, Some(help));
                    self.secrets
                        .push((self.span(start, self.at).start, self.span(start, self.at).end));
                    self.reliable = false;
                    return Err(GiveUp);
                }
            }
        }
    }

    /// Reads an escape, from its backslash.
    fn escape(&mut self, text: &mut String) {
        let start = self.at;
        let next = self.bytes.get(start + 1).copied();
        self.at += 2;
        text.push(match next {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at = start;
                return self.unicode_escape(text);
            }
            _ => {
                self.at = start + 1;
                let end =
                    self.text[self.at..].chars().next().map_or(self.at, |c| self.at + c.len_utf8());
                let help = "a backslash is written `\\\\`";
                self.fault(start, end, "bad-escape", "JSON has no such escape", Some(help));
                '\\'
            }
        });
    }

    fn unicode_escape(&mut self, text: &mut String) {
        let start = self.at;
        let Some(first) = self.code_unit(start) else {
            self.at = start + 2;
            let message = "`\\u` needs four hexadecimal digits";
            self.fault(start, start + 2, "bad-escape", message, None);
            text.push('\u{fffd}');
            return;
        };
        self.at = start + 6;
        let units = match self.code_unit(self.at).filter(|_| (0xd800..0xdc00).contains(&first)) {
            Some(second) if (0xdc00..0xe000).contains(&second) => {
                self.at += 6;
                vec![first, second]
            }
            _ => vec![first],
        };
        text.push_str(&String::from_utf16_lossy(&units));
    }

    /// The four digits of the escape `\uXXXX` at a place.
    fn code_unit(&self, at: usize) -> Option<u16> {
        let digits = self.bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        let hexadecimal = digits.iter().all(u8::is_ascii_hexdigit);
        let digits = std::str::from_utf8(digits).ok().filter(|_| hexadecimal)?;
        u16::from_str_radix(digits, 16).ok()
    }
}
