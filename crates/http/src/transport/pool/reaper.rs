//! Closes idle connections: those that are too old, and those that their peer has closed.

use std::sync::{Arc, Weak};
use std::task::Wake;
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::sleep_until;

use super::Pool;

/// How long a reaper sleeps at most.
const LONG: Duration = Duration::from_secs(3600);

/// Wakes the reaper: an idle connection can be read from, so it is no longer of use.
#[derive(Debug, Default)]
pub(super) struct Bell(Notify);

impl Bell {
    pub(super) fn ring(&self) {
        self.0.notify_one();
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

/// Starts the reaper of a pool. It ends when no connection is idle, or the pool is gone.
pub(super) fn start(pool: &Arc<Pool>) {
    let on_duty = OnDuty { pool: Arc::downgrade(pool), relieved: false };
    let bell = Arc::clone(&pool.bell);
    // Outside of a runtime nothing is reaped; dead and old connections are seen when they are to be used.
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(reap(on_duty, bell));
    }
}

async fn reap(mut on_duty: OnDuty, bell: Arc<Bell>) {
    loop {
        let next = {
            let Some(pool) = on_duty.pool.upgrade() else { return };
            let Some(next) = pool.sweep() else {
                on_duty.relieved = true;
                return;
            };
            next
        };
        tokio::select! {
            () = sleep_until(next.into()) => {}
            () = bell.0.notified() => {}
        }
    }
}

/// Says that there is no reaper any more, also where its runtime ends.
struct OnDuty {
    pool: Weak<Pool>,
    /// That was said already.
    relieved: bool,
}

impl Drop for OnDuty {
    fn drop(&mut self) {
        if !self.relieved
            && let Some(pool) = self.pool.upgrade()
        {
            pool.state().is_reaped = false;
        }
    }
}

impl Pool {
    /// Closes what is too old or dead. When to look again; `None` where nothing is idle, and then there is no reaper.
    fn sweep(&self) -> Option<Instant> {
        let now = SystemTime::now();
        let timeout = self.limits.idle_timeout.unwrap_or(Duration::MAX);
        let mut next = LONG;
        let (mut closed, mut closed_shared) = (Vec::new(), Vec::new());
        let mut state = self.state();
        state.hosts.retain(|_, host| {
            closed_shared.extend(host.shared.extract_if(.., |shared| {
                let left = shared.idle(now).map(|idle| timeout.saturating_sub(idle));
                let is_old = left.is_some_and(|left| left.is_zero());
                next = left.filter(|_| !is_old).map_or(next, |left| next.min(left));
                is_old
            }));
            for mut idle in std::mem::take(&mut host.idle) {
                let left = timeout.saturating_sub(idle.age(now));
                if left.is_zero() || !idle.connection.is_quiet(&self.bell_waker, false) {
                    closed.push(idle);
                } else {
                    next = next.min(left);
                    host.idle.push_back(idle);
                }
            }
            !host.is_empty()
        });
        state.idle -= closed.len() + closed_shared.len();
        state.is_reaped = state.idle > 0;
        let goes_on = state.is_reaped;
        drop(state);
        drop((closed, closed_shared));
        goes_on.then(|| Instant::now() + next)
    }
}
