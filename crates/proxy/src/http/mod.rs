//! HTTP/1.1 on the downstream side: one task serves one connection, request after request.

mod attempt;
mod client_cert;
mod connect;
mod converse;
pub(crate) mod exchange;
mod failure;
mod forward;
pub(crate) mod grpc;
mod headers;
mod record;
mod reply;
mod request;
mod respond;
mod retry;
mod server_timing;
mod side;
mod stream_failure;
pub(crate) mod tunnel;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use rosn_base::{Buf, Timer};
use rosn_config::checked::HttpProxy;
use rosn_h1::{Limits, Progress, RequestError, RequestHead, ResponseHead};
use rosn_http::wire::poll_read;
use rosn_net::Stream;

use crate::client::ClientInfo;
use crate::context::{Admission, Serving, Worker};
use crate::goodbye::{self, GOODBYE};
use crate::snapshot::Service;
use crate::upstream::nanos;
use headers::HeaderList;
pub(crate) use side::Side;
use tunnel::Opening;

/// What one exchange needs and the next one uses again. An idle connection has none.
#[derive(Debug)]
pub(crate) struct Slot {
    /// What the client sent: the head of the present request, and what follows it.
    pub(crate) inbound: Buf,
    pub(crate) head: RequestHead,
    pub(crate) response: ResponseHead,
    /// The head of the response as it came, for the access log.
    pub(crate) response_bytes: Vec<u8>,
    pub(crate) up: (Vec<u8>, Vec<u8>),
    pub(crate) down: (Vec<u8>, Vec<u8>),
    pub(crate) list: HeaderList,
    pub(crate) path: Vec<u8>,
    pub(crate) text: Vec<u8>,
}

impl Slot {
    pub(crate) fn new(buffer: usize) -> Self {
        Self {
            inbound: Buf::with_capacity(buffer),
            head: RequestHead::default(),
            response: ResponseHead::default(),
            response_bytes: Vec::new(),
            up: Default::default(),
            down: Default::default(),
            list: HeaderList::default(),
            path: Vec::new(),
            text: Vec::new(),
        }
    }

    /// A slot of its own for what a log may want of the exchange whose request's head has `len` bytes.
    pub(crate) fn split_off(&mut self, len: usize) -> Self {
        let mut kept = Self::new(len);
        kept.inbound.extend(&self.inbound.unread()[..len]);
        kept.head = std::mem::take(&mut self.head);
        kept.response = std::mem::take(&mut self.response);
        kept.response_bytes = std::mem::take(&mut self.response_bytes);
        kept.path = std::mem::take(&mut self.path);
        kept
    }

    /// Makes it as new; false where it has grown so that it is better freed.
    pub(crate) fn clear(&mut self, buffer: usize) -> bool {
        let Self { up, down, response_bytes, path, text, .. } = self;
        for bytes in [&mut up.0, &mut up.1, &mut down.0, &mut down.1, response_bytes, path, text] {
            bytes.clear();
        }
        self.inbound.clear();
        self.head.reset();
        self.response.reset();
        self.inbound.capacity() == buffer
    }
}

/// Serves one downstream connection until it ends.
pub(crate) fn serve(
    worker: Rc<Worker>,
    serving: Serving,
    stream: Stream,
    info: ClientInfo,
    admission: Admission,
) -> impl Future<Output = ()> {
    let timer = worker.wheel.timer();
    // A connection that was just accepted comes from the event loop.
    let waited = true;
    let client = Side::Http1(stream);
    let mut connection = Connection { worker, serving, client, info, timer, waited, slot: None };
    // No async fn: that would hold its arguments beside what it makes of them.
    async move {
        let end = connection.run().await;
        if let Some(slot) = connection.slot.take() {
            connection.worker.give_slot(slot);
        }
        let Connection { worker, client, timer, .. } = connection;
        let Side::Http1(mut stream) = client else { return };
        match end {
            // A socket is closed by dropping it; a transport says goodbye first.
            End::Close if stream.socket().is_some() => {}
            End::Close => {
                timer.set(worker.clock.refresh() + GOODBYE);
                goodbye::end(&mut stream, &timer).await;
            }
            End::Linger => goodbye::linger(&mut stream, &timer, &worker).await,
            End::Reset => stream.reset(),
            // In a task of its own, which is much smaller than this one.
            End::Tunnel(opening) => {
                tokio::task::spawn_local(tunnel::serve(opening, stream, timer, admission));
            }
        }
    }
}

