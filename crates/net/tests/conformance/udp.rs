//! UDP.

use std::io::ErrorKind;
use std::net::SocketAddr;

use rosn_net::{Batch, BindError, DialOptions, ListenOptions};

use crate::{Host, poll_once, receive, send, send_one};

pub(crate) async fn s13_datagrams_keep_order_and_boundaries(host: &Host) {
    let server = host.udp("127.0.0.1:0");
    let to = server.local_addr().unwrap();
    let client = host.udp("127.0.0.1:0");
    let sent: Vec<Vec<u8>> = (0..50_u8).map(|n| vec![n; 1 + usize::from(n) * 7]).collect();
    for bytes in &sent {
        send_one(&client, to, bytes).await.unwrap();
    }
    let received = receive(&server, 50).await.unwrap();
    let from = client.local_addr().unwrap();
    assert!(received.iter().all(|one| one.0 == from));
    assert!(received.iter().map(|one| &one.1).eq(&sent));
}

pub(crate) async fn s13_an_answer_finds_its_way(host: &Host) {
    let server = host.udp("127.0.0.1:0");
    let to = server.local_addr().unwrap();
    let client = host.dial_udp(to);
    send_one(&client, to, b"question").await.unwrap();
    let (from, bytes) = receive(&server, 1).await.unwrap().remove(0);
    assert_eq!((from, &bytes[..]), (client.local_addr().unwrap(), &b"question"[..]));
    send_one(&server, from, b"answer").await.unwrap();
    assert_eq!(receive(&client, 1).await.unwrap(), [(to, b"answer".to_vec())]);
}

pub(crate) async fn s13_the_largest_and_the_smallest_datagram(host: &Host) {
    let server = host.udp("127.0.0.1:0");
    let to = server.local_addr().unwrap();
    let client = host.dial_udp(to);
    send_one(&client, to, &[]).await.unwrap();
    send_one(&client, to, &[1; 65_507]).await.unwrap();
    assert!(send_one(&client, to, &[1; 65_508]).await.is_err());
    send_one(&client, to, b"after").await.unwrap();
    let lengths: Vec<_> =
        receive(&server, 3).await.unwrap().iter().map(|one| one.1.len()).collect();
    assert_eq!(lengths, [0, 65_507, 5]);
}

pub(crate) async fn s13_a_batch_is_split_into_its_segments(host: &Host) {
    let server = host.udp("127.0.0.1:0");
    let to = server.local_addr().unwrap();
    let client = host.dial_udp(to);
    let bytes: Vec<u8> = (0..=255).cycle().take(4 * 1200 + 100).collect();
    for segment in [Some(1200), Some(bytes.len()), Some(bytes.len() + 1), None] {
        send(&client, Batch { to, bytes: &bytes, segment }).await.unwrap();
        let parts: Vec<_> = bytes.chunks(segment.unwrap_or(usize::MAX)).collect();
        let received = receive(&server, parts.len()).await.unwrap();
        assert!(received.iter().map(|one| &one.1[..]).eq(parts), "{segment:?}");
    }
}

pub(crate) async fn s13_a_batch_may_be_larger_than_a_system_call(host: &Host) {
    let server = host.udp("127.0.0.1:0");
    let to = server.local_addr().unwrap();
    let client = host.udp("127.0.0.1:0");
    let bytes: Vec<u8> = (0..100_u8).flat_map(|number| [number; 1000]).collect();
    send(&client, Batch { to, bytes: &bytes, segment: Some(1000) }).await.unwrap();
    let received = receive(&server, 100).await.unwrap();
    assert!(received.iter().map(|one| &one.1[..]).eq(bytes.chunks(1000)));
}

