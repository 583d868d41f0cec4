//! `udp_proxy`: datagrams of each peer go to one endpoint, and the answers back, for as long as there
//! are any.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rosn_cluster::Pick;
use rosn_config::checked::IdleTimeout;
use rosn_net::Bound;
use rustix::io::Errno;
use rustix::net::SendFlags;
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;
use tracing::{debug, warn};

use crate::context::{Admission, Serving, Worker};
use crate::snapshot::{Asked, Listener, Service};
use crate::upstream::nanos;

/// How long a session lasts without datagrams where nothing else is said (MOSN).
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// Datagrams that one wake-up handles before others get their turn.
const BUDGET: usize = 64;
/// No datagram is longer.
const MAX_DATAGRAM: usize = 64 * 1024;

/// The sessions of one listening socket, by the peer's address.
type Sessions = Rc<RefCell<HashMap<SocketAddr, Rc<Session>>>>;

/// What one peer and its endpoint say to each other.
struct Session {
    socket: Bound<UdpSocket>,
    /// When the last datagram passed, in nanoseconds of the worker's clock.
    last: Cell<u64>,
    task: RefCell<Option<AbortHandle>>,
    _admission: Admission,
}

/// Serves a listening socket until the task is dropped, which ends its sessions.
pub async fn serve(worker: Rc<Worker>, mut serving: Serving, socket: Bound<UdpSocket>) {
    let sessions = SessionsGuard(Sessions::default());
    let socket = Rc::new(socket);
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let received = poll_fn(|cx| poll_receive(&socket, cx, &mut buffer)).await;
        worker.clock.refresh();
        match received {
            Ok((len, peer)) => {
                serving.refresh(&worker);
                forward(&worker, &serving, &socket, &sessions.0, peer, &buffer[..len]);
                drain(&worker, &serving, &socket, &sessions.0, &mut buffer);
            }
            // An ICMP error of an earlier answer: the peer is gone, the socket is not.
            Err(error) => {
                debug!(listener = %serving.listener().config.name, "receiving failed: {error}")
            }
        }
    }
}

/// Ends all sessions when the listener goes.
struct SessionsGuard(Sessions);

impl Drop for SessionsGuard {
    fn drop(&mut self) {
        for (_, session) in self.0.borrow_mut().drain() {
            if let Some(task) = session.task.borrow_mut().take() {
                task.abort();
            }
        }
    }
}

/// Handles what else has come, without waiting.
fn drain(
    worker: &Rc<Worker>,
    serving: &Serving,
    socket: &Rc<Bound<UdpSocket>>,
    sessions: &Sessions,
    buffer: &mut [u8],
) {
    for _ in 1..BUDGET {
        let Ok((len, peer)) = socket.try_recv_from(buffer) else { return };
        forward(worker, serving, socket, sessions, peer, &buffer[..len]);
    }
}

fn forward(
    worker: &Rc<Worker>,
    serving: &Serving,
    socket: &Rc<Bound<UdpSocket>>,
    sessions: &Sessions,
    peer: SocketAddr,
    datagram: &[u8],
) {
    let listener = serving.listener();
    let existing = sessions.borrow().get(&peer).cloned();
    let session = match existing {
        Some(session) => session,
        None => match open(worker, serving, socket, sessions, peer) {
            Some(session) => session,
            None => return,
        },
    };
    session.last.set(worker.clock.now());
    count(worker, listener, datagram.len(), 0);
    // Past tokio, which takes a new socket for busy until it has polled it: a session's first datagram would
    // be lost. One that does not fit now is lost, as on any network.
    if let Err(error) = rustix::net::send(&*session.socket, datagram, SendFlags::DONTWAIT)
        && error != Errno::WOULDBLOCK
    {
        debug!(listener = %listener.config.name, %peer, "sending to the upstream failed: {error}");
    }
}

