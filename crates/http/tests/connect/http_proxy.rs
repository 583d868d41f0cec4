//! Connections through HTTP proxies.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use rosn_http::connect::{
    ConnectOptions, Connected, Connector, Proxies, ProxyError, ProxyHeaders, uri,
};
use rosn_http::{Error, Phase};
use rosn_trace::{DialId, TraceHandle};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::script::{
    Log, Secret, Server, assert_echo, closed, connect, connect_to, echo, join, options, read_head,
    until, within,
};

/// A server behind TLS that says `secret`.
async fn secret_server(secret: &Secret) -> Server {
    let acceptor = secret.acceptor.clone();
    Server::new(move |stream| {
        let acceptor = acceptor.clone();
        async move { echo(acceptor.accept(stream).await.unwrap(), "secret").await }
    })
    .await
}

/// A proxy that gives CONNECT this answer and goes on to `server`; it keeps the heads that it got.
async fn proxy(answer: &'static str, server: &Server) -> (Server, Arc<Mutex<Vec<String>>>) {
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let (kept, to) = (heads.clone(), server.addr);
    let proxy = Server::new(move |mut stream: TcpStream| {
        let kept = kept.clone();
        async move {
            let head = read_head(&mut stream).await;
            kept.lock().unwrap().push(head);
            stream.write_all(answer.as_bytes()).await.unwrap();
            join(stream, to).await;
        }
    })
    .await;
    (proxy, heads)
}

fn through(proxy: &str, secret: Secret, ports: &[&Server]) -> ConnectOptions {
    let addrs: Vec<_> = ports.iter().map(|server| server.addr).collect();
    ConnectOptions { tls: secret.client, proxies: Proxies::all(proxy).unwrap(), ..options(&addrs) }
}

/// T22: CONNECT has a pair of events of its own, then comes TLS with the server. The server's name is not resolved
/// here, and nothing but what is needed is sent.
#[tokio::test]
async fn connect_is_traced() {
    let secret = Secret::new();
    let server = secret_server(&secret).await;
    let (proxy, heads) =
        proxy("HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n", &server).await;
    let url = format!("http://us%40er:pass@proxy.test:{}", proxy.addr.port());
    let (connected, log) =
        connect(through(&url, secret, &[&proxy]), "https://server.test/a?b").await;
    let mut connected = connected.unwrap();
    assert_echo(&mut connected.stream, "secret").await;
    assert_eq!(connected.peer.clone().and_then(|addr| addr.as_ip()), Some(proxy.addr));
    // The server sees nothing of the proxy.
    assert!(!connected.absolute_form && connected.proxy_authorization.is_none());
    assert_eq!(
        log,
        [
            "dns proxy.test",
            "dns done: 1",
            "connect 1 127.0.0.1",
            "connect 1 done: ok",
            "proxy",
            "proxy done: Some(200) ok",
            "tls server.test",
            "tls server.test done: http/1.1",
        ]
    );
    assert_eq!(
        *heads.lock().unwrap(),
        ["CONNECT server.test:443 HTTP/1.1\r\nHost: server.test:443\r\n\
          proxy-authorization: Basic dXNAZXI6cGFzcw==\r\n\r\n"]
    );
    proxy.check();
}

/// T22: an https proxy and an https server: two pairs of TLS events, the proxy's first.
#[tokio::test]
async fn tls_within_tls() {
    let secret = Secret::new();
    let server = secret_server(&secret).await;
    let (acceptor, to) = (secret.acceptor.clone(), server.addr);
    let proxy = Server::new(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            let head = read_head(&mut stream).await;
            assert!(head.starts_with("CONNECT server.test:443 HTTP/1.1\r\n"), "{head}");
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
            stream.flush().await.unwrap();
            stream
                .write_all(&[b"X: ", [b'y'; 3000].as_slice(), b"\r\n\r\n"].concat())
                .await
                .unwrap();
            stream.flush().await.unwrap();
            join(stream, to).await;
        }
    })
    .await;
    let url = format!("https://proxy.test:{}", proxy.addr.port());
    let (connected, log) = connect(through(&url, secret, &[&proxy]), "https://server.test/").await;
    let mut connected = connected.unwrap();
    assert_echo(&mut connected.stream, "secret").await;
    assert_eq!(
        log[4..],
        [
            "tls proxy.test",
            "tls proxy.test done: http/1.1",
            "proxy",
            "proxy done: Some(200) ok",
            "tls server.test",
            "tls server.test done: http/1.1",
        ]
    );
}

