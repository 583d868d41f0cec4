//! A connection that begins like HTTP/1.1 and goes on as it likes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use rosn_config::checked::HttpHeader;
use rosn_net::{Io, PeerAddr, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::head::{self, Refusal};
use crate::TransportLimits;

/// Bytes that are read at a time while the head of the other side has not ended.
const STEP: usize = 2048;
/// Bytes that are read and forgotten after a refusal. Unread bytes would make the system reset the connection, and the
/// client might not see the answer.
const FORGOTTEN: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Preamble {
    below: Stream,
    side: Side,
    settings: Arc<HttpHeader>,
    limit: usize,
    timeout: Duration,
    outgoing: Outgoing,
    incoming: Incoming,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Dialer,
    Listener,
}

#[derive(Debug)]
enum Outgoing {
    /// Nothing was written yet.
    Fresh,
    /// From `.1` on it has to go out before anything else.
    Head(Vec<u8>, usize),
    Body,
    /// Nothing more will be written.
    Ended,
}

#[derive(Debug)]
enum Incoming {
    /// What has come of the head, and since when a part of it has been there.
    Head(Vec<u8>, Option<Pin<Box<Sleep>>>),
    /// From `.1` on it came with the head and is to be read.
    Rest(Vec<u8>, usize),
    Body,
    /// The head was not as it should be. The answer is on its way out.
    Refused(Option<io::Error>),
}

impl Preamble {
    pub(super) fn dialer(
        below: Stream,
        settings: Arc<HttpHeader>,
        limits: &TransportLimits,
    ) -> Stream {
        Self::stream(below, Side::Dialer, settings, limits)
    }

    pub(super) fn listener(
        below: Stream,
        settings: Arc<HttpHeader>,
        limits: &TransportLimits,
    ) -> Stream {
        Self::stream(below, Side::Listener, settings, limits)
    }

    fn stream(
        below: Stream,
        side: Side,
        settings: Arc<HttpHeader>,
        limits: &TransportLimits,
    ) -> Stream {
        Stream::boxed(Self {
            below,
            side,
            settings,
            limit: limits.head_bytes,
            timeout: limits.handshake_timeout,
            outgoing: Outgoing::Fresh,
            incoming: Incoming::Head(Vec::new(), None),
        })
    }

    fn own_head(&self) -> Vec<u8> {
        match self.side {
            Side::Dialer => head::request(&self.settings.request),
            Side::Listener => head::response(&self.settings.response),
        }
    }

    /// Writes what is left of the head, with the first of `payload` in the same call. Returns how many bytes of that
    /// went along.
    fn poll_write_head(&mut self, cx: &mut Context<'_>, payload: &[u8]) -> Poll<io::Result<usize>> {
        if matches!(self.outgoing, Outgoing::Fresh) {
            self.outgoing = Outgoing::Head(self.own_head(), 0);
        }
        while let Outgoing::Head(bytes, sent) = &mut self.outgoing {
            let left = &bytes[*sent..];
            let below = Pin::new(&mut self.below);
            let slices = [IoSlice::new(left), IoSlice::new(payload)];
            let count = if payload.is_empty() {
                ready!(below.poll_write(cx, left))?
            } else {
                ready!(below.poll_write_vectored(cx, &slices))?
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            if count < left.len() {
                *sent += count;
            } else {
                let along = count - left.len();
                self.outgoing = Outgoing::Body;
                return Poll::Ready(Ok(along));
            }
        }
        Poll::Ready(Ok(0))
    }

    /// Reads until the head of the other side is there, and checks it.
    fn poll_read_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Incoming::Head(bytes, since) = &mut self.incoming {
            let searched = bytes.len();
            bytes.resize(searched + STEP, 0);
            let mut buf = ReadBuf::new(&mut bytes[searched..]);
            let read = Pin::new(&mut self.below).poll_read(cx, &mut buf);
            let count = buf.filled().len();
            bytes.truncate(searched + count);
            if read.is_pending() {
                if searched == 0 {
                    bytes.shrink_to_fit();
                    return Poll::Pending;
                }
                let timeout = self.timeout;
                let since = since.get_or_insert_with(|| Box::pin(sleep(timeout)));
                ready!(since.as_mut().poll(cx));
                self.refuse(
                    Refusal::BadRequest,
                    io::ErrorKind::TimedOut,
                    "the rest of the HTTP header did not come",
                );
                break;
            }
            ready!(read)?;
            self.look_at_head(searched, count == 0);
        }
        Poll::Ready(Ok(()))
    }

    /// Goes on to what follows the head, if it has ended, or refuses.
    fn look_at_head(&mut self, searched: usize, ended: bool) {
        let Incoming::Head(bytes, _) = &mut self.incoming else { return };
        let invalid = io::ErrorKind::InvalidData;
        let end = head::end(bytes, searched).filter(|end| *end <= self.limit);
        let Some(end) = end else {
            if ended && bytes.is_empty() {
                self.incoming = Incoming::Body;
            } else if ended {
                let text = "the connection ended in the middle of its HTTP header";
                self.refuse(Refusal::BadRequest, io::ErrorKind::UnexpectedEof, text);
            } else if bytes.len() >= self.limit {
                self.refuse(Refusal::BadRequest, invalid, "the HTTP header is too long");
            } else if self.side == Side::Listener && !head::may_be_request(bytes) {
                self.refuse(Refusal::BadRequest, invalid, "what came is no HTTP request");
            }
            return;
        };
        let checked = match self.side {
            Side::Listener => head::check_request(&bytes[..end], &self.settings.request)
                .map_err(|refusal| (refusal, "the HTTP header's path is none of this listener's")),
            Side::Dialer => match head::check_response(&bytes[..end], &self.settings) {
                Ok(()) => Ok(()),
                Err(text) => {
                    self.incoming = Incoming::Refused(Some(io::Error::new(invalid, text)));
                    return;
                }
            },
        };
        match checked {
            Ok(()) => self.incoming = Incoming::Rest(std::mem::take(bytes), end),
            Err((Refusal::NotFound, text)) => self.refuse(Refusal::NotFound, invalid, text),
            Err((refusal, _)) => self.refuse(refusal, invalid, "what came is no HTTP request"),
        }
    }

    /// Answers as a web server would, unless something else was said already.
    fn refuse(&mut self, refusal: Refusal, kind: io::ErrorKind, text: &'static str) {
        if self.side == Side::Listener && matches!(self.outgoing, Outgoing::Fresh) {
            self.outgoing = Outgoing::Head(head::refusal(refusal), 0);
        }
        self.incoming = Incoming::Refused(Some(io::Error::new(kind, text)));
    }

    /// Sends the answer of a refusal and ends the connection, as far as that goes.
    fn poll_end_refused(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.outgoing, Outgoing::Ended) || self.side == Side::Dialer {
            return Poll::Ready(());
        }
        let sent = match self.outgoing {
            Outgoing::Head(..) => ready!(self.poll_write_head(cx, b"")),
            _ => Ok(0),
        };
        if sent.is_ok() {
            let _ = ready!(Pin::new(&mut self.below).poll_shutdown(cx));
        }
        self.outgoing = Outgoing::Ended;
        let mut forgotten = 0;
        let mut bytes = [0; STEP];
        while forgotten < FORGOTTEN {
            let mut buf = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.below).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => forgotten += buf.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(())
    }

    /// Nothing may be written any more.
    fn is_ended(&self) -> bool {
        matches!(self.outgoing, Outgoing::Ended) || matches!(self.incoming, Incoming::Refused(_))
    }
}

