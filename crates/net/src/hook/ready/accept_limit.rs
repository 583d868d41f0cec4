//! How many accepted connections may be open.

use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rosn_base::Addr;

use crate::hook::{Call, Decision, Op, Outcome, SocketHook, SocketKey};

/// How many; `None` = any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AcceptLimits {
    /// In all.
    pub total: Option<usize>,
    /// Of each listener: of all listening sockets of one owner, or of each socket without one.
    pub per_listener: Option<usize>,
    /// Of each client: an IPv4 address, or a /64 of IPv6, as one client has many addresses there. Unix clients are not
    /// told apart, and not counted here.
    pub per_client: Option<usize>,
}

/// Limits how many accepted connections are open at the same time; one more is closed at once.
///
/// A place belongs to the socket and is free again when that is closed: also where the connection went to another
/// thread, or below TLS or a tunnel.
#[derive(Debug)]
pub struct AcceptLimit {
    limits: AcceptLimits,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    sockets: HashMap<SocketKey, Place>,
    listeners: HashMap<Listener, usize>,
    clients: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Place {
    /// Known only where it is limited.
    listener: Option<Listener>,
    client: Option<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Listener {
    /// By its owner's name: it may have a socket on each thread.
    Named(Box<str>),
    Nameless(SocketKey),
}

impl AcceptLimit {
    /// These limits.
    pub fn new(limits: AcceptLimits) -> Self {
        Self { limits, open: Mutex::default() }
    }

    /// How many connections are open now.
    pub fn open(&self) -> usize {
        self.lock().sockets.len()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The limit that is in the way.
    fn reached(&self, open: &Open, place: &Place) -> Option<(&'static str, usize)> {
        let Place { listener, client } = place;
        let of = |limit: Option<usize>, count: usize| limit.filter(|limit| count >= *limit);
        let of_listener = listener.as_ref().and_then(|listener| open.listeners.get(listener));
        let of_listener = of_listener.copied().unwrap_or(0);
        let of_client = client.and_then(|ip| open.clients.get(&ip)).copied().unwrap_or(0);
        let total = of(self.limits.total, open.sockets.len()).map(|limit| ("in all", limit));
        total
            .or_else(|| {
                listener
                    .as_ref()
                    .and(of(self.limits.per_listener, of_listener))
                    .map(|limit| ("of a listener", limit))
            })
            .or_else(|| {
                client
                    .and(of(self.limits.per_client, of_client))
                    .map(|limit| ("of a client", limit))
            })
    }
}

impl Open {
    fn enter(&mut self, socket: SocketKey, place: Place) {
        if let Some(listener) = &place.listener {
            *self.listeners.entry(listener.clone()).or_default() += 1;
        }
        if let Some(client) = place.client {
            *self.clients.entry(client).or_default() += 1;
        }
        self.sockets.insert(socket, place);
    }

    fn leave(&mut self, socket: SocketKey) {
        let Some(place) = self.sockets.remove(&socket) else { return };
        if let Some(listener) = place.listener {
            count_down(&mut self.listeners, &listener);
        }
        if let Some(client) = place.client {
            count_down(&mut self.clients, &client);
        }
    }
}

/// Counters at nought are forgotten, so that clients do not fill the memory.
fn count_down<K: Hash + Eq>(counters: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counters.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counters.remove(key);
        }
    }
}

fn client(addr: &Addr) -> Option<IpAddr> {
    match addr.as_ip()?.ip().to_canonical() {
        IpAddr::V6(ip) => {
            let network = ip.to_bits() >> 64 << 64;
            Some(IpAddr::V6(Ipv6Addr::from_bits(network)))
        }
        v4 @ IpAddr::V4(_) => Some(v4),
    }
}

impl SocketHook for AcceptLimit {
    fn before(&self, op: &Op<'_>) -> Decision {
        if op.call != Call::Accept {
            return Decision::Continue;
        }
        let listener = self.limits.per_listener.and_then(|_| match op.owner {
            "" => op.listener.map(Listener::Nameless),
            name => Some(Listener::Named(name.into())),
        });
        let place = Place { listener, client: op.addr.and_then(client) };
        let mut open = self.lock();
        if let Some((what, limit)) = self.reached(&open, &place) {
            let text = format!("the limit of {limit} connections {what} is reached");
            return Decision::Fail(io::Error::new(io::ErrorKind::QuotaExceeded, text));
        }
        open.enter(op.socket, place);
        Decision::Continue
    }

    fn after(&self, op: &Op<'_>, outcome: &Outcome<'_>) {
        if op.call == Call::Close || (op.call == Call::Accept && outcome.error().is_some()) {
            self.lock().leave(op.socket);
        }
    }
}
