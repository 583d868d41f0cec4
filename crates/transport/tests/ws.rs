//! `ws`, by name and over real sockets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod tcp_support;

use std::sync::Arc;

use rosn_config::checked::{StreamSettings, TransportSettings, WebSocketSettings};
use rosn_net::Stream;
use rosn_transport::Accepted;
use tcp_support::{accept, certificate, dial, listen, pair, refused, tls_pair, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

fn settings(path: &str) -> StreamSettings {
    let own = WebSocketSettings { path: path.to_owned(), ..WebSocketSettings::default() };
    StreamSettings { transport: TransportSettings::WebSocket(own), ..StreamSettings::default() }
}

fn early(path: &str, header: &str) -> StreamSettings {
    let own = WebSocketSettings {
        path: path.to_owned(),
        max_early_data: 2048,
        early_data_header: header.to_owned(),
        ..WebSocketSettings::default()
    };
    StreamSettings { transport: TransportSettings::WebSocket(own), ..StreamSettings::default() }
}

/// Both directions at a time; a WebSocket cannot end one of them alone.
async fn both_ways(client: Stream, server: Accepted, count: usize) {
    let bytes: Arc<Vec<u8>> = Arc::new((0..count).map(|at| (at / 3) as u8).collect());
    let end = |stream: Stream| {
        let bytes = bytes.clone();
        async move {
            let (mut read, mut write) = tokio::io::split(stream);
            let mut got = vec![0; bytes.len()];
            let send = async {
                write.write_all(&bytes).await?;
                // The last frame may be held back where the peer was slow.
                write.flush().await
            };
            let (sent, received) = tokio::join!(send, read.read_exact(&mut got));
            sent.unwrap();
            received.unwrap();
            assert!(got == *bytes);
            (read, write)
        }
    };
    within(async { tokio::join!(end(client), end(server.stream)) }).await;
}

#[tokio::test]
async fn bytes_pass_with_and_without_tls() {
    let (server, client) = tls_pair(&certificate(&["a.test"]), "a.test");
    for tls in [None, Some((server, client))] {
        let (mut listening, mut dialing) = (settings("/tunnel"), settings("/tunnel"));
        if let Some((server, client)) = tls {
            (listening.tls, dialing.tls) = (Some(server), Some(client));
        }
        let (client, server) = pair(&listening, &dialing).await;
        assert_eq!(server.peer, client.local_addr().unwrap());
        assert_eq!(server.local, client.peer_addr().unwrap());
        both_ways(client, server, 8 << 20).await;
    }
}

#[tokio::test]
async fn forty_at_a_time() {
    let mut listener = listen(&settings("/"));
    let to = listener.local_addr();
    let mut tasks = tokio::task::JoinSet::new();
    for at in 0..40_u8 {
        let to = to.clone();
        tasks.spawn(async move {
            let mut client = dial(&settings("/"), &to).await.unwrap();
            client.write_all(&[at; 30_000]).await.unwrap();
            let mut got = vec![0; 30_000];
            client.read_exact(&mut got).await.unwrap();
            assert!(got.iter().all(|byte| *byte == at));
            client.shutdown().await.unwrap();
        });
    }
    for _ in 0..40 {
        let mut server = accept(&mut listener).await.stream;
        tasks.spawn(async move {
            let (mut read, mut write) = tokio::io::split(&mut server);
            tokio::io::copy(&mut read, &mut write).await.unwrap();
        });
    }
    within(tasks.join_all()).await;
}

#[tokio::test]
async fn early_data_both_ways_of_sending_them() {
    for header in ["", "Sec-WebSocket-Protocol"] {
        let settings = early("/early", header);
        let mut listener = listen(&settings);
        let to = listener.local_addr();
        let mut client = dial(&settings, &to).await.unwrap();
        client.write_all(b"at once").await.unwrap();
        let (_, server) = tokio::join!(client.flush(), accept(&mut listener));
        let mut server = server.stream;
        let mut got = [0; 7];
        within(server.read_exact(&mut got)).await.unwrap();
        assert_eq!(&got, b"at once");
        server.write_all(&got).await.unwrap();
        within(client.read_exact(&mut got)).await.unwrap();
    }
}

#[tokio::test]
async fn refusals_say_why() {
    let error = refused(&settings("/one"), &settings("/other")).await;
    assert!(error.contains("404") && error.contains("is the path the same"), "{error}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = rosn_base::Addr::Ip(listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut socket = listener.accept().await.unwrap().0;
        let mut head = [0; 1024];
        assert!(socket.read(&mut head).await.unwrap() > 0);
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        socket
    });
    let error = dial(&settings("/"), &to).await.unwrap_err().to_string();
    assert!(error.contains("200 OK, not 101"), "{error}");
    serving.await.unwrap();

    let mut broken = settings("/");
    if let TransportSettings::WebSocket(own) = &mut broken.transport {
        own.headers = vec![("X".to_owned(), "a\r\nb".to_owned())];
    }
    let to = "127.0.0.1:1".parse().unwrap();
    assert!(dial(&broken, &to).await.unwrap_err().to_string().contains("the header `X`"));
}

#[tokio::test]
async fn a_client_that_stops_in_the_middle_delays_nobody() {
    let mut listener = listen(&settings("/"));
    let to = listener.local_addr();
    let mut stuck = Vec::new();
    for _ in 0..50 {
        let mut client = TcpStream::connect(to.as_ip().unwrap()).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
        stuck.push(client);
    }
    let dialing = settings("/");
    let (client, _server) = tokio::join!(dial(&dialing, &to), accept(&mut listener));
    client.unwrap();
}