/// Opens a session for a new peer.
fn open(
    worker: &Rc<Worker>,
    serving: &Serving,
    socket: &Rc<Bound<UdpSocket>>,
    sessions: &Sessions,
    peer: SocketAddr,
) -> Option<Rc<Session>> {
    let listener = serving.listener();
    let Service::Udp(proxy) = &listener.service else { return None };
    let admission = Admission::admit(worker, listener)?;
    let local = listener.config.address.as_ip();
    let index = proxy.route(Some(peer), local, &Asked::default())?;
    let upstream = serving.upstream(index);
    let pick = Pick {
        hash: Some(rosn_route::hash_address(peer.ip())),
        tried: &[],
        attempt: 0,
        now_nanos: worker.clock.now(),
    };
    let name = upstream.cluster.name();
    let Some(endpoint) = upstream.pick(&pick) else {
        warn!(cluster = name, %peer, "no healthy upstream");
        return None;
    };
    let Some(target) = endpoint.addr().as_ip() else {
        warn!(cluster = name, "udp_proxy cannot send to {}", endpoint.addr());
        return None;
    };
    let dialed = rosn_net::dial_udp(target, &upstream.datagram_options())
        .map_err(|error| warn!(cluster = name, %peer, "{error}"))
        .ok()?;
    let dialed = dialed
        .map(UdpSocket::from_std)
        .map_err(|error| warn!(cluster = name, %peer, "a session cannot be watched: {error}"))
        .ok()?;
    let session = Rc::new(Session {
        socket: dialed,
        last: Cell::new(worker.clock.now()),
        task: RefCell::default(),
        _admission: admission,
    });
    let idle = proxy.proxy.idle_timeout.or(match listener.config.idle_timeout {
        IdleTimeout::After(idle) => Some(idle),
        IdleTimeout::Default | IdleTimeout::Never => None,
    });
    // A session has no other end: "never" cannot be meant.
    let idle = nanos(idle.filter(|idle| !idle.is_zero()).unwrap_or(IDLE_TIMEOUT));
    let answers = Answers {
        worker: Rc::clone(worker),
        listener: Arc::clone(listener),
        socket: Rc::clone(socket),
        sessions: Rc::clone(sessions),
        session: Rc::clone(&session),
        peer,
        idle,
    };
    let task = tokio::task::spawn_local(answers.run());
    *session.task.borrow_mut() = Some(task.abort_handle());
    sessions.borrow_mut().insert(peer, Rc::clone(&session));
    Some(session)
}

/// Passes the answers of one session back.
struct Answers {
    worker: Rc<Worker>,
    listener: Arc<Listener>,
    socket: Rc<Bound<UdpSocket>>,
    sessions: Sessions,
    session: Rc<Session>,
    peer: SocketAddr,
    idle: u64,
}

impl Answers {
    async fn run(self) {
        let timer = self.worker.wheel.timer();
        let mut buffer = Vec::new();
        loop {
            let ready = poll_fn(|cx| {
                let due = self.session.last.get().saturating_add(self.idle);
                if self.worker.clock.now() >= due {
                    return Poll::Ready(Ok(false));
                }
                if timer.deadline() != Some(due) {
                    timer.set(due);
                }
                timer.poll_expired(cx.waker());
                self.session.socket.poll_recv_ready(cx).map_ok(|()| true)
            });
            if matches!(ready.await, Ok(false)) {
                break;
            }
            buffer.resize(MAX_DATAGRAM, 0);
            for _ in 0..BUDGET {
                match self.session.socket.try_recv(&mut buffer) {
                    Ok(len) => self.answer(&buffer[..len]),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => {
                        debug!(peer = %self.peer, "the upstream of a udp_proxy failed: {error}");
                        break;
                    }
                }
            }
            buffer = Vec::new(); // a session that waits holds no buffer
        }
        self.sessions.borrow_mut().remove(&self.peer);
    }

    fn answer(&self, datagram: &[u8]) {
        self.session.last.set(self.worker.clock.refresh());
        count(&self.worker, &self.listener, 0, datagram.len());
        if let Err(error) = self.socket.try_send_to(datagram, self.peer)
            && error.kind() != io::ErrorKind::WouldBlock
        {
            debug!(peer = %self.peer, "answering failed: {error}");
        }
    }
}

fn poll_receive(
    socket: &UdpSocket,
    cx: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<(usize, SocketAddr)>> {
    let mut room = ReadBuf::new(buffer);
    socket.poll_recv_from(cx, &mut room).map_ok(|peer| (room.filled().len(), peer))
}

fn count(worker: &Worker, listener: &Listener, read: usize, written: usize) {
    for stats in [&worker.shared.stats, &listener.stats] {
        let stats = stats.shard(worker.index);
        stats.bytes_read_total.add(read as u64);
        stats.bytes_write_total.add(written as u64);
    }
}
