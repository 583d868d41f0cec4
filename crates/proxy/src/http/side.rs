//! The two sides of an exchange, each of HTTP/1.1 or of HTTP/2.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use memchr::memmem;
use rosn_base::BufPool;
use rosn_h1::{BodyDecoder, Framing, Limits};
use rosn_http::wire::{BodyBuffer, MessageWriter, Payload, WriteError};
use rosn_net::Stream;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::h2::{Filled, Http2Stream, Outgoing};

/// What one side of an exchange is read from and written to.
pub(crate) enum Side {
    /// The whole connection.
    Http1(Stream),
    /// One stream of it.
    Http2(Box<Http2Stream>),
}

/// A message on its way to a [`Side`].
#[derive(Debug)]
pub(crate) enum Writer {
    /// In HTTP/1.1's framing.
    Http1(MessageWriter),
    /// In frames of HTTP/2.
    Http2(Outgoing),
}

impl Side {
    pub(crate) fn is_http2(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// A writer of a message to this side. `stays_open`: what follows the head is no body, and has no end.
    pub(crate) fn writer(
        &self,
        head: Vec<u8>,
        tail: Vec<u8>,
        framing: Framing,
        stays_open: bool,
    ) -> Writer {
        match self {
            Self::Http1(_) => Writer::Http1(MessageWriter::new(head, tail, framing)),
            Self::Http2(_) => Writer::Http2(Outgoing::new(head, tail, framing, stays_open)),
        }
    }

    /// A decoder of the body of a message from this side.
    pub(crate) fn decoder(&self, framing: Framing, limits: &Limits) -> BodyDecoder {
        match (self, framing) {
            (Self::Http1(_), framing) => BodyDecoder::new(framing, limits),
            (_, Framing::None | Framing::Length(0)) => BodyDecoder::new(Framing::None, limits),
            (_, Framing::Length(length)) => BodyDecoder::unframed(Some(length), limits),
            (_, Framing::Chunked | Framing::UntilClose) => BodyDecoder::unframed(None, limits),
        }
    }

    /// Reads a part of a body; the caller makes sure that there is room. Its storage goes back to the pool while it waits
    /// for bytes and holds none.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        pool: &BufPool,
        body: &mut BodyBuffer,
        decoder: &mut BodyDecoder,
    ) -> Poll<Filled> {
        let filled = match self {
            Self::Http1(stream) => poll_fill(cx, stream, pool, body),
            Self::Http2(stream) => stream.poll_fill(cx, pool, body, decoder),
        };
        if filled.is_pending()
            && let Some(storage) = body.release()
        {
            pool.give(storage);
        }
        filled
    }

    /// Writes an interim response from byte `written` on.
    pub(crate) fn poll_interim(
        &mut self,
        cx: &mut Context<'_>,
        text: &[u8],
        written: &mut usize,
    ) -> Poll<io::Result<()>> {
        let stream = match self {
            Self::Http1(stream) => stream,
            Self::Http2(_) if text.is_empty() => return Poll::Ready(Ok(())),
            Self::Http2(stream) => {
                *written = text.len();
                return Poll::Ready(stream.send_interim(text));
            }
        };
        while *written < text.len() {
            match ready!(Pin::new(&mut *stream).poll_write(cx, &text[*written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => *written += count,
            }
        }
        Pin::new(stream).poll_flush(cx)
    }

    /// Writes a whole message of HTTP/1.1 that rosn made. `stays_open`: something that is no body follows.
    pub(crate) async fn write_message(&mut self, bytes: &[u8], stays_open: bool) -> io::Result<()> {
        let stream = match self {
            Self::Http1(stream) => {
                stream.write_all(bytes).await?;
                return stream.flush().await;
            }
            Self::Http2(stream) => stream,
        };
        let head = memmem::find(bytes, b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
        let mut body = Bytes::copy_from_slice(&bytes[head..]);
        let head = bytes[..head].to_vec();
        let mut message = Outgoing::new(head, Vec::new(), Framing::UntilClose, stays_open);
        let written = poll_fn(|cx| stream.poll_write(cx, &mut message, &mut body, Some(b"")));
        written.await.map_err(|error| match error {
            WriteError::Io(error) => error,
            WriteError::Body(error) => io::Error::other(error),
        })
    }

    /// Whether it is known that nothing more of a message comes.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self, Self::Http2(stream) if stream.has_ended())
    }

    /// Whether the connection ended without the word that its layers have for an end (`close_notify`).
    pub(crate) fn was_cut_off(&self) -> bool {
        matches!(self, Self::Http1(stream) if stream.was_cut_off())
    }

    /// Whether it is known at once when this side is gone; else it has to be looked for.
    pub(crate) fn is_watched(&self) -> bool {
        match self {
            Self::Http1(stream) => stream.is_watched(),
            Self::Http2(_) => true,
        }
    }
}

fn poll_fill(
    cx: &mut Context<'_>,
    stream: &mut Stream,
    pool: &BufPool,
    body: &mut BodyBuffer,
) -> Poll<Filled> {
    if body.is_released() {
        // An error is told by the read.
        let _ = ready!(stream.poll_read_ready(cx));
        body.restore(pool.take());
    }
    Poll::Ready(match ready!(body.poll_fill(cx, stream)) {
        Ok(0) => Filled::Gone(None),
        Ok(count) => Filled::Bytes(count),
        Err(error) => Filled::Gone(Some(error)),
    })
}

impl Writer {
    /// Writes as much of what is there as the peer takes; ready when all of it is written. With `end`, the payload in
    /// `body` is the last, and these trailers follow it.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        side: &mut Side,
        body: &mut impl Payload,
        end: Option<&[u8]>,
    ) -> Poll<Result<(), WriteError>> {
        match (self, side) {
            (Self::Http1(writer), Side::Http1(stream)) => writer.poll_write(cx, stream, body, end),
            (Self::Http2(message), Side::Http2(stream)) => {
                stream.poll_write(cx, message, body, end)
            }
            _ => Poll::Ready(Err(WriteError::Io(io::ErrorKind::NotConnected.into()))),
        }
    }

    /// Whether the whole message was written.
    pub(crate) fn is_finished(&self) -> bool {
        match self {
            Self::Http1(writer) => writer.is_finished(),
            Self::Http2(message) => message.is_finished(),
        }
    }

    /// Whether something that is there still waits for the peer.
    pub(crate) fn is_waiting(&self) -> bool {
        match self {
            Self::Http1(writer) => writer.is_waiting(),
            Self::Http2(message) => message.is_waiting(),
        }
    }

    /// Bytes written in all.
    pub(crate) fn written(&self) -> u64 {
        match self {
            Self::Http1(writer) => writer.written,
            Self::Http2(message) => message.written,
        }
    }

    /// Bytes of the body that were written.
    pub(crate) fn payload(&self) -> u64 {
        match self {
            Self::Http1(writer) => writer.payload,
            Self::Http2(message) => message.payload,
        }
    }

    /// The buffers that it was made with, for reuse.
    pub(crate) fn into_buffers(self) -> (Vec<u8>, Vec<u8>) {
        match self {
            Self::Http1(writer) => writer.into_buffers(),
            Self::Http2(message) => message.into_buffers(),
        }
    }
}
