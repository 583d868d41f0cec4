//! The pool against servers of the `h2` crate and against hand-made ones.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::{Request, Response};
use rosn_base::stats::Sharded;
use rosn_cluster::{Cluster, Unexported};
use rosn_config::checked::{self, Http2Settings};
use rosn_config::{Format, LoadOptions, load_text};
use rosn_net::ConnInfo;
use rosn_transport::{Environment, Registry};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinHandle, spawn_local};

use super::Place;
use crate::context::{Shared, Worker};
use crate::snapshot::Snapshot;
use crate::upstream::{ConnectFailure, NEVER, Phases, Upstream, Wanted};

/// How long a test waits for what has to come; it is no measure of anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a test on a thread like a worker's.
fn run(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build_local(Default::default()).unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("it hangs") });
}

/// A worker with one cluster.
struct Fixture {
    worker: Rc<Worker>,
    upstream: Rc<Upstream>,
}

impl Fixture {
    /// `keys` are those of the cluster, besides its host.
    fn new(host: SocketAddr, keys: &str) -> Self {
        Self::tuned(host, keys, |_| {})
    }

    fn tuned(host: SocketAddr, keys: &str, tune: impl FnOnce(&mut Http2Settings)) -> Self {
        let text = format!(
            r#"{{ "servers": [{{ "listeners": [] }}], "cluster_manager": {{ "clusters": [
                {{ "name": "backend", "hosts": [{{ "address": "{host}" }}] {keys} }} ] }} }}"#
        );
        let loaded = load_text("test.json", &text, Format::Json, &LoadOptions::default());
        let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        let mut config = checked::Cluster::clone(&config.clusters["backend"]);
        tune(&mut config.http2);
        let cluster = Cluster::new(Arc::new(config), 1, Arc::new(Unexported { shards: 1 }));
        let limits = Default::default();
        let clusters = vec![Arc::clone(&cluster)];
        let snapshot = Snapshot { version: 1, limits, listeners: vec![], clusters };
        let transports = Arc::new(Registry::with_builtin());
        let stats = Arc::new(Sharded::new(1));
        let shared = Arc::new(Shared::new(stats, 1, transports, Environment::system()));
        let worker = Worker::new(0, 1, Arc::clone(&shared), Arc::new(snapshot));
        spawn_local(turn(Rc::clone(&worker)));
        let upstream = Rc::new(Upstream::new(cluster, 0, 7, &shared));
        Self { worker, upstream }
    }

    async fn obtain(&self) -> Result<Place, ConnectFailure> {
        self.obtain_within(NEVER).await.0
    }

    async fn obtain_within(&self, time: u64) -> (Result<Place, ConnectFailure>, Phases) {
        let client = ConnInfo {
            id: 1,
            peer: "127.0.0.1:1".parse::<SocketAddr>().unwrap().into(),
            local: "127.0.0.1:2".parse::<SocketAddr>().unwrap().into(),
            original_dst: None,
        };
        let mut phases = Phases::default();
        let wanted = Wanted {
            worker: &self.worker,
            client: &client,
            timer: &self.worker.wheel.timer(),
            deadline: self.worker.clock.refresh().saturating_add(time),
            phases: &mut phases,
        };
        let endpoint = Arc::clone(&self.upstream.cluster.endpoints().endpoints()[0]);
        let place = self.upstream.place(&endpoint, false, wanted).await;
        (place, phases)
    }

    /// Asks in a task of its own.
    fn ask(self: &Rc<Self>) -> JoinHandle<Result<Exchange, ConnectFailure>> {
        let this = Rc::clone(self);
        spawn_local(async move { Ok(Exchange::begin(this.obtain().await?)) })
    }

    fn active(&self) -> i64 {
        self.upstream.stats().connection_active.value()
    }

    async fn sweep_until(&self, done: impl Fn() -> bool) {
        while !done() {
            self.upstream.sweep(self.worker.clock.refresh());
            tokio::task::yield_now().await;
        }
    }
}

