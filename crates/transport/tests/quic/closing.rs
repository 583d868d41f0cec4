//! How streams, listeners and dialers end.

use std::io::ErrorKind;
use std::time::Duration;

use rosn_net::Stream;
use rosn_transport::{Accepted, DialRequest, Listener};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::*;

/// A stream that has carried a byte, and its two ends.
async fn pair(listener: &mut Box<dyn Listener>) -> (Stream, Accepted) {
    let addr = listener.local_addr();
    let client = async {
        let mut client = dial(&dialer(&plain()), &addr).await;
        client.write_all(b"x").await.unwrap();
        client
    };
    let (client, mut accepted) = tokio::join!(client, accept(listener));
    let mut byte = [0];
    accepted.stream.read_exact(&mut byte).await.unwrap();
    (client, accepted)
}

#[tokio::test]
async fn each_direction_ends_for_itself() {
    let mut listener = listen(&plain());
    let (mut client, mut accepted) = pair(&mut listener).await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut question = String::new();
    within(accepted.stream.read_to_string(&mut question)).await.unwrap();
    assert_eq!(question, "question");
    accepted.stream.write_all(b"answer").await.unwrap();
    accepted.stream.shutdown().await.unwrap();
    let mut answer = String::new();
    within(client.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "answer");
    assert!(client.write_all(b"more").await.is_err());
}

#[tokio::test]
async fn dropping_is_an_orderly_end() {
    let mut listener = listen(&plain());
    let (client, mut accepted) = pair(&mut listener).await;
    let big = vec![7; 1 << 20];
    let mut writer = client;
    let write = async {
        writer.write_all(&big).await.unwrap();
        drop(writer);
    };
    let mut got = Vec::new();
    let ((), read) =
        within(async { tokio::join!(write, accepted.stream.read_to_end(&mut got)) }).await;
    read.unwrap();
    assert!(got == big);
}

#[tokio::test]
async fn whoever_reads_no_more_stops_the_writer() {
    let mut listener = listen(&plain());
    let (mut client, accepted) = pair(&mut listener).await;
    drop(accepted);
    let error = within(async {
        loop {
            if let Err(error) = client.write_all(&[0; 4096]).await {
                break error;
            }
        }
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
    let mut rest = Vec::new();
    assert_eq!(within(client.read_to_end(&mut rest)).await.unwrap(), 0);
}

#[tokio::test]
async fn a_reset_is_an_error_for_the_peer() {
    let mut listener = listen(&plain());
    let (mut client, accepted) = pair(&mut listener).await;
    accepted.stream.reset();
    let error = within(client.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
}

#[tokio::test]
async fn a_dropped_dialer_lets_streams_go_on() {
    let (addr, _) = echo(listen(&plain()));
    let dialer = dialer(&plain());
    let stream = dial(&dialer, &addr).await;
    drop(dialer);
    check_echo(stream, 1 << 20).await;
}

#[tokio::test]
async fn a_dropped_listener_lets_streams_go_on_and_then_closes_the_socket() {
    let mut listener = listen(&plain());
    let addr = listener.local_addr();
    let (client, accepted) = pair(&mut listener).await;
    drop(listener);
    let (mut read, mut write) = tokio::io::split(accepted.stream);
    let echo = async move {
        tokio::io::copy(&mut read, &mut write).await.unwrap();
        write.shutdown().await.unwrap();
    };
    within(async { tokio::join!(echo, check_echo(client, 1 << 20)) }).await;
    let at = addr.to_string();
    within(async {
        while std::net::UdpSocket::bind(&at).is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_draining_listener_takes_nobody_and_lets_streams_go_on() {
    let mut listener = listen(&plain());
    let addr = listener.local_addr();
    let (mut client, mut accepted) = pair(&mut listener).await;
    listener.drain();
    let error = dial_error(&dialer(&plain()), &addr).await;
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
    assert!(error.to_string().contains("shutting down"), "{error}");
    client.write_all(b"still").await.unwrap();
    client.shutdown().await.unwrap();
    let mut text = String::new();
    within(accepted.stream.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "still");
}

#[tokio::test]
async fn after_draining_new_streams_of_old_clients_are_reset() {
    let mut listener = listen(&plain());
    let addr = listener.local_addr();
    let dialer = dialer(&plain());
    let first = async {
        let mut first = dial(&dialer, &addr).await;
        first.write_all(b"x").await.unwrap();
        first
    };
    let held = tokio::join!(first, accept(&mut listener));
    listener.drain();
    let outcome = within(async {
        let mut late = dialer.dial(&addr, &DialRequest::default()).await.ok()?;
        late.write_all(b"x").await.ok()?;
        late.read_u8().await.ok()
    })
    .await;
    assert_eq!(outcome, None);
    drop(held);
}

#[tokio::test]
async fn the_dialer_connects_again_after_a_restart() {
    let (addr, server) = echo(listen(&plain()));
    let dialer = dialer(&plain());
    check_echo(dial(&dialer, &addr).await, 1000).await;
    server.abort();
    assert!(server.await.unwrap_err().is_cancelled());
    let at = addr.to_string();
    let listener = within(async {
        loop {
            match listen_at(&at, &plain()) {
                Ok(listener) => return listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    })
    .await;
    let (_, _server) = echo(listener);
    within(async {
        loop {
            // A stream of the old connection may still be handed out in the moment in which that is closed.
            let mut stream = dial(&dialer, &addr).await;
            if stream.write_all(b"x").await.is_ok() && stream.read_u8().await.is_ok() {
                return;
            }
        }
    })
    .await;
}
