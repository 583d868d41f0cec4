//! The body of a request.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body, Frame, SizeHint};

use super::super::timer::{Timer, after};
use super::Exchange;
use crate::error::Kind;
use crate::http2::{Incoming, failed};
use crate::{Error, Phase};

/// The body of a request: what the client sends. It may send as much again as is taken from here.
#[derive(Debug)]
pub(super) struct RequestBody {
    incoming: Incoming,
    length: Option<u64>,
    /// The client waits for 100 (Continue), and was not sent it.
    waits: Option<Arc<Exchange>>,
    timer: Timer,
    stall_timeout: Duration,
}

impl RequestBody {
    pub(super) fn new(
        stream: RecvStream,
        length: Option<u64>,
        waits: Option<Arc<Exchange>>,
        stall_timeout: Duration,
    ) -> Self {
        Self { incoming: Incoming::new(stream), length, waits, timer: Timer::new(), stall_timeout }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        match this.incoming.poll_frame(cx) {
            Poll::Ready(frame) => {
                this.waits = None; // who has sent some of it does not wait
                this.timer.set(None);
                Poll::Ready(frame.map(|frame| frame.map_err(|error| failed(Phase::Body, error))))
            }
            Poll::Pending => {
                if this.waits.take().is_some_and(|exchange| !exchange.ask_for_body()) {
                    let what = "the client was answered instead of being asked for it";
                    let error = Error::of(Phase::Body, Kind::ClosedEarly).what(what);
                    return Poll::Ready(Some(Err(error)));
                }
                if !this.timer.is_set() {
                    this.timer.set(Some(after(this.stall_timeout)));
                }
                std::task::ready!(this.timer.poll(cx));
                this.timer.set(None);
                let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
                Poll::Ready(Some(Err(Error::new(Phase::Body, late))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_ended()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.length.map(|length| length.saturating_sub(self.incoming.received));
        left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
