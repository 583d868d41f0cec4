//! How long those wait who asked.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rosn_trace::{ContextError, RequestContext, UntilCancelled};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::Kind;
use crate::{Error, Phase};

/// The context of a request, watched. By default nothing is.
#[derive(Debug, Default)]
pub(super) struct Patience {
    cancelled: Option<UntilCancelled>,
    deadline: Timer,
    context: RequestContext,
}

impl Patience {
    pub(super) fn new(context: Option<&RequestContext>) -> Self {
        let Some(context) = context else { return Self::default() };
        let mut deadline = Timer::default();
        if let Some(at) = context.deadline() {
            deadline.set_at(at.into());
        }
        Self { cancelled: Some(context.cancelled()), deadline, context: context.clone() }
    }

    /// Ready when the request is to be given up.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, phase: Phase) -> Poll<Error> {
        let Some(cancelled) = &mut self.cancelled else { return Poll::Pending };
        if let Poll::Ready(error) = Pin::new(cancelled).poll(cx) {
            return Poll::Ready(self.error(error, phase));
        }
        ready!(self.deadline.poll(cx));
        Poll::Ready(self.error(ContextError::DeadlineExceeded, phase))
    }

    /// The error of a request whose context has ended already.
    pub(super) fn check(&self, phase: Phase) -> Result<(), Error> {
        self.context.err().map_or(Ok(()), |error| Err(self.error(error, phase)))
    }

    /// Waits for so long.
    ///
    /// # Errors
    /// The request is to be given up meanwhile.
    pub(super) async fn rest(&mut self, time: Duration) -> Result<(), Error> {
        let mut timer = Timer::default();
        timer.set(Some(time));
        poll_fn(|cx| match self.poll(cx, Phase::Pool) {
            Poll::Ready(error) => Poll::Ready(Err(error)),
            Poll::Pending => timer.poll(cx).map(Ok),
        })
        .await
    }

    /// When they give up.
    pub(super) fn deadline(&self) -> Option<std::time::Instant> {
        self.context.deadline()
    }

    fn error(&self, error: ContextError, phase: Phase) -> Error {
        let kind = match error {
            ContextError::Cancelled => Kind::Cancelled,
            ContextError::DeadlineExceeded => Kind::Timeout,
        };
        let error = Error::of(phase, kind);
        match self.context.cause() {
            Some(cause) => error.what(cause.to_string()).because(Cause(cause)),
            None => error,
        }
    }
}

/// What a context was cancelled with.
#[derive(Debug)]
struct Cause(rosn_trace::SharedError);

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}

/// A timer that may be set.
#[derive(Debug, Default)]
pub(super) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    pub(super) fn set(&mut self, after: Option<Duration>) {
        match after.and_then(|after| Instant::now().checked_add(after)) {
            Some(at) => self.set_at(at),
            None => self.0 = None,
        }
    }

    fn set_at(&mut self, at: Instant) {
        self.0 = Some(Box::pin(sleep_until(at)));
    }

    /// Ready when the time has come; never where none is set.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}
