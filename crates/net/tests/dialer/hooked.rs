//! Sockets of the system, with hooks that make them slow or fail, and that know which are open.

use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use rosn_base::Addr;
use rosn_net::hook::{Call, Decision, Hooks, Op, SocketKind, Switch};
use rosn_net::{DialContext, Dialer, OsNet};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use crate::script::{Knows, Log};

const HOUR: Duration = Duration::from_secs(3600);

/// A dialer of a name with an IPv6 and an IPv4 address, where the hook decides about connects.
async fn dialer(
    connect: impl Fn(&Op<'_>) -> Decision + Send + Sync + 'static,
) -> (Dialer, Arc<Switch>, Addr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = Addr::Name("name".into(), listener.local_addr().unwrap().port());
    let switch = Arc::new(Switch::new());
    switch.set(Call::Connect, connect);
    let mut dialer = Dialer::new(Arc::new(OsNet), Arc::new(Knows::new(&["::1", "127.0.0.1"])));
    dialer.options.hooks = Hooks::from(Arc::clone(&switch));
    (dialer, switch, to, listener)
}

fn slow_v6(op: &Op<'_>) -> Decision {
    if op.kind == SocketKind::TcpV6 { Decision::Delay(HOUR) } else { Decision::Continue }
}

fn slow(_: &Op<'_>) -> Decision {
    Decision::Delay(HOUR)
}

/// Row 76, S5: of a race one socket is left, and none when that is closed.
#[tokio::test(start_paused = true)]
async fn a_race_leaks_no_socket() {
    let (dialer, switch, to, _listener) = dialer(slow_v6).await;
    for _ in 0..10 {
        let stream = dialer.dial(&to, &DialContext::default()).await.unwrap();
        let open = switch.sockets();
        assert_eq!(open.len(), 1, "{open:?}");
        assert_eq!(open[0].kind, SocketKind::TcpV4);
        drop(stream);
        assert!(switch.sockets().is_empty());
    }
}

/// S5: nor do a cancelled race and one that comes too late.
#[tokio::test(start_paused = true)]
async fn a_race_without_a_winner_leaks_no_socket() {
    let (dialer, switch, to, _listener) = dialer(slow).await;
    let mut context = DialContext::default();
    for after in [0, 299, 301, 5000] {
        timeout(Duration::from_millis(after), dialer.dial(&to, &context)).await.unwrap_err();
        assert!(switch.sockets().is_empty(), "after {after} ms");
    }
    context.deadline = Some(Instant::now() + Duration::from_secs(3));
    let error = dialer.dial(&to, &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(switch.sockets().is_empty());
}

/// Row 80, S10: the connect was done when nobody waited any longer.
#[tokio::test]
async fn a_cancelled_connect_leaks_no_socket() {
    let (dialer, switch, _, listener) = dialer(|_| Decision::Continue).await;
    let to = Addr::Ip(listener.local_addr().unwrap());
    for _ in 0..100 {
        let context = DialContext::default();
        {
            let mut dial = pin!(dialer.dial(&to, &context));
            let _ = dial.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            // The system has connected it by now.
            drop(listener.accept().await.unwrap());
        }
        assert!(switch.sockets().is_empty());
    }
}

/// Rows 73 and 86, S9: one family fails, at once or after a while.
#[tokio::test(start_paused = true)]
async fn a_family_that_fails() {
    let unreachable = |op: &Op<'_>| match op.kind {
        SocketKind::TcpV6 => Decision::Fail(ErrorKind::NetworkUnreachable.into()),
        _ => Decision::Continue,
    };
    let (dialer, switch, to, _listener) = dialer(unreachable).await;
    let (log, start) = (Log::default(), Instant::now());
    let stream = dialer.dial(&to, &log.context()).await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(300));
    // Where there is no IPv6 at all, the error is another.
    let lines = log.lines();
    assert!(lines[3].starts_with("1 done: ") && !lines[3].ends_with("ok"), "{lines:?}");
    assert_eq!(lines[5], "2 done: ok");
    drop(stream);
    assert!(switch.sockets().is_empty());
}

/// Row 88, S11: one dial may mean three sockets.
#[tokio::test]
async fn a_lack_of_ports_that_passes() {
    let failures = Arc::new(AtomicU32::new(0));
    let left = Arc::clone(&failures);
    let no_port = move |_: &Op<'_>| {
        let fails = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        match fails {
            Ok(_) => Decision::Fail(ErrorKind::AddrNotAvailable.into()),
            Err(_) => Decision::Continue,
        }
    };
    let (dialer, switch, _, listener) = dialer(no_port).await;
    let to = Addr::Ip(listener.local_addr().unwrap());
    failures.store(2, Ordering::Relaxed);
    drop(dialer.dial(&to, &DialContext::default()).await.unwrap());
    assert_eq!(switch.counts(SocketKind::TcpV4, Call::Socket).done, 3);
    failures.store(3, Ordering::Relaxed);
    let error = dialer.dial(&to, &DialContext::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    assert_eq!(switch.counts(SocketKind::TcpV4, Call::Connect).vetoed, 5);
    assert!(switch.sockets().is_empty());
}