/// Requests for `http` go to the proxy itself, with the server in their target; there is no handshake.
#[tokio::test]
async fn plain_requests_name_the_server() {
    let proxy = Server::new(|stream| echo(stream, "proxy")).await;
    for (user, authorization) in [("", None), ("user:pass@", Some("Basic dXNlcjpwYXNz"))] {
        let url = format!("http://{user}127.0.0.1:{}", proxy.addr.port());
        let (connected, log) =
            connect(through(&url, Secret::new(), &[]), "http://server.test/").await;
        let mut connected: Connected = connected.unwrap();
        assert!(connected.absolute_form);
        let expected = authorization.map(HeaderValue::from_static);
        assert_eq!(connected.proxy_authorization, expected);
        assert_echo(&mut connected.stream, "proxy").await;
        assert_eq!(log, ["connect 1 127.0.0.1", "connect 1 done: ok"]);
        assert!(!format!("{connected:?}").contains("Basic"), "{connected:?}");
    }
}

/// Row 44: what CONNECT carries besides: always the same, or asked for each; credentials of the URL win, and fields that
/// would change where the message goes or ends are left out.
#[tokio::test]
async fn fields_for_connect() {
    let secret = Secret::new();
    let server = secret_server(&secret).await;
    let (proxy, heads) = proxy("HTTP/1.1 200\r\n\r\n", &server).await;
    let url = format!("http://user:pass@127.0.0.1:{}", proxy.addr.port());
    let mut options = through(&url, secret, &[]);

    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-fixed", "1"),
        ("proxy-authorization", "none"),
        ("host", "evil"),
        ("content-length", "9"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    options.proxy_headers = ProxyHeaders::fixed(headers);
    connect(options.clone(), "https://server.test/").await.0.unwrap();

    options.proxy_headers = ProxyHeaders::from_fn(|proxy, authority| {
        let mut headers = HeaderMap::new();
        headers.insert(
            "x-for",
            format!("{authority} by {}", proxy.authority().split_at(3).0).parse()?,
        );
        Ok(headers)
    });
    connect(options.clone(), "https://server.test/").await.0.unwrap();

    let start = "CONNECT server.test:443 HTTP/1.1\r\nHost: server.test:443\r\n";
    let credentials = "proxy-authorization: Basic dXNlcjpwYXNz\r\n";
    let heads = heads.lock().unwrap().clone();
    assert_eq!(heads[0], format!("{start}x-fixed: 1\r\n{credentials}\r\n"));
    assert_eq!(heads[1], format!("{start}x-for: server.test:443 by 127\r\n{credentials}\r\n"));

    options.proxy_headers = ProxyHeaders::from_fn(|_, _| Err("out of tokens".into()));
    let (result, log) = connect(options, "https://server.test/").await;
    let error = result.unwrap_err();
    assert!(error.is_proxy() && error.to_string().ends_with("out of tokens"), "{error}");
    assert_eq!(log[3], "proxy done: None the fields for CONNECT: out of tokens");
}

/// Row 43: what a proxy that cannot be reached is to blame for says so.
#[tokio::test]
async fn a_proxy_that_is_not_there() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = socket.local_addr().unwrap();
    for url in ["https://server.test/", "http://server.test:443/"] {
        let options = through(&format!("http://{addr}"), Secret::new(), &[]);
        let (result, log) = connect(options, url).await;
        let error = result.unwrap_err();
        assert_eq!(error.phase(), Phase::Proxy);
        assert_eq!(
            error.to_string(),
            format!(
                "cannot connect through the proxy to server.test:443: proxyconnect {addr}: cannot \
                 connect to {addr}: refused: nothing listens there"
            )
        );
        assert!(matches!(cause(&error), ProxyError::Dial(_)));
        assert_eq!(log.len(), 2);
    }
}

