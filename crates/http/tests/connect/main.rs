//! Connections of the client: over real sockets, to servers and proxies that follow a script.

mod direct;
mod hostile;
mod http_proxy;
mod script;
mod socks;
mod tls;
