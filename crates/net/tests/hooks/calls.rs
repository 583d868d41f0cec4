//! Order, veto, override, delay.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rosn_net::hook::{Decision, SocketKind};
use rosn_net::{BindError, Control, bind_udp, bind_unix, dial_udp};
use tokio::io::AsyncReadExt as _;

use super::*;

fn notes() -> (Arc<Notes>, Hooks) {
    let notes = Arc::new(Notes::default());
    (Arc::clone(&notes), Hooks::from(notes))
}

/// S1, S13: each call once, in this order.
#[tokio::test]
async fn s1_order_of_calls() {
    let (notes, hooks) = notes();
    let (acceptor, addr) = acceptor(&hooks);
    assert_eq!(notes.take(), ["Socket", "Control", "Bind", "Listen"]);

    let options = DialOptions { bind: Some(any()), ..dialing(&hooks) };
    let dialed = limited(dial(&addr, &options)).await.unwrap();
    assert_eq!(notes.take(), ["Socket", "Control", "Bind", "Connect pending", "Connect"]);
    let (accepted, _) = accept(&acceptor).await.unwrap();
    assert_eq!(notes.take(), ["Accept"]);
    drop(dialed);
    assert_eq!(notes.take(), ["Close"]);
    drop(accepted);
    drop(acceptor);
    assert_eq!(notes.take(), ["Close", "Close"]);

    let server = bind_udp(any(), &listening(&hooks)).unwrap();
    assert_eq!(notes.take(), ["Socket", "Control", "Bind"]);
    let client = dial_udp(server.local_addr().unwrap(), &dialing(&hooks)).unwrap();
    assert_eq!(notes.take(), ["Socket", "Control", "Connect"]);
    drop((server, client));
    assert_eq!(notes.take(), ["Close", "Close"]);
}

#[tokio::test]
async fn s1_order_of_calls_of_unix_sockets() {
    let (notes, hooks) = notes();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sock");
    let bound = bind_unix(&path, &listening(&hooks)).unwrap();
    assert_eq!(notes.take(), ["Socket", "Control", "Bind", "Listen"]);
    let acceptor = rosn_net::UnixAcceptor::new(bound.listener).unwrap();
    let dialed = connect(&Addr::Unix(path), &hooks).await.unwrap();
    assert_eq!(notes.take(), ["Socket", "Control", "Connect"]);
    let (accepted, _) = limited(poll_fn(|cx| acceptor.poll_accept(cx))).await.unwrap();
    drop((dialed, accepted, acceptor));
    assert_eq!(notes.take(), ["Accept", "Close", "Close", "Close"]);
}

