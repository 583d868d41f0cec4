//! One connection: its heads, one after the other, and its end.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use rosn_base::Buf;
use rosn_h1::{Framing, Progress, RequestError, RequestHead};
use rosn_net::{ConnInfo, Lingering, Prefixed, Stream};
use rosn_tls::Session;
use rosn_trace::{RequestContext, RequestTraceExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use super::begin::Version;
use super::drive::{After, Drive};
use super::exchange::Exchange;
use super::http2;
use super::incoming::IncomingBody;
use super::registry::Entry;
use super::request::request;
use super::response::{Asked, Date, refusal};
use super::timer::{Timer, after};
use super::{ConnState, Ended, Handler, Informational, ServeError, Server, ServerOptions};
use crate::Body;
use crate::hijack::{Hijacker, ShutdownSignal};
use crate::wire::poll_read;

/// Room for a head of ordinary size.
const ROOM: usize = 8 * 1024;
/// How long a connection that has sent nothing is waited for by a shutdown, as in Go.
pub(super) const NEW: Duration = Duration::from_secs(5);
/// How long a client may take for the answer to what is not served.
const REFUSAL: Duration = Duration::from_secs(5);

/// Serves one connection in the caller's task, with a server of its own: see
/// [`Server::serve_stream`](super::Server::serve_stream).
///
/// Cancel safety: dropping the future drops the handler and closes the connection.
///
/// # Errors
/// See [`ServeError`]; the client was told where it could be.
pub async fn serve<H: Handler>(
    stream: Stream,
    handler: H,
    options: ServerOptions,
) -> Result<Ended, ServeError> {
    Server::with_options(handler, options).serve_stream(stream).await
}

/// A connection of a server.
pub(super) struct Connection<H> {
    pub(super) wire: Wire,
    handler: Arc<H>,
    head: RequestHead,
    pub(super) shutdown: ShutdownSignal,
    pub(super) accepted: Instant,
    /// What TLS has agreed on.
    pub(super) session: Option<Session>,
}

/// What a connection reads from and writes to.
pub(super) struct Wire {
    /// `None` once it was hijacked; so is `entry`. It goes before the entry, which tells that it is closed.
    pub(super) stream: Option<Stream>,
    pub(super) entry: Option<Entry>,
    pub(super) is_hijacked: Arc<AtomicBool>,
    /// Bytes that were read and not used.
    pub(super) inbound: Buf,
    pub(super) timer: Timer,
    pub(super) date: Date,
    /// Empty buffers of a response's head and end.
    pub(super) spare: (Vec<u8>, Vec<u8>),
}

/// What came instead of another head.
pub(super) enum Stop {
    /// Nothing: the connection is at its end.
    End,
    Ended(Ended),
    Failed(ServeError),
}

impl<H: Handler> Connection<H> {
    pub(super) fn new(stream: Stream, handler: Arc<H>, entry: Entry) -> Self {
        let shutdown = entry.registry.shutdown.signal();
        let wire = Wire {
            stream: Some(stream),
            entry: Some(entry),
            is_hijacked: Arc::default(),
            inbound: Buf::default(),
            timer: Timer::new(),
            date: Date::default(),
            spare: Default::default(),
        };
        let head = RequestHead::default();
        Self { wire, handler, head, shutdown, accepted: Instant::now(), session: None }
    }

    pub(super) fn info(&self) -> &Arc<ConnInfo> {
        &self.wire.entry().info
    }

    /// Serves it to its end.
    pub(super) async fn run(mut self) -> Result<Ended, ServeError> {
        let mut shutdown = self.shutdown.clone();
        let mut of_hijacked = self.wire.entry().registry.hijacked.signal();
        let is_hijacked = Arc::clone(&self.wire.is_hijacked);
        let cut = async {
            shutdown.cut().await;
            // A handler that has hijacked its connection is treated as the connection is.
            if is_hijacked.load(Ordering::Relaxed) {
                of_hijacked.cut().await;
            }
        };
        tokio::select! {
            biased;
            ended = self.serve() => ended,
            () = cut => Ok(Ended::Closed),
        }
    }

    async fn serve(&mut self) -> Result<Ended, ServeError> {
        match self.begin().await {
            Ok(Version::Http1) => self.serve_http1().await,
            Ok(Version::Http2) => self.serve_http2().await,
            Err(Stop::End) => Ok(Ended::Closed),
            Err(Stop::Ended(ended)) => Ok(ended),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    async fn serve_http2(&mut self) -> Result<Ended, ServeError> {
        let Wire { stream, entry, is_hijacked, inbound, .. } = &mut self.wire;
        let (Some(stream), Some(entry)) = (stream.take(), entry.as_mut()) else {
            return Ok(Ended::Closed);
        };
        let stream = Prefixed::new(std::mem::take(inbound), stream);
        let session = self.session.take();
        let (handler, shutdown) = (&self.handler, &mut self.shutdown);
        http2::serve(stream, session, entry, is_hijacked, handler, shutdown, self.accepted).await
    }

    async fn serve_http1(&mut self) -> Result<Ended, ServeError> {
        loop {
            let length = match self.read_head().await {
                Ok(length) => length,
                Err(Stop::End) => return Ok(Ended::Closed),
                Err(Stop::Ended(ended)) => return Ok(ended),
                Err(Stop::Failed(error)) => return Err(self.refuse(error).await),
            };
            let (after, error) = self.exchange(length).await?;
            match after {
                After::KeepAlive => self.wire.entry_mut().set(ConnState::Idle),
                After::Hijacked => return error.map_or(Ok(Ended::Hijacked), Err),
                After::Close { linger } => {
                    if linger {
                        self.wire.linger().await;
                    }
                    return error.map_or(Ok(Ended::Closed), Err);
                }
            }
        }
    }

    /// Reads up to the end of a head; its length.
    async fn read_head(&mut self) -> Result<usize, Stop> {
        self.head.reset();
        let registry = Arc::clone(&self.wire.entry().registry);
        let options = &registry.options;
        let is_new = self.wire.entry().state() == ConnState::New;
        let (idle, header) = (options.idle_timeout, options.header_timeout);
        let mut deadline = after(if is_new { header } else { idle });
        let mut has_begun = false;
        loop {
            if !self.wire.inbound.is_empty() {
                if !has_begun {
                    has_begun = true;
                    deadline = if is_new { deadline } else { after(header) };
                    self.wire.entry_mut().set(ConnState::Active);
                }
                match self.head.parse(self.wire.inbound.unread(), &options.limits) {
                    Ok(Progress::Complete(length)) => return Ok(length),
                    Ok(Progress::Partial) => {}
                    Err(error) => return Err(Stop::Failed(error.into())),
                }
            }
            match self.wait(deadline, has_begun, is_new).await {
                Ok(1..) => {}
                Err(ServeError::HeaderTimeout) if !has_begun => return Err(Stop::End),
                Ok(0) | Err(ServeError::Io(_)) if !has_begun => return Err(Stop::End),
                Ok(0) => return Err(Stop::Failed(ServeError::TruncatedHead)),
                Err(error) => return Err(Stop::Failed(error)),
            }
        }
    }

    /// Reads more of a head, `Ok(0)` at the end of the stream, or where a shutdown leaves no time for another request.
    pub(super) async fn wait(
        &mut self,
        mut deadline: Instant,
        has_begun: bool,
        is_new: bool,
    ) -> Result<usize, ServeError> {
        let Self { wire, shutdown, accepted, .. } = self;
        let mut shutdown = pin!(async {
            if has_begun {
                std::future::pending().await
            } else {
                shutdown.wait().await;
            }
        });
        let mut is_told = false;
        poll_fn(|cx| {
            match wire.poll_read(cx) {
                Poll::Ready(read) => return Poll::Ready(read.map_err(ServeError::Io)),
                Poll::Pending => wire.drop_empty_buffer(),
            }
            if !is_told && shutdown.as_mut().poll(cx).is_ready() {
                is_told = true;
                if !is_new {
                    return Poll::Ready(Ok(0));
                }
                deadline = deadline.min(*accepted + NEW);
            }
            wire.timer.set(Some(deadline));
            wire.timer.poll(cx).map(|()| Err(ServeError::HeaderTimeout))
        })
        .await
    }

    /// Has the handler answer the request whose head is at the start of what was read.
    async fn exchange(&mut self, length: usize) -> Result<(After, Option<ServeError>), ServeError> {
        let bytes = Bytes::copy_from_slice(&self.wire.inbound.unread()[..length]);
        self.wire.inbound.consume(length);
        let request = match request(&self.head, &bytes) {
            Ok(request) => request,
            Err(error) => return Err(self.refuse(error).await),
        };
        let framing = self.head.framing();
        let interim = self.head.version() == rosn_h1::Version::Http11;
        let length = if let Framing::Length(length) = framing { Some(length) } else { None };
        let exchange = Exchange::new(interim, length);
        let body = match framing {
            Framing::None | Framing::Length(0) => Body::empty(),
            _ => Body::boxed(Box::pin(IncomingBody(Arc::clone(&exchange)))),
        };
        let asked = Asked::new(&self.head, request.headers());
        let mut request = request.map(|()| body);
        let (context, cancel) = RequestContext::background().with_cancel();
        request.set_context(context);
        let extensions = request.extensions_mut();
        extensions.insert(Hijacker::new(Arc::clone(&exchange)));
        extensions.insert(Informational::new(Arc::clone(&exchange)));
        extensions.insert(Arc::clone(&self.wire.entry().info));
        if let Some(session) = &self.session {
            extensions.insert(session.clone());
        }

        let handler = &self.handler;
        let mut answer = pin!(async move { handler.handle(request).await });
        let keep = self.head.keep_alive() && self.wire.entry().registry.options.keep_alive;
        let drive = Drive::new(&mut self.wire, exchange, cancel, asked, &self.head, &self.shutdown);
        Ok(drive.run(answer.as_mut(), keep).await)
    }

    /// Answers what is not to be served, and ends. Gives the error back.
    async fn refuse(&mut self, error: ServeError) -> ServeError {
        let (status, reason) = match &error {
            ServeError::Request(request) => (request.status(), request.reason()),
            ServeError::Target => (400, RequestError::Target.reason()),
            ServeError::HeaderTimeout => (408, "the head of the request took too long"),
            _ => return error,
        };
        let response = refusal(status, reason, &mut self.wire.date);
        self.wire.timer.set(Some(after(REFUSAL)));
        if self.wire.send(&response).await.is_ok() {
            self.wire.linger().await;
        }
        error
    }
}

impl Wire {
    pub(super) fn entry(&self) -> &Entry {
        self.entry.as_ref().expect("a connection that was hijacked is not served")
    }

    pub(super) fn entry_mut(&mut self) -> &mut Entry {
        self.entry.as_mut().expect("a connection that was hijacked is not served")
    }

    /// Reads as many bytes as there is room for, making some where there is none.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        if self.inbound.capacity() == 0 {
            ready!(stream.poll_read_ready(cx))?;
        }
        if self.inbound.room().is_empty() {
            self.inbound.compact();
        }
        if self.inbound.room().is_empty() {
            // What is read is bounded by those who read: the limits of a head, one read of a body.
            self.inbound.grow((self.inbound.capacity() * 2).max(ROOM));
        }
        poll_read(cx, stream, &mut self.inbound)
    }

    /// Who waits needs no buffer.
    pub(super) fn drop_empty_buffer(&mut self) {
        if self.inbound.is_empty() {
            self.inbound = Buf::default();
        }
    }

    /// Sends bytes, unless the timer expires.
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Self { stream: Some(stream), timer, .. } = self else { return Ok(()) };
        let mut write = pin!(async {
            stream.write_all(bytes).await?;
            stream.flush().await
        });
        poll_fn(|cx| match timer.poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => write.as_mut().poll(cx),
        })
        .await
    }

    /// Ends the connection so that the client can read what was sent although it is still sending.
    pub(super) async fn linger(&mut self) {
        if let Some(stream) = &mut self.stream {
            // Who is gone has no need of it.
            let _ = Lingering::new(stream).shutdown().await;
        }
    }
}
