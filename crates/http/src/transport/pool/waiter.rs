//! Who waits for a connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use rosn_trace::TraceHandle;
use tokio::task::AbortHandle;

use super::{Carrier, Got, Permit, Pool};
use crate::Error;
use crate::connect::Target;

/// A request that waits for a connection, as others see it.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) target: Target,
    pub(super) trace: TraceHandle,
    pub(super) deadline: Option<Instant>,
    slot: Mutex<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    answer: Answer,
    waker: Option<Waker>,
    /// A connection may be dialed for it.
    permit: Option<Permit>,
    /// One was allowed to be.
    has_dial: bool,
    dial: Option<AbortHandle>,
}

#[derive(Debug, Default)]
enum Answer {
    #[default]
    None,
    Connection(Carrier),
    Failed(Error),
    /// Nobody waits for it any more.
    Unwanted,
}

impl Waiter {
    pub(super) fn new(target: Target, trace: TraceHandle, deadline: Option<Instant>) -> Self {
        Self { target, trace, deadline, slot: Mutex::default() }
    }

    /// Gives it a connection, and says whom to wake; gives it back where none is wanted.
    pub(super) fn deliver(&self, carrier: Carrier) -> Result<Option<Waker>, Carrier> {
        let mut slot = self.slot();
        if !matches!(slot.answer, Answer::None) {
            return Err(carrier);
        }
        slot.answer = Answer::Connection(carrier);
        Ok(slot.waker.take())
    }

    /// Says that its dial failed.
    pub(super) fn fail(&self, error: Error) {
        let mut slot = self.slot();
        if matches!(slot.answer, Answer::None) {
            slot.answer = Answer::Failed(error);
            let waker = slot.waker.take();
            drop(slot);
            waker.into_iter().for_each(Waker::wake);
        }
    }

    /// Allows it to dial, and says whom to wake; gives the permit back where it has none to use it.
    pub(super) fn grant(&self, permit: Permit) -> Result<Option<Waker>, Permit> {
        let mut slot = self.slot();
        if slot.has_dial || !matches!(slot.answer, Answer::None) {
            return Err(permit);
        }
        slot.has_dial = true;
        slot.permit = Some(permit);
        Ok(slot.waker.take())
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that waits for a connection. Dropping it gives up, and a dial that nobody else needs with it.
#[derive(Debug)]
pub(in crate::transport) struct Waiting {
    pool: Arc<Pool>,
    waiter: Arc<Waiter>,
    number: u64,
}

impl Waiting {
    pub(super) fn new(pool: Arc<Pool>, waiter: Arc<Waiter>, number: u64) -> Self {
        Self { pool, waiter, number }
    }

    /// Ready with the first connection that there is for the request.
    pub(in crate::transport) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Got, Error>> {
        let mut slot = self.waiter.slot();
        match std::mem::take(&mut slot.answer) {
            Answer::Connection(carrier) => {
                slot.answer = Answer::Unwanted;
                Poll::Ready(Ok(Got { carrier, idle: None }))
            }
            Answer::Failed(error) => {
                slot.answer = Answer::Unwanted;
                Poll::Ready(Err(error))
            }
            Answer::None | Answer::Unwanted => {
                slot.waker = Some(cx.waker().clone());
                let permit = slot.permit.take();
                drop(slot);
                if permit.is_some() {
                    self.dial(permit);
                }
                Poll::Pending
            }
        }
    }

    /// Whether a connection is being dialed for it, and not only waited for.
    pub(in crate::transport) fn is_dialing(&self) -> bool {
        self.waiter.slot().has_dial
    }

    /// Has a connection dialed for it.
    pub(super) fn dial(&self, permit: Option<Permit>) {
        self.waiter.slot().has_dial = true;
        let dial = super::dial::run(Arc::clone(&self.pool), Arc::clone(&self.waiter), permit);
        let handle = tokio::spawn(dial).abort_handle();
        self.waiter.slot().dial = Some(handle);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut slot = self.waiter.slot();
        let answer = std::mem::replace(&mut slot.answer, Answer::Unwanted);
        let (permit, dial, waker) = (slot.permit.take(), slot.dial.take(), slot.waker.take());
        drop(slot);
        let mut state = self.pool.state();
        if let Some(host) = state.hosts.get_mut(&self.waiter.target) {
            host.waiting.remove(&self.number);
            state.tidy(&self.waiter.target);
        }
        drop(state);
        if matches!(answer, Answer::None | Answer::Connection(_))
            && let Some(dial) = dial
        {
            dial.abort(); // nobody needs what it makes
        }
        if let Answer::Connection(Carrier::Http1(connection)) = answer {
            // It is lost where nobody waits and the pool is full.
            let _ = self.pool.put(connection);
        }
        drop((permit, waker));
    }
}
