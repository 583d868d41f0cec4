//! A connection after its handshake.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ProtocolVersion;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::explain::explain;
use crate::session::Agreed;
use crate::{CipherSuite, KeyExchange, PeerCertificate, Session, Version};

/// A TLS connection over `S`.
///
/// * The end of the peer's bytes is an end of file both with its `close_notify` and without one: many programs close
///   their socket without it, which does no harm where a protocol says how long its messages are. Who has no other
///   sign of the end asks [`TlsStream::was_cut_off`] (RFC 8446 section 6.1).
/// * `poll_shutdown` sends `close_notify` and ends the sending direction of `S`; reading goes on until the peer has
///   ended too.
/// * Written bytes may be held back until `poll_flush`.
/// * Dropping it drops `S`, without `close_notify`.
#[derive(Debug)]
pub struct TlsStream<S> {
    io: tokio_rustls::TlsStream<S>,
    /// Whether what the peer has shown was verified.
    verified: bool,
    /// The URI in the own certificate.
    own_uri: Option<Arc<str>>,
    /// The peer's bytes ended without its `close_notify`.
    cut_off: bool,
}

impl<S> TlsStream<S> {
    pub(crate) fn server(
        io: tokio_rustls::server::TlsStream<S>,
        verified: bool,
        own_uri: Option<Arc<str>>,
    ) -> Self {
        Self { io: io.into(), verified, own_uri, cut_off: false }
    }

    pub(crate) fn client(io: tokio_rustls::client::TlsStream<S>, verified: bool) -> Self {
        Self { io: io.into(), verified, own_uri: None, cut_off: false }
    }

    /// What was agreed on, to be kept apart from the connection. It copies: ask once for each connection.
    pub fn session(&self) -> Session {
        let connection = self.io.get_ref().1;
        let shown = connection.peer_certificates().unwrap_or_default();
        let group = connection.negotiated_key_exchange_group();
        Session::new(Agreed {
            version: self.version(),
            cipher_suite: connection.negotiated_cipher_suite().and_then(CipherSuite::of),
            key_exchange: group.and_then(|group| KeyExchange::of(group.name())),
            alpn: self.alpn().map(Box::from),
            server_name: self.server_name().map(Box::from),
            resumed: self.is_resumed(),
            peer: PeerCertificate::new(shown, self.verified),
            own_uri: self.own_uri.clone(),
        })
    }

    /// The connection below.
    pub fn below(&self) -> &S {
        self.io.get_ref().0
    }

    /// The connection below. What is read or written there is lost to this one.
    pub fn below_mut(&mut self) -> &mut S {
        self.io.get_mut().0
    }

    /// Whether the end of file that reading has met came without the peer's `close_notify`: anybody on the way may have
    /// cut off what was to follow.
    pub fn was_cut_off(&self) -> bool {
        self.cut_off
    }

    /// The protocol that was agreed on (ALPN).
    pub fn alpn(&self) -> Option<&[u8]> {
        self.io.get_ref().1.alpn_protocol()
    }

    /// The version that was agreed on.
    pub fn version(&self) -> Option<Version> {
        match self.io.get_ref().1.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => Some(Version::Tls12),
            Some(ProtocolVersion::TLSv1_3) => Some(Version::Tls13),
            _ => None,
        }
    }

    /// OpenSSL's name of the cipher suite that was agreed on, such as `TLS_AES_128_GCM_SHA256`.
    pub fn cipher(&self) -> Option<&'static str> {
        CipherSuite::of(self.io.get_ref().1.negotiated_cipher_suite()?).map(CipherSuite::as_str)
    }

    /// The name that the client asked for (SNI); `None` on the client's side.
    pub fn server_name(&self) -> Option<&str> {
        match &self.io {
            tokio_rustls::TlsStream::Server(io) => io.get_ref().1.server_name(),
            tokio_rustls::TlsStream::Client(_) => None,
        }
    }

    /// What the peer has shown, in DER, its own certificate first; empty where it showed nothing.
    pub fn peer_certificates(&self) -> impl Iterator<Item = &[u8]> {
        let shown = self.io.get_ref().1.peer_certificates().unwrap_or_default();
        shown.iter().map(AsRef::as_ref)
    }

    /// Whether the handshake went on with the keys of an earlier connection.
    pub fn is_resumed(&self) -> bool {
        let kind = match &self.io {
            tokio_rustls::TlsStream::Server(io) => io.get_ref().1.handshake_kind(),
            tokio_rustls::TlsStream::Client(io) => io.get_ref().1.handshake_kind(),
        };
        kind == Some(rustls::HandshakeKind::Resumed)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    /// Writes the answer to what was read, an alert: that there is no other handshake (RFC 5246 section 7.2.2), for which
    /// the peer waits, while here maybe nothing is written for long.
    ///
    /// Only when there was nothing to write before. Otherwise a writer waits for the peer, who must go on being the one
    /// that is woken, and the answer follows what it writes; so it does if the peer does not take it now.
    #[cold]
    fn answer(&mut self, cx: &mut Context<'_>) {
        let _ = Pin::new(&mut self.io).poll_flush(cx);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let wrote_all = !this.io.get_ref().1.wants_write();
        let read = Pin::new(&mut this.io).poll_read(cx, buf);
        if wrote_all && this.io.get_ref().1.wants_write() {
            this.answer(cx);
        }
        match read {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                this.cut_off = true;
                Poll::Ready(Ok(()))
            }
            // With TLS 1.3 a client that is refused learns it here: its handshake was over before.
            Poll::Ready(Err(error)) => Poll::Ready(Err(explain(error, None))),
            read => read,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
