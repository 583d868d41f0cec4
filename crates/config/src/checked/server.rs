//! What concerns the process.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// `servers[0]` without its listeners and routers, and the keys beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// `mosn_server_name`, may be empty.
    pub name: String,
    /// `processor`: the number of workers; `None` = one for each core the process may use.
    pub workers: Option<NonZeroUsize>,
    /// `accept`: how connections come to the workers (a key of rosn's).
    pub accept: AcceptMode,
    /// `graceful_timeout` (30 s): how long active requests may take to finish when draining.
    pub graceful_timeout: Duration,
    /// `limits` (a key of rosn's).
    pub limits: Limits,
    /// The server log.
    pub log: Log,
    /// `pid`: where the process number is written.
    pub pid_file: PathBuf,
    /// `uds_dir`: where the control socket lives.
    pub socket_dir: PathBuf,
}

/// How connections come to the workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AcceptMode {
    /// Each worker has its own SO_REUSEPORT socket; the kernel spreads connections by hash.
    #[default]
    ReusePort,
    /// One acceptor hands each connection to the worker that has the fewest.
    Balanced,
}

/// Limits that hold for the whole process. None is infinite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open downstream connections of all listeners together (100,000).
    pub max_connections: u32,
    /// Time for a whole request head to arrive (10 s), else 408.
    pub header_timeout: Duration,
    /// Time that an HTTP connection may stay open without a request (75 s), unless the listener
    /// has its own `connection_idle_timeout`.
    pub idle_timeout: Duration,
    /// Time for a TLS handshake with a client (10 s).
    pub handshake_timeout: Duration,
    /// Time for the first bytes of a connection whose protocol is told by them (100 ms).
    pub detection_timeout: Duration,
    /// Bytes of a message head (64 KiB), else 431.
    pub max_head_bytes: usize,
    /// Header fields of a message (100), else 431.
    pub max_headers: usize,
    /// Bytes of a request line (16 KiB), else 414.
    pub max_request_line_bytes: usize,
    /// Idle upstream connections kept in all, for each worker and endpoint (512).
    pub max_idle_upstream: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 100_000,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            handshake_timeout: Duration::from_secs(10),
            detection_timeout: Duration::from_millis(100),
            max_head_bytes: 64 * 1024,
            max_headers: 100,
            max_request_line_bytes: 16 * 1024,
            max_idle_upstream: 512,
        }
    }
}

/// Where the server log goes and what it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// `default_log_path`.
    pub target: LogTarget,
    /// `default_log_level`.
    pub level: LogLevel,
    /// `global_log_roller`.
    pub roller: Roller,
}

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// The local syslog (`syslog`), or one at an address (`syslog://host:port/tag`).
    Syslog(Option<String>),
    /// A file.
    File(PathBuf),
}

/// MOSN's log levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Fatal,
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// When a log file is rolled and what becomes of the old ones (`"time=24 size=100 age=7 keep=10 compress=on"`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roller {
    /// `time`: roll after this many hours (24); the other limits roll as well.
    pub hours: Option<u64>,
    /// `size`: roll at this many MiB.
    pub megabytes: Option<u64>,
    /// `age`: remove rolled files after this many days.
    pub max_age_days: Option<u64>,
    /// `keep`: keep at most this many rolled files.
    pub max_files: Option<u64>,
    /// `compress`: gzip rolled files.
    pub compress: bool,
}

impl Default for Roller {
    fn default() -> Self {
        Self {
            hours: Some(24),
            megabytes: None,
            max_age_days: None,
            max_files: None,
            compress: false,
        }
    }
}

/// The admin server.
#[derive(Debug, Clone, PartialEq)]
pub struct Admin {
    /// Where it listens.
    pub address: SocketAddr,
    /// `token` (a key of rosn's): what a request must carry as `Authorization: Bearer`.
    pub token: Option<Secret>,
}

/// A text that never reaches a log, a dump or an error.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***REDACTED***")
    }
}

/// What is measured and where it is shown.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metrics {
    /// `sinks` of type `prometheus`.
    pub prometheus: Vec<PrometheusSink>,
    /// `stats_matcher`: what is left out.
    pub exclude: StatsMatcher,
}

/// A listener that answers scrapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrometheusSink {
    /// 0.0.0.0 and `port`.
    pub address: SocketAddr,
    /// `endpoint` (`/metrics`).
    pub endpoint: String,
    /// Whether the metrics of the process are shown; false where `disable_collect_process`.
    pub process: bool,
}

/// Which metrics are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatsMatcher {
    /// `reject_all`.
    pub all: bool,
    /// `exclusion_labels`: metrics that have one of these labels.
    pub labels: Vec<String>,
    /// `exclusion_keys`: metrics with one of these keys.
    pub keys: Vec<String>,
}
