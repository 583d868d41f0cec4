//! Places, dials and waiting, against endpoints of the `h2` crate.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::spawn_local;

use super::{Endpoint, Exchange, Fixture, run};
use crate::upstream::{ConnectFailure, NEVER};

/// Those who come while the first connection is being made share it.
#[test]
fn a_burst_makes_one_connection() {
    run(async {
        let (endpoint, addr) = Endpoint::start(None).await;
        let fixture = Rc::new(Fixture::new(addr, ""));
        let asked: Vec<_> = (0..50).map(|_| fixture.ask()).collect();
        endpoint.has(50).await;
        assert_eq!(endpoint.connections.get(), 1);
        endpoint.answer_all();
        for asked in asked {
            assert_eq!(asked.await.unwrap().unwrap().status().await.unwrap(), 200);
        }
        assert_eq!(fixture.active(), 1);
    });
}

/// The endpoint's limit holds, and more connections are made where there are more requests.
#[test]
fn no_connection_has_more_streams_than_the_endpoint_allows() {
    run(async {
        let (endpoint, addr) = Endpoint::start(Some(2)).await;
        let fixture = Rc::new(Fixture::new(addr, ""));
        let asked: Vec<_> = (0..7).map(|_| fixture.ask()).collect();
        endpoint.has(7).await;
        assert_eq!((endpoint.most.get(), endpoint.connections.get()), (2, 4));
        endpoint.answer_all();
        for asked in asked {
            assert_eq!(asked.await.unwrap().unwrap().status().await.unwrap(), 200);
        }
    });
}

/// The cluster's own limit of streams is below the endpoint's.
#[test]
fn no_connection_has_more_streams_than_the_cluster_allows() {
    run(async {
        let (endpoint, addr) = Endpoint::start(None).await;
        let fixture = Fixture::tuned(addr, "", |http2| http2.max_concurrent_streams = 3);
        let fixture = Rc::new(fixture);
        let _asked: Vec<_> = (0..6).map(|_| fixture.ask()).collect();
        endpoint.has(6).await;
        assert_eq!((endpoint.most.get(), endpoint.connections.get()), (3, 2));
    });
}

/// Where no further connection is allowed, requests wait for a stream, first come, first served.
#[test]
fn requests_wait_for_a_stream_in_order() {
    run(async {
        let (endpoint, addr) = Endpoint::start(Some(1)).await;
        let keys = r#", "circuit_breakers": [{ "max_connections": 1, "max_pending_requests": 9 }]"#;
        let fixture = Rc::new(Fixture::new(addr, keys));
        let ended = Rc::new(RefCell::new(Vec::new()));
        let tasks: Vec<_> = (0..5)
            .map(|number| {
                let (fixture, ended) = (Rc::clone(&fixture), Rc::clone(&ended));
                spawn_local(async move {
                    let exchange = Exchange::begin(fixture.obtain().await.unwrap());
                    assert_eq!(exchange.status().await.unwrap(), 200);
                    ended.borrow_mut().push(number);
                })
            })
            .collect();
        for _ in 0..5 {
            endpoint.has(1).await;
            assert_eq!(endpoint.waiting.borrow().len(), 1);
            endpoint.answer();
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*ended.borrow(), [0, 1, 2, 3, 4]);
        assert_eq!((endpoint.most.get(), endpoint.connections.get()), (1, 1));
    });
}

/// Nobody waits where `max_pending_requests` is not set, but for a connection that is on its way.
#[test]
fn without_pending_requests_a_full_cluster_overflows() {
    run(async {
        let (endpoint, addr) = Endpoint::start(Some(1)).await;
        let keys = r#", "circuit_breakers": [{ "max_connections": 1 }]"#;
        let fixture = Rc::new(Fixture::new(addr, keys));
        let first = fixture.ask();
        endpoint.has(1).await;
        let second = fixture.obtain().await;
        assert!(matches!(second, Err(ConnectFailure::Overflow("max_connections"))));
        endpoint.answer();
        assert_eq!(first.await.unwrap().unwrap().status().await.unwrap(), 200);
        let third = fixture.obtain().await.unwrap();
        assert!(third.is_reused());
    });
}

/// One who waits no longer than its own time takes no dial and no place with it.
#[test]
fn the_wait_ends_with_the_request_s_time() {
    run(async {
        let (endpoint, addr) = Endpoint::start(Some(1)).await;
        let keys = r#", "circuit_breakers": [{ "max_connections": 1, "max_pending_requests": 9 }]"#;
        let fixture = Rc::new(Fixture::new(addr, keys));
        let first = fixture.ask();
        endpoint.has(1).await;
        let (late, _) = fixture.obtain_within(20_000_000).await;
        assert!(matches!(late, Err(ConnectFailure::Waited)));
        let third = fixture.ask();
        endpoint.answer();
        assert_eq!(first.await.unwrap().unwrap().status().await.unwrap(), 200);
        endpoint.has(1).await;
        endpoint.answer();
        assert_eq!(third.await.unwrap().unwrap().status().await.unwrap(), 200);
    });
}

