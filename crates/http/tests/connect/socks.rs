//! Connections through SOCKS proxies.

use std::net::SocketAddr;

use rosn_http::connect::{ConnectOptions, Proxies};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::script::{LOCALHOST, Secret, Server, assert_echo, connect, echo, join, options};

/// What a proxy expects and answers, in turn.
type Exchange = &'static [(&'static [u8], &'static [u8])];

/// A proxy that follows these exchanges, and then goes on to `to`.
async fn proxy(exchanges: Exchange, to: SocketAddr) -> Server {
    Server::new(move |mut stream: TcpStream| async move {
        for (expected, answer) in exchanges {
            let mut got = vec![0; expected.len()];
            stream.read_exact(&mut got).await.unwrap();
            assert_eq!(got, *expected);
            stream.write_all(answer).await.unwrap();
        }
        join(stream, to).await;
    })
    .await
}

const NO_AUTHENTICATION: (&[u8], &[u8]) = (&[5, 1, 0], &[5, 0]);
const OK: &[u8] = &[5, 0, 0, 1, 10, 0, 0, 1, 0, 80];

async fn check(scheme: &str, url: &str, exchanges: Exchange) -> Vec<String> {
    let server = Server::new(|stream| echo(stream, "server")).await;
    let proxy = proxy(exchanges, server.addr).await;
    let (scheme, user) = scheme.split_once(' ').unwrap_or((scheme, ""));
    let mut options = ConnectOptions {
        proxies: Proxies::all(&format!("{scheme}://{user}{}", proxy.addr)).unwrap(),
        ..options(&[])
    };
    options.resolve.insert("server.test:8080".into(), vec!["10.1.2.3".parse().unwrap()]);
    let (connected, log) = connect(options, url).await;
    proxy.check();
    let mut connected = connected.unwrap();
    assert_echo(&mut connected.stream, "server").await;
    assert!(!connected.absolute_form && connected.proxy_authorization.is_none());
    log
}

/// RFC 1928: an IPv4 address, an IPv6 address, a name; and answers with each. T22: a pair of events.
#[tokio::test]
async fn kinds_of_addresses() {
    let log = check(
        "socks5h",
        "http://1.2.3.4:8080",
        &[NO_AUTHENTICATION, (&[5, 1, 0, 1, 1, 2, 3, 4, 0x1f, 0x90], OK)],
    );
    assert_eq!(
        log.await,
        ["connect 1 127.0.0.1", "connect 1 done: ok", "proxy", "proxy done: None ok"]
    );
    const V6: &[u8] = &[5, 1, 0, 4, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80];
    const ANSWER: &[u8] =
        &[5, 0, 0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, 80];
    check("socks5", "http://[2001:db8::1]/", &[NO_AUTHENTICATION, (V6, ANSWER)]).await;
    check(
        "socks5h",
        "http://server.test:8080/",
        &[
            NO_AUTHENTICATION,
            (b"\x05\x01\x00\x03\x0bserver.test\x1f\x90", b"\x05\x00\x00\x03\x04host\x00\x01"),
        ],
    )
    .await;
}

/// With `socks5` a name is resolved here, as curl does, and traced.
#[tokio::test]
async fn names_resolved_here() {
    let log = check(
        "socks5",
        "http://server.test:8080/",
        &[NO_AUTHENTICATION, (&[5, 1, 0, 1, 10, 1, 2, 3, 0x1f, 0x90], OK)],
    );
    assert_eq!(log.await[2..], ["dns server.test", "dns done: 1", "proxy", "proxy done: None ok"]);
}

/// RFC 1929: user and password, where the proxy wants them.
#[tokio::test]
async fn passwords() {
    const TO: (&[u8], &[u8]) = (&[5, 1, 0, 1, 1, 2, 3, 4, 0, 80], OK);
    let with_password: Exchange =
        &[(&[5, 2, 0, 2], &[5, 2]), (b"\x01\x05us er\x04pass", &[1, 0]), TO];
    check("socks5h us%20er:pass@", "http://1.2.3.4", with_password).await;
    let without_one: Exchange = &[(&[5, 2, 0, 2], &[5, 2]), (b"\x01\x04user\x00", &[1, 0]), TO];
    check("socks5h user@", "http://1.2.3.4", without_one).await;
    let not_wanted: Exchange = &[(&[5, 2, 0, 2], &[5, 0]), TO];
    check("socks5h user:pass@", "http://1.2.3.4", not_wanted).await;
}

/// TLS goes through, and what the server says first is not taken for a part of the answer.
#[tokio::test]
async fn tls_through_socks() {
    let secret = Secret::new();
    let acceptor = secret.acceptor.clone();
    let server = Server::new(move |stream| {
        let acceptor = acceptor.clone();
        async move { echo(acceptor.accept(stream).await.unwrap(), "secret").await }
    })
    .await;
    let exchanges: Exchange =
        &[NO_AUTHENTICATION, (b"\x05\x01\x00\x03\x0bserver.test\x01\xbb", OK)];
    let proxy = proxy(exchanges, server.addr).await;
    let options = ConnectOptions {
        tls: secret.client,
        proxies: Proxies::all(&format!("socks5h://{LOCALHOST}:{}", proxy.addr.port())).unwrap(),
        ..options(&[])
    };
    let (connected, log) = connect(options, "https://server.test").await;
    assert_echo(&mut connected.unwrap().stream, "secret").await;
    assert_eq!(
        log[2..],
        ["proxy", "proxy done: None ok", "tls server.test", "tls server.test done: http/1.1",]
    );
}
