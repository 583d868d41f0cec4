//! What answers requests.

use std::future::Future;
use std::sync::Arc;

use http::{Request, Response};

use crate::Body;

/// Makes a response of a request.
///
/// It runs in the task of the connection, with HTTP/2 in one of the request, and may read the request's body while the response's body is being sent. It
/// is not ended when the client goes: its context tells it. It is dropped only when a shutdown's time is up.
pub trait Handler: Send + Sync + 'static {
    /// Answers a request. A panic becomes a 500.
    fn handle(&self, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send;
}

impl<H: Handler> Handler for Arc<H> {
    fn handle(&self, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send {
        H::handle(self, request)
    }
}

/// A [`Handler`] that is a function.
#[derive(Debug, Clone, Copy)]
pub struct HandlerFn<F>(F);

/// Makes a [`Handler`] of an async function or closure.
pub fn handler_fn<F, R>(function: F) -> HandlerFn<F>
where
    F: Fn(Request<Body>) -> R + Send + Sync + 'static,
    R: Future<Output = Response<Body>> + Send,
{
    HandlerFn(function)
}

impl<F, R> Handler for HandlerFn<F>
where
    F: Fn(Request<Body>) -> R + Send + Sync + 'static,
    R: Future<Output = Response<Body>> + Send,
{
    fn handle(&self, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send {
        (self.0)(request)
    }
}
