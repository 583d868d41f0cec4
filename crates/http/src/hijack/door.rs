//! The two ways to take a connection over from the server.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Request;
use tokio::sync::oneshot;

use super::{HijackError, Hijacked};
use crate::server::{Exchange, StreamExchange, Taken};

/// Takes a connection away from HTTP. It is in the extensions of each request to a [`Server`](crate::server::Server).
///
/// ```
/// use http::{Request, Response};
/// use rosn_http::Body;
/// use rosn_http::hijack::Hijacker;
/// use tokio::io::AsyncWriteExt as _;
///
/// async fn handle(request: Request<Body>) -> Response<Body> {
///     if let Some(hijacker) = request.extensions().get::<Hijacker>() {
///         let mut hijacked = hijacker.hijack().await.expect("nobody else has it");
///         // From here on the bytes are ours, the status line too.
///         let _ = hijacked.write_all(b"whatever").await;
///     }
///     Response::default() // is not sent any more
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Hijacker(Way);

#[derive(Debug, Clone)]
enum Way {
    Http1(Arc<Exchange>),
    Http2(Arc<StreamExchange>),
}

impl Hijacker {
    pub(crate) fn new(exchange: Arc<Exchange>) -> Self {
        Self(Way::Http1(exchange))
    }

    pub(crate) fn of_stream(exchange: Arc<StreamExchange>) -> Self {
        Self(Way::Http2(exchange))
    }

    /// Takes the connection. Nothing is written: who takes it answers the request, or does not.
    ///
    /// * Interim responses that were sent before go out first. No 100 (Continue) is sent any more.
    /// * Where the response's body is being sent, what of it is there already goes out first, with the head;
    ///   [`Hijacked::response`] says in which framing to go on. The rest of the body is dropped.
    /// * What the handler returns afterwards is not sent.
    ///
    /// The exchange ends with the handler, as ever: its context is then cancelled, while the connection stays open for
    /// as long as the [`Hijacked`] is held.
    ///
    /// Cancel safety: where the future is dropped before it is ready, the connection may go on with HTTP, or be closed
    /// if it was about to be handed over.
    ///
    /// # Errors
    /// Somebody has it already, it is too late, or the connection ended; or the request is one of HTTP/2, whose
    /// connection belongs to others as well ([`HijackError::NotSupported`]).
    pub async fn hijack(&self) -> Result<Hijacked, HijackError> {
        let taken = match &self.0 {
            Way::Http1(exchange) => exchange.hijack()?,
            Way::Http2(exchange) => return Err(exchange.hijack()),
        };
        taken.await.unwrap_or(Err(HijackError::Finished))
    }

    /// Whether somebody has taken the connection.
    pub fn is_hijacked(&self) -> bool {
        match &self.0 {
            Way::Http1(exchange) => exchange.is_hijacked(),
            Way::Http2(exchange) => exchange.is_switched(),
        }
    }

    fn on_switch(&self) -> Result<oneshot::Receiver<Taken>, HijackError> {
        match &self.0 {
            Way::Http1(exchange) => exchange.on_switch(),
            Way::Http2(exchange) => exchange.on_switch(),
        }
    }
}

/// Takes the connection over when the response switches the protocol: 101 to a request with Upgrade, any 2xx to CONNECT.
/// With HTTP/2, which has no 101, it is the stream of the request: there, a WebSocket is asked for by extended CONNECT (see
/// [`Protocol`](crate::Protocol)).
///
/// Call it before responding, and wait for it in a task of its own: it is ready when the response's head was written.
/// Without it such a response is a mistake of the handler, which the client gets a 500 for.
///
/// The body of a request with Upgrade is read to its end and dropped before the switch where the handler has not read
/// it: the new protocol begins after it (RFC 9110 section 7.8).
///
/// ```
/// use http::{Request, Response, StatusCode, header};
/// use rosn_http::{Body, hijack};
///
/// async fn handle(mut request: Request<Body>) -> Response<Body> {
///     let upgrade = hijack::on_switch(&mut request);
///     tokio::spawn(async move {
///         let Ok(hijacked) = upgrade.await else { return };
///         let (mut read, mut write) = tokio::io::split(hijacked);
///         let _ = tokio::io::copy(&mut read, &mut write).await;
///     });
///     Response::builder()
///         .status(StatusCode::SWITCHING_PROTOCOLS)
///         .header(header::UPGRADE, "echo")
///         .body(Body::empty())
///         .expect("the field is valid")
/// }
/// ```
pub fn on_switch<B>(request: &mut Request<B>) -> OnSwitch {
    let state = match request.extensions_mut().get::<Hijacker>() {
        Some(hijacker) => match hijacker.on_switch() {
            Ok(taken) => State::Waits(taken),
            Err(error) => State::Failed(Some(error)),
        },
        None => State::Failed(Some(HijackError::NotSupported(request.version()))),
    };
    OnSwitch(state)
}

/// Becomes the connection when its protocol was switched: see [`on_switch`].
///
/// It is an error at once where the switch is refused ([`HijackError::Refused`]) or the connection ends.
#[derive(Debug)]
pub struct OnSwitch(State);

#[derive(Debug)]
enum State {
    Waits(oneshot::Receiver<Taken>),
    Failed(Option<HijackError>),
}

impl Future for OnSwitch {
    type Output = Result<Hijacked, HijackError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Waits(taken) => {
                Pin::new(taken).poll(cx).map(|taken| taken.unwrap_or(Err(HijackError::Finished)))
            }
            State::Failed(error) => Poll::Ready(Err(error.take().unwrap_or(HijackError::Finished))),
        }
    }
}
