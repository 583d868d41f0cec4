//! The server.

use std::time::Duration;

use super::table::{choices, format};
use super::{Listener, Processor, Router, Status::*};

format! {
    /// The process: its logs, workers, listeners and routers.
    Server {
        /// A name for people.
        mosn_server_name: String, Active, "";
        /// A file, `stdout`, `stderr`, `syslog` or `syslog://host:port/tag`.
        default_log_path: String, Active, "<base>/logs/mosn.log";
        /// `FATAL`, `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
        default_log_level: LogLevel, Active, "INFO";
        /// When log files are rolled: `time=24 size=100 age=7 keep=10 compress=on`; hours, MiB, days, files.
        global_log_roller: String, Active, "time=24";
        /// MOSN's event loop.
        use_netpoll_mode: bool, Inert("rosn always waits for events"), "false";
        /// How long active requests may take to finish when the process stops.
        graceful_timeout: Duration, Active, "30s";
        /// The number of workers; `auto` is one for each core.
        processor: Processor, Active, "auto";
        /// How connections come to the workers: `reuseport` or `balanced`.
        accept: Accept, Own, "reuseport";
        /// Limits of the whole process.
        limits: Limits, Own, "{}";
        /// Where connections come in.
        listeners: Vec<Listener>, Active, "[]";
        /// Where requests go.
        routers: Vec<Router>, Active, "[]";
    }

    /// Limits of the whole process. None can be turned off.
    Limits {
        /// Open downstream connections of all listeners together.
        max_connections: u32, Own, "100000";
        /// Time for a whole request head to arrive, else 408.
        header_timeout: Duration, Own, "10s";
        /// Time that an HTTP connection may stay open without a request, unless its listener has
        /// `connection_idle_timeout`.
        idle_timeout: Duration, Own, "75s";
        /// Time for a TLS handshake with a client.
        handshake_timeout: Duration, Own, "10s";
        /// Time for the first bytes of a connection whose protocol is told by them: `Auto`, `inspector`,
        /// `tls_inspector`. A client that says nothing for so long waits for the server to speak first.
        detection_timeout: Duration, Own, "100ms";
        /// Bytes of a message head, else 431.
        max_head_bytes: u32, Own, "65536";
        /// Header fields of a message, else 431.
        max_headers: u32, Own, "100";
        /// Bytes of a request line, else 414.
        max_request_line_bytes: u32, Own, "16384";
        /// Idle upstream connections kept for each worker and endpoint.
        max_idle_upstream: u32, Own, "512";
    }
}

choices! {
    /// How much is logged.
    LogLevel: "FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE";
    /// How connections come to the workers.
    Accept: "reuseport", "balanced";
}
