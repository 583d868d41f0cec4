//! What a request's handles share with the task of its stream.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::SendStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
use tokio::sync::oneshot;

use super::super::exchange::Taken;
use super::super::informational::{self, InformationalError};
use crate::hijack::HijackError;
use crate::http2::strip;

/// One request and its response.
#[derive(Debug)]
pub(crate) struct Exchange(Mutex<State>);

#[derive(Debug)]
struct State {
    respond: SendResponse<Bytes>,
    stage: Stage,
    /// Bytes of interim responses that were sent.
    interim: usize,
    /// Who wants the stream when the response makes a tunnel of it.
    switch: Option<oneshot::Sender<Taken>>,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing of the response was sent.
    Handling,
    Responding,
    Switched,
}

impl Exchange {
    pub(super) fn new(respond: SendResponse<Bytes>) -> Self {
        let state = State { respond, stage: Stage::Handling, interim: 0, switch: None };
        Self(Mutex::new(state))
    }

    /// Sends an interim response.
    pub(in crate::server) fn inform(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<(), InformationalError> {
        informational::check(status)?;
        let mut state = self.lock();
        match state.stage {
            Stage::Handling => {}
            Stage::Responding => return Err(InformationalError::TooLate),
            Stage::Switched => return Err(InformationalError::Hijacked),
        }
        let size =
            |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 32;
        let interim = state.interim + headers.iter().map(size).sum::<usize>() + 32;
        if interim > informational::LIMIT {
            return Err(InformationalError::TooMany);
        }
        state.interim = interim;
        let mut response = Response::new(());
        *response.status_mut() = status;
        *response.headers_mut() = headers.clone();
        strip(response.headers_mut());
        response.headers_mut().remove(http::header::CONTENT_LENGTH);
        state.respond.send_informational(response).map_err(|_| InformationalError::TooLate)
    }

    /// Sends 100 (Continue), as somebody reads the body that the client holds back. False where it is too late: the
    /// response has told the client not to send it.
    pub(super) fn ask_for_body(&self) -> bool {
        let mut state = self.lock();
        if state.stage != Stage::Handling {
            return false;
        }
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::CONTINUE;
        // It fails where the stream has ended, which the body says.
        let _ = state.respond.send_informational(response);
        true
    }

    /// Asks for the stream, for when it is a tunnel.
    pub(crate) fn on_switch(&self) -> Result<oneshot::Receiver<Taken>, HijackError> {
        let (to, taken) = oneshot::channel();
        let mut state = self.lock();
        match state.stage {
            Stage::Handling if state.switch.is_none() => {
                state.switch = Some(to);
                Ok(taken)
            }
            Stage::Handling | Stage::Switched => Err(HijackError::AlreadyHijacked),
            Stage::Responding => Err(HijackError::ResponseStarted),
        }
    }

    /// A stream is no connection of its own.
    pub(crate) fn hijack(&self) -> HijackError {
        HijackError::NotSupported(Version::HTTP_2)
    }

    pub(crate) fn is_switched(&self) -> bool {
        self.lock().stage == Stage::Switched
    }

    /// Who wants the stream after a switch.
    pub(super) fn take_switch(&self) -> Option<oneshot::Sender<Taken>> {
        self.lock().switch.take()
    }

    /// Sends the head of the response.
    pub(super) fn respond(
        &self,
        response: Response<()>,
        end: bool,
        switches: bool,
    ) -> Result<SendStream<Bytes>, h2::Error> {
        let mut state = self.lock();
        state.stage = if switches { Stage::Switched } else { Stage::Responding };
        state.respond.send_response(response, end)
    }

    /// Ready when the client has reset the stream, or its connection has ended; only before the response.
    pub(super) fn poll_reset(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.lock().respond.poll_reset(cx).map(drop)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
