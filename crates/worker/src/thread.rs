//! The life of a worker's thread.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use rosn_net::{PeerAddr, Released, TcpAcceptor, UnixAcceptor};
use rosn_proxy::{Arrival, Serving, Shared, Snapshot, Worker};
use tokio::net::UdpSocket;
use tokio::runtime::{Builder, LocalRuntime};
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use crate::accept::{Acceptor, Serve, Taker};
use crate::socket::Socket;

/// How often idle upstream connections are looked at.
const SWEEP: Duration = Duration::from_secs(1);

/// How long a worker that is to end waits for handshakes before it tells its connections.
const LAST_HANDSHAKES: Duration = Duration::from_secs(1);

/// What the rest of the process tells a thread.
pub(crate) enum Command {
    Publish(Arc<Snapshot>),
    Listen {
        name: Arc<str>,
        socket: Socket,
    },
    Unlisten(Arc<str>),
    /// A connection that the acceptor took.
    Adopt {
        listener: Arc<str>,
        stream: Released,
        peer: PeerAddr,
    },
    Drain(Instant),
}

/// A running thread.
pub(crate) struct Thread {
    queue: mpsc::UnboundedSender<Command>,
    join: std::thread::JoinHandle<usize>,
}

impl Thread {
    /// Says something to the thread; a thread that is gone does not mind.
    pub(crate) fn send(&self, command: Command) {
        let _ = self.queue.send(command);
    }

    pub(crate) fn queue(&self) -> mpsc::UnboundedSender<Command> {
        self.queue.clone()
    }

    /// Waits for the thread; says how many connections it had to cut.
    pub(crate) fn join(self) -> usize {
        drop(self.queue);
        self.join.join().unwrap_or(0)
    }
}

/// Starts worker `index` of `count`.
pub(crate) fn start(
    index: usize,
    count: usize,
    shared: Arc<Shared>,
    snapshot: Arc<Snapshot>,
) -> io::Result<Thread> {
    spawn(format!("rosn-worker-{index}"), move |commands| async move {
        let worker = Worker::new(index, count, shared, snapshot);
        let mut listening = Listening::default();
        tokio::task::spawn_local(drive(Rc::clone(&worker)));
        tokio::task::spawn_local(sweep(Rc::clone(&worker)));
        obey(commands, &worker, &mut listening).await;
        worker.connections()
    })
}

/// Starts the thread that accepts for the workers behind `queues`.
pub(crate) fn start_acceptor(
    queues: Vec<mpsc::UnboundedSender<Command>>,
    shared: Arc<Shared>,
) -> io::Result<Thread> {
    spawn("rosn-acceptor".to_owned(), move |mut commands| async move {
        let mut listening = Listening::default();
        while let Some(command) = commands.recv().await {
            match command {
                Command::Listen { name, socket } => {
                    let taker = HandOver {
                        queues: queues.clone(),
                        shared: Arc::clone(&shared),
                        listener: Arc::clone(&name),
                    };
                    listening.accept(name, socket, taker);
                }
                Command::Unlisten(name) => listening.stop(&name),
                Command::Drain(_) => break,
                Command::Publish(_) | Command::Adopt { .. } => {}
            }
        }
        listening.stop_all().await;
        0
    })
}

fn spawn<F, Fut>(name: String, body: F) -> io::Result<Thread>
where
    F: FnOnce(mpsc::UnboundedReceiver<Command>) -> Fut + Send + 'static,
    Fut: Future<Output = usize> + 'static,
{
    let (queue, commands) = mpsc::unbounded_channel();
    let (started, outcome) = std::sync::mpsc::channel();
    let join = std::thread::Builder::new().name(name).spawn(move || {
        let runtime: io::Result<LocalRuntime> =
            Builder::new_current_thread().enable_all().build_local(Default::default());
        match runtime {
            Ok(runtime) => {
                let _ = started.send(Ok(()));
                runtime.block_on(body(commands))
            }
            Err(error) => {
                let _ = started.send(Err(error));
                0
            }
        }
    })?;
    outcome.recv().unwrap_or_else(|_| Err(io::Error::other("the thread ended at once")))?;
    Ok(Thread { queue, join })
}

/// Carries out commands until the worker is drained.
async fn obey(
    mut commands: mpsc::UnboundedReceiver<Command>,
    worker: &Rc<Worker>,
    listening: &mut Listening,
) {
    while let Some(command) = commands.recv().await {
        match command {
            Command::Publish(snapshot) => worker.publish(snapshot),
            Command::Listen { name, socket } => match Serving::new(worker, &name) {
                Some(serving) => listening.serve(worker, name, socket, serving),
                None => error!(listener = %name, "a listener is not part of the configuration"),
            },
            Command::Unlisten(name) => listening.stop(&name),
            Command::Adopt { listener, stream, peer } => {
                worker.shared.queued[worker.index].fetch_sub(1, Ordering::Relaxed);
                if let (Some(serving), Ok(stream)) =
                    (Serving::new(worker, &listener), stream.adopt())
                {
                    let arrival = Arrival { stream, peer, local: None, tls: None };
                    rosn_proxy::spawn(worker, &serving, arrival);
                }
            }
            Command::Drain(deadline) => {
                // Handshakes that take longer go on beside the connections.
                let _ = tokio::time::timeout(LAST_HANDSHAKES, listening.stop_all()).await;
                worker.drain();
                let mut late = pin!(tokio::time::sleep_until(deadline.into()));
                poll_fn(|cx| {
                    if worker.poll_empty(cx.waker()) {
                        return Poll::Ready(());
                    }
                    late.as_mut().poll(cx)
                })
                .await;
                return;
            }
        }
    }
}

