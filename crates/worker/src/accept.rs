//! Accepts connections, and goes on through whatever accept(2) says.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rosn_net::{AcceptAction, SocketFile, TcpAcceptor, UnixAcceptor, accept_error};
use rosn_proxy::{Arrival, Serving, Worker};
use rosn_transport::Accepted;
use tokio::sync::oneshot;
use tracing::{error, warn};

/// The first pause when there is no descriptor for another connection; it doubles up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// A listening socket of one thread.
pub(crate) enum Acceptor {
    Tcp(TcpAcceptor),
    Unix {
        acceptor: UnixAcceptor,
        /// Removed with the last clone.
        _file: Arc<Option<SocketFile>>,
    },
    Transport(Box<dyn rosn_transport::Listener>),
}

/// What becomes of accepted connections.
pub(crate) trait Taker {
    /// Takes a connection. It must not block.
    fn take(&mut self, arrival: Arrival);
}

/// Serves connections on this thread.
pub(crate) struct Serve {
    pub(crate) worker: Rc<Worker>,
    pub(crate) serving: Serving,
}

impl Taker for Serve {
    fn take(&mut self, arrival: Arrival) {
        self.serving.refresh(&self.worker);
        rosn_proxy::spawn(&self.worker, &self.serving, arrival);
    }
}

impl Acceptor {
    /// Accepts until `stop` is dropped or sent; then takes what still waits, so that no client that was
    /// connected already is turned away, and closes the socket.
    pub(crate) async fn run(
        mut self,
        name: Arc<str>,
        mut taker: impl Taker,
        mut stop: oneshot::Receiver<()>,
    ) {
        let mut pause = FIRST_PAUSE;
        loop {
            let accepted = poll_fn(|cx| {
                if Pin::new(&mut stop).poll(cx).is_ready() {
                    return Poll::Ready(None);
                }
                self.poll_accept(cx).map(Some)
            });
            match accepted.await {
                None => break,
                Some(Ok(arrival)) => {
                    pause = FIRST_PAUSE;
                    taker.take(arrival);
                }
                Some(Err(error)) => match accept_error(&error) {
                    AcceptAction::Retry => {}
                    AcceptAction::BackOff => {
                        if pause == FIRST_PAUSE {
                            warn!(listener = %name, "accepting pauses: {error}");
                        }
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(LAST_PAUSE);
                    }
                    AcceptAction::Fatal => {
                        error!(listener = %name, "accepting has ended: {error}");
                        return;
                    }
                },
            }
        }
        if let Self::Transport(listener) = &mut self {
            listener.drain();
            // Handshakes that are under way come to their end; each has a limit of its own.
            while let Ok(arrival) = poll_fn(|cx| self.poll_accept(cx)).await {
                taker.take(arrival);
            }
            return;
        }
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Ok(arrival)) = self.poll_accept(&mut cx) {
            taker.take(arrival);
        }
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Arrival>> {
        let plain = |(stream, peer)| Arrival { stream, peer, local: None, tls: None };
        match self {
            Self::Tcp(listener) => listener.poll_accept(cx).map_ok(plain),
            Self::Unix { acceptor, .. } => acceptor.poll_accept(cx).map_ok(plain),
            Self::Transport(listener) => listener.poll_accept(cx).map_ok(|accepted| {
                let Accepted { stream, peer, local, tls } = accepted;
                Arrival { stream, peer, local: Some(local), tls }
            }),
        }
    }
}
