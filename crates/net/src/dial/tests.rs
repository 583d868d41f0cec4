use super::*;
use crate::{ListenOptions, PeerAddr, bind_tcp, bind_udp, bind_unix};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn listener(addr: &str) -> (Bound<std::net::TcpListener>, Addr) {
    let listener = bind_tcp(addr.parse().unwrap(), &ListenOptions::default()).unwrap();
    let addr = Addr::Ip(listener.local_addr().unwrap());
    (listener, addr)
}

async fn plainly(target: &Addr) -> Result<Stream, DialError> {
    dial(target, &DialOptions::default()).await
}

#[tokio::test]
async fn reaches_both_families_and_unix_sockets() {
    for addr in ["127.0.0.1:0", "[::1]:0"] {
        let (listener, addr) = listener(addr);
        let stream = plainly(&addr).await.unwrap();
        let (accepted, peer) = listener.accept().unwrap();
        assert_eq!(stream.local_addr().unwrap(), PeerAddr::from(peer));
        assert_eq!(stream.peer_addr().unwrap().to_addr(), Some(addr));
        assert!(stream.socket().unwrap().tcp_nodelay().unwrap());
        drop(accepted);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sock");
    let bound = bind_unix(&path, &ListenOptions::default()).unwrap();
    let mut stream = plainly(&Addr::Unix(path.clone())).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    drop(stream);
    let (accepted, _) = bound.listener.accept().unwrap();
    accepted.set_nonblocking(true).unwrap();
    let mut accepted = Stream::from(tokio::net::UnixStream::from_std(accepted).unwrap());
    assert_eq!(accepted.peer_addr().unwrap(), PeerAddr::Unix(None));
    assert_eq!(accepted.local_addr().unwrap(), PeerAddr::Unix(Some(path.into())));
    let mut text = String::new();
    accepted.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hello");
}

#[tokio::test]
async fn says_why_there_is_no_connection() {
    let (listener, addr) = listener("127.0.0.1:0");
    drop(listener);
    let error = plainly(&addr).await.unwrap_err();
    assert_eq!((error.kind(), error.target()), (io::ErrorKind::ConnectionRefused, &addr));
    assert_eq!(
        error.to_string(),
        format!("cannot connect to {addr}: refused: nothing listens there")
    );

    let error = plainly(&"unix:/nowhere/a".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(matches!(error, DialError::Connect { .. }));

    let error = plainly(&"example.org:80".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, DialError::Unresolved { .. }));

    let long = Addr::Unix("x".repeat(200).into());
    assert!(matches!(plainly(&long).await, Err(DialError::Setup { step: "the path", .. })));
}

#[tokio::test]
async fn dials_from_the_address_it_is_told() {
    let (listener, addr) = listener("127.0.0.1:0");
    let bind = |text: &str| DialOptions { bind: text.parse().ok(), ..Default::default() };
    let _stream = dial(&addr, &bind("127.0.0.2:0")).await.unwrap();
    assert_eq!(listener.accept().unwrap().1.ip().to_string(), "127.0.0.2");
    // Another family is an error before anything is sent.
    for text in ["192.0.2.1:0", "[::1]:0"] {
        let error = dial(&addr, &bind(text)).await.unwrap_err();
        assert!(matches!(error, DialError::Setup { step: "bind", .. }), "{error:?}");
    }
}

#[tokio::test]
async fn udp_talks_with_its_target_only() {
    let server = bind_udp("127.0.0.1:0".parse().unwrap(), &ListenOptions::default()).unwrap();
    let server = server.map(tokio::net::UdpSocket::from_std).unwrap();
    let client = dial_udp(server.local_addr().unwrap(), &DialOptions::default()).unwrap();
    let client = client.map(tokio::net::UdpSocket::from_std).unwrap();
    let large = vec![7; 60_000];
    client.send(&large).await.unwrap();
    let mut buf = vec![0; 65_536];
    let (count, peer) = server.recv_from(&mut buf).await.unwrap();
    assert!(buf[..count] == large && peer == client.local_addr().unwrap());
    drop(server);
    client.send(b"anyone?").await.unwrap();
    let error = client.recv(&mut buf).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}
