//! Sends a request to a cluster: chooses an endpoint, gets a connection, tries, and tries again where
//! that is safe.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rosn_cluster::{Endpoint, Outcome, Pick};
use rosn_config::checked::{HttpProxy, Protocol, TunnelRules};
use rosn_h1::{Framing, Method, Version};
use rosn_http::wire::BodyBuffer;
use rosn_route::{Forward, HashPolicy, Route, Table};
use tracing::{debug, warn};

use super::attempt::RequestBody;
use super::converse::{Done, converse};
use super::exchange::{Exchange, RequestFields};
use super::failure::{Failure, Flags};
use super::retry::{Decision, Tried, may_retry};
use super::tunnel::{Switch, Switched};
use super::{End, Next, connect};
use crate::context::Serving;
use crate::details;
use crate::snapshot::Listener;
use crate::upstream::{
    self, ConnectFailure, NEVER, Place, Reuse, Speaks, Upstream, Wanted, count, nanos,
};

/// What stays the same over all tries of a request.
pub(super) struct Sending<'a> {
    pub(super) route: &'a Route<usize>,
    pub(super) forward: &'a Forward<usize>,
    pub(super) listener: &'a Listener,
    pub(super) upstream: Rc<Upstream>,
    pub(super) hash: Option<u64>,
    /// `Set-Cookie` of a hash cookie that the request did not have.
    pub(super) set_cookie: Option<String>,
    pub(super) timeout: u64,
    pub(super) try_timeout: Option<u64>,
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) idempotent: bool,
    /// What the listener says about tunnels.
    pub(super) tunnel: &'a TunnelRules,
    pub(super) switch: Switch,
    /// What the upstream is spoken to in: `Http1` or `Http2`.
    pub(super) protocol: Protocol,
}

impl Sending<'_> {
    /// Whether a log or a header may show what costs a system call to find out.
    pub(super) fn shows_more(&self) -> bool {
        !self.listener.access_logs.is_empty() || !self.route.response_edits().is_empty()
    }
}

/// Handles a request whose route forwards it.
pub(crate) async fn run(
    exchange: &mut Exchange<'_>,
    serving: &Serving,
    proxy: &HttpProxy,
    table: &Table<usize>,
    route: &Route<usize>,
    forward: &Forward<usize>,
) -> Next {
    let listener = &**serving.listener();
    let random = exchange.connection.worker.rng.borrow_mut().u64(..);
    let chosen = exchange.with_input(listener, |input| table.choose(forward, input, random));
    let Some(&index) = chosen.map(|choice| choice.cluster) else {
        exchange.record.flags.insert(Flags::NO_CLUSTER);
        exchange.record.details = details::CLUSTER_NOT_FOUND;
        warn!(
            route = exchange.record.route.as_deref(),
            "the route names a cluster that does not exist"
        );
        return exchange.reply(503, b"the route names a cluster that does not exist\n").await;
    };
    let upstream = Rc::clone(serving.upstream(index));
    let cluster = Arc::clone(&upstream.cluster);
    exchange.record.upstream = Some(Rc::clone(&upstream));
    let own = if exchange.connection.client.is_http2() { Protocol::Http2 } else { Protocol::Http1 };
    let protocol = forward.upstream_protocol.or(proxy.upstream_protocol).unwrap_or(own);
    if !matches!(protocol, Protocol::Http1 | Protocol::Http2) {
        let why = format!("not yet active: upstream protocol {protocol:?}");
        return fail(exchange, Failure::Connect(ConnectFailure::Inactive(why))).await;
    }
    exchange.record.upstream_protocol = Some(protocol);
    let switch = {
        let (head, bytes) = (&exchange.slot.head, exchange.request_bytes());
        Switch::of(head, bytes, &forward.tunnel, &proxy.tunnel)
    };
    let switch = match switch {
        Ok(switch) => switch,
        Err(refusal) => {
            exchange.record.details = refusal.details();
            return exchange.reply(403, refusal.public()).await;
        }
    };
    let Some(permit) = cluster.breakers().try_request() else {
        upstream.stats().request_pending_overflow.add(1);
        return fail(exchange, Failure::Overflow).await;
    };
    let timeout = exchange.header_millis("x-mosn-global-timeout").or(forward.timeout);
    let own_try = forward.retry.as_ref().and_then(|retry| retry.try_timeout);
    let try_timeout = exchange.header_millis("x-mosn-try-timeout").or(own_try);
    (exchange.record.global_timeout, exchange.record.try_timeout) = (timeout, try_timeout);
    let (hash, set_cookie) = hash(exchange, forward);
    let head = &exchange.slot.head;
    let sending = Sending {
        route,
        forward,
        listener,
        upstream,
        hash,
        set_cookie,
        timeout: timeout.filter(|timeout| !timeout.is_zero()).map_or(NEVER, nanos),
        try_timeout: try_timeout.filter(|timeout| !timeout.is_zero()).map(nanos),
        method: head.method(),
        version: head.version(),
        idempotent: head.method().is_idempotent(),
        tunnel: &proxy.tunnel,
        switch,
        protocol,
    };
    let mut body = take_body(exchange, proxy);
    let next = try_until_done(exchange, &sending, &mut body).await;
    give_back(exchange, body);
    if let Some(switched) = &mut exchange.switched {
        switched.permit = Some(permit);
    }
    next
}

