//! TLS below transports, and what it costs strangers to be in the way.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod tcp_support;

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use rosn_base::Addr;
use rosn_config::checked::{StreamSettings, TlsSettings};
use rosn_net::{MemHost, MemNet};
use rosn_trace::{ClientTrace, Event, TraceHandle};
use rosn_transport::{DialRequest, Environment, Registry, TransportLimits};
use tcp_support::{
    accept, certificate, dial, exchange, listen, pair, refused, tls_pair, try_listen, within,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn with(tls: TlsSettings) -> StreamSettings {
    StreamSettings { tls: Some(tls), ..StreamSettings::default() }
}

/// A listener's settings and a dialer's that trusts it.
fn settings() -> (TlsSettings, TlsSettings) {
    tls_pair(&certificate(&["a.test"]), "a.test")
}

#[tokio::test]
async fn bytes_pass_both_ways_and_each_end_ends_by_itself() {
    let (listener, dialer) = settings();
    let (client, server) = pair(&with(listener), &with(dialer)).await;
    assert_eq!(server.peer, client.local_addr().unwrap());
    assert!(!client.is_tcp());
    exchange(client, server.stream, 8 << 20).await;
}

#[tokio::test]
async fn half_a_connection_goes_on() {
    let (listener, dialer) = settings();
    let (mut client, server) = pair(&with(listener), &with(dialer)).await;
    let mut server = server.stream;
    client.shutdown().await.unwrap();
    assert_eq!(within(server.read(&mut [0; 8])).await.unwrap(), 0);
    server.write_all(b"still here").await.unwrap();
    drop(server);
    let mut text = String::new();
    within(client.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "still here");
}

#[tokio::test]
async fn a_reset_is_seen_as_one() {
    let (listener, dialer) = settings();
    let (mut client, server) = pair(&with(listener), &with(dialer)).await;
    // So that the handshake's last bytes are read.
    client.write_all(b"x").await.unwrap();
    let mut server = server.stream;
    within(server.read_exact(&mut [0])).await.unwrap();
    server.reset();
    let error = within(client.read(&mut [0; 8])).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn dropping_it_says_goodbye() {
    let (listener, dialer) = settings();
    let mut listener = listen(&with(listener));
    let to = listener.local_addr();
    let dialing = with(dialer);
    let (client, server) = tokio::join!(dial(&dialing, &to), accept(&mut listener));
    drop(client.unwrap());
    let mut server = server.stream;
    assert_eq!(within(server.read(&mut [0; 8])).await.unwrap(), 0);
}

#[tokio::test]
async fn an_error_says_which_side_and_why() {
    let (listener, dialer) = settings();
    let wrong_name = TlsSettings { server_name: "b.test".into(), ..dialer.clone() };
    let error = refused(&with(listener.clone()), &with(wrong_name)).await;
    assert!(error.starts_with("tcp: TLS handshake with 127.0.0.1:"), "{error}");
    assert!(error.contains("certificate of `b.test` is for others: "), "{error}");

    let (_, stranger) = settings();
    let error = refused(&with(listener.clone()), &with(stranger)).await;
    assert!(error.contains("a.test"), "{error}");

    let pinned = TlsSettings { pinned: vec![[1; 32]], ..dialer.clone() };
    let error = refused(&with(listener.clone()), &with(pinned)).await;
    assert!(error.contains("not pinned"), "{error}");

    let h3 = TlsSettings { alpn: vec!["h3".into()], ..dialer };
    let error = refused(&with(listener), &with(h3)).await;
    assert!(error.contains("no_application_protocol"), "{error}");
}

#[tokio::test]
async fn a_dialer_of_tls_at_a_plain_listener_does_not_wait_for_ever() {
    let (_, dialer) = settings();
    let plain = StreamSettings::default();
    let mut listener = listen(&plain);
    let to = listener.local_addr();
    let server = async {
        let mut server = accept(&mut listener).await.stream;
        server.write_all(b"220 hello, I am a mail server\r\n").await.unwrap();
    };
    let dialing = with(dialer);
    let (dialed, ()) = tokio::join!(dial(&dialing, &to), server);
    let error = dialed.unwrap_err().to_string();
    assert!(error.contains("not TLS"), "{error}");
}

#[tokio::test]
async fn a_listener_without_a_certificate_is_a_mistake() {
    let error = try_listen(&with(TlsSettings::default())).map(drop).unwrap_err().to_string();
    assert!(error.contains("needs a certificate"), "{error}");
}

#[tokio::test]
async fn two_thousand_half_open_handshakes_are_bounded_and_forgotten() {
    let (listening, dialing) = settings();
    let limits = TransportLimits {
        handshakes: 500,
        handshake_timeout: Duration::from_millis(500),
        ..TransportLimits::default()
    };
    let environment = Environment { owner: "test".into(), limits, ..Environment::system() };
    let registry = Registry::with_builtin();
    let settings = Arc::new(with(listening));
    let mut listener = registry.listen(&tcp_support::any(), &settings, &environment).unwrap();
    let to = listener.local_addr();

    let mut strangers = Vec::new();
    for _ in 0..2000 {
        let mut stranger = TcpStream::connect(to.as_ip().unwrap()).await.unwrap();
        stranger.write_all(b"\x16\x03\x01").await.unwrap();
        strangers.push(stranger);
    }
    // Nobody got through, and each is sent away in its turn.
    let gone = async {
        for stranger in &mut strangers {
            assert_eq!(stranger.read(&mut [0; 8]).await.unwrap_or(0), 0);
        }
    };
    tokio::select! {
        _ = poll_fn(|cx| listener.poll_accept(cx)) => panic!("a stranger got through"),
        () = within(gone) => {}
    }
    // And then there is room.
    let dialing = with(dialing);
    let (client, server) = tokio::join!(dial(&dialing, &to), accept(&mut listener));
    exchange(client.unwrap(), server.stream, 1000).await;
}

#[tokio::test]
async fn a_slow_client_delays_nobody() {
    let (listening, dialing) = settings();
    let mut listener = listen(&with(listening));
    let to = listener.local_addr();
    let _slow = TcpStream::connect(to.as_ip().unwrap()).await.unwrap();
    let dialing = with(dialing);
    let (client, server) = tokio::join!(dial(&dialing, &to), accept(&mut listener));
    exchange(client.unwrap(), server.stream, 1000).await;
}

#[derive(Default)]
struct Seen(std::sync::Mutex<Vec<String>>);

impl ClientTrace for Seen {
    fn event(&self, _at: std::time::Instant, event: &Event<'_>) {
        let text = match event {
            Event::TlsStart { server_name, .. } => format!("start {server_name}"),
            Event::TlsDone { result: Ok(info), .. } => format!("{} {:?}", info.version, info.alpn),
            Event::TlsDone { result: Err(error), .. } => error.to_string(),
            _ => return,
        };
        self.0.lock().unwrap().push(text);
    }
}

#[tokio::test]
async fn a_trace_sees_the_handshake() {
    let (listening, dialing) = settings();
    let mut listener = listen(&with(listening));
    let to: Addr = listener.local_addr();
    let seen = Arc::new(Seen::default());
    let request = DialRequest { trace: TraceHandle::new(seen.clone()), client: None };
    let registry = Registry::with_builtin();
    let dialer = registry.dialer(&Arc::new(with(dialing)), &tcp_support::environment()).unwrap();
    let (client, _) = tokio::join!(dialer.dial(&to, &request), accept(&mut listener));
    client.unwrap();
    let h2 = format!("TLSv1.3 {:?}", Some(b"h2"));
    assert_eq!(*seen.0.lock().unwrap(), ["start a.test".to_owned(), h2]);
}

#[tokio::test]
async fn it_runs_in_memory_too() {
    let net = MemNet::new();
    let environment = |host: MemHost| Environment { net: Arc::new(host), ..Environment::system() };
    let (near, far) = (environment(net.host([10, 0, 0, 1])), environment(net.host([10, 0, 0, 2])));
    let (listening, dialing) = settings();
    let registry = Registry::with_builtin();
    let at: Addr = "0.0.0.0:443".parse().unwrap();
    let mut listener = registry.listen(&at, &Arc::new(with(listening)), &far).unwrap();
    let dialer = registry.dialer(&Arc::new(with(dialing)), &near).unwrap();
    let (to, request) = ("10.0.0.2:443".parse().unwrap(), DialRequest::default());
    let (client, server) = tokio::join!(dialer.dial(&to, &request), accept(&mut listener));
    assert_eq!(server.local.to_string(), "10.0.0.2:443");
    exchange(client.unwrap(), server.stream, 100_000).await;
}
