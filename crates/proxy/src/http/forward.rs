//! Sends a request to a cluster: chooses an endpoint, gets a connection, tries, and tries again where
//! that is safe.

use std::future::poll_fn;
use std::io::Write as _;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use rosn_base::Timer;
use rosn_cluster::{Endpoint, Outcome, Permit, Pick};
use rosn_config::checked::{HostRewrite, HttpProxy, Protocol};
use rosn_h1::{BodyDecoder, Framing, Method, Name, RequestHead, ResponseHead, Version};
use rosn_net::ConnInfo;
use rosn_route::{Forward, HashPolicy, Route, Table};
use tracing::{debug, warn};

use super::attempt::{Attempt, Down, RequestBody, Respond};
use super::body::BodyBuffer;
use super::exchange::{Exchange, RequestFields};
use super::failure::{Failure, Flags};
use super::headers::{Fields, HeaderList};
use super::record::{Record, View, is_idempotent};
use super::writer::MessageWriter;
use super::{Connection, End, Next, Slot, reply};
use crate::context::{Serving, Worker};
use crate::snapshot::Listener;
use crate::upstream::{self, ConnectFailure, NEVER, Reuse, Upstream, count, nanos};

/// Hosts that are tried when no connection can be made, without a retry policy.
const CONNECT_TRIES: u32 = 3;
/// A response that takes longer than this, in nanoseconds, is worth watching the client meanwhile.
const SLOW: u64 = 50_000_000;
/// The first back-off of a retry; it doubles each time.
const BACK_OFF: u64 = 25_000_000;

/// What stays the same over all tries of a request.
struct Sending<'a> {
    route: &'a Route<usize>,
    forward: &'a Forward<usize>,
    listener: &'a Listener,
    upstream: Rc<Upstream>,
    hash: Option<u64>,
    /// `Set-Cookie` of a hash cookie that the request did not have.
    set_cookie: Option<String>,
    timeout: u64,
    try_timeout: Option<u64>,
    method: Method,
    version: Version,
    idempotent: bool,
}

