//! `http`: streams of HTTP/2 connections.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::async_yields_async, reason = "tasks that are begun here end elsewhere")]

mod ends;
#[path = "../tcp_support/mod.rs"]
mod tcp_support;

use std::future::poll_fn;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, client, server};
use http::{Request, Response, StatusCode};
use rosn_base::Addr;
use rosn_config::checked::{HttpSettings, StreamSettings, TransportSettings};
use rosn_net::{Io as _, Stream};
use rosn_transport::{
    Accepted, DialRequest, Dialer, Environment, Listener, Registry, TransportLimits,
};
use tcp_support::{
    accept, any, certificate, dial, environment, exchange, listen, pair, refused, tls_pair, within,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

fn own() -> HttpSettings {
    HttpSettings {
        hosts: vec!["interop.test".to_owned()],
        path: "/h2tunnel".to_owned(),
        ..HttpSettings::default()
    }
}

fn settings(own: HttpSettings) -> StreamSettings {
    StreamSettings { transport: TransportSettings::Http(own), ..StreamSettings::default() }
}

fn dialer() -> Arc<dyn Dialer> {
    let settings = Arc::new(settings(own()));
    Registry::with_builtin().dialer(&settings, &environment()).unwrap()
}

async fn dial_with(dialer: &Arc<dyn Dialer>, to: &Addr) -> Stream {
    within(dialer.dial(to, &DialRequest::default())).await.unwrap()
}

/// A server of our own making, for things that our listener does not do.
async fn raw_server() -> (TcpListener, Addr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = Addr::Ip(listener.local_addr().unwrap());
    (listener, addr)
}

async fn raw_accept(listener: &TcpListener) -> server::Connection<TcpStream, Bytes> {
    server::handshake(listener.accept().await.unwrap().0).await.unwrap()
}

/// Keeps answering on the connection, with streams that stay open until it ends.
fn serve_all(mut connection: server::Connection<TcpStream, Bytes>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut streams = Vec::new();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let send = respond.send_response(Response::new(()), false).unwrap();
            streams.push((request, send));
        }
    })
}

/// A client of our own making.
async fn raw_client(to: &Addr) -> client::SendRequest<Bytes> {
    let socket = TcpStream::connect(to.as_ip().unwrap()).await.unwrap();
    let (sender, connection) = client::handshake(socket).await.unwrap();
    tokio::spawn(async move { connection.await.ok() });
    sender
}

fn request(uri: &str) -> Request<()> {
    Request::put(uri).body(()).unwrap()
}

/// Has the listener accept until the future is done; what it hands out is kept open.
async fn while_accepting<T>(
    listener: &mut Box<dyn Listener>,
    future: impl Future<Output = T>,
) -> (T, Vec<Accepted>) {
    let mut accepted = Vec::new();
    let accepting = async {
        loop {
            accepted.push(poll_fn(|cx| listener.poll_accept(cx)).await.unwrap());
        }
    };
    let done = within(async {
        tokio::select! {
            done = future => done,
            () = accepting => unreachable!(),
        }
    })
    .await;
    (done, accepted)
}

#[tokio::test]
async fn bytes_pass_with_and_without_tls() {
    let (server, client) = tls_pair(&certificate(&["a.test"]), "a.test");
    for tls in [None, Some((server, client))] {
        let (mut listening, mut dialing) = (settings(own()), settings(own()));
        if let Some((server, client)) = tls {
            (listening.tls, dialing.tls) = (Some(server), Some(client));
        }
        let (client, server) = pair(&listening, &dialing).await;
        assert_eq!(server.peer, client.local_addr().unwrap());
        exchange(client, server.stream, 8 << 20).await;
    }
}

#[tokio::test]
async fn each_direction_ends_by_itself_and_the_server_may_speak_first() {
    let (mut client, server) = pair(&settings(own()), &settings(own())).await;
    let mut server = server.stream;
    server.write_all(b"hello").await.unwrap();
    let mut five = [0; 5];
    within(client.read_exact(&mut five)).await.unwrap();
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = Vec::new();
    within(server.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got, b"question");
    server.write_all(b"answer").await.unwrap();
    drop(server);
    got.clear();
    within(client.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got, b"answer");
}