/// 74, S2: a forbidden call is not made, and its error arrives with its kind.
#[tokio::test]
async fn s2_a_veto_stops_the_call() {
    let (switch, hooks) = switch();
    let forbid = |call| switch.set(call, |_| Decision::Fail(no(ErrorKind::Unsupported)));
    for call in [Call::Socket, Call::Control, Call::Bind, Call::Listen] {
        forbid(call);
        let error = bind_tcp(any(), &listening(&hooks)).unwrap_err();
        let BindError::Other { source, .. } = &error else { panic!("{error:?}") };
        assert_eq!(source.kind(), ErrorKind::Unsupported);
        if call != Call::Listen {
            assert!(bind_udp(any(), &listening(&hooks)).is_err());
        }
        switch.clear(call);
        assert_eq!(switch.counts(SocketKind::TcpV4, call).vetoed, 1);
    }
    assert_eq!(switch.counts(SocketKind::TcpV4, Call::Listen).done, 0);
    let (_acceptor, addr) = acceptor(&Hooks::none());
    for call in [Call::Socket, Call::Control, Call::Bind, Call::Connect] {
        forbid(call);
        let options = DialOptions { bind: Some(any()), ..dialing(&hooks) };
        let error = dial(&addr, &options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert_eq!(matches!(error, DialError::Connect { .. }), call == Call::Connect);
        assert!(dial_udp(addr.as_ip().unwrap(), &options).is_err());
        switch.clear(call);
    }
    assert_eq!(switch.counts(SocketKind::TcpV4, Call::Connect).done, 0);
    assert!(switch.sockets().is_empty());
}

/// S3: what comes after the call overrides it, and the socket is closed.
#[tokio::test]
async fn s3_an_override_closes() {
    let (switch, hooks) = switch();
    let undo = |call| {
        switch.set(call, |_| {
            Decision::After(Box::new(|outcome| {
                assert!(matches!(outcome, Outcome::Done));
                Err(no(ErrorKind::TimedOut))
            }))
        });
    };
    for call in [Call::Socket, Call::Control, Call::Bind, Call::Listen] {
        undo(call);
        assert!(bind_tcp(any(), &listening(&hooks)).is_err());
        assert!(switch.sockets().is_empty(), "{call:?}");
        switch.clear(call);
    }
    let (acceptor, addr) = acceptor(&hooks);
    undo(Call::Connect);
    assert_eq!(connect(&addr, &hooks).await.unwrap_err().kind(), ErrorKind::TimedOut);
    switch.clear(Call::Connect);
    // The peer of the dial that was undone is there, and sees the end.
    let (mut accepted, _) = accept(&acceptor).await.unwrap();
    assert_eq!(limited(accepted.read(&mut [0])).await.unwrap(), 0);
    drop((acceptor, accepted));
    assert!(switch.sockets().is_empty());

    // It may also turn one error into another.
    switch.set(Call::Connect, |_| {
        Decision::After(Box::new(|outcome| {
            assert_eq!(outcome.error().unwrap().kind(), ErrorKind::ConnectionRefused);
            Err(no(ErrorKind::HostUnreachable))
        }))
    });
    assert_eq!(connect(&addr, &hooks).await.unwrap_err().kind(), ErrorKind::HostUnreachable);
    let counts = switch.counts(SocketKind::TcpV4, Call::Connect);
    assert_eq!((counts.pending, counts.vetoed, counts.failed), (2, 1, 1));
    // A close happens, whatever is said.
    switch.set(Call::Close, |_| Decision::Fail(no(ErrorKind::Other)));
    drop(bind_udp(any(), &listening(&hooks)).unwrap());
    assert!(switch.sockets().is_empty());
}

/// 73: a dial that is held back and then given up, or fails.
#[tokio::test]
async fn s5_a_dial_that_is_given_up_is_closed_and_told() {
    let (switch, hooks) = switch();
    let (_acceptor, addr) = acceptor(&Hooks::none());
    switch.set(Call::Connect, |_| Decision::Delay(Duration::from_secs(3600)));
    let options = dialing(&hooks);
    let mut dialing = Box::pin(dial(&addr, &options));
    let held_back = poll_fn(|cx| std::task::Poll::Ready(dialing.as_mut().poll(cx).is_pending()));
    assert!(held_back.await);
    assert_eq!(switch.sockets().len(), 1);
    drop(dialing);
    assert!(switch.sockets().is_empty());
    let counts = switch.counts(SocketKind::TcpV4, Call::Connect);
    assert_eq!((counts.done, counts.failed, counts.pending), (0, 1, 0));

    // 192.0.2.0/24 (RFC 5737) never answers: pending, then given up.
    switch.clear(Call::Connect);
    let nowhere = "192.0.2.1:9".parse().unwrap();
    let mut dialing = Box::pin(dial(&nowhere, &options));
    let begun = poll_fn(|cx| std::task::Poll::Ready(dialing.as_mut().poll(cx).is_pending()));
    if begun.await {
        drop(dialing);
        let counts = switch.counts(SocketKind::TcpV4, Call::Connect);
        assert_eq!((counts.failed, counts.pending), (2, 1));
    }
    assert!(switch.sockets().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_delay_does_not_hold_up_the_thread() {
    let (switch, hooks) = switch();
    let (_acceptor, addr) = acceptor(&Hooks::none());
    let delay = Duration::from_secs(60);
    switch.set(Call::Connect, move |_| Decision::Delay(delay));
    let begun = tokio::time::Instant::now();
    let options = dialing(&hooks);
    let (slow, quick) = tokio::join!(dial(&addr, &options), async {
        connect(&addr, &Hooks::none()).await.map(|_| begun.elapsed())
    });
    assert!(slow.is_ok() && begun.elapsed() >= delay);
    assert!(quick.unwrap() < delay);
}

/// 75, S8: errors that a hook injects are those of single connections.
#[tokio::test]
async fn s8_aborted_connections_are_passed_over() {
    let (switch, hooks) = switch();
    let (acceptor, addr) = acceptor(&hooks);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let queue = [ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset, ErrorKind::Other];
    switch.set(Call::Accept, move |_| {
        let turn = count.fetch_add(1, Ordering::Relaxed);
        queue.get(turn).map_or(Decision::Continue, |kind| Decision::Fail(no(*kind)))
    });
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(connect(&addr, &Hooks::none()).await.unwrap());
    }
    let (accepted, peer) = accept(&acceptor).await.unwrap();
    assert_eq!(peer, clients[3].local_addr().unwrap());
    for client in &mut clients[..3] {
        assert_eq!(limited(client.read(&mut [0])).await.unwrap(), 0);
    }
    let counts = switch.counts(SocketKind::TcpV4, Call::Accept);
    assert_eq!((counts.done, counts.vetoed), (1, 3));
    drop((accepted, acceptor));
    assert!(switch.sockets().is_empty());
}

/// S8: what makes an accept loop pause does so.
#[tokio::test]
async fn s8_a_lack_of_descriptors_is_passed_on() {
    let (switch, hooks) = switch();
    let (acceptor, addr) = acceptor(&hooks);
    let once = AtomicBool::new(true);
    switch.set(Call::Accept, move |_| {
        let first = once.swap(false, Ordering::Relaxed);
        let error = io::Error::from(rustix::io::Errno::MFILE);
        if first { Decision::Fail(error) } else { Decision::Continue }
    });
    let _clients = (connect(&addr, &hooks).await, connect(&addr, &hooks).await);
    let error = accept(&acceptor).await.unwrap_err();
    assert_eq!(rosn_net::accept_error(&error), rosn_net::AcceptAction::BackOff);
    assert!(accept(&acceptor).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn others_go_on_while_a_connection_is_held_back() {
    let (switch, hooks) = switch();
    let (acceptor, addr) = acceptor(&hooks);
    let first = AtomicBool::new(true);
    switch.set(Call::Accept, move |_| match first.swap(false, Ordering::Relaxed) {
        true => Decision::Delay(Duration::from_millis(50)),
        false => Decision::Continue,
    });
    let slow = connect(&addr, &Hooks::none()).await.unwrap();
    let quick = connect(&addr, &Hooks::none()).await.unwrap();
    let (_one, peer) = accept(&acceptor).await.unwrap();
    assert_eq!(peer, quick.local_addr().unwrap());
    let (_two, peer) = accept(&acceptor).await.unwrap();
    assert_eq!(peer, slow.local_addr().unwrap());
    // One that is held back while the listener is closed is closed as well, and told.
    switch.set(Call::Accept, |_| Decision::Delay(Duration::from_secs(3600)));
    let mut held = connect(&addr, &Hooks::none()).await.unwrap();
    let waits = poll_fn(|cx| std::task::Poll::Ready(acceptor.poll_accept(cx).is_pending()));
    assert!(waits.await);
    drop(acceptor);
    assert!(limited(held.read(&mut [0])).await.is_ok_and(|count| count == 0));
    assert_eq!(switch.counts(SocketKind::TcpV4, Call::Accept).failed, 1);
}

/// 82: Control sees what the socket is for and where to, before it is bound or connected.
#[tokio::test]
async fn o82_control_comes_before_bind_and_connect() {
    type Seen = (SocketKind, Option<Addr>, String);
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let notes = Arc::clone(&seen);
    let control = Control::new(move |op, socket| {
        assert_eq!(op.call, Call::Control);
        let unbound = socket.local_addr()?.as_socket().is_none_or(|addr| addr.port() == 0);
        assert!(unbound && socket.peer_addr().is_err());
        notes.lock().unwrap().push((op.kind, op.addr.cloned(), op.owner.to_owned()));
        Ok(())
    });
    for (addr, kind) in [("127.0.0.1:0", SocketKind::TcpV4), ("[::1]:0", SocketKind::TcpV6)] {
        let addr: SocketAddr = addr.parse().unwrap();
        let control = Some(control.clone());
        let options = ListenOptions { control: control.clone(), ..listening(&Hooks::none()) };
        let listener = bind_tcp(addr, &options).unwrap();
        let target = Addr::Ip(listener.local_addr().unwrap());
        let options = DialOptions { control, ..dialing(&Hooks::none()) };
        dial(&target, &options).await.unwrap();
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        let front = (kind, Some(Addr::Ip(addr)), "front".to_owned());
        assert_eq!(seen, [front, (kind, Some(target), "back".to_owned())]);
    }
    let refuse = Control::new(|_, _| Err(no(ErrorKind::PermissionDenied)));
    let options = ListenOptions { control: Some(refuse.clone()), ..listening(&Hooks::none()) };
    assert!(bind_tcp(any(), &options).is_err());
    let options = DialOptions { control: Some(refuse), ..dialing(&Hooks::none()) };
    let error = dial(&"127.0.0.1:9".parse().unwrap(), &options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

/// 84: the address to dial from must be of the target's family.
#[tokio::test]
async fn o84_an_address_of_another_family_is_an_error() {
    let (switch, hooks) = switch();
    let (_acceptor, addr) = acceptor(&Hooks::none());
    let options = DialOptions { bind: "[::1]:0".parse().ok(), ..dialing(&hooks) };
    let error = dial(&addr, &options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(switch.counts(SocketKind::TcpV4, Call::Connect), Default::default());
    assert!(switch.sockets().is_empty());
}

/// 89, 90: a close comes once, and whoever waits on the other end wakes up.
#[tokio::test]
async fn o90_closing_wakes_the_other_end() {
    let (switch, hooks) = switch();
    let (acceptor, addr) = acceptor(&hooks);
    let client = connect(&addr, &hooks).await.unwrap();
    let (mut server, _) = accept(&acceptor).await.unwrap();
    let reading = tokio::spawn(async move { server.read(&mut [0]).await });
    tokio::task::yield_now().await;
    drop(client);
    assert_eq!(limited(reading).await.unwrap().unwrap(), 0);
    drop(acceptor);
    let error = connect(&addr, &hooks).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(switch.counts(SocketKind::TcpV4, Call::Close).done, 4);
    assert!(switch.sockets().is_empty());
}
