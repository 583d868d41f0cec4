//! Statistics and the table of live sockets.

use rosn_net::hook::{Bound, Counts, Decision, Hooked, Role, SocketKind};
use rosn_net::{Net as _, OsNet, bind_udp, dial_udp};

use super::*;

/// S4: what is pending is not failed, and what is forbidden is counted apart.
#[tokio::test]
async fn s4_statistics() {
    let (switch, hooks) = switch();
    let (acceptor, addr) = acceptor(&hooks);
    let stream = connect(&addr, &hooks).await.unwrap();
    let (accepted, _) = accept(&acceptor).await.unwrap();
    drop(acceptor);
    assert!(connect(&addr, &hooks).await.is_err());
    switch.set(Call::Connect, |_| Decision::Fail(no(io::ErrorKind::TimedOut)));
    assert!(connect(&addr, &hooks).await.is_err());
    drop((stream, accepted));

    let tcp = |call| switch.counts(SocketKind::TcpV4, call);
    let done = |done| Counts { done, ..Counts::default() };
    assert_eq!(tcp(Call::Connect), Counts { done: 1, pending: 2, vetoed: 1, failed: 1 });
    assert_eq!(tcp(Call::Socket), done(4));
    assert_eq!(tcp(Call::Control), done(4));
    assert_eq!(
        (tcp(Call::Bind), tcp(Call::Listen), tcp(Call::Accept)),
        (done(1), done(1), done(1))
    );
    assert_eq!(tcp(Call::Close), done(5));
    for call in ALL {
        assert_eq!(switch.counts(SocketKind::UdpV4, call), done(0));
    }
    assert_eq!(switch.all_counts().len(), 7);
    assert!(switch.sockets().is_empty());
}

#[tokio::test]
async fn the_table_says_what_a_socket_is() {
    let (switch, hooks) = switch();
    let (acceptor, addr) = acceptor(&hooks);
    let stream = connect(&addr, &hooks).await.unwrap();
    let (_accepted, peer) = accept(&acceptor).await.unwrap();
    let sockets = switch.sockets();
    let [listener, dialed, accepted] = &sockets[..] else { panic!("{sockets:?}") };
    assert_eq!(
        (listener.role, dialed.role, accepted.role),
        (Role::Listener, Role::Dialer, Role::Accepted)
    );
    assert_eq!((&*listener.owner, &*dialed.owner, &*accepted.owner), ("front", "back", "front"));
    assert_eq!(listener.local.as_ref(), Some(&addr));
    assert_eq!(dialed.remote.as_ref(), Some(&addr));
    assert_eq!((accepted.local.as_ref(), accepted.remote.clone()), (Some(&addr), peer.to_addr()));
    assert_eq!(accepted.listener, Some(listener.key));
    assert_eq!(
        (listener.last, dialed.last, accepted.last),
        (Call::Listen, Call::Connect, Call::Accept)
    );
    assert!(listener.location.file().ends_with("main.rs"), "{}", listener.location);
    assert_ne!(dialed.location.line(), listener.location.line());
    drop(stream);
    assert_eq!(switch.sockets().len(), 2);
}

/// S5: a connection stays in the table when it goes to another thread or becomes a box, until it is closed.
#[tokio::test]
async fn s5_a_socket_is_live_until_it_is_closed() {
    let (switch, hooks) = switch();
    let (acceptor, addr) = acceptor(&hooks);
    let stream = connect(&addr, &hooks).await.unwrap();
    let (accepted, _) = accept(&acceptor).await.unwrap();
    drop(acceptor);
    let released = accepted.release().unwrap();
    let boxed = Stream::boxed(stream);
    assert_eq!(switch.sockets().len(), 2);
    std::thread::spawn(move || drop(released)).join().unwrap();
    assert_eq!(switch.sockets().len(), 1);
    boxed.reset();
    assert!(switch.sockets().is_empty());
    // A UDP socket and a listener with several handles.
    let server = bind_udp(any(), &listening(&hooks)).unwrap();
    let second = server.try_clone_with(std::net::UdpSocket::try_clone).unwrap();
    let client = dial_udp(server.local_addr().unwrap(), &dialing(&hooks)).unwrap();
    let client = client.map(tokio::net::UdpSocket::from_std).unwrap();
    drop(server);
    assert_eq!(switch.sockets().len(), 2);
    drop((second, client));
    assert!(switch.sockets().is_empty());
    assert_eq!(switch.counts(SocketKind::UdpV4, Call::Close).done, 2);
    // A conversion that fails closes.
    let server = bind_udp(any(), &listening(&hooks)).unwrap();
    assert!(server.map(|_| Err::<(), _>(no(io::ErrorKind::Other))).is_err());
    assert!(switch.sockets().is_empty());
}

