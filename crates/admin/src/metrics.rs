//! The server of a prometheus sink: one path that answers scrapes.

use std::sync::Arc;

use hyper::{Method, Request, StatusCode};

use crate::listener::AdminListener;
use crate::request::{Reply, reply, text};
use crate::server::accept_all;

/// The prometheus text format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers `GET endpoint` with what `source` writes, until it is dropped.
///
/// The limits of [`serve`](crate::serve) hold. `source` is called for each scrape, on the thread
/// that runs this.
pub async fn serve_metrics(
    listener: impl Into<AdminListener>,
    endpoint: String,
    source: Arc<dyn Fn() -> String + Send + Sync>,
) {
    let endpoint: Arc<str> = endpoint.into();
    accept_all(listener.into(), move |request| {
        let reply = answer(&request, &endpoint, &*source);
        async move { reply }
    })
    .await;
}

/// A scrape's reply.
pub(crate) fn exposition(metrics: String) -> Reply {
    reply(StatusCode::OK, EXPOSITION, metrics.into())
}

fn answer<B>(request: &Request<B>, endpoint: &str, source: &dyn Fn() -> String) -> Reply {
    if request.uri().path() != endpoint {
        return text(StatusCode::NOT_FOUND, format!("metrics are at {endpoint}\n"));
    }
    match *request.method() {
        Method::GET | Method::HEAD => exposition(source()),
        _ => text(StatusCode::METHOD_NOT_ALLOWED, ""),
    }
}
