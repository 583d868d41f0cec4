//! Health checks of a cluster's endpoints.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// `health_check`: each endpoint is asked again and again whether it is well.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthCheck {
    /// `service_name`, a label of metrics; the cluster's name where it is empty.
    pub service: Arc<str>,
    /// How an endpoint is asked.
    pub question: Question,
    /// `timeout` (1 s), or that of the question where it is shorter.
    pub timeout: Duration,
    /// `interval` (15 s): from an answer to the next question.
    pub interval: Duration,
    /// `interval_jitter` (5 ms): the interval is longer by up to this.
    pub jitter: Duration,
    /// `initial_delay_seconds` (1 s): before the first question.
    pub initial_delay: Duration,
    /// `healthy_threshold` (1): good answers in a row until an endpoint is healthy again.
    pub healthy_threshold: NonZeroU32,
    /// `unhealthy_threshold` (1): bad answers in a row until an endpoint is unhealthy.
    pub unhealthy_threshold: NonZeroU32,
    /// `event_log_path`: what gets a line for each change. The names of an
    /// [access log](super::AccessLog::path).
    pub event_log: Option<PathBuf>,
}

/// What an endpoint is asked, and which answer is good.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// A connection is opened and closed.
    Connect,
    /// `http_check_config`: an HTTP/1.1 request.
    Http(HttpQuestion),
    /// `grpc_check_config`: `grpc.health.v1.Health/Check`, to be answered with `SERVING`.
    Grpc(GrpcQuestion),
}

/// The request of a health check.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpQuestion {
    /// `port`, instead of the endpoint's.
    pub port: Option<u16>,
    /// `method` (GET): a token.
    pub method: String,
    /// `path` (`/`) with its query: printable ASCII.
    pub path: String,
    /// Whether TLS is spoken: by `scheme`, else as the cluster does.
    pub tls: bool,
    /// `domain`: the Host; `None` = the address.
    pub domain: Option<String>,
    /// `codes` (200): first and last of each range.
    pub codes: Vec<(u16, u16)>,
}

/// The call of a gRPC health check.
#[derive(Debug, Clone, PartialEq)]
pub struct GrpcQuestion {
    /// `service`; empty = the server as a whole.
    pub service: String,
    /// `authority`; `None` = the address.
    pub authority: Option<String>,
    /// Whether TLS is spoken: as the cluster does.
    pub tls: bool,
}
