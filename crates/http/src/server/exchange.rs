//! What a request's handles share with the task of its connection: the body, the hijacker, interim responses.
//!
//! Only the connection's task touches the stream. A handle says here what it wants and wakes that task, and is woken
//! when it has been done. The lock is held for a few assignments at a time, and no waker is called under it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Frame, SizeHint};
use tokio::sync::oneshot;

use super::informational::{self, InformationalError};
use crate::hijack::{HijackError, Hijacked};
use crate::{Error, Phase};

/// What somebody who asked for the connection gets.
pub(crate) type Taken = Result<Hijacked, HijackError>;

/// One request and its response, as its handles and its connection's task see it.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// Whether the client reads interim responses: HTTP/1.1.
    interim: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    stage: Stage,
    /// The connection's task.
    task: Option<Waker>,
    /// The task sleeps, and has to be woken when something changes.
    parked: bool,
    /// Something has changed since the task last looked.
    changed: bool,
    body: Incoming,
    interim: Vec<u8>,
    /// Who wants the connection now.
    hijack: Option<oneshot::Sender<Taken>>,
    /// Who wants it when the protocol was switched.
    switch: Option<oneshot::Sender<Taken>>,
}

/// How far an exchange has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Stage {
    /// The handler runs, and nothing of the response was sent.
    #[default]
    Handling,
    /// The response's body is being sent.
    Responding,
    /// The response's end is among what is being sent.
    Ending,
    /// Over.
    Over,
    /// Somebody else has the connection, or is about to get it.
    Hijacked,
}

/// The request's body on its way to who reads it.
#[derive(Debug, Default)]
struct Incoming {
    wanted: bool,
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
    fault: Option<Error>,
    ended: bool,
    reader: Option<Waker>,
    /// What of a body with a length was not taken yet.
    left: Option<u64>,
}

impl Incoming {
    /// What is there: a piece, or the end; `None` where more has to come.
    fn take(&mut self) -> Option<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(data) = self.data.take() {
            let taken = data.len() as u64;
            self.left = self.left.map(|left| left.saturating_sub(taken));
            return Some(Some(Ok(Frame::data(data))));
        }
        if let Some(trailers) = self.trailers.take() {
            return Some(Some(Ok(Frame::trailers(trailers))));
        }
        if let Some(fault) = self.fault.take() {
            return Some(Some(Err(fault)));
        }
        self.ended.then_some(None)
    }
}

/// For the handles.
impl Exchange {
    /// `length` is that of the body, where it has one.
    pub(super) fn new(interim: bool, length: Option<u64>) -> Arc<Self> {
        let body = Incoming { left: length, ..Incoming::default() };
        let state = State { body, ..State::default() };
        Arc::new(Self { interim, state: Mutex::new(state) })
    }

    /// Asks for the connection.
    pub(crate) fn hijack(&self) -> Result<oneshot::Receiver<Taken>, HijackError> {
        let (to, taken) = oneshot::channel();
        self.change(|state| {
            match state.stage {
                Stage::Handling | Stage::Responding => {}
                Stage::Ending => return Err(HijackError::ResponseStarted),
                Stage::Over => return Err(HijackError::Finished),
                Stage::Hijacked => return Err(HijackError::AlreadyHijacked),
            }
            // Who asked and then went is no longer in the way.
            if state.hijack.as_ref().is_some_and(|other| !other.is_closed()) {
                return Err(HijackError::AlreadyHijacked);
            }
            state.hijack = Some(to);
            Ok(taken)
        })
    }

    /// Asks for the connection after the protocol was switched.
    pub(crate) fn on_switch(&self) -> Result<oneshot::Receiver<Taken>, HijackError> {
        let (to, taken) = oneshot::channel();
        self.change(|state| match state.stage {
            Stage::Handling if state.switch.is_none() => {
                state.switch = Some(to);
                Ok(taken)
            }
            Stage::Handling | Stage::Hijacked => Err(HijackError::AlreadyHijacked),
            Stage::Responding | Stage::Ending => Err(HijackError::ResponseStarted),
            Stage::Over => Err(HijackError::Finished),
        })
    }

    pub(crate) fn is_hijacked(&self) -> bool {
        self.lock().stage == Stage::Hijacked
    }

