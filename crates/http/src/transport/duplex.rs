//! A connection whose response is read while its request is still being sent.
//!
//! A task sends the rest of the request, so that it goes on whether or not the response is being read: a program may
//! well feed the one from what it reads of the other.

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use rosn_trace::NotReused;

use super::connection::Lease;
use super::incoming::poll_read;
use super::patience::Timer;
use super::upload::{Broken, Upload};
use crate::error::Kind;
use crate::{Error, Phase};

/// How long the rest of a request may take once its response was read. Go's `maxWriteWaitBeforeConnReuse`.
const AFTER_RESPONSE: Duration = Duration::from_millis(50);

/// The connection, for both sides.
#[derive(Debug)]
pub(super) struct Duplex(Mutex<State>);

#[derive(Debug)]
struct State {
    /// `None` when it was closed or given back.
    lease: Option<Lease>,
    /// The response was read, and this is to become of the connection.
    read: Option<Result<(), NotReused>>,
    /// How sending the request ended.
    sent: Option<bool>,
    /// Wakes the task.
    waker: Option<Waker>,
    /// Wakes who reads the response.
    reader: Option<Waker>,
    /// Why the response cannot be read on.
    failure: Option<Error>,
}

impl Duplex {
    /// Has a task send the rest.
    pub(super) fn start(lease: Lease, upload: Upload) -> Arc<Self> {
        let lease = Some(lease);
        let state =
            State { lease, read: None, sent: None, waker: None, reader: None, failure: None };
        let duplex = Arc::new(Self(Mutex::new(state)));
        tokio::spawn(send(Arc::clone(&duplex), upload));
        duplex
    }

    /// Reads of the response.
    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        into: &mut BytesMut,
    ) -> Poll<Result<usize, Error>> {
        let mut state = self.state();
        let Some(lease) = &mut state.lease else {
            let gone = || Error::new(Phase::Body, io::Error::from(io::ErrorKind::NotConnected));
            return Poll::Ready(Err(state.failure.take().unwrap_or_else(gone)));
        };
        let polled = poll_read(cx, &mut lease.stream, into);
        if polled.is_pending() {
            state.reader = Some(cx.waker().clone());
        }
        polled.map_err(|error| Error::new(Phase::Body, error))
    }

    /// Whether the connection ended without the word that its layers have for an end.
    pub(super) fn was_cut_off(&self) -> bool {
        self.state().lease.as_ref().is_some_and(|lease| lease.stream.was_cut_off())
    }

    /// The response was read to its end.
    pub(super) fn read_all(&self, reuse: Result<(), NotReused>) {
        let mut state = self.state();
        state.read = Some(reuse);
        let over = state.over();
        drop(state);
        finish(over);
    }

    /// The response is not read on.
    pub(super) fn close(&self, reason: NotReused) {
        let mut state = self.state();
        let lease = state.lease.take();
        let waker = state.waker.take();
        drop(state);
        finish((lease.map(|lease| (lease, Err(reason))), waker));
    }

    /// The body to be sent has failed. The server waits for the rest of it, so the response may never end.
    fn fail(&self, error: Error) {
        let mut state = self.state();
        let lease = state.lease.take();
        state.failure = Some(error);
        let reader = state.reader.take();
        drop(state);
        finish((lease.map(|lease| (lease, Err(NotReused::WriteUnfinished))), reader));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Over = (Option<(Lease, Result<(), NotReused>)>, Option<Waker>);

impl State {
    /// What is to be done with the connection where both sides have ended; else whom to wake.
    fn over(&mut self) -> Over {
        let waker = self.waker.take();
        let (Some(read), Some(sent)) = (self.read, self.sent) else { return (None, waker) };
        let reuse = if sent { read } else { Err(NotReused::WriteUnfinished) };
        (self.lease.take().map(|lease| (lease, reuse)), waker)
    }
}

/// Outside of the lock.
fn finish((over, waker): Over) {
    if let Some((lease, reuse)) = over {
        lease.end(reuse);
    }
    waker.into_iter().for_each(Waker::wake);
}

/// Sends the rest of a request.
async fn send(duplex: Arc<Duplex>, mut upload: Upload) {
    let unfinished = Unfinished(&duplex);
    let mut timer = Timer::default();
    let mut is_timed = false;
    let sent = poll_fn(|cx| {
        {
            let mut state = duplex.state();
            if state.lease.is_none() {
                return Poll::Ready(false);
            }
            state.waker = Some(cx.waker().clone());
            if state.read.is_some() && !std::mem::replace(&mut is_timed, true) {
                timer.set(Some(AFTER_RESPONSE));
            }
        }
        // The body is asked outside of the lock: it may itself wait for the response.
        let polled = upload.poll(cx, |writer, cx, chunk, end| match &mut duplex.state().lease {
            Some(lease) => writer.poll_write(cx, &mut lease.stream, chunk, end),
            None => Poll::Pending,
        });
        match polled {
            Poll::Ready(Ok(())) => Poll::Ready(true),
            // The server may have said all it has to say, and reads no more.
            Poll::Ready(Err(Broken::Io(error))) => {
                upload.fail(&error);
                Poll::Ready(false)
            }
            Poll::Ready(Err(Broken::Body(error))) => {
                upload.fail(&error);
                duplex.fail(error.in_phase(Phase::Body).kind(Kind::Source));
                Poll::Ready(false)
            }
            Poll::Ready(Err(Broken::Length(error))) => {
                upload.fail(&error);
                duplex.fail(Error::of(Phase::Body, Kind::Source).because(error));
                Poll::Ready(false)
            }
            Poll::Pending => timer.poll(cx).map(|()| false),
        }
    })
    .await;
    let mut state = duplex.state();
    state.sent = Some(sent);
    let over = state.over();
    drop(state);
    finish(over);
    drop(unfinished);
}

/// Says so where the task ends otherwise: the body panicked, or the runtime ends.
struct Unfinished<'a>(&'a Duplex);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if self.0.state().sent.is_none() {
            let what = "the request was not sent to its end";
            self.0.fail(Error::of(Phase::Body, Kind::Source).what(what));
        }
    }
}
