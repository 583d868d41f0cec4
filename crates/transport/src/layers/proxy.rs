//! PROXY headers.

use std::io;

use rosn_config::checked::ProxyProtocol;
use rosn_net::{PeerAddr, Stream};

use crate::DialRequest;

/// Takes the header of a client that has to send one. Returns the client's address and the one that it connected to,
/// where the header says them.
///
/// # Errors
/// There is no header, or a damaged one.
pub(super) async fn accept(
    settings: &ProxyProtocol,
    _stream: &mut Stream,
    peer: &PeerAddr,
) -> io::Result<Option<(PeerAddr, PeerAddr)>> {
    if !is_demanded(settings, peer) {
        return Ok(None);
    }
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether this client has to send a header.
fn is_demanded(settings: &ProxyProtocol, peer: &PeerAddr) -> bool {
    let trusted = &settings.trusted;
    let is_trusted = || {
        let ip = peer.as_ip().map(|addr| addr.ip());
        ip.is_some_and(|ip| trusted.iter().any(|range| range.contains(ip)))
    };
    settings.accept && (trusted.is_empty() || is_trusted())
}

/// Says who the client is, where the settings want that.
///
/// # Errors
/// Those of the connection.
pub(super) async fn send(
    settings: &ProxyProtocol,
    _stream: &mut Stream,
    _request: &DialRequest,
) -> io::Result<()> {
    if settings.send.is_none() {
        return Ok(());
    }
    Err(io::ErrorKind::Unsupported.into())
}
