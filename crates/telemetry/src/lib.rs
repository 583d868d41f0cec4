//! What rosn tells about itself: metrics, access logs and the server log.
//!
//! * [`Registry`]: all metrics, and their expositions: Prometheus text, MOSN's `/api/v1/stats` and
//!   `/api/v1/stats_glob`.
//! * [`AccessLog`]: a line for each request, formatted by the worker, written by a thread.
//! * [`Log`]: the server log, fed by `tracing` events.
//! * [`Writer`]: the one thread that writes all log files, rolls them and compresses what was
//!   rolled. Workers never wait for a disk: what cannot be written in time is dropped and counted.
//!
//! There is no async runtime in here and nothing global: the binary starts one [`Writer`], makes
//! one [`Registry`] and hands them on.
//!
//! ```
//! use rosn_config::checked::StatsMatcher;
//! use rosn_telemetry::Registry;
//!
//! rosn_base::stats! {
//!     /// What a listener counts.
//!     pub struct ListenerStats {
//!         /// Requests that began.
//!         request_total: Counter,
//!     }
//! }
//!
//! let registry = Registry::new("1.0.0");
//! let stats = registry.sharded::<ListenerStats>("downstream", &[("listener", "web")], 2);
//! stats.shard(0).request_total.add(3);
//! let text = registry.prometheus(&StatsMatcher::default(), false);
//! assert!(text.contains("downstream_request_total{listener=\"web\"} 3\n"));
//! ```

mod access_log;
mod escape;
mod event_log;
mod file;
mod gzip;
mod log;
mod metrics;
mod sink;
mod syslog;
mod writer;

pub use access_log::{AccessLog, write_start_time};
pub use event_log::EventLog;
pub use log::Log;
pub use metrics::Registry;
pub use sink::OpenError;
pub use writer::Writer;
