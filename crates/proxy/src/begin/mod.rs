//! From an accepted connection to what is spoken on it: TLS, and then what its first bytes say.
//!
//! Only listeners that need it come this way. It is a task of its own, which ends when it is known what the connection
//! is: what serves it does not carry what is needed here.

mod detect;
mod secure;

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use rosn_base::Timer;
use rosn_config::checked::{HttpProxy, IdleTimeout, Protocol};
use rosn_net::Stream;
use rosn_tls::ClientHello;
use tokio::io::ReadBuf;
use tracing::debug;

use crate::client::ClientInfo;
use crate::context::{Admission, Serving, Worker};
use crate::snapshot::{Asked, Listener, Service};
use crate::upstream::{NEVER, nanos};
use crate::{http, http2, tcp};
use detect::Guess;

/// Whether the first bytes of a connection have to be looked at.
pub(crate) fn is_needed(listener: &Listener) -> bool {
    let config = &listener.config;
    let detects = match &listener.service {
        Service::Http { proxy, fallback, .. } => proxy.protocols.len() > 1 || fallback.is_some(),
        Service::Tcp(_) | Service::Udp(_) => false,
    };
    listener.tls.is_some() || config.reads_hello || detects
}

/// Finds out what a connection is, and has it served.
pub(crate) async fn begin(
    worker: Rc<Worker>,
    serving: Serving,
    stream: Stream,
    info: ClientInfo,
    admission: Admission,
) {
    let timer = worker.wheel.timer();
    let mut beginning = Beginning { worker, serving, info, timer, first_byte_by: 0 };
    let Some((stream, found)) = beginning.run(stream).await else { return };
    let Beginning { worker, serving, info, .. } = beginning;
    match found {
        Found::Http1 => {
            tokio::task::spawn_local(http::serve(worker, serving, stream, info, admission));
        }
        Found::Http2 => {
            tokio::task::spawn_local(http2::serve(worker, serving, stream, info, admission));
        }
        Found::Bytes(asked) => {
            tokio::task::spawn_local(tcp::serve(worker, serving, stream, info, asked, admission));
        }
    }
}

/// What a connection is.
enum Found {
    Http1,
    Http2,
    /// For `tcp_proxy`.
    Bytes(Asked),
}

/// What was seen of a connection without taking it.
enum Look {
    /// So many bytes are there. Not more than were seen before: no more will come.
    Bytes(usize),
    /// Not in time.
    Silent,
    /// The client, or this worker, has gone.
    Gone,
}

/// A connection of which it is not known what it is.
struct Beginning {
    worker: Rc<Worker>,
    serving: Serving,
    info: ClientInfo,
    timer: Timer,
    /// Until when the client may be silent.
    first_byte_by: u64,
}

impl Beginning {
    async fn run(&mut self, mut stream: Stream) -> Option<(Stream, Found)> {
        self.first_byte_by = self.patience();
        let listener = Arc::clone(self.serving.listener());
        let mut asked = Asked::default();
        // ALPN of a transport is about the transport, and not about what is spoken on it.
        let mut agreed = None;
        if let Some(tls) = &listener.tls
            && (!listener.config.inspector || self.begins_tls(&mut stream).await?)
        {
            let session;
            (stream, session) = self.secure(tls, stream).await?;
            asked = Asked::of_session(&session);
            agreed = session.alpn().and_then(detect::by_alpn);
            self.info.tls = Some(session);
            self.first_byte_by = self.patience();
        } else if listener.config.reads_hello {
            asked = self.read_hello(&mut stream).await?.map(Asked::of_hello).unwrap_or_default();
        }
        let found = match &listener.service {
            Service::Http { proxy, fallback, .. } => {
                match self.detect(proxy, fallback.is_some(), agreed, &mut stream).await? {
                    Some(Protocol::Http2) => Found::Http2,
                    Some(_) => Found::Http1,
                    None => Found::Bytes(asked),
                }
            }
            Service::Tcp(_) | Service::Udp(_) => Found::Bytes(asked),
        };
        Some((stream, found))
    }