#[tokio::test]
async fn forty_at_a_time_share_a_connection() {
    let mut listener = listen(&settings(own()));
    let (to, dialer) = (listener.local_addr(), dialer());
    let clients = futures_util::future::join_all((0..40_usize).map(|at| {
        let (to, dialer) = (to.clone(), dialer.clone());
        async move {
            let mut client = dial_with(&dialer, &to).await;
            let local = client.local_addr().unwrap();
            let bytes = vec![at as u8; 100_000 + at];
            client.write_all(&bytes).await.unwrap();
            client.shutdown().await.unwrap();
            let mut got = Vec::new();
            client.read_to_end(&mut got).await.unwrap();
            assert!(got == bytes);
            local
        }
    }));
    let echoes = async {
        let mut echoes = tokio::task::JoinSet::new();
        for _ in 0..40 {
            let mut server = accept(&mut listener).await.stream;
            echoes.spawn(async move {
                let mut got = Vec::new();
                server.read_to_end(&mut got).await.unwrap();
                server.write_all(&got).await.unwrap();
                server.shutdown().await.unwrap();
            });
        }
        echoes.join_all().await;
    };
    let (locals, ()) = within(async { tokio::join!(clients, echoes) }).await;
    assert!(locals.iter().all(|local| *local == locals[0]), "{locals:?}");
}

