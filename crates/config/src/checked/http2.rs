//! HTTP/2 on either side.

use std::time::Duration;

/// `Http2` of `proxy.extend_config`, and `http2` of a cluster (keys of rosn's).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http2Settings {
    /// `max_concurrent_streams`: on one connection. From clients (128) this is what they are told; to endpoints (100)
    /// at most this many are opened, and fewer where the endpoint says so.
    pub max_concurrent_streams: u32,
    /// `initial_stream_window_size`, in bytes: what the peer may send on a stream before it waits for us (256 KiB).
    pub initial_stream_window: u32,
    /// `initial_connection_window_size`, in bytes: the same for all streams of a connection together (1 MiB from
    /// clients, 32 MiB from endpoints).
    pub initial_connection_window: u32,
    /// `ping_interval`: a connection on which nothing came for so long is pinged, while it has streams. `None` = never
    /// (from clients; 30 s to endpoints). An endpoint on whose connection no stream begins or ends is pinged again only
    /// after 5 minutes, since gRPC's servers close the connections of those who ping more.
    pub ping_interval: Option<Duration>,
    /// `ping_timeout` (10 s): how long the answer may take; then the connection counts as dead.
    pub ping_timeout: Duration,
    /// `max_connection_age`: after this a connection takes no new streams and ends with its last one. `None` = never.
    pub max_connection_age: Option<Duration>,
}

impl Http2Settings {
    /// Where nothing is said, for connections of clients.
    pub fn for_clients() -> Self {
        Self {
            max_concurrent_streams: 128,
            initial_stream_window: 256 * 1024,
            initial_connection_window: 1024 * 1024,
            ping_interval: None,
            ping_timeout: Duration::from_secs(10),
            max_connection_age: None,
        }
    }

    /// Where nothing is said, for connections to endpoints.
    pub fn for_clusters() -> Self {
        Self {
            max_concurrent_streams: 100,
            // Enough for all its streams: one that nobody reads must not hold up the others.
            initial_connection_window: 32 * 1024 * 1024,
            ping_interval: Some(Duration::from_secs(30)),
            ..Self::for_clients()
        }
    }
}