    /// What is spoken; the inner `None` is what falls back to `tcp_proxy`. `agreed` was agreed on (ALPN). Refuses what
    /// nobody understands.
    async fn detect(
        &mut self,
        proxy: &HttpProxy,
        falls_back: bool,
        agreed: Option<Protocol>,
        stream: &mut Stream,
    ) -> Option<Option<Protocol>> {
        if let ([only], false) = (&*proxy.protocols, falls_back) {
            return Some(Some(*only));
        }
        if let Some(agreed) = agreed
            && proxy.protocols.contains(&agreed)
        {
            return Some(Some(agreed));
        }
        let (mut room, mut seen) = ([0; detect::ENOUGH], 0);
        let mut deadline = self.first_byte_by;
        loop {
            match self.look(stream, seen, &mut room, deadline).await {
                Look::Gone => return None,
                // The server speaks first there.
                Look::Silent if falls_back => return Some(None),
                // Half of a beginning: HTTP/1.1 says what that is.
                Look::Silent if seen > 0 && proxy.protocols.contains(&Protocol::Http1) => {
                    return Some(Some(Protocol::Http1));
                }
                Look::Silent => return None,
                Look::Bytes(count) => {
                    let is_all = count <= seen || count == room.len();
                    let bytes = &room[..count];
                    match detect::guess(bytes, &proxy.protocols, falls_back, is_all) {
                        Guess::Is(protocol) => return Some(Some(protocol)),
                        Guess::Unknown if falls_back => return Some(None),
                        Guess::Unknown => {
                            self.refuse(bytes);
                            return None;
                        }
                        Guess::More => {}
                    }
                    if seen == 0 && !falls_back {
                        deadline = self.after(self.limits().header_timeout);
                    }
                    seen = count;
                }
            }
        }
    }

    fn refuse(&self, bytes: &[u8]) {
        let listener = &self.serving.listener().config.name;
        let what = detect::describe(bytes);
        debug!(%listener, peer = %self.info.peer, "no protocol of this listener begins so: {what}");
    }

    /// Whether a client begins with TLS, by its first byte (as in MOSN).
    async fn begins_tls(&mut self, stream: &mut Stream) -> Option<bool> {
        let mut room = [0; 1];
        match self.look(stream, 0, &mut room, self.first_byte_by).await {
            Look::Gone => None,
            // A client of HTTP that says nothing is a connection in reserve; any other waits for the server.
            Look::Silent => self.server_may_speak_first().then_some(false),
            Look::Bytes(_) => Some(room[0] == detect::TLS),
        }
    }

    /// What the client says first in TLS that goes on as it is. The inner `None`: it says something else, or nothing.
    async fn read_hello(&mut self, stream: &mut Stream) -> Option<Option<ClientHello>> {
        let (mut room, mut seen) = (vec![0; 4096], 0);
        let mut deadline = self.first_byte_by;
        loop {
            let count = match self.look(stream, seen, &mut room, deadline).await {
                Look::Gone => return None,
                Look::Silent if seen == 0 && self.server_may_speak_first() => return Some(None),
                Look::Silent => return None,
                Look::Bytes(count) => count,
            };
            match ClientHello::parse(&room[..count]) {
                Ok(Some(hello)) => return Some(Some(hello)),
                Ok(None) if count <= seen => return Some(None),
                Ok(None) => {}
                Err(error) => {
                    debug!(peer = %self.info.peer, "no server name was read: {error}");
                    return Some(None);
                }
            }
            if seen == 0 {
                deadline = self.after(self.limits().handshake_timeout);
            }
            seen = count;
            if count == room.len() {
                room.resize(count.saturating_mul(2).min(ClientHello::LIMIT), 0);
            }
        }
    }

    /// Waits until more than `seen` bytes are there.
    async fn look(
        &mut self,
        stream: &mut Stream,
        seen: usize,
        room: &mut [u8],
        deadline: u64,
    ) -> Look {
        self.timer.set(deadline);
        poll_fn(|cx| {
            let mut into = ReadBuf::new(room);
            match stream.poll_peek_more(cx, seen, &mut into) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Look::Gone),
                Poll::Ready(Ok(count)) => return Poll::Ready(Look::Bytes(count)),
                Poll::Pending => {}
            }
            if self.timer.poll_expired(cx.waker()) {
                return Poll::Ready(Look::Silent);
            }
            // A connection on which nothing was said is idle.
            if seen == 0 && self.worker.is_draining() {
                return Poll::Ready(Look::Gone);
            }
            Poll::Pending
        })
        .await
    }

    /// Until when the first byte is waited for, from now on.
    fn patience(&self) -> u64 {
        if self.server_may_speak_first() {
            return self.after(self.limits().detection_timeout);
        }
        match self.serving.listener().config.idle_timeout {
            IdleTimeout::Default => self.after(self.limits().idle_timeout),
            IdleTimeout::Never => NEVER,
            IdleTimeout::After(idle) => self.after(idle),
        }
    }

    /// Whether the client may be waiting for the other side.
    fn server_may_speak_first(&self) -> bool {
        match &self.serving.listener().service {
            Service::Http { fallback, .. } => fallback.is_some(),
            Service::Tcp(_) | Service::Udp(_) => true,
        }
    }

    fn after(&self, time: std::time::Duration) -> u64 {
        self.worker.clock.refresh().saturating_add(nanos(time))
    }

    fn limits(&self) -> rosn_config::checked::Limits {
        self.serving.snapshot().limits
    }
}