#[tokio::test]
async fn written_bytes_arrive_although_the_stream_is_dropped() {
    let (mut client, server) = pair(&settings(own()), &settings(own())).await;
    let mut server = server.stream;
    client.write_all(&[7; 60_000]).await.unwrap();
    drop(client);
    let mut got = Vec::new();
    within(server.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got.len(), 60_000);
    // CANCEL behind it says that nobody listens.
    let error = within(async {
        loop {
            if let Err(error) = server.write_all(&[0; 4096]).await {
                return error;
            }
        }
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn an_abort_is_an_error_for_the_peer() {
    let (mut client, server) = pair(&settings(own()), &settings(own())).await;
    let mut server = server.stream;
    client.abort();
    drop(client);
    let error = within(server.read(&mut [0; 9])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn what_is_not_read_holds_the_writer_back() {
    let (mut client, server) = pair(&settings(own()), &settings(own())).await;
    let mut sent = 0_usize;
    let flood = async {
        loop {
            sent += client.write(&[0; 65536]).await.unwrap();
        }
    };
    assert!(tokio::time::timeout(Duration::from_millis(500), flood).await.is_err());
    // The stream's window, and what waits to be sent.
    assert!(sent <= (1 << 20) + (1 << 20), "{sent}");
    drop(server);
}

#[tokio::test]
async fn hosts_and_paths_of_requests() {
    let mut listener = listen(&settings(own()));
    let mut client = raw_client(&listener.local_addr()).await;
    let cases = [
        ("http://interop.test/h2tunnel", 200),
        ("http://interop.test:443/h2tunnelXYZ/sub?q", 200),
        ("http://INTEROP.test/h2tunnel", 200),
        ("http://interop.test/h2", 404),
        ("http://interop.test/", 404),
        ("http://www.example.com/h2tunnel", 404),
        ("http://interop.test.example.com/h2tunnel", 404),
    ];
    for (uri, status) in cases {
        let (answer, _send) = client.send_request(request(uri), false).unwrap();
        let (answer, _) = while_accepting(&mut listener, answer).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{uri}");
        let headers = answer.headers();
        assert_eq!(headers.contains_key("date"), status == 200);
        assert_eq!(headers.get("cache-control").is_some_and(|it| it == "no-store"), status == 200);
    }
}

#[tokio::test]
async fn headers_of_both_sides() {
    let header = |name: &str, values: &[&str]| {
        (name.to_owned(), values.iter().map(|&value| value.to_owned()).collect())
    };
    let headers = vec![header("X-Two", &["a", "b"]), header("user-agent", &["probe/1"])];
    let settings = settings(HttpSettings { headers, method: "POST".to_owned(), ..own() });

    let mut listener = listen(&settings);
    let mut client = raw_client(&listener.local_addr()).await;
    let (answer, _send) =
        client.send_request(request("http://interop.test/h2tunnel"), false).unwrap();
    let (answer, _) = while_accepting(&mut listener, answer).await;
    let answer = answer.unwrap();
    assert_eq!(answer.headers().get_all("x-two").iter().collect::<Vec<_>>(), ["a", "b"]);

    let (listener, to) = raw_server().await;
    let dialing = tokio::spawn(async move { dial(&settings, &to).await });
    let mut connection = raw_accept(&listener).await;
    let (request, _respond) = connection.accept().await.unwrap().unwrap();
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri().to_string(), "http://interop.test/h2tunnel");
    assert_eq!(request.headers()["accept-encoding"], "identity");
    assert_eq!(request.headers().get_all("user-agent").iter().collect::<Vec<_>>(), ["probe/1"]);
    assert_eq!(request.headers().get_all("x-two").iter().count(), 2);
    assert!(!request.headers().contains_key("content-length"));
    dialing.abort();
}

#[tokio::test]
async fn refusals_say_why() {
    let error = refused(&settings(own()), &settings(HttpSettings::default())).await;
    assert!(error.contains("the answer is 404") && error.contains("host and path"), "{error}");

    let (mut server, client) = tls_pair(&certificate(&["a.test"]), "a.test");
    let mut listening = StreamSettings::default();
    server.alpn = vec!["http/1.1".to_owned()];
    listening.tls = Some(server);
    let mut dialing = settings(own());
    dialing.tls = Some(client);
    dialing.tls.as_mut().unwrap().alpn = vec!["h2".to_owned(), "http/1.1".to_owned()];
    let mut listener = listen(&listening);
    let to = listener.local_addr();
    let (dialed, _) = while_accepting(&mut listener, dial(&dialing, &to)).await;
    let error = dialed.unwrap_err().to_string();
    assert!(error.contains("http/1.1 (ALPN), not to h2"), "{error}");

    for broken in [
        HttpSettings { hosts: vec!["a b".to_owned()], ..own() },
        HttpSettings { method: "P T".to_owned(), ..own() },
        HttpSettings { headers: vec![("Connection".to_owned(), Vec::new())], ..own() },
        HttpSettings { headers: vec![("X".to_owned(), vec!["\r\n".to_owned()])], ..own() },
    ] {
        assert!(tcp_support::try_listen(&settings(broken)).is_err());
    }
}

#[tokio::test]
async fn a_server_that_says_other_than_200_or_goes_away_without_an_answer() {
    let (listener, to) = raw_server().await;
    let dialing = tokio::spawn(async move { dial(&settings(own()), &to).await });
    let mut connection = raw_accept(&listener).await;
    let (_request, mut respond) = connection.accept().await.unwrap().unwrap();
    let answer = Response::builder().status(StatusCode::NO_CONTENT).body(()).unwrap();
    respond.send_response(answer, true).unwrap();
    let (dialed, _) = tokio::join!(dialing, connection.accept());
    let error = dialed.unwrap().unwrap_err().to_string();
    assert!(error.contains("the answer is 204 No Content, not 200"), "{error}");

    let (listener, to) = raw_server().await;
    let dialing = settings(own());
    let hangs_up = async {
        loop {
            drop(listener.accept().await.unwrap());
        }
    };
    tokio::select! {
        dialed = dial(&dialing, &to) => assert!(dialed.is_err()),
        () = hangs_up => {}
    }
}

#[tokio::test]
async fn after_goaway_a_new_connection_is_opened_and_old_streams_go_on() {
    let mut listener = listen(&settings(own()));
    let (to, dialer) = (listener.local_addr(), dialer());
    let (mut old, accepted) = tokio::join!(dial_with(&dialer, &to), accept(&mut listener));
    let mut accepted = accepted.stream;
    listener.drain();
    // Then the socket is closed.
    let address = to.as_ip().unwrap();
    let error = within(poll_fn(|cx| listener.poll_accept(cx))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    assert!(TcpStream::connect(address).await.is_err());

    // Another one takes its place.
    let socket = TcpListener::bind(address).await;
    old.write_all(b"still").await.unwrap();
    let mut five = [0; 5];
    within(accepted.read_exact(&mut five)).await.unwrap();
    assert_eq!(&five, b"still");
    let Ok(socket) = socket else { return };
    let serving = tokio::spawn(async move { serve_all(raw_accept(&socket).await) });
    // GOAWAY is on its way: the pool notices it before the request or by it.
    let new = dial_with(&dialer, &to).await;
    assert_ne!(new.local_addr().unwrap(), old.local_addr().unwrap());
    serving.await.unwrap();
}

#[tokio::test]
async fn a_pooled_connection_that_broke_is_replaced() {
    let (listener, to) = raw_server().await;
    let dialer = dialer();
    for _ in 0..3 {
        let serving = async { serve_all(raw_accept(&listener).await) };
        let (stream, serving) = tokio::join!(dial_with(&dialer, &to), serving);
        serving.abort();
        let mut stream = stream;
        let broken = within(stream.read(&mut [0; 9])).await;
        assert!(!matches!(broken, Ok(1..)), "{broken:?}");
    }
}

#[tokio::test]
async fn a_connection_that_went_silent_is_replaced_at_the_next_dial() {
    let (listener, to) = raw_server().await;
    let dialer = dialer();
    let mut connection = None;
    let first = async {
        let mut served = raw_accept(&listener).await;
        let (_request, mut respond) = served.accept().await.unwrap().unwrap();
        let send = respond.send_response(Response::new(()), false).unwrap();
        let flush = async { while served.accept().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_millis(50), flush).await;
        // From now on nobody looks at it: as if the network were gone.
        connection = Some((served, send));
    };
    let (one, ()) = tokio::join!(dial_with(&dialer, &to), first);
    let (two, serving) =
        tokio::join!(dial_with(&dialer, &to), async { serve_all(raw_accept(&listener).await) });
    assert_ne!(one.local_addr().unwrap(), two.local_addr().unwrap());
    serving.abort();
}

#[tokio::test]
async fn a_connection_that_dies_under_open_streams_is_noticed() {
    let (listener, to) = raw_server().await;
    let dialer = dialer();
    let serving = async {
        let mut served = raw_accept(&listener).await;
        let (_request, mut respond) = served.accept().await.unwrap().unwrap();
        let send = respond.send_response(Response::new(()), false).unwrap();
        let flush = async { while served.accept().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_millis(50), flush).await;
        (served, send)
    };
    let (mut stream, _served) = tokio::join!(dial_with(&dialer, &to), serving);
    // Nobody answers the PING; hours are no matter.
    tokio::time::pause();
    assert!(stream.read(&mut [0; 9]).await.is_err());
}

#[tokio::test]
async fn a_connection_without_streams_is_closed_after_a_while() {
    let (listener, to) = raw_server().await;
    let dialer = dialer();
    let (stream, serving) =
        tokio::join!(dial_with(&dialer, &to), async { serve_all(raw_accept(&listener).await) });
    drop(stream);
    tokio::time::pause();
    serving.await.unwrap();
}

#[tokio::test]
async fn a_server_with_few_streams_gets_more_connections() {
    let (listener, to) = raw_server().await;
    let dialer = dialer();
    let serving = tokio::spawn(async move {
        loop {
            let socket = listener.accept().await.unwrap().0;
            let mut builder = server::Builder::new();
            serve_all(builder.max_concurrent_streams(2).handshake(socket).await.unwrap());
        }
    });
    let mut streams = Vec::new();
    for _ in 0..6 {
        streams.push(dial_with(&dialer, &to).await);
    }
    let mut locals: Vec<_> =
        streams.iter().map(|it| it.local_addr().unwrap().to_string()).collect();
    locals.sort();
    locals.dedup();
    assert_eq!(locals.len(), 3);
    // A place that is free again is used again.
    drop(streams.pop());
    let again = dial_with(&dialer, &to).await.local_addr().unwrap().to_string();
    assert!(locals.contains(&again));
    serving.abort();
}

#[tokio::test]
async fn who_dials_before_a_server_has_said_how_many_streams_it_takes_waits_for_that() {
    let (listener, to) = raw_server().await;
    let dialer = dialer();
    let serving = tokio::spawn(async move {
        loop {
            let socket = listener.accept().await.unwrap().0;
            // The first request is there; the others would be, too.
            tokio::time::sleep(Duration::from_millis(100)).await;
            let mut builder = server::Builder::new();
            serve_all(builder.max_concurrent_streams(2).handshake(socket).await.unwrap());
        }
    });
    let streams = futures_util::future::join_all((0..6).map(|_| dial_with(&dialer, &to))).await;
    let mut locals: Vec<_> =
        streams.iter().map(|it| it.local_addr().unwrap().to_string()).collect();
    locals.sort();
    locals.dedup();
    assert_eq!(locals.len(), 3);
    serving.abort();
}

#[tokio::test]
async fn a_flood_of_resets_ends_and_hurts_nobody_else() {
    let mut listener = listen(&settings(own()));
    let to = listener.local_addr();
    let mut client = raw_client(&to).await;
    let flood = async {
        let mut opened = 0;
        while opened < 20_000 && client.clone().ready().await.is_ok() {
            let uri = "http://interop.test/h2tunnel";
            let Ok((_, mut send)) = client.send_request(request(uri), false) else { break };
            send.send_reset(Reason::CANCEL);
            opened += 1;
            if opened % 50 == 0 {
                tokio::task::yield_now().await;
            }
        }
    };
    let (_, handed_out) = while_accepting(&mut listener, flood).await;
    drop(handed_out);
    let dialer = dialer();
    let (_, _) = while_accepting(&mut listener, dial_with(&dialer, &to)).await;
}

#[tokio::test]
async fn connections_are_bounded_also_without_streams() {
    let limits = TransportLimits { sessions: 2, ..TransportLimits::default() };
    let environment = Environment { limits, ..environment() };
    let settings = Arc::new(settings(own()));
    let mut listener = Registry::with_builtin().listen(&any(), &settings, &environment).unwrap();
    let to = listener.local_addr().as_ip().unwrap();
    let asking = async {
        let mut held = Vec::new();
        for _ in 0..2 {
            let socket = TcpStream::connect(to).await.unwrap();
            let (sender, connection) = client::handshake(socket).await.unwrap();
            held.push((sender, tokio::spawn(connection)));
            // Once it has answered it has its place.
            let (answer, _) = held
                .last_mut()
                .unwrap()
                .0
                .send_request(request("http://other.test/"), true)
                .unwrap();
            assert_eq!(answer.await.unwrap().status(), StatusCode::NOT_FOUND);
        }
        let (_one_more, connection) =
            client::handshake(TcpStream::connect(to).await.unwrap()).await.unwrap();
        let _ = connection.await;
        held
    };
    let (_, handed_out) = while_accepting(&mut listener, asking).await;
    assert!(handed_out.is_empty());
}

#[tokio::test]
async fn clients_that_speak_something_else_are_not_handed_out() {
    let mut listener = listen(&settings(own()));
    let to = listener.local_addr();
    for sent in [
        &b"GET / HTTP/1.1\r\nHost: interop.test\r\n\r\n"[..],
        b"\0\xff garbage \r\n\r\n",
        b"PRI * HT",
    ] {
        let mut client = TcpStream::connect(to.as_ip().unwrap()).await.unwrap();
        client.write_all(sent).await.unwrap();
        client.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let (_, handed_out) = while_accepting(&mut listener, client.read_to_end(&mut rest)).await;
        assert!(handed_out.is_empty());
    }
}
