//! The dialer's side: streams of pooled connections.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use h2::{PingPong, Reason, RecvStream, SendStream};
use http::{Response, StatusCode};
use rosn_base::Addr;
use rosn_config::checked::StreamSettings;
use rosn_net::{Lingering, Metered, PeerAddr, Stream};
use rosn_trace::{DialId, Event, Interest};
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, sleep, timeout};

use super::health::{Health, Permit};
use super::rules::Rules;
use super::stream::{Ends, HttpStream, into_io};
use super::{ALPN, MAX_FRAME, MAX_SEND_BUFFER, NAME};
use crate::layers::{Connect, Connected};
use crate::{BoxFuture, DialRequest, Dialer, Environment, TransportError};

/// Bytes that a stream may hold unread (v2ray's).
const STREAM_WINDOW: u32 = 4 << 20;
/// Bytes that all streams of a connection may hold unread (v2ray's): each is bounded by its own window.
const CONNECTION_WINDOW: u32 = 1 << 30;
/// Streams of a connection at a time, where the server allows more.
const MAX_STREAMS: usize = 250;
/// A connection on which nothing at all comes for so long after a request gets no more of them.
const SUSPICIOUS: Duration = Duration::from_secs(2);
/// What errors and events call it.
const REQUEST: &str = "HTTP/2 request";
/// Connections that a dial tries: a pooled one may turn out to be dead or full.
const TRIES: usize = 3;

/// Opens streams of connections that it keeps.
pub(super) struct HttpDialer {
    connect: Connect,
    rules: Rules,
    timeout: Duration,
    /// Whether connections begin with a PROXY header, and so belong to one client.
    labelled: bool,
    pool: Mutex<HashMap<Destination, Arc<Pool>>>,
}

/// What a connection may be used for: the address, and the client where a PROXY header names it.
type Destination = (Addr, Option<(PeerAddr, PeerAddr)>);

/// The connections to a destination.
#[derive(Default)]
struct Pool {
    connections: Mutex<Vec<Pooled>>,
    /// Held by the one who opens a connection, until it is known how many streams it may have. Holds why that failed
    /// the last time.
    opening: Arc<tokio::sync::Mutex<Option<Failure>>>,
}

struct Failure {
    at: Instant,
    kind: ErrorKind,
    text: String,
}

/// A connection that takes more streams.
#[derive(Clone)]
struct Pooled {
    sender: SendRequest<Bytes>,
    health: Arc<Health>,
    ends: Ends,
}

/// A place in a connection.
struct Place {
    pooled: Pooled,
    permit: Permit,
    /// Which dial has just opened it.
    opened: Option<DialId>,
}

impl HttpDialer {
    pub(super) fn new(
        settings: &Arc<StreamSettings>,
        environment: &Environment,
        rules: Rules,
    ) -> Result<Self, TransportError> {
        Ok(Self {
            connect: Connect::new(NAME, settings, environment, ALPN)?,
            rules,
            timeout: environment.limits.handshake_timeout,
            labelled: settings.proxy_protocol.send.is_some(),
            pool: Mutex::default(),
        })
    }

    fn pool(&self, to: &Addr, request: &DialRequest) -> Arc<Pool> {
        let client = request.client.clone().filter(|_| self.labelled);
        let mut pools = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (to.clone(), client);
        if let Some(pool) = pools.get(&key) {
            return pool.clone();
        }
        pools.retain(|_, pool| Arc::strong_count(pool) > 1 || pool.lives());
        pools.entry(key).or_default().clone()
    }

