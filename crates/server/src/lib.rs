//! Assembly: a checked configuration becomes running workers, and stays in step with its file.
//!
//! [`run`] is the life of the process: it builds the first snapshot, opens the sockets, starts the
//! workers, and then sits on the control thread: admin API, metrics, DNS, health checks, reloads, signals. What it puts
//! together lives in other crates; here is only who gets what.

mod build;
mod certificates;
mod control;
mod health;
mod hooks;
mod limits;
mod reload;
mod run;
mod signals;
mod tls;
mod watch;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rosn_config::Loaded;
use rosn_config::checked::{Config, LogLevel};

pub use run::{RunError, run};
pub use tls::check_tls;

/// Reads the configuration, for the first time or again.
pub type Load = Arc<dyn Fn() -> Loaded + Send + Sync>;

/// What a start needs to know.
pub struct Options {
    /// Reads the configuration again.
    pub load: Load,
    /// The configuration, without errors.
    pub config: Config,
    /// The same as it was written, for the dump.
    pub raw: serde_json::Value,
    /// Reload when one of the configuration's files changes.
    pub watch: bool,
    /// The files and directories that it was read from.
    pub sources: Vec<PathBuf>,
    /// Wins over `processor`.
    pub workers: Option<NonZeroUsize>,
    /// Wins over `default_log_level`: the level, or none for no log.
    pub log_level: Option<Option<LogLevel>>,
    /// Wins over `graceful_timeout`.
    pub drain: Option<Duration>,
    /// Every feature gate and whether it is open.
    pub features: Vec<(String, bool)>,
    /// The version that the admin API shows.
    pub version: &'static str,
}