/// The balancer's hash, and the cookie to set where the request had none.
fn hash(exchange: &Exchange<'_>, forward: &Forward<usize>) -> (Option<u64>, Option<String>) {
    let source = exchange.connection.info.peer.as_ip().map(|addr| addr.ip());
    let Some(policy) = &forward.hash else { return (None, None) };
    let headers = RequestFields { head: &exchange.slot.head, bytes: exchange.request_bytes() };
    let hash = policy.hash(&headers, source);
    if let (None, HashPolicy::Cookie { name, path, ttl }) = (hash, policy)
        && !path.is_empty()
    {
        let value = format!("{:016x}", exchange.connection.worker.rng.borrow_mut().u64(..));
        let hash = rosn_route::hash_bytes(value.as_bytes());
        let mut cookie = format!("{name}={value}; Path={path}; HttpOnly");
        if let Some(ttl) = ttl {
            cookie.push_str(&format!("; Max-Age={}", ttl.as_secs()));
        }
        return (Some(hash), Some(cookie));
    }
    (hash, None)
}

/// Moves what came of the body behind the head into a buffer of its own.
fn take_body(exchange: &mut Exchange<'_>, proxy: &HttpProxy) -> Option<RequestBody> {
    let framing = exchange.slot.head.framing();
    if matches!(framing, Framing::None | Framing::Length(0)) {
        return None;
    }
    let mut buffer = exchange.connection.worker.upstream_buffers.take();
    buffer.extend(&exchange.slot.inbound.unread()[exchange.len..]);
    exchange.slot.inbound.truncate(exchange.len);
    Some(RequestBody {
        buffer: BodyBuffer::new(buffer, true),
        decoder: exchange.connection.client.decoder(framing, &exchange.connection.head_limits()),
        received: 0,
        limit: proxy.max_body_bytes.unwrap_or(u64::MAX),
    })
}

/// Puts what followed the body back behind the head.
fn give_back(exchange: &mut Exchange<'_>, body: Option<RequestBody>) {
    if let Some(body) = body {
        exchange.record.bytes_received += body.received;
        let rest = body.buffer.into_rest();
        exchange.slot.inbound.extend(rest.unread());
        exchange.connection.worker.upstream_buffers.give(rest);
    }
}

async fn try_until_done(
    exchange: &mut Exchange<'_>,
    sending: &Sending<'_>,
    body: &mut Option<RequestBody>,
) -> Next {
    let worker = Rc::clone(&exchange.connection.worker);
    let mut tried = Tried::default();
    let end = exchange.record.grpc.as_ref().map_or(NEVER, |call| call.deadline);
    let deadline = exchange.record.start.saturating_add(sending.timeout).min(end);
    loop {
        let failure = match one_try(exchange, sending, body, &mut tried, deadline).await {
            Ok(next) => return next,
            Err(failure) => failure,
        };
        // After a fault of the client's own, its connection is not trusted any more.
        exchange.body_was_read =
            !failure.is_downstream() && body.as_ref().is_some_and(|body| body.decoder.is_end());
        if let Some(endpoint) = &exchange.record.endpoint {
            count_failure(&sending.upstream, endpoint, &failure);
        }
        if tried.begun {
            return broken(exchange, &failure);
        }
        let replayable = body.as_ref().is_none_or(|body| body.buffer.can_replay());
        let decision = tried.decide(&failure, sending, replayable);
        debug!(
            cluster = sending.upstream.cluster.name(),
            tries = exchange.record.tries,
            ?decision,
            "{failure}"
        );
        let wait = match decision {
            Decision::GiveUp => return fail(exchange, failure).await,
            Decision::Limit => {
                exchange.record.flags.insert(Flags::RETRY_LIMIT);
                return fail(exchange, failure).await;
            }
            Decision::Now => 0,
            Decision::After(wait) => wait,
        };
        let stats = sending.upstream.stats();
        // What never reached a host is no load on the others: it may go on to them, in any number.
        let is_free = matches!(decision, Decision::Now) || matches!(failure, Failure::Connect(_));
        if !is_free && !may_retry(&mut tried.permit, sending, &mut exchange.record.flags) {
            return fail(exchange, failure).await;
        }
        stats.request_retry.add(1);
        if let Some(body) = body {
            body.buffer.replay();
        }
        if wait > 0 {
            let jitter = worker.rng.borrow_mut().u64(wait / 2..=wait);
            let until = worker.clock.refresh().saturating_add(jitter);
            let timer = &exchange.connection.timer;
            timer.set(until.min(deadline));
            poll_fn(
                |cx| if timer.poll_expired(cx.waker()) { Poll::Ready(()) } else { Poll::Pending },
            )
            .await;
            worker.clock.refresh();
        }
    }
}