/// A dial that fails has failed for all that wait for it.
#[test]
fn a_failed_dial_fails_for_all() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        drop(listener);
        let fixture = Rc::new(Fixture::new(addr, ""));
        let asked: Vec<_> = (0..20).map(|_| fixture.ask()).collect();
        for asked in asked {
            let failed = asked.await.unwrap().err().unwrap();
            assert_eq!(failed.details(), "upstream_connect_refused", "{failed}");
        }
        assert_eq!(fixture.upstream.stats().connection_con_fail.value(), 1);
    });
}

/// The first request has the time of the dial, those after it have none.
#[test]
fn phases_are_those_of_the_own_request() {
    run(async {
        let (endpoint, addr) = Endpoint::start(None).await;
        let fixture = Fixture::new(addr, "");
        let (first, phases) = fixture.obtain_within(NEVER).await;
        assert!(phases.connect.value().is_some() && phases.pool_wait.value().is_none());
        assert_eq!(phases.reused, Some(false));
        let first = Exchange::begin(first.unwrap());
        endpoint.has(1).await;
        endpoint.answer();
        assert_eq!(first.status().await.unwrap(), 200);
        let (second, phases) = fixture.obtain_within(NEVER).await;
        assert!(phases.connect.value().is_none() && phases.reused == Some(true));
        assert!(second.unwrap().local_addr().is_some());
    });
}

/// After GOAWAY the streams that it covers go on, and new ones get a new connection.
#[test]
fn a_connection_that_goes_away_gets_no_more_streams() {
    run(async {
        let (endpoint, addr) = Endpoint::start(None).await;
        let fixture = Rc::new(Fixture::new(addr, ""));
        let first = fixture.ask();
        endpoint.has(1).await;
        endpoint.leave.notify_one();
        let first = first.await.unwrap().unwrap();
        // It is known when the connection is retired.
        while !first.place.connection.is_retired() {
            tokio::task::yield_now().await;
        }
        let second = fixture.ask();
        endpoint.has(2).await;
        assert_eq!(endpoint.connections.get(), 2);
        endpoint.answer_all();
        assert_eq!(first.status().await.unwrap(), 200);
        assert_eq!(second.await.unwrap().unwrap().status().await.unwrap(), 200);
        while fixture.active() > 1 {
            tokio::task::yield_now().await;
        }
    });
}

/// `max_request_per_conn`.
#[test]
fn a_connection_ends_after_its_requests() {
    run(async {
        let (endpoint, addr) = Endpoint::start(None).await;
        let fixture = Rc::new(Fixture::new(addr, r#", "max_request_per_conn": 2"#));
        for expected in [1, 1, 2, 2, 3] {
            let asked = fixture.ask();
            endpoint.has(1).await;
            endpoint.answer();
            assert_eq!(asked.await.unwrap().unwrap().status().await.unwrap(), 200);
            assert_eq!(endpoint.connections.get(), expected);
        }
        while fixture.active() > 1 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn idle_connections_are_closed() {
    run(async {
        let (endpoint, addr) = Endpoint::start(None).await;
        let fixture = Rc::new(Fixture::new(addr, r#", "idle_timeout": "20ms""#));
        let asked = fixture.ask();
        endpoint.has(1).await;
        let asked = asked.await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_millis(40)).await;
        fixture.upstream.sweep(fixture.worker.clock.refresh());
        assert!(!asked.place.connection.is_retired(), "it is not idle");
        endpoint.answer();
        assert_eq!(asked.status().await.unwrap(), 200);
        fixture.sweep_until(|| fixture.active() == 0).await;
    });
}

/// `max_connection_age`: the stream that it has is not cut.
#[test]
fn an_old_connection_takes_no_more_streams() {
    run(async {
        let (endpoint, addr) = Endpoint::start(None).await;
        let age = Some(Duration::from_millis(20));
        let fixture = Rc::new(Fixture::tuned(addr, "", |http2| http2.max_connection_age = age));
        let first = fixture.ask();
        endpoint.has(1).await;
        let first = first.await.unwrap().unwrap();
        while !first.place.connection.is_retired() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        endpoint.answer();
        assert_eq!(first.status().await.unwrap(), 200);
        while fixture.active() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}

/// After a reload streams go on, and connections end with them.
#[test]
fn a_retired_cluster_closes_its_connections() {
    run(async {
        let (endpoint, addr) = Endpoint::start(None).await;
        let fixture = Rc::new(Fixture::new(addr, ""));
        let first = fixture.ask();
        endpoint.has(1).await;
        fixture.upstream.retire();
        // One that began before the reload.
        let second = fixture.ask();
        endpoint.has(2).await;
        endpoint.answer_all();
        for asked in [first, second] {
            assert_eq!(asked.await.unwrap().unwrap().status().await.unwrap(), 200);
        }
        while fixture.active() > 0 {
            tokio::task::yield_now().await;
        }
    });
}

/// A connection of another endpoint that nobody uses makes room.
#[test]
fn an_idle_connection_makes_room_for_another() {
    run(async {
        let (endpoint, addr) = Endpoint::start(None).await;
        let keys = r#", "circuit_breakers": [{ "max_connections": 1 }]"#;
        let fixture = Rc::new(Fixture::new(addr, keys));
        let asked = fixture.ask();
        endpoint.has(1).await;
        assert!(fixture.upstream.permit().is_none());
        endpoint.answer();
        assert_eq!(asked.await.unwrap().unwrap().status().await.unwrap(), 200);
        assert!(fixture.upstream.permit().is_some());
    });
}