impl Sending<'_> {
    /// Whether a log or a header may show what costs a system call to find out.
    fn shows_more(&self) -> bool {
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
        return exchange.reply(503, b"the route names a cluster that does not exist\n").await;
    };
    let upstream = Rc::clone(serving.upstream(index));
    let cluster = Arc::clone(&upstream.cluster);
    exchange.record.upstream = Some(Rc::clone(&upstream));
    if let Some(protocol) = forward.upstream_protocol.or(proxy.upstream_protocol)
        && protocol != Protocol::Http1
    {
        let why = format!("not yet active: upstream protocol {protocol:?}");
        return fail(exchange, Failure::Connect(ConnectFailure::Inactive(why))).await;
    }
    let Some(_permit) = cluster.breakers().try_request() else {
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
        idempotent: is_idempotent(head.method()),
    };
    let mut body = take_body(exchange, proxy);
    let next = try_until_done(exchange, &sending, &mut body).await;
    give_back(exchange, body);
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
        decoder: BodyDecoder::new(framing, &exchange.connection.head_limits()),
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
    let deadline = exchange.record.start.saturating_add(sending.timeout);
    loop {
        exchange.record.tries += 1;
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

/// Asks for the right to a retry, unless the request has it already.
fn may_retry(permit: &mut Option<Permit>, sending: &Sending<'_>, flags: &mut Flags) -> bool {
    if permit.is_none() {
        *permit = sending.upstream.cluster.try_retry();
    }
    if permit.is_none() {
        sending.upstream.stats().request_retry_overflow.add(1);
        flags.insert(Flags::OVERFLOW);
    }
    permit.is_some()
}

/// What was tried so far.
#[derive(Default)]
struct Tried {
    /// The right to retries, held until the last one has ended.
    permit: Option<Permit>,
    /// Ids of endpoints that failed.
    endpoints: Vec<u64>,
    connects: u32,
    stale: u32,
    retries: u32,
    /// The client has seen a part of a response.
    begun: bool,
    /// The request may have been carried out.
    reached: bool,
    /// The next try opens a connection of its own.
    fresh: bool,
}

#[derive(Debug)]
enum Decision {
    GiveUp,
    /// There is a policy, and it is used up.
    Limit,
    Now,
    After(u64),
}

impl Tried {
    /// Whether the policy allows another retry.
    fn retries_left(&self, sending: &Sending<'_>) -> bool {
        sending.forward.retry.as_ref().is_some_and(|retry| self.retries < retry.count)
    }

    fn decide(&mut self, failure: &Failure, sending: &Sending<'_>, replayable: bool) -> Decision {
        if !replayable || failure.is_downstream() {
            return Decision::GiveUp;
        }
        match failure {
            Failure::Connect(failure) if failure.may_retry() => {
                self.connects += 1;
                if self.connects < CONNECT_TRIES && sending.forward.retry.is_none() {
                    return Decision::Now;
                }
            }
            // Not a failure of the endpoint: it closed a connection that had been idle.
            Failure::Stale if sending.idempotent && self.stale < CONNECT_TRIES => {
                self.stale += 1;
                self.fresh = true;
                return Decision::Now;
            }
            Failure::Stale | Failure::Reset(_) | Failure::TryTimeout | Failure::Protocol(_) => {}
            Failure::Status(_) => {}
            _ => return Decision::GiveUp,
        }
        let Some(retry) = &sending.forward.retry else { return Decision::GiveUp };
        let named = matches!(failure, Failure::Status(status) if retry.names(*status));
        if self.reached && !sending.idempotent && !named {
            return Decision::GiveUp;
        }
        if self.retries >= retry.count {
            return Decision::Limit;
        }
        self.retries += 1;
        Decision::After(BACK_OFF << (self.retries - 1).min(6))
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
    let pick = Pick {
        hash: sending.hash.or_else(|| source_hash(exchange)),
        tried: &tried.endpoints,
        attempt: exchange.record.tries - 1,
        now_nanos: worker.clock.now(),
    };
    let wanted = exchange.connection.info.original_dst;
    let endpoint = sending
        .upstream
        .original_dst(wanted, |name| exchange.header(name))
        .or_else(|| sending.upstream.pick(&pick));
    let endpoint = endpoint.ok_or(Failure::Connect(ConnectFailure::NoEndpoint))?;
    exchange.record.endpoint = Some(Arc::clone(&endpoint));
    tried.reached = false;
    let mut up = connect(exchange, sending, &endpoint, tried, deadline).await?;
    up.requests = up.requests.saturating_add(1);
    exchange.record.upstream_connection = sending.shows_more().then(|| (up.id, up.local_addr()));
    let upstream = &sending.upstream;
    count!(upstream, endpoint, request_total, 1);
    count!(upstream, endpoint, request_active, 1);
    endpoint.request_started();
    let result = converse(exchange, sending, body, tried, &mut up, deadline).await;
    endpoint.request_ended();
    count!(upstream, endpoint, request_active, -1);
    let done = match result {
        Ok(done) => done,
        Err(failure) => {
            tried.endpoints.push(endpoint.id());
            return Err(failure);
        }
    };
    let took = worker.clock.refresh().saturating_sub(exchange.record.start);
    let status = exchange.record.status;
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
        Failure::TryTimeout | Failure::Timeout => count!(upstream, endpoint, request_timeout, 1),
        Failure::Stale | Failure::Reset(_) | Failure::Broken(_) => {
            count!(upstream, endpoint, request_remote_reset, 1);
        }
        Failure::ClientGone | Failure::ClientStalled => {
            count!(upstream, endpoint, request_local_reset, 1);
        }
        Failure::Protocol(_) | Failure::Unexpected(_) | Failure::Status(_) => {
            count!(upstream, endpoint, response_failed, 1);
        }
        _ => {}
    }
}

/// A connection to the endpoint, from the pool or a new one.
async fn connect(
    exchange: &mut Exchange<'_>,
    sending: &Sending<'_>,
    endpoint: &Arc<Endpoint>,
    tried: &mut Tried,
    deadline: u64,
) -> Result<upstream::Connection, Failure> {
    let worker = Rc::clone(&exchange.connection.worker);
    // A request that cannot be sent twice is worth a look at the connection first. So is one that came
    // without a wait: what its upstream sent meanwhile, the event loop has not yet seen.
    let probe = !sending.idempotent || !exchange.connection.waited;
    let reuse = if tried.fresh { Reuse::No } else { Reuse::Idle { probe } };
    let timer = &exchange.connection.timer;
    let result = sending.upstream.obtain(&worker, endpoint, reuse, timer, deadline).await;
    if result.is_err() {
        tried.endpoints.push(endpoint.id());
    }
    result.map_err(Failure::Connect)
}

/// What became of an exchange that ended well.
struct Done {
    next: Next,
    /// The upstream's connection can serve another request.
    upstream_clean: bool,
}

/// Sends the request and passes the response on.
async fn converse(
    exchange: &mut Exchange<'_>,
    sending: &Sending<'_>,
    body: &mut Option<RequestBody>,
    tried: &mut Tried,
    up: &mut upstream::Connection,
    deadline: u64,
) -> Result<Done, Failure> {
    let worker = Rc::clone(&exchange.connection.worker);
    let request = encode_request(exchange, sending, &up.endpoint);
    let limits = exchange.connection.head_limits();
    let deadlines = Deadlines::new(sending, worker.clock.now(), deadline, exchange);
    let can_retry = tried.retries_left(sending);
    let Exchange { connection, slot, len, record, keep, .. } = exchange;
    let Connection { stream, info, timer, .. } = &mut **connection;
    let Slot { inbound, head, response, response_bytes, list, path, down, up: up_buffers, .. } =
        &mut **slot;
    response.reset();
    // A try that failed may have left an interim response here.
    down.0.clear();
    down.1.clear();
    let respond = Responder {
        worker: &worker,
        sending,
        info,
        head,
        list,
        path,
        response_bytes,
        record,
        len: *len,
        keep: *keep,
        can_retry,
        permit: &mut tried.permit,
    };
    let mut attempt = Attempt {
        worker: &worker,
        client: stream,
        upstream: &mut up.stream,
        inbound,
        body: body.as_mut(),
        request,
        response,
        limits: &limits,
        method: sending.method,
        version: sending.version,
        respond,
        reused: up.requests > 1,
        down: Down::Head,
        buffers: std::mem::take(down),
        received: None,
        interim: 0,
        request_failed: None,
        request_done: false,
        client_eof: false,
        slow_at: deadlines.begin + SLOW,
        progress: deadlines.begin,
        read_from_upstream: 0,
        read_from_client: 0,
        written_to_client: 0,
        head_at: 0,
        request_sent_at: 0,
    };
    let result = poll_fn(|cx| {
        let result = attempt.poll(cx);
        if result.is_ready() {
            return result;
        }
        match deadlines.check(&attempt, timer, cx.waker()) {
            Some(failure) => Poll::Ready(Err(failure)),
            None => Poll::Pending,
        }
    })
    .await;
    tried.begun = attempt.has_begun();
    tried.reached = attempt.request.written > 0;
    let traffic = attempt.traffic();
    let finished = attempt.request_done;
    let client_eof = attempt.client_eof;
    let clean = matches!(attempt.down, Down::Done { clean: true });
    let clean = clean && finished && attempt.response.keep_alive();
    let keep = attempt.respond.keep;
    let (request_sent, head_at) = (attempt.request_sent_at, attempt.head_at);
    let Attempt { request, buffers, received, .. } = attempt;
    *up_buffers = request.into_buffers();
    *down = buffers;
    if let Some(received) = received {
        worker.upstream_buffers.give(received);
    }
    (record.request_sent, record.response_head) = (request_sent, head_at);
    record.bytes_sent += traffic.to_client;
    connection.count_read(traffic.from_client);
    connection.count_written(traffic.to_client);
    let stats = sending.upstream.stats();
    stats.connection_bytes_read_total.add(traffic.from_upstream);
    stats.connection_bytes_write.add(traffic.to_upstream);
    result?;
    // A client that may have sent more would lose the response by a close, which would be a reset.
    let came = body.as_ref().map_or(slot.inbound.len() - *len, |body| body.buffer.raw().len());
    let sends_more = !finished || slot.head.keep_alive() || came > 0;
    let next = match (keep && finished, client_eof) {
        (true, false) => Next::KeepAlive,
        (false, false) if sends_more => Next::End(End::Linger),
        _ => Next::End(End::Close),
    };
    Ok(Done { next, upstream_clean: clean })
}

/// When a try has taken too long.
struct Deadlines {
    /// When the try began.
    begin: u64,
    /// When the response must have begun, unless the request is still being read.
    whole: u64,
    /// The same for this try.
    own: u64,
    /// How long a response that has begun may stand still.
    pause: u64,
    /// How long the client may read nothing, or send nothing of its body.
    stall: u64,
    /// The client sends its body when the upstream says so.
    expects: bool,
}

impl Deadlines {
    fn new(sending: &Sending<'_>, now: u64, whole: u64, exchange: &Exchange<'_>) -> Self {
        let own = sending.try_timeout.map_or(NEVER, |timeout| now.saturating_add(timeout));
        let stall = exchange.connection.stall_timeout();
        let expects = exchange.slot.head.expects_continue();
        Self { begin: now, whole, own, pause: sending.timeout, stall, expects }
    }

    /// Whether it is for the client to send more of its body.
    fn client_is_due<R: Respond>(&self, attempt: &Attempt<'_, R>) -> bool {
        let asked = !self.expects || attempt.interim > 0 || attempt.read_from_client > 0;
        attempt.waits_for_body() && asked
    }

    /// What has happened, if the present deadline has passed; else the timer is set to it.
    fn check<R: Respond>(
        &self,
        attempt: &Attempt<'_, R>,
        timer: &Timer,
        waker: &Waker,
    ) -> Option<Failure> {
        let due = if attempt.waits_for_client() {
            attempt.progress.saturating_add(self.stall)
        } else if attempt.has_begun() {
            attempt.progress.saturating_add(self.pause)
        } else if self.client_is_due(attempt) {
            attempt.progress.saturating_add(self.stall)
        } else {
            // The time that the client takes for its body is its own.
            let uploading = attempt.progress.saturating_sub(self.begin);
            self.whole.min(self.own).saturating_add(uploading)
        };
        if attempt.worker.clock.now() >= due {
            return Some(match attempt {
                _ if attempt.waits_for_client() => Failure::ClientStalled,
                _ if !attempt.has_begun() && self.client_is_due(attempt) => Failure::ClientSlow,
                _ if attempt.has_begun() || self.whole <= self.own => Failure::Timeout,
                _ => Failure::TryTimeout,
            });
        }
        let wake = due.min(attempt.look_at());
        if timer.deadline() != Some(wake) {
            timer.set(wake);
        }
        timer.poll_expired(waker);
        None
    }
}

/// Makes the head of the response for the client.
struct Responder<'a> {
    worker: &'a Worker,
    sending: &'a Sending<'a>,
    info: &'a ConnInfo,
    head: &'a RequestHead,
    list: &'a mut HeaderList,
    path: &'a [u8],
    response_bytes: &'a mut Vec<u8>,
    record: &'a mut Record,
    len: usize,
    /// Whether the client's connection stays open.
    keep: bool,
    can_retry: bool,
    permit: &'a mut Option<Permit>,
}

