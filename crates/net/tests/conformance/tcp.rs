//! TCP: listening, connecting, bytes.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::task::Poll;

use rosn_base::Addr;
use rosn_net::{BindError, DialError, DialOptions, ListenOptions, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};

use crate::{Host, accept, poll_once, read_all};

pub(crate) async fn both_ends_know_their_addresses(host: &Host) {
    let mut listener = host.listen("127.0.0.1:0");
    let addr = listener.local_addr();
    let client = host.dial(&addr).await.unwrap();
    let (server, peer) = accept(&mut listener).await;
    assert_eq!(client.peer_addr().unwrap().to_addr(), Some(addr.clone()));
    assert_eq!(server.local_addr().unwrap().to_addr(), Some(addr));
    assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
    assert_eq!(server.peer_addr().unwrap(), peer);
    assert_ne!(peer.as_ip().unwrap().port(), 0);
}

pub(crate) async fn bytes_keep_their_order_both_ways(host: &Host) {
    let (client, server) = host.pair().await;
    let mut ends = Vec::new();
    for (seed, stream) in [(1, client), (2, server)] {
        let (mut read, mut write) = tokio::io::split(stream);
        ends.push(tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut rest: &[u8] = &numbers(seed);
            while !rest.is_empty() {
                let (part, after) = rest.split_at(random.usize(1..100_000).min(rest.len()));
                write.write_all(part).await.unwrap();
                rest = after;
            }
            write.shutdown().await.unwrap();
        }));
        ends.push(tokio::spawn(async move {
            let mut all = Vec::new();
            read.read_to_end(&mut all).await.unwrap();
            assert!(all == numbers(3 - seed), "bytes are lost or out of order");
        }));
    }
    for end in ends {
        end.await.unwrap();
    }
}

/// A megabyte in which no place looks like another.
fn numbers(seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..1 << 20).map(|_| random.u8(..)).collect()
}

pub(crate) async fn looking_takes_nothing(host: &Host) {
    let (mut client, mut server) = host.pair().await;
    client.write_all(b"hello").await.unwrap();
    for _ in 0..2 {
        let mut space = [0; 3];
        let mut into = ReadBuf::new(&mut space);
        let count = poll_fn(|cx| server.poll_peek(cx, &mut into)).await.unwrap();
        assert_eq!((count, into.filled()), (3, &b"hel"[..]));
    }
    drop(client);
    assert_eq!(read_all(&mut server).await.unwrap(), b"hello");
}

/// Peeking waits for more than was seen, and for no more where the peer has ended.
pub(crate) async fn looking_again_waits_for_more(host: &Host) {
    async fn peek(server: &mut Stream, seen: usize) -> Vec<u8> {
        let mut space = [0; 20];
        let mut into = ReadBuf::new(&mut space);
        poll_fn(|cx| server.poll_peek_more(cx, seen, &mut into)).await.unwrap();
        into.filled().to_vec()
    }
    let (mut client, mut server) = host.pair().await;
    client.write_all(b"a").await.unwrap();
    assert_eq!(peek(&mut server, 0).await, b"a");
    assert!(poll_once(std::pin::pin!(peek(&mut server, 1))).await.is_pending());
    let (more, _) = tokio::join!(peek(&mut server, 1), client.write_all(b"b"));
    assert_eq!(more, b"ab");
    let (ended, _) = tokio::join!(peek(&mut server, 2), client.shutdown());
    assert_eq!(ended, b"ab", "nothing more comes");
    assert_eq!(peek(&mut server, 2).await, b"ab", "as often as one looks");
    assert_eq!(read_all(&mut server).await.unwrap(), b"ab");
    assert_eq!(peek(&mut server, 0).await, b"");
}

