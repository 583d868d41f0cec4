//! Files as text, and as trees whose every node knows where it was written.

mod json;
mod source;
mod tree;
mod yaml;

pub use source::Format;
pub(crate) use source::{Source, Sources, Span};
pub(crate) use tree::{Member, Node, Value, is_secret, is_secret_key};

use crate::diagnostic::Fault;

/// How deep values may be nested.
pub(crate) const MAX_DEPTH: usize = 128;

/// How many syntax faults are reported before the parser gives up on a file.
const MAX_SYNTAX_FAULTS: usize = 20;

/// What a parser made of a file.
pub(crate) struct Parsed {
    /// The value of the file, as far as it could be read.
    pub(crate) root: Option<Node>,
    /// The faults, in the order of the file.
    pub(crate) faults: Vec<Fault>,
    /// Where values are that must not be shown, as byte ranges.
    pub(crate) secrets: Vec<(u32, u32)>,
    /// False where a fault leaves open what was meant, so that checking `root` would only mislead.
    pub(crate) reliable: bool,
}

/// Parses the text of a source in its format.
pub(crate) fn parse(source: u32, text: &str, format: Format) -> Parsed {
    match format {
        Format::Json => json::parse(source, text),
        Format::Yaml => yaml::parse(source, text),
    }
}