async fn turn(worker: Rc<Worker>) {
    loop {
        worker.wheel.advance(worker.clock.refresh(), std::task::Waker::noop());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A stream that has begun, with its place.
struct Exchange {
    response: Result<ResponseFuture, h2::Error>,
    _send: Option<SendStream<Bytes>>,
    place: Place,
}

impl Exchange {
    fn begin(mut place: Place) -> Self {
        let mut sender = place.take_sender();
        let request = Request::get("http://a.test/").body(()).unwrap();
        match sender.send_request(request, true) {
            Ok((response, send)) => Self { response: Ok(response), _send: Some(send), place },
            Err(error) => Self { response: Err(error), _send: None, place },
        }
    }

    /// The status, or why there is none.
    async fn status(self) -> Result<u16, h2::Error> {
        Ok(self.response?.await?.status().as_u16())
    }
}

/// An endpoint of the `h2` crate that answers when it is told to.
#[derive(Default)]
struct Endpoint {
    connections: Cell<usize>,
    /// Streams that are open on each connection, and the most that were.
    open: RefCell<Vec<Rc<Cell<usize>>>>,
    most: Cell<usize>,
    waiting: RefCell<Vec<(SendResponse<Bytes>, Rc<Cell<usize>>)>>,
    arrived: Notify,
    leave: Notify,
}

impl Endpoint {
    async fn start(streams: Option<u32>) -> (Rc<Self>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let this = Rc::new(Self::default());
        let endpoint = Rc::clone(&this);
        spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                endpoint.connections.set(endpoint.connections.get() + 1);
                spawn_local(Rc::clone(&endpoint).serve(stream, streams));
            }
        });
        (this, addr)
    }

    async fn serve(self: Rc<Self>, stream: TcpStream, streams: Option<u32>) {
        let mut builder = h2::server::Builder::new();
        if let Some(streams) = streams {
            builder.max_concurrent_streams(streams);
        }
        let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
        let open = Rc::new(Cell::new(0));
        self.open.borrow_mut().push(Rc::clone(&open));
        loop {
            let accepted = tokio::select! {
                accepted = connection.accept() => accepted,
                () = self.leave.notified() => {
                    connection.graceful_shutdown();
                    continue;
                }
            };
            let Some(Ok((_, respond))) = accepted else { return };
            open.set(open.get() + 1);
            self.most.set(self.most.get().max(open.get()));
            self.waiting.borrow_mut().push((respond, Rc::clone(&open)));
            self.arrived.notify_one();
        }
    }

    /// Waits until so many requests wait for an answer.
    async fn has(&self, count: usize) {
        while self.waiting.borrow().len() < count {
            self.arrived.notified().await;
        }
    }

    /// Answers the request that has waited longest.
    fn answer(&self) {
        let (mut respond, open) = self.waiting.borrow_mut().remove(0);
        open.set(open.get() - 1);
        let _ = respond.send_response(Response::new(()), true);
    }

    fn answer_all(&self) {
        while !self.waiting.borrow().is_empty() {
            self.answer();
        }
    }
}

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

/// A frame's header.
fn frame(length: usize, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    let length = u32::try_from(length).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes
}

const SETTINGS: u8 = 4;
const HEADERS: u8 = 1;
const GOAWAY: u8 = 7;
const PING: u8 = 6;

type Script = Pin<Box<dyn Future<Output = ()>>>;

/// An endpoint that does what the script says with its first connection.
async fn scripted(script: impl FnOnce(TcpStream) -> Script + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    spawn_local(async move {
        let (stream, _) = listener.accept().await.unwrap();
        script(stream).await;
    });
    addr
}

/// Reads frames until one of this kind comes; its stream.
async fn read_until(stream: &mut TcpStream, kind: u8) -> u32 {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.unwrap();
        if head[3] == kind && head[4] & 1 == u8::from(kind == HEADERS) {
            return u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        }
    }
}

async fn read_preface(stream: &mut TcpStream) {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
}

