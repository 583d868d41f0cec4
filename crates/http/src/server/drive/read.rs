//! Reads the request's body when somebody wants it, and notices when the client goes.

use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use rosn_h1::BodyError;

use super::{After, Drive, Phase, ServeError};
use crate::Error;
use crate::error::Kind;

impl Drive<'_> {
    /// Reads some of the body where that is wanted. Whether something came of it.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> bool {
        let drops = matches!(self.phase, Phase::Switching { .. } | Phase::Draining);
        let wanted = drops || self.exchange.exchange.body_is_wanted();
        if !wanted || !self.body.is_open() || self.wire.stream.is_none() {
            self.read_due = None;
            return false;
        }
        if self.body.waits && self.wire.inbound.is_empty() {
            return self.ask_for_body();
        }
        if self.wire.inbound.is_empty() {
            match self.poll_inbound(cx) {
                Poll::Ready(true) => {}
                Poll::Ready(false) => return true,
                Poll::Pending => {
                    if self.read_due.is_none() {
                        self.read_due = Some(self.stall_due());
                    }
                    return false;
                }
            }
        }
        if !drops {
            // What nobody wants has to be there in this time as a whole.
            self.read_due = None;
        }
        match self.body.decode(&mut self.wire.inbound) {
            Ok((data, end)) if drops => {
                let enough = self.body.drop_data(data.len()) && end.is_none();
                if enough {
                    self.body_failed(ServeError::RequestBody(BodyError::TooLong));
                }
            }
            // Nothing but framing.
            Ok((data, None)) if data.is_empty() => {}
            Ok((data, end)) => self.exchange.exchange.deliver(data, end, cx.waker()),
            Err(error) => self.body_failed(error.into()),
        }
        if matches!(self.phase, Phase::Draining) && self.body.is_done() {
            self.finish(After::KeepAlive);
        }
        true
    }

    /// Reads more of the body. Whether there is more.
    fn poll_inbound(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.wire.inbound.grow(self.body.room());
        let error = match std::task::ready!(self.wire.poll_read(cx)) {
            Ok(1..) => return Poll::Ready(true),
            Ok(0) => ServeError::RequestBody(BodyError::Truncated),
            Err(error) => ServeError::Io(error),
        };
        self.is_gone();
        self.body_failed(error);
        Poll::Ready(false)
    }

    /// Sends 100 (Continue), as somebody reads the body that the client holds back.
    fn ask_for_body(&mut self) -> bool {
        self.body.waits = false;
        if matches!(self.phase, Phase::Responding(_)) {
            // The response has told the client not to send it.
            self.body_failed(ServeError::RequestBody(BodyError::Truncated));
        } else {
            self.queue_interim();
            self.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        true
    }

    /// No more of the body can be read, so the connection ends after the response.
    pub(super) fn body_failed(&mut self, error: ServeError) {
        self.body.failed = true;
        self.keep = false;
        self.exchange.exchange.fail_body(told(&error));
        self.error.get_or_insert(error);
        if matches!(self.phase, Phase::Draining) {
            self.error = None; // the response is out, and this body interests nobody
            self.finish(After::Close { linger: !self.gone });
        }
    }

    /// Notices when the client ends while it is answered. Bytes of another request are not an end, and whoever has
    /// sent such is not watched any more.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) {
        let is_busy = matches!(self.phase, Phase::Handling | Phase::Responding(_));
        if !is_busy || self.gone || !self.body.is_done() || !self.wire.inbound.is_empty() {
            return;
        }
        match self.wire.poll_read(cx) {
            Poll::Ready(Ok(1..)) => {}
            Poll::Ready(Ok(0) | Err(_)) => self.is_gone(),
            Poll::Pending => self.wire.drop_empty_buffer(),
        }
    }

    /// Moves interim responses that a handle was given to what is to be written.
    pub(super) fn queue_interim(&mut self) {
        let interim = self.exchange.exchange.take_interim();
        if self.out.is_empty() {
            self.out = interim;
        } else {
            self.out.extend_from_slice(&interim);
        }
    }

    /// What was delivered and not taken.
    pub(super) fn undelivered(&self) -> Bytes {
        self.exchange.exchange.take_undelivered()
    }
}

/// What who reads the body is told.
fn told(error: &ServeError) -> Error {
    match error {
        ServeError::RequestBody(error @ BodyError::Truncated) => {
            Error::new(crate::Phase::Body, *error).kind(Kind::ClosedEarly)
        }
        ServeError::RequestBody(error) => Error::new(crate::Phase::Body, *error).kind(Kind::Parse),
        ServeError::Io(error) => Error::new(crate::Phase::Body, io::Error::from(error.kind())),
        ServeError::Stalled => {
            Error::new(crate::Phase::Body, io::Error::from(io::ErrorKind::TimedOut))
        }
        error => Error::new(crate::Phase::Body, error.to_string()),
    }
}
