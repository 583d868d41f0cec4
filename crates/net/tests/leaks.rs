//! Nothing is left open, whatever happened. Alone in its process, because it counts descriptors.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
use std::future::poll_fn;
use std::path::PathBuf;
use std::task::Poll;

use rosn_base::Addr;
use rosn_net::{
    DialOptions, ListenOptions, Stream, Tunnel, bind_tcp, bind_udp, bind_unix, check_free, dial,
    dial_udp,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

async fn pair(listener: &tokio::net::TcpListener, addr: &Addr) -> (Stream, Stream) {
    let dialed = dial(addr, &DialOptions::default()).await.unwrap();
    (dialed, listener.accept().await.unwrap().0.into())
}

#[tokio::test]
async fn nothing_is_left_open() {
    let options = ListenOptions::default();
    let listener = bind_tcp("127.0.0.1:0".parse().unwrap(), &options).unwrap();
    let addr = Addr::Ip(listener.local_addr().unwrap());
    let listener = listener.map(tokio::net::TcpListener::from_std).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("a.sock");
    let before = open_descriptors();

    for round in 0..4 {
        let ((mut client, a), (mut server, b)) =
            (pair(&listener, &addr).await, pair(&listener, &addr).await);
        let tunnel = tokio::spawn(Tunnel::new(a, b, b"x", b"y").run());
        // Enough to splice.
        let sent = vec![1; 3 << 20];
        let mut received = vec![0; sent.len() + 1];
        let (sending, receiving) =
            tokio::join!(client.write_all(&sent), server.read_exact(&mut received));
        sending.unwrap();
        receiving.unwrap();
        match round {
            0 => client.reset(),
            1 => drop((client, server)),
            2 => tunnel.abort(),
            _ => {
                server.shutdown().await.unwrap();
                drop(client);
            }
        }
        let limit = std::time::Duration::from_secs(20);
        let _ = tokio::time::timeout(limit, tunnel).await.expect("the tunnel ends");
    }

    // A dial that is given up half-way: 192.0.2.0/24 (RFC 5737) never answers.
    let nowhere = "192.0.2.1:9".parse().unwrap();
    let options_dial = DialOptions::default();
    let mut dialing = Box::pin(dial(&nowhere, &options_dial));
    poll_fn(|cx| {
        let _ = dialing.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
    drop(dialing);

    assert!(bind_tcp(addr.as_ip().unwrap(), &options).is_err());
    assert!(check_free(addr.as_ip().unwrap()).is_err());
    drop(bind_udp("127.0.0.1:0".parse().unwrap(), &options).unwrap());
    drop(dial_udp("127.0.0.1:9".parse().unwrap(), &options_dial).unwrap());
    let bound = bind_unix(&path, &options).unwrap();
    assert!(bind_unix(&path, &options).is_err());
    drop(bound);
    assert!(dial(&Addr::Unix(path), &options_dial).await.is_err());

    assert_eq!(open_descriptors(), before);
}
