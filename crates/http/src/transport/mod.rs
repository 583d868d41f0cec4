//! Sends requests over HTTP/1.1, each on a connection of its pool.
//!
//! A [`Transport`] does what Go's `http.Transport` does, with its defaults; what is different on purpose:
//!
//! * Every connection that a request no longer needs is reported by `PutIdle`, with the reason where it is not kept.
//!   `WroteRequest` comes after the flush. A connection that lost a race is neither `reused` nor counted as used.
//! * The connection of a request whose body was not sent, as the server answered instead of asking for it
//!   (`Expect: 100-continue`), is not used again: the server may still wait for the body.
//! * A dial for a request that was given up is given up, too. One that is not needed, as another connection became
//!   free, goes on, and its connection lies idle.
//! * Neither User-Agent nor Accept-Encoding is added, and no body is decompressed.
//! * The body of a response that came together with its head is handed out whole, and its connection is free before
//!   [`RoundTrip::round_trip`] returns.
//!
//! A request's head and body are written, and its response is read, by the future of the request and by the response's
//! body: there is no task for a connection. Only a body that is still being sent when its response comes is sent on by
//! a task.

mod builder;
mod connection;
mod duplex;
mod exchange;
mod fields;
mod head;
mod http2;
mod incoming;
mod patience;
mod pool;
mod retry;
mod sending;
mod upgrade;
mod upload;

use std::sync::Arc;

use http::{Method, Request, Response, Uri, request};
use rosn_trace::{Event, Interest, RequestContext, RequestTraceExt as _};

use crate::connect::{Connector, Scheme, Target, Versions};
use crate::error::Kind;
use crate::{Body, BoxFuture, Error, Phase, RoundTrip};
use builder::Settings;
pub use builder::TransportBuilder;
pub(crate) use connection::Switched;
use exchange::Failure;
use head::Head;
pub(crate) use incoming::Incoming;
use patience::Patience;
use pool::{Carrier, Pool};
use retry::{Lost, REFUSALS, Replay, is_idempotent, may_retry, pause};
use sending::Sending;
pub use upgrade::{take_over, upgrade};

/// Sends requests over HTTP/1.1, and keeps connections for the next ones. Cloning it is cheap, and clones share the
/// connections; make one, and use it everywhere.
///
/// It works in any tokio runtime with I/O and time enabled. See the [module](self) for how it differs from Go's.
///
/// ```no_run
/// use http::Request;
/// use rosn_http::{Body, RoundTrip, Transport};
///
/// # async fn get() -> Result<(), Box<dyn std::error::Error>> {
/// let transport = Transport::builder().max_idle_per_host(16).build()?;
/// let request = Request::get("http://example.com/").body(Body::empty())?;
/// let response = transport.round_trip(request).await?;
/// println!("{}", response.status());
/// let page = response.into_body().bytes(1 << 20).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Transport(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    connector: Connector,
    pool: Arc<Pool>,
}

impl RoundTrip for Transport {
    fn round_trip(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        Box::pin(self.send(request))
    }
}

impl Transport {
    /// A transport that is to be set up.
    pub fn builder() -> TransportBuilder {
        TransportBuilder::default()
    }

    /// [`RoundTrip::round_trip`] without the box around its future.
    ///
    /// # Errors
    /// There is no response.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        let (parts, mut body) = request.into_parts();
        let trace = parts.extensions.trace();
        let mut patience = Patience::new(parts.extensions.get::<RequestContext>());
        patience.check(Phase::Request)?;
        let target = self.target(&parts)?;
        let head = Head::new(parts, &body, self.0.settings.keep_alives)
            .map_err(|error| error.at(Arc::clone(&target.authority)))?;
        let idempotent = is_idempotent(&head.parts.method, &head.parts.headers);
        let sending = Sending { inner: &self.0, target: &target, head: &head, trace: &trace };
        let (mut attempt, mut refusals) = (1, 0);
        loop {
            let probe = !idempotent || !body.can_clone();
            let got = sending.connection(attempt, probe, &mut patience).await?;
            let was_there_before = got.was_there_before();
            let is_shared = matches!(got.carrier, Carrier::Http2(_));
            let spare = if was_there_before || is_shared { body.try_clone() } else { None };
            let failure = match sending.attempt(got, body, &mut patience).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            let Failure { error, lost, body: untouched } = failure;
            let spare = untouched.or(spare);
            let replay = Replay { idempotent, body: spare.is_some() };
            refusals += u32::from(lost == Lost::Refused);
            let again = may_retry(lost, was_there_before, replay) && refusals <= REFUSALS;
            match spare.filter(|_| again) {
                Some(again) => body = again,
                None => {
                    trace.emit(Interest::RETRY, || Event::Failed { error: &error });
                    return Err(error);
                }
            }
            trace.emit(Interest::RETRY, || Event::Retry { attempt, cause: &error });
            if lost == Lost::Refused {
                let rested = patience.rest(pause(refusals)).await;
                rested.map_err(|error| error.at(Arc::clone(&target.authority)))?;
            }
            attempt += 1;
        }
    }

    /// Closes the connections that lie idle, and those that become idle until the next request is sent.
    pub fn close_idle(&self) {
        self.0.pool.close_idle();
    }

    /// How many connections lie idle.
    pub fn idle(&self) -> usize {
        self.0.pool.idle()
    }

    /// Where a request goes. The URI of CONNECT may be an authority alone, which is then the server that is asked.
    fn target(&self, parts: &request::Parts) -> Result<Target, Error> {
        let connector = &self.0.connector;
        let mut target = if parts.uri.scheme().is_none() && parts.method == Method::CONNECT {
            let uri = Uri::builder().scheme("http").authority(head::authority(&parts.uri));
            let uri = uri
                .path_and_query("/")
                .build()
                .map_err(|error| Error::of(Phase::Request, Kind::Failed).because(error))?;
            connector.target(&uri)?
        } else {
            connector.target(&parts.uri)?
        };
        target.versions = match self.0.settings.versions {
            // There is no upgrade in HTTP/2, and no negotiation without TLS.
            Versions::Negotiated if target.scheme == Scheme::Http => Versions::Http1,
            Versions::Negotiated if head::wants_upgrade(&parts.headers) => Versions::Http1,
            versions => versions,
        };
        Ok(target)
    }
}
