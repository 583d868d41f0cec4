//! A request's body on its way out.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use h2::{Reason, SendStream};
use rosn_trace::{Cancelled, ErrorRef, Event, Interest, TraceHandle};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use bytes::Bytes;

use super::connection::Place;
use crate::error::Kind;
use crate::http2::{Broken, Outgoing};
use crate::{Body, Error, Phase};

/// How long the rest of a request may take once its response was read. Go's `maxWriteWaitBeforeConnReuse`.
const AFTER_RESPONSE: Duration = Duration::from_millis(50);

/// What of a request was not yet sent. Reports [`Event::WroteRequest`], exactly once.
pub(super) struct Upload {
    out: Outgoing,
    /// The body waits until the server asks for it.
    held: bool,
    reported: bool,
    trace: TraceHandle,
}

impl Upload {
    /// Of a request whose head was sent; `stream` is `None` where that was all.
    pub(super) fn new(
        stream: Option<SendStream<Bytes>>,
        body: Body,
        announced: Option<u64>,
        held: bool,
        trace: TraceHandle,
    ) -> Self {
        let out = Outgoing::new(stream, body, announced);
        Self { out, held, reported: false, trace }
    }

    /// Sends what there is; ready when all was handed to the connection.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if self.held {
            return Poll::Pending;
        }
        let polled = self.out.poll(cx);
        if let Poll::Ready(Ok(())) = polled {
            self.report(true, Ok(()));
        }
        polled
    }

    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    /// Whether nothing more will be sent.
    pub(super) fn is_over(&self) -> bool {
        self.out.is_finished()
    }

    /// Lets the body go.
    pub(super) fn release(&mut self) {
        self.held = false;
    }

    /// The body is not sent, as the server has answered instead of asking for it.
    pub(super) fn withhold(&mut self) {
        self.report(false, Ok(()));
    }

    /// It failed, or was given up: the stream is reset.
    pub(super) fn fail(&mut self, error: ErrorRef<'_>) {
        let body_sent = self.out.payload > 0;
        self.report(body_sent, Err(error));
        self.out.reset(Reason::CANCEL);
    }

    fn report(&mut self, body_sent: bool, result: Result<(), ErrorRef<'_>>) {
        if !std::mem::replace(&mut self.reported, true) {
            let bytes = self.out.payload;
            self.trace.emit(Interest::WRITE, || Event::WroteRequest { bytes, body_sent, result });
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.fail(&Cancelled);
    }
}

/// The server wants no more of the body.
#[derive(Debug, thiserror::Error)]
#[error("the server wants no more of the body")]
struct Unwanted;

impl Upload {
    /// Reports what has stopped it. The error that the request fails with, where it is not the server's affair: then it
    /// is for the response to say.
    pub(super) fn stopped(&mut self, broken: Broken, phase: Phase) -> Option<Error> {
        match broken {
            Broken::Stream(error) => self.fail(&error),
            Broken::Unwanted => self.fail(&Unwanted),
            Broken::Body(error) => {
                self.fail(&error);
                return Some(error.in_phase(phase).kind(Kind::Source));
            }
            Broken::Length(error) => {
                self.fail(&error);
                return Some(Error::of(phase, Kind::Source).because(error));
            }
        }
        None
    }
}

/// A request that is still being sent while its response is read, by a task of its own: a program may well feed the one
/// from what it reads of the other.
#[derive(Debug)]
pub(super) struct Rest {
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Shared {
    /// Why the response cannot be read on.
    failure: Mutex<Option<Error>>,
    /// The response was read to its end.
    is_read: Notify,
}

impl Rest {
    /// Has a task send the rest. It holds `place`, too.
    pub(super) fn start(upload: Upload, place: Arc<Place>) -> Self {
        let shared = Arc::<Shared>::default();
        let task = tokio::spawn(send(upload, place, Arc::clone(&shared))).abort_handle();
        Self { shared, task }
    }

    /// The response was read to its end: there is not much time left for the request.
    pub(super) fn finish(self) {
        self.shared.is_read.notify_one();
    }

    /// The response is not read on.
    pub(super) fn abort(self) {
        self.task.abort();
    }

    /// Why the request has failed.
    pub(super) fn failure(&self) -> Option<Error> {
        self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

async fn send(mut upload: Upload, place: Arc<Place>, shared: Arc<Shared>) {
    let sent = tokio::select! {
        sent = std::future::poll_fn(|cx| upload.poll(cx)) => sent,
        () = async {
            shared.is_read.notified().await;
            tokio::time::sleep(AFTER_RESPONSE).await;
        } => Ok(()),
    };
    if let Err(broken) = sent {
        // Before the reset, by which the one who reads learns of it.
        let shared = &shared.failure;
        let (phase, kind) = (Phase::Body, Kind::Source);
        let failure = match &broken {
            Broken::Body(error) => Some(Error::of(phase, kind).what(error.to_string())),
            Broken::Length(error) => Some(Error::of(phase, kind).because(*error)),
            Broken::Stream(_) | Broken::Unwanted => None,
        };
        *shared.lock().unwrap_or_else(PoisonError::into_inner) = failure;
        let _ = upload.stopped(broken, phase);
    }
    drop(upload);
    drop(place);
}
