//! A server that follows a script, and a trace that writes down what it sees.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, Request, Response, StatusCode};
use rosn_http::{Body, Error, RoundTrip as _, Transport};
use rosn_trace::{BoxError, ClientTrace, Event, Interest, RequestTraceExt as _};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How long a test waits for what has to come. It is long, as machines may be slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for a future that has to be ready.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it never came")
}

/// Waits until something is so.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    soon(async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// A server whose connections follow a script.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    accepted: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Server {
    /// `script` is called with the number of each connection, from 0.
    pub(crate) async fn start<F, Fut>(script: F) -> Self
    where
        F: Fn(usize, Conn) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (accepted, open) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let counts = (Arc::clone(&accepted), Arc::clone(&open));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                counts.1.fetch_add(1, Ordering::SeqCst);
                let number = counts.0.fetch_add(1, Ordering::SeqCst);
                let conn = Conn { stream, buf: Vec::new(), _open: Open(Arc::clone(&counts.1)) };
                tokio::spawn(script(number, conn));
            }
        });
        Self { addr, accepted, open }
    }

    /// Answers each request with this, until the client closes.
    pub(crate) async fn always(answer: &'static str) -> Self {
        Self::start(move |_, mut conn| async move {
            while conn.head().await.is_some() {
                conn.send(answer).await;
            }
        })
        .await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub(crate) fn get(&self) -> Request<Body> {
        self.request(Method::GET, Body::empty())
    }

    pub(crate) fn request(&self, method: Method, body: impl Into<Body>) -> Request<Body> {
        Request::builder().method(method).uri(self.url("/")).body(body.into()).unwrap()
    }

    /// Connections that were accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Waits until all connections are closed by the client: nothing has leaked.
    pub(crate) async fn no_leak(&self) {
        until(|| self.open() == 0).await;
    }
}

struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A connection of a [`Server`]. It counts as open until it is dropped.
pub(crate) struct Conn {
    pub(crate) stream: TcpStream,
    buf: Vec<u8>,
    _open: Open,
}

impl Conn {
    /// The next request's head; `None` where the client has closed.
    pub(crate) async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buf.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head = self.buf.drain(..end + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// The next bytes of a body.
    pub(crate) async fn body(&mut self, len: usize) -> Option<String> {
        while self.buf.len() < len {
            if !self.more().await {
                return None;
            }
        }
        Some(String::from_utf8(self.buf.drain(..len).collect()).unwrap())
    }

    pub(crate) async fn send(&mut self, text: &str) {
        let _ = self.stream.write_all(text.as_bytes()).await;
    }

    /// Waits until the client closes.
    pub(crate) async fn closed(&mut self) {
        while self.more().await {
            self.buf.clear();
        }
    }

    /// A body in chunks, to its end.
    pub(crate) async fn chunks(&mut self) -> Option<String> {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            while !line.ends_with("\r\n") {
                line += &self.body(1).await?;
            }
            let len = usize::from_str_radix(line.trim(), 16).unwrap();
            let data = self.body(len + 2).await?;
            if len == 0 {
                return Some(all);
            }
            all += &data[..len];
        }
    }

    /// Ends the sending side, and waits until the client closes.
    pub(crate) async fn stream_end(&mut self) {
        let _ = self.stream.shutdown().await;
        self.closed().await;
    }

    /// Closes with a reset.
    pub(crate) fn reset(self) {
        rosn_net::Stream::from(self.stream).reset();
    }

    /// What came and was not looked at.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.buf
    }

    async fn more(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.buf).await, Ok(count) if count > 0)
    }
}

/// Writes events down.
#[derive(Clone, Default)]
pub(crate) struct Recorder {
    events: Arc<Mutex<Vec<String>>>,
    interest: Option<Interest>,
    veto: bool,
}

impl Recorder {
    pub(crate) fn vetoing() -> Self {
        Self { veto: true, ..Self::default() }
    }

    pub(crate) fn with_fields() -> Self {
        Self { interest: Some(Interest::ALL), ..Self::default() }
    }

    pub(crate) fn events(&self) -> Vec<String> {
        self.events.lock().unwrap().clone()
    }

    /// Those that begin with one of these.
    pub(crate) fn only(&self, kinds: &[&str]) -> Vec<String> {
        let is_wanted = |event: &String| kinds.iter().any(|kind| event.starts_with(kind));
        self.events().into_iter().filter(is_wanted).collect()
    }

    pub(crate) fn count(&self, kind: &str) -> usize {
        self.only(&[kind]).len()
    }

    pub(crate) fn note(&self, text: &str) {
        self.events.lock().unwrap().push(text.to_owned());
    }
}

impl ClientTrace for Recorder {
    fn interest(&self) -> Interest {
        self.interest.unwrap_or(Interest::TIMINGS | Interest::INFORMATIONAL)
    }

    fn event(&self, _: Instant, event: &Event<'_>) {
        self.note(&shown(event));
    }

    fn informational(&self, _: StatusCode, _: &HeaderMap) -> Result<(), BoxError> {
        if self.veto { Err("no interim responses".into()) } else { Ok(()) }
    }
}

