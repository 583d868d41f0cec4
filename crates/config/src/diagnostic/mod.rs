//! What is wrong with a configuration, where, and what to do about it.

mod excerpt;
mod render;

#[cfg(test)]
mod tests;

use std::fmt;

use crate::text::{Sources, Span};
use excerpt::Excerpt;

/// How many diagnostics of one severity are kept; the rest is only counted.
const MAX_OF_A_KIND: usize = 200;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but probably does not mean what was meant.
    Warning,
    /// It can be used; a part of it has no effect in this build.
    Notice,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        })
    }
}

/// One finding.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of finding it is, in kebab case. Stable, for tools.
    pub code: &'static str,
    /// The cause.
    pub message: String,
    /// The remedy, or the other place that is concerned.
    pub help: Option<String>,
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; 0 where the whole file is meant.
    pub line: u32,
    /// The column in characters, from 1; 0 where the whole file is meant.
    pub column: u32,
    /// Line and column behind the last character.
    pub end: (u32, u32),
    /// Which value is meant, as `servers[0].listeners[1].address`; may be empty.
    pub path: String,
    excerpt: Option<Excerpt>,
}

/// Every finding, in the order of the files.
///
/// Of each severity at most 200 are kept; [`Self::count`] counts all.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    kept: Vec<Diagnostic>,
    counts: [usize; 3],
}

impl Diagnostics {
    /// The findings that were kept, in the order of the files.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.kept.iter()
    }

    /// How many findings of a severity there were.
    pub fn count(&self, severity: Severity) -> usize {
        self.counts[severity as usize]
    }

    /// Whether there is an error, so that there is no configuration.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.counts == [0; 3]
    }

    fn push(&mut self, severity: Severity, diagnostic: impl FnOnce() -> Diagnostic) {
        let count = &mut self.counts[severity as usize];
        *count += 1;
        if *count <= MAX_OF_A_KIND {
            self.kept.push(diagnostic());
        }
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A finding whose place is still a span.
#[derive(Debug)]
pub(crate) struct Fault {
    severity: Severity,
    code: &'static str,
    span: Span,
    message: String,
    help: Option<String>,
    path: Option<String>,
    whole_file: bool,
}

impl Fault {
    pub(crate) fn error(span: Span, code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, span, code, message.into())
    }

    pub(crate) fn warning(span: Span, code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, span, code, message.into())
    }

    pub(crate) fn notice(span: Span, code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Notice, span, code, message.into())
    }

    fn new(severity: Severity, span: Span, code: &'static str, message: String) -> Self {
        Self { severity, code, span, message, help: None, path: None, whole_file: false }
    }

    /// The remedy.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// "did you mean", where there is a likely name.
    pub(crate) fn suggest<'n>(
        self,
        written: &str,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Self {
        match crate::suggest::suggest(written, names) {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    /// The path in its file, where it cannot be found from the span.
    pub(crate) fn path(mut self, path: String) -> Self {
        self.path = Some(path);
        self
    }

    /// Means the whole file: no line is shown.
    pub(crate) fn whole_file(mut self) -> Self {
        self.whole_file = true;
        self
    }

    fn locate(self, sources: &Sources) -> Diagnostic {
        let source = sources.at(self.span.source);
        let (start, end, excerpt) = if self.whole_file {
            ((0, 0), (0, 0), None)
        } else {
            let start = source.position(self.span.start as usize);
            let end = source.position(self.span.end as usize);
            (start, end, Some(Excerpt::new(source, self.span)))
        };
        Diagnostic {
            severity: self.severity,
            code: self.code,
            message: self.message,
            help: self.help,
            file: source.name.clone(),
            line: start.0,
            column: start.1,
            end,
            path: match self.path {
                Some(path) => mounted(&source.mount, &path),
                None => sources.path(self.span),
            },
            excerpt,
        }
    }
}

/// A path in a file as a path in the whole configuration.
fn mounted(mount: &str, path: &str) -> String {
    let dot = if mount.is_empty() || path.is_empty() || path.starts_with('[') { "" } else { "." };
    format!("{mount}{dot}{path}")
}

/// Collects findings while a configuration is loaded.
#[derive(Default)]
pub(crate) struct Report {
    found: Diagnostics,
    order: Vec<(u32, u32)>,
}

impl Report {
    pub(crate) fn add(&mut self, sources: &Sources, fault: Fault) {
        let key = (fault.span.source, fault.span.start);
        let kept = self.found.kept.len();
        self.found.push(fault.severity, || fault.locate(sources));
        if self.found.kept.len() > kept {
            self.order.push(key);
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.found.has_errors()
    }

    /// Whether one more of a severity would only be counted, so that its words need no thought.
    pub(crate) fn is_full(&self, severity: Severity) -> bool {
        self.found.count(severity) >= MAX_OF_A_KIND
    }

    /// The findings in the order of the files.
    pub(crate) fn finish(self) -> Diagnostics {
        let Diagnostics { kept, counts } = self.found;
        let mut keyed: Vec<_> = self.order.into_iter().zip(kept).collect();
        keyed.sort_by_key(|(key, _)| *key);
        Diagnostics { kept: keyed.into_iter().map(|(_, diagnostic)| diagnostic).collect(), counts }
    }
}
