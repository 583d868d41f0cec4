//! `quic`: each connection is a bidirectional stream of a QUIC connection (RFC 9000), which v2ray can hide in datagrams
//! that are sealed and look like something else.
//!
//! * The streams carry the application's bytes and nothing else. A stream is not seen by the listener before the
//!   dialer has sent a byte or ended it, so protocols in which the server speaks first have to wait; v2ray's limit.
//! * A listener takes 32 streams of a connection at a time; the dialer opens a further connection for more.
//! * There is always TLS 1.3. Without `tlsSettings` the listener shows a certificate that it makes for itself, and the
//!   dialer takes any.
//! * Packets are at most as large that the datagram around them has 1452 bytes. The path's own limit is searched for.

mod alpn;
mod config;
mod dialer;
mod envelope;
mod error;
mod link;
mod listener;
mod pool;
mod socket;
mod stream;

use std::sync::Arc;

use rosn_base::Addr;
use rosn_config::checked::StreamSettings;

use crate::{Dialer, Environment, Listener, Transport, TransportError};

/// The name of the transport.
const NAME: &str = "quic";

/// Streams that are open at a time on one connection (v2ray's `MaxIncomingStreams`).
const STREAMS: u32 = 32;

/// Protocols that a listener takes where the settings do not say: those of v2ray up to 5.54.0, and the one since then.
/// Clients that name none are taken as well.
const ALPN_TAKEN: &[&str] = &["h3", "h2", "http/1.1"];

/// Protocols that a dialer asks for where the settings do not say. v2ray 4 refuses who asks for h3 alone.
const ALPN_DIALED: &[&str] = &["h2", "http/1.1"];

/// The transport `quic`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quic;

impl Transport for Quic {
    fn scheme(&self) -> &str {
        NAME
    }

    /// Dropping the listener takes no more connections; the socket is closed when those that were handed out, and the
    /// streams on them, have ended.
    fn listen(
        &self,
        at: &Addr,
        settings: &Arc<StreamSettings>,
        environment: &Environment,
    ) -> Result<Box<dyn Listener>, TransportError> {
        listener::QuicListener::bind(at, settings, environment)
            .map(|listener| Box::new(listener) as _)
    }

    /// Its connections are pooled by address and by tokio runtime. One that has been without streams for a minute is
    /// closed.
    fn dialer(
        &self,
        settings: &Arc<StreamSettings>,
        environment: &Environment,
    ) -> Result<Arc<dyn Dialer>, TransportError> {
        dialer::QuicDialer::new(settings, environment).map(|dialer| Arc::new(dialer) as _)
    }
}
