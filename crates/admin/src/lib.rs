//! The admin HTTP API: what the process is doing, and the few things that may be asked of it.
//!
//! [`serve`] answers on a TCP or unix listener. What it shows comes from one value, a [`Control`],
//! so that the same API serves the real process and a test. The paths and the bytes that scripts
//! depend on are MOSN's (`/api/v1/version`, `/api/v1/states`, `/api/v1/config_dump`, ...); `GET /`
//! lists them all. [`serve_metrics`] is the small server of a prometheus sink.
//!
//! [`control_socket`] binds the unix socket that the command line talks to, and [`client`] is the
//! blocking client that it talks with.
//!
//! Everything here is `Send` and made for the control thread: a request holds it for as long as
//! its reply takes to write down, and no worker waits for it.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use rosn_admin::{AdminOptions, Control, serve};
//!
//! async fn run(control: Arc<dyn Control>) -> std::io::Result<()> {
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:34901").await?;
//!     serve(listener, control, AdminOptions::default()).await;
//!     Ok(())
//! }
//! ```

mod api;
mod auth;
pub mod client;
mod control;
pub mod control_socket;
mod dump;
mod listener;
mod metrics;
mod request;
mod server;

pub use control::{Change, Control, Outcome, Report, WorkerConnections, stage};
pub use listener::AdminListener;
pub use metrics::serve_metrics;
pub use server::{AdminOptions, serve};