/// Streams above the last that GOAWAY names were never looked at: the error says so.
#[test]
fn streams_that_were_never_processed_are_told_apart() {
    run(async {
        let addr = scripted(|mut stream| {
            Box::pin(async move {
                read_preface(&mut stream).await;
                stream.write_all(&frame(0, SETTINGS, 0, 0)).await.unwrap();
                assert_eq!(read_until(&mut stream, HEADERS).await, 1);
                assert_eq!(read_until(&mut stream, HEADERS).await, 3);
                let mut goaway = frame(8, GOAWAY, 0, 0);
                goaway.extend_from_slice(&1u32.to_be_bytes());
                goaway.extend_from_slice(&0u32.to_be_bytes());
                stream.write_all(&goaway).await.unwrap();
                // The first one is processed, and not answered.
                let mut rest = [0; 1];
                while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
            })
        })
        .await;
        let fixture = Rc::new(Fixture::new(addr, ""));
        let first = fixture.ask().await.unwrap().unwrap();
        let second = fixture.ask().await.unwrap().unwrap();
        let refused = second.status().await.unwrap_err();
        assert!(refused.is_go_away() && refused.is_remote(), "{refused}");
        assert!(first.place.connection.is_retired());
        drop(first);
    });
}

/// An endpoint that takes connections and says nothing is given up after `connect_timeout`.
#[test]
fn an_endpoint_that_never_speaks_is_given_up() {
    run(async {
        let (hold, held) = oneshot::channel::<()>();
        let addr = scripted(|stream| {
            Box::pin(async move {
                let _ = held.await;
                drop(stream);
            })
        })
        .await;
        let fixture = Rc::new(Fixture::new(addr, r#", "connect_timeout": "50ms""#));
        let exchange = fixture.ask().await.unwrap().unwrap();
        let Exchange { response, place, .. } = exchange;
        assert!(response.unwrap().await.unwrap_err().is_io());
        assert_eq!(place.verdict(), Some("the endpoint did not begin to speak HTTP/2 in time"));
        drop(hold);
    });
}

/// An endpoint that dies without a word is found out by a ping, and its streams fail.
#[test]
fn a_silent_endpoint_is_pinged_and_given_up() {
    run(async {
        let (hold, held) = oneshot::channel::<()>();
        let addr = scripted(|mut stream| {
            Box::pin(async move {
                read_preface(&mut stream).await;
                stream.write_all(&frame(0, SETTINGS, 0, 0)).await.unwrap();
                read_until(&mut stream, PING).await;
                let _ = held.await;
            })
        })
        .await;
        let fixture = Rc::new(Fixture::tuned(addr, "", |http2| {
            http2.ping_interval = Some(Duration::from_millis(30));
            http2.ping_timeout = Duration::from_millis(50);
        }));
        let Exchange { response, place, .. } = fixture.ask().await.unwrap().unwrap();
        assert!(response.unwrap().await.unwrap_err().is_io());
        assert_eq!(place.verdict(), Some("the endpoint did not answer a ping"));
        assert_eq!(fixture.active(), 0);
        drop(hold);
    });
}

/// One that answers pings is alive, however long it takes for its response; and it is not pinged again and again.
#[test]
fn an_endpoint_that_answers_pings_is_kept() {
    run(async {
        let (endpoint, addr) = Endpoint::start(None).await;
        let fixture = Rc::new(Fixture::tuned(addr, "", |http2| {
            http2.ping_interval = Some(Duration::from_millis(10));
            http2.ping_timeout = Duration::from_secs(20);
        }));
        let asked = fixture.ask();
        endpoint.has(1).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        endpoint.answer();
        let asked = asked.await.unwrap().unwrap();
        assert_eq!(asked.place.verdict(), None);
        assert_eq!(asked.status().await.unwrap(), 200);
    });
}

/// What speaks HTTP/1.1 is no HTTP/2 endpoint.
#[test]
fn an_endpoint_of_another_protocol_fails_the_stream() {
    run(async {
        let addr = scripted(|mut stream| {
            Box::pin(async move {
                read_preface(&mut stream).await;
                let text = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(text).await.unwrap();
                let mut rest = [0; 1];
                while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
            })
        })
        .await;
        let fixture = Rc::new(Fixture::new(addr, ""));
        let exchange = fixture.ask().await.unwrap().unwrap();
        let error = exchange.status().await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::FRAME_SIZE_ERROR), "{error}");
    });
}
