//! Connections of the client: over real sockets, to servers and proxies that follow a script.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod direct;
mod hostile;
mod http_proxy;
mod script;
mod socks;
mod tls;