impl AsyncRead for Preamble {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_read_head(cx))?;
        if let Incoming::Refused(_) = this.incoming {
            ready!(this.poll_end_refused(cx));
        }
        match &mut this.incoming {
            Incoming::Rest(bytes, read) if *read < bytes.len() => {
                let count = (bytes.len() - *read).min(buf.remaining());
                buf.put_slice(&bytes[*read..*read + count]);
                *read += count;
                return Poll::Ready(Ok(()));
            }
            Incoming::Refused(error) => {
                let again = || io::ErrorKind::InvalidData.into();
                return Poll::Ready(Err(error.take().unwrap_or_else(again)));
            }
            _ => this.incoming = Incoming::Body,
        }
        Pin::new(&mut this.below).poll_read(cx, buf)
    }
}

impl AsyncWrite for Preamble {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_ended() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if !matches!(this.outgoing, Outgoing::Body) {
            let along = ready!(this.poll_write_head(cx, bytes))?;
            if along > 0 {
                return Poll::Ready(Ok(along));
            }
        }
        Pin::new(&mut this.below).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if matches!(self.outgoing, Outgoing::Body) && !self.is_ended() {
            return Pin::new(&mut self.get_mut().below).poll_write_vectored(cx, slices);
        }
        let first = slices.iter().find(|slice| !slice.is_empty());
        self.poll_write(cx, first.map_or(&[], |slice| slice))
    }

    fn is_write_vectored(&self) -> bool {
        self.below.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.below).poll_flush(cx)
    }

    /// A side that has nothing to say still says its head: the other one waits for it.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_ended() {
            return this.poll_end_refused(cx).map(Ok);
        }
        if !matches!(this.outgoing, Outgoing::Body) {
            ready!(this.poll_write_head(cx, b""))?;
        }
        ready!(Pin::new(&mut this.below).poll_shutdown(cx))?;
        this.outgoing = Outgoing::Ended;
        Poll::Ready(Ok(()))
    }
}

impl Io for Preamble {
    fn peer_addr(&self) -> io::Result<PeerAddr> {
        self.below.peer_addr()
    }

    fn local_addr(&self) -> io::Result<PeerAddr> {
        self.below.local_addr()
    }

    fn was_cut_off(&self) -> bool {
        self.below.was_cut_off()
    }

    fn abort(&mut self) {
        // A refused client is to see its answer, which a reset might overtake.
        if !matches!(self.incoming, Incoming::Refused(_)) {
            self.outgoing = Outgoing::Ended;
            Io::abort(&mut self.below);
        }
    }
}

impl Drop for Preamble {
    /// A listener that has said nothing says 400, as v2ray's does, as far as that goes without waiting.
    fn drop(&mut self) {
        if self.side == Side::Listener && matches!(self.outgoing, Outgoing::Fresh) {
            self.outgoing = Outgoing::Head(head::refusal(Refusal::BadRequest), 0);
            let mut cx = Context::from_waker(Waker::noop());
            let _ = self.poll_write_head(&mut cx, b"");
        }
    }
}
