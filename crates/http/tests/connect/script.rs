//! What the tests have in common: servers that follow a script, and what a trace saw.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rosn_http::Error;
use rosn_http::connect::{ConnectOptions, Connected, Connector, Proxies, Target, uri};
use rosn_net::Stream;
use rosn_tls::{Acceptor, ClientOptions, KeyPair, ServerOptions, self_signed};
use rosn_trace::{ClientTrace, DialId, Event, Interest, TraceHandle};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A server that does `script` with each connection, one after the other.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn new<F>(script: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                script(stream).await;
            }
        });
        Self { addr, task }
    }

    /// Whether its script has panicked.
    pub(crate) fn check(&self) {
        assert!(!self.task.is_finished(), "the server's script failed");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Says `greeting`, then gives back what it reads, in upper case.
pub(crate) async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin, greeting: &str) {
    if stream.write_all(greeting.as_bytes()).await.is_err() {
        return;
    }
    let mut bytes = [0; 1024];
    while let Ok(count @ 1..) = stream.read(&mut bytes).await {
        if stream.write_all(&bytes[..count].to_ascii_uppercase()).await.is_err() {
            return;
        }
        let _ = stream.flush().await;
    }
}

/// Reads a head up to its empty line.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Copies between the two until both have ended.
pub(crate) async fn join(mut one: impl AsyncRead + AsyncWrite + Unpin, to: SocketAddr) {
    let mut other = TcpStream::connect(to).await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut one, &mut other).await;
}

/// Waits for the end of the peer's bytes.
pub(crate) async fn closed(stream: &mut (impl AsyncRead + Unpin)) {
    let mut rest = Vec::new();
    let _ = within(stream.read_to_end(&mut rest)).await;
}

/// That it is done in the end.
pub(crate) async fn within<F: Future>(work: F) -> F::Output {
    timeout(PATIENCE, work).await.expect("it is done in the end")
}

/// Waits for a condition.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "it never came true");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A certificate for `localhost`, `proxy.test` and `server.test`, and who trusts it.
pub(crate) struct Secret {
    pub(crate) acceptor: Acceptor,
    pub(crate) client: ClientOptions,
}

impl Secret {
    pub(crate) fn new() -> Self {
        let pair: KeyPair = self_signed(&["localhost", "proxy.test", "server.test"]).unwrap();
        let roots = vec![pair.certificate.clone()];
        let client = ClientOptions { system_roots: false, roots, ..ClientOptions::default() };
        let alpn = vec!["h2".to_owned(), "http/1.1".to_owned()];
        let options = ServerOptions { certificates: vec![pair], alpn, ..ServerOptions::default() };
        Self { acceptor: Acceptor::new(&options).unwrap(), client }
    }
}

/// Options without proxies, that find `server.test` and `proxy.test` on this host.
pub(crate) fn options(ports: &[SocketAddr]) -> ConnectOptions {
    let names = ["server.test", "proxy.test", "xn--e1afmkfd.xn--p1ai"];
    let authorities = ports
        .iter()
        .flat_map(|addr| names.map(|name| (format!("{name}:{}", addr.port()).into(), addr.ip())));
    let resolve: HashMap<Box<str>, Vec<IpAddr>> =
        authorities.map(|(authority, ip)| (authority, vec![ip])).collect();
    ConnectOptions { proxies: Proxies::none(), resolve, ..ConnectOptions::default() }
}

/// Makes a connection, and tells what a trace saw of it.
pub(crate) async fn connect(
    options: ConnectOptions,
    url: &str,
) -> (Result<Connected, Error>, Vec<String>) {
    let (connector, log) = (Connector::new(options).unwrap(), Log::default());
    let target = match connector.target(&uri(url).unwrap()) {
        Ok(target) => target,
        Err(error) => return (Err(error), Vec::new()),
    };
    let result = within(connect_to(&connector, &target, &log)).await;
    (result, log.lines())
}

pub(crate) async fn connect_to(
    connector: &Connector,
    target: &Target,
    log: &Log,
) -> Result<Connected, Error> {
    connector.connect(target, &TraceHandle::new(log.clone()), DialId::next(), None).await
}

/// That `stream` is joined with an [`echo`] of that greeting.
pub(crate) async fn assert_echo(stream: &mut Stream, greeting: &str) {
    let mut greeted = vec![0; greeting.len()];
    within(stream.read_exact(&mut greeted)).await.unwrap();
    assert_eq!(greeted, greeting.as_bytes());
    stream.write_all(b"hello").await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = [0; 5];
    within(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HELLO");
}

/// What a trace saw, a line each, without ports.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl ClientTrace for Log {
    fn interest(&self) -> Interest {
        Interest::ALL
    }

    fn event(&self, _at: Instant, event: &Event<'_>) {
        let line = match event {
            Event::DnsStart { host, .. } => format!("dns {host}"),
            Event::DnsDone { error: Some(error), .. } => format!("dns done: {error}"),
            Event::DnsDone { addrs, .. } => format!("dns done: {}", addrs.len()),
            Event::ConnectStart { try_no, addr, .. } => {
                let host = addr.to_string();
                let host = host.rsplit_once(':').map_or(&*host, |(host, _)| host);
                format!("connect {try_no} {host}")
            }
            Event::ConnectDone { try_no, result, .. } => {
                format!("connect {try_no} done: {}", outcome(result.map(|()| "ok")))
            }
            Event::ProxyHandshakeStart { .. } => "proxy".to_owned(),
            Event::ProxyHandshakeDone { status, error, .. } => {
                let result = error.map_or(Ok("ok"), Err);
                format!("proxy done: {status:?} {}", outcome(result))
            }
            Event::TlsStart { server_name, .. } => format!("tls {server_name}"),
            Event::TlsDone { server_name, result, .. } => {
                let alpn = result.map(|info| std::str::from_utf8(info.alpn.unwrap_or(b"-")));
                format!("tls {server_name} done: {}", outcome(alpn.map(Result::unwrap)))
            }
            event => format!("{event:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

fn outcome(result: Result<&str, rosn_trace::ErrorRef<'_>>) -> String {
    match result {
        Ok(text) => text.to_owned(),
        Err(error) => error.to_string(),
    }
}
