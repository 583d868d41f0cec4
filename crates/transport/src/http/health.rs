//! Whether a pooled connection lives, and how many streams it has.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use h2::{Ping, PingPong};
use rosn_net::Meter;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

/// A connection on which nothing has come for so long is asked whether it lives, while it has streams.
const PING_AFTER: Duration = Duration::from_secs(15);
/// How long the answer may take, if nothing else comes.
const PING_TIMEOUT: Duration = Duration::from_secs(8);
/// How long a connection without streams is kept, as in Go.
const IDLE: Duration = Duration::from_secs(90);
/// The same for one that only one client uses.
const PRIVATE_IDLE: Duration = Duration::from_secs(5);

/// What is known about a connection.
#[derive(Debug)]
pub(super) struct Health {
    life: Mutex<Life>,
    epoch: Instant,
    /// How long it is kept without streams.
    idle: Duration,
    /// When something came last, in microseconds after the epoch.
    heard: AtomicU64,
    /// Somebody doubts that it lives.
    doubt: Notify,
}

#[derive(Debug)]
struct Life {
    streams: usize,
    /// It takes no more streams.
    closed: bool,
    /// When it last had a stream.
    idle_since: Instant,
}

impl Health {
    /// `private`: it tells of one client, and serves no other.
    pub(super) fn new(private: bool) -> Arc<Self> {
        let now = Instant::now();
        let idle = if private { PRIVATE_IDLE } else { IDLE };
        let life = Mutex::new(Life { streams: 0, closed: false, idle_since: now });
        Arc::new(Self { life, epoch: now, idle, heard: AtomicU64::new(0), doubt: Notify::new() })
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a stream, if there are fewer than `limit`.
    pub(super) fn reserve(self: &Arc<Self>, limit: usize) -> Option<Permit> {
        let mut life = self.life();
        if life.closed || life.streams >= limit {
            return None;
        }
        life.streams += 1;
        Some(Permit(self.clone()))
    }

    /// Takes no more streams. Those that it has go on.
    pub(super) fn close(&self) {
        self.life().closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.life().closed
    }

    fn has_streams(&self) -> bool {
        self.life().streams > 0
    }

    fn close_if_idle(&self) -> bool {
        let mut life = self.life();
        life.closed |= life.streams == 0 && life.idle_since.elapsed() >= self.idle;
        life.closed && life.streams == 0
    }

    /// When something came last.
    pub(super) fn heard(&self) -> Instant {
        self.epoch + Duration::from_micros(self.heard.load(Ordering::Relaxed))
    }

    fn hear(&self) {
        let micros = u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.heard.store(micros, Ordering::Relaxed);
    }

    /// Has the connection asked at once whether it lives.
    pub(super) fn ask(&self) {
        self.doubt.notify_one();
    }

    /// Runs until the connection has to be given up: it is dead, or nobody needs it.
    pub(super) async fn watch(&self, mut pings: PingPong) {
        loop {
            tokio::select! {
                () = self.doubt.notified() => {}
                () = sleep(PING_AFTER.min(self.idle)) => {
                    if self.close_if_idle() {
                        return;
                    }
                    if self.heard().elapsed() < PING_AFTER || !self.has_streams() {
                        continue;
                    }
                }
            }
            if !self.is_answered(&mut pings).await {
                return;
            }
        }
    }

    /// Asks whether the connection lives. What the server has sent before its answer has been seen after that.
    pub(super) async fn is_answered(&self, pings: &mut PingPong) -> bool {
        let pong = pings.ping(Ping::opaque());
        tokio::pin!(pong);
        loop {
            match timeout(PING_TIMEOUT, &mut pong).await {
                Ok(answer) => return answer.is_ok(),
                // The answer stands behind much data; they show that it lives.
                Err(_) if self.heard().elapsed() < PING_TIMEOUT => {}
                Err(_) => return false,
            }
        }
    }
}

/// A place for a stream in a connection.
#[derive(Debug)]
pub(super) struct Permit(Arc<Health>);

impl Drop for Permit {
    fn drop(&mut self) {
        let mut life = self.0.life();
        life.streams -= 1;
        life.idle_since = Instant::now();
    }
}

impl Meter for Health {
    fn read(&self, _count: usize) {
        self.hear();
    }
}
