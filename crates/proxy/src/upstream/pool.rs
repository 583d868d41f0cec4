//! A worker's idle connections to one endpoint.

use std::collections::VecDeque;
use std::task::{Context, Waker};

use super::Connection;
use crate::http::Side;

/// Idle connections, the last used first, so that a quiet pool shrinks.
#[derive(Default)]
pub(super) struct Pool {
    idle: VecDeque<Connection>,
}

impl Pool {
    /// A connection that is really idle: open, with nothing to read.
    ///
    /// `probe` asks the kernel too, which costs a system call: for requests that cannot be sent twice.
    pub(super) fn take(&mut self, probe: bool) -> Option<Connection> {
        while let Some(mut connection) = self.idle.pop_back() {
            if is_clean(&mut connection, probe) {
                return Some(connection);
            }
        }
        None
    }

    /// The connection that has been idle for the longest time.
    pub(super) fn take_oldest(&mut self) -> Option<Connection> {
        self.idle.pop_front()
    }

    pub(super) fn put(&mut self, connection: Connection, limit: usize) {
        self.idle.push_back(connection);
        if self.idle.len() > limit {
            self.idle.pop_front();
        }
    }

    /// Drops what went idle before `oldest`, and what is no longer clean.
    pub(super) fn sweep(&mut self, oldest: Option<u64>) {
        self.idle.retain_mut(|connection| {
            oldest.is_none_or(|oldest| connection.idle_since >= oldest)
                && is_clean(connection, false)
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.idle.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.idle.clear();
    }
}

/// Whether nothing can be read: a byte or an end here would be taken for part of the next response.
fn is_clean(connection: &mut Connection, probe: bool) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    let Side::Http1(stream) = &mut connection.side else { return false };
    (!probe && stream.poll_read_ready(&mut cx).is_pending()) || stream.is_quiet()
}