    /// Has an interim response sent.
    pub(super) fn inform(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<(), InformationalError> {
        if !self.interim {
            return Err(InformationalError::NotSupported);
        }
        self.change(|state| match state.stage {
            Stage::Handling => informational::encode(status, headers, &mut state.interim),
            Stage::Responding | Stage::Ending | Stage::Over => Err(InformationalError::TooLate),
            Stage::Hijacked => Err(InformationalError::Hijacked),
        })
    }

    /// The next piece of the body.
    pub(super) fn poll_body(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut state = self.lock();
        if let Some(piece) = state.body.take() {
            return Poll::Ready(piece);
        }
        let why = match state.stage {
            Stage::Hijacked => "the connection was hijacked",
            Stage::Over => "the request is over",
            _ => {
                state.body.reader = Some(cx.waker().clone());
                // Asking once more changes nothing: else the task would never sleep.
                if !std::mem::replace(&mut state.body.wanted, true) {
                    Self::wake(state);
                }
                return Poll::Pending;
            }
        };
        state.body.ended = true;
        Poll::Ready(Some(Err(Error::new(Phase::Body, why))))
    }

    /// Whether the body has no more pieces.
    pub(super) fn body_ended(&self) -> bool {
        let body = &self.lock().body;
        body.ended && body.data.is_none() && body.trailers.is_none() && body.fault.is_none()
    }

    pub(super) fn body_size(&self) -> SizeHint {
        let state = self.lock();
        match state.body.left {
            Some(left) => SizeHint::with_exact(left),
            None if state.body.ended && state.body.data.is_none() => SizeHint::with_exact(0),
            None => SizeHint::default(),
        }
    }

    /// Changes something that the connection's task has to know of.
    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        Self::wake(state);
        result
    }

    /// Wakes the connection's task, unless it is awake and will look by itself.
    fn wake(mut state: MutexGuard<'_, State>) {
        state.changed = true;
        let task = if std::mem::take(&mut state.parked) { state.task.clone() } else { None };
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For the connection's task.
impl Exchange {
    /// The task looks at everything from here on.
    pub(super) fn begin(&self) {
        let mut state = self.lock();
        state.changed = false;
        state.parked = false;
    }

    /// Has the task woken by whatever changes; false where something has changed since it began to look.
    pub(super) fn park(&self, waker: &Waker) -> bool {
        let mut state = self.lock();
        if state.changed {
            return false;
        }
        state.parked = true;
        match &mut state.task {
            Some(task) => task.clone_from(waker),
            task => *task = Some(waker.clone()),
        }
        true
    }

    pub(super) fn set_stage(&self, stage: Stage) {
        let mut state = self.lock();
        state.stage = stage;
        let is_last = matches!(stage, Stage::Over | Stage::Hijacked);
        let reader = if is_last { state.body.reader.take() } else { None };
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Whether somebody waits for a piece of the body.
    pub(super) fn body_is_wanted(&self) -> bool {
        self.lock().body.wanted
    }

    /// Interim responses that are to be sent.
    pub(super) fn take_interim(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().interim)
    }

    /// Who wants the connection now, as long as they still do.
    pub(super) fn take_hijack(&self) -> Option<oneshot::Sender<Taken>> {
        self.lock().hijack.take().filter(|to| !to.is_closed())
    }

    pub(super) fn wants_hijack(&self) -> bool {
        self.lock().hijack.as_ref().is_some_and(|to| !to.is_closed())
    }

    /// Who wants the connection after a switch.
    pub(super) fn take_switch(&self) -> Option<oneshot::Sender<Taken>> {
        self.lock().switch.take()
    }

    /// Gives a piece of the body to who reads it. `end` comes with the last; trailers only there. The caller's `task`
    /// looks by itself.
    pub(super) fn deliver(&self, data: Bytes, end: Option<HeaderMap>, task: &Waker) {
        self.give(task, |body| {
            if !data.is_empty() {
                body.data = Some(data);
            }
            if let Some(trailers) = end {
                body.ended = true;
                body.trailers = Some(trailers).filter(|trailers| !trailers.is_empty());
            }
        });
    }

    /// The body ends with an error.
    pub(super) fn fail_body(&self, fault: Error) {
        self.give(Waker::noop(), |body| {
            body.ended = true;
            body.fault = Some(fault);
        });
    }

    /// Data that were delivered, and that nobody has taken.
    pub(super) fn take_undelivered(&self) -> Bytes {
        self.lock().body.data.take().unwrap_or_default()
    }

    fn give(&self, task: &Waker, give: impl FnOnce(&mut Incoming)) {
        let mut state = self.lock();
        state.body.wanted = false;
        give(&mut state.body);
        let reader = state.body.reader.take().filter(|reader| !reader.will_wake(task));
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// The exchange is over, and whoever still waits is told so.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        if state.stage != Stage::Hijacked {
            state.stage = Stage::Over;
        }
        let reader = state.body.reader.take();
        let (hijack, switch) = (state.hijack.take(), state.switch.take());
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        // Who does not listen any more need not know.
        if let Some(to) = hijack {
            let _ = to.send(Err(HijackError::Finished));
        }
        if let Some(to) = switch {
            let _ = to.send(Err(HijackError::Closed(io::ErrorKind::ConnectionAborted.into())));
        }
    }
}
