//! A coarse timer wheel whose deadlines are plain numbers, moved for free.
//!
//! A connection owns one [`Timer`] for its whole life and stores its next deadline in it. The wheel
//! visits each timer at least every 2.5 s; a visit that finds the deadline in the future moves on.
//! So a deadline that is put off, the common case, costs one store.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::Waker;

/// The length of a tick, in nanoseconds: deadlines are kept to this precision.
const TICK: u64 = 10_000_000;
/// Slots of the wheel; a timer is visited once a turn at the least.
const SLOTS: usize = 256;

/// Entries that are kept for reuse.
const KEEP: usize = 1024;

/// A deadline "never".
const NEVER: u64 = u64::MAX;

/// A worker's timers.
#[derive(Debug, Default)]
pub struct Wheel {
    inner: Rc<RefCell<Inner>>,
}

#[derive(Debug)]
struct Inner {
    slots: Vec<Vec<Weak<Entry>>>,
    /// The tick that was handled last.
    tick: u64,
    /// How many visits are queued in all slots.
    queued: usize,
    /// Entries without an owner. The next timers get them, warm, with the visits that they still have
    /// queued, so that short connections leave nothing behind to be cleaned up later.
    free: Vec<Rc<Entry>>,
    /// Wakes the driver when a visit is queued before the one it sleeps for.
    driver: Option<Waker>,
    sleeping_until: u64,
}

#[derive(Debug)]
struct Entry {
    /// In nanoseconds of the worker's clock.
    deadline: Cell<u64>,
    /// The tick of the visit that counts; other queued visits are stale.
    visit: Cell<u64>,
    fired: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// One deadline in a [`Wheel`]; dropping it gives up the deadline.
#[derive(Debug)]
pub struct Timer {
    entry: Rc<Entry>,
    wheel: Rc<RefCell<Inner>>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            tick: 0,
            queued: 0,
            free: Vec::new(),
            driver: None,
            sleeping_until: NEVER,
        }
    }
}

impl Wheel {
    /// An empty wheel whose time is zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// A timer without a deadline.
    pub fn timer(&self) -> Timer {
        let free = self.inner.borrow_mut().free.pop();
        let entry = free.unwrap_or_else(|| {
            Rc::new(Entry {
                deadline: Cell::new(NEVER),
                visit: Cell::new(NEVER),
                fired: Cell::new(false),
                waker: RefCell::new(None),
            })
        });
        Timer { entry, wheel: Rc::clone(&self.inner) }
    }

    /// Handles all visits up to `now` (nanoseconds), waking the owners of timers that expired.
    ///
    /// Returns when to call again, in nanoseconds, or `None` while no timer has a deadline; then
    /// `driver` is woken when that changes.
    pub fn advance(&self, now: u64, driver: &Waker) -> Option<u64> {
        let target = now / TICK;
        loop {
            let due = {
                let mut inner = self.inner.borrow_mut();
                if inner.queued == 0 || inner.tick >= target {
                    inner.tick = inner.tick.max(target);
                    break;
                }
                inner.tick += 1;
                let slot = slot(inner.tick);
                let due = std::mem::take(&mut inner.slots[slot]);
                inner.queued -= due.len();
                due
            };
            for entry in due.iter().filter_map(Weak::upgrade) {
                self.visit(&entry);
            }
        }
        let mut inner = self.inner.borrow_mut();
        let mut ticks = inner.tick + 1..=inner.tick + SLOTS as u64;
        let next = ticks.find(|tick| !inner.slots[slot(*tick)].is_empty());
        inner.sleeping_until = next.unwrap_or(NEVER);
        if !inner.driver.as_ref().is_some_and(|waker| waker.will_wake(driver)) {
            inner.driver = Some(driver.clone());
        }
        next.map(|tick| tick * TICK)
    }

