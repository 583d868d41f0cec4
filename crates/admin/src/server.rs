//! Accepts connections and keeps them within limits.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use rosn_config::checked::Secret;
use tokio::task::JoinSet;
use tracing::warn;

use crate::api;
use crate::auth::Guard;
use crate::control::Control;
use crate::listener::{AdminListener, Stream};
use crate::request::Reply;

/// Open connections of one server; the next ones wait in the backlog.
const MAX_CONNECTIONS: usize = 256;
/// Time for a whole request head to arrive, which is also how long an idle connection is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// After this a connection is closed when its request is done...
const MAX_AGE: Duration = Duration::from_secs(600);
/// ... and after this it is cut off, for a client that does not read its reply.
const LAST_REPLY: Duration = Duration::from_secs(60);
/// How long to wait after a failed accept: mostly there is no free descriptor.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// How the admin API is guarded.
#[derive(Debug, Clone, Default)]
pub struct AdminOptions {
    /// What a request must carry as `Authorization: Bearer`; `/healthz` and `/ready` are free.
    pub token: Option<Secret>,
}

/// Answers requests until it is dropped, which closes its connections too.
///
/// Needs a tokio runtime with I/O and time. One server keeps at most 256 connections, gives a
/// request head 10 s to arrive and takes bodies of up to 1 MiB.
pub async fn serve(
    listener: impl Into<AdminListener>,
    control: Arc<dyn Control>,
    options: AdminOptions,
) {
    let guard = Arc::new(Guard::new(options.token));
    accept_all(listener.into(), move |request| {
        api::answer(control.clone(), guard.clone(), request)
    })
    .await;
}

/// Serves every connection with `handler`, until dropped.
pub(crate) async fn accept_all<H, F>(listener: AdminListener, handler: H)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok(stream) => {
                    connections.spawn(serve_connection(stream, handler.clone()));
                }
                Err(error) => {
                    warn!(%error, "the admin server could not accept a connection");
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            },
        }
    }
}

async fn serve_connection<H, F>(stream: Stream, handler: H)
where
    H: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let service = service_fn(move |request| {
        let reply = handler(request);
        async move { Ok::<_, Infallible>(reply.await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service)
    );
    // Errors are the client's doing (a reset, a malformed request) and already answered.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = tokio::time::sleep(MAX_AGE) => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(LAST_REPLY, connection).await;
        }
    }
}
