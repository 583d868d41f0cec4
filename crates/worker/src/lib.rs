//! Worker threads: one for each core, each with its own runtime, sockets, pools and timers.
//!
//! [`Workers::start`] makes the threads. [`Workers::open`] and [`Workers::listen`] give each of them a
//! listening socket of its own (SO_REUSEPORT), or give one to an acceptor that hands each connection to
//! the worker with the fewest. [`Workers::publish`] gives them a new [`Snapshot`]; [`Workers::drain`] ends them gracefully.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use rosn_base::stats::Sharded;
//! use rosn_config::checked::AcceptMode;
//! use rosn_proxy::{Shared, Snapshot};
//! use rosn_transport::{Environment, Registry};
//! use rosn_worker::Workers;
//!
//! let snapshot = Snapshot { version: 1, limits: Default::default(), listeners: vec![], clusters: vec![], connectors: vec![] };
//! let transports = Arc::new(Registry::with_builtin());
//! let stats = Arc::new(Sharded::new(2));
//! let shared = Shared::new(stats, 2, transports, Environment::system());
//! let workers = Workers::start(2, AcceptMode::ReusePort, Arc::new(shared), Arc::new(snapshot))?;
//! assert_eq!(workers.drain(Duration::from_secs(1)), 0);
//! # Ok::<(), std::io::Error>(())
//! ```

mod accept;
mod socket;
mod thread;

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rosn_config::checked::{self, AcceptMode, Network};
use rosn_net::{BindError, ListenOptions};
use rosn_proxy::{Shared, Snapshot};

use socket::Socket;
use thread::{Command, Thread};

pub use socket::ListenError;

/// The sockets of a listener that nobody accepts on yet.
pub struct Opened {
    name: Arc<str>,
    /// The acceptor takes its connections, where there is one.
    handed_over: bool,
    sockets: Vec<Socket>,
}

/// The threads that serve connections.
pub struct Workers {
    threads: Vec<Thread>,
    /// Accepts for all workers: with `accept: balanced`.
    acceptor: Option<Thread>,
    listening: Mutex<HashSet<Arc<str>>>,
    shared: Arc<Shared>,
}

impl Workers {
    /// Starts `count` workers that act on `snapshot`. They listen on nothing yet.
    ///
    /// # Errors
    /// The system refused a thread or an epoll instance.
    pub fn start(
        count: usize,
        accept: AcceptMode,
        shared: Arc<Shared>,
        snapshot: Arc<Snapshot>,
    ) -> io::Result<Self> {
        let start = |index| thread::start(index, count, Arc::clone(&shared), Arc::clone(&snapshot));
        let threads = (0..count).map(start).collect::<io::Result<Vec<_>>>()?;
        let acceptor = match accept {
            AcceptMode::ReusePort => None,
            AcceptMode::Balanced => {
                let queues = threads.iter().map(Thread::queue).collect();
                Some(thread::start_acceptor(queues, Arc::clone(&shared))?)
            }
        };
        Ok(Self { threads, acceptor, listening: Mutex::default(), shared })
    }

    /// How many workers there are.
    pub fn count(&self) -> usize {
        self.threads.len()
    }

