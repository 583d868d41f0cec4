//! Bytes through tunnels.

use std::collections::HashSet;

use rosn_base::Addr;
use rosn_config::checked::{DatagramSecurity, PacketHeader};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::*;

#[tokio::test]
async fn every_header_and_security_carries_bytes() {
    use DatagramSecurity::{Aes128Gcm, Auto, ChaCha20Poly1305, None};
    use PacketHeader::{Dtls, Srtp, Utp, WechatVideo, Wireguard};
    for security in [None, Aes128Gcm, ChaCha20Poly1305, Auto] {
        for header in [PacketHeader::None, Srtp, Utp, WechatVideo, Dtls, Wireguard] {
            let settings = settings(security, "a key", header);
            let (addr, server) = echo(listen(&settings));
            check_echo(dial(&dialer(&settings), &addr).await, 300_000).await;
            server.abort();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_mebibytes_both_ways() {
    for settings in
        [plain(), settings(DatagramSecurity::Aes128Gcm, "key", PacketHeader::WechatVideo)]
    {
        let (addr, _) = echo(listen(&settings));
        check_echo(dial(&dialer(&settings), &addr).await, 8 << 20).await;
    }
}

#[tokio::test]
async fn with_certificates_and_names() {
    let (ours, theirs) = tls_pair();
    let (addr, _) = echo(listen(&with_tls(plain(), ours)));
    let port = addr.port().unwrap();
    let dialer = dialer(&with_tls(plain(), theirs));
    check_echo(dial(&dialer, &addr).await, 1000).await;
    check_echo(dial(&dialer, &Addr::Name("localhost".into(), port)).await, 1000).await;
}

#[tokio::test]
async fn over_ipv6() {
    let Ok(listener) = listen_at("[::1]:0", &plain()) else { return };
    let (addr, _) = echo(listener);
    check_echo(dial(&dialer(&plain()), &addr).await, 100_000).await;
}

#[tokio::test]
async fn an_ipv4_client_of_an_ipv6_listener() {
    let Ok(listener) = listen_at("[::]:0", &plain()) else { return };
    let (addr, _) = echo(listener);
    let to = Addr::Ip(([127, 0, 0, 1], addr.port().unwrap()).into());
    check_echo(dial(&dialer(&plain()), &to).await, 100_000).await;
    let mapped = Addr::Ip(
        ("::ffff:127.0.0.1".parse::<std::net::IpAddr>().unwrap(), addr.port().unwrap()).into(),
    );
    check_echo(dial(&dialer(&plain()), &mapped).await, 100_000).await;
}

#[tokio::test]
async fn both_sides_know_the_addresses() {
    let mut listener = listen(&plain());
    let addr = listener.local_addr();
    let dialer = dialer(&plain());
    let (mut client, accepted) = tokio::join!(
        async {
            let mut client = dial(&dialer, &addr).await;
            client.write_all(b"x").await.unwrap();
            client
        },
        accept(&mut listener)
    );
    assert_eq!(client.peer_addr().unwrap().to_addr(), Some(addr.clone()));
    assert_eq!(client.local_addr().unwrap(), accepted.peer);
    assert_eq!(accepted.local.to_addr(), Some(addr));
    assert_eq!(accepted.stream.peer_addr().unwrap(), accepted.peer);
    client.shutdown().await.unwrap();
}

/// 32 streams of a connection are open at a time, so 70 need three connections.
#[tokio::test]
async fn seventy_at_once_take_three_connections() {
    let mut listener = listen(&plain());
    let addr = listener.local_addr();
    let dialer = dialer(&plain());
    let clients: Vec<_> = (0..70u8)
        .map(|number| {
            let (dialer, addr) = (dialer.clone(), addr.clone());
            tokio::spawn(async move {
                let mut stream = dial(&dialer, &addr).await;
                stream.write_all(&[number]).await.unwrap();
                let mut answer = [0];
                within(stream.read_exact(&mut answer)).await.unwrap();
                assert_eq!(answer, [!number]);
            })
        })
        .collect();
    let mut open = Vec::new();
    for _ in 0..70 {
        open.push(accept(&mut listener).await);
    }
    let ports: HashSet<_> = open.iter().map(|accepted| accepted.peer.clone()).collect();
    assert_eq!(ports.len(), 3, "{ports:?}");
    for accepted in &mut open {
        let mut number = [0];
        accepted.stream.read_exact(&mut number).await.unwrap();
        accepted.stream.write_all(&[!number[0]]).await.unwrap();
    }
    for client in clients {
        within(client).await.unwrap();
    }
}

#[tokio::test]
async fn streams_one_after_the_other_share_a_connection() {
    let mut listener = listen(&plain());
    let addr = listener.local_addr();
    let dialer = dialer(&plain());
    let mut peers = HashSet::new();
    for _ in 0..100 {
        let client = async {
            let mut client = dial(&dialer, &addr).await;
            client.write_all(b"ping").await.unwrap();
            client.shutdown().await.unwrap();
            client
        };
        let (mut client, mut accepted) = tokio::join!(client, accept(&mut listener));
        let mut bytes = Vec::new();
        within(accepted.stream.read_to_end(&mut bytes)).await.unwrap();
        accepted.stream.shutdown().await.unwrap();
        within(client.read_to_end(&mut bytes)).await.unwrap();
        assert_eq!(bytes, b"ping");
        peers.insert(accepted.peer);
    }
    // The credit for a further stream may come a moment late.
    assert!(peers.len() <= 4, "{peers:?}");
}
