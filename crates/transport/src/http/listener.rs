//! The listener's side: connections in tasks of their own, whose streams are handed out.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream};
use http::{Request, StatusCode};
use rosn_base::Addr;
use rosn_config::checked::StreamSettings;
use rosn_net::{Lingering, Stream};
use rosn_tls::Session;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::rules::Rules;
use super::stream::{Ends, HttpStream, into_io};
use super::{ALPN, MAX_FRAME, MAX_SEND_BUFFER, NAME};
use crate::handshakes::{Failed, Handshakes};
use crate::layers::{Below, listen};
use crate::{Accepted, Environment, Listener, TransportError};

/// Streams of a connection at a time (v2ray's).
const MAX_STREAMS: u32 = 250;
/// Bytes that a stream may hold unread (v2ray's).
const STREAM_WINDOW: u32 = 1 << 20;
/// Bytes that the streams of a connection may hold unread together.
const CONNECTION_WINDOW: u32 = 16 << 20;
/// A connection without streams is closed after this time.
const IDLE: Duration = Duration::from_secs(300);
/// Streams that are ready for [`Listener::poll_accept`]. More wait for their 200 in their connections.
const READY: usize = 64;

type Connection = server::Connection<Lingering<Stream>, Bytes>;

/// A connection after its handshakes.
struct Opened {
    connection: Connection,
    ends: Ends,
    tls: Option<Session>,
}

/// Hands out streams.
pub(super) struct HttpListener {
    connections: Handshakes<Opened>,
    /// Connections that may be open, with streams or without.
    places: Arc<Semaphore>,
    rules: Arc<Rules>,
    ready: mpsc::Receiver<Accepted>,
    hand_out: mpsc::Sender<Accepted>,
    /// Becomes true, or is dropped, when connections are to take no more streams.
    drain: watch::Sender<bool>,
}

impl HttpListener {
    pub(super) fn new(
        at: &Addr,
        settings: &Arc<StreamSettings>,
        environment: &Environment,
        rules: Rules,
    ) -> Result<Self, TransportError> {
        let header_list = u32::try_from(environment.limits.head_bytes).unwrap_or(u32::MAX);
        let upgrade = move |below| handshake(below, header_list);
        let connections = listen(NAME, at, settings, environment, ALPN, upgrade)?;
        let (hand_out, ready) = mpsc::channel(READY);
        let drain = watch::Sender::new(false);
        let places = Arc::new(Semaphore::new(environment.limits.sessions));
        Ok(Self { connections, places, rules: Arc::new(rules), ready, hand_out, drain })
    }
}

impl Listener for HttpListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        loop {
            if let Poll::Ready(Some(accepted)) = self.ready.poll_recv(cx) {
                return Poll::Ready(Ok(accepted));
            }
            let opened = std::task::ready!(self.connections.poll_next(cx))?;
            let Ok(place) = self.places.clone().try_acquire_owned() else {
                let peer = &opened.ends.peer;
                tracing::debug!(transport = NAME, %peer, "refused: too many connections are open");
                continue;
            };
            let Opened { connection, ends, tls } = opened;
            let served = Served {
                connection,
                ends,
                tls,
                rules: self.rules.clone(),
                waiting: VecDeque::new(),
                draining: false,
            };
            let run = served.run(self.hand_out.clone(), self.drain.subscribe());
            tokio::spawn(async move {
                run.await;
                drop(place);
            });
        }
    }

    fn local_addr(&self) -> Addr {
        self.connections.local_addr()
    }

    fn drain(&mut self) {
        self.connections.drain();
        self.drain.send_replace(true);
    }
}

async fn handshake(below: Below, header_list: u32) -> Result<Opened, Failed> {
    let Below { stream, peer, local, tls } = below;
    if tls.as_ref().and_then(Session::alpn).is_some_and(|alpn| alpn != b"h2") {
        let cause = io::Error::new(io::ErrorKind::InvalidData, "the client does not speak h2");
        return Err(Failed { phase: "TLS handshake", cause });
    }
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(MAX_STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME)
        .max_header_list_size(header_list)
        .max_send_buffer_size(MAX_SEND_BUFFER);
    let connection = builder.handshake(Lingering::new(stream)).await;
    let connection = connection.map_err(into_io).map_err(Failed::at("HTTP/2 handshake"))?;
    Ok(Opened { connection, ends: Ends { peer, local }, tls })
}

/// A request that was let in and waits for its 200.
type Waiting = (Request<RecvStream>, SendResponse<Bytes>);

/// One connection.
struct Served {
    connection: Connection,
    ends: Ends,
    tls: Option<Session>,
    rules: Arc<Rules>,
    waiting: VecDeque<Waiting>,
    draining: bool,
}

impl Served {
    /// Drives the connection until it ends. It ends when it was told to and its last stream is over.
    async fn run(mut self, hand_out: mpsc::Sender<Accepted>, mut drain: watch::Receiver<bool>) {
        let mut idle_at = Instant::now() + IDLE;
        loop {
            tokio::select! {
                // Also when the listener is gone.
                _ = drain.wait_for(|drain| *drain), if !self.draining => self.shut_down(),
                permit = hand_out.reserve(), if !self.waiting.is_empty() => match permit {
                    Ok(permit) => if let Some(accepted) = self.let_in() {
                        permit.send(accepted);
                    },
                    // The client may ask for them elsewhere.
                    Err(_) => for (_, mut respond) in self.waiting.drain(..) {
                        respond.send_reset(Reason::REFUSED_STREAM);
                    },
                },
                accepted = self.connection.accept() => match accepted {
                    Some(Ok((request, respond))) => {
                        idle_at = Instant::now() + IDLE;
                        self.check(request, respond);
                    }
                    Some(Err(error)) => {
                        let peer = &self.ends.peer;
                        tracing::debug!(transport = NAME, %peer, %error, "a connection failed");
                        return;
                    }
                    None => return,
                },
                () = sleep_until(idle_at) => {
                    idle_at = Instant::now() + IDLE;
                    if !self.connection.has_streams() {
                        if self.draining {
                            return;
                        }
                        self.shut_down();
                    }
                }
            }
        }
    }

    fn shut_down(&mut self) {
        self.draining = true;
        self.connection.graceful_shutdown();
    }

    /// Refuses a request, or has it wait to be handed out.
    fn check(&mut self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let answer = self.rules.answer(&request);
        if answer.status() != StatusCode::OK {
            let (peer, uri) = (&self.ends.peer, request.uri());
            tracing::debug!(transport = NAME, %peer, %uri, "nothing is served there");
            // It fails where the client has given up.
            let _ = respond.send_response(answer, true);
        } else if self.waiting.len() >= MAX_STREAMS as usize {
            // Streams that were reset while they waited still have their place.
            respond.send_reset(Reason::REFUSED_STREAM);
        } else {
            self.waiting.push_back((request, respond));
        }
    }

    /// Says 200 to the next one that still wants it.
    fn let_in(&mut self) -> Option<Accepted> {
        while let Some((request, mut respond)) = self.waiting.pop_front() {
            let answer = self.rules.answer(&request);
            if let Ok(send) = respond.send_response(answer, false) {
                let ends = self.ends.clone();
                let stream = HttpStream::new(send, request.into_body(), ends.clone(), None);
                let stream = Stream::boxed(stream);
                let (peer, local, tls) = (ends.peer, ends.local, self.tls.clone());
                return Some(Accepted { stream, peer, local, tls });
            }
        }
        None
    }
}