pub(crate) async fn s13_a_batch_of_nothing_is_refused(host: &Host) {
    let socket = host.udp("127.0.0.1:0");
    let to = socket.local_addr().unwrap();
    let error = send(&socket, Batch { to, bytes: b"abc", segment: Some(0) }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

pub(crate) async fn s13_nobody_there_is_refused_where_connected(host: &Host) {
    let gone = host.udp("127.0.0.1:0").local_addr().unwrap();
    let client = host.dial_udp(gone);
    send_one(&client, gone, b"anybody?").await.unwrap();
    let error = receive(&client, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    // Somebody comes: the socket is as good as before.
    let server = host.udp(&gone.to_string());
    send_one(&client, gone, b"hello").await.unwrap();
    assert_eq!(receive(&server, 1).await.unwrap()[0].1, b"hello");
}

pub(crate) async fn s13_a_server_survives_clients_that_are_gone(host: &Host) {
    let gone = host.udp("127.0.0.1:0").local_addr().unwrap();
    let server = host.udp("127.0.0.1:0");
    for _ in 0..3 {
        send_one(&server, gone, b"answer").await.unwrap();
    }
    let to = server.local_addr().unwrap();
    let client = host.dial_udp(to);
    send_one(&client, to, b"question").await.unwrap();
    assert_eq!(receive(&server, 1).await.unwrap()[0].1, b"question");
}

pub(crate) async fn s13_a_connected_socket_hears_its_peer_only(host: &Host) {
    let server = host.udp("127.0.0.1:0");
    let to = server.local_addr().unwrap();
    let client = host.dial_udp(to);
    let own = client.local_addr().unwrap();
    let stranger = host.udp("127.0.0.1:0");
    send_one(&stranger, own, b"psst").await.unwrap();
    send_one(&server, own, b"answer").await.unwrap();
    assert_eq!(receive(&client, 1).await.unwrap(), [(to, b"answer".to_vec())]);
    let elsewhere = stranger.local_addr().unwrap();
    let error = send_one(&client, elsewhere, b"x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

pub(crate) async fn s13_a_port_is_in_use_until_its_socket_is_dropped(host: &Host) {
    let socket = host.udp("127.0.0.1:0");
    let addr = socket.local_addr().unwrap();
    let options = ListenOptions::default();
    let error = host.net.bind_udp(addr, &options).unwrap_err();
    assert!(matches!(error, BindError::InUse { .. }), "{error}");
    drop(socket);
    drop(host.net.bind_udp(addr, &options).unwrap());
    let sharing = ListenOptions { reuse_port: true, ..options };
    let first = host.net.bind_udp(addr, &sharing).unwrap();
    drop((host.net.bind_udp(addr, &sharing).unwrap(), first));
}

pub(crate) async fn s13_ipv4_and_ipv6_on_one_socket(host: &Host) {
    let server = host.udp("[::]:0");
    let port = server.local_addr().unwrap().port();
    for ip in ["127.0.0.1", "[::1]"] {
        let to: SocketAddr = format!("{ip}:{port}").parse().unwrap();
        let client = host.dial_udp(to);
        send_one(&client, to, b"question").await.unwrap();
        let (from, _) = receive(&server, 1).await.unwrap().remove(0);
        assert_eq!(from, client.local_addr().unwrap());
        let bytes = b"answeranswer";
        send(&server, Batch { to: from, bytes, segment: Some(6) }).await.unwrap();
        let answers = receive(&client, 2).await.unwrap();
        assert!(answers.iter().all(|one| *one == (to, b"answer".to_vec())), "{answers:?}");
    }
}

pub(crate) async fn s13_a_cancelled_receive_loses_nothing(host: &Host) {
    let server = host.udp("127.0.0.1:0");
    let to = server.local_addr().unwrap();
    assert!(poll_once(std::pin::pin!(receive(&server, 1))).await.is_pending());
    let client = host.dial_udp(to);
    send_one(&client, to, b"hello").await.unwrap();
    assert_eq!(receive(&server, 1).await.unwrap()[0].1, b"hello");
}

pub(crate) async fn s13_a_dialer_may_choose_its_address(host: &Host) {
    let server = host.udp("127.0.0.1:0");
    let to = server.local_addr().unwrap();
    let bind: SocketAddr = "127.0.0.2:0".parse().unwrap();
    let options = DialOptions { bind: Some(bind), ..DialOptions::default() };
    let client = host.net.dial_udp(to, &options).unwrap();
    send_one(&client, to, b"hello").await.unwrap();
    let (from, _) = receive(&server, 1).await.unwrap().remove(0);
    assert_eq!(from.ip(), bind.ip());
    let bind = Some("203.0.113.1:0".parse().unwrap());
    let options = DialOptions { bind, ..DialOptions::default() };
    assert!(host.net.dial_udp(to, &options).is_err());
}
