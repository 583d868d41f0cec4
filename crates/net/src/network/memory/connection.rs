//! An end of a connection in memory.

use std::future::Future as _;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep_until};

use super::MemLink;
use super::pipe::{End, Pipe, Read};
use crate::{Io, PeerAddr};

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Connection {
    local: PeerAddr,
    peer: PeerAddr,
    incoming: Pipe,
    outgoing: Pipe,
    link: MemLink,
    /// Until the next bytes arrive.
    timer: Option<Pin<Box<Sleep>>>,
    aborted: bool,
}

/// The two ends of a new connection: that of the client and that of the server.
pub(super) fn pair(client: PeerAddr, server: PeerAddr, link: &MemLink) -> (Connection, Connection) {
    let (to_server, to_client) = (Pipe::default(), Pipe::default());
    let end = |local: &PeerAddr, peer: &PeerAddr, incoming: &Pipe, outgoing: &Pipe| Connection {
        local: local.clone(),
        peer: peer.clone(),
        incoming: incoming.clone(),
        outgoing: outgoing.clone(),
        link: link.clone(),
        timer: None,
        aborted: false,
    };
    (end(&client, &server, &to_client, &to_server), end(&server, &client, &to_server, &to_client))
}

impl Connection {
    fn write(&self, cx: &Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        // What has happened beyond a cut cannot be known here.
        if !self.link.is_cut() && self.incoming.is_reset() {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let written = ready!(self.outgoing.poll_write(cx, slices, self.link.latency()))?;
        if written.is_none() {
            // As with TCP, the first bytes to someone who has closed are lost, and the answer is a reset.
            self.incoming.end(End::Reset, 2 * self.link.latency());
        }
        let all = || slices.iter().map(|slice| slice.len()).sum();
        Poll::Ready(Ok(written.unwrap_or_else(all)))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            ready!(this.link.poll_whole(cx));
            match this.incoming.read(cx, into)? {
                Read::Done => {
                    this.timer = None;
                    return Poll::Ready(Ok(()));
                }
                Read::Empty => return Poll::Pending,
                Read::Until(at) => {
                    let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
                    if timer.deadline() != at {
                        timer.as_mut().reset(at);
                    }
                    ready!(timer.as_mut().poll(cx));
                }
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.link.is_cut() && self.incoming.is_reset() {
            return Poll::Ready(Err(ErrorKind::NotConnected.into()));
        }
        self.outgoing.end(End::File, self.link.latency());
        Poll::Ready(Ok(()))
    }
}

impl Io for Connection {
    fn peer_addr(&self) -> io::Result<PeerAddr> {
        Ok(self.peer.clone())
    }

    fn local_addr(&self) -> io::Result<PeerAddr> {
        Ok(self.local.clone())
    }

    fn abort(&mut self) {
        // A unix socket knows no reset.
        self.aborted = matches!(self.peer, PeerAddr::Ip(_));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Systems answer with a reset where not all was read that has come.
        let unread = self.incoming.close_reader();
        let end = if self.aborted || unread { End::Reset } else { End::File };
        self.outgoing.end(end, self.link.latency());
    }
}
