//! The pool against servers of the `h2` crate and against hand-made ones.

mod pool;
mod raw;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use h2::client::ResponseFuture;
use h2::server::SendResponse;
use http::{Request, Response};
use rosn_base::stats::Sharded;
use rosn_cluster::{Cluster, Unexported};
use rosn_config::checked::{self, Http2Settings};
use rosn_config::{Format, LoadOptions, load_text};
use rosn_net::ConnInfo;
use rosn_transport::{Environment, Registry};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};

use super::Place;
use crate::context::{Shared, Worker};
use crate::h2::Data;
use crate::snapshot::Snapshot;
use crate::upstream::{ConnectFailure, NEVER, Phases, Speaks, Upstream, Wanted};

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
        let snapshot =
            Snapshot { version: 1, limits, listeners: vec![], clusters, connectors: vec![None] };
        let transports = Arc::new(Registry::with_builtin());
        let stats = Arc::new(Sharded::new(1));
        let shared = Arc::new(Shared::new(stats, 1, transports, Environment::system()));
        let worker = Worker::new(0, 1, Arc::clone(&shared), Arc::new(snapshot));
        spawn_local(turn(Rc::clone(&worker)));
        let upstream = Rc::new(Upstream::new(cluster, None, 0, 7, &shared));
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
            speaks: Speaks::Http2,
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
    _send: Option<SendStream<Data>>,
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

/// What answers a request, and how many streams its connection has.
type Waiting = (SendResponse<Bytes>, Rc<Cell<usize>>);

/// An endpoint of the `h2` crate that answers when it is told to.
#[derive(Default)]
struct Endpoint {
    connections: Cell<usize>,
    /// Streams that are open on each connection, and the most that were.
    open: RefCell<Vec<Rc<Cell<usize>>>>,
    most: Cell<usize>,
    waiting: RefCell<Vec<Waiting>>,
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
