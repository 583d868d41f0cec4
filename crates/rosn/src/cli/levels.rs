//! `--log-level`, in Envoy's words.

use rosn_config::checked::LogLevel;

/// What the log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogLevelFlag {
    /// Nothing.
    Off,
    /// Lines of this level and above.
    Level(LogLevel),
}

impl LogLevelFlag {
    /// The level; `None` for nothing at all.
    pub(crate) fn level(self) -> Option<LogLevel> {
        match self {
            Self::Off => None,
            Self::Level(level) => Some(level),
        }
    }

    /// Reads a level, also in MOSN's own words. `None` for a word that is none of them; MOSN goes
    /// on as if it had not been given.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let level = match word.to_ascii_lowercase().as_str() {
            "trace" => LogLevel::Trace,
            "debug" => LogLevel::Debug,
            "info" => LogLevel::Info,
            "warning" | "warn" => LogLevel::Warn,
            "error" => LogLevel::Error,
            "critical" | "fatal" => LogLevel::Fatal,
            "off" => return Some(Self::Off),
            _ => return None,
        };
        Some(Self::Level(level))
    }
}