    /// Opens the sockets of a listener. Nothing is accepted on them before [`Workers::listen`]; dropping
    /// them closes them. A virtual listener has none.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn open(&self, listener: &checked::Listener) -> Result<Opened, ListenError> {
        let count = self.takers(listener).len();
        let sockets = match listener.bind {
            true => socket::open(listener, count, &self.shared)?,
            false => Vec::new(),
        };
        Ok(Opened {
            name: Arc::clone(&listener.name),
            handed_over: self.is_handed_over(listener),
            sockets,
        })
    }

    /// Has the workers accept on these sockets. The listener must be part of the snapshot that was
    /// published last.
    pub fn listen(&self, opened: Opened) {
        let acceptor = self.acceptor.iter().filter(|_| opened.handed_over);
        let takers: Vec<&Thread> = match acceptor.count() {
            0 => self.threads.iter().collect(),
            _ => self.acceptor.iter().collect(),
        };
        // Of two addresses, each taker has a socket of each.
        for (taker, socket) in takers.iter().cycle().zip(opened.sockets) {
            taker.send(Command::Listen { name: Arc::clone(&opened.name), socket });
        }
        self.names().insert(opened.name);
    }

    /// The threads that accept for a listener.
    fn takers(&self, listener: &checked::Listener) -> Vec<&Thread> {
        match &self.acceptor {
            // Without `reuseport`, datagrams come in the order of one socket.
            _ if listener.network == Network::Udp && !listener.reuse_port => vec![&self.threads[0]],
            // The kernel spreads datagrams over the sockets that there are: when one of several closes, those of a
            // connection would go to another worker, which does not know it.
            _ if is_over_datagrams(listener) && !listener.reuse_port => vec![&self.threads[0]],
            // A path has one socket, and what a transport makes of a connection stays on its thread.
            _ if is_made_by_transport(listener) && is_path(listener) => vec![&self.threads[0]],
            Some(acceptor) if self.is_handed_over(listener) => vec![acceptor],
            _ => self.threads.iter().collect(),
        }
    }

    /// Whether connections of this listener are sockets that one thread can hand to another.
    fn is_handed_over(&self, listener: &checked::Listener) -> bool {
        listener.network != Network::Udp && !is_made_by_transport(listener)
    }

    /// Stops listening. Connections that were accepted, or that wait to be, are served to their end.
    pub fn unlisten(&self, name: &Arc<str>) {
        if self.names().remove(name) {
            for thread in self.all() {
                thread.send(Command::Unlisten(Arc::clone(name)));
            }
        }
    }

    /// Whether the workers listen for the listener of that name.
    pub fn is_listening(&self, name: &str) -> bool {
        self.names().contains(name)
    }

    /// Gives the workers a new state of the configuration, from the next request on.
    pub fn publish(&self, snapshot: &Arc<Snapshot>) {
        for thread in &self.threads {
            thread.send(Command::Publish(Arc::clone(snapshot)));
        }
    }

    /// Stops listening, lets active requests finish within `timeout`, and ends the threads. Returns how
    /// many connections had to be cut. Blocks.
    pub fn drain(self, timeout: Duration) -> usize {
        let deadline = Instant::now() + timeout;
        // First the acceptor: what it still accepts must find workers.
        if let Some(acceptor) = self.acceptor {
            acceptor.send(Command::Drain(deadline));
            acceptor.join();
        }
        for thread in &self.threads {
            thread.send(Command::Drain(deadline));
        }
        self.threads.into_iter().map(Thread::join).sum()
    }

    fn all(&self) -> impl Iterator<Item = &Thread> {
        self.threads.iter().chain(&self.acceptor)
    }

    fn names(&self) -> std::sync::MutexGuard<'_, HashSet<Arc<str>>> {
        self.listening.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn is_made_by_transport(listener: &checked::Listener) -> bool {
    listener.stream.as_ref().is_some_and(|settings| !settings.is_plain())
}

fn is_over_datagrams(listener: &checked::Listener) -> bool {
    listener.stream.as_ref().is_some_and(|settings| settings.transport.is_datagram())
}

/// Whether it listens on a path and not on a port.
fn is_path(listener: &checked::Listener) -> bool {
    let by_transport = listener.stream.as_ref().is_some_and(|settings| {
        matches!(settings.transport, checked::TransportSettings::DomainSocket(_))
    });
    by_transport || listener.address.as_ip().is_none()
}

/// Whether the address could be listened on now; to be asked before SO_REUSEPORT hides another process.
///
/// # Errors
/// Says what is in the way.
pub fn check_free(listener: &checked::Listener) -> Result<(), BindError> {
    let datagrams = is_over_datagrams(listener);
    match (listener.network, listener.address.as_ip()) {
        _ if is_path(listener) => Ok(()),
        (Network::Tcp, Some(addr)) if listener.bind && datagrams => {
            rosn_net::bind_udp(addr, &ListenOptions::default()).map(drop)
        }
        (Network::Tcp, Some(addr)) if listener.bind => rosn_net::check_free(addr),
        (Network::Udp, Some(addr)) if listener.bind && listener.reuse_port => {
            rosn_net::bind_udp(addr, &ListenOptions::default()).map(drop)
        }
        _ => Ok(()),
    }
}
