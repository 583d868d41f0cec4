//! `http`: a connection as a stream of an HTTP/2 connection, as v2ray carries it.

mod dialer;
mod health;
mod listener;
mod rules;
mod stream;
mod unsent;

use std::sync::Arc;

use bytes::{Buf, Bytes};
use h2::{RecvStream, SendStream};
use rosn_base::Addr;
use rosn_config::checked::{StreamSettings, TransportSettings};
use rosn_net::{PeerAddr, Stream};

use crate::{Dialer, Environment, Listener, Transport, TransportError};
use dialer::HttpDialer;
use listener::HttpListener;
use rules::Rules;
use stream::{Ends, HttpStream};

const NAME: &str = "http";
/// What TLS has to agree on.
const ALPN: &[&str] = &["h2"];
/// Bytes of a frame that is received.
const MAX_FRAME: u32 = 64 << 10;
/// Bytes of a stream that wait to be sent.
const MAX_SEND_BUFFER: usize = 256 << 10;

/// The transport, as v2ray speaks it.
///
/// * Without TLS both sides speak HTTP/2 at once (h2c with prior knowledge); v2ray's dialer cannot.
/// * The dialer has one connection to each address, and more when the server's limit of streams is reached. Who dials
///   before a server has said its limit waits for that, but for the one who opens the connection. One that is
///   silent with open streams is asked by PING, and given up after 8 s; a new stream that gets no sign of life within
///   2 s is tried on a new connection. Connections without streams are closed after 90 s.
/// * The listener answers at once; `httpSettings.host` may have a port or not.
/// * A listener that drains says GOAWAY, and streams go on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Http;

impl Transport for Http {
    fn scheme(&self) -> &str {
        NAME
    }

    fn listen(
        &self,
        at: &Addr,
        settings: &Arc<StreamSettings>,
        environment: &Environment,
    ) -> Result<Box<dyn Listener>, TransportError> {
        let rules = rules(settings)?;
        Ok(Box::new(HttpListener::new(at, settings, environment, rules)?))
    }

    fn dialer(
        &self,
        settings: &Arc<StreamSettings>,
        environment: &Environment,
    ) -> Result<Arc<dyn Dialer>, TransportError> {
        let rules = rules(settings)?;
        Ok(Arc::new(HttpDialer::new(settings, environment, rules)?))
    }
}

/// The bytes in the DATA frames of a stream, as a connection; `unread` was received already, and the credit for it was
/// not given back. For those who have dealt with the heads themselves (CONNECT, RFC 9113 section 8.5).
pub fn http2_tunnel<B>(
    send: SendStream<B>,
    receive: RecvStream,
    unread: Bytes,
    peer: PeerAddr,
    local: PeerAddr,
) -> Stream
where
    B: Buf + From<Bytes> + Send + Unpin + 'static,
{
    let stream = HttpStream::new(send, receive, Ends { peer, local }, None);
    Stream::boxed(stream.with_unread(unread))
}

fn rules(settings: &StreamSettings) -> Result<Rules, TransportError> {
    match &settings.transport {
        TransportSettings::Http(own) => {
            Rules::new(own).map_err(|what| TransportError::Settings { transport: NAME, what })
        }
        other => Err(TransportError::foreign_settings(NAME, other.scheme())),
    }
}
