//! Requests that wait for a connection because the cluster's `max_connections` is reached.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

/// One worker's waiting requests, first come, first served.
///
/// Only the first is woken, and it stays the first until it leaves. Then the next is woken, as there may be
/// more than one free connection.
#[derive(Default)]
pub(super) struct Queue {
    waiting: RefCell<VecDeque<Waiter>>,
}

struct Waiter {
    /// In the order of arrival.
    number: u64,
    woken: bool,
    waker: Option<Waker>,
}

/// A place in a [`Queue`]; dropping it leaves the queue.
pub(super) struct Place<'q> {
    queue: &'q Queue,
    number: u64,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Takes the last place.
    pub(super) fn enter(&self) -> Place<'_> {
        let mut waiting = self.waiting.borrow_mut();
        let number = waiting.back().map_or(0, |last| last.number + 1);
        waiting.push_back(Waiter { number, woken: false, waker: None });
        Place { queue: self, number }
    }

    /// Has the first, if there is one, look again.
    pub(super) fn wake_first(&self) {
        let waker = match self.waiting.borrow_mut().front_mut() {
            Some(first) => {
                first.woken = true;
                first.waker.take()
            }
            None => None,
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Queue {
    /// Has all look again.
    pub(super) fn wake_all(&self) {
        let wakers: Vec<_> = {
            let mut waiting = self.waiting.borrow_mut();
            let woken = waiting.iter_mut().map(|waiter| {
                waiter.woken = true;
                waiter.waker.take()
            });
            woken.flatten().collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Place<'_> {
    pub(super) fn is_first(&self) -> bool {
        self.queue.waiting.borrow().front().is_some_and(|first| first.number == self.number)
    }

    /// Ready, once, when there is a reason to look again.
    pub(super) fn poll_woken(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.queue.waiting.borrow_mut();
        let own = waiting.iter_mut().find(|waiter| waiter.number == self.number);
        let own = own.expect("it stays until the place is dropped");
        if std::mem::take(&mut own.woken) {
            return Poll::Ready(());
        }
        own.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let was_first = self.is_first();
        // Bound, so that its waker is not dropped while the queue is borrowed.
        let _own = {
            let mut waiting = self.queue.waiting.borrow_mut();
            let place = waiting.iter().position(|waiter| waiter.number == self.number);
            place.and_then(|place| waiting.remove(place))
        };
        if was_first {
            self.queue.wake_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_woken_and_hands_on_when_it_leaves() {
        let queue = Queue::default();
        let mut cx = Context::from_waker(Waker::noop());
        queue.wake_first();
        let (first, second, third) = (queue.enter(), queue.enter(), queue.enter());
        assert!(first.is_first() && !second.is_first());
        assert!(first.poll_woken(&mut cx).is_pending() && second.poll_woken(&mut cx).is_pending());
        queue.wake_first();
        assert!(first.poll_woken(&mut cx).is_ready());
        assert!(first.poll_woken(&mut cx).is_pending(), "once");
        assert!(second.poll_woken(&mut cx).is_pending());
        drop(second);
        assert!(third.poll_woken(&mut cx).is_pending(), "the first is still there");
        drop(first);
        assert!(third.is_first() && third.poll_woken(&mut cx).is_ready());
        drop(third);
        assert!(queue.is_empty());
    }
}
