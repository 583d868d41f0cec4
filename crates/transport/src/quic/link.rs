//! One QUIC connection, and the streams that are open on it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use quinn::{Connection, RecvStream, SendStream, VarInt};
use rosn_net::PeerAddr;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::stream::QuicStream;

/// The code of closing and resetting: v2ray gives none a meaning.
pub(super) const NO_ERROR: VarInt = VarInt::from_u32(0);

/// How long a connection without streams stays before it is closed for good: closing takes from the peer what it has
/// received and not yet read.
const GRACE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Link {
    pub(super) connection: Connection,
    /// The address of this end.
    pub(super) local: PeerAddr,
    /// Where its tasks run.
    pub(super) runtime: Handle,
    uses: watch::Sender<Uses>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Uses {
    streams: usize,
    /// Whether it is to end with its last stream.
    retired: bool,
}

impl Link {
    /// Must be called on the runtime where the connection runs.
    pub(super) fn new(connection: Connection, local: PeerAddr) -> Arc<Self> {
        let uses = watch::Sender::new(Uses::default());
        Arc::new(Self { connection, local, runtime: Handle::current(), uses })
    }

    /// Opens a stream, if the peer allows one more just now.
    pub(super) fn open(self: &Arc<Self>) -> Option<QuicStream> {
        if self.is_retired() {
            return None;
        }
        let opened = self.connection.open_bi().now_or_never()?.ok()?;
        Some(self.stream(opened))
    }

    pub(super) fn stream(self: &Arc<Self>, (send, recv): (SendStream, RecvStream)) -> QuicStream {
        self.uses.send_modify(|uses| uses.streams += 1);
        QuicStream::new(send, recv, Claim(self.clone()))
    }

    /// Whether it is of no use any longer.
    pub(super) fn is_retired(&self) -> bool {
        self.uses.borrow().retired || self.connection.close_reason().is_some()
    }

    /// Ends the connection with its last stream.
    pub(super) fn retire(&self) {
        self.uses.send_modify(|uses| uses.retired = true);
    }

    /// Retires it if no stream is open. Returns whether it is retired.
    pub(super) fn retire_if_unused(&self) -> bool {
        self.uses.send_if_modified(|uses| {
            uses.retired |= uses.streams == 0;
            uses.retired
        })
    }

    /// Waits until it is retired or closed, or until no stream was open for that long.
    pub(super) async fn retired_or_unused(&self, patience: Duration) {
        let mut uses = self.uses.subscribe();
        loop {
            let now = *uses.borrow_and_update();
            if now.retired {
                return;
            }
            tokio::select! {
                _ = uses.changed() => {}
                _ = self.connection.closed() => return,
                () = tokio::time::sleep(patience), if now.streams == 0 => return,
            }
        }
    }

    /// Lets the open streams come to their end, refuses new ones, and closes.
    pub(super) async fn farewell(&self) {
        self.retire();
        self.connection.set_max_concurrent_bi_streams(NO_ERROR);
        let ended = async {
            let mut uses = self.uses.subscribe();
            // The sender is `self`'s, so it is still there.
            let _ = uses.wait_for(|uses| uses.streams == 0).await;
            tokio::time::sleep(GRACE).await;
        };
        let refuse = async {
            while let Ok((mut send, mut recv)) = self.connection.accept_bi().await {
                let _ = send.reset(NO_ERROR);
                let _ = recv.stop(NO_ERROR);
            }
        };
        tokio::select! {
            () = ended => {}
            () = refuse => {}
        }
        // Closing what is closed would hide the reason from those who still hold streams.
        if self.connection.close_reason().is_none() {
            self.connection.close(NO_ERROR, b"");
        }
    }
}

/// An open stream's hold on its connection.
#[derive(Debug)]
pub(super) struct Claim(Arc<Link>);

impl std::ops::Deref for Claim {
    type Target = Link;

    fn deref(&self) -> &Link {
        &self.0
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.uses.send_modify(|uses| uses.streams -= 1);
    }
}