/// One try, from the choice of an endpoint to the end of the response.
async fn one_try(
    exchange: &mut Exchange<'_>,
    sending: &Sending<'_>,
    body: &mut Option<RequestBody>,
    tried: &mut Tried,
    deadline: u64,
) -> Result<Next, Failure> {
    let worker = Rc::clone(&exchange.connection.worker);
    if exchange.record.grpc.as_ref().is_some_and(|call| call.deadline <= worker.clock.now()) {
        return Err(Failure::Deadline);
    }
    let endpoint = if sending.switch == Switch::ConnectHere {
        connect::destination(exchange, sending, tried, deadline).await?
    } else {
        let wanted = exchange.connection.info.original_dst;
        sending.upstream.original_dst(wanted, |name| exchange.header(name))
    };
    let pick = Pick {
        hash: sending.hash.or_else(|| source_hash(exchange)),
        tried: &tried.endpoints,
        attempt: exchange.record.tries,
        now_nanos: worker.clock.now(),
    };
    let endpoint = endpoint.or_else(|| sending.upstream.pick(&pick));
    let Some(endpoint) = endpoint else {
        return Err(Failure::Connect(ConnectFailure::NoEndpoint(sending.upstream.lack())));
    };
    exchange.record.begin_try(Arc::clone(&endpoint));
    tried.reached = false;
    let mut up = obtain(exchange, sending, &endpoint, tried, deadline).await?;
    up.requests = up.requests.saturating_add(1);
    exchange.record.upstream_connection = sending.shows_more().then(|| (up.id, up.local_addr()));
    let upstream = &sending.upstream;
    count!(upstream, endpoint, request_total, 1);
    count!(upstream, endpoint, request_active, 1);
    endpoint.request_started();
    let result = if sending.switch == Switch::ConnectHere {
        connect::answer(exchange, sending, tried).await
    } else {
        converse(exchange, sending, body, tried, &mut up, deadline).await
    };
    let done = match result {
        Ok(Done { switched: Some(early), .. }) => {
            count!(upstream, endpoint, response_success, 1);
            let took = worker.clock.refresh().saturating_sub(exchange.record.start);
            endpoint.observe(Duration::from_nanos(took), Outcome::Success);
            let rules = (&sending.forward.tunnel, sending.tunnel);
            let switched = Switched::new(up, early, rules.0, rules.1);
            exchange.switched = Some(Box::new(switched));
            return Ok(Next::End(End::Close));
        }
        Ok(done) => done,
        Err(failure) => {
            request_ended(upstream, &endpoint);
            tried.endpoints.push(endpoint.id());
            tried.reached &= !matches!(failure, Failure::Refused(_));
            return Err(failure);
        }
    };
    request_ended(upstream, &endpoint);
    let took = worker.clock.refresh().saturating_sub(exchange.record.start);
    let status = exchange.record.verdict();
    if status < 500 {
        count!(upstream, endpoint, response_success, 1);
    } else {
        count!(upstream, endpoint, response_failed, 1);
    }
    upstream.shard(endpoint.stats()).request_duration_time.record(took);
    upstream.stats().request_duration_time.record(took);
    count!(upstream, endpoint, request_duration_time_total, took);
    endpoint.observe(Duration::from_nanos(took), outcome(status));
    if done.upstream_clean {
        sending.upstream.put(up, &worker);
    }
    Ok(done.next)
}

/// Takes a request out of those that are under way.
pub(super) fn request_ended(upstream: &Upstream, endpoint: &Endpoint) {
    endpoint.request_ended();
    count!(upstream, endpoint, request_active, -1);
}

fn outcome(status: u16) -> Outcome {
    match status {
        400..=499 => Outcome::ClientError,
        500.. => Outcome::ServerError,
        _ => Outcome::Success,
    }
}

fn source_hash(exchange: &Exchange<'_>) -> Option<u64> {
    exchange.connection.info.peer.as_ip().map(|addr| rosn_route::hash_address(addr.ip()))
}

