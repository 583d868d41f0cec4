//! The body of a response.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use rosn_trace::{Cancelled, ErrorRef, Event, Interest, TraceHandle};

use super::super::patience::Patience;
use super::connection::Place;
use super::upload::{Rest, Upload};
use crate::field_values::content_length;
use crate::http2::Incoming;
use crate::{Body, Error, Phase};

/// What of a response's body was not read. It has the place on the connection, and gives it back at its end.
#[derive(Debug)]
pub(super) struct ResponseBody {
    incoming: Incoming,
    length: Option<u64>,
    /// `None` when it has ended.
    open: Option<Open>,
    patience: Patience,
    trace: TraceHandle,
}

#[derive(Debug)]
struct Open {
    place: Arc<Place>,
    request: Request,
}

/// What becomes of the request.
enum Request {
    Sent,
    /// Its body is not sent, which the server is told at the end of its response.
    Withheld(#[expect(dead_code, reason = "only its drop matters")] Box<Upload>),
    Rest(Rest),
}

impl ResponseBody {
    /// `upload` is what was not sent of the request; a task goes on with that.
    pub(super) fn new(
        stream: RecvStream,
        headers: &HeaderMap,
        place: Place,
        upload: Upload,
        patience: Patience,
    ) -> Self {
        let trace = place.trace.clone();
        let place = Arc::new(place);
        let request = if upload.is_held() {
            Request::Withheld(Box::new(upload))
        } else if upload.is_over() {
            Request::Sent
        } else {
            Request::Rest(Rest::start(upload, Arc::clone(&place)))
        };
        let incoming = Incoming::new(stream);
        let length = content_length(headers).ok().flatten().filter(|_| !incoming.is_ended());
        let mut body =
            Self { incoming, length, open: Some(Open { place, request }), patience, trace };
        if body.incoming.is_ended() {
            body.end();
        }
        body
    }

    pub(super) fn into_body(self) -> Body {
        match self.open {
            Some(_) => Body::boxed(Box::pin(self)),
            None => Body::empty(),
        }
    }

    /// It has ended well.
    fn end(&mut self) {
        let Some(Open { place, request }) = self.open.take() else { return };
        self.report(Ok(()));
        if let Request::Rest(rest) = request {
            rest.finish();
        }
        drop(place);
    }

    /// It has failed, or nobody wants it any more.
    fn stop(&mut self, why: ErrorRef<'_>) {
        let Some(Open { place, request }) = self.open.take() else { return };
        self.report(Err(why));
        if let Request::Rest(rest) = request {
            rest.abort();
        }
        drop(place);
    }

    fn fail(&mut self, error: Error) -> Error {
        let Some(open) = &self.open else { return error };
        let connection = &open.place.connection;
        let error =
            error.at(Arc::clone(&connection.target.authority)).peer(connection.peer.as_ref());
        self.stop(&error);
        error
    }

    fn failed(&mut self, error: h2::Error) -> Error {
        let Some(open) = &self.open else { return crate::http2::failed(Phase::Body, error) };
        let own = match &open.request {
            Request::Rest(rest) => rest.failure(),
            _ => None,
        };
        let error = own.unwrap_or_else(|| open.place.connection.error(Phase::Body, error));
        self.fail(error)
    }

    fn report(&self, result: Result<(), ErrorRef<'_>>) {
        let bytes = self.incoming.received;
        self.trace.emit(Interest::READ, || Event::ResponseBodyDone { bytes, result });
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if this.open.is_none() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(error) = this.patience.poll(cx, Phase::Body) {
            return Poll::Ready(Some(Err(this.fail(error))));
        }
        let frame = match ready!(this.incoming.poll_frame(cx)) {
            Some(Err(error)) => return Poll::Ready(Some(Err(this.failed(error)))),
            Some(Ok(frame)) => Some(Ok(frame)),
            None => None,
        };
        if this.incoming.is_ended() {
            // Before the last piece is handed out, so that the next request finds the connection.
            this.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.open.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.length.map(|length| length.saturating_sub(self.incoming.received));
        left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.stop(&Cancelled);
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sent => "Sent",
            Self::Withheld(_) => "Withheld",
            Self::Rest(_) => "Rest",
        })
    }
}
