//! How a transport is set up.

use std::sync::Arc;
use std::time::Duration;

use rosn_h1::Limits;
use rosn_tls::TlsError;

use super::http2::Health;
use super::pool::{Http2Settings, Pool, PoolLimits};
use super::{Inner, Transport};
use crate::connect::{ConnectOptions, Connector, Versions};

/// Sets up a [`Transport`]. What is not set is as in Go's `http.DefaultTransport`, where nothing else is said.
#[derive(Debug, Clone)]
#[must_use]
pub struct TransportBuilder {
    connect: ConnectOptions,
    pool: PoolLimits,
    health: Health,
    settings: Settings,
}

/// What requests and responses obey.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) versions: Versions,
    pub(super) keep_alives: bool,
    pub(super) expect_continue_timeout: Option<Duration>,
    pub(super) response_head_timeout: Option<Duration>,
    pub(super) informational: usize,
    pub(super) limits: Limits,
}

impl Default for TransportBuilder {
    fn default() -> Self {
        Self {
            connect: ConnectOptions::default(),
            pool: PoolLimits::default(),
            health: Health::default(),
            settings: Settings {
                versions: Versions::Negotiated,
                keep_alives: true,
                expect_continue_timeout: Some(Duration::from_secs(1)),
                response_head_timeout: None,
                informational: 5,
                limits: Limits { head_bytes: 1024 * 1024, fields: 1000, ..Limits::default() },
            },
        }
    }
}

impl TransportBuilder {
    /// How connections are made: dialer, proxies, TLS, and how long that may take.
    pub fn connect(mut self, connect: ConnectOptions) -> Self {
        self.connect = connect;
        self
    }

    /// Which versions of HTTP are spoken (HTTP/2 with those `https` servers that speak it, else HTTP/1.1). A request with
    /// Upgrade goes by HTTP/1.1, unless that is not to be spoken.
    pub fn versions(mut self, versions: Versions) -> Self {
        self.settings.versions = versions;
        self
    }

    /// After how long without a byte from the server a connection of HTTP/2 is asked whether it lives, by a ping (30 s;
    /// Go: never, unless told to), and how long the answer may take (15 s). Then all its requests fail.
    pub fn ping(mut self, after: Option<Duration>, timeout: Duration) -> Self {
        self.health = Health { ping_after: after, ping_timeout: timeout };
        self
    }

    /// How many connections may lie idle in all (100). Where there are more, those idle for the longest time are closed.
    pub fn max_idle(mut self, count: usize) -> Self {
        self.pool.idle = count;
        self
    }

    /// How many connections may lie idle for one host (2): its scheme, name, port and proxy. More are closed.
    pub fn max_idle_per_host(mut self, count: usize) -> Self {
        self.pool.idle_per_host = count;
        self
    }

    /// How many connections there may be for one host, counting those that are being made, but not those that were
    /// taken over (no limit; 0 is none either, as in Go). Requests for more wait in turn.
    pub fn max_conns_per_host(mut self, count: Option<usize>) -> Self {
        self.pool.conns_per_host = count.filter(|count| *count > 0);
        self
    }

    /// How long a connection may lie idle (90 s); `None` = until its peer closes it.
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.pool.idle_timeout = timeout;
        self
    }

    /// Whether connections are used for more than one request (yes). Without, requests say `Connection: close`.
    pub fn keep_alives(mut self, on: bool) -> Self {
        self.settings.keep_alives = on;
        self
    }

    /// How long a body is held back for a server that was asked with `Expect: 100-continue` (1 s). Then it is sent.
    /// `None` = until the server answers.
    pub fn expect_continue_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.settings.expect_continue_timeout = timeout;
        self
    }

    /// How long the head of the response may take, from when the request was sent whole (no limit). Interim responses
    /// do not count.
    pub fn response_head_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.settings.response_head_timeout = timeout;
        self
    }

    /// Bytes that the head of a response may have, and each interim response before it (1 MiB; Go: 10 MiB).
    pub fn max_response_head_bytes(mut self, bytes: usize) -> Self {
        self.settings.limits.head_bytes = bytes;
        self
    }

    /// Fields that the head of a response may have (1000, and not more than 10,000; Go: no limit but the bytes).
    pub fn max_response_fields(mut self, fields: usize) -> Self {
        self.settings.limits.fields = fields.min(10_000);
        self
    }

    /// Interim responses (1xx) that may come before a response (5).
    pub fn max_informational(mut self, count: usize) -> Self {
        self.settings.informational = count;
        self
    }

    /// Makes the transport.
    ///
    /// # Errors
    /// The settings of TLS cannot be used.
    pub fn build(self) -> Result<Transport, TlsError> {
        let connector = Connector::new(self.connect)?;
        let http2 = Http2Settings {
            health: self.health,
            head_bytes: self.settings.limits.head_bytes,
            single_use: !self.settings.keep_alives,
        };
        let pool = Arc::new(Pool::new(connector.clone(), self.pool, http2));
        Ok(Transport(Arc::new(Inner { settings: self.settings, connector, pool })))
    }
}