    /// A place in a connection that there is, or in a new one.
    ///
    /// Those who want a connection to the same destination at the same time wait for one and the same; when that fails,
    /// it has failed for all of them.
    async fn place(
        &self,
        pool: &Pool,
        to: &Addr,
        request: &DialRequest,
    ) -> Result<Place, TransportError> {
        let begun = Instant::now();
        if let Some(place) = pool.take() {
            return Ok(place);
        }
        let mut last = pool.opening.clone().lock_owned().await;
        if let Some(place) = pool.take() {
            return Ok(place);
        }
        if let Some(Failure { at, kind, text }) = &*last
            && *at > begun
        {
            let cause = io::Error::new(*kind, text.clone());
            return Err(failed("connection", to, cause));
        }
        match self.open(to, request).await {
            Ok((pooled, driver, id)) => {
                let permit = pooled.health.reserve(MAX_STREAMS);
                pool.lock().push(pooled.clone());
                tokio::spawn(driver.run(last));
                let lost = || failed("HTTP/2 handshake", to, ErrorKind::ConnectionReset.into());
                Ok(Place { pooled, permit: permit.ok_or_else(lost)?, opened: Some(id) })
            }
            Err(error) => {
                let (kind, text) = (error.kind(), error.to_string());
                *last = Some(Failure { at: Instant::now(), kind, text });
                Err(error)
            }
        }
    }

    /// Opens a connection.
    async fn open(
        &self,
        to: &Addr,
        request: &DialRequest,
    ) -> Result<(Pooled, Driver, DialId), TransportError> {
        let Connected { stream, alpn, id } = self.connect.connect(to, request).await?;
        if self.connect.is_secure() && alpn.as_deref() != Some(b"h2") {
            let chosen = alpn.as_deref().map_or("nothing".into(), String::from_utf8_lossy);
            let text = format!("the server agreed to {chosen} (ALPN), not to h2");
            let cause = io::Error::new(ErrorKind::InvalidData, text);
            return Err(failed("TLS handshake", to, cause));
        }
        let address = |addr: io::Result<PeerAddr>| addr.map_err(|e| failed("connection", to, e));
        let ends =
            Ends { peer: address(stream.peer_addr())?, local: address(stream.local_addr())? };
        let health = Health::new(self.labelled);
        let metered = Lingering::new(Metered::new(stream, health.clone()));
        let mut builder = client::Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(MAX_FRAME)
            .max_header_list_size(64 << 10)
            .max_send_buffer_size(MAX_SEND_BUFFER)
            // Until the server has said how many it takes: that of the one who opens it.
            .initial_max_send_streams(1);
        let handshake = timeout(self.timeout, builder.handshake(metered)).await;
        let (sender, mut connection) = match handshake {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Err(failed("HTTP/2 handshake", to, into_io(error))),
            Err(_) => return Err(failed("HTTP/2 handshake", to, ErrorKind::TimedOut.into())),
        };
        let pings = connection.ping_pong().expect("nobody else has taken it");
        let driver = Driver { connection, pings, health: health.clone() };
        Ok((Pooled { sender, health, ends }, driver, id))
    }

    /// Asks for a stream and waits for the answer.
    async fn ask(&self, place: Place) -> Result<HttpStream, Refused> {
        let Place { pooled: Pooled { mut sender, health, ends }, permit, opened: new } = place;
        let fresh = new.is_some();
        let asked = Instant::now();
        let request = self.rules.request(self.connect.is_secure());
        let (response, send) = sender.send_request(request, false).map_err(Refused::by)?;
        if !fresh {
            health.ask();
        }
        let answer = tokio::select! {
            answer = response => answer.map_err(Refused::by)?,
            () = silence(&health, asked), if !fresh => {
                health.close();
                return Err(Refused { again: true, cause: ErrorKind::TimedOut.into() });
            }
            () = sleep(self.timeout) => {
                let text = format!("there was no answer within {:?}", self.timeout);
                return Err(Refused::finally(io::Error::new(ErrorKind::TimedOut, text)));
            }
        };
        opened(answer, send, ends, permit)
    }
}

/// What keeps a connection going.
struct Driver {
    connection: client::Connection<Lingering<Metered<Arc<Health>>>, Bytes>,
    pings: PingPong,
    health: Arc<Health>,
}

impl Driver {
    /// Runs until the connection ends: with its streams when the pool is gone, as the pool has the last handle that
    /// could open more.
    ///
    /// Those who wait for `opening` learn then how many places there are. Streams beyond the server's limit would be
    /// refused, or wait in h2 for others to end.
    async fn run(self, mut opening: OwnedMutexGuard<Option<Failure>>) {
        let Self { connection, mut pings, health } = self;
        let watched = async {
            // The server's settings are the first that it sends.
            if health.is_answered(&mut pings).await {
                drop(opening);
                health.watch(pings).await;
            } else {
                let text = "the server does not answer".to_owned();
                *opening = Some(Failure { at: Instant::now(), kind: ErrorKind::TimedOut, text });
            }
        };
        tokio::select! {
            biased;
            _ = connection => {}
            () = watched => {}
        }
        health.close();
    }
}

