//! TCP: how connections end.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{Host, read_all};

pub(crate) async fn the_client_may_end_first(host: &Host) {
    let (mut client, mut server) = host.pair().await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut server).await.unwrap(), b"question");
    server.write_all(b"answer").await.unwrap();
    drop(server);
    assert_eq!(read_all(&mut client).await.unwrap(), b"answer");
}

pub(crate) async fn the_server_may_end_first(host: &Host) {
    let (mut client, mut server) = host.pair().await;
    server.write_all(b"banner").await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(read_all(&mut client).await.unwrap(), b"banner");
    client.write_all(b"late").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut server).await.unwrap(), b"late");
    // Both have ended, and an end stays an end.
    assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
}

pub(crate) async fn dropping_both_directions_is_an_end_of_file(host: &Host) {
    let (client, mut server) = host.pair().await;
    drop(client);
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
}

pub(crate) async fn writing_after_the_own_end_fails(host: &Host) {
    let (mut client, _server) = host.pair().await;
    client.shutdown().await.unwrap();
    client.shutdown().await.unwrap();
    let error = client.write(b"x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

pub(crate) async fn a_reset_is_an_error_for_the_other(host: &Host) {
    let (client, mut server) = host.pair().await;
    client.reset();
    let error = server.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let error = server.write(b"x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert_eq!(server.shutdown().await.unwrap_err().kind(), ErrorKind::NotConnected);
}

pub(crate) async fn bytes_before_a_reset_may_be_read(host: &Host) {
    let (mut client, mut server) = host.pair().await;
    client.write_all(b"last words").await.unwrap();
    let mut text = [0; 4];
    server.read_exact(&mut text).await.unwrap();
    client.reset();
    let mut rest = Vec::new();
    let error = server.read_to_end(&mut rest).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(b" words".starts_with(&rest[..]) || rest.is_empty(), "{rest:?}");
}

pub(crate) async fn closing_with_unread_bytes_is_a_reset(host: &Host) {
    let (mut client, mut server) = host.pair().await;
    client.write_all(b"nobody reads that").await.unwrap();
    server.read_exact(&mut [0; 4]).await.unwrap();
    drop(server);
    let error = client.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

pub(crate) async fn writing_to_somebody_who_has_closed_fails_in_the_end(host: &Host) {
    let (mut client, server) = host.pair().await;
    drop(server);
    assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    // The first write asks the other side, whose answer is the reset.
    client.write_all(b"x").await.unwrap();
    let error = loop {
        if let Err(error) = client.write_all(b"x").await {
            break error;
        }
        tokio::task::yield_now().await;
    };
    let kinds = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
    assert!(kinds.contains(&error.kind()), "{error}");
}

pub(crate) async fn a_writer_that_waits_learns_of_the_end(host: &Host) {
    let (mut client, server) = host.pair().await;
    let writer = tokio::spawn(async move {
        let block = vec![0; 1 << 20];
        loop {
            if let Err(error) = client.write_all(&block).await {
                return error;
            }
        }
    });
    // What was written before it waits is never read.
    tokio::task::yield_now().await;
    server.reset();
    let error = writer.await.unwrap();
    let kinds = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
    assert!(kinds.contains(&error.kind()), "{error}");
}

pub(crate) async fn a_listener_that_is_dropped_resets_who_waits(host: &Host) {
    let listener = host.listen("127.0.0.1:0");
    let mut client = host.dial(&listener.local_addr()).await.unwrap();
    drop(listener);
    let error = client.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}
