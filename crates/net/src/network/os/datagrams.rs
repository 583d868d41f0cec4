//! UDP with many datagrams in a system call: GSO, GRO and recvmmsg(2) through quinn-udp.

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use rosn_base::Addr;
use tokio::io::Interest;

use super::answers::{Answers, is_answer, is_too_long};
use crate::conn::canonical;
use crate::hook::Tracked;
use crate::network::{Batch, Datagrams, MAX_DATAGRAM, Received, Waiters};
use crate::{BindError, Bound, DialError, DialOptions, ListenOptions};

/// A UDP socket that is watched from the first poll on.
#[derive(Debug)]
pub(super) struct OsDatagrams {
    /// Until it is watched.
    unwatched: Mutex<Option<std::net::UdpSocket>>,
    watched: OnceLock<Arc<tokio::net::UdpSocket>>,
    offload: UdpSocketState,
    local: SocketAddr,
    /// The only peer, where it is connected.
    peer: Option<SocketAddr>,
    /// Those who wait for room to send.
    senders: Arc<Waiters>,
    answers: Answers,
    /// Tells hooks that the socket is closed: it is dropped last.
    _tracked: Arc<Tracked>,
}

impl OsDatagrams {
    pub(super) fn bind(addr: SocketAddr, options: &ListenOptions) -> Result<Self, BindError> {
        let socket = crate::bind_udp(addr, options)?;
        Self::new(socket, None).map_err(|source| BindError::Other { addr: Addr::Ip(addr), source })
    }

    pub(super) fn connect(target: SocketAddr, options: &DialOptions) -> Result<Self, DialError> {
        let socket = crate::dial_udp(target, options)?;
        Self::new(socket, Some(target)).map_err(|source| DialError::Setup {
            target: Addr::Ip(target),
            step: "UDP options",
            source,
        })
    }

    fn new(socket: Bound<std::net::UdpSocket>, peer: Option<SocketAddr>) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let offload = UdpSocketState::new(UdpSockRef::from(&*socket))?;
        let (socket, tracked) = socket.into_parts();
        let unwatched = Mutex::new(Some(socket));
        let senders = Arc::default();
        Ok(Self {
            unwatched,
            watched: OnceLock::new(),
            offload,
            local,
            peer,
            senders,
            answers: Answers::default(),
            _tracked: tracked,
        })
    }

    /// Has the event loop of this thread watch it from now on.
    fn watch(&self) -> io::Result<&Arc<tokio::net::UdpSocket>> {
        if self.watched.get().is_none() {
            let mut unwatched = self.unwatched.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(socket) = unwatched.take() {
                let socket = tokio::net::UdpSocket::from_std(socket)?;
                self.watched.get_or_init(|| Arc::new(socket));
            }
        }
        // It is missing only if the event loop refused it before.
        self.watched.get().ok_or_else(|| ErrorKind::NotConnected.into())
    }

    /// Makes a call without waiting; before the first poll this needs no runtime.
    fn try_now<T>(&self, call: impl Fn(UdpSockRef<'_>) -> io::Result<T>) -> io::Result<T> {
        if self.watched.get().is_none() {
            let unwatched = self.unwatched.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(socket) = &*unwatched {
                return call(socket.into());
            }
        }
        let socket = self.watched.get().ok_or(ErrorKind::NotConnected)?;
        socket.try_io(Interest::WRITABLE, || call((&**socket).into()))
    }

    fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let sent = self.try_now(|socket| self.offload.try_send(socket, transmit));
        match sent {
            // That of an earlier datagram to somebody else.
            Err(error) if self.peer.is_none() && is_answer(&error) => {
                self.try_now(|socket| self.offload.try_send(socket, transmit))
            }
            Err(error) if is_too_long(&error) => {
                self.forget_error();
                Err(error)
            }
            sent => sent,
        }
    }

    /// Takes the error that the system keeps for the next call.
    fn forget_error(&self) {
        if let Some(socket) = self.watched.get() {
            let _ = socket.take_error();
        } else if let Some(socket) = &*self.unwatched.lock().unwrap_or_else(PoisonError::into_inner)
        {
            let _ = socket.take_error();
        }
    }

    /// Waits until a receive will not have to, and says what for: bytes or an error.
    fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        socket: &Arc<tokio::net::UdpSocket>,
    ) -> Poll<io::Result<Interest>> {
        match socket.poll_recv_ready(cx) {
            Poll::Pending if self.peer.is_some() => {
                self.answers.poll(cx, socket).map_ok(|()| Interest::ERROR)
            }
            ready => ready.map_ok(|()| Interest::READABLE),
        }
    }

    /// The address as the family of the socket has it.
    fn mapped(&self, to: SocketAddr) -> SocketAddr {
        match (to.ip(), self.local) {
            (IpAddr::V4(ip), SocketAddr::V6(_)) => {
                SocketAddr::new(IpAddr::V6(ip.to_ipv6_mapped()), to.port())
            }
            _ => to,
        }
    }
}

impl Datagrams for OsDatagrams {
    fn try_send(&self, batch: &Batch<'_>) -> io::Result<()> {
        batch.check(self.peer)?;
        let destination = self.mapped(batch.to);
        let transmit = |contents, segment_size| {
            let transmit =
                Transmit { destination, ecn: None, contents, segment_size, src_ip: None };
            self.send(&transmit)
        };
        let segment = batch.segment.filter(|segment| *segment < batch.bytes.len());
        let Some(segment) = segment else { return transmit(batch.bytes, None) };
        let mut rest = batch.bytes;
        while !rest.is_empty() {
            let together = self.max_batch().min(MAX_DATAGRAM / segment).max(1);
            let (part, after) = rest.split_at(rest.len().min(together * segment));
            match transmit(part, Some(segment)) {
                Ok(()) => rest = after,
                // The device cannot split after all, which `max_batch` has learned by this.
                Err(_) if together > self.max_batch() => {}
                // Whoever sends again sends all again; it is as if the network had lost the rest.
                Err(error)
                    if error.kind() == ErrorKind::WouldBlock && rest.len() < batch.bytes.len() =>
                {
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = self.watch()?;
        self.senders.poll(cx, |cx| socket.poll_send_ready(cx))
    }

    fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        received: &mut [Received],
    ) -> Poll<io::Result<usize>> {
        assert!(received.len() >= buffers.len(), "a place for what each buffer holds");
        let count = buffers.len().min(BATCH_SIZE);
        let mut meta = [RecvMeta::default(); BATCH_SIZE];
        let socket = self.watch()?;
        loop {
            let interest = ready!(self.poll_ready(cx, socket))?;
            let receive =
                || self.offload.recv((&**socket).into(), &mut buffers[..count], &mut meta);
            match socket.try_io(interest, receive) {
                Ok(used) => {
                    for (to, meta) in received.iter_mut().zip(&meta[..used]) {
                        let from = canonical(meta.addr);
                        *to = Received { from, len: meta.len, stride: meta.stride };
                    }
                    return Poll::Ready(Ok(used));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if self.peer.is_none() && is_answer(&error) => {}
                Err(error) if is_too_long(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn max_batch(&self) -> usize {
        self.offload.max_gso_segments()
    }

    fn max_received(&self) -> usize {
        self.offload.gro_segments()
    }
}
