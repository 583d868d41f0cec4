//! Texts with %variables%: access log lines, header values, names of clusters.

/// A value that is known when a request is handled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Variable {
    /// placeholder
    StartTime,
}

/// What knows the values of variables: a request on its way.
pub trait Variables {
    /// Appends the value to `out` and returns true, or returns false where there is none.
    fn write(&self, variable: &Variable, out: &mut Vec<u8>) -> bool;
}

/// A text with %variables%, compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Variable(Variable),
}

impl Template {
    /// Compiles a text. (placeholder)
    pub fn parse(text: &str) -> Self {
        Self { parts: vec![Part::Literal(text.to_owned()), Part::Variable(Variable::StartTime)] }
    }

    /// Appends the text to `out`, with `missing` for variables that have no value.
    pub fn render(&self, values: &dyn Variables, missing: &str, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Variable(variable) => {
                    if !values.write(variable, out) {
                        out.extend_from_slice(missing.as_bytes());
                    }
                }
            }
        }
    }
}
