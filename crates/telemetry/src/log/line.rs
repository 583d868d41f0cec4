//! One line of the server log.

use std::fmt::{self, Write as _};

use jiff::Zoned;
use rosn_config::checked::LogLevel;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::escape::escape_control;
use crate::syslog::{Header, Severity};

/// What lines look like.
#[derive(Debug)]
pub(crate) enum Layout {
    /// MOSN's.
    Plain,
    /// The same with the level in colour.
    Colour,
    /// With a syslog header in place of the time.
    Syslog(Header),
}

/// An event, taken apart.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) level: LogLevel,
    code: String,
    message: String,
    /// ` key=value` for each of the other fields.
    fields: String,
}

impl Line {
    /// Of an event.
    pub(crate) fn new(event: &Event<'_>) -> Self {
        let level = match *event.metadata().level() {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            Level::DEBUG => LogLevel::Debug,
            Level::TRACE => LogLevel::Trace,
        };
        let mut line =
            Self { level, code: String::new(), message: String::new(), fields: String::new() };
        event.record(&mut line);
        line
    }

    /// What the log itself has to say.
    pub(crate) fn notice(message: &str) -> Self {
        let (code, fields) = (String::new(), String::new());
        Self { level: LogLevel::Warn, code, message: message.to_owned(), fields }
    }

    /// Appends the line and its line feed.
    pub(crate) fn write(&self, layout: &Layout, now: &Zoned, out: &mut Vec<u8>) {
        let (name, colour) = match self.level {
            LogLevel::Fatal => ("FATAL", "1;31"),
            LogLevel::Error => ("ERROR", "31"),
            LogLevel::Warn => ("WARN", "33"),
            LogLevel::Info => ("INFO", "32"),
            LogLevel::Debug => ("DEBUG", "36"),
            LogLevel::Trace => ("TRACE", "35"),
        };
        let time = now.strftime("%Y-%m-%d %H:%M:%S,%3f");
        match layout {
            Layout::Plain => out.extend_from_slice(format!("{time} [{name}] ").as_bytes()),
            Layout::Colour => {
                out.extend_from_slice(format!("{time} [\x1b[{colour}m{name}\x1b[0m] ").as_bytes())
            }
            Layout::Syslog(header) => {
                header.write(self.severity(), now, out);
                out.extend_from_slice(format!("[{name}] ").as_bytes());
            }
        }
        let start = out.len();
        if !self.code.is_empty() {
            out.extend_from_slice(format!("[{}] ", self.code).as_bytes());
        }
        out.extend_from_slice(self.message.as_bytes());
        out.extend_from_slice(self.fields.as_bytes());
        escape_control(out, start);
        out.push(b'\n');
    }

    fn severity(&self) -> Severity {
        match self.level {
            LogLevel::Fatal => Severity::Critical,
            LogLevel::Error => Severity::Error,
            LogLevel::Warn => Severity::Warning,
            LogLevel::Info => Severity::Informational,
            LogLevel::Debug | LogLevel::Trace => Severity::Debug,
        }
    }

    fn field(&mut self, name: &str, value: fmt::Arguments<'_>, is_text: bool) {
        // A value whose Display fails has shown what it could.
        let _ = match name {
            "message" => self.message.write_fmt(value),
            "code" => self.code.write_fmt(value),
            _ => {
                let start = self.fields.len() + name.len() + 2;
                let written = write!(self.fields, " {name}={value}");
                quote(&mut self.fields, start, is_text);
                written
            }
        };
    }
}

/// Puts the value that begins at `start` in quotes where it would be taken for several. What Debug
/// has quoted already (`is_text` is false) stays as it is.
fn quote(fields: &mut String, start: usize, is_text: bool) {
    let value = &fields[start.min(fields.len())..];
    let quoted = !is_text && value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
    if value.is_empty() || (!quoted && value.contains([' ', '"', '='])) {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        fields.truncate(start);
        fields.push('"');
        fields.push_str(&value);
        fields.push('"');
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field.name(), format_args!("{value:?}"), false);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field.name(), format_args!("{value}"), true);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "fatal" {
            if value && self.level == LogLevel::Error {
                self.level = LogLevel::Fatal;
            }
        } else {
            self.field(field.name(), format_args!("{value}"), true);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.field(field.name(), format_args!("{value}"), true);
    }
}