fn count_failure(upstream: &Upstream, endpoint: &Endpoint, failure: &Failure) {
    match failure {
        Failure::TryTimeout | Failure::Timeout | Failure::Deadline => {
            count!(upstream, endpoint, request_timeout, 1);
        }
        Failure::Stale | Failure::Reset(_) | Failure::Refused(_) | Failure::Broken(_) => {
            count!(upstream, endpoint, request_remote_reset, 1);
        }
        Failure::ClientGone | Failure::ClientStalled => {
            count!(upstream, endpoint, request_local_reset, 1);
        }
        Failure::Protocol(_)
        | Failure::Http2(_)
        | Failure::NoTunnel
        | Failure::Unexpected(_)
        | Failure::Status(_)
        | Failure::GrpcStatus(_) => {
            count!(upstream, endpoint, response_failed, 1);
        }
        _ => {}
    }
}

/// A connection to the endpoint, from the pool or a new one.
async fn obtain(
    exchange: &mut Exchange<'_>,
    sending: &Sending<'_>,
    endpoint: &Arc<Endpoint>,
    tried: &mut Tried,
    deadline: u64,
) -> Result<upstream::Connection, Failure> {
    // A request that cannot be sent twice is worth a look at the connection first. So is one that came
    // without a wait: what its upstream sent meanwhile, the event loop has not yet seen.
    let probe = !sending.idempotent || !exchange.connection.waited;
    let fresh = tried.fresh || sending.switch == Switch::ConnectHere;
    let reuse = if fresh { Reuse::No } else { Reuse::Idle { probe } };
    let connection = &*exchange.connection;
    let speaks = match sending.switch {
        Switch::ConnectHere => Speaks::Bytes,
        _ if sending.protocol == Protocol::Http2 => Speaks::Http2,
        _ => Speaks::Http1,
    };
    let wanted = Wanted {
        worker: &connection.worker,
        client: &connection.info,
        timer: &connection.timer,
        deadline,
        phases: &mut exchange.record.phases,
        speaks,
    };
    let result = match speaks {
        Speaks::Http2 => {
            let upgrades = matches!(sending.switch, Switch::Upgrade(_));
            sending.upstream.obtain_stream(endpoint, upgrades, wanted).await
        }
        Speaks::Http1 | Speaks::Bytes => sending.upstream.obtain(endpoint, reuse, wanted).await,
    };
    if result.is_err() {
        tried.endpoints.push(endpoint.id());
    }
    let up = result.map_err(Failure::Connect)?;
    let takes_upgrade = up.place().is_none_or(Place::allows_extended_connect);
    match sending.switch {
        Switch::Upgrade(_) if !takes_upgrade => Err(Failure::NoTunnel),
        _ => Ok(up),
    }
}

/// Tells the client that no response came, and the log why.
async fn fail(exchange: &mut Exchange<'_>, failure: Failure) -> Next {
    note(exchange, &failure);
    if matches!(failure, Failure::ClientGone | Failure::ClientStalled) {
        exchange.record.status = 499;
        return Next::End(End::Close);
    }
    let mut body = failure.public().as_bytes().to_vec();
    body.push(b'\n');
    exchange.reply(failure.status(), &body).await
}

/// Ends an exchange whose response broke off: the client must see that it is not whole.
fn broken(exchange: &mut Exchange<'_>, failure: &Failure) -> Next {
    note(exchange, failure);
    Next::End(End::Reset)
}

/// Keeps for the access log what failed, and tells the log.
fn note(exchange: &mut Exchange<'_>, failure: &Failure) {
    let record = &mut *exchange.record;
    if let Some(call) = &mut record.grpc {
        call.failed(failure, exchange.connection.worker.clock.now());
    }
    record.flags.insert(failure.flags());
    record.details = failure.details();
    let text = failure.to_string();
    let (details, tries) = (record.details, record.tries);
    let cluster = record.upstream.as_ref().map(|upstream| upstream.cluster.name());
    let endpoint = record.endpoint.as_ref().map(|endpoint| endpoint.addr().to_string());
    let endpoint = endpoint.as_deref();
    if failure.is_downstream() {
        let connection = exchange.connection.info.id;
        debug!(cluster, endpoint, connection, details, "{text}");
    } else {
        let mut tried = Vec::new();
        let tried = (tries > 1 && record.write_addrs(&mut tried))
            .then(|| String::from_utf8_lossy(&tried).into_owned());
        let (tried, hint) = (tried.as_deref(), failure.hint());
        warn!(cluster, endpoint, tries, tried, flags = %record.flags, details, hint, "{text}");
    }
    record.failure = Some(text);
}
