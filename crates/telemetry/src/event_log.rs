//! A log of rare events, a line for each.

use std::fmt;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use rosn_config::checked::Roller;

use crate::escape::escape_control;
use crate::sink::{OpenError, target_of};
use crate::syslog::Severity;
use crate::writer::{Channel, Writer};

/// A log whose lines one thread writes, without a format of its own. The [`Writer`]'s thread puts them where they go.
#[derive(Debug)]
pub struct EventLog {
    channel: Arc<Channel>,
}

impl EventLog {
    /// Opens a log; `path` may be what that of an [`AccessLog`](crate::AccessLog) may be.
    ///
    /// # Errors
    /// If the file cannot be opened or made, or the syslog daemon's address is not found.
    pub fn open(writer: &Writer, path: &Path, roller: Roller) -> Result<Self, OpenError> {
        Ok(Self { channel: writer.channel(&target_of(path), roller, 1, usize::MAX)? })
    }

    /// Writes a line. Control characters become `\xHH`. Above 1 MiB of lines not yet written, it is dropped.
    pub fn write(&self, line: fmt::Arguments<'_>) {
        if !self.channel.sink().is_enabled() {
            return;
        }
        self.channel.append(0, |out| {
            if let Some(header) = self.channel.sink().header() {
                header.write(Severity::Informational, &jiff::Zoned::now(), out);
            }
            let from = out.len();
            let _ = write!(out, "{line}"); // a Vec takes all bytes
            escape_control(out, from);
            out.push(b'\n');
        });
    }
}