pub(crate) async fn a_full_buffer_holds_the_writer_back(host: &Host) {
    let (mut client, mut server) = host.pair().await;
    let block = [7; 16 * 1024];
    let mut written = 0;
    // Until nobody takes any more. The system may tell late that there is room.
    let mut refused = 0;
    while refused < 100 {
        match poll_once(std::pin::pin!(client.write(&block))).await {
            Poll::Ready(count) => {
                written += count.unwrap();
                refused = 0;
            }
            Poll::Pending => refused += 1,
        }
        tokio::task::yield_now().await;
        assert!(written < 256 << 20, "a buffer without an end");
    }
    let reader = tokio::spawn(async move { read_all(&mut server).await.unwrap().len() });
    client.write_all(&block).await.unwrap();
    drop(client);
    assert_eq!(reader.await.unwrap(), written + block.len());
}

pub(crate) async fn nobody_listens_is_refused(host: &Host) {
    let listener = host.listen("127.0.0.1:0");
    let addr = listener.local_addr();
    drop(listener);
    let error = host.dial(&addr).await.unwrap_err();
    assert!(matches!(error, DialError::Connect { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(error.target(), &addr);
}

pub(crate) async fn a_name_has_to_be_resolved_first(host: &Host) {
    let error = host.dial(&"localhost:1".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, DialError::Unresolved { .. }), "{error}");
    let name: Addr = "localhost:1".parse().unwrap();
    assert!(host.net.listen(&name, &ListenOptions::default()).is_err());
}

pub(crate) async fn a_port_is_in_use_until_its_listener_is_dropped(host: &Host) {
    let listener = host.listen("127.0.0.1:0");
    let addr = listener.local_addr();
    let error = host.net.listen(&addr, &ListenOptions::default()).err().expect("in use");
    assert!(matches!(error, BindError::InUse { .. }), "{error}");
    let all = format!("0.0.0.0:{}", addr.port().unwrap()).parse().unwrap();
    let error = host.net.listen(&all, &ListenOptions::default()).err().expect("in use");
    assert!(matches!(error, BindError::InUse { .. }), "{error}");
    drop(listener);
    drop(host.net.listen(&addr, &ListenOptions::default()).unwrap());
}

pub(crate) async fn an_address_of_somebody_else_cannot_be_listened_on(host: &Host) {
    let addr = "203.0.113.1:0".parse().unwrap();
    let error = host.net.listen(&addr, &ListenOptions::default()).err().expect("not ours");
    assert!(matches!(error, BindError::NoSuchAddress { .. }), "{error}");
    let error = host.net.bind_udp(addr.as_ip().unwrap(), &ListenOptions::default()).unwrap_err();
    assert!(matches!(error, BindError::NoSuchAddress { .. }), "{error}");
}

pub(crate) async fn port_zero_is_a_port_of_its_own(host: &Host) {
    let listeners: Vec<_> = (0..20).map(|_| host.listen("127.0.0.1:0")).collect();
    let mut ports: Vec<_> = listeners.iter().map(|one| one.local_addr().port().unwrap()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 20);
    assert!(!ports.contains(&0));
}

pub(crate) async fn all_addresses_are_listened_on(host: &Host) {
    for (listen, dial) in [
        ("0.0.0.0:0", "127.0.0.1"),
        ("[::]:0", "127.0.0.1"),
        ("[::]:0", "[::1]"),
        ("[::1]:0", "[::1]"),
    ] {
        let mut listener = host.listen(listen);
        let port = listener.local_addr().port().unwrap();
        let addr: Addr = format!("{dial}:{port}").parse().unwrap();
        let client = host.dial(&addr).await.unwrap();
        let (server, peer) = accept(&mut listener).await;
        assert_eq!(peer, client.local_addr().unwrap(), "{listen} {dial}");
        assert_eq!(server.local_addr().unwrap().to_addr(), Some(addr));
    }
}

pub(crate) async fn sharers_of_a_port_need_reuse_port(host: &Host) {
    let sharing = ListenOptions { reuse_port: true, ..ListenOptions::default() };
    let first = host.net.listen(&"127.0.0.1:0".parse().unwrap(), &sharing).unwrap();
    let addr = first.local_addr();
    let second = host.net.listen(&addr, &sharing).unwrap();
    assert!(host.net.listen(&addr, &ListenOptions::default()).is_err());
    let mut listeners = [first, second];
    for _ in 0..10 {
        let _client = host.dial(&addr).await.unwrap();
        // One of the two has it.
        poll_fn(|cx| {
            let ready = listeners.iter_mut().any(|one| one.poll_accept(cx).is_ready());
            if ready { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

pub(crate) async fn a_dialer_may_choose_its_address(host: &Host) {
    let mut listener = host.listen("127.0.0.1:0");
    let bind: SocketAddr = "127.0.0.2:0".parse().unwrap();
    let options = DialOptions { bind: Some(bind), ..DialOptions::default() };
    let _client = host.net.connect(&listener.local_addr(), &options).await.unwrap();
    let (_, peer) = accept(&mut listener).await;
    assert_eq!(peer.as_ip().unwrap().ip(), bind.ip());
}

pub(crate) async fn a_dialer_cannot_have_a_foreign_address(host: &Host) {
    let listener = host.listen("127.0.0.1:0");
    for (bind, kind) in [("203.0.113.1:0", Some(ErrorKind::AddrNotAvailable)), ("[::1]:0", None)] {
        let bind = Some(bind.parse().unwrap());
        let options = DialOptions { bind, ..DialOptions::default() };
        let error = host.net.connect(&listener.local_addr(), &options).await.unwrap_err();
        assert!(matches!(error, DialError::Setup { .. }), "{error}");
        assert!(kind.is_none_or(|kind| error.kind() == kind), "{error}");
    }
}

pub(crate) async fn many_connections_at_once(host: &Host) {
    let mut listener = host.listen("127.0.0.1:0");
    let addr = listener.local_addr();
    let clients: Vec<_> = (0..200_u32)
        .map(|number| {
            let (net, addr) = (host.net.clone(), addr.clone());
            tokio::spawn(async move {
                let mut client = net.connect(&addr, &DialOptions::default()).await.unwrap();
                client.write_u32(number).await.unwrap();
                assert_eq!(client.read_u32().await.unwrap(), number + 1);
            })
        })
        .collect();
    for _ in 0..200 {
        let (mut server, _) = accept(&mut listener).await;
        tokio::spawn(async move {
            let number = server.read_u32().await.unwrap();
            server.write_u32(number + 1).await.unwrap();
        });
    }
    for client in clients {
        client.await.unwrap();
    }
}

pub(crate) async fn a_cancelled_accept_loses_no_connection(host: &Host) {
    let mut listener = host.listen("127.0.0.1:0");
    let addr = listener.local_addr();
    assert!(poll_once(std::pin::pin!(accept(&mut listener))).await.is_pending());
    let client = host.dial(&addr).await.unwrap();
    let (_, peer) = accept(&mut listener).await;
    assert_eq!(peer, client.local_addr().unwrap());
}

pub(crate) async fn a_cancelled_dial_is_closed(host: &Host) {
    let mut listener = host.listen("127.0.0.1:0");
    let addr = listener.local_addr();
    let options = DialOptions::default();
    let mut dial = host.net.connect(&addr, &options);
    let begun = poll_once(std::pin::pin!(&mut dial)).await;
    drop(begun);
    drop(dial);
    // It may have come or not; the connection after it works in any case.
    let mut client = host.dial(&addr).await.unwrap();
    client.write_all(b"x").await.unwrap();
    let expected = client.local_addr().unwrap();
    loop {
        let (mut server, peer) = accept(&mut listener).await;
        let mut first = [0; 1];
        if peer == expected {
            server.read_exact(&mut first).await.unwrap();
            break;
        }
        assert!(!matches!(server.read(&mut first).await, Ok(1)));
    }
}
