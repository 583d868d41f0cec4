//! The listener's side: conversations that peers have begun.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use rosn_base::Addr;
use rosn_net::{NetListener, PeerAddr, Stream};

use super::driver::{Driver, Setup};
use super::stream::{Bell, lock};

/// Conversations that nobody has taken yet.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    limit: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(Stream, SocketAddr)>,
    waker: Option<Waker>,
    closed: bool,
}

impl Queue {
    pub(super) fn has_room(&self) -> bool {
        lock(&self.state).waiting.len() < self.limit
    }

    /// The listener is gone.
    pub(super) fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }

    pub(super) fn push(&self, stream: Stream, peer: SocketAddr) {
        let mut state = lock(&self.state);
        state.waiting.push_back((stream, peer));
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}

/// Listens on a UDP socket. Its task begins with the first poll.
pub(super) struct Listener {
    addr: SocketAddr,
    queue: Arc<Queue>,
    bell: Arc<Bell>,
    /// The driver, until it runs.
    driver: Option<Driver>,
}

impl Listener {
    /// `waiting` bounds what nobody has taken yet, `conversations` all of them.
    pub(super) fn new(setup: Setup, waiting: usize, conversations: usize) -> io::Result<Self> {
        let queue = Arc::new(Queue { state: Mutex::default(), limit: waiting.max(1) });
        let addr = setup.socket.local_addr()?;
        let bell = Arc::clone(&setup.bell);
        let driver = Driver::listener(setup, Arc::clone(&queue), conversations.max(1))?;
        Ok(Self { addr, queue, bell, driver: Some(driver) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = lock(&self.queue.state);
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(waiting);
        self.bell.ring(None);
    }
}

impl NetListener for Listener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, PeerAddr)>> {
        if let Some(driver) = self.driver.take() {
            tokio::spawn(driver.run());
        }
        let mut state = lock(&self.queue.state);
        if let Some((stream, peer)) = state.waiting.pop_front() {
            return Poll::Ready(Ok((stream, peer.into())));
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn local_addr(&self) -> Addr {
        Addr::Ip(self.addr)
    }
}