fn shown(event: &Event<'_>) -> String {
    fn end<T>(result: &Result<T, rosn_trace::ErrorRef<'_>>) -> String {
        match result {
            Ok(_) => "ok".to_owned(),
            Err(error) => format!("failed: {error}"),
        }
    }
    match event {
        Event::DnsStart { host, .. } => format!("DnsStart {host}"),
        Event::DnsDone { error, .. } => format!("DnsDone {}", end(&error.map_or(Ok(()), Err))),
        Event::ConnectStart { .. } => "ConnectStart".to_owned(),
        Event::ConnectDone { result, .. } => format!("ConnectDone {}", end(result)),
        Event::GetConn { attempt, .. } => format!("GetConn {attempt}"),
        Event::PoolWait { queued, .. } => format!("PoolWait {queued}"),
        Event::GotConn(info) => format!(
            "GotConn reused={} was_idle={} before={}",
            info.reused, info.was_idle, info.requests_before
        ),
        Event::GetConnFailed { error, .. } => format!("GetConnFailed: {error}"),
        Event::WroteHeaderField { name, value } => {
            format!("Field {name}: {}", value.to_str().unwrap_or("?"))
        }
        Event::WroteRequest { bytes, body_sent, result } => {
            format!("WroteRequest {bytes} body_sent={body_sent} {}", end(result))
        }
        Event::Informational { status, headers } => {
            let fields: Vec<_> =
                headers.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
            format!("Informational {} {}", status.as_u16(), fields.join(" ")).trim_end().to_owned()
        }
        Event::ResponseHead { status } => format!("ResponseHead {}", status.as_u16()),
        Event::ResponseBodyDone { bytes, result } => {
            format!("ResponseBodyDone {bytes} {}", end(result))
        }
        Event::PutIdle { result: Ok(()), .. } => "PutIdle ok".to_owned(),
        Event::PutIdle { result: Err(reason), .. } => format!("PutIdle {reason:?}"),
        Event::Retry { attempt, .. } => format!("Retry {attempt}"),
        Event::Failed { error } => format!("Failed: {error}"),
        Event::Upgraded { .. } => "Upgraded".to_owned(),
        other => format!("{other:?}"),
    }
}

/// A transport with Go's defaults.
pub(crate) fn transport() -> Transport {
    Transport::builder().build().unwrap()
}

/// Sends a request with a trace.
pub(crate) async fn send(
    transport: &Transport,
    mut request: Request<Body>,
    trace: &Recorder,
) -> Result<Response<Body>, Error> {
    request.with_trace(trace.clone());
    soon(transport.round_trip(request)).await
}

/// The status and the body of a response.
pub(crate) async fn read(response: Response<Body>) -> (u16, String) {
    let status = response.status().as_u16();
    let body = soon(response.into_body().bytes(1 << 24)).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
pub(crate) const EMPTY: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// A network where so many dials may succeed; the others wait.
#[derive(Debug)]
pub(crate) struct Gate {
    dials: AtomicUsize,
    allowed: tokio::sync::watch::Sender<usize>,
}

impl Gate {
    pub(crate) fn new(allowed: usize) -> Arc<Self> {
        let allowed = tokio::sync::watch::Sender::new(allowed);
        Arc::new(Self { dials: AtomicUsize::new(0), allowed })
    }

    pub(crate) fn allow(&self, count: usize) {
        self.allowed.send_replace(count);
    }

    /// Dials that were begun.
    pub(crate) fn dials(&self) -> usize {
        self.dials.load(Ordering::SeqCst)
    }

    /// Options of a transport that dials through this.
    pub(crate) fn options(self: &Arc<Self>) -> rosn_http::connect::ConnectOptions {
        let net = Arc::new(Gated(Arc::clone(self)));
        let dialer = rosn_net::Dialer::new(net, Arc::new(rosn_net::SystemResolver));
        rosn_http::connect::ConnectOptions { dialer, ..Default::default() }
    }
}

#[derive(Debug)]
struct Gated(Arc<Gate>);

impl rosn_net::Net for Gated {
    fn connect<'a>(
        &'a self,
        addr: &'a rosn_base::Addr,
        options: &'a rosn_net::DialOptions,
    ) -> rosn_net::BoxFuture<'a, Result<rosn_net::Stream, rosn_net::DialError>> {
        Box::pin(async move {
            let number = self.0.dials.fetch_add(1, Ordering::SeqCst) + 1;
            let mut allowed = self.0.allowed.subscribe();
            allowed.wait_for(|allowed| *allowed >= number).await.unwrap();
            rosn_net::OsNet.connect(addr, options).await
        })
    }

    fn listen(
        &self,
        addr: &rosn_base::Addr,
        options: &rosn_net::ListenOptions,
    ) -> Result<Box<dyn rosn_net::NetListener>, rosn_net::BindError> {
        rosn_net::OsNet.listen(addr, options)
    }

    fn bind_udp(
        &self,
        addr: SocketAddr,
        options: &rosn_net::ListenOptions,
    ) -> Result<Arc<dyn rosn_net::Datagrams>, rosn_net::BindError> {
        rosn_net::OsNet.bind_udp(addr, options)
    }

    fn dial_udp(
        &self,
        target: SocketAddr,
        options: &rosn_net::DialOptions,
    ) -> Result<Arc<dyn rosn_net::Datagrams>, rosn_net::DialError> {
        rosn_net::OsNet.dial_udp(target, options)
    }
}

/// Bodies that are held back until a test lets them go.
#[derive(Clone)]
pub(crate) struct Hold(tokio::sync::watch::Sender<usize>);

impl Hold {
    pub(crate) fn new() -> Self {
        Self(tokio::sync::watch::Sender::new(0))
    }

    pub(crate) fn release(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    /// Waits for the so-manieth release.
    pub(crate) async fn wait(&self, number: usize) {
        self.0.subscribe().wait_for(|count| *count >= number).await.unwrap();
    }
}

/// Runs a request on its own, and reads its response.
pub(crate) fn spawn(
    transport: &Transport,
    request: Request<Body>,
    trace: &Recorder,
) -> tokio::task::JoinHandle<Result<(u16, String), Error>> {
    let (transport, trace) = (transport.clone(), trace.clone());
    tokio::spawn(async move { Ok(read(send(&transport, request, &trace).await?).await) })
}
