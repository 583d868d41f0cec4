//! What a server allows its clients.

use std::time::Duration;

use rosn_h1::Limits;
use rosn_tls::Acceptor;

use super::{NextProtocols, StateHook};

/// What a server allows its clients, and who is told of their connections.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Bytes and fields of heads, chunk lines and trailers. Not more than 10,000 fields.
    pub limits: Limits,
    /// From the first byte of a head (for the first head: from the connection) to its last. Default: 10 s.
    pub header_timeout: Duration,
    /// How long a connection waits for its next request. Default: 75 s.
    pub idle_timeout: Duration,
    /// How long a client may send no byte of a body that the handler waits for, or take no byte of the response.
    /// Default: 60 s.
    pub stall_timeout: Duration,
    /// Open connections, with those that were hijacked and whose guards live. Others wait to be accepted.
    /// Default: 10,000.
    pub max_connections: usize,
    /// Whether connections serve more than one request. Default: yes.
    pub keep_alive: bool,
    /// Told of each connection's states.
    pub state_hook: StateHook,
    /// The handshake that each connection begins with, within `header_timeout`. What ALPN agrees on is spoken: `h2` or
    /// `http/1.1`, as far as the options of this offer it. Default: none.
    pub tls: Option<Acceptor>,
    /// Whether a client may begin with HTTP/2 where TLS has not agreed on anything ("prior knowledge", RFC 9113 section
    /// 3.3). Default: no, as in Go.
    pub plain_http2: bool,
    /// Requests that a connection of HTTP/2 may have at a time. Default: 100.
    pub max_streams: u32,
    /// Who gets connections for which TLS has agreed on another protocol. Default: nobody; they are closed.
    pub next_protocols: NextProtocols,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            stall_timeout: Duration::from_secs(60),
            max_connections: 10_000,
            keep_alive: true,
            state_hook: StateHook::default(),
            tls: None,
            plain_http2: false,
            max_streams: 100,
            next_protocols: NextProtocols::default(),
        }
    }
}
