//! A request on its way out.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::Body as _;
use rosn_h1::{BodyError, Framing, is_forbidden_trailer};
use rosn_trace::{Cancelled, ErrorRef, Event, Interest, TraceHandle};

use crate::wire::{MessageWriter, WriteError};
use crate::{Body, Error};

/// What of a request was not yet sent. Reports [`Event::WroteRequest`], exactly once.
pub(super) struct Upload {
    writer: MessageWriter,
    body: Body,
    /// Of the body, and not yet written.
    chunk: Bytes,
    trailers: Vec<u8>,
    /// The body has given all it has.
    ended: bool,
    /// The body waits until the server asks for it.
    held: Held,
    reported: bool,
    pub(super) trace: TraceHandle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    No,
    /// The head is not sent yet.
    Head,
    /// It is.
    Waiting,
}

/// Why a request cannot be sent whole.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection.
    Io(io::Error),
    /// The body to be sent.
    Body(Error),
    /// The body has more or less than was announced.
    Length(BodyError),
}

impl Upload {
    pub(super) fn new(
        buffers: (Vec<u8>, Vec<u8>),
        framing: Framing,
        body: Body,
        hold: bool,
        trace: TraceHandle,
    ) -> Self {
        let ended = body.is_end_stream();
        let held = if hold { Held::Head } else { Held::No };
        Self {
            writer: MessageWriter::new(buffers.0, buffers.1, framing),
            body,
            chunk: Bytes::new(),
            trailers: Vec::new(),
            ended,
            held,
            reported: false,
            trace,
        }
    }

    /// Sends what there is; ready when all was sent. `write` is [`MessageWriter::poll_write`] on the connection.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(
            &mut MessageWriter,
            &mut Context<'_>,
            &mut Bytes,
            Option<&[u8]>,
        ) -> Poll<Result<(), WriteError>>,
    ) -> Poll<Result<(), Broken>> {
        loop {
            // The body first, so that its beginning goes out with the head.
            let waits = match self.held {
                Held::No => match self.poll_chunk(cx) {
                    Poll::Ready(Ok(())) => false,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Body(error))),
                    Poll::Pending => true,
                },
                Held::Head | Held::Waiting => true,
            };
            let end = (self.ended && !waits).then_some(&self.trailers[..]);
            match ready!(write(&mut self.writer, cx, &mut self.chunk, end)) {
                Ok(()) => {}
                Err(WriteError::Io(error)) => return Poll::Ready(Err(Broken::Io(error))),
                Err(WriteError::Body(error)) => return Poll::Ready(Err(Broken::Length(error))),
            }
            if self.writer.is_finished() {
                self.report(true, Ok(()));
                return Poll::Ready(Ok(()));
            }
            if self.held == Held::Head {
                self.held = Held::Waiting;
                self.trace.emit(Interest::WRITE, || Event::Wait100);
            }
            if waits {
                return Poll::Pending;
            }
        }
    }

    /// Takes the next piece of the body where the last was written.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while self.chunk.is_empty() && !self.ended {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    match frame.into_data() {
                        Ok(data) => self.chunk = data,
                        Err(frame) => {
                            if let Ok(trailers) = frame.into_trailers() {
                                encode(&trailers, &mut self.trailers);
                            }
                        }
                    }
                    self.ended = self.body.is_end_stream();
                }
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => self.ended = true,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the head was sent, and the body waits for the server.
    pub(super) fn is_waiting_for_100(&self) -> bool {
        self.held == Held::Waiting
    }

    /// Lets the body go. Whether it had been held back.
    pub(super) fn release(&mut self) -> bool {
        std::mem::replace(&mut self.held, Held::No) != Held::No
    }

    /// Whether the body is held back.
    pub(super) fn is_held(&self) -> bool {
        self.held != Held::No
    }

    /// Bytes written, the head's included.
    pub(super) fn written(&self) -> u64 {
        self.writer.written
    }

    /// The body is not sent, as the server has answered instead of asking for it.
    pub(super) fn withhold(&mut self) {
        self.report(false, Ok(()));
    }

    /// It failed.
    pub(super) fn fail(&mut self, error: ErrorRef<'_>) {
        let body_sent = self.writer.payload > 0;
        self.report(body_sent, Err(error));
    }

    /// The buffers, for the next request.
    pub(super) fn into_buffers(mut self) -> (Vec<u8>, Vec<u8>) {
        let empty = MessageWriter::new(Vec::new(), Vec::new(), Framing::None);
        std::mem::replace(&mut self.writer, empty).into_buffers()
    }

    fn report(&mut self, body_sent: bool, result: Result<(), ErrorRef<'_>>) {
        if !std::mem::replace(&mut self.reported, true) {
            let bytes = self.writer.payload;
            self.trace.emit(Interest::WRITE, || Event::WroteRequest { bytes, body_sent, result });
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.fail(&Cancelled);
    }
}

/// Writes trailers, each as a line. Those that a trailer section must not hold are left out: whoever merges them into the
/// head would take them for what they say.
fn encode(trailers: &HeaderMap, out: &mut Vec<u8>) {
    let is_allowed = |name: &HeaderName| !is_forbidden_trailer(name.as_str().as_bytes());
    for (name, value) in trailers.iter().filter(|(name, _)| is_allowed(name)) {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}
