//! Writes a message: its head, its body in the right framing, its end.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rosn_h1::{BodyEncoder, BodyError, Frame, Framing};
use rosn_net::Stream;
use tokio::io::AsyncWrite;

use super::Payload;

/// What of one message was not yet written.
///
/// Head, frames and end go out together in one `writev` where they are there together.
#[derive(Debug)]
pub struct MessageWriter {
    head: Vec<u8>,
    head_at: usize,
    encoder: BodyEncoder,
    frame: Option<OpenFrame>,
    /// The last chunk and the trailers, once the end is known.
    tail: Vec<u8>,
    tail_at: usize,
    ended: bool,
    /// The stream may hold back bytes that it took.
    unflushed: bool,
    /// Bytes written in all.
    pub written: u64,
    /// Bytes of the body that were written, or are about to be.
    pub payload: u64,
}

/// A frame of the body whose size was announced.
#[derive(Debug)]
struct OpenFrame {
    frame: Frame,
    prefix_at: usize,
    left: usize,
    suffix_at: usize,
}

impl MessageWriter {
    /// A writer of a message with this encoded head; `tail` is an empty buffer. Both come back by
    /// [`MessageWriter::into_buffers`].
    pub fn new(head: Vec<u8>, tail: Vec<u8>, framing: Framing) -> Self {
        let encoder = BodyEncoder::new(framing);
        Self {
            head,
            head_at: 0,
            encoder,
            frame: None,
            tail,
            tail_at: 0,
            ended: false,
            unflushed: false,
            written: 0,
            payload: 0,
        }
    }

    /// The buffers of the head and of the end, for reuse.
    pub fn into_buffers(mut self) -> (Vec<u8>, Vec<u8>) {
        self.head.clear();
        self.tail.clear();
        (self.head, self.tail)
    }

    /// Whether the whole message was written.
    pub fn is_finished(&self) -> bool {
        self.ended && !self.is_waiting()
    }

    /// Whether something that is there still waits for the peer.
    pub fn is_waiting(&self) -> bool {
        self.unflushed
            || self.frame.is_some()
            || self.head_at < self.head.len()
            || self.tail_at < self.tail.len()
    }

    /// Writes as much of what is there as the peer takes; ready when all of it is written.
    ///
    /// With `end`, the payload in `body` is the last, and these trailers follow it.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
        body: &mut impl Payload,
        end: Option<&[u8]>,
    ) -> Poll<Result<(), WriteError>> {
        loop {
            self.open(body.pending().len(), end).map_err(WriteError::Body)?;
            self.join_small(body);
            let head = &self.head[self.head_at..];
            let tail = &self.tail[self.tail_at..];
            let (prefix, data, suffix): (&[u8], &[u8], &[u8]) = match &self.frame {
                Some(open) => (
                    &open.frame.prefix()[open.prefix_at..],
                    &body.pending()[..open.left],
                    &open.frame.suffix()[open.suffix_at..],
                ),
                None => (&[], &[], &[]),
            };
            let mut slices = [IoSlice::new(&[]); 5];
            let mut used = 0;
            for part in [head, prefix, data, suffix, tail] {
                if !part.is_empty() {
                    slices[used] = IoSlice::new(part);
                    used += 1;
                }
            }
            if used == 0 {
                if self.unflushed {
                    ready!(Pin::new(&mut *stream).poll_flush(cx)).map_err(WriteError::Io)?;
                    self.unflushed = false;
                }
                return Poll::Ready(Ok(()));
            }
            // A plain send costs the kernel less than a writev of one part.
            let written = match &slices[..used] {
                [only] => Pin::new(&mut *stream).poll_write(cx, only),
                parts => Pin::new(&mut *stream).poll_write_vectored(cx, parts),
            };
            let count = ready!(written).map_err(WriteError::Io)?;
            if count == 0 {
                return Poll::Ready(Err(WriteError::Io(io::ErrorKind::WriteZero.into())));
            }
            self.advance(count, body);
        }
    }

    /// Announces the payload that is there, and the end.
    fn open(&mut self, pending: usize, end: Option<&[u8]>) -> Result<(), BodyError> {
        if self.frame.is_none() && pending > 0 {
            let frame = self.encoder.frame(pending)?;
            self.frame = Some(OpenFrame { frame, prefix_at: 0, left: pending, suffix_at: 0 });
        }
        let announced = self.frame.as_ref().map_or(0, |frame| frame.left);
        if let Some(trailers) = end
            && !self.ended
            && announced == pending
        {
            self.encoder.finish(trailers, &mut self.tail)?;
            self.ended = true;
        }
        Ok(())
    }

    /// Puts a short body behind its head: copying it costs less than a second part of a writev.
    fn join_small(&mut self, body: &mut impl Payload) {
        const SHORT: usize = 2048;
        if self.head_at == self.head.len() {
            return;
        }
        if let Some(open) = &mut self.frame
            && open.left <= SHORT
        {
            self.head.extend_from_slice(&open.frame.prefix()[open.prefix_at..]);
            self.head.extend_from_slice(&body.pending()[..open.left]);
            self.head.extend_from_slice(&open.frame.suffix()[open.suffix_at..]);
            body.wrote(open.left);
            self.payload += open.left as u64;
            self.frame = None;
        }
        if self.frame.is_none() {
            self.head.append(&mut self.tail);
        }
    }

    fn advance(&mut self, mut count: usize, body: &mut impl Payload) {
        self.unflushed = true;
        self.written += count as u64;
        count -= take(&mut self.head_at, self.head.len(), count);
        if let Some(open) = &mut self.frame {
            count -= take(&mut open.prefix_at, open.frame.prefix().len(), count);
            let data = count.min(open.left);
            open.left -= data;
            count -= data;
            body.wrote(data);
            self.payload += data as u64;
            count -= take(&mut open.suffix_at, open.frame.suffix().len(), count);
            if open.left == 0 && open.suffix_at == open.frame.suffix().len() {
                self.frame = None;
            }
        }
        count -= take(&mut self.tail_at, self.tail.len(), count);
        debug_assert_eq!(count, 0);
    }
}

/// Moves `at` towards `end` by at most `count`, and says by how much.
fn take(at: &mut usize, end: usize, count: usize) -> usize {
    let step = count.min(end - *at);
    *at += step;
    step
}

/// Why a message could not be written.
#[derive(Debug)]
pub enum WriteError {
    /// The peer is gone.
    Io(io::Error),
    /// The other side sent more or fewer bytes than it announced.
    Body(BodyError),
}
