//! Bytes that were written and have not gone out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::timeout;

/// How long a stream that was dropped goes on sending (v2ray's time for a last write).
const LINGER: Duration = Duration::from_secs(5);

/// Counts the writes of a stream that have not gone out.
///
/// h2 forgets what a stream has not sent when nobody holds it any longer and the peer has not ended. So somebody must
/// hold it for as long as that takes.
#[derive(Debug, Default, Clone)]
pub(super) struct Unsent(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    writes: AtomicUsize,
    sent: Notify,
}

impl Unsent {
    /// Counts the bytes until they are dropped.
    pub(super) fn count(&self, bytes: Vec<u8>) -> Bytes {
        self.0.writes.fetch_add(1, Ordering::Relaxed);
        Bytes::from_owner(Counted { bytes, count: self.0.clone() })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.writes.load(Ordering::Acquire) == 0
    }

    /// Waits until all has gone out, or for too long.
    pub(super) async fn sent(self) {
        let all = async {
            while !self.is_empty() {
                self.0.sent.notified().await;
            }
        };
        // Whoever takes nothing for so long will not.
        let _ = timeout(LINGER, all).await;
    }
}

struct Counted {
    bytes: Vec<u8>,
    count: Arc<Count>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.count.writes.fetch_sub(1, Ordering::Release) == 1 {
            self.count.sent.notify_one();
        }
    }
}
