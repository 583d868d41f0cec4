//! One line for each request.

use std::sync::Arc;

use rosn_base::stats::{Source, Value};
use rosn_config::checked::{self, LogTarget, Roller};
use rosn_config::{Template, Variable, Variables};

use crate::escape::{append_json_string, escape_control};
use crate::sink::{OpenError, target_of};
use crate::syslog::Severity;
use crate::writer::{Channel, Writer};

/// What stands where a variable has no value (MOSN).
const MISSING: &str = "-";

/// An access log of a listener.
///
/// Each worker formats its lines into a buffer of its own; the [`Writer`]'s thread writes them. A
/// line is at most some 100 ms late. Lines of one worker stay in order.
///
/// In a text line, control characters of a value (not of the format) are written as `\xHH`: a
/// peer cannot forge a line. In a JSON line each value is a string, and bytes that are not UTF-8
/// become U+FFFD.
#[derive(Debug)]
pub struct AccessLog {
    format: Format,
    /// `None` if the lines go to /dev/null: nothing is formatted then.
    channel: Option<Arc<Channel>>,
}

#[derive(Debug)]
enum Format {
    Text(Template),
    /// `{"key":` or `,"key":`, and the value after it.
    Json(Vec<(Vec<u8>, Template)>),
}

impl AccessLog {
    /// Opens a log that `shards` threads write to. `config.path` may be a file, `stdout`,
    /// `stderr`, `syslog`, `syslog://host:port/tag` or `/dev/null`. Logs with the same path share
    /// one opened file. `roller` is the server's `global_log_roller`.
    ///
    /// # Errors
    /// If the file cannot be opened or made, or the syslog daemon's address is not found.
    pub fn open(
        writer: &Writer,
        config: &checked::AccessLog,
        roller: Roller,
        shards: usize,
    ) -> Result<Arc<Self>, OpenError> {
        let target = target_of(&config.path);
        let nowhere = matches!(&target, LogTarget::File(path) if path.as_os_str() == "/dev/null");
        let channel = if nowhere {
            None
        } else {
            Some(writer.channel(&target, roller, shards, usize::MAX)?)
        };
        Ok(Arc::new(Self { format: Format::new(&config.format), channel }))
    }

    /// Logs one request. Only the thread `shard` calls this for that number; nothing waits for the
    /// disk. Above 1 MiB of lines not yet written, the line is dropped and counted.
    ///
    /// # Panics
    /// If the log was opened for fewer shards.
    pub fn write(&self, shard: usize, values: &dyn Variables) {
        let Some(channel) = &self.channel else { return };
        if !channel.sink().is_enabled() {
            return;
        }
        channel.append(shard, |out| {
            if let Some(header) = channel.sink().header() {
                header.write(Severity::Informational, &jiff::Zoned::now(), out);
            }
            self.format.render(values, out);
            out.push(b'\n');
        });
    }

    /// How many lines were lost: no room in the buffer, or the target could not be written.
    pub fn dropped(&self) -> u64 {
        self.channel.as_ref().map_or(0, |channel| channel.dropped())
    }
}

impl Source for AccessLog {
    fn visit(&self, f: &mut dyn FnMut(&'static str, Value)) {
        f("dropped", Value::Counter(self.dropped()));
    }
}

impl Format {
    fn new(format: &checked::AccessLogFormat) -> Self {
        match format {
            checked::AccessLogFormat::Text(template) => Self::Text(template.clone()),
            checked::AccessLogFormat::Json(fields) => Self::Json(
                fields
                    .iter()
                    .enumerate()
                    .map(|(at, (key, template))| {
                        let mut before = vec![if at == 0 { b'{' } else { b',' }];
                        append_json_string(key.as_bytes(), &mut before);
                        before.push(b':');
                        (before, template.clone())
                    })
                    .collect(),
            ),
        }
    }

    fn render(&self, values: &dyn Variables, out: &mut Vec<u8>) {
        match self {
            Self::Text(template) => template.render(&Escaped(values), MISSING, out),
            Self::Json(fields) if fields.is_empty() => out.extend_from_slice(b"{}"),
            Self::Json(fields) => {
                for (before, template) in fields {
                    out.extend_from_slice(before);
                    json_value(template, values, out);
                }
                out.push(b'}');
            }
        }
    }
}

/// Appends the rendered template as a JSON string. A value that needs no escape, as nearly all do,
/// is rendered in place.
fn json_value(template: &Template, values: &dyn Variables, out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    template.render(values, MISSING, out);
    let plain = |byte: &u8| matches!(byte, 0x20..0x7f) && *byte != b'"' && *byte != b'\\';
    if out[start..].iter().all(plain) {
        out.push(b'"');
    } else {
        let value = out.split_off(start);
        out.truncate(start - 1);
        append_json_string(&value, out);
    }
}

/// Values without control characters.
struct Escaped<'a>(&'a dyn Variables);

impl Variables for Escaped<'_> {
    fn write(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let known = self.0.write(variable, out);
        escape_control(out, start);
        known
    }
}

#[cfg(test)]
mod tests;

/// Appends a time in MOSN's layout of `%start_time%`, `2006/01/02 15:04:05.000`, in local time.
pub fn write_start_time(at: std::time::SystemTime, out: &mut Vec<u8>) {
    let Ok(timestamp) = jiff::Timestamp::try_from(at) else { return };
    let time = timestamp.to_zoned(jiff::tz::TimeZone::system()).datetime();
    let (day, clock) = (time.date(), time.time());
    let text = format_args!(
        "{:04}/{:02}/{:02} {:02}:{:02}:{:02}.{:03}",
        day.year(),
        day.month(),
        day.day(),
        clock.hour(),
        clock.minute(),
        clock.second(),
        clock.millisecond(),
    );
    std::io::Write::write_fmt(out, text).expect("a Vec takes all bytes");
}
