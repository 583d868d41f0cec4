//! What strangers send.

use std::sync::Arc;
use std::time::Duration;

use rosn_config::checked::{DatagramSecurity, PacketHeader};
use rosn_transport::{Environment, Quic, Transport as _, TransportLimits};
use tokio::net::UdpSocket;

use crate::support::*;

#[tokio::test]
async fn garbage_harms_nobody() {
    for settings in
        [plain(), settings(DatagramSecurity::Aes128Gcm, "key", PacketHeader::WechatVideo)]
    {
        let (addr, _) = echo(listen(&settings));
        let dialer = dialer(&settings);
        let stream = dial(&dialer, &addr).await;
        let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut seed = 7u32;
        for round in 0..3000 {
            let garbage: Vec<u8> = (0..round % 1500)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 24) as u8
                })
                .collect();
            stranger.send_to(&garbage, addr.to_string()).await.unwrap();
        }
        check_echo(stream, 100_000).await;
        check_echo(dial(&dialer, &addr).await, 100_000).await;
    }
}

/// Initial packets of clients that never go on. Each is a proper one (RFC 9001 A.2 needs keys, so a real client makes
/// them, whose answers are thrown away).
#[tokio::test]
async fn half_open_handshakes_are_bounded() {
    let limits = TransportLimits { handshakes: 8, ..TransportLimits::default() };
    let environment = Environment { limits, ..environment() };
    let settings = Arc::new(plain());
    let listener = Quic.listen(&"127.0.0.1:0".parse().unwrap(), &settings, &environment).unwrap();
    let (addr, _) = echo(listener);

    // A recorder that never answers collects first packets.
    let recorder = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = rosn_base::Addr::Ip(recorder.local_addr().unwrap());
    let mut initials = Vec::new();
    for _ in 0..64 {
        let dialer = dialer(&plain());
        let to = to.clone();
        let dialing = tokio::spawn(async move {
            let _ = dialer.dial(&to, &Default::default()).await;
        });
        let mut packet = vec![0; 2048];
        let (length, _) = within(recorder.recv_from(&mut packet)).await.unwrap();
        packet.truncate(length);
        initials.push(packet);
        dialing.abort();
    }
    for initial in &initials {
        let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        stranger.send_to(initial, addr.to_string()).await.unwrap();
    }
    // Half of the places are kept for clients that prove their address, so this one comes in at once.
    let stream = tokio::time::timeout(Duration::from_secs(7), dial(&dialer(&plain()), &addr)).await;
    check_echo(stream.expect("it need not wait for the others to time out"), 1000).await;
}
