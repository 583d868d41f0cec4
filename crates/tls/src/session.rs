//! What both sides have agreed on.

use std::sync::Arc;

use crate::{CipherSuite, KeyExchange, PeerCertificate, Version};

/// What both sides of a connection have agreed on, apart from the connection. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Session(Arc<Agreed>);

#[derive(Debug)]
pub(crate) struct Agreed {
    pub(crate) version: Option<Version>,
    pub(crate) cipher_suite: Option<CipherSuite>,
    pub(crate) key_exchange: Option<KeyExchange>,
    pub(crate) alpn: Option<Box<[u8]>>,
    pub(crate) server_name: Option<Box<str>>,
    pub(crate) resumed: bool,
    pub(crate) peer: Option<PeerCertificate>,
    pub(crate) own_uri: Option<Arc<str>>,
}

impl Session {
    pub(crate) fn new(agreed: Agreed) -> Self {
        Self(Arc::new(agreed))
    }

    /// The version; `None` never occurs after a handshake.
    pub fn version(&self) -> Option<Version> {
        self.0.version
    }

    /// The cipher suite.
    pub fn cipher_suite(&self) -> Option<CipherSuite> {
        self.0.cipher_suite
    }

    /// The key exchange; `None` where a session of TLS 1.2 was resumed.
    pub fn key_exchange(&self) -> Option<KeyExchange> {
        self.0.key_exchange
    }

    /// The protocol (ALPN).
    pub fn alpn(&self) -> Option<&[u8]> {
        self.0.alpn.as_deref()
    }

    /// The name that the client asked for (SNI), in small letters; `None` on the client's side.
    pub fn server_name(&self) -> Option<&str> {
        self.0.server_name.as_deref()
    }

    /// Whether the handshake went on with the keys of an earlier connection.
    pub fn is_resumed(&self) -> bool {
        self.0.resumed
    }

    /// What the peer has shown.
    pub fn peer_certificate(&self) -> Option<&PeerCertificate> {
        self.0.peer.as_ref()
    }

    /// The URI that the own certificate has, if it has one, such as `spiffe://cluster.local/ns/a/sa/b`; `None` on the
    /// client's side.
    pub fn own_uri(&self) -> Option<&str> {
        self.0.own_uri.as_deref()
    }
}
