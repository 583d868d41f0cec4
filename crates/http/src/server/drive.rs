//! Drives one exchange: runs the handler, reads the request's body when it is asked for, writes the response, and gives
//! the connection away when somebody takes it.
//!
//! All of it happens in the connection's task. It goes round, looking at each of these, until none of them can do
//! anything more; then it sleeps until the stream, the handler or a handle wakes it.

mod hand_over;
mod read;
mod write;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Response, StatusCode};
use rosn_h1::RequestHead;
use rosn_trace::CancelHandle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::body::RequestBody;
use super::connection::Wire;
use super::exchange::{Exchange, Stage, Taken};
use super::response::{Asked, plan};
use super::{ConnState, ServeError};
use crate::Body;
use crate::hijack::{HijackError, ShutdownSignal};
use write::Responding;

/// What becomes of the connection after an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    KeepAlive,
    /// With `linger`, the client may still have something to read.
    Close {
        linger: bool,
    },
    Hijacked,
}

/// One exchange on its way.
pub(super) struct Drive<'c> {
    wire: &'c mut Wire,
    exchange: Ends,
    asked: Asked,
    body: RequestBody,
    shutdown: &'c ShutdownSignal,
    phase: Phase,
    /// Interim responses, or the head of a switch, on their way; from `out_at` on they were not written.
    out: Vec<u8>,
    out_at: usize,
    /// The client has ended, or its connection has failed.
    gone: bool,
    /// When the client has to have sent a byte, and taken one.
    read_due: Option<Instant>,
    write_due: Option<Instant>,
    keep: bool,
    after: Option<After>,
    error: Option<ServeError>,
}

enum Phase {
    /// The handler runs.
    Handling,
    /// The response's head switches the protocol.
    Switching {
        head: Vec<u8>,
        to: oneshot::Sender<Taken>,
    },
    Responding(Box<Responding>),
    /// The response was sent; the request's body was not read to its end.
    Draining,
    /// Nothing is left to do with the stream.
    Finished,
}

/// An exchange that is told of its end, however that comes.
struct Ends {
    exchange: Arc<Exchange>,
    cancel: CancelHandle,
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.exchange.end();
        self.cancel.cancel();
    }
}

impl<'c> Drive<'c> {
    pub(super) fn new(
        wire: &'c mut Wire,
        exchange: Arc<Exchange>,
        cancel: CancelHandle,
        asked: Asked,
        head: &RequestHead,
        shutdown: &'c ShutdownSignal,
    ) -> Self {
        let body = RequestBody::new(head, &wire.entry().registry.options.limits);
        Self {
            wire,
            exchange: Ends { exchange, cancel },
            asked,
            body,
            shutdown,
            phase: Phase::Handling,
            out: Vec::new(),
            out_at: 0,
            gone: false,
            read_due: None,
            write_due: None,
            keep: false,
            after: None,
            error: None,
        }
    }

    /// Drives it to its end. `keep` says whether client and server want to go on afterwards.
    pub(super) async fn run<F: Future<Output = Response<Body>>>(
        mut self,
        handler: Pin<&mut F>,
        keep: bool,
    ) -> (After, Option<ServeError>) {
        self.keep = keep;
        let mut handler = Some(handler);
        let after = std::future::poll_fn(|cx| self.poll(cx, &mut handler)).await;
        (after, self.error.take())
    }

    fn poll<F: Future<Output = Response<Body>>>(
        &mut self,
        cx: &mut Context<'_>,
        handler: &mut Option<Pin<&mut F>>,
    ) -> Poll<After> {
        loop {
            self.exchange.exchange.begin();
            self.poll_handler(cx, handler);
            // Each says whether another has something to do now.
            let mut again = self.poll_out(cx);
            again |= self.poll_hijack();
            again |= self.poll_body(cx);
            again |= self.poll_switch();
            again |= self.poll_response(cx);
            if let Some(after) = self.after
                && handler.is_none()
            {
                return Poll::Ready(after);
            }
            if !again {
                self.poll_gone(cx);
                again = self.poll_timer(cx);
            }
            if !again && self.exchange.exchange.park(cx.waker()) {
                return Poll::Pending;
            }
        }
    }

