use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rosn_net::{ListenOptions, Net as _, OsNet};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::*;

/// A listener whose handshake is: the client sends a byte. It is counted when it begins.
fn handshakes(limits: &TransportLimits) -> (Handshakes<u8>, Arc<AtomicUsize>) {
    let at = "127.0.0.1:0".parse().unwrap();
    let listener = OsNet.listen(&at, &ListenOptions::default()).unwrap();
    let begun = Arc::new(AtomicUsize::new(0));
    let count = begun.clone();
    let upgrade = move |mut stream: Stream, _| {
        count.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move { stream.read_u8().await.map_err(Failed::at("byte")) }) as _
    };
    (Handshakes::new("test", listener, limits, Box::new(upgrade)), begun)
}

fn limits(handshakes: usize) -> TransportLimits {
    TransportLimits { handshakes, ..TransportLimits::default() }
}

async fn connect(listener: &Handshakes<u8>) -> TcpStream {
    TcpStream::connect(listener.local_addr().as_ip().unwrap()).await.unwrap()
}

/// Polls until it waits, and says what was handed out.
async fn polled(listener: &mut Handshakes<u8>) -> Vec<u8> {
    let mut ready = Vec::new();
    // Events of sockets reach their tasks when the runtime turns.
    for _ in 0..50 {
        tokio::task::yield_now().await;
        poll_fn(|cx| {
            while let Poll::Ready(next) = listener.poll_next(cx) {
                ready.push(next.unwrap());
            }
            Poll::Ready(())
        })
        .await;
    }
    ready
}

async fn next(listener: &mut Handshakes<u8>) -> u8 {
    let next = poll_fn(|cx| listener.poll_next(cx));
    tokio::time::timeout(Duration::from_secs(20), next).await.expect("it hangs").unwrap()
}

#[tokio::test]
async fn no_more_are_begun_than_the_limit_allows() {
    let (mut listener, begun) = handshakes(&limits(3));
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(connect(&listener).await);
    }
    assert!(polled(&mut listener).await.is_empty());
    assert_eq!((begun.load(Ordering::Relaxed), listener.len()), (3, 3));

    // Each that is done makes room for one more, in whatever order they are done.
    for client in [2, 0, 1, 3] {
        clients[client].try_write(&[client as u8]).unwrap();
        assert_eq!(usize::from(next(&mut listener).await), client);
        polled(&mut listener).await;
    }
    assert_eq!((begun.load(Ordering::Relaxed), listener.len()), (7, 3));
    // A failure does, too.
    drop(clients.remove(4));
    polled(&mut listener).await;
    assert_eq!((begun.load(Ordering::Relaxed), listener.len()), (8, 3));
}

#[tokio::test(start_paused = true)]
async fn one_that_takes_too_long_is_forgotten() {
    let (mut listener, _) = handshakes(&limits(3));
    let _silent = connect(&listener).await;
    while listener.len() == 0 {
        polled(&mut listener).await;
    }
    tokio::time::advance(Duration::from_secs(9)).await;
    polled(&mut listener).await;
    assert_eq!(listener.len(), 0);
}

#[tokio::test]
async fn draining_hands_out_what_was_connected_already() {
    let (mut listener, _) = handshakes(&limits(1));
    let clients = [connect(&listener).await, connect(&listener).await];
    listener.drain();
    for client in &clients {
        client.try_write(b"x").unwrap();
    }
    for _ in &clients {
        assert_eq!(next(&mut listener).await, b'x');
    }
    let addr = listener.local_addr().as_ip().unwrap();
    let closed = async { while TcpStream::connect(addr).await.is_ok() {} };
    let over = async { poll_fn(|cx| listener.poll_next(cx)).await.map(drop).unwrap_err() };
    let (error, ()) = tokio::join!(over, closed);
    assert_eq!(error.kind(), io::ErrorKind::NotConnected);
}
