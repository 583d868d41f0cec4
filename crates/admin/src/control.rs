//! What the admin API needs from the process.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use rosn_config::checked::LogLevel;
use serde_json::Value;

/// The numbers that `/api/v1/states` shows (MOSN's stage manager).
pub mod stage {
    /// Nothing happened yet.
    pub const NIL: u8 = 0;
    /// The command line is read.
    pub const PARAMS_PARSED: u8 = 1;
    /// The configuration is being read.
    pub const INITING: u8 = 2;
    /// Before the first listener is bound.
    pub const PRE_START: u8 = 3;
    /// Listeners and workers are starting.
    pub const STARTING: u8 = 4;
    /// They have started.
    pub const AFTER_START: u8 = 5;
    /// Traffic is served.
    pub const RUNNING: u8 = 6;
    /// A stop was asked for.
    pub const BEFORE_STOP: u8 = 7;
    /// Active requests are given time to finish.
    pub const GRACEFUL_STOPPING: u8 = 8;
    /// Everything is being closed.
    pub const STOPPING: u8 = 9;
    /// Everything is closed.
    pub const AFTER_STOP: u8 = 10;
    /// The end.
    pub const STOPPED: u8 = 11;
    /// A new process is starting that will take over.
    pub const STARTING_NEW_SERVER: u8 = 12;
    /// The new process is taking over.
    pub const UPGRADING: u8 = 13;
}

/// A change that takes time.
pub type Change<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// How a change went: what was done, or why nothing was done.
pub type Outcome = Result<Report, Report>;

/// A report for a person and for a program.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Lines of text, without colours.
    pub text: String,
    /// The same as JSON.
    pub json: Value,
}

/// What one worker has open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct WorkerConnections {
    /// Open connections of clients.
    pub downstream: u64,
    /// Requests that are not answered yet.
    pub requests: u64,
    /// Open connections to endpoints, idle ones included.
    pub upstream: u64,
}

/// What the admin API needs from the process.
///
/// Calls come from the control thread and must not block; only [`reload`](Self::reload) may take
/// its time.
pub trait Control: Send + Sync {
    /// The version of the program, as `0.1.0`.
    fn version(&self) -> String;

    /// The process number.
    fn pid(&self) -> u32;

    /// One of [`stage`].
    fn state(&self) -> u8;

    /// The whole configuration that is in force, in the shape of a configuration file: included
    /// files are part of it, and secrets are blotted out.
    fn config(&self) -> Arc<Value>;

    /// The statistics as JSON text, `{type: {labels: {key: "value"}}}`. With a key, only what has that
    /// key; `None` where nothing has it.
    fn stats(&self, key: Option<&str>) -> Option<String>;

    /// The totals of the proxy, as lines of `key:value`.
    fn stats_glob(&self) -> String;

    /// All metrics in the prometheus text format, version 0.0.4.
    fn prometheus(&self) -> String;

    /// Every log by its path, and its level; the server's own log is one of them.
    fn log_levels(&self) -> Vec<(String, LogLevel)>;

    /// Sets a log's level; an empty path means the server's own log. False where there is no such
    /// log.
    fn set_log_level(&self, path: &str, level: LogLevel) -> bool;

    /// Turns a log on or off; an empty path means the server's own log. False where there is no
    /// such log.
    fn enable_log(&self, path: &str, enabled: bool) -> bool;

    /// The feature gates and whether they are open.
    fn features(&self) -> Vec<(String, bool)>;

    /// The value of an environment variable, where it is set.
    fn environment(&self, name: &str) -> Option<String>;

    /// What each worker has open.
    fn connections(&self) -> Vec<WorkerConnections>;

    /// The clusters by name, and what is known of the health of their endpoints.
    fn clusters(&self) -> Value;

    /// Reads the configuration again and puts the difference into force. On a fault nothing
    /// changes, and the report says what is wrong. Two reloads at a time must not mix.
    ///
    /// # Cancel safety
    ///
    /// It runs to its end in a task of its own, also when the client goes away.
    fn reload(&self) -> Change<'_>;

    /// The faults that are made on purpose, as `sockets.faults` of a configuration has them.
    fn faults(&self) -> Value;

    /// Puts others in their place: a JSON list of the same shape, empty for none. Says what is in force now; on a fault
    /// of the text nothing changes.
    ///
    /// # Errors
    /// What is wrong with the text.
    fn set_faults(&self, text: &str) -> Outcome;

    /// Asks the process to stop: at once, or when active requests are done.
    fn stop(&self, graceful: bool);
}
