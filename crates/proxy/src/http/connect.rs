//! CONNECT that rosn answers itself: it connects to where the request wants to go and says so.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rosn_base::Addr;
use rosn_cluster::Endpoint;
use rosn_config::checked::Discovery;
use rosn_net::{DialContext, Dialer};

use super::converse::Done;
use super::exchange::{Exchange, REPLY_TIMEOUT};
use super::failure::Failure;
use super::forward::Sending;
use super::retry::Tried;
use super::{End, Next};
use crate::details;
use crate::upstream::{ConnectFailure, DNS, Lack, Took, nanos};

/// Addresses of a name that are tried at most.
const MAX_ADDRESSES: usize = 16;

/// The endpoint of the next try, where the cluster goes wherever the client wants to; `None` for other clusters.
///
/// # Errors
/// The name that the request wants to reach cannot be resolved, or not in time.
pub(super) async fn destination(
    exchange: &mut Exchange<'_>,
    sending: &Sending<'_>,
    tried: &mut Tried,
    deadline: u64,
) -> Result<Option<Arc<Endpoint>>, Failure> {
    let cluster = &sending.upstream.cluster;
    if !matches!(cluster.config().discovery, Discovery::OriginalDst { .. }) {
        return Ok(None);
    }
    if tried.destinations.is_empty() {
        tried.destinations =
            resolve(exchange, sending, deadline).await.map_err(Failure::Connect)?;
    }
    let turn = exchange.record.tries as usize % tried.destinations.len().max(1);
    Ok(tried.destinations.get(turn).map(|addr| cluster.original_dst(*addr)))
}

/// The addresses of the request's target; at least one.
async fn resolve(
    exchange: &mut Exchange<'_>,
    sending: &Sending<'_>,
    deadline: u64,
) -> Result<Vec<SocketAddr>, ConnectFailure> {
    let authority = exchange.slot.head.authority(exchange.request_bytes());
    let target = std::str::from_utf8(authority).ok().and_then(|text| text.parse::<Addr>().ok());
    let target = target.ok_or(ConnectFailure::NoEndpoint(Lack::Destination))?;
    let worker = &exchange.connection.worker;
    let environment = &worker.shared.environment;
    let dialer = Dialer::new(Arc::clone(&environment.net), Arc::clone(&environment.resolver));
    let context = DialContext::default();
    let timeout = nanos(sending.upstream.cluster.config().connect_timeout);
    let (timer, begin) = (&exchange.connection.timer, worker.clock.now());
    let due = begin.saturating_add(timeout).min(deadline);
    timer.set(due);
    let mut asked = pin!(dialer.addrs(&target, &context));
    let found = poll_fn(|cx| match asked.as_mut().poll(cx) {
        Poll::Pending if timer.poll_expired(cx.waker()) => Poll::Ready(None),
        found => found.map(Some),
    });
    let found = found.await;
    let took = worker.clock.refresh().saturating_sub(begin);
    if matches!(&target, Addr::Name(host, _) if host.parse::<IpAddr>().is_err()) {
        exchange.record.phases.dns = Took::nanos(took);
    }
    let late = || ConnectFailure::Timeout {
        transport: "tcp".into(),
        doing: DNS,
        addr: target.clone(),
        limit: if due < deadline { "`connect_timeout`" } else { "the request's timeout" },
        after: Duration::from_nanos(due.saturating_sub(begin)),
    };
    let mut found = found.ok_or_else(late)??;
    found.truncate(MAX_ADDRESSES);
    Ok(found)
}

/// Tells the client that it is connected. No field about a body: RFC 9110 section 9.3.6.
pub(super) async fn answer(
    exchange: &mut Exchange<'_>,
    sending: &Sending<'_>,
    tried: &mut Tried,
) -> Result<Done, Failure> {
    tried.begun = true;
    let worker = Rc::clone(&exchange.connection.worker);
    let mut out = std::mem::take(&mut exchange.slot.down.0);
    out.clear();
    out.extend_from_slice(b"HTTP/1.1 200 Connection established\r\n");
    exchange.encode_edits(sending.route, sending.listener, &mut out);
    out.extend_from_slice(b"\r\n");
    (exchange.record.status, exchange.record.details) = (200, details::CONNECTED);
    let written = exchange.connection.write_all(&out, REPLY_TIMEOUT).await;
    exchange.slot.down.0 = out;
    worker.clock.refresh();
    written.map_err(|_| Failure::ClientGone)?;
    Ok(Done { next: Next::End(End::Close), upstream_clean: false, switched: Some(Vec::new()) })
}
