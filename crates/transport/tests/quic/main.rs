//! `quic` over real sockets.

#![allow(clippy::unwrap_used, reason = "tests")]

mod certificates;
mod closing;
mod hostile;
mod network;
mod refused;
mod support;
mod tunnels;
