//! One request, one response.

use std::sync::Arc;

use http::{Request, Response};
pub use rosn_net::BoxFuture;

use crate::{Body, Error};

/// Sends one request and gets its response: what a [`Transport`](crate::Transport) does, and what wraps one.
///
/// As in Go's `http.RoundTripper`, a response of any status is `Ok`: an error means that there is none. A
/// `RoundTrip` neither follows redirects nor keeps cookies; `Client` does.
///
/// What is particular to a request travels in its extensions: the
/// [`TraceHandle`](rosn_trace::TraceHandle) that sees its events, and its context (deadline, cancellation, values).
pub trait RoundTrip: Send + Sync {
    /// Sends the request, and is ready with the head of its response; the body is read as it comes.
    ///
    /// The URI is absolute: scheme and authority say where to. Only CONNECT's is an authority alone.
    ///
    /// Cancel safety: dropping the future gives the request up, and closes the connection it was on.
    ///
    /// # Errors
    /// There is no response; [`Error::phase`] says how far it came.
    fn round_trip(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>>;
}

impl<T: RoundTrip + ?Sized> RoundTrip for Arc<T> {
    fn round_trip(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        T::round_trip(self, request)
    }
}

impl<T: RoundTrip + ?Sized> RoundTrip for Box<T> {
    fn round_trip(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        T::round_trip(self, request)
    }
}

impl<T: RoundTrip + ?Sized> RoundTrip for &T {
    fn round_trip(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        T::round_trip(self, request)
    }
}
