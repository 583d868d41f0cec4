//! S10: what a cancelled dial leaves behind, and what it does not touch.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use rosn_base::Addr;
use rosn_net::{Coalesced, DialContext, Dialer, OsNet, SystemResolver};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::script::{Log, OK, Script, addr};

/// Row 80: the connection was there when the dial was cancelled.
#[tokio::test]
async fn a_connection_that_nobody_waits_for_is_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = Addr::Ip(listener.local_addr().unwrap());
    let dialer = Dialer::new(Arc::new(OsNet), Arc::new(Coalesced::new(SystemResolver)));
    let log = Log::default();
    let context = log.context();
    {
        let mut dial = pin!(dialer.dial(&to, &context));
        // After this the system connects, whether anybody looks or not.
        let _ = dial.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    let (mut accepted, _) = listener.accept().await.unwrap();
    assert_eq!(accepted.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert_eq!(log.lines().len(), 2, "{:?}", log.lines());
}

/// Row 81: the deadline of the dial is none of the connection.
#[tokio::test(start_paused = true)]
async fn a_deadline_that_comes_later_changes_nothing() {
    let script = Script::new(&[("10.0.0.1", &[OK])]);
    let deadline = Some(Instant::now() + Duration::from_secs(1));
    let context = DialContext { deadline, ..DialContext::default() };
    let mut stream = script.dialer(&[]).dial(&addr("10.0.0.1:80"), &context).await.unwrap();
    drop(context);
    tokio::time::advance(Duration::from_secs(5)).await;
    stream.write_all(b"still here").await.unwrap();
    assert_eq!(script.live.count(), 1);
}
