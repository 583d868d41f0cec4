use std::future::{Future, poll_fn};
use std::io::IoSliceMut;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

use super::*;
use crate::{Batch, PeerAddr, Received};

const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [10, 0, 0, 2];
const MINUTE: Duration = Duration::from_secs(60);

async fn dial(from: &MemHost, to: &Addr) -> Result<Stream, DialError> {
    from.connect(to, &DialOptions::default()).await
}

async fn accept(listener: &mut Box<dyn NetListener>) -> (Stream, PeerAddr) {
    poll_fn(|cx| listener.poll_accept(cx)).await.unwrap()
}

/// Two hosts, and a listener on the second with its address.
fn hosts(net: &MemNet, backlog: u32) -> (MemHost, Box<dyn NetListener>, Addr) {
    let options = ListenOptions { backlog, ..ListenOptions::default() };
    let listener = net.host(B).listen(&":80".parse().unwrap(), &options).unwrap();
    (net.host(A), listener, "10.0.0.2:80".parse().unwrap())
}

async fn is_pending<T>(future: impl Future<Output = T>) -> bool {
    let mut future = pin!(future);
    poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

#[tokio::test(start_paused = true)]
async fn a_long_way_takes_its_time() {
    let net = MemNet::new();
    let (client, mut listener, addr) = hosts(&net, 8);
    net.link(A, B).set_latency(Duration::from_secs(1));
    let start = Instant::now();
    let mut there = dial(&client, &addr).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    let (mut here, _) = accept(&mut listener).await;
    there.write_all(b"x").await.unwrap();
    drop(there);
    assert_eq!(here.read_u8().await.unwrap(), b'x');
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    assert_eq!(here.read(&mut [0]).await.unwrap(), 0);
    assert!(dial(&client, &"10.0.0.2:81".parse().unwrap()).await.is_err());
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn bytes_do_not_overtake_each_other() {
    let net = MemNet::new();
    let (client, mut listener, addr) = hosts(&net, 8);
    let mut there = dial(&client, &addr).await.unwrap();
    let (mut here, _) = accept(&mut listener).await;
    for (text, latency) in [(&b"slow "[..], 5), (b"fast ", 0), (b"end", 1)] {
        net.link(A, B).set_latency(Duration::from_secs(latency));
        there.write_all(text).await.unwrap();
    }
    net.link(A, B).set_latency(Duration::ZERO);
    drop(there);
    let mut text = String::new();
    here.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "slow fast end");
}

#[tokio::test(start_paused = true)]
async fn a_cut_stalls_and_tells_nobody() {
    let net = MemNet::new();
    let (client, mut listener, addr) = hosts(&net, 8);
    let link = net.link(A, B);
    let mut there = dial(&client, &addr).await.unwrap();
    let (mut here, _) = accept(&mut listener).await;
    link.cut();
    there.write_all(b"x").await.unwrap();
    assert!(timeout(MINUTE, here.read_u8()).await.is_err());
    assert!(timeout(MINUTE, dial(&client, &addr)).await.is_err());
    here.reset();
    assert!(timeout(MINUTE, there.read_u8()).await.is_err());
    let mut dialing = pin!(dial(&client, &addr));
    assert!(is_pending(dialing.as_mut()).await);
    link.mend();
    assert!(there.read_u8().await.is_err());
    dialing.await.unwrap();
}

#[tokio::test]
async fn a_full_backlog_holds_clients_back() {
    let net = MemNet::new();
    let (client, mut listener, addr) = hosts(&net, 1);
    let _first = dial(&client, &addr).await.unwrap();
    let mut second = pin!(dial(&client, &addr));
    assert!(is_pending(second.as_mut()).await);
    accept(&mut listener).await;
    second.await.unwrap();
    let mut third = pin!(dial(&client, &addr));
    assert!(is_pending(third.as_mut()).await);
    drop(listener);
    assert_eq!(third.await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn errors_come_as_scripted() {
    let net = MemNet::new();
    let (client, mut listener, addr) = hosts(&net, 8);
    net.fail_connects(&addr, 2, ErrorKind::TimedOut);
    for _ in 0..2 {
        assert_eq!(dial(&client, &addr).await.unwrap_err().kind(), ErrorKind::TimedOut);
    }
    let _there = dial(&client, &addr).await.unwrap();
    // S8: a connection that was aborted is passed over; that memory has run out is not.
    let asked = ":80".parse().unwrap();
    net.fail_accepts(&asked, 3, ErrorKind::ConnectionAborted);
    net.fail_accepts(&asked, 1, ErrorKind::OutOfMemory);
    let error = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    accept(&mut listener).await;
}

#[tokio::test]
async fn hosts_have_families_and_places() {
    let net = MemNet::new();
    let (client, _listener, _) = hosts(&net, 8);
    for (to, kind) in [
        ("10.0.0.9:80", ErrorKind::HostUnreachable),
        ("[fd00::1]:80", ErrorKind::NetworkUnreachable),
        // Its own loopback, where nobody listens.
        ("127.0.0.1:80", ErrorKind::ConnectionRefused),
    ] {
        assert_eq!(dial(&client, &to.parse().unwrap()).await.unwrap_err().kind(), kind, "{to}");
    }
    let v6 = "fd00::1".parse::<IpAddr>().unwrap();
    let server = net.host([10, 0, 0, 3]).and(v6);
    let _listener = server.listen(&"[::]:80".parse().unwrap(), &ListenOptions::default()).unwrap();
    let client = client.and("fd00::2".parse::<IpAddr>().unwrap());
    let stream = dial(&client, &"[fd00::1]:80".parse().unwrap()).await.unwrap();
    assert_eq!(stream.local_addr().unwrap().as_ip().unwrap().ip().to_string(), "fd00::2");
    dial(&client, &"10.0.0.3:80".parse().unwrap()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn datagrams_are_lost_and_late() {
    let net = MemNet::new();
    let server = net.host(B).bind_udp("0.0.0.0:53".parse().unwrap(), &ListenOptions::default());
    let server = server.unwrap();
    let to = "10.0.0.2:53".parse().unwrap();
    let client = net.host(A).dial_udp(to, &DialOptions::default()).unwrap();
    let link = net.link(A, B);
    let send = |byte: u8| client.try_send(&Batch { to, bytes: &[byte], segment: None }).unwrap();
    link.cut();
    send(0);
    link.mend();
    link.set_loss(0.5);
    (0..100).for_each(|_| send(1));
    link.set_loss(0.0);
    link.set_latency(Duration::from_secs(1));
    let start = Instant::now();
    send(2);
    let mut received = Vec::new();
    while received.last() != Some(&2) {
        let mut space = [9; 1];
        let mut meta = [Received { from: to, len: 0, stride: 0 }];
        poll_fn(|cx| server.poll_receive(cx, &mut [IoSliceMut::new(&mut space)], &mut meta))
            .await
            .unwrap();
        assert_eq!(meta[0].from, client.local_addr().unwrap());
        received.push(space[0]);
    }
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    assert!(!received.contains(&0));
    let arrived = received.iter().filter(|byte| **byte == 1).count();
    assert!((30..70).contains(&arrived), "{arrived}");
}

#[tokio::test]
async fn a_flood_of_datagrams_is_bounded() {
    let net = MemNet::new();
    let server = net.host(B).bind_udp("0.0.0.0:53".parse().unwrap(), &ListenOptions::default());
    let _server = server.unwrap();
    let to = "10.0.0.2:53".parse().unwrap();
    let client = net.host(A).dial_udp(to, &DialOptions::default()).unwrap();
    for _ in 0..1000 {
        client.try_send(&Batch { to, bytes: &[0; 60_000], segment: None }).unwrap();
    }
    let inbox = net.world().host_at(B.into());
    let inbox = net.world().host(inbox).udp.find(to, 0).unwrap();
    assert!(inbox.used() <= 212_992);
}