/// Turns the worker's timer wheel.
async fn drive(worker: Rc<Worker>) {
    let mut sleep = pin!(tokio::time::sleep(SWEEP));
    poll_fn(|cx| {
        loop {
            let now = worker.clock.refresh();
            let Some(next) = worker.wheel.advance(now, cx.waker()) else {
                return Poll::<()>::Pending;
            };
            let wait = Duration::from_nanos(next.saturating_sub(now));
            sleep.as_mut().reset(tokio::time::Instant::now() + wait);
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await;
}

async fn sweep(worker: Rc<Worker>) {
    let mut interval = tokio::time::interval(SWEEP);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        worker.clock.refresh();
        worker.clock.resync();
        worker.sweep();
    }
}

/// A task that accepts, and what stops it when it is dropped.
type Accepting = (oneshot::Sender<()>, tokio::task::JoinHandle<()>);

/// What a thread listens on.
#[derive(Default)]
struct Listening {
    tasks: HashMap<Arc<str>, Vec<Accepting>>,
}

impl Listening {
    /// Serves what comes on the socket on this thread.
    fn serve(&mut self, worker: &Rc<Worker>, name: Arc<str>, socket: Socket, serving: Serving) {
        match socket {
            Socket::Udp(socket) => match socket.map(UdpSocket::from_std) {
                Ok(socket) => {
                    let serve = rosn_proxy::serve_udp(Rc::clone(worker), serving, socket);
                    let (stop, stopped) = oneshot::channel::<()>();
                    let task = tokio::task::spawn_local(async move {
                        tokio::select! { () = serve => {}, _ = stopped => {} }
                    });
                    self.tasks.entry(name).or_default().push((stop, task));
                }
                Err(error) => error!(listener = %name, "cannot be served: {error}"),
            },
            socket => self.accept(name, socket, Serve { worker: Rc::clone(worker), serving }),
        }
    }

    /// Accepts on the socket.
    fn accept(&mut self, name: Arc<str>, socket: Socket, taker: impl Taker + 'static) {
        let acceptor = match socket {
            Socket::Tcp(socket) => TcpAcceptor::new(socket).map(Acceptor::Tcp),
            Socket::Unix(socket, file) => {
                UnixAcceptor::new(socket).map(|acceptor| Acceptor::Unix { acceptor, _file: file })
            }
            Socket::Transport(listener) => Ok(Acceptor::Transport(listener)),
            Socket::Udp(_) => Err(io::ErrorKind::Unsupported.into()),
        };
        match acceptor {
            Ok(acceptor) => {
                let (stop, stopped) = oneshot::channel();
                let run = acceptor.run(Arc::clone(&name), taker, stopped);
                let task = tokio::task::spawn_local(run);
                self.tasks.entry(name).or_default().push((stop, task));
            }
            Err(error) => error!(listener = %name, "cannot be served: {error}"),
        }
    }

    fn stop(&mut self, name: &str) {
        self.tasks.remove(name); // dropping the senders is the signal
    }

    /// Stops all, and waits until what was connected has been taken.
    async fn stop_all(&mut self) {
        let tasks: Vec<_> =
            self.tasks.drain().flat_map(|(_, all)| all).map(|(_stop, task)| task).collect();
        for task in tasks {
            let _ = task.await;
        }
    }
}

/// Hands connections to the worker that has the fewest.
struct HandOver {
    queues: Vec<mpsc::UnboundedSender<Command>>,
    shared: Arc<Shared>,
    listener: Arc<str>,
}

impl Taker for HandOver {
    fn take(&mut self, arrival: Arrival) {
        let Arrival { stream, peer, .. } = arrival;
        let load = |index: &usize| {
            let queued = self.shared.queued[*index].load(Ordering::Relaxed);
            queued + self.shared.loads[*index].load(Ordering::Relaxed)
        };
        let least = (0..self.queues.len()).min_by_key(load).unwrap_or(0);
        if let Ok(stream) = stream.release() {
            self.shared.queued[least].fetch_add(1, Ordering::Relaxed);
            let listener = Arc::clone(&self.listener);
            let _ = self.queues[least].send(Command::Adopt { listener, stream, peer });
        }
    }
}
