//! One request on its stream: runs the handler, and sends its response.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, EXPECT, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use rosn_h1::Framing;
use rosn_net::Stream;
use rosn_trace::{CancelHandle, RequestContext, RequestTraceExt as _};
use tokio::sync::oneshot;

use super::super::exchange::Taken;
use super::super::response::{Asked, framing};
use super::super::timer::{Timer, after};
use super::super::{Handler, Informational};
use super::body::RequestBody;
use super::driver::{Live, Shared};
use super::exchange::Exchange;
use crate::field_values::{content_length, has_member};
use crate::hijack::{ConnGuard, HijackError, Hijacked, Hijacker};
use crate::http2::{Broken, Outgoing, Tunnel, strip};
use crate::{Body, Protocol};

/// Answers a request.
pub(super) async fn run<H: Handler>(
    shared: Arc<Shared>,
    handler: Arc<H>,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) {
    let exchange = Arc::new(Exchange::new(respond));
    let method = request.method().clone();
    if request.headers().len() > shared.options().limits.fields {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        Answering { shared, exchange, method, cancel: None, tunnel: None }
            .respond(bare(status))
            .await;
        return;
    }
    let (context, cancel) = RequestContext::background().with_cancel();
    let (request, tunnel) = prepare(&shared, &exchange, request, context);
    let mut answering = Answering { shared, exchange, method, cancel: Some(cancel), tunnel };
    let response = answering.handle(handler, request).await;
    if let Some(response) = response {
        answering.respond(response).await;
    }
}

/// What the handler gets. The stream of CONNECT is no body.
fn prepare(
    shared: &Arc<Shared>,
    exchange: &Arc<Exchange>,
    request: Request<RecvStream>,
    context: RequestContext,
) -> (Request<Body>, Option<RecvStream>) {
    let (mut parts, stream) = request.into_parts();
    let protocol = parts.extensions.remove::<h2::ext::Protocol>().map(Protocol::from_h2);
    let is_connect = parts.method == Method::CONNECT;
    let (body, tunnel) = if is_connect {
        (Body::empty(), Some(stream))
    } else if stream.is_end_stream() {
        (Body::empty(), None)
    } else {
        let expects = parts.headers.get(EXPECT).map(HeaderValue::as_bytes);
        let waits = expects.is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"));
        let waits = waits.then(|| Arc::clone(exchange));
        let length = content_length(&parts.headers).ok().flatten();
        let limit = shared.options().stall_timeout;
        (Body::boxed(Box::pin(RequestBody::new(stream, length, waits, limit))), None)
    };
    let mut request = Request::from_parts(parts, body);
    request.set_context(context);
    let extensions = request.extensions_mut();
    extensions.insert(Hijacker::of_stream(Arc::clone(exchange)));
    extensions.insert(Informational::of_stream(Arc::clone(exchange)));
    extensions.insert(Arc::clone(&shared.info));
    if let Some(session) = &shared.session {
        extensions.insert(session.clone());
    }
    if let Some(protocol) = protocol {
        extensions.insert(protocol);
    }
    (request, tunnel)
}

/// A request that is being answered.
struct Answering {
    shared: Arc<Shared>,
    exchange: Arc<Exchange>,
    method: Method,
    /// Ends the request's context.
    cancel: Option<CancelHandle>,
    /// The receiving side of a CONNECT request.
    tunnel: Option<RecvStream>,
}

