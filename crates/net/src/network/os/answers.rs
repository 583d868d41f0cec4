//! ICMP answers to what a UDP socket has sent.

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Waits for an error of a socket. tokio wakes a reader for bytes only: epoll reports EPOLLERR alone for such an error.
#[derive(Default)]
pub(super) struct Answers(Mutex<Option<Waiting>>);

type Waiting = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

impl Answers {
    /// Waits until a receive will tell of an error. Costs an allocation for each error, and none for each call.
    pub(super) fn poll(
        &self,
        cx: &mut Context<'_>,
        socket: &Arc<UdpSocket>,
    ) -> Poll<io::Result<()>> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = slot.get_or_insert_with(|| {
            let socket = socket.clone();
            Box::pin(async move { socket.ready(Interest::ERROR).await.map(|_| ()) })
        });
        let polled = waiting.as_mut().poll(cx);
        if polled.is_ready() {
            *slot = None;
        }
        polled
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}

/// Whether it is an ICMP answer to a datagram that was sent before.
pub(super) fn is_answer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
    )
}

/// Whether it says that a datagram was too long for the path. Linux then says so twice: the next call fails as well.
pub(super) fn is_too_long(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::MSGSIZE)
}
