//! The client above a real transport, with real servers and proxies.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::Request;
use rosn_http::client::{Client, CookieJar};
use rosn_http::connect::{ConnectOptions, Proxies};
use rosn_http::{Body, Transport};
use rosn_tls::{Acceptor, ClientOptions, ServerOptions, self_signed};
use rosn_trace::{ClientTrace, Event, Interest, RequestTraceExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The heads that servers got, with a mark of the connection that each came on.
#[derive(Clone, Default)]
struct Heads(Arc<Mutex<Vec<(usize, String)>>>);

impl Heads {
    fn lines(&self) -> Vec<String> {
        let heads = self.0.lock().unwrap();
        heads.iter().map(|(_, head)| head.lines().next().unwrap().to_owned()).collect()
    }

    fn connections(&self) -> Vec<usize> {
        self.0.lock().unwrap().iter().map(|(connection, _)| *connection).collect()
    }
}

/// Answers requests: `/to?…` redirects there, all else is 200. CONNECT is answered too, and TLS follows it.
async fn serve(acceptor: Option<Acceptor>) -> (SocketAddr, Heads) {
    let listener = TcpListener::bind((LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let heads = Heads::default();
    let kept = heads.clone();
    tokio::spawn(async move {
        for connection in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let (kept, acceptor) = (kept.clone(), acceptor.clone());
            tokio::spawn(async move {
                // A peer that has gone is none of its business.
                let _ = converse(stream, connection, &kept, acceptor).await;
            });
        }
    });
    (addr, heads)
}

async fn converse(
    mut stream: TcpStream,
    connection: usize,
    heads: &Heads,
    acceptor: Option<Acceptor>,
) -> io::Result<()> {
    if let Some(acceptor) = acceptor {
        let head = read_head(&mut stream).await?;
        heads.0.lock().unwrap().push((connection, head));
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        return answer(acceptor.accept(stream).await?, connection, heads).await;
    }
    answer(stream, connection, heads).await
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: usize,
    heads: &Heads,
) -> io::Result<()> {
    loop {
        let head = read_head(&mut stream).await?;
        let target = head.split(' ').nth(1).unwrap_or_default();
        let answer = match target.split_once("/to?") {
            Some((_, to)) => format!(
                "HTTP/1.1 302 Found\r\nLocation: {to}\r\nSet-Cookie: k=v; Path=/\r\nContent-Length: 4\r\n\r\ngone"
            ),
            None if target == "/never" => {
                std::future::pending::<()>().await;
                String::new()
            }
            None if target == "/half" => {
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_owned()
            }
            None => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(),
        };
        heads.0.lock().unwrap().push((connection, head));
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await?;
    }
}

async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    String::from_utf8(head).map_err(io::Error::other)
}

/// Finds these names on this host.
fn options(names: &[&str], addr: SocketAddr) -> ConnectOptions {
    let authority = |name: &&str| (format!("{name}:{}", addr.port()).into(), vec![addr.ip()]);
    let resolve = names.iter().map(authority).collect();
    ConnectOptions { proxies: Proxies::none(), resolve, ..ConnectOptions::default() }
}

fn client(options: ConnectOptions) -> Client {
    Client::new(Transport::builder().connect(options).build().unwrap())
}

/// What a trace saw: the names of the events.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl ClientTrace for Log {
    fn interest(&self) -> Interest {
        Interest::TIMINGS
    }

    fn event(&self, _at: Instant, event: &Event<'_>) {
        let line = match event {
            Event::GetConn { authority, .. } => format!("GetConn {authority}"),
            Event::DnsStart { host, .. } => format!("DnsStart {host}"),
            Event::GotConn(info) => format!("GotConn reused={}", info.reused),
            Event::PutIdle { result, .. } => format!("PutIdle {}", result.is_ok()),
            Event::Redirect { status, uri, .. } => format!("Redirect {} {uri}", status.as_u16()),
            Event::ResponseHead { status } => format!("ResponseHead {}", status.as_u16()),
            event => {
                let name = format!("{event:?}");
                name.split([' ', '(']).next().unwrap().to_owned()
            }
        };
        self.0.lock().unwrap().push(line);
    }
}

async fn traced(client: &Client, url: &str) -> Vec<String> {
    let log = Log::default();
    let uri = rosn_http::connect::uri(url).unwrap();
    let mut request = Request::get(uri).body(Body::empty()).unwrap();
    request.with_trace(log.clone());
    let response = client.request(request).await.unwrap();
    assert_eq!(response.into_body().bytes(100).await.unwrap(), "ok");
    log.0.lock().unwrap().clone()
}