fn cause(error: &Error) -> &ProxyError {
    std::error::Error::source(error).unwrap().downcast_ref().unwrap()
}

/// Row 42: whoever gives up while the proxy thinks closes the connection to it, and the handshake's Done says so.
#[tokio::test]
async fn giving_up_closes_the_connection() {
    let (asked, mut proxy_asked) = mpsc::unbounded_channel();
    let (ended, mut proxy_ended) = mpsc::unbounded_channel();
    let proxy = Server::new(move |mut stream: TcpStream| {
        let (asked, ended) = (asked.clone(), ended.clone());
        async move {
            read_head(&mut stream).await;
            asked.send(()).unwrap();
            closed(&mut stream).await;
            ended.send(()).unwrap();
        }
    })
    .await;
    let options = through(&format!("http://{}", proxy.addr), Secret::new(), &[]);
    let connector = Connector::new(options).unwrap();
    let target = connector.target(&uri("https://server.test/").unwrap()).unwrap();

    let log = Log::default();
    let task = tokio::spawn({
        let (connector, target, log) = (connector.clone(), target.clone(), log.clone());
        async move { connect_to(&connector, &target, &log).await.map(drop) }
    });
    within(proxy_asked.recv()).await.unwrap();
    task.abort();
    within(proxy_ended.recv()).await.unwrap();
    until(|| log.lines().last().is_some_and(|line| line == "proxy done: None cancelled")).await;

    // A deadline does the same, with another error.
    // It is long enough to reach the proxy first.
    let deadline = Instant::now() + Duration::from_secs(2);
    let trace = TraceHandle::none();
    let connect = connector.connect(&target, &trace, DialId::next(), Some(deadline));
    let error = within(connect).await.unwrap_err();
    assert!(error.is_timeout() && error.is_proxy(), "{error}");
    within(proxy_ended.recv()).await.unwrap();
}

/// A deadline that has passed: nothing is dialed.
#[tokio::test]
async fn too_late_from_the_start() {
    let dialed = Arc::new(AtomicUsize::new(0));
    let count = dialed.clone();
    let proxy = Server::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        async {}
    })
    .await;
    let options = through(&format!("http://{}", proxy.addr), Secret::new(), &[]);
    let connector = Connector::new(options).unwrap();
    let target = connector.target(&uri("https://server.test/").unwrap()).unwrap();
    let (log, now) = (Log::default(), Instant::now());
    let trace = TraceHandle::new(log.clone());
    let result = connector.connect(&target, &trace, DialId::next(), Some(now)).await;
    assert!(result.unwrap_err().is_timeout());
    assert!(log.lines().is_empty() && dialed.load(Ordering::SeqCst) == 0);
}

/// Interim responses and a body's length in the answer mean nothing; and what the server says first is not lost.
#[tokio::test]
async fn bytes_behind_the_answer_are_kept() {
    let secret = Secret::new();
    let server = secret_server(&secret).await;
    let answer = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.0 299 Fine\r\nContent-Length: 7\r\n\r\n";
    let (proxy, _) = proxy(answer, &server).await;
    let url = format!("http://{}", proxy.addr);
    let (connected, log) = connect(through(&url, secret, &[]), "https://server.test/").await;
    let mut connected = connected.unwrap();
    assert_echo(&mut connected.stream, "secret").await;
    assert_eq!(log[3], "proxy done: Some(299) ok");

    // Here the proxy itself goes on, with what is no TLS.
    let proxy = Server::new(|mut stream: TcpStream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nSURPRISE").await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
    })
    .await;
    let options = through(&format!("http://{}", proxy.addr), Secret::new(), &[]);
    let (result, _) = connect(options, "https://server.test/").await;
    let error = result.unwrap_err();
    assert!(error.is_tls() && error.to_string().contains("what came is not TLS"), "{error}");
}