/// How a connection ends.
pub(crate) enum End {
    /// All was said.
    Close,
    /// The client may still be sending: let it read the response before the connection goes.
    Linger,
    /// The response broke off: the client must not take it for whole.
    Reset,
    /// It goes on, and is no longer HTTP.
    Tunnel(Box<Opening>),
}

/// What comes after an exchange.
pub(crate) enum Next {
    /// Another request may come.
    KeepAlive,
    /// No more.
    End(End),
}

/// A downstream connection.
pub(crate) struct Connection {
    pub(crate) worker: Rc<Worker>,
    /// As of the present request.
    pub(crate) serving: Serving,
    pub(crate) client: Side,
    pub(crate) info: ClientInfo,
    pub(crate) timer: Timer,
    /// Whether the event loop was waited for since the last exchange.
    pub(crate) waited: bool,
    slot: Option<Box<Slot>>,
}

/// Why there is no further request.
enum NoRequest {
    /// The client closed the connection, or it was idle for too long, or the worker drains.
    Over,
    /// A head began and did not come whole in time.
    HeaderTimeout,
    /// The head is not HTTP/1.1, or too large.
    Invalid(RequestError),
}

impl Connection {
    /// One stream of a connection of HTTP/2, for one exchange.
    pub(crate) fn of_stream(
        worker: &Rc<Worker>,
        serving: Serving,
        client: Side,
        info: ClientInfo,
    ) -> Self {
        let (worker, timer) = (Rc::clone(worker), worker.wheel.timer());
        Self { worker, serving, client, info, timer, waited: true, slot: None }
    }

    async fn run(&mut self) -> End {
        loop {
            match self.next_head().await {
                Ok(len) => {
                    let mut slot = self.slot.take().expect("a head was parsed in it");
                    let next = exchange::run(self, &mut slot, len).await;
                    self.slot = Some(slot);
                    self.waited = false;
                    match next {
                        Next::KeepAlive if !self.worker.is_draining() => {}
                        Next::KeepAlive => return End::Close,
                        Next::End(end) => return end,
                    }
                }
                Err(NoRequest::Over) => return End::Close,
                Err(NoRequest::HeaderTimeout) => {
                    return exchange::refuse(self, 408, "the request head did not come in time")
                        .await;
                }
                Err(NoRequest::Invalid(error)) => {
                    return exchange::refuse(self, error.status(), error.reason()).await;
                }
            }
        }
    }

    /// Waits for a request and parses its head; says how long it is.
    async fn next_head(&mut self) -> Result<usize, NoRequest> {
        let (idle, header_timeout, limits) = self.timeouts();
        if let Some(slot) = &mut self.slot {
            slot.head.reset();
            // A line end after a body is an old client's mistake (RFC 9112 section 2.2).
            if slot.inbound.unread() == b"\r\n" {
                slot.inbound.clear();
            }
            if slot.inbound.is_empty()
                && let Some(slot) = self.slot.take()
            {
                self.worker.give_slot(slot);
            }
        }
        let mut partial = self.slot.is_some();
        let now = self.worker.clock.now();
        self.timer.set(now.saturating_add(if partial { header_timeout } else { idle }));
        loop {
            if let Some(slot) = &mut self.slot {
                match slot.head.parse(slot.inbound.unread(), &limits) {
                    Ok(Progress::Complete(len)) => return Ok(len),
                    Ok(Progress::Partial) => {}
                    Err(error) => return Err(NoRequest::Invalid(error)),
                }
                slot.inbound.compact();
                if slot.inbound.room().is_empty() {
                    // The parser refuses what is longer than the limit before this grows past it.
                    slot.inbound.grow(slot.inbound.capacity() * 2);
                }
            }
            let inbound = poll_fn(|cx| {
                let inbound = self.poll_inbound(cx);
                self.waited |= inbound.is_pending();
                inbound
            });
            match inbound.await {
                Inbound::Bytes if partial => {}
                Inbound::Bytes => {
                    partial = true;
                    self.timer.set(self.worker.clock.now().saturating_add(header_timeout));
                }
                Inbound::Timeout if partial => return Err(NoRequest::HeaderTimeout),
                Inbound::Timeout | Inbound::End => return Err(NoRequest::Over),
            }
        }
    }

