//! S12: limits, and that places become free.

use rosn_net::hook::{AcceptLimit, AcceptLimits, Decision, ListenLimit};
use rosn_net::{Tunnel, bind_udp, bind_unix, dial_udp};
use tokio::io::AsyncReadExt as _;

use super::*;

#[test]
fn s12_listening_sockets_are_limited() {
    let limit = Arc::new(ListenLimit::new(2));
    let hooks = Hooks::from(Arc::clone(&limit));
    let dir = tempfile::tempdir().unwrap();
    let tcp = bind_tcp(any(), &listening(&hooks)).unwrap();
    let unix = bind_unix(&dir.path().join("a.sock"), &listening(&hooks)).unwrap();
    let error = bind_tcp(any(), &listening(&hooks)).unwrap_err();
    assert!(error.to_string().ends_with("the limit of 2 listening sockets is reached"), "{error}");
    // S13: UDP does not escape, though nothing calls listen(2) there.
    assert!(bind_udp(any(), &listening(&hooks)).is_err());
    drop(unix);
    let udp = bind_udp(any(), &listening(&hooks)).unwrap();
    assert_eq!(limit.listening(), 2);
    // One that is dialed does not listen, though it may be bound.
    let options = DialOptions { bind: Some(any()), ..dialing(&hooks) };
    let dialed = dial_udp(udp.local_addr().unwrap(), &options).unwrap();
    // A port in use takes no place.
    drop(tcp);
    assert!(bind_udp(udp.local_addr().unwrap(), &listening(&hooks)).is_err());
    assert_eq!(limit.listening(), 1);
    drop((udp, dialed));
    assert_eq!(limit.listening(), 0);
}

/// A place that a later hook forbids is free again.
#[test]
fn s12_a_veto_of_another_hook_takes_no_place() {
    let limit = Arc::new(ListenLimit::new(1));
    let switch = Arc::new(Switch::new());
    switch.set(Call::Listen, |_| Decision::Fail(no(io::ErrorKind::Other)));
    let hooks = Hooks::from(Arc::clone(&limit)).then(&Hooks::from(Arc::clone(&switch)));
    assert!(bind_tcp(any(), &listening(&hooks)).is_err());
    assert!(bind_tcp(any(), &listening(&hooks)).is_err());
    assert_eq!(switch.counts(rosn_net::hook::SocketKind::TcpV4, Call::Listen).vetoed, 2);
    assert_eq!(limit.listening(), 0);
}

async fn is_closed(stream: &mut Stream) -> bool {
    limited(stream.read(&mut [0])).await.is_ok_and(|count| count == 0)
}

fn limits(total: usize, per_listener: usize, per_client: usize) -> (Arc<AcceptLimit>, Hooks) {
    let limit = |count: usize| (count > 0).then_some(count);
    let limits = AcceptLimits {
        total: limit(total),
        per_listener: limit(per_listener),
        per_client: limit(per_client),
    };
    let limit = Arc::new(AcceptLimit::new(limits));
    (Arc::clone(&limit), Hooks::from(limit))
}

/// Connects once more than `limit`, and accepts; the last one is closed, and the next after a place is free is not.
async fn is_limited(hooks: &Hooks, limit: &AcceptLimit, count: usize) {
    let (acceptor, addr) = acceptor(hooks);
    let mut open = Vec::new();
    for _ in 0..count {
        let client = connect(&addr, &Hooks::none()).await.unwrap();
        open.push((client, accept(&acceptor).await.unwrap().0));
    }
    let mut turned_away = connect(&addr, &Hooks::none()).await.unwrap();
    let waits = poll_fn(|cx| std::task::Poll::Ready(acceptor.poll_accept(cx).is_pending()));
    assert!(waits.await);
    assert!(is_closed(&mut turned_away).await);
    open.pop();
    assert_eq!(limit.open(), count - 1);
    let _client = connect(&addr, &Hooks::none()).await.unwrap();
    let accepted = accept(&acceptor).await.unwrap();
    assert_eq!(limit.open(), count);
    drop((open, accepted));
    assert_eq!(limit.open(), 0);
}

#[tokio::test]
async fn s12_connections_are_limited_in_all_by_listener_and_by_client() {
    for (total, per_listener, per_client) in [(2, 0, 0), (0, 2, 0), (0, 0, 2), (3, 5, 2)] {
        let (limit, hooks) = limits(total, per_listener, per_client);
        is_limited(&hooks, &limit, 2).await;
    }
    // Two listeners do not share what each may have, nor do two clients. Sockets of one name are one listener.
    let (limit, hooks) = limits(0, 1, 0);
    let (one, again) = (acceptor(&hooks), acceptor(&hooks));
    let listener = bind_tcp(any(), &ListenOptions { owner: "side".into(), ..listening(&hooks) });
    let listener = listener.unwrap();
    let side = Addr::Ip(listener.local_addr().unwrap());
    let other = (TcpAcceptor::new(listener).unwrap(), side);
    let mut clients = Vec::new();
    for addr in [&one.1, &other.1, &again.1] {
        clients.push(connect(addr, &hooks).await.unwrap());
    }
    let _open = (accept(&one.0).await.unwrap(), accept(&other.0).await.unwrap());
    let waits = poll_fn(|cx| std::task::Poll::Ready(again.0.poll_accept(cx).is_pending()));
    assert!(waits.await && is_closed(&mut clients[2]).await);
    assert_eq!(limit.open(), 2);

    let (limit, hooks) = limits(0, 0, 1);
    let (acceptor, addr) = acceptor(&hooks);
    let from =
        |ip: &str| DialOptions { bind: format!("{ip}:0").parse().ok(), ..Default::default() };
    let (a, b) = (from("127.0.0.2"), from("127.0.0.3"));
    let _clients = (dial(&addr, &a).await.unwrap(), dial(&addr, &b).await.unwrap());
    let _open = (accept(&acceptor).await.unwrap(), accept(&acceptor).await.unwrap());
    assert_eq!(limit.open(), 2);
}

/// A place is free when the socket is closed, wherever it went: another thread, a box, a tunnel.
#[tokio::test]
async fn s12_places_of_connections_that_were_handed_over_become_free() {
    let (limit, hooks) = limits(10, 0, 0);
    let (acceptor, addr) = acceptor(&hooks);
    let mut accepted = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(connect(&addr, &Hooks::none()).await.unwrap());
        accepted.push(accept(&acceptor).await.unwrap().0);
    }
    let mut next = || accepted.pop().unwrap();
    let boxed = Stream::boxed(next());
    let released = next().release().unwrap();
    let there = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _guard = runtime.enter();
        drop(released.adopt().unwrap());
    });
    there.join().unwrap();
    assert_eq!(limit.open(), 4);
    drop(boxed);
    assert_eq!(limit.open(), 3);
    next().reset();
    assert_eq!(limit.open(), 2);
    let tunnel = Tunnel::new(next(), next(), b"", b"");
    drop(clients);
    limited(tunnel.run()).await;
    assert_eq!(limit.open(), 0);
}
