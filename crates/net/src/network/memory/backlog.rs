//! Connections that wait to be accepted.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::connection::Connection;
use crate::Io as _;
use crate::network::Waiters;

/// The queue of a listener.
#[derive(Debug)]
pub(super) struct Backlog {
    limit: usize,
    state: Mutex<State>,
    /// Clients that wait for room.
    clients: Waiters,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Connection>,
    closed: bool,
    listener: Option<Waker>,
}

impl Backlog {
    pub(super) fn new(limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).max(1);
        Self { limit, state: Mutex::default(), clients: Waiters::default() }
    }

    /// Queues the server's end of a connection.
    ///
    /// # Errors
    /// `WouldBlock` where there is no room; `ConnectionRefused` where the listener is gone. The connection stays
    /// in `server` then.
    pub(super) fn push(&self, server: &mut Option<Connection>) -> io::Result<()> {
        let mut state = self.state();
        if state.closed {
            return Err(ErrorKind::ConnectionRefused.into());
        }
        if state.queue.len() >= self.limit {
            return Err(ErrorKind::WouldBlock.into());
        }
        state.queue.extend(server.take());
        let listener = state.listener.take();
        drop(state);
        if let Some(listener) = listener {
            listener.wake();
        }
        Ok(())
    }

    /// Like [`Backlog::push`], and waits for room.
    pub(super) fn poll_push(
        &self,
        cx: &Context<'_>,
        server: &mut Option<Connection>,
    ) -> Poll<io::Result<()>> {
        // Before it is looked: room that comes in between must not be missed.
        self.clients.add(cx.waker());
        match self.push(server) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
            pushed => Poll::Ready(pushed),
        }
    }

    pub(super) fn poll_accept(&self, cx: &Context<'_>) -> Poll<Connection> {
        let mut state = self.state();
        let Some(connection) = state.queue.pop_front() else {
            state.listener = Some(cx.waker().clone());
            return Poll::Pending;
        };
        drop(state);
        self.clients.wake_all();
        Poll::Ready(connection)
    }

    /// The listener is gone: who waits is refused, and who was in the queue is reset.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        for mut connection in queue {
            connection.abort();
        }
        self.clients.wake_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
