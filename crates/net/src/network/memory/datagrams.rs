//! UDP in memory.

use std::collections::VecDeque;
use std::future::Future as _;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use rosn_base::Addr;

use super::dial::Dialing;
use super::world::{Route, meant};
use super::{MemHost, told};
use crate::conn::canonical;
use crate::hook::{Call, Role, SocketKind, Tracked};
use crate::network::{Batch, Datagrams, MAX_DATAGRAM, Received};
use crate::{BindError, DialError, DialOptions, ListenOptions};

/// Bytes that a socket holds for its reader, as Linux does by default (`net.core.rmem_default`); more are lost.
const QUEUE: usize = 212_992;
/// What a datagram takes of it besides its own bytes.
const OVERHEAD: usize = 64;

/// What came for a socket.
#[derive(Debug, Default)]
pub(super) struct Inbox(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Item>,
    used: usize,
    reader: Option<Waker>,
    timer: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
struct Item {
    from: SocketAddr,
    at: Option<Instant>,
    /// `Err` = nobody is at the address that the socket has sent to.
    what: Result<Box<[u8]>, ErrorKind>,
}

impl Inbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that it holds.
    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.state().used
    }

    fn put(&self, from: SocketAddr, what: Result<&[u8], ErrorKind>, latency: Duration) {
        let size = what.map_or(0, <[u8]>::len) + OVERHEAD;
        let mut state = self.state();
        if state.used + size > QUEUE {
            return;
        }
        state.used += size;
        let at = (!latency.is_zero()).then(|| Instant::now() + latency);
        state.queue.push_back(Item { from, at, what: what.map(Box::from) });
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl State {
    /// The next that has arrived.
    fn next(&mut self) -> Option<Item> {
        if self.queue.front()?.at.is_some_and(|at| at > Instant::now()) {
            return None;
        }
        let item = self.queue.pop_front()?;
        self.used -= item.what.as_ref().map_or(0, |bytes| bytes.len()) + OVERHEAD;
        Some(item)
    }

    /// Has the task woken when the next arrives; true = it did meanwhile.
    fn wait(&mut self, cx: &mut Context<'_>) -> bool {
        self.reader = Some(cx.waker().clone());
        let Some(at) = self.queue.front().and_then(|item| item.at) else { return false };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        timer.as_mut().reset(at);
        timer.as_mut().poll(cx).is_ready()
    }
}

/// Takes the address for a socket.
fn take(
    host: &MemHost,
    addr: SocketAddr,
    shared: bool,
    inbox: &Arc<Inbox>,
) -> Result<SocketAddr, BindError> {
    let place = Addr::Ip(addr);
    let mut world = host.net.world();
    if !world.owns(host.id, addr.ip()) {
        return Err(BindError::NoSuchAddress { addr: place });
    }
    let bound = world.host(host.id).udp.bind(addr, shared, inbox);
    bound.ok_or(BindError::InUse { addr: place, holder: None })
}

fn kind(addr: SocketAddr) -> SocketKind {
    if addr.is_ipv4() { SocketKind::UdpV4 } else { SocketKind::UdpV6 }
}

/// A UDP socket.
#[derive(Debug)]
pub(super) struct MemDatagrams {
    host: MemHost,
    local: SocketAddr,
    /// The only peer, where it is connected.
    peer: Option<SocketAddr>,
    inbox: Arc<Inbox>,
    /// Tells hooks that the socket is closed: it is dropped last.
    tracked: Tracked,
}

impl MemDatagrams {
    #[track_caller]
    pub(super) fn bind(
        host: &MemHost,
        addr: SocketAddr,
        options: &ListenOptions,
    ) -> Result<Self, BindError> {
        let place = Addr::Ip(addr);
        let denied = |source| BindError::Other { addr: place.clone(), source };
        let made = Tracked::make(&options.owner(), kind(addr), Role::Listener, true, || Ok(()));
        let ((), tracked) = made.map_err(denied)?;
        let asked = tracked.ask(Call::Bind, Some(&place)).map_err(denied)?;
        let inbox = Arc::default();
        let bound = take(host, addr, options.reuse_port, &inbox);
        let allowed = asked.map_or(Ok(()), |asked| asked.finish(told(&bound)));
        // From here on, dropping it gives the address back.
        let socket = Self { host: host.clone(), local: bound?, peer: None, inbox, tracked };
        allowed.map_err(denied)?;
        Ok(socket)
    }

    #[track_caller]
    pub(super) fn connect(
        host: &MemHost,
        target: SocketAddr,
        options: &DialOptions,
    ) -> Result<Self, DialError> {
        let to = Addr::Ip(target);
        let refused = |source| DialError::Connect { target: to.clone(), source };
        let dialing = Dialing::begin(host, &to, kind(target), options)?;
        let asked = dialing.tracked.ask(Call::Connect, Some(&to)).map_err(refused)?;
        let connected = host.net.world().route(host.id, meant(target.ip()));
        let connected = connected.and_then(|route| {
            let bind = dialing.local.unwrap_or(SocketAddr::new(route.source, 0));
            let ip = if bind.ip().is_unspecified() { route.source } else { bind.ip() };
            let inbox = Arc::default();
            let addr = SocketAddr::new(ip, bind.port());
            let bound = take(host, addr, false, &inbox);
            told(&bound)?;
            Ok((bound.unwrap_or(addr), inbox))
        });
        let told = connected.as_ref().map(drop).map_err(|error| error.kind().into());
        let allowed = asked.map_or(Ok(()), |asked| asked.finish(told));
        let (local, inbox) = connected.map_err(refused)?;
        let tracked = dialing.tracked;
        let socket = Self { host: host.clone(), local, peer: Some(target), inbox, tracked };
        allowed.map_err(refused)?;
        Ok(socket)
    }

    fn send(&self, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > MAX_DATAGRAM {
            return Err(io::Error::new(ErrorKind::InvalidInput, "the datagram is too long"));
        }
        let to = SocketAddr::new(meant(to.ip()), to.port());
        let mut world = self.host.net.world();
        let Route { to: host, mut source, link } = world.route(self.host.id, to.ip())?;
        if !self.local.ip().is_unspecified() {
            source = self.local.ip();
        }
        if link.loses() {
            return Ok(());
        }
        let latency = link.latency();
        let from = SocketAddr::new(source, self.local.port());
        let inbox = world.host(host).udp.find(to, from.port().into());
        drop(world);
        match inbox {
            Some(inbox) => inbox.put(from, Ok(bytes), latency),
            // As an ICMP "port unreachable", which systems show to connected sockets only.
            None if self.peer.is_some() => {
                self.inbox.put(to, Err(ErrorKind::ConnectionRefused), 2 * latency);
            }
            None => {}
        }
        Ok(())
    }

    /// The next that this socket wants to have.
    fn next(&self, state: &mut State) -> Option<io::Result<(SocketAddr, Box<[u8]>)>> {
        loop {
            let item = state.next()?;
            match item.what {
                Err(kind) => return Some(Err(kind.into())),
                Ok(bytes) if self.wants(item.from) => return Some(Ok((item.from, bytes))),
                Ok(_) => {}
            }
        }
    }

    fn wants(&self, from: SocketAddr) -> bool {
        self.peer.is_none_or(|peer| meant(peer.ip()) == from.ip() && peer.port() == from.port())
    }
}

impl Datagrams for MemDatagrams {
    fn try_send(&self, batch: &Batch<'_>) -> io::Result<()> {
        batch.check(self.peer)?;
        let segment = batch.segment.unwrap_or(usize::MAX);
        if batch.bytes.is_empty() {
            return self.send(batch.to, batch.bytes);
        }
        batch.bytes.chunks(segment).try_for_each(|bytes| self.send(batch.to, bytes))
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        received: &mut [Received],
    ) -> Poll<io::Result<usize>> {
        assert!(received.len() >= buffers.len(), "a place for what each buffer holds");
        let mut state = self.inbox.state();
        loop {
            let mut used = 0;
            for (buffer, to) in buffers.iter_mut().zip(&mut *received) {
                // An error waits until what came before it has been received.
                if used > 0 && state.queue.front().is_some_and(|item| item.what.is_err()) {
                    break;
                }
                let Some((from, bytes)) = self.next(&mut state).transpose()? else { break };
                let len = bytes.len().min(buffer.len());
                buffer[..len].copy_from_slice(&bytes[..len]);
                *to = Received { from: canonical(from), len, stride: len };
                used += 1;
            }
            if used > 0 {
                return Poll::Ready(Ok(used));
            }
            if !state.wait(cx) {
                return Poll::Pending;
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    /// As on Linux: 64.
    fn max_batch(&self) -> usize {
        64
    }

    fn max_received(&self) -> usize {
        1
    }
}

impl Drop for MemDatagrams {
    fn drop(&mut self) {
        self.tracked.closing();
        self.host.net.world().host(self.host.id).udp.unbind(self.local.port(), &self.inbox);
    }
}
