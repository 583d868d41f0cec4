//! `ws`: the bytes of a connection as messages of a WebSocket (RFC 6455), as v2ray carries them.

mod client;
mod delayed;
mod early;
mod handshake;
mod head;
mod server;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rosn_base::Addr;
use rosn_config::checked::{StreamSettings, TransportSettings, WebSocketSettings};
use rosn_net::Stream;
use rosn_trace::{Event, Interest};

use crate::handshakes::Failed;
use crate::layers::{Below, Connect, Connected, listen};
use crate::{
    Accepted, BoxFuture, DialRequest, Dialer, Environment, Listener, Transport, TransportError,
    TransportLimits,
};
use client::Request;
use delayed::Delayed;
use early::EarlyData;
pub use handshake::accept_key as websocket_accept;
pub(crate) use handshake::escape_target;
use handshake::{Shake, serve};
use server::Rules;

const NAME: &str = "ws";
const PHASE: &str = "WebSocket handshake";
/// What TLS agrees on: the handshake is one of HTTP/1.1.
const ALPN: &[&str] = &["http/1.1"];

/// The transport, as v2ray speaks it.
///
/// * Messages are binary, one for each write; received ones may be text, and in fragments. One of more than 1 MiB is
///   refused (1009).
/// * A shutdown closes the WebSocket, as there is no half-close; see [`rosn_net::Io`].
/// * permessage-deflate is never agreed on. Pings are answered, and sent with `heartbeatPeriod`.
/// * With early data the connection is opened at once, but the handshake waits for the first write, or for 20 ms after
///   the first read; its errors show at that call, and
///   it is not traced.
/// * The listener looks at the path only, not at `Host` or `Origin`; frames that come before its answer are kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebSocket;

impl Transport for WebSocket {
    fn scheme(&self) -> &str {
        NAME
    }

    fn listen(
        &self,
        at: &Addr,
        settings: &Arc<StreamSettings>,
        environment: &Environment,
    ) -> Result<Box<dyn Listener>, TransportError> {
        let own = own_settings(settings)?;
        let rules = Arc::new(Rules::new(own));
        let ping_interval = own.ping_interval;
        let head_bytes = head_bytes(own, &environment.limits);
        let upgrade = move |Below { stream, peer, local, tls }| {
            let rules = rules.clone();
            async move {
                let served = serve(stream, &rules, head_bytes, ping_interval).await;
                let stream = Stream::boxed(served.map_err(Failed::at(PHASE))?);
                Ok(Accepted { stream, peer, local, tls })
            }
        };
        Ok(Box::new(listen(NAME, at, settings, environment, ALPN, upgrade)?))
    }

    fn dialer(
        &self,
        settings: &Arc<StreamSettings>,
        environment: &Environment,
    ) -> Result<Arc<dyn Dialer>, TransportError> {
        let own = own_settings(settings)?;
        let request =
            Request::new(own).map_err(|what| TransportError::Settings { transport: NAME, what })?;
        Ok(Arc::new(WebSocketDialer {
            connect: Connect::new(NAME, settings, environment, ALPN)?,
            request: Arc::new(request),
            settings: own.clone(),
            limits: environment.limits,
        }))
    }
}

fn own_settings(settings: &StreamSettings) -> Result<&WebSocketSettings, TransportError> {
    match &settings.transport {
        TransportSettings::WebSocket(own) => Ok(own),
        other => Err(TransportError::foreign_settings(NAME, other.scheme())),
    }
}

/// How long the head of a request may be: early data, four bytes for three, come on top.
fn head_bytes(settings: &WebSocketSettings, limits: &TransportLimits) -> usize {
    /// More than that is no early data.
    const MAX: usize = 64 << 10;
    limits.head_bytes + settings.max_early_data.min(MAX) * 4 / 3
}

struct WebSocketDialer {
    connect: Connect,
    request: Arc<Request>,
    settings: WebSocketSettings,
    limits: TransportLimits,
}

impl Dialer for WebSocketDialer {
    fn dial<'a>(
        &'a self,
        to: &'a Addr,
        request: &'a DialRequest,
    ) -> BoxFuture<'a, Result<Stream, TransportError>> {
        Box::pin(async move {
            let Connected { stream, id: dial, .. } = self.connect.connect(to, request).await?;
            let shake = Shake {
                request: self.request.clone(),
                to: to.clone(),
                secure: self.connect.is_secure(),
                timeout: self.limits.handshake_timeout,
                head_bytes: self.limits.head_bytes,
                ping_interval: self.settings.ping_interval,
            };
            if !matches!(self.request.early, EarlyData::Off) {
                return Ok(Stream::boxed(Delayed::new(stream, shake)));
            }
            let (transport, phase) = (NAME, PHASE);
            let start = || Event::HandshakeStart { dial, transport, phase };
            let handshake = request.trace.begin(Interest::HANDSHAKE, start);
            let shaken = shake.run(stream, b"").await;
            handshake.done(|| {
                let error = shaken.as_ref().err().map(|error| error as _);
                Event::HandshakeDone { dial, transport, phase, error }
            });
            let failed =
                |cause| TransportError::Handshake { transport, phase, addr: to.clone(), cause };
            shaken.map(Stream::boxed).map_err(failed)
        })
    }
}
