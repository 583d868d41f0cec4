//! How many connections a host may have.

use std::sync::{Arc, Weak};
use std::task::Waker;

use super::Pool;
use crate::connect::Target;

/// One of the connections that a host may have. Dropping it lets another be dialed.
#[derive(Debug)]
pub(in crate::transport) struct Permit {
    pool: Weak<Pool>,
    target: Target,
}

impl Permit {
    pub(super) fn new(pool: &Arc<Pool>, target: &Target) -> Self {
        Self { pool: Arc::downgrade(pool), target: target.clone() }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(pool) = self.pool.upgrade() else { return };
        let mut state = pool.state();
        let Some(host) = state.hosts.get_mut(&self.target) else { return };
        let mut permit = Self { pool: Weak::clone(&self.pool), target: self.target.clone() };
        for waiter in host.waiting.values() {
            match waiter.grant(permit) {
                Ok(waker) => {
                    drop(state);
                    waker.into_iter().for_each(Waker::wake);
                    return;
                }
                Err(back) => permit = back,
            }
        }
        host.open -= 1;
        state.tidy(&self.target);
        drop(state);
        permit.pool = Weak::new(); // it counts no longer
    }
}
