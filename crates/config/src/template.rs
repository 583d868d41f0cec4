//! Texts with %variables%: access log lines, header values, names of clusters.
//!
//! A text is compiled once, when the configuration is read, and rendered for each request
//! without an allocation of its own:
//!
//! ```
//! use rosn_config::{Template, Variable, Variables};
//!
//! struct Request;
//! impl Variables for Request {
//!     fn write(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
//!         let Variable::ResponseCode = variable else { return false };
//!         out.extend_from_slice(b"200");
//!         true
//!     }
//! }
//!
//! let line = Template::parse("%response_code% %upstream_host% 100%")?;
//! let mut out = Vec::new();
//! line.render(&Request, "-", &mut out);
//! assert_eq!(out, b"200 - 100%");
//! # Ok::<(), rosn_config::TemplateError>(())
//! ```

mod variable;

pub use variable::{Variable, Variables, variable_names};

/// The longest text that is compiled, in bytes.
const MAX_LENGTH: usize = 64 * 1024;

/// A text with %variables%, compiled.
///
/// `%name%` stands for a value, where a name is made of letters, digits, `_`, `-` and `.`. Any
/// other `%` is text, which MOSN refuses in an access log format. A name that is not a variable
/// stays in place as an item that never has a value (see [`Template::unknown_variables`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// No two literals side by side, and none empty.
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Variable(Variable),
    Unknown(String),
}

/// Why a text is not compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The text has more bytes than any line or header could carry.
    #[error("the text has {0} bytes: at most {MAX_LENGTH} are allowed")]
    TooLong(usize),
}

impl Template {
    /// Compiles a text.
    ///
    /// # Errors
    /// Fails where the text is longer than 64 KiB. Nothing in the text itself is an error.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > MAX_LENGTH {
            return Err(TemplateError::TooLong(text.len()));
        }
        let mut template = Self { parts: Vec::new() };
        let mut rest = text;
        while let Some(start) = rest.find('%') {
            template.push_text(&rest[..start]);
            let after = &rest[start + 1..];
            let end = after.find(|c: char| !is_name_char(c)).unwrap_or(after.len());
            if end > 0 && after[end..].starts_with('%') {
                template.parts.push(Part::named(&after[..end]));
                rest = &after[end + 1..];
            } else {
                template.push_text("%");
                rest = after;
            }
        }
        template.push_text(rest);
        Ok(template)
    }

    /// Appends the text to `out`, with `missing` in place of a variable that has no value.
    pub fn render(&self, values: &dyn Variables, missing: &str, out: &mut Vec<u8>) {
        for part in &self.parts {
            let written = match part {
                Part::Literal(text) => {
                    out.extend_from_slice(text.as_bytes());
                    true
                }
                Part::Variable(variable) => values.write(variable, out),
                Part::Unknown(_) => false,
            };
            if !written {
                out.extend_from_slice(missing.as_bytes());
            }
        }
    }

    /// The whole text, if it holds no variable.
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The names between two `%` that are no variables, in order.
    pub fn unknown_variables(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Unknown(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The same text with unknown names as the text they were written as: what MOSN does in
    /// header values, where `a%20b%20c` is data.
    #[must_use]
    pub fn with_unknown_as_text(&self) -> Self {
        let mut template = Self { parts: Vec::with_capacity(self.parts.len()) };
        for part in &self.parts {
            match part {
                Part::Literal(text) => template.push_text(text),
                Part::Unknown(name) => template.push_text(&format!("%{name}%")),
                Part::Variable(_) => template.parts.push(part.clone()),
            }
        }
        template
    }

    fn push_text(&mut self, text: &str) {
        match self.parts.last_mut() {
            Some(Part::Literal(last)) => last.push_str(text),
            _ if text.is_empty() => {}
            _ => self.parts.push(Part::Literal(text.to_owned())),
        }
    }
}

impl Part {
    fn named(name: &str) -> Self {
        match Variable::parse(name) {
            Some(variable) => Self::Variable(variable),
            None => Self::Unknown(name.to_owned()),
        }
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

#[cfg(test)]
mod tests;
