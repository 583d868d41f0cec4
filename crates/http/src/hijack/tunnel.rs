//! Joins two connections.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use rosn_net::{Side, Tunnel, TunnelEnd, TunnelReason};
use tokio::time::{Instant, sleep_until};

use super::Hijacked;
use super::io::within_chunks;

/// What bytes that are copied pass through.
const SCRATCH: usize = 64 * 1024;

/// How long a tunnel may last.
#[derive(Debug, Clone)]
pub struct TunnelOptions {
    /// It ends when no byte was passed on for so long. Default: an hour.
    pub idle_timeout: Option<Duration>,
    /// It ends after so long, whatever happens. Default: no limit.
    pub max_lifetime: Option<Duration>,
}

impl Default for TunnelOptions {
    fn default() -> Self {
        Self { idle_timeout: Some(Duration::from_secs(3600)), max_lifetime: None }
    }
}

impl Hijacked {
    /// Passes on all bytes between the two connections until both have ended: what was read already first, an end of
    /// file as an end of file, a reset as a reset (see [`Tunnel`]). Says how many bytes went from `self` to `other`
    /// (a to b), how many came back, and why it ended.
    ///
    /// A body that was not read is passed on as it was sent. A shutdown of the server ends the tunnel when its time is
    /// up ([`TunnelReason::Shutdown`]); before that nothing is said into the tunnel, as nobody knows what it carries.
    ///
    /// Cancel safety: dropping the future closes both connections.
    pub async fn tunnel(self, other: Self, options: TunnelOptions) -> TunnelEnd {
        for (side, end) in [(Side::A, &self), (Side::B, &other)] {
            if !end.body.is_raw() {
                let reason = TunnelReason::Error(side, within_chunks());
                return TunnelEnd { a_to_b: 0, b_to_a: 0, reason };
            }
        }
        let _guards = (self.guard, other.guard);
        let (mut a_shutdown, mut b_shutdown) = (self.shutdown, other.shutdown);
        let mut shutdown = pin!(async {
            tokio::select! {
                () = a_shutdown.cut() => {}
                () = b_shutdown.cut() => {}
            }
        });
        let mut tunnel = Tunnel::new(self.io, other.io, &self.read_buf, &other.read_buf);
        drop((self.read_buf, other.read_buf));

        let mut due = Due::new(&options);
        let mut timer = pin!(sleep_until(due.next()));
        let mut scratch = vec![0; SCRATCH];
        let mut moved = (0, 0);
        let end = poll_fn(|cx| {
            if let Poll::Ready(end) = tunnel.poll(cx, &mut scratch) {
                return Poll::Ready(Ok(end));
            }
            if tunnel.moved() != moved {
                moved = tunnel.moved();
                due.moved();
            }
            if shutdown.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(TunnelReason::Shutdown));
            }
            // The timer is moved only when it fires, and not with every byte.
            while timer.as_mut().poll(cx).is_ready() {
                if let Some(reason) = due.passed() {
                    return Poll::Ready(Err(reason));
                }
                timer.as_mut().reset(due.next());
            }
            Poll::Pending
        });
        match end.await {
            Ok(end) => end,
            Err(reason) => tunnel.stop(reason),
        }
    }
}

/// When a tunnel has to end.
struct Due {
    idle_timeout: Duration,
    idle: Instant,
    lifetime: Instant,
}

/// About as far away as a timer can be set.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

impl Due {
    fn new(options: &TunnelOptions) -> Self {
        let idle_timeout = options.idle_timeout.unwrap_or(FOREVER).min(FOREVER);
        let max_lifetime = options.max_lifetime.unwrap_or(FOREVER).min(FOREVER);
        let now = Instant::now();
        Self { idle_timeout, idle: now + idle_timeout, lifetime: now + max_lifetime }
    }

    fn next(&self) -> Instant {
        self.idle.min(self.lifetime)
    }

    fn moved(&mut self) {
        self.idle = Instant::now() + self.idle_timeout;
    }

    fn passed(&self) -> Option<TunnelReason> {
        let now = Instant::now();
        if now >= self.lifetime {
            Some(TunnelReason::Lifetime)
        } else if now >= self.idle {
            Some(TunnelReason::Idle)
        } else {
            None
        }
    }
}