/// The stream, if the answer is 200.
fn opened(
    answer: Response<RecvStream>,
    send: SendStream<Bytes>,
    ends: Ends,
    permit: Permit,
) -> Result<HttpStream, Refused> {
    let status = answer.status();
    if status != StatusCode::OK {
        let hint = match status {
            StatusCode::NOT_FOUND => "; are host and path the same on both sides?",
            _ => "",
        };
        let text = format!("the answer is {status}, not 200{hint}");
        return Err(Refused::finally(io::Error::new(ErrorKind::InvalidData, text)));
    }
    Ok(HttpStream::new(send, answer.into_body(), ends, Some(permit)))
}

/// Returns when nothing has come since `asked` for too long.
async fn silence(health: &Health, asked: Instant) {
    sleep(SUSPICIOUS).await;
    if health.heard() > asked {
        // It lives. The answer may take its time.
        std::future::pending::<()>().await;
    }
}

/// Why a connection gave no stream.
struct Refused {
    /// Another connection may.
    again: bool,
    cause: io::Error,
}

impl Refused {
    fn finally(cause: io::Error) -> Self {
        Self { again: false, cause }
    }

    /// No byte of the application was sent yet, so all that the connection itself is to blame for may be tried again.
    fn by(error: h2::Error) -> Self {
        let again = !error.is_reset() || error.reason() == Some(Reason::REFUSED_STREAM);
        Self { again, cause: into_io(error) }
    }
}

impl Dialer for HttpDialer {
    fn dial<'a>(
        &'a self,
        to: &'a Addr,
        request: &'a DialRequest,
    ) -> BoxFuture<'a, Result<Stream, TransportError>> {
        Box::pin(async move {
            let pool = self.pool(to, request);
            let mut tries = 0;
            loop {
                let place = self.place(&pool, to, request).await?;
                let health = place.pooled.health.clone();
                let (dial, transport) = (place.opened.unwrap_or_else(DialId::next), NAME);
                let start = || Event::HandshakeStart { dial, transport, phase: REQUEST };
                let pending = request.trace.begin(Interest::HANDSHAKE, start);
                let asked = self.ask(place).await;
                pending.done(|| {
                    let error = asked.as_ref().err().map(|refused| &refused.cause as _);
                    Event::HandshakeDone { dial, transport, phase: REQUEST, error }
                });
                tries += 1;
                match asked {
                    Ok(stream) => return Ok(Stream::boxed(stream)),
                    Err(Refused { again: true, .. }) if tries < TRIES => health.close(),
                    Err(Refused { cause, .. }) => {
                        return Err(failed(REQUEST, to, cause));
                    }
                }
            }
        })
    }
}

fn failed(phase: &'static str, to: &Addr, cause: io::Error) -> TransportError {
    TransportError::Handshake { transport: NAME, phase, addr: to.clone(), cause }
}

impl Pool {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Pooled>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place in a connection that lives, as far as is known. The dead ones are forgotten.
    fn take(&self) -> Option<Place> {
        let mut connections = self.lock();
        connections.retain_mut(|pooled| pooled.lives());
        connections.iter().find_map(|pooled| {
            let limit = pooled.sender.current_max_send_streams().min(MAX_STREAMS);
            let permit = pooled.health.reserve(limit)?;
            Some(Place { pooled: pooled.clone(), permit, opened: None })
        })
    }

    fn lives(&self) -> bool {
        self.lock().iter_mut().any(Pooled::lives)
    }
}

impl Pooled {
    /// Neither closed nor told to go away.
    fn lives(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        !self.health.is_closed() && !matches!(self.sender.poll_ready(&mut cx), Poll::Ready(Err(_)))
    }
}

impl fmt::Debug for HttpDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpDialer").field("rules", &self.rules).finish_non_exhaustive()
    }
}
