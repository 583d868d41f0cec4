//! PROXY headers.

use std::io;

use rosn_config::checked::{ProxyProtocol, ProxyProtocolVersion};
use rosn_net::proxy_protocol::{self, Extension, Header, Version, accept_proxy_header};
use rosn_net::{PeerAddr, Stream};
use tokio::io::AsyncWriteExt as _;

use crate::DialRequest;

/// Takes the header of a client that has to send one. Returns the client's address and the one that it connected to,
/// where the header says them.
///
/// # Errors
/// There is no header, or a damaged one.
pub(super) async fn accept(
    settings: &ProxyProtocol,
    stream: &mut Stream,
    peer: &PeerAddr,
) -> io::Result<Option<(PeerAddr, PeerAddr)>> {
    if !is_demanded(settings, peer) {
        return Ok(None);
    }
    match accept_proxy_header(stream).await {
        Ok(header) => Ok(header.addresses),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
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

/// Says who the client is, where the settings want that; without a client, that the connection is one's own.
///
/// # Errors
/// Those of the connection.
pub(super) async fn send(
    settings: &ProxyProtocol,
    stream: &mut Stream,
    request: &DialRequest,
) -> io::Result<()> {
    let version = match settings.send {
        None => return Ok(()),
        Some(ProxyProtocolVersion::V1) => Version::V1,
        Some(ProxyProtocolVersion::V2) => Version::V2,
    };
    let extension =
        |(kind, value): &(u8, Vec<u8>)| Extension { kind: *kind, value: value.as_slice().into() };
    let extensions = settings.tlvs.iter().map(extension).collect();
    let header = Header { addresses: request.client.clone(), extensions };
    stream.write_all(&proxy_protocol::write(&header, version)).await
}
