//! What the system tells the process.

use std::io;
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// TERM: stop when active requests are done.
    Drain,
    /// INT, QUIT: stop now.
    Stop,
    /// HUP: read the configuration again.
    Reload,
    /// USR1: open the logs again.
    Reopen,
}

/// The signals that mean something.
pub(crate) struct Signals([(Signal, Order); 5]);

impl Signals {
    /// From now on these signals no longer end the process.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self([
            (signal(SignalKind::terminate())?, Order::Drain),
            (signal(SignalKind::interrupt())?, Order::Stop),
            (signal(SignalKind::quit())?, Order::Stop),
            (signal(SignalKind::hangup())?, Order::Reload),
            (signal(SignalKind::user_defined1())?, Order::Reopen),
        ]))
    }

    /// Waits for the next. Cancel safe.
    pub(crate) async fn next(&mut self) -> Order {
        std::future::poll_fn(|cx| {
            for (signal, order) in &mut self.0 {
                if signal.poll_recv(cx).is_ready() {
                    return Poll::Ready(*order);
                }
            }
            Poll::Pending
        })
        .await
    }
}
