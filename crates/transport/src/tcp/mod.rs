//! `tcp`: the bytes as they are, or after a preamble that looks like HTTP/1.1.

use std::sync::Arc;

use rosn_base::Addr;
use rosn_config::checked::StreamSettings;
use rosn_net::Stream;

use crate::layers::{Below, Connect, listen, tls::DEFAULT_ALPN};
use crate::{
    Accepted, BoxFuture, DialRequest, Dialer, Environment, Listener, Transport, TransportError,
};

const NAME: &str = "tcp";

/// The transport. It works over unix sockets too, where the address is one.
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
        let upgrade = move |Below { stream, peer, local, .. }| {
            std::future::ready(Ok(Accepted { stream, peer, local }))
        };
        let listener = listen(NAME, at, settings, environment, DEFAULT_ALPN, upgrade)?;
        Ok(Box::new(listener))
    }

    fn dialer(
        &self,
        settings: &Arc<StreamSettings>,
        environment: &Environment,
    ) -> Result<Arc<dyn Dialer>, TransportError> {
        let connect = Connect::new(NAME, settings, environment, DEFAULT_ALPN)?;
        Ok(Arc::new(TcpDialer { connect }))
    }
}

struct TcpDialer {
    connect: Connect,
}

impl Dialer for TcpDialer {
    fn dial<'a>(
        &'a self,
        to: &'a Addr,
        request: &'a DialRequest,
    ) -> BoxFuture<'a, Result<Stream, TransportError>> {
        Box::pin(async move { Ok(self.connect.connect(to, request).await?.stream) })
    }
}
