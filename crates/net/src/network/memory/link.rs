//! The way between two hosts, and what is wrong with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::network::Waiters;

/// The way between two hosts of a [`MemNet`](super::MemNet), in both directions. It is perfect until it is told otherwise.
///
/// What is set holds for connections that exist too.
#[derive(Debug, Clone, Default)]
pub struct MemLink(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    /// Those who wait for it to be mended.
    waiters: Waiters,
}

#[derive(Debug)]
struct State {
    latency: Duration,
    loss: f64,
    cut: bool,
    random: fastrand::Rng,
}

impl Default for State {
    fn default() -> Self {
        // The same datagrams are lost in every run.
        let random = fastrand::Rng::with_seed(1);
        Self { latency: Duration::ZERO, loss: 0.0, cut: false, random }
    }
}

impl MemLink {
    /// How long bytes and datagrams take from one end to the other; connecting takes twice as long. It passes in the
    /// time of tokio, which a test can pause.
    pub fn set_latency(&self, latency: Duration) {
        self.state().latency = latency;
    }

    /// Which part of the datagrams is lost, from 0 to 1: the same ones in each run. Connections lose nothing.
    pub fn set_loss(&self, loss: f64) {
        self.state().loss = loss;
    }

    /// Cuts it: datagrams are lost; connecting, and reading on connections that exist, waits until it is mended. Nobody
    /// is told.
    pub fn cut(&self) {
        self.state().cut = true;
    }

    /// Mends what was cut.
    pub fn mend(&self) {
        self.state().cut = false;
        self.0.waiters.wake_all();
    }

    pub(super) fn latency(&self) -> Duration {
        self.state().latency
    }

    pub(super) fn is_cut(&self) -> bool {
        self.state().cut
    }

    /// Whether the next datagram is lost.
    pub(super) fn loses(&self) -> bool {
        let mut state = self.state();
        state.cut || (state.loss > 0.0 && state.random.f64() < state.loss)
    }

    /// Waits for it to be mended.
    pub(super) fn poll_whole(&self, cx: &Context<'_>) -> Poll<()> {
        let state = self.state();
        if !state.cut {
            return Poll::Ready(());
        }
        self.0.waiters.add(cx.waker());
        Poll::Pending
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