    fn poll_inbound(&mut self, cx: &mut Context<'_>) -> Poll<Inbound> {
        if self.timer.poll_expired(cx.waker()) {
            return Poll::Ready(Inbound::Timeout);
        }
        let Side::Http1(stream) = &mut self.client else { return Poll::Ready(Inbound::End) };
        if self.slot.is_none() {
            if stream.poll_read_ready(cx).is_pending() {
                if self.worker.is_draining() {
                    return Poll::Ready(Inbound::End);
                }
                return Poll::Pending;
            }
            self.slot = Some(self.worker.take_slot());
        }
        let slot = self.slot.as_mut().expect("it was made above");
        match poll_read(cx, stream, &mut slot.inbound) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Inbound::End),
            Poll::Ready(Ok(count)) => {
                self.worker.clock.refresh();
                self.count_read(count as u64);
                Poll::Ready(Inbound::Bytes)
            }
            Poll::Pending => {
                if slot.inbound.is_empty() {
                    let slot = self.slot.take().expect("it was looked at");
                    self.worker.give_slot(slot);
                }
                Poll::Pending
            }
        }
    }

    /// Idle timeout and header timeout in nanoseconds, and the limits of a head.
    fn timeouts(&self) -> (u64, u64, Limits) {
        let limits = self.serving.snapshot().limits;
        let idle = self.serving.idle_timeout();
        (idle, nanos(limits.header_timeout), self.head_limits())
    }

    pub(crate) fn head_limits(&self) -> Limits {
        let limits = self.serving.snapshot().limits;
        let own = self.proxy().and_then(|proxy| proxy.max_head_bytes);
        Limits {
            head_bytes: own.unwrap_or(limits.max_head_bytes),
            fields: limits.max_headers,
            request_line: limits.max_request_line_bytes,
            ..Limits::default()
        }
    }

    fn proxy(&self) -> Option<&HttpProxy> {
        match &self.serving.listener().service {
            Service::Http { proxy, .. } => Some(proxy),
            _ => None,
        }
    }

    /// How long a client may read nothing of what waits for it, in nanoseconds.
    pub(crate) fn stall_timeout(&self) -> u64 {
        self.serving.idle_timeout()
    }

    pub(crate) fn count_read(&self, bytes: u64) {
        if self.client.is_http2() {
            return; // counted below all streams
        }
        self.worker.shared.stats.shard(self.worker.index).bytes_read_total.add(bytes);
        self.serving.listener().stats.shard(self.worker.index).bytes_read_total.add(bytes);
    }

    pub(crate) fn count_written(&self, bytes: u64) {
        if self.client.is_http2() {
            return; // counted below all streams
        }
        self.worker.shared.stats.shard(self.worker.index).bytes_write_total.add(bytes);
        self.serving.listener().stats.shard(self.worker.index).bytes_write_total.add(bytes);
    }

    /// Writes a whole message of HTTP/1.1 that rosn made, within `within` nanoseconds. `stays_open`: something that is
    /// no body follows.
    pub(crate) async fn write_message(
        &mut self,
        bytes: &[u8],
        stays_open: bool,
        within: u64,
    ) -> io::Result<()> {
        self.timer.set(self.worker.clock.now().saturating_add(within));
        let Self { client, timer, .. } = self;
        {
            let mut write = std::pin::pin!(client.write_message(bytes, stays_open));
            poll_fn(|cx| {
                if timer.poll_expired(cx.waker()) {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                write.as_mut().poll(cx)
            })
            .await?;
        }
        self.count_written(bytes.len() as u64);
        Ok(())
    }
}

enum Inbound {
    Bytes,
    End,
    Timeout,
}

/// The `Date` field's value, made once a second.
#[derive(Debug, Default)]
pub(crate) struct DateCache(RefCell<(u64, String)>);

impl DateCache {
    /// Calls `f` with the date of `now`.
    pub(crate) fn with<R>(&self, now: SystemTime, f: impl FnOnce(&[u8]) -> R) -> R {
        let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut cached = self.0.borrow_mut();
        if cached.0 != second || cached.1.is_empty() {
            *cached = (second, httpdate::fmt_http_date(now));
        }
        f(cached.1.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an idle connection holds. Where this fails, something that is waited for but once, such as a dial, belongs
    /// into a box of its own.
    #[test]
    fn the_task_of_a_connection_is_not_large() {
        fn size<A, B, C, D, E, F>(_: impl Fn(A, B, C, D, E) -> F) -> usize {
            size_of::<F>()
        }
        assert!(size(serve) <= 3456, "{}", size(serve));
    }
}
