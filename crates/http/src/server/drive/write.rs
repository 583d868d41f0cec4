//! Writes interim responses and the response.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Body as _;
use rosn_h1::Framing;
use tokio::io::AsyncWrite as _;

use super::{After, Drive, Phase, ServeError, Stage};
use crate::Body;
use crate::server::response::put_trailers;
use crate::wire::{MessageWriter, WriteError};

/// A response that is being sent.
pub(super) struct Responding {
    pub(super) writer: MessageWriter,
    framing: Framing,
    body: Body,
    /// A piece of the body, or what of it was not written.
    piece: Bytes,
    /// The trailers, once the body has ended.
    pub(super) end: Option<Vec<u8>>,
}

/// What a body had to give.
enum Next {
    Piece,
    Nothing,
    Failed(ServeError),
}

impl Responding {
    /// `before` is written before the head, from `at` on; it comes back empty.
    pub(super) fn new(
        mut head: Vec<u8>,
        tail: Vec<u8>,
        framing: Framing,
        body: Body,
        before: &mut Vec<u8>,
        at: usize,
    ) -> Self {
        if before.len() > at {
            head.splice(..0, before[at..].iter().copied());
        }
        before.clear();
        let writer = MessageWriter::new(head, tail, framing);
        let end = (framing == Framing::None).then(Vec::new);
        Self { writer, framing, body, piece: Bytes::new(), end }
    }

    /// In which framing the body goes on after what was written.
    pub(super) fn rest(&self) -> Framing {
        match self.framing {
            Framing::Length(length) => Framing::Length(length.saturating_sub(self.writer.payload)),
            framing => framing,
        }
    }

    /// Asks the body for its next piece, when the last one was written.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Next {
        if self.end.is_some() || !self.piece.is_empty() {
            return Next::Nothing;
        }
        let body = Pin::new(&mut self.body);
        let Ok(polled) = catch_unwind(AssertUnwindSafe(|| body.poll_frame(cx))) else {
            return Next::Failed(ServeError::Handler("panicked while its response was sent"));
        };
        match polled {
            Poll::Pending => return Next::Nothing,
            Poll::Ready(None) => self.end = Some(Vec::new()),
            Poll::Ready(Some(Err(error))) => {
                return Next::Failed(ServeError::ResponseBody(error.into()));
            }
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => {
                    self.piece = data;
                    self.end = self.body.is_end_stream().then(Vec::new);
                }
                Err(frame) => {
                    let mut lines = Vec::new();
                    if let Ok(trailers) = frame.into_trailers() {
                        put_trailers(&trailers, &mut lines);
                    }
                    self.end = Some(lines);
                }
            },
        }
        Next::Piece
    }
}

impl Drive<'_> {
    /// Writes interim responses. Whether something became possible by that.
    pub(super) fn poll_out(&mut self, cx: &mut Context<'_>) -> bool {
        // Those that wait in the exchange are bounded there.
        if self.out.is_empty() && matches!(self.phase, Phase::Handling) {
            self.queue_interim();
        }
        if self.out.is_empty() {
            return false;
        }
        match self.write_out(cx) {
            Poll::Pending => {
                if self.write_due.is_none() {
                    self.write_due = Some(self.stall_due());
                }
                false
            }
            Poll::Ready(written) => {
                self.out.clear();
                self.out_at = 0;
                self.write_due = None;
                if let Err(error) = written {
                    self.error.get_or_insert(error.into());
                    self.is_gone();
                }
                true
            }
        }
    }

    fn write_out(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let Some(stream) = &mut self.wire.stream else { return Poll::Ready(Ok(())) };
        while self.out_at < self.out.len() {
            let count =
                std::task::ready!(Pin::new(&mut *stream).poll_write(cx, &self.out[self.out_at..]))?;
            if count == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            self.out_at += count;
            self.write_due = None;
        }
        Pin::new(stream).poll_flush(cx)
    }

    /// Sends the response. Whether something became possible by that.
    pub(super) fn poll_response(&mut self, cx: &mut Context<'_>) -> bool {
        let hijack = self.exchange.exchange.wants_hijack();
        loop {
            let Phase::Responding(responding) = &mut self.phase else { return false };
            let Some(stream) = &mut self.wire.stream else { return false };
            // Who takes the connection writes the rest.
            let next = if hijack { Next::Nothing } else { responding.poll_piece(cx) };
            if let Next::Failed(error) = next {
                self.cut_response(error);
                return true;
            }
            if responding.end.is_some() {
                self.exchange.exchange.set_stage(Stage::Ending);
            }
            let Responding { writer, piece, end, .. } = &mut **responding;
            let before = writer.written;
            let polled = writer.poll_write(cx, stream, piece, end.as_deref());
            let moved = writer.written > before;
            match polled {
                Poll::Ready(Ok(())) if writer.is_finished() => {
                    self.responded();
                    return true;
                }
                Poll::Ready(Ok(())) => {
                    self.write_due = None;
                    if !matches!(next, Next::Piece) {
                        return hijack && responding.end.is_none();
                    }
                }
                Poll::Pending => {
                    if moved || self.write_due.is_none() {
                        self.write_due = Some(self.stall_due());
                    }
                    return false;
                }
                Poll::Ready(Err(WriteError::Io(error))) => {
                    self.fail(error.into());
                    return true;
                }
                Poll::Ready(Err(WriteError::Body(error))) => {
                    self.cut_response(ServeError::ResponseBody(error.into()));
                    return true;
                }
            }
        }
    }

    /// The whole response was written.
    fn responded(&mut self) {
        let phase = std::mem::replace(&mut self.phase, Phase::Draining);
        if let Phase::Responding(responding) = phase {
            self.wire.spare = responding.writer.into_buffers();
        }
        self.write_due = None;
        self.exchange.exchange.set_stage(Stage::Over);
        if self.keep && self.body.is_done() {
            self.finish(After::KeepAlive);
        } else if !self.keep || !self.body.can_be_dropped() {
            self.finish(After::Close { linger: !self.gone });
        }
    }

    /// The response cannot be sent to its end. The client must not take what it got for the whole: a body without
    /// framing ends by a reset.
    fn cut_response(&mut self, error: ServeError) {
        tracing::debug!(peer = %self.peer(), "a response was cut: {error}");
        self.fail(error);
        if let Some(stream) = self.wire.stream.take() {
            stream.reset();
        }
    }
}
