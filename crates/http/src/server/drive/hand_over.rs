//! Gives the connection away.

use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode};
use tokio::sync::oneshot;

use super::{After, ConnState, Drive, Phase, ServeError, Stage, Taken};
use crate::Body;
use crate::hijack::{ConnGuard, HijackError, Hijacked, SentResponse};

impl Drive<'_> {
    /// Gives the connection to who asked for it, when all is written that has to be before. Whether that was done.
    pub(super) fn poll_hijack(&mut self) -> bool {
        if !self.exchange.exchange.wants_hijack() {
            return false;
        }
        let answer = match &self.phase {
            // An interim response is on its way.
            Phase::Handling if !self.out.is_empty() => return false,
            Phase::Handling => Ok(SentResponse::Nothing),
            Phase::Responding(responding) if responding.end.is_some() => {
                Err(HijackError::ResponseStarted)
            }
            Phase::Responding(responding) if responding.writer.is_waiting() => return false,
            Phase::Responding(responding) => Ok(SentResponse::Started(responding.rest())),
            Phase::Switching { .. } => Err(HijackError::AlreadyHijacked),
            Phase::Draining | Phase::Finished => Err(HijackError::Finished),
        };
        let Some(to) = self.exchange.exchange.take_hijack() else { return false };
        match answer {
            Ok(response) => self.hand_over(to, response),
            Err(error) => {
                let _ = to.send(Err(error));
            }
        }
        true
    }

    /// Writes the head of a switch when the request's body is out of the way, and then gives the connection away.
    /// Whether something was done.
    pub(super) fn poll_switch(&mut self) -> bool {
        let Phase::Switching { head, .. } = &mut self.phase else { return false };
        if self.body.failed {
            self.refuse_switch();
            return true;
        }
        if !self.body.is_done() || !self.out.is_empty() {
            return false;
        }
        if !head.is_empty() {
            self.out = std::mem::take(head);
            return true;
        }
        match std::mem::replace(&mut self.phase, Phase::Finished) {
            Phase::Switching { to, .. } if self.gone => {
                let error = std::io::ErrorKind::ConnectionAborted.into();
                let _ = to.send(Err(HijackError::Closed(error)));
                self.finish(After::Close { linger: false });
            }
            Phase::Switching { to, .. } => self.hand_over(to, SentResponse::Switched),
            _ => {}
        }
        true
    }

    /// The request's body stands in the way: it is too long, broken, or does not come.
    fn refuse_switch(&mut self) {
        let Phase::Switching { to, .. } = std::mem::replace(&mut self.phase, Phase::Handling)
        else {
            return;
        };
        let status = match &self.error {
            Some(ServeError::Stalled) => StatusCode::REQUEST_TIMEOUT,
            Some(ServeError::RequestBody(rosn_h1::BodyError::TooLong)) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            _ => StatusCode::BAD_REQUEST,
        };
        let _ = to.send(Err(HijackError::Refused(status)));
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        self.respond(response);
    }

    /// From here on the stream is another's.
    fn hand_over(&mut self, to: oneshot::Sender<Taken>, response: SentResponse) {
        let (Some(io), Some(mut entry)) = (self.wire.stream.take(), self.wire.entry.take()) else {
            let _ = to.send(Err(HijackError::AlreadyHijacked));
            return;
        };
        self.wire.is_hijacked.store(true, Ordering::Relaxed);
        let limits = &entry.registry.options.limits;
        let nothing = super::RequestBody::new(&rosn_h1::RequestHead::default(), limits);
        let body = std::mem::replace(&mut self.body, nothing);
        let (body, before) = body.into_unread(self.undelivered());
        let inbound = std::mem::take(&mut self.wire.inbound);
        let shutdown = entry.registry.hijacked.signal();
        entry.set(ConnState::Hijacked);
        let hijacked = Hijacked {
            io,
            read_buf: joined(before, inbound.unread()),
            body,
            response,
            shutdown,
            guard: ConnGuard::holding(entry),
        };
        self.exchange.exchange.set_stage(Stage::Hijacked);
        if let Some(waiting) = self.exchange.exchange.take_switch() {
            let _ = waiting.send(Err(HijackError::AlreadyHijacked));
        }
        self.finish(After::Hijacked);
        // Where nobody is there to take it, it is closed.
        let _ = to.send(Ok(hijacked));
    }
}

fn joined(before: Bytes, after: &[u8]) -> Bytes {
    if before.is_empty() {
        return Bytes::copy_from_slice(after);
    }
    let mut all = BytesMut::from(before);
    all.extend_from_slice(after);
    all.freeze()
}