    /// Wakes the owners of all timers that have a deadline, expired or not: something happened that
    /// each of them has to look at.
    pub fn wake_all(&self) {
        let entries: Vec<_> = self.inner.borrow().slots.iter().flatten().cloned().collect();
        for entry in entries.iter().filter_map(Weak::upgrade) {
            let waker = entry.waker.borrow_mut().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    fn visit(&self, entry: &Rc<Entry>) {
        let mut inner = self.inner.borrow_mut();
        if entry.visit.get() != inner.tick {
            return; // a stale visit: the timer was moved forward in the meantime
        }
        entry.visit.set(NEVER);
        let deadline = entry.deadline.get();
        if deadline == NEVER {
            return;
        }
        // A deadline within this tick is not over before the tick is.
        if deadline / TICK >= inner.tick {
            inner.queue(entry, deadline);
            return;
        }
        drop(inner);
        entry.fired.set(true);
        let waker = entry.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Inner {
    /// Queues the next visit of a timer with this deadline.
    fn queue(&mut self, entry: &Rc<Entry>, deadline: u64) {
        // One tick later than the deadline's own, so that a timer never fires early.
        let tick = (deadline / TICK + 1).clamp(self.tick + 1, self.tick + SLOTS as u64 - 1);
        entry.visit.set(tick);
        self.slots[slot(tick)].push(Rc::downgrade(entry));
        self.queued += 1;
        if tick < self.sleeping_until
            && let Some(driver) = self.driver.take()
        {
            self.sleeping_until = tick;
            driver.wake();
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.clear();
        drop(self.entry.waker.take());
        let mut wheel = self.wheel.borrow_mut();
        if wheel.free.len() < KEEP {
            wheel.free.push(Rc::clone(&self.entry));
        }
    }
}

impl Timer {
    /// Sets the deadline, in nanoseconds of the worker's clock. An expiry not yet seen is forgotten.
    pub fn set(&self, deadline: u64) {
        self.entry.deadline.set(deadline);
        self.entry.fired.set(false);
        let visit = self.entry.visit.get();
        if visit == NEVER || deadline / TICK + 1 < visit {
            self.wheel.borrow_mut().queue(&self.entry, deadline);
        }
    }

    /// Takes the deadline away.
    pub fn clear(&self) {
        self.entry.deadline.set(NEVER);
        self.entry.fired.set(false);
    }

    /// The deadline, if there is one.
    pub fn deadline(&self) -> Option<u64> {
        Some(self.entry.deadline.get()).filter(|deadline| *deadline != NEVER)
    }

    /// Whether the deadline has passed; if not, `waker` is woken when it does.
    pub fn poll_expired(&self, waker: &Waker) -> bool {
        if self.entry.fired.get() {
            return true;
        }
        let mut slot = self.entry.waker.borrow_mut();
        if !slot.as_ref().is_some_and(|old| old.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
        false
    }
}

fn slot(tick: u64) -> usize {
    (tick % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    const MS: u64 = 1_000_000;

    fn run(wheel: &Wheel, until: u64) -> Option<u64> {
        let noop = Waker::noop();
        let mut next = None;
        for at in (0..=until).step_by(5 * MS as usize) {
            next = wheel.advance(at, noop);
        }
        next
    }

    #[test]
    fn fires_after_the_deadline_and_never_before() {
        let (wheel, count) = (Wheel::new(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        for deadline in [1, 95 * MS, 2_600 * MS, 9_000 * MS] {
            let wheel = Wheel::new();
            let timer = wheel.timer();
            timer.set(deadline);
            run(&wheel, deadline.saturating_sub(5 * MS));
            assert!(!timer.poll_expired(&waker), "{deadline} fired early");
            run(&wheel, deadline + 30 * MS);
            assert!(timer.poll_expired(&waker), "{deadline} did not fire");
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 4);
        assert_eq!(wheel.advance(0, &waker), None);
    }

    #[test]
    fn a_deadline_can_be_put_off_and_brought_forward() {
        let wheel = Wheel::new();
        let timer = wheel.timer();
        timer.set(100 * MS);
        timer.set(500 * MS);
        run(&wheel, 400 * MS);
        assert!(!timer.poll_expired(Waker::noop()));
        timer.set(9_000 * MS);
        timer.set(450 * MS);
        run(&wheel, 480 * MS);
        assert!(timer.poll_expired(Waker::noop()));
        timer.clear();
        assert!(!timer.poll_expired(Waker::noop()));
    }

    /// A visit in the tick of the deadline itself came up to a tick early, and an owner that looked at
    /// the clock then slept on for ever.
    #[test]
    fn a_deadline_put_off_by_less_than_a_tick_does_not_fire_early() {
        let wheel = Wheel::new();
        let timer = wheel.timer();
        timer.set(99 * MS);
        timer.set(105 * MS);
        run(&wheel, 100 * MS);
        assert!(!timer.poll_expired(Waker::noop()));
        run(&wheel, 110 * MS);
        assert!(timer.poll_expired(Waker::noop()));
    }

    #[test]
    fn dropped_timers_leave_nothing_behind() {
        let wheel = Wheel::new();
        for at in 0..100 {
            wheel.timer().set(at * 10 * MS);
        }
        assert_eq!(run(&wheel, 2_000 * MS), None);
        assert_eq!(wheel.inner.borrow().queued, 0);
    }

    #[test]
    fn the_driver_is_woken_for_an_earlier_timer() {
        let (wheel, count) = (Wheel::new(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        assert_eq!(wheel.advance(0, &waker), None);
        wheel.timer().set(50 * MS);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }
}
