//! Findings as text for people and as JSON for tools.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Diagnostic, Diagnostics, Severity};

const BOLD: &str = "\x1b[1m";
const BLUE: &str = "\x1b[1;34m";
const RESET: &str = "\x1b[0m";

impl Diagnostic {
    /// The finding as text, in the manner of rustc, with a line end behind it.
    pub fn render_text(&self, colour: bool) -> String {
        let mut out = String::new();
        // Writing into a string does not fail.
        let _ = self.write(&mut out, &Style::new(self.severity, colour));
        out
    }

    /// The finding as a JSON object: `severity`, `code`, `message`, `help`, `file`, `line`, `column`,
    /// `end_line`, `end_column`, `path`.
    pub fn to_json(&self) -> Value {
        json!({
            "severity": self.severity.to_string(),
            "code": self.code,
            "message": self.message,
            "help": self.help,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "end_line": self.end.0,
            "end_column": self.end.1,
            "path": self.path,
        })
    }

    fn write(&self, out: &mut String, style: &Style) -> std::fmt::Result {
        let Style { severity, bold, frame, reset } = style;
        writeln!(
            out,
            "{severity}{}[{}]{reset}{bold}: {}{reset}",
            self.severity,
            self.code,
            one_line(&self.message)
        )?;
        let number = if self.line == 0 { String::new() } else { self.line.to_string() };
        let margin = " ".repeat(number.len().max(1));
        write!(out, "{margin}{frame}-->{reset} {}", one_line(&self.file))?;
        if self.line > 0 {
            write!(out, ":{}:{}", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(out, " ({})", one_line(&self.path))?;
        }
        out.push('\n');
        if let Some(excerpt) = &self.excerpt {
            let caret = "^".repeat(excerpt.width);
            let space = " ".repeat(excerpt.column);
            writeln!(out, "{margin} {frame}|{reset}")?;
            writeln!(out, "{frame}{number} |{reset} {}", excerpt.text)?;
            writeln!(out, "{margin} {frame}|{reset} {space}{severity}{caret}{reset}")?;
        }
        if let Some(help) = &self.help {
            writeln!(out, "{margin} {frame}={reset} help: {}", one_line(help))?;
        }
        Ok(())
    }
}

impl Diagnostics {
    /// All findings as text, in the manner of rustc, and a line that counts them. Empty where nothing
    /// was found.
    pub fn render_text(&self, colour: bool) -> String {
        let mut out = String::new();
        for diagnostic in &self.kept {
            out.push_str(&diagnostic.render_text(colour));
            out.push('\n');
        }
        if !self.is_empty() {
            out.push_str(&self.summary());
            out.push('\n');
        }
        out
    }

    /// Such as `2 errors, 1 warning`.
    pub fn summary(&self) -> String {
        let all = [Severity::Error, Severity::Warning, Severity::Notice];
        let counted = all.iter().filter(|severity| self.count(**severity) > 0);
        let mut text = counted
            .map(|severity| match self.count(*severity) {
                1 => format!("1 {severity}"),
                count => format!("{count} {severity}s"),
            })
            .collect::<Vec<_>>()
            .join(", ");
        let hidden = self.counts.iter().sum::<usize>() - self.kept.len();
        if hidden > 0 {
            text.push_str(&format!(" ({hidden} of them not shown)"));
        }
        text
    }

    /// `{"errors": n, "warnings": n, "notices": n, "diagnostics": [...]}`.
    pub fn to_json(&self) -> Value {
        json!({
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "notices": self.count(Severity::Notice),
            "diagnostics": self.kept.iter().map(Diagnostic::to_json).collect::<Vec<_>>(),
        })
    }
}

/// Names in a configuration may hold anything; a terminal must not obey it.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The escape sequences, or nothing.
struct Style {
    severity: &'static str,
    bold: &'static str,
    frame: &'static str,
    reset: &'static str,
}

impl Style {
    fn new(severity: Severity, colour: bool) -> Self {
        if !colour {
            return Self { severity: "", bold: "", frame: "", reset: "" };
        }
        let severity = match severity {
            Severity::Error => "\x1b[1;31m",
            Severity::Warning => "\x1b[1;33m",
            Severity::Notice => "\x1b[1;36m",
        };
        Self { severity, bold: BOLD, frame: BLUE, reset: RESET }
    }
}
