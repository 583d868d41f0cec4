//! `tcp`: the bytes as they are, or after a preamble that looks like HTTP/1.1.

mod head;
mod preamble;

use std::sync::Arc;

use rosn_base::Addr;
use rosn_config::checked::{HttpHeader, StreamSettings, TransportSettings};
use rosn_net::Stream;

use crate::layers::{Below, Connect, listen, tls::DEFAULT_ALPN};
use crate::{BoxFuture, DialRequest, Dialer, Environment, Listener, Transport, TransportError};
use preamble::Preamble;

const NAME: &str = "tcp";

/// The transport. It works over unix sockets too, where the address is one.
///
/// With a `header` of type `http` each side's first write begins with what looks like an HTTP/1.1 request or response,
/// and its first read takes the other's away (v2ray's `headers/http`). A connection is handed out before the request
/// has come, so that a server may speak first; a request that is not as it should be is an error of the first read,
/// and is answered with 404 (another path) or 400.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

impl Transport for Tcp {
    fn scheme(&self) -> &str {
        NAME
    }

    fn listen(
        &self,
        at: &Addr,
        settings: &Arc<StreamSettings>,
        environment: &Environment,
    ) -> Result<Box<dyn Listener>, TransportError> {
        let header = header(settings)?.cloned().map(Arc::new);
        let limits = environment.limits;
        let upgrade = move |below: Below| {
            let mut accepted = below.accepted();
            if let Some(header) = &header {
                accepted.stream = Preamble::listener(accepted.stream, header.clone(), &limits);
            }
            std::future::ready(Ok(accepted))
        };
        let listener = listen(NAME, at, settings, environment, DEFAULT_ALPN, upgrade)?;
        Ok(Box::new(listener))
    }

    fn dialer(
        &self,
        settings: &Arc<StreamSettings>,
        environment: &Environment,
    ) -> Result<Arc<dyn Dialer>, TransportError> {
        let header = header(settings)?.cloned().map(Arc::new);
        let connect = Connect::new(NAME, settings, environment, DEFAULT_ALPN)?;
        Ok(Arc::new(TcpDialer { connect, header, environment: environment.clone() }))
    }
}

fn header(settings: &StreamSettings) -> Result<Option<&HttpHeader>, TransportError> {
    match &settings.transport {
        TransportSettings::Tcp(tcp) => Ok(tcp.header.as_ref()),
        other => Err(TransportError::foreign_settings(NAME, other.scheme())),
    }
}

struct TcpDialer {
    connect: Connect,
    header: Option<Arc<HttpHeader>>,
    environment: Environment,
}

impl Dialer for TcpDialer {
    fn dial<'a>(
        &'a self,
        to: &'a Addr,
        request: &'a DialRequest,
    ) -> BoxFuture<'a, Result<Stream, TransportError>> {
        Box::pin(async move {
            let stream = self.connect.connect(to, request).await?.stream;
            Ok(match &self.header {
                None => stream,
                Some(header) => Preamble::dialer(stream, header.clone(), &self.environment.limits),
            })
        })
    }
}
