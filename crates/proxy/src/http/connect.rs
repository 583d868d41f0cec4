//! CONNECT that rosn answers itself: it connects to where the request wants to go and says so.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rosn_base::Addr;
use rosn_cluster::Endpoint;
use rosn_config::checked::Discovery;
use rosn_net::{DialContext, DialError, Dialer};

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
    let target = target(exchange.slot.head.authority(exchange.request_bytes()));
    let target = target.ok_or(ConnectFailure::NoEndpoint(Lack::Destination))?;
    if matches!(&target, Addr::Name(host, _) if is_number(host)) {
        let what = "it is neither a name nor an IP address in its usual form";
        return Err(DialError::NoAddress { target, what }.into());
    }
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
    if matches!(target, Addr::Name(..)) {
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

/// Where an authority-form target wants to go. [`Addr`]'s own parser knows paths of sockets too, which are none here.
fn target(authority: &[u8]) -> Option<Addr> {
    let text = std::str::from_utf8(authority).ok()?;
    if let Ok(addr) = text.parse() {
        return Some(Addr::Ip(addr));
    }
    let (host, port) = text.rsplit_once(':')?;
    Some(Addr::Name(host.into(), port.parse().ok()?))
}

/// Whether resolvers may read a name as an IPv4 address, such as `127.1` or `0x7f000001`: filters by name do not know
/// these forms (WHATWG URL, "ends in a number").
fn is_number(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.bytes().all(|byte| byte.is_ascii_digit())
        || hex.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
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
    let written = exchange.connection.write_message(&out, true, REPLY_TIMEOUT).await;
    exchange.slot.down.0 = out;
    worker.clock.refresh();
    written.map_err(|_| Failure::ClientGone)?;
    Ok(Done { next: Next::End(End::Close), upstream_clean: false, switched: Some(Vec::new()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_ip_addresses_or_names() {
        let shown = |text: &str| target(text.as_bytes()).map(|target| target.to_string());
        assert_eq!(shown("127.0.0.1:0443").as_deref(), Some("127.0.0.1:443"));
        assert_eq!(shown("[::1]:443").as_deref(), Some("[::1]:443"));
        assert!(matches!(target(b"unix:443"), Some(Addr::Name(host, 443)) if &*host == "unix"));
        assert_eq!((shown("a"), shown("a:"), shown("a:65536")), (None, None, None));
    }

    #[test]
    fn numbers_are_no_names() {
        for number in
            ["127.1", "0", "2130706433", "0x7f.1", "0x7f000001", "a.0X1F.", "", "1.2.3.4."]
        {
            assert!(is_number(number), "{number}");
        }
        for name in ["localhost", "a.example.", "1.example", "0x.example", "0xg", "x1"] {
            assert!(!is_number(name), "{name}");
        }
    }
}
