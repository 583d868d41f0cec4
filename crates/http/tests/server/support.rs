//! A server on a port of its own, and raw clients.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use rosn_http::Body;
use rosn_http::server::{
    ConnState, Handler, HandlerFn, Policy, Server, ServerOptions, StateHook, Stopped, handler_fn,
};
use rosn_net::{ListenOptions, Net, OsNet};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Longer than anything takes that does not hang.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A server that runs, and the states its connections went through.
pub(crate) struct Running<H> {
    pub(crate) server: Server<H>,
    pub(crate) addr: std::net::SocketAddr,
    pub(crate) states: States,
    pub(crate) serving: JoinHandle<std::io::Result<()>>,
}

/// What a hook was told of connections, in order.
#[derive(Clone, Default)]
pub(crate) struct States(Arc<Mutex<Vec<(u64, ConnState)>>>);

impl States {
    /// Of the connection with this number; the first is 1.
    pub(crate) fn of(&self, id: u64) -> Vec<ConnState> {
        let all = self.0.lock().unwrap();
        all.iter().filter(|(of, _)| *of == id).map(|(_, state)| *state).collect()
    }

    /// Waits until the connection has gone through these states.
    pub(crate) async fn are(&self, id: u64, wanted: &[ConnState]) {
        let what = || format!("states {:?}, not {wanted:?}", self.of(id));
        until(|| self.of(id) == wanted, what).await;
    }

    fn hook(&self) -> StateHook {
        let states = Arc::clone(&self.0);
        StateHook::new(move |info, state| states.lock().unwrap().push((info.id, state)))
    }
}

/// Waits for a condition that comes sooner or later.
pub(crate) async fn until(holds: impl Fn() -> bool, what: impl Fn() -> String) {
    let waits = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(SOON, waits).await.is_ok(), "{}", what());
}

/// Waits for what comes sooner or later.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(SOON, future).await.expect("it does not come")
}

/// A server with these options.
pub(crate) fn start_with<H: Handler>(handler: H, mut options: ServerOptions) -> Running<H> {
    let states = States::default();
    options.state_hook = states.hook();
    let any = "127.0.0.1:0".parse().unwrap();
    let listener = OsNet.listen(&any, &ListenOptions::default()).unwrap();
    let rosn_base::Addr::Ip(addr) = listener.local_addr() else { panic!("a TCP listener") };
    let server = Server::with_options(handler, options);
    let serving = tokio::spawn({
        let server = server.clone();
        async move { server.serve(listener).await }
    });
    Running { server, addr, states, serving }
}

/// A server with this handler.
pub(crate) fn start<F, R>(handler: F) -> Running<HandlerFn<F>>
where
    F: Fn(Request<Body>) -> R + Send + Sync + 'static,
    R: Future<Output = Response<Body>> + Send,
{
    start_with(handler_fn(handler), ServerOptions::default())
}

impl<H: Handler> Running<H> {
    pub(crate) async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.addr).await.unwrap())
    }

    /// A client that has sent this.
    pub(crate) async fn send(&self, bytes: impl AsRef<[u8]>) -> Client {
        let mut client = self.connect().await;
        client.send(bytes).await;
        client
    }

    /// Ends the server, and looks for what it may have left behind.
    pub(crate) async fn stop(self) -> Stopped {
        let policy = Policy { deadline: Some(SOON), ..Policy::default() };
        let stopped = self.server.shutdown(policy).await;
        assert_eq!(stopped.cut, 0, "a connection did not end");
        assert_eq!(self.server.connections(), 0);
        let hijacked = || self.server.hijacked_connections() == 0;
        until(hijacked, || "a hijacked connection is still held".into()).await;
        soon(self.serving).await.unwrap().unwrap();
        stopped
    }
}

/// The client's end of a connection.
pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.0.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Ends the sending direction.
    pub(crate) async fn end(&mut self) {
        self.0.shutdown().await.unwrap();
    }

    /// Everything up to the end.
    pub(crate) async fn rest(&mut self) -> String {
        let mut all = Vec::new();
        soon(self.0.read_to_end(&mut all)).await.unwrap();
        // The server waits for our end, for a while.
        let _ = self.0.shutdown().await;
        String::from_utf8(all).unwrap()
    }

    /// Everything up to the end, which may be a reset.
    pub(crate) async fn rest_or_reset(&mut self) -> String {
        let mut all = Vec::new();
        let _ = soon(self.0.read_to_end(&mut all)).await;
        let _ = self.0.shutdown().await;
        String::from_utf8(all).unwrap()
    }

    /// So many bytes.
    pub(crate) async fn exactly(&mut self, count: usize) -> String {
        exactly(&mut self.0, count).await
    }

    /// Reads the bytes that are expected.
    pub(crate) async fn expect(&mut self, wanted: &str) {
        assert_eq!(self.exactly(wanted.len()).await, wanted);
    }

    /// A head, without its Date.
    pub(crate) async fn head(&mut self) -> String {
        head(&mut self.0).await
    }

    /// A response with Content-Length: status line and fields without Date, and the body.
    pub(crate) async fn response(&mut self) -> (String, String) {
        let head = self.head().await;
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        let body = self.exactly(length).await;
        (head, body)
    }
}

pub(crate) async fn exactly(stream: &mut (impl AsyncRead + Unpin), count: usize) -> String {
    let mut bytes = vec![0; count];
    soon(stream.read_exact(&mut bytes)).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

pub(crate) async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push_str(&exactly(stream, 1).await);
    }
    let lines = head.split_inclusive("\r\n");
    lines.filter(|line| !line.starts_with("Date: ")).collect()
}

pub(crate) fn text(text: impl Into<String>) -> Response<Body> {
    Response::new(Body::from(text.into()))
}

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// Polls once.
pub(crate) async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}
