//! What is sent on a stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::{HeaderMap, HeaderName};
use http_body::Body as _;
use rosn_h1::{BodyError, is_forbidden_trailer};

use crate::{Body, Error};

/// Bytes that wait in h2 for the peer, at most: more of the body is asked for when they are on their way.
const PIECE: usize = 64 * 1024;

/// A body on its way to the peer. Dropping it before its end tells the peer so, by a reset of the stream.
pub(crate) struct Outgoing {
    /// `None` once the end was said, or a reset.
    stream: Option<SendStream<Bytes>>,
    body: Body,
    /// Of the body, and not yet sent.
    chunk: Bytes,
    trailers: Option<HeaderMap>,
    /// The body has given all it has.
    ended: bool,
    /// What was announced and has not come yet.
    left: Option<u64>,
    /// Bytes that were sent.
    pub(crate) payload: u64,
    /// It waits for the peer, and not for the body.
    pub(crate) is_stalled: bool,
}

/// Why a body cannot be sent whole.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The stream.
    Stream(h2::Error),
    /// The peer wants no more of it: a reset with NO_ERROR (RFC 9113 section 8.1).
    Unwanted,
    /// The body.
    Body(Error),
    /// The body has more or less than was announced.
    Length(BodyError),
}

impl Outgoing {
    /// Sends `body` behind a head; `stream` is `None` where that has ended the stream. `announced` is what its
    /// Content-Length says.
    pub(crate) fn new(
        stream: Option<SendStream<Bytes>>,
        body: Body,
        announced: Option<u64>,
    ) -> Self {
        Self {
            stream,
            ended: body.is_end_stream(),
            body,
            chunk: Bytes::new(),
            trailers: None,
            left: announced,
            payload: 0,
            is_stalled: false,
        }
    }

    /// Whether all was handed to the connection, or a reset.
    pub(crate) fn is_finished(&self) -> bool {
        self.stream.is_none()
    }

    /// Sends what there is; ready when all was handed to the connection.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        while let Some(stream) = &mut self.stream {
            self.is_stalled = !self.chunk.is_empty();
            if self.is_stalled {
                let room = ready!(poll_room(cx, stream, self.chunk.len()))?;
                self.send(room)?;
            } else if self.ended {
                self.send(0)?;
            } else {
                ready!(self.poll_chunk(cx))?;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes the next piece of the body. A peer that wants no more of it need not wait for that.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                match frame.into_data() {
                    Ok(data) => self.take(data).map_err(Broken::Length)?,
                    Err(frame) => self.trailers = frame.into_trailers().ok().map(allowed),
                }
                self.ended = self.trailers.is_some() || self.body.is_end_stream();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Err(Broken::Body(error))),
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(Ok(()))
            }
            Poll::Pending => match &mut self.stream {
                Some(stream) => poll_end(cx, stream).map(Err),
                None => Poll::Pending,
            },
        }
    }

    fn take(&mut self, data: Bytes) -> Result<(), BodyError> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(data.len() as u64).ok_or(BodyError::TooLong)?;
        }
        self.chunk = data;
        Ok(())
    }

    /// Sends so much of the chunk, and the end where nothing is left.
    fn send(&mut self, room: usize) -> Result<(), Broken> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let data = self.chunk.split_to(room.min(self.chunk.len()));
        let is_last = self.ended && self.chunk.is_empty();
        if is_last && self.left.is_some_and(|left| left > 0) {
            return Err(Broken::Length(BodyError::TooShort));
        }
        let says_end = is_last && self.trailers.is_none();
        self.payload += data.len() as u64;
        if says_end || !data.is_empty() {
            stream.send_data(data, says_end).map_err(broken_by)?;
        }
        if let Some(trailers) = self.trailers.take_if(|_| is_last) {
            stream.send_trailers(trailers).map_err(broken_by)?;
        }
        if is_last {
            self.stream = None;
        }
        Ok(())
    }

    /// Ends the stream, if it has not ended.
    pub(crate) fn reset(&mut self, reason: Reason) {
        if let Some(mut stream) = self.stream.take() {
            stream.send_reset(reason);
        }
    }
}

/// Room for at most so many bytes, as the windows allow.
fn poll_room(
    cx: &mut Context<'_>,
    stream: &mut SendStream<Bytes>,
    wanted: usize,
) -> Poll<Result<usize, Broken>> {
    stream.reserve_capacity(wanted.min(PIECE));
    while stream.capacity() == 0 {
        match ready!(stream.poll_capacity(cx)) {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Poll::Ready(Err(Broken::Stream(error))),
            None => return poll_end(cx, stream).map(Err),
        }
    }
    Poll::Ready(Ok(stream.capacity()))
}

/// Ready when the peer has reset the stream, or its connection has ended.
fn poll_end(cx: &mut Context<'_>, stream: &mut SendStream<Bytes>) -> Poll<Broken> {
    stream.poll_reset(cx).map(|reset| match reset {
        Ok(Reason::NO_ERROR) => Broken::Unwanted,
        Ok(reason) => Broken::Stream(reason.into()),
        Err(error) => Broken::Stream(error),
    })
}

/// Why the stream does not take any more.
fn broken_by(error: h2::Error) -> Broken {
    match error.reason() {
        Some(Reason::NO_ERROR) => Broken::Unwanted,
        _ => Broken::Stream(error),
    }
}

/// Without those that a trailer section must not hold: whoever merges them into the head would take them for what they
/// say.
fn allowed(trailers: HeaderMap) -> HeaderMap {
    let is_forbidden =
        |name: &HeaderName| is_forbidden_trailer(name.as_str().as_bytes()) || name.as_str() == "te";
    if !trailers.keys().any(is_forbidden) {
        return trailers;
    }
    let allowed = trailers.iter().filter(|(name, _)| !is_forbidden(name));
    allowed.map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.reset(Reason::CANCEL);
    }
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").field("payload", &self.payload).finish_non_exhaustive()
    }
}
