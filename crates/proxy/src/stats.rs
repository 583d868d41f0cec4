//! What is counted on the downstream side. The keys are MOSN's.

rosn_base::stats! {
    /// Counters of one listener, and once more of all listeners together (`proxy="global"`).
    pub struct DownstreamStats {
        /// Connections accepted.
        connection_total: Counter,
        /// Connections closed.
        connection_destroy: Counter,
        /// Open connections.
        connection_active: Gauge,
        /// Connections closed at once because a limit was reached.
        connection_overflow: Counter,
        /// TLS handshakes that were done.
        tls_handshake_total: Counter,
        /// Those of them that went on with the keys of an earlier connection.
        tls_resumed_total: Counter,
        /// TLS handshakes that failed, for whatever reason.
        tls_failed_total: Counter,
        /// Those of them that were not done in time.
        tls_failed_timeout: Counter,
        /// Those of them where the client closed the connection.
        tls_failed_closed: Counter,
        /// Those of them where the client's certificate was missing or not believed.
        tls_failed_certificate: Counter,
        /// Bytes read from clients.
        bytes_read_total: Counter,
        /// Bytes read from clients that wait for an upstream.
        bytes_read_buffered: Gauge,
        /// Bytes written to clients.
        bytes_write_total: Counter,
        /// Bytes that wait for a client to read.
        bytes_write_buffered: Gauge,
        /// Requests whose head was read.
        request_total: Counter,
        /// Requests under way.
        request_active: Gauge,
        /// Requests that a client gave up, or that broke off after the response had begun.
        request_reset: Counter,
        /// From the head of the request to the end of the response.
        request_time: Histogram,
        /// The sum of `request_time`, in nanoseconds.
        request_time_total: Counter,
        /// The part of it that rosn took: until the request was sent, and after the response came.
        process_time: Histogram,
        /// The sum of `process_time`, in nanoseconds.
        process_time_total: Counter,
        /// Requests that rosn answered itself because something failed.
        request_failed: Counter,
        /// Responses with status 200.
        request_200_total: Counter,
        /// Responses with status 206.
        request_206_total: Counter,
        /// Responses with status 302.
        request_302_total: Counter,
        /// Responses with status 304.
        request_304_total: Counter,
        /// Responses with status 400.
        request_400_total: Counter,
        /// Responses with status 403.
        request_403_total: Counter,
        /// Responses with status 404.
        request_404_total: Counter,
        /// Responses with status 416.
        request_416_total: Counter,
        /// Requests whose client went away before the response.
        request_499_total: Counter,
        /// Responses with status 500.
        request_500_total: Counter,
        /// Responses with status 502.
        request_502_total: Counter,
        /// Responses with status 503.
        request_503_total: Counter,
        /// Responses with status 504.
        request_504_total: Counter,
        /// Responses with any other status.
        request_other_code: Counter,
        /// Connections that stopped being HTTP: by Upgrade or by CONNECT.
        tunnel_total: Counter,
        /// Those of them that are open.
        tunnel_active: Gauge,
        /// Bytes of clients that tunnels passed on, counted when they end.
        tunnel_bytes_read_total: Counter,
        /// Bytes for clients that tunnels passed on, counted when they end.
        tunnel_bytes_write_total: Counter,
        /// How long tunnels lasted, in nanoseconds, counted when they end.
        tunnel_time_total: Counter,
        /// HTTP/2 connections that were ended because of a flood.
        http2_flood_total: Counter,
        /// HTTP/2 connections of clients that broke the protocol.
        http2_error_total: Counter,
        /// HTTP/2 streams that were reset before their response was whole: by the client, or because of it.
        http2_reset_total: Counter,
        /// HTTP/2 streams that were refused because the connection had too many.
        http2_refused_total: Counter,
    }
}

impl DownstreamStats {
    /// Counts a response by its status.
    pub(crate) fn count_status(&self, status: u16) {
        let counter = match status {
            200 => &self.request_200_total,
            206 => &self.request_206_total,
            302 => &self.request_302_total,
            304 => &self.request_304_total,
            400 => &self.request_400_total,
            403 => &self.request_403_total,
            404 => &self.request_404_total,
            416 => &self.request_416_total,
            499 => &self.request_499_total,
            500 => &self.request_500_total,
            502 => &self.request_502_total,
            503 => &self.request_503_total,
            504 => &self.request_504_total,
            _ => &self.request_other_code,
        };
        counter.add(1);
    }
}