impl Answering {
    /// Runs the handler to its end; `None` where nobody is there any more to read what it made.
    async fn handle<H: Handler>(
        &mut self,
        handler: Arc<H>,
        request: Request<Body>,
    ) -> Option<Response<Body>> {
        let mut answer = pin!(async move { handler.handle(request).await });
        let mut is_gone = false;
        let response = poll_fn(|cx| {
            match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx))) {
                Ok(Poll::Ready(response)) => return Poll::Ready(response),
                Ok(Poll::Pending) => {}
                Err(_) => {
                    tracing::error!(peer = %self.shared.info.peer, "a handler panicked");
                    return Poll::Ready(bare(StatusCode::INTERNAL_SERVER_ERROR));
                }
            }
            if !is_gone && self.exchange.poll_reset(cx).is_ready() {
                is_gone = true;
                self.shared.came_to_nothing();
                if let Some(cancel) = &self.cancel {
                    cancel.cancel_cause("the client has given the request up");
                }
            }
            Poll::Pending
        })
        .await;
        (!is_gone).then_some(response)
    }

    /// Sends the response, or what there is to say instead of it.
    async fn respond(&mut self, response: Response<Body>) {
        if has_member(response.headers(), &CONNECTION, "close") {
            self.shared.leave();
        }
        let to = self.exchange.take_switch();
        let waits = to.as_ref().is_some_and(|to| !to.is_closed());
        let (head, body, ends) = match plan(response, &self.method, waits) {
            Ok(planned) => planned,
            Err(mistake) => {
                tracing::error!(peer = %self.shared.info.peer, "a handler {mistake}");
                let failure = bare(StatusCode::INTERNAL_SERVER_ERROR);
                plan(failure, &self.method, false).expect("an empty 500 can always be sent")
            }
        };
        let status = head.status();
        let switches = self.method == Method::CONNECT && status.is_success();
        let announced = content_length(head.headers()).ok().flatten();
        let Ok(send) = self.exchange.respond(head, ends && !switches, switches) else {
            self.shared.came_to_nothing();
            return; // it was reset meanwhile
        };
        if switches {
            self.switch(send, to);
            return;
        }
        if let Some(to) = to {
            let _ = to.send(Err(HijackError::Refused(status)));
        }
        let mut out = Outgoing::new((!ends).then_some(send), body, announced);
        self.send(&mut out).await;
    }

    /// Sends the body.
    async fn send(&self, out: &mut Outgoing) {
        let limit = self.shared.options().stall_timeout;
        let mut timer = Timer::new();
        let mut sent = 0;
        let broken = poll_fn(|cx| {
            let polled = catch_unwind(AssertUnwindSafe(|| out.poll(cx)));
            match polled {
                Ok(Poll::Ready(Ok(()))) => return Poll::Ready(None),
                Ok(Poll::Ready(Err(broken))) => return Poll::Ready(Some(Cut::Broken(broken))),
                Ok(Poll::Pending) if !out.is_stalled => timer.set(None),
                Ok(Poll::Pending) => {
                    if out.payload > sent || !timer.is_set() {
                        sent = out.payload;
                        timer.set(Some(after(limit)));
                    }
                }
                Err(_) => return Poll::Ready(Some(Cut::Panicked)),
            }
            timer.poll(cx).map(|()| Some(Cut::Stalled))
        })
        .await;
        let peer = &self.shared.info.peer;
        match broken {
            None => self.shared.answered(),
            Some(Cut::Broken(Broken::Stream(_) | Broken::Unwanted)) => {
                self.shared.came_to_nothing()
            }
            Some(Cut::Broken(Broken::Body(error))) => {
                tracing::debug!(%peer, "a response was cut: {error}");
                out.reset(Reason::INTERNAL_ERROR);
            }
            Some(Cut::Broken(Broken::Length(error))) => {
                tracing::debug!(%peer, "a response was cut: {error}");
                out.reset(Reason::INTERNAL_ERROR);
            }
            Some(Cut::Panicked) => {
                tracing::error!(%peer, "a handler panicked while its response was sent");
                out.reset(Reason::INTERNAL_ERROR);
            }
            Some(Cut::Stalled) => {
                self.shared.came_to_nothing();
                out.reset(Reason::CANCEL);
            }
        }
    }

    /// Gives the stream to who waits for it.
    fn switch(&mut self, send: SendStream<Bytes>, to: Option<oneshot::Sender<Taken>>) {
        let (Some(receive), Some(to)) = (self.tunnel.take(), to) else { return };
        let ends = self.shared.ends.clone();
        let io = Stream::boxed(Tunnel::new(send, receive, ends, Live::new(&self.shared)));
        let mut hijacked = Hijacked::new(io, Bytes::new());
        hijacked.shutdown = self.shared.registry.hijacked.signal();
        hijacked.guard = ConnGuard::none();
        // Where nobody is there to take it, it is closed.
        let _ = to.send(Ok(hijacked));
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(to) = self.exchange.take_switch() {
            let error = std::io::ErrorKind::ConnectionAborted.into();
            let _ = to.send(Err(HijackError::Closed(error)));
        }
        if let Some(cancel) = &self.cancel {
            cancel.cancel();
        }
    }
}

/// Why a response was not sent to its end.
enum Cut {
    Broken(Broken),
    Stalled,
    Panicked,
}

/// The head as it is sent, and whether it is all.
///
/// # Errors
/// The handler's mistake.
fn plan(
    response: Response<Body>,
    method: &Method,
    may_switch: bool,
) -> Result<(Response<()>, Body, bool), &'static str> {
    let status = response.status();
    if status.is_informational() {
        return Err("made a response of an interim status");
    }
    let switches = *method == Method::CONNECT && status.is_success();
    if switches && !may_switch {
        return Err("made a tunnel, but nobody waits for it (`on_switch`)");
    }
    let asked = Asked::of_stream(method);
    let (framing, length) = match switches {
        true => (Framing::None, None),
        false => framing(&response, &asked)?,
    };
    let (mut parts, body) = response.into_parts();
    strip(&mut parts.headers);
    parts.headers.remove(CONTENT_LENGTH);
    if let Some(length) = length {
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if !parts.headers.contains_key(DATE) {
        let date = httpdate::fmt_http_date(SystemTime::now());
        let date = HeaderValue::try_from(date).expect("a date is visible ASCII");
        parts.headers.insert(DATE, date);
    }
    let mut head = Response::new(());
    *head.status_mut() = status;
    *head.headers_mut() = parts.headers;
    let ends = matches!(framing, Framing::None | Framing::Length(0));
    Ok((head, body, ends))
}

/// A response of the server's own.
fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