/// S6: sockets that were made elsewhere can be taken over.
#[tokio::test]
async fn s6_sockets_from_outside_are_adopted() {
    let (switch, hooks) = switch();
    let owner = "inherited".into();
    let listener = std::net::TcpListener::bind(any()).unwrap();
    listener.set_nonblocking(true).unwrap();
    let addr = Addr::Ip(listener.local_addr().unwrap());
    let listener = Bound::adopt(listener, &owner, &hooks).unwrap();
    let acceptor = TcpAcceptor::new(listener).unwrap();
    let client = tokio::net::TcpStream::connect(addr.as_ip().unwrap()).await.unwrap();
    let client = Stream::from(client).adopt(&owner, Role::Dialer, &hooks).unwrap();
    let (server, _) = accept(&acceptor).await.unwrap();
    let udp = Bound::adopt(std::net::UdpSocket::bind(any()).unwrap(), &owner, &hooks).unwrap();
    let sockets = switch.sockets();
    assert_eq!(sockets.len(), 4);
    assert!(sockets.iter().all(|socket| &*socket.owner == "inherited"));
    assert_eq!(sockets[0].local, Some(addr));
    assert_eq!(sockets[3].kind, SocketKind::UdpV4);
    drop((acceptor, client, server, udp));
    assert!(switch.sockets().is_empty());

    switch.set(Call::Adopt, |_| Decision::Fail(no(io::ErrorKind::PermissionDenied)));
    let udp = std::net::UdpSocket::bind(any()).unwrap();
    assert!(Bound::adopt(udp, &owner, &hooks).is_err());
    assert!(switch.sockets().is_empty());
}

/// 87: filters are set and removed, and sockets made, from many threads.
#[test]
fn o87_concurrent_use() {
    let (switch, hooks) = switch();
    let rounds = || {
        for round in 0..100 {
            let call = ALL[round % ALL.len()];
            switch.set(call, |_| Decision::Continue);
            drop(bind_udp(any(), &listening(&hooks)).unwrap());
            switch.clear(call);
            let _ = (switch.sockets(), switch.all_counts());
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(rounds);
        }
    });
    assert_eq!(switch.counts(SocketKind::UdpV4, Call::Close).done, 400);
    assert!(switch.sockets().is_empty());
}

/// All sockets of a network, without a word of it in the options.
#[tokio::test]
async fn a_hooked_network() {
    let (switch, hooks) = switch();
    let net = Hooked::new(OsNet, hooks);
    let mut listener = net.listen(&Addr::Ip(any()), &ListenOptions::default()).unwrap();
    let addr = listener.local_addr();
    let options = DialOptions::default();
    let client = limited(net.connect(&addr, &options)).await.unwrap();
    let (server, _) = limited(poll_fn(|cx| listener.poll_accept(cx))).await.unwrap();
    let udp = net.bind_udp(any(), &ListenOptions::default()).unwrap();
    let dialed = net.dial_udp(udp.local_addr().unwrap(), &options).unwrap();
    assert_eq!(switch.sockets().len(), 5);
    drop((listener, client, server, udp, dialed));
    assert!(switch.sockets().is_empty());
}
