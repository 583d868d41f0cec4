use tokio::net::TcpListener;

use super::*;
use crate::connect::{ConnectOptions, Proxies};

/// A pool with these limits.
fn pool(limits: PoolLimits) -> Arc<Pool> {
    let options = ConnectOptions { proxies: Proxies::none(), ..ConnectOptions::default() };
    Arc::new(Pool::new(Connector::new(options).unwrap(), limits, Http2Settings::default()))
}

/// A server that accepts, and where it is.
async fn server() -> (TcpListener, Target) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    (listener, Target::direct(&url.parse().unwrap()).unwrap())
}

/// A connection that was dialed.
async fn dialed(pool: &Arc<Pool>, target: &Target) -> Box<Connection> {
    let mut waiting = pool.wait(target, &TraceHandle::none(), None).expect("none is idle");
    match std::future::poll_fn(|cx| waiting.poll(cx)).await.unwrap().carrier {
        Carrier::Http1(connection) => connection,
        Carrier::Http2(_) => panic!("it is HTTP/1.1"),
    }
}

/// Between looking for an idle connection and waiting for one, another request may put one back. With a limit nobody
/// would dial, and nobody would bring it.
#[tokio::test]
async fn a_connection_that_became_idle_before_waiting_is_not_waited_for() {
    let pool = pool(PoolLimits { conns_per_host: Some(1), ..PoolLimits::default() });
    let (_listener, target) = server().await;
    let connection = dialed(&pool, &target).await;
    assert!(pool.take(&target, false).is_none());
    pool.put(connection).unwrap();
    assert!(pool.wait(&target, &TraceHandle::none(), None).is_none());
    assert!(pool.take(&target, false).is_some());
}

/// What is remembered of hosts is bounded by the connections to them.
#[tokio::test]
async fn a_host_whose_last_connection_made_room_for_another_is_forgotten() {
    let pool = pool(PoolLimits { idle: 1, ..PoolLimits::default() });
    let mut listeners = Vec::new();
    for _ in 0..4 {
        let (listener, target) = server().await;
        pool.put(dialed(&pool, &target).await).unwrap();
        listeners.push(listener);
    }
    assert_eq!((pool.idle(), pool.state().hosts.len()), (1, 1));
}
