//! What clients cannot do to it.

use std::time::Duration;

use rosn_admin::AdminOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Server;

#[tokio::test]
async fn large_bodies_are_refused() {
    let server = Server::start(AdminOptions::default()).await;
    let most = " ".repeat(1024 * 1024);
    assert_eq!(server.post("/api/v1/enable_log", &most).await.status, 400);
    let more = " ".repeat(1024 * 1024 + 1);
    assert_eq!(server.post("/api/v1/enable_log", &more).await.status, 413);
    let chunk = format!("100001\r\n{more}\r\n0\r\n\r\n");
    let head = "POST /api/v1/enable_log HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\
                Connection: close\r\n\r\n";
    assert_eq!(server.raw(format!("{head}{chunk}")).await.status, 413);
}

#[tokio::test]
async fn malformed_requests_are_refused() {
    let server = Server::start(AdminOptions::default()).await;
    for bad in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ] {
        assert_eq!(server.raw(bad).await.status, 400, "{bad:?}");
    }
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(1_000_000));
    let status = server.raw(long).await.status;
    assert!(matches!(status, 0 | 414 | 431), "{status}");
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_slow_head_is_cut_off() {
    let server = Server::start(AdminOptions::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
    let mut reply = Vec::new();
    // The clock jumps ahead whenever everything waits; without the limit this would never end.
    let read = stream.read_to_end(&mut reply);
    tokio::time::timeout(Duration::from_secs(60), read).await.unwrap().unwrap();
    assert!(reply.is_empty() || reply.starts_with(b"HTTP/1.1 408"), "{reply:?}");
}

#[tokio::test]
async fn more_clients_than_the_limit_wait() {
    let server = Server::start(AdminOptions::default()).await;
    let mut open = Vec::new();
    for _ in 0..256 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut first = [0; 15];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK");
        open.push(stream);
    }
    let mut next = TcpStream::connect(server.address).await.unwrap();
    next.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 15];
    let waits = tokio::time::timeout(Duration::from_millis(50), next.read_exact(&mut first)).await;
    assert!(waits.is_err(), "one too many was served");
    open.pop();
    next.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
}
