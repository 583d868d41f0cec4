//! Between accept(2) and whoever serves the connection.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::time::Sleep;

use super::tracked::Accepting;
use super::{SocketKind, Tracked};
use crate::{AcceptAction, PeerAddr, Stream, accept_error};

/// Connections that hooks hold back at most; then no more are accepted until one goes on.
const MAX_HELD: usize = 1024;

/// Lets accepted connections through that no hook forbids.
#[derive(Default)]
pub(crate) struct Gate {
    held: Mutex<Vec<Held>>,
}

/// A connection that a hook delays.
struct Held {
    due: Pin<Box<Sleep>>,
    accepting: Accepting,
    stream: Stream,
    peer: PeerAddr,
}

impl Gate {
    /// Accepts the next connection that no hook forbids. A forbidden one is closed; the error is passed on only where
    /// the accept loop is to pause because of it.
    ///
    /// # Errors
    /// Those of `accept`, and such of hooks.
    pub(crate) fn poll_accept(
        &self,
        cx: &mut Context<'_>,
        listener: &Tracked,
        mut accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<(Stream, PeerAddr)>>,
    ) -> Poll<io::Result<(Stream, PeerAddr)>> {
        loop {
            let mut held = self.held();
            let (let_through, is_full) = (poll_held(&mut held, cx), held.len() >= MAX_HELD);
            drop(held);
            let passed = if let Some(held) = let_through {
                pass(held.accepting, held.stream, held.peer)
            } else if is_full {
                return Poll::Pending;
            } else {
                let (stream, peer) = ready!(accept(cx))?;
                match listener.ask_accept(kind(&peer), peer.to_addr()) {
                    Ok(None) => return Poll::Ready(Ok((stream, peer))),
                    Ok(Some(accepting)) if accepting.delay().is_zero() => {
                        pass(accepting, stream, peer)
                    }
                    Ok(Some(accepting)) => {
                        let due = Box::pin(tokio::time::sleep(accepting.delay()));
                        self.held().push(Held { due, accepting, stream, peer });
                        continue; // which has its timer wake this task
                    }
                    Err(error) => Err(error),
                }
            };
            match passed {
                Err(error) if accept_error(&error) != AcceptAction::BackOff => {}
                passed => return Poll::Ready(passed),
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, Vec<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One whose time has come.
fn poll_held(held: &mut Vec<Held>, cx: &mut Context<'_>) -> Option<Held> {
    let due = held.iter_mut().position(|held| held.due.as_mut().poll(cx).is_ready())?;
    Some(held.remove(due))
}

fn pass(accepting: Accepting, stream: Stream, peer: PeerAddr) -> io::Result<(Stream, PeerAddr)> {
    let (stream, tracked) = accepting.finish(stream)?;
    Ok((stream.track(tracked), peer))
}

/// Of a connection whose listener hooks do not know.
fn kind(peer: &PeerAddr) -> SocketKind {
    match peer {
        PeerAddr::Ip(addr) if addr.is_ipv4() => SocketKind::TcpV4,
        PeerAddr::Ip(_) => SocketKind::TcpV6,
        PeerAddr::Unix(_) => SocketKind::Unix,
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("held", &self.held().len()).finish()
    }
}
