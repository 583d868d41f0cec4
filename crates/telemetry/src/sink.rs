//! Where lines end up: a file, a standard stream or a syslog daemon.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use jiff::Zoned;
use rosn_config::checked::{LogTarget, Roller};

use crate::file::LogFile;
use crate::syslog::{Header, Syslog};
use crate::writer::lock;

const SYSLOG_SCHEME: &str = "syslog://";

/// A log that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the log {target}: {cause}")]
pub struct OpenError {
    /// As the configuration names it.
    pub target: String,
    /// What the system says.
    pub cause: io::Error,
}

/// One opened target. All logs that name it share it.
#[derive(Debug)]
pub(crate) struct Sink {
    target: LogTarget,
    enabled: AtomicBool,
    /// For syslog only: what each line begins with.
    header: Option<Header>,
    /// Whether the last write went wrong: only a change is worth a line in the server log.
    failing: AtomicBool,
    output: Mutex<Output>,
}

#[derive(Debug)]
enum Output {
    Stdout,
    Stderr,
    Syslog(Syslog),
    File(LogFile),
}

impl Sink {
    /// Opens a target, which is [`canonical`].
    pub(crate) fn open(target: LogTarget, roller: Roller, now: &Zoned) -> Result<Self, OpenError> {
        let opened = match &target {
            LogTarget::Stdout => Ok((Output::Stdout, None)),
            LogTarget::Stderr => Ok((Output::Stderr, None)),
            LogTarget::Syslog(address) => Syslog::open(address.as_deref())
                .map(|(s, header)| (Output::Syslog(s), Some(header))),
            LogTarget::File(path) => {
                LogFile::open(path, roller, now).map(|file| (Output::File(file), None))
            }
        };
        let (output, header) =
            opened.map_err(|cause| OpenError { target: target_name(&target), cause })?;
        Ok(Self {
            target,
            enabled: AtomicBool::new(true),
            header,
            failing: AtomicBool::new(false),
            output: Mutex::new(output),
        })
    }

    pub(crate) fn target(&self) -> &LogTarget {
        &self.target
    }

    pub(crate) fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled.load(Relaxed)
    }

    pub(crate) fn set_enabled(&self, enabled: bool) {
        self.enabled.store(enabled, Relaxed);
    }

    pub(crate) fn set_roller(&self, roller: Roller) {
        if let Output::File(file) = &mut *lock(&self.output) {
            file.set_roller(roller);
        }
    }

    /// Writes whole lines. Returns whether they arrived. Puts rolled files that are to be
    /// compressed in `compress`.
    pub(crate) fn write(&self, lines: &[u8], now: &Zoned, compress: &mut Vec<PathBuf>) -> bool {
        let result = match &mut *lock(&self.output) {
            Output::Stdout => write_stream(io::stdout().lock(), lines),
            Output::Stderr => write_stream(io::stderr().lock(), lines),
            Output::Syslog(syslog) => syslog.write(lines),
            Output::File(file) => file.write(lines, now, compress),
        };
        let failing = result.is_err();
        if self.failing.swap(failing, Relaxed) != failing {
            let target = target_name(&self.target);
            match &result {
                Err(error) => {
                    tracing::error!(code = "log.write", %target, %error, "cannot write a log")
                }
                Ok(()) => tracing::warn!(%target, "a log can be written again"),
            }
        }
        result.is_ok()
    }

    /// Lets no line through for as long as the guard lives, as a dead disk would.
    #[cfg(test)]
    pub(crate) fn stall(&self) -> impl Drop {
        lock(&self.output)
    }

    /// Opens a file again by its path.
    pub(crate) fn reopen(&self, now: &Zoned) {
        if let Output::File(file) = &mut *lock(&self.output)
            && let Err(error) = file.reopen(now)
        {
            let target = target_name(&self.target);
            tracing::error!(code = "log.reopen", %target, %error, "cannot reopen a log, the old file stays in use");
        }
    }
}

fn write_stream(mut stream: impl Write, lines: &[u8]) -> io::Result<()> {
    stream.write_all(lines)?;
    stream.flush()
}

/// The target that a path of the configuration names, as MOSN reads it.
pub(crate) fn target_of(path: &Path) -> LogTarget {
    match path.to_str() {
        Some("stdout" | "/dev/stdout") => LogTarget::Stdout,
        Some("" | "stderr" | "/dev/stderr") => LogTarget::Stderr,
        Some("syslog") => LogTarget::Syslog(None),
        Some(text) if text.starts_with(SYSLOG_SCHEME) => {
            canonical(LogTarget::Syslog(Some(text.to_owned())))
        }
        _ => canonical(LogTarget::File(path.to_owned())),
    }
}

/// The one spelling of a target, by which logs find that they share it. Links are not followed.
pub(crate) fn canonical(target: LogTarget) -> LogTarget {
    match target {
        LogTarget::File(path) => LogTarget::File(std::path::absolute(&path).unwrap_or(path)),
        LogTarget::Syslog(Some(address)) => {
            let address = address.strip_prefix(SYSLOG_SCHEME).unwrap_or(&address);
            LogTarget::Syslog(Some(address.to_owned()))
        }
        stream => stream,
    }
}

/// The name of a target, as the configuration writes it.
pub(crate) fn target_name(target: &LogTarget) -> String {
    match target {
        LogTarget::Stdout => "stdout".to_owned(),
        LogTarget::Stderr => "stderr".to_owned(),
        LogTarget::Syslog(None) => "syslog".to_owned(),
        LogTarget::Syslog(Some(address)) => format!("{SYSLOG_SCHEME}{address}"),
        LogTarget::File(path) => path.display().to_string(),
    }
}