/// T16, row 8, T23: all events come again for each hop, and the redirect stands between; the first hop's connection is
/// free before the second asks for one. Names are in punycode from the first event on.
#[tokio::test]
async fn a_redirect() {
    let (addr, heads) = serve(None).await;
    let client = client(options(&["xn--e1afmkfd.test"], addr)).with_cookies(CookieJar::new());
    let port = addr.port();
    let seen = traced(&client, &format!("http://пример.test:{port}/to?/2")).await;
    let authority = format!("xn--e1afmkfd.test:{port}");
    let once = |reused: bool, status: u16| {
        let made = ["DnsStart xn--e1afmkfd.test", "DnsDone", "ConnectStart", "ConnectDone"];
        let mut events = vec![format!("GetConn {authority}")];
        events.extend(made.iter().filter(|_| !reused).map(|event| (*event).to_owned()));
        events.push(format!("GotConn reused={reused}"));
        let then = ["WroteHeaders", "WroteRequest", "FirstResponseByte"];
        events.extend(then.map(str::to_owned));
        events.push(format!("ResponseHead {status}"));
        events
    };
    let rest = ["ResponseBodyDone".to_owned(), "PutIdle true".to_owned()];
    let redirect = [format!("Redirect 302 http://{authority}/2")];
    let expected = [&once(false, 302)[..], &rest, &redirect, &once(true, 200), &rest].concat();
    assert_eq!(seen, expected);
    assert_eq!(heads.connections(), [0, 0]);
    let second = heads.0.lock().unwrap()[1].1.clone();
    assert!(second.contains("cookie: k=v\r\n"), "{second}");
    assert!(second.contains(&format!("referer: http://{authority}/to?/2\r\n")), "{second}");
}

/// An HTTP proxy gets requests for all servers on one connection, in absolute form and with its credentials; GetConn
/// names the proxy (T23).
#[tokio::test]
async fn plain_requests_through_a_proxy() {
    let (addr, heads) = serve(None).await;
    let mut options = options(&[], addr);
    options.proxies = Proxies::all(&format!("http://user:pass@{addr}")).unwrap();
    let client = client(options);
    let first = traced(&client, "http://a.test/1").await;
    assert_eq!(first[..2], [format!("GetConn {addr}"), "ConnectStart".to_owned()]);
    traced(&client, "http://b.test:81/2?q").await;
    assert_eq!(
        heads.lines(),
        ["GET http://a.test/1 HTTP/1.1", "GET http://b.test:81/2?q HTTP/1.1"]
    );
    assert_eq!(heads.connections(), [0, 0]);
    let head = heads.0.lock().unwrap()[1].1.to_ascii_lowercase();
    assert!(head.contains("\r\nhost: b.test:81\r\n"), "{head}");
    assert!(head.contains("\r\nproxy-authorization: basic dxnlcjpwyxnz\r\n"), "{head}");
}

/// An https server through CONNECT: its connection is used again, the proxy's credentials do not reach it.
#[tokio::test]
async fn secure_requests_through_a_proxy() {
    let pair = self_signed(&["a.test"]).unwrap();
    let roots = vec![pair.certificate.clone()];
    let acceptor = Acceptor::new(&ServerOptions {
        certificates: vec![pair],
        alpn: vec!["http/1.1".to_owned()],
        ..ServerOptions::default()
    });
    let (addr, heads) = serve(Some(acceptor.unwrap())).await;
    let mut options = options(&[], addr);
    options.proxies = Proxies::all(&format!("http://user:pass@{addr}")).unwrap();
    options.tls = ClientOptions { system_roots: false, roots, ..ClientOptions::default() };
    let client = client(options);
    let first = traced(&client, "https://a.test/1").await;
    let made = ["ConnectStart", "ConnectDone", "ProxyHandshakeStart", "ProxyHandshakeDone"];
    assert_eq!(first[1..5], made);
    assert_eq!(first[5..8], ["TlsStart", "TlsDone", "GotConn reused=false"]);
    traced(&client, "https://a.test/2").await;
    assert_eq!(
        heads.lines(),
        ["CONNECT a.test:443 HTTP/1.1", "GET /1 HTTP/1.1", "GET /2 HTTP/1.1"]
    );
    assert_eq!(heads.connections(), [0, 0, 0]);
    let head = heads.0.lock().unwrap()[1].1.to_ascii_lowercase();
    assert!(!head.contains("proxy-authorization"), "{head}");
}

/// Row 47: a request that takes too long fails with a timeout, wherever it is.
#[tokio::test]
async fn a_request_that_takes_too_long() {
    let (addr, _) = serve(None).await;
    let client = client(options(&[], addr));
    let hasty = client.clone().with_timeout(Duration::from_millis(100));
    let error = hasty.get(&format!("http://{addr}/never")).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    // Also while its body is read; there is time enough for the head.
    let patient = client.with_timeout(Duration::from_secs(2));
    let response = patient.get(&format!("http://{addr}/half")).await.unwrap();
    let error = response.into_body().bytes(10).await.unwrap_err();
    assert!(error.is_timeout() && error.is_body(), "{error}");
    // Another one has its own time.
    let response = patient.get(&format!("http://{addr}/")).await.unwrap();
    assert_eq!(response.into_body().bytes(10).await.unwrap(), "ok");
}
