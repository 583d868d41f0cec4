//! PROXY headers below transports.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod tcp_support;

use std::future::poll_fn;
use std::sync::Arc;

use rosn_base::Addr;
use rosn_config::checked::{CidrRange, ProxyProtocol, ProxyProtocolVersion, StreamSettings};
use rosn_net::PeerAddr;
use rosn_transport::{DialRequest, Listener, Registry};
use tcp_support::{accept, certificate, dial, exchange, listen, tls_pair, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

fn accepting(trusted: Vec<CidrRange>) -> StreamSettings {
    let proxy_protocol = ProxyProtocol { accept: true, trusted, ..ProxyProtocol::default() };
    StreamSettings { proxy_protocol, ..StreamSettings::default() }
}

fn sending(version: ProxyProtocolVersion) -> StreamSettings {
    let proxy_protocol = ProxyProtocol { send: Some(version), ..ProxyProtocol::default() };
    StreamSettings { proxy_protocol, ..StreamSettings::default() }
}

fn peer(text: &str) -> PeerAddr {
    PeerAddr::Ip(text.parse().unwrap())
}

async fn connect(listener: &dyn Listener) -> TcpStream {
    TcpStream::connect(listener.local_addr().as_ip().unwrap()).await.unwrap()
}

#[tokio::test]
async fn the_header_says_who_the_client_is_and_the_rest_is_its_bytes() {
    let mut listener = listen(&accepting(Vec::new()));
    let mut client = connect(&*listener).await;
    // Torn wherever it may be.
    let writing = tokio::spawn(async move {
        for byte in b"PROXY TCP4 192.0.2.1 198.51.100.2 4000 443\r\nhello" {
            client.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    let mut accepted = accept(&mut listener).await;
    assert_eq!(accepted.peer, peer("192.0.2.1:4000"));
    assert_eq!(accepted.local, peer("198.51.100.2:443"));
    within(writing).await.unwrap();
    let mut text = String::new();
    within(accepted.stream.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "hello");
}

#[tokio::test]
async fn a_client_without_a_header_is_sent_away() {
    let long = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat();
    for bytes in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &long, b"PROXY TCP4 1.2.3"] {
        let mut listener = listen(&accepting(Vec::new()));
        let mut client = connect(&*listener).await;
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = [0; 8];
        tokio::select! {
            _ = poll_fn(|cx| listener.poll_accept(cx)) => panic!("it was handed out"),
            // An end or a reset, and nothing said.
            read = within(client.read(&mut answer)) => assert_eq!(read.unwrap_or(0), 0),
        }
    }
}

#[tokio::test]
async fn who_is_not_trusted_is_taken_as_it_is() {
    let elsewhere = CidrRange { address: "10.0.0.0".parse().unwrap(), prefix: 8 };
    let here = CidrRange { address: "127.0.0.0".parse().unwrap(), prefix: 8 };
    let mut listener = listen(&accepting(vec![elsewhere]));
    let mut client = connect(&*listener).await;
    client.write_all(b"PROXY TCP4 192.0.2.1 198.51.100.2 4000 443\r\n").await.unwrap();
    let mut accepted = accept(&mut listener).await;
    assert_eq!(accepted.peer, PeerAddr::from(client.local_addr().unwrap()));
    let mut first = [0; 5];
    within(accepted.stream.read_exact(&mut first)).await.unwrap();
    assert_eq!(&first, b"PROXY");

    let mut listener = listen(&accepting(vec![elsewhere, here]));
    let mut client = connect(&*listener).await;
    client.write_all(b"PROXY TCP4 192.0.2.1 198.51.100.2 4000 443\r\n").await.unwrap();
    assert_eq!(accept(&mut listener).await.peer, peer("192.0.2.1:4000"));
}

#[tokio::test]
async fn a_dialer_says_for_whom_it_dials_before_tls() {
    let (listening, dialing) = tls_pair(&certificate(&["a.test"]), "a.test");
    for version in [ProxyProtocolVersion::V1, ProxyProtocolVersion::V2] {
        let listening = StreamSettings { tls: Some(listening.clone()), ..accepting(Vec::new()) };
        let dialing = StreamSettings { tls: Some(dialing.clone()), ..sending(version) };
        let mut listener = listen(&listening);
        let registry = Registry::with_builtin();
        let dialer = registry.dialer(&Arc::new(dialing), &tcp_support::environment()).unwrap();
        let to = listener.local_addr();
        let (client, local) = (peer("192.0.2.1:4000"), peer("198.51.100.2:443"));
        let request =
            DialRequest { client: Some((client.clone(), local.clone())), ..DialRequest::default() };
        let (dialed, accepted) = tokio::join!(dialer.dial(&to, &request), accept(&mut listener));
        assert_eq!((&accepted.peer, &accepted.local), (&client, &local));
        exchange(dialed.unwrap(), accepted.stream, 10_000).await;
    }
}

#[tokio::test]
async fn without_a_client_it_says_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = Addr::Ip(listener.local_addr().unwrap());
    drop(dial(&sending(ProxyProtocolVersion::V1), &to).await.unwrap());
    let (mut server, _) = listener.accept().await.unwrap();
    let mut text = String::new();
    within(server.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "PROXY UNKNOWN\r\n");
}
