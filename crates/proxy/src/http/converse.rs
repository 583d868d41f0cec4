//! One exchange with an upstream over a connection that is there.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use rosn_base::Timer;

use super::attempt::{Attempt, Down, RequestBody, Respond};
use super::exchange::Exchange;
use super::failure::Failure;
use super::forward::Sending;
use super::request::encode_request;
use super::respond::Responder;
use super::retry::Tried;
use super::{Connection, End, Next, Slot};
use crate::upstream::{self, NEVER};

/// A response that takes longer than this, in nanoseconds, is worth watching the client meanwhile.
const SLOW: u64 = 50_000_000;

/// What became of an exchange that ended well.
pub(super) struct Done {
    pub(super) next: Next,
    /// The upstream's connection can serve another request.
    pub(super) upstream_clean: bool,
    /// The connections are no longer HTTP; what the upstream has sent behind its response.
    pub(super) switched: Option<Vec<u8>>,
}

/// Sends the request and passes the response on.
pub(super) async fn converse(
    exchange: &mut Exchange<'_>,
    sending: &Sending<'_>,
    body: &mut Option<RequestBody>,
    tried: &mut Tried,
    up: &mut upstream::Connection,
    deadline: u64,
) -> Result<Done, Failure> {
    let worker = Rc::clone(&exchange.connection.worker);
    let request = encode_request(exchange, sending, up);
    let limits = exchange.connection.head_limits();
    let deadlines = Deadlines::new(sending, worker.clock.now(), deadline, exchange);
    let can_retry = tried.retries_left(sending);
    let Exchange { connection, slot, len, record, keep, .. } = exchange;
    let Connection { client, info, timer, .. } = &mut **connection;
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
        begin: deadlines.begin,
        keep: *keep,
        can_retry,
        permit: &mut tried.permit,
    };
    let mut attempt = Attempt {
        worker: &worker,
        client,
        upstream: &mut up.side,
        inbound,
        body: body.as_mut(),
        request,
        response,
        limits: &limits,
        method: sending.method,
        version: sending.version,
        respond,
        reused: up.requests > 1,
        switch: &sending.switch,
        switched: None,
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
        payload: 0,
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
    tried.reached = attempt.request.written() > 0;
    let traffic = attempt.traffic();
    let finished = attempt.request_done;
    let client_eof = attempt.client_eof;
    let clean = matches!(attempt.down, Down::Done { clean: true });
    let clean = clean && finished && attempt.response.keep_alive();
    let keep = attempt.respond.keep;
    let (request_sent, head_at) = (attempt.request_sent_at, attempt.head_at);
    // An end or a reset that was read is no progress, and the clock may not have been looked at since.
    let end = if result.is_ok() { attempt.progress } else { worker.clock.refresh() };
    let Attempt { request, buffers, received, switched, .. } = attempt;
    *up_buffers = request.into_buffers();
    *down = buffers;
    if let Some(received) = received {
        worker.upstream_buffers.give(received);
    }
    (record.request_sent, record.response_head) = (request_sent, head_at);
    record.upstream_end = end;
    record.bytes_sent = traffic.payload;
    connection.count_read(traffic.from_client);
    connection.count_written(traffic.to_client);
    up.count_bytes(traffic.to_upstream, traffic.from_upstream);
    result.map_err(|failure| match up.place() {
        Some(place) => failure.of_stream(place, head_at == 0),
        None => failure,
    })?;
    // A client that may have sent more would lose the response by a close, which would be a reset.
    let came = body.as_ref().map_or(slot.inbound.len() - *len, |body| body.buffer.raw().len());
    let sends_more = !finished || slot.head.keep_alive() || came > 0;
    // Requests that came before the client's end are answered, too.
    let next = match (keep && finished, client_eof && came == 0) {
        (true, false) => Next::KeepAlive,
        (false, false) if sends_more => Next::End(End::Linger),
        _ => Next::End(End::Close),
    };
    Ok(Done { next, upstream_clean: clean, switched })
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
    /// How long the client may read nothing.
    stall: u64,
    /// How long it may send nothing of its body.
    silence: u64,
    /// When all of it must be over: the deadline of a gRPC call.
    end: u64,
    /// The client sends its body when the upstream says so.
    expects: bool,
}

impl Deadlines {
    fn new(sending: &Sending<'_>, now: u64, whole: u64, exchange: &Exchange<'_>) -> Self {
        let own = sending.try_timeout.map_or(NEVER, |timeout| now.saturating_add(timeout));
        let stall = exchange.connection.stall_timeout();
        let expects = exchange.slot.head.expects_continue();
        let this = Self {
            begin: now,
            whole,
            own,
            pause: sending.timeout,
            stall,
            silence: stall,
            end: NEVER,
            expects,
        };
        match &exchange.record.grpc {
            // A stream of messages may be silent for as long as it likes.
            Some(call) => Self { pause: NEVER, silence: NEVER, end: call.deadline, ..this },
            None => this,
        }
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
            attempt.progress.saturating_add(self.silence)
        } else {
            // The time that the client takes for its body is its own.
            let uploading = attempt.progress.saturating_sub(self.begin);
            self.whole.min(self.own).saturating_add(uploading)
        };
        let (due, now) = (due.min(self.end), attempt.worker.clock.now());
        if now >= due {
            return Some(match attempt {
                _ if now >= self.end => Failure::Deadline,
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