    fn poll_handler<F: Future<Output = Response<Body>>>(
        &mut self,
        cx: &mut Context<'_>,
        handler: &mut Option<Pin<&mut F>>,
    ) {
        let Some(running) = handler else { return };
        let polled = catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx)));
        let response = match polled {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(response)) => response,
            Err(_) => {
                tracing::error!(peer = %self.peer(), "a handler panicked");
                self.mistake("panicked");
                self.keep = false;
                failure()
            }
        };
        *handler = None;
        // Who has asked for the connection before the handler was done gets it.
        if self.after.is_none() && !self.exchange.exchange.wants_hijack() {
            self.respond(response);
        } else if response.status() != StatusCode::OK
            || !http_body::Body::is_end_stream(response.body())
        {
            tracing::warn!("the response of a handler is not sent: its connection was hijacked");
        }
    }

    /// Begins the response.
    fn respond(&mut self, response: Response<Body>) {
        let exchange = Arc::clone(&self.exchange.exchange);
        let waiting = exchange.take_switch();
        self.queue_interim();
        let may_keep = self.keep && self.body.can_be_dropped() && !self.shutdown.is_set();
        let may_switch = waiting.as_ref().is_some_and(|to| !to.is_closed());
        let (mut head, tail) = std::mem::take(&mut self.wire.spare);
        let (asked, date) = (&self.asked, &mut self.wire.date);
        let mut response = response;
        let planned = match plan(&response, asked, may_keep, may_switch, date, &mut head) {
            Ok(planned) => planned,
            Err(mistake) => {
                tracing::error!("a handler {mistake}");
                self.mistake(mistake);
                response = failure();
                let date = &mut self.wire.date;
                plan(&response, &self.asked, false, false, date, &mut head)
                    .expect("an empty 500 can always be sent")
            }
        };
        let status = response.status();
        if let Some(to) = waiting {
            if planned.switches {
                exchange.set_stage(Stage::Hijacked);
                self.phase = Phase::Switching { head, to };
                return;
            }
            let _ = to.send(Err(HijackError::Refused(status)));
        }
        self.keep = planned.keep;
        exchange.set_stage(Stage::Responding);
        let body = response.into_body();
        let responding =
            Responding::new(head, tail, planned.framing, body, &mut self.out, self.out_at);
        self.out_at = 0;
        self.phase = Phase::Responding(Box::new(responding));
    }

    /// The exchange is over, as far as the stream is concerned.
    fn finish(&mut self, after: After) {
        self.phase = Phase::Finished;
        self.after = Some(after);
        self.out.clear();
        self.out_at = 0;
        (self.read_due, self.write_due) = (None, None);
    }

    /// The connection cannot go on.
    fn fail(&mut self, error: ServeError) {
        self.error.get_or_insert(error);
        self.exchange.cancel.cancel_cause("the connection to the client has ended");
        self.finish(After::Close { linger: false });
    }

    fn mistake(&mut self, what: &'static str) {
        self.error.get_or_insert(ServeError::Handler(what));
    }

    /// The client has ended: there may be nobody to read the response.
    fn is_gone(&mut self) {
        if !self.gone {
            self.gone = true;
            self.keep = false;
            self.exchange.cancel.cancel_cause("the client has ended the connection");
        }
    }

    /// Whether the client has stalled, which has to be dealt with.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let due = match (self.read_due, self.write_due) {
            (Some(read), Some(write)) => Some(read.min(write)),
            (read, write) => read.or(write),
        };
        self.wire.timer.set(due);
        if self.wire.timer.poll(cx).is_pending() {
            return false;
        }
        if self.write_due.is_some_and(|due| due <= Instant::now()) {
            self.fail(ServeError::Stalled);
        } else {
            self.read_due = None;
            self.body_failed(ServeError::Stalled);
        }
        true
    }

    fn stall_due(&self) -> Instant {
        super::timer::after(self.wire.entry().registry.options.stall_timeout)
    }

    fn peer(&self) -> String {
        self.wire.entry.as_ref().map(|entry| entry.info.peer.to_string()).unwrap_or_default()
    }
}

/// The answer to what a handler has made wrong.
fn failure() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}