impl Respond for Responder<'_> {
    fn refuses(&mut self, status: u16, can_replay: bool) -> bool {
        let Some(retry) = self.sending.forward.retry.as_ref() else { return false };
        can_replay
            && self.can_retry
            && retry.on_status(status)
            && (self.sending.idempotent || retry.names(status))
            && may_retry(self.permit, self.sending, &mut self.record.flags)
    }

    fn encode(
        &mut self,
        response: &ResponseHead,
        bytes: &[u8],
        request: &[u8],
        request_done: bool,
        out: &mut Vec<u8>,
    ) -> Framing {
        self.record.status = response.status();
        let sending = self.sending;
        let from = Fields { bytes, fields: response.fields() };
        if !sending.listener.access_logs.is_empty() {
            self.response_bytes.clear();
            self.response_bytes.extend_from_slice(bytes);
        }
        // What an HTTP/1.0 client reads ends with its length or with the connection.
        let framing = match (response.framing(), sending.version) {
            (Framing::Chunked | Framing::UntilClose, Version::Http10) => Framing::UntilClose,
            (Framing::UntilClose, Version::Http11) => Framing::Chunked,
            (framing, _) => framing,
        };
        self.keep &= request_done && framing != Framing::UntilClose && !self.worker.is_draining();
        out.extend_from_slice(b"HTTP/1.1 ");
        write!(out, "{} ", response.status()).expect("a Vec takes all bytes");
        out.extend_from_slice(response.reason().of(bytes));
        out.extend_from_slice(b"\r\n");
        if !sending.route.response_edits().is_empty() {
            let view = View {
                record: self.record,
                info: self.info,
                listener: &sending.listener.config,
                started: self.worker.clock.wall(self.record.start),
                now: self.worker.clock.now(),
                request: Some((self.head, &request[..self.len])),
                response: Some(from),
                path: self.path,
            };
            self.list.load(response.fields());
            self.list.edit(from, sending.route.response_edits(), &view);
            self.list.encode(from, |_| false, out);
        } else {
            from.encode(|_| false, out);
        }
        if let Some(cookie) = &sending.set_cookie {
            out.extend_from_slice(b"Set-Cookie: ");
            out.extend_from_slice(cookie.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if framing == Framing::Chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        reply::connection(sending.version, self.keep, out);
        out.extend_from_slice(b"\r\n");
        framing
    }
}

/// Encodes the head of the request for an endpoint. Made anew for each try, always from the head as the
/// client sent it, so that rewrites never compound.
fn encode_request(
    exchange: &mut Exchange<'_>,
    sending: &Sending<'_>,
    endpoint: &Endpoint,
) -> MessageWriter {
    let (mut out, tail) = std::mem::take(&mut exchange.slot.up);
    let mut path = std::mem::take(&mut exchange.slot.path);
    let mut list = std::mem::take(&mut exchange.slot.list);
    path.clear();
    // Edits of the request see it as the client sent it.
    (exchange.record.path_rewritten, exchange.record.host) = (false, None);
    let request = exchange.request_bytes();
    let head = &exchange.slot.head;
    out.extend_from_slice(head.method_span().of(request));
    out.push(b' ');
    let whole = head.path_and_query(request);
    let rewritten = sending.forward.rewrite_path(whole, &mut path);
    out.extend_from_slice(if rewritten { &path } else { whole });
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let host = host(exchange, sending, endpoint);
    if let Some(host) = &host {
        out.extend_from_slice(b"Host: ");
        out.extend_from_slice(host);
        out.extend_from_slice(b"\r\n");
    }
    let skip = |name| name == Name::Host && host.is_some();
    let from = Fields { bytes: request, fields: head.fields() };
    if !sending.route.request_edits().is_empty() {
        list.load(head.fields());
        let view = exchange.view(sending.listener);
        list.edit(from, sending.route.request_edits(), &view);
        list.encode(from, skip, &mut out);
    } else {
        from.encode(skip, &mut out);
    }
    if head.framing() == Framing::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
    let framing = head.framing();
    exchange.slot.path = path;
    (exchange.record.path_rewritten, exchange.record.host) = (rewritten, host);
    exchange.slot.list = list;
    MessageWriter::new(out, tail, framing)
}

/// The Host to send, where it is not the client's own field.
fn host(exchange: &Exchange<'_>, sending: &Sending<'_>, endpoint: &Endpoint) -> Option<Vec<u8>> {
    let request = exchange.request_bytes();
    let rewritten = match &sending.forward.host_rewrite {
        Some(HostRewrite::Literal(host)) => Some(host.as_bytes().to_vec()),
        Some(HostRewrite::Endpoint) if !endpoint.hostname().is_empty() => {
            Some(endpoint.hostname().as_bytes().to_vec())
        }
        Some(HostRewrite::Header(name)) => exchange.header(name).map(<[u8]>::to_vec),
        _ => None,
    };
    if rewritten.is_some() {
        return rewritten;
    }
    let head = &exchange.slot.head;
    if head.is_absolute_form() {
        return Some(head.authority(request).to_vec());
    }
    // HTTP/1.0 needs no Host, HTTP/1.1 does (RFC 9112 section 3.2).
    head.find(Name::Host).is_none().then(|| match endpoint.hostname() {
        "" => endpoint
            .addr()
            .as_ip()
            .map_or_else(|| b"localhost".to_vec(), |ip| ip.to_string().into()),
        name => name.as_bytes().to_vec(),
    })
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

fn note(exchange: &mut Exchange<'_>, failure: &Failure) {
    let record = &mut *exchange.record;
    record.flags.insert(failure.flags());
    let text = failure.to_string();
    let endpoint = record.endpoint.as_ref().map(|endpoint| endpoint.addr().to_string());
    let cluster = record.upstream.as_ref().map(|upstream| upstream.cluster.name());
    let endpoint = endpoint.as_deref();
    if failure.is_downstream() {
        debug!(cluster, endpoint, connection = exchange.connection.info.id, "{text}");
    } else {
        warn!(cluster, endpoint, tries = record.tries, flags = %record.flags, "{text}");
    }
    record.failure = Some(text);
}
